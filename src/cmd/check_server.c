// check_server.c - see check_server.h.
#include "cmd/check_server.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/check_orders.h"
#include "cmd/host.h"
#include "cmd/tree.h"

const tm_key tm_check_server_key = {TM_LIT("golden"), TM_LIT("selected-images")};
const tm_span tm_check_server_calls =
    TM_LIT("/v1/lists/selected-images/operations");

// ---- what the service asks for ------------------------------------------------------

static void random_fill(void *context, uint8_t *bytes, size_t len) {
    uint64_t *random = context;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(tm_check_orders_random(random) >> 32);
    }
}

static tm_fault policy(void *context, tm_span user, const tm_op *op) {
    const tm_check_server *server = context;
    (void)user;
    for (size_t i = 0; i < server->refused_count; i++) {
        if (tm_span_equal(op->id, server->refused[i])) return TM_FAULT_POLICY;
    }
    return TM_FAULT_NONE;
}

// ---- the store ----------------------------------------------------------------------

static bool store_failed(tm_check_server *server, const char *problem) {
    return tm_check_verdict_fail(server->verdict, "the store does not open: %s",
                                 problem);
}

static bool service_open(tm_check_server *server) {
    tm_service_config config = {.alloc = &tm_host_alloc,
                                .store = server->store,
                                .random = random_fill,
                                .random_context = server->random,
                                .policy = policy,
                                .policy_context = server};
    if (tm_service_new(&config, &server->service) == TM_OK) return true;
    server->service = NULL;
    return tm_check_verdict_fail(server->verdict, "the service does not start");
}

static void service_close(tm_check_server *server) {
    // One that waits for ever was noted as a failure; it is left behind with its store.
    if (tm_service_idle(server->service)) {
        tm_service_free(server->service);
    } else {
        server->store = NULL;
    }
    server->service = NULL;
    while (server->first != NULL) {
        free(tm_check_server_parcel(server, NULL));
    }
}

bool tm_check_server_open(tm_check_server *server, tm_check_verdict *verdict,
                          tm_check_place *place, uint64_t *random, bool traced) {
    char problem[256];
    *server = (tm_check_server){
        .verdict = verdict, .place = place, .random = random, .traced = traced};
    server->last = &server->first;
    if (tm_check_place_begin(place, &server->store, problem) != TM_OK) {
        return store_failed(server, problem);
    }
    return service_open(server);
}

void tm_check_server_close(tm_check_server *server) {
    if (server->service != NULL) service_close(server);
    tm_store_close(server->store);
    server->store = NULL;
    tm_check_place_end(server->place);
}

bool tm_check_server_restart(tm_check_server *server) {
    char problem[256];
    service_close(server);
    if (tm_check_place_reopen(server->place, &server->store, problem) != TM_OK) {
        return store_failed(server, problem);
    }
    return service_open(server);
}

void tm_check_trace(const tm_check_server *server, const char *what, tm_span who,
                    tm_span text) {
    if (!server->traced) return;
    (void)fprintf(stderr, "  %-8s ", what);
    tm_print_safe(stderr, who);
    (void)fprintf(stderr, "  ");
    tm_print_safe(stderr, text);
    (void)fprintf(stderr, "\n");
}

// ---- driving ------------------------------------------------------------------------

static bool parcel_add(tm_check_server *server, const tm_effect *effect) {
    tm_check_parcel *parcel = malloc(sizeof *parcel + effect->frame->len);
    if (parcel == NULL)
        return tm_check_verdict_fail(server->verdict, "out of memory");
    *parcel = (tm_check_parcel){.peer = effect->peer, .len = effect->frame->len};
    memcpy(parcel->bytes, effect->frame->bytes, effect->frame->len);
    *server->last = parcel;
    server->last = &parcel->next;
    return true;
}

static bool effect_do(tm_check_server *server, const tm_effect *effect) {
    bool done = true;
    switch (effect->kind) {
    case TM_EFFECT_REPLY: {
        tm_check_reply *reply = effect->peer;
        if (reply == NULL) break; // nobody waits for it
        reply->done = true;
        reply->status = effect->status;
        tm_buf_put(&reply->body,
                   (tm_span){effect->frame->bytes, effect->frame->len});
        break;
    }
    case TM_EFFECT_SEND:
        done = parcel_add(server, effect);
        break;
    case TM_EFFECT_CLOSE:
        done = tm_check_verdict_fail(server->verdict,
                                     "the server closed a connection with code %u",
                                     effect->status);
        break;
    case TM_EFFECT_NEWS: // not asked for
        break;
    }
    if (effect->frame != NULL) tm_frame_release(server->service, effect->frame);
    return done;
}

