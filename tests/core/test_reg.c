// The register against SEMANTICS 3: all orders of delivery, each write delivered
// twice, must end in the same value. Small enough to try them all.
#include "core/reg.h"
#include "t.h"

// clang-format off
#define W(time, browser, version, ...) {{time, version, TM_LIT(browser)}, __VA_ARGS__}
#define NUL {NULL, 0}

static const struct {
    const char *name;
    tm_reg writes[4];
    size_t winner;
} cases[] = {
    {"later time wins",
     {W(1, "a", 1, TM_LIT("w")), W(2, "a", 2, TM_LIT("x")),
      W(3, "a", 3, TM_LIT("y")), W(4, "a", 4, TM_LIT("z"))}, 3},
    {"same time: greater browser wins, by bytes, whatever the version",
     {W(5, "Z", 9, TM_LIT("w")), W(5, "a", 1, TM_LIT("x")),
      W(5, "aa", 1, TM_LIT("y")), W(4, "z", 9, TM_LIT("z"))}, 2},
    {"same time and browser: greater version wins",
     {W(5, "a", 2, TM_LIT("w")), W(5, "a", 3, TM_LIT("a")),
      W(5, "a", 1, TM_LIT("y")), W(4, "a", 9, TM_LIT("z"))}, 1},
    {"one stamp, four values: null, then the empty string, then bytes",
     {W(5, "a", 1, TM_LIT("")), W(5, "a", 1, TM_LIT("ab")),
      W(5, "a", 1, NUL), W(5, "a", 1, TM_LIT("a"))}, 1},
    {"the empty string beats null",
     {W(5, "a", 1, NUL), W(5, "a", 1, TM_LIT("")),
      W(4, "a", 1, TM_LIT("y")), W(3, "a", 1, TM_LIT("z"))}, 1},
    {"clearing a field is a write like any other",
     {W(1, "a", 1, TM_LIT("w")), W(2, "a", 2, TM_LIT("x")),
      W(9, "a", 4, NUL), W(3, "a", 3, TM_LIT("z"))}, 2},
};
// clang-format on

static void deliver(const tm_reg writes[4], const int order[4], size_t winner) {
    tm_reg reg = {0};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 4; i++) {
            tm_reg_join(&reg, &writes[order[i]]);
        }
    }
    T_EQ(tm_stamp_cmp(&reg.at, &writes[winner].at), 0);
    T_EQ(reg.value.len, writes[winner].value.len);
    T_TRUE(reg.value.ptr == writes[winner].value.ptr); // the very bytes, not a copy
    T_TRUE(!tm_reg_join(&reg, &writes[winner]));       // a repeat is no news
}

static void test_every_order_twice(void **state) {
    (void)state;
    for (size_t c = 0; c < COUNT(cases); c++) {
        t_row = cases[c].name;
        for (int code = 0; code < 256; code++) { // four base-4 digits name an order
            int order[4], seen = 0;
            for (int i = 0; i < 4; i++) {
                order[i] = code >> (2 * i) & 3;
                seen |= 1 << order[i];
            }
            if (seen == 15) deliver(cases[c].writes, order, cases[c].winner);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_order_twice)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
