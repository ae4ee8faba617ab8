// Whatever arrives: a clear answer, and nothing has happened. SEMANTICS 8, DESIGN 4.
#include "rig.h"

#define OPS  "/v1/lists/" RIG_LIST "/operations"
#define USER "\"user\":\"ann\""
#define GOOD                                                                       \
    "{\"id\":\"good\",\"type\":\"SORT_CHANGE\",\"sort\":\"asc\",\"timestamp\":1,"  \
    "\"browserId\":\"x\",\"version\":1}"

// Bodies of POST that are refused as a whole: the code, and what the detail names.
static const struct {
    const char *name, *body;
    uint32_t status;
    const char *code, *names;
} bodies[] = {
    {"nothing", "", 400, "malformed", ""},
    {"no object", "[]", 400, "malformed", "expected an object"},
    {"a number", "1", 400, "malformed", ""},
    {"cut off", "{" USER ",\"operations\":[" GOOD, 400, "malformed", "operations"},
    {"more behind it", "{" USER ",\"operations\":[]}x", 400, "malformed", ""},
    {"two documents", "{" USER ",\"operations\":[]}{}", 400, "malformed", ""},
    {"byte order mark", "\xef\xbb\xbf{" USER ",\"operations\":[]}", 400,
     "malformed", ""},
    {"key twice", "{" USER "," USER ",\"operations\":[]}", 400, "malformed",
     "user"},
    {"key twice, spelt differently",
     "{" USER ",\"us\\u0065r\":\"ann\",\"operations\":[]}", 400, "malformed",
     "user"},
    {"key twice in an operation",
     "{" USER ",\"operations\":[{\"id\":\"a\",\"id\":\"a\"}]}", 400, "malformed",
     "operations[0], member id"},
    {"key twice in what nobody reads",
     "{" USER ",\"x\":{\"a\":1,\"a\":1},\"operations\":[]}", 400, "malformed", "a"},
    {"fraction", "{" USER ",\"since\":1.0,\"operations\":[]}", 400, "malformed",
     "since"},
    {"exponent", "{" USER ",\"since\":1e3,\"operations\":[]}", 400, "malformed",
     "since"},
    {"fraction in an operation",
     "{" USER ",\"operations\":[" GOOD ",{\"id\":\"a\",\"timestamp\":1.5}]}", 400,
     "malformed", "operations[1], member timestamp"},
    {"leading zero", "{" USER ",\"since\":01,\"operations\":[]}", 400, "malformed",
     "since"},
    {"minus zero", "{" USER ",\"since\":-0,\"operations\":[]}", 400, "malformed",
     "since"},
    {"2^64", "{" USER ",\"since\":18446744073709551616,\"operations\":[]}", 400,
     "malformed", "since"},
    {"2^53", "{" USER ",\"since\":9007199254740992,\"operations\":[]}", 400,
     "bad-request", "since"},
    {"NaN", "{" USER ",\"since\":NaN,\"operations\":[]}", 400, "malformed",
     "since"},
    {"since twice",
     "{" USER ",\"since\":1,\"lastSyncedVersion\":1,\"operations\":[]}", 400,
     "bad-request", "since"},
    {"depth 9", "{" USER ",\"operations\":[],\"x\":[[[[[[[[1]]]]]]]]}", 400,
     "malformed", "nested too deep"},
    {"a very deep one",
     "{" USER ",\"operations\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
     400, "malformed", ""},
    {"bad UTF-8", "{" USER ",\"operations\":[],\"x\":\"\xc3\x28\"}", 400,
     "malformed", "not UTF-8"},
    {"overlong", "{" USER ",\"operations\":[],\"x\":\"\xc0\xaf\"}", 400,
     "malformed", "not UTF-8"},
    {"lone surrogate", "{" USER ",\"operations\":[],\"x\":\"\\ud800\"}", 400,
     "malformed", "surrogate"},
    {"control character", "{" USER ",\"operations\":[],\"x\":\"\x01\"}", 400,
     "malformed", "control"},
    {"user is missing", "{\"operations\":[]}", 400, "bad-request", "user"},
    {"user is a number", "{\"user\":1,\"operations\":[]}", 400, "malformed",
     "user"},
    {"user is null", "{\"user\":null,\"operations\":[]}", 400, "malformed", "user"},
    {"another user", "{\"user\":\"eve\",\"operations\":[" GOOD "]}", 409, "user",
     ""},
    {"user and NUL", "{\"user\":\"ann\\u0000\",\"operations\":[" GOOD "]}", 409,
     "user", ""},
    {"no user", "{\"user\":\"\",\"operations\":[" GOOD "]}", 409, "user", ""},
    {"operations are missing", "{" USER "}", 400, "bad-request", "operations"},
    {"operations is an object", "{" USER ",\"operations\":{}}", 400, "malformed",
     "operations"},
    {"operations is null", "{" USER ",\"operations\":null}", 400, "malformed",
     "operations"},
    {"an operation is a number", "{" USER ",\"operations\":[" GOOD ",7]}", 400,
     "malformed", "operations[1]"},
    {"mark is a number", "{" USER ",\"mark\":1,\"operations\":[]}", 400,
     "malformed", "mark"},
    {"acked is a text", "{" USER ",\"acked\":\"1\",\"operations\":[]}", 400,
     "malformed", "acked"},
    {"client is an array", "{" USER ",\"client\":[],\"operations\":[]}", 400,
     "malformed", "client"},
    {"client.queued is a text",
     "{" USER ",\"client\":{\"queued\":\"1\"},\"operations\":[]}", 400, "malformed",
     "queued"},
    {"no id", "{" USER ",\"operations\":[{\"browserId\":\"x\",\"version\":1}]}",
     400, "malformed", "operations[0]"},
    {"empty id",
     "{" USER ",\"operations\":[{\"id\":\"\",\"browserId\":\"x\",\"version\":1}]}",
     400, "malformed", "id"},
    {"id of a bad letter",
     "{" USER
     ",\"operations\":[{\"id\":\"a b\",\"browserId\":\"x\",\"version\":1}]}",
     400, "malformed", "id"},
    {"no browserId", "{" USER ",\"operations\":[{\"id\":\"a\",\"version\":1}]}",
     400, "malformed", "browserId"},
    {"browserId with a slash",
     "{" USER
     ",\"operations\":[{\"id\":\"a\",\"browserId\":\"a/b\",\"version\":1}]}",
     400, "malformed", "browserId"},
    {"no version", "{" USER ",\"operations\":[{\"id\":\"a\",\"browserId\":\"x\"}]}",
     400, "malformed", "version"},
    {"version 0",
     "{" USER ",\"operations\":[{\"id\":\"a\",\"browserId\":\"x\",\"version\":0}]}",
     400, "malformed", "version"},
    {"version is a text",
     "{" USER
     ",\"operations\":[{\"id\":\"a\",\"browserId\":\"x\",\"version\":\"1\"}]}",
     400, "malformed", "version"},
    {"good before bad",
     "{" USER ",\"operations\":[" GOOD ",{\"id\":\"a\",\"browserId\":\"x\"}]}", 400,
     "malformed", "operations[1]"},
};

