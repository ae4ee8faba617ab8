// thaw.c - see thaw.h.
#include "lambda/thaw.h"

#define APART_MS                                                                   \
    1000u // two clocks of one machine may drift so far between two looks

typedef struct thaw {
    tm_http base;
    const tm_alloc *alloc;
    tm_http *inner;
    tm_now last; // as the inner one said at the last look
    uint64_t behind_ms;
} thaw;

static thaw *of(tm_http *http) {
    return (thaw *)(void *)http;
}

static void thaw_start(tm_http *http, tm_http_request *request) {
    tm_http_start(of(http)->inner, request);
}

static size_t thaw_poll(tm_http *http) {
    return tm_http_poll(of(http)->inner);
}

static bool thaw_wait(tm_http *http) {
    return tm_http_wait(of(http)->inner);
}

static void thaw_wake(tm_http *http, void (*wake)(void *context), void *context) {
    tm_http_wake(of(http)->inner, wake, context);
}

static tm_now thaw_now(tm_http *http) {
    tm_now now = tm_http_now(of(http)->inner);
    now.mono_ms += of(http)->behind_ms;
    return now;
}

static void thaw_random(tm_http *http, uint8_t *bytes, size_t len) {
    tm_http_random(of(http)->inner, bytes, len);
}

static void thaw_close(tm_http *http) {
    thaw *t = of(http);
    tm_http_close(t->inner);
    tm_alloc_put(t->alloc, t, sizeof *t);
}

static const tm_http_ops ops = {
    .start = thaw_start,
    .poll = thaw_poll,
    .wait = thaw_wait,
    .wake = thaw_wake,
    .now = thaw_now,
    .random = thaw_random,
    .close = thaw_close,
};

tm_status tm_thaw_open(const tm_alloc *alloc, tm_http *inner, tm_http **http) {
    thaw *t = tm_alloc_get(alloc, sizeof *t);
    if (t == NULL) {
        tm_http_close(inner);
        return TM_E_NOMEM;
    }
    t->base.ops = &ops;
    t->alloc = alloc;
    t->inner = inner;
    t->last = tm_http_now(inner);
    *http = &t->base;
    return TM_OK;
}

uint64_t tm_thaw_look(tm_http *http) {
    thaw *t = of(http);
    tm_now now = tm_http_now(t->inner), last = t->last;
    uint64_t mono_ms = now.mono_ms - last.mono_ms, stopped_ms = 0;
    t->last = now;
    if (now.wall_ms > last.wall_ms &&
        now.wall_ms - last.wall_ms > mono_ms + APART_MS) {
        stopped_ms = now.wall_ms - last.wall_ms - mono_ms;
    }
    t->behind_ms += stopped_ms;
    return stopped_ms;
}
