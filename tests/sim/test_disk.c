// The simulated disk: what was synced is always there, what was not is kept, lost or torn;
// a failed sync is final; SQLite and the embedded store come through all of it.
#include <sqlite3.h>

#include "sim/disk.h"
#include "store/conformance.h"
#include "store/drive.h"
#include "store/sqlite_internal.h"
#include "t.h"

#define NAME "/t.db"

// How many times slower a sanitizer is, roughly.
#if defined(__SANITIZE_ADDRESS__)
#define THRIFT 20
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define THRIFT 20
#endif
#endif
#ifndef THRIFT
#define THRIFT 1
#endif

static tm_disk *disk_new(uint64_t seed) {
    tm_disk *disk = NULL;
    T_OK(tm_disk_new(
        &(tm_disk_config){.seed = seed, .sector = seed % 2 == 0 ? 512 : 4096},
        &disk));
    return disk;
}

static tm_disk_stats stats_of(const tm_disk *disk) {
    tm_disk_stats stats;
    tm_disk_stats_get(disk, &stats);
    return stats;
}

// ---- a file by itself ---------------------------------------------------------------

static sqlite3_vfs *vfs_of(tm_disk *disk) {
    sqlite3_vfs *vfs = sqlite3_vfs_find(tm_disk_vfs(disk));
    assert_non_null(vfs);
    return vfs;
}

static sqlite3_file *file_open(tm_disk *disk, const char *name, int flags) {
    sqlite3_vfs *vfs = vfs_of(disk);
    sqlite3_file *file = calloc(1, (size_t)vfs->szOsFile);
    assert_non_null(file);
    int out = 0;
    T_EQ(vfs->xOpen(vfs, name, file, flags | SQLITE_OPEN_READWRITE, &out),
         SQLITE_OK);
    return file;
}

static void file_close(sqlite3_file *file) {
    T_EQ(file->pMethods->xClose(file), SQLITE_OK);
    free(file);
}

static int file_write(sqlite3_file *file, uint8_t byte, int len, int64_t at) {
    uint8_t *bytes = malloc((size_t)len);
    assert_non_null(bytes);
    memset(bytes, byte, (size_t)len);
    int rc = file->pMethods->xWrite(file, bytes, len, at);
    free(bytes);
    return rc;
}

static int file_sync(sqlite3_file *file) {
    return file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
}

static bool there(tm_disk *disk, const char *name) {
    sqlite3_vfs *vfs = vfs_of(disk);
    int out = 0;
    T_EQ(vfs->xAccess(vfs, name, SQLITE_ACCESS_READWRITE, &out), SQLITE_OK);
    return out != 0;
}

// How many bytes of the file are `byte`, and in *len how many there are.
static int64_t file_count(tm_disk *disk, const char *name, uint8_t byte,
                          int64_t *len) {
    sqlite3_file *file = file_open(disk, name, SQLITE_OPEN_MAIN_DB);
    sqlite3_int64 size = 0;
    T_EQ(file->pMethods->xFileSize(file, &size), SQLITE_OK);
    uint8_t *bytes = malloc((size_t)size + 1);
    assert_non_null(bytes);
    T_EQ(file->pMethods->xRead(file, bytes, (int)size, 0), SQLITE_OK);
    int64_t count = 0;
    for (int64_t i = 0; i < size; i++) {
        count += bytes[i] == byte;
    }
    free(bytes);
    file_close(file);
    if (len != NULL) *len = size;
    return count;
}

enum { MAKE = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_CREATE };

