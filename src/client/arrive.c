// arrive.c - see arrive.h.
#include "client/arrive.h"

#include <string.h>

#define RTT_MAX_MS                                                                 \
    5000u // SEMANTICS 4: a slower answer says nothing about the clock
#define PARTS_MAX (3u * TM_STATE_MAX) // bytes of a snapshot's text that we collect

// ---- reading ------------------------------------------------------------------------

typedef struct got {
    struct got *next;
    tm_op op;
} got;

typedef struct ack {
    struct ack *next;
    tm_span id, code; // code.ptr NULL: accepted
    uint64_t seq, time;
    bool again; // a duplicate
} ack;

typedef struct answer {
    got *ops; // ascending by seq
    ack *acks;
    size_t count; // of both
    tm_list *fresh;
    uint64_t fresh_time, version, head;
    tm_span mark;
    tm_doc doc;
} answer;

static uint64_t time_of(const tm_doc *doc) {
    return tm_doc_number(doc, TM_WORD_TIMESTAMP) << TM_LOGICAL_BITS |
           tm_doc_number(doc, TM_WORD_LOGICAL);
}

static bool time_good(const tm_doc *doc) {
    return tm_doc_has(doc, TM_WORD_TIMESTAMP, TM_JSON_INT) &&
           tm_doc_number(doc, TM_WORD_TIMESTAMP) <= TM_MS_MAX &&
           tm_doc_number(doc, TM_WORD_LOGICAL) >> TM_LOGICAL_BITS == 0;
}

static tm_status ack_read(tm_engine *e, tm_json *in, answer *a, ack ***end) {
    tm_doc doc;
    tm_status status = tm_doc_read(in, &doc);
    if (status != TM_OK) return status;
    ack *one = tm_arena_get(&e->arena, sizeof *one);
    if (one == NULL) return tm_refused();
    tm_span said = doc.at[TM_WORD_STATUS].text;
    bool rejected = tm_text_is(said, "rejected");
    *one = (ack){.id = doc.at[TM_WORD_ID].text};
    one->seq = tm_doc_number(&doc, TM_WORD_SEQ);
    one->time = time_of(&doc);
    if (rejected) {
        one->code = doc.at[TM_WORD_CODE].text;
        if (one->code.ptr == NULL) one->code = TM_SPAN("rejected");
    } else {
        one->again = tm_text_is(said, "duplicate");
        if ((!one->again && !tm_text_is(said, "ok")) || one->seq == 0 ||
            !time_good(&doc)) {
            return TM_E_CORRUPT;
        }
    }
    **end = one;
    *end = &one->next;
    a->count++;
    return TM_OK;
}

static tm_status acks_read(tm_engine *e, answer *a) {
    tm_json in;
    ack **end = &a->acks;
    tm_doc_array(&a->doc, TM_WORD_ACKS, &in, &e->arena);
    while (tm_json_element(&in)) {
        tm_status status = ack_read(e, &in, a, &end);
        if (status != TM_OK) return status;
    }
    return in.status;
}

static tm_status ops_read(tm_engine *e, answer *a) {
    tm_json in;
    got **end = &a->ops;
    uint64_t last = 0;
    tm_doc_array(&a->doc, TM_WORD_OPERATIONS, &in, &e->arena);
    while (tm_json_element(&in)) {
        got *one = tm_arena_get(&e->arena, sizeof *one);
        if (one == NULL) return tm_refused();
        tm_status status = tm_op_read(&in, &one->op);
        if (status != TM_OK) return status;
        if (one->op.fault != TM_FAULT_NONE || one->op.seq <= last ||
            one->op.seq > a->version) {
            return TM_E_CORRUPT;
        }
        last = one->op.seq;
        one->next = NULL;
        *end = one;
        end = &one->next;
        a->count++;
    }
    return in.status;
}

static tm_status h_read(tm_engine *e, const tm_doc *doc, uint64_t *time) {
    tm_json in;
    uint64_t part[2] = {0, 0};
    tm_doc_array(doc, TM_WORD_H, &in, &e->arena);
    for (int i = 0; i < 2 && tm_json_element(&in); i++) {
        tm_status status = tm_json_u64(&in, &part[i]);
        if (status != TM_OK) return status;
    }
    if (part[0] > TM_MS_MAX || part[1] >> TM_LOGICAL_BITS != 0) return TM_E_CORRUPT;
    *time = part[0] << TM_LOGICAL_BITS | part[1];
    return in.status;
}

