// simulate_store.c - see simulate_store.h.
#include "cmd/simulate_store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/host.h"
#include "sim/disk.h"
#include "store/memory.h"
#include "store/sqlite.h"

// ---- memory -----------------------------------------------------------------------------

typedef struct stores {
    tm_store *durable, *backup;
} stores;

static void copy(tm_store *from, tm_store **to) {
    tm_store *fresh = NULL;
    tm_status status = from == NULL ? tm_memory_open(&tm_host_alloc, &fresh)
                                    : tm_memory_copy(from, &fresh);
    TM_ASSERT(status == TM_OK);
    tm_store_close(*to);
    *to = fresh;
}

static tm_store *memory_open(void *context, uint64_t now_ms) {
    (void)now_ms;
    return ((stores *)context)->durable;
}

static void memory_close(void *context, tm_store *store, bool crash) {
    (void)context;
    (void)store;
    (void)crash; // what it holds is what is durable
}

static bool memory_backup(void *context) {
    stores *s = context;
    copy(s->durable, &s->backup);
    return true;
}

static bool memory_restore(void *context) {
    stores *s = context;
    if (s->backup == NULL) return false;
    copy(s->backup, &s->durable);
    return true;
}

static void memory_empty(void *context) {
    copy(NULL, &((stores *)context)->durable);
}

static void memory_free(void *context) {
    stores *s = context;
    tm_store_close(s->durable);
    tm_store_close(s->backup);
    free(s);
}

void tm_simulate_memory(tm_sim_backend *backend) {
    stores *s = calloc(1, sizeof *s);
    TM_ASSERT(s != NULL);
    copy(NULL, &s->durable);
    *backend = (tm_sim_backend){.context = s,
                                .open = memory_open,
                                .close = memory_close,
                                .backup = memory_backup,
                                .restore = memory_restore,
                                .empty = memory_empty,
                                .free = memory_free};
}

// ---- SQLite -----------------------------------------------------------------------------

typedef struct database {
    tm_disk *disk, *blank, *backup;
    uint64_t random, now_ms;
    uint64_t crashes;                // struck before this opening
    uint64_t struck[TM_DISK_FAULTS]; // told so far
    uint64_t failed_syncs;           // before this opening was done
} database;

// The simulator's faults of the disk, in its order, and the disk's own.
static const struct {
    tm_sim_fault fault;
    tm_disk_fault disk;
    uint64_t times; // at most; a disk that stays full or locked outlasts retries
} faults[] = {
    {TM_SIM_DISK_EIO, TM_DISK_EIO_WRITE, 2},
    {TM_SIM_DISK_FSYNC, TM_DISK_EIO_FSYNC, 2},
    {TM_SIM_DISK_FSYNC_THEN_OK, TM_DISK_FSYNC_THEN_OK, 1},
    {TM_SIM_DISK_FULL, TM_DISK_ENOSPC, 40},
    {TM_SIM_DISK_SHORT, TM_DISK_SHORT_WRITE, 3},
    {TM_SIM_DISK_READ_ONLY, TM_DISK_EROFS, 5},
    {TM_SIM_DISK_BUSY, TM_DISK_BUSY, 60},
    {TM_SIM_DISK_CRASH, TM_DISK_CRASH, 1},
};
#define FAULTS (sizeof faults / sizeof faults[0])

static uint64_t draw(database *d, uint64_t n) {
    d->random = d->random * 6364136223846793005u + 1442695040888963407u;
    return (d->random >> 33) % n;
}

static uint64_t now_us(void *context) {
    return ((database *)context)->now_ms * 1000;
}

static void sqlite_tell(void *context, uint64_t now_ms) {
    ((database *)context)->now_ms = now_ms;
}

static uint64_t failed_syncs(const database *d) {
    tm_disk_stats stats;
    tm_disk_stats_get(d->disk, &stats);
    return stats.struck[TM_DISK_EIO_FSYNC] + stats.struck[TM_DISK_FSYNC_THEN_OK];
}

static bool sqlite_unsynced(void *context) {
    const database *d = context;
    return failed_syncs(d) != d->failed_syncs;
}

