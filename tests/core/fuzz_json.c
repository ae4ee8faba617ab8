// The JSON reader against jansson: what one accepts, so does the other, and finds the same
// values in it. But for what json.h says is narrower (integer literals only, no -0, at
// most 16 deep, nothing past 2^64-1), and for what jansson cannot (numbers from 2^63, a NUL
// in a key).
#include <inttypes.h>
#include <jansson.h>

#include "core/json.h"
#include "fuzz.h"

// Refused by us on purpose, accepted by jansson.
static bool is_ours(const char *reason) {
    static const char *const reasons[] = {"not an integer literal", "negative zero",
                                          "nested too deep", "number past 2^64-1"};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (strcmp(reason, reasons[i]) == 0) return true;
    }
    return false;
}

// Refused by jansson for its own reasons: its integers end at 2^63, its keys at a NUL.
static bool is_theirs(const json_error_t *error) {
    return strstr(error->text, "too big") != NULL ||
           strstr(error->text, "NUL byte in object key") != NULL ||
           strstr(error->text, "maximum parsing depth") != NULL;
}

// ---- values -------------------------------------------------------------------------

static void value_check(tm_json *in, const json_t *theirs);

static void object_check(tm_json *in, const json_t *theirs) {
    tm_span key;
    size_t count = 0;
    TM_ASSERT(json_is_object(theirs) && tm_json_open(in, TM_JSON_OBJECT) == TM_OK);
    for (; tm_json_member(in, &key); count++) {
        char *name = malloc(key.len + 1);
        TM_ASSERT(name != NULL);
        if (key.len > 0) memcpy(name, key.ptr, key.len);
        name[key.len] = '\0';
        value_check(in, json_object_get(theirs, name));
        free(name);
    }
    TM_ASSERT(count == json_object_size(theirs));
}

static void array_check(tm_json *in, const json_t *theirs) {
    size_t count = 0;
    TM_ASSERT(json_is_array(theirs) && tm_json_open(in, TM_JSON_ARRAY) == TM_OK);
    for (; tm_json_element(in); count++) {
        value_check(in, json_array_get(theirs, count));
    }
    TM_ASSERT(count == json_array_size(theirs));
}

static void int_check(tm_json *in, const json_t *theirs) {
    tm_span raw;
    char want[32];
    TM_ASSERT(json_is_integer(theirs));
    (void)snprintf(want, sizeof want, "%" JSON_INTEGER_FORMAT,
                   json_integer_value(theirs));
    if (want[0] != '-') {
        uint64_t number;
        TM_ASSERT(tm_json_u64(in, &number) == TM_OK);
        TM_ASSERT(number == (uint64_t)json_integer_value(theirs));
        return;
    }
    TM_ASSERT(tm_json_skip(in, &raw) == TM_OK);
    TM_ASSERT(raw.len == strlen(want) && memcmp(raw.ptr, want, raw.len) == 0);
}

static void value_check(tm_json *in, const json_t *theirs) {
    tm_span text;
    bool truth;
    TM_ASSERT(theirs != NULL);
    switch (tm_json_peek(in)) {
    case TM_JSON_NULL:
        TM_ASSERT(json_is_null(theirs) && tm_json_null(in) == TM_OK);
        break;
    case TM_JSON_BOOL:
        TM_ASSERT(tm_json_bool(in, &truth) == TM_OK);
        TM_ASSERT(truth ? json_is_true(theirs) : json_is_false(theirs));
        break;
    case TM_JSON_INT:
        int_check(in, theirs);
        break;
    case TM_JSON_STRING:
        TM_ASSERT(tm_json_string(in, &text) == TM_OK && json_is_string(theirs));
        TM_ASSERT(text.len == json_string_length(theirs));
        TM_ASSERT(text.len == 0 ||
                  memcmp(text.ptr, json_string_value(theirs), text.len) == 0);
        break;
    case TM_JSON_ARRAY:
        array_check(in, theirs);
        break;
    case TM_JSON_OBJECT:
        object_check(in, theirs);
        break;
    case TM_JSON_END:
        tm_panic(__FILE__, __LINE__, "a value that the reader passed over before");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tm_alloc alloc = fuzz_alloc();
    tm_arena arena = {.alloc = &alloc};
    tm_json in;
    tm_span raw;
    tm_json_init(&in, (tm_span){data, size}, TM_JSON_DEPTH_MAX, &arena);
    tm_status status = tm_json_skip(&in, &raw);
    if (status == TM_OK) status = tm_json_end(&in);
    TM_ASSERT(in.error.offset <= size);
    TM_ASSERT((status == TM_OK) == (in.error.reason == NULL));

    if (size > 0 && memchr(data, 0, size) != NULL) { // jansson reads past one
        TM_ASSERT(status == TM_E_CORRUPT);
        tm_arena_deinit(&arena);
        return 0;
    }
    json_error_t error;
    size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_t *theirs = json_loadb((const char *)data, size, flags, &error);
    if (status == TM_OK) {
        TM_ASSERT(theirs != NULL || is_theirs(&error));
        TM_ASSERT(tm_utf8_valid(raw));
        tm_json_init(&in, (tm_span){data, size}, TM_JSON_DEPTH_MAX, &arena);
        if (theirs != NULL) value_check(&in, theirs);
    } else {
        TM_ASSERT(status == TM_E_CORRUPT);
        TM_ASSERT(theirs == NULL || is_ours(in.error.reason));
    }
    json_decref(theirs);
    tm_arena_deinit(&arena);
    return 0;
}
