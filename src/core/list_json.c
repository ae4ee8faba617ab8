// list_json.c - the canonical bytes of a list: see list.h, tm_list_write.
#include "core/list_impl.h"
#include "core/sort.h"

// ---- writing ------------------------------------------------------------------------

// What is sorted before it is written. All allocated together.
typedef struct list_plan {
    const void **items;    // dead ones first, each part by id
    const void **browsers; // the interned text of those that a register names
    uint32_t *ranks;       // by a browser's number: its place among them
    size_t dead, count, browser_count;
} list_plan;

static int item_cmp(const void *a, const void *b) {
    return tm_span_cmp(((const tm_item *)a)->id, ((const tm_item *)b)->id);
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
    for (tm_table_slot *slot;
         (slot = tm_table_next(&list->store.browsers, &at)) != NULL;) {
        if (tm_list_word(slot->key)->uses == 0) continue;
        plan->browsers[plan->browser_count++] = slot;
    }
    tm_sort(plan->browsers, plan->browser_count, browser_cmp);
    for (size_t i = 0; i < plan->browser_count; i++) {
        const tm_table_slot *slot = plan->browsers[i];
        plan->ranks[tm_list_word(slot->key)->number] = (uint32_t)i;
    }
}

static void text_write(tm_buf *out, tm_span text) {
    static const tm_span null = TM_LIT("null");
    if (text.ptr == NULL) {
        tm_buf_put(out, null);
    } else {
        tm_buf_json(out, text);
    }
}

static void reg_write(const list_plan *plan, tm_buf *out, const tm_reg *reg) {
    tm_span null = {NULL, 0};
    if (reg->at.browser.len == 0) {
        text_write(out, null);
        return;
    }
    tm_buf_byte(out, '[');
    tm_buf_u64(out, reg->at.time >> TM_LOGICAL_BITS);
    tm_buf_byte(out, ',');
    tm_buf_u64(out, reg->at.time & ((1u << TM_LOGICAL_BITS) - 1));
    tm_buf_byte(out, ',');
    tm_buf_u64(out, plan->ranks[tm_list_word(reg->at.browser)->number]);
    tm_buf_byte(out, ',');
    tm_buf_u64(out, reg->at.version);
    tm_buf_byte(out, ',');
    text_write(out, reg->value);
    tm_buf_byte(out, ']');
}

static void item_write(const list_plan *plan, tm_buf *out, const tm_item *item) {
    tm_buf_byte(out, '[');
    tm_buf_json(out, item->id);
    tm_buf_byte(out, ',');
    reg_write(plan, out, &item->add);
    for (uint32_t i = 0; i < item->field_count; i++) {
        tm_buf_text(out, ",[");
        tm_buf_json(out, item->fields[i].name);
        tm_buf_byte(out, ',');
        reg_write(plan, out, &item->fields[i].reg);
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
        tm_buf_json(out, ((const tm_item *)plan->items[i])->id);
    }
    tm_buf_text(out, "],\"items\":[");
    for (size_t i = plan->dead; i < plan->count; i++) {
        if (i > plan->dead) tm_buf_byte(out, ',');
        item_write(plan, out, plan->items[i]);
    }
    tm_buf_text(out, "],\"sort\":");
    reg_write(plan, out, &list->sort);
    tm_buf_byte(out, '}');
}

void tm_list_write(const tm_list *list, tm_buf *out) {
    size_t browsers = list->store.browsers.count;
    size_t size =
        (list->count + browsers) * sizeof(void *) + browsers * sizeof(uint32_t);
    uint8_t *memory = tm_alloc_get(out->alloc, size);
    if (memory == NULL) {
        out->status = TM_E_NOMEM;
        return;
    }
    list_plan plan = {.items = (const void **)(void *)memory};
    plan.browsers = plan.items + list->count;
    plan.ranks = (uint32_t *)(void *)(plan.browsers + browsers);
    items_plan(list, &plan);
    browsers_plan(list, &plan);
    plan_write(list, &plan, out);
    tm_alloc_put(out->alloc, memory, size);
}

