// dynamodb_internal.h - the parts of the store on DynamoDB. Begin with dynamodb.h.
//
//   dynamodb.c         the store: who waits for what, in which order
//   dynamodb_append.c  a batch: one conditional put, and what a lost answer leads to
//   dynamodb_read.c    the log: pages, whole batches, up to the first hole
//   dynamodb_state.c   snapshots: a row, or a manifest and chunks
//   dynamodb_orphan.c  chunks that no manifest names
//   dynamodb_trim.c    deleting a prefix; naming all lists
//   dynamodb_tables.c  what the tables must be
//   dynamodb_row.c     shapes of keys and rows
//   dynamodb_call.c    one call of the API; dynamodb_fault.c what its errors mean
//
// A REQUEST of store.h that has begun is a JOB. Each list runs one job of its line
// (appends, reads, loads) and one of its chores (saves, trims) at a time; the others wait
// in the list's queues. A job is a chain of calls, one after another.
//
// Of each list the TAIL is remembered: where the newest batch begins and ends, and when we
// last wrote or read it. An append needs a tail not older than an hour, and asks for it
// otherwise: a put that was delayed longer is no longer accepted by then (its signature
// is old), so what a fresh tail does not show never comes. (A trim deletes nothing
// younger than that, for the same reason.)
#ifndef TM_STORE_DYNAMODB_INTERNAL_H
#define TM_STORE_DYNAMODB_INTERNAL_H

#include "core/table.h"
#include "store/dynamodb.h"
#include "store/dynamodb_call.h"
#include "store/dynamodb_row.h"
#include "store/request.h"

#define TM_DYNAMODB_HOUR_MS 3600000u
#define TM_DYNAMODB_DAY_MS  86400000u
#define TM_DYNAMODB_CHUNK_MAX                                                      \
    (350u << 10)                // an item has at most 400 KB, names included
#define TM_DYNAMODB_SETS_MAX 8u // sets of old chunks a manifest remembers

typedef struct tm_dynamodb tm_dynamodb;
typedef struct tm_dynamodb_list tm_dynamodb_list;
typedef struct tm_dynamodb_job tm_dynamodb_job;

// Chunks of one snapshot: "chunk-<seq>-<id>-<number>". `gone_ms`: when a newer manifest
// took their place; 0 = they are the stored ones.
typedef struct tm_dynamodb_set {
    uint64_t seq, parts, gone_ms;
    char id[17];
} tm_dynamodb_set;

struct tm_dynamodb_list {
    bool tail_known, holed;
    uint64_t tail_first, tail_last; // of the newest batch; 0 = there is none
    uint64_t tail_ms;               // by the monotonic clock
    uint64_t hint_first, hint_last; // of some batch a read may begin at; 0 = none

    bool saved_known;   // what follows is what the table has
    uint64_t saved_seq; // 0 = no snapshot
    tm_dynamodb_set
        sets[TM_DYNAMODB_SETS_MAX + 1]; // the stored one, then those gone
    size_t sets_count;
    bool orphans_looked; // for chunks of no known set, at
    uint64_t orphans_ms; // by the monotonic clock

    tm_queue line, chores; // waiting
    bool going;            // jobs are being begun
    tm_dynamodb_job *line_job, *chore_job;
    size_t key_len;
    uint8_t key[TM_KEY_MAX]; // joined
};

// What of a row a job keeps, its bytes in the job's arena.
typedef struct tm_dynamodb_rows {
    tm_batch *items;
    size_t count, cap;
} tm_dynamodb_rows;

struct tm_dynamodb_job {
    tm_dynamodb *store;
    tm_dynamodb_list *list;
    tm_store_own *own; // NULL = nobody's: a check
    tm_dynamodb_call call;
    tm_arena arena; // what outlives a call
    tm_status status;

    // append
    uint8_t batch_id[TM_DYNAMODB_BATCH_ID_LEN];
    bool tail_asked, found, ours;
    // read, trim, lists: pages
    tm_dynamodb_rows rows;    // the first of them before what `since` asks for
    tm_dynamodb_rows page;    // of the answer being read
    tm_buf after, page_after; // LastEvaluatedKey, raw; empty = that was all
    uint64_t start;           // of the first query
    uint64_t ops, bytes;
    uint64_t seen_first, seen_last; // of the newest row that came
    bool full, hole, looked_back;
    uint64_t gone; // rows deleted
    // load, save
    tm_buf state; // a snapshot's bytes
    tm_dynamodb_set set, old;
    size_t part;
    bool again, chunked;
    uint64_t seq;
    tm_span members; // names, in order
    // check
    size_t table;
};

