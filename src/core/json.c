// json.c - see json.h.
#include "core/json.h"

#include "core/sort.h"

#include <string.h>

// Up to here a new key is compared with each before it. Beyond, all keys of the object
// are sorted when it ends: no choice of keys makes that slow, as it could a hash.
#define KEYS_COMPARED_MAX 16u

struct tm_json_key {
    const uint8_t *ptr; // in the source or the arena
    uint32_t len;
    uint32_t at; // offset in the source, for the error
};

// ---- failing ------------------------------------------------------------------------

static tm_span nearest_member(const tm_json *in) {
    for (uint32_t depth = in->depth; depth-- > 0;) {
        if (in->level[depth].object && in->level[depth].key.ptr != NULL) {
            return in->level[depth].key;
        }
    }
    return (tm_span){NULL, 0};
}

static tm_status fail_at(tm_json *in, tm_status status, size_t offset,
                         const char *reason) {
    if (in->status != TM_OK) return in->status; // the first failure is the cause
    in->status = status;
    in->error = (tm_json_error){offset, reason, nearest_member(in)};
    return status;
}

static tm_status corrupt(tm_json *in, const char *reason) {
    return fail_at(in, TM_E_CORRUPT, in->at, reason);
}

static tm_status no_memory(tm_json *in) {
    return fail_at(in, TM_E_NOMEM, in->at, TM_WHY("out of memory"));
}

tm_status tm_json_fail(tm_json *in, const char *reason) {
    return fail_at(in, TM_E_CORRUPT, in->start, reason);
}

// ---- UTF-8 --------------------------------------------------------------------------

static bool is_tail(uint8_t byte) {
    return (byte & 0xc0) == 0x80;
}

// The length of the scalar value that begins at `p`, 0 if none does. RFC 3629, 4.
static size_t utf8_len(const uint8_t *p, size_t left) {
    uint8_t first = p[0];
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4 || left < 2) return 0;
    uint8_t low = 0x80, high = 0xbf; // what the second byte may be
    if (first == 0xe0) low = 0xa0;   // else there is a shorter form
    if (first == 0xed) high = 0x9f;  // else a surrogate
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f; // else beyond U+10FFFF
    if (p[1] < low || p[1] > high) return 0;
    if (first < 0xe0) return 2;
    if (left < 3 || !is_tail(p[2])) return 0;
    if (first < 0xf0) return 3;
    if (left < 4 || !is_tail(p[3])) return 0;
    return 4;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

bool tm_utf8_valid(tm_span text) {
    for (size_t at = 0; at < text.len;) {
        uint64_t word;
        if (text.len - at >= 8) {
            memcpy(&word, text.ptr + at, 8);
            if ((word & EACH(0x80)) == 0) {
                at += 8;
                continue;
            }
        }
        size_t len = utf8_len(text.ptr + at, text.len - at);
        if (len == 0) return false;
        at += len;
    }
    return true;
}

// ---- strings ------------------------------------------------------------------------

// How many of the bytes from `p` on are plain: ASCII, no control, no quote, no backslash.
// May stop early, never late.
static inline size_t plain_run(const uint8_t *p, size_t left) {
    size_t at = 0;
    while (!TM_BROWSER && left - at >= 8) {
        uint64_t word;
        memcpy(&word, p + at, 8);
        // A byte's high bit is set in one of these if it is not plain. A borrow can spoil
        // only the bytes above one that is not plain itself.
        uint64_t odd = word | (word - EACH(0x20)) | ((word ^ EACH('"')) - EACH(1)) |
                       ((word ^ EACH('\\')) - EACH(1));
        odd &= EACH(0x80);
        if (odd == 0) {
            at += 8;
            continue;
        }
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        return at + (size_t)__builtin_ctzll(odd) / 8;
#else
        break;
#endif
    }
    while (at < left && p[at] >= 0x20 && p[at] < 0x80 && p[at] != '"' &&
           p[at] != '\\') {
        at++;
    }
    return at;
}

// The value of four hex digits, -1 if they are none.
static int32_t hex4(const uint8_t *p, size_t left) {
    if (left < 4) return -1;
    int32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        uint8_t c = p[i], lower = c | 0x20;
        int32_t digit = c >= '0' && c <= '9'           ? c - '0'
                        : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10
                                                       : -1;
        if (digit < 0) return -1;
        value = value << 4 | digit;
    }
    return value;
}

