// history.h - a list's log from a store, batch after batch, for commands that have no
// loop: reads are waited for.
//
// Knows store/store.h.
#ifndef TM_CMD_HISTORY_H
#define TM_CMD_HISTORY_H

#include "store/store.h"

typedef struct tm_history {
    tm_store *store; // keeps
    tm_key key;      // keeps
    tm_status status;
    uint64_t since; // the last seq that was given
    uint64_t
        ops_max;    // of a read; as it was set by init unless the caller changes it
    bool more;      // there may be batches behind those at hand
    tm_arena arena; // of those at hand
    tm_batch *batches;
    size_t count, at;
    tm_store_read read;
    bool done;
} tm_history;

// tm_history_init - from the batch that holds `since` + 1 on; 0 = from the beginning of
// what the log still has.
void tm_history_init(tm_history *history, tm_store *store, tm_key key,
                     uint64_t since);
void tm_history_deinit(tm_history *history);

// tm_history_next - lends the next batch until the call after it. false: the end, or a
// failure in history->status.
bool tm_history_next(tm_history *history, const tm_batch **batch);

// tm_history_snapshot - the stored snapshot: gives a copy in `bytes`; *seq 0: there is
// none.
TM_MUST_USE tm_status tm_history_snapshot(tm_store *store, tm_key key,
                                          uint64_t *seq, tm_buf *bytes);

#endif
