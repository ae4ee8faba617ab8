// log, state, verify, backup and restore, as a user runs them, on a database that a
// service wrote.
#include "program.h"

#include <jansson.h>
#include <sqlite3.h>
#include <unistd.h>

#include "cmd/host.h"
#include "service/service.h"
#include "store/sqlite.h"

// ---- a database -----------------------------------------------------------------------

static void push(tm_service *service, tm_store *store, const char *user,
                 const char *list, const char *operations) {
    char path[128], body[4096];
    uint64_t ticket;
    tm_effect effect;
    bool answered = false;
    (void)snprintf(path, sizeof path, "/v1/lists/%s/operations", list);
    (void)snprintf(body, sizeof body, "{\"user\":\"%s\",\"operations\":[%s]}", user,
                   operations);
    tm_request request = {.method = TM_POST,
                          .path = t_str(path),
                          .body = t_str(body),
                          .user = t_str(user)};
    tm_service_request(service, (tm_now){1700000100000, 1}, &request, &ticket);
    do {
        while (tm_service_effect(service, &effect)) {
            T_EQ(effect.status, 200);
            answered = true;
            tm_frame_release(service, effect.frame);
        }
    } while (tm_store_wait(store) > 0);
    while (tm_service_effect(service, &effect)) {
        T_EQ(effect.status, 200);
        answered = true;
        tm_frame_release(service, effect.frame);
    }
    T_TRUE(answered);
}

#define OP(id, version, time, rest)                                                \
    "{\"id\":\"" id "\",\"browserId\":\"w\",\"version\":" version                  \
    ",\"timestamp\":" time "," rest "}"

static void database_make(bool two_lists) {
    char problem[256];
    tm_store *store = NULL;
    tm_service *service = NULL;
    tm_sqlite_options options = {.path = path_in("tidemark.db")};
    (void)unlink(options.path);
    T_OK(tm_sqlite_open(&options, &store, problem));
    tm_service_config config = {
        .alloc = &tm_host_alloc, .store = store, .random = tm_host_random};
    T_OK(tm_service_new(&config, &service));
    push(service, store, "demo", "photos",
         OP("a", "1", "1700000000000",
            "\"type\":\"ADD\",\"instanceId\":\"x1\",\"imageId\":\"img-1\","
            "\"data\":{\"photoNumber\":\"12\",\"description\":\"sun "
            "\\\"set\\u001b[2J\"}") "," OP("b", "2", "1700000001000",
                                           "\"type\":\"ADD\",\"instanceId\":\"x2\","
                                           "\"imageId\":\"img-2\","
                                           "\"data\":{\"place\":"
                                           "\"M\\u00fcnchen\"}"));
    push(service, store, "demo", "photos",
         OP("c", "3", "1700000002000",
            "\"type\":\"UPDATE_METADATA\",\"instanceId\":\"x1\","
            "\"data\":{\"photoNumber\":null}"));
    push(service, store, "demo", "photos",
         OP("d", "4", "1700000003000",
            "\"type\":\"SORT_CHANGE\",\"sort\":\"up\"") "," OP("e", "5",
                                                               "1700000004000",
                                                               "\"type\":\"SORT_"
                                                               "CHANGE\",\"sort\":"
                                                               "\"desc\""));
    push(service, store, "demo", "photos",
         OP("f", "6", "1700000100000",
            "\"type\":\"DELETE\",\"instanceId\":\"x2\"") "," OP("g", "7",
                                                                "1700000005000",
                                                                "\"type\":"
                                                                "\"WINK\""));
    if (two_lists) {
        push(service, store, "eve", "photos",
             OP("a", "1", "1700000000000",
                "\"type\":\"SORT_CHANGE\",\"sort\":\"asc\""));
    }
    tm_service_free(service);
    tm_store_close(store);
}

static int make(void **state) {
    (void)state;
    (void)directory_make();
    return 0;
}

static int clear(void **state) {
    (void)state;
    directory_clear();
    return 0;
}

static void run_is(const char *line, int code, const char *part) {
    outcome of = program_run("%s", line);
    outcome_is(&of, code, part);
    outcome_free(&of);
}

// ---- log ------------------------------------------------------------------------------

