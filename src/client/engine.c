// engine.c - see engine.h.
#include "client/arrive.h"

#include <string.h>

// ---- chance -------------------------------------------------------------------------

static uint64_t rotl(uint64_t x, int by) {
    return x << by | x >> (64 - by);
}

// xoshiro256**: for names and jitter. The seed is the host's.
uint64_t tm_engine_draw(tm_engine *e) {
    uint64_t *s = e->random, drawn = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return drawn;
}

tm_span tm_engine_draw_id(tm_engine *e, uint8_t id[22]) {
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    uint64_t bits = 0;
    for (int i = 0; i < 22; i++, bits >>= 6) {
        if (i % 10 == 0) bits = tm_engine_draw(e);
        id[i] = (uint8_t)digits[bits & 63];
    }
    return (tm_span){id, 22};
}

// ---- making and freeing ---------------------------------------------------------------

tm_status tm_engine_new(const tm_engine_config *config, tm_engine **engine) {
    const tm_alloc *alloc = config->alloc;
    size_t texts = config->user.len + config->list.len;
    tm_engine *e = tm_alloc_get(alloc, sizeof *e + texts);
    if (e == NULL) return tm_refused();
    e->alloc = alloc;
    e->arena.alloc = e->struck_keys.alloc = alloc;
    e->sent.alloc = e->told.alloc = e->read.alloc = e->sync.parts.alloc = alloc;
    e->complaint.alloc = alloc;
    uint8_t *at = (uint8_t *)(e + 1);
    e->user = (tm_span){at, config->user.len};
    e->list = (tm_span){at + config->user.len, config->list.len};
    if (config->user.len > 0) memcpy(at, config->user.ptr, config->user.len);
    if (config->list.len > 0) {
        memcpy(at + config->user.len, config->list.ptr, config->list.len);
    }
    memcpy(e->random, config->seed, sizeof e->random);
    e->random[0] |= 1; // all zero would stay so
    e->seed = (tm_seed){tm_engine_draw(e), tm_engine_draw(e)};
    e->manual = config->manual;
    e->mark = (tm_span){e->mark_bytes, 0};
    tm_queue_init(&e->queue, alloc, e->seed);
    tm_guard_init(&e->guard, alloc, e->seed);
    tm_table_init(&e->view.items, alloc, e->seed);
    tm_table_init(&e->struck, alloc, e->seed);
    tm_table_init(&e->loading.entries, alloc, e->seed);
    e->loading.mark = e->mark;
    e->recent_end = &e->recent;
    e->note_end = &e->note;
    e->disk.work_end = &e->disk.work;
    tm_status status = tm_list_new(alloc, e->seed, &e->confirmed);
    if (status == TM_OK) {
        *engine = e;
    } else {
        tm_alloc_put(alloc, e, sizeof *e + texts);
    }
    return status;
}

static void note_free(tm_engine *e, tm_note *note) {
    if (note != NULL) tm_alloc_put(e->alloc, note, note->size);
}

void tm_engine_free(tm_engine *e) {
    if (e == NULL) return;
    while (e->recent != NULL) {
        tm_recent *recent = e->recent;
        e->recent = recent->next;
        tm_alloc_put(e->alloc, recent, sizeof *recent);
    }
    while (e->note != NULL) {
        tm_note *note = e->note;
        e->note = note->next;
        note_free(e, note);
    }
    note_free(e, e->note_told);
    tm_loading_deinit(e);
    tm_disk_deinit(e);
    tm_queue_deinit(&e->queue);
    tm_guard_deinit(&e->guard);
    tm_view_deinit(e);
    tm_list_free(e->confirmed);
    tm_list_free(e->lacking);
    tm_list_free(e->ghosts);
    tm_table_deinit(&e->struck);
    tm_arena_deinit(&e->struck_keys);
    tm_arena_deinit(&e->arena);
    tm_buf_deinit(&e->sync.parts);
    tm_buf_deinit(&e->sent);
    tm_buf_deinit(&e->told);
    tm_buf_deinit(&e->read);
    tm_buf_deinit(&e->complaint);
    tm_alloc_put(e->alloc, e, sizeof *e + e->user.len + e->list.len);
}

// ---- the end of protections -------------------------------------------------------------

static bool pending_on(tm_engine *e, const tm_guarded *one) {
    const tm_target *target = tm_queue_target(&e->queue, one->instance, false);
    const tm_own *own = target != NULL ? target->line.first : NULL;
    for (; own != NULL; own = own->link[TM_LINE_TARGET].next) {
        if (tm_own_on(own, one->name)) return true;
    }
    return false;
}

static bool same_text(tm_span a, tm_span b) {
    return (a.ptr == NULL) == (b.ptr == NULL) && tm_span_cmp(a, b) == 0;
}

