// dynamodb_call.c - see dynamodb_call.h.
#include "store/dynamodb_call.h"

#include "store/dynamodb_fault.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define TIMEOUT_MS   5000u      // of one try; DynamoDB answers in some 10 ms
#define ANSWER_MAX   (8u << 20) // a page is 1 MB, escaped at most six times as long
#define PAUSE_MIN_MS 25u
#define PAUSE_MAX_MS 5000u
#define QUICK_MS     2000u
#define TRIES_MAX    12u // of what was certainly not done
#define HOUR_MS      3600000u
#define CLOCK_MS     60000u // a clock that is no further off need not be learned
#define DEPTH        12u    // of DescribeTable's answer there are seven

static const struct {
    const char *name;
    bool writes;
} kinds[] = {
#define X(name, word, writes) {word, writes},
    TM_DYNAMODB_KINDS(X)
#undef X
};

const char *tm_dynamodb_kind_name(tm_dynamodb_kind kind) {
    return kinds[kind].name;
}

bool tm_dynamodb_kind_writes(tm_dynamodb_kind kind) {
    return kinds[kind].writes;
}

static tm_span text(const char *from) {
    return (tm_span){(const uint8_t *)from, strlen(from)};
}

// ---- what is said of it -------------------------------------------------------------

static void say(tm_dynamodb_client *client, bool bad, const char *line) {
    // One trouble is one line, however many calls meet it.
    if (strcmp(client->said, line) == 0) return;
    (void)snprintf(client->said, sizeof client->said, "%s", line);
    if (client->config.say != NULL) {
        client->config.say(client->config.say_context, bad, line);
    }
}

static void trouble(tm_dynamodb_client *client, const char *action,
                    const char *what, tm_span detail, const char *advice) {
    char clean[200];
    size_t len = 0;
    for (; len < detail.len && len + 1 < sizeof clean; len++) {
        uint8_t c = detail.ptr[len];
        clean[len] = (char)(c < 0x20 || c >= 0x7f ? '?' : c);
    }
    clean[len] = '\0';
    (void)snprintf(client->trouble, sizeof client->trouble,
                   "DynamoDB %s: %s%s%s%s%s", action, what,
                   len > 0 && what[0] != '\0' ? ": " : "", clean,
                   advice == NULL ? "" : "; ", advice == NULL ? "" : advice);
}

// ---- the end of a call --------------------------------------------------------------

static void end(tm_dynamodb_call *call, tm_status status) {
    tm_dynamodb_client *client = call->client;
    call->status = status;
    bool well = status == TM_OK || status == TM_E_CONFLICT || status == TM_E_STATE;
    if (well) {
        if (client->health != TM_OK) say(client, false, "DynamoDB answers again");
        client->health = TM_OK;
        client->trouble[0] = client->said[0] = '\0';
    } else if (status != TM_E_RANGE && status != TM_E_NOMEM) {
        client->health = status;
        say(client, true, client->trouble);
    }
    call->done(call); // it may be gone
}

static void try_later(tm_dynamodb_call *call, uint64_t pause_ms);

// This try did not do it. `done_perhaps`: but the write may have happened.
static void try_failed(tm_dynamodb_call *call, bool done_perhaps, bool again) {
    tm_dynamodb_client *client = call->client;
    const tm_dynamodb_client_config *config = &client->config;
    if (done_perhaps && call->writes) call->was_unsure = true;
    uint64_t spent = tm_http_now(config->http).mono_ms - call->began_ms;
    uint64_t limit = call->was_unsure ? config->frozen_ms : config->patience_ms;
    if (call->quick && limit > QUICK_MS) limit = QUICK_MS;
    uint8_t dice[4];
    tm_http_random(config->http, dice, sizeof dice);
    uint64_t pause = PAUSE_MAX_MS;
    if (call->tries < 8) pause = (uint64_t)PAUSE_MIN_MS << call->tries;
    if (pause > PAUSE_MAX_MS) pause = PAUSE_MAX_MS;
    uint64_t roll =
        (uint64_t)dice[0] | (uint64_t)dice[1] << 8 | (uint64_t)dice[2] << 16;
    pause = 1 + roll % pause;
    bool left = call->was_unsure || call->tries < TRIES_MAX;
    // A write that may be stored is tried again even if this try was refused for good:
    // that says nothing of the one before.
    if ((again || call->was_unsure) && left && spent + pause < limit) {
        try_later(call, pause);
    } else {
        end(call, call->was_unsure ? TM_E_UNSURE : call->cause);
    }
}

