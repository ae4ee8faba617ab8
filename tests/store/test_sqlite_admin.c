// Backup while edits come in, and restore: what is refused, what is replaced, and that
// being interrupted leaves one database or the other, whole.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drive.h"
#include "fault.h"
#include "scratch.h"
#include "t.h"

#define NAME "live.db"
#define COPY "copy.db"

// Our own renames and removals are no calls of SQLite's: these stand before libc's, for
// this program, and kill it at the steps_at-th.
static uint64_t steps, steps_at; // 0 = never

static void step(void) {
    if (steps_at > 0 && ++steps == steps_at) raise(SIGKILL);
}

int unlink(const char *path) {
    step();
    return unlinkat(AT_FDCWD, path, 0);
}

int rename(const char *from, const char *to) {
    step();
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

static void remove_all(void) {
    scratch_remove(NAME);
    scratch_remove(COPY);
    (void)unlink(scratch_path(COPY "-partial"));
    (void)unlink(scratch_path(NAME "-restoring"));
}

static int clean(void **state) {
    (void)state;
    t_row = "";
    remove_all();
    return 0;
}

static tm_status backup(char problem[TM_PROBLEM_MAX]) {
    return tm_sqlite_backup(scratch_path(NAME), scratch_path(COPY), NULL, NULL,
                            problem);
}

static tm_status restore(char problem[TM_PROBLEM_MAX]) {
    return tm_sqlite_restore(scratch_path(COPY), scratch_path(NAME), problem);
}

static void make(uint64_t head) { // one list up to `head`, and a snapshot
    tm_store *store = scratch_open(NAME, NULL);
    for (uint64_t seq = 1; seq <= head; seq++) {
        T_OK(drive_append(store, drive_key_n(1), 1, seq, seq));
    }
    T_OK(drive_save(store, drive_key_n(1), head, t_str("state")));
    tm_store_close(store);
}

static uint64_t head_now(void) {
    tm_store *store = scratch_open(NAME, NULL);
    uint64_t head = drive_all(store, drive_key_n(1), 1, NULL);
    drive_snapshot snapshot = drive_load(store, drive_key_n(1));
    T_EQ(snapshot.seq, head);
    free(snapshot.bytes);
    tm_store_close(store);
    return head;
}

// ---- backup -------------------------------------------------------------------------

struct progress {
    uint64_t done, total;
    size_t calls;
};

static void on_progress(void *context, uint64_t done, uint64_t total) {
    struct progress *progress = context;
    T_TRUE(done <= total);
    T_TRUE(total > 0);
    progress->calls++;
    progress->done = done;
    progress->total = total;
}

static void counted(tm_store_append *request, tm_status status) {
    T_OK(status);
    ++*(size_t *)request->context;
}

// The copy is of one moment: whatever was acknowledged when it began, each list without
// a hole, and nothing that is filed twice.
static void a_backup_while_edits_come_in(void **state) {
    (void)state;
    enum { LISTS = 6, ROUNDS = 300, BEFORE = 5 };
    tm_sqlite_tuning tuning = tm_sqlite_tuning_default;
    tuning.file_delay_ms = 0; // and filing goes on as well
    tm_store *store = scratch_open(NAME, &tuning);
    for (size_t n = 0; n < LISTS; n++) {
        T_OK(drive_append(store, drive_key_n(n), n, 1, BEFORE));
    }
    tm_store_append *requests = calloc(LISTS * ROUNDS, sizeof *requests);
    drive_batch *made = calloc(LISTS * ROUNDS, sizeof *made);
    assert_non_null(requests);
    assert_non_null(made);
    size_t done = 0, count = 0;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        for (size_t n = 0; n < LISTS; n++, count++) {
            made[count] = drive_make(n, BEFORE + round, BEFORE + round);
            requests[count] = (tm_store_append){.key = drive_key_n(n),
                                                .batch = made[count].batch,
                                                .done = counted,
                                                .context = &done};
            tm_store_append_start(store, &requests[count]);
        }
    }
    char problem[TM_PROBLEM_MAX];
    struct progress progress = {0};
    T_OK(tm_sqlite_backup(scratch_path(NAME), scratch_path(COPY), on_progress,
                          &progress, problem));
    T_TRUE(progress.calls > 0);
    T_EQ(progress.done, progress.total); // in the end
    while (tm_store_wait(store) > 0) {
    }
    T_EQ(done, count);
    tm_store_close(store);

    T_TEXT(t_str(scratch_sql(COPY, "PRAGMA integrity_check")), "ok");
    tm_store *copy = scratch_open_read(COPY);
    for (size_t n = 0; n < LISTS; n++) {
        uint64_t head = drive_all(copy, drive_key_n(n), n, NULL);
        T_TRUE(head >= BEFORE && head <= BEFORE + ROUNDS);
    }
    tm_store_close(copy);
    for (size_t i = 0; i < count; i++) {
        drive_free(&made[i]);
    }
    free(made);
    free(requests);
}

