// head.h - the scan of an HTTP/1.1 request head, before any parser sees it.
//
// Two programs that disagree about where a request ends can be played against each
// other (request smuggling), and the parser behind this scan is generous: by itself it
// takes a bare LF, folded lines, a space before the colon, a request without Host. So
// every byte passes here first, and what is not exactly one plain request head is
// refused. What passes leaves nothing to disagree about.
//
//   line        CRLF, never LF or CR alone; no folding; no control characters, no NUL
//   request     METHOD SP target SP HTTP/1.0 or HTTP/1.1; the target begins with / or is *
//   field       name of token characters, at once the colon; the value valid UTF-8
//   Host        exactly one
//   body        no body; or one Content-Length of digits alone; or one
//               Transfer-Encoding that is `chunked`, in HTTP/1.1; never both
//   size        TM_HEAD_MAX bytes, TM_HEAD_LINES_MAX fields, TM_TARGET_MAX of target
//
// One empty line before the request is forgiven (RFC 9112 2.2). Incremental: fed in any
// pieces, the verdict falls at the same byte. Nothing is stored but what is counted.
//
// Knows core/base.h, net/utf8.h. Implements RFC 9112 2, 3, 5, 6.3; TRUST 2 rows 15, 18,
// 20.
#ifndef TM_NET_HEAD_H
#define TM_NET_HEAD_H

#include "core/base.h"
#include "net/utf8.h"

#define TM_HEAD_MAX       16384u // bytes, from the first to the empty line
#define TM_HEAD_LINES_MAX 64u    // header fields
#define TM_TARGET_MAX     4096u  // bytes of the request target
#define TM_METHOD_MAX     16u    // bytes of the method

// Zero-initialised = before the first byte.
typedef struct tm_head {
    // After TM_OK: how the body is framed.
    bool chunked;
    bool has_length;
    uint64_t length; // of Content-Length; saturates far above any limit

    // After TM_E_CORRUPT: how to answer. The connection cannot be used further.
    uint16_t status;    // 400, 414, 431 or 505
    const char *reason; // a literal: a sentence for people

    // The rest is the scan's own.
    uint8_t state, field;
    bool host, old; // a Host was seen; HTTP/1.0
    bool ended;     // white space behind a value of ours
    uint8_t word_len;
    uint8_t word[18]; // start of the name or value being read, in lower case
    uint16_t size, lines, target_len;
    tm_utf8 utf8;
} tm_head;

// tm_head_feed - scan what arrived.
//   bytes   borrows
//   used    receives how many belong to the head; with TM_OK what follows is the body
// TM_E_MORE: all used, the head goes on. TM_E_CORRUPT: refused, see `status`; `used` is
// then the byte that decided it.
TM_MUST_USE tm_status tm_head_feed(tm_head *head, tm_span bytes, size_t *used);

#endif
