// simulate_run.c - see simulate_run.h.
#include "cmd/simulate_run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/host.h"

#define JOBS_MAX    64u
#define AGAIN_EVERY 16u // one seed in so many is lived through twice

tm_simulate_store tm_simulate_store_of(tm_simulate_store store, uint64_t seed) {
    if (store != TM_SIMULATE_BOTH) return store;
    return seed % 4 == 0 ? TM_SIMULATE_SQLITE : TM_SIMULATE_MEMORY;
}

static void once(uint64_t seed, tm_simulate_store store, const tm_sim_step *steps,
                 size_t count, FILE *story, const tm_sim_noting *noting,
                 tm_sim_result *result) {
    tm_sim_backend backend;
    bool sqlite = tm_simulate_store_of(store, seed) == TM_SIMULATE_SQLITE;
    if (sqlite) {
        tm_simulate_sqlite(&backend, seed);
    } else {
        tm_simulate_memory(&backend);
    }
    tm_sim_config config = {.seed = seed,
                            .backend = &backend,
                            .disk_faults = sqlite,
                            .story = story,
                            .steps = steps,
                            .step_count = count};
    if (noting != NULL) config.noting = *noting;
    tm_sim_run(&config, result);
    backend.free(backend.context);
}

void tm_simulate_one(uint64_t seed, tm_simulate_store store,
                     const tm_sim_step *steps, size_t count, FILE *story,
                     bool again, const tm_sim_noting *noting,
                     tm_sim_result *result) {
    tm_host_doing("seed %llu of the simulator", (unsigned long long)seed);
    once(seed, store, steps, count, story, noting, result);
    if (!again || result->broken != TM_SIM_FINE) return;
    tm_sim_result second;
    once(seed, store, steps, count, NULL, NULL, &second);
    result->checks[TM_SIM_I13]++;
    if (second.hash == result->hash && second.events == result->events) return;
    result->broken = TM_SIM_I13;
    (void)snprintf(
        result->what, sizeof result->what,
        "the second time another thing happened: trace hash %016llx, then "
        "%016llx",
        (unsigned long long)result->hash, (unsigned long long)second.hash);
}

// ---- workers ----------------------------------------------------------------------------

// What a worker says: that it begins with a seed, or what became of it.
typedef struct letter {
    uint64_t seed;
    bool done;
    tm_sim_result result; // only when done
} letter;

typedef struct worker {
    pid_t pid;
    int from;
    uint64_t seed; // the one it is at; valid while `busy`
    bool busy, gone;
    size_t len; // of a letter that is still arriving
    letter letter;
} worker;

static bool write_all(int to, const void *bytes, size_t len) {
    const uint8_t *at = bytes;
    while (len > 0) {
        ssize_t put = write(to, at, len);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        at += put;
        len -= (size_t)put;
    }
    return true;
}

#define BEGIN_LEN offsetof(letter, result)

_Noreturn static void worker_live(const tm_simulate_many *many, uint32_t number,
                                  int to) {
    static letter one;
    for (uint64_t i = number; i < many->count; i += many->jobs) {
        if (many->until_ms != 0 && tm_host_now().mono_ms >= many->until_ms) break;
        one.seed = many->first + i;
        one.done = false;
        if (!write_all(to, &one, BEGIN_LEN)) break;
        tm_simulate_one(one.seed, many->store, NULL, 0, NULL,
                        one.seed % AGAIN_EVERY == 0, NULL, &one.result);
        one.done = true;
        if (!write_all(to, &one, sizeof one)) break;
        if (one.result.broken != TM_SIM_FINE && !many->keep_going) break;
    }
    _exit(0);
}

static bool worker_start(const tm_simulate_many *many, worker *all,
                         uint32_t number) {
    int ends[2];
    if (pipe(ends) != 0) return false;
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        for (uint32_t i = 0; i < number; i++) {
            (void)close(all[i].from);
        }
        (void)close(ends[0]);
        worker_live(many, number, ends[1]);
    }
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        return false;
    }
    all[number] = (worker){.pid = pid, .from = ends[0]};
    return true;
}

// false: no more of them.
static bool letter_take(const tm_simulate_many *many, worker *w) {
    size_t want =
        w->len < BEGIN_LEN || !w->letter.done ? BEGIN_LEN : sizeof(letter);
    if (w->len < want) return true;
    if (!w->letter.done) {
        w->seed = w->letter.seed;
        w->busy = true;
        w->len = 0;
        return true;
    }
    w->busy = false;
    w->len = 0;
    return many->done(many->context, w->letter.seed, &w->letter.result);
}

static bool worker_hear(const tm_simulate_many *many, worker *w) {
    bool header = w->len < BEGIN_LEN;
    size_t want = header ? BEGIN_LEN : sizeof(letter);
    ssize_t got = read(w->from, (uint8_t *)&w->letter + w->len, want - w->len);
    if (got < 0 && errno == EINTR) return true;
    if (got <= 0) {
        w->gone = true;
        return true;
    }
    w->len += (size_t)got;
    return letter_take(many, w);
}

// It ended without a word about the seed that it was at.
static bool worker_end(const tm_simulate_many *many, worker *w) {
    static tm_sim_result result;
    int status = 0;
    (void)close(w->from);
    while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR) {
    }
    w->pid = 0;
    if (!w->busy) return true;
    result = (tm_sim_result){.broken = TM_SIM_OWN};
    (void)snprintf(result.what, sizeof result.what,
                   WIFSIGNALED(status) ? "the process ended by signal %d"
                                       : "the process ended with code %d",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return many->done(many->context, w->seed, &result);
}

static void workers_hear(const tm_simulate_many *many, worker *all,
                         uint32_t count) {
    struct pollfd polled[JOBS_MAX];
    uint32_t alive = count;
    bool more = true;
    while (alive > 0 && more) {
        for (uint32_t i = 0; i < count; i++) {
            polled[i] = (struct pollfd){all[i].gone ? -1 : all[i].from, POLLIN, 0};
        }
        if (poll(polled, count, 1000) < 0 && errno != EINTR) break;
        for (uint32_t i = 0; i < count && more; i++) {
            if (all[i].gone || polled[i].revents == 0) continue;
            more = worker_hear(many, &all[i]);
            if (!all[i].gone) continue;
            alive--;
            more = worker_end(many, &all[i]) && more;
        }
    }
}

bool tm_simulate_all(const tm_simulate_many *many) {
    static worker all[JOBS_MAX];
    tm_simulate_many own = *many;
    uint32_t count = 0;
    if (own.jobs > JOBS_MAX) own.jobs = JOBS_MAX;
    if (own.jobs > own.count) own.jobs = (uint32_t)own.count;
    while (count < own.jobs && worker_start(&own, all, count)) {
        count++;
    }
    if (count == own.jobs) workers_hear(&own, all, count);
    for (uint32_t i = 0; i < count; i++) { // the others are of no more use
        if (all[i].pid == 0) continue;
        (void)kill(all[i].pid, SIGKILL);
        (void)close(all[i].from);
        while (waitpid(all[i].pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    return count == own.jobs;
}
