// plain.h - SEMANTICS 3 once more, as plainly as it can be written and apart from the core:
// what a set of operations adds up to.
//
// Knows core/op.h, core/list.h to compare with.
#ifndef TM_SIM_PLAIN_H
#define TM_SIM_PLAIN_H

#include "core/list.h"

typedef struct tm_plain tm_plain;

tm_plain *tm_plain_new(void);
void tm_plain_free(tm_plain *plain);
void tm_plain_apply(tm_plain *plain, const tm_op *op);

// tm_plain_equal - whether `list` says the same; else `why` says where not.
bool tm_plain_equal(const tm_plain *plain, const tm_list *list, char why[256]);

// tm_plain_dead_write - the ids of what is dead, an array, sorted by bytes.
void tm_plain_dead_write(tm_plain *plain, tm_buf *out);

// tm_plain_write - the state in the notation of the golden cases.
void tm_plain_write(const tm_plain *plain, tm_buf *out);

#endif
