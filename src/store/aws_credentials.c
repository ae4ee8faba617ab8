// aws_credentials.c - see aws_credentials.h.
#include "store/aws_credentials.h"

#include "core/json.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EARLY_MS   (5u * 60 * 1000) // AWS's own programs renew so long before the end
#define AGAIN_MS   5000u // a place that had no keys is not asked more often
#define TIMEOUT_MS 2000u // of an address on this machine or beside it
#define TRIES      3u
#define ANSWER_MAX (64u << 10)
#define FILE_MAX   (1u << 20)
#define FIELD_MAX  4096u // a session token has about a thousand bytes
#define URL_MAX    1024u

#define CONTAINER "http://169.254.170.2"
#define INSTANCE  "http://169.254.169.254"
#define IAM_PATH  "/latest/meta-data/iam/security-credentials/"

typedef enum step { // of a fetch
    STEP_NONE,
    STEP_CONTAINER,
    STEP_TOKEN, // the instance: first a token,
    STEP_ROLE,  // then the name of the role,
    STEP_KEYS,  // then its keys
} step;

struct tm_aws_credentials {
    tm_aws_config config;
    char id[FIELD_MAX], secret[FIELD_MAX], token[FIELD_MAX];
    bool known;
    uint64_t expires_ms; // by the wall; 0 = never
    bool looked;
    uint64_t looked_ms; // by the monotonic clock
    char why[512];

    step step;
    bool looking; // inside look: whoever asked learns it at once
    uint32_t tries;
    tm_http_request request;
    char url[URL_MAX], header[FIELD_MAX + 64], role[256];
    const char *headers[2];
    void (*ready)(void *context);
    void *ready_context;
};

// ---- text ---------------------------------------------------------------------------

static const char *env(const tm_aws_config *config, const char *name) {
    const char *value = config->env(config->env_context, name);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

static bool copy(char *to, size_t size, tm_span from) {
    if (from.len >= size || (from.len > 0 && memchr(from.ptr, 0, from.len))) {
        return false;
    }
    if (from.len > 0) memcpy(to, from.ptr, from.len);
    to[from.len] = '\0';
    return true;
}

static tm_span text(const char *from) {
    return (tm_span){(const uint8_t *)from, from == NULL ? 0 : strlen(from)};
}

static tm_span trimmed(tm_span part) {
    while (part.len > 0 && (part.ptr[0] == ' ' || part.ptr[0] == '\t')) {
        part.ptr++;
        part.len--;
    }
    while (part.len > 0 &&
           (part.ptr[part.len - 1] == ' ' || part.ptr[part.len - 1] == '\t' ||
            part.ptr[part.len - 1] == '\r')) {
        part.len--;
    }
    return part;
}

static bool same(tm_span part, const char *word) {
    return tm_span_cmp(part, text(word)) == 0;
}

// ---- the shared files ---------------------------------------------------------------

tm_span tm_aws_profile_find(tm_span file, const char *section, const char *key) {
    bool here = false;
    for (size_t at = 0; at < file.len;) {
        size_t end = at;
        while (end < file.len && file.ptr[end] != '\n') {
            end++;
        }
        tm_span line = {file.ptr + at, end - at};
        at = end + 1;
        // A line that begins with space belongs to a nested setting.
        bool nested = line.len > 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t');
        line = trimmed(line);
        if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == ';') continue;
        if (line.ptr[0] == '[' && line.ptr[line.len - 1] == ']') {
            tm_span name = {line.ptr + 1, line.len - 2};
            here = same(trimmed(name), section);
            continue;
        }
        const uint8_t *equals = memchr(line.ptr, '=', line.len);
        if (!here || nested || equals == NULL) continue;
        size_t name_len = (size_t)(equals - line.ptr);
        if (!same(trimmed((tm_span){line.ptr, name_len}), key)) continue;
        return trimmed((tm_span){equals + 1, line.len - name_len - 1});
    }
    return (tm_span){NULL, 0};
}

