// pool.c - see pool.h.
#include "core/pool.h"

#include <string.h>

#if !TM_BROWSER

#define CHUNK_MIN 2032u // with what malloc puts in front, two fill a hole of 4 KiB
#define CHUNK_MAX                                                                  \
    65536u // beyond that larger ones only cost more when they stay empty
#define FINE_MAX    128u
#define BLOCK_MAX   ((size_t)1 << 20)
#define RESERVE_MAX ((size_t)1 << 26) // some sixty such fit into 32 bits

struct tm_pool_chunk {
    struct tm_pool_chunk *older;
    size_t size; // of the whole chunk
};

#define CHUNK_HEAD 16u // keeps blocks aligned

// The class of a size, and the size of its blocks.
static uint32_t class_of(size_t size, size_t *block) {
    if (size <= FINE_MAX) {
        uint32_t steps = (uint32_t)(size + 7) / 8;
        *block = 8u * steps;
        return steps - 1;
    }
    TM_ASSERT(size <= BLOCK_MAX);
    uint32_t last = (uint32_t)size - 1; // a power of two is the end of its class
    uint32_t top = 31u - (uint32_t)__builtin_clz(last); // 7 or more
    uint32_t quarter = last >> (top - 2);               // 4 to 7
    *block = (size_t)(quarter + 1) << (top - 2);
    return 16u + (top - 7) * 4 + (quarter - 4);
}

size_t tm_pool_block(size_t size) {
    size_t block = 0;
    if (size > BLOCK_MAX) return RESERVE_MAX + 1;
    if (size > 0) (void)class_of(size, &block);
    return block;
}

static void block_free(tm_pool *pool, uint8_t *block, uint32_t class, size_t size) {
    memcpy(block, &pool->free[class], sizeof(void *));
    pool->free[class] = block;
    pool->idle += size;
}

// What is left of a chunk's rest becomes free blocks, the largest first.
static void rest_free(tm_pool *pool) {
    while (pool->rest_left >= 8) {
        size_t size, floor = pool->rest_left & ~(size_t)7;
        uint32_t class = class_of(floor, &size);
        while (size > pool->rest_left) { // rounded up: the class below
            floor -= 8;
            class = class_of(floor, &size);
        }
        block_free(pool, pool->rest, class, size);
        pool->rest += size;
        pool->rest_left -= size;
    }
}

tm_status tm_pool_reserve(tm_pool *pool, size_t size) {
    if (pool->left >= size) return TM_OK;
    if (size > RESERVE_MAX) return tm_refused();
    size_t want = pool->total / 8 & ~(size_t)15;
    if (want < CHUNK_MIN) want = CHUNK_MIN;
    if (want > CHUNK_MAX) want = CHUNK_MAX;
    if (want < size + CHUNK_HEAD) want = (size + CHUNK_HEAD + 15) & ~(size_t)15;
    struct tm_pool_chunk *chunk = tm_alloc_resize(pool->alloc, NULL, 0, want);
    if (chunk == NULL) return tm_refused();
    *chunk = (struct tm_pool_chunk){pool->chunks, want};
    pool->chunks = chunk;
    rest_free(pool);
    pool->rest = pool->at;
    pool->rest_left = pool->left;
    pool->at = (uint8_t *)chunk + CHUNK_HEAD;
    pool->left = want - CHUNK_HEAD;
    pool->total += want;
    return TM_OK;
}

void *tm_pool_get(tm_pool *pool, size_t size) {
    static const uint64_t nothing = 0;
    if (size == 0) return (void *)(uintptr_t)&nothing;
    size_t block;
    uint32_t class = class_of(size, &block);
    uint8_t *ptr = pool->free[class];
    if (ptr != NULL) {
        memcpy(&pool->free[class], ptr, sizeof(void *));
        pool->idle -= block;
        return ptr;
    }
    if (pool->rest_left >= block) {
        ptr = pool->rest;
        pool->rest += block;
        pool->rest_left -= block;
        return ptr;
    }
    TM_ASSERT(pool->left >= block); // reserved
    ptr = pool->at;
    pool->at += block;
    pool->left -= block;
    return ptr;
}

void tm_pool_put(tm_pool *pool, const void *block, size_t size) {
    if (size == 0) return;
    size_t rounded;
    uint32_t class = class_of(size, &rounded);
    block_free(pool, (uint8_t *)(uintptr_t)block, class, rounded);
}

void tm_pool_deinit(tm_pool *pool) {
    for (struct tm_pool_chunk *chunk = pool->chunks; chunk != NULL;) {
        struct tm_pool_chunk *older = chunk->older;
        tm_alloc_put(pool->alloc, chunk, chunk->size);
        chunk = older;
    }
    *pool = (tm_pool){.alloc = pool->alloc};
}

#endif
