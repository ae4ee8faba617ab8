// engine.h - what one page knows and does: the confirmed state, the queue, the guard,
// and the conversation with the server. Sans-IO: told what happened, asked what to do.
//
//     the host tells                              the host asks
//     load, adopt, start   stored records         event   keep this, show that, say this
//     edit                 what the user did      take    what to send now
//     kept, committed      what storage did       deadline, tick
//     channel, answer, feed                       view, item, status
//
// Three hosts run the same code: the browser through wasm.c, `tidemark check` natively or
// through the same door, and the simulator.
//
// What a page shows = C (confirmed) joined with `lacking` (what a replaced C had and the
// server has not) joined with the queues, seen through the guard. C alone is compared
// between replicas. SEMANTICS 6, 7; DESIGN 1.
//
// STORAGE. Two places, both of (key -> text) records that the engine writes and the host
// keeps blindly:
//   local   localStorage: synchronous; survives the tab, loses its last seconds when the
//           browser is killed
//   disk    IndexedDB: one strict transaction at a time; survives the browser. Decides.
//
//   key                  place   what
//   op/<id>              both    one entry: the operations of one edit or batch, and on
//                                disk what the server said of each (accepted seq + stamp,
//                                rejected, to be offered). <id> is its first operation's
//   writer/<browserId>   both    next version, decided (highest acked), H, retired or not
//   state                disk    generation, cursor, mark, base's version      guarded
//   base                 disk    C as tm_list_write wrote it, unknown operations  guarded
//   tail/<version>       disk    operations that brought C to <version> (16 digits) guarded
//   lacking/<browserId>  disk    see SEMANTICS 6; written with the C that replaced it
//   offset               disk    server time minus this browser's wall clock
//   dead/<id>            disk    a dead letter: the operation and the server's code
//
// A disk transaction has guarded writes, done only if the engine's (generation, cursor)
// exceeds the stored pair of `state` and continues it, and others that are always done; the host decides
// that inside the one transaction. At most one is out; what changes meanwhile becomes the
// next. An entry goes from disk when the stored cursor has passed all its operations (or
// they were rejected), then from local.
//
// WRITERS. Each browserId belongs to one page at a time; the host holds a lock per
// browserId it has adopted (Web Lock, or a lease). A starting page adopts every free one:
// the first that is not retired takes its edits, the others are only drained. Locks that
// become free while the page lives are adopted the same way.
//
// Memory: what a page may hold is bounded by the list's own limits and the queue's length,
// which is not bounded: nothing is dropped for length.
//
// Knows core/.
#ifndef TM_CLIENT_ENGINE_H
#define TM_CLIENT_ENGINE_H

#include "core/list.h"

typedef struct tm_engine tm_engine;

typedef struct tm_engine_config {
    const tm_alloc *alloc; // keeps
    tm_span user, list;    // copied; `user` rides in every request
    uint8_t seed[32]; // from the host's secure random source: ids, jitter, tables
    // true: nothing is sent but what tm_engine_ask asked for, and what a hole in the push
    // channel needs; no back-off. For `check`, and tests that decide each step.
    bool manual;
} tm_engine_config;

// tm_engine_new - gives: tm_engine_free.
TM_MUST_USE tm_status tm_engine_new(const tm_engine_config *config,
                                    tm_engine **engine);
void tm_engine_free(tm_engine *engine);

// ---- Starting -------------------------------------------------------------------------

typedef enum tm_place { TM_PLACE_LOCAL, TM_PLACE_DISK } tm_place;

// tm_engine_load - one stored record, before start (all of both places, any order), or
// after TM_EVENT_RELOAD and before tm_engine_reloaded (disk only), or before
// tm_engine_adopt on a running page (the adopted writer's own). Borrows both.
// A record that cannot be read is reported (TM_EVENT_DAMAGE) and passed over: TM_OK.
TM_MUST_USE tm_status tm_engine_load(tm_engine *engine, tm_place place, tm_span key,
                                     tm_span value);

