// What a start reads is what was there: from the log, from a snapshot and the log behind
// it, from a snapshot that cannot be used. SEMANTICS 5.
#include "rig.h"
#include "slow.h"

#include "service/mark.h"

#define OPS "/v1/lists/" RIG_LIST "/operations"

static const tm_key the_key = {{(const uint8_t *)RIG_USER, sizeof RIG_USER - 1},
                               {(const uint8_t *)RIG_LIST, sizeof RIG_LIST - 1}};

// A list with everything in it.
static void fill(rig_world *r) {
    rig_post(
        r, RIG_LIST,
        "{\"user\":\"ann\",\"operations\":["
        "{\"id\":\"1\",\"type\":\"ADD\",\"instanceId\":\"x\",\"imageId\":\"i\","
        "\"data\":{\"photoNumber\":\"7\",\"gone\":null,\"d\":"
        "\"\\u0000\\ud83d\\ude00"
        "\"},\"timestamp\":2,\"browserId\":\"b\",\"version\":1},"
        "{\"id\":\"2\",\"type\":\"PAINT\",\"colour\":{\"deep\":[1]},"
        "\"timestamp\":3,\"browserId\":\"b\",\"version\":2},"
        "{\"id\":\"3\",\"type\":\"DELETE\",\"instanceId\":\"y\",\"timestamp\":4,"
        "\"browserId\":\"a\",\"version\":1},"
        "{\"id\":\"4\",\"type\":\"ADD\",\"timestamp\":4,"
        "\"browserId\":\"a\",\"version\":2},"
        "{\"id\":\"5\",\"type\":\"SORT_CHANGE\",\"sort\":\"desc\",\"timestamp\":"
        "9999999999999,\"browserId\":\"f\",\"version\":1}]}");
    for (uint64_t v = 1; v <= 260; v += 20) {
        rig_save(r, "w", v, v + 19);
    }
}

// Everything that may be asked of a list, as one text.
static char *portrait(rig_world *r) {
    static const char *const paths[] = {
        "/v1/lists/" RIG_LIST, "/v1/lists/" RIG_LIST "?at=100", OPS "?since=255",
        OPS "?since=0&mark=0", "/v1/lists/" RIG_LIST "/log?limit=1000"};
    char *text = calloc(1, 1 << 20);
    for (size_t i = 0; i < COUNT(paths); i++) {
        rig_answer *g = rig_get(r, paths[i]);
        T_EQ(g->status, 200);
        strcat(text, g->text);
    }
    // Sent again: known, with the same seq and stamp, or the same rejection.
    static const char *const again[] = {
        "{\"id\":\"4\",\"type\":\"ADD\",\"timestamp\":4,\"browserId\":\"a\","
        "\"version\":2}",
        "{\"id\":\"5\",\"type\":\"SORT_CHANGE\",\"sort\":\"desc\",\"timestamp\":"
        "9999999999999,\"browserId\":\"f\",\"version\":1}"};
    for (size_t i = 0; i < COUNT(again); i++) {
        rig_answer *a = rig_post(
            r, RIG_LIST,
            rig_format("{\"user\":\"ann\",\"operations\":[%s]}", again[i]));
        strcat(text, a->text);
    }
    strcat(text, rig_save(r, "w", 170, 200)->text);
    char *canonical = rig_canonical(r, RIG_LIST);
    strcat(text, canonical);
    free(canonical);
    return text;
}

static void restart(rig_world *r) {
    rig_stop(r);
    rig_start(r);
}

static void test_from_the_log(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    fill(&r);
    char *before = portrait(&r);
    restart(&r);
    char *after = portrait(&r);
    T_TEXT(t_str(after), before);
    T_EQ(rig_metric(&r, "store_loads_total"), 2);
    free(before);
    free(after);
    rig_close(&r);
}