// The length of the escape at `p`, which is a backslash; 0 if it is none. `code` receives
// the scalar value it stands for.
static size_t escape_len(const uint8_t *p, size_t left, uint32_t *code) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (left < 2) return 0;
    for (size_t i = 0; i < sizeof from - 1; i++) {
        if (p[1] != (uint8_t)from[i]) continue;
        *code = (uint8_t)to[i];
        return 2;
    }
    if (p[1] != 'u') return 0;
    int32_t high = hex4(p + 2, left - 2);
    if (high < 0) return 0;
    *code = (uint32_t)high;
    if (high < 0xd800 || high > 0xdfff) return 6;
    if (high > 0xdbff || left < 12 || p[6] != '\\' || p[7] != 'u') return 0;
    int32_t low = hex4(p + 8, left - 8);
    if (low < 0xdc00 || low > 0xdfff) return 0;
    *code = 0x10000 + ((uint32_t)(high - 0xd800) << 10 | (uint32_t)(low - 0xdc00));
    return 12;
}

static size_t utf8_put(uint8_t *to, uint32_t code) {
    if (code < 0x80) {
        to[0] = (uint8_t)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len; --i > 0; code >>= 6) {
        to[i] = (uint8_t)(0x80 | (code & 0x3f));
    }
    to[0] = (uint8_t)((0xf00u >> len & 0xf0u) | code);
    return len;
}

// Writes the text between the quotes, which was checked. It never gets longer.
static size_t unescape(uint8_t *to, tm_span text) {
    size_t len = 0;
    for (size_t at = 0; at < text.len;) {
        if (text.ptr[at] == '\\') {
            uint32_t code = 0;
            at += escape_len(text.ptr + at, text.len - at, &code);
            len += utf8_put(to + len, code);
        } else {
            to[len++] = text.ptr[at++];
        }
    }
    return len;
}

// The length of what stands in a string and is neither plain nor its end; 0 if nothing may
// stand there.
static size_t odd_len(const uint8_t *p, size_t left, bool *escaped) {
    uint32_t code;
    if (left == 0 || p[0] < 0x20) return 0;
    if (p[0] != '\\') return utf8_len(p, left);
    *escaped = true;
    return escape_len(p, left, &code);
}

// Why nothing may.
static const char *odd_why(const uint8_t *p, size_t left) {
    if (left == 0) return TM_WHY("the document ends early");
    if (p[0] < 0x20) return TM_WHY("control character in a string");
    if (p[0] != '\\') return TM_WHY("not UTF-8");
    bool hex = left > 2 && p[1] == 'u' && hex4(p + 2, left - 2) >= 0;
    return hex ? TM_WHY("unpaired surrogate") : TM_WHY("bad escape");
}

// Moves over the string that begins here. `inner` receives what is between its quotes.
// Inlined, so that the two words of `inner` stay in registers: written one by one and
// read as a pair, they cost more than the scan.
static inline tm_status string_scan(tm_json *in, tm_span *inner, bool *escaped) {
    const uint8_t *p = in->source.ptr;
    size_t end = in->source.len, first = in->at + 1, at = first;
    *escaped = false;
    for (;;) {
        at += plain_run(p + at, end - at);
        if (at < end && p[at] == '"') break;
        size_t len = odd_len(p + at, end - at, escaped);
        if (len == 0) {
            in->at = at; // for the error
            return corrupt(in, odd_why(p + at, end - at));
        }
        at += len;
    }
    *inner = (tm_span){p + first, at - first};
    in->at = at + 1;
    return TM_OK;
}

// `text` may be NULL.
static tm_status string_read(tm_json *in, tm_span *text) {
    bool escaped;
    tm_span inner;
    tm_status status = string_scan(in, &inner, &escaped);
    if (status != TM_OK || text == NULL) return status;
    if (escaped) {
        uint8_t *copy = tm_arena_get(in->arena, inner.len);
        if (copy == NULL) return no_memory(in);
        inner = (tm_span){copy, unescape(copy, inner)};
    }
    *text = inner;
    return TM_OK;
}

// ---- numbers ------------------------------------------------------------------------

