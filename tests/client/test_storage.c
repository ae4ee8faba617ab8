// test_storage.c - what stands in storage is enough, whenever a page dies and whatever of
// it is lost. DESIGN 1, 6.
#include "client/life.h"

static bool holds_entries(const place *p) {
    for (size_t i = 0; i < p->count; i++) {
        if (strncmp(p->at[i].key, "op/", 3) == 0) return true;
    }
    return false;
}

// From the k-th call on storage takes nothing any more: as if the browser was killed
// there, while the server went on hearing from the page (`lives`), or not.
static size_t cut_at(size_t k, bool lives) {
    life_begin();
    w.sa.cut_at = k;
    page_start(&w.a, &w.sa, &w.m, "b-a");
    for (size_t n = 0; life_step(n); n++) {
        if (!lives && k > 0 && w.sa.calls >= k) break;
    }
    size_t calls = w.sa.calls;
    page_stop(&w.a);
    life_restart();
    life_expect_kept();
    life_time(70000); // until no receipt is told any more
    T_TRUE(!holds_entries(&w.sa.local));
    T_TRUE(!holds_entries(&w.sa.disk));
    page_stop(&w.a);
    life_end();
    return calls;
}

static void test_killed_between_any_two_calls(void **state) {
    (void)state;
    char name[48];
    size_t calls = cut_at(0, true);
    T_TRUE(calls > 30);
    for (size_t k = 1; k <= calls; k++) {
        for (int lives = 0; lives < 2; lives++) {
            (void)snprintf(name, sizeof name, "call %zu of %zu%s", k, calls,
                           lives ? ", still talking" : "");
            t_row = name;
            (void)cut_at(k, lives != 0);
        }
    }
}

// After each step the page dies, and one of the places is empty when the next one starts.
static void test_either_place_may_be_lost(void **state) {
    (void)state;
    char name[48];
    for (int lost = 0; lost < 2; lost++) {
        for (size_t last = 0; last < LIFE_STEPS; last++) {
            (void)snprintf(name, sizeof name, "%s lost after step %zu",
                           lost ? "disk" : "local", last);
            t_row = name;
            life_begin();
            page_start(&w.a, &w.sa, &w.m, "b-a");
            for (size_t n = 0; n <= last; n++) {
                T_TRUE(life_step(n));
            }
            page_stop(&w.a);
            place *p = lost ? &w.sa.disk : &w.sa.local;
            while (p->count > 0) {
                storage_del(p, p->at[0].key);
            }
            life_restart();
            // A dead letter lives on disk alone.
            if (lost == 0 || last < 9) life_expect_kept();
            page_stop(&w.a);
            life_end();
        }
    }
}

// Each record in turn cannot be read: cut off, not JSON, another kind of thing.
static void test_any_record_may_be_damaged(void **state) {
    (void)state;
    static const char *const values[] = {
        NULL, "", "{", "[]", "{\"version\":-1}", "{\"operations\":[{}]}"};
    char name[160];
    for (size_t last = 0; last < LIFE_STEPS; last += 3) {
        for (size_t k = 0, count = 1; k < count; k++) {
            for (size_t v = 0; v < COUNT(values); v++) {
                life_begin();
                page_start(&w.a, &w.sa, &w.m, "b-a");
                for (size_t n = 0; n <= last; n++) {
                    T_TRUE(life_step(n));
                }
                page_stop(&w.a);
                count = w.sa.disk.count + w.sa.local.count;
                bool disk = k < w.sa.disk.count;
                place *p = disk ? &w.sa.disk : &w.sa.local;
                record *r = &p->at[disk ? k : k - w.sa.disk.count];
                (void)snprintf(name, sizeof name, "step %zu, %s %s, %s", last,
                               disk ? "disk" : "local", r->key,
                               values[v] == NULL ? "truncated" : values[v]);
                t_row = name;
                if (values[v] == NULL) {
                    r->value[r->len / 2] = '\0';
                    r->len /= 2;
                } else {
                    storage_put(p, r->key, values[v]);
                }
                bool dead = strncmp(r->key, "dead/", 5) == 0;
                bool twice = !disk && storage_get(&w.sa.disk, r->key) != NULL;
                life_restart();
                T_TRUE(w.a.damage > 0 || twice);
                if (!dead) life_expect_kept(); // the other place has it
                w.a.damage = 0;
                page_stop(&w.a);
                life_end();
            }
        }
    }
}

