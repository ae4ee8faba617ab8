// The embedded store against sudden ends: killed at every call to the disk and at every
// step between two, and with the power cut, where what was not synced is lost or torn.
// A child tells through a pipe what was acknowledged; whatever happens to it, all of that
// is there when the database is opened again, once, without a hole, and nothing that
// nobody asked for.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drive.h"
#include "fault.h"
#include "scratch.h"
#include "t.h"
#include "watch.h"

#define NAME "crash.db"

enum { LISTS = 5, STEPS = 40, AT_ONCE = 3 };

// ---- what is told -------------------------------------------------------------------

typedef struct told {
    char what; // 'b' about to append up to `seq`, 'a' appended; 's', 'S' snapshots;
               // 't', 'T' trims; 'e' closed
    uint32_t list;
    uint64_t seq;
} told;

static int out = -1; // the child's end

static void tell(char what, size_t list, uint64_t seq) {
    told word = {0};
    word.what = what;
    word.list = (uint32_t)list;
    word.seq = seq;
    T_EQ(write(out, &word, sizeof word), sizeof word);
}

static size_t snapshot_len(uint64_t seq) { // some in three parts
    return seq % 4 == 0 ? 600000 : (size_t)seq * 10;
}

// ---- the child ----------------------------------------------------------------------

// A plan as the child's arguments: it is a program of its own, so that a failure in it
// ends it, and no thread is there at a fork.
typedef struct story {
    fault_plan plan;
    int point;       // kill when this point is reached ...
    uint64_t nth;    // ... for the nth time, 0 = never
    uint64_t random; // what is done
} story;

static story told_story;

static void at_point(watch *w, tm_point point) {
    if (told_story.nth == 0 || (int)point != told_story.point) return;
    if (watch_count(w, point) == told_story.nth) raise(SIGKILL);
}

typedef struct appending {
    tm_store_append request;
    drive_batch made;
    size_t list;
    bool done;
} appending;

static void appended(tm_store_append *request, tm_status status) {
    T_OK(status);
    appending *one = request->context;
    one->done = true;
    tell('a', one->list, request->batch.last_seq);
}

// Some appends to different lists at once, so that they share a commit.
static void child_append(tm_store *store, uint64_t *random, uint64_t heads[LISTS]) {
    appending all[AT_ONCE];
    uint64_t first = drive_random(random) % LISTS;
    for (size_t i = 0; i < AT_ONCE; i++) {
        appending *one = &all[i];
        one->list = (first + i) % LISTS;
        uint64_t *head = &heads[one->list],
                 last = *head + 1 + drive_random(random) % 3;
        if (drive_random(random) % 9 == 0) last += 200; // some tens of KiB
        one->made = drive_make(one->list, *head + 1, last);
        one->done = false;
        *head = last;
        tell('b', one->list, last);
    }
    for (size_t i = 0; i < AT_ONCE; i++) {
        all[i].request = (tm_store_append){.key = drive_key_n(all[i].list),
                                           .batch = all[i].made.batch,
                                           .done = appended,
                                           .context = &all[i]};
        tm_store_append_start(store, &all[i].request);
    }
    while (tm_store_wait(store) > 0) {
    }
    for (size_t i = 0; i < AT_ONCE; i++) {
        T_TRUE(all[i].done);
        drive_free(&all[i].made);
    }
}

static void child_save(tm_store *store, size_t list, uint64_t head) {
    if (head == 0) return;
    tell('s', list, head);
    uint8_t *bytes = drive_bytes(list + head, snapshot_len(head));
    T_OK(drive_save(store, drive_key_n(list), head,
                    (tm_span){bytes, snapshot_len(head)}));
    free(bytes);
    tell('S', list, head);
}

static void child_trim(tm_store *store, size_t list, uint64_t head) {
    if (head < 10) return;
    tell('t', list, head - 5);
    T_OK(drive_trim(store, drive_key_n(list), head - 5, UINT64_MAX, NULL));
    tell('T', list, head - 5);
}

static tm_sqlite_tuning eager(void) {
    tm_sqlite_tuning tuning = tm_sqlite_tuning_default;
    tuning.file_delay_ms = 0;
    tuning.slice_us = 200;
    tuning.wal_pages = 10;
    tuning.wal_pages_max = 30;
    tuning.idle_ms = 1;
    return tuning;
}

