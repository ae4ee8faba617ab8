// fault.c - see fault.h.
#include "fault.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drive.h"
#include "t.h"

#define SECTOR 512

typedef struct change { // since the last sync
    struct change *older;
    bool cut; // truncated to `at`; else `len` bytes written there
    sqlite3_int64 at, size_before;
    size_t len, before_len;
    uint8_t *bytes, *before; // what was written; what had been there
} change;

typedef struct content { // of a file, whoever has it open; never freed
    struct content *next;
    char *name;
    change *changes;
    sqlite3_file *real; // one that is open, NULL = none
} content;

typedef struct file {
    sqlite3_file base;
    struct file *next; // of all that are open
    int kind;          // fault_file, 0 = another
    struct content *content;
    sqlite3_file *real;
} file;

static sqlite3_vfs vfs, *real_vfs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static fault_plan plan;
static uint64_t counted, hits;
static file *files;
static content *contents;

// ---- the plan -----------------------------------------------------------------------

void fault_set(const fault_plan *fresh) {
    pthread_mutex_lock(&lock);
    if (fresh != NULL) {
        plan = *fresh;
    } else {
        plan = (fault_plan){0};
    }
    counted = hits = 0;
    pthread_mutex_unlock(&lock);
}

uint64_t fault_count(void) {
    pthread_mutex_lock(&lock);
    uint64_t now = counted;
    pthread_mutex_unlock(&lock);
    return now;
}

uint64_t fault_hits(void) {
    pthread_mutex_lock(&lock);
    uint64_t now = hits;
    pthread_mutex_unlock(&lock);
    return now;
}

static void power_cut(uint64_t seed);

// Count the call; SQLITE_OK, or what it must return. Under the lock.
static int reached(const file *f, int call) {
    if (plan.kind == FAULT_NONE || (plan.calls & call) == 0 ||
        (plan.files & f->kind) == 0) {
        return SQLITE_OK;
    }
    counted++;
    if (counted < plan.at) return SQLITE_OK;
    if (plan.kind == FAULT_KILL) raise(SIGKILL);
    if (plan.kind == FAULT_POWER) power_cut(plan.seed);
    if (plan.times > 0 && hits >= plan.times) return SQLITE_OK;
    hits++;
    errno = plan.error;
    return plan.code;
}

// ---- what was not synced ------------------------------------------------------------

static void changes_free(content *of) {
    for (change *c = of->changes; c != NULL;) {
        change *older = c->older;
        free(c->bytes);
        free(c->before);
        free(c);
        c = older;
    }
    of->changes = NULL;
}

static content *content_of(const char *name) {
    for (content *c = contents; c != NULL; c = c->next) {
        if (strcmp(c->name, name) == 0) return c;
    }
    content *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->name = malloc(strlen(name) + 1);
    assert_non_null(c->name);
    memcpy(c->name, name, strlen(name) + 1);
    c->next = contents;
    contents = c;
    return c;
}

static void change_note(file *f, bool cut, const void *bytes, size_t len,
                        sqlite3_int64 at) {
    if (plan.kind != FAULT_POWER) return;
    change *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->older = f->content->changes;
    f->content->changes = c;
    c->cut = cut;
    c->at = at;
    f->real->pMethods->xFileSize(f->real, &c->size_before);
    sqlite3_int64 end = cut ? c->size_before : at + (sqlite3_int64)len;
    if (end > c->size_before) end = c->size_before;
    c->before_len = end > at ? (size_t)(end - at) : 0;
    c->before = malloc(c->before_len + 1);
    c->bytes = malloc(len + 1);
    assert_non_null(c->before);
    assert_non_null(c->bytes);
    if (c->before_len > 0) {
        f->real->pMethods->xRead(f->real, c->before, (int)c->before_len, at);
    }
    c->len = len;
    if (len > 0) memcpy(c->bytes, bytes, len);
}

