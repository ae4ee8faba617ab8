// disk.c - see disk.h: its ends, faults and copies.
#include "sim/disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/disk_inside.h"

static void *heap_resize(void *context, void *ptr, size_t old_size,
                         size_t new_size) {
    (void)context;
    (void)old_size;
    if (new_size > 0) return realloc(ptr, new_size);
    free(ptr);
    return NULL;
}

static const tm_alloc heap = {heap_resize, NULL};

uint64_t tm_disk_roll(tm_disk *disk) { // splitmix64
    uint64_t z = disk->dice += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

tm_status tm_disk_new(const tm_disk_config *config, tm_disk **disk) {
    TM_ASSERT(config->sector == 512 || config->sector == 4096);
    const tm_alloc *alloc = config->alloc != NULL ? config->alloc : &heap;
    if (sqlite3_initialize() != SQLITE_OK) return TM_E_NOMEM;
    tm_disk *fresh = tm_alloc_get(alloc, sizeof *fresh);
    if (fresh == NULL) return TM_E_NOMEM;
    fresh->alloc = alloc;
    fresh->dice = config->seed;
    fresh->sector = config->sector;
    fresh->mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_FAST);
    // No two disks that live at a time have the same name.
    (void)snprintf(fresh->name, sizeof fresh->name, "disk-%p", (void *)fresh);
    tm_disk_vfs_init(fresh);
    if (fresh->mutex == NULL || sqlite3_vfs_register(&fresh->vfs, 0) != SQLITE_OK) {
        sqlite3_mutex_free(fresh->mutex);
        tm_alloc_put(alloc, fresh, sizeof *fresh);
        return TM_E_NOMEM;
    }
    *disk = fresh;
    return TM_OK;
}

static void nodes_free(tm_disk *disk, tm_disk_node *nodes) {
    for (tm_disk_node *next; nodes != NULL; nodes = next) {
        next = nodes->next;
        tm_disk_node_free(disk, nodes);
    }
}

void tm_disk_free(tm_disk *disk) {
    if (disk == NULL) return;
    (void)sqlite3_vfs_unregister(&disk->vfs);
    for (tm_disk_node *node = disk->nodes; node != NULL; node = node->next) {
        TM_ASSERT(node->open == 0);
    }
    nodes_free(disk, disk->nodes);
    sqlite3_mutex_free(disk->mutex);
    tm_alloc_put(disk->alloc, disk, sizeof *disk);
}

const char *tm_disk_vfs(const tm_disk *disk) {
    return disk->name;
}

// ---- ends ---------------------------------------------------------------------------

void tm_disk_end(tm_disk *disk, bool power) {
    disk->life++;
    *(power ? &disk->stats.crashes : &disk->stats.kills) += 1;
    for (tm_disk_node *node = disk->nodes, *next; node != NULL; node = next) {
        next = node->next;
        node->shared = 0;
        node->reserved = node->pending = node->exclusive = NULL;
        node->shm = NULL; // the dead files' alone from now on
        if (power) {
            tm_disk_node_lose(disk, node);
            tm_disk_node_reread(node);
        } else if (node->name == NULL && !node->gone) {
            node->gone = true;
            tm_disk_node_settle(disk, node);
        }
    }
    if (power) tm_disk_names_lose(disk);
}

static void end(tm_disk *disk, bool power) {
    sqlite3_mutex_enter(disk->mutex);
    tm_disk_end(disk, power);
    sqlite3_mutex_leave(disk->mutex);
}

void tm_disk_crash(tm_disk *disk) {
    end(disk, true);
}

void tm_disk_kill(tm_disk *disk) {
    end(disk, false);
}

// ---- faults -------------------------------------------------------------------------

void tm_disk_fail(tm_disk *disk, tm_disk_fault fault, uint64_t nth,
                  uint64_t times) {
    bool once = fault == TM_DISK_FSYNC_THEN_OK || fault == TM_DISK_CRASH ||
                fault == TM_DISK_KILL;
    sqlite3_mutex_enter(disk->mutex);
    disk->plans[fault] = (tm_disk_plan){nth, once ? 1 : times, 0};
    sqlite3_mutex_leave(disk->mutex);
}