static void child(const char *path) {
    watch w = {.at = at_point};
    tm_sqlite_tuning tuning = eager();
    watch_begin(&w, &tuning);
    fault_install();
    fault_set(&told_story.plan);
    char problem[TM_PROBLEM_MAX];
    tm_sqlite_options options = {.path = path};
    uint64_t heads[LISTS] = {0}, random = told_story.random;
    tm_store *store = NULL;
    for (int turn = 0; turn < 2; turn++) { // closed and opened in the middle
        T_OK(tm_sqlite_open_tuned(&options, &tuning, &store, problem));
        for (int step = 0; step < STEPS / 2; step++) {
            size_t list = drive_random(&random) % LISTS;
            child_append(store, &random, heads);
            if (step % 4 == 3) child_save(store, list, heads[list]);
            if (step % 7 == 6) child_trim(store, list, heads[list]);
        }
        tm_store_close(store);
    }
    tell('e', 0, fault_count());
}

// ---- the parent ---------------------------------------------------------------------

typedef struct outcome {
    uint64_t begun[LISTS], acked[LISTS];
    uint64_t saving[LISTS], saved[LISTS];
    uint64_t trimming[LISTS];
    bool ended; // by itself
    uint64_t calls;
} outcome;

static const char *self;

static pid_t child_start(const story *s, int to) {
    char numbers[10][24];
    const uint64_t values[] = {(uint64_t)s->plan.kind,
                               (uint64_t)s->plan.calls,
                               (uint64_t)s->plan.files,
                               s->plan.at,
                               s->plan.seed,
                               (uint64_t)s->point,
                               s->nth,
                               s->random,
                               (uint64_t)to};
    char *arguments[COUNT(values) + 4] = {(char *)(uintptr_t)self, "child"};
    for (size_t i = 0; i < COUNT(values); i++) {
        snprintf(numbers[i], sizeof numbers[i], "%" PRIu64, values[i]);
        arguments[i + 2] = numbers[i];
    }
    arguments[COUNT(values) + 2] = (char *)(uintptr_t)scratch_path(NAME);
    pid_t pid = fork();
    T_TRUE(pid >= 0);
    if (pid == 0) {
        execv("/proc/self/exe", arguments);
        _exit(99);
    }
    return pid;
}

static outcome child_run(const story *s) {
    int ends[2];
    T_EQ(pipe(ends), 0);
    pid_t pid = child_start(s, ends[1]);
    close(ends[1]);
    outcome o = {.ended = false};
    for (told word; read(ends[0], &word, sizeof word) == sizeof word;) {
        size_t n = word.list;
        T_TRUE(n < LISTS);
        if (word.what == 'b') o.begun[n] = word.seq;
        if (word.what == 'a') o.acked[n] = word.seq;
        if (word.what == 's') o.saving[n] = word.seq;
        if (word.what == 'S') o.saved[n] = word.seq;
        if (word.what == 't') o.trimming[n] = word.seq;
        if (word.what == 'e') o.calls = word.seq;
        if (word.what == 'e') o.ended = true;
    }
    close(ends[0]);
    int status = 0;
    T_EQ(waitpid(pid, &status, 0), pid);
    if (!o.ended) T_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    if (o.ended) T_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return o;
}

static void check_list(tm_store *store, size_t n, const outcome *o) {
    tm_key key = drive_key_n(n);
    uint64_t from = 0, head = drive_all(store, key, n, &from);
    T_TRUE(head >= o->acked[n]); // all that was acknowledged
    T_TRUE(head <= o->begun[n]); // and nothing out of thin air
    T_TRUE(from <= o->trimming[n] + 1);
    drive_snapshot snapshot = drive_load(store, key);
    T_OK(snapshot.status);
    T_TRUE(snapshot.seq >= o->saved[n]);
    T_TRUE(snapshot.seq <= o->saving[n]);
    if (snapshot.seq > 0) {
        T_EQ(snapshot.len, snapshot_len(snapshot.seq));
        uint8_t *bytes = drive_bytes(n + snapshot.seq, snapshot.len);
        T_EQ(memcmp(snapshot.bytes, bytes, snapshot.len), 0);
        free(bytes);
    }
    free(snapshot.bytes);
}

