// Events as API Gateway writes them, and as nobody should.
#include "t.h"
#include "lambda/event.h"

#define HTTP(rest)                                                                 \
    "{\"version\":\"2.0\",\"rawPath\":\"/v1/lists/a\",\"rawQueryString\":\"x=1\"," \
    "\"requestContext\":{\"stage\":\"$default\",\"http\":{\"method\":"             \
    "\"GET\"}" rest "}"
#define SOCKET(rest)                                                               \
    "{\"requestContext\":{\"eventType\":\"MESSAGE\",\"connectionId\":\"L0=\"" rest \
    "}"
#define BY_JWT(claims)                                                             \
    ",\"authorizer\":{\"jwt\":{\"claims\":{" claims "},\"scopes\":null}}"

static const struct {
    const char *name, *text, *user, *body;
} good[] = {
    {"http, nobody", HTTP("") "}", "", NULL},
    {"jwt", HTTP(BY_JWT("\"iss\":\"i\",\"sub\":\"ann\"")) "}", "ann", NULL},
    {"jwt before lambda",
     HTTP(",\"authorizer\":{\"lambda\":{\"sub\":\"bob\"},\"jwt\":{\"claims\":{"
          "\"sub\":\"ann\"}}}") "}",
     "ann", NULL},
    {"lambda's sub",
     HTTP(",\"authorizer\":{\"lambda\":{\"principalId\":\"p\",\"sub\":\"bob\"}"
          "}") "}",
     "bob", NULL},
    {"lambda's principal",
     HTTP(",\"authorizer\":{\"lambda\":{\"principalId\":\"p\"}}") "}", "p", NULL},
    {"a top-level sub is not an HTTP API's",
     HTTP(",\"authorizer\":{\"sub\":\"eve\",\"principalId\":\"eve\"}") "}", "",
     NULL},
    {"a sub that is a number", HTTP(BY_JWT("\"sub\":7")) "}", "", NULL},
    {"an empty sub", HTTP(BY_JWT("\"sub\":\"\"")) "}", "", NULL},
    {"a sub with a control", HTTP(BY_JWT("\"sub\":\"a\\u0007\"")) "}", "", NULL},
    {"an authorizer that is null", HTTP(",\"authorizer\":null") "}", "", NULL},
    {"a user in a header, the query, the body",
     HTTP("") ",\"headers\":{\"x-user\":\"eve\",\"sub\":\"eve\"},\"body\":"
              "\"sub\","
              "\"user\":\"eve\"}",
     "", "sub"},
    {"fractions", HTTP(BY_JWT("\"sub\":\"ann\",\"x\":1.5e3")) ",\"y\":0.5}", "ann",
     NULL},
    {"base64", HTTP("") ",\"body\":\"aMOk\",\"isBase64Encoded\":true}", "",
     "h\xc3\xa4"},
    {"base64, one pad", HTTP("") ",\"body\":\"YWI=\",\"isBase64Encoded\":true}", "",
     "ab"},
    {"base64, two pads", HTTP("") ",\"body\":\"YQ==\",\"isBase64Encoded\":true}",
     "", "a"},
    {"base64, nothing", HTTP("") ",\"body\":\"\",\"isBase64Encoded\":true}", "",
     ""},
    {"socket, principal",
     SOCKET(",\"authorizer\":{\"principalId\":\"ann\"}") ",\"body\":\"{}\"}", "ann",
     "{}"},
    {"socket, sub before principal",
     SOCKET(",\"authorizer\":{\"principalId\":\"p\",\"sub\":\"ann\"}") "}", "ann",
     NULL},
    {"socket, no jwt there", SOCKET(BY_JWT("\"sub\":\"eve\"")) "}", "", NULL},
};

static const struct {
    const char *name, *text;
} bad[] = {
    {"nothing", ""},
    {"no object", "[]"},
    {"cut", "{\"version\":\"2.0\""},
    {"a key twice", "{\"version\":\"2.0\",\"version\":\"2.0\"}"},
    {"payload 1.0", "{\"version\":\"1.0\",\"path\":\"/\",\"httpMethod\":\"GET\"}"},
    {"no method", "{\"version\":\"2.0\",\"rawPath\":\"/\",\"requestContext\":{"
                  "\"http\":{}}}"},
    {"no path",
     "{\"version\":\"2.0\",\"requestContext\":{\"http\":{\"method\":\"GET\"}}}"},
    {"no connection", "{\"requestContext\":{\"eventType\":\"MESSAGE\"}}"},
    {"a connection that is a path", "{\"requestContext\":{\"eventType\":"
                                    "\"MESSAGE\",\"connectionId\":\"a/../%\"}}"},
    {"an eventType unknown",
     "{\"requestContext\":{\"eventType\":\"PING\",\"connectionId\":\"a\"}}"},
    {"base64 of three", HTTP("") ",\"body\":\"YQ=\",\"isBase64Encoded\":true}"},
    {"base64 with a space",
     HTTP("") ",\"body\":\"Y Q=\",\"isBase64Encoded\":true}"},
    {"base64, pads within",
     HTTP("") ",\"body\":\"YQ==YQ==\",\"isBase64Encoded\":true}"},
    {"base64 of pads", HTTP("") ",\"body\":\"====\",\"isBase64Encoded\":true}"},
};

