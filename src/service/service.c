// service.c - see service.h.
#include "service/service.h"

#include "service/api.h"
#include "service/serve.h"

#include <string.h>

#define FLOOR_AGE_MS   (24u * 3600u * 1000u)
#define SNAPSHOT_OPS   1000u
#define MEMORY_MAX     (UINT64_C(1) << 30)
#define QUEUE_SOFT_MAX (1u << 20)
#define STALLED_MS     30000u // nothing drained for so long: closed
#define CODE_TRY_LATER 1013u

// ---- frames -------------------------------------------------------------------------

tm_frame *tm_frame_new(tm_service *service, tm_span bytes) {
    tm_frame *frame = service->alloc->resize(service->alloc->context, NULL, 0,
                                             sizeof *frame + bytes.len);
    if (frame == NULL) return NULL;
    frame->refs = 1;
    frame->room_used = 0;
    frame->len = bytes.len;
    memcpy(frame->bytes, bytes.ptr, bytes.len);
    return frame;
}

tm_frame *tm_frame_keep(tm_frame *frame) {
    frame->refs++;
    return frame;
}

void tm_frame_release(tm_service *service, tm_frame *frame) {
    if (frame == NULL) return;
    TM_ASSERT(frame->refs > 0);
    if (--frame->refs > 0) return;
    tm_alloc_put(service->alloc, frame, sizeof *frame + frame->len);
}

// ---- life ---------------------------------------------------------------------------

static void defaults(tm_service_config *config) {
    if (config->floor_age_ms == 0) config->floor_age_ms = FLOOR_AGE_MS;
    if (config->snapshot_ops == 0) config->snapshot_ops = SNAPSHOT_OPS;
    if (config->memory_max == 0) config->memory_max = MEMORY_MAX;
    if (config->queue_soft_max == 0) config->queue_soft_max = QUEUE_SOFT_MAX;
}

// The answer for when there is no memory for any.
static tm_status no_memory_make(tm_service *service) {
    const tm_problem *problem = &tm_problem_memory;
    tm_span detail = {(const uint8_t *)problem->detail, strlen(problem->detail)};
    tm_buf *out = tm_answer_begin(service);
    tm_service_write_error(out, problem->status, problem->code, detail);
    service->no_memory = tm_answer_frame(service);
    return service->no_memory == NULL ? TM_E_NOMEM : TM_OK;
}

tm_status tm_service_new(const tm_service_config *config, tm_service **service) {
    const tm_alloc *alloc = config->alloc;
    tm_service *s = tm_alloc_get(alloc, sizeof *s);
    if (s == NULL) return TM_E_NOMEM;
    s->config = *config;
    s->alloc = alloc;
    s->store = config->store;
    s->timers.alloc = s->out.alloc = s->arena.alloc = s->draft.bytes.alloc = alloc;
    defaults(&s->config);
    uint8_t seed[sizeof s->seed];
    config->random(config->random_context, seed, sizeof seed);
    memcpy(&s->seed, seed, sizeof seed);
    tm_table_init(&s->lists, alloc, s->seed);
    tm_status status = tm_effects_init(&s->effects, alloc);
    if (status == TM_OK) status = tm_marker_init(&s->marker);
    if (status == TM_OK) status = no_memory_make(s);
    if (status != TM_OK) {
        tm_service_free(s);
        return status;
    }
    *service = s;
    return TM_OK;
}

static void effects_drop(tm_service *service) {
    tm_effect_slot slot;
    while (tm_effects_take(&service->effects, &slot)) {
        tm_frame_release(service, slot.effect.frame);
    }
}

void tm_service_free(tm_service *service) {
    if (service == NULL) return;
    TM_ASSERT(service->outstanding == 0 && service->conns == NULL);
    effects_drop(service);
    for (uint32_t i = 0; i < service->call_count; i++) {
        tm_call *call = service->calls[i];
        if (call->in != &service->idle_calls) tm_call_end(call); // a long poll
    }
    while (service->newest != NULL) {
        tm_ledger_free(service->newest);
    }
    for (uint32_t i = 0; i < service->call_count; i++) {
        tm_arena_deinit(&service->calls[i]->arena);
        tm_alloc_put(service->alloc, service->calls[i], sizeof(tm_call));
    }
    tm_alloc_put(service->alloc, service->calls,
                 service->call_cap * sizeof(tm_call *));
    tm_frame_release(service, service->no_memory);
    tm_table_deinit(&service->lists);
    tm_timers_deinit(&service->timers);
    tm_effects_deinit(&service->effects);
    tm_marker_deinit(&service->marker);
    tm_buf_deinit(&service->out);
    tm_buf_deinit(&service->draft.bytes);
    tm_arena_deinit(&service->arena);
    tm_alloc_put(service->alloc, service, sizeof *service);
}