static bool effects_take(tm_check_server *server) {
    tm_effect effect;
    bool done = true;
    while (tm_service_effect(server->service, &effect)) {
        done = effect_do(server, &effect) && done;
    }
    return done;
}

// Until nothing is outstanding: storage takes no time in a scenario.
static bool settle(tm_check_server *server) {
    bool done = effects_take(server);
    while (!tm_service_idle(server->service)) {
        if (tm_store_wait(server->store) == 0) {
            return tm_check_verdict_fail(
                server->verdict, "the service waits for a store that has nothing "
                                 "to do");
        }
        done = effects_take(server) && done;
    }
    return done;
}

bool tm_check_server_request(tm_check_server *server, tm_now now, tm_method method,
                             tm_span query, tm_span body, tm_check_reply *reply) {
    tm_request request = {.method = method,
                          .path = tm_check_server_calls,
                          .query = query,
                          .body = body,
                          .user = tm_check_server_key.user,
                          .peer = reply};
    uint64_t ticket;
    reply->done = false;
    tm_buf_reset(&reply->body);
    tm_service_request(server->service, now, &request, &ticket);
    if (!settle(server)) return false;
    if (!reply->done) {
        tm_service_cancel(server->service, ticket);
        return tm_check_verdict_fail(server->verdict, "the service gave no answer");
    }
    return reply->body.status == TM_OK ||
           tm_check_verdict_fail(server->verdict, "out of memory");
}

bool tm_check_server_connect(tm_check_server *server, tm_now now, void *peer,
                             tm_conn **conn) {
    if (tm_service_connect(server->service, now, tm_check_server_key.user, peer,
                           conn) != TM_OK) {
        *conn = NULL;
        return tm_check_verdict_fail(server->verdict,
                                     "the service refused a connection");
    }
    return settle(server);
}

bool tm_check_server_feed(tm_check_server *server, tm_now now, tm_conn *conn,
                          tm_span text) {
    tm_service_feed(server->service, now, conn, text);
    return settle(server);
}

void tm_check_server_disconnect(tm_check_server *server, tm_conn *conn,
                                const void *peer) {
    tm_service_disconnect(server->service, conn);
    for (tm_check_parcel *parcel = server->first; parcel != NULL;
         parcel = parcel->next) {
        if (parcel->peer == peer) parcel->peer = NULL;
    }
}

bool tm_check_server_tick(tm_check_server *server, tm_now now) {
    tm_service_tick(server->service, now);
    return settle(server);
}

tm_check_parcel *tm_check_server_parcel(tm_check_server *server, const void *peer) {
    tm_check_parcel **place = &server->first;
    while (*place != NULL && peer != NULL && (*place)->peer != peer) {
        place = &(*place)->next;
    }
    tm_check_parcel *parcel = *place;
    if (parcel == NULL) return NULL;
    *place = parcel->next;
    if (parcel->next == NULL) server->last = place;
    parcel->next = NULL;
    return parcel;
}

// ---- what only a test does ----------------------------------------------------------

bool tm_check_server_compact(tm_check_server *server, tm_now now) {
    const tm_list *list;
    uint64_t head;
    if (!tm_check_server_list(server, now, &list, &head)) return false;
    if (head == 0) return true; // there is nothing to fold
    if (tm_service_compact(server->service, now, tm_check_server_key) != TM_OK) {
        return tm_check_verdict_fail(server->verdict,
                                     "the service could not compact");
    }
    return settle(server);
}

bool tm_check_server_backup(tm_check_server *server) {
    char problem[256];
    return tm_check_place_backup(server->place, server->store, problem) == TM_OK ||
           tm_check_verdict_fail(server->verdict, "the backup failed: %s", problem);
}

bool tm_check_server_restore(tm_check_server *server) {
    char problem[256];
    if (!server->place->backed_up) {
        return tm_check_verdict_fail(server->verdict,
                                     "malformed: there is no backup yet");
    }
    service_close(server);
    if (tm_check_place_restore(server->place, &server->store, problem) != TM_OK) {
        return tm_check_verdict_fail(server->verdict, "the restore failed: %s",
                                     problem);
    }
    return service_open(server);
}

bool tm_check_server_list(tm_check_server *server, tm_now now, const tm_list **list,
                          uint64_t *head) {
    *head = 0;
    *list = tm_service_list(server->service, tm_check_server_key, head);
    if (*list != NULL) return true;
    // Not in memory: asking for anything of it brings it there, if it exists.
    tm_check_reply reply = {.body = {.alloc = &tm_host_alloc}};
    bool done = tm_check_server_request(server, now, TM_GET, (tm_span){NULL, 0},
                                        (tm_span){NULL, 0}, &reply);
    tm_buf_deinit(&reply.body);
    *list = tm_service_list(server->service, tm_check_server_key, head);
    if (*list == NULL) *head = 0;
    return done;
}
