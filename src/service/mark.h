// mark.h - the log's hash chain: what a client's cursor is checked against.
//
//     mark(batch) = SHA-256(mark before it || its `operations` exactly as stored)
//
// The mark before the first batch is 32 random bytes, the epoch; no cursor stands there:
// the mark of version 0 is the empty string. On the wire a mark is 64 lower-case hex
// digits. A store that was restored, rolled back or tampered with cannot continue a
// client's mark. DESIGN 4, "The mark".
//
// Knows store/store.h for TM_MARK_LEN, libcrypto.
#ifndef TM_SERVICE_MARK_H
#define TM_SERVICE_MARK_H

#include "store/store.h"

#define TM_MARK_HEX 64u // digits of a mark

// What hashing needs, made once and used for every batch. Zeroed is a valid start.
typedef struct tm_marker {
    void *digest, *context; // libcrypto's
} tm_marker;

TM_MUST_USE tm_status tm_marker_init(tm_marker *marker); // TM_E_NOMEM
void tm_marker_deinit(tm_marker *marker);

// tm_mark_next - the mark of a batch. `mark` may be `before`.
// TM_E_NOMEM: libcrypto failed; *mark is unchanged.
TM_MUST_USE tm_status tm_mark_next(tm_marker *marker,
                                   const uint8_t before[TM_MARK_LEN],
                                   tm_span operations, uint8_t mark[TM_MARK_LEN]);

// tm_mark_hex - as it stands on the wire; no NUL.
void tm_mark_hex(const uint8_t mark[TM_MARK_LEN], uint8_t hex[TM_MARK_HEX]);

// tm_mark_read - the other way. false: not 64 lower-case hex digits; *mark unchanged.
TM_MUST_USE bool tm_mark_read(tm_span hex, uint8_t mark[TM_MARK_LEN]);

#endif
