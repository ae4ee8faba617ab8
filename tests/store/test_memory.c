// The store in memory: what every store promises, and its own: faults on demand, copies,
// and memory that is refused.
#include "conformance.h"
#include "drive.h"
#include "store/memory.h"
#include "t.h"

static t_memory memory;
static tm_alloc alloc;

static tm_store *open_empty(void *context) {
    (void)context;
    tm_store *store = NULL;
    T_OK(tm_memory_open(&alloc, &store));
    return store;
}

static void reset(void *context) {
    (void)context;
    T_EQ(memory.live, 0); // the store before gave all back
}

static void nothing_completes_before_a_poll(void **state) {
    (void)state;
    tm_store *store = open_empty(NULL);
    T_EQ(tm_store_poll(store), 0);
    T_OK(drive_append(store, drive_key("ann", "list"), 1, 1, 1));
    T_EQ(tm_store_wait(store), 0);
    tm_store_close(store);
    tm_store_close(NULL);
}

static const struct {
    const char *name;
    tm_status status;
    bool stored;
} faults[] = {
    {"not now", TM_E_AGAIN, false},
    {"unsure, and lost", TM_E_UNSURE, false},
    {"unsure, and kept", TM_E_UNSURE, true},
    {"broken", TM_E_IO, false},
};

static void faults_come_as_ordered(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(faults); i++) {
        t_row = faults[i].name;
        tm_store *store = open_empty(NULL);
        tm_key key = drive_key("ann", "list");
        T_OK(drive_append(store, key, 1, 1, 1));
        tm_memory_fail(store, faults[i].status, 2, faults[i].stored);
        T_STATUS(drive_append(store, key, 1, 2, 2), faults[i].status);
        T_EQ(drive_all(store, key, 1, NULL), faults[i].stored ? 2 : 1);
        T_STATUS(drive_append(store, key, 1, 2, 2), faults[i].status);
        T_EQ(drive_all(store, key, 1, NULL), faults[i].stored ? 2 : 1);
        uint64_t next = faults[i].stored ? 3 : 2;
        T_OK(drive_append(store, key, 1, next, next));
        tm_store_stats stats;
        tm_store_stats_get(store, &stats);
        T_EQ(stats.failures, 2);
        tm_store_close(store);
    }
}

static void a_copy_is_what_was_durable(void **state) {
    (void)state;
    tm_store *store = open_empty(NULL), *copy = NULL;
    tm_key key = drive_key("ann", "list");
    T_OK(drive_append(store, key, 1, 1, 4));
    T_OK(drive_save(store, key, 4, t_str("state")));
    T_OK(tm_memory_copy(store, &copy));
    T_OK(drive_append(store, key, 1, 5, 5));
    T_OK(drive_append(copy, key, 1, 5, 9));
    T_EQ(drive_all(store, key, 1, NULL), 5);
    T_EQ(drive_all(copy, key, 1, NULL), 9);
    tm_store_close(store);
    drive_snapshot snapshot = drive_load(copy, key);
    T_EQ(snapshot.seq, 4);
    T_TEXT(((tm_span){snapshot.bytes, snapshot.len}), "state");
    free(snapshot.bytes);
    tm_store_close(copy);
    T_EQ(memory.live, 0);
}

// The same few requests, with the k-th allocation refused for every k: each ends in its
// status, and nothing is half done.
static void refused_memory_is_told(void **state) {
    (void)state;
    bool refused = true;
    for (size_t k = 1; refused; k++) {
        t_memory small = {.fail_at = k};
        tm_alloc from = t_alloc(&small);
        tm_store *store = NULL, *copy = NULL;
        tm_status status = tm_memory_open(&from, &store);
        if (status != TM_OK) {
            T_STATUS(status, TM_E_NOMEM);
            continue;
        }
        uint64_t head = 0;
        tm_key key = drive_key("ann", "list");
        for (int i = 0; i < 12; i++) { // the log's array grows on the way
            status = drive_append(store, key, 1, head + 1, head + 1);
            if (status == TM_OK) {
                head++;
            } else {
                T_STATUS(status, TM_E_AGAIN);
                T_TRUE(small.refused);
            }
        }
        T_EQ(drive_all(store, key, 1, NULL), head);
        status = drive_save(store, key, 1, t_str("one"));
        T_TRUE(status == TM_OK || status == TM_E_AGAIN);
        drive_snapshot snapshot = drive_load(store, key);
        T_EQ(snapshot.seq, status == TM_OK ? 1 : 0);
        free(snapshot.bytes);
        status = tm_memory_copy(store, &copy);
        if (status == TM_OK) {
            T_EQ(drive_all(copy, key, 1, NULL), head);
            tm_store_close(copy);
        } else {
            T_STATUS(status, TM_E_NOMEM);
        }
        tm_store_close(store);
        T_EQ(small.live, 0);
        refused = small.refused;
    }
}

int main(void) {
    alloc = t_alloc(&memory);
    const conformance subject = {
        .name = "memory", .open = open_empty, .reset = reset, .durable = false};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_completes_before_a_poll),
        cmocka_unit_test(faults_come_as_ordered),
        cmocka_unit_test(a_copy_is_what_was_durable),
        cmocka_unit_test(refused_memory_is_told),
    };
    int failed = conformance_run(&subject);
    return failed + cmocka_run_group_tests_name("memory's own", tests, NULL, NULL);
}
