// sqlite.h - the embedded store: one SQLite database in WAL mode, synchronous=FULL.
//
// A writer thread commits; while one commit runs, all that arrives becomes the next one.
// The hot path appends to one journal in order of arrival; rows are filed by list in the
// background, in slices of at most 5 ms. DESIGN 5 has the rules, docs/STORAGE.md the
// schema. A list can have 2^36-1 operations and a store 2^27-1 lists; an append beyond
// that ends in TM_E_RANGE.
#ifndef TM_STORE_SQLITE_H
#define TM_STORE_SQLITE_H

#include "store/store.h"

typedef struct tm_sqlite_options {
    const char *path; // borrows; of the database file, created if missing
    // For log, state, verify, beside a running daemon or without one: no lock is taken,
    // nothing is changed, and all is as it was at the moment of opening. As long as it
    // is open, the daemon's write-ahead log cannot start again at its beginning.
    bool read_only;

    // The rest is a simulator's, and NULL in life. On a VFS of its own no lock file is
    // taken, and nobody asks what filesystem that is.
    const char *vfs; // borrows; its name in SQLite
    // No threads: each tm_store_poll first tells what is completed, then does one step
    // (a commit, a read, a checkpoint, a slice of background work), the kinds in turn;
    // so a poll that tells nothing may have done something. Background work is due early
    // and in small slices. Time is what this says.
    uint64_t (*now_us)(void *context);
    void *now_context; // keeps
} tm_sqlite_options;

// tm_sqlite_open - open or create. gives: tm_store_close.
//   problem   receives a sentence for people on failure: at most 255 bytes and a NUL
// TM_E_FORMAT: the schema is newer than this build. TM_E_STATE: another daemon has it
// open, a pragma did not take, or the file is on a network filesystem. TM_E_IO,
// TM_E_CORRUPT: as SQLite says.
TM_MUST_USE tm_status tm_sqlite_open(const tm_sqlite_options *options,
                                     tm_store **store, char problem[256]);

// tm_sqlite_due - of a store without threads: when, by its clock, tm_store_poll will have
// something to do. 0 = now; UINT64_MAX = not before the next request.
uint64_t tm_sqlite_due(tm_store *store);

// tm_sqlite_check - name the rows that no Tidemark has written: of a store that was opened
// to be read only, and besides those of the journal, for which it would not have been
// opened. What a batch holds is not looked at, nor whether one is missing: `verify` reads
// each list's.
//   each   is told the table, the row's number, and what is wrong with it
TM_MUST_USE tm_status tm_sqlite_check(tm_store *store,
                                      void (*each)(void *context, const char *table,
                                                   int64_t row, const char *what),
                                      void *context);

// tm_sqlite_backup - VACUUM INTO `target`, which must not exist; while a daemon runs.
//   progress   called now and then with bytes written and expected; may be NULL
TM_MUST_USE tm_status tm_sqlite_backup(const char *path, const char *target,
                                       void (*progress)(void *context,
                                                        uint64_t done,
                                                        uint64_t total),
                                       void *context, char problem[256]);

// tm_sqlite_restore - replace the database, its -wal and its -shm by `source`, which is
// checked first (integrity, schema). TM_E_STATE: a daemon runs on `path`.
TM_MUST_USE tm_status tm_sqlite_restore(const char *source, const char *path,
                                        char problem[256]);

#endif