static void test_bodies(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    for (size_t i = 0; i < COUNT(bodies); i++) {
        t_row = bodies[i].name;
        rig_answer *a = rig_post(&r, RIG_LIST, bodies[i].body);
        T_EQ(a->status, bodies[i].status);
        T_TEXT(t_str(rig_code(a)), bodies[i].code);
        const char *detail = rig_text(a->json, "detail");
        if (strstr(detail, bodies[i].names) == NULL) print_error("# %s\n", detail);
        T_TRUE(strstr(detail, bodies[i].names) != NULL);
    }
    t_row = "";
    T_EQ(rig_metric(&r, "lists_warm"), 0);
    T_EQ(rig_metric(&r, "store_appends_total"), 0);
    // And the good one is as good as ever.
    rig_answer *a = rig_post(
        &r, RIG_LIST, "{" USER ",\"operations\":[" GOOD "],\"later\":{\"x\":[1]}}");
    T_TEXT(t_str(rig_acks(a->json)), "ok:1");
    rig_close(&r);
}

// An operation that is known by name is rejected alone, the rest goes on.
static const struct {
    const char *name, *members, *code;
} faults[] = {
    {"no type", "", "bad-type"},
    {"type is a number", ",\"type\":1", "bad-type"},
    {"ADD without item", ",\"type\":\"ADD\",\"imageId\":\"i\"", "bad-instanceId"},
    {"ADD without image", ",\"type\":\"ADD\",\"instanceId\":\"i\"", "bad-imageId"},
    {"empty item", ",\"type\":\"DELETE\",\"instanceId\":\"\"", "bad-instanceId"},
    {"item is null", ",\"type\":\"DELETE\",\"instanceId\":null", "bad-instanceId"},
    {"UPDATE of nothing", ",\"type\":\"UPDATE_METADATA\",\"instanceId\":\"i\"",
     "bad-data"},
    {"UPDATE of no field",
     ",\"type\":\"UPDATE_METADATA\",\"instanceId\":\"i\",\"data\":{}", "bad-data"},
    {"a field's value is a number",
     ",\"type\":\"UPDATE_METADATA\",\"instanceId\":\"i\",\"data\":{\"f\":1}",
     "bad-data"},
    {"a field's name",
     ",\"type\":\"UPDATE_METADATA\",\"instanceId\":\"i\",\"data\":{\"__proto__\":"
     "\"\"}",
     "bad-data"},
    {"data is an array",
     ",\"type\":\"UPDATE_METADATA\",\"instanceId\":\"i\",\"data\":[]", "bad-data"},
    {"sideways", ",\"type\":\"SORT_CHANGE\",\"sort\":\"ASC\"", "bad-sort"},
    {"timestamp of 2^48", ",\"type\":\"PAINT\",\"timestamp\":281474976710656",
     "bad-timestamp"},
    {"timestamp is a text", ",\"type\":\"PAINT\",\"timestamp\":\"1\"",
     "bad-timestamp"},
    {"timestamp is negative", ",\"type\":\"PAINT\",\"timestamp\":-1",
     "bad-timestamp"},
    {"logical of 65536", ",\"type\":\"PAINT\",\"timestamp\":1,\"logical\":65536",
     "bad-logical"},
    {"no timestamp", ",\"type\":\"PAINT\"", "bad-timestamp"},
};

