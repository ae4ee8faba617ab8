// dynamodb_state.c - see dynamodb_internal.h: snapshots.
//
// A snapshot is the row ("user_id", "current") of the second table, put only if the stored
// operationVersion is smaller. Bytes that are a JSON object, as the service's are, are kept
// member by member, so that a person can look: each under its own name but two, and
// `members` has the names in their order, so that the very bytes come back. Any other bytes
// are one attribute.
//
// Above 350 KB the bytes go into chunks, and the row, then called a manifest and written
// last, names them. The key of a chunk carries the version and a random id, so that no two
// writers ever meet there. What a newer row replaces is remembered in it, and deleted by
// the first save a day later: a reader that has the old manifest finds its chunks.
#include "store/dynamodb_internal.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX    32u // of a member
#define MEMBERS_MAX 32u

static tm_span text(const char *from) {
    return (tm_span){(const uint8_t *)from, strlen(from)};
}

static bool same(tm_span a, const char *b) {
    return tm_span_cmp(a, text(b)) == 0;
}

// ---- member by member ---------------------------------------------------------------

// What a member is called as an attribute.
static const struct {
    const char *member, *attribute;
} names[] = {
    {"state", "selectedImages"},
    {"writers", "vector"}, // and the recent decisions of each writer
};

// Names of our own, that no member may take.
static const char *const taken[] = {
    "user_id",    TM_DYNAMODB_STATE_ID, "operationVersion", "lastSynced",
    "members",    "snapshot",           "chunks",           "retired",
    "tailVersion"};

static tm_span attribute_of(tm_span member) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (same(member, names[i].member)) return text(names[i].attribute);
    }
    return member;
}

static bool name_is_fine(tm_span member) {
    if (member.len == 0 || member.len > NAME_MAX) return false;
    for (size_t i = 0; i < member.len; i++) {
        uint8_t c = member.ptr[i] | 0x20;
        if (c < 'a' || c > 'z') return false;
    }
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        if (same(member, taken[i])) return false;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (same(member, names[i].attribute)) return false;
    }
    return true;
}

static void member_join(tm_buf *out, tm_span name, tm_span raw, bool first) {
    tm_buf_byte(out, first ? '{' : ',');
    tm_buf_json(out, name);
    tm_buf_byte(out, ':');
    tm_buf_put(out, raw);
}

// Appends the members as attributes to `out`. false: the bytes are no such object; `out`
// is as it was. `joined` is scratch.
static bool members_put(tm_span bytes, tm_arena *arena, tm_buf *joined,
                        tm_buf *out) {
    tm_json in;
    tm_span key, raw;
    tm_buf order = {.alloc = out->alloc};
    size_t before = out->len, count = 0;
    bool fine = true;
    tm_json_init(&in, bytes, TM_JSON_DEPTH_MAX, arena);
    tm_json_kept(tm_json_open(&in, TM_JSON_OBJECT));
    while (fine && tm_json_member(&in, &key)) {
        fine = name_is_fine(key) && count < MEMBERS_MAX &&
               tm_json_skip(&in, &raw) == TM_OK;
        if (!fine) break;
        member_join(joined, key, raw, count == 0);
        if (count++ > 0) tm_buf_byte(&order, ',');
        tm_buf_put(&order, key);
        tm_buf_byte(out, ',');
        tm_buf_json(out, attribute_of(key));
        tm_buf_text(out, ":{\"S\":");
        tm_buf_json(out, raw);
        tm_buf_byte(out, '}');
    }
    tm_buf_byte(joined, '}');
    fine = fine && count > 0 && tm_json_end(&in) == TM_OK &&
           tm_span_cmp(tm_buf_span(joined), bytes) == 0;
    if (fine) {
        tm_buf_byte(out, ',');
        tm_dynamodb_bytes_put(out, "members", tm_buf_span(&order));
    } else if (out->status == TM_OK) {
        out->len = before;
    }
    tm_buf_deinit(&order);
    return fine;
}

// ---- sets of chunks, as text: "seq id parts gone_ms", one behind another ---------------

static void set_put(tm_buf *out, const tm_dynamodb_set *set) {
    tm_buf_u64(out, set->seq);
    tm_buf_byte(out, ' ');
    tm_buf_text(out, set->id);
    tm_buf_byte(out, ' ');
    tm_buf_u64(out, set->parts);
    tm_buf_byte(out, ' ');
    tm_buf_u64(out, set->gone_ms);
    tm_buf_byte(out, '\n');
}

