// disk.h - a disk that may lose power: a VFS of SQLite's that holds its files in memory
// and knows, of each, what was synced.
//
// A process sees what it wrote. What no sync has covered yet is kept apart: each write
// with its bytes, each truncation, the making and the removal of a name. Pulling the plug
// keeps, loses or tears each of these at the edge of a sector or of a byte, by the disk's
// dice; what was synced is always there. A sync that failed has lost or kept what it was
// to cover by the same dice, and the next one says "done" without bringing it back, as
// kernels do.
//
// After tm_disk_crash or tm_disk_kill every file that was open is dead: each call on it
// fails and changes nothing, so the store above can be closed, in the place of a process
// that vanished, without leaving a trace. Files opened later see what is there.
//
// One disk is one directory: a sync that makes a new name durable makes all of them so.
// SQLite's write-ahead log needs memory shared by connections; they get it from the heap.
// Threads may share a disk. The same calls with the same seed have the same outcome.
//
// Knows core/, SQLite.
#ifndef TM_SIM_DISK_H
#define TM_SIM_DISK_H

#include "core/alloc.h"

typedef struct tm_disk tm_disk;

typedef struct tm_disk_config {
    const tm_alloc *alloc; // keeps; NULL = the heap
    uint64_t seed;         // of the dice
    uint32_t sector;       // bytes that a torn write is torn at: 512 or 4096
} tm_disk_config;

// tm_disk_new - an empty disk, registered with SQLite. gives: tm_disk_free.
TM_MUST_USE tm_status tm_disk_new(const tm_disk_config *config, tm_disk **disk);

// tm_disk_free - every file on it is closed by then. NULL is fine.
void tm_disk_free(tm_disk *disk);

// tm_disk_vfs - the name to give to tm_sqlite_open. lends: as long as the disk.
const char *tm_disk_vfs(const tm_disk *disk);

// ---- ends ---------------------------------------------------------------------------

// tm_disk_crash - the power goes, and comes back. tm_disk_kill - only the process goes:
// all it wrote is there.
void tm_disk_crash(tm_disk *disk);
void tm_disk_kill(tm_disk *disk);

// ---- faults -------------------------------------------------------------------------

typedef enum tm_disk_fault {
    TM_DISK_EIO_READ,
    TM_DISK_EIO_WRITE,     // of writes and truncations; nothing was written
    TM_DISK_EIO_FSYNC,     // what it was to cover is kept, lost or torn for good
    TM_DISK_FSYNC_THEN_OK, // likewise, and from the next on all syncs succeed
    TM_DISK_ENOSPC,        // of writes; nothing was written
    TM_DISK_SHORT_WRITE,   // a part was written, then there was no room
    TM_DISK_EROFS,         // of writes, truncations, syncs, opening to write
    TM_DISK_BUSY,          // of locks, as if another process held them
    TM_DISK_CRASH,         // tm_disk_crash in the middle of a write, truncation,
    TM_DISK_KILL,          // ... sync or removal; tm_disk_kill before one
    TM_DISK_FAULTS,
} tm_disk_fault;

// tm_disk_fail - from the nth call of that kind on, counted from now and from 1, `times`
// calls fail (0 = all, until told otherwise; FSYNC_THEN_OK, CRASH and KILL: one). nth 0:
// none any more. Each kind of fault has a plan of its own.
void tm_disk_fail(tm_disk *disk, tm_disk_fault fault, uint64_t nth, uint64_t times);

// tm_disk_heal - no plan of any kind any more.
void tm_disk_heal(tm_disk *disk);

// tm_disk_flip - one bit of a stored file turns over, as the process sees it and for good;
// `bit` is taken modulo the file's length. false: there is no such file, or it is empty.
bool tm_disk_flip(tm_disk *disk, const char *name, uint64_t bit);

// ---- copies -------------------------------------------------------------------------

// tm_disk_copy - all files as a process sees them at this moment, durable, on a disk of
// its own. gives: tm_disk_free.
TM_MUST_USE tm_status tm_disk_copy(const tm_disk *disk, tm_disk **copy);

// tm_disk_restore - the files become those of `from` (which stays as it is), durable; what
// was open is dead, as by tm_disk_kill. On failure nothing has changed.
TM_MUST_USE tm_status tm_disk_restore(tm_disk *disk, const tm_disk *from);

// ---- numbers ------------------------------------------------------------------------

typedef struct tm_disk_stats {
    uint64_t files, bytes;           // there now, as a process sees them
    uint64_t writes, syncs;          // calls, failed ones too
    uint64_t written;                // bytes
    uint64_t crashes, kills;         // by call or by plan
    uint64_t kept, lost, torn;       // un-synced writes and truncations at crashes
    uint64_t struck[TM_DISK_FAULTS]; // calls that a plan made fail
} tm_disk_stats;

void tm_disk_stats_get(const tm_disk *disk, tm_disk_stats *stats);

#endif