static void a_backup_is_whole_or_not_there(void **state) {
    (void)state;
    char problem[TM_PROBLEM_MAX];
    T_STATUS(backup(problem), TM_E_IO); // of nothing
    T_TRUE(strlen(problem) > 10);
    T_TRUE(!scratch_exists(COPY) && !scratch_exists(COPY "-partial"));
    T_TRUE(!scratch_exists(NAME));
    make(3);
    scratch_write(COPY "-partial", "of one that was broken off", 26);
    mode_t before = umask(0);
    T_OK(backup(problem));
    umask(before);
    struct stat st;
    T_EQ(stat(scratch_path(COPY), &st), 0);
    T_EQ(st.st_mode & 07777, 0600);
    T_TRUE(!scratch_exists(COPY "-partial"));
    T_STATUS(backup(problem), TM_E_STATE); // never over what is there
    T_TRUE(strstr(problem, "exists") != NULL);
    scratch_remove(COPY);
    scratch_write(NAME,
                  "not a database at all, but long enough to be taken for one", 58);
    T_STATUS(backup(problem), TM_E_CORRUPT);
    T_TRUE(!scratch_exists(COPY) && !scratch_exists(COPY "-partial"));
    T_STATUS(tm_sqlite_backup(scratch_path(NAME), scratch_path("no/where.db"), NULL,
                              NULL, problem),
             TM_E_CORRUPT);
}

// A daemon that was killed left its last edits in the log beside the database.
static void a_backup_has_what_the_log_has(void **state) {
    (void)state;
    make(2);
    pid_t pid = fork(); // no thread runs here
    T_TRUE(pid >= 0);
    if (pid == 0) {
        tm_store *store = NULL;
        char problem[TM_PROBLEM_MAX];
        if (scratch_try(NAME, NULL, &store, problem) != TM_OK) _exit(1);
        if (drive_append(store, drive_key_n(1), 1, 3, 9) != TM_OK) _exit(2);
        _exit(0); // without a close
    }
    int status = 0;
    T_EQ(waitpid(pid, &status, 0), pid);
    T_EQ(status, 0);
    char problem[TM_PROBLEM_MAX];
    T_OK(backup(problem));
    tm_store *copy = scratch_open_read(COPY);
    T_EQ(drive_all(copy, drive_key_n(1), 1, NULL), 9);
    tm_store_close(copy);
}

// ---- restore ------------------------------------------------------------------------

static void restore_replaces_all(void **state) {
    (void)state;
    char problem[TM_PROBLEM_MAX];
    make(4);
    T_OK(backup(problem));
    // It went on, and was killed: there are edits in the database and in its log.
    pid_t pid = fork();
    T_TRUE(pid >= 0);
    if (pid == 0) {
        tm_store *store = NULL;
        if (scratch_try(NAME, NULL, &store, problem) != TM_OK) _exit(1);
        for (uint64_t seq = 5; seq < 60; seq++) {
            if (drive_append(store, drive_key_n(1), 1, seq, seq) != TM_OK) _exit(2);
        }
        _exit(0);
    }
    int status = 0;
    T_EQ(waitpid(pid, &status, 0), pid);
    T_EQ(status, 0);
    T_TRUE(scratch_exists(NAME "-wal"));
    T_TRUE(scratch_exists(NAME "-shm"));
    T_OK(restore(problem));
    T_TRUE(!scratch_exists(NAME "-wal"));
    T_TRUE(!scratch_exists(NAME "-shm"));
    T_TRUE(!scratch_exists(NAME "-restoring"));
    struct stat st;
    T_EQ(stat(scratch_path(NAME), &st), 0);
    T_EQ(st.st_mode & 07777, 0600);
    T_EQ(head_now(), 4);
    T_TEXT(t_str(scratch_sql(NAME, "PRAGMA integrity_check")), "ok");
    T_OK(restore(problem)); // the backup is as it was
    scratch_remove(NAME);
    T_OK(restore(problem)); // and serves where there is nothing
    T_EQ(head_now(), 4);
}

