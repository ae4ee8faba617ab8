// disk_vfs.c - see disk_inside.h: what SQLite asks a VFS for. Whatever a dead file is
// asked fails; closing it and giving back what it held always works.
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "sim/disk_inside.h"

static tm_disk_file *enter(sqlite3_file *handle) {
    tm_disk_file *file = (tm_disk_file *)(void *)handle;
    sqlite3_mutex_enter(file->disk->mutex);
    return file;
}

static int leave(const tm_disk_file *file, int rc) {
    sqlite3_mutex_leave(file->disk->mutex);
    return rc;
}

static bool dead(const tm_disk_file *file) {
    return file->life != file->disk->life;
}

static int refuse(int rc, int error) {
    errno = error;
    return rc;
}

// ---- content ------------------------------------------------------------------------

static int io_read(sqlite3_file *handle, void *to, int len, sqlite3_int64 at) {
    tm_disk_file *file = enter(handle);
    if (dead(file) || tm_disk_strikes(file->disk, TM_DISK_EIO_READ)) {
        return leave(file, refuse(SQLITE_IOERR_READ, EIO));
    }
    const tm_disk_bytes *now = &file->node->now;
    size_t want = (size_t)len, from = (size_t)at,
           there = from >= now->len          ? 0
                   : now->len - from >= want ? want
                                             : now->len - from;
    if (there > 0) memcpy(to, now->ptr + from, there);
    if (there == want) return leave(file, SQLITE_OK);
    memset((uint8_t *)to + there, 0, want - there);
    return leave(file, SQLITE_IOERR_SHORT_READ);
}

// What a plan makes of a call that changes something, before it does. `rc` is what EIO is
// for this kind of call.
static int change_struck(tm_disk_file *file, int rc) {
    tm_disk *disk = file->disk;
    if (dead(file)) return refuse(rc, EIO);
    if (tm_disk_strikes(disk, TM_DISK_KILL)) {
        tm_disk_end(disk, false);
        return refuse(rc, EIO);
    }
    if (tm_disk_strikes(disk, TM_DISK_EROFS)) return refuse(rc, EROFS);
    return SQLITE_OK;
}

// The power goes while the call is under way.
static int change_cut(tm_disk_file *file, int rc) {
    if (!tm_disk_strikes(file->disk, TM_DISK_CRASH)) return SQLITE_OK;
    tm_disk_end(file->disk, true);
    return refuse(rc, EIO);
}

static int write_locked(tm_disk_file *file, const void *from, size_t len,
                        size_t at) {
    tm_disk *disk = file->disk;
    disk->stats.writes++;
    int rc = change_struck(file, SQLITE_IOERR_WRITE);
    if (rc != SQLITE_OK) return rc;
    if (tm_disk_strikes(disk, TM_DISK_EIO_WRITE)) {
        return refuse(SQLITE_IOERR_WRITE, EIO);
    }
    if (tm_disk_strikes(disk, TM_DISK_ENOSPC)) return refuse(SQLITE_FULL, ENOSPC);
    bool cut = tm_disk_strikes(disk, TM_DISK_SHORT_WRITE);
    if (cut) len = tm_disk_roll(disk) % len;
    if (!tm_disk_node_write(disk, file->node, from, len, at)) {
        return SQLITE_IOERR_NOMEM;
    }
    disk->stats.written += len;
    if (cut) return refuse(SQLITE_FULL, ENOSPC); // as on POSIX
    return change_cut(file, SQLITE_IOERR_WRITE);
}

static int io_write(sqlite3_file *handle, const void *from, int len,
                    sqlite3_int64 at) {
    tm_disk_file *file = enter(handle);
    return leave(file, write_locked(file, from, (size_t)len, (size_t)at));
}

static int io_truncate(sqlite3_file *handle, sqlite3_int64 size) {
    tm_disk_file *file = enter(handle);
    int rc = change_struck(file, SQLITE_IOERR_TRUNCATE);
    if (rc == SQLITE_OK && tm_disk_strikes(file->disk, TM_DISK_EIO_WRITE)) {
        rc = refuse(SQLITE_IOERR_TRUNCATE, EIO);
    }
    if (rc == SQLITE_OK &&
        !tm_disk_node_cut(file->disk, file->node, (size_t)size)) {
        rc = SQLITE_IOERR_NOMEM;
    }
    if (rc == SQLITE_OK) rc = change_cut(file, SQLITE_IOERR_TRUNCATE);
    return leave(file, rc);
}

