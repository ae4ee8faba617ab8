// trim.c - `tidemark trim`: forget the old part of every log.
//
// Of each list that has something old, a snapshot is stored that covers all of it; then the
// batches go, oldest first. Another server may serve the list meanwhile: see
// tm_service_trim.
#include "cmd/commands.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/database.h"
#include "service/service.h"
#include "store/sqlite.h"

#define DAY_MS    (UINT64_C(24) * 3600 * 1000)
#define DAYS_MAX  36500u
#define PAGE_OPS  4096u
#define PAGE_SIZE (4u << 20)

typedef struct trimming {
    const tm_command *command;
    tm_database_place place;
    const char *user, *list;
    bool dry;
    uint64_t before_ms;
    tm_progress progress;
    tm_store *store;
    tm_service *service;
    size_t lists, changed, failed;
    uint64_t batches;
} trimming;

// ---- what is old ----------------------------------------------------------------------

typedef struct looking {
    uint64_t before_ms, old, last;
    bool done, more, young;
    tm_status status;
} looking;

static void on_page(tm_store_read *request, tm_status status,
                    const tm_batch *batches, size_t count, bool more) {
    looking *look = request->context;
    look->status = status;
    look->more = more;
    look->done = true;
    for (size_t i = 0; i < count && !look->young; i++) {
        if (batches[i].last_seq <= look->last) continue; // it came already
        look->last = batches[i].last_seq;
        bool newest = !more && i + 1 == count;
        look->young = newest || batches[i].accepted_ms >= look->before_ms;
        look->old += look->young ? 0 : 1;
    }
}

// How many batches would go, or whether any would: `all` false.
static looking look_at(const trimming *run, tm_key key, bool all) {
    looking look = {.before_ms = run->before_ms, .more = true};
    while (look.more && !look.young && look.status == TM_OK) {
        tm_store_read request = {.key = key,
                                 .since = look.last,
                                 .ops_max = all ? PAGE_OPS : 1,
                                 .bytes_max = all ? PAGE_SIZE : 1,
                                 .done = on_page,
                                 .context = &look};
        look.done = false;
        tm_store_read_start(run->store, &request);
        while (!look.done) {
            (void)tm_store_wait(run->store);
        }
        if (!all) break;
    }
    return look;
}

// ---- one list -------------------------------------------------------------------------

static void list_say(const trimming *run, tm_key key, uint64_t batches,
                     const char *problem) {
    if (problem == NULL) {
        (void)printf("%s%" PRIu64 " batches of ",
                     run->dry ? "would forget " : "forgot ", batches);
    }
    FILE *to = problem == NULL ? stdout : stderr;
    tm_print_safe(to, key.list);
    (void)fputs(" of ", to);
    tm_print_safe(to, key.user);
    if (problem != NULL) (void)fprintf(to, ": %s", problem);
    (void)fputc('\n', to);
}

static tm_status list_trim(trimming *run, tm_key key, uint64_t *batches) {
    tm_trimmed trimmed;
    tm_status status =
        tm_service_trim(run->service, tm_host_now(), key, run->before_ms, &trimmed);
    while (status == TM_OK && !tm_service_idle(run->service)) {
        (void)tm_store_wait(run->store);
    }
    *batches = trimmed.batches;
    return status == TM_OK ? trimmed.status : status;
}

static void list_do(trimming *run, tm_key key) {
    looking look = look_at(run, key, run->dry);
    uint64_t batches = look.old;
    tm_status status = look.status;
    if (status == TM_OK && !run->dry && look.old > 0) {
        status = list_trim(run, key, &batches);
    }
    run->batches += batches;
    run->lists++;
    tm_progress_clear(&run->progress);
    if (batches > 0) {
        run->changed++;
        list_say(run, key, batches, NULL);
    }
    if (status != TM_OK) {
        run->failed++;
        list_say(run, key, 0, "the store could not; run it again later");
    }
}

// ---- all ------------------------------------------------------------------------------

static bool is_meant(const trimming *run, tm_key key) {
    return (run->user == NULL || tm_span_cmp(key.user, tm_text(run->user)) == 0) &&
           (run->list == NULL || tm_span_cmp(key.list, tm_text(run->list)) == 0);
}

