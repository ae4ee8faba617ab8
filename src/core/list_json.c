// list_json.c - the canonical bytes of a list: see list.h, tm_list_write.
#include "core/list_impl.h"
#include "core/sort.h"

#include <string.h>

// ---- writing ------------------------------------------------------------------------

static const tm_span no_name = TM_LIT("");

// What is sorted before it is written. All allocated together.
typedef struct list_plan {
    const void **items;    // dead ones first, each part by id
    const void **browsers; // the interned text of those that a register names
    uint32_t *ranks;       // by a word's number: its place among them
    size_t dead, count, browser_count;
} list_plan;

static int item_cmp(const void *a, const void *b) {
    return tm_span_cmp(tm_item_id(a), tm_item_id(b));
}

static int browser_cmp(const void *a, const void *b) {
    return tm_span_cmp(((const tm_table_slot *)a)->key,
                       ((const tm_table_slot *)b)->key);
}

static void items_plan(const tm_list *list, list_plan *plan) {
    size_t dead = 0, other = list->count;
    for (size_t i = 0; i < list->count; i++) {
        const tm_item *item = tm_list_at(list, i);
        plan->items[item->dead ? dead++ : --other] = item;
    }
    plan->dead = dead;
    plan->count = list->count;
    tm_sort(plan->items, dead, item_cmp);
    tm_sort(plan->items + dead, plan->count - dead, item_cmp);
}

static void browsers_plan(const tm_list *list, list_plan *plan) {
    size_t at = 0;
    for (tm_table_slot *slot; (slot = tm_table_next(&list->words, &at)) != NULL;) {
        if (tm_list_word(slot->key)->uses == 0) continue;
        plan->browsers[plan->browser_count++] = slot;
    }
    tm_sort(plan->browsers, plan->browser_count, browser_cmp);
    for (size_t i = 0; i < plan->browser_count; i++) {
        const tm_table_slot *slot = plan->browsers[i];
        plan->ranks[tm_list_word(slot->key)->number] = (uint32_t)i;
    }
}

static void reg_write(const list_plan *plan, tm_buf *out, const tm_reg *reg) {
    if (reg->at.browser.len == 0) {
        tm_buf_text(out, "null");
        return;
    }
    const uint64_t numbers[] = {
        reg->at.time >> TM_LOGICAL_BITS,
        reg->at.time & ((1u << TM_LOGICAL_BITS) - 1),
        plan->ranks[tm_list_word(reg->at.browser)->number],
        reg->at.version,
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        tm_buf_byte(out, i > 0 ? ',' : '[');
        tm_buf_u64(out, numbers[i]);
    }
    tm_buf_byte(out, ',');
    if (reg->value.ptr == NULL) {
        tm_buf_text(out, "null");
    } else {
        tm_buf_json(out, reg->value);
    }
    tm_buf_byte(out, ']');
}

static void item_write(const list_plan *plan, tm_buf *out, const tm_item *item) {
    tm_item_field field;
    size_t at = 0;
    tm_buf_byte(out, '[');
    tm_buf_json(out, tm_item_id(item));
    if (!item->added) tm_buf_text(out, ",null");
    while (tm_item_next(item, &at, &field)) {
        tm_buf_byte(out, ',');
        if (field.name.len == 0) {
            reg_write(plan, out, &field.reg);
            continue;
        }
        tm_buf_byte(out, '[');
        tm_buf_json(out, field.name);
        tm_buf_byte(out, ',');
        reg_write(plan, out, &field.reg);
        tm_buf_byte(out, ']');
    }
    tm_buf_byte(out, ']');
}

static void plan_write(const tm_list *list, const list_plan *plan, tm_buf *out) {
    tm_buf_text(out, "{\"format\":");
    tm_buf_u64(out, TM_STATE_FORMAT);
    tm_buf_text(out, ",\"browsers\":[");
    for (size_t i = 0; i < plan->browser_count; i++) {
        if (i > 0) tm_buf_byte(out, ',');
        tm_buf_json(out, ((const tm_table_slot *)plan->browsers[i])->key);
    }
    tm_buf_text(out, "],\"dead\":[");
    for (size_t i = 0; i < plan->dead; i++) {
        if (i > 0) tm_buf_byte(out, ',');
        tm_buf_json(out, tm_item_id(plan->items[i]));
    }
    tm_buf_text(out, "],\"items\":[");
    for (size_t i = plan->dead; i < plan->count; i++) {
        if (i > plan->dead) tm_buf_byte(out, ',');
        item_write(plan, out, plan->items[i]);
    }
    tm_buf_text(out, "],\"sort\":");
    tm_reg sort = tm_list_sort(list);
    reg_write(plan, out, &sort);
    tm_buf_byte(out, '}');
}