static tm_status unknown_read(tm_engine *e, const tm_doc *doc, tm_list *list,
                              uint64_t *time) {
    tm_json in;
    tm_doc_array(doc, TM_WORD_UNKNOWN, &in, &e->arena);
    while (tm_json_element(&in)) {
        tm_op op;
        tm_status status = tm_op_read(&in, &op);
        if (status == TM_OK && op.fault != TM_FAULT_NONE) status = TM_E_CORRUPT;
        if (status == TM_OK) status = tm_list_apply(list, &op, NULL);
        if (status != TM_OK) return status;
        if (op.at.time > *time) *time = op.at.time;
    }
    return in.status;
}

tm_status tm_state_read(tm_engine *e, const tm_doc *doc, tm_list **list,
                        uint64_t *time) {
    tm_list *made;
    tm_json in;
    if (!tm_doc_has(doc, TM_WORD_STATE, TM_JSON_OBJECT)) return TM_E_CORRUPT;
    tm_status status = tm_list_new(e->alloc, e->seed, &made);
    if (status != TM_OK) return status;
    tm_json_init(&in, doc->at[TM_WORD_STATE].text, TM_JSON_DEPTH_MAX, &e->arena);
    status = tm_list_read(made, &in);
    if (status == TM_OK) status = h_read(e, doc, time);
    if (status == TM_OK) status = unknown_read(e, doc, made, time);
    if (status == TM_OK) {
        *list = made;
    } else {
        tm_list_free(made);
    }
    return status;
}

static tm_status fresh_read(tm_engine *e, tm_span text, answer *a) {
    tm_doc doc;
    tm_status status = tm_doc_parse(text, &e->arena, &doc);
    if (status != TM_OK) return status;
    return tm_state_read(e, &doc, &a->fresh, &a->fresh_time);
}

// What every answer and frame with a cursor has. The document has been read.
static tm_status answer_read(tm_engine *e, answer *a) {
    a->version = tm_doc_number(&a->doc, TM_WORD_VERSION);
    a->head = tm_doc_number(&a->doc, TM_WORD_HEAD);
    a->mark = a->doc.at[TM_WORD_MARK].text;
    if (!tm_doc_has(&a->doc, TM_WORD_VERSION, TM_JSON_INT) ||
        !tm_doc_has(&a->doc, TM_WORD_HEAD, TM_JSON_INT) || a->mark.ptr == NULL ||
        a->mark.len > TM_MARK_MAX || a->version > a->head) {
        return TM_E_CORRUPT;
    }
    tm_status status = acks_read(e, a);
    if (status == TM_OK) status = ops_read(e, a);
    if (status == TM_OK) status = tm_queue_accept_reserve(&e->queue, a->count);
    if (status == TM_OK && tm_doc_has(&a->doc, TM_WORD_SNAPSHOT, TM_JSON_OBJECT)) {
        status = fresh_read(e, a->doc.at[TM_WORD_SNAPSHOT].text, a);
    }
    return status;
}

// ---- joining ------------------------------------------------------------------------

// A dead item keeps no registers. Those of an item that own work protects are put aside
// for the time it is still shown; without memory for it, it goes at once.
static void ghost(tm_engine *e, tm_span id) {
    const tm_target *target = tm_queue_target(&e->queue, id, false);
    bool pending = target != NULL && target->line.count > 0;
    if (!pending &&
        tm_guard_get(&e->guard, e->now.mono_ms, id, TM_SPAN("")) == NULL) {
        return;
    }
    if (e->ghosts == NULL && tm_list_new(e->alloc, e->seed, &e->ghosts) != TM_OK) {
        return;
    }
    tm_status status = tm_list_join_item(e->ghosts, tm_list_find(e->confirmed, id));
    if (status == TM_OK && e->lacking != NULL) {
        status = tm_list_join_item(e->ghosts, tm_list_find(e->lacking, id));
    }
}

void tm_arrive_ghosts(tm_engine *e) {
    size_t at = 0;
    for (tm_table_slot *slot;
         (slot = tm_table_next(&e->queue.targets, &at)) != NULL;) {
        ghost(e, slot->key);
    }
    at = 0;
    for (tm_table_slot *slot;
         (slot = tm_table_next(&e->guard.targets, &at)) != NULL;) {
        ghost(e, ((tm_guarded *)slot->value)->instance);
    }
}

