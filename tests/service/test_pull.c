// Reading: what follows a cursor, snapshots, the long poll, the list now and in the past,
// the log. DESIGN 4.
#include "rig.h"
#include "slow.h"

#define OPS "/v1/lists/" RIG_LIST "/operations"

static const char *marks[32]; // of each batch's end, by seq

// Batches of 3, 2, 4, 1 operations: they end at 3, 5, 9 and 10.
static void four_batches(rig_world *r) {
    static const struct {
        const char *browser;
        uint64_t first, last;
    } pushes[] = {{"a", 1, 3}, {"b", 1, 2}, {"a", 4, 7}, {"c", 1, 1}};
    for (size_t i = 0; i < COUNT(pushes); i++) {
        rig_answer *a =
            rig_save(r, pushes[i].browser, pushes[i].first, pushes[i].last);
        marks[rig_int(a->json, "version")] = rig_text(a->json, "mark");
    }
}

// Lets go of all memory of lists and opens them again from the store.
static void restart(rig_world *r) {
    rig_stop(r);
    rig_start(r);
}

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

// `mark` 'g' = the right one of that seq, 'o' = of another batch, 'z' = zeros, 'e' = "",
// 'x' = no mark at all, ' ' = none given.
static const struct {
    const char *name;
    uint64_t since;
    char mark;
    const char *seqs; // NULL: a snapshot
} cursors[] = {
    {"from the start", 0, ' ', "1 2 3 4 5 6 7 8 9 10"},
    {"from the start, with its mark", 0, 'e', "1 2 3 4 5 6 7 8 9 10"},
    {"from the start, with a foreign mark", 0, 'z', NULL},
    {"from a batch's end, no mark", 3, ' ', "4 5 6 7 8 9 10"},
    {"from a batch's end", 3, 'g', "4 5 6 7 8 9 10"},
    {"its mark is another batch's", 3, 'o', NULL},
    {"its mark is empty", 3, 'e', NULL},
    {"its mark is no mark", 3, 'x', NULL},
    {"inside a batch, no mark", 4, ' ', "5 6 7 8 9 10"},
    {"inside a batch, with a mark", 4, 'z', NULL},
    {"last but one", 9, 'g', "10"},
    {"at the head", 10, 'g', ""},
    {"at the head, no mark", 10, ' ', ""},
    {"at the head, foreign", 10, 'o', NULL},
    {"beyond the head", 11, ' ', NULL},
    {"beyond the head, with a mark", 11, 'z', NULL},
    {"far beyond it", 9007199254740991, ' ', NULL},
};

static const char *mark_for(uint64_t since, char kind) {
    switch (kind) {
    case 'g':
        return marks[since];
    case 'o':
        return marks[since == 3 ? 5 : 3];
    case 'z':
        return ZEROS;
    case 'x':
        return "no mark";
    default:
        return "";
    }
}

static void check_cursor(rig_world *r, size_t i, const json_t *json) {
    T_EQ(rig_int(json, "head"), 10);
    T_EQ(rig_int(json, "version"), 10);
    T_TEXT(t_str(rig_text(json, "mark")), marks[10]);
    T_EQ(rig_int(json, "serverTime"), (int64_t)r->now.wall_ms);
    if (cursors[i].seqs != NULL) {
        T_TEXT(t_str(rig_seqs(json)), cursors[i].seqs);
        T_TRUE(json_object_get(json, "snapshot") == NULL);
        return;
    }
    const json_t *snapshot = json_object_get(json, "snapshot");
    T_TRUE(json_object_get(json, "operations") == NULL);
    T_TRUE(json_is_object(json_object_get(snapshot, "state")));
    T_EQ(json_array_size(json_object_get(snapshot, "H")), 2);
    T_EQ(json_array_size(json_object_get(snapshot, "unknown")), 0);
    T_EQ(rig_int(snapshot, "live"), 0);
}

