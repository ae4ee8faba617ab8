// Random histories against a naive model of SEMANTICS 4 and 5: many writers that send
// again, fork, leave gaps and rename; saves by HTTP and by connections that fall behind;
// batches that join; a store that refuses; restarts and compactions. After each step:
// every ack is what the model says; every follower learns every seq once; the log replayed
// in another order is the state.
#include "follower.h"
#include "slow.h"

#define OPS "/v1/lists/" RIG_LIST "/operations"
#ifndef SEEDS
#define SEEDS 60
#endif
#define STEPS    150
#define WRITERS  8
#define CONNS    3
#define OPS_MAX  4096
#define PUSH_MAX 12

// ---- the model ----------------------------------------------------------------------

typedef struct stamp {
    uint64_t t, l;
} stamp;

static bool stamp_above(stamp a, stamp b) {
    return a.t > b.t || (a.t == b.t && a.l > b.l);
}

static stamp stamp_tick(stamp s) {
    return s.l < 65535 ? (stamp){s.t, s.l + 1} : (stamp){s.t + 1, 0};
}

typedef struct model_op {
    char id[24], browser[16];
    uint64_t version;
    stamp claimed;
    bool bad;
    int item, kind;
} model_op;

typedef struct known {
    model_op op;
    uint64_t seq; // 0 = rejected
    stamp eff;
} known;

typedef struct model {
    known all[OPS_MAX];
    size_t count;
    uint64_t head;
    stamp hs;
} model;

static const known *model_find(const model *m, const char *id) {
    for (size_t i = 0; i < m->count; i++) {
        if (strcmp(m->all[i].op.id, id) == 0) return &m->all[i];
    }
    return NULL;
}

static uint64_t model_version(const model *m, const char *browser) {
    uint64_t version = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (strcmp(m->all[i].op.browser, browser) == 0 &&
            m->all[i].op.version > version) {
            version = m->all[i].op.version;
        }
    }
    return version;
}

static stamp model_last(const model *m, const char *browser) {
    stamp last = {0, 0};
    for (size_t i = 0; i < m->count; i++) {
        const known *k = &m->all[i];
        if (k->seq != 0 && strcmp(k->op.browser, browser) == 0 &&
            stamp_above(k->eff, last)) {
            last = k->eff;
        }
    }
    return last;
}

static stamp model_accept(model *m, const model_op *op, uint64_t now) {
    stamp eff = op->claimed, last = model_last(m, op->browser);
    bool wrote = false;
    for (size_t i = 0; i < m->count; i++) {
        wrote |=
            m->all[i].seq != 0 && strcmp(m->all[i].op.browser, op->browser) == 0;
    }
    if (eff.t > now) eff = now > m->hs.t ? (stamp){now, 0} : stamp_tick(m->hs);
    if (wrote && !stamp_above(eff, last)) eff = stamp_tick(last);
    if (stamp_above(eff, m->hs)) m->hs = eff;
    return eff;
}

static void put_seq(char *text, size_t cap, const char *word, const known *k) {
    size_t len = strlen(text);
    snprintf(text + len, cap - len, "%s%s:%" PRIu64 "@%" PRIu64 ".%" PRIu64,
             len > 0 ? " " : "", word, k->seq, k->eff.t, k->eff.l);
}

// Decides a push as SEMANTICS 5 says; writes what the acks must be.
static void model_push(model *m, const model_op *ops, size_t count, uint64_t now,
                       char *text, size_t cap) {
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        const model_op *op = &ops[i];
        const known *k = model_find(m, op->id);
        size_t len = strlen(text);
        if (k != NULL && k->seq == 0) {
            snprintf(text + len, cap - len, "%srej", len > 0 ? " " : "");
            continue;
        }
        if (k != NULL) {
            put_seq(text, cap, "dup", k);
            continue;
        }
        uint64_t version = model_version(m, op->browser);
        if (op->version <= version) {
            snprintf(text + len, cap - len, "%sfork", len > 0 ? " " : "");
            return;
        }
        if (op->version > version + 1) {
            snprintf(text + len, cap - len, "%sgap:%" PRIu64, len > 0 ? " " : "",
                     version + 1);
            return;
        }
        T_TRUE(m->count < OPS_MAX);
        known *fresh = &m->all[m->count];
        *fresh = (known){.op = *op};
        if (op->bad) {
            snprintf(text + len, cap - len, "%srej", len > 0 ? " " : "");
        } else {
            fresh->eff = model_accept(m, op, now);
            fresh->seq = ++m->head;
            put_seq(text, cap, "ok", fresh);
        }
        m->count++;
    }
}