tm_status tm_arrive_join(tm_engine *e, const tm_op *op) {
    bool changed = false;
    tm_span id = op->instance_id;
    if (op->type == TM_OP_DELETE) {
        ghost(e, id);
    } else if (e->ghosts != NULL && tm_list_find(e->ghosts, id) != NULL) {
        tm_status kept = tm_list_apply(e->ghosts, op, NULL);
        if (kept != TM_OK) return kept;
    }
    tm_status status = tm_list_apply(e->confirmed, op, &changed);
    if (status != TM_OK) return status;
    if (changed) tm_view_touch(e, id);
    if (op->at.time > e->seen_time) e->seen_time = op->at.time;
    return TM_OK;
}

// ---- what became of our own -----------------------------------------------------------

// Takes a PENDING or OFFER one out of line, since the server has decided it. `version` is
// its number among its writer's.
static void decided(tm_engine *e, tm_own *own, uint64_t version) {
    bool queued = own->fate == TM_FATE_PENDING;
    tm_writer *writer = own->writer;
    tm_queue_take(&e->queue, own);
    tm_view_touch(e, own->op.instance_id);
    e->disk.changed = e->status_changed = true;
    if (own->entry != NULL) own->entry->kept.dirty = true;
    if (!queued) return;
    writer->fresh = false;
    writer->kept.dirty = true;
    // Not what waits below it, since the log may have brought this one first; nor what is
    // missing here, since the record may be whole elsewhere.
    const tm_own *first = writer->line.first;
    if (first == NULL || version < first->op.at.version) writer->decided = version;
    // With a disk local is told when disk knows.
    if (!e->disk.there) writer->kept.keep = true;
}

// What was accepted as `seq` is not there: the server lost it and went on without. It is
// offered, and C, which counted on it, is fetched anew.
static tm_status lost(tm_engine *e, tm_own *own) {
    tm_queue_unaccept(&e->queue, own);
    e->sync.force = e->sync.pull = true;
    if (own->entry == NULL) { // `lacking` still has it
        tm_own_done(&e->queue, own);
        return TM_OK;
    }
    own->fate = TM_FATE_OFFER;
    own->writer = NULL;
    own->op.seq = 0;
    own->entry->kept.dirty = true;
    return tm_queue_add(&e->queue, own);
}

// Another operation has this seq: what we hold under it was lost.
static tm_status seq_taken(tm_engine *e, uint64_t seq, tm_span id) {
    tm_own *own = tm_queue_accepted(&e->queue, seq);
    if (own == NULL || tm_span_cmp(own->op.id, id) == 0) return TM_OK;
    return lost(e, own);
}

// `at` is its effective stamp; the version in it may be an older name's. What joins C is
// `op`, as the log has it; NULL: C has it already.
static tm_status accepted(tm_engine *e, tm_own *own, uint64_t seq,
                          const tm_stamp *at, const tm_op *op) {
    tm_stamp before = own->op.at;
    tm_writer *name = tm_queue_writer(&e->queue, at->browser);
    if (name == NULL) return tm_refused();
    own->op.at = *at;
    own->op.at.browser = name->browser;
    tm_status status = op != NULL ? tm_arrive_join(e, op) : TM_OK;
    if (status != TM_OK) {
        own->op.at = before;
        return status;
    }
    bool queued = own->fate == TM_FATE_PENDING;
    decided(e, own, before.version);
    own->op.seq = seq;
    tm_queue_accept(&e->queue, own);
    if (own->entry == NULL) {
        tm_offer_strike(e, own);
        return TM_OK;
    }
    // A stamp is also a place among the others.
    if (queued && tm_queue_lift(own->writer, at->time)) e->view.all_touched = true;
    tm_guard_accepted(&e->guard, own);
    tm_recent_add(e, own);
    return TM_OK;
}