// tm_engine_adopt - the host holds the lock of this writer; its entries become ours.
// Before start, or on a running page after loading its records. TM_E_AGAIN: the disk is
// being loaded again (TM_EVENT_RELOAD), and what was loaded of the writer was passed over:
// load and adopt it after tm_engine_reloaded.
TM_MUST_USE tm_status tm_engine_adopt(tm_engine *engine, tm_now now,
                                      tm_span browser);

// tm_engine_start - all is loaded and adopted: take up the work.
//   fresh   browserId to use if none was adopted; empty = draw one. TM_EVENT_WRITER tells
//   flags   TM_START_DISK: there is a disk; else local is all that is, and what was acked
//           is forgotten at once. TM_START_NO_LOCAL: local cannot be read now, though it
//           may be there again for the next page. What it has of an adopted writer is not
//           known then, nor which numbers are used: adopted ones take no edits. (So it
//           is with writers that were used with a disk, where there is none now, and
//           the other way round.)
enum { TM_START_DISK = 1, TM_START_NO_LOCAL = 2 };
TM_MUST_USE tm_status tm_engine_start(tm_engine *engine, tm_now now, tm_span fresh,
                                      uint32_t flags);

// ---- Editing --------------------------------------------------------------------------

typedef enum tm_written {
    TM_WRITTEN_OK,
    TM_WRITTEN_VOLATILE,
    TM_WRITTEN_GONE
} tm_written;

// tm_engine_edit - one edit, as JSON without id and stamps (tm_op_read_edit).
//   instance   receives the item's id (made here for an ADD without one), lent; may be NULL
// TM_OK: it is taken; TM_EVENT_KEEP comes next (outside a batch), and tm_engine_written
// tells ok or volatile after the host answered it. TM_E_GONE: the item is known as dead;
// no operation was made. TM_E_CORRUPT, TM_E_RANGE: it can never be accepted;
// tm_engine_problem says why and names the member. Nothing has changed then.
TM_MUST_USE tm_status tm_engine_edit(tm_engine *engine, tm_now now, tm_span edit,
                                     tm_span *instance);

// tm_engine_begin / tm_engine_end - edits between them are one record, kept all or none,
// at most TM_PUSH_OPS_MAX. They nest. end(keep false) takes back what came since its
// begin; the outermost end(keep true) makes the record. What is inside is shown at once to
// tm_engine_item, but told to nobody before the end.
TM_MUST_USE tm_status tm_engine_begin(tm_engine *engine);
TM_MUST_USE tm_status tm_engine_end(tm_engine *engine, tm_now now, bool keep);

// tm_engine_written - what became of the last edit or batch, after its KEEP was answered.
tm_written tm_engine_written(const tm_engine *engine);

// tm_engine_problem - a sentence about the last TM_E_CORRUPT or TM_E_RANGE; lent.
tm_span tm_engine_problem(const tm_engine *engine);

// ---- Storage's answers ----------------------------------------------------------------

// tm_engine_kept - answers TM_EVENT_KEEP, at once: could local take it?
void tm_engine_kept(tm_engine *engine, tm_span key, bool kept);

typedef enum tm_committed {
    TM_COMMITTED,         // all of it is on disk
    TM_COMMIT_REFUSED,    // the unguarded part is; the guard did not hold
    TM_COMMIT_SUPERSEDED, // the same, and the stored generation is another: reload
    TM_COMMIT_FAILED,     // nothing is (quota, closed, gone)
} tm_committed;

// tm_engine_committed - answers TM_EVENT_COMMIT, later.
//   cursor   the stored cursor after the transaction (of the stored generation)
void tm_engine_committed(tm_engine *engine, tm_now now, uint64_t ticket,
                         tm_committed outcome, uint64_t cursor);

// tm_engine_reloaded - after TM_EVENT_RELOAD: all disk records were loaded again.
TM_MUST_USE tm_status tm_engine_reloaded(tm_engine *engine, tm_now now);

