// Signature Version 4: AWS's published test suite, our own edges, and requests made at
// random for others to verify.
#include "store/aws_sign.h"
#include "t.h"

#define EMPTY                                                                      \
    { NULL, 0 }

static t_memory memory;
static tm_alloc alloc;

// The keys, scope, host and time of AWS's "aws-sig-v4-test-suite".
static const tm_aws_keys keys = {TM_LIT("AKIDEXAMPLE"),
                                 TM_LIT("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                                 EMPTY};
static const tm_aws_scope scope = {TM_LIT("us-east-1"), TM_LIT("service")};
#define SUITE_MS UINT64_C(1440938160000) // 20150830T123600Z

#define HOST                                                                       \
    { TM_LIT("Host"), TM_LIT("example.amazonaws.com") }

// clang-format off
static const struct {
    const char *name, *method, *path, *query;
    tm_aws_header headers[4];
    const char *body, *names, *signature;
} suite[] = {
    {"get-vanilla", "GET", "/", "", {HOST}, "", "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla-query-order-key-case", "GET", "/", "Param2=value2&Param1=value1", {HOST}, "",
     "host;x-amz-date",
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-vanilla-empty-query-key", "GET", "/", "Param1=value1", {HOST}, "", "host;x-amz-date",
     "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
    {"get-vanilla-query-unreserved", "GET", "/",
     "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz="
     "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
     {HOST}, "", "host;x-amz-date",
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"get-vanilla-utf8-query", "GET", "/", "\xe1\x88\xb4=bar", {HOST}, "", "host;x-amz-date",
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"get-unreserved", "GET",
     "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "", {HOST}, "",
     "host;x-amz-date",
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"get-utf8", "GET", "/\xe1\x88\xb4", "", {HOST}, "", "host;x-amz-date",
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-space", "GET", "/example space/", "", {HOST}, "", "host;x-amz-date",
     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
    {"get-slash", "GET", "//", "", {HOST}, "", "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-relative", "GET", "/example/..", "", {HOST}, "", "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-relative-relative", "GET", "/example1/example2/../..", "", {HOST}, "",
     "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-slash-dot-slash", "GET", "/./", "", {HOST}, "", "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-header-key-duplicate", "GET", "/", "",
     {HOST, {TM_LIT("My-Header1"), TM_LIT("value2")}, {TM_LIT("My-Header1"), TM_LIT("value2")},
      {TM_LIT("My-Header1"), TM_LIT("value1")}},
     "", "host;my-header1;x-amz-date",
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"get-header-value-trim", "GET", "/", "",
     {HOST, {TM_LIT("My-Header1"), TM_LIT(" value1")},
      {TM_LIT("My-Header2"), TM_LIT(" \"a   b   c\"")}},
     "", "host;my-header1;my-header2;x-amz-date",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"post-vanilla", "POST", "/", "", {HOST}, "", "host;x-amz-date",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-vanilla-query", "POST", "/", "Param1=value1", {HOST}, "", "host;x-amz-date",
     "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
    {"post-header-key-sort", "POST", "/", "", {HOST, {TM_LIT("My-Header1"), TM_LIT("value1")}},
     "", "host;my-header1;x-amz-date",
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {"post-header-value-case", "POST", "/", "",
     {HOST, {TM_LIT("My-Header1"), TM_LIT("VALUE1")}}, "", "host;my-header1;x-amz-date",
     "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
    {"post-x-www-form-urlencoded", "POST", "/", "",
     {{TM_LIT("Content-Type"), TM_LIT("application/x-www-form-urlencoded")}, HOST},
     "Param1=value1", "content-type;host;x-amz-date",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
};
// clang-format on

static tm_aws_request request_of(const char *method, const char *path,
                                 const char *query, const tm_aws_header *headers,
                                 size_t count, const char *body) {
    return (tm_aws_request){t_str(method), t_str(path), t_str(query),
                            headers,       count,       t_str(body)};
}

static void the_published_suite(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(suite); i++) {
        t_row = suite[i].name;
        size_t count = 0;
        while (count < 4 && suite[i].headers[count].name.ptr != NULL) {
            count++;
        }
        tm_aws_request request =
            request_of(suite[i].method, suite[i].path, suite[i].query,
                       suite[i].headers, count, suite[i].body);
        char date[TM_AWS_DATE_LEN + 1], want[512];
        tm_buf out = {.alloc = &alloc};
        T_OK(tm_aws_sign(&keys, &scope, SUITE_MS, &request, date, &out));
        T_TEXT(t_str(date), "20150830T123600Z");
        snprintf(want, sizeof want,
                 "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/"
                 "service/aws4_request, SignedHeaders=%s, Signature=%s",
                 suite[i].names, suite[i].signature);
        T_TEXT(tm_buf_span(&out), want);
        tm_buf_deinit(&out);
    }
    T_EQ(memory.live, 0);
}

static const struct {
    const char *name;
    uint64_t ms;
    size_t headers, parameters;
    tm_status status;
    const char *date;
} edges[] = {
    {"the beginning", 0, 1, 0, TM_OK, "19700101T000000Z"},
    {"a leap day's last second", UINT64_C(1709251199999), 1, 0, TM_OK,
     "20240229T235959Z"},
    {"the last second", UINT64_C(253402300799999), 1, 0, TM_OK, "99991231T235959Z"},
    {"five digits", UINT64_C(253402300800000), 1, 0, TM_E_RANGE, NULL},
    {"all headers", 0, TM_AWS_HEADERS_MAX - 2, 0, TM_OK, NULL},
    {"one more", 0, TM_AWS_HEADERS_MAX - 1, 0, TM_E_RANGE, NULL},
    {"all parameters", 0, 1, TM_AWS_QUERY_MAX, TM_OK, NULL},
    {"one more of them", 0, 1, TM_AWS_QUERY_MAX + 1, TM_E_RANGE, NULL},
};

static void limits_are_told(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(edges); i++) {
        t_row = edges[i].name;
        tm_aws_header headers[TM_AWS_HEADERS_MAX];
        char query[4 * (TM_AWS_QUERY_MAX + 2)] = "";
        for (size_t h = 0; h < COUNT(headers); h++) {
            headers[h] = (tm_aws_header)HOST;
        }
        for (size_t p = 0; p < edges[i].parameters; p++) {
            memcpy(query + 3 * p, "x=&", 4);
        }
        tm_aws_request request =
            request_of("GET", "/", query, headers, edges[i].headers, "");
        char date[TM_AWS_DATE_LEN + 1];
        tm_buf out = {.alloc = &alloc};
        tm_buf_text(&out, "before ");
        T_STATUS(tm_aws_sign(&keys, &scope, edges[i].ms, &request, date, &out),
                 edges[i].status);
        if (edges[i].status != TM_OK) T_TEXT(tm_buf_span(&out), "before ");
        if (edges[i].date != NULL) T_TEXT(t_str(date), edges[i].date);
        tm_buf_deinit(&out);
    }
    T_EQ(memory.live, 0);
}

static void refused_memory_is_told(void **state) {
    (void)state;
    tm_aws_header headers[] = {HOST};
    tm_aws_request request = request_of(
        "POST", "/@connections/L0SM9cOFvHcCIhw=", "b=%7e&a", headers, 1, "body");
    for (size_t k = 1;; k++) {
        t_memory small = {.fail_at = k};
        tm_alloc from = t_alloc(&small);
        tm_buf out = {.alloc = &from};
        char date[TM_AWS_DATE_LEN + 1];
        tm_status status =
            tm_aws_sign(&keys, &scope, SUITE_MS, &request, date, &out);
        if (status != TM_OK) T_EQ(out.len, 0);
        tm_buf_deinit(&out);
        T_EQ(small.live, 0);
        if (status == TM_OK && !small.refused) break;
        T_STATUS(status, TM_E_NOMEM);
    }
}

// ---- for others to verify -----------------------------------------------------------

static uint64_t random_next(uint64_t *seed) { // splitmix64
    uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static size_t below(uint64_t *seed, size_t bound) {
    return (size_t)(random_next(seed) % bound);
}

static tm_span pick(uint64_t *seed, char *out, size_t max, const char *from) {
    size_t len = below(seed, max + 1), count = strlen(from);
    for (size_t i = 0; i < len; i++) {
        out[i] = from[below(seed, count)];
    }
    return (tm_span){(const uint8_t *)out, len};
}

// A query as it may stand on the wire: escapes where they must be, some without need.
static void random_query(uint64_t *seed, tm_buf *out) {
    static const char *const pieces[] = {"a",   "b", "Z",   "0",   "-",   "~",
                                         "%20", "_", "%3D", "%2f", "%41", "."};
    for (size_t n = below(seed, 6); n > 0; n--) {
        for (size_t len = 1 + below(seed, 4); len > 0; len--) {
            tm_buf_text(out, pieces[below(seed, COUNT(pieces))]);
        }
        tm_buf_text(out, "=");
        for (size_t len = below(seed, 5); len > 0; len--) {
            tm_buf_text(out, pieces[below(seed, COUNT(pieces))]);
        }
        if (n > 1) tm_buf_text(out, "&");
    }
}

static void random_path(uint64_t *seed, tm_buf *out) {
    static const char *const pieces[] = {"a",   "Bc", "@", "%3D",
                                         "%2B", "9",  "~", "-"};
    tm_buf_text(out, "/");
    for (size_t parts = below(seed, 4); parts > 0; parts--) {
        for (size_t len = 1 + below(seed, 4); len > 0; len--) {
            tm_buf_text(out, pieces[below(seed, COUNT(pieces))]);
        }
        if (parts > 1 || below(seed, 3) == 0) tm_buf_text(out, "/");
    }
}

static void put_member(tm_buf *out, const char *name, tm_span value) {
    tm_buf_text(out, ",\"");
    tm_buf_text(out, name);
    tm_buf_text(out, "\":");
    tm_buf_json(out, value);
}

static void random_request(uint64_t n, FILE *to) {
    uint64_t seed = n;
    tm_buf path = {.alloc = &alloc}, query = {.alloc = &alloc};
    tm_buf line = {.alloc = &alloc}, signature = {.alloc = &alloc};
    char secret[41], token[200], body[3000], value[60];
    static const char visible[] = "abcdefXYZ0189+/=-_ .,;:!";
    random_path(&seed, &path);
    random_query(&seed, &query);
    tm_aws_keys own = {keys.id, pick(&seed, secret, 40, "abcXYZ019+/"),
                       pick(&seed, token, n % 2 == 0 ? 0 : 199, "abcXYZ019+/=")};
    tm_aws_scope there = {t_str(n % 3 == 0 ? "eu-central-1" : "us-east-1"),
                          t_str(n % 5 == 0 ? "execute-api" : "dynamodb")};
    tm_aws_header headers[] = {
        {t_str("host"), t_str("dynamodb.example.com")},
        {t_str("X-Amz-Target"), t_str("DynamoDB_20120810.PutItem")},
        {t_str("content-type"), pick(&seed, value, 59, visible)}};
    tm_aws_request request = {t_str(n % 4 == 0 ? "GET" : "POST"),
                              tm_buf_span(&path),
                              tm_buf_span(&query),
                              headers,
                              1 + below(&seed, 3),
                              {NULL, 0}};
    request.body = pick(&seed, body, n % 4 == 0 ? 0 : sizeof body, visible);
    uint64_t ms = below(&seed, (size_t)UINT64_C(4102444800000));
    char date[TM_AWS_DATE_LEN + 1];
    T_OK(tm_aws_sign(&own, &there, ms, &request, date, &signature));

    tm_buf_text(&line, "{\"ms\":");
    tm_buf_u64(&line, ms);
    put_member(&line, "date", t_str(date));
    put_member(&line, "id", own.id);
    put_member(&line, "secret", own.secret);
    put_member(&line, "token", own.token);
    put_member(&line, "region", there.region);
    put_member(&line, "service", there.service);
    put_member(&line, "method", request.method);
    put_member(&line, "path", request.path);
    put_member(&line, "query", request.query);
    put_member(&line, "body", request.body);
    tm_buf_text(&line, ",\"headers\":[");
    for (size_t i = 0; i < request.headers_count; i++) {
        tm_buf_text(&line, i == 0 ? "[" : ",[");
        tm_buf_json(&line, headers[i].name);
        tm_buf_text(&line, ",");
        tm_buf_json(&line, headers[i].value);
        tm_buf_text(&line, "]");
    }
    tm_buf_text(&line, "]");
    put_member(&line, "authorization", tm_buf_span(&signature));
    tm_buf_text(&line, "}\n");
    T_OK(line.status);
    if (to != NULL) T_EQ(fwrite(line.ptr, 1, line.len, to), line.len);
    tm_buf_deinit(&path);
    tm_buf_deinit(&query);
    tm_buf_deinit(&line);
    tm_buf_deinit(&signature);
}

// TM_SIGNED names a file: tests/dynamodb/verify-signatures.mjs reads it.
static void generated_requests(void **state) {
    (void)state;
    const char *path = getenv("TM_SIGNED");
    FILE *to = path == NULL ? NULL : fopen(path, "w");
    T_TRUE(path == NULL || to != NULL);
    for (uint64_t n = 1; n <= 1000; n++) {
        random_request(n, to);
    }
    if (to != NULL) T_EQ(fclose(to), 0);
    T_EQ(memory.live, 0);
}

int main(void) {
    alloc = t_alloc(&memory);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_suite),
        cmocka_unit_test(limits_are_told),
        cmocka_unit_test(refused_memory_is_told),
        cmocka_unit_test(generated_requests),
    };
    return cmocka_run_group_tests_name("SigV4", tests, NULL, NULL);
}