// Rejections that no batch and no snapshot carried are forgotten by a restart. Which they
// were, the vector shows; of what was accepted nothing is missing.
static void model_forget(model *m, const json_t *vector) {
    size_t kept = 0;
    for (size_t i = 0; i < m->count; i++) {
        const known *k = &m->all[i];
        const json_t *version = json_object_get(vector, k->op.browser);
        bool there = (uint64_t)json_integer_value(version) >= k->op.version;
        T_TRUE(there || k->seq == 0);
        if (there) m->all[kept++] = *k;
    }
    m->count = kept;
}

// ---- the world ----------------------------------------------------------------------

typedef struct push {
    model_op ops[PUSH_MAX];
    size_t count;
    rig_answer *answer; // HTTP
    int conn, ref;      // else
} push;

typedef struct world {
    rig_world r;
    model m;
    uint64_t random;
    char browser[WRITERS][16];
    uint64_t next[WRITERS]; // version of the next new operation
    int renames;
    rig_conn *conns[CONNS];
    follower followers[CONNS];
    json_t *answers[CONNS][OPS_MAX]; // by ref
    push out[64];                    // in the order they were sent
    size_t out_count;
    int ref;
    model_op sent[OPS_MAX]; // to be sent again
    size_t sent_count;
} world;

static uint64_t pick(world *w, uint64_t below) {
    return rig_random(&w->random) % below;
}

static void rename_writer(world *w, size_t i) {
    snprintf(w->browser[i], sizeof w->browser[i], "w%zu.%d", i, w->renames++);
    w->next[i] = 1;
}

static model_op make_op(world *w, size_t writer) {
    model_op op = {.version = w->next[writer]};
    snprintf(op.browser, sizeof op.browser, "%s", w->browser[writer]);
    snprintf(op.id, sizeof op.id, "o%zu", w->sent_count);
    op.claimed.t = w->r.now.wall_ms - 50 + pick(w, 100);
    op.claimed.l = pick(w, 10) == 0 ? 65535 : pick(w, 3);
    op.bad = pick(w, 12) == 0;
    op.item = (int)pick(w, 6);
    op.kind = (int)pick(w, 6);
    return op;
}

static const char *op_text(const model_op *op) {
    static const char *const kinds[] = {
        "\"ADD\",\"instanceId\":\"i%d\",\"imageId\":\"m\"",
        "\"UPDATE_METADATA\",\"instanceId\":\"i%d\",\"data\":{\"d\":\"v\"}",
        "\"UPDATE_METADATA\",\"instanceId\":\"i%d\",\"data\":{\"d\":null}",
        "\"DELETE\",\"instanceId\":\"i9%d\"",
        "\"SORT_CHANGE\",\"sort\":\"desc\",\"x\":%d",
        "\"PAINT\",\"colour\":%d",
    };
    char middle[200];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(middle, sizeof middle,
             op->bad ? "\"ADD\",\"instanceId\":%d" : kinds[op->kind], op->item);
#pragma GCC diagnostic pop
    return rig_format(
        "{\"id\":\"%s\",\"type\":%s,\"timestamp\":%" PRIu64 ",\"logical\":%" PRIu64
        ",\"browserId\":\"%s\",\"version\":%" PRIu64 "}",
        op->id, middle, op->claimed.t, op->claimed.l, op->browser, op->version);
}

static bool op_recent(const world *w, const model_op *op) {
    return model_version(&w->m, op->browser) < op->version + 90;
}

