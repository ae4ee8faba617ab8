// arrive.c - see arrive.h.
#include "client/arrive.h"

#include <string.h>

#define RTT_MAX_MS                                                                 \
    5000u // SEMANTICS 4: a slower answer says nothing about the clock
#define RECEIPT_MS                                                                 \
    60000u // engine.h: an edit's receipt is told until it is a minute old
#define PARTS_MAX   (3u * TM_STATE_MAX) // bytes of a snapshot's text that we collect
#define WAIT_MS     60000u // after a snapshot that a digest asked for; doubles ...
#define WAIT_MAX_MS 3600000u // ... up to this

// ---- reading -----------------------------------------------------------------------

tm_status tm_ops_read(tm_engine *e, const tm_doc *doc, tm_word word,
                      tm_got **first) {
    tm_json in;
    *first = NULL;
    tm_doc_array(doc, word, &in, &e->arena);
    while (tm_json_element(&in)) {
        tm_got *one = tm_arena_get(&e->arena, sizeof *one);
        if (one == NULL) return TM_E_NOMEM;
        tm_status status = tm_op_read(&in, &one->op);
        if (status != TM_OK) return status;
        if (one->op.fault != TM_FAULT_NONE) return TM_E_CORRUPT;
        one->next = NULL;
        *first = one;
        first = &one->next;
    }
    return in.status;
}

static void seen(tm_engine *e, uint64_t time) {
    if (time > e->seen_time) e->seen_time = time;
}

tm_status tm_ops_join(tm_engine *e, tm_list *list, const tm_got *op) {
    tm_status status = TM_OK;
    for (; op != NULL && status == TM_OK; op = op->next) {
        status = tm_list_apply(list, &op->op, NULL);
        seen(e, op->op.at.time);
    }
    return status;
}

tm_status tm_state_read(tm_engine *e, const tm_doc *doc, tm_list **list) {
    tm_json in;
    tm_got *unknown;
    uint64_t h[2] = {0, 0};
    if (!tm_doc_has(doc, TM_WORD_STATE, TM_JSON_OBJECT)) return TM_E_CORRUPT;
    tm_doc_array(doc, TM_WORD_H, &in, &e->arena);
    for (int i = 0; i < 2 && tm_json_element(&in); i++) {
        tm_status read = tm_json_u64(&in, &h[i]);
        if (read != TM_OK) return read;
    }
    tm_status status = tm_ops_read(e, doc, TM_WORD_UNKNOWN, &unknown);
    if (status == TM_OK) status = tm_list_new(e->alloc, e->seed, list);
    if (status != TM_OK) return status;
    tm_json_init(&in, doc->at[TM_WORD_STATE].text, TM_JSON_DEPTH_MAX, &e->arena);
    status = tm_list_read(*list, &in);
    if (status == TM_OK) status = tm_ops_join(e, *list, unknown);
    if (status == TM_OK) {
        if (h[0] <= TM_MS_MAX) seen(e, h[0] << TM_LOGICAL_BITS | (h[1] & 0xffff));
        return TM_OK;
    }
    tm_list_free(*list);
    *list = NULL;
    return status;
}

typedef struct answer {
    tm_doc doc;
    tm_got *ops; // ascending by seq
    tm_list *fresh;
    uint64_t version, head;
    tm_span mark;
} answer;

static tm_status fresh_read(tm_engine *e, tm_span text, answer *a) {
    tm_doc doc;
    tm_status status = tm_doc_parse(text, &e->arena, &doc);
    return status == TM_OK ? tm_state_read(e, &doc, &a->fresh) : status;
}

// What every answer and frame with a cursor has. The document has been read.
static tm_status answer_read(tm_engine *e, answer *a) {
    uint64_t last = 0;
    a->version = tm_doc_number(&a->doc, TM_WORD_VERSION);
    a->head = tm_doc_number(&a->doc, TM_WORD_HEAD);
    a->mark = a->doc.at[TM_WORD_MARK].text;
    if (a->mark.ptr == NULL || a->mark.len > TM_MARK_MAX || a->version > a->head ||
        !tm_doc_has(&a->doc, TM_WORD_VERSION, TM_JSON_INT)) {
        return TM_E_CORRUPT;
    }
    tm_status status = tm_ops_read(e, &a->doc, TM_WORD_OPERATIONS, &a->ops);
    for (const tm_got *one = a->ops; status == TM_OK && one != NULL;
         one = one->next) {
        if (one->op.seq <= last || one->op.seq > a->version) status = TM_E_CORRUPT;
        last = one->op.seq;
    }
    if (status == TM_OK && tm_doc_has(&a->doc, TM_WORD_SNAPSHOT, TM_JSON_OBJECT)) {
        status = fresh_read(e, a->doc.at[TM_WORD_SNAPSHOT].text, a);
    }
    return status;
}

