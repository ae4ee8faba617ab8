// dynamodb_tables.c - see dynamodb_internal.h: what the tables must be, and making them.
//
// Both have two key attributes, strings, and are paid by request. DescribeTable costs
// nothing, so it is also how a store that is in trouble finds out whether it is over.
#include "store/dynamodb_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_PAUSE_MS 2000u // whoever asks for health, it is not asked more often
#define ACTIVE_POLL_MS 500u
#define ACTIVE_MAX_MS  120000u

static tm_span text(const char *from) {
    return (tm_span){(const uint8_t *)from, strlen(from)};
}

static bool same(tm_span a, const char *b) {
    return tm_span_cmp(a, text(b)) == 0;
}

// ---- DescribeTable ------------------------------------------------------------------

typedef struct table_seen {
    char hash[64], range[64], status[24], billing[24];
    bool strings; // all attributes the keys could be are of type S
} table_seen;

static void word_read(tm_json *in, char *out, size_t size) {
    tm_span word = {NULL, 0};
    if (tm_json_peek(in) != TM_JSON_STRING) {
        tm_json_kept(tm_json_skip(in, NULL));
        return;
    }
    tm_json_kept(tm_json_string(in, &word));
    size_t len = word.len < size ? word.len : size - 1;
    if (len > 0) memcpy(out, word.ptr, len);
    out[len] = '\0';
}

// [{"AttributeName":"user_id","KeyType":"HASH"},...]
static void keys_read(tm_json *in, table_seen *seen) {
    tm_span key;
    tm_json_kept(tm_json_open(in, TM_JSON_ARRAY));
    while (tm_json_element(in)) {
        char name[64] = "", type[16] = "";
        tm_json_kept(tm_json_open(in, TM_JSON_OBJECT));
        while (tm_json_member(in, &key)) {
            if (same(key, "AttributeName")) {
                word_read(in, name, sizeof name);
            } else {
                word_read(in, type, sizeof type);
            }
        }
        if (strcmp(type, "HASH") == 0) memcpy(seen->hash, name, sizeof name);
        if (strcmp(type, "RANGE") == 0) memcpy(seen->range, name, sizeof name);
    }
}

static void types_read(tm_json *in, table_seen *seen) {
    tm_span key;
    seen->strings = true;
    tm_json_kept(tm_json_open(in, TM_JSON_ARRAY));
    while (tm_json_element(in)) {
        char type[16] = "";
        tm_json_kept(tm_json_open(in, TM_JSON_OBJECT));
        while (tm_json_member(in, &key)) {
            if (same(key, "AttributeType")) {
                word_read(in, type, sizeof type);
            } else {
                tm_json_kept(tm_json_skip(in, NULL));
            }
        }
        if (strcmp(type, "S") != 0) seen->strings = false;
    }
}

static void billing_read(tm_json *in, table_seen *seen) {
    tm_span key;
    tm_json_kept(tm_json_open(in, TM_JSON_OBJECT));
    while (tm_json_member(in, &key)) {
        if (same(key, "BillingMode")) {
            word_read(in, seen->billing, sizeof seen->billing);
        } else {
            tm_json_kept(tm_json_skip(in, NULL));
        }
    }
}

static void table_read(tm_json *in, table_seen *seen) {
    tm_span key;
    tm_json_kept(tm_json_open(in, TM_JSON_OBJECT));
    while (tm_json_member(in, &key)) {
        if (same(key, "KeySchema")) {
            keys_read(in, seen);
        } else if (same(key, "AttributeDefinitions")) {
            types_read(in, seen);
        } else if (same(key, "TableStatus")) {
            word_read(in, seen->status, sizeof seen->status);
        } else if (same(key, "BillingModeSummary")) {
            billing_read(in, seen);
        } else {
            tm_json_kept(tm_json_skip(in, NULL));
        }
    }
}

static const char *range_of(size_t table) {
    static const char *const names[TM_DYNAMODB_TABLES_MAX] = {
        TM_DYNAMODB_OPERATION_ID, TM_DYNAMODB_STATE_ID, TM_DYNAMODB_CONNECTION_ID};
    return names[table];
}