static tm_span file_read(const char *path) { // free(ptr); NULL = none
    FILE *file = fopen(path, "rb");
    if (file == NULL) return (tm_span){NULL, 0};
    uint8_t *bytes = malloc(FILE_MAX);
    size_t len = bytes == NULL ? 0 : fread(bytes, 1, FILE_MAX, file);
    (void)fclose(file);
    return (tm_span){bytes, len};
}

static void file_free(tm_span file) {
    if (file.ptr == NULL) return;
    void *bytes = (void *)(uintptr_t)file.ptr;
    OPENSSL_cleanse(bytes, file.len);
    free(bytes);
}

static tm_span shared_read(const tm_aws_config *config, const char *named,
                           const char *usual) {
    const char *path = env(config, named), *home = env(config, "HOME");
    if (path != NULL) return file_read(path);
    char made[1024];
    if (home == NULL) return (tm_span){NULL, 0};
    int len = snprintf(made, sizeof made, "%s/.aws/%s", home, usual);
    if (len < 0 || (size_t)len >= sizeof made) return (tm_span){NULL, 0};
    return file_read(made);
}

static const char *profile_of(const tm_aws_config *config) {
    const char *profile = env(config, "AWS_PROFILE");
    return profile == NULL ? "default" : profile;
}

// The section of a profile in ~/.aws/config.
static void config_section(const char *profile, char out[256]) {
    (void)snprintf(out, 256, "%s%s",
                   strcmp(profile, "default") == 0 ? "" : "profile ", profile);
}

static bool keys_take(tm_aws_credentials *c, tm_span id, tm_span secret,
                      tm_span token) {
    if (id.len == 0 || secret.len == 0) return false;
    c->known = copy(c->id, sizeof c->id, id) &&
               copy(c->secret, sizeof c->secret, secret) &&
               copy(c->token, sizeof c->token, token);
    c->expires_ms = 0;
    return c->known;
}

static bool section_take(tm_aws_credentials *c, tm_span file, const char *section) {
    return keys_take(c, tm_aws_profile_find(file, section, "aws_access_key_id"),
                     tm_aws_profile_find(file, section, "aws_secret_access_key"),
                     tm_aws_profile_find(file, section, "aws_session_token"));
}

static bool files_take(tm_aws_credentials *c) {
    const char *profile = profile_of(&c->config);
    char section[256];
    config_section(profile, section);
    tm_span file =
        shared_read(&c->config, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
    bool taken = section_take(c, file, profile);
    file_free(file);
    if (taken) return true;
    file = shared_read(&c->config, "AWS_CONFIG_FILE", "config");
    taken = section_take(c, file, section);
    file_free(file);
    return taken;
}

static bool environment_take(tm_aws_credentials *c) {
    return keys_take(c, text(env(&c->config, "AWS_ACCESS_KEY_ID")),
                     text(env(&c->config, "AWS_SECRET_ACCESS_KEY")),
                     text(env(&c->config, "AWS_SESSION_TOKEN")));
}

void tm_aws_region(const tm_aws_config *config, char region[64]) {
    region[0] = '\0';
    const char *said = env(config, "AWS_REGION");
    if (said == NULL) said = env(config, "AWS_DEFAULT_REGION");
    if (said != NULL) {
        if (!copy(region, 64, text(said))) region[0] = '\0';
        return;
    }
    char section[256];
    config_section(profile_of(config), section);
    tm_span file = shared_read(config, "AWS_CONFIG_FILE", "config");
    if (!copy(region, 64, tm_aws_profile_find(file, section, "region"))) {
        region[0] = '\0';
    }
    file_free(file);
}

// ---- what an endpoint answers -------------------------------------------------------

static bool number_take(tm_span from, size_t at, size_t digits, uint64_t *number) {
    *number = 0;
    for (size_t i = at; i < at + digits; i++) {
        if (i >= from.len || from.ptr[i] < '0' || from.ptr[i] > '9') return false;
        *number = *number * 10 + (uint64_t)(from.ptr[i] - '0');
    }
    return true;
}

// "2026-11-23T20:15:00Z", fractions of a second ignored. 0 = not a time.
static uint64_t time_read(tm_span from) {
    uint64_t y, mo, d, h, mi, s;
    if (!number_take(from, 0, 4, &y) || !number_take(from, 5, 2, &mo) ||
        !number_take(from, 8, 2, &d) || !number_take(from, 11, 2, &h) ||
        !number_take(from, 14, 2, &mi) || !number_take(from, 17, 2, &s) ||
        y < 1970 || mo < 1 || mo > 12 || d < 1 || d > 31) {
        return 0;
    }
    if (mo <= 2) { // years that begin in March end with the leap day
        y--;
        mo += 12;
    }
    uint64_t days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * (mo - 3) + 2) / 5 +
                    d - 1 - 719468;
    return (((days * 24 + h) * 60 + mi) * 60 + s) * 1000;
}

