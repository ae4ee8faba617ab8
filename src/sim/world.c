// world.c - see world.h: time, what happens next, and the story of it.
#include "sim/world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "client/words.h"

// ---- clocks -----------------------------------------------------------------------------

tm_now tm_sim_clock_now(const tm_sim_clock *clock, uint64_t now_ms) {
    int64_t wall = (int64_t)(TM_SIM_START_MS + now_ms) + clock->offset_ms;
    wall += (int64_t)(now_ms - clock->drift_from_ms) * clock->drift_ppm / 1000000;
    if (clock->frozen_ms != 0) wall = (int64_t)clock->frozen_ms;
    if (wall < 0) wall = 0;
    if (clock->grain_ms > 1) wall -= wall % clock->grain_ms;
    if (wall > (int64_t)TM_MS_MAX / 2) wall = (int64_t)TM_MS_MAX / 2;
    return (tm_now){(uint64_t)wall, 5000 + now_ms - clock->slept_ms};
}

// ---- what happens next ------------------------------------------------------------------

static bool before(const tm_sim_event *a, const tm_sim_event *b) {
    if (a->at_ms != b->at_ms) return a->at_ms < b->at_ms;
    return a->order < b->order;
}

void tm_sim_at(tm_world *world, uint64_t at_ms, tm_sim_event event) {
    event.at_ms = at_ms < world->now_ms ? world->now_ms : at_ms;
    event.order = ++world->order;
    world->heap = tm_sim_grow(world->heap, world->heap_count, &world->heap_cap,
                              sizeof *world->heap);
    size_t at = world->heap_count++;
    while (at > 0 && before(&event, &world->heap[(at - 1) / 2])) {
        world->heap[at] = world->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    world->heap[at] = event;
}

static tm_sim_event heap_pop(tm_world *world) {
    tm_sim_event first = world->heap[0], last = world->heap[--world->heap_count];
    size_t at = 0, count = world->heap_count;
    for (size_t child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count &&
            before(&world->heap[child + 1], &world->heap[child]))
            child++;
        if (!before(&world->heap[child], &last)) break;
        world->heap[at] = world->heap[child];
        at = child;
    }
    if (count > 0) world->heap[at] = last;
    return first;
}

// ---- the story --------------------------------------------------------------------------

void tm_sim_hash(tm_world *world, uint64_t what, tm_span bytes) {
    uint64_t h = world->result->hash ^ (what * 0x9e3779b97f4a7c15u);
    size_t i = 0;
    for (; i + 8 <= bytes.len; i += 8) {
        uint64_t word;
        memcpy(&word, bytes.ptr + i, 8);
        h = (h ^ word) * 0x100000001b3u;
        h ^= h >> 29;
    }
    for (; i < bytes.len; i++) {
        h = (h ^ bytes.ptr[i]) * 0x100000001b3u;
    }
    world->result->hash = tm_sim_mix(h ^ world->now_ms);
}

static void time_print(FILE *to, uint64_t ms) {
    uint64_t s = ms / 1000;
    if (s >= 86400) (void)fprintf(to, "%llud ", (unsigned long long)(s / 86400));
    (void)fprintf(to, "%02u:%02u:%02u.%03u ", (unsigned)(s / 3600 % 24),
                  (unsigned)(s / 60 % 60), (unsigned)(s % 60),
                  (unsigned)(ms % 1000));
}

void tm_sim_tell(tm_world *world, const char *who, const char *format, ...) {
    FILE *to = world->config->story;
    if (to == NULL || world->over) return;
    va_list values;
    va_start(values, format);
    time_print(to, world->now_ms);
    (void)fprintf(to, "%-10s ", who);
    (void)vfprintf(to, format, values);
    (void)fputc('\n', to);
    va_end(values);
}

void tm_sim_broken(tm_world *world, tm_sim_invariant invariant, const char *format,
                   ...) {
    tm_sim_result *result = world->result;
    if (result->broken != TM_SIM_FINE) return;
    va_list values;
    va_start(values, format);
    (void)vsnprintf(result->what, sizeof result->what, format, values);
    va_end(values);
    result->broken = invariant;
    result->broken_ms = world->now_ms;
    result->broken_step = world->steps_done;
    tm_sim_tell(world, "BROKEN", "%s: %s", tm_sim_invariant_name(invariant),
                result->what);
    world->over = true;
}

