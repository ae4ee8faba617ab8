// listeners.c - see listeners.h.
#include "lambda/listeners.h"

#include <stdio.h>
#include <string.h>

#include "store/dynamodb_row.h"

#define LIFE_S    (3u * 3600u) // a connection ends after two hours
#define PAGES_MAX 16u

struct tm_listeners {
    tm_listeners_config config;
    tm_dynamodb_client client;
    char table[96];
    tm_dynamodb_call call;
    bool over;

    // A query under way.
    tm_arena *arena;
    tm_listener *found;
    size_t count, page_from;
    tm_span after; // LastEvaluatedKey, raw, in the arena
    bool no_memory;
};

static tm_span text(const char *from) {
    return (tm_span){(const uint8_t *)from, strlen(from)};
}

static bool same(tm_span a, const char *b) {
    return tm_span_cmp(a, text(b)) == 0;
}

// ---- one call -----------------------------------------------------------------------

static void on_done(tm_dynamodb_call *call) {
    ((tm_listeners *)call->context)->over = true;
}

static tm_buf *begin(tm_listeners *l, tm_dynamodb_kind kind, const char *action) {
    tm_dynamodb_begin(&l->client, &l->call, kind, action);
    l->call.quick = true;
    l->call.context = l;
    l->call.done = on_done;
    tm_buf *out = &l->call.body;
    tm_buf_text(out, "\"TableName\":\"");
    tm_buf_text(out, l->table);
    tm_buf_text(out, "\",\"ReturnConsumedCapacity\":\"TOTAL\"");
    return out;
}

static tm_status finish(tm_listeners *l) {
    l->over = false;
    tm_dynamodb_send(&l->call);
    // It ends by itself within two seconds and must not be left under way.
    while (!l->over) {
        (void)l->config.wait(l->config.wait_context);
    }
    return l->call.status;
}

static void user_put(tm_buf *out, tm_span user) {
    tm_buf id = {.alloc = out->alloc};
    tm_key key = {user, text("selected-images")}; // whose name is not written
    tm_dynamodb_user_id_put(&id, key);
    if (id.status != TM_OK) out->status = TM_E_NOMEM;
    tm_buf_text(out, "{\"S\":");
    tm_buf_json(out, tm_buf_span(&id));
    tm_buf_byte(out, '}');
    tm_buf_deinit(&id);
}

static void range_put(tm_buf *out, tm_span connection, tm_span list) {
    tm_buf range = {.alloc = out->alloc};
    tm_buf_put(&range, connection);
    tm_buf_byte(&range, '#');
    tm_buf_put(&range, list);
    if (range.status != TM_OK) out->status = TM_E_NOMEM;
    tm_buf_text(out, "{\"S\":");
    tm_buf_json(out, tm_buf_span(&range));
    tm_buf_byte(out, '}');
    tm_buf_deinit(&range);
}

static void keys_put(tm_buf *out, tm_span user, tm_span connection, tm_span list) {
    tm_buf_text(out, "\"user_id\":");
    user_put(out, user);
    tm_buf_text(out, ",\"" TM_DYNAMODB_CONNECTION_ID "\":");
    range_put(out, connection, list);
}

tm_status tm_listeners_put(tm_listeners *l, tm_span user, const tm_listener *one) {
    tm_buf *out = begin(l, TM_DYNAMODB_LISTEN, "PutItem");
    uint64_t now_s = tm_http_now(l->config.client.http).wall_ms / 1000;
    tm_buf_text(out, ",\"Item\":{");
    keys_put(out, user, one->connection, one->list);
    tm_buf_byte(out, ',');
    tm_dynamodb_number_put(out, "version", one->version);
    tm_buf_byte(out, ',');
    tm_dynamodb_number_put(out, "expires", now_s + LIFE_S);
    tm_buf_text(out, "}}");
    return finish(l);
}

tm_status tm_listeners_drop(tm_listeners *l, tm_span user, tm_span connection,
                            tm_span list) {
    tm_buf *out = begin(l, TM_DYNAMODB_LISTEN, "DeleteItem");
    tm_buf_text(out, ",\"Key\":{");
    keys_put(out, user, connection, list);
    tm_buf_text(out, "}}");
    return finish(l);
}

// ---- finding ------------------------------------------------------------------------

static tm_span kept(tm_listeners *l, tm_span from) {
    tm_span copy = {NULL, 0};
    if (tm_arena_copy(l->arena, from, &copy) != TM_OK) l->no_memory = true;
    return copy;
}

