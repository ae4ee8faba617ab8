// Any bytes as a whole conversation with the daemon, through its loop and a real socket:
// requests, bodies, an upgrade and frames behind it. Byte 0 chooses the cuts; the same
// bytes are also sent in one piece, to a daemon that knows as little, and must be answered
// by the same statuses and closed alike. What comes back must be HTTP, then frames.
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "net/inside.h"
#include "store/memory.h"

#define SAID_MAX   (4u << 20)
#define PIECES_MAX 40u
#define TAIL       24u // bytes at the end that come one by one

static const char *const hosts[] = {"h", NULL};
static const char *const origins[] = {"http://h", NULL};
static const uint8_t page[] = "<p>";
static const tm_asset assets[] = {
    {"/index.html", "text/html", page, 3, 3, false},
    {"/zipped", "text/plain", page, 3, 9, true},
};

typedef struct daemon {
    tm_alloc alloc;
    tm_store *store;
    tm_service *service;
    tm_server *server;
} daemon;

static void fill(void *context, uint8_t *bytes, size_t len) {
    (void)context;
    memset(bytes, 7, len);
}

static void parts_open(daemon *d) {
    tm_service_config config = {.alloc = &d->alloc, .random = fill};
    TM_ASSERT(tm_memory_open(&d->alloc, &d->store) == TM_OK);
    config.store = d->store;
    TM_ASSERT(tm_service_new(&config, &d->service) == TM_OK);
}

static void parts_close(daemon *d) {
    tm_effect effect;
    for (int i = 0; i < 1000 && !tm_service_idle(d->service); i++) {
        while (tm_service_effect(d->service, &effect)) {
            if (effect.frame != NULL) tm_frame_release(d->service, effect.frame);
        }
        (void)tm_store_poll(d->store);
    }
    TM_ASSERT(tm_service_idle(d->service));
    while (tm_service_effect(d->service, &effect)) {
        if (effect.frame != NULL) tm_frame_release(d->service, effect.frame);
    }
    tm_service_free(d->service);
    tm_store_close(d->store);
}

// One daemon serves all inputs; each gets a service and a store of its own.
static daemon *started(void) {
    static daemon d;
    if (d.server != NULL) return &d;
    char problem[256];
    d.alloc = fuzz_alloc();
    parts_open(&d);
    tm_server_config config = {.alloc = &d.alloc,
                               .service = d.service,
                               .store = d.store,
                               .address = "127.0.0.1",
                               .user = {(const uint8_t *)"ann", 3},
                               .hosts = hosts,
                               .origins = origins,
                               .assets = assets,
                               .assets_count = 2,
                               .limits = {.linger_ms = 1}};
    TM_ASSERT(tm_server_new(&config, &d.server, problem) == TM_OK);
    return &d;
}

static void renew(daemon *d) {
    TM_ASSERT(d->server->peers == NULL);
    void (*wake)(void *) = d->store->wake;
    parts_close(d);
    parts_open(d);
    d->server->service = d->service;
    d->server->store = d->store;
    d->store->wake = wake;
    d->store->wake_context = d->server;
}

// ---- one conversation ---------------------------------------------------------------

typedef struct said {
    size_t len;
    bool closed;
    uint8_t bytes[SAID_MAX];
} said;

static bool hear(int fd, said *to) {
    bool any = false;
    for (;;) {
        TM_ASSERT(to->len < SAID_MAX);
        ssize_t got =
            recv(fd, to->bytes + to->len, SAID_MAX - to->len, MSG_DONTWAIT);
        if (got > 0) {
            to->len += (size_t)got;
            any = true;
            continue;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) to->closed = true;
        return any;
    }
}

// Turns of the loop until two in a row bring nothing.
static void turn(daemon *d, int fd, said *to) {
    for (int quiet = 0, turns = 0; quiet < 2; turns++) {
        TM_ASSERT(turns < 20000);
        (void)uv_run(&d->server->loop, UV_RUN_NOWAIT);
        size_t told = tm_store_poll(d->store);
        quiet = hear(fd, to) || told > 0 ? 0 : quiet + 1;
    }
}

static void talk(daemon *d, const uint8_t *bytes, size_t size, size_t step,
                 said *to) {
    int ends[2];
    to->len = 0;
    to->closed = false;
    TM_ASSERT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    tm_peer_new(d->server, ends[0]);
    for (size_t at = 0; at < size && !to->closed;) {
        size_t len = size - at < step ? size - at : step;
        if (step < size && size - at <= TAIL) len = 1;
        ssize_t sent = send(ends[1], bytes + at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) break; // it does not read any more
        at += (size_t)sent;
        turn(d, ends[1], to);
    }
    (void)shutdown(ends[1], SHUT_WR);
    turn(d, ends[1], to);
    (void)close(ends[1]);
    for (int turns = 0; turns < 3; turns++) {
        (void)uv_run(&d->server->loop, UV_RUN_NOWAIT);
        (void)tm_store_poll(d->store);
    }
    // One that waits (a long poll, its linger) is cut off as it is.
    if (d->server->peers != NULL) tm_peer_cut(d->server->peers);
    for (int turns = 0; d->server->peers != NULL; turns++) {
        TM_ASSERT(turns < 100);
        (void)uv_run(&d->server->loop, UV_RUN_NOWAIT);
    }
}

