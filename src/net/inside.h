// inside.h - what the files of the daemon share among themselves: server.c (the loop),
// configure.c (its beginning), peer.c (one connection's bytes), http.c, route.c, serve.c and
// answer.c (requests), socket.c (WebSocket).
//
// A peer is one connection. It begins as HTTP, may become a WebSocket, and ends: what is
// still to be sent is sent, then our side is closed, then what the other side still says
// is thrown away until it closes too or time is up. Only then is the socket closed, so
// that an answer is not lost to a reset.
//
//     HTTP ----upgrade----> SOCKET
//       |                     |
//       +---> ENDING <--------+        either may also be cut: -> GONE
//                |
//              GONE                    memory lives until libuv has let go of it
#ifndef TM_NET_INSIDE_H
#define TM_NET_INSIDE_H

#include <uv.h>

#include "net/access.h"
#include "net/bell.h"
#include "net/chunk.h"
#include "net/head.h"
#include "net/out.h"
#include "net/pages.h"
#include "net/photos.h"
#include "net/request.h"
#include "net/server.h"
#include "net/websocket.h"
#include "net/wheel.h"

#define TM_READ_BUFFER (64u << 10)  // one per loop, shared by all connections
#define TM_HTTP_HIGH   (256u << 10) // unsent, before the next request is taken up

typedef enum tm_peer_state {
    TM_PEER_HTTP,
    TM_PEER_SOCKET,
    TM_PEER_ENDING,
    TM_PEER_GONE,
} tm_peer_state;

// One request on its way, from its first byte until it is answered. Between requests
// there is none.
typedef enum tm_step {
    TM_STEP_HEAD, // the head is incomplete
    TM_STEP_BODY, // the body is
    TM_STEP_BUSY, // the service has it
    TM_STEP_SEND, // a photo is being read and sent
    TM_STEP_WAIT, // the next one must wait until answers were sent
} tm_step;

typedef struct tm_exchange {
    tm_step step;
    bool keep_alive, http_1_1;
    bool bodiless;    // HEAD: the answer has no body
    bool metrics;     // our own are added to the answer
    bool ticketed;    // the service has it under `ticket`
    bool catalogue;   // waits for the first catalogue of photos
    tm_method method; // of the body that is being read
    uint64_t ticket;
    uint64_t began_ms; // head or body, for their time-outs
    tm_head scan;
    tm_buf head;     // HEAD: the bytes so far; BODY: the target
    size_t path_len; // BODY: of the target, without "?" and query
    tm_chunk chunk;
    uint64_t body_left; // BODY, not chunked
    uint64_t received;
    tm_buf body;
    tm_buf rest; // what came behind this request
    tm_photo_reader *photo;
    char etags[128]; // If-None-Match of a photo's request, cut; "" = none
} tm_exchange;

typedef struct tm_peer {
    uv_tcp_t tcp; // first: libuv's handle is the peer
    tm_server *server;
    tm_wheel_node wheel;
    struct tm_peer *next, *prev; // all peers
    struct tm_peer *flush_next;  // those that have something to send
    tm_out out;
    uint64_t heard_ms;    // when its last byte came
    uint64_t since_ms;    // HTTP: idle since; ENDING: ending since
    uint64_t drained_ms;  // when the kernel last took something
    size_t slice;         // bytes of the uv_write under way
    uint32_t unsent_seen; // what of them libuv still had at the last look
    uint8_t state;
    bool flushing; // in the list
    bool writing;  // a uv_write is under way
    bool reading;
    bool heard_end; // the other side has closed
    bool shut;      // we have
    bool hasty;     // ENDING: do not wait for what is unsent
    bool pinged;
    bool feeding; // HTTP: bytes are being taken apart further up the stack
    bool told;    // the service knows of bytes unsent
    bool closed;  // GONE, and only the list of those to be flushed names it
    union {
        tm_exchange *exchange; // HTTP
        tm_conn *conn;         // SOCKET
    };
    tm_ws ws;      // SOCKET
    uint8_t *late; // SOCKET: owned, the ping that is answered when all is sent
    uint8_t late_len;
    uint16_t pongs; // SOCKET: sent since all was
} tm_peer;

