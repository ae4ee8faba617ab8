// digest.c - see digest.h.
#include "core/digest.h"

#include <string.h>

#define SEED_REG  1u
#define SEED_DEAD 2u
#define NULL_LEN  0xffffffffu

static inline uint64_t rotl(uint64_t x, unsigned by) {
    return x << by | x >> (64 - by);
}

// Public domain constants and steps of Austin Appleby's MurmurHash3_x64_128.
static inline void block_mix(tm_digest *h, uint64_t k1, uint64_t k2) {
    const uint64_t c1 = UINT64_C(0x87c37b91114253d5);
    const uint64_t c2 = UINT64_C(0x4cf5ad432745937f);
    h->lo ^= rotl(k1 * c1, 31) * c2;
    h->lo = (rotl(h->lo, 27) + h->hi) * 5 + 0x52dce729u;
    h->hi ^= rotl(k2 * c2, 33) * c1;
    h->hi = (rotl(h->hi, 31) + h->lo) * 5 + 0x38495ab5u;
}

static inline uint64_t finish(uint64_t x) {
    x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
    x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

static inline void digest_finish(tm_digest *h) {
    h->lo += h->hi;
    h->hi += h->lo;
    h->lo = finish(h->lo);
    h->hi = finish(h->hi);
    h->lo += h->hi;
    h->hi += h->lo;
}

// Eight bytes, little-endian on every machine; past `left` they are zero.
static inline uint64_t load64(const uint8_t *p, size_t left) {
    uint64_t word = 0;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (left >= 8) {
        memcpy(&word, p, 8);
        return word;
    }
#endif
    for (size_t i = left < 8 ? left : 8; i-- > 0;) {
        word = word << 8 | p[i];
    }
    return word;
}

static void text_mix(tm_digest *h, tm_span text) {
    for (size_t at = 0; at < text.len; at += 16) {
        size_t left = text.len - at;
        uint64_t low = load64(text.ptr + at, left);
        block_mix(h, low, left > 8 ? load64(text.ptr + at + 8, left - 8) : 0);
    }
}

void tm_digest_add(tm_digest *sum, tm_digest part) {
    sum->lo += part.lo;
    sum->hi += part.hi + (sum->lo < part.lo); // the carry
}

void tm_digest_sub(tm_digest *sum, tm_digest part) {
    sum->hi -= part.hi + (sum->lo < part.lo); // the borrow
    sum->lo -= part.lo;
}

tm_digest tm_digest_reg(tm_span instance_id, tm_span name, const tm_reg *reg) {
    uint64_t value_len = reg->value.ptr == NULL ? NULL_LEN : reg->value.len;
    tm_digest h = {SEED_REG, SEED_REG};
    block_mix(&h, instance_id.len | (uint64_t)name.len << 32,
              reg->at.browser.len | value_len << 32);
    block_mix(&h, reg->at.time, reg->at.version);
    text_mix(&h, instance_id);
    text_mix(&h, name);
    text_mix(&h, reg->at.browser);
    text_mix(&h, reg->value);
    digest_finish(&h);
    return h;
}

tm_digest tm_digest_dead(tm_span instance_id) {
    tm_digest h = {SEED_DEAD, SEED_DEAD};
    block_mix(&h, instance_id.len, 0);
    text_mix(&h, instance_id);
    digest_finish(&h);
    return h;
}

void tm_digest_hex(tm_digest digest, uint8_t hex[32]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        hex[i] = (uint8_t)digits[digest.hi >> (60 - 4 * i) & 15];
        hex[16 + i] = (uint8_t)digits[digest.lo >> (60 - 4 * i) & 15];
    }
}
