// The embedded store on a disk that fails, at every k: what is transient is told as such
// and passes by itself; a failed write or sync is final even if the next would succeed;
// and in no case is anything acknowledged that is not there afterwards, or there that was
// refused. Memory that is refused at every k, likewise.
#include "t.h"
#include "drive.h"
#include "fault.h"
#include "scratch.h"

#include <errno.h>

#define NAME "fault.db"

enum { LISTS = 3, STEPS = 24, BATCHES_MAX = 400 };

static tm_sqlite_tuning eager(void) {
    tm_sqlite_tuning tuning = tm_sqlite_tuning_default;
    tuning.file_delay_ms = 0;
    tuning.retry_ms = 0;
    tuning.slice_us = 200;
    tuning.wal_pages = 8;
    tuning.wal_pages_max = 24;
    tuning.idle_ms = 1;
    tuning.busy_ms = 20;
    return tuning;
}

// ---- a list, as it must be ----------------------------------------------------------

// Every attempt has a length of its own, so a batch that was refused and is there all
// the same shows by where it ends.
typedef struct expected {
    uint64_t lasts[BATCHES_MAX];
    size_t count;    // acknowledged
    uint64_t unsure; // last seq of one that may be behind them, 0 = none
    uint64_t saved, saving;
    unsigned attempt;
} expected;

static expected lists[LISTS];
static bool dead; // an append ended in TM_E_IO, or was unsure and the store said so

static uint64_t head_of(const expected *e) {
    return e->count == 0 ? 0 : e->lasts[e->count - 1];
}

static tm_status append(tm_store *store, size_t n) {
    expected *e = &lists[n];
    uint64_t first = head_of(e) + 1, last = first + e->attempt++ % 7;
    tm_status status = drive_append(store, drive_key_n(n), n, first, last);
    tm_span why;
    switch (status) {
    case TM_OK:
        T_TRUE(!dead); // not one more after the disk failed
        T_TRUE(e->count < BATCHES_MAX);
        e->lasts[e->count++] = last;
        break;
    case TM_E_AGAIN:
        T_TRUE(!dead);
        break;
    case TM_E_UNSURE:
        if (tm_store_health(store, &why) == TM_OK) {
            // Not the disk: it is not there now, and what comes next takes its place.
            drive_page page = drive_read(store, drive_key_n(n), first, 1, 1);
            T_TRUE(page.status != TM_OK || page.count == 0 ||
                   page.batches[0].last_seq == first - 1);
            drive_page_free(&page);
        } else {
            dead = true;
        }
        e->unsure = last;
        break;
    default:
        T_STATUS(status, TM_E_IO);
        T_TRUE(tm_store_health(store, &why) != TM_OK);
        T_TRUE(why.len > 0);
        dead = true;
    }
    return status;
}

// A read that works shows what was acknowledged, in the middle of it all.
static void look(tm_store *store, size_t n) {
    const expected *e = &lists[n];
    drive_page page = drive_read(store, drive_key_n(n), 0, UINT64_MAX, UINT64_MAX);
    if (page.status == TM_OK) {
        T_EQ(page.count, e->count);
        for (size_t i = 0; i < page.count; i++) {
            T_EQ(page.batches[i].last_seq, e->lasts[i]);
        }
    } else {
        T_TRUE(page.status != TM_E_UNSURE && page.status != TM_E_CONFLICT);
    }
    drive_page_free(&page);
}

static void save(tm_store *store, size_t n) {
    expected *e = &lists[n];
    uint64_t seq = head_of(e);
    if (seq == 0 || seq <= e->saving) return;
    e->saving = seq;
    uint8_t *bytes = drive_bytes(n + seq, 300000);
    tm_status status =
        drive_save(store, drive_key_n(n), seq, (tm_span){bytes, 300000});
    free(bytes);
    if (status == TM_OK) e->saved = seq;
    T_TRUE(status == TM_OK || status == TM_E_AGAIN || status == TM_E_UNSURE ||
           status == TM_E_IO);
}

