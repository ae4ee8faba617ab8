// steps.c - see world.h: what each step of a run does. `who` is taken modulo those there
// are, so that a step makes sense whatever steps were left out before it.
#include "sim/world.h"

#include <stdlib.h>
#include <string.h>

#include "client/words.h"

#define YEAR_MS INT64_C(31557600000)

typedef struct act {
    tm_world *world;
    const tm_sim_step *step;
    tm_sim_random random; // the step's own
} act;

static uint64_t below(act *a, uint64_t n) {
    return tm_sim_below(&a->random, n);
}

// ---- whom it is about -----------------------------------------------------------------

// A page that somebody can look at now.
static tm_sim_page *page_of(act *a) {
    tm_world *world = a->world;
    uint32_t count = 0;
    for (int round = 0; round < 2; round++) {
        uint32_t want = count == 0 ? 0 : a->step->who % count, at = 0;
        if (round == 1 && count == 0) return NULL;
        for (size_t i = 0; i < TM_SIM_PAGES_MAX; i++) {
            tm_sim_page *page = &world->pages[i];
            if (!page->alive || page->taken || !tm_sim_page_awake(world, page))
                continue;
            if (round == 1 && at == want) return page;
            at++;
        }
        count = at;
    }
    return NULL;
}

static uint32_t profile_of(act *a) {
    uint32_t count = 0;
    for (uint32_t p = 0; p < TM_SIM_PROFILES_MAX; p++) {
        count += a->world->profiles[p].used;
    }
    return a->step->who % count; // they are used from the first on
}

static uint32_t account_of(act *a) {
    return (uint32_t)below(a, a->world->plan.accounts);
}

// ---- edits ------------------------------------------------------------------------------

static void edit_one(act *a, tm_sim_page *page) {
    tm_buf edit = {.alloc = &tm_sim_alloc};
    tm_sim_edit_draw(a->world, &a->random, page, &edit);
    tm_sim_page_edit(a->world, page, tm_buf_span(&edit));
    tm_buf_deinit(&edit);
}

static void edits(act *a, uint64_t count) {
    tm_sim_page *page = page_of(a);
    if (page == NULL) return;
    uint32_t life = page->life;
    for (uint64_t i = 0; i < count && page->alive && page->life == life; i++) {
        edit_one(a, page);
    }
}

static void batch(act *a) {
    tm_sim_page *page = page_of(a);
    if (page == NULL || tm_engine_begin(page->engine) != TM_OK) return;
    uint64_t count = 2 + below(a, 6);
    uint32_t life = page->life;
    for (uint64_t i = 0; i < count && page->alive && page->life == life; i++) {
        edit_one(a, page);
    }
    if (!page->alive || page->life != life) return;
    bool keep = below(a, 6) != 0;
    if (!keep)
        tm_sim_note_page(a->world, TM_SIM_NOTE_TAKEN_BACK, page, (int64_t)count,
                         (tm_span){NULL, 0});
    tm_sim_tell(a->world, tm_sim_page_name(a->world, page),
                keep ? "ends the batch" : "takes the batch back");
    a->world->making = true;
    TM_ASSERT(tm_engine_end(page->engine, tm_sim_page_now(a->world, page), keep) ==
              TM_OK);
    page->edited_ms = tm_sim_page_now(a->world, page).mono_ms;
    tm_sim_page_settle(a->world, page);
    a->world->making = false;
}

// ---- tabs -------------------------------------------------------------------------------

static void tab_dies(act *a, bool well) {
    tm_sim_page *page = page_of(a);
    if (page == NULL) return;
    uint32_t profile = page->profile, account = page->account;
    if (!well) tm_sim_strike(a->world, TM_SIM_TAB_DIED, page);
    if (well)
        tm_engine_ask(page->engine, tm_sim_page_now(a->world, page), TM_ASK_PUSH);
    if (well) tm_sim_page_settle(a->world, page);
    if (page->alive) tm_sim_page_die(a->world, page);
    if (below(a, 4) == 0) return; // for good
    tm_sim_at(
        a->world, a->world->now_ms + below(a, 5000),
        (tm_sim_event){.kind = TM_SIM_EVENT_OPEN, .who = profile, .arg = account});
}

