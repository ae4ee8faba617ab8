// api.c - see api.h: HTTP resources.
#include "service/api.h"

#include "service/query.h"

#include <string.h>

#define WAIT_MAX_S    25u // a proxy cuts a longer silence
#define LOG_LIMIT     100u
#define LOG_LIMIT_MAX 1000u
#define TEXT_PLAIN    "text/plain; version=0.0.4; charset=utf-8"
#define APPLICATION   "application/json"

static bool path_is(tm_span path, const char *text) {
    return path.len == strlen(text) && memcmp(path.ptr, text, path.len) == 0;
}

static bool same(tm_span a, tm_span b) {
    return tm_span_cmp(a, b) == 0;
}

// ---- without a list -----------------------------------------------------------------

static void serve_health(tm_call *call) {
    tm_buf *out = tm_answer_begin(call->service);
    tm_buf_text(out, "{\"status\":\"ok\"}");
    tm_answer_done(call);
}

static void serve_ready(tm_call *call) {
    tm_span why;
    tm_service *service = call->service;
    if (service->stopping) {
        tm_call_fail(call, &tm_problem_stopping);
    } else if (tm_store_health(service->store, &why) != TM_OK) {
        tm_call_fail_with(call, &tm_problem_storage, why);
    } else {
        serve_health(call);
    }
}

static void serve_metrics(tm_call *call) {
    tm_metrics_write(call->service, tm_answer_begin(call->service));
    tm_answer_reply(call, 200, TEXT_PLAIN);
    tm_call_end(call);
}

// ---- queries ------------------------------------------------------------------------

typedef enum param {
    PARAM_SINCE,
    PARAM_MARK,
    PARAM_WAIT,
    PARAM_USER,
    PARAM_ACKED,
    PARAM_FROM,
    PARAM_LIMIT,
    PARAM_AT,
    PARAM_OTHER,
} param;

typedef struct params {
    tm_query query;
    tm_span user;
    uint64_t at;
    bool has_at, has_user;
} params;

static param param_find(tm_span key) {
    static const char *const names[PARAM_OTHER] = {
        [PARAM_SINCE] = "since", [PARAM_MARK] = "mark",   [PARAM_WAIT] = "wait",
        [PARAM_USER] = "user",   [PARAM_ACKED] = "acked", [PARAM_FROM] = "from",
        [PARAM_LIMIT] = "limit", [PARAM_AT] = "at"};
    if (path_is(key, "lastSyncedVersion")) return PARAM_SINCE;
    size_t i = 0;
    while (i < PARAM_OTHER && !path_is(key, names[i])) {
        i++;
    }
    return (param)i;
}

static void mark_take(tm_call *call, tm_span value) {
    if (value.len == 0) {
        call->mark_kind = TM_MARK_EMPTY;
    } else if (tm_mark_read(value, call->mark)) {
        call->mark_kind = TM_MARK_GIVEN;
    } else {
        call->mark_kind = TM_MARK_FOREIGN;
    }
}

static void param_take(tm_call *call, params *all, param which, tm_span value) {
    tm_query *query = &all->query;
    uint64_t wait_s;
    switch (which) {
    case PARAM_SINCE:
        call->since = tm_query_u64(query, value, TM_INT_MAX);
        break;
    case PARAM_MARK:
        mark_take(call, value);
        break;
    case PARAM_WAIT:
        wait_s = tm_query_u64(query, value, TM_INT_MAX);
        call->wait_ms = 1000 * (wait_s > WAIT_MAX_S ? WAIT_MAX_S : wait_s);
        break;
    case PARAM_USER:
        all->has_user = true;
        all->user = value;
        break;
    case PARAM_ACKED:
        call->has_acked = true;
        call->acked = tm_query_u64(query, value, TM_INT_MAX);
        break;
    case PARAM_FROM:
        call->from = tm_query_u64(query, value, TM_INT_MAX);
        break;
    case PARAM_LIMIT:
        call->limit = tm_query_u64(query, value, LOG_LIMIT_MAX);
        break;
    case PARAM_AT:
        all->has_at = true;
        all->at = tm_query_u64(query, value, TM_INT_MAX);
        break;
    default:
        break;
    }
}

static void fail_query(tm_call *call, const tm_query *query) {
    tm_buf text = {.alloc = call->service->alloc};
    tm_span key = query->key;
    if (key.len > 64) key.len = 64;
    if (key.len > 0 && tm_utf8_valid(key)) {
        tm_buf_text(&text, "query member ");
        tm_buf_put(&text, key);
        tm_buf_text(&text, ": ");
    }
    tm_buf_text(&text, query->reason);
    if (text.status == TM_OK) {
        tm_call_fail_with(call, &tm_problem_request, tm_buf_span(&text));
    } else {
        tm_call_fail(call, &tm_problem_memory);
    }
    tm_buf_deinit(&text);
}

// false: the call was refused.
static bool query_read(tm_call *call, const tm_request *request, params *all) {
    tm_span key, value;
    *all = (params){.has_at = false};
    tm_query_init(&all->query, request->query, &call->arena);
    while (tm_query_next(&all->query, &key, &value)) {
        param which = param_find(key);
        if (which == PARAM_OTHER) continue;
        tm_query_known(&all->query, which);
        param_take(call, all, which, value);
    }
    if (all->query.reason != NULL) {
        fail_query(call, &all->query);
        return false;
    }
    if (all->has_user && !same(all->user, request->user)) {
        tm_call_fail(call, &tm_problem_user);
        return false;
    }
    return true;
}

