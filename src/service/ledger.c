// ledger.c - see ledger.h.
#include "service/ledger.h"

#include "service/answer.h"
#include "service/serve.h"
#include "service/watch.h"

#include <string.h>

#define NAME_MAX       (1u + 128u + 64u) // length of the user, user, list
#define DAY_MS         UINT64_C(86400000)
#define EVICT_LOOK_MAX 64u // lists looked at for one to let go: most may be in use

// ---- finding, making, freeing -------------------------------------------------------

static tm_span name_of(tm_key key, uint8_t name[NAME_MAX]) {
    TM_ASSERT(key.user.len >= 1 && key.user.len <= 128 && key.list.len <= 64);
    name[0] = (uint8_t)key.user.len;
    memcpy(name + 1, key.user.ptr, key.user.len);
    memcpy(name + 1 + key.user.len, key.list.ptr, key.list.len);
    return (tm_span){name, 1 + key.user.len + key.list.len};
}

tm_ledger *tm_ledger_find(tm_service *service, tm_key key) {
    uint8_t name[NAME_MAX];
    return tm_table_get(&service->lists, name_of(key, name));
}

// Every byte of a list is counted: what is kept warm has a bound.
static void *counted_resize(void *context, void *ptr, size_t old_size,
                            size_t new_size) {
    tm_ledger *ledger = context;
    tm_service *service = ledger->service;
    void *moved =
        service->alloc->resize(service->alloc->context, ptr, old_size, new_size);
    if (moved == NULL && new_size > 0) return NULL;
    ledger->bytes += new_size - old_size;
    service->list_bytes += new_size - old_size;
    return moved;
}

static void use_unlink(tm_ledger *ledger) {
    tm_service *service = ledger->service;
    if (ledger->newer != NULL) {
        ledger->newer->older = ledger->older;
    } else {
        service->newest = ledger->older;
    }
    if (ledger->older != NULL) {
        ledger->older->newer = ledger->newer;
    } else {
        service->oldest = ledger->newer;
    }
}

static void use_link(tm_ledger *ledger) {
    tm_service *service = ledger->service;
    ledger->newer = NULL;
    ledger->older = service->newest;
    if (service->newest != NULL) {
        service->newest->newer = ledger;
    } else {
        service->oldest = ledger;
    }
    service->newest = ledger;
}

static tm_ledger *ledger_new(tm_service *service, tm_span name) {
    size_t size = sizeof(tm_ledger) + name.len;
    tm_ledger *ledger = tm_alloc_get(service->alloc, size);
    if (ledger == NULL) return NULL;
    ledger->service = service;
    ledger->alloc = (tm_alloc){counted_resize, ledger};
    ledger->saved.alloc = service->alloc;
    ledger->timer = (tm_timer){.due = tm_keep_ring, .owner = ledger};
    memcpy(ledger->name, name.ptr, name.len);
    ledger->name_len = name.len;
    size_t user_len = name.ptr[0];
    ledger->key.user = (tm_span){ledger->name + 1, user_len};
    ledger->key.list =
        (tm_span){ledger->name + 1 + user_len, name.len - 1 - user_len};
    if (tm_timers_reserve(&service->timers) != TM_OK) {
        tm_alloc_put(service->alloc, ledger, size);
        return NULL;
    }
    tm_span key = {ledger->name, name.len};
    if (tm_table_set(&service->lists, key, ledger) != TM_OK) {
        tm_timers_release(&service->timers, &ledger->timer);
        tm_alloc_put(service->alloc, ledger, size);
        return NULL;
    }
    ledger->bytes = size;
    service->list_bytes += size;
    use_link(ledger);
    return ledger;
}

tm_ledger *tm_ledger_get(tm_service *service, tm_key key) {
    uint8_t bytes[NAME_MAX];
    tm_span name = name_of(key, bytes);
    tm_ledger *ledger = tm_table_get(&service->lists, name);
    if (ledger == NULL) return ledger_new(service, name);
    use_unlink(ledger);
    use_link(ledger);
    return ledger;
}

