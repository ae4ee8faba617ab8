// http.c - the requests of one connection, see inside.h: cut out of the bytes, answered one
// after another.
#include "core/limits.h"
#include "net/inside.h"

// ---- the exchange -------------------------------------------------------------------------

static tm_exchange *begin(tm_peer *peer) {
    tm_server *server = peer->server;
    tm_exchange *x = tm_alloc_get(server->alloc, sizeof *x);
    if (x == NULL) {
        tm_peer_cut(peer);
        return NULL;
    }
    x->head.alloc = x->body.alloc = x->rest.alloc = server->alloc;
    x->began_ms = uv_now(&server->loop);
    x->keep_alive = server->stop == TM_STOP_NOT;
    if (peer->out.bytes > TM_HTTP_HIGH) x->step = TM_STEP_WAIT;
    peer->exchange = x;
    return x;
}

void tm_http_leave(tm_peer *peer) {
    tm_exchange *x = peer->exchange;
    if (x == NULL) return;
    if (x->ticketed) tm_service_cancel(peer->server->service, x->ticket);
    tm_photo_close(x->photo);
    tm_buf_deinit(&x->head);
    tm_buf_deinit(&x->body);
    tm_buf_deinit(&x->rest);
    tm_alloc_put(peer->server->alloc, x, sizeof *x);
    peer->exchange = NULL;
}

static void end(tm_peer *peer) {
    if (peer->state != TM_PEER_HTTP) return;
    tm_http_leave(peer);
    tm_peer_end(peer);
}

void tm_http_finish(tm_peer *peer) {
    if (peer->state != TM_PEER_HTTP) return; // a put has failed
    tm_exchange *x = peer->exchange;
    bool keep = x->keep_alive;
    tm_buf rest = x->rest;
    x->rest = (tm_buf){.alloc = rest.alloc};
    tm_http_leave(peer);
    peer->since_ms = uv_now(&peer->server->loop);
    if (!keep) {
        tm_peer_end(peer);
    } else if (rest.len > 0 || !peer->feeding) {
        tm_http_feed(peer, rest.ptr, rest.len);
    } // else whoever feeds goes on behind this request
    tm_buf_deinit(&rest);
}

void tm_http_refuse(tm_peer *peer, uint32_t status, const char *code,
                    const char *detail, const char *lines, bool close) {
    tm_exchange *x = peer->exchange;
    if (close) x->keep_alive = false;
    if (tm_answer_problem(peer, status, code, detail, lines, !x->keep_alive,
                          x->bodiless))
        tm_http_finish(peer);
}

// ---- bytes ------------------------------------------------------------------------------

static size_t take_head(tm_peer *peer, tm_span bytes) {
    tm_exchange *x = peer->exchange;
    size_t used = 0;
    tm_status status = tm_head_feed(&x->scan, bytes, &used);
    if (status == TM_E_CORRUPT) {
        tm_http_refuse(peer, x->scan.status, "head", x->scan.reason, NULL, true);
        return bytes.len;
    }
    tm_span head = {bytes.ptr, used};
    if (status == TM_E_MORE || x->head.len > 0) {
        tm_buf_put(&x->head, head);
        head = tm_buf_span(&x->head);
        if (x->head.status != TM_OK) {
            tm_peer_cut(peer);
            return bytes.len;
        }
    }
    if (status == TM_E_MORE) return used;
    tm_span more = {bytes.ptr + used, bytes.len - used};
    // `head` may lie in x->head, which the answer frees: nothing uses it after that.
    return used + tm_route(peer, head, more);
}

static void body_done(tm_peer *peer) {
    tm_exchange *x = peer->exchange;
    tm_span target = tm_buf_span(&x->head), query = {0};
    tm_span path = {target.ptr, x->path_len};
    if (target.len > x->path_len)
        query = (tm_span){target.ptr + x->path_len, target.len - x->path_len};
    tm_route_ask(peer, x->method, path, query, tm_buf_span(&x->body));
}

static void keep_body(tm_peer *peer, tm_span data) {
    tm_exchange *x = peer->exchange;
    tm_buf_put(&x->body, data);
    x->received += data.len;
    if (x->body.status != TM_OK) tm_peer_cut(peer);
}

