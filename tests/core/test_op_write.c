// op.h: what is written reads back, every truncation of it is refused, and what is spliced
// when an operation is passed on.
#include "core/op.h"
#include "help.h"
#include "t.h"

// ---- writing ------------------------------------------------------------------------

static const char *const written[] = {
    "{\"id\":\"o\",\"type\":\"ADD\",\"instanceId\":\"i\\u0000\",\"imageId\":\"m\","
    "\"data\":"
    "{\"a\":null,\"b\":\"\",\"c\":\"\\\"\"},\"timestamp\":5,\"logical\":1,"
    "\"browserId\":"
    "\"b\",\"version\":9007199254740991}",
    "{\"id\":\"o\",\"type\":\"ADD\",\"instanceId\":\"i\",\"imageId\":\"m\","
    "\"timestamp\":0,"
    "\"browserId\":\"b\",\"version\":1}",
    "{\"id\":\"o\",\"type\":\"UPDATE_METADATA\",\"instanceId\":\"i\",\"data\":{"
    "\"a\":\"x\"}"
    ",\"timestamp\":281474976710655,\"logical\":65535,\"browserId\":\"b\","
    "\"version\":1}",
    "{\"id\":\"o\",\"type\":\"DELETE\",\"instanceId\":\"i\",\"timestamp\":5,"
    "\"browserId\":"
    "\"b\",\"version\":1}",
    ("{\"id\":\"o\",\"type\":\"SORT_CHANGE\",\"sort\":\"desc\",\"timestamp\":5,"
     "\"browserId\":\"b\",\"version\":1}"),
};

// What is written reads back to be written the same; a refusal is noticed at the end.
static void test_write(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(written); i++) {
        t_row = written[i];
        for (size_t k = 1;; k++) {
            t_memory memory = {0};
            tm_alloc alloc = t_alloc(&memory);
            tm_arena arena = {.alloc = &alloc};
            const tm_op *op = op_from(&arena, t_str(written[i]));
            tm_buf out = {.alloc = &alloc};
            memory.fail_at = memory.requests + k;
            tm_op_write(&out, op);
            if (memory.refused) {
                T_STATUS(out.status, TM_E_NOMEM);
            } else {
                T_OK(out.status);
                T_TEXT(tm_buf_span(&out), written[i]);
            }
            tm_buf_deinit(&out);
            tm_arena_deinit(&arena);
            T_EQ(memory.live, 0);
            if (!memory.refused) break;
        }
    }
}

// ---- passing on ---------------------------------------------------------------------

static const uint64_t time_5_0 = UINT64_C(5) << 16,
                      time_5_9 = UINT64_C(5) << 16 | 9;
static const tm_span browser_z = TM_LIT("z");

#define OP(before, middle, after)                                                  \
    "{" before                                                                     \
    "\"id\":\"o\",\"type\":\"X\" ,\"timestamp\" : 1790000000000, \"u\":[1,"        \
    " 2]," middle "\"browserId\":\"b\\u002db\",\"version\":57" after "}"

