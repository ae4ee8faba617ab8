// Saves: what becomes of each operation of a push, and what the answer says. SEMANTICS 5.
#include "rig.h"
#include "slow.h"

#define BODY(ops) "{\"user\":\"ann\",\"operations\":[" ops "]}"
#define STAMP     "\"timestamp\":1789999999000"
#define WHO(id, b, v)                                                              \
    "\"id\":\"" id "\",\"browserId\":\"" b "\",\"version\":" #v "," STAMP
#define ADD(id, b, v)                                                              \
    "{" WHO(id, b, v) ",\"type\":\"ADD\",\"instanceId\":\"i-" id                   \
                      "\",\"imageId\":\"img\"}"

// Pushes one after another into one list; each expects these acks.
static const struct {
    const char *name;
    struct {
        const char *ops, *acks;
    } pushes[5];
} decisions[] = {
    {"in order", {{ADD("a", "x", 1), "ok:1"}, {ADD("b", "x", 2), "ok:2"}}},
    {"two writers", {{ADD("a", "x", 1) "," ADD("b", "y", 1), "ok:1 ok:2"}}},
    {"sent again", {{ADD("a", "x", 1), "ok:1"}, {ADD("a", "x", 1), "dup:1"}}},
    {"sent again with a new one behind it",
     {{ADD("a", "x", 1), "ok:1"},
      {ADD("a", "x", 1) "," ADD("b", "x", 2), "dup:1 ok:2"}}},
    {"twice in one push", {{ADD("a", "x", 1) "," ADD("a", "x", 1), "ok:1 dup:1"}}},
    {"under another name, as after a rename",
     {{ADD("a", "x", 1), "ok:1"},
      {ADD("a", "z", 1), "dup:1"},
      {ADD("b", "z", 1), "ok:2"}}},
    {"fork: another operation at a used version",
     {{ADD("a", "x", 1), "ok:1"}, {ADD("b", "x", 1), "fork"}}},
    {"fork behind a good one",
     {{ADD("a", "x", 1), "ok:1"},
      {ADD("b", "y", 1) "," ADD("c", "x", 1) "," ADD("d", "y", 2), "ok:2 fork"}}},
    {"gap", {{ADD("b", "x", 2), "gap:1"}, {ADD("a", "x", 1), "ok:1"}}},
    {"gap behind a good one",
     {{ADD("a", "x", 1) "," ADD("c", "x", 3), "ok:1 gap:2"}}},
    {"rejected uses its version up",
     {{"{" WHO("a", "x", 1) ",\"type\":\"ADD\"}," ADD("b", "x", 2),
       "rej:bad-instanceId ok:1"},
      {"{" WHO("a", "x", 1) ",\"type\":\"ADD\"}", "rej:bad-instanceId"},
      {ADD("c", "x", 1), "fork"},
      {ADD("c", "x", 3), "ok:2"}}},
    {"rejected alone",
     {{"{" WHO("a", "x", 1) ",\"type\":\"SORT_CHANGE\",\"sort\":\"up\"}",
       "rej:bad-sort"},
      {"{" WHO("a", "x", 1) ",\"type\":\"SORT_CHANGE\",\"sort\":\"up\"}",
       "rej:bad-sort"},
      {ADD("b", "x", 2), "ok:1"}}},
    {"has a seq",
     {{"{" WHO("a", "x", 1) ",\"type\":\"SORT_CHANGE\",\"sort\":\"asc\",\"seq\":1}",
       "rej:has-seq"}}},
    {"has a bad seq",
     {{"{" WHO("a", "x",
               1) ",\"type\":\"SORT_CHANGE\",\"sort\":\"asc\",\"seq\":null}",
       "rej:has-seq"}}},
    {"unknown type is stored",
     {{"{" WHO("a", "x", 1) ",\"type\":\"PAINT\",\"colour\":{\"r\":[1]}}",
       "ok:1"}}},
    {"too deep",
     {{"{" WHO("a", "x", 1) ",\"type\":\"PAINT\",\"c\":{\"r\":[[[1]]]}}",
       "rej:too-deep"}}},
    {"no operations", {{"", ""}, {ADD("a", "x", 1), "ok:1"}}},
};

static void test_decisions(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(decisions); i++) {
        t_row = decisions[i].name;
        rig_world r = {0};
        rig_open(&r);
        for (size_t k = 0; decisions[i].pushes[k].ops != NULL; k++) {
            rig_answer *a = rig_post(
                &r, RIG_LIST, rig_format(BODY("%s"), decisions[i].pushes[k].ops));
            T_EQ(a->status, 200);
            T_TEXT(t_str(rig_acks(a->json)), decisions[i].pushes[k].acks);
            T_TRUE(json_is_true(json_object_get(a->json, "success")));
            T_EQ(rig_int(a->json, "serverTime"), RIG_START);
            T_TEXT(t_str(rig_text(a->json, "user")), "ann");
        }
        rig_close(&r);
    }
    t_row = "";
}

