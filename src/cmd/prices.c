// prices.c - see prices.h.
#include "cmd/prices.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "cmd/host.h"
#include "cmd/tree.h"

#define DIGITS_MAX 9u // of a price, on either side of its point

static const struct {
    const char *name;
    size_t at; // of its number in tm_prices
} rows[] = {
    {"write-units-million", offsetof(tm_prices, write_million)},
    {"read-units-million", offsetof(tm_prices, read_million)},
    {"storage-gb-month", offsetof(tm_prices, storage_gb_month)},
    {"recovery-gb-month", offsetof(tm_prices, recovery_gb_month)},
};

#define ROWS (sizeof rows / sizeof rows[0])

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r';
}

// The next word of a line; empty = there is none.
static tm_span word_take(tm_span *line) {
    while (line->len > 0 && is_space(line->ptr[0])) {
        line->ptr++;
        line->len--;
    }
    tm_span word = {line->ptr, 0};
    while (word.len < line->len && !is_space(word.ptr[word.len])) {
        word.len++;
    }
    line->ptr += word.len;
    line->len -= word.len;
    return word;
}

// "0.625". Not strtod: what it takes for a point depends on the locale.
static bool number_read(tm_span word, double *number) {
    double value = 0, unit = 1;
    size_t before = 0, behind = 0;
    bool point = false;
    for (size_t i = 0; i < word.len; i++) {
        uint8_t c = word.ptr[i];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9') return false;
        value = value * 10 + (double)(c - '0');
        *(point ? &behind : &before) += 1;
        if (point) unit *= 10;
    }
    *number = value / unit;
    return before > 0 && before <= DIGITS_MAX && behind <= DIGITS_MAX &&
           (!point || behind > 0);
}

// NULL: well. `seen`: which lines there were, the region's last.
static const char *line_read(tm_span line, tm_prices *prices, bool seen[ROWS + 1]) {
    tm_span name = word_take(&line), value = word_take(&line);
    if (name.len == 0 || name.ptr[0] == '#') return NULL;
    if (value.len == 0) return "has a name without a value";
    if (word_take(&line).len > 0) return "has more than a name and a value";
    size_t at = 0;
    while (at < ROWS && !tm_span_equal_text(name, rows[at].name)) {
        at++;
    }
    if (at == ROWS && !tm_span_equal_text(name, "region")) {
        return "names no price that is known";
    }
    if (seen[at]) return "says again what another line said";
    seen[at] = true;
    if (at < ROWS) {
        void *to = (char *)prices + rows[at].at;
        return number_read(value, to) ? NULL : "has a price that is no number";
    }
    if (value.len >= sizeof prices->region || !tm_utf8_valid(value)) {
        return "has a region that is no word";
    }
    memcpy(prices->region, value.ptr, value.len);
    return NULL;
}

tm_status tm_prices_read(tm_span text, tm_prices *prices, char problem[160]) {
    bool seen[ROWS + 1] = {false};
    memset(prices, 0, sizeof *prices);
    unsigned number = 0;
    while (text.len > 0) {
        const uint8_t *end = memchr(text.ptr, '\n', text.len);
        tm_span line = {text.ptr,
                        end == NULL ? text.len : (size_t)(end - text.ptr)};
        size_t step = line.len + (end == NULL ? 0 : 1);
        text.ptr += step;
        text.len -= step;
        number++;
        const char *bad = line_read(line, prices, seen);
        if (bad == NULL) continue;
        (void)snprintf(problem, 160, "line %u %s", number, bad);
        return TM_E_FORMAT;
    }
    for (size_t i = 0; i <= ROWS; i++) {
        if (seen[i]) continue;
        (void)snprintf(problem, 160, "there is no line %s",
                       i < ROWS ? rows[i].name : "region");
        return TM_E_FORMAT;
    }
    return TM_OK;
}
