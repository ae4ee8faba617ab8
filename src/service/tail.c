// tail.c - see tail.h.
#include "service/tail.h"

#include <string.h>

tm_block *tm_block_new(const tm_alloc *alloc, tm_span operations, tm_span rejected,
                       const uint32_t *ends, uint32_t count) {
    size_t head = sizeof(tm_block) + count * sizeof *ends;
    size_t size = head + operations.len + rejected.len;
    tm_block *block = alloc->resize(alloc->context, NULL, 0, size);
    if (block == NULL) return NULL;
    *block = (tm_block){.size = size, .count = count};
    memcpy(block->ends, ends, count * sizeof *ends);
    uint8_t *bytes = (uint8_t *)block + head;
    memcpy(bytes, operations.ptr, operations.len);
    block->batch.operations = (tm_span){bytes, operations.len};
    bytes += operations.len;
    if (rejected.len > 0) memcpy(bytes, rejected.ptr, rejected.len);
    block->batch.rejected = (tm_span){bytes, rejected.len};
    return block;
}

void tm_block_free(const tm_alloc *alloc, tm_block *block) {
    if (block != NULL) tm_alloc_put(alloc, block, block->size);
}

tm_span tm_block_op(const tm_block *block, uint32_t i) {
    TM_ASSERT(i < block->count);
    uint32_t begin = i == 0 ? 1 : block->ends[i - 1] + 1;
    return (tm_span){block->batch.operations.ptr + begin, block->ends[i] - begin};
}

void tm_tail_add(tm_tail *tail, tm_block *block) {
    block->next = NULL;
    if (tail->last != NULL) {
        tail->last->next = block;
    } else {
        tail->first = block;
    }
    tail->last = block;
    tail->bytes += block->size;
}

void tm_tail_trim(tm_tail *tail, const tm_alloc *alloc, size_t bytes_max) {
    while (tail->bytes > bytes_max) {
        tm_block *block = tail->first;
        tail->first = block->next;
        if (tail->first == NULL) tail->last = NULL;
        tail->bytes -= block->size;
        tail->base_seq = block->batch.last_seq;
        memcpy(tail->base_mark, block->batch.mark, TM_MARK_LEN);
        tm_block_free(alloc, block);
    }
}

const tm_block *tm_tail_find(const tm_tail *tail, uint64_t since,
                             const uint8_t **mark) {
    TM_ASSERT(since >= tail->base_seq);
    *mark = since == tail->base_seq ? tail->base_mark : NULL;
    const tm_block *block = tail->first;
    const tm_block *last = tail->last;
    if (last != NULL && since >= last->batch.first_seq) { // as most ask
        block = last;
    }
    for (; block != NULL && block->batch.last_seq <= since; block = block->next) {
        if (block->batch.last_seq == since) *mark = block->batch.mark;
    }
    return block;
}
