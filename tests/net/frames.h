// frames.h - a few words to write down what goes over a WebSocket, for tables of tests.
//
//   text='Hello' ping=x00ff+'z' close=c1000+'bye' cont-=*125
//
// One word per frame: its kind, marks, then = and the payload, pieces joined by +.
//   kinds    text bin cont ping pong close op3 .. op15; raw: the payload alone, no header
//   marks    - not final; /N reserved bits N (1 to 7); ! without mask
//   pieces   'ascii'   x0aff hex   *N N bytes of '*'   c1000 a close code, two bytes
//
// The same words say what is expected of a codec, one per event: text bin ping pong with
// the payload, close with code and reason (no payload: no code), fail with the code.
#ifndef TM_TESTS_NET_FRAMES_H
#define TM_TESTS_NET_FRAMES_H

#include "core/base.h"

// Bytes of a test; grows, never fails (it aborts).
typedef struct t_bytes {
    uint8_t *ptr;
    size_t len, cap;
} t_bytes;

void bytes_put(t_bytes *to, const void *from, size_t len);
void bytes_free(t_bytes *of);

// frames_payload - one payload of the language above, appended to `to`.
void frames_payload(const char *text, size_t len, t_bytes *to);

// frames_client - what a client sends for these words, masked.
void frames_client(const char *words, t_bytes *to);

// frames_trace - what a codec tells for these words, as the bytes of trace_event.
void frames_trace(const char *words, t_bytes *to);

// trace_event - one event as bytes that compare: kind, length, payload. A close's
// payload is its code, if it had one, and its reason; a failure's its code.
void trace_event(t_bytes *to, int kind, uint16_t code, tm_span payload);

// trace_text - a trace as words, for a message; lent until the next call.
const char *trace_text(const t_bytes *trace);

#endif
