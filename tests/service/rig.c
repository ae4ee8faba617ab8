// rig.c - see rig.h.
#include "rig.h"

uint64_t rig_random(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void random_fill(void *context, uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)rig_random(context);
    }
}

// ---- life ---------------------------------------------------------------------------

bool rig_try_start(rig_world *rig) {
    tm_service_config config = rig->config;
    config.alloc = &rig->alloc;
    config.store = rig->store;
    config.random = random_fill;
    config.random_context = &rig->random;
    return tm_service_new(&config, &rig->service) == TM_OK;
}

void rig_start(rig_world *rig) {
    T_TRUE(rig_try_start(rig));
}

void rig_forget(rig_world *rig) {
    while (rig->answers != NULL) {
        rig_answer *answer = rig->answers;
        rig->answers = answer->next;
        json_decref(answer->json);
        free(answer->text);
        free(answer);
    }
}

void rig_open(rig_world *rig) {
    rig->alloc = t_alloc(&rig->memory);
    rig->now = (tm_now){RIG_START, 1000};
    if (rig->user == NULL) rig->user = RIG_USER;
    if (rig->store == NULL) T_OK(tm_memory_open(&rig->alloc, &rig->store));
    rig_start(rig);
}

void rig_stop(rig_world *rig) {
    while (rig->conns != NULL) {
        rig_conn *conn = rig->conns;
        rig->conns = conn->next;
        if (conn->conn != NULL) tm_service_disconnect(rig->service, conn->conn);
        for (size_t i = 0; i < conn->count; i++) {
            json_decref(conn->frames[i]);
        }
        free(conn);
    }
    while (!tm_service_idle(rig->service)) {
        T_TRUE(tm_store_wait(rig->store) > 0);
    }
    rig_take(rig);
    tm_service_free(rig->service);
    rig->service = NULL;
}

void rig_close(rig_world *rig) {
    rig_stop(rig);
    tm_store_close(rig->store);
    rig_forget(rig);
    T_EQ(rig->memory.live, 0);
    T_EQ(rig->memory.bytes, 0);
}

// ---- effects ------------------------------------------------------------------------

static void check_problem(const json_t *json, uint32_t status, const char *text) {
    if (json == NULL) print_error("# %s\n", text);
    T_TRUE(json != NULL);
    T_EQ(rig_int(json, "status"), status);
    T_TRUE(rig_text(json, "title")[0] != '\0');
    T_TRUE(rig_text(json, "code")[0] != '\0');
    T_TRUE(rig_text(json, "detail")[0] != '\0');
}