tm_status tm_arrive_reject(tm_engine *e, tm_own *own, tm_span code) {
    const tm_dead *dead = tm_dead_new(e, own->op.id, own->op.raw, code);
    if (dead == NULL) return tm_refused();
    tm_note_text(e, TM_EVENT_DEAD, own->op.id, code);
    tm_note_receipt(e, own, TM_RECEIPT_REJECTED);
    decided(e, own, own->op.at.version);
    tm_guard_drop(&e->guard, own);
    if (own->entry == NULL) tm_offer_strike(e, own);
    tm_own_done(&e->queue, own);
    return TM_OK;
}

static tm_status ack_take(tm_engine *e, const ack *one, uint64_t proved) {
    tm_own *own = one->id.ptr != NULL ? tm_queue_find(&e->queue, one->id) : NULL;
    if (own == NULL || own->writer == NULL) return TM_OK;
    if (one->code.ptr != NULL) return tm_arrive_reject(e, own, one->code);
    // What got C past this seq would have brought the operation, in the same history.
    if (one->seq > proved && one->seq <= e->cursor) return TM_OK;
    if (seq_taken(e, one->seq, one->id) != TM_OK) return tm_refused();
    tm_stamp at = own->op.at;
    at.time = one->time;
    // A duplicate was stored by somebody who had a copy of this queue, perhaps under another
    // name, and the ack does not say which. The log does: behind the cursor C has it
    // already, beyond it a pull will bring it.
    bool known = !one->again || own->entry == NULL;
    if (known || one->seq <= e->cursor) {
        return accepted(e, own, one->seq, &at, known ? &own->op : NULL);
    }
    own->op.at.time = at.time;
    own->seq_said = one->seq;
    tm_queue_wait(&e->queue, own, true);
    tm_view_touch(e, own->op.instance_id);
    if (!e->manual) e->sync.pull = true;
    return TM_OK;
}

// An answer speaks of the history that it was asked in, and up to where it was asked from
// that is ours. Beyond, another answer may have brought another one meanwhile: the server
// was restored while both were under way. A connection that continues C has its history; a
// snapshot proves.
static uint64_t acks_proved(const tm_engine *e, const answer *a,
                            const tm_request_out *asked) {
    if (a->fresh != NULL || e->sync.follows) return TM_NEVER;
    bool other = e->sync.channel == TM_CHANNEL_PUSH || // it says no cursor
                 asked->generation != e->generation;
    return other ? 0 : asked->cursor;
}

static tm_status acks_take(tm_engine *e, const answer *a,
                           const tm_request_out *asked) {
    tm_status status = TM_OK;
    uint64_t proved = acks_proved(e, a, asked);
    for (const ack *one = a->acks; one != NULL && status == TM_OK;
         one = one->next) {
        status = ack_take(e, one, proved);
    }
    return status;
}

static tm_status renamed(tm_engine *e, tm_writer *from) {
    uint8_t id[22];
    tm_writer *to = tm_queue_writer(&e->queue, tm_engine_draw_id(e, id));
    if (to == NULL) return tm_refused();
    bool again = from->fresh;
    tm_queue_rename(&e->queue, from, to);
    to->adopted = from->adopted;
    to->disked = e->disk.there;
    to->fresh = from->retired = e->view.all_touched = true;
    from->kept.dirty = to->kept.dirty = from->kept.keep = to->kept.keep = true;
    if (e->editor == from) e->editor = to;
    for (tm_entry *entry = e->queue.first; entry != NULL; entry = entry->next) {
        if (entry->owner != to || entry == e->batch) continue;
        entry->kept.keep = true;
        tm_disk_work(e, entry);
    }
    e->disk.changed = true;
    tm_note_text(e, TM_EVENT_WRITER, to->browser, (tm_span){NULL, 0});
    return again ? TM_E_AGAIN : TM_OK; // twice without an ack between: no hurry
}

// fork and gap: the numbers of this writer are used up or out of step. SEMANTICS 6.
static tm_status stop_take(tm_engine *e, const answer *a) {
    tm_doc stop;
    tm_json in;
    if (!tm_doc_has(&a->doc, TM_WORD_STOP, TM_JSON_OBJECT)) return TM_OK;
    tm_json_init(&in, a->doc.at[TM_WORD_STOP].text, TM_JSON_DEPTH_MAX, &e->arena);
    tm_status status = tm_doc_read(&in, &stop);
    if (status != TM_OK) return status;
    tm_span code = stop.at[TM_WORD_CODE].text;
    if (!tm_text_is(code, "fork") && !tm_text_is(code, "gap")) return TM_E_AGAIN;
    if (e->sync.save_writer != NULL) return renamed(e, e->sync.save_writer);
    e->offer_writer = NULL;
    tm_offer_clear(e);
    for (tm_own *own = e->queue.offers.first; own != NULL;
         own = own->link[TM_LINE_QUEUE].next) {
        own->writer = NULL;
    }
    return TM_E_AGAIN;
}