// A page sleeps in the back/forward cache, or its tab is frozen. If its locks are only
// leases, another page takes its writer meanwhile.
static void page_sleeps(act *a) {
    tm_sim_page *page = page_of(a);
    if (page == NULL) return;
    uint64_t ms = 1000 + below(a, 300000);
    tm_sim_strike(a->world, TM_SIM_BFCACHE, page);
    page->frozen_until_ms = a->world->now_ms + ms;
    if (below(a, 2) == 0) {
        tm_sim_strike(a->world, TM_SIM_LOST_LOCK, page);
        page->lock_count = 0;
        page->taken = true; // its host notices before anything else
        (void)tm_sim_page_open(a->world, page->profile, page->account);
    }
    tm_sim_at(a->world, page->frozen_until_ms,
              (tm_sim_event){.kind = TM_SIM_EVENT_THAW,
                             .who = (uint32_t)(page - a->world->pages),
                             .life = page->life});
}

static void browser_killed(act *a) {
    tm_world *world = a->world;
    uint32_t p = profile_of(a);
    tm_sim_strike(world, TM_SIM_BROWSER_KILLED, NULL);
    uint64_t lost = below(a, world->plan.lag_ms + 1);
    for (size_t i = 0; i < TM_SIM_PAGES_MAX; i++) {
        tm_sim_page *page = &world->pages[i];
        if (!page->alive || page->profile != p) continue;
        tm_sim_at(world, world->now_ms + 1000 + below(a, 5000),
                  (tm_sim_event){
                      .kind = TM_SIM_EVENT_OPEN, .who = p, .arg = page->account});
        // Its transactions that run just now end, or do not; nobody hears of it.
        tm_sim_page_die(world, page);
    }
    world->damage = true;
    for (uint32_t n = 0; n < TM_SIM_ACCOUNTS; n++) {
        world->profiles[p].storage[n].now_ms = world->now_ms;
        tm_storage_kill(&world->profiles[p].storage[n], lost);
    }
    world->damage = false;
}

// ---- profiles -----------------------------------------------------------------------------

static void profile_copied(act *a) {
    tm_world *world = a->world;
    uint32_t from = profile_of(a), to = 0;
    while (to < TM_SIM_PROFILES_MAX && world->profiles[to].used) {
        to++;
    }
    if (to == TM_SIM_PROFILES_MAX) return;
    tm_sim_strike(world, TM_SIM_PROFILE_COPIED, NULL);
    tm_sim_profile *copy = &world->profiles[to];
    copy->used = true;
    tm_sim_note_profile(world, TM_SIM_NOTE_COPY, from, to);
    copy->clock = world->profiles[from].clock;
    copy->asleep_until_ms = world->profiles[from].asleep_until_ms;
    memcpy(copy->damaged, world->profiles[from].damaged, sizeof copy->damaged);
    for (uint32_t n = 0; n < TM_SIM_ACCOUNTS; n++) {
        tm_storage_copy(&copy->storage[n], &world->profiles[from].storage[n]);
        if (copy->storage[n].places[0].count + copy->storage[n].places[1].count > 0)
            (void)tm_sim_page_open(world, to, n);
    }
}

// A backup of the whole profile is made, and another time it is what there is.
static void profile_back(act *a) {
    tm_world *world = a->world;
    uint32_t p = profile_of(a);
    tm_sim_profile *profile = &world->profiles[p];
    if (!profile->has_saved) {
        for (uint32_t n = 0; n < TM_SIM_ACCOUNTS; n++) {
            tm_storage_copy(&profile->saved[n], &profile->storage[n]);
        }
        profile->has_saved = true;
        return;
    }
    tm_sim_strike(world, TM_SIM_PROFILE_RESTORED, NULL);
    for (size_t i = 0; i < TM_SIM_PAGES_MAX; i++) {
        tm_sim_page *page = &world->pages[i];
        if (!page->alive || page->profile != p) continue;
        tm_sim_at(world, world->now_ms + 500,
                  (tm_sim_event){
                      .kind = TM_SIM_EVENT_OPEN, .who = p, .arg = page->account});
        tm_sim_page_die(world, page);
    }
    world->damage = true;
    for (uint32_t n = 0; n < TM_SIM_ACCOUNTS; n++) {
        tm_storage *storage = &profile->storage[n];
        storage->now_ms = world->now_ms;
        tm_storage_clear(storage, TM_PLACE_LOCAL, TM_SPAN(""));
        tm_storage_clear(storage, TM_PLACE_DISK, TM_SPAN(""));
        tm_storage_copy(storage, &profile->saved[n]);
        tm_storage_deinit(&profile->saved[n]);
    }
    world->damage = false;
    profile->has_saved = false;
}

