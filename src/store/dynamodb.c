// dynamodb.c - see dynamodb_internal.h: the store, and who waits for what.
#include "store/dynamodb_internal.h"

#include <stdio.h>
#include <string.h>

#define PATIENCE_MS 10000u
#define FROZEN_MS   60000u
_Static_assert((int)TM_DYNAMODB_KIND_COUNT <= (int)TM_STORE_COSTS_MAX,
               "all kinds are told");

#define LISTS_MAX 200000u // remembered; some 400 bytes each

// ---- lists --------------------------------------------------------------------------

static void list_forget(tm_dynamodb *d, tm_dynamodb_list *list) {
    (void)tm_table_remove(&d->lists, (tm_span){list->key, list->key_len});
    tm_alloc_put(d->alloc, list, sizeof *list);
}

static tm_dynamodb_list *list_get(tm_dynamodb *d, tm_key key) { // NULL: no memory
    uint8_t joined[TM_KEY_MAX];
    tm_span by = tm_key_join(key, joined);
    tm_dynamodb_list *list = tm_table_get(&d->lists, by);
    if (list != NULL) return list;
    list = tm_alloc_get(d->alloc, sizeof *list);
    if (list == NULL) return NULL;
    memcpy(list->key, by.ptr, by.len);
    list->key_len = by.len;
    if (tm_table_set(&d->lists, (tm_span){list->key, by.len}, list) == TM_OK) {
        return list;
    }
    tm_alloc_put(d->alloc, list, sizeof *list);
    return NULL;
}

static bool list_rests(const tm_dynamodb_list *list) {
    return list->line_job == NULL && list->chore_job == NULL &&
           list->line.first == NULL && list->chores.first == NULL;
}

void tm_dynamodb_tail_set(tm_dynamodb_job *job, uint64_t first, uint64_t last) {
    tm_dynamodb_list *list = job->list;
    list->tail_known = true;
    list->tail_first = first;
    list->tail_last = last;
    list->tail_ms = tm_dynamodb_mono(job->store);
}

void tm_dynamodb_tail_lose(tm_dynamodb_list *list) {
    list->tail_known = false;
}

// ---- requests -----------------------------------------------------------------------

tm_status tm_dynamodb_stored(tm_status status) {
    switch (status) {
    case TM_OK:
    case TM_E_RANGE:
    case TM_E_UNSURE:
    case TM_E_NOMEM:
    case TM_E_CORRUPT:
        return status;
    default: // no table, no right to it: as soon as there is, it goes on
        return TM_E_AGAIN;
    }
}

static void done_call(tm_dynamodb *d, tm_store_own *own, tm_status status,
                      uint64_t number) {
    d->outstanding--;
    d->told++;
    if (status == TM_E_AGAIN || status == TM_E_UNSURE || status == TM_E_NOMEM) {
        d->stats.failures++;
    }
    switch ((tm_request)own->kind) {
    case TM_REQUEST_APPEND: {
        tm_store_append *request = TM_REQUEST_OF(tm_store_append, own);
        request->done(request, status == TM_E_NOMEM ? TM_E_AGAIN : status);
        break;
    }
    case TM_REQUEST_READ: {
        tm_store_read *request = TM_REQUEST_OF(tm_store_read, own);
        request->done(request, status, NULL, 0, false);
        break;
    }
    case TM_REQUEST_LOAD: {
        tm_store_load *request = TM_REQUEST_OF(tm_store_load, own);
        request->done(request, status, 0, (tm_span){NULL, 0});
        break;
    }
    case TM_REQUEST_SAVE: {
        tm_store_save *request = TM_REQUEST_OF(tm_store_save, own);
        request->done(request, status == TM_E_NOMEM ? TM_E_AGAIN : status);
        break;
    }
    case TM_REQUEST_TRIM: {
        tm_store_trim *request = TM_REQUEST_OF(tm_store_trim, own);
        request->done(request, status, number);
        break;
    }
    }
}

