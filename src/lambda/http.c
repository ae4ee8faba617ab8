// http.c - see inside.h: an HTTP event, and answers in the form that API Gateway reads.
#include "lambda/inside.h"

#include <openssl/evp.h>
#include <string.h>
#include <zlib.h>

#include "core/limits.h"

#define PLAIN_MAX (3u << 20) // an answer above that is compressed if it may be
#define ANSWER_MAX                                                                 \
    (5u << 20) // of the function's own, escaped; Lambda's bound is 6 MB
#define RETRY_LATER 1u

static bool is(tm_span a, const char *b) {
    return tm_span_cmp(a, tm_words(b)) == 0;
}

static bool begins(tm_span text, const char *with) {
    tm_span word = tm_words(with);
    return text.len >= word.len && memcmp(text.ptr, word.ptr, word.len) == 0;
}

// ---- answers ------------------------------------------------------------------------

static void header_put(tm_buf *out, const char *name, const char *value) {
    tm_buf_text(out, ",\"");
    tm_buf_text(out, name);
    tm_buf_text(out, "\":\"");
    tm_buf_text(out, value);
    tm_buf_byte(out, '"');
}

// {"statusCode":200,"headers":{...  and the members of headers may follow.
static void head_put(tm_buf *out, uint32_t status, const char *type,
                     uint32_t retry_after_s) {
    tm_buf_text(out, "{\"statusCode\":");
    tm_buf_u64(out, status);
    tm_buf_text(out, ",\"headers\":{\"content-type\":\"");
    tm_buf_text(out, type);
    tm_buf_byte(out, '"');
    header_put(out, "cache-control", "no-store");
    header_put(out, "x-content-type-options", "nosniff");
    header_put(out, "referrer-policy", "no-referrer");
    header_put(out, "content-security-policy",
               "default-src 'none'; frame-ancestors 'none'");
    if (retry_after_s != 0) {
        tm_buf_text(out, ",\"retry-after\":\"");
        tm_buf_u64(out, retry_after_s);
        tm_buf_byte(out, '"');
    }
}

void tm_lambda_problem(tm_lambda *l, uint32_t status, const char *code,
                       const char *detail) {
    tm_buf body = {.alloc = l->alloc};
    tm_service_write_error(&body, status, code, tm_words(detail));
    tm_buf *out = &l->answer;
    tm_buf_reset(out);
    head_put(out, status, "application/problem+json",
             status == 503 ? RETRY_LATER : 0);
    if (status == 405) header_put(out, "allow", "GET, HEAD, POST, PUT");
    tm_buf_text(out, "},\"isBase64Encoded\":false,\"body\":");
    if (body.status != TM_OK) out->status = TM_E_NOMEM;
    tm_buf_json(out, is(l->event.method, "HEAD") ? (tm_span){NULL, 0}
                                                 : tm_buf_span(&body));
    tm_buf_byte(out, '}');
    tm_buf_deinit(&body);
}

void tm_lambda_answer(tm_lambda *l, uint32_t status, const char *protocol) {
    tm_buf *out = &l->answer;
    tm_buf_reset(out);
    tm_buf_text(out, "{\"statusCode\":");
    tm_buf_u64(out, status);
    if (protocol != NULL) {
        tm_buf_text(out, ",\"headers\":{\"Sec-WebSocket-Protocol\":\"");
        tm_buf_text(out, protocol);
        tm_buf_text(out, "\"}");
    }
    tm_buf_byte(out, '}');
}

// gzip, then base64: a snapshot's text shrinks to a fraction. false: it did not work out.
static bool packed_put(tm_lambda *l, tm_span body, tm_buf *out) {
    z_stream z;
    memset(&z, 0, sizeof z);
    if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    size_t bound = deflateBound(&z, (uLong)body.len);
    uint8_t *room = tm_arena_get(&l->arena, bound);
    bool done = false;
    if (room != NULL) {
        z.next_in = (Bytef *)(void *)body.ptr;
        z.avail_in = (uInt)body.len;
        z.next_out = room;
        z.avail_out = (uInt)bound;
        done = deflate(&z, Z_FINISH) == Z_STREAM_END;
    }
    size_t len = z.total_out;
    (void)deflateEnd(&z);
    if (!done || len > ANSWER_MAX / 4 * 3) return false;
    uint8_t *to = tm_buf_reserve(out, (len + 2) / 3 * 4 + 1);
    if (to == NULL) return false;
    out->len += (size_t)EVP_EncodeBlock(to, room, (int)len);
    return true;
}

