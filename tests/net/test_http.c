// HTTP over real sockets: what is asked, what is refused, and that no byte of one request
// is ever taken for another.
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon.h"
#include "net/pages.h"

#define HOST           "Host: @\r\n"
#define JSON           "Content-Type: application/json\r\n"
#define OPS            "/v1/lists/selected-images/operations"
#define EMPTY_PUSH     "{\"user\":\"tester\",\"operations\":[]}"
#define EMPTY_PUSH_LEN "33"

static const uint8_t gz[] = {0x1f, 0x8b, 'g', 'z'};
static const tm_asset assets[] = {
    {"/assets/index-1a2b.js", "text/javascript; charset=utf-8", gz, 4, 9, true},
    {"/core.wasm", "application/wasm", gz, 4, 9, true},
    {"/icon.png", "image/png", (const uint8_t *)"\x89PNG", 4, 4, false},
    {"/index.html", "text/html; charset=utf-8", gz, 4, 9, true},
    {0},
};

static const char *const origins[] = {"https://photos.example", NULL};
static const tm_server_config options = {
    .assets = assets, .assets_count = 4, .origins = origins};

// One request, one answer, and whether the connection goes on.
static const struct {
    const char *name, *request;
    unsigned status;
    const char *says; // a word of the body, or ""
    bool closes;
} rows[] = {
    {"a page", "GET / HTTP/1.1\r\n" HOST "\r\n", 200, "", false},
    {"by its name", "GET /index.html HTTP/1.1\r\n" HOST "\r\n", 200, "", false},
    {"alive", "GET /healthz HTTP/1.1\r\n" HOST "\r\n", 200, "ok", false},
    {"ready", "GET /readyz HTTP/1.1\r\n" HOST "\r\n", 200, "ok", false},
    {"metrics, ours too", "GET /metrics HTTP/1.1\r\n" HOST "\r\n", 200,
     "tidemark_net_connections 1\n", false},
    {"no photos", "GET /v1/photos HTTP/1.1\r\n" HOST "\r\n", 200, "{\"photos\":[]}",
     false},
    {"no such photo", "GET /v1/photos/..%2f..%2fetc HTTP/1.1\r\n" HOST "\r\n", 404,
     "not-found", false},
    {"a list", "GET /v1/lists/a HTTP/1.1\r\n" HOST "\r\n", 200, "selectedImages",
     false},
    {"a push",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON "Content-Length: " EMPTY_PUSH_LEN
     "\r\n\r\n" EMPTY_PUSH,
     200, "\"success\":true", false},
    {"with its charset",
     "POST " OPS " HTTP/1.1\r\n" HOST "Content-Type: application/json; "
     "charset=utf-8\r\nContent-Length: " EMPTY_PUSH_LEN "\r\n\r\n" EMPTY_PUSH,
     200, "\"success\":true", false},
    {"in chunks",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n"
     "12\r\n{\"user\":\"tester\",\"\r\n11\r\noperations\":[]}  \r\n0\r\n\r\n",
     200, "\"success\":true", false},
    {"nonsense", "POST " OPS " HTTP/1.1\r\n" HOST JSON "Content-Length: 1\r\n\r\n[",
     400, "malformed", false},
    {"nothing", "POST " OPS " HTTP/1.1\r\n" HOST JSON "\r\n", 400, "malformed",
     false},
    {"HTTP/1.0", "GET /healthz HTTP/1.0\r\n" HOST "\r\n", 200, "ok", true},
    {"HTTP/1.0, kept",
     "GET /healthz HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n", 200, "ok",
     false},
    {"HTTP/1.1, closed", "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", 200,
     "", true},
    {"options", "OPTIONS /v1/lists/a HTTP/1.1\r\n" HOST "\r\n", 204, "", false},
    {"options of the server", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 204, "", false},
    {"an empty line before", "\r\nGET /healthz HTTP/1.1\r\n" HOST "\r\n", 200, "ok",
     false},

    {"a page that is not there", "GET /nothing HTTP/1.1\r\n" HOST "\r\n", 404,
     "not-found", false},
    {"up", "GET /../../etc/passwd HTTP/1.1\r\n" HOST "\r\n", 404, "", false},
    {"up, encoded", "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n" HOST "\r\n", 404,
     "", false},
    {"up, encoded twice", "GET /%252e%252e/etc/passwd HTTP/1.1\r\n" HOST "\r\n",
     404, "", false},
    {"a NUL, encoded", "GET /index.html%00.png HTTP/1.1\r\n" HOST "\r\n", 404, "",
     false},
    {"a backslash", "GET /..\\index.html HTTP/1.1\r\n" HOST "\r\n", 404, "", false},
    {"two slashes", "GET //index.html HTTP/1.1\r\n" HOST "\r\n", 404, "", false},
    {"without gzip", "GET / HTTP/1.1\r\n" HOST "Accept-Encoding: br\r\n\r\n", 406,
     "gzip-only", false},
    {"without gzip, what has none",
     "GET /icon.png HTTP/1.1\r\n" HOST "Accept-Encoding: br\r\n\r\n", 200, "PNG",
     false},
    {"post to a page",
     "POST / HTTP/1.1\r\n" HOST JSON "Content-Length: 2\r\n\r\n{}", 405, "method",
     true},
    {"delete", "DELETE /v1/lists/a HTTP/1.1\r\n" HOST "\r\n", 405, "method", false},
    {"trace", "TRACE / HTTP/1.1\r\n" HOST "\r\n", 405, "method", false},
    {"no method of HTTP", "BREW / HTTP/1.1\r\n" HOST "\r\n", 400, "method", true},
    {"an unknown call", "GET /v1/nothing HTTP/1.1\r\n" HOST "\r\n", 404,
     "not-found", false},

    {"another Host", "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421, "host",
     true},
    {"no port", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 421, "host", true},
    {"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 421, "host", true},
    {"the Host of an allowed origin",
     "GET /healthz HTTP/1.1\r\nHost: photos.example\r\n\r\n", 200, "ok", false},
    {"own Origin", "GET /healthz HTTP/1.1\r\n" HOST "Origin: http://@\r\n\r\n", 200,
     "ok", false},
    {"an allowed Origin",
     "GET /healthz HTTP/1.1\r\n" HOST "Origin: https://photos.example\r\n\r\n", 200,
     "ok", false},
    {"another Origin",
     "GET /healthz HTTP/1.1\r\n" HOST "Origin: https://evil.example\r\n\r\n", 403,
     "origin", true},
    {"Origin null", "GET /healthz HTTP/1.1\r\n" HOST "Origin: null\r\n\r\n", 403,
     "origin", true},
    {"two Origins",
     "GET /healthz HTTP/1.1\r\n" HOST
     "Origin: http://@\r\nOrigin: http://@\r\n\r\n",
     403, "origin", true},
    {"a preflight from elsewhere",
     "OPTIONS " OPS " HTTP/1.1\r\n" HOST "Origin: https://evil.example\r\n"
     "Access-Control-Request-Method: POST\r\n\r\n",
     403, "origin", true},
    {"a token in the URL", "GET /healthz?token=x HTTP/1.1\r\n" HOST "\r\n", 401,
     "token-in-url", true},
    {"behind another parameter",
     "GET /healthz?a=b&access_token=x HTTP/1.1\r\n" HOST "\r\n", 401,
     "token-in-url", true},
    {"a parameter that only ends so",
     "GET /healthz?mytoken=x HTTP/1.1\r\n" HOST "\r\n", 200, "ok", false},

    {"a form",
     "POST " OPS " HTTP/1.1\r\n" HOST
     "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "
     "3\r\n\r\na=b",
     415, "content-type", true},
    {"plain text",
     "POST " OPS " HTTP/1.1\r\n" HOST
     "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
     415, "content-type", true},
    {"JSON in another charset",
     "POST " OPS " HTTP/1.1\r\n" HOST
     "Content-Type: application/json; charset=utf-16\r\nContent-Length: "
     "2\r\n\r\n{}",
     415, "content-type", true},
    {"no type", "POST " OPS " HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}", 415,
     "content-type", true},
    {"two types",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON JSON "Content-Length: 2\r\n\r\n{}", 415,
     "content-type", true},
    {"gzipped",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON
     "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
     415, "content-encoding", true},
    {"one byte too long",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON "Content-Length: 1048577\r\n\r\n", 413,
     "too-large", true},
    {"2^60 too long",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON
     "Content-Length: 1152921504606846976\r\n\r\n",
     413, "too-large", true},
    {"2^64: no number any more",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON
     "Content-Length: 18446744073709551616\r\n\r\n",
     400, "method", true},
    {"a chunk one byte too long",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON
     "Transfer-Encoding: chunked\r\n\r\n100001\r\n",
     413, "too-large", true},
    {"chunks that add up to more",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON
     "Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n100000\r\n",
     413, "too-large", true},
    {"a chunk of 2^64-1",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON
     "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
     413, "too-large", true},
    {"another expectation",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON
     "Expect: 200-maybe\r\nContent-Length: 2\r\n\r\n{}",
     417, "expectation", true},
    {"a GET with a body", "GET / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}",
     400, "body", true},
    {"a WebSocket without the asking", "GET /v1/ws HTTP/1.1\r\n" HOST "\r\n", 426,
     "handshake", true},
    {"a bare LF", "GET / HTTP/1.1\n" HOST "\n", 400, "head", true},
};

static void test_rows(void **state) {
    (void)state;
    daemon server;
    daemon_start(&server, &options);
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (int drip = 0; drip < 2; drip++) {
            t_row = rows[i].name;
            wire client;
            wire_open(&client, &server);
            if (drip) {
                wire_drip(&client, rows[i].request);
            } else {
                wire_text(&client, rows[i].request);
            }
            answer got;
            wire_answer(&client, &got, false);
            T_EQ(got.status, rows[i].status);
            if (got.body.ptr != NULL &&
                strstr((const char *)got.body.ptr, rows[i].says) == NULL)
                fail_msg("[%s] said %s", t_row, (const char *)got.body.ptr);
            T_TEXT(t_str(answer_field(&got, "Connection")),
                   rows[i].closes ? "close" : "keep-alive");
            T_TEXT(t_str(answer_field(&got, "Access-Control-Allow-Origin")), "");
            bytes_free(&got.body);
            if (rows[i].closes) {
                T_TRUE(wire_ends(&client));
            } else {
                wire_text(&client, "GET /healthz HTTP/1.1\r\n" HOST "\r\n");
                T_EQ(wire_status(&client), 200);
            }
            wire_close(&client);
        }
    }
    daemon_stop(&server);
}

