// serve.c - `tidemark serve`: the daemon. A store, the service over it, sockets before it.
#include "cmd/commands.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/database.h"
#include "cmd/logger.h"
#include "net/server.h"
#include "store/dynamodb.h"
#include "store/sqlite.h"

// A core dump would hold everybody's lists. (A leak checker could not look, either.)
#if defined(__SANITIZE_ADDRESS__)
#define IS_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_CHECKED 1
#endif
#endif
#ifndef IS_CHECKED
#define IS_CHECKED 0
#endif

#define USER_MAX                                                                   \
    128u // bytes; SEMANTICS and TRUST 2 row 6 say the same of a token's sub

typedef struct serving {
    const tm_command *command;
    const char *data, *listen, *user, *photos;
    const char *store_kind, *endpoint, *prefix, *redis;
    bool alone;
    tm_words origins, hosts;
    tm_logger logger;
    char address[256];
    uint16_t port;
    char *path;
    tm_store *store;
    tm_service *service;
    tm_server *server;
} serving;

// ---- what was asked for -------------------------------------------------------------

// "127.0.0.1:8080", "localhost:80", "[::1]:8080". The address comes out without brackets.
static bool listen_read(serving *run) {
    const char *colon = strrchr(run->listen, ':'), *first = run->listen;
    if (colon == NULL || colon == first) return false;
    const char *end = colon;
    char *rest;
    if (*first == '[') {
        if (end[-1] != ']') return false;
        first++;
        end--;
    } else if (memchr(first, ':', (size_t)(end - first)) != NULL) {
        return false; // an IPv6 address stands in brackets
    }
    if (colon[1] < '0' || colon[1] > '9') return false;
    unsigned long port = strtoul(colon + 1, &rest, 10);
    size_t len = (size_t)(end - first);
    if (*rest != '\0' || port > 65535 || len == 0 || len >= sizeof run->address) {
        return false;
    }
    memcpy(run->address, first, len);
    run->address[len] = '\0';
    run->port = (uint16_t)port;
    return true;
}

static bool user_is_fine(const char *user) {
    size_t len = strlen(user);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)user[i] < 0x20 || user[i] == 0x7f) return false;
    }
    return len > 0 && len <= USER_MAX && tm_utf8_valid(tm_text(user));
}

static bool is_dynamodb(const serving *run) {
    return strcmp(run->store_kind, "dynamodb") == 0;
}

static int asked_check(serving *run) {
    if (run->user == NULL) {
        return tm_usage_error(run->command,
                              "who is using it? --user NAME says so; there are no "
                              "tokens yet");
    }
    if (!user_is_fine(run->user)) {
        return tm_usage_error(run->command, "--user wants 1 to %u bytes of text",
                              USER_MAX);
    }
    if (run->redis != NULL && (run->alone || !is_dynamodb(run))) {
        return tm_usage_error(run->command,
                              "--redis is for several servers on --store dynamodb");
    }
    if (!listen_read(run)) {
        return tm_usage_error(
            run->command, "--listen wants ADDRESS:PORT, not \"%s\"", run->listen);
    }
    return -1;
}

// ---- this process -------------------------------------------------------------------

static void files_raise(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); // fewer connections, if not
}

