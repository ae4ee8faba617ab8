// bell.h - the doorbell (service/doorbell.h) on Redis or Valkey.
//
// Two connections on the server's own loop: one gives orders, one listens. It is there
// when a beat that went out on the first came in by the second, and as long as that goes
// on: every 2 s a beat, and 6 s without one is away. So a Redis that is stopped, full,
// read-only, out of reach on one of the two ways, or no Redis at all, is noticed the same
// way. Then both are closed and made anew, after 0.1 s, 0.2 s, ... 10 s.
//
//   hash     tidemark:{PREFIX}:heads    "LIST USER" -> the highest head
//   channel  tidemark:{PREFIX}:rings    "HEAD LIST USER"
//
// Losing it costs requests of the store, never an edit; nothing waits for it. What comes
// from there is bytes from outside: bell_talk.h.
//
// Knows service/doorbell.h, service/service.h, bell_talk.h, libuv.
#ifndef TM_NET_BELL_H
#define TM_NET_BELL_H

#include <uv.h>

#include "service/doorbell.h"
#include "service/service.h"

typedef struct tm_bell tm_bell;

typedef struct tm_bell_config {
    const tm_alloc *alloc; // keeps
    uv_loop_t *loop;       // keeps
    tm_service *service;   // keeps; `shared` is set in its configuration
    const char *url;       // borrows: bell_talk.h
    const char *password;  // borrows; used if the URL has none; may be NULL
    const char *prefix;    // borrows: of the names, at most 64 bytes
    tm_now (*now)(void *context);
    void (*say)(void *context, const char *line); // a change of state
    void *context;                                // keeps
} tm_bell_config;

// tm_bell_new - begin; it is away until the loop has run. gives: tm_bell_free.
// TM_E_RANGE: the URL is none. TM_E_NOMEM. TM_E_IO: no handle.
TM_MUST_USE tm_status tm_bell_new(const tm_bell_config *config, tm_bell **bell,
                                  char problem[256]);

// tm_bell_flush - send what was rung and asked since; before the loop sleeps. NULL is fine.
void tm_bell_flush(tm_bell *bell);

// tm_bell_close - begin to end; the loop must run on until its handles are closed.
void tm_bell_close(tm_bell *bell);
// tm_bell_free - when the loop has no handles any more. NULL is fine.
void tm_bell_free(tm_bell *bell);

#endif
