// tail.h - the newest batches of a list, kept in memory: most readers are only a little
// behind, and are served from here without asking the store.
//
// A batch in memory is one block: the struct, where each operation ends, the bytes as
// they are stored. The block is what the store appends from, and becomes the tail's when
// it is durable; nothing is copied. Before the first block stands `base`, whose mark is
// known, so that a cursor at the tail's very beginning can be checked too.
//
// Knows store/store.h.
#ifndef TM_SERVICE_TAIL_H
#define TM_SERVICE_TAIL_H

#include "store/store.h"

typedef struct tm_block {
    struct tm_block *next;
    size_t size;     // of the whole block
    tm_batch batch;  // its spans lie behind `ends`
    uint32_t count;  // operations
    uint32_t ends[]; // where each ends in batch.operations; it begins behind the
                     // bracket or comma before it
} tm_block;

// tm_block_new - copies the spans. gives: tm_block_free. NULL: no memory. The rest of
// the batch is the caller's to fill in.
tm_block *tm_block_new(const tm_alloc *alloc, tm_span operations, tm_span rejected,
                       const uint32_t *ends, uint32_t count);
void tm_block_free(const tm_alloc *alloc, tm_block *block);

// tm_block_op - the i-th operation's bytes, without brackets and commas. Lent.
tm_span tm_block_op(const tm_block *block, uint32_t i);

typedef struct tm_tail {
    tm_block *first, *last;
    size_t bytes; // in the blocks
    uint64_t base_seq;
    uint8_t base_mark[TM_MARK_LEN];
} tm_tail;

// tm_tail_add - takes the block, which continues the tail.
void tm_tail_add(tm_tail *tail, tm_block *block);

// tm_tail_trim - let the oldest go until at most `bytes_max` remain.
void tm_tail_trim(tm_tail *tail, const tm_alloc *alloc, size_t bytes_max);

// tm_tail_find - the first block that reaches beyond `since`; NULL: none does.
//   mark   receives the mark of the batch that ends at `since`, NULL if none does; lent
// `since` must be at or above base_seq.
const tm_block *tm_tail_find(const tm_tail *tail, uint64_t since,
                             const uint8_t **mark);

#endif