// The same from memory, from the store, in GET and in POST.
static void test_cursors(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    four_batches(&r);
    for (int round = 0; round < 3; round++) {
        if (round == 1) restart(&r);
        if (round == 2) { // and with an empty tail
            tm_key key = {t_str("ann"), t_str(RIG_LIST)};
            T_OK(tm_service_compact(r.service, r.now, key));
            break;
        }
        for (size_t i = 0; i < COUNT(cursors); i++) {
            t_row = cursors[i].name;
            const char *mark = mark_for(cursors[i].since, cursors[i].mark);
            bool given = cursors[i].mark != ' ';
            rig_answer *g = rig_get(
                &r, rig_format(OPS "?since=%" PRIu64 "%s%s", cursors[i].since,
                               given ? "&mark=" : "",
                               given ? (mark[0] == 'n' ? "no%20mark" : mark) : ""));
            T_EQ(g->status, 200);
            check_cursor(&r, i, g->json);
            rig_answer *p =
                rig_post(&r, RIG_LIST,
                         rig_format("{\"user\":\"ann\",\"since\":%" PRIu64
                                    "%s%s%s,\"operations\":[]}",
                                    cursors[i].since, given ? ",\"mark\":\"" : "",
                                    given ? mark : "", given ? "\"" : ""));
            T_EQ(p->status, 200);
            check_cursor(&r, i, p->json);
        }
    }
    t_row = "";
    rig_run(&r);
    rig_close(&r);
}

// A push's answer leaves out what it acks itself, and nothing else.
static void test_own_left_out(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    four_batches(&r);
    rig_answer *a = rig_post(
        &r, RIG_LIST,
        rig_format("{\"user\":\"ann\",\"since\":3,\"mark\":\"%s\",\"acked\":10,"
                   "\"operations\":[%s]}",
                   marks[3], rig_ops("a", 6, 9)));
    T_TEXT(t_str(rig_acks(a->json)), "dup:8 dup:9 ok:11 ok:12");
    T_TEXT(t_str(rig_seqs(a->json)), "4 5 6 7 10");
    T_EQ(rig_int(a->json, "version"), 12);
    restart(&r);
    a = rig_post(&r, RIG_LIST,
                 rig_format("{\"user\":\"ann\",\"lastSyncedVersion\":4,"
                            "\"operations\":[%s]}",
                            rig_ops("a", 7, 8)));
    T_TEXT(t_str(rig_acks(a->json)), "dup:9 dup:11");
    T_TEXT(t_str(rig_seqs(a->json)), "5 6 7 8 10 12");
    // Without `since`: acks, and the end of the batch of the last.
    static const struct {
        uint64_t first, last;
        int64_t version;
    } acks_only[] = {{1, 2, 3}, {1, 5, 9}, {7, 7, 9}, {9, 9, 12}};
    for (size_t i = 0; i < COUNT(acks_only); i++) {
        a = rig_save(&r, "a", acks_only[i].first, acks_only[i].last);
        T_EQ(rig_int(a->json, "version"), acks_only[i].version);
        T_EQ(strlen(rig_text(a->json, "mark")), 64);
        T_TEXT(t_str(rig_seqs(a->json)), "");
    }
    // Only a rejection: where the list stands.
    a = rig_post(&r, RIG_LIST,
                 "{\"user\":\"ann\",\"operations\":[{\"id\":\"q\",\"type\":\"ADD\","
                 "\"timestamp\":1,\"browserId\":\"q\",\"version\":1}]}");
    T_EQ(rig_int(a->json, "version"), 12);
    rig_close(&r);
}

// `acked` beyond the head: this is not the log that acked it.
static void test_acked_beyond(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    four_batches(&r);
    rig_answer *g =
        rig_get(&r, rig_format(OPS "?since=10&mark=%s&acked=10", marks[10]));
    T_TRUE(json_object_get(g->json, "snapshot") == NULL);
    g = rig_get(&r, rig_format(OPS "?since=10&mark=%s&acked=11", marks[10]));
    T_TRUE(json_object_get(g->json, "snapshot") != NULL);
    rig_answer *a = rig_post(
        &r, RIG_LIST,
        rig_format("{\"user\":\"ann\",\"since\":10,\"mark\":\"%s\",\"acked\":12,"
                   "\"operations\":[%s]}",
                   marks[10], rig_op("c", 2)));
    T_TEXT(t_str(rig_acks(a->json)), "ok:11");
    T_EQ(rig_int(a->json, "version"), 11);
    T_TRUE(json_object_get(a->json, "snapshot") != NULL);
    rig_close(&r);
}

