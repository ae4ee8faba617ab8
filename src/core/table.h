// table.h - a hash table from bytes to a pointer, seeded: keys come from outside, and
// whoever chooses them must not choose the collisions (TRUST 2, row 23).
//
// Open addressing over SipHash-1-3. The table keeps key spans, it does not copy them:
// whoever owns the value owns the key, usually inside it. Order of iteration is the
// slots' and means nothing.
//
// Knows core/alloc.h.
#ifndef TM_CORE_TABLE_H
#define TM_CORE_TABLE_H

#include "core/alloc.h"

typedef struct tm_seed {
    uint64_t lo, hi; // from the host's random source; fixed in a simulation
} tm_seed;

// tm_hash - SipHash-1-3 of the bytes under the seed.
uint64_t tm_hash(tm_seed seed, tm_span bytes);

typedef struct tm_table_slot {
    tm_span key; // ptr NULL = empty
    void *value;
    uint64_t hash;
} tm_table_slot;

typedef struct tm_table {
    const tm_alloc *alloc; // keeps
    tm_seed seed;
    tm_table_slot *slots;
    size_t count, cap; // cap is 0 or a power of two
} tm_table;

void tm_table_init(tm_table *table, const tm_alloc *alloc, tm_seed seed);
void tm_table_deinit(tm_table *table); // frees the slots alone

// tm_table_get - the value under `key`, NULL if none.
void *tm_table_get(const tm_table *table, tm_span key);

// tm_table_set - put or replace. `key` is kept and not copied (on replace too).
// TM_E_NOMEM: nothing has changed.
TM_MUST_USE tm_status tm_table_set(tm_table *table, tm_span key, void *value);

// tm_table_reserve - so that `more` further keys cannot fail.
TM_MUST_USE tm_status tm_table_reserve(tm_table *table, size_t more);

// tm_table_remove - take the key out; returns its value, NULL if there was none.
void *tm_table_remove(tm_table *table, tm_span key);

// tm_table_next - iterate: start with *at = 0; NULL at the end. Do not change the table
// on the way.
tm_table_slot *tm_table_next(const tm_table *table, size_t *at);

#endif
