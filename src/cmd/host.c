// host.c - see host.h.
#include "cmd/host.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "core/json.h"

#define PROGRESS_MS 100u // ten lines a second are enough to see that it moves

static void *host_resize(void *context, void *ptr, size_t old_size,
                         size_t new_size) {
    (void)context;
    (void)old_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, new_size);
}

const tm_alloc tm_host_alloc = {host_resize, NULL};

static uint64_t clock_ms(clockid_t clock) {
    struct timespec at;
    if (clock_gettime(clock, &at) != 0 || at.tv_sec < 0) return 0;
    return (uint64_t)at.tv_sec * 1000 + (uint64_t)at.tv_nsec / 1000000;
}

tm_now tm_host_now(void) {
    return (tm_now){clock_ms(CLOCK_REALTIME), clock_ms(CLOCK_MONOTONIC)};
}

void tm_host_random(void *context, uint8_t *bytes, size_t len) {
    (void)context;
    while (len > 0) {
        ssize_t got = getrandom(bytes, len, 0);
        TM_ASSERT(got > 0 || errno == EINTR);
        if (got <= 0) continue;
        bytes += got;
        len -= (size_t)got;
    }
}

const char *tm_host_env(void *context, const char *name) {
    (void)context;
    return getenv(name);
}

tm_span tm_text(const char *text) {
    return (tm_span){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

char *tm_path_join(const char *directory, const char *name) {
    size_t size = strlen(directory) + strlen(name) + 2;
    char *path = malloc(size);
    if (path != NULL) (void)snprintf(path, size, "%s/%s", directory, name);
    return path;
}

static char doing[256];

void tm_host_doing(const char *format, ...) {
    va_list values;
    va_start(values, format);
    (void)vsnprintf(doing, sizeof doing, format, values);
    va_end(values);
}

const char *tm_host_at(void) {
    return doing;
}

// ---- words for people ---------------------------------------------------------------

void tm_say_size(char out[16], uint64_t bytes) {
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    if (bytes < 1000) {
        (void)snprintf(out, 16, "%u B", (unsigned)bytes);
        return;
    }
    size_t unit = 0;
    uint64_t tenths = bytes / 100; // of a kB
    while (tenths >= 10000 && unit + 1 < sizeof units / sizeof units[0]) {
        tenths /= 1000;
        unit++;
    }
    (void)snprintf(out, 16, "%u.%u %s", (unsigned)(tenths / 10),
                   (unsigned)(tenths % 10), units[unit]);
}

void tm_say_time(char out[32], uint64_t wall_ms) {
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    char text[24];
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts) == 0) {
        (void)snprintf(out, 32, "%" PRIu64 " ms", wall_ms);
        return;
    }
    (void)snprintf(out, 32, "%s.%03u", text, (unsigned)(wall_ms % 1000));
}

void tm_say_duration(char out[32], uint64_t ms) {
    uint64_t seconds = ms / 1000, minutes = seconds / 60, hours = minutes / 60;
    if (ms < 1000) {
        (void)snprintf(out, 32, "%u ms", (unsigned)ms);
    } else if (seconds < 60) {
        (void)snprintf(out, 32, "%u.%u s", (unsigned)seconds,
                       (unsigned)(ms % 1000 / 100));
    } else if (minutes < 60) {
        (void)snprintf(out, 32, "%u min %u s", (unsigned)minutes,
                       (unsigned)(seconds % 60));
    } else if (hours < 48) {
        (void)snprintf(out, 32, "%u h %u min", (unsigned)hours,
                       (unsigned)(minutes % 60));
    } else {
        (void)snprintf(out, 32, "%" PRIu64 " days", hours / 24);
    }
}

// Controls (C0, DEL, C1), and marks that turn or hide the direction of writing: a
// description must not be able to draw over the lines around it.
static bool is_unsafe(uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 ||
           code == 0x2029 || code == 0x200e || code == 0x200f || code == 0x61c ||
           (code >= 0x202a && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

// One scalar value; a byte that belongs to none counts as a control.
static size_t scalar(const uint8_t *p, size_t left, uint32_t *code) {
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (len > left || !tm_utf8_valid((tm_span){p, len})) {
        *code = 0x80;
        return 1;
    }
    *code = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        *code = *code << 6 | (p[i] & 0x3fu);
    }
    return len;
}

void tm_say_safe(tm_buf *out, tm_span text) {
    for (size_t at = 0; at < text.len;) {
        uint32_t code;
        size_t len = scalar(text.ptr + at, text.len - at, &code);
        if (is_unsafe(code)) {
            char escape[8];
            (void)snprintf(escape, sizeof escape, "\\u%04x", (unsigned)code);
            tm_buf_text(out, escape);
        } else {
            tm_buf_put(out, (tm_span){text.ptr + at, len});
        }
        at += len;
    }
}

void tm_print_safe(FILE *to, tm_span text) {
    tm_buf out = {.alloc = &tm_host_alloc};
    tm_say_safe(&out, text);
    (void)fwrite(out.ptr, 1, out.len, to);
    tm_buf_deinit(&out);
}

// ---- progress -----------------------------------------------------------------------

void tm_progress_init(tm_progress *progress) {
    *progress = (tm_progress){.on = isatty(STDERR_FILENO) == 1};
}

bool tm_progress_due(tm_progress *progress) {
    if (!progress->on) return false;
    uint64_t now = clock_ms(CLOCK_MONOTONIC);
    if (progress->shown && now - progress->at_ms < PROGRESS_MS) return false;
    progress->at_ms = now;
    return true;
}

void tm_progress_line(tm_progress *progress, const char *format, ...) {
    if (!progress->on) return;
    va_list values;
    va_start(values, format);
    (void)fputs("\r\033[K", stderr);
    (void)vfprintf(stderr, format, values);
    (void)fflush(stderr);
    va_end(values);
    progress->shown = true;
}

void tm_progress_clear(tm_progress *progress) {
    if (!progress->shown) return;
    (void)fputs("\r\033[K", stderr);
    (void)fflush(stderr);
    progress->shown = false;
}
