// watch.c - see watch.h.
#include "service/watch.h"

#include "service/api.h"

#define SHARE 12u // of the time since something happened: a minute makes 5 s

static const tm_service *shared(const tm_ledger *ledger) {
    const tm_service *service = ledger->service;
    return service->config.shared ? service : NULL;
}

void tm_watch_sure(tm_ledger *ledger) {
    ledger->sure_ms = ledger->service->now.mono_ms;
    ledger->sure_of = ledger->service->bell_life;
}

void tm_watch_active(tm_ledger *ledger) {
    ledger->active_ms = ledger->service->now.mono_ms;
}

// Did a ring say more than is known here?
static bool behind(const tm_ledger *ledger) {
    return ledger->said > ledger->head;
}

bool tm_watch_stale(const tm_ledger *ledger) {
    const tm_service *service = shared(ledger);
    if (service == NULL) return false;
    uint64_t now_ms = service->now.mono_ms;
    if (service->bell == NULL) return now_ms - ledger->sure_ms >= TM_WATCH_MS;
    if (ledger->sure_of != service->bell_life) return true;
    return behind(ledger) && now_ms >= ledger->ring_ms;
}

// ---- the doorbell -------------------------------------------------------------------

void tm_watch_ring(const tm_ledger *ledger) {
    tm_service *service = ledger->service;
    if (service->bell == NULL || ledger->head == 0) return;
    service->counts.rings_sent++;
    service->bell->ring(service->bell->context, ledger->key, ledger->head);
}

void tm_watch_ask(const tm_ledger *ledger) {
    tm_service *service = ledger->service;
    if (service->bell == NULL) return;
    service->counts.rings_asked++;
    service->bell->ask(service->bell->context, ledger->key);
}

void tm_service_rung(tm_service *service, tm_now now, tm_key key, uint64_t head) {
    service->now = now;
    service->counts.rings_heard++;
    if (key.user.len < 1 || key.user.len > 128) return;
    if (!service->config.shared || !tm_list_name_valid(key.list)) return;
    tm_ledger *ledger = tm_ledger_find(service, key);
    if (ledger == NULL || head > TM_INT_MAX) return;
    if (head <= ledger->head || head == ledger->doubted) return;
    ledger->said = head; // also while it is being opened: what is read may be older
    if (ledger->state == TM_LEDGER_WARM) tm_ledger_pump(ledger);
}

// All that somebody listens to is to be read now, but not all in the same moment.
static void spread(tm_ledger *ledger) {
    const tm_service *service = ledger->service;
    uint8_t bytes[2];
    service->config.random(service->config.random_context, bytes, sizeof bytes);
    uint64_t part = (uint64_t)bytes[0] << 8 | bytes[1];
    ledger->watch_ms = service->now.mono_ms + part * TM_WATCH_MS / 65536;
    tm_keep_schedule(ledger);
}

void tm_service_doorbell(tm_service *service, tm_now now, const tm_doorbell *bell) {
    TM_ASSERT(service->config.shared);
    service->now = now;
    service->bell = bell;
    if (bell != NULL) service->bell_life++;
    for (tm_ledger *ledger = service->newest; ledger != NULL;
         ledger = ledger->older) {
        if (ledger->state == TM_LEDGER_WARM) spread(ledger);
    }
}

// ---- reading ------------------------------------------------------------------------

void tm_watch_reading(tm_ledger *ledger) {
    ledger->reading_for = ledger->said;
}

void tm_watch_read(tm_ledger *ledger, bool known) {
    tm_counts *counts = &ledger->service->counts;
    uint64_t now_ms = ledger->service->now.mono_ms;
    uint64_t said = ledger->reading_for;
    ledger->reading_for = 0;
    if (!known) {
        ledger->watch_ms = ledger->ring_ms = now_ms + TM_WATCH_MS;
        return;
    }
    ledger->watch_ms = 0;
    tm_watch_sure(ledger);
    if (said > ledger->head) {
        counts->rings_false++;
        ledger->doubted = said;
        ledger->ring_ms = now_ms + TM_WATCH_MS;
        if (ledger->said == said) ledger->said = 0;
    } else if (said > 0) {
        ledger->ring_ms = 0;
    }
    tm_watch_ring(ledger);
}

// How long what was read suffices.
static uint64_t interval(const tm_ledger *ledger) {
    if (ledger->sure_ms < ledger->active_ms) return TM_WATCH_MS;
    uint64_t part = (ledger->sure_ms - ledger->active_ms) / SHARE;
    if (part < TM_WATCH_MS) return TM_WATCH_MS;
    return part < TM_WATCH_REST_MS ? part : TM_WATCH_REST_MS;
}

uint64_t tm_watch_deadline(const tm_ledger *ledger) {
    const tm_service *service = shared(ledger);
    bool listens = ledger->subs != NULL || ledger->parked.first != NULL;
    if (service == NULL || !listens) return UINT64_MAX;
    if (service->bell == NULL) {
        uint64_t at = ledger->sure_ms + interval(ledger);
        return at < ledger->watch_ms ? ledger->watch_ms : at;
    }
    if (ledger->sure_of != service->bell_life) return ledger->watch_ms;
    if (!behind(ledger)) return UINT64_MAX;
    return ledger->ring_ms;
}