tm_service_config *tm_service_tune(tm_service *service) {
    return &service->config;
}

// ---- requests -----------------------------------------------------------------------

static void refuse_without_memory(tm_service *service, const tm_request *request) {
    tm_effect_slot slot = {
        .effect = {.kind = TM_EFFECT_REPLY,
                   .status = tm_problem_memory.status,
                   .peer = request->peer,
                   .frame = tm_frame_keep(service->no_memory),
                   .content_type = "application/problem+json",
                   .retry_after_s = tm_problem_memory.retry_after_s}};
    service->counts.no_memory++;
    if (!tm_effects_spare(&service->effects, &slot)) {
        tm_frame_release(service, slot.effect.frame);
    }
}

void tm_service_request(tm_service *service, tm_now now, const tm_request *request,
                        uint64_t *ticket) {
    service->now = now;
    service->counts.requests++;
    *ticket = 0;
    tm_call *call = NULL;
    if (tm_effects_reserve(&service->effects) == TM_OK) {
        call = tm_call_new(service, TM_CALL_PULL);
        if (call == NULL) tm_effects_release(&service->effects);
    }
    if (call == NULL) {
        refuse_without_memory(service, request);
        return;
    }
    call->http = true;
    call->peer = request->peer;
    *ticket = tm_call_ticket(call);
    tm_api_request(call, request);
}

void tm_service_cancel(tm_service *service, uint64_t ticket) {
    tm_call *call = tm_call_find(service, ticket);
    if (call != NULL) {
        tm_ledger *ledger = call->ledger;
        tm_effects_release(&service->effects);
        call->http = false;
        tm_call_leave(call);
        tm_ledger_pump(ledger);
        return;
    }
    for (size_t i = 0; i < service->effects.count; i++) {
        tm_effect_slot *slot = tm_effects_at(&service->effects, i);
        if (slot->effect.kind == TM_EFFECT_REPLY && slot->ticket == ticket &&
            ticket != 0) {
            slot->gone = true;
        }
    }
}

// ---- connections --------------------------------------------------------------------

static void conn_stalled(tm_timer *timer) {
    tm_conn_shut(timer->owner, CODE_TRY_LATER);
}

tm_status tm_service_connect(tm_service *service, tm_now now, tm_span user,
                             void *peer, tm_conn **conn) {
    service->now = now;
    if (user.len < 1 || user.len > 128) return TM_E_RANGE;
    tm_conn *c = tm_alloc_get(service->alloc, sizeof *c + user.len);
    if (c == NULL) return TM_E_NOMEM;
    tm_status status = tm_effects_reserve(&service->effects);
    if (status == TM_OK) {
        status = tm_timers_reserve(&service->timers);
        if (status != TM_OK) tm_effects_release(&service->effects);
    }
    if (status != TM_OK) {
        tm_alloc_put(service->alloc, c, sizeof *c + user.len);
        return status;
    }
    c->service = service;
    c->peer = peer;
    c->stalled = (tm_timer){.due = conn_stalled, .owner = c};
    c->user_len = (uint32_t)user.len;
    memcpy(c->user, user.ptr, user.len);
    c->next = service->conns;
    if (c->next != NULL) c->next->prev = c;
    service->conns = c;
    service->conn_count++;
    *conn = c;
    return TM_OK;
}

void tm_service_feed(tm_service *service, tm_now now, tm_conn *conn, tm_span text) {
    service->now = now;
    tm_api_frame(service, conn, text);
}

void tm_service_queued(tm_service *service, tm_now now, tm_conn *conn,
                       size_t bytes) {
    service->now = now;
    // Only a decrease shows that the other side still reads.
    if (bytes == 0) {
        tm_timer_set(&service->timers, &conn->stalled, UINT64_MAX);
    } else if (conn->queued == 0 || bytes < conn->queued) {
        tm_timer_set(&service->timers, &conn->stalled, now.mono_ms + STALLED_MS);
    }
    conn->queued = bytes;
    tm_backlog_resume(service);
}

