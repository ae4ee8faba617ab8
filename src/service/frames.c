// frames.c - see api.h: WebSocket messages.
#include "service/api.h"

#include "service/serve.h"

#include <string.h>

// What a connection may have unanswered: a client has one save out at a time.
#define CALLS_MAX      64u
#define CALL_BYTES_MAX (4u << 20)

static const tm_span nothing = {(const uint8_t *)"", 0};

static bool type_is(const tm_message *message, const char *type) {
    return message->type.len == strlen(type) &&
           memcmp(message->type.ptr, type, message->type.len) == 0;
}

static tm_span text_of(const char *text) {
    return (tm_span){(const uint8_t *)text, strlen(text)};
}

// Refuses what belongs to no list yet; the call ends.
static void refuse(tm_call *call, tm_conn *conn, const tm_message *message,
                   const tm_problem *problem, tm_span detail) {
    tm_span list = tm_list_name_valid(message->list) ? message->list : nothing;
    tm_conn_refuse(conn, list, message->ref, problem, detail);
    tm_call_end(call);
}

static void call_link(tm_call *call, tm_conn *conn, size_t size) {
    call->conn = conn;
    call->size = size;
    call->conn_next = conn->calls;
    if (conn->calls != NULL) conn->calls->conn_prev = call;
    conn->calls = call;
    conn->call_count++;
    conn->call_bytes += size;
}

// ---- SUBSCRIBE ----------------------------------------------------------------------

static void subscribe(tm_call *call, tm_conn *conn, const tm_message *message,
                      tm_key key) {
    tm_service *service = conn->service;
    tm_ledger *ledger = tm_ledger_get(service, key);
    const tm_problem *problem = &tm_problem_memory;
    tm_sub *sub = NULL;
    if (ledger != NULL) {
        sub = tm_hub_find(conn, ledger);
        if (sub == NULL && conn->sub_count >= TM_SUBS_MAX) {
            problem = &tm_problem_lists;
        } else if (sub == NULL) {
            sub = tm_hub_join(conn, ledger);
        }
    }
    if (sub == NULL) {
        refuse(call, conn, message, problem, text_of(problem->detail));
        if (ledger != NULL) tm_ledger_spare(ledger);
        return;
    }
    if (sub->call != NULL) tm_call_leave(sub->call); // it asks anew
    tm_hub_wait(sub);
    call->kind = TM_CALL_SUBSCRIBE;
    call->sub = sub;
    sub->call = call;
    call_link(call, conn, message->list.len);
    tm_ledger_ask(ledger, call);
}

// ---- SAVE ---------------------------------------------------------------------------

static void save(tm_call *call, tm_conn *conn, const tm_message *message,
                 tm_key key, size_t size) {
    tm_ledger *ledger = tm_ledger_get(conn->service, key);
    if (ledger == NULL) {
        refuse(call, conn, message, &tm_problem_memory,
               text_of(tm_problem_memory.detail));
        return;
    }
    conn->service->counts.pushes++;
    call->kind = TM_CALL_PUSH;
    call_link(call, conn, size);
    tm_ledger_ask(ledger, call);
}

// ---- SEEN, DIGEST -------------------------------------------------------------------

static void seen(tm_conn *conn, const tm_message *message, tm_key key) {
    tm_ledger *ledger = tm_ledger_find(conn->service, key);
    tm_hub_seen(conn, message->list, ledger, message->version);
    if (ledger != NULL && ledger->state == TM_LEDGER_WARM) {
        tm_keep_schedule(ledger);
    }
}

// ---- which --------------------------------------------------------------------------

// What the message lacks; NULL: nothing.
static const char *missing(const tm_message *message) {
    bool saves = type_is(message, "SAVE"), asks = type_is(message, "SUBSCRIBE");
    if (message->list.len == 0) return "member list: is missing";
    if ((saves || asks) && message->user.ptr == NULL) {
        return "member user: is missing";
    }
    if (saves && !message->has_operations) return "member operations: is missing";
    if (!saves && !asks && !message->has_version) {
        return "member version: is missing";
    }
    return NULL;
}

static const tm_problem *refused(const tm_conn *conn, const tm_message *message) {
    bool saves = type_is(message, "SAVE"), asks = type_is(message, "SUBSCRIBE");
    if (!tm_list_name_valid(message->list)) return &tm_problem_list;
    if (!saves && !asks) return NULL;
    if (tm_span_cmp(message->user, tm_conn_user(conn)) != 0)
        return &tm_problem_user;
    return conn->service->stopping ? &tm_problem_stopping : NULL;
}

static void route(tm_call *call, tm_conn *conn, const tm_message *message,
                  size_t size) {
    tm_key key = {tm_conn_user(conn), message->list};
    bool saves = type_is(message, "SAVE"), asks = type_is(message, "SUBSCRIBE");
    bool sees = type_is(message, "SEEN"), differs = type_is(message, "DIGEST");
    if (!saves && !asks && !sees && !differs) {
        refuse(call, conn, message, &tm_problem_type,
               text_of(tm_problem_type.detail));
        return;
    }
    const char *lacks = missing(message);
    if (lacks != NULL) {
        refuse(call, conn, message, &tm_problem_request, text_of(lacks));
        return;
    }
    const tm_problem *problem = refused(conn, message);
    if (problem != NULL) {
        refuse(call, conn, message, problem, text_of(problem->detail));
    } else if (saves) {
        save(call, conn, message, key, size);
    } else if (asks) {
        subscribe(call, conn, message, key);
    } else {
        if (sees) seen(conn, message, key);
        if (differs) conn->service->counts.mismatches++;
        tm_call_end(call);
    }
}

void tm_api_frame(tm_service *service, tm_conn *conn, tm_span text) {
    if (conn->closing) return;
    const tm_problem *problem = NULL;
    if (text.len > TM_BODY_MAX) problem = &tm_problem_size;
    if (conn->call_count >= CALLS_MAX ||
        conn->call_bytes + text.len > CALL_BYTES_MAX) {
        problem = &tm_problem_busy;
    }
    tm_call *call = NULL;
    if (problem == NULL) {
        call = tm_call_new(service, TM_CALL_PUSH);
        if (call == NULL) problem = &tm_problem_memory;
    }
    if (problem != NULL) {
        tm_conn_refuse(conn, nothing, nothing, problem, text_of(problem->detail));
        return;
    }
    tm_message message;
    tm_span detail;
    if (tm_message_read(call, text, true, &message, &problem, &detail) != TM_OK) {
        refuse(call, conn, &message, problem, detail);
    } else {
        route(call, conn, &message, text.len);
    }
}
