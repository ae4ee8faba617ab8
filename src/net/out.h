// out.h - what one connection has still to send.
//
// A queue of runs of bytes that are not copied: a frame that thousands of receivers
// share, a page inside the program, a head made for this answer. An empty queue holds no
// memory; its blocks come from a pool of the loop's and go back there, so that a push to
// ten thousand connections asks malloc for nothing.
//
// Sans-IO: peek at the first runs, write them, say how many bytes went.
//
// Knows core/alloc.h, service/service.h (tm_frame).
#ifndef TM_NET_OUT_H
#define TM_NET_OUT_H

#include "service/service.h"

typedef struct tm_out_block tm_out_block;

// One per loop. The first three are the owner's to set; all else zero-initialised.
typedef struct tm_out_pool {
    const tm_alloc *alloc;                           // keeps
    void (*release)(void *context, tm_frame *frame); // gives a frame back
    void *context;                                   // keeps
    tm_out_block *spare;
    size_t spare_count;
} tm_out_pool;

void tm_out_pool_deinit(tm_out_pool *pool);

// Zero-initialised = empty.
typedef struct tm_out {
    tm_out_block *first, *last;
    size_t bytes; // still to send
} tm_out;

// Each of these appends one run. TM_E_NOMEM: the queue is unchanged; what was to be taken
// is given back all the same.

// tm_out_lent - keeps: bytes that outlive the server, such as an embedded page's.
TM_MUST_USE tm_status tm_out_lent(tm_out_pool *pool, tm_out *out, tm_span bytes);

// tm_out_copy - borrows.
TM_MUST_USE tm_status tm_out_copy(tm_out_pool *pool, tm_out *out, tm_span bytes);

// tm_out_buf - takes what was written into `buf`, which is empty afterwards; its
// allocator must be the pool's. A failed buf is TM_E_NOMEM.
TM_MUST_USE tm_status tm_out_buf(tm_out_pool *pool, tm_out *out, tm_buf *buf);

// tm_out_frame - takes one reference. `head`: with the WebSocket header that stands in
// the frame's room, else its bytes alone.
TM_MUST_USE tm_status tm_out_frame(tm_out_pool *pool, tm_out *out, tm_frame *frame,
                                   bool head);

// tm_out_peek - lends the first runs, at most `runs_max` of them and about `bytes_max`
// bytes (never cutting a run). `bytes` receives their sum. Returns how many.
size_t tm_out_peek(const tm_out *out, tm_span *runs, size_t runs_max,
                   size_t bytes_max, size_t *bytes);

// tm_out_done - the first `bytes` bytes were sent.
void tm_out_done(tm_out_pool *pool, tm_out *out, size_t bytes);

// tm_out_cut - forget all runs behind the first `keep` bytes, but the one that begins
// before their end.
void tm_out_cut(tm_out_pool *pool, tm_out *out, size_t keep);

// tm_out_begun - has a part of the first run been sent?
bool tm_out_begun(const tm_out *out);

void tm_out_clear(tm_out_pool *pool, tm_out *out);

#endif
