// Where keys come from: every place, their order, refresh before the end, and what is not
// trusted.
#include "store/aws_credentials.h"
#include "t.h"

#include <unistd.h>

// A door that answers from a table by URL and header, at a time that is a number.
typedef struct reply {
    const char *method, *url, *header; // NULL = none
    uint32_t status;                   // 0 = no connection
    const char *body;
} reply;

typedef struct door {
    tm_http base;
    const reply *replies;
    uint64_t now_ms;
    tm_http_request *waiting;
    size_t asked;
} door;

static t_memory memory;
static tm_alloc alloc;

static void door_start(tm_http *http, tm_http_request *request) {
    door *d = (door *)(void *)http;
    T_TRUE(d->waiting == NULL);
    d->waiting = request;
}

static size_t door_poll(tm_http *http) {
    door *d = (door *)(void *)http;
    tm_http_request *request = d->waiting;
    if (request == NULL) return 0;
    d->waiting = NULL;
    d->now_ms += request->delay_ms;
    d->asked++;
    T_TRUE(request->direct);
    request->fate = TM_HTTP_UNSENT;
    request->why = "Couldn't connect to server";
    for (const reply *one = d->replies; one != NULL && one->url != NULL; one++) {
        const char *header = request->headers[0] == NULL ? "" : request->headers[0];
        if (strcmp(one->url, request->url) != 0 || one->status == 0) continue;
        if (strcmp(one->method, request->method) != 0) continue;
        if (strcmp(one->header == NULL ? "" : one->header, header) != 0) continue;
        request->fate = TM_HTTP_ANSWERED;
        request->status = one->status;
        request->answer = t_str(one->body);
        break;
    }
    request->done(request);
    return 1;
}

static tm_now door_now(tm_http *http) {
    uint64_t now_ms = ((door *)(void *)http)->now_ms;
    return (tm_now){now_ms, now_ms};
}

static const tm_http_ops door_ops = {
    .start = door_start, .poll = door_poll, .now = door_now};

typedef struct variable {
    const char *name, *value;
} variable;

static const char *env(void *context, const char *name) {
    for (const variable *one = context; one->name != NULL; one++) {
        if (strcmp(one->name, name) == 0) return one->value;
    }
    return NULL;
}

static void on_ready(void *context) {
    ++*(size_t *)context;
}

#define NOW_MS UINT64_C(1795464000000) // 2026-11-23T20:00:00Z
#define KEYS(id, expires)                                                          \
    "{\"Code\":\"Success\",\"AccessKeyId\":\"" id                                  \
    "\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"" expires "\"}"
#define IAM     "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
#define TOKEN   "http://169.254.169.254/latest/api/token"
#define TTL     "X-aws-ec2-metadata-token-ttl-seconds: 21600"
#define BEARING "X-aws-ec2-metadata-token: tok=="

static char credentials_file[64], config_file[64], token_file[64];