static int io_sync(sqlite3_file *handle, int flags) {
    (void)flags;
    tm_disk_file *file = enter(handle);
    tm_disk *disk = file->disk;
    disk->stats.syncs++;
    int rc = change_struck(file, SQLITE_IOERR_FSYNC);
    if (rc == SQLITE_OK) rc = change_cut(file, SQLITE_IOERR_FSYNC);
    if (rc != SQLITE_OK) return leave(file, rc);
    bool fails = tm_disk_strikes(disk, TM_DISK_EIO_FSYNC);
    fails = tm_disk_strikes(disk, TM_DISK_FSYNC_THEN_OK) || fails;
    if (fails) {
        tm_disk_node_lose(disk, file->node);
        return leave(file, refuse(SQLITE_IOERR_FSYNC, EIO));
    }
    tm_disk_node_sync(disk, file->node);
    return leave(file, SQLITE_OK);
}

static int io_size(sqlite3_file *handle, sqlite3_int64 *size) {
    tm_disk_file *file = enter(handle);
    if (dead(file)) return leave(file, refuse(SQLITE_IOERR_FSTAT, EIO));
    *size = (sqlite3_int64)file->node->now.len;
    return leave(file, SQLITE_OK);
}

// ---- locks --------------------------------------------------------------------------

static bool others(const tm_disk_file *file, const tm_disk_file *holder) {
    return holder != NULL && holder != file;
}

static int lock_locked(tm_disk_file *file, int level) {
    tm_disk_node *node = file->node;
    if (dead(file)) return refuse(SQLITE_IOERR_LOCK, EIO);
    if (level <= file->level) return SQLITE_OK;
    if (tm_disk_strikes(file->disk, TM_DISK_BUSY)) return SQLITE_BUSY;
    if (others(file, node->pending) || others(file, node->exclusive)) {
        return SQLITE_BUSY;
    }
    if (level == SQLITE_LOCK_SHARED) {
        node->shared++;
    } else {
        if (others(file, node->reserved)) return SQLITE_BUSY;
        *(level == SQLITE_LOCK_RESERVED ? &node->reserved : &node->pending) = file;
    }
    if (level == SQLITE_LOCK_EXCLUSIVE) {
        file->level = SQLITE_LOCK_PENDING;
        if (node->shared > 1) return SQLITE_BUSY;
        node->exclusive = file;
    }
    file->level = level;
    return SQLITE_OK;
}

static int io_lock(sqlite3_file *handle, int level) {
    tm_disk_file *file = enter(handle);
    return leave(file, lock_locked(file, level));
}

static void unlock_locked(tm_disk_file *file, int level) {
    tm_disk_node *node = file->node;
    if (level >= file->level) return;
    if (!dead(file)) {
        if (node->exclusive == file) node->exclusive = NULL;
        if (node->pending == file) node->pending = NULL;
        if (node->reserved == file && level < SQLITE_LOCK_RESERVED) {
            node->reserved = NULL;
        }
        if (level == SQLITE_LOCK_NONE) node->shared--;
    }
    file->level = level;
}

static int io_unlock(sqlite3_file *handle, int level) {
    tm_disk_file *file = enter(handle);
    unlock_locked(file, level);
    return leave(file, SQLITE_OK);
}

static int io_reserved(sqlite3_file *handle, int *out) {
    tm_disk_file *file = enter(handle);
    *out = file->node->reserved != NULL;
    return leave(file, SQLITE_OK);
}

