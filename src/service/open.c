// open.c - see ledger.h: opening a list, reading on from its head, taking in batches that
// the store has and memory has not.
#include "service/answer.h"
#include "service/serve.h"
#include "service/snapshot.h"
#include "service/stored.h"
#include "service/watch.h"

#include <string.h>

// One read of a tail: as much as fits easily into one turn of the loop.
#define TAIL_OPS_MAX   4096u
#define TAIL_BYTES_MAX (2u << 20)

// ---- taking in a batch --------------------------------------------------------------

static bool marks_equal(const uint8_t *a, const uint8_t *b) {
    return memcmp(a, b, TM_MARK_LEN) == 0;
}

// The batch is the next of the chain, and its bytes are those its mark was taken over.
static tm_status chain_check(tm_ledger *ledger, const tm_batch *batch) {
    uint8_t mark[TM_MARK_LEN];
    if (batch->first_seq != ledger->head + 1 ||
        batch->last_seq < batch->first_seq ||
        batch->last_seq - batch->first_seq >= TM_BATCH_OPS_MAX) {
        return TM_E_CORRUPT;
    }
    if (ledger->head > 0 && !marks_equal(batch->before, ledger->mark)) {
        return TM_E_CORRUPT;
    }
    tm_status status = tm_mark_next(&ledger->service->marker, batch->before,
                                    batch->operations, mark);
    if (status != TM_OK) return status;
    return marks_equal(mark, batch->mark) ? TM_OK : TM_E_CORRUPT;
}

static tm_status decided(tm_book *book, tm_span browser, uint64_t version,
                         const tm_decision *decision) {
    tm_writer *writer = tm_book_writer(book, browser);
    tm_status status = TM_OK;
    if (writer == NULL) status = tm_book_writer_add(book, browser, &writer);
    if (status == TM_OK) status = tm_book_reserve(book, writer, version, 0);
    if (status == TM_OK) tm_book_put(book, writer, version, decision);
    return status;
}

static tm_status op_take(tm_ledger *ledger, const tm_op *op) {
    // One with a fault was accepted by a build that knows more; clients of this one pass
    // over it too.
    if (op->fault == TM_FAULT_NONE) {
        tm_status status = tm_list_apply(ledger->list, op, NULL);
        if (status != TM_OK) return status;
    }
    tm_decision decision = {tm_id_hash_of(op->id), op->seq, op->at.time};
    return decided(&ledger->book, op->at.browser, op->at.version, &decision);
}

// A rejection of our own that the log shows decided needs no batch any more.
static void rejection_settle(tm_ledger *ledger, tm_span browser, uint64_t version) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < ledger->rejection_count; i++) {
        const tm_rejection *one = &ledger->rejections[i];
        if (one->version <= version &&
            tm_span_cmp(one->writer->browser, browser) == 0) {
            continue;
        }
        ledger->rejections[kept++] = *one;
    }
    ledger->rejection_count = kept;
}

static tm_status rejected_take(tm_ledger *ledger, const tm_stored *stored) {
    tm_status status = TM_OK;
    for (uint32_t i = 0; i < stored->rejected_count && status == TM_OK; i++) {
        const tm_stored_rejection *one = &stored->rejected[i];
        const tm_writer *writer = tm_book_writer(&ledger->book, one->browser);
        tm_id_hash id = tm_id_hash_of(one->id);
        // It may ride twice, when a re-read came in between; what was decided stands.
        if (tm_book_find(&ledger->book, id) != NULL) continue;
        if (writer != NULL && tm_book_at(writer, one->version) != NULL) continue;
        tm_decision decision = {id, 0, one->fault};
        status = decided(&ledger->book, one->browser, one->version, &decision);
    }
    return status;
}

static tm_status tail_keep(tm_ledger *ledger, const tm_batch *batch,
                           const tm_stored *ops) {
    tm_block *block = tm_block_new(&ledger->alloc, batch->operations,
                                   batch->rejected, ops->ends, ops->count);
    if (block == NULL) return TM_E_NOMEM;
    tm_span operations = block->batch.operations, rejected = block->batch.rejected;
    block->batch = *batch;
    block->batch.operations = operations;
    block->batch.rejected = rejected;
    tm_tail_add(&ledger->tail, block);
    return TM_OK;
}

tm_status tm_ledger_apply(tm_ledger *ledger, const tm_batch *batch) {
    tm_arena *arena = &ledger->service->arena;
    tm_stored stored;
    tm_arena_reset(arena);
    tm_status status = chain_check(ledger, batch);
    if (status == TM_OK) status = tm_stored_read(batch, arena, &stored);
    for (uint32_t i = 0; status == TM_OK && i < stored.count; i++) {
        const tm_op *op = &stored.ops[i];
        status = op_take(ledger, op);
        rejection_settle(ledger, op->at.browser, op->at.version);
    }
    if (status == TM_OK) status = rejected_take(ledger, &stored);
    if (status == TM_OK) status = tail_keep(ledger, batch, &stored);
    if (status != TM_OK) return status;
    ledger->head = batch->last_seq;
    memcpy(ledger->mark, batch->mark, TM_MARK_LEN);
    tm_ledger_landmark(ledger, batch);
    return TM_OK;
}