// Another history of the same length: only the mark tells.
static void test_restored(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    rig_save(&r, "a", 1, 3);
    tm_store *backup;
    T_OK(tm_memory_copy(r.store, &backup));
    rig_answer *a = rig_save(&r, "a", 4, 7);
    const char *seen = rig_format("%s", rig_text(a->json, "mark"));
    rig_stop(&r);
    tm_store_close(r.store);
    r.store = backup;
    rig_start(&r);
    rig_save(&r, "b", 1, 9); // it has grown past the client's cursor
    rig_answer *g = rig_get(&r, rig_format(OPS "?since=7&mark=%s", seen));
    T_TRUE(json_object_get(g->json, "snapshot") != NULL);
    T_EQ(rig_int(g->json, "version"), 12);
    rig_close(&r);
}

static void test_compacted(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    four_batches(&r);
    tm_key key = {t_str("ann"), t_str(RIG_LIST)};
    T_OK(tm_service_compact(r.service, r.now, key));
    rig_run(&r);
    T_TRUE(tm_service_idle(r.service));
    for (int round = 0; round < 2; round++) {
        rig_answer *g = rig_get(&r, OPS "?since=3");
        T_TRUE(json_object_get(g->json, "snapshot") != NULL);
        g = rig_get(&r, OPS);
        T_TRUE(json_object_get(g->json, "snapshot") != NULL);
        g = rig_get(&r, rig_format(OPS "?since=10&mark=%s", marks[10]));
        T_TRUE(json_object_get(g->json, "snapshot") == NULL);
        T_TEXT(t_str(rig_code(rig_get(&r, "/v1/lists/" RIG_LIST "?at=5"))),
               "trimmed");
        rig_answer *log = rig_get(&r, "/v1/lists/" RIG_LIST "/log");
        T_EQ(rig_int(log->json, "floor"), 10);
        T_EQ(rig_count(log->json, "batches"), 1); // the newest stays
        restart(&r);
    }
    T_TEXT(t_str(rig_acks(rig_save(&r, "a", 7, 8)->json)), "dup:9 ok:11");
    T_TEXT(t_str(rig_code(rig_get(&r, "/v1/lists/" RIG_LIST "?at=10"))), "trimmed");
    rig_answer *g = rig_get(&r, rig_format(OPS "?since=10&mark=%s", marks[10]));
    T_TEXT(t_str(rig_seqs(g->json)), "11");
    rig_close(&r);
}

static void trim_done(tm_store_trim *request, tm_status status, uint64_t count) {
    (void)request;
    T_OK(status);
    T_EQ(count, 3);
}

// The log was trimmed further than the floor says: a hole, so a snapshot.
static void test_hole(void **state) {
    (void)state;
    rig_world r = {.config = {.snapshot_ops = 4}};
    rig_open(&r);
    four_batches(&r);
    rig_advance(&r, 2000); // a snapshot was saved
    T_TRUE(rig_metric(&r, "snapshots_saved_total") >= 1);
    tm_store_trim trim = {.key = {t_str("ann"), t_str(RIG_LIST)},
                          .below_seq = 9,
                          .before_ms = UINT64_MAX};
    trim.done = NULL;
    rig_stop(&r);
    trim.done = trim_done;
    tm_store_trim_start(r.store, &trim);
    (void)tm_store_wait(r.store);
    rig_start(&r);
    rig_answer *g = rig_get(&r, rig_format(OPS "?since=5&mark=%s", marks[5]));
    T_TRUE(json_object_get(g->json, "snapshot") != NULL);
    g = rig_get(&r, rig_format(OPS "?since=9&mark=%s", marks[9]));
    T_TEXT(t_str(rig_seqs(g->json)), "10");
    T_TEXT(t_str(rig_acks(rig_save(&r, "a", 1, 1)->json)), "dup:1");
    T_EQ(rig_int(rig_save(&r, "a", 1, 1)->json, "version"), 0); // no cursor there
    rig_close(&r);
}

