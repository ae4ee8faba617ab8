// model.h - SEMANTICS 3 as one would write it on a napkin: all operations are kept, and
// every question is answered by looking at all of them. It shares no code with list.c,
// and is what the list is compared with.
#ifndef TM_TESTS_CORE_MODEL_H
#define TM_TESTS_CORE_MODEL_H

#include "core/buf.h"
#include "core/digest.h"
#include "core/op.h"

#define MODEL_OPS_MAX 512

typedef struct naive {
    const tm_op *ops[MODEL_OPS_MAX]; // any order, any repeats
    size_t count;
} naive;

void model_apply(naive *model, const tm_op *op);

// The bytes that tm_list_write must give.
void model_write(const naive *model, tm_buf *out);

// The digest that tm_list_digest must give, summed up from nothing.
tm_digest model_digest(const naive *model);

#endif
