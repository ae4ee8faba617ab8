// The daemon's log: cmd/logger.h. One line each, whatever is in it.
#include "t.h"

#include <jansson.h>

#include "cmd/logger.h"

static void line(tm_buf *out, const char *event, tm_span value) {
    const tm_logger_value values[] = {{"value", value, 0}, {"count", {NULL, 0}, 7}};
    tm_buf_reset(out);
    tm_logger_line(out, 1700000000123, TM_LOGGER_INFO, event, values, 2);
}

static void test_lines(void **state) {
    static const struct {
        const char *name;
        tm_span value;
        const char *want; // as JSON reads it
    } rows[] = {
        {"plain", TM_LIT("x"), "x"},
        {"quotes and backslashes", TM_LIT("a\"b\\c"), "a\"b\\c"},
        {"CR and LF", TM_LIT("a\r\nb"), "a\r\nb"},
        {"ESC", TM_LIT("\x1b[2J"), "\x1b[2J"},
        {"line separators", TM_LIT("a\xe2\x80\xa8z"), "a\xe2\x80\xa8z"},
        {"letters", TM_LIT("\xc3\xa4\xf0\x9f\x93\xb7"), "\xc3\xa4\xf0\x9f\x93\xb7"},
        {"empty", TM_LIT(""), ""},
    };
    tm_buf out = {.alloc = &tm_host_alloc};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_error_t error;
        t_row = rows[i].name;
        line(&out, "event", rows[i].value);
        T_EQ(out.ptr[out.len - 1], '\n');
        for (size_t at = 0; at + 1 < out.len;
             at++) { // nothing that ends or drives it
            T_TRUE(out.ptr[at] >= 0x20 && out.ptr[at] != 0x7f);
        }
        json_t *object =
            json_loadb((const char *)out.ptr, out.len, JSON_ALLOW_NUL, &error);
        assert_non_null(object);
        T_TEXT(t_str(json_string_value(json_object_get(object, "value"))),
               rows[i].want);
        T_TEXT(t_str(json_string_value(json_object_get(object, "time"))),
               "2023-11-14T22:13:20.123Z");
        T_TEXT(t_str(json_string_value(json_object_get(object, "level"))), "INFO");
        T_EQ(json_integer_value(json_object_get(object, "count")), 7);
        json_decref(object);
    }
    tm_buf_deinit(&out);
}

static void test_long(void **state) {
    static uint8_t text[1000];
    tm_buf out = {.alloc = &tm_host_alloc};
    (void)state;
    t_row = "cut at 256 bytes";
    memset(text, 'x', sizeof text);
    line(&out, "event", (tm_span){text, 256});
    size_t whole = out.len;
    line(&out, "event", (tm_span){text, sizeof text});
    T_EQ(out.len, whole + 3);
    t_row = "not inside a letter";
    memset(text + 255, 0xc3, 1);
    memset(text + 256, 0xa4, 1);
    line(&out, "event", (tm_span){text, sizeof text});
    T_EQ(out.len, whole + 2);
    t_row = "what is no text does not break the line";
    memset(text, 0xff, sizeof text);
    line(&out, "event", (tm_span){text, sizeof text});
    T_EQ(out.ptr[out.len - 1], '\n');
    tm_buf_deinit(&out);
}

static void test_levels(void **state) {
    tm_logger_level level = TM_LOGGER_INFO;
    (void)state;
    t_row = "levels";
    T_TRUE(tm_logger_level_find("debug", &level));
    T_EQ(level, TM_LOGGER_DEBUG);
    T_TRUE(!tm_logger_level_find("verbose", &level));
    T_TRUE(!tm_logger_level_find("", &level));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
