// list.h: what single changes do to what can be read from a list; its bytes read back.
#include "lists.h"

// ---- one change after the other -----------------------------------------------------

static const struct {
    const char *name, *op;
    bool changed;
    size_t live;
    const char *bytes;
} steps[] = {
    {"an update before its ADD", OP(B AT(5) UPDATE "{\"x\":\"1\"}"), true, 0,
     "{\"format\":1,\"browsers\":[\"b\"],\"dead\":[],\"items\":[[\"i\",null,[\"x\","
     "[5,0,0,"
     "1,\"1\"]]]],\"sort\":null}"},
    {"the ADD", OP(A AT(3) ADD "\"m\""), true, 1,
     "{\"format\":1,\"browsers\":[\"a\",\"b\"],\"dead\":[],\"items\":[[\"i\",[3,0,"
     "0,1,\"m\"]"
     ",[\"x\",[5,0,1,1,\"1\"]]]],\"sort\":null}"},
    {"an older ADD", OP(B AT(2) ADD "\"n\""), false, 1, NULL},
    {"an older ADD whose data is news",
     OP(B AT(2) ADD "\"n\",\"data\":{\"w\":null}"), true, 1,
     "{\"format\":1,\"browsers\":[\"a\",\"b\"],\"dead\":[],\"items\":[[\"i\",[3,0,"
     "0,1,\"m\"]"
     ",[\"w\",[2,0,1,1,null]],[\"x\",[5,0,1,1,\"1\"]]]],\"sort\":null}"},
    {"the same again", OP(B AT(2) ADD "\"n\",\"data\":{\"w\":null}"), false, 1,
     NULL},
    {"same stamp, greater value", OP(B AT(5) UPDATE "{\"x\":\"2\"}"), true, 1,
     NULL},
    {"same stamp, null", OP(B AT(5) UPDATE "{\"x\":null}"), false, 1, NULL},
    {"same stamp, greater browser",
     OP("\"browserId\":\"c\"," AT(5) UPDATE "{\"x\":\"\"}"), true, 1,
     "{\"format\":1,\"browsers\":[\"a\",\"b\",\"c\"],\"dead\":[],\"items\":[[\"i\","
     "[3,0,0,1,"
     "\"m\"],[\"w\",[2,0,1,1,null]],[\"x\",[5,0,2,1,\"\"]]]],\"sort\":null}"},
    {"an unknown type", OP(B AT(9) "\"type\":\"MERGE\""), false, 1, NULL},
    {"a deletion with an old stamp", OP(B AT(0) DELETE), true, 0, KILLED},
    {"a second one", OP(B AT(1) DELETE), false, 0, KILLED},
    {"an ADD of the dead", OP(B AT(99) ADD "\"m\""), false, 0, KILLED},
    {"an update of the dead", OP(B AT(99) UPDATE "{\"x\":\"9\"}"), false, 0,
     KILLED},
    {"sort", OP(B AT(4) SORT "\"desc\""), true, 0,
     "{\"format\":1,\"browsers\":[\"b\"],\"dead\":[\"i\"],\"items\":[],\"sort\":[4,"
     "0,0,1,"
     "\"desc\"]}"},
    {"older sort", OP(B AT(3) SORT "\"asc\""), false, 0, NULL},
    {"newer sort", OP(A AT(5) SORT "\"asc\""), true, 0,
     "{\"format\":1,\"browsers\":[\"a\"],\"dead\":[\"i\"],\"items\":[],\"sort\":[5,"
     "0,0,1,"
     "\"asc\"]}"},
};

static void test_steps(void **state) {
    (void)state;
    fixture f;
    list_open(&f);
    bytes_check(&f, EMPTY);
    for (size_t i = 0; i < COUNT(steps); i++) {
        t_row = steps[i].name;
        tm_digest before = tm_list_digest(f.list);
        T_EQ(apply(&f, steps[i].op), steps[i].changed);
        T_EQ(tm_list_live(f.list), steps[i].live);
        T_EQ(tm_list_count(f.list), 1);
        if (steps[i].bytes != NULL) bytes_check(&f, steps[i].bytes);
        tm_digest after = tm_list_digest(f.list);
        T_EQ(before.lo != after.lo || before.hi != after.hi, steps[i].changed);
    }
    list_close(&f);
}

static void names_check(const tm_item *item, const char *want) {
    char seen[64];
    size_t len = 0, at = 0;
    for (tm_item_field field; tm_item_next(item, &at, &field);) {
        memcpy(seen + len, field.name.ptr, field.name.len);
        len += field.name.len;
        seen[len++] = ' ';
    }
    T_TEXT(((tm_span){(const uint8_t *)seen, len}), want);
}

