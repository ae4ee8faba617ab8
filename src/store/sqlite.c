// sqlite.c - see sqlite.h: opening, closing, and the way of a request.
//
// A request goes to the thread that serves it and comes back in `completed`. Appends,
// reads and loads of one list first stand in their place's queue, and are under way a
// phase at a time: either appends, or reads and loads. So each read shows what was
// appended before it was made and nothing later, and they complete in order, while
// different lists do not wait for each other.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "store/sqlite_internal.h"

const tm_sqlite_tuning tm_sqlite_tuning_default = {
    .file_delay_ms =
        2000, // a lone edit costs its own commit, then two more for all of
              // its two seconds
    .file_rows = 4096,
    .file_first = 1000000, // their places in memory: 32 MB
    .slice_us = 5000,      // DESIGN 5
    .busy_ms = 1000,
    .retry_ms = 1000,
    .idle_ms = 5000,
    .wal_pages = 1000,     // 4 MiB, SQLite's own habit
    .wal_pages_max = 8192, // 32 MiB
};

uint64_t tm_clock_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t tm_sqlite_now(tm_sqlite *s) {
    return s->clock != NULL ? tm_stepped_now(s) : tm_clock_us();
}

// A simulated list is small and its days are short: what in life comes after megabytes
// or seconds comes early, so that every step of it is met.
const tm_sqlite_tuning tm_sqlite_tuning_stepped = {
    .file_delay_ms = 500,
    .file_rows = 64,
    .file_first = 1000000,
    .slice_us = 1000, // ten rows
    .busy_ms = 100,
    .retry_ms = 1000,
    .idle_ms = 3000,
    .wal_pages = 40,
    .wal_pages_max = 120,
};

// ---- what the threads share ---------------------------------------------------------

void tm_sqlite_point_reached(tm_sqlite *s, tm_point point) {
    if (s->tuning.point != NULL) s->tuning.point(s->tuning.point_context, point);
}

void tm_sqlite_unlock(tm_sqlite *s) {
    bool wake = s->wake_due;
    s->wake_due = false;
    pthread_mutex_unlock(&s->lock);
    // Outside the lock: the host may hold one of its own when it calls us.
    if (wake && s->base.wake != NULL) s->base.wake(s->base.wake_context);
}

void tm_sqlite_wait(tm_sqlite *s, uint64_t until_us) {
    if (until_us == UINT64_MAX) {
        pthread_cond_wait(&s->to_writer, &s->lock);
        return;
    }
    struct timespec until = {(time_t)(until_us / 1000000),
                             (long)(until_us % 1000000) * 1000};
    pthread_cond_timedwait(&s->to_writer, &s->lock, &until);
}

bool tm_sqlite_dead(tm_sqlite *s) {
    pthread_mutex_lock(&s->lock);
    bool dead = s->dead != TM_OK;
    pthread_mutex_unlock(&s->lock);
    return dead;
}

tm_status tm_sqlite_failed(tm_sqlite *s, const tm_conn *conn, int rc,
                           const char *what) {
    tm_fate fate = tm_conn_fate(conn, rc);
    char why[TM_PROBLEM_MAX];
    tm_conn_tell(conn, rc, what, why);
    pthread_mutex_lock(&s->lock);
    if (s->dead == TM_OK) { // the first cause is the one to tell
        memcpy(s->why, why, sizeof why);
        if (fate == TM_FATE_IO) s->dead = TM_E_IO;
        if (fate == TM_FATE_CORRUPT) s->dead = TM_E_CORRUPT;
    }
    pthread_mutex_unlock(&s->lock);
    return fate == TM_FATE_AGAIN ? TM_E_AGAIN : TM_E_UNSURE;
}

void tm_sqlite_committed(tm_sqlite *s) {
    s->active_us = tm_sqlite_now(s);
    pthread_mutex_lock(&s->lock);
    s->stats.commits++;
    if (s->dead == TM_OK) s->why[0] = '\0';
    pthread_mutex_unlock(&s->lock);
    tm_keeper_ask(s);
}

// ---- the way of a request -----------------------------------------------------------

void tm_sqlite_complete(tm_sqlite *s, tm_store_own *own) {
    tm_status status = own->status;
    if (status == TM_E_AGAIN || status == TM_E_UNSURE || status == TM_E_IO) {
        s->stats.failures++;
    }
    if (s->completed.first == NULL) s->wake_due = true;
    tm_queue_push(&s->completed, own);
    pthread_cond_signal(&s->to_caller);
}

