// alloc.h - where memory comes from: one resize function with a context, told the old
// size. The core never asks anybody else for memory.
//
// An arena is for what dies together: a request, a batch, a document. Nothing in it is
// freed alone; everything goes with tm_arena_reset or tm_arena_deinit.
//
// Knows core/base.h.
#ifndef TM_CORE_ALLOC_H
#define TM_CORE_ALLOC_H

#include "core/base.h"

typedef struct tm_alloc {
    // ptr NULL and old_size 0: allocate. new_size 0: free, returns NULL. Otherwise grow
    // or shrink, keeping the content. NULL = refused, and then ptr is as it was.
    // Memory is aligned for any scalar (16 bytes).
    void *(*resize)(void *context, void *ptr, size_t old_size, size_t new_size);
    void *context; // keeps
} tm_alloc;

// What gives memory never answers NULL in a browser: there, a refusal ends the module
// (rt.c), as no page can go on without memory, and all that is stored is whole. So whoever
// asks for it natively goes another way where it is refused, and costs a browser nothing:
// the compiler sees that the way is never taken.
#if TM_BROWSER
#define TM_MEMORY    __attribute__((returns_nonnull))
#define TM_NO_MEMORY __builtin_trap()
#else
#define TM_MEMORY
#define TM_NO_MEMORY return NULL
#endif

// tm_refused - TM_E_NOMEM, from whoever was refused memory.
static inline tm_status tm_refused(void) {
#if TM_BROWSER
    __builtin_unreachable(); // see above
#else
    return TM_E_NOMEM;
#endif
}

// tm_alloc_resize - `resize` of above, to a new_size that is not 0.
TM_MEMORY void *tm_alloc_resize(const tm_alloc *alloc, void *ptr, size_t old_size,
                                size_t new_size);

// tm_alloc_get - `size` fresh bytes (at least 1), zeroed; NULL when refused.
TM_MEMORY void *tm_alloc_get(const tm_alloc *alloc, size_t size);

// tm_alloc_put - give back what tm_alloc_get or resize gave. NULL is fine.
void tm_alloc_put(const tm_alloc *alloc, void *ptr, size_t size);

// Zero-initialised but for `alloc` = empty.
typedef struct tm_arena_block tm_arena_block;
typedef struct tm_arena {
    const tm_alloc *alloc; // keeps
    tm_arena_block *blocks;
} tm_arena;

// tm_arena_get - `size` bytes that live as long as the arena; not zeroed; NULL when
// refused. Size 0 gives a valid pointer.
TM_MEMORY void *tm_arena_get(tm_arena *arena, size_t size);

// tm_arena_copy - the bytes of `text`, copied. TM_E_NOMEM: *copy is unchanged.
// A null span (ptr NULL) stays null; an empty one stays non-null.
TM_MUST_USE tm_status tm_arena_copy(tm_arena *arena, tm_span text, tm_span *copy);

// tm_arena_reset - forget all content; keeps one block, so requests allocate nothing
// after the second of a size. Asks for no memory.
void tm_arena_reset(tm_arena *arena);
void tm_arena_deinit(tm_arena *arena);

#endif
