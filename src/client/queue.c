// queue.c - see queue.h.
#include "client/queue.h"

#include <string.h>

void tm_queue_init(tm_queue *queue, const tm_alloc *alloc, tm_seed seed) {
    queue->alloc = alloc;
    tm_table_init(&queue->ids, alloc, seed);
    tm_table_init(&queue->targets, alloc, seed);
}

void tm_queue_deinit(tm_queue *queue) {
    const tm_alloc *alloc = queue->alloc;
    for (tm_own *own = queue->offers.first; own != NULL;) {
        tm_own *next = own->link[TM_LINE_QUEUE].next;
        if (own->entry == NULL) tm_own_free(alloc, own);
        own = next;
    }
    for (size_t i = 0; i < queue->accepted_count; i++) {
        tm_own *own = queue->accepted[i];
        if (own->entry == NULL) tm_own_free(alloc, own);
    }
    for (tm_entry *entry = queue->first; entry != NULL;) {
        tm_entry *next = entry->next;
        for (tm_own *own = entry->first; own != NULL;) {
            tm_own *sibling = own->sibling;
            tm_own_free(alloc, own);
            own = sibling;
        }
        tm_alloc_put(alloc, entry, sizeof *entry);
        entry = next;
    }
    for (tm_writer *writer = queue->writers; writer != NULL;) {
        tm_writer *next = writer->next;
        tm_alloc_put(alloc, writer, sizeof *writer);
        writer = next;
    }
    size_t at = 0;
    for (tm_table_slot *slot;
         (slot = tm_table_next(&queue->targets, &at)) != NULL;) {
        tm_alloc_put(alloc, slot->value, sizeof(tm_target) + slot->key.len);
    }
    tm_table_deinit(&queue->ids);
    tm_table_deinit(&queue->targets);
    tm_alloc_put(alloc, queue->accepted, queue->accepted_cap * sizeof(tm_own *));
}

// ---- lines --------------------------------------------------------------------------

static void line_add(tm_line *line, tm_own *own, int which) {
    own->link[which].prev = line->last;
    own->link[which].next = NULL;
    if (line->last != NULL) {
        line->last->link[which].next = own;
    } else {
        line->first = own;
    }
    line->last = own;
    line->count++;
}

static void line_cut(tm_line *line, tm_own *own, int which) {
    tm_own *next = own->link[which].next, *prev = own->link[which].prev;
    if (next != NULL) {
        next->link[which].prev = prev;
    } else {
        line->last = prev;
    }
    if (prev != NULL) {
        prev->link[which].next = next;
    } else {
        line->first = next;
    }
    line->count--;
}

static tm_line *line_of(tm_queue *queue, tm_own *own) {
    return own->fate == TM_FATE_OFFER ? &queue->offers : &own->writer->line;
}

// ---- writers and entries ------------------------------------------------------------

tm_writer *tm_queue_writer(tm_queue *queue, tm_span browser) {
    TM_ASSERT(browser.len <= TM_ID_MAX);
    tm_writer **at = &queue->writers;
    for (; *at != NULL; at = &(*at)->next) {
        if (tm_span_cmp((*at)->browser, browser) == 0) return *at;
    }
    tm_writer *writer = tm_alloc_get(queue->alloc, sizeof *writer);
    if (writer == NULL) TM_NO_MEMORY;
    memcpy(writer->key, "writer/", 7);
    memcpy(writer->key + 7, browser.ptr, browser.len);
    writer->key_len = (uint8_t)(7 + browser.len);
    writer->browser = (tm_span){writer->key + 7, browser.len};
    writer->next_version = 1;
    *at = writer;
    return writer;
}

tm_entry *tm_queue_entry(tm_queue *queue, tm_writer *owner) {
    tm_entry *entry = tm_alloc_get(queue->alloc, sizeof *entry);
    if (entry == NULL) TM_NO_MEMORY;
    entry->owner = owner;
    entry->prev = queue->last;
    if (queue->last != NULL) {
        queue->last->next = entry;
    } else {
        queue->first = entry;
    }
    queue->last = entry;
    return entry;
}

void tm_entry_name(tm_entry *entry, tm_span id) {
    TM_ASSERT(id.len <= TM_ID_MAX);
    memcpy(entry->key, "op/", 3);
    memcpy(entry->key + 3, id.ptr, id.len);
    entry->key_len = (uint8_t)(3 + id.len);
}

tm_span tm_entry_key(const tm_entry *entry) {
    return (tm_span){entry->key, entry->key_len};
}

void tm_entry_add(tm_entry *entry, tm_own *own) {
    own->entry = entry;
    own->sibling = NULL;
    if (entry->last != NULL) {
        entry->last->sibling = own;
    } else {
        entry->first = own;
    }
    entry->last = own;
    entry->open++;
}

