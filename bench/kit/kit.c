// kit.c - see kit.h.
#include "kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base.h"

_Noreturn void tm_panic(const char *file, int line, const char *what) {
    die("%s:%d: assertion failed: %s", file, line, what);
}

__attribute__((format(printf, 2, 0))) static void
say(const char *before, const char *format, va_list values) {
    (void)fputs(before, stderr);
    (void)vfprintf(stderr, format, values);
    (void)fputc('\n', stderr);
}

void die(const char *format, ...) {
    va_list values;
    va_start(values, format);
    say("bench: ", format, values);
    va_end(values);
    exit(1);
}

void progress(const char *format, ...) {
    va_list values;
    va_start(values, format);
    say("  ", format, values);
    va_end(values);
}

void *need(size_t size) {
    void *memory = calloc(1, size);
    if (memory == NULL) die("out of memory");
    return memory;
}

static uint64_t clock_of(clockid_t which) {
    struct timespec time;
    if (clock_gettime(which, &time) != 0) die("no clock");
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

uint64_t clock_ns(void) {
    return clock_of(CLOCK_MONOTONIC);
}

uint64_t wall_ms(void) {
    return clock_of(CLOCK_REALTIME) / 1000000;
}

double seconds_since(uint64_t began_ns) {
    return (double)(clock_ns() - began_ns) * 1e-9;
}

uint64_t random_next(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void result(double value, const char *unit, const char *name, ...) {
    va_list values;
    va_start(values, name);
    (void)printf("{\"name\":\"");
    (void)vprintf(name, values);
    (void)printf("\",\"value\":%.6g,\"unit\":\"%s\"}\n", value, unit);
    (void)fflush(stdout);
    va_end(values);
}

// ---- times ----------------------------------------------------------------------------

void times_add(times *to, uint64_t took_ns) {
    if (to->count == to->cap) {
        to->cap = to->cap == 0 ? 4096 : 2 * to->cap;
        to->ms = realloc(to->ms, to->cap * sizeof *to->ms);
        if (to->ms == NULL) die("out of memory");
    }
    to->ms[to->count++] = (float)((double)took_ns * 1e-6);
}

static int by_time(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

double times_part(times *of, double part) {
    if (of->count == 0) return 0;
    qsort(of->ms, of->count, sizeof *of->ms, by_time);
    return (double)of->ms[(size_t)((double)(of->count - 1) * part)];
}

void times_clear(times *of) {
    of->count = 0;
}

void times_results(times *of, const char *kind, const char *name) {
    result(times_part(of, 0.5), "ms", "%s.%s.p50", name, kind);
    result(times_part(of, 0.99), "ms", "%s.%s.p99", name, kind);
}

// ---- the disk -------------------------------------------------------------------------

double disk_syncs(const char *directory, size_t bytes) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/syncs", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) die("cannot write in %s", directory);
    void *block = need(bytes);
    size_t count = 0;
    uint64_t began = clock_ns();
    while (seconds_since(began) < 1) {
        if (pwrite(fd, block, bytes, (off_t)(count * bytes)) != (ssize_t)bytes ||
            fdatasync(fd) != 0)
            die("the disk does not take it");
        count++;
    }
    double syncs = (double)count / seconds_since(began);
    free(block);
    (void)close(fd);
    (void)unlink(path);
    return syncs;
}

void directory_fresh(const char *path) {
    DIR *entries = opendir(path);
    for (struct dirent *entry; entries != NULL && (entry = readdir(entries));) {
        char name[512];
        if (entry->d_name[0] == '.') continue;
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (unlink(name) != 0 && rmdir(name) != 0) {
            directory_fresh(name);
            (void)rmdir(name);
        }
    }
    if (entries != NULL) (void)closedir(entries);
    (void)mkdir(path, 0700);
}
