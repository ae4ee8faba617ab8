// wire.c - see kit.h: many connections for little, by epoll.
#define _GNU_SOURCE // SOCK_NONBLOCK
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kit.h"
#include "net/websocket.h"

#define READ_BUFFER (1u << 20)
#define EVENTS_MAX  512

static int loop = -1;
static wire *flush_first;
static uint8_t buffer[READ_BUFFER];

static void reserve(uint8_t **bytes, size_t *cap, size_t len) {
    if (len <= *cap) return;
    *cap = *cap == 0 ? 512 : *cap;
    while (*cap < len) {
        *cap *= 2;
    }
    *bytes = realloc(*bytes, *cap);
    if (*bytes == NULL) die("out of memory");
}

static void upgrade(const wire *to, const server *with, const char *path,
                    const char *subprotocol) {
    char text[1024], name[128] = "";
    if (subprotocol[0] != 0)
        (void)snprintf(name, sizeof name, "Sec-WebSocket-Protocol: %s\r\n",
                       subprotocol);
    int len = snprintf(text, sizeof text,
                       "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                       path, with->url, name);
    if (send(to->fd, text, (size_t)len, MSG_NOSIGNAL) != len) die("cannot ask");
    size_t have = 0; // byte by byte, so that no frame behind it is taken
    while (have < 4 || memcmp(text + have - 4, "\r\n\r\n", 4) != 0) {
        if (have == sizeof text || recv(to->fd, text + have, 1, 0) != 1)
            die("no handshake: %.*s", (int)have, text);
        have++;
    }
    if (strncmp(text, "HTTP/1.1 101", 12) != 0)
        die("no handshake: %.*s", (int)have, text);
}

void wire_open(wire *to, const server *with, const char *path,
               const char *subprotocol, unsigned number) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(with->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    // From another of our own addresses for every ten thousand: ports run out.
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_addr.s_addr =
                                  htonl(INADDR_LOOPBACK + number / 10000)};
    int one = 1;
    if (loop < 0) loop = epoll_create1(EPOLL_CLOEXEC);
    *to = (wire){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                 .owner = to->owner};
    if (to->fd < 0 ||
        (number >= 10000 &&
         bind(to->fd, (struct sockaddr *)&own, sizeof own) != 0) ||
        connect(to->fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("cannot connect: %s", strerror(errno));
    (void)setsockopt(to->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (path != NULL) upgrade(to, with, path, subprotocol);
    struct epoll_event wants = {.events = EPOLLIN, .data.ptr = to};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, to->fd, &wants) != 0) die("no epoll");
}

void wire_close(wire *of) {
    (void)close(of->fd);
    free(of->in);
    free(of->out);
    *of = (wire){.fd = -1};
}

// ---- sending --------------------------------------------------------------------------

static uint8_t *out_room(wire *to, size_t len) {
    reserve(&to->out, &to->out_cap, to->out_len + len);
    if (!to->flushing) {
        to->flushing = true;
        to->flush_next = flush_first;
        flush_first = to;
    }
    uint8_t *at = to->out + to->out_len;
    to->out_len += len;
    return at;
}

void wire_say(wire *to, const void *bytes, size_t len) {
    memcpy(out_room(to, len), bytes, len);
}

static void frame_say(wire *to, uint8_t opcode, const uint8_t *bytes, size_t len) {
    static const uint8_t mask[8] = {0x37, 0xfa, 0x21, 0x3d, 0x37, 0xfa, 0x21, 0x3d};
    uint8_t head[TM_WS_HEAD_MAX];
    size_t head_len = tm_ws_head(head, opcode, len), i = 0;
    head[1] |= 0x80; // masked
    uint8_t *at = out_room(to, head_len + 4 + len);
    memcpy(at, head, head_len);
    memcpy(at + head_len, mask, 4);
    at += head_len + 4;
    for (; i + 8 <= len; i += 8) {
        uint64_t word, key;
        memcpy(&word, bytes + i, 8);
        memcpy(&key, mask, 8);
        word ^= key;
        memcpy(at + i, &word, 8);
    }
    for (; i < len; i++) {
        at[i] = bytes[i] ^ mask[i % 4];
    }
}

void wire_text(wire *to, const void *bytes, size_t len) {
    frame_say(to, TM_WS_OP_TEXT, bytes, len);
}

void wire_binary(wire *to, const void *bytes, size_t len) {
    frame_say(to, TM_WS_OP_BINARY, bytes, len);
}

static void wants(wire *of, bool out) {
    if (of->wants_out == out) return;
    of->wants_out = out;
    struct epoll_event events = {.events = EPOLLIN | (out ? EPOLLOUT : 0u),
                                 .data.ptr = of};
    if (epoll_ctl(loop, EPOLL_CTL_MOD, of->fd, &events) != 0) die("no epoll");
}

static void flush(wire *of) {
    while (of->out_at < of->out_len) {
        ssize_t sent = send(of->fd, of->out + of->out_at, of->out_len - of->out_at,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            wants(of, true);
            return;
        }
        if (sent <= 0) die("the server hung up: %s", strerror(errno));
        of->out_at += (size_t)sent;
    }
    of->out_at = of->out_len = 0;
    wants(of, false);
}

// ---- hearing --------------------------------------------------------------------------

static void hear(wire *from, wire_hears *hears) {
    size_t kept = from->in_len;
    if (kept > 0) memcpy(buffer, from->in, kept);
    ssize_t got = recv(from->fd, buffer + kept, sizeof buffer - kept, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) die("the server hung up");
    from->received += (uint64_t)got;
    size_t len = kept + (size_t)got, used = hears(from, buffer, len);
    from->in_len = len - used;
    if (from->in_len == sizeof buffer) die("a message is too long");
    reserve(&from->in, &from->in_cap, from->in_len);
    if (from->in_len > 0) memcpy(from->in, buffer + used, from->in_len);
}

void wires_turn(wire_hears *hears, int wait_ms) {
    struct epoll_event events[EVENTS_MAX];
    while (flush_first != NULL) {
        wire *one = flush_first;
        flush_first = one->flush_next;
        one->flushing = false;
        if (!one->wants_out) flush(one);
    }
    int count = epoll_wait(loop, events, EVENTS_MAX, wait_ms);
    for (int i = 0; i < count; i++) {
        wire *one = events[i].data.ptr;
        if ((events[i].events & EPOLLOUT) != 0) flush(one);
        if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0) hear(one, hears);
    }
}

size_t frame_next(const uint8_t *bytes, size_t len, const uint8_t **payload,
                  size_t *payload_len, unsigned *opcode) {
    if (len < 2) return 0;
    size_t head = 2, size = bytes[1] & 0x7f;
    if (size == 126) {
        if (len < 4) return 0;
        head = 4;
        size = (size_t)bytes[2] << 8 | bytes[3];
    } else if (size == 127) {
        if (len < 10) return 0;
        head = 10;
        size = 0;
        for (int i = 2; i < 10; i++) {
            size = size << 8 | bytes[i];
        }
    }
    if (len < head + size) return 0;
    *opcode = bytes[0] & 0x0f;
    *payload = bytes + head;
    *payload_len = size;
    return head + size;
}
