// Words for people: cmd/host.h.
#include "t.h"

#include "cmd/host.h"

static void test_sizes(void **state) {
    static const struct {
        uint64_t bytes;
        const char *want;
    } rows[] = {
        {0, "0 B"},
        {999, "999 B"},
        {1000, "1.0 kB"},
        {1999, "1.9 kB"},
        {999999, "999.9 kB"},
        {1000000, "1.0 MB"},
        {UINT64_C(12345678901), "12.3 GB"},
        {UINT64_MAX, "18.4 EB"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char out[16];
        t_row = rows[i].want;
        tm_say_size(out, rows[i].bytes);
        T_TEXT(t_str(out), rows[i].want);
    }
}

static void test_times(void **state) {
    char out[32];
    (void)state;
    t_row = "a time";
    tm_say_time(out, 1700000000123);
    T_TEXT(t_str(out), "2023-11-14 22:13:20.123");
    t_row = "no time at all";
    tm_say_time(out, UINT64_MAX);
    T_TRUE(strlen(out) > 0);
    t_row = "durations";
    tm_say_duration(out, 999);
    T_TEXT(t_str(out), "999 ms");
    tm_say_duration(out, 59999);
    T_TEXT(t_str(out), "59.9 s");
    tm_say_duration(out, 185000);
    T_TEXT(t_str(out), "3 min 5 s");
    tm_say_duration(out, 86399999);
    T_TEXT(t_str(out), "23 h 59 min");
    tm_say_duration(out, UINT64_C(12) * 86400000);
    T_TEXT(t_str(out), "12 days");
    tm_say_duration(out, UINT64_MAX);
    T_TRUE(strlen(out) > 0);
}

// Nothing that a browser sent may drive a terminal or turn its lines around.
static void test_safe(void **state) {
    static const struct {
        const char *name;
        tm_span text;
        const char *want;
    } rows[] = {
        {"plain", TM_LIT("sunset 12"), "sunset 12"},
        {"letters of all sizes", TM_LIT("\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xb7"),
         "\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xb7"},
        {"an escape sequence", TM_LIT("\x1b[2J"), "\\u001b[2J"},
        {"NUL, CR, LF, DEL", TM_LIT("\0\r\n\x7f"), "\\u0000\\u000d\\u000a\\u007f"},
        {"C1", TM_LIT("\xc2\x9b"), "\\u009b"},
        {"right to left",
         TM_LIT("\xe2\x80\xae"
                "7"),
         "\\u202e7"},
        {"isolate, BOM", TM_LIT("\xe2\x81\xa6\xef\xbb\xbf"), "\\u2066\\ufeff"},
        {"line separator", TM_LIT("\xe2\x80\xa8"), "\\u2028"},
        {"a torn letter", TM_LIT("a\xe2\x82"), "a\\u0080\\u0080"},
        {"an escape inside a letter", TM_LIT("\xf1\x1b[2"), "\\u0080\\u001b[2"},
        {"a line end in a long form", TM_LIT("\xc1\n"), "\\u0080\\u000a"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        tm_buf out = {.alloc = &tm_host_alloc};
        t_row = rows[i].name;
        tm_say_safe(&out, rows[i].text);
        T_TEXT(tm_buf_span(&out), rows[i].want);
        tm_buf_deinit(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
