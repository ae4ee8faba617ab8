// sqlite_conn.c - see sqlite_internal.h: a connection, its statements, its errors.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "store/sqlite_internal.h"

#define CACHE_KIB                                                                  \
    "1024" // of pages, per connection: filing's inner pages stay in it

// What the store's promises rest on. Set on every connection that writes or moves the
// log, and read back: a build of SQLite, a hook or a filesystem may not do as told.
static const struct {
    const char *name, *set, *get, *want;
} pragmas[] = {
    {"journal_mode", "PRAGMA journal_mode = WAL", "PRAGMA journal_mode", "wal"},
    {"synchronous", "PRAGMA synchronous = FULL", "PRAGMA synchronous", "2"},
    {"wal_autocheckpoint", "PRAGMA wal_autocheckpoint = 0",
     "PRAGMA wal_autocheckpoint", "0"},
    {"secure_delete", "PRAGMA secure_delete = OFF", "PRAGMA secure_delete", "0"},
};

tm_status tm_conn_unopened(const tm_conn *conn, int rc) {
    tm_status status = tm_conn_unread(conn, rc);
    if (status != TM_E_AGAIN) return status;
    return (rc & 0xff) == SQLITE_FULL ? TM_E_IO : TM_E_STATE;
}

tm_status tm_conn_open(tm_conn *conn, const char *path, const char *vfs,
                       tm_conn_mode mode, uint32_t busy_ms,
                       char problem[TM_PROBLEM_MAX]) {
    int flags = mode == TM_CONN_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    if (vfs != NULL && mode == TM_CONN_WRITE) flags |= SQLITE_OPEN_CREATE;
    // One thread at a time uses a connection, so SQLite need not lock it.
    int rc = sqlite3_open_v2(path, &conn->db, flags | SQLITE_OPEN_NOMUTEX, vfs);
    if (rc == SQLITE_OK) rc = sqlite3_extended_result_codes(conn->db, 1);
    if (rc == SQLITE_OK) rc = sqlite3_busy_timeout(conn->db, (int)busy_ms);
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(
            conn->db,
            "PRAGMA cache_size = -" CACHE_KIB ";"
            "PRAGMA temp_store = MEMORY;"
            "PRAGMA mmap_size = 0;" // an I/O error must not be a SIGBUS
            "PRAGMA cell_size_check = ON;"
            "PRAGMA trusted_schema = OFF",
            NULL, NULL, NULL);
    }
    if (rc == SQLITE_OK) return TM_OK;
    tm_conn_tell(conn, rc, path, problem);
    return tm_conn_unopened(conn, rc);
}

// Run a pragma; `text` receives the first column of its first row, cut.
static int pragma_run(tm_conn *conn, const char *sql, char text[32]) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL);
    text[0] = '\0';
    if (rc == SQLITE_OK) rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        const unsigned char *column = sqlite3_column_text(stmt, 0);
        snprintf(text, 32, "%s", column == NULL ? "" : (const char *)column);
        rc = SQLITE_OK;
    }
    if (rc == SQLITE_DONE) rc = SQLITE_OK;
    int last = sqlite3_finalize(stmt);
    return rc == SQLITE_OK ? last : rc;
}

tm_status tm_conn_durable(tm_conn *conn, char problem[TM_PROBLEM_MAX]) {
    for (size_t i = 0; i < sizeof pragmas / sizeof pragmas[0]; i++) {
        char text[32];
        int rc = pragma_run(conn, pragmas[i].set, text);
        if (rc == SQLITE_OK) rc = pragma_run(conn, pragmas[i].get, text);
        if (rc != SQLITE_OK) {
            tm_conn_tell(conn, rc, pragmas[i].name, problem);
            return tm_conn_unopened(conn, rc);
        }
        if (strcmp(text, pragmas[i].want) == 0) continue;
        snprintf(problem, TM_PROBLEM_MAX,
                 "PRAGMA %s is '%s' and cannot be set to '%s': edits would not be "
                 "safe here",
                 pragmas[i].name, text, pragmas[i].want);
        return TM_E_STATE;
    }
    return TM_OK;
}

tm_status tm_conn_prepare(tm_conn *conn, char problem[TM_PROBLEM_MAX]) {
    static const char *const texts[] = {
#define X(name, text) text,
        TM_SQL_LIST(X)
#undef X
    };
    for (int i = 0; i < TM_SQL_COUNT; i++) {
        int rc =
            sqlite3_prepare_v3(conn->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &conn->stmts[i], NULL);
        if (rc == SQLITE_OK) continue;
        tm_conn_tell(conn, rc, "the schema", problem);
        return rc == SQLITE_ERROR ? TM_E_CORRUPT : tm_conn_unopened(conn, rc);
    }
    return TM_OK;
}

