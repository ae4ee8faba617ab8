// Everything golden passes: natively over both stores, and in the core.wasm that ships. So
// do our own cases, which try what the golden files leave out (tests/cmd/cases).
#include "program.h"

static void test_golden(void **state) {
    static const char *const ways[] = {"--engine native --store memory",
                                       "--engine native --store sqlite",
                                       "--engine wasm --store memory"};
    (void)state;
    for (size_t i = 0; i < COUNT(ways); i++) {
        t_row = ways[i];
        outcome of = program_run(
            "check %s tests/golden/*.json tests/cmd/cases/*.json", ways[i]);
        outcome_is(&of, 0, " passed, 0 failed\n");
        outcome_is(&of, 0, " cases passed\n");
        outcome_free(&of);
    }
}

static void test_all_are_there(void **state) {
    (void)state;
    t_row = "as many as there should be";
    outcome of = program_run("check tests/golden/*.json");
    outcome_is(&of, 0, "174 of 174 cases passed\n");
    outcome_free(&of);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_all_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