bool tm_sim_over(const tm_world *world) {
    return world->result->broken != TM_SIM_FINE;
}

void tm_sim_looked(tm_world *world, tm_sim_invariant invariant) {
    world->result->checks[invariant]++;
}

static tm_sim_state state_of(const tm_world *world, const tm_sim_page *page) {
    if (world->server.service == NULL) return TM_SIM_STATE_DOWN;
    if (tm_sim_keeper_appending(&world->server.keeper))
        return TM_SIM_STATE_APPENDING;
    if (page == NULL || !page->alive) return TM_SIM_STATE_QUIET;
    if (page->save_ref != 0) return TM_SIM_STATE_SAVING;
    if (page->commit != NULL) return TM_SIM_STATE_STORING;
    if (page->offered > 0) return TM_SIM_STATE_OFFERING;
    if (page->pending > 0) return TM_SIM_STATE_QUEUED;
    return page->pull_ref != 0 ? TM_SIM_STATE_PULLING : TM_SIM_STATE_QUIET;
}

void tm_sim_strike(tm_world *world, tm_sim_fault fault, const tm_sim_page *page) {
    world->result->faults[fault]++;
    world->result->pairs[fault][state_of(world, page)]++;
    tm_sim_hash(world, 1000u + fault, (tm_span){NULL, 0});
    tm_sim_tell(world, page == NULL ? "fault" : tm_sim_page_name(world, page),
                "** %s", tm_sim_fault_word(fault));
}

bool tm_sim_fate(tm_world *world, tm_sim_random *random, tm_sim_fault fault,
                 const tm_sim_page *page) {
    if (world->calm || !tm_sim_chance(random, world->plan.rate[fault]))
        return false;
    tm_sim_strike(world, fault, page);
    return true;
}

const char *tm_sim_page_name(const tm_world *world, const tm_sim_page *page) {
    static char name[32];
    (void)snprintf(name, sizeof name, "tab %u/%u%c",
                   (unsigned)(page - world->pages), page->life,
                   (char)('A' + page->profile));
    return name;
}

// ---- the world --------------------------------------------------------------------------

static const tm_key keys[TM_SIM_ACCOUNTS] = {
    {TM_LIT("ann"), TM_LIT("selected-images")},
    {TM_LIT("bob"), TM_LIT("selected-images")},
    {TM_LIT("ann"), TM_LIT("second")},
    {TM_LIT("mallory"), TM_LIT("selected-images")},
};

// An entry that had another writer: its queue was given a new name.
static void renamed_note(tm_world *world, tm_span key, tm_span before,
                         tm_span after) {
    tm_span rest;
    if (before.ptr == NULL || after.ptr == NULL || world->storing == NULL) return;
    if (!tm_storage_prefix(key, "op/", &rest)) return;
    tm_arena arena = {.alloc = &tm_sim_alloc};
    tm_span was = tm_storage_owner(key, before, &arena),
            is = tm_storage_owner(key, after, &arena);
    if (was.len > 0 && is.len > 0 && is.len <= TM_SIM_ID_MAX &&
        tm_span_cmp(was, is) != 0) {
        memcpy(world->renamed, is.ptr, is.len);
        world->renamed_len = is.len;
    }
    tm_arena_deinit(&arena);
}

static void storage_changed(void *context, tm_storage *storage, tm_place place,
                            tm_span key, tm_span before_value, tm_span after) {
    tm_world *world = context;
    if (place == TM_PLACE_DISK) renamed_note(world, key, before_value, after);
    for (uint32_t p = 0; p < TM_SIM_PROFILES_MAX; p++) {
        for (uint32_t a = 0; a < TM_SIM_ACCOUNTS; a++) {
            if (storage != &world->profiles[p].storage[a]) continue;
            if (world->damage) world->profiles[p].damaged[a] = true;
            bool whole =
                !world->profiles[p].no_disk && !world->profiles[p].damaged[a];
            tm_sim_ghost_record(world, a, key, before_value, after,
                                whole ? storage : NULL, world->damage);
        }
    }
}

