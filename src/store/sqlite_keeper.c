// sqlite_keeper.c - see sqlite_internal.h: checkpoints, which move the write-ahead log
// into the database file.
//
// The keeper's thread moves in the background, which blocks nobody, but a log that is
// written to meanwhile is never moved to its end, and only then does it start again at
// its beginning. So when it has grown long, and the keeper has left little, the writer
// moves that little itself, between two commits.
#include "store/sqlite_internal.h"

// The log may grow so many times beyond wal_pages_max before the writer waits for the
// keeper and moves all that is left, however long that takes: the disk is slower than
// what is written to it.
#define PATIENCE 8u

// Whether a checkpoint failed for a reason that matters. Somebody reading an old state,
// a backup say, is none: the rest is moved the next time.
static bool matters(int rc) {
    return rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY &&
           (rc & 0xff) != SQLITE_LOCKED;
}

bool tm_keeper_run(tm_sqlite *s, tm_conn *conn) {
    if (!s->wal.wanted || s->dead != TM_OK) return false;
    s->wal.wanted = false;
    s->wal.running = true;
    pthread_mutex_unlock(&s->lock);
    int pages = 0, moved = 0;
    int rc = sqlite3_wal_checkpoint_v2(conn->db, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                       &pages, &moved);
    if (matters(rc)) (void)tm_sqlite_failed(s, conn, rc, "checkpoint");
    pthread_mutex_lock(&s->lock);
    s->wal.running = false;
    if (moved > 0) s->wal.moved = (uint64_t)moved;
    pthread_cond_signal(&s->to_writer);
    return true;
}

void *tm_keeper_main(void *store) {
    tm_sqlite *s = store;
    pthread_mutex_lock(&s->lock);
    while (!s->closing) {
        if (!tm_keeper_run(s, &s->keeper)) {
            pthread_cond_wait(&s->to_keeper, &s->lock);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

// Move the rest on the writer's own connection.
static void finish(tm_sqlite *s) {
    int pages = 0, moved = 0;
    int rc = sqlite3_wal_checkpoint_v2(s->writer.db, NULL,
                                       SQLITE_CHECKPOINT_PASSIVE, &pages, &moved);
    if (matters(rc)) (void)tm_sqlite_failed(s, &s->writer, rc, "checkpoint");
    if (moved <= 0) return;
    pthread_mutex_lock(&s->lock);
    s->wal.moved = (uint64_t)moved;
    pthread_mutex_unlock(&s->lock);
}

void tm_keeper_ask(tm_sqlite *s) {
    uint64_t pages = s->wal_now, most = s->tuning.wal_pages_max;
    pthread_mutex_lock(&s->lock);
    if (pages < s->wal.pages) { // it started again
        s->wal.moved = 0;
        s->wal_tried = 0;
    }
    s->wal.pages = pages;
    bool far = pages >= most * PATIENCE;
    while (far && s->wal.running) {
        pthread_cond_wait(&s->to_writer, &s->lock);
    }
    if (far) s->wal.wanted = false;
    uint64_t left = pages > s->wal.moved ? pages - s->wal.moved : 0;
    bool busy = s->wal.running || s->wal.wanted;
    // Where a reader keeps an old state, trying at every commit would help nobody.
    bool try_ = !busy && pages >= most &&
                pages >= s->wal_tried + s->tuning.wal_pages &&
                (far || left <= s->tuning.wal_pages);
    if (!busy && !try_ && left >= s->tuning.wal_pages) {
        s->wal.wanted = true;
        pthread_cond_signal(&s->to_keeper);
    }
    pthread_mutex_unlock(&s->lock);
    if (!try_) return;
    s->wal_tried = pages;
    finish(s);
}

void tm_keeper_empty(tm_sqlite *s) {
    int pages = 0, moved = 0;
    sqlite3_busy_timeout(s->writer.db, 0); // readers are not waited for
    int rc = sqlite3_wal_checkpoint_v2(s->writer.db, NULL,
                                       SQLITE_CHECKPOINT_TRUNCATE, &pages, &moved);
    sqlite3_busy_timeout(s->writer.db, (int)s->tuning.busy_ms);
    if (matters(rc)) (void)tm_sqlite_failed(s, &s->writer, rc, "checkpoint");
    s->active_us = tm_sqlite_now(s); // when to try again, if it was not possible
    if (rc != SQLITE_OK) return;
    s->wal_now = 0;
    pthread_mutex_lock(&s->lock);
    s->wal.pages = s->wal.moved = 0;
    pthread_mutex_unlock(&s->lock);
    tm_sqlite_point_reached(s, TM_POINT_EMPTIED);
}
