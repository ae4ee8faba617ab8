// peer.c - one connection's bytes, see inside.h: accept, read, write, time out, close.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/inside.h"

#define RUNS_MAX 64u // runs of one write
#define SLICE_BYTES                                                                \
    (256u << 10)               // handed to libuv when the kernel has enough for now
#define SOCKET_HIGH (1u << 20) // unsent, before no further message is read
#define REST_MAX    TM_READ_BUFFER // pipelined bytes kept behind a request under way

// A write that libuv finishes later. Its runs stay in the peer's queue until then.
typedef struct sending {
    uv_write_t write;
    tm_peer *peer;
    size_t bytes;
} sending;

static uint64_t now_ms(const tm_peer *peer) {
    return uv_now(&peer->server->loop);
}

// ---- closing ----------------------------------------------------------------------------

static void peer_free(tm_peer *peer) {
    tm_alloc_put(peer->server->alloc, peer, sizeof *peer);
}

static void on_closed(uv_handle_t *handle) {
    tm_peer *peer = (tm_peer *)handle;
    peer->server->peer_count--;
    if (peer->flushing) { // the list of those to be flushed still names it
        peer->closed = true;
    } else {
        peer_free(peer);
    }
}

void tm_peer_cut(tm_peer *peer) {
    tm_server *server = peer->server;
    if (peer->state == TM_PEER_GONE) return;
    if (peer->state == TM_PEER_HTTP) tm_http_leave(peer);
    if (peer->state == TM_PEER_SOCKET) tm_socket_leave(peer);
    peer->state = TM_PEER_GONE;
    tm_ws_deinit(&peer->ws);
    tm_out_clear(&server->pool, &peer->out);
    tm_wheel_remove(&server->wheel, &peer->wheel);
    if (peer->prev != NULL) {
        peer->prev->next = peer->next;
    } else {
        server->peers = peer->next;
    }
    if (peer->next != NULL) peer->next->prev = peer->prev;
    uv_close((uv_handle_t *)&peer->tcp, on_closed);
}

// All is sent: close our side. The other learns that nothing follows, and can still be
// heard, so that the kernel has no reason for a reset that would eat what was sent.
static void shut(tm_peer *peer) {
    uv_os_fd_t fd;
    if (peer->heard_end || uv_fileno((uv_handle_t *)&peer->tcp, &fd) != 0 ||
        shutdown(fd, SHUT_WR) != 0) {
        tm_peer_cut(peer);
        return;
    }
    peer->shut = true;
    peer->since_ms = now_ms(peer);
    tm_peer_watch(peer);
}

void tm_peer_end(tm_peer *peer) {
    if (peer->state == TM_PEER_GONE) return;
    peer->state = TM_PEER_ENDING;
    peer->since_ms = now_ms(peer);
    tm_ws_deinit(&peer->ws);
    if (peer->out.bytes == 0) {
        shut(peer);
    } else {
        tm_peer_watch(peer);
    }
    if (peer->state == TM_PEER_ENDING) tm_peer_reads(peer);
}

// ---- reading ----------------------------------------------------------------------------

static void on_room(uv_handle_t *handle, size_t hint, uv_buf_t *buf) {
    tm_peer *peer = (tm_peer *)handle;
    (void)hint;
    *buf = uv_buf_init((char *)peer->server->buffer, TM_READ_BUFFER);
}

static void heard_end(tm_peer *peer) {
    peer->heard_end = true;
    tm_peer_reads(peer);
    if (peer->state == TM_PEER_SOCKET ||
        (peer->state == TM_PEER_ENDING && peer->shut)) {
        tm_peer_cut(peer);
    } else if (peer->state == TM_PEER_HTTP) {
        tm_http_feed(peer, peer->server->buffer, 0);
    }
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf) {
    tm_peer *peer = (tm_peer *)stream;
    if (count == 0) return; // nothing to read after all
    if (count == UV_EOF) {
        heard_end(peer);
        return;
    }
    if (count < 0) {
        tm_peer_cut(peer);
        return;
    }
    peer->heard_ms = now_ms(peer);
    peer->server->counts.bytes_in += (uint64_t)count;
    if (peer->state == TM_PEER_HTTP) {
        tm_http_feed(peer, (uint8_t *)buf->base, (size_t)count);
    } else if (peer->state == TM_PEER_SOCKET) {
        tm_socket_feed(peer, (uint8_t *)buf->base, (size_t)count);
    } // ENDING: thrown away
}

static bool wants_bytes(const tm_peer *peer) {
    if (peer->heard_end) return false;
    switch ((tm_peer_state)peer->state) {
    case TM_PEER_HTTP:
        return peer->exchange == NULL || (peer->exchange->rest.len < REST_MAX &&
                                          peer->exchange->step != TM_STEP_WAIT);
    case TM_PEER_SOCKET:
        return peer->out.bytes <= SOCKET_HIGH;
    case TM_PEER_ENDING:
        return true;
    case TM_PEER_GONE:
        break;
    }
    return false;
}

