// cmd/verify.h: a log that is well is found so, and each way of being wrong is named with
// its place.
#include "t.h"

#include "cmd/host.h"
#include "cmd/verify.h"
#include "service/mark.h"
#include "store/memory.h"

static const tm_key key = {TM_LIT("demo"), TM_LIT("list")};

// ---- writing a log --------------------------------------------------------------------

#define OP(id, browser, version, time, seq, rest)                                  \
    "{\"id\":\"" id "\",\"browserId\":\"" browser "\",\"version\":" version        \
    ",\"timestamp\":" time ",\"seq\":" seq "," rest "}"
#define ADD(n) "\"type\":\"ADD\",\"instanceId\":\"x" n "\",\"imageId\":\"i" n "\""
#define SORT   "\"type\":\"SORT_CHANGE\",\"sort\":\"desc\""
#define WINK   "\"type\":\"WINK\",\"how\":\"often\""
#define REJECT(browser, version)                                                   \
    "[{\"id\":\"r\",\"browserId\":\"" browser "\",\"version\":" version            \
    ",\"code\":\"bad-sort\"}]"

typedef struct batch_text {
    uint64_t first, last;
    const char *operations, *rejected;
    // What is done to it after the chain was made.
    bool before_spoilt, mark_spoilt, operations_spoilt;
} batch_text;

static void on_append(tm_store_append *request, tm_status status) {
    *(tm_status *)request->context = status;
}

static void append(tm_store *store, tm_batch *batch) {
    tm_status status = TM_E_STATE;
    tm_store_append request = {
        .key = key, .batch = *batch, .done = on_append, .context = &status};
    tm_store_append_start(store, &request);
    while (tm_store_wait(store) > 0) {
    }
    T_OK(status);
}

static void on_save(tm_store_save *request, tm_status status) {
    *(tm_status *)request->context = status;
}

static void save(tm_store *store, uint64_t seq, const char *text) {
    tm_status status = TM_E_STATE;
    tm_store_save request = {.key = key,
                             .seq = seq,
                             .bytes = t_str(text),
                             .done = on_save,
                             .context = &status};
    tm_store_save_start(store, &request);
    while (tm_store_wait(store) > 0) {
    }
    T_OK(status);
}

static void on_trim(tm_store_trim *request, tm_status status, uint64_t batches) {
    T_OK(status);
    *(uint64_t *)request->context = batches;
}

static void trim(tm_store *store, uint64_t below) {
    uint64_t batches = 0;
    tm_store_trim request = {.key = key,
                             .below_seq = below,
                             .before_ms = UINT64_MAX,
                             .done = on_trim,
                             .context = &batches};
    tm_store_trim_start(store, &request);
    while (tm_store_wait(store) > 0) {
    }
    T_TRUE(batches > 0);
}

// Appends the batches; the marks form a chain but for what is spoilt. `marks` receives
// the mark of each as it should be, in hex.
static void log_write(tm_store *store, const batch_text *batches, size_t count,
                      char marks[][TM_MARK_HEX + 1]) {
    tm_marker marker = {0};
    uint8_t mark[TM_MARK_LEN] = {1, 2, 3};
    T_OK(tm_marker_init(&marker));
    for (size_t i = 0; i < count && batches[i].operations != NULL; i++) {
        char text[2048];
        (void)snprintf(text, sizeof text, "%s", batches[i].operations);
        tm_batch batch = {.first_seq = batches[i].first,
                          .last_seq = batches[i].last,
                          .accepted_ms = 1000 * (i + 1),
                          .operations = t_str(text)};
        if (batches[i].rejected != NULL)
            batch.rejected = t_str(batches[i].rejected);
        memcpy(batch.before, mark, sizeof mark);
        T_OK(tm_mark_next(&marker, mark, batch.operations, mark));
        memcpy(batch.mark, mark, sizeof mark);
        tm_mark_hex(mark, (uint8_t *)marks[i]);
        marks[i][TM_MARK_HEX] = '\0';
        if (batches[i].before_spoilt) batch.before[0] ^= 1;
        if (batches[i].mark_spoilt) batch.mark[0] ^= 1;
        if (batches[i].operations_spoilt) { // one letter of a value
            char *value = strstr(text, "\"i");
            assert_non_null(value);
            value[1] = 'j';
        }
        append(store, &batch);
    }
    tm_marker_deinit(&marker);
}