static const char *name_of(const tm_dynamodb *d, size_t table) {
    const char *const names[TM_DYNAMODB_TABLES_MAX] = {d->operations, d->states,
                                                       d->connections};
    return names[table];
}

static bool is_usable(const table_seen *seen) {
    return strcmp(seen->status, "ACTIVE") == 0 ||
           strcmp(seen->status, "UPDATING") == 0;
}

static void schema_judge(const table_seen *seen, size_t table, const char *name,
                         char out[256]) {
    out[0] = '\0';
    if (strcmp(seen->hash, "user_id") != 0 ||
        strcmp(seen->range, range_of(table)) != 0 || !seen->strings) {
        (void)snprintf(out, 256,
                       "the table %.96s has another key than user_id and %s, both "
                       "strings: it is not ours; choose another prefix",
                       name, range_of(table));
    } else if (!is_usable(seen)) {
        (void)snprintf(out, 256, "the table %.96s is %s", name, seen->status);
    }
}

// ---- the check of a store -----------------------------------------------------------

static void check_ask(tm_dynamodb *d);

static void check_restart(tm_dynamodb_call *call) {
    tm_dynamodb *d = call->context;
    d->judged[0] = '\0';
}

static void check_member(tm_dynamodb_call *call, tm_span key, tm_json *in) {
    tm_dynamodb *d = call->context;
    if (same(key, "Table")) {
        table_seen seen = {.strings = true};
        table_read(in, &seen);
        if (in->status == TM_OK) {
            schema_judge(&seen, d->check.table, name_of(d, d->check.table),
                         d->judged);
        }
    } else {
        tm_json_kept(tm_json_skip(in, NULL));
    }
}

static void check_over(tm_dynamodb *d) {
    d->checking = false;
    d->checked = true;
}

static void check_done(tm_dynamodb_call *call) {
    tm_dynamodb *d = call->context;
    if (call->status != TM_OK) { // the client's trouble says why
        check_over(d);
        return;
    }
    memcpy(d->schema, d->judged, sizeof d->schema);
    if (d->schema[0] == '\0' && d->check.table == 0) {
        d->check.table = 1;
        check_ask(d);
        return;
    }
    if (d->schema[0] != '\0' && d->client.config.say != NULL) {
        d->client.config.say(d->client.config.say_context, true, d->schema);
    }
    check_over(d);
}

static void check_ask(tm_dynamodb *d) {
    tm_dynamodb_call *call = &d->check.call;
    tm_dynamodb_begin(&d->client, call, TM_DYNAMODB_TABLES, "DescribeTable");
    tm_buf_text(&call->body, "\"TableName\":\"");
    tm_buf_text(&call->body, name_of(d, d->check.table));
    tm_buf_text(&call->body, "\"}");
    call->quick = true;
    call->restart = check_restart;
    call->member = check_member;
    call->done = check_done;
    call->context = d;
    tm_dynamodb_send(call);
}

void tm_dynamodb_check_begin(tm_dynamodb *d) {
    uint64_t now_ms = tm_dynamodb_mono(d);
    if (d->checking || (d->checked && now_ms - d->checked_ms < CHECK_PAUSE_MS))
        return;
    d->checking = true;
    d->checked_ms = now_ms;
    d->check.table = 0;
    check_ask(d);
}

// ---- the command --------------------------------------------------------------------

// One call after another, waited for.
typedef struct asking {
    tm_dynamodb *store;
    tm_dynamodb_call call;
    table_seen seen;
    char recovery[24], expiry[24], expiring[64];
    bool over;
} asking;

static void asking_restart(tm_dynamodb_call *call) {
    asking *a = call->context;
    memset(&a->seen, 0, sizeof a->seen);
    a->recovery[0] = a->expiry[0] = a->expiring[0] = '\0';
}

// {"ContinuousBackupsStatus":..,"PointInTimeRecoveryDescription":{"PointInTimeRecovery
// Status":"ENABLED",..}}
static void recovery_read(tm_json *in, asking *a) {
    tm_span key, inner;
    tm_json_kept(tm_json_open(in, TM_JSON_OBJECT));
    while (tm_json_member(in, &key)) {
        if (!same(key, "PointInTimeRecoveryDescription")) {
            tm_json_kept(tm_json_skip(in, NULL));
            continue;
        }
        tm_json_kept(tm_json_open(in, TM_JSON_OBJECT));
        while (tm_json_member(in, &inner)) {
            if (same(inner, "PointInTimeRecoveryStatus")) {
                word_read(in, a->recovery, sizeof a->recovery);
            } else {
                tm_json_kept(tm_json_skip(in, NULL));
            }
        }
    }
}

