// plan.c - see plan.h.
#include "sim/plan.h"

#include <stdlib.h>

#include "core/base.h"

enum { STREAM_PLAN = 1, STREAM_STEPS = 2, STREAM_SLOW = 6 };

// What happens by chance, to a message or a request: how often at most.
static const struct {
    tm_sim_fault fault;
    uint32_t most; // in a million
} rates[] = {
    {TM_SIM_REQUEST_LOST, 200000},
    {TM_SIM_RESPONSE_LOST, 200000},
    {TM_SIM_DUPLICATED, 150000},
    {TM_SIM_LATE, 60000},
    {TM_SIM_DELAYED, 200000},
    {TM_SIM_PROXY_ERROR, 120000},
    {TM_SIM_PROXY_HTML, 80000},
    {TM_SIM_PORTAL, 80000},
    {TM_SIM_RESET, 40000},
    {TM_SIM_HALF_OPEN, 15000},
    {TM_SIM_TOKEN_EXPIRED, 60000},
    {TM_SIM_STORE_AGAIN, 100000},
    {TM_SIM_UNSURE_LOST, 50000},
    {TM_SIM_UNSURE_KEPT, 50000},
    {TM_SIM_READ_FAILED, 100000},
    {TM_SIM_SAVE_FAILED, 300000},
    {TM_SIM_CRASH_BEFORE_ACK, 20000},
};

// What somebody does, or what befalls the whole: how heavy beside the edits' 1000.
static const struct {
    tm_sim_step_kind kind;
    uint32_t most;
    uint32_t among; // one seed in so many has it
} kinds[] = {
    {TM_SIM_STEP_BATCH, 100, 2},        {TM_SIM_STEP_BURST, 8, 6},
    {TM_SIM_STEP_OPEN, 120, 1},         {TM_SIM_STEP_CLOSE, 60, 2},
    {TM_SIM_STEP_TAB_DIES, 90, 2},      {TM_SIM_STEP_DIES_IN_SAVE, 60, 3},
    {TM_SIM_STEP_KILL, 40, 3},          {TM_SIM_STEP_COPY, 20, 4},
    {TM_SIM_STEP_PROFILE_BACK, 20, 5},  {TM_SIM_STEP_SLEEP_PAGE, 50, 3},
    {TM_SIM_STEP_QUOTA, 50, 4},         {TM_SIM_STEP_DISK_REFUSES, 50, 4},
    {TM_SIM_STEP_CLEAR, 20, 5},         {TM_SIM_STEP_LOSE_KEY, 30, 5},
    {TM_SIM_STEP_CUT_VALUE, 30, 5},     {TM_SIM_STEP_NEWER, 10, 8},
    {TM_SIM_STEP_RESET_COUNTER, 15, 5}, {TM_SIM_STEP_THROTTLE, 40, 3},
    {TM_SIM_STEP_SWITCH_USER, 30, 4},   {TM_SIM_STEP_WRONG_USER, 10, 6},
    {TM_SIM_STEP_EXPIRE, 30, 4},        {TM_SIM_STEP_PARTITION, 60, 2},
    {TM_SIM_STEP_HALF_OPEN, 40, 3},     {TM_SIM_STEP_RESET, 60, 3},
    {TM_SIM_STEP_SLOW, 50, 3},          {TM_SIM_STEP_CLOCK, 60, 2},
    {TM_SIM_STEP_SERVER_CLOCK, 40, 3},  {TM_SIM_STEP_SUSPEND, 40, 3},
    {TM_SIM_STEP_CRASH, 50, 2},         {TM_SIM_STEP_CRASH_IN_APPEND, 50, 2},
    {TM_SIM_STEP_DRAIN, 30, 3},         {TM_SIM_STEP_NO_MEMORY, 30, 3},
    {TM_SIM_STEP_STORE_FAILS, 40, 3},   {TM_SIM_STEP_BOUND, 40, 3},
    {TM_SIM_STEP_COMPACT, 40, 3},       {TM_SIM_STEP_BACKUP, 40, 5},
    {TM_SIM_STEP_RESTORE, 30, 5},       {TM_SIM_STEP_EMPTY, 8, 12},
    {TM_SIM_STEP_NEWER_CLIENT, 40, 3},  {TM_SIM_STEP_HOSTILE, 80, 3},
    {TM_SIM_STEP_WAIT, 60, 2},
};

static uint32_t below(tm_sim_random *random, uint32_t n) {
    return (uint32_t)tm_sim_below(random, n);
}

static bool one_in(tm_sim_random *random, uint32_t n) {
    return tm_sim_below(random, n) == 0;
}

