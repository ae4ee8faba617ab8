// call.h - one thing that was asked and is not answered yet: an HTTP request, a SAVE or
// SUBSCRIBE frame. What it needs lives in its arena and dies with it.
//
// A call waits in at most one list of its ledger, or on one read of the store. Its asker
// may go away at any time: a push is decided all the same, everything else is dropped.
// Calls are kept and used again, so a request allocates nothing once a few were served.
//
// Knows book.h, effect.h.
#ifndef TM_SERVICE_CALL_H
#define TM_SERVICE_CALL_H

#include "service/book.h"
#include "service/effect.h"
#include "service/timer.h"

typedef struct tm_ledger tm_ledger;
typedef struct tm_call tm_call;
typedef struct tm_sub tm_sub;

typedef enum tm_call_kind {
    TM_CALL_PUSH,      // POST operations, SAVE
    TM_CALL_PULL,      // GET operations
    TM_CALL_SUBSCRIBE, // until its backlog is sent
    TM_CALL_STATE,     // GET list
    TM_CALL_PAST,      // GET list?at=
    TM_CALL_LOG,       // GET log
} tm_call_kind;

// What a request says of the mark at its cursor.
typedef enum tm_mark_kind {
    TM_MARK_NONE,    // nothing
    TM_MARK_EMPTY,   // "", the mark of version 0
    TM_MARK_GIVEN,   // 64 digits
    TM_MARK_FOREIGN, // something that is no mark at all
} tm_mark_kind;

typedef enum tm_stop {
    TM_STOP_NONE,
    TM_STOP_FORK,
    TM_STOP_GAP,
    TM_STOP_RETRY
} tm_stop;

typedef enum tm_ack_kind {
    TM_ACK_OK,
    TM_ACK_DUPLICATE,
    TM_ACK_REJECTED
} tm_ack_kind;

// One decided operation of a push, and what taking it back needs.
typedef struct tm_ack {
    tm_ack_kind kind;
    bool fresh; // decided here; else remembered
    bool writer_new;
    tm_fault fault;     // REJECTED
    uint64_t seq, time; // else
    tm_id_hash id;
    tm_writer *writer; // of a fresh one
    uint64_t before_version;
    tm_clock before_last, before_clock;
    size_t before_bytes;
    struct tm_ack *chain; // the next of its hash in the draft
} tm_ack;

typedef struct tm_calls {
    tm_call *first, *last;
} tm_calls;

struct tm_call {
    tm_call *next, *prev; // in `in`
    tm_calls *in;
    struct tm_service *service;
    tm_ledger *ledger;
    tm_call_kind kind;
    uint32_t slot, serial; // its ticket
    bool gone;             // nobody waits for the answer
    bool http;             // owes a reply
    bool waits;            // has a timer
    bool reading;          // a read of the store is out

    // Who asks.
    void *peer;
    tm_conn *conn; // SAVE, SUBSCRIBE
    tm_call *conn_next, *conn_prev;
    size_t size; // of the message, counted against the connection
    tm_span ref; // raw JSON, empty = none; in the arena
    tm_arena arena;

    // Its cursor.
    bool has_since, has_acked;
    tm_mark_kind mark_kind;
    uint64_t since, acked, wait_ms;
    uint8_t mark[TM_MARK_LEN];
    tm_timer timer;
    // A consistent read of the store's tail was made for this call, or is being made.
    bool verified, verifying;
    // Other servers may know more: that was looked at once; it waits for that alone.
    bool looked, looking;

    // A push.
    tm_op *ops; // in the arena, like all here
    tm_ack *acks;
    tm_decision
        *found; // per operation, from the rows above the floor; NULL = not sought
    uint32_t op_count, ack_count;
    bool decided, told; // told: its SAVED is sent
    bool wants_read, wants_search;
    uint32_t conflicts;
    tm_stop stop;
    uint64_t expected; // of a gap

    // A read.
    tm_store_read read;
    void (*on_read)(tm_call *call, tm_status status, const tm_batch *batches,
                    size_t count, bool more);

    // A subscription's snapshot on its way; the past; the log.
    tm_sub *sub;
    bool begun; // SUBSCRIBED is sent
    tm_buf text;
    size_t text_at;
    uint32_t part, parts; // parts 0: there is no snapshot on its way
    uint64_t version;     // of the snapshot; `at` of the past
    tm_list *past;
    tm_book past_book;
    uint64_t from, limit; // of the log
};

// tm_call_new - a call about this list; the ledger is not asked yet.
//   key   copied into no place: the ledger has it
// NULL: no memory.
tm_call *tm_call_new(struct tm_service *service, tm_call_kind kind);

// tm_call_end - it is answered, or needs no answer: out of all lists, memory back.
void tm_call_end(tm_call *call);

// tm_call_find - NULL: it was answered.
tm_call *tm_call_find(struct tm_service *service, uint64_t ticket);
uint64_t tm_call_ticket(const tm_call *call);

// tm_call_leave - the asker is gone. What may end, ends now.
void tm_call_leave(tm_call *call);

void tm_calls_add(tm_calls *calls, tm_call *call);
void tm_calls_add_first(tm_calls *calls, tm_call *call);
void tm_calls_remove(tm_call *call); // from where it is, if anywhere

// tm_call_read - ask the store for batches from `since` on; `on_read` gets the answer. If
// the asker has left meanwhile, the call just ends.
void tm_call_read(tm_call *call, uint64_t since, uint64_t ops_max,
                  uint64_t bytes_max,
                  void (*on_read)(tm_call *call, tm_status status,
                                  const tm_batch *batches, size_t count,
                                  bool more));

#endif
