// servers.c - see servers.h.
#include "sim/servers.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "client/words.h"
#include "service/doorbell.h"
#include "service/service.h"
#include "sim/history.h"
#include "sim/many.h"
#include "sim/ram.h"

const char *tm_sim_table_fault_text(tm_sim_table_fault fault) {
    static const char *const texts[] = {
#define X(name, what) what,
        TM_SIM_TABLE_FAULT_LIST(X)
#undef X
    };
    return texts[fault];
}

const char *tm_sim_many_fault_text(tm_sim_many_fault fault) {
    static const char *const texts[] = {
#define X(name, what) what,
        TM_SIM_MANY_FAULT_LIST(X)
#undef X
    };
    return texts[fault];
}

// ---- the story, and what breaks -------------------------------------------------------

void tm_many_tell(tm_many *m, const char *format, ...) {
    char line[320];
    va_list values;
    va_start(values, format);
    int len = vsnprintf(line, sizeof line, format, values);
    va_end(values);
    for (int i = 0; i < len && line[i] != '\0'; i++) {
        m->result->hash =
            tm_sim_mix(m->result->hash ^ (uint8_t)line[i] ^ m->now_ms);
    }
    if (m->story == NULL) return;
    fprintf(m->story, "%9.3f  %s\n", (double)m->now_ms / 1000.0, line);
}

void tm_many_broken(tm_many *m, tm_sim_invariant invariant, const char *format,
                    ...) {
    if (m->result->broken != TM_SIM_FINE) return;
    va_list values;
    va_start(values, format);
    (void)vsnprintf(m->result->what, sizeof m->result->what, format, values);
    va_end(values);
    m->result->broken = invariant;
    m->result->broken_ms = m->now_ms;
    tm_many_tell(m, "BROKEN %s: %s", tm_sim_invariant_name(invariant),
                 m->result->what);
}

bool tm_many_fate(tm_many *m, tm_sim_many_fault fault) {
    if (m->calm || !tm_sim_chance(&m->random, m->rate[fault])) return false;
    m->result->faults[fault]++;
    tm_many_tell(m, "** %s", tm_sim_many_fault_text(fault));
    return true;
}

// ---- events ---------------------------------------------------------------------------

void tm_many_at(tm_many *m, uint64_t at_ms, tm_many_event event) {
    m->events =
        tm_sim_grow(m->events, m->event_count, &m->event_cap, sizeof *m->events);
    event.at_ms = at_ms;
    event.order = m->order++;
    m->events[m->event_count++] = event;
}

static size_t event_next(const tm_many *m) {
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < m->event_count; i++) {
        const tm_many_event *e = &m->events[i];
        const tm_many_event *b = best == SIZE_MAX ? NULL : &m->events[best];
        if (b == NULL || e->at_ms < b->at_ms ||
            (e->at_ms == b->at_ms && e->order < b->order)) {
            best = i;
        }
    }
    return best;
}

// ---- the doorbell ---------------------------------------------------------------------

static uint32_t list_of(tm_key key) {
    return key.list.len > 0 ? (uint32_t)(key.list.ptr[key.list.len - 1] - '0') : 0;
}

static void ring_send(tm_many *m, uint32_t to, uint32_t list, uint64_t head) {
    uint64_t in_ms = tm_sim_tail(&m->random, 20, m->calm ? 20 : 20000);
    tm_many_at(m, m->now_ms + in_ms,
               (tm_many_event){.kind = TM_MANY_RING,
                               .who = to,
                               .life = m->servers[to].life,
                               .arg = head,
                               .list = list});
}

static void bell_ring(void *context, tm_key key, uint64_t head) {
    tm_many_server *from = context;
    tm_many *m = from->many;
    uint32_t list = list_of(key);
    if (list >= TM_MANY_LISTS) return;
    if (head > m->bell_heads[list]) m->bell_heads[list] = head;
    for (uint32_t i = 0; i < m->server_count; i++) {
        if (&m->servers[i] == from || !m->servers[i].hears) continue;
        // A lost one is a lost connection: it comes back, and that is told.
        if (tm_many_fate(m, TM_SIM_MANY_RING_LOST)) {
            tm_many_server_deaf(m, i, tm_sim_tail(&m->random, 500, 60000));
            continue;
        }
        ring_send(m, i, list, head);
        if (tm_many_fate(m, TM_SIM_MANY_RING_TWICE)) ring_send(m, i, list, head);
        if (tm_many_fate(m, TM_SIM_MANY_RING_INVENTED)) {
            ring_send(m, i, list, head + 1 + tm_sim_below(&m->random, 100));
        }
    }
}

