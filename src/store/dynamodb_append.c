// dynamodb_append.c - see dynamodb_internal.h: a batch.
//
//   tail unknown or an hour old -> ask for it
//   first_seq is beyond tail + 1 -> ask for it, unless just done; else CONFLICT
//   put it, if there is no item of this key
//     well                      -> it is the tail
//     the condition failed      -> read that item: with our batch id it is ours, and an
//                                  answer had been lost; else CONFLICT
#include "store/dynamodb_internal.h"

#include "core/limits.h"

static void append_go(tm_dynamodb_job *job);

static const tm_batch *batch_of(const tm_dynamodb_job *job) {
    return &TM_REQUEST_OF(tm_store_append, job->own)->batch;
}

// ---- the tail -----------------------------------------------------------------------

static void tail_restart(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    job->seen_first = job->seen_last = 0;
}

static void tail_member(tm_dynamodb_call *call, tm_span key, tm_json *in) {
    static const tm_span items = TM_LIT("Items");
    tm_dynamodb_job *job = call->context;
    if (tm_span_cmp(key, items) != 0) {
        tm_json_kept(tm_json_skip(in, NULL));
        return;
    }
    tm_json_kept(tm_json_open(in, TM_JSON_ARRAY));
    while (tm_json_element(in)) {
        tm_dynamodb_row row;
        tm_dynamodb_row_read(in, &row);
        job->seen_first = row.batch.first_seq;
        job->seen_last = row.batch.last_seq;
    }
}

static void tail_done(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    if (call->status != TM_OK) {
        tm_dynamodb_end(job, tm_dynamodb_stored(call->status));
        return;
    }
    tm_dynamodb_tail_set(job, job->seen_first, job->seen_last);
    append_go(job);
}

static void tail_ask(tm_dynamodb_job *job) {
    tm_dynamodb_call *call = &job->call;
    job->tail_asked = true;
    tm_dynamodb_begin(&job->store->client, call, TM_DYNAMODB_TAIL, "Query");
    tm_dynamodb_table_put(&call->body, job->store->operations);
    tm_buf_text(
        &call->body,
        ",\"ConsistentRead\":true,\"ScanIndexForward\":false,\"Limit\":1,"
        "\"KeyConditionExpression\":\"user_id = :u\","
        "\"ProjectionExpression\":\"operation_id,firstVersion,lastVersion\","
        "\"ExpressionAttributeValues\":{\":u\":");
    tm_dynamodb_user_put(&call->body, tm_dynamodb_key(job));
    tm_buf_text(&call->body, "}}");
    call->restart = tail_restart;
    call->member = tail_member;
    call->done = tail_done;
    call->context = job;
    tm_dynamodb_send(call);
}

// ---- is that item ours? -------------------------------------------------------------

static void confirm_restart(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    job->found = job->ours = false;
}

static void confirm_member(tm_dynamodb_call *call, tm_span key, tm_json *in) {
    static const tm_span item = TM_LIT("Item");
    tm_dynamodb_job *job = call->context;
    if (tm_span_cmp(key, item) != 0) {
        tm_json_kept(tm_json_skip(in, NULL));
        return;
    }
    tm_dynamodb_row row;
    tm_dynamodb_row_read(in, &row);
    tm_span mine = {job->batch_id, TM_DYNAMODB_BATCH_ID_LEN};
    job->found = true;
    job->ours = row.batch_id.len > 0 && tm_span_cmp(row.batch_id, mine) == 0;
}

static void append_well(tm_dynamodb_job *job) {
    const tm_batch *batch = batch_of(job);
    tm_store_stats *stats = &job->store->stats;
    tm_dynamodb_tail_set(job, batch->first_seq, batch->last_seq);
    stats->appends++;
    stats->commits++;
    stats->operations_bytes += batch->operations.len;
    tm_dynamodb_end(job, TM_OK);
}