// ---- the cursor -----------------------------------------------------------------------

// Whether every seq up to the version is here, as operation or as accepted.
static bool holds_all(const tm_engine *e, const answer *a) {
    const got *op = a->ops;
    size_t k = 0;
    for (uint64_t seq = e->cursor + 1; seq <= a->version; seq++) {
        while (op != NULL && op->op.seq < seq) {
            op = op->next;
        }
        if (op != NULL && op->op.seq == seq) continue;
        while (k < e->queue.accepted_count && e->queue.accepted[k]->op.seq < seq) {
            k++;
        }
        if (k == e->queue.accepted_count || e->queue.accepted[k]->op.seq != seq) {
            return false;
        }
    }
    return true;
}

static tm_status op_take(tm_engine *e, const tm_op *op) {
    tm_status status = seq_taken(e, op->seq, op->id);
    if (status != TM_OK) return status;
    tm_own *own = tm_queue_find(&e->queue, op->id);
    if (own != NULL) return accepted(e, own, op->seq, &op->at, op);
    if (tm_queue_accepted(&e->queue, op->seq) != NULL) return TM_OK;
    return tm_arrive_join(e, op);
}

// The record of what brought C from the cursor to the version.
static void piece_put(tm_engine *e, const answer *a) {
    tm_buf *out = &e->read;
    const got *op = a->ops;
    size_t k = 0;
    tm_buf_reset(out);
    tm_buf_byte(out, '{');
    tm_out_number(out, TM_WORD_FROM, e->cursor);
    tm_out_open(out, TM_WORD_OPERATIONS, '[');
    for (uint64_t seq = e->cursor + 1; seq <= a->version; seq++) {
        while (op != NULL && op->op.seq < seq) {
            op = op->next;
        }
        tm_out_comma(out);
        if (op != NULL && op->op.seq == seq) {
            tm_buf_put(out, op->op.raw);
            continue;
        }
        while (e->queue.accepted[k]->op.seq < seq) {
            k++;
        }
        const tm_op *own = &e->queue.accepted[k]->op;
        tm_op_pass(
            out, own,
            &(tm_op_change){seq, &own->at.time, &own->at.browser, own->at.version});
    }
    tm_buf_text(out, "]}");
}

void tm_arrive_mark(tm_engine *e, tm_span mark) {
    memmove(e->mark_bytes, mark.ptr, mark.len);
    e->mark = (tm_span){e->mark_bytes, mark.len};
}

// TM_E_AGAIN: there is a hole.
static tm_status cursor_move(tm_engine *e, const answer *a) {
    if (a->version <= e->cursor) return TM_OK;
    if (!holds_all(e, a)) return TM_E_AGAIN;
    for (const got *one = a->ops; one != NULL; one = one->next) {
        if (one->op.seq <= e->cursor) continue;
        tm_status status = op_take(e, &one->op);
        if (status != TM_OK) return status;
    }
    if (e->disk.there) {
        piece_put(e, a);
        tm_disk_piece(e, a->version, a->mark, tm_buf_span(&e->read));
    }
    e->cursor = a->version;
    tm_arrive_mark(e, a->mark);
    e->disk.changed = e->status_changed = true;
    return TM_OK;
}

// ---- a snapshot -----------------------------------------------------------------------