// ---- does the store's log go on from what we know? ----------------------------------

// `first` receives the first batch that is new. TM_E_STATE: it does not.
static tm_status tail_confirm(const tm_ledger *ledger, const tm_batch *batches,
                              size_t count, size_t *first) {
    *first = 0;
    if (ledger->head == 0) return TM_OK;
    if (count == 0) return TM_E_STATE;
    if (batches[0].last_seq == ledger->head) {
        *first = 1;
        return marks_equal(batches[0].mark, ledger->mark) ? TM_OK : TM_E_STATE;
    }
    bool follows = batches[0].first_seq == ledger->head + 1 &&
                   marks_equal(batches[0].before, ledger->mark);
    return follows ? TM_OK : TM_E_STATE;
}

static void tail_read(tm_ledger *ledger, tm_ledger_job job,
                      void (*done)(tm_store_read *, tm_status, const tm_batch *,
                                   size_t, bool)) {
    tm_ledger_started(ledger, job);
    ledger->read = (tm_store_read){.key = ledger->key,
                                   .since = ledger->head,
                                   .ops_max = TAIL_OPS_MAX,
                                   .bytes_max = TAIL_BYTES_MAX,
                                   .done = done,
                                   .context = ledger};
    tm_store_read_start(ledger->service->store, &ledger->read);
}

static void fail_all(tm_calls *calls, const tm_problem *problem, bool verifying) {
    for (tm_call *call = calls->first, *next; call != NULL; call = next) {
        next = call->next;
        if (!verifying || call->verifying) tm_call_fail(call, problem);
    }
}

// ---- opening ------------------------------------------------------------------------

static void open_read(tm_ledger *ledger);

// It cannot be opened now: everybody who wants it is told why.
static void open_fail(tm_ledger *ledger, tm_status status) {
    const tm_problem *problem = tm_problem_of(status);
    ledger->compact = false;
    ledger->trimmed = NULL;
    tm_ledger_lose(ledger);
    fail_all(&ledger->waiting, problem, false);
    fail_all(&ledger->pushes, problem, false);
}

// What the snapshot says does not fit the log. The log alone may still be whole.
static void open_anew(tm_ledger *ledger, tm_status status) {
    if (ledger->ignore_snapshot || status == TM_E_NOMEM || status == TM_E_FORMAT) {
        ledger->ignore_snapshot = false;
        open_fail(ledger, status);
        return;
    }
    tm_ledger_lose(ledger);
    ledger->ignore_snapshot = true; // the pump opens again: the calls still wait
}

static void verified(tm_calls *calls) {
    for (tm_call *call = calls->first; call != NULL; call = call->next) {
        if (!call->verifying) continue;
        call->verifying = false;
        call->verified = true;
        call->wants_read = false;
    }
}

static void verify_begin(tm_calls *calls) {
    for (tm_call *call = calls->first; call != NULL; call = call->next) {
        call->verifying = true;
    }
}

static void opened(tm_ledger *ledger) {
    ledger->state = TM_LEDGER_WARM;
    ledger->ignore_snapshot = false;
    ledger->changed_ms = ledger->service->now.mono_ms;
    tm_tail_trim(&ledger->tail, &ledger->alloc, TM_TAIL_BYTES_MAX);
    tm_watch_read(ledger, true);
    verified(&ledger->waiting);
    verified(&ledger->pushes);
}

static void open_done(tm_store_read *request, tm_status status,
                      const tm_batch *batches, size_t count, bool more) {
    tm_ledger *ledger = request->context;
    tm_ledger_enter(ledger);
    tm_ledger_ended(ledger);
    bool failed = status != TM_OK;
    size_t first = 0;
    if (!failed) status = tail_confirm(ledger, batches, count, &first);
    if (status == TM_E_STATE) status = TM_E_CORRUPT;
    for (size_t i = first; status == TM_OK && i < count; i++) {
        status = tm_ledger_apply(ledger, &batches[i]);
        tm_tail_trim(&ledger->tail, &ledger->alloc, TM_TAIL_BYTES_MAX);
    }
    if (failed) {
        open_fail(ledger, status);
    } else if (status != TM_OK) {
        open_anew(ledger, status);
    } else if (more && count > first) {
        open_read(ledger);
    } else if (ledger->ignore_snapshot && ledger->head < ledger->ignored_seq) {
        open_anew(ledger, TM_E_CORRUPT);
    } else {
        opened(ledger);
    }
    tm_ledger_leave(ledger);
}

