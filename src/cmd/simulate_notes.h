// simulate_notes.h - one run of the simulator in a process of its own, for it may end that:
// what became of it, and what it noted until then.
//
// Knows cmd/simulate_run.h.
#ifndef TM_CMD_SIMULATE_NOTES_H
#define TM_CMD_SIMULATE_NOTES_H

#include "cmd/simulate_run.h"

typedef struct tm_simulate_notes {
    tm_sim_note *notes; // their texts live in `bytes`
    size_t count;
    uint8_t *bytes;
} tm_simulate_notes;

// tm_simulate_apart - live through it. One that ends without a word broke TM_SIM_OWN.
//   again   see tm_simulate_one
//   notes   receives what it noted, with tm_simulate_notes_deinit; NULL = no interest
// false: no process could be made.
bool tm_simulate_apart(uint64_t seed, tm_simulate_store store,
                       const tm_sim_step *steps, size_t count, bool again,
                       tm_sim_result *result, tm_simulate_notes *notes);

void tm_simulate_notes_deinit(tm_simulate_notes *notes);

#endif