// ---- reading an answer --------------------------------------------------------------

// DynamoDB's own numbers have fractions and exponents, in ConsumedCapacity and in dates.
void tm_aws_fractions_quote(tm_span from, tm_buf *out) {
    bool in_string = false;
    for (size_t at = 0; at < from.len;) {
        uint8_t c = from.ptr[at];
        if (in_string) {
            size_t end = at;
            while (end < from.len && from.ptr[end] != '"' &&
                   from.ptr[end] != '\\') {
                end++;
            }
            bool escape = end < from.len && from.ptr[end] == '\\';
            size_t len =
                end - at + (end < from.len) + (escape && end + 1 < from.len);
            tm_buf_put(out, (tm_span){from.ptr + at, len});
            in_string = escape || end == from.len;
            at += len;
            continue;
        }
        size_t end = at;
        bool fraction = false;
        while (end < from.len && (from.ptr[end] == '-' || from.ptr[end] == '+' ||
                                  from.ptr[end] == '.' ||
                                  (from.ptr[end] >= '0' && from.ptr[end] <= '9') ||
                                  (end > at && (from.ptr[end] | 0x20) == 'e'))) {
            fraction |= from.ptr[end] == '.' || (from.ptr[end] | 0x20) == 'e';
            end++;
        }
        if (end == at) {
            tm_buf_byte(out, c);
            in_string = c == '"';
            at++;
            continue;
        }
        if (fraction) tm_buf_byte(out, '"');
        tm_buf_put(out, (tm_span){from.ptr + at, end - at});
        if (fraction) tm_buf_byte(out, '"');
        at = end;
    }
}

// "12.5" or 12, in thousandths.
static uint64_t milli_read(tm_json *in) {
    uint64_t number = 0;
    if (tm_json_peek(in) == TM_JSON_INT) {
        tm_json_kept(tm_json_u64(in, &number));
        return number > UINT32_MAX ? 0 : number * 1000;
    }
    tm_span said = {NULL, 0};
    tm_json_kept(tm_json_string(in, &said));
    uint64_t unit = 1000;
    bool behind = false; // the point
    for (size_t i = 0; i < said.len && unit > 0 && number < UINT32_MAX; i++) {
        uint8_t c = said.ptr[i];
        if (c == '.') {
            behind = true;
        } else if (c >= '0' && c <= '9') {
            number = number * 10 + (uint64_t)(c - '0');
            if (behind) unit /= 10;
        } else {
            break;
        }
    }
    return number * unit;
}

static void capacity_read(tm_json *in, uint64_t *units) {
    tm_span key;
    tm_json_kept(tm_json_open(in, TM_JSON_OBJECT));
    while (tm_json_member(in, &key)) {
        if (tm_span_cmp(key, text("CapacityUnits")) == 0) {
            *units = milli_read(in);
        } else {
            tm_json_kept(tm_json_skip(in, NULL));
        }
    }
}

static tm_status answer_open(tm_dynamodb_call *call, tm_json *in) {
    call->arena.alloc = call->quoted.alloc = call->client->config.alloc;
    tm_arena_reset(&call->arena);
    tm_buf_reset(&call->quoted);
    tm_aws_fractions_quote(call->request.answer, &call->quoted);
    if (call->quoted.status != TM_OK) return TM_E_NOMEM;
    tm_json_init(in, tm_buf_span(&call->quoted), DEPTH, &call->arena);
    return tm_json_open(in, TM_JSON_OBJECT);
}