// Back to COLD. Who waits or listens stays.
static void forget(tm_ledger *ledger) {
    tm_list_free(ledger->list);
    ledger->list = NULL;
    tm_book_deinit(&ledger->book);
    tm_tail_trim(&ledger->tail, &ledger->alloc, 0);
    ledger->tail = (tm_tail){NULL, NULL, 0, 0, {0}};
    tm_alloc_put(&ledger->alloc, ledger->rejections,
                 TM_REJECTED_MAX * sizeof(tm_rejection));
    ledger->rejections = NULL;
    tm_alloc_put(&ledger->alloc, ledger->milestones,
                 ledger->milestone_cap * sizeof(tm_milestone));
    ledger->milestones = NULL;
    ledger->rejection_count = ledger->milestone_count = ledger->milestone_cap = 0;
    ledger->head = ledger->floor = ledger->snapshot_seq = 0;
    ledger->log_bytes = ledger->saved_log_bytes = ledger->accepted_ms = 0;
    ledger->must_reread = false;
    ledger->doubted = 0;
    ledger->life++;
    ledger->state = TM_LEDGER_COLD;
}

void tm_ledger_free(tm_ledger *ledger) {
    tm_service *service = ledger->service;
    TM_ASSERT(ledger->job == TM_JOB_NONE && !ledger->saving && !ledger->gathered &&
              ledger->subs == NULL);
    forget(ledger);
    tm_buf_deinit(&ledger->saved);
    use_unlink(ledger);
    tm_timers_release(&service->timers, &ledger->timer);
    (void)tm_table_remove(&service->lists,
                          (tm_span){ledger->name, ledger->name_len});
    size_t size = sizeof(tm_ledger) + ledger->name_len;
    service->list_bytes -= ledger->bytes;
    TM_ASSERT(ledger->bytes == size); // the list gave everything back
    tm_alloc_put(service->alloc, ledger, size);
}

static bool in_use(const tm_ledger *ledger) {
    return ledger->pumping || ledger->gathered || ledger->entered > 0 ||
           ledger->job != TM_JOB_NONE || ledger->saving || ledger->compact ||
           ledger->reads > 0 || ledger->subs != NULL ||
           ledger->waiting.first != NULL || ledger->verifying.first != NULL ||
           ledger->pushes.first != NULL || ledger->batch.first != NULL ||
           ledger->parked.first != NULL;
}

void tm_ledger_spare(tm_ledger *ledger) {
    tm_service *service = ledger->service;
    // Of a list without operations nothing is lost, but who polls it would have the store
    // asked each time: some of them stay. Their names may be anybody's invention.
    bool empty = ledger->head == 0 && ledger->book.count == 0;
    bool kept = ledger->state == TM_LEDGER_WARM &&
                service->lists.count <= TM_LISTS_KEPT_MAX;
    if (empty && !kept && !in_use(ledger)) tm_ledger_free(ledger);
    tm_ledger *oldest = service->oldest;
    for (uint32_t i = 0; i < EVICT_LOOK_MAX && oldest != NULL; i++) {
        if (service->list_bytes <= service->config.memory_max) break;
        tm_ledger *next = oldest->newer;
        if (!in_use(oldest)) {
            tm_ledger_free(oldest);
            service->counts.evictions++;
        }
        oldest = next;
    }
}

// ---- what waits ---------------------------------------------------------------------

// What a list costs is told per day on which somebody used it.
static void day_count(tm_ledger *ledger) {
    uint32_t day = (uint32_t)(ledger->service->now.wall_ms / DAY_MS) + 1;
    if (ledger->day == day) return;
    ledger->day = day;
    ledger->service->counts.list_days++;
}

