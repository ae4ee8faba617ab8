// simulate_case.h - a failing run of the simulator as a golden case that fails under
// `check`, if there is one.
//
// Tried are, of each list: the operations of its log, item by item and all together, as a
// case of kind `merge`; then what people did, in the ways of simulate_scenario.h. What
// each expects is thought out apart from core, engine and service, so a case that fails
// says that one of them is wrong. The first that fails loses what it does not need.
//
// Knows cmd/simulate_trace.h, cmd/check_one.h.
#ifndef TM_CMD_SIMULATE_CASE_H
#define TM_CMD_SIMULATE_CASE_H

#include "cmd/simulate_trace.h"
#include "core/buf.h"

typedef struct tm_simulate_case {
    size_t tried;   // cases, before one failed
    char what[256]; // how it fails under `check`
} tm_simulate_case;

// tm_simulate_case_find - live through `trace` again, and look for a case in it.
//   text   receives the file; undefined if there is none
// false: there is none that fails.
bool tm_simulate_case_find(const tm_simulate_trace *trace, tm_simulate_case *found,
                           tm_buf *text);

// tm_simulate_case_fails - whether a file with one case fails under `check`, in a process
// of its own; one that ends by itself or does not end at all does too.
bool tm_simulate_case_fails(tm_span text, char what[256]);

// tm_simulate_case_why_none - why a run that breaks this has none.
const char *tm_simulate_case_why_none(tm_sim_invariant invariant);

#endif