static void bell_ask(void *context, tm_key key) {
    tm_many_server *from = context;
    tm_many *m = from->many;
    uint32_t list = list_of(key);
    if (list < TM_MANY_LISTS) {
        ring_send(m, (uint32_t)(from - m->servers), list, m->bell_heads[list]);
    }
}

// ---- servers --------------------------------------------------------------------------

tm_now tm_many_server_now(const tm_many *m, const tm_many_server *server) {
    uint64_t wall = TM_MANY_START_MS + m->now_ms;
    return (tm_now){(uint64_t)((int64_t)wall + server->offset_ms),
                    5000 + m->now_ms};
}

static void random_fill(void *context, uint8_t *bytes, size_t len) {
    tm_many_server *server = context;
    tm_sim_fill(&server->random, bytes, len);
}

void tm_many_server_hear(tm_many *m, uint32_t number) {
    tm_many_server *server = &m->servers[number];
    server->hears = true;
    if (server->service == NULL) return;
    tm_many_tell(m, "server %u hears the doorbell", number);
    tm_service_doorbell(server->service, tm_many_server_now(m, server),
                        &server->bell);
    tm_many_server_after(m, number);
}

void tm_many_server_deaf(tm_many *m, uint32_t number, uint64_t for_ms) {
    tm_many_server *server = &m->servers[number];
    server->hears = false;
    // The service learns of it between two calls.
    tm_many_at(
        m, m->now_ms,
        (tm_many_event){.kind = TM_MANY_DEAF, .who = number, .life = server->life});
    tm_many_at(
        m, m->now_ms + for_ms + 1,
        (tm_many_event){.kind = TM_MANY_HEAR, .who = number, .life = server->life});
}

void tm_many_server_boot(tm_many *m, uint32_t number) {
    tm_many_server *server = &m->servers[number];
    if (server->service != NULL) return;
    server->life++;
    server->store = tm_sim_tables_open(m->tables);
    tm_service_config config = {.alloc = &server->alloc,
                                .store = server->store,
                                .random = random_fill,
                                .random_context = server,
                                .snapshot_ops = m->snapshot_ops,
                                .push_ops_max = m->push_ops_max,
                                .shared = m->lie != TM_SIM_MANY_ALONE};
    TM_ASSERT(tm_service_new(&config, &server->service) == TM_OK);
    tm_many_tell(m, "server %u starts (life %" PRIu64 ")", number, server->life);
    server->hears = false;
    if (m->with_bell && m->lie != TM_SIM_MANY_ALONE) tm_many_server_hear(m, number);
}

static void call_forget(tm_many_server *server, const tm_many_call *call) {
    for (size_t i = 0; i < server->call_count; i++) {
        if (server->calls[i] != call) continue;
        server->calls[i] = server->calls[--server->call_count];
        return;
    }
}

static void effects_forget(tm_many_server *server) {
    tm_effect effect;
    while (tm_service_effect(server->service, &effect)) {
        if (effect.kind == TM_EFFECT_REPLY) {
            call_forget(server, effect.peer);
            free(effect.peer);
        }
        if (effect.frame != NULL) tm_frame_release(server->service, effect.frame);
    }
}

void tm_many_server_die(tm_many *m, uint32_t number) {
    tm_many_server *server = &m->servers[number];
    if (server->service == NULL) return;
    tm_many_tell(m, "server %u dies", number);
    for (unsigned i = 0;; i++) {
        TM_ASSERT(i < 10000);
        bool told = tm_sim_tables_die(server->store);
        effects_forget(server);
        if (!told && tm_service_idle(server->service)) break;
        if (!told) {
            tm_service_tick(server->service, tm_many_server_now(m, server));
        }
    }
    // Polls that still wait: their askers are gone.
    for (size_t i = 0; i < server->call_count; i++) {
        tm_service_cancel(server->service, server->calls[i]->ticket);
        free(server->calls[i]);
    }
    server->call_count = 0;
    effects_forget(server);
    tm_service_free(server->service);
    server->service = NULL;
    tm_sim_tables_close(server->store);
    server->store = NULL;
    if (server->ram.live != 0) {
        tm_many_broken(m, TM_SIM_I12, "server %u left %" PRIu64 " blocks of memory",
                       number, server->ram.live);
    }
}