// {"TimeToLiveStatus":"ENABLED","AttributeName":"expires"}
static void expiry_read(tm_json *in, asking *a) {
    tm_span key;
    tm_json_kept(tm_json_open(in, TM_JSON_OBJECT));
    while (tm_json_member(in, &key)) {
        if (same(key, "TimeToLiveStatus")) {
            word_read(in, a->expiry, sizeof a->expiry);
        } else if (same(key, "AttributeName")) {
            word_read(in, a->expiring, sizeof a->expiring);
        } else {
            tm_json_kept(tm_json_skip(in, NULL));
        }
    }
}

static void asking_member(tm_dynamodb_call *call, tm_span key, tm_json *in) {
    asking *a = call->context;
    if (same(key, "Table")) {
        table_read(in, &a->seen);
    } else if (same(key, "ContinuousBackupsDescription")) {
        recovery_read(in, a);
    } else if (same(key, "TimeToLiveDescription")) {
        expiry_read(in, a);
    } else {
        tm_json_kept(tm_json_skip(in, NULL));
    }
}

static void asking_done(tm_dynamodb_call *call) {
    ((asking *)call->context)->over = true;
}

static void ask_begin(asking *a, const char *action, const char *table) {
    tm_dynamodb_begin(&a->store->client, &a->call, TM_DYNAMODB_TABLES, action);
    tm_buf_text(&a->call.body, "\"TableName\":\"");
    tm_buf_text(&a->call.body, table);
    tm_buf_byte(&a->call.body, '"');
}

static tm_status ask_wait(asking *a, const char *rest) {
    tm_buf_text(&a->call.body, rest);
    a->call.restart = asking_restart;
    a->call.member = asking_member;
    a->call.done = asking_done;
    a->call.context = a;
    a->over = false;
    tm_dynamodb_send(&a->call);
    while (!a->over && tm_http_wait(a->store->http)) {
        (void)tm_http_poll(a->store->http);
    }
    return a->call.status;
}

static tm_status table_describe(asking *a, const char *name) {
    ask_begin(a, "DescribeTable", name);
    return ask_wait(a, "}");
}