static t_memory memory;

static tm_status read(const char *text, tm_arena *arena, tm_event *event,
                      const char **why) {
    return tm_event_read(t_str(text), arena, event, why);
}

static void test_good(void **state) {
    (void)state;
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    for (size_t i = 0; i < COUNT(good); i++) {
        tm_event event;
        const char *why;
        t_row = good[i].name;
        T_OK(read(good[i].text, &arena, &event, &why));
        T_EQ(event.user.len, strlen(good[i].user));
        if (event.user.len > 0) T_SPAN(event.user, t_str(good[i].user));
        T_EQ(event.body.ptr != NULL, good[i].body != NULL);
        if (good[i].body != NULL) T_TEXT(event.body, good[i].body);
        tm_arena_reset(&arena);
    }
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

static void test_bad(void **state) {
    (void)state;
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    for (size_t i = 0; i < COUNT(bad); i++) {
        tm_event event;
        const char *why = NULL;
        t_row = bad[i].name;
        T_STATUS(read(bad[i].text, &arena, &event, &why), TM_E_CORRUPT);
        T_TRUE(why != NULL && why[0] != '\0');
        tm_arena_reset(&arena);
    }
    tm_arena_deinit(&arena);
}

static void test_members(void **state) {
    (void)state;
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    tm_event event;
    const char *why;
    t_row = "";
    T_OK(read(
        "{\"version\":\"2.0\",\"rawPath\":\"/prod/v1/x\",\"requestContext\":{"
        "\"stage\":\"prod\",\"http\":{\"method\":\"PUT\"}},\"headers\":{\"Origin\":"
        "\"o\",\"ACCEPT-encoding\":\"gzip\",\"host\":7}}",
        &arena, &event, &why));
    T_EQ(event.what, TM_HAPPENED_HTTP);
    T_TEXT(event.path, "/v1/x");
    T_TEXT(event.method, "PUT");
    T_TEXT(event.fields[TM_FIELD_ORIGIN], "o");
    T_TEXT(event.fields[TM_FIELD_ACCEPT_ENCODING], "gzip");
    T_TRUE(event.fields[TM_FIELD_HOST].ptr == NULL);
    T_OK(read(
        "{\"version\":\"2.0\",\"rawPath\":\"/production/x\",\"requestContext\":{"
        "\"stage\":\"prod\",\"http\":{\"method\":\"GET\"}}}",
        &arena, &event, &why));
    T_TEXT(event.path, "/production/x");
    static const char *const ends[] = {"1790000000", "\"1790000000\"",
                                       "1790000000.75"};
    for (size_t i = 0; i < COUNT(ends); i++) {
        char text[256];
        t_row = ends[i];
        snprintf(
            text, sizeof text,
            "{\"requestContext\":{\"eventType\":\"CONNECT\",\"connectionId\":\"a\","
            "\"authorizer\":{\"exp\":%s}}}",
            ends[i]);
        T_OK(read(text, &arena, &event, &why));
        T_TRUE(event.has_end);
        T_EQ(event.end_s, 1790000000);
    }
    tm_arena_deinit(&arena);
}

// Every truncation is refused, and without memory nothing is.
static void test_cut(void **state) {
    (void)state;
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    const char *text = good[1].text;
    for (size_t len = 0; len < strlen(text); len++) {
        tm_event event;
        const char *why;
        tm_span cut = {(const uint8_t *)text, len};
        T_STATUS(tm_event_read(cut, &arena, &event, &why), TM_E_CORRUPT);
    }
    tm_arena_deinit(&arena);
}

static void test_said(void **state) {
    (void)state;
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    tm_said said;
    T_TRUE(tm_said_read(
        t_str("{\"type\":\"SEEN\",\"list\":\"a\",\"version\":7,\"acked\":"
              "9,\"since\":\"x\",\"operations\":[{}]}"),
        &arena, &said));
    T_TEXT(said.type, "SEEN");
    T_TEXT(said.list, "a");
    T_TRUE(said.has_version && said.has_acked && !said.has_since);
    T_EQ(said.version, 7);
    T_EQ(said.acked, 9);
    T_TRUE(!tm_said_read(t_str("{\"type\":\"SEEN\""), &arena, &said));
    T_TRUE(!tm_said_read((tm_span){NULL, 0}, &arena, &said));
    tm_arena_deinit(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),    cmocka_unit_test(test_bad),
        cmocka_unit_test(test_members), cmocka_unit_test(test_cut),
        cmocka_unit_test(test_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
