// page.c - see world.h: one tab, as the package's host runs it: an engine, its locks, its
// transactions one at a time, its timers.
#include "sim/world.h"

#include <stdlib.h>
#include <string.h>

#include "client/words.h"

#define EVENTS_MAX  100000u
#define THROTTLE_MS 60000u

static const tm_span nothing = {NULL, 0};

tm_storage *tm_sim_page_storage(tm_world *world, const tm_sim_page *page) {
    tm_storage *storage = &world->profiles[page->profile].storage[page->account];
    storage->now_ms = world->now_ms;
    return storage;
}

tm_now tm_sim_page_now(const tm_world *world, const tm_sim_page *page) {
    return tm_sim_clock_now(&world->profiles[page->profile].clock, world->now_ms);
}

uint64_t tm_sim_page_wakes(const tm_world *world, const tm_sim_page *page) {
    uint64_t at = world->profiles[page->profile].asleep_until_ms;
    return at > page->frozen_until_ms ? at : page->frozen_until_ms;
}

bool tm_sim_page_awake(const tm_world *world, const tm_sim_page *page) {
    return world->now_ms >= tm_sim_page_wakes(world, page);
}

static tm_sim_event page_event(const tm_world *world, const tm_sim_page *page,
                               tm_sim_event_kind kind, uint64_t arg) {
    return (tm_sim_event){.kind = kind,
                          .who = (uint32_t)(page - world->pages),
                          .life = page->life,
                          .arg = arg};
}

// ---- locks --------------------------------------------------------------------------------

static bool page_holds(const tm_sim_page *page, tm_span writer) {
    for (size_t i = 0; i < page->lock_count; i++) {
        const tm_sim_lock *lock = &page->locks[i];
        if (lock->len == writer.len &&
            memcmp(lock->name, writer.ptr, writer.len) == 0)
            return true;
    }
    return false;
}

static bool is_held(const tm_world *world, const tm_sim_page *page,
                    tm_span writer) {
    for (size_t i = 0; i < TM_SIM_PAGES_MAX; i++) {
        const tm_sim_page *other = &world->pages[i];
        if (!other->alive || other->profile != page->profile ||
            other->account != page->account) {
            continue;
        }
        if (page_holds(other, writer)) return true;
    }
    return false;
}

static void hold(tm_sim_page *page, tm_span writer) {
    if (writer.len > 64 || page_holds(page, writer)) return;
    page->locks = tm_sim_grow(page->locks, page->lock_count, &page->lock_cap,
                              sizeof *page->locks);
    tm_sim_lock *lock = &page->locks[page->lock_count++];
    memcpy(lock->name, writer.ptr, writer.len);
    lock->len = writer.len;
}

// ---- storage ------------------------------------------------------------------------------

// Whether the page dies in this write, before it is done.
static bool dies_here(tm_world *world, tm_sim_page *page) {
    if (page->doomed) return true;
    if (page->die_in == 0 || --page->die_in > 0) return false;
    page->doomed = true;
    tm_sim_strike(world, TM_SIM_TAB_DIED_IN_SAVE, page);
    return true;
}

// The ghosts in a record are in this page's memory from now on.
static void memory_note(tm_world *world, tm_sim_page *page, tm_span value) {
    tm_arena arena = {.alloc = &tm_sim_alloc};
    tm_doc doc;
    tm_json in;
    tm_op op;
    if (tm_doc_parse(value, &arena, &doc) == TM_OK) {
        tm_doc_array(&doc, TM_WORD_OPERATIONS, &in, &arena);
        while (tm_json_element(&in) && tm_op_read(&in, &op) == TM_OK) {
            tm_sim_ghost *ghost = tm_sim_ghost_make(world, op.id, page->account);
            if (world->making) {
                ghost->made = true;
                ghost->author = page;
                ghost->author_life = page->life;
            }
            ghost->memory |= UINT64_C(1) << (page - world->pages);
        }
    }
    tm_arena_deinit(&arena);
}

