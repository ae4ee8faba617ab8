// alloc.h and buf.h: what they promise when memory is there, and when it is refused.
#include "core/buf.h"
#include "t.h"

static void test_alloc_zeroes(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    uint8_t *bytes = tm_alloc_get(&alloc, 100);
    assert_non_null(bytes);
    for (size_t i = 0; i < 100; i++) {
        T_EQ(bytes[i], 0);
    }
    tm_alloc_put(&alloc, bytes, 100);
    tm_alloc_put(&alloc, NULL, 0);
    void *nothing = tm_alloc_get(&alloc, 0); // still an address of its own
    assert_non_null(nothing);
    tm_alloc_put(&alloc, nothing, 0);
    T_EQ(memory.live, 0);
    memory.fail_at = memory.requests + 1;
    assert_null(tm_alloc_get(&alloc, 1));
}

static void test_arena_keeps_content(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    uint8_t *blocks[200];
    for (size_t i = 0; i < COUNT(blocks); i++) {
        blocks[i] = tm_arena_get(&arena, i * 7);
        assert_non_null(blocks[i]);
        T_EQ((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)i, i * 7);
    }
    for (size_t i = 0; i < COUNT(blocks); i++) {
        for (size_t at = 0; at < i * 7; at++) {
            T_EQ(blocks[i][at], (uint8_t)i);
        }
    }
    tm_arena_deinit(&arena);
    tm_arena_deinit(&arena); // twice is fine
    tm_arena_deinit(NULL);
    T_EQ(memory.live, 0);
}

// After the second request of a size, the next allocates nothing.
static void test_arena_reset_keeps_enough(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    tm_arena_reset(&arena); // of an empty one
    for (int round = 0; round < 4; round++) {
        size_t before = memory.requests;
        for (size_t i = 0; i < 300; i++) {
            assert_non_null(tm_arena_get(&arena, 999));
        }
        if (round > 1) T_EQ(memory.requests, before);
        tm_arena_reset(&arena);
        T_EQ(memory.live, 1);
    }
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

static void test_arena_copy(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    tm_span copy = t_str("before");
    memory.fail_at = 1;
    T_STATUS(tm_arena_copy(&arena, t_str("text"), &copy), TM_E_NOMEM);
    T_TEXT(copy, "before");
    T_OK(tm_arena_copy(&arena, t_str("text"), &copy));
    T_TEXT(copy, "text");
    T_OK(tm_arena_copy(&arena, t_str(""), &copy));
    T_TRUE(copy.ptr != NULL && copy.len == 0);
    T_OK(tm_arena_copy(&arena, (tm_span){NULL, 0}, &copy));
    T_TRUE(copy.ptr == NULL);
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

static void test_arena_refused(void **state) {
    (void)state;
    t_memory memory = {.fail_at = 2, .fail_after = true};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    assert_null(tm_arena_get(&arena, SIZE_MAX));
    assert_null(tm_arena_get(&arena, SIZE_MAX - 8));
    T_EQ(memory.requests, 0);
    while (tm_arena_get(&arena, 1000) != NULL) {
    }
    assert_non_null(tm_arena_get(&arena, 16)); // the block still has room for this
    tm_arena_reset(&arena);
    assert_non_null(tm_arena_get(&arena, 1000));
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

// ---- buf ----------------------------------------------------------------------------

static const struct {
    const char *name, *text;
    size_t len;
    const char *want;
} strings[] = {
    {"empty", "", 0, "\"\""},
    {"plain", "abc", 3, "\"abc\""},
    {"quote and backslash", "a\"b\\c", 5, "\"a\\\"b\\\\c\""},
    {"slash stays", "/", 1, "\"/\""},
    {"short escapes", "\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
    {"other controls", "\0\x01\x1f", 3, "\"\\u0000\\u0001\\u001f\""},
    {"DEL and UTF-8 stay", "\x7f\xc3\xa9\xf0\x9f\x93\xb7", 7,
     "\"\x7f\xc3\xa9\xf0\x9f\x93\xb7\""},
    {"escape first and last", "\nx\n", 3, "\"\\nx\\n\""},
};

static void test_buf_json(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    for (size_t i = 0; i < COUNT(strings); i++) {
        t_row = strings[i].name;
        tm_buf buf = {.alloc = &alloc};
        tm_buf_json(&buf,
                    (tm_span){(const uint8_t *)strings[i].text, strings[i].len});
        T_OK(buf.status);
        T_TEXT(tm_buf_span(&buf), strings[i].want);
        tm_buf_deinit(&buf);
    }
    T_EQ(memory.live, 0);
}

static const struct {
    uint64_t number;
    const char *want;
} numbers[] = {
    {0, "0"},
    {9, "9"},
    {10, "10"},
    {9007199254740991, "9007199254740991"},
    {UINT64_MAX, "18446744073709551615"},
};

static void test_buf_u64(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    for (size_t i = 0; i < COUNT(numbers); i++) {
        t_row = numbers[i].want;
        tm_buf buf = {.alloc = &alloc};
        tm_buf_u64(&buf, numbers[i].number);
        T_TEXT(tm_buf_span(&buf), numbers[i].want);
        tm_buf_deinit(&buf);
    }
    T_EQ(memory.live, 0);
}

static void buf_fill(tm_buf *buf) {
    tm_buf_text(buf, "some text; ");
    tm_buf_put(buf, (tm_span){NULL, 0});
    for (int i = 0; i < 100; i++) {
        tm_buf_byte(buf, 'x');
        tm_buf_u64(buf, 12345);
    }
    tm_buf_json(buf, t_str("a \"word\""));
    uint8_t *to = tm_buf_reserve(buf, 300);
    if (to == NULL) return;
    memset(to, 'y', 300);
    buf->len += 300;
}

static void test_buf_refused(void **state) {
    (void)state;
    for (size_t k = 1;; k++) {
        t_memory memory = {.fail_at = k};
        tm_alloc alloc = t_alloc(&memory);
        tm_buf buf = {.alloc = &alloc};
        buf_fill(&buf);
        if (!memory.refused) {
            T_OK(buf.status);
            T_EQ(buf.len, 11 + 600 + 12 + 300);
            tm_buf_deinit(&buf);
            T_EQ(memory.live, 0);
            T_TRUE(k > 2);
            break;
        }
        T_STATUS(buf.status, TM_E_NOMEM); // though later requests would be granted
        size_t len = buf.len;
        tm_buf_text(&buf, "more");
        T_EQ(buf.len, len);
        assert_null(tm_buf_reserve(&buf, 1));
        tm_buf_reset(&buf);
        buf_fill(&buf);
        T_OK(buf.status);
        T_EQ(buf.len, 11 + 600 + 12 + 300);
        tm_buf_deinit(&buf);
        T_EQ(memory.live, 0);
    }
}

static void test_buf_too_large(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_buf buf = {.alloc = &alloc};
    tm_buf_byte(&buf, 'x');
    assert_null(tm_buf_reserve(&buf, SIZE_MAX));
    T_STATUS(buf.status, TM_E_NOMEM);
    T_EQ(memory.requests, 1); // nobody was asked for it
    tm_buf_deinit(&buf);
    tm_buf_deinit(NULL);
    T_EQ(memory.live, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_zeroes),
        cmocka_unit_test(test_arena_keeps_content),
        cmocka_unit_test(test_arena_reset_keeps_enough),
        cmocka_unit_test(test_arena_copy),
        cmocka_unit_test(test_arena_refused),
        cmocka_unit_test(test_buf_json),
        cmocka_unit_test(test_buf_u64),
        cmocka_unit_test(test_buf_refused),
        cmocka_unit_test(test_buf_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
