// test_talk.c - one page and what a server, a proxy or a portal says to it: what is sent,
// what each kind of answer does, and that nonsense does nothing.
#include "client/host.h"

#define SET(value)                                                                 \
    "{\"type\":\"UPDATE_METADATA\",\"instanceId\":\"x\",\"data\":{"                \
    "\"description\":\"" value "\"}}"

typedef struct talk {
    storage s;
    model m; // only its clock is used
    page p;
    tm_send save;
    char body[600000];
} talk;

static talk t;

static void begin(bool manual) {
    memset(&t, 0, sizeof t);
    model_init(&t.m);
    t.p.manual = manual;
    t.p.seed = 5;
    page_start(&t.p, &t.s, &t.m, "b-a");
    tm_engine_channel(t.p.engine, t.p.now, TM_CHANNEL_POLL);
    page_pump(&t.p);
}

static void end(void) {
    page_stop(&t.p);
    storage_free(&t.s);
    model_free(&t.m);
}

// The next request; its text is in t.body.
static tm_send_kind take(void) {
    t.save = tm_engine_take(t.p.engine, t.p.now);
    T_TRUE(t.save.bytes.len < sizeof t.body);
    if (t.save.bytes.len > 0) memcpy(t.body, t.save.bytes.ptr, t.save.bytes.len);
    t.body[t.save.bytes.len] = '\0';
    return t.save.kind;
}

static void push(void) {
    tm_engine_ask(t.p.engine, t.p.now, TM_ASK_PUSH);
    T_EQ(take(), TM_SEND_SAVE);
}

static void pull(void) {
    tm_engine_ask(t.p.engine, t.p.now, TM_ASK_PULL);
    T_EQ(take(), TM_SEND_PULL);
}

static void answer(uint32_t http, const char *text) {
    tm_engine_answer(t.p.engine, t.p.now, t.save.ref, http, t_str(text));
    page_pump(&t.p);
}

static size_t count(const char *what) {
    size_t n = 0;
    for (const char *at = t.body; (at = strstr(at, what)) != NULL; at++) {
        n++;
    }
    return n;
}

static const char *id_of(size_t nth) {
    static char ids[8][64];
    const char *at = t.body;
    for (size_t i = 0; i <= nth; i++) {
        at = strstr(at, "{\"id\":\"");
        T_TRUE(at != NULL);
        at += 7;
    }
    size_t len = strcspn(at, "\"");
    memcpy(ids[nth], at, len);
    ids[nth][len] = '\0';
    return ids[nth];
}

// ---- what is sent -----------------------------------------------------------------------

static void test_a_push_is_cut(void **state) {
    (void)state;
    // So many edits with values of so many bytes: so many in the first request.
    static const struct {
        const char *name;
        size_t edits, bytes, want;
    } rows[] = {
        {"one", 1, 10, 1},           {"99", 99, 10, 99},
        {"100", 100, 10, 100},       {"101", 101, 10, 100},
        {"by bytes", 100, 4000, 62}, {"by bytes, less", 70, 3500, 70},
    };
    static char text[5000], value[4100];
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        begin(true);
        memset(value, 'v', rows[i].bytes);
        value[rows[i].bytes] = '\0';
        (void)snprintf(
            text, sizeof text,
            "{\"type\":\"UPDATE_METADATA\",\"instanceId\":\"x\",\"data\":{"
            "\"description\":\"%s\"}}",
            value);
        for (size_t k = 0; k < rows[i].edits; k++) {
            T_OK(page_edit(&t.p, text));
        }
        push();
        T_EQ(count("\"type\":\"UPDATE_METADATA\""), rows[i].want);
        T_TRUE(t.save.bytes.len < (256u << 10) + 1000);
        end();
    }
}

static void test_one_request_at_a_time(void **state) {
    (void)state;
    begin(true);
    T_OK(page_edit(&t.p, SET("1")));
    push();
    T_OK(page_edit(&t.p, SET("2")));
    tm_engine_ask(t.p.engine, t.p.now, TM_ASK_PUSH | TM_ASK_PULL);
    T_EQ(take(), TM_SEND_PULL); // a pull may go beside it
    T_EQ(take(), TM_SEND_NONE);
    end();
}