static void check(const outcome *o) {
    static unsigned turn;
    if (!scratch_exists(NAME)) return; // it ended before the file was made
    tm_store *store = NULL;
    if (turn++ % 5 == 0 && o->acked[0] > 0) { // a look, before any daemon mends it
        store = scratch_open_read(NAME);
        for (size_t n = 0; n < LISTS; n++) {
            check_list(store, n, o);
        }
        tm_store_close(store);
    }
    tm_sqlite_tuning tuning = eager();
    watch w = {.at = NULL};
    watch_begin(&w, &tuning);
    store = scratch_open(NAME, &tuning);
    for (size_t n = 0; n < LISTS; n++) {
        check_list(store, n, o);
        uint64_t head = drive_all(store, drive_key_n(n), n, NULL);
        T_OK(drive_append(store, drive_key_n(n), n, head + 1, head + 1));
    }
    watch_for(&w, TM_POINT_DELETED, 1); // all that was left behind is filed
    for (size_t n = 0; n < LISTS; n++) {
        (void)drive_all(store, drive_key_n(n), n, NULL);
    }
    tm_store_close(store);
    watch_end(&w);
    T_TEXT(t_str(scratch_sql(NAME, "PRAGMA integrity_check")), "ok");
    // What a crash left of a snapshot is gone, and no part is named by nobody.
    T_TEXT(
        t_str(scratch_sql(NAME, "SELECT count(*) FROM parts WHERE NOT EXISTS ("
                                "SELECT 1 FROM snapshots s WHERE parts.id BETWEEN "
                                "s.first_part AND s.first_part + s.parts - 1) AND "
                                "NOT EXISTS (SELECT 1 FROM loose_parts l WHERE "
                                "parts.id BETWEEN l.first_part AND "
                                "l.first_part + l.parts - 1)")),
        "0");
}

static char row[96];

static outcome run(const story *s) {
    snprintf(row, sizeof row,
             "kind %d at %" PRIu64 " seed %" PRIu64 " point %d/%" PRIu64
             " story %" PRIu64,
             (int)s->plan.kind, s->plan.at, s->plan.seed, s->point, s->nth,
             s->random);
    t_row = row;
    scratch_remove(NAME);
    outcome o = child_run(s);
    check(&o);
    return o;
}

static const int every_call = FAULT_WRITE | FAULT_SYNC | FAULT_TRUNCATE;

static uint64_t calls_of(uint64_t random) {
    story s = {.plan = {.kind = FAULT_FAIL,
                        .calls = every_call,
                        .files = FAULT_ANY,
                        .at = UINT64_MAX},
               .random = random};
    outcome o = run(&s);
    T_TRUE(o.ended);
    T_TRUE(o.calls > 100);
    return o.calls;
}

static void killed_at_every_call(void **state) {
    (void)state;
    uint64_t calls = calls_of(1), step = calls * SCRATCH_THRIFT / 140 + 1;
    for (uint64_t at = 1; at <= calls; at += at * SCRATCH_THRIFT < 60 ? 1 : step) {
        story s = {.plan = {.kind = FAULT_KILL,
                            .calls = every_call,
                            .files = FAULT_ANY,
                            .at = at},
                   .random = 1 + at % 3};
        (void)run(&s);
    }
}

static void killed_at_every_point(void **state) {
    (void)state;
    for (int point = 0; point < TM_POINT_COUNT; point++) {
        for (uint64_t nth = 1; nth <= 8; nth += SCRATCH_THRIFT) {
            story s = {.point = point, .nth = nth, .random = nth};
            (void)run(&s);
        }
    }
}

static void power_cut_at_any_call(void **state) {
    (void)state;
    uint64_t calls = calls_of(2), dice = 7;
    for (uint64_t seed = 1; seed <= 200 / SCRATCH_THRIFT; seed++) {
        story s = {.plan = {.kind = FAULT_POWER,
                            .calls = every_call,
                            .files = FAULT_ANY,
                            .at = 1 + drive_random(&dice) % calls,
                            .seed = seed},
                   .random = seed % 5};
        (void)run(&s);
    }
}

int main(int argc, char **argv) {
    if (argc > 10 && strcmp(argv[1], "child") == 0) {
        uint64_t n[9];
        for (size_t i = 0; i < COUNT(n); i++) {
            n[i] = strtoull(argv[i + 2], NULL, 10);
        }
        told_story = (story){{.kind = (fault_kind)n[0],
                              .calls = (int)n[1],
                              .files = (int)n[2],
                              .at = n[3],
                              .seed = n[4]},
                             (int)n[5],
                             n[6],
                             n[7]};
        out = (int)n[8];
        child(argv[11]);
        return 0;
    }
    self = argv[0];
    scratch_in_memory();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_every_call),
        cmocka_unit_test(killed_at_every_point),
        cmocka_unit_test(power_cut_at_any_call),
    };
    return cmocka_run_group_tests_name("sudden ends", tests, NULL, NULL);
}