static bool word_take(tm_span *from, uint8_t end, tm_span *word) {
    const uint8_t *at = from->len == 0 ? NULL : memchr(from->ptr, end, from->len);
    if (at == NULL) return false;
    word->ptr = from->ptr;
    word->len = (size_t)(at - from->ptr);
    *from = (tm_span){at + 1, from->len - word->len - 1};
    return true;
}

static bool set_take(tm_span *from, tm_dynamodb_set *set) {
    tm_span seq, id, parts, gone;
    if (!word_take(from, ' ', &seq) || !word_take(from, ' ', &id) ||
        !word_take(from, ' ', &parts) || !word_take(from, '\n', &gone) ||
        id.len != 16 || !tm_dynamodb_number(seq, &set->seq) ||
        !tm_dynamodb_number(parts, &set->parts) ||
        !tm_dynamodb_number(gone, &set->gone_ms)) {
        return false;
    }
    memcpy(set->id, id.ptr, 16);
    set->id[16] = '\0';
    return true;
}

static void key_put(tm_buf *out, tm_key key, const char *state_id) {
    tm_buf_text(out, "\"user_id\":");
    tm_dynamodb_user_put(out, key);
    tm_buf_text(out, ",\"" TM_DYNAMODB_STATE_ID "\":{\"S\":\"");
    tm_buf_text(out, state_id);
    tm_buf_text(out, "\"}");
}

static void chunk_id(const tm_dynamodb_set *set, uint64_t part, char out[64]) {
    (void)snprintf(out, 64, "chunk-%016llu-%s-%04llu", (unsigned long long)set->seq,
                   set->id, (unsigned long long)part);
}

// ---- load ---------------------------------------------------------------------------

typedef struct members { // of a row, while it is read
    tm_span names[MEMBERS_MAX], values[MEMBERS_MAX];
    size_t count;
} members;

static void load_ask(tm_dynamodb_job *job);
static void chunk_ask(tm_dynamodb_job *job);

static void load_answer(tm_dynamodb_job *job, uint64_t seq) {
    tm_store_load *request = TM_REQUEST_OF(tm_store_load, job->own);
    tm_dynamodb_list *list = job->list;
    list->saved_known = true;
    list->saved_seq = seq;
    job->store->told++;
    job->store->outstanding--;
    job->own = NULL; // `done` may free it
    tm_span bytes = seq == 0 ? (tm_span){NULL, 0} : tm_buf_span(&job->state);
    if (seq > 0 && bytes.ptr == NULL) bytes.ptr = (const uint8_t *)"";
    request->done(request, TM_OK, seq, bytes);
    tm_dynamodb_end(job, TM_OK);
}

static void members_take(tm_dynamodb_job *job, const members *all, tm_span order) {
    for (bool first = true; order.len > 0; first = false) {
        tm_span name = order;
        const uint8_t *comma = memchr(order.ptr, ',', order.len);
        if (comma != NULL) name.len = (size_t)(comma - order.ptr);
        order.ptr += name.len;
        order.len -= name.len;
        if (order.len > 0) {
            order.ptr++;
            order.len--;
        }
        tm_span attribute = attribute_of(name), value = {NULL, 0};
        for (size_t i = 0; i < all->count; i++) {
            if (tm_span_cmp(all->names[i], attribute) == 0) value = all->values[i];
        }
        if (value.ptr == NULL) job->status = TM_E_CORRUPT; // taken out by hand
        member_join(&job->state, name, value, first);
    }
    tm_buf_byte(&job->state, '}');
}

static void sets_take(tm_dynamodb_job *job, tm_span chunks, tm_span retired) {
    tm_dynamodb_list *list = job->list;
    list->sets_count = 0;
    job->chunked = chunks.len > 0;
    if (job->chunked) {
        if (!set_take(&chunks, &list->sets[0])) job->status = TM_E_CORRUPT;
        list->sets[0].gone_ms = 0;
        job->set = list->sets[0];
        list->sets_count = 1;
    }
    while (list->sets_count <= TM_DYNAMODB_SETS_MAX &&
           set_take(&retired, &list->sets[list->sets_count])) {
        list->sets_count++;
    }
}

// A value of whatever type; null if it is none of ours.
static tm_span loose_read(tm_json *in) {
    tm_json inner;
    tm_span raw = {NULL, 0};
    if (tm_json_skip(in, &raw) != TM_OK) return raw;
    tm_json_init(&inner, raw, 4, in->arena);
    tm_span value = tm_dynamodb_value_read(&inner);
    if (inner.status == TM_E_NOMEM) in->status = TM_E_NOMEM;
    return value;
}