// The stored bytes are the author's with seq spliced in, and the effective stamp only
// where it differs.
static const struct {
    const char *name, *pushed, *stored;
} splices[] = {
    {"as it was",
     "{ \"id\":\"a\" , "
     "\"type\":\"SORT_CHANGE\",\"sort\":\"a\\u0073c\",\"timestamp\":5,"
     "\"browserId\":\"x\",\"version\":1,\"colour\":\"blue\" }",
     "{ \"id\":\"a\" , "
     "\"type\":\"SORT_CHANGE\",\"sort\":\"a\\u0073c\",\"timestamp\":5,"
     "\"browserId\":\"x\",\"version\":1,\"colour\":\"blue\" ,\"seq\":1}"},
    {"from the future",
     "{\"id\":\"a\",\"type\":\"SORT_CHANGE\",\"sort\":\"asc\",\"timestamp\":"
     "1790000000001,"
     "\"logical\":7,\"browserId\":\"x\",\"version\":1}",
     "{\"id\":\"a\",\"type\":\"SORT_CHANGE\",\"sort\":\"asc\",\"timestamp\":"
     "1790000000000,"
     "\"logical\":0,\"browserId\":\"x\",\"version\":1,\"seq\":1}"},
};

static void test_splices(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(splices); i++) {
        t_row = splices[i].name;
        rig_world r = {0};
        rig_open(&r);
        rig_answer *a =
            rig_post(&r, RIG_LIST,
                     rig_format("{\"user\":\"ann\",\"operations\":[%s]}",
                                splices[i].pushed));
        T_TEXT(t_str(rig_acks(a->json)), "ok:1");
        rig_answer *g = rig_get(&r, "/v1/lists/" RIG_LIST "/operations");
        const char *at = strstr(g->text, "\"operations\":[");
        T_TRUE(at != NULL);
        at += strlen("\"operations\":[");
        T_SPAN(((tm_span){(const uint8_t *)at, strlen(at) - 2}),
               t_str(splices[i].stored));
        rig_close(&r);
    }
    t_row = "";
}

// One writer's stamps only grow; the ack says which stamp everybody uses.
static void test_stamps(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    rig_answer *a = rig_post(
        &r, RIG_LIST,
        "{\"user\":\"ann\",\"operations\":["
        "{\"id\":\"a\",\"type\":\"SORT_CHANGE\",\"sort\":\"asc\",\"timestamp\":100,"
        "\"logical\":3,\"browserId\":\"x\",\"version\":1},"
        "{\"id\":\"b\",\"type\":\"SORT_CHANGE\",\"sort\":\"asc\",\"timestamp\":50,"
        "\"browserId\":\"x\",\"version\":2},"
        "{\"id\":\"c\",\"type\":\"SORT_CHANGE\",\"sort\":\"asc\",\"timestamp\":"
        "9790000000000,\"browserId\":\"y\",\"version\":1},"
        "{\"id\":\"d\",\"type\":\"SORT_CHANGE\",\"sort\":\"asc\",\"timestamp\":"
        "9790000000000,\"browserId\":\"z\",\"version\":1}]}");
    static const struct {
        int64_t timestamp, logical;
    } want[] = {{100, 3}, {100, 4}, {RIG_START, 0}, {RIG_START, 1}};
    T_EQ(rig_count(a->json, "acks"), 4);
    for (size_t i = 0; i < 4; i++) {
        const json_t *ack = json_array_get(json_object_get(a->json, "acks"), i);
        T_EQ(rig_int(ack, "timestamp"), want[i].timestamp);
        T_EQ(rig_int(ack, "logical"), want[i].logical);
    }
    // The same again: as it was decided.
    a = rig_post(
        &r, RIG_LIST,
        "{\"user\":\"ann\",\"operations\":["
        "{\"id\":\"d\",\"type\":\"SORT_CHANGE\",\"sort\":\"asc\","
        "\"timestamp\":9790000000000,\"browserId\":\"z\",\"version\":1}]}");
    const json_t *ack = json_array_get(json_object_get(a->json, "acks"), 0);
    T_EQ(rig_int(ack, "timestamp"), RIG_START);
    T_EQ(rig_int(ack, "logical"), 1);
    rig_close(&r);
}

// The asker leaves between the answer and its taking.
static void test_cancelled_late(void **state) {
    (void)state;
    rig_world r = {.keep_effects = true};
    rig_open(&r);
    rig_answer *a = rig_save(&r, "b", 1, 1), *b = rig_save(&r, "b", 2, 2);
    tm_service_cancel(r.service, a->ticket);
    tm_service_cancel(r.service, a->ticket); // no harm
    tm_service_cancel(r.service, 0);
    r.keep_effects = false;
    rig_take(&r);
    T_TRUE(!a->done && b->done);
    tm_service_cancel(r.service, b->ticket);
    rig_close(&r);
}