// ---- storage ------------------------------------------------------------------------------

static tm_storage *storage_of(act *a) {
    tm_storage *storage = &a->world->profiles[profile_of(a)].storage[account_of(a)];
    storage->now_ms = a->world->now_ms;
    return storage;
}

static void refuses(act *a, tm_place place) {
    tm_storage *storage = storage_of(a);
    storage->refuses[place] = !storage->refuses[place];
    tm_sim_tell(a->world, "storage", "%s %s writes",
                place == TM_PLACE_LOCAL ? "local" : "disk",
                storage->refuses[place] ? "refuses" : "takes");
}

static void clear(act *a) {
    tm_storage *storage = storage_of(a);
    uint64_t what = below(a, 5);
    tm_world *world = a->world;
    world->damage = true;
    if (what != 1) tm_storage_clear(storage, TM_PLACE_LOCAL, TM_SPAN(""));
    if (what == 1 || what > 3)
        tm_storage_clear(storage, TM_PLACE_DISK, TM_SPAN(""));
    world->damage = false;
    tm_sim_strike(world,
                  what == 1  ? TM_SIM_DISK_CLEARED
                  : what > 3 ? TM_SIM_ALL_CLEARED
                             : TM_SIM_LOCAL_CLEARED,
                  NULL);
}

// Damage meets storage whose pages do not run: else they would write over it.
static const tm_storage_record *record_of(act *a, tm_storage **storage,
                                          tm_place *place) {
    *storage = storage_of(a);
    *place = below(a, 2) == 0 ? TM_PLACE_LOCAL : TM_PLACE_DISK;
    size_t count = (*storage)->places[*place].count;
    return count == 0 ? NULL : &(*storage)->places[*place].items[below(a, count)];
}

static void key_lost(act *a) {
    tm_storage *storage;
    tm_place place;
    const tm_storage_record *record = record_of(a, &storage, &place);
    if (record == NULL) return;
    tm_sim_strike(a->world, TM_SIM_KEY_LOST, NULL);
    tm_sim_tell(a->world, "storage", "loses %.*s", (int)record->key.len,
                (const char *)record->key.ptr);
    uint8_t *key = tm_sim_copy(record->key);
    tm_span name = {key, record->key.len};
    a->world->damage = true;
    tm_storage_remove(storage, place, name);
    a->world->damage = false;
    free(key);
}

static void value_put(act *a, tm_storage *storage, tm_place place,
                      const tm_storage_record *record, tm_span value) {
    uint8_t *key = tm_sim_copy(record->key), *text = tm_sim_copy(value);
    tm_span name = {key, record->key.len};
    tm_sim_tell(a->world, "storage", "%.*s becomes %.*s", (int)name.len,
                (const char *)name.ptr, (int)(value.len > 200 ? 200 : value.len),
                (const char *)value.ptr);
    a->world->damage = true;
    tm_storage_put(storage, place, name, (tm_span){text, value.len});
    a->world->damage = false;
    free(key);
    free(text);
}

static void value_cut(act *a) {
    tm_storage *storage;
    tm_place place;
    const tm_storage_record *record = record_of(a, &storage, &place);
    if (record == NULL || record->value.len == 0) return;
    tm_sim_strike(a->world, TM_SIM_VALUE_CUT, NULL);
    value_put(a, storage, place, record,
              (tm_span){record->value.ptr, below(a, record->value.len)});
}