void tm_list_write(const tm_list *list, tm_buf *out) {
    size_t words = list->words.count;
    size_t size = (list->count + words) * sizeof(void *) + words * sizeof(uint32_t);
    uint8_t *memory = tm_alloc_get(out->alloc, size);
    if (memory == NULL) {
        out->status = TM_E_NOMEM;
        return;
    }
    list_plan plan = {.items = (const void **)(void *)memory};
    plan.browsers = plan.items + list->count;
    plan.ranks = (uint32_t *)(void *)(plan.browsers + words);
    items_plan(list, &plan);
    browsers_plan(list, &plan);
    plan_write(list, &plan, out);
    tm_alloc_put(out->alloc, memory, size);
}

// ---- reading ------------------------------------------------------------------------

// The reader keeps its first failure, and one of the list is told to it; so only loops
// and what uses a value ask.
typedef struct list_reading {
    tm_list *list;
    tm_json *in;
    bool other_format;
    tm_span *browsers; // in the reader's arena
    size_t browser_count, browser_cap;
} list_reading;

static bool is_well(const list_reading *reading) {
    return reading->in->status == TM_OK;
}

// A refusal of memory outside of the reader ends the reading as one inside it does.
static void no_memory(list_reading *reading) {
    tm_json_error error = {reading->in->at, "out of memory", {NULL, 0}};
    reading->in->error = error;
    reading->in->status = TM_E_NOMEM;
}

// The next member, which must have this name.
static void member_read(tm_json *in, const char *name) {
    tm_span key, want = {(const uint8_t *)name, 0};
    while (name[want.len] != '\0') {
        want.len++;
    }
    if (!tm_json_member(in, &key)) {
        (void)tm_json_fail(in, TM_WHY("state is incomplete"));
    } else if (tm_span_cmp(key, want) != 0) {
        (void)tm_json_fail(in, TM_WHY("not the state's next member"));
    }
}

// The next element of an array that is not over yet.
static void element_read(tm_json *in) {
    if (!tm_json_element(in)) (void)tm_json_fail(in, TM_WHY("array too short"));
}

static void array_close(tm_json *in) {
    if (tm_json_element(in)) (void)tm_json_fail(in, TM_WHY("array too long"));
}

static uint64_t number_read(tm_json *in, uint64_t min, uint64_t max) {
    uint64_t number = min;
    element_read(in);
    tm_json_kept(tm_json_u64(in, &number));
    if (number < min || number > max) {
        (void)tm_json_fail(in, TM_WHY("number out of range"));
        return min;
    }
    return number;
}

static void browser_read(list_reading *reading) {
    tm_json *in = reading->in;
    tm_span browser = {NULL, 0};
    tm_json_kept(tm_json_string(in, &browser));
    if (!tm_browser_id_valid(browser)) {
        (void)tm_json_fail(in, TM_WHY("not a browserId"));
        return;
    }
    if (reading->browser_count == reading->browser_cap) {
        size_t cap = reading->browser_cap == 0 ? 16 : 2 * reading->browser_cap;
        tm_span *more = tm_arena_get(in->arena, cap * sizeof *more);
        if (more == NULL) {
            no_memory(reading);
            return;
        }
        size_t size = reading->browser_count * sizeof *more;
        if (size > 0) memcpy(more, reading->browsers, size);
        reading->browsers = more;
        reading->browser_cap = cap;
    }
    reading->browsers[reading->browser_count++] = browser;
}

// A register, its opening bracket being next. The value's bounds are the caller's.
static void reg_read(list_reading *reading, tm_reg *reg) {
    tm_json *in = reading->in;
    *reg = (tm_reg){0};
    tm_json_kept(tm_json_open(in, TM_JSON_ARRAY));
    uint64_t ms = number_read(in, 0, TM_MS_MAX);
    reg->at.time = ms << TM_LOGICAL_BITS;
    reg->at.time |= number_read(in, 0, (1u << TM_LOGICAL_BITS) - 1);
    uint64_t browser = number_read(in, 0, UINT32_MAX);
    if (browser >= reading->browser_count) {
        (void)tm_json_fail(in, TM_WHY("no such browser"));
        return;
    }
    reg->at.browser = reading->browsers[browser];
    reg->at.version = number_read(in, 1, TM_INT_MAX);
    element_read(in);
    if (tm_json_peek(in) == TM_JSON_NULL) {
        tm_json_kept(tm_json_null(in));
    } else {
        tm_json_kept(tm_json_string(in, &reg->value));
    }
    if (reg->value.len > TM_VALUE_MAX)
        (void)tm_json_fail(in, TM_WHY("value too long"));
    array_close(in);
}

