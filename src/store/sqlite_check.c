// sqlite_check.c - see sqlite.h: rows that no Tidemark has written.
//
// A rule is a statement that gives the rows that break it. Where a column's type is
// asked, it is because SQLite keeps any value in any column, and compares a number, its
// text and the same bytes as a BLOB as three different things.
#include "store/sqlite_internal.h"

#define ID_MAX  "134217727"           // TM_LIST_ID_MAX
#define ROW_MAX "4611686018427387904" // TM_ROW_MAX
#define SEQ_MAX "68719476735"         // TM_AT_SEQ_MAX

// Not a whole number from `low` to `high`.
#define OUTSIDE(column, low, high)                                                 \
    "(typeof(" column ") <> 'integer' OR " column " NOT BETWEEN " low " AND " high \
    ")"

// Bytes, but not as tm_bind_bytes keeps them.
#define STRAY(column)                                                              \
    "(typeof(" column ") <> CASE instr(CAST(" column " AS BLOB), x'00') WHEN 0"    \
    " THEN 'text' ELSE 'blob' END)"

#define LONGER(column, max)                                                        \
    "length(CAST(" column " AS BLOB)) NOT BETWEEN 1 AND " max

#define NO_MARK(column) "typeof(" column ") <> 'blob' OR length(" column ") <> 32"

static const struct rule {
    const char *table;
    const char *find; // gives the number of each row
    const char *what;
    bool start; // little work, and what comes next builds on it
} rules[] = {
    {"lists", "SELECT id FROM lists WHERE id NOT BETWEEN 1 AND " ID_MAX,
     "no list has such an id", false},
    {"lists", "SELECT max(id) FROM lists HAVING max(id) > " ID_MAX,
     "no list has such an id", true},
    {"lists",
     "SELECT id FROM lists WHERE " STRAY("user") " OR " LONGER("user", "128"),
     "no user has such a name", false},
    {"lists",
     "SELECT id FROM lists WHERE typeof(list) <> 'text' OR " STRAY(
         "list") " OR " LONGER("list", "64") " OR list GLOB '*[^a-z0-9-]*'",
     "no list has such a name", false},

    {"batches",
     "SELECT at FROM batches WHERE at < 0 OR at & " SEQ_MAX " = 0 OR NOT EXISTS"
     " (SELECT 1 FROM lists WHERE id = at >> 36)",
     "it is of no list", false},
    {"batches",
     "SELECT at FROM batches WHERE " OUTSIDE("last_seq", "at & " SEQ_MAX, ROW_MAX),
     "its last_seq is none", false},
    {"batches",
     "SELECT at FROM batches WHERE " OUTSIDE("accepted_ms", "0",
                                             "9223372036854775807"),
     "its accepted_ms is no time", false},
    {"batches",
     "SELECT at FROM batches WHERE " NO_MARK("before") " OR " NO_MARK("mark"),
     "its marks are none", false},

    {"snapshots",
     "SELECT list_id FROM snapshots s WHERE NOT EXISTS (SELECT 1 FROM lists WHERE"
     " id = s.list_id)",
     "it is of no list", false},
    {"snapshots",
     "SELECT list_id FROM snapshots s WHERE NOT EXISTS (SELECT 1 FROM batches WHERE"
     " at BETWEEN s.list_id << 36 AND (s.list_id << 36) | " SEQ_MAX ") AND NOT"
     " EXISTS (SELECT 1 FROM journal WHERE list_id = s.list_id)",
     "the log that it is of is gone", false},
    {"snapshots",
     "SELECT list_id FROM snapshots WHERE " OUTSIDE(
         "seq", "1",
         ROW_MAX) " OR " OUTSIDE("first_part", "1",
                                 ROW_MAX) " OR " OUTSIDE("parts", "1",
                                                         "2147483647") " OR " //
     OUTSIDE("bytes", "0", "parts * 262144"),
     "its numbers are none", false},
    {"snapshots",
     "SELECT list_id FROM (SELECT list_id, first_part, lag(first_part + parts) OVER"
     " (ORDER BY first_part) AS after FROM snapshots) WHERE first_part < after",
     "another snapshot has a part of it", false},

    {"parts", "SELECT max(id) FROM parts HAVING max(id) > " ROW_MAX,
     "no part has such an id", true},
    {"parts",
     "SELECT id FROM parts WHERE id < 1 OR typeof(bytes) <> 'blob' OR"
     " length(bytes) > 262144",
     "no part is like that", false},
    {"loose_parts",
     "SELECT first_part FROM loose_parts WHERE first_part NOT BETWEEN 1 "
     "AND " ROW_MAX " OR " OUTSIDE("parts", "1", "2147483647"),
     "it names no parts", true},
    {"loose_parts",
     "SELECT l.first_part FROM loose_parts l WHERE EXISTS (SELECT 1 FROM snapshots "
     "s"
     " WHERE s.first_part < l.first_part + l.parts"
     " AND l.first_part < s.first_part + s.parts)",
     "it names parts of a snapshot", true},
    {"sqlite_sequence",
     "SELECT rowid FROM sqlite_sequence WHERE name = 'journal' AND " OUTSIDE(
         "seq", "0", ROW_MAX),
     "the journal never got so far", true},
};

static int rule_run(tm_conn *conn, const struct rule *rule,
                    void (*each)(void *context, const char *table, int64_t row,
                                 const char *what),
                    void *context) {
    sqlite3_stmt *find = NULL;
    int rc = sqlite3_prepare_v2(conn->db, rule->find, -1, &find, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(find)) == SQLITE_ROW) {
        each(context, rule->table, sqlite3_column_int64(find, 0), rule->what);
        rc = SQLITE_OK;
    }
    (void)sqlite3_finalize(find); // rc has what it says
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

typedef struct first {
    tm_conn *conn;
    int rc;
} first;

static void on_first(void *context, const char *table, int64_t row,
                     const char *what) {
    first *found = context;
    if (found->rc != SQLITE_OK) return;
    found->rc = tm_conn_damaged(found->conn, table, row, what);
}

tm_status tm_check_start(tm_conn *conn, char problem[TM_PROBLEM_MAX]) {
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (!rules[i].start) continue;
        first found = {conn, SQLITE_OK};
        int rc = rule_run(conn, &rules[i], on_first, &found);
        if (rc == SQLITE_OK) rc = found.rc;
        if (rc == SQLITE_OK) continue;
        tm_conn_tell(conn, rc, "the database cannot be used", problem);
        return tm_conn_unopened(conn, rc);
    }
    return TM_OK;
}

tm_status tm_sqlite_check(tm_store *store,
                          void (*each)(void *context, const char *table,
                                       int64_t row, const char *what),
                          void *context) {
    tm_conn *conn = &((tm_sqlite *)(void *)store)->reader;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        int rc = rule_run(conn, &rules[i], each, context);
        if (rc != SQLITE_OK) return tm_conn_unread(conn, rc);
    }
    return TM_OK;
}
