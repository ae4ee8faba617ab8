// alloc.c - see alloc.h.
#include "core/alloc.h"

#include <string.h>

#define ARENA_ALIGN     16u   // any scalar, natively and in wasm
#define ARENA_BLOCK_MIN 4096u // a usual request fits into the first block

struct tm_arena_block {
    tm_arena_block *older;
    size_t size; // of the whole block, this header included
    size_t used; // likewise
    size_t want; // what the next block should hold at least
};

static size_t aligned(size_t size) {
    return (size + (ARENA_ALIGN - 1)) & ~(size_t)(ARENA_ALIGN - 1);
}

#if !TM_BROWSER // there, rt.c is all the memory there is
void *tm_alloc_resize(const tm_alloc *alloc, void *ptr, size_t old_size,
                      size_t new_size) {
    return alloc->resize(alloc->context, ptr, old_size, new_size);
}

void tm_alloc_put(const tm_alloc *alloc, void *ptr, size_t size) {
    if (ptr == NULL) return;
    if (size == 0) size = 1; // as tm_alloc_get counted it
    (void)alloc->resize(alloc->context, ptr, size, 0);
}
#endif

void *tm_alloc_get(const tm_alloc *alloc, size_t size) {
    if (size == 0) size = 1;
    void *ptr = tm_alloc_resize(alloc, NULL, 0, size);
    if (ptr != NULL) memset(ptr, 0, size);
    return ptr;
}

// A block of at least `size` bytes behind its header, newest first. Each is as large as
// all before it together, so their number is the logarithm of what they hold.
static tm_arena_block *block_new(tm_arena *arena, size_t size) {
    size_t head = aligned(sizeof(tm_arena_block)), total = ARENA_BLOCK_MIN;
    for (tm_arena_block *b = arena->blocks; b != NULL; b = b->older) {
        size_t more = b->size > b->want ? b->size : b->want;
        if (total <= SIZE_MAX / 2 - more) total += more;
    }
    if (total < size + head) total = size + head;
    tm_arena_block *block = tm_alloc_resize(arena->alloc, NULL, 0, total);
    if (block == NULL) return NULL;
    *block = (tm_arena_block){.older = arena->blocks, .size = total, .used = head};
    arena->blocks = block;
    return block;
}

void *tm_arena_get(tm_arena *arena, size_t size) {
    if (size > SIZE_MAX / 2) TM_NO_MEMORY;
    size = aligned(size);
    tm_arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < size) {
        block = block_new(arena, size);
        if (block == NULL) TM_NO_MEMORY;
    }
    uint8_t *ptr = (uint8_t *)block + block->used;
    block->used += size;
    return ptr;
}

tm_status tm_arena_copy(tm_arena *arena, tm_span text, tm_span *copy) {
    if (text.ptr == NULL) {
        *copy = text;
        return TM_OK;
    }
    uint8_t *ptr = tm_arena_get(arena, text.len);
    if (ptr == NULL) return tm_refused();
    if (text.len > 0) memcpy(ptr, text.ptr, text.len);
    *copy = (tm_span){ptr, text.len};
    return TM_OK;
}

static void blocks_free(tm_arena *arena, tm_arena_block *keep) {
    for (tm_arena_block *block = arena->blocks; block != NULL;) {
        tm_arena_block *older = block->older;
        if (block != keep) tm_alloc_put(arena->alloc, block, block->size);
        block = older;
    }
    arena->blocks = keep;
    if (keep == NULL) return;
    keep->older = NULL;
    keep->used = aligned(sizeof(tm_arena_block));
}

void tm_arena_reset(tm_arena *arena) {
    tm_arena_block *keep = arena->blocks;
    size_t total = 0;
    for (tm_arena_block *b = arena->blocks; b != NULL; b = b->older) {
        total += b->size;
        if (b->size > keep->size) keep = b;
    }
    if (keep == NULL) return;
    blocks_free(arena, keep);
    // Where it took several blocks, the one that the next request adds will hold all of
    // this, and be the one that is kept.
    if (total > keep->size) keep->want = total;
}

void tm_arena_deinit(tm_arena *arena) {
    if (arena == NULL || arena->blocks == NULL) return;
    blocks_free(arena, NULL);
}
