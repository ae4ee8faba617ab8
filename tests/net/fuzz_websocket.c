// Any bytes as a client's frames. The codec must tell the same events however the bytes
// are cut, hold no memory when it says it holds none, and never give text that is not
// UTF-8. Byte 0 of the input chooses the cuts.
#include "fuzz.h"
#include "net/websocket.h"

#define MESSAGE_MAX 4096u // small, so that the limit is reached
#define TRACE_MAX   (1u << 20)

static size_t held;

static void *resize(void *context, void *ptr, size_t old_size, size_t new_size) {
    (void)context;
    held += new_size - old_size;
    if (new_size > 0) return realloc(ptr, new_size);
    free(ptr);
    return NULL;
}

// What happened, as bytes; a trace that is too long just ends.
typedef struct trace {
    size_t len;
    uint8_t bytes[TRACE_MAX];
} trace;

static void put(trace *to, const void *from, size_t len) {
    if (to->len + len > TRACE_MAX) return;
    if (len > 0) memcpy(to->bytes + to->len, from, len);
    to->len += len;
}

static void must(bool fact, const char *what) {
    if (fact) return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static void check(const tm_ws_event *event) {
    must(event->bytes.len <= MESSAGE_MAX, "an event within the limit");
    if (event->kind == TM_WS_TEXT) {
        tm_utf8 utf8 = {0};
        must(tm_utf8_feed(&utf8, event->bytes) && tm_utf8_done(&utf8),
             "text is UTF-8");
    }
    bool control = event->kind == TM_WS_PING || event->kind == TM_WS_PONG;
    must(!control || event->bytes.len <= TM_WS_CONTROL_MAX,
         "a control frame's size");
}

static void feed(const uint8_t *data, size_t size, size_t step, trace *out) {
    tm_alloc alloc = {resize, NULL};
    tm_ws ws = {.alloc = &alloc, .message_max = MESSAGE_MAX, .binary = true};
    out->len = 0;
    for (size_t at = 0; at < size;) {
        size_t len = size - at < step ? size - at : step;
        uint8_t *run = malloc(len);
        if (run == NULL) abort();
        memcpy(run, data + at, len);
        tm_ws_event event;
        size_t used;
        for (size_t done = 0;; done += used) {
            if (tm_ws_feed(&ws, run + done, len - done, &used, &event) != TM_OK)
                break;
            check(&event);
            uint8_t kind = (uint8_t)event.kind;
            put(out, &kind, 1);
            put(out, &event.code, sizeof event.code);
            put(out, event.bytes.ptr, event.bytes.len);
        }
        free(run);
        if (ws.message == 0 && ws.head_len == 0) must(held == 0, "no idle memory");
        at += len;
    }
    tm_ws_deinit(&ws);
    must(held == 0, "no leak");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static trace whole, cut;
    if (size < 2) return 0;
    size_t step = 1u + data[0] % 61u;
    feed(data + 1, size - 1, size, &whole);
    feed(data + 1, size - 1, step, &cut);
    must(whole.len == cut.len && memcmp(whole.bytes, cut.bytes, whole.len) == 0,
         "the same events, however cut");
    return 0;
}