static tm_status good_read(tm_dynamodb_call *call) {
    tm_json in;
    tm_span key;
    uint64_t units = 0;
    tm_status status = answer_open(call, &in);
    if (status != TM_OK) return status;
    if (call->restart != NULL) call->restart(call);
    while (tm_json_member(&in, &key)) {
        if (tm_span_cmp(key, text("ConsumedCapacity")) == 0) {
            capacity_read(&in, &units);
        } else if (call->member != NULL) {
            call->member(call, key, &in);
        } else {
            tm_json_kept(tm_json_skip(&in, NULL));
        }
    }
    status = tm_json_end(&in);
    if (status == TM_OK) call->client->counts[call->kind].units_milli += units;
    return status;
}

static const tm_dynamodb_fault *fault_read(tm_dynamodb_call *call, tm_span *type,
                                           tm_span *message) {
    tm_json in;
    tm_span key;
    *type = *message = (tm_span){NULL, 0};
    tm_json_kept(answer_open(call, &in));
    while (tm_json_member(&in, &key)) {
        bool is_type = tm_span_cmp(key, text("__type")) == 0;
        bool is_message = tm_span_cmp(key, text("message")) == 0 ||
                          tm_span_cmp(key, text("Message")) == 0;
        if ((is_type || is_message) && tm_json_peek(&in) == TM_JSON_STRING) {
            tm_json_kept(tm_json_string(&in, is_type ? type : message));
        } else {
            tm_json_kept(tm_json_skip(&in, NULL));
        }
    }
    return tm_dynamodb_fault_of(call->request.status, *type, *message);
}

// ---- what became of a try -----------------------------------------------------------

static void keys_wait(tm_dynamodb_call *call);
static void try_send(tm_dynamodb_call *call);

static uint64_t wall_ms(const tm_dynamodb_client *client) {
    int64_t now_ms = (int64_t)tm_http_now(client->config.http).wall_ms;
    now_ms += client->ahead_ms;
    return now_ms < 0 ? 0 : (uint64_t)now_ms;
}

// Takes the clock of the answer for the service's. false: it is the one that was used.
static bool clock_learn(tm_dynamodb_call *call) {
    tm_dynamodb_client *client = call->client;
    int64_t date_ms = (int64_t)call->request.date_ms;
    int64_t off_ms = date_ms - (int64_t)wall_ms(client);
    if (date_ms == 0 || (off_ms < CLOCK_MS && off_ms > -(int64_t)CLOCK_MS)) {
        return false;
    }
    client->ahead_ms += off_ms;
    int64_t off_s = (client->ahead_ms + (client->ahead_ms < 0 ? -500 : 500)) / 1000;
    char told[160];
    (void)snprintf(
        told, sizeof told,
        "this machine's clock is %lld s %s DynamoDB's, by which requests "
        "are signed from now on: set it by NTP",
        (long long)(off_s < 0 ? -off_s : off_s), off_s < 0 ? "ahead of" : "behind");
    say(client, true, told);
    return true;
}