// What a client might send: new operations, old ones, or something that went wrong.
static void make_push(world *w, push *p) {
    size_t writer = pick(w, WRITERS);
    p->count = 0;
    if (w->next[writer] > 60 || pick(w, 40) == 0) rename_writer(w, writer);
    size_t old = pick(w, 4) == 0 ? pick(w, 5) : 0;
    for (size_t i = 0; i < old && w->sent_count > 0; i++) { // sent again
        model_op op = w->sent[w->sent_count - 1 -
                              pick(w, w->sent_count < 40 ? w->sent_count : 40)];
        if (!op_recent(w, &op)) continue;
        p->ops[p->count++] = op;
    }
    size_t fresh = pick(w, 6);
    for (size_t i = 0; i < fresh && w->sent_count < OPS_MAX - 10; i++) {
        model_op op = make_op(w, writer);
        uint64_t wrong = pick(w, 60);
        if (wrong == 0 && op.version > 1) op.version--; // a fork
        if (wrong == 1) op.version += 1 + pick(w, 3);   // a gap
        if (wrong > 1) w->next[writer]++;
        p->ops[p->count++] = op;
        w->sent[w->sent_count++] = op;
    }
}

static const char *push_text(const push *p) {
    size_t cap = 400 * PUSH_MAX, len = 0;
    char *text = malloc(cap);
    text[0] = '\0';
    for (size_t i = 0; i < p->count; i++) {
        len += (size_t)snprintf(text + len, cap - len, "%s%s", i > 0 ? "," : "",
                                op_text(&p->ops[i]));
    }
    const char *kept = rig_format("%s", text);
    free(text);
    return kept;
}

static void send_push(world *w) {
    if (w->out_count == COUNT(w->out)) return;
    push *p = &w->out[w->out_count];
    memset(p, 0, sizeof *p);
    make_push(w, p);
    const char *ops = push_text(p);
    p->conn = (int)pick(w, CONNS + 1);
    if (p->conn < CONNS && w->conns[p->conn]->closed == 0) {
        p->ref = ++w->ref;
        rig_send_start(
            w->conns[p->conn],
            rig_format("{\"type\":\"SAVE\",\"list\":\"" RIG_LIST
                       "\",\"user\":\"ann\",\"ref\":%d,\"operations\":[%s]}",
                       p->ref, ops));
    } else {
        p->conn = CONNS;
        const char *since = "";
        if (pick(w, 3) == 0) {
            const follower *f = &w->followers[pick(w, CONNS)];
            since = f->cursor == 0
                        ? ",\"since\":0"
                        : rig_format(",\"since\":%" PRIu64 ",\"mark\":\"%s\"",
                                     f->cursor, f->mark);
        }
        p->answer = rig_post_start(
            &w->r, RIG_LIST,
            rig_format("{\"user\":\"ann\"%s,\"operations\":[%s]}", since, ops));
    }
    w->out_count++;
}

static void subscribe(world *w, int i) {
    const follower *f = &w->followers[i];
    const char *mark =
        f->cursor == 0 ? "" : rig_format(",\"mark\":\"%s\"", f->mark);
    rig_send_start(w->conns[i],
                   rig_format("{\"type\":\"SUBSCRIBE\",\"list\":\"" RIG_LIST
                              "\",\"user\":\"ann\",\"since\":%" PRIu64 "%s}",
                              f->cursor, mark));
}

static void take_frames(world *w) {
    for (int i = 0; i < CONNS; i++) {
        json_t *frame;
        while ((frame = rig_next(w->conns[i])) != NULL) {
            follow(&w->followers[i], frame);
            const json_t *ref = json_object_get(frame, "ref");
            if (ref != NULL) w->answers[i][json_integer_value(ref)] = frame;
        }
    }
}

