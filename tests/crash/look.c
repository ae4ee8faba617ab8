// look.c DATABASE - what is in it, by SQLite alone, none of Tidemark's code: first what
// integrity_check says, then a line per operation: list, seq, id. Changes nothing.
#include <sqlite3.h>
#include <stdio.h>

static int print(sqlite3 *db, const char *sql) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        int columns = sqlite3_column_count(stmt);
        for (int i = 0; i < columns; i++) {
            printf("%s%s", (const char *)sqlite3_column_text(stmt, i),
                   i + 1 < columns ? "\t" : "\n");
        }
        rc = SQLITE_OK;
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int main(int argc, char **argv) {
    sqlite3 *db = NULL;
    int rc = argc == 2 ? sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READONLY, NULL)
                       : SQLITE_MISUSE;
    sqlite3_busy_timeout(db, 10000);
    if (rc == SQLITE_OK) rc = print(db, "PRAGMA integrity_check");
    if (rc == SQLITE_OK) {
        rc = print(db, "SELECT list, seq, json_extract(operation, '$.id')"
                       " FROM operations ORDER BY list, seq");
    }
    if (rc != SQLITE_OK) {
        fprintf(stderr, "%s\n",
                db == NULL ? sqlite3_errstr(rc) : sqlite3_errmsg(db));
    }
    sqlite3_close(db);
    return rc == SQLITE_OK ? 0 : 1;
}