void tm_ledger_ask(tm_ledger *ledger, tm_call *call) {
    call->ledger = ledger;
    day_count(ledger);
    bool push = call->kind == TM_CALL_PUSH;
    tm_calls_add(push ? &ledger->pushes : &ledger->waiting, call);
    if (!push || !ledger->service->config.gather) {
        tm_ledger_pump(ledger);
    } else if (!ledger->gathered) {
        ledger->gathered = true;
        ledger->gathered_next = ledger->service->gathered;
        ledger->service->gathered = ledger;
    }
}

void tm_ledger_gathered(tm_service *service) {
    tm_ledger *ledger;
    while ((ledger = service->gathered) != NULL) {
        service->gathered = ledger->gathered_next;
        ledger->gathered = false;
        tm_ledger_pump(ledger);
    }
}

void tm_ledger_wait(tm_ledger *ledger, tm_call *call) {
    tm_calls_remove(call);
    tm_calls_add(&ledger->waiting, call);
}

void tm_ledger_verify(tm_ledger *ledger, tm_call *call) {
    tm_calls_remove(call);
    tm_calls_add(&ledger->verifying, call);
}

void tm_ledger_park(tm_ledger *ledger, tm_call *call) {
    tm_calls_remove(call);
    tm_calls_add(&ledger->parked, call);
}

static void move_all(tm_calls *from, tm_calls *to) {
    tm_call *call;
    while ((call = from->first) != NULL) {
        tm_calls_remove(call);
        tm_calls_add(to, call);
    }
}

void tm_ledger_lose(tm_ledger *ledger) {
    TM_ASSERT(ledger->job == TM_JOB_NONE && ledger->batch.first == NULL);
    if (ledger->state == TM_LEDGER_WARM) ledger->service->counts.lost++;
    for (tm_sub *sub = ledger->subs; sub != NULL; sub = sub->next) {
        if (sub->state != TM_SUB_WAITING) tm_hub_behind(sub);
    }
    move_all(&ledger->verifying, &ledger->waiting);
    move_all(&ledger->parked, &ledger->waiting);
    forget(ledger);
}

// ---- the pump -----------------------------------------------------------------------

// Those that wait are served once each: one that waits again does so behind them.
static void serve_waiting(tm_ledger *ledger) {
    tm_calls now = {NULL, NULL};
    move_all(&ledger->waiting, &now);
    tm_call *call;
    while ((call = now.first) != NULL) {
        tm_calls_remove(call);
        tm_serve(call);
    }
}

// Somebody listens, and memory may be behind the store.
static bool look_due(tm_ledger *ledger) {
    tm_service *service = ledger->service;
    if (tm_watch_deadline(ledger) > service->now.mono_ms) return false;
    if (service->bell == NULL) {
        service->counts.checks++;
    } else {
        service->counts.rings_read++;
    }
    return true;
}

static void pump_once(tm_ledger *ledger) {
    if (ledger->state == TM_LEDGER_COLD) {
        // A verification that was wanted of a list that was lost: opening it is one.
        move_all(&ledger->verifying, &ledger->waiting);
        if (ledger->waiting.first != NULL || ledger->pushes.first != NULL ||
            ledger->compact) {
            tm_job_open(ledger);
        }
        return;
    }
    if (ledger->waiting.first != NULL) serve_waiting(ledger);
    if (ledger->job != TM_JOB_NONE || ledger->state == TM_LEDGER_COLD) return;
    tm_call *push = ledger->pushes.first;
    if (ledger->retry_ms > ledger->service->now.mono_ms) push = NULL;
    if (ledger->verifying.first != NULL ||
        (push != NULL && (ledger->must_reread || push->wants_read)) ||
        look_due(ledger)) {
        tm_job_reread(ledger);
    } else if (push != NULL && push->wants_search) {
        tm_job_search(ledger);
    } else if (push != NULL) {
        tm_job_decide(ledger);
    } else if (ledger->compact && !ledger->saving) {
        ledger->compact = false;
        tm_keep_begin(ledger, true);
    }
}

