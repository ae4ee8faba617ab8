// query.c - see query.h.
#include "service/query.h"

#include "core/json.h"

#include <string.h>

static const char no_memory[] = "out of memory";

void tm_query_init(tm_query *query, tm_span text, tm_arena *arena) {
    *query = (tm_query){.rest = text, .arena = arena};
}

static int hex_value(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static tm_span decode(tm_query *query, tm_span text) {
    uint8_t *to = tm_arena_get(query->arena, text.len);
    size_t len = 0;
    if (to == NULL) query->reason = no_memory;
    for (size_t i = 0; i < text.len && query->reason == NULL; i++) {
        uint8_t c = text.ptr[i];
        if (c == '+') c = ' ';
        if (c == '%') {
            int high = i + 2 < text.len ? hex_value(text.ptr[i + 1]) : -1;
            int low = high >= 0 ? hex_value(text.ptr[i + 2]) : -1;
            if (low < 0) {
                query->reason = "a percent sign without two hex digits";
                break;
            }
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        to[len++] = c;
    }
    tm_span decoded = {to, len};
    if (query->reason == NULL && !tm_utf8_valid(decoded)) {
        query->reason = "not UTF-8";
    }
    return decoded;
}

// The part before `end`, and what is behind it.
static tm_span cut(tm_span *text, uint8_t end) {
    size_t len = 0;
    while (len < text->len && text->ptr[len] != end) {
        len++;
    }
    tm_span part = {text->ptr, len};
    size_t over = len < text->len ? len + 1 : len;
    *text = (tm_span){text->ptr + over, text->len - over};
    return part;
}

bool tm_query_next(tm_query *query, tm_span *key, tm_span *value) {
    if (query->reason != NULL) return false;
    while (query->rest.len > 0) {
        tm_span pair = cut(&query->rest, '&');
        if (pair.len == 0) continue;
        tm_span name = cut(&pair, '=');
        query->key = *key = decode(query, name);
        *value = decode(query, pair);
        return query->reason == NULL;
    }
    return false;
}

void tm_query_known(tm_query *query, uint32_t number) {
    uint64_t bit = UINT64_C(1) << number;
    if ((query->seen & bit) != 0) query->reason = "given twice";
    query->seen |= bit;
}

uint64_t tm_query_u64(tm_query *query, tm_span value, uint64_t max) {
    uint64_t number = 0;
    bool good = value.len >= 1 && value.len <= 20 &&
                (value.len == 1 || value.ptr[0] != '0');
    for (size_t i = 0; i < value.len && good; i++) {
        uint64_t digit = (uint64_t)value.ptr[i] - '0';
        good = digit <= 9 && number <= (UINT64_MAX - digit) / 10;
        number = number * 10 + digit;
    }
    if (good && number <= max) return number;
    query->reason = "not an integer in its range";
    return 0;
}
