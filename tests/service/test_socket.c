// The push channel: subscriptions, held frames, SAVED in its turn, BEHIND, SEEN, DIGEST.
// DESIGN 4.
#include "follower.h"
#include "slow.h"

#define LIST_IS "\"list\":\"" RIG_LIST "\""
#define USER_IS "\"user\":\"ann\""

// `mark` "" = none.
static const char *subscribe_from(uint64_t since, const char *mark) {
    bool given = mark[0] != '\0';
    return rig_format("{\"type\":\"SUBSCRIBE\"," LIST_IS "," USER_IS
                      ",\"since\":%" PRIu64 "%s%s%s}",
                      since, given ? ",\"mark\":\"" : "", mark, given ? "\"" : "");
}

static const char *save_of(int ref, const char *ops) {
    return rig_format("{\"type\":\"SAVE\"," LIST_IS "," USER_IS
                      ",\"ref\":%d,\"operations\":[%s]}",
                      ref, ops);
}

static void slow_world(rig_world *r) {
    r->alloc = t_alloc(&r->memory);
    T_OK(tm_memory_open(&r->alloc, &r->store));
    r->store = slow_open(r->store);
    rig_open(r);
}

// ---- subscribing --------------------------------------------------------------------

static void test_subscribe(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    rig_conn *a = rig_connect(&r);
    rig_send(a, "{\"type\":\"SUBSCRIBE\"," LIST_IS "," USER_IS "}");
    json_t *f = rig_expect(a, "SUBSCRIBED");
    T_TEXT(t_str(rig_text(f, "user")), "ann");
    T_EQ(rig_int(f, "version"), 0);
    T_EQ(rig_int(f, "head"), 0);
    T_TEXT(t_str(rig_text(f, "mark")), "");
    T_EQ(rig_int(f, "serverTime"), RIG_START);
    rig_silent(a);
    rig_answer *p = rig_save(&r, "b", 1, 2);
    f = rig_expect(a, "OPERATIONS");
    T_EQ(rig_int(f, "from"), 1);
    T_EQ(rig_int(f, "version"), 2);
    T_TEXT(t_str(rig_seqs(f)), "1 2");
    T_TEXT(t_str(rig_text(f, "mark")), rig_text(p->json, "mark"));
    rig_save(&r, "b", 3, 3);
    T_TEXT(t_str(rig_seqs(rig_expect(a, "OPERATIONS"))), "3");
    // Somebody who comes later, from 0 and from a cursor.
    rig_conn *b = rig_connect(&r);
    rig_send(b, subscribe_from(2, rig_text(p->json, "mark")));
    f = rig_expect(b, "SUBSCRIBED");
    T_EQ(rig_int(f, "version"), 2);
    T_TEXT(t_str(rig_text(f, "mark")), rig_text(p->json, "mark"));
    T_EQ(rig_int(f, "head"), 3);
    f = rig_expect(b, "OPERATIONS");
    T_EQ(rig_int(f, "from"), 3);
    T_TEXT(t_str(rig_seqs(f)), "3");
    rig_silent(b);
    rig_send(b, subscribe_from(3, rig_text(f, "mark")));
    f = rig_expect(b, "SUBSCRIBED"); // again, at the head: nothing follows
    T_EQ(strlen(rig_text(f, "mark")), 64);
    rig_silent(b);
    // Other lists are other lists; gone is gone.
    rig_post(&r, "other", "{\"user\":\"ann\",\"operations\":[]}");
    rig_silent(a);
    rig_disconnect(b);
    rig_save(&r, "b", 4, 4);
    rig_silent(b);
    rig_expect(a, "OPERATIONS");
    rig_close(&r);
}

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static json_t *snapshot_of(rig_conn *conn, int64_t *version) {
    char *text = calloc(1, 64 << 20);
    size_t len = 0;
    int64_t part = 1, parts = 1;
    for (; part <= parts; part++) {
        json_t *f = rig_expect(conn, "SNAPSHOT");
        if (part == 1) parts = rig_int(f, "parts");
        T_EQ(rig_int(f, "part"), part);
        T_EQ(rig_int(f, "parts"), parts);
        *version = rig_int(f, "version");
        const json_t *data = json_object_get(f, "data");
        memcpy(text + len, json_string_value(data), json_string_length(data));
        len += json_string_length(data);
    }
    json_t *snapshot = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    T_TRUE(snapshot != NULL);
    free(text);
    return snapshot;
}

