// page.h - an answer's operations: whole batches, from memory or from the store.
//
// First batches are picked, as many as fit; that fixes the version and mark at which the
// answer ends. Then they are written as one JSON array of the bytes as stored, without
// operations at or below `since` (a cursor without a mark may stand inside a batch) and
// without those the asker just pushed himself, which he has as acks.
//
// Knows tail.h.
#ifndef TM_SERVICE_PAGE_H
#define TM_SERVICE_PAGE_H

#include "core/json.h"
#include "core/limits.h"
#include "service/tail.h"

typedef struct tm_page {
    uint64_t since, version;
    uint8_t mark[TM_MARK_LEN];
    uint64_t ops;
    size_t bytes, bytes_max, count;
    struct {
        const tm_batch *batch;
        const tm_block *block; // it stands in; NULL: it is the store's
    } picked[TM_PAGE_OPS_MAX];
} tm_page;

// tm_page_begin - nothing is picked: the page ends where it begins.
//   mark        of version `since`
//   bytes_max   for the operations
void tm_page_begin(tm_page *page, uint64_t since, const uint8_t *mark,
                   size_t bytes_max);

// tm_page_pick - lends the batch until tm_page_write. false: it does not fit any more (the
// first always does), and none behind it may be picked.
bool tm_page_pick(tm_page *page, const tm_batch *batch, const tm_block *block);

// tm_page_write - the array.
//   own     ascending seqs that are left out
//   arena   for reading batches of the store
// TM_E_CORRUPT: a stored batch is none. TM_E_NOMEM.
TM_MUST_USE tm_status tm_page_write(const tm_page *page, const uint64_t *own,
                                    size_t own_count, tm_arena *arena, tm_buf *out);

// tm_batch_whole - an array with something in it, without white space around.
bool tm_batch_whole(const tm_batch *batch);
// tm_batch_end - an operation may end there: nothing but one comma or bracket follows.
bool tm_batch_end(const tm_batch *batch, size_t at);

// tm_batch_ends - where each operation of a batch ends, as in tm_block.
//   ends   receives an array in the arena
TM_MUST_USE tm_status tm_batch_ends(const tm_batch *batch, tm_arena *arena,
                                    const uint32_t **ends, uint32_t *count);

#endif
