// test_auto.c - by itself: what an engine sends when nobody tells it to, over each kind of
// channel, with losses; in virtual time.
#include "client/host.h"

#define SET(id, value)                                                             \
    "{\"type\":\"UPDATE_METADATA\",\"instanceId\":\"" id                           \
    "\",\"data\":{\"description\":\"" value "\"}}"
#define ADD(id) "{\"type\":\"ADD\",\"instanceId\":\"" id "\",\"imageId\":\"i\"}"

typedef struct world {
    model m;
    storage stores[3];
    page p[3];
} world;

static world w;

static void begin(void) {
    static const char *const names[] = {"b-a", "b-b", "b-c"};
    memset(&w, 0, sizeof w);
    model_init(&w.m);
    for (size_t i = 0; i < COUNT(w.p); i++) {
        w.p[i].seed = i + 1;
        page_start(&w.p[i], &w.stores[i], &w.m, names[i]);
    }
}

static void connect(page *p, tm_channel channel) {
    if (channel == TM_CHANNEL_PUSH) {
        model_open(p->server, p->conn);
    } else {
        model_close(p->server, p->conn);
    }
    p->offline = channel == TM_CHANNEL_NONE;
    tm_engine_channel(p->engine, p->now, channel);
    page_pump(p);
}

static void end(void) {
    for (size_t i = 0; i < COUNT(w.p); i++) {
        page_stop(&w.p[i]);
        storage_free(&w.stores[i]);
    }
    model_free(&w.m);
}

static void expect_equal(void) {
    for (size_t i = 0; i < COUNT(w.p); i++) {
        T_EQ(page_status(&w.p[i], "pending"), 0);
        T_TRUE(page_equals_server(&w.p[i]));
        T_TRUE(page_phase(&w.p[i], "live"));
    }
}

static const tm_channel channels[] = {TM_CHANNEL_POLL, TM_CHANNEL_LONGPOLL,
                                      TM_CHANNEL_PUSH};
static const char *const channel_names[] = {"poll", "long poll", "push"};

// Two that edit, one that looks on.
static void test_everything_arrives(void **state) {
    (void)state;
    for (size_t c = 0; c < COUNT(channels); c++) {
        t_row = channel_names[c];
        begin();
        for (size_t i = 0; i < COUNT(w.p); i++) {
            connect(&w.p[i], channels[c]);
        }
        page_settle(&w.p[0], 3000);
        T_OK(page_edit(&w.p[0], ADD("x")));
        T_OK(page_edit(&w.p[1], ADD("y")));
        page_settle(&w.p[0], 9000);
        T_OK(page_edit(&w.p[1], SET("x", "late")));
        page_settle(&w.p[0], 20000);
        expect_equal();
        T_TEXT(t_str(page_view(&w.p[2])),
               "asc {id:x,imageId:i,fields:{description:late}} "
               "{id:y,imageId:i,fields:{}}");
        end();
    }
}

// Promise 5: one request for a burst; none for nothing, on the push channel.
static void test_few_calls(void **state) {
    (void)state;
    begin();
    connect(&w.p[0], TM_CHANNEL_PUSH);
    page_settle(&w.p[0], 1000);
    size_t before = w.m.posts;
    for (size_t i = 0; i < 30; i++) {
        T_OK(page_edit(&w.p[0], SET("x", "burst")));
    }
    page_settle(&w.p[0], 1000);
    T_EQ(w.m.posts - before, 1);
    T_EQ(w.m.now.op_count, 30);
    before = w.m.posts + w.m.pulls;
    page_settle(&w.p[0], 3600000);
    T_EQ(w.m.posts + w.m.pulls, before);
    end();
}

// More than a request holds goes at once, one request behind the other.
static void test_a_long_queue_is_flushed(void **state) {
    (void)state;
    begin();
    for (size_t i = 0; i < 250; i++) {
        T_OK(page_edit(&w.p[0], SET("x", "queued")));
    }
    connect(&w.p[0], TM_CHANNEL_POLL);
    for (size_t i = 0; i < 6; i++) {
        (void)page_exchange(&w.p[0], FAULT_NONE);
    }
    T_EQ(w.m.now.op_count, 250);
    T_EQ(w.m.posts, 3);
    end();
}