static void confirm_done(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    if (call->status != TM_OK) { // it may be ours
        tm_dynamodb_tail_lose(job->list);
        tm_dynamodb_end(job, TM_E_UNSURE);
    } else if (job->ours) {
        append_well(job);
    } else {
        tm_dynamodb_tail_lose(job->list);
        tm_dynamodb_end(job, TM_E_CONFLICT);
    }
}

static void confirm_ask(tm_dynamodb_job *job) {
    tm_dynamodb_call *call = &job->call;
    tm_dynamodb_begin(&job->store->client, call, TM_DYNAMODB_CONFIRM, "GetItem");
    tm_dynamodb_table_put(&call->body, job->store->operations);
    tm_buf_text(&call->body,
                ",\"ConsistentRead\":true,\"ProjectionExpression\":"
                "\"operation_id,firstVersion,lastVersion,batchId\",\"Key\":{"
                "\"user_id\":");
    tm_dynamodb_user_put(&call->body, tm_dynamodb_key(job));
    tm_buf_text(&call->body, ",\"" TM_DYNAMODB_OPERATION_ID "\":{\"S\":");
    tm_dynamodb_seq_put(&call->body, batch_of(job)->first_seq);
    tm_buf_text(&call->body, "}}}");
    call->restart = confirm_restart;
    call->member = confirm_member;
    call->done = confirm_done;
    call->context = job;
    tm_dynamodb_send(call);
}

// ---- the put ------------------------------------------------------------------------

static void put_done(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    switch (call->status) {
    case TM_OK:
        append_well(job);
        return;
    case TM_E_CONFLICT:
        // libcurl, too, sends again by itself what died with a kept connection: whether
        // an answer of ours was lost is not for us to know.
        confirm_ask(job);
        return;
    case TM_E_UNSURE:
        tm_dynamodb_tail_lose(job->list);
        break;
    default:
        break;
    }
    tm_dynamodb_end(job, tm_dynamodb_stored(call->status));
}

static void put(tm_dynamodb_job *job) {
    tm_dynamodb_call *call = &job->call;
    tm_http_random(job->store->http, job->batch_id, sizeof job->batch_id);
    tm_dynamodb_begin(&job->store->client, call, TM_DYNAMODB_APPEND, "PutItem");
    tm_dynamodb_table_put(&call->body, job->store->operations);
    tm_buf_text(&call->body, ",\"ConditionExpression\":\"attribute_not_exists("
                             "user_id)\",\"Item\":");
    tm_dynamodb_row_put(&call->body, tm_dynamodb_key(job), batch_of(job),
                        job->batch_id);
    tm_buf_byte(&call->body, '}');
    call->done = put_done;
    call->context = job;
    tm_dynamodb_send(call);
}

static void append_go(tm_dynamodb_job *job) {
    const tm_dynamodb_list *list = job->list;
    uint64_t now_ms = tm_dynamodb_mono(job->store);
    bool fresh = list->tail_known && now_ms - list->tail_ms < TM_DYNAMODB_HOUR_MS;
    uint64_t first_seq = batch_of(job)->first_seq;
    if (fresh && first_seq == list->tail_last + 1) {
        put(job);
    } else if (!job->tail_asked && !(fresh && first_seq <= list->tail_last)) {
        tail_ask(job);
    } else {
        tm_dynamodb_end(job, TM_E_CONFLICT);
    }
}

void tm_dynamodb_append_begin(tm_dynamodb_job *job) {
    const tm_batch *batch = batch_of(job);
    TM_ASSERT(batch->first_seq > 0 && batch->last_seq >= batch->first_seq);
    if (job->list->holed) { // a person must look; until then nothing is made worse
        tm_dynamodb_end(job, TM_E_AGAIN);
    } else if (batch->last_seq > TM_INT_MAX) {
        tm_dynamodb_end(job, TM_E_RANGE);
    } else {
        append_go(job);
    }
}
