// model.c - see model.h.
#include "model.h"

#include "t.h"

// A value as somebody wrote it; `op` NULL = never written.
typedef struct write {
    const tm_op *op;
    tm_span value;
} write;

void model_apply(naive *model, const tm_op *op) {
    T_TRUE(model->count < MODEL_OPS_MAX);
    model->ops[model->count++] = op;
}

static int bytes_cmp(tm_span a, tm_span b) {
    for (size_t i = 0;; i++) {
        if (i == a.len || i == b.len) return i < b.len ? -1 : i < a.len;
        if (a.ptr[i] != b.ptr[i]) return a.ptr[i] < b.ptr[i] ? -1 : 1;
    }
}

static bool same(tm_span a, tm_span b) {
    return bytes_cmp(a, b) == 0;
}

static bool greater(const write *a, const write *b) {
    if (b->op == NULL) return true;
    uint64_t ta = a->op->at.time, tb = b->op->at.time;
    if (ta != tb) return ta > tb;
    int order = bytes_cmp(a->op->at.browser, b->op->at.browser);
    if (order != 0) return order > 0;
    if (a->op->at.version != b->op->at.version) {
        return a->op->at.version > b->op->at.version;
    }
    if (a->value.ptr == NULL || b->value.ptr == NULL) {
        return a->value.ptr != NULL && b->value.ptr == NULL;
    }
    return bytes_cmp(a->value, b->value) > 0;
}

static void offer(write *best, const tm_op *op, tm_span value) {
    write one = {op, value};
    if (greater(&one, best)) *best = one;
}

static bool has_item(const tm_op *op) {
    return op->type == TM_OP_ADD || op->type == TM_OP_UPDATE ||
           op->type == TM_OP_DELETE;
}

static bool is_dead(const naive *model, tm_span id) {
    for (size_t i = 0; i < model->count; i++) {
        const tm_op *op = model->ops[i];
        if (op->type == TM_OP_DELETE && same(op->instance_id, id)) return true;
    }
    return false;
}

static write add_of(const naive *model, tm_span id) {
    write best = {0};
    for (size_t i = 0; i < model->count; i++) {
        const tm_op *op = model->ops[i];
        if (op->type != TM_OP_ADD || !same(op->instance_id, id)) continue;
        offer(&best, op, op->image_id);
    }
    return best;
}

static write field_of(const naive *model, tm_span id, tm_span name) {
    write best = {0};
    for (size_t i = 0; i < model->count; i++) {
        const tm_op *op = model->ops[i];
        if (!has_item(op) || !same(op->instance_id, id)) continue;
        for (uint32_t f = 0; f < op->field_count; f++) {
            if (same(op->fields[f].name, name))
                offer(&best, op, op->fields[f].value);
        }
    }
    return best;
}

static write sort_of(const naive *model) {
    write best = {0};
    for (size_t i = 0; i < model->count; i++) {
        const tm_op *op = model->ops[i];
        if (op->type == TM_OP_SORT) offer(&best, op, op->sort);
    }
    return best;
}

// ---- sets of texts ------------------------------------------------------------------

typedef struct texts {
    tm_span text[2 * MODEL_OPS_MAX * TM_FIELDS_MAX];
    size_t count;
} texts;

static void texts_add(texts *set, tm_span text) {
    size_t at = 0;
    while (at < set->count && bytes_cmp(set->text[at], text) < 0) {
        at++;
    }
    if (at < set->count && same(set->text[at], text)) return;
    for (size_t i = set->count; i > at; i--) {
        set->text[i] = set->text[i - 1];
    }
    set->text[at] = text;
    set->count++;
}

static size_t texts_find(const texts *set, tm_span text) {
    size_t at = 0;
    while (!same(set->text[at], text)) {
        at++;
    }
    return at;
}

static void ids_of(const naive *model, bool dead, texts *ids) {
    ids->count = 0;
    for (size_t i = 0; i < model->count; i++) {
        const tm_op *op = model->ops[i];
        if (!has_item(op) || is_dead(model, op->instance_id) != dead) continue;
        texts_add(ids, op->instance_id);
    }
}

