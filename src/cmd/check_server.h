// check_server.h - the server of a golden scenario: a real service over a real store, in
// virtual time and without sockets. Every call is driven to its end before it returns.
//
// Knows service/service.h, store/, cmd/.
#ifndef TM_CMD_CHECK_SERVER_H
#define TM_CMD_CHECK_SERVER_H

#include "cmd/check_place.h"
#include "cmd/check_verdict.h"
#include "service/service.h"

// A frame on its way to a page, in the order of sending.
typedef struct tm_check_parcel {
    struct tm_check_parcel *next;
    void *peer; // whose it is; NULL = nobody's any more
    size_t len;
    uint8_t bytes[];
} tm_check_parcel;

typedef struct tm_check_server {
    tm_check_verdict *verdict; // where failures are noted
    tm_check_place *place;     // keeps: what the store is made of
    tm_store *store;
    tm_service *service;
    uint64_t *random;       // keeps: the case's random numbers
    const tm_span *refused; // ids of the operations that the policy refuses
    size_t refused_count;
    tm_check_parcel *first, **last;
    bool traced; // what travels is printed on stderr
} tm_check_server;

// What came back from a request.
typedef struct tm_check_reply {
    bool done;
    uint32_t status;
    tm_buf body; // its alloc must be set before
} tm_check_reply;

extern const tm_key tm_check_server_key;    // the list that all cases use
extern const tm_span tm_check_server_calls; // the path of its operations

// tm_check_trace - one line about what travels, if that was asked for.
void tm_check_trace(const tm_check_server *server, const char *what, tm_span who,
                    tm_span text);

// tm_check_server_open - a fresh store and a service over it. Each of these that answers false
// has noted why.
bool tm_check_server_open(tm_check_server *server, tm_check_verdict *verdict,
                          tm_check_place *place, uint64_t *random, bool traced);
void tm_check_server_close(tm_check_server *server);

// tm_check_server_restart - the process ends and starts again on what is durable. All
// connections must have been taken away before.
bool tm_check_server_restart(tm_check_server *server);

bool tm_check_server_request(tm_check_server *server, tm_now now, tm_method method,
                             tm_span query, tm_span body, tm_check_reply *reply);

bool tm_check_server_connect(tm_check_server *server, tm_now now, void *peer,
                             tm_conn **conn);
bool tm_check_server_feed(tm_check_server *server, tm_now now, tm_conn *conn,
                          tm_span text);

// tm_check_server_disconnect - what is on its way to `peer` is lost.
void tm_check_server_disconnect(tm_check_server *server, tm_conn *conn,
                                const void *peer);

// tm_check_server_tick - at tm_service_deadline.
bool tm_check_server_tick(tm_check_server *server, tm_now now);

// tm_check_server_parcel - takes the next frame out, gives: free(). NULL = none. Those of one
// peer only, unless it is NULL.
tm_check_parcel *tm_check_server_parcel(tm_check_server *server, const void *peer);

bool tm_check_server_compact(tm_check_server *server, tm_now now);
bool tm_check_server_backup(tm_check_server *server);
bool tm_check_server_restore(tm_check_server *server);

// tm_check_server_list - the state now, and the last seq; NULL and 0: there is no such list.
bool tm_check_server_list(tm_check_server *server, tm_now now, const tm_list **list,
                          uint64_t *head);

#endif
