// storage.h - the storage of one browser for one list, as the engine's host keeps it: two
// places of records (client/engine.h), blind to what they mean but for the guard of a
// transaction. Tabs of one browser share it; it can be full, erased, copied, damaged.
//
// `local` forgets its last seconds when the browser is killed: every write to it is noted
// for a while, and tm_storage_kill takes the last ones back. `disk` keeps what was
// committed.
//
// `check` and the simulator stand on it.
//
// Knows client/engine.h.
#ifndef TM_SIM_STORAGE_H
#define TM_SIM_STORAGE_H

#include "client/engine.h"

typedef struct tm_storage_record {
    tm_span key, value; // one piece of memory, at key.ptr
} tm_storage_record;

typedef struct tm_storage_place {
    tm_storage_record *items; // in order of their first writing
    size_t count, cap;
} tm_storage_place;

typedef struct tm_storage_undo tm_storage_undo;

typedef struct tm_storage {
    tm_storage_place places[2]; // by tm_place
    bool refuses[2];            // refuses every write
    uint64_t now_ms;            // for the notes; the host keeps it up to date
    uint64_t lag_ms;            // how long notes are kept; 0 = none are
    tm_storage_undo *undo;
    size_t undo_count, undo_cap;
    // Told of every change of a record, after it; NULL = nobody. `before`, `after`: null =
    // there is none.
    void (*changed)(void *context, struct tm_storage *storage, tm_place place,
                    tm_span key, tm_span before, tm_span after);
    void *context;
} tm_storage;

// Zero-initialised = empty.
void tm_storage_deinit(tm_storage *storage);

// tm_storage_cursor - up to where the C that disk has goes; 0 = there is none.
uint64_t tm_storage_cursor(const tm_storage *storage);

const tm_storage_record *tm_storage_get(const tm_storage *storage, tm_place place,
                                        tm_span key);

// tm_storage_put, tm_storage_remove - whatever `refuses` says.
void tm_storage_put(tm_storage *storage, tm_place place, tm_span key,
                    tm_span value);
void tm_storage_remove(tm_storage *storage, tm_place place, tm_span key);

// tm_storage_clear - every record whose key begins so; an empty prefix: all.
void tm_storage_clear(tm_storage *storage, tm_place place, tm_span prefix);

// tm_storage_copy - the records of `from`, byte by byte, into an empty storage, whose
// browser is not running: what it wrote before cannot be taken back any more.
void tm_storage_copy(tm_storage *to, const tm_storage *from);

// tm_storage_kill - the writes to `local` of the last `lost_ms` never reached the disk.
void tm_storage_kill(tm_storage *storage, uint64_t lost_ms);

// tm_storage_commit - IndexedDB's transaction: `transaction` is a COMMIT's value.
//   cursor   receives the stored cursor afterwards
tm_committed tm_storage_commit(tm_storage *storage, tm_span transaction,
                               uint64_t *cursor);

// tm_storage_owner - the writer that a record belongs to; empty = nobody's. Lends from key,
// value and arena.
tm_span tm_storage_owner(tm_span key, tm_span value, tm_arena *arena);

// tm_storage_writers - the browserIds that own a record, by bytes, in `arena`, once each.
//   there   whether each of the two places can be read
size_t tm_storage_writers(const tm_storage *storage, const bool there[2],
                          tm_arena *arena, tm_span **writers);

bool tm_storage_prefix(tm_span key, const char *prefix, tm_span *rest);

#endif