// Moves over the integer that begins here.
static tm_status int_scan(tm_json *in, bool *negative, uint64_t *number) {
    const uint8_t *p = in->source.ptr;
    size_t end = in->source.len, at = in->at;
    *negative = p[at] == '-';
    if (*negative) at++;
    size_t first = at;
    uint64_t value = 0;
    for (; at < end && p[at] >= '0' && p[at] <= '9'; at++) {
        uint64_t digit = (uint64_t)(p[at] - '0');
        if (value >= UINT64_MAX / 10 &&
            (value > UINT64_MAX / 10 || digit > UINT64_MAX % 10)) {
            return corrupt(in, TM_WHY("number past 2^64-1"));
        }
        value = value * 10 + digit;
    }
    if (at == first) return corrupt(in, TM_WHY("not a number"));
    if (p[first] == '0' && at - first > 1)
        return corrupt(in, TM_WHY("leading zero"));
    if (*negative && value == 0) return corrupt(in, TM_WHY("negative zero"));
    if (at < end && (p[at] == '.' || p[at] == 'e' || p[at] == 'E')) {
        return corrupt(in, TM_WHY("not an integer literal"));
    }
    in->at = at;
    *number = value;
    return TM_OK;
}

// ---- values -------------------------------------------------------------------------

static inline void space_skip(tm_json *in) {
    const uint8_t *p = in->source.ptr;
    size_t at = in->at, end = in->source.len;
    while (at < end &&
           (p[at] == ' ' || p[at] == '\n' || p[at] == '\t' || p[at] == '\r')) {
        at++;
    }
    in->at = at;
}

TM_CALLED void tm_json_init(tm_json *in, tm_span source, uint32_t depth_max,
                            tm_arena *arena) {
    TM_ASSERT(depth_max <= TM_JSON_DEPTH_MAX);
    *in = (tm_json){.source = source, .arena = arena, .depth_max = depth_max};
    if (source.len > UINT32_MAX) (void)corrupt(in, TM_WHY("document too long"));
}

// What a value is, by its first byte. END = no value begins so.
static tm_json_kind kind_of(uint8_t first) {
    switch (first) {
    case '"':
        return TM_JSON_STRING;
    case '{':
        return TM_JSON_OBJECT;
    case '[':
        return TM_JSON_ARRAY;
    case 't':
    case 'f':
        return TM_JSON_BOOL;
    case 'n':
        return TM_JSON_NULL;
    default:
        return first == '-' || (first >= '0' && first <= '9') ? TM_JSON_INT
                                                              : TM_JSON_END;
    }
}

tm_json_kind tm_json_peek(tm_json *in) {
    if (in->status != TM_OK) return TM_JSON_END;
    space_skip(in);
    in->start = in->at;
    if (in->at == in->source.len) {
        if (in->depth > 0) (void)corrupt(in, TM_WHY("the document ends early"));
        return TM_JSON_END;
    }
    tm_json_kind kind = kind_of(in->source.ptr[in->at]);
    if (kind == TM_JSON_END) (void)corrupt(in, TM_WHY("not a JSON value"));
    return kind;
}

// The value that comes next must be of this kind.
static tm_status expect(tm_json *in, tm_json_kind kind) {
    if (!TM_BROWSER && in->status == TM_OK && in->at < in->source.len &&
        kind_of(in->source.ptr[in->at]) == kind) { // nearly always
        in->start = in->at;
        return TM_OK;
    }
    static const char *const reasons[] = {
        [TM_JSON_END] = TM_WHY("expected the end"),
        [TM_JSON_NULL] = TM_WHY("expected null"),
        [TM_JSON_BOOL] = TM_WHY("expected true or false"),
        [TM_JSON_INT] = TM_WHY("expected an integer"),
        [TM_JSON_STRING] = TM_WHY("expected a string"),
        [TM_JSON_ARRAY] = TM_WHY("expected an array"),
        [TM_JSON_OBJECT] = TM_WHY("expected an object"),
    };
    tm_json_kind found = tm_json_peek(in);
    if (found == kind) return in->status;
    return corrupt(in,
                   TM_BROWSER ? TM_WHY("") : reasons[kind]); // there, all are one
}

static bool literal_skip(tm_json *in, tm_span literal) {
    if (in->source.len - in->at < literal.len) return false;
    if (memcmp(in->source.ptr + in->at, literal.ptr, literal.len) != 0)
        return false;
    in->at += literal.len;
    return true;
}

tm_status tm_json_string(tm_json *in, tm_span *text) {
    tm_status status = expect(in, TM_JSON_STRING);
    return status == TM_OK ? string_read(in, text) : status;
}

