// Any bytes as the body of a save: answered, and whatever was accepted is the same list
// after a restart.
#include "fuzz_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const path = "/v1/lists/l/operations";
    fuzz_world w;
    tm_span none = {NULL, 0}, body = {data, size};
    fuzz_open(&w);
    for (int i = 0; i < 2; i++) { // and again
        uint64_t status = fuzz_request(&w, TM_POST, fuzz_text(path), none, body);
        TM_ASSERT(status == 200 || status == 400 || status == 409 || status == 413);
    }
    uint64_t head, again;
    TM_ASSERT(fuzz_request(&w, TM_GET, fuzz_text("/v1/lists/l"), none, none) ==
              200);
    tm_buf before = fuzz_canonical(&w, &head);
    fuzz_stop(&w);
    fuzz_start(&w);
    TM_ASSERT(fuzz_request(&w, TM_GET, fuzz_text("/v1/lists/l/log"), none, none) ==
              200);
    tm_buf after = fuzz_canonical(&w, &again);
    TM_ASSERT(head == again && before.len == after.len);
    TM_ASSERT(before.len == 0 || memcmp(before.ptr, after.ptr, before.len) == 0);
    tm_buf_deinit(&before);
    tm_buf_deinit(&after);
    fuzz_close(&w);
    return 0;
}
