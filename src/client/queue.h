// queue.h - what this page made and the server has not settled: operations, the entries
// they are stored in, the writers they are numbered by. SEMANTICS 6; DESIGN 1.
//
//                 ack, or seen in a pull          the stored cursor passed it,
//     PENDING ---------------------------> ACCEPTED ---------------------> DONE
//        |  rejected: a dead letter            |  a snapshot stands for it
//        +-----------> DONE                    |
//     OFFER <----------------------------------+  the server turns out to lack it
//        `--- an ack makes it ACCEPTED
//
// PENDING ones stand in the line of their writer, in order of version, and go out oldest
// first. OFFERs stand in one line and are numbered when they are sent. ACCEPTED ones are
// part of C and kept by seq, since the cursor counts them.
//
// A batch is one entry: one record, kept all or none. An entry is one owner's; its
// operations can have been accepted under an older name of that owner.
//
// Writers are never freed: stamps point at their names.
//
// Knows core/op.h, core/table.h.
#ifndef TM_CLIENT_QUEUE_H
#define TM_CLIENT_QUEUE_H

#include "core/op.h"
#include "core/table.h"

typedef enum tm_fate {
    TM_FATE_PENDING,
    TM_FATE_OFFER,
    TM_FATE_ACCEPTED,
    TM_FATE_DONE,
} tm_fate;

typedef struct tm_own tm_own;
typedef struct tm_entry tm_entry;
typedef struct tm_writer tm_writer;

// Operations in order; each stands in up to two lines.
enum { TM_LINE_QUEUE, TM_LINE_TARGET, TM_LINES };
typedef struct tm_line {
    tm_own *first, *last;
    size_t count;
} tm_line;

// All own operations on one item, oldest first; the empty id is the sort direction.
typedef struct tm_target {
    tm_span id;
    tm_line line;    // PENDING and OFFER
    uint32_t recent; // accepted ones whose receipts are still told ...
    uint32_t seen;   // ... and how many of them another browser has seen
    bool said;       // scratch of whoever lists them
} tm_target;

struct tm_own {
    tm_fate fate;
    bool waits;      // the server has it, and a pull will bring it: it is not sent
    tm_entry *entry; // NULL: an offer made from `lacking`
    tm_writer *writer; // who numbers it; NULL: an offer that was not sent yet
    tm_own *sibling;   // the next of its entry
    tm_target *target; // NULL in an offer made from `lacking`
    struct {
        tm_own *next, *prev;
    } link[TM_LINES];
    size_t size;
    uint64_t seq_said; // of one that waits
    uint64_t made_ms;  // mono
    tm_op op; // op.at = its stamp as it stands now; op.seq = 0 until it is accepted
};

// What storage knows of an entry, a writer, a dead letter.
typedef struct tm_kept {
    bool keep;   // local: to be put
    bool local;  // local has it
    bool told;   // its receipt was told
    bool dirty;  // disk: to be put, or removed if gone
    bool out;    // disk: in the transaction that is out
    bool disk;   // disk has it, of whatever age
    bool gone;   // nothing is left of it
    bool clear;  // and disk has it no more
    bool work;   // waits in tm_disk.work
    bool staged; // loaded; whose it is will be seen
} tm_kept;

struct tm_entry {
    tm_entry *next, *prev, *work_next;
    tm_writer *owner;
    tm_own *first, *last;
    uint32_t open;       // operations that are not DONE
    uint64_t generation; // while it is staged: what its seqs count in
    tm_kept kept;
    uint8_t key_len;
    uint8_t key[3 + TM_ID_MAX]; // "op/" and its first operation's id
};

struct tm_writer {
    tm_writer *next;
    tm_span browser; // in `key`
    tm_line line;    // PENDING
    uint64_t next_version, decided;
    // What local is told of `decided`: no more than disk knows with what became of it. The
    // next page drops the entries of what was decided, and C may not have them yet.
    uint64_t settled;
    uint64_t last_time; // of an offers' writer: the time it gave last
    uint32_t adopted;   // 0 = another page's, or nobody's; else in which order
    bool retired;
    bool fresh;  // renamed, and nothing was acked since
    bool lacks;  // disk has a `lacking` under its name
    bool disked; // a page that had a disk has used it
    tm_kept kept;
    uint8_t key_len;
    uint8_t key[7 + TM_ID_MAX]; // "writer/" and its browserId
};

