// simulate.c - the command `simulate`: seed after seed of the simulator, and what they come
// to; or one seed, its story, and the shortest way to its failure.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/commands.h"
#include "cmd/file.h"
#include "cmd/simulate_case.h"
#include "cmd/simulate_run.h"
#include "cmd/simulate_servers.h"
#include "cmd/simulate_sum.h"
#include "cmd/simulate_trace.h"

#define SAID_MAX 20u // failures said in full

typedef struct simulation {
    const tm_command *command;
    tm_simulate_many many;
    tm_simulate_sum sum;
    tm_progress progress;
    bool json;
    uint64_t said;
} simulation;

static const char *store_word(tm_simulate_store store, uint64_t seed) {
    return tm_simulate_store_of(store, seed) == TM_SIMULATE_SQLITE ? "sqlite"
                                                                   : "memory";
}

static void failure_say(tm_simulate_store store, uint64_t seed,
                        const tm_sim_result *result) {
    char at[32];
    tm_say_duration(at, result->broken_ms);
    (void)printf("seed %llu breaks %s, %s, after %zu steps, at %s:\n  ",
                 (unsigned long long)seed, tm_sim_invariant_name(result->broken),
                 tm_sim_invariant_text(result->broken), result->broken_step, at);
    tm_print_safe(stdout, tm_text(result->what));
    (void)printf(
        "\n  tidemark simulate --seed %llu --store %s --trace     tells its story"
        "\n  tidemark simulate --seed %llu --store %s --shrink    makes it short\n",
        (unsigned long long)seed, store_word(store, seed), (unsigned long long)seed,
        store_word(store, seed));
}

static void failure_json(const simulation *s, uint64_t seed,
                         const tm_sim_result *result) {
    tm_buf out = {.alloc = &tm_host_alloc};
    tm_buf_json(&out, tm_text(result->what));
    (void)printf(
        "%s{\"seed\":%llu,\"store\":\"%s\",\"invariant\":\"%s\",\"step\":%zu,"
        "\"atMs\":%llu,\"what\":%.*s}",
        s->said > 0 ? ",\n" : "", (unsigned long long)seed,
        store_word(s->many.store, seed), tm_sim_invariant_name(result->broken),
        result->broken_step, (unsigned long long)result->broken_ms, (int)out.len,
        (const char *)out.ptr);
    tm_buf_deinit(&out);
}

static bool seed_done(void *context, uint64_t seed, const tm_sim_result *result) {
    simulation *s = context;
    tm_simulate_add(&s->sum, result);
    if (result->broken != TM_SIM_FINE) {
        tm_progress_clear(&s->progress);
        if (s->json) {
            failure_json(s, seed, result);
        } else if (s->said < SAID_MAX) {
            failure_say(s->many.store, seed, result);
        }
        s->said++;
        (void)fflush(stdout);
        if (!s->many.keep_going) return false;
    }
    if (tm_progress_due(&s->progress)) {
        char figures[256];
        tm_simulate_figures(&s->sum, figures, sizeof figures);
        tm_progress_line(&s->progress, "%s", figures);
    }
    return true;
}

static int all_live(simulation *s) {
    char figures[256];
    s->many.done = seed_done;
    s->many.context = s;
    s->sum.begun_ms = tm_host_now().mono_ms;
    tm_progress_init(&s->progress);
    if (s->json) (void)printf("{\"failures\":[");
    bool made = tm_simulate_all(&s->many);
    tm_progress_clear(&s->progress);
    if (s->json) {
        (void)printf("],");
        tm_simulate_json(&s->sum, stdout);
        (void)printf("}\n");
    } else {
        tm_simulate_figures(&s->sum, figures, sizeof figures);
        tm_simulate_table(&s->sum, s->many.store != TM_SIMULATE_MEMORY, stdout);
        (void)printf(
            "%s\n%llu passed, %llu failed\n%llu of %llu seeds from %llu on held "
            "every invariant\n",
            figures, (unsigned long long)(s->sum.seeds - s->sum.broken),
            (unsigned long long)s->sum.broken,
            (unsigned long long)(s->sum.seeds - s->sum.broken),
            (unsigned long long)s->sum.seeds, (unsigned long long)s->many.first);
    }
    if (!made) return tm_failure(s->command, "no worker process could be made");
    return s->sum.broken > 0 ? TM_EXIT_FAILED : TM_EXIT_OK;
}

