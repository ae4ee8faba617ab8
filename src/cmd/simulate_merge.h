// simulate_merge.h - the log of one list as a golden case of kind `merge`; what it adds up
// to is said by sim/plain.h, which is written apart from the core.
//
// Knows cmd/simulate_notes.h.
#ifndef TM_CMD_SIMULATE_MERGE_H
#define TM_CMD_SIMULATE_MERGE_H

#include "cmd/simulate_notes.h"
#include "core/buf.h"

typedef struct tm_simulate_entry { // an operation of the log, each id once
    tm_span text;                  // without its seq
    tm_span item;                  // empty: the list's order
} tm_simulate_entry;

// tm_simulate_entries - what became durable in the list of `account`, ever. gives: free();
// what they lend lives in the notes and the arena.
tm_simulate_entry *tm_simulate_entries(const tm_simulate_notes *notes,
                                       uint32_t account, tm_arena *arena,
                                       size_t *count);

// tm_simulate_merge_write - them as a file with one case.
void tm_simulate_merge_write(const tm_simulate_entry *entries, size_t count,
                             const char *name, const char *covers, tm_buf *out);

#endif
