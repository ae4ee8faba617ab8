// inner.h - the engine from inside: its state, and who of client/ does what to it.
//
//     load.c     stored records become an engine     engine.c   the calls of engine.h
//     disk.c     an engine becomes stored records    edit.c     what the user did
//     sync.c     what is sent when                   arrive.c   what came
//     view.c     what is shown, and for how long     offer.c    what the server lost
//     own.c      what this page made                 words.c    members of our JSON
//
// Between calls:
//   1  C holds every operation up to `cursor`, and the accepted ones beyond it
//   2  nothing is forgotten in memory before storage was told so and said that it is done
//
// It is to be small before it is anything else: it travels to every browser (core.wasm).
// What is rarely long is a plain list that is walked.
//
// Knows core/, client/.
#ifndef TM_CLIENT_INNER_H
#define TM_CLIENT_INNER_H

#include "client/engine.h"
#include "client/words.h"

#define TM_NEVER    UINT64_MAX
#define TM_MARK_MAX 128u // bytes of a mark that we are ready to keep

// SEMANTICS 7: how long an own value is shown after it was made, whatever
// arrives.
#define TM_GUARD_FIELD_MS 5000u
#define TM_GUARD_SORT_MS  10000u
#define TM_GUARD_ITEM_MS  2000u

// ---- records -----------------------------------------------------------------------

// One key of storage, whose text the engine can write at any time (engine.h has
// the table). Both places are told of changes by these marks.
typedef enum tm_record_kind {
    TM_RECORD_ENTRY,
    TM_RECORD_WRITER,
    TM_RECORD_DEAD,
} tm_record_kind;

typedef struct tm_record {
    struct tm_record *next;
    uint8_t kind;
    bool keep;  // local: to be put
    bool local; // local has it
    bool dirty; // disk: to be put, or removed if gone
    bool out;   // disk: in the transaction that is out
    bool disk;  // disk has it, of whatever age
    bool gone;  // nothing is left of it
    bool told;  // whether local took it was told to the page
    uint8_t key_len;
    uint8_t key[8 + TM_ID_MAX];
    size_t size;
} tm_record;

// ---- what this page made -----------------------------------------------------------

//                 ack, or seen in a pull          the stored cursor passed it,
//     PENDING ---------------------------> ACCEPTED ---------------------> DONE
//        |  rejected: a dead letter            |  or a snapshot stands for it
//        +-----------> DONE                    |
//     OFFER <----------------------------------+  the server turns out to lack
//     it
//        `--- an ack makes it ACCEPTED
typedef enum tm_fate {
    TM_FATE_PENDING,  // numbered by its writer, in order; shown whatever arrives
    TM_FATE_OFFER,    // goes out under a writer of the offers; the same to the view
    TM_FATE_ACCEPTED, // part of C; the cursor counts it by its seq
    TM_FATE_DONE,     // kept for its receipt and its window only
} tm_fate;

typedef struct tm_own tm_own;
typedef struct tm_entry tm_entry;
typedef struct tm_writer tm_writer;
typedef struct tm_shown tm_shown;

struct tm_own {
    tm_own *next, *prev; // all of them, in the order they were made
    tm_own *newer;       // on the same item
    tm_own *sibling;     // the next of its entry
    tm_entry *entry;
    tm_writer *writer; // who numbers it; NULL: an offer that was not sent yet
    tm_shown *item;    // NULL: it has nothing to do with it any more
    uint8_t fate;
    bool waits; // the server has it, and a pull will bring it: it is not sent
    bool item_over, fields_over; // the end of these windows was told
    bool seen;                   // by another browser
    bool quiet;                  // its receipt is told no more
    uint64_t made_ms;            // mono; 0 = by an earlier page: no windows
    uint64_t until_ms;           // its receipt is told until then
    size_t size;
    tm_op op; // op.at = its stamp as it stands now; op.seq = 0 until it is accepted
};

// A batch: one record, kept all or none. Its operations can have been accepted
// under an older name of the owner.
struct tm_entry {
    tm_record record; // "op/" and its first operation's id
    tm_writer *owner;
    tm_own *first, *last;
    uint32_t open; // operations that are not DONE
};

// Never freed: stamps point at its name.
struct tm_writer {
    tm_record record; // "writer/" and its browserId
    tm_writer *next;
    tm_span browser; // in the key
    uint64_t next_version, decided;
    uint64_t last_time; // of an offers' writer: the time it gave last
    uint32_t adopted;   // 0 = another page's, or nobody's; else in which order
    bool retired;
    bool fresh; // renamed, and nothing was acked since
};