// What won over an own value, or removed an own item, is told once: when it is no longer
// held back. While something of ours is pending, it is; its ack comes here again.
static void protection_end(tm_engine *e, const tm_guarded *one) {
    tm_event event = {.instance = one->instance, .field = one->name};
    tm_view_touch(e, one->instance);
    if (one->at.browser.len == 0 || pending_on(e, one)) return;
    bool dead = tm_view_dead(e, one->instance);
    if (one->name.len == 0) {
        if (dead) tm_note_add(e, TM_EVENT_SUPERSEDED, &event);
        return;
    }
    tm_reg winner = tm_view_reg(e, one->instance, one->name);
    if (dead || tm_stamp_cmp(&winner.at, &one->at) == 0 ||
        same_text(winner.value, one->value)) {
        return;
    }
    event.mine = one->value;
    event.winner = winner.value;
    tm_note_add(e, TM_EVENT_SUPERSEDED, &event);
}

static void protections_end(tm_engine *e) {
    tm_guarded *ended = tm_guard_end(&e->guard, e->now.mono_ms);
    while (ended != NULL) {
        tm_guarded *one = ended;
        ended = one->next;
        protection_end(e, one);
        tm_guarded_free(&e->guard, one);
    }
    if (e->ghosts != NULL && e->queue.pending == 0 && e->guard.targets.count == 0) {
        tm_list_free(e->ghosts);
        e->ghosts = NULL;
    }
}

// ---- events -------------------------------------------------------------------------

static bool note_event(tm_engine *e, tm_event *event) {
    tm_note *note = e->note;
    if (note == NULL) return false;
    e->note = note->next;
    if (e->note == NULL) e->note_end = &e->note;
    e->note_told = note;
    *event = note->event;
    return true;
}

static bool show_event(tm_engine *e, tm_event *event) {
    tm_view *view = &e->view;
    if (e->nest > 0) return false;
    tm_view_flush(e);
    tm_shown *shown = view->changed;
    if (shown == NULL && !view->order_changed) return false;
    event->kind = TM_EVENT_SHOW;
    event->key.ptr = e->shown_id;
    if (shown == NULL) {
        view->order_changed = false;
        return true;
    }
    view->changed = shown->next_changed;
    shown->changed = false;
    memcpy(e->shown_id, shown->id.ptr, shown->id.len);
    event->key.len = shown->id.len;
    if (shown->hash == 0 && !shown->touched) tm_view_drop(e, shown);
    return true;
}

bool tm_engine_event(tm_engine *e, tm_event *event) {
    note_free(e, e->note_told);
    e->note_told = NULL;
    *event = (tm_event){0}; // what follows fills in what its kind has
    if (!e->started) return note_event(e, event);
    protections_end(e);
    // A lock is held before anything is stored under its name.
    if (e->note != NULL && e->note->event.kind == TM_EVENT_WRITER) {
        return note_event(e, event);
    }
    if (tm_disk_event(e, event) || note_event(e, event) || show_event(e, event)) {
        return true;
    }
    if (e->notes_lost) {
        e->notes_lost = false;
        event->kind = TM_EVENT_PROBLEM;
        event->key = TM_SPAN("memory");
        return true;
    }
    if (e->status_changed) {
        e->status_changed = false;
        event->kind = TM_EVENT_STATUS;
        return true;
    }
    tm_buf_reset(&e->told);
    if (!tm_disk_compose(e, &e->told)) return false;
    event->kind = TM_EVENT_COMMIT;
    event->ticket = e->disk.ticket;
    event->value = tm_buf_span(&e->told);
    return true;
}

// ---- reading ------------------------------------------------------------------------

static void look(tm_engine *e, tm_now now) {
    e->now = now;
    protections_end(e);
    tm_arena_reset(&e->arena);
}

tm_status tm_engine_item(tm_engine *e, tm_now now, tm_span id, tm_span *json) {
    tm_stamp at;
    look(e, now);
    tm_buf_reset(&e->read);
    tm_status status = tm_view_item(e, id, &e->read, &at);
    if (status == TM_OK) *json = tm_buf_span(&e->read);
    return status;
}

tm_status tm_engine_order(tm_engine *e, tm_now now, tm_span *json) {
    const tm_view *view = &e->view;
    look(e, now);
    tm_view_flush(e);
    if (view->all_touched) return tm_refused();
    tm_buf_reset(&e->read);
    tm_buf_byte(&e->read, '[');
    for (size_t i = 0; i < view->order_count; i++) {
        size_t at = view->desc ? view->order_count - 1 - i : i;
        tm_out_comma(&e->read);
        tm_buf_json(&e->read, view->order[at]->id);
    }
    tm_buf_byte(&e->read, ']');
    *json = tm_buf_span(&e->read);
    return tm_buf_status(&e->read);
}

tm_span tm_engine_sort(tm_engine *e, tm_now now) {
    look(e, now);
    return tm_view_sort(e);
}

