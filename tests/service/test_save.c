// Saves: what becomes of each operation of a push, and what the answer says. SEMANTICS 5.
#include "rig.h"

#define PUSH(ops) "{\"user\":\"ann\",\"operations\":[" ops "]}"

static void test_first(void **state) {
    (void)state;
    rig_world r = {0};
    rig_open(&r);
    rig_answer *a = rig_save(&r, "b", 1, 2);
    T_EQ(a->status, 200);
    T_TEXT(t_str(rig_acks(a->json)), "ok:1 ok:2");
    T_EQ(rig_int(a->json, "version"), 2);
    T_EQ(rig_int(a->json, "head"), 2);
    T_EQ(strlen(rig_text(a->json, "mark")), 64);
    rig_answer *g = rig_get(&r, "/v1/lists/" RIG_LIST "/operations?since=0");
    T_EQ(g->status, 200);
    T_TEXT(t_str(rig_seqs(g->json)), "1 2");
    T_TEXT(t_str(rig_text(g->json, "mark")), rig_text(a->json, "mark"));
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_first)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
