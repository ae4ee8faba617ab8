// plain.c - see plain.h.
#include "sim/plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/ram.h"

typedef struct text {
    uint8_t *ptr; // NULL = null
    size_t len;
} text;

// One register: of which item, which field ("" = the image; no item = the sort).
typedef struct reg {
    text item, field, value, browser;
    uint64_t time, version;
} reg;

struct tm_plain {
    reg *regs;
    size_t reg_count, reg_cap;
    text *dead;
    size_t dead_count, dead_cap;
    text *unknown; // operations of types that joined nothing, as they came
    size_t unknown_count, unknown_cap;
};

tm_plain *tm_plain_new(void) {
    tm_plain *plain = calloc(1, sizeof *plain);
    TM_ASSERT(plain != NULL);
    return plain;
}

void tm_plain_free(tm_plain *plain) {
    for (size_t i = 0; i < plain->reg_count; i++) {
        free(plain->regs[i].item.ptr);
        free(plain->regs[i].field.ptr);
        free(plain->regs[i].value.ptr);
        free(plain->regs[i].browser.ptr);
    }
    for (size_t i = 0; i < plain->dead_count; i++) {
        free(plain->dead[i].ptr);
    }
    for (size_t i = 0; i < plain->unknown_count; i++) {
        free(plain->unknown[i].ptr);
    }
    free(plain->unknown);
    free(plain->regs);
    free(plain->dead);
    free(plain);
}

static text text_of(tm_span span) {
    if (span.ptr == NULL) return (text){NULL, 0};
    return (text){tm_sim_copy(span), span.len};
}

static tm_span span_of(text t) {
    return (tm_span){t.ptr, t.len};
}

static bool same(text a, tm_span b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static int bytes_cmp(tm_span a, tm_span b) {
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);
    if (order != 0) return order;
    return (a.len > b.len) - (a.len < b.len);
}

// The greater of (timestamp and logical, browserId, version, value); null below all.
static bool greater(const reg *old, const tm_op *op, tm_span value) {
    if (op->at.time != old->time) return op->at.time > old->time;
    int order = bytes_cmp(op->at.browser, span_of(old->browser));
    if (order != 0) return order > 0;
    if (op->at.version != old->version) return op->at.version > old->version;
    if (value.ptr == NULL || old->value.ptr == NULL)
        return old->value.ptr == NULL && value.ptr != NULL;
    return bytes_cmp(value, span_of(old->value)) > 0;
}

static void join(tm_plain *plain, tm_span item, tm_span field, tm_span value,
                 const tm_op *op) {
    for (size_t i = 0; i < plain->reg_count; i++) {
        reg *r = &plain->regs[i];
        if (!same(r->item, item) || !same(r->field, field)) continue;
        if (!greater(r, op, value)) return;
        free(r->value.ptr);
        free(r->browser.ptr);
        r->value = text_of(value);
        r->browser = text_of(op->at.browser);
        r->time = op->at.time;
        r->version = op->at.version;
        return;
    }
    plain->regs = tm_sim_grow(plain->regs, plain->reg_count, &plain->reg_cap,
                              sizeof *plain->regs);
    plain->regs[plain->reg_count++] =
        (reg){text_of(item),           text_of(field), text_of(value),
              text_of(op->at.browser), op->at.time,    op->at.version};
}

static bool is_dead(const tm_plain *plain, tm_span item) {
    for (size_t i = 0; i < plain->dead_count; i++) {
        if (same(plain->dead[i], item)) return true;
    }
    return false;
}

static void unknown_add(tm_plain *plain, tm_span raw) {
    for (size_t i = 0; i < plain->unknown_count; i++) {
        if (same(plain->unknown[i], raw)) return;
    }
    plain->unknown = tm_sim_grow(plain->unknown, plain->unknown_count,
                                 &plain->unknown_cap, sizeof *plain->unknown);
    plain->unknown[plain->unknown_count++] = text_of(raw);
}

void tm_plain_apply(tm_plain *plain, const tm_op *op) {
    static const tm_span none = {(const uint8_t *)"", 0};
    switch (op->type) {
    case TM_OP_SORT:
        join(plain, none, none, op->sort, op);
        break;
    case TM_OP_DELETE:
        if (is_dead(plain, op->instance_id)) break;
        plain->dead = tm_sim_grow(plain->dead, plain->dead_count, &plain->dead_cap,
                                  sizeof *plain->dead);
        plain->dead[plain->dead_count++] = text_of(op->instance_id);
        break;
    case TM_OP_ADD:
        join(plain, op->instance_id, none, op->image_id, op);
        // fall through
    case TM_OP_UPDATE:
        for (uint32_t i = 0; i < op->field_count; i++) {
            join(plain, op->instance_id, op->fields[i].name, op->fields[i].value,
                 op);
        }
        break;
    case TM_OP_UNKNOWN:
        unknown_add(plain, op->raw);
        break;
    }
}

static bool reg_same(const reg *r, const tm_reg *other) {
    return other->at.time == r->time && other->at.version == r->version &&
           same(r->browser, other->at.browser) &&
           (r->value.ptr == NULL) == (other->value.ptr == NULL) &&
           same(r->value, other->value);
}