// Its state is what the log adds up to.
static void state_look(tm_many *m, uint32_t number) {
    for (uint32_t i = 0; i < TM_MANY_LISTS; i++) {
        uint64_t head = 0;
        const tm_list *list =
            tm_service_list(m->servers[number].service, tm_many_key(m, i), &head);
        if (list == NULL || head == 0) continue;
        if (head > tm_sim_history_head(m->histories[i])) {
            tm_many_broken(m, TM_SIM_I6,
                           "server %u knows %" PRIu64 " operations, %" PRIu64
                           " are stored",
                           number, head, tm_sim_history_head(m->histories[i]));
            return;
        }
        tm_digest ours = tm_list_digest(list),
                  theirs = tm_sim_history_digest(m->histories[i], head);
        if (ours.lo != theirs.lo || ours.hi != theirs.hi) {
            tm_many_broken(m, TM_SIM_I1,
                           "server %u's state at %" PRIu64
                           " is not what the log adds up to",
                           number, head);
        }
    }
}

void tm_many_server_after(tm_many *m, uint32_t number) {
    tm_many_server *server = &m->servers[number];
    tm_effect effect;
    if (server->service == NULL) return;
    while (tm_service_effect(server->service, &effect)) {
        if (effect.kind == TM_EFFECT_REPLY) {
            tm_many_call *call = effect.peer;
            call_forget(server, call);
            tm_span body = {effect.frame->bytes, effect.frame->len};
            tm_many_client_answer(m, call, effect.status, body);
            free(call);
        }
        if (effect.frame != NULL) tm_frame_release(server->service, effect.frame);
    }
    state_look(m, number);
}

// ---- what is stored -------------------------------------------------------------------

static void op_stored(void *context, const tm_op *op) {
    tm_many *m = context;
    m->result->accepted++;
    tm_many_client_stored(m, op);
}

static void stored(void *context, tm_key key, const tm_batch *batch) {
    static const tm_sim_invariant numbers[10] = {
        [1] = TM_SIM_I1, [2] = TM_SIM_I2, [3] = TM_SIM_I3,
        [4] = TM_SIM_I4, [8] = TM_SIM_I8, [9] = TM_SIM_I9};
    tm_many *m = context;
    char why[256] = "";
    int wrong;
    uint32_t list = list_of(key);
    tm_many_tell(m, "seqs %" PRIu64 " to %" PRIu64 " of list %u are stored",
                 batch->first_seq, batch->last_seq, list);
    tm_sim_history_add(m->histories[list], batch, &wrong, why, op_stored, m);
    if (wrong != 0) tm_many_broken(m, numbers[wrong], "%s", why);
}

static void table_fault(void *context, tm_sim_table_fault fault) {
    tm_many *m = context;
    m->result->tables[fault]++;
    tm_many_tell(m, "** %s", tm_sim_table_fault_text(fault));
}

static uint64_t virtual_now(void *context) {
    return ((tm_many *)context)->now_ms;
}

tm_key tm_many_key(const tm_many *m, uint32_t list) {
    static const char *const names[TM_MANY_LISTS] = {"list-0", "list-1"};
    (void)m;
    return (tm_key){TM_SPAN("ann"),
                    {(const uint8_t *)names[list], strlen(names[list])}};
}

// ---- a run ----------------------------------------------------------------------------

static void chaos(tm_many *m) {
    uint32_t number = (uint32_t)tm_sim_below(&m->random, m->server_count);
    tm_many_server *server = &m->servers[number];
    if (m->calm) return;
    if (tm_many_fate(m, TM_SIM_MANY_SERVER_DIES)) {
        tm_many_server_die(m, number);
        tm_many_at(m, m->now_ms + 100 + tm_sim_tail(&m->random, 1000, 60000),
                   (tm_many_event){.kind = TM_MANY_BOOT, .who = number});
    }
    if (server->service != NULL && tm_many_fate(m, TM_SIM_MANY_SERVER_SLOW)) {
        bool fast = tm_sim_below(&m->random, 2) == 0;
        tm_sim_tables_slow(server->store,
                           fast ? 1 : 1 + (uint32_t)tm_sim_below(&m->random, 40));
    }
    if (tm_many_fate(m, TM_SIM_MANY_SERVER_CLOCK)) {
        server->offset_ms =
            (int64_t)tm_sim_tail(&m->random, 1000, UINT64_C(400) * 86400000);
        if (tm_sim_below(&m->random, 2) == 0) server->offset_ms *= -1;
    }
    if (server->hears && tm_many_fate(m, TM_SIM_MANY_BELL_AWAY)) {
        tm_many_server_deaf(m, number, tm_sim_tail(&m->random, 2000, 600000));
    }
    if (tm_many_fate(m, TM_SIM_MANY_BELL_EMPTY)) {
        memset(m->bell_heads, 0, sizeof m->bell_heads);
    }
    tm_many_at(m, m->now_ms + 200 + tm_sim_below(&m->random, 2000),
               (tm_many_event){.kind = TM_MANY_CHAOS});
}