// ---- what became of our own --------------------------------------------------------

static tm_status join(tm_engine *e, const tm_op *op) {
    bool changed = false;
    tm_status status = tm_list_apply(e->confirmed, op, &changed);
    if (changed) tm_view_touch(e, op->instance_id);
    seen(e, op->at.time);
    return status;
}

// Takes a PENDING or OFFER one out of line, since the server has decided it.
static void decided(tm_engine *e, tm_own *own, bool by_name) {
    tm_writer *writer = own->writer;
    bool numbered = own->fate == TM_FATE_PENDING;
    tm_own_unqueue(e, own);
    tm_view_touch(e, own->op.instance_id);
    e->view.window_ms = 0;
    e->status_changed = true;
    tm_record_change(e, &own->entry->record);
    if (!numbered) return;
    writer->fresh = false;
    writer->record.keep = e->disk.local = true;
    tm_record_change(e, &writer->record);
    if (by_name && own->op.at.version > writer->decided) {
        writer->decided = own->op.at.version;
    }
}

// What was accepted as this seq is not there: the server lost it and went on
// without. It is offered, and C, which counted on it, is fetched anew.
static tm_status seq_taken(tm_engine *e, uint64_t seq, tm_span id) {
    tm_own *own = tm_own_at(e, seq);
    if (own == NULL || tm_span_cmp(own->op.id, id) == 0) return TM_OK;
    e->sync.force = e->sync.pull = true;
    own->fate = TM_FATE_OFFER;
    own->writer = NULL;
    own->op.at.browser = TM_SPAN("~"); // nobody's: it is kept as one to be offered
    own->op.seq = 0;
    tm_record_change(e, &own->entry->record);
    return tm_own_queue(e, own);
}

// SEMANTICS 6: what is pending behind an accepted one stays above it, in its
// order.
static void lift(const tm_writer *writer, tm_own *own, uint64_t time) {
    for (; own != NULL; own = own->next) {
        if (own->fate != TM_FATE_PENDING || own->writer != writer) continue;
        if (own->op.at.time > time) return;
        own->op.at.time = ++time;
        own->entry->record.dirty = true;
    }
}

// `at` is its effective stamp, under whatever name; `known` false: C has it
// already.
static tm_status accepted(tm_engine *e, tm_own *own, uint64_t seq,
                          const tm_stamp *at, bool known) {
    tm_stamp before = own->op.at;
    tm_writer *name = tm_writer_get(e, at->browser);
    if (name == NULL || seq_taken(e, seq, own->op.id) != TM_OK) return TM_E_NOMEM;
    own->op.at = *at;
    own->op.at.browser = name->browser;
    tm_status status = known ? join(e, &own->op) : TM_OK;
    if (status != TM_OK) {
        own->op.at = before;
        return status;
    }
    bool queued = own->fate == TM_FATE_PENDING;
    decided(e, own, own->writer == name);
    own->fate = TM_FATE_ACCEPTED;
    own->op.seq = seq;
    own->until_ms = e->now.mono_ms + RECEIPT_MS;
    tm_note_receipt(e, own, TM_RECEIPT_ACCEPTED);
    if (queued) lift(own->writer, own->next, at->time);
    return TM_OK;
}

tm_status tm_arrive_reject(tm_engine *e, tm_own *own, tm_span code) {
    if (tm_dead_new(e, own->op.id, own->op.raw, code) == NULL) return TM_E_NOMEM;
    tm_note_text(e, TM_EVENT_DEAD, own->op.id, code);
    tm_note_receipt(e, own, TM_RECEIPT_REJECTED);
    decided(e, own, true);
    tm_own_hush(e, own);
    tm_own_done(e, own);
    return TM_OK;
}

