// Several servers on one store, in virtual time: the append decides, what memory alone
// cannot know is not said from it, and the doorbell - here, away, lossy or lying - changes
// only how soon news is seen and what that costs. DESIGN 4, 5.
#include "rig.h"
#include "slow.h"

#include "service/doorbell.h"

#define OPS "/v1/lists/" RIG_LIST "/operations"

// Two servers on one store; and a Redis of one number a list, that loses what it is told.
typedef struct pair {
    rig_world a, b;
    tm_doorbell bell_a, bell_b;
    uint64_t heads; // of RIG_LIST
    bool lost;      // rings reach nobody, and raise nothing
    size_t rings, asks;
    struct {
        rig_world *to;
        uint64_t head;
    } due[64]; // what is on its way
    size_t due_count;
} pair;

static const tm_key the_key = {{(const uint8_t *)RIG_USER, sizeof RIG_USER - 1},
                               {(const uint8_t *)RIG_LIST, sizeof RIG_LIST - 1}};

static void due_add(pair *p, rig_world *to, uint64_t head) {
    T_TRUE(p->due_count < COUNT(p->due));
    p->due[p->due_count].to = to;
    p->due[p->due_count++].head = head;
}

static void on_ring(void *context, tm_key key, uint64_t head) {
    pair *p = context;
    T_TEXT(key.list, RIG_LIST);
    p->rings++;
    if (p->lost) return;
    if (head > p->heads) p->heads = head;
    due_add(p, &p->a, head);
    due_add(p, &p->b, head);
}

static void ask(pair *p, rig_world *from) {
    p->asks++;
    if (!p->lost && p->heads > 0) due_add(p, from, p->heads);
}

static void on_ask_a(void *context, tm_key key) {
    (void)key;
    ask(context, &((pair *)context)->a);
}

static void on_ask_b(void *context, tm_key key) {
    (void)key;
    ask(context, &((pair *)context)->b);
}

// Until nothing happens at either without time passing.
static void run(pair *p) {
    for (int i = 0; i < 8 || p->due_count > 0; i++) {
        rig_run(&p->a);
        rig_run(&p->b);
        size_t count = p->due_count;
        p->due_count = 0;
        for (size_t k = 0; k < count; k++) {
            rig_world *to = p->due[k].to;
            tm_service_rung(to->service, to->now, the_key, p->due[k].head);
        }
    }
}

static void advance(pair *p, uint64_t ms) {
    for (uint64_t gone = 0; gone < ms; gone += 250) {
        rig_advance(&p->a, 250);
        rig_advance(&p->b, 250);
        run(p);
    }
}

static void bells(pair *p, bool here) {
    tm_service_doorbell(p->a.service, p->a.now, here ? &p->bell_a : NULL);
    tm_service_doorbell(p->b.service, p->b.now, here ? &p->bell_b : NULL);
}

static void open_pair(pair *p) {
    p->bell_a = (tm_doorbell){on_ring, on_ask_a, p};
    p->bell_b = (tm_doorbell){on_ring, on_ask_b, p};
    p->a.config.shared = p->b.config.shared = true;
    p->b.random = 7;
    p->a.alloc = t_alloc(&p->a.memory);
    if (p->a.store == NULL) T_OK(tm_memory_open(&p->a.alloc, &p->a.store));
    p->a.store = slow_open(p->a.store);
    p->b.store = p->a.store;
    rig_open(&p->a);
    rig_open(&p->b);
}

static void close_pair(pair *p) {
    rig_stop(&p->b);
    rig_forget(&p->b);
    T_EQ(p->b.memory.bytes, 0);
    rig_close(&p->a);
}

static size_t reads(const pair *p) {
    return slow_started(p->a.store, SLOW_READ);
}

// ---- the append decides -------------------------------------------------------------