static void refused(tm_dynamodb_call *call) {
    tm_dynamodb_client *client = call->client;
    tm_span type, message;
    const tm_dynamodb_fault *fault = fault_read(call, &type, &message);
    char what[96];
    (void)snprintf(what, sizeof what, "%u %s", call->request.status,
                   fault->name[0] != '\0' ? fault->name : "");
    if (fault->name[0] == '\0') message = type.len > 0 ? type : message;
    trouble(client, call->action, what, message, fault->advice);
    call->cause = TM_E_AGAIN;
    switch (fault->what) {
    case TM_DYNAMODB_CONDITION:
        end(call, TM_E_CONFLICT);
        return;
    case TM_DYNAMODB_TABLE_THERE:
        end(call, TM_E_STATE);
        return;
    case TM_DYNAMODB_THROTTLED:
        try_failed(call, false, true);
        return;
    case TM_DYNAMODB_BUSY:
        try_failed(call, true, true);
        return;
    case TM_DYNAMODB_KEYS:
        // Perhaps they were renewed in the file, or have just expired.
        if (!call->renewed && tm_aws_credentials_refused(client->credentials)) {
            call->renewed = true;
            try_send(call);
            return;
        }
        break;
    case TM_DYNAMODB_CLOCK:
        if (!call->reset && clock_learn(call)) {
            call->reset = true;
            try_send(call);
            return;
        }
        break;
    case TM_DYNAMODB_NO_TABLE:
        call->cause = TM_E_GONE;
        break;
    case TM_DYNAMODB_TOO_LARGE:
        call->cause = TM_E_RANGE;
        break;
    case TM_DYNAMODB_DENIED:
    case TM_DYNAMODB_REFUSED:
        break;
    }
    try_failed(call, false, false);
}

static bool sum_is_right(const tm_http_request *request) {
    if (!request->has_crc32) return true; // a proxy may have taken it away
    uLong sum = crc32(0, NULL, 0);
    if (request->answer.len > 0) {
        sum = crc32_z(sum, request->answer.ptr, request->answer.len);
    }
    return sum == request->crc32;
}

static void on_answer(tm_http_request *request) {
    tm_dynamodb_call *call = request->context;
    tm_dynamodb_client *client = call->client;
    call->cause = TM_E_AGAIN;
    if (request->fate != TM_HTTP_ANSWERED) {
        trouble(client, call->action, client->url, text(request->why),
                request->fate == TM_HTTP_UNSENT ? "is the endpoint right, and up?"
                                                : NULL);
        try_failed(call, request->fate == TM_HTTP_LOST, true);
    } else if (!sum_is_right(request)) {
        trouble(client, call->action, "the answer's X-Amz-Crc32 is not its own",
                (tm_span){NULL, 0}, NULL);
        try_failed(call, true, true);
    } else if (request->status != 200) {
        refused(call);
    } else {
        tm_status status = good_read(call);
        if (status == TM_OK) {
            end(call, TM_OK);
            return;
        }
        trouble(client, call->action, "200, but the answer is not DynamoDB's",
                (tm_span){NULL, 0}, NULL);
        if (status == TM_E_NOMEM) call->cause = TM_E_NOMEM;
        try_failed(call, true, status != TM_E_NOMEM);
    }
}

// ---- sending ------------------------------------------------------------------------

static const char *line(tm_dynamodb_call *call, const char *name, tm_span value) {
    size_t from = call->lines.len;
    tm_buf_text(&call->lines, name);
    tm_buf_text(&call->lines, ": ");
    tm_buf_put(&call->lines, value);
    tm_buf_byte(&call->lines, 0);
    return call->lines.status == TM_OK ? (const char *)call->lines.ptr + from
                                       : NULL;
}

static tm_status lines_make(tm_dynamodb_call *call, const tm_aws_keys *keys) {
    tm_dynamodb_client *client = call->client;
    char target[64], date[TM_AWS_DATE_LEN + 1];
    (void)snprintf(target, sizeof target, "DynamoDB_20120810.%s", call->action);
    tm_span json = text("application/x-amz-json-1.0");
    const tm_aws_header headers[] = {{text("host"), text(client->host)},
                                     {text("content-type"), json},
                                     {text("x-amz-target"), text(target)}};
    tm_aws_request request = {.method = text("POST"),
                              .path = text("/"),
                              .headers = headers,
                              .headers_count = 3,
                              .body = tm_buf_span(&call->body)};
    tm_aws_scope scope = {text(client->region), text("dynamodb")};
    tm_buf signature = {.alloc = client->config.alloc};
    call->lines.alloc = client->config.alloc;
    tm_buf_reset(&call->lines);
    tm_status status =
        tm_aws_sign(keys, &scope, wall_ms(client), &request, date, &signature);
    // One reservation for all of them: the lines must not move.
    size_t room = signature.len + keys->token.len + 512;
    if (status == TM_OK && tm_buf_reserve(&call->lines, room) == NULL) {
        status = TM_E_NOMEM;
    }
    if (status == TM_OK) {
        size_t count = 0;
        call->headers[count++] = line(call, "Content-Type", json);
        call->headers[count++] = line(call, "X-Amz-Target", text(target));
        call->headers[count++] = line(call, "X-Amz-Date", text(date));
        if (keys->token.len > 0) {
            call->headers[count++] =
                line(call, "X-Amz-Security-Token", keys->token);
        }
        call->headers[count++] =
            line(call, "Authorization", tm_buf_span(&signature));
        call->headers[count] = NULL;
    }
    tm_buf_deinit(&signature);
    return status;
}