tm_status tm_json_u64(tm_json *in, uint64_t *number) {
    bool negative;
    uint64_t value;
    tm_status status = expect(in, TM_JSON_INT);
    if (status == TM_OK) status = int_scan(in, &negative, &value);
    if (status != TM_OK) return status;
    if (negative) return tm_json_fail(in, TM_WHY("negative"));
    *number = value;
    return TM_OK;
}

tm_status tm_json_bool(tm_json *in, bool *value) {
    static const tm_span yes = TM_LIT("true"), no = TM_LIT("false");
    tm_status status = expect(in, TM_JSON_BOOL);
    if (status != TM_OK) return status;
    bool is_true = literal_skip(in, yes);
    if (!is_true && !literal_skip(in, no))
        return corrupt(in, TM_WHY("not a JSON value"));
    *value = is_true;
    return TM_OK;
}

tm_status tm_json_null(tm_json *in) {
    static const tm_span null = TM_LIT("null");
    tm_status status = expect(in, TM_JSON_NULL);
    if (status != TM_OK) return status;
    return literal_skip(in, null) ? TM_OK : corrupt(in, TM_WHY("not a JSON value"));
}

// ---- objects and arrays -------------------------------------------------------------

tm_status tm_json_open(tm_json *in, tm_json_kind kind) {
    TM_ASSERT(kind == TM_JSON_OBJECT || kind == TM_JSON_ARRAY);
    tm_status status = expect(in, kind);
    if (status != TM_OK) return status;
    if (in->depth == in->depth_max) return corrupt(in, TM_WHY("nested too deep"));
    struct tm_json_level *level = &in->level[in->depth++];
    level->count = 0;
    level->object = kind == TM_JSON_OBJECT;
    level->key = (tm_span){NULL, 0};
    level->seen = 0; // the room for keys is kept for the next object of this depth
    if (in->depth > in->deepest) in->deepest = in->depth;
    in->at++;
    return TM_OK;
}

static int key_cmp(const void *a, const void *b) {
    const struct tm_json_key *x = a, *y = b;
    return tm_span_cmp((tm_span){x->ptr, x->len}, (tm_span){y->ptr, y->len});
}

static bool duplicate(tm_json *in, const struct tm_json_key *key) {
    in->level[in->depth - 1].key = (tm_span){key->ptr, key->len};
    (void)fail_at(in, TM_E_CORRUPT, key->at, TM_WHY("duplicate key"));
    return false;
}

static bool keys_grow(tm_json *in, struct tm_json_level *level) {
    size_t cap = level->keys_cap == 0 ? KEYS_COMPARED_MAX : 2 * level->keys_cap;
    struct tm_json_key *keys = tm_arena_get(in->arena, cap * sizeof *keys);
    if (keys == NULL) {
        (void)no_memory(in);
        return false;
    }
    if (level->count > 0) memcpy(keys, level->keys, level->count * sizeof *keys);
    level->keys = keys;
    level->keys_cap = cap;
    return true;
}

// Remembers a key, and finds it among the first few.
static inline bool key_add(tm_json *in, struct tm_json_level *level,
                           const tm_span *text, size_t at) {
    if (level->count == level->keys_cap && !keys_grow(in, level)) return false;
    struct tm_json_key *key = &level->keys[level->count];
    *key = (struct tm_json_key){text->ptr, (uint32_t)text->len, (uint32_t)at};

    uint32_t look = 0; // all different for the members of an operation
    if (key->len > 0) look = 7u * key->len + key->ptr[0] + key->ptr[key->len - 1];
    uint64_t bit = UINT64_C(1) << (look & 63);
    if ((level->seen & bit) != 0 && level->count < KEYS_COMPARED_MAX) {
        for (uint32_t i = 0; i < level->count; i++) {
            const struct tm_json_key *other = &level->keys[i];
            if (other->len == key->len &&
                memcmp(other->ptr, key->ptr, key->len) == 0) {
                return duplicate(in, key);
            }
        }
    }
    level->seen |= bit;
    level->count++;
    return true;
}

// At the end of an object of many keys.
static bool keys_differ(tm_json *in, const struct tm_json_level *level) {
    const void **sorted = tm_arena_get(in->arena, level->count * sizeof *sorted);
    if (sorted == NULL) {
        (void)no_memory(in);
        return false;
    }
    for (uint32_t i = 0; i < level->count; i++) {
        sorted[i] = &level->keys[i];
    }
    tm_sort(sorted, level->count, key_cmp);
    for (uint32_t i = 1; i < level->count; i++) {
        const struct tm_json_key *a = sorted[i - 1], *b = sorted[i];
        if (key_cmp(a, b) == 0) return duplicate(in, a->at > b->at ? a : b);
    }
    return true;
}