static void keep_do(tm_world *world, tm_sim_page *page, const tm_event *event) {
    tm_storage *storage = tm_sim_page_storage(world, page);
    if (dies_here(world, page)) return;
    bool refused = storage->refuses[TM_PLACE_LOCAL];
    if (refused && !world->profiles[page->profile].no_local)
        tm_sim_strike(world, TM_SIM_QUOTA, page);
    tm_sim_hash(world, 10, event->value);
    if (world->making) memory_note(world, page, event->value);
    if (!refused) tm_storage_put(storage, TM_PLACE_LOCAL, event->key, event->value);
    tm_engine_kept(page->engine, event->key, !refused);
}

static void forget_do(tm_world *world, tm_sim_page *page, const tm_event *event) {
    if (dies_here(world, page)) return;
    tm_sim_hash(world, 11, event->key);
    tm_storage_remove(tm_sim_page_storage(world, page), TM_PLACE_LOCAL, event->key);
}

static void commit_begin(tm_world *world, tm_sim_page *page,
                         const tm_event *event) {
    free(page->commit);
    page->commit = tm_sim_copy(event->value);
    page->commit_len = event->value.len;
    page->ticket = event->ticket;
    uint64_t ms = tm_sim_tail(&page->random, world->plan.commit_ms,
                              world->plan.commit_ms * 16u);
    tm_sim_at(world, world->now_ms + ms,
              page_event(world, page, TM_SIM_EVENT_COMMIT, event->ticket));
}

// SEMANTICS 6, fork: the queue under its new name and the new name's own record are
// stored in one write.
static void renamed_look(tm_world *world, const tm_sim_page *page) {
    uint8_t key[7 + TM_SIM_ID_MAX] = "writer/";
    size_t len = world->renamed_len;
    tm_span record = {key, 7 + len};
    world->renamed_len = 0;
    if (len == 0 || world->profiles[page->profile].damaged[page->account]) return;
    memcpy(key + 7, world->renamed, len);
    tm_sim_looked(world, TM_SIM_I5);
    const tm_storage *storage = tm_sim_page_storage(world, page);
    for (int place = 0; place < 2;
         place++) { // it may be local's when a page adopts
        if (tm_storage_get(storage, (tm_place)place, record) != NULL) return;
    }
    tm_sim_broken(world, TM_SIM_I5,
                  "%s stored its queue under the name %.*s, and not that name",
                  tm_sim_page_name(world, page), (int)len,
                  (const char *)world->renamed);
}

// The transaction runs; the page hears of it at once, or dies before that.
static void commit_run(tm_world *world, tm_sim_page *page) {
    tm_storage *storage = tm_sim_page_storage(world, page);
    uint8_t *text = page->commit;
    uint64_t cursor;
    if (text == NULL) return;
    bool before = dies_here(world, page);
    if (before) return;
    if (storage->refuses[TM_PLACE_DISK])
        tm_sim_strike(world, TM_SIM_DISK_REFUSED, page);
    tm_span transaction = {text, page->commit_len};
    tm_sim_hash(world, 12, transaction);
    page->commit = NULL;
    world->storing = page;
    tm_committed outcome = tm_storage_commit(storage, transaction, &cursor);
    world->storing = NULL;
    // A page whose C is another's past takes that one up, and offers what was in its own.
    if (outcome != TM_COMMITTED) world->left = NULL;
    tm_sim_ghost_left(world, storage);
    static const char *const words[] = {"is on disk", "is on disk but its C",
                                        "is on disk but its older C", "failed"};
    tm_sim_tell(world, tm_sim_page_name(world, page), "transaction %s: %.*s",
                words[outcome],
                (int)(page->commit_len > 400 ? 400 : page->commit_len),
                (const char *)text);
    free(text);
    renamed_look(world, page);
    if (dies_here(world, page)) return;
    tm_engine_committed(page->engine, tm_sim_page_now(world, page), page->ticket,
                        outcome, cursor);
}

static void records_load(tm_world *world, tm_sim_page *page, tm_place place) {
    const tm_storage *storage = tm_sim_page_storage(world, page);
    for (size_t i = 0; i < storage->places[place].count; i++) {
        const tm_storage_record *record = &storage->places[place].items[i];
        TM_ASSERT(tm_engine_load(page->engine, place, record->key, record->value) ==
                  TM_OK);
    }
}

