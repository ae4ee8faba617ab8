// model_server.c - see model_server.h.
#include "client/model_server.h"

#include "t.h"

#define ALLOC(alloc)                                                               \
    t_memory memory_of_##alloc = {0};                                              \
    tm_alloc alloc = t_alloc(&memory_of_##alloc)

void model_init(model *m) {
    *m = (model){.user = "u", .wall_ms = 1700000000000, .next_epoch = 2};
    m->now.epoch = 1;
    m->part_bytes = 1000;
}

static void state_free(model_state *s) {
    for (size_t i = 0; i < s->op_count; i++) {
        free(s->ops[i].raw);
    }
    free(s->ops);
    free(s->decisions);
    free(s->writers);
    *s = (model_state){0};
}

void model_free(model *m) {
    state_free(&m->now);
    state_free(&m->backup);
    for (size_t i = 0; i < COUNT(m->conns); i++) {
        model_close(m, i);
    }
}

static void *copy_of(const void *from, size_t size) {
    void *to = malloc(size + 1);
    assert_non_null(to);
    if (size > 0) memcpy(to, from, size);
    ((char *)to)[size] = '\0';
    return to;
}

static model_state state_copy(const model_state *s) {
    model_state c = *s;
    c.ops = copy_of(s->ops, s->op_count * sizeof *s->ops);
    c.decisions = copy_of(s->decisions, s->decision_count * sizeof *s->decisions);
    c.writers = copy_of(s->writers, s->writer_count * sizeof *s->writers);
    for (size_t i = 0; i < s->op_count; i++) {
        c.ops[i].raw = copy_of(s->ops[i].raw, s->ops[i].len);
    }
    return c;
}

void model_backup(model *m) {
    state_free(&m->backup);
    m->backup = state_copy(&m->now);
}

void model_restore(model *m) {
    state_free(&m->now);
    m->now = state_copy(&m->backup);
    m->now.epoch = m->next_epoch++;
    for (size_t i = 0; i < COUNT(m->conns); i++) {
        m->conns[i].subscribed = false;
    }
}

static uint64_t head_of(const model *m) {
    return m->now.op_count;
}

// A mark names the history: the epoch of the log and the version.
static void mark_of(const model *m, uint64_t version, char mark[64]) {
    mark[0] = '\0';
    if (version > 0) {
        (void)snprintf(mark, 64, "m%" PRIu64 "-%" PRIu64, m->now.epoch, version);
    }
}

void model_compact(model *m) {
    m->now.floor = head_of(m);
    m->now.decision_count = 0; // the last 100 of each writer stay
    for (size_t i = 0; i < m->now.op_count; i++) {
        const model_op *op = &m->now.ops[i];
        size_t later = 0;
        for (size_t k = i + 1; k < m->now.op_count; k++) {
            later += strcmp(m->now.ops[k].browser, op->browser) == 0;
        }
        if (later >= 100) continue;
        model_decision *d = &m->now.decisions[m->now.decision_count++];
        *d = (model_decision){.seq = op->seq, .time = op->time};
        memcpy(d->id, op->id, sizeof d->id);
        memcpy(d->browser, op->browser, sizeof d->browser);
    }
}

tm_list *model_list(const model *m) {
    static t_memory memory;
    static tm_alloc alloc;
    alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    tm_list *list;
    T_OK(tm_list_new(&alloc, (tm_seed){1, 2}, &list));
    for (size_t i = 0; i < m->now.op_count; i++) {
        tm_json in;
        tm_op op;
        tm_json_init(&in,
                     (tm_span){(uint8_t *)m->now.ops[i].raw, m->now.ops[i].len}, 16,
                     &arena);
        T_OK(tm_op_read(&in, &op));
        T_OK(tm_list_apply(list, &op, NULL));
    }
    tm_arena_deinit(&arena);
    return list;
}

// ---- writing ------------------------------------------------------------------------

typedef struct text {
    char *at;
    size_t len, cap;
} text;

static void text_add(text *t, const char *bytes, size_t len) {
    if (t->len + len + 1 > t->cap) {
        t->cap = 2 * (t->len + len + 1);
        t->at = realloc(t->at, t->cap);
        assert_non_null(t->at);
    }
    memcpy(t->at + t->len, bytes, len);
    t->len += len;
    t->at[t->len] = '\0';
}

__attribute__((format(printf, 2, 3))) static void
text_print(text *t, const char *format, ...) {
    char line[1024];
    va_list values;
    va_start(values, format);
    int len = vsnprintf(line, sizeof line, format, values);
    va_end(values);
    assert_true(len >= 0 && (size_t)len < sizeof line);
    text_add(t, line, (size_t)len);
}

static void text_json(text *t, tm_span value) {
    ALLOC(alloc);
    tm_buf buf = {.alloc = &alloc};
    tm_buf_json(&buf, value);
    text_add(t, (char *)buf.ptr, buf.len);
    tm_buf_deinit(&buf);
}

static void snapshot_write(const model *m, text *t) {
    ALLOC(alloc);
    tm_buf buf = {.alloc = &alloc};
    tm_list *list = model_list(m);
    tm_list_write(list, &buf);
    text_print(t, "{\"state\":");
    text_add(t, (char *)buf.ptr, buf.len);
    text_print(t, ",\"H\":[%" PRIu64 ",%" PRIu64 "],\"unknown\":[",
               m->now.clock.time >> 16, m->now.clock.time & 0xffff);
    for (size_t i = 0; i < tm_list_unknown_count(list); i++) {
        tm_span raw = tm_list_unknown(list, i);
        if (i > 0) text_print(t, ",");
        text_add(t, (const char *)raw.ptr, raw.len);
    }
    text_print(t, "],\"live\":%zu}", tm_list_live(list));
    tm_list_free(list);
    tm_buf_deinit(&buf);
}

static void cursor_write(const model *m, text *t, uint64_t version) {
    char mark[64];
    mark_of(m, version, mark);
    text_print(t,
               "\"user\":\"%s\",\"version\":%" PRIu64
               ",\"mark\":\"%s\",\"head\":%" PRIu64 ",\"serverTime\":%" PRIu64,
               m->user, version, mark, head_of(m), m->wall_ms);
}

// ---- requests -----------------------------------------------------------------------

typedef struct request {
    char type[16], user[64], mark[130];
    bool has_since, has_mark, has_ref;
    uint64_t since, acked, ref, version;
    tm_op *ops;
    size_t op_count;
} request;

static void text_take(char *to, size_t size, tm_span from) {
    T_TRUE(from.len < size);
    memcpy(to, from.ptr, from.len);
    to[from.len] = '\0';
}

static void request_read(tm_span body, tm_arena *arena, request *r) {
    tm_json in;
    tm_span key, value;
    tm_json_init(&in, body, 8, arena);
    T_OK(tm_json_open(&in, TM_JSON_OBJECT));
    while (tm_json_member(&in, &key)) {
        char name[32];
        text_take(name, sizeof name, key);
        tm_json_kind kind = tm_json_peek(&in);
        if (strcmp(name, "operations") == 0) {
            r->ops = tm_arena_get(arena, 101 * sizeof *r->ops);
            T_OK(tm_json_open(&in, TM_JSON_ARRAY));
            while (tm_json_element(&in)) {
                T_TRUE(r->op_count < 100);
                T_OK(tm_op_read(&in, &r->ops[r->op_count++]));
            }
            T_OK(in.status);
        } else if (kind == TM_JSON_STRING) {
            T_OK(tm_json_string(&in, &value));
            if (strcmp(name, "type") == 0)
                text_take(r->type, sizeof r->type, value);
            if (strcmp(name, "user") == 0)
                text_take(r->user, sizeof r->user, value);
            if (strcmp(name, "mark") == 0) {
                text_take(r->mark, sizeof r->mark, value);
                r->has_mark = true;
            }
        } else if (kind == TM_JSON_INT) {
            uint64_t number;
            T_OK(tm_json_u64(&in, &number));
            if (strcmp(name, "since") == 0) {
                r->since = number;
                r->has_since = true;
            }
            if (strcmp(name, "acked") == 0) r->acked = number;
            if (strcmp(name, "version") == 0) r->version = number;
            if (strcmp(name, "ref") == 0) {
                r->ref = number;
                r->has_ref = true;
            }
        } else {
            T_OK(tm_json_skip(&in, NULL));
        }
    }
    T_OK(tm_json_end(&in));
}

// ---- deciding -----------------------------------------------------------------------

static model_writer *writer_of(model *m, const char *browser) {
    for (size_t i = 0; i < m->now.writer_count; i++) {
        if (strcmp(m->now.writers[i].browser, browser) == 0)
            return &m->now.writers[i];
    }
    m->now.writers =
        realloc(m->now.writers, (m->now.writer_count + 1) * sizeof *m->now.writers);
    model_writer *w = &m->now.writers[m->now.writer_count++];
    *w = (model_writer){.version = 0};
    (void)snprintf(w->browser, sizeof w->browser, "%s", browser);
    return w;
}

static model_decision *decision_of(model *m, const char *id) {
    for (size_t i = 0; i < m->now.decision_count; i++) {
        if (strcmp(m->now.decisions[i].id, id) == 0) return &m->now.decisions[i];
    }
    return NULL;
}

static model_decision *decide(model *m, const tm_op *op, const char *code) {
    m->now.decisions = realloc(m->now.decisions, (m->now.decision_count + 1) *
                                                     sizeof *m->now.decisions);
    model_decision *d = &m->now.decisions[m->now.decision_count++];
    *d = (model_decision){.seq = 0};
    text_take(d->id, sizeof d->id, op->id);
    text_take(d->browser, sizeof d->browser, op->at.browser);
    (void)snprintf(d->code, sizeof d->code, "%s", code);
    return d;
}

static void store(model *m, model_writer *w, const tm_op *op, model_decision *d) {
    ALLOC(alloc);
    tm_buf buf = {.alloc = &alloc};
    uint64_t time = op->at.time;
    T_OK(tm_clock_accept(&m->now.clock, &w->clock, m->wall_ms, &time));
    d->seq = head_of(m) + 1;
    d->time = time;
    tm_op_pass(&buf, op, &(tm_op_change){.seq = d->seq, .time = &time});
    m->now.ops = realloc(m->now.ops, (m->now.op_count + 1) * sizeof *m->now.ops);
    model_op *stored = &m->now.ops[m->now.op_count++];
    *stored = (model_op){.seq = d->seq, .time = time, .version = op->at.version};
    stored->raw = copy_of(buf.ptr, buf.len);
    stored->len = buf.len;
    stored->fresh = true;
    memcpy(stored->id, d->id, sizeof d->id);
    memcpy(stored->browser, d->browser, sizeof d->browser);
    tm_buf_deinit(&buf);
}

// Acks and stop as members; the operations are stored as one batch.
static void decide_all(model *m, const request *r, text *t, uint64_t *last) {
    size_t acks = 0;
    char stop[64] = "";
    text_print(t, ",\"acks\":[");
    for (size_t i = 0; i < r->op_count; i++) {
        const tm_op *op = &r->ops[i];
        char id[65], browser[65];
        text_take(id, sizeof id, op->id);
        text_take(browser, sizeof browser, op->at.browser);
        if (m->accept_first > 0 && i == m->accept_first) {
            (void)snprintf(stop, sizeof stop, "{\"code\":\"retry\"}");
            break;
        }
        model_writer *w = writer_of(m, browser);
        model_decision *d = decision_of(m, id);
        bool known = d != NULL;
        if (!known && op->at.version <= w->version) {
            (void)snprintf(stop, sizeof stop, "{\"code\":\"fork\"}");
            break;
        }
        if (!known && op->at.version > w->version + 1) {
            (void)snprintf(stop, sizeof stop,
                           "{\"code\":\"gap\",\"expected\":%" PRIu64 "}",
                           w->version + 1);
            break;
        }
        if (!known) {
            w->version = op->at.version;
            bool bad = op->fault != TM_FAULT_NONE || op->seq != 0 ||
                       (i < 32 && (m->reject >> i & 1) != 0);
            d = decide(m, op, bad ? "refused-by-policy" : "");
            if (!bad) store(m, w, op, d);
        }
        if (acks++ > 0) text_print(t, ",");
        if (d->code[0] != '\0') {
            text_print(t, "{\"id\":\"%s\",\"status\":\"rejected\",\"code\":\"%s\"}",
                       id, d->code);
            continue;
        }
        text_print(t,
                   "{\"id\":\"%s\",\"status\":\"%s\",\"seq\":%" PRIu64
                   ",\"timestamp\":%" PRIu64 ",\"logical\":%" PRIu64 "}",
                   id, known ? "duplicate" : "ok", d->seq, d->time >> 16,
                   d->time & 0xffff);
        if (d->seq > *last) *last = d->seq;
    }
    text_print(t, "]");
    if (stop[0] != '\0') text_print(t, ",\"stop\":%s", stop);
    if (m->now.op_count > 0) m->now.ops[m->now.op_count - 1].ends_batch = true;
    m->accept_first = 0;
    m->reject = 0;
}

static uint64_t batch_end(const model *m, uint64_t seq) {
    while (seq > 0 && seq <= m->now.op_count && !m->now.ops[seq - 1].ends_batch) {
        seq++;
    }
    return seq;
}

static bool foreign(const model *m, const request *r) {
    char mark[64];
    if (r->since > head_of(m) || r->acked > head_of(m) || r->since < m->now.floor ||
        r->since < m->floor_at) {
        return true;
    }
    if (!r->has_mark) return false;
    mark_of(m, r->since, mark);
    bool end = r->since == 0 || m->now.ops[r->since - 1].ends_batch;
    return !end || strcmp(mark, r->mark) != 0;
}

// Operations after `from` up to `to`, without those this very request was acked as.
static void ops_write(const model *m, text *t, uint64_t from, uint64_t to,
                      const request *without) {
    size_t count = 0;
    text_print(t, "[");
    for (uint64_t seq = from + 1; seq <= to; seq++) {
        const model_op *op = &m->now.ops[seq - 1];
        bool acked = false;
        for (size_t i = 0; without != NULL && i < without->op_count; i++) {
            acked |= strlen(op->id) == without->ops[i].id.len &&
                     memcmp(op->id, without->ops[i].id.ptr, strlen(op->id)) == 0;
        }
        if (acked) continue;
        if (count++ > 0) text_print(t, ",");
        text_add(t, op->raw, op->len);
    }
    text_print(t, "]");
}

// What a cursor is answered with: whole batches, or a snapshot.
static void rest_write(const model *m, text *t, const request *r, bool save) {
    if (foreign(m, r)) {
        cursor_write(m, t, head_of(m));
        text_print(t, ",\"snapshot\":");
        snapshot_write(m, t);
        return;
    }
    uint64_t to =
        r->since + 1000 < head_of(m) ? batch_end(m, r->since + 900) : head_of(m);
    cursor_write(m, t, to);
    text_print(t, ",\"operations\":");
    ops_write(m, t, r->since, to, save ? r : NULL);
}

static void broadcast(model *m, uint64_t before, size_t but);

static char *problem(uint32_t *http, uint32_t status, const char *code) {
    text t = {0};
    *http = status;
    text_print(
        &t,
        "{\"type\":\"about:blank\",\"status\":%u,\"code\":\"%s\",\"detail\":\"-\"}",
        status, code);
    return t.at;
}

char *model_post(model *m, tm_span body, uint32_t *http) {
    ALLOC(alloc);
    tm_arena arena = {.alloc = &alloc};
    request r = {.since = 0};
    text t = {0}, acks = {0};
    uint64_t last = 0, before = head_of(m);
    request_read(body, &arena, &r);
    m->posts++;
    *http = 200;
    if (strcmp(r.user, m->user) != 0) {
        tm_arena_deinit(&arena);
        return problem(http, 409, "user");
    }
    decide_all(m, &r, &acks, &last);
    text_print(&t, "{\"success\":true,");
    if (r.has_since) {
        rest_write(m, &t, &r, true);
    } else {
        cursor_write(m, &t, last > 0 ? batch_end(m, last) : head_of(m));
        text_print(&t, ",\"operations\":[]");
    }
    text_add(&t, acks.at, acks.len);
    text_print(&t, "}");
    free(acks.at);
    tm_arena_deinit(&arena);
    broadcast(m, before, COUNT(m->conns));
    return t.at;
}

static uint64_t number_of(const char *query, const char *name, bool *there) {
    const char *at = strstr(query, name);
    *there = at != NULL;
    return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

char *model_pull(model *m, tm_span query, uint32_t *http) {
    char *q = copy_of(query.ptr, query.len);
    request r = {.since = 0};
    text t = {0};
    bool there;
    m->pulls++;
    r.since = number_of(q, "since=", &there);
    r.acked = number_of(q, "acked=", &there);
    const char *mark = strstr(q, "mark=");
    r.has_mark = mark != NULL;
    for (size_t i = 0; mark != NULL && mark[5] != '\0' && mark[5] != '&'; i++) {
        char code[3] = {0};
        T_TRUE(i + 1 < sizeof r.mark);
        r.mark[i] = mark[5];
        if (mark[5] == '%') {
            memcpy(code, mark + 6, 2);
            r.mark[i] = (char)strtoul(code, NULL, 16);
            mark += 2;
        }
        mark++;
    }
    free(q);
    *http = 200;
    text_print(&t, "{");
    rest_write(m, &t, &r, false);
    text_print(&t, "}");
    return t.at;
}

// ---- the push channel -----------------------------------------------------------------

static void send(model *m, size_t conn, char *frame) {
    model_conn *c = &m->conns[conn];
    T_TRUE(c->count < COUNT(c->frames));
    c->frames[(c->first + c->count++) % COUNT(c->frames)] = frame;
}

char *model_next(model *m, size_t conn) {
    model_conn *c = &m->conns[conn];
    if (c->count == 0) return NULL;
    char *frame = c->frames[c->first];
    c->first = (c->first + 1) % COUNT(c->frames);
    c->count--;
    return frame;
}

void model_close(model *m, size_t conn) {
    for (char *frame; (frame = model_next(m, conn)) != NULL;) {
        free(frame);
    }
    m->conns[conn] = (model_conn){.open = false};
}

void model_open(model *m, size_t conn) {
    model_close(m, conn);
    m->conns[conn].open = true;
}

static void operations_send(model *m, size_t conn, uint64_t to) {
    text t = {0};
    model_conn *c = &m->conns[conn];
    text_print(&t, "{\"type\":\"OPERATIONS\",\"list\":\"l\",\"from\":%" PRIu64 ",",
               c->cursor + 1);
    cursor_write(m, &t, to);
    text_print(&t, ",\"operations\":");
    ops_write(m, &t, c->cursor, to, NULL);
    text_print(&t, "}");
    c->cursor = to;
    send(m, conn, t.at);
}

static void broadcast(model *m, uint64_t before, size_t but) {
    if (head_of(m) == before) return;
    for (size_t i = 0; i < COUNT(m->conns); i++) {
        if (i != but && m->conns[i].subscribed) operations_send(m, i, head_of(m));
    }
}

static void snapshot_send(model *m, size_t conn) {
    text t = {0};
    char mark[64];
    snapshot_write(m, &t);
    mark_of(m, head_of(m), mark);
    size_t parts = (t.len + m->part_bytes - 1) / m->part_bytes;
    for (size_t i = 0; i < parts; i++) {
        text f = {0};
        size_t at = i * m->part_bytes;
        size_t len = t.len - at < m->part_bytes ? t.len - at : m->part_bytes;
        text_print(&f,
                   "{\"type\":\"SNAPSHOT\",\"list\":\"l\",\"version\":%" PRIu64
                   ",\"mark\":\"%s\",\"part\":%zu,\"parts\":%zu,\"data\":",
                   head_of(m), mark, i + 1, parts);
        text_json(&f, (tm_span){(uint8_t *)t.at + at, len});
        text_print(&f, "}");
        send(m, conn, f.at);
    }
    free(t.at);
    m->conns[conn].cursor = head_of(m);
}

static void subscribe(model *m, size_t conn, const request *r) {
    text t = {0};
    model_conn *c = &m->conns[conn];
    bool fresh = foreign(m, r);
    text_print(&t, "{\"type\":\"SUBSCRIBED\",\"list\":\"l\",");
    cursor_write(m, &t, fresh ? 0 : r->since);
    text_print(&t, "}");
    send(m, conn, t.at);
    c->subscribed = true;
    c->cursor = r->since;
    if (fresh) {
        snapshot_send(m, conn);
    } else if (c->cursor < head_of(m)) {
        operations_send(m, conn, head_of(m));
    }
}

static void save(model *m, size_t conn, const request *r) {
    text t = {0}, acks = {0};
    uint64_t last = 0, before = head_of(m);
    model_conn *c = &m->conns[conn];
    decide_all(m, r, &acks, &last);
    text_print(&t, "{\"type\":\"SAVED\",\"list\":\"l\",\"ref\":%" PRIu64 ",",
               r->ref);
    if (c->subscribed) {
        cursor_write(m, &t, head_of(m));
        text_print(&t, ",\"operations\":");
        ops_write(m, &t, c->cursor, head_of(m), r);
        c->cursor = head_of(m);
    } else {
        cursor_write(m, &t, last > 0 ? batch_end(m, last) : 0);
        text_print(&t, ",\"operations\":[]");
    }
    text_add(&t, acks.at, acks.len);
    text_print(&t, "}");
    free(acks.at);
    send(m, conn, t.at);
    broadcast(m, before, conn);
    if (r->acked > before) {
        text f = {0};
        text_print(&f, "{\"type\":\"BEHIND\",\"list\":\"l\"}");
        send(m, conn, f.at);
        c->subscribed = false;
    }
}

void model_frame(model *m, size_t conn, tm_span body) {
    ALLOC(alloc);
    tm_arena arena = {.alloc = &alloc};
    request r = {.since = 0};
    request_read(body, &arena, &r);
    if (strcmp(r.type, "SUBSCRIBE") == 0) {
        subscribe(m, conn, &r);
    } else if (strcmp(r.type, "SAVE") == 0) {
        m->posts++;
        save(m, conn, &r);
    } else {
        text t = {0};
        T_EQ(strcmp(r.type, "SEEN"), 0);
        text_print(&t, "{\"type\":\"SEEN\",\"list\":\"l\",\"version\":0}");
        send(m, conn, t.at);
    }
    tm_arena_deinit(&arena);
}
