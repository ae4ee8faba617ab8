// simulate.c - the command `simulate`: seed after seed of the simulator.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/commands.h"
#include "cmd/simulate_store.h"
#include "sim/sim.h"

static int simulate_main(const tm_command *command, int argc, char **argv) {
    uint64_t seeds = 100, first = 1, seed = UINT64_MAX;
    bool trace = false, keep_going = false;
    const tm_option options[] = {
        {"seeds", "N", TM_OPTION_NUMBER, &seeds, "how many; default 100"},
        {"first-seed", "S", TM_OPTION_NUMBER, &first, "the first; default 1"},
        {"seed", "N", TM_OPTION_NUMBER, &seed, "this one alone"},
        {"trace", NULL, TM_OPTION_FLAG, &trace, "tell its story"},
        {"keep-going", NULL, TM_OPTION_FLAG, &keep_going,
         "do not stop at a failure"},
        {0}};
    char **rest;
    int code = tm_options_read(command, options, argc, argv, &rest);
    if (code >= 0) return code;
    if (seed != UINT64_MAX) {
        first = seed;
        seeds = 1;
    }
    uint64_t accepted = 0, events = 0, bad = 0;
    for (uint64_t s = first; s < first + seeds; s++) {
        tm_sim_result result;
        tm_sim_backend backend;
        tm_host_doing("seed %llu", (unsigned long long)s);
        tm_simulate_memory(&backend);
        tm_sim_run(&(tm_sim_config){.seed = s,
                                    .backend = &backend,
                                    .story = trace ? stdout : NULL},
                   &result);
        tm_simulate_store_free(&backend);
        accepted += result.accepted;
        events += result.events;
        if (result.broken != TM_SIM_FINE) {
            bad++;
            printf("seed %llu: %s at %llu ms, step %zu: %s\n",
                   (unsigned long long)s, tm_sim_invariant_name(result.broken),
                   (unsigned long long)result.broken_ms, result.broken_step,
                   result.what);
            if (!keep_going) break;
        }
    }
    printf("%llu seeds, %llu bad, %llu accepted, %llu events\n",
           (unsigned long long)seeds, (unsigned long long)bad,
           (unsigned long long)accepted, (unsigned long long)events);
    return bad > 0 ? 1 : 0;
}

const tm_command tm_command_simulate = {
    .name = "simulate",
    .summary = "live through years of faults, seed after seed",
    .arguments = "",
    .about = "x\n",
    .example = "  tidemark simulate --seeds 1000\n",
    .run = simulate_main,
};
