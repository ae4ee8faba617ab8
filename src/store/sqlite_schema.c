// sqlite_schema.c - see sqlite_internal.h: what is in the database. docs/STORAGE.md has
// each column's meaning.
#include <stdio.h>

#include "store/sqlite_internal.h"

// 68719476735 is 2^36 - 1: see TM_AT_SEQ_BITS.
static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE lists ("
    "  id INTEGER PRIMARY KEY,"
    "  user TEXT NOT NULL,"
    "  list TEXT NOT NULL,"
    "  UNIQUE (user, list));"

    "CREATE TABLE journal (" // batches in order of arrival, until they are filed
    "  n INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  list_id INTEGER NOT NULL,"
    "  first_seq INTEGER NOT NULL,"
    "  last_seq INTEGER NOT NULL,"
    "  accepted_ms INTEGER NOT NULL,"
    "  before BLOB NOT NULL,"
    "  mark BLOB NOT NULL,"
    "  rejected TEXT,"
    "  operations TEXT NOT NULL);"

    "CREATE TABLE batches ("    // the same, filed by list
    "  at INTEGER PRIMARY KEY," // list_id << 36 | first_seq
    "  last_seq INTEGER NOT NULL,"
    "  accepted_ms INTEGER NOT NULL,"
    "  before BLOB NOT NULL,"
    "  mark BLOB NOT NULL,"
    "  rejected TEXT,"
    "  operations TEXT NOT NULL);"

    "CREATE TABLE snapshots ("
    "  list_id INTEGER PRIMARY KEY,"
    "  seq INTEGER NOT NULL,"
    "  first_part INTEGER NOT NULL," // parts first_part .. first_part + parts - 1
    "  parts INTEGER NOT NULL,"
    "  bytes INTEGER NOT NULL);"
    "CREATE TABLE parts (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
    "CREATE TABLE loose_parts (" // of a snapshot being written, or replaced
    "  first_part INTEGER PRIMARY KEY,"
    "  parts INTEGER NOT NULL);"

    "CREATE VIEW log AS " // every batch once, filed or not
    "SELECT l.user, l.list, b.at & 68719476735 AS first_seq, b.last_seq,"
    "  b.accepted_ms, b.before, b.mark, b.rejected, b.operations"
    "  FROM lists l JOIN batches b"
    "  ON b.at BETWEEN l.id << 36 AND (l.id << 36) | 68719476735 "
    "UNION ALL "
    "SELECT l.user, l.list, j.first_seq, j.last_seq,"
    "  j.accepted_ms, j.before, j.mark, j.rejected, j.operations"
    "  FROM journal j JOIN lists l ON l.id = j.list_id"
    "  WHERE j.last_seq > ifnull((SELECT f.last_seq FROM batches f"
    "    WHERE f.at BETWEEN j.list_id << 36 AND (j.list_id << 36) | 68719476735"
    "    ORDER BY f.at DESC LIMIT 1), 0);"

    "CREATE VIEW operations AS "
    "SELECT g.user, g.list, json_extract(o.value, '$.seq') AS seq,"
    "  json_extract(o.value, '$.type') AS type,"
    "  json_extract(o.value, '$.browserId') AS browser,"
    "  datetime(g.accepted_ms / 1000, 'unixepoch') AS accepted,"
    "  o.value AS operation"
    "  FROM log g, json_each(g.operations) o;"

    "PRAGMA application_id = 1415859563;" // TM_SCHEMA_APPLICATION
    "PRAGMA user_version = 1;"            // TM_SCHEMA_VERSION
    "COMMIT";

static int number(tm_conn *conn, const char *sql, int64_t *value) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) *value = sqlite3_column_int64(stmt, 0);
    int last = sqlite3_finalize(stmt);
    if (rc == SQLITE_ROW) return last;
    return rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

tm_status tm_schema_check(tm_conn *conn, bool *empty,
                          char problem[TM_PROBLEM_MAX]) {
    int64_t application = 0, version = 0, tables = 0;
    int rc = number(conn, "PRAGMA application_id", &application);
    if (rc == SQLITE_OK) rc = number(conn, "PRAGMA user_version", &version);
    if (rc == SQLITE_OK) {
        rc = number(conn, "SELECT count(*) FROM sqlite_master", &tables);
    }
    if (rc != SQLITE_OK) {
        tm_conn_tell(conn, rc, "the database cannot be read", problem);
        return tm_conn_unopened(conn, rc);
    }
    *empty = application == 0 && version == 0 && tables == 0;
    if (*empty) return TM_OK;
    if (application != TM_SCHEMA_APPLICATION || version < 1) {
        snprintf(problem, TM_PROBLEM_MAX,
                 "this is an SQLite database, but not one of Tidemark's");
        return TM_E_CORRUPT;
    }
    if (version > TM_SCHEMA_VERSION) {
        snprintf(
            problem, TM_PROBLEM_MAX,
            "the database has schema %d and this build knows %d: it was written "
            "by a newer Tidemark; use that one",
            (int)version, TM_SCHEMA_VERSION);
        return TM_E_FORMAT;
    }
    return TM_OK;
}

tm_status tm_schema_create(tm_conn *conn, char problem[TM_PROBLEM_MAX]) {
    int rc = sqlite3_exec(conn->db, schema, NULL, NULL, NULL);
    if (rc == SQLITE_OK) return TM_OK;
    tm_conn_tell(conn, rc, "the schema could not be made", problem);
    if (!sqlite3_get_autocommit(conn->db)) {
        (void)sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return tm_conn_unopened(conn, rc);
}