// They take turns at one list; none knows of the other's append, and every answer is as
// one server would have given it.
static void test_turns(void **state) {
    (void)state;
    pair p = {0};
    open_pair(&p);
    for (uint64_t v = 1; v <= 20; v++) {
        rig_world *r = v % 2 == 0 ? &p.a : &p.b;
        const char *b = v % 3 == 0 ? "x" : "y";
        uint64_t version = v % 3 == 0 ? v / 3 : v - v / 3;
        rig_answer *s = rig_save(r, b, version, version);
        T_EQ(s->status, 200);
        T_TEXT(t_str(rig_acks(s->json)), rig_format("ok:%d", (int)v));
    }
    T_TRUE(rig_metric(&p.a, "append_conflicts_total") > 0);
    // And the same again is known to both, whoever stored it.
    T_TEXT(t_str(rig_acks(rig_save(&p.a, "y", 1, 2)->json)), "dup:1 dup:2");
    T_TEXT(t_str(rig_acks(rig_save(&p.b, "y", 1, 2)->json)), "dup:1 dup:2");
    close_pair(&p);
}

// What a stale server would say of memory alone, and what it says.
static void test_never_from_memory(void **state) {
    (void)state;
    static const struct {
        const char *name, *body, *acks;
    } rows[] = {
        {"a gap that is none", "w:4", "ok:6"},
        {"a fork that is none", "w:2", "dup:2"},
        {"a gap", "w:9", "gap:4"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        pair p = {0};
        open_pair(&p);
        rig_save(&p.a, "w", 1, 1);
        rig_save(&p.a, "z", 1, 1);
        rig_save(&p.b, "w", 2, 2);
        rig_save(&p.b, "z", 2, 2);
        rig_save(&p.b, "w", 3, 3); // a knows 2 of 5
        size_t before = reads(&p);
        uint64_t version = (uint64_t)(rows[i].body[2] - '0');
        rig_answer *s = rig_save(&p.a, "w", version, version);
        const char *acks = rig_acks(s->json);
        if (version == 2) acks = "dup:2"; // its seq is 3: below
        T_TEXT(t_str(acks), rows[i].acks);
        T_TRUE(reads(&p) > before);
        close_pair(&p);
    }
    t_row = "";
}

// A cursor and a mark from the other server's log: of the future to this one, until it
// has read.
static void test_cursor_of_the_other(void **state) {
    (void)state;
    pair p = {0};
    open_pair(&p);
    rig_save(&p.a, "w", 1, 3);
    rig_answer *s = rig_save(&p.b, "w", 4, 6);
    const char *mark = rig_text(s->json, "mark");
    rig_answer *g = rig_get(&p.a, rig_format(OPS "?since=6&mark=%s", mark));
    T_EQ(rig_int(g->json, "version"), 6);
    T_TRUE(json_object_get(g->json, "operations") != NULL); // no reset
    T_TEXT(t_str(rig_text(g->json, "mark")), mark);
    close_pair(&p);
}

// Eight conflicts, each time somebody else was first; then 503, and nothing was stored.
static void test_conflicts_end(void **state) {
    (void)state;
    pair p = {0};
    open_pair(&p);
    rig_save(&p.a, "w", 1, 1);
    slow_fail(p.a.store, SLOW_APPEND, TM_E_CONFLICT, 9);
    rig_answer *s = rig_post_start(
        &p.a, RIG_LIST,
        rig_format("{\"user\":\"ann\",\"operations\":[%s]}", rig_op("w", 2)));
    rig_run(&p.a);
    T_TRUE(!s->done); // it waits a moment between two tries
    rig_advance(&p.a, 1000);
    T_TRUE(s->done);
    T_EQ(s->status, 503);
    T_TEXT(t_str(rig_code(s)), "unavailable");
    T_EQ(rig_metric(&p.a, "append_conflicts_total"), 9);
    T_TEXT(t_str(rig_acks(rig_save(&p.a, "w", 2, 2)->json)), "ok:2");
    close_pair(&p);
}

// Nobody knows whether it was stored: 503, and the list is opened anew, so that the
// next time it is known.
static void test_unsure(void **state) {
    (void)state;
    pair p = {0};
    p.a.alloc = t_alloc(&p.a.memory);
    tm_store *inner;
    T_OK(tm_memory_open(&p.a.alloc, &inner));
    p.a.store = inner;
    open_pair(&p);
    rig_save(&p.a, "w", 1, 1);
    tm_memory_fail(inner, TM_E_UNSURE, 1, true);
    rig_answer *s = rig_save(&p.a, "w", 2, 2);
    T_EQ(s->status, 503);
    T_TRUE(s->retry_after_s > 0);
    T_TEXT(t_str(rig_acks(rig_save(&p.b, "x", 1, 1)->json)), "ok:3");
    T_TEXT(t_str(rig_acks(rig_save(&p.a, "w", 2, 2)->json)), "dup:2");
    T_EQ(rig_metric(&p.a, "lists_lost_total"), 1);
    close_pair(&p);
}

// ---- the doorbell -------------------------------------------------------------------

static void test_ring_brings_news(void **state) {
    (void)state;
    pair p = {0};
    open_pair(&p);
    bells(&p, true);
    rig_conn *c = rig_connect(&p.b);
    rig_subscribe(c);
    rig_save(&p.a, "w", 1, 2);
    rig_silent(c);
    run(&p);
    T_TEXT(t_str(rig_seqs(rig_expect(c, "OPERATIONS"))), "1 2");
    T_EQ(rig_metric(&p.b, "ring_reads_total"), 1);
    // Nothing is asked of the store while nothing happens.
    advance(&p, 2000);
    size_t before = reads(&p);
    advance(&p, 3600 * 1000);
    T_EQ(reads(&p), before);
    T_EQ(rig_metric(&p.b, "checks_total"), 0);
    // A ring of what is known, and one of a list that is not here, cost nothing.
    tm_service_rung(p.b.service, p.b.now, the_key, 2);
    tm_key other = {t_str("bob"), the_key.list};
    tm_service_rung(p.b.service, p.b.now, other, 99);
    run(&p);
    T_EQ(reads(&p), before);
    close_pair(&p);
}

// Nobody listens here: a ring is remembered, and read for when somebody asks.
static void test_ring_without_listeners(void **state) {
    (void)state;
    pair p = {0};
    open_pair(&p);
    bells(&p, true);
    T_EQ(rig_int(rig_get(&p.b, OPS "?since=0")->json, "head"), 0);
    rig_save(&p.a, "w", 1, 2);
    size_t before = reads(&p);
    run(&p);
    T_EQ(reads(&p), before);
    rig_answer *g = rig_get(&p.b, OPS "?since=0");
    T_TEXT(t_str(rig_seqs(g->json)), "1 2");
    T_EQ(reads(&p), before + 1);
    rig_get(&p.b, OPS "?since=2"); // idle polling of a warm list
    rig_get(&p.b, OPS "?since=2");
    T_EQ(reads(&p), before + 1);
    close_pair(&p);
}

// A ring was lost: whoever subscribes has the heads compared.
static void test_subscribe_compares(void **state) {
    (void)state;
    pair p = {0};
    open_pair(&p);
    bells(&p, true);
    rig_get(&p.b, OPS "?since=0");
    run(&p);
    rig_save(&p.a, "w", 1, 2);
    p.due_count = 0; // its ring reached Redis, and nobody else
    T_EQ(p.heads, 2);
    rig_conn *c = rig_connect(&p.b);
    rig_send(c, "{\"type\":\"SUBSCRIBE\",\"list\":\"" RIG_LIST
                "\",\"user\":\"ann\",\"since\":0,\"mark\":\"\"}");
    T_EQ(p.asks, 1);
    rig_expect(c, "SUBSCRIBED");
    rig_silent(c);
    run(&p);
    T_TEXT(t_str(rig_seqs(rig_expect(c, "OPERATIONS"))), "1 2");
    close_pair(&p);
}

// It died between storing and ringing; its client sends again, elsewhere: `duplicate`
// rings for it.
static void test_duplicate_rings(void **state) {
    (void)state;
    pair p = {0};
    open_pair(&p);
    bells(&p, true);
    rig_conn *c = rig_connect(&p.b);
    rig_subscribe(c);
    p.lost = true;
    rig_save(&p.a, "w", 1, 1);
    p.lost = false;
    run(&p);
    rig_silent(c);
    T_TEXT(t_str(rig_acks(rig_save(&p.a, "w", 1, 1)->json)), "dup:1");
    run(&p);
    T_TEXT(t_str(rig_seqs(rig_expect(c, "OPERATIONS"))), "1");
    close_pair(&p);
}

// Opening a list rings, too.
static void test_opening_rings(void **state) {
    (void)state;
    pair p = {0};
    open_pair(&p);
    p.lost = true;
    bells(&p, true);
    rig_conn *c = rig_connect(&p.b);
    rig_subscribe(c);
    rig_save(&p.a, "w", 1, 1);
    p.lost = false;
    rig_stop(&p.a);
    rig_start(&p.a);
    tm_service_doorbell(p.a.service, p.a.now, &p.bell_a);
    rig_get(&p.a, OPS "?since=0");
    run(&p);
    T_TEXT(t_str(rig_seqs(rig_expect(c, "OPERATIONS"))), "1");
    close_pair(&p);
}

// ---- away ---------------------------------------------------------------------------

// When each check came, in seconds since the last thing that happened.
static void test_away_checks(void **state) {
    (void)state;
    pair p = {0};
    open_pair(&p);
    rig_conn *c = rig_connect(&p.b);
    rig_subscribe(c);
    rig_save(&p.a, "w", 1, 1);
    advance(&p, 5250);
    T_TEXT(t_str(rig_seqs(rig_expect(c, "OPERATIONS"))), "1");
    int64_t before = rig_metric(&p.b, "checks_total");
    T_EQ(before, 1);
    advance(&p, 60 * 1000); // every 5 s for a minute
    int64_t minute = rig_metric(&p.b, "checks_total");
    T_TRUE(minute - before >= 11 && minute - before <= 12);
    advance(&p, 3600 * 1000);
    int64_t hour = rig_metric(&p.b, "checks_total");
    advance(&p, 600 * 1000); // every minute by now
    T_EQ(rig_metric(&p.b, "checks_total") - hour, 10);
    T_TRUE(hour - minute >= 75 && hour - minute <= 85); // docs/SERVERS.md
    // Something happens: every 5 s again.
    rig_save(&p.b, "x", 1, 1);
    before = rig_metric(&p.b, "checks_total");
    advance(&p, 30 * 1000);
    T_TRUE(rig_metric(&p.b, "checks_total") - before >= 5);
    // Nobody listens any more: nothing.
    rig_disconnect(c);
    before = rig_metric(&p.b, "checks_total");
    advance(&p, 600 * 1000);
    T_EQ(rig_metric(&p.b, "checks_total"), before);
    close_pair(&p);
}

// Who polls is answered from what was read at most 5 s ago, and one that is the only
// server (SQLite) reads nothing at all.
static void test_away_polls(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        pair p = {0};
        open_pair(&p);
        tm_service_tune(p.b.service)->shared = i == 0;
        rig_get(&p.b, OPS "?since=0");
        rig_save(&p.a, "w", 1, 1);
        rig_advance(&p.b, 4999);
        T_EQ(rig_int(rig_get(&p.b, OPS "?since=0")->json, "head"), 0);
        rig_advance(&p.b, 1);
        T_EQ(rig_int(rig_get(&p.b, OPS "?since=0")->json, "head"), i == 0);
        close_pair(&p);
    }
}