static void test_a_batch_is_sent_when_it_is_whole(void **state) {
    (void)state;
    begin(true);
    T_OK(page_edit(&t.p, SET("before")));
    T_OK(tm_engine_begin(t.p.engine));
    T_OK(tm_engine_edit(t.p.engine, t.p.now, t_str(SET("1")), NULL));
    push();
    T_EQ(count("\"id\""), 1);
    answer(0, "");
    T_OK(tm_engine_begin(t.p.engine));
    T_OK(tm_engine_edit(t.p.engine, t.p.now, t_str(SET("2")), NULL));
    T_OK(tm_engine_end(t.p.engine, t.p.now, false)); // the inner one is taken back
    T_OK(tm_engine_edit(t.p.engine, t.p.now, t_str(SET("3")), NULL));
    T_OK(tm_engine_end(t.p.engine, t.p.now, true));
    page_pump(&t.p);
    push();
    T_EQ(count("\"id\""), 3);
    T_EQ(count("\"version\":3"), 1);
    T_EQ(count("\"description\":\"2\""), 0);
    T_STATUS(tm_engine_end(t.p.engine, t.p.now, true), TM_E_STATE);
    end();
}

// ---- what comes -------------------------------------------------------------------------

#define HEAD                                                                       \
    "\"user\":\"u\",\"version\":1,\"mark\":\"m\",\"head\":1,\"serverTime\":"       \
    "1700000000000"

static void test_refusals(void **state) {
    (void)state;
    // What the answer to a save of two operations leaves: queued, and what is asked for.
    static const struct {
        const char *name;
        uint32_t http;
        const char *body;
        size_t pending, dead, authorize, problems;
    } rows[] = {
        {"nothing came", 0, "", 2, 0, 0, 0},
        {"a portal", 200, "<html>log in</html>", 2, 0, 0, 0},
        {"not an object", 200, "[]", 2, 0, 0, 0},
        {"empty", 200, "", 2, 0, 0, 0},
        {"an empty object", 200, "{}", 2, 0, 0, 0},
        {"success without acks", 200, "{" HEAD "}", 2, 0, 0, 0},
        {"a gateway", 502, "<html>", 2, 0, 0, 0},
        {"throttled", 429, "{\"code\":\"busy\"}", 2, 0, 0, 0},
        {"unavailable", 503, "{\"code\":\"unavailable\"}", 2, 0, 0, 0},
        {"no token", 401, "", 2, 0, 1, 0},
        {"somebody else", 409, "{\"code\":\"user\",\"detail\":\"not you\"}", 2, 0,
         0, 1},
        {"a portal's 400", 400, "<html>", 2, 0, 0, 0},
        {"a redirect", 302, "", 2, 0, 0, 0},
        {"acks of others", 200,
         "{" HEAD ",\"acks\":[{\"id\":\"who\",\"status\":\"ok\",\"seq\":1,"
         "\"timestamp\":5}]}",
         2, 0, 0, 0},
        {"another user's", 200,
         "{\"user\":\"v\",\"version\":0,\"mark\":\"\",\"head\":0,\"acks\":[]}", 2,
         0, 0, 1},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        begin(true);
        T_OK(page_edit(&t.p, SET("1")));
        T_OK(page_edit(&t.p, SET("2")));
        push();
        answer(rows[i].http, rows[i].body);
        T_EQ(page_status(&t.p, "pending"), rows[i].pending);
        T_EQ(page_status(&t.p, "dead"), rows[i].dead);
        T_EQ(t.p.authorize, rows[i].authorize);
        T_EQ(t.p.problems, rows[i].problems);
        end();
    }
}

static void test_acks(void **state) {
    (void)state;
    // Of the one operation: `A` is its ack but for the id.
    static const struct {
        const char *name, *ack;
        size_t pending, dead;
    } rows[] = {
        {"ok",
         "\"status\":\"ok\",\"seq\":1,\"timestamp\":1700000000000,\"logical\":3", 0,
         0},
        {"logical left out",
         "\"status\":\"ok\",\"seq\":1,\"timestamp\":1700000000000", 0, 0},
        {"rejected", "\"status\":\"rejected\",\"code\":\"too-large\"", 0, 1},
        {"no seq", "\"status\":\"ok\",\"timestamp\":1700000000000", 1, 0},
        {"no such status",
         "\"status\":\"fine\",\"seq\":1,\"timestamp\":1700000000000", 1, 0},
        {"a time past all",
         "\"status\":\"ok\",\"seq\":1,\"timestamp\":281474976710656", 1, 0},
        {"logical too large",
         "\"status\":\"ok\",\"seq\":1,\"timestamp\":1700000000000,\"logical\":"
         "65536",
         1, 0},
        {"seq is a text",
         "\"status\":\"ok\",\"seq\":\"1\",\"timestamp\":1700000000000", 1, 0},
    };
    static char text[1000];
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        begin(true);
        T_OK(page_edit(&t.p, SET("1")));
        push();
        (void)snprintf(text, sizeof text,
                       "{" HEAD ",\"operations\":[],\"acks\":[{\"id\":\"%s\",%s}]}",
                       id_of(0), rows[i].ack);
        answer(200, text);
        T_EQ(page_status(&t.p, "pending"), rows[i].pending);
        T_EQ(page_status(&t.p, "dead"), rows[i].dead);
        end();
    }
}

