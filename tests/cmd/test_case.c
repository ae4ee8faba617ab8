// Files of cases: cmd/check_case.h. What is malformed is refused with its place; what the
// README allows is taken.
#include "t.h"

#include "cmd/check_case.h"
#include "cmd/host.h"

#define SCENARIO(rest)                                                             \
    "{\"name\":\"n\",\"kind\":\"scenario\",\"start\":1700000000000,"               \
    "\"replicas\":[{\"id\":\"A\",\"browserId\":\"a\"},"                            \
    "{\"id\":\"B\",\"browserId\":\"b\"}],"                                         \
    "\"expect\":{\"state\":{\"items\":{}}},\"steps\":[" rest "]}"
#define MERGE(ops, expect)                                                         \
    "{\"name\":\"n\",\"kind\":\"merge\",\"ops\":" ops ",\"expect\":" expect "}"
#define NOTHING "{\"state\":{\"items\":{}}}"

typedef struct row {
    const char *name, *text;
    int64_t step;    // where it is wrong; -1 = not in a step
    const char *why; // a part of the reason; NULL = it is well-formed
} row;

static void rows_judge(const row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        tm_arena arena = {.alloc = &tm_host_alloc};
        const tm_node *one = NULL;
        tm_check_case_flaw flaw;
        t_row = rows[i].name;
        T_OK(tm_tree_read(t_str(rows[i].text), &arena, &one, NULL));
        bool good = tm_check_case_judge(one, &flaw);
        if (!good && rows[i].why == NULL) T_TEXT(t_str(flaw.why), "");
        T_EQ(good, rows[i].why == NULL);
        if (!good && strstr(flaw.why, rows[i].why) == NULL) {
            T_TEXT(t_str(flaw.why), rows[i].why);
        }
        if (!good) T_EQ(flaw.step, rows[i].step);
        tm_arena_deinit(&arena);
    }
}

