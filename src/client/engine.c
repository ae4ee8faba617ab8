// engine.c - see engine.h.
#include "client/arrive.h"

#include <string.h>

// ---- chance ------------------------------------------------------------------------

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

// ---- making and freeing ------------------------------------------------------------

tm_status tm_engine_new(const tm_engine_config *config, tm_engine **engine) {
    const tm_alloc *alloc = config->alloc;
    tm_span user = config->user, list = config->list;
    tm_engine *e = tm_alloc_get(alloc, sizeof *e + user.len + list.len);
    if (e == NULL) return TM_E_NOMEM;
    e->alloc = e->arena.alloc = e->sent.alloc = e->told.alloc = alloc;
    e->read.alloc = e->complaint.alloc = e->sync.parts.alloc = alloc;
    uint8_t *at = (uint8_t *)(e + 1);
    e->user = (tm_span){at, user.len};
    e->list = (tm_span){at + user.len, list.len};
    if (user.len > 0) memcpy(at, user.ptr, user.len);
    if (list.len > 0) memcpy(at + user.len, list.ptr, list.len);
    memcpy(e->random, config->seed, sizeof e->random);
    e->random[0] |= 1; // all zero would stay so
    e->seed = (tm_seed){tm_engine_draw(e), tm_engine_draw(e)};
    e->manual = config->manual;
    e->mark.ptr = e->mark_bytes;
    tm_table_init(&e->view.items, alloc, e->seed);
    tm_table_init(&e->ids, alloc, e->seed);
    e->note_end = &e->note;
    e->disk.end = &e->disk.first;
    e->sync.flush_ms = TM_NEVER;
    *engine = e;
    tm_status status = tm_list_new(alloc, e->seed, &e->confirmed);
    if (status != TM_OK) tm_engine_free(e);
    return status;
}

static void note_free(tm_engine *e, tm_note *note) {
    if (note != NULL) tm_alloc_put(e->alloc, note, note->size);
}

void tm_engine_free(tm_engine *e) {
    if (e == NULL) return;
    size_t at = 0;
    while (e->note != NULL) {
        tm_note *note = e->note;
        e->note = note->next;
        note_free(e, note);
    }
    note_free(e, e->note_told);
    tm_load_free(e);
    tm_disk_pieces_free(e, TM_NEVER);
    while (e->first != NULL) {
        tm_own *own = e->first;
        e->first = own->next;
        tm_alloc_put(e->alloc, own, own->size);
    }
    while (e->records != NULL) {
        tm_record *record = e->records;
        e->records = record->next;
        tm_alloc_put(e->alloc, record, record->size);
    }
    for (tm_table_slot *slot;
         (slot = tm_table_next(&e->view.items, &at)) != NULL;) {
        tm_shown *shown = slot->value;
        tm_alloc_put(e->alloc, shown->json, shown->json_len);
        tm_alloc_put(e->alloc, shown, sizeof *shown + shown->id.len);
    }
    tm_alloc_put(e->alloc, e->view.order, e->view.cap * sizeof *e->view.order);
    tm_table_deinit(&e->view.items);
    tm_table_deinit(&e->ids);
    tm_list_free(e->confirmed);
    tm_arena_deinit(&e->arena);
    tm_buf *bufs[] = {&e->sent, &e->told, &e->read, &e->complaint, &e->sync.parts};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) {
        tm_buf_deinit(bufs[i]);
    }
    tm_alloc_put(e->alloc, e, sizeof *e + e->user.len + e->list.len);
}

// ---- events ------------------------------------------------------------------------

void tm_note_add(tm_engine *e, tm_event_kind kind, const tm_event *event) {
    size_t size = sizeof(tm_note) + event->key.len + event->value.len +
                  event->instance.len + event->field.len + event->mine.len +
                  event->winner.len;
    tm_note *note = tm_alloc_get(e->alloc, size);
    if (note == NULL) {
        e->notes_lost = true; // said as soon as there is memory for it
        return;
    }
    note->size = size;
    note->event = *event;
    note->event.kind = kind;
    uint8_t *at = (uint8_t *)(note + 1);
    tm_span *texts[] = {&note->event.key,      &note->event.value,
                        &note->event.instance, &note->event.field,
                        &note->event.mine,     &note->event.winner};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tm_span *text = texts[i];
        if (text->ptr == NULL) continue;
        if (text->len > 0) memcpy(at, text->ptr, text->len);
        text->ptr = at;
        at += text->len;
    }
    *e->note_end = note;
    e->note_end = &note->next;
}