static bool is_reading(const tm_store_own *own) {
    return own->kind != TM_REQUEST_APPEND;
}

// Let go what may go: from the first, all that are of its phase.
static void place_pump(tm_sqlite *s, tm_place *place) {
    tm_store_own *own = place->first;
    for (size_t i = 0; i < place->active; i++) {
        own = own->after;
    }
    for (; own != NULL; own = own->after) {
        if (place->active == 0) place->reading = is_reading(own);
        if (is_reading(own) != place->reading) break;
        place->active++;
        if (place->reading) {
            own->result = tm_job_new(s, place, own);
            tm_queue_push(&s->reads, own);
            pthread_cond_signal(&s->to_reader);
        } else {
            tm_queue_push(&s->writes, own);
            pthread_cond_signal(&s->to_writer);
        }
    }
}

void tm_sqlite_finish(tm_sqlite *s, tm_store_own *own) {
    tm_place *place = own->place;
    TM_ASSERT(place->first == own && place->active > 0);
    place->first = own->after;
    if (place->first == NULL) place->last = NULL;
    place->active--;
    tm_sqlite_complete(s, own);
    if (place->active == 0) place_pump(s, place);
    tm_place_settle(s, place);
}

static void start(tm_store *store, tm_store_own *own, tm_request kind) {
    tm_sqlite *s = (tm_sqlite *)(void *)store;
    *own = (tm_store_own){.kind = (int)kind};
    pthread_mutex_lock(&s->lock);
    s->outstanding++;
    tm_place *place = tm_place_get(s, tm_request_key(own));
    own->place = place;
    if (place == NULL) {
        own->status = is_reading(own) ? TM_E_NOMEM : TM_E_AGAIN;
        if (kind == TM_REQUEST_SAVE || kind == TM_REQUEST_TRIM) {
            own->status = TM_E_AGAIN;
        }
        tm_sqlite_complete(s, own);
    } else if (kind == TM_REQUEST_SAVE || kind == TM_REQUEST_TRIM) {
        place->pins++;
        tm_queue_push(&s->chores, own);
        pthread_cond_signal(&s->to_writer);
    } else {
        tm_store_own *last = place->last;
        *(last != NULL ? &last->after : &place->first) = own;
        place->last = own;
        place_pump(s, place);
    }
    if (s->clock != NULL) s->wake_due = true; // there is no thread to do it
    tm_sqlite_unlock(s);
}

static void sqlite_append(tm_store *store, tm_store_append *request) {
    start(store, &request->own, TM_REQUEST_APPEND);
}

static void sqlite_read(tm_store *store, tm_store_read *request) {
    start(store, &request->own, TM_REQUEST_READ);
}

static void sqlite_load(tm_store *store, tm_store_load *request) {
    start(store, &request->own, TM_REQUEST_LOAD);
}

static void sqlite_save(tm_store *store, tm_store_save *request) {
    start(store, &request->own, TM_REQUEST_SAVE);
}

static void sqlite_trim(tm_store *store, tm_store_trim *request) {
    start(store, &request->own, TM_REQUEST_TRIM);
}

static void tell(tm_sqlite *s, tm_store_own *own) {
    switch ((tm_request)own->kind) {
    case TM_REQUEST_APPEND: {
        tm_store_append *request = TM_REQUEST_OF(tm_store_append, own);
        request->done(request, own->status);
        break;
    }
    case TM_REQUEST_READ:
    case TM_REQUEST_LOAD:
        tm_job_done(s, own);
        break;
    case TM_REQUEST_SAVE: {
        tm_store_save *request = TM_REQUEST_OF(tm_store_save, own);
        request->done(request, own->status);
        break;
    }
    case TM_REQUEST_TRIM: {
        tm_store_trim *request = TM_REQUEST_OF(tm_store_trim, own);
        request->done(request, own->status, own->number);
        break;
    }
    }
}

static void count(tm_sqlite *s, tm_store_own *own) {
    switch ((tm_request)own->kind) {
    case TM_REQUEST_APPEND: // counted where it was stored
        break;
    case TM_REQUEST_READ:
        s->stats.reads++;
        break;
    case TM_REQUEST_LOAD:
        s->stats.loads++;
        break;
    case TM_REQUEST_SAVE:
        s->stats.saves++;
        break;
    case TM_REQUEST_TRIM:
        s->stats.trims++;
        break;
    }
}