static bool answer_take(tm_aws_credentials *c, tm_span answer) {
    tm_arena arena = {.alloc = c->config.alloc};
    tm_json in;
    tm_span key, value, id = {NULL, 0}, secret = id, token = id, expires = id;
    tm_json_init(&in, answer, 8, &arena);
    tm_json_kept(tm_json_open(&in, TM_JSON_OBJECT));
    while (tm_json_member(&in, &key)) {
        if (tm_json_peek(&in) != TM_JSON_STRING) {
            tm_json_kept(tm_json_skip(&in, NULL));
            continue;
        }
        tm_json_kept(tm_json_string(&in, &value));
        if (same(key, "AccessKeyId")) id = value;
        if (same(key, "SecretAccessKey")) secret = value;
        if (same(key, "Token")) token = value;
        if (same(key, "Expiration")) expires = value;
    }
    bool fine = tm_json_end(&in) == TM_OK && keys_take(c, id, secret, token);
    if (fine) c->expires_ms = time_read(expires);
    tm_arena_deinit(&arena);
    return fine;
}

// ---- fetching -----------------------------------------------------------------------

static void on_answer(tm_http_request *request);

static void ask(tm_aws_credentials *c, const char *method, const char *header,
                uint64_t delay_ms) {
    c->headers[0] = header;
    c->headers[1] = NULL;
    c->request = (tm_http_request){.method = method,
                                   .url = c->url,
                                   .headers = c->headers,
                                   .delay_ms = delay_ms,
                                   .timeout_ms = TIMEOUT_MS,
                                   .answer_max = ANSWER_MAX,
                                   .direct = true,
                                   .done = on_answer,
                                   .context = c};
    tm_http_start(c->config.http, &c->request);
}

static bool url_set(tm_aws_credentials *c, const char *base, const char *path,
                    const char *rest) {
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/') {
        len--;
    }
    int made =
        snprintf(c->url, sizeof c->url, "%.*s%s%s", (int)len, base, path, rest);
    return made > 0 && (size_t)made < sizeof c->url;
}

