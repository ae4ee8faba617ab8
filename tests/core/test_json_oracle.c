// The JSON reader against jansson on some hundred thousand damaged documents: what one
// accepts, so does the other, but for what json.h says is narrower and for what jansson
// cannot. (fuzz_json.c does the same with documents of its own.) Native only.
#include "core/json.h"
#include "help.h"
#include "t.h"

#ifdef __wasm__

static void test_damaged_documents(void **state) {
    (void)state; // there is no jansson here; the reader's own tests run
}

#else

#include <jansson.h>

#define ROUNDS  200000
#define LEN_MAX 512

static const char *const seeds[] = {
    "{\"a\":1,\"b\":[true,false,null,\"x\\n\\u00e9\\ud83d\\udcf7\"],\"c\":{\"d\":-"
    "12}}",
    "[0,1,18446744073709551615,9223372036854775808,-1,-0,1.5,1e3,01,\"\\u0000\"]",
    "{\"k\":1,\"l\":1,\"m\":{\"k\":[],\"\":{}},\"\\u006b\\u006b\":"
    "\"\xc3\xa9\xf0\x9f\x93\xb7\"}",
    " [ [ [ [ \"\\/\\b\\f\\r\\t\\\"\\\\\" ] ] , { } ] , \"\xe2\x82\xac\" ] ",
};

static size_t damage(uint64_t *random, char *text, size_t len) {
    static const char marks[] =
        "{}[]\",:\\u0189.eE-+ntfd \n\x7f\x80\xbf\xc3\xe2\xf0\xff";
    size_t at = random_below(random, len);
    char mark = marks[random_below(random, sizeof marks - 1)];
    switch (random_below(random, 4)) {
    case 0: // another byte
        text[at] = mark;
        return len;
    case 1: // one less
        memmove(text + at, text + at + 1, len - at - 1);
        return len - 1;
    case 2: // one more
        if (len == LEN_MAX) return len;
        memmove(text + at + 1, text + at, len - at);
        text[at] = mark;
        return len + 1;
    default: { // a piece of it again, elsewhere
        size_t from = random_below(random, len), some = random_below(random, 12);
        if (some > len - from) some = len - from;
        if (some > len - at) some = len - at;
        memmove(text + at, text + from, some);
        return len;
    }
    }
}

static bool is_narrower(const char *reason) {
    return strcmp(reason, "not an integer literal") == 0 ||
           strcmp(reason, "negative zero") == 0 ||
           strcmp(reason, "nested too deep") == 0 ||
           strcmp(reason, "number past 2^64-1") == 0;
}

static bool is_theirs(const json_error_t *error) {
    return strstr(error->text, "too big") != NULL ||
           strstr(error->text, "NUL byte in object key") != NULL;
}

static void test_damaged_documents(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    uint64_t random = 1;
    size_t accepted = 0, refused = 0;
    for (int round = 0; round < ROUNDS; round++) {
        static char text[LEN_MAX + 1];
        const char *seed = seeds[random_below(&random, COUNT(seeds))];
        size_t len = strlen(seed), times = 1 + random_below(&random, 3);
        memcpy(text, seed, len);
        for (size_t i = 0; i < times; i++) {
            len = damage(&random, text, len);
        }
        text[len] = '\0';
        t_row = text;
        tm_json in;
        tm_json_init(&in, (tm_span){(uint8_t *)text, len}, TM_JSON_DEPTH_MAX,
                     &arena);
        tm_status status = tm_json_skip(&in, NULL);
        if (status == TM_OK) status = tm_json_end(&in);
        json_error_t error;
        json_t *theirs = json_loadb(
            text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL,
            &error);
        if (status == TM_OK) {
            accepted++;
            T_TRUE(theirs != NULL || is_theirs(&error));
        } else {
            refused++;
            T_TRUE(theirs == NULL || is_narrower(in.error.reason));
        }
        json_decref(theirs);
        tm_arena_reset(&arena);
    }
    T_TRUE(accepted > 1000 && refused > 1000);
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

#endif

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_damaged_documents)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