static void process_prepare(void) {
    (void)umask(077);
    (void)signal(SIGPIPE, SIG_IGN); // a write to a closed socket is an error of it
    files_raise();
    if (!IS_CHECKED) (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

// ---- parts --------------------------------------------------------------------------

static void on_store_say(void *context, bool bad, const char *line) {
    const serving *run = context;
    const tm_logger_value value = {"what", tm_text(line), 0};
    tm_logger_say(&run->logger, bad ? TM_LOGGER_ERROR : TM_LOGGER_INFO, "store",
                  &value, 1);
}

// It begins without DynamoDB, too: what is missing stands in the log, and /readyz is red
// until it is there.
static int dynamodb_open(serving *run) {
    char problem[256] = "";
    tm_dynamodb_options options = {.alloc = &tm_host_alloc,
                                   .endpoint = run->endpoint,
                                   .prefix = run->prefix,
                                   .env = tm_host_env,
                                   .say = on_store_say,
                                   .say_context = run};
    if (tm_dynamodb_open(&options, &run->store, problem) == TM_OK) return -1;
    run->store = NULL;
    return tm_failure(run->command, "%s", problem);
}

static int store_open(serving *run) {
    char problem[256] = "";
    if (is_dynamodb(run)) return dynamodb_open(run);
    if (mkdir(run->data, 0700) != 0 && errno != EEXIST) {
        return tm_failure(run->command, "%s: %s", run->data, strerror(errno));
    }
    run->path = tm_path_join(run->data, TM_DATABASE_FILE);
    if (run->path == NULL) return tm_failure(run->command, "out of memory");
    tm_sqlite_options options = {.path = run->path};
    if (tm_sqlite_open(&options, &run->store, problem) != TM_OK) {
        run->store = NULL;
        return tm_failure_at(run->command, run->path, problem);
    }
    return -1;
}

static int service_open(serving *run) {
    tm_service_config config = {.alloc = &tm_host_alloc,
                                .store = run->store,
                                .random = tm_host_random,
                                .shared = is_dynamodb(run) && !run->alone};
    if (tm_service_new(&config, &run->service) == TM_OK) return -1;
    run->service = NULL;
    return tm_failure(run->command, "out of memory");
}

static void on_say(void *context, const char *line) {
    const serving *run = context;
    tm_logger_say(&run->logger, TM_LOGGER_INFO, line, NULL, 0);
}

static int server_open(serving *run) {
    char problem[256] = "";
    // The lists end with NULL: there is room for one more than may be given.
    tm_words origins = run->origins, hosts = run->hosts;
    if (origins.count == TM_WORDS_MAX || hosts.count == TM_WORDS_MAX) {
        return tm_usage_error(run->command,
                              "too many --allow-origin or --allow-host");
    }
    origins.items[origins.count] = hosts.items[hosts.count] = NULL;
    tm_server_config config = {
        .alloc = &tm_host_alloc,
        .service = run->service,
        .store = run->store,
        .address = run->address,
        .port = run->port,
        .user = tm_text(run->user),
        .photos = run->photos,
        .origins = origins.items,
        .hosts = hosts.items,
        .assets = tm_assets,
        .assets_count = tm_assets_count,
        .signals = true,
        .redis = run->redis,
        .redis_password = getenv("REDISCLI_AUTH"),
        .redis_prefix = run->prefix == NULL ? TM_DYNAMODB_PREFIX : run->prefix,
        .say = on_say,
        .say_context = run};
    if (tm_server_new(&config, &run->server, problem) == TM_OK) return -1;
    run->server = NULL;
    return tm_failure(run->command, "%s", problem);
}

// ---- life -----------------------------------------------------------------------------

static void greet(const serving *run) {
    char url[320];
    bool six = strchr(run->address, ':') != NULL;
    (void)snprintf(url, sizeof url, "http://%s%s%s:%u/", six ? "[" : "",
                   run->address, six ? "]" : "", tm_server_port(run->server));
    const tm_logger_value here = {"data", tm_text(run->data), 0};
    const tm_logger_value there = {"store", tm_text(run->store_kind), 0};
    const tm_logger_value values[] = {{"url", tm_text(url), 0},
                                      {"user", tm_text(run->user), 0},
                                      is_dynamodb(run) ? there : here,
                                      {"version", tm_text(TM_VERSION), 0}};
    const tm_logger_value warning[] = {
        {"warning",
         tm_text(
             "no tokens: whoever can reach this port on this machine is this user"),
         0},
        {"user", tm_text(run->user), 0}};
    tm_logger_say(&run->logger, TM_LOGGER_INFO, "listening", values, 4);
    tm_logger_say(&run->logger, TM_LOGGER_INFO, "identity", warning, 2);
}

// Nothing may be outstanding when the service goes.
static void service_close(serving *run) {
    if (run->service == NULL) return;
    while (!tm_service_idle(run->service) && tm_store_wait(run->store) > 0) {
    }
    tm_service_free(run->service);
}

static void all_close(serving *run) {
    service_close(run);
    tm_store_close(run->store);
    tm_server_free(run->server);
    free(run->path);
}

static int serve(serving *run) {
    uint64_t begun = tm_host_now().mono_ms;
    process_prepare();
    int code = store_open(run);
    if (code < 0) code = service_open(run);
    if (code < 0) code = server_open(run);
    if (code < 0) {
        greet(run);
        tm_server_run(run->server);
        code = TM_EXIT_OK;
    }
    bool served = run->server != NULL;
    all_close(run);
    if (served) {
        const tm_logger_value values[] = {
            {"uptimeMs", {NULL, 0}, tm_host_now().mono_ms - begun}};
        tm_logger_say(&run->logger, TM_LOGGER_INFO, "stopped", values, 1);
    }
    return code;
}

static int serve_main(const tm_command *command, int argc, char **argv) {
    const char *level = "info";
    serving run = {.command = command,
                   .data = "data",
                   .listen = "127.0.0.1:8080",
                   .store_kind = "sqlite",
                   .logger = {TM_LOGGER_INFO, STDERR_FILENO}};
    const tm_option options[] = {
        {"data", "DIR", TM_OPTION_TEXT, &run.data,
         "where the database is, made if missing; default data"},
        {"listen", "ADDR:PORT", TM_OPTION_TEXT, &run.listen,
         "default 127.0.0.1:8080; port 0 = any that is free"},
        {"user", "NAME", TM_OPTION_TEXT, &run.user,
         "who everybody is; this machine's own addresses only"},
        {"photos", "DIR", TM_OPTION_TEXT, &run.photos,
         "pictures to choose from; default: a few drawn ones"},
        {"allow-origin", "ORIGIN", TM_OPTION_WORDS, &run.origins,
         "a page from there may ask, too; may be given again"},
        {"allow-host", "HOST", TM_OPTION_WORDS, &run.hosts,
         "another name of this server; may be given again"},
        {"store", "sqlite|dynamodb", TM_OPTION_CHOICE, &run.store_kind,
         "default sqlite, in --data; dynamodb: tidemark tables makes its tables"},
        {"dynamodb-endpoint", "URL", TM_OPTION_TEXT, &run.endpoint,
         "default: the region's own"},
        {"dynamodb-prefix", "PREFIX", TM_OPTION_TEXT, &run.prefix,
         "of the tables' names; default " TM_DYNAMODB_PREFIX},
        {"redis", "URL", TM_OPTION_TEXT, &run.redis,
         "where servers on one DynamoDB tell each other: redis://HOST:PORT"},
        {"alone", NULL, TM_OPTION_FLAG, &run.alone,
         "no other server uses these tables: they are not looked at for news"},
        {"log-level", "error|info|debug", TM_OPTION_CHOICE, &level, "default info"},
        {0}};
    char **rest;
    int code = tm_options_read(command, options, argc, argv, &rest);
    if (code < 0) code = asked_check(&run);
    if (code >= 0) return code;
    (void)tm_logger_level_find(level, &run.logger.level);
    return serve(&run);
}

const tm_command tm_command_serve = {
    .name = "serve",
    .summary = "keep lists, and serve the page and the calls",
    .arguments = "",
    .about =
        "Serves until SIGTERM or SIGINT, then answers what is under way and ends "
        "with code 0;\na second signal cuts that short. The log is one JSON object "
        "a line, on stderr.\n",
    .example =
        "  tidemark serve --user demo --data data --photos ~/Pictures\n"
        "  tidemark serve --user demo --listen 127.0.0.1:0 --log-level error\n"
        "  tidemark serve --user demo --store dynamodb --redis "
        "redis://127.0.0.1:6379\n",
    .run = serve_main,
};
