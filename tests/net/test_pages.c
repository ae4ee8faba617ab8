// The embedded pages: which path names what (TRUST 2, row 21), and the two questions that
// a request asks about them.
#include "net/pages.h"
#include "t.h"

static const uint8_t page[] = "page";

static const tm_asset assets[] = {
    {"/assets/index-1a2b.js", "text/javascript", page, 1, 1, true},
    {"/core.wasm", "application/wasm", page, 2, 2, true},
    {"/index.html", "text/html", page, 3, 3, true},
    {"/photos/a b.svg", "image/svg+xml", page, 4, 4, false},
    {0},
};

static const struct {
    const char *name, *path;
    const char *found; // NULL = 404
} paths[] = {
    {"the root", "/", "/index.html"},
    {"by name", "/index.html", "/index.html"},
    {"first of the table", "/assets/index-1a2b.js", "/assets/index-1a2b.js"},
    {"last of the table", "/photos/a%20b.svg", "/photos/a b.svg"},
    {"decoded", "/%69ndex%2Ehtml", "/index.html"},
    {"the root, decoded", "%2f", "/index.html"},
    {"decoded twice", "/%2569ndex.html", NULL},
    {"up", "/../index.html", NULL},
    {"up, decoded", "/%2e%2e/index.html", NULL},
    {"up, decoded twice", "/%252e%252e/index.html", NULL},
    {"up and back", "/assets/../index.html", NULL},
    {"a dot", "/./index.html", NULL},
    {"two slashes", "//index.html", NULL},
    {"a slash behind", "/index.html/", NULL},
    {"a backslash", "/assets\\index-1a2b.js", NULL},
    {"a NUL behind", "/index.html%00", NULL},
    {"a NUL before the extension", "/index%00.html", NULL},
    {"capitals", "/INDEX.HTML", NULL},
    {"a prefix", "/index", NULL},
    {"a directory", "/assets/", NULL},
    {"an escape cut off", "/index.html%2", NULL},
    {"no escape", "/index.html%zz", NULL},
    {"an absolute path", "/etc/passwd", NULL},
    {"*", "*", NULL},
};

static void test_find(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_pages pages;
    T_OK(tm_pages_init(&pages, &alloc, assets, COUNT(assets) - 1));
    for (size_t i = 0; i < COUNT(paths); i++) {
        t_row = paths[i].name;
        const tm_asset *found = tm_pages_find(&pages, t_str(paths[i].path));
        T_SPAN(t_str(found == NULL ? NULL : found->path), t_str(paths[i].found));
    }
    t_row = "ten thousand slashes";
    char *slashes = malloc(10001);
    assert_non_null(slashes);
    memset(slashes, '/', 10000);
    slashes[10000] = 0;
    T_TRUE(tm_pages_find(&pages, t_str(slashes)) == NULL);
    free(slashes);

    t_row = "etags";
    const char *first = tm_pages_etag(&pages, &assets[0]);
    T_EQ(strlen(first), TM_ETAG_LEN);
    T_TRUE(strcmp(first, tm_pages_etag(&pages, &assets[1])) != 0);
    // SHA-256 of "p", its first half.
    T_TEXT(t_str(first), "\"148de9c5a7a44d19e56cd9ae1a554bf6\"");
    T_TRUE(tm_pages_immutable(&assets[0]) && !tm_pages_immutable(&assets[1]));
    tm_pages_deinit(&pages, &alloc);
    T_EQ(memory.live, 0);

    memory = (t_memory){.fail_at = 1};
    T_STATUS(tm_pages_init(&pages, &alloc, assets, COUNT(assets) - 1), TM_E_NOMEM);
    T_OK(tm_pages_init(&pages, &alloc, assets, 0));
    T_TRUE(tm_pages_find(&pages, t_str("/")) == NULL);
    tm_pages_deinit(&pages, &alloc);
    T_EQ(memory.live, 0);
}

static const struct {
    const char *name, *lines;
    bool gzip, known;
} asks[] = {
    {"nothing said", "", true, false},
    {"gzip", "Accept-Encoding: gzip, deflate, br\r\n", true, false},
    {"in capitals, weighed", "Accept-Encoding: br;q=1.0, GZIP ;q=0.5\r\n", true,
     false},
    {"another", "Accept-Encoding: br\r\n", false, false},
    {"identity", "Accept-Encoding: identity\r\n", false, false},
    {"empty", "Accept-Encoding:\r\n", false, false},
    {"refused", "Accept-Encoding: gzip;q=0, *\r\n", false, false},
    {"refused with digits", "Accept-Encoding: gzip; q=0.000\r\n", false, false},
    {"hardly wanted", "Accept-Encoding: gzip;q=0.001\r\n", true, false},
    {"anything", "Accept-Encoding: *\r\n", true, false},
    {"nothing", "Accept-Encoding: *;q=0\r\n", false, false},
    {"in a second line", "Accept-Encoding: br\r\naccept-encoding: gzip\r\n", true,
     false},
    {"its etag", "If-None-Match: \"abc\"\r\n", true, true},
    {"weak, in a list", "If-None-Match: \"x\", W/\"abc\"\r\n", true, true},
    {"any etag", "If-None-Match: *\r\n", true, true},
    {"another etag", "If-None-Match: \"abcd\"\r\n", true, false},
    {"no quotes", "If-None-Match: abc\r\n", true, false},
};

static void test_asks(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(asks); i++) {
        t_row = asks[i].name;
        char head[300];
        snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n",
                 asks[i].lines);
        tm_http_request request;
        T_OK(tm_request_read(t_str(head), &request));
        T_EQ(tm_accepts_gzip(&request), asks[i].gzip);
        T_EQ(tm_etag_known(&request, "\"abc\""), asks[i].known);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_find),
                                       cmocka_unit_test(test_asks)};
    return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}
