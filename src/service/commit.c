// commit.c - see ledger.h: what waits is decided and appended as one batch; when that is
// durable it becomes the state, and everybody is told.
#include "service/answer.h"
#include "service/serve.h"
#include "service/watch.h"

#include <string.h>

// So often a push meets another server's append before it is told to come again. The
// first time it tries again at once, then after up to 10 ms, 20 ms, ... 320 ms.
#define CONFLICTS_MAX 8u
#define RETRY_MS      10u
#define RETRY_DOUBLES 5u

static void append_done(tm_store_append *request, tm_status status);
static void commit(tm_ledger *ledger);

// ---- rejections that wait for a batch -----------------------------------------------

static tm_status rejections_room(tm_ledger *ledger) {
    if (ledger->rejections != NULL) return TM_OK;
    ledger->rejections =
        tm_alloc_get(&ledger->alloc, TM_REJECTED_MAX * sizeof(tm_rejection));
    return ledger->rejections == NULL ? TM_E_NOMEM : TM_OK;
}

static void rejection_add(tm_ledger *ledger, const tm_op *op, const tm_ack *ack) {
    if (ledger->rejection_count == TM_REJECTED_MAX) { // the oldest is forgotten
        ledger->rejection_count--;
        memmove(ledger->rejections, ledger->rejections + 1,
                ledger->rejection_count * sizeof(tm_rejection));
    }
    tm_rejection *one = &ledger->rejections[ledger->rejection_count++];
    one->writer = ack->writer;
    one->version = op->at.version;
    one->fault = ack->fault;
    one->id_len = (uint32_t)op->id.len;
    memcpy(one->id, op->id.ptr, op->id.len);
}

static void rejection_write(tm_buf *out, tm_span id, tm_span browser,
                            uint64_t version, tm_fault fault) {
    tm_buf_text(out, out->len > 1 ? ",{\"id\":" : "{\"id\":");
    tm_buf_json(out, id);
    tm_put_text(out, "browserId", browser);
    tm_put_number(out, "version", version);
    tm_put_text(out, "code", tm_fault_word(fault));
    tm_buf_byte(out, '}');
}

// The `rejected` of the batch that is being made, or nothing: the youngest of those that
// wait and those decided with it.
static void rejections_write(const tm_ledger *ledger, const tm_draft *draft,
                             tm_buf *out) {
    uint32_t all = ledger->rejection_count + draft->rejections;
    uint32_t skip = all > TM_REJECTED_MAX ? all - TM_REJECTED_MAX : 0;
    if (all == 0) return;
    tm_buf_byte(out, '[');
    for (uint32_t i = 0; i < ledger->rejection_count; i++) {
        const tm_rejection *one = &ledger->rejections[i];
        if (skip > 0) {
            skip--;
            continue;
        }
        rejection_write(out, (tm_span){one->id, one->id_len}, one->writer->browser,
                        one->version, one->fault);
    }
    for (const tm_call *call = ledger->batch.first; call != NULL;
         call = call->next) {
        for (uint32_t i = 0; i < call->ack_count; i++) {
            const tm_ack *ack = &call->acks[i];
            if (!ack->fresh || ack->kind != TM_ACK_REJECTED) continue;
            if (skip > 0) {
                skip--;
                continue;
            }
            const tm_op *op = &call->ops[i];
            rejection_write(out, op->id, op->at.browser, op->at.version,
                            ack->fault);
        }
    }
    tm_buf_byte(out, ']');
    TM_ASSERT(out->status != TM_OK || out->len <= TM_REJECTED_BYTES_MAX);
}

// ---- appending ----------------------------------------------------------------------

static void take_calls(tm_ledger *ledger, tm_calls *calls) {
    tm_decide_forget(ledger, &ledger->batch);
    *calls = (tm_calls){NULL, NULL};
    tm_call *call;
    while ((call = ledger->batch.first) != NULL) {
        tm_calls_remove(call);
        tm_calls_add(calls, call);
    }
}

// The draft never was. Its pushes are refused.
static void draft_refuse(tm_ledger *ledger, const tm_problem *problem) {
    tm_calls calls;
    take_calls(ledger, &calls);
    while (calls.first != NULL) {
        tm_call_fail(calls.first, problem);
    }
}

// Two servers that met once should not meet again and again.
static uint64_t retry_after(const tm_ledger *ledger, uint32_t conflicts) {
    if (conflicts < 2) return 0;
    const tm_service *service = ledger->service;
    uint32_t doubles = conflicts - 2;
    if (doubles > RETRY_DOUBLES) doubles = RETRY_DOUBLES;
    uint8_t bytes[2];
    service->config.random(service->config.random_context, bytes, sizeof bytes);
    uint64_t part = (uint64_t)bytes[0] << 8 | bytes[1];
    return service->now.mono_ms + (part * (RETRY_MS << doubles) >> 16) + 1;
}