// Many versions later an operation is known no more by memory, but by the log.
static void test_fork_searches_the_log(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    for (uint64_t v = 1; v <= 300; v += 50) {
        rig_save(&r, "b", v, v + 49);
    }
    const char *bad = BODY("{" WHO("c-1", "c", 1) ",\"type\":\"ADD\"}");
    rig_post(&r, RIG_LIST, bad);
    for (uint64_t v = 2; v <= 120; v++) {
        rig_save(&r, "c", v, v);
    }
    T_TEXT(t_str(rig_acks(rig_post(&r, RIG_LIST, bad)->json)),
           "rej:bad-instanceId");
    int64_t searches = rig_metric(&r, "searches_total");
    T_TEXT(t_str(rig_acks(rig_save(&r, "b", 201, 201)->json)), "dup:201");
    T_EQ(rig_metric(&r, "searches_total"), searches); // remembered
    T_TEXT(t_str(rig_acks(rig_save(&r, "b", 200, 201)->json)), "dup:200 dup:201");
    T_EQ(rig_metric(&r, "searches_total"), searches + 1);
    T_TEXT(t_str(rig_acks(rig_save(&r, "b", 3, 5)->json)), "dup:3 dup:4 dup:5");
    const char *fork =
        "{\"user\":\"ann\",\"operations\":[{\"id\":\"new\",\"type\":\"SORT_"
        "CHANGE\","
        "\"sort\":\"asc\",\"timestamp\":1,\"browserId\":\"b\",\"version\":3}]}";
    T_TEXT(t_str(rig_acks(rig_post(&r, RIG_LIST, fork)->json)), "fork");
    // What is below the floor was forgotten; the last hundred never are.
    tm_key key = {t_str("ann"), t_str(RIG_LIST)};
    T_OK(tm_service_compact(r.service, r.now, key));
    rig_run(&r);
    T_TEXT(t_str(rig_acks(rig_save(&r, "b", 201, 201)->json)), "dup:201");
    T_TEXT(t_str(rig_acks(rig_save(&r, "b", 200, 200)->json)), "fork");
    rig_close(&r);
}

// Nor is it taken for a new one under the name of a writer that is in turn.
static void test_what_was_forgotten_under_another_name(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    static const char again[] =
        "{\"user\":\"ann\",\"operations\":[{\"id\":\"b-50\",\"type\":\"PAINT\","
        "\"timestamp\":1,\"browserId\":\"z\",\"version\":1}]}";
    for (int restarted = 0; restarted < 2; restarted++) {
        for (uint64_t v = 1; v <= 200; v += 50) {
            rig_save(&r, "b", v, v + 49);
        }
        T_TEXT(t_str(rig_acks(rig_post(&r, RIG_LIST, again)->json)), "dup:50");
        rig_advance(&r, 60000); // it has a snapshot to start from
        rig_stop(&r);
        rig_start(&r);
    }
    rig_close(&r);
}

// The first moment there is, twice: a writer's times grow all the same.
static void test_no_time_at_all(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    static const char *const push =
        "{\"user\":\"ann\",\"operations\":[{\"id\":\"%s\",\"type\":\"PAINT\","
        "\"timestamp\":0,\"browserId\":\"b\",\"version\":%d}]}";
    rig_post(&r, RIG_LIST, rig_format(push, "one", 1));
    const json_t *acks = json_object_get(
        rig_post(&r, RIG_LIST, rig_format(push, "two", 2))->json, "acks");
    T_EQ(rig_int(json_array_get(acks, 0), "timestamp"), 0);
    T_EQ(rig_int(json_array_get(acks, 0), "logical"), 1);
    rig_close(&r);
}

// ---- joining, durability ------------------------------------------------------------

static rig_world slow_world(void) {
    rig_world r = {0};
    r.alloc = t_alloc(&r.memory);
    return r;
}

#define SLOW_OPEN(r)                                                               \
    do {                                                                           \
        (r).alloc = t_alloc(&(r).memory);                                          \
        T_OK(tm_memory_open(&(r).alloc, &(r).store));                              \
        (r).store = slow_open((r).store);                                          \
        rig_open(&(r));                                                            \
    } while (0)

static void test_nothing_before_durable(void **state) {
    (void)state;
    rig_world r = slow_world();
    SLOW_OPEN(r);
    rig_conn *other = rig_connect(&r);
    rig_subscribe(other);
    slow_hold(r.store, SLOW_APPEND);
    rig_answer *a =
        rig_post_start(&r, RIG_LIST, rig_format(BODY("%s"), rig_op("b", 1)));
    rig_run(&r);
    T_TRUE(!a->done);
    rig_silent(other);
    rig_answer *g = rig_get(&r, "/v1/lists/" RIG_LIST "/operations");
    T_EQ(rig_int(g->json, "head"), 0);
    g = rig_get(&r, "/v1/lists/" RIG_LIST);
    T_EQ(json_object_size(json_object_get(g->json, "vector")), 0);
    slow_release(r.store, 1);
    rig_run(&r);
    T_TRUE(a->done);
    T_TEXT(t_str(rig_seqs(rig_expect(other, "OPERATIONS"))), "1");
    rig_close(&r);
}

