// tree.c - see tree.h.
#include "cmd/tree.h"

#include <string.h>

static tm_status node_read(tm_json *in, tm_arena *arena, tm_node *node);

static tm_status children_read(tm_json *in, tm_arena *arena, tm_node *node) {
    tm_status status = tm_json_open(in, node->kind);
    if (status != TM_OK) return status;
    const tm_node **place = &node->first;
    tm_span key = {NULL, 0};
    bool object = node->kind == TM_JSON_OBJECT;
    while (object ? tm_json_member(in, &key) : tm_json_element(in)) {
        tm_node *child = tm_arena_get(arena, sizeof *child);
        if (child == NULL) return TM_E_NOMEM;
        *child = (tm_node){.key = key};
        status = node_read(in, arena, child);
        if (status != TM_OK) return status;
        *place = child;
        place = &child->next;
        node->count++;
    }
    return in->status;
}

// Recursion is bounded by the reader's own depth.
static tm_status node_read(tm_json *in, tm_arena *arena, tm_node *node) {
    node->kind = tm_json_peek(in);
    size_t first = in->at;
    tm_status status;
    switch (node->kind) {
    case TM_JSON_STRING:
        status = tm_json_string(in, &node->text);
        break;
    case TM_JSON_BOOL:
        status = tm_json_bool(in, &node->truth);
        break;
    case TM_JSON_INT:
        status = tm_json_skip(in, &node->text); // a negative one is welcome here
        break;
    case TM_JSON_ARRAY:
    case TM_JSON_OBJECT:
        status = children_read(in, arena, node);
        break;
    case TM_JSON_END:
        status = tm_json_fail(in, "nothing is there");
        break;
    default:
        status = tm_json_null(in);
        break;
    }
    if (status == TM_OK) {
        node->raw = (tm_span){in->source.ptr + first, in->at - first};
    }
    return status;
}

tm_status tm_tree_read(tm_span source, tm_arena *arena, const tm_node **root,
                       tm_json_error *error) {
    tm_json in;
    tm_json_init(&in, source, TM_JSON_DEPTH_MAX, arena);
    tm_node *node = tm_arena_get(arena, sizeof *node);
    if (node == NULL) return TM_E_NOMEM;
    *node = (tm_node){0};
    tm_status status = node_read(&in, arena, node);
    if (status == TM_OK) status = tm_json_end(&in);
    if (status != TM_OK) {
        if (error != NULL) *error = in.error;
        return status;
    }
    *root = node;
    return TM_OK;
}

const tm_node *tm_node_get(const tm_node *node, const char *name) {
    if (!tm_node_is(node, TM_JSON_OBJECT)) return NULL;
    for (const tm_node *child = node->first; child != NULL; child = child->next) {
        if (tm_span_equal_text(child->key, name)) return child;
    }
    return NULL;
}

bool tm_node_is(const tm_node *node, tm_json_kind kind) {
    return node != NULL && node->kind == kind;
}

bool tm_node_u64(const tm_node *node, uint64_t *number) {
    if (!tm_node_is(node, TM_JSON_INT) || node->text.ptr[0] == '-') return false;
    uint64_t value = 0; // the reader has seen to it that it fits
    for (size_t i = 0; i < node->text.len; i++) {
        value = value * 10 + (uint64_t)(node->text.ptr[i] - '0');
    }
    *number = value;
    return true;
}

bool tm_node_i64(const tm_node *node, int64_t *number) {
    if (!tm_node_is(node, TM_JSON_INT)) return false;
    tm_node positive = *node;
    bool negative = node->text.ptr[0] == '-';
    if (negative) {
        positive.text.ptr++;
        positive.text.len--;
    }
    uint64_t value;
    if (!tm_node_u64(&positive, &value) || value > INT64_MAX) return false;
    *number = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

bool tm_span_equal(tm_span a, tm_span b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool tm_span_equal_text(tm_span a, const char *text) {
    return tm_span_equal(a, (tm_span){(const uint8_t *)text, strlen(text)});
}

tm_span tm_node_text(const tm_node *node) {
    return tm_node_is(node, TM_JSON_STRING) ? node->text : (tm_span){NULL, 0};
}

bool tm_node_says(const tm_node *node, const char *text) {
    return tm_node_is(node, TM_JSON_STRING) && tm_span_equal_text(node->text, text);
}
