// store.h - what a store of lists promises, whatever it is made of.
//
// Written for the slowest store: each call is a request that completes later, by its
// `done`, on the thread that calls tm_store_poll or tm_store_wait. A memory store may
// complete before the call returns; the ledger cannot tell. One conformance suite
// (tests/store/conformance.c) runs against every store.
//
// A list's log is a chain of batches: gap-free sequence numbers, each batch starting
// where the one before ended, each carrying the mark before it and its own. A store
// keeps bytes; it neither parses operations nor computes marks. DESIGN 4, 5.
//
// A request's struct belongs to the caller and must live, with all it borrows, until
// `done` was called; `done` is called exactly once per request, and may free the struct
// or start the next request. What `done` is lent is valid during `done` only. Starting a
// request cannot fail, for it needs no memory: its `own` is the store's.
//
// Appends, reads and loads of one list complete in the order they were made, and a read
// or load shows what was appended before it was made. Saves and trims, which may take
// long, are in an order of their own: none ever delays an append.
//
// Knows core/.
#ifndef TM_STORE_STORE_H
#define TM_STORE_STORE_H

#include "core/buf.h"

#define TM_MARK_LEN 32u // bytes: SHA-256

// One list of one user. `user` is 1-128 bytes, `list` is [a-z0-9-]{1,64}.
typedef struct tm_key {
    tm_span user, list;
} tm_key;

// One stored batch: what one append makes durable, all or nothing.
typedef struct tm_batch {
    uint64_t first_seq, last_seq; // last_seq >= first_seq
    uint64_t accepted_ms;         // server's wall clock at acceptance
    tm_span operations; // JSON array, exactly the bytes the mark is taken over
    tm_span rejected;   // JSON array of rejections that ride along, or empty
    uint8_t
        before[TM_MARK_LEN];   // mark of the batch before; of the first: the epoch
    uint8_t mark[TM_MARK_LEN]; // SHA-256(before || operations)
} tm_batch;

typedef struct tm_store tm_store;

// What a store keeps in a request while it is outstanding; the caller leaves it alone
// and need not even clear it.
typedef struct tm_store_own {
    struct tm_store_own *next, *after;
    void *place, *result;
    uint64_t number;
    int kind;
    tm_status status;
} tm_store_own;

// append - durable before it completes.
//   TM_E_CONFLICT  first_seq is not head + 1: somebody else appended
//   TM_E_AGAIN     transient (locked, throttled, disk full); nothing was stored
//   TM_E_UNSURE    it may or may not be stored: read the list again before the next one
//   TM_E_IO        failed for good: nothing is written any more until a restart
//   TM_E_RANGE     beyond what the store can number (sqlite.h); nothing was stored
//   TM_E_STATE     it was opened to be read only
typedef struct tm_store_append {
    tm_key key;     // borrows
    tm_batch batch; // borrows
    void (*done)(struct tm_store_append *request, tm_status status);
    void *context; // the caller's
    tm_store_own own;
} tm_store_append;

// read - whole batches in order, strongly consistent: first the batch that holds
// `since` (or ends there), if it is still there, then those after it. `since` 0 starts
// at the beginning. Stops after the batch that reaches `ops_max` operations or
// `bytes_max` bytes of operations, where a batch that ends at `since` counts for nothing:
// a reader that goes on from the last batch always gets further. At least one batch
// beyond comes if there is one.
//   more   whether batches follow that were cut off
// TM_E_AGAIN, TM_E_NOMEM: try later. TM_E_IO, TM_E_CORRUPT: the storage failed, or is
// damaged. There are then no batches.
typedef struct tm_store_read {
    tm_key key; // borrows
    uint64_t since;
    uint64_t ops_max, bytes_max;
    void (*done)(struct tm_store_read *request, tm_status status,
                 const tm_batch *batches, size_t count, bool more);
    void *context;
    tm_store_own own;
} tm_store_read;

// load - the stored snapshot. `seq` 0 and an empty span: there is none. Failures as in
// read.
typedef struct tm_store_load {
    tm_key key; // borrows
    void (*done)(struct tm_store_load *request, tm_status status, uint64_t seq,
                 tm_span bytes);
    void *context;
    tm_store_own own;
} tm_store_load;

// save - keep a snapshot, only if `seq` is above the stored one's (else TM_OK, nothing
// done). Failures as in append.
typedef struct tm_store_save {
    tm_key key; // borrows
    uint64_t seq;
    tm_span bytes; // borrows
    void (*done)(struct tm_store_save *request, tm_status status);
    void *context;
    tm_store_own own;
} tm_store_save;