// What comes while an append is out becomes the next, whole pushes together.
static void test_joined(void **state) {
    (void)state;
    rig_world r = slow_world();
    SLOW_OPEN(r);
    rig_connect(&r); // a listener: the list is open
    rig_subscribe(r.conns);
    slow_hold(r.store, SLOW_APPEND);
    rig_answer *a[6];
    static const struct {
        const char *browser;
        uint64_t first, last;
        const char *acks;
    } pushes[] = {
        {"a", 1, 1, "ok:1"},   {"b", 1, 100, NULL}, // 2..101
        {"c", 1, 100, NULL},                        // 102..201
        {"d", 1, 56, NULL}, // would be 257 with the next: 202..257 is 256 of them
        {"e", 1, 1, "ok:258"}, {"a", 1, 2, "dup:1 ok:259"},
    };
    for (size_t i = 0; i < 6; i++) {
        a[i] = rig_post_start(
            &r, RIG_LIST,
            rig_format(BODY("%s"), rig_ops(pushes[i].browser, pushes[i].first,
                                           pushes[i].last)));
    }
    for (size_t appends = 1; appends <= 3; appends++) {
        rig_run(&r);
        T_EQ(slow_held(r.store), 1);
        slow_release(r.store, 1);
    }
    rig_run(&r);
    T_EQ(slow_held(r.store), 0);
    for (size_t i = 0; i < 6; i++) {
        T_TRUE(a[i]->done);
        T_EQ(rig_count(a[i]->json, "acks"), pushes[i].last - pushes[i].first + 1);
        if (pushes[i].acks == NULL) continue;
        T_TEXT(t_str(rig_acks(a[i]->json)), pushes[i].acks);
    }
    T_EQ(rig_int(a[1]->json, "version"), 257); // the end of its batch
    T_EQ(rig_int(a[0]->json, "version"), 1);
    rig_answer *log = rig_get(&r, "/v1/lists/" RIG_LIST "/log");
    T_EQ(rig_count(log->json, "batches"), 3);
    T_EQ(rig_metric(&r, "joined_pushes_total"), 3);
    rig_close(&r);
}

// Pushes that are gathered wait for the end of the turn, and then share an append; one
// whose asker went away is decided all the same.
static void test_gathered(void **state) {
    (void)state;
    rig_world r = slow_world();
    r.config.gather = true;
    SLOW_OPEN(r);
    rig_answer *other = rig_post_start(&r, "other", BODY(ADD("o", "o", 1)));
    rig_answer *a = rig_post_start(&r, RIG_LIST, BODY(ADD("a", "x", 1)));
    rig_answer *b = rig_post_start(&r, RIG_LIST, BODY(ADD("b", "y", 1)));
    rig_run(&r);
    T_EQ(slow_started(r.store, SLOW_APPEND | SLOW_LOAD), 0);
    T_TRUE(!tm_service_idle(r.service));
    tm_service_cancel(r.service, other->ticket);
    tm_service_decide(r.service, r.now);
    rig_run(&r);
    T_EQ(slow_started(r.store, SLOW_APPEND), 2); // one of each list
    T_TEXT(t_str(rig_acks(a->json)), "ok:1");
    T_TEXT(t_str(rig_acks(b->json)), "ok:2");
    T_EQ(rig_int(a->json, "version"), 2);
    T_EQ(rig_metric(&r, "joined_pushes_total"), 1);
    T_TRUE(tm_service_idle(r.service) && !other->done);
    T_EQ(rig_int(rig_get(&r, "/v1/lists/other")->json, "version"), 1);
    rig_close(&r);
}

// A duplicate of what is being appended is acked when that is durable, and not before.
static void test_duplicate_in_flight(void **state) {
    (void)state;
    rig_world r = slow_world();
    SLOW_OPEN(r);
    slow_hold(r.store, SLOW_APPEND);
    const char *body = rig_format(BODY("%s"), rig_op("b", 1));
    rig_answer *a = rig_post_start(&r, RIG_LIST, body);
    rig_answer *b = rig_post_start(&r, RIG_LIST, body);
    rig_run(&r);
    T_TRUE(!a->done && !b->done);
    tm_service_cancel(r.service, a->ticket); // the asker is gone, the save stays
    slow_release(r.store, 1);
    rig_run(&r);
    T_TRUE(!a->done && b->done);
    T_TEXT(t_str(rig_acks(b->json)), "dup:1");
    rig_close(&r);
}

static void test_large_push(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    // 20 operations of 40 KB: a stored batch takes eight of them.
    size_t cap = 1 << 20, len = 0;
    char *body = malloc(cap), *value = malloc(40001);
    memset(value, 'v', 40000);
    value[40000] = '\0';
    len = (size_t)snprintf(body, cap, "{\"user\":\"ann\",\"operations\":[");
    for (int v = 1; v <= 20; v++) {
        len += (size_t)snprintf(
            body + len, cap - len,
            "%s{\"id\":\"l-%d\",\"type\":\"PAINT\",\"x\":\"%s\",\"timestamp\":1,"
            "\"browserId\":\"x\",\"version\":%d}",
            v > 1 ? "," : "", v, value, v);
    }
    snprintf(body + len, cap - len, "]}");
    rig_answer *a = rig_post(&r, RIG_LIST, body);
    T_TEXT(t_str(rig_acks(a->json)),
           "ok:1 ok:2 ok:3 ok:4 ok:5 ok:6 ok:7 ok:8 retry");
    a = rig_post(&r, RIG_LIST, body);
    T_EQ(rig_count(a->json, "acks"), 16);
    a = rig_post(&r, RIG_LIST, body);
    T_EQ(rig_count(a->json, "acks"), 20);
    T_TRUE(json_object_get(a->json, "stop") == NULL);
    free(body);
    free(value);
    rig_close(&r);
}

