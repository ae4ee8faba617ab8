// aws_sign.c - see aws_sign.h.
#include "store/aws_sign.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define HASH_LEN         SHA256_DIGEST_LENGTH
#define YEAR_9999_END_MS UINT64_C(253402300800000) // later ones have five digits

typedef struct pair { // of the query, both escaped
    tm_span name, value;
} pair;

typedef struct signing {
    const tm_aws_keys *keys;
    const tm_aws_scope *scope;
    const tm_aws_request *request;
    const char *date;
    tm_aws_header headers[TM_AWS_HEADERS_MAX]; // sorted by name
    size_t headers_count;
    tm_buf canonical; // the canonical request
    tm_buf scratch;   // what it is made from
} signing;

static tm_span text(const char *literal) {
    return (tm_span){(const uint8_t *)literal, strlen(literal)};
}

// ---- bytes --------------------------------------------------------------------------

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool is_unreserved(uint8_t c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
           c == '-' || c == '.' || c == '_' || c == '~';
}

static void put_escaped(tm_buf *out, uint8_t c) {
    static const char digits[] = "0123456789ABCDEF";
    if (is_unreserved(c)) {
        tm_buf_byte(out, c);
        return;
    }
    tm_buf_byte(out, '%');
    tm_buf_byte(out, (uint8_t)digits[c >> 4]);
    tm_buf_byte(out, (uint8_t)digits[c & 15]);
}

static void put_hex(tm_buf *out, const uint8_t hash[HASH_LEN]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < HASH_LEN; i++) {
        tm_buf_byte(out, (uint8_t)digits[hash[i] >> 4]);
        tm_buf_byte(out, (uint8_t)digits[hash[i] & 15]);
    }
}

static int hex_digit(uint8_t c) { // -1: none
    if (c >= '0' && c <= '9') return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hash(tm_span bytes, uint8_t out[HASH_LEN]) {
    return EVP_Digest(bytes.ptr == NULL ? (const uint8_t *)"" : bytes.ptr,
                      bytes.len, out, NULL, EVP_sha256(), NULL) == 1;
}

static bool mac(tm_span key, tm_span bytes, uint8_t out[HASH_LEN]) {
    return HMAC(EVP_sha256(), key.ptr, (int)key.len, bytes.ptr, bytes.len, out,
                NULL) != NULL;
}

// ---- the path -----------------------------------------------------------------------

static void step_back(tm_buf *out, size_t begin) { // to before the last segment
    while (out->len > begin) {
        out->len--;
        if (out->ptr[out->len] == '/') return;
    }
}

// RFC 3986 5.2.4, and runs of slashes are one.
static void put_path(tm_buf *out, tm_span path) {
    size_t begin = out->len;
    bool folder = true; // does it end with a slash?
    for (size_t at = 0; at < path.len;) {
        size_t end = at;
        while (end < path.len && path.ptr[end] != '/') {
            end++;
        }
        tm_span part = {path.ptr + at, end - at};
        folder = end < path.len;
        at = end + 1;
        if (part.len == 0) continue;
        bool dots =
            part.len <= 2 && part.ptr[0] == '.' && part.ptr[part.len - 1] == '.';
        if (dots) {
            if (part.len == 2 && out->status == TM_OK) step_back(out, begin);
            folder = true;
            continue;
        }
        tm_buf_byte(out, '/');
        for (size_t i = 0; i < part.len; i++) {
            put_escaped(out, part.ptr[i]);
        }
    }
    if (folder || out->len == begin) tm_buf_byte(out, '/');
}

// ---- the query ----------------------------------------------------------------------

// `text` without its escapes, escaped anew: one spelling for all.
static tm_span respell(tm_buf *out, tm_span name) {
    size_t from = out->len;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        if (c == '%' && i + 2 < name.len) {
            int high = hex_digit(name.ptr[i + 1]), low = hex_digit(name.ptr[i + 2]);
            if (high >= 0 && low >= 0) {
                c = (uint8_t)(high << 4 | low);
                i += 2;
            }
        }
        put_escaped(out, c);
    }
    if (out->status != TM_OK) return (tm_span){NULL, 0};
    return (tm_span){out->ptr + from, out->len - from};
}

static int pair_cmp(const pair *a, const pair *b) {
    int names = tm_span_cmp(a->name, b->name);
    return names != 0 ? names : tm_span_cmp(a->value, b->value);
}

static void pair_insert(pair *pairs, size_t count, pair one) {
    size_t at = count;
    for (; at > 0 && pair_cmp(&one, &pairs[at - 1]) < 0; at--) {
        pairs[at] = pairs[at - 1];
    }
    pairs[at] = one;
}