// ---- resources of a list ------------------------------------------------------------

static void ask(tm_call *call, tm_key key) {
    tm_ledger *ledger = tm_ledger_get(call->service, key);
    if (ledger == NULL) {
        tm_call_fail(call, &tm_problem_memory);
    } else {
        tm_ledger_ask(ledger, call);
    }
}

static void fail_missing(tm_call *call, const char *member) {
    static const tm_span user = TM_LIT("member user: is missing");
    static const tm_span operations = TM_LIT("member operations: is missing");
    tm_call_fail_with(call, &tm_problem_request,
                      strcmp(member, "user") == 0 ? user : operations);
}

static void post_operations(tm_call *call, const tm_request *request, tm_key key) {
    tm_message message;
    const tm_problem *problem;
    tm_span detail;
    call->kind = TM_CALL_PUSH;
    call->size = request->body.len;
    if (request->body.len > TM_BODY_MAX) {
        tm_call_fail(call, &tm_problem_size);
    } else if (tm_message_read(call, request->body, false, &message, &problem,
                               &detail) != TM_OK) {
        tm_call_fail_with(call, problem, detail);
    } else if (message.user.ptr == NULL) {
        fail_missing(call, "user");
    } else if (!message.has_operations) {
        fail_missing(call, "operations");
    } else if (!same(message.user, request->user)) {
        tm_call_fail(call, &tm_problem_user);
    } else if (call->service->stopping) {
        tm_call_fail(call, &tm_problem_stopping);
    } else {
        call->service->counts.pushes++;
        ask(call, key);
    }
}

static void get_operations(tm_call *call, const tm_request *request, tm_key key) {
    params all;
    call->kind = TM_CALL_PULL;
    call->has_since = true;
    if (!query_read(call, request, &all)) return;
    call->service->counts.pulls++;
    ask(call, key);
}

static void get_list(tm_call *call, const tm_request *request, tm_key key) {
    params all;
    if (!query_read(call, request, &all)) return;
    call->kind = all.has_at ? TM_CALL_PAST : TM_CALL_STATE;
    call->version = all.at;
    ask(call, key);
}

static void get_log(tm_call *call, const tm_request *request, tm_key key) {
    params all;
    call->kind = TM_CALL_LOG;
    call->limit = LOG_LIMIT;
    if (!query_read(call, request, &all)) return;
    if (call->from == 0) call->from = 1;
    if (call->limit == 0) call->limit = 1;
    ask(call, key);
}

// ---- which --------------------------------------------------------------------------

// The part of the path up to the next slash, and what is behind it.
static tm_span segment(tm_span *path) {
    size_t len = 0;
    while (len < path->len && path->ptr[len] != '/') {
        len++;
    }
    tm_span part = {path->ptr, len};
    path->ptr += len;
    path->len -= len;
    return part;
}

static void route_list(tm_call *call, const tm_request *request, tm_span path) {
    tm_key key = {request->user, segment(&path)};
    bool get = request->method == TM_GET, post = request->method == TM_POST;
    if (!tm_list_name_valid(key.list)) {
        tm_call_fail(call, &tm_problem_list);
    } else if (path.len == 0) {
        if (get) {
            get_list(call, request, key);
        } else {
            tm_call_fail(call, &tm_problem_method);
        }
    } else if (path_is(path, "/operations")) {
        if (get) {
            get_operations(call, request, key);
        } else if (post) {
            post_operations(call, request, key);
        } else {
            tm_call_fail(call, &tm_problem_method);
        }
    } else if (path_is(path, "/log")) {
        if (get) {
            get_log(call, request, key);
        } else {
            tm_call_fail(call, &tm_problem_method);
        }
    } else {
        tm_call_fail(call, &tm_problem_path);
    }
}

void tm_api_request(tm_call *call, const tm_request *request) {
    static const tm_span lists = TM_LIT("/v1/lists/");
    static const tm_span no_user = TM_LIT("A user's name is 1 to 128 bytes.");
    tm_span path = request->path;
    bool get = request->method == TM_GET;
    bool plain = path_is(path, "/healthz") || path_is(path, "/readyz") ||
                 path_is(path, "/metrics");
    if (plain && !get) {
        tm_call_fail(call, &tm_problem_method);
    } else if (path_is(path, "/healthz")) {
        serve_health(call);
    } else if (path_is(path, "/readyz")) {
        serve_ready(call);
    } else if (path_is(path, "/metrics")) {
        serve_metrics(call);
    } else if (path.len < lists.len ||
               memcmp(path.ptr, lists.ptr, lists.len) != 0) {
        tm_call_fail(call, &tm_problem_path);
    } else if (request->user.len < 1 || request->user.len > 128) {
        tm_call_fail_with(call, &tm_problem_request, no_user);
    } else {
        route_list(call, request,
                   (tm_span){path.ptr + lists.len, path.len - lists.len});
    }
}