static void request_start(tm_dynamodb_call *call) {
    tm_dynamodb_client *client = call->client;
    call->request = (tm_http_request){.method = "POST",
                                      .url = client->url,
                                      .headers = call->headers,
                                      .body = tm_buf_span(&call->body),
                                      .timeout_ms = TIMEOUT_MS,
                                      .answer_max = ANSWER_MAX,
                                      .done = on_answer,
                                      .context = call};
    call->tries++;
    client->counts[call->kind].requests++;
    if (call->tries > 1) client->counts[call->kind].retries++;
    tm_http_start(client->config.http, &call->request);
}

static void try_send(tm_dynamodb_call *call) {
    tm_dynamodb_client *client = call->client;
    tm_aws_keys keys;
    tm_status status = tm_aws_credentials_get(client->credentials, &keys);
    if (status == TM_E_MORE) {
        keys_wait(call);
        return;
    }
    if (status == TM_OK) status = lines_make(call, &keys);
    if (status == TM_OK) {
        request_start(call);
        return;
    }
    call->cause = status == TM_E_NOMEM ? TM_E_NOMEM : TM_E_AGAIN;
    trouble(client, call->action,
            status == TM_E_NOMEM   ? "out of memory"
            : status == TM_E_RANGE ? "this machine's clock is wrong"
                                   : tm_aws_credentials_why(client->credentials),
            (tm_span){NULL, 0}, NULL);
    try_failed(call, false, false);
}

static void on_pause(tm_http_request *request) {
    try_send(request->context);
}

static void try_later(tm_dynamodb_call *call, uint64_t pause_ms) {
    call->request =
        (tm_http_request){.delay_ms = pause_ms, .done = on_pause, .context = call};
    tm_http_start(call->client->config.http, &call->request);
}

static void keys_wait(tm_dynamodb_call *call) {
    call->next = call->client->waiting;
    call->client->waiting = call;
}

static void on_ready(void *context) {
    tm_dynamodb_client *client = context;
    tm_dynamodb_call *call = client->waiting, *next;
    client->waiting = NULL;
    for (; call != NULL; call = next) {
        next = call->next;
        try_send(call);
    }
}

void tm_dynamodb_begin(tm_dynamodb_client *client, tm_dynamodb_call *call,
                       tm_dynamodb_kind kind, const char *action) {
    call->client = client;
    call->kind = kind;
    call->action = action;
    call->writes = kinds[kind].writes;
    call->restart = NULL;
    call->member = NULL;
    call->was_unsure = call->renewed = call->reset = call->quick = false;
    call->tries = 0;
    call->body.alloc = client->config.alloc;
    tm_buf_reset(&call->body);
    tm_buf_byte(&call->body, '{');
}

void tm_dynamodb_send(tm_dynamodb_call *call) {
    call->began_ms = tm_http_now(call->client->config.http).mono_ms;
    if (call->body.status != TM_OK) {
        end(call, TM_E_NOMEM);
        return;
    }
    try_send(call);
}