static void test_push_ops_max(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    tm_service_tune(r.service)->push_ops_max = 2;
    T_TEXT(t_str(rig_acks(rig_save(&r, "b", 1, 3)->json)), "ok:1 ok:2 retry");
    tm_service_tune(r.service)->push_ops_max = 0;
    T_TEXT(t_str(rig_acks(rig_save(&r, "b", 1, 3)->json)), "dup:1 dup:2 ok:3");
    rig_close(&r);
}

static tm_fault policy(void *context, tm_span user, const tm_op *op) {
    (void)user;
    uint64_t *refused = context;
    return op->at.version == *refused ? TM_FAULT_POLICY : TM_FAULT_NONE;
}

static void test_policy(void **state) {
    (void)state;
    uint64_t refused = 2;
    rig_world r = {.config = {.policy = policy, .policy_context = &refused}};
    rig_open(&r);
    T_TEXT(t_str(rig_acks(rig_save(&r, "b", 1, 3)->json)),
           "ok:1 rej:refused-by-policy ok:2");
    refused = 0; // it was decided, and stays so
    T_TEXT(t_str(rig_acks(rig_save(&r, "b", 2, 2)->json)), "rej:refused-by-policy");
    rig_answer *log = rig_get(&r, "/v1/lists/" RIG_LIST "/log");
    const json_t *batch = json_array_get(json_object_get(log->json, "batches"), 0);
    const json_t *rejected = json_array_get(json_object_get(batch, "rejected"), 0);
    T_TEXT(t_str(rig_text(rejected, "id")), "b-2");
    T_TEXT(t_str(rig_text(rejected, "browserId")), "b");
    T_EQ(rig_int(rejected, "version"), 2);
    T_TEXT(t_str(rig_text(rejected, "code")), "refused-by-policy");
    rig_close(&r);
}

// ---- the store fails ----------------------------------------------------------------

static const struct {
    const char *name;
    tm_status status;
    bool stored;
    const char *code, *again;
} failures[] = {
    {"busy", TM_E_AGAIN, false, "unavailable", "ok:1 ok:2"},
    {"unsure, and not stored", TM_E_UNSURE, false, "unavailable", "ok:1 ok:2"},
    {"unsure, and stored", TM_E_UNSURE, true, "unavailable", "dup:1 dup:2"},
};

static void test_failures(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(failures); i++) {
        t_row = failures[i].name;
        rig_world r = {0};
        rig_open(&r);
        rig_conn *listener = rig_connect(&r);
        rig_subscribe(listener);
        tm_memory_fail(r.store, failures[i].status, 1, failures[i].stored);
        rig_answer *a = rig_save(&r, "b", 1, 2);
        T_EQ(a->status, 503);
        T_TEXT(t_str(rig_code(a)), failures[i].code);
        T_EQ(rig_metric(&r, "append_failures_total"), 1);
        if (failures[i].status == TM_E_UNSURE) {
            rig_expect(listener, "BEHIND"); // what it knows may be too little
        }
        rig_silent(listener);
        T_TEXT(t_str(rig_acks(rig_save(&r, "b", 1, 2)->json)), failures[i].again);
        rig_close(&r);
    }
    t_row = "";
}

static void test_failed_for_good(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    rig_save(&r, "b", 1, 2);
    tm_memory_fail(r.store, TM_E_IO, 100, false);
    rig_answer *a = rig_save(&r, "b", 3, 3);
    T_EQ(a->status, 503);
    T_TEXT(t_str(rig_code(a)), "storage");
    rig_answer *g = rig_get(&r, "/v1/lists/" RIG_LIST "/operations");
    T_TEXT(t_str(rig_seqs(g->json)), "1 2"); // reading goes on
    T_TEXT(t_str(rig_acks(rig_save(&r, "b", 2, 2)->json)), "dup:2");
    rig_close(&r);
}

