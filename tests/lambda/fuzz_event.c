// Any bytes as an event of API Gateway: refused with a reason, or somebody's within bounds;
// and what then is a message of a client, likewise.
#include "fuzz.h"
#include "lambda/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tm_alloc alloc = fuzz_alloc();
    tm_arena arena = {.alloc = &alloc};
    tm_event event;
    tm_said said;
    const char *why = NULL;
    tm_status status = tm_event_read((tm_span){data, size}, &arena, &event, &why);
    if (status != TM_OK) {
        TM_ASSERT(why != NULL && why[0] != '\0');
    } else {
        TM_ASSERT(event.user.len <= 128);
        for (size_t i = 0; i < event.user.len; i++) {
            TM_ASSERT(event.user.ptr[i] >= 0x20);
        }
        bool http = event.what == TM_HAPPENED_HTTP;
        TM_ASSERT(!http || (event.path.len > 0 || event.method.len > 0));
        TM_ASSERT(http ||
                  (event.connection.len > 0 && event.connection.len <= 128));
        TM_ASSERT(event.body.len <= size);
        (void)tm_said_read(event.body, &arena, &said);
    }
    (void)tm_said_read((tm_span){data, size}, &arena, &said);
    tm_arena_deinit(&arena);
    return 0;
}