// The acks of an answer in the model's words.
static const char *acks_of(const json_t *json) {
    char text[4096] = "";
    size_t i;
    json_t *ack;
    json_array_foreach(json_object_get(json, "acks"), i, ack) {
        const char *status = rig_text(ack, "status");
        size_t len = strlen(text);
        if (strcmp(status, "rejected") == 0) {
            snprintf(text + len, sizeof text - len, "%srej", len > 0 ? " " : "");
            continue;
        }
        known k = {.seq = (uint64_t)rig_int(ack, "seq"),
                   .eff = {(uint64_t)rig_int(ack, "timestamp"),
                           (uint64_t)rig_int(ack, "logical")}};
        put_seq(text, sizeof text, strcmp(status, "ok") == 0 ? "ok" : "dup", &k);
    }
    const json_t *stop = json_object_get(json, "stop");
    size_t len = strlen(text);
    if (stop != NULL && strcmp(rig_text(stop, "code"), "gap") == 0) {
        snprintf(text + len, sizeof text - len, "%sgap:%" PRId64,
                 len > 0 ? " " : "", rig_int(stop, "expected"));
    } else if (stop != NULL) {
        snprintf(text + len, sizeof text - len, "%s%s", len > 0 ? " " : "",
                 rig_text(stop, "code"));
    }
    return rig_format("%s", text);
}

// Answers are compared in the order the pushes were sent, which is that of deciding.
static void take_answers(world *w) {
    size_t done = 0;
    take_frames(w);
    for (; done < w->out_count; done++) {
        push *p = &w->out[done];
        const json_t *json =
            p->answer != NULL ? p->answer->json : w->answers[p->conn][p->ref];
        if (json == NULL) break;
        bool refused = p->answer != NULL
                           ? p->answer->status != 200
                           : strcmp(rig_text(json, "type"), "ERROR") == 0;
        if (refused) {
            T_TEXT(t_str(rig_text(json, "code")), "unavailable");
            continue; // nothing of it happened
        }
        char want[4096];
        model_push(&w->m, p->ops, p->count, w->r.now.wall_ms, want, sizeof want);
        T_TEXT(t_str(acks_of(json)), want);
    }
    w->out_count -= done;
    memmove(w->out, w->out + done, w->out_count * sizeof *w->out);
}

static void connect_all(world *w) {
    for (int i = 0; i < CONNS; i++) {
        w->conns[i] = rig_connect(&w->r);
        w->followers[i].listening = false;
        w->followers[i].part = 0;
        memset(w->answers[i], 0, sizeof w->answers[i]);
        subscribe(w, i);
    }
}

static void settle(world *w) {
    slow_hold(w->r.store, 0);
    slow_release(w->r.store, 1000);
    rig_run(&w->r);
    take_answers(w);
    T_EQ(w->out_count, 0);
}

// The log is what was acked, and replayed in another order it is the state.
static void check_log(world *w) {
    tm_alloc alloc = w->r.alloc;
    tm_list *list;
    json_t *ops[OPS_MAX];
    size_t count = 0, i, j;
    json_t *batch, *op;
    uint64_t from = 1;
    for (bool more = true; more;) {
        rig_answer *g = rig_get(
            &w->r, rig_format("/v1/lists/" RIG_LIST "/log?from=%" PRIu64, from));
        json_array_foreach(json_object_get(g->json, "batches"), i, batch) {
            json_array_foreach(json_object_get(batch, "operations"), j, op) {
                ops[count++] = op;
                from = (uint64_t)rig_int(op, "seq") + 1;
            }
        }
        more = json_is_true(json_object_get(g->json, "more"));
    }
    uint64_t first = count == 0 ? 1 : (uint64_t)rig_int(ops[0], "seq");
    T_EQ(first + count - 1, w->m.head);
    for (i = 0; i < count; i++) {
        const char *id = rig_text(ops[i], "id");
        const known *k = model_find(&w->m, id);
        T_TRUE(k != NULL);
        T_EQ(k->seq, first + i);
        T_EQ(rig_int(ops[i], "seq"), first + i);
        T_EQ(rig_int(ops[i], "timestamp"), k->eff.t);
    }
    if (first > 1) return; // it was compacted: the log alone is not the state
    for (i = count; i > 1; i--) {
        size_t k = pick(w, i);
        json_t *swap = ops[k];
        ops[k] = ops[i - 1];
        ops[i - 1] = swap;
    }
    T_OK(tm_list_new(&alloc, (tm_seed){1, 2}, &list));
    tm_arena arena = {.alloc = &alloc};
    for (i = 0; i < count; i++) {
        char *text = json_dumps(ops[i], JSON_COMPACT);
        tm_json in;
        tm_op parsed;
        tm_json_init(&in, t_str(text), 8, &arena);
        T_OK(tm_op_read(&in, &parsed));
        T_OK(tm_list_apply(list, &parsed, NULL));
        free(text);
    }
    tm_buf out = {.alloc = &alloc};
    tm_list_write(list, &out);
    char *live = rig_canonical(&w->r, RIG_LIST);
    T_SPAN(tm_buf_span(&out), t_str(live));
    free(live);
    tm_buf_deinit(&out);
    tm_list_free(list);
    tm_arena_deinit(&arena);
}

