// The embedded store's file: who may open it and who is refused, what a person finds in
// it, and what the store leaves behind.
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drive.h"
#include "scratch.h"
#include "t.h"
#include "watch.h"

#define NAME "file.db"

static int clean(void **state) {
    (void)state;
    t_row = "";
    scratch_remove(NAME);
    return 0;
}

// ---- refusals -----------------------------------------------------------------------

static void a_second_daemon_is_refused(void **state) {
    (void)state;
    char problem[TM_PROBLEM_MAX];
    tm_store *store = scratch_open(NAME, NULL), *second = NULL;
    T_STATUS(scratch_try(NAME, NULL, &second, problem), TM_E_STATE);
    T_TRUE(strstr(problem, "another Tidemark") != NULL);
    char who[32];
    snprintf(who, sizeof who, "process %ld", (long)getpid());
    T_TRUE(strstr(problem, who) != NULL);
    // By another name it is the same database.
    T_EQ(symlink(scratch_path(NAME), scratch_path("link.db")), 0);
    T_STATUS(scratch_try("link.db", NULL, &second, problem), TM_E_STATE);
    T_EQ(unlink(scratch_path("link.db")), 0);
    T_OK(drive_append(store, drive_key_n(1), 1, 1, 1)); // the first is unharmed
    tm_store_close(store);
    store = scratch_open(NAME, NULL); // and the lock goes with it
    T_EQ(drive_all(store, drive_key_n(1), 1, NULL), 1);
    tm_store_close(store);
}

static void a_killed_daemon_leaves_no_lock(void **state) {
    (void)state;
    int ends[2];
    T_EQ(pipe(ends), 0);
    pid_t pid = fork(); // no thread runs here
    T_TRUE(pid >= 0);
    if (pid == 0) {
        tm_store *store = NULL;
        char problem[TM_PROBLEM_MAX], go = 'g';
        if (scratch_try(NAME, NULL, &store, problem) != TM_OK) _exit(1);
        if (drive_append(store, drive_key_n(1), 1, 1, 5) != TM_OK) _exit(2);
        if (write(ends[1], &go, 1) != 1) _exit(3);
        pause();
        _exit(4);
    }
    char go = 0;
    T_EQ(read(ends[0], &go, 1), 1);
    close(ends[0]);
    close(ends[1]);
    tm_store *store = NULL;
    char problem[TM_PROBLEM_MAX], who[32];
    T_STATUS(scratch_try(NAME, NULL, &store, problem), TM_E_STATE);
    snprintf(who, sizeof who, "process %ld", (long)pid);
    T_TRUE(strstr(problem, who) != NULL);
    store = scratch_open_read(NAME); // looking is allowed
    T_EQ(drive_all(store, drive_key_n(1), 1, NULL), 5);
    tm_store_close(store);
    T_EQ(kill(pid, SIGKILL), 0);
    T_EQ(waitpid(pid, NULL, 0), pid);
    store = scratch_open_read(NAME); // its log is still there, and nobody mended it
    T_EQ(drive_all(store, drive_key_n(1), 1, NULL), 5);
    tm_store_close(store);
    store = scratch_open(NAME, NULL);
    T_EQ(drive_all(store, drive_key_n(1), 1, NULL), 5);
    tm_store_close(store);
}

static void make(void) { // a database with something in it
    tm_store *store = scratch_open(NAME, NULL);
    T_OK(drive_append(store, drive_key_n(1), 1, 1, 3));
    tm_store_close(store);
}

