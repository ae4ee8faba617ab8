// logger.c - see logger.h.
#include "cmd/logger.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char *const words[] = {"ERROR", "INFO", "DEBUG"};

bool tm_logger_level_find(const char *word, tm_logger_level *level) {
    static const char *const names[] = {"error", "info", "debug"};
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(word, names[i]) != 0) continue;
        *level = (tm_logger_level)i;
        return true;
    }
    return false;
}

// A JSON string in plain ASCII but for letters: what is not UTF-8, and what a terminal
// would obey, is escaped. tm_say_safe does that with \u escapes of its own, which JSON
// reads as they are meant; quotes and backslashes are ours.
static void value_write(tm_buf *out, tm_span text) {
    size_t len = text.len;
    if (len > TM_LOGGER_VALUE_MAX) { // not inside a character
        for (len = TM_LOGGER_VALUE_MAX;
             len > 0 && (text.ptr[len] & 0xc0) == 0x80;) {
            len--;
        }
    }
    tm_buf_byte(out, '"');
    for (size_t from = 0; from < len;) {
        size_t at = from;
        while (at < len && text.ptr[at] != '"' && text.ptr[at] != '\\') {
            at++;
        }
        tm_say_safe(out, (tm_span){text.ptr + from, at - from});
        if (at < len) {
            tm_buf_byte(out, '\\');
            tm_buf_byte(out, text.ptr[at++]);
        }
        from = at;
    }
    if (len < text.len) tm_buf_text(out, "...");
    tm_buf_byte(out, '"');
}

void tm_logger_line(tm_buf *out, uint64_t wall_ms, tm_logger_level level,
                    const char *event, const tm_logger_value *values,
                    size_t count) {
    char time[32];
    tm_say_time(time, wall_ms);
    if (time[10] == ' ') time[10] = 'T';
    tm_buf_text(out, "{\"time\":\"");
    tm_buf_text(out, time);
    tm_buf_text(out, "Z\",\"level\":\"");
    tm_buf_text(out, words[level]);
    tm_buf_text(out, "\",\"event\":");
    value_write(out, tm_text(event));
    for (size_t i = 0; i < count; i++) {
        tm_buf_text(out, ",\"");
        tm_buf_text(out, values[i].name);
        tm_buf_text(out, "\":");
        if (values[i].text.ptr != NULL) {
            value_write(out, values[i].text);
        } else {
            tm_buf_u64(out, values[i].number);
        }
    }
    tm_buf_text(out, "}\n");
}

void tm_logger_say(const tm_logger *logger, tm_logger_level level,
                   const char *event, const tm_logger_value *values, size_t count) {
    if (level > logger->level) return;
    tm_buf out = {.alloc = &tm_host_alloc};
    tm_logger_line(&out, tm_host_now().wall_ms, level, event, values, count);
    size_t at = 0;
    while (at < out.len) {
        ssize_t sent = write(logger->fd, out.ptr + at, out.len - at);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) break; // nobody can be told that nobody can be told
        at += (size_t)sent;
    }
    tm_buf_deinit(&out);
}