void tm_disk_heal(tm_disk *disk) {
    sqlite3_mutex_enter(disk->mutex);
    memset(disk->plans, 0, sizeof disk->plans);
    sqlite3_mutex_leave(disk->mutex);
}

bool tm_disk_strikes(tm_disk *disk, tm_disk_fault fault) {
    tm_disk_plan *plan = &disk->plans[fault];
    if (plan->nth == 0 || ++plan->seen < plan->nth) return false;
    if (plan->times > 0 && plan->seen - plan->nth >= plan->times) return false;
    disk->stats.struck[fault]++;
    return true;
}

static void turn_over(tm_disk_bytes *bytes, uint64_t bit) {
    if (bit / 8 < bytes->len) {
        bytes->ptr[bit / 8] = (uint8_t)(bytes->ptr[bit / 8] ^ 1u << bit % 8);
    }
}

bool tm_disk_flip(tm_disk *disk, const char *name, uint64_t bit) {
    sqlite3_mutex_enter(disk->mutex);
    tm_disk_node *node = tm_disk_node_find(disk, name);
    bool found = node != NULL && node->now.len > 0;
    if (found) {
        bit %= (uint64_t)node->now.len * 8;
        turn_over(&node->now, bit);
        turn_over(&node->synced, bit);
    }
    sqlite3_mutex_leave(disk->mutex);
    return found;
}

// ---- copies -------------------------------------------------------------------------

// Every file of `from` as a durable one of `to`, beside what that has.
static bool nodes_copy(const tm_disk *from, tm_disk *to) {
    for (const tm_disk_node *node = from->nodes; node != NULL; node = node->next) {
        if (node->name == NULL || node->removed || node->gone) continue;
        tm_disk_node *copy = tm_disk_node_new(to, node->name);
        if (copy == NULL) return false;
        if (!tm_disk_node_write(to, copy, node->now.ptr, node->now.len, 0)) {
            return false;
        }
        copy->named = true;
        tm_disk_node_sync(to, copy);
    }
    return true;
}

tm_status tm_disk_copy(const tm_disk *disk, tm_disk **copy) {
    tm_disk *fresh = NULL;
    tm_disk_config config = {disk->alloc, disk->dice, disk->sector};
    tm_status status = tm_disk_new(&config, &fresh);
    if (status != TM_OK) return status;
    sqlite3_mutex_enter(disk->mutex);
    bool copied = nodes_copy(disk, fresh);
    sqlite3_mutex_leave(disk->mutex);
    if (!copied) {
        tm_disk_free(fresh);
        return TM_E_NOMEM;
    }
    *copy = fresh;
    return TM_OK;
}

tm_status tm_disk_restore(tm_disk *disk, const tm_disk *from) {
    TM_ASSERT(disk != from);
    sqlite3_mutex_enter(from->mutex);
    sqlite3_mutex_enter(disk->mutex);
    tm_disk_node *before = disk->nodes;
    disk->nodes = NULL;
    bool copied = nodes_copy(from, disk);
    tm_disk_node *after = disk->nodes;
    disk->nodes = before;
    if (copied) {
        tm_disk_end(disk, false);
        for (tm_disk_node *node = disk->nodes, *next; node != NULL; node = next) {
            next = node->next;
            node->gone = true;
            tm_disk_node_settle(disk, node);
        }
        tm_disk_node **last = &disk->nodes; // those that dead files have open
        while (*last != NULL) {
            last = &(*last)->next;
        }
        *last = after;
    } else {
        nodes_free(disk, after);
    }
    sqlite3_mutex_leave(disk->mutex);
    sqlite3_mutex_leave(from->mutex);
    return copied ? TM_OK : TM_E_NOMEM;
}

// ---- numbers ------------------------------------------------------------------------

void tm_disk_stats_get(const tm_disk *disk, tm_disk_stats *stats) {
    sqlite3_mutex_enter(disk->mutex);
    *stats = disk->stats;
    stats->files = stats->bytes = 0;
    for (const tm_disk_node *node = disk->nodes; node != NULL; node = node->next) {
        if (node->removed || node->gone || node->name == NULL) continue;
        stats->files++;
        stats->bytes += node->now.len;
    }
    sqlite3_mutex_leave(disk->mutex);
}
