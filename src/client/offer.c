// offer.c - see inner.h. What a replaced C had and the server has not is offered to it:
// the server may have been restored from an old backup, and something missing there is
// never read as a deletion. SEMANTICS 6.
//
// Offers go out under writers of their own, apart from the queue, with their original
// times, so that an own pending edit is never lifted below an older own value and one
// item's old value never above another browser's newer one.
#include "client/inner.h"

#include "core/sort.h"

#include <string.h>

// One register of `lacking` that the server should know, or a deletion, or an operation
// of an unknown type.
typedef struct lack {
    tm_span id, name;
    tm_reg reg; // a deletion: all zero
    tm_span raw;
} lack;

typedef struct lacks {
    tm_engine *e;
    lack *at;
    size_t count, cap;
    bool covered; // something is left out, since the queue says as much
    tm_status status;
} lacks;

static void lack_add(lacks *all, const lack *one) {
    if (all->count == all->cap) {
        size_t cap = all->cap == 0 ? 64 : 2 * all->cap;
        lack *at = tm_arena_get(&all->e->arena, cap * sizeof *at);
        if (at == NULL) {
            all->status = TM_E_NOMEM;
            return;
        }
        if (all->count > 0) memcpy(at, all->at, all->count * sizeof *at);
        all->at = at;
        all->cap = cap;
    }
    all->at[all->count++] = *one;
}

// Deletions first, then by stamp; registers of one item and stamp side by side, with
// `add` (the empty name) in front.
static int lack_cmp(const void *a, const void *b) {
    const lack *x = a, *y = b;
    int order = tm_stamp_cmp(&x->reg.at, &y->reg.at);
    if (order == 0) order = tm_span_cmp(x->id, y->id);
    return order != 0 ? order : tm_span_cmp(x->name, y->name);
}

static bool same_value(tm_span a, tm_span b) {
    return (a.ptr == NULL) == (b.ptr == NULL) && tm_span_cmp(a, b) == 0;
}

// ---- what is struck -----------------------------------------------------------------

#define STRUCK_MAX (1 + TM_FIELD_NAME_MAX + TM_NAME_MAX)

static bool struck_key(uint8_t key[STRUCK_MAX], tm_span id, tm_span name,
                       tm_span *made) {
    if (name.len > TM_FIELD_NAME_MAX || id.len > TM_NAME_MAX) return false;
    key[0] = (uint8_t)name.len;
    if (name.len > 0) memcpy(key + 1, name.ptr, name.len);
    if (id.len > 0) memcpy(key + 1 + name.len, id.ptr, id.len);
    *made = (tm_span){key, 1 + name.len + id.len};
    return true;
}

static bool is_struck(const tm_engine *e, tm_span id, tm_span name) {
    uint8_t bytes[STRUCK_MAX];
    tm_span key;
    return struck_key(bytes, id, name, &key) &&
           tm_table_get(&e->struck, key) != NULL;
}

static void strike(tm_engine *e, tm_span id, tm_span name) {
    uint8_t bytes[STRUCK_MAX];
    tm_span key;
    if (!struck_key(bytes, id, name, &key)) return;
    if (tm_arena_copy(&e->struck_keys, key, &key) != TM_OK) return; // offered again
    tm_status status = tm_table_set(&e->struck, key, e);
    (void)status;
}

void tm_offer_anew(tm_engine *e) {
    tm_table_deinit(&e->struck);
    tm_arena_reset(&e->struck_keys);
    e->offered = false;
}

// The server has it now, whether it won there or not: it is never offered twice.
void tm_offer_strike(tm_engine *e, const tm_own *own) {
    if (own->op.type == TM_OP_ADD || own->op.type == TM_OP_SORT) {
        strike(e, own->op.instance_id, TM_SPAN(""));
    }
    for (uint32_t i = 0; i < own->op.field_count; i++) {
        strike(e, own->op.instance_id, own->op.fields[i].name);
    }
}

// ---- what is lacking ------------------------------------------------------------------

// Whether an operation in the queue says as much: it will arrive by itself. `reg` NULL:
// the item's deletion.
static bool says(tm_engine *e, tm_span id, tm_span name, const tm_reg *reg) {
    const tm_target *target = tm_queue_target(&e->queue, id, false);
    const tm_own *own = target != NULL ? target->line.first : NULL;
    for (; own != NULL; own = own->link[TM_LINE_TARGET].next) {
        if (own->op.type == TM_OP_DELETE) return true;
        if (reg == NULL) continue;
        if (name.len == 0 && own->op.type != TM_OP_ADD &&
            own->op.type != TM_OP_SORT) {
            continue;
        }
        if (tm_own_on(own, name) && tm_stamp_cmp(&own->op.at, &reg->at) >= 0) {
            return true;
        }
    }
    return false;
}

