// test_view.c - what a page shows: windows, own deletions, order, and what is told.
// SEMANTICS 7.
#include "client/host.h"

#define ADD(id) "{\"type\":\"ADD\",\"instanceId\":\"" id "\",\"imageId\":\"i\"}"
#define SET(id, value)                                                             \
    "{\"type\":\"UPDATE_METADATA\",\"instanceId\":\"" id                           \
    "\",\"data\":{\"description\":\"" value "\"}}"
#define NUM(id, value)                                                             \
    "{\"type\":\"UPDATE_METADATA\",\"instanceId\":\"" id                           \
    "\",\"data\":{\"photoNumber\":\"" value "\"}}"
#define DEL(id)   "{\"type\":\"DELETE\",\"instanceId\":\"" id "\"}"
#define SORT(way) "{\"type\":\"SORT_CHANGE\",\"sort\":\"" way "\"}"

static model m;
static storage sa, sb;
static page a, b;

static void begin(void) {
    memset(&sa, 0, sizeof sa);
    memset(&sb, 0, sizeof sb);
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    model_init(&m);
    a.manual = b.manual = true;
    page_start(&a, &sa, &m, "b-a");
    page_start(&b, &sb, &m, "b-b");
    T_OK(page_edit(&b, ADD("x")));
    page_push(&b, FAULT_NONE);
    page_pull(&b);
    page_pull(&a);
    m.wall_ms += 60000; // no window of b's is open any more
    page_advance(&a, 60000);
    page_advance(&b, 60000);
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

#define X(fields) "{id:x,imageId:i,fields:{" fields "}}"

static void test_windows(void **state) {
    (void)state;
    // At 0 a edits and saves; then b; a pulls at `pull_ms` and is looked at `look_ms`.
    static const struct {
        const char *name, *mine, *other;
        uint64_t pull_ms, look_ms;
        const char *view;
        size_t superseded;
    } rows[] = {
        {"a field, at once", SET("x", "mine"), SET("x", "other"), 1, 1,
         "asc " X("description:mine"), 0},
        {"a field, last moment", SET("x", "mine"), SET("x", "other"), 1, 4999,
         "asc " X("description:mine"), 0},
        {"a field, over", SET("x", "mine"), SET("x", "other"), 1, 5000,
         "asc " X("description:other"), 1},
        {"a field, pulled late", SET("x", "mine"), SET("x", "other"), 5000, 5000,
         "asc " X("description:other"), 0},
        {"another field", SET("x", "mine"), NUM("x", "7"), 1, 1,
         "asc " X("description:mine,photoNumber:7"), 0},
        {"the same value", SET("x", "mine"), SET("x", "mine"), 1, 5000,
         "asc " X("description:mine"), 0},
        {"a deletion, last moment", SET("x", "mine"), DEL("x"), 1, 1999,
         "asc " X("description:mine"), 0},
        {"a deletion, over", SET("x", "mine"), DEL("x"), 1, 2000, "asc", 1},
        {"a deletion, pulled late", SET("x", "mine"), DEL("x"), 2000, 2000, "asc",
         0},
        {"of an item that I added again", ADD("x"), DEL("x"), 1, 1999, "asc " X(""),
         0},
        {"sort, last moment", SORT("desc"), SORT("asc"), 1, 9999, "desc " X(""), 0},
        {"sort, over", SORT("desc"), SORT("asc"), 1, 10000, "asc " X(""), 1},
        {"sort protects no item", SORT("desc"), DEL("x"), 1, 1, "desc", 0},
        {"a field protects no sort", SET("x", "mine"), SORT("desc"), 1, 1,
         "desc " X("description:mine"), 0},
        {"my own deletion", DEL("x"), SET("x", "other"), 1, 1, "asc", 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        begin();
        T_OK(page_edit(&a, rows[i].mine));
        push_pull(&a);
        b.now.wall_ms += 1; // later than a
        m.wall_ms += 1;
        T_OK(page_edit(&b, rows[i].other));
        push_pull(&b);
        time_passes(rows[i].pull_ms);
        page_pull(&a);
        time_passes(rows[i].look_ms - rows[i].pull_ms);
        T_TEXT(t_str(page_view(&a)), rows[i].view);
        T_EQ(a.superseded, rows[i].superseded);
        time_passes(60000);
        T_TEXT(t_str(page_view(&a)), page_view(&b));
        end();
    }
}

// Pending protects without end; its ack ends it when the window is over by then.
static void test_pending(void **state) {
    (void)state;
    begin();
    T_OK(page_edit(&a, SET("x", "mine")));
    time_passes(60000);
    T_OK(page_edit(&b, SET("x", "other")));
    push_pull(&b);
    page_pull(&a);
    T_TEXT(t_str(page_view(&a)), "asc " X("description:mine"));
    T_EQ(a.superseded, 0);
    page_push(&a, FAULT_NONE);
    T_TEXT(t_str(page_view(&a)), "asc " X("description:other"));
    T_EQ(a.superseded, 1);
    T_TEXT(t_str(a.last_field), "description");
    T_TEXT(t_str(a.last_mine), "mine");
    T_TEXT(t_str(a.last_winner), "other");
    time_passes(60000);
    T_EQ(a.superseded, 1); // once
    end();
}

// The last own value decides, and is what is compared.
static void test_the_last_own_value(void **state) {
    (void)state;
    begin();
    T_OK(page_edit(&a, SET("x", "1")));
    push_pull(&a);
    time_passes(3000);
    T_OK(page_edit(&a, SET("x", "2")));
    push_pull(&a);
    time_passes(1);
    T_OK(page_edit(&b, SET("x", "other")));
    push_pull(&b);
    page_pull(&a);
    time_passes(2000); // the first one's window is over
    T_TEXT(t_str(page_view(&a)), "asc " X("description:2"));
    T_EQ(a.superseded, 0);
    time_passes(3000);
    T_TEXT(t_str(page_view(&a)), "asc " X("description:other"));
    T_EQ(a.superseded, 1);
    T_TEXT(t_str(a.last_mine), "2");
    end();
}

static void test_a_window_does_not_survive_a_load(void **state) {
    (void)state;
    begin();
    T_OK(page_edit(&a, SET("x", "mine")));
    push_pull(&a);
    time_passes(10);
    T_OK(page_edit(&b, SET("x", "other")));
    push_pull(&b);
    page_pull(&a);
    T_TEXT(t_str(page_view(&a)), "asc " X("description:mine"));
    page_stop(&a);
    page_start(&a, &sa, &m, "b-a");
    T_TEXT(t_str(page_view(&a)), "asc " X("description:other"));
    end();
}

// A jump of the wall clock neither shortens nor lengthens a window.
static void test_the_wall_clock_is_not_asked(void **state) {
    (void)state;
    begin();
    T_OK(page_edit(&a, SET("x", "mine")));
    push_pull(&a);
    time_passes(10);
    T_OK(page_edit(&b, SET("x", "other")));
    push_pull(&b);
    a.now.wall_ms += 86400000;
    page_pull(&a);
    T_TEXT(t_str(page_view(&a)), "asc " X("description:mine"));
    a.now.wall_ms -= 10 * (uint64_t)86400000;
    page_advance(&a, 4989);
    T_TEXT(t_str(page_view(&a)), "asc " X("description:mine"));
    page_advance(&a, 1);
    T_TEXT(t_str(page_view(&a)), "asc " X("description:other"));
    end();
}

// The deadline is the end of the window, and nothing changes before it.
static void test_the_deadline(void **state) {
    (void)state;
    begin();
    T_OK(page_edit(&a, SET("x", "mine")));
    uint64_t made = a.now.mono_ms;
    push_pull(&a);
    T_EQ(tm_engine_deadline(a.engine), made + 2000);
    page_advance(&a, 2000);
    T_EQ(tm_engine_deadline(a.engine), made + 5000);
    page_advance(&a, 3000);
    T_EQ(tm_engine_deadline(a.engine), made + 60000); // its receipt
    page_advance(&a, 60000);
    T_EQ(tm_engine_deadline(a.engine), UINT64_MAX);
    end();
}

static void test_order(void **state) {
    (void)state;
    begin();
    time_passes(1000);
    T_OK(page_edit(&a, ADD("y")));
    time_passes(1000);
    T_OK(page_edit(&b, ADD("z")));
    push_pull(&b);
    push_pull(&a);
    T_TEXT(t_str(page_view(&a)),
           "asc {id:x,imageId:i,fields:{}} {id:y,imageId:i,fields:{}} "
           "{id:z,imageId:i,fields:{}}");
    T_OK(page_edit(&a, SORT("desc")));
    T_TEXT(t_str(page_view(&a)),
           "desc {id:z,imageId:i,fields:{}} {id:y,imageId:i,fields:{}} "
           "{id:x,imageId:i,fields:{}}");
    T_OK(page_edit(&a, DEL("y")));
    T_TEXT(t_str(page_view(&a)),
           "desc {id:z,imageId:i,fields:{}} {id:x,imageId:i,fields:{}}");
    end();
}

// Each change is told once, and only changes are.
static void test_what_is_told(void **state) {
    (void)state;
    begin();
    a.shows = 0;
    page_pump(&a);
    T_EQ(a.shows, 0);
    T_OK(page_edit(&a, SET("x", "1")));
    T_EQ(a.shows, 1);
    push_pull(&a); // the ack changes nothing that is seen
    T_EQ(a.shows, 1);
    T_OK(page_edit(&a, SET("x", "1"))); // nor does the same value
    T_EQ(a.shows, 1);
    T_OK(page_edit(&a, ADD("y")));
    T_EQ(a.shows, 3); // the item, and the order
    T_OK(page_edit(&a, SORT("asc")));
    T_EQ(a.shows, 3);
    T_OK(page_edit(&a, SORT("desc")));
    T_EQ(a.shows, 4);
    time_passes(60000);
    T_EQ(a.shows, 4);
    end();
}

// A batch is told when it is whole; what is taken back is not told at all.
static void test_a_batch(void **state) {
    (void)state;
    tm_span json;
    begin();
    a.shows = 0;
    T_OK(tm_engine_begin(a.engine));
    T_OK(tm_engine_edit(a.engine, a.now, t_str(SET("x", "1")), NULL));
    T_OK(tm_engine_edit(a.engine, a.now, t_str(ADD("y")), NULL));
    page_pump(&a);
    T_EQ(a.shows, 0);
    T_OK(tm_engine_item(a.engine, a.now, t_str("y"), &json));
    T_TRUE(json.len > 0);
    T_OK(tm_engine_end(a.engine, a.now, false));
    page_pump(&a);
    T_TEXT(t_str(page_view(&a)), "asc " X(""));
    T_EQ(page_status(&a, "pending"), 0);
    T_OK(tm_engine_begin(a.engine));
    T_OK(tm_engine_edit(a.engine, a.now, t_str(SET("x", "2")), NULL));
    T_OK(tm_engine_edit(a.engine, a.now, t_str(SET("x", "3")), NULL));
    T_OK(tm_engine_end(a.engine, a.now, true));
    page_pump(&a);
    T_EQ(tm_engine_written(a.engine), TM_WRITTEN_OK);
    T_EQ(page_status(&a, "pending"), 2);
    T_TEXT(t_str(page_view(&a)), "asc " X("description:3"));
    end();
}

static void test_edits_that_never_could(void **state) {
    (void)state;
    static const struct {
        const char *name, *edit;
        tm_status want;
        const char *problem; // a part of it
    } rows[] = {
        {"not JSON", "{", TM_E_CORRUPT, "ends early"},
        {"with an id", "{\"type\":\"SORT_CHANGE\",\"sort\":\"asc\",\"id\":\"a\"}",
         TM_E_CORRUPT, "not a part of an edit"},
        {"no such type", "{\"type\":\"PAINT\"}", TM_E_RANGE, "bad-type"},
        {"no such direction", "{\"type\":\"SORT_CHANGE\",\"sort\":\"up\"}",
         TM_E_RANGE, "bad-sort"},
        {"no image", "{\"type\":\"ADD\",\"instanceId\":\"q\"}", TM_E_RANGE,
         "bad-imageId"},
        {"no data", "{\"type\":\"UPDATE_METADATA\",\"instanceId\":\"x\"}",
         TM_E_RANGE, "bad-data"},
        {"behind it more", SORT("asc") "x", TM_E_CORRUPT, ""},
        {"gone", SET("gone", "1"), TM_E_GONE, ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        begin();
        T_OK(page_edit(&a, DEL("gone")));
        uint64_t before = page_status(&a, "pending");
        T_STATUS(page_edit(&a, rows[i].edit), rows[i].want);
        tm_span problem = tm_engine_problem(a.engine);
        char text[200];
        (void)snprintf(text, sizeof text, "%.*s", (int)problem.len,
                       (const char *)problem.ptr);
        T_TRUE(strstr(text, rows[i].problem) != NULL);
        T_EQ(page_status(&a, "pending"), before);
        end();
    }
}

static void test_a_dead_letter_is_tried_again(void **state) {
    (void)state;
    char id[65];
    tm_span json;
    begin();
    m.reject = 1;
    T_OK(page_edit(&a, SET("x", "refused")));
    push_pull(&a);
    T_EQ(a.dead, 1);
    T_TEXT(t_str(page_view(&a)), "asc " X(""));
    page_stop(&a); // it outlives the page
    page_start(&a, &sa, &m, "b-a");
    T_EQ(page_status(&a, "dead"), 1);
    T_OK(tm_engine_dead(a.engine, &json));
    T_TRUE(json.len > 30);
    (void)snprintf(id, sizeof id, "%.22s", (const char *)json.ptr + 21);
    T_STATUS(tm_engine_retry(a.engine, a.now, t_str("nobody")), TM_E_RANGE);
    T_OK(tm_engine_retry(a.engine, a.now, t_str(id)));
    page_pump(&a);
    T_EQ(page_status(&a, "dead"), 0);
    push_pull(&a);
    T_TEXT(t_str(page_view(&a)), "asc " X("description:refused"));
    T_STATUS(tm_engine_discard(a.engine, a.now, t_str(id)), TM_E_RANGE);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_pending),
        cmocka_unit_test(test_the_last_own_value),
        cmocka_unit_test(test_a_window_does_not_survive_a_load),
        cmocka_unit_test(test_the_wall_clock_is_not_asked),
        cmocka_unit_test(test_the_deadline),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_what_is_told),
        cmocka_unit_test(test_a_batch),
        cmocka_unit_test(test_edits_that_never_could),
        cmocka_unit_test(test_a_dead_letter_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
