// dynamodb_read.c - see dynamodb_internal.h: the log, in whole batches.
//
// The batch that holds `since` begins at most 255 before it, so the query begins there; or
// exactly at its first seq, if that is remembered. What ends before `since` is dropped. If
// the batch was not seen (the log is trimmed, or the batch is larger than we make them),
// one query backwards from there finds the newest one below.
//
// Rows are handed out up to the first hole. There is none as long as only we write; one
// is said in the log, and appends to that list are refused until it is read without.
#include "store/dynamodb_internal.h"

#include "core/limits.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_MAX 4096u // rows; more is bounded by the megabyte of a page

static tm_store_read *request_of(const tm_dynamodb_job *job) {
    return TM_REQUEST_OF(tm_store_read, job->own);
}

// ---- rows ---------------------------------------------------------------------------

bool tm_dynamodb_row_keep(tm_dynamodb_job *job, tm_dynamodb_rows *rows,
                          const tm_batch *batch) {
    if (rows->count == rows->cap) {
        size_t cap = rows->cap == 0 ? 16 : rows->cap * 2;
        tm_batch *moved = tm_arena_get(&job->arena, cap * sizeof *moved);
        if (moved == NULL) return false;
        if (rows->count > 0) {
            memcpy(moved, rows->items, rows->count * sizeof *moved);
        }
        rows->items = moved;
        rows->cap = cap;
    }
    tm_batch *kept = &rows->items[rows->count];
    *kept = *batch;
    if (tm_arena_copy(&job->arena, batch->operations, &kept->operations) != TM_OK ||
        tm_arena_copy(&job->arena, batch->rejected, &kept->rejected) != TM_OK) {
        return false;
    }
    rows->count++;
    return true;
}

void tm_dynamodb_after_read(tm_dynamodb_job *job, tm_json *in) {
    tm_span raw = {NULL, 0};
    job->page_after.alloc = job->store->alloc;
    tm_json_kept(tm_json_skip(in, &raw));
    if (in->status == TM_OK) tm_buf_put(&job->page_after, raw);
    if (job->page_after.status != TM_OK) in->status = TM_E_NOMEM;
}

static void page_restart(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    job->page.count = 0;
    job->page_after.alloc = job->store->alloc;
    tm_buf_reset(&job->page_after);
}

static void page_member(tm_dynamodb_call *call, tm_span key, tm_json *in) {
    static const tm_span items = TM_LIT("Items"),
                         after = TM_LIT("LastEvaluatedKey");
    tm_dynamodb_job *job = call->context;
    if (tm_span_cmp(key, after) == 0) {
        tm_dynamodb_after_read(job, in);
        return;
    }
    if (tm_span_cmp(key, items) != 0) {
        tm_json_kept(tm_json_skip(in, NULL));
        return;
    }
    tm_json_kept(tm_json_open(in, TM_JSON_ARRAY));
    while (tm_json_element(in)) {
        tm_dynamodb_row row;
        tm_dynamodb_row_read(in, &row);
        if (in->status != TM_OK) return;
        if (!tm_dynamodb_row_keep(job, &job->page, &row.batch)) {
            in->status = TM_E_NOMEM;
        }
    }
}

// ---- the queries --------------------------------------------------------------------

static void query_put(tm_dynamodb_job *job, const char *condition, uint64_t seq) {
    tm_buf *body = &job->call.body;
    tm_dynamodb_begin(&job->store->client, &job->call, TM_DYNAMODB_READ, "Query");
    tm_dynamodb_table_put(body, job->store->operations);
    tm_buf_text(body, ",\"ConsistentRead\":true,\"KeyConditionExpression\":"
                      "\"user_id = :u AND operation_id ");
    tm_buf_text(body, condition);
    tm_buf_text(body, " :s\",\"ExpressionAttributeValues\":{\":u\":");
    tm_dynamodb_user_put(body, tm_dynamodb_key(job));
    tm_buf_text(body, ",\":s\":{\"S\":");
    tm_dynamodb_seq_put(body, seq);
    tm_buf_text(body, "}}");
    job->call.restart = page_restart;
    job->call.member = page_member;
    job->call.context = job;
}

static void forward_done(tm_dynamodb_call *call);
static void back_done(tm_dynamodb_call *call);

static void forward_ask(tm_dynamodb_job *job) {
    const tm_store_read *request = request_of(job);
    tm_buf *body = &job->call.body;
    query_put(job, ">=", job->start);
    if (request->ops_max < LIMIT_MAX) { // a batch has an operation or more
        tm_buf_text(body, ",\"Limit\":");
        uint64_t before =
            request->since < job->start ? 0 : request->since - job->start;
        if (before > TM_BATCH_OPS_MAX) before = TM_BATCH_OPS_MAX;
        tm_buf_u64(body, request->ops_max + before + 2);
    }
    if (job->after.len > 0) {
        tm_buf_text(body, ",\"ExclusiveStartKey\":");
        tm_buf_put(body, tm_buf_span(&job->after));
    }
    tm_buf_byte(body, '}');
    job->call.done = forward_done;
    tm_dynamodb_send(&job->call);
}

static void back_ask(tm_dynamodb_job *job) {
    job->looked_back = true;
    query_put(job, "<", job->start);
    tm_buf_text(&job->call.body, ",\"ScanIndexForward\":false,\"Limit\":1}");
    job->call.done = back_done;
    tm_dynamodb_send(&job->call);
}

