// The simulated browser's storage: what a killed browser loses, what a transaction does and
// does not, who owns a record.
#include "sim/storage.h"
#include "t.h"

static void put(tm_storage *s, tm_place place, const char *key, const char *value) {
    tm_storage_put(s, place, t_str(key), t_str(value));
}

static tm_span get(const tm_storage *s, tm_place place, const char *key) {
    const tm_storage_record *record = tm_storage_get(s, place, t_str(key));
    return record == NULL ? (tm_span){NULL, 0} : record->value;
}

// ---- killed -------------------------------------------------------------------------

static void test_kill_takes_back_the_last_seconds_of_local(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint64_t lost_ms;
        const char *a, *b, *c; // NULL: not there
    } rows[] = {
        {"nothing lost", 0, "a2", "b", NULL},
        {"the last second", 1000, "a2", "b", "c"},
        {"three seconds", 3000, "a1", "b", "c"},
        {"all of it", 60000, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        tm_storage s = {.lag_ms = 100000};
        t_row = rows[i].name;
        s.now_ms = 1000;
        put(&s, TM_PLACE_LOCAL, "a", "a1");
        put(&s, TM_PLACE_LOCAL, "b", "b");
        put(&s, TM_PLACE_LOCAL, "c", "c");
        put(&s, TM_PLACE_DISK, "d", "d");
        s.now_ms = 8000;
        put(&s, TM_PLACE_LOCAL, "a", "a2");
        s.now_ms = 9500;
        tm_storage_remove(&s, TM_PLACE_LOCAL, t_str("c"));
        s.now_ms = 10000;
        tm_storage_kill(&s, rows[i].lost_ms);
        T_SPAN(get(&s, TM_PLACE_LOCAL, "a"), t_str(rows[i].a));
        T_SPAN(get(&s, TM_PLACE_LOCAL, "b"), t_str(rows[i].b));
        T_SPAN(get(&s, TM_PLACE_LOCAL, "c"), t_str(rows[i].c));
        T_TEXT(get(&s, TM_PLACE_DISK, "d"), "d"); // disk loses nothing
        tm_storage_deinit(&s);
    }
    t_row = "";
}

// ---- transactions ---------------------------------------------------------------------

#define STATE(g, c) "{\"generation\":" #g ",\"cursor\":" #c ",\"mark\":\"m\"}"
#define WRITES                                                                     \
    "\"guarded\":[[\"put\",\"state\",\"{\\\"generation\\\":2,\\\"cursor\\\":9}\"]" \
    ","                                                                            \
    "[\"clear\",\"tail/\"]],\"always\":[[\"put\",\"op/x\",\"X\"],[\"del\",\"op/"   \
    "y\"]]}"

static void test_transactions(void **state) {
    (void)state;
    static const struct {
        const char *name, *stored, *transaction;
        bool refuses;
        tm_committed want;
        uint64_t cursor;
        bool guarded, always; // what was done
    } rows[] = {
        {"nothing stored", NULL, "{\"guard\":[2,9,\"m\"]," WRITES, false,
         TM_COMMITTED, 9, true, true},
        {"above in its generation", STATE(2, 8), "{\"guard\":[2,9,\"m\"]," WRITES,
         false, TM_COMMITTED, 9, true, true},
        {"above, and of another history", STATE(2, 8),
         "{\"guard\":[2,9,\"n\"]," WRITES, false, TM_COMMIT_REFUSED, 8, false,
         true},
        {"above by its generation", STATE(1, 50), "{\"guard\":[2,9,\"m\"]," WRITES,
         false, TM_COMMITTED, 9, true, true},
        {"the same pair", STATE(2, 9), "{\"guard\":[2,9,\"m\"]," WRITES, false,
         TM_COMMIT_REFUSED, 9, false, true},
        {"below", STATE(2, 10), "{\"guard\":[2,9,\"m\"]," WRITES, false,
         TM_COMMIT_REFUSED, 10, false, true},
        {"a newer generation", STATE(3, 1), "{\"guard\":[2,9,\"m\"]," WRITES, false,
         TM_COMMIT_SUPERSEDED, 1, false, true},
        {"no guard", STATE(3, 1), "{\"guard\":null," WRITES, false, TM_COMMITTED, 1,
         false, true},
        {"full", STATE(2, 8), "{\"guard\":[2,9,\"m\"]," WRITES, true,
         TM_COMMIT_FAILED, 8, false, false},
        {"half of it makes no sense", STATE(2, 8),
         "{\"guard\":[2,9,\"m\"],\"guarded\":[],\"always\":[[\"put\",\"op/"
         "x\",\"X\"],[\"put\"]]}",
         false, TM_COMMIT_FAILED, 8, false, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        tm_storage s = {0};
        uint64_t cursor = 77;
        t_row = rows[i].name;
        if (rows[i].stored != NULL) put(&s, TM_PLACE_DISK, "state", rows[i].stored);
        put(&s, TM_PLACE_DISK, "tail/1", "t");
        put(&s, TM_PLACE_DISK, "op/y", "Y");
        s.refuses[TM_PLACE_DISK] = rows[i].refuses;
        T_EQ(tm_storage_commit(&s, t_str(rows[i].transaction), &cursor),
             rows[i].want);
        T_EQ(cursor, rows[i].cursor);
        T_EQ(get(&s, TM_PLACE_DISK, "tail/1").ptr == NULL, rows[i].guarded);
        T_EQ(get(&s, TM_PLACE_DISK, "op/x").ptr != NULL, rows[i].always);
        T_EQ(get(&s, TM_PLACE_DISK, "op/y").ptr == NULL, rows[i].always);
        tm_storage_deinit(&s);
    }
    t_row = "";
}

// ---- owners -----------------------------------------------------------------------------

static void test_writers_own_records(void **state) {
    (void)state;
    tm_storage s = {0}, copy = {0};
    tm_alloc alloc;
    t_memory memory = {0};
    alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    tm_span *writers;
    put(&s, TM_PLACE_DISK, "op/1", "{\"writer\":\"b-b\",\"operations\":[]}");
    put(&s, TM_PLACE_LOCAL, "writer/b-a", "{}");
    put(&s, TM_PLACE_DISK, "writer/b-a", "{}");
    put(&s, TM_PLACE_DISK, "lacking/b-c", "{}");
    put(&s, TM_PLACE_DISK, "state", "{}");
    put(&s, TM_PLACE_LOCAL, "op/2", "{\"writer\":\"b-"); // torn: nobody's
    tm_storage_copy(&copy, &s);
    T_EQ(tm_storage_writers(&copy, (const bool[2]){true, true}, &arena, &writers),
         3);
    T_TEXT(writers[0], "b-a");
    T_TEXT(writers[1], "b-b");
    T_TEXT(writers[2], "b-c");
    tm_arena_deinit(&arena);
    tm_storage_deinit(&s);
    tm_storage_deinit(&copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill_takes_back_the_last_seconds_of_local),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_writers_own_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
