// The world itself: a seed repeats itself, every kind of fault happens, steps may be left
// out, and a store that lies is found out.
#include "sim/backend.h"
#include "t.h"

static void run(uint64_t seed, backend_lie lie, const tm_sim_step *steps,
                size_t count, tm_sim_result *result) {
    tm_sim_backend backend;
    backend_open(&backend, lie);
    tm_sim_config config = {
        .seed = seed, .backend = &backend, .steps = steps, .step_count = count};
    tm_sim_run(&config, result);
    backend_close(&backend);
}

static void test_a_seed_repeats_itself(void **state) {
    (void)state;
    uint64_t hashes[10];
    for (uint64_t seed = 0; seed < COUNT(hashes); seed++) {
        static tm_sim_result first, second;
        run(seed + 1, LIE_NONE, NULL, 0, &first);
        run(seed + 1, LIE_NONE, NULL, 0, &second);
        T_EQ(first.hash, second.hash);
        T_EQ(first.events, second.events);
        hashes[seed] = first.hash;
        for (uint64_t other = 0; other < seed; other++) {
            T_TRUE(hashes[other] != hashes[seed]);
        }
    }
}

static bool of_a_disk(int fault) {
    return fault >= TM_SIM_DISK_EIO && fault <= TM_SIM_DISK_CRASH;
}

static bool all_met(const uint64_t met[TM_SIM_FAULTS]) {
    for (int f = 0; f < TM_SIM_FAULTS; f++) {
        if (met[f] == 0 && !of_a_disk(f)) return false;
    }
    return true;
}

// Nothing is planned that does not happen: within a few hundred seeds each fault strikes
// (those of a disk need one).
static void test_every_fault_happens(void **state) {
    (void)state;
    static uint64_t met[TM_SIM_FAULTS];
    uint64_t accepted = 0, seeds = 0;
    while (!all_met(met) && seeds < 500) {
        static tm_sim_result result;
        run(++seeds, LIE_NONE, NULL, 0, &result);
        accepted += result.accepted;
        for (int f = 0; f < TM_SIM_FAULTS; f++) {
            met[f] += result.faults[f];
        }
    }
    for (int f = 0; f < TM_SIM_FAULTS; f++) {
        t_row = tm_sim_fault_word((tm_sim_fault)f);
        T_EQ(met[f] > 0, !of_a_disk(f));
    }
    t_row = "";
    T_TRUE(accepted > seeds * 50); // and not for want of work
}

static void test_steps_may_be_left_out(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        static tm_sim_result all, none, half;
        size_t count, kept = 0;
        tm_sim_step *steps = tm_sim_steps(seed, false, &count);
        run(seed, LIE_NONE, steps, count, &all);
        for (size_t i = 0; i < count; i += 2) {
            steps[kept++] = steps[i];
        }
        run(seed, LIE_NONE, steps, kept, &half);
        run(seed, LIE_NONE, steps, 0, &none);
        T_TRUE(all.edits > half.edits && half.edits > 0);
        T_EQ(none.edits, 0);
        T_EQ(none.broken, TM_SIM_FINE);
        free(steps);
    }
}

// The first seed of so many that breaks something, and what.
static tm_sim_invariant found(backend_lie lie, uint64_t seeds) {
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        static tm_sim_result result;
        run(seed, lie, NULL, 0, &result);
        if (result.broken != TM_SIM_FINE) return result.broken;
    }
    return TM_SIM_FINE;
}

static void test_a_store_that_lies_is_found_out(void **state) {
    (void)state;
    t_row = "forgets what was durable";
    T_EQ(found(LIE_FORGETS, 60), TM_SIM_I6);
    t_row = "stores nothing";
    T_EQ(found(LIE_NOTHING_STORED, 20), TM_SIM_I1); // less than was told durable
    t_row = "";
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_seed_repeats_itself),
        cmocka_unit_test(test_every_fault_happens),
        cmocka_unit_test(test_steps_may_be_left_out),
        cmocka_unit_test(test_a_store_that_lies_is_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
