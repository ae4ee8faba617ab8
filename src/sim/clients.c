// clients.c - see servers.h: plain clients of several servers. Each request goes to a server
// that chance picks; what is not answered is asked again, of another.
#include "client/words.h"
#include "sim/many.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PUSH_MAX 20u
#define PATIENCE 40000u // a long poll lasts 25 s
#define MARK_HEX 64u

// ---- asking ---------------------------------------------------------------------------

static void op_make(tm_many *m, uint32_t number) {
    tm_many_client *c = m->clients[number];
    if (c->made == TM_MANY_OPS || m->calm) return;
    uint64_t version = ++c->made;
    uint64_t ms = TM_MANY_START_MS + m->now_ms + number * 700;
    if (ms <= c->knows >> 16) ms = (c->knows >> 16) + 1; // SEMANTICS 4
    if (ms << 16 <= c->time[version - 1]) ms = (c->time[version - 1] >> 16) + 1;
    c->time[version] = ms << 16;
    c->seen[version] = c->knows;
}

static void op_write(const tm_many *m, uint32_t number, uint64_t version,
                     tm_buf *out) {
    const tm_many_client *c = m->clients[number];
    char text[320];
    uint64_t dice = tm_sim_mix(m->seed ^ version * 31 ^ number * 7919);
    unsigned item = (unsigned)(dice >> 8) % 12;
    char what[160];
    switch (dice % 8) {
    case 0:
        (void)snprintf(what, sizeof what,
                       "\"type\":\"SORT_CHANGE\",\"sort\":\"%s\"",
                       (dice & 256) != 0 ? "asc" : "desc");
        break;
    case 1:
        (void)snprintf(what, sizeof what,
                       "\"type\":\"DELETE\",\"instanceId\":\"i%u\"", item);
        break;
    case 2:
    case 3:
        (void)snprintf(
            what, sizeof what,
            "\"type\":\"ADD\",\"instanceId\":\"i%u\",\"imageId\":\"m%u\"", item,
            item);
        break;
    default:
        (void)snprintf(what, sizeof what,
                       "\"type\":\"UPDATE_METADATA\",\"instanceId\":\"i%u\","
                       "\"data\":{\"description\":\"%u of %u\"}",
                       item, (unsigned)version, number);
        break;
    }
    (void)snprintf(text, sizeof text,
                   "{\"id\":\"o%u-%" PRIu64 "\",%s,\"timestamp\":%" PRIu64
                   ",\"browserId\":\"w%u\",\"version\":%" PRIu64 "}",
                   number, version, what, c->time[version] >> 16, number, version);
    tm_buf_text(out, text);
}

static void request_send(tm_many *m, uint32_t number, bool save, tm_buf *text) {
    tm_many_client *c = m->clients[number];
    // At the end it stays with one, which must hear of what the others append.
    uint32_t to = m->calm ? number % m->server_count
                          : (uint32_t)tm_sim_below(&m->random, m->server_count);
    tm_many_event event = {.kind = TM_MANY_REQUEST,
                           .who = to,
                           .client = number,
                           .list = c->list,
                           .arg = ++m->number,
                           .save = save,
                           .len = text->len};
    c->waiting = m->number;
    c->sent_ms = m->now_ms;
    c->since = c->cursor;
    uint64_t at = m->now_ms + tm_sim_tail(&m->random, 20, m->calm ? 100 : 10000);
    if (!tm_many_fate(m, TM_SIM_MANY_REQUEST_LOST)) {
        event.bytes = tm_sim_copy(tm_buf_span(text));
        tm_many_at(m, at, event);
    }
    if (save && tm_many_fate(m, TM_SIM_MANY_REQUEST_AGAIN)) {
        event.bytes = tm_sim_copy(tm_buf_span(text));
        event.who = (uint32_t)tm_sim_below(&m->random, m->server_count);
        event.arg = 0;
        tm_many_at(m, at + tm_sim_tail(&m->random, 1000, 600000), event);
    }
}