static void test_from_a_snapshot(void **state) {
    (void)state;
    rig_world r = {.config = {.snapshot_ops = 50}};
    rig_open(&r);
    fill(&r);
    rig_advance(&r, 5000);
    T_TRUE(rig_metric(&r, "snapshots_saved_total") > 0);
    rig_save(&r, "w", 261, 262); // and a little behind it
    char *before = portrait(&r);
    restart(&r);
    char *after = portrait(&r);
    T_TEXT(t_str(after), before);
    free(before);
    free(after);
    rig_close(&r);
}

// Snapshots are saved when there is something to save, and not more often than may be.
static void test_when_saved(void **state) {
    (void)state;
    rig_world r = {.config = {.snapshot_ops = 100}};
    rig_open(&r);
    for (uint64_t v = 1; v <= 63; v++) {
        rig_save(&r, "w", v, v);
    }
    rig_advance(&r, 100000);
    T_EQ(rig_metric(&r, "snapshots_saved_total"), 0); // too few to be worth it
    rig_save(&r, "w", 64, 64);
    rig_advance(&r, 29999);
    T_EQ(rig_metric(&r, "snapshots_saved_total"), 0);
    rig_advance(&r, 1); // at rest
    T_EQ(rig_metric(&r, "snapshots_saved_total"), 1);
    rig_advance(&r, 100000);
    T_EQ(rig_metric(&r, "snapshots_saved_total"), 1);
    for (uint64_t v = 65; v <= 400; v++) {
        rig_save(&r, "w", v, v);
    }
    T_EQ(rig_metric(&r, "snapshots_saved_total"), 2); // once a second at most
    rig_advance(&r, 1000);
    T_EQ(rig_metric(&r, "snapshots_saved_total"), 3);
    rig_close(&r);
}

// One that could not be saved is tried again later, and nothing else suffers.
static void test_save_fails(void **state) {
    (void)state;
    rig_world r = {.config = {.snapshot_ops = 100}};
    r.alloc = t_alloc(&r.memory);
    T_OK(tm_memory_open(&r.alloc, &r.store));
    r.store = slow_open(r.store);
    rig_open(&r);
    slow_fail(r.store, SLOW_SAVE, TM_E_AGAIN, 1);
    rig_save(&r, "w", 1, 100);
    T_EQ(rig_metric(&r, "snapshot_failures_total"), 1);
    rig_save(&r, "w", 101, 200);
    rig_advance(&r, 29000);
    T_EQ(rig_metric(&r, "snapshots_saved_total"), 0);
    rig_advance(&r, 1000);
    T_EQ(rig_metric(&r, "snapshots_saved_total"), 1);
    rig_close(&r);
}

// ---- what cannot be read ------------------------------------------------------------

typedef struct loaded {
    uint64_t seq;
    uint8_t *bytes;
    size_t len;
} loaded;

static void load_done(tm_store_load *request, tm_status status, uint64_t seq,
                      tm_span bytes) {
    loaded *l = request->context;
    T_OK(status);
    l->seq = seq;
    l->bytes = malloc(bytes.len + 1);
    l->len = bytes.len;
    if (bytes.len > 0) memcpy(l->bytes, bytes.ptr, bytes.len);
}

static loaded load(rig_world *r) {
    loaded l = {0};
    tm_store_load request = {.key = the_key, .done = load_done, .context = &l};
    tm_store_load_start(r->store, &request);
    while (l.bytes == NULL) {
        (void)tm_store_wait(r->store);
    }
    return l;
}

static void save_done(tm_store_save *request, tm_status status) {
    T_OK(status);
    *(bool *)request->context = true;
}

// A fresh store with the log of `from` and this snapshot.
static tm_store *store_with(rig_world *r, uint64_t seq, tm_span bytes,
                            bool with_log);

typedef struct copying {
    tm_store *to;
    size_t count;
    bool done;
} copying;

static void copy_append_done(tm_store_append *request, tm_status status) {
    T_OK(status);
    *(bool *)request->context = true;
}

