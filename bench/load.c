// load.c - the daemon as it ships, under a crowd: durable edits a second, what they cost,
// how long they take, what it all weighs.
//
//     bench_load WHAT...      edits LISTS WINDOW | calm | fanout | memory | idle | cold
//
// Runs the program `tidemark` of its own directory, and writes below the working one. The
// daemon has one core and this program another; every edit is fsynced before its ack. See
// kit/crowd.h for the work and kit/kit.h for the results.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kit/crowd.h"

#define DATA      "bench-data"
#define PER_LIST  3u
#define SECONDS   5.0
#define LISTENERS 1000u
#define IDLE      10000u

static char program[512]; // beside this one

static void daemon_start(server *to, bool fresh) {
    char *argv[12];
    size_t count = 0;
    static char words[][16] = {
        "",   "serve",    "--user",      "bench",       "--data",
        DATA, "--listen", "127.0.0.1:0", "--log-level", "info"};
    for (; count < sizeof words / sizeof words[0]; count++) {
        argv[count] = words[count];
    }
    argv[count] = NULL;
    argv[0] = program;
    if (fresh) directory_fresh(DATA);
    server_start(to, argv, 0);
}

static void rest(double seconds) {
    (void)nanosleep(
        &(struct timespec){(time_t)seconds,
                           (long)((seconds - (double)(time_t)seconds) * 1e9)},
        NULL);
}

// ---- edits ----------------------------------------------------------------------------

typedef struct reading {
    double edits, commits, in, out, batches, frames;
} reading;

static reading read_all(const server *of) {
    const char *text = server_metrics(of);
    return (reading){.edits = server_counter(text, "operations_accepted_total"),
                     .commits = server_counter(text, "store_commits_total"),
                     .in = server_counter(text, "net_received_bytes_total"),
                     .out = server_counter(text, "net_sent_bytes_total"),
                     .batches = server_counter(text, "appends_total"),
                     .frames = server_counter(text, "net_frames_out_total")};
}

static void cost_results(const char *name, usage a, usage b, double count) {
    double user = b.user_s - a.user_s, kernel = b.system_s - a.system_s;
    double cpu = b.cpu_s - a.cpu_s, part = user + kernel > 0 ? user + kernel : 1;
    result(cpu / count * 1e6, "us", "%s.cpu", name);
    result(cpu / count * 1e6 * user / part, "us", "%s.cpu_user", name);
    result(cpu / count * 1e6 * kernel / part, "us", "%s.cpu_kernel", name);
    result(100 * cpu / (b.at_s - a.at_s), "%", "%s.core", name);
}

static void store_results(const char *name, reading a, reading b, usage used_a,
                          usage used_b) {
    double edits = b.edits - a.edits, commits = b.commits - a.commits;
    double took = used_b.at_s - used_a.at_s;
    double bytes = (double)(used_b.write_bytes - used_a.write_bytes) / commits;
    size_t block = bytes < 4096 ? 4096 : (size_t)bytes / 4096 * 4096;
    result(commits / took, "1/s", "%s.syncs", name);
    result(bytes / 1024, "KiB", "%s.sync_bytes", name);
    result(disk_syncs(".", block), "1/s", "%s.disk", name);
    result(edits / (b.batches - a.batches), "edits", "%s.batch", name);
    result((b.in - a.in) / edits, "B", "%s.in", name);
    result((b.out - a.out) / edits, "B", "%s.out", name);
    result((b.frames - a.frames) / edits, "frames", "%s.frames", name);
}

static void edits(unsigned lists, unsigned window) {
    server daemon;
    crowd people;
    char name[32];
    (void)snprintf(name, sizeof name, "edits.%ux%u", lists, window);
    progress("edits: %u lists, %u connections each, %u unanswered of each", lists,
             PER_LIST, window);
    daemon_start(&daemon, true);
    crowd_open(&people, &daemon, &dialect_tidemark, lists, PER_LIST, window);
    crowd_warm(&people);
    reading before = read_all(&daemon);
    usage used_before = server_usage(&daemon);
    crowd_run(&people, SECONDS);
    usage used = server_usage(&daemon);
    double count = (double)people.acked;
    crowd_wait(&people);
    reading after = read_all(&daemon);
    result(count / (used.at_s - used_before.at_s), "1/s", "%s.edits", name);
    cost_results(name, used_before, used, count);
    times_results(&people.acks, "ack", name);
    times_results(&people.sights, "seen", name);
    store_results(name, before, after, used_before, used);
    result((double)server_rss(&daemon) / 1e6, "MB", "%s.rss", name);
    crowd_close(&people);
    server_stop(&daemon);
}

