// inner.h - the engine from inside: its state, and who of client/ does what to it.
//
//     load.c     stored records become an engine          engine.c   the calls of engine.h
//     disk.c     an engine becomes stored records         edit.c     what the user did
//     sync.c     what is sent when                        arrive.c   what came
//     view.c     what is shown                            guard.c    what is shown longer
//     offer.c    what the server lost                     note.c     what is told
//
// All of them keep these true, between calls:
//   1  C holds every operation up to `cursor`, and the accepted ones beyond it
//   2  a PENDING or OFFER operation is in queue.ids and in no C of ours under its stamp
//   3  nothing is forgotten that storage was not told to forget afterwards
//
// Knows core/, client/.
#ifndef TM_CLIENT_INNER_H
#define TM_CLIENT_INNER_H

#include "client/engine.h"
#include "client/guard.h"
#include "client/queue.h"
#include "client/words.h"

#define TM_MARK_MAX 128u // bytes of a mark that we are ready to keep

// ---- view ---------------------------------------------------------------------------

// What was told last of an item: it is told again only if this changes.
typedef struct tm_shown {
    struct tm_shown *next_touched, *next_changed;
    tm_span id;    // behind the struct
    tm_stamp at;   // of its `add`; the name is in `browser`
    uint64_t hash; // of its JSON; 0 = not shown
    bool touched, changed;
    bool live, ordered; // ordered: stands in tm_view.order
    uint8_t browser[TM_ID_MAX];
} tm_shown;

typedef struct tm_view {
    tm_table items; // id -> tm_shown
    tm_shown *touched, *changed;
    tm_shown **order; // live ones by `at`, ascending
    size_t order_count, order_cap;
    bool all_touched; // anything may have changed
    bool order_changed, desc;
} tm_view;

// ---- disk ---------------------------------------------------------------------------

typedef struct tm_mark {
    size_t len;
    uint8_t bytes[TM_MARK_MAX];
} tm_mark;

// A tail record on its way: the operations that brought C from `from` to `version`.
typedef struct tm_piece {
    struct tm_piece *next;
    uint64_t version;
    tm_mark mark; // there
    size_t len;
    uint8_t text[];
} tm_piece;

typedef struct tm_dead {
    struct tm_dead *next;
    tm_kept kept;
    tm_span operation, code; // behind the struct
    size_t size;
    uint8_t key_len;
    uint8_t key[5 + TM_ID_MAX]; // "dead/" and its id
} tm_dead;

typedef struct tm_disk {
    bool there;
    uint64_t generation, cursor; // the stored pair
    tm_mark mark;                // and its mark, as far as we know
    tm_piece *first, *last;      // tails that are not stored
    size_t pieces_bytes, tail_bytes, base_bytes;
    uint64_t base_version;
    bool base_due;    // C is to be stored as a whole
    bool lacking_due; // to be put, or removed if there is none
    bool offset_due;
    bool changed; // something is to be stored
    bool reload;  // another tab stored a newer generation, or what we cannot know
    // The transaction that is out.
    bool out, out_guarded, out_base, out_lacking, out_lacks, out_offset;
    uint64_t ticket, out_generation, out_cursor;
    tm_mark out_mark;
    uint64_t retry_ms; // after a failure
    uint32_t failures;
    tm_dead *dead;
    tm_entry *work, **work_end; // entries about which local is to be told something
    tm_entry *asked;            // whose KEEP was told last
} tm_disk;

// What is read until start or reloaded makes use of it.
typedef struct tm_loaded {
    struct tm_loaded *next;
    tm_writer *writer;
    tm_list *list;
} tm_loaded;

typedef struct tm_loading {
    tm_list *list;       // base and tails
    tm_loaded *lackings; // of whatever writer
    tm_table entries;    // id -> tm_entry
    uint64_t generation, cursor, base;
    bool state, damaged;
    uint32_t adopted;
    tm_span mark; // in `bytes`
    uint8_t bytes[TM_MARK_MAX];
    struct tm_stretch { // which versions a tail covers
        struct tm_stretch *next;
        uint64_t from, to;
    } * stretches;
    size_t tail_bytes, base_bytes;
} tm_loading;

// ---- sync ---------------------------------------------------------------------------

typedef struct tm_request_out {
    uint64_t ref; // 0 = none is out
    uint64_t sent_ms;
    uint64_t acked;              // what it said
    uint64_t generation, cursor; // where it asked from
} tm_request_out;

typedef struct tm_sync {
    tm_channel channel;
    bool hidden;
    bool push, pull; // asked for, or needed
    bool force;      // the next pull wants a snapshot whatever the mark
    bool waits;      // for a new token
    bool stopped;    // the server takes us for somebody else
    bool head_seen;  // C has been at the head since the channel opened
    bool offering;   // offers may go out
    bool
        follows; // the push channel continues our cursor: the server proved the mark
    bool flushed; // something to push is known, and `flush_ms` is set
    uint64_t flush_ms, poll_ms, retry_ms;
    uint32_t failures;
    uint64_t last_ref;
    tm_request_out save_out, pull_out;
    tm_writer *save_writer; // NULL: the save had offers
    size_t save_count;
    size_t single; // so many go one by one, since one of them was refused
    uint8_t save_id[TM_ID_MAX]; // the first operation of the save
    uint8_t save_id_len;
    uint64_t heard_ms, beat_ms, told_version; // push: heartbeat
    bool beat_owed;
    tm_buf parts; // of a snapshot on the push channel
    uint64_t parts_version, parts_next;
    uint64_t asked_cursor; // where the last SUBSCRIBE of this channel began
    uint64_t fallbacks;
    uint64_t diverged_ms, diverged_wait_ms;
} tm_sync;