// ---- reading ------------------------------------------------------------------------

typedef struct list_reading {
    tm_list *list;
    tm_json *in;
    tm_span *browsers; // in the reader's arena
    size_t browser_count, browser_cap;
} list_reading;

// The next member, which must have this name.
static tm_status member_read(tm_json *in, const char *name) {
    tm_span key, want = {(const uint8_t *)name, 0};
    while (name[want.len] != '\0') {
        want.len++;
    }
    if (!tm_json_member(in, &key)) {
        return in->status != TM_OK ? in->status
                                   : tm_json_fail(in, "state is incomplete");
    }
    if (tm_span_cmp(key, want) != 0)
        return tm_json_fail(in, "not the state's next member");
    return TM_OK;
}

// The next element of an array that is not over yet.
static tm_status element_read(tm_json *in) {
    if (tm_json_element(in)) return TM_OK;
    return in->status != TM_OK ? in->status : tm_json_fail(in, "array too short");
}

static tm_status array_close(tm_json *in) {
    if (tm_json_element(in)) return tm_json_fail(in, "array too long");
    return in->status;
}

static tm_status number_read(tm_json *in, uint64_t min, uint64_t max,
                             uint64_t *number) {
    tm_status status = element_read(in);
    if (status == TM_OK) status = tm_json_u64(in, number);
    if (status != TM_OK) return status;
    if (*number < min || *number > max)
        return tm_json_fail(in, "number out of range");
    return TM_OK;
}

static tm_status browser_read(list_reading *reading) {
    tm_json *in = reading->in;
    tm_span browser;
    tm_status status = tm_json_string(in, &browser);
    if (status != TM_OK) return status;
    if (!tm_browser_id_valid(browser)) return tm_json_fail(in, "not a browserId");
    if (reading->browser_count == reading->browser_cap) {
        size_t cap = reading->browser_cap == 0 ? 16 : 2 * reading->browser_cap;
        tm_span *more = tm_arena_get(in->arena, cap * sizeof *more);
        if (more == NULL) return TM_E_NOMEM;
        for (size_t i = 0; i < reading->browser_count; i++) {
            more[i] = reading->browsers[i];
        }
        reading->browsers = more;
        reading->browser_cap = cap;
    }
    reading->browsers[reading->browser_count++] = browser;
    return TM_OK;
}

// A register, its opening bracket being next. The value's bounds are the caller's.
static tm_status reg_read(list_reading *reading, tm_reg *reg) {
    tm_json *in = reading->in;
    uint64_t ms, logical, browser;
    tm_status status = tm_json_open(in, TM_JSON_ARRAY);
    if (status == TM_OK) status = number_read(in, 0, TM_MS_MAX, &ms);
    if (status == TM_OK) {
        status = number_read(in, 0, (1u << TM_LOGICAL_BITS) - 1, &logical);
    }
    if (status == TM_OK) status = number_read(in, 0, UINT32_MAX, &browser);
    if (status != TM_OK) return status;
    if (browser >= reading->browser_count)
        return tm_json_fail(in, "no such browser");
    status = number_read(in, 1, TM_INT_MAX, &reg->at.version);
    if (status == TM_OK) status = element_read(in);
    if (status != TM_OK) return status;
    reg->at.time = ms << TM_LOGICAL_BITS | logical;
    reg->at.browser = reading->browsers[browser];
    reg->value = (tm_span){NULL, 0};
    status = tm_json_peek(in) == TM_JSON_NULL ? tm_json_null(in)
                                              : tm_json_string(in, &reg->value);
    if (status != TM_OK) return status;
    if (reg->value.len > TM_VALUE_MAX) return tm_json_fail(in, "value too long");
    return array_close(in);
}

static tm_status id_read(tm_json *in, tm_span *id) {
    tm_status status = tm_json_string(in, id);
    if (status != TM_OK) return status;
    return tm_instance_id_valid(*id) ? TM_OK
                                     : tm_json_fail(in, "not an instanceId");
}

static tm_status dead_read(list_reading *reading) {
    tm_span id;
    tm_status status = id_read(reading->in, &id);
    return status == TM_OK ? tm_list_join_dead(reading->list, id) : status;
}