static void test_log(void **state) {
    static const struct {
        const char *name, *line, *want;
    } rows[] = {
        {"an ADD", "log --data @",
         "       1  2023-11-14 22:13:20.000  w  added image \"img-1\" as \"x1\", "
         "set "
         "photoNumber to \"12\", set description to \"sun \"set\\u001b[2J\" "
         "(arrived 1 "
         "min 40 s later)\n"},
        {"a field of any name", "log --data @", "set place to \"M\xc3\xbcnchen\""},
        {"an UPDATE that clears", "log --data @", "cleared photoNumber of \"x1\""},
        {"a SORT_CHANGE", "log --data @", "sorted the list descending"},
        {"a DELETE that came in time", "log --data @", "removed \"x2\"\n"},
        {"an unknown type", "log --data @",
         "did \"WINK\", which this tidemark does not know"},
        {"a rejection", "log --data @",
         "w  was refused version 4, operation \"d\": bad-sort\n"},
        {"one of them, for a script", "log --data @ --json --from 3 --limit 1",
         "{\"seq\":3,\"acceptedMs\":1700000100000,\"operation\":{\"id\":\"c\","},
        {"a rejection, for a script", "log --data @ --json --from 4",
         "\"rejected\":{\"id\":\"d\",\"browserId\":\"w\",\"version\":4,"
         "\"code\":\"bad-sort\"}}\n"},
    };
    (void)state;
    database_make(false);
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        run_is(rows[i].line, 0, rows[i].want);
    }
    t_row = "from and limit";
    outcome of = program_run("log --data @ --from 2 --limit 2");
    T_EQ(of.code, 0);
    T_TRUE(strncmp(of.text, "       2  ", 10) == 0);
    T_TRUE(strstr(of.text, "       3  ") != NULL);
    T_TRUE(strstr(of.text, "       4  ") == NULL);
    outcome_free(&of);
    t_row = "past the end there is nothing";
    of = program_run("log --data @ --from 1000");
    outcome_is(&of, 0, "");
    T_TEXT(t_str(of.text), "");
    outcome_free(&of);
}

// ---- state ----------------------------------------------------------------------------

static void test_state(void **state) {
    static const struct {
        const char *name, *line, *want;
    } rows[] = {
        {"now", "state --data @",
         "photos of demo: 1 item, descending, after operation 6 (2023-11-14 "
         "22:15:00.000 UTC)\n    1  img-1  \"sun \"set\\u001b[2J\"  (x1)\n"},
        {"then", "state --data @ --at 2",
         "photos of demo: 2 items, ascending, after operation 2 (2023-11-14 "
         "22:15:00.000 UTC)\n    1  img-1  photo 12  \"sun \"set\\u001b[2J\"  "
         "(x1)\n"
         "    2  img-2  place=\"M\xc3\xbcnchen\"  (x2)\n"},
        {"inside a batch", "state --data @ --at 1",
         "1 item, ascending, after operation 1"},
        {"before everything", "state --data @ --at 0",
         "0 items, ascending, after operation 0\n"},
    };
    (void)state;
    database_make(false);
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        run_is(rows[i].line, 0, rows[i].want);
    }
    t_row = "for a script";
    json_error_t error;
    outcome of = program_run("state --data @ --json --at 2");
    json_t *said = json_loads(of.text, 0, &error);
    assert_non_null(said);
    T_EQ(json_integer_value(json_object_get(said, "version")), 2);
    const json_t *first =
        json_array_get(json_object_get(said, "selectedImages"), 0);
    T_TEXT(t_str(json_string_value(json_object_get(first, "instanceId"))), "x1");
    T_TEXT(t_str(json_string_value(json_object_get(first, "photoNumber"))), "12");
    json_decref(said);
    outcome_free(&of);
    t_row = "later than now";
    run_is("state --data @ --at 7", 1, "the list ends at operation 6");
}

// ---- which list -----------------------------------------------------------------------

