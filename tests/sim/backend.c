// backend.c - see backend.h.
#include "sim/backend.h"

#include "store/memory.h"
#include "t.h"

typedef struct stores {
    tm_store base; // what lies, in front of `durable`
    backend_lie lie;
    tm_alloc alloc;
    t_memory memory;
    tm_store *durable, *backup;
} stores;

static void lying_append(tm_store *store, tm_store_append *request) {
    (void)store;
    request->done(request, TM_OK);
}

static void lying_read(tm_store *store, tm_store_read *request) {
    tm_store_read_start(((stores *)(void *)store)->durable, request);
}

static void lying_load(tm_store *store, tm_store_load *request) {
    tm_store_load_start(((stores *)(void *)store)->durable, request);
}

static void lying_save(tm_store *store, tm_store_save *request) {
    tm_store_save_start(((stores *)(void *)store)->durable, request);
}

static void lying_trim(tm_store *store, tm_store_trim *request) {
    tm_store_trim_start(((stores *)(void *)store)->durable, request);
}

static size_t lying_wait(tm_store *store) {
    return tm_store_wait(((stores *)(void *)store)->durable);
}

static const tm_store_ops lying = {.append = lying_append,
                                   .read = lying_read,
                                   .load = lying_load,
                                   .save = lying_save,
                                   .trim = lying_trim,
                                   .poll = lying_wait,
                                   .wait = lying_wait};

static void copy(stores *s, tm_store *from, tm_store **to) {
    tm_store *fresh = NULL;
    T_OK(from == NULL ? tm_memory_open(&s->alloc, &fresh)
                      : tm_memory_copy(from, &fresh));
    tm_store_close(*to);
    *to = fresh;
}

static tm_store *store_open(void *context, uint64_t now_ms) {
    stores *s = context;
    (void)now_ms;
    return s->lie == LIE_NOTHING_STORED ? &s->base : s->durable;
}

static void store_close(void *context, tm_store *store, bool crash) {
    stores *s = context;
    (void)store;
    if (crash && s->lie == LIE_FORGETS && s->backup != NULL)
        copy(s, s->backup, &s->durable); // as it was some time ago
}

static bool store_backup(void *context) {
    stores *s = context;
    copy(s, s->durable, &s->backup);
    return true;
}

static bool store_restore(void *context) {
    stores *s = context;
    if (s->backup == NULL) return false;
    copy(s, s->backup, &s->durable);
    return true;
}

static void store_empty(void *context) {
    stores *s = context;
    copy(s, NULL, &s->durable);
}

void backend_open(tm_sim_backend *backend, backend_lie lie) {
    stores *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->base.ops = &lying;
    s->lie = lie;
    s->alloc = t_alloc(&s->memory);
    copy(s, NULL, &s->durable);
    *backend = (tm_sim_backend){.context = s,
                                .open = store_open,
                                .close = store_close,
                                .backup = store_backup,
                                .restore = store_restore,
                                .empty = store_empty};
}

void backend_close(tm_sim_backend *backend) {
    stores *s = backend->context;
    tm_store_close(s->durable);
    tm_store_close(s->backup);
    T_EQ(s->memory.live, 0);
    free(s);
}
