// Any bytes as a chunked body: the same data and end however they are cut, and the same as
// a reader of whole bodies, written from RFC 9112 7.1 and chunk.h alone, says. Byte 0
// chooses the cuts.
#include "fuzz.h"
#include "net/chunk.h"

typedef struct result {
    tm_status status; // TM_OK: the body is over; TM_E_MORE; TM_E_CORRUPT
    size_t used, len; // bytes of the body if it is over; bytes of data
    uint8_t *data;
} result;

static void add(result *to, tm_span data) {
    TM_ASSERT(data.len > 0);
    memcpy(to->data + to->len, data.ptr, data.len);
    to->len += data.len;
}

static result fed(const uint8_t *body, size_t size, size_t step) {
    tm_chunk chunk = {0};
    result to = {.status = TM_E_MORE, .data = malloc(size + 1)};
    TM_ASSERT(to.data != NULL);
    for (size_t at = 0; at < size && !chunk.over;) {
        size_t len = size - at < step ? size - at : step, used = 0;
        uint8_t *copy = malloc(len);
        TM_ASSERT(copy != NULL);
        memcpy(copy, body + at, len);
        tm_span data = {NULL, 0};
        tm_status status =
            tm_chunk_feed(&chunk, (tm_span){copy, len}, &used, &data);
        if (status == TM_E_CORRUPT) {
            to.status = status;
            free(copy);
            return to;
        }
        TM_ASSERT(used <= len && (used > 0 || data.len > 0 || chunk.over));
        TM_ASSERT(status == TM_OK || (status == TM_E_MORE && used == len));
        if (data.len > 0) {
            TM_ASSERT(data.ptr >= copy && data.ptr + data.len <= copy + used);
            add(&to, data);
        }
        at += used;
        to.used = at;
        free(copy);
    }
    if (chunk.over) to.status = TM_OK;
    return to;
}

// ---- the naive reader -------------------------------------------------------------------

typedef struct text {
    const uint8_t *at, *end;
} text;

// 1: there; 0: not there yet; -1: something else is.
static int crlf(text *in) {
    for (int i = 0; i < 2; i++) {
        if (in->at == in->end) return 0;
        if (*in->at++ != "\r\n"[i]) return -1;
    }
    return 1;
}

static int digit(uint8_t c) {
    const char *digits = "0123456789abcdefABCDEF", *at;
    if (c == 0 || (at = strchr(digits, c)) == NULL) return -1;
    return (int)(at - digits) - (at - digits > 15 ? 6 : 0);
}

// The line with the size: 1, 0, -1 as above.
static int size_line(text *in, uint64_t *size, size_t *extension) {
    size_t digits = 0;
    for (*size = 0; in->at < in->end && digit(*in->at) >= 0; in->at++) {
        if (++digits > 16) return -1;
        *size = *size << 4 | (uint64_t)digit(*in->at);
    }
    if (in->at == in->end) return 0;
    if (digits == 0) return -1;
    if (*in->at == ';') {
        for (in->at++; in->at < in->end && *in->at != '\r'; in->at++) {
            bool fits = *in->at == '\t' || (*in->at >= 0x20 && *in->at < 0x7f);
            if (!fits || ++*extension > TM_CHUNK_EXTENSION_MAX) return -1;
        }
    }
    return crlf(in);
}

static tm_status naive(const uint8_t *body, size_t size, result *to) {
    text in = {body, body + size};
    size_t extension = 0;
    for (;;) {
        uint64_t chunk;
        int line = size_line(&in, &chunk, &extension);
        if (line <= 0) return line == 0 ? TM_E_MORE : TM_E_CORRUPT;
        size_t left = (size_t)(in.end - in.at);
        if (chunk > 0) {
            size_t len = chunk < left ? (size_t)chunk : left;
            if (len > 0) add(to, (tm_span){in.at, len});
            in.at += len;
            if (len < chunk) return TM_E_MORE;
        }
        int end = crlf(&in);
        if (end <= 0) return end == 0 ? TM_E_MORE : TM_E_CORRUPT;
        to->used = (size_t)(in.at - body);
        if (chunk == 0) return TM_OK;
    }
}

static void same(const result *a, const result *b) {
    TM_ASSERT(a->status == b->status);
    if (a->status == TM_OK) TM_ASSERT(a->used == b->used);
    if (a->status == TM_E_CORRUPT) return; // how much came before does not matter
    TM_ASSERT(a->len == b->len && memcmp(a->data, b->data, a->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    size_t step = 1u + data[0] % 31u;
    data++;
    size--;
    result want = {.data = malloc(size + 1)};
    TM_ASSERT(want.data != NULL);
    want.status = naive(data, size, &want);
    size_t steps[] = {size, 1, step};
    for (size_t i = 0; i < 3; i++) {
        result got = fed(data, size, steps[i]);
        same(&got, &want);
        free(got.data);
    }
    free(want.data);
    return 0;
}