static void what_was_synced_is_there(void **state) {
    (void)state;
    bool all = false, none = false, some = false, longer = false;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        tm_disk *disk = disk_new(seed);
        sqlite3_file *file = file_open(disk, NAME, MAKE);
        T_EQ(file_write(file, 'a', 10000, 0), SQLITE_OK);
        T_EQ(file_sync(file), SQLITE_OK);
        for (int i = 0; i < 4; i++) {
            T_EQ(file_write(file, 'b', 5000, 10000 + i * 5000), SQLITE_OK);
        }
        T_EQ(file_count(disk, NAME, 'b', NULL), 20000); // a process sees it
        tm_disk_crash(disk);
        file_close(file);
        int64_t len = 0, b = file_count(disk, NAME, 'b', &len);
        T_EQ(file_count(disk, NAME, 'a', NULL), 10000);
        all = all || b == 20000;
        none = none || b == 0;
        some = some || (b > 0 && b < 20000);
        longer = longer || len > 10000 + b;
        tm_disk_free(disk);
    }
    T_TRUE(all);
    T_TRUE(none);
    T_TRUE(some);
    T_TRUE(longer); // holes
}

static void a_kill_loses_nothing(void **state) {
    (void)state;
    tm_disk *disk = disk_new(1);
    sqlite3_file *file = file_open(disk, NAME, MAKE);
    T_EQ(file_write(file, 'a', 9000, 0), SQLITE_OK);
    tm_disk_kill(disk);
    T_EQ(file_count(disk, NAME, 'a', NULL), 9000);
    // And what was open is dead.
    T_TRUE(file_write(file, 'b', 9000, 0) != SQLITE_OK);
    T_TRUE(file_sync(file) != SQLITE_OK);
    T_TRUE(file->pMethods->xTruncate(file, 0) != SQLITE_OK);
    T_TRUE(file->pMethods->xLock(file, SQLITE_LOCK_SHARED) != SQLITE_OK);
    T_EQ(file_count(disk, NAME, 'a', NULL), 9000);
    file_close(file);
    tm_disk_free(disk);
}

static void names_are_lost_until_a_sync(void **state) {
    (void)state;
    bool stayed = false, vanished = false, back = false, away = false;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        tm_disk *disk = disk_new(seed);
        sqlite3_vfs *vfs = vfs_of(disk);
        sqlite3_file *old = file_open(disk, "/old", MAKE),
                     *fresh = file_open(disk, "/fresh", MAKE);
        T_EQ(file_write(old, 'a', 100, 0), SQLITE_OK);
        T_EQ(file_sync(old), SQLITE_OK); // and the name of both
        T_EQ(vfs->xDelete(vfs, "/old", 0), SQLITE_OK);
        T_TRUE(!there(disk, "/old"));
        sqlite3_file *newest = file_open(disk, "/newest", MAKE),
                     *again = file_open(disk, "/old", MAKE);
        T_EQ(file_write(again, 'b', 50, 0), SQLITE_OK);
        tm_disk_crash(disk);
        file_close(old);
        file_close(fresh);
        file_close(newest);
        file_close(again);
        T_TRUE(there(disk, "/fresh"));
        *(there(disk, "/newest") ? &stayed : &vanished) = true;
        if (there(disk, "/old")) { // one or the other
            bool first = file_count(disk, "/old", 'a', NULL) == 100;
            T_TRUE(first || file_count(disk, "/old", 'a', NULL) == 0);
            back = back || first;
        } else {
            away = true;
        }
        // It is settled: the next crash changes nothing.
        bool was[] = {there(disk, "/newest"), there(disk, "/old")};
        tm_disk_crash(disk);
        T_EQ(there(disk, "/newest"), was[0]);
        T_EQ(there(disk, "/old"), was[1]);
        tm_disk_free(disk);
    }
    T_TRUE(stayed && vanished && back && away);
}

static void a_removal_that_was_synced_is_final(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        tm_disk *disk = disk_new(seed);
        sqlite3_vfs *vfs = vfs_of(disk);
        sqlite3_file *file = file_open(disk, "/old", MAKE);
        T_EQ(file_sync(file), SQLITE_OK);
        file_close(file);
        T_EQ(vfs->xDelete(vfs, "/old", 1), SQLITE_OK);
        tm_disk_crash(disk);
        T_TRUE(!there(disk, "/old"));
        tm_disk_free(disk);
    }
}