void tm_queue_drop_entry(tm_queue *queue, tm_entry *entry) {
    for (tm_own *own = entry->first; own != NULL;) {
        tm_own *sibling = own->sibling;
        tm_own_free(queue->alloc, own);
        own = sibling;
    }
    if (entry->next != NULL) {
        entry->next->prev = entry->prev;
    } else {
        queue->last = entry->prev;
    }
    if (entry->prev != NULL) {
        entry->prev->next = entry->next;
    } else {
        queue->first = entry->next;
    }
    tm_alloc_put(queue->alloc, entry, sizeof *entry);
}

// ---- operations ---------------------------------------------------------------------

// Texts that stood in `raw` stay there; those that had escapes are copied behind it.
typedef struct copying {
    const uint8_t *from;
    uint8_t *raw, *extra;
    size_t raw_len;
} copying;

static void text_move(copying *c, tm_span *text) {
    if (text->ptr == NULL) return;
    uintptr_t at = (uintptr_t)text->ptr - (uintptr_t)c->from;
    if (at < c->raw_len) {
        text->ptr = c->raw + at;
        return;
    }
    if (text->len > 0) memcpy(c->extra, text->ptr, text->len);
    text->ptr = c->extra;
    c->extra += text->len;
}

tm_own *tm_own_new(const tm_alloc *alloc, const tm_op *op) {
    size_t size = sizeof(tm_own) + op->raw.len + op->id.len + op->type_name.len +
                  op->instance_id.len + op->image_id.len + op->sort.len + 1;
    for (uint32_t i = 0; i < op->field_count; i++) {
        size += op->fields[i].name.len + op->fields[i].value.len;
    }
    tm_own *own = tm_alloc_get(alloc, size);
    if (own == NULL) TM_NO_MEMORY;
    own->size = size;
    own->op = *op;
    copying c = {.from = op->raw.ptr, .raw_len = op->raw.len};
    c.raw = (uint8_t *)(own + 1);
    c.extra = c.raw + op->raw.len;
    memcpy(c.raw, op->raw.ptr, op->raw.len);
    own->op.raw.ptr = c.raw;
    text_move(&c, &own->op.id);
    text_move(&c, &own->op.type_name);
    text_move(&c, &own->op.instance_id);
    text_move(&c, &own->op.image_id);
    text_move(&c, &own->op.sort);
    for (uint32_t i = 0; i < op->field_count; i++) {
        text_move(&c, &own->op.fields[i].name);
        text_move(&c, &own->op.fields[i].value);
    }
    return own;
}

void tm_own_free(const tm_alloc *alloc, tm_own *own) {
    if (own != NULL) tm_alloc_put(alloc, own, own->size);
}

tm_target *tm_queue_target(tm_queue *queue, tm_span id, bool make) {
    if (id.ptr == NULL) id = (tm_span){(const uint8_t *)"", 0}; // NULL is no key
    tm_target *target = tm_table_get(&queue->targets, id);
    if (target != NULL || !make) return target;
    target = tm_alloc_get(queue->alloc, sizeof *target + id.len);
    if (target == NULL) return NULL;
    target->id = (tm_span){(uint8_t *)(target + 1), id.len};
    if (id.len > 0) memcpy(target + 1, id.ptr, id.len);
    if (tm_table_set(&queue->targets, target->id, target) == TM_OK) return target;
    tm_alloc_put(queue->alloc, target, sizeof *target + id.len);
    return NULL;
}

void tm_queue_target_drop(tm_queue *queue, tm_target *target) {
    if (target->line.count > 0 || target->recent > 0) return;
    (void)tm_table_remove(&queue->targets, target->id);
    tm_alloc_put(queue->alloc, target, sizeof *target + target->id.len);
}

tm_status tm_queue_add(tm_queue *queue, tm_own *own) {
    tm_target *target = NULL;
    if (own->entry != NULL) {
        target = tm_queue_target(queue, own->op.instance_id, true);
        if (target == NULL) return tm_refused();
    }
    tm_status status = tm_table_set(&queue->ids, own->op.id, own);
    if (status != TM_OK) {
        if (target != NULL) tm_queue_target_drop(queue, target);
        return status;
    }
    own->target = target;
    line_add(line_of(queue, own), own, TM_LINE_QUEUE);
    if (target == NULL) return TM_OK;
    line_add(&target->line, own, TM_LINE_TARGET);
    queue->pending++;
    return TM_OK;
}

void tm_queue_take(tm_queue *queue, tm_own *own) {
    (void)tm_table_remove(&queue->ids, own->op.id);
    line_cut(line_of(queue, own), own, TM_LINE_QUEUE);
    if (own->target == NULL) return;
    queue->pending -= !own->waits;
    own->waits = false;
    line_cut(&own->target->line, own, TM_LINE_TARGET);
    tm_queue_target_drop(queue, own->target);
    own->target = NULL;
}

tm_own *tm_queue_find(const tm_queue *queue, tm_span id) {
    return tm_table_get(&queue->ids, id);
}

