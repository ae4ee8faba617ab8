// The log as the simulator sees it: each way in which a batch can be wrong is found, and
// by the invariant that it breaks.
#include "sim/history.h"
#include "t.h"

#define OP(seq, id, browser, version, time)                                        \
    "{\"id\":\"" id "\",\"type\":\"ADD\",\"instanceId\":\"i-" id                   \
    "\",\"imageId\":\"m\",\"timestamp\":" #time ",\"browserId\":\"" browser        \
    "\",\"version\":" #version ",\"seq\":" #seq "}"

static int add(tm_sim_history *history, uint64_t first, uint64_t last,
               const char *ops, const char *rejected) {
    char why[256] = "";
    int wrong;
    tm_batch batch = {.first_seq = first,
                      .last_seq = last,
                      .operations = t_str(ops),
                      .rejected = t_str(rejected)};
    tm_sim_history_add(history, &batch, &wrong, why, NULL, NULL);
    return wrong;
}

static void test_what_a_batch_may_not_be(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint64_t first, last;
        const char *ops, *rejected;
        int want;
    } rows[] = {
        {"good", 3, 3, "[" OP(3, "c", "x", 3, 30) "]", "", 0},
        {"begins too late", 4, 4, "[" OP(4, "c", "x", 3, 30) "]", "", 2},
        {"a hole inside", 3, 4,
         "[" OP(3, "c", "x", 3, 30) "," OP(5, "d", "x", 4, 40) "]", "", 2},
        {"ends elsewhere", 3, 5, "[" OP(3, "c", "x", 3, 30) "]", "", 2},
        {"not JSON", 3, 3, "[{\"id\":", "", 2},
        {"an id again", 3, 3, "[" OP(3, "a", "x", 3, 30) "]", "", 3},
        {"a version again", 3, 3, "[" OP(3, "c", "x", 2, 30) "]", "", 4},
        {"a version left out", 3, 3, "[" OP(3, "c", "x", 4, 30) "]", "", 4},
        {"a version that was rejected", 3, 3, "[" OP(3, "c", "x", 4, 30) "]",
         "[{\"id\":\"r\",\"browserId\":\"x\",\"version\":3,\"code\":\"q\"}]", 0},
        {"another's version was rejected", 3, 3, "[" OP(3, "c", "x", 4, 30) "]",
         "[{\"id\":\"r\",\"browserId\":\"y\",\"version\":3,\"code\":\"q\"}]", 4},
        {"not later than its writer's last", 3, 3, "[" OP(3, "c", "x", 3, 20) "]",
         "", 9},
        {"earlier than another's", 3, 3, "[" OP(3, "c", "y", 1, 5) "]", "", 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        tm_sim_history *history = tm_sim_history_new();
        t_row = rows[i].name;
        T_EQ(add(history, 1, 2,
                 "[" OP(1, "a", "x", 1, 10) "," OP(2, "b", "x", 2, 20) "]", ""),
             0);
        T_EQ(add(history, rows[i].first, rows[i].last, rows[i].ops,
                 rows[i].rejected),
             rows[i].want);
        tm_sim_history_free(history);
    }
    t_row = "";
}

static void test_read_again(void **state) {
    (void)state;
    static const char both[] =
        "[" OP(1, "a", "x", 1, 10) "," OP(2, "b", "x", 2, 20) "]";
    static const struct {
        const char *name;
        uint64_t first, last;
        const char *ops;
        bool same, fresh;
    } rows[] = {
        {"the same", 1, 2, both, true, false},
        {"another operation", 1, 2,
         "[" OP(1, "a", "x", 1, 10) "," OP(2, "b", "x", 2, 21) "]", false, false},
        {"one too few", 1, 2, "[" OP(1, "a", "x", 1, 10) "]", false, false},
        {"more behind it", 3, 3, "[" OP(3, "c", "x", 3, 30) "]", true, true},
        {"a hole before it", 4, 4, "[" OP(4, "c", "x", 3, 30) "]", false, true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        tm_sim_history *history = tm_sim_history_new();
        bool fresh;
        t_row = rows[i].name;
        T_EQ(add(history, 1, 2, both, ""), 0);
        tm_batch batch = {.first_seq = rows[i].first,
                          .last_seq = rows[i].last,
                          .operations = t_str(rows[i].ops)};
        T_EQ(tm_sim_history_same(history, &batch, &fresh), rows[i].same);
        T_EQ(fresh, rows[i].fresh);
        tm_sim_history_free(history);
    }
    t_row = "";
}

static void test_order_does_not_matter(void **state) {
    (void)state;
    tm_sim_history *history = tm_sim_history_new(), *copy;
    char why[256];
    T_EQ(add(history, 1, 2,
             "[" OP(1, "a", "x", 1, 10) "," OP(2, "b", "x", 2, 20) "]", ""),
         0);
    T_EQ(add(history, 3, 3,
             "[{\"id\":\"d\",\"type\":\"DELETE\",\"instanceId\":\"i-a\","
             "\"timestamp\":1,"
             "\"browserId\":\"y\",\"version\":1,\"seq\":3}]",
             ""),
         0);
    copy = tm_sim_history_copy(history);
    T_EQ(tm_sim_history_head(copy), 3);
    for (uint64_t seed = 0; seed < 20; seed++) {
        T_TRUE(tm_sim_history_shuffled(copy, seed, why));
    }
    tm_list *prefix = tm_sim_history_prefix(history, 2);
    T_EQ(tm_list_live(prefix), 2);
    T_EQ(tm_sim_history_lacks(history, prefix, 3), 3);
    T_EQ(tm_sim_history_lacks(history, prefix, 2), 0);
    tm_list_free(prefix);
    tm_sim_history_free(history);
    tm_sim_history_free(copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_batch_may_not_be),
        cmocka_unit_test(test_read_again),
        cmocka_unit_test(test_order_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