static bool covered(lacks *all, tm_span id, tm_span name, const tm_reg *reg) {
    if (!says(all->e, id, name, reg)) return false;
    all->covered = true;
    return true;
}

static void reg_lack(lacks *all, tm_span id, tm_span name, const tm_reg *reg,
                     const tm_reg *there) {
    if (there->at.browser.len > 0) {
        if (there->at.time == reg->at.time &&
            same_value(there->value, reg->value)) {
            return;
        }
        if (tm_stamp_cmp(&there->at, &reg->at) >= 0) return;
    }
    if (is_struck(all->e, id, name) || covered(all, id, name, reg)) return;
    lack_add(all, &(lack){.id = id, .name = name, .reg = *reg});
}

static void item_lack(lacks *all, const tm_item *item) {
    tm_engine *e = all->e;
    tm_span id = tm_item_id(item);
    const tm_item *there = tm_list_find(e->confirmed, id);
    if (tm_item_dead(there)) return;
    if (item->dead && !covered(all, id, TM_SPAN(""), NULL)) {
        lack_add(all, &(lack){.id = id});
    }
    tm_item_field field;
    for (size_t at = 0; tm_item_next(item, &at, &field);) {
        tm_item_field other;
        (void)tm_item_get(there, field.name, &other);
        reg_lack(all, id, field.name, &field.reg, &other.reg);
    }
}

static tm_status unknown_read(tm_engine *e, const tm_list *list, size_t index,
                              tm_op *op) {
    tm_json in;
    tm_json_init(&in, tm_list_unknown(list, index), TM_JSON_DEPTH_MAX, &e->arena);
    return tm_op_read(&in, op);
}