static void step(world *w) {
    rig_world *r = &w->r;
    uint64_t what = pick(w, 100);
    if (what < 60) {
        send_push(w);
        if (pick(w, 2) == 0) rig_run(r);
    } else if (what < 68) {
        slow_hold(r->store, SLOW_APPEND);
    } else if (what < 80) {
        slow_release(r->store, 1 + pick(w, 3));
        rig_run(r);
    } else if (what < 84) {
        slow_hold(r->store, 0);
        slow_release(r->store, 100);
        rig_run(r);
    } else if (what < 88) {
        slow_fail(r->store, SLOW_APPEND, TM_E_AGAIN, 1);
    } else if (what < 92) {
        rig_conn *conn = w->conns[pick(w, CONNS)];
        tm_service_queued(r->service, r->now, conn->conn, pick(w, 2) * 100000);
    } else if (what < 96) {
        subscribe(w, (int)pick(w, CONNS));
    } else {
        settle(w);
        slow_fail(r->store, 0, TM_OK, 0);
        if (what == 96) rig_advance(r, pick(w, 3000));
        if (what == 97) r->now.wall_ms += pick(w, 200) - 100; // the clock jumps
        if (what == 98 && pick(w, 4) == 0) {
            tm_key key = {t_str("ann"), t_str(RIG_LIST)};
            T_OK(tm_service_compact(r->service, r->now, key));
            rig_run(r);
        }
        if (what == 99) {
            rig_stop(r);
            rig_start(r);
            rig_answer *g = rig_get(r, "/v1/lists/" RIG_LIST);
            model_forget(&w->m, json_object_get(g->json, "vector"));
            connect_all(w);
            rig_run(r);
        }
        take_frames(w);
        check_log(w);
    }
    take_answers(w);
    for (int i = 0; i < CONNS; i++) {
        if (!w->followers[i].listening && pick(w, 5) == 0) subscribe(w, i);
    }
}

static void run(uint64_t seed) {
    world *w = calloc(1, sizeof *w);
    w->random = seed;
    w->r.random = seed ^ 0x5555;
    w->r.alloc = t_alloc(&w->r.memory);
    T_OK(tm_memory_open(&w->r.alloc, &w->r.store));
    w->r.store = slow_open(w->r.store);
    w->r.config.snapshot_ops = 40;
    w->r.config.queue_soft_max = seed % 2 == 0 ? 3000 : 0;
    if (seed % 3 == 0) slow_instant(w->r.store, true);
    rig_open(&w->r);
    for (size_t i = 0; i < WRITERS; i++) {
        rename_writer(w, i);
    }
    connect_all(w);
    for (int i = 0; i < STEPS; i++) {
        t_row = rig_format("seed %" PRIu64 ", step %d", seed, i);
        char row[64];
        snprintf(row, sizeof row, "seed %" PRIu64 ", step %d", seed, i);
        t_row = row;
        step(w);
    }
    t_row = "the end";
    settle(w);
    slow_fail(w->r.store, 0, TM_OK, 0);
    check_log(w);
    rig_answer *g = rig_get(&w->r, OPS "?since=9007199254740991");
    for (int i = 0; i < CONNS; i++) {
        tm_service_queued(w->r.service, w->r.now, w->conns[i]->conn, 0);
        subscribe(w, i);
        rig_run(&w->r);
        take_frames(w);
        T_EQ(w->followers[i].cursor, w->m.head);
        T_TEXT(t_str(w->followers[i].mark), rig_text(g->json, "mark"));
    }
    rig_close(&w->r);
    free(w);
}

static void test_histories(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(seed);
    }
    t_row = "";
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