// TRUST 1.1: an fsync that failed and then "succeeds" has lost what it was to cover.
static void a_failed_sync_is_final(void **state) {
    (void)state;
    static const tm_disk_fault faults[] = {TM_DISK_EIO_FSYNC,
                                           TM_DISK_FSYNC_THEN_OK};
    for (size_t i = 0; i < COUNT(faults); i++) {
        bool lost = false;
        for (uint64_t seed = 1; seed <= 40; seed++) {
            tm_disk *disk = disk_new(seed);
            sqlite3_file *file = file_open(disk, NAME, MAKE);
            T_EQ(file_sync(file), SQLITE_OK);
            T_EQ(file_write(file, 'a', 3000, 0), SQLITE_OK);
            tm_disk_fail(disk, faults[i], 1, 0);
            T_EQ(file_sync(file), SQLITE_IOERR_FSYNC);
            bool then = faults[i] == TM_DISK_FSYNC_THEN_OK;
            T_EQ(file_sync(file), then ? SQLITE_OK : SQLITE_IOERR_FSYNC);
            T_EQ(file_count(disk, NAME, 'a', NULL), 3000); // the cache has it
            tm_disk_heal(disk);
            T_EQ(file_sync(file), SQLITE_OK);
            tm_disk_crash(disk);
            file_close(file);
            lost = lost || file_count(disk, NAME, 'a', NULL) < 3000;
            tm_disk_free(disk);
        }
        T_TRUE(lost);
    }
}