static void memory_note_writer(tm_world *world, tm_sim_page *page, tm_span writer,
                               bool load) {
    const tm_storage *storage = tm_sim_page_storage(world, page);
    tm_arena arena = {.alloc = &tm_sim_alloc};
    tm_span rest;
    for (int place = 0; place < 2; place++) {
        if (place == TM_PLACE_DISK && !page->disk) continue;
        if (place == TM_PLACE_LOCAL && !page->local) continue;
        for (size_t i = 0; i < storage->places[place].count; i++) {
            const tm_storage_record *record = &storage->places[place].items[i];
            tm_span owner = tm_storage_owner(record->key, record->value, &arena);
            if (owner.len == 0 || tm_span_cmp(owner, writer) != 0) continue;
            if (load) {
                TM_ASSERT(tm_engine_load(page->engine, (tm_place)place, record->key,
                                         record->value) == TM_OK);
            }
            if (tm_storage_prefix(record->key, "op/", &rest))
                memory_note(world, page, record->value);
        }
    }
    tm_arena_deinit(&arena);
}

// ---- adopting -----------------------------------------------------------------------------

static size_t free_writers(tm_world *world, const tm_sim_page *page,
                           tm_arena *arena, tm_span **writers) {
    bool there[2] = {page->local, page->disk};
    size_t count = tm_storage_writers(tm_sim_page_storage(world, page), there,
                                      arena, writers),
           kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_held(world, page, (*writers)[i]))
            (*writers)[kept++] = (*writers)[i];
    }
    return kept;
}

void tm_sim_page_adopt(tm_world *world, tm_sim_page *page) {
    tm_arena arena = {.alloc = &tm_sim_alloc};
    tm_span *writers;
    if (page->reloading) { // the engine takes one thing at a time
        tm_sim_at(world, world->now_ms + 50,
                  page_event(world, page, TM_SIM_EVENT_ADOPT, 0));
        return;
    }
    size_t count = free_writers(world, page, &arena, &writers);
    for (size_t i = 0; i < count; i++) {
        hold(page, writers[i]);
        memory_note_writer(world, page, writers[i], true);
        tm_sim_tell(world, tm_sim_page_name(world, page), "adopts %.*s",
                    (int)writers[i].len, (const char *)writers[i].ptr);
        TM_ASSERT(tm_engine_adopt(page->engine, tm_sim_page_now(world, page),
                                  writers[i]) == TM_OK);
        tm_sim_page_settle(world, page);
        if (!page->alive) break;
    }
    tm_arena_deinit(&arena);
}

// ---- events -------------------------------------------------------------------------------

static void problem_do(tm_world *world, tm_sim_page *page, const tm_event *event) {
    if (tm_text_is(event->key, "silent")) {
        tm_sim_net_drop(world, page);
        page->channel = TM_CHANNEL_NONE;
        tm_sim_net_reconnect(world, page, 100 + tm_sim_below(&page->net, 500));
    } else if (tm_text_is(event->key, "user")) {
        page->stopped = true; // its host begins another life
        tm_sim_at(world, world->now_ms + 5000,
                  page_event(world, page, TM_SIM_EVENT_THAW, 1));
    }
}

