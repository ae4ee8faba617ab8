// scratch.h - a directory of the test's own, for databases.
#ifndef TM_TESTS_STORE_SCRATCH_H
#define TM_TESTS_STORE_SCRATCH_H

#include "store/sqlite_internal.h"

// How many times slower a sanitizer makes opening a database, roughly: what opens them by
// the hundred opens so many fewer there.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SCRATCH_THRIFT 4u
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SCRATCH_THRIFT 4u
#endif
#endif
#ifndef SCRATCH_THRIFT
#define SCRATCH_THRIFT 1u
#endif

// scratch_path - a path in the test's directory, which is made at the first call and
// removed with all its content when the program ends. Lent until the call after next
// eight.
const char *scratch_path(const char *name);

// scratch_in_memory - have the directory in memory, where the machine has such a place;
// before the first path. For tests that open databases by the hundred: what survives a
// kill there is what survives it on a disk.
void scratch_in_memory(void);

// scratch_remove - the database of this name, its -wal, -shm and -lock.
void scratch_remove(const char *name);

// scratch_open - a database in the directory, opened; must succeed.
tm_store *scratch_open(const char *name, const tm_sqlite_tuning *tuning);

// scratch_try - the same, with what it ends with; `problem` as tm_sqlite_open has it.
tm_status scratch_try(const char *name, const tm_sqlite_tuning *tuning,
                      tm_store **store, char problem[TM_PROBLEM_MAX]);

tm_store *scratch_open_read(const char *name); // read only

// scratch_sql - run SQL on a connection of its own and return the first column of the
// first row as text ("" if there is none); lent until the next call. Must succeed.
const char *scratch_sql(const char *name, const char *sql);

bool scratch_exists(const char *name);
void scratch_write(const char *name, const void *bytes,
                   size_t len); // the whole file

#endif