static void test_floor_by_age(void **state) {
    (void)state;
    rig_world r = {.config = {.floor_age_ms = 24000, .snapshot_ops = 10}};
    rig_open(&r);
    for (uint64_t v = 1; v <= 10; v++) {
        rig_save(&r, "a", v, v);
        rig_advance(&r, 2000);
    }
    rig_advance(&r, 14000); // 34 s after the first: those of the first 10 s are old
    for (uint64_t v = 11; v <= 20; v++) {
        rig_save(&r, "a", v, v);
    }
    rig_advance(&r, 2000);
    rig_answer *log = rig_get(&r, "/v1/lists/" RIG_LIST "/log?limit=1");
    int64_t floor = rig_int(log->json, "floor");
    T_TRUE(floor >= 4 && floor <= 7);
    T_EQ(rig_count(log->json, "batches"), 1); // nothing was trimmed
    rig_answer *g = rig_get(&r, rig_format(OPS "?since=%" PRId64, floor - 1));
    T_TRUE(json_object_get(g->json, "snapshot") != NULL);
    g = rig_get(&r, rig_format(OPS "?since=%" PRId64, floor));
    T_TRUE(json_object_get(g->json, "snapshot") == NULL);
    rig_stop(&r); // and it is the same after a restart
    rig_start(&r);
    log = rig_get(&r, "/v1/lists/" RIG_LIST "/log?limit=1");
    T_EQ(rig_int(log->json, "floor"), floor);
    rig_close(&r);
}

// Where the log stood when is remembered coarsely, and well enough for ever.
static void test_floor_in_the_long_run(void **state) {
    (void)state;
    rig_world r = {.config = {.floor_age_ms = 24000, .snapshot_ops = 100}};
    rig_open(&r);
    for (uint64_t v = 1; v <= 500; v++) {
        rig_save(&r, "a", v, v);
        rig_advance(&r, 500);
    }
    rig_answer *log = rig_get(&r, "/v1/lists/" RIG_LIST "/log?limit=1");
    int64_t floor = rig_int(log->json, "floor");
    T_TRUE(floor >= 500 - 2 * 24 - 100 - 10); // the last snapshot's, a hundred ago
    T_TRUE(floor <= 500 - 2 * 24);
    rig_close(&r);
}

// ---- pages --------------------------------------------------------------------------

// A tail that is longer than 64 KiB and than the state: the state is sent instead.
static void test_dear(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    for (uint64_t v = 1; v <= 2400; v += 80) {
        rig_save(&r, "a", v, v + 79); // seven items, again and again
    }
    rig_answer *g = rig_get(&r, OPS "?since=0");
    T_TRUE(json_object_get(g->json, "snapshot") != NULL);
    T_TRUE(g->len < 8192);
    g = rig_get(&r, OPS "?since=1600"); // 150 KB
    T_TRUE(json_object_get(g->json, "snapshot") != NULL);
    g = rig_get(&r, OPS "?since=2240"); // 30 KB
    T_EQ(rig_count(g->json, "operations"), 160);
    rig_close(&r);
}

// ADDs of versions first..last by x, each with a description of `len` bytes.
static void add_items(rig_world *r, uint64_t first, uint64_t last, int len) {
    char *body = malloc((size_t)(last - first + 1) * (size_t)(len + 300) + 100);
    size_t at = (size_t)sprintf(body, "{\"user\":\"ann\",\"operations\":[");
    for (uint64_t v = first; v <= last; v++) {
        at += (size_t)sprintf(body + at,
                              "%s{\"id\":\"x-%" PRIu64
                              "\",\"type\":\"ADD\",\"instanceId\":\"x%" PRIu64
                              "\",\"imageId\":\"m\",\"timestamp\":1,\"browserId\":"
                              "\"x\",\"version\":%" PRIu64
                              ",\"data\":{\"description\":\"%0*d\"}}",
                              v > first ? "," : "", v, v, v, len, 7);
    }
    sprintf(body + at, "]}");
    rig_answer *a = rig_post(r, RIG_LIST, body);
    T_EQ(a->status, 200);
    T_EQ(rig_count(a->json, "acks"), last - first + 1);
    free(body);
}