// A build from the future stored it, and was taken back.
static void newer_record(act *a) {
    tm_storage *storage = storage_of(a);
    const tm_storage_record *record =
        tm_storage_get(storage, TM_PLACE_DISK, TM_SPAN("base"));
    if (record == NULL) return;
    tm_buf text = {.alloc = &tm_sim_alloc};
    static const char old[] = "{\"format\":1,", fresh[] = "{\"format\":9,";
    for (size_t i = 0; i < record->value.len;) {
        bool here = record->value.len - i >= sizeof old - 1 &&
                    memcmp(record->value.ptr + i, old, sizeof old - 1) == 0;
        if (here) tm_buf_text(&text, fresh);
        if (!here) tm_buf_byte(&text, record->value.ptr[i]);
        i += here ? sizeof old - 1 : 1;
    }
    tm_sim_strike(a->world, TM_SIM_NEWER_RECORD, NULL);
    value_put(a, storage, TM_PLACE_DISK, record, tm_buf_span(&text));
    tm_buf_deinit(&text);
}

#define BEGUN "{\"next\":1,\"decided\":0,\"timestamp\":0,\"logical\":0"

// As its first page wrote it, which knew whether there was a disk.
static tm_span begun(tm_span value) {
    static const char disk[] = "\"disk\":1";
    for (size_t i = 0; i + sizeof disk <= value.len; i++) {
        if (memcmp(value.ptr + i, disk, sizeof disk - 1) == 0) {
            return TM_SPAN(BEGUN ",\"disk\":1}");
        }
    }
    return TM_SPAN(BEGUN "}");
}

// The record of a writer is an old one in both places: its counter begins again.
static void counter_reset(act *a) {
    tm_storage *storage = storage_of(a);
    tm_span rest;
    bool found = false;
    a->world->damage = true;
    for (int place = 0; place < 2; place++) {
        tm_storage_place *records = &storage->places[place];
        for (size_t i = 0; i < records->count; i++) {
            if (!tm_storage_prefix(records->items[i].key, "writer/", &rest))
                continue;
            value_put(a, storage, (tm_place)place, &records->items[i],
                      begun(records->items[i].value));
            found = true;
        }
    }
    a->world->damage = false;
    if (found) tm_sim_strike(a->world, TM_SIM_COUNTER_RESET, NULL);
}

// A page opens where one of the two places is missing.
static void open_tab(act *a) {
    uint32_t p = profile_of(a), account = account_of(a);
    tm_sim_profile *profile = &a->world->profiles[p];
    uint64_t lack = a->world->plan.missing ? below(a, 12) : 9;
    profile->no_disk = lack == 0;
    profile->no_local = lack == 1;
    if (profile->no_local) profile->storage[account].refuses[TM_PLACE_LOCAL] = true;
    if (profile->no_disk || profile->no_local) { // for all its pages, so they close
        for (size_t i = 0; i < TM_SIM_PAGES_MAX; i++) {
            tm_sim_page *page = &a->world->pages[i];
            if (page->alive && page->profile == p) tm_sim_page_die(a->world, page);
        }
    }
    (void)tm_sim_page_open(a->world, p, account);
}

// ---- who they are -------------------------------------------------------------------------

static void user_switched(act *a) {
    tm_sim_page *page = page_of(a);
    if (page == NULL || a->world->plan.accounts < 2) return;
    uint32_t profile = page->profile;
    uint32_t account = (page->account + 1) % a->world->plan.accounts;
    tm_sim_strike(a->world, TM_SIM_OTHER_USER, page);
    tm_sim_page_die(a->world, page);
    (void)tm_sim_page_open(a->world, profile, account);
}

static void token_expires(act *a) {
    tm_sim_page *page = page_of(a);
    if (page == NULL) return;
    bool busy = page->save_ref != 0;
    tm_sim_strike(a->world, busy ? TM_SIM_TOKEN_IN_BATCH : TM_SIM_TOKEN_EXPIRED,
                  page);
    page->token_bad = true;
}

// ---- network and clocks ---------------------------------------------------------------------

static void partition(act *a) {
    static const tm_sim_fault faults[3] = {TM_SIM_PARTITION, TM_SIM_PARTITION_UP,
                                           TM_SIM_PARTITION_DOWN};
    tm_sim_profile *profile = &a->world->profiles[profile_of(a)];
    profile->cut = (int)below(a, 3);
    profile->cut_until_ms =
        a->world->now_ms + 500 + tm_sim_tail(&a->random, 5000, 600000);
    tm_sim_strike(a->world, faults[profile->cut], NULL);
}