static void restore_refuses_a_running_daemon(void **state) {
    (void)state;
    char problem[TM_PROBLEM_MAX];
    make(2);
    T_OK(backup(problem));
    tm_store *store = scratch_open(NAME, NULL);
    T_OK(drive_append(store, drive_key_n(1), 1, 3, 3));
    T_STATUS(restore(problem), TM_E_STATE);
    T_TRUE(strstr(problem, "another Tidemark") != NULL);
    T_OK(drive_append(store, drive_key_n(1), 1, 4, 4));
    T_EQ(drive_all(store, drive_key_n(1), 1, NULL), 4);
    tm_store_close(store);
    T_STATUS(tm_sqlite_restore(scratch_path(NAME), scratch_path(NAME), problem),
             TM_E_STATE);
}

static const struct {
    const char *name, *sql; // done to the backup
    tm_status status;
} bad[] = {
    {"newer", "PRAGMA user_version = 2", TM_E_FORMAT},
    {"not ours", "PRAGMA application_id = 3", TM_E_CORRUPT},
    {"an index that lacks rows",
     "PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = (SELECT "
     "rootpage "
     "FROM sqlite_master WHERE name = 'parts') WHERE name LIKE "
     "'sqlite_autoindex_lists%'",
     TM_E_CORRUPT},
};

static void a_bad_backup_is_refused(void **state) {
    (void)state;
    char problem[TM_PROBLEM_MAX];
    for (size_t i = 0; i < COUNT(bad); i++) {
        remove_all();
        t_row = bad[i].name;
        make(3);
        T_OK(backup(problem));
        (void)scratch_sql(COPY, bad[i].sql);
        T_STATUS(restore(problem), bad[i].status);
        T_TRUE(strlen(problem) > 10);
        T_TRUE(!scratch_exists(NAME "-restoring"));
        T_EQ(head_now(), 3); // nothing was touched
    }
    t_row = "nothing there";
    scratch_remove(COPY);
    T_STATUS(restore(problem), TM_E_IO);
    T_EQ(head_now(), 3);
    t_row = "no database";
    scratch_write(
        COPY, "this is prose, long enough to be taken for a database or so", 58);
    T_STATUS(restore(problem), TM_E_CORRUPT);
    T_EQ(head_now(), 3);
}

// Each page of a backup spoilt in turn, in its head or where its rows are looked up:
// refused, or it did not matter.
static void a_spoilt_backup_never_gets_in(void **state) {
    (void)state;
    char problem[TM_PROBLEM_MAX];
    make(30);
    T_OK(backup(problem));
    FILE *file = fopen(scratch_path(COPY), "rb");
    assert_non_null(file);
    static uint8_t bytes[1u << 20];
    size_t len = fread(bytes, 1, sizeof bytes, file), refused = 0;
    fclose(file);
    T_TRUE(len > 4096 && len < sizeof bytes);
    static char row[32];
    for (size_t turn = 0; turn < len / 4096 * 2; turn++) {
        size_t page = turn / 2;
        snprintf(row, sizeof row, "page %zu, %s", page, turn % 2 ? "rows" : "head");
        t_row = row;
        uint8_t *head = bytes + page * 4096 + (page == 0 ? 100 : 0), kept[4];
        if (turn % 2 == 1) head += 8;
        memcpy(kept, head, sizeof kept);
        if (turn % 2 == 0) {
            memset(head, 0xa5, sizeof kept);
        } else { // two rows change places
            memcpy(head, kept + 2, 2);
            memcpy(head + 2, kept, 2);
        }
        scratch_write(COPY, bytes, len);
        memcpy(head, kept, sizeof kept);
        tm_status status = restore(problem);
        if (status == TM_OK) continue; // a page that nothing uses
        T_STATUS(status, TM_E_CORRUPT);
        refused++;
        T_EQ(head_now(), 30);
    }
    T_TRUE(refused > 3);
}