// ---- transactions that are slow, or fail ------------------------------------------------

static void test_what_fails_is_tried_again(void **state) {
    (void)state;
    life_begin();
    page_start(&w.a, &w.sa, &w.m, "b-a");
    w.sa.disk_fails = true;
    life_edit(&w.a, ADD("x"), "i-x");
    page_push(&w.a, FAULT_NONE);
    page_pull(&w.a);
    T_TRUE(storage_get(&w.sa.disk, "state") == NULL);
    T_TRUE(holds_entries(&w.sa.local)); // forgotten only when disk says so
    w.sa.disk_fails = false;
    page_advance(&w.a, 120000);
    T_TRUE(storage_get(&w.sa.disk, "state") != NULL);
    page_advance(&w.a, 120000);
    T_TRUE(!holds_entries(&w.sa.local));
    T_EQ(w.a.receipts[TM_RECEIPT_ACCEPTED], 1);
    page_stop(&w.a);
    life_end();
}

static void test_one_transaction_at_a_time(void **state) {
    (void)state;
    life_begin();
    page_start(&w.a, &w.sa, &w.m, "b-a");
    w.sa.held = true;
    size_t before = w.sa.calls;
    for (size_t i = 0; i < 20; i++) {
        life_edit(&w.a, SET("x", "burst"), "burst");
    }
    page_push(&w.a, FAULT_NONE);
    T_EQ(w.sa.calls - before, 20); // kept, each
    page_release(&w.a);            // the first edit
    page_pump(&w.a);
    page_release(&w.a); // all the others, and what became of them
    page_pump(&w.a);
    T_TRUE(w.a.commit == NULL);
    T_EQ(w.sa.calls - before,
         20 + 2 + 1); // and then the writer's counter, in local
    T_EQ(w.a.receipts[TM_RECEIPT_ACCEPTED], 20);
    w.sa.held = false;
    page_stop(&w.a);
    life_end();
}

static void test_without_a_disk(void **state) {
    (void)state;
    life_begin();
    w.sa.no_disk = true;
    page_start(&w.a, &w.sa, &w.m, "b-a");
    for (size_t n = 0; n < 9; n++) {
        T_TRUE(life_step(n));
    }
    T_EQ(w.sa.disk.count, 0);
    page_stop(&w.a);
    life_restart();
    life_expect_kept();
    T_TRUE(!holds_entries(&w.sa.local));
    T_EQ(w.sa.disk.count, 0);
    page_stop(&w.a);
    life_end();
}

// A place is there, cannot be read at one start, and is there again: what it alone has is
// not lost to a number that was used meanwhile.
static void test_a_place_is_missing_once(void **state) {
    (void)state;
    life_begin();
    page_start(&w.a, &w.sa, &w.m, "b-a");
    w.sa.quota = true; // the disk alone has it
    T_OK(page_edit(&w.a, ADD("x")));
    page_stop(&w.a);
    w.sa.quota = false;
    w.sa.no_disk = true;
    page_start(&w.a, &w.sa, &w.m, "b-a");
    T_OK(page_edit(&w.a, ADD("y")));
    page_push(&w.a, FAULT_NONE);
    page_pull(&w.a);
    page_stop(&w.a);
    w.sa.no_disk = false;
    life_restart();
    T_EQ(w.m.now.op_count, 2);
    page_stop(&w.a);
    life_end();
    life_begin();
    page_start(&w.a, &w.sa, &w.m, "b-a");
    life_edit(&w.a, ADD("x"), "i-x");
    page_push(&w.a, FAULT_NONE);
    page_pull(&w.a);
    w.sa.held = true; // killed before the disk has it
    life_edit(&w.a, SET("x", "local"), "local");
    page_stop(&w.a);
    w.sa.held = false;
    w.sa.no_local = true;
    page_start(&w.a, &w.sa, &w.m, "b-a");
    T_TRUE(page_edit(&w.a, SET("x", "disk")) == TM_OK);
    page_push(&w.a, FAULT_NONE);
    page_pull(&w.a);
    page_stop(&w.a);
    w.sa.no_local = false;
    life_restart();
    life_expect_kept();
    T_EQ(w.m.now.op_count, 3);
    page_stop(&w.a);
    life_end();
}

