// main.c - tidemark-lambda: the `bootstrap` of a function on AWS Lambda, runtime
// provided.al2023. docs/LAMBDA.md.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/host.h"
#include "cmd/logger.h"
#include "lambda/lambda.h"
#include "lambda/runtime.h"
#include "lambda/thaw.h"
#include "store/dynamodb.h"

#define PATIENCE_MS 8000u  // within the time that API Gateway waits for an answer
#define FROZEN_MS   20000u // likewise

static const tm_logger logger = {TM_LOGGER_INFO, STDERR_FILENO};

_Noreturn void tm_panic(const char *file, int line, const char *what) {
    (void)fprintf(stderr,
                  "{\"level\":\"ERROR\",\"event\":\"assertion failed\","
                  "\"at\":\"%s:%d\",\"what\":\"%.200s\"}\n",
                  file, line, strchr(what, '"') == NULL ? what : "");
    abort();
}

static void on_say(void *context, bool bad, const char *event, const char *line) {
    (void)context;
    const tm_logger_value value = {"what", tm_text(line), 0};
    tm_logger_say(&logger, bad ? TM_LOGGER_ERROR : TM_LOGGER_INFO, event, &value,
                  line[0] == '\0' ? 0 : 1);
}

static void on_store_say(void *context, bool bad, const char *line) {
    on_say(context, bad, "store", line);
}

// ---- what it is told -----------------------------------------------------------------

static const char usage[] =
    "tidemark-lambda - Tidemark as a function on AWS Lambda\n"
    "\n"
    "It is the `bootstrap` of the runtime provided.al2023 and is started by "
    "Lambda\n"
    "alone; packaging/lambda/template.yaml says how. It takes no arguments but\n"
    "--help and --version, and its settings from the environment:\n"
    "\n"
    "  TIDEMARK_PREFIX       of the tables' names; default " TM_DYNAMODB_PREFIX "\n"
    "  TIDEMARK_CONNECTIONS  the WebSocket API's endpoint for @connections,\n"
    "                        https://ID.execute-api.REGION.amazonaws.com/STAGE;\n"
    "                        without it there are no WebSockets\n"
    "  TIDEMARK_ORIGINS      pages that may ask, with commas; default: a page of\n"
    "                        the API's own host\n"
    "  TIDEMARK_FRAME_MAX    bytes of a frame; default 32768, as API Gateway's\n"
    "  TIDEMARK_METRICS      1: /metrics, of this instance, to any user\n"
    "  AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN,\n"
    "  AWS_LAMBDA_RUNTIME_API, AWS_LAMBDA_FUNCTION_MEMORY_SIZE   set by Lambda\n"
    "  AWS_ENDPOINT_URL_DYNAMODB, AWS_CA_BUNDLE   as everywhere at AWS\n";

static uint64_t number_of(const char *name) {
    const char *text = getenv(name);
    if (text == NULL || text[0] < '0' || text[0] > '9') return 0;
    return strtoull(text, NULL, 10);
}

// libcurl's own idea of where certificates are is that of the machine it was built on.
static void trust_find(void) {
    static const char *const places[] = {"/etc/pki/tls/certs/ca-bundle.crt",
                                         "/etc/ssl/certs/ca-certificates.crt"};
    if (getenv("AWS_CA_BUNDLE") != NULL) return;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (access(places[i], R_OK) != 0) continue;
        (void)setenv("AWS_CA_BUNDLE", places[i], 1);
        return;
    }
}

// ---- its parts -----------------------------------------------------------------------

typedef struct running {
    tm_runtime *runtime;
    tm_http *http; // the store's
    tm_store *store;
    tm_lambda *lambda;
} running;