// An answer is whole batches: at most 1,000 operations ...
static void test_page_ops(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    for (uint64_t v = 1; v <= 800; v += 80) {
        add_items(&r, v, v + 79, 1000); // a state that is larger than what follows
    }
    for (uint64_t v = 1; v <= 1600; v += 80) {
        rig_save(&r, "a", v, v + 79);
    }
    for (int round = 0; round < 2; round++) {
        rig_answer *g = rig_get(&r, OPS "?since=800");
        T_EQ(rig_count(g->json, "operations"), 960);
        T_EQ(rig_int(g->json, "version"), 1760);
        T_EQ(rig_int(g->json, "head"), 2400);
        g = rig_get(
            &r, rig_format(OPS "?since=1760&mark=%s", rig_text(g->json, "mark")));
        T_EQ(rig_count(g->json, "operations"), 640);
        g = rig_get(&r, OPS "?since=790"); // inside a batch of 90 KB
        T_EQ(rig_count(g->json, "operations"), 10 + 880);
        restart(&r);
    }
    rig_close(&r);
}

// ... and 1 MiB.
static void test_page_bytes(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    char *value = malloc(60001);
    memset(value, 'v', 60000);
    value[60000] = '\0';
    for (int v = 1; v <= 42; v++) { // 60 KB each: 17 fit
        rig_post(&r, RIG_LIST,
                 rig_format("{\"user\":\"ann\",\"operations\":[{\"id\":\"l-%d\","
                            "\"type\":\"PAINT\",\"x\":\"%s\",\"timestamp\":1,"
                            "\"browserId\":\"x\",\"version\":%d}]}",
                            v, value, v));
    }
    free(value);
    uint64_t since = 2;
    int pages = 0;
    while (since < 42) {
        rig_answer *g = rig_get(&r, rig_format(OPS "?since=%" PRIu64, since));
        T_EQ(g->status, 200);
        T_TRUE(g->len <= 1 << 20);
        T_TRUE(rig_count(g->json, "operations") > 0);
        since = (uint64_t)rig_int(g->json, "version");
        pages++;
    }
    T_EQ(pages, 3);
    // A push's answer keeps within it too, with its acks.
    rig_answer *a =
        rig_post(&r, RIG_LIST,
                 rig_format("{\"user\":\"ann\",\"since\":2,\"operations\":"
                            "[%s]}",
                            rig_ops("b", 1, 100)));
    T_EQ(rig_count(a->json, "acks"), 100);
    T_TRUE(a->len <= 1 << 20 && a->len > 900000);
    // And the log's.
    a = rig_get(&r, "/v1/lists/" RIG_LIST "/log");
    T_TRUE(a->len <= 1 << 20 && a->len > 900000);
    T_TRUE(json_is_true(json_object_get(a->json, "more")));
    rig_close(&r);
}

// ---- the long poll ------------------------------------------------------------------