size_t tm_sqlite_tell(tm_sqlite *s) {
    tm_queue now = s->completed;
    s->completed = (tm_queue){NULL, NULL};
    s->wake_due = false;
    size_t told = 0;
    for (tm_store_own *own = now.first; own != NULL; own = own->next) {
        count(s, own);
        told++;
    }
    s->outstanding -= told;
    pthread_mutex_unlock(&s->lock);
    for (tm_store_own *own; (own = tm_queue_pop(&now)) != NULL;) {
        tell(s, own);
    }
    return told;
}

static size_t sqlite_poll(tm_store *store) {
    tm_sqlite *s = (tm_sqlite *)(void *)store;
    pthread_mutex_lock(&s->lock);
    return tm_sqlite_tell(s);
}

static size_t sqlite_wait(tm_store *store) {
    tm_sqlite *s = (tm_sqlite *)(void *)store;
    pthread_mutex_lock(&s->lock);
    while (s->completed.first == NULL && s->outstanding > 0) {
        pthread_cond_wait(&s->to_caller, &s->lock);
    }
    return tm_sqlite_tell(s);
}

// ---- the rest of the contract -------------------------------------------------------

static tm_status sqlite_lists(tm_store *store,
                              void (*each)(void *context, tm_key key,
                                           uint64_t head),
                              void *context) {
    tm_sqlite *s = (tm_sqlite *)(void *)store;
    char problem[TM_PROBLEM_MAX];
    tm_conn conn = {0}; // the caller's thread has none of its own
    tm_status status =
        tm_sqlite_connect(s, &conn, TM_CONN_READ, s->tuning.busy_ms, problem);
    if (status == TM_OK) status = tm_conn_prepare(&conn, problem);
    if (status == TM_OK) status = tm_lists_run(&conn, each, context);
    tm_conn_close(&conn, false);
    return status;
}

static tm_status sqlite_health(tm_store *store, tm_span *why) {
    tm_sqlite *s = (tm_sqlite *)(void *)store;
    pthread_mutex_lock(&s->lock);
    tm_status status = s->dead;
    memcpy(s->told, s->why, sizeof s->told);
    pthread_mutex_unlock(&s->lock);
    *why = (tm_span){(const uint8_t *)s->told, strlen(s->told)};
    return status;
}

static void sqlite_stats(tm_store *store, tm_store_stats *stats) {
    tm_sqlite *s = (tm_sqlite *)(void *)store;
    pthread_mutex_lock(&s->lock);
    *stats = s->stats;
    pthread_mutex_unlock(&s->lock);
}

void tm_sqlite_free(tm_sqlite *s) {
    bool checkpoint = s->dead == TM_OK;
    // Of a log that could not be synced not a byte is moved or cut: the next start reads
    // what is there, and finds out what is whole.
    tm_conn_close(&s->reader, false);
    tm_conn_close(&s->keeper, false);
    tm_conn_close(&s->writer, checkpoint);
    tm_places_free(s);
    tm_alloc_put(s->alloc, s->pass, s->pass_cap * sizeof *s->pass);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->to_writer);
    pthread_cond_destroy(&s->to_reader);
    pthread_cond_destroy(&s->to_keeper);
    pthread_cond_destroy(&s->to_caller);
    sqlite3_free(s->path);
    sqlite3_free(s->vfs);
    if (s->lock_fd >= 0) close(s->lock_fd);
    tm_alloc_put(s->alloc, s, sizeof *s);
}

static void threads_stop(tm_sqlite *s) {
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_broadcast(&s->to_writer);
    pthread_cond_broadcast(&s->to_reader);
    pthread_cond_broadcast(&s->to_keeper);
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < s->thread_count; i++) {
        pthread_join(s->threads[i], NULL);
    }
}

static void sqlite_close(tm_store *store) {
    tm_sqlite *s = (tm_sqlite *)(void *)store;
    while (tm_store_wait(store) > 0) {
    }
    threads_stop(s);
    if (s->dead == TM_OK) tm_keeper_empty(s);
    tm_sqlite_free(s);
}

static const tm_store_ops sqlite_ops = {
    .append = sqlite_append,
    .read = sqlite_read,
    .load = sqlite_load,
    .save = sqlite_save,
    .trim = sqlite_trim,
    .poll = sqlite_poll,
    .wait = sqlite_wait,
    .lists = sqlite_lists,
    .health = sqlite_health,
    .stats = sqlite_stats,
    .close = sqlite_close,
};

// ---- opening ------------------------------------------------------------------------

static void *heap_resize(void *context, void *ptr, size_t old_size,
                         size_t new_size) {
    (void)context;
    (void)old_size;
    if (new_size > 0) return realloc(ptr, new_size);
    free(ptr);
    return NULL;
}

