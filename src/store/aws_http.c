// aws_http.c - see aws_http.h: libcurl's multi interface on one thread.
//
// Requests wait in `fresh` for the thread, then in `timers` until they are due, then in
// `ready` while too many are under way, then libcurl has them; those that are over wait in
// `over` for poll. `fresh`, `over` and the wake are under the lock; all else is the
// thread's.
#include "store/aws_http.h"

#include <curl/curl.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define UNDER_WAY_MAX  64   // connections, and requests at once
#define CONNECT_MS     3000 // to a region nearby, with its TLS handshake
#define IDLE_MAX_S     50   // DynamoDB cuts an idle connection somewhat later
#define TIMEOUT_IDLE   60000
#define ANSWER_CAP_MIN 4096u

typedef struct queue {
    tm_http_request *first, *last;
} queue;

typedef struct door {
    tm_http base;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    queue fresh, over;
    size_t outstanding; // started, their done not yet called
    bool stop;
    void (*wake)(void *context);
    void *wake_context;

    CURLM *multi;
    queue ready;
    tm_http_request *timers;    // by due_ms
    tm_http_request *under_way; // libcurl has them
    size_t under_way_count;
} door;

// What a request has while libcurl has it, and what of it is lent to `done`.
typedef struct transfer {
    CURL *easy;
    struct curl_slist *headers;
    uint8_t *answer;
    size_t len, cap;
    bool too_large;
    char why[CURL_ERROR_SIZE];
} transfer;

static void push(queue *to, tm_http_request *request) {
    request->next = NULL;
    if (to->last == NULL) {
        to->first = request;
    } else {
        to->last->next = request;
    }
    to->last = request;
}

static tm_http_request *pop(queue *from) {
    tm_http_request *request = from->first;
    if (request == NULL) return NULL;
    from->first = request->next;
    if (from->first == NULL) from->last = NULL;
    return request;
}

static uint64_t clock_ms(clockid_t clock) {
    struct timespec at;
    (void)clock_gettime(clock, &at);
    return (uint64_t)at.tv_sec * 1000 + (uint64_t)at.tv_nsec / 1000000;
}

// ---- one transfer -------------------------------------------------------------------

static void transfer_free(transfer *t) {
    if (t == NULL) return;
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    free(t->answer);
    free(t);
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context) {
    tm_http_request *request = context;
    transfer *t = request->place;
    size_t len = size * count;
    t->too_large = len > request->answer_max - t->len;
    if (t->too_large) return 0;
    if (t->cap - t->len < len) {
        size_t cap = t->cap < ANSWER_CAP_MIN ? ANSWER_CAP_MIN : t->cap;
        while (cap - t->len < len) {
            cap *= 2;
        }
        uint8_t *moved = realloc(t->answer, cap);
        if (moved == NULL) return 0;
        t->answer = moved;
        t->cap = cap;
    }
    if (len > 0) memcpy(t->answer + t->len, bytes, len);
    t->len += len;
    return len;
}

// The value of this header, if the line is it: without the space around, NUL-terminated,
// empty if it is longer than any of ours. false: it is another.
static bool value_of(const char *line, size_t len, const char *name,
                     char value[64]) {
    size_t at = strlen(name);
    for (size_t i = 0; i < at; i++) {
        if (i >= len || (line[i] | 0x20) != (name[i] | 0x20)) return false;
    }
    while (at < len && line[at] == ' ') {
        at++;
    }
    while (len > at && (line[len - 1] == '\r' || line[len - 1] == '\n')) {
        len--;
    }
    size_t count = len - at < 64 ? len - at : 0;
    if (count > 0) memcpy(value, line + at, count);
    value[count] = '\0';
    return true;
}

static void sum_take(tm_http_request *request, const char *value) {
    uint64_t sum = 0;
    size_t digits = 0;
    for (; value[digits] >= '0' && value[digits] <= '9' && digits < 10; digits++) {
        sum = sum * 10 + (uint64_t)(value[digits] - '0');
    }
    request->has_crc32 = true; // one that cannot be read equals no sum
    request->crc32 = digits > 0 && sum <= UINT32_MAX ? (uint32_t)sum : ~0u;
}

static size_t on_header(char *line, size_t size, size_t count, void *context) {
    tm_http_request *request = context;
    char value[64];
    if (value_of(line, size * count, "x-amz-crc32:", value)) {
        sum_take(request, value);
    } else if (value_of(line, size * count, "date:", value)) {
        time_t date = curl_getdate(value, NULL);
        request->date_ms = date > 0 ? (uint64_t)date * 1000 : 0;
    }
    return size * count;
}

static bool headers_set(transfer *t, const tm_http_request *request) {
    for (const char *const *line = request->headers; line != NULL && *line != NULL;
         line++) {
        struct curl_slist *longer = curl_slist_append(t->headers, *line);
        if (longer == NULL) return false;
        t->headers = longer;
    }
    // Not waited for, and not what was signed.
    struct curl_slist *longer = curl_slist_append(t->headers, "Expect:");
    if (longer == NULL) return false;
    t->headers = longer;
    return true;
}

