// server.c - see world.h: the service's process, as its host runs it. It dies at any moment;
// what its store had made durable is what the next one begins with, and is compared with
// what was seen to become durable (I6).
#include "sim/world.h"

#include <stdlib.h>
#include <string.h>

#include "client/words.h"

tm_now tm_sim_server_now(const tm_world *world) {
    return tm_sim_clock_now(&world->server.clock, world->now_ms);
}

// ---- what the keeper tells --------------------------------------------------------------

static uint32_t account_of(const tm_world *world, tm_key key) {
    for (uint32_t a = 0; a < TM_SIM_ACCOUNTS; a++) {
        const tm_key *own = &world->accounts[a].key;
        if (tm_span_cmp(own->user, key.user) == 0 &&
            tm_span_cmp(own->list, key.list) == 0) {
            return a;
        }
    }
    return TM_SIM_ACCOUNTS;
}

typedef struct added {
    tm_world *world;
    uint32_t account;
} added;

static void op_added(void *context, const tm_op *op) {
    added *a = context;
    tm_world *world = a->world;
    const tm_sim_account *account = &world->accounts[a->account];
    tm_sim_note_world(world, TM_SIM_NOTE_DURABLE, a->account, 0, op->raw);
    tm_sim_ghost *ghost = tm_sim_ghost_get(world, op->id);
    world->result->accepted++;
    tm_sim_looked(world, TM_SIM_I3);
    if (a->account == TM_SIM_HOSTILE_ACCOUNT) return;
    if (ghost == NULL || ghost->account != a->account) {
        tm_sim_looked(world, TM_SIM_I11);
        tm_sim_broken(world, TM_SIM_I11,
                      "%.*s is in the log of %.*s's list, and nobody there made it",
                      (int)op->id.len, (const char *)op->id.ptr,
                      (int)account->key.user.len,
                      (const char *)account->key.user.ptr);
        return;
    }
    ghost->logged = true;
    if (ghost->seen_in == account->incarnation + 1) {
        tm_sim_looked(world, TM_SIM_I9);
        if (op->at.time <= ghost->seen_time) {
            tm_sim_broken(world, TM_SIM_I9,
                          "%.*s got a time not above what its author had seen",
                          (int)op->id.len, (const char *)op->id.ptr);
        }
    }
}

static void batch_add(tm_world *world, uint32_t number, const tm_batch *batch) {
    static const tm_sim_invariant numbers[10] = {
        [1] = TM_SIM_I1, [2] = TM_SIM_I2, [3] = TM_SIM_I3,
        [4] = TM_SIM_I4, [8] = TM_SIM_I8, [9] = TM_SIM_I9};
    added context = {world, number};
    char why[256] = "";
    int wrong;
    tm_sim_looked(world, TM_SIM_I2);
    tm_sim_looked(world, TM_SIM_I4);
    // What is claimed from the future gets an earlier time, and once it is forgotten its
    // claim, sent again, looks younger than all that is: it is not searched for.
    if (world->server.clock_changed) {
        tm_sim_history_fold(world->accounts[number].history, UINT64_MAX);
    }
    tm_sim_history_add(world->accounts[number].history, batch, &wrong, why,
                       op_added, &context);
    if (wrong != 0) tm_sim_broken(world, numbers[wrong], "%s", why);
    tm_sim_hash(world, 2, batch->operations);
    if (batch->rejected.len > 2) {
        tm_sim_tell(world, "store", "with the rejections %.*s",
                    (int)batch->rejected.len, (const char *)batch->rejected.ptr);
    }
    tm_sim_tell(world, "store", "seqs %llu to %llu of %.*s/%.*s are durable",
                (unsigned long long)batch->first_seq,
                (unsigned long long)batch->last_seq,
                (int)world->accounts[number].key.user.len,
                (const char *)world->accounts[number].key.user.ptr,
                (int)world->accounts[number].key.list.len,
                (const char *)world->accounts[number].key.list.ptr);
}

