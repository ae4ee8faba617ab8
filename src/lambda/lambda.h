// lambda.h - the service as a function: one event of API Gateway in, its answer out.
//
// Many instances serve one user's list and none hears of another, so nothing is believed
// from memory that the store was not asked about in this very event (service.h, `verify`);
// an append that meets another's is decided anew by the ledger. Between two events the
// process may be stopped for hours: nothing is left under way then, and time is counted as
// thaw.h says.
//
// A WebSocket is a row of the table of listeners and API Gateway's own business otherwise.
//
//     $connect      who, and from which page; nothing is kept yet
//     SUBSCRIBE     the row is put, then the log is read, so nothing falls in between
//     SAVE          acks alone (PROTOCOL, "before SUBSCRIBED"); everybody else is pushed to
//     SEEN          the row says the cursor; what a lost push held back is sent now
//     $disconnect   the rows go
//
// A frame that API Gateway would not take is never sent. Where a SUBSCRIBE wants one, the
// answer is ERROR `frame-too-large`: ask over HTTP. A push becomes BEHIND. SUBSCRIBED says the
// limit, `frameMax`, so that a client sends a larger SAVE over HTTP.
//
// A long poll is answered at once: to wait would be paid for.
//
// Knows service/service.h, lambda/.
#ifndef TM_LAMBDA_LAMBDA_H
#define TM_LAMBDA_LAMBDA_H

#include "lambda/event.h"
#include "lambda/gateway.h"
#include "lambda/listeners.h"
#include "service/service.h"

#define TM_LAMBDA_FRAME_MAX                                                        \
    32768u // API Gateway's frames; its messages may have 128 KB

typedef struct tm_lambda_config {
    const tm_alloc *alloc; // keeps
    tm_http *http;         // keeps
    tm_store *store;       // keeps
    const char *(*env)(void *context, const char *name);
    void *env_context;    // keeps
    const char *table;    // borrows: of listeners
    const char *dynamodb; // borrows: its endpoint; NULL = the region's
    const char
        *connections; // borrows: the management API; NULL or "" = no WebSockets
    const char
        *origins; // keeps: pages that may ask, with commas; NULL or "" = the own
    size_t frame_max;    // 0 = TM_LAMBDA_FRAME_MAX
    uint64_t memory_max; // bytes of list state kept warm; 0 = 64 MiB
    bool metrics;        // /metrics, to any user
    void (*say)(void *context, bool bad, const char *event, const char *line);
    void *say_context; // keeps
} tm_lambda_config;

typedef struct tm_lambda tm_lambda;

// tm_lambda_open - gives: tm_lambda_close, before the store and the http are closed.
TM_MUST_USE tm_status tm_lambda_open(const tm_lambda_config *config,
                                     tm_lambda **lambda, char problem[256]);
// tm_lambda_close - drops whatever is under way: only for a process that ends.
void tm_lambda_close(tm_lambda *lambda);

// tm_lambda_event - the answer to one event. What it promises is durable.
//   text          borrows until tm_lambda_finish
//   deadline_ms   wall clock: an answer comes before
//   answer        lent until tm_lambda_finish
//   why           receives, on failure, a sentence
// TM_E_CORRUPT: it is no event of API Gateway's. TM_E_NOMEM.
TM_MUST_USE tm_status tm_lambda_event(tm_lambda *lambda, tm_span text,
                                      uint64_t deadline_ms, tm_span *answer,
                                      const char **why);

// tm_lambda_finish - after the answer was given: end whatever is under way. false: something is still, or the store has failed a few times in a row; the process
// should end, since a fresh one knows more (other keys, say).
TM_MUST_USE bool tm_lambda_finish(tm_lambda *lambda);

#endif
