// check_verdict.c - see check_verdict.h.
#include "cmd/check_verdict.h"

#include <stdarg.h>
#include <stdio.h>

#include "cmd/tree.h"

void tm_check_verdict_init(tm_check_verdict *verdict, const tm_alloc *alloc) {
    *verdict = (tm_check_verdict){.step = -1,
                                  .what = {.alloc = alloc},
                                  .expected = {.alloc = alloc},
                                  .seen = {.alloc = alloc}};
}

void tm_check_verdict_deinit(tm_check_verdict *verdict) {
    tm_buf_deinit(&verdict->what);
    tm_buf_deinit(&verdict->expected);
    tm_buf_deinit(&verdict->seen);
}

__attribute__((format(printf, 2, 0))) static bool
note(tm_check_verdict *verdict, const char *format, va_list values) {
    char text[512];
    verdict->failed = true;
    (void)vsnprintf(text, sizeof text, format, values);
    tm_buf_text(&verdict->what, text);
    return false;
}

bool tm_check_verdict_fail(tm_check_verdict *verdict, const char *format, ...) {
    if (verdict->failed) return false;
    va_list values;
    va_start(values, format);
    (void)note(verdict, format, values);
    va_end(values);
    return false;
}

bool tm_check_verdict_compare(tm_check_verdict *verdict, tm_span expected,
                              tm_span seen, const char *format, ...) {
    if (verdict->failed) return false;
    if (tm_span_equal(expected, seen)) return true;
    va_list values;
    va_start(values, format);
    (void)note(verdict, format, values);
    va_end(values);
    tm_buf_put(&verdict->expected, expected);
    tm_buf_put(&verdict->seen, seen);
    return false;
}

bool tm_check_verdict_number(tm_check_verdict *verdict, uint64_t expected,
                             uint64_t seen, const char *format, ...) {
    if (verdict->failed) return false;
    if (expected == seen) return true;
    va_list values;
    va_start(values, format);
    (void)note(verdict, format, values);
    va_end(values);
    tm_buf_u64(&verdict->expected, expected);
    tm_buf_u64(&verdict->seen, seen);
    return false;
}
