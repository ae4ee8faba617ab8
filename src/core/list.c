// list.c - see list.h; list_join.c has the joins of single parts, list_json.c the canonical
// bytes.
#include "core/list.h"

#include "core/list_impl.h"
#include "core/sort.h"

#include <string.h>

#define COMPACT_MIN 16384u // less idle memory is not worth compacting
#define SIZE_FRAME  96u // {"format":1,"browsers":[],"dead":[],"items":[],"sort":}

// ---- making and freeing -------------------------------------------------------------

tm_status tm_list_new(const tm_alloc *alloc, tm_seed seed, tm_list **list) {
    tm_list *made = tm_alloc_get(alloc, sizeof *made);
    if (made == NULL) return tm_refused();
    made->alloc = made->pool.alloc = alloc;
    made->seed = seed;
    made->size = SIZE_FRAME;
    made->compact_at = COMPACT_MIN;
    tm_table_init(&made->browsers, alloc, seed);
    tm_table_init(&made->names, alloc, seed);
    tm_table_init(&made->unknown_ids, alloc, seed);
    *list = made;
    return TM_OK;
}

#if TM_BROWSER

static void text_put(tm_list *list, const tm_span *text) {
    tm_pool_put(&list->pool, text->ptr, text->len);
}

static void words_put(tm_list *list, const tm_table *words) {
    size_t at = 0;
    for (tm_table_slot *slot; (slot = tm_table_next(words, &at)) != NULL;) {
        tm_pool_put(&list->pool, slot->value, sizeof(list_word) + slot->key.len);
    }
}

// Whatever list_join.c took from the pool.
static void blocks_free(tm_list *list) {
    for (uint32_t i = 0; i < list->count; i++) {
        tm_item *item = list->items[i];
        text_put(list, &item->add.value);
        for (uint32_t k = 0; k < item->field_count; k++) {
            text_put(list, &item->fields[k].reg.value);
        }
        tm_pool_put(&list->pool, item->fields,
                    item->field_count * sizeof *item->fields);
        tm_pool_put(&list->pool, item, sizeof *item + item->id.len);
    }
    text_put(list, &list->sort.value);
    words_put(list, &list->browsers);
    words_put(list, &list->names);
}

#else

static void blocks_free(tm_list *list) {
    tm_pool_deinit(&list->pool);
}

#endif

void tm_list_free(tm_list *list) {
    if (list == NULL) return;
    const tm_alloc *alloc = list->alloc;
    blocks_free(list);
    tm_table_deinit(&list->browsers);
    tm_table_deinit(&list->names);
    tm_table_deinit(&list->unknown_ids);
    tm_alloc_put(alloc, list->items, list->item_cap * sizeof *list->items);
    tm_alloc_put(alloc, list->places, list->place_cap * sizeof *list->places);
    for (size_t i = 0; i < list->unknown_count; i++) {
        const list_unknown *kept = &list->unknown[i];
        tm_alloc_put(alloc, (void *)(uintptr_t)kept->id.ptr,
                     kept->id.len + kept->raw.len);
    }
    tm_alloc_put(alloc, list->unknown, list->unknown_cap * sizeof *list->unknown);
    tm_alloc_put(alloc, list, sizeof *list);
}

// Everything but the unknown operations.
static tm_status registers_join(tm_list *list, const tm_list *from) {
    tm_status status = TM_OK;
    bool changed = false;
    for (uint32_t i = 0; i < from->count && status == TM_OK; i++) {
        status = tm_list_item_join(list, from->items[i], &changed);
    }
    if (status == TM_OK && tm_list_written(&from->sort)) {
        status = tm_list_sort_join(list, &from->sort, &changed);
    }
    return status;
}

// ---- compacting ---------------------------------------------------------------------

// Blocks of one class do not serve another. A list whose values keep changing their
// lengths would gather free blocks for ever, and browsers that nothing names any more;
// when more lies idle than is in use, all is joined into a new list, which becomes this
// one, and the old memory goes back.

#if TM_BROWSER

// Nothing is idle there: rt.c serves all classes from one memory. (Browsers that nothing
// names any more are few in the life of a page.)
static void compact_maybe(tm_list *list) {
    (void)list;
}

#else

static void list_swap(tm_list *a, tm_list *b) {
    tm_list swap = *a;
    *a = *b;
    *b = swap;
}

static void unknown_move(tm_list *to, tm_list *from) {
    to->unknown = from->unknown;
    to->unknown_count = from->unknown_count;
    to->unknown_cap = from->unknown_cap;
    to->unknown_ids = from->unknown_ids;
    from->unknown = NULL;
    from->unknown_count = from->unknown_cap = 0;
    tm_table_init(&from->unknown_ids, from->alloc, from->seed);
}

// Called when a change is complete: the spans it borrowed may have been our own.
static void compact_maybe(tm_list *list) {
    size_t idle = list->pool.idle + list->unused;
    if (idle < list->compact_at || idle < list->pool.total / 2) return;
    list->compact_at =
        2 * idle; // where there is no memory for it we go on as we are
    tm_list *fresh;
    if (tm_list_new(list->alloc, list->seed, &fresh) != TM_OK) return;
    if (registers_join(fresh, list) == TM_OK) {
        fresh->size = list->size; // the unknown operations' part comes too
        unknown_move(fresh, list);
        list_swap(list, fresh);
    }
    tm_list_free(fresh);
}