static void event_do(tm_world *world, tm_sim_page *page, const tm_event *event) {
    switch (event->kind) {
    case TM_EVENT_KEEP:
        keep_do(world, page, event);
        break;
    case TM_EVENT_FORGET:
        forget_do(world, page, event);
        break;
    case TM_EVENT_COMMIT:
        commit_begin(world, page, event);
        break;
    case TM_EVENT_WRITER:
        hold(page, event->key);
        break;
    case TM_EVENT_RELOAD:
        page->reloading = true;
        tm_sim_at(world, world->now_ms + tm_sim_below(&page->random, 40),
                  page_event(world, page, TM_SIM_EVENT_RELOAD, 0));
        break;
    case TM_EVENT_AUTHORIZE:
        page->token_bad = true;
        tm_sim_at(world, world->now_ms + tm_sim_below(&page->random, 3000),
                  page_event(world, page, TM_SIM_EVENT_TOKEN, 0));
        break;
    case TM_EVENT_PROBLEM:
        tm_sim_tell(world, tm_sim_page_name(world, page), "problem %.*s: %.*s",
                    (int)event->key.len, (const char *)event->key.ptr,
                    (int)event->value.len, (const char *)event->value.ptr);
        problem_do(world, page, event);
        break;
    case TM_EVENT_DIVERGED:
        tm_sim_broken(world, TM_SIM_I7, "%s found its state to differ: %.*s",
                      tm_sim_page_name(world, page),
                      (int)(event->value.len > 300 ? 300 : event->value.len),
                      (const char *)event->value.ptr);
        break;
    case TM_EVENT_DAMAGE:
        tm_sim_tell(world, tm_sim_page_name(world, page), "cannot read %.*s (%.*s)",
                    (int)event->key.len, (const char *)event->key.ptr,
                    (int)event->value.len, (const char *)event->value.ptr);
        break;
    case TM_EVENT_DEAD:
        tm_sim_tell(world, tm_sim_page_name(world, page),
                    "a dead letter: %.*s (%.*s)", (int)event->key.len,
                    (const char *)event->key.ptr, (int)event->value.len,
                    (const char *)event->value.ptr);
        break;
    default: // for people to see
        break;
    }
}

static void events_take(tm_world *world, tm_sim_page *page) {
    tm_event event;
    for (unsigned i = 0; !page->doomed && tm_engine_event(page->engine, &event);
         i++) {
        if (i > EVENTS_MAX) {
            tm_sim_broken(world, TM_SIM_I12, "%s: its events do not end",
                          tm_sim_page_name(world, page));
            return;
        }
        event_do(world, page, &event);
    }
}

static void timer_set(tm_world *world, tm_sim_page *page) {
    uint64_t at = tm_engine_deadline(page->engine);
    uint64_t mono = tm_sim_page_now(world, page).mono_ms;
    if (at == UINT64_MAX) return;
    at = world->now_ms + (at > mono ? at - mono : 0);
    if (page->throttled_until_ms > world->now_ms &&
        at < world->now_ms + THROTTLE_MS)
        at = world->now_ms + THROTTLE_MS;
    if (at >= page->tick_ms) return;
    page->tick_ms = at;
    tm_sim_at(world, at, page_event(world, page, TM_SIM_EVENT_TICK, at));
}

void tm_sim_page_settle(tm_world *world, tm_sim_page *page) {
    for (unsigned i = 0; !tm_sim_over(world); i++) {
        events_take(world, page);
        if (page->doomed) {
            tm_sim_page_die(world, page);
            return;
        }
        tm_send send = tm_engine_take(page->engine, tm_sim_page_now(world, page));
        if (send.kind == TM_SEND_NONE) break;
        if (i > 1000) {
            tm_sim_broken(world, TM_SIM_I12, "%s does not stop sending",
                          tm_sim_page_name(world, page));
            return;
        }
        tm_sim_net_send(world, page, &send);
    }
    events_take(world, page); // what taking brought about
    if (page->doomed) {
        tm_sim_page_die(world, page);
        return;
    }
    timer_set(world, page);
    if (page->settled++ % 8 == 0) {
        page->pending = tm_sim_page_number(world, page, "pending");
        page->offered = tm_sim_page_number(world, page, "offered");
    }
}

void tm_sim_page_channel(tm_world *world, tm_sim_page *page, tm_channel channel) {
    static const char *const words[] = {"none", "poll", "long poll", "push"};
    page->channel = channel;
    page->save_ref = page->pull_ref = 0;
    tm_sim_tell(world, tm_sim_page_name(world, page), "channel: %s",
                words[channel]);
    tm_engine_channel(page->engine, tm_sim_page_now(world, page), channel);
    tm_sim_page_settle(world, page);
}

static void reload_do(tm_world *world, tm_sim_page *page) {
    records_load(world, page, TM_PLACE_DISK);
    page->reloading = false;
    TM_ASSERT(tm_engine_reloaded(page->engine, tm_sim_page_now(world, page)) ==
              TM_OK);
}