static void plans_strike_where_told(void **state) {
    (void)state;
    static const struct {
        const char *name;
        tm_disk_fault fault;
        int code;
        bool partly; // something may be written all the same
    } rows[] = {
        {"EIO", TM_DISK_EIO_WRITE, SQLITE_IOERR_WRITE, false},
        {"no room", TM_DISK_ENOSPC, SQLITE_FULL, false},
        {"a short write", TM_DISK_SHORT_WRITE, SQLITE_FULL, true},
        {"read only", TM_DISK_EROFS, SQLITE_IOERR_WRITE, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        tm_disk *disk = disk_new(3);
        sqlite3_file *file = file_open(disk, NAME, MAKE);
        int64_t least = 0, most = 0;
        tm_disk_fail(disk, rows[i].fault, 3, 2);
        for (int k = 1; k <= 6; k++) {
            bool strikes = k == 3 || k == 4;
            int rc = file_write(file, 'a', 100, k * 100);
            T_EQ(rc, strikes ? rows[i].code : SQLITE_OK);
            if (!strikes) least += 100;
            if (!strikes || rows[i].partly) most += 100;
        }
        T_EQ(stats_of(disk).struck[rows[i].fault], 2);
        tm_disk_heal(disk);
        file_close(file);
        int64_t count = file_count(disk, NAME, 'a', NULL);
        T_TRUE(count >= least && count <= most);
        tm_disk_free(disk);
    }
}

static void a_copy_is_whole_and_apart(void **state) {
    (void)state;
    tm_disk *disk = disk_new(5), *copy = NULL;
    sqlite3_file *file = file_open(disk, NAME, MAKE);
    T_EQ(file_write(file, 'a', 7000, 0), SQLITE_OK); // not synced
    T_OK(tm_disk_copy(disk, &copy));
    T_EQ(file_write(file, 'b', 7000, 0), SQLITE_OK);
    T_EQ(file_sync(file), SQLITE_OK);
    tm_disk_crash(copy);
    T_EQ(file_count(copy, NAME, 'a', NULL), 7000);
    T_EQ(file_count(disk, NAME, 'b', NULL), 7000);
    T_OK(tm_disk_restore(disk, copy));
    T_TRUE(file_sync(file) != SQLITE_OK); // what was open is dead
    file_close(file);
    tm_disk_crash(disk);
    T_EQ(file_count(disk, NAME, 'a', NULL), 7000);
    T_EQ(stats_of(disk).files, 1);
    T_EQ(stats_of(disk).bytes, 7000);
    tm_disk_free(disk);
    tm_disk_free(copy);
}

static void memory_may_be_refused(void **state) {
    (void)state;
    for (size_t k = 0;; k++) {
        t_memory memory = {.fail_at = k + 1};
        tm_alloc alloc = t_alloc(&memory);
        tm_disk_config config = {.alloc = &alloc, .seed = 1, .sector = 512};
        tm_disk *disk = NULL, *copy = NULL;
        tm_status status = tm_disk_new(&config, &disk);
        if (status == TM_OK) {
            sqlite3_vfs *vfs = vfs_of(disk);
            sqlite3_file *file = calloc(1, (size_t)vfs->szOsFile);
            assert_non_null(file);
            int rc =
                vfs->xOpen(vfs, NAME, file, MAKE | SQLITE_OPEN_READWRITE, NULL);
            if (rc == SQLITE_OK) {
                rc = file_write(file, 'a', 5000, 0);
                int64_t want = rc == SQLITE_OK ? 5000 : 0;
                T_EQ(file_count(disk, NAME, 'a', NULL), want);
                file_close(file);
            } else {
                free(file);
            }
            if (rc == SQLITE_OK) {
                status = tm_disk_copy(disk, &copy);
            } else {
                T_TRUE(rc == SQLITE_NOMEM || rc == SQLITE_IOERR_NOMEM);
                status = TM_E_NOMEM;
            }
            if (status == TM_OK) status = tm_disk_restore(disk, copy);
        }
        tm_disk_free(copy);
        tm_disk_free(disk);
        T_EQ(memory.live, 0);
        if (status == TM_OK && !memory.refused) break;
        T_STATUS(status, TM_E_NOMEM);
    }
}

// ---- the store on it ----------------------------------------------------------------

typedef struct bench { // a disk and the time
    tm_disk *disk;
    uint64_t us;
} bench;

static uint64_t now_us(void *context) {
    return ((bench *)context)->us;
}

static tm_status store_try(bench *b, bool threads, tm_store **store) {
    char problem[TM_PROBLEM_MAX];
    tm_sqlite_options options = {.path = NAME, .vfs = tm_disk_vfs(b->disk)};
    if (!threads) {
        options.now_us = now_us;
        options.now_context = b;
    }
    return tm_sqlite_open(&options, store, problem);
}

static tm_store *store_open(bench *b) {
    tm_store *store = NULL;
    T_OK(store_try(b, false, &store));
    return store;
}

// One value from the database as it is now, by a connection of its own.
static const char *ask(bench *b, const char *sql) {
    static char text[256];
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    T_EQ(sqlite3_open_v2(NAME, &db, SQLITE_OPEN_READWRITE, tm_disk_vfs(b->disk)),
         SQLITE_OK);
    T_EQ(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    int rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW) print_error("# %s\n", sqlite3_errmsg(db));
    T_EQ(rc, SQLITE_ROW);
    snprintf(text, sizeof text, "%s", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return text;
}

static void whole(bench *b) {
    const char *said = ask(b, "PRAGMA integrity_check");
    if (strcmp(said, "ok") != 0) print_error("# [%s] %s\n", t_row, said);
    assert_string_equal(said, "ok");
}

// What a full disk, a failing or a locked one means for an append, and for the next ones.
static void each_fault_means_what_it_says(void **state) {
    (void)state;
    static const struct {
        const char *name;
        tm_disk_fault fault;
        tm_status status; // of the append that meets it
        tm_status after;  // of one behind it, when the disk is well again
    } rows[] = {
        {"joplin#5560 the disk is full: 503, then it recovers", TM_DISK_ENOSPC,
         TM_E_AGAIN, TM_OK},
        {"joplin#5560 room for a part of a write", TM_DISK_SHORT_WRITE, TM_E_AGAIN,
         TM_OK},
        {"somebody holds the lock", TM_DISK_BUSY, TM_E_AGAIN, TM_OK},
        {"a write fails", TM_DISK_EIO_WRITE, TM_E_UNSURE, TM_E_IO},
        {"the disk became read only", TM_DISK_EROFS, TM_E_UNSURE, TM_E_IO},
        {"a sync fails", TM_DISK_EIO_FSYNC, TM_E_UNSURE, TM_E_IO},
        {"a sync fails, the next would not", TM_DISK_FSYNC_THEN_OK, TM_E_UNSURE,
         TM_E_IO},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        bench b = {.disk = disk_new(i)};
        tm_store *store = store_open(&b);
        tm_key key = drive_key("ann", "list");
        T_OK(drive_append(store, key, 1, 1, 2));
        tm_disk_fail(b.disk, rows[i].fault, 1, 0);
        T_STATUS(drive_append(store, key, 1, 3, 4), rows[i].status);
        tm_disk_heal(b.disk);
        T_TRUE(stats_of(b.disk).struck[rows[i].fault] > 0);
        for (int again = 0; again < 3; again++) {
            uint64_t first = 3 + 2 * (uint64_t)again;
            T_STATUS(drive_append(store, key, 1, first, first + 1), rows[i].after);
        }
        T_EQ(drive_all(store, key, 1, NULL), rows[i].after == TM_OK ? 8 : 2);
        uint64_t syncs = stats_of(b.disk).syncs, writes = stats_of(b.disk).writes;
        tm_store_close(store);
        if (rows[i].after == TM_E_IO) { // not a byte more on a disk that failed
            T_EQ(stats_of(b.disk).syncs, syncs);
            T_EQ(stats_of(b.disk).writes, writes);
        }
        tm_disk_crash(b.disk);
        store = store_open(&b);
        uint64_t head = drive_all(store, key, 1, NULL);
        // What ended unsure may be there.
        T_TRUE(head == 8 || rows[i].after != TM_OK);
        T_TRUE(head == 2 || head == 4 || rows[i].after == TM_OK);
        T_OK(drive_append(store, key, 1, head + 1, head + 1));
        tm_store_close(store);
        whole(&b);
        tm_disk_free(b.disk);
    }
}

// A failed sync leaves its commit in the page cache alone. A process that starts then
// either does not, or makes it durable before anybody sees it, whatever fails meanwhile.
static void what_a_start_shows_is_durable(void **state) {
    (void)state;
    static const tm_disk_fault faults[] = {TM_DISK_BUSY, TM_DISK_EIO_FSYNC,
                                           TM_DISK_FSYNC_THEN_OK, TM_DISK_EIO_WRITE,
                                           TM_DISK_ENOSPC};
    static char row[64];
    int opened = 0, refused = 0;
    for (uint64_t i = 0; i < 4000 / THRIFT; i++) {
        tm_disk_fault fault = faults[i % COUNT(faults)];
        uint64_t nth = 1 + i / COUNT(faults) % 40, times = i / 200 % 3;
        snprintf(row, sizeof row,
                 "fault %d at %" PRIu64 " times %" PRIu64 " disk %" PRIu64,
                 (int)fault, nth, times, i);
        t_row = row;
        bench b = {.disk = disk_new(i)};
        tm_key key = drive_key("ann", "list");
        tm_store *store = store_open(&b);
        T_OK(drive_append(store, key, 1, 1, 2));
        tm_disk_fail(b.disk, TM_DISK_FSYNC_THEN_OK, 1, 1);
        T_STATUS(drive_append(store, key, 1, 3, 4), TM_E_UNSURE);
        tm_store_close(store); // in order, and the power stays
        tm_disk_heal(b.disk);
        tm_disk_fail(b.disk, fault, nth, times);
        uint64_t head = 0;
        bool first = store_try(&b, false, &store) == TM_OK;
        if (!first && i % 2 != 0) { // the next one succeeds, before the power goes
            tm_disk_heal(b.disk);
            store = store_open(&b);
        }
        if (first || i % 2 != 0) {
            opened += first;
            refused += !first;
            drive_page page = drive_read(store, key, 0, 1000, 1u << 20);
            if (page.status == TM_OK) head = page.batches[page.count - 1].last_seq;
            drive_page_free(&page);
            tm_disk_crash(b.disk);
            tm_store_close(store);
        } else {
            refused++;
            tm_disk_crash(b.disk);
        }
        tm_disk_heal(b.disk);
        store = store_open(&b);
        T_TRUE(drive_all(store, key, 1, NULL) >= head);
        tm_store_close(store);
        tm_disk_free(b.disk);
    }
    T_TRUE(opened > 0 && refused > 0);
}

static void a_read_that_fails_stops_the_writing(void **state) {
    (void)state;
    bench b = {.disk = disk_new(1)};
    tm_store *store = store_open(&b);
    tm_key key = drive_key("ann", "list");
    T_OK(drive_append(store, key, 1, 1, 200));
    b.us += 1000000;
    while (tm_sqlite_due(store) <= b.us) { // it is filed
        (void)tm_store_poll(store);
    }
    tm_store_close(store);
    store = store_open(&b);
    tm_disk_fail(b.disk, TM_DISK_EIO_READ, 1, 0);
    drive_page page = drive_read(store, key, 0, 1000, 1u << 20);
    T_STATUS(page.status, TM_E_IO);
    drive_page_free(&page);
    tm_disk_heal(b.disk);
    T_STATUS(drive_append(store, key, 1, 201, 201), TM_E_IO);
    tm_store_close(store);
    tm_disk_free(b.disk);
}

// ---- crashes ------------------------------------------------------------------------

enum { LISTS = 4, AT_ONCE = 3 };

typedef struct story {
    bench b;
    uint64_t random;
    uint64_t begun[LISTS], acked[LISTS], saving[LISTS], saved[LISTS], gone[LISTS];
    uint64_t digest; // of all that happened
    bool died;
} story;

typedef struct appending {
    tm_store_append request;
    drive_batch made;
    story *s;
    size_t list;
    bool done;
} appending;

static void note(story *s, uint64_t what) {
    s->digest = (s->digest ^ what) * UINT64_C(0x100000001b3);
}

static void on_appended(tm_store_append *request, tm_status status) {
    appending *one = request->context;
    one->done = true;
    note(one->s, (uint64_t)(int64_t)status);
    if (status == TM_OK) one->s->acked[one->list] = request->batch.last_seq;
    if (status != TM_OK) one->s->died = true;
}

static void some_appends(story *s, tm_store *store) {
    appending all[AT_ONCE] = {0};
    size_t first = drive_random(&s->random) % LISTS;
    for (size_t i = 0; i < AT_ONCE; i++) {
        appending *one = &all[i];
        one->s = s;
        one->list = (first + i) % LISTS;
        uint64_t *begun = &s->begun[one->list],
                 last = *begun + 1 + drive_random(&s->random) % 3;
        if (drive_random(&s->random) % 9 == 0) last += 60;
        one->made = drive_make(one->list, *begun + 1, last);
        *begun = last;
        one->request = (tm_store_append){.key = drive_key_n(one->list),
                                         .batch = one->made.batch,
                                         .done = on_appended,
                                         .context = one};
        tm_store_append_start(store, &one->request);
    }
    // Between any two steps the process may be gone.
    while (!all[0].done || !all[1].done || !all[2].done) {
        s->b.us += 1000;
        (void)tm_store_poll(store);
        if (drive_random(&s->random) % 60 == 0) tm_disk_crash(s->b.disk);
    }
    for (size_t i = 0; i < AT_ONCE; i++) {
        drive_free(&all[i].made);
    }
}

static void some_chore(story *s, tm_store *store) {
    size_t list = drive_random(&s->random) % LISTS;
    uint64_t head = s->acked[list];
    if (head == 0) return;
    if (drive_random(&s->random) % 3 == 0) {
        uint64_t below = head > 5 ? head - 5 : 0;
        s->gone[list] = below;
        if (drive_trim(store, drive_key_n(list), below, UINT64_MAX, NULL) !=
            TM_OK) {
            s->died = true;
        }
        return;
    }
    size_t len = head % 16 == 0 ? 300000 : head * 10;
    uint8_t *bytes = drive_bytes(list + head, len);
    s->saving[list] = head;
    tm_status status =
        drive_save(store, drive_key_n(list), head, (tm_span){bytes, len});
    free(bytes);
    if (status == TM_OK) s->saved[list] = head;
    if (status != TM_OK) s->died = true;
}

// Idle time: filing, deleting, checkpoints.
static void some_rest(story *s, tm_store *store) {
    for (uint64_t turns = drive_random(&s->random) % 6; turns > 0; turns--) {
        s->b.us += 700000;
        while (tm_sqlite_due(store) <= s->b.us) {
            (void)tm_store_poll(store);
        }
    }
}

static void check_list(story *s, tm_store *store, size_t list) {
    uint64_t from = 0, head = drive_all(store, drive_key_n(list), list, &from);
    T_TRUE(head >= s->acked[list]); // nothing acknowledged is lost
    T_TRUE(head <= s->begun[list]); // and nothing is there that nobody asked for
    T_TRUE(head == 0 || from <= s->gone[list] + 1);
    s->acked[list] = s->begun[list] = head;
    drive_snapshot snapshot = drive_load(store, drive_key_n(list));
    T_OK(snapshot.status);
    T_TRUE(snapshot.seq >= s->saved[list] && snapshot.seq <= s->saving[list]);
    size_t len =
        snapshot.seq % 16 == 0 && snapshot.seq > 0 ? 300000 : snapshot.seq * 10;
    T_EQ(snapshot.len, len);
    uint8_t *bytes = drive_bytes(list + snapshot.seq, len);
    T_EQ(memcmp(snapshot.bytes, bytes, len), 0);
    free(bytes);
    free(snapshot.bytes);
    s->saved[list] = s->saving[list] = snapshot.seq;
    note(s, head);
    note(s, snapshot.seq);
}

// One life of a process, from its start to a crash.
static void live(story *s) {
    tm_store *store = NULL;
    uint64_t dice = drive_random(&s->random);
    tm_disk_fault fault = dice % 8 == 0 ? TM_DISK_KILL : TM_DISK_CRASH;
    tm_disk_fail(s->b.disk, fault, 1 + dice / 8 % 60, 1);
    if (store_try(&s->b, false, &store) != TM_OK) { // the power went at the start
        T_TRUE(stats_of(s->b.disk).struck[fault] > 0);
    } else {
        s->died = false;
        for (int i = 0; !s->died && i < 40; i++) {
            some_appends(s, store);
            if (!s->died && i % 3 == 2) some_chore(s, store);
            if (!s->died && i % 4 == 3) some_rest(s, store);
        }
        tm_store_close(store);
    }
    tm_disk_heal(s->b.disk);
    if (dice / 8 / 60 % 4 == 0) tm_disk_crash(s->b.disk);
}

static uint64_t crashes(uint64_t seed, int lives, tm_disk_stats *stats) {
    story s = {.b = {.disk = disk_new(seed), .us = 1}, .random = seed};
    for (int i = 0; i < lives; i++) {
        live(&s);
        if (i % 4 != 3)
            continue; // some lives begin where one before did not get far
        tm_store *store = store_open(&s.b);
        for (size_t list = 0; list < LISTS; list++) {
            check_list(&s, store, list);
        }
        tm_store_close(store);
        whole(&s.b);
    }
    *stats = stats_of(s.b.disk);
    note(&s, stats->written);
    note(&s, stats->crashes);
    tm_disk_free(s.b.disk);
    return s.digest;
}

static void ten_thousand_crashes(void **state) {
    (void)state;
    static char row[32];
    tm_disk_stats sum = {0};
    for (uint64_t seed = 1; sum.crashes < 10000 / THRIFT; seed++) {
        snprintf(row, sizeof row, "seed %" PRIu64, seed);
        t_row = row;
        tm_disk_stats one;
        (void)crashes(seed, 40, &one);
        sum.crashes += one.crashes;
        sum.kills += one.kills;
        sum.kept += one.kept;
        sum.lost += one.lost;
        sum.torn += one.torn;
    }
    print_message("# %" PRIu64 " crashes, %" PRIu64
                  " kills; of un-synced writes %" PRIu64 " kept, %" PRIu64
                  " lost, %" PRIu64 " torn\n",
                  sum.crashes, sum.kills, sum.kept, sum.lost, sum.torn);
    T_TRUE(sum.kept > 0 && sum.lost > 0 && sum.torn > 0);
}

static void the_same_seed_does_the_same(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        tm_disk_stats first, second;
        T_EQ(crashes(seed, 12, &first), crashes(seed, 12, &second));
        T_EQ(memcmp(&first, &second, sizeof first), 0);
    }
}

// ---- a database restored, copied, damaged -------------------------------------------

static void a_backup_comes_back(void **state) {
    (void)state;
    bench b = {.disk = disk_new(9)};
    tm_disk *backup = NULL;
    tm_key key = drive_key("ann", "list");
    tm_store *store = store_open(&b);
    T_OK(drive_append(store, key, 1, 1, 5));
    T_OK(tm_disk_copy(b.disk, &backup)); // of the running one, its log and all
    T_OK(drive_append(store, key, 1, 6, 9));
    T_OK(tm_disk_restore(b.disk, backup));
    tm_store_close(store); // of a process that was killed for it
    store = store_open(&b);
    T_EQ(drive_all(store, key, 1, NULL), 5);
    tm_store_close(store);
    whole(&b);
    tm_disk_free(b.disk);
    tm_disk_free(backup);
}

static void a_flipped_bit_is_flipped(void **state) {
    (void)state;
    tm_disk *disk = disk_new(2);
    T_TRUE(!tm_disk_flip(disk, NAME, 5));
    sqlite3_file *file = file_open(disk, NAME, MAKE);
    T_TRUE(!tm_disk_flip(disk, NAME, 5)); // it is empty
    T_EQ(file_write(file, 'a', 1000, 0), SQLITE_OK);
    T_EQ(file_sync(file), SQLITE_OK);
    T_TRUE(tm_disk_flip(disk, NAME, 8000 * 7 + 8 * 400 + 1));
    T_EQ(file_count(disk, NAME, 'a', NULL), 999);
    tm_disk_crash(disk);
    T_EQ(file_count(disk, NAME, 'a' ^ 2, NULL), 1);
    file_close(file);
    tm_disk_free(disk);
}

// ---- what every store promises ------------------------------------------------------

static tm_store *open_stepped(void *context) {
    bench *b = context;
    if (b->disk == NULL) b->disk = disk_new(1);
    return store_open(b);
}

static tm_store *open_threaded(void *context) {
    bench *b = context;
    if (b->disk == NULL) b->disk = disk_new(1);
    tm_store *store = NULL;
    T_OK(store_try(b, true, &store));
    return store;
}

static void reset(void *context) {
    bench *b = context;
    tm_disk_free(b->disk);
    b->disk = NULL;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_synced_is_there),
        cmocka_unit_test(a_kill_loses_nothing),
        cmocka_unit_test(names_are_lost_until_a_sync),
        cmocka_unit_test(a_removal_that_was_synced_is_final),
        cmocka_unit_test(a_failed_sync_is_final),
        cmocka_unit_test(plans_strike_where_told),
        cmocka_unit_test(a_copy_is_whole_and_apart),
        cmocka_unit_test(memory_may_be_refused),
        cmocka_unit_test(a_flipped_bit_is_flipped),
        cmocka_unit_test(each_fault_means_what_it_says),
        cmocka_unit_test(what_a_start_shows_is_durable),
        cmocka_unit_test(a_read_that_fails_stops_the_writing),
        cmocka_unit_test(a_backup_comes_back),
        cmocka_unit_test(the_same_seed_does_the_same),
        cmocka_unit_test(ten_thousand_crashes),
    };
    int failed =
        cmocka_run_group_tests_name("the simulated disk", tests, NULL, NULL);
    bench stepped = {0}, threaded = {0};
    const conformance subjects[] = {
        {"sqlite without threads on the simulated disk", open_stepped, reset, true,
         &stepped},
        {"sqlite with threads on the simulated disk", open_threaded, reset, true,
         &threaded},
    };
    for (size_t i = 0; i < COUNT(subjects); i++) {
        failed += conformance_run(&subjects[i]);
        reset(subjects[i].context);
    }
    return failed;
}
