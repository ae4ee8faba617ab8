// digest.h - 128 bits that name a state: equal states have equal digests, and a change
// of one register costs one subtraction and one addition.
//
// A state's digest is the sum, modulo 2^128, of one number per part: (instanceId, "add"
// or field, stamp, value) of each register of an item that is not dead, (instanceId) of
// each dead item, (sort register). Sums do not know an order. The part's number is a
// hash of its length-prefixed bytes that is the same on every machine. It finds
// accidents, not forgeries: nobody's safety rests on it. DESIGN 4 (DIGEST).
//
// The hash is MurmurHash3's x64 128-bit mixing, which multiplies 64 by 64 bits and keeps
// the low half, as wasm can. It takes blocks of two little-endian 64-bit words:
//
//     register   h1 = h2 = 1   (instanceId length | name length << 32,
//                               browser length | value length << 32)
//                              (time, version), then instanceId, name, browser, value
//     dead       h1 = h2 = 2   (instanceId length, 0), then instanceId
//
// Each text fills blocks of its own, the last padded with zeroes. The value length of
// null is 0xffffffff. `lo` is h1, `hi` is h2. tests/vectors/digest.txt has examples.
//
// Knows core/stamp.h.
#ifndef TM_CORE_DIGEST_H
#define TM_CORE_DIGEST_H

#include "core/reg.h"

typedef struct tm_digest {
    uint64_t lo, hi;
} tm_digest;

void tm_digest_add(tm_digest *sum, tm_digest part);
void tm_digest_sub(tm_digest *sum, tm_digest part);

// tm_digest_reg - the part of one register. `name` is "" for `add`, the field's name,
// and for the sort register both are empty.
tm_digest tm_digest_reg(tm_span instance_id, tm_span name, const tm_reg *reg);
tm_digest tm_digest_dead(tm_span instance_id);

// tm_digest_hex - 32 lower-case hex digits, the high half first; no NUL.
void tm_digest_hex(tm_digest digest, uint8_t hex[32]);

#endif
