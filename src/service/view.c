// view.c - see serve.h: the list as a person reads it, now and in the past, and the log.
#include "service/serve.h"
#include "service/stored.h"

#include <string.h>

#define PAST_OPS_MAX   2048u // of the log in one turn
#define PAST_BYTES_MAX (1u << 20)
#define ENVELOPE_MAX   2048u

// ---- the list -----------------------------------------------------------------------

static bool named(tm_span name, const char *text) {
    return name.len == strlen(text) && memcmp(name.ptr, text, name.len) == 0;
}

static void item_write(tm_buf *out, const tm_item *item) {
    tm_buf_text(out, "{\"instanceId\":");
    tm_buf_json(out, tm_item_id(item));
    tm_item_field field;
    for (size_t at = 0; tm_item_next(item, &at, &field);) {
        if (field.name.len == 0) {
            tm_put_text(out, "imageId", field.reg.value);
            continue;
        }
        if (field.reg.value.ptr == NULL) continue;
        // A key must not stand here twice.
        if (named(field.name, "instanceId") || named(field.name, "imageId")) {
            continue;
        }
        tm_buf_byte(out, ',');
        tm_buf_json(out, field.name);
        tm_buf_byte(out, ':');
        tm_buf_json(out, field.reg.value);
    }
    tm_buf_byte(out, '}');
}

static tm_status items_write(tm_buf *out, const tm_list *list, tm_arena *arena) {
    size_t live = tm_list_live(list);
    const tm_item **order = tm_arena_get(arena, live * sizeof *order);
    if (order == NULL) return TM_E_NOMEM;
    tm_list_order(list, order);
    tm_buf_byte(out, '[');
    for (size_t i = 0; i < live; i++) {
        if (i > 0) tm_buf_byte(out, ',');
        item_write(out, order[i]);
    }
    tm_buf_byte(out, ']');
    return out->status;
}

static void answer_state(tm_call *call, uint64_t version, const tm_list *list,
                         const tm_book *book) {
    static const tm_span asc = TM_LIT("asc");
    tm_service *service = call->service;
    tm_arena *arena = &service->arena;
    tm_arena_reset(arena);
    tm_buf *out = tm_answer_begin(service);
    tm_buf_text(out, "{\"user\":");
    tm_buf_json(out, call->ledger->key.user);
    tm_put_number(out, "version", version);
    tm_put_number(out, "head", call->ledger->head);
    tm_put_number(out, "serverTime", service->now.wall_ms);
    tm_put_key(out, "vector");
    tm_status status = tm_book_write_vector(book, arena, out);
    tm_reg sort = tm_list_sort(list);
    tm_put_text(out, "sort", sort.at.browser.len == 0 ? asc : sort.value);
    tm_put_key(out, "selectedImages");
    if (status == TM_OK) status = items_write(out, list, arena);
    tm_buf_byte(out, '}');
    if (status != TM_OK) {
        tm_call_fail(call, tm_problem_of(status));
    } else {
        tm_answer_done(call);
    }
}

void tm_serve_state(tm_call *call) {
    const tm_ledger *ledger = call->ledger;
    answer_state(call, ledger->head, ledger->list, &ledger->book);
}

// ---- the past -----------------------------------------------------------------------

static tm_status past_writer(tm_book *book, tm_span browser, uint64_t version) {
    tm_writer *writer = tm_book_writer(book, browser);
    if (writer == NULL) {
        tm_status status = tm_book_writer_add(book, browser, &writer);
        if (status != TM_OK) return status;
    }
    if (version > writer->version) writer->version = version;
    return TM_OK;
}

// `from` is the next seq that is wanted. TM_E_STATE: it is not there any more.
static tm_status past_take(tm_call *call, const tm_batch *batch) {
    tm_stored stored;
    if (batch->last_seq < call->from) return TM_OK;
    if (batch->first_seq != call->from) return TM_E_STATE;
    tm_arena *arena = &call->service->arena;
    tm_arena_reset(arena);
    tm_status status = tm_stored_read(batch, arena, &stored);
    for (uint32_t i = 0; i < stored.count && status == TM_OK; i++) {
        const tm_op *op = &stored.ops[i];
        if (op->seq > call->version) return TM_OK;
        if (op->fault == TM_FAULT_NONE) {
            status = tm_list_apply(call->past, op, NULL);
        }
        if (status == TM_OK) {
            status = past_writer(&call->past_book, op->at.browser, op->at.version);
        }
        call->from = op->seq + 1;
    }
    for (uint32_t i = 0; i < stored.rejected_count && status == TM_OK; i++) {
        status = past_writer(&call->past_book, stored.rejected[i].browser,
                             stored.rejected[i].version);
    }
    return status;
}

