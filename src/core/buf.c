// buf.c - see buf.h.
#include "core/buf.h"

#include <string.h>

#define BUF_CAP_MIN 64u

uint8_t *tm_buf_reserve(tm_buf *buf, size_t more) {
    if (tm_buf_status(buf) != TM_OK) TM_NO_MEMORY;
    if (buf->ptr != NULL && buf->cap - buf->len >= more) return buf->ptr + buf->len;

    size_t cap = buf->cap < BUF_CAP_MIN ? BUF_CAP_MIN : buf->cap;
    while (cap - buf->len < more && cap <= SIZE_MAX / 2)
        cap *= 2;
    uint8_t *ptr = NULL;
    if (TM_BROWSER || cap - buf->len >= more) {
        ptr = tm_alloc_resize(buf->alloc, buf->ptr, buf->cap, cap);
    }
    if (ptr == NULL) {
        buf->status = TM_E_NOMEM;
        TM_NO_MEMORY;
    }
    buf->ptr = ptr;
    buf->cap = cap;
    return ptr + buf->len;
}

void tm_buf_put(tm_buf *buf, tm_span bytes) {
    if (bytes.len == 0) return;
    uint8_t *to = tm_buf_reserve(buf, bytes.len);
    if (to == NULL) return;
    memcpy(to, bytes.ptr, bytes.len);
    buf->len += bytes.len;
}

void tm_buf_text(tm_buf *buf, const char *literal) {
    size_t len = 0;
    while (literal[len] != '\0')
        len++;
    tm_buf_put(buf, (tm_span){(const uint8_t *)literal, len});
}

void tm_buf_byte(tm_buf *buf, uint8_t byte) {
    uint8_t *to = tm_buf_reserve(buf, 1);
    if (to == NULL) return;
    *to = byte;
    buf->len++;
}

void tm_buf_u64(tm_buf *buf, uint64_t number) {
    uint8_t digits[20]; // 2^64-1 has twenty
    size_t at = sizeof digits;
    do {
        digits[--at] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    tm_buf_put(buf, (tm_span){digits + at, sizeof digits - at});
}

static void escape(tm_buf *buf, uint8_t byte) {
    static const char hex[] = "0123456789abcdef";
    static const char words[] = "btn?fr"; // from 8 on; 11 has none
    uint8_t text[6] = {'\\', 'u', '0', '0', 0, 0};
    size_t len = 2;
    if (byte == '"' || byte == '\\') {
        text[1] = byte;
    } else if (byte >= 8 && byte <= 13 && byte != 11) {
        text[1] = (uint8_t)words[byte - 8];
    } else {
        text[4] = (uint8_t)hex[byte >> 4];
        text[5] = (uint8_t)hex[byte & 15];
        len = 6;
    }
    tm_buf_put(buf, (tm_span){text, len});
}

void tm_buf_json(tm_buf *buf, tm_span text) {
    tm_buf_byte(buf, '"');
    size_t start = 0; // of the run that needs no escape
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.ptr[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
        tm_buf_put(buf, (tm_span){text.ptr + start, i - start});
        escape(buf, byte);
        start = i + 1;
    }
    if (start < text.len) {
        tm_buf_put(buf, (tm_span){text.ptr + start, text.len - start});
    }
    tm_buf_byte(buf, '"');
}

tm_span tm_buf_span(const tm_buf *buf) {
    return (tm_span){buf->ptr, buf->len};
}

TM_CALLED void tm_buf_reset(tm_buf *buf) {
    buf->len = 0;
    buf->status = TM_OK;
}

void tm_buf_deinit(tm_buf *buf) {
    if (buf == NULL || buf->ptr == NULL) return;
    tm_alloc_put(buf->alloc, buf->ptr, buf->cap);
    *buf = (tm_buf){.alloc = buf->alloc};
}