static void work(tm_store *store) {
    for (size_t step = 0; step < STEPS; step++) {
        (void)append(store, step % LISTS);
        if (step % 5 == 4) look(store, (step + 1) % LISTS);
        if (step % 11 == 10) save(store, step % LISTS);
    }
}

// Afterwards, on a good disk.
static void check_all(void) {
    tm_sqlite_tuning tuning = eager();
    tm_store *store = scratch_open(NAME, &tuning);
    for (size_t n = 0; n < LISTS; n++) {
        const expected *e = &lists[n];
        uint64_t head = drive_all(store, drive_key_n(n), n, NULL);
        T_TRUE(head == head_of(e) || head == e->unsure);
        drive_page page =
            drive_read(store, drive_key_n(n), 0, UINT64_MAX, UINT64_MAX);
        T_OK(page.status);
        T_TRUE(page.count >= e->count);
        for (size_t i = 0; i < e->count; i++) {
            T_EQ(page.batches[i].last_seq, e->lasts[i]);
        }
        drive_page_free(&page);
        drive_snapshot snapshot = drive_load(store, drive_key_n(n));
        T_OK(snapshot.status);
        T_TRUE(snapshot.seq >= e->saved && snapshot.seq <= e->saving);
        if (snapshot.seq > 0) {
            uint8_t *bytes = drive_bytes(n + snapshot.seq, 300000);
            T_SPAN(((tm_span){snapshot.bytes, snapshot.len}),
                   ((tm_span){bytes, 300000}));
            free(bytes);
        }
        free(snapshot.bytes);
    }
    tm_store_close(store);
    T_TEXT(t_str(scratch_sql(NAME, "PRAGMA integrity_check")), "ok");
}

static tm_store *fresh_tuned(tm_sqlite_tuning tuning) {
    memset(lists, 0, sizeof lists);
    dead = false;
    scratch_remove(NAME);
    tm_store *store = scratch_open(NAME, &tuning);
    for (size_t n = 0; n < LISTS; n++) {
        T_OK(append(store, n));
        lists[n].attempt = 1 + (unsigned)n;
    }
    return store;
}

static tm_store *fresh(void) {
    return fresh_tuned(eager());
}

// ---- the disk -----------------------------------------------------------------------

typedef enum verdict { PASSES, FINAL, EITHER } verdict;

static const struct {
    const char *name;
    verdict verdict;
    int calls, files, code, error;
    uint64_t times; // 0 = for ever
    bool torn;
} disks[] = {
    {"full", PASSES, FAULT_WRITE, FAULT_WAL, SQLITE_FULL, ENOSPC, 4, false},
    {"full in mid-write", PASSES, FAULT_WRITE, FAULT_WAL, SQLITE_FULL, ENOSPC, 1,
     true},
    {"full under the database file", PASSES, FAULT_WRITE, FAULT_DB, SQLITE_FULL,
     ENOSPC, 3, false},
    {"quota", PASSES, FAULT_WRITE, FAULT_WAL, SQLITE_IOERR_WRITE, EDQUOT, 2, false},
    {"no memory for the log's index", PASSES, FAULT_SHM, FAULT_DB,
     SQLITE_IOERR_SHMSIZE, ENOSPC, 2, false},
    {"one write to the log fails", FINAL, FAULT_WRITE, FAULT_WAL,
     SQLITE_IOERR_WRITE, EIO, 1, false},
    {"one write to the log is cut short", FINAL, FAULT_WRITE, FAULT_WAL,
     SQLITE_IOERR_WRITE, EIO, 1, true},
    {"one write to the database fails", FINAL, FAULT_WRITE, FAULT_DB,
     SQLITE_IOERR_WRITE, EIO, 1, false},
    {"one sync of the log fails", FINAL, FAULT_SYNC, FAULT_WAL, SQLITE_IOERR_FSYNC,
     EIO, 1, false},
    {"one sync of the log fails for want of room", FINAL, FAULT_SYNC, FAULT_WAL,
     SQLITE_IOERR_FSYNC, ENOSPC, 1, false},
    {"one sync of the database fails", FINAL, FAULT_SYNC, FAULT_DB,
     SQLITE_IOERR_FSYNC, EIO, 1, false},
    {"every sync fails", FINAL, FAULT_SYNC, FAULT_ANY, SQLITE_IOERR_FSYNC, EIO, 0,
     false},
    {"the log cannot be cut", FINAL, FAULT_TRUNCATE, FAULT_WAL,
     SQLITE_IOERR_TRUNCATE, EIO, 1, false},
    {"one read fails",
     EITHER, // a prefetch that fails harms nobody
     FAULT_READ, FAULT_ANY, SQLITE_IOERR_READ, EIO, 1, false},
    {"what is read is nonsense", EITHER, FAULT_READ, FAULT_DB, SQLITE_CORRUPT, 0, 1,
     false},
};

