// peers.c - the same crowd before other servers: what Tidemark is measured beside.
//
//     bench_peers DIRECTORY PEER LISTS WINDOW...    PEER: redis | node | yjs
//
// DIRECTORY is bench/peers with what npm brought. Each server has one core, as the daemon
// has in bench_load. bench/peers.mjs runs all of it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kit/crowd.h"

#define DATA     "bench-data"
#define PER_LIST 3u
#define SECONDS  5.0

static const char *directory;

typedef struct peer {
    const char *name;
    const dialect *speaks;
    void (*start)(server *to);
} peer;

static void start(server *to, const char *const words[], uint16_t port) {
    char *argv[20];
    size_t count = 0;
    for (; words[count] != NULL; count++) {
        argv[count] = strdup(words[count]);
    }
    argv[count] = NULL;
    server_start(to, argv, port);
    while (count > 0) {
        free(argv[--count]);
    }
}

static void redis_start(server *to) {
    char port[8];
    uint16_t number = port_free();
    (void)snprintf(port, sizeof port, "%u", number);
    const char *words[] = {
        "redis-server", "--port",        port,     "--bind",
        "127.0.0.1",    "--dir",         DATA,     "--appendonly",
        "yes",          "--appendfsync", "always", "--protected-mode",
        "no",           "--save",        "",       NULL};
    start(to, words, number);
}

static void node_start(server *to) {
    char port[8], script[512];
    uint16_t number = port_free();
    (void)snprintf(port, sizeof port, "%u", number);
    (void)snprintf(script, sizeof script, "%s/sqlite-server.mjs", directory);
    const char *words[] = {"node", script, port, DATA, NULL};
    start(to, words, number);
}

static void yjs_start(server *to) {
    char port[8], script[512];
    uint16_t number = port_free();
    (void)snprintf(port, sizeof port, "%u", number);
    (void)snprintf(script, sizeof script,
                   "%s/node_modules/y-websocket/bin/server.cjs", directory);
    (void)setenv("HOST", "127.0.0.1", 1);
    (void)setenv("PORT", port, 1);
    const char *words[] = {"node", script, NULL};
    start(to, words, number);
}

static void edits(const peer *one, unsigned lists, unsigned window) {
    server with;
    crowd people;
    char name[64];
    (void)snprintf(name, sizeof name, "%s.%ux%u", one->name, lists, window);
    progress("%s: %u lists, %u connections each, %u unanswered of each", one->name,
             lists, PER_LIST, window);
    directory_fresh(DATA);
    one->start(&with);
    crowd_open(&people, &with, one->speaks, lists, PER_LIST, window);
    result((double)server_rss(&with) / 1e6, "MB", "%s.rss", name);
    crowd_warm(&people);
    usage before = server_usage(&with);
    crowd_run(&people, SECONDS);
    usage after = server_usage(&with);
    double count = (double)people.acked, took = after.at_s - before.at_s;
    result(count / took, "1/s", "%s.edits", name);
    result((after.cpu_s - before.cpu_s) / count * 1e6, "us", "%s.cpu", name);
    result(100 * (after.cpu_s - before.cpu_s) / took, "%", "%s.core", name);
    times_results(&people.acks, "ack", name);
    times_results(&people.sights, "seen", name);
    crowd_wait(&people);
    crowd_close(&people);
    server_stop(&with);
}

int main(int argc, char **argv) {
    static const peer all[] = {{"redis", &dialect_redis, redis_start},
                               {"node", &dialect_tidemark, node_start},
                               {"yjs", &dialect_yjs, yjs_start}};
    if (argc < 5) die("bench_peers DIRECTORY PEER LISTS WINDOW...");
    directory = argv[1];
    (void)on_core(CLIENT_CORE);
    for (int i = 2; i + 2 < argc; i += 3) {
        const peer *one = NULL;
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
            if (strcmp(argv[i], all[k].name) == 0) one = &all[k];
        }
        if (one == NULL) die("there is no peer %s", argv[i]);
        edits(one, (unsigned)atoi(argv[i + 1]), (unsigned)atoi(argv[i + 2]));
    }
    directory_fresh(DATA);
    return 0;
}