static void options_set(transfer *t, tm_http_request *request) {
    CURL *easy = t->easy;
    (void)curl_easy_setopt(easy, CURLOPT_URL, request->url);
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->why);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                           (long)(request->timeout_ms < CONNECT_MS
                                      ? request->timeout_ms
                                      : CONNECT_MS));
    (void)curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_MAX_S);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    // Whom to trust is the machine's to say, and libcurl's own idea of where it says so is
    // that of the machine it was built on. The name is AWS's.
    const char *trusted = getenv("AWS_CA_BUNDLE");
    if (trusted != NULL && trusted[0] != '\0') {
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, trusted);
    }
    if (request->direct) (void)curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    if (strcmp(request->method, "GET") == 0) return;
    (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                           (curl_off_t)request->body.len);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                           request->body.len > 0 ? (const char *)request->body.ptr
                                                 : "");
}

static bool transfer_begin(door *d, tm_http_request *request) {
    transfer *t = calloc(1, sizeof *t);
    if (t == NULL) return false;
    request->place = t;
    t->easy = curl_easy_init();
    if (t->easy == NULL || !headers_set(t, request)) return false;
    options_set(t, request);
    if (curl_multi_add_handle(d->multi, t->easy) != CURLM_OK) return false;
    request->next = d->under_way;
    d->under_way = request;
    d->under_way_count++;
    return true;
}

static void transfer_end(door *d, tm_http_request *request) {
    transfer *t = request->place;
    tm_http_request **at = &d->under_way;
    while (*at != request) {
        at = &(*at)->next;
    }
    *at = request->next;
    d->under_way_count--;
    (void)curl_multi_remove_handle(d->multi, t->easy);
}

// What became of it. A request of which nothing left, not even on a connection that died
// and was replaced without our knowledge, was certainly not done.
static void verdict(tm_http_request *request, CURLcode code) {
    transfer *t = request->place;
    long status = 0, sent = 0;
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &sent);
    request->status = status > 0 ? (uint32_t)status : 0;
    request->answer = (tm_span){t->answer, t->len};
    request->fate = TM_HTTP_ANSWERED;
    request->why = "";
    if (code == CURLE_OK) return;
    request->fate = sent == 0 ? TM_HTTP_UNSENT : TM_HTTP_LOST;
    request->why = t->too_large        ? "the answer is larger than it may be"
                   : t->why[0] != '\0' ? t->why
                                       : curl_easy_strerror(code);
}

// ---- the thread ---------------------------------------------------------------------

static void over(door *d, tm_http_request *request) {
    (void)pthread_mutex_lock(&d->lock);
    push(&d->over, request);
    void (*wake)(void *context) = d->wake;
    void *context = d->wake_context;
    (void)pthread_cond_signal(&d->changed);
    (void)pthread_mutex_unlock(&d->lock);
    if (wake != NULL) wake(context);
}

static void timer_add(door *d, tm_http_request *request) {
    tm_http_request **at = &d->timers;
    while (*at != NULL && (*at)->due_ms <= request->due_ms) {
        at = &(*at)->next;
    }
    request->next = *at;
    *at = request;
}

static void begin(door *d, tm_http_request *request) {
    if (transfer_begin(d, request)) return;
    transfer_free(request->place);
    request->place = NULL;
    request->fate = TM_HTTP_UNSENT;
    request->why = "out of memory";
    over(d, request);
}

static void due_look(door *d) {
    uint64_t now_ms = clock_ms(CLOCK_MONOTONIC);
    while (d->timers != NULL && d->timers->due_ms <= now_ms) {
        tm_http_request *request = d->timers;
        d->timers = request->next;
        if (request->url == NULL) {
            over(d, request);
        } else {
            push(&d->ready, request);
        }
    }
    while (d->under_way_count < UNDER_WAY_MAX && d->ready.first != NULL) {
        begin(d, pop(&d->ready));
    }
}

static void over_look(door *d) {
    int left;
    for (CURLMsg *said; (said = curl_multi_info_read(d->multi, &left)) != NULL;) {
        if (said->msg != CURLMSG_DONE) continue;
        char *mine = NULL;
        CURLcode code = said->data.result;
        CURL *easy = said->easy_handle;
        (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &mine);
        tm_http_request *request = (tm_http_request *)(void *)mine;
        verdict(request, code);
        transfer_end(d, request);
        over(d, request);
    }
}

static bool fresh_take(door *d) { // false: it is time to end
    (void)pthread_mutex_lock(&d->lock);
    queue fresh = d->fresh;
    d->fresh = (queue){NULL, NULL};
    bool stop = d->stop;
    (void)pthread_mutex_unlock(&d->lock);
    for (tm_http_request *request; (request = pop(&fresh)) != NULL;) {
        timer_add(d, request);
    }
    return !stop;
}

