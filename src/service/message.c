// message.c - see api.h: reading the body of a save, and WebSocket frames.
#include "service/api.h"

#include <string.h>

#define REF_MAX  64u
#define MARK_MAX 128u // longer is no mistake any more
#define USER_MAX 128u

typedef struct reader {
    tm_json in;
    tm_call *call;
    tm_message *message;
    const tm_problem *problem; // closer than "malformed"
    uint32_t position;         // in `operations`, from 1; 0 = not there
} reader;

bool tm_list_name_valid(tm_span list) {
    if (list.len < 1 || list.len > 64) return false;
    for (size_t i = 0; i < list.len; i++) {
        uint8_t c = list.ptr[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
        if (!good) return false;
    }
    return true;
}

static bool key_is(tm_span key, const char *name) {
    return key.len == strlen(name) && memcmp(key.ptr, name, key.len) == 0;
}

static tm_status wrong(reader *r, const char *reason) {
    if (r->in.status == TM_OK) r->problem = &tm_problem_request;
    return tm_json_fail(&r->in, reason);
}

static tm_status integer(reader *r, uint64_t *number) {
    tm_status status = tm_json_u64(&r->in, number);
    if (status == TM_OK && *number > TM_INT_MAX) return wrong(r, "above 2^53-1");
    return status;
}

static tm_status text_max(reader *r, size_t max, tm_span *text) {
    tm_status status = tm_json_string(&r->in, text);
    if (status == TM_OK && text->len > max) return wrong(r, "too long");
    return status;
}

// ---- members ------------------------------------------------------------------------

static tm_status since_read(reader *r) {
    if (r->call->has_since) return wrong(r, "`since` is given twice");
    r->call->has_since = true;
    return integer(r, &r->call->since);
}

static tm_status mark_read(reader *r) {
    tm_span mark;
    tm_status status = text_max(r, MARK_MAX, &mark);
    if (status != TM_OK) return status;
    r->call->mark_kind = tm_mark_read(mark, r->call->mark) ? TM_MARK_GIVEN
                         : mark.len == 0                   ? TM_MARK_EMPTY
                                                           : TM_MARK_FOREIGN;
    return TM_OK;
}

// Echoed as it stood: an integer, or a short string.
static tm_status ref_read(reader *r) {
    tm_json_kind kind = tm_json_peek(&r->in);
    if (kind != TM_JSON_INT && kind != TM_JSON_STRING) {
        return wrong(r, "expected an integer or a string");
    }
    tm_status status = tm_json_skip(&r->in, &r->message->ref);
    if (status == TM_OK && r->message->ref.len > REF_MAX) {
        r->message->ref = (tm_span){NULL, 0};
        return wrong(r, "too long");
    }
    return status;
}

static tm_status client_read(reader *r) {
    tm_span key;
    uint64_t number;
    tm_status status = tm_json_open(&r->in, TM_JSON_OBJECT);
    while (status == TM_OK && tm_json_member(&r->in, &key)) {
        bool known = key_is(key, "queued") || key_is(key, "oldestMs") ||
                     key_is(key, "fallbacks");
        status = known ? integer(r, &number) : tm_json_skip(&r->in, NULL);
    }
    return status == TM_OK ? r->in.status : status;
}

static tm_status operations_room(reader *r, tm_op **ops, uint32_t *cap) {
    uint32_t more = *cap == 0 ? 1 : 4 * *cap; // most saves are one edit
    if (more > TM_PUSH_OPS_MAX) more = TM_PUSH_OPS_MAX;
    tm_op *moved = tm_arena_get(&r->call->arena, more * sizeof *moved);
    if (moved == NULL) return TM_E_NOMEM;
    if (*cap > 0) memcpy(moved, *ops, *cap * sizeof *moved);
    *ops = moved;
    *cap = more;
    return TM_OK;
}

static tm_status operations_read(reader *r) {
    tm_op *ops = NULL;
    uint32_t cap = 0, count = 0;
    r->message->has_operations = true;
    tm_status status = tm_json_open(&r->in, TM_JSON_ARRAY);
    while (status == TM_OK && tm_json_element(&r->in)) {
        r->position = count + 1;
        if (count == TM_PUSH_OPS_MAX) {
            r->problem = &tm_problem_operations;
            return tm_json_fail(&r->in, "more than 100");
        }
        if (count == cap) status = operations_room(r, &ops, &cap);
        if (status == TM_OK) status = tm_op_read(&r->in, &ops[count]);
        count++;
    }
    if (status != TM_OK) return status;
    if (r->in.status != TM_OK) return r->in.status;
    r->position = 0;
    r->call->ops = ops;
    r->call->op_count = count;
    r->call->acks = tm_arena_get(&r->call->arena, count * sizeof *r->call->acks);
    return r->call->acks == NULL ? TM_E_NOMEM : TM_OK;
}

static tm_status member_read(reader *r, tm_span key, bool frame) {
    tm_message *message = r->message;
    tm_call *call = r->call;
    if (key_is(key, "user")) return text_max(r, USER_MAX, &message->user);
    if (key_is(key, "since") || key_is(key, "lastSyncedVersion")) {
        return since_read(r);
    }
    if (key_is(key, "mark")) return mark_read(r);
    if (key_is(key, "acked")) {
        call->has_acked = true;
        return integer(r, &call->acked);
    }
    if (key_is(key, "client")) return client_read(r);
    if (key_is(key, "operations")) return operations_read(r);
    if (frame && key_is(key, "type")) return text_max(r, 32, &message->type);
    if (frame && key_is(key, "list")) return text_max(r, 256, &message->list);
    if (frame && key_is(key, "ref")) return ref_read(r);
    if (frame && key_is(key, "version")) {
        message->has_version = true;
        return integer(r, &message->version);
    }
    return tm_json_skip(&r->in, NULL);
}

// ---- why not ------------------------------------------------------------------------

static void number_put(tm_buf *out, const char *before, uint64_t number) {
    tm_buf_text(out, before);
    tm_buf_u64(out, number);
}

// "operations[3], member version: expected an integer (byte 417)". A member's name is
// the sender's own and may be anything: it is cut.
static tm_span detail_of(reader *r) {
    static const tm_span short_of_memory = TM_LIT("out of memory");
    const tm_json_error *error = &r->in.error;
    tm_buf out = {.alloc = r->call->service->alloc};
    tm_span member = error->member, detail;
    if (r->position > 0) {
        number_put(&out, "operations[", r->position - 1);
        tm_buf_byte(&out, ']');
    }
    if (member.len > 0 && !key_is(member, "operations")) {
        tm_buf_text(&out, r->position > 0 ? ", member " : "member ");
        if (member.len > 64) member.len = 64;
        while (member.len > 0 && !tm_utf8_valid(member)) {
            member.len--; // not in the middle of a character
        }
        tm_buf_put(&out, member);
    } else if (member.len > 0 && r->position == 0) {
        tm_buf_text(&out, "member operations");
    }
    if (out.len > 0) tm_buf_text(&out, ": ");
    tm_buf_text(&out, error->reason == NULL ? "cannot be read" : error->reason);
    number_put(&out, " (byte ", error->offset);
    tm_buf_byte(&out, ')');
    if (out.status != TM_OK ||
        tm_arena_copy(&r->call->arena, tm_buf_span(&out), &detail) != TM_OK) {
        detail = short_of_memory;
    }
    tm_buf_deinit(&out);
    return detail;
}

static const tm_problem *problem_of(const reader *r, tm_status status) {
    if (status == TM_E_NOMEM) return &tm_problem_memory;
    return r->problem != NULL ? r->problem : &tm_problem_json;
}

tm_status tm_message_read(tm_call *call, tm_span body, bool frame,
                          tm_message *message, const tm_problem **problem,
                          tm_span *detail) {
    static const tm_span empty = TM_LIT("");
    reader r = {.call = call, .message = message};
    *message = (tm_message){.type = empty, .list = empty};
    tm_span copy;
    if (body.ptr == NULL) body = empty;
    tm_status status = tm_arena_copy(&call->arena, body, &copy);
    if (status == TM_OK) {
        tm_span key;
        tm_json_init(&r.in, copy, TM_DEPTH_MAX, &call->arena);
        status = tm_json_open(&r.in, TM_JSON_OBJECT);
        while (status == TM_OK && tm_json_member(&r.in, &key)) {
            status = member_read(&r, key, frame);
        }
        if (status == TM_OK) status = tm_json_end(&r.in);
    }
    call->ref = message->ref;
    if (status == TM_OK) return TM_OK;
    if (r.in.status != TM_OK) status = r.in.status;
    *problem = problem_of(&r, status);
    *detail = detail_of(&r);
    return status;
}