static bool is_chore(const tm_store_own *own) {
    return own->kind == (int)TM_REQUEST_SAVE || own->kind == (int)TM_REQUEST_TRIM;
}

static void job_free(tm_dynamodb_job *job) {
    tm_dynamodb_call_deinit(&job->call);
    tm_arena_deinit(&job->arena);
    tm_buf_deinit(&job->after);
    tm_buf_deinit(&job->page_after);
    tm_buf_deinit(&job->state);
}

static void job_begin(tm_dynamodb *d, tm_dynamodb_list *list, tm_store_own *own) {
    tm_dynamodb_job *job = tm_alloc_get(d->alloc, sizeof *job);
    if (job == NULL) {
        done_call(d, own, TM_E_NOMEM, 0);
        return;
    }
    job->store = d;
    job->list = list;
    job->own = own;
    job->arena.alloc = job->after.alloc = job->page_after.alloc = job->state.alloc =
        d->alloc;
    *(is_chore(own) ? &list->chore_job : &list->line_job) = job;
    switch ((tm_request)own->kind) {
    case TM_REQUEST_APPEND:
        tm_dynamodb_append_begin(job);
        break;
    case TM_REQUEST_READ:
        tm_dynamodb_read_begin(job);
        break;
    case TM_REQUEST_LOAD:
        tm_dynamodb_load_begin(job);
        break;
    case TM_REQUEST_SAVE:
        tm_dynamodb_save_begin(job);
        break;
    case TM_REQUEST_TRIM:
        tm_dynamodb_trim_begin(job);
        break;
    }
}

// Begin what can begin. The list may be forgotten then.
static void list_go(tm_dynamodb *d, tm_dynamodb_list *list) {
    if (list->going) return; // a job that ended at once: the loop below has it
    list->going = true;
    tm_store_own *own;
    while (list->line_job == NULL && (own = tm_queue_pop(&list->line)) != NULL) {
        job_begin(d, list, own);
    }
    while (list->chore_job == NULL && (own = tm_queue_pop(&list->chores)) != NULL) {
        job_begin(d, list, own);
    }
    list->going = false;
    if (list_rests(list) && d->lists.count > LISTS_MAX) list_forget(d, list);
}

void tm_dynamodb_end(tm_dynamodb_job *job, tm_status status) {
    tm_dynamodb *d = job->store;
    tm_dynamodb_list *list = job->list;
    tm_store_own *own = job->own;
    uint64_t number = job->gone;
    *(job == list->chore_job ? &list->chore_job : &list->line_job) = NULL;
    job_free(job);
    tm_alloc_put(d->alloc, job, sizeof *job);
    if (own != NULL) done_call(d, own, status, number);
    list_go(d, list);
}

static void incoming_take(tm_dynamodb *d) {
    tm_queue now = d->incoming; // what `done` starts waits for the next poll
    d->incoming = (tm_queue){NULL, NULL};
    for (tm_store_own *own; (own = tm_queue_pop(&now)) != NULL;) {
        tm_dynamodb_list *list = list_get(d, tm_request_key(own));
        if (list == NULL) {
            done_call(d, own, TM_E_NOMEM, 0);
            continue;
        }
        tm_queue_push(is_chore(own) ? &list->chores : &list->line, own);
        list_go(d, list);
    }
}

// ---- the store ----------------------------------------------------------------------

static tm_dynamodb *store_of(tm_store *store) {
    return (tm_dynamodb *)(void *)store;
}

// The host has set the wake by the time of its first call, and not before.
static void arm(tm_dynamodb *d) {
    if (d->armed || d->base.wake == NULL) return;
    d->armed = true;
    tm_http_wake(d->http, d->base.wake, d->base.wake_context);
}