static void copy_read_done(tm_store_read *request, tm_status status,
                           const tm_batch *batches, size_t count, bool more) {
    copying *c = request->context;
    T_OK(status);
    T_TRUE(!more);
    for (size_t i = 0; i < count; i++) {
        bool done = false;
        tm_store_append append = {.key = the_key,
                                  .batch = batches[i],
                                  .done = copy_append_done,
                                  .context = &done};
        tm_store_append_start(c->to, &append);
        while (!done) {
            (void)tm_store_wait(c->to);
        }
    }
    c->count = count;
    c->done = true;
}

static tm_store *store_with(rig_world *r, uint64_t seq, tm_span bytes,
                            bool with_log) {
    tm_store *store;
    T_OK(tm_memory_open(&r->alloc, &store));
    if (with_log) {
        copying c = {.to = store};
        tm_store_read read = {.key = the_key,
                              .ops_max = UINT64_MAX,
                              .bytes_max = UINT64_MAX,
                              .done = copy_read_done,
                              .context = &c};
        tm_store_read_start(r->store, &read);
        while (!c.done) {
            (void)tm_store_wait(r->store);
        }
    }
    bool saved = false;
    tm_store_save save = {.key = the_key,
                          .seq = seq,
                          .bytes = bytes,
                          .done = save_done,
                          .context = &saved};
    tm_store_save_start(store, &save);
    while (!saved) {
        (void)tm_store_wait(store);
    }
    return store;
}

// Opens a service over the log and such a snapshot: what GET answers.
static rig_answer *with_snapshot(rig_world *r, uint64_t seq, tm_span bytes,
                                 bool with_log) {
    tm_store *mine = r->store, *other = store_with(r, seq, bytes, with_log);
    rig_stop(r);
    r->store = other;
    rig_start(r);
    rig_answer *g = rig_get(r, "/v1/lists/" RIG_LIST);
    rig_stop(r);
    tm_store_close(other);
    r->store = mine;
    rig_start(r);
    return g;
}

// Every byte of a stored snapshot turned, and cut off everywhere: never believed. The log
// is whole, so it is read instead; without it the list is refused.
static void test_damaged_snapshot(void **state) {
    (void)state;
    rig_world r = {.config = {.snapshot_ops = 3}};
    rig_open(&r);
    rig_post(
        &r, RIG_LIST,
        "{\"user\":\"ann\",\"operations\":["
        "{\"id\":\"1\",\"type\":\"ADD\",\"instanceId\":\"x\",\"imageId\":\"i\","
        "\"data\":{\"p\":\"7\"},\"timestamp\":2,\"browserId\":\"b\",\"version\":1},"
        "{\"id\":\"2\",\"type\":\"PAINT\",\"timestamp\":3,\"browserId\":\"b\","
        "\"version\":2},"
        "{\"id\":\"4\",\"type\":\"ADD\",\"timestamp\":4,"
        "\"browserId\":\"a\",\"version\":1},"
        "{\"id\":\"3\",\"type\":\"DELETE\",\"instanceId\":\"y\",\"timestamp\":4,"
        "\"browserId\":\"a\",\"version\":2}]}");
    rig_advance(&r, 1000);
    const char *good = rig_get(&r, "/v1/lists/" RIG_LIST)->text;
    loaded l = load(&r);
    T_EQ(l.seq, 3);
    T_TRUE(l.len > 500);
    good = strstr(good, "\"vector\"");
    rig_answer *g = with_snapshot(&r, l.seq, (tm_span){l.bytes, l.len}, true);
    T_TEXT(t_str(strstr(g->text, "\"vector\"")), good);
    for (size_t i = 0; i < l.len; i++) {
        uint8_t was = l.bytes[i];
        l.bytes[i] = was ^ 1;
        t_row = rig_format("byte %zu of %zu", i, l.len);
        g = with_snapshot(&r, l.seq, (tm_span){l.bytes, l.len}, true);
        T_EQ(g->status, 200);
        T_TEXT(t_str(strstr(g->text, "\"vector\"")), good);
        if (i % 16 == 0) {
            g = with_snapshot(&r, l.seq, (tm_span){l.bytes, l.len}, false);
            T_EQ(g->status, 503);
            T_TEXT(t_str(rig_code(g)), "corrupt");
            g = with_snapshot(&r, l.seq, (tm_span){l.bytes, i}, true);
            T_EQ(g->status, 200);
        }
        l.bytes[i] = was;
    }
    t_row = "";
    free(l.bytes);
    rig_close(&r);
}