static bool takes_gzip(const tm_event *event) {
    tm_span field = event->fields[TM_FIELD_ACCEPT_ENCODING];
    static const tm_span word = TM_LIT("gzip");
    for (size_t i = 0; i + word.len <= field.len; i++) {
        if (memcmp(field.ptr + i, word.ptr, word.len) == 0) return true;
    }
    return false;
}

static void too_large(tm_lambda *l) {
    tm_lambda_problem(l, 500, "answer-too-large",
                      "The answer is larger than AWS Lambda lets through (6 MB). "
                      "This list needs the daemon.");
}

// The answer to a pull that would have waited says that nobody waits here.
static tm_span unwaited(tm_lambda *l, tm_span body) {
    tm_buf out = {.alloc = l->alloc};
    tm_span copy = body;
    tm_buf_text(&out, "{\"waits\":false,");
    if (body.len > 1) tm_buf_put(&out, (tm_span){body.ptr + 1, body.len - 1});
    if (out.status != TM_OK ||
        tm_arena_copy(&l->arena, tm_buf_span(&out), &copy) != TM_OK)
        copy = body;
    tm_buf_deinit(&out);
    return copy;
}

static void reply_put(tm_lambda *l, tm_span body) {
    tm_buf *out = &l->answer;
    uint32_t status = l->reply.status;
    if (is(l->event.method, "HEAD")) body.len = 0;
    tm_buf_reset(out);
    head_put(out, status, l->reply.content_type, l->reply.retry_after_s);
    if (status == 405) header_put(out, "allow", "GET, HEAD, POST, PUT");
    if (body.len > PLAIN_MAX && takes_gzip(&l->event)) {
        header_put(out, "content-encoding", "gzip");
        tm_buf_text(out, "},\"isBase64Encoded\":true,\"body\":\"");
        if (packed_put(l, body, out)) {
            tm_buf_text(out, "\"}");
        } else {
            too_large(l);
        }
        return;
    }
    tm_buf_text(out, "},\"isBase64Encoded\":false,\"body\":");
    tm_buf_json(out, body);
    tm_buf_byte(out, '}');
    if (out->status == TM_OK && out->len > ANSWER_MAX) too_large(l);
}

// ---- what is asked --------------------------------------------------------------------

static bool has_token(tm_span query) {
    while (query.len > 0) {
        if (begins(query, "token=") || begins(query, "access_token=") ||
            begins(query, "bearer="))
            return true;
        const uint8_t *mark = memchr(query.ptr, '&', query.len);
        if (mark == NULL) return false;
        query.len -= (size_t)(mark + 1 - query.ptr);
        query.ptr = mark + 1;
    }
    return false;
}

static bool json_type(tm_span type) {
    const uint8_t *mark = type.len == 0 ? NULL : memchr(type.ptr, ';', type.len);
    tm_span rest = {NULL, 0};
    if (mark != NULL) {
        rest = (tm_span){mark + 1, (size_t)(type.ptr + type.len - mark - 1)};
        type.len = (size_t)(mark - type.ptr);
    }
    while (type.len > 0 && type.ptr[type.len - 1] == ' ') {
        type.len--;
    }
    while (rest.len > 0 && rest.ptr[0] == ' ') {
        rest = (tm_span){rest.ptr + 1, rest.len - 1};
    }
    return is(type, "application/json") &&
           (rest.len == 0 || is(rest, "charset=utf-8") ||
            is(rest, "charset=\"utf-8\"") || is(rest, "charset=UTF-8"));
}

static bool has_body(const tm_event *event) {
    return is(event->method, "POST") || is(event->method, "PUT");
}

static bool is_plain(const tm_event *event) {
    return is(event->path, "/healthz") || is(event->path, "/readyz");
}

static bool admit_body(tm_lambda *l) {
    const tm_event *event = &l->event;
    tm_span coding = event->fields[TM_FIELD_CONTENT_ENCODING];
    if (coding.len > 0 && !is(coding, "identity")) {
        tm_lambda_problem(l, 415, "content-encoding", "Send the body as it is.");
    } else if (!json_type(event->fields[TM_FIELD_CONTENT_TYPE])) {
        tm_lambda_problem(l, 415, "content-type", "Send application/json.");
    } else if (event->body.len > TM_BODY_MAX) {
        tm_lambda_problem(l, 413, "too-large", "A body may have 1 MiB.");
    } else {
        return true;
    }
    return false;
}

