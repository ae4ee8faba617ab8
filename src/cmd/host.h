// host.h - what the program brings to the rooms that ask nobody: memory, time and
// randomness of this machine, and words for people.
//
// Knows core/.
#ifndef TM_CMD_HOST_H
#define TM_CMD_HOST_H

#include <stdio.h>

#include "core/buf.h"

// Exit codes of every command.
enum {
    TM_EXIT_OK = 0,
    TM_EXIT_FAILED = 1, // it was tried, and went wrong or was found wrong
    TM_EXIT_USAGE = 2,  // nothing was tried
};

// tm_host_alloc - malloc and realloc.
extern const tm_alloc tm_host_alloc;

// tm_host_now - this machine's clocks.
tm_now tm_host_now(void);

// tm_host_random - the kernel's random bytes; does not fail (a machine that has none
// stops the program). `context` is ignored; the signature is the service's.
void tm_host_random(void *context, uint8_t *bytes, size_t len);

// tm_host_env - the environment, for what looks there (store/dynamodb.h); `context` is
// ignored. NULL = not set.
const char *tm_host_env(void *context, const char *name);

// tm_text - a C string as a span; NULL is null.
tm_span tm_text(const char *text);

// tm_path_join - "directory/name", gives: free(). NULL = out of memory.
char *tm_path_join(const char *directory, const char *name);

// tm_host_doing - what the program is at, for tm_panic to say; at most 255 bytes are
// kept. Empty = nothing in particular.
__attribute__((format(printf, 1, 2))) void tm_host_doing(const char *format, ...);
const char *tm_host_at(void);

// ---- Words for people -----------------------------------------------------------------

// tm_say_size - "512 B", "1.2 MB"; decimal units.
void tm_say_size(char out[16], uint64_t bytes);
// tm_say_time - "2026-11-23 15:49:02.123", UTC.
void tm_say_time(char out[32], uint64_t wall_ms);
// tm_say_duration - "140 ms", "2.3 s", "3 min 5 s", "5 h 10 min", "12 days".
void tm_say_duration(char out[32], uint64_t ms);

// tm_say_safe - text that came from outside, for a terminal: controls, and what turns the
// direction of writing, become \u escapes; no terminal can be driven by a description.
void tm_say_safe(tm_buf *out, tm_span text);
void tm_print_safe(FILE *to, tm_span text);

// tm_progress - one line that is rewritten in place on a terminal, at most ten times a
// second; anywhere else it writes nothing.
typedef struct tm_progress {
    bool on;        // stderr is a terminal
    bool shown;     // a line stands there now
    uint64_t at_ms; // of the last one
} tm_progress;

void tm_progress_init(tm_progress *progress);

// tm_progress_show - whether a line is due; then the caller prints it with
// tm_progress_line. `now` true: due in any case.
bool tm_progress_due(tm_progress *progress);
__attribute__((format(printf, 2, 3))) void
tm_progress_line(tm_progress *progress, const char *format, ...);
// tm_progress_clear - take the line away before something else is printed.
void tm_progress_clear(tm_progress *progress);

#endif