static const tm_alloc heap = {heap_resize, NULL};

static tm_sqlite *sqlite_new(const tm_sqlite_tuning *tuning) {
    const tm_alloc *alloc = tuning->alloc != NULL ? tuning->alloc : &heap;
    tm_sqlite *s = tm_alloc_get(alloc, sizeof *s);
    if (s == NULL) return NULL;
    s->base.ops = &sqlite_ops;
    s->tuning = *tuning;
    s->alloc = alloc;
    s->lock_fd = -1;
    s->delete_rows = 64; // what fits is found out from here
    s->loose = true;     // a crash may have left some
    tm_seed seed = {0, 0};
    sqlite3_randomness(sizeof seed, &seed);
    tm_table_init(&s->places, alloc, seed);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->to_writer, &monotonic);
    pthread_cond_init(&s->to_reader, NULL);
    pthread_cond_init(&s->to_keeper, NULL);
    pthread_cond_init(&s->to_caller, NULL);
    pthread_condattr_destroy(&monotonic);
    return s;
}

// Write the log's bytes where they stand, and sync them. What was read back from it may be
// in the page cache alone, where a failed fsync left it looking clean, so that a sync
// passes over it; and a log of which the disk has only the beginning would, after a power
// cut, be played over a database that has all of it.
static int log_renew(sqlite3_file *log) {
    uint8_t bytes[16384];
    sqlite3_int64 size = 0;
    int rc = log->pMethods->xFileSize(log, &size);
    for (sqlite3_int64 at = 0; rc == SQLITE_OK && at < size;) {
        sqlite3_int64 left = size - at;
        int len =
            left < (sqlite3_int64)sizeof bytes ? (int)left : (int)sizeof bytes;
        rc = log->pMethods->xRead(log, bytes, len, at);
        if (rc == SQLITE_OK) rc = log->pMethods->xWrite(log, bytes, len, at);
        at += len;
    }
    if (rc != SQLITE_OK || size == 0) return rc;
    return log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
}