// The effective stamp replaces ours, and what is pending behind it stays above it.
static void test_an_ack_lifts_what_follows(void **state) {
    (void)state;
    static char text[1000];
    begin(true);
    T_OK(page_edit(&t.p, SET("1")));
    T_OK(page_edit(&t.p, SET("2")));
    T_OK(page_edit(&t.p, SET("3")));
    push();
    (void)snprintf(
        text, sizeof text,
        "{" HEAD ",\"operations\":[],\"stop\":{\"code\":\"retry\"},\"acks\":["
        "{\"id\":\"%s\",\"status\":\"ok\",\"seq\":1,\"timestamp\":1700000009000,"
        "\"logical\":65535}]}",
        id_of(0));
    answer(200, text);
    T_EQ(page_status(&t.p, "pending"), 2);
    push();
    T_EQ(count("\"timestamp\":1700000009001"), 2);
    T_EQ(count("\"logical\":0"), 1);
    T_EQ(count("\"logical\":1"), 1);
    T_TEXT(t_str(page_view(&t.p)), "asc");
    end();
}

static void test_refused_alone(void **state) {
    (void)state;
    static char text[1000];
    begin(true);
    T_OK(page_edit(&t.p, SET("1")));
    T_OK(page_edit(&t.p, SET("poison")));
    T_OK(page_edit(&t.p, SET("3")));
    push();
    T_EQ(count("{\"id\""), 3);
    answer(413, "");
    T_EQ(page_status(&t.p, "pending"), 3);
    push(); // one by one
    T_EQ(count("{\"id\""), 1);
    (void)snprintf(text, sizeof text,
                   "{" HEAD
                   ",\"operations\":[],\"acks\":[{\"id\":\"%s\",\"status\":\"ok\","
                   "\"seq\":1,\"timestamp\":1700000000000}]}",
                   id_of(0));
    answer(200, text);
    push();
    T_EQ(count("poison"), 1);
    T_EQ(count("{\"id\""), 1);
    answer(400, "{\"code\":\"bad-request\",\"detail\":\"-\"}");
    T_EQ(page_status(&t.p, "dead"), 1);
    T_EQ(page_status(&t.p, "pending"), 1);
    push();
    T_EQ(count("\"description\":\"3\""), 1);
    end();
}

static void test_a_token_is_waited_for(void **state) {
    (void)state;
    begin(true);
    T_OK(page_edit(&t.p, SET("1")));
    push();
    answer(401, "");
    T_EQ(t.p.authorize, 1);
    tm_engine_ask(t.p.engine, t.p.now, TM_ASK_PUSH | TM_ASK_PULL);
    T_EQ(take(), TM_SEND_NONE);
    T_TRUE(page_phase(&t.p, "offline"));
    tm_engine_authorized(t.p.engine, t.p.now);
    tm_engine_ask(t.p.engine, t.p.now, TM_ASK_PUSH);
    T_EQ(take(), TM_SEND_SAVE);
    end();
}

static void test_an_answer_to_another_user_stops_it(void **state) {
    (void)state;
    begin(false);
    T_OK(page_edit(&t.p, SET("1")));
    push();
    answer(200, "{\"user\":\"v\",\"version\":0,\"mark\":\"\",\"head\":0}");
    T_TEXT(t_str(t.p.last_problem_code), "user");
    T_EQ(t.p.problems, 1);
    page_advance(&t.p, 3600000);
    T_EQ(take(), TM_SEND_NONE);
    T_EQ(page_status(&t.p, "pending"), 1);
    end();
}

static void test_another_user_stops_it(void **state) {
    (void)state;
    begin(false);
    T_OK(page_edit(&t.p, SET("1")));
    push();
    answer(409, "{\"code\":\"user\",\"detail\":\"the token is of v\"}");
    T_TEXT(t_str(t.p.last_problem_code), "user");
    T_TEXT(t_str(t.p.last_problem), "the token is of v");
    page_advance(&t.p, 3600000);
    T_EQ(take(), TM_SEND_NONE);
    T_EQ(page_status(&t.p, "pending"), 1);
    end();
}

// ---- pulls ------------------------------------------------------------------------------

#define OP(id, seq, rest)                                                          \
    "{\"id\":\"" id "\",\"type\":\"ADD\",\"instanceId\":\"" id                     \
    "\",\"imageId\":\"i\",\"timestamp\":"                                          \
    "1700000000000,\"browserId\":\"b-z\",\"version\":" seq ",\"seq\":" seq rest    \
    "}"