// One edit at a time, and nothing else.
static void calm(void) {
    server daemon;
    crowd people;
    progress("calm: one edit at a time");
    daemon_start(&daemon, true);
    crowd_open(&people, &daemon, &dialect_tidemark, 50, PER_LIST, 1);
    crowd_calm(&people, 100);
    usage before = server_usage(&daemon);
    crowd_calm(&people, 3000);
    usage after = server_usage(&daemon);
    times_results(&people.acks, "ack", "calm");
    times_results(&people.sights, "seen", "calm");
    cost_results("calm", before, after, 3000);
    result(disk_syncs(".", 8192), "1/s", "calm.disk");
    crowd_close(&people);
    server_stop(&daemon);
}

// One list, one who writes, many who read.
static void fanout(void) {
    server daemon;
    crowd people;
    progress("fanout: one list, one writer, %u readers", LISTENERS - 1);
    daemon_start(&daemon, true);
    crowd_open(&people, &daemon, &dialect_tidemark, 1, LISTENERS, 16);
    client *writer = &people.clients[0];
    writer->step = 1;
    people.count = 1; // nobody else edits
    crowd_warm(&people);
    usage before = server_usage(&daemon);
    crowd_run(&people, SECONDS);
    usage after = server_usage(&daemon);
    double seen = (double)people.seen;
    result(seen / (after.at_s - before.at_s), "1/s", "fanout.deliveries");
    result((double)people.acked / (after.at_s - before.at_s), "1/s",
           "fanout.edits");
    cost_results("fanout", before, after, seen);
    times_results(&people.sights, "seen", "fanout");
    crowd_wait(&people);
    people.count = LISTENERS;
    crowd_close(&people);
    server_stop(&daemon);
}

// ---- weight ---------------------------------------------------------------------------

static void memory(void) {
    server daemon;
    crowd people;
    progress("memory: 1,000 lists of 100 items, 3 connections each");
    daemon_start(&daemon, true);
    result((double)server_rss(&daemon) / 1e6, "MB", "memory.empty");
    crowd_open(&people, &daemon, &dialect_tidemark, 1000, PER_LIST, 1);
    progress("memory: at rest");
    rest(3); // what is done in the background is done
    result((double)server_rss(&daemon) / 1e6, "MB", "memory.1000");
    result(server_counter(server_metrics(&daemon), "lists_bytes") / 1e6, "MB",
           "memory.lists");
    crowd_close(&people);
    server_stop(&daemon);
}

static void idle_one(const char *name, bool subscribed) {
    server daemon;
    daemon_start(&daemon, true);
    crowd people = {.speaks = &dialect_tidemark};
    client *all = need(IDLE * sizeof *all);
    double before = (double)server_rss(&daemon);
    for (unsigned i = 0; i < IDLE; i++) {
        all[i].in = &people;
        all[i].to.owner = &all[i];
        all[i].list = i % 100;
        if (subscribed) {
            dialect_tidemark.open(&all[i], &daemon, i);
            wires_turn(dialect_tidemark.hears, 0);
        } else {
            wire_open(&all[i].to, &daemon, "/v1/ws", "tidemark.v1", i);
        }
    }
    uint64_t began = clock_ns();
    while (seconds_since(began) < 2) {
        wires_turn(dialect_tidemark.hears, 100);
    }
    result(((double)server_rss(&daemon) - before) / IDLE, "B", "%s", name);
    for (unsigned i = 0; i < IDLE; i++) {
        wire_close(&all[i].to);
    }
    free(all);
    server_stop(&daemon);
}

static void idle(void) {
    progress("idle: %u sockets", IDLE);
    idle_one("idle.socket", false);
    progress("idle: %u sockets that listen to one of 100 lists", IDLE);
    idle_one("idle.subscribed", true);
}

// ---- cold lists -----------------------------------------------------------------------

// A list of `items`, by pushes of a hundred operations.
static void list_fill(const server *with, unsigned list, unsigned items) {
    dialect speaks = dialect_tidemark;
    crowd people = {.speaks = &speaks};
    client by = {.in = &people, .list = list};
    people.clients = &by;
    by.to.owner = &by;
    speaks.open(&by, with, 0);
    char *text = need(1 << 16);
    for (unsigned item = 0; item < items; item += 100) {
        size_t len =
            (size_t)snprintf(text, 256,
                             "{\"type\":\"SAVE\",\"list\":\"l-%u\",\"user\":"
                             "\"bench\",\"operations\":[",
                             list);
        for (unsigned i = 0; i < 100; i++) {
            edit add = {EDIT_ADD, item + i, clock_ns() + i, ++by.version};
            if (i > 0) text[len++] = ',';
            len += op_text(text + len, 640, &by, &add);
            by.outstanding++;
            people.outstanding++;
        }
        memcpy(text + len, "]}", 2);
        wire_text(&by.to, text, len + 2);
        crowd_wait(&people);
    }
    free(text);
    wire_close(&by.to);
}

