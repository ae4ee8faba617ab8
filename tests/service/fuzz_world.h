// fuzz_world.h - a small service over a memory store, for the fuzz targets of this room.
// Every request is answered exactly once, and every byte of memory comes back.
#ifndef TM_TESTS_SERVICE_FUZZ_WORLD_H
#define TM_TESTS_SERVICE_FUZZ_WORLD_H

#include "fuzz.h"
#include "service/service.h"
#include "store/memory.h"

typedef struct fuzz_world {
    tm_alloc alloc;
    tm_store *store;
    tm_service *service;
    tm_now now;
    uint64_t replies, last_status;
    bool peers[8]; // what a peer points to; set when it was answered
} fuzz_world;

static inline void fuzz_random(void *context, uint8_t *bytes, size_t len) {
    (void)context;
    memset(bytes, 7, len);
}

static inline void fuzz_start(fuzz_world *w) {
    tm_service_config config = {.alloc = &w->alloc,
                                .store = w->store,
                                .random = fuzz_random,
                                .snapshot_ops = 3};
    TM_ASSERT(tm_service_new(&config, &w->service) == TM_OK);
}

static inline void fuzz_open(fuzz_world *w) {
    *w = (fuzz_world){.alloc = fuzz_alloc(), .now = {1790000000000, 1000}};
    TM_ASSERT(tm_memory_open(&w->alloc, &w->store) == TM_OK);
    fuzz_start(w);
}

static inline void fuzz_run(fuzz_world *w) {
    tm_effect effect;
    for (int turn = 0; turn < 100000; turn++) {
        bool any = false;
        while (tm_service_effect(w->service, &effect)) {
            any = true;
            if (effect.kind == TM_EFFECT_REPLY) {
                w->replies++;
                w->last_status = effect.status;
            }
            if (effect.frame != NULL) {
                TM_ASSERT(effect.frame->len > 0);
                tm_frame_release(w->service, effect.frame);
            }
        }
        if (tm_store_poll(w->store) > 0) continue;
        if (tm_service_deadline(w->service) <= w->now.mono_ms) {
            tm_service_tick(w->service, w->now);
            continue;
        }
        if (!any) return;
    }
    tm_panic(__FILE__, __LINE__, "it does not come to rest");
}

static inline void fuzz_stop(fuzz_world *w) {
    fuzz_run(w);
    TM_ASSERT(tm_service_idle(w->service));
    tm_service_free(w->service);
    w->service = NULL;
}

static inline void fuzz_close(fuzz_world *w) {
    fuzz_stop(w);
    tm_store_close(w->store);
}

static inline tm_span fuzz_text(const char *text) {
    return (tm_span){(const uint8_t *)text, strlen(text)};
}

// One request; its status. A long poll is waited for.
static inline uint64_t fuzz_request(fuzz_world *w, tm_method method, tm_span path,
                                    tm_span query, tm_span body) {
    uint64_t ticket, before = w->replies;
    tm_request request = {.method = method,
                          .path = path,
                          .query = query,
                          .body = body,
                          .user = fuzz_text("ann"),
                          .peer = w};
    tm_service_request(w->service, w->now, &request, &ticket);
    fuzz_run(w);
    while (w->replies == before) {
        uint64_t at = tm_service_deadline(w->service);
        TM_ASSERT(at != UINT64_MAX);
        w->now.mono_ms = at;
        tm_service_tick(w->service, w->now);
        fuzz_run(w);
    }
    TM_ASSERT(w->replies == before + 1);
    return w->last_status;
}

// The canonical bytes of the list, and its head. A list without operations has none: it
// may be in memory or not.
static inline tm_buf fuzz_canonical(fuzz_world *w, uint64_t *head) {
    tm_buf out = {.alloc = &w->alloc};
    tm_key key = {fuzz_text("ann"), fuzz_text("l")};
    const tm_list *list = tm_service_list(w->service, key, head);
    *head = list == NULL ? 0 : *head;
    if (*head > 0) tm_list_write(list, &out);
    TM_ASSERT(out.status == TM_OK);
    return out;
}

#endif