static void row_take(tm_dynamodb_call *call, tm_json *in) {
    tm_dynamodb_job *job = call->context;
    members all = {.count = 0};
    tm_span key, order = {NULL, 0}, chunks = order, retired = order, bytes = order;
    uint64_t hint = 0;
    tm_json_kept(tm_json_open(in, TM_JSON_OBJECT));
    while (tm_json_member(in, &key)) {
        tm_span value = loose_read(in);
        if (value.ptr == NULL) continue; // somebody else's column
        if (same(key, "operationVersion")) {
            if (!tm_dynamodb_number(value, &job->seq)) job->status = TM_E_CORRUPT;
        } else if (same(key, "tailVersion")) {
            (void)tm_dynamodb_number(value, &hint);
        } else if (same(key, "members")) {
            order = value;
        } else if (same(key, "chunks")) {
            chunks = value;
        } else if (same(key, "retired")) {
            retired = value;
        } else if (same(key, "snapshot")) {
            bytes = value;
        } else if (all.count < MEMBERS_MAX) {
            all.names[all.count] = key;
            all.values[all.count++] = value;
        }
    }
    if (in->status != TM_OK || job->seq == 0) return;
    if (hint > 0) {
        job->list->hint_first = hint;
        job->list->hint_last = job->seq;
    }
    sets_take(job, chunks, retired);
    if (job->chunked) return;
    if (order.len > 0) {
        members_take(job, &all, order);
    } else {
        tm_buf_put(&job->state, bytes);
    }
    if (job->state.status != TM_OK) in->status = TM_E_NOMEM;
}

static void load_restart(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    tm_buf_reset(&job->state);
    job->seq = 0;
    job->status = TM_OK;
    job->chunked = false;
}

static void load_member(tm_dynamodb_call *call, tm_span key, tm_json *in) {
    if (same(key, "Item")) {
        row_take(call, in);
    } else {
        tm_json_kept(tm_json_skip(in, NULL));
    }
}

static void load_done(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    tm_status status = tm_dynamodb_stored(call->status);
    if (status == TM_OK) status = job->status;
    if (status != TM_OK) {
        tm_dynamodb_end(job, status);
    } else if (job->chunked) {
        job->part = 0;
        chunk_ask(job);
    } else {
        load_answer(job, job->seq);
    }
}

static void get_put(tm_dynamodb_job *job, tm_dynamodb_kind kind, const char *id) {
    tm_dynamodb_call *call = &job->call;
    tm_dynamodb_begin(&job->store->client, call, kind, "GetItem");
    tm_dynamodb_table_put(&call->body, job->store->states);
    tm_buf_text(&call->body, ",\"ConsistentRead\":true,\"Key\":{");
    key_put(&call->body, tm_dynamodb_key(job), id);
    tm_buf_text(&call->body, "}}");
    call->context = job;
}

static void load_ask(tm_dynamodb_job *job) {
    get_put(job, TM_DYNAMODB_LOAD, TM_DYNAMODB_CURRENT);
    job->call.restart = load_restart;
    job->call.member = load_member;
    job->call.done = load_done;
    tm_dynamodb_send(&job->call);
}

void tm_dynamodb_load_begin(tm_dynamodb_job *job) {
    job->store->stats.loads++;
    load_ask(job);
}

// ---- the chunks of a load -----------------------------------------------------------

static void chunk_restart(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    job->found = false;
}

static void chunk_member(tm_dynamodb_call *call, tm_span key, tm_json *in) {
    tm_dynamodb_job *job = call->context;
    if (!same(key, "Item")) {
        tm_json_kept(tm_json_skip(in, NULL));
        return;
    }
    tm_span bytes = {NULL, 0};
    tm_json_kept(tm_json_open(in, TM_JSON_OBJECT));
    while (tm_json_member(in, &key)) {
        tm_span value = loose_read(in);
        if (same(key, "snapshot")) bytes = value;
    }
    if (in->status != TM_OK || bytes.ptr == NULL) return;
    job->found = true;
    tm_arena_reset(&job->arena);
    if (tm_arena_copy(&job->arena, bytes, &job->members) != TM_OK) {
        in->status = TM_E_NOMEM;
    }
}

static void chunk_done(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    tm_status status = tm_dynamodb_stored(call->status);
    if (status == TM_OK && !job->found) {
        // A day after it was replaced it is deleted: the manifest is an old one.
        if (!job->again) {
            job->again = true;
            load_ask(job);
            return;
        }
        status = TM_E_CORRUPT;
    }
    if (status == TM_OK) tm_buf_put(&job->state, job->members);
    if (status == TM_OK) status = job->state.status;
    if (status != TM_OK) {
        tm_dynamodb_end(job, status);
    } else if (++job->part < job->set.parts) {
        chunk_ask(job);
    } else {
        load_answer(job, job->seq);
    }
}