static void test_subscribe_snapshot(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    rig_save(&r, "b", 1, 3);
    rig_conn *a = rig_connect(&r);
    rig_send(a, subscribe_from(3, ZEROS));
    json_t *f = rig_expect(a, "SUBSCRIBED");
    T_EQ(rig_int(f, "version"), 0);
    T_TEXT(t_str(rig_text(f, "mark")), "");
    int64_t version;
    json_t *snapshot = snapshot_of(a, &version);
    T_EQ(version, 3);
    T_TRUE(json_is_object(json_object_get(snapshot, "state")));
    json_decref(snapshot);
    rig_save(&r, "b", 4, 4);
    f = rig_expect(a, "OPERATIONS");
    T_EQ(rig_int(f, "from"), 4);
    // `acked` beyond the head
    rig_send(a, "{\"type\":\"SUBSCRIBE\"," LIST_IS "," USER_IS
                ",\"since\":0,\"acked\":5}");
    rig_expect(a, "SUBSCRIBED");
    snapshot = snapshot_of(a, &version);
    T_EQ(version, 4);
    json_decref(snapshot);
    rig_silent(a);
    rig_close(&r);
}

// A large state comes in parts of at most 1 MiB, as fast as the connection takes them,
// and what happens meanwhile is behind it.
static void test_large_snapshot(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    char *body = malloc(800 << 10);
    for (int v = 1; v <= 500; v += 50) {
        int len = sprintf(body, "{\"user\":\"ann\",\"operations\":[");
        for (int w = v; w < v + 50; w++) {
            len +=
                sprintf(body + len,
                        "%s{\"id\":\"%d\",\"type\":\"ADD\",\"instanceId\":\"%d\","
                        "\"imageId\":\"\\\"\\\"\",\"timestamp\":1,\"browserId\":"
                        "\"x\",\"version\":%d,\"data\":{\"description\":\"",
                        w > v ? "," : "", w, w, w);
            for (int k = 0; k < 1300; k++) {
                len += sprintf(body + len, "\xe2\x82\xac"); // 3 bytes a character
            }
            len += sprintf(body + len, "\"}}");
        }
        sprintf(body + len, "]}");
        T_EQ(rig_post(&r, RIG_LIST, body)->status, 200);
    }
    free(body);
    rig_conn *a = rig_connect(&r);
    tm_service_queued(r.service, r.now, a->conn, 2 << 20); // it is slow already
    rig_send(a, subscribe_from(0, ""));
    rig_expect(a, "SUBSCRIBED");
    T_EQ(a->count, 2); // one part, and no more
    rig_save(&r, "b", 1, 1);
    T_EQ(a->count, 2);
    tm_service_queued(r.service, r.now, a->conn, 1000);
    rig_run(&r);
    int64_t version;
    json_t *snapshot = snapshot_of(a, &version);
    T_EQ(version, 500);
    T_EQ(rig_int(snapshot, "live"), 500);
    json_decref(snapshot);
    for (size_t i = 1; i + 1 < a->count - 1; i++) {
        T_TRUE(a->sizes[i] > 900 << 10); // they are filled
    }
    json_t *f = rig_expect(a, "OPERATIONS");
    T_EQ(rig_int(f, "from"), 501);
    rig_silent(a);
    rig_close(&r);
}

// News while a foreign mark is found out: it is in the snapshot, and not told again.
static void test_snapshot_and_news(void **state) {
    (void)state;
    rig_world r = {0};
    slow_world(&r);
    for (uint64_t v = 1; v <= 300; v += 50) {
        rig_save(&r, "b", v, v + 49);
    }
    rig_conn *a = rig_connect(&r);
    slow_hold(r.store, SLOW_READ);
    rig_send(a, subscribe_from(100, ZEROS));
    for (int i = 0; i < 3; i++) { // the page, the tail, the page again
        T_EQ(slow_held(r.store), 1);
        rig_save(&r, "c", (uint64_t)i + 1, (uint64_t)i + 1);
        rig_send(a, save_of(i, rig_op("d", (uint64_t)i + 1)));
        slow_release(r.store, 1);
        rig_run(&r);
    }
    for (int i = 0; i < 3; i++) { // acks alone, before anything else
        json_t *f = rig_expect(a, "SAVED");
        T_EQ(rig_int(f, "ref"), i);
        T_EQ(rig_count(f, "operations"), 0);
        T_TEXT(t_str(rig_acks(f)), rig_format("ok:%d", 302 + 2 * i));
    }
    rig_expect(a, "SUBSCRIBED");
    int64_t version;
    json_decref(snapshot_of(a, &version));
    T_EQ(version, 306);
    rig_silent(a);
    rig_save(&r, "c", 4, 4);
    T_EQ(rig_int(rig_expect(a, "OPERATIONS"), "from"), 307);
    rig_close(&r);
}

