// model.h - SEMANTICS 1 and 3 once more, as plainly as they can be written: arrays, searched
// from the beginning, never sorted, compared by loops. Written from that page alone, for
// small numbers of operations over a small alphabet; it knows nothing of src/core but the
// form of its answers.
//
// tests/core/model.c keeps all operations and asks them all; this one applies one after
// another, as the page's pseudo code does. Two models that share no idea with each other.
#ifndef TM_TESTS_FUZZ_MODEL_H
#define TM_TESTS_FUZZ_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_ITEMS  8
#define MODEL_FIELDS 4

typedef struct model_text {
    const char *ptr; // NULL = null
    size_t len;
} model_text;

typedef struct model_stamp {
    uint64_t timestamp, logical;
    model_text browser;
    uint64_t version;
} model_stamp;

typedef struct model_reg {
    bool written;
    model_stamp at;
    model_text value;
} model_reg;

typedef enum model_type {
    MODEL_ADD,
    MODEL_DELETE,
    MODEL_UPDATE,
    MODEL_SORT
} model_type;

typedef struct model_op {
    model_type type;
    model_stamp at;
    model_text instance, image, sort;
    size_t field_count;
    struct {
        model_text name, value;
    } fields[MODEL_FIELDS];
} model_op;

typedef struct model_item {
    model_text id;
    bool dead;
    model_reg add;
    size_t field_count;
    struct {
        model_text name;
        model_reg reg;
    } fields[MODEL_FIELDS];
} model_item;

typedef struct model_state {
    model_item items[MODEL_ITEMS];
    size_t item_count;
    model_reg sort;
} model_state;

void model_apply(model_state *state, const model_op *op);
void model_join(model_state *to, const model_state *from);

// model_order - indexes of the live items in display order; returns how many.
size_t model_order(const model_state *state, size_t order[MODEL_ITEMS]);

// model_canonical - the bytes that core/list.h promises of tm_list_write, NUL-terminated.
void model_canonical(const model_state *state, char *out, size_t room);

#endif
