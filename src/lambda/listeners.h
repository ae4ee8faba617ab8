// listeners.h - who listens: a table of DynamoDB that every instance of the function reads,
// since API Gateway holds the connections and tells nobody which there are.
//
//   user_id         S, hash    the user, as in the store's tables; never a list
//   connection_id   S, range   connection # list
//   version         N          the cursor that was reported last
//   expires         N          seconds; DynamoDB may delete the row then
//
// A row says that there was a SUBSCRIBE. It goes with $disconnect, with a push that found
// the connection gone, or when it expires: a connection lives two hours at most.
//
// Each call blocks, at most some two seconds, by `wait`.
//
// Knows store/dynamodb_call.h, store/dynamodb_row.h.
#ifndef TM_LAMBDA_LISTENERS_H
#define TM_LAMBDA_LISTENERS_H

#include "store/dynamodb_call.h"

#define TM_LISTENERS_MAX                                                           \
    1000u // of one user that are told; more hear it when they ask

typedef struct tm_listener {
    tm_span connection, list;
    uint64_t version;
} tm_listener;

typedef struct tm_listeners tm_listeners;

typedef struct tm_listeners_config {
    tm_dynamodb_client_config client;
    const char *table; // borrows
    // Waits until something has happened on the network, and takes it in. false: there is
    // no time left.
    bool (*wait)(void *context);
    void *wait_context; // keeps
} tm_listeners_config;

// tm_listeners_open - gives: tm_listeners_close, once the http is closed.
TM_MUST_USE tm_status tm_listeners_open(const tm_listeners_config *config,
                                        tm_listeners **listeners,
                                        char problem[256]);
void tm_listeners_close(tm_listeners *listeners);

// tm_listeners_put - this one listens, from now for three hours.
// TM_E_AGAIN, TM_E_UNSURE: the table does not answer. TM_E_GONE: it is not there.
TM_MUST_USE tm_status tm_listeners_put(tm_listeners *listeners, tm_span user,
                                       const tm_listener *one);
TM_MUST_USE tm_status tm_listeners_drop(tm_listeners *listeners, tm_span user,
                                        tm_span connection, tm_span list);

// tm_listeners_find - all of a user's, as they are now: what was put before is there.
//   connection   only its own; empty = everybody's
//   out          lent from the arena
TM_MUST_USE tm_status tm_listeners_find(tm_listeners *listeners, tm_span user,
                                        tm_span connection, tm_arena *arena,
                                        tm_listener **out, size_t *count);

const char *tm_listeners_why(const tm_listeners *listeners); // of the last failure

#endif