// The store does not answer, either: memory is better than nothing.
static void test_away_and_no_store(void **state) {
    (void)state;
    pair p = {0};
    open_pair(&p);
    rig_save(&p.b, "w", 1, 1);
    rig_advance(&p.b, 6000);
    slow_fail(p.a.store, SLOW_READ, TM_E_AGAIN, 1);
    rig_answer *g = rig_get(&p.b, OPS "?since=0");
    T_EQ(g->status, 200);
    T_TEXT(t_str(rig_seqs(g->json)), "1");
    // But what memory cannot know is not said.
    slow_fail(p.a.store, SLOW_READ, TM_E_AGAIN, 2);
    T_EQ(rig_get(&p.b, OPS "?since=9")->status, 503);
    close_pair(&p);
}

// It comes back: rings were lost meanwhile, so all that somebody listens to is read once.
static void test_comes_back(void **state) {
    (void)state;
    pair p = {0};
    open_pair(&p);
    bells(&p, true);
    rig_conn *c = rig_connect(&p.b);
    rig_subscribe(c);
    advance(&p, 600 * 1000);
    bells(&p, false);
    p.lost = true;
    rig_save(&p.a, "w", 1, 1);
    p.lost = false;
    p.heads = 0; // and it has forgotten everything
    bells(&p, true);
    run(&p);
    advance(&p, 5250);
    T_TEXT(t_str(rig_seqs(rig_expect(c, "OPERATIONS"))), "1");
    size_t before = reads(&p);
    advance(&p, 600 * 1000);
    T_EQ(reads(&p), before);
    close_pair(&p);
}