// The draft never was. Its pushes are decided anew, first of all.
static void draft_repeat(tm_ledger *ledger) {
    tm_calls calls;
    take_calls(ledger, &calls);
    tm_call *call;
    while ((call = calls.last) != NULL) {
        tm_calls_remove(call);
        tm_calls_add_first(&ledger->pushes, call);
        call->conflicts++;
    }
    while (ledger->pushes.first != NULL &&
           ledger->pushes.first->conflicts > CONFLICTS_MAX) {
        tm_call_fail(ledger->pushes.first, &tm_problem_again);
    }
    call = ledger->pushes.first;
    ledger->retry_ms = call == NULL ? 0 : retry_after(ledger, call->conflicts);
}

static tm_status block_make(tm_ledger *ledger, tm_draft *draft) {
    tm_service *service = ledger->service;
    tm_buf *rejected = tm_answer_begin(service);
    rejections_write(ledger, draft, rejected);
    tm_buf_text(&draft->bytes, draft->count > 0 ? "]" : "[]");
    if (rejected->status != TM_OK || draft->bytes.status != TM_OK) {
        return TM_E_NOMEM;
    }
    tm_block *block =
        tm_block_new(&ledger->alloc, tm_buf_span(&draft->bytes),
                     tm_buf_span(rejected), draft->ends, draft->count);
    if (block == NULL) return TM_E_NOMEM;
    tm_batch *batch = &block->batch;
    batch->first_seq = ledger->head + 1;
    batch->last_seq = ledger->head + draft->count;
    batch->accepted_ms = service->now.wall_ms;
    if (ledger->head > 0) {
        memcpy(batch->before, ledger->mark, TM_MARK_LEN);
    } else { // the epoch
        service->config.random(service->config.random_context, batch->before,
                               TM_MARK_LEN);
    }
    tm_status status = tm_mark_next(&service->marker, batch->before,
                                    batch->operations, batch->mark);
    if (status != TM_OK) {
        tm_block_free(&ledger->alloc, block);
        return status;
    }
    ledger->block = block;
    return TM_OK;
}

static void append_start(tm_ledger *ledger, tm_draft *draft) {
    if (block_make(ledger, draft) != TM_OK) {
        draft_refuse(ledger, &tm_problem_memory);
        ledger->again = true;
        return;
    }
    tm_counts *counts = &ledger->service->counts;
    counts->appends++;
    for (const tm_call *call = ledger->batch.first; call != ledger->batch.last;
         call = call->next) {
        counts->joined++;
    }
    tm_ledger_started(ledger, TM_JOB_APPEND);
    ledger->append = (tm_store_append){.key = ledger->key,
                                       .batch = ledger->block->batch,
                                       .done = append_done,
                                       .context = ledger};
    tm_store_append_start(ledger->service->store, &ledger->append);
}

static void append_failed(tm_ledger *ledger, tm_status status) {
    tm_counts *counts = &ledger->service->counts;
    tm_block_free(&ledger->alloc, ledger->block);
    ledger->block = NULL;
    if (status == TM_E_CONFLICT) {
        counts->conflicts++;
        ledger->must_reread = true;
        draft_repeat(ledger);
        return;
    }
    counts->append_failures++;
    draft_refuse(ledger, tm_problem_of(status));
    if (status == TM_E_UNSURE) tm_ledger_lose(ledger);
}

static void append_done(tm_store_append *request, tm_status status) {
    tm_ledger *ledger = request->context;
    tm_ledger_enter(ledger);
    tm_ledger_ended(ledger);
    if (status == TM_OK) {
        commit(ledger);
    } else {
        append_failed(ledger, status);
    }
    tm_ledger_leave(ledger);
}

// ---- the draft becomes the state ----------------------------------------------------

static void count_ack(tm_counts *counts, const tm_ack *ack) {
    counts->ops_accepted += ack->kind == TM_ACK_OK;
    counts->ops_duplicate += ack->kind == TM_ACK_DUPLICATE;
    counts->ops_rejected += ack->kind == TM_ACK_REJECTED && ack->fresh;
}

// What is joined is the operation as it is stored, so that a list that was read from the
// log is the same to the byte.
static tm_status state_take(tm_ledger *ledger) {
    uint32_t stored = 0;
    for (tm_call *call = ledger->batch.first; call != NULL; call = call->next) {
        for (uint32_t i = 0; i < call->ack_count; i++) {
            if (call->acks[i].kind != TM_ACK_OK) continue;
            tm_op *op = &call->ops[i];
            op->raw = tm_block_op(ledger->block, stored++);
            op->at.time = call->acks[i].time;
            op->seq = call->acks[i].seq;
            tm_status status = tm_list_apply(ledger->list, op, NULL);
            if (status != TM_OK) return status;
        }
    }
    return TM_OK;
}

