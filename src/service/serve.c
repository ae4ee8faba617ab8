// serve.c - see serve.h: what follows a cursor, for GET and POST of operations.
#include "service/serve.h"

#include "service/snapshot.h"
#include "service/watch.h"

#include <string.h>

// A tail longer than this is sent as a snapshot if that is shorter.
#define DEAR_BYTES (64u << 10)
// What an answer has beside its operations, and an ack.
#define ENVELOPE_MAX 2048u
#define ACK_MAX      200u

// ---- cursors ------------------------------------------------------------------------

// Does the request's mark fit the log? `mark` is that of the batch that ends at `since`,
// NULL if none does.
static bool mark_fits(const tm_call *call, const uint8_t *mark) {
    switch (call->mark_kind) {
    case TM_MARK_NONE:
        return true;
    case TM_MARK_EMPTY:
        return call->since == 0;
    case TM_MARK_GIVEN:
        return call->since > 0 && mark != NULL &&
               memcmp(call->mark, mark, TM_MARK_LEN) == 0;
    default:
        return false;
    }
}

static bool beyond(const tm_call *call) {
    const tm_ledger *ledger = call->ledger;
    return call->since > ledger->head ||
           (call->has_acked && call->acked > ledger->head);
}

static bool dear(const tm_call *call) {
    uint64_t price = tm_ledger_price(call->ledger, call->since);
    return price > DEAR_BYTES && price > tm_list_size(call->ledger->list);
}

tm_verdict tm_cursor_judge(tm_call *call, uint64_t head, size_t bytes_max) {
    const tm_ledger *ledger = call->ledger;
    const tm_tail *tail = &ledger->tail;
    if (beyond(call) || call->since < ledger->floor || dear(call)) {
        return TM_SERVE_SNAPSHOT;
    }
    if (call->since < tail->base_seq) return TM_SERVE_STORE;
    const uint8_t *mark;
    const tm_block *block = tm_tail_find(tail, call->since, &mark);
    if (!mark_fits(call, mark)) return TM_SERVE_SNAPSHOT;
    static const uint8_t none[TM_MARK_LEN];
    tm_page *page = &call->service->page;
    tm_page_begin(page, call->since, mark == NULL ? none : mark, bytes_max);
    for (; block != NULL && block->batch.last_seq <= head; block = block->next) {
        if (!tm_page_pick(page, &block->batch, block)) break;
    }
    return TM_SERVE_MEMORY;
}

// The mark at `since` as the first batch shows it. false: the log does not hold `since`.
static bool cursor_found(const tm_call *call, const tm_batch *first,
                         const uint8_t **mark) {
    *mark = NULL;
    if (first->last_seq == call->since) {
        *mark = first->mark;
        return true;
    }
    if (first->first_seq == call->since + 1) {
        *mark = first->before;
        return true;
    }
    return first->first_seq <= call->since && first->last_seq > call->since;
}

bool tm_cursor_page(tm_call *call, uint64_t head, size_t bytes_max,
                    const tm_batch *batches, size_t count) {
    const uint8_t *mark;
    if (count == 0 || !cursor_found(call, &batches[0], &mark)) return false;
    if (!mark_fits(call, mark)) return false;
    static const uint8_t none[TM_MARK_LEN];
    tm_page *page = &call->service->page;
    tm_page_begin(page, call->since, mark == NULL ? none : mark, bytes_max);
    for (size_t i = 0; i < count && batches[i].last_seq <= head; i++) {
        if (batches[i].last_seq <= call->since) continue;
        if (!tm_batch_whole(&batches[i])) break;
        if (!tm_page_pick(page, &batches[i], NULL)) break;
    }
    // Something lies between `since` and the head; a log that lacks it has a hole.
    return page->count > 0;
}

void tm_cursor_read(tm_call *call,
                    void (*on_read)(tm_call *, tm_status, const tm_batch *, size_t,
                                    bool)) {
    // The batch that holds `since` comes too, and gives nothing or little.
    tm_call_read(call, call->since, TM_PAGE_OPS_MAX + TM_BATCH_OPS_MAX,
                 TM_PAGE_BYTES_MAX + TM_BATCH_BYTES_MAX, on_read);
}

// ---- GET and POST of operations -----------------------------------------------------

static size_t bytes_max_of(const tm_call *call) {
    return TM_PAGE_BYTES_MAX - ENVELOPE_MAX - ACK_MAX * call->ack_count;
}