void tm_conn_close(tm_conn *conn, bool checkpoint) {
    if (conn->db == NULL) return;
    for (int i = 0; i < TM_SQL_COUNT; i++) {
        sqlite3_finalize(conn->stmts[i]);
    }
    if (!checkpoint) {
        sqlite3_db_config(conn->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
    sqlite3_close(conn->db);
    *conn = (tm_conn){0};
}

sqlite3_stmt *tm_conn_stmt(tm_conn *conn, tm_sql which) {
    return conn->stmts[which];
}

int tm_conn_run(tm_conn *conn, tm_sql which) {
    errno = 0;
    int rc = sqlite3_step(conn->stmts[which]);
    conn->error =
        errno; // sqlite3_system_errno has it for reads alone, not for a COMMIT
    int reset = sqlite3_reset(conn->stmts[which]);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? reset : rc;
}

void tm_conn_rollback(tm_conn *conn) {
    // Many errors have ended the transaction already. A rollback changes no file: what
    // it would have to undo was never in the log's index.
    if (!sqlite3_get_autocommit(conn->db)) (void)tm_conn_run(conn, TM_SQL_ROLLBACK);
}

int tm_conn_number(tm_conn *conn, tm_sql which, uint64_t *number) {
    sqlite3_stmt *stmt = conn->stmts[which];
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW && !tm_column_number(stmt, 0, number)) rc = SQLITE_CORRUPT;
    int reset = sqlite3_reset(stmt);
    return reset == SQLITE_OK ? rc : reset;
}

int tm_bind_u64(sqlite3_stmt *stmt, int index, uint64_t number) {
    if (number > INT64_MAX) return SQLITE_CORRUPT; // it came from a row
    return sqlite3_bind_int64(stmt, index, (sqlite3_int64)number);
}

int tm_bind_bytes(sqlite3_stmt *stmt, int index, tm_span bytes) {
    if (bytes.len == 0) return sqlite3_bind_text(stmt, index, "", 0, SQLITE_STATIC);
    if (memchr(bytes.ptr, '\0', bytes.len) != NULL) {
        return sqlite3_bind_blob64(stmt, index, bytes.ptr, bytes.len,
                                   SQLITE_STATIC);
    }
    return sqlite3_bind_text64(stmt, index, (const char *)bytes.ptr, bytes.len,
                               SQLITE_STATIC, SQLITE_UTF8);
}

tm_span tm_column_bytes(sqlite3_stmt *stmt, int index) {
    const uint8_t *ptr = sqlite3_column_blob(stmt, index); // of TEXT, its bytes
    int len = sqlite3_column_bytes(stmt, index);
    return (tm_span){ptr == NULL ? (const uint8_t *)"" : ptr, (size_t)len};
}

uint64_t tm_column_u64(sqlite3_stmt *stmt, int index) {
    sqlite3_int64 number = sqlite3_column_int64(stmt, index);
    return number < 0 ? 0 : (uint64_t)number;
}

bool tm_column_number(sqlite3_stmt *stmt, int index, uint64_t *number) {
    sqlite3_int64 value = sqlite3_column_int64(stmt, index);
    if (sqlite3_column_type(stmt, index) != SQLITE_INTEGER || value < 0)
        return false;
    *number = (uint64_t)value;
    return true;
}

bool tm_column_kept(sqlite3_stmt *stmt, int index) {
    int type = sqlite3_column_type(stmt, index); // before it is converted
    tm_span bytes = tm_column_bytes(stmt, index);
    bool nul = bytes.len > 0 && memchr(bytes.ptr, '\0', bytes.len) != NULL;
    return type == (nul ? SQLITE_BLOB : SQLITE_TEXT);
}

int tm_conn_damaged(tm_conn *conn, const char *table, int64_t row,
                    const char *what) {
    snprintf(conn->damage, sizeof conn->damage, "row %" PRId64 " of %s: %s", row,
             table, what);
    return SQLITE_CORRUPT;
}

// A write failed for want of room, whatever the filesystem calls it.
static bool no_room(const tm_conn *conn) {
    return conn->error == ENOSPC || conn->error == EDQUOT;
}

tm_fate tm_conn_fate(const tm_conn *conn, int rc) {
    switch (rc & 0xff) {
    case SQLITE_FULL:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: // lost a race for a lock many times over
        return TM_FATE_AGAIN;
    case SQLITE_NOMEM:
        return TM_FATE_UNSURE;
    case SQLITE_IOERR:
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT: // rows that we did not write stand where ours should
        return TM_FATE_CORRUPT;
    default:
        return TM_FATE_IO;
    }
    switch (rc) {
    case SQLITE_IOERR_WRITE:
        return no_room(conn) ? TM_FATE_AGAIN : TM_FATE_IO;
    case SQLITE_IOERR_NOMEM:
    case SQLITE_IOERR_SHMOPEN: // the log's index: it may not have grown although the
    case SQLITE_IOERR_SHMSIZE: // commit is in the log; the next commit overwrites that
    case SQLITE_IOERR_SHMMAP:
        return TM_FATE_UNSURE;
    }
    return TM_FATE_IO; // a failed fsync above all
}

tm_status tm_conn_unread(const tm_conn *conn, int rc) {
    switch (tm_conn_fate(conn, rc)) {
    case TM_FATE_AGAIN:
        return TM_E_AGAIN;
    case TM_FATE_UNSURE:
        return TM_E_NOMEM;
    case TM_FATE_IO:
        return TM_E_IO;
    case TM_FATE_CORRUPT:
        break;
    }
    return TM_E_CORRUPT;
}

void tm_conn_tell(const tm_conn *conn, int rc, const char *what,
                  char problem[TM_PROBLEM_MAX]) {
    const char *text =
        conn->db == NULL ? sqlite3_errstr(rc) : sqlite3_errmsg(conn->db);
    if (conn->db != NULL && sqlite3_errcode(conn->db) == SQLITE_OK) {
        text = sqlite3_errstr(rc); // found by us, not by SQLite
    }
    if (rc == SQLITE_CORRUPT && conn->damage[0] != '\0') {
        snprintf(problem, TM_PROBLEM_MAX,
                 "%.60s: %s. It was damaged, or changed by hand: `tidemark verify` "
                 "says more; restore a backup",
                 what, conn->damage);
        return;
    }
    snprintf(problem, TM_PROBLEM_MAX, "%.120s: %.100s (SQLite %d)", what, text, rc);
}