tm_world *tm_sim_world_new(const tm_sim_config *config, tm_sim_result *result) {
    tm_world *world = calloc(1, sizeof *world);
    TM_ASSERT(world != NULL);
    world->config = config;
    world->result = result;
    world->seed = config->seed;
    tm_sim_plan_draw(&world->plan, config->seed, config->disk_faults);
    result->unbounded = world->plan.unbounded;
    if (world->plan.policy)
        tm_sim_note_world(world, TM_SIM_NOTE_POLICY, 0, 0, (tm_span){NULL, 0});
    world->random = tm_sim_stream(config->seed, 3);
    world->arena.alloc = &tm_sim_alloc;
    tm_table_init(&world->ghost_ids, &tm_sim_alloc, (tm_seed){3, 4});
    for (uint32_t a = 0; a < TM_SIM_ACCOUNTS; a++) {
        world->accounts[a].key = keys[a];
        world->accounts[a].history = tm_sim_history_new();
        if (a == TM_SIM_HOSTILE_ACCOUNT)
            tm_sim_history_lenient(world->accounts[a].history);
    }
    for (uint32_t p = 0; p < TM_SIM_PROFILES_MAX; p++) {
        tm_sim_profile *profile = &world->profiles[p];
        profile->used = p < world->plan.profiles;
        profile->clock.grain_ms = world->plan.grain_ms;
        for (uint32_t a = 0; a < TM_SIM_ACCOUNTS; a++) {
            profile->storage[a].lag_ms = 2 * world->plan.lag_ms;
            profile->storage[a].changed = storage_changed;
            profile->storage[a].context = world;
        }
    }
    world->server.clock.grain_ms = world->plan.grain_ms;
    world->server.random = tm_sim_stream(config->seed, 4);
    world->server.alloc = tm_sim_ram_alloc(&world->server.ram);
    return world;
}

static void account_free(tm_sim_account *account) {
    tm_sim_history_free(account->history);
    tm_sim_history_free(account->backup);
    for (size_t i = 0; i < account->past_count; i++) {
        tm_sim_history_free(account->past[i]);
    }
}

void tm_sim_world_free(tm_world *world) {
    for (uint32_t i = 0; i < TM_SIM_PAGES_MAX; i++) {
        if (world->pages[i].alive) tm_sim_page_die(world, &world->pages[i]);
        free(world->pages[i].locks);
    }
    tm_sim_server_die(world, true);
    tm_sim_net_sweep(world);
    while (world->heap_count > 0) {
        free(heap_pop(world).message);
    }
    for (uint32_t p = 0; p < TM_SIM_PROFILES_MAX; p++) {
        for (uint32_t a = 0; a < TM_SIM_ACCOUNTS; a++) {
            tm_storage_deinit(&world->profiles[p].storage[a]);
            tm_storage_deinit(&world->profiles[p].saved[a]);
        }
    }
    for (uint32_t a = 0; a < TM_SIM_ACCOUNTS; a++) {
        account_free(&world->accounts[a]);
    }
    for (size_t i = 0; i < world->ghost_count; i++) {
        free(world->ghosts[i]);
    }
    tm_table_deinit(&world->ghost_ids);
    tm_arena_deinit(&world->arena);
    free(world->ghosts);
    free(world->heap);
    free(world->replayed);
    free(world);
}

// ---- going round ------------------------------------------------------------------------

static void step_next(tm_world *world) {
    if (world->steps_done >= world->step_count) return;
    tm_sim_step_do(world, &world->steps[world->steps_done++]);
    if (world->steps_done < world->step_count) {
        tm_sim_at(world, world->steps[world->steps_done].at_ms,
                  (tm_sim_event){.kind = TM_SIM_EVENT_STEP});
    }
}

static void page_happen(tm_world *world, const tm_sim_event *event) {
    tm_sim_page *page = &world->pages[event->who];
    if (!page->alive || page->life != event->life) return;
    if (!tm_sim_page_awake(world, page)) { // it learns when it wakes
        tm_sim_event late = *event;
        tm_sim_at(world, tm_sim_page_wakes(world, page), late);
        return;
    }
    tm_sim_page_event(world, page, event);
}