// The log of a daemon that was killed, or whose disk failed, is made durable and moved into
// the database before anybody builds on it. While somebody reads an old state it cannot be
// moved; then it stays where it is.
static tm_status log_recover(tm_sqlite *s, char problem[TM_PROBLEM_MAX]) {
    sqlite3_file *log = NULL;
    int rc =
        tm_conn_run(&s->writer, TM_SQL_BEGIN_WRITE); // nobody writes into it now
    if (rc == SQLITE_OK) {
        rc = sqlite3_file_control(s->writer.db, "main",
                                  SQLITE_FCNTL_JOURNAL_POINTER, &log);
    }
    if (rc == SQLITE_OK && log->pMethods != NULL) rc = log_renew(log);
    tm_conn_rollback(&s->writer);
    if (rc == SQLITE_OK) {
        rc = sqlite3_wal_checkpoint_v2(s->writer.db, NULL,
                                       SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        if ((rc & 0xff) == SQLITE_BUSY) rc = SQLITE_OK;
    }
    if (rc == SQLITE_OK) return TM_OK;
    tm_conn_tell(&s->writer, rc, "the write-ahead log cannot be moved", problem);
    return tm_conn_unopened(&s->writer, rc);
}

static int on_wal(void *context, sqlite3 *db, const char *name, int pages) {
    (void)db;
    (void)name;
    ((tm_sqlite *)context)->wal_now = (uint64_t)pages;
    return SQLITE_OK;
}

static tm_status writer_open(tm_sqlite *s, char problem[TM_PROBLEM_MAX]) {
    bool empty = false;
    tm_conn *writer = &s->writer;
    tm_status status =
        tm_sqlite_connect(s, writer, TM_CONN_WRITE, s->tuning.busy_ms, problem);
    if (status == TM_OK) status = tm_schema_check(writer, &empty, problem);
    if (status == TM_OK) status = tm_conn_durable(writer, problem);
    if (status == TM_OK && empty) status = tm_schema_create(writer, problem);
    if (status == TM_OK) status = tm_conn_prepare(writer, problem);
    if (status == TM_OK) status = log_recover(s, problem);
    if (status == TM_OK) status = tm_check_start(writer, problem);
    if (status == TM_OK) status = tm_place_load(s, writer, problem);
    if (status != TM_OK) return status;
    int rc = tm_conn_number(writer, TM_SQL_PART_NEXT, &s->part_next);
    sqlite3_wal_hook(writer->db, on_wal, s);
    if (rc == SQLITE_ROW) return TM_OK;
    tm_conn_tell(writer, rc, "the snapshots cannot be read", problem);
    return tm_conn_unopened(writer, rc);
}

tm_status tm_sqlite_connect(tm_sqlite *s, tm_conn *conn, tm_conn_mode mode,
                            uint32_t busy_ms, char problem[TM_PROBLEM_MAX]) {
    return tm_conn_open(conn, s->path, s->vfs, mode, busy_ms, problem);
}

static tm_status others_open(tm_sqlite *s, char problem[TM_PROBLEM_MAX]) {
    uint32_t busy_ms = s->tuning.busy_ms;
    tm_status status = tm_sqlite_connect(s, &s->keeper, TM_CONN_WRITE, 0, problem);
    if (status == TM_OK) status = tm_conn_durable(&s->keeper, problem);
    if (status == TM_OK) {
        status = tm_sqlite_connect(s, &s->reader, TM_CONN_READ, busy_ms, problem);
    }
    if (status == TM_OK) status = tm_conn_prepare(&s->reader, problem);
    return status;
}

static tm_status threads_start(tm_sqlite *s, char problem[TM_PROBLEM_MAX]) {
    static void *(*const mains[])(void *) = {tm_writer_main, tm_reader_main,
                                             tm_keeper_main};
    sigset_t all, before;
    sigfillset(&all); // signals are the host's
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = 0;
    while (error == 0 && s->thread_count < 3) {
        error = pthread_create(&s->threads[s->thread_count], NULL,
                               mains[s->thread_count], s);
        if (error == 0) s->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) return TM_OK;
    snprintf(problem, TM_PROBLEM_MAX, "cannot start a thread: %s", strerror(error));
    threads_stop(s);
    return TM_E_NOMEM;
}

static tm_status file_take(tm_sqlite *s, char problem[TM_PROBLEM_MAX]) {
    tm_status status = tm_file_local(s->path, problem);
    if (status == TM_OK) status = tm_lock_take(s->path, &s->lock_fd, problem);
    return status == TM_OK ? tm_file_create(s->path, false, problem) : status;
}

static tm_status writable_open(tm_sqlite *s, char problem[TM_PROBLEM_MAX]) {
    tm_status status = s->vfs == NULL ? file_take(s, problem) : TM_OK;
    if (status == TM_OK) status = writer_open(s, problem);
    if (status == TM_OK && s->clock != NULL) {
        tm_stepped_start(s);
        return TM_OK;
    }
    if (status == TM_OK) status = others_open(s, problem);
    return status == TM_OK ? threads_start(s, problem) : status;
}

static tm_status options_take(tm_sqlite *s, const tm_sqlite_options *options,
                              char problem[TM_PROBLEM_MAX]) {
    s->clock = options->now_us;
    s->clock_context = options->now_context;
    if (options->vfs != NULL) {
        s->vfs = sqlite3_mprintf("%s", options->vfs);
        if (s->vfs == NULL) return TM_E_NOMEM;
    }
    return tm_path_resolve(options->path, s->vfs, &s->path, problem);
}

tm_status tm_sqlite_open_tuned(const tm_sqlite_options *options,
                               const tm_sqlite_tuning *tuning, tm_store **store,
                               char problem[TM_PROBLEM_MAX]) {
    problem[0] = '\0';
    if (sqlite3_threadsafe() == 0) {
        snprintf(problem, TM_PROBLEM_MAX, "this build of SQLite knows no threads");
        return TM_E_STATE;
    }
    tm_sqlite *s = sqlite_new(tuning);
    tm_status status = s == NULL ? TM_E_NOMEM : TM_OK;
    if (status == TM_OK) status = options_take(s, options, problem);
    if (status == TM_OK) {
        status = options->read_only ? tm_readonly_open(s, problem)
                                    : writable_open(s, problem);
    }
    if (status == TM_OK) {
        *store = &s->base;
        return TM_OK;
    }
    if (problem[0] == '\0') snprintf(problem, TM_PROBLEM_MAX, "out of memory");
    // A log that could not be made durable is not played into the database at closing: its
    // removal could be undone by a power cut, and what then stood there be played again.
    if (s != NULL) s->dead = status;
    if (s != NULL) tm_sqlite_free(s);
    return status;
}

tm_status tm_sqlite_open(const tm_sqlite_options *options, tm_store **store,
                         char problem[256]) {
    return tm_sqlite_open_tuned(options,
                                options->now_us != NULL ? &tm_sqlite_tuning_stepped
                                                        : &tm_sqlite_tuning_default,
                                store, problem);
}
