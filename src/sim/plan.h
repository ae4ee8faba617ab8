// plan.h - what one seed is about: who there is, which faults and how often, and the steps.
// Swarm testing: each seed draws a subset of the faults of its own, so that rare ones are
// not drowned by others, and each is met in the company of few.
//
// Knows sim.h, random.h.
#ifndef TM_SIM_PLAN_H
#define TM_SIM_PLAN_H

#include "sim/random.h"
#include "sim/sim.h"

#define TM_SIM_PROFILES_MAX 6u
#define TM_SIM_ACCOUNTS     4u // ann's list, bob's, ann's second; the hostile one's

typedef struct tm_sim_plan {
    uint32_t profiles, accounts;
    uint32_t
        rate[TM_SIM_FAULTS]; // per message, request ...: in a million; 0 = never
    uint32_t weight[TM_SIM_STEPS]; // of a step; 0 = never
    uint32_t step_count;
    uint32_t items;                           // that edits are about
    uint32_t latency_ms, store_ms, commit_ms; // usual ones, at most
    uint32_t lag_ms;   // what a killed browser loses of local
    uint32_t gap_ms;   // usual time between steps
    uint32_t channels; // 0 all, 1 polling, 2 waiting polls, 3 push alone
    uint32_t snapshot_ops, push_ops_max;
    uint64_t floor_age_ms;
    uint32_t grain_ms; // of clocks
    size_t queue_soft_max;
    bool missing;   // pages open where one of the two places is missing
    bool policy;    // the server refuses some operations
    bool unbounded; // the faults do not end
    bool disk_faults;
} tm_sim_plan;

void tm_sim_plan_draw(tm_sim_plan *plan, uint64_t seed, bool disk_faults);

#endif
