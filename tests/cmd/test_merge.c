// Golden merges natively: cmd/check_merge.h, check_orders.h, check_state.h.
#include "t.h"

#include "cmd/check_case.h"
#include "cmd/check_merge.h"
#include "cmd/check_orders.h"
#include "cmd/file.h"
#include "cmd/host.h"

// ---- orders ---------------------------------------------------------------------------

typedef struct tally {
    size_t count, orders;
    char seen[2048][16];
} tally;

static bool note(void *context, const uint32_t *order) {
    tally *all = context;
    char text[16] = "";
    uint32_t there = 0;
    for (size_t i = 0; i < all->count; i++) {
        text[i] = (char)('a' + order[i]);
        there |= 1u << order[i];
    }
    T_EQ(there, (1u << all->count) - 1); // each exactly once
    if (all->count <= TM_CHECK_ORDERS_ALL_MAX) {
        for (size_t i = 0; i < all->orders; i++) {
            T_TRUE(strcmp(all->seen[i], text) != 0);
        }
    }
    memcpy(all->seen[all->orders++], text, sizeof text);
    return true;
}

static void test_orders(void **state) {
    static const size_t wanted[] = {1, 1, 2, 6, 24, 120, 720};
    static tally all;
    uint32_t room[16];
    (void)state;
    for (size_t count = 0; count < COUNT(wanted); count++) {
        t_row = "every order of up to six";
        all = (tally){.count = count};
        T_TRUE(tm_check_orders_each(room, count, 7, note, &all));
        T_EQ(all.orders, wanted[count]);
    }
    t_row = "seven: as given, backwards, shuffled";
    all = (tally){.count = 7};
    T_TRUE(tm_check_orders_each(room, 7, 7, note, &all));
    T_EQ(all.orders, 2 + TM_CHECK_ORDERS_SHUFFLED);
    T_TRUE(TM_CHECK_ORDERS_SHUFFLED >= 24);
    T_TEXT(t_str(all.seen[0]), "abcdefg");
    T_TEXT(t_str(all.seen[1]), "gfedcba");
    static tally again;
    again = (tally){.count = 7};
    T_TRUE(tm_check_orders_each(room, 7, 7, note, &again));
    T_EQ(memcmp(&all, &again, sizeof all), 0);
}

// ---- golden ---------------------------------------------------------------------------

// Runs one case; gives what was wrong in `wrong`, empty = nothing.
static void run(const tm_node *one, char wrong[512]) {
    tm_check_verdict verdict;
    tm_check_case_flaw flaw;
    tm_check_merge merge;
    tm_check_verdict_init(&verdict, &tm_host_alloc);
    T_TRUE(tm_check_case_judge(one, &flaw));
    if (tm_check_merge_init(&merge, one, &verdict)) {
        bool same = tm_check_merge_native(&merge);
        T_EQ(same, !verdict.failed);
    }
    tm_check_merge_deinit(&merge);
    (void)snprintf(wrong, 512, "%.*s", (int)verdict.what.len,
                   verdict.failed ? (const char *)verdict.what.ptr : "");
    tm_check_verdict_deinit(&verdict);
}

static void test_golden(void **state) {
    static const char *const files[] = {"tests/golden/merge.json",
                                        "tests/golden/random-merge.json"};
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        tm_arena arena = {.alloc = &tm_host_alloc};
        const tm_node *one;
        uint8_t *text;
        size_t len;
        char problem[256], name[64], wrong[512];
        t_row = files[i];
        T_TRUE(tm_file_read(files[i], 1u << 20, &text, &len));
        T_OK(tm_check_case_file_read((tm_span){text, len}, &arena, &one, problem));
        for (; one != NULL; one = one->next) {
            tm_span called = tm_node_get(one, "name")->text;
            (void)snprintf(name, sizeof name, "%.*s", (int)called.len,
                           (const char *)called.ptr);
            t_row = name;
            run(one, wrong);
            T_TEXT(t_str(wrong), "");
        }
        t_row = files[i];
        tm_arena_deinit(&arena);
        free(text);
    }
}

#define ADD(id, image, time)                                                       \
    "{\"type\":\"ADD\",\"instanceId\":\"" id "\",\"imageId\":\"" image             \
    "\",\"timestamp\":" time ",\"browserId\":\"a\",\"version\":1}"
#define ONE(ops, expect)                                                           \
    "{\"name\":\"n\",\"kind\":\"merge\",\"ops\":[" ops "],\"expect\":" expect "}"

// A checker that cannot fail is worth nothing.
static void test_failing(void **state) {
    static const struct {
        const char *name, *text, *want;
    } rows[] = {
        {"passes",
         ONE(ADD("x", "i", "1"),
             "{\"state\":{\"items\":{\"x\":{\"imageId\":\"i\"}}},"
             "\"order\":[\"x\"],\"tombstones\":[]}"),
         ""},
        {"another image",
         ONE(ADD("x", "i", "1"),
             "{\"state\":{\"items\":{\"x\":{\"imageId\":\"j\"}}}}"),
         "one by one: state"},
        {"an item too few", ONE(ADD("x", "i", "1"), "{\"state\":{\"items\":{}}}"),
         "one by one: state"},
        {"another sort", ONE("", "{\"state\":{\"items\":{},\"sort\":\"desc\"}}"),
         "state"},
        {"another order",
         ONE(ADD("x", "i", "1") "," ADD("y", "i", "2"),
             "{\"state\":{\"items\":{\"x\":{\"imageId\":\"i\"},"
             "\"y\":{\"imageId\":\"i\"}}},\"order\":[\"y\",\"x\"]}"),
         "order 0 1, one by one: order"},
        {"a tombstone too many",
         ONE(ADD("x", "i", "1"),
             "{\"state\":{\"items\":{\"x\":{\"imageId\":\"i\"}}},"
             "\"tombstones\":[\"y\"]}"),
         "tombstones"},
        {"an operation without a stamp",
         ONE("{\"type\":\"SORT_CHANGE\",\"sort\":\"asc\"}",
             "{\"state\":{\"items\":{}}}"),
         "malformed: operation 0: "},
        {"an operation that breaks a rule",
         ONE("{\"type\":\"SORT_CHANGE\",\"sort\":\"up\",\"timestamp\":1,"
             "\"browserId\":\"a\",\"version\":1}",
             "{\"state\":{\"items\":{}}}"),
         "malformed: operation 0: bad-sort"},
        {"no operations at all", ONE("", "{\"state\":{\"items\":{}},\"order\":[]}"),
         ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        tm_arena arena = {.alloc = &tm_host_alloc};
        const tm_node *one = NULL;
        char wrong[512];
        t_row = rows[i].name;
        T_OK(tm_tree_read(t_str(rows[i].text), &arena, &one, NULL));
        run(one, wrong);
        bool as_wanted = rows[i].want[0] == '\0'
                             ? wrong[0] == '\0'
                             : strstr(wrong, rows[i].want) != NULL;
        if (!as_wanted) T_TEXT(t_str(wrong), rows[i].want);
        tm_arena_deinit(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_failing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
