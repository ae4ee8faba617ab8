// A browser's storage in a scenario: cmd/check_storage.h.
#include "t.h"

#include "cmd/check_storage.h"
#include "cmd/host.h"

static tm_check_record *find(tm_check_storage *storage, tm_place place,
                             const char *key) {
    tm_check_records *records = &storage->places[place];
    for (size_t i = 0; i < records->count; i++) {
        if (tm_span_equal(records->items[i].key, t_str(key)))
            return &records->items[i];
    }
    return NULL;
}

static tm_committed commit(tm_check_storage *storage, const char *transaction,
                           uint64_t *cursor) {
    tm_arena arena = {.alloc = &tm_host_alloc};
    const tm_node *root = NULL;
    T_OK(tm_tree_read(t_str(transaction), &arena, &root, NULL));
    tm_committed outcome = tm_check_storage_commit(storage, root, cursor);
    tm_arena_deinit(&arena);
    return outcome;
}

#define STATE(generation, cursor)                                                  \
    "[\"put\",\"state\",\"{\\\"generation\\\":" generation                         \
    ",\\\"cursor\\\":" cursor ",\\\"mark\\\":\\\"m\\\"}\"]"

static void test_guard(void **state) {
    static const struct {
        const char *name, *guard;
        tm_committed want;
        bool guarded; // was done
    } rows[] = {
        {"the same pair", "[1,5,\"m\"]", TM_COMMIT_REFUSED, false},
        {"an older cursor", "[1,4,\"m\"]", TM_COMMIT_REFUSED, false},
        {"an older generation", "[0,9,\"m\"]", TM_COMMIT_SUPERSEDED, false},
        {"a newer cursor", "[1,6,\"m\"]", TM_COMMITTED, true},
        {"a newer cursor, of another history", "[1,6,\"n\"]", TM_COMMIT_REFUSED,
         false},
        {"a newer generation", "[2,0,\"m\"]", TM_COMMITTED, true},
        {"a newer generation, beside what it does not know", "[2,9,\"n\"]",
         TM_COMMIT_SUPERSEDED, false},
        {"no guard", "null", TM_COMMITTED, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        tm_check_storage storage = {0};
        char text[256];
        uint64_t cursor = 99;
        t_row = rows[i].name;
        T_EQ(commit(&storage,
                    "{\"guard\":[1,5,\"m\"],\"guarded\":[" STATE(
                        "1", "5") "],\"always\":[]}",
                    &cursor),
             TM_COMMITTED);
        T_EQ(cursor, 5);
        (void)snprintf(text, sizeof text,
                       "{\"guard\":%s,\"guarded\":[[\"put\",\"base\",\"b\"]],"
                       "\"always\":[[\"put\",\"op/1\",\"o\"]]}",
                       rows[i].guard);
        T_EQ(commit(&storage, text, &cursor), rows[i].want);
        T_EQ(cursor, 5);
        T_EQ(find(&storage, TM_PLACE_DISK, "base") != NULL, rows[i].guarded);
        assert_non_null(find(&storage, TM_PLACE_DISK, "op/1"));
        tm_check_storage_deinit(&storage);
    }
}

static void test_writes(void **state) {
    tm_check_storage storage = {0};
    uint64_t cursor;
    (void)state;
    t_row = "put, replace, delete, clear";
    T_EQ(commit(
             &storage,
             "{\"guard\":null,\"guarded\":[],\"always\":[[\"put\",\"a/1\",\"x\"],"
             "[\"put\",\"a/2\",\"y\"],[\"put\",\"b\",\"z\"],[\"put\",\"b\",\"zz\"],"
             "[\"del\",\"c\"],[\"clear\",\"a/\"]]}",
             &cursor),
         TM_COMMITTED);
    T_EQ(storage.places[TM_PLACE_DISK].count, 1);
    T_TEXT(find(&storage, TM_PLACE_DISK, "b")->value, "zz");
    t_row = "full: nothing is written, in no place";
    storage.full = true;
    T_EQ(
        commit(&storage,
               "{\"guard\":null,\"guarded\":[],\"always\":[[\"put\",\"d\",\"x\"]]}",
               &cursor),
        TM_COMMIT_FAILED);
    T_TRUE(!tm_check_storage_keep(&storage, t_str("k"), t_str("v")));
    T_EQ(storage.places[TM_PLACE_LOCAL].count, 0);
    T_EQ(storage.places[TM_PLACE_DISK].count, 1);
    t_row = "what is no write";
    storage.full = false;
    T_EQ(commit(&storage, "{\"guard\":null,\"always\":[[\"push\",\"d\",\"x\"]]}",
                &cursor),
         TM_COMMIT_FAILED);
    T_EQ(commit(&storage, "{\"guard\":[1],\"guarded\":[]}", &cursor),
         TM_COMMIT_FAILED);
    tm_check_storage_deinit(&storage);
}

static void test_copies(void **state) {
    tm_check_storage storage = {0}, copy = {0};
    (void)state;
    t_row = "a copy is its own";
    T_TRUE(tm_check_storage_keep(&storage, t_str("k"), t_str("v")));
    T_OK(tm_check_storage_copy(&copy, &storage));
    T_TRUE(tm_check_storage_keep(&storage, t_str("k"), t_str("w")));
    T_TEXT(find(&copy, TM_PLACE_LOCAL, "k")->value, "v");
    tm_check_storage_forget(&storage, t_str("k"));
    tm_check_storage_forget(&storage, t_str("never there"));
    T_EQ(storage.places[TM_PLACE_LOCAL].count, 0);
    T_EQ(copy.places[TM_PLACE_LOCAL].count, 1);
    tm_check_storage_deinit(&storage);
    tm_check_storage_deinit(&copy);
}

#define ENTRY(timestamp, version)                                                  \
    "{\"operations\":[{\"id\":\"x\",\"timestamp\":" timestamp                      \
    ",\"version\":" version "}],\"offered\":[]}"
// In a transaction's text, where quotes are escaped once more.
#define DISK_ENTRY(rest) "\"{\\\"operations\\\":[{" rest "}]}\""

static void test_lose(void **state) {
    (void)state;
    for (uint64_t nth = 1; nth <= 4; nth++) {
        tm_check_storage storage = {0};
        uint64_t cursor;
        t_row = "the nth by time, wherever it is kept";
        T_TRUE(
            tm_check_storage_keep(&storage, t_str("op/c"), t_str(ENTRY("3", "1"))));
        T_TRUE(
            tm_check_storage_keep(&storage, t_str("op/a"), t_str(ENTRY("1", "1"))));
        T_EQ(
            commit(
                &storage,
                "{\"guard\":null,\"always\":["
                "[\"put\",\"op/a\"," DISK_ENTRY(
                    "\\\"timestamp\\\":1,\\\"version\\\":1") "],"
                                                             "[\"put\",\"op/"
                                                             "b\"," DISK_ENTRY(
                                                                 "\\\"timestamp\\\""
                                                                 ":1,"
                                                                 "\\\"version\\\":"
                                                                 "2") "],"
                                                                      "[\"put\","
                                                                      "\"op/"
                                                                      "d\""
                                                                      "," DISK_ENTRY(
                                                                          "\\\"time"
                                                                          "stamp\\"
                                                                          "\":1,"
                                                                          "\\\"vers"
                                                                          "ion\\\":"
                                                                          "3,"
                                                                          "\\\"seq"
                                                                          "\\\":9") "]]}",
                &cursor),
            TM_COMMITTED);
        T_EQ(tm_check_storage_lose(&storage, nth), nth <= 3);
        size_t local = strlen(ENTRY("1", "1")), disk = 44;
        T_EQ(find(&storage, TM_PLACE_LOCAL, "op/a")->value.len,
             nth == 1 ? local / 2 : local);
        T_EQ(find(&storage, TM_PLACE_DISK, "op/a")->value.len,
             nth == 1 ? disk / 2 : disk);
        T_EQ(find(&storage, TM_PLACE_DISK, "op/b")->value.len,
             nth == 2 ? disk / 2 : disk);
        T_EQ(find(&storage, TM_PLACE_LOCAL, "op/c")->value.len,
             nth == 3 ? local / 2 : local);
        tm_check_storage_deinit(&storage);
    }
}

static void test_writers(void **state) {
    tm_check_storage storage = {0};
    tm_arena arena = {.alloc = &tm_host_alloc};
    tm_span *writers;
    size_t count;
    uint64_t cursor;
    (void)state;
    t_row = "each once, by bytes";
    T_TRUE(tm_check_storage_keep(&storage, t_str("writer/b"), t_str("{}")));
    T_TRUE(tm_check_storage_keep(&storage, t_str("writers"), t_str("{}")));
    T_EQ(commit(&storage,
                "{\"guard\":null,\"always\":[[\"put\",\"writer/b\",\"{}\"],"
                "[\"put\",\"writer/B\",\"{}\"]]}",
                &cursor),
         TM_COMMITTED);
    T_OK(tm_check_storage_writers(&storage, &arena, &writers, &count));
    T_EQ(count, 2);
    T_TEXT(writers[0], "B");
    T_TEXT(writers[1], "b");
    tm_arena_deinit(&arena);
    tm_check_storage_deinit(&storage);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guard),   cmocka_unit_test(test_writes),
        cmocka_unit_test(test_copies),  cmocka_unit_test(test_lose),
        cmocka_unit_test(test_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