static const struct {
    const char *name, *sql;
    tm_status status;
    const char *says;
} strangers[] = {
    {"a newer schema", "PRAGMA user_version = 2", TM_E_FORMAT, "newer"},
    {"a much newer schema", "PRAGMA user_version = 2147483647", TM_E_FORMAT,
     "newer"},
    {"no version", "PRAGMA user_version = 0", TM_E_CORRUPT,
     "not one of Tidemark's"},
    {"a negative version", "PRAGMA user_version = -1", TM_E_CORRUPT,
     "not one of Tidemark's"},
    {"somebody else's", "PRAGMA application_id = 1", TM_E_CORRUPT,
     "not one of Tidemark's"},
    {"nobody's", "PRAGMA application_id = 0", TM_E_CORRUPT,
     "not one of Tidemark's"},
    {"a table is gone", "DROP TABLE journal", TM_E_CORRUPT, "journal"},
    {"a hole in the journal",
     "INSERT INTO journal VALUES (99, 1, 8, 8, 0, zeroblob(32), zeroblob(32), "
     "NULL, "
     "'[]')",
     TM_E_CORRUPT, "does not continue"},
    {"an overlap in the journal",
     "INSERT INTO journal VALUES (99, 1, 3, 8, 0, zeroblob(32), zeroblob(32), "
     "NULL, "
     "'[]')",
     TM_E_CORRUPT, "does not continue"},
    {"a batch of no list",
     "INSERT INTO journal VALUES (99, 7, 1, 1, 0, zeroblob(32), zeroblob(32), "
     "NULL, '[]')",
     TM_E_CORRUPT, "row 99 of journal: it is of no list"},
    {"a batch's list is text",
     "INSERT INTO journal VALUES (99, 'x', 4, 4, 0, zeroblob(32), zeroblob(32), "
     "NULL, '[]')",
     TM_E_CORRUPT, "row 99 of journal: it is of no list"},
    {"a batch below 0",
     "INSERT INTO journal VALUES (-5, 1, 4, 4, 0, zeroblob(32), zeroblob(32), "
     "NULL, '[]')",
     TM_E_CORRUPT, "of journal: a batch has no such number"},
    {"a batch beyond all",
     "INSERT INTO journal VALUES (4611686018427387905, 1, 4, 4, 0, zeroblob(32), "
     "zeroblob(32), NULL, '[]')",
     TM_E_CORRUPT, "journal"},
    {"a range that is none",
     "INSERT INTO journal VALUES (99, 1, 4, 3, 0, zeroblob(32), zeroblob(32), "
     "NULL, '[]')",
     TM_E_CORRUPT, "row 99 of journal: first_seq and last_seq"},
    {"a first_seq that is text",
     "INSERT INTO journal VALUES (99, 1, 'x', 9, 0, zeroblob(32), zeroblob(32), "
     "NULL, '[]')",
     TM_E_CORRUPT, "row 99 of journal: first_seq and last_seq"},
    {"out of order",
     "INSERT INTO journal VALUES (99, 1, 2, 3, 0, zeroblob(32), zeroblob(32), "
     "NULL, '[]')",
     TM_E_CORRUPT, "row 99 of journal: it does not continue"},
    {"filed as another",
     "INSERT INTO batches SELECT list_id << 36 | first_seq, last_seq, accepted_ms, "
     "before, zeroblob(32), rejected, operations FROM journal",
     TM_E_CORRUPT, "row 1 of journal: another batch is filed in its place"},
    {"a list's name is a BLOB", "UPDATE lists SET list = CAST(list AS BLOB)",
     TM_E_CORRUPT, "row 1 of lists: no user has such a list"},
    {"a filed number is text",
     "INSERT INTO batches SELECT list_id << 36 | first_seq, 'x', accepted_ms, "
     "before, mark, rejected, operations FROM journal",
     TM_E_CORRUPT, "row 68719476736 of batches"},
};

static void strangers_are_refused(void **state) {
    for (size_t i = 0; i < COUNT(strangers); i++) {
        for (int read_only = 0; read_only < 2; read_only++) {
            (void)clean(state);
            t_row = strangers[i].name;
            make();
            (void)scratch_sql(NAME, strangers[i].sql);
            (void)scratch_sql(NAME, "PRAGMA wal_checkpoint(TRUNCATE)");
            char problem[TM_PROBLEM_MAX], before[24], after[24];
            snprintf(before, sizeof before, "%s",
                     scratch_sql(NAME, "PRAGMA user_version"));
            tm_store *store = NULL;
            tm_sqlite_options options = {.path = scratch_path(NAME),
                                         .read_only = read_only != 0};
            T_STATUS(tm_sqlite_open(&options, &store, problem),
                     strangers[i].status);
            T_TRUE(strstr(problem, strangers[i].says) != NULL);
            snprintf(after, sizeof after, "%s",
                     scratch_sql(NAME, "PRAGMA user_version"));
            T_TEXT(t_str(after), before);
        }
    }
}