static void take_reply(rig_world *rig, const tm_effect *effect) {
    rig_answer *answer = effect->peer;
    T_TRUE(answer->http && !answer->done);
    answer->done = true;
    answer->status = effect->status;
    answer->retry_after_s = effect->retry_after_s;
    answer->content_type = effect->content_type;
    answer->len = effect->frame->len;
    answer->text = malloc(answer->len + 1);
    memcpy(answer->text, effect->frame->bytes, answer->len);
    answer->text[answer->len] = '\0';
    answer->json = json_loadb(answer->text, answer->len,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    if (effect->status != 200) {
        T_EQ(strcmp(effect->content_type, "application/problem+json"), 0);
        check_problem(answer->json, effect->status, answer->text);
    } else if (strcmp(effect->content_type, "application/json") == 0) {
        if (answer->json == NULL) print_error("# not JSON: %s\n", answer->text);
        T_TRUE(answer->json != NULL);
    }
    T_TRUE((effect->retry_after_s > 0) ==
           (effect->status == 429 || effect->status == 503));
    tm_frame_release(rig->service, effect->frame);
}

static void take_frame(rig_world *rig, const tm_effect *effect) {
    rig_conn *conn = effect->peer;
    const tm_frame *frame = effect->frame;
    T_TRUE(!conn->http && conn->closed == 0 && conn->conn != NULL);
    T_TRUE(conn->count < RIG_FRAMES_MAX);
    T_TRUE(frame->len > 9 && memcmp(frame->bytes, "{\"type\":\"", 9) == 0);
    json_t *json = json_loadb((const char *)frame->bytes, frame->len,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    if (json == NULL) {
        print_error("# not JSON: %.*s\n", (int)frame->len, frame->bytes);
    }
    T_TRUE(json != NULL);
    T_TRUE(frame->len <= 1u << 20);
    if (strcmp(rig_text(json, "type"), "ERROR") == 0) {
        check_problem(json, (uint32_t)rig_int(json, "status"), "");
    } else {
        T_TRUE(rig_text(json, "list")[0] != '\0');
    }
    conn->sizes[conn->count] = frame->len;
    conn->frames[conn->count++] = json;
    conn->bytes += frame->len;
    tm_frame_release(rig->service, effect->frame);
}

void rig_take(rig_world *rig) {
    tm_effect effect;
    while (tm_service_effect(rig->service, &effect)) {
        switch (effect.kind) {
        case TM_EFFECT_REPLY:
            take_reply(rig, &effect);
            break;
        case TM_EFFECT_SEND:
            take_frame(rig, &effect);
            break;
        case TM_EFFECT_CLOSE: {
            rig_conn *conn = effect.peer;
            T_EQ(conn->closed, 0);
            conn->closed = effect.status;
            break;
        }
        case TM_EFFECT_NEWS:
            T_TRUE(effect.peer == NULL);
            rig->news++;
            snprintf(rig->news_text, sizeof rig->news_text, "%.*s",
                     (int)effect.frame->len, (const char *)effect.frame->bytes);
            tm_frame_release(rig->service, effect.frame);
            break;
        }
    }
}

void rig_run(rig_world *rig) {
    for (;;) {
        if (!rig->keep_effects) rig_take(rig);
        if (tm_store_poll(rig->store) > 0) continue;
        if (tm_service_deadline(rig->service) <= rig->now.mono_ms) {
            tm_service_tick(rig->service, rig->now);
            continue;
        }
        break;
    }
    if (!rig->keep_effects) rig_take(rig);
}

void rig_advance(rig_world *rig, uint64_t ms) {
    uint64_t end = rig->now.mono_ms + ms;
    for (;;) {
        rig_run(rig);
        uint64_t at = tm_service_deadline(rig->service);
        if (at > end) at = end;
        if (at <= rig->now.mono_ms) break;
        rig->now.wall_ms += at - rig->now.mono_ms;
        rig->now.mono_ms = at;
        tm_service_tick(rig->service, rig->now);
    }
}

// ---- requests -----------------------------------------------------------------------

rig_answer *rig_request_start(rig_world *rig, tm_method method, const char *path,
                              tm_span body) {
    rig_answer *answer = calloc(1, sizeof *answer);
    answer->http = true;
    answer->next = rig->answers;
    rig->answers = answer;
    const char *mark = strchr(path, '?');
    size_t path_len = mark == NULL ? strlen(path) : (size_t)(mark - path);
    tm_request request = {
        .method = method,
        .path = {(const uint8_t *)path, path_len},
        .query = t_str(mark == NULL ? "" : mark + 1),
        .body = body,
        .user = t_str(rig->user),
        .peer = answer,
    };
    // A copy of its exact size: what is kept of it must be a copy.
    uint8_t *copy = malloc(body.len + 1);
    if (body.len > 0) memcpy(copy, body.ptr, body.len);
    request.body.ptr = copy;
    tm_service_request(rig->service, rig->now, &request, &answer->ticket);
    free(copy);
    return answer;
}

rig_answer *rig_get(rig_world *rig, const char *path) {
    rig_answer *answer = rig_request_start(rig, TM_GET, path, (tm_span){NULL, 0});
    rig_run(rig);
    return answer;
}

rig_answer *rig_post_start(rig_world *rig, const char *list, const char *body) {
    char path[128];
    snprintf(path, sizeof path, "/v1/lists/%s/operations", list);
    return rig_request_start(rig, TM_POST, path, t_str(body));
}

rig_answer *rig_post(rig_world *rig, const char *list, const char *body) {
    rig_answer *answer = rig_post_start(rig, list, body);
    rig_run(rig);
    return answer;
}

// ---- connections --------------------------------------------------------------------

rig_conn *rig_connect(rig_world *rig) {
    rig_conn *conn = calloc(1, sizeof *conn);
    conn->rig = rig;
    T_OK(tm_service_connect(rig->service, rig->now, t_str(rig->user), conn,
                            &conn->conn));
    conn->next = rig->conns;
    rig->conns = conn;
    return conn;
}

void rig_disconnect(rig_conn *conn) {
    tm_service_disconnect(conn->rig->service, conn->conn);
    conn->conn = NULL;
}

void rig_send_start(rig_conn *conn, const char *text) {
    size_t len = strlen(text);
    uint8_t *copy = malloc(len + 1);
    memcpy(copy, text, len);
    tm_service_feed(conn->rig->service, conn->rig->now, conn->conn,
                    (tm_span){copy, len});
    free(copy);
}

void rig_send(rig_conn *conn, const char *text) {
    rig_send_start(conn, text);
    rig_run(conn->rig);
}

json_t *rig_next(rig_conn *conn) {
    return conn->read < conn->count ? conn->frames[conn->read++] : NULL;
}

json_t *rig_expect(rig_conn *conn, const char *type) {
    json_t *frame = rig_next(conn);
    T_TEXT(t_str(frame == NULL ? "no frame" : rig_text(frame, "type")), type);
    return frame;
}

void rig_silent(rig_conn *conn) {
    const json_t *frame = rig_next(conn);
    T_TEXT(t_str(frame == NULL ? "no frame" : rig_text(frame, "type")), "no frame");
}

void rig_subscribe(rig_conn *conn) {
    rig_send(conn, "{\"type\":\"SUBSCRIBE\",\"list\":\"" RIG_LIST
                   "\",\"user\":\"" RIG_USER "\",\"since\":0}");
    rig_expect(conn, "SUBSCRIBED");
    while (rig_next(conn) != NULL) {
    }
}

// ---- text ---------------------------------------------------------------------------

static char *room(size_t len) {
    static char *kept[64]; // more than one call of a test makes
    static size_t next;
    char **slot = &kept[next++ % COUNT(kept)];
    free(*slot);
    *slot = malloc(len + 1);
    return *slot;
}

const char *rig_format(const char *format, ...) {
    va_list list;
    va_start(list, format);
    int len = vsnprintf(NULL, 0, format, list);
    va_end(list);
    char *text = room((size_t)len);
    va_start(list, format);
    vsnprintf(text, (size_t)len + 1, format, list);
    va_end(list);
    return text;
}

const char *rig_op(const char *browser, uint64_t version) {
    return rig_format("{\"id\":\"%s-%" PRIu64 "\",\"type\":\"UPDATE_METADATA\","
                      "\"instanceId\":\"i%" PRIu64 "\",\"data\":{\"description\":"
                      "\"%s %" PRIu64 "\"},\"timestamp\":%" PRIu64
                      ",\"browserId\":\"%s\",\"version\":%" PRIu64 "}",
                      browser, version, version % 7, browser, version,
                      RIG_START - 400000 + (uint64_t)browser[0] % 32 * 10000 +
                          version,
                      browser, version);
}

const char *rig_ops(const char *browser, uint64_t first, uint64_t last) {
    size_t len = 0, cap = (size_t)(last - first + 1) * 400 + 1;
    char *text = malloc(cap);
    text[0] = '\0';
    for (uint64_t v = first; v <= last; v++) {
        const char *op = rig_op(browser, v);
        len += (size_t)snprintf(text + len, cap - len, "%s%s", v > first ? "," : "",
                                op);
    }
    char *kept = room(len);
    memcpy(kept, text, len + 1);
    free(text);
    return kept;
}

rig_answer *rig_save(rig_world *rig, const char *browser, uint64_t first,
                     uint64_t last) {
    return rig_post(rig, RIG_LIST,
                    rig_format("{\"user\":\"%s\",\"operations\":[%s]}", rig->user,
                               rig_ops(browser, first, last)));
}

// ---- JSON ---------------------------------------------------------------------------

int64_t rig_int(const json_t *json, const char *key) {
    const json_t *value = json_object_get(json, key);
    if (!json_is_integer(value)) print_error("# no integer %s\n", key);
    T_TRUE(json_is_integer(value));
    return json_integer_value(value);
}

const char *rig_text(const json_t *json, const char *key) {
    const char *text = json_string_value(json_object_get(json, key));
    return text == NULL ? "" : text;
}

size_t rig_count(const json_t *json, const char *key) {
    return json_array_size(json_object_get(json, key));
}

const char *rig_acks(const json_t *json) {
    char text[8192] = "";
    size_t len = 0, i;
    json_t *ack;
    json_array_foreach(json_object_get(json, "acks"), i, ack) {
        const char *status = rig_text(ack, "status");
        if (len > sizeof text - 128) break;
        if (i > 0) text[len++] = ' ';
        if (strcmp(status, "rejected") == 0) {
            len += (size_t)snprintf(text + len, sizeof text - len, "rej:%s",
                                    rig_text(ack, "code"));
        } else {
            len += (size_t)snprintf(text + len, sizeof text - len, "%s:%" PRId64,
                                    strcmp(status, "ok") == 0 ? "ok" : "dup",
                                    rig_int(ack, "seq"));
        }
    }
    const json_t *stop = json_object_get(json, "stop");
    if (stop != NULL) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s",
                                len > 0 ? " " : "", rig_text(stop, "code"));
        if (json_object_get(stop, "expected") != NULL) {
            len += (size_t)snprintf(text + len, sizeof text - len, ":%" PRId64,
                                    rig_int(stop, "expected"));
        }
    }
    text[len] = '\0';
    return rig_format("%s", text);
}

