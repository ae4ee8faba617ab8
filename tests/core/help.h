// help.h - what the core's tests share: a file, a fixed random source, a reading list.
#ifndef TM_TESTS_CORE_HELP_H
#define TM_TESTS_CORE_HELP_H

#include "core/buf.h"
#include "core/list.h"

#define HELP_SEED ((tm_seed){1, 2})

// The whole file, in the arena; fails the test if there is none.
tm_span file_read(tm_arena *arena, const char *path);

// splitmix64: the same numbers everywhere.
uint64_t random_next(uint64_t *state);
size_t random_below(uint64_t *state, size_t bound);

// The canonical bytes, in the arena.
tm_span list_bytes(tm_arena *arena, const tm_list *list);

// One operation from JSON text, in the arena; fails the test if it does not read.
tm_op *op_from(tm_arena *arena, tm_span text);

#endif
