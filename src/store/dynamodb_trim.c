// dynamodb_trim.c - see dynamodb_internal.h: deleting a prefix of a log, naming all lists.
//
// Rows are deleted one by one from the oldest, so that whatever interrupts it leaves a log
// without holes; a row goes only when the one behind it was seen, so the newest stays.
// Nothing goes that was accepted in the last hour: a put that was delayed on its way must
// find the row that took its place.
#include "store/dynamodb_internal.h"

#include <stdlib.h>
#include <string.h>

static tm_span text(const char *from) {
    return (tm_span){(const uint8_t *)from, strlen(from)};
}

// ---- a page of short rows -----------------------------------------------------------

static void look_restart(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    job->page.count = 0;
    job->page_after.alloc = job->store->alloc;
    tm_buf_reset(&job->page_after);
}

static void look_member(tm_dynamodb_call *call, tm_span key, tm_json *in) {
    tm_dynamodb_job *job = call->context;
    if (tm_span_cmp(key, text("LastEvaluatedKey")) == 0) {
        tm_dynamodb_after_read(job, in);
        return;
    }
    if (tm_span_cmp(key, text("Items")) != 0) {
        tm_json_kept(tm_json_skip(in, NULL));
        return;
    }
    tm_json_kept(tm_json_open(in, TM_JSON_ARRAY));
    while (tm_json_element(in)) {
        tm_dynamodb_row row;
        tm_dynamodb_row_read(in, &row);
        row.batch.operations = row.user_id; // it has none here, but an owner
        if (in->status == TM_OK &&
            !tm_dynamodb_row_keep(job, &job->page, &row.batch)) {
            in->status = TM_E_NOMEM;
        }
    }
}

#define SHORT_ROW                                                                  \
    ",\"ConsistentRead\":true,\"ProjectionExpression\":"                           \
    "\"user_id,operation_id,lastVersion,#t\",\"ExpressionAttributeNames\":"        \
    "{\"#t\":\"timestamp\"}"

static void after_put(tm_dynamodb_job *job) {
    if (job->after.len > 0) {
        tm_buf_text(&job->call.body, ",\"ExclusiveStartKey\":");
        tm_buf_put(&job->call.body, tm_buf_span(&job->after));
    }
    tm_buf_byte(&job->call.body, '}');
    job->call.restart = look_restart;
    job->call.member = look_member;
    job->call.context = job;
}

// ---- trim ---------------------------------------------------------------------------

static void look_ask(tm_dynamodb_job *job);
static void row_delete(tm_dynamodb_job *job);

static const tm_store_trim *trim_of(const tm_dynamodb_job *job) {
    return TM_REQUEST_OF(tm_store_trim, job->own);
}

static bool goes(const tm_dynamodb_job *job, const tm_batch *row) {
    const tm_store_trim *request = trim_of(job);
    uint64_t now_ms = tm_http_now(job->store->http).wall_ms;
    uint64_t young_ms =
        now_ms < TM_DYNAMODB_HOUR_MS ? 0 : now_ms - TM_DYNAMODB_HOUR_MS;
    return row->last_seq <= request->below_seq &&
           row->accepted_ms < request->before_ms && row->accepted_ms < young_ms;
}

static void row_deleted(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    if (call->status != TM_OK) { // what is gone is gone, and was a prefix
        tm_dynamodb_end(job, tm_dynamodb_stored(call->status));
        return;
    }
    job->gone++;
    job->part++;
    row_delete(job);
}

// The rows seen are job->rows, and job->part of them are gone.
static void row_delete(tm_dynamodb_job *job) {
    if (job->part < job->rows.count && !goes(job, &job->rows.items[job->part])) {
        tm_dynamodb_end(job, TM_OK);
        return;
    }
    if (job->part + 1 >= job->rows.count) { // the newest seen so far
        if (job->after.len > 0) {
            look_ask(job);
        } else {
            tm_dynamodb_end(job, TM_OK);
        }
        return;
    }
    tm_dynamodb_call *call = &job->call;
    tm_dynamodb_begin(&job->store->client, call, TM_DYNAMODB_DELETE, "DeleteItem");
    tm_dynamodb_table_put(&call->body, job->store->operations);
    tm_buf_text(&call->body, ",\"Key\":{\"user_id\":");
    tm_dynamodb_user_put(&call->body, tm_dynamodb_key(job));
    tm_buf_text(&call->body, ",\"" TM_DYNAMODB_OPERATION_ID "\":{\"S\":");
    tm_dynamodb_seq_put(&call->body, job->rows.items[job->part].first_seq);
    tm_buf_text(&call->body, "}}}");
    call->context = job;
    call->done = row_deleted;
    tm_dynamodb_send(call);
}