// Back to what was synced last, then again what the dice leave of the changes.
static void content_cut(content *of, uint64_t *random) {
    const sqlite3_io_methods *io = of->real->pMethods;
    change *oldest = NULL;
    for (change *c = of->changes; c != NULL;) {
        if (c->before_len > 0) {
            io->xWrite(of->real, c->before, (int)c->before_len, c->at);
        }
        io->xTruncate(of->real, c->size_before);
        change *older = c->older; // turn the list round: oldest first
        c->older = oldest;
        oldest = c;
        c = older;
    }
    uint64_t mood = drive_random(random) % 4; // all, none, or some of it
    for (change *c = oldest; c != NULL; c = c->older) {
        uint64_t dice = drive_random(random) % 3;
        if (mood == 0 || (mood > 1 && dice == 0)) continue;
        if (c->cut) {
            io->xTruncate(of->real, c->at);
            continue;
        }
        size_t from = 0, to = c->len;
        if (mood > 1 && dice == 1) { // torn: some sectors of it
            from = drive_random(random) % (c->len / SECTOR + 1) * SECTOR;
            to = from + drive_random(random) % (c->len / SECTOR + 1) * SECTOR;
            if (to > c->len) to = c->len;
        }
        if (to > from) {
            io->xWrite(of->real, c->bytes + from, (int)(to - from),
                       c->at + (sqlite3_int64)from);
        }
    }
}

static void power_cut(uint64_t seed) { // under the lock: nobody else writes
    for (content *c = contents; c != NULL; c = c->next) {
        c->real = NULL;
    }
    for (file *f = files; f != NULL; f = f->next) {
        if (f->content != NULL) f->content->real = f->real;
    }
    for (content *c = contents; c != NULL; c = c->next) {
        if (c->real != NULL) content_cut(c, &seed);
    }
    raise(SIGKILL);
}

void fault_power(uint64_t seed) {
    pthread_mutex_lock(&lock);
    power_cut(seed);
    abort(); // not reached
}

// ---- a file -------------------------------------------------------------------------

static int io_close(sqlite3_file *handle) {
    file *f = (file *)handle;
    pthread_mutex_lock(&lock);
    for (file **at = &files; *at != NULL; at = &(*at)->next) {
        if (*at != f) continue;
        *at = f->next;
        break;
    }
    pthread_mutex_unlock(&lock);
    return f->real->pMethods->xClose(f->real);
}

static int io_read(sqlite3_file *handle, void *to, int len, sqlite3_int64 at) {
    file *f = (file *)handle;
    pthread_mutex_lock(&lock);
    int rc = reached(f, FAULT_READ);
    pthread_mutex_unlock(&lock);
    return rc != SQLITE_OK ? rc : f->real->pMethods->xRead(f->real, to, len, at);
}

static int io_write(sqlite3_file *handle, const void *from, int len,
                    sqlite3_int64 at) {
    file *f = (file *)handle;
    pthread_mutex_lock(&lock);
    int rc = reached(f, FAULT_WRITE);
    if (rc == SQLITE_OK || plan.torn) {
        int part = rc == SQLITE_OK ? len : len / 2;
        change_note(f, false, from, (size_t)part, at);
        int wrote = f->real->pMethods->xWrite(f->real, from, part, at);
        if (rc == SQLITE_OK) rc = wrote;
    }
    if (rc != SQLITE_OK) errno = plan.error;
    pthread_mutex_unlock(&lock);
    return rc;
}