// What every answer says for the browser's sake, word for word.
static void test_headers(void **state) {
    (void)state;
    daemon server;
    daemon_start(&server, &options);
    wire client;
    wire_open(&client, &server);
    static const struct {
        const char *path, *type, *csp, *cache, *encoding;
    } pages[] = {
        {"/", "text/html; charset=utf-8", TM_CSP_PAGE, "no-cache", "gzip"},
        {"/core.wasm", "application/wasm", TM_CSP_PAGE, "no-cache", "gzip"},
        {"/icon.png", "image/png", TM_CSP_PAGE, "no-cache", ""},
        {"/assets/index-1a2b.js", "text/javascript; charset=utf-8", TM_CSP_PAGE,
         "public, max-age=31536000, immutable", "gzip"},
        {"/v1/lists/a", "application/json", TM_CSP_DATA, "no-store", ""},
        {"/v1/photos", "application/json", TM_CSP_DATA, "no-store", ""},
        {"/nothing", "application/problem+json", TM_CSP_DATA, "no-store", ""},
    };
    for (size_t i = 0; i < COUNT(pages); i++) {
        t_row = pages[i].path;
        char request[200];
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" HOST "\r\n",
                 pages[i].path);
        wire_text(&client, request);
        answer got;
        wire_answer(&client, &got, false);
        bytes_free(&got.body);
        T_TEXT(t_str(answer_field(&got, "Content-Type")), pages[i].type);
        T_TEXT(t_str(answer_field(&got, "Content-Security-Policy")), pages[i].csp);
        T_TEXT(t_str(answer_field(&got, "Cache-Control")), pages[i].cache);
        T_TEXT(t_str(answer_field(&got, "Content-Encoding")), pages[i].encoding);
        T_TEXT(t_str(answer_field(&got, "X-Content-Type-Options")), "nosniff");
        T_TEXT(t_str(answer_field(&got, "Referrer-Policy")), "no-referrer");
        T_TEXT(t_str(answer_field(&got, "Cross-Origin-Opener-Policy")),
               "same-origin");
        T_EQ(strlen(answer_field(&got, "Date")),
             strlen("Sun, 06 Nov 1994 08:49:37 GMT"));
    }
    // The page's policy is TRUST 2, row 27, and these two.
    T_TRUE(strstr(TM_CSP_PAGE, "img-src 'self' data: blob:") != NULL);
    T_TRUE(strstr(TM_CSP_PAGE, "manifest-src 'self'") != NULL);

    t_row = "HEAD";
    wire_text(&client, "HEAD / HTTP/1.1\r\n" HOST "\r\n"
                       "HEAD /nothing HTTP/1.1\r\n" HOST "\r\n"
                       "HEAD /v1/lists/a HTTP/1.1\r\n" HOST "\r\n");
    answer got;
    wire_answer(&client, &got, true);
    T_EQ(got.status, 200);
    T_TEXT(t_str(answer_field(&got, "Content-Length")), "4");
    bytes_free(&got.body);
    wire_answer(&client, &got, true);
    T_EQ(got.status, 404);
    bytes_free(&got.body);
    wire_answer(&client, &got, true);
    T_EQ(got.status, 200);
    T_TRUE(strtoul(answer_field(&got, "Content-Length"), NULL, 10) > 10);
    bytes_free(&got.body);

    t_row = "304";
    wire_text(&client, "GET / HTTP/1.1\r\n" HOST "\r\n");
    wire_answer(&client, &got, false);
    char request[300];
    snprintf(request, sizeof request,
             "GET / HTTP/1.1\r\n" HOST "If-None-Match: %s\r\n\r\n",
             answer_field(&got, "ETag"));
    bytes_free(&got.body);
    wire_text(&client, request);
    T_EQ(wire_status(&client), 304);
    wire_text(&client, "GET / HTTP/1.1\r\n" HOST "\r\n"); // nothing was behind it
    T_EQ(wire_status(&client), 200);
    wire_close(&client);
    daemon_stop(&server);
}

