// server.c - see server.h: the loop, from listening to the last handle closed.
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/inside.h"

#define ROUNDS_MAX      64u // of effects and writes in one turn, before others are heard
#define ACCEPTS_MAX     64u // of connections in one turn, likewise
#define ACCEPT_RETRY_MS 100u

tm_now tm_server_now(const tm_server *server) {
    struct timespec wall = {0};
    (void)clock_gettime(CLOCK_REALTIME, &wall);
    uint64_t ms = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000;
    return (tm_now){.wall_ms = ms, .mono_ms = uv_now(&server->loop)};
}

void tm_server_say(tm_server *server, const char *format, ...) {
    char line[256];
    va_list arguments;
    if (server->config.say == NULL) return;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    server->config.say(server->config.say_context, line);
}

uint16_t tm_server_port(const tm_server *server) {
    return server->port;
}

void tm_server_stop(tm_server *server) {
    __atomic_fetch_add(&server->stops, 1, __ATOMIC_SEQ_CST);
    (void)uv_async_send(&server->stop_wake);
}

// ---- accepting ----------------------------------------------------------------------

// Our own poll and accept, not libuv's: without a free descriptor that one would try
// again for ever, and nobody else would be heard.
static void accept_pause(tm_server *server, uint64_t until_ms) {
    (void)uv_poll_stop(&server->accept);
    server->accept_ms = until_ms;
    server->accept_paused = true;
}

static void on_acceptable(uv_poll_t *accept_poll, int status, int events) {
    tm_server *server = accept_poll->data;
    (void)status, (void)events;
    for (size_t i = 0; i < ACCEPTS_MAX; i++) {
        if (server->peer_count >= server->limits.connections) {
            accept_pause(server, UINT64_MAX); // until one is closed
            return;
        }
        int fd = accept(server->listener, NULL, NULL);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
        if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (fd < 0) { // no descriptor, no memory: others may give some back
            if (!server->accept_said)
                tm_server_say(server, "no connection can be accepted: %s",
                              strerror(errno));
            server->accept_said = true;
            accept_pause(server, uv_now(&server->loop) + ACCEPT_RETRY_MS);
            return;
        }
        server->accept_said = false;
        tm_peer_new(server, fd);
    }
}

static void accept_go(tm_server *server) {
    server->accept_paused = false;
    server->accept_ms = UINT64_MAX;
    (void)uv_poll_start(&server->accept, UV_READABLE, on_acceptable);
}

static void accept_look(tm_server *server) {
    if (!server->accept_paused || server->stop != TM_STOP_NOT) return;
    bool room = server->peer_count < server->limits.connections;
    if (uv_now(&server->loop) >= server->accept_ms ||
        (room && server->accept_ms == UINT64_MAX))
        accept_go(server);
}

// ---- what a turn of the loop does -----------------------------------------------------

static size_t take_effects(tm_server *server) {
    tm_effect effect;
    size_t count = 0;
    // Again in every round: an answer may let a pipelined request in.
    tm_service_decide(server->service, tm_server_now(server));
    for (; tm_service_effect(server->service, &effect); count++) {
        tm_peer *peer = effect.peer;
        switch (effect.kind) {
        case TM_EFFECT_REPLY:
            tm_route_reply(peer, &effect);
            break;
        case TM_EFFECT_SEND:
            tm_socket_send(peer, effect.frame);
            break;
        case TM_EFFECT_CLOSE:
            tm_socket_close(peer, (uint16_t)effect.status, "");
            break;
        case TM_EFFECT_NEWS: // every ear is known to the service here
            tm_frame_release(server->service, effect.frame);
            break;
        }
    }
    return count;
}

static size_t http_count(const tm_server *server) {
    size_t count = 0;
    for (const tm_peer *peer = server->peers; peer != NULL; peer = peer->next) {
        if (peer->state == TM_PEER_HTTP) count++;
    }
    return count;
}

static void on_accept_closed(uv_handle_t *handle) {
    tm_server *server = handle->data;
    (void)close(server->listener);
    server->listener = -1;
}

// What has not reached the service is not begun; what has is answered.
static void stop_begin(tm_server *server) {
    server->stop = TM_STOP_DRAIN;
    server->stop_ms = uv_now(&server->loop) + server->limits.stop_ms;
    tm_server_say(server, "stopping: %zu connections", server->peer_count);
    uv_close((uv_handle_t *)&server->accept, on_accept_closed);
    tm_service_stop(server->service, tm_server_now(server));
    for (tm_peer *peer = server->peers, *next; peer != NULL; peer = next) {
        next = peer->next;
        if (peer->state != TM_PEER_HTTP) continue;
        tm_exchange *x = peer->exchange;
        if (x != NULL && x->step != TM_STEP_HEAD && x->step != TM_STEP_BODY) {
            x->keep_alive = false;
        } else if (peer->out.bytes > 0) {
            tm_http_leave(peer);
            tm_peer_end(peer);
        } else {
            tm_peer_cut(peer);
        }
    }
}

