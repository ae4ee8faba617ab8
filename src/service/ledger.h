// ledger.h - numbers one list.
//
// A ledger is COLD until somebody wants the list: then it loads the snapshot, reads the
// log behind it, and is WARM. One thing at a time happens between it and the store that
// may change what it knows, its `job`. tm_ledger_pump looks what is wanted next and
// begins it; the end of every job pumps again.
//
// A push is decided when no job is in flight, on a draft (decide.h). All that waited are
// decided one after another and joined into one append, as long as the batch stays within
// its bounds. When the append has completed the draft becomes the state, acks leave and
// listeners are told; if it fails, the draft is thrown away and nothing has happened.
//
//     CONFLICT   another server appended: read on from our head, decide anew; from the
//                second time on after a moment of chance, and after the eighth 503
//     AGAIN, IO  the saves are refused (503); nothing of them was shown
//     UNSURE     refused likewise, and everything is forgotten: opened anew when wanted
//
// A consistent read of the tail (REREAD) is made before anything is said that memory alone
// cannot know: fork, gap, snapshot. It also finds out that the store is not the one we
// knew (its log does not continue our mark): then everything is forgotten and the
// listeners are told BEHIND. A fork is said only after the rows above the floor were
// searched for the ids (SEARCH). DESIGN 4, 5; SEMANTICS 5.
//
// Knows book.h, tail.h, call.h, store/store.h.
#ifndef TM_SERVICE_LEDGER_H
#define TM_SERVICE_LEDGER_H

#include "service/call.h"
#include "service/tail.h"

// How many bytes of batches the lists keep in memory, all of them and each: a reader that
// is further behind costs one read of the store.
#define TM_TAILS_BYTES_MAX (2u << 20)
#define TM_TAIL_BYTES_MIN  (1u << 10)
#define TM_TAIL_BYTES_MAX  (8u << 10)

// While no more lists are in memory, those without an operation stay there, too.
#define TM_LISTS_KEPT_MAX 1024u

// Where the log stood when: coarse, for the floor's age and the price of a tail.
#define TM_MILESTONES_MAX 48u
typedef struct tm_milestone {
    uint64_t seq;         // of the last operation of a batch
    uint64_t accepted_ms; // of that batch, or a later time
    uint64_t log_bytes;   // up to and with it
} tm_milestone;

// A rejection that no stored batch carries yet.
typedef struct tm_rejection {
    tm_writer *writer;
    uint64_t version;
    tm_fault fault;
    uint32_t id_len;
    uint8_t id[TM_ID_MAX];
} tm_rejection;

typedef enum tm_ledger_state { TM_LEDGER_COLD, TM_LEDGER_WARM } tm_ledger_state;

typedef enum tm_ledger_job {
    TM_JOB_NONE,
    TM_JOB_LOAD, // the snapshot, from COLD
    TM_JOB_OPEN, // the log behind it, from COLD
    TM_JOB_APPEND,
    TM_JOB_REREAD,
    TM_JOB_SEARCH,
} tm_ledger_job;

struct tm_ledger {
    struct tm_service *service;
    tm_alloc alloc; // counts into `bytes`
    size_t bytes;
    tm_ledger *newer, *older; // by last use
    tm_key key;               // in `name`
    tm_ledger_state state;
    tm_ledger_job job;
    bool pumping, again;
    uint32_t entered;
    bool must_reread;     // an append met a conflict
    bool ignore_snapshot; // it did not fit the log, which may be whole
    uint64_t ignored_seq; // then it reaches at least to here
    uint32_t reads;       // calls that wait for the store
    uint32_t day;         // of the last call, since 1970, counted from 1

    // What is durable.
    tm_list *list;
    tm_book book;
    uint64_t head, floor, snapshot_seq;
    uint8_t mark[TM_MARK_LEN];
    tm_tail tail;
    uint64_t log_bytes;
    uint64_t accepted_ms;     // the latest of all batches
    tm_milestone *milestones; // by seq
    uint32_t milestone_count, milestone_cap;
    tm_rejection *rejections; // room for TM_REJECTED_MAX, or none
    uint32_t rejection_count;

    tm_calls waiting;         // for the list to be WARM
    tm_calls verifying;       // for a consistent read
    tm_calls pushes;          // to be decided
    tm_calls batch;           // decided on the draft
    tm_calls parked;          // for news
    tm_ledger *gathered_next; // of those whose pushes wait for tm_service_decide
    bool gathered;
    tm_block *block; // being appended
    tm_store_append append;
    tm_store_read read;
    tm_store_load load;
    uint64_t search_at;
    uint64_t retry_ms; // mono: after a conflict, no append before

    // Other servers on the same store: watch.h.
    uint64_t sure_ms,
        sure_of; // the log's end was known: when; under which doorbell
    uint64_t active_ms, watch_ms; // mono: of what happened last; no check before
    uint64_t said, doubted;       // heads as rung; the last that was a lie
    uint64_t reading_for,
        ring_ms; // said when the read began; no read for rings before

