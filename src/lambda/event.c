// event.c - see event.h.
#include "lambda/event.h"

#include <openssl/evp.h>
#include <string.h>

#include "store/dynamodb_call.h"

static tm_span text(const char *from) {
    return (tm_span){(const uint8_t *)from, strlen(from)};
}

static bool same(tm_span a, const char *b) {
    return tm_span_cmp(a, text(b)) == 0;
}

static bool same_in_any_case(tm_span a, const char *b) {
    if (a.len != strlen(b)) return false;
    for (size_t i = 0; i < a.len; i++) {
        uint8_t c = a.ptr[i];
        if (c >= 'A' && c <= 'Z') c = (uint8_t)(c + 'a' - 'A');
        if (c != (uint8_t)b[i]) return false;
    }
    return true;
}

// What is wrong with the reader's own words for it, or what only we can see.
typedef struct reading {
    tm_json in;
    tm_event *event;
    tm_span sub, lambda_sub, principal, lambda_principal, jwt_sub;
    tm_span version, kind, stage;
    tm_span encoded; // the body as it came
    bool is_base64, has_http;
} reading;

static void skip(reading *r) {
    tm_json_kept(tm_json_skip(&r->in, NULL));
}

// A text, or whatever else stands there, which is passed over.
static void text_read(reading *r, tm_span *out) {
    if (tm_json_peek(&r->in) == TM_JSON_STRING) {
        tm_json_kept(tm_json_string(&r->in, out));
    } else {
        skip(r);
    }
}

// Whether there is an object to step into; anything else is passed over.
static bool opened(reading *r) {
    if (tm_json_peek(&r->in) != TM_JSON_OBJECT) {
        skip(r);
        return false;
    }
    return tm_json_open(&r->in, TM_JSON_OBJECT) == TM_OK;
}

// ---- who ----------------------------------------------------------------------------

// Seconds since 1970: a number, or its digits as a text.
static void end_read(reading *r) {
    tm_span digits = {NULL, 0};
    uint64_t end_s = 0;
    if (tm_json_peek(&r->in) == TM_JSON_INT) {
        if (tm_json_skip(&r->in, &digits) != TM_OK) return;
    } else {
        text_read(r, &digits);
    }
    if (digits.len == 0 || digits.len > 15) return;
    for (size_t i = 0; i < digits.len; i++) {
        uint8_t c = digits.ptr[i];
        if (c == '.' && i > 0) break; // of a fraction, the whole seconds
        if (c < '0' || c > '9') return;
        end_s = end_s * 10 + (uint64_t)(c - '0');
    }
    r->event->has_end = true;
    r->event->end_s = end_s;
}

static void claims_read(reading *r) {
    tm_span key;
    if (!opened(r)) return;
    while (tm_json_member(&r->in, &key)) {
        if (same(key, "sub")) {
            text_read(r, &r->jwt_sub);
        } else {
            skip(r);
        }
    }
}

static void jwt_read(reading *r) {
    tm_span key;
    if (!opened(r)) return;
    while (tm_json_member(&r->in, &key)) {
        if (same(key, "claims")) {
            claims_read(r);
        } else {
            skip(r);
        }
    }
}

static void lambda_read(reading *r) {
    tm_span key;
    if (!opened(r)) return;
    while (tm_json_member(&r->in, &key)) {
        if (same(key, "sub")) {
            text_read(r, &r->lambda_sub);
        } else if (same(key, "principalId")) {
            text_read(r, &r->lambda_principal);
        } else {
            skip(r);
        }
    }
}

static void authorizer_read(reading *r) {
    tm_span key;
    if (!opened(r)) return;
    while (tm_json_member(&r->in, &key)) {
        if (same(key, "jwt")) {
            jwt_read(r);
        } else if (same(key, "lambda")) {
            lambda_read(r);
        } else if (same(key, "sub")) {
            text_read(r, &r->sub);
        } else if (same(key, "principalId")) {
            text_read(r, &r->principal);
        } else if (same(key, "exp")) {
            end_read(r);
        } else {
            skip(r);
        }
    }
}

// A user is 1 to 128 bytes without controls (TRUST 2, row 6); anybody else is nobody.
static tm_span user_of(tm_span name) {
    static const tm_span nobody = {NULL, 0};
    if (name.len < 1 || name.len > 128) return nobody;
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] < 0x20 || name.ptr[i] == 0x7f) return nobody;
    }
    return name;
}

