// op.h: the bounds of SEMANTICS 2 to the byte, which wrong fails the request and which
// only the operation, the writer, and what is spliced when an operation is passed on.
#include "core/op.h"
#include "help.h"
#include "t.h"

#define HEAD   "{\"id\":\"o-1\",\"browserId\":\"b\",\"version\":1,\"timestamp\":5,"
#define ADD    HEAD "\"type\":\"ADD\",\"instanceId\":\"i\",\"imageId\":\"m\""
#define UPDATE HEAD "\"type\":\"UPDATE_METADATA\",\"instanceId\":\"i\","
#define SORT   HEAD "\"type\":\"SORT_CHANGE\","
#define DELETE HEAD "\"type\":\"DELETE\","

// `%` in a text stands for `many` times 'x'.
typedef struct op_row {
    const char *name, *text;
    size_t many;
    const char *want; // fault's word; for those that fail, the reason
} op_row;

static tm_span row_text(tm_arena *arena, const op_row *row) {
    tm_buf buf = {.alloc = arena->alloc};
    for (const char *c = row->text; *c != '\0'; c++) {
        for (size_t i = 0; i < row->many && *c == '%'; i++) {
            tm_buf_byte(&buf, 'x');
        }
        if (*c != '%') tm_buf_byte(&buf, (uint8_t)*c);
    }
    tm_span copy;
    T_OK(tm_arena_copy(arena, tm_buf_span(&buf), &copy));
    tm_buf_deinit(&buf);
    return copy;
}

static const op_row faults[] = {
    {"ADD", ADD "}", 0, ""},
    {"ADD with data", ADD ",\"data\":{\"photoNumber\":\"12\",\"x\":null}}", 0, ""},
    {"ADD with no fields in data", ADD ",\"data\":{}}", 0, ""},
    {"UPDATE", UPDATE "\"data\":{\"a\":\"\"}}", 0, ""},
    {"DELETE", DELETE "\"instanceId\":\"i\"}", 0, ""},
    {"SORT asc", SORT "\"sort\":\"asc\"}", 0, ""},
    {"SORT desc", SORT "\"sort\":\"desc\"}", 0, ""},
    {"type last", HEAD "\"sort\":\"asc\",\"type\":\"SORT_CHANGE\"}", 0, ""},
    {"unknown members", ADD ",\"future\":{\"a\":[1]},\"x\":null}", 0, ""},

    {"unknown type", HEAD "\"type\":\"MERGE\"}", 0, ""},
    {"unknown type, any members",
     HEAD
     "\"type\":\"add\",\"data\":7,\"sort\":[],\"imageId\":{},\"instanceId\":null}",
     0, ""},
    {"no type", HEAD "\"instanceId\":\"i\"}", 0, "bad-type"},
    {"type not a string", HEAD "\"type\":1}", 0, "bad-type"},
    {"type empty", HEAD "\"type\":\"\"}", 0, "bad-type"},

    {"no instanceId", DELETE "\"x\":1}", 0, "bad-instanceId"},
    {"instanceId empty", DELETE "\"instanceId\":\"\"}", 0, "bad-instanceId"},
    {"instanceId a number", DELETE "\"instanceId\":7}", 0, "bad-instanceId"},
    {"instanceId of 128", DELETE "\"instanceId\":\"%\"}", 128, ""},
    {"instanceId of 129", DELETE "\"instanceId\":\"%\"}", 129, "bad-instanceId"},
    {"instanceId of 128 once unescaped", DELETE "\"instanceId\":\"%\\u0000\"}", 127,
     ""},
    {"instanceId null in SORT does not matter",
     SORT "\"instanceId\":7,\"sort\":\"asc\"}", 0, ""},

    {"no imageId", HEAD "\"type\":\"ADD\",\"instanceId\":\"i\"}", 0, "bad-imageId"},
    {"imageId empty",
     HEAD "\"type\":\"ADD\",\"instanceId\":\"i\",\"imageId\":\"\"}", 0,
     "bad-imageId"},
    {"imageId of 128",
     HEAD "\"type\":\"ADD\",\"instanceId\":\"i\",\"imageId\":\"%\"}", 128, ""},
    {"imageId of 129",
     HEAD "\"type\":\"ADD\",\"instanceId\":\"i\",\"imageId\":\"%\"}", 129,
     "bad-imageId"},
    {"imageId in DELETE does not matter",
     DELETE "\"instanceId\":\"i\",\"imageId\":[]}", 0, ""},

    {"UPDATE without data", UPDATE "\"x\":1}", 0, "bad-data"},
    {"UPDATE of nothing", UPDATE "\"data\":{}}", 0, "bad-data"},
    {"data null", ADD ",\"data\":null}", 0, "bad-data"},
    {"data an array", UPDATE "\"data\":[\"a\"]}", 0, "bad-data"},
    {"value a number", UPDATE "\"data\":{\"a\":1}}", 0, "bad-data"},
    {"value an object", UPDATE "\"data\":{\"a\":{}}}", 0, "bad-data"},
    {"value true", UPDATE "\"data\":{\"a\":true}}", 0, "bad-data"},
    {"value of 4096", UPDATE "\"data\":{\"a\":\"%\"}}", 4096, ""},
    {"value of 4097", UPDATE "\"data\":{\"a\":\"%\"}}", 4097, "bad-data"},
    {"value of 4096 once unescaped", UPDATE "\"data\":{\"a\":\"%\\u00e9\"}}", 4094,
     ""},
    {"value of 4097 once unescaped", UPDATE "\"data\":{\"a\":\"%\\u00e9\"}}", 4095,
     "bad-data"},
    {"name of 32", UPDATE "\"data\":{\"%\":\"\"}}", 32, ""},
    {"name of 33", UPDATE "\"data\":{\"%\":\"\"}}", 33, "bad-data"},
    {"name empty", UPDATE "\"data\":{\"\":\"\"}}", 0, "bad-data"},
    {"name with a digit and an underscore", UPDATE "\"data\":{\"zA_9\":\"\"}}", 0,
     ""},
    {"name begins with a digit", UPDATE "\"data\":{\"9a\":\"\"}}", 0, "bad-data"},
    {"name begins with an underscore", UPDATE "\"data\":{\"__proto__\":\"\"}}", 0,
     "bad-data"},
    {"name with a dash", UPDATE "\"data\":{\"a-b\":\"\"}}", 0, "bad-data"},
    {"name with a dot", UPDATE "\"data\":{\"a.b\":\"\"}}", 0, "bad-data"},
    {"name with an umlaut", UPDATE "\"data\":{\"a\xc3\xa4\":\"\"}}", 0, "bad-data"},
    {"name with NUL", UPDATE "\"data\":{\"a\\u0000\":\"\"}}", 0, "bad-data"},
    {"data in DELETE does not matter", DELETE "\"instanceId\":\"i\",\"data\":[]}",
     0, ""},

    {"no sort", SORT "\"x\":1}", 0, "bad-sort"},
    {"sort ASC", SORT "\"sort\":\"ASC\"}", 0, "bad-sort"},
    {"sort empty", SORT "\"sort\":\"\"}", 0, "bad-sort"},
    {"sort true", SORT "\"sort\":true}", 0, "bad-sort"},
};

