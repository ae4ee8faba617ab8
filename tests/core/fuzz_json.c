// The JSON reader against jansson: what one accepts, so does the other, but for what
// json.h says is narrower, and for what jansson cannot.
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
    } else {
        TM_ASSERT(status == TM_E_CORRUPT);
        TM_ASSERT(theirs == NULL || is_ours(in.error.reason));
    }
    json_decref(theirs);
    tm_arena_deinit(&arena);
    return 0;
}
