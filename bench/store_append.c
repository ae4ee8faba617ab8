// store_append.c - how fast the embedded store takes batches, beside what the disk does.
//
//     store_append [DIRECTORY] [ROWS]      a table on stdout; default: here, 200,000
//
// Batches of 250 B for 10,000 lists in random order. "window" is how many appends are
// under way at once: a commit takes what came during the one before.
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/sqlite_internal.h"

#define LISTS      10000u
#define ROW_BYTES  250u
#define WINDOW_MAX 4096u

_Noreturn void tm_panic(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, what);
    abort();
}

static double now_s(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static uint64_t random_next(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void check(bool good, const char *what) {
    if (good) return;
    fprintf(stderr, "%s\n", what);
    exit(1);
}

// ---- the disk -----------------------------------------------------------------------

static void disk(const char *directory, size_t bytes) {
    char path[512];
    snprintf(path, sizeof path, "%s/store_append.disk", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    check(fd >= 0, "cannot write there");
    void *block = calloc(1, bytes);
    check(block != NULL, "out of memory");
    size_t count = 0;
    double began = now_s();
    while (now_s() - began < 1.0) {
        check(pwrite(fd, block, bytes, (off_t)(count * bytes)) == (ssize_t)bytes,
              "the disk is full");
        check(fdatasync(fd) == 0, "fdatasync failed");
        count++;
    }
    printf("disk: append %zu KiB, fdatasync    %8.0f /s\n", bytes / 1024,
           (double)count / (now_s() - began));
    free(block);
    close(fd);
    unlink(path);
}

// ---- appends ------------------------------------------------------------------------

typedef struct run run;

typedef struct slot {
    tm_store_append request;
    run *of;
    double began;
} slot;

struct run {
    tm_store *store;
    char (*users)[16];
    uint64_t *heads; // of each list
    bool *busy;      // an append of it is under way
    uint64_t random;
    size_t left, done, rows;
    float *took_ms; // of each row
};

static uint8_t row_bytes[ROW_BYTES];

static void next(slot *one) {
    run *r = one->of;
    if (r->left == 0) return;
    r->left--;
    size_t n = random_next(&r->random) % LISTS;
    while (r->busy[n]) {
        n = (n + 1) % LISTS;
    }
    r->busy[n] = true;
    tm_batch *batch = &one->request.batch;
    batch->first_seq = batch->last_seq = ++r->heads[n];
    one->request.key.user = (tm_span){(uint8_t *)r->users[n], strlen(r->users[n])};
    one->request.context = one;
    one->began = now_s();
    tm_store_append_start(r->store, &one->request);
}

static void on_append(tm_store_append *request, tm_status status) {
    slot *one = request->context;
    run *r = one->of;
    check(status == TM_OK, "an append failed");
    r->took_ms[r->done++] = (float)((now_s() - one->began) * 1e3);
    size_t n = strtoul((const char *)request->key.user.ptr + 1, NULL, 10);
    r->busy[n] = false;
    next(one);
}

static int by_time(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double percentile(const run *r, double part) {
    return (double)r->took_ms[(size_t)((double)(r->done - 1) * part)];
}

// One line of the table. Returns when it ended.
static void appends(run *r, const char *name, size_t window, size_t rows) {
    static slot slots[WINDOW_MAX];
    tm_store_stats before, after;
    tm_store_stats_get(r->store, &before);
    r->left = rows;
    r->done = 0;
    double began = now_s();
    for (size_t i = 0; i < window; i++) {
        slots[i].of = r;
        slots[i].request =
            (tm_store_append){.key.list = {(const uint8_t *)"list", 4},
                              .batch.accepted_ms = 1790000000000,
                              .batch.operations = {row_bytes, ROW_BYTES},
                              .done = on_append};
        next(&slots[i]);
    }
    while (tm_store_wait(r->store) > 0) {
    }
    double took = now_s() - began;
    tm_store_stats_get(r->store, &after);
    qsort(r->took_ms, r->done, sizeof *r->took_ms, by_time);
    printf("%-26s window %4zu %9.0f rows/s %7.0f commits/s  "
           "p50 %6.2f  p99 %6.2f  max %6.1f ms  backlog %" PRIu64 "\n",
           name, window, (double)rows / took,
           (double)(after.commits - before.commits) / took, percentile(r, 0.5),
           percentile(r, 0.99), percentile(r, 1), after.backlog);
    fflush(stdout);
}

// ---- a store ------------------------------------------------------------------------

typedef struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
} waiting;

static void on_point(void *context, tm_point point) {
    waiting *w = context;
    if (point != TM_POINT_MOVED && point != TM_POINT_DELETED) return;
    pthread_mutex_lock(&w->lock);
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static waiting moved = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER};

static void store_open(run *r, const char *path, uint32_t file_delay_ms) {
    tm_sqlite_tuning tuning = tm_sqlite_tuning_default;
    tuning.file_delay_ms = file_delay_ms;
    tuning.point = on_point;
    tuning.point_context = &moved;
    tm_sqlite_options options = {.path = path};
    char problem[TM_PROBLEM_MAX];
    double began = now_s();
    tm_status status = tm_sqlite_open_tuned(&options, &tuning, &r->store, problem);
    if (status != TM_OK) check(false, problem);
    tm_store_stats stats;
    tm_store_stats_get(r->store, &stats);
    printf("open, %" PRIu64 " batches unfiled: %.0f ms\n", stats.backlog,
           (now_s() - began) * 1e3);
}

static void filing(run *r) {
    tm_store_stats before, now;
    tm_store_stats_get(r->store, &before);
    double began = now_s();
    pthread_mutex_lock(&moved.lock);
    for (;;) {
        tm_store_stats_get(r->store, &now);
        if (now.backlog == 0) break;
        pthread_cond_wait(&moved.changed, &moved.lock);
    }
    pthread_mutex_unlock(&moved.lock);
    double took = now_s() - began;
    printf("filing alone, from %" PRIu64 ":  %9.0f rows/s %7.0f commits/s\n",
           before.backlog, (double)before.backlog / took,
           (double)(now.commits - before.commits) / took);
}

static void remove_all(const char *path) {
    static const char *const suffixes[] = {"", "-wal", "-shm", "-lock"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char name[600];
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

int main(int argc, char **argv) {
    const char *directory = argc > 1 ? argv[1] : ".";
    size_t rows = argc > 2 ? strtoul(argv[2], NULL, 10) : 200000;
    char path[512];
    snprintf(path, sizeof path, "%s/store_append.db", directory);
    disk(directory, 8 << 10);
    disk(directory, 64 << 10);

    run r = {.random = 1, .rows = rows};
    r.users = calloc(LISTS, sizeof *r.users);
    r.heads = calloc(LISTS, sizeof *r.heads);
    r.busy = calloc(LISTS, sizeof *r.busy);
    r.took_ms = calloc(rows, sizeof *r.took_ms);
    check(r.users && r.heads && r.busy && r.took_ms, "out of memory");
    for (size_t i = 0; i < LISTS; i++) {
        snprintf(r.users[i], sizeof r.users[i], "u%zu", i);
    }
    memset(row_bytes, 'x', sizeof row_bytes);

    remove_all(path);
    store_open(&r, path, UINT32_MAX); // nothing is filed
    appends(&r, "journal alone", 1, rows / 50);
    appends(&r, "journal alone", 32, rows / 10);
    appends(&r, "journal alone", 256, rows);
    appends(&r, "journal alone", 1024, rows);
    appends(&r, "journal alone", 4096, rows);
    tm_store_close(r.store);
    store_open(&r, path, 0);
    filing(&r);
    appends(&r, "journal, filing beside it", 1, rows / 50);
    appends(&r, "journal, filing beside it", 32, rows / 10);
    appends(&r, "journal, filing beside it", 256, rows);
    appends(&r, "journal, filing beside it", 1024, rows);
    appends(&r, "journal, filing beside it", 4096, rows);
    filing(&r);
    tm_store_close(r.store);
    remove_all(path);
    free(r.took_ms);
    free(r.busy);
    free(r.heads);
    free(r.users);
    return 0;
}