// Two stages: what hides in the first request must never be answered as a second. One
// answer, and the end.
static const struct {
    const char *name, *request;
} smuggled[] = {
    {"length and chunked",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON "Content-Length: 6\r\n"
     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nX"},
    {"chunked and length 0",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n"
     "Content-Length: 0\r\n\r\n"},
    {"two lengths", "POST " OPS " HTTP/1.1\r\n" HOST JSON "Content-Length: 0\r\n"
                    "Content-Length: 40\r\n\r\n"},
    {"a length with a sign",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON "Content-Length: +0\r\n\r\n"},
    {"an encoding that is not quite chunked",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: xchunked\r\n\r\n"},
    {"chunked, hidden behind a vertical tab",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON "Transfer-Encoding:\x0b"
     "chunked\r\n\r\n"},
    {"chunked, with a space before the colon",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON "Transfer-Encoding : chunked\r\n"
     "Content-Length: 0\r\n\r\n"},
    {"a length on a folded line",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON "A: b\r\n Content-Length: 40\r\n\r\n"},
    {"a length behind a bare LF",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON "A: b\nContent-Length: 40\r\n\r\n"},
    {"a length behind a bare CR",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON "A: b\rContent-Length: 40\r\n\r\n"},
    {"a chunk longer than it says",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n"
     "1\r\n[]0\r\n\r\n"},
    {"a chunk's CRLF that is none",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n"
     "2\r\n[]XX0\r\n\r\n"},
    {"a chunk's size behind a bare LF",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n"
     "2\n[]\r\n0\r\n\r\n"},
    {"a bare LF in a chunk's extension",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n"
     "2;\n[]\r\n0\r\n\r\n"},
    {"a trailer",
     "POST " OPS " HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n"
     "0\r\nContent-Length: 40\r\n\r\n"},
    {"a refused body",
     "POST " OPS " HTTP/1.1\r\n" HOST "Content-Type: text/plain\r\n"
     "Content-Length: 5\r\n\r\n"},
    {"a GET with a body", "GET / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n"},
    {"two Hosts", "GET / HTTP/1.1\r\n" HOST "Host: evil.example\r\n\r\n"},
    {"a whole URL for target", "GET http://evil.example/ HTTP/1.1\r\n" HOST "\r\n"},
    {"an upgrade that fails", "GET /v1/ws HTTP/1.1\r\n" HOST
                              "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"},
};

static void test_smuggling(void **state) {
    (void)state;
    daemon server;
    daemon_start(&server, &options);
    for (size_t i = 0; i < COUNT(smuggled); i++) {
        for (int drip = 0; drip < 2; drip++) {
            t_row = smuggled[i].name;
            wire client;
            wire_open(&client, &server);
            char both[2000];
            snprintf(both, sizeof both, "%sGET /healthz HTTP/1.1\r\n" HOST "\r\n",
                     smuggled[i].request);
            if (drip) {
                wire_drip(&client, both);
            } else {
                wire_text(&client, both);
            }
            unsigned status = wire_status(&client);
            T_TRUE(status >= 400 && status < 500);
            T_TRUE(wire_ends(&client));
            wire_close(&client);
        }
    }
    daemon_stop(&server);
}

// Requests behind each other in one write, or a byte at a time: answered all, in order.
static void test_pipeline(void **state) {
    (void)state;
    daemon server;
    daemon_start(&server, &options);
    static const struct {
        const char *request, *says;
    } kinds[] = {
        {"GET /healthz HTTP/1.1\r\n" HOST "\r\n", "\"status\":\"ok\""},
        {"POST " OPS " HTTP/1.1\r\n" HOST JSON "Content-Length: " EMPTY_PUSH_LEN
         "\r\n\r\n" EMPTY_PUSH,
         "\"success\""},
        {"GET /icon.png HTTP/1.1\r\n" HOST "\r\n", "PNG"},
        {"POST " OPS " HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n"
         "1\r\n[\r\n0\r\n\r\n",
         "malformed"},
        {"GET /nothing HTTP/1.1\r\n" HOST "\r\n", "not-found"},
    };
    for (size_t count = 10; count <= 3000; count *= 17) {
        wire client;
        wire_open(&client, &server);
        t_bytes all = {0};
        for (size_t i = 0; i < count; i++) {
            const char *request = kinds[i * i % COUNT(kinds)].request;
            bytes_put(&all, request, strlen(request));
        }
        bytes_put(&all, "", 1);
        if (count == 10) {
            wire_drip(&client, (const char *)all.ptr);
        } else {
            // The answers are more than the sockets hold: somebody must read them. The
            // daemon stops reading meanwhile, so they are written from a thread's place:
            // in pieces, as far as it goes, between the reads below.
            wire_text(&client, (const char *)all.ptr);
        }
        for (size_t i = 0; i < count; i++) {
            answer got;
            wire_answer(&client, &got, false);
            if (got.status == 0 || strstr((const char *)got.body.ptr,
                                          kinds[i * i % COUNT(kinds)].says) == NULL)
                fail_msg("answer %zu of %zu", i, count);
            bytes_free(&got.body);
        }
        bytes_free(&all);
        wire_close(&client);
    }
    daemon_stop(&server);
}

// The client has said all it will: it is still answered.
static void test_half_closed(void **state) {
    (void)state;
    daemon server;
    daemon_start(&server, &options);
    static const struct {
        const char *name, *request;
        unsigned answers;
    } cases[] = {
        {"a request", "GET /healthz HTTP/1.1\r\n" HOST "\r\n", 1},
        {"two",
         "GET / HTTP/1.1\r\n" HOST "\r\nGET /healthz HTTP/1.1\r\n" HOST "\r\n", 2},
        {"a long poll", "GET " OPS "?since=0&wait=1 HTTP/1.1\r\n" HOST "\r\n", 1},
        {"one that takes time, and two behind it",
         "GET " OPS "?since=0&wait=1 HTTP/1.1\r\n" HOST "\r\n"
         "GET / HTTP/1.1\r\n" HOST "\r\nGET /healthz HTTP/1.1\r\n" HOST "\r\n",
         3},
        {"one and a half", "GET / HTTP/1.1\r\n" HOST "\r\nGET /", 1},
        {"half a body",
         "POST " OPS " HTTP/1.1\r\n" HOST JSON "Content-Length: 20\r\n\r\n{", 0},
        {"nothing", "", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        t_row = cases[i].name;
        wire client;
        wire_open(&client, &server);
        wire_text(&client, cases[i].request);
        T_EQ(shutdown(client.fd, SHUT_WR), 0);
        for (unsigned n = 0; n < cases[i].answers; n++)
            T_EQ(wire_status(&client), 200);
        T_TRUE(wire_ends(&client));
        wire_close(&client);
    }
    daemon_stop(&server);
}

static void test_continue(void **state) {
    (void)state;
    daemon server;
    daemon_start(&server, &options);
    wire client;
    wire_open(&client, &server);
    wire_text(&client,
              "POST " OPS " HTTP/1.1\r\n" HOST JSON
              "Expect: 100-continue\r\nContent-Length: " EMPTY_PUSH_LEN "\r\n\r\n");
    T_EQ(wire_status(&client), 100);
    wire_text(&client, EMPTY_PUSH);
    T_EQ(wire_status(&client), 200);
    wire_close(&client);
    daemon_stop(&server);
}

// Limits of size, over the wire: the answer comes although we have not finished.
static void test_sizes(void **state) {
    (void)state;
    daemon server;
    daemon_start(&server, &options);
    static const struct {
        const char *name, *before, *after;
        size_t filler;
        unsigned status;
    } cases[] = {
        {"a target of 4 KiB", "GET /healthz?", " HTTP/1.1\r\n" HOST "\r\n", 4087,
         200},
        {"one more", "GET /healthz?", "", 4088, 414},
        {"a head of 16 KiB and more", "GET / HTTP/1.1\r\n" HOST "A: ", "", 16384,
         431},
        {"a body of 1 MiB",
         "POST " OPS " HTTP/1.1\r\n" HOST JSON "Content-Length: 1048576\r\n\r\n",
         "", 1048576, 400},
        {"ten thousand slashes", "GET ", "", 10000, 414},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        t_row = cases[i].name;
        wire client;
        wire_open(&client, &server);
        wire_text(&client, cases[i].before);
        char *filler = malloc(cases[i].filler);
        assert_non_null(filler);
        memset(filler, '/', cases[i].filler);
        (void)wire_say(&client, filler, cases[i].filler);
        free(filler);
        wire_text(&client, cases[i].after);
        T_EQ(wire_status(&client), cases[i].status);
        wire_close(&client);
    }
    daemon_stop(&server);
}

// Time is short here, so that it passes.
static void test_slow(void **state) {
    (void)state;
    tm_server_config quick = options;
    quick.limits = (tm_server_limits){
        .head_ms = 300, .body_ms = 300, .body_rate = 100000, .idle_ms = 300};
    daemon server;
    daemon_start(&server, &quick);
    static const struct {
        const char *name, *said;
        unsigned status; // 0 = closed without a word
    } cases[] = {
        {"nothing at all", "", 0},
        {"half a head", "GET / HTTP/1.1\r\nHos", 408},
        {"a head without its end", "GET / HTTP/1.1\r\n" HOST, 408},
        {"a body that does not come",
         "POST " OPS " HTTP/1.1\r\n" HOST JSON "Content-Length: 5\r\n\r\n", 408},
        {"half a body",
         "POST " OPS " HTTP/1.1\r\n" HOST JSON "Content-Length: 5\r\n\r\n[", 408},
        {"half a chunk",
         "POST " OPS " HTTP/1.1\r\n" HOST JSON
         "Transfer-Encoding: chunked\r\n\r\n5\r\n[",
         408},
        {"half a handshake",
         "GET /v1/ws HTTP/1.1\r\n" HOST "Upgrade: websocket\r\n", 408},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        t_row = cases[i].name;
        wire client;
        wire_open(&client, &server);
        wire_text(&client, cases[i].said);
        T_EQ(wire_status(&client), cases[i].status);
        T_TRUE(wire_ends(&client));
        wire_close(&client);
    }
    t_row = "nothing after an answer";
    wire client;
    wire_open(&client, &server);
    wire_text(&client, "GET / HTTP/1.1\r\n" HOST "\r\n");
    T_EQ(wire_status(&client), 200);
    T_TRUE(wire_ends(&client));
    wire_close(&client);
    daemon_stop(&server);
}

// 500 clients that drip, or hold what they were given: the next one does not notice, and
// they cost little.
static void test_drippers(void **state) {
    (void)state;
    enum { DRIPPERS = 500 };
    static wire slow[DRIPPERS];
    daemon server;
    daemon_start(&server, &options);
    static const char *const begun[] = {
        "G", "GET / HTTP/1.1\r\nHost: 127.0", WS_HEAD,
        "POST " OPS " HTTP/1.1\r\n" HOST JSON "Content-Length: 1000000\r\n\r\n["};
    for (size_t i = 0; i < DRIPPERS; i++) {
        wire_open(&slow[i], &server);
        wire_text(&slow[i], begun[i % COUNT(begun)]);
    }
    wire client;
    wire_open(&client, &server);
    size_t prompt = 0;
    for (size_t n = 0; n < 20; n++) {
        for (size_t i = 0; i < DRIPPERS; i += 2)
            (void)wire_say(&slow[i], "A", 1);
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        wire_text(&client, "GET /healthz HTTP/1.1\r\n" HOST "\r\n");
        T_EQ(wire_status(&client), 200);
        clock_gettime(CLOCK_MONOTONIC, &after);
        int64_t ms = (after.tv_sec - before.tv_sec) * 1000 +
                     (after.tv_nsec - before.tv_nsec) / 1000000;
        if (ms < 100) prompt++;
    }
    T_TRUE(prompt > 10); // not each: the machine has other work, too
    for (size_t i = 0; i < DRIPPERS; i++)
        wire_close(&slow[i]);
    wire_close(&client);
    daemon_stop(&server);
    // Held were what they sent, and no buffer besides.
    T_TRUE(server.memory.peak < (size_t)DRIPPERS * 4096 + (1u << 20));
}

// With all places taken the next one waits, and is served when one is free.
static void test_full(void **state) {
    (void)state;
    tm_server_config few = options;
    few.limits.connections = 3;
    daemon server;
    daemon_start(&server, &few);
    wire taken[3], client;
    for (size_t i = 0; i < 3; i++) {
        wire_open(&taken[i], &server);
        wire_text(&taken[i], "GET /healthz HTTP/1.1\r\n" HOST "\r\n");
        T_EQ(wire_status(&taken[i]), 200);
    }
    wire_open(&client, &server);
    wire_text(&client, "GET /healthz HTTP/1.1\r\n" HOST "\r\n");
    char byte;
    struct timeval brief = {.tv_usec = 200000};
    (void)setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof brief);
    T_EQ(recv(client.fd, &byte, 1, MSG_PEEK), -1); // not yet
    brief = (struct timeval){.tv_sec = 10};
    (void)setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof brief);
    wire_close(&taken[1]);
    T_EQ(wire_status(&client), 200);
    wire_close(&client);
    wire_close(&taken[0]);
    wire_close(&taken[2]);
    daemon_stop(&server);
}

// Without a descriptor left the daemon does not spin, and serves on afterwards.
static void test_no_descriptors(void **state) {
    (void)state;
    daemon server;
    daemon_start(&server, &options);
    wire before;
    wire_open(&before, &server);
    wire_text(&before, "GET /healthz HTTP/1.1\r\n" HOST "\r\n");
    T_EQ(wire_status(&before), 200);

    wire refused;
    wire_open(&refused, &server); // our own end, while there are descriptors
    struct rlimit was, none;
    T_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
    none = was;
    none.rlim_cur = 3; // all that are open stay so, no further one can be
    T_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    wire_text(&before, "GET / HTTP/1.1\r\n" HOST "\r\n");
    T_EQ(wire_status(&before), 200);
    T_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);
    wire_close(&refused);
    wire_close(&before);
    T_EQ(ask_status(&server, "GET /healthz HTTP/1.1\r\n" HOST "\r\n"), 200);
    daemon_stop(&server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),           cmocka_unit_test(test_headers),
        cmocka_unit_test(test_smuggling),      cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_half_closed),    cmocka_unit_test(test_continue),
        cmocka_unit_test(test_sizes),          cmocka_unit_test(test_slow),
        cmocka_unit_test(test_drippers),       cmocka_unit_test(test_full),
        cmocka_unit_test(test_no_descriptors),
    };
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