// ---- lies ---------------------------------------------------------------------------

// Whatever it says, it costs a read of the store every 5 s at most, and nobody is told
// anything that is not so.
static void test_lies(void **state) {
    (void)state;
    pair p = {0};
    open_pair(&p);
    bells(&p, true);
    rig_conn *c = rig_connect(&p.b);
    rig_subscribe(c);
    rig_save(&p.b, "w", 1, 1);
    rig_expect(c, "OPERATIONS");
    advance(&p, 5000);
    while (rig_next(c) != NULL) {
    }
    static const char *const lists[] = {"", "UPPER", "with space", "a/b"};
    for (size_t i = 0; i < COUNT(lists); i++) {
        tm_key key = {t_str("ann"), t_str(lists[i])};
        tm_service_rung(p.b.service, p.b.now, key, 5);
    }
    uint8_t long_name[300];
    memset(long_name, 'a', sizeof long_name);
    tm_key too_long = {{long_name, sizeof long_name}, the_key.list};
    tm_service_rung(p.b.service, p.b.now, too_long, 5);
    too_long = (tm_key){the_key.user, {long_name, sizeof long_name}};
    tm_service_rung(p.b.service, p.b.now, too_long, 5);
    tm_service_rung(p.b.service, p.b.now, the_key, UINT64_MAX);
    size_t before = reads(&p);
    for (uint64_t i = 0; i < 1000; i++) {
        tm_service_rung(p.b.service, p.b.now, the_key, 1000 + i);
        run(&p);
    }
    T_EQ(reads(&p) - before, 1);
    advance(&p, 60 * 1000);
    T_TRUE(reads(&p) - before <= 3);
    rig_silent(c);
    T_TRUE(rig_metric(&p.b, "rings_false_total") > 0);
    // A head in Redis that is too high for ever: the same one is not believed twice, and
    // what is so is still heard.
    p.heads = 1 << 30;
    rig_save(&p.a, "x", 1, 1);
    run(&p);
    T_TEXT(t_str(rig_seqs(rig_expect(c, "OPERATIONS"))), "2");
    close_pair(&p);
}

