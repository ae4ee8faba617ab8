// check_wire.h - what lies between one page's engine and the server in a scenario: single
// calls, frames and exchanges, of which check_traffic.c and check_channel.c make pushes,
// pulls and connections.
//
// Every function that answers false has noted why.
//
// Knows cmd/check_world.h.
#ifndef TM_CMD_CHECK_WIRE_H
#define TM_CMD_CHECK_WIRE_H

#include "cmd/check_world.h"

// An exchange that does not end must not hang the check.
#define TM_CHECK_ROUNDS_MAX 2000u

typedef struct tm_check_exchange {
    tm_send_kind kind;
    uint64_t ref;
    tm_span bytes;        // lives as long as the case
    tm_check_reply reply; // status 200 for a SAVED frame
} tm_check_exchange;

// tm_check_wire_endless - notes that `what` does not end, and answers false.
bool tm_check_wire_endless(tm_check_world *world, const char *what);

// ---- the engine's side ------------------------------------------------------------------

bool tm_check_wire_ask(tm_check_world *world, tm_check_page *page, tm_ask what);

// tm_check_wire_take - what it wants to send; kind TM_SEND_NONE = nothing.
bool tm_check_wire_take(tm_check_world *world, tm_check_page *page,
                        tm_check_exchange *one);

// tm_check_wire_answer - it hears the answer to a request, or (status 0) that none came.
bool tm_check_wire_answer(tm_check_world *world, tm_check_page *page,
                          const tm_check_exchange *one, uint32_t status,
                          tm_span body);
bool tm_check_wire_feed(tm_check_world *world, tm_check_page *page, tm_span frame);
bool tm_check_wire_channel(tm_check_world *world, tm_check_page *page,
                           tm_channel kind);

// ---- frames -----------------------------------------------------------------------------

static inline tm_span tm_check_parcel_span(const tm_check_parcel *parcel) {
    return (tm_span){parcel->bytes, parcel->len};
}

// tm_check_wire_type - the `type` of a frame, copied; empty if it has none.
void tm_check_wire_type(tm_span frame, char word[24]);

// tm_check_wire_hear / lose - all that is on its way to the page, arrives or does not.
bool tm_check_wire_hear(tm_check_world *world, tm_check_page *page);
void tm_check_wire_lose(tm_check_world *world, const tm_check_page *page);

// ---- whole exchanges ----------------------------------------------------------------------

// tm_check_wire_serve - the request gets to the server, and its answer into one->reply.
bool tm_check_wire_serve(tm_check_world *world, tm_check_page *page,
                         tm_check_exchange *one);
// tm_check_wire_reply - that answer gets to the page.
bool tm_check_wire_reply(tm_check_world *world, tm_check_page *page,
                         const tm_check_exchange *one);
// tm_check_wire_frame - a frame that is answered by frames, all of which arrive.
bool tm_check_wire_frame(tm_check_world *world, tm_check_page *page,
                         const tm_check_exchange *one);
// tm_check_wire_flush - whatever else the engine of a page on the push channel wants to
// say: it found a hole.
bool tm_check_wire_flush(tm_check_world *world, tm_check_page *page);

#endif
