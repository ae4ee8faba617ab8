// daemon.c - see daemon.h.
#include "daemon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "net/websocket.h"
#include "store/memory.h"

#define WAIT_S 10

size_t daemon_fail_at;
void (*daemon_store_change)(tm_store *store);

static void random_fill(void *context, uint8_t *to, size_t len) {
    static uint8_t next = 1;
    (void)context;
    for (size_t i = 0; i < len; i++)
        to[i] = next++;
}

static void *serve(void *context) {
    daemon *of = context;
    tm_server_run(of->server);
    return NULL;
}

void daemon_start(daemon *of, const tm_server_config *options) {
    *of = (daemon){0};
    of->memory.fail_at = daemon_fail_at;
    of->alloc = t_alloc(&of->memory);
    T_OK(tm_memory_open(&of->alloc, &of->store));
    if (daemon_store_change != NULL) daemon_store_change(of->store);
    tm_service_config service = {
        .alloc = &of->alloc, .store = of->store, .random = random_fill};
    T_OK(tm_service_new(&service, &of->service));
    tm_server_config config = {0};
    if (options != NULL) config = *options;
    config.alloc = &of->alloc;
    config.service = of->service;
    config.store = of->store;
    if (config.address == NULL) config.address = "127.0.0.1";
    config.user = t_str("tester");
    char problem[256] = "";
    tm_status status = tm_server_new(&config, &of->server, problem);
    if (status != TM_OK) fail_msg("no server: %s", problem);
    of->port = tm_server_port(of->server);
    snprintf(of->host, sizeof of->host, "127.0.0.1:%u", of->port);
    of->started = of->memory.requests;
    T_EQ(pthread_create(&of->thread, NULL, serve, of), 0);
}

void daemon_join(daemon *of) {
    T_EQ(pthread_join(of->thread, NULL), 0);
    T_TRUE(tm_service_idle(of->service));
    tm_service_free(of->service);
    tm_store_close(of->store);
    tm_server_free(of->server);
    T_EQ(of->memory.live, 0);
}

void daemon_stop(daemon *of) {
    tm_server_stop(of->server);
    daemon_join(of);
}

void wire_open(wire *to, const daemon *with) {
    wire_open_at(to, with, INADDR_LOOPBACK);
}

