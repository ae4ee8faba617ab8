// Any lines as stored records: l (local) or d (disk), key, a blank, value. The page that
// starts from them edits, is answered once, and the next one starts from what it left.
#include "fuzz_host.h"

static const char answer[] =
    "{\"user\":\"u\",\"version\":1,\"mark\":\"m\",\"head\":1,\"serverTime\":"
    "1700000000000,\"operations\":[{\"id\":\"o1\",\"type\":\"ADD\",\"instanceId\":"
    "\"z\",\"imageId\":\"i\",\"timestamp\":1700000000000,\"browserId\":\"w\","
    "\"version\":1,\"seq\":1}]}";

// A page counts its generations from 0, so no stored one has sixteen digits; from the
// greatest number there is it could not count on.
static bool counts_too_far(tm_span key, tm_span value) {
    size_t digits = 0;
    if (tm_span_cmp(key, fuzz_text("state")) != 0) return false;
    for (size_t i = 0; i < value.len && digits < 16; i++) {
        bool digit = value.ptr[i] >= '0' && value.ptr[i] <= '9';
        digits = digit ? digits + 1 : 0;
    }
    return digits == 16;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static fuzz_page p;
    tm_span line;
    fuzz_page_clear(&p, true);
    for (size_t at = 0, n = 0; fuzz_line(data, size, &at, &line) && n < 200; n++) {
        size_t blank = 1;
        while (blank < line.len && line.ptr[blank] != ' ') {
            blank++;
        }
        if (blank >= line.len) continue;
        tm_span key = {line.ptr + 1, blank - 1};
        tm_span value = {line.ptr + blank + 1, line.len - blank - 1};
        if (counts_too_far(key, value)) continue;
        fuzz_put(line.ptr[0] == 'l' ? &p.local : &p.disk, key, value);
    }
    fuzz_start(&p);
    fuzz_edit(&p, "{\"type\":\"ADD\",\"instanceId\":\"x\",\"imageId\":\"i\"}");
    tm_engine_channel(p.engine, p.now, TM_CHANNEL_POLL);
    tm_engine_ask(p.engine, p.now, TM_ASK_PULL);
    tm_send send = tm_engine_take(p.engine, p.now);
    tm_engine_answer(p.engine, p.now, send.ref, 200, fuzz_text(answer));
    fuzz_pump(&p);
    fuzz_check(&p);
    return 0;
}
