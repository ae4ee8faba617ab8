// load.c - the daemon as it ships, under a crowd: durable edits a second, what they cost,
// how long they take, what it all weighs.
//
//     bench_load WHAT...       of: edits.50 edits.1000 calm fanout memory idle cold
//                              run beside the program `tidemark`, in its directory
//
// The daemon has one core and this program another. See kit/crowd.h for the work; every
// edit is fsynced before its ack. Results as kit/kit.h has them.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit/crowd.h"

#define DATA "bench-data"

static void daemon_start(server *to, bool fresh) {
    static char program[] = "./tidemark", serve[] = "serve", user[] = "--user",
                bench[] = "bench", data[] = "--data", where[] = DATA,
                listens[] = "--listen", any[] = "127.0.0.1:0",
                level[] = "--log-level", info[] = "info";
    char *argv[] = {program, serve, user,  bench, data, where,
                    listens, any,   level, info,  NULL};
    if (fresh) directory_fresh(DATA);
    server_start(to, argv, 0);
}

// ---- edits ----------------------------------------------------------------------------

typedef struct reading {
    usage used;
    double commits, in, out, appends, frames;
} reading;

static reading read_all(const server *of) {
    const char *text = server_metrics(of);
    return (reading){.commits = server_counter(text, "store_commits_total"),
                     .in = server_counter(text, "net_received_bytes_total"),
                     .out = server_counter(text, "net_sent_bytes_total"),
                     .appends = server_counter(text, "appends_total"),
                     .frames = server_counter(text, "net_frames_out_total"),
                     .used = server_usage(of)};
}

static void edits(unsigned lists, unsigned window) {
    server daemon;
    crowd people;
    char name[32];
    (void)snprintf(name, sizeof name, "edits.%u", lists);
    progress("%u lists x %u connections, %u edits of each on their way", lists,
             CONNS_PER_LIST, window);
    daemon_start(&daemon, true);
    crowd_open(&people, &daemon, &dialect_tidemark, lists, window);
    crowd_run(&people, 1, 0); // warm
    crowd_wait(&people);
    reading before = read_all(&daemon);
    uint64_t self = clock_ns();
    crowd_run(&people, 0, 6);
    reading after = read_all(&daemon);
    (void)self;
    double took = after.used.at_s - before.used.at_s;
    double count = (double)people.acked;
    result(count / took, "edits/s", "%s.durable", name);
    result((after.used.cpu_s - before.used.cpu_s) / count * 1e6, "us/edit",
           "%s.cpu", name);
    double user = after.used.user_s - before.used.user_s;
    double kernel = after.used.system_s - before.used.system_s;
    result(100 * kernel / (user + kernel), "% kernel", "%s.cpu.kernel", name);
    result(100 * (after.used.cpu_s - before.used.cpu_s) / took, "%", "%s.core",
           name);
    times_results(&people.acks, "edits.ack");
    crowd_wait(&people);
    double commits = after.commits - before.commits;
    result(commits / took, "commits/s", "%s.commits", name);
    result(count / commits, "edits", "%s.edits_per_commit", name);
    crowd_close(&people);
    server_stop(&daemon);
}

int main(int argc, char **argv) {
    (void)on_core(CLIENT_CORE);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "edits.50") == 0) edits(50, 8);
        if (strcmp(argv[i], "edits.50.1") == 0) edits(50, 1);
        if (strcmp(argv[i], "edits.1000") == 0) edits(1000, 1);
    }
    return 0;
}
