// socket.c - see inside.h: what happens on a WebSocket.
#include "lambda/inside.h"

#include <string.h>

#define CHECK_MS 60000u // so often a heartbeat asks whether a push was lost

static bool is(tm_span a, const char *b) {
    return tm_span_cmp(a, tm_words(b)) == 0;
}

// ---- what is said ---------------------------------------------------------------------

static void frame_begin(tm_buf *out, const char *type, tm_span list) {
    tm_buf_text(out, "{\"type\":\"");
    tm_buf_text(out, type);
    tm_buf_byte(out, '"');
    if (list.len > 0) {
        tm_buf_text(out, ",\"list\":");
        tm_buf_json(out, list);
    }
}

static bool buf_tell(tm_lambda *l, tm_buf *out) {
    bool told = out->status == TM_OK &&
                tm_tell_one(l, l->event.connection, tm_buf_span(out));
    tm_buf_deinit(out);
    return told;
}

static void error_tell(tm_lambda *l, tm_span list, uint32_t status,
                       const char *code, const char *detail) {
    tm_buf out = {.alloc = l->alloc}, problem = {.alloc = l->alloc};
    static const tm_span blank = TM_LIT("{\"type\":\"about:blank\"");
    tm_service_write_error(&problem, status, code, tm_words(detail));
    frame_begin(&out, "ERROR", list);
    // Its own `type` stands in that place.
    if (problem.status == TM_OK && problem.len > blank.len &&
        memcmp(problem.ptr, blank.ptr, blank.len) == 0) {
        tm_buf_put(&out,
                   (tm_span){problem.ptr + blank.len, problem.len - blank.len});
    } else {
        out.status = TM_E_NOMEM;
    }
    tm_buf_deinit(&problem);
    (void)buf_tell(l, &out);
}

static bool behind_tell(tm_lambda *l, tm_span list) {
    tm_buf out = {.alloc = l->alloc};
    frame_begin(&out, "BEHIND", list);
    tm_buf_byte(&out, '}');
    return buf_tell(l, &out);
}

static tm_span span_of(const tm_frame *frame) {
    return (tm_span){frame->bytes, frame->len};
}

static bool frames_fit(const tm_lambda *l) {
    for (size_t i = 0; i < l->frames.count; i++) {
        // SUBSCRIBED gets a member more.
        if (l->frames.items[i]->len + 32 > l->config.frame_max) return false;
    }
    return true;
}

// SUBSCRIBED says how long a frame may be.
static bool subscribed_tell(tm_lambda *l, tm_span frame) {
    tm_buf out = {.alloc = l->alloc};
    tm_buf_put(&out, (tm_span){frame.ptr, frame.len - 1});
    tm_buf_text(&out, ",\"frameMax\":");
    tm_buf_u64(&out, l->config.frame_max);
    tm_buf_byte(&out, '}');
    return buf_tell(l, &out);
}

static void frames_tell(tm_lambda *l) {
    for (size_t i = 0; i < l->frames.count; i++) {
        tm_span frame = span_of(l->frames.items[i]);
        bool told = tm_frame_is(frame, "SUBSCRIBED")
                        ? subscribed_tell(l, frame)
                        : tm_tell_one(l, l->event.connection, frame);
        if (!told) return; // what follows would leave a hole
    }
}

// ---- the service's part -----------------------------------------------------------------

// What the service has to say to one message of a connection that it has never seen.
// false: no memory, or no time.
static bool asked(tm_lambda *l, tm_span text) {
    tm_conn *conn;
    if (tm_service_connect(l->service, tm_lambda_now(l), l->event.user, l, &conn) !=
        TM_OK)
        return false;
    tm_service_feed(l->service, tm_lambda_now(l), conn, text);
    bool over = tm_lambda_drive(l, l->answer_by_ms, tm_lambda_quiet);
    tm_service_disconnect(l->service, conn);
    return over;
}

static void unavailable(tm_lambda *l, tm_span list) {
    error_tell(l, list, 503, "unavailable",
               "The store did not answer in time: try again.");
}

// ---- messages ---------------------------------------------------------------------------

static void subscribe(tm_lambda *l, const tm_said *said) {
    tm_listener one = {l->event.connection, said->list, said->since};
    tm_status status = tm_listeners_put(l->listeners, l->event.user, &one);
    if (status != TM_OK) {
        tm_lambda_say(l, true, "listeners", tm_listeners_why(l->listeners));
        unavailable(l, said->list);
        return;
    }
    if (!asked(l, l->event.body)) {
        unavailable(l, said->list);
        return;
    }
    bool refused =
        l->frames.count > 0 && tm_frame_is(span_of(l->frames.items[0]), "ERROR");
    if (refused) {
        status = tm_listeners_drop(l->listeners, l->event.user, l->event.connection,
                                   said->list);
        if (status != TM_OK)
            tm_lambda_say(l, false, "listeners", "a row of one refused was left");
    }
    if (refused || frames_fit(l)) {
        frames_tell(l);
    } else {
        error_tell(l, said->list, 413, "frame-too-large",
                   "What follows this cursor is larger than a frame may be here: "
                   "ask for it over HTTP.");
    }
}