static void start(tm_store *store, tm_store_own *own, tm_request kind) {
    tm_dynamodb *d = store_of(store);
    arm(d);
    bool idle = d->incoming.first == NULL;
    own->kind = (int)kind;
    tm_queue_push(&d->incoming, own);
    d->outstanding++;
    if (idle && store->wake != NULL) store->wake(store->wake_context);
}

static void store_append(tm_store *store, tm_store_append *request) {
    start(store, &request->own, TM_REQUEST_APPEND);
}

static void store_read(tm_store *store, tm_store_read *request) {
    start(store, &request->own, TM_REQUEST_READ);
}

static void store_load(tm_store *store, tm_store_load *request) {
    start(store, &request->own, TM_REQUEST_LOAD);
}

static void store_save(tm_store *store, tm_store_save *request) {
    start(store, &request->own, TM_REQUEST_SAVE);
}

static void store_trim(tm_store *store, tm_store_trim *request) {
    start(store, &request->own, TM_REQUEST_TRIM);
}

static size_t store_poll(tm_store *store) {
    tm_dynamodb *d = store_of(store);
    arm(d);
    d->told = 0;
    incoming_take(d);
    (void)tm_http_poll(d->http);
    return d->told;
}

static size_t store_wait(tm_store *store) {
    tm_dynamodb *d = store_of(store);
    while (d->outstanding > 0) {
        size_t told = store_poll(store);
        if (told > 0) return told;
        if (d->outstanding > 0 && d->incoming.first == NULL) {
            (void)tm_http_wait(d->http);
        }
    }
    return 0;
}

static tm_status store_lists(tm_store *store,
                             void (*each)(void *context, tm_key key, uint64_t head),
                             void *context) {
    return tm_dynamodb_lists_all(store_of(store), each, context);
}

static tm_status store_health(tm_store *store, tm_span *why) {
    tm_dynamodb *d = store_of(store);
    arm(d);
    const char *said = d->client.trouble;
    tm_status status = d->client.health;
    if (status == TM_OK && d->schema[0] != '\0') {
        said = d->schema;
        status = TM_E_STATE;
    }
    if (status != TM_OK) tm_dynamodb_check_begin(d);
    *why = (tm_span){(const uint8_t *)said, strlen(said)};
    return status;
}

static void store_stats(tm_store *store, tm_store_stats *stats) {
    const tm_dynamodb *d = store_of(store);
    *stats = d->stats;
    stats->costs_count = TM_DYNAMODB_KIND_COUNT;
    for (size_t i = 0; i < TM_DYNAMODB_KIND_COUNT; i++) {
        const tm_dynamodb_count *count = &d->client.counts[i];
        tm_dynamodb_kind kind = (tm_dynamodb_kind)i;
        stats->costs[i] = (tm_store_cost){
            tm_dynamodb_kind_name(kind), tm_dynamodb_kind_writes(kind),
            count->requests, count->retries, count->units_milli};
    }
}

static void all_free(tm_dynamodb *d) {
    tm_http_close(d->http); // first: what is under way lies in what is freed below
    job_free(&d->check);
    size_t at = 0;
    for (tm_table_slot *slot; (slot = tm_table_next(&d->lists, &at)) != NULL;) {
        tm_alloc_put(d->alloc, slot->value, sizeof(tm_dynamodb_list));
    }
    tm_table_deinit(&d->lists);
    tm_dynamodb_client_deinit(&d->client);
    tm_alloc_put(d->alloc, d, sizeof *d);
}

static void store_close(tm_store *store) {
    while (store_wait(store) > 0) {
    }
    all_free(store_of(store));
}

static const tm_store_ops store_ops = {
    .append = store_append,
    .read = store_read,
    .load = store_load,
    .save = store_save,
    .trim = store_trim,
    .poll = store_poll,
    .wait = store_wait,
    .lists = store_lists,
    .health = store_health,
    .stats = store_stats,
    .close = store_close,
};

// ---- opening ------------------------------------------------------------------------

