// json.h: what is accepted, what is refused and with which reason, at which member; the
// same at every truncation; hostile sizes; memory refused.
#include "core/json.h"
#include "help.h"
#include "t.h"

#define LIT(text) (const char *)(text), sizeof(text) - 1

// ---- whole documents ----------------------------------------------------------------

// Read with tm_json_skip at depth 8. `reason` NULL = accepted.
static const struct {
    const char *name, *text;
    size_t len;
    const char *reason;
    size_t offset;
    const char *member;
} documents[] = {
    {"object", LIT("{\"a\":1,\"b\":[true,false,null,\"x\"]}"), NULL, 0, NULL},
    {"scalars", LIT("\"x\""), NULL, 0, NULL},
    {"white space", LIT(" \t\r\n[ 1 , 2 ] \n"), NULL, 0, NULL},
    {"empty ones", LIT("[{},[],\"\"]"), NULL, 0, NULL},
    {"largest number", LIT("18446744073709551615"), NULL, 0, NULL},
    {"negative", LIT("-1"), NULL, 0, NULL},
    {"every escape",
     LIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\udcf7\\u0000\""), NULL, 0,
     NULL},
    {"DEL and noncharacters", LIT("\"\x7f\xef\xbf\xbf\xf4\x8f\xbf\xbf\""), NULL, 0,
     NULL},
    {"depth 8", LIT("[[[[[[[[]]]]]]]]"), NULL, 0, NULL},
    {"same key in different objects", LIT("[{\"a\":{\"a\":1}},{\"a\":1}]"), NULL, 0,
     NULL},

    {"nothing", LIT(""), "expected a value", 0, ""},
    {"only space", LIT("  "), "expected a value", 2, ""},
    {"two documents", LIT("1 2"), "more behind the document", 2, ""},
    {"NUL behind", LIT("1\0"), "more behind the document", 1, ""},
    {"byte order mark", LIT("\xef\xbb\xbf{}"), "not a JSON value", 0, ""},
    {"depth 9", LIT("[[[[[[[[[]]]]]]]]]"), "nested too deep", 8, ""},
    {"depth 9 of objects", LIT("{\"a\":[[[[[[[{"), "nested too deep", 12, "a"},
    {"fraction", LIT("{\"n\":1.0}"), "not an integer literal", 5, "n"},
    {"exponent", LIT("[1e3]"), "not an integer literal", 1, ""},
    {"capital exponent", LIT("[1E3]"), "not an integer literal", 1, ""},
    {"past 64 bits", LIT("18446744073709551616"), "number past 2^64-1", 0, ""},
    {"far past 64 bits", LIT("99999999999999999999999"), "number past 2^64-1", 0,
     ""},
    {"leading zero", LIT("01"), "leading zero", 0, ""},
    {"negative zero", LIT("-0"), "negative zero", 0, ""},
    {"minus alone", LIT("-"), "not a number", 0, ""},
    {"plus", LIT("+1"), "not a JSON value", 0, ""},
    {"NaN", LIT("NaN"), "not a JSON value", 0, ""},
    {"hex", LIT("[0x1]"), "expected , or ]", 2, ""},
    {"True", LIT("True"), "not a JSON value", 0, ""},
    {"tru", LIT("tru"), "not a JSON value", 0, ""},
    {"truex", LIT("[truex]"), "expected , or ]", 5, ""},
    {"nul", LIT("{\"a\":nul}"), "not a JSON value", 5, "a"},
    {"single quotes", LIT("{'a':1}"), "expected a key", 1, ""},
    {"bare key", LIT("{a:1}"), "expected a key", 1, ""},
    {"number key", LIT("{1:1}"), "expected a key", 1, ""},
    {"no colon", LIT("{\"a\" 1}"), "expected :", 5, "a"},
    {"no value", LIT("{\"a\":}"), "not a JSON value", 5, "a"},
    {"comma last in object", LIT("{\"a\":1,}"), "expected a key", 7, "a"},
    {"comma first in object", LIT("{,\"a\":1}"), "expected a key", 1, ""},
    {"comma last in array", LIT("[1,]"), "not a JSON value", 3, ""},
    {"comma first in array", LIT("[,1]"), "not a JSON value", 1, ""},
    {"no comma in array", LIT("[1 2]"), "expected , or ]", 3, ""},
    {"no comma in object", LIT("{\"a\":1 \"b\":2}"), "expected , or }", 7, "a"},
    {"wrong end", LIT("{\"a\":[1}"), "expected , or ]", 7, "a"},
    {"comment", LIT("[1/**/]"), "expected , or ]", 2, ""},
    {"not ended", LIT("{\"a\":[1,"), "the document ends early", 8, "a"},
    {"string not ended", LIT("[\"abc"), "the document ends early", 5, ""},
    {"control character", LIT("[\"a\nb\"]"), "control character in a string", 3,
     ""},
    {"NUL in a string", LIT("[\"a\0b\"]"), "control character in a string", 3, ""},
    {"bad escape", LIT("\"\\x41\""), "bad escape", 1, ""},
    {"capital U", LIT("\"\\U0041\""), "bad escape", 1, ""},
    {"short hex", LIT("\"\\u12\""), "bad escape", 1, ""},
    {"bad hex", LIT("\"\\u12g4\""), "bad escape", 1, ""},
    {"backslash last", LIT("\"\\"), "bad escape", 1, ""},
    {"high surrogate alone", LIT("{\"k\":\"\\ud83d\"}"), "unpaired surrogate", 6,
     "k"},
    {"high and high", LIT("\"\\ud83d\\ud83d\""), "unpaired surrogate", 1, ""},
    {"high and text", LIT("\"\\ud83dx\""), "unpaired surrogate", 1, ""},
    {"low alone", LIT("\"\\udcf7\""), "unpaired surrogate", 1, ""},
    {"low and high", LIT("\"\\udcf7\\ud83d\""), "unpaired surrogate", 1, ""},
    {"continuation alone", LIT("\"\x80\""), "not UTF-8", 1, ""},
    {"overlong slash", LIT("\"\xc0\xaf\""), "not UTF-8", 1, ""},
    {"overlong of three", LIT("\"\xe0\x9f\xbf\""), "not UTF-8", 1, ""},
    {"overlong of four", LIT("\"\xf0\x8f\xbf\xbf\""), "not UTF-8", 1, ""},
    {"encoded surrogate", LIT("\"\xed\xa0\x80\""), "not UTF-8", 1, ""},
    {"past U+10FFFF", LIT("\"\xf4\x90\x80\x80\""), "not UTF-8", 1, ""},
    {"F5", LIT("\"\xf5\x80\x80\x80\""), "not UTF-8", 1, ""},
    {"FF", LIT("\"\xff\""), "not UTF-8", 1, ""},
    {"cut sequence", LIT("\"\xf0\x9f\x93\""), "not UTF-8", 1, ""},
    {"UTF-8 after eight", LIT("\"abcdefgh\xe9\""), "not UTF-8", 9, ""},
    {"UTF-8 in a key", LIT("{\"\xff\":1}"), "not UTF-8", 2, ""},

    {"same key", LIT("{\"a\":1,\"b\":2,\"a\":3}"), "duplicate key", 13, "a"},
    {"same key, escaped", LIT("{\"a\":1,\"\\u0061\":3}"), "duplicate key", 7, "a"},
    {"same key, deep", LIT("[{\"x\":{\"y\":1,\"y\":2}}]"), "duplicate key", 13,
     "y"},
    {"same empty key", LIT("{\"\":1,\"\":2}"), "duplicate key", 6, ""},
    {"same key with NUL", LIT("{\"a\\u0000b\":1,\"a\\u0000b\":2}"), "duplicate key",
     14, "a"},
    {"NUL does not end a key", LIT("{\"a\\u0000b\":1,\"a\\u0000c\":2}"), NULL, 0,
     NULL},
};