void wire_open_at(wire *to, const daemon *with, uint32_t host) {
    *to = (wire){.with = with, .fd = socket(AF_INET, SOCK_STREAM, 0)};
    T_TRUE(to->fd >= 0);
    struct timeval wait = {.tv_sec = WAIT_S};
    int one = 1;
    T_EQ(setsockopt(to->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
    T_EQ(setsockopt(to->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait), 0);
    T_EQ(setsockopt(to->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(with->port),
                                  .sin_addr.s_addr = htonl(host)};
    T_EQ(connect(to->fd, (const struct sockaddr *)&address, sizeof address), 0);
}

void wire_close(wire *of) {
    if (of->fd >= 0) (void)close(of->fd);
    bytes_free(&of->in);
    of->fd = -1;
}

bool wire_say(wire *to, const void *data, size_t len) {
    const uint8_t *at = data;
    while (len > 0) {
        ssize_t sent = send(to->fd, at, len, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        at += sent;
        len -= (size_t)sent;
    }
    return true;
}

static void expand(const wire *to, const char *text, t_bytes *out) {
    for (; *text != 0; text++) {
        if (*text == '@') {
            bytes_put(out, to->with->host, strlen(to->with->host));
        } else {
            bytes_put(out, text, 1);
        }
    }
}

void wire_text(wire *to, const char *text) {
    t_bytes out = {0};
    expand(to, text, &out);
    (void)wire_say(to, out.ptr, out.len);
    bytes_free(&out);
}

void wire_drip(wire *to, const char *text) {
    t_bytes out = {0};
    expand(to, text, &out);
    for (size_t i = 0; i < out.len; i++) {
        if (!wire_say(to, out.ptr + i, 1)) break;
    }
    bytes_free(&out);
}

// Reads some more. False = the end, or a reset.
static bool more(wire *from) {
    uint8_t data[65536];
    ssize_t got = recv(from->fd, data, sizeof data, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        fail_msg("[%s] nothing came for %d s", t_row, WAIT_S);
    if (got <= 0) return false;
    bytes_put(&from->in, data, (size_t)got);
    return true;
}

static bool have(wire *from, size_t len) {
    while (from->in.len - from->at < len) {
        if (!more(from)) return false;
    }
    return true;
}

bool wire_ends(wire *of) {
    return of->at == of->in.len && !more(of);
}

static bool read_head(wire *from, answer *to) {
    for (;;) {
        size_t len = from->in.len - from->at;
        const char *begin = (const char *)from->in.ptr + from->at;
        for (size_t i = 3; i < len; i++) {
            if (memcmp(begin + i - 3, "\r\n\r\n", 4) != 0) continue;
            T_TRUE(i + 1 < sizeof to->head);
            memcpy(to->head, begin, i + 1);
            to->head[i + 1] = 0;
            from->at += i + 1;
            return true;
        }
        if (!more(from)) return false;
    }
}

const char *answer_field(const answer *of, const char *name) {
    static char value[1024];
    size_t len = strlen(name);
    value[0] = 0;
    for (const char *line = strstr(of->head, "\r\n"); line != NULL;
         line = strstr(line + 2, "\r\n")) {
        if (strncmp(line + 2, name, len) != 0 || line[2 + len] != ':') continue;
        const char *from = line + 2 + len + 2, *end = strstr(from, "\r\n");
        T_TRUE((size_t)(end - from) < sizeof value);
        memcpy(value, from, (size_t)(end - from));
        value[end - from] = 0;
    }
    return value;
}

void wire_answer(wire *from, answer *to, bool bodiless) {
    *to = (answer){0};
    if (!read_head(from, to)) return;
    T_EQ(sscanf(to->head, "HTTP/1.1 %u ", &to->status), 1);
    if (to->status == 100 || to->status == 101 || to->status == 204 ||
        to->status == 304)
        return;
    const char *length = answer_field(to, "Content-Length");
    T_TRUE(length[0] != 0);
    size_t len = bodiless ? 0 : strtoul(length, NULL, 10);
    if (!have(from, len)) fail_msg("[%s] the body is cut off", t_row);
    bytes_put(&to->body, from->in.ptr + from->at, len);
    bytes_put(&to->body, "", 1); // so that it is a string
    to->body.len--;
    from->at += len;
}

unsigned wire_status(wire *from) {
    answer one;
    wire_answer(from, &one, false);
    bytes_free(&one.body);
    return one.status;
}

unsigned ask_status(const daemon *with, const char *text) {
    wire one;
    wire_open(&one, with);
    wire_text(&one, text);
    unsigned status = wire_status(&one);
    wire_close(&one);
    return status;
}

void socket_open(wire *to, const daemon *with) {
    wire_open(to, with);
    wire_text(to, WS_HEAD "\r\n");
    T_EQ(wire_status(to), 101);
}

void socket_say(wire *to, const char *words) {
    t_bytes out = {0};
    frames_client(words, &out);
    (void)wire_say(to, out.ptr, out.len);
    bytes_free(&out);
}

bool socket_hear(wire *from, frame *to) {
    *to = (frame){0};
    if (!have(from, 2)) return false;
    const uint8_t *head = from->in.ptr + from->at;
    T_EQ(head[0] & 0xf0, 0x80); // final, nothing reserved
    T_EQ(head[1] & 0x80, 0);    // a server masks nothing
    to->opcode = head[0] & 0x0f;
    size_t len = head[1] & 0x7f, size = len == 126 ? 4 : len == 127 ? 10 : 2;
    if (!have(from, size)) return false;
    head = from->in.ptr + from->at;
    if (size > 2) len = 0;
    for (size_t i = 2; i < size; i++)
        len = len << 8 | head[i];
    if (!have(from, size + len)) return false;
    bytes_put(&to->payload, from->in.ptr + from->at + size, len);
    bytes_put(&to->payload, "", 1); // so that text is a string
    to->payload.len--;
    from->at += size + len;
    return true;
}

const char *socket_hear_text(wire *from, const char *word) {
    static t_bytes text;
    frame one;
    while (socket_hear(from, &one)) {
        bool found = one.opcode == TM_WS_OP_TEXT &&
                     strstr((const char *)one.payload.ptr, word) != NULL;
        if (one.opcode == TM_WS_OP_PING) socket_say(from, "pong");
        if (found) {
            bytes_free(&text);
            text = one.payload;
            return (const char *)text.ptr;
        }
        bytes_free(&one.payload);
    }
    fail_msg("[%s] no %s came", t_row, word);
    return NULL;
}

unsigned socket_hear_close(wire *from) {
    frame one;
    while (socket_hear(from, &one)) {
        unsigned code =
            one.payload.len < 2
                ? TM_WS_NO_CODE
                : (unsigned)(one.payload.ptr[0] << 8 | one.payload.ptr[1]);
        bytes_free(&one.payload);
        if (one.opcode == TM_WS_OP_CLOSE) return code;
    }
    return 0;
}