// clang-format off
static const struct {
    const char *name;
    variable env[6];
    reply replies[4];
    const char *id;  // NULL = there are none
    const char *why; // then, a part of it
} places[] = {
    {"the environment", {{"AWS_ACCESS_KEY_ID", "E"}, {"AWS_SECRET_ACCESS_KEY", "s"},
      {"AWS_SHARED_CREDENTIALS_FILE", credentials_file}}, {{0}}, "E", NULL},
    {"half of it is none", {{"AWS_ACCESS_KEY_ID", "E"},
      {"AWS_SHARED_CREDENTIALS_FILE", credentials_file}}, {{0}}, "FILE", NULL},
    {"a file, another profile", {{"AWS_SHARED_CREDENTIALS_FILE", credentials_file},
      {"AWS_PROFILE", "other"}}, {{0}}, "OTHER", NULL},
    {"the config file's profile", {{"AWS_CONFIG_FILE", config_file}, {"AWS_PROFILE", "third"}},
     {{0}}, "THIRD", NULL},
    {"no such profile, and no instance", {{"AWS_SHARED_CREDENTIALS_FILE", credentials_file},
      {"AWS_PROFILE", "nobody"}}, {{0}}, NULL, "Couldn't connect"},
    {"metadata switched off", {{"AWS_EC2_METADATA_DISABLED", "true"}}, {{0}}, NULL, "DISABLED"},
    {"a container", {{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x"}},
     {{"GET", "http://169.254.170.2/v2/x", NULL, 200, KEYS("C", "2026-11-24T02:00:00Z")}},
     "C", NULL},
    {"a container with a token", {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/c"},
      {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "abc"}},
     {{"GET", "http://127.0.0.1:1/c", "Authorization: abc", 200, KEYS("C", "2026-11-24T02:00:00Z")}},
     "C", NULL},
    {"a token in a file", {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://example.com/c"},
      {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token_file}},
     {{"GET", "https://example.com/c", "Authorization: from-file", 200,
       KEYS("C", "2026-11-24T02:00:00Z")}}, "C", NULL},
    {"a far address without TLS", {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/c"}},
     {{"GET", "http://example.com/c", NULL, 200, KEYS("EVIL", "2026-11-24T02:00:00Z")}},
     NULL, "neither https"},
    {"one that only begins like ours", {{"AWS_CONTAINER_CREDENTIALS_FULL_URI",
      "http://127.0.0.1.example.com/c"}},
     {{"GET", "http://127.0.0.1.example.com/c", NULL, 200, KEYS("EVIL", "2026-11-24T02:00:00Z")}},
     NULL, "neither https"},
    {"an instance", {{0}},
     {{"PUT", TOKEN, TTL, 200, "tok=="}, {"GET", IAM, BEARING, 200, "role-1\n"},
      {"GET", IAM "role-1", BEARING, 200, KEYS("I", "2026-11-24T02:00:00Z")}}, "I", NULL},
    {"an instance without a role", {{0}},
     {{"PUT", TOKEN, TTL, 200, "tok=="}, {"GET", IAM, BEARING, 404, ""}}, NULL, "answered 404"},
    {"a token that would be two headers", {{0}},
     {{"PUT", TOKEN, TTL, 200, "tok\r\nX: y"}}, NULL, "no token"},
    {"a role that would be another path", {{0}},
     {{"PUT", TOKEN, TTL, 200, "tok=="}, {"GET", IAM, BEARING, 200, "../x"}}, NULL, "no role"},
    {"an answer cut", {{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/"}},
     {{"GET", "http://169.254.170.2/", NULL, 200, "{\"AccessKeyId\":\"C\",\"Secr"}},
     NULL, "no keys"},
};
// clang-format on

static tm_aws_credentials *open_with(door *d, const variable *variables) {
    tm_aws_config config = {&alloc, &d->base, env, (void *)(uintptr_t)variables};
    tm_aws_credentials *made = NULL;
    T_OK(tm_aws_credentials_new(&config, &made));
    return made;
}

static tm_status settle(tm_aws_credentials *c, door *d, tm_aws_keys *keys) {
    tm_status status = tm_aws_credentials_get(c, keys);
    while (d->waiting != NULL) {
        (void)door_poll(&d->base);
    }
    return status == TM_E_MORE ? tm_aws_credentials_get(c, keys) : status;
}

static void every_place_in_its_order(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(places); i++) {
        t_row = places[i].name;
        door d = {
            .base = {&door_ops}, .replies = places[i].replies, .now_ms = NOW_MS};
        tm_aws_credentials *c = open_with(&d, places[i].env);
        tm_aws_keys keys = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
        tm_status status = settle(c, &d, &keys);
        T_STATUS(status, places[i].id == NULL ? TM_E_STATE : TM_OK);
        if (places[i].id != NULL) {
            T_TEXT(keys.id, places[i].id);
            T_EQ(tm_aws_credentials_why(c)[0], '\0');
        } else {
            T_TRUE(strstr(tm_aws_credentials_why(c), places[i].why) != NULL);
        }
        tm_aws_credentials_free(c);
    }
    T_EQ(memory.live, 0);
}

static void keys_are_renewed_before_they_expire(void **state) {
    (void)state;
    const variable variables[] = {{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/k"},
                                  {NULL, NULL}};
    const reply first[] = {{"GET", "http://169.254.170.2/k", NULL, 200,
                            KEYS("ONE", "2026-11-23T21:00:00Z")},
                           {0}};
    const reply second[] = {{"GET", "http://169.254.170.2/k", NULL, 200,
                             KEYS("TWO", "2026-11-23T22:00:00Z")},
                            {0}};
    size_t ready = 0;
    door d = {.base = {&door_ops}, .replies = first, .now_ms = NOW_MS};
    tm_aws_credentials *c = open_with(&d, variables);
    tm_aws_credentials_ready(c, on_ready, &ready);
    tm_aws_keys keys;
    T_OK(settle(c, &d, &keys));
    T_EQ(ready, 1);
    d.now_ms = NOW_MS + 54 * 60000;
    T_OK(tm_aws_credentials_get(c, &keys));
    T_TRUE(d.waiting == NULL); // not yet
    d.now_ms = NOW_MS + 56 * 60000;
    d.replies = NULL; // nobody answers: the old ones are good until their end
    size_t asked = d.asked;
    T_OK(settle(c, &d, &keys));
    T_TRUE(d.asked > asked);
    T_TEXT(keys.id, "ONE");
    d.now_ms = NOW_MS + 61 * 60000;
    T_STATUS(settle(c, &d, &keys), TM_E_STATE);
    T_TRUE(tm_aws_credentials_why(c)[0] != '\0');
    d.now_ms += 6000;
    d.replies = second;
    T_OK(settle(c, &d, &keys));
    T_TEXT(keys.id, "TWO");
    T_TRUE(!tm_aws_credentials_refused(c)); // they were fetched just now
    d.now_ms += 6000;
    T_TRUE(tm_aws_credentials_refused(c));
    T_OK(settle(c, &d, &keys));
    tm_aws_credentials_free(c);
    T_EQ(memory.live, 0);
}

static const struct {
    const char *name;
    variable env[3];
    const char *region;
} regions[] = {
    {"named",
     {{"AWS_REGION", "eu-west-1"}, {"AWS_DEFAULT_REGION", "x"}},
     "eu-west-1"},
    {"by default", {{"AWS_DEFAULT_REGION", "us-west-2"}}, "us-west-2"},
    {"the profile's",
     {{"AWS_CONFIG_FILE", config_file}, {"AWS_PROFILE", "third"}},
     "ap-south-1"},
    {"the usual profile's", {{"AWS_CONFIG_FILE", config_file}}, "eu-central-1"},
    {"nobody says", {{"AWS_CONFIG_FILE", "/nowhere/at/all"}}, ""},
};

static void the_region(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(regions); i++) {
        t_row = regions[i].name;
        char region[64];
        tm_aws_config config = {&alloc, NULL, env,
                                (void *)(uintptr_t)regions[i].env};
        tm_aws_region(&config, region);
        T_TEXT(t_str(region), regions[i].region);
    }
}

static void file_make(char path[64], const char *text) {
    strcpy(path, "/tmp/tidemark-aws-XXXXXX");
    int fd = mkstemp(path);
    T_TRUE(fd >= 0);
    T_EQ(write(fd, text, strlen(text)), strlen(text));
    T_EQ(close(fd), 0);
}

int main(void) {
    alloc = t_alloc(&memory);
    file_make(credentials_file,
              "# keys\n[default]\r\naws_access_key_id = FILE\r\n"
              "aws_secret_access_key=s=with=equals\n\n[ other ]\n"
              "aws_access_key_id=OTHER\naws_secret_access_key=s\n");
    file_make(config_file,
              "[default]\nregion = eu-central-1\ns3 =\n  region = nested\n"
              "[profile third]\nregion=ap-south-1\naws_access_key_id=THIRD\n"
              "aws_secret_access_key=s\n");
    file_make(token_file, "from-file\n");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_place_in_its_order),
        cmocka_unit_test(keys_are_renewed_before_they_expire),
        cmocka_unit_test(the_region),
    };
    int failed = cmocka_run_group_tests_name("credentials", tests, NULL, NULL);
    (void)unlink(credentials_file);
    (void)unlink(config_file);
    (void)unlink(token_file);
    return failed;
}
