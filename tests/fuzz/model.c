// model.c - see model.h.
#include "model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool fact) {
    if (!fact) abort(); // the model itself was asked for too much
}

// ---- comparing ------------------------------------------------------------------------

static int text_cmp(model_text a, model_text b) { // null < any string; then bytes
    if (a.ptr == NULL || b.ptr == NULL) return (a.ptr != NULL) - (b.ptr != NULL);
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        int x = (unsigned char)a.ptr[i], y = (unsigned char)b.ptr[i];
        if (x != y) return x < y ? -1 : 1;
    }
    return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

static int number_cmp(uint64_t a, uint64_t b) {
    return a == b ? 0 : a < b ? -1 : 1;
}

static int stamp_cmp(const model_stamp *a, const model_stamp *b) {
    int order = number_cmp(a->timestamp, b->timestamp);
    if (order == 0) order = number_cmp(a->logical, b->logical);
    if (order == 0) order = text_cmp(a->browser, b->browser);
    if (order == 0) order = number_cmp(a->version, b->version);
    return order;
}

static void reg_join(model_reg *a, const model_reg *b) {
    if (!b->written) return;
    int order = a->written ? stamp_cmp(&a->at, &b->at) : -1;
    if (order == 0) order = text_cmp(a->value, b->value);
    if (order < 0) *a = *b;
}

// ---- the state --------------------------------------------------------------------------

static model_item *item_of(model_state *state, model_text id) {
    for (size_t i = 0; i < state->item_count; i++) {
        if (text_cmp(state->items[i].id, id) == 0) return &state->items[i];
    }
    must(state->item_count < MODEL_ITEMS);
    model_item *fresh = &state->items[state->item_count++];
    memset(fresh, 0, sizeof *fresh);
    fresh->id = id;
    return fresh;
}

static model_reg *field_of(model_item *item, model_text name) {
    for (size_t i = 0; i < item->field_count; i++) {
        if (text_cmp(item->fields[i].name, name) == 0) return &item->fields[i].reg;
    }
    must(item->field_count < MODEL_FIELDS);
    item->fields[item->field_count].name = name;
    return &item->fields[item->field_count++].reg;
}

static model_reg write_of(const model_op *op, model_text value) {
    return (model_reg){.written = true, .at = op->at, .value = value};
}

static void fields_apply(model_item *item, const model_op *op) {
    for (size_t i = 0; i < op->field_count; i++) {
        model_reg write = write_of(op, op->fields[i].value);
        reg_join(field_of(item, op->fields[i].name), &write);
    }
}

void model_apply(model_state *state, const model_op *op) {
    if (op->type == MODEL_SORT) {
        model_reg write = write_of(op, op->sort);
        reg_join(&state->sort, &write);
        return;
    }
    model_item *item = item_of(state, op->instance);
    if (op->type == MODEL_DELETE) item->dead = true;
    if (op->type == MODEL_ADD) {
        model_reg write = write_of(op, op->image);
        reg_join(&item->add, &write);
    }
    if (op->type != MODEL_DELETE) fields_apply(item, op);
}

void model_join(model_state *to, const model_state *from) {
    reg_join(&to->sort, &from->sort);
    for (size_t i = 0; i < from->item_count; i++) {
        const model_item *one = &from->items[i];
        model_item *item = item_of(to, one->id);
        item->dead = item->dead || one->dead;
        reg_join(&item->add, &one->add);
        for (size_t f = 0; f < one->field_count; f++) {
            reg_join(field_of(item, one->fields[f].name), &one->fields[f].reg);
        }
    }
}

// ---- what it looks like -----------------------------------------------------------------

static bool live(const model_item *item) {
    return !item->dead && item->add.written;
}

static bool descending(const model_state *state) {
    return state->sort.written && state->sort.value.len == 4;
}

size_t model_order(const model_state *state, size_t order[MODEL_ITEMS]) {
    size_t count = 0;
    bool taken[MODEL_ITEMS] = {false};
    for (;;) { // the least that is left, each time
        size_t best = MODEL_ITEMS;
        for (size_t i = 0; i < state->item_count; i++) {
            if (taken[i] || !live(&state->items[i])) continue;
            if (best == MODEL_ITEMS) {
                best = i;
                continue;
            }
            int c = stamp_cmp(&state->items[i].add.at, &state->items[best].add.at);
            if (descending(state) ? c > 0 : c < 0) best = i;
        }
        if (best == MODEL_ITEMS) return count;
        taken[best] = true;
        order[count++] = best;
    }
}