static void timeout_do(tm_world *world, tm_sim_page *page, uint64_t ref) {
    bool save = ref == page->save_ref;
    if (ref == 0 || (!save && ref != page->pull_ref)) return;
    *(save ? &page->save_ref : &page->pull_ref) = 0;
    tm_sim_tell(world, tm_sim_page_name(world, page), "no answer came");
    tm_engine_answer(page->engine, tm_sim_page_now(world, page), ref, 0, nothing);
}

// A page that slept wakes up. If another took its writer meanwhile, its host notices when
// the page is used, and another life begins.
static void thaw_do(tm_world *world, tm_sim_page *page, bool again) {
    if (!again && !page->taken) {
        tm_engine_visible(page->engine, tm_sim_page_now(world, page), true);
        return;
    }
    uint32_t profile = page->profile, account = page->account;
    tm_sim_page_die(world, page);
    (void)tm_sim_page_open(world, profile, account);
}

void tm_sim_page_event(tm_world *world, tm_sim_page *page,
                       const tm_sim_event *event) {
    tm_now now = tm_sim_page_now(world, page);
    uint32_t life = page->life;
    if (page->taken && event->kind != TM_SIM_EVENT_THAW) return;
    switch (event->kind) {
    case TM_SIM_EVENT_TICK:
        if (event->arg != page->tick_ms) return;
        page->tick_ms = TM_SIM_NEVER;
        tm_engine_tick(page->engine, now);
        break;
    case TM_SIM_EVENT_COMMIT:
        if (event->arg == page->ticket) commit_run(world, page);
        break;
    case TM_SIM_EVENT_TIMEOUT:
        timeout_do(world, page, event->arg);
        break;
    case TM_SIM_EVENT_CONNECT:
        tm_sim_net_connect(world, page);
        break;
    case TM_SIM_EVENT_LATCH:
        tm_sim_net_latch(world, page);
        break;
    case TM_SIM_EVENT_CLOSED:
        tm_sim_net_closed(world, page, event->arg);
        break;
    case TM_SIM_EVENT_RELOAD:
        reload_do(world, page);
        break;
    case TM_SIM_EVENT_ADOPT:
        tm_sim_page_adopt(world, page);
        break;
    case TM_SIM_EVENT_TOKEN:
        page->token_bad = false;
        tm_engine_authorized(page->engine, now);
        break;
    case TM_SIM_EVENT_THAW:
        thaw_do(world, page, event->arg != 0);
        break;
    default:
        return;
    }
    if (page->alive && page->life == life) tm_sim_page_settle(world, page);
}

// ---- life -------------------------------------------------------------------------------

static tm_sim_page *slot_find(tm_world *world) {
    uint32_t open = 0;
    for (size_t i = 0; i < TM_SIM_PAGES_MAX; i++) {
        open += world->pages[i].alive;
    }
    if (open >= TM_SIM_TABS_MAX && !world->calm) return NULL;
    for (size_t i = 0; i < TM_SIM_PAGES_MAX; i++) {
        if (!world->pages[i].alive) return &world->pages[i];
    }
    return NULL;
}

static void page_clean(tm_world *world, tm_sim_page *page, uint32_t profile,
                       uint32_t account) {
    tm_sim_lock *locks = page->locks;
    size_t cap = page->lock_cap;
    uint32_t life = page->life + 1, slot = (uint32_t)(page - world->pages);
    *page = (tm_sim_page){.alive = true,
                          .life = life,
                          .profile = profile,
                          .account = account,
                          .locks = locks,
                          .lock_cap = cap,
                          .tick_ms = TM_SIM_NEVER};
    page->random = tm_sim_stream(world->seed, 1000 + slot * 1000 + life);
    page->net = tm_sim_stream(world->seed, 500000 + slot * 1000 + life);
    page->alloc = tm_sim_ram_alloc(&page->ram);
}

