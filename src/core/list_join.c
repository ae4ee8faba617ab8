// list_join.c - how one item, register or unknown operation is joined: see list_impl.h.
#include "core/list_impl.h"

#include <string.h>

#define PLACES_MIN 16u

// Upper bounds of what stands in the canonical bytes (tm_list_size). Of a register's five
// parts the timestamp is counted as 15 digits, the browser's number as 8.
#define SIZE_REG   29u
#define SIZE_NULL  4u
#define SIZE_ITEM  8u // ["id",null],
#define SIZE_FIELD 4u // ,["name",REG]

static const tm_span no_name = TM_LIT("");

// ---- sizes --------------------------------------------------------------------------

// In a browser nobody asks tm_list_size, which is about what a server stores: there, these
// know nothing.
static size_t json_len(const tm_span *text) {
    if (TM_BROWSER) return 0;
    size_t len = 2 + text->len;
    for (size_t i = 0; i < text->len; i++) {
        uint8_t c = text->ptr[i];
        if (c < 0x20) {
            len += 5; // \u00xx; some are shorter
        } else if (c == '"' || c == '\\') {
            len += 1;
        }
    }
    return len;
}

static size_t digits(uint64_t number) {
    if (TM_BROWSER) return 0;
    size_t count = 1;
    while (number >= 10) {
        number /= 10;
        count++;
    }
    return count;
}

// Puts a register's part into the digest and the size, or takes it out.
static void reg_count(tm_list *list, const tm_span *id, const tm_span *name,
                      const tm_reg *reg, bool in) {
    tm_digest part = tm_digest_reg(*id, *name, reg);
    size_t size = SIZE_REG + digits(reg->at.version);
    size += digits(reg->at.time & ((1u << TM_LOGICAL_BITS) - 1));
    size += reg->value.ptr == NULL ? SIZE_NULL : json_len(&reg->value);
    if (in) {
        tm_digest_add(&list->digest, part);
        list->size += size;
    } else {
        tm_digest_sub(&list->digest, part);
        list->size -= size;
    }
}

// ---- the index ----------------------------------------------------------------------

tm_item *tm_list_item_find(const tm_list *list, const tm_span *id, uint32_t hash) {
    if (list->place_cap == 0) return NULL;
    size_t mask = list->place_cap - 1;
    for (size_t i = hash & mask; list->places[i].item != 0; i = (i + 1) & mask) {
        if (list->places[i].hash != hash) continue;
        tm_item *item = list->items[list->places[i].item - 1];
        if (item->id.len == id->len &&
            memcmp(item->id.ptr, id->ptr, id->len) == 0) {
            return item;
        }
    }
    return NULL;
}

static void place_put(list_place *places, size_t cap, const list_place *place) {
    size_t i = place->hash & (cap - 1);
    while (places[i].item != 0) {
        i = (i + 1) & (cap - 1);
    }
    places[i] = *place;
}

// Room for one more item in the index; full at 13 of 16, since a place is small and a
// miss looks at some fifteen in a row.
static tm_status places_reserve(tm_list *list) {
    size_t cap = list->place_cap;
    if (list->count < cap / 16 * 13) return TM_OK;
    size_t more = cap == 0 ? PLACES_MIN : 2 * cap;
    if (more > SIZE_MAX / 2 / sizeof(list_place)) return tm_refused();
    list_place *places = tm_alloc_get(list->alloc, more * sizeof *places);
    if (places == NULL) return tm_refused();
    for (size_t i = 0; i < cap; i++) {
        if (list->places[i].item != 0) place_put(places, more, &list->places[i]);
    }
    tm_alloc_put(list->alloc, list->places, cap * sizeof *places);
    list->places = places;
    list->place_cap = more;
    return TM_OK;
}

// Room for one more element in an array of `*cap`; NULL when refused.
static void *array_reserve(const tm_alloc *alloc, void *array, size_t count,
                           size_t *cap, size_t element) {
    if (count < *cap) return array;
    size_t more = *cap == 0 ? 4 : 2 * *cap;
    void *moved = tm_alloc_resize(alloc, array, *cap * element, more * element);
    if (moved != NULL) *cap = more;
    return moved;
}

// ---- texts --------------------------------------------------------------------------

static tm_span text_copy(tm_pool *pool, const tm_span *text) {
    if (text->ptr == NULL) return *text;
    uint8_t *ptr = tm_pool_get(pool, text->len);
    if (text->len > 0) memcpy(ptr, text->ptr, text->len);
    return (tm_span){ptr, text->len};
}

static void text_free(tm_pool *pool, const tm_span *text) {
    tm_pool_put(pool, text->ptr, text->len);
}

// Puts into a table with room: cannot fail.
static void table_put(tm_table *table, tm_span key, void *value) {
    tm_status status = tm_table_set(table, key, value);
    TM_ASSERT(status == TM_OK);
}

static size_t word_size(size_t len) {
    return sizeof(list_word) + len;
}

// What an unused word keeps: its block and, on average, two slots of its table.
static size_t word_cost(size_t len) {
    return tm_pool_block(word_size(len)) + 2 * sizeof(tm_table_slot);
}