// trim - forget batches whose last_seq is <= below_seq and that were accepted before
// `before_ms`, a prefix of the log. The newest batch always stays: it says where the head
// is. The caller warrants that a snapshot covers what goes.
//   batches   how many went
typedef struct tm_store_trim {
    tm_key key; // borrows
    uint64_t below_seq, before_ms;
    void (*done)(struct tm_store_trim *request, tm_status status, uint64_t batches);
    void *context;
    tm_store_own own;
} tm_store_trim;

// One kind of requests that a store makes of somebody who charges for them.
typedef struct tm_store_cost {
    const char *kind;           // a word: "append"
    bool writes;                // its units are write units
    uint64_t requests, retries; // sent in all; of them, second and later tries
    uint64_t units_milli;       // capacity units, times 1000
} tm_store_cost;

#define TM_STORE_COSTS_MAX 16u

// Counters since the store was opened, for /metrics and bench.
typedef struct tm_store_stats {
    uint64_t appends, operations_bytes; // batches appended, their bytes
    uint64_t commits;                   // durable commits (each one fsync or more)
    uint64_t reads, loads, saves, trims;
    uint64_t backlog; // batches in the journal, not yet filed by list
    uint64_t backlog_bytes;
    uint64_t failures; // requests that ended in TM_E_AGAIN, UNSURE or IO
    tm_store_cost costs[TM_STORE_COSTS_MAX]; // of a store that is paid by request
    size_t costs_count;
} tm_store_stats;

// A store is this struct first, its own members after it.
typedef struct tm_store_ops {
    void (*append)(tm_store *store, tm_store_append *request);
    void (*read)(tm_store *store, tm_store_read *request);
    void (*load)(tm_store *store, tm_store_load *request);
    void (*save)(tm_store *store, tm_store_save *request);
    void (*trim)(tm_store *store, tm_store_trim *request);
    size_t (*poll)(tm_store *store);
    size_t (*wait)(tm_store *store);
    tm_status (*lists)(tm_store *store,
                       void (*each)(void *context, tm_key key, uint64_t head),
                       void *context);
    tm_status (*health)(tm_store *store, tm_span *why);
    void (*stats)(tm_store *store, tm_store_stats *stats);
    void (*close)(tm_store *store);
} tm_store_ops;

struct tm_store {
    const tm_store_ops *ops;
    // Called, from any thread, when tm_store_poll has something to do; the host sets it
    // before the first request (uv_async_send, say). May be NULL.
    void (*wake)(void *context);
    void *wake_context;
};

static inline void tm_store_append_start(tm_store *store,
                                         tm_store_append *request) {
    store->ops->append(store, request);
}
static inline void tm_store_read_start(tm_store *store, tm_store_read *request) {
    store->ops->read(store, request);
}
static inline void tm_store_load_start(tm_store *store, tm_store_load *request) {
    store->ops->load(store, request);
}
static inline void tm_store_save_start(tm_store *store, tm_store_save *request) {
    store->ops->save(store, request);
}
static inline void tm_store_trim_start(tm_store *store, tm_store_trim *request) {
    store->ops->trim(store, request);
}

// tm_store_poll - call `done` of all that has completed; never blocks. Returns how many.
static inline size_t tm_store_poll(tm_store *store) {
    return store->ops->poll(store);
}

// tm_store_wait - the same, but blocks until at least one completes; 0 = none was
// outstanding. For programs without a loop.
static inline size_t tm_store_wait(tm_store *store) {
    return store->ops->wait(store);
}

// tm_store_lists - name every list with its head, in any order; blocks. For `verify`.
TM_MUST_USE static inline tm_status
tm_store_lists(tm_store *store,
               void (*each)(void *context, tm_key key, uint64_t head),
               void *context) {
    return store->ops->lists(store, each, context);
}

// tm_store_health - TM_OK if an append would be tried; else why not (lent, for people).
// With TM_OK, what the last write failed with, and empty once one succeeded.
TM_MUST_USE static inline tm_status tm_store_health(tm_store *store, tm_span *why) {
    return store->ops->health(store, why);
}

static inline void tm_store_stats_get(tm_store *store, tm_store_stats *stats) {
    store->ops->stats(store, stats);
}

// tm_store_close - complete what is outstanding, make a last checkpoint, free. NULL is
// fine. No request may be made any more.
static inline void tm_store_close(tm_store *store) {
    if (store != NULL) store->ops->close(store);
}

#endif
