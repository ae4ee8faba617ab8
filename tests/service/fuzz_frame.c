// Any lines as messages of two connections in turn: nothing breaks, the connections stay
// open, and the list still takes a save.
#include "fuzz_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_world w;
    tm_conn *conns[2];
    tm_span none = {NULL, 0};
    fuzz_open(&w);
    for (int i = 0; i < 2; i++) {
        TM_ASSERT(tm_service_connect(w.service, w.now, fuzz_text("ann"),
                                     &w.peers[i], &conns[i]) == TM_OK);
    }
    for (size_t at = 0, line = 0; at < size; line++) {
        size_t end = at;
        while (end < size && data[end] != '\n') {
            end++;
        }
        // Exactly as long as it is, so that reading past its end is found.
        uint8_t *copy = malloc(end - at + 1);
        TM_ASSERT(copy != NULL);
        memcpy(copy, data + at, end - at);
        tm_service_feed(w.service, w.now, conns[line % 2],
                        (tm_span){copy, end - at});
        free(copy);
        if (line % 3 != 2) fuzz_run(&w); // sometimes two meet one append
        w.now.mono_ms += 700;
        w.now.wall_ms += 700;
        at = end + 1;
    }
    fuzz_run(&w);
    static const char save[] = "{\"user\":\"ann\",\"operations\":[{\"id\":\"last\","
                               "\"type\":\"SORT_CHANGE\","
                               "\"sort\":\"asc\",\"timestamp\":1,\"browserId\":"
                               "\"the-last\",\"version\":1}]}";
    TM_ASSERT(fuzz_request(&w, TM_POST, fuzz_text("/v1/lists/l/operations"), none,
                           fuzz_text(save)) == 200);
    for (int i = 0; i < 2; i++) {
        tm_service_disconnect(w.service, conns[i]);
    }
    fuzz_close(&w);
    return 0;
}
