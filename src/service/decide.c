// decide.c - see decide.h.
#include "service/decide.h"

#include "service/inside.h"

#include <string.h>

// What a register costs in the canonical bytes beside its value, at most: a stamp, an
// index, commas; and what an item costs beside its registers, a browser's name with it.
#define REG_SIZE  72u
#define ITEM_SIZE 160u

void tm_draft_open(tm_draft *draft, tm_ledger *ledger) {
    tm_book_draft(&ledger->book);
    tm_buf_reset(&draft->bytes);
    draft->count = draft->decisions = draft->rejections = 0;
    draft->adds = draft->ids = draft->growth = 0;
    memset(draft->chains, 0, sizeof draft->chains);
    memset(draft->items, 0, sizeof draft->items);
}

void tm_draft_done(tm_draft *draft) {
    tm_list_free(draft->overlay);
    draft->overlay = NULL;
}

// ---- ids ----------------------------------------------------------------------------

static tm_ack **chain_of(tm_draft *draft, tm_id_hash id) {
    return &draft->chains[id.lo % TM_DRAFT_CHAINS];
}

// Is the id known? Then the ack says what became of it.
static bool ack_known(tm_draft *draft, const tm_ledger *ledger, const tm_call *call,
                      tm_ack *ack) {
    for (const tm_ack *other = *chain_of(draft, ack->id); other != NULL;
         other = other->chain) {
        if (other->id.lo != ack->id.lo || other->id.hi != ack->id.hi) continue;
        ack->kind =
            other->kind == TM_ACK_REJECTED ? TM_ACK_REJECTED : TM_ACK_DUPLICATE;
        ack->fault = other->fault;
        ack->seq = other->seq;
        ack->time = other->time;
        return true;
    }
    const tm_decision *known = tm_book_find(&ledger->book, ack->id);
    if (known == NULL && call->found != NULL) {
        const tm_decision *found = &call->found[call->ack_count];
        if (found->id.lo != 0 || found->id.hi != 0) known = found;
    }
    if (known == NULL) return false;
    if (known->seq == 0) {
        ack->kind = TM_ACK_REJECTED;
        ack->fault = (tm_fault)known->time;
    } else {
        ack->kind = TM_ACK_DUPLICATE;
        ack->seq = known->seq;
        ack->time = known->time;
    }
    return true;
}

// ---- limits -------------------------------------------------------------------------

// What an operation can add to tm_list_size, at most.
static size_t growth_of(const tm_op *op) {
    if (op->type == TM_OP_UNKNOWN) return op->raw.len + REG_SIZE;
    if (op->type == TM_OP_DELETE) return op->instance_id.len * 6 + 4;
    return op->raw.len + ITEM_SIZE + REG_SIZE * (op->field_count + 1u);
}

// The item as list and draft together have it.
typedef struct item_view {
    bool known, added, dead;
} item_view;

static item_view view_of(const tm_list *list, const tm_list *overlay, tm_span id) {
    const tm_item *a = tm_list_find(list, id);
    const tm_item *b = overlay == NULL ? NULL : tm_list_find(overlay, id);
    item_view view = {a != NULL || b != NULL, false, false};
    view.added = (a != NULL && a->added) || (b != NULL && b->added);
    view.dead = tm_item_dead(a) || tm_item_dead(b);
    return view;
}

static item_view view_after(item_view view, const tm_op *op) {
    view.known = true;
    view.added = view.added || op->type == TM_OP_ADD;
    view.dead = view.dead || op->type == TM_OP_DELETE;
    return view;
}

static int live_delta(item_view before, item_view after) {
    return (after.added && !after.dead) - (before.added && !before.dead);
}

// Joins an operation into the overlay, and counts what that changed.
static tm_status overlay_add(tm_draft *draft, const tm_list *list,
                             const tm_op *op) {
    if (op->type == TM_OP_SORT || op->type == TM_OP_UNKNOWN) return TM_OK;
    item_view before = view_of(list, draft->overlay, op->instance_id);
    tm_status status = tm_list_apply(draft->overlay, op, NULL);
    if (status != TM_OK) return status;
    draft->live_more += live_delta(before, view_after(before, op));
    draft->ids_more += !before.known;
    return TM_OK;
}

static tm_status overlay_make(tm_draft *draft, tm_ledger *ledger) {
    if (draft->overlay != NULL) return TM_OK;
    const tm_service *service = ledger->service;
    draft->live_more = 0;
    draft->ids_more = 0;
    tm_status status = tm_list_new(service->alloc, service->seed, &draft->overlay);
    for (uint32_t i = 0; i < draft->count && status == TM_OK; i++) {
        status = overlay_add(draft, ledger->list, draft->ops[i]);
    }
    if (status != TM_OK) tm_draft_done(draft);
    return status;
}