// Moves to the next member or element: over the comma, if one is due. False at the end.
static inline bool item_next(tm_json *in, struct tm_json_level *level,
                             uint8_t end) {
    space_skip(in);
    in->start = in->at;
    if (in->at == in->source.len) {
        (void)corrupt(in, TM_WHY("the document ends early"));
        return false;
    }
    uint8_t byte = in->source.ptr[in->at];
    if (byte == end) {
        in->at++;
        return false;
    }
    if (level->count > 0) {
        if (byte != ',') {
            (void)corrupt(in, level->object ? TM_WHY("expected , or }")
                                            : TM_WHY("expected , or ]"));
            return false;
        }
        in->at++;
        space_skip(in);
    }
    return true;
}

bool tm_json_member(tm_json *in, tm_span *key) {
    if (in->status != TM_OK) return false;
    TM_ASSERT(in->depth > 0 && in->level[in->depth - 1].object);
    struct tm_json_level *level = &in->level[in->depth - 1];
    if (!item_next(in, level, '}')) {
        if (in->status != TM_OK) return false;
        if (level->count > KEYS_COMPARED_MAX && !keys_differ(in, level))
            return false;
        in->depth--;
        return false;
    }
    in->start = in->at;
    if (in->at == in->source.len || in->source.ptr[in->at] != '"') {
        (void)corrupt(in, TM_WHY("expected a key"));
        return false;
    }
    size_t at = in->at;
    // Straight to the caller, and word by word from there: a pair that was just written
    // as two words and is read as one waits until they have reached the cache.
    if (string_read(in, key) != TM_OK) return false;
    level->key.ptr = key->ptr;
    level->key.len = key->len;
    if (!key_add(in, level, key, at)) return false;
    space_skip(in);
    if (in->at == in->source.len || in->source.ptr[in->at] != ':') {
        (void)corrupt(in, TM_WHY("expected :"));
        return false;
    }
    in->at++;
    return true;
}

bool tm_json_element(tm_json *in) {
    if (in->status != TM_OK) return false;
    TM_ASSERT(in->depth > 0 && !in->level[in->depth - 1].object);
    struct tm_json_level *level = &in->level[in->depth - 1];
    if (!item_next(in, level, ']')) {
        if (in->status == TM_OK) in->depth--;
        return false;
    }
    level->count++;
    return true;
}

// ---- skipping -----------------------------------------------------------------------

// Over a value without parts, or into one that has them.
static tm_status value_enter(tm_json *in) {
    bool is;
    uint64_t number;
    tm_json_kind kind = tm_json_peek(in);
    switch (kind) {
    case TM_JSON_NULL:
        return tm_json_null(in);
    case TM_JSON_BOOL:
        return tm_json_bool(in, &is);
    case TM_JSON_INT:
        return int_scan(in, &is, &number);
    case TM_JSON_STRING:
        return string_read(in, NULL);
    case TM_JSON_ARRAY:
    case TM_JSON_OBJECT:
        return tm_json_open(in, kind);
    default:
        return corrupt(in, TM_WHY("expected a value"));
    }
}

tm_status tm_json_skip(tm_json *in, tm_span *raw) {
    (void)tm_json_peek(in);
    size_t first = in->at;
    uint32_t outside = in->depth;
    do {
        tm_status status = value_enter(in);
        if (status != TM_OK) return status;
        // To where the next value begins, out of all that end before it.
        while (in->depth > outside) {
            tm_span key;
            bool more = in->level[in->depth - 1].object ? tm_json_member(in, &key)
                                                        : tm_json_element(in);
            if (in->status != TM_OK) return in->status;
            if (more) break;
        }
    } while (in->depth > outside);
    in->start = first;
    if (raw != NULL) *raw = (tm_span){in->source.ptr + first, in->at - first};
    return TM_OK;
}

tm_status tm_json_end(tm_json *in) {
    if (in->status != TM_OK) return in->status;
    TM_ASSERT(in->depth == 0);
    space_skip(in);
    if (in->at < in->source.len)
        return corrupt(in, TM_WHY("more behind the document"));
    return TM_OK;
}