bool tm_dynamodb_names_set(const char *prefix, char operations[96],
                           char states[96]) {
    if (prefix == NULL) prefix = TM_DYNAMODB_PREFIX;
    size_t len = strlen(prefix);
    if (len > 64) return false;
    for (size_t i = 0; i < len; i++) {
        char c = prefix[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                     (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '-';
        if (!plain) return false;
    }
    (void)snprintf(operations, 96, "%soperations", prefix);
    (void)snprintf(states, 96, "%sselected-images-state", prefix);
    return true;
}

void tm_dynamodb_table_put(tm_buf *out, const char *table) {
    tm_buf_text(out, "\"TableName\":\"");
    tm_buf_text(out, table);
    tm_buf_text(out, "\",\"ReturnConsumedCapacity\":\"TOTAL\"");
}

void tm_dynamodb_user_put(tm_buf *out, tm_key key) {
    tm_buf user = {.alloc = out->alloc};
    tm_dynamodb_user_id_put(&user, key);
    if (user.status != TM_OK) out->status = TM_E_NOMEM;
    tm_buf_text(out, "{\"S\":");
    tm_buf_json(out, tm_buf_span(&user));
    tm_buf_byte(out, '}');
    tm_buf_deinit(&user);
}

tm_status tm_dynamodb_make(const tm_dynamodb_options *options, tm_dynamodb **made,
                           char problem[256]) {
    tm_http *http = options->http;
    tm_dynamodb *d = NULL;
    tm_status status = http == NULL ? tm_http_open(&http) : TM_OK;
    if (status == TM_OK) {
        d = tm_alloc_get(options->alloc, sizeof *d);
        if (d == NULL) status = TM_E_NOMEM;
    }
    if (status != TM_OK) {
        tm_http_close(http);
        (void)snprintf(problem, 256, "out of memory");
        return status;
    }
    d->base.ops = &store_ops;
    d->alloc = options->alloc;
    d->http = http;
    tm_dynamodb_client_config config = {
        .alloc = options->alloc,
        .http = http,
        .env = options->env,
        .env_context = options->env_context,
        .endpoint = options->endpoint,
        .region = options->region,
        .patience_ms =
            options->patience_ms > 0 ? options->patience_ms : PATIENCE_MS,
        .frozen_ms = options->frozen_ms > 0 ? options->frozen_ms : FROZEN_MS,
        .say = options->say,
        .say_context = options->say_context};
    tm_seed seed;
    uint8_t random[sizeof seed];
    tm_http_random(http, random, sizeof random);
    memcpy(&seed, random, sizeof seed);
    tm_table_init(&d->lists, d->alloc, seed);
    status = tm_dynamodb_client_init(&d->client, &config, problem);
    if (status == TM_OK &&
        !tm_dynamodb_names_set(options->prefix, d->operations, d->states)) {
        (void)snprintf(problem, 256,
                       "the prefix of the tables may have letters, "
                       "digits, - _ and . and at most 64 of them");
        status = TM_E_RANGE;
    }
    if (status == TM_OK) {
        (void)snprintf(
            d->connections, sizeof d->connections, "%s" TM_DYNAMODB_CONNECTIONS,
            options->prefix == NULL ? TM_DYNAMODB_PREFIX : options->prefix);
    }
    if (status != TM_OK) {
        all_free(d);
        return status;
    }
    *made = d;
    return TM_OK;
}

void tm_dynamodb_unmake(tm_dynamodb *d) {
    all_free(d);
}

tm_status tm_dynamodb_open(const tm_dynamodb_options *options, tm_store **store,
                           char problem[256]) {
    tm_dynamodb *d = NULL;
    tm_status status = tm_dynamodb_make(options, &d, problem);
    if (status != TM_OK) return status;
    tm_dynamodb_check_begin(d);
    while (d->checking && tm_http_wait(d->http)) {
        (void)tm_http_poll(d->http);
    }
    *store = &d->base;
    return TM_OK;
}