static void test_faults(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    for (size_t i = 0; i < COUNT(faults); i++) {
        t_row = faults[i].name;
        rig_answer *a = rig_post(
            &r, RIG_LIST,
            rig_format("{" USER
                       ",\"operations\":[{\"id\":\"bad-%zu\",\"browserId\":\"y\","
                       "\"version\":%zu%s},%s]}",
                       i, i + 1, faults[i].members, rig_op("z", i + 1)));
        T_TEXT(t_str(rig_acks(a->json)),
               rig_format("rej:%s ok:%zu", faults[i].code, i + 1));
    }
    t_row = "";
    rig_close(&r);
}

static void test_sizes(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    // 100 operations are taken, 101 are not.
    rig_answer *a = rig_save(&r, "b", 1, 101);
    T_EQ(a->status, 413);
    T_TEXT(t_str(rig_code(a)), "too-many-operations");
    T_EQ(rig_count(rig_save(&r, "b", 1, 100)->json, "acks"), 100);
    // 1 MiB is taken, and a byte more is not.
    size_t len = 1 << 20;
    char *body = malloc(len + 2);
    int head = sprintf(body, "{" USER ",\"operations\":[],\"x\":\"");
    memset(body + head, 'v', len - (size_t)head - 2);
    memcpy(body + len - 2, "\"}", 3);
    T_EQ(rig_post(&r, RIG_LIST, body)->status, 200);
    memcpy(body + len - 2, "v\"}", 4);
    a = rig_post(&r, RIG_LIST, body);
    T_EQ(a->status, 413);
    T_TEXT(t_str(rig_code(a)), "too-large");
    // An operation of 64 KiB as it is stored, and one of a byte more.
    for (int over = 0; over < 2; over++) {
        char tail[200];
        int more =
            sprintf(tail, "\",\"timestamp\":%d,\"browserId\":\"s\",\"version\":%d}",
                    over + 1, over + 1);
        int seq = (int)strlen(",\"seq\":101");
        int at = sprintf(body, "{" USER ",\"operations\":[");
        int op = sprintf(body + at, "{\"id\":\"s-%d\",\"type\":\"PAINT\",\"x\":\"",
                         over);
        int fill = (64 << 10) - op - more - seq + over;
        memset(body + at + op, 'v', (size_t)fill);
        sprintf(body + at + op + fill, "%s]}", tail);
        a = rig_post(&r, RIG_LIST, body);
        T_TEXT(t_str(rig_acks(a->json)), over == 0 ? "ok:101" : "rej:too-large");
    }
    free(body);
    rig_answer *g = rig_get(&r, OPS "?since=100");
    T_TEXT(t_str(rig_seqs(g->json)), "101");
    rig_close(&r);
}

