// heal.c - see world.h: the faults end. Within bounded time all confirmed states are equal
// and all queues empty (I14), nothing that was kept is missing (I5), the log replays (I1),
// and then nobody says anything but heartbeats (I15). A seed whose faults do not end is
// looked at for safety alone.
#include "sim/world.h"

#include <string.h>

#define SETTLE_MS                                                                  \
    (20u * 60000u) // back-offs end after 30 s, refused transactions after 60
#define ROUND_MS 5000u
#define IDLE_MS  90000u

static void network_mend(tm_world *world) {
    for (tm_sim_conn *conn = world->conns; conn != NULL; conn = conn->next) {
        conn->slow_until_ms = 0;
        if (conn->up_dead || conn->down_dead) tm_sim_net_reset(world, conn);
        tm_sim_net_flow(world, conn);
    }
}

static void profiles_mend(tm_world *world) {
    for (uint32_t p = 0; p < TM_SIM_PROFILES_MAX; p++) {
        tm_sim_profile *profile = &world->profiles[p];
        profile->cut_until_ms = 0;
        profile->clock.frozen_ms = 0;
        profile->no_disk = profile->no_local = false;
        for (uint32_t a = 0; a < TM_SIM_ACCOUNTS; a++) {
            profile->storage[a].refuses[0] = profile->storage[a].refuses[1] = false;
        }
    }
}

static bool storage_used(const tm_storage *storage) {
    return storage->places[0].count + storage->places[1].count > 0;
}

static bool has_page(const tm_world *world, uint32_t profile, uint32_t account) {
    for (size_t i = 0; i < TM_SIM_PAGES_MAX; i++) {
        const tm_sim_page *page = &world->pages[i];
        if (page->alive && page->profile == profile && page->account == account)
            return true;
    }
    return false;
}

// Pages that lack what a page needs are closed; whoever has something stored comes back.
static void pages_mend(tm_world *world) {
    for (size_t i = 0; i < TM_SIM_PAGES_MAX; i++) {
        tm_sim_page *page = &world->pages[i];
        if (!page->alive) continue;
        page->throttled_until_ms = 0;
        page->die_in = 0;
        page->wrong_user_once = false;
        if (page->stopped || page->taken || !page->disk || !page->local)
            tm_sim_page_die(world, page);
    }
    for (uint32_t p = 0; p < TM_SIM_PROFILES_MAX; p++) {
        for (uint32_t a = 0; a < TM_SIM_ACCOUNTS; a++) {
            if (!storage_used(&world->profiles[p].storage[a])) continue;
            if (!has_page(world, p, a)) (void)tm_sim_page_open(world, p, a);
        }
    }
}

static void faults_end(tm_world *world) {
    const tm_sim_backend *backend = world->config->backend;
    world->calm = true;
    world->plan.push_ops_max = 0;
    if (backend->fail != NULL) backend->fail(backend->context, TM_SIM_DISK_EIO, 0);
    world->server.ram.refuse_in = 0;
    world->server.keeper.calm = true;
    world->server.keeper.store_fails = world->server.keeper.crash_in = 0;
    world->server.clock.frozen_ms = 0;
    if (world->server.service != NULL) {
        tm_service_tune(world->server.service)->push_ops_max = 0;
        // What broke stays broken until a restart.
        tm_sim_server_die(world, true);
    }
    profiles_mend(world);
    network_mend(world);
}

static bool page_equal(tm_world *world, tm_sim_page *page) {
    const tm_sim_account *account = &world->accounts[page->account];
    uint64_t cursor;
    const tm_list *c = tm_engine_confirmed(page->engine, &cursor);
    uint64_t head = tm_sim_history_head(account->history);
    tm_digest is = tm_list_digest(c),
              want = tm_sim_history_digest(account->history, head);
    return cursor == head && is.lo == want.lo && is.hi == want.hi &&
           tm_sim_page_live(world, page);
}

static tm_sim_page *unequal(tm_world *world) {
    for (size_t i = 0; i < TM_SIM_PAGES_MAX; i++) {
        tm_sim_page *page = &world->pages[i];
        if (page->alive && !page_equal(world, page)) return page;
    }
    return NULL;
}

