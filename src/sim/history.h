// history.h - the log of one list as the simulator saw it become durable, kept apart from
// the service, and what must hold of it: I1, I2, I3, I4, I8, I9.
//
// A store that is restored or replaced begins another history; pages may follow an older
// one until they hear of it.
//
// Knows core/, store/store.h.
#ifndef TM_SIM_HISTORY_H
#define TM_SIM_HISTORY_H

#include "core/list.h"
#include "store/store.h"

typedef struct tm_sim_entry { // one operation of the log; its seq is its place + 1
    uint8_t *raw;
    size_t raw_len;
    tm_span id, browser; // point into raw
    uint64_t version, time;
    tm_digest after;   // of the state with it
    uint64_t max_time; // greatest effective time up to it
} tm_sim_entry;

typedef struct tm_sim_history tm_sim_history;

tm_sim_history *tm_sim_history_new(void);
void tm_sim_history_free(tm_sim_history *history);
tm_sim_history *tm_sim_history_copy(const tm_sim_history *history);

uint64_t tm_sim_history_head(const tm_sim_history *history);
const tm_sim_entry *tm_sim_history_at(const tm_sim_history *history, uint64_t seq);
uint64_t tm_sim_history_find(const tm_sim_history *history, tm_span id); // 0: none
const tm_list *tm_sim_history_list(const tm_sim_history *history);
tm_digest tm_sim_history_digest(const tm_sim_history *history, uint64_t seq);

// tm_sim_history_add - a batch became durable.
//   wrong   receives the number of the invariant that it breaks (1, 2, 3, 4, 9), or 0
//   why     receives a sentence then
//   each    called for every operation; may be NULL
void tm_sim_history_add(tm_sim_history *history, const tm_batch *batch, int *wrong,
                        char why[256], void (*each)(void *context, const tm_op *op),
                        void *context);

// tm_sim_history_reject - the service refused this operation for good: its version is used
// up, whether or not a batch or only a snapshot keeps that.
void tm_sim_history_reject(tm_sim_history *history, tm_span browser,
                           uint64_t version);

// tm_sim_history_fold - the service may forget, by SEMANTICS 5, what is at or below this
// seq: an id that is no more among its writer's last hundred can be accepted anew then.
void tm_sim_history_fold(tm_sim_history *history, uint64_t floor);

// tm_sim_history_lenient - versions may be missing: whose refusals nobody here sees.
void tm_sim_history_lenient(tm_sim_history *history);

// tm_sim_history_same - the same batch, read again: what of it is known is as it was.
//   fresh   receives whether it reaches beyond what is known
bool tm_sim_history_same(const tm_sim_history *history, const tm_batch *batch,
                         bool *fresh);

// tm_sim_history_shuffled - I1, I8: the log joined in another order, each operation now
// and then twice, gives the state; and a plain reading of SEMANTICS 3, written apart from
// the core, gives it too. false: `why` says where.
bool tm_sim_history_shuffled(const tm_sim_history *history, uint64_t seed,
                             char why[256]);

// tm_sim_history_lacks - the first seq up to `seq` that `list` does not hold; 0 = none.
uint64_t tm_sim_history_lacks(const tm_sim_history *history, const tm_list *list,
                              uint64_t seq);

// tm_sim_history_prefix - the state at `seq`. gives: tm_list_free.
tm_list *tm_sim_history_prefix(const tm_sim_history *history, uint64_t seq);

#endif