// ---- frames in order ----------------------------------------------------------------

// While the backlog is read, news and own saves are held, and then come in order.
static void test_held(void **state) {
    (void)state;
    rig_world r = {0};
    slow_world(&r);
    for (uint64_t v = 1; v <= 300; v += 50) {
        rig_save(&r, "b", v, v + 49);
    }
    rig_conn *a = rig_connect(&r);
    slow_hold(r.store, SLOW_READ);
    rig_send(a, subscribe_from(100, ""));
    T_EQ(slow_held(r.store), 1);
    rig_save(&r, "b", 301, 302);
    rig_send(a, save_of(1, rig_ops("mine", 1, 2)));
    rig_save(&r, "b", 303, 303);
    rig_silent(a); // nothing before the backlog
    slow_hold(r.store, 0);
    slow_release(r.store, 1);
    rig_run(&r);
    follower f = {.cursor = 100, .listening = true};
    rig_expect(a, "SUBSCRIBED");
    json_t *frame = rig_expect(a, "OPERATIONS");
    T_EQ(rig_int(frame, "version"), 300);
    follow(&f, frame);
    frame = rig_expect(a, "OPERATIONS");
    T_TEXT(t_str(rig_seqs(frame)), "301 302");
    follow(&f, frame);
    frame = rig_expect(a, "SAVED");
    T_EQ(rig_int(frame, "ref"), 1);
    T_TEXT(t_str(rig_acks(frame)), "ok:303 ok:304");
    follow(&f, frame);
    follow_all(&f, a);
    T_EQ(f.cursor, 305);
    rig_close(&r);
}

// A SUBSCRIBE in the middle of another's backlog: only the last is answered.
static void test_subscribe_again(void **state) {
    (void)state;
    rig_world r = {0};
    slow_world(&r);
    for (uint64_t v = 1; v <= 300; v += 50) {
        rig_save(&r, "b", v, v + 49);
    }
    rig_conn *a = rig_connect(&r);
    slow_hold(r.store, SLOW_READ);
    rig_send(a, subscribe_from(100, ""));
    rig_save(&r, "b", 301, 301);
    rig_send(a, subscribe_from(150, ""));
    rig_save(&r, "b", 302, 302);
    slow_hold(r.store, 0);
    slow_release(r.store, 9);
    rig_run(&r);
    json_t *f = rig_expect(a, "SUBSCRIBED");
    T_EQ(rig_int(f, "version"), 150);
    follower fa = {.cursor = 150, .listening = true};
    follow_all(&fa, a);
    T_EQ(fa.cursor, 302);
    for (size_t i = 1; i < a->count; i++) {
        T_TEXT(t_str(rig_text(a->frames[i], "type")), "OPERATIONS");
    }
    rig_close(&r);
}

