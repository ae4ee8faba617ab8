// server.h - the daemon's loop: sockets in front of the service.
//
// One thread, one libuv loop. It listens, reads HTTP and WebSocket, hands what it
// understood to the service, and sends what the service answers. Identity is one user
// for everybody, so only this machine's own addresses are listened on.
//
// The way of bytes in:   read buffer (one, shared) -> head.h -> request.h -> service
//                                                  -> websocket.h ---------> service
// The way of bytes out:  effects -> out.h of each connection -> one write per loop turn
//
// - What a turn of the loop produced is sent once, before it sleeps: the effects of all
//   that was read are taken out first, so that ten pushes to one connection are one
//   write. A frame for ten thousand connections is encoded once.
// - A connection that has nothing under way holds its socket and a few hundred bytes: no
//   buffer, in neither direction.
// - Everything a peer can make us hold is bounded, and everything it can make us wait for
//   has a time-out: tm_server_limits. A connection that does not read is no longer read
//   from; one that drained nothing for 30 s is closed (1013).
// - When descriptors or connections run out, accepting pauses until one is closed.
//
// Life: tm_server_new listens; tm_server_run serves until tm_server_stop or, with
// `signals`, SIGTERM or SIGINT. Stopping: no new connections; requests that are under way
// are answered; when the service is idle every WebSocket is closed with 1001; then the
// loop ends. The caller frees the service, closes the store (which makes the last
// checkpoint), and frees the server, in this order.
//
// Knows service/, net/*, libuv. DESIGN 4, 8, 9; TRUST 2 rows 11-17, 20, 21, 27.
#ifndef TM_NET_SERVER_H
#define TM_NET_SERVER_H

#include "net/assets.h"
#include "service/service.h"

typedef struct tm_server tm_server;

// What a peer may take. Zero = the default in parentheses.
typedef struct tm_server_limits {
    size_t connections;  // at once (what RLIMIT_NOFILE leaves, less 64)
    size_t queue_bytes;  // unsent to one connection, then it is closed (64 MiB)
    uint32_t head_ms;    // for a request head, and for the first one (10 s)
    uint32_t idle_ms;    // between two requests (60 s)
    uint32_t body_ms;    // before a body must keep up its rate (10 s)
    uint32_t body_rate;  // bytes a second, from then on (4096)
    uint32_t ping_ms;    // silence before a WebSocket is pinged (25 s)
    uint32_t silence_ms; // ... before it is given up (60 s)
    uint32_t drain_ms;   // with bytes unsent and none accepted (30 s)
    uint32_t linger_ms;  // for the other side to close after we did (2 s)
    uint32_t stop_ms;    // for a graceful stop, then connections are cut (10 s)
} tm_server_limits;

typedef struct tm_server_config {
    const tm_alloc *alloc; // keeps
    tm_service *service;   // keeps; its random source and store are the caller's
    tm_store *store;       // keeps; its `wake` is set here
    const char *address;   // borrows: "127.0.0.1", "::1", "localhost"
    uint16_t port;         // 0 = any that is free
    tm_span user;          // borrows: who everybody is
    const char *photos;    // keeps: a directory, or NULL = none
    // Origins and hosts beside this machine's own names: access.h. Borrowed.
    const char *const *origins; // ended by NULL; may be NULL
    const char *const *hosts;   // likewise
    bool origin_required;       // a WebSocket without Origin is refused, too
    const tm_asset *assets;     // keeps: tm_assets
    size_t assets_count;
    bool signals; // stop at SIGTERM and SIGINT
    // The doorbell: bell.h. NULL = none.
    const char *redis, *redis_password, *redis_prefix; // borrows
    tm_server_limits limits;
    // One line about a change of state, for people. May be NULL.
    void (*say)(void *context, const char *line);
    void *say_context;
} tm_server_config;

// tm_server_new - listen. gives: tm_server_free.
//   config    copied; what it points to as said there
//   problem   receives a sentence for people on failure
// TM_E_STATE: the address is not this machine's own, or is in use. TM_E_RANGE: something
// in `config` is no address, origin, host or user. TM_E_IO: no socket, no directory.
TM_MUST_USE tm_status tm_server_new(const tm_server_config *config,
                                    tm_server **server, char problem[256]);

// tm_server_port - the port it listens on.
uint16_t tm_server_port(const tm_server *server);

// tm_server_run - serve until stopped.
void tm_server_run(tm_server *server);

// tm_server_stop - begin a graceful stop; a second call cuts it short. From any thread,
// or from a signal handler.
void tm_server_stop(tm_server *server);

// tm_server_free - after the store was closed: its threads may call `wake` until then.
// NULL is fine.
void tm_server_free(tm_server *server);

#endif
