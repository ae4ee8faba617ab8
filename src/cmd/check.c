// check.c - `tidemark check`: golden files against the real engine, service and store.
#include "cmd/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/check_case.h"
#include "cmd/check_one.h"
#include "cmd/file.h"
#include "cmd/host.h"

#define FILE_MAX (64u << 20) // a golden file of 64 MiB is a mistake

typedef struct check_file {
    struct check_file *next;
    const char *name;
    uint8_t *text;
    size_t text_len;
    const tm_node *first; // its cases
    size_t count;
} check_file;

typedef struct check {
    const tm_command *command;
    bool json;
    tm_check_one one; // what runs each
    tm_arena arena;
    check_file *files, **files_last;
    size_t total, done, passed;
    bool unreadable; // a file was
    tm_progress progress;
} check;

// ---- files --------------------------------------------------------------------------

static bool name_is_double(const tm_node *first, const tm_node *one) {
    const tm_node *name = tm_node_get(one, "name");
    for (; name != NULL && first != one; first = first->next) {
        const tm_node *other = tm_node_get(first, "name");
        if (other != NULL && tm_span_equal(other->text, name->text)) return true;
    }
    return false;
}

static bool file_complain(check *run, const char *name, const char *problem) {
    (void)tm_failure(run->command, "%s: %s", name, problem);
    run->unreadable = true;
    return false;
}

static bool file_load(check *run, const char *name) {
    char problem[256];
    check_file *file = tm_arena_get(&run->arena, sizeof *file);
    if (file == NULL) return file_complain(run, name, "out of memory");
    *file = (check_file){.name = name};
    if (!tm_file_read(name, FILE_MAX, &file->text, &file->text_len)) {
        return file_complain(run, name, strerror(errno));
    }
    tm_span text = {file->text, file->text_len};
    if (tm_check_case_file_read(text, &run->arena, &file->first, problem) !=
        TM_OK) {
        free(file->text);
        return file_complain(run, name, problem);
    }
    for (const tm_node *one = file->first; one != NULL; one = one->next) {
        file->count++;
    }
    run->total += file->count;
    *run->files_last = file;
    run->files_last = &file->next;
    return true;
}

// ---- saying -------------------------------------------------------------------------

static void text_say(const char *label, tm_span text) {
    (void)printf("    %-8s ", label);
    tm_print_safe(stdout, text);
    (void)printf("\n");
}

static void verdict_say(const check_file *file, tm_span name,
                        const tm_check_verdict *verdict) {
    (void)printf("FAILED ");
    tm_print_safe(stdout, name);
    (void)printf(" (%s)\n  ", file->name);
    if (verdict->step >= 0) {
        (void)printf("step %" PRId64 "%s%s%s: ", verdict->step,
                     verdict->word == NULL ? "" : " (",
                     verdict->word == NULL ? "" : verdict->word,
                     verdict->word == NULL ? "" : ")");
    }
    tm_print_safe(stdout, tm_buf_span(&verdict->what));
    (void)printf("\n");
    if (verdict->expected.len + verdict->seen.len == 0) return;
    text_say("expected", tm_buf_span(&verdict->expected));
    text_say("seen", tm_buf_span(&verdict->seen));
}

// One case as a member of the array `cases`.
static void verdict_json(const check *run, const check_file *file, tm_span name,
                         const tm_check_verdict *verdict) {
    tm_buf out = {.alloc = &tm_host_alloc};
    tm_buf_text(&out, run->done == 1 ? "\n" : ",\n");
    tm_buf_text(&out, "{\"file\":");
    tm_buf_json(&out, tm_text(file->name));
    tm_buf_text(&out, ",\"name\":");
    tm_buf_json(&out, name);
    tm_buf_text(&out, verdict->failed ? ",\"passed\":false" : ",\"passed\":true");
    if (verdict->failed && verdict->step >= 0) {
        tm_buf_text(&out, ",\"step\":");
        tm_buf_u64(&out, (uint64_t)verdict->step);
    }
    if (verdict->failed) {
        tm_buf_text(&out, ",\"what\":");
        tm_buf_json(&out, tm_buf_span(&verdict->what));
        tm_buf_text(&out, ",\"expected\":");
        tm_buf_json(&out, tm_buf_span(&verdict->expected));
        tm_buf_text(&out, ",\"seen\":");
        tm_buf_json(&out, tm_buf_span(&verdict->seen));
    }
    tm_buf_text(&out, "}");
    (void)fwrite(out.ptr, 1, out.len, stdout);
    tm_buf_deinit(&out);
}

// ---- one case -----------------------------------------------------------------------

static void case_run(check *run, const check_file *file, const tm_node *one) {
    tm_check_verdict verdict;
    tm_span name = tm_node_text(tm_node_get(one, "name"));
    if (name.ptr == NULL) name = tm_text("(a case without a name)");
    tm_check_verdict_init(&verdict, &tm_host_alloc);
    tm_host_doing("%s: case %.*s", file->name,
                  (int)(name.len > 100 ? 100 : name.len), (const char *)name.ptr);
    if (name_is_double(file->first, one)) {
        (void)tm_check_verdict_fail(&verdict,
                                    "malformed: the name is taken in this file");
    } else {
        tm_check_one_run(&run->one, one, &verdict);
    }
    run->done++;
    run->passed += verdict.failed ? 0 : 1;
    if (verdict.failed) tm_progress_clear(&run->progress);
    if (run->json) {
        verdict_json(run, file, name, &verdict);
    } else if (verdict.failed) {
        verdict_say(file, name, &verdict);
    }
    tm_check_verdict_deinit(&verdict);
}

