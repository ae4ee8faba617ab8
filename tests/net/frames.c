// frames.c - see frames.h.
#include "frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/websocket.h"

void bytes_put(t_bytes *to, const void *from, size_t len) {
    if (to->len + len > to->cap) {
        to->cap = (to->len + len) * 2 + 64;
        to->ptr = realloc(to->ptr, to->cap);
        if (to->ptr == NULL) abort();
    }
    if (len > 0) memcpy(to->ptr + to->len, from, len);
    to->len += len;
}

void bytes_free(t_bytes *of) {
    free(of->ptr);
    *of = (t_bytes){0};
}

static void put_byte(t_bytes *to, unsigned byte) {
    uint8_t one = (uint8_t)byte;
    bytes_put(to, &one, 1);
}

_Noreturn static void bad_word(const char *word, size_t len) {
    fprintf(stderr, "frames: no such word: %.*s\n", (int)len, word);
    abort();
}

static void put_piece(const char *text, size_t len, t_bytes *to) {
    if (len == 0) return;
    if (text[0] == '\'') {
        bytes_put(to, text + 1, len - 2);
    } else if (text[0] == '*') {
        for (long n = strtol(text + 1, NULL, 10); n > 0; n--)
            put_byte(to, '*');
    } else if (text[0] == 'c') {
        long code = strtol(text + 1, NULL, 10);
        put_byte(to, (unsigned)code >> 8);
        put_byte(to, (unsigned)code & 0xff);
    } else if (text[0] == 'x') {
        for (size_t i = 1; i + 1 < len; i += 2) {
            char pair[3] = {text[i], text[i + 1], 0};
            put_byte(to, (unsigned)strtoul(pair, NULL, 16));
        }
    } else {
        bad_word(text, len);
    }
}

void frames_payload(const char *text, size_t len, t_bytes *to) {
    size_t from = 0;
    bool quoted = false;
    if (text == NULL) return;
    for (size_t i = 0; i <= len; i++) {
        if (i < len && text[i] == '\'') quoted = !quoted;
        if (i < len && (quoted || text[i] != '+')) continue;
        put_piece(text + from, i - from, to);
        from = i + 1;
    }
}

// One word: where its kind, marks and payload lie.
typedef struct word {
    const char *kind, *payload;
    size_t kind_len, payload_len;
    bool open, bare; // - and !
    unsigned rsv;
} word;

static const char *word_next(const char *at, word *out) {
    *out = (word){0};
    while (*at == ' ')
        at++;
    if (*at == 0) return NULL;
    out->kind = at;
    while (*at != 0 && strchr(" =-/!", *at) == NULL)
        at++;
    out->kind_len = (size_t)(at - out->kind);
    for (; *at != 0 && *at != ' ' && *at != '='; at++) {
        if (*at == '-') out->open = true;
        if (*at == '!') out->bare = true;
        if (*at == '/') out->rsv = (unsigned)(at[1] - '0');
    }
    if (*at != '=') return at;
    out->payload = ++at;
    for (bool quoted = false; *at != 0 && (quoted || *at != ' '); at++) {
        if (*at == '\'') quoted = !quoted;
    }
    out->payload_len = (size_t)(at - out->payload);
    return at;
}

static bool is(const word *one, const char *name) {
    return one->kind_len == strlen(name) &&
           memcmp(one->kind, name, one->kind_len) == 0;
}

static unsigned opcode_of(const word *one) {
    static const struct {
        const char *name;
        unsigned opcode;
    } known[] = {{"cont", 0},  {"text", 1}, {"bin", 2},
                 {"close", 8}, {"ping", 9}, {"pong", 10}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (is(one, known[i].name)) return known[i].opcode;
    }
    if (one->kind_len < 3 || memcmp(one->kind, "op", 2) != 0)
        bad_word(one->kind, one->kind_len);
    return (unsigned)strtoul(one->kind + 2, NULL, 10);
}