// Well-formed, with a right sum, and yet wrong.
static const struct {
    const char *name, *from, *to, *code; // code "": the log is read instead
} edits[] = {
    {"as it is", "\"seq\":3", "\"seq\":3", ""},
    {"newer", "\"format\":1,\"seq\"", "\"format\":2,\"seq\"", "format"},
    {"older than the first", "\"format\":1,\"seq\"", "\"format\":0,\"seq\"", ""},
    {"newer state", "{\"format\":1,\"browsers\"", "{\"format\":2,\"browsers\"",
     "format"},
    {"another seq", "\"seq\":3", "\"seq\":2", ""},
    {"floor above its seq", "\"floor\":0", "\"floor\":4", ""},
    {"a version of 0", "[\"b\",2,", "[\"b\",0,", ""},
    {"a decision too few", "[\"b\",2,", "[\"b\",3,", ""},
    {"a decision too many", "[\"b\",2,", "[\"b\",1,", ""},
    {"a bad browser", "[\"b\",2,", "[\"/\",2,", ""},
    {"a member more", "\"floor\":0", "\"more\":1,\"floor\":0", ""},
    {"a member less", ",\"floor\":0", "", ""},
};

static void test_wrong_snapshot(void **state) {
    (void)state;
    rig_world r = {.config = {.snapshot_ops = 3}};
    rig_open(&r);
    rig_save(&r, "b", 1, 2);
    rig_save(&r, "a", 1, 1);
    rig_advance(&r, 1000);
    loaded l = load(&r);
    l.bytes[l.len] = '\0';
    const char *text = (const char *)l.bytes;
    tm_marker marker = {NULL, NULL};
    T_OK(tm_marker_init(&marker));
    for (size_t i = 0; i < COUNT(edits); i++) {
        t_row = edits[i].name;
        const char *at = strstr(text, edits[i].from);
        T_TRUE(at != NULL);
        const char *sum = strstr(text, ",\"sum\":");
        const char *body =
            rig_format("%.*s%s%.*s", (int)(at - text), text, edits[i].to,
                       (int)(sum - at) - (int)strlen(edits[i].from),
                       at + strlen(edits[i].from));
        static const uint8_t zero[TM_MARK_LEN];
        uint8_t mark[TM_MARK_LEN], hex[TM_MARK_HEX];
        T_OK(tm_mark_next(&marker, zero, t_str(body), mark));
        tm_mark_hex(mark, hex);
        const char *whole = rig_format("%s,\"sum\":\"%.64s\"}", body, (char *)hex);
        rig_answer *g = with_snapshot(&r, l.seq, t_str(whole), true);
        T_TEXT(t_str(rig_code(g)), edits[i].code);
    }
    t_row = "";
    tm_marker_deinit(&marker);
    free(l.bytes);
    rig_close(&r);
}