// What means nothing in a type does not show.
static void test_trim(void **state) {
    (void)state;
    static const struct {
        const char *type;
        bool instance, image, fields, sort;
    } rows[] = {
        {"ADD", true, true, true, false},
        {"UPDATE_METADATA", true, false, true, false},
        {"DELETE", true, false, false, false},
        {"SORT_CHANGE", false, false, false, true},
        {"LATER", false, false, false, false},
    };
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[512];
        t_row = rows[i].type;
        snprintf(text, sizeof text,
                 HEAD "\"type\":\"%s\",\"instanceId\":\"i\",\"imageId\":\"m\","
                      "\"data\":{\"a\":\"\"},\"sort\":\"asc\"}",
                 rows[i].type);
        const tm_op *op = op_from(&arena, t_str(text));
        T_EQ(op->fault, TM_FAULT_NONE);
        T_EQ(op->instance_id.len > 0, rows[i].instance);
        T_EQ(op->image_id.len > 0, rows[i].image);
        T_EQ(op->field_count > 0, rows[i].fields);
        T_EQ(op->sort.len > 0, rows[i].sort);
    }
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

static void test_faults(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    for (size_t i = 0; i < COUNT(faults); i++) {
        t_row = faults[i].name;
        tm_span text = row_text(&arena, &faults[i]);
        const tm_op *op = op_from(&arena, text);
        T_TEXT(tm_fault_word(op->fault), faults[i].want);
        T_TEXT(op->id, "o-1"); // the identity is there whatever the fault
        T_TEXT(op->at.browser, "b");
        T_EQ(op->at.version, 1);
        T_SPAN(op->raw, text);
        tm_arena_reset(&arena);
    }
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

#define NUMBERS(timestamp, more)                                                   \
    "{\"id\":\"o\",\"type\":\"DELETE\",\"instanceId\":\"i\",\"browserId\":\"b\","  \
    "\"version\":1,\"timestamp\":" timestamp more "}"

static const struct {
    const char *name, *text, *want;
    uint64_t time, seq;
} clocks[] = {
    {"zero", NUMBERS("0", ""), "", 0, 0},
    {"last millisecond", NUMBERS("281474976710655", ",\"logical\":65535"), "",
     UINT64_MAX, 0},
    {"one past it", NUMBERS("281474976710656", ""), "bad-timestamp", 0, 0},
    {"negative", NUMBERS("-1", ""), "bad-timestamp", 0, 0},
    {"a string", NUMBERS("\"5\"", ""), "bad-timestamp", 0, 0},
    {"null", NUMBERS("null", ""), "bad-timestamp", 0, 0},
    {"logical 1", NUMBERS("5", ",\"logical\":1"), "", 5 << 16 | 1, 0},
    {"logical 65536", NUMBERS("5", ",\"logical\":65536"), "bad-logical", 0, 0},
    {"logical negative", NUMBERS("5", ",\"logical\":-1"), "bad-logical", 0, 0},
    {"logical null", NUMBERS("5", ",\"logical\":null"), "bad-logical", 0, 0},
    {"seq", NUMBERS("5", ",\"seq\":7"), "", 5 << 16, 7},
    {"largest seq", NUMBERS("5", ",\"seq\":9007199254740991"), "", 5 << 16,
     9007199254740991},
    {"seq too large", NUMBERS("5", ",\"seq\":9007199254740992"), "has-seq", 0, 0},
    {"seq zero", NUMBERS("5", ",\"seq\":0"), "has-seq", 0, 0},
    {"seq null", NUMBERS("5", ",\"seq\":null"), "has-seq", 0, 0},
};

static void test_numbers(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    for (size_t i = 0; i < COUNT(clocks); i++) {
        t_row = clocks[i].name;
        const tm_op *op = op_from(&arena, t_str(clocks[i].text));
        T_TEXT(tm_fault_word(op->fault), clocks[i].want);
        if (op->fault == TM_FAULT_NONE) T_EQ(op->at.time, clocks[i].time);
        T_EQ(op->seq, clocks[i].seq);
    }
    t_row = "no timestamp";
    const tm_op *op = op_from(
        &arena,
        t_str("{\"id\":\"o\",\"type\":\"X\",\"browserId\":\"b\",\"version\":1}"));
    T_TEXT(tm_fault_word(op->fault), "bad-timestamp");
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

#define MISSING        "id, browserId or version is missing"
#define ID_REASON      "id is not 1 to 64 of A-Z a-z 0-9 . _ ~ / -"
#define BROWSER_REASON "browserId is not 1 to 64 of A-Z a-z 0-9 . _ ~ -"
#define VERSION_REASON "version is not an integer from 1 to 2^53-1"

static const op_row failures[] = {
    {"not an object", "[]", 0, "expected an object"},
    {"not JSON", "{\"id\":}", 0, "not a JSON value"},
    {"1e3 anywhere", HEAD "\"type\":\"DELETE\",\"future\":1e3}", 0,
     "not an integer literal"},
    {"duplicate key", HEAD "\"id\":\"o-1\"}", 0, "duplicate key"},
    {"duplicate field", UPDATE "\"data\":{\"a\":\"\",\"a\":\"\"}}", 0,
     "duplicate key"},
    {"no id", "{\"browserId\":\"b\",\"version\":1}", 0, MISSING},
    {"no browserId", "{\"id\":\"o\",\"version\":1}", 0, MISSING},
    {"no version", "{\"id\":\"o\",\"browserId\":\"b\"}", 0, MISSING},
    {"id empty", "{\"id\":\"\"}", 0, ID_REASON},
    {"id null", "{\"id\":null}", 0, ID_REASON},
    {"id with a space", "{\"id\":\"a b\"}", 0, ID_REASON},
    {"id with NUL", "{\"id\":\"a\\u0000\"}", 0, ID_REASON},
    {"id whose bytes are letters but for the high bit", "{\"id\":\"\xc3\xb0\"}", 0,
     ID_REASON},
    {"id not ASCII", "{\"id\":\"\xc3\xa4\"}", 0, ID_REASON},
    {"id of 65", "{\"id\":\"%\"}", 65, ID_REASON},
    {"browserId with a slash", "{\"browserId\":\"a/b\"}", 0, BROWSER_REASON},
    {"browserId empty", "{\"browserId\":\"\"}", 0, BROWSER_REASON},
    {"browserId of 65", "{\"browserId\":\"%\"}", 65, BROWSER_REASON},
    {"browserId an array", "{\"browserId\":[\"b\"]}", 0, BROWSER_REASON},
    {"version zero", "{\"version\":0}", 0, VERSION_REASON},
    {"version negative", "{\"version\":-1}", 0, VERSION_REASON},
    {"version 2^53", "{\"version\":9007199254740992}", 0, VERSION_REASON},
    {"version a string", "{\"version\":\"1\"}", 0, VERSION_REASON},
    {"version 1.0", "{\"version\":1.0}", 0, "not an integer literal"},
};

static void test_failures(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    for (size_t i = 0; i < COUNT(failures); i++) {
        t_row = failures[i].name;
        tm_json in;
        static tm_op op;
        tm_json_init(&in, row_text(&arena, &failures[i]), TM_DEPTH_MAX, &arena);
        T_STATUS(tm_op_read(&in, &op), TM_E_CORRUPT);
        T_TEXT(t_str(in.error.reason), failures[i].want);
        tm_arena_reset(&arena);
    }
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

static void test_identity_at_the_limit(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    op_row row = {
        "",
        "{\"id\":\"%\",\"type\":\"X\",\"timestamp\":0,\"browserId\":\"%\","
        "\"version\":9007199254740991}",
        64, ""};
    const tm_op *op = op_from(&arena, row_text(&arena, &row));
    T_EQ(op->fault, TM_FAULT_NONE);
    T_EQ(op->id.len, 64);
    T_EQ(op->at.browser.len, 64);
    T_EQ(op->at.version, 9007199254740991);
    op =
        op_from(&arena, t_str("{\"id\":\"aZ0._~/-\",\"type\":\"X\",\"timestamp\":0,"
                              "\"browserId\":\"aZ0._~-\",\"version\":1}"));
    T_TEXT(op->id, "aZ0._~/-");
    T_TEXT(op->at.browser, "aZ0._~-");
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

// ---- fields, size, depth ------------------------------------------------------------

static void test_field_count(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    for (int count = 15; count <= 40; count++) {
        char text[1024] = UPDATE "\"data\":{";
        for (int i = 0; i < count; i++) {
            size_t len = strlen(text);
            snprintf(text + len, sizeof text - len, "%s\"f%d\":\"%d\"",
                     i ? "," : "", i, i);
        }
        strcat(text, "}}");
        const tm_op *op = op_from(&arena, t_str(text));
        T_TEXT(tm_fault_word(op->fault), count <= 16 ? "" : "too-many-fields");
        T_EQ(op->field_count, count <= 16 ? count : 16);
        T_TEXT(op->fields[14].name, "f14");
        T_TEXT(op->fields[14].value, "14");
    }
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

static void test_size(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    op_row row = {"", ADD ",\"future\":\"%\"}", 0, ""};
    size_t rest = row_text(&arena, &row).len;
    for (size_t len = TM_OP_MAX - 1; len <= TM_OP_MAX + 1; len++) {
        row.many = len - rest;
        tm_span text = row_text(&arena, &row);
        T_EQ(text.len, len);
        const tm_op *op = op_from(&arena, text);
        T_TEXT(tm_fault_word(op->fault), len <= TM_OP_MAX ? "" : "too-large");
    }
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

// An operation may be 4 deep, wherever it stands; the request 8.
static void test_depth(void **state) {
    (void)state;
    static const char *const operations[] = {
        ADD ",\"x\":[[[1]]]}", // 4 deep
        ADD ",\"x\":[[[[1]]]]}", ADD ",\"x\":[[[[[1]]]]]}",
        ADD ",\"x\":[[[[[[1]]]]]]}" // 7: with the two around it, 9
    };
    static const char *const want[] = {"", "too-deep", "too-deep", NULL};
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    for (size_t i = 0; i < COUNT(operations); i++) {
        char text[512];
        snprintf(text, sizeof text, "[[[[[[[[1]]]]]]],[%s,%s]]", operations[i],
                 operations[0]);
        t_row = text;
        tm_json in;
        static tm_op op;
        tm_json_init(&in, t_str(text), TM_DEPTH_MAX, &arena);
        T_OK(tm_json_open(&in, TM_JSON_ARRAY));
        T_TRUE(tm_json_element(&in));
        T_OK(tm_json_skip(&in, NULL)); // what went before does not count
        T_TRUE(tm_json_element(&in));
        T_OK(tm_json_open(&in, TM_JSON_ARRAY));
        T_TRUE(tm_json_element(&in));
        tm_status status = tm_op_read(&in, &op);
        if (want[i] == NULL) {
            T_STATUS(status, TM_E_CORRUPT);
            T_TEXT(t_str(in.error.reason), "nested too deep");
            continue;
        }
        T_OK(status);
        T_TEXT(tm_fault_word(op.fault), want[i]);
        T_EQ(in.deepest, 8);          // of all that was read
        T_TRUE(tm_json_element(&in)); // nor does it count for the next
        T_OK(tm_op_read(&in, &op));
        T_EQ(op.fault, TM_FAULT_NONE);
        T_TEXT(op.raw, operations[0]);
    }
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

// ---- edits --------------------------------------------------------------------------

static const struct {
    const char *name, *text, *want; // fault's word; NULL = refused
} edits[] = {
    {"ADD", "{\"type\":\"ADD\",\"imageId\":\"m\"}", ""},
    {"ADD with instanceId",
     "{\"type\":\"ADD\",\"instanceId\":\"i\",\"imageId\":\"m\"}", ""},
    {"ADD with an empty one",
     "{\"type\":\"ADD\",\"instanceId\":\"\",\"imageId\":\"m\"}", "bad-instanceId"},
    {"ADD with a wrong one",
     "{\"type\":\"ADD\",\"instanceId\":7,\"imageId\":\"m\"}", "bad-instanceId"},
    {"ADD without image", "{\"type\":\"ADD\"}", "bad-imageId"},
    {"DELETE without instanceId", "{\"type\":\"DELETE\"}", "bad-instanceId"},
    {"UPDATE",
     "{\"type\":\"UPDATE_METADATA\",\"instanceId\":\"i\",\"data\":{\"a\":null}}",
     ""},
    {"SORT", "{\"type\":\"SORT_CHANGE\",\"sort\":\"desc\"}", ""},
    {"unknown type", "{\"type\":\"MERGE\"}", "bad-type"},
    {"too deep", "{\"type\":\"SORT_CHANGE\",\"sort\":\"asc\",\"x\":[[[[]]]]}",
     "too-deep"},
    {"id", "{\"type\":\"SORT_CHANGE\",\"sort\":\"asc\",\"id\":\"o\"}", NULL},
    {"timestamp", "{\"timestamp\":1}", NULL},
    {"logical", "{\"logical\":1}", NULL},
    {"browserId", "{\"browserId\":\"b\"}", NULL},
    {"version", "{\"version\":1}", NULL},
    {"seq", "{\"seq\":1}", NULL},
};

static void test_edits(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    for (size_t i = 0; i < COUNT(edits); i++) {
        t_row = edits[i].name;
        tm_json in;
        static tm_op op;
        tm_json_init(&in, t_str(edits[i].text), TM_DEPTH_MAX, &arena);
        tm_status status = tm_op_read_edit(&in, &op);
        T_STATUS(status, edits[i].want == NULL ? TM_E_CORRUPT : TM_OK);
        if (edits[i].want == NULL) {
            T_TEXT(t_str(in.error.reason), "not a part of an edit");
        } else {
            T_TEXT(tm_fault_word(op.fault), edits[i].want);
        }
    }
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

static void test_refused(void **state) {
    (void)state;
    static const char text[] =
        ADD ",\"data\":{\"a\":\"\\n\",\"b\":\"\\t\"},\"u\":[{\"v\":"
            "[{\"w\":\"\\n\"}]}]}";
    for (size_t k = 1;; k++) {
        t_memory memory = {.fail_at = k};
        tm_alloc alloc = t_alloc(&memory);
        tm_arena arena = {.alloc = &alloc};
        tm_json in;
        static tm_op op;
        tm_json_init(&in, t_str(text), TM_DEPTH_MAX, &arena);
        tm_status status = tm_op_read(&in, &op);
        T_STATUS(status, memory.refused ? TM_E_NOMEM : TM_OK);
        tm_arena_deinit(&arena);
        T_EQ(memory.live, 0);
        if (!memory.refused) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_identity_at_the_limit),
        cmocka_unit_test(test_field_count),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_edits),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