// In memory of its own size, so that a look past the end is seen.
static tm_status read_exact(const char *text, size_t len, uint32_t depth,
                            tm_arena *arena, tm_json_error *error) {
    uint8_t *exact = malloc(len + (len == 0));
    assert_non_null(exact);
    memcpy(exact, text, len);
    tm_json in;
    tm_json_init(&in, (tm_span){exact, len}, depth, arena);
    tm_status status = tm_json_skip(&in, NULL);
    if (status == TM_OK) status = tm_json_end(&in);
    *error = in.error;
    if (error->member.len > 0) { // it was lent
        static uint8_t member[64];
        size_t some = error->member.len < 64 ? error->member.len : 64;
        memcpy(member, error->member.ptr, some);
        error->member = (tm_span){member, some};
    }
    free(exact);
    return status;
}

static void test_documents(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    for (size_t i = 0; i < COUNT(documents); i++) {
        t_row = documents[i].name;
        tm_json_error error;
        tm_status status = read_exact(documents[i].text, documents[i].len,
                                      TM_DEPTH_MAX, &arena, &error);
        if (documents[i].reason == NULL) {
            T_OK(status);
            continue;
        }
        T_STATUS(status, TM_E_CORRUPT);
        T_TEXT(t_str(error.reason), documents[i].reason);
        T_EQ(error.offset, documents[i].offset);
        if (strstr(documents[i].name, "NUL") == NULL) {
            T_EQ(tm_span_cmp(error.member, t_str(documents[i].member)), 0);
        }
        tm_arena_reset(&arena);
    }
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

// Every proper prefix of an object is refused; the whole is not.
static void test_truncations(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    static const char text[] =
        "{\"id\":\"\\ud83d\\udcf7\xf0\x9f\x93\xb7\",\"n\":[-12,0,"
        "true,false,null,{\"deep\":{\"er\":[[]]}}], \"z\":\"\"}";
    tm_json_error error;
    for (size_t len = 0; len < sizeof text - 1; len++) {
        static char row[32];
        snprintf(row, sizeof row, "first %d bytes", (int)len);
        t_row = row;
        T_STATUS(read_exact(text, len, TM_DEPTH_MAX, &arena, &error), TM_E_CORRUPT);
        assert_non_null(error.reason);
        T_TRUE(error.offset <= len);
    }
    T_OK(read_exact(text, sizeof text - 1, TM_DEPTH_MAX, &arena, &error));
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

// ---- pulling ------------------------------------------------------------------------

static void test_pull(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    static const char text[] =
        " {\"text\":\"a\\n\\u00e9\\ud83d\\udcf7\",\"plain\":\"as it is\",\"n\":42,"
        "\"yes\":true,\"no\":false,\"nil\":null,\"list\":[1,2],\"skip\":{\"a\":[{}]"
        "}} ";
    tm_json in;
    tm_span key, value;
    uint64_t number;
    bool flag;
    tm_json_init(&in, t_str(text), TM_DEPTH_MAX, &arena);
    T_EQ(tm_json_peek(&in), TM_JSON_OBJECT);
    T_OK(tm_json_open(&in, TM_JSON_OBJECT));
    T_TRUE(tm_json_member(&in, &key));
    T_TEXT(key, "text");
    T_EQ(tm_json_peek(&in), TM_JSON_STRING);
    T_OK(tm_json_string(&in, &value));
    T_TEXT(value, "a\n\xc3\xa9\xf0\x9f\x93\xb7");
    T_TRUE(tm_json_member(&in, &key));
    T_OK(tm_json_string(&in, &value));
    T_TEXT(value, "as it is");
    T_TRUE(value.ptr > (const uint8_t *)text &&
           value.ptr < (const uint8_t *)text + sizeof text); // lent
    T_TRUE(tm_json_member(&in, &key));
    T_EQ(tm_json_peek(&in), TM_JSON_INT);
    T_OK(tm_json_u64(&in, &number));
    T_EQ(number, 42);
    T_TRUE(tm_json_member(&in, &key));
    T_OK(tm_json_bool(&in, &flag));
    T_TRUE(flag);
    T_TRUE(tm_json_member(&in, &key));
    T_EQ(tm_json_peek(&in), TM_JSON_BOOL);
    T_OK(tm_json_bool(&in, &flag));
    T_TRUE(!flag);
    T_TRUE(tm_json_member(&in, &key));
    T_EQ(tm_json_peek(&in), TM_JSON_NULL);
    T_OK(tm_json_null(&in));
    T_TRUE(tm_json_member(&in, &key));
    T_EQ(tm_json_peek(&in), TM_JSON_ARRAY);
    T_OK(tm_json_open(&in, TM_JSON_ARRAY));
    for (uint64_t want = 1; tm_json_element(&in); want++) {
        T_OK(tm_json_u64(&in, &number));
        T_EQ(number, want);
    }
    T_EQ(number, 2);
    T_TRUE(tm_json_member(&in, &key));
    T_TEXT(key, "skip");
    T_OK(tm_json_skip(&in, &value));
    T_TEXT(value, "{\"a\":[{}]}");
    T_TRUE(!tm_json_member(&in, &key));
    T_OK(in.status);
    T_EQ(tm_json_peek(&in), TM_JSON_END);
    T_OK(tm_json_end(&in));
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

enum { WANT_STRING, WANT_U64, WANT_BOOL, WANT_NULL, WANT_OBJECT, WANT_ARRAY };

static tm_status want_read(tm_json *in, int want) {
    tm_span text;
    uint64_t number;
    bool flag;
    switch (want) {
    case WANT_STRING:
        return tm_json_string(in, &text);
    case WANT_U64:
        return tm_json_u64(in, &number);
    case WANT_BOOL:
        return tm_json_bool(in, &flag);
    case WANT_NULL:
        return tm_json_null(in);
    default:
        return tm_json_open(in,
                            want == WANT_OBJECT ? TM_JSON_OBJECT : TM_JSON_ARRAY);
    }
}

// Every kind where every other is asked for.
static void test_wrong_kinds(void **state) {
    (void)state;
    static const char *const texts[] = {"\"s\"", "7", "true", "null", "{}", "[]"};
    static const char *const reasons[] = {
        "expected a string", "expected an integer", "expected true or false",
        "expected null",     "expected an object",  "expected an array"};
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    for (int want = WANT_STRING; want <= WANT_ARRAY; want++) {
        for (int is = WANT_STRING; is <= WANT_ARRAY; is++) {
            char text[32];
            snprintf(text, sizeof text, "{\"m\": %s}", texts[is]);
            t_row = text;
            tm_json in;
            tm_span key;
            tm_json_init(&in, t_str(text), TM_DEPTH_MAX, &arena);
            T_OK(tm_json_open(&in, TM_JSON_OBJECT));
            T_TRUE(tm_json_member(&in, &key));
            tm_status status = want_read(&in, want);
            T_STATUS(status, is == want ? TM_OK : TM_E_CORRUPT);
            if (is == want) continue;
            T_TEXT(t_str(in.error.reason), reasons[want]);
            T_TEXT(in.error.member, "m");
            T_EQ(in.error.offset, 6);
            T_EQ(tm_json_peek(&in), TM_JSON_END); // and stays failed
            T_STATUS(tm_json_skip(&in, NULL), TM_E_CORRUPT);
            T_TRUE(!tm_json_member(&in, &key));
            T_TRUE(!tm_json_element(&in));
            T_STATUS(tm_json_end(&in), TM_E_CORRUPT);
            T_TEXT(t_str(in.error.reason), reasons[want]); // the first is the cause
        }
    }
    t_row = "negative number";
    tm_json in;
    uint64_t number;
    tm_json_init(&in, t_str("-1"), 1, &arena);
    T_STATUS(tm_json_u64(&in, &number), TM_E_CORRUPT);
    T_TEXT(t_str(in.error.reason), "negative");
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

static void test_fail(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    tm_json in;
    tm_span key, value;
    tm_json_init(&in, t_str("{\"operations\":[{\"id\":\"?\"}]}"), 8, &arena);
    T_OK(tm_json_open(&in, TM_JSON_OBJECT));
    T_TRUE(tm_json_member(&in, &key));
    T_OK(tm_json_open(&in, TM_JSON_ARRAY));
    T_TRUE(tm_json_element(&in));
    T_OK(tm_json_open(&in, TM_JSON_OBJECT));
    T_TRUE(tm_json_member(&in, &key));
    T_OK(tm_json_string(&in, &value));
    tm_json copy = in;
    T_STATUS(tm_json_fail(&in, "no good"), TM_E_CORRUPT);
    T_STATUS(tm_json_fail(&in, "worse"), TM_E_CORRUPT);
    T_TEXT(t_str(in.error.reason), "no good");
    T_TEXT(in.error.member, "id");
    T_EQ(in.error.offset, 21); // where the value begins
    T_TRUE(!tm_json_member(&copy, &key));
    T_STATUS(tm_json_fail(&copy, "incomplete"), TM_E_CORRUPT);
    T_TEXT(copy.error.member, "operations"); // for an array's element
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

// ---- hostile ------------------------------------------------------------------------

static void test_brackets(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    size_t len = TM_BODY_MAX;
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, '[', len);
    tm_json_error error;
    T_STATUS(read_exact(text, len, TM_JSON_DEPTH_MAX, &arena, &error),
             TM_E_CORRUPT);
    T_TEXT(t_str(error.reason), "nested too deep");
    T_EQ(error.offset, TM_JSON_DEPTH_MAX);
    T_EQ(memory.requests, 0);
    free(text);
    tm_arena_deinit(&arena);
}

// A mebibyte of keys, all different but perhaps for the last. Quadratic would be ten
// thousand million comparisons, and run into the test's time limit.
static size_t keys_fill(char *text, size_t room, bool again, uint64_t step) {
    static const char letters[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    size_t len = 0;
    uint64_t n = 0;
    for (text[len++] = '{'; len + 32 < room; n += step) {
        if (len > 1) text[len++] = ',';
        text[len++] = '"';
        for (uint64_t left = n % (1u << 24), i = 0; i < 4; i++, left /= 64) {
            text[len++] = letters[left % 64];
        }
        memcpy(text + len, "\":1", 3);
        len += 3;
    }
    if (again) {
        memcpy(text + len, ",\"1000\":1", 9); // the second key
        len += 9;
    }
    text[len++] = '}';
    return len;
}

static void test_many_keys(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    size_t room = TM_BODY_MAX;
    char *text = malloc(room);
    assert_non_null(text);
    tm_json_error error;
    for (int again = 0; again < 2; again++) {
        for (uint64_t step = 1; step < 70; step += 66) { // in order, and not
            size_t len = keys_fill(text, room, again, step);
            tm_status status = read_exact(text, len, 8, &arena, &error);
            T_STATUS(status, again && step == 1 ? TM_E_CORRUPT : TM_OK);
            if (status != TM_OK) T_EQ(error.offset, len - 9);
            tm_arena_reset(&arena);
        }
    }
    T_TRUE(memory.peak < 16 * room);
    free(text);
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

// Around the number where comparing ends and sorting begins: each pair of equal keys.
static void test_duplicates_everywhere(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    tm_json_error error;
    for (int count = 2; count <= 20; count++) {
        for (int second = 1; second < count; second++) {
            for (int first = 0; first < second; first++) {
                char text[512] = "{";
                for (int i = 0; i < count; i++) {
                    size_t len = strlen(text);
                    snprintf(text + len, sizeof text - len, "%s\"key%d\":%d",
                             i > 0 ? "," : "", i == second ? first : i, i);
                }
                strcat(text, "}");
                t_row = text;
                tm_status status =
                    read_exact(text, strlen(text), 8, &arena, &error);
                T_STATUS(status, TM_E_CORRUPT);
                T_TEXT(t_str(error.reason), "duplicate key");
                char key[16];
                snprintf(key, sizeof key, "key%d", first);
                T_TEXT(error.member, key);
                T_TRUE(error.offset > (size_t)second * 8); // the later of the two
                tm_arena_reset(&arena);
            }
        }
    }
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

static void test_refused(void **state) {
    (void)state;
    static char text[2048] = "{\"escaped\\n\":\"\\u00e9";
    memset(text + strlen(text), 'x', 1000);
    strcat(text, "\"");
    for (int i = 0; i < 40; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, ",\"k%d\":[{\"a\":\"\\n\"}]", i);
    }
    strcat(text, "}");
    for (size_t k = 1;; k++) {
        t_memory memory = {.fail_at = k};
        tm_alloc alloc = t_alloc(&memory);
        tm_arena arena = {.alloc = &alloc};
        tm_json in;
        tm_json_init(&in, t_str(text), TM_DEPTH_MAX, &arena);
        tm_status status = tm_json_skip(&in, NULL);
        if (memory.refused) {
            T_STATUS(status, TM_E_NOMEM);
            T_STATUS(in.status, TM_E_NOMEM);
            T_TEXT(t_str(in.error.reason), "out of memory");
        } else {
            T_OK(status);
        }
        tm_arena_deinit(&arena);
        T_EQ(memory.live, 0);
        if (!memory.refused) break;
    }
}

// ---- UTF-8 --------------------------------------------------------------------------

// All of two bytes, and all scalar values: against the table of RFC 3629.
static void test_utf8(void **state) {
    (void)state;
    for (uint32_t code = 0; code <= 0x110000; code++) {
        uint8_t text[4];
        size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
        uint32_t left = code;
        for (size_t i = len; --i > 0; left >>= 6) {
            text[i] = (uint8_t)(0x80 | (left & 0x3f));
        }
        text[0] = (uint8_t)(leads[len] | left);
        bool want = code < 0x110000 && (code < 0xd800 || code > 0xdfff);
        if (tm_utf8_valid((tm_span){text, len}) != want) {
            fail_msg("U+%04X", (unsigned)code);
        }
        if (len > 1) T_TRUE(!tm_utf8_valid((tm_span){text, len - 1}));
    }
    for (uint32_t pair = 0; pair < 65536; pair++) {
        uint8_t text[2] = {(uint8_t)(pair >> 8), (uint8_t)pair};
        bool ascii = text[0] < 0x80 && text[1] < 0x80;
        bool two = text[0] >= 0xc2 && text[0] <= 0xdf && (text[1] & 0xc0) == 0x80;
        T_EQ(tm_utf8_valid((tm_span){text, 2}), ascii || two);
    }
    for (size_t at = 0; at < 20; at++) { // wherever in the words that are skipped
        uint8_t text[20];
        memset(text, 'a', sizeof text);
        T_TRUE(tm_utf8_valid((tm_span){text, sizeof text}));
        text[at] = 0x80;
        T_TRUE(!tm_utf8_valid((tm_span){text, sizeof text}));
    }
}

// Every byte at every place of a string that is scanned by words.
static void test_string_bytes(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    tm_json_error error;
    for (int byte = 0; byte < 256; byte++) {
        for (size_t at = 0; at < 18; at++) {
            char text[20];
            memset(text, 'a', sizeof text);
            text[0] = text[19] = '"';
            text[1 + at] = (char)byte;
            bool good = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
            T_EQ(read_exact(text, 20, 1, &arena, &error) == TM_OK, good);
        }
    }
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_pull),
        cmocka_unit_test(test_wrong_kinds),
        cmocka_unit_test(test_fail),
        cmocka_unit_test(test_brackets),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_duplicates_everywhere),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_string_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
