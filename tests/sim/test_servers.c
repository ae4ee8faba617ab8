// Several servers on one DynamoDB model: seeds that stay hold, repeat themselves, and among
// them meet every fault; and stores and servers that lie are found.
#include "sim/servers.h"
#include "t.h"

#define SEEDS 150u

static void test_seeds(void **state) {
    static tm_sim_many_result one, again;
    uint64_t accepted = 0, tables[TM_SIM_TABLE_FAULTS] = {0},
             faults[TM_SIM_MANY_FAULTS] = {0};
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        char name[32];
        (void)snprintf(name, sizeof name, "seed %u", (unsigned)seed);
        t_row = name;
        tm_sim_many_run(seed, TM_SIM_MANY_HONEST, NULL, &one);
        if (one.broken != TM_SIM_FINE) {
            (void)printf("# seed %u breaks %s: %s\n", (unsigned)seed,
                         tm_sim_invariant_name(one.broken), one.what);
        }
        T_EQ(one.broken, TM_SIM_FINE);
        accepted += one.accepted;
        for (size_t i = 0; i < TM_SIM_TABLE_FAULTS; i++) {
            tables[i] += one.tables[i];
        }
        for (size_t i = 0; i < TM_SIM_MANY_FAULTS; i++) {
            faults[i] += one.faults[i];
        }
        if (seed % 16 != 0) continue;
        tm_sim_many_run(seed, TM_SIM_MANY_HONEST, NULL, &again);
        T_TRUE(one.hash == again.hash);
    }
    T_TRUE(accepted > SEEDS * 20);
    for (size_t i = 0; i < TM_SIM_TABLE_FAULTS; i++) {
        t_row = tm_sim_table_fault_text((tm_sim_table_fault)i);
        T_TRUE(tables[i] > 0);
    }
    for (size_t i = 0; i < TM_SIM_MANY_FAULTS; i++) {
        t_row = tm_sim_many_fault_text((tm_sim_many_fault)i);
        T_TRUE(faults[i] > 0);
    }
}

static void test_lies_are_found(void **state) {
    static const struct {
        const char *name;
        tm_sim_many_lie lie;
    } rows[] = {
        {"puts without a condition", TM_SIM_MANY_UNCONDITIONAL},
        {"reads of the past", TM_SIM_MANY_PAST_READS},
        {"servers that believe their memory", TM_SIM_MANY_ALONE},
    };
    static tm_sim_many_result one;
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        uint64_t seed = 1;
        for (; seed <= 20; seed++) {
            tm_sim_many_run(seed, rows[i].lie, NULL, &one);
            if (one.broken != TM_SIM_FINE) break;
        }
        T_TRUE(seed <= 20);
        T_TRUE(one.what[0] != '\0');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_seeds),
                                       cmocka_unit_test(test_lies_are_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