static tm_reg reg_find(const tm_list *list, const reg *r) {
    if (r->item.len == 0) return tm_list_sort(list);
    return tm_item_reg(tm_list_find(list, span_of(r->item)), span_of(r->field));
}

// They are carried along, each as it came, for builds that know them.
static bool unknown_kept(const tm_plain *plain, const tm_list *list) {
    size_t found = 0;
    if (tm_list_unknown_count(list) != plain->unknown_count) return false;
    for (size_t i = 0; i < plain->unknown_count; i++) {
        for (size_t k = 0; k < plain->unknown_count; k++) {
            found += same(plain->unknown[i], tm_list_unknown(list, k));
        }
    }
    return found == plain->unknown_count;
}

bool tm_plain_equal(const tm_plain *plain, const tm_list *list, char why[256]) {
    size_t dead = 0, regs = 0, want = 0;
    if (!unknown_kept(plain, list)) {
        (void)snprintf(why, 256,
                       "the log has %zu operations of unknown types, and the "
                       "state not these",
                       plain->unknown_count);
        return false;
    }
    for (size_t i = 0; i < plain->reg_count; i++) {
        const reg *r = &plain->regs[i];
        if (is_dead(plain, span_of(r->item))) continue;
        want++;
        tm_reg other = reg_find(list, r);
        if (reg_same(r, &other)) continue;
        (void)snprintf(why, 256,
                       "the state's %.*s.%.*s is not what the log adds up to",
                       (int)r->item.len, (const char *)r->item.ptr,
                       (int)r->field.len, (const char *)r->field.ptr);
        return false;
    }
    for (size_t i = 0; i < tm_list_count(list); i++) {
        const tm_item *item = tm_list_at(list, i);
        tm_item_field field;
        dead += item->dead;
        for (size_t at = 0; tm_item_next(item, &at, &field);) {
            regs++;
        }
    }
    regs += tm_list_sort(list).at.browser.len > 0;
    for (size_t i = 0; i < plain->dead_count; i++) {
        const tm_item *item = tm_list_find(list, span_of(plain->dead[i]));
        if (tm_item_dead(item)) continue;
        (void)snprintf(why, 256, "%.*s was deleted, and lives",
                       (int)plain->dead[i].len, (const char *)plain->dead[i].ptr);
        return false;
    }
    if (dead == plain->dead_count && regs == want) return true;
    (void)snprintf(why, 256,
                   "the state has %zu registers and %zu dead, the log %zu and %zu",
                   regs, dead, want, plain->dead_count);
    return false;
}

// ---- as golden cases have it ------------------------------------------------------------

static const reg *get(const tm_plain *plain, tm_span item, size_t from) {
    for (size_t i = from; i < plain->reg_count; i++) {
        const reg *r = &plain->regs[i];
        if (same(r->item, item) && r->field.len == 0) return r;
    }
    return NULL;
}

static void item_write(const tm_plain *plain, const reg *image, tm_buf *out) {
    tm_buf_json(out, span_of(image->item));
    tm_buf_text(out, ":{\"imageId\":");
    tm_buf_json(out, span_of(image->value));
    for (size_t i = 0; i < plain->reg_count; i++) {
        const reg *r = &plain->regs[i];
        if (!same(r->item, span_of(image->item))) continue;
        if (r->field.len == 0 || r->value.ptr == NULL) continue;
        tm_buf_byte(out, ',');
        tm_buf_json(out, span_of(r->field));
        tm_buf_byte(out, ':');
        tm_buf_json(out, span_of(r->value));
    }
    tm_buf_byte(out, '}');
}

void tm_plain_write(const tm_plain *plain, tm_buf *out) {
    static const tm_span none = {(const uint8_t *)"", 0};
    const reg *sort = get(plain, none, 0);
    const char *comma = "";
    tm_buf_text(out, "{\"items\":{");
    for (size_t i = 0; i < plain->reg_count; i++) {
        const reg *r = &plain->regs[i];
        if (r->item.len == 0 || r->field.len > 0) continue;
        if (is_dead(plain, span_of(r->item))) continue;
        tm_buf_text(out, comma);
        item_write(plain, r, out);
        comma = ",";
    }
    tm_buf_text(out, "},\"sort\":");
    if (sort == NULL) {
        tm_buf_text(out, "\"asc\"");
    } else {
        tm_buf_json(out, span_of(sort->value));
    }
    tm_buf_byte(out, '}');
}

static int dead_cmp(const void *a, const void *b) {
    return bytes_cmp(span_of(*(const text *)a), span_of(*(const text *)b));
}

void tm_plain_dead_write(tm_plain *plain, tm_buf *out) {
    if (plain->dead_count > 0)
        qsort(plain->dead, plain->dead_count, sizeof *plain->dead, dead_cmp);
    tm_buf_byte(out, '[');
    for (size_t i = 0; i < plain->dead_count; i++) {
        if (i > 0) tm_buf_byte(out, ',');
        tm_buf_json(out, span_of(plain->dead[i]));
    }
    tm_buf_byte(out, ']');
}