void tm_peer_reads(tm_peer *peer) {
    if (peer->state == TM_PEER_GONE) return;
    bool wanted = wants_bytes(peer);
    if (wanted == peer->reading) return;
    peer->reading = wanted;
    if (!wanted) {
        (void)uv_read_stop((uv_stream_t *)&peer->tcp);
    } else if (uv_read_start((uv_stream_t *)&peer->tcp, on_room, on_read) != 0) {
        tm_peer_cut(peer);
    }
}

// ---- accepting --------------------------------------------------------------------------

void tm_peer_new(tm_server *server, int fd) {
    tm_peer *peer = tm_alloc_get(server->alloc, sizeof *peer);
    if (peer == NULL || uv_tcp_init(&server->loop, &peer->tcp) != 0) {
        tm_alloc_put(server->alloc, peer, sizeof *peer);
        (void)close(fd);
        return;
    }
    peer->server = server;
    peer->next = server->peers;
    if (server->peers != NULL) server->peers->prev = peer;
    server->peers = peer;
    server->peer_count++;
    server->counts.accepted++;
    peer->since_ms = now_ms(peer);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (uv_tcp_open(&peer->tcp, fd) != 0) {
        (void)close(fd);
        tm_peer_cut(peer);
        return;
    }
    // Writes are corked here already: what is written shall leave.
    (void)uv_tcp_nodelay(&peer->tcp, 1);
    tm_peer_reads(peer);
    if (peer->state != TM_PEER_GONE) tm_peer_watch(peer);
}

// ---- writing ----------------------------------------------------------------------------

static bool put_done(tm_peer *peer, tm_status status, size_t before) {
    tm_server *server = peer->server;
    if (status != TM_OK) {
        tm_peer_cut(peer);
        return false;
    }
    if (peer->out.bytes > server->limits.queue_bytes) {
        server->counts.stuck++;
        if (peer->state == TM_PEER_SOCKET) {
            tm_socket_stuck(peer);
        } else {
            tm_peer_cut(peer);
        }
        return false;
    }
    if (before == 0) peer->drained_ms = now_ms(peer);
    if (!peer->flushing && peer->out.bytes > 0) {
        peer->flushing = true;
        peer->flush_next = server->flush;
        server->flush = peer;
    }
    return true;
}

bool tm_peer_put_buf(tm_peer *peer, tm_buf *buf) {
    size_t before = peer->out.bytes;
    if (peer->state == TM_PEER_GONE) {
        tm_buf_deinit(buf);
        return false;
    }
    return put_done(peer, tm_out_buf(&peer->server->pool, &peer->out, buf), before);
}

bool tm_peer_put_lent(tm_peer *peer, tm_span bytes) {
    size_t before = peer->out.bytes;
    if (peer->state == TM_PEER_GONE) return false;
    return put_done(peer, tm_out_lent(&peer->server->pool, &peer->out, bytes),
                    before);
}

bool tm_peer_put_copy(tm_peer *peer, tm_span bytes) {
    size_t before = peer->out.bytes;
    if (peer->state == TM_PEER_GONE) return false;
    return put_done(peer, tm_out_copy(&peer->server->pool, &peer->out, bytes),
                    before);
}

bool tm_peer_put_frame(tm_peer *peer, tm_frame *frame, bool head) {
    size_t before = peer->out.bytes;
    if (peer->state == TM_PEER_GONE) {
        tm_frame_release(peer->server->service, frame);
        return false;
    }
    return put_done(
        peer, tm_out_frame(&peer->server->pool, &peer->out, frame, head), before);
}

static void sent(tm_peer *peer, size_t bytes) {
    tm_out_done(&peer->server->pool, &peer->out, bytes);
    peer->server->counts.bytes_out += bytes;
    peer->drained_ms = now_ms(peer);
}

// The queue has changed for those who fill it.
static void told(tm_peer *peer) {
    if (peer->state == TM_PEER_SOCKET) {
        if (peer->out.bytes > 0 || peer->told) {
            peer->told = peer->out.bytes > 0;
            tm_service_queued(peer->server->service, tm_server_now(peer->server),
                              peer->conn, peer->out.bytes);
        }
        if (peer->out.bytes == 0) tm_socket_drained(peer);
        tm_peer_reads(peer);
    } else if (peer->out.bytes == 0) {
        if (peer->state == TM_PEER_ENDING && !peer->shut) shut(peer);
        if (peer->state == TM_PEER_HTTP) tm_http_drained(peer);
    }
}

static void flush(tm_peer *peer);

static void on_sent(uv_write_t *write, int status) {
    sending *one = (sending *)write;
    tm_peer *peer = one->peer;
    size_t bytes = one->bytes;
    tm_alloc_put(peer->server->alloc, one, sizeof *one);
    peer->writing = false;
    if (peer->state == TM_PEER_GONE) return;
    if (status != 0) {
        tm_peer_cut(peer);
        return;
    }
    sent(peer, bytes);
    flush(peer);
}