// What would lead the next rows astray is refused by whoever writes them; looking is
// allowed, for `verify` says more.
static void misleading_rows_are_refused(void **state) {
    static const struct {
        const char *name, *sql, *says;
    } rows[] = {
        {"a list's id", "INSERT INTO lists VALUES (134217728, 'x', 'y')",
         "row 134217728 of lists: no list has such an id"},
        {"a part's id", "INSERT INTO parts VALUES (9223372036854775807, x'')",
         "of parts: no part has such an id"},
        {"loose parts", "INSERT INTO loose_parts VALUES (3, -1)",
         "row 3 of loose_parts: it names no parts"},
        {"a snapshot's parts",
         "INSERT INTO snapshots VALUES (1, 1, 5, 2, 3); "
         "INSERT INTO loose_parts VALUES (6, 1)",
         "row 6 of loose_parts: it names parts of a snapshot"},
        {"the journal's numbers",
         "UPDATE sqlite_sequence SET seq = 9223372036854775807",
         "the journal never got so far"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char problem[TM_PROBLEM_MAX];
        tm_store *store = NULL;
        (void)clean(state);
        t_row = rows[i].name;
        make();
        for (const char *at = rows[i].sql; at != NULL;) {
            char one[128]; // scratch_sql runs one statement
            const char *end = strchr(at, ';');
            size_t len = end == NULL ? strlen(at) : (size_t)(end - at);
            snprintf(one, sizeof one, "%.*s", (int)len, at);
            (void)scratch_sql(NAME, one);
            at = end == NULL ? NULL : end + 2;
        }
        T_STATUS(scratch_try(NAME, NULL, &store, problem), TM_E_CORRUPT);
        T_TRUE(strstr(problem, rows[i].says) != NULL);
        store = scratch_open_read(NAME);
        T_EQ(drive_all(store, drive_key_n(1), 1, NULL), 3);
        tm_store_close(store);
    }
}

// A row that was spoilt while the daemon runs is met by a read: the store says which, and
// takes nothing more.
static void a_spoilt_row_is_named(void **state) {
    static const struct {
        const char *name, *sql, *says;
    } rows[] = {
        {"a time that is text", "UPDATE journal SET accepted_ms = 'x'",
         "row 1 of journal: its numbers or marks are none"},
        {"a short mark", "UPDATE journal SET mark = x'00'",
         "row 1 of journal: its numbers or marks are none"},
        {"another batch", "UPDATE journal SET first_seq = 2",
         "row 1 of journal: it is another batch than it was"},
        {"gone", "DELETE FROM journal",
         "row 1 of journal: it is gone, and was not filed"},
    };
    tm_sqlite_tuning never = tm_sqlite_tuning_default;
    never.file_delay_ms = UINT32_MAX;
    for (size_t i = 0; i < COUNT(rows); i++) {
        (void)clean(state);
        t_row = rows[i].name;
        tm_store *store = scratch_open(NAME, &never);
        T_OK(drive_append(store, drive_key_n(1), 1, 1, 3));
        (void)scratch_sql(NAME, rows[i].sql);
        drive_page page = drive_read(store, drive_key_n(1), 0, 100, UINT64_MAX);
        T_STATUS(page.status, TM_E_CORRUPT);
        drive_page_free(&page);
        tm_span why;
        T_STATUS(tm_store_health(store, &why), TM_E_CORRUPT);
        T_TRUE(strstr((const char *)why.ptr, rows[i].says) != NULL);
        tm_store_close(store);
    }
}

// A damaged name comes from a row: there is no such list, and nothing asserts.
static void a_name_that_no_list_has(void **state) {
    static uint8_t longest[TM_KEY_USER_MAX + 1];
    static const tm_key keys[] = {
        {{longest, 0}, {longest, 1}},
        {{longest, 1}, {longest, 0}},
        {{longest, sizeof longest}, {longest, 1}},
        {{longest, 1}, {longest, TM_KEY_LIST_MAX + 1}},
    };
    (void)clean(state);
    make();
    tm_store *store = scratch_open_read(NAME);
    for (size_t i = 0; i < COUNT(keys); i++) {
        drive_page page = drive_read(store, keys[i], 0, 100, UINT64_MAX);
        T_STATUS(page.status, TM_E_CORRUPT);
        drive_page_free(&page);
        drive_snapshot loaded = drive_load(store, keys[i]);
        T_STATUS(loaded.status, TM_E_CORRUPT);
        free(loaded.bytes);
    }
    T_EQ(drive_all(store, drive_key_n(1), 1, NULL), 3);
    tm_store_close(store);
}

static const struct {
    const char *name;
    const char *bytes;
    size_t len;
    tm_status status;
} files[] = {
    {"text", "once upon a time there was no database at all, only prose, and ", 512,
     TM_E_CORRUPT},
    {"a header and nothing else", "SQLite format 3", 100, TM_E_CORRUPT},
    {"two bytes", "xy", 2, TM_E_CORRUPT},
};

static void what_is_no_database_is_refused(void **state) {
    for (size_t i = 0; i < COUNT(files); i++) {
        (void)clean(state);
        t_row = files[i].name;
        char bytes[512] = {0}, problem[TM_PROBLEM_MAX];
        memcpy(bytes, files[i].bytes, strlen(files[i].bytes));
        scratch_write(NAME, bytes, files[i].len);
        tm_store *store = NULL;
        T_STATUS(scratch_try(NAME, NULL, &store, problem), files[i].status);
        T_TRUE(strlen(problem) > 10);
    }
}

static void a_place_that_cannot_be(void **state) {
    (void)state;
    char problem[TM_PROBLEM_MAX];
    tm_store *store = NULL;
    T_STATUS(scratch_try("no/such/directory/x.db", NULL, &store, problem), TM_E_IO);
    T_TRUE(strlen(problem) > 10);
    T_EQ(mkdir(scratch_path("directory.db"), 0700), 0);
    T_TRUE(scratch_try("directory.db", NULL, &store, problem) != TM_OK);
    T_TRUE(strlen(problem) > 10);
    tm_sqlite_options options = {.path = scratch_path(NAME), .read_only = true};
    T_STATUS(tm_sqlite_open(&options, &store, problem), TM_E_IO);
    T_TRUE(!scratch_exists(NAME)); // looking makes nothing
    scratch_write(NAME, "", 0);
    T_STATUS(tm_sqlite_open(&options, &store, problem), TM_E_STATE);
    T_TRUE(strstr(problem, "empty") != NULL);
    store = scratch_open(NAME, NULL); // but an empty file may become one
    tm_store_close(store);
}

static const struct {
    const char *name;
    unsigned long magic;
    bool remote;
} filesystems[] = {
    {"ext4", 0xef53, false},
    {"XFS", 0x58465342, false},
    {"btrfs", 0x9123683e, false},
    {"tmpfs", 0x01021994, false},
    {"overlay", 0x794c7630, false},
    {"ZFS", 0x2fc12fc1, false},
    {"NFS", 0x6969, true},
    {"SMB", 0x517b, true},
    {"CIFS", 0xff534d42, true},
    {"CIFS, sign extended", 0xffffffffff534d42, true},
    {"SMB2", 0xfe534d42, true},
    {"9P", 0x01021997, true},
    {"FUSE", 0x65735546, true},
    {"Ceph", 0x00c36400, true},
};

static void network_filesystems_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(filesystems); i++) {
        t_row = filesystems[i].name;
        const char *name = NULL;
        T_EQ(tm_filesystem_remote(filesystems[i].magic, &name),
             filesystems[i].remote);
        T_TRUE((name != NULL) == filesystems[i].remote);
    }
    char problem[TM_PROBLEM_MAX];
    scratch_write(NAME, "", 0);
    T_OK(tm_file_local(scratch_path(NAME), problem));
    T_STATUS(tm_file_local("/nowhere/at/all", problem), TM_E_IO);
}

