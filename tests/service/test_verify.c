// Two services over one store, neither of which hears of the other: what is said from
// memory is first compared with the store. DESIGN 5, "many servers".
#include "rig.h"

#define OPS "/v1/lists/" RIG_LIST "/operations"

// The other: it only ever saves, from the same memory and at the same time.
typedef struct other {
    rig_world *rig;
    tm_service *service;
} other;

static void dice(void *context, uint8_t *bytes, size_t len) {
    rig_world *rig = context;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)rig_random(&rig->random);
    }
}

static void other_open(other *o, rig_world *rig) {
    o->rig = rig;
    tm_service_config config = {.alloc = &rig->alloc,
                                .store = rig->store,
                                .random = dice,
                                .random_context = rig};
    T_EQ(tm_service_new(&config, &o->service), TM_OK);
}

static void other_save(other *o, const char *browser, uint64_t first,
                       uint64_t last) {
    const char *body = rig_format("{\"user\":\"ann\",\"operations\":[%s]}",
                                  rig_ops(browser, first, last));
    tm_request request = {.method = TM_POST,
                          .path = t_str(OPS),
                          .body = t_str(body),
                          .user = t_str(RIG_USER)};
    uint64_t ticket;
    tm_service_request(o->service, o->rig->now, &request, &ticket);
    while (!tm_service_idle(o->service)) {
        (void)tm_store_wait(o->rig->store);
    }
    tm_effect effect;
    size_t replies = 0;
    while (tm_service_effect(o->service, &effect)) {
        T_EQ(effect.kind, TM_EFFECT_REPLY);
        T_EQ(effect.status, 200);
        replies++;
        tm_frame_release(o->service, effect.frame);
    }
    T_EQ(replies, 1);
}

static void test_answers(void **state) {
    (void)state;
    rig_world r = {.config = {.verify = true}};
    other o;
    rig_open(&r);
    other_open(&o, &r);
    rig_save(&r, "a", 1, 2); // warm
    other_save(&o, "b", 1, 1);
    T_EQ(rig_int(rig_get(&r, OPS "?since=2")->json, "version"), 3);
    other_save(&o, "b", 2, 2);
    T_EQ(rig_int(rig_get(&r, "/v1/lists/" RIG_LIST)->json, "version"), 4);
    other_save(&o, "b", 3, 3);
    T_EQ(rig_int(rig_get(&r, "/v1/lists/" RIG_LIST "/log")->json, "head"), 5);
    other_save(&o, "b", 4, 4);
    // A save that brings nothing new is a poll.
    rig_answer *poll =
        rig_post(&r, RIG_LIST, "{\"user\":\"ann\",\"since\":5,\"operations\":[]}");
    T_EQ(rig_int(poll->json, "version"), 6);
    other_save(&o, "b", 5, 5);
    rig_conn *conn = rig_connect(&r);
    rig_send(conn, "{\"type\":\"SUBSCRIBE\",\"list\":\"" RIG_LIST
                   "\",\"user\":\"ann\",\"since\":6}");
    T_EQ(rig_int(rig_expect(conn, "SUBSCRIBED"), "head"), 7);
    T_EQ(rig_int(rig_expect(conn, "OPERATIONS"), "version"), 7);
    rig_disconnect(conn);
    tm_service_free(o.service);
    rig_close(&r);
}

static void test_an_append_is_a_look(void **state) {
    (void)state;
    rig_world r = {.config = {.verify = true}};
    rig_open(&r);
    rig_save(&r, "a", 1, 2);
    int64_t before = rig_metric(&r, "store_reads_total");
    rig_answer *save =
        rig_post(&r, RIG_LIST,
                 rig_format("{\"user\":\"ann\",\"since\":2,\"operations\":[%s]}",
                            rig_ops("a", 3, 3)));
    T_EQ(rig_int(save->json, "version"), 3);
    rig_save(&r, "a", 3, 3); // acks alone
    T_EQ(rig_metric(&r, "store_reads_total"), before);
    rig_get(&r, OPS "?since=3");
    T_EQ(rig_metric(&r, "store_reads_total"), before + 1);
    rig_close(&r);
}

static void test_news(void **state) {
    (void)state;
    rig_world r = {.config = {.news = true}};
    other o;
    rig_open(&r);
    other_open(&o, &r);
    rig_save(&r, "a", 1, 2);
    T_EQ(r.news, 1);
    T_TRUE(strstr(r.news_text, "{\"type\":\"OPERATIONS\",\"list\":\"" RIG_LIST
                               "\",\"from\":1,\"version\":2,") == r.news_text);
    rig_save(&r, "a", 1, 2); // duplicates are none
    T_EQ(r.news, 1);
    other_save(&o, "b", 1, 1);
    rig_save(&r, "a", 3, 3); // meets the other's batch, of which it tells nothing
    T_EQ(r.news, 2);
    T_TRUE(strstr(r.news_text, "\"from\":4,\"version\":4,") != NULL);
    tm_service_free(o.service);
    rig_close(&r);
}

static void test_not_asked_for(void **state) {
    (void)state;
    rig_world r = {0};
    other o;
    rig_open(&r);
    other_open(&o, &r);
    rig_save(&r, "a", 1, 2);
    other_save(&o, "b", 1, 1);
    T_EQ(rig_int(rig_get(&r, OPS "?since=2")->json, "version"), 2);
    T_EQ(r.news, 0);
    tm_service_free(o.service);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_an_append_is_a_look),
        cmocka_unit_test(test_news),
        cmocka_unit_test(test_not_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