static void test_long_poll(void **state) {
    (void)state;
    rig_world r = {0};
    r.alloc = t_alloc(&r.memory);
    T_OK(tm_memory_open(&r.alloc, &r.store));
    r.store = slow_open(r.store);
    rig_open(&r);
    four_batches(&r);
    size_t reads = slow_started(r.store, SLOW_READ | SLOW_LOAD);
    const char *path = rig_format(OPS "?since=10&mark=%s&wait=25", marks[10]);
    rig_answer *g = rig_get(&r, path), *h = rig_get(&r, path);
    T_TRUE(!g->done && !h->done);
    rig_advance(&r, 24999);
    T_TRUE(!g->done);
    rig_advance(&r, 1);
    T_TRUE(g->done && h->done);
    T_TEXT(t_str(rig_seqs(g->json)), "");
    T_EQ(rig_int(g->json, "version"), 10);
    T_TEXT(t_str(rig_text(g->json, "mark")), marks[10]);
    // News answers it at once.
    g = rig_get(&r, rig_format(OPS "?since=10&mark=%s&wait=999", marks[10]));
    h = rig_get(&r, rig_format(OPS "?since=10&mark=%s&wait=3", marks[10]));
    rig_answer *left =
        rig_get(&r, rig_format(OPS "?since=10&mark=%s&wait=3", marks[10]));
    rig_advance(&r, 2000);
    tm_service_cancel(r.service, left->ticket);
    rig_save(&r, "c", 2, 3);
    T_TEXT(t_str(rig_seqs(g->json)), "11 12");
    T_TEXT(t_str(rig_seqs(h->json)), "11 12");
    T_TRUE(!left->done);
    // What is not at the head does not wait.
    T_TRUE(rig_get(&r, OPS "?since=9&wait=5")->done);
    // Polls that bring nothing never asked the store.
    T_EQ(slow_started(r.store, SLOW_READ | SLOW_LOAD), reads);
    // A list that is not there waits for its first operation.
    g = rig_get(&r, "/v1/lists/other/operations?wait=20");
    T_TRUE(!g->done);
    rig_post(&r, "other",
             rig_format("{\"user\":\"ann\",\"operations\":[%s]}", rig_op("b", 1)));
    T_TEXT(t_str(rig_seqs(g->json)), "1");
    // Stopping answers those that wait.
    g = rig_get(&r, OPS "?since=12&wait=20");
    T_TRUE(!g->done);
    tm_service_stop(r.service, r.now);
    rig_run(&r);
    T_TEXT(t_str(rig_seqs(g->json)), "");
    rig_close(&r);
}

// ---- lists --------------------------------------------------------------------------

static void test_never_written(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    size_t before = r.memory.bytes;
    for (int i = 0; i < 1200; i++) {
        rig_answer *g =
            rig_get(&r, rig_format("/v1/lists/l%d/operations?since=0", i));
        T_EQ(rig_int(g->json, "version"), 0);
        T_EQ(rig_int(g->json, "head"), 0);
        T_TEXT(t_str(rig_text(g->json, "mark")), "");
        T_EQ(rig_count(g->json, "operations"), 0);
        g = rig_get(&r, rig_format("/v1/lists/l%d", i));
        T_EQ(rig_int(g->json, "version"), 0);
        T_EQ(rig_count(g->json, "selectedImages"), 0);
        T_EQ(json_object_size(json_object_get(g->json, "vector")), 0);
        T_TEXT(t_str(rig_text(g->json, "sort")), "asc");
        g = rig_get(&r, rig_format("/v1/lists/l%d/log", i));
        T_EQ(rig_count(g->json, "batches"), 0);
        T_TRUE(json_is_false(json_object_get(g->json, "more")));
        if (i == 0) before = r.memory.bytes;
        rig_forget(&r);
    }
    // However many names are invented, so many stay; who polls one of those that were
    // first costs the store nothing.
    T_EQ(rig_metric(&r, "lists_warm"), 1024);
    T_TRUE(r.memory.bytes <= before + 1024 * 4096 + 20000);
    int64_t opened = rig_metric(&r, "opens_total");
    T_EQ(rig_int(rig_get(&r, "/v1/lists/l0/operations?since=0")->json, "head"), 0);
    T_EQ(rig_metric(&r, "opens_total"), opened);
    T_EQ(rig_int(rig_get(&r, "/v1/lists/l1199/operations?since=0")->json, "head"),
         0);
    T_EQ(rig_metric(&r, "opens_total"), opened + 1);
    rig_close(&r);
}