// Two tabs; one hears of what the other has stored already, in a record of its own. What it
// stores next does not take that record's place.
static void test_tails_of_two_tabs(void **state) {
    (void)state;
    life_begin();
    page c = {.manual = true, .seed = 9};
    page_start(&w.a, &w.sa, &w.m, "b-a");
    page_start(&c, &w.sa, &w.m, "b-c");
    life_edit(&w.b, ADD("x"), "i-x");
    page_push(&w.b, FAULT_NONE);
    page_pull(&w.a);
    life_edit(&w.b, SET("x", "1"), "1");
    page_push(&w.b, FAULT_NONE);
    w.sa.held = true; // what a asks for now is refused later: c is ahead by then
    page_pull(&w.a);
    w.sa.held = false;
    life_edit(&w.b, SET("x", "2"), "2");
    page_push(&w.b, FAULT_NONE);
    page_pull(&c); // one record, from 0 to the head
    page_release(&w.a);
    page_pull(&w.a); // that head's operation, which c has stored
    life_edit(&w.b, SET("x", "3"), "3");
    page_push(&w.b, FAULT_NONE);
    page_pull(&w.a);
    page_stop(&w.a);
    page_stop(&c);
    page_start(&w.a, &w.sa, &w.m, "b-a");
    T_EQ(page_status(&w.a, "cursor"), 4);
    page_stop(&w.a);
    life_end();
}

// Two tabs that begin with nothing, each in another history of the server: what is stored
// is never made of both.
static void test_two_tabs_in_two_histories(void **state) {
    (void)state;
    life_begin();
    page c = {.manual = true, .seed = 9};
    model_backup(&w.m);
    page_start(&w.a, &w.sa, &w.m, "b-a");
    page_start(&c, &w.sa, &w.m, "b-c");
    life_edit(&w.b, ADD("x"), "i-x");
    page_push(&w.b, FAULT_NONE);
    life_edit(&w.a, SET("x", "old"), "old");
    page_push(&w.a, FAULT_NONE);
    page_pull(&w.a); // stores 2, of the history that is lost
    model_restore(&w.m);
    page_pull(&w.b);
    life_edit(&w.b, ADD("y"), "i-y");
    page_push(&w.b, FAULT_NONE); // under a name that the server has lost
    page_push(&w.b, FAULT_NONE);
    page_pull(&c); // as far, and cannot store it
    for (int i = 0; i < 3; i++) {
        life_edit(&w.b, SET("y", "new"), "new");
        page_push(&w.b, FAULT_NONE);
        page_pull(&c);
    }
    T_EQ(c.reloads, 1);
    page_stop(&w.a);
    page_stop(&c);
    life_restart();
    T_TRUE(page_equals_server(&w.a));
    life_expect_kept();
    page_stop(&w.a);
    life_end();
}

// A tab that is gone has stored another history of the server, which began where this one
// stands. What this one stores next does not continue that.
static void test_a_rollback_behind_a_tab(void **state) {
    (void)state;
    life_begin();
    w.a.manual = true;
    page_start(&w.a, &w.sa, &w.m, "b-a");
    life_edit(&w.b, ADD("x"), "i-x");
    page_push(&w.b, FAULT_NONE);
    page_pull(&w.a);
    storage_put(&w.sa.disk, "tail/0000000000000003",
                "{\"from\":1,\"operations\":[{\"id\":\"lost\",\"type\":\"ADD\","
                "\"instanceId\":\"lost\",\"imageId\":\"i-lost\",\"timestamp\":1,"
                "\"browserId\":\"b-z\",\"version\":1,\"seq\":3}]}");
    storage_put(&w.sa.disk, "state",
                "{\"generation\":0,\"cursor\":3,\"mark\":\"m0-3\",\"base\":0}");
    for (int i = 0; i < 4; i++) {
        life_edit(&w.b, SET("x", "new"), "new");
        page_push(&w.b, FAULT_NONE);
    }
    page_pull(&w.a); // in one record, from 1 to 5
    T_EQ(w.a.reloads, 1);
    T_TRUE(strstr(page_view(&w.a), "i-lost") != NULL); // and is offered
    for (int i = 0; i < 3; i++) {
        page_pull(&w.a);
        page_push(&w.a, FAULT_NONE);
    }
    T_TRUE(page_equals_server(&w.a));
    page_stop(&w.a);
    life_restart();
    T_TRUE(page_equals_server(&w.a));
    T_TRUE(strstr(page_view(&w.a), "i-lost") != NULL);
    life_expect_kept();
    page_stop(&w.a);
    life_end();
}