// A duplicate may have been stored under another name of the operation's, and its ack does
// not say which. The log does: behind the cursor C has it already, beyond it a pull will
// bring it.
static tm_status ack_take(tm_engine *e, const tm_doc *doc) {
    tm_span said = doc->at[TM_WORD_STATUS].text, id = doc->at[TM_WORD_ID].text;
    uint64_t seq = tm_doc_number(doc, TM_WORD_SEQ);
    uint64_t ms = tm_doc_number(doc, TM_WORD_TIMESTAMP);
    uint64_t logical = tm_doc_number(doc, TM_WORD_LOGICAL);
    bool again = tm_text_is(said, "duplicate");
    tm_own *own = id.ptr != NULL ? tm_table_get(&e->ids, id) : NULL;
    if (own == NULL || own->writer == NULL) return TM_OK;
    if (tm_text_is(said, "rejected")) {
        return tm_arrive_reject(e, own, doc->at[TM_WORD_CODE].text);
    }
    if ((!again && !tm_text_is(said, "ok")) || seq == 0 || ms > TM_MS_MAX ||
        logical >> TM_LOGICAL_BITS != 0) {
        return TM_E_CORRUPT;
    }
    tm_stamp at = own->op.at;
    at.time = ms << TM_LOGICAL_BITS | logical;
    if (!again || seq <= e->cursor) return accepted(e, own, seq, &at, !again);
    own->waits = e->status_changed = true;
    e->sync.pull |= !e->manual;
    return TM_OK;
}

// Each is an answer about one operation, whatever becomes of the others.
static tm_status acks_take(tm_engine *e, const answer *a, size_t *count) {
    tm_json in;
    tm_doc doc;
    tm_status status = TM_OK;
    tm_doc_array(&a->doc, TM_WORD_ACKS, &in, &e->arena);
    for (*count = 0; status == TM_OK && tm_json_element(&in); ++*count) {
        status = tm_doc_read(&in, &doc);
        if (status == TM_OK) status = ack_take(e, &doc);
    }
    return status;
}

// fork and gap: the numbers of this writer are used up or out of step.
// SEMANTICS 6.
static tm_status rename(tm_engine *e, tm_writer *from) {
    uint8_t id[22];
    tm_writer *to = tm_writer_get(e, tm_engine_draw_id(e, id));
    if (to == NULL) return TM_E_NOMEM;
    for (tm_own *own = e->first; own != NULL; own = own->next) {
        if (own->fate != TM_FATE_PENDING || own->writer != from) continue;
        own->writer = to;
        own->op.at.browser = to->browser;
        own->op.at.version = to->next_version++;
        own->entry->owner = to;
        own->entry->record.dirty = own->entry->record.keep = true;
    }
    to->adopted = from->adopted;
    to->fresh = from->retired = true;
    from->record.keep = to->record.keep = e->disk.local = true;
    tm_record_change(e, &from->record);
    tm_record_change(e, &to->record);
    if (e->editor == from) e->editor = to;
    tm_note_text(e, TM_EVENT_WRITER, to->browser, (tm_span){NULL, 0});
    return from->fresh ? TM_E_AGAIN
                       : TM_OK; // twice without an ack between: no hurry
}

static tm_status stop_take(tm_engine *e, const answer *a, size_t acks) {
    tm_doc stop;
    if (!tm_doc_has(&a->doc, TM_WORD_STOP, TM_JSON_OBJECT)) return TM_OK;
    tm_status status = tm_doc_parse(a->doc.at[TM_WORD_STOP].text, &e->arena, &stop);
    if (status != TM_OK) return status;
    tm_span code = stop.at[TM_WORD_CODE].text;
    if (!tm_text_is(code, "fork") && !tm_text_is(code, "gap")) {
        return acks > 0 ? TM_OK : TM_E_AGAIN;
    }
    if (e->sync.save_writer != NULL) return rename(e, e->sync.save_writer);
    e->offer_writer = NULL;
    for (tm_own *own = e->first; own != NULL; own = own->next) {
        if (own->fate == TM_FATE_OFFER) own->writer = NULL;
    }
    return TM_E_AGAIN;
}

// ---- the cursor --------------------------------------------------------------------

void tm_arrive_mark(tm_engine *e, tm_span mark) {
    memmove(e->mark_bytes, mark.ptr, mark.len);
    e->mark = (tm_span){e->mark_bytes, mark.len};
}