static void cold_get(const server *with, unsigned list, times *took) {
    char path[64];
    uint64_t ns;
    (void)snprintf(path, sizeof path, "/v1/lists/l-%u", list);
    if (http_get(with, path, &ns, NULL) != 200) die("GET %s failed", path);
    times_add(took, ns);
}

// Until the whole of it is here: SNAPSHOT or OPERATIONS up to the head.
static bool came;
static size_t hears_load(wire *from, const uint8_t *bytes, size_t len) {
    size_t used = 0, step, text_len;
    const uint8_t *text;
    unsigned opcode;
    (void)from;
    while ((step = frame_next(bytes + used, len - used, &text, &text_len,
                              &opcode)) > 0) {
        used += step;
        if (text_len < 40 || memcmp(text, "{\"type\":\"S", 10) != 0) continue;
        unsigned part = 0, parts = 0;
        char head[300] = "";
        memcpy(head, text, text_len < 299 ? text_len : 299);
        const char *at = strstr(head, "\"part\":");
        if (at != NULL &&
            sscanf(at, "\"part\":%u,\"parts\":%u", &part, &parts) == 2)
            came = part == parts;
    }
    return used;
}

static void cold_subscribe(const server *with, unsigned list, times *took) {
    client by = {.list = list};
    by.to.owner = &by;
    wire_open(&by.to, with, "/v1/ws", "tidemark.v1", 0);
    char text[256];
    // A mark that no log has: the whole state is wanted.
    int len =
        snprintf(text, sizeof text,
                 "{\"type\":\"SUBSCRIBE\",\"list\":\"l-%u\",\"user\":\"bench\","
                 "\"since\":1,\"mark\":\"%064d\"}",
                 list, 0);
    uint64_t began = clock_ns();
    wire_text(&by.to, text, (size_t)len);
    for (came = false; !came;) {
        if (seconds_since(began) > 30) die("no snapshot came");
        wires_turn(hears_load, 100);
    }
    times_add(took, clock_ns() - began);
    wire_close(&by.to);
}

static void cold(void) {
    static const struct {
        unsigned items, lists;
    } rows[] = {{100, 40}, {1000, 40}, {10000, 10}};
    server daemon;
    unsigned list = 0;
    progress("cold: lists of 100, 1,000 and 10,000 items that are not in memory");
    daemon_start(&daemon, true);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (unsigned n = 0; n < rows[i].lists; n++) {
            list_fill(&daemon, list++, rows[i].items);
        }
    }
    rest(3);
    server_stop(&daemon);
    daemon_start(&daemon, false);
    list = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        times get = {0}, subscribe = {0};
        for (unsigned n = 0; n < rows[i].lists; n++, list++) {
            if (n % 2 == 0) {
                cold_get(&daemon, list, &get);
            } else {
                cold_subscribe(&daemon, list, &subscribe);
            }
        }
        result(times_part(&get, 0.5), "ms", "cold.%u.get", rows[i].items);
        result(times_part(&subscribe, 0.5), "ms", "cold.%u.subscribe",
               rows[i].items);
        free(get.ms);
        free(subscribe.ms);
    }
    server_stop(&daemon);
}

// ---------------------------------------------------------------------------------------

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
    } all[] = {{"calm", calm},
               {"fanout", fanout},
               {"memory", memory},
               {"idle", idle},
               {"cold", cold}};
    (void)on_core(CLIENT_CORE);
    const char *slash = strrchr(argv[0], '/');
    (void)snprintf(program, sizeof program, "%.*s/tidemark",
                   slash == NULL ? 1 : (int)(slash - argv[0]),
                   slash == NULL ? "." : argv[0]);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "edits") == 0 && i + 2 < argc) {
            edits((unsigned)atoi(argv[i + 1]), (unsigned)atoi(argv[i + 2]));
            i += 2;
            continue;
        }
        bool known = false;
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
            if (strcmp(argv[i], all[k].name) != 0) continue;
            all[k].run();
            known = true;
        }
        if (!known) die("there is no %s", argv[i]);
    }
    directory_fresh(DATA);
    return 0;
}