static void answer_begin(tm_buf *out, const tm_call *call, uint64_t version,
                         const uint8_t *mark) {
    if (call->kind == TM_CALL_PUSH) {
        tm_saved_write(out, call, version, mark);
        return;
    }
    tm_buf_text(out, "{\"user\":");
    tm_buf_json(out, call->ledger->key.user);
    tm_put_cursor(out, call->ledger, version, mark);
}

// Ascending seqs that the acks of this very answer bring.
static size_t own_seqs(const tm_call *call, uint64_t own[TM_PUSH_OPS_MAX]) {
    size_t count = 0;
    for (uint32_t i = 0; i < call->ack_count; i++) {
        if (call->acks[i].kind == TM_ACK_REJECTED) continue;
        uint64_t seq = call->acks[i].seq;
        size_t at = count++;
        for (; at > 0 && own[at - 1] > seq; at--) {
            own[at] = own[at - 1];
        }
        own[at] = seq;
    }
    return count;
}

static void answer_page(tm_call *call) {
    tm_service *service = call->service;
    const tm_page *page = &service->page;
    uint64_t own[TM_PUSH_OPS_MAX];
    size_t own_count = own_seqs(call, own);
    tm_buf *out = tm_answer_begin(service);
    answer_begin(out, call, page->version, page->mark);
    tm_put_key(out, "operations");
    tm_arena_reset(&service->arena);
    tm_status status = tm_page_write(page, own, own_count, &service->arena, out);
    tm_buf_byte(out, '}');
    if (status != TM_OK) {
        tm_call_fail(call, tm_problem_of(status));
        return;
    }
    tm_answer_done(call);
}

static void answer_snapshot(tm_call *call) {
    tm_service *service = call->service;
    const tm_ledger *ledger = call->ledger;
    if (!call->verified) { // another server may know more than this memory
        tm_ledger_verify(call->ledger, call);
        return;
    }
    tm_buf *out = tm_answer_begin(service);
    answer_begin(out, call, ledger->head, ledger->mark);
    tm_put_key(out, "snapshot");
    tm_snapshot_send(ledger, out);
    tm_buf_byte(out, '}');
    service->counts.snapshots++;
    service->counts.snapshot_bytes += out->len;
    tm_answer_done(call);
}

// Nothing is new: a long poll waits for it. false: it has waited, or does not want to.
static bool park(tm_call *call) {
    tm_service *service = call->service;
    if (call->kind != TM_CALL_PULL || call->wait_ms == 0 || service->stopping) {
        return false;
    }
    if (!call->waits) {
        if (tm_timers_reserve(&service->timers) != TM_OK) return false;
        call->waits = true;
        call->timer.due = tm_call_woken;
        tm_timer_set(&service->timers, &call->timer,
                     service->now.mono_ms + call->wait_ms);
        service->counts.long_polls++;
        tm_arena_deinit(
            &call->arena); // thousands may wait; all it needs is in `call`
    }
    tm_watch_active(call->ledger);
    tm_ledger_park(call->ledger, call);
    return true;
}

void tm_call_woken(tm_timer *timer) {
    tm_call *call = timer->owner;
    call->wait_ms = 0;
    if (call->reading) return; // it is being answered
    if (call->in == &call->ledger->parked) tm_ledger_wait(call->ledger, call);
    tm_ledger_pump(call->ledger);
}

static void operations_read(tm_call *call, tm_status status,
                            const tm_batch *batches, size_t count, bool more) {
    (void)more;
    tm_ledger *ledger = call->ledger;
    if (status != TM_OK) {
        tm_call_fail(call, tm_problem_of(status));
    } else if (ledger->state == TM_LEDGER_COLD) {
        tm_ledger_wait(ledger, call);
    } else if (tm_cursor_page(call, ledger->head, bytes_max_of(call), batches,
                              count)) {
        answer_page(call);
    } else {
        answer_snapshot(call);
    }
}

static void serve_operations(tm_call *call) {
    switch (tm_cursor_judge(call, call->ledger->head, bytes_max_of(call))) {
    case TM_SERVE_MEMORY:
        if (call->service->page.count > 0 || !park(call)) answer_page(call);
        break;
    case TM_SERVE_STORE:
        tm_cursor_read(call, operations_read);
        break;
    default:
        answer_snapshot(call);
        break;
    }
}

