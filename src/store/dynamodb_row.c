// dynamodb_row.c - see dynamodb_row.h.
#include "store/dynamodb_row.h"

#include <openssl/evp.h>
#include <string.h>

#define USUAL_LIST "selected-images"

static tm_span text(const char *from) {
    return (tm_span){(const uint8_t *)from, strlen(from)};
}

static bool same(tm_span a, const char *b) {
    return tm_span_cmp(a, text(b)) == 0;
}

// ---- keys ---------------------------------------------------------------------------

static void part_put(tm_buf *out, tm_span part) {
    static const char digits[] = "0123456789ABCDEF";
    bool is_text = tm_utf8_valid(part);
    for (size_t i = 0; i < part.len; i++) {
        uint8_t c = part.ptr[i];
        if (c >= 0x20 && c != '%' && c != '#' && c != 0x7f &&
            (c < 0x80 || is_text)) {
            tm_buf_byte(out, c);
            continue;
        }
        tm_buf_byte(out, '%');
        tm_buf_byte(out, (uint8_t)digits[c >> 4]);
        tm_buf_byte(out, (uint8_t)digits[c & 15]);
    }
}

void tm_dynamodb_user_id_put(tm_buf *out, tm_key key) {
    part_put(out, key.user);
    if (same(key.list, USUAL_LIST)) return;
    tm_buf_byte(out, '#');
    part_put(out, key.list);
}

