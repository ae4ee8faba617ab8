// The scan of a request head, byte for byte: what passes, what is refused and how. Each
// row is fed whole, cut in two at every byte, and byte by byte; the verdict must fall at
// the same byte each time. What passes must also be read by the parser behind it.
#include "net/head.h"
#include "net/request.h"
#include "t.h"

#define HOST "Host: a\r\n"
#define GET  "GET / HTTP/1.1\r\n"

// What follows a head; never scanned.
#define REST "POST /next"

typedef struct row {
    const char *name;
    const char *text;
    size_t len; // of text; 0 = up to its NUL
    uint16_t status;
    const char *why; // a word of the reason
} row;

#define TEXT(s) (s), sizeof(s) - 1

static const row rows[] = {
    {"plain", TEXT(GET HOST "\r\n"), 0, ""},
    {"HTTP/1.0", TEXT("GET / HTTP/1.0\r\n" HOST "\r\n"), 0, ""},
    {"one empty line before it", TEXT("\r\n" GET HOST "\r\n"), 0, ""},
    {"two", TEXT("\r\n\r\n" GET HOST "\r\n"), 400, "begin"},
    {"an empty line of LF alone", TEXT("\n" GET HOST "\r\n"), 400, "begin"},
    {"values with tabs, UTF-8 and nothing",
     TEXT(GET HOST "A:\tb\tc \r\nB:\r\nC: \xc3\xa9\r\n\r\n"), 0, ""},
    {"HOST in capitals", TEXT(GET "HOST: a\r\n\r\n"), 0, ""},
    {"OPTIONS *", TEXT("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), 0, ""},
    {"a length", TEXT("POST / HTTP/1.1\r\n" HOST "Content-Length: 12 \r\n\r\n"), 0,
     ""},
    {"chunked",
     TEXT("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\t\r\n\r\n"), 0,
     ""},
    {"names that only begin like ours",
     TEXT(GET HOST
          "Hosts: a\r\nContent-Lengthy: x\r\nTransfer-Encodings: gzip\r\n\r\n"),
     0, ""},

    {"bare LF ends the request line", TEXT("GET / HTTP/1.1\n" HOST "\r\n"), 400,
     "HTTP/1.1"},
    {"bare LF ends a header", TEXT(GET "Host: a\n\r\n"), 400, "control"},
    {"bare LF ends the head", TEXT(GET HOST "\n"), 400, "begin with a name"},
    {"bare CR in the request line", TEXT("GET / HTTP/1.1\rx"), 400, "CR LF"},
    {"bare CR in a header", TEXT(GET "Host: a\rB: c\r\n\r\n"), 400, "CR LF"},
    {"CR CR LF", TEXT(GET "Host: a\r\r\n\r\n"), 400, "CR LF"},
    {"bare CR at the end", TEXT(GET HOST "\rx"), 400, "CR LF"},
    {"folded with a space", TEXT(GET HOST "A: b\r\n c\r\n\r\n"), 400, "folded"},
    {"folded with a tab", TEXT(GET HOST "A: b\r\n\tc\r\n\r\n"), 400, "folded"},
    {"folded before the first header", TEXT(GET " Host: a\r\n\r\n"), 400, "folded"},
    {"space before the colon", TEXT(GET "Host : a\r\n\r\n"), 400, "colon"},
    {"tab before the colon", TEXT(GET "Host\t: a\r\n\r\n"), 400, "colon"},
    {"no colon", TEXT(GET HOST "Nonsense\r\n\r\n"), 400, "colon"},
    {"no name", TEXT(GET HOST ": x\r\n\r\n"), 400, "name"},
    {"NUL in a name", TEXT(GET HOST "A\0B: x\r\n\r\n"), 400, "colon"},
    {"NUL in a value", TEXT(GET HOST "A: x\0y\r\n\r\n"), 400, "control"},
    {"NUL in the target", TEXT("GET /\0 HTTP/1.1\r\n" HOST "\r\n"), 400, "escaped"},
    {"ESC in a value", TEXT(GET HOST "A: \x1b[2J\r\n\r\n"), 400, "control"},
    {"DEL in a value", TEXT(GET HOST "A: \x7f\r\n\r\n"), 400, "control"},
    {"Latin-1 in a value", TEXT(GET HOST "A: caf\xe9\r\n\r\n"), 400, "UTF-8"},
    {"UTF-8 cut off in a value", TEXT(GET HOST "A: \xe2\x82\r\n\r\n"), 400,
     "UTF-8"},
    {"overlong UTF-8 in a value", TEXT(GET HOST "A: \xc0\xaf\r\n\r\n"), 400,
     "UTF-8"},
    {"UTF-8 in a name", TEXT(GET HOST "\xc3\xa9: x\r\n\r\n"), 400, "name"},

    {"no Host", TEXT(GET "A: b\r\n\r\n"), 400, "no Host"},
    {"no header at all", TEXT(GET "\r\n"), 400, "no Host"},
    {"two Hosts", TEXT(GET HOST HOST "\r\n"), 400, "more than one Host"},
    {"two Hosts, other case", TEXT(GET HOST "hOST: b\r\n\r\n"), 400,
     "more than one Host"},
    {"HTTP/1.0 without Host", TEXT("GET / HTTP/1.0\r\n\r\n"), 400, "no Host"},

    {"two targets", TEXT("GET / /b HTTP/1.1\r\n"), 400, "HTTP/1.1"},
    {"two spaces", TEXT("GET  / HTTP/1.1\r\n"), 400, "no target"},
    {"no target", TEXT("GET HTTP/1.1\r\n"), 400, "path"},
    {"a whole URL", TEXT("GET http://a/ HTTP/1.1\r\n"), 400, "path"},
    {"CONNECT", TEXT("CONNECT a:443 HTTP/1.1\r\n"), 400, "path"},
    {"* and more", TEXT("GET *a HTTP/1.1\r\n"), 400, "path"},
    {"a fragment", TEXT("GET /a#b HTTP/1.1\r\n"), 400, "escaped"},
    {"UTF-8 in the target", TEXT("GET /\xc3\xa9 HTTP/1.1\r\n"), 400, "escaped"},
    {"a method of blanks", TEXT(" GET / HTTP/1.1\r\n"), 400, "begin"},
    {"a method too long", TEXT("GETGETGETGETGETGE / HTTP/1.1\r\n"), 400, "begin"},
    {"TLS", TEXT("\x16\x03\x01\x02\x00"), 400, "begin"},
    {"HTTP/2 preface", TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505, "1.1"},
    {"HTTP/0.9", TEXT("GET /\r\n"), 400, "escaped"},
    {"HTTP/1.10", TEXT("GET / HTTP/1.10\r\n"), 400, "HTTP/1.1"},
    {"http in another case", TEXT("GET / HTTp/1.1\r\n"), 400, "1.1"},
    {"http in another case, unknown", TEXT("GET / hTTP/2.0\r\n"), 400, "1.1"},
    {"HTTP/3.1", TEXT("GET / HTTP/3.1\r\n"), 505, "1.1"},
    {"another protocol", TEXT("GET / ICY/1.1\r\n"), 400, "HTTP/1.1"},
    {"another as long as ours", TEXT("GET / RTSP/1.1\r\n"), 400, "HTTP/1.1"},
    {"a space behind the version", TEXT("GET / HTTP/1.1 \r\n"), 400, "HTTP/1.1"},

    {"length and chunked",
     TEXT(GET HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), 400,
     "together"},
    {"chunked and length 0",
     TEXT(GET HOST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"), 400,
     "together"},
    {"two lengths", TEXT(GET HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"),
     400, "more than one"},
    {"the same length twice",
     TEXT(GET HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), 400,
     "more than one"},
    {"a list of lengths", TEXT(GET HOST "Content-Length: 5, 5\r\n\r\n"), 400,
     "digits"},
    {"a signed length", TEXT(GET HOST "Content-Length: +5\r\n\r\n"), 400, "digits"},
    {"a negative length", TEXT(GET HOST "Content-Length: -1\r\n\r\n"), 400,
     "digits"},
    {"a hexadecimal length", TEXT(GET HOST "Content-Length: 0x5\r\n\r\n"), 400,
     "digits"},
    {"a length of two words", TEXT(GET HOST "Content-Length: 1 2\r\n\r\n"), 400,
     "digits"},
    {"no length", TEXT(GET HOST "Content-Length: \r\n\r\n"), 400, "digits"},
    {"a length in other digits", TEXT(GET HOST "Content-Length: \xd9\xa5\r\n\r\n"),
     400, "digits"},
    {"gzip, chunked", TEXT(GET HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"),
     400, "must be chunked"},
    {"chunked, chunked",
     TEXT(GET HOST "Transfer-Encoding: chunked, chunked\r\n\r\n"), 400,
     "must be chunked"},
    {"chunked twice",
     TEXT(GET HOST
          "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
     400, "more than one"},
    {"chunked, far away something else",
     TEXT(GET HOST "Transfer-Encoding: chunked                    , gzip\r\n\r\n"),
     400, "must be chunked"},
    {"identity", TEXT(GET HOST "Transfer-Encoding: identity\r\n\r\n"), 400,
     "must be chunked"},
    {"xchunked", TEXT(GET HOST "Transfer-Encoding: xchunked\r\n\r\n"), 400,
     "must be chunked"},
    {"chunked with a vertical tab",
     TEXT(GET HOST "Transfer-Encoding: \x0b"
                   "chunked\r\n\r\n"),
     400, "control"},
    {"an empty encoding", TEXT(GET HOST "Transfer-Encoding:\r\n\r\n"), 400,
     "must be chunked"},
    {"chunked in HTTP/1.0",
     TEXT("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"), 400,
     "needs HTTP/1.1"},
};

typedef struct verdict {
    tm_status status;
    size_t at; // bytes used
    tm_head head;
} verdict;

static verdict scan(tm_span text, size_t cut, size_t step) {
    verdict found = {.status = TM_E_MORE};
    while (found.status == TM_E_MORE && found.at < text.len) {
        size_t end = found.at < cut ? cut : found.at + step;
        if (end > text.len) end = text.len;
        size_t used = 0, len = end - found.at;
        uint8_t *run = malloc(len); // alone, so that a read outside it is seen
        assert_non_null(run);
        memcpy(run, text.ptr + found.at, len);
        found.status = tm_head_feed(&found.head, (tm_span){run, len}, &used);
        free(run);
        found.at += used;
    }
    return found;
}

// Every way to cut gives this verdict.
static void scan_all(tm_span text, const verdict *want) {
    for (size_t cut = 0; cut <= text.len; cut++) {
        verdict found = scan(text, cut, cut == 0 ? 1 : text.len);
        T_STATUS(found.status, want->status);
        T_EQ(found.at, want->at);
        T_EQ(found.head.status, want->head.status);
        T_TRUE(found.head.reason == want->head.reason);
        T_EQ(found.head.chunked, want->head.chunked);
        T_EQ(found.head.length, want->head.length);
        if (text.len > 600) cut += 97;
    }
}

static void test_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const row *one = &rows[i];
        t_row = one->name;
        uint8_t text[400];
        memcpy(text, one->text, one->len);
        memcpy(text + one->len, REST, sizeof REST - 1);
        tm_span whole = {text, one->len + sizeof REST - 1};
        verdict found = scan(whole, whole.len, 1);
        T_STATUS(found.status, one->status == 0 ? TM_OK : TM_E_CORRUPT);
        T_EQ(found.head.status, one->status);
        if (one->status == 0) {
            T_EQ(found.at, one->len);
            tm_http_request request;
            T_OK(tm_request_read((tm_span){text, found.at}, &request));
        } else if (strstr(found.head.reason, one->why) == NULL) {
            fail_msg("%s: said: %s", one->name, found.head.reason);
        }
        scan_all(whole, &found);
    }
}

static const struct {
    const char *name, *line;
    bool chunked, has_length;
    uint64_t length;
} bodies[] = {
    {"none", "", false, false, 0},
    {"0", "Content-Length: 0\r\n", false, true, 0},
    {"leading zeros", "Content-Length: 0012\r\n", false, true, 12},
    {"a large one", "Content-Length: 1048577\r\n", false, true, 1048577},
    {"chunked", "transfer-encoding:chunked\r\n", true, false, 0},
};

static void test_bodies(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        t_row = bodies[i].name;
        char text[200];
        snprintf(text, sizeof text, GET HOST "%s\r\n", bodies[i].line);
        verdict found = scan(t_str(text), 0, 1);
        T_OK(found.status);
        T_EQ(found.head.chunked, bodies[i].chunked);
        T_EQ(found.head.has_length, bodies[i].has_length);
        T_EQ(found.head.length, bodies[i].length);
    }
    // Past 64 bits it does not come round to a small number.
    t_row = "2^64 + 5";
    verdict wrapped =
        scan(t_str(GET HOST "Content-Length: 18446744073709551621\r\n\r\n"), 0, 1);
    T_OK(wrapped.status);
    T_TRUE(wrapped.head.length >= UINT64_C(1) << 60);
}

// Builds a head with `lines` fields besides Host, a target of `target` bytes and as many
// bytes in all as asked, and scans it.
static verdict sized(size_t lines, size_t target, size_t total) {
    uint8_t *text = malloc(40000);
    assert_non_null(text);
    size_t len = 0;
    memcpy(text, "GET ", 4);
    memset(text + 4, '/', target);
    len = 4 + target;
    len += (size_t)sprintf((char *)text + len, " HTTP/1.1\r\n" HOST);
    for (size_t i = 0; i < lines; i++) {
        len += (size_t)sprintf((char *)text + len, "A: b\r\n");
    }
    if (total > 0) { // one more field fills it up
        memcpy(text + len, "F: ", 3);
        memset(text + len + 3, 'x', total - len - 7);
        len = total - 4;
        memcpy(text + len, "\r\n", 2);
        len += 2;
    }
    memcpy(text + len, "\r\n", 2);
    len += 2;
    verdict found = scan((tm_span){text, len}, len, 1);
    scan_all((tm_span){text, len}, &found);
    free(text);
    return found;
}

static void test_limits(void **state) {
    (void)state;
    t_row = "lines";
    T_OK(sized(63, 1, 0).status);
    T_EQ(sized(64, 1, 0).head.status, 431);
    t_row = "target";
    T_OK(sized(0, 4096, 0).status);
    T_EQ(sized(0, 4097, 0).head.status, 414);
    T_EQ(sized(0, 20000, 0).head.status, 414);
    t_row = "head";
    T_OK(sized(0, 1, 16384).status);
    T_EQ(sized(0, 1, 16384).at, 16384);
    T_EQ(sized(0, 1, 16385).head.status, 431);
    T_EQ(sized(0, 1, 30000).at, 16385);
}

static void test_request(void **state) {
    (void)state;
    t_row = "read";
    tm_http_request request;
    tm_span head = t_str("POST /v1/lists/a/operations?since=1&mark=?x HTTP/1.1\r\n"
                         "Host: a:1\r\nConnection: keep-alive, Upgrade \r\n"
                         "Empty:\r\nAccept: \t a, b;q=1 \t\r\naccept: c\r\n\r\n");
    T_OK(tm_request_read(head, &request));
    T_EQ(request.method, TM_HTTP_POST);
    T_TRUE(request.http_1_1 && request.keep_alive);
    T_TEXT(request.path, "/v1/lists/a/operations");
    T_TEXT(request.query, "since=1&mark=?x");
    T_EQ(request.field_count, 5);
    size_t count;
    T_TEXT(tm_request_field(&request, "accept", &count), "a, b;q=1");
    T_EQ(count, 2);
    T_TEXT(tm_request_field(&request, "empty", NULL), "");
    T_TRUE(tm_request_field(&request, "absent", &count).ptr == NULL);
    T_EQ(count, 0);
    T_TRUE(tm_request_lists(&request, "connection", "upgrade"));
    T_TRUE(tm_request_lists(&request, "accept", "c"));
    T_TRUE(!tm_request_lists(&request, "accept", "b"));

    static const struct {
        const char *name, *head;
        int method; // -1 = refused
        bool keep_alive;
    } cases[] = {
        {"1.0 closes", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", TM_HTTP_GET, false},
        {"1.1 keeps", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", TM_HTTP_GET, true},
        {"close", "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
         TM_HTTP_HEAD, false},
        {"a method of WebDAV", "MKCOL / HTTP/1.1\r\nHost: a\r\n\r\n", TM_HTTP_OTHER,
         true},
        {"no method at all", "NONSENSE / HTTP/1.1\r\nHost: a\r\n\r\n", -1, false},
        {"a method in small letters", "get / HTTP/1.1\r\nHost: a\r\n\r\n", -1,
         false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        t_row = cases[i].name;
        tm_status status = tm_request_read(t_str(cases[i].head), &request);
        T_STATUS(status, cases[i].method < 0 ? TM_E_CORRUPT : TM_OK);
        if (status != TM_OK) continue;
        T_EQ(request.method, cases[i].method);
        T_EQ(request.keep_alive, cases[i].keep_alive);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_request),
    };
    return cmocka_run_group_tests_name("head", tests, NULL, NULL);
}