typedef struct tm_queue {
    const tm_alloc *alloc; // keeps
    tm_table ids;          // operation id -> tm_own; PENDING and OFFER
    tm_table targets;      // instance id -> tm_target
    tm_writer *writers;    // oldest first
    tm_entry *first, *last;
    tm_line offers;
    tm_own **accepted; // ascending by seq
    size_t accepted_count, accepted_cap;
    size_t pending; // PENDING, and OFFERs that have an entry
} tm_queue;

void tm_queue_init(tm_queue *queue, const tm_alloc *alloc, tm_seed seed);
void tm_queue_deinit(tm_queue *queue);

// tm_queue_writer - the writer of this name, made if there is none. NULL: no memory.
TM_MEMORY tm_writer *tm_queue_writer(tm_queue *queue, tm_span browser);

// tm_queue_entry - an empty entry at the end. NULL: no memory.
TM_MEMORY tm_entry *tm_queue_entry(tm_queue *queue, tm_writer *owner);
void tm_entry_name(tm_entry *entry, tm_span id);
tm_span tm_entry_key(const tm_entry *entry);
void tm_queue_drop_entry(tm_queue *queue, tm_entry *entry); // and its operations

// tm_own_new - a copy of `op`, which was read (it has raw). NULL: no memory.
TM_MEMORY tm_own *tm_own_new(const tm_alloc *alloc, const tm_op *op);
void tm_own_free(const tm_alloc *alloc, tm_own *own);
void tm_entry_add(tm_entry *entry, tm_own *own);

// tm_queue_add - put it in line: behind its writer's last, or among the offers.
// An offer made from `lacking` has no entry, and no target. TM_E_NOMEM: unchanged.
TM_MUST_USE tm_status tm_queue_add(tm_queue *queue, tm_own *own);

// tm_queue_wait - the server has it already, and a pull will say under which name: it is
// neither sent nor counted as pending until then, or until tm_queue_wake. Shown is it like
// what C has.
void tm_queue_wait(tm_queue *queue, tm_own *own, bool waits);

// tm_queue_take - take a PENDING or OFFER one out of its lines. The caller says what
// becomes of it.
void tm_queue_take(tm_queue *queue, tm_own *own);

// tm_queue_find - the PENDING or OFFER one of this id.
tm_own *tm_queue_find(const tm_queue *queue, tm_span id);

// tm_queue_target - NULL: nothing of ours is on it. With `make`: NULL is no memory.
tm_target *tm_queue_target(tm_queue *queue, tm_span id, bool make);
void tm_queue_target_drop(tm_queue *queue,
                          tm_target *target); // if it holds nothing

// Accepted ones, by seq. tm_queue_accept cannot fail after tm_queue_accept_reserve.
TM_MUST_USE tm_status tm_queue_accept_reserve(tm_queue *queue, size_t more);
void tm_queue_accept(tm_queue *queue, tm_own *own);
tm_own *tm_queue_accepted(const tm_queue *queue, uint64_t seq);
uint64_t
tm_queue_acked(const tm_queue *queue); // the greatest seq; 0 = there is none
void tm_queue_unaccept(tm_queue *queue, tm_own *own);

// tm_own_done - nothing of it is owed any more. Frees an offer made from `lacking`.
void tm_own_done(tm_queue *queue, tm_own *own);

// tm_queue_lift - the writer's pending stamps above `time`, in their order. Not of what
// waits: the server has decided that one, whose stamp is not ours to change. Whether any
// was changed.
bool tm_queue_lift(tm_writer *writer, uint64_t time);

// tm_queue_time - the greatest time among what is pending. 0 = none.
uint64_t tm_queue_time(const tm_queue *queue);

// tm_queue_rename - move what is pending from one writer to a fresh one, numbered from 1.
void tm_queue_rename(tm_queue *queue, tm_writer *from, tm_writer *to);

// tm_queue_wake - what a pull should have brought and did not is sent again. Whether
// there is any.
bool tm_queue_wake(tm_queue *queue);

// tm_own_on - whether it writes `name` of its target: a field, "" = the item itself.
bool tm_own_on(const tm_own *own, tm_span name);

#endif
