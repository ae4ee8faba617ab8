// answer.h - what the service says: problem objects, the parts that answers and frames
// have in common.
//
// Every answer is written into the service's one buffer and leaves as a frame of its own
// exact size. docs/PROTOCOL.md is the reference of each.
//
// Knows inside.h.
#ifndef TM_SERVICE_ANSWER_H
#define TM_SERVICE_ANSWER_H

#include "service/inside.h"

// A refusal. `detail` is for people, and may be replaced by a closer one.
typedef struct tm_problem {
    uint32_t status;
    const char *code, *detail;
    uint32_t retry_after_s;
} tm_problem;

extern const tm_problem tm_problem_json;       // 400 malformed
extern const tm_problem tm_problem_request;    // 400 a member is wrong or missing
extern const tm_problem tm_problem_type;       // 400 unknown frame
extern const tm_problem tm_problem_at;         // 404 beyond the head
extern const tm_problem tm_problem_trimmed;    // 404
extern const tm_problem tm_problem_list;       // 404 no list name
extern const tm_problem tm_problem_path;       // 404 no such resource
extern const tm_problem tm_problem_method;     // 405
extern const tm_problem tm_problem_user;       // 409
extern const tm_problem tm_problem_size;       // 413 body
extern const tm_problem tm_problem_operations; // 413 too many
extern const tm_problem tm_problem_busy;       // 429 too much unanswered
extern const tm_problem tm_problem_lists;      // 429 too many subscriptions
extern const tm_problem tm_problem_memory;     // 503
extern const tm_problem tm_problem_clock;      // 503
extern const tm_problem tm_problem_stopping;   // 503
extern const tm_problem tm_problem_again;      // 503 the store, for now
extern const tm_problem tm_problem_storage;    // 503 the store, for good
extern const tm_problem tm_problem_corrupt;    // 503
extern const tm_problem tm_problem_format;     // 503

// tm_problem_of - what a store's failure is for those who asked.
const tm_problem *tm_problem_of(tm_status status);

// tm_answer_begin - an empty buffer to write into.
tm_buf *tm_answer_begin(tm_service *service);

void tm_put_key(tm_buf *out, const char *key); // ,"key":
void tm_put_text(tm_buf *out, const char *key, tm_span text);
void tm_put_number(tm_buf *out, const char *key, uint64_t number);
// tm_put_mark - ,"mark":"..."; of version 0 it is "".
void tm_put_mark(tm_buf *out, const char *key, uint64_t version,
                 const uint8_t mark[TM_MARK_LEN]);
// tm_put_frame - {"type":"...","list":"..."
void tm_put_frame(tm_buf *out, const char *type, tm_span list);
// tm_put_cursor - ,"version":..,"mark":..,"head":..,"serverTime":..
void tm_put_cursor(tm_buf *out, const tm_ledger *ledger, uint64_t version,
                   const uint8_t mark[TM_MARK_LEN]);
// tm_put_acks - ,"acks":[...] and ,"stop":{...} of a push.
void tm_put_acks(tm_buf *out, const tm_call *call);

// tm_answer_reply - the buffer answers the call's HTTP request. The call goes on living.
void tm_answer_reply(tm_call *call, uint32_t status, const char *content_type);
// tm_answer_done - the buffer is the 200 of the call, which ends.
void tm_answer_done(tm_call *call);
// tm_answer_frame - the buffer as a frame; NULL: no memory.
tm_frame *tm_answer_frame(tm_service *service);
// tm_answer_send - the buffer goes to a connection.
void tm_answer_send(tm_service *service, tm_conn *conn);

// tm_call_fail - refuse the call, which ends. Whoever subscribed does not listen.
//   detail   borrows; NULL = the problem's own
void tm_call_fail(tm_call *call, const tm_problem *problem);
void tm_call_fail_with(tm_call *call, const tm_problem *problem, tm_span detail);
// tm_conn_refuse - an ERROR frame that belongs to no call.
//   list, ref   may be empty
void tm_conn_refuse(tm_conn *conn, tm_span list, tm_span ref,
                    const tm_problem *problem, tm_span detail);

#endif
