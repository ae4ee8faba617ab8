// slow.h - a store in front of another: holds requests back until a test lets them go, and
// fails reads, loads and saves on demand. Or completes before starting returns, which a
// store may do too.
#ifndef TM_TESTS_SERVICE_SLOW_H
#define TM_TESTS_SERVICE_SLOW_H

#include "store/store.h"

typedef enum slow_kind {
    SLOW_APPEND = 1,
    SLOW_READ = 2,
    SLOW_LOAD = 4,
    SLOW_SAVE = 8,
    SLOW_TRIM = 16
} slow_kind;

// slow_open - takes the inner store.
tm_store *slow_open(tm_store *inner);

// slow_hold - requests of these kinds wait from now on.
void slow_hold(tm_store *store, unsigned kinds);
size_t slow_held(const tm_store *store);
// slow_release - let the oldest `count` that wait go on to the inner store.
void slow_release(tm_store *store, size_t count);

// slow_fail - the next `count` requests of these kinds end with `status`.
void slow_fail(tm_store *store, unsigned kinds, tm_status status, size_t count);

// slow_instant - complete within the start.
void slow_instant(tm_store *store, bool instant);

// slow_swap - another store behind it; gives back the one before.
tm_store *slow_swap(tm_store *store, tm_store *inner);

// slow_started - how many of these kinds were ever started.
size_t slow_started(const tm_store *store, unsigned kinds);

#endif
