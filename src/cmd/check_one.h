// check_one.h - one golden case, of whatever kind, from its judgement to its verdict: what
// `check` does with each, and whoever else wants to know whether a case fails.
//
// Knows cmd/check_case.h, cmd/check_merge.h, cmd/check_scenario.h.
#ifndef TM_CMD_CHECK_ONE_H
#define TM_CMD_CHECK_ONE_H

#include "cmd/check_door.h"
#include "cmd/check_place.h"
#include "cmd/check_verdict.h"
#include "cmd/tree.h"

typedef struct tm_check_one {
    bool wasm, traced;
    tm_check_place place; // what each case's store is made of
    tm_check_door *door;  // opened for the first case, and after it broke
} tm_check_one;

// tm_check_one_door - open the door if it is not. false: noted.
bool tm_check_one_door(tm_check_one *check, tm_check_verdict *verdict);

// tm_check_one_run - judge a case and run it; what was wrong is in the verdict, and begins
// with "malformed" if it is no case.
void tm_check_one_run(tm_check_one *check, const tm_node *one,
                      tm_check_verdict *verdict);

#endif