static tm_store *sqlite_open(void *context, uint64_t now_ms) {
    database *d = context;
    tm_store *store = NULL;
    tm_disk_stats stats;
    char problem[256];
    tm_sqlite_options options = {.path = "/tidemark.db",
                                 .vfs = tm_disk_vfs(d->disk),
                                 .now_us = now_us,
                                 .now_context = d};
    d->now_ms = now_ms;
    // What SQLite draws for itself (the salts of its log) comes from the seed too.
    (void)sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED,
                               (int)draw(d, 1u << 30) + 1, NULL);
    sqlite3_randomness(0, NULL);
    tm_disk_stats_get(d->disk, &stats);
    d->crashes = stats.crashes;
    if (tm_sqlite_open(&options, &store, problem) != TM_OK) return NULL;
    d->failed_syncs = failed_syncs(d);
    return store;
}

static void sqlite_close(void *context, tm_store *store, bool crash) {
    database *d = context;
    if (crash) {
        if (draw(d, 2) == 0) {
            tm_disk_crash(d->disk);
        } else {
            tm_disk_kill(d->disk);
        }
    }
    tm_store_close(store);
}

static bool sqlite_backup(void *context) {
    database *d = context;
    tm_disk *fresh = NULL;
    if (tm_disk_copy(d->disk, &fresh) != TM_OK) return false;
    tm_disk_free(d->backup);
    d->backup = fresh;
    return true;
}

static bool sqlite_restore(void *context) {
    database *d = context;
    return d->backup != NULL && tm_disk_restore(d->disk, d->backup) == TM_OK;
}

static void sqlite_empty(void *context) {
    database *d = context;
    TM_ASSERT(tm_disk_restore(d->disk, d->blank) == TM_OK);
}

static void sqlite_fail(void *context, tm_sim_fault fault, uint64_t nth) {
    database *d = context;
    if (nth == 0) tm_disk_heal(d->disk);
    for (size_t i = 0; nth != 0 && i < FAULTS; i++) {
        if (faults[i].fault != fault) continue;
        tm_disk_fail(d->disk, faults[i].disk, nth, 1 + draw(d, faults[i].times));
    }
}

static uint64_t sqlite_struck(void *context) {
    database *d = context;
    tm_disk_stats stats;
    uint64_t bits = 0;
    tm_disk_stats_get(d->disk, &stats);
    for (size_t i = 0; i < FAULTS; i++) {
        uint64_t *told = &d->struck[faults[i].disk];
        if (stats.struck[faults[i].disk] == *told) continue;
        *told = stats.struck[faults[i].disk];
        bits |= UINT64_C(1) << (faults[i].fault - TM_SIM_DISK_EIO);
    }
    return bits;
}

static bool sqlite_dead(void *context) {
    const database *d = context;
    tm_disk_stats stats;
    tm_disk_stats_get(d->disk, &stats);
    return stats.crashes != d->crashes;
}

static void sqlite_free(void *context) {
    database *d = context;
    tm_disk_free(d->disk);
    tm_disk_free(d->blank);
    tm_disk_free(d->backup);
    free(d);
}

void tm_simulate_sqlite(tm_sim_backend *backend, uint64_t seed) {
    database *d = calloc(1, sizeof *d);
    TM_ASSERT(d != NULL);
    d->random = seed;
    tm_disk_config config = {.seed = seed, .sector = seed % 2 == 0 ? 512 : 4096};
    TM_ASSERT(tm_disk_new(&config, &d->disk) == TM_OK);
    TM_ASSERT(tm_disk_new(&config, &d->blank) == TM_OK);
    *backend = (tm_sim_backend){.context = d,
                                .open = sqlite_open,
                                .close = sqlite_close,
                                .backup = sqlite_backup,
                                .restore = sqlite_restore,
                                .empty = sqlite_empty,
                                .fail = sqlite_fail,
                                .struck = sqlite_struck,
                                .dead = sqlite_dead,
                                .unsynced = sqlite_unsynced,
                                .tell = sqlite_tell,
                                .free = sqlite_free};
}