// ---- rows -----------------------------------------------------------------------------

#define B1                                                                         \
    {                                                                              \
        1, 2,                                                                      \
            "[" OP("a", "w", "1", "10", "1", ADD("1")) "," OP("b", "w", "2", "11", \
                                                              "2", ADD("2")) "]",  \
            NULL, false, false, false                                              \
    }
#define B2                                                                         \
    { 3, 3, "[" OP("c", "v", "1", "12", "3", SORT) "]", NULL, false, false, false }

static void test_logs(void **state) {
    static const struct {
        const char *name;
        batch_text batches[3];
        uint64_t head;
        const char *want; // a part of what is wrong; NULL = nothing is
        uint64_t seq;     // its place
    } rows[] = {
        {"well", {B1, B2}, 3, NULL, 0},
        {"an unknown type",
         {B1,
          {3, 3, "[" OP("c", "v", "1", "12", "3", WINK) "]", NULL, false, false,
           false}},
         3,
         NULL,
         0},
        {"a rejection in the next batch",
         {B1,
          {3, 3, "[" OP("c", "w", "4", "12", "3", SORT) "]", REJECT("w", "3"),
           false, false, false}},
         3,
         NULL,
         0},
        {"a version nobody knows of is no fault",
         {B1,
          {3, 3, "[" OP("c", "w", "9", "12", "3", SORT) "]", NULL, false, false,
           false}},
         3,
         NULL,
         0},
        {"a value was altered",
         {{1, 1, "[" OP("a", "w", "1", "10", "1", ADD("1")) "]", NULL, false, false,
           true}},
         1,
         "is not the hash of its operations",
         1},
        {"a mark was altered",
         {{1, 1, "[" OP("a", "w", "1", "10", "1", ADD("1")) "]", NULL, false, true,
           false},
          {2, 2, "[" OP("c", "v", "1", "12", "2", SORT) "]", NULL, false, false,
           false}},
         2,
         "is not the hash of its operations",
         1},
        {"a batch that follows another one",
         {B1,
          {3, 3, "[" OP("c", "v", "1", "12", "3", SORT) "]", NULL, true, false,
           false}},
         3,
         "the chain is broken",
         3},
        {"an id twice",
         {B1,
          {3, 3, "[" OP("a", "v", "1", "12", "3", SORT) "]", NULL, false, false,
           false}},
         3,
         "operation id a stands in the log twice",
         3},
        {"a version twice",
         {B1,
          {3, 3, "[" OP("c", "w", "2", "12", "3", SORT) "]", NULL, false, false,
           false}},
         3,
         "version 2 of w is used twice",
         3},
        {"a version that was rejected, too",
         {B1,
          {3, 3, "[" OP("c", "v", "1", "12", "3", SORT) "]", REJECT("w", "2"),
           false, false, false}},
         3,
         "version 2 of w is used twice",
         3},
        {"a writer goes back",
         {{1, 2,
           "[" OP("a", "w", "5", "10", "1", ADD("1")) "," OP("b", "w", "4", "11",
                                                             "2", ADD("2")) "]",
           NULL, false, false, false}},
         2,
         "w went back from version 5 to 4",
         2},
        {"a time that does not grow",
         {{1, 2,
           "[" OP("a", "w", "1", "10", "1", ADD("1")) "," OP("b", "w", "2", "10",
                                                             "2", ADD("2")) "]",
           NULL, false, false, false}},
         2,
         "the time of w did not grow",
         2},
        {"an operation that breaks a rule",
         {{1, 1, "[" OP("a", "w", "1", "10", "1", "\"type\":\"ADD\"") "]", NULL,
           false, false, false}},
         1,
         "could never be accepted: bad-instanceId",
         1},
        {"seqs that are not the batch's",
         {{1, 1, "[" OP("a", "w", "1", "10", "2", SORT) "]", NULL, false, false,
           false}},
         1,
         "the batch of 1 to 1 does not read",
         1},
        {"too few operations",
         {{1, 2, "[" OP("a", "w", "1", "10", "1", SORT) "]", NULL, false, false,
           false}},
         2,
         "the batch of 1 to 2 does not read",
         1},
        {"no JSON",
         {{1, 1, "[{]", NULL, false, false, false}},
         1,
         "the batch of 1 to 1 does not read",
         1},
        {"a log that is too short",
         {B1, B2},
         5,
         "the log ends at 3, it should reach 5",
         5},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char marks[3][TM_MARK_HEX + 1];
        tm_store *store = NULL;
        tm_verified found;
        t_row = rows[i].name;
        T_OK(tm_memory_open(&tm_host_alloc, &store));
        log_write(store, rows[i].batches, 3, marks);
        tm_verify_list(store, key, rows[i].head, &found, NULL, NULL);
        if (rows[i].want == NULL) {
            if (found.wrong_count > 0) T_TEXT(t_str(found.wrong[0].what), "");
            T_EQ(found.operations, rows[i].head);
        } else {
            T_TRUE(found.wrong_count > 0);
            if (strstr(found.wrong[0].what, rows[i].want) == NULL) {
                T_TEXT(t_str(found.wrong[0].what), rows[i].want);
            }
            T_EQ(found.wrong[0].seq, rows[i].seq);
        }
        tm_store_close(store);
    }
}

