// pool.h - the memory of a list: many small blocks, taken from few large chunks.
//
// A list of ten thousand items holds some sixty thousand short texts; asking the host for
// each would cost more than the texts. Blocks come in classes (steps of 8 bytes up to
// 128, then four per doubling), a freed one waits for the next of its class, and its
// owner remembers its size. Nothing goes back to the host before the pool does.
//
// tm_pool_reserve is the one place that can fail, so that a change can make sure of its
// memory first and then do all of itself or nothing.
//
// In a browser the module's only allocator (client/rt.c) is such a pool already, and never
// refuses: there, a block is simply one of its own, and a pool remembers nothing. Its owner
// gives back each block.
//
// Knows core/alloc.h.
#ifndef TM_CORE_POOL_H
#define TM_CORE_POOL_H

#include "core/alloc.h"

#if TM_BROWSER

typedef struct tm_pool {
    const tm_alloc *alloc;
} tm_pool;

// Sizes with the same number here are of one class there.
static inline size_t tm_pool_block(size_t size) {
    return (size + 15) & ~(size_t)15;
}

static inline tm_status tm_pool_reserve(tm_pool *pool, size_t size) {
    (void)pool, (void)size;
    return TM_OK;
}

static inline void *tm_pool_get(tm_pool *pool, size_t size) {
    return tm_alloc_resize(pool->alloc, NULL, 0, size);
}

static inline void tm_pool_put(tm_pool *pool, const void *block, size_t size) {
    tm_alloc_put(pool->alloc, (void *)(uintptr_t)block, size);
}

#else

// Steps of 8 up to 128; four per doubling from there to 1 MiB, the largest block.
#define TM_POOL_CLASSES (16u + 4u * 13u)

// Zero-initialised but for `alloc` = empty.
typedef struct tm_pool {
    const tm_alloc *alloc; // keeps
    struct tm_pool_chunk *chunks;
    uint8_t *at;   // the fresh end of the newest chunk
    size_t left;   // bytes behind it
    uint8_t *rest; // the fresh end of the chunk before: for what still fits there
    size_t rest_left;
    size_t total; // bytes in all chunks
    size_t idle;  // bytes in free blocks
    void *free[TM_POOL_CLASSES];
} tm_pool;

// tm_pool_block - the bytes that a block of `size` takes: its class. 0 for 0; for more
// than the largest block a number that cannot be reserved, however many are added up.
size_t tm_pool_block(size_t size);

// tm_pool_reserve - so that blocks of `size` bytes in all (the sum of their
// tm_pool_block) can be had without failing. TM_E_NOMEM: nothing has changed.
TM_MUST_USE tm_status tm_pool_reserve(tm_pool *pool, size_t size);

// tm_pool_get - a reserved block, aligned to 8, not zeroed. Size 0: a valid pointer to
// nothing.
void *tm_pool_get(tm_pool *pool, size_t size);

// tm_pool_put - give back a block and say what size was asked for.
void tm_pool_put(tm_pool *pool, const void *block, size_t size);

void tm_pool_deinit(tm_pool *pool);

#endif

#endif
