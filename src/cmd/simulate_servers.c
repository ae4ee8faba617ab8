// simulate_servers.c - see simulate_servers.h.
#include "cmd/simulate_servers.h"

#include <inttypes.h>

#include "cmd/host.h"
#include "sim/servers.h"

typedef struct sum {
    uint64_t seeds, broken, accepted, requests, virtual_ms;
    uint64_t tables[TM_SIM_TABLE_FAULTS], tables_seeds[TM_SIM_TABLE_FAULTS];
    uint64_t faults[TM_SIM_MANY_FAULTS], faults_seeds[TM_SIM_MANY_FAULTS];
} sum;

static void add(sum *all, const tm_sim_many_result *one) {
    all->seeds++;
    all->broken += one->broken != TM_SIM_FINE;
    all->accepted += one->accepted;
    all->requests += one->requests;
    all->virtual_ms += one->virtual_ms;
    for (size_t i = 0; i < TM_SIM_TABLE_FAULTS; i++) {
        all->tables[i] += one->tables[i];
        all->tables_seeds[i] += one->tables[i] > 0;
    }
    for (size_t i = 0; i < TM_SIM_MANY_FAULTS; i++) {
        all->faults[i] += one->faults[i];
        all->faults_seeds[i] += one->faults[i] > 0;
    }
}

static void failure_say(uint64_t seed, const tm_sim_many_result *one, FILE *to) {
    (void)fprintf(to,
                  "seed %" PRIu64
                  " breaks %s, %s, at %.1f s: %s\n  tidemark simulate "
                  "--seed %" PRIu64 " --store shared --trace    tells its story\n",
                  seed, tm_sim_invariant_name(one->broken),
                  tm_sim_invariant_text(one->broken),
                  (double)one->broken_ms / 1000.0, one->what, seed);
}

// The run, and once more: it must be the same (I13).
static void twice(uint64_t seed, FILE *story, tm_sim_many_result *one) {
    static tm_sim_many_result again;
    tm_sim_many_run(seed, TM_SIM_MANY_HONEST, story, one);
    tm_sim_many_run(seed, TM_SIM_MANY_HONEST, NULL, &again);
    if (one->broken != TM_SIM_FINE || one->hash == again.hash) return;
    one->broken = TM_SIM_I13;
    (void)snprintf(one->what, sizeof one->what, "the same seed went another way");
}

static void json_say(const sum *all) {
    (void)printf(
        "{\"seeds\":%" PRIu64 ",\"broken\":%" PRIu64 ",\"accepted\":%" PRIu64
        ",\"requests\":%" PRIu64 ",\"virtualMs\":%" PRIu64 ",\"faults\":{",
        all->seeds, all->broken, all->accepted, all->requests, all->virtual_ms);
    for (size_t i = 0; i < TM_SIM_TABLE_FAULTS; i++) {
        (void)printf("\"%s\":%" PRIu64 ",",
                     tm_sim_table_fault_text((tm_sim_table_fault)i),
                     all->tables[i]);
    }
    for (size_t i = 0; i < TM_SIM_MANY_FAULTS; i++) {
        (void)printf("%s\"%s\":%" PRIu64, i > 0 ? "," : "",
                     tm_sim_many_fault_text((tm_sim_many_fault)i), all->faults[i]);
    }
    (void)printf("}}\n");
}

static void table_say(const sum *all) {
    (void)printf("%-46s %10s %8s\n", "fault", "times", "seeds");
    for (size_t i = 0; i < TM_SIM_TABLE_FAULTS; i++) {
        (void)printf("%-46s %10" PRIu64 " %8" PRIu64 "\n",
                     tm_sim_table_fault_text((tm_sim_table_fault)i), all->tables[i],
                     all->tables_seeds[i]);
    }
    for (size_t i = 0; i < TM_SIM_MANY_FAULTS; i++) {
        (void)printf("%-46s %10" PRIu64 " %8" PRIu64 "\n",
                     tm_sim_many_fault_text((tm_sim_many_fault)i), all->faults[i],
                     all->faults_seeds[i]);
    }
    (void)printf("%" PRIu64 " of %" PRIu64 " seeds held, %.1f days lived, %" PRIu64
                 " operations accepted, %" PRIu64 " requests answered\n",
                 all->seeds - all->broken, all->seeds,
                 (double)all->virtual_ms / 86400000.0, all->accepted,
                 all->requests);
}

int tm_simulate_servers_run(const tm_simulate_servers *many) {
    static tm_sim_many_result one;
    sum all = {0};
    for (uint64_t i = 0; i < many->count; i++) {
        if (many->until_ms != 0 && tm_host_now().mono_ms >= many->until_ms) break;
        uint64_t seed = many->first + i;
        if (seed % 16 == 0) {
            twice(seed, NULL, &one);
        } else {
            tm_sim_many_run(seed, TM_SIM_MANY_HONEST, NULL, &one);
        }
        add(&all, &one);
        if (one.broken == TM_SIM_FINE) continue;
        failure_say(seed, &one, many->json ? stderr : stdout);
        if (!many->keep_going) break;
    }
    if (many->json) {
        json_say(&all);
    } else {
        table_say(&all);
    }
    if (all.seeds == 0) return TM_EXIT_USAGE;
    return all.broken == 0 ? TM_EXIT_OK : TM_EXIT_FAILED;
}

int tm_simulate_servers_one(uint64_t seed, bool story) {
    static tm_sim_many_result one;
    twice(seed, story ? stdout : NULL, &one);
    if (one.broken != TM_SIM_FINE) {
        failure_say(seed, &one, stdout);
        return TM_EXIT_FAILED;
    }
    (void)printf("seed %" PRIu64 " holds: %" PRIu64 " operations accepted, %" PRIu64
                 " requests answered, %.1f min lived\n",
                 seed, one.accepted, one.requests,
                 (double)one.virtual_ms / 60000.0);
    return TM_EXIT_OK;
}