static void test_pulls(void **state) {
    (void)state;
    static const struct {
        const char *name, *text;
        uint64_t cursor; // afterwards
        const char *view;
    } rows[] = {
        {"nothing new",
         "{\"user\":\"u\",\"version\":0,\"mark\":\"\",\"head\":0,\"operations\":[]"
         "}",
         0, "asc"},
        {"two",
         "{\"version\":2,\"mark\":\"m2\",\"head\":2,\"operations\":[" OP(
             "a", "1", "") "," OP("b", "2", "") "]}",
         2, "asc {id:a,imageId:i,fields:{}} {id:b,imageId:i,fields:{}}"},
        {"a hole",
         "{\"version\":3,\"mark\":\"m3\",\"head\":3,\"operations\":[" OP(
             "a", "1", "") "," OP("b", "3", "") "]}",
         0, "asc"},
        {"out of order",
         "{\"version\":2,\"mark\":\"m\",\"head\":2,\"operations\":[" OP(
             "a", "2", "") "," OP("b", "1", "") "]}",
         0, "asc"},
        {"past its version",
         "{\"version\":1,\"mark\":\"m\",\"head\":2,\"operations\":[" OP(
             "a", "1", "") "," OP("b", "2", "") "]}",
         0, "asc"},
        {"a bad operation",
         "{\"version\":2,\"mark\":\"m\",\"head\":2,\"operations\":[" OP(
             "a", "1", "") ",{\"id\":\"b\",\"type\":\"ADD\",\"browserId\":\"b\","
                           "\"version\":1,\"timestamp\":1,\"seq\":2}]}",
         0, "asc"},
        {"no mark",
         "{\"version\":1,\"head\":1,\"operations\":[" OP("a", "1", "") "]}", 0,
         "asc"},
        {"version past the head",
         "{\"version\":1,\"mark\":\"m\",\"head\":0,\"operations\":[" OP("a", "1",
                                                                        "") "]}",
         0, "asc"},
        {"a key twice",
         "{\"version\":1,\"version\":1,\"mark\":\"m\",\"head\":1,\"operations\":"
         "[" OP("a", "1", "") "]}",
         0, "asc"},
        {"cut off", "{\"version\":1,\"mark\":\"m\",\"head\":1,\"operations\":[", 0,
         "asc"},
        {"unknown members are passed over",
         "{\"new\":[1,{}],\"version\":1,\"mark\":\"m\",\"head\":1,\"operations\":"
         "[" OP("a", "1", ",\"more\":true") "]}",
         1, "asc {id:a,imageId:i,fields:{}}"},
        {"an unknown type is held and not shown",
         "{\"version\":1,\"mark\":\"m\",\"head\":1,\"operations\":[{\"id\":\"q\","
         "\"type\":\"PAINT\","
         "\"timestamp\":1,\"browserId\":\"b\",\"version\":1,\"seq\":1}]}",
         1, "asc"},
        {"a snapshot",
         "{\"version\":7,\"mark\":\"m7\",\"head\":7,\"snapshot\":{\"state\":{"
         "\"format\":1,"
         "\"browsers\":[\"b-z\"],\"dead\":[\"d\"],\"items\":[[\"a\",[5,0,0,1,\"i\"]"
         "]],\"sort\":"
         "[6,0,0,2,\"desc\"]},\"H\":[9,1],\"unknown\":[],\"live\":1}}",
         7, "desc {id:a,imageId:i,fields:{}}"},
        {"a snapshot of another format",
         "{\"version\":7,\"mark\":\"m7\",\"head\":7,\"snapshot\":{\"state\":{"
         "\"format\":2},"
         "\"H\":[9,1],\"unknown\":[]}}",
         0, "asc"},
        {"a snapshot cut short",
         "{\"version\":7,\"mark\":\"m7\",\"head\":7,\"snapshot\":{\"H\":[9,1],"
         "\"unknown\":[]}}",
         0, "asc"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        begin(true);
        pull();
        answer(200, rows[i].text);
        T_EQ(page_status(&t.p, "cursor"), rows[i].cursor);
        T_TEXT(t_str(page_view(&t.p)), rows[i].view);
        // What it took it has stored, and a page that starts from there has it too.
        page_stop(&t.p);
        page_start(&t.p, &t.s, &t.m, "b-n");
        T_EQ(page_status(&t.p, "cursor"), rows[i].cursor);
        T_TEXT(t_str(page_view(&t.p)), rows[i].view);
        end();
    }
}

// What the log has under an own id is what C has, whatever was sent under it.
static void test_an_own_id_is_taken_as_the_log_has_it(void **state) {
    (void)state;
    begin(true);
    T_OK(page_edit(&t.p, SET("mine")));
    push();
    char text[400];
    (void)snprintf(text, sizeof text,
                   "{\"version\":1,\"mark\":\"m\",\"head\":1,\"operations\":[{"
                   "\"id\":\"%s\",\"type\":\"ADD\",\"instanceId\":\"y\","
                   "\"imageId\":\"i\",\"timestamp\":1700000000000,\"browserId\":"
                   "\"b-a\",\"version\":1,\"seq\":1}]}",
                   id_of(0));
    answer(0, "");
    pull();
    answer(200, text);
    uint64_t cursor;
    const tm_list *c = tm_engine_confirmed(t.p.engine, &cursor);
    T_EQ(cursor, 1);
    T_TRUE(tm_item_live(tm_list_find(c, t_str("y"))));
    T_EQ(tm_list_count(c), 1);
    T_EQ(page_status(&t.p, "pending"), 0);
    end();
}

// Every prefix of a good answer is no answer.
static void test_every_truncation(void **state) {
    (void)state;
    static const char whole[] =
        "{\"version\":2,\"mark\":\"m2\",\"head\":2,\"operations\":[" OP(
            "a", "1", "") "," OP("b", "2", "") "]}";
    begin(true);
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        pull();
        tm_engine_answer(t.p.engine, t.p.now, t.save.ref, 200,
                         (tm_span){(const uint8_t *)whole, len});
        page_pump(&t.p);
        T_EQ(page_status(&t.p, "cursor"), 0);
        T_TEXT(t_str(page_view(&t.p)), "asc");
    }
    pull();
    answer(200, whole);
    T_EQ(page_status(&t.p, "cursor"), 2);
    end();
}