static void test_steps(void **state) {
    static const row rows[] = {
        {"no steps", SCENARIO(""), 0, NULL},
        {"a step that is a number", SCENARIO("7"), 0, "wants `do`"},
        {"no do", SCENARIO("{\"at\":\"A\"}"), 0, "wants `do`"},
        {"an unknown step",
         SCENARIO("{\"do\":\"sync\",\"at\":\"A\"},{\"do\":\"dance\"}"), 1,
         "there is no step `dance`"},
        {"a missing member", SCENARIO("{\"do\":\"push\"}"), 0, "lacks `at`"},
        {"a misspelt member",
         SCENARIO("{\"do\":\"push\",\"at\":\"A\",\"falt\":\"none\"}"), 0,
         "has no member `falt`"},
        {"a member of another step",
         SCENARIO("{\"do\":\"pull\",\"at\":\"A\",\"acceptFirst\":1}"), 0,
         "has no member `acceptFirst`"},
        {"an unknown replica", SCENARIO("{\"do\":\"sync\",\"at\":\"C\"}"), 0,
         "there is no replica \"C\""},
        {"a replica that is cloned later",
         SCENARIO("{\"do\":\"sync\",\"at\":\"K\"},"
                  "{\"do\":\"clone\",\"from\":\"A\",\"to\":\"K\"}"),
         0, "there is no replica \"K\""},
        {"a clone",
         SCENARIO("{\"do\":\"clone\",\"from\":\"A\",\"to\":\"K\"},"
                  "{\"do\":\"sync\",\"at\":\"K\"}"),
         0, NULL},
        {"a clone of nobody",
         SCENARIO("{\"do\":\"clone\",\"from\":\"C\",\"to\":\"K\"}"), 0,
         "there is no replica"},
        {"a clone's name taken",
         SCENARIO("{\"do\":\"clone\",\"from\":\"A\",\"to\":\"B\"}"), 0,
         "there is a replica \"B\" already"},
        {"an unknown fault",
         SCENARIO("{\"do\":\"push\",\"at\":\"A\",\"fault\":\"boom\"}"), 0,
         "is not a fault of a push"},
        {"a pull with a push's fault",
         SCENARIO("{\"do\":\"pull\",\"at\":\"A\",\"fault\":\"duplicated\"}"), 0,
         "is not a fault of a pull"},
        {"an unknown result",
         SCENARIO("{\"do\":\"edit\",\"at\":\"A\",\"op\":{\"type\":\"ADD\"},"
                  "\"result\":\"fine\"}"),
         0, "`result`"},
        {"an edit that is no object",
         SCENARIO("{\"do\":\"edit\",\"at\":\"A\",\"op\":1}"), 0, "wants `type`"},
        {"times 0",
         SCENARIO("{\"do\":\"edit\",\"at\":\"A\",\"op\":{\"type\":\"ADD\"},"
                  "\"times\":0}"),
         0, "`times`"},
        {"times without end",
         SCENARIO("{\"do\":\"edit\",\"at\":\"A\",\"op\":{\"type\":\"ADD\"},"
                  "\"times\":100001}"),
         0, "a number from 1 to 100000"},
        {"a negative advance", SCENARIO("{\"do\":\"advance\",\"ms\":-1}"), 0,
         "`ms`"},
        {"a negative offset",
         SCENARIO("{\"do\":\"clock\",\"at\":\"A\",\"offsetMs\":-86400000}"), 0,
         NULL},
        {"an offset past all times",
         SCENARIO("{\"do\":\"serverClock\",\"offsetMs\":18446744073709551615}"), 0,
         "`offsetMs`"},
        {"nth 0", SCENARIO("{\"do\":\"replay\",\"at\":\"A\",\"nth\":0}"), 0,
         "`nth`"},
        {"a reject from 1 on",
         SCENARIO("{\"do\":\"push\",\"at\":\"A\",\"reject\":[1,0]}"), 0,
         "`reject`"},
        {"keep something else",
         SCENARIO("{\"do\":\"wipe\",\"at\":\"A\",\"keep\":[\"queue\"]}"), 0,
         "`keep`"},
        {"keep",
         SCENARIO("{\"do\":\"wipe\",\"at\":\"A\",\"keep\":[\"browserId\"]}"), 0,
         NULL},
        {"full is a word",
         SCENARIO("{\"do\":\"quota\",\"at\":\"A\",\"full\":\"yes\"}"), 0, "`full`"},
        {"a view without items",
         SCENARIO("{\"do\":\"expect\",\"at\":\"A\",\"view\":{\"sort\":\"asc\"}}"),
         0, "wants `items`"},
        {"a view's unknown member",
         SCENARIO(
             "{\"do\":\"expect\",\"at\":\"A\",\"view\":{\"items\":{},\"x\":1}}"),
         0, "has no member `x`"},
        {"a view's sort",
         SCENARIO("{\"do\":\"expect\",\"at\":\"A\",\"view\":{\"items\":{},"
                  "\"sort\":\"up\"}}"),
         0, "`sort`"},
        {"an item without an image",
         SCENARIO(
             "{\"do\":\"expect\",\"at\":\"A\",\"view\":{\"items\":{\"x\":{}}}}"),
         0, "wants `imageId`"},
        {"a field that is a number",
         SCENARIO("{\"do\":\"expect\",\"at\":\"A\",\"view\":{\"items\":"
                  "{\"x\":{\"imageId\":\"i\",\"f\":1}}}}"),
         0, "`f` of item \"x\""},
        {"a view of nobody",
         SCENARIO("{\"do\":\"expect\",\"view\":{\"items\":{}}}"), 0, "lacks `at`"},
        {"pending of nobody", SCENARIO("{\"do\":\"expect\",\"pending\":1}"), 0,
         "lacks `at`"},
        {"the server alone", SCENARIO("{\"do\":\"expect\",\"serverOps\":1}"), 0,
         NULL},
        {"every option at once",
         SCENARIO(
             "{\"do\":\"push\",\"at\":\"A\",\"fault\":\"responseLost\","
             "\"acceptFirst\":0,\"reject\":[1,2],"
             "\"editsInFlight\":[{\"type\":\"DELETE\",\"instanceId\":\"x\"}]}"),
         0, NULL},
    };
    (void)state;
    rows_judge(rows, COUNT(rows));
}

