// configure.c - from configuration to a socket that listens, see inside.h.
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/inside.h"

#define BACKLOG  511
#define FDS_KEPT 64u // descriptors left to the store, the photos and the log
#define USER_MAX 128u

static void set_limits(tm_server_limits *limits) {
    struct rlimit files;
    size_t room = 1024;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        // Where the kernel sets no bound, memory does.
        room = files.rlim_cur == RLIM_INFINITY || files.rlim_cur > 1000000
                   ? 1000000
                   : (size_t)files.rlim_cur;
    }
    room = room > 2 * FDS_KEPT ? room - FDS_KEPT : FDS_KEPT;
    if (limits->connections == 0 || limits->connections > room)
        limits->connections = room;
    if (limits->queue_bytes == 0) limits->queue_bytes = (size_t)64 << 20;
    const struct {
        uint32_t *limit, usual;
    } rows[] = {
        {&limits->head_ms, 10000},  {&limits->idle_ms, 60000},
        {&limits->body_ms, 10000},  {&limits->body_rate, 4096},
        {&limits->ping_ms, 25000},  {&limits->silence_ms, 60000},
        {&limits->drain_ms, 30000}, {&limits->linger_ms, 2000},
        {&limits->stop_ms, 10000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (*rows[i].limit == 0) *rows[i].limit = rows[i].usual;
    }
}

// Writes the sentence and passes the status on.
__attribute__((format(printf, 3, 4))) static tm_status
problem_say(char problem[256], tm_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(problem, 256, format, arguments);
    va_end(arguments);
    return status;
}

static tm_status set_user(tm_server *server, char problem[256]) {
    tm_span user = server->config.user;
    bool fine = user.len > 0 && user.len <= USER_MAX;
    for (size_t i = 0; fine && i < user.len; i++) {
        if (user.ptr[i] < 0x20 || user.ptr[i] == 0x7f) fine = false;
    }
    tm_utf8 utf8 = {0};
    if (!fine || !tm_utf8_feed(&utf8, user) || !tm_utf8_done(&utf8))
        return problem_say(
            problem, TM_E_RANGE,
            "a user's name has 1 to %u bytes of UTF-8 and no control "
            "characters",
            USER_MAX);
    uint8_t *copy = tm_alloc_get(server->alloc, user.len);
    if (copy == NULL) return problem_say(problem, TM_E_NOMEM, "out of memory");
    memcpy(copy, user.ptr, user.len);
    server->user = (tm_span){copy, user.len};
    return TM_OK;
}

static tm_status set_address(tm_server *server, struct sockaddr_storage *address,
                             char problem[256]) {
    const char *text = server->config.address;
    int port = server->config.port;
    struct sockaddr_in *four = (struct sockaddr_in *)address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
    static const struct in6_addr own = IN6ADDR_LOOPBACK_INIT;
    if (text == NULL || strcmp(text, "localhost") == 0) text = "127.0.0.1";
    bool local = false;
    if (uv_ip4_addr(text, port, four) == 0) {
        local = ntohl(four->sin_addr.s_addr) >> 24 == 127;
    } else if (uv_ip6_addr(text, port, six) == 0) {
        local = memcmp(&six->sin6_addr, &own, sizeof own) == 0;
    } else {
        return problem_say(problem, TM_E_RANGE, "%.100s is no address", text);
    }
    if (!local)
        return problem_say(problem, TM_E_STATE,
                           "refusing to listen on %.60s: without tokens, whoever "
                           "reaches it would be the user; use 127.0.0.1 or ::1",
                           text);
    return TM_OK;
}

// 0 = listening, else errno.
static int listen_socket(tm_server *server,
                         const struct sockaddr_storage *address) {
    int on = 1;
    socklen_t len = address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                   : sizeof(struct sockaddr_in);
    server->listener = socket(address->ss_family, SOCK_STREAM, 0);
    if (server->listener < 0 || fcntl(server->listener, F_SETFD, FD_CLOEXEC) != 0 ||
        fcntl(server->listener, F_SETFL, O_NONBLOCK) != 0 ||
        setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) !=
            0 ||
        bind(server->listener, (const struct sockaddr *)address, len) != 0 ||
        listen(server->listener, BACKLOG) != 0)
        return errno;
    struct sockaddr_storage bound;
    len = sizeof bound;
    if (getsockname(server->listener, (struct sockaddr *)&bound, &len) != 0)
        return errno;
    // The port stands at the same place in both kinds of address.
    server->port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
    return 0;
}

