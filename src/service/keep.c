// keep.c - see ledger.h: snapshots in the background, the floor, compaction.
//
// A snapshot is written when the log behind the last one has grown by so many operations,
// and by an eighth of the state's size, so that writing snapshots stays a fraction of
// writing; or when a list with some new operations has come to rest. Never on the way of
// an edit: the list's timer rings first.
#include "service/answer.h"
#include "service/snapshot.h"
#include "service/watch.h"

#define REST_MS      30000u // nobody edits any more
#define REST_OPS     64u    // fewer are read again quickly at a start
#define SPACING_MS   1000u  // between two snapshots of a list, for each MiB of it
#define RETRY_MS     30000u // after one that could not be kept
#define SHARE        8u
#define SPACING_SIZE (1u << 20)

static uint64_t keep_deadline(const tm_ledger *ledger) {
    const tm_service *service = ledger->service;
    uint64_t ops = ledger->head - ledger->snapshot_seq;
    uint64_t bytes = ledger->log_bytes - ledger->saved_log_bytes;
    if (ledger->saving || ops == 0) return UINT64_MAX;
    uint64_t at = UINT64_MAX;
    if (ops >= REST_OPS) at = ledger->changed_ms + REST_MS;
    if (ops >= service->config.snapshot_ops &&
        bytes >= tm_list_size(ledger->list) / SHARE) {
        at = service->now.mono_ms;
    }
    return at < ledger->keep_ms ? ledger->keep_ms : at;
}

void tm_keep_schedule(tm_ledger *ledger) {
    uint64_t at = keep_deadline(ledger), hub = tm_hub_deadline(ledger);
    uint64_t watch =
        ledger->job == TM_JOB_NONE ? tm_watch_deadline(ledger) : UINT64_MAX;
    if (hub < at) at = hub;
    if (watch < at) at = watch;
    if (ledger->retry_ms > ledger->service->now.mono_ms && ledger->retry_ms < at) {
        at = ledger->retry_ms;
    }
    tm_timer_set(&ledger->service->timers, &ledger->timer, at);
}

void tm_keep_ring(tm_timer *timer) {
    tm_ledger *ledger = timer->owner;
    if (ledger->state != TM_LEDGER_WARM) return; // opening; it sets it again
    uint64_t now_ms = ledger->service->now.mono_ms;
    tm_ledger_enter(ledger);
    if (tm_hub_deadline(ledger) <= now_ms) tm_hub_ring(ledger);
    if (keep_deadline(ledger) <= now_ms) tm_keep_begin(ledger, false);
    tm_ledger_leave(ledger);
}

// ---- the floor ----------------------------------------------------------------------

// The newest known end of a batch that was accepted long enough ago.
static uint64_t floor_by_age(const tm_ledger *ledger) {
    const tm_service *service = ledger->service;
    uint64_t now_ms = service->now.wall_ms, age = service->config.floor_age_ms;
    uint64_t floor = ledger->floor;
    for (uint32_t i = 0; i < ledger->milestone_count; i++) {
        const tm_milestone *stone = &ledger->milestones[i];
        if (now_ms >= age && stone->accepted_ms <= now_ms - age &&
            stone->seq > floor) {
            floor = stone->seq;
        }
    }
    return floor;
}

static void floor_set(tm_ledger *ledger, uint64_t floor) {
    if (floor <= ledger->floor) return;
    ledger->floor = floor;
    uint32_t kept = 0; // of milestones below it nobody asks any more
    for (uint32_t i = 0; i < ledger->milestone_count; i++) {
        if (ledger->milestones[i].seq < floor) continue;
        ledger->milestones[kept++] = ledger->milestones[i];
    }
    ledger->milestone_count = kept;
}

// ---- saving -------------------------------------------------------------------------

static void save_over(tm_ledger *ledger) {
    ledger->saving = false;
    tm_buf_deinit(&ledger->saved);
}

static void trim_done(tm_store_trim *request, tm_status status, uint64_t batches) {
    tm_ledger *ledger = request->context;
    // What was not trimmed is only larger than it need be.
    if (ledger->trimmed != NULL) *ledger->trimmed = (tm_trimmed){status, batches};
    ledger->trimmed = NULL;
    tm_ledger_enter(ledger);
    ledger->service->outstanding--;
    ledger->trimming = false;
    save_over(ledger);
    tm_ledger_leave(ledger);
}

static void trim_start(tm_ledger *ledger) {
    tm_service *service = ledger->service;
    service->outstanding++;
    ledger->trim = (tm_store_trim){.key = ledger->key,
                                   .below_seq = ledger->save.seq,
                                   .before_ms = ledger->trim_before_ms,
                                   .done = trim_done,
                                   .context = ledger};
    tm_store_trim_start(service->store, &ledger->trim);
}

static void save_done(tm_store_save *request, tm_status status) {
    tm_ledger *ledger = request->context;
    tm_service *service = ledger->service;
    tm_ledger_enter(ledger);
    service->outstanding--;
    // The list may have been lost and opened anew meanwhile; what was saved still holds
    // for the log that it was made of, but we need not know.
    bool same = ledger->state == TM_LEDGER_WARM && ledger->head >= request->seq &&
                ledger->save_of == ledger->life;
    if (status == TM_OK && same) {
        service->counts.saves++;
        if (ledger->snapshot_seq < request->seq) {
            ledger->snapshot_seq = request->seq;
            ledger->saved_log_bytes = ledger->saving_log_bytes;
        }
        floor_set(ledger, ledger->saved_floor);
    } else if (status != TM_OK) {
        service->counts.save_failures++;
        ledger->keep_ms = service->now.mono_ms + RETRY_MS;
    }
    if (status == TM_OK && same && ledger->trimming) {
        trim_start(ledger);
    } else {
        ledger->trimming = false;
        ledger->trimmed = NULL;
        save_over(ledger);
    }
    tm_ledger_leave(ledger);
}

void tm_keep_begin(tm_ledger *ledger, bool compact) {
    tm_service *service = ledger->service;
    TM_ASSERT(!ledger->saving && ledger->state == TM_LEDGER_WARM);
    if (ledger->head == 0) { // there is nothing to keep
        if (compact) ledger->trimmed = NULL;
        return;
    }
    bool whole = compact && ledger->trim_before_ms == UINT64_MAX;
    uint64_t floor = whole ? ledger->head : floor_by_age(ledger);
    uint64_t now_ms = service->now.mono_ms;
    tm_buf_reset(&ledger->saved);
    tm_snapshot_write(ledger, floor, &ledger->saved);
    if (ledger->saved.status != TM_OK) {
        tm_buf_deinit(&ledger->saved);
        if (compact) ledger->trimmed = NULL;
        service->counts.save_failures++;
        ledger->keep_ms = now_ms + RETRY_MS;
        return;
    }
    ledger->keep_ms =
        now_ms + SPACING_MS * (1 + tm_list_size(ledger->list) / SPACING_SIZE);
    ledger->saving = true;
    ledger->trimming = compact;
    ledger->save_of = ledger->life;
    ledger->saved_floor = floor;
    ledger->saving_log_bytes = ledger->log_bytes;
    service->outstanding++;
    ledger->save = (tm_store_save){.key = ledger->key,
                                   .seq = ledger->head,
                                   .bytes = tm_buf_span(&ledger->saved),
                                   .done = save_done,
                                   .context = ledger};
    tm_store_save_start(service->store, &ledger->save);
}
