// test_offer.c - a server that lost what it had is given it again, by whoever still has
// it, and nothing newer suffers. SEMANTICS 6; golden/restore.json in C, and what its
// format cannot say.
#include "client/host.h"

#define ADD(id)                                                                    \
    "{\"type\":\"ADD\",\"instanceId\":\"" id "\",\"imageId\":\"i-" id "\"}"
#define SET(id, value)                                                             \
    "{\"type\":\"UPDATE_METADATA\",\"instanceId\":\"" id                           \
    "\",\"data\":{\"description\":\"" value "\"}}"
#define DEL(id)    "{\"type\":\"DELETE\",\"instanceId\":\"" id "\"}"
#define SORT(sort) "{\"type\":\"SORT_CHANGE\",\"sort\":\"" sort "\"}"
#define X(fields)  "{id:x,imageId:i-x,fields:{" fields "}}"

static model m;
static storage sa, sb;
static page a, b;

static void begin(void) {
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    model_init(&m);
    a.manual = b.manual = true;
    page_start(&a, &sa, &m, "b-a");
    page_start(&b, &sb, &m, "b-b");
}

static void end(void) {
    page_stop(&a);
    page_stop(&b);
    storage_free(&sa);
    storage_free(&sb);
    model_free(&m);
}

static void time_passes(uint64_t ms) {
    m.wall_ms += ms;
    page_advance(&a, ms);
    page_advance(&b, ms);
}

static void push_pull(page *p) {
    page_push(p, FAULT_NONE);
    page_pull(p);
}

static void edit(page *p, const char *text) {
    time_passes(1);
    T_OK(page_edit(p, text));
}

// Everybody has everything, and then the server has what it had at its last backup.
static void all_lost(void) {
    push_pull(&a);
    push_pull(&b);
    page_pull(&a);
    time_passes(60000);
    model_restore(&m);
}

// Until nobody has anything to say any more; how many operations that took.
static size_t settle(page *first, page *second) {
    size_t before = m.now.op_count;
    for (int i = 0; i < 4; i++) {
        page_pull(first);
        push_pull(first);
        page_pull(second);
        push_pull(second);
    }
    size_t made = m.now.op_count - before;
    push_pull(first);
    T_EQ(m.now.op_count - before, made);
    T_TRUE(page_equals_server(first));
    T_TRUE(page_equals_server(second));
    T_EQ(page_status(first, "offered") + page_status(second, "offered"), 0);
    T_EQ(page_status(first, "pending") + page_status(second, "pending"), 0);
    return made;
}

static bool stored(const storage *s, const char *prefix) {
    for (size_t i = 0; i < s->disk.count; i++) {
        if (strncmp(s->disk.at[i].key, prefix, strlen(prefix)) == 0) return true;
    }
    return false;
}

static uint64_t number(const model_op *op, const char *name) {
    const char *at = strstr(op->raw, name);
    T_TRUE(at != NULL);
    return strtoull(at + strlen(name), NULL, 10);
}

// ---- golden -------------------------------------------------------------------------

// Who comes back first makes no difference.
static void test_an_old_backup(void **state) {
    (void)state;
    for (int order = 0; order < 2; order++) {
        page *first = order == 0 ? &a : &b, *second = order == 0 ? &b : &a;
        begin();
        edit(&a, ADD("x"));
        push_pull(&a);
        model_backup(&m);
        edit(&a, SET("x", "after"));
        edit(&b, ADD("y"));
        edit(&b, SORT("desc"));
        all_lost();
        page_pull(first); // shown all the while, before anything is offered
        T_TEXT(t_str(page_view(first)),
               "desc {id:y,imageId:i-y,fields:{}} " X("description:after"));
        (void)settle(first, second);
        T_TEXT(t_str(page_view(second)),
               "desc {id:y,imageId:i-y,fields:{}} " X("description:after"));
        T_TRUE(!stored(&sa, "lacking/"));
        T_TRUE(!stored(&sb, "lacking/"));
        end();
    }
}

static void test_an_empty_database(void **state) {
    (void)state;
    begin();
    model_backup(&m);
    edit(&a, ADD("x"));
    edit(&a, SET("x", "all"));
    all_lost();
    T_EQ(m.now.op_count, 0);
    (void)settle(&b, &a);
    T_TEXT(t_str(page_view(&a)), "asc " X("description:all"));
    end();
}

