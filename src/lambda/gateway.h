// gateway.h - API Gateway's management API of WebSockets: send to a connection, close it.
//
//     POST   ENDPOINT/@connections/ID     one message
//     DELETE ENDPOINT/@connections/ID
//
// Signed for the service execute-api. What was throttled, or failed on the gateway's side,
// is tried again a few times, each after a random part of a pause that doubles; a message
// that arrived twice does no harm.
//
// Knows store/aws_http.h, store/aws_credentials.h.
#ifndef TM_LAMBDA_GATEWAY_H
#define TM_LAMBDA_GATEWAY_H

#include "store/aws_credentials.h"

typedef struct tm_gateway tm_gateway;

typedef struct tm_gateway_config {
    const tm_alloc *alloc; // keeps
    tm_http *http;         // keeps
    const char *(*env)(void *context, const char *name);
    void *env_context; // keeps
    const char
        *endpoint; // borrows: "https://ID.execute-api.REGION.amazonaws.com/STAGE"
} tm_gateway_config;

typedef enum tm_gateway_fate {
    TM_GATEWAY_SENT,
    TM_GATEWAY_GONE,   // there is no such connection
    TM_GATEWAY_FAILED, // `why` says it
} tm_gateway_fate;

// Belongs to the caller, zero-initialised, with what it borrows, until `done` was called.
typedef struct tm_gateway_call {
    tm_span connection;                         // borrows
    tm_span message;                            // borrows; ptr NULL = close it
    void (*done)(struct tm_gateway_call *call); // may free it
    void *context;
    tm_gateway_fate fate;
    char why[160];

    // The gateway's own.
    tm_gateway *gateway;
    tm_http_request request;
    tm_buf url, lines;
    const char *headers[5];
    uint32_t tries;
} tm_gateway_call;

// tm_gateway_open - gives: tm_gateway_close, once the http is closed.
// TM_E_RANGE: the endpoint is no http or https URL, or nobody says which region.
TM_MUST_USE tm_status tm_gateway_open(const tm_gateway_config *config,
                                      tm_gateway **gateway, char problem[256]);
void tm_gateway_close(tm_gateway *gateway);

void tm_gateway_send(tm_gateway *gateway, tm_gateway_call *call);
void tm_gateway_call_deinit(tm_gateway_call *call);

#endif
