// route.c - one request, read: who may ask, what is asked, and the way through the service.
// See inside.h.
#include <string.h>

#include "core/limits.h"
#include "net/handshake.h"
#include "net/inside.h"

static const tm_span ws_path = TM_LIT("/v1/ws");
static const tm_span photos_path = TM_LIT(TM_PHOTOS_PATH);
static const tm_span metrics_path = TM_LIT("/metrics");

static bool is(tm_span a, tm_span b) {
    return tm_span_cmp(a, b) == 0;
}

static bool begins(tm_span text, const char *with) {
    size_t len = strlen(with);
    return text.len >= len && memcmp(text.ptr, with, len) == 0;
}

// ---- the service ------------------------------------------------------------------------

void tm_route_ask(tm_peer *peer, tm_method method, tm_span path, tm_span query,
                  tm_span body) {
    tm_server *server = peer->server;
    tm_exchange *x = peer->exchange;
    tm_request request = {.method = method,
                          .path = path,
                          .query = query,
                          .body = body,
                          .user = server->user,
                          .peer = peer};
    x->step = TM_STEP_BUSY;
    x->metrics = is(path, metrics_path);
    x->ticketed = true;
    tm_service_request(server->service, tm_server_now(server), &request,
                       &x->ticket);
    tm_buf_deinit(&x->head);
    tm_buf_deinit(&x->body);
}

static void write_metrics(const tm_server *server, tm_buf *out) {
    const tm_counts *counts = &server->counts;
    const struct {
        const char *name, *type;
        uint64_t value;
    } rows[] = {
        {"connections", "gauge", server->peer_count},
        {"websockets", "gauge", server->socket_count},
        {"accepted_total", "counter", counts->accepted},
        {"requests_total", "counter", counts->requests},
        {"upgrades_total", "counter", counts->upgrades},
        {"refused_total", "counter", counts->refused},
        {"timed_out_total", "counter", counts->timed_out},
        {"stuck_total", "counter", counts->stuck},
        {"frames_in_total", "counter", counts->frames_in},
        {"frames_out_total", "counter", counts->frames_out},
        {"received_bytes_total", "counter", counts->bytes_in},
        {"sent_bytes_total", "counter", counts->bytes_out},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tm_buf_text(out, "# TYPE tidemark_net_");
        tm_buf_text(out, rows[i].name);
        tm_buf_text(out, " ");
        tm_buf_text(out, rows[i].type);
        tm_buf_text(out, "\ntidemark_net_");
        tm_buf_text(out, rows[i].name);
        tm_buf_text(out, " ");
        tm_buf_u64(out, rows[i].value);
        tm_buf_text(out, "\n");
    }
}

void tm_route_reply(tm_peer *peer, tm_effect *effect) {
    tm_server *server = peer->server;
    tm_exchange *x = peer->exchange;
    TM_ASSERT(peer->state == TM_PEER_HTTP && x != NULL && x->ticketed);
    tm_buf head = {.alloc = server->alloc}, more = {.alloc = server->alloc};
    x->ticketed = false;
    if (server->stop != TM_STOP_NOT) x->keep_alive = false;
    if (x->metrics && effect->status == 200) write_metrics(server, &more);
    size_t len = effect->frame == NULL ? 0 : effect->frame->len;
    tm_answer_head(server, &head,
                   &(tm_answer){.status = effect->status,
                                .type = effect->content_type,
                                .len = len + more.len,
                                .close = !x->keep_alive,
                                .retry_after_s = effect->retry_after_s});
    bool fine = tm_peer_put_buf(peer, &head);
    if (effect->frame != NULL && (!fine || x->bodiless)) {
        tm_frame_release(server->service, effect->frame);
    } else if (effect->frame != NULL) {
        fine = tm_peer_put_frame(peer, effect->frame, false);
    }
    if (!fine || x->bodiless) {
        tm_buf_deinit(&more);
    } else {
        fine = tm_peer_put_buf(peer, &more);
    }
    if (fine) tm_http_finish(peer);
}

// ---- what is asked ----------------------------------------------------------------------

static bool for_service(tm_span path) {
    static const tm_span healthz = TM_LIT("/healthz"), readyz = TM_LIT("/readyz");
    return begins(path, "/v1/") || is(path, healthz) || is(path, readyz) ||
           is(path, metrics_path);
}