// Counts one more use of a text, which is reserved.
static list_word *word_use(tm_list *list, tm_table *words, const tm_span *text) {
    list_word *word = tm_table_get(words, *text);
    if (word == NULL) {
        word = tm_pool_get(&list->pool, word_size(text->len));
        *word = (list_word){.number = (uint32_t)words->count};
        memcpy(word->text, text->ptr, text->len);
        table_put(words, (tm_span){word->text, text->len}, word);
    } else if (word->uses == 0) {
        list->unused -= word_cost(text->len);
    }
    word->uses++;
    return word;
}

// True if that was the last use.
static bool word_drop(tm_list *list, const tm_span *own) {
    list_word *word = tm_list_word(*own);
    TM_ASSERT(word->uses > 0);
    if (--word->uses > 0) return false;
    list->unused += word_cost(own->len);
    return true;
}

// A browser takes part in the size while a register names it.
static tm_span browser_use(tm_list *list, const tm_span *browser) {
    tm_span own = list->last_browser;
    if (own.len == browser->len && memcmp(own.ptr, browser->ptr, own.len) == 0 &&
        tm_list_word(own)->uses > 0) {
        tm_list_word(own)->uses++;
        return own;
    }
    list_word *word = word_use(list, &list->browsers, browser);
    if (word->uses == 1) list->size += 1 + json_len(browser);
    return list->last_browser = (tm_span){word->text, browser->len};
}

static void browser_drop(tm_list *list, const tm_span *own) {
    if (word_drop(list, own)) list->size -= 1 + json_len(own);
}

// ---- making sure of memory ----------------------------------------------------------

static size_t reg_need(const tm_reg *reg) {
    return tm_pool_block(reg->value.len) +
           tm_pool_block(word_size(reg->at.browser.len));
}

// What joining `from` to `item` (NULL: to a new one) takes at most.
static size_t item_need(const tm_item *item, const tm_item *from) {
    size_t need = 0, count = item == NULL ? 0 : item->field_count;
    if (item == NULL) need = tm_pool_block(sizeof *item + from->id.len);
    need += reg_need(&from->add);
    for (uint32_t i = 0; i < from->field_count; i++) {
        const tm_item_field *field = &from->fields[i];
        need += tm_pool_block(++count * sizeof *field) + reg_need(&field->reg) +
                tm_pool_block(word_size(field->name.len));
    }
    return need;
}

// After this, joining `from` cannot fail.
static tm_status item_reserve(tm_list *list, const tm_item *item,
                              const tm_item *from) {
    tm_status status = tm_pool_reserve(&list->pool, item_need(item, from));
    if (status == TM_OK) {
        status = tm_table_reserve(&list->browsers, from->field_count + 1);
    }
    if (status == TM_OK) status = tm_table_reserve(&list->names, from->field_count);
    if (status != TM_OK || item != NULL) return status;
    if (list->count == UINT32_MAX - 1) return tm_refused();
    tm_item **items = array_reserve(list->alloc, list->items, list->count,
                                    &list->item_cap, sizeof *items);
    if (items == NULL) return tm_refused();
    list->items = items;
    return places_reserve(list);
}

// ---- changing what is reserved ------------------------------------------------------

// An item is followed by its id: who looks for one reads both.
static tm_item *item_make(tm_list *list, const tm_span *id, uint32_t hash) {
    tm_item *item = tm_pool_get(&list->pool, sizeof *item + id->len);
    memset(item, 0, sizeof *item);
    item->id.ptr = memcpy(item + 1, id->ptr, id->len);
    item->id.len = id->len;
    item->index = list->count++;
    list->items[item->index] = item;
    list_place place = {hash, list->count};
    place_put(list->places, list->place_cap, &place);
    list->size += SIZE_ITEM + json_len(id);
    return item;
}

static void value_set(tm_pool *pool, tm_span *own, const tm_span *value) {
    if (own->len > 0 && value->len > 0 &&
        tm_pool_block(own->len) == tm_pool_block(value->len)) {
        memmove((uint8_t *)(uintptr_t)own->ptr, value->ptr, value->len);
        own->len = value->len;
        return;
    }
    tm_span old = *own;
    *own = text_copy(pool, value);
    text_free(pool, &old);
}

// Lets `write` win or not; the digest and the size follow.
static bool reg_write(tm_list *list, const tm_span *id, const tm_span *name,
                      tm_reg *reg, const tm_reg *write) {
    tm_reg trial = *reg;
    if (!tm_reg_join(&trial, write)) return false;
    tm_span browser = browser_use(list, &write->at.browser);
    if (tm_list_written(reg)) {
        reg_count(list, id, name, reg, false);
        browser_drop(list, &reg->at.browser);
    }
    value_set(&list->pool, &reg->value, &write->value);
    reg->at.time = write->at.time;
    reg->at.version = write->at.version;
    reg->at.browser = browser;
    reg_count(list, id, name, reg, true);
    return true;
}