static void event_do(tm_many *m, const tm_many_event *event) {
    tm_many_server *server = &m->servers[event->who % m->server_count];
    bool alive = server->service != NULL && server->life == event->life;
    switch (event->kind) {
    case TM_MANY_CLIENT:
        tm_many_client_act(m, event->who);
        break;
    case TM_MANY_REQUEST:
        tm_many_client_arrive(m, event);
        break;
    case TM_MANY_BOOT:
        tm_many_server_boot(m, event->who);
        break;
    case TM_MANY_CHAOS:
        chaos(m);
        break;
    case TM_MANY_DEAF:
        if (!alive || server->hears) break;
        tm_many_tell(m, "server %u hears nothing", event->who);
        tm_service_doorbell(server->service, tm_many_server_now(m, server), NULL);
        tm_many_server_after(m, event->who);
        break;
    case TM_MANY_HEAR:
        if (alive && !server->hears) tm_many_server_hear(m, event->who);
        break;
    case TM_MANY_RING:
        if (!alive || !server->hears) break;
        tm_service_rung(server->service, tm_many_server_now(m, server),
                        tm_many_key(m, event->list), event->arg);
        tm_many_server_after(m, event->who);
        break;
    }
}

static uint64_t server_due(const tm_many *m, const tm_many_server *server) {
    if (server->service == NULL) return UINT64_MAX;
    uint64_t tick = tm_service_deadline(server->service);
    uint64_t mono = tm_many_server_now(m, server).mono_ms;
    if (tick != UINT64_MAX) tick = m->now_ms + (tick > mono ? tick - mono : 0);
    uint64_t due = tm_sim_tables_due(server->store);
    return due < tick ? due : tick;
}

// One moment. false: nothing will ever happen.
static bool step(tm_many *m, uint64_t until_ms) {
    size_t event = event_next(m);
    uint64_t at = event == SIZE_MAX ? UINT64_MAX : m->events[event].at_ms;
    uint32_t who = UINT32_MAX;
    for (uint32_t i = 0; i < m->server_count; i++) {
        uint64_t due = server_due(m, &m->servers[i]);
        if (due >= at) continue;
        at = due;
        who = i;
    }
    bool late = tm_sim_tables_late(m->tables) < at;
    if (late) at = tm_sim_tables_late(m->tables);
    if (at > until_ms) return false;
    if (at > m->now_ms) m->now_ms = at;
    if (late) {
        tm_sim_tables_arrive(m->tables);
    } else if (who != UINT32_MAX) {
        tm_many_server *server = &m->servers[who];
        tm_service_tick(server->service, tm_many_server_now(m, server));
        tm_sim_tables_run(server->store);
        tm_many_server_after(m, who);
    } else {
        tm_many_event one = m->events[event];
        m->events[event] = m->events[--m->event_count];
        event_do(m, &one);
        free(one.bytes);
    }
    return m->result->broken == TM_SIM_FINE;
}

static void draw(tm_many *m) {
    tm_sim_random *random = &m->random;
    m->server_count = 2 + (uint32_t)tm_sim_below(random, 2);
    m->client_count = 2 + (uint32_t)tm_sim_below(random, TM_MANY_CLIENTS - 1);
    m->with_bell = tm_sim_below(random, 4) != 0;
    m->snapshot_ops = 5 + (uint32_t)tm_sim_below(random, 60);
    m->push_ops_max = tm_sim_below(random, 4) == 0 ? 2 : 0;
    m->gap_ms = 50 + (uint32_t)tm_sim_tail(random, 500, 8000);
    for (uint32_t i = 0; i < TM_SIM_MANY_FAULTS; i++) { // a subset
        bool on = tm_sim_below(random, 2) == 0;
        m->rate[i] = on ? 1000 + (uint32_t)tm_sim_below(random, 100000) : 0;
    }
    tm_sim_tables_config config = {
        .unconditional = m->lie == TM_SIM_MANY_UNCONDITIONAL,
        .past_reads = m->lie == TM_SIM_MANY_PAST_READS,
        .usual_ms = (uint32_t)tm_sim_tail(random, 10, 300),
        .late_ms = 1000 + (uint32_t)tm_sim_tail(random, 20000, 1800000),
        .stored = stored,
        .fault = table_fault,
        .now = virtual_now,
        .context = m};
    for (uint32_t i = 0; i < TM_SIM_TABLE_FAULTS; i++) {
        bool on = tm_sim_below(random, 2) == 0;
        config.rate[i] = on ? 1000 + (uint32_t)tm_sim_below(random, 150000) : 0;
    }
    m->tables = tm_sim_tables_new(&config, tm_sim_stream(m->seed, 2));
    for (uint32_t i = 0; i < m->server_count; i++) {
        tm_many_server *server = &m->servers[i];
        server->many = m;
        server->alloc = tm_sim_ram_alloc(&server->ram);
        server->random = tm_sim_stream(m->seed, 10 + i);
        server->bell = (tm_doorbell){bell_ring, bell_ask, server};
        server->offset_ms = (int64_t)tm_sim_below(random, 5000) - 2500;
        tm_many_server_boot(m, i);
    }
}