// A pragma that does not take: every connection is made with it turned the other way,
// and an authorizer that ignores attempts to set it right.
static const char *stubborn, *stubborn_sql;

static int ignore_pragma(void *context, int action, const char *name,
                         const char *value, const char *database,
                         const char *from) {
    (void)context;
    (void)database;
    (void)from;
    if (action != SQLITE_PRAGMA || value == NULL) return SQLITE_OK;
    return strcmp(name, stubborn) == 0 ? SQLITE_IGNORE : SQLITE_OK;
}

static int on_connection(sqlite3 *db, char **error, const void *api) {
    (void)error;
    (void)api;
    (void)sqlite3_exec(db, stubborn_sql, NULL, NULL, NULL);
    return sqlite3_set_authorizer(db, ignore_pragma, NULL);
}

static const struct {
    const char *name, *sql;
} pragmas[] = {
    {"journal_mode", "PRAGMA journal_mode = DELETE"},
    {"synchronous", "PRAGMA synchronous = NORMAL"},
    {"synchronous", "PRAGMA synchronous = OFF"},
    {"wal_autocheckpoint", "PRAGMA wal_autocheckpoint = 1000"},
    {"secure_delete", "PRAGMA secure_delete = ON"},
};

static void pragmas_are_read_back(void **state) {
    for (size_t i = 0; i < COUNT(pragmas); i++) {
        (void)clean(state);
        t_row = pragmas[i].sql;
        stubborn = pragmas[i].name;
        stubborn_sql = pragmas[i].sql;
        void (*entry)(void) = (void (*)(void))on_connection;
        T_EQ(sqlite3_auto_extension(entry), SQLITE_OK);
        char problem[TM_PROBLEM_MAX];
        tm_store *store = NULL;
        tm_status status = scratch_try(NAME, NULL, &store, problem);
        sqlite3_reset_auto_extension();
        T_STATUS(status, TM_E_STATE);
        T_TRUE(strstr(problem, pragmas[i].name) != NULL);
    }
}

// ---- what is in the file ------------------------------------------------------------

static void only_its_owner_can_read_it(void **state) {
    (void)state;
    mode_t before = umask(0); // however careless the shell was
    tm_store *store = scratch_open(NAME, NULL);
    T_OK(drive_append(store, drive_key_n(1), 1, 1, 1));
    static const char *const names[] = {NAME, NAME "-wal", NAME "-shm",
                                        NAME "-lock"};
    for (size_t i = 0; i < COUNT(names); i++) {
        t_row = names[i];
        struct stat st;
        T_EQ(stat(scratch_path(names[i]), &st), 0);
        T_EQ(st.st_mode & 07777, 0600);
    }
    tm_store_close(store);
    umask(before);
    t_row = "";
    T_TRUE(
        !scratch_exists(NAME "-wal")); // a clean end leaves one file and the lock
    T_TRUE(!scratch_exists(NAME "-shm"));
}