void tm_dynamodb_call_deinit(tm_dynamodb_call *call) {
    tm_buf_deinit(&call->body);
    tm_buf_deinit(&call->quoted);
    tm_buf_deinit(&call->lines);
    tm_arena_deinit(&call->arena);
}

// ---- the client ---------------------------------------------------------------------

static bool host_is_plain(const char *host) {
    for (; *host != '\0'; host++) {
        char c = *host;
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                     (c >= 'A' && c <= 'Z') || strchr(".-:[]_", c) != NULL;
        if (!plain) return false;
    }
    return true;
}

static bool endpoint_set(tm_dynamodb_client *client, const char *endpoint) {
    bool secure = strncmp(endpoint, "https://", 8) == 0;
    if (!secure && strncmp(endpoint, "http://", 7) != 0) return false;
    const char *host = endpoint + (secure ? 8 : 7);
    size_t len = strlen(host);
    if (len > 0 && host[len - 1] == '/') len--;
    if (len == 0 || len >= sizeof client->host) return false;
    memcpy(client->host, host, len);
    client->host[len] = '\0';
    (void)snprintf(client->url, sizeof client->url, "%s%s/",
                   secure ? "https://" : "http://", client->host);
    // The usual port is not part of what libcurl sends as Host.
    const char *usual = secure ? ":443" : ":80";
    size_t usual_len = strlen(usual);
    if (len > usual_len && strcmp(client->host + len - usual_len, usual) == 0) {
        client->host[len - usual_len] = '\0';
    }
    return host_is_plain(client->host);
}

static const char *endpoint_of(const tm_dynamodb_client_config *config) {
    if (config->endpoint != NULL && config->endpoint[0] != '\0') {
        return config->endpoint;
    }
    const char *said =
        config->env(config->env_context, "AWS_ENDPOINT_URL_DYNAMODB");
    if (said == NULL || said[0] == '\0') {
        said = config->env(config->env_context, "AWS_ENDPOINT_URL");
    }
    return said != NULL && said[0] != '\0' ? said : NULL;
}

tm_status tm_dynamodb_client_init(tm_dynamodb_client *client,
                                  const tm_dynamodb_client_config *config,
                                  char problem[256]) {
    TM_ASSERT(config->frozen_ms <= HOUR_MS);
    memset(client, 0, sizeof *client);
    client->config = *config;
    tm_aws_config aws = {config->alloc, config->http, config->env,
                         config->env_context};
    const char *endpoint = endpoint_of(config);
    if (config->region != NULL && config->region[0] != '\0') {
        (void)snprintf(client->region, sizeof client->region, "%s", config->region);
    } else {
        tm_aws_region(&aws, client->region);
    }
    if (client->region[0] == '\0' && endpoint != NULL) {
        memcpy(client->region, "us-east-1", sizeof "us-east-1");
    }
    if (client->region[0] == '\0' || !host_is_plain(client->region)) {
        (void)snprintf(problem, 256,
                       "which region? AWS_REGION or the profile's region says so");
        return TM_E_RANGE;
    }
    char usual[160];
    (void)snprintf(usual, sizeof usual, "https://dynamodb.%s.amazonaws.com%s",
                   client->region,
                   strncmp(client->region, "cn-", 3) == 0 ? ".cn" : "");
    if (!endpoint_set(client, endpoint == NULL ? usual : endpoint)) {
        (void)snprintf(problem, 256,
                       "the endpoint must be http:// or https:// and a host, with "
                       "nothing behind it: %.150s",
                       endpoint == NULL ? usual : endpoint);
        return TM_E_RANGE;
    }
    tm_status status = tm_aws_credentials_new(&aws, &client->credentials);
    if (status != TM_OK) {
        (void)snprintf(problem, 256, "out of memory");
        return status;
    }
    tm_aws_credentials_ready(client->credentials, on_ready, client);
    return TM_OK;
}

void tm_dynamodb_client_deinit(tm_dynamodb_client *client) {
    tm_aws_credentials_free(client->credentials);
}