// Two tabs of one browser; the server is restored, one of them hears of it first.
static void test_a_newer_generation_is_loaded(void **state) {
    (void)state;
    life_begin();
    page c = {.manual = true, .seed = 9};
    page_start(&w.a, &w.sa, &w.m, "b-a");
    page_start(&c, &w.sa, &w.m, "b-c");
    life_edit(&w.a, ADD("x"), "i-x");
    page_push(&w.a, FAULT_NONE);
    page_pull(&w.a);
    page_pull(&c);
    model_backup(&w.m);
    life_edit(&w.a, SET("x", "lost"), "lost");
    page_push(&w.a, FAULT_NONE);
    page_pull(&w.a);
    model_restore(&w.m);
    life_edit(&w.b, SET("x", "b1"), "b1");
    page_push(&w.b, FAULT_NONE);
    page_pull(&c); // the snapshot of another history: a generation more
    T_EQ(w.a.reloads, 0);
    life_edit(&w.a, SET("x", "again"), "again");
    page_push(&w.a, FAULT_NONE);
    page_pull(&w.a);
    page_push(&w.a, FAULT_NONE);
    page_pull(&w.a);
    page_stop(&w.a);
    w.count =
        0; // what was lost and older need not be in the log, but must be shown
    life_restart();
    page_pull(&c);
    T_TRUE(page_equals_server(&c));
    T_TEXT(t_str(page_view(&c)), page_view(&w.a));
    page_stop(&c);
    page_stop(&w.a);
    life_end();
}

// It is accepted, and the page is killed before its disk knows; then the server is restored
// to before it. The next page still has it.
static void test_local_is_told_when_disk_knows(void **state) {
    (void)state;
    life_begin();
    page_start(&w.a, &w.sa, &w.m, "b-a");
    life_edit(&w.a, ADD("x"), "i-x");
    page_push(&w.a, FAULT_NONE);
    page_pull(&w.a);
    model_backup(&w.m);
    life_edit(&w.a, SET("x", "1"), "1");
    w.sa.held = true;
    page_push(&w.a, FAULT_NONE);
    T_EQ(page_status(&w.a, "pending"), 0);
    page_stop(&w.a);
    w.sa.held = false;
    model_restore(&w.m);
    life_restart();
    life_expect_kept();
    page_stop(&w.a);
    life_end();
}

// One record cannot be read on disk, and local is missing once. What stands around it is sent;
// it is not taken for sent with them.
static void test_a_missing_number_is_not_decided(void **state) {
    (void)state;
    life_begin();
    page_start(&w.a, &w.sa, &w.m, "b-a");
    life_edit(&w.a, ADD("x"), "i-x");
    life_edit(&w.a, ADD("y"), "i-y");
    life_edit(&w.a, ADD("z"), "i-z");
    page_stop(&w.a);
    for (size_t i = 0; i < w.sa.disk.count; i++) {
        if (strstr(w.sa.disk.at[i].value, "i-y") == NULL) continue;
        storage_put(&w.sa.disk, w.sa.disk.at[i].key, "{");
    }
    w.sa.no_local = true;
    page_start(&w.a, &w.sa, &w.m, "b-a");
    T_EQ(w.a.damage, 1);
    for (int i = 0; i < 2; i++) {
        page_push(&w.a, FAULT_NONE);
        page_pull(&w.a);
    }
    T_EQ(w.m.now.op_count, 2);
    page_stop(&w.a);
    w.sa.no_local = false;
    w.a.damage = 0;
    life_restart();
    life_expect_kept();
    page_stop(&w.a);
    life_end();
}