static void a_person_can_query_it(void **state) {
    (void)state;
    for (int filed = 0; filed < 2; filed++) {
        (void)clean(state);
        t_row = filed ? "filed" : "in the journal";
        tm_sqlite_tuning tuning = tm_sqlite_tuning_default;
        tuning.file_delay_ms = filed ? 0 : UINT32_MAX;
        watch w = {.at = NULL};
        watch_begin(&w, &tuning);
        tm_store *store = scratch_open(NAME, &tuning);
        T_OK(drive_append(store, drive_key("ann", "selected-images"), 7, 1, 3));
        T_OK(drive_append(store, drive_key("bob", "list"), 7, 1, 1));
        T_OK(drive_append(store, drive_key("ann", "selected-images"), 7, 4, 4));
        if (filed) { // each appended row is deleted from the journal in the end
            for (uint64_t n = 1;; n++) {
                watch_for(&w, TM_POINT_DELETED, n);
                tm_store_stats stats;
                tm_store_stats_get(store, &stats);
                if (stats.backlog == 0) break;
            }
        }
        static const char *const asked[][2] = {
            {"SELECT count(*) FROM log", "3"},
            {"SELECT count(*) FROM operations WHERE user = 'ann'", "4"},
            {"SELECT group_concat(seq) FROM (SELECT seq FROM operations WHERE user "
             "= "
             "'ann' AND list = 'selected-images' ORDER BY seq)",
             "1,2,3,4"},
            {"SELECT json_extract(operation, '$.data.description') FROM operations "
             "WHERE user = 'bob'",
             "it's \"100%\" #7"},
            {"SELECT count(*) FROM log, json_each(log.operations)", "5"},
            {"SELECT max(last_seq) FROM log WHERE user = 'ann'", "4"},
            {"SELECT count(*) FROM log WHERE length(before) = 32 AND length(mark) "
             "= 32",
             "3"},
            {"SELECT accepted_ms FROM log WHERE user = 'bob'", "1"},
            {"SELECT typeof(operations) FROM log", "text"},
            {"SELECT typeof(user) FROM lists", "text"},
        };
        for (size_t i = 0; i < COUNT(asked); i++) {
            t_row = asked[i][0];
            T_TEXT(t_str(scratch_sql(NAME, asked[i][0])), asked[i][1]);
        }
        tm_store_close(store);
        watch_end(&w);
    }
}

// The queries of the documentation are run; an error in one fails.
static void the_documentation_can_be_asked(void **state) {
    (void)state;
    tm_store *store = scratch_open(NAME, NULL);
    T_OK(drive_append(store, drive_key("ann", "selected-images"), 7, 1, 3));
    tm_store_close(store);
    FILE *page = fopen("docs/STORAGE.md", "r");
    assert_non_null(page);
    static char line[1024], sql[8192];
    size_t len = 0;
    bool inside = false;
    while (fgets(line, sizeof line, page) != NULL) {
        if (strcmp(line, "```\n") == 0) inside = false;
        if (inside) {
            T_TRUE(len + strlen(line) < sizeof sql);
            memcpy(sql + len, line, strlen(line) + 1);
            len += strlen(line);
        }
        if (strcmp(line, "```sql\n") == 0) inside = true;
    }
    fclose(page);
    T_TRUE(len > 500);
    T_TEXT(t_str(scratch_sql(NAME, sql)), "ann"); // the largest list
}

// Rows that are filed but not yet deleted from the journal are shown once: the store is
// held right there, on the writer's thread.
static void log_shows_each_batch_once(watch *w, tm_point point) {
    const uint64_t *appended = w->context;
    if (point != TM_POINT_FILED && point != TM_POINT_MOVED) return;
    char count[24];
    snprintf(count, sizeof count, "%" PRIu64, *appended);
    T_TEXT(t_str(scratch_sql(NAME, "SELECT count(*) FROM log")), count);
}

static void the_log_is_whole_while_it_is_filed(void **state) {
    (void)state;
    uint64_t appended = 40;
    tm_sqlite_tuning tuning = tm_sqlite_tuning_default;
    tuning.file_delay_ms = UINT32_MAX;
    tm_store *store = scratch_open(NAME, &tuning);
    for (uint64_t i = 0; i < appended; i++) {
        T_OK(drive_append(store, drive_key_n(i % 4), i % 4, i / 4 + 1, i / 4 + 1));
    }
    tm_store_close(store);
    watch w = {.at = log_shows_each_batch_once, .context = &appended};
    tuning.file_delay_ms = 0;
    tuning.slice_us = 50; // a few rows at a time
    watch_begin(&w, &tuning);
    store = scratch_open(NAME, &tuning);
    watch_for(&w, TM_POINT_DELETED, 1);
    tm_store_close(store);
    watch_end(&w);
    T_TRUE(w.counts[TM_POINT_FILED] > 1);
}