static void test_readers(void **state) {
    (void)state;
    fixture f;
    list_open(&f);
    assert_null(tm_list_find(f.list, t_str("i")));
    T_TRUE(!tm_item_live(NULL));
    T_TRUE(!tm_item_dead(NULL));
    T_EQ(tm_item_reg(NULL, t_str("x")).at.browser.len, 0);
    T_EQ(tm_list_sort(f.list).at.browser.len, 0);

    (void)apply(&f, OP(B AT(5) UPDATE "{\"x\":null,\"a\":\"v\",\"k\":\"\"}"));
    const tm_item *item = tm_list_find(f.list, t_str("i"));
    assert_non_null(item);
    T_TRUE(!tm_item_live(item) && !tm_item_dead(item));
    T_TEXT(tm_item_id(item), "i");
    names_check(item, "a k x ");
    T_EQ(tm_item_reg(item, t_str("")).at.browser.len, 0);
    T_EQ(tm_item_reg(item, t_str("x")).at.browser.len, 1);
    T_TRUE(tm_item_reg(item, t_str("x")).value.ptr == NULL);
    T_TRUE(tm_item_reg(item, t_str("k")).value.ptr != NULL);
    T_TEXT(tm_item_reg(item, t_str("k")).value, "");
    T_EQ(tm_item_reg(item, t_str("b")).at.browser.len, 0);
    T_TEXT(tm_item_reg(item, t_str("a")).at.browser, "b");

    (void)apply(&f, OP(B AT(6) ADD "\"m\""));
    item = tm_list_find(f.list, t_str("i"));
    T_TRUE(tm_item_live(item));
    names_check(item, " a k x "); // `add` has none
    T_TEXT(tm_item_reg(item, t_str("")).value, "m");
    (void)apply(&f, OP(B AT(6) DELETE));
    item = tm_list_at(f.list, 0);
    T_TRUE(item == tm_list_find(f.list, t_str("i")));
    T_TRUE(tm_item_dead(item) && !tm_item_live(item));
    names_check(item, "");
    T_EQ(tm_item_reg(item, t_str("a")).at.browser.len, 0);
    list_close(&f);
}

// The order is the stamps' of the ADDs; equal ones go by id.
static void test_order(void **state) {
    (void)state;
    static const char *const ids[] = {"e", "b", "a", "d", "dead", "c"};
    static const uint64_t times[] = {4, 2, 2, 3, 1, 2};
    fixture f;
    list_open(&f);
    for (size_t i = 0; i < COUNT(ids); i++) {
        tm_reg add = {.at = {times[i] << 16, 1, t_str("w")}, .value = t_str("m")};
        T_OK(tm_list_join_field(f.list, t_str(ids[i]), t_str(""), &add));
    }
    T_OK(tm_list_join_dead(f.list, t_str("dead")));
    tm_reg field = {.at = {9 << 16, 1, t_str("w")}, .value = t_str("v")};
    T_OK(tm_list_join_field(f.list, t_str("never added"), t_str("x"), &field));
    for (int down = 0; down < 3; down++) {
        t_row = down == 1 ? "desc" : "asc";
        const tm_item *order[8];
        char seen[8] = "";
        T_EQ(tm_list_live(f.list), 5);
        tm_list_order(f.list, order);
        for (size_t i = 0; i < 5; i++) {
            seen[i] = (char)tm_item_id(order[i]).ptr[0];
        }
        T_TEXT(t_str(seen), down == 1 ? "edcba" : "abcde");
        tm_reg sort = {.at = {(uint64_t)(down + 1) << 16, 1, t_str("w")},
                       .value = t_str(down == 0 ? "desc" : "asc")};
        T_OK(tm_list_join_field(f.list, t_str(""), t_str(""), &sort));
    }
    list_close(&f);
}

static void test_unknown(void **state) {
    (void)state;
    fixture f, g;
    list_open(&f);
    list_open(&g);
    static const char one[] =
        "{\"id\":\"u-1\",\"type\":\"LATER\",\"timestamp\":1," A
        "\"version\":1, \"more\":[{}] }";
    static const char two[] =
        "{\"id\":\"u-2\",\"type\":\"LATER\",\"timestamp\":1," A "\"version\":2}";
    T_TRUE(!apply(&f, one));
    T_TRUE(!apply(&f, two));
    size_t size = tm_list_size(f.list);
    T_TRUE(!apply(&f, one)); // once per id
    T_EQ(tm_list_size(f.list), size);
    T_TRUE(size >= strlen(EMPTY) + strlen(one) + strlen(two));
    T_EQ(tm_list_unknown_count(f.list), 2);
    T_TEXT(tm_list_unknown(f.list, 0), one);
    T_TEXT(tm_list_unknown(f.list, 1), two);
    bytes_check(&f, EMPTY);
    (void)apply(&g, two);
    T_OK(tm_list_join(g.list, f.list));
    T_EQ(tm_list_unknown_count(g.list), 2);
    T_TEXT(tm_list_unknown(g.list, 0), two);
    T_TEXT(tm_list_unknown(g.list, 1), one);
    T_EQ(tm_list_digest(g.list).lo, 0);
    list_close(&f);
    list_close(&g);
}