struct tm_dynamodb {
    tm_store base;
    const tm_alloc *alloc;
    tm_http *http;
    tm_dynamodb_client client;
    char operations[96], states[96]; // the tables
    char connections[96];            // of tidemark-lambda
    tm_table lists;                  // joined key -> list, owned
    tm_queue incoming;               // started, not yet in a list
    size_t outstanding;              // requests without their done
    size_t told;                     // dones called in this poll
    bool armed;                      // the door knows whom to wake
    tm_store_stats stats;

    tm_dynamodb_job check;  // of the tables
    bool checking, checked; // now; ever
    uint64_t checked_ms;    // begun last
    char judged[256];       // what is wrong with the table that was looked at
    char schema[256];       // what is wrong with the tables; empty = nothing
};

// tm_dynamodb_end - the job is over: its `done` is called, and its list goes on.
void tm_dynamodb_end(tm_dynamodb_job *job, tm_status status);

// tm_dynamodb_stored - of a status of a call what a request ends in.
tm_status tm_dynamodb_stored(tm_status status);

static inline tm_key tm_dynamodb_key(const tm_dynamodb_job *job) {
    return tm_key_split((tm_span){job->list->key, job->list->key_len});
}

static inline uint64_t tm_dynamodb_mono(const tm_dynamodb *d) {
    return tm_http_now(d->http).mono_ms;
}

// tm_dynamodb_tail_set - the newest batch, as of now. tm_dynamodb_tail_lose - who knows.
void tm_dynamodb_tail_set(tm_dynamodb_job *job, uint64_t first, uint64_t last);
void tm_dynamodb_tail_lose(tm_dynamodb_list *list);

// Parts of a body. Each begins with what stands before it: a comma or a brace is the
// caller's.
void tm_dynamodb_table_put(tm_buf *out,
                           const char *table);      // "TableName":...,"Return..
void tm_dynamodb_user_put(tm_buf *out, tm_key key); // "user_id":{"S":...}

// tm_dynamodb_row_keep - a copy in the job's arena. false: no memory.
bool tm_dynamodb_row_keep(tm_dynamodb_job *job, tm_dynamodb_rows *rows,
                          const tm_batch *batch);

// tm_dynamodb_after_read - LastEvaluatedKey as it is, for the next request.
void tm_dynamodb_after_read(tm_dynamodb_job *job, tm_json *in);

void tm_dynamodb_append_begin(tm_dynamodb_job *job);
void tm_dynamodb_read_begin(tm_dynamodb_job *job);
void tm_dynamodb_load_begin(tm_dynamodb_job *job);
void tm_dynamodb_save_begin(tm_dynamodb_job *job);
void tm_dynamodb_trim_begin(tm_dynamodb_job *job);

// tm_dynamodb_orphans_begin - before a save in chunks: look for lost ones, if it is time,
// and go on with tm_dynamodb_save_go. false: it is not time.
bool tm_dynamodb_orphans_begin(tm_dynamodb_job *job);
void tm_dynamodb_save_go(tm_dynamodb_job *job);

tm_status tm_dynamodb_lists_all(tm_dynamodb *d,
                                void (*each)(void *context, tm_key key,
                                             uint64_t head),
                                void *context);

// tm_dynamodb_check_begin - ask what the tables are; `schema` receives what is wrong.
void tm_dynamodb_check_begin(tm_dynamodb *d);

// tm_dynamodb_make - all but the check; tm_dynamodb_unmake when nothing is outstanding.
TM_MUST_USE tm_status tm_dynamodb_make(const tm_dynamodb_options *options,
                                       tm_dynamodb **made, char problem[256]);
void tm_dynamodb_unmake(tm_dynamodb *d);

// tm_dynamodb_names_set - the tables of a prefix. false: it is none.
bool tm_dynamodb_names_set(const char *prefix, char operations[96],
                           char states[96]);

#endif
