// ram.c - see ram.h.
#include "sim/ram.h"

#include <stdlib.h>
#include <string.h>

static void *heap_resize(void *context, void *ptr, size_t old_size,
                         size_t new_size) {
    (void)context;
    (void)old_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    void *fresh = realloc(ptr, new_size);
    TM_ASSERT(fresh != NULL);
    return fresh;
}

const tm_alloc tm_sim_alloc = {heap_resize, NULL};

void *tm_sim_grow(void *array, size_t count, size_t *cap, size_t one) {
    if (count < *cap) return array;
    *cap = *cap == 0 ? 16 : 2 * *cap;
    void *fresh = realloc(array, *cap * one);
    TM_ASSERT(fresh != NULL);
    return fresh;
}

uint8_t *tm_sim_copy(tm_span text) {
    uint8_t *copy = malloc(text.len + 1);
    TM_ASSERT(copy != NULL);
    if (text.len > 0) memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    return copy;
}

static bool refused(tm_sim_ram *ram) {
    if (ram->refuse_in == 0) return false;
    if (ram->refuse_in > 1) {
        ram->refuse_in--;
        return false;
    }
    if (ram->refuse_count > 1) {
        ram->refuse_count--;
    } else {
        ram->refuse_in = ram->refuse_count = 0;
    }
    ram->refused++;
    return true;
}

static void *ram_resize(void *context, void *ptr, size_t old_size,
                        size_t new_size) {
    tm_sim_ram *ram = context;
    if (new_size > old_size && refused(ram)) return NULL;
    if (ptr == NULL && new_size > 0) ram->live++;
    if (ptr != NULL && new_size == 0) ram->live--;
    ram->bytes += new_size - old_size;
    if (ram->bytes > ram->peak) ram->peak = ram->bytes;
    return heap_resize(NULL, ptr, old_size, new_size);
}

tm_alloc tm_sim_ram_alloc(tm_sim_ram *ram) {
    return (tm_alloc){ram_resize, ram};
}
