// answer.c - see answer.h.
#include "service/answer.h"

#include <string.h>

const tm_problem tm_problem_json = {400, "malformed",
                                    "The body is not JSON as we read it.", 0};
const tm_problem tm_problem_request = {
    400, "bad-request", "A member is missing or has a wrong value.", 0};
const tm_problem tm_problem_type = {400, "type", "There is no frame of this type.",
                                    0};
const tm_problem tm_problem_at = {404, "beyond-head",
                                  "The log does not reach that far.", 0};
const tm_problem tm_problem_trimmed = {
    404, "trimmed", "The log does not go back that far any more.", 0};
const tm_problem tm_problem_list = {
    404, "list", "A list's name is 1 to 64 of a-z, 0-9 and -.", 0};
const tm_problem tm_problem_path = {404, "not-found", "There is nothing here.", 0};
const tm_problem tm_problem_method = {405, "method",
                                      "This resource has no such method.", 0};
const tm_problem tm_problem_user = {
    409, "user", "`user` is not who the request was authorised for.", 0};
const tm_problem tm_problem_size = {413, "too-large", "A request is at most 1 MiB.",
                                    0};
const tm_problem tm_problem_operations = {413, "too-many-operations",
                                          "A push has at most 100 operations.", 0};
const tm_problem tm_problem_busy = {
    429, "busy", "Too much of this connection is unanswered.", 1};
const tm_problem tm_problem_lists = {
    429, "too-many-lists", "A connection subscribes to at most 64 lists.", 60};
const tm_problem tm_problem_memory = {503, "memory",
                                      "The server is short of memory.", 5};
const tm_problem tm_problem_clock = {503, "clock",
                                     "The server's clock is out of range.", 60};
const tm_problem tm_problem_stopping = {503, "stopping",
                                        "The server is about to stop.", 2};
const tm_problem tm_problem_again = {
    503, "unavailable", "The storage cannot take it now; nothing was done.", 1};
const tm_problem tm_problem_storage = {
    503, "storage", "The storage failed; nothing is written until a restart.", 30};
const tm_problem tm_problem_corrupt = {
    503, "corrupt", "What is stored of this list cannot be read.", 60};
const tm_problem tm_problem_format = {
    503, "format", "This list was stored by a newer version of the server.", 60};

const tm_problem *tm_problem_of(tm_status status) {
    switch (status) {
    case TM_E_NOMEM:
        return &tm_problem_memory;
    case TM_E_CORRUPT:
        return &tm_problem_corrupt;
    case TM_E_FORMAT:
        return &tm_problem_format;
    case TM_E_AGAIN:
    case TM_E_UNSURE:
    case TM_E_CONFLICT:
        return &tm_problem_again;
    default:
        return &tm_problem_storage;
    }
}

// ---- parts --------------------------------------------------------------------------

tm_buf *tm_answer_begin(tm_service *service) {
    tm_buf_reset(&service->out);
    return &service->out;
}

void tm_put_key(tm_buf *out, const char *key) {
    tm_buf_text(out, ",\"");
    tm_buf_text(out, key);
    tm_buf_text(out, "\":");
}

void tm_put_text(tm_buf *out, const char *key, tm_span text) {
    tm_put_key(out, key);
    tm_buf_json(out, text);
}

void tm_put_number(tm_buf *out, const char *key, uint64_t number) {
    tm_put_key(out, key);
    tm_buf_u64(out, number);
}

void tm_put_mark(tm_buf *out, const char *key, uint64_t version,
                 const uint8_t mark[TM_MARK_LEN]) {
    uint8_t hex[TM_MARK_HEX];
    if (version > 0) tm_mark_hex(mark, hex);
    tm_put_text(out, key, (tm_span){hex, version > 0 ? sizeof hex : 0});
}

static tm_span text_of(const char *text) {
    return (tm_span){(const uint8_t *)text, strlen(text)};
}

void tm_put_frame(tm_buf *out, const char *type, tm_span list) {
    tm_buf_text(out, "{\"type\":");
    tm_buf_json(out, text_of(type));
    if (list.len > 0) tm_put_text(out, "list", list);
}

void tm_put_cursor(tm_buf *out, const tm_ledger *ledger, uint64_t version,
                   const uint8_t mark[TM_MARK_LEN]) {
    tm_put_number(out, "version", version);
    tm_put_mark(out, "mark", version, mark);
    tm_put_number(out, "head", ledger->head);
    tm_put_number(out, "serverTime", ledger->service->now.wall_ms);
}

static void put_ack(tm_buf *out, tm_span id, const tm_ack *ack) {
    static const char *const status[] = {
        [TM_ACK_OK] = "ok",
        [TM_ACK_DUPLICATE] = "duplicate",
        [TM_ACK_REJECTED] = "rejected",
    };
    tm_buf_text(out, "{\"id\":");
    tm_buf_json(out, id);
    tm_put_text(out, "status", text_of(status[ack->kind]));
    if (ack->kind == TM_ACK_REJECTED) {
        tm_put_text(out, "code", tm_fault_word(ack->fault));
    } else {
        tm_put_number(out, "seq", ack->seq);
        tm_put_number(out, "timestamp", ack->time >> TM_LOGICAL_BITS);
        tm_put_number(out, "logical", ack->time & ((1u << TM_LOGICAL_BITS) - 1));
    }
    tm_buf_byte(out, '}');
}

