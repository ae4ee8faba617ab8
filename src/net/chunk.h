// chunk.h - the body of a chunked request (RFC 9112 7.1), taken apart strictly.
//
//   size        1 to 16 hex digits, CRLF
//   data        size bytes, CRLF
//   ...         until a size of 0, then CRLF
//
// A chunk extension (";..." behind a size) is skipped, as the RFC wants, but only
// printable bytes and few of them: it is a favourite place to hide a line end. Trailer
// fields are refused: nobody here reads them.
//
// Incremental: fed in any pieces, it gives the same data. The bound on the whole body is
// the caller's, who is told each chunk's size in advance.
//
// Knows core/base.h. TRUST 2 row 20.
#ifndef TM_NET_CHUNK_H
#define TM_NET_CHUNK_H

#include "core/base.h"

#define TM_CHUNK_EXTENSION_MAX 256u // bytes of all extensions of one body

// Zero-initialised = before the first byte.
typedef struct tm_chunk {
    uint64_t left; // data bytes this chunk still has
    bool over;     // the last chunk's end was read
    uint8_t state, digits;
    uint16_t extension;
} tm_chunk;

// tm_chunk_due - how much data its chunk still has; 0 while its size is being read: as long
// as the line may turn out to be none, its number is not judged.
uint64_t tm_chunk_due(const tm_chunk *chunk);

// tm_chunk_feed - take the next piece of data out of what arrived.
//   bytes   borrows
//   used    receives how many bytes are done with
//   data    lent, inside `bytes`: the next piece, or empty
// TM_OK with data: call again with the rest. TM_OK without: the body is over, what
// follows is the next request. TM_E_MORE: all used. TM_E_CORRUPT: not a chunked body.
TM_MUST_USE tm_status tm_chunk_feed(tm_chunk *chunk, tm_span bytes, size_t *used,
                                    tm_span *data);

#endif