// What was opened to be read is opened to be written.
static int writer_open(trimming *run, tm_database *db) {
    run->store = db->store;
    if (run->dry) return -1;
    char problem[256] = "";
    if (db->path != NULL && strcmp(run->place.store, "sqlite") == 0) {
        tm_store_close(db->store);
        db->store = NULL;
        tm_sqlite_options options = {.path = db->path};
        if (tm_sqlite_open(&options, &db->store, problem) != TM_OK) {
            db->store = NULL;
            return tm_failure_at(run->command, db->path, problem);
        }
        run->store = db->store;
    }
    tm_service_config config = {
        .alloc = &tm_host_alloc, .store = run->store, .random = tm_host_random};
    if (tm_service_new(&config, &run->service) == TM_OK) return -1;
    run->service = NULL;
    return tm_failure(run->command, "out of memory");
}

static int trim_all(trimming *run, tm_database *db) {
    int code = writer_open(run, db);
    if (code >= 0) return code;
    for (size_t i = 0; i < db->count; i++) {
        if (tm_progress_due(&run->progress)) {
            tm_progress_line(&run->progress, "list %zu of %zu", i + 1, db->count);
        }
        if (is_meant(run, db->lists[i].key)) list_do(run, db->lists[i].key);
    }
    tm_progress_clear(&run->progress);
    tm_service_free(run->service);
    (void)printf("%s%" PRIu64 " batches in %zu of %zu lists\n",
                 run->dry ? "would forget " : "forgot ", run->batches, run->changed,
                 run->lists);
    return run->failed == 0 ? TM_EXIT_OK : TM_EXIT_FAILED;
}

// "30": days, at least one.
static bool days_read(const char *text, uint64_t *days) {
    char *rest;
    if (text[0] < '0' || text[0] > '9') return false;
    unsigned long value = strtoul(text, &rest, 10);
    *days = value;
    return *rest == '\0' && value >= 1 && value <= DAYS_MAX;
}

static int trim_main(const tm_command *command, int argc, char **argv) {
    const char *keep = NULL;
    trimming run = {.command = command, .place = TM_DATABASE_PLACE};
    const tm_option options[] = {
        {"keep", "DAYS", TM_OPTION_TEXT, &keep,
         "what was accepted in the last so many days stays; at least 1"},
        TM_DATABASE_OPTIONS(run.place),
        {"user", "NAME", TM_OPTION_TEXT, &run.user, "this user's lists only"},
        {"list", "NAME", TM_OPTION_TEXT, &run.list, "lists of this name only"},
        {"dry-run", NULL, TM_OPTION_FLAG, &run.dry,
         "only count, and change nothing"},
        {0}};
    char **rest;
    uint64_t days = 0;
    int code = tm_options_read(command, options, argc, argv, &rest);
    if (code >= 0) return code;
    if (keep == NULL || !days_read(keep, &days)) {
        return tm_usage_error(command, "--keep wants a number of days, 1 or more");
    }
    uint64_t now_ms = tm_host_now().wall_ms, kept_ms = days * DAY_MS;
    run.before_ms = now_ms > kept_ms ? now_ms - kept_ms : 0;
    tm_progress_init(&run.progress);
    tm_database db = {0};
    code = tm_database_open(command, &run.place, run.user, run.list, &db);
    if (code < 0) code = trim_all(&run, &db);
    tm_database_close(&db);
    return code;
}

const tm_command tm_command_trim = {
    .name = "trim",
    .summary = "forget the old part of every log",
    .arguments = "",
    .about =
        "Logs are kept for ever: they are the audit trail. This forgets what was "
        "accepted more\nthan --keep days ago, after a snapshot that covers it was "
        "stored; lists stay as they\nare, and the newest batch of each always "
        "stays. A daemon on SQLite must be stopped\nfirst; servers on DynamoDB run "
        "on. Exit code: 0 all is done, 1 something could not be.\n",
    .example = "  tidemark trim --keep 30 --dry-run\n"
               "  tidemark trim --keep 90 --data data\n"
               "  tidemark trim --keep 30 --store dynamodb --dynamodb-prefix "
               "photos-\n",
    .run = trim_main,
};