// Two servers over one store: the second to append meets a conflict, reads on, and
// decides anew with what it learned.
static void test_two_servers(void **state) {
    (void)state;
    rig_world r = {0}, s = {0};
    rig_open(&r);
    s.alloc = r.alloc;
    s.store = r.store;
    s.now = (tm_now){RIG_START, 1000};
    s.user = RIG_USER;
    s.random = 99;
    rig_start(&s);
    rig_conn *listener = rig_connect(&s);
    rig_subscribe(listener);
    T_TEXT(t_str(rig_acks(rig_save(&r, "a", 1, 2)->json)), "ok:1 ok:2");
    T_TEXT(t_str(rig_acks(rig_save(&s, "b", 1, 1)->json)), "ok:3");
    T_TEXT(t_str(rig_seqs(rig_expect(listener, "OPERATIONS"))), "1 2");
    T_TEXT(t_str(rig_seqs(rig_expect(listener, "OPERATIONS"))), "3");
    T_EQ(rig_metric(&s, "append_conflicts_total"), 1);
    // The first server does not know of b yet: it would call this a gap.
    T_TEXT(t_str(rig_acks(rig_save(&r, "b", 2, 2)->json)), "ok:4");
    // And this a new one.
    T_TEXT(t_str(rig_acks(rig_save(&s, "b", 1, 2)->json)), "dup:3 dup:4");
    T_TEXT(t_str(rig_acks(rig_save(&r, "a", 1, 1)->json)), "dup:1");
    char *x = rig_canonical(&r, RIG_LIST), *y = rig_canonical(&s, RIG_LIST);
    T_TEXT(t_str(x), y);
    free(x);
    free(y);
    // A rejection of the first that the second decided meanwhile is dropped.
    const char *bad =
        "{\"user\":\"ann\",\"operations\":[{\"id\":\"c-1\",\"type\":\"ADD\","
        "\"timestamp\":1,\"browserId\":\"c\",\"version\":1}]}";
    T_TEXT(t_str(rig_acks(rig_post(&r, RIG_LIST, bad)->json)),
           "rej:bad-instanceId");
    T_TEXT(t_str(rig_acks(rig_save(&s, "c", 1, 1)->json)), "ok:5");
    T_TEXT(t_str(rig_acks(rig_save(&r, "d", 1, 1)->json)), "ok:6");
    rig_answer *log = rig_get(&r, "/v1/lists/" RIG_LIST "/log?from=6");
    const json_t *batch = json_array_get(json_object_get(log->json, "batches"), 0);
    T_EQ(rig_count(batch, "rejected"), 0);
    rig_stop(&s);
    rig_forget(&s);
    rig_close(&r);
}

// At most a hundred rejections wait for a batch.
static void test_many_rejections(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    for (int v = 1; v <= 150; v++) {
        const char *bad = rig_format(
            "{\"user\":\"ann\",\"operations\":[{\"id\":\"c-%d\",\"type\":\"ADD\","
            "\"timestamp\":1,\"browserId\":\"c\",\"version\":%d}]}",
            v, v);
        T_TEXT(t_str(rig_acks(rig_post(&r, RIG_LIST, bad)->json)),
               "rej:bad-instanceId");
    }
    T_TEXT(t_str(rig_acks(rig_save(&r, "d", 1, 1)->json)), "ok:1");
    rig_answer *log = rig_get(&r, "/v1/lists/" RIG_LIST "/log");
    const json_t *batch = json_array_get(json_object_get(log->json, "batches"), 0);
    T_EQ(rig_count(batch, "rejected"), 100);
    const json_t *first = json_array_get(json_object_get(batch, "rejected"), 0);
    T_EQ(rig_int(first, "version"), 51);
    rig_stop(&r);
    rig_start(&r);
    T_TEXT(t_str(rig_acks(rig_post(&r, RIG_LIST,
                                   "{\"user\":\"ann\",\"operations\":[{\"id\":"
                                   "\"c-150\",\"type\":\"ADD\",\"timestamp\":1,"
                                   "\"browserId\":\"c\",\"version\":150}]}")
                              ->json)),
           "rej:bad-instanceId");
    rig_close(&r);
}

// Rejections ride along once; beyond a hundred the oldest are forgotten.
static void test_rejections_ride(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
#define BAD(v)                                                                     \
    rig_format("{\"id\":\"c-%d\",\"type\":\"ADD\",\"timestamp\":1,\"browserId\":"  \
               "\"c\",\"version\":%d}",                                            \
               v, v)
    for (int v = 1; v <= 100; v++) {
        rig_post(&r, RIG_LIST, rig_format(BODY("%s"), BAD(v)));
    }
    rig_answer *a =
        rig_post(&r, RIG_LIST,
                 rig_format(BODY("%s,%s,%s"), BAD(101), rig_op("d", 1), BAD(102)));
    T_TEXT(t_str(rig_acks(a->json)), "rej:bad-instanceId ok:1 rej:bad-instanceId");
    rig_save(&r, "d", 2, 2);
    rig_answer *log = rig_get(&r, "/v1/lists/" RIG_LIST "/log");
    const json_t *batches = json_object_get(log->json, "batches");
    const json_t *all = json_object_get(json_array_get(batches, 0), "rejected");
    T_EQ(json_array_size(all), 100);
    T_EQ(rig_int(json_array_get(all, 0), "version"), 3);
    T_EQ(rig_int(json_array_get(all, 99), "version"), 102);
    T_EQ(rig_count(json_array_get(batches, 1), "rejected"), 0);
    rig_close(&r);
}