// ---- acks alone ---------------------------------------------------------------------

// `version` is the end of the batch that holds the last ack.
static void answer_acks(tm_call *call, uint64_t version, const uint8_t *mark) {
    tm_conn *conn = call->conn;
    tm_buf *out = tm_answer_begin(call->service);
    tm_saved_write(out, call, version, mark);
    tm_put_key(out, "operations");
    tm_buf_text(out, "[]}");
    if (conn != NULL) tm_answer_send(call->service, conn);
    tm_answer_done(call);
}

static uint64_t last_seq(const tm_call *call) {
    uint64_t last = 0;
    for (uint32_t i = 0; i < call->ack_count; i++) {
        const tm_ack *ack = &call->acks[i];
        if (ack->kind != TM_ACK_REJECTED && ack->seq > last) last = ack->seq;
    }
    return last;
}

static void acks_read(tm_call *call, tm_status status, const tm_batch *batches,
                      size_t count, bool more) {
    (void)more;
    const tm_ledger *ledger = call->ledger;
    uint64_t seq = last_seq(call);
    if (status == TM_OK && count > 0 && batches[0].first_seq <= seq &&
        batches[0].last_seq >= seq) {
        answer_acks(call, batches[0].last_seq, batches[0].mark);
    } else { // trimmed: the acks stand, but no cursor does there
        answer_acks(call, 0, ledger->mark);
    }
}

static void serve_acks(tm_call *call) {
    const tm_ledger *ledger = call->ledger;
    uint64_t seq = last_seq(call);
    const uint8_t *mark;
    if (seq == 0 || seq > ledger->head) {
        answer_acks(call, ledger->head, ledger->mark);
    } else if (seq < ledger->tail.base_seq) {
        tm_call_read(call, seq, 1, 1, acks_read);
    } else if (seq == ledger->tail.base_seq) {
        answer_acks(call, seq, ledger->tail.base_mark);
    } else {
        const tm_block *block = ledger->tail.last;
        if (seq < block->batch.first_seq) {
            block = tm_tail_find(&ledger->tail, seq - 1, &mark);
        }
        answer_acks(call, block->batch.last_seq, block->batch.mark);
    }
}

// -------------------------------------------------------------------------------------

// An append was a look at the head; acks alone are true however far it has moved.
static bool knows_head(const tm_call *call) {
    if (call->kind != TM_CALL_PUSH) return false;
    for (uint32_t i = 0; i < call->ack_count; i++) {
        if (call->acks[i].fresh && call->acks[i].kind == TM_ACK_OK) return true;
    }
    return call->conn != NULL || !call->has_since;
}

// Where other servers append to the store, too: does the call wait for a look at it?
static bool look(tm_call *call) {
    tm_ledger *ledger = call->ledger;
    call->looking = false;
    if (!call->service->config.shared || call->looked) return false;
    call->looked = true;
    if (call->kind == TM_CALL_SUBSCRIBE) tm_watch_active(ledger);
    if (call->verified || knows_head(call)) return false;
    if (tm_watch_stale(ledger)) {
        call->looking = true;
        tm_ledger_verify(ledger, call);
        return true;
    }
    if (call->kind == TM_CALL_SUBSCRIBE) tm_watch_ask(ledger);
    return false;
}

void tm_serve(tm_call *call) {
    if (call->ledger->state == TM_LEDGER_COLD) {
        tm_ledger_wait(call->ledger, call);
        return;
    }
    if (call->service->config.verify && !call->verified && !knows_head(call)) {
        if (call->kind == TM_CALL_SUBSCRIBE) tm_hub_wait(call->sub);
        tm_ledger_verify(call->ledger, call);
        return;
    }
    if (look(call)) return;
    switch (call->kind) {
    case TM_CALL_PUSH:
        if (call->conn == NULL && call->has_since) {
            serve_operations(call);
        } else {
            serve_acks(call);
        }
        break;
    case TM_CALL_PULL:
        serve_operations(call);
        break;
    case TM_CALL_SUBSCRIBE:
        tm_serve_subscribe(call);
        break;
    case TM_CALL_STATE:
        tm_serve_state(call);
        break;
    case TM_CALL_PAST:
        tm_serve_past(call);
        break;
    case TM_CALL_LOG:
        tm_serve_log(call);
        break;
    }
}
