// watch.h - wait for what the store does in the background, and stop it there.
#ifndef TM_TESTS_STORE_WATCH_H
#define TM_TESTS_STORE_WATCH_H

#include "store/sqlite_internal.h"

// A tuning's `point`: counts, and calls `at` (on the writer's thread) each time.
typedef struct watch {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t counts[TM_POINT_COUNT];
    void (*at)(struct watch *watch, tm_point point); // may be NULL
    void *context;
} watch;

void watch_begin(watch *watch, tm_sqlite_tuning *tuning);
void watch_end(watch *watch);

// watch_for - until the point was reached `count` times since watch_begin.
void watch_for(watch *watch, tm_point point, uint64_t count);
uint64_t watch_count(watch *watch, tm_point point);

#endif