// ---- one run ----------------------------------------------------------------------------

static int run_tell(const tm_simulate_trace *trace, bool story) {
    static tm_sim_result result;
    char lived[32];
    tm_simulate_one(trace->seed, trace->store, trace->steps, trace->count,
                    story ? stdout : NULL, true, NULL, &result);
    tm_say_duration(lived, result.virtual_ms);
    if (result.broken != TM_SIM_FINE) {
        failure_say(trace->store, trace->seed, &result);
        return TM_EXIT_FAILED;
    }
    (void)printf(
        "seed %llu holds: %zu steps, %llu edits, %llu accepted, %s lived, trace "
        "hash %016llx\n",
        (unsigned long long)trace->seed, trace->count,
        (unsigned long long)result.edits, (unsigned long long)result.accepted,
        lived, (unsigned long long)result.hash);
    return TM_EXIT_OK;
}

static void shrink_told(void *context, size_t left, size_t tries) {
    tm_progress *progress = context;
    if (tm_progress_due(progress))
        tm_progress_line(progress, "%zu steps left, %zu tries", left, tries);
}

// A case for `check`: of the steps that are left, else of all of them. If there
// is none, one line says why.
static void case_write(const tm_simulate_trace *trace,
                       const tm_simulate_trace *whole) {
    tm_simulate_case found;
    tm_buf text = {.alloc = &tm_host_alloc};
    char name[64];
    (void)snprintf(name, sizeof name, "seed-%llu.json",
                   (unsigned long long)trace->seed);
    bool there = tm_simulate_case_find(trace, &found, &text);
    if (!there) there = tm_simulate_case_find(whole, &found, &text);
    if (!there) {
        (void)printf(
            "No case for `tidemark check` fails, so none is written: %s.\n",
            tm_simulate_case_why_none(trace->breaks));
    } else if (!tm_file_write(name, tm_buf_span(&text))) {
        (void)printf("%s could not be written\n", name);
    } else {
        (void)printf("  tidemark check %s    fails as well: ", name);
        tm_print_safe(stdout, tm_text(found.what));
        (void)printf("\n");
    }
    tm_buf_deinit(&text);
}

static tm_simulate_trace trace_copy(const tm_simulate_trace *trace) {
    tm_simulate_trace copy = *trace;
    copy.steps = calloc(trace->count + 1, sizeof *copy.steps);
    TM_ASSERT(copy.steps != NULL);
    memcpy(copy.steps, trace->steps, trace->count * sizeof *copy.steps);
    return copy;
}

static int run_shrink(const tm_command *command, tm_simulate_trace *trace) {
    static tm_sim_result result;
    char name[64];
    tm_progress progress;
    tm_simulate_trace whole = trace_copy(trace);
    tm_progress_init(&progress);
    bool shrunk = tm_simulate_shrink(trace, &result, shrink_told, &progress);
    tm_progress_clear(&progress);
    (void)snprintf(name, sizeof name, "seed-%llu.trace",
                   (unsigned long long)trace->seed);
    int code = TM_EXIT_FAILED;
    if (!shrunk) {
        code = tm_failure(command,
                          "seed %llu breaks nothing: there is nothing to shrink",
                          (unsigned long long)trace->seed);
    } else if (!tm_simulate_trace_write(name, trace, &result)) {
        code = tm_failure(command, "%s could not be written", name);
    } else {
        (void)printf("%zu of %zu steps are enough for %s: ", trace->count,
                     whole.count, tm_sim_invariant_name(result.broken));
        tm_print_safe(stdout, tm_text(result.what));
        (void)printf(
            "\n  tidemark simulate --replay %s --trace    tells the story\n", name);
        (void)fflush(stdout);
        whole.breaks = trace->breaks;
        case_write(trace, &whole);
    }
    free(whole.steps);
    return code;
}

static int run_one(const tm_command *command, uint64_t seed,
                   tm_simulate_store store, const char *file, bool story,
                   bool shrink) {
    tm_simulate_trace trace = {.seed = seed,
                               .store = tm_simulate_store_of(store, seed)};
    char problem[256];
    if (file != NULL) {
        if (!tm_simulate_trace_read(file, &trace, problem))
            return tm_failure_at(command, file, problem);
    } else {
        trace.steps =
            tm_sim_steps(seed, trace.store == TM_SIMULATE_SQLITE, &trace.count);
    }
    int code = shrink ? run_shrink(command, &trace) : run_tell(&trace, story);
    free(trace.steps);
    return code;
}