static tm_sim_conn *conn_of(act *a) {
    uint32_t count = 0;
    tm_sim_conn *conn = a->world->conns;
    for (; conn != NULL; conn = conn->next) {
        count += conn->conn != NULL && !conn->cut;
    }
    if (count == 0) return NULL;
    uint32_t want = a->step->who % count;
    for (conn = a->world->conns; conn != NULL; conn = conn->next) {
        if (conn->conn == NULL || conn->cut) continue;
        if (want-- == 0) return conn;
    }
    return NULL;
}

static void half_open(act *a) {
    tm_sim_conn *conn = conn_of(a);
    if (conn == NULL) return;
    tm_sim_strike(a->world, TM_SIM_HALF_OPEN, &a->world->pages[conn->page]);
    uint64_t way = below(a, 3);
    if (way != 1) conn->up_dead = true;
    if (way != 0) conn->down_dead = true;
}

static void reset(act *a) {
    tm_sim_conn *conn = conn_of(a);
    if (conn == NULL) return;
    tm_sim_strike(a->world, TM_SIM_RESET, &a->world->pages[conn->page]);
    tm_sim_net_reset(a->world, conn);
}

static void slow(act *a) {
    tm_sim_conn *conn = conn_of(a);
    if (conn == NULL) return;
    tm_sim_strike(a->world, TM_SIM_SLOW_READER, &a->world->pages[conn->page]);
    conn->slow_until_ms = a->world->now_ms + 1000 + below(a, 60000);
    tm_sim_at(a->world, conn->slow_until_ms,
              (tm_sim_event){.kind = TM_SIM_EVENT_FLOW, .arg = conn->number});
}

static void clock_change(act *a, tm_sim_clock *clock, tm_sim_fault jump) {
    tm_now now = tm_sim_clock_now(clock, a->world->now_ms);
    switch (below(a, 6)) {
    case 0:
        clock->frozen_ms = clock->frozen_ms != 0 ? 0 : now.wall_ms + 1;
        tm_sim_strike(a->world, TM_SIM_FROZEN_CLOCK, NULL);
        break;
    case 1:
        clock->drift_from_ms = a->world->now_ms;
        clock->drift_ppm = (int64_t)below(a, 20000) - 10000;
        tm_sim_strike(a->world, TM_SIM_DRIFT, NULL);
        break;
    case 2:
        clock->grain_ms = 1 + (uint32_t)below(a, 2000);
        tm_sim_strike(a->world, TM_SIM_COARSE_CLOCK, NULL);
        break;
    case 3: {
        int64_t years = 1 + (int64_t)below(a, 100);
        clock->offset_ms += (below(a, 2) == 0 ? years : -years) * YEAR_MS;
        tm_sim_strike(a->world, TM_SIM_CENTURY, NULL);
        break;
    }
    case 4: // it is put right
        clock->offset_ms = 0;
        clock->drift_ppm = 0;
        clock->frozen_ms = 0;
        break;
    default: {
        int64_t ms = 1000 + (int64_t)tm_sim_tail(&a->random, 2000, 86400000);
        clock->offset_ms += below(a, 2) == 0 ? ms : -ms;
        tm_sim_strike(a->world, jump, NULL);
    }
    }
    tm_sim_note_clocks(a->world);
}

static void sleeps(act *a, tm_sim_profile *profile, uint64_t ms) {
    if (profile->asleep_until_ms > a->world->now_ms) return;
    tm_sim_strike(a->world, TM_SIM_SUSPENDED, NULL);
    profile->asleep_until_ms = a->world->now_ms + ms;
    profile->clock.slept_ms += ms; // the monotonic clock stands still meanwhile
}

static void suspended(act *a) {
    tm_sim_profile *profile = &a->world->profiles[profile_of(a)];
    sleeps(a, profile, 1000 + tm_sim_tail(&a->random, 60000, 28800000));
}

// Nobody does anything until the next step; for long, and the devices sleep too.
#define LONG_MS 600000u
static void wait(act *a) {
    tm_world *world = a->world;
    if (world->steps_done >= world->step_count) return;
    uint64_t next = world->steps[world->steps_done].at_ms;
    if (next < world->now_ms + LONG_MS) return;
    for (uint32_t p = 0; p < TM_SIM_PROFILES_MAX; p++) {
        if (world->profiles[p].used)
            sleeps(a, &world->profiles[p], next - world->now_ms - below(a, 30000));
    }
}

