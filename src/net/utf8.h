// utf8.h - is this UTF-8, asked while the bytes still arrive.
//
// A WebSocket text message may be cut anywhere: between frames, in the middle of a
// character, between two reads. RFC 6455 8.1 wants the connection failed at the first
// byte that cannot belong to valid text, not at the end of the message, so the check
// keeps the unfinished character between calls. Three bytes of state, no table.
//
// What is valid stands in Unicode, table 3-7: no overlong form, no surrogate, nothing
// above U+10FFFF. Each lead byte fixes how many bytes follow and in which range the
// next of them must lie; the ones after it are 80..BF.
#ifndef TM_NET_UTF8_H
#define TM_NET_UTF8_H

#include "core/base.h"

// Zero-initialised = at the start of a text.
typedef struct tm_utf8 {
    uint8_t need;   // bytes the character begun still lacks, 0 to 3
    uint8_t lo, hi; // what the next of them may be; meaningless when need is 0
} tm_utf8;

// tm_utf8_feed - check the next bytes of a text.
//   bytes    borrows
// False at the first byte that no valid text could have here. The state is then used
// up: set it to zero before the next text.
TM_MUST_USE bool tm_utf8_feed(tm_utf8 *utf8, tm_span bytes);

// tm_utf8_done - may the text end here? False inside a character.
static inline bool tm_utf8_done(const tm_utf8 *utf8) {
    return utf8->need == 0;
}

#endif