static size_t tail_max(const tm_service *service) {
    size_t each = TM_TAILS_BYTES_MAX / service->lists.count;
    if (each > TM_TAIL_BYTES_MAX) return TM_TAIL_BYTES_MAX;
    return each < TM_TAIL_BYTES_MIN ? TM_TAIL_BYTES_MIN : each;
}

void tm_ledger_pump(tm_ledger *ledger) {
    ledger->again = true;
    if (ledger->pumping || ledger->entered > 0) return;
    ledger->pumping = true;
    while (ledger->again) {
        ledger->again = false;
        // While a job is out, reading goes on from what is known.
        if (ledger->job == TM_JOB_NONE) {
            pump_once(ledger);
        } else if (ledger->state == TM_LEDGER_WARM) {
            serve_waiting(ledger);
        }
    }
    ledger->pumping = false;
    if (ledger->state == TM_LEDGER_WARM) {
        tm_tail_trim(&ledger->tail, &ledger->alloc, tail_max(ledger->service));
        tm_keep_schedule(ledger);
    }
    tm_ledger_spare(ledger);
}

void tm_ledger_enter(tm_ledger *ledger) {
    ledger->entered++;
}

void tm_ledger_leave(tm_ledger *ledger) {
    ledger->entered--;
    tm_ledger_pump(ledger);
}

void tm_ledger_started(tm_ledger *ledger, tm_ledger_job job) {
    TM_ASSERT(ledger->job == TM_JOB_NONE);
    ledger->job = job;
    ledger->service->outstanding++;
}

void tm_ledger_ended(tm_ledger *ledger) {
    ledger->job = TM_JOB_NONE;
    ledger->service->outstanding--;
}

// ---- where the log stood when -------------------------------------------------------

#define LANDMARK_BYTES (16u << 10)

tm_milestone *tm_ledger_milestone(tm_ledger *ledger, uint32_t count) {
    uint32_t cap = ledger->milestone_cap;
    if (count < cap) return &ledger->milestones[count];
    uint32_t more = cap == 0 ? 3 : 2 * cap;
    if (more > TM_MILESTONES_MAX) return NULL;
    tm_milestone *at = tm_alloc_resize(&ledger->alloc, ledger->milestones,
                                       cap * sizeof *at, more * sizeof *at);
    if (at == NULL) return NULL;
    ledger->milestones = at;
    ledger->milestone_cap = more;
    return &at[count];
}

void tm_ledger_landmark(tm_ledger *ledger, const tm_batch *batch) {
    ledger->log_bytes += batch->operations.len;
    if (batch->accepted_ms > ledger->accepted_ms) {
        ledger->accepted_ms = batch->accepted_ms;
    }
    uint32_t count = ledger->milestone_count;
    uint64_t step_ms = ledger->service->config.floor_age_ms / 24;
    if (count > 0) {
        const tm_milestone *last = &ledger->milestones[count - 1];
        if (ledger->log_bytes - last->log_bytes < LANDMARK_BYTES &&
            ledger->accepted_ms - last->accepted_ms < step_ms) {
            return;
        }
    }
    tm_milestone *next = tm_ledger_milestone(ledger, count);
    if (next == NULL) { // every second one is exact enough
        for (uint32_t i = 0; i < count / 2; i++) {
            ledger->milestones[i] = ledger->milestones[2 * i + 1];
        }
        count /= 2;
        if (count == 0) return; // no memory; the next batch tries again
        next = &ledger->milestones[count];
    }
    *next = (tm_milestone){batch->last_seq, ledger->accepted_ms, ledger->log_bytes};
    ledger->milestone_count = count + 1;
}

uint64_t tm_ledger_price(const tm_ledger *ledger, uint64_t since) {
    if (since == 0) return ledger->log_bytes;
    for (uint32_t i = 0; i < ledger->milestone_count; i++) {
        if (ledger->milestones[i].seq >= since) {
            return ledger->log_bytes - ledger->milestones[i].log_bytes;
        }
    }
    return 0;
}