static void reg_drop(tm_list *list, const tm_span *id, const tm_span *name,
                     const tm_reg *reg) {
    reg_count(list, id, name, reg, false);
    browser_drop(list, &reg->at.browser);
    text_free(&list->pool, &reg->value);
}

static bool add_write(tm_list *list, tm_item *item, const tm_reg *write) {
    bool first = !tm_list_written(&item->add);
    bool won = reg_write(list, &item->id, &no_name, &item->add, write);
    if (won && first) list->live++;
    return won;
}

uint32_t tm_list_field_place(const tm_item *item, const tm_span *name,
                             bool *found) {
    uint32_t low = 0, high = item->field_count;
    *found = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = tm_span_cmp(item->fields[middle].name, *name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void field_make(tm_list *list, tm_item *item, uint32_t place,
                       const tm_span *name) {
    size_t count = item->field_count, unit = sizeof(tm_item_field);
    if (tm_pool_block((count + 1) * unit) != tm_pool_block(count * unit)) {
        tm_item_field *fields = tm_pool_get(&list->pool, (count + 1) * unit);
        if (count > 0) memcpy(fields, item->fields, count * unit);
        tm_pool_put(&list->pool, item->fields, count * unit);
        item->fields = fields;
    }
    tm_item_field *field = &item->fields[place];
    memmove(field + 1, field, (count - place) * unit);
    memset(field, 0, sizeof *field);
    field->name.ptr = word_use(list, &list->names, name)->text;
    field->name.len = name->len;
    item->field_count++;
    list->size += SIZE_FIELD + json_len(name);
}

static bool field_write(tm_list *list, tm_item *item, const tm_item_field *write) {
    bool found;
    uint32_t place = tm_list_field_place(item, &write->name, &found);
    if (!found) field_make(list, item, place, &write->name);
    tm_item_field *field = &item->fields[place];
    return reg_write(list, &item->id, &field->name, &field->reg, &write->reg);
}

// The id is all that stays.
static void item_kill(tm_list *list, tm_item *item) {
    for (uint32_t i = 0; i < item->field_count; i++) {
        const tm_item_field *field = &item->fields[i];
        reg_drop(list, &item->id, &field->name, &field->reg);
        list->size -= SIZE_FIELD + json_len(&field->name);
        (void)word_drop(list, &field->name);
    }
    tm_pool_put(&list->pool, item->fields,
                item->field_count * sizeof *item->fields);
    if (tm_list_written(&item->add)) {
        reg_drop(list, &item->id, &no_name, &item->add);
        list->live--;
    }
    item->dead = true;
    item->add = (tm_reg){0};
    item->fields = NULL;
    item->field_count = 0;
    tm_digest_add(&list->digest, tm_digest_dead(item->id));
}

// ---- joining ------------------------------------------------------------------------

tm_status tm_list_item_join(tm_list *list, const tm_item *from, bool *changed) {
    uint32_t hash = (uint32_t)tm_hash(list->seed, from->id);
    tm_item *item = tm_list_item_find(list, &from->id, hash);
    if (item != NULL && item->dead) return TM_OK;
    if (item == NULL || !from->dead) {
        tm_status status = item_reserve(list, item, from);
        if (status != TM_OK) return status;
    }
    if (item == NULL) item = item_make(list, &from->id, hash);
    if (from->dead) {
        item_kill(list, item);
        *changed = true;
        return TM_OK;
    }
    if (tm_list_written(&from->add)) *changed |= add_write(list, item, &from->add);
    for (uint32_t i = 0; i < from->field_count; i++) {
        *changed |= field_write(list, item, &from->fields[i]);
    }
    return TM_OK;
}

tm_status tm_list_sort_join(tm_list *list, const tm_reg *write, bool *changed) {
    tm_status status = tm_pool_reserve(&list->pool, reg_need(write));
    if (status == TM_OK) status = tm_table_reserve(&list->browsers, 1);
    if (status != TM_OK) return status;
    *changed |= reg_write(list, &no_name, &no_name, &list->sort, write);
    return TM_OK;
}

tm_status tm_list_unknown_keep(tm_list *list, const tm_span *id,
                               const tm_span *raw) {
    if (tm_table_get(&list->unknown_ids, *id) != NULL) return TM_OK;
    list_unknown *unknown =
        array_reserve(list->alloc, list->unknown, list->unknown_count,
                      &list->unknown_cap, sizeof *unknown);
    if (unknown == NULL) return tm_refused();
    list->unknown = unknown;
    tm_status status = tm_table_reserve(&list->unknown_ids, 1);
    if (status != TM_OK) return status;
    uint8_t *copy = tm_alloc_get(list->alloc, id->len + raw->len);
    if (copy == NULL) return tm_refused();
    memcpy(copy, id->ptr, id->len);
    memcpy(copy + id->len, raw->ptr, raw->len);
    list_unknown *kept = &unknown[list->unknown_count++];
    kept->id = (tm_span){copy, id->len};
    kept->raw = (tm_span){copy + id->len, raw->len};
    table_put(&list->unknown_ids, kept->id, copy);
    list->size += raw->len + 1;
    return TM_OK;
}