static int hex_digit(uint8_t c) { // ours are in upper case
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool part_read(tm_span part, uint8_t *room, size_t max, size_t *len) {
    *len = 0;
    for (size_t i = 0; i < part.len; i++) {
        uint8_t c = part.ptr[i];
        if (c == '%') {
            if (part.len - i < 3) return false;
            int high = hex_digit(part.ptr[i + 1]), low = hex_digit(part.ptr[i + 2]);
            if (high < 0 || low < 0) return false;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (*len == max) return false;
        room[(*len)++] = c;
    }
    return *len > 0;
}

bool tm_dynamodb_user_id_read(tm_span user_id,
                              uint8_t room[TM_DYNAMODB_USER_ID_MAX + 16],
                              tm_key *key) {
    const uint8_t *hash =
        user_id.len == 0 ? NULL : memchr(user_id.ptr, '#', user_id.len);
    size_t user_len = hash == NULL ? user_id.len : (size_t)(hash - user_id.ptr);
    size_t used, len;
    if (!part_read((tm_span){user_id.ptr, user_len}, room, 128, &used))
        return false;
    key->user = (tm_span){room, used};
    key->list = text(USUAL_LIST);
    if (hash == NULL) return true;
    tm_span rest = {hash + 1, user_id.len - user_len - 1};
    if (!part_read(rest, room + used, 64, &len)) return false;
    key->list = (tm_span){room + used, len};
    return true;
}

void tm_dynamodb_seq_put(tm_buf *out, uint64_t seq) {
    uint8_t digits[18];
    digits[0] = digits[17] = '"';
    for (size_t i = 16; i > 0; i--) {
        digits[i] = (uint8_t)('0' + seq % 10);
        seq /= 10;
    }
    tm_buf_put(out, (tm_span){digits, sizeof digits});
}

// ---- values -------------------------------------------------------------------------

static void name_put(tm_buf *out, const char *name, const char *type) {
    tm_buf_json(out, text(name));
    tm_buf_text(out, ":{\"");
    tm_buf_text(out, type);
    tm_buf_text(out, "\":");
}

void tm_dynamodb_binary_put(tm_buf *out, const char *name, tm_span bytes) {
    name_put(out, name, "B");
    tm_buf_byte(out, '"');
    size_t len = (bytes.len + 2) / 3 * 4;
    uint8_t *to = tm_buf_reserve(out, len + 1); // and a NUL
    if (to != NULL && bytes.len > 0) {
        (void)EVP_EncodeBlock(to, bytes.ptr, (int)bytes.len);
        out->len += len;
    }
    tm_buf_text(out, "\"}");
}

void tm_dynamodb_bytes_put(tm_buf *out, const char *name, tm_span bytes) {
    if (!tm_utf8_valid(bytes)) {
        tm_dynamodb_binary_put(out, name, bytes);
        return;
    }
    name_put(out, name, "S");
    tm_buf_json(out, bytes);
    tm_buf_byte(out, '}');
}

void tm_dynamodb_number_put(tm_buf *out, const char *name, uint64_t number) {
    name_put(out, name, "N");
    tm_buf_byte(out, '"');
    tm_buf_u64(out, number);
    tm_buf_text(out, "\"}");
}

static tm_span binary_decode(tm_json *in, tm_span coded) {
    if (coded.len % 4 != 0 || coded.len > INT32_MAX) {
        (void)tm_json_fail(in, "not base64");
        return (tm_span){NULL, 0};
    }
    uint8_t *bytes = tm_arena_get(in->arena, coded.len / 4 * 3 + 1);
    if (bytes == NULL) {
        in->status = TM_E_NOMEM;
        return (tm_span){NULL, 0};
    }
    int len =
        coded.len == 0 ? 0 : EVP_DecodeBlock(bytes, coded.ptr, (int)coded.len);
    if (len < 0 || (size_t)len != coded.len / 4 * 3) {
        (void)tm_json_fail(in, "not base64");
        return (tm_span){NULL, 0};
    }
    size_t padding = 0;
    while (padding < 2 && padding < coded.len &&
           coded.ptr[coded.len - 1 - padding] == '=') {
        padding++;
    }
    return (tm_span){bytes, (size_t)len - padding};
}

tm_span tm_dynamodb_value_read(tm_json *in) {
    tm_span type, value = {NULL, 0};
    size_t count = 0;
    tm_json_kept(tm_json_open(in, TM_JSON_OBJECT));
    while (tm_json_member(in, &type)) {
        if (count++ > 0 ||
            (!same(type, "S") && !same(type, "N") && !same(type, "B"))) {
            (void)tm_json_fail(in, "expected one of S, N, B");
            break;
        }
        bool binary = same(type, "B");
        tm_json_kept(tm_json_string(in, &value));
        if (binary && in->status == TM_OK) value = binary_decode(in, value);
    }
    if (count == 0 && in->status == TM_OK) (void)tm_json_fail(in, "no value");
    return in->status == TM_OK ? value : (tm_span){NULL, 0};
}

bool tm_dynamodb_number(tm_span digits, uint64_t *number) {
    uint64_t sum = 0;
    if (digits.len == 0 || digits.len > 19) return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9') return false;
        sum = sum * 10 + (uint64_t)(digits.ptr[i] - '0');
    }
    *number = sum;
    return true;
}

// ---- a row --------------------------------------------------------------------------

void tm_dynamodb_row_put(tm_buf *out, tm_key key, const tm_batch *batch,
                         const uint8_t batch_id[TM_DYNAMODB_BATCH_ID_LEN]) {
    tm_buf user = {.alloc = out->alloc};
    tm_dynamodb_user_id_put(&user, key);
    if (user.status != TM_OK) out->status = TM_E_NOMEM;
    tm_buf_byte(out, '{');
    tm_dynamodb_bytes_put(out, "user_id", tm_buf_span(&user));
    tm_buf_deinit(&user);
    tm_buf_text(out, ",\"" TM_DYNAMODB_OPERATION_ID "\":{\"S\":");
    tm_dynamodb_seq_put(out, batch->first_seq);
    tm_buf_text(out, "},");
    tm_dynamodb_number_put(out, "timestamp", batch->accepted_ms);
    tm_buf_byte(out, ',');
    tm_dynamodb_number_put(out, "firstVersion", batch->first_seq);
    tm_buf_byte(out, ',');
    tm_dynamodb_number_put(out, "lastVersion", batch->last_seq);
    tm_buf_byte(out, ',');
    tm_dynamodb_binary_put(out, "markBefore",
                           (tm_span){batch->before, TM_MARK_LEN});
    tm_buf_byte(out, ',');
    tm_dynamodb_binary_put(out, "mark", (tm_span){batch->mark, TM_MARK_LEN});
    tm_buf_byte(out, ',');
    tm_dynamodb_binary_put(out, "batchId",
                           (tm_span){batch_id, TM_DYNAMODB_BATCH_ID_LEN});
    if (batch->rejected.len > 0) {
        tm_buf_byte(out, ',');
        tm_dynamodb_bytes_put(out, "rejected", batch->rejected);
    }
    tm_buf_byte(out, ',');
    tm_dynamodb_bytes_put(out, "operation", batch->operations);
    tm_buf_byte(out, '}');
}

static void mark_take(tm_json *in, tm_span value, uint8_t mark[TM_MARK_LEN]) {
    if (value.len == TM_MARK_LEN) {
        memcpy(mark, value.ptr, TM_MARK_LEN);
    } else {
        (void)tm_json_fail(in, "not a mark");
    }
}

void tm_dynamodb_row_read(tm_json *in, tm_dynamodb_row *row) {
    tm_span key, id = {NULL, 0};
    uint64_t first = 0;
    bool numbers = true;
    memset(row, 0, sizeof *row);
    row->batch.rejected = row->batch.operations = (tm_span){(const uint8_t *)"", 0};
    tm_json_kept(tm_json_open(in, TM_JSON_OBJECT));
    while (tm_json_member(in, &key)) {
        tm_batch *batch = &row->batch;
        if (!same(key, "user_id") && !same(key, TM_DYNAMODB_OPERATION_ID) &&
            !same(key, "timestamp") && !same(key, "firstVersion") &&
            !same(key, "lastVersion") && !same(key, "markBefore") &&
            !same(key, "mark") && !same(key, "batchId") && !same(key, "rejected") &&
            !same(key, "operation")) {
            tm_json_kept(tm_json_skip(in, NULL)); // somebody else's column
            continue;
        }
        tm_span value = tm_dynamodb_value_read(in);
        if (in->status != TM_OK) return;
        if (same(key, "user_id")) row->user_id = value;
        if (same(key, TM_DYNAMODB_OPERATION_ID)) id = value;
        if (same(key, "timestamp")) {
            numbers &= tm_dynamodb_number(value, &batch->accepted_ms);
        }
        if (same(key, "firstVersion")) numbers &= tm_dynamodb_number(value, &first);
        if (same(key, "lastVersion")) {
            numbers &= tm_dynamodb_number(value, &batch->last_seq);
        }
        if (same(key, "markBefore")) mark_take(in, value, batch->before);
        if (same(key, "mark")) mark_take(in, value, batch->mark);
        if (same(key, "batchId")) row->batch_id = value;
        if (same(key, "rejected")) batch->rejected = value;
        if (same(key, "operation")) batch->operations = value;
    }
    numbers &= tm_dynamodb_number(id, &row->batch.first_seq) && id.len == 16;
    if (in->status == TM_OK && (!numbers || row->batch.first_seq == 0 ||
                                (first != 0 && first != row->batch.first_seq) ||
                                row->batch.last_seq < row->batch.first_seq)) {
        (void)tm_json_fail(in, "not a row of ours");
    }
}