    // The background: snapshot.h, keep.c.
    tm_store_save save;
    tm_store_trim trim;
    tm_buf saved;
    uint64_t saved_floor, saving_log_bytes, saved_log_bytes;
    uint32_t life, save_of;  // how often it was forgotten; and when the save began
    bool saving, trimming;   // trimming: the save at hand is a compaction's
    bool compact;            // one is wanted
    uint64_t trim_before_ms; // ... of batches older than this; UINT64_MAX: of all
    struct tm_trimmed *trimmed;   // what became of it; NULL = nobody asks
    uint64_t changed_ms, keep_ms; // mono: last commit; no snapshot before
    tm_timer timer;

    // Who listens: hub.h.
    tm_sub *subs;
    uint32_t sub_count;
    uint64_t seen_next_ms; // earliest time for the next SEEN to all
    bool seen_due, digest_due;

    size_t name_len;
    uint8_t name[]; // length of the user, user, list
};

// tm_ledger_get - the ledger of a list, made if there is none; NULL: no memory.
tm_ledger *tm_ledger_get(struct tm_service *service, tm_key key);
// tm_ledger_find - NULL: it is not in memory.
tm_ledger *tm_ledger_find(struct tm_service *service, tm_key key);

// tm_ledger_ask - a call begins. It may be over when this returns.
void tm_ledger_ask(tm_ledger *ledger, tm_call *call);

// tm_ledger_gathered - decide the pushes that were gathered.
void tm_ledger_gathered(struct tm_service *service);

// tm_ledger_wait - the call is to be served again when the list is WARM.
void tm_ledger_wait(tm_ledger *ledger, tm_call *call);
// tm_ledger_verify - ... after a consistent read that begins from now on.
void tm_ledger_verify(tm_ledger *ledger, tm_call *call);
// tm_ledger_park - ... at the next commit, or when its timer wakes it.
void tm_ledger_park(tm_ledger *ledger, tm_call *call);

// tm_ledger_pump - begin what is wanted. The ledger may be gone when this returns.
void tm_ledger_pump(tm_ledger *ledger);

// tm_ledger_enter, tm_ledger_leave - around whatever a completion does: a store may complete
// a request before starting it has returned, and the ledger must not go in between.
void tm_ledger_enter(tm_ledger *ledger);
void tm_ledger_leave(tm_ledger *ledger); // pumps

// tm_ledger_lose - forget what is known of the list; listeners are told BEHIND.
void tm_ledger_lose(tm_ledger *ledger);

// tm_ledger_apply - take in a batch of the store that continues the log.
// TM_E_CORRUPT: it does not, or cannot be read; nothing has changed. TM_E_NOMEM: a part
// may be taken in; lose the ledger.
TM_MUST_USE tm_status tm_ledger_apply(tm_ledger *ledger, const tm_batch *batch);

// tm_ledger_spare - let go of what nobody uses: this ledger if it is empty, and the
// longest unused ones while there is too much memory in use.
void tm_ledger_spare(tm_ledger *ledger);
void tm_ledger_free(tm_ledger *ledger);

// tm_ledger_price - about how many bytes of log lie behind `since`, never too many.
uint64_t tm_ledger_price(const tm_ledger *ledger, uint64_t since);

// tm_ledger_milestone - room for one more behind `count`, at most TM_MILESTONES_MAX; NULL:
// there is none.
TM_MUST_USE tm_milestone *tm_ledger_milestone(tm_ledger *ledger, uint32_t count);

// tm_ledger_landmark - a batch was taken in: remember where the log stood.
void tm_ledger_landmark(tm_ledger *ledger, const tm_batch *batch);

// ---- the jobs -------------------------------------------------------------------------

// Each is begun by the pump alone, when there is none, and pumps at its end.
void tm_job_open(tm_ledger *ledger);   // open.c
void tm_job_reread(tm_ledger *ledger); // open.c
void tm_job_search(tm_ledger *ledger); // search.c: for the first of `pushes`
// tm_job_decide - decide what waits, and append it. commit.c
void tm_job_decide(tm_ledger *ledger);

// tm_ledger_started - a request of the store begins, and ends: service.h asks whether any
// is out.
void tm_ledger_started(tm_ledger *ledger, tm_ledger_job job);
void tm_ledger_ended(tm_ledger *ledger);

// tm_ledger_told - a batch from the store was taken in while the list was WARM: tell
// everybody who listens or waits.
void tm_ledger_told(tm_ledger *ledger, const tm_batch *batch);

// ---- the background (keep.c) ----------------------------------------------------------

// tm_keep_schedule - see when this list's timer must ring next.
void tm_keep_schedule(tm_ledger *ledger);
// tm_keep_begin - save a snapshot of what stands now. `compact`: and move the floor to it,
// and trim.
void tm_keep_begin(tm_ledger *ledger, bool compact);
// tm_keep_ring - the list's timer rang.
void tm_keep_ring(tm_timer *timer);

#endif
