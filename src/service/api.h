// api.h - from what arrives to calls: the resources of DESIGN 4, the WebSocket frames.
//
// A request is read whole before anything is decided. Whatever is wrong with it as a whole
// refuses it with the member named, and nothing has happened.
//
// Knows answer.h.
#ifndef TM_SERVICE_API_H
#define TM_SERVICE_API_H

#include "service/answer.h"

// What a POST body or a frame may carry. Spans live in the call's arena.
typedef struct tm_message {
    tm_span type, list, user, ref;
    uint64_t version; // SEEN, DIGEST
    bool has_version, has_operations;
} tm_message;

// tm_message_read - read `body` into the call: cursor, operations. The call's arena keeps
// a copy of it.
//   frame     whether it is a WebSocket message
//   problem   receives why not, and `detail`, in the arena, its words
// TM_E_CORRUPT, TM_E_NOMEM.
TM_MUST_USE tm_status tm_message_read(tm_call *call, tm_span body, bool frame,
                                      tm_message *message,
                                      const tm_problem **problem, tm_span *detail);

bool tm_list_name_valid(tm_span list); // [a-z0-9-]{1,64}

// tm_api_request - one HTTP request, whose call is made but about nothing yet.
void tm_api_request(tm_call *call, const tm_request *request);
// tm_api_frame - one WebSocket message.
void tm_api_frame(tm_service *service, tm_conn *conn, tm_span text);

// tm_metrics_write - Prometheus text.
void tm_metrics_write(const tm_service *service, tm_buf *out);

#endif