static void saving(void *context, tm_key key, tm_span snapshot) {
    tm_world *world = context;
    uint32_t number = account_of(world, key);
    static const char word[] = "\"floor\":";
    uint64_t floor = 0;
    for (size_t i = 0; i + sizeof word < snapshot.len; i++) {
        if (memcmp(snapshot.ptr + i, word, sizeof word - 1) != 0) continue;
        for (i += sizeof word - 1;
             i < snapshot.len && snapshot.ptr[i] >= '0' && snapshot.ptr[i] <= '9';
             i++) {
            floor = floor * 10 + (uint64_t)(snapshot.ptr[i] - '0');
        }
        break;
    }
    if (number != TM_SIM_ACCOUNTS)
        tm_sim_history_fold(world->accounts[number].history, floor);
    if (number != TM_SIM_ACCOUNTS)
        tm_sim_note_world(world, TM_SIM_NOTE_COMPACT, number, 0,
                          (tm_span){NULL, 0});
}

static void keeper_fault(void *context, tm_sim_fault fault) {
    tm_sim_strike(context, fault, NULL);
}

static uint64_t keeper_now(void *context) {
    return ((tm_world *)context)->now_ms;
}

static bool keeper_unsynced(void *context) {
    const tm_sim_backend *backend = ((tm_world *)context)->config->backend;
    return backend->unsynced != NULL && backend->unsynced(backend->context);
}

// ---- what is durable, read again ----------------------------------------------------------

typedef struct comparing {
    tm_world *world;
    uint32_t account;
    bool same;
    uint64_t head;
} comparing;

static void batch_compare(void *context, const tm_batch *batch) {
    comparing *c = context;
    bool fresh = false;
    const tm_sim_account *account = &c->world->accounts[c->account];
    c->same = c->same && tm_sim_history_same(account->history, batch, &fresh);
    c->head = batch->last_seq;
    // What was under way when the process died may have made it.
    if (c->same && fresh) batch_add(c->world, c->account, batch);
}

// False: it could not be read now.
static bool log_compare(tm_world *world, uint32_t number) {
    tm_sim_account *account = &world->accounts[number];
    comparing c = {world, number, true, 0};
    tm_status status;
    uint64_t known = tm_sim_history_head(account->history);
    tm_sim_read_log(world->server.store, account->key, batch_compare, &c, &status);
    if (status != TM_OK) return false; // a fault of the disk: another time
    tm_sim_looked(world, TM_SIM_I6);
    if (!c.same || c.head < known) {
        tm_sim_broken(
            world, TM_SIM_I6,
            "of %.*s's log %llu operations were durable, and after a start "
            "it %s %llu",
            (int)account->key.user.len, (const char *)account->key.user.ptr,
            (unsigned long long)known,
            c.same ? "ends at" : "is another; it ends at",
            (unsigned long long)c.head);
    }
    return true;
}

static void logs_compare(tm_world *world) {
    bool read = true;
    for (uint32_t a = 0; a < TM_SIM_ACCOUNTS; a++) {
        read = log_compare(world, a) && read;
    }
    world->server.keeper.doubt = !read;
}

static void appended(void *context, tm_key key, const tm_batch *batch) {
    tm_world *world = context;
    uint32_t number = account_of(world, key);
    if (number == TM_SIM_ACCOUNTS)
        return; // a list of its own that a hostile one made
    uint64_t head = tm_sim_history_head(world->accounts[number].history);
    if (world->server.keeper.too_late) {
        tm_sim_broken(world, TM_SIM_I6,
                      "seqs %llu to %llu were told durable after a sync had failed",
                      (unsigned long long)batch->first_seq,
                      (unsigned long long)batch->last_seq);
        return;
    }
    if (world->server.keeper.doubt && batch->first_seq != head + 1) {
        (void)log_compare(world, number); // what was in doubt is there after all
        return;
    }
    batch_add(world, number, batch);
}

// ---- lives --------------------------------------------------------------------------------

static void random_fill(void *context, uint8_t *bytes, size_t len) {
    tm_world *world = context;
    tm_sim_fill(&world->server.random, bytes, len);
}

// Its version is used up; the policy does not learn in which of the user's lists.
static void refusal_note(tm_world *world, tm_span user, const tm_op *op) {
    for (uint32_t a = 0; a < TM_SIM_ACCOUNTS; a++) {
        tm_sim_account *account = &world->accounts[a];
        if (tm_span_cmp(account->key.user, user) != 0) continue;
        tm_sim_history_reject(account->history, op->at.browser, op->at.version);
    }
}