typedef struct tm_dead {
    tm_record record;        // "dead/" and its operation's id
    tm_span operation, code; // behind the struct
} tm_dead;

// ---- view --------------------------------------------------------------------------

// An item that something of ours is on, or that was told to the host: what was
// told last is kept, to tell only changes, and to go on showing an item that
// somebody removed while it was being edited. The empty id is the sort
// direction.
struct tm_shown {
    tm_shown *next_touched, *next_changed;
    tm_span id;    // behind the struct
    tm_own *own;   // oldest first
    uint8_t *json; // as it was told; len 0 = not shown
    size_t json_len;
    tm_stamp at; // of its `add`; the name is in `browser`
    bool touched, changed;
    uint8_t browser[TM_ID_MAX];
};

typedef struct tm_view {
    tm_table items; // id -> tm_shown
    tm_shown *touched, *changed;
    const void **order; // shown ones by `at`, ascending
    size_t count, cap;
    bool all;           // anything may have changed
    bool stale;         // `order` is not what it should be
    bool told;          // false: its change was not told
    uint64_t window_ms; // no window ends before
} tm_view;

// ---- storage -----------------------------------------------------------------------

// A tail on its way: the operations that brought C to `version`. Also a stored
// record that waits for start.
typedef struct tm_piece {
    struct tm_piece *next;
    uint64_t version;
    size_t key_len, prefix, len; // `text` has the key in front
    uint8_t rank;                // in which order records are read
    uint8_t text[];
} tm_piece;

typedef struct tm_disk {
    bool there;
    uint64_t generation, cursor; // the stored pair
    tm_piece *first, **end;      // tails that are not stored
    size_t tail_bytes, base_bytes;
    uint64_t base_version;
    bool base_due;                   // C is to be stored as a whole
    bool changed;                    // something is to be stored
    bool reload;                     // another tab stored a newer generation
    bool local;                      // local may have to be told something
    bool out, out_guarded, out_base; // the transaction
    uint64_t ticket, out_generation, out_cursor;
    uint64_t retry_ms; // after a failure
    uint32_t failures;
    tm_record *asked; // whose KEEP was told last
} tm_disk;

// ---- sync --------------------------------------------------------------------------

typedef struct tm_request_out {
    uint64_t ref; // 0 = none is out
    uint64_t sent_ms;
    uint64_t acked; // what it said
} tm_request_out;

typedef struct tm_sync {
    uint8_t channel;
    bool hidden;
    bool push, pull; // asked for, or needed
    bool force;      // the next pull wants a snapshot whatever the mark
    bool waits;      // for a new token
    bool stopped;    // the server takes us for somebody else
    bool head_seen;  // C has been at the head since the channel opened
    bool follows;    // the push channel continues our cursor: the server proved the
                     // mark
    bool beat_owed;
    uint8_t save_id_len;
    uint64_t flush_ms, poll_ms, retry_ms;
    uint32_t failures;
    uint64_t last_ref;
    tm_request_out save_out, pull_out;
    tm_writer *save_writer; // NULL: the save had offers
    size_t save_count;
    size_t single; // so many go one by one, since one of them was refused
    uint8_t save_id[TM_ID_MAX];               // the first operation of the save
    uint64_t heard_ms, beat_ms, told_version; // push: heartbeat
    uint64_t parts_version, parts_next;
    uint64_t asked_cursor; // where the last SUBSCRIBE of this channel began
    uint64_t fallbacks;
    uint64_t diverged_ms, diverged_wait_ms;
    tm_buf parts; // of a snapshot on the push channel
} tm_sync;

// ---- the engine --------------------------------------------------------------------

typedef struct tm_note {
    struct tm_note *next;
    size_t size;
    tm_event event; // its texts stand behind
} tm_note;

#define TM_BATCH_NEST_MAX 16u

struct tm_engine {
    const tm_alloc *alloc;
    tm_now now; // of the call we are in
    tm_list *confirmed;
    uint64_t generation, cursor, head;
    tm_own *first, *last; // all that we made
    tm_record *records;
    tm_writer *writers; // oldest first
    tm_writer *editor;  // whose line new edits join
    tm_buf sent, told,
        read; // lent by take; by event; by item, order, status, dead
    bool manual, started, status_changed, notes_lost;
    tm_arena arena; // of one call
    tm_view view;
    tm_disk disk;
    tm_sync sync;
    tm_table ids;     // operation id -> tm_own; PENDING and OFFER
    tm_piece *loaded; // records that wait for start, adopt or reloaded
    size_t loaded_count;
    uint32_t adopted;
    tm_writer *offer_writer; // who numbers offers
    tm_entry *batch;         // being made
    tm_entry *last_entry;    // made last, for `written`
    uint8_t written, nest, batch_count;
    uint8_t nest_count[TM_BATCH_NEST_MAX]; // operations at each begin
    uint64_t seen_time;                    // greatest confirmed time ever seen
    uint64_t offset_ms;                    // server minus wall, mod 2^64
    bool offset_known;
    tm_note *note, **note_end, *note_told;
    tm_span user, list;
    tm_span mark; // in mark_bytes
    uint64_t random[4];
    tm_seed seed;
    tm_buf complaint; // about the last edit
    uint8_t mark_bytes[TM_MARK_MAX];
    uint8_t shown_id[TM_NAME_MAX];
};