typedef struct out {
    char *ptr;
    size_t len, room;
} out;

__attribute__((format(printf, 2, 3))) static void say(out *to, const char *format,
                                                      ...) {
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(to->ptr + to->len, to->room - to->len, format, arguments);
    va_end(arguments);
    must(len >= 0 && (size_t)len < to->room - to->len);
    to->len += (size_t)len;
}

static void say_text(out *to,
                     model_text text) { // of the alphabet: nothing to escape
    if (text.ptr == NULL) {
        say(to, "null");
    } else {
        say(to, "\"%.*s\"", (int)text.len, text.ptr);
    }
}

// The k-th smallest of a set of texts, by counting those below each.
typedef struct texts {
    model_text at[MODEL_ITEMS * (MODEL_FIELDS + 1) + 1];
    size_t count;
} texts;

static void texts_add(texts *set, model_text text) {
    for (size_t i = 0; i < set->count; i++) {
        if (text_cmp(set->at[i], text) == 0) return;
    }
    must(set->count < sizeof set->at / sizeof set->at[0]);
    set->at[set->count++] = text;
}

static size_t rank(const texts *set, model_text text) {
    size_t below = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (text_cmp(set->at[i], text) < 0) below++;
    }
    return below;
}

static model_text ranked(const texts *set, size_t k) {
    for (size_t i = 0; i < set->count; i++) {
        if (rank(set, set->at[i]) == k) return set->at[i];
    }
    must(false);
    return set->at[0];
}

static void say_texts(out *to, const texts *set) {
    say(to, "[");
    for (size_t k = 0; k < set->count; k++) {
        if (k > 0) say(to, ",");
        say_text(to, ranked(set, k));
    }
    say(to, "]");
}

static void say_reg(out *to, const texts *browsers, const model_reg *reg) {
    if (!reg->written) {
        say(to, "null");
        return;
    }
    say(to, "[%" PRIu64 ",%" PRIu64 ",%zu,%" PRIu64 ",", reg->at.timestamp,
        reg->at.logical, rank(browsers, reg->at.browser), reg->at.version);
    say_text(to, reg->value);
    say(to, "]");
}

static void browser_add(texts *browsers, const model_reg *reg) {
    if (reg->written) texts_add(browsers, reg->at.browser);
}

static void say_item(out *to, const texts *browsers, const model_item *item) {
    texts names = {.count = 0};
    say(to, "[");
    say_text(to, item->id);
    say(to, ",");
    say_reg(to, browsers, &item->add);
    for (size_t f = 0; f < item->field_count; f++) {
        texts_add(&names, item->fields[f].name);
    }
    for (size_t k = 0; k < names.count; k++) {
        for (size_t f = 0; f < item->field_count; f++) {
            if (text_cmp(item->fields[f].name, ranked(&names, k)) != 0) continue;
            say(to, ",[");
            say_text(to, item->fields[f].name);
            say(to, ",");
            say_reg(to, browsers, &item->fields[f].reg);
            say(to, "]");
        }
    }
    say(to, "]");
}

void model_canonical(const model_state *state, char *bytes, size_t room) {
    out to = {bytes, 0, room};
    texts browsers = {.count = 0}, dead = {.count = 0}, rest = {.count = 0};
    browser_add(&browsers, &state->sort);
    for (size_t i = 0; i < state->item_count; i++) {
        const model_item *item = &state->items[i];
        texts_add(item->dead ? &dead : &rest, item->id);
        if (item->dead) continue;
        browser_add(&browsers, &item->add);
        for (size_t f = 0; f < item->field_count; f++) {
            browser_add(&browsers, &item->fields[f].reg);
        }
    }
    say(&to, "{\"format\":1,\"browsers\":");
    say_texts(&to, &browsers);
    say(&to, ",\"dead\":");
    say_texts(&to, &dead);
    say(&to, ",\"items\":[");
    for (size_t k = 0; k < rest.count; k++) {
        if (k > 0) say(&to, ",");
        for (size_t i = 0; i < state->item_count; i++) {
            if (text_cmp(state->items[i].id, ranked(&rest, k)) != 0) continue;
            say_item(&to, &browsers, &state->items[i]);
        }
    }
    say(&to, "],\"sort\":");
    say_reg(&to, &browsers, &state->sort);
    say(&to, "}");
}