// Counted since the start, for /metrics.
typedef struct tm_counts {
    uint64_t accepted, requests, upgrades, refused; // refused: answered 4xx or 5xx
    uint64_t bytes_in, bytes_out, frames_in, frames_out;
    uint64_t timed_out, stuck; // closed for a time-out; for not draining
} tm_counts;

typedef enum tm_stop {
    TM_STOP_NOT,
    TM_STOP_DRAIN,  // what is under way is finished
    TM_STOP_CLOSE,  // every connection is ending
    TM_STOP_CLOSED, // the handles are closing
} tm_stop;

struct tm_server {
    tm_server_config config;
    tm_server_limits limits;
    tm_alloc const *alloc;
    tm_service *service;
    tm_store *store;
    tm_span user; // owned
    tm_access access;
    tm_pages pages;
    tm_photos *photos;   // NULL = none
    size_t photos_count; // as it was last said

    uv_loop_t loop;
    tm_bell *bell;    // NULL = none
    int listener;     // -1 = closed
    uv_poll_t accept; // on it
    uv_prepare_t prepare;
    uv_timer_t timer;
    uv_async_t wake;      // the store has something
    uv_async_t stop_wake; // somebody wants us to stop
    uv_signal_t signals[2];
    uint16_t port;

    tm_peer *peers;
    size_t peer_count, socket_count;
    tm_peer *flush;
    bool accept_paused; // no place or no descriptor
    bool accept_said;   // ... and the latter was said
    uint64_t accept_ms; // when to try again; UINT64_MAX = when one is closed
    tm_wheel wheel;
    uint64_t armed_ms; // what the timer is set to
    tm_out_pool pool;
    tm_counts counts;

    volatile int stops; // how often a stop was asked for
    int stops_seen;
    tm_stop stop;
    uint64_t stop_ms; // when to cut

    uint64_t date_s;
    char date[32];
    uint8_t buffer[TM_READ_BUFFER];
};

tm_now tm_server_now(const tm_server *server);

// tm_server_say - one line of at most 250 bytes to the log.
__attribute__((format(printf, 2, 3))) void tm_server_say(tm_server *server,
                                                         const char *format, ...);

// ---- configure.c ----------------------------------------------------------------------

// tm_server_configure - check the configuration, listen, begin to read the photos.
// Failures as in tm_server_new; what was begun is tm_server_free's.
TM_MUST_USE tm_status tm_server_configure(tm_server *server, char problem[256]);

// ---- peer.c ---------------------------------------------------------------------------

// tm_peer_new - serve the connection `fd`, which is taken.
void tm_peer_new(tm_server *server, int fd);

// tm_peer_cut - close it at once; what is unsent is lost. Any state but GONE.
void tm_peer_cut(tm_peer *peer);

// tm_peer_end - send what is unsent, then close. HTTP's exchange or the WebSocket's
// connection must be gone already.
void tm_peer_end(tm_peer *peer);

// What is put here goes out when the loop's turn ends. Out of memory, or too much
// unsent: the peer is cut, and false.
bool tm_peer_put_buf(tm_peer *peer, tm_buf *buf); // takes
bool tm_peer_put_lent(tm_peer *peer, tm_span bytes);
bool tm_peer_put_copy(tm_peer *peer, tm_span bytes);
bool tm_peer_put_frame(tm_peer *peer, tm_frame *frame, bool head); // takes

// tm_peer_flush_all - write what all peers have put.
void tm_peer_flush_all(tm_server *server);

// tm_peer_reads - read from it or not, as its state wants.
void tm_peer_reads(tm_peer *peer);

// tm_peer_watch - its state has changed: set its time-out.
void tm_peer_watch(tm_peer *peer);

// tm_peer_look - its time-out has come.
void tm_peer_look(tm_peer *peer);

// ---- http.c ---------------------------------------------------------------------------