static void journal_numbers_are_never_used_again(void **state) {
    (void)state;
    tm_sqlite_tuning tuning = tm_sqlite_tuning_default;
    tuning.file_delay_ms = 0;
    for (uint64_t round = 0; round < 4; round++) {
        watch w = {.at = NULL};
        watch_begin(&w, &tuning);
        tm_store *store = scratch_open(NAME, &tuning);
        T_OK(drive_append(store, drive_key_n(1), 1, round * 2 + 1, round * 2 + 1));
        T_OK(drive_append(store, drive_key_n(1), 1, round * 2 + 2, round * 2 + 2));
        watch_for(&w, TM_POINT_DELETED, 1);
        tm_store_close(store);
        watch_end(&w);
        char used[24];
        snprintf(used, sizeof used, "%" PRIu64, round * 2 + 2);
        T_TEXT(t_str(scratch_sql(NAME, "SELECT seq FROM sqlite_sequence")), used);
    }
}

// Somebody takes the filed rows away before those of the journal are deleted.
static void filed_rows_vanish(watch *w, tm_point point) {
    bool *done = w->context;
    if (point != TM_POINT_MOVED || *done) return;
    *done = true;
    (void)scratch_sql(NAME, "DELETE FROM batches");
}

static void what_is_not_filed_is_not_deleted(void **state) {
    (void)state;
    tm_sqlite_tuning tuning = tm_sqlite_tuning_default;
    tuning.file_delay_ms = UINT32_MAX;
    tm_store *store = scratch_open(NAME, &tuning);
    for (uint64_t seq = 1; seq <= 5; seq++) {
        T_OK(drive_append(store, drive_key_n(1), 1, seq, seq));
    }
    tm_store_close(store);
    bool done = false;
    watch w = {.at = filed_rows_vanish, .context = &done};
    tuning.file_delay_ms = 0;
    watch_begin(&w, &tuning);
    store = scratch_open(NAME, &tuning);
    tm_span why;
    for (uint64_t seq = 1; seq <= 5000 && tm_store_health(store, &why) == TM_OK;
         seq++) {
        (void)drive_append(store, drive_key_n(2), 2, seq, seq);
    }
    tm_store_close(store);
    watch_end(&w);
    T_TEXT(t_str(scratch_sql(NAME,
                             "SELECT count(*) FROM log"
                             " WHERE list = (SELECT list FROM lists WHERE id = 1)"
                             " AND user = (SELECT user FROM lists WHERE id = 1)")),
           "5");
}

static void numbers_beyond_the_keys_are_refused(void **state) {
    (void)state;
    tm_store *store = scratch_open(NAME, NULL);
    drive_batch made = drive_make(1, 1, 1);
    made.batch.last_seq = TM_AT_SEQ_MAX - 1;
    T_OK(drive_append_batch(store, drive_key_n(1), &made.batch));
    made.batch.first_seq = made.batch.last_seq = TM_AT_SEQ_MAX;
    T_OK(drive_append_batch(store, drive_key_n(1),
                            &made.batch)); // the last there is
    made.batch.first_seq = made.batch.last_seq = TM_AT_SEQ_MAX + 1;
    T_STATUS(drive_append_batch(store, drive_key_n(1), &made.batch), TM_E_RANGE);
    made.batch.first_seq = 1;
    made.batch.last_seq = UINT64_MAX;
    T_STATUS(drive_append_batch(store, drive_key_n(2), &made.batch), TM_E_RANGE);
    made.batch.last_seq = 1;
    made.batch.accepted_ms = UINT64_MAX;
    T_STATUS(drive_append_batch(store, drive_key_n(2), &made.batch), TM_E_RANGE);
    T_STATUS(drive_save(store, drive_key_n(2), UINT64_MAX, t_str("x")), TM_E_RANGE);
    tm_store_close(store);
    (void)scratch_sql(NAME, "INSERT INTO lists VALUES (134217726, 'z', 'z')");
    store = scratch_open(NAME, NULL);
    T_OK(drive_append(store, drive_key_n(3), 3, 1, 1)); // takes the last id
    T_STATUS(drive_append(store, drive_key_n(4), 4, 1, 1), TM_E_RANGE);
    T_STATUS(drive_save(store, drive_key_n(4), 1, t_str("x")), TM_E_RANGE);
    T_OK(drive_append(store, drive_key_n(3), 3, 2, 2));
    tm_span why;
    T_OK(tm_store_health(store, &why));
    drive_page page = drive_read(store, drive_key_n(1), TM_AT_SEQ_MAX, 9, 9);
    T_EQ(page.count, 1);
    T_EQ(page.batches[0].first_seq, TM_AT_SEQ_MAX);
    drive_page_free(&page);
    tm_store_close(store);
    drive_free(&made);
}

