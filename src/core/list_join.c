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

static void size_add(tm_list *list, size_t size) {
    if (!TM_BROWSER) list->size += size;
}

static size_t reg_json_len(const tm_reg *reg) {
    size_t len = SIZE_REG + digits(reg->at.version);
    len += digits(reg->at.time & ((1u << TM_LOGICAL_BITS) - 1));
    return len + (reg->value.ptr == NULL ? SIZE_NULL : json_len(&reg->value));
}

// Puts a register's part into the digest and the size, or takes it out.
static void reg_count(tm_list *list, const tm_span *id, const tm_span *name,
                      const tm_reg *reg, bool in) {
    tm_digest part = tm_digest_reg(*id, *name, reg);
    if (in) {
        tm_digest_add(&list->digest, part);
        size_add(list, reg_json_len(reg));
    } else {
        tm_digest_sub(&list->digest, part);
        size_add(list, (size_t)0 - reg_json_len(reg));
    }
}

// ---- the index ----------------------------------------------------------------------

tm_item *const *tm_list_item_find(const tm_list *list, const tm_span *id,
                                  uint32_t hash) {
    if (id->len == 0) return list->sort == NULL ? NULL : &list->sort;
    if (list->place_cap == 0) return NULL;
    size_t mask = list->place_cap - 1;
    for (size_t i = hash & mask; list->places[i].item != 0; i = (i + 1) & mask) {
        if (list->places[i].hash != hash) continue;
        tm_item *const *item = &list->items[list->places[i].item - 1];
        if ((*item)->id_len == id->len &&
            memcmp(*item + 1, id->ptr, id->len) == 0) {
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

// ---- words --------------------------------------------------------------------------

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

// The word of a text, which is reserved; it is about to be used.
static list_word *word_use(tm_list *list, const tm_span *text) {
    list_word *word = tm_table_get(&list->words, *text);
    if (word == NULL) {
        word = tm_pool_get(&list->pool, word_size(text->len));
        *word = (list_word){.number = (uint32_t)list->words.count,
                            .len = (uint8_t)text->len};
        if (text->len > 0) memcpy(word->text, text->ptr, text->len);
        table_put(&list->words, (tm_span){word->text, text->len}, word);
    } else if (!TM_BROWSER && word->uses + word->named == 0) {
        list->unused -= word_cost(text->len);
    }
    return word;
}

// Nothing is compacted in a browser.
static void word_dropped(tm_list *list, const list_word *word) {
    if (!TM_BROWSER && word->uses + word->named == 0)
        list->unused += word_cost(word->len);
}

// A browser takes part in the size while a register names it.
static list_word *browser_use(tm_list *list, const tm_span *browser) {
    list_word *word = list->last_browser;
    if (word == NULL || word->uses == 0 || word->len != browser->len ||
        memcmp(word->text, browser->ptr, browser->len) != 0) {
        word = list->last_browser = word_use(list, browser);
    }
    if (word->uses++ == 0) size_add(list, 1 + json_len(browser));
    return word;
}

static void browser_drop(tm_list *list, const tm_span *own) {
    list_word *word = tm_list_word(*own);
    TM_ASSERT(word->uses > 0);
    if (--word->uses == 0) size_add(list, (size_t)0 - (1 + json_len(own)));
    word_dropped(list, word);
}

// Of `add`, which has no name, nothing is counted here.
static size_t name_size(const tm_span *name) {
    return name->len > 0 ? SIZE_FIELD + json_len(name) : 0;
}

static list_word *name_use(tm_list *list, const tm_span *name) {
    list_word *word = word_use(list, name);
    if (!TM_BROWSER) word->named++;
    size_add(list, name_size(name));
    return word;
}

static void name_drop(tm_list *list, const tm_span *own) {
    if (TM_BROWSER) return;
    list_word *word = tm_list_word(*own);
    TM_ASSERT(word->named > 0);
    word->named--;
    size_add(list, (size_t)0 - name_size(own));
    word_dropped(list, word);
}

// ---- registers as they lie in an item -------------------------------------------------

#define REG_FIXED    (2 * sizeof(list_word *) + sizeof(uint64_t))
#define REG_HEAD_MAX (REG_FIXED + 2 * 10) // a number has at most 10 bytes

static uint8_t *bytes_put(uint8_t *at, const void *bytes, size_t len) {
    memcpy(at, bytes, len);
    return at + len;
}

static uint8_t *number_put(uint8_t *at, uint64_t number) {
    if (TM_BROWSER) return bytes_put(at, &number, sizeof number);
    for (; number > 0x7f; number >>= 7) {
        *at++ = (uint8_t)(number | 0x80);
    }
    *at++ = (uint8_t)number;
    return at;
}

// All but the value. Returns its length.
static size_t head_put(uint8_t head[REG_HEAD_MAX], const list_word *name,
                       const list_word *browser, const tm_reg *reg) {
    uint8_t *at = bytes_put(head, &name, sizeof name);
    at = bytes_put(at, &browser, sizeof browser);
    at = bytes_put(at, &reg->at.time, sizeof reg->at.time);
    at = number_put(at, reg->at.version);
    at = number_put(at, reg->value.ptr == NULL ? 0 : reg->value.len + 1);
    return (size_t)(at - head);
}

// What a register takes, so that a new item gets a block that fits. In a browser one that
// often does.
static size_t reg_size(const tm_reg *reg) {
    uint8_t head[REG_HEAD_MAX];
    if (TM_BROWSER) return 48;
    return head_put(head, NULL, NULL, reg) + reg->value.len;
}

// ---- making sure of memory ----------------------------------------------------------

static size_t item_begin(size_t id_len) {
    return sizeof(tm_item) + id_len;
}

// How large a new item becomes that joins `from`.
static size_t item_size(const list_write *from) {
    size_t size = item_begin(from->id.len);
    for (uint32_t i = 0; i < from->count; i++) {
        size += reg_size(&from->fields[i].reg);
    }
    return size;
}

// What joining `from` to `item` (NULL: to a new one) takes at most.
static size_t item_need(const tm_item *item, const list_write *from) {
    size_t size = item == NULL ? 0 : item->size;
    size_t need = tm_pool_block(item_size(from)); // as new; and dead, it may shrink
    for (uint32_t i = 0; i < from->count; i++) {
        const tm_item_field *field = &from->fields[i];
        size += reg_size(&field->reg);
        if (item != NULL) need += tm_pool_block(size);
        need += tm_pool_block(word_size(field->reg.at.browser.len)) +
                tm_pool_block(word_size(field->name.len));
    }
    return need;
}

// After this, joining `from` to the item cannot fail.
static tm_status item_reserve(tm_list *list, const tm_item *item,
                              const list_write *from) {
    tm_status status = tm_pool_reserve(&list->pool, item_need(item, from));
    if (status != TM_OK) return status;
    return tm_table_reserve(&list->words, 2 * from->count);
}

// Room for one more item.
static tm_status items_reserve(tm_list *list) {
    if (list->count == UINT32_MAX - 1) return tm_refused();
    tm_item **items = array_reserve(list->alloc, list->items, list->count,
                                    &list->item_cap, sizeof *items);
    if (items == NULL) return tm_refused();
    list->items = items;
    return places_reserve(list);
}

// ---- changing what is reserved ------------------------------------------------------

// An item that `from` will fill.
static tm_item *item_make(tm_list *list, const list_write *from) {
    size_t size = item_size(from);
    tm_item *item = tm_pool_get(&list->pool, size);
    TM_ASSERT(TM_BROWSER || from->id.len <= UINT8_MAX);
    *item = (tm_item){.size = (uint32_t)item_begin(from->id.len),
                      .cap = (uint32_t)tm_pool_block(size),
                      .id_len = (uint8_t)from->id.len};
    if (from->id.len > 0) memcpy(item + 1, from->id.ptr, from->id.len);
    return item;
}

static tm_item **item_add(tm_list *list, const list_write *from, uint32_t hash) {
    tm_item **slot = &list->sort;
    if (from->id.len > 0) {
        slot = &list->items[list->count++];
        list_place place = {hash, list->count};
        place_put(list->places, list->place_cap, &place);
        size_add(list, SIZE_ITEM + json_len(&from->id));
    }
    *slot = item_make(list, from);
    return slot;
}

// Makes what lies between two places of an item `len` bytes long; what they are is the
// caller's to write. Where they lie.
static uint8_t *item_splice(tm_list *list, tm_item **slot, size_t from, size_t to,
                            size_t len) {
    tm_item *item = *slot;
    size_t behind = item->size - to, size = from + len + behind;
    uint8_t *at = (uint8_t *)item + from;
    if (size <= item->cap && (len >= to - from || size > item->cap / 2)) {
        memmove(at + len, (uint8_t *)item + to, behind);
    } else {
        tm_item *moved = tm_pool_get(&list->pool, size);
        memcpy(moved, item, from);
        at = (uint8_t *)moved + from;
        memcpy(at + len, (uint8_t *)item + to, behind);
        moved->cap = (uint32_t)tm_pool_block(size);
        tm_pool_put(&list->pool, item, item->cap);
        *slot = item = moved;
    }
    item->size = (uint32_t)size;
    return at;
}

// Lets `write` win or not; the digest and the size follow.
static bool reg_write(tm_list *list, tm_item **slot, const tm_item_field *write) {
    tm_item_field own;
    list_word *name, *browser;
    tm_span id = tm_item_id(*slot);
    size_t from = item_begin(id.len), to = from;
    int order = 1;
    while (order > 0 && to < (*slot)->size) {
        from = to;
        (void)tm_item_next(*slot, &to, &own);
        order = tm_span_cmp(write->name, own.name);
    }
    if (order > 0) from = to; // behind all
    if (order < 0) to = from; // before this one
    if (order != 0) own.reg = (tm_reg){0};
    tm_reg trial = own.reg;
    if (!tm_reg_join(&trial, &write->reg)) return false;
    browser = browser_use(list, &write->reg.at.browser);
    if (order == 0) {
        name = tm_list_word(own.name);
        reg_count(list, &id, &own.name, &own.reg, false);
        browser_drop(list, &own.reg.at.browser);
    } else {
        name = name_use(list, &write->name);
    }
    reg_count(list, &id, &write->name, &write->reg, true);
    uint8_t head[REG_HEAD_MAX];
    size_t len = head_put(head, name, browser, &write->reg);
    const tm_span *value = &write->reg.value;
    uint8_t *at = item_splice(list, slot, from, to, len + value->len);
    memcpy(at, head, len);
    if (value->len > 0) memcpy(at + len, value->ptr, value->len);
    return true;
}

static bool field_write(tm_list *list, tm_item **slot, const tm_item_field *write) {
    if (!reg_write(list, slot, write)) return false;
    tm_item *item = *slot;
    if (write->name.len == 0 && !item->added) {
        item->added = true;
        list->live += item->id_len > 0;
    }
    return true;
}

// The id is all that stays.
static void item_kill(tm_list *list, tm_item **slot) {
    tm_item *item = *slot;
    tm_span id = tm_item_id(item);
    tm_item_field own;
    for (size_t at = 0; tm_item_next(item, &at, &own);) {
        reg_count(list, &id, &own.name, &own.reg, false);
        browser_drop(list, &own.reg.at.browser);
        name_drop(list, &own.name);
    }
    list->live -= item->added;
    item->added = false;
    item->dead = true;
    tm_digest_add(&list->digest, tm_digest_dead(id));
    (void)item_splice(list, slot, item_begin(id.len), item->size, 0);
}

// ---- joining ------------------------------------------------------------------------

tm_status tm_list_item_join(tm_list *list, const list_write *from, bool *changed) {
    uint32_t hash = (uint32_t)tm_hash(list->seed, from->id);
    tm_item **slot =
        (tm_item **)(uintptr_t)tm_list_item_find(list, &from->id, hash);
    if (slot != NULL && (*slot)->dead) return TM_OK;
    tm_status status = item_reserve(list, slot == NULL ? NULL : *slot, from);
    if (status == TM_OK && slot == NULL) status = items_reserve(list);
    if (status != TM_OK) return status;
    if (slot == NULL) slot = item_add(list, from, hash);
    if (from->dead) {
        item_kill(list, slot);
        *changed = true;
        return TM_OK;
    }
    for (uint32_t i = 0; i < from->count; i++) {
        *changed |= field_write(list, slot, &from->fields[i]);
    }
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