static void names_of(const naive *model, tm_span id, texts *names) {
    names->count = 0;
    for (size_t i = 0; i < model->count; i++) {
        const tm_op *op = model->ops[i];
        if (!has_item(op) || !same(op->instance_id, id)) continue;
        for (uint32_t f = 0; f < op->field_count; f++) {
            texts_add(names, op->fields[f].name);
        }
    }
}

static void browser_add(texts *browsers, write one) {
    if (one.op != NULL) texts_add(browsers, one.op->at.browser);
}

static texts ids, names, browsers; // large, and one test runs at a time

static void browsers_of(const naive *model) {
    browsers.count = 0;
    browser_add(&browsers, sort_of(model));
    ids_of(model, false, &ids);
    for (size_t i = 0; i < ids.count; i++) {
        browser_add(&browsers, add_of(model, ids.text[i]));
        names_of(model, ids.text[i], &names);
        for (size_t n = 0; n < names.count; n++) {
            browser_add(&browsers, field_of(model, ids.text[i], names.text[n]));
        }
    }
}

// ---- the two answers ----------------------------------------------------------------

static void text_out(tm_buf *out, tm_span text) {
    if (text.ptr == NULL) {
        tm_buf_text(out, "null");
    } else {
        tm_buf_json(out, text);
    }
}

static void write_out(tm_buf *out, write one) {
    if (one.op == NULL) {
        tm_buf_text(out, "null");
        return;
    }
    char head[128];
    snprintf(head, sizeof head, "[%" PRIu64 ",%" PRIu64 ",%zu,%" PRIu64 ",",
             one.op->at.time / 65536, one.op->at.time % 65536,
             texts_find(&browsers, one.op->at.browser), one.op->at.version);
    tm_buf_text(out, head);
    text_out(out, one.value);
    tm_buf_text(out, "]");
}

static void texts_out(tm_buf *out, const texts *set) {
    tm_buf_text(out, "[");
    for (size_t i = 0; i < set->count; i++) {
        if (i > 0) tm_buf_text(out, ",");
        text_out(out, set->text[i]);
    }
    tm_buf_text(out, "]");
}

void model_write(const naive *model, tm_buf *out) {
    browsers_of(model);
    tm_buf_text(out, "{\"format\":1,\"browsers\":");
    texts_out(out, &browsers);
    tm_buf_text(out, ",\"dead\":");
    ids_of(model, true, &ids);
    texts_out(out, &ids);
    tm_buf_text(out, ",\"items\":[");
    ids_of(model, false, &ids);
    for (size_t i = 0; i < ids.count; i++) {
        tm_buf_text(out, i > 0 ? ",[" : "[");
        text_out(out, ids.text[i]);
        tm_buf_text(out, ",");
        write_out(out, add_of(model, ids.text[i]));
        names_of(model, ids.text[i], &names);
        for (size_t n = 0; n < names.count; n++) {
            tm_buf_text(out, ",[");
            text_out(out, names.text[n]);
            tm_buf_text(out, ",");
            write_out(out, field_of(model, ids.text[i], names.text[n]));
            tm_buf_text(out, "]");
        }
        tm_buf_text(out, "]");
    }
    tm_buf_text(out, "],\"sort\":");
    write_out(out, sort_of(model));
    tm_buf_text(out, "}");
}

static void part_add(tm_digest *sum, tm_span id, tm_span name, write one) {
    if (one.op == NULL) return;
    tm_reg reg = {.at = one.op->at, .value = one.value};
    tm_digest_add(sum, tm_digest_reg(id, name, &reg));
}

tm_digest model_digest(const naive *model) {
    tm_digest sum = {0};
    tm_span none = {NULL, 0};
    part_add(&sum, none, none, sort_of(model));
    ids_of(model, true, &ids);
    for (size_t i = 0; i < ids.count; i++) {
        tm_digest_add(&sum, tm_digest_dead(ids.text[i]));
    }
    ids_of(model, false, &ids);
    for (size_t i = 0; i < ids.count; i++) {
        part_add(&sum, ids.text[i], none, add_of(model, ids.text[i]));
        names_of(model, ids.text[i], &names);
        for (size_t n = 0; n < names.count; n++) {
            part_add(&sum, ids.text[i], names.text[n],
                     field_of(model, ids.text[i], names.text[n]));
        }
    }
    return sum;
}