// A log whose bytes are not those its marks were taken over is not served.
static void test_damaged_log(void **state) {
    (void)state;
    for (int damage = 0; damage < 6; damage++) {
        rig_world r = {0};
        rig_open(&r);
        rig_save(&r, "b", 1, 2);
        rig_answer *last = rig_save(&r, "b", 3, 3);
        rig_stop(&r);
        // An append that a broken program made.
        static const char ops[] =
            "[{\"id\":\"z\",\"type\":\"SORT_CHANGE\",\"sort\":"
            "\"asc\",\"timestamp\":1,\"browserId\":\"z\","
            "\"version\":1,\"seq\":4}]";
        bool done = false;
        tm_store_append append = {
            .key = the_key,
            .batch = {.first_seq = 4, .last_seq = 4, .operations = t_str(ops)},
            .done = copy_append_done,
            .context = &done};
        // Its mark is not the chain's; or it is, and the bytes are no operations.
        T_TRUE(
            tm_mark_read(t_str(rig_text(last->json, "mark")), append.batch.before));
        static const char *const texts[] = {
            ops,
            "[]",
            "no",
            ops,
            "[{\"id\":\"z\",\"seq\":4}]",
            "[{\"id\":\"z\",\"browserId\":\"z\",\"version\":1,\"seq\":5}]"};
        append.batch.operations = t_str(texts[damage]);
        tm_marker marker;
        T_OK(tm_marker_init(&marker));
        T_OK(tm_mark_next(&marker, append.batch.before, append.batch.operations,
                          append.batch.mark));
        tm_marker_deinit(&marker);
        if (damage == 0) append.batch.mark[31] ^= 1;
        if (damage == 3) append.batch.before[0] ^= 1;
        tm_store_append_start(r.store, &append);
        while (!done) {
            (void)tm_store_wait(r.store);
        }
        rig_start(&r);
        rig_answer *g = rig_get(&r, OPS);
        T_EQ(g->status, 503);
        T_TEXT(t_str(rig_code(g)), "corrupt");
        T_EQ(rig_save(&r, "b", 4, 4)->status, 503);
        rig_close(&r);
    }
}

// The store is replaced under a running server: found out by the next consistent read or
// append; listeners ask anew, and what was sent is decided by the log that is there.
static void test_replaced_store(void **state) {
    (void)state;
    for (int way = 0; way < 6; way++) {
        // Another history: longer, none, or of the same length.
        rig_world other = {.random = 77};
        rig_open(&other);
        if (way < 2) rig_save(&other, "c", 1, 8);
        if (way >= 4) rig_save(&other, "c", 1, 5);
        rig_stop(&other);
        rig_world r = {0};
        r.alloc = t_alloc(&r.memory);
        T_OK(tm_memory_open(&r.alloc, &r.store));
        r.store = slow_open(r.store);
        rig_open(&r);
        const char *mark = rig_text(rig_save(&r, "b", 1, 5)->json, "mark");
        rig_conn *listener = rig_connect(&r);
        rig_subscribe(listener);
        rig_answer *parked =
            rig_get(&r, rig_format(OPS "?since=5&mark=%s&wait=20", mark));
        tm_store *mine = slow_swap(r.store, other.store);
        if (way % 2 == 0) {
            rig_answer *g = rig_get(&r, OPS "?since=99");
            T_TRUE(json_object_get(g->json, "snapshot") != NULL);
            T_EQ(rig_int(g->json, "head"), way == 0 ? 8 : way == 2 ? 0 : 5);
        } else if (way < 4) {
            rig_answer *a = rig_save(&r, "b", 6, 6);
            T_TEXT(t_str(rig_acks(a->json)), "gap:1");
            T_TEXT(t_str(rig_acks(rig_save(&r, "c", 1, 1)->json)),
                   way == 1 ? "dup:1" : "ok:1");
        } else { // an append would fit, by its number; what is said of it would not
            T_TEXT(t_str(rig_acks(rig_save(&r, "b", 9, 9)->json)), "gap:1");
        }
        rig_expect(listener, "BEHIND");
        T_TRUE(parked->done);
        rig_silent(listener);
        T_EQ(rig_metric(&r, "lists_lost_total"), 1);
        (void)slow_swap(r.store, mine);
        rig_close(&r);
        rig_start(&other);
        rig_close(&other);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_the_log),
        cmocka_unit_test(test_from_a_snapshot),
        cmocka_unit_test(test_when_saved),
        cmocka_unit_test(test_save_fails),
        cmocka_unit_test(test_damaged_snapshot),
        cmocka_unit_test(test_wrong_snapshot),
        cmocka_unit_test(test_damaged_log),
        cmocka_unit_test(test_replaced_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
