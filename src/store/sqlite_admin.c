// sqlite_admin.c - see sqlite.h: backup and restore.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/sqlite_internal.h"

#define BUSY_MS        1000u
#define PROGRESS_STEPS 20000 // of SQLite's machine between two reports: some ms

typedef struct copying {
    const char *target;
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
    uint64_t total;
} copying;

static uint64_t size_of(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static int on_progress(void *context) {
    copying *copy = context;
    uint64_t done = size_of(copy->target);
    copy->progress(copy->context, done < copy->total ? done : copy->total,
                   copy->total);
    return 0;
}

static tm_status out_of_memory(char problem[TM_PROBLEM_MAX]) {
    snprintf(problem, TM_PROBLEM_MAX, "out of memory");
    return TM_E_NOMEM;
}

// One number or text from the connection; `text` is cut.
static int ask(tm_conn *conn, const char *sql, char *text, size_t size) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        const unsigned char *column = sqlite3_column_text(stmt, 0);
        snprintf(text, size, "%s", column == NULL ? "" : (const char *)column);
    }
    int last = sqlite3_finalize(stmt);
    if (rc == SQLITE_ROW) return last;
    return rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

// Open a database of ours to copy from.
static tm_status source_open(tm_conn *conn, const char *path,
                             char problem[TM_PROBLEM_MAX]) {
    bool empty = false;
    if (access(path, R_OK) != 0) {
        snprintf(problem, TM_PROBLEM_MAX, "%.160s: there is no database to read",
                 path);
        return TM_E_IO;
    }
    tm_status status =
        tm_conn_open(conn, path, NULL, TM_CONN_READ, BUSY_MS, problem);
    if (status == TM_OK) status = tm_schema_check(conn, &empty, problem);
    if (status == TM_OK && empty) {
        snprintf(problem, TM_PROBLEM_MAX, "%.160s: the database is empty", path);
        status = TM_E_CORRUPT;
    }
    return status;
}

// The whole database, of one moment and without the room that deleted rows left, into a
// new file that only its owner may read; durable on return.
static tm_status copy_into(tm_conn *conn, copying *copy,
                           char problem[TM_PROBLEM_MAX]) {
    sqlite3_stmt *vacuum = NULL;
    (void)unlink(copy->target); // of a copy that was broken off
    tm_status status = tm_file_create(copy->target, true, problem);
    if (status != TM_OK) return status;
    int rc = sqlite3_prepare_v2(conn->db, "VACUUM INTO ?1", -1, &vacuum, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_text(vacuum, 1, copy->target, -1, SQLITE_STATIC);
    }
    if (copy->progress != NULL) {
        sqlite3_progress_handler(conn->db, PROGRESS_STEPS, on_progress, copy);
    }
    if (rc == SQLITE_OK) rc = sqlite3_step(vacuum);
    sqlite3_progress_handler(conn->db, 0, NULL, NULL);
    if (rc != SQLITE_DONE) {
        tm_conn_tell(conn, rc, "the copy failed", problem);
        status = tm_conn_unopened(conn, rc);
    }
    sqlite3_finalize(vacuum);
    if (status == TM_OK) status = tm_file_sync(copy->target, problem);
    if (status != TM_OK) (void)unlink(copy->target);
    return status;
}

static tm_status rename_durably(const char *from, const char *to,
                                char problem[TM_PROBLEM_MAX]) {
    if (rename(from, to) == 0) return tm_directory_sync(to, problem);
    snprintf(problem, TM_PROBLEM_MAX, "cannot rename to %.160s: %s", to,
             strerror(errno));
    (void)unlink(from);
    return TM_E_IO;
}

tm_status tm_sqlite_backup(const char *path, const char *target,
                           void (*progress)(void *context, uint64_t done,
                                            uint64_t total),
                           void *context, char problem[256]) {
    problem[0] = '\0';
    if (access(target, F_OK) == 0) {
        snprintf(problem, TM_PROBLEM_MAX, "%.160s exists already", target);
        return TM_E_STATE;
    }
    // Under another name until it is whole: a backup that was broken off must not look
    // like one.
    char *partial = sqlite3_mprintf("%s-partial", target);
    if (partial == NULL) return out_of_memory(problem);
    char pages[32] = "", page[32] = "";
    tm_conn conn = {0};
    tm_status status = source_open(&conn, path, problem);
    if (status == TM_OK) {
        int rc = ask(&conn, "PRAGMA page_count", pages, sizeof pages);
        if (rc == SQLITE_OK) rc = ask(&conn, "PRAGMA page_size", page, sizeof page);
        if (rc != SQLITE_OK) pages[0] = '\0'; // then without a total
        uint64_t total = strtoull(pages, NULL, 10) * strtoull(page, NULL, 10);
        copying copy = {partial, progress, context, total};
        status = copy_into(&conn, &copy, problem);
    }
    tm_conn_close(&conn, false);
    if (status == TM_OK) status = rename_durably(partial, target, problem);
    if (status == TM_OK && progress != NULL) {
        progress(context, size_of(target), size_of(target));
    }
    sqlite3_free(partial);
    return status;
}

