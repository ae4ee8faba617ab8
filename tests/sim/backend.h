// backend.h - the memory store for runs of the simulator, and one that lies.
#ifndef TM_TESTS_SIM_BACKEND_H
#define TM_TESTS_SIM_BACKEND_H

#include "sim/sim.h"

typedef enum backend_lie {
    LIE_NONE,
    LIE_FORGETS,        // a batch that it said is durable is gone after a crash
    LIE_NOTHING_STORED, // it says that an append is done, and stores nothing
} backend_lie;

void backend_open(tm_sim_backend *backend, backend_lie lie);
void backend_close(tm_sim_backend *backend);

#endif