tm_status tm_arrive_replace(tm_engine *e, tm_list *fresh, uint64_t version,
                            tm_span mark, uint64_t settled) {
    tm_status status = TM_OK;
    tm_queue *queue = &e->queue;
    for (size_t i = 0; i < queue->accepted_count && status == TM_OK; i++) {
        const tm_op *op = &queue->accepted[i]->op;
        if (op->seq > settled) status = tm_list_apply(fresh, op, NULL);
    }
    // What C has is joined to `lacking` and not the other way round: half of that does
    // no harm, since C still has it.
    if (status == TM_OK && e->lacking != NULL) {
        status = tm_list_join(e->lacking, e->confirmed);
    }
    if (status != TM_OK) {
        tm_list_free(fresh);
        return status;
    }
    tm_arrive_ghosts(e);
    if (e->lacking == NULL) {
        e->lacking = e->confirmed;
    } else {
        tm_list_free(e->confirmed);
    }
    e->confirmed = fresh;
    tm_offer_anew(e);
    while (queue->accepted_count > 0 && queue->accepted[0]->op.seq <= settled) {
        tm_own *own = queue->accepted[0];
        tm_queue_unaccept(queue, own);
        tm_own_done(queue, own);
    }
    for (size_t i = 0; i < queue->accepted_count; i++) {
        tm_entry *entry = queue->accepted[i]->entry; // it says the generation
        if (entry != NULL) entry->kept.dirty = true;
    }
    e->cursor = version;
    tm_arrive_mark(e, mark);
    e->generation++;
    e->disk.base_due = e->disk.lacking_due = e->disk.changed = true;
    e->view.all_touched = e->status_changed = true;
    return TM_OK;
}

// No pull will bring any more what waits for one up to `version`. As accepted it is settled
// like all that is; in C it is offered if the snapshot turns out to lack it. What was said
// to be beyond waits on, as the snapshot may be of another history.
static tm_status waiting_accept(tm_engine *e, uint64_t version) {
    tm_status status = tm_queue_accept_reserve(&e->queue, e->queue.ids.count);
    for (tm_writer *w = e->queue.writers; w != NULL; w = w->next) {
        for (tm_own *own = w->line.first; own != NULL && status == TM_OK;) {
            tm_own *next = own->link[TM_LINE_QUEUE].next;
            tm_stamp at = own->op.at;
            if (own->waits && own->seq_said <= version) {
                status = accepted(e, own, own->seq_said, &at, &own->op);
            }
            own = next;
        }
    }
    return status;
}

static tm_status snapshot_take(tm_engine *e, answer *a, uint64_t acked) {
    tm_list *fresh = a->fresh;
    tm_status status = waiting_accept(e, a->version);
    if (status != TM_OK) return status; // whoever has `a` frees it
    a->fresh = NULL;
    // The request said a seq that the server has not: nothing we hold as accepted can be
    // relied on.
    uint64_t settled = acked > a->version ? TM_INT_MAX : a->version;
    status = tm_arrive_replace(e, fresh, a->version, a->mark, settled);
    if (status != TM_OK) return status;
    if (a->fresh_time > e->seen_time) e->seen_time = a->fresh_time;
    e->sync.force = false;
    return TM_OK;
}

// ---- time -----------------------------------------------------------------------------

// SEMANTICS 4: measured at an answer to an own request; a pushed frame may only raise.
static void clock_take(tm_engine *e, const tm_doc *doc,
                       const tm_request_out *asked) {
    uint64_t server = tm_doc_number(doc, TM_WORD_SERVER_TIME);
    if (server == 0) return;
    uint64_t took = asked != NULL ? e->now.mono_ms - asked->sent_ms : 0;
    uint64_t offset = server + took / 2 - e->now.wall_ms;
    if (took > RTT_MAX_MS) return;
    if (asked == NULL &&
        (!e->offset_known || (int64_t)(offset - e->offset_ms) <= 0)) {
        return;
    }
    if (e->offset_known && offset == e->offset_ms) return;
    e->offset_known = true;
    e->offset_ms = offset;
    e->disk.offset_due = e->disk.changed = e->status_changed = true;
}

// A hole in what came, or too much of it: ask. A server that never fills the hole is not
// asked without end.
static tm_status ask_again(tm_engine *e) {
    tm_sync *sync = &e->sync;
    sync->follows = false;
    if (sync->channel == TM_CHANNEL_PUSH && sync->pull_out.ref != 0) return TM_OK;
    sync->pull = true;
    if (sync->channel != TM_CHANNEL_PUSH || e->cursor != sync->asked_cursor) {
        return TM_OK;
    }
    return TM_E_AGAIN;
}

// ---- whole answers ----------------------------------------------------------------