// A tab takes a snapshot of an older state than another tab has stored meanwhile, and takes
// its place. What only the other one's C had is offered.
static void test_an_older_state_is_not_lost(void **state) {
    (void)state;
    life_begin();
    w.a.manual = true;
    page_start(&w.a, &w.sa, &w.m, "b-a");
    life_edit(&w.b, ADD("x"), "i-x");
    page_push(&w.b, FAULT_NONE);
    page_pull(&w.a);
    storage_put(
        &w.sa.disk, "tail/0000000000000002",
        "{\"from\":1,\"operations\":[{\"id\":\"theirs\",\"type\":\"ADD\","
        "\"instanceId\":\"theirs\",\"imageId\":\"i-theirs\",\"timestamp\":1,"
        "\"browserId\":\"b-z\",\"version\":1,\"seq\":2}]}");
    storage_put(&w.sa.disk, "state",
                "{\"generation\":0,\"cursor\":2,\"mark\":\"theirs\",\"base\":0}");
    model_backup(&w.m);
    model_restore(&w.m); // another history: a snapshot
    page_pull(&w.a);
    T_EQ(w.a.reloads, 1);
    T_TRUE(strstr(page_view(&w.a), "i-theirs") != NULL);
    page_pull(&w.a);
    page_push(&w.a, FAULT_NONE);
    page_pull(&w.a);
    T_TRUE(page_equals_server(&w.a));
    T_TRUE(strstr(page_view(&w.b), "i-theirs") == NULL);
    page_pull(&w.b);
    T_TRUE(strstr(page_view(&w.b), "i-theirs") != NULL);
    page_stop(&w.a);
    life_restart();
    life_expect_kept();
    page_stop(&w.a);
    life_end();
}

// ---- what is written --------------------------------------------------------------------

// Tails become a new base when they outweigh it.
static void test_tails_are_folded(void **state) {
    (void)state;
    char big[4000], text[4400];
    memset(big, 'v', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    t_row = "";
    life_begin();
    page_start(&w.a, &w.sa, &w.m, "b-a");
    size_t most = 0;
    for (size_t i = 0; i < 60; i++) {
        big[0] = (char)('a' + i % 26);
        (void)snprintf(
            text, sizeof text,
            "{\"type\":\"UPDATE_METADATA\",\"instanceId\":\"x\",\"data\":{"
            "\"description\":\"%s\"}}",
            big);
        T_OK(page_edit(&w.b, text));
        page_push(&w.b, FAULT_NONE);
        page_pull(&w.b);
        page_pull(&w.a);
        size_t tails = 0;
        for (size_t k = 0; k < w.sa.disk.count; k++) {
            tails += strncmp(w.sa.disk.at[k].key, "tail/", 5) == 0;
        }
        if (tails > most) most = tails;
    }
    T_TRUE(storage_get(&w.sa.disk, "base") != NULL);
    T_TRUE(most > 10 && most < 25);
    page_stop(&w.a);
    life_restart();
    page_stop(&w.a);
    life_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_between_any_two_calls),
        cmocka_unit_test(test_either_place_may_be_lost),
        cmocka_unit_test(test_any_record_may_be_damaged),
        cmocka_unit_test(test_what_fails_is_tried_again),
        cmocka_unit_test(test_one_transaction_at_a_time),
        cmocka_unit_test(test_without_a_disk),
        cmocka_unit_test(test_a_place_is_missing_once),
        cmocka_unit_test(test_tails_of_two_tabs),
        cmocka_unit_test(test_two_tabs_in_two_histories),
        cmocka_unit_test(test_a_rollback_behind_a_tab),
        cmocka_unit_test(test_a_newer_generation_is_loaded),
        cmocka_unit_test(test_local_is_told_when_disk_knows),
        cmocka_unit_test(test_a_missing_number_is_not_decided),
        cmocka_unit_test(test_an_older_state_is_not_lost),
        cmocka_unit_test(test_tails_are_folded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