static void row_read(tm_listeners *l, tm_json *in) {
    tm_span key, range = {NULL, 0}, version = {NULL, 0};
    tm_json_kept(tm_json_open(in, TM_JSON_OBJECT));
    while (tm_json_member(in, &key)) {
        if (same(key, TM_DYNAMODB_CONNECTION_ID)) {
            range = tm_dynamodb_value_read(in);
        } else if (same(key, "version")) {
            version = tm_dynamodb_value_read(in);
        } else {
            tm_json_kept(tm_json_skip(in, NULL));
        }
    }
    const uint8_t *mark = range.len == 0 ? NULL : memchr(range.ptr, '#', range.len);
    if (in->status != TM_OK || mark == NULL || l->count == TM_LISTENERS_MAX) return;
    range = kept(l, range);
    if (range.ptr == NULL) return;
    mark = memchr(range.ptr, '#', range.len);
    tm_listener *one = &l->found[l->count++];
    size_t len = (size_t)(mark - range.ptr);
    one->connection = (tm_span){range.ptr, len};
    one->list = (tm_span){mark + 1, range.len - len - 1};
    if (!tm_dynamodb_number(version, &one->version)) one->version = 0;
}

static void find_restart(tm_dynamodb_call *call) {
    tm_listeners *l = call->context;
    l->count = l->page_from;
    l->after = (tm_span){NULL, 0};
}

static void find_member(tm_dynamodb_call *call, tm_span key, tm_json *in) {
    tm_listeners *l = call->context;
    tm_span raw;
    if (same(key, "Items")) {
        tm_json_kept(tm_json_open(in, TM_JSON_ARRAY));
        while (tm_json_element(in)) {
            row_read(l, in);
        }
    } else if (same(key, "LastEvaluatedKey")) {
        if (tm_json_skip(in, &raw) == TM_OK) l->after = kept(l, raw);
    } else {
        tm_json_kept(tm_json_skip(in, NULL));
    }
}

static tm_status page_find(tm_listeners *l, tm_span user, tm_span connection) {
    tm_buf *out = begin(l, TM_DYNAMODB_LISTENERS, "Query");
    tm_buf_text(out, ",\"ConsistentRead\":true,\"KeyConditionExpression\":\"");
    tm_buf_text(out, connection.len > 0
                         ? "user_id = :u AND begins_with(" TM_DYNAMODB_CONNECTION_ID
                           ", :c)\""
                         : "user_id = :u\"");
    tm_buf_text(out, ",\"ExpressionAttributeValues\":{\":u\":");
    user_put(out, user);
    if (connection.len > 0) {
        tm_buf_text(out, ",\":c\":");
        range_put(out, connection, (tm_span){NULL, 0});
    }
    tm_buf_byte(out, '}');
    if (l->after.len > 0) {
        tm_buf_text(out, ",\"ExclusiveStartKey\":");
        tm_buf_put(out, l->after);
    }
    tm_buf_byte(out, '}');
    l->call.restart = find_restart;
    l->call.member = find_member;
    return finish(l);
}

tm_status tm_listeners_find(tm_listeners *l, tm_span user, tm_span connection,
                            tm_arena *arena, tm_listener **out, size_t *count) {
    l->arena = arena;
    l->count = l->page_from = 0;
    l->after = (tm_span){NULL, 0};
    l->no_memory = false;
    l->found = tm_arena_get(arena, TM_LISTENERS_MAX * sizeof *l->found);
    if (l->found == NULL) return TM_E_NOMEM;
    tm_status status = TM_OK;
    for (size_t page = 0; page < PAGES_MAX; page++) {
        status = page_find(l, user, connection);
        if (status == TM_OK && l->no_memory) status = TM_E_NOMEM;
        if (status != TM_OK || l->after.len == 0 || l->count == TM_LISTENERS_MAX)
            break;
        l->page_from = l->count;
    }
    *out = l->found;
    *count = status == TM_OK ? l->count : 0;
    return status;
}

// ---- life ---------------------------------------------------------------------------

tm_status tm_listeners_open(const tm_listeners_config *config,
                            tm_listeners **listeners, char problem[256]) {
    tm_listeners *l = tm_alloc_get(config->client.alloc, sizeof *l);
    if (l == NULL) {
        (void)snprintf(problem, 256, "out of memory");
        return TM_E_NOMEM;
    }
    l->config = *config;
    (void)snprintf(l->table, sizeof l->table, "%s", config->table);
    tm_status status =
        tm_dynamodb_client_init(&l->client, &config->client, problem);
    if (status != TM_OK) {
        tm_alloc_put(config->client.alloc, l, sizeof *l);
        return status;
    }
    *listeners = l;
    return TM_OK;
}

void tm_listeners_close(tm_listeners *listeners) {
    if (listeners == NULL) return;
    tm_dynamodb_call_deinit(&listeners->call);
    tm_dynamodb_client_deinit(&listeners->client);
    tm_alloc_put(listeners->config.client.alloc, listeners, sizeof *listeners);
}

const char *tm_listeners_why(const tm_listeners *listeners) {
    return listeners->client.trouble;
}