// ---- the answer ---------------------------------------------------------------------

static void hole_say(tm_dynamodb_job *job, uint64_t last, uint64_t next) {
    tm_dynamodb *d = job->store;
    char line[256];
    tm_key key = tm_dynamodb_key(job);
    size_t len = key.user.len < 64 ? key.user.len : 64;
    (void)snprintf(line, sizeof line,
                   "a hole in a list's log: after %llu comes %llu (user %.*s); "
                   "nothing more is written to it",
                   (unsigned long long)last, (unsigned long long)next, (int)len,
                   (const char *)key.user.ptr);
    if (d->client.config.say != NULL) {
        d->client.config.say(d->client.config.say_context, true, line);
    }
}

static void answer(tm_dynamodb_job *job, bool more) {
    tm_dynamodb_list *list = job->list;
    tm_store_read *request = request_of(job);
    tm_dynamodb_rows rows = job->rows;
    if (!more && !job->hole) {
        // The newest row that came is the newest there is.
        tm_dynamodb_tail_set(job, job->seen_first, job->seen_last);
    }
    list->holed = job->hole;
    if (rows.count > 0) {
        list->hint_first = rows.items[rows.count - 1].first_seq;
        list->hint_last = rows.items[rows.count - 1].last_seq;
    }
    job->store->told++;
    job->store->outstanding--;
    job->own = NULL; // `done` may free it
    request->done(request, TM_OK, rows.count == 0 ? NULL : rows.items, rows.count,
                  more);
    tm_dynamodb_end(job, TM_OK);
}

// What is taken of a page; job->full once there is enough.
static tm_status page_take(tm_dynamodb_job *job, bool *more) {
    const tm_store_read *request = request_of(job);
    *more = false;
    for (size_t i = 0; i < job->page.count; i++) {
        const tm_batch *row = &job->page.items[i];
        if (job->full) {
            *more = true;
            return TM_OK;
        }
        if (job->seen_last != 0 && row->first_seq != job->seen_last + 1) {
            hole_say(job, job->seen_last, row->first_seq);
            job->hole = true;
            return TM_OK;
        }
        job->seen_first = row->first_seq;
        job->seen_last = row->last_seq;
        if (row->last_seq < request->since) continue;
        if (!tm_dynamodb_row_keep(job, &job->rows, row)) return TM_E_NOMEM;
        if (row->last_seq <= request->since) continue; // it counts for nothing
        job->ops += row->last_seq - row->first_seq + 1;
        job->bytes += row->operations.len;
        job->full =
            job->ops >= request->ops_max || job->bytes >= request->bytes_max;
    }
    return TM_OK;
}

static bool wants_below(const tm_dynamodb_job *job) {
    if (job->looked_back || job->start <= 1 || job->hole) return false;
    return job->rows.count == 0 ||
           job->rows.items[0].first_seq > request_of(job)->since;
}

static void forward_done(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    bool more = false;
    tm_status status = tm_dynamodb_stored(call->status);
    if (status == TM_OK) status = page_take(job, &more);
    if (status != TM_OK) {
        tm_dynamodb_end(job, status);
        return;
    }
    tm_buf swap = job->after;
    job->after = job->page_after;
    job->page_after = swap;
    if (!more && !job->hole && job->after.len > 0) {
        forward_ask(job);
    } else if (wants_below(job)) {
        job->full = more; // kept for the answer
        back_ask(job);
    } else {
        answer(job, more);
    }
}

// The newest row below the first query: put before the others if `since` asks for it.
static void back_done(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    tm_status status = tm_dynamodb_stored(call->status);
    bool more = job->full;
    if (status != TM_OK || job->page.count == 0) {
        if (status == TM_OK) {
            answer(job, more);
        } else {
            tm_dynamodb_end(job, status);
        }
        return;
    }
    const tm_batch below = job->page.items[0];
    if (job->seen_last == 0) {
        job->seen_first = below.first_seq;
        job->seen_last = below.last_seq;
    }
    if (below.last_seq >= request_of(job)->since) {
        if (job->rows.count > 0 &&
            job->rows.items[0].first_seq != below.last_seq + 1) {
            hole_say(job, below.last_seq, job->rows.items[0].first_seq);
            job->hole = true;
            job->rows.count = 0;
            more = false;
        }
        size_t count = job->rows.count;
        if (!tm_dynamodb_row_keep(job, &job->rows, &below)) {
            tm_dynamodb_end(job, TM_E_NOMEM);
            return;
        }
        tm_batch kept = job->rows.items[count];
        memmove(job->rows.items + 1, job->rows.items, count * sizeof kept);
        job->rows.items[0] = kept;
    }
    answer(job, more);
}

void tm_dynamodb_read_begin(tm_dynamodb_job *job) {
    const tm_dynamodb_list *list = job->list;
    uint64_t since = request_of(job)->since;
    job->store->stats.reads++;
    job->start = since < TM_BATCH_OPS_MAX ? 1 : since - TM_BATCH_OPS_MAX + 1;
    if (since > TM_INT_MAX) job->start = TM_INT_MAX; // sixteen digits
    if (list->hint_last == since && list->hint_first > 0)
        job->start = list->hint_first;
    if (list->tail_last == since && list->tail_known && since > 0) {
        job->start = list->tail_first;
    }
    forward_ask(job);
}
