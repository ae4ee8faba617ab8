// own.c - see inner.h. What this page made: operations, their entries, their
// writers.
#include "client/inner.h"

#include <string.h>

// ---- records -----------------------------------------------------------------------

void tm_record_name(tm_record *record, tm_span id) {
    static const char prefixes[][9] = {"op/", "writer/", "dead/"};
    const char *prefix = prefixes[record->kind];
    size_t len = 0;
    for (; prefix[len] != '\0'; len++) {
        record->key[len] = (uint8_t)prefix[len];
    }
    TM_ASSERT(id.len <= TM_ID_MAX);
    if (id.len > 0) memcpy(record->key + len, id.ptr, id.len);
    record->key_len = (uint8_t)(len + id.len);
}

tm_record *tm_record_new(tm_engine *e, tm_record_kind kind, size_t size,
                         tm_span id) {
    tm_record *record = tm_alloc_get(e->alloc, size);
    if (record == NULL) return NULL;
    record->kind = (uint8_t)kind;
    record->size = size;
    tm_record_name(record, id);
    record->next = e->records;
    e->records = record;
    return record;
}

void tm_record_change(tm_engine *e, tm_record *record) {
    record->dirty = e->disk.changed = true;
}

tm_writer *tm_writer_get(tm_engine *e, tm_span browser) {
    tm_writer **at = &e->writers;
    for (; *at != NULL; at = &(*at)->next) {
        if (tm_span_cmp((*at)->browser, browser) == 0) return *at;
    }
    tm_writer *writer =
        (tm_writer *)tm_record_new(e, TM_RECORD_WRITER, sizeof *writer, browser);
    if (writer == NULL) return NULL;
    writer->browser = (tm_span){writer->record.key + 7, browser.len};
    writer->next_version = 1;
    *at = writer;
    return writer;
}

// ---- operations --------------------------------------------------------------------

// Texts that stood in `raw` stay there; those that had escapes are copied
// behind it.
static void text_move(tm_own *own, const uint8_t *from, tm_span *text,
                      uint8_t **extra) {
    uintptr_t at = (uintptr_t)text->ptr - (uintptr_t)from;
    if (text->ptr == NULL) return;
    if (at < own->op.raw.len) {
        text->ptr = own->op.raw.ptr + at;
        return;
    }
    if (text->len > 0) memcpy(*extra, text->ptr, text->len);
    text->ptr = *extra;
    *extra += text->len;
}

static tm_own *own_copy(tm_engine *e, const tm_op *op) {
    // As much again for texts that had escapes: unescaping never makes them
    // longer.
    size_t size = sizeof(tm_own) + 2 * op->raw.len;
    tm_own *own = tm_alloc_get(e->alloc, size);
    if (own == NULL) return NULL;
    own->size = size;
    own->op = *op;
    uint8_t *raw = (uint8_t *)(own + 1), *extra = raw + op->raw.len;
    memcpy(raw, op->raw.ptr, op->raw.len);
    own->op.raw.ptr = raw;
    tm_span *texts[] = {&own->op.id, &own->op.type_name, &own->op.instance_id,
                        &own->op.image_id, &own->op.sort};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        text_move(own, op->raw.ptr, texts[i], &extra);
    }
    for (uint32_t i = 0; i < op->field_count; i++) {
        text_move(own, op->raw.ptr, &own->op.fields[i].name, &extra);
        text_move(own, op->raw.ptr, &own->op.fields[i].value, &extra);
    }
    return own;
}

tm_status tm_own_queue(tm_engine *e, tm_own *own) {
    return tm_table_set(&e->ids, own->op.id, own);
}

void tm_own_unqueue(tm_engine *e, tm_own *own) {
    (void)tm_table_remove(&e->ids, own->op.id);
}

size_t tm_own_count(const tm_engine *e, tm_fate fate) {
    size_t count = 0;
    for (const tm_own *own = e->first; own != NULL; own = own->next) {
        count += own->fate == fate && !own->waits;
    }
    return count;
}

tm_status tm_own_attach(tm_engine *e, tm_own *own) {
    tm_shown *item = tm_view_get(e, own->op.instance_id, true);
    if (item == NULL) return TM_E_NOMEM;
    tm_own **at = &item->own;
    while (*at != NULL) {
        at = &(*at)->newer;
    }
    *at = own;
    own->item = item;
    return TM_OK;
}

tm_own *tm_own_new(tm_engine *e, const tm_op *op, tm_entry *entry, tm_fate fate) {
    tm_own *own = own_copy(e, op);
    if (own == NULL) return NULL;
    own->fate = TM_FATE_DONE;
    own->prev = e->last;
    *(e->last != NULL ? &e->last->next : &e->first) = own;
    e->last = own;
    own->entry = entry;
    *(entry->last != NULL ? &entry->last->sibling : &entry->first) = own;
    entry->last = own;
    entry->open++;
    own->fate = (uint8_t)fate;
    if (!tm_own_queued(own) || tm_own_queue(e, own) == TM_OK) return own;
    own->fate = TM_FATE_DONE;
    tm_own_free(e, own);
    return NULL;
}

void tm_own_hush(tm_engine *e, tm_own *own) {
    tm_shown *item = own->item;
    own->quiet = true;
    e->disk.local = true; // its entry may go
    if (item == NULL) return;
    tm_own **at = &item->own;
    while (*at != own) {
        at = &(*at)->newer;
    }
    *at = own->newer;
    own->item = NULL;
    e->status_changed = true;
    tm_view_touch(e, item->id);
}

void tm_own_free(tm_engine *e, tm_own *own) {
    tm_entry *entry = own->entry;
    if (tm_own_queued(own)) tm_own_unqueue(e, own);
    tm_own_hush(e, own);
    *(own->prev != NULL ? &own->prev->next : &e->first) = own->next;
    *(own->next != NULL ? &own->next->prev : &e->last) = own->prev;
    tm_own **at = &entry->first;
    entry->last = NULL;
    while (*at != own) {
        entry->last = *at;
        at = &(*at)->sibling;
    }
    *at = own->sibling;
    for (tm_own *one = own->sibling; one != NULL; one = one->sibling) {
        entry->last = one;
    }
    tm_alloc_put(e->alloc, own, own->size);
}

void tm_own_done(tm_engine *e, tm_own *own) {
    tm_entry *entry = own->entry;
    own->fate = TM_FATE_DONE;
    if (--entry->open == 0) {
        entry->record.gone = true;
        tm_record_change(e, &entry->record);
    }
}

tm_own *tm_own_at(const tm_engine *e, uint64_t seq) {
    tm_own *own = e->first;
    while (own != NULL && (own->fate != TM_FATE_ACCEPTED || own->op.seq != seq)) {
        own = own->next;
    }
    return own;
}

uint64_t tm_own_acked(const tm_engine *e) {
    uint64_t acked = 0;
    for (const tm_own *own = e->first; own != NULL; own = own->next) {
        if (own->fate == TM_FATE_ACCEPTED && own->op.seq > acked)
            acked = own->op.seq;
    }
    return acked;
}
