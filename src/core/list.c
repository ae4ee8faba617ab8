// list.c - see list.h; list_json.c has its canonical bytes.
#include "core/list.h"

#include "core/list_impl.h"
#include "core/sort.h"

#include <string.h>

#define PLACES_MIN  16u
#define COMPACT_MIN 16384u // less idle memory is not worth compacting

// Upper bounds of what stands in the canonical bytes (tm_list_size).
#define SIZE_FRAME 96u // {"format":1,"browsers":[],"dead":[],"items":[],"sort":}
#define SIZE_REG   56u // [15 digits,5,10,20,value]
#define SIZE_NULL  4u
#define SIZE_ITEM  8u // ["id",null],
#define SIZE_FIELD 5u // ,["name",REG]

// ---- sizes --------------------------------------------------------------------------

static size_t json_len(tm_span text) {
    size_t len = 2 + text.len;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c < 0x20) {
            len += 5; // \u00xx; some are shorter
        } else if (c == '"' || c == '\\') {
            len += 1;
        }
    }
    return len;
}

static size_t reg_size(const tm_reg *reg) {
    return SIZE_REG + (reg->value.ptr == NULL ? SIZE_NULL : json_len(reg->value));
}

static bool reg_written(const tm_reg *reg) {
    return reg->at.browser.len > 0;
}

// ---- the index ----------------------------------------------------------------------

static tm_item *item_at(const tm_list *list, uint32_t index) {
    return &list->chunks[index / TM_LIST_CHUNK][index % TM_LIST_CHUNK];
}

static uint32_t id_hash(const tm_list *list, tm_span id) {
    return (uint32_t)tm_hash(list->seed, id);
}

static tm_item *item_find(const tm_list *list, tm_span id, uint32_t hash) {
    if (list->place_cap == 0) return NULL;
    size_t mask = list->place_cap - 1;
    for (size_t i = hash & mask; list->places[i].item != 0; i = (i + 1) & mask) {
        if (list->places[i].hash != hash) continue;
        tm_item *item = item_at(list, list->places[i].item - 1);
        if (tm_span_cmp(item->id, id) == 0) return item;
    }
    return NULL;
}

static void place_put(list_place *places, size_t cap, list_place place) {
    size_t i = place.hash & (cap - 1);
    while (places[i].item != 0) {
        i = (i + 1) & (cap - 1);
    }
    places[i] = place;
}

// Room for one more item in the index; full at 13 of 16, since a place is small and a
// miss looks at some fifteen in a row.
static tm_status places_reserve(tm_list *list) {
    size_t cap = list->place_cap;
    if (list->count < cap / 16 * 13) return TM_OK;
    size_t more = cap == 0 ? PLACES_MIN : 2 * cap;
    if (more > SIZE_MAX / 2 / sizeof(list_place)) return TM_E_NOMEM;
    list_place *places = tm_alloc_get(list->alloc, more * sizeof *places);
    if (places == NULL) return TM_E_NOMEM;
    for (size_t i = 0; i < cap; i++) {
        if (list->places[i].item != 0) place_put(places, more, list->places[i]);
    }
    tm_alloc_put(list->alloc, list->places, cap * sizeof *places);
    list->places = places;
    list->place_cap = more;
    return TM_OK;
}

static tm_status chunks_reserve(tm_list *list) {
    if (list->count / TM_LIST_CHUNK < list->chunk_cap) return TM_OK;
    if (list->count == UINT32_MAX - TM_LIST_CHUNK) return TM_E_NOMEM;
    size_t cap = list->chunk_cap, more = cap == 0 ? 4 : 2 * cap;
    tm_item **chunks =
        list->alloc->resize(list->alloc->context, list->chunks,
                            cap * sizeof *chunks, more * sizeof *chunks);
    if (chunks == NULL) return TM_E_NOMEM;
    list->chunks = chunks;
    list->chunk_cap = more;
    return TM_OK;
}

// ---- texts --------------------------------------------------------------------------

static tm_span text_copy(tm_pool *pool, tm_span text) {
    if (text.ptr == NULL) return text;
    uint8_t *ptr = tm_pool_get(pool, text.len);
    if (text.len > 0) memcpy(ptr, text.ptr, text.len);
    return (tm_span){ptr, text.len};
}

