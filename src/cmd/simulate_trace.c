// simulate_trace.c - see simulate_trace.h.
#include "cmd/simulate_trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/host.h"
#include "cmd/simulate_notes.h"

#define STEPS_MAX 100000u
#define TRIES_MAX 3000u

// ---- files ------------------------------------------------------------------------------

static tm_sim_invariant invariant_of(const char *name) {
    for (int i = 1; i <= TM_SIM_OWN; i++) {
        if (strcmp(tm_sim_invariant_name((tm_sim_invariant)i), name) == 0)
            return (tm_sim_invariant)i;
    }
    return TM_SIM_FINE;
}

static bool step_read(const char *line, tm_sim_step *step) {
    char word[32];
    unsigned long long at, arg;
    unsigned who;
    if (sscanf(line, "step %llu %31s %u %llu", &at, word, &who, &arg) != 4)
        return false;
    for (int i = 0; i < TM_SIM_STEPS; i++) {
        if (strcmp(tm_sim_step_word((tm_sim_step_kind)i), word) != 0) continue;
        *step = (tm_sim_step){at, (tm_sim_step_kind)i, who, arg};
        return true;
    }
    return false;
}

static bool line_read(tm_simulate_trace *trace, const char *line) {
    char word[32];
    unsigned long long number;
    if (line[0] == '#' || line[0] == '\n' || line[0] == '\0') return true;
    if (sscanf(line, "seed %llu", &number) == 1) {
        trace->seed = number;
    } else if (sscanf(line, "store %31s", word) == 1) {
        trace->store =
            strcmp(word, "sqlite") == 0 ? TM_SIMULATE_SQLITE : TM_SIMULATE_MEMORY;
    } else if (sscanf(line, "breaks %31s", word) == 1) {
        trace->breaks = invariant_of(word);
    } else {
        return trace->count < STEPS_MAX &&
               step_read(line, &trace->steps[trace->count++]);
    }
    return true;
}

bool tm_simulate_trace_read(const char *path, tm_simulate_trace *trace,
                            char problem[256]) {
    char line[256];
    FILE *file = fopen(path, "r");
    *trace = (tm_simulate_trace){0};
    if (file == NULL) {
        (void)snprintf(problem, 256, "%s", strerror(errno));
        return false;
    }
    trace->steps = calloc(STEPS_MAX, sizeof *trace->steps);
    TM_ASSERT(trace->steps != NULL);
    bool good = true;
    for (size_t number = 1; good && fgets(line, sizeof line, file) != NULL;
         number++) {
        good = line_read(trace, line);
        if (!good)
            (void)snprintf(problem, 256, "line %zu is not understood", number);
    }
    (void)fclose(file);
    if (!good) free(trace->steps);
    return good;
}

bool tm_simulate_trace_write(const char *path, const tm_simulate_trace *trace,
                             const tm_sim_result *result) {
    FILE *file = fopen(path, "w");
    if (file == NULL) return false;
    (void)fprintf(file, "# tidemark simulate --replay FILE [--trace]\n# %s: %s\n",
                  tm_sim_invariant_text(trace->breaks), result->what);
    (void)fprintf(file, "seed %llu\nstore %s\nbreaks %s\n",
                  (unsigned long long)trace->seed,
                  trace->store == TM_SIMULATE_SQLITE ? "sqlite" : "memory",
                  tm_sim_invariant_name(trace->breaks));
    for (size_t i = 0; i < trace->count; i++) {
        const tm_sim_step *step = &trace->steps[i];
        (void)fprintf(file, "step %llu %s %u %llu\n",
                      (unsigned long long)step->at_ms, tm_sim_step_word(step->kind),
                      step->who, (unsigned long long)step->arg);
    }
    bool written = ferror(file) == 0;
    return fclose(file) == 0 && written;
}

// ---- shrinking --------------------------------------------------------------------------

static bool try(const tm_simulate_trace *trace, const tm_sim_step *steps,
                size_t count, tm_sim_result *result) {
    return tm_simulate_apart(trace->seed, trace->store, steps, count,
                             trace->breaks == TM_SIM_I13, result, NULL);
}

static bool still(const tm_simulate_trace *trace, const tm_sim_step *steps,
                  size_t count, tm_sim_result *result) {
    tm_sim_result now;
    if (!try(trace, steps, count, &now) || now.broken != trace->breaks)
        return false;
    *result = now;
    return true;
}

// Runs of `size` steps are taken out, one after another, where that changes nothing.
static size_t pass(tm_simulate_trace *trace, tm_sim_step *fewer, size_t size,
                   tm_sim_result *result) {
    size_t tries = 0;
    for (size_t at = 0; at < trace->count;) {
        size_t gone = size < trace->count - at ? size : trace->count - at;
        size_t left = trace->count - gone;
        memcpy(fewer, trace->steps, at * sizeof *fewer);
        memcpy(fewer + at, trace->steps + at + gone, (left - at) * sizeof *fewer);
        tries++;
        if (still(trace, fewer, left, result)) {
            memcpy(trace->steps, fewer, left * sizeof *fewer);
            trace->count = left;
        } else {
            at += gone;
        }
    }
    return tries;
}

bool tm_simulate_shrink(tm_simulate_trace *trace, tm_sim_result *result,
                        void (*told)(void *context, size_t left, size_t tries),
                        void *context) {
    if (!try(trace, trace->steps, trace->count, result)) return false;
    if (result->broken == TM_SIM_FINE) return false;
    trace->breaks = result->broken;
    if (result->broken_step < trace->count) { // what came later had no part in it
        if (still(trace, trace->steps, result->broken_step, result))
            trace->count = result->broken_step;
    }
    tm_sim_step *fewer = calloc(trace->count + 1, sizeof *fewer);
    TM_ASSERT(fewer != NULL);
    size_t tries = 0, before;
    for (size_t size = (trace->count + 1) / 2; size > 0 && tries < TRIES_MAX;) {
        before = trace->count;
        tries += pass(trace, fewer, size, result);
        if (told != NULL) told(context, trace->count, tries);
        if (size == 1 && trace->count == before) break; // none is too many
        size = size == 1 ? 1 : size / 2;
    }
    free(fewer);
    return true;
}