static void equal_wait(tm_world *world) {
    uint64_t end = world->now_ms + SETTLE_MS;
    tm_sim_page *odd = NULL;
    tm_sim_looked(world, TM_SIM_I14);
    while (!tm_sim_over(world) && world->now_ms < end) {
        tm_sim_world_run(world, world->now_ms + ROUND_MS);
        if (tm_sim_over(world)) return;
        odd = unequal(world);
        if (odd == NULL && world->server.service != NULL) return;
    }
    if (tm_sim_over(world)) return;
    uint64_t cursor = 0;
    if (odd == NULL) {
        tm_sim_broken(world, TM_SIM_I14, "the server does not come back");
        return;
    }
    (void)tm_engine_confirmed(odd->engine, &cursor);
    tm_sim_broken(world, TM_SIM_I14,
                  "%u minutes after the faults ended %s is at %llu of %llu, with "
                  "%llu queued and "
                  "%llu to offer",
                  SETTLE_MS / 60000, tm_sim_page_name(world, odd),
                  (unsigned long long)cursor,
                  (unsigned long long)tm_sim_history_head(
                      world->accounts[odd->account].history),
                  (unsigned long long)tm_sim_page_number(world, odd, "pending"),
                  (unsigned long long)tm_sim_page_number(world, odd, "offered"));
}

// ---- what a page knew stays known ---------------------------------------------------------

// After a restore: whatever a page had confirmed, the server has it again, or something
// newer there.
// A server whose clock ran back gives what is offered smaller stamps than it had.
static bool reg_kept(const tm_reg *old, const tm_reg *now, bool clock) {
    return old->at.browser.len == 0 ||
           (now->at.browser.len > 0 && (!clock || now->at.time >= old->at.time));
}

static const char *lost_of(const tm_list *old, const tm_list *now, bool clock) {
    tm_reg was = tm_list_sort(old), is = tm_list_sort(now);
    if (!reg_kept(&was, &is, clock)) return "the sort direction";
    for (size_t i = 0; i < tm_list_count(old); i++) {
        const tm_item *item = tm_list_at(old, i);
        const tm_item *other = tm_list_find(now, tm_item_id(item));
        if (other == NULL) return "an item";
        if (other->dead) continue;
        if (item->dead) return "a deletion";
        tm_item_field field;
        for (size_t at = 0; tm_item_next(item, &at, &field);) {
            is = tm_item_reg(other, field.name);
            if (reg_kept(&field.reg, &is, clock)) continue;
            return field.name.len == 0 ? "an item's image" : "a field";
        }
    }
    return NULL;
}

typedef struct known { // what each page had confirmed when the faults ended
    tm_list *list[TM_SIM_PAGES_MAX];
    uint32_t account[TM_SIM_PAGES_MAX];
} known;

static void known_take(tm_world *world, known *k) {
    for (size_t i = 0; i < TM_SIM_PAGES_MAX; i++) {
        const tm_sim_page *page = &world->pages[i];
        uint64_t cursor;
        k->list[i] = NULL;
        if (!page->alive) continue;
        TM_ASSERT(tm_list_new(&tm_sim_alloc, (tm_seed){1, 2}, &k->list[i]) ==
                  TM_OK);
        TM_ASSERT(tm_list_join(k->list[i], tm_engine_confirmed(page->engine,
                                                               &cursor)) == TM_OK);
        k->account[i] = page->account;
    }
}

static void known_look(tm_world *world, known *k) {
    for (size_t i = 0; i < TM_SIM_PAGES_MAX; i++) {
        if (k->list[i] == NULL) continue;
        tm_sim_looked(world, TM_SIM_I8);
        const tm_list *now =
            tm_sim_history_list(world->accounts[k->account[i]].history);
        const char *lost = lost_of(k->list[i], now, !world->server.clock_changed);
        if (lost != NULL) {
            tm_sim_broken(
                world, strcmp(lost, "a deletion") == 0 ? TM_SIM_I8 : TM_SIM_I5,
                "%s that a page had confirmed is not on the server any more", lost);
        }
        tm_list_free(k->list[i]);
    }
}

// ---- silence ------------------------------------------------------------------------------