static tm_fault policy(void *context, tm_span user, const tm_op *op) {
    tm_world *world = context;
    if (!world->plan.policy) return TM_FAULT_NONE;
    for (uint32_t i = 0; i < op->field_count; i++) {
        tm_span value = op->fields[i].value;
        if (value.len > 0 && value.ptr[0] == '!') {
            tm_sim_strike(world, TM_SIM_REFUSED_BY_POLICY, NULL);
            refusal_note(world, user, op);
            return TM_FAULT_POLICY;
        }
    }
    return TM_FAULT_NONE;
}

static void boot_later(tm_world *world, uint64_t ms) {
    if (world->server.booting) return;
    world->server.booting = true;
    tm_sim_at(world, world->now_ms + ms, (tm_sim_event){.kind = TM_SIM_EVENT_BOOT});
}

void tm_sim_server_boot(tm_world *world) {
    tm_sim_server *server = &world->server;
    const tm_sim_backend *backend = world->config->backend;
    server->store = backend->open(backend->context, world->now_ms);
    if (server->store == NULL) {
        tm_sim_tell(world, "server", "the store does not open");
        boot_later(world, 2000);
        return;
    }
    server->life++;
    server->draining = false;
    server->ram.refuse_in = 0;
    tm_sim_keeper_init(&server->keeper, &world->plan,
                       tm_sim_stream(world->seed, 100 + server->life));
    server->keeper.inner = server->store;
    server->keeper.calm = world->calm;
    server->keeper.appended = appended;
    server->keeper.saving = saving;
    server->keeper.fault = keeper_fault;
    server->keeper.now = keeper_now;
    server->keeper.unsynced = keeper_unsynced;
    server->keeper.context = world;
    tm_service_config config = {.alloc = &server->alloc,
                                .store = &server->keeper.base,
                                .random = random_fill,
                                .random_context = world,
                                .policy = policy,
                                .policy_context = world,
                                .push_ops_max = world->plan.push_ops_max,
                                .floor_age_ms = world->plan.floor_age_ms,
                                .snapshot_ops = world->plan.snapshot_ops,
                                .queue_soft_max = world->plan.queue_soft_max};
    TM_ASSERT(tm_service_new(&config, &server->service) == TM_OK);
    server->tick_ms = server->store_ms = TM_SIM_NEVER;
    tm_sim_tell(world, "server", "starts (life %llu)",
                (unsigned long long)server->life);
    logs_compare(world);
    tm_sim_server_after(world);
}

static void effects_forget(tm_world *world) {
    tm_effect effect;
    while (tm_service_effect(world->server.service, &effect)) {
        if (effect.frame != NULL)
            tm_frame_release(world->server.service, effect.frame);
    }
}

void tm_sim_server_die(tm_world *world, bool crash) {
    tm_sim_server *server = &world->server;
    const tm_sim_backend *backend = world->config->backend;
    if (server->service == NULL) return;
    tm_sim_tell(world, "server", crash ? "dies" : "ends");
    tm_sim_note_world(world, TM_SIM_NOTE_CRASH, 0, 0, (tm_span){NULL, 0});
    tm_sim_keeper_die(&server->keeper);
    tm_sim_net_server_down(world);
    // A process that is gone allocates nothing; here it must be led to its end.
    server->ram.refuse_in = 0;
    for (unsigned i = 0; !tm_service_idle(server->service); i++) {
        TM_ASSERT(i < 10000);
        effects_forget(world);
        if (!tm_sim_keeper_flush(&server->keeper))
            tm_service_tick(server->service, tm_sim_server_now(world));
    }
    effects_forget(world);
    (void)tm_sim_keeper_flush(&server->keeper);
    tm_service_free(server->service);
    server->service = NULL;
    tm_sim_looked(world, TM_SIM_I12);
    if (server->ram.live != 0) {
        tm_sim_broken(world, TM_SIM_I12, "the service left %llu blocks of memory",
                      (unsigned long long)server->ram.live);
    }
    backend->close(backend->context, server->store, crash);
    server->store = NULL;
    while (server->calls != NULL) {
        tm_sim_call *call = server->calls;
        server->calls = call->next;
        free(call);
    }
    boot_later(world, tm_sim_tail(&server->random, 1000, 120000));
}

// ---- what it says -------------------------------------------------------------------------

static void call_end(tm_world *world, tm_sim_call *call) {
    tm_sim_call **at = &world->server.calls;
    while (*at != call) {
        at = &(*at)->next;
    }
    *at = call->next;
    free(call);
}

