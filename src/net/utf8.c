// utf8.c - see utf8.h.
#include "net/utf8.h"

#include <string.h>

#define ASCII_8 UINT64_C(0x8080808080808080) // set in a word with a byte above 7F

// The lead byte of a character of two to four bytes. 80..C1 and F5..FF lead nothing:
// they would be a stray continuation, an overlong form, or beyond U+10FFFF.
static bool lead(tm_utf8 *utf8, uint8_t byte) {
    utf8->lo = 0x80;
    utf8->hi = 0xbf;
    if (byte < 0xc2 || byte > 0xf4) return false;
    if (byte < 0xe0) {
        utf8->need = 1;
    } else if (byte < 0xf0) {
        utf8->need = 2;
        if (byte == 0xe0) utf8->lo = 0xa0; // below: overlong
        if (byte == 0xed) utf8->hi = 0x9f; // above: a surrogate
    } else {
        utf8->need = 3;
        if (byte == 0xf0) utf8->lo = 0x90; // below: overlong
        if (byte == 0xf4) utf8->hi = 0x8f; // above: beyond U+10FFFF
    }
    return true;
}

bool tm_utf8_feed(tm_utf8 *utf8, tm_span bytes) {
    const uint8_t *at = bytes.ptr;
    size_t left = bytes.len;
    while (left > 0) {
        if (utf8->need == 0 && left >= sizeof(uint64_t)) { // most text is ASCII
            uint64_t word;
            memcpy(&word, at, sizeof word);
            if ((word & ASCII_8) == 0) {
                at += sizeof word;
                left -= sizeof word;
                continue;
            }
        }
        uint8_t byte = *at++;
        left--;
        if (utf8->need > 0) {
            if (byte < utf8->lo || byte > utf8->hi) return false;
            utf8->need--;
            utf8->lo = 0x80;
            utf8->hi = 0xbf;
        } else if (byte >= 0x80) {
            if (!lead(utf8, byte)) return false;
        }
    }
    return true;
}