static int pause_ms(const door *d) {
    if (d->timers == NULL) return TIMEOUT_IDLE;
    uint64_t now_ms = clock_ms(CLOCK_MONOTONIC), due_ms = d->timers->due_ms;
    uint64_t left = due_ms <= now_ms ? 0 : due_ms - now_ms;
    return left > TIMEOUT_IDLE ? TIMEOUT_IDLE : (int)left;
}

static void *door_run(void *context) {
    door *d = context;
    int running;
    while (fresh_take(d)) {
        due_look(d);
        (void)curl_multi_perform(d->multi, &running);
        over_look(d);
        due_look(d);
        (void)curl_multi_poll(d->multi, NULL, 0, pause_ms(d), NULL);
    }
    return NULL;
}

// ---- the owner's side ---------------------------------------------------------------

static void door_start(tm_http *http, tm_http_request *request) {
    door *d = (door *)(void *)http;
    request->due_ms = clock_ms(CLOCK_MONOTONIC) + request->delay_ms;
    request->fate = TM_HTTP_ANSWERED;
    request->status = 0;
    request->answer = (tm_span){NULL, 0};
    request->has_crc32 = false;
    request->date_ms = 0;
    request->why = "";
    request->place = NULL;
    (void)pthread_mutex_lock(&d->lock);
    push(&d->fresh, request);
    d->outstanding++;
    (void)pthread_mutex_unlock(&d->lock);
    (void)curl_multi_wakeup(d->multi);
}

static size_t door_poll(tm_http *http) {
    door *d = (door *)(void *)http;
    (void)pthread_mutex_lock(&d->lock);
    queue over = d->over;
    d->over = (queue){NULL, NULL};
    size_t count = 0;
    for (tm_http_request *one = over.first; one != NULL; one = one->next) {
        count++;
    }
    d->outstanding -= count;
    (void)pthread_mutex_unlock(&d->lock);
    for (tm_http_request *request; (request = pop(&over)) != NULL;) {
        transfer *lent = request->place;
        request->done(request);
        transfer_free(lent);
    }
    return count;
}

static bool door_wait(tm_http *http) {
    door *d = (door *)(void *)http;
    (void)pthread_mutex_lock(&d->lock);
    while (d->over.first == NULL && d->outstanding > 0) {
        (void)pthread_cond_wait(&d->changed, &d->lock);
    }
    bool something = d->over.first != NULL;
    (void)pthread_mutex_unlock(&d->lock);
    return something;
}

static void door_wake(tm_http *http, void (*wake)(void *context), void *context) {
    door *d = (door *)(void *)http;
    (void)pthread_mutex_lock(&d->lock);
    d->wake = wake;
    d->wake_context = context;
    (void)pthread_mutex_unlock(&d->lock);
}

static tm_now door_now(tm_http *http) {
    (void)http;
    return (tm_now){clock_ms(CLOCK_REALTIME), clock_ms(CLOCK_MONOTONIC)};
}

static void door_random(tm_http *http, uint8_t *bytes, size_t len) {
    (void)http;
    TM_ASSERT(len <= INT32_MAX);
    int fine = RAND_bytes(bytes, (int)len);
    TM_ASSERT(fine == 1);
}

static void door_close(tm_http *http) {
    door *d = (door *)(void *)http;
    (void)pthread_mutex_lock(&d->lock);
    d->stop = true;
    (void)pthread_mutex_unlock(&d->lock);
    (void)curl_multi_wakeup(d->multi);
    (void)pthread_join(d->thread, NULL);
    for (tm_http_request *one; (one = pop(&d->over)) != NULL;) {
        transfer_free(one->place);
    }
    while (d->under_way != NULL) {
        transfer *t = d->under_way->place;
        transfer_end(d, d->under_way);
        transfer_free(t);
    }
    (void)curl_multi_cleanup(d->multi);
    (void)pthread_cond_destroy(&d->changed);
    (void)pthread_mutex_destroy(&d->lock);
    free(d);
}

static const tm_http_ops door_ops = {
    .start = door_start,
    .poll = door_poll,
    .wait = door_wait,
    .wake = door_wake,
    .now = door_now,
    .random = door_random,
    .close = door_close,
};

static void library_begin(void) {
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool thread_begin(door *d) {
    sigset_t all, before; // signals are the loop's
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool fine = pthread_create(&d->thread, NULL, door_run, d) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return fine;
}

tm_status tm_http_open(tm_http **http) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, library_begin);
    door *d = calloc(1, sizeof *d);
    if (d == NULL) return TM_E_NOMEM;
    d->base.ops = &door_ops;
    (void)pthread_mutex_init(&d->lock, NULL);
    (void)pthread_cond_init(&d->changed, NULL);
    d->multi = curl_multi_init();
    if (d->multi != NULL) {
        (void)curl_multi_setopt(d->multi, CURLMOPT_MAXCONNECTS,
                                (long)UNDER_WAY_MAX);
        if (thread_begin(d)) {
            *http = &d->base;
            return TM_OK;
        }
        (void)curl_multi_cleanup(d->multi);
    }
    (void)pthread_cond_destroy(&d->changed);
    (void)pthread_mutex_destroy(&d->lock);
    free(d);
    return TM_E_NOMEM;
}
