// sim.h - the simulator: many engines, the service and a store, a faulty network, faulty
// disks, clocks and people, in virtual time. One seed decides everything.
//
// A run is a list of STEPS (an edit, a crash, a partition, at a time) made from the seed,
// and what follows from them: messages with their fates, latencies, back-offs. The rest is
// drawn from streams of their own, so a list with steps left out is still a run, which is
// what shrinking lives on. docs/SIMULATOR.md says what is simulated and what must hold.
//
// Knows core/, store/store.h; inside: client/, service/.
#ifndef TM_SIM_SIM_H
#define TM_SIM_SIM_H

#include <stdio.h>

#include "sim/faults.h"
#include "sim/note.h"
#include "store/store.h"

// What a host brings: where the log lives. The simulator opens it for each life of the
// server's process.
typedef struct tm_sim_backend {
    void *context;
    // open - what is durable. NULL is answered when it does not open now (a fault).
    tm_store *(*open)(void *context, uint64_t now_ms);
    // close - the process ends; `crash`: without notice, by power cut or kill.
    void (*close)(void *context, tm_store *store, bool crash);
    bool (*backup)(void *context);  // of what is there now, also while it is open
    bool (*restore)(void *context); // closed; false: there is no backup
    void (*empty)(void *context);   // closed
    // fail - plan a fault of the disk; NULL = it has none of its own. `nth` 0: none any
    // more, of any kind.
    void (*fail)(void *context, tm_sim_fault fault, uint64_t nth);
    // struck - which planned faults have struck since it was asked last; bit = fault -
    // TM_SIM_DISK_EIO. May be NULL.
    uint64_t (*struck)(void *context);
    bool (*dead)(void *context); // a planned power cut has struck; NULL = never
    // unsynced - a sync has failed since it was opened: whatever the next ones say,
    // nothing may be told durable any more. NULL = never
    bool (*unsynced)(void *context);
    void (*tell)(void *context,
                 uint64_t now_ms); // virtual time; NULL = no interest
    void (*free)(void *context);   // the host's, after the run
} tm_sim_backend;

typedef enum tm_sim_step_kind {
#define TM_SIM_STEP_LIST(X)                                                        \
    X(EDIT, "edit")                                                                \
    X(BATCH, "batch")                                                              \
    X(BURST, "burst")                                                              \
    X(OPEN, "open")                                                                \
    X(CLOSE, "close")                                                              \
    X(TAB_DIES, "tab-dies")                                                        \
    X(DIES_IN_SAVE, "dies-in-save")                                                \
    X(KILL, "kill-browser")                                                        \
    X(COPY, "copy-profile")                                                        \
    X(PROFILE_BACK, "restore-profile")                                             \
    X(SLEEP_PAGE, "freeze-page")                                                   \
    X(QUOTA, "quota")                                                              \
    X(DISK_REFUSES, "disk-refuses")                                                \
    X(CLEAR, "clear")                                                              \
    X(LOSE_KEY, "lose-key")                                                        \
    X(CUT_VALUE, "cut-value")                                                      \
    X(NEWER, "newer-record")                                                       \
    X(RESET_COUNTER, "reset-counter")                                              \
    X(THROTTLE, "throttle")                                                        \
    X(SWITCH_USER, "switch-user")                                                  \
    X(WRONG_USER, "wrong-user")                                                    \
    X(EXPIRE, "expire-token")                                                      \
    X(PARTITION, "partition")                                                      \
    X(HALF_OPEN, "half-open")                                                      \
    X(RESET, "reset")                                                              \
    X(SLOW, "slow-reader")                                                         \
    X(CLOCK, "clock")                                                              \
    X(SERVER_CLOCK, "server-clock")                                                \
    X(SUSPEND, "suspend")                                                          \
    X(CRASH, "crash")                                                              \
    X(CRASH_IN_APPEND, "crash-in-append")                                          \
    X(DRAIN, "drain")                                                              \
    X(NO_MEMORY, "no-memory")                                                      \
    X(STORE_FAILS, "store-fails")                                                  \
    X(DISK_FAULT, "disk-fault")                                                    \
    X(BOUND, "bound")                                                              \
    X(COMPACT, "compact")                                                          \
    X(BACKUP, "backup")                                                            \
    X(RESTORE, "restore")                                                          \
    X(EMPTY, "empty")                                                              \
    X(NEWER_CLIENT, "newer-client")                                                \
    X(HOSTILE, "hostile")                                                          \
    X(WAIT, "wait")
#define X(name, word) TM_SIM_STEP_##name,
    TM_SIM_STEP_LIST(X)
#undef X
        TM_SIM_STEPS
} tm_sim_step_kind;

