// check_scenario.h - golden cases of kind `scenario`: replicas, a server, virtual time.
//
// Knows cmd/check_case.h, cmd/check_door.h.
#ifndef TM_CMD_CHECK_SCENARIO_H
#define TM_CMD_CHECK_SCENARIO_H

#include "cmd/check_case.h"
#include "cmd/check_door.h"
#include "cmd/check_place.h"
#include "cmd/check_verdict.h"

// tm_check_scenario - walk through a judged case. What was wrong is in the verdict.
//   traced      print what travels, on stderr
//   place       what the store is made of
// TM_E_IO: the door is of no more use.
TM_MUST_USE tm_status tm_check_scenario(const tm_node *one, tm_check_door *door,
                                        tm_check_place *place, bool traced,
                                        tm_check_verdict *verdict);

#endif