static void book_take(tm_ledger *ledger) {
    tm_counts *counts = &ledger->service->counts;
    if (ledger->block != NULL) ledger->rejection_count = 0; // they rode along
    for (tm_call *call = ledger->batch.first; call != NULL; call = call->next) {
        for (uint32_t i = 0; i < call->ack_count; i++) {
            const tm_ack *ack = &call->acks[i];
            const tm_op *op = &call->ops[i];
            count_ack(counts, ack);
            if (!ack->fresh) continue;
            bool rejected = ack->kind == TM_ACK_REJECTED;
            tm_decision decision = {ack->id, rejected ? 0 : ack->seq,
                                    rejected ? ack->fault : ack->time};
            tm_book_put(&ledger->book, ack->writer, op->at.version, &decision);
            if (rejected && ledger->block == NULL) rejection_add(ledger, op, ack);
        }
        counts->stops_fork += call->stop == TM_STOP_FORK;
        counts->stops_gap += call->stop == TM_STOP_GAP;
        counts->stops_retry += call->stop == TM_STOP_RETRY;
    }
}

// The batch is stored, but there is no memory to go on from it.
static void commit_lost(tm_ledger *ledger) {
    tm_block_free(&ledger->alloc, ledger->block);
    ledger->block = NULL;
    draft_refuse(ledger, &tm_problem_memory);
    tm_ledger_lose(ledger);
}

// Acks and news leave: SAVED to those connections that saved, the batch to the others.
static void tell(tm_ledger *ledger, const tm_block *block) {
    for (tm_call *call = ledger->batch.first; call != NULL; call = call->next) {
        if (call->conn != NULL) call->conn->last_save = call;
    }
    if (block != NULL) tm_ledger_told(ledger, &block->batch);
    for (tm_call *call = ledger->batch.first; call != NULL; call = call->next) {
        if (call->conn != NULL) tm_saved_tell(call, block);
    }
    tm_call *call;
    while ((call = ledger->batch.first) != NULL) {
        if (call->conn != NULL) call->conn->last_save = NULL;
        tm_calls_remove(call);
        call->decided = true;
        if (call->gone || call->told) {
            tm_call_end(call);
        } else {
            tm_serve(call);
        }
    }
}

// What was stored by another server that died before it could tell, is told by who hears
// of it next.
static bool has_duplicate(const tm_ledger *ledger) {
    for (const tm_call *call = ledger->batch.first; call != NULL;
         call = call->next) {
        for (uint32_t i = 0; i < call->ack_count; i++) {
            if (call->acks[i].kind == TM_ACK_DUPLICATE) return true;
        }
    }
    return false;
}

static void commit(tm_ledger *ledger) {
    if (state_take(ledger) != TM_OK) {
        commit_lost(ledger);
        return;
    }
    book_take(ledger);
    tm_block *block = ledger->block;
    ledger->block = NULL;
    if (block != NULL) {
        ledger->head = block->batch.last_seq;
        memcpy(ledger->mark, block->batch.mark, TM_MARK_LEN);
        tm_tail_add(&ledger->tail, block);
        tm_ledger_landmark(ledger, &block->batch);
        tm_watch_sure(ledger);
    }
    if (block != NULL || has_duplicate(ledger)) tm_watch_ring(ledger);
    tell(ledger, block);
    ledger->again = true;
}

void tm_ledger_told(tm_ledger *ledger, const tm_batch *batch) {
    ledger->changed_ms = ledger->service->now.mono_ms;
    ledger->digest_due = true;
    tm_watch_active(ledger);
    tm_hub_tell(ledger, batch);
    tm_call *call;
    while ((call = ledger->parked.first) != NULL) {
        tm_ledger_wait(ledger, call);
    }
}

// ---- deciding -----------------------------------------------------------------------

// What is to be done with the first of those that wait. false: nothing more now.
static bool decide_first(tm_ledger *ledger, tm_draft *draft) {
    tm_call *call = ledger->pushes.first;
    if (call == NULL || call->wants_read || call->wants_search) return false;
    switch (tm_decide(draft, ledger, call)) {
    case TM_DECIDED:
        if (draft->rejections > 0 && rejections_room(ledger) != TM_OK) {
            tm_decide_undo(draft, ledger, call);
            tm_call_fail(call, &tm_problem_memory);
            return true;
        }
        tm_calls_remove(call);
        tm_calls_add(&ledger->batch, call);
        return true;
    case TM_DECIDE_READ:
        call->wants_read = true;
        return false;
    case TM_DECIDE_SEARCH:
        call->wants_search = true;
        return false;
    case TM_DECIDE_FULL:
        return false;
    case TM_DECIDE_CLOCK:
        tm_call_fail(call, &tm_problem_clock);
        return true;
    default:
        tm_call_fail(call, &tm_problem_memory);
        return true;
    }
}

void tm_job_decide(tm_ledger *ledger) {
    tm_draft *draft = &ledger->service->draft;
    tm_draft_open(draft, ledger);
    while (decide_first(ledger, draft)) {
    }
    tm_draft_done(draft);
    if (draft->count > 0) {
        append_start(ledger, draft);
    } else if (ledger->batch.first != NULL) {
        commit(ledger); // duplicates, rejections, stops: nothing to be stored
    } else {
        ledger->again = true;
    }
}
