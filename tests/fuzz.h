// fuzz.h - what every fuzz target includes. A target is tests/<room>/fuzz_NAME.c with
//
//     int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { ...; return 0; }
//
// built by the preset `fuzz` with libFuzzer and the sanitizers; its seeds are the files of
// tests/fuzz/corpus/<room>_fuzz_NAME. What must hold of every input is said with TM_ASSERT: a broken
// one is a crash with the input kept.
#ifndef TM_TESTS_FUZZ_H
#define TM_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Memory from malloc, one block each, so that an overrun meets the sanitizer.
static inline void *fuzz_resize(void *context, void *ptr, size_t old_size,
                                size_t new_size) {
    (void)context, (void)old_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, new_size);
}

static inline tm_alloc fuzz_alloc(void) {
    return (tm_alloc){fuzz_resize, NULL};
}

__attribute__((weak)) _Noreturn void tm_panic(const char *file, int line,
                                              const char *what) {
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, what);
    abort();
}

#endif
