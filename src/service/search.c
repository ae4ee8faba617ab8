// search.c - see ledger.h: before a fork is said, the rows above the floor are searched
// for the ids of the push. Whoever was away long enough for his writer's last hundred
// decisions to be others' (a clone of his storage, say) finds his operations so.
#include "service/answer.h"
#include "service/stored.h"

#include <string.h>

#define SEARCH_OPS_MAX   4096u
#define SEARCH_BYTES_MAX (2u << 20)

static void search_read(tm_ledger *ledger);

// Remembers what the batch says of the push's ids.
static tm_status search_batch(tm_call *call, const tm_batch *batch) {
    tm_arena *arena = &call->service->arena;
    tm_stored stored;
    tm_arena_reset(arena);
    tm_status status = tm_stored_read(batch, arena, &stored);
    if (status != TM_OK) return status;
    for (uint32_t k = 0; k < call->op_count; k++) {
        tm_span id = call->ops[k].id;
        for (uint32_t i = 0; i < stored.count; i++) {
            const tm_op *op = &stored.ops[i];
            if (op->id.len != id.len || memcmp(op->id.ptr, id.ptr, id.len) != 0) {
                continue;
            }
            call->found[k] = (tm_decision){tm_id_hash_of(id), op->seq, op->at.time};
        }
        for (uint32_t i = 0; i < stored.rejected_count; i++) {
            if (tm_span_cmp(stored.rejected[i].id, id) != 0) continue;
            call->found[k] =
                (tm_decision){tm_id_hash_of(id), 0, stored.rejected[i].fault};
        }
    }
    return TM_OK;
}

static void search_done(tm_store_read *request, tm_status status,
                        const tm_batch *batches, size_t count, bool more) {
    tm_ledger *ledger = request->context;
    tm_ledger_enter(ledger);
    tm_ledger_ended(ledger);
    tm_call *call = ledger->pushes.first;
    for (size_t i = 0; i < count && status == TM_OK; i++) {
        status = search_batch(call, &batches[i]);
    }
    if (status != TM_OK) {
        tm_call_fail(call, tm_problem_of(status));
    } else if (more && count > 0 &&
               batches[count - 1].last_seq > ledger->search_at) {
        ledger->search_at = batches[count - 1].last_seq;
        search_read(ledger);
    } else {
        call->wants_search = false;
    }
    tm_ledger_leave(ledger);
}

static void search_read(tm_ledger *ledger) {
    tm_ledger_started(ledger, TM_JOB_SEARCH);
    ledger->read = (tm_store_read){.key = ledger->key,
                                   .since = ledger->search_at,
                                   .ops_max = SEARCH_OPS_MAX,
                                   .bytes_max = SEARCH_BYTES_MAX,
                                   .done = search_done,
                                   .context = ledger};
    tm_store_read_start(ledger->service->store, &ledger->read);
}

void tm_job_search(tm_ledger *ledger) {
    tm_call *call = ledger->pushes.first;
    ledger->service->counts.searches++;
    size_t size = call->op_count * sizeof *call->found;
    call->found = tm_arena_get(&call->arena, size);
    if (call->found == NULL) {
        tm_call_fail(call, &tm_problem_memory);
        ledger->again = true;
        return;
    }
    memset(call->found, 0, size);
    ledger->search_at = ledger->floor;
    search_read(ledger);
}