static void test_what_a_pull_says(void **state) {
    (void)state;
    begin(true);
    pull();
    T_TEXT(t_str(t.body), "since=0&mark=&user=u");
    answer(200, "{\"version\":1,\"mark\":\"ab c/1\",\"head\":3,\"operations\":[" OP(
                    "a", "1", "") "]}");
    T_EQ(take(), TM_SEND_PULL); // until the head is reached
    T_TEXT(t_str(t.body), "since=1&mark=ab%20c%2F1&user=u");
    answer(200, "{\"version\":1,\"mark\":\"ab c/1\",\"head\":3,\"operations\":[]}");
    T_EQ(take(), TM_SEND_NONE); // it says there is more, and gives nothing
    end();
}

// A late answer, or one to a request that a new channel forgot, changes nothing.
// A save and a pull were out together, and the server was restored between them: what the
// second answer continues is not where the first has brought us.
static void test_answers_of_two_histories(void **state) {
    (void)state;
    static char text[1000];
    for (int order = 0; order < 2; order++) {
        begin(false);
        T_EQ(take(), TM_SEND_PULL);
        tm_send pulled = t.save;
        T_OK(page_edit(&t.p, SET("1")));
        page_advance(&t.p, 100);
        T_EQ(take(), TM_SEND_SAVE);
        (void)snprintf(
            text, sizeof text,
            "{" HEAD
            ",\"operations\":[],\"acks\":[{\"id\":\"%s\",\"status\":\"ok\","
            "\"seq\":1,\"timestamp\":1700000000000}]}",
            id_of(0));
        tm_send saved = t.save;
        for (int i = 0; i < 2; i++) {
            bool save = i == order;
            t.save = save ? saved : pulled;
            answer(200, save ? text
                             : "{\"version\":2,\"mark\":\"n2\",\"head\":2,"
                               "\"operations\":[" OP("a", "1", "") "," OP("b", "2",
                                                                          "") "]}");
        }
        T_EQ(page_status(&t.p, "cursor"), order == 0 ? 1 : 2);
        T_EQ(page_status(&t.p, "pending"), (size_t)order);
        if (order == 0) {
            T_EQ(take(), TM_SEND_PULL);
            T_EQ(count("since=1&"), 1);
        } else { // that it was acked says nothing about this log
            T_EQ(take(), TM_SEND_SAVE);
            T_EQ(count("\"since\":2"), 1);
        }
        end();
    }
}