static void chunk_ask(tm_dynamodb_job *job) {
    char id[64];
    chunk_id(&job->set, job->part, id);
    get_put(job, TM_DYNAMODB_CHUNK_LOAD, id);
    job->call.restart = chunk_restart;
    job->call.member = chunk_member;
    job->call.done = chunk_done;
    tm_dynamodb_send(&job->call);
}

// ---- save ---------------------------------------------------------------------------

static void row_save(tm_dynamodb_job *job);
static void old_delete(tm_dynamodb_job *job);

static const tm_store_save *save_of(const tm_dynamodb_job *job) {
    return TM_REQUEST_OF(tm_store_save, job->own);
}

static void put_begin(tm_dynamodb_job *job, tm_dynamodb_kind kind, const char *id) {
    tm_dynamodb_call *call = &job->call;
    tm_dynamodb_begin(&job->store->client, call, kind, "PutItem");
    tm_dynamodb_table_put(&call->body, job->store->states);
    tm_buf_text(&call->body, ",\"Item\":{");
    key_put(&call->body, tm_dynamodb_key(job), id);
    call->context = job;
}

// What the row, once written, says of chunks: its own set, and those gone less than long.
static void sets_make(tm_dynamodb_job *job, uint64_t now_ms) {
    tm_dynamodb_list *list = job->list;
    tm_dynamodb_set made[TM_DYNAMODB_SETS_MAX + 1];
    size_t count = 0;
    if (job->chunked) made[count++] = job->set;
    for (size_t i = 0; i < list->sets_count && count <= TM_DYNAMODB_SETS_MAX; i++) {
        made[count] = list->sets[i];
        if (made[count].gone_ms == 0) made[count].gone_ms = now_ms;
        count++;
    }
    memcpy(list->sets, made, count * sizeof made[0]);
    list->sets_count = count;
}

static void sets_put(tm_buf *out, const tm_dynamodb_job *job, uint64_t now_ms) {
    const tm_dynamodb_list *list = job->list;
    tm_buf own = {.alloc = out->alloc}, gone = {.alloc = out->alloc};
    if (job->chunked) set_put(&own, &job->set);
    for (size_t i = 0; i < list->sets_count && i < TM_DYNAMODB_SETS_MAX; i++) {
        tm_dynamodb_set set = list->sets[i];
        if (set.gone_ms == 0) set.gone_ms = now_ms;
        set_put(&gone, &set);
    }
    if (own.len > 0) {
        tm_buf_byte(out, ',');
        tm_dynamodb_bytes_put(out, "chunks", tm_buf_span(&own));
    }
    if (gone.len > 0) {
        tm_buf_byte(out, ',');
        tm_dynamodb_bytes_put(out, "retired", tm_buf_span(&gone));
    }
    if (own.status != TM_OK || gone.status != TM_OK) out->status = TM_E_NOMEM;
    tm_buf_deinit(&own);
    tm_buf_deinit(&gone);
}

static void row_done(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    tm_dynamodb_list *list = job->list;
    if (call->status == TM_OK) {
        sets_make(job, tm_http_now(job->store->http).wall_ms);
        list->saved_known = true;
        list->saved_seq = save_of(job)->seq;
        old_delete(job);
        return;
    }
    list->saved_known = false;
    // A newer one is there, or this very one of an earlier try: nothing to do. (Chunks
    // that were written for nothing are found by tomorrow's look: dynamodb_orphan.c.)
    tm_dynamodb_end(job, call->status == TM_E_CONFLICT
                             ? TM_OK
                             : tm_dynamodb_stored(call->status));
}

static void row_save(tm_dynamodb_job *job) {
    const tm_store_save *request = save_of(job);
    const tm_dynamodb_list *list = job->list;
    uint64_t now_ms = tm_http_now(job->store->http).wall_ms;
    put_begin(job, TM_DYNAMODB_SAVE, TM_DYNAMODB_CURRENT);
    tm_buf *body = &job->call.body;
    tm_buf_byte(body, ',');
    tm_dynamodb_number_put(body, "operationVersion", request->seq);
    tm_buf_byte(body, ',');
    tm_dynamodb_number_put(body, "lastSynced", now_ms);
    if (list->tail_known && list->tail_last == request->seq) {
        tm_buf_byte(body, ',');
        tm_dynamodb_number_put(body, "tailVersion", list->tail_first);
    }
    sets_put(body, job, now_ms);
    tm_buf_reset(&job->state);
    if (!job->chunked &&
        !members_put(request->bytes, &job->arena, &job->state, body)) {
        tm_buf_byte(body, ',');
        tm_dynamodb_bytes_put(body, "snapshot", request->bytes);
    }
    tm_buf_text(body,
                "},\"ConditionExpression\":\"attribute_not_exists(user_id) OR "
                "operationVersion < :v\",\"ExpressionAttributeValues\":{");
    tm_dynamodb_number_put(body, ":v", request->seq);
    tm_buf_text(body, "}}");
    job->call.done = row_done;
    tm_dynamodb_send(&job->call);
}