// ---- snapshots ------------------------------------------------------------------------

static void snapshot_text(char *out, size_t size, uint64_t seq, const char *mark,
                          const char *image, uint64_t version) {
    (void)snprintf(out, size,
                   "{\"format\":1,\"seq\":%d,\"mark\":\"%s\",\"floor\":0,"
                   "\"logBytes\":1,\"milestones\":[],\"state\":{\"format\":1,"
                   "\"browsers\":[\"w\"],\"dead\":[],\"items\":[[\"x1\",[10,0,0,1,"
                   "\"%s\"]],[\"x2\",[11,0,0,2,\"i2\"]]],\"sort\":null},"
                   "\"unknown\":[],\"writers\":[[\"w\",%d,11,0,[0,0]]]}",
                   (int)seq, mark, image, (int)version);
}

static void test_snapshots(void **state) {
    static const struct {
        const char *name, *image, *mark; // NULL = the right one
        uint64_t seq, says, version;
        bool trimmed;
        const char *want;
    } rows[] = {
        {"well", "i1", NULL, 2, 2, 2, false, NULL},
        {"another value", "j1", NULL, 2, 2, 2, false, "is not what the log gives"},
        {"another mark", "i1", "00", 2, 2, 2, false, "mark is not the log's"},
        {"a writer that is behind", "i1", NULL, 2, 2, 1, false,
         "the snapshot has writer w at version 1, the log at 2"},
        {"a writer that is ahead was rejected since", "i1", NULL, 2, 2, 3, false,
         NULL},
        {"another seq than it is stored under", "i1", NULL, 2, 3, 2, false,
         "does not read"},
        {"inside a batch", "i1", NULL, 1, 1, 2, false, "stands inside a batch"},
        {"ahead of the log", "i1", NULL, 9, 9, 2, false, "ahead of the log"},
        {"a trimmed log on it", "i1", NULL, 2, 2, 2, true, NULL},
    };
    static const batch_text batches[] = {B1, B2};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char marks[3][TM_MARK_HEX + 1], text[1024];
        tm_store *store = NULL;
        tm_verified found;
        t_row = rows[i].name;
        T_OK(tm_memory_open(&tm_host_alloc, &store));
        log_write(store, batches, COUNT(batches), marks);
        snapshot_text(text, sizeof text, rows[i].says,
                      rows[i].mark == NULL ? marks[0] : rows[i].mark, rows[i].image,
                      rows[i].version);
        save(store, rows[i].seq, text);
        if (rows[i].trimmed) trim(store, 2);
        tm_verify_list(store, key, 3, &found, NULL, NULL);
        if (rows[i].want == NULL && found.wrong_count > 0) {
            T_TEXT(t_str(found.wrong[0].what), "");
        }
        if (rows[i].want != NULL) {
            T_TRUE(found.wrong_count > 0);
            if (strstr(found.wrong[0].what, rows[i].want) == NULL) {
                T_TEXT(t_str(found.wrong[0].what), rows[i].want);
            }
        }
        if (rows[i].trimmed) T_EQ(found.first, 3);
        tm_store_close(store);
    }
}