static tm_status put_query(signing *s) {
    pair pairs[TM_AWS_QUERY_MAX];
    size_t count = 0;
    tm_span query = s->request->query;
    // An escape is at most three times as long, and then nothing moves.
    if (tm_buf_reserve(&s->scratch, 3 * query.len + 1) == NULL) return TM_E_NOMEM;
    for (size_t at = 0; at < query.len;) {
        size_t end = at;
        while (end < query.len && query.ptr[end] != '&') {
            end++;
        }
        size_t equals = at;
        while (equals < end && query.ptr[equals] != '=') {
            equals++;
        }
        size_t value = equals < end ? equals + 1 : end;
        if (end > at) {
            if (count == TM_AWS_QUERY_MAX) return TM_E_RANGE;
            pair one = {
                respell(&s->scratch, (tm_span){query.ptr + at, equals - at}),
                respell(&s->scratch, (tm_span){query.ptr + value, end - value})};
            pair_insert(pairs, count++, one);
        }
        at = end + 1;
    }
    for (size_t i = 0; i < count; i++) {
        if (i > 0) tm_buf_byte(&s->canonical, '&');
        tm_buf_put(&s->canonical, pairs[i].name);
        tm_buf_byte(&s->canonical, '=');
        tm_buf_put(&s->canonical, pairs[i].value);
    }
    return TM_OK;
}

// ---- the headers --------------------------------------------------------------------

