// Memory is refused at every request for it in turn: no crash, every request answered,
// nothing half done - what was acked is in the log, what is in the log is in the state.
#include "rig.h"
#include "slow.h"

#define OPS "/v1/lists/" RIG_LIST "/operations"

// One world whose service has an allocator of its own: the store never lacks memory.
typedef struct world {
    rig_world r;
    t_memory store_memory;
    tm_alloc store_alloc;
} world;

static void count_ack(rig_answer *a, uint64_t *acked) {
    size_t i;
    json_t *ack;
    if (!a->done || a->status != 200) return;
    json_array_foreach(json_object_get(a->json, "acks"), i, ack) {
        if (strcmp(rig_text(ack, "status"), "rejected") == 0) continue;
        uint64_t seq = (uint64_t)rig_int(ack, "seq");
        T_TRUE(seq >= 1 && seq < 64);
        *acked |= UINT64_C(1) << seq;
    }
}

static rig_conn *connect_or_not(rig_world *r) {
    tm_conn *conn;
    rig_conn *c = calloc(1, sizeof *c);
    if (tm_service_connect(r->service, r->now, t_str(r->user), c, &conn) != TM_OK) {
        free(c);
        return NULL;
    }
    c->rig = r;
    c->conn = conn;
    c->next = r->conns;
    r->conns = c;
    return c;
}

static void send_to(rig_conn *c, const char *text) {
    if (c != NULL && c->closed == 0) rig_send(c, text);
}

// A little of everything. Every HTTP request must have been answered.
static uint64_t script(rig_world *r) {
    uint64_t acked = 0;
    rig_answer *a[14];
    a[12] = rig_post_start(
        r, RIG_LIST, // two that are decided together
        rig_format("{\"user\":\"ann\",\"operations\":[%s]}", rig_op("v", 1)));
    a[13] = rig_post_start(
        r, RIG_LIST,
        rig_format("{\"user\":\"ann\",\"operations\":[%s]}", rig_op("w", 1)));
    rig_run(r);
    rig_conn *one = connect_or_not(r), *two = connect_or_not(r);
    send_to(one,
            "{\"type\":\"SUBSCRIBE\",\"list\":\"" RIG_LIST "\",\"user\":\"ann\"}");
    a[0] = rig_save(r, "a", 1, 3);
    a[1] = rig_post(
        r, RIG_LIST,
        "{\"user\":\"ann\",\"since\":0,\"operations\":["
        "{\"id\":\"p\",\"type\":\"PAINT\",\"timestamp\":1,\"browserId\":\"p\","
        "\"version\":1},{\"id\":\"q\",\"type\":\"ADD\",\"timestamp\":1,"
        "\"browserId\":\"p\",\"version\":2},{\"id\":\"d\",\"type\":\"DELETE\","
        "\"instanceId\":\"i1\",\"timestamp\":9,\"browserId\":\"p\","
        "\"version\":3}]}");
    send_to(two, "{\"type\":\"SUBSCRIBE\",\"list\":\"" RIG_LIST
                 "\",\"user\":\"ann\",\"since\":2}");
    send_to(two, rig_format("{\"type\":\"SAVE\",\"list\":\"" RIG_LIST
                            "\",\"user\":\"ann\",\"ref\":1,\"operations\":[%s]}",
                            rig_op("t", 1)));
    a[2] = rig_save(r, "a", 7, 8);            // a gap
    a[3] = rig_get(r, OPS "?since=1&mark=x"); // a snapshot
    a[4] = rig_get(r, OPS "?since=99&wait=1");
    a[5] = rig_get(r, "/v1/lists/" RIG_LIST "?at=2");
    a[6] = rig_get(r, "/v1/lists/" RIG_LIST "/log");
    a[7] = rig_get(r, "/v1/lists/" RIG_LIST);
    send_to(one, "{\"type\":\"SEEN\",\"list\":\"" RIG_LIST "\",\"version\":2}");
    a[8] = rig_get(r, "/metrics?a=b");
    rig_advance(r, 2000);
    tm_key key = {t_str("ann"), t_str(RIG_LIST)};
    tm_status compact = tm_service_compact(r->service, r->now, key);
    T_TRUE(compact == TM_OK || compact == TM_E_NOMEM);
    rig_run(r);
    a[9] = rig_save(r, "a", 3, 5);
    a[10] = rig_post(
        r, RIG_LIST, // a fork
        "{\"user\":\"ann\",\"operations\":[{\"id\":\"z\",\"type\":\"PAINT\","
        "\"timestamp\":1,\"browserId\":\"a\",\"version\":1}]}");
    a[11] = rig_get(r, OPS "?since=0");
    for (size_t i = 0; i < COUNT(a); i++) {
        T_TRUE(a[i]->done);
        T_TRUE(a[i]->status == 200 || a[i]->status == 503);
        if (a[i]->status != 200) T_TEXT(t_str(rig_code(a[i])), "memory");
        count_ack(a[i], &acked);
    }
    return acked;
}