// ---- the engine -----------------------------------------------------------------------

// An accepted operation whose receipt is still told.
typedef struct tm_recent {
    struct tm_recent *next;
    tm_target *target;
    uint64_t seq, until_ms;
    bool seen; // by another browser
    uint8_t id_len;
    uint8_t id[TM_ID_MAX];
} tm_recent;

typedef struct tm_note {
    struct tm_note *next;
    size_t size;
    tm_event event; // its texts stand behind
} tm_note;

#define TM_BATCH_NEST_MAX 16u

// What is used everywhere stands in front: in core.wasm an offset below 128 is one byte.
struct tm_engine {
    const tm_alloc *alloc;
    tm_arena arena;          // of one call
    tm_now now;              // of the call we are in
    tm_buf sent, told, read; // lent by take; by event; by item, order, status, dead
    bool manual, started;
    bool status_changed, notes_lost;
    bool offered; // all that `lacking` has was decided: it is not shown any more
    tm_list *confirmed, *lacking, *ghosts;
    uint64_t cursor, head, generation;
    tm_queue queue;
    tm_disk disk;
    tm_sync sync;
    tm_view view;
    tm_guard guard;
    tm_seed seed;
    tm_writer *editor;        // whose line new edits join
    tm_writer *offer_writer;  // who numbers offers
    tm_writer *lacking_owner; // under whose name `lacking` is stored
    tm_entry *batch;          // being made
    tm_entry *last_entry;     // made last, for `written`
    tm_written written;
    tm_span mark;       // in mark_bytes
    uint64_t seen_time; // greatest confirmed time ever seen
    uint64_t offset_ms; // server minus wall, mod 2^64
    bool offset_known;

    tm_loading loading;
    tm_recent *recent, **recent_end;
    tm_note *note, **note_end, *note_told;
    tm_buf complaint; // about the last edit
    tm_span user, list;
    uint64_t random[4];
    tm_table struck; // registers of `lacking` that were offered and lost
    tm_arena struck_keys;
    uint32_t nest;
    uint8_t nest_count[TM_BATCH_NEST_MAX]; // operations at each begin
    uint8_t batch_count;
    uint8_t mark_bytes[TM_MARK_MAX];
    uint8_t shown_id[TM_NAME_MAX];
};

#define TM_NEVER UINT64_MAX

uint64_t tm_engine_draw(tm_engine *e);                   // 64 random bits
tm_span tm_engine_draw_id(tm_engine *e, uint8_t id[22]); // 128 of them, as text

// note.c
void tm_note_add(tm_engine *e, tm_event_kind kind, const tm_event *event);
void tm_note_text(tm_engine *e, tm_event_kind kind, tm_span key, tm_span value);
void tm_note_receipt(tm_engine *e, const tm_own *own, tm_receipt receipt);
void tm_recent_add(tm_engine *e, tm_own *own);
void tm_recent_seen(tm_engine *e, uint64_t version); // others have got so far
void tm_recent_tick(tm_engine *e);

// load.c
void tm_loading_deinit(tm_engine *e);
tm_status tm_load_adopted(tm_engine *e); // what was loaded of adopted writers

// disk.c
bool tm_disk_compose(tm_engine *e, tm_buf *out); // false: nothing to store now
void tm_disk_mark(tm_mark *to, tm_span mark);
void tm_disk_piece(tm_engine *e, uint64_t version, tm_span mark, tm_span text);
void tm_disk_work(tm_engine *e, tm_entry *entry); // local is to be told about it
void tm_disk_passed(tm_engine *e); // a cursor moved: what it passed is done
bool tm_disk_event(tm_engine *e, tm_event *event); // KEEP and FORGET
void tm_disk_deinit(tm_engine *e);
void tm_disk_pieces_free(tm_engine *e, uint64_t version); // up to it
uint64_t tm_disk_deadline(const tm_engine *e);
TM_MEMORY tm_dead *tm_dead_new(tm_engine *e, tm_span id, tm_span operation,
                               tm_span code);
tm_dead *tm_dead_find(const tm_engine *e, tm_span id);
void tm_dead_drop(tm_engine *e, tm_dead *dead);

// sync.c
void tm_sync_flush(tm_engine *e); // there is something to push
void tm_sync_fail(tm_engine *e);
void tm_sync_good(tm_engine *e);
uint64_t tm_sync_deadline(const tm_engine *e);
void tm_sync_tick(tm_engine *e);

// view.c
void tm_view_touch(tm_engine *e, tm_span id);
void tm_view_flush(tm_engine *e);
void tm_view_drop(tm_engine *e,
                  tm_shown *shown); // it is shown no more, and was told
void tm_view_deinit(tm_engine *e);
tm_status tm_view_item(tm_engine *e, tm_span id, tm_buf *out, tm_stamp *at);
tm_span tm_view_sort(tm_engine *e);
// The winner of C and `lacking`; at.browser.len == 0: never written.
tm_reg tm_view_reg(const tm_engine *e, tm_span id, tm_span name);
bool tm_view_dead(const tm_engine *e, tm_span id);

// offer.c
tm_status tm_offer_make(tm_engine *e); // fill the line of offers from `lacking`
tm_status tm_offer_number(tm_engine *e);
void tm_offer_clear(tm_engine *e); // those made from `lacking`
void tm_offer_strike(tm_engine *e, const tm_own *own);
void tm_offer_anew(tm_engine *e); // `lacking` has more, or C is another

#endif