static void silence_look(tm_world *world) {
    uint64_t sent[TM_SIM_PAGES_MAX], saves = 0, requests, data;
    for (size_t i = 0; i < TM_SIM_PAGES_MAX; i++) {
        sent[i] = world->pages[i].sent;
        saves += world->pages[i].saves;
    }
    requests = world->server.keeper.requests;
    data = world->data_messages;
    tm_sim_world_run(world, world->now_ms + IDLE_MS);
    if (tm_sim_over(world)) return;
    tm_sim_looked(world, TM_SIM_I15);
    bool pulls = false, empty = false; // a list without content is not kept warm
    for (size_t i = 0; i < TM_SIM_PAGES_MAX; i++) {
        const tm_sim_page *page = &world->pages[i];
        saves -= page->saves;
        if (!page->alive) continue;
        bool push = page->channel == TM_CHANNEL_PUSH;
        uint64_t head = tm_sim_history_head(world->accounts[page->account].history);
        pulls = pulls || !push;
        empty = empty || (!push && head == 0);
        uint64_t beats =
            IDLE_MS / 20000 + 2; // one in 20 s, and one for the last cursor
        if (page->channel == TM_CHANNEL_PUSH && page->sent - sent[i] > beats) {
            tm_sim_broken(
                world, TM_SIM_I15, "%s sent %llu messages in %u idle seconds",
                tm_sim_page_name(world, page),
                (unsigned long long)(page->sent - sent[i]), IDLE_MS / 1000);
        }
    }
    if (saves != 0)
        tm_sim_broken(world, TM_SIM_I15, "somebody saved in an idle world");
    if (!empty && world->server.keeper.requests != requests) {
        tm_sim_broken(
            world, TM_SIM_I15, "the store was asked %llu times in an idle world",
            (unsigned long long)(world->server.keeper.requests - requests));
    }
    if (!pulls && world->data_messages != data) {
        tm_sim_broken(world, TM_SIM_I15,
                      "the server said %llu things in an idle world",
                      (unsigned long long)(world->data_messages - data));
    }
}

// ---- the end ------------------------------------------------------------------------------

static void lists_replay(tm_world *world) {
    char why[256];
    for (uint32_t a = 0; a < TM_SIM_ACCOUNTS; a++) {
        tm_sim_looked(world, TM_SIM_I1);
        tm_sim_looked(world, TM_SIM_I8);
        if (!tm_sim_history_shuffled(world->accounts[a].history, world->seed + a,
                                     why))
            tm_sim_broken(world,
                          strstr(why, "lives") != NULL ? TM_SIM_I8 : TM_SIM_I1,
                          "%s", why);
    }
}

static void views_look(tm_world *world) {
    for (size_t i = 0; i < TM_SIM_PAGES_MAX; i++) {
        tm_sim_page *page = &world->pages[i];
        if (!page->alive) continue;
        tm_sim_look_page(world, page, true);
        tm_sim_look_view(world, page, true);
    }
}

// What is still stored of queues, for whoever reads the story.
static void storage_tell(tm_world *world) {
    tm_span rest;
    if (world->config->story == NULL) return;
    for (uint32_t p = 0; p < TM_SIM_PROFILES_MAX; p++) {
        for (uint32_t n = 0; n < 2 * TM_SIM_ACCOUNTS; n++) {
            const tm_storage_place *place =
                &world->profiles[p].storage[n / 2].places[n % 2];
            for (size_t i = 0; i < place->count; i++) {
                const tm_storage_record *record = &place->items[i];
                if (!tm_storage_prefix(record->key, "op/", &rest)) continue;
                tm_sim_tell(world, n % 2 == 0 ? "local" : "disk",
                            "of %c still has %.*s", (char)('A' + p),
                            (int)record->value.len,
                            (const char *)record->value.ptr);
            }
        }
    }
}

// Every page that lives may sleep or be frozen: time goes on until it wakes.
static uint64_t all_awake_ms(const tm_world *world) {
    uint64_t at = world->now_ms;
    for (size_t i = 0; i < TM_SIM_PAGES_MAX; i++) {
        const tm_sim_page *page = &world->pages[i];
        if (page->alive && tm_sim_page_wakes(world, page) > at)
            at = tm_sim_page_wakes(world, page);
    }
    for (uint32_t p = 0; p < TM_SIM_PROFILES_MAX; p++) {
        if (world->profiles[p].asleep_until_ms > at)
            at = world->profiles[p].asleep_until_ms;
    }
    return at;
}

void tm_sim_heal(tm_world *world) {
    known k;
    if (world->plan.unbounded) {
        lists_replay(world);
        return;
    }
    tm_sim_tell(world, "world", "the faults end");
    tm_sim_world_run(world, all_awake_ms(world));
    if (tm_sim_over(world)) return;
    faults_end(world);
    tm_sim_world_run(world, world->now_ms + 1000);
    pages_mend(world);
    known_take(world, &k);
    equal_wait(world);
    lists_replay(world);
    known_look(world, &k);
    if (tm_sim_over(world)) return;
    tm_sim_world_run(world, world->now_ms + 15000); // the windows end
    // One that was refused by its disk till now may have had to load what another stored.
    equal_wait(world);
    if (tm_sim_over(world)) return;
    views_look(world);
    storage_tell(world);
    tm_sim_ghost_check(world, "when all had met");
    // A request that was delivered minutes late may still be under way.
    tm_sim_world_run(world, world->now_ms + 700000);
    if (!tm_sim_over(world)) silence_look(world);
}