// ---- trim ---------------------------------------------------------------------------

#define DAY_MS (UINT64_C(24) * 3600 * 1000)

static void day(rig_world *r) {
    r->now.wall_ms += DAY_MS;
    r->now.mono_ms += DAY_MS;
}

static tm_trimmed trim(rig_world *r, uint64_t before_ms) {
    tm_trimmed trimmed;
    T_OK(tm_service_trim(r->service, r->now, the_key, before_ms, &trimmed));
    rig_run(r);
    return trimmed;
}

// What is old goes, and only that; the state, and what is known of its writers, stay.
static void test_trim(void **state) {
    (void)state;
    pair p = {0};
    open_pair(&p);
    for (uint64_t v = 1; v <= 5; v++) {
        rig_save(&p.a, "w", v, v);
        day(&p.a);
    } // one a day, the first five days ago
    tm_trimmed trimmed;
    uint64_t young_ms = p.a.now.wall_ms - DAY_MS + 1;
    T_STATUS(tm_service_trim(p.a.service, p.a.now, the_key, young_ms, &trimmed),
             TM_E_RANGE);
    p.b.now = p.a.now;
    rig_get(&p.b, OPS "?since=0"); // this one knows all of it
    trimmed = trim(&p.a, p.a.now.wall_ms - 2 * DAY_MS - DAY_MS / 2);
    T_OK(trimmed.status);
    T_EQ(trimmed.batches, 3);
    rig_stop(&p.a);
    rig_start(&p.a);
    T_TEXT(t_str(rig_acks(rig_save(&p.a, "w", 1, 6)->json)),
           "dup:1 dup:2 dup:3 dup:4 dup:5 ok:6");
    // Below what is left a snapshot is answered, by both.
    rig_answer *g = rig_get(&p.a, OPS "?since=1");
    T_TRUE(json_object_get(g->json, "snapshot") != NULL);
    g = rig_get(&p.a, OPS "?since=5");
    T_TEXT(t_str(rig_seqs(g->json)), "6");
    T_TEXT(t_str(rig_acks(rig_save(&p.b, "w", 7, 7)->json)), "ok:7");
    // All of it: the newest stays.
    for (int i = 0; i < 3; i++) {
        day(&p.a);
    }
    trimmed = trim(&p.a, p.a.now.wall_ms - DAY_MS);
    T_OK(trimmed.status);
    T_EQ(trimmed.batches, 3);
    rig_stop(&p.a);
    rig_start(&p.a);
    T_TEXT(t_str(rig_acks(rig_save(&p.a, "w", 8, 8)->json)), "ok:8");
    close_pair(&p);
}

