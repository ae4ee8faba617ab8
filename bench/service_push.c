// service_push.c - how many saves a second one thread of the service decides, appends (to
// memory) and tells, and what it allocates for one.
//
//     service_push               a table on stdout
//
// Every save is one edit of about 210 bytes, by POST or as a frame of one of the list's
// three subscribers; `wave` saves are asked before the store completes, so that a list's
// may join. Requests and frames are taken as the network would take them, and dropped.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "service/service.h"
#include "store/memory.h"

#define EARS 3u // subscribers of each list

_Noreturn void tm_panic(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, what);
    abort();
}

typedef struct heap_count {
    size_t requests, bytes;
} heap_count;

static void *heap_resize(void *context, void *ptr, size_t old_size,
                         size_t new_size) {
    heap_count *count = context;
    count->bytes += new_size - old_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    count->requests += new_size > old_size;
    return realloc(ptr, new_size);
}

static void random_fill(void *context, uint8_t *bytes, size_t len) {
    uint64_t *state = context;
    for (size_t i = 0; i < len; i++) {
        *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        bytes[i] = (uint8_t)(*state >> 56);
    }
}

// Seconds of this thread: what else runs here is not its business.
static double now_s(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void check(tm_status status) {
    if (status == TM_OK) return;
    fprintf(stderr, "status %d\n", (int)status);
    exit(1);
}

typedef struct world {
    heap_count own, stored;
    tm_alloc alloc, store_alloc;
    tm_store *store;
    tm_service *service;
    tm_conn **conns;
    uint64_t random, replies, frames, bytes, refused;
    uint32_t lists;
    tm_now now;
} world;

static void drain(world *w) {
    tm_effect effect;
    do {
        while (tm_service_effect(w->service, &effect)) {
            bool reply = effect.kind == TM_EFFECT_REPLY;
            w->replies += reply;
            w->refused += reply && effect.status != 200;
            w->frames += effect.kind == TM_EFFECT_SEND;
            if (effect.frame == NULL) continue;
            w->bytes += effect.frame->len;
            tm_frame_release(w->service, effect.frame);
        }
    } while (tm_store_poll(w->store) > 0);
}

static int op_print(char *to, size_t room, uint32_t list, uint64_t n) {
    return snprintf(to, room,
                    "{\"id\":\"%08" PRIx32 "%016" PRIx64 "\",\"type\":\"%s\","
                    "\"instanceId\":\"i-%014" PRIu64
                    "\",%s\"data\":{\"description\":"
                    "\"text %" PRIu64 "\"},\"timestamp\":%" PRIu64
                    ",\"browserId\":\"chrome-abc%u\",\"version\":%" PRIu64 "}",
                    list, n, n < 100 ? "ADD" : "UPDATE_METADATA", n % 100,
                    n < 100 ? "\"imageId\":\"img-00000001\"," : "", n,
                    1789000000000 + n, (unsigned)(n % EARS), n / EARS + 1);
}

static void post(world *w, uint32_t list, uint64_t n) {
    char path[64], body[512];
    uint64_t ticket;
    int len = snprintf(body, sizeof body, "{\"user\":\"ann\",\"operations\":[");
    len += op_print(body + len, sizeof body - (size_t)len, list, n);
    len += snprintf(body + len, sizeof body - (size_t)len, "]}");
    int path_len = snprintf(path, sizeof path, "/v1/lists/l%u/operations", list);
    tm_request request = {.method = TM_POST,
                          .path = {(uint8_t *)path, (size_t)path_len},
                          .body = {(uint8_t *)body, (size_t)len},
                          .user = {(const uint8_t *)"ann", 3},
                          .peer = w};
    tm_service_request(w->service, w->now, &request, &ticket);
}

static void save(world *w, uint32_t list, uint64_t n) {
    char body[512];
    int len =
        snprintf(body, sizeof body,
                 "{\"type\":\"SAVE\",\"list\":\"l%u\",\"user\":\"ann\",\"ref\":7,"
                 "\"operations\":[",
                 list);
    len += op_print(body + len, sizeof body - (size_t)len, list, n);
    len += snprintf(body + len, sizeof body - (size_t)len, "]}");
    tm_service_feed(w->service, w->now, w->conns[list * EARS + n % EARS],
                    (tm_span){(uint8_t *)body, (size_t)len});
}

static void world_open(world *w, uint32_t lists) {
    *w = (world){.lists = lists, .now = {1790000000000, 1000}};
    w->alloc = (tm_alloc){heap_resize, &w->own};
    w->store_alloc = (tm_alloc){heap_resize, &w->stored};
    check(tm_memory_open(&w->store_alloc, &w->store));
    tm_service_config config = {.alloc = &w->alloc,
                                .store = w->store,
                                .random = random_fill,
                                .random_context = &w->random,
                                .snapshot_ops = UINT32_MAX};
    check(tm_service_new(&config, &w->service));
    w->conns = calloc(lists * EARS, sizeof(tm_conn *));
    for (uint32_t i = 0; i < lists * EARS; i++) {
        char text[128];
        int len = snprintf(
            text, sizeof text,
            "{\"type\":\"SUBSCRIBE\",\"list\":\"l%u\",\"user\":\"ann\"}", i / EARS);
        check(tm_service_connect(w->service, w->now,
                                 (tm_span){(const uint8_t *)"ann", 3}, w,
                                 &w->conns[i]));
        tm_service_feed(w->service, w->now, w->conns[i],
                        (tm_span){(uint8_t *)text, (size_t)len});
        drain(w);
    }
    for (uint64_t n = 0; n < 100; n++) { // a hundred items in each
        for (uint32_t list = 0; list < lists; list++) {
            post(w, list, n);
        }
        drain(w);
    }
}

static void world_close(world *w) {
    for (uint32_t i = 0; i < w->lists * EARS; i++) {
        tm_service_disconnect(w->service, w->conns[i]);
    }
    drain(w);
    tm_service_free(w->service);
    tm_store_close(w->store);
    free(w->conns);
}

static void speed_show(uint32_t lists, uint32_t wave, bool frames) {
    world w;
    world_open(&w, lists);
    uint64_t pushes = 300000 / wave * wave, frames_before = w.frames;
    size_t own = w.own.requests;
    double best = 1e9;
    uint64_t n = 0;
    for (int round = 0; round < 3; round++) {
        double start = now_s();
        for (uint64_t done = 0; done < pushes; done += wave) {
            for (uint32_t i = 0; i < wave; i++, n++) {
                uint32_t list = (uint32_t)(n % lists);
                uint64_t of_list = 100 + n / lists;
                if (frames) {
                    save(&w, list, of_list);
                } else {
                    post(&w, list, of_list);
                }
            }
            drain(&w);
            w.now.mono_ms++;
            w.now.wall_ms++;
        }
        double took = now_s() - start;
        if (took < best) best = took;
    }
    double all = (double)n;
    printf("%5u lists, wave %4u, %-4s  %4.0f thousand pushes/s  %5.2f us each  "
           "%.2f allocations  %.2f frames%s\n",
           lists, wave, frames ? "SAVE" : "POST", (double)pushes / best * 1e-3,
           best / (double)pushes * 1e6, (double)(w.own.requests - own) / all,
           (double)(w.frames - frames_before) / all,
           w.refused > 0 ? "  REFUSED" : "");
    world_close(&w);
}

static void memory_show(uint32_t lists) {
    world w;
    world_open(&w, lists);
    printf("%5u lists of 100 items with %u connections each: %.1f MB, %.0f bytes a "
           "list\n",
           lists, EARS, (double)w.own.bytes * 1e-6, (double)w.own.bytes / lists);
    for (uint64_t n = 100; n < 400; n++) { // all hundred decisions of each writer
        for (uint32_t list = 0; list < lists; list++) {
            post(&w, list, n);
        }
        drain(&w);
    }
    printf("%5s after 300 edits more: %.1f MB, %.0f bytes a list\n", "",
           (double)w.own.bytes * 1e-6, (double)w.own.bytes / lists);
    world_close(&w);
}

int main(void) {
    speed_show(50, 1, false);
    speed_show(50, 50, false);
    speed_show(50, 500, false);
    speed_show(1000, 1000, false);
    speed_show(50, 50, true);
    speed_show(1000, 1000, true);
    memory_show(1000);
    return 0;
}
