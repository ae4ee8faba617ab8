// dynamodb_fake.c - see dynamodb_fake.h.
#include "dynamodb_fake.h"

#include "t.h"

#include <jansson.h>
#include <time.h>
#include <zlib.h>

#define LATENCY_MS 5u
#define TIMEOUT_MS 5000u
#define SIGNED_MS  (15u * 60 * 1000) // DynamoDB accepts no older signature
#define ITEM_MAX   (400u << 10)
#define TABLES_MAX 8u
#define VALIDATION "com.amazon.coral.validate#ValidationException"
#define SERVICE    "com.amazonaws.dynamodb.v20120810#"

typedef struct table {
    char name[96];
    const char *range; // the name of its second key
    json_t **items;    // by user_id, then range
    size_t count, cap;
} table;

typedef struct late { // a request still on its way
    uint64_t at_ms, signed_ms;
    char action[40];
    char *body;
    struct late *next;
} late;

struct fake_world {
    uint64_t now_ms; // since the epoch
    table tables[TABLES_MAX];
    size_t tables_count;
    const fake_fault *script;
    size_t script_count, script_at;
    uint32_t script_used;
    fake_fault always;
    size_t page_bytes;
    int64_t ahead_ms; // the servers' walls
    struct {
        char action[40];
        size_t count;
    } asked[16];
    late *late;
    uint64_t random;
    char batch[64]; // whose puts are being watched
    uint64_t first_ms, span_ms;
};

typedef struct door {
    tm_http base;
    fake_world *world;
    tm_http_request *waiting; // by due_ms
    void (*wake)(void *context);
    void *wake_context;
} door;

// ---- tables -------------------------------------------------------------------------

static table *table_find(fake_world *w, const char *name) {
    for (size_t i = 0; name != NULL && i < w->tables_count; i++) {
        if (strcmp(w->tables[i].name, name) == 0) return &w->tables[i];
    }
    return NULL;
}

static const char *text_of(const json_t *item, const char *name) {
    const char *text =
        json_string_value(json_object_get(json_object_get(item, name), "S"));
    return text == NULL ? "" : text;
}

static int key_cmp(const table *t, const json_t *a, const json_t *b) {
    int users = strcmp(text_of(a, "user_id"), text_of(b, "user_id"));
    return users != 0 ? users : strcmp(text_of(a, t->range), text_of(b, t->range));
}

static size_t place_of(const table *t, const json_t *key, bool *there) {
    size_t at = 0;
    while (at < t->count && key_cmp(t, t->items[at], key) < 0) {
        at++;
    }
    *there = at < t->count && key_cmp(t, t->items[at], key) == 0;
    return at;
}

static void item_put(table *t, json_t *item) { // takes
    bool there;
    size_t at = place_of(t, item, &there);
    if (there) {
        json_decref(t->items[at]);
        t->items[at] = item;
        return;
    }
    if (t->count == t->cap) {
        t->cap = t->cap == 0 ? 64 : t->cap * 2;
        t->items = realloc(t->items, t->cap * sizeof(json_t *));
        assert_non_null(t->items);
    }
    memmove(t->items + at + 1, t->items + at, (t->count - at) * sizeof(json_t *));
    t->items[at] = item;
    t->count++;
}

static void item_drop(table *t, const json_t *key) {
    bool there;
    size_t at = place_of(t, key, &there);
    if (!there) return;
    json_decref(t->items[at]);
    t->count--;
    memmove(t->items + at, t->items + at + 1, (t->count - at) * sizeof(json_t *));
}

// Names and values; a B's bytes are three for four of its digits.
static size_t item_size(json_t *item) {
    size_t size = 0;
    const char *name, *type;
    json_t *value, *inner;
    json_object_foreach(item, name, value) {
        size += strlen(name);
        json_object_foreach(value, type, inner) {
            size_t len = json_string_length(inner);
            size += type[0] == 'B' ? len / 4 * 3 : len;
        }
    }
    return size;
}

// ---- answers ------------------------------------------------------------------------

typedef struct answer {
    uint32_t status;
    char *body;
} answer;

