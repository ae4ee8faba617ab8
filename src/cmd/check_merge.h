// check_merge.h - golden cases of kind `merge`: whatever the order, the repeats and the
// grouping of the operations, the same state, byte for byte.
//
// Natively the core's list is asked directly; for core.wasm an engine behind its door is
// given the operations as a server would send them. Both see every order, every
// operation twice, and every order cut in two at every place and joined both ways.
//
// Knows core/list.h, cmd/check_door.h.
#ifndef TM_CMD_CHECK_MERGE_H
#define TM_CMD_CHECK_MERGE_H

#include "cmd/check_door.h"
#include "cmd/check_state.h"
#include "cmd/check_verdict.h"

// What a case says, read once.
typedef struct tm_check_merge {
    tm_span name;
    tm_op *ops; // each with an id of its own, and its text in `raw`
    size_t count;
    tm_buf state;       // expected texts
    tm_buf order, dead; // empty = not expected
    tm_check_verdict *verdict;
    tm_arena arena;   // lives with this
    tm_arena scratch; // reset for each try
    uint32_t *room;   // for an order
    uint64_t seed;
} tm_check_merge;

// What one way of merging gave.
typedef struct tm_check_merge_seen {
    tm_buf bytes; // canonical
    tm_buf state, order, dead;
    uint8_t digest[32];
} tm_check_merge_seen;

// tm_check_merge_init - read a judged case. Failures, operations that are none among them, are
// noted in `verdict` (keeps), and false is returned. Needs tm_check_merge_deinit in any case.
bool tm_check_merge_init(tm_check_merge *merge, const tm_node *one,
                         tm_check_verdict *verdict);
void tm_check_merge_deinit(tm_check_merge *merge);

// tm_check_merge_native / tm_check_merge_door - try all of it. False: noted in the verdict; with
// tm_check_merge_door TM_E_IO means that the door is of no more use.
bool tm_check_merge_native(tm_check_merge *merge);
TM_MUST_USE tm_status tm_check_merge_door(tm_check_merge *merge,
                                          tm_check_door *door);

// For both: a list's texts, all of them looked at; and the comparison with what the case
// expects, and with what the first way gave.
void tm_check_merge_seen_init(tm_check_merge_seen *seen);
void tm_check_merge_seen_deinit(tm_check_merge_seen *seen);
TM_MUST_USE tm_status tm_check_merge_look(tm_check_merge *merge,
                                          const tm_list *list,
                                          tm_check_merge_seen *seen);
bool tm_check_merge_compare(tm_check_merge *merge, const tm_check_merge_seen *first,
                            const tm_check_merge_seen *seen, const char *way);

// tm_check_merge_way - "order 2 0 1", and how it was merged, for a failure.
//   cut   after how many operations it was cut in two; TM_CHECK_MERGE_WHOLE = it was not
#define TM_CHECK_MERGE_WHOLE SIZE_MAX
void tm_check_merge_way(const tm_check_merge *merge, const uint32_t *order,
                        size_t cut, const char *how, char way[160]);

#endif