static const char *instance_base(const tm_aws_credentials *c) {
    const char *base = env(&c->config, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    return base == NULL ? INSTANCE : base;
}

static void fetch_end(tm_aws_credentials *c) {
    c->step = STEP_NONE;
    if (!c->looking && c->ready != NULL) c->ready(c->ready_context);
}

static void fetch_failed(tm_aws_credentials *c, const char *place,
                         const char *what) {
    (void)snprintf(c->why, sizeof c->why,
                   "no credentials: %s: %s. Set AWS_ACCESS_KEY_ID and "
                   "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where a role "
                   "gives them",
                   place, what);
    fetch_end(c);
}

static const char *place_of(step at) {
    return at == STEP_CONTAINER ? "the container's endpoint"
                                : "not in the environment, not in a profile, and "
                                  "the instance's metadata";
}

static void step_ask(tm_aws_credentials *c, uint64_t delay_ms) {
    bool fine = true;
    switch (c->step) {
    case STEP_CONTAINER:
        ask(c, "GET", c->header[0] == '\0' ? NULL : c->header, delay_ms);
        return;
    case STEP_TOKEN:
        fine = url_set(c, instance_base(c), "/latest/api/token", "");
        if (!fine) break;
        ask(c, "PUT", "X-aws-ec2-metadata-token-ttl-seconds: 21600", delay_ms);
        return;
    case STEP_ROLE:
    case STEP_KEYS:
        fine = url_set(c, instance_base(c), IAM_PATH,
                       c->step == STEP_KEYS ? c->role : "");
        if (!fine) break;
        ask(c, "GET", c->header, delay_ms);
        return;
    case STEP_NONE:
        break;
    }
    fetch_failed(c, place_of(c->step), "its address is too long");
}

static bool word_is_plain(tm_span word, const char *beside) {
    for (size_t i = 0; i < word.len; i++) {
        uint8_t ch = word.ptr[i];
        bool plain =
            (ch >= '0' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z');
        if (!plain && (ch == 0 || strchr(beside, ch) == NULL)) return false;
    }
    return word.len > 0;
}

// The answer of a step, which leads to the next one. NULL = well.
static const char *step_take(tm_aws_credentials *c, tm_span answer) {
    tm_span word = answer;
    while (word.len > 0 && word.ptr[word.len - 1] == '\n') {
        word.len--;
    }
    switch (c->step) {
    case STEP_TOKEN:
        if (!word_is_plain(word, "+/=-_.") || word.len > FIELD_MAX) {
            return "it answered no token";
        }
        (void)snprintf(c->header, sizeof c->header,
                       "X-aws-ec2-metadata-token: %.*s", (int)word.len,
                       (const char *)word.ptr);
        c->step = STEP_ROLE;
        return NULL;
    case STEP_ROLE:
        if (!word_is_plain(word, "+=,.@-_") ||
            !copy(c->role, sizeof c->role, word)) {
            return "it named no role";
        }
        c->step = STEP_KEYS;
        return NULL;
    case STEP_CONTAINER:
    case STEP_KEYS:
        if (!answer_take(c, answer)) return "it answered no keys";
        c->why[0] = '\0';
        c->step = STEP_NONE;
        return NULL;
    case STEP_NONE:
        break;
    }
    return "nothing was asked";
}

static void on_answer(tm_http_request *request) {
    tm_aws_credentials *c = request->context;
    char said[64];
    if (request->fate == TM_HTTP_ANSWERED && request->status == 200) {
        c->tries = 0;
        const char *bad = step_take(c, request->answer);
        if (bad != NULL) {
            fetch_failed(c, place_of(c->step), bad);
        } else if (c->step == STEP_NONE) {
            fetch_end(c);
        } else {
            step_ask(c, 0);
        }
        return;
    }
    bool again = request->fate != TM_HTTP_ANSWERED || request->status >= 500 ||
                 request->status == 429;
    if (again && ++c->tries < TRIES) {
        step_ask(c, UINT64_C(100) << c->tries);
        return;
    }
    (void)snprintf(said, sizeof said, "it answered %u", request->status);
    fetch_failed(c, place_of(c->step),
                 request->fate == TM_HTTP_ANSWERED ? said : request->why);
}

// An endpoint that a variable names gets our authorization only over TLS or on this
// machine and what stands beside it.
static bool full_uri_is_fine(const char *uri) {
    static const char *const near[] = {
        "http://127.0.0.1",     "http://localhost",      "http://[::1]",
        "http://169.254.170.2", "http://169.254.170.23", "http://[fd00:ec2::23]"};
    if (strncmp(uri, "https://", 8) == 0) return true;
    for (size_t i = 0; i < sizeof near / sizeof near[0]; i++) {
        size_t len = strlen(near[i]);
        if (strncmp(uri, near[i], len) == 0 &&
            (uri[len] == '\0' || uri[len] == ':' || uri[len] == '/')) {
            return true;
        }
    }
    return false;
}

static bool authorization_set(tm_aws_credentials *c) {
    c->header[0] = '\0';
    tm_span token = text(env(&c->config, "AWS_CONTAINER_AUTHORIZATION_TOKEN"));
    tm_span file = {NULL, 0};
    const char *path = env(&c->config, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    if (path != NULL) {
        file = file_read(path);
        token = file;
        while (token.len > 0 && token.ptr[token.len - 1] == '\n') {
            token.len--;
        }
    }
    bool fine = token.len < FIELD_MAX;
    for (size_t i = 0; fine && i < token.len; i++) {
        fine = token.ptr[i] >= 0x20 && token.ptr[i] < 0x7f;
    }
    if (fine && token.len > 0) {
        (void)snprintf(c->header, sizeof c->header, "Authorization: %.*s",
                       (int)token.len, (const char *)token.ptr);
    }
    file_free(file);
    return fine;
}

static void container_begin(tm_aws_credentials *c, const char *relative,
                            const char *full) {
    c->step = STEP_CONTAINER;
    bool fine = relative != NULL ? url_set(c, CONTAINER, relative, "")
                                 : url_set(c, full, "", "");
    if (!fine || (relative == NULL && !full_uri_is_fine(full))) {
        fetch_failed(c, "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                     "neither https nor an address of this machine");
    } else if (!authorization_set(c)) {
        fetch_failed(c, "AWS_CONTAINER_AUTHORIZATION_TOKEN", "it is no header");
    } else {
        step_ask(c, 0);
    }
}

static void look(tm_aws_credentials *c) {
    const char *relative =
        env(&c->config, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = env(&c->config, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *off = env(&c->config, "AWS_EC2_METADATA_DISABLED");
    c->looked = true;
    c->looked_ms = tm_http_now(c->config.http).mono_ms;
    c->tries = 0;
    if (environment_take(c) || files_take(c)) {
        c->why[0] = '\0';
        return;
    }
    if (relative != NULL || full != NULL) {
        container_begin(c, relative, full);
    } else if (off != NULL &&
               (strcmp(off, "true") == 0 || strcmp(off, "TRUE") == 0)) {
        fetch_failed(c, "not in the environment, not in a profile",
                     "and AWS_EC2_METADATA_DISABLED is true");
    } else {
        c->step = STEP_TOKEN;
        step_ask(c, 0);
    }
}

// ---- the calls ----------------------------------------------------------------------

tm_status tm_aws_credentials_get(tm_aws_credentials *c, tm_aws_keys *keys) {
    tm_now now = tm_http_now(c->config.http);
    bool expired = c->known && c->expires_ms > 0 && now.wall_ms >= c->expires_ms;
    bool early =
        c->known && c->expires_ms > 0 && now.wall_ms + EARLY_MS >= c->expires_ms;
    bool may_look = !c->looked || now.mono_ms - c->looked_ms >= AGAIN_MS;
    if (c->step == STEP_NONE && may_look && (!c->known || early)) {
        c->looking = true;
        look(c);
        c->looking = false;
    }
    if (c->known && !expired) {
        *keys = (tm_aws_keys){text(c->id), text(c->secret), text(c->token)};
        return TM_OK;
    }
    return c->step == STEP_NONE ? TM_E_STATE : TM_E_MORE;
}

bool tm_aws_credentials_refused(tm_aws_credentials *c) {
    uint64_t now_ms = tm_http_now(c->config.http).mono_ms;
    if (c->step != STEP_NONE) return true; // others are under way
    if (c->looked && now_ms - c->looked_ms < AGAIN_MS) return false;
    c->known = false;
    return true;
}

void tm_aws_credentials_ready(tm_aws_credentials *c, void (*ready)(void *context),
                              void *context) {
    c->ready = ready;
    c->ready_context = context;
}

const char *tm_aws_credentials_why(const tm_aws_credentials *c) {
    return c->why;
}

tm_status tm_aws_credentials_new(const tm_aws_config *config,
                                 tm_aws_credentials **credentials) {
    tm_aws_credentials *c = tm_alloc_get(config->alloc, sizeof *c);
    if (c == NULL) return TM_E_NOMEM;
    c->config = *config;
    *credentials = c;
    return TM_OK;
}

void tm_aws_credentials_free(tm_aws_credentials *c) {
    if (c == NULL) return;
    OPENSSL_cleanse(c->id, sizeof c->id);
    OPENSSL_cleanse(c->secret, sizeof c->secret);
    OPENSSL_cleanse(c->token, sizeof c->token);
    OPENSSL_cleanse(c->header, sizeof c->header);
    tm_alloc_put(c->config.alloc, c, sizeof *c);
}