static answer refuse(const char *type, const char *message) {
    json_t *body = json_pack("{s:s,s:s}", "__type", type, "message", message);
    answer made = {400, json_dumps(body, 0)};
    json_decref(body);
    return made;
}

static answer good(json_t *body) { // takes
    answer made = {200, json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(6))};
    json_decref(body);
    return made;
}

static void capacity_set(json_t *body, const table *t, size_t bytes, size_t unit) {
    double units = (double)((bytes + unit - 1) / unit);
    json_object_set_new(body, "ConsumedCapacity",
                        json_pack("{s:s,s:f}", "TableName", t->name,
                                  "CapacityUnits", units > 0 ? units : 1.0));
}

static json_t *projected(const json_t *request, json_t *item) {
    const char *names =
        json_string_value(json_object_get(request, "ProjectionExpression"));
    if (names == NULL) return json_deep_copy(item);
    json_t *made = json_object();
    char copy[256];
    snprintf(copy, sizeof copy, "%s", names);
    for (char *save, *name = strtok_r(copy, ",", &save); name != NULL;
         name = strtok_r(NULL, ",", &save)) {
        if (strcmp(name, "#t") == 0) name = (char *)(uintptr_t) "timestamp";
        json_t *value = json_object_get(item, name);
        if (value != NULL) json_object_set(made, name, value);
    }
    return made;
}

static uint64_t number_of(const json_t *item, const char *name) {
    const char *digits =
        json_string_value(json_object_get(json_object_get(item, name), "N"));
    return digits == NULL ? 0 : strtoull(digits, NULL, 10);
}

// ---- the calls ----------------------------------------------------------------------

static answer put_item(fake_world *w, table *t, json_t *request) {
    (void)w;
    json_t *item = json_object_get(request, "Item");
    const char *condition =
        json_string_value(json_object_get(request, "ConditionExpression"));
    bool there;
    size_t at = place_of(t, item, &there);
    if (item_size(item) > ITEM_MAX) {
        return refuse(VALIDATION,
                      "Item size has exceeded the maximum allowed size");
    }
    bool holds = condition == NULL || !there;
    if (condition != NULL && there &&
        strcmp(condition, "attribute_not_exists(user_id) OR "
                          "operationVersion < :v") == 0) {
        json_t *values = json_object_get(request, "ExpressionAttributeValues");
        holds =
            number_of(t->items[at], "operationVersion") < number_of(values, ":v");
    } else if (condition != NULL &&
               strcmp(condition, "attribute_not_exists(user_id)") != 0 && there) {
        return refuse(VALIDATION, "Invalid ConditionExpression");
    }
    if (!holds) {
        return refuse(SERVICE "ConditionalCheckFailedException",
                      "The conditional request failed");
    }
    json_t *body = json_object();
    capacity_set(body, t, item_size(item), 1024);
    item_put(t, json_deep_copy(item));
    return good(body);
}

static answer get_item(table *t, json_t *request) {
    bool there;
    T_TRUE(json_is_true(json_object_get(request, "ConsistentRead")));
    size_t at = place_of(t, json_object_get(request, "Key"), &there);
    json_t *body = json_object();
    capacity_set(body, t, there ? item_size(t->items[at]) : 1, 4096);
    if (there) json_object_set_new(body, "Item", projected(request, t->items[at]));
    return good(body);
}

static answer delete_item(table *t, json_t *request) {
    item_drop(t, json_object_get(request, "Key"));
    json_t *body = json_object();
    capacity_set(body, t, 1, 1024);
    return good(body);
}

static bool query_takes(const table *t, const json_t *request, const json_t *item) {
    const char *how =
        json_string_value(json_object_get(request, "KeyConditionExpression"));
    if (how == NULL) return true; // a scan
    const json_t *values = json_object_get(request, "ExpressionAttributeValues");
    if (strcmp(text_of(item, "user_id"), text_of(values, ":u")) != 0) return false;
    int by = strcmp(text_of(item, t->range), text_of(values, ":s"));
    if (strstr(how, ">= :s") != NULL) return by >= 0;
    if (strstr(how, "< :s") != NULL) return by < 0;
    return true;
}

