// runtime.h - the Runtime API of AWS Lambda (2018-06-01): take an invocation, answer it.
// Its calls are to this machine and one after another, so they simply block; while `next`
// does, Lambda may stop the whole process for minutes or hours.
//
// Knows core/.
#ifndef TM_LAMBDA_RUNTIME_H
#define TM_LAMBDA_RUNTIME_H

#include "core/buf.h"

#define TM_RUNTIME_ID_MAX 128u

typedef struct tm_runtime tm_runtime;

typedef struct tm_invocation {
    char id[TM_RUNTIME_ID_MAX + 1];
    uint64_t deadline_ms; // wall clock; the process is killed then
    tm_span event;        // lent until the next call
} tm_invocation;

// tm_runtime_open - gives: tm_runtime_close.
//   api   host and port, as AWS_LAMBDA_RUNTIME_API has it; borrows
TM_MUST_USE tm_status tm_runtime_open(const tm_alloc *alloc, const char *api,
                                      tm_runtime **runtime);
void tm_runtime_close(tm_runtime *runtime);

// tm_runtime_next - wait for an invocation.
// TM_E_IO: the API does not answer, or not as documented; the process is to end.
// TM_E_NOMEM. tm_runtime_why says which.
TM_MUST_USE tm_status tm_runtime_next(tm_runtime *runtime,
                                      tm_invocation *invocation);

// tm_runtime_answer - the invocation's result; once, and then it is over for whoever asked.
TM_MUST_USE tm_status tm_runtime_answer(tm_runtime *runtime, const char *id,
                                        tm_span answer);

// tm_runtime_fail - it failed; `id` NULL: the start did.
//   type   a word "Room.Reason"   message   a sentence; borrowed
TM_MUST_USE tm_status tm_runtime_fail(tm_runtime *runtime, const char *id,
                                      const char *type, const char *message);

const char *tm_runtime_why(const tm_runtime *runtime); // lent

#endif