static void test_answers_to_nobody(void **state) {
    (void)state;
    begin(true);
    pull();
    uint64_t old = t.save.ref;
    tm_engine_channel(t.p.engine, t.p.now, TM_CHANNEL_POLL);
    pull();
    tm_engine_answer(
        t.p.engine, t.p.now, old, 200,
        t_str("{\"version\":1,\"mark\":\"m\",\"head\":1,\"operations\":[" OP(
            "a", "1", "") "]}"));
    T_EQ(page_status(&t.p, "cursor"), 0);
    tm_engine_answer(t.p.engine, t.p.now, 0, 200, t_str("{}"));
    tm_engine_answer(t.p.engine, t.p.now, 999, 200, t_str("{}"));
    answer(200, "{\"version\":1,\"mark\":\"m\",\"head\":1,\"operations\":[" OP(
                    "a", "1", "") "]}");
    T_EQ(page_status(&t.p, "cursor"), 1);
    end();
}

// ---- the clock --------------------------------------------------------------------------

static void test_the_offset(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint64_t took_ms;
        const char *server;
        const char *want;
    } rows[] = {
        {"at once", 0, "1700000060000", "\"offset\":60000"},
        {"half the way back", 1000, "1700000060000", "\"offset\":59500"},
        {"behind", 0, "1699999990000", "\"offset\":-10000"},
        {"5 s still measure", 5000, "1700000060000", "\"offset\":57500"},
        {"slower does not", 5001, "1700000060000", "\"offset\":null"},
    };
    static char text[300];
    tm_span json;
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        begin(true);
        pull();
        page_advance(&t.p, rows[i].took_ms);
        (void)snprintf(text, sizeof text,
                       "{\"version\":0,\"mark\":\"\",\"head\":0,\"serverTime\":%s,"
                       "\"operations\":[]}",
                       rows[i].server);
        answer(200, text);
        T_OK(tm_engine_status(t.p.engine, t.p.now, &json));
        (void)snprintf(text, sizeof text, "%.*s", (int)json.len,
                       (const char *)json.ptr);
        T_TRUE(strstr(text, rows[i].want) != NULL);
        end();
    }
}

// ---- the push channel -----------------------------------------------------------------

static void feed(const char *text) {
    tm_engine_feed(t.p.engine, t.p.now, t_str(text));
    page_pump(&t.p);
}

#define FRAME(type, rest) "{\"type\":\"" type "\",\"list\":\"l\"," rest "}"
#define HELLO                                                                      \
    FRAME("SUBSCRIBED", "\"user\":\"u\",\"version\":0,\"mark\":\"\",\"head\":0")

static void begin_push(void) {
    begin(false);
    tm_engine_channel(t.p.engine, t.p.now, TM_CHANNEL_PUSH);
    T_EQ(take(), TM_SEND_FRAME);
    T_EQ(count("\"type\":\"SUBSCRIBE\""), 1);
    feed(HELLO);
}