// ---- Talking --------------------------------------------------------------------------

typedef enum tm_channel {
    TM_CHANNEL_NONE,     // offline
    TM_CHANNEL_POLL,     // requests; a pull every 4 s, 30 s when hidden
    TM_CHANNEL_LONGPOLL, // requests; a waiting pull is always out
    TM_CHANNEL_PUSH,     // a WebSocket is open
} tm_channel;

// tm_engine_channel - how the server can be reached now. What was out is lost: it will be
// sent again. On a WebSocket that was reopened, call it again.
void tm_engine_channel(tm_engine *engine, tm_now now, tm_channel channel);
void tm_engine_visible(tm_engine *engine, tm_now now, bool visible);

typedef enum tm_ask { TM_ASK_PUSH = 1, TM_ASK_PULL = 2 } tm_ask;

// tm_engine_ask - push the queue or pull as soon as may be, whatever the schedule says
// (a flush, a page that became visible). In manual mode the only way: PUSH makes one
// request, PULL pulls until the head is reached.
void tm_engine_ask(tm_engine *engine, tm_now now, uint32_t asks);

typedef enum tm_send_kind {
    TM_SEND_NONE,
    TM_SEND_SAVE,  // HTTP: POST .../operations, bytes = body. PUSH: a text frame
    TM_SEND_PULL,  // HTTP: GET .../operations?bytes. Never on PUSH
    TM_SEND_FRAME, // PUSH only: SUBSCRIBE, SEEN
} tm_send_kind;

typedef struct tm_send {
    tm_send_kind kind;
    uint64_t ref;        // names the request in tm_engine_answer
    tm_span bytes;       // lent until the next call of take
    uint32_t timeout_ms; // no answer by then: tm_engine_answer with status 0
} tm_send;

// tm_engine_take - what to send now; TM_SEND_NONE = nothing. At most one SAVE and one
// PULL are out. In manual mode a SAVE has no `since` (acks only).
tm_send tm_engine_take(tm_engine *engine, tm_now now);

// tm_engine_answer - the answer to a SAVE or PULL sent by HTTP.
//   http   the status; 0 = no answer came (lost, timed out, cut off)
//   body   borrows; need not be ours: portals and proxies answer too
void tm_engine_answer(tm_engine *engine, tm_now now, uint64_t ref, uint32_t http,
                      tm_span body);

// tm_engine_feed - one WebSocket text message. Borrows.
void tm_engine_feed(tm_engine *engine, tm_now now, tm_span frame);

// tm_engine_authorized - a new token is there: what waited for it may go on.
void tm_engine_authorized(tm_engine *engine, tm_now now);

// tm_engine_deadline - mono_ms at which to call tick; UINT64_MAX = never.
uint64_t tm_engine_deadline(const tm_engine *engine);
void tm_engine_tick(tm_engine *engine, tm_now now);

// ---- Events ---------------------------------------------------------------------------

typedef enum tm_event_kind {
    TM_EVENT_NONE,
    TM_EVENT_KEEP,   // local: put key = value now, and answer with tm_engine_kept
    TM_EVENT_FORGET, // local: remove key
    TM_EVENT_COMMIT, // disk: run the transaction `value`, answer tm_engine_committed
    TM_EVENT_WRITER,  // browserId `key` is ours from now on: hold its lock
    TM_EVENT_RELOAD,  // another tab stored what is not ours: load disk again
    TM_EVENT_SHOW,    // item `key` changed in what is shown (empty: sort or order)
    TM_EVENT_STATUS,  // tm_engine_status changed
    TM_EVENT_RECEIPT, // operation `key` of item `instance` reached `receipt`
    TM_EVENT_SUPERSEDED, // own value lost: instance, field (empty: the item was removed;
                         // "sort"), mine, winner
    TM_EVENT_DEAD,       // operation `key` was rejected with code `value`
    TM_EVENT_AUTHORIZE, // 401: a new token is needed
    TM_EVENT_DAMAGE,    // record `key` could not be read; value says why
    TM_EVENT_DIVERGED,  // a DIGEST did not match; value = what reproduces it, JSON
    TM_EVENT_PROBLEM, // something failed as a whole: key = a stable word for it (the
    // server's code; "user": it takes us for somebody else; "silent":
    // the line is dead; "memory"), value = the server's words, if any
} tm_event_kind;

