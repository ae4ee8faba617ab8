// query.h - the part of a URL behind the question mark: `since=1235&mark=9f..&wait=25`.
//
// Percent escapes and `+` for a space are undone once, as browsers write them; what comes
// out must be UTF-8. A key twice, or a value that cannot be read, is refused with its
// name; a key that nobody knows is passed over.
//
// Knows core/alloc.h.
#ifndef TM_SERVICE_QUERY_H
#define TM_SERVICE_QUERY_H

#include "core/alloc.h"

typedef struct tm_query {
    tm_span rest;       // not read yet
    tm_arena *arena;    // keeps
    uint64_t seen;      // the caller's: a bit for each key it knows
    const char *reason; // why it failed; NULL = it has not
    tm_span key;        // of the pair that failed, or was read last
} tm_query;

void tm_query_init(tm_query *query, tm_span text, tm_arena *arena);

// tm_query_next - the next pair; spans live in the arena. false: the end, or `reason`.
bool tm_query_next(tm_query *query, tm_span *key, tm_span *value);

// tm_query_known - the pair's key is the one of this number (below 64). Twice is an error.
void tm_query_known(tm_query *query, uint32_t number);

// tm_query_u64 - digits without sign or leading zeros, at most `max`; else `reason`.
uint64_t tm_query_u64(tm_query *query, tm_span value, uint64_t max);

#endif