// More than may be held: BEHIND, with the acks all the same, and a SUBSCRIBE mends it.
static void test_held_too_long(void **state) {
    (void)state;
    rig_world r = {.config = {.queue_soft_max = 2000}};
    slow_world(&r);
    for (uint64_t v = 1; v <= 300; v += 50) {
        rig_save(&r, "b", v, v + 49);
    }
    rig_conn *a = rig_connect(&r);
    slow_hold(r.store, SLOW_READ);
    rig_send(a, subscribe_from(100, ""));
    rig_send(a, save_of(7, rig_op("mine", 1)));
    for (uint64_t v = 301; v <= 320; v++) {
        rig_save(&r, "b", v, v);
    }
    rig_expect(a, "BEHIND");
    json_t *frame = rig_expect(a, "SAVED");
    T_TEXT(t_str(rig_acks(frame)), "ok:301");
    T_EQ(rig_count(frame, "operations"), 0);
    T_EQ(rig_int(frame, "version"), 301);
    rig_silent(a);
    slow_hold(r.store, 0);
    slow_release(r.store, 1); // the backlog that nobody wants any more
    rig_run(&r);
    rig_silent(a);
    // Until the next SUBSCRIBE acks alone.
    rig_send(a, save_of(8, rig_op("mine", 2)));
    frame = rig_expect(a, "SAVED");
    T_TEXT(t_str(rig_acks(frame)), "ok:322");
    T_EQ(rig_count(frame, "operations"), 0);
    rig_save(&r, "b", 321, 321);
    rig_silent(a);
    rig_send(a, subscribe_from(100, ""));
    rig_expect(a, "SUBSCRIBED");
    follower f = {.cursor = 100, .listening = true};
    follow_all(&f, a);
    T_EQ(f.cursor, 323);
    rig_close(&r);
}

static void test_saved(void **state) {
    (void)state;
    rig_world r = {0};
    slow_world(&r);
    rig_conn *a = rig_connect(&r), *b = rig_connect(&r), *c = rig_connect(&r);
    // Before SUBSCRIBE: acks alone.
    rig_send(a, save_of(1, rig_ops("a", 1, 2)));
    json_t *f = rig_expect(a, "SAVED");
    T_TEXT(t_str(rig_acks(f)), "ok:1 ok:2");
    T_TEXT(t_str(rig_text(f, "user")), "ann");
    T_EQ(rig_int(f, "version"), 2);
    T_EQ(rig_int(f, "head"), 2);
    T_EQ(rig_int(f, "ref"), 1);
    rig_send(a, subscribe_from(0, ""));
    rig_send(b, subscribe_from(0, ""));
    follower fa = {.listening = false}, fb = {.listening = false};
    follow_all(&fa, a);
    follow_all(&fb, b);
    T_EQ(fb.cursor, 2);
    // One batch of two connections' saves, one of them twice, and of an HTTP push.
    slow_hold(r.store, SLOW_APPEND);
    rig_send(c, save_of(1, rig_op("c", 1)));
    rig_send(a, save_of(2, rig_op("a", 3)));
    rig_send(b, save_of(3, rig_ops("b", 1, 2)));
    rig_answer *p = rig_post_start(
        &r, RIG_LIST,
        rig_format("{" USER_IS ",\"operations\":[%s]}", rig_op("p", 1)));
    rig_send(a, "{\"type\":\"SAVE\"," LIST_IS "," USER_IS ",\"operations\":[]}");
    rig_send(a, save_of(4, rig_op("a", 4)));
    slow_release(r.store, 1);
    rig_run(&r); // c's alone
    T_TEXT(t_str(rig_acks(rig_expect(c, "SAVED"))), "ok:3");
    slow_release(r.store, 1);
    rig_run(&r);
    f = rig_expect(a, "OPERATIONS");
    T_TEXT(t_str(rig_seqs(f)), "3");
    follow(&fa, f);
    f = rig_expect(a, "SAVED"); // the cursor stays before the batch
    T_EQ(rig_int(f, "ref"), 2);
    T_EQ(rig_int(f, "version"), 3);
    T_TEXT(t_str(rig_acks(f)), "ok:4");
    T_EQ(rig_count(f, "operations"), 0);
    follow(&fa, f);
    f = rig_expect(a, "SAVED"); // of no operations, without ref
    T_TRUE(json_object_get(f, "ref") == NULL);
    follow(&fa, f);
    f = rig_expect(a, "SAVED"); // and now to its end
    T_EQ(rig_int(f, "ref"), 4);
    T_EQ(rig_int(f, "version"), 8);
    T_TEXT(t_str(rig_acks(f)), "ok:8");
    T_TEXT(t_str(rig_seqs(f)), "5 6 7");
    follow(&fa, f);
    rig_silent(a);
    f = rig_expect(b, "OPERATIONS");
    follow(&fb, f);
    f = rig_expect(b, "SAVED");
    T_TEXT(t_str(rig_acks(f)), "ok:5 ok:6");
    T_TEXT(t_str(rig_seqs(f)), "4 7 8");
    follow(&fb, f);
    rig_silent(b);
    T_TEXT(t_str(fa.mark), fb.mark);
    T_TEXT(t_str(fa.mark), rig_text(p->json, "mark"));
    // A duplicate moves nothing, and nothing is told.
    rig_send(a, save_of(5, rig_op("b", 1)));
    f = rig_expect(a, "SAVED");
    T_TEXT(t_str(rig_acks(f)), "dup:5");
    T_EQ(rig_int(f, "version"), 8);
    rig_silent(b);
    rig_close(&r);
}