// After the fault: a disk that was full takes edits again, one that failed never does,
// though no call fails any more.
static void settle(tm_store *store, verdict how) {
    tm_span why;
    if (how == PASSES) {
        T_TRUE(!dead);
        for (int i = 0; i < 50 && append(store, 0) != TM_OK; i++) {
        }
        T_OK(append(store, 0));
        T_OK(append(store, 1));
        T_OK(tm_store_health(store, &why));
        return;
    }
    if (how == FINAL) { // a checkpoint may fail a while after the commit
        for (int i = 0; i < 300 && !dead; i++) {
            (void)append(store, 0);
        }
        T_TRUE(dead);
    }
    if (!dead) return;
    T_TRUE(tm_store_health(store, &why) != TM_OK);
    T_TRUE(why.len > 10);
    for (size_t n = 0; n < LISTS; n++) {
        T_STATUS(append(store, n), TM_E_IO);
    }
    uint64_t gone = 0;
    T_STATUS(drive_save(store, drive_key_n(0), UINT32_MAX, t_str("x")), TM_E_IO);
    T_STATUS(drive_trim(store, drive_key_n(0), UINT32_MAX, UINT64_MAX, &gone),
             TM_E_IO);
    T_EQ(gone, 0);
}

static void a_failing_disk(void **state) {
    (void)state;
    static char row[96];
    for (size_t i = 0; i < COUNT(disks); i++) {
        size_t tried = 0;
        for (uint64_t at = 1;;
             at += at * SCRATCH_THRIFT < 12 ? 1 : 7 * SCRATCH_THRIFT) {
            snprintf(row, sizeof row, "%s, at %" PRIu64, disks[i].name, at);
            t_row = row;
            tm_sqlite_tuning tuning = eager();
            if (disks[i].calls == FAULT_TRUNCATE) tuning.idle_ms = 0; // at once
            tm_store *store = fresh_tuned(tuning);
            const fault_plan plan = {.kind = FAULT_FAIL,
                                     .calls = disks[i].calls,
                                     .files = disks[i].files,
                                     .code = disks[i].code,
                                     .error = disks[i].error,
                                     .at = at,
                                     .times = disks[i].times,
                                     .torn = disks[i].torn};
            fault_set(&plan);
            work(store);
            // The log is cut when nobody writes: give it the time.
            for (int tries = 0; tries < 10000 && at == 1 && fault_hits() == 0;
                 tries++) {
                look(store, 0);
            }
            bool hit = fault_hits() > 0;
            if (hit) settle(store, disks[i].verdict);
            tm_store_close(store);
            fault_set(NULL);
            check_all();
            tried += hit;
            if (!hit) break;
        }
        // A log's index never grows in so short a time; opening is tried below.
        T_TRUE(tried > 0 || disks[i].calls == FAULT_SHM);
    }
}

