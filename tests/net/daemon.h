// daemon.h - a whole daemon inside a test: memory store, service, loop in a thread of its
// own, on a free port of 127.0.0.1; and the other end of its sockets, raw.
//
// Whoever waits here waits for bytes, for at most ten seconds, and then the test fails.
#ifndef TM_TESTS_NET_DAEMON_H
#define TM_TESTS_NET_DAEMON_H

#include <pthread.h>

#include "frames.h"
#include "net/server.h"
#include "t.h"

typedef struct daemon {
    t_memory memory; // of the server, the service and the store
    tm_alloc alloc;
    size_t started; // allocations until it listened
    tm_store *store;
    tm_service *service;
    tm_server *server;
    pthread_t thread;
    uint16_t port;
    char host[32]; // "127.0.0.1:PORT"
} daemon;

// Which allocation, counted from the first of all, fails in daemons started from now on;
// 0 = none.
extern size_t daemon_fail_at;

// What is done to the stores of daemons started from now on, before anybody asks them;
// NULL = nothing.
extern void (*daemon_store_change)(tm_store *store);

// daemon_start - `options` may be NULL; user, port and parts are its own.
void daemon_start(daemon *of, const tm_server_config *options);

// daemon_stop - gracefully; and nothing may have leaked.
void daemon_stop(daemon *of);

// daemon_join - when somebody else has asked it to stop.
void daemon_join(daemon *of);

// One connection, from the client's side.
typedef struct wire {
    const daemon *with;
    int fd;
    t_bytes in; // read, and not yet taken
    size_t at;  // up to here it was
} wire;

void wire_open(wire *to, const daemon *with);
// wire_open_at - at another address than 127.0.0.1.
void wire_open_at(wire *to, const daemon *with, uint32_t host);
void wire_close(wire *of);

// wire_say - bytes as they are. Returns whether all could be sent.
bool wire_say(wire *to, const void *data, size_t len);

// wire_text - with every "@" replaced by the daemon's host.
void wire_text(wire *to, const char *text);

// wire_drip - the same, one byte a write.
void wire_drip(wire *to, const char *text);

// wire_ends - the other side has closed and sent nothing more.
bool wire_ends(wire *of);

typedef struct answer {
    unsigned status;
    char head[4096]; // status line and fields
    t_bytes body;
} answer;

// wire_answer - read one response. `bodiless`: to a HEAD. free: bytes_free(&body).
void wire_answer(wire *from, answer *to, bool bodiless);

// wire_status - read one response, of which only the status matters; 0 = the end.
unsigned wire_status(wire *from);

// answer_field - its value, "" if it is not there; lent until the next call.
const char *answer_field(const answer *of, const char *name);

// ask_status - the status of one request on a connection of its own.
unsigned ask_status(const daemon *with, const char *text);

// ---- WebSocket ------------------------------------------------------------------------

#define WS_HEAD                                                                    \
    "GET /v1/ws HTTP/1.1\r\nHost: @\r\nUpgrade: websocket\r\n"                     \
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                         \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"                              \
    "Sec-WebSocket-Protocol: tidemark.v1\r\n"

// socket_open - connect and shake hands.
void socket_open(wire *to, const daemon *with);

// socket_say - frames in the words of frames.h.
void socket_say(wire *to, const char *words);

typedef struct frame {
    unsigned opcode;
    t_bytes payload;
} frame;

// socket_hear - read one frame; false = the end. free: bytes_free(&payload).
bool socket_hear(wire *from, frame *to);

// socket_hear_text - read text frames until one has `word` in it, answering pings.
// Returns its text, lent until the next call.
const char *socket_hear_text(wire *from, const char *word);

// socket_hear_close - read frames until a close; its code, 1005 = none, 0 = the end came
// without.
unsigned socket_hear_close(wire *from);

#endif
