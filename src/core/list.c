// list.c - see list.h; list_join.c has the joins of single parts, list_json.c the canonical
// bytes.
#include "core/list.h"

#include "core/list_impl.h"
#include "core/sort.h"

#include <string.h>

#define COMPACT_MIN 16384u // less idle memory is not worth compacting
#define SIZE_FRAME  96u // {"format":1,"browsers":[],"dead":[],"items":[],"sort":}

static const tm_span no_name = TM_LIT("");

// ---- making and freeing -------------------------------------------------------------

tm_status tm_list_new(const tm_alloc *alloc, tm_seed seed, tm_list **list) {
    tm_list *made = tm_alloc_get(alloc, sizeof *made);
    if (made == NULL) return tm_refused();
    made->alloc = made->pool.alloc = alloc;
    made->seed = seed;
    made->size = SIZE_FRAME;
    made->compact_at = COMPACT_MIN;
    tm_table_init(&made->words, alloc, seed);
    tm_table_init(&made->unknown_ids, alloc, seed);
    *list = made;
    return TM_OK;
}

#if TM_BROWSER

// Whatever list_join.c took from the pool.
static void blocks_free(tm_list *list) {
    for (uint32_t i = 0; i < list->count; i++) {
        tm_pool_put(&list->pool, list->items[i], list->items[i]->cap);
    }
    if (list->sort != NULL) tm_pool_put(&list->pool, list->sort, list->sort->cap);
    size_t at = 0;
    for (tm_table_slot *slot; (slot = tm_table_next(&list->words, &at)) != NULL;) {
        tm_pool_put(&list->pool, slot->value, sizeof(list_word) + slot->key.len);
    }
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
    tm_table_deinit(&list->words);
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
    for (uint32_t i = 0; i < from->count && status == TM_OK; i++) {
        const tm_item *item = from->items[i];
        status = item->dead ? tm_list_join_dead(list, tm_item_id(item))
                            : tm_list_join_item(list, item);
    }
    return status == TM_OK ? tm_list_join_item(list, from->sort) : status;
}

// ---- compacting ---------------------------------------------------------------------

// Blocks of one class do not serve another. A list whose items keep changing their
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

// Called when a change is complete.
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

// An operation of a known type, as what it writes.
static tm_status op_join(tm_list *list, const tm_op *op, bool *changed) {
    tm_item_field fields[TM_FIELDS_MAX + 1], *field = fields;
    list_write write = {.id = op->instance_id, .dead = op->type == TM_OP_DELETE};
    if (op->type == TM_OP_ADD || op->type == TM_OP_SORT) {
        field->name = no_name;
        field->reg.at = op->at;
        field++->reg.value = op->type == TM_OP_ADD ? op->image_id : op->sort;
    }
    for (uint32_t i = 0; i < op->field_count; i++) {
        field->name = op->fields[i].name;
        field->reg.at = op->at;
        field++->reg.value = op->fields[i].value;
    }
    write.fields = fields;
    write.count = (uint32_t)(field - fields);
    return tm_list_item_join(list, &write, changed);
}

tm_status tm_list_apply(tm_list *list, const tm_op *op, bool *changed) {
    TM_ASSERT(op->fault == TM_FAULT_NONE);
    tm_status status;
    bool did = false;
    if (op->type == TM_OP_UNKNOWN) {
        TM_ASSERT(op->raw.len > 0); // it has no other form
        status = tm_list_unknown_keep(list, &op->id, &op->raw);
    } else {
        status = op_join(list, op, &did);
    }
    if (changed != NULL) *changed = did;
    compact_maybe(list);
    return status;
}

static tm_status item_give(tm_list *list, const list_write *write) {
    bool changed = false;
    tm_status status = tm_list_item_join(list, write, &changed);
    compact_maybe(list);
    return status;
}

tm_status tm_list_join_field(tm_list *list, tm_span id, tm_span name,
                             const tm_reg *write) {
    tm_item_field field = {name, *write};
    return item_give(list, &(list_write){id, false, 1, &field});
}

tm_status tm_list_join_dead(tm_list *list, tm_span id) {
    return item_give(list, &(list_write){id, true, 0, NULL});
}

tm_status tm_list_join_item(tm_list *list, const tm_item *from) {
    tm_status status = TM_OK;
    tm_item_field field;
    for (size_t at = 0;
         from != NULL && status == TM_OK && tm_item_next(from, &at, &field);) {
        status = tm_list_join_field(list, tm_item_id(from), field.name, &field.reg);
    }
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
    return item != NULL && item->added;
}

bool tm_item_dead(const tm_item *item) {
    return item != NULL && item->dead;
}

tm_span tm_item_id(const tm_item *item) {
    return (tm_span){(const uint8_t *)(item + 1), item->id_len};
}

static uint64_t number_get(const uint8_t **at) {
    uint64_t number = 0;
    if (TM_BROWSER) {
        memcpy(&number, *at, sizeof number);
        *at += sizeof number;
        return number;
    }
    uint8_t byte;
    unsigned shift = 0;
    do {
        byte = *(*at)++;
        number |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte > 0x7f);
    return number;
}

static tm_span word_get(const uint8_t **at) {
    const list_word *word;
    memcpy(&word, *at, sizeof word);
    *at += sizeof word;
    return (tm_span){word->text, word->len};
}

bool tm_item_next(const tm_item *item, size_t *at, tm_item_field *field) {
    if (*at == 0) *at = sizeof *item + item->id_len;
    if (*at == item->size) return false;
    const uint8_t *byte = (const uint8_t *)item + *at;
    tm_reg *reg = &field->reg;
    field->name = word_get(&byte);
    reg->at.browser = word_get(&byte);
    memcpy(&reg->at.time, byte, sizeof reg->at.time);
    byte += sizeof reg->at.time;
    reg->at.version = number_get(&byte);
    size_t len = (size_t)number_get(&byte);
    reg->value = (tm_span){NULL, 0};
    if (len > 0) reg->value = (tm_span){byte, len - 1};
    *at = (size_t)(byte + reg->value.len - (const uint8_t *)item);
    return true;
}

bool tm_item_get(const tm_item *item, tm_span name, tm_item_field *field) {
    size_t at = 0;
    while (item != NULL && tm_item_next(item, &at, field)) {
        if (tm_span_cmp(field->name, name) == 0) return true;
    }
    memset(field, 0, sizeof *field);
    return false;
}

tm_reg tm_item_reg(const tm_item *item, tm_span name) {
    tm_item_field field;
    (void)tm_item_get(item, name, &field);
    return field.reg;
}

const tm_item *tm_list_find(const tm_list *list, tm_span id) {
    tm_item *const *found =
        tm_list_item_find(list, &id, (uint32_t)tm_hash(list->seed, id));
    return found == NULL ? NULL : *found;
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

tm_reg tm_list_sort(const tm_list *list) {
    return tm_item_reg(list->sort, no_name);
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
    tm_reg x = tm_item_reg(a, no_name), y = tm_item_reg(b, no_name);
    int order = tm_stamp_cmp(&x.at, &y.at);
    return order != 0 ? order : tm_span_cmp(tm_item_id(a), tm_item_id(b));
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
    if (tm_span_cmp(tm_list_sort(list).value, desc) != 0) return;
    for (size_t i = 0; i < live / 2; i++) {
        const tm_item *swap = order[i];
        order[i] = order[live - 1 - i];
        order[live - 1 - i] = swap;
    }
}