static void look_done(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    tm_status status = tm_dynamodb_stored(call->status);
    for (size_t i = 0; status == TM_OK && i < job->page.count; i++) {
        bool kept = tm_dynamodb_row_keep(job, &job->rows, &job->page.items[i]);
        if (!kept) status = TM_E_NOMEM;
    }
    if (status != TM_OK) {
        tm_dynamodb_end(job, status);
        return;
    }
    tm_buf swap = job->after;
    job->after = job->page_after;
    job->page_after = swap;
    row_delete(job);
}

static void look_ask(tm_dynamodb_job *job) {
    tm_buf *body = &job->call.body;
    tm_dynamodb_begin(&job->store->client, &job->call, TM_DYNAMODB_LOOK, "Query");
    tm_dynamodb_table_put(body, job->store->operations);
    tm_buf_text(body, SHORT_ROW ",\"KeyConditionExpression\":\"user_id = :u\","
                                "\"ExpressionAttributeValues\":{\":u\":");
    tm_dynamodb_user_put(body, tm_dynamodb_key(job));
    tm_buf_byte(body, '}');
    after_put(job);
    job->call.done = look_done;
    tm_dynamodb_send(&job->call);
}

void tm_dynamodb_trim_begin(tm_dynamodb_job *job) {
    job->store->stats.trims++;
    look_ask(job);
}

// ---- all lists ----------------------------------------------------------------------

static void scan_done(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    job->status = tm_dynamodb_stored(call->status);
    job->found = true; // it is over
}

static void scan_ask(tm_dynamodb_job *job) {
    tm_dynamodb_begin(&job->store->client, &job->call, TM_DYNAMODB_SCAN, "Scan");
    tm_dynamodb_table_put(&job->call.body, job->store->operations);
    tm_buf_text(&job->call.body, SHORT_ROW);
    after_put(job);
    job->call.done = scan_done;
    job->found = false;
    tm_dynamodb_send(&job->call);
}

typedef struct naming {
    void (*each)(void *context, tm_key key, uint64_t head);
    void *context;
    tm_span user_id; // of the rows that came last, in the job's arena
    uint64_t head;
} naming;

static void name_one(naming *n) {
    uint8_t room[TM_DYNAMODB_USER_ID_MAX + 16];
    tm_key key;
    if (n->user_id.len > 0 && tm_dynamodb_user_id_read(n->user_id, room, &key)) {
        n->each(n->context, key, n->head);
    }
}

// A scan brings the rows of a list together and in order.
tm_status tm_dynamodb_lists_all(tm_dynamodb *d,
                                void (*each)(void *context, tm_key key,
                                             uint64_t head),
                                void *context) {
    tm_dynamodb_job *job = tm_alloc_get(d->alloc, sizeof *job);
    if (job == NULL) return TM_E_NOMEM;
    naming n = {each, context, {NULL, 0}, 0};
    job->store = d;
    job->arena.alloc = job->after.alloc = job->page_after.alloc = d->alloc;
    do {
        scan_ask(job);
        while (!job->found && tm_http_wait(d->http)) {
            (void)tm_store_poll(&d->base);
        }
        for (size_t i = 0; job->status == TM_OK && i < job->page.count; i++) {
            const tm_batch *row = &job->page.items[i];
            if (tm_span_cmp(row->operations, n.user_id) != 0) {
                name_one(&n);
                n.user_id = row->operations;
            }
            n.head = row->last_seq;
        }
        tm_buf swap = job->after;
        job->after = job->page_after;
        job->page_after = swap;
    } while (job->status == TM_OK && job->after.len > 0);
    if (job->status == TM_OK) name_one(&n);
    tm_status status = job->status;
    tm_dynamodb_call_deinit(&job->call);
    tm_arena_deinit(&job->arena);
    tm_buf_deinit(&job->after);
    tm_buf_deinit(&job->page_after);
    tm_alloc_put(d->alloc, job, sizeof *job);
    return status;
}
