// sqlite_stepped.c - see sqlite.h: the store without threads, one step at a time, for a
// simulator: the same commits, slices and checkpoints on one connection, in an order that
// depends on nothing but what was asked and when.
//
// What a step completed is told by the poll after it, for in between a process can die:
// the batch is durable and nobody knows.
#include "store/sqlite_internal.h"

// Each look at the clock takes so long. It stands still while a slice runs, and a slice
// that took no time would have no end.
#define LOOK_US 50u

uint64_t tm_stepped_now(tm_sqlite *s) {
    uint64_t now = s->clock(s->clock_context);
    s->clock_us = now > s->clock_us ? now : s->clock_us + LOOK_US;
    return s->clock_us;
}

// The kinds of work, each in its turn, so that none keeps another waiting.
enum { STEP_COMMIT, STEP_READ, STEP_CHECKPOINT, STEP_SLICE, STEPS };

static bool work(tm_sqlite *s, unsigned kind) {
    bool filing_first = false;
    uint64_t at_us = UINT64_MAX;
    switch (kind) {
    case STEP_COMMIT:
        return tm_writer_commit(s, &filing_first);
    case STEP_READ:
        return tm_reader_run(s, &s->writer);
    case STEP_CHECKPOINT:
        return tm_keeper_run(s, &s->writer);
    default:
        return tm_writer_slice(s, tm_sqlite_now(s), &at_us);
    }
}

// One step of what is due. Under the lock, which it gives back meanwhile. false: nothing
// is.
static bool step(tm_sqlite *s) {
    for (unsigned i = 0; i < STEPS; i++) {
        unsigned kind = (s->step + i) % STEPS;
        if (!work(s, kind)) continue;
        s->step = (kind + 1) % STEPS;
        return true;
    }
    return false;
}

static uint64_t due_us(tm_sqlite *s) {
    uint64_t at_us = UINT64_MAX;
    bool now = s->completed.first != NULL || s->writes.first != NULL ||
               s->reads.first != NULL || (s->wal.wanted && s->dead == TM_OK);
    tm_due due = tm_writer_due(s, s->clock_us, &at_us);
    return now || due.chore || due.file || due.empty ? 0 : at_us;
}

static size_t stepped_poll(tm_store *store) {
    tm_sqlite *s = (tm_sqlite *)(void *)store;
    pthread_mutex_lock(&s->lock);
    size_t told = tm_sqlite_tell(s);
    pthread_mutex_lock(&s->lock);
    (void)step(s);
    if (due_us(s) == 0) s->wake_due = true;
    tm_sqlite_unlock(s);
    return told;
}

static size_t stepped_wait(tm_store *store) {
    tm_sqlite *s = (tm_sqlite *)(void *)store;
    pthread_mutex_lock(&s->lock);
    while (s->completed.first == NULL && s->outstanding > 0) {
        bool stepped = step(s);
        TM_ASSERT(stepped); // what is outstanding can always go on
    }
    return tm_sqlite_tell(s);
}

static tm_status stepped_lists(tm_store *store,
                               void (*each)(void *context, tm_key key,
                                            uint64_t head),
                               void *context) {
    tm_sqlite *s = (tm_sqlite *)(void *)store;
    return tm_lists_run(&s->writer, each, context);
}

void tm_stepped_start(tm_sqlite *s) {
    s->ops = *s->base.ops;
    s->ops.poll = stepped_poll;
    s->ops.wait = stepped_wait;
    s->ops.lists = stepped_lists;
    s->base.ops = &s->ops;
}

uint64_t tm_sqlite_due(tm_store *store) {
    tm_sqlite *s = (tm_sqlite *)(void *)store;
    pthread_mutex_lock(&s->lock);
    uint64_t at_us = due_us(s);
    pthread_mutex_unlock(&s->lock);
    return at_us;
}