// A batch of several pushes that meets a conflict is decided anew in the same order.
static void test_conflict_keeps_order(void **state) {
    (void)state;
    rig_world r = {0}, s = {0};
    SLOW_OPEN(r);
    rig_conn *listener = rig_connect(&r);
    rig_subscribe(listener);
    s.alloc = r.alloc;
    s.store = r.store;
    s.now = (tm_now){RIG_START, 1000};
    s.user = RIG_USER;
    rig_start(&s);
    slow_hold(r.store, SLOW_APPEND);
    rig_answer *a[4];
    for (uint64_t v = 1; v <= 3; v++) { // the first by itself, two joined behind it
        a[v] = rig_post_start(&r, RIG_LIST, rig_format(BODY("%s"), rig_op("b", v)));
    }
    rig_run(&r);
    slow_release(r.store, 1);
    rig_run(&r);
    slow_hold(r.store, 0);
    T_TEXT(t_str(rig_acks(rig_save(&s, "c", 1, 1)->json)), "ok:2");
    slow_release(r.store, 1); // the joined two: somebody was there before
    rig_run(&r);
    T_TEXT(t_str(rig_acks(a[1]->json)), "ok:1");
    T_TEXT(t_str(rig_acks(a[2]->json)), "ok:3");
    T_TEXT(t_str(rig_acks(a[3]->json)), "ok:4");
    T_EQ(rig_metric(&r, "append_conflicts_total"), 1);
    rig_stop(&s);
    rig_forget(&s);
    rig_close(&r);
}

// ---- limits -------------------------------------------------------------------------

static void push_adds(rig_world *r, const char *browser, uint64_t first,
                      uint64_t last, const char *type) {
    size_t cap = 64 << 10, len = 0;
    char *body = malloc(cap);
    len = (size_t)snprintf(body, cap, "{\"user\":\"ann\",\"operations\":[");
    for (uint64_t v = first; v <= last; v++) {
        len += (size_t)snprintf(
            body + len, cap - len,
            "%s{\"id\":\"%s-%" PRIu64
            "\",\"type\":\"%s\",\"instanceId\":\"%s%" PRIu64
            "\",\"imageId\":\"m\",\"timestamp\":1,\"browserId\":\"%s\",\"version\":"
            "%" PRIu64 "}",
            v > first ? "," : "", browser, v, type, browser, v, browser, v);
    }
    snprintf(body + len, cap - len, "]}");
    rig_answer *a = rig_post(r, RIG_LIST, body);
    T_EQ(a->status, 200);
    T_EQ(rig_count(a->json, "acks"), last - first + 1);
    free(body);
}

static void test_live_limit(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    for (uint64_t v = 1; v <= 9999; v += 99) {
        push_adds(&r, "b", v, v + 98, "ADD");
    }
    // In one push: the last place, none, a place made free, none again; an ADD of what
    // is there needs none.
    rig_answer *a = rig_post(
        &r, RIG_LIST,
        BODY(ADD("p", "x", 1) "," ADD("q", "x", 2) ",{" WHO(
            "d", "x", 3) ",\"type\":\"DELETE\",\"instanceId\":\"b1\"}"
                         "," ADD("r", "x", 4) "," ADD("s", "x", 5) ",{" WHO(
                             "t", "x", 6) ",\"type\":"
                                          "\"ADD\","
                                          "\"instanceId\""
                                          ":\"b2\","
                                          "\"imageId\":"
                                          "\"n\"}"));
    T_TEXT(t_str(rig_acks(a->json)), "ok:10000 rej:too-many-items ok:10001 "
                                     "ok:10002 rej:too-many-items ok:10003");
    rig_answer *g = rig_get(&r, "/v1/lists/" RIG_LIST);
    T_EQ(rig_count(g->json, "selectedImages"), 10000);
    rig_close(&r);
}

static void test_id_limit(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    for (uint64_t v = 1; v <= 99999; v += 99) {
        uint64_t last = v + 98 <= 99999 ? v + 98 : 99999;
        push_adds(&r, "b", v, last, "DELETE");
    }
    rig_answer *a =
        rig_post(&r, RIG_LIST,
                 BODY(ADD("p", "x", 1) "," ADD("q", "x", 2) ",{" WHO(
                     "d", "x", 3) ",\"type\":\"DELETE\",\"instanceId\":\"b1\"},"
                                  "{" WHO("e", "x", 4) ",\"type\":\"SORT_CHANGE\","
                                                       "\"sort\":\"desc\"}"));
    T_TEXT(t_str(rig_acks(a->json)),
           "ok:100000 rej:too-many-ids ok:100001 ok:100002");
    rig_close(&r);
}

static void test_field_limit(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
#define SET(id, v, fields)                                                         \
    "{" WHO(id, "x", v) ",\"type\":\"UPDATE_METADATA\",\"instanceId\":\"i\","      \
                        "\"data\":{" fields "}}"
    rig_answer *a = rig_post(
        &r, RIG_LIST,
        BODY(SET(
            "a", 1,
            "\"f1\":\"\",\"f2\":\"\",\"f3\":\"\",\"f4\":\"\",\"f5\":\"\","
            "\"f6\":\"\",\"f7\":\"\",\"f8\":\"\"") "," SET("b", 2,
                                                           "\"g1\":\"\",\"g2\":"
                                                           "\"\",\"g3\":\"\","
                                                           "\"g4\":\"\",\"g5\":"
                                                           "\"\",\"g6\":\"\","
                                                           "\"g7\":\"\"") "," SET("c",
                                                                                  3,
                                                                                  "\"h1\":\"\",\"h2\":\"\"") "," SET("d",
                                                                                                                     4,
                                                                                                                     "\"h1\":null,\"f1\":\"x\"") "," SET("e",
                                                                                                                                                         5,
                                                                                                                                                         "\"h2\":\"\"")));
    T_TEXT(t_str(rig_acks(a->json)),
           "ok:1 ok:2 rej:too-many-fields ok:3 rej:too-many-fields");
    a = rig_post(&r, RIG_LIST,
                 BODY(SET("f", 6, "\"h3\":\"\"") "," SET("g", 7, "\"g7\":\"y\"")));
    T_TEXT(t_str(rig_acks(a->json)), "rej:too-many-fields ok:4");
    rig_close(&r);
}