static const char *phase(const tm_engine *e) {
    const tm_sync *sync = &e->sync;
    if (sync->channel == TM_CHANNEL_NONE || sync->failures > 0 || sync->waits ||
        sync->stopped) {
        return "offline";
    }
    bool live = sync->head_seen && e->cursor >= e->head && e->queue.pending == 0 &&
                e->queue.offers.count == 0 && (e->lacking == NULL || e->offered);
    return live ? "live" : "syncing";
}

// A target's least advanced operation.
static tm_span receipt_of(const tm_target *target, uint64_t *lost) {
    bool kept = false, stored = false;
    size_t none = 0;
    const tm_own *own = target->line.first;
    for (; own != NULL; own = own->link[TM_LINE_TARGET].next) {
        const tm_kept *k = &own->entry->kept;
        if (k->disk) {
            stored = true;
        } else if (k->local) {
            kept = true;
        } else {
            none++;
        }
    }
    *lost += none;
    if (none > 0) return TM_SPAN("volatile");
    if (kept) return TM_SPAN("kept");
    if (stored) return TM_SPAN("disk");
    return target->seen < target->recent ? TM_SPAN("accepted") : TM_SPAN("seen");
}

tm_status tm_engine_status(tm_engine *e, tm_now now, tm_span *json) {
    tm_buf *out = &e->read;
    uint64_t lost = 0, dead = 0;
    look(e, now);
    tm_buf_reset(out);
    tm_buf_byte(out, '{');
    const char *word = phase(e);
    tm_out_word(out, TM_WORD_PHASE);
    tm_buf_byte(out, '"');
    tm_buf_text(out, word);
    tm_buf_byte(out, '"');
    tm_out_open(out, TM_WORD_RECEIPTS, '{');
    size_t at = 0;
    for (tm_table_slot *slot;
         (slot = tm_table_next(&e->queue.targets, &at)) != NULL;) {
        tm_out_key(out, slot->key);
        tm_buf_json(out, receipt_of(slot->value, &lost));
    }
    tm_buf_byte(out, '}');
    for (const tm_dead *one = e->disk.dead; one != NULL; one = one->next) {
        dead += !one->kept.gone;
    }
    tm_out_number(out, TM_WORD_PENDING, e->queue.pending);
    tm_out_number(out, TM_WORD_VOLATILE, lost);
    tm_out_number(out, TM_WORD_DEAD, dead);
    tm_out_number(out, TM_WORD_CURSOR, e->cursor);
    tm_out_number(out, TM_WORD_HEAD, e->head);
    tm_out_number(out, TM_WORD_OFFERED, e->queue.offers.count);
    tm_span none = TM_SPAN("");
    tm_out_text(out, TM_WORD_BROWSER_ID, e->editor ? e->editor->browser : none);
    tm_out_word(out, TM_WORD_OFFSET);
    bool behind = (int64_t)e->offset_ms < 0;
    if (!e->offset_known) {
        tm_buf_text(out, "null");
    } else {
        if (behind) tm_buf_byte(out, '-');
        tm_buf_u64(out, behind ? 0 - e->offset_ms : e->offset_ms);
    }
    tm_buf_byte(out, '}');
    *json = tm_buf_span(out);
    return tm_buf_status(out);
}

tm_status tm_engine_dead(tm_engine *e, tm_span *json) {
    tm_buf *out = &e->read;
    tm_buf_reset(out);
    tm_buf_byte(out, '[');
    for (const tm_dead *dead = e->disk.dead; dead != NULL; dead = dead->next) {
        if (dead->kept.gone) continue;
        tm_out_comma(out);
        tm_buf_text(out, "{");
        tm_out_word(out, TM_WORD_OPERATION);
        tm_buf_put(out, dead->operation);
        tm_out_text(out, TM_WORD_CODE, dead->code);
        tm_buf_byte(out, '}');
    }
    tm_buf_byte(out, ']');
    *json = tm_buf_span(out);
    return tm_buf_status(out);
}

const tm_list *tm_engine_confirmed(const tm_engine *e, uint64_t *cursor) {
    *cursor = e->cursor;
    return e->confirmed;
}

// ---- time ---------------------------------------------------------------------------

uint64_t tm_engine_deadline(const tm_engine *e) {
    uint64_t at = e->guard.next_ms;
    uint64_t others[3] = {tm_disk_deadline(e), tm_sync_deadline(e),
                          e->recent != NULL ? e->recent->until_ms : TM_NEVER};
    if (!e->started) return TM_NEVER;
    for (int i = 0; i < 3; i++) {
        if (others[i] < at) at = others[i];
    }
    return at;
}

void tm_engine_tick(tm_engine *e, tm_now now) {
    e->now = now;
    tm_recent_tick(e);
    tm_sync_tick(e);
}
