// slow.c - see slow.h.
#include "slow.h"

#include "t.h"

#define HELD_MAX 4096

typedef struct held {
    slow_kind kind;
    void *request;
    tm_status fail; // TM_OK: goes on to the inner store
} held;

typedef struct slow {
    tm_store base;
    tm_store *inner;
    unsigned hold, fail_kinds;
    tm_status fail;
    size_t fail_count, started[32];
    bool instant;
    held waiting[HELD_MAX], failed[HELD_MAX];
    size_t waiting_count, failed_count;
} slow;

static slow *slow_of(const tm_store *store) {
    return (slow *)(uintptr_t)store;
}

static void forward(slow *s, const held *h) {
    switch (h->kind) {
    case SLOW_APPEND:
        tm_store_append_start(s->inner, h->request);
        break;
    case SLOW_READ:
        tm_store_read_start(s->inner, h->request);
        break;
    case SLOW_LOAD:
        tm_store_load_start(s->inner, h->request);
        break;
    case SLOW_SAVE:
        tm_store_save_start(s->inner, h->request);
        break;
    case SLOW_TRIM:
        tm_store_trim_start(s->inner, h->request);
        break;
    }
    while (s->instant && tm_store_poll(s->inner) > 0) {
    }
}

static void fail_now(const held *h) {
    switch (h->kind) {
    case SLOW_APPEND: {
        tm_store_append *r = h->request;
        r->done(r, h->fail);
        break;
    }
    case SLOW_READ: {
        tm_store_read *r = h->request;
        r->done(r, h->fail, NULL, 0, false);
        break;
    }
    case SLOW_LOAD: {
        tm_store_load *r = h->request;
        r->done(r, h->fail, 0, (tm_span){NULL, 0});
        break;
    }
    case SLOW_SAVE: {
        tm_store_save *r = h->request;
        r->done(r, h->fail);
        break;
    }
    case SLOW_TRIM: {
        tm_store_trim *r = h->request;
        r->done(r, h->fail, 0);
        break;
    }
    }
}

static void start(slow *s, slow_kind kind, void *request) {
    held h = {kind, request, TM_OK};
    s->started[kind]++;
    if ((s->fail_kinds & kind) != 0 && s->fail_count > 0) {
        s->fail_count--;
        h.fail = s->fail;
        if (s->instant) {
            fail_now(&h);
            return;
        }
        T_TRUE(s->failed_count < HELD_MAX);
        s->failed[s->failed_count++] = h;
    } else if ((s->hold & kind) != 0) {
        T_TRUE(s->waiting_count < HELD_MAX);
        s->waiting[s->waiting_count++] = h;
    } else {
        forward(s, &h);
    }
}

static void slow_append(tm_store *store, tm_store_append *request) {
    start(slow_of(store), SLOW_APPEND, request);
}
static void slow_read(tm_store *store, tm_store_read *request) {
    start(slow_of(store), SLOW_READ, request);
}
static void slow_load(tm_store *store, tm_store_load *request) {
    start(slow_of(store), SLOW_LOAD, request);
}
static void slow_save(tm_store *store, tm_store_save *request) {
    start(slow_of(store), SLOW_SAVE, request);
}
static void slow_trim(tm_store *store, tm_store_trim *request) {
    start(slow_of(store), SLOW_TRIM, request);
}

static size_t slow_poll(tm_store *store) {
    slow *s = slow_of(store);
    size_t done = 0;
    while (s->failed_count > 0) {
        held h = s->failed[0];
        s->failed_count--;
        memmove(s->failed, s->failed + 1, s->failed_count * sizeof *s->failed);
        fail_now(&h);
        done++;
    }
    return done + tm_store_poll(s->inner);
}

static size_t slow_wait(tm_store *store) {
    slow *s = slow_of(store);
    slow_hold(store, 0);
    slow_release(store, s->waiting_count);
    return s->failed_count > 0 ? slow_poll(store) : tm_store_wait(s->inner);
}

static tm_status slow_lists(tm_store *store,
                            void (*each)(void *context, tm_key key, uint64_t head),
                            void *context) {
    return tm_store_lists(slow_of(store)->inner, each, context);
}

static tm_status slow_health(tm_store *store, tm_span *why) {
    return tm_store_health(slow_of(store)->inner, why);
}

static void slow_stats(tm_store *store, tm_store_stats *stats) {
    tm_store_stats_get(slow_of(store)->inner, stats);
}

static void slow_close(tm_store *store) {
    tm_store_close(slow_of(store)->inner);
    free(slow_of(store));
}

tm_store *slow_open(tm_store *inner) {
    static const tm_store_ops ops = {
        .append = slow_append,
        .read = slow_read,
        .load = slow_load,
        .save = slow_save,
        .trim = slow_trim,
        .poll = slow_poll,
        .wait = slow_wait,
        .lists = slow_lists,
        .health = slow_health,
        .stats = slow_stats,
        .close = slow_close,
    };
    slow *s = calloc(1, sizeof *s);
    s->base.ops = &ops;
    s->inner = inner;
    return &s->base;
}

void slow_hold(tm_store *store, unsigned kinds) {
    slow_of(store)->hold = kinds;
}

size_t slow_held(const tm_store *store) {
    return slow_of(store)->waiting_count;
}

void slow_release(tm_store *store, size_t count) {
    slow *s = slow_of(store);
    while (count-- > 0 && s->waiting_count > 0) {
        held h = s->waiting[0];
        s->waiting_count--;
        memmove(s->waiting, s->waiting + 1, s->waiting_count * sizeof *s->waiting);
        forward(s, &h);
    }
}

void slow_fail(tm_store *store, unsigned kinds, tm_status status, size_t count) {
    slow *s = slow_of(store);
    s->fail_kinds = kinds;
    s->fail = status;
    s->fail_count = count;
}

void slow_instant(tm_store *store, bool instant) {
    slow_of(store)->instant = instant;
}

tm_store *slow_swap(tm_store *store, tm_store *inner) {
    tm_store *before = slow_of(store)->inner;
    slow_of(store)->inner = inner;
    return before;
}

size_t slow_started(const tm_store *store, unsigned kinds) {
    const slow *s = slow_of(store);
    size_t count = 0;
    for (unsigned kind = 1; kind < 32; kind <<= 1) {
        if ((kinds & kind) != 0) count += s->started[kind];
    }
    return count;
}