// A trimmed log whose snapshot is gone, or lacks what the log still has.
static void test_trimmed(void **state) {
    static const batch_text batches[] = {B1, B2};
    char marks[3][TM_MARK_HEX + 1], text[1024];
    tm_store *store = NULL;
    tm_verified found;
    (void)state;
    t_row = "a snapshot without what the log still has";
    T_OK(tm_memory_open(&tm_host_alloc, &store));
    log_write(store, batches, 2, marks);
    snapshot_text(text, sizeof text, 3, marks[1], "i1", 2);
    save(store, 3, text);
    trim(store, 2);
    tm_verify_list(store, key, 3, &found, NULL, NULL);
    T_TRUE(found.wrong_count > 0);
    assert_non_null(strstr(found.wrong[0].what, "at 3 lacks this operation"));
    T_EQ(found.wrong[0].seq, 3);
    tm_store_close(store);
    t_row = "trimmed without a snapshot";
    T_OK(tm_memory_open(&tm_host_alloc, &store));
    log_write(store, batches, 2, marks);
    trim(store, 2);
    tm_verify_list(store, key, 3, &found, NULL, NULL);
    T_TRUE(found.wrong_count > 0);
    assert_non_null(strstr(found.wrong[0].what, "no snapshot covers"));
    tm_store_close(store);
}

// The operations that nobody here understands are kept all the same.
static void test_unknown(void **state) {
    static const batch_text batches[] = {
        B1,
        {3, 3, "[" OP("c", "v", "1", "12", "3", WINK) "]", NULL, false, false,
         false}};
    char marks[3][TM_MARK_HEX + 1], text[1024];
    tm_store *store = NULL;
    tm_verified found;
    (void)state;
    t_row = "a snapshot that dropped an unknown operation";
    T_OK(tm_memory_open(&tm_host_alloc, &store));
    log_write(store, batches, 2, marks);
    snapshot_text(text, sizeof text, 3, marks[1], "i1", 2);
    save(store, 3, text);
    tm_verify_list(store, key, 3, &found, NULL, NULL);
    T_EQ(found.wrong_count, 2); // and its writer is not named, either
    assert_non_null(strstr(found.wrong[1].what, "operations of unknown type"));
    tm_store_close(store);
}

static void test_empty(void **state) {
    tm_store *store = NULL;
    tm_verified found;
    (void)state;
    t_row = "a list that is not there";
    T_OK(tm_memory_open(&tm_host_alloc, &store));
    tm_verify_list(store, key, 0, &found, NULL, NULL);
    T_EQ(found.wrong_count, 0);
    T_EQ(found.operations, 0);
    tm_store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logs),    cmocka_unit_test(test_snapshots),
        cmocka_unit_test(test_trimmed), cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
