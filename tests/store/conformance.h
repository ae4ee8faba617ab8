// conformance.h - one suite for every store: what store.h promises.
#ifndef TM_TESTS_STORE_CONFORMANCE_H
#define TM_TESTS_STORE_CONFORMANCE_H

#include "store/store.h"

// A kind of store, and how to get one.
typedef struct conformance {
    const char *name;
    // The store with all that was durable when it was closed last; the caller closes it.
    tm_store *(*open)(void *context);
    void (*reset)(void *context); // all content goes; the store is closed
    bool durable;                 // does content survive close?
    void *context;
} conformance;

// conformance_run - run every case; returns how many failed.
int conformance_run(const conformance *subject);

#endif
