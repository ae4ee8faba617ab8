// Any bytes as a stored snapshot, under a right sum: refused, or a list that is written
// and read again to the same.
#include "fuzz_world.h"
#include "service/mark.h"

static void saved(tm_store_save *request, tm_status status) {
    TM_ASSERT(status == TM_OK);
    *(bool *)request->context = true;
}

static void save(fuzz_world *w, uint64_t seq, tm_span bytes) {
    bool done = false;
    tm_store_save request = {.key = {fuzz_text("ann"), fuzz_text("l")},
                             .seq = seq,
                             .bytes = bytes,
                             .done = saved,
                             .context = &done};
    tm_store_save_start(w->store, &request);
    while (!done) {
        (void)tm_store_wait(w->store);
    }
}

static void appended(tm_store_append *request, tm_status status) {
    (void)status; // whatever the snapshot made of the first seq
    *(bool *)request->context = true;
}

// The number behind the first `"name":`.
static uint64_t number_of(tm_span text, const char *name) {
    size_t len = strlen(name);
    for (size_t i = 0; i + len < text.len; i++) {
        if (memcmp(text.ptr + i, name, len) != 0) continue;
        uint64_t number = 0;
        for (i += len; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9';
             i++) {
            number = number * 10 + (uint64_t)(text.ptr[i] - '0');
        }
        return number;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t zero[TM_MARK_LEN];
    fuzz_world w;
    tm_span none = {NULL, 0};
    fuzz_open(&w);
    tm_marker marker;
    uint8_t sum[TM_MARK_LEN], hex[TM_MARK_HEX];
    TM_ASSERT(tm_marker_init(&marker) == TM_OK);
    TM_ASSERT(tm_mark_next(&marker, zero, (tm_span){data, size}, sum) == TM_OK);
    tm_marker_deinit(&marker);
    tm_mark_hex(sum, hex);
    tm_buf whole = {.alloc = &w.alloc};
    tm_buf_put(&whole, (tm_span){data, size});
    tm_buf_text(&whole, ",\"sum\":");
    tm_buf_json(&whole, (tm_span){hex, sizeof hex});
    tm_buf_byte(&whole, '}');
    uint64_t seq = number_of((tm_span){data, size}, "\"seq\":");
    if (seq == 0) seq = 1;
    save(&w, seq, tm_buf_span(&whole));
    // The log goes on from the mark that the snapshot says, if it says one.
    bool done = false;
    tm_store_append append = {
        .key = {fuzz_text("ann"), fuzz_text("l")},
        .batch = {.first_seq = 1, .last_seq = seq, .operations = fuzz_text("[]")},
        .done = appended,
        .context = &done};
    for (size_t i = 0; i + 8 + TM_MARK_HEX < size; i++) {
        if (memcmp(data + i, "\"mark\":\"", 8) != 0) continue;
        if (tm_mark_read((tm_span){data + i + 8, TM_MARK_HEX}, append.batch.mark))
            break;
    }
    tm_store_append_start(w.store, &append);
    while (!done) {
        (void)tm_store_wait(w.store);
    }
    uint64_t status =
        fuzz_request(&w, TM_GET, fuzz_text("/v1/lists/l"), none, none);
    TM_ASSERT(status == 200 || status == 503);
    uint64_t head, again;
    tm_buf before = fuzz_canonical(&w, &head);
    if (status == 200 && head > 0) {
        tm_key key = {fuzz_text("ann"), fuzz_text("l")};
        static const char push[] =
            "{\"user\":\"ann\",\"operations\":[{\"id\":\"zz\",\"type\":\"PAINT\","
            "\"timestamp\":1,\"browserId\":\"the-last\",\"version\":1}]}";
        (void)fuzz_request(&w, TM_POST, fuzz_text("/v1/lists/l/operations"), none,
                           fuzz_text(push));
        tm_buf_deinit(&before);
        before = fuzz_canonical(&w, &head);
        TM_ASSERT(tm_service_compact(w.service, w.now, key) == TM_OK);
        fuzz_stop(&w);
        fuzz_start(&w);
        TM_ASSERT(fuzz_request(&w, TM_GET, fuzz_text("/v1/lists/l"), none, none) ==
                  200);
        tm_buf after = fuzz_canonical(&w, &again);
        TM_ASSERT(head == again && before.len == after.len &&
                  memcmp(before.ptr, after.ptr, before.len) == 0);
        tm_buf_deinit(&after);
    }
    tm_buf_deinit(&before);
    tm_buf_deinit(&whole);
    fuzz_close(&w);
    return 0;
}