static void test_choice(void **state) {
    (void)state;
    database_make(true);
    t_row = "two lists, none named";
    run_is("state --data @", 2, "--user demo --list photos  (6 operations)");
    run_is("log --data @", 2, "--user eve --list photos  (1 operations)");
    t_row = "one of them named";
    run_is("state --data @ --user eve", 0, "photos of eve: 0 items");
    t_row = "one that is not there";
    run_is("state --data @ --user bob", 2, "there is no such list; there are:");
    run_is("verify --data @ --user bob", 2, "there is no such list");
    t_row = "all are verified";
    run_is("verify --data @", 0, "2 of 2 lists verified, 7 operations");
    run_is("verify --data @ --user eve", 0, "1 of 1 list verified, 1 operations");
}

static void test_no_database(void **state) {
    static const char *const commands[] = {"log", "state", "verify"};
    char line[64];
    (void)state;
    for (size_t i = 0; i < COUNT(commands); i++) {
        t_row = commands[i];
        (void)snprintf(line, sizeof line, "%s --data @/nowhere", commands[i]);
        run_is(line, 1, "No such file or directory; --data names the directory");
    }
    t_row = "a file that is no database";
    file_write("tidemark.db",
               "this is not a database, but it is long enough to look at "
               "and to see that it is none of ours, whatever it says");
    run_is("verify --data @", 1, "tidemark.db");
    (void)unlink(path_in("tidemark.db"));
}

// ---- verify ---------------------------------------------------------------------------

static void sql(const char *text, int changes) {
    sqlite3 *db = NULL;
    char *said = NULL;
    T_EQ(sqlite3_open(path_in("tidemark.db"), &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &said) != SQLITE_OK) {
        T_TEXT(t_str(said), "");
    }
    T_EQ(sqlite3_changes(db), changes);
    T_EQ(sqlite3_close(db), SQLITE_OK);
}