static void test_state_limit(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    char *value = malloc(60001);
    memset(value, 'v', 60000);
    value[60000] = '\0';
    int v = 0;
    const char *acks = "";
    while (strstr(acks, "rej") == NULL) {
        T_TRUE(v < 1000);
        v++;
        rig_answer *a = rig_post(
            &r, RIG_LIST,
            rig_format(
                "{\"user\":\"ann\",\"operations\":[{\"id\":\"l-%d\",\"type\":"
                "\"PAINT\",\"x\":\"%s\",\"timestamp\":1,\"browserId\":\"x\","
                "\"version\":%d}]}",
                v, value, v));
        acks = rig_acks(a->json);
    }
    T_TEXT(t_str(acks), "rej:list-too-large");
    T_TRUE(v > 32 * 1024 * 1024 / 60200 - 8 && v <= 32 * 1024 * 1024 / 60000 + 1);
    // What is small still fits, and what takes away always does.
    T_TEXT(t_str(rig_acks(rig_save(&r, "b", 1, 1)->json)), rig_format("ok:%d", v));
    free(value);
    rig_close(&r);
}

static void test_wrong_user(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    rig_answer *a = rig_post(
        &r, RIG_LIST,
        rig_format("{\"user\":\"eve\",\"operations\":[%s]}", rig_op("b", 1)));
    T_EQ(a->status, 409);
    T_TEXT(t_str(rig_code(a)), "user");
    T_EQ(rig_int(rig_get(&r, "/v1/lists/" RIG_LIST "/operations")->json, "head"),
         0);
    rig_close(&r);
}

// A clock beyond the year 10889 can give no stamps; reading goes on.
static void test_no_clock(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    rig_save(&r, "b", 1, 1);
    r.now.wall_ms = UINT64_C(1) << 48;
    rig_answer *a = rig_save(&r, "b", 2, 2);
    T_EQ(a->status, 503);
    T_TEXT(t_str(rig_code(a)), "clock");
    T_EQ(rig_get(&r, "/v1/lists/" RIG_LIST)->status, 200);
    r.now.wall_ms = RIG_START;
    T_TEXT(t_str(rig_acks(rig_save(&r, "b", 2, 2)->json)), "ok:2");
    rig_close(&r);
}

static void test_stopping(void **state) {
    (void)state;
    rig_world r = slow_world();
    SLOW_OPEN(r);
    slow_hold(r.store, SLOW_APPEND);
    rig_answer *begun =
        rig_post_start(&r, RIG_LIST, rig_format(BODY("%s"), rig_op("b", 1)));
    rig_run(&r);
    tm_service_stop(r.service, r.now);
    rig_answer *late = rig_save(&r, "b", 2, 2);
    T_EQ(late->status, 503);
    T_TEXT(t_str(rig_code(late)), "stopping");
    T_TRUE(!tm_service_idle(r.service));
    slow_release(r.store, 1);
    rig_run(&r);
    T_EQ(begun->status, 200); // what was begun completes
    T_TRUE(tm_service_idle(r.service));
    T_EQ(rig_get(&r, "/readyz")->status, 503);
    T_TRUE(rig_get(&r, "/v1/lists/other/operations?wait=20")
               ->done); // it does not wait
    T_EQ(rig_get(&r, "/healthz")->status, 200);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_splices),
        cmocka_unit_test(test_stamps),
        cmocka_unit_test(test_cancelled_late),
        cmocka_unit_test(test_fork_searches_the_log),
        cmocka_unit_test(test_what_was_forgotten_under_another_name),
        cmocka_unit_test(test_no_time_at_all),
        cmocka_unit_test(test_nothing_before_durable),
        cmocka_unit_test(test_joined),
        cmocka_unit_test(test_gathered),
        cmocka_unit_test(test_duplicate_in_flight),
        cmocka_unit_test(test_large_push),
        cmocka_unit_test(test_push_ops_max),
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_failed_for_good),
        cmocka_unit_test(test_two_servers),
        cmocka_unit_test(test_many_rejections),
        cmocka_unit_test(test_rejections_ride),
        cmocka_unit_test(test_conflict_keeps_order),
        cmocka_unit_test(test_live_limit),
        cmocka_unit_test(test_id_limit),
        cmocka_unit_test(test_field_limit),
        cmocka_unit_test(test_state_limit),
        cmocka_unit_test(test_wrong_user),
        cmocka_unit_test(test_no_clock),
        cmocka_unit_test(test_stopping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