static tm_span id_read(tm_json *in) {
    tm_span id = {NULL, 0};
    tm_json_kept(tm_json_string(in, &id));
    if (!tm_instance_id_valid(id))
        (void)tm_json_fail(in, TM_WHY("not an instanceId"));
    return id;
}

static void dead_read(list_reading *reading) {
    tm_span id = id_read(reading->in);
    if (!is_well(reading)) return;
    if (tm_list_join_dead(reading->list, id) != TM_OK) no_memory(reading);
}

static void field_join(list_reading *reading, tm_span id, tm_span name,
                       const tm_reg *reg) {
    if (!is_well(reading)) return;
    if (tm_list_join_field(reading->list, id, name, reg) != TM_OK)
        no_memory(reading);
}

static void field_read(list_reading *reading, tm_span id) {
    tm_json *in = reading->in;
    tm_span name = {NULL, 0};
    tm_reg reg;
    tm_json_kept(tm_json_open(in, TM_JSON_ARRAY));
    element_read(in);
    tm_json_kept(tm_json_string(in, &name));
    if (!tm_field_name_valid(name))
        (void)tm_json_fail(in, TM_WHY("not a field's name"));
    element_read(in);
    reg_read(reading, &reg);
    array_close(in);
    field_join(reading, id, name, &reg);
}

static void item_read(list_reading *reading) {
    tm_json *in = reading->in;
    tm_reg add;
    bool written = false;
    tm_json_kept(tm_json_open(in, TM_JSON_ARRAY));
    element_read(in);
    tm_span id = id_read(in);
    element_read(in);
    if (tm_json_peek(in) == TM_JSON_NULL) {
        tm_json_kept(tm_json_null(in));
    } else {
        reg_read(reading, &add);
        if (!tm_instance_id_valid(add.value))
            (void)tm_json_fail(in, TM_WHY("not an imageId"));
        field_join(reading, id, no_name, &add);
        written = true;
    }
    while (is_well(reading) && tm_json_element(in)) {
        field_read(reading, id);
        written = true;
    }
    if (!written) (void)tm_json_fail(in, TM_WHY("an item without a register"));
}

static void each_read(list_reading *reading, const char *name,
                      void (*one)(list_reading *reading)) {
    member_read(reading->in, name);
    tm_json_kept(tm_json_open(reading->in, TM_JSON_ARRAY));
    while (is_well(reading) && tm_json_element(reading->in)) {
        one(reading);
    }
}

static void format_read(list_reading *reading) {
    uint64_t format = TM_STATE_FORMAT;
    member_read(reading->in, "format");
    tm_json_kept(tm_json_u64(reading->in, &format));
    if (format == TM_STATE_FORMAT) return;
    (void)tm_json_fail(reading->in, TM_WHY("a state format of another version"));
    reading->other_format = true;
}

static void sort_read(list_reading *reading) {
    static const tm_span asc = TM_LIT("asc"), desc = TM_LIT("desc");
    tm_json *in = reading->in;
    tm_reg sort;
    member_read(in, "sort");
    if (tm_json_peek(in) == TM_JSON_NULL) {
        tm_json_kept(tm_json_null(in));
        return;
    }
    reg_read(reading, &sort);
    if (tm_span_cmp(sort.value, asc) != 0 && tm_span_cmp(sort.value, desc) != 0) {
        (void)tm_json_fail(in, TM_WHY("sort is not asc or desc"));
    }
    field_join(reading, no_name, no_name, &sort);
}

tm_status tm_list_read(tm_list *list, tm_json *in) {
    list_reading reading = {.list = list, .in = in};
    tm_span key;
    tm_json_kept(tm_json_open(in, TM_JSON_OBJECT));
    format_read(&reading);
    each_read(&reading, "browsers", browser_read);
    each_read(&reading, "dead", dead_read);
    each_read(&reading, "items", item_read);
    sort_read(&reading);
    if (is_well(&reading) && tm_json_member(in, &key)) {
        (void)tm_json_fail(in, TM_WHY("not a member of a state"));
    }
    return reading.other_format ? TM_E_RANGE : in->status;
}
