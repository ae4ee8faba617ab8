// The wheel against a plain list of due times, over random moves, with the numbers that
// matter: never early, never later than one tick, nothing lost.
#include "net/wheel.h"
#include "t.h"

#define NODES 200u

static uint64_t random_next(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 33;
}

static const struct {
    const char *name;
    uint64_t first, then; // due times; 0 = not moved
    uint64_t want;        // due for the first time at, of times tried each ms
} rows[] = {
    {"at a tick", 1024, 0, 1024},
    {"between two: late, not early", 1025, 0, 1088},
    {"at once", 1000, 0, 1024},
    {"in the past", 3, 0, 1000},
    {"moved later, in another slot", 1025, 3000, 3008},
    {"moved later, in the same slot", 1025, 1088, 1088},
    {"moved earlier", 5000, 1100, 1152},
    {"beyond the horizon", 100000, 0, 100032},
    {"moved beyond the horizon", 2000, 90000, 90048},
};

static void test_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        static tm_wheel wheel;
        tm_wheel_node node = {0};
        tm_wheel_init(&wheel, 1000);
        T_TRUE(tm_wheel_next(&wheel) == UINT64_MAX);
        tm_wheel_set(&wheel, &node, rows[i].first);
        if (rows[i].then != 0) tm_wheel_set(&wheel, &node, rows[i].then);
        uint64_t now = 1000;
        while (tm_wheel_due(&wheel, now) == NULL && now < 200000) {
            T_TRUE(tm_wheel_next(&wheel) > now);
            now++;
        }
        T_EQ(now, rows[i].want);
        T_TRUE(tm_wheel_due(&wheel, now) == NULL);
        T_TRUE(tm_wheel_next(&wheel) == UINT64_MAX);
    }
}

static void test_random(void **state) {
    (void)state;
    static tm_wheel wheel;
    static tm_wheel_node nodes[NODES];
    for (uint64_t run = 1; run <= 20; run++) {
        uint64_t seed = run, now = run * 977;
        uint64_t due[NODES] = {0}; // 0 = not in the wheel
        memset(nodes, 0, sizeof nodes);
        tm_wheel_init(&wheel, now);
        for (size_t step = 0; step < 4000; step++) {
            size_t at = random_next(&seed) % NODES;
            uint64_t kind = random_next(&seed) % 8;
            if (kind < 5) {
                due[at] = now + random_next(&seed) % (kind == 0 ? 90000 : 3000) + 1;
                tm_wheel_set(&wheel, &nodes[at], due[at]);
            } else if (kind == 5) {
                due[at] = 0;
                tm_wheel_remove(&wheel, &nodes[at]);
            } else {
                // The timer's way, or now and then a clock that jumped.
                uint64_t jump = random_next(&seed) % 64 == 0 ? 70000 : 40;
                now += random_next(&seed) % jump;
                for (tm_wheel_node *node;
                     (node = tm_wheel_due(&wheel, now)) != NULL;) {
                    size_t which = (size_t)(node - nodes);
                    T_TRUE(due[which] != 0 && due[which] <= now);
                    due[which] = 0;
                }
                uint64_t next = tm_wheel_next(&wheel);
                for (size_t i = 0; i < NODES; i++) {
                    if (due[i] == 0) continue;
                    T_TRUE(due[i] + TM_WHEEL_TICK_MS > now); // none was passed over
                    T_TRUE(next < due[i] + TM_WHEEL_TICK_MS);
                }
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_random)};
    return cmocka_run_group_tests_name("wheel", tests, NULL, NULL);
}