static bool repeats(tm_span frame) {
    static const tm_span word = TM_LIT("\"status\":\"duplicate\"");
    for (size_t i = 0; i + word.len <= frame.len; i++) {
        if (frame.ptr[i] == '"' && memcmp(frame.ptr + i, word.ptr, word.len) == 0)
            return true;
    }
    return false;
}

// The head that a SAVED says; UINT64_MAX: it says none.
static uint64_t head_of(tm_lambda *l, tm_span frame) {
    tm_json in;
    tm_span key;
    uint64_t head = UINT64_MAX;
    tm_json_init(&in, frame, TM_JSON_DEPTH_MAX, &l->arena);
    tm_json_kept(tm_json_open(&in, TM_JSON_OBJECT));
    while (tm_json_member(&in, &key)) {
        if (is(key, "head")) {
            tm_json_kept(tm_json_u64(&in, &head));
        } else {
            tm_json_kept(tm_json_skip(&in, NULL));
        }
    }
    return in.status == TM_OK ? head : UINT64_MAX;
}

static void save(tm_lambda *l, const tm_said *said) {
    if (!asked(l, l->event.body)) {
        // No ERROR: it would have to name the save. The client asks again by itself.
        tm_lambda_say(l, true, "save", "the store did not answer in time");
        return;
    }
    bool lost = false;
    for (size_t i = 0; i < l->frames.count; i++) {
        tm_span frame = span_of(l->frames.items[i]);
        if (!tm_frame_is(frame, "SAVED")) continue;
        l->repeat = l->repeat || repeats(frame);
        // It holds acks of a log that this one is not.
        lost = lost || (said->has_acked && said->acked > head_of(l, frame));
    }
    tm_tell_news(l);
    frames_tell(l);
    if (lost) (void)behind_tell(l, said->list);
}

// ---- heartbeats -------------------------------------------------------------------------

static uint64_t hash_of(const tm_lambda *l, tm_span list) {
    uint64_t hash = UINT64_C(14695981039346656037);
    const tm_span parts[2] = {l->event.connection, list};
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < parts[k].len; i++) {
            hash = (hash ^ parts[k].ptr[i]) * UINT64_C(1099511628211);
        }
        hash = (hash ^ '#') * UINT64_C(1099511628211);
    }
    return hash;
}

static void seen_tell(tm_lambda *l, tm_span list, uint64_t version) {
    tm_buf out = {.alloc = l->alloc};
    frame_begin(&out, "SEEN", list);
    tm_buf_text(&out, ",\"version\":");
    tm_buf_u64(&out, version);
    tm_buf_byte(&out, '}');
    (void)buf_tell(l, &out);
}

static void digest_tell(tm_lambda *l, tm_span list, uint64_t version) {
    uint64_t head;
    tm_key key = {l->event.user, list};
    const tm_list *state = tm_service_list(l->service, key, &head);
    if (state == NULL || head != version) return;
    uint8_t hex[32];
    tm_digest_hex(tm_list_digest(state), hex);
    tm_buf out = {.alloc = l->alloc};
    frame_begin(&out, "DIGEST", list);
    tm_buf_text(&out, ",\"version\":");
    tm_buf_u64(&out, head);
    tm_buf_text(&out, ",\"format\":");
    tm_buf_u64(&out, TM_STATE_FORMAT);
    tm_buf_text(&out, ",\"digest\":\"");
    tm_buf_put(&out, (tm_span){hex, sizeof hex});
    tm_buf_text(&out, "\"}");
    (void)buf_tell(l, &out);
}

// What lies behind the cursor it names is what a push should have brought.
static void missed_tell(tm_lambda *l, const tm_said *said) {
    tm_buf text = {.alloc = l->alloc};
    frame_begin(&text, "SUBSCRIBE", said->list);
    tm_buf_text(&text, ",\"user\":");
    tm_buf_json(&text, l->event.user);
    tm_buf_text(&text, ",\"since\":");
    tm_buf_u64(&text, said->version);
    tm_buf_byte(&text, '}');
    bool over = text.status == TM_OK && asked(l, tm_buf_span(&text));
    tm_buf_deinit(&text);
    if (!over) return; // the next heartbeat asks again
    bool others = !frames_fit(l);
    for (size_t i = 0; i < l->frames.count; i++) {
        tm_span frame = span_of(l->frames.items[i]);
        if (!tm_frame_is(frame, "SUBSCRIBED") && !tm_frame_is(frame, "OPERATIONS"))
            others = true;
    }
    if (others) {
        (void)behind_tell(l, said->list);
        return;
    }
    for (size_t i = 1; i < l->frames.count; i++) {
        if (!tm_tell_one(l, l->event.connection, span_of(l->frames.items[i])))
            return;
    }
}