static bool has_field(const tm_item *item, tm_span name) {
    return tm_item_reg(item, name).at.browser.len > 0;
}

// How many fields the item has that `without` lacks.
static size_t fields_of(const tm_item *item, const tm_item *without) {
    size_t count = 0;
    tm_item_field field;
    for (size_t at = 0; item != NULL && tm_item_next(item, &at, &field);) {
        count += field.name.len > 0 && !has_field(without, field.name);
    }
    return count;
}

// How many fields the item would have.
static size_t fields_after(const tm_list *list, const tm_list *overlay,
                           const tm_op *op) {
    const tm_item *a = tm_list_find(list, op->instance_id);
    const tm_item *b =
        overlay == NULL ? NULL : tm_list_find(overlay, op->instance_id);
    size_t count = fields_of(a, NULL) + fields_of(b, a);
    for (uint32_t i = 0; i < op->field_count; i++) {
        count +=
            !has_field(a, op->fields[i].name) && !has_field(b, op->fields[i].name);
    }
    return count;
}

// The item's bit. Two items of one bit cost a look at the draft, no more.
static size_t item_bit(const tm_op *op) {
    return (size_t)tm_hash((tm_seed){0, 0}, op->instance_id) % TM_DRAFT_ITEMS;
}

// Does an operation of the draft concern the same item?
static bool draft_touches(const tm_draft *draft, const tm_op *op) {
    size_t bit = item_bit(op);
    if ((draft->items[bit / 64] >> (bit % 64) & 1) == 0) return false;
    for (uint32_t i = 0; i < draft->count; i++) {
        if (tm_span_cmp(draft->ops[i]->instance_id, op->instance_id) == 0) {
            return true;
        }
    }
    return false;
}

// Is the operation surely within the limits, by upper bounds alone?
static bool far_from_limits(const tm_draft *draft, const tm_list *list,
                            const tm_op *op) {
    if (tm_list_live(list) + draft->adds >= TM_LIVE_MAX) return false;
    if (tm_list_count(list) + draft->ids >= TM_IDS_MAX) return false;
    if (op->field_count == 0) return true;
    size_t fields = fields_after(list, NULL, op);
    const tm_item *item = tm_list_find(list, op->instance_id);
    if (item != NULL && fields == fields_of(item, NULL)) return true; // none is new
    return fields <= TM_FIELDS_MAX && !draft_touches(draft, op);
}

static tm_status limits_judge(tm_draft *draft, tm_ledger *ledger, const tm_op *op,
                              tm_fault *fault) {
    const tm_list *list = ledger->list;
    *fault = TM_FAULT_NONE;
    bool shrinks =
        op->type == TM_OP_DELETE && tm_list_find(list, op->instance_id) != NULL;
    if (!shrinks &&
        tm_list_size(list) + draft->growth + growth_of(op) > TM_STATE_MAX) {
        *fault = TM_FAULT_STATE;
        return TM_OK;
    }
    if (op->type == TM_OP_SORT || op->type == TM_OP_UNKNOWN) return TM_OK;
    if (far_from_limits(draft, list, op)) return TM_OK;

    tm_status status = overlay_make(draft, ledger);
    if (status != TM_OK) return status;
    item_view before = view_of(list, draft->overlay, op->instance_id);
    item_view after = view_after(before, op);
    int64_t live = (int64_t)tm_list_live(list) + draft->live_more;
    uint64_t ids = tm_list_count(list) + draft->ids_more;
    if (!before.known && ids >= TM_IDS_MAX) {
        *fault = TM_FAULT_IDS;
    } else if (live_delta(before, after) > 0 && live >= (int64_t)TM_LIVE_MAX) {
        *fault = TM_FAULT_LIVE;
    } else if (!after.dead &&
               fields_after(list, draft->overlay, op) > TM_FIELDS_MAX) {
        *fault = TM_FAULT_FIELDS;
    }
    return TM_OK;
}

// Why it can never be accepted; DESIGN 3 for `seq`.
static tm_status judge(tm_draft *draft, tm_ledger *ledger, const tm_op *op,
                       tm_fault *fault) {
    const tm_service_config *config = &ledger->service->config;
    *fault = op->fault;
    if (*fault == TM_FAULT_NONE && op->cut.seq.len > 0) *fault = TM_FAULT_SEQ;
    if (*fault == TM_FAULT_NONE && config->policy != NULL) {
        *fault = config->policy(config->policy_context, ledger->key.user, op);
    }
    if (*fault != TM_FAULT_NONE) return TM_OK;
    return limits_judge(draft, ledger, op, fault);
}

// ---- one operation ------------------------------------------------------------------

typedef enum step {
    STEP_NEXT,
    STEP_STOP, // the call has a stop
    STEP_FULL, // the batch has no room for it
    STEP_READ, // as TM_DECIDE_
    STEP_SEARCH,
    STEP_NOMEM,
    STEP_CLOCK,
} step;