// tm_http_feed - bytes came. They are changed (unmasked) if it becomes a WebSocket.
void tm_http_feed(tm_peer *peer, uint8_t *bytes, size_t len);

// tm_http_drained - everything was sent: go on with what waited for it.
void tm_http_drained(tm_peer *peer);

// tm_http_finish - the answer is in the queue: on to what came behind the request, or to
// the end. The exchange is gone afterwards.
void tm_http_finish(tm_peer *peer);

// tm_http_refuse - answer with a problem and finish. `close`: also when the body was not
// read, because nobody can then say where the next request begins.
void tm_http_refuse(tm_peer *peer, uint32_t status, const char *code,
                    const char *detail, const char *lines, bool close);

// tm_http_leave - drop the request under way.
void tm_http_leave(tm_peer *peer);

// tm_http_due - when its time-out is; UINT64_MAX = none.
uint64_t tm_http_due(const tm_peer *peer);
void tm_http_timed_out(tm_peer *peer);

// ---- route.c --------------------------------------------------------------------------

// tm_route - a whole head is here; answer, hand on, or await the body (TM_STEP_BODY).
//   head   borrows: it may lie in the exchange, which an answer frees
//   more   borrows: what lies in hand behind it. Returns how much of that was used.
size_t tm_route(tm_peer *peer, tm_span head, tm_span more);

// tm_route_ask - hand a request to the service. All borrowed.
void tm_route_ask(tm_peer *peer, tm_method method, tm_span path, tm_span query,
                  tm_span body);

// tm_route_reply - the service has answered.
void tm_route_reply(tm_peer *peer, tm_effect *effect);

// ---- serve.c --------------------------------------------------------------------------

#define TM_PHOTOS_PATH "/v1/photos"
#define TM_ALLOW       "Allow: GET, HEAD, POST, PUT, OPTIONS\r\n"

void tm_serve_page(tm_peer *peer, const tm_http_request *request);
void tm_serve_options(tm_peer *peer);
void tm_serve_photos(tm_peer *peer, const tm_http_request *request);

// tm_serve_catalogue - it is there, or could not be made: answer this peer if it waits.
void tm_serve_catalogue(tm_peer *peer);

// ---- answer.c -------------------------------------------------------------------------

typedef struct tm_answer {
    uint32_t status;
    const char *type; // NULL = none
    size_t len;       // of the body
    bool close;
    const char *csp;        // NULL = TM_CSP_DATA
    const char *cache;      // NULL = "no-store"
    const char *etag;       // NULL = none
    const char *encoding;   // NULL = none
    const char *vary;       // NULL = none
    const char *lines;      // further whole lines, "" or NULL = none
    uint32_t retry_after_s; // 0 = none
} tm_answer;

// tm_answer_head - append a response head.
void tm_answer_head(tm_server *server, tm_buf *out, const tm_answer *answer);

// tm_answer_problem - answer with a problem object. `lines` as above.
//   code   a stable word   detail   a sentence
bool tm_answer_problem(tm_peer *peer, uint32_t status, const char *code,
                       const char *detail, const char *lines, bool close,
                       bool bodiless);

// ---- socket.c -------------------------------------------------------------------------

// tm_socket_open - the handshake was answered by 101; bytes behind it follow by
// tm_socket_feed. TM_E_NOMEM: nothing has changed.
TM_MUST_USE tm_status tm_socket_open(tm_peer *peer);
void tm_socket_feed(tm_peer *peer, uint8_t *bytes, size_t len);
void tm_socket_send(tm_peer *peer, tm_frame *frame); // takes

// tm_socket_close - say `code` and end.
void tm_socket_close(tm_peer *peer, uint16_t code, const char *reason);

// tm_socket_drained - everything was sent.
void tm_socket_drained(tm_peer *peer);

// tm_socket_leave - tell the service that it is gone.
void tm_socket_leave(tm_peer *peer);

uint64_t tm_socket_due(const tm_peer *peer);
void tm_socket_look(tm_peer *peer, uint64_t now_ms);

// tm_socket_stuck - nothing was drained for too long.
void tm_socket_stuck(tm_peer *peer);

#endif