// ---- what came back -----------------------------------------------------------------

typedef struct heard {
    size_t count;
    uint32_t status[4096];
    bool upgraded;
} heard;

static bool starts(const uint8_t *at, const uint8_t *end, const char *text) {
    size_t len = strlen(text);
    return (size_t)(end - at) >= len && memcmp(at, text, len) == 0;
}

static const uint8_t *line_end(const uint8_t *at, const uint8_t *end) {
    for (; end - at >= 2; at++) {
        if (at[0] == '\r' && at[1] == '\n') return at;
        TM_ASSERT(at[0] >= 0x20 && at[0] != 0x7f);
    }
    return NULL;
}

// One answer; NULL: it was cut off.
static const uint8_t *answer_read(const uint8_t *at, const uint8_t *end, heard *to,
                                  bool bodiless) {
    uint64_t length = 0;
    bool lengthy = false;
    const uint8_t *line = line_end(at, end);
    if (line == NULL) return NULL;
    TM_ASSERT(starts(at, end, "HTTP/1.1 ") && line - at >= 13);
    uint32_t status = 0;
    for (int i = 9; i < 12; i++) {
        TM_ASSERT(at[i] >= '0' && at[i] <= '9');
        status = status * 10 + (uint32_t)(at[i] - '0');
    }
    TM_ASSERT(to->count < sizeof to->status / sizeof to->status[0]);
    to->status[to->count++] = status;
    for (at = line + 2; (line = line_end(at, end)) != at; at = line + 2) {
        if (line == NULL) return NULL;
        TM_ASSERT(memchr(at, ':', (size_t)(line - at)) != NULL);
        if (!starts(at, end, "Content-Length: ")) continue;
        TM_ASSERT(!lengthy);
        lengthy = true;
        for (const uint8_t *digit = at + 16; digit < line; digit++) {
            TM_ASSERT(*digit >= '0' && *digit <= '9');
            length = length * 10 + (uint64_t)(*digit - '0');
        }
    }
    at += 2;
    to->upgraded = status == 101;
    if (bodiless || status == 304 || status < 200) return at;
    if (!lengthy) TM_ASSERT(status == 204);
    return (uint64_t)(end - at) < length ? NULL : at + length;
}

// Frames of a server: not masked, whole, nothing behind a close.
static void frames_read(const uint8_t *at, const uint8_t *end) {
    while (end - at >= 2) {
        TM_ASSERT((at[0] & 0x70) == 0 && (at[1] & 0x80) == 0);
        uint8_t code = at[0] & 0x0f;
        TM_ASSERT(code == 1 || code == 8 || code == 9 || code == 10);
        uint64_t len = at[1] & 0x7f;
        size_t more = len == 126 ? 2 : len == 127 ? 8 : 0;
        TM_ASSERT(more == 0 || code == 1);
        if ((size_t)(end - at) < 2 + more) return;
        at += 2;
        if (more > 0) len = 0;
        for (size_t i = 0; i < more; i++) {
            len = len << 8 | *at++;
        }
        if ((uint64_t)(end - at) < len) return;
        at += len;
        if (code == 8) TM_ASSERT(at == end);
    }
}

static void judge(const said *what, heard *to) {
    const uint8_t *at = what->bytes, *end = at + what->len;
    to->count = 0;
    to->upgraded = false;
    while (at != NULL && at < end && !to->upgraded) {
        const uint8_t *from = at;
        at = answer_read(from, end, to, false);
        // The answer to a HEAD has a length and no body: then the next begins at once.
        bool next = at != NULL && (at == end || starts(at, end, "HTTP/1.1 "));
        if (next || to->upgraded) continue;
        to->count--;
        at = answer_read(from, end, to, true);
        TM_ASSERT(at == NULL || at == end || starts(at, end, "HTTP/1.1 "));
    }
    if (to->upgraded) frames_read(at, end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static said whole, cut;
    static heard first, second;
    if (size < 2) return 0;
    size_t step = 1u + data[0] % 61u;
    data++;
    size--;
    if (size / step > PIECES_MAX) step = size / PIECES_MAX + 1;
    daemon *d = started();
    renew(d);
    talk(d, data, size, size, &whole);
    judge(&whole, &first);
    renew(d);
    talk(d, data, size, step, &cut);
    judge(&cut, &second);
    TM_ASSERT(first.count == second.count && first.upgraded == second.upgraded);
    for (size_t i = 0; i < first.count; i++) {
        TM_ASSERT(first.status[i] == second.status[i]);
    }
    return 0;
}