static void test_list_view(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    rig_post(
        &r, RIG_LIST,
        "{\"user\":\"ann\",\"operations\":["
        "{\"id\":\"1\",\"type\":\"ADD\",\"instanceId\":\"x\",\"imageId\":\"i\","
        "\"data\":{\"photoNumber\":\"7\",\"imageId\":\"no\",\"gone\":null},"
        "\"timestamp\":2,\"browserId\":\"b\",\"version\":1},"
        "{\"id\":\"2\",\"type\":\"ADD\",\"instanceId\":\"y\",\"imageId\":\"j\","
        "\"timestamp\":3,\"browserId\":\"b\",\"version\":2},"
        "{\"id\":\"3\",\"type\":\"SORT_CHANGE\",\"sort\":\"desc\","
        "\"timestamp\":3,\"browserId\":\"a\",\"version\":1},"
        "{\"id\":\"4\",\"type\":\"DELETE\",\"instanceId\":\"y\",\"timestamp\":4,"
        "\"browserId\":\"a\",\"version\":2},"
        "{\"id\":\"5\",\"type\":\"ADD\",\"instanceId\":\"z\",\"imageId\":\"k\","
        "\"timestamp\":9,\"browserId\":\"a\",\"version\":3}]}");
    static const struct {
        const char *query, *state;
    } views[] = {
        {"", "\"version\":5,\"head\":5,\"serverTime\":1790000000000,\"vector\":"
             "{\"a\":3,\"b\":2},\"sort\":\"desc\",\"selectedImages\":["
             "{\"instanceId\":\"z\",\"imageId\":\"k\"},"
             "{\"instanceId\":\"x\",\"imageId\":\"i\",\"photoNumber\":\"7\"}]}"},
        {"?at=5",
         "\"version\":5,\"head\":5,\"serverTime\":1790000000000,\"vector\":"
         "{\"a\":3,\"b\":2},\"sort\":\"desc\",\"selectedImages\":["
         "{\"instanceId\":\"z\",\"imageId\":\"k\"},"
         "{\"instanceId\":\"x\",\"imageId\":\"i\",\"photoNumber\":\"7\"}]}"},
        {"?at=2",
         "\"version\":2,\"head\":5,\"serverTime\":1790000000000,\"vector\":"
         "{\"b\":2},\"sort\":\"asc\",\"selectedImages\":["
         "{\"instanceId\":\"x\",\"imageId\":\"i\",\"photoNumber\":\"7\"},"
         "{\"instanceId\":\"y\",\"imageId\":\"j\"}]}"},
        {"?at=0",
         "\"version\":0,\"head\":5,\"serverTime\":1790000000000,\"vector\":{},"
         "\"sort\":\"asc\",\"selectedImages\":[]}"},
    };
    for (size_t i = 0; i < COUNT(views); i++) {
        t_row = views[i].query;
        rig_answer *g =
            rig_get(&r, rig_format("/v1/lists/" RIG_LIST "%s", views[i].query));
        T_TEXT(t_str(g->text), rig_format("{\"user\":\"ann\",%s", views[i].state));
    }
    t_row = "";
    T_TEXT(t_str(rig_code(rig_get(&r, "/v1/lists/" RIG_LIST "?at=6"))),
           "beyond-head");
    rig_close(&r);
}

static void test_log(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    four_batches(&r);
    static const struct {
        const char *query;
        int64_t first, last;
        size_t count;
        bool more;
    } pages[] = {
        {"", 1, 10, 4, false},        {"?limit=1", 1, 3, 1, true},
        {"?limit=3", 1, 9, 3, true},  {"?from=4&limit=2", 4, 9, 2, true},
        {"?from=5", 4, 10, 3, false}, {"?from=10&limit=1", 10, 10, 1, false},
        {"?limit=0", 1, 3, 1, true},  {"?from=11", 0, 0, 0, false},
    };
    for (size_t i = 0; i < COUNT(pages); i++) {
        t_row = pages[i].query;
        rig_answer *g =
            rig_get(&r, rig_format("/v1/lists/" RIG_LIST "/log%s", pages[i].query));
        T_EQ(g->status, 200);
        T_EQ(rig_count(g->json, "batches"), pages[i].count);
        T_EQ(json_is_true(json_object_get(g->json, "more")), pages[i].more);
        if (pages[i].count == 0) continue;
        const json_t *all = json_object_get(g->json, "batches");
        const json_t *first = json_array_get(all, 0);
        const json_t *last = json_array_get(all, pages[i].count - 1);
        T_EQ(rig_int(first, "first"), pages[i].first);
        T_EQ(rig_int(last, "last"), pages[i].last);
        T_EQ(rig_int(last, "acceptedMs"), RIG_START);
        T_EQ(strlen(rig_text(first, "before")), 64);
        T_TEXT(t_str(rig_text(last, "mark")), marks[pages[i].last]);
        T_EQ(rig_count(last, "operations"),
             (size_t)(rig_int(last, "last") - rig_int(last, "first") + 1));
    }
    t_row = "";
    rig_close(&r);
}

