// Any bytes as text: the whole check (core), the incremental one (net) fed whole, by the
// byte and cut anywhere, and a decoder that computes each code point say the same, and
// the incremental one says no at the very byte that no text could have.
#include "core/json.h"
#include "fuzz.h"
#include "net/utf8.h"

#define END SIZE_MAX // all of it is the beginning of some text

// How many bytes the character at `at` has: 0 = none can begin so; or the offset of the
// first bad byte in *bad.
static size_t character(const uint8_t *text, size_t size, size_t at, size_t *bad) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t lead = text[at];
    size_t len = lead < 0x80             ? 1
                 : (lead & 0xe0) == 0xc0 ? 2
                 : (lead & 0xf0) == 0xe0 ? 3
                 : (lead & 0xf8) == 0xf0 ? 4
                                         : 0;
    *bad = at;
    if (len < 2) return len;
    uint32_t point = lead & (0x7fu >> len), low, high;
    for (size_t i = 1; i < len; i++) {
        // What the code point can still become with the bytes that are missing.
        uint32_t shift = (uint32_t)(6 * (len - i));
        low = point << shift;
        high = low + ((1u << shift) - 1);
        bool hopeless = high < least[len] || low > 0x10ffff ||
                        (low >= 0xd800 && high <= 0xdfff);
        if (hopeless) {
            *bad = at + i - 1;
            return 0;
        }
        if (at + i == size) return len; // cut off, and fine so far
        if ((text[at + i] & 0xc0) != 0x80) {
            *bad = at + i;
            return 0;
        }
        point = point << 6 | (text[at + i] & 0x3f);
    }
    bool fine = point >= least[len] && point <= 0x10ffff &&
                !(point >= 0xd800 && point <= 0xdfff);
    *bad = at + len - 1;
    return fine ? len : 0;
}

// The first byte that no text could have here, or END; *done: may the text end here?
static size_t naive(const uint8_t *text, size_t size, bool *done) {
    size_t at = 0, bad;
    *done = false;
    while (at < size) {
        size_t len = character(text, size, at, &bad);
        if (len == 0) return bad;
        at += len;
    }
    *done = at == size;
    return END;
}

// The same, by tm_utf8_feed in steps of `step` bytes: the piece that holds the bad byte.
static size_t fed(const uint8_t *text, size_t size, size_t step, bool *done) {
    tm_utf8 utf8 = {0};
    for (size_t at = 0; at < size; at += step) {
        size_t len = size - at < step ? size - at : step;
        uint8_t *copy = malloc(len); // reading past its end is found
        TM_ASSERT(copy != NULL);
        memcpy(copy, text + at, len);
        bool fine = tm_utf8_feed(&utf8, (tm_span){copy, len});
        free(copy);
        if (!fine) return at;
    }
    *done = tm_utf8_done(&utf8);
    return END;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bool want, done = false;
    if (size < 1) return 0;
    size_t step = 1u + data[0] % 13u;
    data++;
    size--;
    size_t bad = naive(data, size, &want);
    TM_ASSERT(tm_utf8_valid((tm_span){data, size}) == (bad == END && want));
    TM_ASSERT(fed(data, size, 1, &done) == bad && (bad != END || done == want));
    done = false;
    size_t piece = fed(data, size, step, &done);
    TM_ASSERT(piece == (bad == END ? END : bad - bad % step));
    TM_ASSERT(bad != END || done == want);
    done = false;
    TM_ASSERT((fed(data, size, size + 1, &done) == END) == (bad == END));
    return 0;
}