// An own edit that was made later than what is offered stays above it, and the other way
// round: an offer keeps its time, so it is not lifted over what came after it.
static void test_what_is_newer_stays(void **state) {
    (void)state;
    static const struct {
        const char *name;
        bool pending, by_other;
    } rows[] = {
        {"pending when it was restored", true, false},
        {"pending at another browser", true, true},
        {"made after it", false, false},
        {"made after it by another", false, true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        page *who = rows[i].by_other ? &b : &a;
        t_row = rows[i].name;
        begin();
        edit(&a, ADD("x"));
        push_pull(&a);
        model_backup(&m);
        edit(&a, SET("x", "old"));
        all_lost();
        if (rows[i].pending) edit(who, SET("x", "new"));
        page_pull(&a);
        page_pull(&b);
        if (!rows[i].pending) edit(who, SET("x", "new"));
        (void)settle(&a, &b);
        time_passes(20000);
        T_TEXT(t_str(page_view(&a)), "asc " X("description:new"));
        T_TEXT(t_str(page_view(&b)), "asc " X("description:new"));
        end();
    }
}

// a knows an older value than b does: what a offers first must not win over b's.
static void test_an_older_value_stays_below(void **state) {
    (void)state;
    begin();
    edit(&a, ADD("x"));
    push_pull(&a);
    model_backup(&m);
    edit(&a, SET("x", "older"));
    push_pull(&a);
    page_pull(&b);
    edit(&b, SET("x", "newer"));
    push_pull(&b); // a never learns of it
    time_passes(60000);
    model_restore(&m);
    page_pull(&a);
    push_pull(&a);
    (void)settle(&b, &a);
    T_TEXT(t_str(page_view(&a)), "asc " X("description:newer"));
    T_TEXT(t_str(page_view(&b)), "asc " X("description:newer"));
    end();
}

// ---- how they are made ------------------------------------------------------------------

static void test_under_what_name_and_time(void **state) {
    (void)state;
    begin();
    model_backup(&m);
    edit(&a, ADD("x"));
    edit(&a, SET("x", "1"));
    edit(&a, ADD("gone"));
    edit(&a, DEL("gone"));
    push_pull(&a);
    uint64_t added = m.now.ops[0].time, set = m.now.ops[1].time;
    time_passes(60000);
    model_restore(&m);
    page_pull(&a);
    push_pull(&a);
    T_EQ(m.now.op_count, 3);
    static const char *const types[] = {"DELETE", "ADD", "UPDATE_METADATA"};
    uint64_t versions[] = {1, 2, 3}, times[] = {0, added, set};
    for (size_t i = 0; i < 3; i++) {
        const model_op *op = &m.now.ops[i];
        T_TRUE(strstr(op->raw, types[i]) != NULL);
        T_TRUE(strcmp(op->browser, "b-a") != 0);
        T_TEXT(t_str(op->browser), m.now.ops[0].browser);
        T_EQ(op->version, versions[i]);
        T_EQ(op->time, times[i]);
    }
    T_EQ(number(&m.now.ops[0], "\"timestamp\":"), 0);
    (void)settle(&a, &b);
    end();
}

// What one operation wrote goes out as one, and nothing that the server still has.
static void test_only_what_is_lacking(void **state) {
    (void)state;
    begin();
    edit(&a, ADD("x"));
    edit(&a, ADD("y"));
    edit(&a, SET("y", "there"));
    push_pull(&a);
    model_backup(&m);
    edit(&a, "{\"type\":\"UPDATE_METADATA\",\"instanceId\":\"x\",\"data\":"
             "{\"description\":\"d\",\"photoNumber\":\"7\"}}");
    edit(&a, SET("y", "there")); // the value is known, its time is not
    all_lost();
    page_pull(&a);
    T_EQ(page_status(&a, "offered"), 2);
    T_EQ(settle(&a, &b), 2);
    T_TRUE(strstr(m.now.ops[3].raw, "\"photoNumber\":\"7\"") != NULL);
    T_TRUE(strstr(m.now.ops[3].raw, "\"description\":\"d\"") != NULL);
    end();
}

// What the server knows as deleted is not offered, whatever was written to it here.
static void test_what_died_there_stays_dead(void **state) {
    (void)state;
    begin();
    edit(&a, ADD("x"));
    push_pull(&a);
    model_backup(&m);
    edit(&a, SET("x", "lost"));
    push_pull(&a); // b never learns of it
    time_passes(60000);
    model_restore(&m);
    page_pull(&b);
    edit(&b, DEL("x"));
    push_pull(&b);
    page_pull(&a);
    T_EQ(page_status(&a, "offered"), 0);
    T_EQ(settle(&a, &b), 0);
    T_TEXT(t_str(page_view(&a)), "asc");
    end();
}

// Operations of a type that nobody here knows are given back as they were.
static void test_unknown_types_word_for_word(void **state) {
    (void)state;
    static const char later[] =
        "{\"user\":\"u\",\"operations\":[{\"id\":\"from-later\",\"type\":"
        "\"ROTATE\","
        "\"instanceId\":\"x\",\"timestamp\":1600000000000,\"logical\":3,"
        "\"browserId\":\"later\",\"version\":1,\"turn\":[90,null]}]"
        "}";
    begin();
    edit(&a, ADD("x"));
    push_pull(&a);
    model_backup(&m);
    uint32_t http;
    free(model_post(&m, t_str(later), &http));
    T_EQ(http, 200);
    all_lost();
    T_EQ(settle(&a, &b), 1);
    const model_op *op = &m.now.ops[1];
    T_TEXT(t_str(op->id), "from-later");
    T_TRUE(strstr(op->raw, "\"turn\":[90,null]") != NULL);
    T_EQ(op->time, 1600000000000u << 16 | 3);
    end();
}

static void test_many_go_in_rounds(void **state) {
    (void)state;
    begin();
    model_backup(&m);
    for (int i = 0; i < 250; i++) {
        char text[100];
        (void)snprintf(
            text, sizeof text,
            "{\"type\":\"ADD\",\"instanceId\":\"p%d\",\"imageId\":\"i\"}", i);
        edit(&a, text);
    }
    for (int i = 0; i < 130; i++) {
        char text[100];
        (void)snprintf(text, sizeof text,
                       "{\"type\":\"DELETE\",\"instanceId\":\"p%d\"}", i);
        edit(&a, text);
    }
    all_lost();
    size_t posts = m.posts;
    page_pull(&a);
    T_EQ(page_status(&a, "offered"), 100);
    for (int i = 0; i < 3; i++) { // each is followed by the next, not by fewer
        tm_engine_ask(a.engine, a.now, TM_ASK_PUSH);
        T_TRUE(page_exchange(&a, FAULT_NONE));
    }
    T_EQ(m.posts - posts, 3);
    T_EQ(m.now.op_count, 250);
    for (size_t i = 0; i < 250; i++) {
        T_EQ(strstr(m.now.ops[i].raw, "DELETE") != NULL, i < 130);
    }
    T_EQ(settle(&a, &b), 0);
    end();
}

// ---- what may happen in between -----------------------------------------------------------

typedef enum trouble {
    NO_TROUBLE,
    REQUEST_LOST,
    ANSWER_LOST,
    PAGE_DIES,
    RESTORED_AGAIN,
    COMPACTED,
    RETRY,
    REJECTED,
    TROUBLES,
} trouble;

static void test_trouble_between(void **state) {
    (void)state;
    static const char *const names[] = {
        "none",           "request lost", "answer lost", "page dies",
        "restored again", "compacted",    "retry",       "rejected"};
    for (trouble t = NO_TROUBLE; t < TROUBLES; t++) {
        t_row = names[t];
        begin();
        edit(&a, ADD("x"));
        push_pull(&a);
        model_backup(&m);
        edit(&a, SET("x", "one"));
        edit(&a, ADD("y"));
        all_lost();
        page_pull(&a);
        if (t == REQUEST_LOST) page_push(&a, FAULT_REQUEST);
        if (t == ANSWER_LOST || t == COMPACTED) page_push(&a, FAULT_RESPONSE);
        if (t == COMPACTED) model_compact(&m);
        if (t == PAGE_DIES) {
            page_stop(&a);
            page_start(&a, &sa, &m, "b-a");
        }
        if (t == RESTORED_AGAIN) {
            page_push(&a, FAULT_NONE);
            model_restore(&m);
        }
        if (t == RETRY) m.accept_first = 1;
        if (t == REJECTED) m.reject = 1;
        size_t made = settle(&a, &b);
        T_TRUE(made <= 4);
        const char *view = page_view(&b);
        T_TRUE(strstr(view, "id:y") != NULL);
        if (t != REJECTED) T_TRUE(strstr(view, "description:one") != NULL);
        T_TRUE(!stored(&sa, "lacking/"));
        end();
    }
}

// Both have the same to offer: the same registers, with the same times. One of the two
// wins each, and neither is told again and again.
static void test_two_who_offer_the_same(void **state) {
    (void)state;
    begin();
    model_backup(&m);
    edit(&a, ADD("x"));
    edit(&a, SET("x", "v"));
    all_lost();
    page_pull(&a);
    page_pull(&b);
    page_push(&a, FAULT_NONE);
    page_push(&b, FAULT_NONE);
    T_EQ(m.now.op_count, 4);
    T_EQ(settle(&a, &b), 0);
    T_TEXT(t_str(page_view(&b)), "asc " X("description:v"));
    end();
}

// The log only became shorter: a snapshot instead of operations lacks nothing.
static void test_a_compacted_log_lacks_nothing(void **state) {
    (void)state;
    begin();
    edit(&a, ADD("x"));
    push_pull(&a);
    page_pull(&b);
    edit(&b, SET("x", "b"));
    push_pull(&b);
    model_compact(&m);
    edit(&a, SET("x", "mine"));
    page_pull(&a);
    T_EQ(page_status(&a, "offered"), 0);
    T_EQ(settle(&a, &b), 1);
    T_TRUE(!stored(&sa, "lacking/"));
    end();
}

// What the server has decided against is shown no longer, though a disk that fails keeps
// the copy here for another time.
static void test_what_was_offered_and_lost(void **state) {
    (void)state;
    begin();
    edit(&a, ADD("x"));
    push_pull(&a);
    page_pull(&b);
    model_backup(&m);
    time_passes(3600000);
    edit(&a, SET("x", "late"));
    push_pull(&a);
    time_passes(60000);
    model_restore(&m);
    m.wall_ms -= 3600000; // the time it is offered with has not come yet
    sa.disk_fails = true;
    page_pull(&a);
    T_TRUE(strstr(page_view(&a), "description:late") != NULL);
    push_pull(&a);
    b.now.wall_ms = m.wall_ms;
    page_pull(&b);
    T_OK(page_edit(&b, SET("x", "newer")));
    push_pull(&b);
    page_pull(&a);
    T_TRUE(page_equals_server(&a));
    T_TEXT(t_str(page_view(&a)), "asc " X("description:newer"));
    end();
}

// Entries that were accepted and are lost again go out once more, under the same id.
static void test_what_was_accepted_and_lost(void **state) {
    (void)state;
    begin();
    edit(&a, ADD("x"));
    push_pull(&a);
    model_backup(&m);
    edit(&a, SET("x", "acked"));
    page_push(&a, FAULT_NONE); // acked, and the cursor has not passed it
    char id[65];
    memcpy(id, m.now.ops[1].id, sizeof id);
    uint64_t time = m.now.ops[1].time;
    model_restore(&m);
    for (int k = 0; k < 2; k++) { // somebody else takes its seq
        edit(&b, ADD("other"));
        push_pull(&b);
    }
    (void)settle(&a, &b);
    T_TRUE(strstr(page_view(&b), "description:acked") != NULL);
    bool found = false;
    for (size_t i = 0; i < m.now.op_count; i++) {
        if (strstr(m.now.ops[i].raw, "acked") == NULL) continue;
        found = true;
        T_EQ(m.now.ops[i].time, time);
    }
    T_TRUE(found);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_old_backup),
        cmocka_unit_test(test_an_empty_database),
        cmocka_unit_test(test_what_is_newer_stays),
        cmocka_unit_test(test_an_older_value_stays_below),
        cmocka_unit_test(test_under_what_name_and_time),
        cmocka_unit_test(test_only_what_is_lacking),
        cmocka_unit_test(test_what_died_there_stays_dead),
        cmocka_unit_test(test_unknown_types_word_for_word),
        cmocka_unit_test(test_many_go_in_rounds),
        cmocka_unit_test(test_trouble_between),
        cmocka_unit_test(test_two_who_offer_the_same),
        cmocka_unit_test(test_a_compacted_log_lacks_nothing),
        cmocka_unit_test(test_what_was_offered_and_lost),
        cmocka_unit_test(test_what_was_accepted_and_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