static bool admit(tm_lambda *l) {
    const tm_event *event = &l->event;
    bool read = is(event->method, "GET") || is(event->method, "HEAD");
    bool metrics = is(event->path, "/metrics") && l->config.metrics;
    if (!tm_lambda_origin(l, event, false)) {
        tm_lambda_problem(l, 403, "origin",
                          "Pages of that Origin may not ask here.");
    } else if (has_token(event->query)) {
        tm_lambda_problem(
            l, 401, "token-in-url",
            "A token is never taken from a URL: send it as Authorization.");
    } else if (!is_plain(event) && !metrics && !begins(event->path, "/v1/lists/")) {
        tm_lambda_problem(l, 404, "not-found", "Nothing is there.");
    } else if (!read && !has_body(event)) {
        tm_lambda_problem(l, 405, "method", "Not a method of this server.");
    } else if (!is_plain(event) && event->user.len == 0) {
        tm_lambda_problem(
            l, 401, "authorization",
            "The gateway's authorizer names nobody: `sub` is missing.");
    } else {
        return !has_body(event) || admit_body(l);
    }
    return false;
}

// ---- the way through the service --------------------------------------------------------

// The query without `wait`: an answer that is waited for would be paid for.
static tm_span query_of(tm_lambda *l, bool *waits) {
    tm_span query = l->event.query;
    tm_buf out = {.alloc = l->alloc};
    *waits = false;
    for (size_t at = 0; at < query.len;) {
        size_t end = at;
        while (end < query.len && query.ptr[end] != '&') {
            end++;
        }
        tm_span part = {query.ptr + at, end - at};
        if (begins(part, "wait=")) {
            *waits = true;
        } else {
            if (out.len > 0) tm_buf_byte(&out, '&');
            tm_buf_put(&out, part);
        }
        at = end + 1;
    }
    tm_span copy = {NULL, 0};
    if (!*waits || tm_arena_copy(&l->arena, tm_buf_span(&out), &copy) != TM_OK)
        copy = query;
    tm_buf_deinit(&out);
    return copy;
}

static void list_note(tm_lambda *l) {
    static const tm_span lists = TM_LIT("/v1/lists/");
    tm_span path = l->event.path;
    if (!begins(path, "/v1/lists/")) return;
    path = (tm_span){path.ptr + lists.len, path.len - lists.len};
    const uint8_t *slash = path.len == 0 ? NULL : memchr(path.ptr, '/', path.len);
    if (slash != NULL) path.len = (size_t)(slash - path.ptr);
    if (tm_lambda_list_valid(path)) l->list = path;
}

// An ack that repeats what was decided before: who decided it may have died right then.
static bool repeats(tm_span body) {
    static const tm_span word = TM_LIT("\"status\":\"duplicate\"");
    for (size_t i = 0; i + word.len <= body.len; i++) {
        const uint8_t *at = memchr(body.ptr + i, '"', body.len - i - word.len + 1);
        if (at == NULL) return false;
        i = (size_t)(at - body.ptr);
        if (memcmp(at, word.ptr, word.len) == 0) return true;
    }
    return false;
}

static bool replied(tm_lambda *l) {
    return l->replied;
}

void tm_lambda_http(tm_lambda *l) {
    const tm_event *event = &l->event;
    bool waits = false;
    if (!admit(l)) return;
    tm_request request = {.method = TM_GET,
                          .path = event->path,
                          .query = query_of(l, &waits),
                          .user = event->user,
                          .peer = l};
    if (has_body(event)) {
        request.method = is(event->method, "POST") ? TM_POST : TM_PUT;
        request.body = event->body;
    }
    list_note(l);
    l->by_http = true;
    uint64_t ticket;
    tm_service_request(l->service, tm_lambda_now(l), &request, &ticket);
    if (!tm_lambda_drive(l, l->answer_by_ms, replied)) {
        tm_service_cancel(l->service, ticket);
        tm_lambda_problem(l, 503, "unavailable",
                          "The store did not answer in time: try again.");
        return;
    }
    tm_span body = {l->reply.frame->bytes, l->reply.frame->len};
    l->repeat =
        request.method == TM_POST && l->reply.status == 200 && repeats(body);
    tm_tell_news(l);
    bool pull = request.method == TM_GET && waits && l->reply.status == 200;
    reply_put(l, pull ? unwaited(l, body) : body);
}