static void test_acked_beyond(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    rig_conn *a = rig_connect(&r);
    rig_subscribe(a);
    rig_send(a, "{\"type\":\"SAVE\"," LIST_IS "," USER_IS
                ",\"acked\":9,\"operations\":[]}");
    rig_expect(a, "BEHIND");
    rig_expect(a, "SAVED");
    rig_silent(a);
    rig_close(&r);
}

// A connection that does not drain: its news is dropped and it is told; others go on.
static void test_behind(void **state) {
    (void)state;
    rig_world r = {.config = {.queue_soft_max = 5000}};
    rig_open(&r);
    rig_conn *slow = rig_connect(&r), *quick = rig_connect(&r);
    rig_subscribe(slow);
    rig_subscribe(quick);
    tm_service_queued(r.service, r.now, slow->conn, 5001);
    rig_save(&r, "b", 1, 1);
    rig_expect(slow, "BEHIND");
    rig_silent(slow);
    rig_expect(quick, "OPERATIONS");
    rig_save(&r, "b", 2, 2);
    rig_silent(slow); // told once
    T_EQ(rig_metric(&r, "behinds_total"), 1);
    // It drains a little: still alive. Then nothing for 30 s.
    rig_advance(&r, 29000);
    tm_service_queued(r.service, r.now, slow->conn, 4000);
    rig_advance(&r, 20000);
    tm_service_queued(r.service, r.now, slow->conn, 4100); // more is no progress
    rig_advance(&r, 9000);
    T_EQ(slow->closed, 0);
    rig_advance(&r, 1000);
    T_EQ(slow->closed, 1013);
    T_EQ(quick->closed, 0);
    rig_save(&r, "b", 3, 3);
    rig_disconnect(slow);
    // One that drained in time is never closed.
    tm_service_queued(r.service, r.now, quick->conn, 100);
    rig_advance(&r, 20000);
    tm_service_queued(r.service, r.now, quick->conn, 0);
    rig_advance(&r, 100000);
    T_EQ(quick->closed, 0);
    rig_close(&r);
}

// Frames that the host has not even taken count as unsent.
static void test_behind_untaken(void **state) {
    (void)state;
    rig_world r = {.config = {.queue_soft_max = 5000}};
    rig_open(&r);
    rig_conn *a = rig_connect(&r);
    rig_subscribe(a);
    r.keep_effects = true;
    for (uint64_t v = 1; v <= 50; v++) {
        rig_post(&r, RIG_LIST,
                 rig_format("{" USER_IS ",\"operations\":[%s]}", rig_op("b", v)));
    }
    r.keep_effects = false;
    rig_run(&r);
    size_t count = 0;
    json_t *f;
    while ((f = rig_next(a)) != NULL &&
           strcmp(rig_text(f, "type"), "BEHIND") != 0) {
        count++;
    }
    T_TRUE(f != NULL && count > 5 && count < 20);
    rig_silent(a);
    rig_close(&r);
}

// ---- SEEN ---------------------------------------------------------------------------

static int64_t seen(rig_conn *conn) {
    return rig_int(rig_expect(conn, "SEEN"), "version");
}

static void report(rig_conn *conn, uint64_t version) {
    rig_send(conn,
             rig_format("{\"type\":\"SEEN\"," LIST_IS ",\"version\":%" PRIu64 "}",
                        version));
}