static int io_control(sqlite3_file *handle, int what, void *argument) {
    (void)handle;
    (void)what;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int io_sector(sqlite3_file *handle) {
    return (int)((tm_disk_file *)(void *)handle)->disk->sector;
}

static int io_traits(sqlite3_file *handle) {
    (void)handle;
    // A torn write spoils nothing beside itself: what SQLite takes for granted on POSIX.
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

// ---- shared memory ------------------------------------------------------------------

static void shm_leave(tm_disk_file *file) {
    tm_disk_shm *shm = file->shm;
    const tm_alloc *alloc = file->disk->alloc;
    if (shm == NULL) return;
    file->shm = NULL;
    for (unsigned i = 0; i < TM_DISK_SHM_LOCKS; i++) {
        if ((file->shm_shared >> i & 1u) != 0) shm->shared[i]--;
        if ((file->shm_exclusive >> i & 1u) != 0) shm->exclusive[i] = NULL;
    }
    file->shm_shared = file->shm_exclusive = 0;
    if (--shm->users > 0) return;
    if (file->node->shm == shm) file->node->shm = NULL;
    for (size_t i = 0; i < shm->count; i++) {
        tm_alloc_put(alloc, shm->regions[i], shm->region_size);
    }
    tm_alloc_put(alloc, shm->regions, shm->count * sizeof *shm->regions);
    tm_alloc_put(alloc, shm, sizeof *shm);
}

static bool shm_join(tm_disk_file *file) {
    if (file->shm != NULL) return true;
    if (file->node->shm == NULL) {
        file->node->shm = tm_alloc_get(file->disk->alloc, sizeof *file->shm);
        if (file->node->shm == NULL) return false;
    }
    file->shm = file->node->shm;
    file->shm->users++;
    return true;
}

static bool shm_grow(tm_disk *disk, tm_disk_shm *shm, size_t size) {
    uint8_t *region = tm_alloc_get(disk->alloc, size);
    if (region == NULL) return false;
    size_t width = sizeof *shm->regions;
    void *regions =
        disk->alloc->resize(disk->alloc->context, shm->regions, shm->count * width,
                            (shm->count + 1) * width);
    if (regions == NULL) {
        tm_alloc_put(disk->alloc, region, size);
        return false;
    }
    shm->regions = regions;
    shm->regions[shm->count++] = region;
    shm->region_size = size;
    return true;
}

static int shm_map_locked(tm_disk_file *file, size_t region, size_t size,
                          bool extend, void volatile **out) {
    *out = NULL;
    if (dead(file)) return refuse(SQLITE_IOERR_SHMMAP, EIO);
    if (!shm_join(file)) return SQLITE_IOERR_NOMEM;
    while (file->shm->count <= region) {
        if (!extend) return SQLITE_OK;
        if (!shm_grow(file->disk, file->shm, size)) return SQLITE_IOERR_NOMEM;
    }
    *out = file->shm->regions[region];
    return SQLITE_OK;
}

static int io_shm_map(sqlite3_file *handle, int region, int size, int extend,
                      void volatile **out) {
    tm_disk_file *file = enter(handle);
    return leave(
        file, shm_map_locked(file, (size_t)region, (size_t)size, extend != 0, out));
}

static void shm_unlock(tm_disk_file *file, unsigned first, unsigned after) {
    tm_disk_shm *shm = file->shm;
    for (unsigned i = first; i < after; i++) {
        unsigned bit = 1u << i;
        if ((file->shm_shared & bit) != 0) shm->shared[i]--;
        if ((file->shm_exclusive & bit) != 0) shm->exclusive[i] = NULL;
        file->shm_shared &= ~bit;
        file->shm_exclusive &= ~bit;
    }
}

static int shm_lock_locked(tm_disk_file *file, unsigned first, unsigned after,
                           bool exclusive) {
    tm_disk_shm *shm = file->shm;
    if (dead(file)) return refuse(SQLITE_IOERR_SHMLOCK, EIO);
    if (tm_disk_strikes(file->disk, TM_DISK_BUSY)) return SQLITE_BUSY;
    for (unsigned i = first; i < after; i++) {
        unsigned own = file->shm_shared >> i & 1u;
        if (others(file, shm->exclusive[i])) return SQLITE_BUSY;
        if (exclusive && shm->shared[i] > own) return SQLITE_BUSY;
    }
    for (unsigned i = first; i < after; i++) {
        unsigned bit = 1u << i;
        if (exclusive) {
            shm->exclusive[i] = file;
            file->shm_exclusive |= bit;
        } else if ((file->shm_shared & bit) == 0) {
            shm->shared[i]++;
            file->shm_shared |= bit;
        }
    }
    return SQLITE_OK;
}

static int io_shm_lock(sqlite3_file *handle, int offset, int n, int flags) {
    tm_disk_file *file = enter(handle);
    unsigned first = (unsigned)offset, after = first + (unsigned)n;
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
        shm_unlock(file, first, after);
        return leave(file, SQLITE_OK);
    }
    bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    return leave(file, shm_lock_locked(file, first, after, exclusive));
}

static void io_shm_barrier(sqlite3_file *handle) {
    (void)handle;
    atomic_thread_fence(memory_order_seq_cst);
}

static int io_shm_unmap(sqlite3_file *handle, int remove) {
    (void)remove; // it goes with its last user
    tm_disk_file *file = enter(handle);
    shm_leave(file);
    return leave(file, SQLITE_OK);
}

// ---- files --------------------------------------------------------------------------

static int io_close(sqlite3_file *handle) {
    tm_disk_file *file = enter(handle);
    tm_disk_node *node = file->node;
    shm_leave(file);
    unlock_locked(file, SQLITE_LOCK_NONE);
    node->open--;
    if (file->temporary) node->gone = true;
    tm_disk_node_settle(file->disk, node);
    return leave(file, SQLITE_OK);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = io_close,
    .xRead = io_read,
    .xWrite = io_write,
    .xTruncate = io_truncate,
    .xSync = io_sync,
    .xFileSize = io_size,
    .xLock = io_lock,
    .xUnlock = io_unlock,
    .xCheckReservedLock = io_reserved,
    .xFileControl = io_control,
    .xSectorSize = io_sector,
    .xDeviceCharacteristics = io_traits,
    .xShmMap = io_shm_map,
    .xShmLock = io_shm_lock,
    .xShmBarrier = io_shm_barrier,
    .xShmUnmap = io_shm_unmap,
};

static int open_locked(tm_disk *disk, const char *name, tm_disk_file *file,
                       int flags) {
    tm_disk_node *node = name == NULL ? NULL : tm_disk_node_find(disk, name);
    bool make = (flags & SQLITE_OPEN_CREATE) != 0,
         write = (flags & SQLITE_OPEN_READWRITE) != 0,
         alone = (flags & SQLITE_OPEN_EXCLUSIVE) != 0;
    if (node == NULL ? !make : make && alone) return SQLITE_CANTOPEN;
    if (write && tm_disk_strikes(disk, TM_DISK_EROFS)) {
        return refuse(SQLITE_CANTOPEN, EROFS);
    }
    if (node == NULL) node = tm_disk_node_new(disk, name);
    if (node == NULL) return SQLITE_NOMEM;
    node->open++;
    file->disk = disk;
    file->node = node;
    file->life = disk->life;
    file->temporary = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    file->base.pMethods = &methods;
    return SQLITE_OK;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *handle,
                    int flags, int *out) {
    tm_disk *disk = vfs->pAppData;
    memset(handle, 0, sizeof(tm_disk_file)); // no methods: nothing is open
    sqlite3_mutex_enter(disk->mutex);
    int rc = open_locked(disk, name, (tm_disk_file *)(void *)handle, flags);
    sqlite3_mutex_leave(disk->mutex);
    if (rc == SQLITE_OK && out != NULL) *out = flags;
    return rc;
}

static int delete_locked(tm_disk *disk, const char *name, bool sync) {
    tm_disk_node *node = tm_disk_node_find(disk, name);
    if (node == NULL) return SQLITE_IOERR_DELETE_NOENT;
    if (tm_disk_strikes(disk, TM_DISK_KILL)) {
        tm_disk_end(disk, false);
        return refuse(SQLITE_IOERR_DELETE, EIO);
    }
    if (tm_disk_strikes(disk, TM_DISK_EROFS)) {
        return refuse(SQLITE_IOERR_DELETE, EROFS);
    }
    node->removed = true;
    if (!node->named) { // nobody will know that it was there
        node->gone = true;
        tm_disk_node_settle(disk, node);
    }
    if (tm_disk_strikes(disk, TM_DISK_CRASH)) {
        tm_disk_end(disk, true);
        return refuse(SQLITE_IOERR_DELETE, EIO);
    }
    if (sync) tm_disk_names_sync(disk);
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync) {
    tm_disk *disk = vfs->pAppData;
    sqlite3_mutex_enter(disk->mutex);
    int rc = delete_locked(disk, name, sync != 0);
    sqlite3_mutex_leave(disk->mutex);
    return rc;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out) {
    tm_disk *disk = vfs->pAppData;
    sqlite3_mutex_enter(disk->mutex);
    const tm_disk_node *node = tm_disk_node_find(disk, name);
    // An empty log or journal is as good as none, says SQLite's own VFS.
    *out = node != NULL && (flags != SQLITE_ACCESS_EXISTS || node->now.len > 0);
    sqlite3_mutex_leave(disk->mutex);
    return SQLITE_OK;
}

static int vfs_path(sqlite3_vfs *vfs, const char *name, int size, char *out) {
    (void)vfs;
    size_t len = strlen(name);
    if (len >= (size_t)size) return SQLITE_CANTOPEN;
    memcpy(out, name, len + 1);
    return SQLITE_OK;
}

static int vfs_random(sqlite3_vfs *vfs, int len, char *out) {
    tm_disk *disk = vfs->pAppData;
    sqlite3_mutex_enter(disk->mutex);
    for (int i = 0; i < len; i++) {
        out[i] = (char)(tm_disk_roll(disk) & 0x7f);
    }
    sqlite3_mutex_leave(disk->mutex);
    return len;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us) {
    (void)vfs;
    return us; // at once: who would wait for whom?
}

static int vfs_time(sqlite3_vfs *vfs, sqlite3_int64 *ms) {
    (void)vfs;
    *ms = INT64_C(210866760000000); // 1970, as the Julian day counts
    return SQLITE_OK;
}

static int vfs_error(sqlite3_vfs *vfs, int size, char *out) {
    (void)vfs;
    if (size > 0) out[0] = '\0';
    return errno;
}

void tm_disk_vfs_init(tm_disk *disk) {
    disk->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = (int)sizeof(tm_disk_file),
        .mxPathname = 256,
        .zName = disk->name,
        .pAppData = disk,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_path,
        .xRandomness = vfs_random,
        .xSleep = vfs_sleep,
        .xGetLastError = vfs_error,
        .xCurrentTimeInt64 = vfs_time,
    };
}
