// Any bytes as a request: head, then a chunked body if it says so. The verdict must not
// depend on how the bytes are cut, and what the scan passes must have exactly one Host,
// be read by the parser behind it, and say one thing about its body. Byte 0 of the input
// chooses the cuts.
#include "fuzz.h"
#include "net/chunk.h"
#include "net/request.h"

static void must(bool fact, const char *what) {
    if (fact) return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static tm_status scan(tm_span text, size_t step, tm_head *head, size_t *at) {
    tm_status status = TM_E_MORE;
    *at = 0;
    while (status == TM_E_MORE && *at < text.len) {
        size_t len = text.len - *at < step ? text.len - *at : step, used;
        status = tm_head_feed(head, (tm_span){text.ptr + *at, len}, &used);
        *at += used;
    }
    return status;
}

static void check(tm_span text, const tm_head *head) {
    static tm_http_request request;
    if (tm_request_read(text, &request) != TM_OK)
        return; // a method it does not know
    size_t hosts, lengths, encodings;
    (void)tm_request_field(&request, "host", &hosts);
    tm_span length = tm_request_field(&request, "content-length", &lengths);
    tm_span encoding = tm_request_field(&request, "transfer-encoding", &encodings);
    must(hosts == 1, "one Host");
    must(lengths == (head->has_length ? 1 : 0), "at most one length");
    must(encodings == (head->chunked ? 1 : 0), "at most one encoding");
    must(!head->chunked || !head->has_length, "one way to frame the body");
    must(!head->chunked || tm_span_is(encoding, "chunked"),
         "chunked and nothing else");
    for (size_t i = 0; i < length.len; i++) {
        must(length.ptr[i] >= '0' && length.ptr[i] <= '9', "digits");
    }
    must(memchr(request.path.ptr, ' ', request.path.len) == NULL, "one target");
}

// The body's data added up, and where it ended.
static tm_status body(tm_span text, size_t step, uint64_t *sum, size_t *at) {
    tm_chunk chunk = {0};
    tm_status status = TM_E_MORE;
    *sum = *at = 0;
    while (*at < text.len && !chunk.over) {
        size_t len = text.len - *at < step ? text.len - *at : step, used;
        tm_span data;
        status =
            tm_chunk_feed(&chunk, (tm_span){text.ptr + *at, len}, &used, &data);
        *at += used;
        if (status == TM_E_CORRUPT) break;
        for (size_t i = 0; i < data.len && status == TM_OK; i++) {
            *sum = *sum * 31 + data.ptr[i] + 1;
        }
    }
    return status == TM_OK && !chunk.over ? TM_E_MORE : status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    size_t step = 1u + data[0] % 61u;
    tm_span text = {data + 1, size - 1};
    tm_head whole = {0}, cut = {0};
    size_t whole_at, cut_at;
    tm_status status = scan(text, text.len, &whole, &whole_at);
    must(scan(text, step, &cut, &cut_at) == status,
         "the same verdict, however cut");
    must(whole_at == cut_at, "at the same byte");
    must(whole.status == cut.status && whole.reason == cut.reason,
         "the same answer");
    if (status == TM_OK) check((tm_span){text.ptr, whole_at}, &whole);
    if (status != TM_OK || !whole.chunked) return 0;

    tm_span rest = {text.ptr + whole_at, text.len - whole_at};
    uint64_t whole_sum, cut_sum;
    status = body(rest, rest.len, &whole_sum, &whole_at);
    must(body(rest, step, &cut_sum, &cut_at) == status,
         "the same body, however cut");
    if (status == TM_OK) {
        must(whole_sum == cut_sum && whole_at == cut_at, "the same data and end");
    }
    return 0;
}