static void test_a_silent_line_is_noticed(void **state) {
    (void)state;
    begin();
    page *p = &w.p[0];
    connect(p, TM_CHANNEL_PUSH);
    page_settle(p, 1000);
    T_TRUE(page_phase(p, "live"));
    // From now on the line looks open, and nothing passes.
    uint64_t waited = 0;
    for (; p->problems == 0; waited += 1000) {
        T_TRUE(waited < 60000);
        page_advance(p, 1000);
        (void)tm_engine_take(p->engine, p->now);
    }
    T_TEXT(t_str(p->last_problem_code), "silent");
    T_TRUE(waited >= 20000 &&
           waited <= 35000); // a heartbeat, and 10 s for its answer
    T_TRUE(page_phase(p, "offline"));
    connect(p, TM_CHANNEL_PUSH);
    page_settle(p, 1000);
    T_TRUE(page_phase(p, "live"));
    end();
}

// Requests are lost one after another: the pauses grow up to half a minute, the edit stays.
static void test_back_off(void **state) {
    (void)state;
    begin();
    page *p = &w.p[0];
    connect(p, TM_CHANNEL_POLL);
    T_OK(page_edit(p, ADD("x")));
    p->offline = true;
    size_t tries = 0;
    for (uint64_t ms = 0; ms < 600000; ms += 100) {
        page_advance(p, 100);
        while (page_exchange(p, FAULT_NONE)) {
            tries++;
        }
    }
    T_TRUE(tries > 20 && tries < 200);
    T_TRUE(page_phase(p, "offline"));
    T_EQ(page_status(p, "pending"), 1);
    p->offline = false;
    page_settle(p, 31000);
    T_EQ(page_status(p, "pending"), 0);
    T_EQ(w.m.now.op_count, 1);
    end();
}

// ---- random ---------------------------------------------------------------------------

static uint64_t below(uint64_t *random, uint64_t n) {
    uint64_t z = *random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % n;
}

// A moment in which what is sent may be lost on either way.
static void stumble(page *p, uint64_t *random) {
    if (p->server->conns[p->conn]
            .open) { // a WebSocket loses all that comes, or nothing
        if (below(random, 12) == 0) {
            connect(p, channels[below(random, 3)]);
            return;
        }
        (void)page_exchange(p, FAULT_NONE);
        page_frames(p);
        return;
    }
    (void)page_exchange(p, (fault)below(random, 3));
}

static void run(uint64_t seed) {
    uint64_t random = seed;
    char text[128], name[32];
    (void)snprintf(name, sizeof name, "seed %" PRIu64, seed);
    t_row = name;
    begin();
    for (size_t i = 0; i < COUNT(w.p); i++) {
        connect(&w.p[i], channels[below(&random, 3)]);
    }
    for (size_t step = 0; step < 150; step++) {
        page *p = &w.p[below(&random, 3)];
        switch (below(&random, 10)) {
        case 0:
            connect(p, below(&random, 3) ? channels[below(&random, 3)]
                                         : TM_CHANNEL_NONE);
            break;
        case 1:
            page_settle(p, below(&random, 5000));
            break;
        case 2:
            if (below(&random, 6) == 0) model_compact(&w.m);
            break;
        case 3:
        case 4:
        case 5:
            stumble(p, &random);
            break;
        default:
            (void)snprintf(
                text, sizeof text,
                below(&random, 3)
                    ? "{\"type\":\"UPDATE_METADATA\",\"instanceId\":\"p%u\","
                      "\"data\":{\"description\":\"v%zu\"}}"
                    : "{\"type\":\"ADD\",\"instanceId\":\"p%u\","
                      "\"imageId\":\"v%zu\"}",
                (unsigned)below(&random, 5), step);
            T_OK(page_edit(p, text));
        }
        w.m.wall_ms += 50;
        for (size_t i = 0; i < COUNT(w.p); i++) {
            page_advance(&w.p[i], 50);
        }
    }
    for (size_t i = 0; i < COUNT(w.p); i++) {
        connect(&w.p[i], channels[below(&random, 3)]);
    }
    page_settle(&w.p[0], 120000);
    expect_equal();
    for (size_t i = 0; i < COUNT(w.p); i++) {
        T_EQ(w.p[i].problems, 0);
        T_EQ(w.p[i].diverged, 0);
    }
    end();
}

static void test_random(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        run(seed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_arrives),
        cmocka_unit_test(test_few_calls),
        cmocka_unit_test(test_a_long_queue_is_flushed),
        cmocka_unit_test(test_a_silent_line_is_noticed),
        cmocka_unit_test(test_back_off),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