// ---- one moment ---------------------------------------------------------------------

static void stop_there(tm_store_append *request, tm_status status) {
    *(tm_status *)request->context = status;
}

static void a_look_is_one_moment_and_changes_nothing(void **state) {
    (void)state;
    for (int filed = 0; filed < 2; filed++) {
        (void)clean(state);
        tm_sqlite_tuning tuning = tm_sqlite_tuning_default;
        tuning.file_delay_ms = filed ? 0 : UINT32_MAX;
        watch w = {.at = NULL};
        watch_begin(&w, &tuning);
        tm_store *store = scratch_open(NAME, &tuning);
        tm_key key = drive_key("ann", "list");
        T_OK(drive_append(store, key, 1, 1, 5));
        T_OK(drive_save(store, key, 5, t_str("five")));
        if (filed) watch_for(&w, TM_POINT_DELETED, 1);
        tm_store *look = scratch_open_read(NAME);
        T_OK(drive_append(store, key, 1, 6, 6));
        T_OK(drive_append(store, drive_key("bob", "list"), 2, 1, 1));
        T_OK(drive_save(store, key, 6, t_str("six")));
        T_EQ(drive_all(look, key, 1, NULL), 5);
        T_EQ(drive_all(look, drive_key("bob", "list"), 2, NULL), 0);
        drive_snapshot snapshot = drive_load(look, key);
        T_EQ(snapshot.seq, 5);
        T_TEXT(((tm_span){snapshot.bytes, snapshot.len}), "five");
        free(snapshot.bytes);
        // It cannot be written to, and says so when asked.
        tm_status status = TM_OK;
        drive_batch made = drive_make(1, 6, 6);
        tm_store_append append = {.key = key,
                                  .batch = made.batch,
                                  .done = stop_there,
                                  .context = &status};
        tm_store_append_start(look, &append);
        T_EQ(tm_store_wait(look), 1);
        T_STATUS(status, TM_E_STATE);
        drive_free(&made);
        T_STATUS(drive_save(look, key, 9, t_str("x")), TM_E_STATE);
        T_STATUS(drive_trim(look, key, 9, 9, NULL), TM_E_STATE);
        tm_span why;
        T_STATUS(tm_store_health(look, &why), TM_E_STATE);
        T_TRUE(why.len > 0);
        tm_store_stats stats;
        tm_store_stats_get(look, &stats);
        T_TRUE(stats.reads > 0 && stats.loads == 1);
        T_EQ(tm_store_poll(look), 0);
        tm_store_close(look);
        T_EQ(drive_all(store, key, 1, NULL), 6);
        tm_store_close(store);
        watch_end(&w);
    }
}

static void count_list(void *context, tm_key key, uint64_t head) {
    (void)key;
    *(uint64_t *)context += head;
}

static void a_look_without_a_daemon(void **state) {
    (void)state;
    make();
    T_EQ(chmod(scratch_path(NAME), 0400), 0);
    tm_store *look = scratch_open_read(NAME);
    T_EQ(drive_all(look, drive_key_n(1), 1, NULL), 3);
    uint64_t heads = 0;
    T_OK(tm_store_lists(look, count_list, &heads));
    T_EQ(heads, 3);
    tm_store_close(look);
    T_EQ(chmod(scratch_path(NAME), 0600), 0);
    tm_store *store = scratch_open(NAME, NULL);
    T_OK(drive_append(store, drive_key_n(1), 1, 4, 4));
    tm_store_close(store);
}

// ---- in the long run ----------------------------------------------------------------

static void counted(tm_store_append *request, tm_status status) {
    T_OK(status);
    ++*(size_t *)request->context;
}

// More lists than are kept in memory: those forgotten go on where they were.
static void lists_beyond_what_memory_keeps(void **state) {
    (void)state;
    enum { COUNT_ = TM_IDLE_PLACES_MAX + 500 };
    tm_sqlite_tuning tuning = tm_sqlite_tuning_default;
    tuning.file_delay_ms = 0;
    tm_store *store = scratch_open(NAME, &tuning);
    tm_store_append *requests = calloc(COUNT_, sizeof *requests);
    char(*users)[16] = calloc(COUNT_, sizeof *users);
    assert_non_null(requests);
    assert_non_null(users);
    tm_batch batch = {.operations = t_str("[{}]")};
    for (uint64_t round = 1; round <= 2; round++) {
        size_t done = 0;
        for (size_t i = 0; i < COUNT_; i++) {
            snprintf(users[i], sizeof users[i], "u%zu", i);
            batch.first_seq = batch.last_seq = round;
            requests[i] = (tm_store_append){.key = drive_key(users[i], "list"),
                                            .batch = batch,
                                            .done = counted,
                                            .context = &done};
            tm_store_append_start(store, &requests[i]);
        }
        while (tm_store_wait(store) > 0) {
        }
        T_EQ(done, COUNT_);
    }
    tm_store_close(store);
    T_TEXT(t_str(scratch_sql(NAME,
                             "SELECT min(n) || ' ' || max(n) FROM (SELECT "
                             "max(last_seq) AS n FROM log GROUP BY user, list)")),
           "2 2");
    free(users);
    free(requests);
}

