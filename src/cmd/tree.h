// tree.h - a small JSON document as a tree, for what is read here and there and not
// fast: case files, what an engine says, records.
//
// Over core/json.h, and as strict. Nodes live in the arena; texts are lent from the
// source or live in the arena too.
//
// Knows core/json.h.
#ifndef TM_CMD_TREE_H
#define TM_CMD_TREE_H

#include "core/json.h"

typedef struct tm_node tm_node;
struct tm_node {
    tm_json_kind kind;
    bool truth;   // of a TM_JSON_BOOL
    tm_span key;  // its name, in an object
    tm_span text; // of a string: unescaped; of an integer: its literal
    tm_span raw;  // the value as it stands in the source
    size_t count; // members or elements
    const tm_node *first, *next;
};

// tm_tree_read - all of `source`, which must outlive the tree.
//   error   receives where and why on TM_E_CORRUPT; may be NULL
TM_MUST_USE tm_status tm_tree_read(tm_span source, tm_arena *arena,
                                   const tm_node **root, tm_json_error *error);

// tm_node_get - a member by name; NULL if there is none, or `node` is no object or NULL.
const tm_node *tm_node_get(const tm_node *node, const char *name);

// tm_node_is - whether it is there and of this kind.
bool tm_node_is(const tm_node *node, tm_json_kind kind);

// tm_node_i64 / u64 - the integer; false if it is none or does not fit.
bool tm_node_i64(const tm_node *node, int64_t *number);
bool tm_node_u64(const tm_node *node, uint64_t *number);

// tm_span_equal / tm_span_equal_text - by bytes.
bool tm_span_equal(tm_span a, tm_span b);
bool tm_span_equal_text(tm_span a, const char *text);

// tm_node_text - the string's text; a null span if it is not a string.
tm_span tm_node_text(const tm_node *node);
bool tm_node_says(const tm_node *node, const char *text);

#endif
