// simulate_servers.h - `tidemark simulate --store shared`: several servers on one DynamoDB
// model, seed after seed.
//
// Knows sim/servers.h, cmd/options.h.
#ifndef TM_CMD_SIMULATE_SERVERS_H
#define TM_CMD_SIMULATE_SERVERS_H

#include "cmd/options.h"

typedef struct tm_simulate_servers {
    uint64_t first, count;
    uint64_t until_ms; // monotonic: no seed is begun after that; 0 = no end
    bool keep_going, json;
} tm_simulate_servers;

// tm_simulate_servers_run - all of them, with a table of faults; the exit code.
int tm_simulate_servers_run(const tm_simulate_servers *many);

// tm_simulate_servers_one - one seed, twice; `story`: told in words. The exit code.
int tm_simulate_servers_one(uint64_t seed, bool story);

#endif
