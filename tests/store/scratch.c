// scratch.c - see scratch.h.
#include "scratch.h"

#include <sys/stat.h>
#include <unistd.h>

#include "t.h"

#define IN_MEMORY "/dev/shm"

static bool in_memory;
static char directory[256];
static pid_t owner;

static const char *const suffixes[] = {"", "-wal", "-shm", "-lock", "-journal"};

static void remove_all(void) {
    if (getpid() != owner) return; // a child that was forked off
    char command[sizeof directory + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    if (system(command) != 0) fprintf(stderr, "# %s is left behind\n", directory);
}

void scratch_in_memory(void) {
    in_memory = access(IN_MEMORY, W_OK) == 0;
}

const char *scratch_path(const char *name) {
    static char paths[8][sizeof directory + 64];
    static size_t turn;
    if (directory[0] == '\0') {
        const char *tmp = in_memory ? IN_MEMORY : getenv("TMPDIR");
        snprintf(directory, sizeof directory, "%s/tidemark-store-XXXXXX",
                 tmp == NULL ? "/tmp" : tmp);
        assert_non_null(mkdtemp(directory));
        owner = getpid();
        atexit(remove_all);
    }
    char *path = paths[turn++ % COUNT(paths)];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

void scratch_remove(const char *name) {
    for (size_t i = 0; i < COUNT(suffixes); i++) {
        char file[64];
        snprintf(file, sizeof file, "%s%s", name, suffixes[i]);
        (void)unlink(scratch_path(file));
    }
}

tm_status scratch_try(const char *name, const tm_sqlite_tuning *tuning,
                      tm_store **store, char problem[TM_PROBLEM_MAX]) {
    tm_sqlite_options options = {.path = scratch_path(name)};
    tm_sqlite_tuning usual = tm_sqlite_tuning_default;
    return tm_sqlite_open_tuned(&options, tuning == NULL ? &usual : tuning, store,
                                problem);
}

tm_store *scratch_open(const char *name, const tm_sqlite_tuning *tuning) {
    char problem[TM_PROBLEM_MAX];
    tm_store *store = NULL;
    tm_status status = scratch_try(name, tuning, &store, problem);
    if (status != TM_OK) print_error("# %s\n", problem);
    T_OK(status);
    return store;
}

tm_store *scratch_open_read(const char *name) {
    char problem[TM_PROBLEM_MAX];
    tm_store *store = NULL;
    tm_sqlite_options options = {.path = scratch_path(name), .read_only = true};
    tm_status status = tm_sqlite_open(&options, &store, problem);
    if (status != TM_OK) print_error("# %s\n", problem);
    T_OK(status);
    return store;
}

const char *scratch_sql(const char *name, const char *sql) {
    static char text[512];
    sqlite3 *db = NULL;
    T_EQ(sqlite3_open_v2(scratch_path(name), &db, SQLITE_OPEN_READWRITE, NULL),
         SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    text[0] = '\0';
    for (const char *rest = sql; *rest != '\0';) {
        sqlite3_stmt *stmt = NULL;
        int rc = sqlite3_prepare_v2(db, rest, -1, &stmt, &rest);
        if (rc != SQLITE_OK) print_error("# %s\n", sqlite3_errmsg(db));
        T_EQ(rc, SQLITE_OK);
        if (stmt == NULL) break;
        rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW) {
            const unsigned char *column = sqlite3_column_text(stmt, 0);
            snprintf(text, sizeof text, "%s", column == NULL ? "" : (char *)column);
        } else if (rc != SQLITE_DONE) {
            print_error("# %s\n", sqlite3_errmsg(db));
        }
        T_TRUE(rc == SQLITE_ROW || rc == SQLITE_DONE);
        sqlite3_finalize(stmt);
    }
    sqlite3_close(db);
    return text;
}

bool scratch_exists(const char *name) {
    return access(scratch_path(name), F_OK) == 0;
}

void scratch_write(const char *name, const void *bytes, size_t len) {
    FILE *file = fopen(scratch_path(name), "wb");
    assert_non_null(file);
    T_EQ(fwrite(bytes, 1, len, file), len);
    T_EQ(fclose(file), 0);
}