#endif

// ---- the changes, from outside ------------------------------------------------------

// An operation about an item, as an item.
static tm_status op_join(tm_list *list, const tm_op *op, bool *changed) {
    tm_item_field fields[TM_FIELDS_MAX];
    tm_item item = {.id = op->instance_id, .dead = op->type == TM_OP_DELETE};
    if (op->type == TM_OP_ADD) {
        item.add.at = op->at;
        item.add.value = op->image_id;
    }
    item.fields = fields;
    item.field_count = op->field_count;
    for (uint32_t i = 0; i < op->field_count; i++) {
        fields[i].name = op->fields[i].name;
        fields[i].reg.at = op->at;
        fields[i].reg.value = op->fields[i].value;
    }
    return tm_list_item_join(list, &item, changed);
}

tm_status tm_list_apply(tm_list *list, const tm_op *op, bool *changed) {
    TM_ASSERT(op->fault == TM_FAULT_NONE);
    tm_status status;
    bool did = false;
    if (op->type == TM_OP_SORT) {
        tm_reg write = {.at = op->at, .value = op->sort};
        status = tm_list_sort_join(list, &write, &did);
    } else if (op->type == TM_OP_UNKNOWN) {
        TM_ASSERT(op->raw.len > 0); // it has no other form
        status = tm_list_unknown_keep(list, &op->id, &op->raw);
    } else {
        status = op_join(list, op, &did);
    }
    if (changed != NULL) *changed = did;
    compact_maybe(list);
    return status;
}

static tm_status item_give(tm_list *list, const tm_item *item) {
    bool changed = false;
    tm_status status = tm_list_item_join(list, item, &changed);
    compact_maybe(list);
    return status;
}

tm_status tm_list_join_field(tm_list *list, tm_span id, tm_span name,
                             const tm_reg *write) {
    tm_item_field field = {name, *write};
    tm_item item = {.id = id, .fields = &field, .field_count = 1};
    if (name.len == 0) {
        item.add = *write;
        item.field_count = 0;
    }
    return item_give(list, &item);
}

tm_status tm_list_join_dead(tm_list *list, tm_span id) {
    tm_item item = {.id = id, .dead = true};
    return item_give(list, &item);
}

tm_status tm_list_join_sort(tm_list *list, const tm_reg *write) {
    bool changed = false;
    tm_status status = tm_list_sort_join(list, write, &changed);
    compact_maybe(list);
    return status;
}

tm_status tm_list_join(tm_list *list, const tm_list *from) {
    TM_ASSERT(list != from);
    tm_status status = registers_join(list, from);
    for (size_t i = 0; i < from->unknown_count && status == TM_OK; i++) {
        status =
            tm_list_unknown_keep(list, &from->unknown[i].id, &from->unknown[i].raw);
    }
    compact_maybe(list);
    return status;
}

// ---- reading ------------------------------------------------------------------------

bool tm_item_live(const tm_item *item) {
    return item != NULL && !item->dead && tm_list_written(&item->add);
}

const tm_reg *tm_item_field_get(const tm_item *item, tm_span name) {
    if (item == NULL) return NULL;
    bool found;
    uint32_t place = tm_list_field_place(item, &name, &found);
    return found ? &item->fields[place].reg : NULL;
}

const tm_item *tm_list_find(const tm_list *list, tm_span id) {
    return tm_list_item_find(list, &id, (uint32_t)tm_hash(list->seed, id));
}

size_t tm_list_count(const tm_list *list) {
    return list->count;
}

const tm_item *tm_list_at(const tm_list *list, size_t index) {
    TM_ASSERT(index < list->count);
    return list->items[index];
}

size_t tm_list_live(const tm_list *list) {
    return list->live;
}

const tm_reg *tm_list_sort(const tm_list *list) {
    return &list->sort;
}

size_t tm_list_unknown_count(const tm_list *list) {
    return list->unknown_count;
}

tm_span tm_list_unknown(const tm_list *list, size_t index) {
    TM_ASSERT(index < list->unknown_count);
    return list->unknown[index].raw;
}

size_t tm_list_size(const tm_list *list) {
    return list->size;
}

tm_digest tm_list_digest(const tm_list *list) {
    return list->digest;
}

// Two items can share a stamp only by somebody's mistake; even then all show one order.
static int display_cmp(const void *a, const void *b) {
    const tm_item *x = a, *y = b;
    int order = tm_stamp_cmp(&x->add.at, &y->add.at);
    return order != 0 ? order : tm_span_cmp(x->id, y->id);
}

void tm_list_order(const tm_list *list, const tm_item **order) {
    static const tm_span desc = TM_LIT("desc");
    size_t live = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const tm_item *item = list->items[i];
        if (tm_item_live(item)) order[live++] = item;
    }
    TM_ASSERT(live == list->live);
    tm_sort((const void **)order, live, display_cmp);
    if (tm_span_cmp(list->sort.value, desc) != 0) return;
    for (size_t i = 0; i < live / 2; i++) {
        const tm_item *swap = order[i];
        order[i] = order[live - 1 - i];
        order[live - 1 - i] = swap;
    }
}