// ---- the rest -----------------------------------------------------------------------

static void http_read(reading *r) {
    tm_span key;
    if (!opened(r)) return;
    r->has_http = true;
    while (tm_json_member(&r->in, &key)) {
        if (same(key, "method")) {
            text_read(r, &r->event->method);
        } else {
            skip(r);
        }
    }
}

static void context_read(reading *r) {
    tm_span key;
    if (!opened(r)) return;
    while (tm_json_member(&r->in, &key)) {
        if (same(key, "authorizer")) {
            authorizer_read(r);
        } else if (same(key, "http")) {
            http_read(r);
        } else if (same(key, "stage")) {
            text_read(r, &r->stage);
        } else if (same(key, "eventType")) {
            text_read(r, &r->kind);
        } else if (same(key, "connectionId")) {
            text_read(r, &r->event->connection);
        } else {
            skip(r);
        }
    }
}

static void fields_read(reading *r) {
    static const char *const names[TM_FIELD_COUNT] = {"host",
                                                      "origin",
                                                      "content-type",
                                                      "content-encoding",
                                                      "accept-encoding",
                                                      "sec-websocket-protocol"};
    tm_span key;
    if (!opened(r)) return;
    while (tm_json_member(&r->in, &key)) {
        size_t i = 0;
        while (i < TM_FIELD_COUNT && !same_in_any_case(key, names[i])) {
            i++;
        }
        if (i < TM_FIELD_COUNT) {
            text_read(r, &r->event->fields[i]);
        } else {
            skip(r);
        }
    }
}

static void event_members(reading *r) {
    tm_span key;
    tm_json_kept(tm_json_open(&r->in, TM_JSON_OBJECT));
    while (tm_json_member(&r->in, &key)) {
        if (same(key, "requestContext")) {
            context_read(r);
        } else if (same(key, "headers")) {
            fields_read(r);
        } else if (same(key, "version")) {
            text_read(r, &r->version);
        } else if (same(key, "rawPath")) {
            text_read(r, &r->event->path);
        } else if (same(key, "rawQueryString")) {
            text_read(r, &r->event->query);
        } else if (same(key, "body")) {
            text_read(r, &r->encoded);
        } else if (same(key, "isBase64Encoded") &&
                   tm_json_peek(&r->in) == TM_JSON_BOOL) {
            tm_json_kept(tm_json_bool(&r->in, &r->is_base64));
        } else {
            skip(r);
        }
    }
}

// "/prod/v1/..." of a stage that has a name; the usual one, $default, is not in the path.
static void stage_drop(reading *r) {
    tm_span *path = &r->event->path;
    tm_span stage = r->stage;
    if (stage.len == 0 || same(stage, "$default") || path->len <= stage.len) return;
    if (path->ptr[0] != '/' || memcmp(path->ptr + 1, stage.ptr, stage.len) != 0)
        return;
    size_t len = stage.len + 1;
    if (path->len == len || path->ptr[len] == '/') {
        *path = (tm_span){path->ptr + len, path->len - len};
    }
}

static tm_status body_read(reading *r, tm_arena *arena) {
    tm_span from = r->encoded;
    r->event->body = from;
    if (!r->is_base64 || from.len == 0) return TM_OK;
    if (from.len % 4 != 0 || from.len > (8u << 20)) return TM_E_CORRUPT;
    for (size_t i = 0; i < from.len; i++) { // libcrypto passes over spaces
        uint8_t c = from.ptr[i];
        bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                     (c >= 'A' && c <= 'Z') || c == '+' || c == '/';
        bool pad = c == '=' && i + 2 >= from.len &&
                   (i + 1 == from.len || from.ptr[i + 1] == '=');
        if (!digit && !pad) return TM_E_CORRUPT;
    }
    uint8_t *out = tm_arena_get(arena, from.len / 4 * 3 + 1);
    if (out == NULL) return TM_E_NOMEM;
    int len = EVP_DecodeBlock(out, from.ptr, (int)from.len);
    if (len < 0) return TM_E_CORRUPT;
    size_t pads = (size_t)(from.ptr[from.len - 1] == '=') +
                  (size_t)(from.ptr[from.len - 2] == '=');
    r->event->body = (tm_span){out, (size_t)len - pads};
    return TM_OK;
}

