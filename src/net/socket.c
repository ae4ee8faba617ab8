// socket.c - a WebSocket in front of the service, see inside.h.
#include <string.h>

#include "core/limits.h"
#include "net/inside.h"

#define PONGS_MAX 500u // unsent; then only the newest ping is answered

_Static_assert(offsetof(tm_frame, bytes) ==
                   offsetof(tm_frame, room) + TM_FRAME_ROOM,
               "a frame's header stands right before its bytes");
_Static_assert(TM_FRAME_ROOM >= TM_WS_HEAD_MAX, "and fits");

tm_status tm_socket_open(tm_peer *peer) {
    tm_server *server = peer->server;
    tm_conn *conn = NULL;
    tm_status status = tm_service_connect(server->service, tm_server_now(server),
                                          server->user, peer, &conn);
    if (status != TM_OK) return status;
    tm_http_leave(peer);
    peer->state = TM_PEER_SOCKET;
    peer->conn = conn;
    peer->ws = (tm_ws){.alloc = server->alloc, .message_max = TM_BODY_MAX};
    server->socket_count++;
    server->counts.upgrades++;
    return TM_OK;
}

static void late_drop(tm_peer *peer) {
    tm_alloc_put(peer->server->alloc, peer->late, TM_WS_CONTROL_MAX);
    peer->late = NULL;
}

void tm_socket_leave(tm_peer *peer) {
    late_drop(peer);
    if (peer->conn == NULL) return;
    tm_service_disconnect(peer->server->service, peer->conn);
    peer->conn = NULL;
    peer->server->socket_count--;
}

static bool put_control(tm_peer *peer, uint8_t opcode, tm_span payload) {
    uint8_t frame[2 + TM_WS_CONTROL_MAX];
    size_t len = tm_ws_control(frame, opcode, payload);
    return tm_peer_put_copy(peer, (tm_span){frame, len});
}

// RFC 6455 5.5.3: who is behind with its pongs may send one for the newest ping alone.
static void pong(tm_peer *peer, tm_span payload) {
    if (peer->pongs < PONGS_MAX) {
        peer->pongs++;
        (void)put_control(peer, TM_WS_OP_PONG, payload);
        return;
    }
    if (peer->late == NULL)
        peer->late = tm_alloc_get(peer->server->alloc, TM_WS_CONTROL_MAX);
    if (peer->late == NULL) {
        tm_peer_cut(peer);
        return;
    }
    if (payload.len > 0) memcpy(peer->late, payload.ptr, payload.len);
    peer->late_len = (uint8_t)payload.len;
}

void tm_socket_drained(tm_peer *peer) {
    uint8_t payload[TM_WS_CONTROL_MAX];
    peer->pongs = 0;
    if (peer->late == NULL) return;
    memcpy(payload, peer->late, peer->late_len);
    late_drop(peer);
    pong(peer, (tm_span){payload, peer->late_len});
}

// Says `code`, and that was it: the service no longer knows of this connection.
static void finish(tm_peer *peer, uint16_t code, tm_span reason) {
    uint8_t frame[2 + TM_WS_CONTROL_MAX];
    size_t len = tm_ws_close(frame, code, reason);
    tm_socket_leave(peer);
    peer->state = TM_PEER_ENDING; // a failing put must not come back to us
    if (tm_peer_put_copy(peer, (tm_span){frame, len})) tm_peer_end(peer);
}

// What libuv has, or the kernel a part of, must stay: the frame after it would be garbage
// otherwise. All else gives way to the close.
static void give_way(tm_peer *peer) {
    size_t keep = peer->writing ? peer->slice : tm_out_begun(&peer->out) ? 1 : 0;
    tm_out_cut(&peer->server->pool, &peer->out, keep);
    peer->hasty = true;
}

void tm_socket_close(tm_peer *peer, uint16_t code, const char *reason) {
    if (peer->state != TM_PEER_SOCKET) return;
    // Who is told to try later does not read: it would never come to the close.
    if (code == TM_WS_TRY_LATER && peer->out.bytes > 0) give_way(peer);
    finish(peer, code, (tm_span){(const uint8_t *)reason, strlen(reason)});
}

void tm_socket_stuck(tm_peer *peer) {
    tm_socket_close(peer, TM_WS_TRY_LATER, "nothing was read for too long");
}

static void heard(tm_peer *peer, const tm_ws_event *event) {
    tm_server *server = peer->server;
    switch (event->kind) {
    case TM_WS_TEXT:
        server->counts.frames_in++;
        tm_service_feed(server->service, tm_server_now(server), peer->conn,
                        event->bytes);
        break;
    case TM_WS_PING:
        pong(peer, event->bytes);
        break;
    case TM_WS_PONG:
        break; // any byte shows that the other side lives
    case TM_WS_CLOSE:
        finish(peer, event->code, (tm_span){0});
        break;
    case TM_WS_BINARY: // refused by the codec
    case TM_WS_FAIL:
        server->counts.refused++;
        finish(peer, event->code, event->bytes);
        break;
    }
}

void tm_socket_feed(tm_peer *peer, uint8_t *bytes, size_t len) {
    if (peer->pinged) { // the next look is for the next ping again, and that is earlier
        peer->pinged = false;
        tm_peer_watch(peer);
    }
    while (peer->state == TM_PEER_SOCKET) {
        tm_ws_event event;
        size_t used;
        if (tm_ws_feed(&peer->ws, bytes, len, &used, &event) != TM_OK) return;
        heard(peer, &event);
        bytes += used;
        len -= used;
    }
}

void tm_socket_send(tm_peer *peer, tm_frame *frame) {
    if (frame->room_used == 0) {
        uint8_t *payload = (uint8_t *)frame + offsetof(tm_frame, bytes);
        tm_span whole = tm_ws_wrap(payload, TM_WS_OP_TEXT, frame->len);
        frame->room_used = (uint32_t)(whole.len - frame->len);
    }
    peer->server->counts.frames_out++;
    (void)tm_peer_put_frame(peer, frame, true);
}

uint64_t tm_socket_due(const tm_peer *peer) {
    const tm_server_limits *limits = &peer->server->limits;
    return peer->heard_ms + (peer->pinged ? limits->silence_ms : limits->ping_ms);
}

void tm_socket_look(tm_peer *peer, uint64_t now_ms) {
    const tm_server_limits *limits = &peer->server->limits;
    uint64_t silent = now_ms - peer->heard_ms;
    if (silent >= limits->silence_ms) {
        peer->server->counts.timed_out++;
        tm_peer_cut(peer); // a line this dead carries no goodbye
    } else if (silent >= limits->ping_ms && !peer->pinged) {
        peer->pinged = true;
        (void)put_control(peer, TM_WS_OP_PING, (tm_span){0});
    }
}