uint64_t tm_engine_draw(tm_engine *e);                   // 64 random bits
tm_span tm_engine_draw_id(tm_engine *e, uint8_t id[22]); // 128 of them, as text
void tm_note_add(tm_engine *e, tm_event_kind kind, const tm_event *event);
void tm_note_text(tm_engine *e, tm_event_kind kind, tm_span key, tm_span value);
void tm_note_receipt(tm_engine *e, const tm_own *own, tm_receipt receipt);

// own.c
tm_record *tm_record_new(tm_engine *e, tm_record_kind kind, size_t size,
                         tm_span id);
void tm_record_name(tm_record *record, tm_span id);
void tm_record_change(tm_engine *e,
                      tm_record *record); // disk is to have it anew
tm_writer *tm_writer_get(tm_engine *e,
                         tm_span browser); // made if there is none
// tm_own_new - a copy of `op`, which was read (it has raw), as the newest.
// NULL: no memory.
tm_own *tm_own_new(tm_engine *e, const tm_op *op, tm_entry *entry, tm_fate fate);
TM_MUST_USE tm_status tm_own_attach(tm_engine *e, tm_own *own); // to its item
TM_MUST_USE tm_status tm_own_queue(tm_engine *e,
                                   tm_own *own); // PENDING or OFFER again
void tm_own_unqueue(tm_engine *e,
                    tm_own *own);            // before it becomes something else
void tm_own_done(tm_engine *e, tm_own *own); // nothing of it is owed
void tm_own_hush(tm_engine *e,
                 tm_own *own); // nor has its item to do with it any more
void tm_own_free(tm_engine *e, tm_own *own);
static inline bool tm_own_queued(const tm_own *own) { // PENDING or OFFER
    return own->fate <= TM_FATE_OFFER;
}
// The accepted one of this seq.
tm_own *tm_own_at(const tm_engine *e, uint64_t seq);
uint64_t tm_own_acked(const tm_engine *e); // the highest seq accepted
// How many of this fate wait to be accepted.
size_t tm_own_count(const tm_engine *e, tm_fate fate);

// load.c
void tm_load_free(tm_engine *e);

// disk.c
bool tm_disk_event(tm_engine *e, tm_event *event); // KEEP, FORGET
bool tm_disk_commit(tm_engine *e, tm_event *event);
void tm_disk_piece(tm_engine *e, uint64_t version, tm_span text);
void tm_disk_pieces_free(tm_engine *e, uint64_t version); // up to it
void tm_disk_passed(tm_engine *e); // a cursor moved: what it passed is done
tm_dead *tm_dead_new(tm_engine *e, tm_span id, tm_span operation, tm_span code);
tm_dead *tm_dead_find(const tm_engine *e, tm_span id);

// sync.c
void tm_sync_flush(tm_engine *e); // there is something to push
void tm_sync_fail(tm_engine *e);
uint64_t tm_sync_deadline(const tm_engine *e);

// view.c
tm_shown *tm_view_get(tm_engine *e, tm_span id, bool make);
void tm_view_touch(tm_engine *e, tm_span id);
void tm_view_flush(tm_engine *e);
void tm_view_drop(tm_engine *e, tm_shown *shown); // if nothing is left of it
void tm_view_windows(tm_engine *e); // what ended, and what won over it
tm_status tm_view_item(tm_engine *e, tm_span id, tm_stamp *at); // into e->read
bool tm_view_dead(const tm_engine *e, tm_span id);
bool tm_view_gone(tm_engine *e, tm_span id); // dead, or to be by our own DELETE

// offer.c
// tm_offer_make - what `old` has and `fresh` has not becomes offers. TM_E_NOMEM: none.
TM_MUST_USE tm_status tm_offer_make(tm_engine *e, const tm_list *old,
                                    const tm_list *fresh);
TM_MUST_USE tm_status tm_offer_number(tm_engine *e);

#endif