// ---- URLs ---------------------------------------------------------------------------

#define LONG "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
    tm_method method;
    const char *path;
    uint32_t status;
    const char *code, *names;
} urls[] = {
    {TM_GET, "/", 404, "not-found", ""},
    {TM_GET, "", 404, "not-found", ""},
    {TM_GET, "/v1", 404, "not-found", ""},
    {TM_GET, "/v1/lists", 404, "not-found", ""},
    {TM_GET, "/v1/lists/", 404, "list", ""},
    {TM_GET, "/v2/lists/a", 404, "not-found", ""},
    {TM_GET, "/v1/lists/A", 404, "list", ""},
    {TM_GET, "/v1/lists/a_b", 404, "list", ""},
    {TM_GET, "/v1/lists/a%62", 404, "list", ""},
    {TM_GET, "/v1/lists/" LONG, 404, "list", ""},
    {TM_GET, "/v1/lists/..", 404, "list", ""},
    {TM_GET, "/v1/lists//operations", 404, "list", ""},
    {TM_GET, "/v1/lists/a/", 404, "not-found", ""},
    {TM_GET, "/v1/lists/a/operation", 404, "not-found", ""},
    {TM_GET, "/v1/lists/a/operations/", 404, "not-found", ""},
    {TM_GET, "/v1/lists/a/operations/1", 404, "not-found", ""},
    {TM_PUT, "/v1/lists/a", 405, "method", ""},
    {TM_POST, "/v1/lists/a", 405, "method", ""},
    {TM_PUT, "/v1/lists/a/operations", 405, "method", ""},
    {TM_OTHER, "/v1/lists/a/operations", 405, "method", ""},
    {TM_POST, "/v1/lists/a/log", 405, "method", ""},
    {TM_POST, "/healthz", 405, "method", ""},
    {TM_OTHER, "/metrics", 405, "method", ""},
    {TM_GET, "/v1/lists/a/operations?since=", 400, "bad-request", "since"},
    {TM_GET, "/v1/lists/a/operations?since", 400, "bad-request", "since"},
    {TM_GET, "/v1/lists/a/operations?since=x", 400, "bad-request", "since"},
    {TM_GET, "/v1/lists/a/operations?since=-1", 400, "bad-request", "since"},
    {TM_GET, "/v1/lists/a/operations?since=+1", 400, "bad-request", "since"},
    {TM_GET, "/v1/lists/a/operations?since=1.0", 400, "bad-request", "since"},
    {TM_GET, "/v1/lists/a/operations?since=01", 400, "bad-request", "since"},
    {TM_GET, "/v1/lists/a/operations?since=9007199254740992", 400, "bad-request",
     "since"},
    {TM_GET, "/v1/lists/a/operations?since=99999999999999999999999", 400,
     "bad-request", "since"},
    {TM_GET, "/v1/lists/a/operations?since=1&since=1", 400, "bad-request", "since"},
    {TM_GET, "/v1/lists/a/operations?since=1&lastSyncedVersion=1", 400,
     "bad-request", "lastSyncedVersion"},
    {TM_GET, "/v1/lists/a/operations?s%69nce=x", 400, "bad-request", "since"},
    {TM_GET, "/v1/lists/a/operations?mark=%zz", 400, "bad-request", "percent"},
    {TM_GET, "/v1/lists/a/operations?mark=%4", 400, "bad-request", "percent"},
    {TM_GET, "/v1/lists/a/operations?mark=%", 400, "bad-request", "percent"},
    {TM_GET, "/v1/lists/a/operations?mark=%ff", 400, "bad-request", "UTF-8"},
    {TM_GET, "/v1/lists/a/operations?%ff=1", 400, "bad-request", "UTF-8"},
    {TM_GET, "/v1/lists/a/operations?wait=long", 400, "bad-request", "wait"},
    {TM_GET, "/v1/lists/a/operations?user=eve", 409, "user", ""},
    {TM_GET, "/v1/lists/a?user=eve", 409, "user", ""},
    {TM_GET, "/v1/lists/a/log?user=", 409, "user", ""},
    {TM_GET, "/v1/lists/a?at=x", 400, "bad-request", "at"},
    {TM_GET, "/v1/lists/a?at=1", 404, "beyond-head", ""},
    {TM_GET, "/v1/lists/a/log?limit=1001", 400, "bad-request", "limit"},
    {TM_GET, "/v1/lists/a/log?from=x", 400, "bad-request", "from"},
    {TM_GET, "/v1/lists/a/operations?user=%61nn&&x=y&=&wait=0", 200, "", ""},
    {TM_GET, "/v1/lists/a?user=ann&user2=eve", 200, "", ""},
    {TM_GET, "/v1/lists/a/operations?since=0&mark=%22", 200, "", ""},
    {TM_GET, "/healthz", 200, "", ""},
    {TM_GET, "/readyz", 200, "", ""},
    {TM_GET, "/metrics?x", 200, "", ""},
};

