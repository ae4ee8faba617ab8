// check_copy.c - see check_copy.h.
#include "cmd/check_copy.h"

#include <stdio.h>

#include "cmd/tree.h"
#include "store/dynamodb_internal.h"

typedef struct copying {
    tm_dynamodb *from, *to;
    tm_dynamodb_call scan, put;
    tm_buf rows;  // a page, as it came: a JSON array
    tm_buf after; // LastEvaluatedKey, as it came; empty = that was all
    bool over;
} copying;

static void on_done(tm_dynamodb_call *call) {
    ((copying *)call->context)->over = true;
}

static tm_status sent(copying *c, tm_dynamodb_call *call, tm_dynamodb *d) {
    call->context = c;
    call->done = on_done;
    c->over = false;
    tm_dynamodb_send(call);
    while (!c->over && tm_http_wait(d->http)) {
        (void)tm_http_poll(d->http);
    }
    return call->status;
}

static void page_restart(tm_dynamodb_call *call) {
    copying *c = call->context;
    tm_buf_reset(&c->rows);
    tm_buf_reset(&c->after);
}

static void page_member(tm_dynamodb_call *call, tm_span key, tm_json *in) {
    copying *c = call->context;
    tm_span raw = {NULL, 0};
    if (tm_json_skip(in, &raw) != TM_OK) return;
    if (tm_span_equal_text(key, "Items")) tm_buf_put(&c->rows, raw);
    if (tm_span_equal_text(key, "LastEvaluatedKey")) tm_buf_put(&c->after, raw);
}

static tm_status page_read(copying *c, const char *table) {
    tm_buf *body = &c->scan.body;
    tm_dynamodb_begin(&c->from->client, &c->scan, TM_DYNAMODB_SCAN, "Scan");
    tm_dynamodb_table_put(body, table);
    tm_buf_text(body, ",\"ConsistentRead\":true");
    if (c->after.len > 0) {
        tm_buf_text(body, ",\"ExclusiveStartKey\":");
        tm_buf_put(body, tm_buf_span(&c->after));
    }
    tm_buf_byte(body, '}');
    c->scan.restart = page_restart;
    c->scan.member = page_member;
    tm_status status = sent(c, &c->scan, c->from);
    bool full = c->rows.status != TM_OK || c->after.status != TM_OK;
    return status == TM_OK && full ? TM_E_NOMEM : status;
}

static tm_status row_write(copying *c, const char *table, tm_span row) {
    tm_buf *body = &c->put.body;
    tm_dynamodb_begin(&c->to->client, &c->put, TM_DYNAMODB_APPEND, "PutItem");
    tm_dynamodb_table_put(body, table);
    tm_buf_text(body, ",\"Item\":");
    tm_buf_put(body, row);
    tm_buf_byte(body, '}');
    return sent(c, &c->put, c->to);
}

static tm_status rows_write(copying *c, const char *table) {
    tm_arena arena = {.alloc = c->to->alloc};
    tm_json in;
    tm_span row;
    tm_json_init(&in, tm_buf_span(&c->rows), TM_JSON_DEPTH_MAX, &arena);
    tm_status status = tm_json_open(&in, TM_JSON_ARRAY);
    while (status == TM_OK && tm_json_element(&in)) {
        status = tm_json_skip(&in, &row);
        if (status == TM_OK) status = row_write(c, table, row);
    }
    if (status == TM_OK) status = in.status;
    tm_arena_deinit(&arena);
    return status;
}

static tm_status table_copy(copying *c, const char *from, const char *to) {
    tm_status status;
    tm_buf_reset(&c->after);
    do {
        status = page_read(c, from);
        if (status == TM_OK) status = rows_write(c, to);
    } while (status == TM_OK && c->after.len > 0);
    return status;
}

tm_status tm_check_copy(const tm_dynamodb_options *from,
                        const tm_dynamodb_options *to, char problem[256]) {
    copying c = {.rows = {.alloc = from->alloc}, .after = {.alloc = from->alloc}};
    tm_status status = tm_dynamodb_make(from, &c.from, problem);
    if (status == TM_OK) status = tm_dynamodb_make(to, &c.to, problem);
    if (status == TM_OK) {
        status = table_copy(&c, c.from->operations, c.to->operations);
        if (status == TM_OK) status = table_copy(&c, c.from->states, c.to->states);
        if (status != TM_OK) {
            (void)snprintf(problem, 256, "the tables cannot be copied: %.200s",
                           c.from->client.trouble[0] != '\0'
                               ? c.from->client.trouble
                               : c.to->client.trouble);
        }
    }
    tm_dynamodb_call_deinit(&c.scan);
    tm_dynamodb_call_deinit(&c.put);
    tm_buf_deinit(&c.rows);
    tm_buf_deinit(&c.after);
    if (c.from != NULL) tm_dynamodb_unmake(c.from);
    if (c.to != NULL) tm_dynamodb_unmake(c.to);
    return status;
}