static tm_status listen_on(tm_server *server, char problem[256]) {
    struct sockaddr_storage address = {0};
    tm_status status = set_address(server, &address, problem);
    if (status != TM_OK) return status;
    int error = listen_socket(server, &address);
    if (error != 0)
        return problem_say(problem, error == EADDRINUSE ? TM_E_STATE : TM_E_IO,
                           "cannot listen on %.60s port %u: %s",
                           server->config.address == NULL ? "127.0.0.1"
                                                          : server->config.address,
                           (unsigned)server->config.port, strerror(error));
    return TM_OK;
}

// The address that is listened on may be named, too: 127.0.0.2, say.
static tm_status set_own_name(tm_server *server) {
    const char *address = server->config.address;
    char origin[80];
    if (address == NULL) return TM_OK;
    bool six = strchr(address, ':') != NULL;
    int len = snprintf(origin, sizeof origin, "http://%s%.45s%s:%u", six ? "[" : "",
                       address, six ? "]" : "", (unsigned)server->port);
    return tm_access_origin_add(&server->access,
                                (tm_span){(const uint8_t *)origin, (size_t)len});
}

static tm_status set_names(tm_server *server, char problem[256]) {
    const char *const *origin = server->config.origins, *const *host =
                                                            server->config.hosts;
    tm_status status = tm_access_local(&server->access, server->port);
    if (status == TM_OK) status = set_own_name(server);
    if (status != TM_OK) return problem_say(problem, status, "out of memory");
    for (; origin != NULL && *origin != NULL; origin++) {
        tm_span text = {(const uint8_t *)*origin, strlen(*origin)};
        status = tm_access_origin_add(&server->access, text);
        if (status != TM_OK)
            return problem_say(problem, status,
                               "%.100s is no origin: write https://photos.example",
                               *origin);
    }
    for (; host != NULL && *host != NULL; host++) {
        tm_span text = {(const uint8_t *)*host, strlen(*host)};
        status = tm_access_host_add(&server->access, text);
        if (status != TM_OK)
            return problem_say(problem, status,
                               "%.100s is no host: write photos.example:8443",
                               *host);
    }
    return TM_OK;
}

static void on_photos(void *context) {
    tm_server *server = context;
    size_t count = tm_photos_count(server->photos);
    if (count != server->photos_count)
        tm_server_say(server, "photos: %zu in %.180s", count,
                      server->config.photos);
    server->photos_count = count;
    for (tm_peer *peer = server->peers, *next; peer != NULL; peer = next) {
        next = peer->next;
        tm_serve_catalogue(peer);
    }
}

static tm_status set_photos(tm_server *server, char problem[256]) {
    const char *directory = server->config.photos;
    if (directory == NULL) return TM_OK;
    tm_status status = tm_photos_new(&server->loop, server->alloc, directory,
                                     on_photos, server, &server->photos);
    if (status == TM_E_IO)
        return problem_say(problem, status, "cannot read the photos in %.100s: %s",
                           directory, strerror(errno));
    if (status != TM_OK) return problem_say(problem, status, "out of memory");
    return TM_OK;
}

static tm_status set_pages(tm_server *server, char problem[256]) {
    tm_status status =
        tm_pages_init(&server->pages, server->alloc, server->config.assets,
                      server->config.assets_count);
    if (status != TM_OK) return problem_say(problem, status, "out of memory");
    return TM_OK;
}

tm_status tm_server_configure(tm_server *server, char problem[256]) {
    set_limits(&server->limits);
    tm_status status = set_user(server, problem);
    if (status == TM_OK) status = listen_on(server, problem);
    if (status == TM_OK) status = set_names(server, problem);
    if (status == TM_OK) status = set_pages(server, problem);
    if (status == TM_OK) status = set_photos(server, problem);
    return status;
}