// However fast edits come, what waits to be filed is bounded: then they wait.
static void the_backlog_has_an_end(void **state) {
    (void)state;
    enum { FIRST = 64, WINDOW = 10, ROUNDS = 200 };
    tm_sqlite_tuning tuning = tm_sqlite_tuning_default;
    tuning.file_delay_ms = 3600 * 1000; // it would not begin by itself
    tuning.file_rows = tuning.file_first = FIRST;
    tm_store *store = scratch_open(NAME, &tuning);
    tm_store_append requests[WINDOW];
    drive_batch made[WINDOW];
    uint64_t most = 0;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        size_t done = 0;
        for (size_t i = 0; i < WINDOW; i++) {
            made[i] = drive_make(i, round, round);
            requests[i] = (tm_store_append){.key = drive_key_n(i),
                                            .batch = made[i].batch,
                                            .done = counted,
                                            .context = &done};
            tm_store_append_start(store, &requests[i]);
        }
        while (tm_store_wait(store) > 0) {
        }
        T_EQ(done, WINDOW);
        tm_store_stats stats;
        tm_store_stats_get(store, &stats);
        if (stats.backlog > most) most = stats.backlog;
        for (size_t i = 0; i < WINDOW; i++) {
            drive_free(&made[i]);
        }
    }
    T_TRUE(most >= WINDOW);
    T_TRUE(most < FIRST + WINDOW);
    tm_store_close(store);
}

static uint64_t size_of(const char *name) {
    struct stat st;
    return stat(scratch_path(name), &st) == 0 ? (uint64_t)st.st_size : 0;
}

// The log starts again at its beginning although somebody always writes, and is cut to
// nothing when nobody does.
static void the_log_stays_short(void **state) {
    (void)state;
    tm_sqlite_tuning tuning = tm_sqlite_tuning_default;
    tuning.wal_pages = 50;
    tuning.wal_pages_max = 200;
    tuning.file_delay_ms = 0;
    tuning.idle_ms = 0;
    watch w = {.at = NULL};
    watch_begin(&w, &tuning);
    tm_store *store = scratch_open(NAME, &tuning);
    uint8_t *bytes = drive_bytes(1, 20000);
    uint64_t largest = 0;
    for (uint64_t seq = 1; seq <= 600; seq++) { // 12 MB, and as much filed
        uint64_t turn = (seq + 1) / 2;
        tm_batch batch = {turn, turn, 0, .operations = {bytes, 20000}};
        T_OK(drive_append_batch(store, drive_key_n(seq % 2), &batch));
        uint64_t now = size_of(NAME "-wal");
        if (now > largest) largest = now;
    }
    T_TRUE(largest < 8000000);
    watch_for(&w, TM_POINT_EMPTIED, watch_count(&w, TM_POINT_EMPTIED) + 1);
    tm_store_close(store);
    watch_end(&w);
    free(bytes);
}

int main(void) {
#define CASE(f) cmocka_unit_test_setup(f, clean)
    const struct CMUnitTest tests[] = {
        CASE(a_second_daemon_is_refused),
        CASE(a_killed_daemon_leaves_no_lock),
        CASE(misleading_rows_are_refused),
        CASE(a_spoilt_row_is_named),
        CASE(a_name_that_no_list_has),
        CASE(strangers_are_refused),
        CASE(what_is_no_database_is_refused),
        CASE(a_place_that_cannot_be),
        CASE(network_filesystems_are_refused),
        CASE(pragmas_are_read_back),
        CASE(only_its_owner_can_read_it),
        CASE(a_person_can_query_it),
        CASE(the_documentation_can_be_asked),
        CASE(the_log_is_whole_while_it_is_filed),
        CASE(journal_numbers_are_never_used_again),
        CASE(what_is_not_filed_is_not_deleted),
        CASE(numbers_beyond_the_keys_are_refused),
        CASE(a_look_is_one_moment_and_changes_nothing),
        CASE(a_look_without_a_daemon),
        CASE(lists_beyond_what_memory_keeps),
        CASE(the_backlog_has_an_end),
        CASE(the_log_stays_short),
    };
    return cmocka_run_group_tests_name("the database file", tests, NULL, NULL);
}