static void save_send(tm_many *m, uint32_t number) {
    tm_many_client *c = m->clients[number];
    tm_buf body = {.alloc = &tm_sim_alloc};
    bool alone = tm_sim_below(&m->random, 8) == 0; // acks only
    tm_buf_text(&body, "{\"user\":\"ann\",");
    if (!alone) {
        tm_buf_text(&body, "\"since\":");
        tm_buf_u64(&body, c->cursor);
        tm_buf_text(&body, ",\"mark\":\"");
        tm_buf_text(&body, c->mark);
        tm_buf_text(&body, "\",");
    }
    tm_buf_text(&body, "\"operations\":[");
    for (uint64_t v = c->acked + 1; v <= c->made && v <= c->acked + PUSH_MAX; v++) {
        if (v > c->acked + 1) tm_buf_text(&body, ",");
        op_write(m, number, v, &body);
    }
    tm_buf_text(&body, "]}");
    request_send(m, number, true, &body);
    if (alone) c->since = UINT64_MAX;
    tm_buf_deinit(&body);
}

static void poll_send(tm_many *m, uint32_t number) {
    const tm_many_client *c = m->clients[number];
    tm_buf query = {.alloc = &tm_sim_alloc};
    tm_buf_text(&query, "since=");
    tm_buf_u64(&query, c->cursor);
    if (c->cursor > 0) {
        tm_buf_text(&query, "&mark=");
        tm_buf_text(&query, c->mark);
    }
    if (tm_sim_below(&m->random, 3) != 0) tm_buf_text(&query, "&wait=25");
    request_send(m, number, false, &query);
    tm_buf_deinit(&query);
}

void tm_many_client_act(tm_many *m, uint32_t number) {
    tm_many_client *c = m->clients[number];
    uint64_t edits = tm_sim_below(&m->random, 8);
    if (edits >= 5) edits = tm_sim_below(&m->random, 30) == 0 ? 40 : 0;
    for (uint64_t i = 0; i < edits; i++) {
        op_make(m, number);
    }
    if (c->waiting != 0 && m->now_ms > c->sent_ms + PATIENCE) c->waiting = 0;
    if (c->waiting == 0) {
        if (c->made > c->acked) {
            save_send(m, number);
        } else {
            poll_send(m, number);
        }
    }
    tm_many_at(m,
               m->now_ms + 1 + tm_sim_tail(&m->random, m->gap_ms, 16u * m->gap_ms),
               (tm_many_event){.kind = TM_MANY_CLIENT, .who = number});
}

void tm_many_client_arrive(tm_many *m, const tm_many_event *event) {
    tm_many_server *server = &m->servers[event->who];
    tm_span text = {event->bytes, event->len};
    char path[64];
    if (server->service == NULL) return; // nobody answers
    tm_many_call *call = calloc(1, sizeof *call);
    TM_ASSERT(call != NULL);
    *call = (tm_many_call){
        .client = event->client, .number = event->arg, .save = event->save};
    server->calls = tm_sim_grow(server->calls, server->call_count,
                                &server->call_cap, sizeof *server->calls);
    server->calls[server->call_count++] = call;
    (void)snprintf(path, sizeof path, "/v1/lists/list-%u/operations", event->list);
    tm_request request = {.method = event->save ? TM_POST : TM_GET,
                          .path = {(const uint8_t *)path, strlen(path)},
                          .query = event->save ? (tm_span){NULL, 0} : text,
                          .body = event->save ? text : (tm_span){NULL, 0},
                          .user = TM_SPAN("ann"),
                          .peer = call};
    tm_service_request(server->service, tm_many_server_now(m, server), &request,
                       &call->ticket);
    tm_many_server_after(m, event->who);
}

// ---- hearing --------------------------------------------------------------------------

typedef struct answer {
    uint64_t version, head;
    tm_span mark;
    bool snapshot, stopped;
    tm_span stop;
} answer;

static bool is(tm_span name, const char *word) {
    return tm_span_cmp(name, (tm_span){(const uint8_t *)word, strlen(word)}) == 0;
}

// A seq came: it is stored, and it is this one.
static void seq_hold(tm_many *m, tm_many_client *c, uint64_t seq, tm_span id) {
    const tm_sim_history *history = m->histories[c->list];
    if (seq == 0 || seq > tm_sim_history_head(history) || seq >= TM_MANY_SEQS ||
        tm_span_cmp(tm_sim_history_at(history, seq)->id, id) != 0) {
        tm_many_broken(m, TM_SIM_I6,
                       "%.*s was told to be at %" PRIu64 ", where it is not stored",
                       (int)id.len, (const char *)id.ptr, seq);
        return;
    }
    c->held[seq] = true;
    uint64_t time = tm_sim_history_at(history, seq)->time;
    if (time > c->knows) c->knows = time;
}

