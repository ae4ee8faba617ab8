// gateway.c - see gateway.h.
#include "lambda/gateway.h"

#include <stdio.h>
#include <string.h>

#define TRIES_MAX  4u
#define PAUSE_MS   50u // doubled each time
#define TIMEOUT_MS 3000u
#define ANSWER_MAX (64u << 10)

struct tm_gateway {
    tm_gateway_config config;
    tm_aws_credentials *credentials;
    char region[64], host[264];
    tm_span endpoint, path; // owned; without a slash at the end; the path within it
};

static tm_span text(const char *from) {
    return (tm_span){(const uint8_t *)from, strlen(from)};
}

// ---- one try ------------------------------------------------------------------------

static void call_try(tm_gateway_call *call);

static void escaped_put(tm_buf *out, tm_span from) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < from.len; i++) {
        uint8_t c = from.ptr[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                     (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' ||
                     c == '~';
        if (plain) {
            tm_buf_byte(out, c);
            continue;
        }
        tm_buf_byte(out, '%');
        tm_buf_byte(out, (uint8_t)digits[c >> 4]);
        tm_buf_byte(out, (uint8_t)digits[c & 15]);
    }
}

static const char *line_put(tm_gateway_call *call, const char *name,
                            tm_span value) {
    size_t from = call->lines.len;
    tm_buf_text(&call->lines, name);
    tm_buf_text(&call->lines, ": ");
    tm_buf_put(&call->lines, value);
    tm_buf_byte(&call->lines, 0);
    return call->lines.status == TM_OK ? (const char *)call->lines.ptr + from
                                       : NULL;
}

static const char *method_of(const tm_gateway_call *call) {
    return call->message.ptr == NULL ? "DELETE" : "POST";
}

static tm_status sign(tm_gateway_call *call, const tm_aws_keys *keys) {
    tm_gateway *g = call->gateway;
    const tm_span json = text("application/json");
    const tm_aws_header headers[] = {{text("host"), text(g->host)},
                                     {text("content-type"), json}};
    tm_span url = tm_buf_span(&call->url);
    size_t before = g->endpoint.len - g->path.len; // scheme and host
    tm_aws_request request = {.method = text(method_of(call)),
                              .path = {url.ptr + before, url.len - 1 - before},
                              .headers = headers,
                              .headers_count = 2,
                              .body = call->message};
    tm_aws_scope scope = {text(g->region), text("execute-api")};
    char date[TM_AWS_DATE_LEN + 1];
    tm_buf signature = {.alloc = g->config.alloc};
    tm_status status =
        tm_aws_sign(keys, &scope, tm_http_now(g->config.http).wall_ms, &request,
                    date, &signature);
    // One reservation for all of them: the lines must not move.
    tm_buf_reset(&call->lines);
    size_t room = signature.len + keys->token.len + 256;
    if (status == TM_OK && tm_buf_reserve(&call->lines, room) == NULL)
        status = TM_E_NOMEM;
    if (status == TM_OK) {
        size_t count = 0;
        call->headers[count++] = line_put(call, "Content-Type", json);
        call->headers[count++] = line_put(call, "X-Amz-Date", text(date));
        if (keys->token.len > 0) {
            call->headers[count++] =
                line_put(call, "X-Amz-Security-Token", keys->token);
        }
        call->headers[count++] =
            line_put(call, "Authorization", tm_buf_span(&signature));
        call->headers[count] = NULL;
    }
    tm_buf_deinit(&signature);
    return status;
}

static void end(tm_gateway_call *call, tm_gateway_fate fate) {
    call->fate = fate;
    call->done(call); // it may be gone
}

static void on_pause(tm_http_request *request) {
    call_try(request->context);
}

static void again_or_end(tm_gateway_call *call) {
    if (call->tries >= TRIES_MAX) {
        end(call, TM_GATEWAY_FAILED);
        return;
    }
    tm_http *http = call->gateway->config.http;
    uint8_t dice[2];
    tm_http_random(http, dice, sizeof dice);
    uint32_t pause = PAUSE_MS << call->tries;
    uint32_t roll = (uint32_t)dice[0] | (uint32_t)dice[1] << 8;
    call->request = (tm_http_request){
        .delay_ms = 1 + roll % pause, .done = on_pause, .context = call};
    tm_http_start(http, &call->request);
}

static void on_answer(tm_http_request *request) {
    tm_gateway_call *call = request->context;
    if (request->fate != TM_HTTP_ANSWERED) {
        (void)snprintf(call->why, sizeof call->why, "%.150s", request->why);
        again_or_end(call);
        return;
    }
    uint32_t status = request->status;
    if (status >= 200 && status < 300) {
        end(call, TM_GATEWAY_SENT);
        return;
    }
    (void)snprintf(call->why, sizeof call->why, "%s @connections answered %u",
                   method_of(call), status);
    if (status == 410 || status == 404 || status == 400) {
        // 400: an id that was never one.
        end(call, TM_GATEWAY_GONE);
    } else if (status == 429 || status >= 500) {
        again_or_end(call);
    } else {
        end(call, TM_GATEWAY_FAILED);
    }
}

static void call_try(tm_gateway_call *call) {
    tm_gateway *g = call->gateway;
    tm_aws_keys keys;
    call->tries++;
    tm_status status = tm_aws_credentials_get(g->credentials, &keys);
    if (status == TM_OK) status = sign(call, &keys);
    if (status != TM_OK) { // being fetched, perhaps
        (void)snprintf(call->why, sizeof call->why, "%.150s",
                       tm_aws_credentials_why(g->credentials));
        again_or_end(call);
        return;
    }
    call->request = (tm_http_request){.method = method_of(call),
                                      .url = (const char *)call->url.ptr,
                                      .headers = call->headers,
                                      .body = call->message,
                                      .timeout_ms = TIMEOUT_MS,
                                      .answer_max = ANSWER_MAX,
                                      .done = on_answer,
                                      .context = call};
    tm_http_start(g->config.http, &call->request);
}

void tm_gateway_send(tm_gateway *gateway, tm_gateway_call *call) {
    call->gateway = gateway;
    call->tries = 0;
    call->url.alloc = call->lines.alloc = gateway->config.alloc;
    tm_buf_reset(&call->url);
    tm_buf_put(&call->url, gateway->endpoint);
    tm_buf_text(&call->url, "/%40connections/");
    escaped_put(&call->url, call->connection);
    tm_buf_byte(&call->url, 0);
    if (call->url.status != TM_OK) {
        (void)snprintf(call->why, sizeof call->why, "out of memory");
        end(call, TM_GATEWAY_FAILED);
        return;
    }
    call_try(call);
}

void tm_gateway_call_deinit(tm_gateway_call *call) {
    tm_buf_deinit(&call->url);
    tm_buf_deinit(&call->lines);
}

// ---- the gateway --------------------------------------------------------------------

static bool endpoint_set(tm_gateway *g, const char *endpoint) {
    bool secure = strncmp(endpoint, "https://", 8) == 0;
    if (!secure && strncmp(endpoint, "http://", 7) != 0) return false;
    size_t scheme = secure ? 8 : 7, len = strlen(endpoint);
    if (endpoint[len - 1] == '/') len--;
    size_t host_end = scheme;
    while (host_end < len && endpoint[host_end] != '/') {
        char c = endpoint[host_end++];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                     (c >= 'A' && c <= 'Z') || strchr(".-:[]", c) != NULL;
        if (!plain) return false;
    }
    if (host_end == scheme || host_end - scheme >= sizeof g->host) return false;
    for (size_t i = host_end; i < len; i++) {
        char c = endpoint[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                     (c >= 'A' && c <= 'Z') || strchr("/-_$~.", c) != NULL;
        if (!plain || c == '\0') return false;
    }
    memcpy(g->host, endpoint + scheme, host_end - scheme);
    uint8_t *copy = tm_alloc_get(g->config.alloc, len);
    if (copy == NULL) return false;
    memcpy(copy, endpoint, len);
    g->endpoint = (tm_span){copy, len};
    g->path = (tm_span){copy + host_end, len - host_end};
    return true;
}

tm_status tm_gateway_open(const tm_gateway_config *config, tm_gateway **gateway,
                          char problem[256]) {
    tm_gateway *g = tm_alloc_get(config->alloc, sizeof *g);
    (void)snprintf(problem, 256, "out of memory");
    if (g == NULL) return TM_E_NOMEM;
    g->config = *config;
    tm_aws_config aws = {config->alloc, config->http, config->env,
                         config->env_context};
    tm_aws_region(&aws, g->region);
    tm_status status = tm_aws_credentials_new(&aws, &g->credentials);
    if (status == TM_OK && g->region[0] == '\0') {
        (void)snprintf(problem, 256, "which region? AWS_REGION says so");
        status = TM_E_RANGE;
    }
    if (status == TM_OK && !endpoint_set(g, config->endpoint)) {
        (void)snprintf(problem, 256,
                       "the connections' endpoint must be "
                       "https://ID.execute-api.REGION.amazonaws.com/STAGE: %.120s",
                       config->endpoint);
        status = TM_E_RANGE;
    }
    if (status != TM_OK) {
        tm_gateway_close(g);
        return status;
    }
    *gateway = g;
    return TM_OK;
}

void tm_gateway_close(tm_gateway *gateway) {
    if (gateway == NULL) return;
    tm_aws_credentials_free(gateway->credentials);
    tm_alloc_put(gateway->config.alloc, (void *)gateway->endpoint.ptr,
                 gateway->endpoint.len);
    tm_alloc_put(gateway->config.alloc, gateway, sizeof *gateway);
}