// An old database up to 12: 1 to 8 in the file, the rest in the log beside it. The backup
// is up to 4.
static void old_and_new(void) {
    char problem[TM_PROBLEM_MAX];
    remove_all();
    make(4);
    T_OK(backup(problem));
    tm_store *store = scratch_open(NAME, NULL);
    T_OK(drive_append(store, drive_key_n(1), 1, 5, 8));
    T_OK(drive_save(store, drive_key_n(1), 8, t_str("eight")));
    tm_store_close(store);
    pid_t pid = fork();
    T_TRUE(pid >= 0);
    if (pid == 0) {
        if (scratch_try(NAME, NULL, &store, problem) != TM_OK) _exit(1);
        if (drive_append(store, drive_key_n(1), 1, 9, 12) != TM_OK) _exit(2);
        if (drive_save(store, drive_key_n(1), 12, t_str("twelve")) != TM_OK)
            _exit(3);
        _exit(0); // without a close
    }
    int status = 0;
    T_EQ(waitpid(pid, &status, 0), pid);
    T_EQ(status, 0);
    T_TRUE(scratch_exists(NAME "-wal"));
}

// The head afterwards; *ended says whether the restore came to its end.
static uint64_t interrupted(uint64_t call, uint64_t own_step, bool *ended) {
    char problem[TM_PROBLEM_MAX];
    old_and_new();
    pid_t pid = fork();
    T_TRUE(pid >= 0);
    if (pid == 0) {
        const fault_plan plan = {.kind = FAULT_KILL,
                                 .calls = FAULT_WRITE | FAULT_SYNC | FAULT_TRUNCATE,
                                 .files = FAULT_ANY,
                                 .at = call};
        fault_set(&plan);
        steps = 0;
        steps_at = own_step;
        _exit(restore(problem) == TM_OK ? 0 : 1);
    }
    int status = 0;
    T_EQ(waitpid(pid, &status, 0), pid);
    *ended = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    T_TRUE(*ended || WIFSIGNALED(status));
    return head_now();
}

// Killed at each call to the disk and at each removal and renaming of ours: the database
// is the old one or the new one, with all that belongs to it.
static void a_restore_that_is_interrupted(void **state) {
    (void)state;
    static char row[48];
    for (int own = 0; own < 2; own++) {
        bool ended = false;
        uint64_t olds = 0;
        for (uint64_t at = 1; !ended; at++) {
            snprintf(row, sizeof row, "killed at %s %" PRIu64,
                     own ? "step" : "call", at);
            t_row = row;
            uint64_t head =
                interrupted(own ? UINT64_MAX : at, own ? at : 0, &ended);
            T_EQ(head, head == 4 ? 4 : 12);
            T_TRUE(!ended || head == 4);
            olds += head == 12;
            T_TEXT(t_str(scratch_sql(NAME, "PRAGMA integrity_check")), "ok");
        }
        T_TRUE(olds > 2);
    }
}

int main(void) {
#define CASE(f) cmocka_unit_test_setup(f, clean)
    const struct CMUnitTest tests[] = {
        CASE(a_backup_while_edits_come_in),
        CASE(a_backup_is_whole_or_not_there),
        CASE(a_backup_has_what_the_log_has),
        CASE(restore_replaces_all),
        CASE(restore_refuses_a_running_daemon),
        CASE(a_bad_backup_is_refused),
        CASE(a_spoilt_backup_never_gets_in),
        CASE(a_restore_that_is_interrupted),
    };
    scratch_in_memory();
    fault_install();
    return cmocka_run_group_tests_name("backup and restore", tests, NULL, NULL);
}