// ---- hostile ids --------------------------------------------------------------------

// Thousands of ids, so that the index and the table of names grow and collide.
static void test_many(void **state) {
    (void)state;
    fixture f;
    list_open(&f);
    enum { MANY = 3000 };
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < MANY; i++) {
            uint8_t id[8] = {(uint8_t)i, 0, (uint8_t)(i >> 8), 0}; // NULs inside
            tm_reg add = {.at = {i << 16, 1, t_str("w")}, .value = t_str("m")};
            T_OK(tm_list_join_field(f.list, (tm_span){id, 4}, t_str(""), &add));
        }
        T_EQ(tm_list_count(f.list), MANY);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        uint8_t id[8] = {(uint8_t)i, 0, (uint8_t)(i >> 8), 0};
        const tm_item *item = tm_list_find(f.list, (tm_span){id, 4});
        assert_non_null(item);
        T_TRUE(tm_list_at(f.list, i) == item);
        assert_null(tm_list_find(f.list, (tm_span){id, 3}));
    }
    list_close(&f);
}

// ---- reading ------------------------------------------------------------------------

#define STATE(browsers, dead, items, sort)                                         \
    "{\"format\":1,\"browsers\":[" browsers "],\"dead\":[" dead                    \
    "],\"items\":[" items "],\"sort\":" sort "}"

static const struct {
    const char *name, *text, *reason; // NULL = accepted
} states[] = {
    {"empty", EMPTY, NULL},
    {"space",
     " { \"format\" : 1 , \"browsers\":[ ],\"dead\":[],\"items\":[],\"sort\":null}",
     NULL},
    {"largest numbers",
     STATE("\"b\"", "", "[\"i\",[281474976710655,65535,0,9007199254740991,\"m\"]]",
           "null"),
     NULL},
    {"dead and an item too",
     STATE("\"b\"", "\"i\"", "[\"i\",[1,0,0,1,\"m\"]]", "null"), NULL},
    {"unused browsers", STATE("\"b\",\"c\"", "", "", "null"), NULL},
    {"sort", STATE("\"b\"", "", "", "[1,0,0,1,\"desc\"]"), NULL},

    {"an array", "[]", "expected an object"},
    {"no members", "{}", "state is incomplete"},
    {"another order", "{\"browsers\":[],\"format\":1}",
     "not the state's next member"},
    {"format 2", "{\"format\":2}", "a state format of another version"},
    {"format a string", "{\"format\":\"1\"}", "expected an integer"},
    {"sort missing", "{\"format\":1,\"browsers\":[],\"dead\":[],\"items\":[]}",
     "state is incomplete"},
    {"one more member",
     "{\"format\":1,\"browsers\":[],\"dead\":[],\"items\":[],\"sort\":null,\"x\":"
     "1}",
     "not a member of a state"},
    {"bad browser", STATE("\"a/b\"", "", "", "null"), "not a browserId"},
    {"browser a number", STATE("1", "", "", "null"), "expected a string"},
    {"dead id empty", STATE("", "\"\"", "", "null"), "not an instanceId"},
    {"item id empty", STATE("", "", "[\"\",null]", "null"), "not an instanceId"},
    {"item empty", STATE("", "", "[]", "null"), "array too short"},
    {"item without register", STATE("", "", "[\"i\",null]", "null"),
     "an item without a register"},
    {"item not an array", STATE("", "", "\"i\"", "null"), "expected an array"},
    {"no such browser", STATE("\"b\"", "", "[\"i\",[1,0,1,1,\"m\"]]", "null"),
     "no such browser"},
    {"timestamp too large",
     STATE("\"b\"", "", "[\"i\",[281474976710656,0,0,1,\"m\"]]", "null"),
     "number out of range"},
    {"logical too large", STATE("\"b\"", "", "[\"i\",[1,65536,0,1,\"m\"]]", "null"),
     "number out of range"},
    {"version zero", STATE("\"b\"", "", "[\"i\",[1,0,0,0,\"m\"]]", "null"),
     "number out of range"},
    {"version too large",
     STATE("\"b\"", "", "[\"i\",[1,0,0,9007199254740992,\"m\"]]", "null"),
     "number out of range"},
    {"register too short", STATE("\"b\"", "", "[\"i\",[1,0,0,1]]", "null"),
     "array too short"},
    {"register too long", STATE("\"b\"", "", "[\"i\",[1,0,0,1,\"m\",2]]", "null"),
     "array too long"},
    {"imageId null", STATE("\"b\"", "", "[\"i\",[1,0,0,1,null]]", "null"),
     "not an imageId"},
    {"imageId empty", STATE("\"b\"", "", "[\"i\",[1,0,0,1,\"\"]]", "null"),
     "not an imageId"},
    {"field name",
     STATE("\"b\"", "", "[\"i\",null,[\"9\",[1,0,0,1,\"m\"]]]", "null"),
     "not a field's name"},
    {"field too short", STATE("\"b\"", "", "[\"i\",null,[\"a\"]]", "null"),
     "array too short"},
    {"field too long",
     STATE("\"b\"", "", "[\"i\",null,[\"a\",[1,0,0,1,null],1]]", "null"),
     "array too long"},
    {"value a number",
     STATE("\"b\"", "", "[\"i\",null,[\"a\",[1,0,0,1,7]]]", "null"),
     "expected a string"},
    {"sort neither", STATE("\"b\"", "", "", "[1,0,0,1,\"up\"]"),
     "sort is not asc or desc"},
    {"sort null value", STATE("\"b\"", "", "", "[1,0,0,1,null]"),
     "sort is not asc or desc"},
};