void tm_put_acks(tm_buf *out, const tm_call *call) {
    static const char *const stops[] = {
        [TM_STOP_NONE] = "",
        [TM_STOP_FORK] = "fork",
        [TM_STOP_GAP] = "gap",
        [TM_STOP_RETRY] = "retry",
    };
    tm_put_key(out, "acks");
    tm_buf_byte(out, '[');
    for (uint32_t i = 0; i < call->ack_count; i++) {
        if (i > 0) tm_buf_byte(out, ',');
        put_ack(out, call->ops[i].id, &call->acks[i]);
    }
    tm_buf_byte(out, ']');
    if (call->stop == TM_STOP_NONE) return;
    tm_put_key(out, "stop");
    tm_buf_text(out, "{\"code\":");
    tm_buf_json(out, text_of(stops[call->stop]));
    if (call->stop == TM_STOP_GAP) tm_put_number(out, "expected", call->expected);
    tm_buf_byte(out, '}');
}

// ---- leaving ------------------------------------------------------------------------

#define JSON_TYPE    "application/json"
#define PROBLEM_TYPE "application/problem+json"

static void reply(tm_call *call, uint32_t status, const char *content_type,
                  uint32_t retry_after_s) {
    tm_service *service = call->service;
    tm_frame *frame = tm_answer_frame(service);
    if (frame == NULL) { // the one answer that was made beforehand
        service->counts.no_memory++;
        frame = tm_frame_keep(service->no_memory);
        status = tm_problem_memory.status;
        retry_after_s = tm_problem_memory.retry_after_s;
        content_type = PROBLEM_TYPE;
    }
    tm_effect_slot slot = {.effect = {.kind = TM_EFFECT_REPLY,
                                      .status = status,
                                      .peer = call->peer,
                                      .frame = frame,
                                      .content_type = content_type,
                                      .retry_after_s = retry_after_s},
                           .ticket = tm_call_ticket(call)};
    tm_effects_owed(&service->effects, &slot);
    call->http = false;
}

void tm_answer_reply(tm_call *call, uint32_t status, const char *content_type) {
    reply(call, status, content_type, 0);
}

void tm_answer_done(tm_call *call) {
    if (call->http) reply(call, 200, JSON_TYPE, 0);
    tm_call_end(call);
}

tm_frame *tm_answer_frame(tm_service *service) {
    if (service->out.status != TM_OK) return NULL;
    return tm_frame_new(service, tm_buf_span(&service->out));
}

void tm_answer_send(tm_service *service, tm_conn *conn) {
    tm_conn_send(conn, tm_answer_frame(service));
}

// ---- refusing -----------------------------------------------------------------------

static const char *title_of(uint32_t status) {
    switch (status) {
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 426:
        return "Upgrade Required";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    default:
        return status < 500 ? "Refused" : "Server Error";
    }
}

// From `title` on: the same in an HTTP answer and in a frame.
static void problem_write(tm_buf *out, uint32_t status, const char *code,
                          tm_span detail) {
    tm_put_text(out, "title", text_of(title_of(status)));
    tm_put_number(out, "status", status);
    tm_put_text(out, "code", text_of(code));
    tm_put_text(out, "detail", detail);
    tm_buf_byte(out, '}');
}

void tm_service_write_error(tm_buf *out, uint32_t status, const char *code,
                            tm_span detail) {
    tm_buf_text(out, "{\"type\":\"about:blank\"");
    problem_write(out, status, code, detail);
}

void tm_conn_refuse(tm_conn *conn, tm_span list, tm_span ref,
                    const tm_problem *problem, tm_span detail) {
    tm_service *service = conn->service;
    service->counts.refused++;
    tm_buf *out = tm_answer_begin(service);
    tm_put_frame(out, "ERROR", list);
    if (ref.len > 0) {
        tm_put_key(out, "ref");
        tm_buf_put(out, ref);
    }
    problem_write(out, problem->status, problem->code, detail);
    tm_answer_send(service, conn);
}

void tm_call_fail_with(tm_call *call, const tm_problem *problem, tm_span detail) {
    tm_service *service = call->service;
    if (call->http) {
        service->counts.refused++;
        tm_buf *out = tm_answer_begin(service);
        tm_service_write_error(out, problem->status, problem->code, detail);
        reply(call, problem->status, PROBLEM_TYPE, problem->retry_after_s);
    } else if (call->conn != NULL) {
        tm_conn_refuse(call->conn, call->ledger->key.list, call->ref, problem,
                       detail);
    }
    tm_sub *sub = call->sub;
    tm_call_end(call);
    if (sub != NULL) tm_hub_leave(sub);
}

void tm_call_fail(tm_call *call, const tm_problem *problem) {
    tm_call_fail_with(call, problem, text_of(problem->detail));
}
