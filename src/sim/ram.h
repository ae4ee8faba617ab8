// ram.h - memory: the simulator's own, which does not fail, and that of a simulated
// process, which is counted, bounded and refused now and then.
//
// Knows core/alloc.h.
#ifndef TM_SIM_RAM_H
#define TM_SIM_RAM_H

#include "core/alloc.h"

// tm_sim_alloc - malloc and realloc; a machine without memory stops the simulator.
extern const tm_alloc tm_sim_alloc;

// The same for arrays of the simulator's own.
void *tm_sim_grow(void *array, size_t count, size_t *cap, size_t one);
// tm_sim_copy - the bytes, and a NUL behind them. gives: free().
uint8_t *tm_sim_copy(tm_span text);

typedef struct tm_sim_ram {
    uint64_t live, bytes, peak; // blocks and bytes in use; most bytes at once
    uint64_t refuse_in; // the request that is refused, counted from now; 0 = none
    uint64_t refuse_count; // how many in a row
    uint64_t refused;      // so far
} tm_sim_ram;

// tm_sim_ram_alloc - keeps `ram`.
tm_alloc tm_sim_ram_alloc(tm_sim_ram *ram);

#endif