static tm_status table_create(asking *a, size_t table, const char *name) {
    char rest[512];
    (void)snprintf(rest, sizeof rest,
                   ",\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":["
                   "{\"AttributeName\":\"user_id\",\"AttributeType\":\"S\"},"
                   "{\"AttributeName\":\"%s\",\"AttributeType\":\"S\"}],"
                   "\"KeySchema\":["
                   "{\"AttributeName\":\"user_id\",\"KeyType\":\"HASH\"},"
                   "{\"AttributeName\":\"%s\",\"KeyType\":\"RANGE\"}]}",
                   range_of(table), range_of(table));
    ask_begin(a, "CreateTable", name);
    tm_status status = ask_wait(a, rest);
    return status == TM_E_STATE ? TM_OK : status; // somebody else was quicker
}

static void on_pause(tm_http_request *request) {
    *(bool *)request->context = true;
}

static void pause_wait(tm_dynamodb *d) {
    bool over = false;
    tm_http_request timer = {
        .delay_ms = ACTIVE_POLL_MS, .done = on_pause, .context = &over};
    tm_http_start(d->http, &timer);
    while (!over && tm_http_wait(d->http)) {
        (void)tm_http_poll(d->http);
    }
}

static tm_status active_wait(asking *a, const char *name) {
    uint64_t begun_ms = tm_dynamodb_mono(a->store);
    for (;;) {
        tm_status status = table_describe(a, name);
        if (status != TM_OK && status != TM_E_GONE) return status;
        if (status == TM_OK && is_usable(&a->seen)) return TM_OK;
        if (tm_dynamodb_mono(a->store) - begun_ms > ACTIVE_MAX_MS)
            return TM_E_AGAIN;
        pause_wait(a->store);
    }
}

static void recovery_look(asking *a, bool create, tm_dynamodb_table *table) {
    ask_begin(a, "DescribeContinuousBackups", table->name);
    tm_status status = ask_wait(a, "}");
    if (status == TM_OK && strcmp(a->recovery, "ENABLED") != 0 && create) {
        ask_begin(a, "UpdateContinuousBackups", table->name);
        status = ask_wait(a, ",\"PointInTimeRecoverySpecification\":{"
                             "\"PointInTimeRecoveryEnabled\":true}}");
    }
    const char *said = strcmp(a->recovery, "ENABLED") == 0 ? "on" : "off";
    if (status != TM_OK) said = "unknown: this endpoint does not tell";
    (void)snprintf(table->recovery, sizeof table->recovery, "%s", said);
}

static bool expires(const asking *a) {
    bool on =
        strcmp(a->expiry, "ENABLED") == 0 || strcmp(a->expiry, "ENABLING") == 0;
    return on && strcmp(a->expiring, TM_DYNAMODB_EXPIRES) == 0;
}

static void expiry_look(asking *a, bool create, tm_dynamodb_table *table) {
    ask_begin(a, "DescribeTimeToLive", table->name);
    tm_status status = ask_wait(a, "}");
    bool on = status == TM_OK && expires(a);
    if (status == TM_OK && !on && create) {
        ask_begin(a, "UpdateTimeToLive", table->name);
        status = ask_wait(a, ",\"TimeToLiveSpecification\":{\"Enabled\":true,"
                             "\"AttributeName\":\"" TM_DYNAMODB_EXPIRES "\"}}");
        on = status == TM_OK;
    }
    const char *said = on ? "on" : "off";
    if (status != TM_OK) said = "unknown: this endpoint does not tell";
    (void)snprintf(table->expiry, sizeof table->expiry, "%s", said);
}

static tm_status table_look(asking *a, size_t i, bool create,
                            tm_dynamodb_table *table) {
    const char *name = name_of(a->store, i);
    (void)snprintf(table->name, sizeof table->name, "%s", name);
    tm_status status = table_describe(a, name);
    if (status == TM_E_GONE && create) {
        status = table_create(a, i, name);
        if (status == TM_OK) status = active_wait(a, name);
        table->created = status == TM_OK;
    }
    if (status == TM_E_GONE) {
        (void)snprintf(table->problem, sizeof table->problem,
                       "there is no such table; `tidemark tables create` makes it");
        return TM_OK;
    }
    if (status != TM_OK) return status;
    table->there = true;
    table->on_demand = strcmp(a->seen.billing, "PAY_PER_REQUEST") == 0;
    schema_judge(&a->seen, i, name, table->problem);
    table->ok = table->problem[0] == '\0';
    if (table->ok && i < 2) recovery_look(a, create, table);
    if (table->ok && i == 2) expiry_look(a, create, table);
    return TM_OK;
}

tm_status tm_dynamodb_tables(const tm_dynamodb_options *options, bool create,
                             tm_dynamodb_table tables[TM_DYNAMODB_TABLES_MAX],
                             char problem[256]) {
    tm_dynamodb *d = NULL;
    size_t count = options->connections ? TM_DYNAMODB_TABLES_MAX : 2;
    memset(tables, 0, TM_DYNAMODB_TABLES_MAX * sizeof tables[0]);
    tm_status status = tm_dynamodb_make(options, &d, problem);
    if (status != TM_OK) return status;
    asking *a = tm_alloc_get(d->alloc, sizeof *a);
    if (a == NULL) {
        (void)snprintf(problem, 256, "out of memory");
        tm_dynamodb_unmake(d);
        return TM_E_NOMEM;
    }
    a->store = d;
    for (size_t i = 0; i < count && status == TM_OK; i++) {
        status = table_look(a, i, create, &tables[i]);
    }
    if (status != TM_OK) {
        (void)snprintf(problem, 256, "%.255s", d->client.trouble);
        status = status == TM_E_NOMEM ? status : TM_E_AGAIN;
    }
    tm_dynamodb_call_deinit(&a->call);
    tm_alloc_put(d->alloc, a, sizeof *a);
    tm_dynamodb_unmake(d);
    return status;
}
