// fault.h - a disk that fails: a VFS below SQLite that counts what is done to the files
// and fails, kills or cuts the power at the k-th.
//
// It passes everything on to the real files. To cut the power it keeps, per file, what
// was written since the last sync; of that a random part stays, a part is lost and a part
// is torn at a sector's edge, as a disk may do.
#ifndef TM_TESTS_STORE_FAULT_H
#define TM_TESTS_STORE_FAULT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum fault_call { // may be added
    FAULT_READ = 1,
    FAULT_WRITE = 2,
    FAULT_SYNC = 4,
    FAULT_TRUNCATE = 8,
    FAULT_SHM = 16, // mapping the index of the write-ahead log
} fault_call;

typedef enum fault_file { FAULT_DB = 1, FAULT_WAL = 2, FAULT_ANY = 3 } fault_file;

typedef enum fault_kind {
    FAULT_NONE,
    FAULT_FAIL,  // the call returns `code`
    FAULT_KILL,  // SIGKILL, before the call
    FAULT_POWER, // what was not synced is kept, lost or torn; then SIGKILL
} fault_kind;

typedef struct fault_plan {
    fault_kind kind;
    int calls, files;
    int code;       // SQLITE_FULL, SQLITE_IOERR_FSYNC ...
    int error;      // errno with it
    uint64_t at;    // the at-th such call, from 1
    uint64_t times; // so many; 0 = for ever
    bool torn;      // a write that fails has written half
    uint64_t seed;  // of FAULT_POWER
} fault_plan;

// fault_install - from now on every database is opened through it. Once.
void fault_install(void);

// fault_set - from now on; the count begins anew. NULL: no more faults.
void fault_set(const fault_plan *plan);

uint64_t fault_count(void); // calls the plan speaks of, so far
uint64_t fault_hits(void);  // of those, that failed

// fault_power - cut the power now.
void fault_power(uint64_t seed) __attribute__((noreturn));

#endif