typedef struct tm_sim_step {
    uint64_t at_ms; // since the beginning
    tm_sim_step_kind kind;
    uint32_t who; // taken modulo those there are
    uint64_t arg; // the step's own dice
} tm_sim_step;

const char *tm_sim_step_word(tm_sim_step_kind kind);
const char *tm_sim_fault_word(tm_sim_fault fault);
const char *tm_sim_fault_layer(tm_sim_fault fault);
const char *tm_sim_state_word(tm_sim_state state);

// X(name, number in TRUST 1.2, what it says)
#define TM_SIM_INVARIANT_LIST(X)                                                   \
    X(I1, "the log replayed in any order is the state")                            \
    X(I2, "seq has no holes")                                                      \
    X(I3, "an id is in the log once")                                              \
    X(I4, "a writer's versions are its decided operations")                        \
    X(I5, "no operation that was kept is lost")                                    \
    X(I6, "what was acknowledged is durable")                                      \
    X(I7, "what a page confirmed is the log up to its cursor")                     \
    X(I8, "dead stays dead")                                                       \
    X(I9, "an operation is later than all its author had seen")                    \
    X(I10, "a page shows what is confirmed, and its own work")                     \
    X(I11, "nobody sees or touches another user's list")                           \
    X(I12, "memory and queues are bounded, and given back")                        \
    X(I13, "a seed repeats itself")                                                \
    X(I14, "when the faults end, all becomes equal and all queues empty")          \
    X(I15, "an idle world is silent")                                              \
    X(OWN, "nothing stops on a mistake of its own")

typedef enum tm_sim_invariant {
    TM_SIM_FINE,
#define X(name, what) TM_SIM_##name,
    TM_SIM_INVARIANT_LIST(X)
#undef X
} tm_sim_invariant;

const char *tm_sim_invariant_name(tm_sim_invariant invariant); // "I5"
const char *tm_sim_invariant_text(tm_sim_invariant invariant);

typedef struct tm_sim_config {
    uint64_t seed;
    const tm_sim_backend *backend; // borrows
    bool disk_faults;              // the backend has them
    FILE *story;                   // the story in words; NULL = none
    tm_sim_noting noting;          // and in notes
    // The steps; NULL = those of the seed.
    const tm_sim_step *steps;
    size_t step_count;
} tm_sim_config;

typedef struct tm_sim_result {
    tm_sim_invariant broken;
    char what[512];      // a sentence
    uint64_t broken_ms;  // virtual time since the beginning
    size_t broken_step;  // steps done by then
    uint64_t hash;       // of all that happened
    uint64_t events;     // moments of virtual time at which something happened
    uint64_t virtual_ms; // lived
    uint64_t accepted;   // operations
    uint64_t edits, messages, bytes;
    bool unbounded; // faults did not end: safety alone was looked at
    uint32_t faults[TM_SIM_FAULTS];
    uint32_t pairs[TM_SIM_FAULTS][TM_SIM_STATES];
    uint32_t checks[TM_SIM_OWN + 1]; // how often each invariant was looked at
} tm_sim_result;

// tm_sim_run - live through one seed.
void tm_sim_run(const tm_sim_config *config, tm_sim_result *result);

// tm_sim_steps - the steps of a seed. gives: free().
tm_sim_step *tm_sim_steps(uint64_t seed, bool disk_faults, size_t *count);

#endif