static void test_seen(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    rig_save(&r, "b", 1, 9);
    rig_conn *a = rig_connect(&r), *b = rig_connect(&r), *c = rig_connect(&r);
    report(a, 3); // before SUBSCRIBE: answered
    T_EQ(seen(a), 0);
    rig_subscribe(a);
    rig_subscribe(b);
    rig_subscribe(c);
    rig_advance(&r, 2000);
    rig_expect(a, "DIGEST");
    rig_expect(b, "DIGEST");
    rig_expect(c, "DIGEST");
    report(a, 5);
    T_EQ(seen(a), 0); // at once: nobody else has said anything
    T_EQ(seen(b), 5);
    T_EQ(seen(c), 5);
    report(b, 7);
    T_EQ(seen(b), 5);
    rig_silent(a); // not more than once a second
    report(b, 8);
    T_EQ(seen(b), 5);
    rig_advance(&r, 999);
    rig_silent(a);
    rig_advance(&r, 1);
    T_EQ(seen(a), 8);
    T_EQ(seen(c), 8);
    rig_silent(b); // of the others it has 5 still
    rig_advance(&r, 5000);
    report(c, 99); // beyond the head there is nothing to be seen
    T_EQ(seen(c), 8);
    T_EQ(seen(a), 9);
    T_EQ(seen(b), 9);
    report(c, 2); // lower: no news
    T_EQ(seen(c), 8);
    rig_advance(&r, 5000);
    rig_silent(a);
    // What a connection reported just before it went is told.
    rig_save(&r, "b", 10, 10);
    rig_expect(a, "OPERATIONS");
    rig_expect(b, "OPERATIONS");
    rig_advance(&r, 5000);
    rig_expect(a, "DIGEST");
    rig_expect(b, "DIGEST");
    report(b, 10);
    T_EQ(seen(b), 9);
    T_EQ(seen(a), 10);
    rig_save(&r, "b", 11, 11);
    rig_expect(a, "OPERATIONS");
    report(b, 11);
    rig_silent(a);
    rig_disconnect(b);
    rig_run(&r);
    T_EQ(seen(a), 11);
    rig_close(&r);
}

// ---- DIGEST -------------------------------------------------------------------------

static void test_digest(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    rig_conn *a = rig_connect(&r);
    rig_subscribe(a);
    rig_save(&r, "b", 1, 1);
    rig_expect(a, "OPERATIONS");
    rig_advance(&r, 600);
    rig_save(&r, "b", 2, 2);
    rig_expect(a, "OPERATIONS");
    rig_advance(&r, 999);
    rig_silent(a); // not quiet for a second yet
    rig_advance(&r, 1);
    json_t *f = rig_expect(a, "DIGEST");
    T_EQ(rig_int(f, "version"), 2);
    T_EQ(rig_int(f, "format"), TM_STATE_FORMAT);
    uint64_t head;
    uint8_t hex[32];
    tm_key key = {t_str("ann"), t_str(RIG_LIST)};
    const tm_list *list = tm_service_list(r.service, key, &head);
    tm_digest_hex(tm_list_digest(list), hex);
    T_SPAN(t_str(rig_text(f, "digest")), ((tm_span){hex, 32}));
    rig_advance(&r, 10000);
    rig_silent(a); // once
    rig_conn *b = rig_connect(&r);
    rig_send(b, subscribe_from(0, ""));
    rig_expect(b, "SUBSCRIBED");
    rig_expect(b, "OPERATIONS");
    rig_expect(b, "DIGEST"); // a new one learns it too
    rig_silent(a);
    int64_t before = rig_metric(&r, "digest_mismatches_total");
    rig_send(b, "{\"type\":\"DIGEST\"," LIST_IS ",\"version\":2,\"format\":1,"
                "\"digest\":\"00000000000000000000000000000000\"}");
    rig_silent(b);
    T_EQ(rig_metric(&r, "digest_mismatches_total"), before + 1);
    rig_close(&r);
}

// ---- refusals -----------------------------------------------------------------------