static bool connection_is_fine(tm_span id) {
    if (id.len == 0 || id.len > 128) return false;
    for (size_t i = 0; i < id.len; i++) {
        uint8_t c = id.ptr[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                     (c >= 'A' && c <= 'Z') || c == '=' || c == '-' || c == '_' ||
                     c == '+' || c == '/';
        if (!plain) return false;
    }
    return true;
}

// Which of the two gateways says this. NULL: one of them.
static const char *kind_of(reading *r) {
    tm_event *event = r->event;
    if (r->kind.len > 0) {
        if (!connection_is_fine(event->connection))
            return "a WebSocket event without connectionId";
        if (same(r->kind, "CONNECT")) {
            event->what = TM_HAPPENED_CONNECT;
        } else if (same(r->kind, "MESSAGE")) {
            event->what = TM_HAPPENED_MESSAGE;
        } else if (same(r->kind, "DISCONNECT")) {
            event->what = TM_HAPPENED_DISCONNECT;
        } else {
            return "a WebSocket event of an unknown eventType";
        }
        return NULL;
    }
    if (same(r->version, "2.0") && r->has_http) {
        if (event->method.len == 0 || event->path.len == 0)
            return "an HTTP event without method or rawPath";
        event->what = TM_HAPPENED_HTTP;
        stage_drop(r);
        return NULL;
    }
    return "neither an HTTP event of payload 2.0 nor a WebSocket event";
}

static tm_span first_of(tm_span a, tm_span b, tm_span c) {
    if (a.ptr != NULL) return a;
    return b.ptr != NULL ? b : c;
}

tm_status tm_event_read(tm_span said, tm_arena *arena, tm_event *event,
                        const char **why) {
    reading r = {.event = event};
    tm_buf quoted = {.alloc = arena->alloc};
    memset(event, 0, sizeof *event);
    tm_aws_fractions_quote(said, &quoted);
    tm_span copy;
    tm_status status = quoted.status;
    if (status == TM_OK) status = tm_arena_copy(arena, tm_buf_span(&quoted), &copy);
    tm_buf_deinit(&quoted);
    *why = "out of memory";
    if (status != TM_OK) return TM_E_NOMEM;
    tm_json_init(&r.in, copy, TM_JSON_DEPTH_MAX, arena);
    event_members(&r);
    status = tm_json_end(&r.in);
    if (status != TM_OK) {
        if (status != TM_E_NOMEM) *why = r.in.error.reason;
        return status;
    }
    *why = kind_of(&r);
    if (*why != NULL) return TM_E_CORRUPT;
    bool http = event->what == TM_HAPPENED_HTTP;
    event->user =
        user_of(http ? first_of(r.jwt_sub, r.lambda_sub, r.lambda_principal)
                     : first_of(r.sub, r.principal, (tm_span){NULL, 0}));
    status = body_read(&r, arena);
    if (status != TM_OK)
        *why = status == TM_E_NOMEM ? "out of memory" : "the body is no base64";
    return status;
}

// ---- a client's message -------------------------------------------------------------

static void number_read(tm_json *in, bool *has, uint64_t *number) {
    if (tm_json_peek(in) != TM_JSON_INT) {
        tm_json_kept(tm_json_skip(in, NULL));
        return;
    }
    *has = tm_json_u64(in, number) == TM_OK;
}

bool tm_said_read(tm_span from, tm_arena *arena, tm_said *said) {
    tm_json in;
    tm_span key;
    memset(said, 0, sizeof *said);
    tm_json_init(&in, from, TM_JSON_DEPTH_MAX, arena);
    tm_json_kept(tm_json_open(&in, TM_JSON_OBJECT));
    while (tm_json_member(&in, &key)) {
        tm_span *word = same(key, "type")   ? &said->type
                        : same(key, "list") ? &said->list
                                            : NULL;
        if (word != NULL && tm_json_peek(&in) == TM_JSON_STRING) {
            tm_json_kept(tm_json_string(&in, word));
        } else if (same(key, "version")) {
            number_read(&in, &said->has_version, &said->version);
        } else if (same(key, "since")) {
            number_read(&in, &said->has_since, &said->since);
        } else if (same(key, "acked")) {
            number_read(&in, &said->has_acked, &said->acked);
        } else {
            tm_json_kept(tm_json_skip(&in, NULL));
        }
    }
    return tm_json_end(&in) == TM_OK;
}