static void open_read(tm_ledger *ledger) {
    tail_read(ledger, TM_JOB_OPEN, open_done);
}

static void load_done(tm_store_load *request, tm_status status, uint64_t seq,
                      tm_span bytes) {
    tm_ledger *ledger = request->context;
    tm_ledger_enter(ledger);
    tm_ledger_ended(ledger);
    ledger->ignored_seq = seq;
    if (status == TM_OK && seq > 0) {
        tm_arena *arena = &ledger->service->arena;
        tm_arena_reset(arena);
        status = tm_snapshot_read(ledger, seq, bytes, arena);
        tm_arena_deinit(arena); // it may have been large
        if (status != TM_OK) {
            open_anew(ledger, status);
            tm_ledger_leave(ledger);
            return;
        }
        ledger->snapshot_seq = seq;
        ledger->tail.base_seq = seq;
        memcpy(ledger->tail.base_mark, ledger->mark, TM_MARK_LEN);
    }
    if (status == TM_OK) {
        open_read(ledger);
    } else {
        open_fail(ledger, status);
    }
    tm_ledger_leave(ledger);
}

void tm_job_open(tm_ledger *ledger) {
    tm_service *service = ledger->service;
    tm_watch_reading(ledger);
    verify_begin(&ledger->waiting);
    verify_begin(&ledger->pushes);
    service->counts.opens++;
    tm_book_init(&ledger->book, &ledger->alloc, service->seed);
    tm_status status = tm_list_new(&ledger->alloc, service->seed, &ledger->list);
    if (status != TM_OK) {
        open_fail(ledger, status);
        return;
    }
    if (ledger->ignore_snapshot) {
        open_read(ledger);
        return;
    }
    tm_ledger_started(ledger, TM_JOB_LOAD);
    ledger->load =
        (tm_store_load){.key = ledger->key, .done = load_done, .context = ledger};
    tm_store_load_start(service->store, &ledger->load);
}

// ---- reading on ---------------------------------------------------------------------

static void reread_read(tm_ledger *ledger);

static void reread_end(tm_ledger *ledger) {
    ledger->must_reread = false;
    tm_watch_read(ledger, true);
    verified(&ledger->pushes);
    for (tm_call *call = ledger->verifying.first, *next; call != NULL;
         call = next) {
        next = call->next;
        if (!call->verifying) continue; // came later
        call->looking = call->verifying = false;
        call->verified = true;
        tm_ledger_wait(ledger, call); // and is served again
    }
}

// Those who only wanted to be sure of news are answered from what is known.
static void lookers_serve(tm_ledger *ledger) {
    for (tm_call *call = ledger->verifying.first, *next; call != NULL;
         call = next) {
        next = call->next;
        if (!call->looking) continue;
        call->looking = call->verifying = false;
        tm_ledger_wait(ledger, call);
    }
}

static void reread_done(tm_store_read *request, tm_status status,
                        const tm_batch *batches, size_t count, bool more) {
    tm_ledger *ledger = request->context;
    tm_ledger_enter(ledger);
    tm_ledger_ended(ledger);
    bool failed = status != TM_OK;
    size_t first = 0;
    if (!failed) status = tail_confirm(ledger, batches, count, &first);
    for (size_t i = first; status == TM_OK && i < count; i++) {
        status = tm_ledger_apply(ledger, &batches[i]);
        if (status == TM_OK) tm_ledger_told(ledger, &batches[i]);
    }
    if (failed) {
        // Nothing is lost: those who asked for the read are told, the rest goes on.
        const tm_problem *problem = tm_problem_of(status);
        tm_watch_read(ledger, false);
        lookers_serve(ledger);
        fail_all(&ledger->verifying, problem, true);
        if (ledger->must_reread) fail_all(&ledger->pushes, problem, true);
        for (tm_call *call = ledger->pushes.first, *next; call != NULL;
             call = next) {
            next = call->next;
            call->verifying = false;
            if (call->wants_read) tm_call_fail(call, problem);
        }
    } else if (status != TM_OK) {
        tm_ledger_lose(ledger); // another log, or no memory: the pump opens anew
    } else if (more && count > first) {
        reread_read(ledger);
    } else {
        reread_end(ledger);
    }
    tm_ledger_leave(ledger);
}

static void reread_read(tm_ledger *ledger) {
    tail_read(ledger, TM_JOB_REREAD, reread_done);
}

void tm_job_reread(tm_ledger *ledger) {
    ledger->service->counts.rereads++;
    tm_watch_reading(ledger);
    verify_begin(&ledger->verifying);
    verify_begin(&ledger->pushes);
    reread_read(ledger);
}
