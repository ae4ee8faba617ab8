// Chunked bodies: data out, smuggling refused. Each row is fed whole, cut in two at every
// byte, and byte by byte.
#include "net/chunk.h"
#include "t.h"

static const struct {
    const char *name, *sent;
    const char *data; // NULL = refused
    const char *rest; // behind the body, still there
} rows[] = {
    {"one chunk", "5\r\nhello\r\n0\r\n\r\nGET", "hello", "GET"},
    {"two", "5\r\nhello\r\nA\r\n, world!!!\r\n0\r\n\r\n", "hello, world!!!", ""},
    {"no data", "0\r\n\r\nX", "", "X"},
    {"zeros in front", "0000000000000003\r\nabc\r\n000\r\n\r\n", "abc", ""},
    {"small hex", "a\r\n0123456789\r\n0\r\n\r\n", "0123456789", ""},
    {"an extension", "3;name=\"value\" \t\r\nabc\r\n0;x\r\n\r\n", "abc", ""},
    {"data that looks like an end", "5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n", ""},

    {"17 digits", "00000000000000003\r\nabc\r\n0\r\n\r\n", NULL, ""},
    {"no digits", "\r\nabc\r\n", NULL, ""},
    {"no digits, and what looks like the end", "\r\n\r\n", NULL, ""},
    {"no digits, an extension", ";a\r\n\r\n", NULL, ""},
    {"a sign", "+3\r\nabc\r\n0\r\n\r\n", NULL, ""},
    {"0x", "0x3\r\nabc\r\n0\r\n\r\n", NULL, ""},
    {"a space behind the size", "3 \r\nabc\r\n0\r\n\r\n", NULL, ""},
    {"a space before it", " 3\r\nabc\r\n0\r\n\r\n", NULL, ""},
    {"bare LF behind the size", "3\nabc\r\n0\r\n\r\n", NULL, ""},
    {"CR and something else", "3\rXabc\r\n0\r\n\r\n", NULL, ""},
    {"bare LF in an extension", "3;a\nabc\r\n0\r\n\r\n", NULL, ""},
    {"bare CR in an extension", "3;a\rb\r\nabc\r\n0\r\n\r\n", NULL, ""},
    {"a control in an extension", "3;\x01\r\nabc\r\n0\r\n\r\n", NULL, ""},
    {"no CRLF behind the data", "3\r\nabc0\r\n\r\n", NULL, ""},
    {"LF alone behind the data", "3\r\nabc\n0\r\n\r\n", NULL, ""},
    {"two other bytes behind the data", "3\r\nabcXX0\r\n\r\n", NULL, ""},
    {"a trailer", "3\r\nabc\r\n0\r\nA: b\r\n\r\n", NULL, ""},
    {"LF alone at the end", "3\r\nabc\r\n0\r\n\n", NULL, ""},
    {"CR and something else at the end", "3\r\nabc\r\n0\r\n\rX", NULL, ""},
};

// Feeds `text` in runs that end at `cut` and then every `step` bytes.
static tm_status take(tm_span text, size_t cut, size_t step, uint8_t *data,
                      size_t *data_len, size_t *at) {
    tm_chunk chunk = {0};
    tm_status status = TM_E_MORE;
    *data_len = *at = 0;
    while (*at < text.len) {
        size_t end = *at < cut ? cut : *at + step;
        if (end > text.len) end = text.len;
        size_t used = 0;
        tm_span piece;
        status = tm_chunk_feed(&chunk, (tm_span){text.ptr + *at, end - *at}, &used,
                               &piece);
        *at += used;
        if (status == TM_E_CORRUPT || (status == TM_OK && chunk.over)) break;
        if (status == TM_OK) {
            memcpy(data + *data_len, piece.ptr, piece.len);
            *data_len += piece.len;
        }
    }
    return status;
}

static void test_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        tm_span text = t_str(rows[i].sent);
        for (size_t cut = 0; cut <= text.len; cut++) {
            uint8_t data[100];
            size_t len, at;
            tm_status status =
                take(text, cut, cut == 0 ? 1 : text.len, data, &len, &at);
            T_STATUS(status, rows[i].data == NULL ? TM_E_CORRUPT : TM_OK);
            if (rows[i].data == NULL) continue;
            T_SPAN(((tm_span){data, len}), t_str(rows[i].data));
            T_EQ(text.len - at, strlen(rows[i].rest));
        }
    }
}

static void test_bounds(void **state) {
    (void)state;
    t_row = "2^64-1 is told before its data";
    tm_chunk chunk = {0};
    tm_span data;
    size_t used;
    T_STATUS(tm_chunk_feed(&chunk, t_str("ffffffffffffffff\r\n"), &used, &data),
             TM_E_MORE);
    T_TRUE(chunk.left == UINT64_MAX);
    t_row = "extensions are bounded, over all chunks";
    chunk = (tm_chunk){0};
    size_t chunks = 0;
    tm_status status = TM_OK;
    while (status == TM_OK && chunks < 1000) {
        chunks++;
        status = tm_chunk_feed(&chunk, t_str("1;xxxxxxx\r\na"), &used, &data);
        if (status == TM_OK)
            T_STATUS(tm_chunk_feed(&chunk, t_str("\r\n"), &used, &data), TM_E_MORE);
    }
    T_STATUS(status, TM_E_CORRUPT);
    T_EQ(chunks, TM_CHUNK_EXTENSION_MAX / 7 + 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_bounds)};
    return cmocka_run_group_tests_name("chunk", tests, NULL, NULL);
}
