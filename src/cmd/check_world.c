// check_world.c - see check_world.h: time.
#include "cmd/check_world.h"

// Far more than any case has; an engine that asks to be called at once, again and again,
// must not hang the check.
#define TICKS_MAX 100000u

// The monotonic clock is the true time: it counts from anything, and nobody's jumps.
static tm_now now_at(const tm_check_world *world, int64_t offset) {
    int64_t wall = (int64_t)world->true_ms + offset;
    if (wall < 0) wall = 0;
    if (wall > (int64_t)TM_MS_MAX) wall = (int64_t)TM_MS_MAX;
    return (tm_now){(uint64_t)wall, world->true_ms};
}

tm_now tm_check_world_server_now(const tm_check_world *world) {
    return now_at(world, world->server_offset);
}

tm_now tm_check_world_page_now(const tm_check_world *world,
                               const tm_check_page *page) {
    return now_at(world, page->clock_offset);
}

tm_span tm_check_world_keep(tm_check_world *world, tm_span text) {
    tm_span copy = {NULL, 0};
    if (tm_arena_copy(&world->arena, text, &copy) != TM_OK) {
        (void)tm_check_verdict_fail(world->verdict, "out of memory");
    }
    return copy;
}

static bool page_deadline(tm_check_world *world, tm_check_page *page,
                          uint64_t *deadline) {
    int64_t result;
    if (!tm_check_page_call(world, page, TM_FN_deadline, NULL, 0,
                            (tm_span){NULL, 0}, &result, NULL)) {
        return false;
    }
    *deadline = (uint64_t)result;
    return true;
}

// The earliest deadline of all; *page NULL = the service's.
static bool earliest(tm_check_world *world, uint64_t *at, tm_check_page **whose) {
    *at = tm_service_deadline(world->server.service);
    *whose = NULL;
    for (tm_check_page *page = world->pages; page != NULL; page = page->next) {
        uint64_t deadline;
        if (!page->running) continue;
        if (!page_deadline(world, page, &deadline)) return false;
        // One that was told the time and has still something due wants to send; in a
        // scenario only steps send.
        bool told = page->ticked_ms == world->true_ms;
        if (told && deadline <= world->true_ms) continue;
        if (deadline < *at) {
            *at = deadline;
            *whose = page;
        }
    }
    return true;
}

static bool tick(tm_check_world *world, tm_check_page *page) {
    if (page == NULL) {
        return tm_check_server_tick(&world->server,
                                    tm_check_world_server_now(world)) &&
               tm_check_traffic_deliver(world);
    }
    int64_t result;
    page->ticked_ms = world->true_ms;
    return tm_check_page_call_now(world, page, TM_FN_tick, NULL, 0,
                                  (tm_span){NULL, 0}, &result, NULL) &&
           tm_check_page_pump(world, page);
}

bool tm_check_world_advance(tm_check_world *world, uint64_t ms) {
    if (ms > TM_MS_MAX - world->true_ms) {
        return tm_check_verdict_fail(world->verdict, "malformed: time runs out");
    }
    uint64_t target = world->true_ms + ms;
    for (unsigned ticks = 0; ticks < TICKS_MAX; ticks++) {
        uint64_t at;
        tm_check_page *page;
        if (!earliest(world, &at, &page)) return false;
        if (at > target) {
            world->true_ms = target;
            return true;
        }
        if (at > world->true_ms) world->true_ms = at;
        if (!tick(world, page)) return false;
    }
    return tm_check_verdict_fail(world->verdict, "the deadlines do not end");
}