const char *rig_seqs(const json_t *json) {
    char text[65536] = "";
    size_t len = 0, i;
    json_t *op;
    json_array_foreach(json_object_get(json, "operations"), i, op) {
        if (len > sizeof text - 64) break;
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%" PRId64,
                                i > 0 ? " " : "", rig_int(op, "seq"));
    }
    return rig_format("%s", text);
}

const char *rig_code(const rig_answer *answer) {
    T_TRUE(answer->done);
    return answer->status == 200 ? "" : rig_text(answer->json, "code");
}

char *rig_canonical(rig_world *rig, const char *list) {
    uint64_t head;
    tm_key key = {t_str(rig->user), t_str(list)};
    const tm_list *state = tm_service_list(rig->service, key, &head);
    if (state == NULL) return NULL;
    tm_alloc alloc = rig->alloc;
    tm_buf out = {.alloc = &alloc};
    tm_list_write(state, &out);
    T_OK(out.status);
    char *text = malloc(out.len + 1);
    memcpy(text, out.ptr, out.len);
    text[out.len] = '\0';
    tm_buf_deinit(&out);
    return text;
}

int64_t rig_metric(rig_world *rig, const char *name) {
    rig_answer *answer = rig_get(rig, "/metrics");
    const char *line = strstr(answer->text, rig_format("\ntidemark_%s ", name));
    T_TRUE(line != NULL);
    return strtoll(strchr(line + 1, ' ') + 1, NULL, 10);
}