static const struct {
    const char *name, *frame, *code, *member;
} refused[] = {
    {"no JSON", "hello", "malformed", ""},
    {"empty", "", "malformed", ""},
    {"an array", "[]", "malformed", "expected an object"},
    {"no type", "{}", "type", ""},
    {"unknown type", "{\"type\":\"HELLO\"}", "type", ""},
    {"lower case", "{\"type\":\"seen\"," LIST_IS ",\"version\":1}", "type", ""},
    {"type is a number", "{\"type\":1}", "malformed", "type"},
    {"key twice", "{\"type\":\"SEEN\",\"type\":\"SEEN\"}", "malformed", "type"},
    {"no list", "{\"type\":\"SEEN\",\"version\":1}", "bad-request", "list"},
    {"bad list", "{\"type\":\"SEEN\",\"list\":\"A b\",\"version\":1}", "list", ""},
    {"long list",
     "{\"type\":\"SEEN\",\"version\":1,\"list\":"
     "\"0123456789012345678901234567890123456"
     "789012345678901234567890123456789\"}",
     "list", ""},
    {"no version", "{\"type\":\"SEEN\"," LIST_IS "}", "bad-request", "version"},
    {"version is a text", "{\"type\":\"SEEN\"," LIST_IS ",\"version\":\"1\"}",
     "malformed", "version"},
    {"no user", "{\"type\":\"SUBSCRIBE\"," LIST_IS "}", "bad-request", "user"},
    {"another user", "{\"type\":\"SUBSCRIBE\"," LIST_IS ",\"user\":\"eve\"}",
     "user", ""},
    {"since is negative",
     "{\"type\":\"SUBSCRIBE\"," LIST_IS "," USER_IS ",\"since\":-1}", "malformed",
     "since"},
    {"since is too large",
     "{\"type\":\"SUBSCRIBE\"," LIST_IS "," USER_IS ",\"since\":9007199254740992}",
     "bad-request", "since"},
    {"mark is a number",
     "{\"type\":\"SUBSCRIBE\"," LIST_IS "," USER_IS ",\"mark\":1}", "malformed",
     "mark"},
    {"no operations", "{\"type\":\"SAVE\"," LIST_IS "," USER_IS ",\"ref\":5}",
     "bad-request", "operations"},
    {"ref is an object",
     "{\"type\":\"SAVE\"," LIST_IS "," USER_IS ",\"operations\":[],\"ref\":{}}",
     "bad-request", "ref"},
    {"ref is long",
     "{\"type\":\"SAVE\"," LIST_IS "," USER_IS
     ",\"operations\":[],\"ref\":\"012345678901234567890123456789012"
     "345678901234567890123456789012345\"}",
     "bad-request", "ref"},
    {"SAVE of another user",
     "{\"type\":\"SAVE\"," LIST_IS ",\"user\":\"eve\",\"operations\":[]}", "user",
     ""},
    {"an operation without id",
     "{\"type\":\"SAVE\"," LIST_IS "," USER_IS
     ",\"ref\":3,\"operations\":[{\"browserId\":\"x\","
     "\"version\":1}]}",
     "malformed", "operations[0]"},
};

static void test_refused(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    rig_conn *a = rig_connect(&r);
    for (size_t i = 0; i < COUNT(refused); i++) {
        t_row = refused[i].name;
        rig_send(a, refused[i].frame);
        json_t *f = rig_expect(a, "ERROR");
        T_TEXT(t_str(rig_text(f, "code")), refused[i].code);
        const char *detail = rig_text(f, "detail");
        if (strstr(detail, refused[i].member) == NULL)
            print_error("# %s\n", detail);
        T_TRUE(strstr(detail, refused[i].member) != NULL);
        rig_silent(a);
    }
    t_row = "";
    rig_send(a, "{\"type\":\"SAVE\",\"ref\":\"r1\"," LIST_IS
                ",\"user\":\"eve\",\"operations\":[]}");
    T_TEXT(t_str(rig_text(rig_expect(a, "ERROR"), "ref")), "r1"); // it is echoed
    T_EQ(rig_metric(&r, "lists_warm"), 0);
    rig_close(&r);
}

static void test_many_lists(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    rig_conn *a = rig_connect(&r);
    for (int i = 0; i < 70; i++) {
        rig_send(
            a,
            rig_format("{\"type\":\"SUBSCRIBE\",\"list\":\"l%d\"," USER_IS "}", i));
        json_t *f = rig_expect(a, i < 64 ? "SUBSCRIBED" : "ERROR");
        if (i >= 64) T_TEXT(t_str(rig_text(f, "code")), "too-many-lists");
    }
    T_EQ(rig_metric(&r, "lists_warm"), 64);
    rig_disconnect(a);
    rig_run(&r);
    T_EQ(rig_metric(&r, "lists_warm"), 64); // for a while
    T_EQ(rig_metric(&r, "subscriptions"), 0);
    rig_close(&r);
}