static tm_status field_read(list_reading *reading, tm_span id) {
    tm_json *in = reading->in;
    tm_span name;
    tm_reg reg;
    tm_status status = tm_json_open(in, TM_JSON_ARRAY);
    if (status == TM_OK) status = element_read(in);
    if (status == TM_OK) status = tm_json_string(in, &name);
    if (status != TM_OK) return status;
    if (!tm_field_name_valid(name)) return tm_json_fail(in, "not a field's name");
    status = element_read(in);
    if (status == TM_OK) status = reg_read(reading, &reg);
    if (status == TM_OK) status = array_close(in);
    if (status != TM_OK) return status;
    return tm_list_join_field(reading->list, id, name, &reg);
}

static tm_status item_read(list_reading *reading) {
    static const tm_span no_name = TM_LIT("");
    tm_json *in = reading->in;
    tm_span id;
    tm_reg add;
    bool written = false;
    tm_status status = tm_json_open(in, TM_JSON_ARRAY);
    if (status == TM_OK) status = element_read(in);
    if (status == TM_OK) status = id_read(in, &id);
    if (status == TM_OK) status = element_read(in);
    if (status != TM_OK) return status;
    if (tm_json_peek(in) == TM_JSON_NULL) {
        status = tm_json_null(in);
    } else {
        status = reg_read(reading, &add);
        if (status != TM_OK) return status;
        if (!tm_instance_id_valid(add.value))
            return tm_json_fail(in, "not an imageId");
        status = tm_list_join_field(reading->list, id, no_name, &add);
        written = true;
    }
    while (status == TM_OK && tm_json_element(in)) {
        status = field_read(reading, id);
        written = true;
    }
    if (status == TM_OK) status = in->status;
    if (status == TM_OK && !written)
        return tm_json_fail(in, "an item without a register");
    return status;
}

static tm_status each_read(list_reading *reading, const char *name,
                           tm_status (*one)(list_reading *reading)) {
    tm_status status = member_read(reading->in, name);
    if (status == TM_OK) status = tm_json_open(reading->in, TM_JSON_ARRAY);
    while (status == TM_OK && tm_json_element(reading->in)) {
        status = one(reading);
    }
    return status == TM_OK ? reading->in->status : status;
}

static tm_status format_read(tm_json *in) {
    uint64_t format;
    tm_status status = member_read(in, "format");
    if (status == TM_OK) status = tm_json_u64(in, &format);
    if (status != TM_OK || format == TM_STATE_FORMAT) return status;
    (void)tm_json_fail(in, "a state format of another version");
    return TM_E_RANGE;
}

static tm_status sort_read(list_reading *reading) {
    static const tm_span asc = TM_LIT("asc"), desc = TM_LIT("desc");
    tm_json *in = reading->in;
    tm_reg sort;
    tm_status status = member_read(in, "sort");
    if (status != TM_OK) return status;
    if (tm_json_peek(in) == TM_JSON_NULL) return tm_json_null(in);
    status = reg_read(reading, &sort);
    if (status != TM_OK) return status;
    if (tm_span_cmp(sort.value, asc) != 0 && tm_span_cmp(sort.value, desc) != 0) {
        return tm_json_fail(in, "sort is not asc or desc");
    }
    return tm_list_join_sort(reading->list, &sort);
}

tm_status tm_list_read(tm_list *list, tm_json *in) {
    list_reading reading = {.list = list, .in = in};
    tm_status status = tm_json_open(in, TM_JSON_OBJECT);
    if (status == TM_OK) status = format_read(in);
    if (status == TM_OK) status = each_read(&reading, "browsers", browser_read);
    if (status == TM_OK) status = each_read(&reading, "dead", dead_read);
    if (status == TM_OK) status = each_read(&reading, "items", item_read);
    if (status == TM_OK) status = sort_read(&reading);
    if (status != TM_OK) return status;
    tm_span key;
    if (tm_json_member(in, &key))
        return tm_json_fail(in, "not a member of a state");
    return in->status;
}