// The disk is full until somebody makes room; then it goes on by itself.
static void full_until_there_is_room(void **state) {
    (void)state;
    tm_store *store = fresh();
    const fault_plan plan = {.kind = FAULT_FAIL,
                             .calls = FAULT_WRITE,
                             .files = FAULT_ANY,
                             .code = SQLITE_FULL,
                             .error = ENOSPC,
                             .at = 1};
    fault_set(&plan);
    tm_span why;
    for (int i = 0; i < 20; i++) {
        T_STATUS(append(store, (size_t)i % LISTS), TM_E_AGAIN);
        look(store, (size_t)i % LISTS);
        T_OK(tm_store_health(store, &why)); // an append would be tried
        T_TRUE(why.len > 0);                // but this is how it went
    }
    tm_store_stats stats;
    tm_store_stats_get(store, &stats);
    T_EQ(stats.failures, 20);
    fault_set(NULL);
    for (size_t n = 0; n < LISTS; n++) {
        T_OK(append(store, n));
    }
    T_OK(tm_store_health(store, &why));
    tm_store_close(store);
    check_all();
}

// A failed sync, then the machine goes on as if nothing had been: the log on the disk may
// lack what the page cache shows.
static void a_failed_sync_is_found_at_the_next_start(void **state) {
    (void)state;
    tm_sqlite_tuning tuning = eager();
    tuning.idle_ms = tuning.wal_pages = tuning.wal_pages_max =
        1000000; // the log grows
    tm_store *store = fresh_tuned(tuning);
    const fault_plan plan = {.kind = FAULT_FAIL,
                             .calls = FAULT_SYNC,
                             .files = FAULT_WAL,
                             .code = SQLITE_IOERR_FSYNC,
                             .error = EIO,
                             .at = 1,
                             .times = 1};
    fault_set(&plan);
    while (!dead) {
        (void)append(store, 0);
    }
    tm_store_close(store);
    T_TRUE(scratch_exists(NAME "-wal")); // left as it was
    // While the log can't be made durable, nobody builds on it.
    const fault_plan still = {.kind = FAULT_FAIL,
                              .calls = FAULT_SYNC,
                              .files = FAULT_DB,
                              .code = SQLITE_IOERR_FSYNC,
                              .error = EIO,
                              .at = 1};
    fault_set(&still);
    char problem[TM_PROBLEM_MAX];
    T_STATUS(scratch_try(NAME, NULL, &store, problem), TM_E_IO);
    T_TRUE(strlen(problem) > 0);
    fault_set(NULL);
    check_all();
}

// Each call that opening makes fails once: it is refused with a sentence, or it did not
// matter; and the next try works.
static void opening_on_a_failing_disk(void **state) {
    (void)state;
    static const struct {
        int calls, code;
    } faults[] = {{FAULT_READ, SQLITE_IOERR_READ},
                  {FAULT_WRITE, SQLITE_IOERR_WRITE},
                  {FAULT_WRITE, SQLITE_FULL},
                  {FAULT_SYNC, SQLITE_IOERR_FSYNC},
                  {FAULT_TRUNCATE, SQLITE_IOERR_TRUNCATE},
                  {FAULT_SHM, SQLITE_IOERR_SHMSIZE}};
    static char row[64];
    for (int made = 0; made < 2; made++) {
        for (size_t i = 0; i < COUNT(faults); i++) {
            for (uint64_t at = 1;; at++) {
                snprintf(row, sizeof row, "%s, fault %zu at %" PRIu64,
                         made ? "there" : "new", i, at);
                t_row = row;
                tm_store *store = NULL;
                scratch_remove(NAME);
                if (made) tm_store_close(fresh());
                const fault_plan plan = {.kind = FAULT_FAIL,
                                         .calls = faults[i].calls,
                                         .files = FAULT_ANY,
                                         .code = faults[i].code,
                                         .error = EIO,
                                         .at = at,
                                         .times = 1};
                fault_set(&plan);
                char problem[TM_PROBLEM_MAX] = "";
                tm_sqlite_tuning tuning = eager();
                tm_status status = scratch_try(NAME, &tuning, &store, problem);
                bool hit = fault_hits() > 0;
                fault_set(NULL);
                T_TRUE(status == TM_OK || strlen(problem) > 0);
                T_TRUE(status == TM_OK || hit);
                if (status == TM_OK) tm_store_close(store);
                memset(lists, 0, sizeof lists);
                dead = false;
                store = scratch_open(NAME, &tuning);
                if (made) {
                    T_EQ(drive_all(store, drive_key_n(0), 0, NULL), 1);
                } else {
                    T_OK(append(store, 0));
                }
                tm_store_close(store);
                if (!hit) break;
            }
        }
    }
}

