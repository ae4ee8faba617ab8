// rt.c - what the browser's memory owes to C: the four functions that clang may call by
// itself, and an allocator. Linked into core.wasm alone.
//
// A block has no header, since whoever frees it says its size. Sizes are multiples of 16
// in classes, four per doubling; a freed block waits for the next of its class, and the
// block at the end of the memory grows and shrinks in place, which is what a growing
// buffer does. Memory is asked for as it is needed and never given back: a page cannot.
#include "client/door.h"

#include <string.h>

void *memcpy(void *restrict to, const void *restrict from, size_t len) {
    return __builtin_memcpy(to, from, len); // one instruction: memory.copy
}

void *memmove(void *to, const void *from, size_t len) {
    return __builtin_memmove(to, from, len);
}

void *memset(void *to, int byte, size_t len) {
    return __builtin_memset(to, byte, len);
}

__attribute__((no_builtin("memcmp"))) int memcmp(const void *a, const void *b,
                                                 size_t len) {
    const unsigned char *x = a, *y = b;
    for (size_t i = 0; i < len; i++) {
        if (x[i] != y[i]) return x[i] - y[i];
    }
    return 0;
}

#define UNIT     16u
#define CLASSES  (4u + 4u * 24u)
#define PAGE     65536u
#define GROW_MIN 16u // pages: fewer calls

extern unsigned char __heap_base;

typedef struct block {
    struct block *next;
} block;

static block *waiting[CLASSES];
static uintptr_t end, limit; // of what is used; of what there is

// 1..4 units, then four steps per doubling: 5 6 7 8, 10 12 14 16, 20 ...
static unsigned class_of(size_t size) {
    uint32_t n = (uint32_t)(size - (size > 0)) / UNIT;
    if (n < 4) return n;
    unsigned top = 31u - (unsigned)__builtin_clz(n);
    return 4 * (top - 1) + (n >> (top - 2) & 3u);
}

static size_t class_size(unsigned class) {
    if (class < 4) return (class + 1) * UNIT;
    return (size_t)((5 + class % 4) << (class / 4 - 1)) * UNIT;
}

// Room up to `to`, which is above `end`. Without it the module ends: core/alloc.h.
static void reach(uintptr_t to) {
    if (to < end) __builtin_trap(); // past the address space
    if (to <= limit) return;
    size_t pages = (to - limit + PAGE - 1) / PAGE;
    size_t more = pages < GROW_MIN ? GROW_MIN : pages;
    if (__builtin_wasm_memory_grow(0, more) == (size_t)-1) {
        more = pages;
        if (__builtin_wasm_memory_grow(0, more) == (size_t)-1) __builtin_trap();
    }
    limit += more * PAGE;
}

static void *take(unsigned class) {
    if (end == 0) {
        end = ((uintptr_t)&__heap_base + UNIT - 1) & ~(uintptr_t)(UNIT - 1);
        limit = __builtin_wasm_memory_size(0) * PAGE;
    }
    block *first = waiting[class];
    if (first != NULL) {
        waiting[class] = first->next;
        return first;
    }
    void *ptr = (void *)end;
    reach(end + class_size(class));
    end += class_size(class);
    return ptr;
}

static void put(void *ptr, unsigned class) {
    if ((uintptr_t)ptr + class_size(class) == end) {
        end = (uintptr_t)ptr;
        return;
    }
    block *freed = ptr;
    freed->next = waiting[class];
    waiting[class] = freed;
}

void tm_alloc_put(const tm_alloc *alloc, void *ptr, size_t size) {
    (void)alloc;
    if (ptr != NULL) put(ptr, class_of(size));
}

void *tm_alloc_resize(const tm_alloc *alloc, void *ptr, size_t old_size,
                      size_t new_size) {
    if (new_size > SIZE_MAX / 4) __builtin_trap();
    unsigned class = class_of(new_size);
    if (ptr == NULL) return take(class);
    unsigned before = class_of(old_size);
    if (class == before) return ptr;
    uintptr_t at = (uintptr_t)ptr;
    if (at + class_size(before) == end) {
        reach(at + class_size(class));
        end = at + class_size(class);
        return ptr;
    }
    void *fresh = take(class);
    memcpy(fresh, ptr, old_size < new_size ? old_size : new_size);
    tm_alloc_put(alloc, ptr, old_size);
    return fresh;
}

const tm_alloc *tm_door_alloc(void) {
    static const tm_alloc memory = {NULL, NULL}; // nobody asks it
    return &memory;
}