static void part_done(tm_dynamodb_call *call);

static void part_save(tm_dynamodb_job *job) {
    tm_span bytes = save_of(job)->bytes;
    char id[64];
    size_t from = job->part * TM_DYNAMODB_CHUNK_MAX, len = bytes.len - from;
    if (len > TM_DYNAMODB_CHUNK_MAX) len = TM_DYNAMODB_CHUNK_MAX;
    chunk_id(&job->set, job->part, id);
    put_begin(job, TM_DYNAMODB_CHUNK_SAVE, id);
    tm_buf_byte(&job->call.body, ',');
    tm_dynamodb_bytes_put(&job->call.body, "snapshot",
                          (tm_span){bytes.ptr + from, len});
    tm_buf_text(&job->call.body, "}}");
    job->call.done = part_done;
    tm_dynamodb_send(&job->call);
}

static void part_done(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    if (call->status != TM_OK) {
        tm_dynamodb_end(job, tm_dynamodb_stored(call->status));
    } else if (++job->part < job->set.parts) {
        part_save(job);
    } else {
        row_save(job);
    }
}

void tm_dynamodb_save_begin(tm_dynamodb_job *job) {
    const tm_store_save *request = save_of(job);
    const tm_dynamodb_list *list = job->list;
    job->store->stats.saves++;
    if (request->seq == 0 ||
        (list->saved_known && request->seq <= list->saved_seq)) {
        tm_dynamodb_end(job, TM_OK);
        return;
    }
    job->chunked = request->bytes.len > TM_DYNAMODB_CHUNK_MAX;
    if (!job->chunked) {
        row_save(job);
    } else if (!tm_dynamodb_orphans_begin(job)) {
        tm_dynamodb_save_go(job);
    }
}

void tm_dynamodb_save_go(tm_dynamodb_job *job) {
    const tm_store_save *request = save_of(job);
    uint8_t random[8];
    tm_http_random(job->store->http, random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        (void)snprintf(job->set.id + 2 * i, 3, "%02x", random[i]);
    }
    job->set.seq = request->seq;
    job->set.parts =
        (request->bytes.len + TM_DYNAMODB_CHUNK_MAX - 1) / TM_DYNAMODB_CHUNK_MAX;
    job->part = 0;
    part_save(job);
}

// ---- chunks a day after -------------------------------------------------------------

static void gone_done(tm_dynamodb_call *call) {
    tm_dynamodb_job *job = call->context;
    if (call->status != TM_OK) { // the next save tries again
        tm_dynamodb_end(job, TM_OK);
        return;
    }
    job->part++;
    old_delete(job);
}

static void old_forget(tm_dynamodb_list *list, size_t at) {
    list->sets_count--;
    memmove(&list->sets[at], &list->sets[at + 1],
            (list->sets_count - at) * sizeof list->sets[0]);
}

// One chunk after another of the sets that a manifest of a day ago already did not name;
// the next row that is written no longer remembers them.
static void old_delete(tm_dynamodb_job *job) {
    tm_dynamodb_list *list = job->list;
    uint64_t now_ms = tm_http_now(job->store->http).wall_ms;
    for (size_t i = list->sets_count; i-- > 0;) {
        tm_dynamodb_set *set = &list->sets[i];
        if (set->gone_ms == 0 || now_ms < set->gone_ms + TM_DYNAMODB_DAY_MS)
            continue;
        if (strcmp(job->old.id, set->id) != 0) {
            job->old = *set;
            job->part = 0;
        }
        if (job->part >= set->parts) {
            old_forget(list, i);
            continue;
        }
        char id[64];
        tm_dynamodb_call *call = &job->call;
        chunk_id(set, job->part, id);
        tm_dynamodb_begin(&job->store->client, call, TM_DYNAMODB_DELETE,
                          "DeleteItem");
        tm_dynamodb_table_put(&call->body, job->store->states);
        tm_buf_text(&call->body, ",\"Key\":{");
        key_put(&call->body, tm_dynamodb_key(job), id);
        tm_buf_text(&call->body, "}}");
        call->context = job;
        call->done = gone_done;
        tm_dynamodb_send(call);
        return;
    }
    tm_dynamodb_end(job, TM_OK);
}
