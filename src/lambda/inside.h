// inside.h - what the files of the function share: lambda.c (an event's course), http.c,
// socket.c, tell.c (pushes).
//
// Knows the room.
#ifndef TM_LAMBDA_INSIDE_H
#define TM_LAMBDA_INSIDE_H

#include "lambda/lambda.h"

#define TM_BEATS 256u // heartbeats remembered

// A heartbeat that was answered: the same one again soon costs nothing.
typedef struct tm_beat {
    uint64_t hash, version, seen, at_ms; // at_ms 0 = none
} tm_beat;

typedef struct tm_frames {
    tm_frame **items;
    size_t count, cap;
} tm_frames;

struct tm_lambda {
    tm_lambda_config config;
    const tm_alloc *alloc;
    tm_http *http;
    tm_store *store;
    tm_service *service;
    tm_listeners *listeners;
    tm_gateway *gateway; // NULL = no WebSockets
    uint64_t alarm_ms;   // the earliest that is set; UINT64_MAX = none
    uint32_t failures;   // events in a row after which the store was not well
    tm_beat beats[TM_BEATS];

    // Of the event at hand.
    tm_arena arena;
    tm_event event;
    uint64_t answer_by_ms, end_by_ms; // mono
    tm_buf answer;
    bool replied;
    tm_effect reply;  // its frame is ours
    tm_frames frames; // to who asked, in order
    tm_frames news;   // to everybody else who listens to `list`
    tm_span list;     // in the arena
    bool repeat;      // something was known already: perhaps nobody was told then
    bool by_http;     // the sender's own socket is told, too
};

static inline tm_span tm_words(const char *text) {
    size_t len = 0;
    while (text[len] != '\0') {
        len++;
    }
    return (tm_span){(const uint8_t *)text, len};
}

// ---- lambda.c -------------------------------------------------------------------------

tm_now tm_lambda_now(tm_lambda *l);
void tm_lambda_say(tm_lambda *l, bool bad, const char *event, const char *line);

// tm_lambda_drive - let the service, the store and the network go on until `over`.
// false: there is no time left.
bool tm_lambda_drive(tm_lambda *l, uint64_t until_ms, bool (*over)(tm_lambda *l));
bool tm_lambda_quiet(tm_lambda *l); // nothing is under way in the service

void tm_frames_clear(tm_lambda *l, tm_frames *frames);

// tm_frame_is - a frame of ours of this type.
bool tm_frame_is(tm_span frame, const char *type);

bool tm_lambda_origin(const tm_lambda *l, const tm_event *event, bool needed);
bool tm_lambda_list_valid(tm_span list);

// ---- http.c ---------------------------------------------------------------------------

void tm_lambda_http(tm_lambda *l);

// tm_lambda_answer - status alone, for a WebSocket's event.
void tm_lambda_answer(tm_lambda *l, uint32_t status, const char *protocol);
void tm_lambda_problem(tm_lambda *l, uint32_t status, const char *code,
                       const char *detail);

// ---- socket.c -------------------------------------------------------------------------

void tm_lambda_socket(tm_lambda *l);

// ---- tell.c ---------------------------------------------------------------------------

// tm_tell_one - a message to who asked; in the order of the calls. false: it is gone, or
// could not be reached.
bool tm_tell_one(tm_lambda *l, tm_span connection, tm_span message);
void tm_tell_cut(tm_lambda *l, tm_span connection);
// tm_tell_news - what is new to all who listen to the list, but to the asker. Before the asker
// is answered: whoever got no answer asks again, and then all are told that they may have
// missed something.
void tm_tell_news(tm_lambda *l);

#endif
