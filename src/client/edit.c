// edit.c - see inner.h. What the user did becomes operations: stamped, queued, shown.
// SEMANTICS 4, 6.
//
// A single edit is a batch of one. The entry of a batch is not stored, sent or told about
// before its outermost end.
#include "client/inner.h"

#include <string.h>

// `why` and `word`: at least one of them says something.
static tm_status refuse(tm_engine *e, tm_status status, const char *why,
                        tm_span word) {
    tm_buf *out = &e->complaint;
    tm_buf_reset(out);
    if (why != NULL) tm_buf_text(out, why);
    if (why != NULL && word.len > 0) tm_buf_text(out, ": ");
    tm_buf_put(out, word);
    return status;
}

tm_span tm_engine_problem(const tm_engine *e) {
    return tm_buf_span(&e->complaint);
}

// SEMANTICS 4: the wall clock as the server would read it, and above all that was seen.
static tm_status stamp(tm_engine *e, uint64_t *time) {
    uint64_t queued = tm_queue_time(&e->queue),
             wall = e->now.wall_ms + e->offset_ms;
    tm_clock clock = {e->seen_time > queued ? e->seen_time : queued};
    if ((int64_t)wall < 0) wall = 0;
    if (wall > TM_MS_MAX) wall = TM_MS_MAX;
    return tm_clock_tick(&clock, wall, time);
}

static bool gone(tm_engine *e, tm_span id) {
    const tm_target *target = tm_queue_target(&e->queue, id, false);
    const tm_own *own = target != NULL ? target->line.first : NULL;
    for (; own != NULL; own = own->link[TM_LINE_TARGET].next) {
        if (own->op.type == TM_OP_DELETE) return true;
    }
    return tm_view_dead(e, id);
}

// ---- one operation ----------------------------------------------------------------

// The operation's text decides what it is, here as everywhere.
static tm_status own_make(tm_engine *e, tm_op *op, tm_own **own) {
    tm_json in;
    tm_op made;
    uint8_t id[22];
    tm_status status = stamp(e, &op->at.time);
    if (status != TM_OK) return refuse(e, status, "no time is left", (tm_span){0});
    op->id = tm_engine_draw_id(e, id);
    op->at.browser = e->editor->browser;
    op->at.version = e->editor->next_version;
    tm_buf_reset(&e->read);
    tm_op_write(&e->read, op);
    if (tm_buf_status(&e->read) != TM_OK) return tm_refused();
    tm_json_init(&in, tm_buf_span(&e->read), TM_JSON_DEPTH_MAX, &e->arena);
    status = tm_op_read(&in, &made);
    if (status != TM_OK) return status;
    if (made.fault != TM_FAULT_NONE) {
        return refuse(e, TM_E_RANGE, NULL, tm_fault_word(made.fault));
    }
    *own = tm_own_new(e->alloc, &made);
    return *own != NULL ? TM_OK : tm_refused();
}

static tm_status op_edit(tm_engine *e, tm_op *op, tm_span *instance) {
    uint8_t id[22];
    tm_own *own = NULL;
    if (op->type == TM_OP_ADD && op->instance_id.len == 0) {
        op->instance_id = tm_engine_draw_id(e, id);
    }
    if (op->type != TM_OP_SORT && gone(e, op->instance_id)) return TM_E_GONE;
    if (e->batch_count == TM_PUSH_OPS_MAX) {
        return refuse(e, TM_E_RANGE, "too many edits in a batch", (tm_span){0});
    }
    tm_status status = own_make(e, op, &own);
    if (status != TM_OK) return status;
    own->writer = e->editor;
    own->op.at.browser = e->editor->browser;
    own->made_ms = e->now.mono_ms;
    own->entry = e->batch;
    status = tm_queue_add(&e->queue, own);
    if (status != TM_OK) {
        tm_own_free(e->alloc, own);
        return status;
    }
    tm_entry_add(e->batch, own);
    e->editor->next_version++;
    e->batch_count++;
    tm_view_touch(e, own->op.instance_id);
    if (instance != NULL) *instance = own->op.instance_id;
    return TM_OK;
}