// Whether every seq up to the version is here, as operation or as accepted; on
// the way the record of what brought C there is written.
static bool piece_write(tm_engine *e, const answer *a) {
    tm_buf *out = &e->read;
    const tm_got *op = a->ops;
    tm_buf_reset(out);
    tm_buf_byte(out, '{');
    tm_out_number(out, TM_WORD_FROM, e->cursor);
    tm_out_number(out, TM_WORD_VERSION, a->version);
    tm_out_open(out, TM_WORD_OPERATIONS, '[');
    for (uint64_t seq = e->cursor + 1; seq <= a->version; seq++) {
        const tm_own *own = NULL;
        while (op != NULL && op->op.seq < seq) {
            op = op->next;
        }
        bool came = op != NULL && op->op.seq == seq;
        if (!came && (own = tm_own_at(e, seq)) == NULL) return false;
        tm_out_comma(out);
        tm_out_op(out, came ? &op->op : &own->op, seq);
    }
    tm_buf_text(out, "]}");
    return true;
}

static tm_status op_take(tm_engine *e, const tm_op *op) {
    tm_own *own = tm_table_get(&e->ids, op->id);
    if (own != NULL) return accepted(e, own, op->seq, &op->at, true);
    tm_status status = seq_taken(e, op->seq, op->id);
    return status == TM_OK ? join(e, op) : status;
}

// TM_E_AGAIN: there is a hole.
static tm_status cursor_move(tm_engine *e, const answer *a) {
    if (a->version <= e->cursor) return TM_OK;
    if (!piece_write(e, a)) return TM_E_AGAIN;
    for (const tm_got *one = a->ops; one != NULL; one = one->next) {
        tm_status status = one->op.seq > e->cursor ? op_take(e, &one->op) : TM_OK;
        if (status != TM_OK) return status;
    }
    tm_disk_piece(e, a->version, tm_buf_span(&e->read));
    e->cursor = a->version;
    tm_arrive_mark(e, a->mark);
    e->disk.changed = e->status_changed = true;
    return TM_OK;
}

// ---- a snapshot --------------------------------------------------------------------

tm_status tm_arrive_replace(tm_engine *e, tm_list *fresh, uint64_t version,
                            tm_span mark, uint64_t settled) {
    tm_status status = TM_OK;
    for (tm_own *own = e->first; own != NULL && status == TM_OK; own = own->next) {
        if (own->fate != TM_FATE_ACCEPTED || own->op.seq <= settled) continue;
        status = tm_list_apply(fresh, &own->op, NULL);
        own->entry->record.dirty = true; // the generation
    }
    if (status == TM_OK) status = tm_offer_make(e, e->confirmed, fresh);
    if (status != TM_OK) {
        tm_list_free(fresh);
        return status;
    }
    tm_list_free(e->confirmed);
    e->confirmed = fresh;
    for (tm_own *own = e->first, *next; own != NULL; own = next) {
        next = own->next;
        if (own->fate == TM_FATE_ACCEPTED && own->op.seq <= settled) {
            tm_own_done(e, own);
        }
    }
    e->cursor = version;
    tm_arrive_mark(e, mark);
    e->generation++;
    e->disk.base_due = e->disk.changed = true;
    e->view.all = e->status_changed = true;
    return TM_OK;
}

static tm_status snapshot_take(tm_engine *e, answer *a, uint64_t acked) {
    tm_list *fresh = a->fresh;
    a->fresh = NULL;
    // The request said a seq that the server has not: nothing we hold as accepted
    // can be relied on.
    uint64_t settled = acked > a->version ? TM_INT_MAX : a->version;
    tm_status status = tm_arrive_replace(e, fresh, a->version, a->mark, settled);
    if (status == TM_OK) e->sync.force = false;
    return status;
}

// ---- time --------------------------------------------------------------------------

// SEMANTICS 4: measured at an answer to an own request; a pushed frame may only
// raise.
static void clock_take(tm_engine *e, const tm_doc *doc,
                       const tm_request_out *asked) {
    uint64_t server = tm_doc_number(doc, TM_WORD_SERVER_TIME);
    uint64_t took = asked != NULL ? e->now.mono_ms - asked->sent_ms : 0;
    uint64_t offset = server + took / 2 - e->now.wall_ms;
    int64_t raised = (int64_t)(offset - e->offset_ms);
    if (server == 0 || took > RTT_MAX_MS || (e->offset_known && raised == 0))
        return;
    if (asked == NULL && (!e->offset_known || raised < 0)) return;
    tm_record_change(e, &e->editor->record);
    e->offset_known = e->status_changed = true;
    e->offset_ms = offset;
}

// ---- whole answers -----------------------------------------------------------------