static answer query(const fake_world *w, table *t, json_t *request) {
    T_TRUE(json_is_true(json_object_get(request, "ConsistentRead")));
    bool back = json_is_false(json_object_get(request, "ScanIndexForward"));
    json_int_t limit = json_integer_value(json_object_get(request, "Limit"));
    json_t *after = json_object_get(request, "ExclusiveStartKey");
    json_t *items = json_array(), *last = NULL, *body = json_object();
    size_t bytes = 0;
    bool cut = false;
    for (size_t n = 0; n < t->count; n++) {
        json_t *item = t->items[back ? t->count - 1 - n : n];
        if (!query_takes(t, request, item)) continue;
        if (after != NULL && key_cmp(t, item, after) * (back ? -1 : 1) <= 0)
            continue;
        // As DynamoDB does: whether anything follows is found out by asking again.
        cut = bytes > w->page_bytes ||
              (limit > 0 && (json_int_t)json_array_size(items) >= limit);
        if (cut) break;
        bytes += item_size(item);
        json_array_append_new(items, projected(request, item));
        last = item;
    }
    if (limit > 0 && (json_int_t)json_array_size(items) == limit) cut = true;
    if (cut) {
        json_t *key = json_object();
        json_object_set(key, "user_id", json_object_get(last, "user_id"));
        json_object_set(key, t->range, json_object_get(last, t->range));
        json_object_set_new(body, "LastEvaluatedKey", key);
    }
    json_object_set_new(body, "Count",
                        json_integer((json_int_t)json_array_size(items)));
    json_object_set_new(body, "Items", items);
    capacity_set(body, t, bytes, 4096);
    return good(body);
}

static answer describe(const table *t) {
    return good(json_pack(
        "{s:{s:s,s:s,s:f,s:[{s:s,s:s},{s:s,s:s}],s:[{s:s,s:s},{s:s,s:s}],s:{s:s}}}",
        "Table", "TableName", t->name, "TableStatus", "ACTIVE", "CreationDateTime",
        1.790000000125e9, "KeySchema", "AttributeName", "user_id", "KeyType",
        "HASH", "AttributeName", t->range, "KeyType", "RANGE",
        "AttributeDefinitions", "AttributeName", "user_id", "AttributeType", "S",
        "AttributeName", t->range, "AttributeType", "S", "BillingModeSummary",
        "BillingMode", "PAY_PER_REQUEST"));
}

static answer create(fake_world *w, const char *name, const json_t *request) {
    T_TRUE(w->tables_count < TABLES_MAX);
    if (table_find(w, name) != NULL) {
        return refuse(SERVICE "ResourceInUseException", "Table already exists");
    }
    table *t = &w->tables[w->tables_count++];
    memset(t, 0, sizeof *t);
    snprintf(t->name, sizeof t->name, "%s", name);
    const json_t *range = json_array_get(json_object_get(request, "KeySchema"), 1);
    const char *word = json_string_value(json_object_get(range, "AttributeName"));
    t->range = strcmp(word, "operation_id") == 0 ? "operation_id"
               : strcmp(word, "state_id") == 0   ? "state_id"
                                                 : "other";
    return good(json_object());
}