static step stop_with(tm_call *call, tm_stop stop) {
    call->stop = stop;
    return STEP_STOP;
}

// A version that is not the next one of its writer.
static step out_of_turn(const tm_ledger *ledger, tm_call *call, uint64_t version,
                        const tm_op *op) {
    if (!call->verified) return STEP_READ;
    if (op->at.version > version) {
        call->expected = version + 1;
        return stop_with(call, TM_STOP_GAP);
    }
    if (call->found == NULL && ledger->floor < ledger->head) return STEP_SEARCH;
    return stop_with(call, TM_STOP_FORK);
}

// Writes the operation as it will be stored behind the batch so far. `too_large`: no
// reader would take it.
static step splice(tm_draft *draft, const tm_op *op, uint64_t seq, uint64_t time,
                   bool *too_large) {
    size_t before = draft->bytes.len;
    tm_op_change change = {.seq = seq, .time = time == op->at.time ? NULL : &time};
    tm_buf_byte(&draft->bytes, draft->count > 0 ? ',' : '[');
    size_t begin = draft->bytes.len;
    tm_op_pass(&draft->bytes, op, &change);
    if (draft->bytes.status != TM_OK) {
        tm_buf_reset(&draft->bytes);
        draft->bytes.len = before;
        return STEP_NOMEM;
    }
    *too_large = draft->bytes.len - begin > TM_OP_MAX;
    if (!*too_large && draft->count < TM_BATCH_OPS_MAX &&
        draft->bytes.len + 1 <= TM_BATCH_BYTES_MAX) {
        return STEP_NEXT;
    }
    draft->bytes.len = before;
    return *too_large ? STEP_NEXT : STEP_FULL;
}

static void reject(tm_ack *ack, tm_fault fault) {
    ack->kind = TM_ACK_REJECTED;
    ack->fault = fault;
}

// Decides what may be accepted: a stamp, a number, its bytes.
static step accept(tm_draft *draft, tm_ledger *ledger, const tm_op *op, tm_ack *ack,
                   tm_clock *last) {
    tm_book *book = &ledger->book;
    tm_clock user = book->draft_clock, writer = *last;
    uint64_t time = op->at.time;
    // To the clock no time means no last one; of a writer that was used it is the first
    // moment there is.
    if (time == 0 && ack->before_version > 0) time = 1;
    if (tm_clock_accept(&user, &writer, ledger->service->now.wall_ms, &time) !=
        TM_OK) {
        return STEP_CLOCK;
    }
    bool too_large;
    uint64_t seq = ledger->head + draft->count + 1;
    step done = splice(draft, op, seq, time, &too_large);
    if (done != STEP_NEXT) return done;
    if (too_large) {
        reject(ack, TM_FAULT_SIZE);
        return STEP_NEXT;
    }
    if (draft->overlay != NULL && overlay_add(draft, ledger->list, op) != TM_OK) {
        draft->bytes.len = ack->before_bytes;
        return STEP_NOMEM;
    }
    ack->kind = TM_ACK_OK;
    ack->seq = seq;
    ack->time = time;
    book->draft_clock = user;
    *last = writer;
    draft->ops[draft->count] = op;
    draft->ends[draft->count++] = (uint32_t)draft->bytes.len;
    draft->adds += op->type == TM_OP_ADD;
    draft->ids += op->type != TM_OP_SORT && op->type != TM_OP_UNKNOWN;
    draft->growth += growth_of(op);
    if (op->instance_id.len > 0) {
        size_t bit = item_bit(op);
        draft->items[bit / 64] |= UINT64_C(1) << (bit % 64);
    }
    return STEP_NEXT;
}

static step decide_fresh(tm_draft *draft, tm_ledger *ledger, tm_call *call,
                         const tm_op *op, tm_ack *ack) {
    tm_book *book = &ledger->book;
    tm_clock last = tm_book_draft_last(book, ack->writer);
    ack->before_version = tm_book_draft_version(book, ack->writer);
    ack->before_last = last;
    ack->before_clock = book->draft_clock;
    ack->before_bytes = draft->bytes.len;
    if (tm_book_reserve(book, ack->writer, op->at.version, draft->decisions) !=
        TM_OK) {
        return STEP_NOMEM;
    }
    tm_fault fault;
    if (judge(draft, ledger, op, &fault) != TM_OK) return STEP_NOMEM;
    step done = STEP_NEXT;
    if (fault != TM_FAULT_NONE) {
        reject(ack, fault);
    } else {
        done = accept(draft, ledger, op, ack, &last);
    }
    if (done != STEP_NEXT) return done;
    ack->fresh = true;
    tm_book_draft_set(book, ack->writer, op->at.version, last);
    draft->decisions++;
    draft->rejections += ack->kind == TM_ACK_REJECTED;
    tm_ack **chain = chain_of(draft, ack->id);
    ack->chain = *chain;
    *chain = ack;
    call->ack_count++;
    return STEP_NEXT;
}

