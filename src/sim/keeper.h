// keeper.h - the store as the simulated service sees it: slow, failing and mortal. In front
// of a real store it holds each request for a while; an append is first carried out, at one
// moment, and told to be done at another, so that a crash can come before, between and
// after. What was not carried out when the process dies is lost, kept, or kept in part.
//
// Knows store/store.h, random.h, plan.h.
#ifndef TM_SIM_KEEPER_H
#define TM_SIM_KEEPER_H

#include "sim/plan.h"

typedef struct tm_sim_keeper {
    tm_store base;
    tm_store *inner; // NULL: the process is gone
    tm_sim_random random;
    const tm_sim_plan *plan;
    bool calm;            // no fault of the plan happens any more
    bool broken;          // E_IO until a restart
    uint32_t store_fails; // so many more appends fail, whatever the plan says
    uint32_t crash_in;    // the append at which the process dies; 0 = none
    bool
        doomed; // it has died in an append: nothing is carried out or told any more
    bool busy;  // a request is being carried out
    // An append that was told to be unsure by the inner store itself.
    bool doubt;
    // The last append that the inner store told durable was told so after a sync had
    // failed.
    bool too_late;
    struct tm_store_own *first, *last;           // appends, reads, loads
    struct tm_store_own *slow_first, *slow_last; // saves, trims
    bool carried;                                // the first append is
    uint64_t due_ms, slow_due_ms;                // UINT64_MAX = nothing to do
    uint64_t requests;
    // Told at the moment at which a batch is durable.
    void (*appended)(void *context, tm_key key, const tm_batch *batch);
    // A snapshot is about to be saved.
    void (*saving)(void *context, tm_key key, tm_span snapshot);
    void (*fault)(void *context, tm_sim_fault fault);
    uint64_t (*now)(void *context);
    bool (*unsynced)(void *context); // a sync has failed in this life
    void *context;
} tm_sim_keeper;

void tm_sim_keeper_init(tm_sim_keeper *keeper, const tm_sim_plan *plan,
                        tm_sim_random random);

// tm_sim_keeper_due - when tm_sim_keeper_run has something to do.
uint64_t tm_sim_keeper_due(const tm_sim_keeper *keeper);

// tm_sim_keeper_run - one thing that is due. The service must have been told the time.
void tm_sim_keeper_run(tm_sim_keeper *keeper, uint64_t now_ms);

// tm_sim_keeper_appending - whether an append waits.
bool tm_sim_keeper_appending(const tm_sim_keeper *keeper);

// tm_sim_keeper_die - the process dies: what becomes of the appends that wait is decided,
// and whoever asked hears of failures only, until nobody asks any more.
void tm_sim_keeper_die(tm_sim_keeper *keeper);

// tm_sim_keeper_flush - nothing waits any more; true = something was told.
bool tm_sim_keeper_flush(tm_sim_keeper *keeper);

// tm_sim_read_log - all batches of a list, straight from the inner store.
void tm_sim_read_log(tm_store *store, tm_key key,
                     void (*each)(void *context, const tm_batch *batch),
                     void *context, tm_status *status);

#endif