static size_t runs_of(const tm_peer *peer, uv_buf_t bufs[RUNS_MAX],
                      size_t bytes_max, size_t *bytes) {
    tm_span runs[RUNS_MAX];
    size_t count = tm_out_peek(&peer->out, runs, RUNS_MAX, bytes_max, bytes);
    for (size_t i = 0; i < count; i++) {
        bufs[i].base = (char *)(uintptr_t)runs[i].ptr; // libuv only reads it
        bufs[i].len = runs[i].len;
    }
    return count;
}

// The kernel has enough for now: libuv writes the next slice when it can.
static void send_later(tm_peer *peer) {
    uv_buf_t bufs[RUNS_MAX];
    sending *one = tm_alloc_get(peer->server->alloc, sizeof *one);
    if (one == NULL) {
        tm_peer_cut(peer);
        return;
    }
    one->peer = peer;
    size_t count = runs_of(peer, bufs, SLICE_BYTES, &one->bytes);
    if (uv_write(&one->write, (uv_stream_t *)&peer->tcp, bufs, (unsigned)count,
                 on_sent) != 0) {
        tm_alloc_put(peer->server->alloc, one, sizeof *one);
        tm_peer_cut(peer);
        return;
    }
    peer->writing = true;
    peer->slice = one->bytes;
    peer->unsent_seen =
        (uint32_t)uv_stream_get_write_queue_size((uv_stream_t *)&peer->tcp);
}

static void flush(tm_peer *peer) {
    while (peer->out.bytes > 0 && !peer->writing) {
        uv_buf_t bufs[RUNS_MAX];
        size_t bytes;
        size_t count = runs_of(peer, bufs, SIZE_MAX, &bytes);
        int took = uv_try_write((uv_stream_t *)&peer->tcp, bufs, (unsigned)count);
        if (took < 0 && took != UV_EAGAIN) {
            tm_peer_cut(peer);
            return;
        }
        if (took > 0) sent(peer, (size_t)took);
        if (took >= 0 && (size_t)took == bytes) continue;
        send_later(peer);
        if (peer->state == TM_PEER_GONE) return;
    }
    if (peer->out.bytes > 0) tm_peer_watch(peer);
    told(peer);
}

void tm_peer_flush_all(tm_server *server) {
    tm_peer *peer = server->flush;
    server->flush = NULL;
    while (peer != NULL) {
        tm_peer *next = peer->flush_next;
        peer->flushing = false;
        if (peer->closed) {
            peer_free(peer);
        } else if (peer->state != TM_PEER_GONE) {
            flush(peer);
        }
        peer = next;
    }
}

// ---- time -------------------------------------------------------------------------------

static uint64_t due_of(const tm_peer *peer) {
    const tm_server_limits *limits = &peer->server->limits;
    uint64_t due = UINT64_MAX, other = UINT64_MAX;
    if (peer->out.bytes > 0 && !peer->hasty)
        due = peer->drained_ms + limits->drain_ms;
    switch ((tm_peer_state)peer->state) {
    case TM_PEER_HTTP:
        other = tm_http_due(peer);
        break;
    case TM_PEER_SOCKET:
        other = tm_socket_due(peer);
        break;
    case TM_PEER_ENDING:
        if (peer->shut || peer->hasty) other = peer->since_ms + limits->linger_ms;
        break;
    case TM_PEER_GONE:
        break;
    }
    return due < other ? due : other;
}

void tm_peer_watch(tm_peer *peer) {
    uint64_t due = due_of(peer);
    if (due == UINT64_MAX) {
        tm_wheel_remove(&peer->server->wheel, &peer->wheel);
    } else {
        tm_wheel_set(&peer->server->wheel, &peer->wheel, due);
    }
}

// Has nothing gone to the kernel since the last look, or for as long as is allowed?
static bool is_stuck(tm_peer *peer, uint64_t now) {
    uint32_t unsent =
        (uint32_t)uv_stream_get_write_queue_size((uv_stream_t *)&peer->tcp);
    if (unsent != peer->unsent_seen) {
        peer->unsent_seen = unsent;
        peer->drained_ms = now;
    }
    return now - peer->drained_ms >= peer->server->limits.drain_ms;
}

void tm_peer_look(tm_peer *peer) {
    uint64_t now = now_ms(peer);
    if (peer->out.bytes > 0 && !peer->hasty && is_stuck(peer, now)) {
        peer->server->counts.stuck++;
        if (peer->state == TM_PEER_SOCKET) {
            tm_socket_stuck(peer);
        } else {
            tm_peer_cut(peer);
        }
        return;
    }
    if (peer->state == TM_PEER_SOCKET) {
        tm_socket_look(peer, now);
    } else if (due_of(peer) <= now) {
        peer->server->counts.timed_out++;
        if (peer->state == TM_PEER_HTTP) {
            tm_http_timed_out(peer);
        } else {
            tm_peer_cut(peer);
        }
    }
    if (peer->state != TM_PEER_GONE) tm_peer_watch(peer);
}