static step decide_one(tm_draft *draft, tm_ledger *ledger, tm_call *call) {
    const tm_op *op = &call->ops[call->ack_count];
    tm_ack *ack = &call->acks[call->ack_count];
    *ack = (tm_ack){.id = tm_id_hash_of(op->id)};
    if (ack_known(draft, ledger, call, ack)) {
        call->ack_count++;
        return STEP_NEXT;
    }
    tm_book *book = &ledger->book;
    tm_writer *writer = tm_book_writer(book, op->at.browser);
    uint64_t version = writer == NULL ? 0 : tm_book_draft_version(book, writer);
    if (op->at.version != version + 1) {
        return out_of_turn(ledger, call, version, op);
    }
    // What this list has forgotten may come again under a name that is in turn, as after
    // a rename. What is made now is later than all that its author has seen.
    if (call->found == NULL && ledger->floor < ledger->head &&
        book->forgotten.time != 0 && op->at.time <= book->forgotten.time) {
        return STEP_SEARCH;
    }
    if (writer == NULL) {
        if (tm_book_writer_add(book, op->at.browser, &writer) != TM_OK) {
            return STEP_NOMEM;
        }
        ack->writer_new = true;
    }
    ack->writer = writer;
    step done = decide_fresh(draft, ledger, call, op, ack);
    if (done != STEP_NEXT && ack->writer_new) {
        tm_book_writer_drop(book, writer);
        ack->writer_new = false;
    }
    return done;
}

// ---- a push -------------------------------------------------------------------------

static void ack_undo(tm_draft *draft, tm_ledger *ledger, const tm_op *op,
                     tm_ack *ack) {
    if (!ack->fresh) return;
    tm_ack **chain = chain_of(draft, ack->id);
    TM_ASSERT(*chain == ack); // the newest goes first
    *chain = ack->chain;
    tm_book *book = &ledger->book;
    tm_book_draft_set(book, ack->writer, ack->before_version, ack->before_last);
    book->draft_clock = ack->before_clock;
    if (ack->writer_new) tm_book_writer_drop(book, ack->writer);
    draft->decisions--;
    draft->bytes.len = ack->before_bytes;
    if (ack->kind == TM_ACK_REJECTED) {
        draft->rejections--;
        return;
    }
    draft->count--;
    draft->adds -= op->type == TM_OP_ADD;
    draft->ids -= op->type != TM_OP_SORT && op->type != TM_OP_UNKNOWN;
    draft->growth -= growth_of(op);
    tm_draft_done(draft); // nothing can be taken out of the overlay
}

void tm_decide_undo(tm_draft *draft, tm_ledger *ledger, tm_call *call) {
    while (call->ack_count > 0) {
        call->ack_count--;
        ack_undo(draft, ledger, &call->ops[call->ack_count],
                 &call->acks[call->ack_count]);
    }
    call->stop = TM_STOP_NONE;
}

void tm_decide_forget(tm_ledger *ledger, tm_calls *calls) {
    for (tm_call *call = calls->last; call != NULL; call = call->prev) {
        while (call->ack_count > 0) {
            tm_ack *ack = &call->acks[--call->ack_count];
            if (ack->writer_new) tm_book_writer_drop(&ledger->book, ack->writer);
        }
        call->stop = TM_STOP_NONE;
    }
}

tm_decided tm_decide(tm_draft *draft, tm_ledger *ledger, tm_call *call) {
    uint32_t ops_max = ledger->service->config.push_ops_max;
    bool first = draft->count == 0;
    step done = STEP_NEXT;
    while (done == STEP_NEXT && call->ack_count < call->op_count) {
        if (ops_max != 0 && call->ack_count == ops_max) {
            done = stop_with(call, TM_STOP_RETRY);
        } else {
            done = decide_one(draft, ledger, call);
        }
    }
    // Alone it is decided as far as it fits; behind others it waits for the next batch.
    if (done == STEP_FULL && first) done = stop_with(call, TM_STOP_RETRY);
    if (done == STEP_NEXT || done == STEP_STOP) return TM_DECIDED;
    tm_decide_undo(draft, ledger, call);
    switch (done) {
    case STEP_FULL:
        return TM_DECIDE_FULL;
    case STEP_READ:
        return TM_DECIDE_READ;
    case STEP_SEARCH:
        return TM_DECIDE_SEARCH;
    case STEP_CLOCK:
        return TM_DECIDE_CLOCK;
    default:
        return TM_DECIDE_NOMEM;
    }
}