void tm_note_text(tm_engine *e, tm_event_kind kind, tm_span key, tm_span value) {
    tm_note_add(e, kind, &(tm_event){.key = key, .value = value});
}

void tm_note_receipt(tm_engine *e, const tm_own *own, tm_receipt receipt) {
    tm_event event = {.key = own->op.id, .instance = own->op.instance_id};
    event.receipt = receipt;
    e->status_changed = true;
    tm_note_add(e, TM_EVENT_RECEIPT, &event);
}

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
    *event = (tm_event){.kind = TM_EVENT_SHOW, .key = {e->shown_id, 0}};
    tm_shown *shown = view->changed;
    if (shown == NULL) {
        bool order = !view->told && !view->stale;
        view->told = true;
        return order;
    }
    view->changed = shown->next_changed;
    shown->changed = false;
    memcpy(e->shown_id, shown->id.ptr, shown->id.len);
    event->key.len = shown->id.len;
    tm_view_drop(e, shown);
    return true;
}

bool tm_engine_event(tm_engine *e, tm_event *event) {
    note_free(e, e->note_told);
    e->note_told = NULL;
    *event = (tm_event){.kind = TM_EVENT_NONE};
    if (!e->started) return note_event(e, event);
    tm_view_windows(e);
    // A lock is held before anything is stored under its name.
    bool writer = e->note != NULL && e->note->event.kind == TM_EVENT_WRITER;
    if ((writer && note_event(e, event)) || tm_disk_event(e, event) ||
        note_event(e, event) || show_event(e, event)) {
        return true;
    }
    *event = (tm_event){.kind = TM_EVENT_STATUS};
    if (e->notes_lost) {
        e->notes_lost = false;
        *event = (tm_event){.kind = TM_EVENT_PROBLEM, .value = TM_SPAN("memory")};
        return true;
    }
    if (e->status_changed) {
        e->status_changed = false;
        return true;
    }
    event->kind = TM_EVENT_NONE;
    return tm_disk_commit(e, event);
}

// ---- reading -----------------------------------------------------------------------

static tm_buf *look(tm_engine *e, tm_now now, char bracket) {
    e->now = now;
    tm_view_windows(e);
    tm_view_flush(e);
    tm_arena_reset(&e->arena);
    tm_buf_reset(&e->read);
    tm_buf_byte(&e->read, (uint8_t)bracket);
    return &e->read;
}

static tm_status looked(tm_engine *e, char bracket, tm_span *json) {
    tm_buf_byte(&e->read, (uint8_t)bracket);
    *json = tm_buf_span(&e->read);
    return e->read.status;
}

tm_status tm_engine_item(tm_engine *e, tm_now now, tm_span id, tm_span *json) {
    tm_stamp at;
    (void)look(e, now, '{');
    tm_status status = tm_view_item(e, id, &at);
    *json = tm_buf_span(&e->read);
    return status;
}

tm_span tm_engine_sort(tm_engine *e, tm_now now) {
    (void)look(e, now, '[');
    const tm_shown *shown = tm_view_get(e, TM_SPAN(""), false);
    return shown == NULL ? TM_SPAN("asc") : (tm_span){shown->json, shown->json_len};
}

tm_status tm_engine_order(tm_engine *e, tm_now now, tm_span *json) {
    tm_buf *out = look(e, now, '[');
    const tm_view *view = &e->view;
    if (view->all || view->stale) return TM_E_NOMEM;
    bool desc = tm_engine_sort(e, now).len == 4;
    out = look(e, now, '[');
    for (size_t i = 0; i < view->count; i++) {
        const tm_shown *shown = view->order[desc ? view->count - 1 - i : i];
        tm_out_comma(out);
        tm_buf_json(out, shown->id);
    }
    return looked(e, ']', json);
}

static tm_span phase(const tm_engine *e) {
    const tm_sync *sync = &e->sync;
    if (sync->channel == TM_CHANNEL_NONE || sync->failures > 0 || sync->waits ||
        sync->stopped) {
        return TM_SPAN("offline");
    }
    bool live =
        sync->head_seen && e->cursor >= e->head &&
        tm_own_count(e, TM_FATE_PENDING) + tm_own_count(e, TM_FATE_OFFER) == 0;
    return live ? TM_SPAN("live") : TM_SPAN("syncing");
}

