// simulate_sum.h - what many seeds come to: figures, and the table of faults.
//
// Knows sim/sim.h, cmd/host.h.
#ifndef TM_CMD_SIMULATE_SUM_H
#define TM_CMD_SIMULATE_SUM_H

#include "cmd/host.h"
#include "sim/sim.h"

typedef struct tm_simulate_sum {
    uint64_t seeds, broken, unbounded;
    uint64_t events, virtual_ms, accepted, edits, messages, bytes;
    uint64_t faults[TM_SIM_FAULTS];      // how often
    uint64_t fault_seeds[TM_SIM_FAULTS]; // in how many seeds
    uint64_t pairs[TM_SIM_FAULTS][TM_SIM_STATES];
    uint64_t checks[TM_SIM_OWN + 1];
    uint64_t begun_ms;
} tm_simulate_sum;

void tm_simulate_add(tm_simulate_sum *sum, const tm_sim_result *result);

// tm_simulate_figures - one line: seeds, steps a second, time lived, operations.
void tm_simulate_figures(const tm_simulate_sum *sum, char *out, size_t size);

// tm_simulate_table - faults x states, and what was looked at.
//   disk   whether faults of SQLite's disk could happen
void tm_simulate_table(const tm_simulate_sum *sum, bool disk, FILE *to);
void tm_simulate_json(const tm_simulate_sum *sum, FILE *to);

#endif