// After a pull that reached the head it is known what the server lacks.
static void head_take(tm_engine *e, const answer *a) {
    if (a->head != e->head) e->status_changed = true;
    e->head = a->head;
    if (e->cursor < a->head) return;
    if (!e->sync.head_seen) e->status_changed = true;
    e->sync.head_seen = true;
    if (tm_queue_wake(&e->queue)) e->view.all_touched = true;
    if (e->lacking == NULL) return;
    e->sync.offering = true;
    bool out = e->sync.save_out.ref != 0 && e->sync.save_writer == NULL;
    if (!out) tm_offer_clear(e);
}

// `asked` NULL: nobody asked for it.
static tm_status answer_take(tm_engine *e, answer *a, const tm_request_out *asked,
                             bool save) {
    clock_take(e, &a->doc, asked);
    tm_status status = acks_take(e, a, asked);
    tm_status stop = TM_OK;
    if (status == TM_OK && save) stop = stop_take(e, a);
    if (status == TM_OK) {
        status = a->fresh != NULL
                     ? snapshot_take(e, a, asked != NULL ? asked->acked : 0)
                     : cursor_move(e, a);
    }
    bool push = e->sync.channel == TM_CHANNEL_PUSH;
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
    tm_note_text(e, TM_EVENT_PROBLEM, TM_SPAN("user"), (tm_span){NULL, 0});
    return true;
}

tm_status tm_arrive_http(tm_engine *e, const tm_request_out *asked, bool save,
                         tm_span body) {
    answer a = {.fresh = NULL};
    tm_status status = tm_doc_parse(body, &e->arena, &a.doc);
    if (status == TM_OK && not_us(e, &a.doc)) return TM_OK;
    if (status == TM_OK) status = answer_read(e, &a);
    // Without `since` nothing says that its history is ours, however well its numbers
    // fit: a restored server counts on from where it was set back to.
    if (save && e->manual) a.version = e->cursor;
    bool moved = asked->cursor != e->cursor || asked->generation != e->generation;
    if (moved && a.fresh == NULL && a.version > e->cursor) {
        a.version = e->cursor; // it continues another cursor: ask from where we are
        e->sync.pull = true;
    }
    if (status == TM_OK) status = answer_take(e, &a, asked, save);
    tm_list_free(a.fresh);
    return status;
}

// Parts come in order, of one version, and count only when all are there.
static tm_status part_take(tm_engine *e, answer *a) {
    tm_sync *sync = &e->sync;
    const tm_doc *doc = &a->doc;
    uint64_t part = tm_doc_number(doc, TM_WORD_PART);
    uint64_t parts = tm_doc_number(doc, TM_WORD_PARTS);
    uint64_t version = tm_doc_number(doc, TM_WORD_VERSION);
    tm_span data = doc->at[TM_WORD_DATA].text;
    if (part == 1) {
        tm_buf_reset(&sync->parts);
        sync->parts_version = version;
        sync->parts_next = 1;
    }
    if (data.ptr == NULL || part == 0 || part > parts || part != sync->parts_next ||
        version != sync->parts_version || sync->parts.len + data.len > PARTS_MAX) {
        return ask_again(e);
    }
    tm_buf_put(&sync->parts, data);
    sync->parts_next++;
    tm_status status = tm_buf_status(&sync->parts);
    if (status != TM_OK || part < parts) return status;
    a->version = a->head = version;
    a->mark = doc->at[TM_WORD_MARK].text;
    if (a->mark.ptr == NULL || a->mark.len > TM_MARK_MAX) return TM_E_CORRUPT;
    status = fresh_read(e, tm_buf_span(&sync->parts), a);
    if (status == TM_OK) status = snapshot_take(e, a, sync->pull_out.acked);
    if (status == TM_OK) sync->follows = true;
    if (status == TM_OK) head_take(e, a);
    tm_buf_deinit(&sync->parts);
    sync->parts_next = 0;
    tm_disk_passed(e);
    return status;
}