static void upgrade(tm_peer *peer, const tm_http_request *request) {
    tm_handshake handshake;
    tm_server *server = peer->server;
    if (server->config.origin_required &&
        tm_request_field(request, "origin", NULL).ptr == NULL) {
        tm_http_refuse(peer, 403, "origin", "A WebSocket must say its Origin here.",
                       NULL, true);
        return;
    }
    tm_handshake_check(request, &handshake);
    if (handshake.status != 101) {
        tm_http_refuse(peer, handshake.status, "handshake", handshake.reason,
                       handshake.status == 426 ? "Upgrade: websocket\r\n"
                                                 "Sec-WebSocket-Version: 13\r\n"
                                               : NULL,
                       true);
        return;
    }
    if (server->stop != TM_STOP_NOT || tm_socket_open(peer) != TM_OK) {
        tm_http_refuse(peer, 503, "stopping", "Not now: try again.", NULL, true);
        return;
    }
    tm_buf head = {.alloc = server->alloc};
    tm_buf_text(&head, "HTTP/1.1 101 Switching Protocols\r\n"
                       "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Protocol: " TM_WS_PROTOCOL_NAME "\r\n"
                       "Sec-WebSocket-Accept: ");
    tm_buf_text(&head, handshake.accept);
    tm_buf_text(&head, "\r\n\r\n");
    (void)tm_peer_put_buf(peer, &head);
}

// A token in a URL ends up in logs and histories (TRUST 2, row 12).
static bool has_token(tm_span query) {
    while (query.len > 0) {
        if (begins(query, "token=") || begins(query, "access_token=") ||
            begins(query, "bearer="))
            return true;
        const uint8_t *mark = memchr(query.ptr, '&', query.len);
        if (mark == NULL) return false;
        query.len -= (size_t)(mark + 1 - query.ptr);
        query.ptr = mark + 1;
    }
    return false;
}

static bool json_type(const tm_http_request *request) {
    size_t count;
    tm_span type = tm_request_field(request, "content-type", &count);
    if (count != 1) return false;
    const uint8_t *mark = memchr(type.ptr, ';', type.len);
    tm_span rest = {0};
    if (mark != NULL) {
        rest = (tm_span){mark + 1, (size_t)(type.ptr + type.len - mark - 1)};
        type.len = (size_t)(mark - type.ptr);
    }
    while (type.len > 0 && type.ptr[type.len - 1] == ' ')
        type.len--;
    while (rest.len > 0 && rest.ptr[0] == ' ') {
        rest = (tm_span){rest.ptr + 1, rest.len - 1};
    }
    return tm_span_is(type, "application/json") &&
           (rest.len == 0 || tm_span_is(rest, "charset=utf-8") ||
            tm_span_is(rest, "charset=\"utf-8\""));
}

// Who may ask at all, and for what. True = go on.
static bool admit(tm_peer *peer, const tm_http_request *request) {
    const tm_access *access = &peer->server->access;
    size_t origins;
    tm_span origin = tm_request_field(request, "origin", &origins);
    if (!tm_access_host(access, tm_request_field(request, "host", NULL))) {
        tm_http_refuse(peer, 421, "host",
                       "This server does not answer for that Host.", NULL, true);
        return false;
    }
    if (origins > 1 || !tm_access_origin(access, origin)) {
        tm_http_refuse(peer, 403, "origin",
                       "Pages of that Origin may not ask here.", NULL, true);
        return false;
    }
    if (has_token(request->query)) {
        tm_http_refuse(
            peer, 401, "token-in-url",
            "A token is never taken from a URL: send it as Authorization.", NULL,
            true);
        return false;
    }
    return true;
}

// What a request with a body must say about it. True = go on.
static bool admit_body(tm_peer *peer, const tm_http_request *request) {
    tm_exchange *x = peer->exchange;
    size_t codings, expectations;
    tm_span coding = tm_request_field(request, "content-encoding", &codings);
    tm_span expect = tm_request_field(request, "expect", &expectations);
    if (codings > 1 || (codings == 1 && !tm_span_is(coding, "identity"))) {
        tm_http_refuse(peer, 415, "content-encoding", "Send the body as it is.",
                       NULL, true);
    } else if (!json_type(request)) {
        tm_http_refuse(peer, 415, "content-type", "Send application/json.", NULL,
                       true);
    } else if (x->scan.length > TM_BODY_MAX) {
        tm_http_refuse(peer, 413, "too-large", "A body may have 1 MiB.", NULL,
                       true);
    } else if (expectations > 0 && !tm_span_is(expect, "100-continue")) {
        tm_http_refuse(peer, 417, "expectation", "Only 100-continue is known.",
                       NULL, true);
    } else {
        return true;
    }
    return false;
}