static void text_free(tm_pool *pool, tm_span text) {
    tm_pool_put(pool, text.ptr, text.len);
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
static tm_span word_use(tm_list *list, tm_table *words, tm_span text) {
    list_word *word = tm_table_get(words, text);
    if (word == NULL) {
        word = tm_pool_get(&list->pool, word_size(text.len));
        *word = (list_word){.number = (uint32_t)words->count};
        memcpy(word->text, text.ptr, text.len);
        table_put(words, (tm_span){word->text, text.len}, word);
    } else if (word->uses == 0) {
        list->unused -= word_cost(text.len);
    }
    word->uses++;
    return (tm_span){word->text, text.len};
}

static bool word_drop(tm_list *list, tm_span own) {
    list_word *word = tm_list_word(own);
    TM_ASSERT(word->uses > 0);
    if (--word->uses > 0) return false;
    list->unused += word_cost(own.len);
    return true;
}

static bool is_last_browser(const tm_list *list, tm_span browser) {
    tm_span last = list->last_browser;
    return last.len == browser.len && memcmp(last.ptr, browser.ptr, last.len) == 0;
}

static tm_span browser_use(tm_list *list, tm_span browser) {
    if (is_last_browser(list, browser) &&
        tm_list_word(list->last_browser)->uses > 0) {
        tm_list_word(list->last_browser)->uses++;
    } else {
        list->last_browser = word_use(list, &list->browsers, browser);
    }
    return list->last_browser;
}

// ---- making sure of memory ----------------------------------------------------------

static size_t item_need(const tm_list *list, const tm_item *item, tm_span id) {
    if (item != NULL) return 0;
    size_t need = tm_pool_block(id.len);
    if (list->count % TM_LIST_CHUNK == 0) {
        need += tm_pool_block(TM_LIST_CHUNK * sizeof(tm_item));
    }
    return need;
}

// What a write of a field can take when it comes as the `nth` of one change.
static size_t field_need(const tm_item *item, uint32_t nth, tm_span name,
                         tm_span value) {
    size_t count = (item == NULL ? 0 : item->field_count) + (size_t)nth + 1;
    return tm_pool_block(count * sizeof(tm_item_field)) +
           tm_pool_block(word_size(name.len)) + tm_pool_block(value.len);
}

static size_t browser_need(const tm_list *list, tm_span browser) {
    if (is_last_browser(list, browser)) return 0;
    return tm_pool_block(word_size(browser.len));
}

// After this a change of one item and `names` fields cannot fail.
static tm_status change_reserve(tm_list *list, const tm_item *item, size_t need,
                                uint32_t names) {
    tm_status status = tm_pool_reserve(&list->pool, need);
    if (status == TM_OK) status = tm_table_reserve(&list->browsers, 1);
    if (status == TM_OK) status = tm_table_reserve(&list->names, names);
    if (status == TM_OK && item == NULL) status = places_reserve(list);
    if (status == TM_OK && item == NULL) status = chunks_reserve(list);
    return status;
}

// ---- changing what is reserved ------------------------------------------------------

static tm_item *item_make(tm_list *list, tm_span id, uint32_t hash) {
    uint32_t index = list->count++;
    if (index % TM_LIST_CHUNK == 0) {
        list->chunks[index / TM_LIST_CHUNK] =
            tm_pool_get(&list->pool, TM_LIST_CHUNK * sizeof(tm_item));
    }
    tm_item *item = item_at(list, index);
    *item = (tm_item){.id = text_copy(&list->pool, id), .index = index};
    place_put(list->places, list->place_cap, (list_place){hash, index + 1});
    list->size += SIZE_ITEM + json_len(id);
    return item;
}

static void value_set(tm_pool *pool, tm_span *own, tm_span value) {
    if (own->len > 0 && value.len > 0 &&
        tm_pool_block(own->len) == tm_pool_block(value.len)) {
        memmove((uint8_t *)(uintptr_t)own->ptr, value.ptr, value.len);
        own->len = value.len;
        return;
    }
    tm_span old = *own;
    *own = text_copy(pool, value);
    text_free(pool, old);
}

// The browser's part of the size, when its first register comes or its last one goes.
static size_t browser_size(tm_span browser) {
    return 1 + json_len(browser);
}

static void browser_drop(tm_list *list, tm_span browser) {
    if (word_drop(list, browser)) list->size -= browser_size(browser);
}

// Lets `write` win or not; the digest and the size follow.
static bool reg_write(tm_list *list, tm_span id, tm_span name, tm_reg *reg,
                      const tm_reg *write) {
    tm_reg trial = *reg;
    if (!tm_reg_join(&trial, write)) return false;
    tm_span browser = browser_use(list, write->at.browser);
    if (tm_list_word(browser)->uses == 1) list->size += browser_size(browser);
    if (reg_written(reg)) {
        tm_digest_sub(&list->digest, tm_digest_reg(id, name, reg));
        list->size -= reg_size(reg);
        browser_drop(list, reg->at.browser);
    }
    value_set(&list->pool, &reg->value, write->value);
    reg->at = (tm_stamp){write->at.time, write->at.version, browser};
    tm_digest_add(&list->digest, tm_digest_reg(id, name, reg));
    list->size += reg_size(reg);
    return true;
}

static bool add_write(tm_list *list, tm_item *item, const tm_reg *write) {
    static const tm_span no_name = TM_LIT("");
    bool first = !reg_written(&item->add);
    bool won = reg_write(list, item->id, no_name, &item->add, write);
    if (won && first) list->live++;
    return won;
}

// Where the field is, or where it would go.
static uint32_t field_place(const tm_item *item, tm_span name, bool *found) {
    uint32_t low = 0, high = item->field_count;
    *found = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = tm_span_cmp(item->fields[middle].name, name);
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

static void field_make(tm_list *list, tm_item *item, uint32_t place, tm_span name) {
    size_t count = item->field_count, unit = sizeof(tm_item_field);
    if (tm_pool_block((count + 1) * unit) != tm_pool_block(count * unit)) {
        tm_item_field *fields = tm_pool_get(&list->pool, (count + 1) * unit);
        if (count > 0) memcpy(fields, item->fields, count * unit);
        tm_pool_put(&list->pool, item->fields, count * unit);
        item->fields = fields;
    }
    tm_item_field *field = &item->fields[place];
    memmove(field + 1, field, (count - place) * unit);
    *field = (tm_item_field){.name = word_use(list, &list->names, name)};
    item->field_count++;
}

static bool field_write(tm_list *list, tm_item *item, tm_span name,
                        const tm_reg *write) {
    bool found;
    uint32_t place = field_place(item, name, &found);
    if (!found) {
        field_make(list, item, place, name);
        list->size += SIZE_FIELD + json_len(name);
    }
    tm_item_field *field = &item->fields[place];
    return reg_write(list, item->id, field->name, &field->reg, write);
}

static void field_drop(tm_list *list, const tm_item *item, tm_item_field *field) {
    tm_digest_sub(&list->digest, tm_digest_reg(item->id, field->name, &field->reg));
    list->size -= SIZE_FIELD + json_len(field->name) + reg_size(&field->reg);
    text_free(&list->pool, field->reg.value);
    browser_drop(list, field->reg.at.browser);
    (void)word_drop(list, field->name);
}

// The id is all that stays.
static void item_kill(tm_list *list, tm_item *item) {
    static const tm_span no_name = TM_LIT("");
    for (uint32_t i = 0; i < item->field_count; i++) {
        field_drop(list, item, &item->fields[i]);
    }
    tm_pool_put(&list->pool, item->fields,
                item->field_count * sizeof *item->fields);
    if (reg_written(&item->add)) {
        tm_digest_sub(&list->digest, tm_digest_reg(item->id, no_name, &item->add));
        list->size -= reg_size(&item->add);
        text_free(&list->pool, item->add.value);
        browser_drop(list, item->add.at.browser);
        list->live--;
    }
    *item = (tm_item){.id = item->id, .dead = true, .index = item->index};
    tm_digest_add(&list->digest, tm_digest_dead(item->id));
}

// ---- joining ------------------------------------------------------------------------

static tm_status add_and_fields(tm_list *list, const tm_op *op, bool *changed) {
    uint32_t hash = id_hash(list, op->instance_id);
    tm_item *item = item_find(list, op->instance_id, hash);
    if (item != NULL && item->dead) return TM_OK;

    bool is_add = op->type == TM_OP_ADD;
    size_t need = item_need(list, item, op->instance_id);
    need += browser_need(list, op->at.browser);
    if (is_add) need += tm_pool_block(op->image_id.len);
    for (uint32_t i = 0; i < op->field_count; i++) {
        need += field_need(item, i, op->fields[i].name, op->fields[i].value);
    }
    tm_status status = change_reserve(list, item, need, op->field_count);
    if (status != TM_OK) return status;

    tm_reg write = {.at = op->at, .value = op->image_id};
    if (item == NULL) item = item_make(list, op->instance_id, hash);
    if (is_add) *changed |= add_write(list, item, &write);
    for (uint32_t i = 0; i < op->field_count; i++) {
        write.value = op->fields[i].value;
        *changed |= field_write(list, item, op->fields[i].name, &write);
    }
    return TM_OK;
}

static tm_status unknown_keep(tm_list *list, tm_span id, tm_span raw) {
    if (tm_table_get(&list->unknown_ids, id) != NULL) return TM_OK;
    if (list->unknown_count == list->unknown_cap) {
        size_t cap = list->unknown_cap, more = cap == 0 ? 4 : 2 * cap;
        list_unknown *unknown =
            list->alloc->resize(list->alloc->context, list->unknown,
                                cap * sizeof *unknown, more * sizeof *unknown);
        if (unknown == NULL) return TM_E_NOMEM;
        list->unknown = unknown;
        list->unknown_cap = more;
    }
    tm_status status = tm_table_reserve(&list->unknown_ids, 1);
    if (status != TM_OK) return status;
    uint8_t *copy = tm_alloc_get(list->alloc, id.len + raw.len);
    if (copy == NULL) return TM_E_NOMEM;
    memcpy(copy, id.ptr, id.len);
    memcpy(copy + id.len, raw.ptr, raw.len);
    list_unknown *kept = &list->unknown[list->unknown_count++];
    kept->id = (tm_span){copy, id.len};
    kept->raw = (tm_span){copy + id.len, raw.len};
    table_put(&list->unknown_ids, kept->id, copy);
    list->size += raw.len + 1;
    return TM_OK;
}

static tm_status dead_join(tm_list *list, tm_span id, bool *changed) {
    uint32_t hash = id_hash(list, id);
    tm_item *item = item_find(list, id, hash);
    if (item == NULL) {
        tm_status status = change_reserve(list, item, item_need(list, item, id), 0);
        if (status != TM_OK) return status;
        item = item_make(list, id, hash);
    }
    if (item->dead) return TM_OK;
    item_kill(list, item);
    *changed = true;
    return TM_OK;
}

static tm_status sort_join(tm_list *list, const tm_reg *write, bool *changed) {
    static const tm_span no_name = TM_LIT("");
    size_t need =
        browser_need(list, write->at.browser) + tm_pool_block(write->value.len);
    tm_status status = tm_pool_reserve(&list->pool, need);
    if (status == TM_OK) status = tm_table_reserve(&list->browsers, 1);
    if (status != TM_OK) return status;
    bool first = !reg_written(&list->sort);
    if (!reg_write(list, no_name, no_name, &list->sort, write)) return TM_OK;
    if (first) list->size -= SIZE_NULL;
    *changed = true;
    return TM_OK;
}

// An empty name joins `add`.
static tm_status field_join(tm_list *list, tm_span id, tm_span name,
                            const tm_reg *write) {
    uint32_t hash = id_hash(list, id);
    tm_item *item = item_find(list, id, hash);
    if (item != NULL && item->dead) return TM_OK;
    size_t need = item_need(list, item, id) +
                  browser_need(list, write->at.browser) +
                  field_need(item, 0, name, write->value);
    tm_status status = change_reserve(list, item, need, 1);
    if (status != TM_OK) return status;
    if (item == NULL) item = item_make(list, id, hash);
    if (name.len == 0) {
        (void)add_write(list, item, write);
    } else {
        (void)field_write(list, item, name, write);
    }
    return TM_OK;
}

static tm_status item_join(tm_list *list, const tm_item *item) {
    static const tm_span no_name = TM_LIT("");
    bool changed;
    if (item->dead) return dead_join(list, item->id, &changed);
    tm_status status = TM_OK;
    if (reg_written(&item->add)) {
        status = field_join(list, item->id, no_name, &item->add);
    }
    for (uint32_t i = 0; i < item->field_count && status == TM_OK; i++) {
        const tm_item_field *field = &item->fields[i];
        status = field_join(list, item->id, field->name, &field->reg);
    }
    return status;
}

// Everything but the unknown operations.
static tm_status registers_join(tm_list *list, const tm_list *from) {
    tm_status status = TM_OK;
    bool changed;
    for (uint32_t i = 0; i < from->count && status == TM_OK; i++) {
        status = item_join(list, item_at(from, i));
    }
    if (status == TM_OK && reg_written(&from->sort)) {
        status = sort_join(list, &from->sort, &changed);
    }
    return status;
}

// ---- making and freeing -------------------------------------------------------------

tm_status tm_list_new(const tm_alloc *alloc, tm_seed seed, tm_list **list) {
    tm_list *made = tm_alloc_get(alloc, sizeof *made);
    if (made == NULL) return TM_E_NOMEM;
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

void tm_list_free(tm_list *list) {
    if (list == NULL) return;
    const tm_alloc *alloc = list->alloc;
    tm_pool_deinit(&list->pool);
    tm_table_deinit(&list->browsers);
    tm_table_deinit(&list->names);
    tm_table_deinit(&list->unknown_ids);
    tm_alloc_put(alloc, list->chunks, list->chunk_cap * sizeof *list->chunks);
    tm_alloc_put(alloc, list->places, list->place_cap * sizeof *list->places);
    for (size_t i = 0; i < list->unknown_count; i++) {
        const list_unknown *kept = &list->unknown[i];
        tm_alloc_put(alloc, (void *)(uintptr_t)kept->id.ptr,
                     kept->id.len + kept->raw.len);
    }
    tm_alloc_put(alloc, list->unknown, list->unknown_cap * sizeof *list->unknown);
    tm_alloc_put(alloc, list, sizeof *list);
}

// ---- compacting ---------------------------------------------------------------------

// Blocks of one class do not serve another. A list whose values keep changing their
// lengths would gather free blocks for ever, and browsers that nothing names any more;
// when more lies idle than is in use, all is joined into a new list, which becomes this
// one, and the old memory goes back.

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

// ---- the changes, from outside ------------------------------------------------------

tm_status tm_list_apply(tm_list *list, const tm_op *op, bool *changed) {
    TM_ASSERT(op->fault == TM_FAULT_NONE);
    tm_status status = TM_OK;
    bool did = false;
    switch (op->type) {
    case TM_OP_ADD:
    case TM_OP_UPDATE:
        status = add_and_fields(list, op, &did);
        break;
    case TM_OP_DELETE:
        status = dead_join(list, op->instance_id, &did);
        break;
    case TM_OP_SORT: {
        tm_reg write = {.at = op->at, .value = op->sort};
        status = sort_join(list, &write, &did);
        break;
    }
    case TM_OP_UNKNOWN:
        TM_ASSERT(op->raw.len > 0); // it has no other form
        status = unknown_keep(list, op->id, op->raw);
        break;
    }
    if (changed != NULL) *changed = did;
    compact_maybe(list);
    return status;
}

tm_status tm_list_join_field(tm_list *list, tm_span id, tm_span name,
                             const tm_reg *write) {
    tm_status status = field_join(list, id, name, write);
    compact_maybe(list);
    return status;
}

tm_status tm_list_join_dead(tm_list *list, tm_span id) {
    bool changed;
    tm_status status = dead_join(list, id, &changed);
    compact_maybe(list);
    return status;
}

tm_status tm_list_join_sort(tm_list *list, const tm_reg *write) {
    bool changed;
    tm_status status = sort_join(list, write, &changed);
    compact_maybe(list);
    return status;
}

tm_status tm_list_join(tm_list *list, const tm_list *from) {
    TM_ASSERT(list != from);
    tm_status status = registers_join(list, from);
    for (size_t i = 0; i < from->unknown_count && status == TM_OK; i++) {
        status = unknown_keep(list, from->unknown[i].id, from->unknown[i].raw);
    }
    compact_maybe(list);
    return status;
}

// ---- reading ------------------------------------------------------------------------

bool tm_item_live(const tm_item *item) {
    return item != NULL && !item->dead && reg_written(&item->add);
}

const tm_reg *tm_item_field_get(const tm_item *item, tm_span name) {
    if (item == NULL) return NULL;
    bool found;
    uint32_t place = field_place(item, name, &found);
    return found ? &item->fields[place].reg : NULL;
}

const tm_item *tm_list_find(const tm_list *list, tm_span id) {
    return item_find(list, id, id_hash(list, id));
}

size_t tm_list_count(const tm_list *list) {
    return list->count;
}

const tm_item *tm_list_at(const tm_list *list, size_t index) {
    TM_ASSERT(index < list->count);
    return item_at(list, (uint32_t)index);
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
        const tm_item *item = item_at(list, i);
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