// ---- the server ---------------------------------------------------------------------------

static void drain(act *a) {
    tm_sim_server *server = &a->world->server;
    if (server->service == NULL || server->draining) return;
    tm_sim_strike(a->world, TM_SIM_DRAIN, NULL);
    server->draining = true;
    tm_service_stop(server->service, tm_sim_server_now(a->world));
    tm_sim_server_after(a->world);
    if (server->service == NULL) return;
    tm_sim_at(a->world, a->world->now_ms + 500 + below(a, 5000),
              (tm_sim_event){.kind = TM_SIM_EVENT_STOP, .arg = server->life});
}

static void no_memory(act *a) {
    tm_sim_server *server = &a->world->server;
    if (server->service == NULL) return;
    server->ram.refuse_in = 1 + tm_sim_tail(&a->random, 20, 2000);
    server->ram.refuse_count = 1 + below(a, 4);
    tm_sim_strike(a->world, TM_SIM_NO_MEMORY, NULL);
}

static void store_fails(act *a) {
    tm_sim_keeper *keeper = &a->world->server.keeper;
    if (a->world->server.service == NULL) return;
    if (below(a, 3) != 0) {
        keeper->store_fails = 1 + (uint32_t)below(a, 20);
        return;
    }
    keeper->broken = true;
    tm_sim_strike(a->world, TM_SIM_STORE_BROKEN, NULL);
    tm_sim_at(
        a->world, a->world->now_ms + 1000 + below(a, 60000),
        (tm_sim_event){.kind = TM_SIM_EVENT_STOP, .arg = a->world->server.life});
}

static void disk_fault(act *a) {
    const tm_sim_backend *backend = a->world->config->backend;
    if (backend->fail == NULL) return;
    uint64_t count = TM_SIM_DISK_CRASH - TM_SIM_DISK_EIO + 1;
    backend->fail(backend->context,
                  (tm_sim_fault)(TM_SIM_DISK_EIO + below(a, count)),
                  1 + tm_sim_tail(&a->random, 10, 400));
}

static void bound(act *a) {
    tm_world *world = a->world;
    if (world->server.service == NULL) return;
    uint32_t max = below(a, 3) == 0 ? 0 : 1 + (uint32_t)below(a, 5);
    if (max != 0) tm_sim_strike(world, TM_SIM_PART_ACCEPTED, NULL);
    world->plan.push_ops_max = max;
    tm_service_tune(world->server.service)->push_ops_max = max;
    tm_sim_note_world(world, TM_SIM_NOTE_BOUND, 0, max, (tm_span){NULL, 0});
}

// ---- all ----------------------------------------------------------------------------------

static void page_note(act *a, tm_sim_step_kind kind) {
    tm_sim_page *page = page_of(a);
    if (page == NULL) return;
    if (kind == TM_SIM_STEP_DIES_IN_SAVE) page->die_in = 1 + (uint32_t)below(a, 6);
    if (kind == TM_SIM_STEP_WRONG_USER)
        page->wrong_user_once = a->world->plan.accounts > 1;
    if (kind != TM_SIM_STEP_THROTTLE) return;
    tm_sim_strike(a->world, TM_SIM_THROTTLED, page);
    page->throttled_until_ms = a->world->now_ms + 60000 + below(a, 600000);
    tm_engine_visible(page->engine, tm_sim_page_now(a->world, page), false);
    tm_sim_page_settle(a->world, page);
}

static void server_crash(act *a) {
    if (a->world->server.service == NULL) return;
    tm_sim_strike(a->world, TM_SIM_CRASH, NULL);
    tm_sim_server_die(a->world, true);
}