// Its snapshot cannot be stored: then nothing goes.
static void test_trim_needs_a_snapshot(void **state) {
    (void)state;
    pair p = {0};
    open_pair(&p);
    rig_save(&p.a, "w", 1, 1);
    rig_save(&p.a, "w", 2, 2);
    day(&p.a);
    day(&p.a);
    slow_fail(p.a.store, SLOW_SAVE, TM_E_AGAIN, 1);
    tm_trimmed trimmed = trim(&p.a, p.a.now.wall_ms - DAY_MS);
    T_STATUS(trimmed.status, TM_E_AGAIN);
    T_EQ(trimmed.batches, 0);
    T_EQ(slow_started(p.a.store, SLOW_TRIM), 0);
    trimmed = trim(&p.a, p.a.now.wall_ms - DAY_MS);
    T_OK(trimmed.status);
    T_EQ(trimmed.batches, 1);
    close_pair(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_never_from_memory),
        cmocka_unit_test(test_cursor_of_the_other),
        cmocka_unit_test(test_conflicts_end),
        cmocka_unit_test(test_unsure),
        cmocka_unit_test(test_ring_brings_news),
        cmocka_unit_test(test_ring_without_listeners),
        cmocka_unit_test(test_subscribe_compares),
        cmocka_unit_test(test_duplicate_rings),
        cmocka_unit_test(test_opening_rings),
        cmocka_unit_test(test_away_checks),
        cmocka_unit_test(test_away_polls),
        cmocka_unit_test(test_away_and_no_store),
        cmocka_unit_test(test_comes_back),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_trim_needs_a_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