static answer run(fake_world *w, const char *action, const char *text) {
    json_error_t error;
    json_t *request =
        json_loads(text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (request == NULL)
        return refuse("com.amazon.coral.service#SerializationException", "");
    const char *name = json_string_value(json_object_get(request, "TableName"));
    table *t = table_find(w, name);
    answer made;
    if (strcmp(action, "CreateTable") == 0) {
        made = create(w, name, request);
    } else if (t == NULL) {
        made = refuse(SERVICE "ResourceNotFoundException",
                      "Requested resource not found");
    } else if (strcmp(action, "PutItem") == 0) {
        made = put_item(w, t, request);
    } else if (strcmp(action, "GetItem") == 0) {
        made = get_item(t, request);
    } else if (strcmp(action, "DeleteItem") == 0) {
        made = delete_item(t, request);
    } else if (strcmp(action, "Query") == 0 || strcmp(action, "Scan") == 0) {
        made = query(w, t, request);
    } else if (strcmp(action, "DescribeTable") == 0) {
        made = describe(t);
    } else {
        made = refuse("com.amazon.coral.service#UnknownOperationException", "");
    }
    json_decref(request);
    return made;
}

// ---- what goes wrong ----------------------------------------------------------------

static fake_fault fault_next(fake_world *w, const char *action) {
    static const fake_fault none = {.kind = FAKE_WELL};
    if (w->script_at < w->script_count) {
        const fake_fault *next = &w->script[w->script_at];
        if (next->action == NULL || strcmp(next->action, action) == 0) {
            uint32_t times = next->times == 0 ? 1 : next->times;
            if (++w->script_used >= times) {
                w->script_at++;
                w->script_used = 0;
            }
            return *next;
        }
    }
    if (w->always.action == NULL || strcmp(w->always.action, action) == 0) {
        return w->always;
    }
    return none;
}

static void count_asked(fake_world *w, const char *action) {
    for (size_t i = 0; i < COUNT(w->asked); i++) {
        if (w->asked[i].action[0] == '\0') {
            snprintf(w->asked[i].action, sizeof w->asked[i].action, "%s", action);
        }
        if (strcmp(w->asked[i].action, action) == 0) {
            w->asked[i].count++;
            return;
        }
    }
}

// Of all tries of one batch: how far apart were they signed?
static void watch(fake_world *w, const char *body) {
    const char *at = strstr(body, "\"batchId\":{\"B\":\"");
    char id[64];
    if (at == NULL) return;
    snprintf(id, sizeof id, "%.24s", at + 16);
    if (strcmp(id, w->batch) != 0) {
        memcpy(w->batch, id, sizeof id);
        w->first_ms = w->now_ms;
    }
    uint64_t span = w->now_ms - w->first_ms;
    if (span > w->span_ms) w->span_ms = span;
}

static const char *header_of(const tm_http_request *request, const char *name) {
    size_t len = strlen(name);
    for (const char *const *line = request->headers; *line != NULL; line++) {
        if (strncmp(*line, name, len) == 0 && (*line)[len] == ':') {
            return *line + len + 2;
        }
    }
    return NULL;
}

static void late_arrive(fake_world *w) {
    for (late **at = &w->late; *at != NULL;) {
        late *one = *at;
        if (one->at_ms > w->now_ms) {
            at = &one->next;
            continue;
        }
        *at = one->next;
        if (one->at_ms - one->signed_ms <= SIGNED_MS) {
            free(run(w, one->action, one->body).body);
        }
        free(one->body);
        free(one);
    }
}

static void late_add(fake_world *w, const char *action, const char *body,
                     uint64_t delay_ms) {
    late *one = calloc(1, sizeof *one);
    assert_non_null(one);
    one->at_ms = w->now_ms + delay_ms;
    one->signed_ms = w->now_ms;
    snprintf(one->action, sizeof one->action, "%s", action);
    one->body = strdup(body);
    one->next = w->late;
    w->late = one;
}

// ---- the door -----------------------------------------------------------------------

static void answered(tm_http_request *request, const char *body, uint32_t status) {
    request->status = status;
    request->answer = t_str(body);
    request->has_crc32 = true;
    request->crc32 =
        (uint32_t)crc32_z(crc32(0, NULL, 0), (const uint8_t *)body, strlen(body));
}

static void time_print(char out[32], uint64_t ms) {
    time_t seconds = (time_t)(ms / 1000);
    struct tm t;
    T_TRUE(gmtime_r(&seconds, &t) != NULL);
    T_EQ(strftime(out, 32, "%Y%m%dT%H%M%SZ", &t), 16);
}

static bool is_signed_well(const fake_world *w, const char *date, char why[256]) {
    char oldest[32], newest[32], now[32];
    time_print(oldest, w->now_ms - SIGNED_MS);
    time_print(newest, w->now_ms + SIGNED_MS);
    time_print(now, w->now_ms);
    if (strcmp(date, oldest) < 0) {
        snprintf(why, 256,
                 "Signature expired: %s is now earlier than %s (%s - 15 min.)",
                 date, oldest, now);
        return false;
    }
    snprintf(why, 256,
             "Signature not yet current: %s is still later than %s (%s + 15 min.)",
             date, newest, now);
    return strcmp(date, newest) <= 0;
}

// Runs the request. What it answers is in *body, to be freed.
static void arrive(fake_world *w, tm_http_request *request, const fake_fault *fault,
                   const char *action, char **body) {
    char *text = strndup((const char *)request->body.ptr, request->body.len);
    assert_non_null(text);
    bool done = fault->kind == FAKE_WELL || fault->kind == FAKE_STORED ||
                fault->kind == FAKE_UNHEARD || fault->kind == FAKE_CUT ||
                fault->kind == FAKE_SUM;
    answer made = {0, NULL};
    request->fate = TM_HTTP_ANSWERED;
    request->why = "";
    if (fault->kind != FAKE_UNSENT) {
        count_asked(w, action);
        watch(w, text);
    }
    char why[256];
    if (done && !is_signed_well(w, header_of(request, "X-Amz-Date"), why)) {
        made = refuse("com.amazon.coral.service#InvalidSignatureException", why);
    } else if (done) {
        made = run(w, action, text);
    }
    request->date_ms = w->now_ms / 1000 * 1000;
    if (fault->kind == FAKE_LATE) late_add(w, action, text, fault->delay_ms);
    free(text);
    *body = made.body;
    switch (fault->kind) {
    case FAKE_ERROR:
    case FAKE_STORED:
        answered(request, fault->body, fault->status);
        break;
    case FAKE_UNSENT:
        request->fate = TM_HTTP_UNSENT;
        request->why = "Couldn't connect to server";
        break;
    case FAKE_LOST:
    case FAKE_UNHEARD:
    case FAKE_LATE:
        request->fate = TM_HTTP_LOST;
        request->why = "Operation timed out";
        break;
    case FAKE_WELL:
    case FAKE_CUT:
    case FAKE_SUM:
        answered(request, made.body, made.status);
        if (fault->kind == FAKE_SUM) request->crc32 ^= 1;
        if (fault->kind != FAKE_CUT) break;
        request->answer.len /= 2;
        request->has_crc32 = false; // that alone would tell
        break;
    }
}

static void door_add(door *d, tm_http_request *request) {
    tm_http_request **at = &d->waiting;
    while (*at != NULL && (*at)->due_ms <= request->due_ms) {
        at = &(*at)->next;
    }
    request->next = *at;
    *at = request;
    if (d->wake != NULL) d->wake(d->wake_context);
}

static void door_start(tm_http *http, tm_http_request *request) {
    door *d = (door *)(void *)http;
    request->due_ms = d->world->now_ms + request->delay_ms;
    request->place = NULL;
    if (request->url != NULL) { // what becomes of it is decided when it is sent
        const char *target = header_of(request, "X-Amz-Target");
        T_TRUE(target != NULL && header_of(request, "Authorization") != NULL);
        const char *action = strchr(target, '.') + 1;
        fake_fault *fault = malloc(sizeof *fault);
        assert_non_null(fault);
        *fault = fault_next(d->world, action);
        request->place = fault;
        bool slow = fault->kind == FAKE_LOST || fault->kind == FAKE_UNHEARD ||
                    fault->kind == FAKE_LATE;
        request->due_ms += slow ? TIMEOUT_MS : LATENCY_MS;
    }
    door_add(d, request);
}

static size_t door_poll(tm_http *http) {
    door *d = (door *)(void *)http;
    if (d->waiting == NULL) return 0;
    if (d->waiting->due_ms > d->world->now_ms)
        d->world->now_ms = d->waiting->due_ms;
    late_arrive(d->world);
    tm_http_request *request = d->waiting;
    d->waiting = request->next;
    char *body = NULL;
    if (request->url != NULL) {
        const fake_fault fault = *(const fake_fault *)request->place;
        free(request->place);
        const char *action = strchr(header_of(request, "X-Amz-Target"), '.') + 1;
        arrive(d->world, request, &fault, action, &body);
    }
    request->done(request);
    free(body);
    if (d->waiting != NULL && d->wake != NULL) d->wake(d->wake_context);
    return 1;
}

static bool door_wait(tm_http *http) {
    return ((door *)(void *)http)->waiting != NULL;
}

static void door_wake(tm_http *http, void (*wake)(void *context), void *context) {
    door *d = (door *)(void *)http;
    d->wake = wake;
    d->wake_context = context;
}

static tm_now door_now(tm_http *http) {
    const fake_world *w = ((door *)(void *)http)->world;
    return (tm_now){(uint64_t)((int64_t)w->now_ms + w->ahead_ms), w->now_ms};
}

static void door_random(tm_http *http, uint8_t *bytes, size_t len) {
    fake_world *w = ((door *)(void *)http)->world;
    for (size_t i = 0; i < len; i++) {
        w->random =
            w->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        bytes[i] = (uint8_t)(w->random >> 56);
    }
}

static void door_close(tm_http *http) {
    door *d = (door *)(void *)http;
    for (tm_http_request *one = d->waiting; one != NULL; one = one->next) {
        free(one->place);
    }
    free(d);
}

static const tm_http_ops door_ops = {door_start, door_poll,   door_wait, door_wake,
                                     door_now,   door_random, door_close};

tm_http *fake_door(fake_world *world) {
    door *d = calloc(1, sizeof *d);
    assert_non_null(d);
    d->base.ops = &door_ops;
    d->world = world;
    return &d->base;
}

// ---- the world ----------------------------------------------------------------------

fake_world *fake_new(void) {
    fake_world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->now_ms = UINT64_C(1790000000000);
    w->page_bytes = 1u << 20;
    w->random = 1;
    return w;
}

void fake_free(fake_world *w) {
    for (size_t i = 0; i < w->tables_count; i++) {
        for (size_t j = 0; j < w->tables[i].count; j++) {
            json_decref(w->tables[i].items[j]);
        }
        free(w->tables[i].items);
    }
    w->now_ms = UINT64_MAX; // nothing is signed well any more
    late_arrive(w);
    free(w);
}

void fake_script(fake_world *w, const fake_fault *faults, size_t count) {
    w->script = faults;
    w->script_count = count;
    w->script_at = 0;
    w->script_used = 0;
}

void fake_always(fake_world *w, fake_fault fault) {
    w->always = fault;
}

void fake_page(fake_world *w, size_t bytes) {
    w->page_bytes = bytes;
}

void fake_advance(fake_world *w, uint64_t ms) {
    w->now_ms += ms;
    late_arrive(w);
}

void fake_clock(fake_world *w, int64_t ahead_ms) {
    w->ahead_ms = ahead_ms;
}

uint64_t fake_wall_ms(const fake_world *w) {
    return w->now_ms;
}

size_t fake_asked(fake_world *w, const char *action) {
    size_t sum = 0;
    for (size_t i = 0; i < COUNT(w->asked); i++) {
        if (action != NULL && strcmp(w->asked[i].action, action) != 0) continue;
        sum += w->asked[i].count;
        w->asked[i].count = 0;
    }
    return sum;
}

void fake_put_item(fake_world *w, const char *table_name, const char *item) {
    json_error_t error;
    json_t *made = json_loads(item, JSON_ALLOW_NUL, &error);
    assert_non_null(made);
    item_put(table_find(w, table_name), made);
}

static json_t *key_make(const table *t, const char *user_id, const char *range) {
    return json_pack("{s:{s:s},s:{s:s}}", "user_id", "S", user_id, t->range, "S",
                     range);
}

void fake_drop(fake_world *w, const char *table_name, const char *user_id,
               const char *range) {
    table *t = table_find(w, table_name);
    json_t *key = key_make(t, user_id, range);
    item_drop(t, key);
    json_decref(key);
}

char *fake_item(fake_world *w, const char *table_name, const char *user_id,
                const char *range) {
    table *t = table_find(w, table_name);
    json_t *key = key_make(t, user_id, range);
    bool there;
    size_t at = place_of(t, key, &there);
    json_decref(key);
    return there ? json_dumps(t->items[at], JSON_COMPACT | JSON_SORT_KEYS) : NULL;
}

size_t fake_count(fake_world *w, const char *table_name) {
    return table_find(w, table_name)->count;
}

uint64_t fake_span_ms(fake_world *w) {
    return w->span_ms;
}
