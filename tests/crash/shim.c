// shim.c - preloaded below the daemon: counts its calls that change files, and at the k-th
// one fails it or kills the process. The driver says which through a shared file; it
// sees the counts there, too.
//
// An exact stand-in for `strace -e inject`, which counts for each thread apart, so that
// "the k-th call of a push" has no number there.
#define _GNU_SOURCE // RTLD_NEXT, the names with 64
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WRITE = 1,
    SYNC = 2,
    TRUNCATE = 4,
    NAME = 8
}; // kinds of calls; `armed` adds them
enum { KILL_BEFORE = 1, KILL_AFTER = 2, SHORT = 3, FAIL = 1000 }; // FAIL + errno

typedef struct control {    // tests/crash/daemon.mjs writes and reads it: eight u64
    _Atomic uint64_t calls; // so far, of the kinds in `kinds`
    _Atomic uint64_t struck; // so many failed
    _Atomic uint64_t kinds;  // that are counted
    _Atomic uint64_t at;     // the at-th from when it was armed, 0 = none
    _Atomic uint64_t times;  // and so many from there on, 0 = all
    _Atomic uint64_t action;
    _Atomic uint64_t unused[2];
} control;

static control none, *shared = &none;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("TM_SHIM");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *at =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) shared = at;
    close(fd);
}

// What to do with this call: 0 = let it through.
static uint64_t met(uint64_t kind) {
    if ((atomic_load(&shared->kinds) & kind) == 0) return 0;
    uint64_t nth = atomic_fetch_add(&shared->calls, 1) + 1,
             at = atomic_load(&shared->at), times = atomic_load(&shared->times);
    if (at == 0 || nth < at || (times > 0 && nth >= at + times)) return 0;
    uint64_t action = atomic_load(&shared->action);
    if (action == KILL_BEFORE) raise(SIGKILL);
    atomic_fetch_add(&shared->struck, 1);
    return action;
}

static void after(uint64_t action) {
    if (action == KILL_AFTER) raise(SIGKILL);
}

static bool is_file(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

#define NEXT(name, type) ((type)(uintptr_t)dlsym(RTLD_NEXT, name))

typedef ssize_t (*writer)(int, const void *, size_t);
typedef ssize_t (*placer)(int, const void *, size_t, off_t);
typedef int (*syncer)(int);
typedef int (*cutter)(int, off_t);
typedef int (*namer)(const char *);
typedef int (*renamer)(const char *, const char *);

#define FAILS(action)                                                              \
    if ((action) >= FAIL) {                                                        \
        errno = (int)((action)-FAIL);                                              \
        return -1;                                                                 \
    }

ssize_t write(int fd, const void *from, size_t len) {
    static writer next;
    if (next == NULL) next = NEXT("write", writer);
    uint64_t action = is_file(fd) ? met(WRITE) : 0;
    FAILS(action)
    ssize_t done = next(fd, from, action == SHORT ? len / 2 : len);
    after(action);
    return done;
}

static ssize_t place(placer next, int fd, const void *from, size_t len, off_t at) {
    uint64_t action = met(WRITE);
    FAILS(action)
    ssize_t done = next(fd, from, action == SHORT ? len / 2 : len, at);
    after(action);
    return done;
}

ssize_t pwrite(int fd, const void *from, size_t len, off_t at) {
    static placer next;
    if (next == NULL) next = NEXT("pwrite", placer);
    return place(next, fd, from, len, at);
}

ssize_t pwrite64(int fd, const void *from, size_t len, off64_t at) {
    static placer next;
    if (next == NULL) next = NEXT("pwrite64", placer);
    return place(next, fd, from, len, at);
}

static int sync_by(syncer next, int fd) {
    uint64_t action = met(SYNC);
    FAILS(action)
    int done = next(fd);
    after(action);
    return done;
}

int fsync(int fd) {
    static syncer next;
    if (next == NULL) next = NEXT("fsync", syncer);
    return sync_by(next, fd);
}

int fdatasync(int fd) {
    static syncer next;
    if (next == NULL) next = NEXT("fdatasync", syncer);
    return sync_by(next, fd);
}

static int cut(cutter next, int fd, off_t size) {
    uint64_t action = met(TRUNCATE);
    FAILS(action)
    int done = next(fd, size);
    after(action);
    return done;
}

int ftruncate(int fd, off_t size) {
    static cutter next;
    if (next == NULL) next = NEXT("ftruncate", cutter);
    return cut(next, fd, size);
}

int ftruncate64(int fd, off64_t size) {
    static cutter next;
    if (next == NULL) next = NEXT("ftruncate64", cutter);
    return cut(next, fd, size);
}

int unlink(const char *path) {
    static namer next;
    if (next == NULL) next = NEXT("unlink", namer);
    uint64_t action = met(NAME);
    FAILS(action)
    int done = next(path);
    after(action);
    return done;
}

int rename(const char *from, const char *to) {
    static renamer next;
    if (next == NULL) next = NEXT("rename", renamer);
    uint64_t action = met(NAME);
    FAILS(action)
    int done = next(from, to);
    after(action);
    return done;
}
