// t.h - what every test includes: cmocka, and a few words over it that name the table's
// row in every failure.
//
//     static void test_ticks(void **state) {
//         (void)state;
//         for (size_t i = 0; i < COUNT(ticks); i++) {
//             t_row = ticks[i].name;
//             T_OK(tm_clock_tick(&clock, ticks[i].now_ms, &time));
//             T_EQ(time, ticks[i].want);
//         }
//     }
//
//     int main(void) {
//         const struct CMUnitTest tests[] = {cmocka_unit_test(test_ticks)};
//         return cmocka_run_group_tests(tests, NULL, NULL);
//     }
//
// A failed check ends its test. The same files run natively and as wasm32-wasi, where
// tests/wasm-include/cmocka.h stands for cmocka: keep to the names it has.
#ifndef TM_TESTS_T_H
#define TM_TESTS_T_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/alloc.h"
#include "core/base.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// What is being tried, for the message of a failure: the name of the table's row. Weak,
// like all that is shared here: a test and its helpers have one.
__attribute__((weak)) const char *t_row = "";

// ---- checks -------------------------------------------------------------------------

// Integers of any width and sign.
#define T_EQ(got, want)                                                            \
    t_eq((int64_t)(got), (int64_t)(want), #got, __FILE__, __LINE__)

#define T_TRUE(cond) t_eq(!!(cond), 1, #cond, __FILE__, __LINE__)

// A tm_status that must be TM_OK.
#define T_OK(status) T_STATUS(status, TM_OK)

// A tm_status by name: shows "TM_E_RANGE", not "-1".
#define T_STATUS(got, want) t_status((got), (want), #got, __FILE__, __LINE__)

// Two tm_span; null and empty differ. Shows both from the first byte that differs.
#define T_SPAN(got, want) t_span((got), (want), #got, __FILE__, __LINE__)

// A tm_span against a C string.
#define T_TEXT(got, want) t_span((got), t_str(want), #got, __FILE__, __LINE__)

static inline tm_span t_str(const char *text) {
    return (tm_span){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

static inline void t_where(const char *file, int line, const char *what) {
    print_error("# %s:%d: [%s] %s\n", file, line, t_row, what);
}

static inline void t_eq(int64_t got, int64_t want, const char *what,
                        const char *file, int line) {
    if (got == want) return;
    t_where(file, line, what);
    print_error("#   is %" PRId64 ", want %" PRId64 " (%#" PRIx64 ", %#" PRIx64
                ")\n",
                got, want, (uint64_t)got, (uint64_t)want);
    _fail(file, line);
}

static inline const char *t_status_name(tm_status status) {
    switch (status) {
#define X(name, code, text)                                                        \
    case name:                                                                     \
        return #name;
        TM_STATUS_LIST(X)
#undef X
    }
    return "no tm_status";
}

static inline void t_status(tm_status got, tm_status want, const char *what,
                            const char *file, int line) {
    if (got == want) return;
    t_where(file, line, what);
    print_error("#   is %s (%d), want %s\n", t_status_name(got), (int)got,
                t_status_name(want));
    _fail(file, line);
}

// 32 bytes from `at`, as hex and as text.
static inline void t_dump(const char *label, tm_span bytes, size_t at) {
    if (bytes.ptr == NULL) {
        print_error("#   %-4s null\n", label);
        return;
    }
    print_error("#   %-4s %zu bytes, from %zu:", label, bytes.len, at);
    size_t end = bytes.len - at < 32 ? bytes.len : at + 32;
    for (size_t i = at; i < end; i++) {
        print_error(" %02x", bytes.ptr[i]);
    }
    print_error("  \"");
    for (size_t i = at; i < end; i++) {
        uint8_t byte = bytes.ptr[i];
        print_error("%c", byte >= 0x20 && byte < 0x7f ? byte : '.');
    }
    print_error("\"%s\n", end < bytes.len ? " ..." : "");
}

static inline void t_span(tm_span got, tm_span want, const char *what,
                          const char *file, int line) {
    size_t shorter = got.len < want.len ? got.len : want.len, same = 0;
    while (same < shorter && got.ptr[same] == want.ptr[same]) {
        same++;
    }
    if (same == got.len && same == want.len && !got.ptr == !want.ptr) return;
    t_where(file, line, what);
    size_t from = same > 8 ? same - 8 : 0; // a little of what still agreed
    t_dump("is", got, from);
    t_dump("want", want, from);
    _fail(file, line);
}

// ---- memory -------------------------------------------------------------------------

// An allocator that counts, checks what it is told and can refuse:
//
//     for (size_t k = 0;; k++) {             // let the k-th request fail, for every k
//         t_memory memory = {.fail_at = k + 1};
//         tm_alloc alloc = t_alloc(&memory);
//         tm_status status = the_thing(&alloc);
//         T_EQ(memory.live, 0);
//         if (status == TM_OK && !memory.refused) break;
//         T_STATUS(status, TM_E_NOMEM);
//     }
//
// Every block is its own malloc, so that the sanitizers see an overrun, and every growth
// moves, so that a pointer kept too long is found.
typedef struct t_memory {
    size_t fail_at;  // refuse the n-th request from now, counted from 1; 0 = never
    bool fail_after; // and every one behind it
    size_t requests; // so far; shrinking and freeing are none
    bool refused;    // a request was
    size_t live;     // blocks not given back
    size_t bytes;    // in them
    size_t peak;     // most bytes at once
} t_memory;

static inline void *t_resize(void *context, void *ptr, size_t old_size,
                             size_t new_size) {
    t_memory *memory = context;
    // The size stands before the block: being told a wrong old size is a bug, and only
    // an allocator that believes it would show it, much later.
    size_t *block = ptr == NULL ? NULL : (size_t *)(void *)((uint8_t *)ptr - 16);
    T_EQ(old_size, block == NULL ? 0 : *block);
    if (new_size > old_size) {
        memory->requests++;
        bool here = memory->requests == memory->fail_at;
        bool past = memory->fail_after && memory->fail_at != 0 &&
                    memory->requests > memory->fail_at;
        if (here || past) {
            memory->refused = true;
            return NULL;
        }
    }
    uint8_t *fresh = NULL;
    if (new_size > 0) {
        size_t *moved = malloc(16 + new_size);
        assert_non_null(moved);
        *moved = new_size;
        fresh = (uint8_t *)moved + 16;
        size_t kept = old_size < new_size ? old_size : new_size;
        if (kept > 0) memcpy(fresh, ptr, kept);
        memset(fresh + kept, 0xa5, new_size - kept); // nobody may count on zeroes
        memory->live++;
    }
    if (block != NULL) {
        memory->live--;
        free(block);
    }
    memory->bytes += new_size - old_size;
    if (memory->bytes > memory->peak) memory->peak = memory->bytes;
    return fresh;
}

static inline tm_alloc t_alloc(t_memory *memory) {
    return (tm_alloc){t_resize, memory};
}

// ---- our own mistakes ---------------------------------------------------------------

// A broken TM_ASSERT ends the test program; the runner counts a crash as a failure.
__attribute__((weak)) _Noreturn void tm_panic(const char *file, int line,
                                              const char *what) {
    fprintf(stderr, "%s:%d: [%s] assertion failed: %s\n", file, line, t_row, what);
    abort();
}

#endif
