// note.c - see inner.h. What the host will be told, in order; and the receipts of what
// was accepted, for as long as somebody may look at them.
#include "client/inner.h"

#include <string.h>

#define RECENT_MS                                                                  \
    60000u // engine.h: an edit's receipt is told until it is a minute old

static void text_keep(tm_span *text, uint8_t **at) {
    if (text->ptr == NULL) return;
    if (text->len > 0) memcpy(*at, text->ptr, text->len);
    text->ptr = *at;
    *at += text->len;
}

void tm_note_add(tm_engine *e, tm_event_kind kind, const tm_event *event) {
    size_t size = sizeof(tm_note) + event->key.len + event->value.len +
                  event->instance.len + event->field.len + event->mine.len +
                  event->winner.len + 1;
    tm_note *note = tm_alloc_get(e->alloc, size);
    if (note == NULL) {
        e->notes_lost = true; // said as soon as there is memory for it
        return;
    }
    note->size = size;
    note->event = *event;
    note->event.kind = kind;
    uint8_t *at = (uint8_t *)(note + 1);
    text_keep(&note->event.key, &at);
    text_keep(&note->event.value, &at);
    text_keep(&note->event.instance, &at);
    text_keep(&note->event.field, &at);
    text_keep(&note->event.mine, &at);
    text_keep(&note->event.winner, &at);
    *e->note_end = note;
    e->note_end = &note->next;
}

void tm_note_text(tm_engine *e, tm_event_kind kind, tm_span key, tm_span value) {
    tm_note_add(e, kind, &(tm_event){.key = key, .value = value});
}

static void receipt_add(tm_engine *e, tm_span id, tm_span instance,
                        tm_receipt receipt) {
    tm_note_add(e, TM_EVENT_RECEIPT,
                &(tm_event){.key = id, .instance = instance, .receipt = receipt});
    e->status_changed = true;
}

void tm_note_receipt(tm_engine *e, const tm_own *own, tm_receipt receipt) {
    if (own->entry != NULL) {
        receipt_add(e, own->op.id, own->op.instance_id, receipt);
    }
}

void tm_recent_add(tm_engine *e, tm_own *own) {
    tm_note_receipt(e, own, TM_RECEIPT_ACCEPTED);
    if (own->entry == NULL) return;
    tm_target *target = tm_queue_target(&e->queue, own->op.instance_id, true);
    tm_recent *recent = tm_alloc_get(e->alloc, sizeof *recent);
    if (target == NULL ||
        recent == NULL) { // a receipt fewer; nothing is lost by it
        tm_alloc_put(e->alloc, recent, sizeof *recent);
        if (target != NULL) tm_queue_target_drop(&e->queue, target);
        return;
    }
    recent->target = target;
    recent->target->recent++;
    recent->seq = own->op.seq;
    recent->until_ms = e->now.mono_ms + RECENT_MS;
    recent->id_len = (uint8_t)own->op.id.len;
    memcpy(recent->id, own->op.id.ptr, own->op.id.len);
    *e->recent_end = recent;
    e->recent_end = &recent->next;
}

static void recent_drop(tm_engine *e, tm_recent **at) {
    tm_recent *recent = *at;
    recent->target->recent--;
    recent->target->seen -= recent->seen;
    tm_queue_target_drop(&e->queue, recent->target);
    *at = recent->next;
    tm_alloc_put(e->alloc, recent, sizeof *recent);
    e->status_changed = true;
}

void tm_recent_seen(tm_engine *e, uint64_t version) {
    for (tm_recent *recent = e->recent; recent != NULL; recent = recent->next) {
        if (recent->seen || recent->seq > version) continue;
        recent->seen = true;
        recent->target->seen++;
        receipt_add(e, (tm_span){recent->id, recent->id_len}, recent->target->id,
                    TM_RECEIPT_SEEN);
    }
}

void tm_recent_tick(tm_engine *e) {
    tm_recent **at = &e->recent;
    while (*at != NULL) {
        if ((*at)->until_ms <= e->now.mono_ms) {
            recent_drop(e, at);
        } else {
            at = &(*at)->next;
        }
    }
    e->recent_end = at;
}