// How far an operation has got, as a tm_receipt.
static tm_receipt receipt_of(const tm_own *own) {
    const tm_record *record = &own->entry->record;
    if (!tm_own_queued(own)) {
        return own->seen ? TM_RECEIPT_SEEN : TM_RECEIPT_ACCEPTED;
    }
    if (record->disk) return TM_RECEIPT_DISK;
    return record->local ? TM_RECEIPT_KEPT : TM_RECEIPT_VOLATILE;
}

static void receipts_write(tm_engine *e, uint64_t *lost) {
    static const char words[][9] = {"volatile", "kept", "disk", "accepted", "seen"};
    size_t at = 0;
    tm_out_open(&e->read, TM_WORD_RECEIPTS, '{');
    for (tm_table_slot *slot;
         (slot = tm_table_next(&e->view.items, &at)) != NULL;) {
        const tm_own *own = ((tm_shown *)slot->value)->own;
        tm_receipt least = TM_RECEIPT_REJECTED;
        for (; own != NULL; own = own->newer) {
            tm_receipt one = receipt_of(own);
            *lost += one == TM_RECEIPT_VOLATILE;
            if (one < least) least = one;
        }
        if (least == TM_RECEIPT_REJECTED) continue;
        tm_out_key(&e->read, slot->key);
        tm_buf_byte(&e->read, '"');
        tm_buf_text(&e->read, words[least]);
        tm_buf_byte(&e->read, '"');
    }
    tm_buf_byte(&e->read, '}');
}

tm_status tm_engine_status(tm_engine *e, tm_now now, tm_span *json) {
    tm_buf *out = look(e, now, '{');
    uint64_t lost = 0, dead = 0;
    for (const tm_record *r = e->records; r != NULL; r = r->next) {
        dead += r->kind == TM_RECORD_DEAD && !r->gone;
    }
    tm_out_text(out, TM_WORD_PHASE, phase(e));
    receipts_write(e, &lost);
    tm_out_number(out, TM_WORD_PENDING, tm_own_count(e, TM_FATE_PENDING));
    tm_out_number(out, TM_WORD_VOLATILE, lost);
    tm_out_number(out, TM_WORD_DEAD, dead);
    tm_out_number(out, TM_WORD_CURSOR, e->cursor);
    tm_out_number(out, TM_WORD_HEAD, e->head);
    tm_out_number(out, TM_WORD_OFFERED, tm_own_count(e, TM_FATE_OFFER));
    tm_out_text(out, TM_WORD_BROWSER_ID, e->editor->browser);
    tm_out_word(out, TM_WORD_OFFSET);
    bool behind = (int64_t)e->offset_ms < 0;
    if (behind) tm_buf_byte(out, '-');
    if (e->offset_known) {
        tm_buf_u64(out, behind ? 0 - e->offset_ms : e->offset_ms);
    } else {
        tm_buf_text(out, "null");
    }
    return looked(e, '}', json);
}

tm_status tm_engine_dead(tm_engine *e, tm_span *json) {
    tm_buf *out = look(e, e->now, '[');
    for (const tm_record *r = e->records; r != NULL; r = r->next) {
        if (r->kind != TM_RECORD_DEAD || r->gone) continue;
        tm_out_comma(out);
        tm_buf_byte(out, '{');
        tm_out_dead(out, ((const tm_dead *)r)->operation,
                    ((const tm_dead *)r)->code);
        tm_buf_byte(out, '}');
    }
    return looked(e, ']', json);
}

const tm_list *tm_engine_confirmed(const tm_engine *e, uint64_t *cursor) {
    *cursor = e->cursor;
    return e->confirmed;
}

uint64_t tm_engine_deadline(const tm_engine *e) {
    const tm_disk *disk = &e->disk;
    uint64_t at = e->view.window_ms, sync = tm_sync_deadline(e);
    if (!e->started) return TM_NEVER;
    if (sync < at) at = sync;
    bool stores = disk->there && disk->changed && !disk->out && !disk->reload;
    if (stores && disk->retry_ms < at) at = disk->retry_ms;
    return at;
}
