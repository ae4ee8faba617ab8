// check_verdict.h - what became of one case: passed, or the first thing that was wrong.
//
// Knows core/buf.h.
#ifndef TM_CMD_CHECK_VERDICT_H
#define TM_CMD_CHECK_VERDICT_H

#include "core/buf.h"

typedef struct tm_check_verdict {
    bool failed;
    int64_t step;          // counted from 0; -1 = none of the steps
    const char *word;      // the step's, a literal; or NULL
    tm_buf what;           // what was looked at, a few words
    tm_buf expected, seen; // empty: `what` says it all
} tm_check_verdict;

void tm_check_verdict_init(tm_check_verdict *verdict, const tm_alloc *alloc);
void tm_check_verdict_deinit(tm_check_verdict *verdict);

// Each of these notes a failure, unless one is noted already, and returns false.
__attribute__((format(printf, 2, 3))) bool
tm_check_verdict_fail(tm_check_verdict *verdict, const char *format, ...);

// tm_check_verdict_compare - a failure if the texts differ; else true.
__attribute__((format(printf, 4, 5))) bool
tm_check_verdict_compare(tm_check_verdict *verdict, tm_span expected, tm_span seen,
                         const char *format, ...);

// tm_check_verdict_number - the same for numbers.
__attribute__((format(printf, 4, 5))) bool
tm_check_verdict_number(tm_check_verdict *verdict, uint64_t expected, uint64_t seen,
                        const char *format, ...);

#endif