static const struct {
    const char *name, *text;
    tm_op_change change;
    const char *want;
} passes[] = {
    {"nothing", OP("", "", ""), {0}, OP("", "", "")},
    {"space stays",
     "{ \"id\":\"o\" , \"type\":\"X\",\"timestamp\":1,\"browserId\":\"b\","
     "\"version\":1 }",
     {0},
     "{ \"id\":\"o\" , "
     "\"type\":\"X\",\"timestamp\":1,\"browserId\":\"b\",\"version\":1 }"},
    {"seq appended", OP("", "", ""), {.seq = 1236}, OP("", "", ",\"seq\":1236")},
    {"seq replaced first",
     OP("\"seq\":1,", "", ""),
     {.seq = 22},
     OP("\"seq\":22,", "", "")},
    {"seq replaced in the middle",
     OP("", "\"seq\" : 123 ,", ""),
     {.seq = 9},
     OP("", "\"seq\" : 9 ,", "")},
    {"seq removed first", OP("\"seq\" : 1 , ", "", ""), {0}, OP(" ", "", "")},
    {"seq removed in the middle", OP("", "\"seq\":12,", ""), {0}, OP("", "", "")},
    {"seq removed last", OP("", "", " , \"seq\":12 "), {0}, OP("", "", "  ")},
    {"seq removed, its key escaped",
     OP("", "\"s\\u0065q\":12,", ""),
     {0},
     OP("", "", "")},
    {"time, logical 0",
     OP("", "", ""),
     {.time = &time_5_0},
     "{\"id\":\"o\",\"type\":\"X\" ,\"timestamp\" : 5, \"u\":[1, 2],\"browserId\":"
     "\"b\\u002db\",\"version\":57}"},
    {"time, logical appended",
     OP("", "", ""),
     {.time = &time_5_9, .seq = 3},
     "{\"id\":\"o\",\"type\":\"X\" ,\"timestamp\" : 5, \"u\":[1, 2],\"browserId\":"
     "\"b\\u002db\",\"version\":57,\"logical\":9,\"seq\":3}"},
    {"time, logical replaced",
     OP("\"logical\":65535,", "", ""),
     {.time = &time_5_9},
     "{\"logical\":9,\"id\":\"o\",\"type\":\"X\" ,\"timestamp\" : 5, \"u\":[1, 2],"
     "\"browserId\":\"b\\u002db\",\"version\":57}"},
    {"time, logical to 0",
     OP("", "\"logical\":7,", ""),
     {.time = &time_5_0},
     "{\"id\":\"o\",\"type\":\"X\" ,\"timestamp\" : 5, \"u\":[1, 2],\"logical\":0,"
     "\"browserId\":\"b\\u002db\",\"version\":57}"},
    {"writer",
     OP("", "", ""),
     {.browser = &browser_z, .version = 1},
     "{\"id\":\"o\",\"type\":\"X\" ,\"timestamp\" : 1790000000000, \"u\":[1, 2],"
     "\"browserId\":\"z\",\"version\":1}"},
    {"all",
     OP("\"logical\":1,\"seq\":2,", "", ""),
     {.browser = &browser_z, .version = 1, .time = &time_5_9, .seq = 77},
     "{\"logical\":9,\"seq\":77,\"id\":\"o\",\"type\":\"X\" ,\"timestamp\" : 5, "
     "\"u\":[1, 2],"
     "\"browserId\":\"z\",\"version\":1}"},
};

static void test_pass(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    for (size_t i = 0; i < COUNT(passes); i++) {
        t_row = passes[i].name;
        char text[512]; // somewhere in a larger document
        snprintf(text, sizeof text, " [ %s ]", passes[i].text);
        tm_json in;
        static tm_op op;
        tm_json_init(&in, t_str(text), TM_DEPTH_MAX, &arena);
        T_OK(tm_json_open(&in, TM_JSON_ARRAY));
        T_TRUE(tm_json_element(&in));
        T_OK(tm_op_read(&in, &op));
        tm_buf out = {.alloc = &alloc};
        tm_op_pass(&out, &op, &passes[i].change);
        T_OK(out.status);
        T_TEXT(tm_buf_span(&out), passes[i].want);
        const tm_op *back = op_from(&arena, tm_buf_span(&out));
        T_EQ(back->seq, passes[i].change.seq);
        T_EQ(back->fault, TM_FAULT_NONE);
        tm_buf_deinit(&out);
    }
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

static void test_truncations(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    for (size_t i = 0; i < COUNT(written); i++) {
        t_row = written[i];
        for (size_t len = 0; len < strlen(written[i]); len++) {
            uint8_t *exact = malloc(len + (len == 0));
            assert_non_null(exact);
            memcpy(exact, written[i], len);
            tm_json in;
            static tm_op op;
            tm_json_init(&in, (tm_span){exact, len}, TM_DEPTH_MAX, &arena);
            T_STATUS(tm_op_read(&in, &op), TM_E_CORRUPT);
            free(exact);
            tm_arena_reset(&arena);
        }
    }
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_pass),
        cmocka_unit_test(test_truncations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