bool tm_own_on(const tm_own *own, tm_span name) {
    if (own->op.type == TM_OP_SORT) return true;
    if (name.len == 0) return true;
    for (uint32_t i = 0; i < own->op.field_count; i++) {
        if (tm_span_cmp(own->op.fields[i].name, name) == 0) return true;
    }
    return false;
}

// ---- what was accepted --------------------------------------------------------------

// The first place whose seq is not below.
static size_t accepted_place(const tm_queue *queue, uint64_t seq) {
    size_t place = queue->accepted_count;
    while (place > 0 && queue->accepted[place - 1]->op.seq >= seq) {
        place--;
    }
    return place;
}

tm_status tm_queue_accept_reserve(tm_queue *queue, size_t more) {
    size_t cap = queue->accepted_cap, want = queue->accepted_count + more;
    if (want <= cap) return TM_OK;
    want += cap;
    tm_own **accepted =
        tm_alloc_resize(queue->alloc, queue->accepted, cap * sizeof *accepted,
                        want * sizeof *accepted);
    if (accepted == NULL) return tm_refused();
    queue->accepted = accepted;
    queue->accepted_cap = want;
    return TM_OK;
}

void tm_queue_accept(tm_queue *queue, tm_own *own) {
    TM_ASSERT(queue->accepted_count < queue->accepted_cap);
    size_t place = accepted_place(queue, own->op.seq);
    tm_own **at = queue->accepted + place;
    memmove(at + 1, at, (queue->accepted_count - place) * sizeof *at);
    *at = own;
    queue->accepted_count++;
    own->fate = TM_FATE_ACCEPTED;
}

uint64_t tm_queue_acked(const tm_queue *queue) {
    size_t count = queue->accepted_count;
    return count > 0 ? queue->accepted[count - 1]->op.seq : 0;
}

tm_own *tm_queue_accepted(const tm_queue *queue, uint64_t seq) {
    size_t place = accepted_place(queue, seq);
    if (place == queue->accepted_count) return NULL;
    tm_own *own = queue->accepted[place];
    return own->op.seq == seq ? own : NULL;
}

void tm_queue_unaccept(tm_queue *queue, tm_own *own) {
    size_t place = 0;
    while (queue->accepted[place] != own) {
        place++;
    }
    queue->accepted_count--;
    memmove(queue->accepted + place, queue->accepted + place + 1,
            (queue->accepted_count - place) * sizeof *queue->accepted);
}

void tm_own_done(tm_queue *queue, tm_own *own) {
    own->fate = TM_FATE_DONE;
    if (own->entry == NULL) {
        tm_own_free(queue->alloc, own);
        return;
    }
    if (--own->entry->open > 0) return;
    own->entry->kept.gone = true;
    own->entry->kept.dirty = true;
}

void tm_queue_wait(tm_queue *queue, tm_own *own, bool waits) {
    if (own->waits == waits || own->target == NULL) return;
    own->waits = waits;
    queue->pending += waits ? (size_t)-1 : 1;
}

bool tm_queue_wake(tm_queue *queue) {
    size_t at = 0, pending = queue->pending;
    for (tm_table_slot *slot; (slot = tm_table_next(&queue->ids, &at)) != NULL;) {
        tm_queue_wait(queue, slot->value, false);
    }
    return queue->pending != pending;
}

// ---- stamps and names ---------------------------------------------------------------

bool tm_queue_lift(tm_writer *writer, uint64_t time) {
    bool lifted = false;
    tm_own *own = writer->line.first;
    for (; own != NULL; own = own->link[TM_LINE_QUEUE].next) {
        if (own->waits) continue;
        if (own->op.at.time > time) break;
        own->op.at.time = ++time;
        own->entry->kept.dirty = lifted = true;
    }
    return lifted;
}

uint64_t tm_queue_time(const tm_queue *queue) {
    uint64_t time = 0;
    for (const tm_writer *w = queue->writers; w != NULL; w = w->next) {
        const tm_own *last = w->line.last;
        if (last != NULL && last->op.at.time > time) time = last->op.at.time;
    }
    for (const tm_own *own = queue->offers.first; own != NULL;
         own = own->link[TM_LINE_QUEUE].next) {
        if (own->op.at.time > time) time = own->op.at.time;
    }
    return time;
}

void tm_queue_rename(tm_queue *queue, tm_writer *from, tm_writer *to) {
    for (tm_own *own; (own = from->line.first) != NULL;) {
        line_cut(&from->line, own, TM_LINE_QUEUE);
        own->writer = to;
        own->op.at.browser = to->browser;
        own->op.at.version = to->next_version++;
        line_add(&to->line, own, TM_LINE_QUEUE);
    }
    for (tm_entry *entry = queue->first; entry != NULL; entry = entry->next) {
        if (entry->owner != from || entry->kept.gone) continue;
        entry->owner = to;
        entry->kept.dirty = true;
    }
}