typedef enum tm_receipt {
    TM_RECEIPT_VOLATILE, // in no storage
    TM_RECEIPT_KEPT,     // local has it
    TM_RECEIPT_DISK,     // disk has it
    TM_RECEIPT_ACCEPTED, // the server's store has it
    TM_RECEIPT_SEEN,     // another browser reported a cursor past it
    TM_RECEIPT_REJECTED, // it is a dead letter
} tm_receipt;

typedef struct tm_event {
    tm_event_kind kind;
    tm_span key, value;
    uint64_t ticket; // COMMIT
    tm_receipt receipt;
    tm_span instance, field;
    tm_span mine, winner; // ptr NULL = null
} tm_event;

// A COMMIT's value:
//   {"guard":[generation,cursor,"mark"],"guarded":[WRITE,...],"always":[WRITE,...]}
//   WRITE = ["put","key","text"] | ["del","key"] | ["clear","prefix"]
// The guard compares with the members of these names of the record `state`. It holds if
// there is none, or if the mark is the stored one and the pair is above the stored pair:
// what is written continues what is stored, or takes its place, and another tab may have
// stored more, or another history of the server. "guard" is null when nothing is guarded.

// tm_engine_event - the next event; false = none. Spans are lent until the next call.
// KEEP comes before anything that shows the edit.
bool tm_engine_event(tm_engine *engine, tm_event *event);

// ---- Reading --------------------------------------------------------------------------

// tm_engine_item - what is shown of one item, JSON: {"id":..,"imageId":..,"fields":{..}}
// fields by name, not null ones only; empty span = not shown. Lent. TM_E_NOMEM.
TM_MUST_USE tm_status tm_engine_item(tm_engine *engine, tm_now now, tm_span id,
                                     tm_span *json);

// tm_engine_order - ids of the shown items in display order, a JSON array of strings.
TM_MUST_USE tm_status tm_engine_order(tm_engine *engine, tm_now now, tm_span *json);

// tm_engine_sort - "asc" or "desc", as shown.
tm_span tm_engine_sort(tm_engine *engine, tm_now now);

// tm_engine_status - JSON, lent:
//   {"phase":"offline"|"syncing"|"live","pending":n,"volatile":n,"dead":n,"cursor":n,
//    "head":n,"offered":n,"browserId":"..","offset":ms|null,
//    "receipts":{"<instanceId>":"volatile"|"kept"|"disk"|"accepted"|"seen",...}}
// pending = queued, not yet accepted. `receipts` has each item's (and "" = the sort
// direction's) least advanced own edit of this page or queue; an accepted one's is told
// until it is a minute old.
TM_MUST_USE tm_status tm_engine_status(tm_engine *engine, tm_now now,
                                       tm_span *json);

// tm_engine_dead - the dead letters, JSON: [{"operation":{..},"code":".."},...]. Lent.
TM_MUST_USE tm_status tm_engine_dead(tm_engine *engine, tm_span *json);

// tm_engine_retry - try a dead letter again as a new edit (new id, new stamp), or drop it.
// As tm_engine_edit. TM_E_RANGE: no such dead letter.
TM_MUST_USE tm_status tm_engine_retry(tm_engine *engine, tm_now now, tm_span id);
TM_MUST_USE tm_status tm_engine_discard(tm_engine *engine, tm_now now, tm_span id);

// tm_engine_confirmed - C, and the cursor where it stands. Lent; for comparison.
const tm_list *tm_engine_confirmed(const tm_engine *engine, uint64_t *cursor);

#endif