static void effect_do(tm_world *world, const tm_effect *effect) {
    tm_span text = {NULL, 0};
    if (effect->frame != NULL)
        text = (tm_span){effect->frame->bytes, effect->frame->len};
    if (effect->kind == TM_EFFECT_REPLY) {
        tm_sim_call *call = effect->peer;
        if (effect->status == 200) tm_sim_look_emitted(world, call->account, text);
        tm_sim_net_answer(world, call, effect->status, text, true);
        call_end(world, call);
        return;
    }
    tm_sim_conn *conn = effect->peer;
    if (effect->kind == TM_EFFECT_SEND) {
        tm_sim_look_emitted(world, conn->account, text);
        tm_sim_net_push(world, conn, text);
    } else {
        tm_sim_tell(world, "server", "closes a connection with %u", effect->status);
        tm_sim_net_reset(world, conn);
    }
}

static void timers_set(tm_world *world) {
    tm_sim_server *server = &world->server;
    uint64_t at = tm_service_deadline(server->service);
    uint64_t mono = tm_sim_server_now(world).mono_ms;
    if (at != UINT64_MAX) at = world->now_ms + (at > mono ? at - mono : 0);
    if (at != UINT64_MAX && at < server->tick_ms) {
        server->tick_ms = at;
        tm_sim_at(world, at,
                  (tm_sim_event){.kind = TM_SIM_EVENT_SERVER, .arg = server->life});
    }
    at = tm_sim_keeper_due(&server->keeper);
    if (at != UINT64_MAX && at < server->store_ms) {
        server->store_ms = at;
        tm_sim_at(world, at,
                  (tm_sim_event){.kind = TM_SIM_EVENT_STORE, .arg = server->life});
    }
}

static bool store_dead(const tm_world *world) {
    const tm_sim_backend *backend = world->config->backend;
    return backend->dead != NULL && backend->dead(backend->context);
}

// After some of them nothing is written any more until a restart.
static void disk_struck(tm_world *world) {
    const tm_sim_backend *backend = world->config->backend;
    uint64_t struck =
        backend->struck == NULL ? 0 : backend->struck(backend->context);
    if (struck == 0) return;
    for (unsigned i = 0; struck >> i != 0; i++) {
        if ((struck >> i & 1) != 0)
            tm_sim_strike(world, (tm_sim_fault)(TM_SIM_DISK_EIO + i), NULL);
    }
    tm_sim_at(world,
              world->now_ms + 1000 + tm_sim_below(&world->server.random, 60000),
              (tm_sim_event){.kind = TM_SIM_EVENT_STOP, .arg = world->server.life});
}

void tm_sim_server_after(tm_world *world) {
    tm_sim_server *server = &world->server;
    tm_effect effect;
    if (server->service == NULL) return;
    while (server->service != NULL && !server->keeper.doomed &&
           tm_service_effect(server->service, &effect)) {
        tm_frame *frame = effect.frame;
        effect_do(world, &effect);
        if (frame != NULL) tm_frame_release(server->service, frame);
    }
    disk_struck(world);
    if (server->keeper.doomed || store_dead(world)) {
        tm_sim_server_die(world, true);
        return;
    }
    if (server->keeper.doubt) logs_compare(world);
    timers_set(world);
}

// The store's clock goes on, and its background work with it.
static void store_work(tm_world *world) {
    const tm_sim_backend *backend = world->config->backend;
    if (backend->tell == NULL) return;
    backend->tell(backend->context, world->now_ms);
    for (int i = 0; i < 3; i++) {
        (void)tm_store_poll(world->server.store);
    }
}

void tm_sim_server_tick(tm_world *world) {
    tm_sim_server *server = &world->server;
    if (server->service == NULL) return;
    server->tick_ms = TM_SIM_NEVER;
    store_work(world);
    tm_service_tick(server->service, tm_sim_server_now(world));
    tm_sim_server_after(world);
}

void tm_sim_server_store(tm_world *world) {
    tm_sim_server *server = &world->server;
    if (server->service == NULL) return;
    server->store_ms = TM_SIM_NEVER;
    store_work(world);
    tm_service_tick(server->service, tm_sim_server_now(world));
    tm_sim_keeper_run(&server->keeper, world->now_ms);
    tm_sim_server_after(world);
}

