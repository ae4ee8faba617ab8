// simulate_case.c - see simulate_case.h.
#include "cmd/simulate_case.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/check_case.h"
#include "cmd/check_one.h"
#include "cmd/host.h"
#include "cmd/simulate_merge.h"
#include "cmd/simulate_scenario.h"
#include "sim/plan.h"

#define CASE_S    10u    // a case that runs longer does not end
#define SHRINK_MS 60000u // for making one smaller
#define MERGE_MAX                                                                  \
    150u // operations: `check` tries each order of them, cut everywhere

// ---- whether it fails -----------------------------------------------------------------

enum { PASSED, FAILED, NO_CASE };

static int case_run(tm_span text, char what[256]) {
    tm_check_one check = {.place = {.kind = TM_CHECK_MEMORY}};
    tm_arena arena = {.alloc = &tm_host_alloc};
    tm_check_verdict verdict;
    const tm_node *one;
    if (tm_check_case_file_read(text, &arena, &one, what) != TM_OK) return NO_CASE;
    tm_check_verdict_init(&verdict, &tm_host_alloc);
    tm_check_one_run(&check, one, &verdict);
    int length = (int)(verdict.what.len < 200 ? verdict.what.len : 200);
    (void)snprintf(what, 256, "%.*s", length, (const char *)verdict.what.ptr);
    int code = !verdict.failed                      ? PASSED
               : strncmp(what, "malformed", 9) == 0 ? NO_CASE
                                                    : FAILED;
    tm_check_verdict_deinit(&verdict);
    tm_check_door_close(check.door);
    tm_arena_deinit(&arena);
    return code;
}

bool tm_simulate_case_fails(tm_span text, char what[256]) {
    int ends[2], status = 0;
    memset(what, 0, 256);
    if (pipe(ends) != 0) return false;
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        char own[256] = "";
        (void)close(ends[0]);
        (void)close(STDERR_FILENO); // a broken assertion is told by how it ends
        (void)alarm(CASE_S);
        int code = case_run(text, own);
        _exit(write(ends[1], own, sizeof own - 1) < 0 ? NO_CASE : code);
    }
    (void)close(ends[1]);
    if (pid > 0 && read(ends[0], what, 255) < 0) what[0] = '\0';
    (void)close(ends[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (pid < 0) return false;
    if (WIFEXITED(status)) return WEXITSTATUS(status) == FAILED;
    (void)snprintf(what, 256, "%s",
                   WTERMSIG(status) == SIGALRM ? "it does not end"
                                               : "an assertion of our own ends it");
    return true;
}

// ---- one that fails -------------------------------------------------------------------

typedef struct candidate {
    const char *name, *covers;
    tm_simulate_way way; // of a scenario
    size_t size;         // of one of its parts: an entry or a move
    void (*write)(const struct candidate *c, const void *parts, size_t count,
                  tm_buf *out);
    tm_simulate_case *found;
    tm_buf *text;
} candidate;

static void merge_write(const candidate *c, const void *parts, size_t count,
                        tm_buf *out) {
    tm_simulate_merge_write(parts, count, c->name, c->covers, out);
}

static void scenario_write(const candidate *c, const void *parts, size_t count,
                           tm_buf *out) {
    tm_simulate_scenario_write(parts, count, c->way, c->name, c->covers, out);
}

static bool fails(const candidate *c, const void *parts, size_t count) {
    char what[256];
    c->write(c, parts, count, c->text);
    if (!tm_simulate_case_fails(tm_buf_span(c->text), what)) return false;
    memcpy(c->found->what, what, sizeof what);
    return true;
}

// What it does not need goes, run after run of it. Leaves the file in `text`.
static void reduce(const candidate *c, void *parts, size_t count) {
    uint64_t until_ms = tm_host_now().mono_ms + SHRINK_MS;
    uint8_t *all = parts, *fewer = malloc(count * c->size + 1);
    TM_ASSERT(fewer != NULL);
    for (size_t run = (count + 1) / 2; run > 0;) {
        size_t before = count;
        for (size_t at = 0; at < count && tm_host_now().mono_ms < until_ms;) {
            size_t gone = run < count - at ? run : count - at, left = count - gone;
            memcpy(fewer, all, at * c->size);
            memcpy(fewer + at * c->size, all + (at + gone) * c->size,
                   (left - at) * c->size);
            if (fails(c, fewer, left)) {
                memcpy(all, fewer, left * c->size);
                count = left;
            } else {
                at += gone;
            }
        }
        if (run == 1 && count == before) break;
        run = run == 1 ? 1 : run / 2;
    }
    free(fewer);
    (void)fails(c, all, count); // its text, and its words
}

static bool attempt(const candidate *c, void *parts, size_t count) {
    c->found->tried++;
    if (count == 0 || !fails(c, parts, count)) return false;
    reduce(c, parts, count);
    return true;
}

// ---- the log ----------------------------------------------------------------------------

// Registers of one item know nothing of others': most failures lie in one.
static bool items_try(candidate *c, const tm_simulate_entry *all, size_t count) {
    tm_simulate_entry *some = calloc(count + 1, sizeof *some);
    bool *done = calloc(count + 1, sizeof *done);
    bool found = false;
    TM_ASSERT(some != NULL && done != NULL);
    for (size_t i = 0; i < count && !found; i++) {
        size_t taken = 0;
        if (done[i]) continue;
        for (size_t k = i; k < count; k++) {
            if (tm_span_cmp(all[k].item, all[i].item) != 0) continue;
            done[k] = true;
            if (taken < MERGE_MAX) some[taken++] = all[k];
        }
        found = attempt(c, some, taken);
    }
    free(some);
    free(done);
    return found;
}

static bool log_try(candidate *c, const tm_simulate_notes *notes,
                    uint32_t account) {
    tm_arena arena = {.alloc = &tm_host_alloc};
    size_t count;
    tm_simulate_entry *all = tm_simulate_entries(notes, account, &arena, &count);
    c->write = merge_write;
    c->size = sizeof *all;
    bool found = items_try(c, all, count) ||
                 attempt(c, all, count < MERGE_MAX ? count : MERGE_MAX);
    free(all);
    tm_arena_deinit(&arena);
    return found;
}

// ---- what people did --------------------------------------------------------------------

static bool edits_any(const tm_simulate_move *moves, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (moves[i].kind == TM_SIMULATE_MOVE_EDIT) return true;
    }
    return false;
}