static void cut_all(tm_server *server) {
    while (server->peers != NULL)
        tm_peer_cut(server->peers);
}

static void close_handles(tm_server *server) {
    uv_close((uv_handle_t *)&server->prepare, NULL);
    uv_close((uv_handle_t *)&server->timer, NULL);
    tm_bell_close(server->bell);
    for (size_t i = 0; server->config.signals && i < 2; i++) {
        uv_close((uv_handle_t *)&server->signals[i], NULL);
    }
}

// One step of the way down, as far as it can be gone now.
static void stop_step(tm_server *server) {
    bool idle = tm_service_idle(server->service);
    if (server->stop == TM_STOP_DRAIN && idle && http_count(server) == 0) {
        server->stop = TM_STOP_CLOSE;
        for (tm_peer *peer = server->peers, *next; peer != NULL; peer = next) {
            next = peer->next;
            tm_socket_close(peer, TM_WS_AWAY, "the server stops");
        }
    }
    if (uv_now(&server->loop) >= server->stop_ms && server->peers != NULL) {
        tm_server_say(server, "stopping: %zu connections are cut",
                      server->peer_count);
        cut_all(server);
    }
    if (server->peer_count > 0 || !idle || server->stop == TM_STOP_CLOSED) return;
    server->stop = TM_STOP_CLOSED;
    close_handles(server);
}

static void stop_look(tm_server *server) {
    int stops = __atomic_load_n(&server->stops, __ATOMIC_SEQ_CST);
    if (stops == 0) return;
    if (server->stop == TM_STOP_NOT) {
        stop_begin(server);
    } else if (stops != server->stops_seen && server->stops_seen != 0) {
        server->stop_ms = 0; // asked again: now
    }
    server->stops_seen = stops;
}

static void on_timer(uv_timer_t *timer) {
    tm_server *server = timer->data;
    tm_now now = tm_server_now(server);
    server->armed_ms = UINT64_MAX;
    for (tm_wheel_node *node;
         (node = tm_wheel_due(&server->wheel, now.mono_ms)) != NULL;) {
        tm_peer_look((tm_peer *)((uint8_t *)node - offsetof(tm_peer, wheel)));
    }
    if (tm_service_deadline(server->service) <= now.mono_ms)
        tm_service_tick(server->service, now);
}

static void arm(tm_server *server, bool at_once) {
    uint64_t due = tm_wheel_next(&server->wheel), now = uv_now(&server->loop);
    uint64_t service = tm_service_deadline(server->service);
    if (service < due) due = service;
    if (server->accept_paused && server->accept_ms < due) due = server->accept_ms;
    if (server->stop != TM_STOP_NOT && server->peers != NULL &&
        server->stop_ms < due)
        due = server->stop_ms;
    if (at_once) due = now;
    if (due == server->armed_ms) return;
    server->armed_ms = due;
    if (due == UINT64_MAX) {
        (void)uv_timer_stop(&server->timer);
    } else {
        (void)uv_timer_start(&server->timer, on_timer, due > now ? due - now : 0,
                             0);
    }
}

// Runs before every sleep: all that this turn has brought about leaves now.
static void on_prepare(uv_prepare_t *prepare) {
    tm_server *server = prepare->data;
    stop_look(server);
    accept_look(server);
    size_t rounds = 0;
    while (take_effects(server) > 0 || server->flush != NULL) {
        if (++rounds > ROUNDS_MAX) break;
        tm_peer_flush_all(server);
    }
    tm_bell_flush(server->bell);
    if (server->stop != TM_STOP_NOT) stop_step(server);
    if (server->stop != TM_STOP_CLOSED)
        arm(server, rounds > ROUNDS_MAX || server->flush != NULL);
}

static void on_wake(uv_async_t *wake) {
    tm_server *server = wake->data;
    // A completion brings no time with it, and the last one told is older than the commit.
    tm_service_tick(server->service, tm_server_now(server));
    (void)tm_store_poll(server->store);
}

static void store_wake(void *context) {
    tm_server *server = context;
    (void)uv_async_send(&server->wake);
}

static void on_stop(uv_async_t *wake) {
    (void)wake; // what follows is the prepare's
}

static void on_signal(uv_signal_t *signal, int number) {
    (void)number;
    tm_server_stop(signal->data);
}

static void release_frame(void *context, tm_frame *frame) {
    tm_server *server = context;
    tm_frame_release(server->service, frame);
}

// ---- the whole life ----------------------------------------------------------------------

