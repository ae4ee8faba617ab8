// dynamodb_orphan.c - see dynamodb_internal.h: chunks that no row names.
//
// A server that dies between its chunks and its manifest leaves some, and so do two that
// save one list in turn: each remembers what it replaced itself. So before a large snapshot
// is saved, once a day, the keys of all chunks of the list are read, and those of sets that
// are not known are remembered as gone from now on: the row that is about to be written
// says so, and a day later they are deleted like others. If one of them is the stored set
// after all, or about to become it, nothing is lost: sets are deleted only behind a newer
// row than theirs.
//
// The query is as dear as one reading of the chunks; a list below 350 KB never makes it.
#include "store/dynamodb_internal.h"

#include <string.h>

#define LOOK_MS TM_DYNAMODB_DAY_MS

static tm_span text(const char *from) {
    return (tm_span){(const uint8_t *)from, strlen(from)};
}

static bool same(tm_span a, const char *b) {
    return tm_span_cmp(a, text(b)) == 0;
}

// "chunk-0000000000000007-0123456789abcdef-0002"; false: it is no chunk of ours.
static bool chunk_read(tm_span id, tm_dynamodb_set *set, uint64_t *part) {
    tm_span seq = {id.ptr + 6, 16}, number = {id.ptr + 40, 4};
    if (id.len != 44 || memcmp(id.ptr, "chunk-", 6) != 0 || id.ptr[22] != '-' ||
        id.ptr[39] != '-' || !tm_dynamodb_number(seq, &set->seq) ||
        !tm_dynamodb_number(number, part)) {
        return false;
    }
    memcpy(set->id, id.ptr + 23, 16);
    set->id[16] = '\0';
    return true;
}

static void chunk_note(tm_dynamodb_job *job, tm_span id) {
    tm_dynamodb_list *list = job->list;
    tm_dynamodb_set set = {0, 0, 0, ""};
    uint64_t part;
    if (!chunk_read(id, &set, &part)) return;
    for (size_t i = 0; i < list->sets_count; i++) {
        tm_dynamodb_set *known = &list->sets[i];
        if (strcmp(known->id, set.id) != 0) continue;
        if (part >= known->parts) known->parts = part + 1;
        return;
    }
    if (list->sets_count > TM_DYNAMODB_SETS_MAX) return; // tomorrow
    set.parts = part + 1;
    set.gone_ms = tm_http_now(job->store->http).wall_ms;
    list->sets[list->sets_count++] = set;
}

static void look_restart(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    job->page_after.alloc = job->store->alloc;
    tm_buf_reset(&job->page_after);
}

static void look_member(tm_dynamodb_call *call, tm_span key, tm_json *in) {
    tm_dynamodb_job *job = call->context;
    if (same(key, "LastEvaluatedKey")) {
        tm_dynamodb_after_read(job, in);
        return;
    }
    if (!same(key, "Items")) {
        tm_json_kept(tm_json_skip(in, NULL));
        return;
    }
    tm_json_kept(tm_json_open(in, TM_JSON_ARRAY));
    while (tm_json_element(in)) {
        tm_json_kept(tm_json_open(in, TM_JSON_OBJECT));
        while (tm_json_member(in, &key)) {
            tm_span value = tm_dynamodb_value_read(in);
            if (in->status == TM_OK && same(key, TM_DYNAMODB_STATE_ID)) {
                chunk_note(job, value);
            }
        }
    }
}

static void look_ask(tm_dynamodb_job *job);

static void look_done(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    if (call->status != TM_OK) {
        tm_dynamodb_end(job, tm_dynamodb_stored(call->status));
        return;
    }
    tm_buf swap = job->after;
    job->after = job->page_after;
    job->page_after = swap;
    if (job->after.len > 0) {
        look_ask(job);
        return;
    }
    job->list->orphans_looked = true;
    job->list->orphans_ms = tm_dynamodb_mono(job->store);
    tm_dynamodb_save_go(job);
}

static void look_ask(tm_dynamodb_job *job) {
    tm_dynamodb_call *call = &job->call;
    tm_dynamodb_begin(&job->store->client, call, TM_DYNAMODB_LOOK, "Query");
    tm_dynamodb_table_put(&call->body, job->store->states);
    // Their keys are the only ones below "chunk.": the '.' comes behind the '-'.
    tm_buf_text(&call->body,
                ",\"ConsistentRead\":true,\"ProjectionExpression\":"
                "\"" TM_DYNAMODB_STATE_ID "\",\"KeyConditionExpression\":"
                "\"user_id = :u AND " TM_DYNAMODB_STATE_ID " < :s\","
                "\"ExpressionAttributeValues\":{\":s\":{\"S\":\"chunk.\"},\":u\":");
    tm_dynamodb_user_put(&call->body, tm_dynamodb_key(job));
    tm_buf_byte(&call->body, '}');
    if (job->after.len > 0) {
        tm_buf_text(&call->body, ",\"ExclusiveStartKey\":");
        tm_buf_put(&call->body, tm_buf_span(&job->after));
    }
    tm_buf_byte(&call->body, '}');
    call->restart = look_restart;
    call->member = look_member;
    call->done = look_done;
    call->context = job;
    tm_dynamodb_send(call);
}

bool tm_dynamodb_orphans_begin(tm_dynamodb_job *job) {
    const tm_dynamodb_list *list = job->list;
    uint64_t now_ms = tm_dynamodb_mono(job->store);
    if (list->orphans_looked && now_ms - list->orphans_ms < LOOK_MS) return false;
    look_ask(job);
    return true;
}
