// logger.h - what the daemon says about itself: one JSON object a line, on stderr.
//
//   {"time":"2026-11-23T15:49:02.123Z","level":"INFO","event":"listening","url":"..."}
//
// ERROR: a person should look. INFO: a change of state worth one line. DEBUG: the rest.
// Values are cut at TM_LOGGER_VALUE_MAX bytes and escaped, so that nothing a peer sends
// can end a line or drive a terminal. Tokens, bodies and keys are never given to it.
//
// Knows cmd/host.h.
#ifndef TM_CMD_LOGGER_H
#define TM_CMD_LOGGER_H

#include "cmd/host.h"

#define TM_LOGGER_VALUE_MAX 256u

typedef enum tm_logger_level {
    TM_LOGGER_ERROR,
    TM_LOGGER_INFO,
    TM_LOGGER_DEBUG
} tm_logger_level;

typedef struct tm_logger {
    tm_logger_level level; // what is less important is not written
    int fd;
} tm_logger;

// A member of a line: text, unless its ptr is NULL; then the number.
typedef struct tm_logger_value {
    const char *name;
    tm_span text;
    uint64_t number;
} tm_logger_value;

// tm_logger_level_find - "error", "info", "debug"; false = none of them.
bool tm_logger_level_find(const char *word, tm_logger_level *level);

// tm_logger_line - the line alone, for tests.
void tm_logger_line(tm_buf *out, uint64_t wall_ms, tm_logger_level level,
                    const char *event, const tm_logger_value *values, size_t count);

// tm_logger_say - one line, in one write.
void tm_logger_say(const tm_logger *logger, tm_logger_level level,
                   const char *event, const tm_logger_value *values, size_t count);

#endif