// A hole in what came, or too much of it: ask. A server that never fills the
// hole is not asked without end.
static tm_status ask_again(tm_engine *e) {
    tm_sync *sync = &e->sync;
    bool push = sync->channel == TM_CHANNEL_PUSH;
    sync->follows = false;
    if (push && sync->pull_out.ref != 0) return TM_OK;
    sync->pull = true;
    return push && e->cursor == sync->asked_cursor ? TM_E_AGAIN : TM_OK;
}

// After a pull that reached the head it is known what the server lacks.
static void head_take(tm_engine *e, const answer *a) {
    tm_sync *sync = &e->sync;
    e->head = a->head;
    e->status_changed = true;
    if (e->cursor < a->head) return;
    sync->head_seen = true;
    for (tm_own *own = e->first; own != NULL; own = own->next) {
        own->waits =
            false; // what the pull should have brought and did not is sent again
    }
}

// `asked` NULL: nobody asked for it.
static tm_status answer_take(tm_engine *e, answer *a, const tm_request_out *asked,
                             bool save) {
    size_t acks;
    bool push = e->sync.channel == TM_CHANNEL_PUSH;
    clock_take(e, &a->doc, asked);
    tm_status status = acks_take(e, a, &acks), stop = TM_OK;
    if (status == TM_OK && save) stop = stop_take(e, a, acks);
    if (status == TM_OK) {
        status = a->fresh != NULL
                     ? snapshot_take(e, a, asked != NULL ? asked->acked : 0)
                     : cursor_move(e, a);
    }
    if (status == TM_E_AGAIN &&
        (save || push)) { // others wrote in between: no fault
        status = push || !e->manual ? ask_again(e) : TM_OK;
    }
    if (status == TM_OK) head_take(e, a);
    tm_disk_passed(e);
    return status == TM_OK ? stop : status;
}

static bool not_us(tm_engine *e, const tm_doc *doc) {
    tm_span user = doc->at[TM_WORD_USER].text;
    if (user.ptr == NULL || tm_span_cmp(user, e->user) == 0) return false;
    e->sync.stopped = true;
    tm_note_text(e, TM_EVENT_PROBLEM, (tm_span){NULL, 0}, TM_SPAN("user"));
    return true;
}

tm_status tm_arrive_http(tm_engine *e, const tm_request_out *asked, bool save,
                         tm_span body) {
    answer a = {.fresh = NULL};
    tm_status status = tm_doc_parse(body, &e->arena, &a.doc);
    if (status == TM_OK && not_us(e, &a.doc)) return TM_OK;
    if (status == TM_OK) status = answer_read(e, &a);
    // Without `since` nothing says that its history is ours, however well its
    // numbers fit: a restored server counts on from where it was set back to.
    if (save && e->manual) a.version = e->cursor;
    if (status == TM_OK) status = answer_take(e, &a, asked, save);
    tm_list_free(a.fresh);
    return status;
}

// Parts come in order, of one version, and count only when all are there.
static tm_status part_take(tm_engine *e, answer *a) {
    tm_sync *sync = &e->sync;
    uint64_t part = tm_doc_number(&a->doc, TM_WORD_PART);
    uint64_t parts = tm_doc_number(&a->doc, TM_WORD_PARTS);
    tm_span data = a->doc.at[TM_WORD_DATA].text;
    a->version = a->head = tm_doc_number(&a->doc, TM_WORD_VERSION);
    a->mark = a->doc.at[TM_WORD_MARK].text;
    if (part == 1) {
        tm_buf_reset(&sync->parts);
        sync->parts_version = a->version;
        sync->parts_next = 1;
    }
    if (part == 0 || part > parts || part != sync->parts_next ||
        a->version != sync->parts_version ||
        sync->parts.len + data.len > PARTS_MAX || a->mark.ptr == NULL ||
        a->mark.len > TM_MARK_MAX) {
        return ask_again(e);
    }
    tm_buf_put(&sync->parts, data);
    sync->parts_next++;
    tm_status status = sync->parts.status;
    if (status != TM_OK || part < parts) return status;
    status = fresh_read(e, tm_buf_span(&sync->parts), a);
    if (status == TM_OK) status = snapshot_take(e, a, sync->pull_out.acked);
    if (status == TM_OK) head_take(e, a);
    tm_buf_deinit(&sync->parts);
    sync->parts_next = 0;
    return status;
}