static void happen(tm_world *world, const tm_sim_event *event) {
    tm_sim_conn *conn;
    switch (event->kind) {
    case TM_SIM_EVENT_STEP:
        step_next(world);
        break;
    case TM_SIM_EVENT_SERVER:
        if (event->arg == world->server.life) tm_sim_server_tick(world);
        break;
    case TM_SIM_EVENT_STORE:
        if (event->arg == world->server.life) tm_sim_server_store(world);
        break;
    case TM_SIM_EVENT_ARRIVE:
        tm_sim_net_arrive(world, event->message);
        break;
    case TM_SIM_EVENT_GONE:
        conn = tm_sim_net_conn(world, event->arg);
        if (conn != NULL) tm_sim_net_gone(world, conn);
        break;
    case TM_SIM_EVENT_FLOW:
        conn = tm_sim_net_conn(world, event->arg);
        if (conn != NULL) tm_sim_net_flow(world, conn);
        break;
    case TM_SIM_EVENT_OPEN:
        (void)tm_sim_page_open(world, event->who, (uint32_t)event->arg);
        break;
    case TM_SIM_EVENT_BOOT:
        world->server.booting = false;
        if (world->server.service == NULL) tm_sim_server_boot(world);
        break;
    case TM_SIM_EVENT_STOP:
        if (event->arg == world->server.life) tm_sim_server_die(world, false);
        break;
    default:
        page_happen(world, event);
    }
}

// What is looked at after every moment is cheap.
static void look(tm_world *world, const tm_sim_event *event) {
    tm_sim_look_lists(world);
    bool page =
        event->kind == TM_SIM_EVENT_TICK || event->kind == TM_SIM_EVENT_COMMIT;
    if (page && world->pages[event->who].alive &&
        tm_sim_page_awake(world, &world->pages[event->who])) {
        tm_sim_look_page(world, &world->pages[event->who], false);
    }
}

// Far more than any seed needs; and, as some live through a week of holidays, what twelve
// pages do that ask every four seconds.
#define EVENTS_MAX          400000u
#define EVENTS_A_SECOND_MAX 20u

void tm_sim_world_run(tm_world *world, uint64_t until_ms) {
    while (!tm_sim_over(world) && world->heap_count > 0 &&
           world->heap[0].at_ms <= until_ms) {
        tm_sim_event event = heap_pop(world);
        world->now_ms = event.at_ms;
        world->result->events++;
        tm_sim_hash(world, (uint64_t)event.kind << 32 | event.who,
                    (tm_span){NULL, 0});
        happen(world, &event);
        look(world, &event);
        uint64_t most = EVENTS_MAX + world->now_ms / 1000 * EVENTS_A_SECOND_MAX;
        if (world->result->events > most) {
            tm_sim_broken(world, TM_SIM_I12,
                          "more than %llu moments: it never rests",
                          (unsigned long long)most);
        }
    }
    if (!tm_sim_over(world) && world->now_ms < until_ms) world->now_ms = until_ms;
}

void tm_sim_run(const tm_sim_config *config, tm_sim_result *result) {
    size_t count;
    *result = (tm_sim_result){0};
    tm_world *world = tm_sim_world_new(config, result);
    tm_sim_step *own = NULL;
    if (config->steps == NULL) {
        own = tm_sim_steps(config->seed, config->disk_faults, &count);
        world->steps = own;
        world->step_count = count;
    } else {
        world->steps = config->steps;
        world->step_count = config->step_count;
    }
    tm_sim_server_boot(world);
    for (uint32_t p = 0; p < world->plan.profiles; p++) {
        tm_sim_at(world, p * 50,
                  (tm_sim_event){.kind = TM_SIM_EVENT_OPEN,
                                 .who = p,
                                 .arg = p % world->plan.accounts});
    }
    uint64_t end = 0;
    if (world->step_count > 0) {
        tm_sim_at(world, world->steps[0].at_ms,
                  (tm_sim_event){.kind = TM_SIM_EVENT_STEP});
        end = world->steps[world->step_count - 1].at_ms;
    }
    tm_sim_world_run(world, end + 1000);
    if (!tm_sim_over(world)) tm_sim_heal(world);
    result->virtual_ms = world->now_ms;
    tm_sim_world_free(world);
    free(own);
}