static void steps_weigh(tm_sim_plan *plan, tm_sim_random *random) {
    plan->weight[TM_SIM_STEP_EDIT] = 1000;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        bool on = one_in(random, kinds[i].among);
        uint32_t weight = 1 + below(random, kinds[i].most);
        if (on) plan->weight[kinds[i].kind] = weight;
    }
    if (plan->disk_faults && one_in(random, 2)) {
        plan->weight[TM_SIM_STEP_DISK_FAULT] = 1 + below(random, 120);
    }
    // A restore without a backup does nothing.
    if (plan->weight[TM_SIM_STEP_RESTORE] != 0) {
        plan->weight[TM_SIM_STEP_BACKUP] += 20;
    }
}

void tm_sim_plan_draw(tm_sim_plan *plan, uint64_t seed, bool disk_faults) {
    tm_sim_random random = tm_sim_stream(seed, STREAM_PLAN);
    static const uint32_t gaps[] = {30, 300, 1500, 8000};
    *plan = (tm_sim_plan){.disk_faults = disk_faults};
    plan->profiles = 2 + below(&random, 3);
    plan->accounts = 1 + below(&random, 3);
    plan->items = 3 + below(&random, 14);
    plan->step_count = 120 + below(&random, 160);
    plan->latency_ms = 1 + below(&random, 200);
    plan->store_ms = below(&random, 30);
    plan->commit_ms = 1 + below(&random, 120);
    plan->lag_ms = 500 + below(&random, 5000);
    plan->gap_ms = gaps[below(&random, 4)];
    plan->channels = below(&random, 6);
    plan->snapshot_ops = one_in(&random, 2) ? 10 + below(&random, 60) : 0;
    plan->push_ops_max = 0;
    plan->floor_age_ms = one_in(&random, 2) ? 1000 + below(&random, 600000) : 0;
    plan->grain_ms = one_in(&random, 5) ? 1 + below(&random, 1000) : 1;
    plan->queue_soft_max = one_in(&random, 3) ? 2000 + below(&random, 20000) : 0;
    plan->policy = one_in(&random, 4);
    plan->unbounded = one_in(&random, 16);
    plan->missing = one_in(&random, 8);
    bool calm = one_in(&random, 40); // sometimes nothing goes wrong at all
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        bool on = one_in(&random, 4);
        uint32_t rate = 1000 + below(&random, rates[i].most);
        if (on && !calm) plan->rate[rates[i].fault] = rate;
    }
    steps_weigh(plan, &random);
    if (calm) {
        for (int i = 0; i < TM_SIM_STEPS; i++) {
            plan->weight[i] = 0;
        }
        plan->weight[TM_SIM_STEP_EDIT] = 1000;
        plan->weight[TM_SIM_STEP_OPEN] = 30;
    }
    // A disk so slow that appends of several lists wait when the process dies.
    tm_sim_random slow = tm_sim_stream(seed, STREAM_SLOW);
    if (one_in(&slow, 12) && !calm) {
        plan->store_ms = 100 + below(&slow, 500);
        plan->accounts = 3;
        plan->weight[TM_SIM_STEP_CRASH] += 40;
    }
}

// ---- the steps ------------------------------------------------------------------------

static tm_sim_step_kind kind_draw(const tm_sim_plan *plan, tm_sim_random *random) {
    uint64_t sum = 0;
    for (int i = 0; i < TM_SIM_STEPS; i++) {
        sum += plan->weight[i];
    }
    uint64_t at = tm_sim_below(random, sum);
    int i = 0;
    while (at >= plan->weight[i]) {
        at -= plan->weight[i++];
    }
    return (tm_sim_step_kind)i;
}

tm_sim_step *tm_sim_steps(uint64_t seed, bool disk_faults, size_t *count) {
    tm_sim_plan plan;
    tm_sim_random random = tm_sim_stream(seed, STREAM_STEPS);
    tm_sim_plan_draw(&plan, seed, disk_faults);
    tm_sim_step *steps = calloc(plan.step_count, sizeof *steps);
    TM_ASSERT(steps != NULL);
    uint64_t at = 0;
    for (uint32_t i = 0; i < plan.step_count; i++) {
        at += tm_sim_tail(&random, plan.gap_ms, plan.gap_ms * 64);
        steps[i].at_ms = at;
        steps[i].kind = kind_draw(&plan, &random);
        steps[i].who = (uint32_t)tm_sim_next(&random);
        steps[i].arg = tm_sim_next(&random);
        if (steps[i].kind == TM_SIM_STEP_WAIT) { // a night, a weekend, a holiday
            at += tm_sim_tail(&random, 60000, UINT64_C(7) * 86400000);
        }
    }
    *count = plan.step_count;
    return steps;
}