static void last_undo(tm_engine *e) {
    tm_entry *entry = e->batch;
    tm_own *own = entry->last, *before = NULL;
    for (tm_own *one = entry->first; one != own; one = one->sibling) {
        before = one;
    }
    tm_view_touch(e, own->op.instance_id);
    tm_queue_take(&e->queue, own);
    own->writer->next_version--; // it was not sent: the number is free
    if (before != NULL) {
        before->sibling = NULL;
    } else {
        entry->first = NULL;
    }
    entry->last = before;
    entry->open--;
    e->batch_count--;
    tm_own_free(e->alloc, own);
}

// ---- batches ------------------------------------------------------------------------

tm_status tm_engine_begin(tm_engine *e) {
    if (!e->started) return TM_E_STATE;
    if (e->nest == TM_BATCH_NEST_MAX) return TM_E_RANGE;
    if (e->nest == 0) {
        e->batch = tm_queue_entry(&e->queue, e->editor);
        if (e->batch == NULL) return tm_refused();
        e->batch_count = 0;
    }
    e->nest_count[e->nest++] = e->batch_count;
    return TM_OK;
}

tm_status tm_engine_end(tm_engine *e, tm_now now, bool keep) {
    if (e->nest == 0) return TM_E_STATE;
    e->now = now;
    e->nest--;
    while (!keep && e->batch_count > e->nest_count[e->nest]) {
        last_undo(e);
    }
    if (e->nest > 0) return TM_OK;
    tm_entry *entry = e->batch;
    e->batch = NULL;
    if (e->batch_count == 0) {
        tm_queue_drop_entry(&e->queue, entry);
        return TM_OK;
    }
    tm_entry_name(entry, entry->first->op.id);
    entry->kept.keep = entry->kept.dirty = e->disk.changed = true;
    if (!e->editor->kept.local) e->editor->kept.keep = true;
    tm_disk_work(e, entry);
    e->last_entry = entry;
    e->written = TM_WRITTEN_VOLATILE; // until its KEEP is answered
    for (const tm_own *own = entry->first; own != NULL; own = own->sibling) {
        tm_guard_made(&e->guard, own);
    }
    e->status_changed = true;
    tm_sync_flush(e);
    return TM_OK;
}

static tm_status edit(tm_engine *e, tm_op *op, tm_span *instance) {
    tm_status status = tm_engine_begin(e);
    if (status != TM_OK) return status;
    status = op_edit(e, op, instance);
    tm_status ended = tm_engine_end(e, e->now, status == TM_OK);
    if (status == TM_E_GONE) e->written = TM_WRITTEN_GONE;
    return status == TM_OK ? ended : status;
}

tm_status tm_engine_edit(tm_engine *e, tm_now now, tm_span text,
                         tm_span *instance) {
    tm_json in;
    tm_op op;
    e->now = now;
    tm_buf_reset(&e->complaint);
    tm_arena_reset(&e->arena);
    tm_json_init(&in, text, TM_DEPTH_MAX, &e->arena);
    tm_status status = tm_op_read_edit(&in, &op);
    if (status == TM_OK) status = tm_json_end(&in);
    if (status == TM_E_CORRUPT) {
        return refuse(e, status, in.error.reason, in.error.member);
    }
    if (status != TM_OK) return status;
    if (op.fault != TM_FAULT_NONE) {
        return refuse(e, TM_E_RANGE, NULL, tm_fault_word(op.fault));
    }
    return edit(e, &op, instance);
}

tm_written tm_engine_written(const tm_engine *e) {
    return e->written;
}

// ---- dead letters -----------------------------------------------------------------------

tm_status tm_engine_retry(tm_engine *e, tm_now now, tm_span id) {
    tm_json in;
    tm_op op;
    e->now = now;
    tm_arena_reset(&e->arena);
    tm_dead *dead = tm_dead_find(e, id);
    if (dead == NULL) return TM_E_RANGE;
    tm_json_init(&in, dead->operation, TM_JSON_DEPTH_MAX, &e->arena);
    tm_status status = tm_op_read(&in, &op);
    if (status == TM_OK) status = edit(e, &op, NULL);
    if (status == TM_OK) tm_dead_drop(e, dead);
    return status;
}

tm_status tm_engine_discard(tm_engine *e, tm_now now, tm_span id) {
    e->now = now;
    tm_dead *dead = tm_dead_find(e, id);
    if (dead == NULL) return TM_E_RANGE;
    tm_dead_drop(e, dead);
    return TM_OK;
}