static size_t take_chunked(tm_peer *peer, tm_span bytes) {
    tm_exchange *x = peer->exchange;
    tm_span data;
    size_t used = 0;
    tm_status status = tm_chunk_feed(&x->chunk, bytes, &used, &data);
    if (status == TM_E_CORRUPT) {
        tm_http_refuse(peer, 400, "chunked",
                       "The body is not chunked as it must be.", NULL, true);
        return bytes.len;
    }
    // The size of a chunk is known before its data: 2^64-1 is refused by its digits.
    uint64_t due = tm_chunk_due(&x->chunk);
    if (due > TM_BODY_MAX || x->received + data.len + due > TM_BODY_MAX) {
        tm_http_refuse(peer, 413, "too-large", "A body may have 1 MiB.", NULL,
                       true);
        return bytes.len;
    }
    keep_body(peer, data);
    if (peer->state == TM_PEER_HTTP && x->chunk.over) body_done(peer);
    return used;
}

static size_t take_body(tm_peer *peer, tm_span bytes) {
    tm_exchange *x = peer->exchange;
    if (x->scan.chunked) return take_chunked(peer, bytes);
    size_t len = bytes.len < x->body_left ? bytes.len : (size_t)x->body_left;
    x->body_left -= len;
    keep_body(peer, (tm_span){bytes.ptr, len});
    if (peer->state == TM_PEER_HTTP && x->body_left == 0) body_done(peer);
    return len;
}

static void feed(tm_peer *peer, uint8_t *bytes, size_t len) {
    while (len > 0 && peer->state == TM_PEER_HTTP) {
        if (peer->exchange == NULL && begin(peer) == NULL) return;
        tm_span in_hand = {bytes, len};
        size_t used = len;
        if (peer->exchange->step == TM_STEP_HEAD) {
            used = take_head(peer, in_hand);
        } else if (peer->exchange->step == TM_STEP_BODY) {
            used = take_body(peer, in_hand);
        } else { // pipelined: its turn comes
            tm_buf_put(&peer->exchange->rest, in_hand);
            if (peer->exchange->rest.status != TM_OK) tm_peer_cut(peer);
        }
        bytes += used;
        len -= used;
    }
    if (len > 0 && peer->state == TM_PEER_SOCKET) tm_socket_feed(peer, bytes, len);
}

void tm_http_feed(tm_peer *peer, uint8_t *bytes, size_t len) {
    bool outer = !peer->feeding;
    peer->feeding = true;
    feed(peer, bytes, len);
    if (!outer) return;
    peer->feeding = false;
    if (peer->state == TM_PEER_HTTP && peer->heard_end) {
        // What is incomplete now stays so.
        tm_exchange *x = peer->exchange;
        if (x == NULL || x->step == TM_STEP_HEAD || x->step == TM_STEP_BODY)
            end(peer);
    }
    if (peer->state == TM_PEER_GONE) return;
    tm_peer_reads(peer);
    tm_peer_watch(peer);
}

void tm_http_drained(tm_peer *peer) {
    tm_exchange *x = peer->exchange;
    if (x == NULL) return;
    if (x->step == TM_STEP_SEND && x->photo != NULL && !x->photo->busy) {
        tm_photo_next(x->photo);
    } else if (x->step == TM_STEP_WAIT) {
        tm_http_finish(peer); // it was only a place for the bytes of the next
    }
}

// ---- time -------------------------------------------------------------------------------

uint64_t tm_http_due(const tm_peer *peer) {
    const tm_server_limits *limits = &peer->server->limits;
    const tm_exchange *x = peer->exchange;
    if (x == NULL) {
        bool fresh = peer->heard_ms == 0; // it has not said anything yet
        return peer->since_ms + (fresh ? limits->head_ms : limits->idle_ms);
    }
    if (x->step == TM_STEP_HEAD) return x->began_ms + limits->head_ms;
    if (x->step == TM_STEP_BODY)
        return x->began_ms + limits->body_ms +
               x->received * 1000 / limits->body_rate;
    return UINT64_MAX; // the service answers in time, and sending has its own
}

void tm_http_timed_out(tm_peer *peer) {
    if (peer->exchange == NULL) {
        tm_peer_cut(peer);
    } else {
        tm_http_refuse(peer, 408, "too-slow",
                       "The request took too long to arrive.", NULL, true);
    }
}
