// The door to the real network: what libcurl's thread makes of a server that answers
// well, half, late, too much or not at all.
#include "store/aws_http.h"
#include "t.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

// ---- a server -----------------------------------------------------------------------

// It answers by the path, one connection after another, until it is asked for /end.
typedef struct server {
    int listener;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock; // of what follows
    size_t connections;
    char body[64]; // of the last request
} server;

static void answer(int fd, const char *text) {
    size_t len = strlen(text);
    T_EQ(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

static bool serve_one(server *s, int fd, const char *request) { // false: close
    static char large[70000];
    if (strncmp(request, "POST /well", 10) == 0) {
        answer(fd,
               "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-AMZ-CRC32: 2745614147\r\n"
               "Date: Mon, 23 Nov 2026 22:13:20 GMT\r\n"
               "\r\n{}");
        return true;
    }
    if (strncmp(request, "GET /bad", 8) == 0) {
        answer(fd, "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n"
                   "X-Amz-Crc32: nonsense\r\nDate: yesterday\r\n\r\nbad");
        return true;
    }
    if (strncmp(request, "POST /cut", 9) == 0) {
        answer(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Ite");
    } else if (strncmp(request, "POST /nothing", 13) == 0) {
        // closed without a word
    } else if (strncmp(request, "POST /large", 11) == 0) {
        memset(large, 'x', sizeof large - 1);
        answer(fd, "HTTP/1.1 200 OK\r\nContent-Length: 69999\r\n\r\n");
        (void)!send(fd, large, sizeof large - 1, MSG_NOSIGNAL);
    } else if (strncmp(request, "POST /slow", 10) == 0) {
        char byte; // until the other side has had enough
        (void)!recv(fd, &byte, 1, 0);
    } else if (strncmp(request, "POST /garbage", 13) == 0) {
        answer(fd, "\x16\x03\x01 this is no HTTP\r\n\r\n");
    }
    (void)s;
    return false;
}

static size_t
body_of(const char *request) { // its length; SIZE_MAX = head not whole
    const char *end = strstr(request, "\r\n\r\n");
    const char *length = strstr(request, "Content-Length: ");
    if (end == NULL) return SIZE_MAX;
    size_t want = length == NULL ? 0 : (size_t)strtoul(length + 16, NULL, 10);
    return strlen(end + 4) >= want ? want : SIZE_MAX;
}

static void connection_run(server *s, int fd, bool *end) {
    for (;;) {
        char request[4096] = "";
        size_t len = 0;
        while (body_of(request) == SIZE_MAX) {
            ssize_t got = recv(fd, request + len, sizeof request - 1 - len, 0);
            if (got <= 0) return;
            len += (size_t)got;
            request[len] = '\0';
        }
        (void)pthread_mutex_lock(&s->lock);
        snprintf(s->body, sizeof s->body, "%.60s", strstr(request, "\r\n\r\n") + 4);
        (void)pthread_mutex_unlock(&s->lock);
        *end = strncmp(request, "GET /end", 8) == 0;
        if (!serve_one(s, fd, request)) return;
    }
}

static void *server_run(void *context) {
    server *s = context;
    for (bool end = false; !end;) {
        int fd = accept(s->listener, NULL, NULL);
        if (fd < 0) break;
        (void)pthread_mutex_lock(&s->lock);
        s->connections++;
        (void)pthread_mutex_unlock(&s->lock);
        connection_run(s, fd, &end);
        (void)close(fd);
    }
    return NULL;
}

static void server_begin(server *s) {
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    T_EQ(pthread_mutex_init(&s->lock, NULL), 0);
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    T_EQ(bind(s->listener, (struct sockaddr *)&at, sizeof at), 0);
    T_EQ(listen(s->listener, 16), 0);
    T_EQ(getsockname(s->listener, (struct sockaddr *)&at, &len), 0);
    s->port = ntohs(at.sin_port);
    T_EQ(pthread_create(&s->thread, NULL, server_run, s), 0);
}

static size_t connections_of(server *s) {
    (void)pthread_mutex_lock(&s->lock);
    size_t count = s->connections;
    (void)pthread_mutex_unlock(&s->lock);
    return count;
}

static void body_is(server *s, const char *want) {
    char body[64];
    (void)pthread_mutex_lock(&s->lock);
    memcpy(body, s->body, sizeof body);
    (void)pthread_mutex_unlock(&s->lock);
    T_TEXT(t_str(body), want);
}

// ---- asking it ----------------------------------------------------------------------

typedef struct seen {
    bool over;
    tm_http_fate fate;
    uint32_t status, crc32;
    bool has_crc32;
    uint64_t date_ms;
    char answer[16], why[160];
} seen;

static void on_done(tm_http_request *request) {
    seen *s = request->context;
    s->over = true;
    s->fate = request->fate;
    s->status = request->status;
    s->has_crc32 = request->has_crc32;
    s->crc32 = request->crc32;
    s->date_ms = request->date_ms;
    snprintf(s->answer, sizeof s->answer, "%.*s",
             (int)(request->answer.len < 15 ? request->answer.len : 15),
             request->answer.ptr == NULL ? "" : (const char *)request->answer.ptr);
    snprintf(s->why, sizeof s->why, "%s", request->why);
}

static seen ask(tm_http *http, uint16_t port, const char *method,
                const char *path) {
    char url[64];
    seen result = {0};
    static const char *const headers[] = {"X-One: 1", NULL};
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, path);
    tm_http_request request = {.method = method,
                               .url = url,
                               .headers = headers,
                               .timeout_ms =
                                   strcmp(path, "/slow") == 0 ? 100 : 5000,
                               .answer_max = 60000,
                               .direct = true,
                               .done = on_done,
                               .context = &result};
    if (strcmp(method, "POST") == 0) request.body = t_str("{\"a\":1}");
    tm_http_start(http, &request);
    T_TRUE(!result.over); // never before its call returned
    while (!result.over) {
        T_TRUE(tm_http_wait(http));
        (void)tm_http_poll(http);
    }
    return result;
}

static const struct {
    const char *method, *path;
    tm_http_fate fate;
    uint32_t status;
    const char *answer;
    bool has_crc32;
    uint32_t crc32;
    uint64_t date_ms;
} rows[] = {
    {"POST", "/well", TM_HTTP_ANSWERED, 200, "{}", true, 2745614147u,
     UINT64_C(1795472000000)},
    {"GET", "/bad", TM_HTTP_ANSWERED, 400, "bad", true, UINT32_MAX, 0},
    {"POST", "/cut", TM_HTTP_LOST, 200, NULL, false, 0, 0},
    {"POST", "/nothing", TM_HTTP_LOST, 0, NULL, false, 0, 0},
    {"POST", "/large", TM_HTTP_LOST, 200, NULL, false, 0, 0},
    {"POST", "/slow", TM_HTTP_LOST, 0, NULL, false, 0, 0},
    {"POST", "/garbage", TM_HTTP_LOST, 0, NULL, false, 0, 0},
    {"POST", "/well", TM_HTTP_ANSWERED, 200, "{}", true, 2745614147u,
     UINT64_C(1795472000000)},
};

static void every_answer(void **state) {
    (void)state;
    server s = {0};
    tm_http *http = NULL;
    server_begin(&s);
    T_OK(tm_http_open(&http));
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].path;
        seen got = ask(http, s.port, rows[i].method, rows[i].path);
        T_EQ(got.fate, rows[i].fate);
        T_EQ(got.status, rows[i].status);
        if (rows[i].answer != NULL) T_TEXT(t_str(got.answer), rows[i].answer);
        if (got.fate == TM_HTTP_ANSWERED) {
            T_EQ(got.has_crc32, rows[i].has_crc32);
            T_EQ(got.crc32, rows[i].crc32);
            T_EQ(got.date_ms, rows[i].date_ms);
        } else {
            T_TRUE(got.why[0] != '\0');
        }
        if (strcmp(rows[i].method, "POST") == 0) body_is(&s, "{\"a\":1}");
    }
    size_t before = connections_of(&s);
    for (int i = 0; i < 5; i++) {
        (void)ask(http, s.port, "POST", "/well");
    }
    T_EQ(connections_of(&s), before); // the connection was kept
    (void)ask(http, s.port, "GET", "/end");
    T_EQ(pthread_join(s.thread, NULL), 0);
    T_EQ(close(s.listener), 0);
    t_row = "nobody listens";
    seen got = ask(http, s.port, "POST", "/well");
    T_EQ(got.fate, TM_HTTP_UNSENT);
    T_TRUE(!tm_http_wait(http)); // nothing is under way
    tm_http_close(http);
}

