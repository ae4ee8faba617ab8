// disk_inside.h - what the files of the simulated disk share: disk.c (its ends, faults and
// copies), disk_node.c (a file's content, synced and not), disk_vfs.c (SQLite's door).
#ifndef TM_SIM_DISK_INSIDE_H
#define TM_SIM_DISK_INSIDE_H

#include <sqlite3.h>

#include "sim/disk.h"

#define TM_DISK_SHM_LOCKS 8 // SQLITE_SHM_NLOCK

typedef struct tm_disk_file tm_disk_file; // an open file: SQLite's handle

typedef struct tm_disk_bytes {
    uint8_t *ptr;
    size_t len, cap;
} tm_disk_bytes;

typedef struct tm_disk_change { // that no sync has covered
    bool cut;                   // truncated to `at`; else `len` bytes written there
    size_t at, len;
    size_t from; // where the bytes stand in the node's log
} tm_disk_change;

// Memory that connections share. It belongs to the processes: when those die it is
// nobody's, until the last dead file lets go of it.
typedef struct tm_disk_shm {
    unsigned users;
    uint8_t **regions;
    size_t count, region_size;
    unsigned shared[TM_DISK_SHM_LOCKS];
    const tm_disk_file *exclusive[TM_DISK_SHM_LOCKS];
} tm_disk_shm;

// A file. `now` is what a process sees; `synced`, with the dice's part of the changes in
// order, what a crash leaves. Both have the same cap, so that neither a sync nor a crash
// needs memory.
typedef struct tm_disk_node tm_disk_node;
struct tm_disk_node {
    tm_disk_node *next; // on the disk, newest first
    char *name;         // NULL: a temporary one
    size_t name_size;
    tm_disk_bytes now, synced, log;
    tm_disk_change *changes;
    size_t changes_count, changes_cap;
    bool named; // the name is durable
    bool
        removed; // no process sees the name any more; a crash may bring it back ...
    bool gone;   // ... or not: it lives as long as it is open
    unsigned open; // files, dead ones too
    tm_disk_shm *shm;
    unsigned shared; // locks
    const tm_disk_file *reserved, *pending, *exclusive;
};

typedef struct tm_disk_plan {
    uint64_t nth, times, seen;
} tm_disk_plan;

struct tm_disk {
    const tm_alloc *alloc;
    sqlite3_vfs vfs;
    sqlite3_mutex *mutex; // of all that follows
    char name[32];
    uint64_t dice;
    uint32_t sector;
    uint64_t life; // one more after each end; files of an older one are dead
    tm_disk_node *nodes;
    tm_disk_plan plans[TM_DISK_FAULTS];
    tm_disk_stats stats;
};

struct tm_disk_file {
    sqlite3_file base;
    tm_disk *disk;
    tm_disk_node *node;
    uint64_t life;
    int level; // SQLITE_LOCK_*
    bool temporary;
    tm_disk_shm *shm;
    unsigned shm_shared, shm_exclusive; // a bit a lock
};

// ---- disk.c: all under the mutex ----------------------------------------------------

uint64_t tm_disk_roll(tm_disk *disk); // the dice

// tm_disk_strikes - count a call of that kind: does the plan make it fail?
bool tm_disk_strikes(tm_disk *disk, tm_disk_fault fault);

void tm_disk_end(tm_disk *disk, bool power); // crash or kill

// ---- disk_node.c --------------------------------------------------------------------

// tm_disk_node_find - the file that a process finds under the name, NULL = none.
tm_disk_node *tm_disk_node_find(const tm_disk *disk, const char *name);

// tm_disk_node_new - an empty file, on the disk. NULL: out of memory.
tm_disk_node *tm_disk_node_new(tm_disk *disk, const char *name);

// tm_disk_node_settle - free it, if it is gone and no file is open.
void tm_disk_node_settle(tm_disk *disk, tm_disk_node *node);
void tm_disk_node_free(tm_disk *disk, tm_disk_node *node); // not from the list

// tm_disk_node_write, tm_disk_node_cut - false: out of memory, nothing is changed.
bool tm_disk_node_write(tm_disk *disk, tm_disk_node *node, const void *from,
                        size_t len, size_t at);
bool tm_disk_node_cut(tm_disk *disk, tm_disk_node *node, size_t to);

void tm_disk_node_sync(tm_disk *disk, tm_disk_node *node);

// tm_disk_node_lose - what was not synced is kept, lost or torn, for good. What a process
// sees stays.
void tm_disk_node_lose(tm_disk *disk, tm_disk_node *node);
void tm_disk_node_reread(tm_disk_node *node); // now a process sees what is left

// tm_disk_names_sync, tm_disk_names_lose - of the directory.
void tm_disk_names_sync(tm_disk *disk);
void tm_disk_names_lose(tm_disk *disk);

// ---- disk_vfs.c ---------------------------------------------------------------------

void tm_disk_vfs_init(tm_disk *disk);

#endif