static void somebody_elses_lock(void **state) {
    (void)state;
    tm_store *store = fresh();
    sqlite3 *db = NULL;
    T_EQ(sqlite3_open_v2(scratch_path(NAME), &db, SQLITE_OPEN_READWRITE, NULL),
         SQLITE_OK);
    T_EQ(sqlite3_exec(db, "PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE", NULL,
                      NULL, NULL),
         SQLITE_OK);
    T_STATUS(append(store, 0), TM_E_AGAIN);
    T_STATUS(append(store, 0), TM_E_AGAIN);
    T_STATUS(drive_save(store, drive_key_n(0), 1, t_str("x")), TM_E_AGAIN);
    look(store, 0); // reading goes on
    T_EQ(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    T_EQ(sqlite3_close(db), SQLITE_OK);
    T_OK(append(store, 0));
    tm_store_close(store);
    check_all();
}

// ---- memory -------------------------------------------------------------------------

static sqlite3_mem_methods heap;
static pthread_mutex_t memory_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t memory_at, memory_asked; // refuse the at-th, 0 = none
static bool memory_refused;

static bool refuse(void) {
    pthread_mutex_lock(&memory_lock);
    bool now = memory_at > 0 && ++memory_asked == memory_at;
    memory_refused = memory_refused || now;
    pthread_mutex_unlock(&memory_lock);
    return now;
}

static void *memory_get(int size) {
    return refuse() ? NULL : heap.xMalloc(size);
}

static void *memory_resize(void *ptr, int size) {
    return refuse() ? NULL : heap.xRealloc(ptr, size);
}

static void *own_resize(void *context, void *ptr, size_t old_size,
                        size_t new_size) {
    (void)context;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    return new_size > old_size && refuse() ? NULL : realloc(ptr, new_size);
}

static bool memory_from(uint64_t at) { // was one refused until now?
    pthread_mutex_lock(&memory_lock);
    bool refused = memory_refused;
    memory_at = at;
    memory_asked = 0;
    memory_refused = false;
    pthread_mutex_unlock(&memory_lock);
    return refused;
}

static void refused_memory(void **state) {
    (void)state;
    static char row[64];
    static const tm_alloc own = {own_resize, NULL};
    tm_sqlite_tuning tuning = eager();
    tuning.alloc = &own;
    bool refused = true;
    for (uint64_t at = 1; refused; at += (at < 100    ? 1
                                          : at < 1000 ? 13
                                                      : 67) *
                                         SCRATCH_THRIFT) {
        snprintf(row, sizeof row, "allocation %" PRIu64, at);
        t_row = row;
        tm_store_close(fresh());
        char problem[TM_PROBLEM_MAX];
        tm_store *store = NULL;
        (void)memory_from(at);
        tm_status status = scratch_try(NAME, &tuning, &store, problem);
        if (status == TM_OK) work(store);
        refused = memory_from(0);
        if (status != TM_OK) T_STATUS(status, TM_E_NOMEM);
        if (status == TM_OK) {
            T_TRUE(!dead); // want of memory is no failing disk
            for (size_t n = 0; n < LISTS; n++) {
                T_OK(append(store, n));
            }
            tm_store_close(store);
        }
        check_all();
    }
}

int main(void) {
    sqlite3_mem_methods ours;
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &heap);
    ours = heap;
    ours.xMalloc = memory_get;
    ours.xRealloc = memory_resize;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &ours);
    scratch_in_memory();
    fault_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failing_disk),
        cmocka_unit_test(full_until_there_is_room),
        cmocka_unit_test(a_failed_sync_is_found_at_the_next_start),
        cmocka_unit_test(opening_on_a_failing_disk),
        cmocka_unit_test(somebody_elses_lock),
        cmocka_unit_test(refused_memory),
    };
    return cmocka_run_group_tests_name("a failing disk", tests, NULL, NULL);
}
