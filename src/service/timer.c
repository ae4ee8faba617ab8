// timer.c - see timer.h.
#include "service/timer.h"

tm_status tm_timers_reserve(tm_timers *timers) {
    if (timers->reserved == timers->cap) {
        size_t cap = timers->cap == 0 ? 64 : 2 * timers->cap, one = sizeof(void *);
        void *heap = timers->alloc->resize(timers->alloc->context, timers->heap,
                                           timers->cap * one, cap * one);
        if (heap == NULL) return TM_E_NOMEM;
        timers->heap = heap;
        timers->cap = cap;
    }
    timers->reserved++;
    return TM_OK;
}

void tm_timers_release(tm_timers *timers, tm_timer *timer) {
    TM_ASSERT(timers->reserved > 0);
    tm_timer_set(timers, timer, UINT64_MAX);
    timers->reserved--;
}

static void put(tm_timers *timers, tm_timer *timer, size_t place) {
    timers->heap[place - 1] = timer;
    timer->place = place;
}

static void sift_up(tm_timers *timers, tm_timer *timer, size_t place) {
    while (place > 1) {
        tm_timer *parent = timers->heap[place / 2 - 1];
        if (parent->at <= timer->at) break;
        put(timers, parent, place);
        place /= 2;
    }
    put(timers, timer, place);
}

static void sift_down(tm_timers *timers, tm_timer *timer, size_t place) {
    for (;;) {
        size_t child = 2 * place;
        if (child > timers->count) break;
        if (child < timers->count &&
            timers->heap[child]->at < timers->heap[child - 1]->at) {
            child++;
        }
        tm_timer *least = timers->heap[child - 1];
        if (timer->at <= least->at) break;
        put(timers, least, place);
        place = child;
    }
    put(timers, timer, place);
}

static void take_out(tm_timers *timers, tm_timer *timer) {
    size_t place = timer->place;
    tm_timer *last = timers->heap[--timers->count];
    timer->place = 0;
    if (last == timer) return;
    if (place > 1 && timers->heap[place / 2 - 1]->at > last->at) {
        sift_up(timers, last, place);
    } else {
        sift_down(timers, last, place);
    }
}

void tm_timer_set(tm_timers *timers, tm_timer *timer, uint64_t at) {
    if (timer->place != 0) {
        if (timer->at == at) return;
        take_out(timers, timer);
    }
    if (at == UINT64_MAX) return;
    TM_ASSERT(timers->count < timers->reserved);
    timer->at = at;
    timers->count++;
    sift_up(timers, timer, timers->count);
}

void tm_timer_hasten(tm_timers *timers, tm_timer *timer, uint64_t at) {
    if (timer->place == 0 || at < timer->at) tm_timer_set(timers, timer, at);
}

uint64_t tm_timers_deadline(const tm_timers *timers) {
    return timers->count > 0 ? timers->heap[0]->at : UINT64_MAX;
}

tm_timer *tm_timers_due(tm_timers *timers, uint64_t now_ms) {
    if (timers->count == 0 || timers->heap[0]->at > now_ms) return NULL;
    tm_timer *timer = timers->heap[0];
    take_out(timers, timer);
    return timer;
}

void tm_timers_deinit(tm_timers *timers) {
    if (timers->heap == NULL) return;
    tm_alloc_put(timers->alloc, timers->heap, timers->cap * sizeof(void *));
    timers->heap = NULL;
    timers->count = timers->cap = 0;
}
