// runtime.c - see runtime.h.
#include "lambda/runtime.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENT_MAX  (8u << 20) // Lambda's own bound is 6 MB
#define ANSWER_MAX (64u << 10)
#define POST_MS    10000L

struct tm_runtime {
    const tm_alloc *alloc;
    CURL *easy;
    char root[320];
    tm_buf got; // the body of an answer
    size_t got_max;
    tm_invocation *taking;
    bool has_id, has_deadline;
    char error[CURL_ERROR_SIZE], why[CURL_ERROR_SIZE + 64];
};

tm_status tm_runtime_open(const tm_alloc *alloc, const char *api,
                          tm_runtime **runtime) {
    tm_runtime *r = tm_alloc_get(alloc, sizeof *r);
    if (r == NULL) return TM_E_NOMEM;
    r->alloc = r->got.alloc = alloc;
    (void)snprintf(r->root, sizeof r->root, "http://%.200s/2018-06-01/runtime/",
                   api);
    r->easy = curl_easy_init();
    if (r->easy == NULL) {
        tm_runtime_close(r);
        return TM_E_NOMEM;
    }
    *runtime = r;
    return TM_OK;
}

void tm_runtime_close(tm_runtime *runtime) {
    if (runtime == NULL) return;
    curl_easy_cleanup(runtime->easy);
    tm_buf_deinit(&runtime->got);
    tm_alloc_put(runtime->alloc, runtime, sizeof *runtime);
}

const char *tm_runtime_why(const tm_runtime *runtime) {
    return runtime->why;
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context) {
    tm_runtime *r = context;
    size_t len = size * count;
    if (len > r->got_max - r->got.len) return 0;
    tm_buf_put(&r->got, (tm_span){(const uint8_t *)bytes, len});
    return r->got.status == TM_OK ? len : 0;
}

// The value, if the line is that header's; NULL otherwise.
static const char *value_of(const char *line, size_t len, const char *name,
                            size_t *value_len) {
    size_t name_len = strlen(name);
    if (len <= name_len || line[name_len] != ':') return NULL;
    for (size_t i = 0; i < name_len; i++) {
        if ((line[i] | 0x20) != (name[i] | 0x20)) return NULL;
    }
    const char *value = line + name_len + 1, *end = line + len;
    while (value < end && *value == ' ') {
        value++;
    }
    while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ')) {
        end--;
    }
    *value_len = (size_t)(end - value);
    return value;
}

// The id goes back into a path.
static bool id_is_fine(const char *id, size_t len) {
    for (size_t i = 0; i < len; i++) {
        char c = id[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                     (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
        if (!plain) return false;
    }
    return len > 0 && len <= TM_RUNTIME_ID_MAX;
}

static size_t on_header(char *line, size_t size, size_t count, void *context) {
    tm_runtime *r = context;
    size_t len = size * count, value_len;
    const char *value;
    if (r->taking == NULL) return len;
    value = value_of(line, len, "lambda-runtime-aws-request-id", &value_len);
    if (value != NULL && id_is_fine(value, value_len)) {
        memcpy(r->taking->id, value, value_len);
        r->taking->id[value_len] = '\0';
        r->has_id = true;
    }
    value = value_of(line, len, "lambda-runtime-deadline-ms", &value_len);
    if (value != NULL && value_len > 0 && value_len < 18) {
        uint64_t ms = 0;
        for (size_t i = 0; i < value_len; i++) {
            if (value[i] < '0' || value[i] > '9') return len;
            ms = ms * 10 + (uint64_t)(value[i] - '0');
        }
        r->taking->deadline_ms = ms;
        r->has_deadline = true;
    }
    return len;
}

// One call, whole. TM_OK: it was answered, *status says how.
static tm_status ask(tm_runtime *r, const char *path, const tm_span *body,
                     const char *header, long *status) {
    char url[512];
    CURL *easy = r->easy;
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    if (headers != NULL && header != NULL) {
        struct curl_slist *more = curl_slist_append(headers, header);
        if (more == NULL) curl_slist_free_all(headers);
        headers = more;
    }
    if (headers == NULL) return TM_E_NOMEM;
    (void)snprintf(url, sizeof url, "%s%s", r->root, path);
    curl_easy_reset(easy); // its connection is kept
    tm_buf_reset(&r->got);
    r->error[0] = '\0';
    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->error);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, r);
    if (body != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, POST_MS);
        (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                               (curl_off_t)body->len);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                               body->len > 0 ? (const char *)body->ptr : "");
    }
    CURLcode code = curl_easy_perform(easy);
    *status = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, status);
    curl_slist_free_all(headers);
    if (code == CURLE_OK) return TM_OK;
    (void)snprintf(r->why, sizeof r->why, "the Runtime API: %s",
                   r->error[0] != '\0' ? r->error : curl_easy_strerror(code));
    return r->got.status == TM_OK ? TM_E_IO : TM_E_NOMEM;
}

static tm_status unlike(tm_runtime *r, const char *what, long status) {
    (void)snprintf(r->why, sizeof r->why, "the Runtime API: %s, status %ld", what,
                   status);
    return TM_E_IO;
}

tm_status tm_runtime_next(tm_runtime *runtime, tm_invocation *invocation) {
    long status;
    memset(invocation, 0, sizeof *invocation);
    runtime->taking = invocation;
    runtime->has_id = runtime->has_deadline = false;
    runtime->got_max = EVENT_MAX;
    tm_status done = ask(runtime, "invocation/next", NULL, NULL, &status);
    runtime->taking = NULL;
    if (done != TM_OK) return done;
    if (status != 200) return unlike(runtime, "no invocation", status);
    if (!runtime->has_id || !runtime->has_deadline)
        return unlike(runtime, "an invocation without its id or deadline", status);
    invocation->event = tm_buf_span(&runtime->got);
    return TM_OK;
}

tm_status tm_runtime_answer(tm_runtime *runtime, const char *id, tm_span answer) {
    char path[TM_RUNTIME_ID_MAX + 64];
    long status;
    (void)snprintf(path, sizeof path, "invocation/%s/response", id);
    runtime->got_max = ANSWER_MAX;
    tm_status done = ask(runtime, path, &answer, NULL, &status);
    if (done != TM_OK) return done;
    return status == 202 ? TM_OK : unlike(runtime, "an answer was refused", status);
}

tm_status tm_runtime_fail(tm_runtime *runtime, const char *id, const char *type,
                          const char *message) {
    char path[TM_RUNTIME_ID_MAX + 64], header[160];
    long status;
    tm_buf body = {.alloc = runtime->alloc};
    tm_buf_text(&body, "{\"errorMessage\":");
    tm_buf_json(&body, (tm_span){(const uint8_t *)message, strlen(message)});
    tm_buf_text(&body, ",\"errorType\":\"");
    tm_buf_text(&body, type);
    tm_buf_text(&body, "\",\"stackTrace\":[]}");
    tm_status done = body.status;
    if (id == NULL) {
        (void)snprintf(path, sizeof path, "init/error");
    } else {
        (void)snprintf(path, sizeof path, "invocation/%s/error", id);
    }
    (void)snprintf(header, sizeof header,
                   "Lambda-Runtime-Function-Error-Type: %.100s", type);
    runtime->got_max = ANSWER_MAX;
    tm_span said = tm_buf_span(&body);
    if (done == TM_OK) done = ask(runtime, path, &said, header, &status);
    tm_buf_deinit(&body);
    if (done != TM_OK) return done;
    return status == 202 ? TM_OK : unlike(runtime, "an error was refused", status);
}