// The bodies of other methods mean nothing here, and one that nobody reads is where the
// next request is hidden.
static bool takes_body(tm_http_method method) {
    return method == TM_HTTP_POST || method == TM_HTTP_PUT;
}

static void route(tm_peer *peer, const tm_http_request *request) {
    tm_exchange *x = peer->exchange;
    bool read = request->method == TM_HTTP_GET || request->method == TM_HTTP_HEAD;
    if (is(request->path, ws_path)) {
        upgrade(peer, request);
    } else if (request->method == TM_HTTP_OPTIONS) {
        tm_serve_options(peer);
    } else if (request->method == TM_HTTP_OTHER) {
        tm_http_refuse(peer, 405, "method", "Not a method of this server.",
                       TM_ALLOW, false);
    } else if (is(request->path, photos_path) ||
               begins(request->path, "/v1/photos/")) {
        if (read) {
            tm_serve_photos(peer, request);
        } else {
            tm_http_refuse(peer, 405, "method", "Photos are only read here.",
                           "Allow: GET, HEAD, OPTIONS\r\n",
                           x->scan.has_length || x->scan.chunked);
        }
    } else if (!for_service(request->path)) {
        if (read) {
            tm_serve_page(peer, request);
        } else {
            tm_http_refuse(peer, 405, "method", "Pages are only read.",
                           "Allow: GET, HEAD, OPTIONS\r\n", true);
        }
    } else if (read) {
        tm_route_ask(peer, TM_GET, request->path, request->query, (tm_span){0});
    } else if (admit_body(peer, request)) {
        x->step = TM_STEP_BODY;
    }
}

// A request whose body does not begin in hand: keep what is needed of its head.
static void await_body(tm_peer *peer, const tm_http_request *request,
                       bool in_hand) {
    tm_exchange *x = peer->exchange;
    tm_buf target = {.alloc = peer->server->alloc};
    size_t
        expectations; // looked for while the head is there: it may lie in x->head
    (void)tm_request_field(request, "expect", &expectations);
    tm_buf_put(&target, request->path);
    tm_buf_put(&target, request->query);
    x->path_len = request->path.len;
    tm_buf_deinit(&x->head);
    x->head = target;
    x->began_ms = uv_now(&peer->server->loop);
    if (target.status != TM_OK) {
        tm_peer_cut(peer);
        return;
    }
    static const tm_span go_on = TM_LIT("HTTP/1.1 100 Continue\r\n\r\n");
    if (expectations > 0 && request->http_1_1 && !in_hand)
        (void)tm_peer_put_copy(peer, go_on);
}

size_t tm_route(tm_peer *peer, tm_span head, tm_span more) {
    tm_exchange *x = peer->exchange;
    tm_http_request request;
    peer->server->counts.requests++;
    if (tm_request_read(head, &request) != TM_OK) {
        tm_http_refuse(peer, 400, "method", "This is not a request of HTTP.", NULL,
                       true);
        return 0;
    }
    x->keep_alive = x->keep_alive && request.keep_alive;
    x->bodiless = request.method == TM_HTTP_HEAD;
    x->method = request.method == TM_HTTP_POST ? TM_POST : TM_PUT;
    bool has_body = x->scan.chunked || x->scan.length > 0;
    if (!admit(peer, &request)) return 0;
    if (has_body && !takes_body(request.method)) {
        tm_http_refuse(peer, 400, "body", "A request of this method has no body.",
                       NULL, true);
        return 0;
    }
    route(peer, &request);
    if (peer->state != TM_PEER_HTTP || peer->exchange != x ||
        x->step != TM_STEP_BODY)
        return 0;
    size_t length = (size_t)x->scan.length;
    if (!x->scan.chunked && more.len >= length) { // all of it is here already
        tm_route_ask(peer, x->method, request.path, request.query,
                     (tm_span){more.ptr, length});
        return length;
    }
    x->body_left = length;
    await_body(peer, &request, more.len > 0);
    return 0;
}