static char order[8];

static void on_timer(tm_http_request *request) {
    size_t len = strlen(order);
    order[len] = *(const char *)request->context;
}

static void on_wake(void *context) {
    __atomic_add_fetch((int *)context, 1, __ATOMIC_SEQ_CST);
}

static void timers_ring_in_their_order(void **state) {
    (void)state;
    tm_http *http = NULL;
    T_OK(tm_http_open(&http));
    int wakes = 0;
    tm_http_wake(http, on_wake, &wakes);
    tm_http_request timers[] = {
        {.delay_ms = 30, .done = on_timer, .context = (void *)(uintptr_t) "c"},
        {.delay_ms = 1, .done = on_timer, .context = (void *)(uintptr_t) "a"},
        {.delay_ms = 15, .done = on_timer, .context = (void *)(uintptr_t) "b"},
        {.delay_ms = 3600000,
         .done = on_timer,
         .context = (void *)(uintptr_t) "d"}};
    for (size_t i = 0; i < COUNT(timers); i++) {
        tm_http_start(http, &timers[i]);
    }
    while (strlen(order) < 3) {
        T_TRUE(tm_http_wait(http));
        (void)tm_http_poll(http);
    }
    T_TEXT(t_str(order), "abc");
    tm_http_close(http); // with one under way: it is dropped
    T_EQ(__atomic_load_n(&wakes, __ATOMIC_SEQ_CST), 3); // the last may come late
    T_TEXT(t_str(order), "abc");
    tm_http_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer),
        cmocka_unit_test(timers_ring_in_their_order),
    };
    return cmocka_run_group_tests_name("the door", tests, NULL, NULL);
}