static void test_cases(void **state) {
    static const row rows[] = {
        {"a case that is a word", "\"case\"", -1, "a case is an object"},
        {"no name", "{\"kind\":\"merge\"}", -1, "lacks `name`"},
        {"no kind", "{\"name\":\"n\"}", -1, "`kind` is"},
        {"an unknown kind", "{\"name\":\"n\",\"kind\":\"party\"}", -1, "`kind` is"},
        {"a merge", MERGE("[{\"type\":\"ADD\"}]", NOTHING), -1, NULL},
        {"ops that are none", MERGE("[1]", NOTHING), -1, "wants `type`"},
        {"ops of no array", MERGE("{}", NOTHING), -1, "`ops`"},
        {"no state", MERGE("[]", "{}"), -1, "lacks `state`"},
        {"order of numbers",
         MERGE("[]", "{\"state\":{\"items\":{}},\"order\":[1]}"), -1, "`order`"},
        {"a misspelt expectation",
         MERGE("[]", "{\"state\":{\"items\":{}},\"ordr\":[]}"), -1,
         "has no member `ordr`"},
        {"a scenario without a start", "{\"name\":\"n\",\"kind\":\"scenario\"}", -1,
         "lacks `start`"},
        {"no replicas",
         "{\"name\":\"n\",\"kind\":\"scenario\",\"start\":1,\"replicas\":[],"
         "\"steps\":[],\"expect\":" NOTHING "}",
         -1, "`replicas`"},
        {"two replicas of one name",
         "{\"name\":\"n\",\"kind\":\"scenario\",\"start\":1,\"replicas\":["
         "{\"id\":\"A\",\"browserId\":\"a\"},{\"id\":\"A\",\"browserId\":\"b\"}],"
         "\"steps\":[],\"expect\":" NOTHING "}",
         -1, "two replicas"},
        {"a replica without a browserId",
         "{\"name\":\"n\",\"kind\":\"scenario\",\"start\":1,\"replicas\":["
         "{\"id\":\"A\"}],\"steps\":[],\"expect\":" NOTHING "}",
         -1, "lacks `browserId`"},
        {"steps that are none",
         "{\"name\":\"n\",\"kind\":\"scenario\",\"start\":1,\"replicas\":["
         "{\"id\":\"A\",\"browserId\":\"a\"}],\"steps\":{},\"expect\":" NOTHING "}",
         -1, "`steps`"},
        {"an exception for nobody",
         "{\"name\":\"n\",\"kind\":\"scenario\",\"start\":1,\"replicas\":["
         "{\"id\":\"A\",\"browserId\":\"a\"}],\"steps\":[],"
         "\"expect\":{\"state\":{\"items\":{}},\"except\":[\"B\"]}}",
         -1, "there is no replica \"B\""},
        {"letters pending",
         "{\"name\":\"n\",\"kind\":\"scenario\",\"start\":1,\"replicas\":["
         "{\"id\":\"A\",\"browserId\":\"a\"}],\"steps\":[],"
         "\"expect\":{\"state\":{\"items\":{}},\"pending\":{\"A\":\"x\"}}}",
         -1, "`pending`"},
        {"members that we do not know are left alone in a case",
         "{\"name\":\"n\",\"kind\":\"merge\",\"ops\":[],\"note\":7,"
         "\"expect\":" NOTHING "}",
         -1, NULL},
    };
    (void)state;
    rows_judge(rows, COUNT(rows));
}

static void test_files(void **state) {
    static const struct {
        const char *name, *text, *why;
    } rows[] = {
        {"empty", "", "nothing is there"},
        {"cut off", "{\"format\":1,\n\"cases\":[", "line 2"},
        {"two documents", "{\"format\":1,\"cases\":[]}{}", "more behind"},
        {"a key twice", "{\"format\":1,\"format\":1,\"cases\":[]}",
         "duplicate key"},
        {"not UTF-8", "{\"format\":1,\"cases\":[\"\xff\"]}", "not UTF-8"},
        {"an array", "[]", "lacks `format`"},
        {"no format", "{\"cases\":[]}", "lacks `format`"},
        {"another format", "{\"format\":2,\"cases\":[]}", "its format is 2"},
        {"no cases", "{\"format\":1}", "lacks `cases`"},
        {"cases in an object", "{\"format\":1,\"cases\":{}}", "lacks `cases`"},
        {"nested too deep",
         "{\"format\":1,\"cases\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}",
         "nested too deep"},
        {"good", "{\"format\":1,\"cases\":[]}", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        tm_arena arena = {.alloc = &tm_host_alloc};
        const tm_node *first;
        char problem[256] = "";
        t_row = rows[i].name;
        tm_status status =
            tm_check_case_file_read(t_str(rows[i].text), &arena, &first, problem);
        T_STATUS(status, rows[i].why == NULL ? TM_OK : TM_E_CORRUPT);
        if (rows[i].why != NULL && strstr(problem, rows[i].why) == NULL) {
            T_TEXT(t_str(problem), rows[i].why);
        }
        tm_arena_deinit(&arena);
    }
}

// Any prefix of a file is refused, none crashes.
static void test_prefixes(void **state) {
    static const char text[] =
        "{\"format\":1,\"cases\":[" MERGE("[{\"type\":\"ADD\"}]", NOTHING) "]}";
    (void)state;
    for (size_t len = 0; len + 1 < sizeof text; len++) {
        tm_arena arena = {.alloc = &tm_host_alloc};
        const tm_node *first;
        char problem[256];
        t_row = "a prefix";
        tm_span part = {(const uint8_t *)text, len};
        T_STATUS(tm_check_case_file_read(part, &arena, &first, problem),
                 TM_E_CORRUPT);
        tm_arena_deinit(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
