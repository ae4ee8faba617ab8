// buf.h - bytes that grow: what every writer writes into.
//
// A failed append is remembered in `status` and all later ones do nothing, so a writer
// checks once, at its end. Zero-initialised but for `alloc` = empty.
//
// Knows core/alloc.h.
#ifndef TM_CORE_BUF_H
#define TM_CORE_BUF_H

#include "core/alloc.h"

typedef struct tm_buf {
    const tm_alloc *alloc; // keeps
    uint8_t *ptr;          // owned; may move at each append
    size_t len, cap;
    tm_status status; // of tm_buf_status
} tm_buf;

void tm_buf_put(tm_buf *buf, tm_span bytes);
void tm_buf_text(tm_buf *buf, const char *literal); // NUL-terminated, ours
void tm_buf_byte(tm_buf *buf, uint8_t byte);
void tm_buf_u64(tm_buf *buf, uint64_t number); // decimal

// tm_buf_json - a JSON string, quoted and escaped. Escapes only what must be: ", \ and
// the controls below 0x20 (\b \f \n \r \t, else \u00xx, lower-case hex). `text` is UTF-8.
void tm_buf_json(tm_buf *buf, tm_span text);

// tm_buf_reserve - room for `more` bytes at ptr + len, to be filled by the caller who
// then raises len. NULL when refused.
TM_MEMORY uint8_t *tm_buf_reserve(tm_buf *buf, size_t more);

// tm_buf_status - TM_E_NOMEM since the first append that failed.
static inline tm_status tm_buf_status(const tm_buf *buf) {
    return TM_BROWSER ? TM_OK : buf->status;
}

// tm_buf_span - lends what was written so far.
tm_span tm_buf_span(const tm_buf *buf);

void tm_buf_reset(tm_buf *buf); // len 0, status TM_OK; memory is kept
void tm_buf_deinit(tm_buf *buf);

#endif