static void test_frames(void **state) {
    (void)state;
    // Which cursor a frame leads to, and whether the list is asked for again.
    static const struct {
        const char *name, *text;
        uint64_t cursor;
        bool again;
    } rows[] = {
        {"the next",
         FRAME("OPERATIONS", "\"from\":1,\"version\":1,\"mark\":\"m\",\"head\":1,"
                             "\"operations\":[" OP("a", "1", "") "]"),
         1, false},
        {"a hole",
         FRAME("OPERATIONS", "\"from\":2,\"version\":2,\"mark\":\"m\",\"head\":2,"
                             "\"operations\":[" OP("a", "2", "") "]"),
         0, true},
        {"too few",
         FRAME("OPERATIONS", "\"from\":1,\"version\":2,\"mark\":\"m\",\"head\":2,"
                             "\"operations\":[" OP("a", "1", "") "]"),
         0, true},
        {"too much for us", FRAME("BEHIND", "\"x\":1"), 0, true},
        {"another list's",
         "{\"type\":\"OPERATIONS\",\"list\":\"k\",\"from\":1,\"version\":1,"
         "\"mark\":"
         "\"m\",\"head\":1,\"operations\":[" OP("a", "1", "") "]}",
         0, false},
        {"no frame of ours", FRAME("HELLO", "\"version\":5"), 0, false},
        {"not JSON", "hello", 0, false},
        {"a refusal of nothing",
         FRAME("ERROR", "\"status\":400,\"code\":\"type\",\"detail\":\"-\""), 0,
         true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        begin_push();
        feed(rows[i].text);
        T_EQ(page_status(&t.p, "cursor"), rows[i].cursor);
        page_advance(&t.p, 600); // past a back-off
        tm_send_kind kind = take();
        T_EQ(kind == TM_SEND_FRAME && count("SUBSCRIBE") == 1, rows[i].again);
        end();
    }
}

// A server that never fills the hole is not asked without end.
static void test_a_hole_that_stays(void **state) {
    (void)state;
    size_t asked = 0;
    begin_push();
    for (size_t i = 0; i < 1000; i++) {
        feed(FRAME("OPERATIONS", "\"from\":9,\"version\":9,\"mark\":\"m\",\"head\":"
                                 "9,\"operations\":[" OP("a", "9", "") "]"));
        if (take() == TM_SEND_FRAME) {
            asked++;
            feed(HELLO);
        }
        page_advance(&t.p, 10);
    }
    T_TRUE(asked > 2 && asked < 60);
    end();
}

// It was told how much there is, and then the line goes dead: what is owed does not come.
static void test_what_is_owed_does_not_come(void **state) {
    (void)state;
    begin_push();
    tm_engine_channel(t.p.engine, t.p.now, TM_CHANNEL_PUSH);
    T_EQ(take(), TM_SEND_FRAME);
    feed(FRAME("SUBSCRIBED",
               "\"user\":\"u\",\"version\":0,\"mark\":\"\",\"head\":2"));
    page_advance(&t.p, 29999);
    T_EQ(take(), TM_SEND_NONE);
    T_EQ(t.p.problems, 0);
    page_advance(&t.p, 1);
    T_TEXT(t_str(t.p.last_problem_code), "silent");
    end();
}

// Another tab has stored a C of which the connection knows nothing. What comes on it is not
// taken for what continues that, until an answer to a SUBSCRIBE from there, or a snapshot.
static void test_a_reload_ends_what_is_followed(void **state) {
    (void)state;
    static const struct {
        const char *name, *version; // of the answer
        uint64_t cursor;
    } rows[] = {{"it continues", "5", 6}, {"a snapshot will come", "0", 5}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        char answer[200];
        t_row = rows[i].name;
        begin_push();
        storage_put(&t.s.disk, "state",
                    "{\"generation\":1,\"cursor\":5,\"mark\":\"m5\",\"base\":5}");
        storage_put(&t.s.disk, "base",
                    "{\"version\":5,\"state\":{\"format\":1,\"browsers\":[],"
                    "\"dead\":[],\"items\":[],\"sort\":null},\"H\":[9,1],"
                    "\"unknown\":[]}");
        feed(FRAME("OPERATIONS",
                   "\"from\":1,\"version\":1,\"mark\":\"m\",\"head\":1,"
                   "\"operations\":[" OP("a", "1", "") "]"));
        T_EQ(t.p.reloads, 1);
        T_EQ(page_status(&t.p, "cursor"), 5);
        static const char next[] = FRAME(
            "OPERATIONS", "\"from\":6,\"version\":6,\"mark\":\"m6\",\"head\":6,"
                          "\"operations\":[" OP("b", "6", "") "]");
        feed(next); // of the history that was followed before
        T_EQ(page_status(&t.p, "cursor"), 5);
        T_EQ(take(), TM_SEND_FRAME);
        T_EQ(count("\"type\":\"SUBSCRIBE\"") + count("\"since\":5"), 2);
        (void)snprintf(answer, sizeof answer,
                       FRAME("SUBSCRIBED", "\"user\":\"u\",\"version\":%s,"
                                           "\"mark\":\"m5\",\"head\":6"),
                       rows[i].version);
        feed(answer);
        feed(next);
        T_EQ(page_status(&t.p, "cursor"), rows[i].cursor);
        end();
    }
}

static void test_a_snapshot_in_parts(void **state) {
    (void)state;
    static const char *const parts[] = {
        FRAME("SNAPSHOT",
              "\"version\":7,\"mark\":\"m7\",\"part\":1,\"parts\":3,\"data\":\"{"
              "\\\"state\\\":"
              "{\\\"format\\\":1,\\\"browsers\\\":[\\\"b\\\"],\\\"dead\\\":[],\""),
        FRAME("SNAPSHOT", "\"version\":7,\"mark\":\"m7\",\"part\":2,\"parts\":3,"
                          "\"data\":\"\\\"items\\\":[["
                          "\\\"a\\\",[5,0,0,1,\\\"i\\\"]]],\""),
        FRAME("SNAPSHOT", "\"version\":7,\"mark\":\"m7\",\"part\":3,\"parts\":3,"
                          "\"data\":\"\\\"sort\\\":null},"
                          "\\\"H\\\":[9,1],\\\"unknown\\\":[],\\\"live\\\":1}\""),
    };
    // In which order they come; whether the snapshot is taken.
    static const struct {
        const char *name;
        int order[4];
        bool taken;
    } rows[] = {
        {"in order", {0, 1, 2, -1}, true},
        {"one is missing", {0, 2, -1}, false},
        {"begun anew", {0, 0, 1, 2}, true},
        {"the first is missing", {1, 2, -1}, false},
        {"one twice", {0, 1, 1, 2}, true},
        {"not the last", {0, 1, -1}, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        begin_push();
        for (size_t k = 0; k < 4 && rows[i].order[k] >= 0; k++) {
            feed(parts[rows[i].order[k]]);
        }
        T_EQ(page_status(&t.p, "cursor"), rows[i].taken ? 7 : 0);
        end();
    }
}

static void test_a_digest(void **state) {
    (void)state;
    static const char one[] = FRAME(
        "OPERATIONS",
        "\"from\":1,\"version\":1,\"mark\":\"m\",\"head\":1,\"operations\":[" OP(
            "a", "1", "") "]");
    // After one operation: what the server says, and whether a snapshot is asked for.
    static const struct {
        const char *name, *version, *format, *digest;
        bool ours, again;
    } rows[] = {
        {"the same", "1", "1", NULL, true, false},
        {"another", "1", "1", "00000000000000000000000000000000", false, true},
        {"of another version", "2", "1", "00000000000000000000000000000000", false,
         false},
        {"of another format", "1", "9", "00000000000000000000000000000000", false,
         false},
        {"none at all", "1", "1", "", false, false}, // it says nothing
    };
    static char text[300], hex[33];
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        begin_push();
        feed(one);
        uint64_t cursor;
        const tm_list *c = tm_engine_confirmed(t.p.engine, &cursor);
        tm_digest_hex(tm_list_digest(c), (uint8_t *)hex);
        (void)snprintf(
            text, sizeof text,
            FRAME("DIGEST", "\"version\":%s,\"format\":%s,\"digest\":\"%s\""),
            rows[i].version, rows[i].format, rows[i].ours ? hex : rows[i].digest);
        feed(text);
        T_EQ(t.p.diverged, rows[i].again);
        bool frame = take() == TM_SEND_FRAME;
        T_EQ(frame && count("SUBSCRIBE") == 1, rows[i].again);
        if (rows[i].again) T_EQ(count("\"mark\":\"none\""), 1);
        t.p.now.mono_ms +=
            61000; // while the snapshot is awaited it is known to differ
        feed(text);
        T_EQ(t.p.diverged, rows[i].again);
        end();
    }
}

static void test_seen_by_others(void **state) {
    (void)state;
    static char text[600];
    begin_push();
    T_OK(page_edit(&t.p, SET("1")));
    T_OK(page_edit(&t.p, SET("2")));
    page_advance(&t.p, 100);
    T_EQ(take(), TM_SEND_SAVE);
    (void)snprintf(
        text, sizeof text,
        FRAME("SAVED",
              "\"ref\":%" PRIu64 ",\"version\":2,\"mark\":\"m\",\"head\":2,"
              "\"operations\":[],\"acks\":[{\"id\":\"%s\",\"status\":\"ok\","
              "\"seq\":1,"
              "\"timestamp\":1700000000000},{\"id\":\"%s\",\"status\":\"ok\","
              "\"seq\":2,\"timestamp\":1700000000001}]"),
        t.save.ref, id_of(0), id_of(1));
    feed(text);
    T_EQ(page_status(&t.p, "cursor"), 2);
    T_EQ(t.p.receipts[TM_RECEIPT_ACCEPTED], 2);
    feed(FRAME("SEEN", "\"version\":1"));
    T_EQ(t.p.receipts[TM_RECEIPT_SEEN], 1);
    feed(FRAME("SEEN", "\"version\":2"));
    feed(FRAME("SEEN", "\"version\":2"));
    T_EQ(t.p.receipts[TM_RECEIPT_SEEN], 2);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_push_is_cut),
        cmocka_unit_test(test_one_request_at_a_time),
        cmocka_unit_test(test_a_batch_is_sent_when_it_is_whole),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_acks),
        cmocka_unit_test(test_an_ack_lifts_what_follows),
        cmocka_unit_test(test_refused_alone),
        cmocka_unit_test(test_a_token_is_waited_for),
        cmocka_unit_test(test_an_answer_to_another_user_stops_it),
        cmocka_unit_test(test_another_user_stops_it),
        cmocka_unit_test(test_pulls),
        cmocka_unit_test(test_an_own_id_is_taken_as_the_log_has_it),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_what_a_pull_says),
        cmocka_unit_test(test_answers_of_two_histories),
        cmocka_unit_test(test_answers_to_nobody),
        cmocka_unit_test(test_the_offset),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_a_hole_that_stays),
        cmocka_unit_test(test_what_is_owed_does_not_come),
        cmocka_unit_test(test_a_reload_ends_what_is_followed),
        cmocka_unit_test(test_a_snapshot_in_parts),
        cmocka_unit_test(test_a_digest),
        cmocka_unit_test(test_seen_by_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
