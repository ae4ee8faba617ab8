// Any lines as answers to the requests of a page that edits: a line is a status of three
// digits and a body, or a body of status 200. $0 to $9 stand for the ids of what was sent
// last.
#include "fuzz_host.h"

#define UPDATE                                                                     \
    "{\"type\":\"UPDATE_METADATA\",\"instanceId\":\"x\",\"data\":"                 \
    "{\"description\":\"d\",\"photoNumber\":null}}"

// Each line costs as much as the first; in so many every edit is made, and three twice.
#define LINES_MAX 16u

static const char *const edits[] = {
    "{\"type\":\"ADD\",\"instanceId\":\"x\",\"imageId\":\"i\"}",
    UPDATE,
    "{\"type\":\"SORT_CHANGE\",\"sort\":\"desc\"}",
    "{\"type\":\"DELETE\",\"instanceId\":\"y\"}",
    "{\"type\":\"ADD\",\"instanceId\":\"y\",\"imageId\":\"i\"}",
};

static bool status_of(tm_span *line, uint32_t *http) {
    uint32_t number = 0;
    if (line->len < 4 || line->ptr[3] != ' ') return false;
    for (size_t i = 0; i < 3; i++) {
        if (line->ptr[i] < '0' || line->ptr[i] > '9') return false;
        number = number * 10 + (line->ptr[i] - '0');
    }
    *http = number;
    *line = (tm_span){line->ptr + 4, line->len - 4};
    return true;
}

static void answers(fuzz_page *p, const uint8_t *data, size_t size) {
    tm_span line;
    for (size_t at = 0, n = 0; fuzz_line(data, size, &at, &line) && n < LINES_MAX;
         n++) {
        if (n % 2 == 0) fuzz_edit(p, edits[n / 2 % 5]);
        if (p->manual) {
            uint32_t asks = n % 3 == 2 ? TM_ASK_PULL : TM_ASK_PUSH;
            tm_engine_ask(p->engine, p->now, asks);
        }
        tm_engine_authorized(p->engine, p->now);
        fuzz_pass(p, p->manual ? 100 : 40000);
        tm_send send = tm_engine_take(p->engine, p->now);
        if (send.kind == TM_SEND_SAVE) fuzz_sent(p, &send);
        uint32_t http = 200;
        (void)status_of(&line, &http);
        tm_span body = fuzz_fill(p, line);
        p->now.mono_ms += 20;
        p->now.wall_ms += 20;
        tm_engine_answer(p->engine, p->now, send.ref, http, body);
        fuzz_drop(body);
        fuzz_pump(p);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static fuzz_page p;
    fuzz_page_clear(&p, size > 0 && data[0] != '\n');
    fuzz_start(&p);
    tm_engine_channel(p.engine, p.now, TM_CHANNEL_POLL);
    answers(&p, data, size);
    fuzz_check(&p);
    return 0;
}