static void test_urls(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    for (size_t i = 0; i < COUNT(urls); i++) {
        t_row = urls[i].path;
        rig_answer *a =
            rig_request_start(&r, urls[i].method, urls[i].path, t_str("{}"));
        rig_run(&r);
        T_TRUE(a->done);
        T_EQ(a->status, urls[i].status);
        T_TEXT(t_str(rig_code(a)), urls[i].code);
        const char *detail = rig_text(a->json, "detail");
        if (strstr(detail, urls[i].names) == NULL) print_error("# %s\n", detail);
        T_TRUE(strstr(detail, urls[i].names) != NULL);
    }
    t_row = "";
    T_EQ(rig_metric(&r, "lists_warm"), 1); // "a", empty as it is
    rig_close(&r);
}

// A user's lists are nobody else's, whatever the names are made of.
static void test_users(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    static const char *const users[] = {"a",   "ab",        "a\\\"", "\xc3\xa9",
                                        "a/b", "__proto__", "1",     "' OR 1=1"};
    for (size_t i = 0; i < COUNT(users); i++) {
        char name[32], quoted[64];
        snprintf(name, sizeof name, "%s", users[i]);
        json_t *text = json_string(name);
        char *dump = json_dumps(text, JSON_ENCODE_ANY);
        snprintf(quoted, sizeof quoted, "%s", dump);
        free(dump);
        json_decref(text);
        r.user = users[i];
        rig_answer *a = rig_post(&r, "b",
                                 rig_format("{\"user\":%s,\"operations\":[%s]}",
                                            quoted, rig_op("x", 1)));
        T_TEXT(t_str(rig_acks(a->json)), "ok:1");
        T_TEXT(t_str(rig_text(a->json, "user")), users[i]);
    }
    for (size_t i = 0; i < COUNT(users); i++) {
        r.user = users[i];
        rig_answer *g = rig_get(&r, "/v1/lists/b/operations");
        T_TEXT(t_str(rig_seqs(g->json)), "1");
    }
    r.user = "";
    T_EQ(rig_get(&r, "/v1/lists/b")->status, 400);
    T_EQ(rig_get(&r, "/healthz")->status, 200);
    rig_close(&r);
}

// A body cut off at every byte, and with each byte turned: an answer, and the list lives.
static void test_mutations(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    const char *op =
        "{\"id\":\"m\",\"type\":\"ADD\",\"instanceId\":\"i\",\"imageId\":"
        "\"m\",\"data\":{\"d\":\"\\u00e9\xf0\x9f\x98\x80\"},\"timestamp\":"
        "17,\"logical\":3,\"browserId\":\"m\",\"version\":1}";
    char body[600];
    int len = snprintf(
        body, sizeof body,
        "{" USER ",\"since\":0,\"mark\":\"\",\"acked\":0,\"operations\":[%s]}", op);
    for (int i = 0; i < len; i++) {
        char was = body[i];
        body[i] = '\0';
        T_EQ(rig_post(&r, RIG_LIST, body)->status, 400);
        for (int bit = 0; bit < 8; bit++) {
            body[i] = (char)(was ^ 1 << bit);
            if (body[i] == '\0') continue;
            uint32_t status = rig_post(&r, RIG_LIST, body)->status;
            T_TRUE(status == 200 || status == 400 || status == 409);
        }
        body[i] = was;
        rig_forget(&r);
    }
    T_EQ(rig_save(&r, "good", 1, 1)->status, 200);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies), cmocka_unit_test(test_faults),
        cmocka_unit_test(test_sizes),  cmocka_unit_test(test_urls),
        cmocka_unit_test(test_users),  cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