static bool has_tab(const tm_world *world, uint32_t profile, uint32_t account) {
    for (size_t i = 0; i < TM_SIM_PAGES_MAX; i++) {
        const tm_sim_page *page = &world->pages[i];
        if (page->alive && page->profile == profile && page->account == account)
            return true;
    }
    return false;
}

static void engine_start(tm_world *world, tm_sim_page *page) {
    const tm_sim_profile *profile = &world->profiles[page->profile];
    tm_arena arena = {.alloc = &tm_sim_alloc};
    tm_span *writers;
    if (!profile->no_local) records_load(world, page, TM_PLACE_LOCAL);
    if (page->disk) records_load(world, page, TM_PLACE_DISK);
    size_t count = free_writers(world, page, &arena, &writers);
    for (size_t i = 0; i < count; i++) {
        hold(page, writers[i]);
        memory_note_writer(world, page, writers[i], false);
        TM_ASSERT(tm_engine_adopt(page->engine, tm_sim_page_now(world, page),
                                  writers[i]) == TM_OK);
    }
    tm_arena_deinit(&arena);
    uint32_t flags = (page->disk ? (uint32_t)TM_START_DISK : 0) |
                     (profile->no_local ? (uint32_t)TM_START_NO_LOCAL : 0);
    TM_ASSERT(tm_engine_start(page->engine, tm_sim_page_now(world, page), nothing,
                              flags) == TM_OK);
}

tm_sim_page *tm_sim_page_open(tm_world *world, uint32_t profile, uint32_t account) {
    tm_sim_page *page = slot_find(world);
    const tm_sim_profile *p = &world->profiles[profile];
    if (page == NULL || !p->used) return NULL;
    if (world->now_ms < p->asleep_until_ms) {
        tm_sim_at(world, p->asleep_until_ms,
                  (tm_sim_event){
                      .kind = TM_SIM_EVENT_OPEN, .who = profile, .arg = account});
        return NULL;
    }
    bool second = has_tab(world, profile, account);
    page_clean(world, page, profile, account);
    page->disk = !p->no_disk;
    page->local = !p->no_local;
    if (second) tm_sim_strike(world, TM_SIM_TWO_TABS, page);
    if (p->no_disk) tm_sim_strike(world, TM_SIM_NO_DISK, page);
    if (p->no_local) tm_sim_strike(world, TM_SIM_NO_LOCAL, page);
    tm_engine_config config = {.alloc = &page->alloc,
                               .user = world->accounts[account].key.user,
                               .list = world->accounts[account].key.list};
    tm_sim_fill(&page->random, config.seed, sizeof config.seed);
    TM_ASSERT(tm_engine_new(&config, &page->engine) == TM_OK);
    tm_sim_tell(world, tm_sim_page_name(world, page), "opens the list of %.*s/%.*s",
                (int)config.user.len, (const char *)config.user.ptr,
                (int)config.list.len, (const char *)config.list.ptr);
    if (world->config->story != NULL) {
        const tm_storage *storage = tm_sim_page_storage(world, page);
        for (int place = 0; place < 2; place++) {
            for (size_t i = 0; i < storage->places[place].count; i++) {
                const tm_storage_record *r = &storage->places[place].items[i];
                tm_sim_tell(world, place == 0 ? "local" : "disk", "%.*s = %.*s",
                            (int)r->key.len, (const char *)r->key.ptr,
                            (int)(r->value.len > 1500 ? 1500 : r->value.len),
                            (const char *)r->value.ptr);
            }
        }
    }
    tm_sim_note_page(world, TM_SIM_NOTE_OPEN, page, 0, nothing);
    engine_start(world, page);
    tm_sim_page_settle(world, page);
    if (page->alive)
        tm_sim_net_reconnect(world, page, tm_sim_below(&page->net, 300));
    return page->alive ? page : NULL;
}

