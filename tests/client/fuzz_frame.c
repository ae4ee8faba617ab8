// Any lines as messages of the push channel, to a page that edits and answers back. $0
// to $9 stand for the ids of what was sent last, $r for its ref.
#include "fuzz_host.h"

static void talk(fuzz_page *p) {
    for (size_t i = 0;; i++) {
        tm_send send = tm_engine_take(p->engine, p->now);
        if (send.kind == TM_SEND_NONE) return;
        TM_ASSERT(i < 100 && send.kind != TM_SEND_PULL);
        fuzz_sent(p, &send);
        fuzz_pump(p);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static fuzz_page p;
    tm_span line;
    fuzz_page_clear(&p, false);
    fuzz_start(&p);
    tm_engine_channel(p.engine, p.now, TM_CHANNEL_PUSH);
    for (size_t at = 0, n = 0; fuzz_line(data, size, &at, &line) && n < 60; n++) {
        if (n % 4 == 0) {
            fuzz_edit(&p,
                      "{\"type\":\"ADD\",\"instanceId\":\"x\",\"imageId\":\"i\"}");
        }
        if (n % 4 == 2) {
            fuzz_edit(&p, "{\"type\":\"UPDATE_METADATA\",\"instanceId\":\"x\","
                          "\"data\":{\"description\":\"d\"}}");
        }
        fuzz_pass(&p, 100);
        talk(&p);
        tm_span frame = fuzz_fill(&p, line);
        tm_engine_feed(p.engine, p.now, frame);
        fuzz_drop(frame);
        fuzz_pump(&p);
        talk(&p);
    }
    fuzz_check(&p);
    return 0;
}