static void seen(tm_lambda *l, const tm_said *said) {
    uint64_t hash = hash_of(l, said->list), now_ms = tm_lambda_now(l).mono_ms;
    tm_beat *beat = &l->beats[hash % TM_BEATS];
    if (beat->at_ms != 0 && beat->hash == hash && beat->version == said->version &&
        now_ms - beat->at_ms < CHECK_MS) {
        seen_tell(l, said->list, beat->seen);
        return;
    }
    tm_listener *all;
    size_t count;
    tm_status status = tm_listeners_find(
        l->listeners, l->event.user, (tm_span){NULL, 0}, &l->arena, &all, &count);
    if (status != TM_OK) {
        tm_lambda_say(l, true, "listeners", tm_listeners_why(l->listeners));
        seen_tell(l, said->list, 0);
        return;
    }
    const tm_listener *mine = NULL;
    uint64_t others = 0;
    for (size_t i = 0; i < count; i++) {
        if (tm_span_cmp(all[i].list, said->list) != 0) continue;
        if (tm_span_cmp(all[i].connection, l->event.connection) == 0) {
            mine = &all[i];
        } else if (all[i].version > others) {
            others = all[i].version;
        }
    }
    seen_tell(l, said->list, others);
    if (mine == NULL) { // it expired, or was taken for gone: it listens no more
        (void)behind_tell(l, said->list);
        return;
    }
    bool moved = mine->version != said->version;
    if (moved) {
        tm_listener one = {l->event.connection, said->list, said->version};
        status = tm_listeners_put(l->listeners, l->event.user, &one);
    }
    missed_tell(l, said);
    if (moved) digest_tell(l, said->list, said->version);
    if (status == TM_OK)
        *beat = (tm_beat){hash, said->version, others, now_ms == 0 ? 1 : now_ms};
}

// ---- which ------------------------------------------------------------------------------

static void message(tm_lambda *l) {
    tm_said said;
    bool read = tm_said_read(l->event.body, &l->arena, &said);
    bool fine = read && tm_lambda_list_valid(said.list);
    if (fine) l->list = said.list;
    if (fine && is(said.type, "SUBSCRIBE")) {
        subscribe(l, &said);
    } else if (fine && is(said.type, "SAVE")) {
        save(l, &said);
    } else if (fine && is(said.type, "SEEN") && said.has_version) {
        seen(l, &said);
    } else if (asked(l, l->event.body)) { // whatever is wrong with it is said
        frames_tell(l);
    }
}

// "tidemark.v1, bearer.TOKEN": the first is ours.
static bool speaks(tm_span offered) {
    static const tm_span ours = TM_LIT("tidemark.v1");
    for (size_t at = 0; at < offered.len;) {
        while (at < offered.len &&
               (offered.ptr[at] == ' ' || offered.ptr[at] == ',')) {
            at++;
        }
        size_t end = at;
        while (end < offered.len && offered.ptr[end] != ',' &&
               offered.ptr[end] != ' ') {
            end++;
        }
        tm_span one = {offered.ptr + at, end - at};
        if (tm_span_cmp(one, ours) == 0) return true;
        at = end;
    }
    return false;
}

static void connect(tm_lambda *l) {
    const tm_event *event = &l->event;
    if (event->user.len == 0) {
        tm_lambda_answer(l, 401, NULL);
    } else if (!tm_lambda_origin(l, event, true)) {
        tm_lambda_answer(l, 403, NULL);
    } else if (!speaks(event->fields[TM_FIELD_PROTOCOLS])) {
        tm_lambda_answer(l, 400, NULL);
    } else {
        tm_lambda_answer(l, 200, "tidemark.v1");
    }
}

static void disconnect(tm_lambda *l) {
    tm_listener *own;
    size_t count;
    tm_lambda_answer(l, 200, NULL);
    if (l->event.user.len == 0) return;
    tm_status status = tm_listeners_find(
        l->listeners, l->event.user, l->event.connection, &l->arena, &own, &count);
    for (size_t i = 0; i < count && status == TM_OK; i++) {
        if (tm_span_cmp(own[i].connection, l->event.connection) != 0) continue;
        status = tm_listeners_drop(l->listeners, l->event.user, own[i].connection,
                                   own[i].list);
    }
    if (status != TM_OK) // they expire
        tm_lambda_say(l, false, "listeners", "rows of one gone were left");
}

void tm_lambda_socket(tm_lambda *l) {
    const tm_event *event = &l->event;
    if (l->gateway == NULL) {
        tm_lambda_say(
            l, true, "websocket",
            "TIDEMARK_CONNECTIONS must name the WebSocket API's endpoint");
        tm_lambda_answer(l, 501, NULL);
        return;
    }
    if (event->what == TM_HAPPENED_CONNECT) {
        connect(l);
        return;
    }
    if (event->what == TM_HAPPENED_DISCONNECT) {
        disconnect(l);
        return;
    }
    tm_lambda_answer(l, 200, NULL);
    bool ended = event->has_end && tm_lambda_now(l).wall_ms / 1000 >= event->end_s;
    if (event->user.len == 0 || ended) {
        error_tell(l, (tm_span){NULL, 0}, 401, "authorization",
                   "The token has expired.");
        tm_tell_cut(l, event->connection);
        return;
    }
    message(l);
}