// Two that hold the same operations must have the same state. SEMANTICS 10, DESIGN 4.
static void digest_take(tm_engine *e, const tm_doc *doc) {
    static const uint64_t wait_min_ms = 60000, wait_max_ms = 3600000;
    tm_sync *sync = &e->sync;
    tm_span said = doc->at[TM_WORD_DIGEST].text;
    bool beyond = tm_queue_acked(&e->queue) > e->cursor;
    if (tm_doc_number(doc, TM_WORD_FORMAT) != TM_STATE_FORMAT || said.len != 32 ||
        tm_doc_number(doc, TM_WORD_VERSION) != e->cursor || beyond) {
        return;
    }
    // It is known to differ: a snapshot is on its way, as C has what the server lost.
    if (sync->force) return;
    uint8_t hex[32];
    tm_digest_hex(tm_list_digest(e->confirmed), hex);
    if (memcmp(said.ptr, hex, sizeof hex) == 0) {
        sync->diverged_wait_ms = 0;
        return;
    }
    if (e->now.mono_ms < sync->diverged_ms) return;
    uint64_t wait = 2 * sync->diverged_wait_ms;
    if (wait < wait_min_ms) wait = wait_min_ms;
    if (wait > wait_max_ms) wait = wait_max_ms;
    sync->diverged_wait_ms = wait;
    sync->diverged_ms = e->now.mono_ms + wait;
    sync->force = sync->pull = true;
    tm_buf_reset(&e->read);
    tm_buf_byte(&e->read, '{');
    tm_out_text(&e->read, TM_WORD_LIST, e->list);
    tm_out_number(&e->read, TM_WORD_VERSION, e->cursor);
    tm_out_text(&e->read, TM_WORD_MARK, e->mark);
    tm_out_number(&e->read, TM_WORD_FORMAT, TM_STATE_FORMAT);
    tm_out_text(&e->read, TM_WORD_DIGEST, said);
    tm_out_text(&e->read, TM_WORD_MINE, (tm_span){hex, sizeof hex});
    tm_buf_byte(&e->read, '}');
    tm_note_text(e, TM_EVENT_DIVERGED, (tm_span){NULL, 0}, tm_buf_span(&e->read));
}

static tm_status cursor_frame(tm_engine *e, answer *a) {
    tm_sync *sync = &e->sync;
    tm_span type = a->doc.at[TM_WORD_TYPE].text;
    tm_request_out asked = {0};
    bool save = tm_text_is(type, "SAVED"), hello = tm_text_is(type, "SUBSCRIBED");
    if (not_us(e, &a->doc)) return TM_OK;
    tm_status status = answer_read(e, a);
    if (status != TM_OK) return status;
    if (save && tm_doc_number(&a->doc, TM_WORD_REF) == sync->save_out.ref) {
        asked = sync->save_out;
        sync->save_out.ref = 0;
    }
    if (hello) {
        asked = sync->pull_out;
        sync->pull_out.ref = 0;
        // What was asked from a C that we had before proves nothing of the one we have, nor
        // does the promise of a snapshot.
        if (asked.generation == e->generation && a->version >= asked.cursor) {
            sync->follows = true;
        }
    }
    uint64_t from = tm_doc_number(&a->doc, TM_WORD_FROM);
    bool hole = sync->follows && from > e->cursor + 1;
    if (hole || !sync->follows) { // acks count all the same
        a->version = e->cursor;
    }
    status = answer_take(e, a, asked.ref != 0 ? &asked : NULL, save);
    return status == TM_OK && hole ? ask_again(e) : status;
}

tm_status tm_arrive_frame(tm_engine *e, tm_span text, tm_doc *doc) {
    answer a = {.fresh = NULL};
    tm_status status = tm_doc_parse(text, &e->arena, &a.doc);
    if (status != TM_OK) return status;
    tm_span type = a.doc.at[TM_WORD_TYPE].text, list = a.doc.at[TM_WORD_LIST].text;
    if (list.ptr != NULL && tm_span_cmp(list, e->list) != 0) return TM_OK;
    if (tm_text_is(type, "OPERATIONS") || tm_text_is(type, "SAVED") ||
        tm_text_is(type, "SUBSCRIBED")) {
        status = cursor_frame(e, &a);
    } else if (tm_text_is(type, "SNAPSHOT")) {
        status = part_take(e, &a);
    } else if (tm_text_is(type, "DIGEST")) {
        digest_take(e, &a.doc);
    } else if (tm_text_is(type, "SEEN")) {
        tm_recent_seen(e, tm_doc_number(&a.doc, TM_WORD_VERSION));
    } else if (tm_text_is(type, "BEHIND")) {
        status = ask_again(e);
    } else if (tm_text_is(type, "ERROR")) {
        *doc = a.doc;
        status = TM_E_STATE;
    }
    tm_list_free(a.fresh);
    return status;
}