static uint64_t version_of(tm_span id) { // "o1-57"
    uint64_t version = 0;
    const uint8_t *dash = memchr(id.ptr, '-', id.len);
    if (dash == NULL) return 0;
    for (const uint8_t *at = dash + 1; at < id.ptr + id.len; at++) {
        version = version * 10 + (uint64_t)(*at - '0');
    }
    return version <= TM_MANY_OPS ? version : 0;
}

static tm_status ack_read(tm_many *m, tm_many_client *c, tm_json *in) {
    tm_span name, id = {NULL, 0}, status = {NULL, 0};
    uint64_t seq = 0;
    tm_status read = tm_json_open(in, TM_JSON_OBJECT);
    while (read == TM_OK && tm_json_member(in, &name)) {
        read = is(name, "id")       ? tm_json_string(in, &id)
               : is(name, "status") ? tm_json_string(in, &status)
               : is(name, "seq")    ? tm_json_u64(in, &seq)
                                    : tm_json_skip(in, NULL);
    }
    if (read != TM_OK) return read;
    if (is(status, "rejected")) {
        tm_many_broken(m, TM_SIM_I5, "%.*s was rejected", (int)id.len,
                       (const char *)id.ptr);
        return TM_OK;
    }
    seq_hold(m, c, seq, id);
    c->accepted[version_of(id)] = true;
    return TM_OK;
}

static tm_status stop_read(tm_json *in, answer *a) {
    tm_span name;
    tm_status read = tm_json_open(in, TM_JSON_OBJECT);
    a->stopped = true;
    while (read == TM_OK && tm_json_member(in, &name)) {
        read = is(name, "code") ? tm_json_string(in, &a->stop)
                                : tm_json_skip(in, NULL);
    }
    return read;
}

static tm_status ops_read(tm_many *m, tm_many_client *c, tm_json *in) {
    tm_status read = tm_json_open(in, TM_JSON_ARRAY);
    while (read == TM_OK && tm_json_element(in)) {
        tm_op op;
        read = tm_op_read(in, &op);
        if (read == TM_OK) seq_hold(m, c, op.seq, op.id);
    }
    return read;
}

static tm_status acks_read(tm_many *m, tm_many_client *c, tm_json *in) {
    tm_status read = tm_json_open(in, TM_JSON_ARRAY);
    while (read == TM_OK && tm_json_element(in)) {
        read = ack_read(m, c, in);
    }
    return read;
}

static tm_status answer_read(tm_many *m, tm_many_client *c, tm_span body,
                             answer *a) {
    tm_json in;
    tm_span name;
    tm_arena_reset(&m->arena);
    tm_json_init(&in, body, TM_JSON_DEPTH_MAX, &m->arena);
    tm_status read = tm_json_open(&in, TM_JSON_OBJECT);
    while (read == TM_OK && tm_json_member(&in, &name)) {
        if (is(name, "version")) {
            read = tm_json_u64(&in, &a->version);
        } else if (is(name, "head")) {
            read = tm_json_u64(&in, &a->head);
        } else if (is(name, "mark")) {
            read = tm_json_string(&in, &a->mark);
        } else if (is(name, "acks")) {
            read = acks_read(m, c, &in);
        } else if (is(name, "stop")) {
            read = stop_read(&in, a);
        } else if (is(name, "operations")) {
            read = ops_read(m, c, &in);
        } else {
            a->snapshot = a->snapshot || is(name, "snapshot");
            read = tm_json_skip(&in, NULL);
        }
    }
    return read == TM_OK ? tm_json_end(&in) : read;
}

// The mark is that of the batch which ends there.
static bool mark_true(const tm_many *m, const tm_many_client *c, const answer *a) {
    char hex[MARK_HEX + 1];
    if (a->version == 0) return a->mark.len == 0;
    const uint8_t *mark =
        tm_sim_tables_mark(m->tables, tm_many_key(m, c->list), a->version);
    if (mark == NULL) return false;
    for (size_t i = 0; i < TM_MARK_LEN; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", mark[i]);
    }
    return is(a->mark, hex);
}