void tm_sim_step_do(tm_world *world, const tm_sim_step *step) {
    act a = {world, step, {step->arg}};
    tm_sim_hash(world, 500u + step->kind, (tm_span){NULL, 0});
    switch (step->kind) {
    case TM_SIM_STEP_EDIT:
        edits(&a, 1);
        break;
    case TM_SIM_STEP_BATCH:
        batch(&a);
        break;
    case TM_SIM_STEP_BURST:
        edits(&a, 20 + below(&a, 120));
        break;
    case TM_SIM_STEP_OPEN:
        open_tab(&a);
        break;
    case TM_SIM_STEP_CLOSE:
        tab_dies(&a, true);
        break;
    case TM_SIM_STEP_TAB_DIES:
        tab_dies(&a, false);
        break;
    case TM_SIM_STEP_KILL:
        browser_killed(&a);
        break;
    case TM_SIM_STEP_COPY:
        profile_copied(&a);
        break;
    case TM_SIM_STEP_PROFILE_BACK:
        profile_back(&a);
        break;
    case TM_SIM_STEP_SLEEP_PAGE:
        page_sleeps(&a);
        break;
    case TM_SIM_STEP_QUOTA:
        refuses(&a, TM_PLACE_LOCAL);
        break;
    case TM_SIM_STEP_DISK_REFUSES:
        refuses(&a, TM_PLACE_DISK);
        break;
    case TM_SIM_STEP_CLEAR:
        clear(&a);
        break;
    case TM_SIM_STEP_LOSE_KEY:
        key_lost(&a);
        break;
    case TM_SIM_STEP_CUT_VALUE:
        value_cut(&a);
        break;
    case TM_SIM_STEP_NEWER:
        newer_record(&a);
        break;
    case TM_SIM_STEP_RESET_COUNTER:
        counter_reset(&a);
        break;
    case TM_SIM_STEP_SWITCH_USER:
        user_switched(&a);
        break;
    case TM_SIM_STEP_EXPIRE:
        token_expires(&a);
        break;
    case TM_SIM_STEP_DIES_IN_SAVE:
    case TM_SIM_STEP_WRONG_USER:
    case TM_SIM_STEP_THROTTLE:
        page_note(&a, step->kind);
        break;
    case TM_SIM_STEP_PARTITION:
        partition(&a);
        break;
    case TM_SIM_STEP_HALF_OPEN:
        half_open(&a);
        break;
    case TM_SIM_STEP_RESET:
        reset(&a);
        break;
    case TM_SIM_STEP_SLOW:
        slow(&a);
        break;
    case TM_SIM_STEP_CLOCK:
        clock_change(&a, &world->profiles[profile_of(&a)].clock,
                     TM_SIM_CLIENT_CLOCK);
        break;
    case TM_SIM_STEP_SERVER_CLOCK:
        world->server.clock_changed = true;
        clock_change(&a, &world->server.clock, TM_SIM_SERVER_CLOCK);
        break;
    case TM_SIM_STEP_SUSPEND:
        suspended(&a);
        break;
    case TM_SIM_STEP_CRASH:
        server_crash(&a);
        break;
    case TM_SIM_STEP_CRASH_IN_APPEND:
        world->server.keeper.crash_in = 1 + (uint32_t)below(&a, 4);
        break;
    case TM_SIM_STEP_DRAIN:
        drain(&a);
        break;
    case TM_SIM_STEP_NO_MEMORY:
        no_memory(&a);
        break;
    case TM_SIM_STEP_STORE_FAILS:
        store_fails(&a);
        break;
    case TM_SIM_STEP_DISK_FAULT:
        disk_fault(&a);
        break;
    case TM_SIM_STEP_BOUND:
        bound(&a);
        break;
    case TM_SIM_STEP_COMPACT:
        tm_sim_server_compact(world, account_of(&a));
        break;
    case TM_SIM_STEP_BACKUP:
        tm_sim_server_backup(world);
        break;
    case TM_SIM_STEP_RESTORE:
        tm_sim_server_restore(world, false);
        break;
    case TM_SIM_STEP_EMPTY:
        tm_sim_server_restore(world, true);
        break;
    case TM_SIM_STEP_NEWER_CLIENT:
        tm_sim_newer_client(world, &a.random, account_of(&a));
        break;
    case TM_SIM_STEP_HOSTILE:
        tm_sim_hostile(world, &a.random);
        break;
    case TM_SIM_STEP_WAIT:
        wait(&a);
        break;
    case TM_SIM_STEPS:
        break;
    }
}