void tm_sim_page_die(tm_world *world, tm_sim_page *page) {
    tm_sim_tell(world, tm_sim_page_name(world, page), "is gone");
    tm_sim_note_page(world, TM_SIM_NOTE_DIE, page, 0, nothing);
    tm_sim_net_drop(world, page);
    page->alive = false;
    page->lock_count = 0;
    free(page->commit);
    page->commit = NULL;
    tm_engine_free(page->engine);
    page->engine = NULL;
    tm_sim_looked(world, TM_SIM_I12);
    if (page->ram.live != 0) {
        tm_sim_broken(world, TM_SIM_I12, "an engine left %llu blocks of memory",
                      (unsigned long long)page->ram.live);
    }
    tm_sim_ghost_page(world, page);
    for (size_t i = 0; i < TM_SIM_PAGES_MAX;
         i++) { // who waits for its locks gets them
        tm_sim_page *other = &world->pages[i];
        if (!other->alive || other->profile != page->profile ||
            other->account != page->account) {
            continue;
        }
        tm_sim_at(world, world->now_ms + tm_sim_below(&other->random, 100),
                  page_event(world, other, TM_SIM_EVENT_ADOPT, 0));
    }
}

// ---- what people do -------------------------------------------------------------------------

// What the author had seen, if C is what the log says.
static void seen_note(tm_world *world, tm_sim_page *page, size_t first) {
    const tm_sim_account *account = &world->accounts[page->account];
    uint64_t cursor;
    const tm_list *c = tm_engine_confirmed(page->engine, &cursor);
    if (cursor == 0 || cursor > tm_sim_history_head(account->history)) return;
    tm_digest is = tm_list_digest(c);
    tm_digest want = tm_sim_history_digest(account->history, cursor);
    if (is.lo != want.lo || is.hi != want.hi) return;
    for (size_t i = first; i < world->ghost_count; i++) {
        tm_sim_ghost *ghost = world->ghosts[i];
        ghost->seen_in = account->incarnation + 1;
        ghost->seen_time = tm_sim_history_at(account->history, cursor)->max_time;
    }
}

void tm_sim_page_edit(tm_world *world, tm_sim_page *page, tm_span edit) {
    size_t first = world->ghost_count;
    tm_sim_note_page(world, TM_SIM_NOTE_EDIT, page, 0, edit);
    tm_status status =
        tm_engine_edit(page->engine, tm_sim_page_now(world, page), edit, NULL);
    world->result->edits++;
    tm_sim_tell(world, tm_sim_page_name(world, page), "edits %.*s%s", (int)edit.len,
                (const char *)edit.ptr, status == TM_E_GONE ? ": gone" : "");
    if (status != TM_OK && status != TM_E_GONE) {
        tm_span why = tm_engine_problem(page->engine);
        tm_sim_broken(world, TM_SIM_OWN, "an edit was refused: %.*s: %.*s",
                      (int)why.len, (const char *)why.ptr, (int)edit.len,
                      (const char *)edit.ptr);
        return;
    }
    page->edited_ms = tm_sim_page_now(world, page).mono_ms;
    world->making = true;
    events_take(world, page);
    world->making = false;
    seen_note(world, page, first);
    tm_sim_page_settle(world, page);
}

// What stands behind `key` in what the page says of itself; empty: nothing.
static tm_span status_find(tm_world *world, tm_sim_page *page, const char *key) {
    tm_span json;
    size_t len = strlen(key);
    if (tm_engine_status(page->engine, tm_sim_page_now(world, page), &json) !=
        TM_OK)
        return (tm_span){NULL, 0};
    for (size_t i = 0; i + len < json.len; i++) {
        if (memcmp(json.ptr + i, key, len) != 0) continue;
        return (tm_span){json.ptr + i + len, json.len - i - len};
    }
    return (tm_span){NULL, 0};
}

uint64_t tm_sim_page_number(tm_world *world, tm_sim_page *page,
                            const char *member) {
    char key[32];
    uint64_t number = 0;
    (void)snprintf(key, sizeof key, "\"%s\":", member);
    tm_span rest = status_find(world, page, key);
    for (size_t i = 0; i < rest.len && rest.ptr[i] >= '0' && rest.ptr[i] <= '9';
         i++) {
        number = number * 10 + (uint64_t)(rest.ptr[i] - '0');
    }
    return number;
}

bool tm_sim_page_live(tm_world *world, tm_sim_page *page) {
    return status_find(world, page, "\"phase\":\"live\"").len > 0;
}