static int io_truncate(sqlite3_file *handle, sqlite3_int64 size) {
    file *f = (file *)handle;
    pthread_mutex_lock(&lock);
    int rc = reached(f, FAULT_TRUNCATE);
    if (rc == SQLITE_OK) {
        change_note(f, true, NULL, 0, size);
        rc = f->real->pMethods->xTruncate(f->real, size);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

static int io_sync(sqlite3_file *handle, int flags) {
    file *f = (file *)handle;
    pthread_mutex_lock(&lock);
    int rc = reached(f, FAULT_SYNC);
    if (rc == SQLITE_OK)
        changes_free(f->content); // the power is cut between calls alone
    pthread_mutex_unlock(&lock);
    return rc != SQLITE_OK ? rc : f->real->pMethods->xSync(f->real, flags);
}

static int io_size(sqlite3_file *handle, sqlite3_int64 *size) {
    file *f = (file *)handle;
    return f->real->pMethods->xFileSize(f->real, size);
}

static int io_lock(sqlite3_file *handle, int level) {
    file *f = (file *)handle;
    return f->real->pMethods->xLock(f->real, level);
}

static int io_unlock(sqlite3_file *handle, int level) {
    file *f = (file *)handle;
    return f->real->pMethods->xUnlock(f->real, level);
}

static int io_reserved(sqlite3_file *handle, int *out) {
    file *f = (file *)handle;
    return f->real->pMethods->xCheckReservedLock(f->real, out);
}

static int io_control(sqlite3_file *handle, int what, void *argument) {
    file *f = (file *)handle;
    return f->real->pMethods->xFileControl(f->real, what, argument);
}

static int io_sector(sqlite3_file *handle) {
    file *f = (file *)handle;
    return f->real->pMethods->xSectorSize(f->real);
}

static int io_traits(sqlite3_file *handle) {
    file *f = (file *)handle;
    return f->real->pMethods->xDeviceCharacteristics(f->real);
}

static int io_shm_map(sqlite3_file *handle, int page, int size, int extend,
                      void volatile **out) {
    file *f = (file *)handle;
    pthread_mutex_lock(&lock);
    int rc = extend ? reached(f, FAULT_SHM) : SQLITE_OK;
    pthread_mutex_unlock(&lock);
    if (rc != SQLITE_OK) return rc;
    return f->real->pMethods->xShmMap(f->real, page, size, extend, out);
}

static int io_shm_lock(sqlite3_file *handle, int offset, int n, int flags) {
    file *f = (file *)handle;
    return f->real->pMethods->xShmLock(f->real, offset, n, flags);
}

static void io_shm_barrier(sqlite3_file *handle) {
    file *f = (file *)handle;
    f->real->pMethods->xShmBarrier(f->real);
}

static int io_shm_unmap(sqlite3_file *handle, int remove) {
    file *f = (file *)handle;
    return f->real->pMethods->xShmUnmap(f->real, remove);
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

static int vfs_open(sqlite3_vfs *self, const char *name, sqlite3_file *handle,
                    int flags, int *out) {
    (void)self;
    file *f = (file *)handle;
    memset(f, 0, sizeof *f);
    f->real = (sqlite3_file *)(f + 1);
    int rc = real_vfs->xOpen(real_vfs, name, f->real, flags, out);
    if (rc != SQLITE_OK) return rc;
    f->base.pMethods = &methods;
    if ((flags & SQLITE_OPEN_MAIN_DB) != 0) f->kind = FAULT_DB;
    if ((flags & SQLITE_OPEN_WAL) != 0) f->kind = FAULT_WAL;
    pthread_mutex_lock(&lock);
    f->content = content_of(name == NULL ? "" : name);
    f->next = files;
    files = f;
    pthread_mutex_unlock(&lock);
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *self, const char *name, int sync) {
    (void)self;
    pthread_mutex_lock(&lock);
    changes_free(content_of(name));
    pthread_mutex_unlock(&lock);
    return real_vfs->xDelete(real_vfs, name, sync);
}

void fault_install(void) {
    real_vfs = sqlite3_vfs_find(NULL);
    assert_non_null(real_vfs);
    vfs = *real_vfs;
    vfs.zName = "fault";
    vfs.szOsFile = (int)sizeof(file) + real_vfs->szOsFile;
    vfs.xOpen = vfs_open;
    vfs.xDelete = vfs_delete;
    T_EQ(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}
