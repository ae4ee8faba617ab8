// A failing run of the simulator becomes a case that fails under `check` too; and a case
// made of a run that holds passes, or its expectation would be wrong.
#include <stdlib.h>
#include <string.h>

#include "client/engine.h"
#include "cmd/host.h"
#include "cmd/simulate_case.h"
#include "cmd/simulate_merge.h"
#include "cmd/simulate_scenario.h"
#include "sim/plan.h"
#include "t.h"

// ---- faults, planted where the linker lets us in (cmake/tests.cmake) --------------------

typedef enum planted_fault { NO_FAULT, DEAD_LIVE, QUEUE_UNREAD } planted_fault;
static planted_fault planted;

tm_status __real_tm_list_apply(tm_list *list, const tm_op *op, bool *changed);
tm_status __wrap_tm_list_apply(tm_list *list, const tm_op *op, bool *changed);
tm_status __wrap_tm_list_apply(tm_list *list, const tm_op *op, bool *changed) {
    if (planted != DEAD_LIVE || op->type != TM_OP_DELETE)
        return __real_tm_list_apply(list, op, changed);
    if (changed != NULL) *changed = false;
    return TM_OK; // a deletion joins nothing
}

tm_status __real_tm_engine_load(tm_engine *engine, tm_place place, tm_span key,
                                tm_span value);
tm_status __wrap_tm_engine_load(tm_engine *engine, tm_place place, tm_span key,
                                tm_span value);
tm_status __wrap_tm_engine_load(tm_engine *engine, tm_place place, tm_span key,
                                tm_span value) {
    if (planted == QUEUE_UNREAD && key.len > 3 && memcmp(key.ptr, "op/", 3) == 0)
        return TM_OK; // what was kept is not read again
    return __real_tm_engine_load(engine, place, key, value);
}

// ---- runs that hold ---------------------------------------------------------------------

static void passes(const tm_buf *text, uint64_t seed, const char *what) {
    char why[256], row[600];
    bool fails = tm_simulate_case_fails(tm_buf_span(text), why);
    (void)snprintf(row, sizeof row, "seed %llu, %s: %s", (unsigned long long)seed,
                   what, why);
    t_row = row;
    if (fails)
        (void)fprintf(stderr, "%.*s", (int)text->len, (const char *)text->ptr);
    T_TRUE(!fails && strlen(why) == 0);
    t_row = "";
}

static bool edits_any(const tm_simulate_move *moves, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (moves[i].kind == TM_SIMULATE_MOVE_EDIT) return true;
    }
    return false;
}

static void seed_try(uint64_t seed) {
    static const char *const words[] = {"pulls", "channel", "clocks", "one"};
    static tm_sim_result result;
    tm_simulate_notes notes;
    size_t count, steps_count;
    tm_sim_step *steps = tm_sim_steps(seed, false, &steps_count);
    tm_buf text = {.alloc = &tm_host_alloc};
    T_TRUE(tm_simulate_apart(seed, TM_SIMULATE_MEMORY, steps, steps_count, false,
                             &result, &notes));
    for (uint32_t a = 0; a + 1 < TM_SIM_ACCOUNTS; a++) {
        tm_arena arena = {.alloc = &tm_host_alloc};
        tm_simulate_entry *all = tm_simulate_entries(&notes, a, &arena, &count);
        tm_simulate_merge_write(all, count < 40 ? count : 40, "log", "I1", &text);
        passes(&text, seed, "merge");
        free(all);
        tm_simulate_move *moves = tm_simulate_moves(&notes, a, &arena, &count);
        for (int way = 0; way < TM_SIMULATE_WAYS && edits_any(moves, count);
             way++) {
            tm_simulate_scenario_write(moves, count, (tm_simulate_way)way, "run",
                                       "I14", &text);
            passes(&text, seed, words[way]);
        }
        free(moves);
        tm_arena_deinit(&arena);
    }
    tm_buf_deinit(&text);
    tm_simulate_notes_deinit(&notes);
    free(steps);
}

static void test_a_run_that_holds_makes_cases_that_pass(void **state) {
    (void)state;
    const char *first = getenv("FIRST"), *seeds = getenv("SEEDS");
    uint64_t from = first == NULL ? 1 : strtoull(first, NULL, 10);
    uint64_t count = seeds == NULL ? 25 : strtoull(seeds, NULL, 10);
    for (uint64_t seed = from; seed < from + count; seed++) {
        seed_try(seed);
    }
}

// ---- runs that fail ---------------------------------------------------------------------

static tm_simulate_trace trace_of(uint64_t seed) {
    tm_simulate_trace trace = {.seed = seed, .store = TM_SIMULATE_MEMORY};
    trace.steps = tm_sim_steps(seed, false, &trace.count);
    return trace;
}

// The first seed that fails with the fault: short, and a case that fails with it alone.
static void planted_found(planted_fault fault, const char *kind,
                          tm_sim_invariant breaks) {
    static tm_sim_result result;
    tm_simulate_case found;
    tm_buf text = {.alloc = &tm_host_alloc};
    char what[256];
    planted = fault;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        tm_simulate_trace trace = trace_of(seed);
        size_t before = trace.count;
        if (!tm_simulate_shrink(&trace, &result, NULL, NULL)) {
            free(trace.steps);
            continue;
        }
        T_EQ(trace.breaks, breaks);
        T_TRUE(trace.count < before / 4);
        T_TRUE(tm_simulate_case_find(&trace, &found, &text));
        tm_buf_byte(&text, 0);
        T_TRUE(strstr((char *)text.ptr, kind) != NULL);
        text.len--;
        free(trace.steps);
        break;
    }
    T_TRUE(text.len > 0 && found.what[0] != '\0');
    T_TRUE(tm_simulate_case_fails(tm_buf_span(&text), what));
    planted = NO_FAULT;
    T_TRUE(!tm_simulate_case_fails(tm_buf_span(&text), what));
    T_TRUE(text.len < 3000); // nobody reads a long one
    tm_buf_deinit(&text);
}

static void test_a_failure_of_the_merge_is_a_merge(void **state) {
    (void)state;
    planted_found(DEAD_LIVE, "\"kind\":\"merge\"", TM_SIM_I8);
}

static void test_a_failure_of_a_page_is_a_scenario(void **state) {
    (void)state;
    planted_found(QUEUE_UNREAD, "\"kind\":\"scenario\"", TM_SIM_I5);
}

static void test_a_run_that_holds_has_none(void **state) {
    (void)state;
    tm_simulate_trace trace = trace_of(3);
    tm_simulate_case found;
    tm_buf text = {.alloc = &tm_host_alloc};
    T_TRUE(!tm_simulate_case_find(&trace, &found, &text));
    T_TRUE(found.tried > 10);
    for (int i = 1; i <= TM_SIM_OWN; i++) {
        T_TRUE(strlen(tm_simulate_case_why_none((tm_sim_invariant)i)) > 20);
    }
    tm_buf_deinit(&text);
    free(trace.steps);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_run_that_holds_makes_cases_that_pass),
        cmocka_unit_test(test_a_failure_of_the_merge_is_a_merge),
        cmocka_unit_test(test_a_failure_of_a_page_is_a_scenario),
        cmocka_unit_test(test_a_run_that_holds_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