static void put_frame(const word *one, const t_bytes *payload, t_bytes *to) {
    // The mask differs from frame to frame, as RFC 6455 5.3 wants, and between runs
    // not at all.
    uint8_t mask[4] = {0x37, 0xfa, (uint8_t)(0x21 + to->len),
                       (uint8_t)payload->len};
    unsigned bit = one->bare ? 0 : 0x80;
    put_byte(to, (one->open ? 0u : 0x80u) | one->rsv << 4 | opcode_of(one));
    size_t len = payload->len;
    if (len < 126) {
        put_byte(to, bit | (unsigned)len);
    } else if (len <= 0xffff) {
        put_byte(to, bit | 126);
    } else {
        put_byte(to, bit | 127);
        for (int shift = 56; shift > 8; shift -= 8) {
            put_byte(to, (unsigned)((uint64_t)len >> shift) & 0xff);
        }
    }
    if (len >= 126) {
        put_byte(to, (unsigned)(len >> 8) & 0xff);
        put_byte(to, (unsigned)len & 0xff);
    }
    if (!one->bare) bytes_put(to, mask, sizeof mask);
    for (size_t i = 0; i < len; i++) {
        put_byte(to, payload->ptr[i] ^ (one->bare ? 0u : mask[i % 4]));
    }
}

void frames_client(const char *words, t_bytes *to) {
    word one;
    while ((words = word_next(words, &one)) != NULL) {
        t_bytes payload = {0};
        frames_payload(one.payload, one.payload_len, &payload);
        if (is(&one, "raw")) {
            bytes_put(to, payload.ptr, payload.len);
        } else {
            put_frame(&one, &payload, to);
        }
        bytes_free(&payload);
    }
}

static const char *const kinds[] = {"text", "bin", "ping", "pong", "close", "fail"};

void trace_event(t_bytes *to, int kind, uint16_t code, tm_span payload) {
    bool coded =
        kind == TM_WS_FAIL || (kind == TM_WS_CLOSE && code != TM_WS_NO_CODE);
    if (kind == TM_WS_FAIL) payload.len = 0; // why it failed is for people
    uint32_t len = (uint32_t)payload.len + (coded ? 2u : 0u);
    put_byte(to, (unsigned)kind);
    bytes_put(to, &len, sizeof len);
    if (coded) {
        put_byte(to, (unsigned)code >> 8);
        put_byte(to, code & 0xffu);
    }
    bytes_put(to, payload.ptr, payload.len);
}

void frames_trace(const char *words, t_bytes *to) {
    word one;
    while ((words = word_next(words, &one)) != NULL) {
        unsigned kind = 0;
        while (kind < 6 && !is(&one, kinds[kind]))
            kind++;
        if (kind == 6) bad_word(one.kind, one.kind_len);
        t_bytes payload = {0};
        frames_payload(one.payload, one.payload_len, &payload);
        uint32_t len = (uint32_t)payload.len;
        put_byte(to, kind);
        bytes_put(to, &len, sizeof len);
        bytes_put(to, payload.ptr, payload.len);
        bytes_free(&payload);
    }
}

const char *trace_text(const t_bytes *trace) {
    static char out[4][2000]; // two traces may stand in one message
    static unsigned turn;
    char *text = out[turn++ % 4];
    size_t used = 0;
    text[0] = 0;
    for (size_t at = 0; at + 5 <= trace->len && used < 1800;) {
        uint32_t len;
        unsigned kind = trace->ptr[at];
        memcpy(&len, trace->ptr + at + 1, sizeof len);
        used += (size_t)snprintf(text + used, 2000 - used, "%s%s(%u)=x",
                                 at == 0 ? "" : " ", kinds[kind], (unsigned)len);
        for (uint32_t i = 0; i < len && i < 24; i++) {
            used += (size_t)snprintf(text + used, 2000 - used, "%02x",
                                     trace->ptr[at + 5 + i]);
        }
        at += 5 + len;
    }
    return text;
}