static void open_world(world *w, const t_memory *memory) {
    memset(w, 0, sizeof *w);
    w->store_alloc = t_alloc(&w->store_memory);
    T_OK(tm_memory_open(&w->store_alloc, &w->r.store));
    w->r.memory = *memory;
    w->r.alloc = t_alloc(&w->r.memory);
    w->r.now = (tm_now){RIG_START, 1000};
    w->r.user = RIG_USER;
    w->r.config.snapshot_ops = 6;
}

static char *everything(rig_world *r) {
    char *canonical = rig_canonical(r, RIG_LIST);
    rig_answer *g = rig_get(r, "/v1/lists/" RIG_LIST);
    size_t len = strlen(g->text) + (canonical == NULL ? 0 : strlen(canonical)) + 1;
    char *text = malloc(len);
    snprintf(text, len, "%s%s", g->text, canonical == NULL ? "" : canonical);
    free(canonical);
    return text;
}

// The acked seqs are in the log, the log is without holes, and what is in memory is what
// a start makes of the store.
static void check(world *w, uint64_t acked) {
    rig_world *r = &w->r;
    rig_answer *g = rig_get(r, "/v1/lists/" RIG_LIST);
    T_EQ(g->status, 200);
    int64_t head = rig_int(g->json, "version");
    for (int seq = 1; seq < 64; seq++) {
        if ((acked >> seq & 1) != 0) T_TRUE(seq <= head);
    }
    T_EQ(rig_save(r, "after", 1, 1)->status, 200);
    char *live = everything(r);
    rig_stop(r);
    rig_start(r);
    T_EQ(rig_get(r, "/v1/lists/" RIG_LIST)->status, 200);
    char *again = everything(r);
    // Rejections that no batch carried are forgotten by a start; one batch came since.
    T_TEXT(t_str(again), live);
    free(live);
    free(again);
}

static void test_every_k(void **state) {
    (void)state;
    for (int after = 0; after < 2; after++) { // once, and from then on
        for (size_t k = 1;; k++) {
            t_row =
                rig_format("request %zu%s", k, after ? " and all behind it" : "");
            world w;
            t_memory memory = {.fail_at = k, .fail_after = after};
            open_world(&w, &memory);
            uint64_t acked = 0;
            bool started = rig_try_start(&w.r);
            if (started) acked = script(&w.r);
            bool refused = w.r.memory.refused;
            w.r.memory.fail_at = 0;
            if (!started) {
                T_EQ(w.r.memory.live, 0);
                rig_start(&w.r);
            }
            check(&w, acked);
            rig_stop(&w.r);
            rig_forget(&w.r);
            T_EQ(w.r.memory.live, 0);
            tm_store_close(w.r.store);
            T_EQ(w.store_memory.live, 0);
            if (!refused) {
                print_message("# %zu requests of memory\n", k);
                break;
            }
        }
    }
    t_row = "";
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_k)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
