// timer.h - what is due when: a heap of deadlines.
//
// A timer stands inside what it wakes. Its place in the heap is paid for when its owner
// is made (tm_timers_reserve), so that setting one never fails: a deadline that could be
// lost for want of memory would be a list that is never saved.
//
// Knows core/.
#ifndef TM_SERVICE_TIMER_H
#define TM_SERVICE_TIMER_H

#include "core/alloc.h"

// Zeroed = not set.
typedef struct tm_timer {
    uint64_t at;  // mono_ms
    size_t place; // in the heap, counted from 1; 0 = not set
    void (*due)(struct tm_timer *timer);
    void *owner;
} tm_timer;

typedef struct tm_timers {
    const tm_alloc *alloc; // keeps
    tm_timer **heap;
    size_t count, cap;
    size_t reserved; // owners alive: at most so many are ever set at once
} tm_timers;

// tm_timers_reserve - one owner more. TM_E_NOMEM: there is none more.
TM_MUST_USE tm_status tm_timers_reserve(tm_timers *timers);
// tm_timers_release - that owner is gone; its timer is not set any more.
void tm_timers_release(tm_timers *timers, tm_timer *timer);

// tm_timer_set - wake its owner at `at`, instead of when it was set for. UINT64_MAX = not
// at all.
void tm_timer_set(tm_timers *timers, tm_timer *timer, uint64_t at);
// tm_timer_hasten - wake it at `at` or when it is set for, whichever is first.
void tm_timer_hasten(tm_timers *timers, tm_timer *timer, uint64_t at);

uint64_t tm_timers_deadline(const tm_timers *timers); // UINT64_MAX = never
// tm_timers_due - take out the first that is due at `now_ms`; NULL = none is.
tm_timer *tm_timers_due(tm_timers *timers, uint64_t now_ms);

void tm_timers_deinit(tm_timers *timers);

#endif