static void test_busy(void **state) {
    (void)state;
    rig_world r = {0};
    slow_world(&r);
    rig_conn *a = rig_connect(&r);
    slow_hold(r.store, SLOW_LOAD);
    for (uint64_t v = 1; v <= 66; v++) {
        rig_send(a, save_of((int)v, rig_op("a", v)));
        if (v <= 64) {
            rig_silent(a);
        } else {
            T_TEXT(t_str(rig_text(rig_expect(a, "ERROR"), "code")), "busy");
        }
    }
    slow_release(r.store, 1);
    slow_hold(r.store, 0);
    rig_run(&r);
    for (int i = 0; i < 64; i++) {
        T_EQ(rig_int(rig_expect(a, "SAVED"), "ref"), i + 1);
    }
    rig_close(&r);
}

// The store fails under a subscription, a save, a snapshot.
static void test_store_fails(void **state) {
    (void)state;
    rig_world r = {0};
    slow_world(&r);
    rig_conn *a = rig_connect(&r);
    slow_fail(r.store, SLOW_LOAD, TM_E_AGAIN, 1);
    rig_send(a, subscribe_from(0, ""));
    T_TEXT(t_str(rig_text(rig_expect(a, "ERROR"), "code")), "unavailable");
    rig_save(&r, "b", 1, 3);
    rig_silent(a); // it does not listen
    rig_send(a, subscribe_from(0, ""));
    rig_expect(a, "SUBSCRIBED");
    rig_expect(a, "OPERATIONS");
    slow_fail(r.store, SLOW_APPEND, TM_E_AGAIN, 1);
    rig_send(a, save_of(5, rig_op("a", 1)));
    json_t *f = rig_expect(a, "ERROR");
    T_EQ(rig_int(f, "ref"), 5);
    T_TEXT(t_str(rig_text(f, "code")), "unavailable");
    slow_fail(r.store, SLOW_READ, TM_E_IO, 1);
    rig_send(a, subscribe_from(3, ZEROS));
    T_TEXT(t_str(rig_text(rig_expect(a, "ERROR"), "code")), "storage");
    rig_save(&r, "b", 4, 4);
    rig_silent(a);
    rig_close(&r);
}

// A connection that goes in the middle of everything.
static void test_disconnect_anywhere(void **state) {
    (void)state;
    for (int at = 0; at < 6; at++) {
        rig_world r = {0};
        slow_world(&r);
        for (uint64_t v = 1; v <= 300; v += 50) {
            rig_save(&r, "b", v, v + 49);
        }
        rig_stop(&r);
        rig_start(&r);
        rig_conn *a = rig_connect(&r), *b = rig_connect(&r);
        slow_hold(r.store, SLOW_LOAD | SLOW_READ | SLOW_APPEND);
        rig_send(a, subscribe_from(100, ""));
        if (at == 0) rig_disconnect(a);
        slow_release(r.store, 1); // load
        rig_run(&r);
        if (at == 1) rig_disconnect(a);
        slow_release(r.store, 1); // tail
        rig_run(&r);
        if (at == 2) rig_disconnect(a);
        if (at > 2) rig_send(a, save_of(1, rig_op("a", 1)));
        if (at == 3) rig_disconnect(a);
        slow_release(r.store, 1);
        rig_run(&r);
        if (at == 4) rig_disconnect(a);
        slow_release(r.store, 9);
        rig_run(&r);
        slow_hold(r.store, 0);
        slow_release(r.store, 9);
        rig_run(&r);
        if (at == 5) {
            follower f = {.cursor = 100};
            follow_all(&f, a);
            T_EQ(f.cursor, 301);
        }
        rig_send(b, save_of(1, rig_op("a", 1))); // what was sent was decided
        T_TEXT(t_str(rig_acks(rig_expect(b, "SAVED"))),
               at > 2 ? "dup:301" : "ok:301");
        rig_close(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subscribe),
        cmocka_unit_test(test_subscribe_snapshot),
        cmocka_unit_test(test_large_snapshot),
        cmocka_unit_test(test_snapshot_and_news),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_subscribe_again),
        cmocka_unit_test(test_held_too_long),
        cmocka_unit_test(test_saved),
        cmocka_unit_test(test_acked_beyond),
        cmocka_unit_test(test_behind),
        cmocka_unit_test(test_behind_untaken),
        cmocka_unit_test(test_seen),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_many_lists),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_store_fails),
        cmocka_unit_test(test_disconnect_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