void tm_sim_server_request(tm_world *world, const tm_sim_message *message) {
    tm_sim_server *server = &world->server;
    const tm_sim_account *account = &world->accounts[message->account];
    static const char *const paths[] = {"/v1/lists/selected-images/operations",
                                        "/v1/lists/second/operations"};
    tm_sim_call *call = calloc(1, sizeof *call);
    TM_ASSERT(call != NULL);
    tm_span text = {message->bytes, message->len};
    const char *path = paths[account->key.list.len == 6];
    *call = (tm_sim_call){.http = true,
                          .page = message->page,
                          .life = message->life,
                          .account = message->account,
                          .ref = message->ref,
                          .save = message->save,
                          .stray = message->stray,
                          .next = server->calls};
    server->calls = call;
    tm_request request = {.method = message->save ? TM_POST : TM_GET,
                          .path = {(const uint8_t *)path, strlen(path)},
                          .user = account->key.user,
                          .peer = call};
    *(message->save ? &request.body : &request.query) = text;
    tm_service_request(server->service, tm_sim_server_now(world), &request,
                       &call->ticket);
    tm_sim_server_after(world);
}

void tm_sim_server_frame(tm_world *world, tm_sim_conn *conn, tm_span frame) {
    tm_service_feed(world->server.service, tm_sim_server_now(world), conn->conn,
                    frame);
    tm_sim_server_after(world);
}

// ---- backups ------------------------------------------------------------------------------

void tm_sim_server_backup(tm_world *world) {
    const tm_sim_backend *backend = world->config->backend;
    if (world->server.service == NULL || !backend->backup(backend->context)) return;
    for (uint32_t a = 0; a < TM_SIM_ACCOUNTS; a++) {
        tm_sim_account *account = &world->accounts[a];
        tm_sim_history_free(account->backup);
        account->backup = tm_sim_history_copy(account->history);
    }
    tm_sim_tell(world, "server", "a backup is made");
    tm_sim_note_world(world, TM_SIM_NOTE_BACKUP, 0, 0, (tm_span){NULL, 0});
}

static void history_replace(tm_world *world, uint32_t number,
                            tm_sim_history *fresh) {
    tm_sim_account *account = &world->accounts[number];
    if (account->past_count == TM_SIM_PAST_MAX) {
        tm_sim_history_free(account->past[0]);
        account->past_count--;
        memmove(account->past, account->past + 1,
                account->past_count * sizeof account->past[0]);
    }
    account->past[account->past_count++] = account->history;
    account->history = fresh;
    account->rolled_back = true;
    account->incarnation++;
    tm_sim_ghost_logged(world, number);
}

void tm_sim_server_restore(tm_world *world, bool empty) {
    const tm_sim_backend *backend = world->config->backend;
    if (!empty && world->accounts[0].backup == NULL) return;
    tm_sim_strike(world, empty ? TM_SIM_EMPTIED : TM_SIM_RESTORED, NULL);
    tm_sim_note_world(world, empty ? TM_SIM_NOTE_EMPTY : TM_SIM_NOTE_RESTORE, 0, 0,
                      (tm_span){NULL, 0});
    tm_sim_server_die(world, false);
    if (empty) {
        backend->empty(backend->context);
    } else if (!backend->restore(backend->context)) {
        return;
    }
    for (uint32_t a = 0; a < TM_SIM_ACCOUNTS; a++) {
        const tm_sim_history *backup = world->accounts[a].backup;
        history_replace(world, a,
                        empty ? tm_sim_history_new() : tm_sim_history_copy(backup));
    }
}

void tm_sim_server_compact(tm_world *world, uint32_t number) {
    tm_sim_server *server = &world->server;
    const tm_sim_account *account = &world->accounts[number];
    uint64_t head;
    if (server->service == NULL) return;
    if (tm_service_list(server->service, account->key, &head) == NULL || head == 0)
        return;
    tm_sim_strike(world, TM_SIM_COMPACTED, NULL);
    tm_sim_note_world(world, TM_SIM_NOTE_COMPACT, number, 0, (tm_span){NULL, 0});
    if (tm_service_compact(server->service, tm_sim_server_now(world),
                           account->key) != TM_OK) {
        return;
    }
    tm_sim_server_after(world);
}
