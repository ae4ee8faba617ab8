// simulate_trace.h - the steps of one run as a file, and fewer of them.
//
// A .trace is text, a line each:
//
//     seed 836
//     store memory
//     breaks I5
//     step 12345 tab-dies 17 90210      milliseconds, kind, whom, dice
//
// and whatever begins with # is for people.
//
// Knows cmd/simulate_run.h.
#ifndef TM_CMD_SIMULATE_TRACE_H
#define TM_CMD_SIMULATE_TRACE_H

#include "cmd/simulate_run.h"

typedef struct tm_simulate_trace {
    uint64_t seed;
    tm_simulate_store store;
    tm_sim_invariant breaks;
    tm_sim_step *steps; // gives: free()
    size_t count;
} tm_simulate_trace;

// tm_simulate_trace_read - false: `problem` says why.
bool tm_simulate_trace_read(const char *path, tm_simulate_trace *trace,
                            char problem[256]);
bool tm_simulate_trace_write(const char *path, const tm_simulate_trace *trace,
                             const tm_sim_result *result);

// tm_simulate_shrink - take steps out of the run as long as it still breaks the same
// invariant. Each try is a process of its own, for a run may end it.
//   told   called now and then: steps left, tries so far; may be NULL
// false: it does not break anything, or cannot be tried.
bool tm_simulate_shrink(tm_simulate_trace *trace, tm_sim_result *result,
                        void (*told)(void *context, size_t left, size_t tries),
                        void *context);

#endif