static void effects_forget(tm_service *service, const tm_conn *conn) {
    for (size_t i = 0; i < service->effects.count; i++) {
        tm_effect_slot *slot = tm_effects_at(&service->effects, i);
        if (slot->conn != conn) continue;
        slot->gone = true;
        slot->conn = NULL;
    }
}

void tm_service_disconnect(tm_service *service, tm_conn *conn) {
    while (conn->calls != NULL) {
        tm_call_leave(conn->calls);
    }
    bool closed = conn->closing;
    conn->closing = true; // nothing is sent to it any more
    while (conn->subs != NULL) {
        tm_ledger *ledger = conn->subs->ledger;
        tm_hub_leave(conn->subs);
        tm_ledger_pump(ledger);
    }
    effects_forget(service, conn);
    if (!closed) tm_effects_release(&service->effects);
    tm_timers_release(&service->timers, &conn->stalled);
    if (conn->prev != NULL) {
        conn->prev->next = conn->next;
    } else {
        service->conns = conn->next;
    }
    if (conn->next != NULL) conn->next->prev = conn->prev;
    service->conn_count--;
    tm_alloc_put(service->alloc, conn, sizeof *conn + conn->user_len);
}

// ---- effects ------------------------------------------------------------------------

bool tm_service_effect(tm_service *service, tm_effect *effect) {
    tm_effect_slot slot;
    while (tm_effects_take(&service->effects, &slot)) {
        if (slot.conn != NULL && slot.effect.kind == TM_EFFECT_SEND) {
            slot.conn->waiting -= slot.effect.frame->len;
        }
        if (!slot.gone) {
            *effect = slot.effect;
            return true;
        }
        tm_frame_release(service, slot.effect.frame);
    }
    return false;
}

// ---- time ---------------------------------------------------------------------------

uint64_t tm_service_deadline(const tm_service *service) {
    if (tm_backlog_ready(service)) return service->now.mono_ms;
    return tm_timers_deadline(&service->timers);
}

void tm_service_tick(tm_service *service, tm_now now) {
    service->now = now;
    tm_timer *timer;
    while ((timer = tm_timers_due(&service->timers, now.mono_ms)) != NULL) {
        timer->due(timer);
    }
    tm_backlog_resume(service);
}

void tm_service_decide(tm_service *service, tm_now now) {
    service->now = now;
    tm_ledger_gathered(service);
}

void tm_service_stop(tm_service *service, tm_now now) {
    service->stopping = true;
    for (uint32_t i = 0; i < service->call_count; i++) {
        tm_call *call = service->calls[i];
        if (call->waits) {
            tm_timer_set(&service->timers, &call->timer, now.mono_ms);
        }
    }
    tm_service_tick(service, now);
}

bool tm_service_idle(const tm_service *service) {
    return service->outstanding == 0 && service->gathered == NULL;
}

// ---- for programs -------------------------------------------------------------------

tm_status tm_service_compact(tm_service *service, tm_now now, tm_key key) {
    service->now = now;
    tm_ledger *ledger = tm_ledger_get(service, key);
    if (ledger == NULL) return TM_E_NOMEM;
    ledger->compact = true;
    ledger->trim_before_ms = UINT64_MAX;
    ledger->trimmed = NULL;
    tm_ledger_pump(ledger);
    return TM_OK;
}

tm_status tm_service_trim(tm_service *service, tm_now now, tm_key key,
                          uint64_t before_ms, tm_trimmed *trimmed) {
    service->now = now;
    uint64_t day_ms = FLOOR_AGE_MS;
    *trimmed = (tm_trimmed){.status = TM_E_AGAIN};
    if (now.wall_ms < day_ms || before_ms > now.wall_ms - day_ms) return TM_E_RANGE;
    tm_ledger *ledger = tm_ledger_get(service, key);
    if (ledger == NULL) return TM_E_NOMEM;
    ledger->compact = true;
    ledger->trim_before_ms = before_ms;
    ledger->trimmed = trimmed;
    tm_ledger_pump(ledger);
    return TM_OK;
}

const tm_list *tm_service_list(tm_service *service, tm_key key, uint64_t *head) {
    const tm_ledger *ledger = tm_ledger_find(service, key);
    if (ledger == NULL || ledger->state == TM_LEDGER_COLD) return NULL;
    *head = ledger->head;
    return ledger->list;
}
