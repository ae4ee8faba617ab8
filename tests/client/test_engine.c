// test_engine.c - the way of an edit: kept, shown, sent, acked, pulled, in manual mode.
#include "client/host.h"

#define ADD(id)                                                                    \
    "{\"type\":\"ADD\",\"instanceId\":\"" id "\",\"imageId\":\"i-" id "\"}"
#define SET(id, field, value)                                                      \
    "{\"type\":\"UPDATE_METADATA\",\"instanceId\":\"" id "\",\"data\":{\"" field   \
    "\":\"" value "\"}}"
#define DEL(id) "{\"type\":\"DELETE\",\"instanceId\":\"" id "\"}"

static void test_edit_push_pull(void **state) {
    (void)state;
    model m;
    storage sa = {0}, sb = {0};
    page a = {.manual = true}, b = {.manual = true};
    model_init(&m);
    page_start(&a, &sa, &m, "b-a");
    page_start(&b, &sb, &m, "b-b");
    T_EQ(page_written(&a, ADD("x")), TM_WRITTEN_OK);
    T_EQ(page_written(&a, SET("x", "description", "sunset")), TM_WRITTEN_OK);
    T_TEXT(t_str(page_view(&a)),
           "asc {id:x,imageId:i-x,fields:{description:sunset}}");
    T_EQ(page_status(&a, "pending"), 2);
    page_push(&a, FAULT_NONE);
    T_EQ(page_status(&a, "pending"), 0);
    T_EQ(m.now.op_count, 2);
    page_pull(&b);
    T_TEXT(t_str(page_view(&b)),
           "asc {id:x,imageId:i-x,fields:{description:sunset}}");
    T_TRUE(page_equals_server(&b));
    page_pull(
        &a); // acks alone prove no history: the cursor waits for an answer that does
    T_TRUE(page_equals_server(&a));
    T_EQ(page_written(&b, DEL("x")), TM_WRITTEN_OK);
    T_TEXT(t_str(page_view(&b)), "asc");
    T_EQ(page_written(&b, SET("x", "description", "late")), TM_WRITTEN_GONE);
    page_push(&b, FAULT_NONE);
    page_advance(&a, 3000);
    page_pull(&a);
    T_TEXT(t_str(page_view(&a)), "asc");
    T_TRUE(page_equals_server(&a));
    page_pull(&b);
    T_TRUE(page_equals_server(&b));
    page_stop(&a);
    page_stop(&b);
    storage_free(&sa);
    storage_free(&sb);
    model_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_edit_push_pull)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