static int name_cmp(tm_span a, tm_span b) {
    size_t shorter = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < shorter; i++) {
        int by = (int)lower(a.ptr[i]) - (int)lower(b.ptr[i]);
        if (by != 0) return by;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

static void header_add(signing *s, tm_span name, tm_span value) {
    size_t at = s->headers_count++;
    for (; at > 0 && name_cmp(name, s->headers[at - 1].name) < 0; at--) {
        s->headers[at] = s->headers[at - 1];
    }
    s->headers[at] = (tm_aws_header){name, value};
}

static bool is_again(const signing *s,
                     size_t i) { // the same name as the one before
    return i > 0 && name_cmp(s->headers[i].name, s->headers[i - 1].name) == 0;
}

static void put_lower(tm_buf *out, tm_span name) {
    for (size_t i = 0; i < name.len; i++) {
        tm_buf_byte(out, lower(name.ptr[i]));
    }
}

static void put_value(tm_buf *out, tm_span value) { // runs of spaces are one
    size_t from = 0, end = value.len;
    while (from < end && (value.ptr[from] == ' ' || value.ptr[from] == '\t')) {
        from++;
    }
    while (end > from &&
           (value.ptr[end - 1] == ' ' || value.ptr[end - 1] == '\t')) {
        end--;
    }
    for (size_t i = from; i < end; i++) {
        if (i > from && value.ptr[i] == ' ' && value.ptr[i - 1] == ' ') continue;
        tm_buf_byte(out, value.ptr[i]);
    }
}

static void put_headers(signing *s) {
    for (size_t i = 0; i < s->headers_count; i++) {
        if (is_again(s, i)) {
            tm_buf_byte(&s->canonical, ',');
        } else {
            if (i > 0) tm_buf_byte(&s->canonical, '\n');
            put_lower(&s->canonical, s->headers[i].name);
            tm_buf_byte(&s->canonical, ':');
        }
        put_value(&s->canonical, s->headers[i].value);
    }
    tm_buf_text(&s->canonical, "\n");
}

static void put_signed_names(const signing *s, tm_buf *out) {
    for (size_t i = 0; i < s->headers_count; i++) {
        if (is_again(s, i)) continue;
        if (i > 0) tm_buf_byte(out, ';');
        put_lower(out, s->headers[i].name);
    }
}

// ---- the signature ------------------------------------------------------------------

static void put_scope(const signing *s, tm_buf *out) {
    tm_buf_put(out, (tm_span){(const uint8_t *)s->date, 8});
    tm_buf_byte(out, '/');
    tm_buf_put(out, s->scope->region);
    tm_buf_byte(out, '/');
    tm_buf_put(out, s->scope->service);
    tm_buf_text(out, "/aws4_request");
}

static tm_status canonical_make(signing *s) {
    uint8_t body[HASH_LEN];
    const tm_aws_request *request = s->request;
    tm_buf_put(&s->canonical, request->method);
    tm_buf_byte(&s->canonical, '\n');
    put_path(&s->canonical, request->path);
    tm_buf_byte(&s->canonical, '\n');
    tm_status status = put_query(s);
    if (status != TM_OK) return status;
    tm_buf_byte(&s->canonical, '\n');
    put_headers(s);
    tm_buf_byte(&s->canonical, '\n');
    put_signed_names(s, &s->canonical);
    tm_buf_byte(&s->canonical, '\n');
    if (!hash(request->body, body)) return TM_E_NOMEM;
    put_hex(&s->canonical, body);
    return s->canonical.status;
}

static bool key_make(const signing *s, uint8_t key[HASH_LEN]) {
    uint8_t step[HASH_LEN];
    tm_span last = {step, HASH_LEN};
    tm_span day = {(const uint8_t *)s->date, 8};
    tm_span secret = tm_buf_span(&s->scratch); // "AWS4" and it
    bool fine = mac(secret, day, step) && mac(last, s->scope->region, key) &&
                mac((tm_span){key, HASH_LEN}, s->scope->service, step) &&
                mac(last, text("aws4_request"), key);
    OPENSSL_cleanse(step, sizeof step);
    return fine;
}

static tm_status signature_make(signing *s, uint8_t signature[HASH_LEN]) {
    uint8_t canonical[HASH_LEN], key[HASH_LEN];
    if (!hash(tm_buf_span(&s->canonical), canonical)) return TM_E_NOMEM;
    tm_buf_reset(&s->scratch);
    tm_buf_text(&s->scratch, "AWS4");
    tm_buf_put(&s->scratch, s->keys->secret);
    if (s->scratch.status != TM_OK || !key_make(s, key)) return TM_E_NOMEM;
    tm_buf_reset(&s->canonical); // now the string to sign
    tm_buf_text(&s->canonical, "AWS4-HMAC-SHA256\n");
    tm_buf_text(&s->canonical, s->date);
    tm_buf_byte(&s->canonical, '\n');
    put_scope(s, &s->canonical);
    tm_buf_byte(&s->canonical, '\n');
    put_hex(&s->canonical, canonical);
    bool fine =
        s->canonical.status == TM_OK &&
        mac((tm_span){key, HASH_LEN}, tm_buf_span(&s->canonical), signature);
    OPENSSL_cleanse(key, sizeof key);
    return fine ? TM_OK : TM_E_NOMEM;
}

static void put_authorization(const signing *s, const uint8_t signature[HASH_LEN],
                              tm_buf *out) {
    tm_buf_text(out, "AWS4-HMAC-SHA256 Credential=");
    tm_buf_put(out, s->keys->id);
    tm_buf_byte(out, '/');
    put_scope(s, out);
    tm_buf_text(out, ", SignedHeaders=");
    put_signed_names(s, out);
    tm_buf_text(out, ", Signature=");
    put_hex(out, signature);
}

static void scratch_forget(tm_buf *scratch) { // the secret was in it
    if (scratch->ptr != NULL) OPENSSL_cleanse(scratch->ptr, scratch->cap);
    tm_buf_deinit(scratch);
}

tm_status tm_aws_sign(const tm_aws_keys *keys, const tm_aws_scope *scope,
                      uint64_t wall_ms, const tm_aws_request *request,
                      char date[TM_AWS_DATE_LEN + 1], tm_buf *out) {
    struct tm when;
    time_t seconds = (time_t)(wall_ms / 1000);
    if (wall_ms >= YEAR_9999_END_MS || gmtime_r(&seconds, &when) == NULL) {
        return TM_E_RANGE;
    }
    if (request->headers_count > TM_AWS_HEADERS_MAX - 2) return TM_E_RANGE;
    if (strftime(date, TM_AWS_DATE_LEN + 1, "%Y%m%dT%H%M%SZ", &when) == 0) {
        return TM_E_RANGE;
    }
    signing s = {.keys = keys,
                 .scope = scope,
                 .request = request,
                 .date = date,
                 .canonical = {.alloc = out->alloc},
                 .scratch = {.alloc = out->alloc}};
    for (size_t i = 0; i < request->headers_count; i++) {
        header_add(&s, request->headers[i].name, request->headers[i].value);
    }
    header_add(&s, text("x-amz-date"), text(date));
    if (keys->token.len > 0) {
        header_add(&s, text("x-amz-security-token"), keys->token);
    }
    uint8_t signature[HASH_LEN];
    size_t before = out->len;
    tm_status status = canonical_make(&s);
    if (status == TM_OK) status = signature_make(&s, signature);
    if (status == TM_OK) {
        put_authorization(&s, signature, out);
        status = out->status;
        if (status != TM_OK) out->len = before;
    }
    scratch_forget(&s.scratch);
    tm_buf_deinit(&s.canonical);
    return status;
}