// Whoever changes the database by hand is found out.
static void test_tampering(void **state) {
    static const struct {
        const char *name, *sql, *want;
    } rows[] = {
        {"a value",
         "UPDATE batches SET operations = replace(operations, 'img-1', 'img-9')"
         " WHERE at & 68719476735 = 1",
         "  at 2: the mark of 1 to 2 is not the hash of its operations"},
        {"a mark",
         "UPDATE batches SET mark = randomblob(32) WHERE at & 68719476735 = 3",
         "  at 3: the mark of 3 to 3 is not the hash"},
        {"a batch less", "DELETE FROM batches WHERE at & 68719476735 = 3",
         "  at 4: after 2 comes 4, what is between is missing"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        database_make(false);
        // Filed by hand: whether the store had time for it is not to be seen here.
        sql("INSERT INTO batches SELECT list_id << 36 | first_seq, last_seq, "
            "accepted_ms, before, mark, rejected, operations FROM journal",
            4);
        sql("DELETE FROM journal", 4);
        run_is("verify --data @", 0, "1 of 1 list verified");
        sql(rows[i].sql, 1);
        run_is("verify --data @", 1, rows[i].want);
        run_is("verify --data @", 1, "WRONG photos of demo\n");
        run_is("verify --data @", 1, "0 of 1 list verified");
    }
}

// Rows of no list's log: each is named by table and number, and the lists are still read.
static void test_stray_rows(void **state) {
    static const struct {
        const char *name, *sql, *want;
    } rows[] = {
        {"a user stored as a BLOB", "UPDATE lists SET user = CAST(user AS BLOB)",
         "WRONG row 1 of lists: no user has such a name\n"},
        {"a list stored as a BLOB", "UPDATE lists SET list = x'4c2f'",
         "WRONG row 1 of lists: no list has such a name\n"},
        {"a list's name with a slash", "UPDATE lists SET list = 'a/b'",
         "WRONG row 1 of lists: no list has such a name\n"},
        {"a list's name too long", "UPDATE lists SET list = printf('%065d', 0)",
         "WRONG row 1 of lists: no list has such a name\n"},
        {"no user", "UPDATE lists SET user = ''",
         "WRONG row 1 of lists: no user has such a name\n"},
        {"a list's id too large", "INSERT INTO lists VALUES (134217728, 'x', 'y')",
         "WRONG row 134217728 of lists: no list has such an id\n"},
        {"a batch of no list",
         "UPDATE batches SET at = (9 << 36) | 4 WHERE at & 68719476735 = 4",
         "WRONG row 618475290628 of batches: it is of no list\n"},
        {"a last_seq that is text",
         "UPDATE batches SET last_seq = 'x' WHERE at & 68719476735 = 1",
         "WRONG row 68719476737 of batches: its last_seq is none\n"},
        {"a time below 0",
         "UPDATE batches SET accepted_ms = -1 WHERE at & 68719476735 = 1",
         "WRONG row 68719476737 of batches: its accepted_ms is no time\n"},
        {"a mark that is text",
         "UPDATE batches SET mark = printf('%032d', 0) WHERE at & 68719476735 = 1",
         "WRONG row 68719476737 of batches: its marks are none\n"},
        {"a snapshot of no list", "INSERT INTO snapshots VALUES (9, 1, 50, 1, 1)",
         "WRONG row 9 of snapshots: it is of no list\n"},
        {"a snapshot without a log",
         "INSERT INTO snapshots SELECT 2, 1, 50, 1, 1 WHERE 0 < (SELECT count(*) "
         "FROM lists)",
         "WRONG row 2 of snapshots: the log that it is of is gone\n"},
        {"a snapshot's numbers", "INSERT INTO snapshots VALUES (1, -1, 50, 1, 1)",
         "WRONG row 1 of snapshots: its numbers are none\n"},
        {"two snapshots share a part",
         "INSERT INTO snapshots VALUES (1, 1, 50, 2, 1), (9, 1, 51, 1, 1)",
         "of snapshots: another snapshot has a part of it\n"},
        {"a part that is text", "INSERT INTO parts VALUES (60, 'text')",
         "WRONG row 60 of parts: no part is like that\n"},
        {"a part's id too large",
         "INSERT INTO parts VALUES (9223372036854775807, x'')",
         "WRONG row 9223372036854775807 of parts: no part has such an id\n"},
        {"loose parts below 0", "INSERT INTO loose_parts VALUES (-4, 1)",
         "WRONG row -4 of loose_parts: it names no parts\n"},
        {"a snapshot's parts are loose",
         "INSERT INTO loose_parts VALUES (50, 1); INSERT INTO snapshots VALUES (1, "
         "1,"
         " 50, 1, 1)",
         "WRONG row 50 of loose_parts: it names parts of a snapshot\n"},
        {"a journal at its end",
         "UPDATE sqlite_sequence SET seq = 9223372036854775807",
         "of sqlite_sequence: the journal never got so far\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        database_make(false);
        sql("INSERT INTO batches SELECT list_id << 36 | first_seq, last_seq, "
            "accepted_ms, before, mark, rejected, operations FROM journal",
            4);
        sql("DELETE FROM journal", 4);
        if (strstr(rows[i].name, "without a log") != NULL) {
            sql("INSERT INTO lists VALUES (2, 'eve', 'empty')", 1);
        }
        sql(rows[i].sql, strstr(rows[i].sql, "(1, 1, 50, 2, 1)") != NULL ? 2 : 1);
        run_is("verify --data @", 1, rows[i].want);
        run_is("verify --data @", 1, "verified, ");
        outcome of = program_run("verify --data @ --json");
        json_t *said = json_loads(of.text, 0, NULL);
        assert_non_null(said);
        T_TRUE(json_integer_value(json_object_get(said, "wrongRows")) >= 1);
        T_EQ(json_array_size(json_object_get(said, "rows")),
             (size_t)json_integer_value(json_object_get(said, "wrongRows")));
        json_decref(said);
        outcome_free(&of);
    }
}

static void test_simulated_servers(void **state) {
    (void)state;
    t_row = "several servers";
    run_is("simulate --store shared --seeds 3", 0, "3 of 3 seeds held");
    run_is("simulate --store shared --seeds 3 --json", 0, "\"broken\":0");
    run_is("simulate --store shared --seed 5", 0, "seed 5 holds");
    run_is("simulate --store shared --seed 5 --shrink", 2, "no steps");
}

static void test_verify(void **state) {
    json_error_t error;
    (void)state;
    database_make(false);
    t_row = "well";
    run_is("verify --data @", 0, "ok    photos of demo\n");
    run_is("verify --data @", 0, "6 operations in 4 batches");
    run_is("verify --data @", 0, "refused   1, and 0 versions");
    t_row = "for a script";
    outcome of = program_run("verify --data @ --json");
    json_t *said = json_loads(of.text, 0, &error);
    assert_non_null(said);
    T_EQ(json_integer_value(json_object_get(said, "verified")), 1);
    T_EQ(json_integer_value(json_object_get(said, "wrong")), 0);
    const json_t *one = json_array_get(json_object_get(said, "lists"), 0);
    T_TRUE(json_is_true(json_object_get(one, "ok")));
    T_EQ(json_integer_value(json_object_get(one, "operations")), 6);
    json_decref(said);
    outcome_free(&of);
}

// ---- backup and restore -----------------------------------------------------------------

static void test_backup(void **state) {
    (void)state;
    database_make(false);
    (void)unlink(path_in("copy.db"));
    t_row = "a copy";
    run_is("backup --data @ @/copy.db", 0, "/copy.db: ");
    t_row = "a file that exists";
    run_is("backup --data @ @/copy.db", 1, "exists already");
    t_row = "no file named";
    run_is("backup --data @", 2, "FILE is missing");
    t_row = "no database";
    run_is("backup --data @/nowhere @/other.db", 1, "nowhere");

    t_row = "brought back over another database";
    database_make(true);
    run_is("restore --data @ @/copy.db", 0, "restored from");
    run_is("verify --data @", 0, "1 of 1 list verified, 6 operations");
    t_row = "a file that is no backup";
    file_write("text.db",
               "nothing of the kind, and a little longer than a page header "
               "would be, so that it is looked at and refused");
    run_is("restore --data @ @/text.db", 1, "text.db");
    run_is("verify --data @", 0, "1 of 1 list verified, 6 operations");
    t_row = "a file that is not there";
    run_is("restore --data @ @/missing.db", 1, "missing.db");
    (void)unlink(path_in("text.db"));
    (void)unlink(path_in("copy.db"));
}

static void test_in_use(void **state) {
    char problem[256];
    tm_store *store = NULL;
    (void)state;
    database_make(false);
    (void)unlink(path_in("copy.db"));
    tm_sqlite_options options = {.path = path_in("tidemark.db")};
    T_OK(tm_sqlite_open(&options, &store, problem));
    t_row = "beside a daemon: read and copied";
    run_is("log --data @ --limit 1", 0, "added image");
    run_is("state --data @", 0, "1 item");
    run_is("verify --data @", 0, "1 of 1 list verified");
    run_is("backup --data @ @/copy.db", 0, "/copy.db: ");
    t_row = "beside a daemon: not replaced";
    run_is("restore --data @ @/copy.db", 1, "stop that one first");
    tm_store_close(store);
    (void)unlink(path_in("copy.db"));
}

// ---- the program ------------------------------------------------------------------------

static void test_help(void **state) {
    static const char *const commands[] = {"serve",  "log",     "state", "verify",
                                           "backup", "restore", "check"};
    char line[64];
    (void)state;
    for (size_t i = 0; i < COUNT(commands); i++) {
        t_row = commands[i];
        (void)snprintf(line, sizeof line, "%s --help", commands[i]);
        run_is(line, 0, "For example:\n\n  tidemark ");
        run_is(line, 0, "--help ");
        run_is("--help", 0, commands[i]);
        (void)snprintf(line, sizeof line, "%s --hepl", commands[i]);
        run_is(line, 2, "there is no option --hepl");
    }
    t_row = "the program itself";
    run_is("", 2, "tidemark COMMAND --help");
    run_is("--version", 0, "tidemark " TM_VERSION "\n");
    run_is("verfy", 2, "did you mean `tidemark verify`?");
    run_is("dance", 2, "there is no command \"dance\"\n");
    t_row = "output that cannot be written";
    run_is("--version >/dev/full", 1, ""); // and what stderr says is lost with it
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_no_database),
        cmocka_unit_test(test_tampering),
        cmocka_unit_test(test_stray_rows),
        cmocka_unit_test(test_simulated_servers),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_backup),
        cmocka_unit_test(test_in_use),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, make, clear);
}