static void cursor_move(tm_many *m, tm_many_client *c, const answer *a) {
    if (a->version < c->since) {
        tm_many_broken(m, TM_SIM_I7,
                       "a cursor at %" PRIu64 " was answered with %" PRIu64,
                       c->since, a->version);
        return;
    }
    if (!mark_true(m, c, a)) {
        tm_many_broken(m, TM_SIM_I7, "the mark at %" PRIu64 " is not the log's",
                       a->version);
        return;
    }
    for (uint64_t seq = 1; seq <= a->version; seq++) {
        if (a->snapshot) c->held[seq] = true;
        if (c->held[seq]) continue;
        tm_many_broken(m, TM_SIM_I7,
                       "an answer up to %" PRIu64 " left out %" PRIu64, a->version,
                       seq);
        return;
    }
    c->cursor = a->version;
    memcpy(c->mark, a->mark.ptr, a->mark.len);
    c->mark[a->mark.len] = '\0';
}

void tm_many_client_answer(tm_many *m, const tm_many_call *call, uint32_t status,
                           tm_span body) {
    tm_many_client *c = m->clients[call->client];
    tm_many_tell(m, "-> client %u: %u %.*s", call->client, status,
                 body.len < 160 ? (int)body.len : 160, (const char *)body.ptr);
    m->result->requests++;
    if (call->number == 0 || call->number != c->waiting) return; // nobody waits
    if (tm_many_fate(m, TM_SIM_MANY_ANSWER_LOST)) return;
    c->waiting = 0;
    if (status != 200) {
        if (status == 503 || status == 429) return;
        tm_many_broken(m, TM_SIM_I5, "an honest request was answered %u", status);
        return;
    }
    answer a = {0};
    if (answer_read(m, c, body, &a) != TM_OK) {
        tm_many_broken(m, TM_SIM_OWN, "an answer does not read");
        return;
    }
    if (a.stopped && !is(a.stop, "retry")) {
        tm_many_broken(m, TM_SIM_I4, "client %u was told %.*s", call->client,
                       (int)a.stop.len, (const char *)a.stop.ptr);
        return;
    }
    if (a.head > tm_sim_history_head(m->histories[c->list])) {
        tm_many_broken(m, TM_SIM_I6, "a head of %" PRIu64 " is not stored", a.head);
    }
    while (c->acked < c->made && c->accepted[c->acked + 1]) {
        c->acked++;
    }
    if (c->since != UINT64_MAX) cursor_move(m, c, &a);
}

// Its effective time is above all that its author had seen.
void tm_many_client_stored(tm_many *m, const tm_op *op) {
    uint32_t number = (uint32_t)(op->at.browser.ptr[1] - '0');
    if (number >= m->client_count || op->at.version > TM_MANY_OPS) return;
    const tm_many_client *c = m->clients[number];
    if (op->at.time > c->seen[op->at.version]) return;
    tm_many_broken(m, TM_SIM_I9,
                   "%.*s got a time not above what its author had seen",
                   (int)op->id.len, (const char *)op->id.ptr);
}

// ---- all of them ----------------------------------------------------------------------

void tm_many_client_start(tm_many *m) {
    for (uint32_t i = 0; i < m->client_count; i++) {
        m->clients[i] = calloc(1, sizeof *m->clients[i]);
        TM_ASSERT(m->clients[i] != NULL);
        m->clients[i]->list = tm_sim_below(&m->random, 3) == 0 ? 1 : 0;
        tm_many_at(m, tm_sim_below(&m->random, 2000),
                   (tm_many_event){.kind = TM_MANY_CLIENT, .who = i});
    }
}

void tm_many_client_end(tm_many *m) {
    for (uint32_t i = 0; i < m->client_count; i++) {
        const tm_many_client *c = m->clients[i];
        uint64_t head = tm_sim_history_head(m->histories[c->list]);
        if (c->acked < c->made) {
            tm_many_broken(m, TM_SIM_I14,
                           "client %u has %" PRIu64 " of %" PRIu64
                           " operations acknowledged",
                           i, c->acked, c->made);
        }
        if (c->cursor != head) {
            tm_many_broken(m, TM_SIM_I14, "client %u is at %" PRIu64 " of %" PRIu64,
                           i, c->cursor, head);
        }
    }
}

void tm_many_client_free(tm_many *m) {
    for (uint32_t i = 0; i < m->client_count; i++) {
        free(m->clients[i]);
    }
}
