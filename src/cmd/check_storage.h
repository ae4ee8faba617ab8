// check_storage.h - the storage of one browser, as the engine's host keeps it: two places
// of records (client/engine.h), blind to what they mean but for the guard of a
// transaction. Tabs of one browser share it; it can be full, erased, copied, damaged.
//
// Knows client/engine.h, cmd/tree.h.
#ifndef TM_CMD_CHECK_STORAGE_H
#define TM_CMD_CHECK_STORAGE_H

#include "client/engine.h"
#include "cmd/tree.h"

typedef struct tm_check_record {
    tm_span key, value; // one piece of memory, at key.ptr
} tm_check_record;

typedef struct tm_check_records {
    tm_check_record *items; // in order of their first writing
    size_t count, cap;
} tm_check_records;

typedef struct tm_check_storage {
    struct tm_check_storage *next;
    tm_span name;
    tm_check_records places[2]; // by tm_place
    bool full;                  // refuses every write
    tm_span kept_browser;       // what a wipe left; null = nothing
} tm_check_storage;

// Zero-initialised = empty.
void tm_check_storage_deinit(tm_check_storage *storage);
void tm_check_storage_erase(
    tm_check_storage *storage); // all records of both places

// tm_check_storage_copy - the records of `from`, byte by byte, into an empty storage.
TM_MUST_USE tm_status tm_check_storage_copy(tm_check_storage *to,
                                            const tm_check_storage *from);

// tm_check_storage_keep - localStorage's setItem: false if it is full.
bool tm_check_storage_keep(tm_check_storage *storage, tm_span key, tm_span value);
void tm_check_storage_forget(tm_check_storage *storage, tm_span key);

// tm_check_storage_commit - IndexedDB's transaction: `transaction` is a COMMIT's value.
//   cursor   receives the stored cursor afterwards
tm_committed tm_check_storage_commit(tm_check_storage *storage,
                                     const tm_node *transaction, uint64_t *cursor);

// tm_check_storage_lose - make the nth (from 1) stored queue entry unreadable, wherever it is
// kept; entries count in the order they were made. false = there are not so many.
bool tm_check_storage_lose(tm_check_storage *storage, uint64_t nth);

// tm_check_storage_writers - the browserIds that have a record, by bytes, in `arena`, once each.
TM_MUST_USE tm_status tm_check_storage_writers(const tm_check_storage *storage,
                                               tm_arena *arena, tm_span **writers,
                                               size_t *count);

#endif