static bool moves_try(candidate *c, const tm_simulate_notes *notes,
                      uint32_t account) {
    tm_arena arena = {.alloc = &tm_host_alloc};
    size_t count;
    tm_simulate_move *moves = tm_simulate_moves(notes, account, &arena, &count);
    c->write = scenario_write;
    c->size = sizeof *moves;
    bool found = false, any = edits_any(moves, count);
    for (int way = 0; way < TM_SIMULATE_WAYS && any && !found; way++) {
        c->way = (tm_simulate_way)way;
        found = attempt(c, moves, count);
    }
    free(moves);
    tm_arena_deinit(&arena);
    return found;
}

bool tm_simulate_case_find(const tm_simulate_trace *trace, tm_simulate_case *found,
                           tm_buf *text) {
    static tm_sim_result result;
    tm_simulate_notes notes = {0};
    char name[64];
    *found = (tm_simulate_case){0};
    if (!tm_simulate_apart(trace->seed, trace->store, trace->steps, trace->count,
                           false, &result, &notes)) {
        return false;
    }
    (void)snprintf(name, sizeof name, "seed-%llu", (unsigned long long)trace->seed);
    candidate c = {.name = name,
                   .covers = tm_sim_invariant_name(trace->breaks),
                   .found = found,
                   .text = text};
    bool there = false;
    // The list of whoever is hostile is nobody's: of what they send only the log counts.
    for (uint32_t a = 0; a < TM_SIM_ACCOUNTS && !there; a++) {
        there = log_try(&c, &notes, a);
    }
    for (uint32_t a = 0; a + 1 < TM_SIM_ACCOUNTS && !there; a++) {
        there = moves_try(&c, &notes, a);
    }
    tm_simulate_notes_deinit(&notes);
    return there;
}

const char *tm_simulate_case_why_none(tm_sim_invariant invariant) {
    switch (invariant) {
    case TM_SIM_I6:
        return "a case has a store that keeps what it said it keeps, and no moment "
               "between a write and what is told of it";
    case TM_SIM_I12:
    case TM_SIM_I15:
        return "a case says what lists come to, and not what that costs in memory "
               "and messages";
    case TM_SIM_I13:
        return "a case is lived through once";
    default:
        return "told as edits, pushes, pulls and faults in their order it ends as "
               "it "
               "should: it takes the moments in between, which a case cannot say";
    }
}