// A list counts once on each day that somebody asks for it, however often.
static void test_list_days(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    for (int day = 1; day <= 3; day++) {
        for (int i = 0; i < 3; i++) {
            (void)rig_get(&r, "/v1/lists/l/operations?since=0");
        }
        T_EQ(rig_metric(&r, "list_days_total"), day);
        rig_advance(&r, 86400000);
    }
    rig_advance(&r, 86400000); // a day without anybody
    (void)rig_get(&r, "/v1/lists/l/operations?since=0");
    (void)rig_get(&r, "/v1/lists/other");
    T_EQ(rig_metric(&r, "list_days_total"), 5);
    rig_close(&r);
}

// Lists that nobody uses go when there are too many, and come back as they were.
static void test_eviction(void **state) {
    (void)state;
    rig_world r = {.config = {.memory_max = 64 << 10}};
    rig_open(&r);
    for (int i = 0; i < 100; i++) {
        T_EQ(rig_post(&r, rig_format("l%d", i),
                      rig_format("{\"user\":\"ann\",\"operations\":[%s]}",
                                 rig_ops("b", 1, 20)))
                 ->status,
             200);
        T_TRUE(rig_metric(&r, "lists_bytes") <= 64 << 10);
    }
    T_TRUE(rig_metric(&r, "evictions_total") > 50);
    rig_answer *g = rig_get(&r, "/v1/lists/l0/operations?since=18");
    T_TEXT(t_str(rig_seqs(g->json)), "19 20");
    T_TEXT(
        t_str(rig_acks(rig_post(&r, "l0",
                                rig_format("{\"user\":\"ann\",\"operations\":[%s]}",
                                           rig_ops("b", 20, 21)))
                           ->json)),
        "dup:20 ok:21");
    rig_close(&r);
}

// Reading while the store fails: refused, and well again afterwards.
static void test_reads_fail(void **state) {
    (void)state;
    rig_world r = {0};
    r.alloc = t_alloc(&r.memory);
    T_OK(tm_memory_open(&r.alloc, &r.store));
    r.store = slow_open(r.store);
    rig_open(&r);
    four_batches(&r);
    static const unsigned kinds[] = {SLOW_LOAD, SLOW_READ};
    static const tm_status statuses[] = {TM_E_AGAIN, TM_E_IO, TM_E_NOMEM};
    for (size_t i = 0; i < 6; i++) {
        rig_stop(&r);
        rig_start(&r);
        slow_fail(r.store, kinds[i % 2], statuses[i / 2], 1);
        rig_answer *g = rig_get(&r, OPS "?since=3");
        T_EQ(g->status, 503);
        T_EQ(rig_get(&r, OPS "?since=3")->status, 200);
        slow_fail(r.store, SLOW_READ, statuses[i / 2], 1);
        g = rig_get(&r, OPS "?since=99"); // wants a consistent read
        T_EQ(g->status, 503);
        slow_fail(r.store, SLOW_READ, statuses[i / 2], 1);
        T_EQ(rig_save(&r, "a", 99, 99)->status, 503); // a gap wants one too
        T_TEXT(t_str(rig_acks(rig_save(&r, "a", 99, 99)->json)), "gap:8");
    }
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cursors),
        cmocka_unit_test(test_own_left_out),
        cmocka_unit_test(test_acked_beyond),
        cmocka_unit_test(test_restored),
        cmocka_unit_test(test_compacted),
        cmocka_unit_test(test_hole),
        cmocka_unit_test(test_floor_by_age),
        cmocka_unit_test(test_floor_in_the_long_run),
        cmocka_unit_test(test_dear),
        cmocka_unit_test(test_page_ops),
        cmocka_unit_test(test_page_bytes),
        cmocka_unit_test(test_long_poll),
        cmocka_unit_test(test_never_written),
        cmocka_unit_test(test_list_view),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_list_days),
        cmocka_unit_test(test_eviction),
        cmocka_unit_test(test_reads_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
