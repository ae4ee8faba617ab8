// aws_http.h - how requests get to AWS and answers back: the one door to the network, the
// clocks and randomness of all that is said to AWS, so that a test or a simulation can be
// another one.
//
// A request is started on the thread that owns the door, and its `done` is called there,
// from tm_http_poll. What carries the bytes meanwhile is the door's business: libcurl on a
// thread of its own here, since name lookups and TLS handshakes take milliseconds that the
// daemon's loop does not have.
//
// Knows core/.
#ifndef TM_STORE_AWS_HTTP_H
#define TM_STORE_AWS_HTTP_H

#include "core/buf.h"

typedef enum tm_http_fate {
    TM_HTTP_ANSWERED, // `status` and `answer` are what came, whole
    TM_HTTP_UNSENT,   // no byte of it left: it was certainly not done
    TM_HTTP_LOST,     // it may have arrived; its answer did not, or not whole
} tm_http_fate;

// Belongs to the caller and lives, with all it borrows, until `done` was called, which may
// free it or start it again. What `done` is lent is valid during `done` only.
typedef struct tm_http_request {
    const char *method;         // "GET", "POST", "PUT"
    const char *url;            // borrows; NULL = a timer, done after delay_ms
    const char *const *headers; // borrows; "Name: value", ended by NULL
    tm_span body;               // borrows
    uint64_t delay_ms;          // before it begins
    uint32_t timeout_ms;        // for all of it, once begun
    size_t answer_max;          // bytes; a larger answer is lost
    bool direct;                // never through a proxy
    void (*done)(struct tm_http_request *request);
    void *context; // the caller's

    tm_http_fate fate;
    uint32_t status; // 200
    tm_span answer;  // lent
    bool has_crc32;  // it had a header X-Amz-Crc32, which said
    uint32_t crc32;
    uint64_t date_ms; // by its header Date; 0 = it had none that reads
    const char *why;  // for people, lent, when it was not answered

    // The door's own.
    struct tm_http_request *next;
    void *place;
    uint64_t due_ms;
} tm_http_request;

typedef struct tm_http tm_http;

typedef struct tm_http_ops {
    void (*start)(tm_http *http, tm_http_request *request);
    size_t (*poll)(tm_http *http);
    bool (*wait)(tm_http *http);
    void (*wake)(tm_http *http, void (*wake)(void *context), void *context);
    tm_now (*now)(tm_http *http);
    void (*random)(tm_http *http, uint8_t *bytes, size_t len);
    void (*close)(tm_http *http);
} tm_http_ops;

struct tm_http { // an own one has this first
    const tm_http_ops *ops;
};

// tm_http_start - never fails and never calls `done` by itself.
static inline void tm_http_start(tm_http *http, tm_http_request *request) {
    http->ops->start(http, request);
}

// tm_http_poll - call `done` of all that is over; never blocks. Returns how many.
static inline size_t tm_http_poll(tm_http *http) {
    return http->ops->poll(http);
}

// tm_http_wait - block until poll has something; false = nothing is under way.
static inline bool tm_http_wait(tm_http *http) {
    return http->ops->wait(http);
}

// tm_http_wake - from now on call `wake`, from any thread, when poll has something.
static inline void tm_http_wake(tm_http *http, void (*wake)(void *context),
                                void *context) {
    http->ops->wake(http, wake, context);
}

static inline tm_now tm_http_now(tm_http *http) {
    return http->ops->now(http);
}

static inline void tm_http_random(tm_http *http, uint8_t *bytes, size_t len) {
    http->ops->random(http, bytes, len);
}

// tm_http_close - drop what is under way, without its `done`, and free. NULL is fine.
static inline void tm_http_close(tm_http *http) {
    if (http != NULL) http->ops->close(http);
}

// tm_http_open - the door to the real network. gives: tm_http_close.
TM_MUST_USE tm_status tm_http_open(tm_http **http);

#endif