// ---- restore ------------------------------------------------------------------------

static tm_status source_check(tm_conn *conn, const char *path,
                              char problem[TM_PROBLEM_MAX]) {
    char said[128] = "";
    int rc = ask(conn, "PRAGMA integrity_check(1)", said, sizeof said);
    if (rc == SQLITE_OK && strcmp(said, "ok") == 0) return TM_OK;
    if (rc != SQLITE_OK) {
        tm_conn_tell(conn, rc, path, problem);
        return tm_conn_unopened(conn, rc);
    }
    snprintf(problem, TM_PROBLEM_MAX, "%.100s is damaged: %.120s", path, said);
    return TM_E_CORRUPT;
}

// What the database's log holds goes into the database, so that a crash between removing
// the one and replacing the other leaves it whole. It may be damaged, which is why
// somebody restores: then there is nothing to keep.
static void log_empty(const char *path) {
    char problem[TM_PROBLEM_MAX];
    tm_conn conn = {0};
    if (access(path, F_OK) != 0) return;
    if (tm_conn_open(&conn, path, NULL, TM_CONN_WRITE, BUSY_MS, problem) == TM_OK) {
        (void)sqlite3_wal_checkpoint_v2(conn.db, NULL, SQLITE_CHECKPOINT_TRUNCATE,
                                        NULL, NULL);
    }
    tm_conn_close(&conn, true);
}

static tm_status beside_remove(const char *path, const char *suffix,
                               char problem[TM_PROBLEM_MAX]) {
    char *name = sqlite3_mprintf("%s%s", path, suffix);
    if (name == NULL) return out_of_memory(problem);
    tm_status status = TM_OK;
    if (unlink(name) != 0 && errno != ENOENT) {
        snprintf(problem, TM_PROBLEM_MAX, "cannot remove %.160s: %s", name,
                 strerror(errno));
        status = TM_E_IO;
    }
    sqlite3_free(name);
    return status;
}

// A log beside a database that it does not belong to would be played into it, so the old
// one is gone for good before the new database has the name.
static tm_status replace(const char *from, const char *path,
                         char problem[TM_PROBLEM_MAX]) {
    log_empty(path);
    tm_status status = beside_remove(path, "-wal", problem);
    if (status == TM_OK) status = beside_remove(path, "-shm", problem);
    if (status == TM_OK) status = tm_directory_sync(path, problem);
    return status == TM_OK ? rename_durably(from, path, problem) : status;
}

static tm_status restore(const char *source, const char *path,
                         char problem[TM_PROBLEM_MAX]) {
    if (strcmp(source, path) == 0) {
        snprintf(problem, TM_PROBLEM_MAX, "source and database are the same file");
        return TM_E_STATE;
    }
    char *partial = sqlite3_mprintf("%s-restoring", path);
    if (partial == NULL) return out_of_memory(problem);
    tm_conn conn = {0};
    int lock = -1;
    tm_status status = tm_lock_take(path, &lock, problem);
    if (status == TM_OK) status = source_open(&conn, source, problem);
    if (status == TM_OK) status = source_check(&conn, source, problem);
    if (status == TM_OK) {
        copying copy = {partial, NULL, NULL, 0};
        status = copy_into(&conn, &copy, problem);
    }
    tm_conn_close(&conn, false);
    if (status == TM_OK) {
        status = replace(partial, path, problem);
        if (status != TM_OK) (void)unlink(partial);
    }
    if (lock >= 0) close(lock);
    sqlite3_free(partial);
    return status;
}

tm_status tm_sqlite_restore(const char *source, const char *path,
                            char problem[256]) {
    problem[0] = '\0';
    char *from = NULL, *to = NULL;
    tm_status status = tm_path_resolve(source, NULL, &from, problem);
    if (status == TM_OK) status = tm_path_resolve(path, NULL, &to, problem);
    if (status == TM_OK) status = restore(from, to, problem);
    sqlite3_free(from);
    sqlite3_free(to);
    return status;
}
