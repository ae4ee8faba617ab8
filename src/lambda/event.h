// event.h - what API Gateway tells a function: one HTTP request (payload 2.0 of an HTTP API),
// or what happened on a WebSocket.
//
// Who asks is what the gateway's authorizer found out and nothing else: neither a header
// nor a body names a user here. TRUST 2, row 10.
//
//   HTTP        requestContext.authorizer.jwt.claims.sub, or .lambda.sub, .lambda.principalId
//   WebSocket   requestContext.authorizer.sub, or .principalId; its `exp`, if there is one,
//               is when the token ends: a connection outlives it
//
// Knows core/.
#ifndef TM_LAMBDA_EVENT_H
#define TM_LAMBDA_EVENT_H

#include "core/json.h"

typedef enum tm_happened {
    TM_HAPPENED_HTTP,
    TM_HAPPENED_CONNECT,
    TM_HAPPENED_MESSAGE,
    TM_HAPPENED_DISCONNECT,
} tm_happened;

// Headers that matter, by these names in whatever case.
typedef enum tm_head_field {
    TM_FIELD_HOST,
    TM_FIELD_ORIGIN,
    TM_FIELD_CONTENT_TYPE,
    TM_FIELD_CONTENT_ENCODING,
    TM_FIELD_ACCEPT_ENCODING,
    TM_FIELD_PROTOCOLS, // sec-websocket-protocol
    TM_FIELD_COUNT
} tm_head_field;

typedef struct tm_event {
    tm_happened what;
    tm_span user; // empty: nobody that we know
    bool has_end; // of the token
    uint64_t end_s;
    tm_span fields[TM_FIELD_COUNT]; // ptr NULL = it had none
    tm_span method, path, query;    // HTTP; the path without its stage
    tm_span connection;             // else
    tm_span body;                   // decoded; ptr NULL = there was none
} tm_event;

// tm_event_read - spans are lent from the arena and from `text`.
//   why   receives, on failure, a literal that says what is wrong
// TM_E_CORRUPT: it is no JSON, or nothing that this gateway says. TM_E_NOMEM.
TM_MUST_USE tm_status tm_event_read(tm_span text, tm_arena *arena, tm_event *event,
                                    const char **why);

// tm_frame_read - of a client's message what a host without memory must know.
// false: it cannot be read; the service will say why.
typedef struct tm_said {
    tm_span type, list;
    bool has_version, has_since, has_acked;
    uint64_t version, since, acked;
} tm_said;

bool tm_said_read(tm_span text, tm_arena *arena, tm_said *said);

#endif