static void cases_run(check *run) {
    for (const check_file *file = run->files; file != NULL; file = file->next) {
        const tm_node *one = file->first;
        for (; one != NULL; one = one->next) {
            if (tm_progress_due(&run->progress)) {
                tm_progress_line(&run->progress, "%zu of %zu cases  %s", run->done,
                                 run->total, file->name);
            }
            case_run(run, file, one);
        }
    }
    tm_progress_clear(&run->progress);
    tm_host_doing("%s", "");
}

// ---- the command --------------------------------------------------------------------

static bool directory_make(char *path, size_t size) {
    const char *parent = getenv("TMPDIR");
    int len = snprintf(path, size, "%s/tidemark-check-XXXXXX",
                       parent == NULL || parent[0] == '\0' ? "/tmp" : parent);
    return len > 0 && (size_t)len < size && mkdtemp(path) != NULL;
}

static const char *const store_words[] = {
    [TM_CHECK_MEMORY] = "memory",
    [TM_CHECK_SQLITE] = "sqlite",
    [TM_CHECK_DYNAMODB] = "dynamodb",
};

static int check_all(check *run, char **names) {
    uint64_t begun = tm_host_now().mono_ms;
    tm_check_verdict engine;
    tm_check_verdict_init(&engine, &tm_host_alloc);
    if (!tm_check_one_door(&run->one, &engine)) { // said once, not for every case
        (void)tm_failure(run->command, "%.*s", (int)engine.what.len,
                         (const char *)engine.what.ptr);
        tm_check_verdict_deinit(&engine);
        return TM_EXIT_USAGE;
    }
    tm_check_verdict_deinit(&engine);
    for (; *names != NULL; names++) {
        (void)file_load(run, *names);
    }
    if (run->json) (void)printf("{\"cases\":[");
    cases_run(run);
    char took[32];
    tm_say_duration(took, tm_host_now().mono_ms - begun);
    if (run->json) {
        (void)printf("\n],\"passed\":%zu,\"failed\":%zu}\n", run->passed,
                     run->total - run->passed);
    } else {
        (void)printf("%s engine, %s store, %s\n%zu passed, %zu failed\n"
                     "%zu of %zu cases passed\n",
                     run->one.wasm ? "wasm" : "native",
                     store_words[run->one.place.kind], took, run->passed,
                     run->total - run->passed, run->passed, run->total);
    }
    if (run->passed < run->total) return TM_EXIT_FAILED;
    if (run->total == 0 && !run->unreadable) { // what tries nothing proves nothing
        return tm_usage_error(run->command, "there is no case in what was named");
    }
    return run->unreadable ? TM_EXIT_USAGE : TM_EXIT_OK;
}

static void check_free(check *run) {
    for (check_file *file = run->files; file != NULL; file = file->next) {
        free(file->text);
    }
    tm_check_door_close(run->one.door);
    tm_arena_deinit(&run->arena);
}

static int check_main(const tm_command *command, int argc, char **argv) {
    const char *engine = "native", *store = "memory";
    check run = {.command = command,
                 .arena = {.alloc = &tm_host_alloc},
                 .one.place = {.prefix = "check-"}};
    run.files_last = &run.files;
    const tm_option options[] = {
        {"engine", "native|wasm", TM_OPTION_CHOICE, &engine,
         "wasm: the shipped core.wasm, in node; default native"},
        {"store", "memory|sqlite|dynamodb", TM_OPTION_CHOICE, &store,
         "what the service stands on; default memory"},
        {"dynamodb-endpoint", "URL", TM_OPTION_TEXT, &run.one.place.endpoint,
         "of a DynamoDB Local: each case makes two tables there, and leaves them"},
        {"dynamodb-prefix", "PREFIX", TM_OPTION_TEXT, &run.one.place.prefix,
         "of their names; default check-"},
        {"json", NULL, TM_OPTION_FLAG, &run.json, "one JSON object, for a script"},
        {"trace", NULL, TM_OPTION_FLAG, &run.one.traced,
         "print what travels in each scenario, on stderr"},
        {0}};
    char **names, directory[512];
    int code = tm_options_read(command, options, argc, argv, &names);
    if (code >= 0) return code;
    run.one.wasm = strcmp(engine, "wasm") == 0;
    if (strcmp(store, "dynamodb") == 0) {
        if (run.one.place.endpoint ==
            NULL) { // tables on AWS are not made by mistake
            return tm_usage_error(command,
                                  "--store dynamodb wants "
                                  "--dynamodb-endpoint, of a DynamoDB Local");
        }
        run.one.place.kind = TM_CHECK_DYNAMODB;
    } else if (strcmp(store, "sqlite") == 0) {
        if (!directory_make(directory, sizeof directory)) {
            return tm_failure(command, "no directory for the store: %s",
                              strerror(errno));
        }
        run.one.place.kind = TM_CHECK_SQLITE;
        run.one.place.directory = directory;
    }
    tm_progress_init(&run.progress);
    code = check_all(&run, names);
    if (run.one.place.directory != NULL) (void)rmdir(directory);
    check_free(&run);
    return code;
}

const tm_command tm_command_check = {
    .name = "check",
    .summary = "run golden files against the real engine, service and store",
    .arguments = "FILE...",
    .arguments_min = 1,
    .arguments_max = SIZE_MAX,
    .about =
        "Runs every case of the files (tests/golden/README.md has their format), "
        "in virtual\ntime and without a network, and prints each that fails with "
        "what was expected and\nseen. Exit code: 0 all passed, 1 some failed, 2 a "
        "file could not be read.\n",
    .example =
        "  tidemark check tests/golden/*.json\n"
        "  tidemark check --engine wasm --store sqlite tests/golden/clocks.json\n"
        "  tidemark check --store dynamodb --dynamodb-endpoint "
        "http://127.0.0.1:8000 tests/golden/*.json\n",
    .run = check_main,
};