// ---- the command ------------------------------------------------------------------------

static tm_simulate_store store_of(const char *word) {
    if (strcmp(word, "memory") == 0) return TM_SIMULATE_MEMORY;
    return strcmp(word, "sqlite") == 0 ? TM_SIMULATE_SQLITE : TM_SIMULATE_BOTH;
}

static int simulate_main(const tm_command *command, int argc, char **argv) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t seeds = 1000, first = 1, seed = UINT64_MAX, seconds = 0;
    uint64_t jobs = cores > 0 ? (uint64_t)cores : 1;
    const char *store = "both", *replay = NULL;
    bool story = false, shrink = false;
    simulation s = {.command = command};
    const tm_option options[] = {
        {"seeds", "N", TM_OPTION_NUMBER, &seeds, "how many seeds; default 1000"},
        {"first-seed", "S", TM_OPTION_NUMBER, &first,
         "the first of them; default 1"},
        {"seconds", "T", TM_OPTION_NUMBER, &seconds,
         "begin no seed after so long; default no end"},
        {"jobs", "J", TM_OPTION_NUMBER, &jobs,
         "worker processes; default the cores"},
        {"store", "memory|sqlite|both|shared", TM_OPTION_CHOICE, &store,
         "what the service stands on; default both: every fourth seed on SQLite; "
         "shared: several servers on one DynamoDB model"},
        {"keep-going", NULL, TM_OPTION_FLAG, &s.many.keep_going,
         "do not stop at the first failure"},
        {"seed", "N", TM_OPTION_NUMBER, &seed, "this seed alone, twice"},
        {"trace", NULL, TM_OPTION_FLAG, &story,
         "with --seed: tell its story in words"},
        {"shrink", NULL, TM_OPTION_FLAG, &shrink,
         "with --seed: leave out steps while it still fails; writes seed-N.trace, "
         "and "
         "seed-N.json for `check` if that fails too"},
        {"replay", "FILE", TM_OPTION_TEXT, &replay, "live through a .trace again"},
        {"json", NULL, TM_OPTION_FLAG, &s.json, "one JSON object, for a script"},
        {0}};
    char **rest;
    int code = tm_options_read(command, options, argc, argv, &rest);
    if (code >= 0) return code;
    if ((story || shrink) && seed == UINT64_MAX && replay == NULL)
        return tm_usage_error(command, "--trace and --shrink want one --seed");
    bool shared = strcmp(store, "shared") == 0;
    if (shared && (shrink || replay != NULL))
        return tm_usage_error(command, "--store shared has no steps to leave out");
    if (shared && seed != UINT64_MAX) return tm_simulate_servers_one(seed, story);
    if (seed != UINT64_MAX || replay != NULL)
        return run_one(command, seed, store_of(store), replay, story, shrink);
    if (seeds == 0 || jobs == 0)
        return tm_usage_error(command,
                              "at least one seed and one worker are needed");
    s.many.first = first;
    s.many.count = seeds;
    s.many.jobs = jobs > 64 ? 64 : (uint32_t)jobs;
    s.many.store = store_of(store);
    if (seconds != 0) s.many.until_ms = tm_host_now().mono_ms + seconds * 1000;
    if (shared) {
        return tm_simulate_servers_run(
            &(tm_simulate_servers){.first = first,
                                   .count = seeds,
                                   .until_ms = s.many.until_ms,
                                   .keep_going = s.many.keep_going,
                                   .json = s.json});
    }
    return all_live(&s);
}

const tm_command tm_command_simulate = {
    .name = "simulate",
    .summary = "live through years of faults, seed after seed",
    .arguments = "",
    .about =
        "Runs many engines, the service and a store in virtual time, with a "
        "network, "
        "disks,\nclocks and people that fail; a seed decides everything. After "
        "every "
        "moment the\ninvariants are looked at; when the faults end, nothing that "
        "was kept "
        "may be missing\nand all must become equal, and silent. Prints what "
        "happened how "
        "often. Exit code: 0\nall held, 1 one was broken, 2 nothing was tried. "
        "docs/SIMULATOR.md says more.\n",
    .example = "  tidemark simulate --seeds 20000\n"
               "  tidemark simulate --store shared --seeds 2000\n"
               "  tidemark simulate --seed 836 --trace\n"
               "  tidemark simulate --seed 836 --shrink\n",
    .run = simulate_main,
};