static bool handles_open(tm_server *server) {
    uv_loop_t *loop = &server->loop;
    if (uv_poll_init(loop, &server->accept, server->listener) != 0 ||
        uv_prepare_init(loop, &server->prepare) != 0 ||
        uv_timer_init(loop, &server->timer) != 0 ||
        uv_async_init(loop, &server->wake, on_wake) != 0 ||
        uv_async_init(loop, &server->stop_wake, on_stop) != 0)
        return false;
    for (size_t i = 0; server->config.signals && i < 2; i++) {
        if (uv_signal_init(loop, &server->signals[i]) != 0 ||
            uv_signal_start(&server->signals[i], on_signal,
                            i == 0 ? SIGTERM : SIGINT) != 0)
            return false;
        server->signals[i].data = server;
    }
    server->accept.data = server->prepare.data = server;
    server->timer.data = server->wake.data = server;
    // These two stay open until the end, for whoever calls late, and hold up nobody.
    uv_unref((uv_handle_t *)&server->wake);
    uv_unref((uv_handle_t *)&server->stop_wake);
    return uv_prepare_start(&server->prepare, on_prepare) == 0;
}

static tm_now bell_now(void *context) {
    return tm_server_now(context);
}

static void bell_say(void *context, const char *line) {
    tm_server_say(context, "%s", line);
}

static tm_status bell_begin(tm_server *server, char problem[256]) {
    const tm_server_config *config = &server->config;
    if (config->redis == NULL) return TM_OK;
    tm_bell_config bell = {.alloc = server->alloc,
                           .loop = &server->loop,
                           .service = server->service,
                           .url = config->redis,
                           .password = config->redis_password,
                           .prefix = config->redis_prefix,
                           .now = bell_now,
                           .say = bell_say,
                           .context = server};
    return tm_bell_new(&bell, &server->bell, problem);
}

static tm_status begin(tm_server *server, char problem[256]) {
    tm_wheel_init(&server->wheel, uv_now(&server->loop));
    tm_status status = tm_server_configure(server, problem);
    if (status != TM_OK) return status;
    if (!handles_open(server)) {
        (void)snprintf(problem, 256, "cannot make an event loop");
        return TM_E_IO;
    }
    status = bell_begin(server, problem);
    if (status != TM_OK) return status;
    accept_go(server);
    tm_service_tune(server->service)->gather = true;
    server->store->wake_context = server;
    server->store->wake = store_wake;
    return TM_OK;
}

tm_status tm_server_new(const tm_server_config *config, tm_server **server,
                        char problem[256]) {
    tm_server *fresh = tm_alloc_get(config->alloc, sizeof *fresh);
    if (fresh == NULL) {
        (void)snprintf(problem, 256, "out of memory");
        return TM_E_NOMEM;
    }
    fresh->config = *config;
    fresh->limits = config->limits;
    fresh->alloc = config->alloc;
    fresh->service = config->service;
    fresh->store = config->store;
    fresh->access.texts.alloc = config->alloc;
    fresh->armed_ms = UINT64_MAX;
    fresh->listener = -1;
    fresh->pool = (tm_out_pool){
        .alloc = config->alloc, .release = release_frame, .context = fresh};
    int failed = uv_loop_init(&fresh->loop);
    if (failed != 0) {
        tm_alloc_put(config->alloc, fresh, sizeof *fresh);
        (void)snprintf(problem, 256, "cannot make an event loop: %s",
                       uv_strerror(failed));
        return TM_E_IO;
    }
    tm_status status = begin(fresh, problem);
    if (status != TM_OK) {
        tm_server_free(fresh);
        return status;
    }
    *server = fresh;
    return TM_OK;
}

void tm_server_run(tm_server *server) {
    // A peer that is gone is an error of the write, not a signal for the program.
    (void)signal(SIGPIPE, SIG_IGN);
    (void)uv_run(&server->loop, UV_RUN_DEFAULT);
}

static void close_any(uv_handle_t *handle, void *context) {
    (void)context;
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

void tm_server_free(tm_server *server) {
    if (server == NULL) return;
    TM_ASSERT(server->peers == NULL);
    uv_walk(&server->loop, close_any, NULL);
    (void)uv_run(&server->loop, UV_RUN_DEFAULT);
    TM_ASSERT(uv_loop_close(&server->loop) == 0);
    if (server->listener >= 0) (void)close(server->listener);
    tm_bell_free(server->bell);
    tm_photos_free(server->photos);
    tm_pages_deinit(&server->pages, server->alloc);
    tm_access_deinit(&server->access);
    tm_out_pool_deinit(&server->pool);
    tm_alloc_put(server->alloc, (void *)(uintptr_t)server->user.ptr,
                 server->user.len);
    tm_alloc_put(server->alloc, server, sizeof *server);
}
