// check_door.h - the functions of client/door.h by name, whoever runs them: this program,
// or node with the core.wasm that ships.
//
// What `check` does to an engine goes through here and nowhere else, so that both kinds
// are given the same calls, byte for byte.
//
// Knows client/door.h.
#ifndef TM_CMD_CHECK_DOOR_H
#define TM_CMD_CHECK_DOOR_H

#include "client/door.h"

// X(name, parameters, result): i = int32_t, u = uint32_t, w = uint64_t, v = nothing.
#define TM_DOOR_LIST(X)                                                            \
    X(new, "uuu", 'i')                                                             \
    X(free, "i", 'v')                                                              \
    X(load, "iuuu", 'i')                                                           \
    X(adopt, "iwwu", 'i')                                                          \
    X(start, "iwwuu", 'i')                                                         \
    X(reloaded, "iww", 'i')                                                        \
    X(edit, "iwwu", 'i')                                                           \
    X(written, "i", 'i')                                                           \
    X(kept, "iuu", 'i')                                                            \
    X(committed, "iwwwuw", 'i')                                                    \
    X(channel, "iwwu", 'i')                                                        \
    X(ask, "iwwu", 'i')                                                            \
    X(take, "iww", 'i')                                                            \
    X(ref, "i", 'w')                                                               \
    X(answer, "iwwwuu", 'i')                                                       \
    X(feed, "iwwu", 'i')                                                           \
    X(deadline, "i", 'w')                                                          \
    X(tick, "iww", 'i')                                                            \
    X(event, "i", 'i')                                                             \
    X(item, "iwwu", 'i')                                                           \
    X(order, "iww", 'i')                                                           \
    X(sort, "iww", 'i')                                                            \
    X(status, "iww", 'i')                                                          \
    X(confirmed, "i", 'i')                                                         \
    X(cursor, "i", 'w')

typedef enum tm_check_fn {
#define X(name, parameters, result) TM_FN_##name,
    TM_DOOR_LIST(X)
#undef X
} tm_check_fn;

#define TM_FN_ARGS_MAX 6u

typedef struct tm_check_door tm_check_door;

// tm_check_native / tm_check_node - gives: tm_check_door_close.
//   problem   receives a sentence on failure
// tm_check_node starts one node process, in which all engines live. TM_E_IO: there is no
// node, or it did not start; TM_E_STATE: this program was built without core.wasm.
TM_MUST_USE tm_status tm_check_native(tm_check_door **door);
TM_MUST_USE tm_status tm_check_node(tm_check_door **door, char problem[256]);
void tm_check_door_close(tm_check_door *door);

// tm_check_call - one call.
//   args     as many as the call has parameters; signed ones as their two's complement
//   in       what tm_door_in is filled with; borrows
//   result   receives the function's, widened. NULL = nobody waits for it: the call may
//            be made later, before the next one that is waited for, and must not fail
//   out      receives what tm_door_out shows then; lent until the next call; may be NULL
// TM_E_STATE: an earlier call that nobody waited for failed. TM_E_IO: nobody answers any more, and nobody will; tm_check_problem says why.
TM_MUST_USE tm_status tm_check_call(tm_check_door *door, tm_check_fn call,
                                    const uint64_t *args, tm_span in,
                                    int64_t *result, tm_span *out);

// tm_check_problem - a sentence about the last TM_E_IO.
const char *tm_check_problem(const tm_check_door *door);

// What the two kinds are to the functions above.
struct tm_check_door {
    tm_status (*call)(tm_check_door *door, tm_check_fn call, const uint64_t *args,
                      tm_span in, bool wants_out, int64_t *result, tm_span *out);
    void (*close)(tm_check_door *door);
    char problem[256];
};

#endif
