// conformance.h - the 246 functional cases of the public WebSocket conformance suite: its
// numbers, its inputs, sections 1 to 7, in the words of frames.h.
#ifndef TM_TESTS_NET_CONFORMANCE_H
#define TM_TESTS_NET_CONFORMANCE_H

#include "frames.h"

// What is sent, and what a codec that takes binary, too, must tell.
typedef struct row {
    const char *name, *sent, *told;
} row;

extern const row conformance[];
extern const size_t conformance_count;

// 6.5 to 6.23: text that is UTF-8, or is not.
typedef struct vector {
    const char *name, *hex;
    bool valid;
    // Or all bytes of a range, each followed by `then`.
    uint8_t from, to;
    const char *then;
} vector;

extern const vector vectors[];
extern const size_t vectors_count;

// vector_bytes - appends the text.
void vector_bytes(const vector *of, t_bytes *to);

// put_hex - writes bytes as a piece of the language of frames.h, with a NUL.
void put_hex(char *to, const t_bytes *from, size_t begin, size_t end);

#endif
