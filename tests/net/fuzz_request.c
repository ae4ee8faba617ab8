// Any bytes as a request head that the scan passes: http-parser must find in it exactly the
// lines that stand there, cut at CRLF and colon; and whoever asks about it further (the
// handshake, Host and Origin, Accept-Encoding, If-None-Match) agrees with a plain reading.
#include "fuzz.h"
#include "net/access.h"
#include "net/handshake.h"
#include "net/pages.h"

static tm_span text_of(const char *text) {
    return (tm_span){(const uint8_t *)text, strlen(text)};
}

static bool same(tm_span a, tm_span b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static bool inside(tm_span part, tm_span whole) {
    return part.len == 0 ||
           (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

// Up to `end`, which is passed over.
static tm_span take(tm_span *rest, const char *end) {
    size_t len = strlen(end);
    for (size_t i = 0; i + len <= rest->len; i++) {
        if (memcmp(rest->ptr + i, end, len) != 0) continue;
        tm_span part = {rest->ptr, i};
        *rest = (tm_span){rest->ptr + i + len, rest->len - i - len};
        return part;
    }
    tm_panic(__FILE__, __LINE__, "what the scan passed has its line ends");
}

static tm_span trim(tm_span text) {
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text = (tm_span){text.ptr + 1, text.len - 1};
    }
    while (text.len > 0 &&
           (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

static void lines_check(tm_span head, const tm_http_request *request) {
    while (head.len >= 2 && memcmp(head.ptr, "\r\n", 2) == 0) { // is forgiven
        head = (tm_span){head.ptr + 2, head.len - 2};
    }
    (void)take(&head, " ");
    tm_span target = take(&head, " ");
    tm_span version = take(&head, "\r\n");
    TM_ASSERT(same(version, text_of("HTTP/1.1")) == request->http_1_1);
    tm_span path = target;
    for (size_t i = 0; i < target.len; i++) {
        if (target.ptr[i] != '?') continue;
        path.len = i;
        tm_span query = {target.ptr + i + 1, target.len - i - 1};
        TM_ASSERT(same(query, request->query));
        break;
    }
    TM_ASSERT(same(path, request->path));
    for (size_t i = 0;; i++) {
        tm_span line = take(&head, "\r\n");
        if (line.len == 0) {
            TM_ASSERT(i == request->field_count && head.len == 0);
            return;
        }
        tm_span name = take(&line, ":");
        TM_ASSERT(i < request->field_count);
        TM_ASSERT(same(name, request->fields[i].name));
        TM_ASSERT(same(trim(line), trim(request->fields[i].value)));
    }
}

static void asked_check(tm_span head, const tm_http_request *request,
                        const tm_access *access) {
    tm_handshake handshake;
    tm_handshake_check(request, &handshake);
    TM_ASSERT(inside(handshake.token, head));
    bool upgrade = tm_request_lists(request, "upgrade", "websocket") &&
                   tm_request_lists(request, "connection", "upgrade");
    TM_ASSERT(handshake.status == 101 || handshake.reason != NULL);
    if (handshake.status == 101) {
        TM_ASSERT(upgrade && request->method == TM_HTTP_GET && request->http_1_1);
        TM_ASSERT(strlen(handshake.accept) == TM_WS_ACCEPT_LEN);
        TM_ASSERT(tm_request_lists(request, "sec-websocket-version", "13"));
    }
    (void)tm_accepts_gzip(request);
    (void)tm_etag_known(request, "\"0123456789abcdef0123456789abcdef\"");
    tm_span host = tm_request_field(request, "host", NULL);
    tm_span origin = tm_request_field(request, "origin", NULL);
    if (tm_access_host(access, host)) {
        TM_ASSERT(tm_span_is(host, "good.example") ||
                  tm_span_is(host, "localhost:8080") ||
                  tm_span_is(host, "127.0.0.1:8080") ||
                  tm_span_is(host, "[::1]:8080"));
    }
    if (origin.ptr != NULL && tm_access_origin(access, origin)) {
        TM_ASSERT(same(origin, text_of("https://good.example")) ||
                  same(origin, text_of("http://localhost:8080")) ||
                  same(origin, text_of("http://127.0.0.1:8080")) ||
                  same(origin, text_of("http://[::1]:8080")));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static tm_http_request request;
    tm_head scan = {0};
    tm_alloc alloc = fuzz_alloc();
    size_t used;
    if (tm_head_feed(&scan, (tm_span){data, size}, &used) != TM_OK) return 0;
    uint8_t *copy = malloc(used); // reading past its end is found
    TM_ASSERT(copy != NULL);
    memcpy(copy, data, used);
    tm_span head = {copy, used};
    if (tm_request_read(head, &request) == TM_OK) {
        tm_access access = {.texts = {.alloc = &alloc}};
        TM_ASSERT(tm_access_local(&access, 8080) == TM_OK);
        TM_ASSERT(tm_access_origin_add(&access, text_of("https://good.example")) ==
                  TM_OK);
        lines_check(head, &request);
        asked_check(head, &request, &access);
        tm_access_deinit(&access);
    }
    free(copy);
    return 0;
}