static void past_read(tm_call *call, tm_status status, const tm_batch *batches,
                      size_t count, bool more) {
    for (size_t i = 0; i < count && status == TM_OK; i++) {
        if (call->from > call->version) break;
        status = past_take(call, &batches[i]);
    }
    if (status == TM_E_STATE) {
        tm_call_fail(call, &tm_problem_trimmed);
    } else if (status != TM_OK) {
        tm_call_fail(call, tm_problem_of(status));
    } else if (call->from > call->version) {
        answer_state(call, call->version, call->past, &call->past_book);
    } else if (more && count > 0) {
        tm_call_read(call, call->from - 1, PAST_OPS_MAX, PAST_BYTES_MAX, past_read);
    } else {
        tm_call_fail(call, &tm_problem_trimmed);
    }
}

void tm_serve_past(tm_call *call) {
    tm_ledger *ledger = call->ledger;
    tm_service *service = call->service;
    if (call->version > ledger->head) {
        if (!call->verified) {
            tm_ledger_verify(ledger, call);
        } else {
            tm_call_fail(call, &tm_problem_at);
        }
        return;
    }
    if (call->version == ledger->head) {
        tm_serve_state(call);
        return;
    }
    tm_book_init(&call->past_book, service->alloc, service->seed);
    if (tm_list_new(service->alloc, service->seed, &call->past) != TM_OK) {
        tm_call_fail(call, &tm_problem_memory);
        return;
    }
    if (call->version == 0) {
        answer_state(call, 0, call->past, &call->past_book);
        return;
    }
    call->from = 1;
    tm_call_read(call, 0, PAST_OPS_MAX, PAST_BYTES_MAX, past_read);
}

// ---- the log ------------------------------------------------------------------------

static void raw_write(tm_buf *out, const char *key, tm_span array) {
    tm_put_key(out, key);
    if (array.len > 0) {
        tm_buf_put(out, array);
    } else {
        tm_buf_text(out, "[]");
    }
}

static void batch_write(tm_buf *out, const tm_batch *batch) {
    tm_buf_text(out, "{\"first\":");
    tm_buf_u64(out, batch->first_seq);
    tm_put_number(out, "last", batch->last_seq);
    tm_put_number(out, "acceptedMs", batch->accepted_ms);
    tm_put_mark(out, "before", batch->first_seq, batch->before);
    tm_put_mark(out, "mark", batch->last_seq, batch->mark);
    raw_write(out, "operations", batch->operations);
    raw_write(out, "rejected", batch->rejected);
    tm_buf_byte(out, '}');
}

static void answer_log(tm_call *call, const tm_batch *batches, size_t count,
                       bool more) {
    const tm_ledger *ledger = call->ledger;
    tm_buf *out = tm_answer_begin(call->service);
    tm_buf_text(out, "{\"user\":");
    tm_buf_json(out, ledger->key.user);
    tm_put_number(out, "head", ledger->head);
    tm_put_number(out, "floor", ledger->floor);
    tm_put_number(out, "serverTime", call->service->now.wall_ms);
    tm_put_key(out, "batches");
    tm_buf_byte(out, '[');
    size_t written = 0;
    for (size_t i = 0; i < count; i++) {
        const tm_batch *batch = &batches[i];
        if (batch->last_seq < call->from) continue;
        size_t size = batch->operations.len + batch->rejected.len + ENVELOPE_MAX;
        if (written > 0 &&
            (written == call->limit || out->len + size > TM_PAGE_BYTES_MAX)) {
            more = true;
            break;
        }
        if (written++ > 0) tm_buf_byte(out, ',');
        batch_write(out, batch);
    }
    tm_buf_byte(out, ']');
    tm_put_key(out, "more");
    tm_buf_text(out, more ? "true}" : "false}");
    tm_answer_done(call);
}

static void log_read(tm_call *call, tm_status status, const tm_batch *batches,
                     size_t count, bool more) {
    if (status != TM_OK) {
        tm_call_fail(call, tm_problem_of(status));
    } else {
        answer_log(call, batches, count, more);
    }
}

void tm_serve_log(tm_call *call) {
    if (call->from > call->ledger->head) {
        answer_log(call, NULL, 0, false);
        return;
    }
    uint64_t ops_max = call->limit * TM_BATCH_OPS_MAX;
    if (ops_max > TM_PAGE_OPS_MAX) ops_max = TM_PAGE_OPS_MAX;
    tm_call_read(call, call->from, ops_max, TM_PAGE_BYTES_MAX, log_read);
}