// Whether somebody asks this server for the list at the end: else it need not know.
static bool asked(const tm_many *m, uint32_t number, uint32_t list) {
    for (uint32_t i = 0; i < m->client_count; i++) {
        if (i % m->server_count == number && m->clients[i]->list == list)
            return true;
    }
    return false;
}

// The faults end: all is accepted, and everybody has it.
static void heal(tm_many *m) {
    m->calm = true;
    tm_sim_tables_calm(m->tables);
    tm_many_tell(m, "the faults end");
    for (uint32_t i = 0; i < m->server_count; i++) {
        tm_many_server_boot(m, i);
        tm_sim_tables_slow(m->servers[i].store, 1);
        if (!m->with_bell || m->lie == TM_SIM_MANY_ALONE) continue;
        m->servers[i].hears = false; // it comes back
        tm_many_server_hear(m, i);
    }
    uint64_t until = m->now_ms + UINT64_C(60) * 60000; // the latest put is in
    while (m->now_ms < until && step(m, until)) {
    }
    if (m->result->broken != TM_SIM_FINE) return;
    tm_many_client_end(m);
    for (uint32_t i = 0; i < m->server_count; i++) {
        for (uint32_t l = 0; l < TM_MANY_LISTS; l++) {
            uint64_t head = 0, want = tm_sim_history_head(m->histories[l]);
            if (want == 0 || !asked(m, i, l)) continue;
            const tm_list *list =
                tm_service_list(m->servers[i].service, tm_many_key(m, l), &head);
            if (list != NULL && head != want) {
                tm_many_broken(m, TM_SIM_I14,
                               "server %u is at %" PRIu64 " of %" PRIu64
                               " in list %u",
                               i, head, want, l);
            }
        }
    }
    for (uint32_t l = 0; l < TM_MANY_LISTS; l++) {
        char why[256] = "";
        if (!tm_sim_history_shuffled(m->histories[l], m->seed, why)) {
            tm_many_broken(m, TM_SIM_I1, "%s", why);
        }
    }
}

void tm_sim_many_run(uint64_t seed, tm_sim_many_lie lie, FILE *story,
                     tm_sim_many_result *result) {
    *result = (tm_sim_many_result){0};
    tm_many *m = calloc(1, sizeof *m);
    TM_ASSERT(m != NULL);
    m->seed = seed;
    m->lie = lie;
    m->story = story;
    m->result = result;
    m->random = tm_sim_stream(seed, 1);
    m->arena.alloc = &tm_sim_alloc;
    for (uint32_t i = 0; i < TM_MANY_LISTS; i++) {
        m->histories[i] = tm_sim_history_new();
    }
    draw(m);
    tm_many_client_start(m);
    tm_many_at(m, 1000, (tm_many_event){.kind = TM_MANY_CHAOS});
    uint64_t faults_ms = 60000 + tm_sim_below(&m->random, 240000);
    while (step(m, faults_ms)) {
    }
    if (m->result->broken == TM_SIM_FINE) {
        m->now_ms = faults_ms;
        heal(m);
    }
    result->virtual_ms = m->now_ms;
    for (uint32_t i = 0; i < m->server_count; i++) {
        tm_many_server_die(m, i);
        free(m->servers[i].calls);
    }
    for (size_t i = 0; i < m->event_count; i++) {
        free(m->events[i].bytes);
    }
    free(m->events);
    tm_many_client_free(m);
    for (uint32_t i = 0; i < TM_MANY_LISTS; i++) {
        tm_sim_history_free(m->histories[i]);
    }
    tm_sim_tables_free(m->tables);
    tm_arena_deinit(&m->arena);
    free(m);
}
