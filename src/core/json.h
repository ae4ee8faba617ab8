// json.h - a strict JSON reader that pulls: the caller says what it expects next.
//
// RFC 8259 and no more: UTF-8 only, no duplicate keys in any object (compared after
// unescaping), no unpaired surrogates, no control characters in strings, integer
// literals only (`1.0`, `1e3`, `-0`, leading zeros and numbers past 2^64-1 are refused;
// a negative integer is well-formed but fits no member of ours), nothing behind the
// document. Depth is bounded and nothing recurses. SEMANTICS 8.
//
// Strings without escapes are lent from the source; others are unescaped into the
// reader's arena. Numbers never pass through a double.
//
// On failure `error` says where and, if known, at which member: `member` is the nearest
// key on the way there ("operations" for an array's element), lent.
//
// Knows core/alloc.h, core/buf.h.
#ifndef TM_CORE_JSON_H
#define TM_CORE_JSON_H

#include "core/buf.h"

#define TM_JSON_DEPTH_MAX 16u // what the reader itself can follow

// TM_WHY - a reason is a literal in one of these. Where a browser loads the module, all
// are one: what it reads is written by programs, and their texts would be a tenth of it.
#if TM_BROWSER
#define TM_WHY(text) "malformed"
#else
#define TM_WHY(text) text
#endif

typedef enum tm_json_kind {
    TM_JSON_END, // the document is over
    TM_JSON_NULL,
    TM_JSON_BOOL,
    TM_JSON_INT, // a plain integer literal
    TM_JSON_STRING,
    TM_JSON_ARRAY,
    TM_JSON_OBJECT,
} tm_json_kind;

typedef struct tm_json_error {
    size_t offset; // bytes from the start of the document
    const char
        *reason; // a literal: "duplicate key", "not UTF-8", "nested too deep", ...
    tm_span member; // lent; empty = the document itself
} tm_json_error;

typedef struct tm_json {
    tm_span source;  // keeps
    tm_arena *arena; // keeps: unescaped strings, sets of keys
    size_t at;       // next byte to read
    size_t start;    // where the value looked at last begins
    uint32_t depth, depth_max;
    uint32_t
        deepest; // greatest depth so far; a caller may lower it to measure a value
    tm_status status; // TM_OK, TM_E_CORRUPT, TM_E_NOMEM: sticky
    tm_json_error error;
    // The rest is the reader's own.
    struct tm_json_level {
        uint32_t count; // members or elements begun
        bool object;
        tm_span key; // the member being read
        uint64_t
            seen; // a bit for each kind of key so far: a clear one means a new key
        struct tm_json_key *keys; // all of them, in the arena
        size_t keys_cap;
    } level[TM_JSON_DEPTH_MAX];
} tm_json;

// tm_json_init - start reading. `depth_max` at most TM_JSON_DEPTH_MAX; the outermost
// array or object is depth 1.
void tm_json_init(tm_json *in, tm_span source, uint32_t depth_max, tm_arena *arena);

// tm_json_peek - what comes next, without moving. On a failed reader: TM_JSON_END.
tm_json_kind tm_json_peek(tm_json *in);

// Each of these reads one value of its kind; another kind is TM_E_CORRUPT with reason
// "expected a string" and the like.
TM_MUST_USE tm_status tm_json_string(tm_json *in, tm_span *text);
TM_MUST_USE tm_status tm_json_u64(tm_json *in, uint64_t *number);
TM_MUST_USE tm_status tm_json_bool(tm_json *in, bool *value);
TM_MUST_USE tm_status tm_json_null(tm_json *in);

// tm_json_open - step into an object or array; then tm_json_member / tm_json_element
// until they answer false, which also steps out.
TM_MUST_USE tm_status tm_json_open(tm_json *in, tm_json_kind kind);
bool tm_json_member(tm_json *in,
                    tm_span *key); // false: end of the object, or failed
bool tm_json_element(tm_json *in); // false: end of the array, or failed

// tm_json_skip - read over one value of any kind, checking all of it.
//   raw   receives its bytes, lent from the source; may be NULL
TM_MUST_USE tm_status tm_json_skip(tm_json *in, tm_span *raw);

// tm_json_end - nothing but white space may follow. Returns the sticky status.
TM_MUST_USE tm_status tm_json_end(tm_json *in);

// tm_json_fail - the caller refuses what it just read: sets status TM_E_CORRUPT and
// error with `reason` (keeps: a literal) at the current member, unless failed before.
tm_status tm_json_fail(tm_json *in, const char *reason);

// tm_json_kept - for a status that is asked for later: the reader keeps the first failure,
// everything after it does nothing, and no member or element comes any more.
static inline void tm_json_kept(tm_status status) {
    (void)status;
}

// tm_utf8_valid - RFC 3629: shortest form, no surrogates, at most U+10FFFF.
bool tm_utf8_valid(tm_span text);

#endif