static void unknown_lack(lacks *all, tm_table *known) {
    tm_engine *e = all->e;
    tm_op op;
    size_t count = tm_list_unknown_count(e->lacking);
    size_t there = count > 0 ? tm_list_unknown_count(e->confirmed) : 0;
    for (size_t i = 0; i < there; i++) {
        if (unknown_read(e, e->confirmed, i, &op) != TM_OK ||
            tm_table_set(known, op.id, e) != TM_OK) {
            all->status = TM_E_NOMEM;
            return;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (unknown_read(e, e->lacking, i, &op) != TM_OK) {
            all->status = TM_E_NOMEM;
            return;
        }
        if (tm_table_get(known, op.id) != NULL ||
            tm_queue_find(&e->queue, op.id) != NULL) {
            continue;
        }
        lack_add(all, &(lack){.id = op.id, .reg = {.at = op.at}, .raw = op.raw});
    }
}

static void lacks_find(lacks *all) {
    tm_engine *e = all->e;
    if (e->lacking == NULL) return;
    for (size_t i = 0; i < tm_list_count(e->lacking); i++) {
        item_lack(all, tm_list_at(e->lacking, i));
    }
    const tm_item *sort = tm_list_find(e->lacking, TM_SPAN(""));
    if (sort != NULL) item_lack(all, sort);
    tm_table known;
    tm_table_init(&known, e->alloc, e->seed);
    unknown_lack(all, &known);
    tm_table_deinit(&known);
}

// ---- making offers ----------------------------------------------------------------

static tm_status own_put(tm_engine *e, const tm_op *op) {
    tm_own *own = tm_own_new(e->alloc, op);
    if (own == NULL) return tm_refused();
    own->fate = TM_FATE_OFFER;
    own->made_ms = e->now.mono_ms;
    own->op.at.browser = TM_SPAN("-");
    tm_status status = tm_queue_add(&e->queue, own);
    if (status != TM_OK) tm_own_free(e->alloc, own);
    return status;
}

// From the JSON that tm_op_write gives, so that an offer is an operation like any other.
static tm_status op_put(tm_engine *e, tm_op *op) {
    uint8_t id[22];
    op->id = tm_engine_draw_id(e, id);
    op->at.browser = TM_SPAN("-");
    op->at.version = 1;
    tm_buf_reset(&e->read);
    tm_op_write(&e->read, op);
    if (tm_buf_status(&e->read) != TM_OK) return tm_refused();
    tm_json in;
    tm_op made;
    tm_json_init(&in, tm_buf_span(&e->read), TM_JSON_DEPTH_MAX, &e->arena);
    tm_status status = tm_op_read(&in, &made);
    return status == TM_OK ? own_put(e, &made) : status;
}

// One operation from the first of `all`, and from those behind it that belong to it.
static tm_status first_put(tm_engine *e, lack *const *all, size_t count,
                           size_t *used) {
    const lack *first = all[0];
    tm_op op;
    *used = 1;
    if (first->raw.len > 0) {
        tm_json in;
        tm_json_init(&in, first->raw, TM_JSON_DEPTH_MAX, &e->arena);
        tm_status status = tm_op_read(&in, &op);
        return status == TM_OK ? own_put(e, &op) : status;
    }
    memset(&op, 0, sizeof op);
    op.instance_id = first->id;
    op.at.time = first->reg.at.time;
    if (first->reg.at.browser.len == 0) {
        op.type = TM_OP_DELETE;
        return op_put(e, &op);
    }
    if (first->id.len == 0) {
        op.type = TM_OP_SORT;
        op.sort = first->reg.value;
        return op_put(e, &op);
    }
    op.type = TM_OP_UPDATE;
    size_t i = 0;
    if (first->name.len == 0) {
        op.type = TM_OP_ADD;
        op.image_id = first->reg.value;
        i = 1;
    }
    for (; i < count && op.field_count < TM_FIELDS_MAX; i++) {
        if (tm_span_cmp(all[i]->id, first->id) != 0 || all[i]->raw.len > 0 ||
            tm_stamp_cmp(&all[i]->reg.at, &first->reg.at) != 0) {
            break;
        }
        op.fields[op.field_count++] = (tm_field){all[i]->name, all[i]->reg.value};
    }
    *used = i;
    return op_put(e, &op);
}

void tm_offer_clear(tm_engine *e) {
    for (tm_own *own = e->queue.offers.first; own != NULL;) {
        tm_own *next = own->link[TM_LINE_QUEUE].next;
        if (own->entry == NULL) {
            tm_queue_take(&e->queue, own);
            tm_own_free(e->alloc, own);
        }
        own = next;
    }
}

tm_status tm_offer_make(tm_engine *e) {
    if (e->lacking == NULL || e->queue.offers.count > 0) return TM_OK;
    tm_arena_reset(&e->arena);
    lacks all = {.e = e};
    lacks_find(&all);
    const void **sorted = tm_arena_get(&e->arena, all.count * sizeof *sorted);
    if (sorted == NULL || all.status != TM_OK) return tm_refused();
    for (size_t i = 0; i < all.count; i++) {
        sorted[i] = &all.at[i];
    }
    tm_sort(sorted, all.count, lack_cmp);
    size_t used = 0;
    for (size_t i = 0; i < all.count && e->queue.offers.count < TM_PUSH_OPS_MAX;
         i += used) {
        lack *const *rest = (lack *const *)(const void *)(sorted + i);
        tm_status status = first_put(e, rest, all.count - i, &used);
        if (status != TM_OK) return status;
    }
    if (all.count > 0 || all.covered) return TM_OK;
    // Nothing is left, and where the server decided against it, C is right. What was
    // offered must be behind the stored cursor before the copy goes: a server that is
    // restored once more would lack it again.
    if (!e->offered) e->offered = e->view.all_touched = true;
    for (size_t i = 0; i < e->queue.accepted_count; i++) {
        if (e->queue.accepted[i]->entry == NULL) return TM_OK;
    }
    tm_list_free(e->lacking);
    e->lacking = NULL;
    e->disk.lacking_due = e->disk.changed = true;
    return TM_OK;
}

// A writer's times only grow, or the server would lift what comes too low; an offer that
// is not above its writer's last starts another writer. Deletions have no use for a time:
// they count up from 0, which keeps a thousand of them in one line.
tm_status tm_offer_number(tm_engine *e) {
    for (tm_own *own = e->queue.offers.first; own != NULL;
         own = own->link[TM_LINE_QUEUE].next) {
        tm_writer *writer = e->offer_writer;
        if (own->writer != NULL) continue;
        bool counts = own->op.type == TM_OP_DELETE && own->entry == NULL;
        if (counts && writer != NULL && writer->last_time < UINT16_MAX) {
            own->op.at.time = writer->last_time + 1;
        }
        if (writer == NULL ||
            (writer->next_version > 1 && own->op.at.time <= writer->last_time)) {
            uint8_t id[22];
            writer = tm_queue_writer(&e->queue, tm_engine_draw_id(e, id));
            if (writer == NULL) return tm_refused();
            e->offer_writer = writer;
        }
        writer->last_time = own->op.at.time;
        own->writer = writer;
        own->op.at.browser = writer->browser;
        own->op.at.version = writer->next_version++;
        tm_view_touch(e, own->op.instance_id); // a stamp is also a place
    }
    return TM_OK;
}
