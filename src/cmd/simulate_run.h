// simulate_run.h - one seed of the simulator, and many of them on forked workers.
//
// Knows sim/sim.h, cmd/simulate_store.h.
#ifndef TM_CMD_SIMULATE_RUN_H
#define TM_CMD_SIMULATE_RUN_H

#include "cmd/simulate_store.h"

typedef enum tm_simulate_store {
    TM_SIMULATE_MEMORY,
    TM_SIMULATE_SQLITE,
    TM_SIMULATE_BOTH, // every fourth seed on SQLite
} tm_simulate_store;

// tm_simulate_store_of - which of the two a seed has.
tm_simulate_store tm_simulate_store_of(tm_simulate_store store, uint64_t seed);

// tm_simulate_one - live through one seed.
//   steps   NULL = the seed's own
//   again   live through it a second time, and compare (I13)
//   noting  who is told what happens, the first time; may be NULL
void tm_simulate_one(uint64_t seed, tm_simulate_store store,
                     const tm_sim_step *steps, size_t count, FILE *story,
                     bool again, const tm_sim_noting *noting,
                     tm_sim_result *result);

typedef struct tm_simulate_many {
    uint64_t first, count;
    tm_simulate_store store;
    uint32_t jobs;
    uint64_t until_ms; // monotonic: no seed is begun after that; 0 = no end
    bool keep_going;
    // Called for each seed that is done, in no order. false: no more.
    bool (*done)(void *context, uint64_t seed, const tm_sim_result *result);
    void *context;
} tm_simulate_many;

// tm_simulate_all - every seed, on `jobs` workers. A worker that ends on a mistake of its
// own is a seed that broke TM_SIM_OWN. false: no worker could be made.
bool tm_simulate_all(const tm_simulate_many *many);

#endif
