// simulate_store.h - the stores that the simulator is given.
//
// Knows sim/sim.h, store/.
#ifndef TM_CMD_SIMULATE_STORE_H
#define TM_CMD_SIMULATE_STORE_H

#include "sim/sim.h"

// tm_simulate_memory - the memory store, whose content is what is durable. Needs its
// `free`, as the next one does.
void tm_simulate_memory(tm_sim_backend *backend);

// tm_simulate_sqlite - real SQLite, without its thread, on a disk that loses power, tears
// writes and fails, by the dice of `seed`.
void tm_simulate_sqlite(tm_sim_backend *backend, uint64_t seed);

#endif
