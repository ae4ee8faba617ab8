// cmocka.h - as much of cmocka as our tests use, for wasm32-wasi, where there is no
// setjmp: the first failure prints "not ok" and ends the program. Output is TAP, as
// natively with CMOCKA_MESSAGE_OUTPUT=TAP, so one reader counts both.
//
// Only what a test of core or client needs; add the next name when a test wants it.
#ifndef TM_TESTS_WASM_CMOCKA_H
#define TM_TESTS_WASM_CMOCKA_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*test_func)(void **state);
    int (*setup_func)(void **state);
    int (*teardown_func)(void **state);
    void *initial_state;
};

#define cmocka_unit_test(f)                                                        \
    { #f, f, NULL, NULL, NULL }
#define cmocka_unit_test_setup(f, setup)                                           \
    { #f, f, setup, NULL, NULL }
#define cmocka_unit_test_teardown(f, down)                                         \
    { #f, f, NULL, down, NULL }
#define cmocka_unit_test_prestate(f, state)                                        \
    { #f, f, NULL, NULL, state }
#define cmocka_unit_test_setup_teardown(f, setup, down)                            \
    { #f, f, setup, down, NULL }
#define cmocka_unit_test_prestate_setup_teardown(f, setup, down, state)            \
    { #f, f, setup, down, state }

// One test runs at a time; weak, so that every file of a program shares them.
__attribute__((weak)) const char *cm_name;
__attribute__((weak)) size_t cm_index;

#define print_message(...) ((void)printf(__VA_ARGS__))
#define print_error(...)   ((void)printf(__VA_ARGS__))

static inline _Noreturn void _fail(const char *file, int line) {
    printf("# %s:%d: failed\nnot ok %zu - %s\n", file, line, cm_index,
           cm_name != NULL ? cm_name : "?");
    exit(1);
}

#define fail() _fail(__FILE__, __LINE__)
#define fail_msg(...)                                                              \
    do {                                                                           \
        print_error("# " __VA_ARGS__);                                             \
        print_error("\n");                                                         \
        fail();                                                                    \
    } while (0)

static inline void cm_check(int holds, const char *what, const char *file,
                            int line) {
    if (holds) return;
    print_error("# %s\n", what);
    _fail(file, line);
}

static inline void cm_equal(uint64_t a, uint64_t b, int want, const char *file,
                            int line) {
    if ((a == b) == want) return;
    print_error("# %#llx %s %#llx\n", (unsigned long long)a,
                want ? "!=" : "==", (unsigned long long)b);
    _fail(file, line);
}

#define cm_number(x)    ((uint64_t)(x))
#define cm_address(x)   ((uint64_t)(uintptr_t)(x))
#define assert_true(c)  cm_check(!!(c), #c, __FILE__, __LINE__)
#define assert_false(c) cm_check(!(c), "not: " #c, __FILE__, __LINE__)
#define assert_null(p)  cm_check((p) == NULL, #p " is NULL", __FILE__, __LINE__)
#define assert_non_null(p)                                                         \
    cm_check((p) != NULL, #p " is not NULL", __FILE__, __LINE__)
#define assert_int_equal(a, b)                                                     \
    cm_equal(cm_number(a), cm_number(b), 1, __FILE__, __LINE__)
#define assert_int_not_equal(a, b)                                                 \
    cm_equal(cm_number(a), cm_number(b), 0, __FILE__, __LINE__)
#define assert_ptr_equal(a, b)                                                     \
    cm_equal(cm_address(a), cm_address(b), 1, __FILE__, __LINE__)
#define assert_ptr_not_equal(a, b)                                                 \
    cm_equal(cm_address(a), cm_address(b), 0, __FILE__, __LINE__)
#define assert_string_equal(a, b)                                                  \
    cm_check(strcmp((a), (b)) == 0, #a " is " #b, __FILE__, __LINE__)
#define assert_string_not_equal(a, b)                                              \
    cm_check(strcmp((a), (b)) != 0, #a " is not " #b, __FILE__, __LINE__)
#define assert_memory_equal(a, b, size)                                            \
    cm_check(memcmp((a), (b), (size)) == 0, #a " is " #b, __FILE__, __LINE__)
#define assert_memory_not_equal(a, b, size)                                        \
    cm_check(memcmp((a), (b), (size)) != 0, #a " is not " #b, __FILE__, __LINE__)
#define assert_in_range(value, low, high)                                          \
    cm_check((uint64_t)(value) >= (uint64_t)(low) &&                               \
                 (uint64_t)(value) <= (uint64_t)(high),                            \
             #value " in " #low ".." #high, __FILE__, __LINE__)

static inline int cm_run(const struct CMUnitTest *tests, size_t count,
                         int (*setup)(void **), int (*teardown)(void **)) {
    void *group = NULL;
    printf("1..%zu\n", count);
    if (setup != NULL && setup(&group) != 0) return 1;
    for (cm_index = 1; cm_index <= count; cm_index++) {
        const struct CMUnitTest *test = &tests[cm_index - 1];
        void *state = test->initial_state != NULL ? test->initial_state : group;
        cm_name = test->name;
        cm_check(test->setup_func == NULL || test->setup_func(&state) == 0, "setup",
                 __FILE__, __LINE__);
        test->test_func(&state);
        cm_check(test->teardown_func == NULL || test->teardown_func(&state) == 0,
                 "teardown", __FILE__, __LINE__);
        printf("ok %zu - %s\n", cm_index, cm_name);
    }
    return teardown != NULL ? teardown(&group) : 0;
}

#define cmocka_run_group_tests(tests, setup, teardown)                             \
    cm_run(tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)
#define cmocka_run_group_tests_name(name, tests, setup, teardown)                  \
    cm_run(tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)

#endif
