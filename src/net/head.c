// head.c - see head.h.
#include "net/head.h"

#include <string.h>

#define LENGTH_MAX (UINT64_C(1) << 60) // Content-Length saturates here

enum state {
    BEFORE,      // nothing of the request yet
    BEFORE_LF,   // CR of the empty line that is forgiven
    FIRST,       // after it: a method must begin
    METHOD,      //
    TARGET,      //
    VERSION,     //
    LINE_LF,     // CR seen at the end of a line
    LINE,        // at the start of a header line
    NAME,        //
    VALUE_BEGIN, // white space after the colon
    VALUE,       //
    END_LF,      // CR of the empty line that ends the head
    DONE,
};

enum field { OTHER, HOST, LENGTH, ENCODING };

static const struct {
    enum field field;
    const char *name;
} watched[] = {
    {HOST, "host"}, {LENGTH, "content-length"}, {ENCODING, "transfer-encoding"}};

static bool refuse(tm_head *head, uint16_t status, const char *reason) {
    head->status = status;
    head->reason = reason;
    return false;
}

static bool bad(tm_head *head, const char *reason) {
    return refuse(head, 400, reason);
}

// RFC 9110 5.6.2.
static bool token_byte(uint8_t byte) {
    if ((byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
        (byte >= 'a' && byte <= 'z'))
        return true;
    return byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL;
}

// The start of a name or value, in lower case; longer ones match nothing we look for,
// and are told from those by the length.
static void word_put(tm_head *head, uint8_t byte) {
    if (head->word_len == sizeof head->word) return;
    if (byte >= 'A' && byte <= 'Z') byte = (uint8_t)(byte + ('a' - 'A'));
    head->word[head->word_len++] = byte;
}

static bool word_is(const tm_head *head, const char *text) {
    size_t len = strlen(text);
    return head->word_len == len && memcmp(head->word, text, len) == 0;
}

static bool target(tm_head *head, uint8_t byte) {
    if (byte == ' ') {
        if (head->target_len == 0) return bad(head, "the request has no target");
        head->state = VERSION;
        head->word_len = 0;
        return true;
    }
    if (byte <= 0x20 || byte >= 0x7f || byte == '#')
        return bad(head, "the request target has a byte that must be escaped");
    if (head->target_len == 0 && byte != '/' && byte != '*')
        return bad(head, "the request target must be a path");
    // "*" is a target of its own and begins no other.
    if (head->target_len == 1 && head->word[0] == '*')
        return bad(head, "the request target must be a path");
    if (head->target_len == 0) {
        head->word_len = 0;
        word_put(head, byte);
    }
    if (++head->target_len > TM_TARGET_MAX)
        return refuse(head, 414, "the request target is longer than 4096 bytes");
    return true;
}

static bool version(tm_head *head, uint8_t byte) {
    if (byte != '\r') {
        if (byte < 0x20 || byte >= 0x7f || head->word_len == sizeof head->word)
            return bad(head, "the request line must end in HTTP/1.1");
        head->word[head->word_len++] = byte; // its case matters, RFC 9112 2.3
        return true;
    }
    head->state = LINE_LF;
    if (word_is(head, "HTTP/1.1")) return true;
    if (word_is(head, "HTTP/1.0")) {
        head->old = true;
        return true;
    }
    if (head->word_len == 8 && memcmp(head->word, "HTTP/", 5) == 0)
        return refuse(head, 505, "only HTTP/1.1 is spoken here");
    return bad(head, "the request line must end in HTTP/1.1");
}

static bool line(tm_head *head, uint8_t byte) {
    if (byte == '\r') {
        head->state = END_LF;
        return true;
    }
    if (byte == ' ' || byte == '\t')
        return bad(head, "a header line must not be folded");
    if (++head->lines > TM_HEAD_LINES_MAX)
        return refuse(head, 431, "more than 64 header lines");
    if (!token_byte(byte)) return bad(head, "a header line must begin with a name");
    head->state = NAME;
    head->word_len = 0;
    word_put(head, byte);
    return true;
}

// The name is complete. What may stand only once is counted here, whatever its value.
static bool name_done(tm_head *head) {
    head->field = OTHER;
    for (size_t i = 0; i < sizeof watched / sizeof watched[0]; i++) {
        if (word_is(head, watched[i].name)) head->field = (uint8_t)watched[i].field;
    }
    if (head->field == HOST) {
        if (head->host) return bad(head, "more than one Host");
        head->host = true;
    }
    if (head->field == LENGTH) {
        if (head->has_length) return bad(head, "more than one Content-Length");
        head->has_length = true;
    }
    if (head->field == ENCODING) {
        if (head->chunked) return bad(head, "more than one Transfer-Encoding");
        if (head->old) return bad(head, "Transfer-Encoding needs HTTP/1.1");
        head->chunked = true;
    }
    if (head->chunked && head->has_length)
        return bad(head, "Content-Length and Transfer-Encoding together");
    head->state = VALUE_BEGIN;
    head->word_len = 0;
    head->ended = false;
    head->utf8 = (tm_utf8){0};
    return true;
}

static bool name(tm_head *head, uint8_t byte) {
    if (byte == ':') return name_done(head);
    if (!token_byte(byte))
        return bad(head, "a header name must be followed by its colon at once");
    word_put(head, byte);
    return true;
}

// A value of ours is one word: white space may follow it, but nothing else.
static bool word_byte(tm_head *head, uint8_t byte) {
    bool length = head->field == LENGTH;
    if (byte == ' ' || byte == '\t') {
        head->ended = true;
        return true;
    }
    if (head->ended || (length && (byte < '0' || byte > '9')))
        return bad(head, length
                             ? "Content-Length must be one number of digits alone"
                             : "Transfer-Encoding must be chunked");
    if (length && head->length < LENGTH_MAX) {
        head->length = head->length * 10 + (uint64_t)(byte - '0');
    }
    word_put(head, byte);
    return true;
}

static bool value_byte(tm_head *head, uint8_t byte) {
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
        return bad(head, "a header value has a control character");
    if (!tm_utf8_feed(&head->utf8, (tm_span){&byte, 1}))
        return bad(head, "a header value is not UTF-8");
    if (head->field == LENGTH || head->field == ENCODING)
        return word_byte(head, byte);
    return true;
}

static bool value_done(tm_head *head) {
    head->state = LINE_LF;
    if (!tm_utf8_done(&head->utf8)) return bad(head, "a header value is not UTF-8");
    if (head->field == LENGTH && head->word_len == 0)
        return bad(head, "Content-Length must be one number of digits alone");
    if (head->field == ENCODING && !word_is(head, "chunked"))
        return bad(head, "Transfer-Encoding must be chunked");
    return true;
}

static bool method(tm_head *head, uint8_t byte) {
    if (byte == ' ' && head->word_len > 0) {
        head->state = TARGET;
        return true;
    }
    if (!token_byte(byte) || head->word_len == TM_METHOD_MAX)
        return bad(head, "this does not begin like a request");
    head->state = METHOD;
    word_put(head, byte);
    return true;
}

static bool lf(tm_head *head, uint8_t byte, enum state next) {
    if (byte != '\n') return bad(head, "a line must end in CR LF");
    head->state = (uint8_t)next;
    if (next == DONE && !head->host) return bad(head, "the request has no Host");
    return true;
}

// One byte; false = refused.
static bool step(tm_head *head, uint8_t byte) {
    switch ((enum state)head->state) {
    case BEFORE:
        if (byte == '\r') {
            head->state = BEFORE_LF;
            return true;
        }
        return method(head, byte);
    case BEFORE_LF:
        return lf(head, byte, FIRST);
    case FIRST:
    case METHOD:
        return method(head, byte);
    case TARGET:
        return target(head, byte);
    case VERSION:
        return version(head, byte);
    case LINE_LF:
        return lf(head, byte, LINE);
    case LINE:
        return line(head, byte);
    case NAME:
        return name(head, byte);
    case VALUE_BEGIN:
        if (byte == ' ' || byte == '\t') return true;
        head->state = VALUE;
        // fall through
    case VALUE:
        return byte == '\r' ? value_done(head) : value_byte(head, byte);
    case END_LF:
        return lf(head, byte, DONE);
    case DONE:
        break;
    }
    TM_ASSERT(head->state != DONE); // a head is scanned once
    return false;
}

tm_status tm_head_feed(tm_head *head, tm_span bytes, size_t *used) {
    TM_ASSERT(head->status == 0);
    for (size_t at = 0; at < bytes.len; at++) {
        *used = at + 1;
        if (head->size++ == TM_HEAD_MAX) {
            (void)refuse(head, 431, "the request head is longer than 16 KiB");
            return TM_E_CORRUPT;
        }
        if (!step(head, bytes.ptr[at])) return TM_E_CORRUPT;
        if (head->state == DONE) return TM_OK;
    }
    *used = bytes.len;
    return TM_E_MORE;
}