// Two that hold the same operations must have the same state. SEMANTICS 10,
// DESIGN 4.
static void digest_take(tm_engine *e, const tm_doc *doc) {
    tm_sync *sync = &e->sync;
    tm_buf *out = &e->read;
    tm_span said = doc->at[TM_WORD_DIGEST].text;
    uint8_t hex[32];
    tm_span mine = {hex, sizeof hex};
    if (tm_doc_number(doc, TM_WORD_FORMAT) != TM_STATE_FORMAT || said.ptr == NULL ||
        tm_doc_number(doc, TM_WORD_VERSION) != e->cursor ||
        tm_own_acked(e) > e->cursor) {
        return;
    }
    tm_digest_hex(tm_list_digest(e->confirmed), hex);
    if (tm_span_cmp(said, mine) == 0) {
        sync->diverged_wait_ms = 0;
        return;
    }
    if (e->now.mono_ms < sync->diverged_ms) return;
    uint64_t wait = 2 * sync->diverged_wait_ms;
    if (wait < WAIT_MS) wait = WAIT_MS;
    if (wait > WAIT_MAX_MS) wait = WAIT_MAX_MS;
    sync->diverged_wait_ms = wait;
    sync->diverged_ms = e->now.mono_ms + wait;
    sync->force = sync->pull = true;
    tm_buf_reset(out);
    tm_buf_byte(out, '{');
    tm_out_text(out, TM_WORD_LIST, e->list);
    tm_out_number(out, TM_WORD_VERSION, e->cursor);
    tm_out_text(out, TM_WORD_MARK, e->mark);
    tm_out_text(out, TM_WORD_DIGEST, said);
    tm_out_text(out, TM_WORD_MINE, mine);
    tm_buf_byte(out, '}');
    tm_note_text(e, TM_EVENT_DIVERGED, (tm_span){NULL, 0}, tm_buf_span(out));
}

static tm_status cursor_frame(tm_engine *e, answer *a, bool save, bool hello) {
    tm_sync *sync = &e->sync;
    tm_request_out asked = {0}, *out = hello ? &sync->pull_out : &sync->save_out;
    if (not_us(e, &a->doc)) return TM_OK;
    tm_status status = answer_read(e, a);
    if (status != TM_OK) return status;
    if (hello || (save && tm_doc_number(&a->doc, TM_WORD_REF) == out->ref)) {
        asked = *out;
        out->ref = 0;
    }
    bool hole = tm_doc_number(&a->doc, TM_WORD_FROM) > e->cursor + 1;
    hole &= sync->follows;
    if (hole || !sync->follows) a->version = e->cursor; // acks count all the same
    if (hello) sync->follows = true;
    status = answer_take(e, a, asked.ref != 0 ? &asked : NULL, save);
    return status == TM_OK && hole ? ask_again(e) : status;
}

tm_status tm_arrive_frame(tm_engine *e, tm_span text, tm_doc *doc) {
    answer a = {.fresh = NULL};
    tm_status status = tm_doc_parse(text, &e->arena, &a.doc);
    tm_span type = a.doc.at[TM_WORD_TYPE].text, list = a.doc.at[TM_WORD_LIST].text;
    bool save = tm_text_is(type, "SAVED"), hello = tm_text_is(type, "SUBSCRIBED");
    if (status != TM_OK) return status;
    if (list.ptr != NULL && tm_span_cmp(list, e->list) != 0) return TM_OK;
    if (save || hello || tm_text_is(type, "OPERATIONS")) {
        status = cursor_frame(e, &a, save, hello);
    } else if (tm_text_is(type, "SNAPSHOT")) {
        status = part_take(e, &a);
    } else if (tm_text_is(type, "DIGEST")) {
        digest_take(e, &a.doc);
    } else if (tm_text_is(type, "SEEN")) {
        uint64_t version = tm_doc_number(&a.doc, TM_WORD_VERSION);
        for (tm_own *own = e->first; own != NULL; own = own->next) {
            if (own->seen || tm_own_queued(own) || own->quiet ||
                own->op.seq > version) {
                continue;
            }
            tm_note_receipt(e, own, TM_RECEIPT_SEEN);
            own->seen = true;
        }
    } else if (tm_text_is(type, "BEHIND")) {
        status = ask_again(e);
    } else if (tm_text_is(type, "ERROR")) {
        *doc = a.doc;
        status = TM_E_STATE;
    }
    tm_list_free(a.fresh);
    return status;
}