static tm_status store_open(running *run, char problem[256]) {
    tm_http *door = NULL;
    tm_status status = tm_http_open(&door);
    if (status == TM_OK) status = tm_thaw_open(&tm_host_alloc, door, &run->http);
    if (status != TM_OK) {
        (void)snprintf(problem, 256, "no memory, or no thread");
        return status;
    }
    tm_dynamodb_options options = {.alloc = &tm_host_alloc,
                                   .prefix = getenv("TIDEMARK_PREFIX"),
                                   .env = tm_host_env,
                                   .say = on_store_say,
                                   .patience_ms = PATIENCE_MS,
                                   .frozen_ms = FROZEN_MS,
                                   .http = run->http};
    return tm_dynamodb_open(&options, &run->store, problem);
}

static tm_status parts_open(running *run, char problem[256]) {
    char table[160];
    const char *prefix = getenv("TIDEMARK_PREFIX"), *metrics;
    tm_status status = store_open(run, problem);
    if (status != TM_OK) return status;
    (void)snprintf(table, sizeof table, "%.64s" TM_DYNAMODB_CONNECTIONS,
                   prefix == NULL ? TM_DYNAMODB_PREFIX : prefix);
    metrics = getenv("TIDEMARK_METRICS");
    tm_lambda_config config = {
        .alloc = &tm_host_alloc,
        .http = run->http,
        .store = run->store,
        .env = tm_host_env,
        .table = table,
        .connections = getenv("TIDEMARK_CONNECTIONS"),
        .origins = getenv("TIDEMARK_ORIGINS"),
        .frame_max = (size_t)number_of("TIDEMARK_FRAME_MAX"),
        // A quarter: a list is also read, sent and saved.
        .memory_max = number_of("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") << 18,
        .metrics = metrics != NULL && strcmp(metrics, "1") == 0,
        .say = on_say};
    return tm_lambda_open(&config, &run->lambda, problem);
}

// ---- life ----------------------------------------------------------------------------

static void trouble_say(const char *event, const char *what) {
    on_say(NULL, true, event, what);
}

// One invocation. false: this process has seen enough.
static bool serve_one(running *run) {
    tm_invocation invocation;
    tm_span answer;
    const char *why = "";
    tm_status status = tm_runtime_next(run->runtime, &invocation);
    if (status != TM_OK) {
        trouble_say("runtime", tm_runtime_why(run->runtime));
        return false;
    }
    status = tm_lambda_event(run->lambda, invocation.event, invocation.deadline_ms,
                             &answer, &why);
    if (status == TM_OK) {
        status = tm_runtime_answer(run->runtime, invocation.id, answer);
    } else {
        trouble_say("event", why);
        status = tm_runtime_fail(
            run->runtime, invocation.id,
            status == TM_E_NOMEM ? "Tidemark.Memory" : "Tidemark.Event", why);
    }
    if (status != TM_OK) trouble_say("runtime", tm_runtime_why(run->runtime));
    return tm_lambda_finish(run->lambda);
}

int main(int argc, char **argv) {
    running run = {NULL, NULL, NULL, NULL};
    char problem[256] = "";
    const char *api = getenv("AWS_LAMBDA_RUNTIME_API");
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        (void)puts("tidemark-lambda " TM_VERSION);
        return TM_EXIT_OK;
    }
    bool help = argc > 1 && strcmp(argv[1], "--help") == 0;
    if (help || api == NULL) {
        (void)fputs(usage, help ? stdout : stderr);
        return help ? TM_EXIT_OK : TM_EXIT_USAGE;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    trust_find();
    if (tm_runtime_open(&tm_host_alloc, api, &run.runtime) != TM_OK)
        return TM_EXIT_FAILED;
    if (parts_open(&run, problem) != TM_OK) {
        trouble_say("start", problem);
        (void)!tm_runtime_fail(run.runtime, NULL, "Tidemark.Start", problem);
        return TM_EXIT_FAILED;
    }
    while (serve_one(&run)) {
    }
    // Nothing is closed in order: what is under way may not be waited for.
    trouble_say("ending", "a fresh process is to take over");
    return TM_EXIT_FAILED;
}
