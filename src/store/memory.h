// memory.h - a store in memory: for tests, `check` and the simulator. Completes each
// request at the next tm_store_poll, in order, never before the call returns, so that a
// caller that only works with an instant store is found out.
#ifndef TM_STORE_MEMORY_H
#define TM_STORE_MEMORY_H

#include "store/store.h"

// tm_memory_open - an empty store. gives: tm_store_close.
//   alloc   keeps
TM_MUST_USE tm_status tm_memory_open(const tm_alloc *alloc, tm_store **store);

// tm_memory_copy - what is durable now, as a store of its own (a backup). gives.
TM_MUST_USE tm_status tm_memory_copy(tm_store *store, tm_store **copy);

// Faults on demand, for tests: the next `count` appends end with `status`; with
// TM_E_UNSURE `stored` says whether the batch is kept all the same.
void tm_memory_fail(tm_store *store, tm_status status, uint32_t count, bool stored);

#endif