static void test_read(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(states); i++) {
        t_row = states[i].name;
        fixture f;
        list_open(&f);
        tm_json in;
        tm_json_init(&in, t_str(states[i].text), TM_DEPTH_MAX, &f.arena);
        tm_status status = tm_list_read(f.list, &in);
        if (states[i].reason == NULL) {
            T_OK(status);
            T_OK(tm_json_end(&in));
        } else {
            bool format = strcmp(states[i].name, "format 2") == 0;
            T_STATUS(status, format ? TM_E_RANGE : TM_E_CORRUPT);
            T_TEXT(t_str(in.error.reason), states[i].reason);
        }
        list_close(&f);
    }
}

static void test_read_value_limit(void **state) {
    (void)state;
    for (size_t len = TM_VALUE_MAX - 1; len <= TM_VALUE_MAX + 1; len++) {
        fixture f;
        list_open(&f);
        tm_buf text = {.alloc = &f.alloc};
        tm_buf_text(
            &text,
            "{\"format\":1,\"browsers\":[\"b\"],\"dead\":[],\"items\":[[\"i\","
            "null,[\"a\",[1,0,0,1,\"");
        for (size_t i = 0; i < len; i++) {
            tm_buf_byte(&text, 'x');
        }
        tm_buf_text(&text, "\"]]]],\"sort\":null}");
        tm_json in;
        tm_json_init(&in, tm_buf_span(&text), TM_DEPTH_MAX, &f.arena);
        T_STATUS(tm_list_read(f.list, &in),
                 len <= TM_VALUE_MAX ? TM_OK : TM_E_CORRUPT);
        tm_buf_deinit(&text);
        list_close(&f);
    }
}

// Every prefix is refused; the whole gives the same state.
static void test_read_truncations(void **state) {
    (void)state;
    fixture f;
    list_open(&f);
    history_apply(&f);
    (void)apply(
        &f,
        OP(B AT(11) "\"type\":\"UPDATE_METADATA\",\"instanceId\":\"j\",\"data\":{"
                    "\"a\":\"\\n\",\"b\":null}"));
    tm_span whole = list_bytes(&f.arena, f.list);
    tm_arena scratch = {.alloc = &f.alloc};
    for (size_t len = 0; len <= whole.len; len++) {
        tm_list *list = NULL;
        tm_json in;
        uint8_t *exact = malloc(len + (len == 0));
        assert_non_null(exact);
        memcpy(exact, whole.ptr, len);
        T_OK(tm_list_new(&f.alloc, HELP_SEED, &list));
        tm_json_init(&in, (tm_span){exact, len}, TM_DEPTH_MAX, &scratch);
        T_STATUS(tm_list_read(list, &in), len == whole.len ? TM_OK : TM_E_CORRUPT);
        if (len == whole.len) T_SPAN(list_bytes(&f.arena, list), whole);
        tm_list_free(list);
        tm_arena_reset(&scratch);
        free(exact);
    }
    tm_arena_deinit(&scratch);
    list_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_readers),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_value_limit),
        cmocka_unit_test(test_read_truncations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
