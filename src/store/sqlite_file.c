// sqlite_file.c - see sqlite_internal.h: filing the journal by list, and deleting what
// was filed.
//
// Filing goes by passes. A pass takes all lists that have a tail, in the order of their
// ids, which is the order of `batches`: rows of one list land in one page, neighbours in
// the next, and the more backlog there is the cheaper a row gets (measured: 24,000 rows/s
// when 500 rows are sorted at a time, 125,000 with 65,536). After a pass the journal is
// empty up to the first row that came meanwhile, and that range is deleted.
#include <stdlib.h>

#include "store/sqlite_internal.h"

void tm_file_dirty(tm_sqlite *s, tm_place *place) {
    if (place->dirty) return;
    place->dirty = true;
    place->dirty_n = place->refs[place->from].n;
    place->next_dirty = NULL;
    if (s->dirty_last == NULL) {
        s->dirty_first = place;
        s->dirty_since_us = tm_sqlite_now(s);
    } else {
        s->dirty_last->next_dirty = place;
    }
    s->dirty_last = place;
}

static tm_place *dirty_pop(tm_sqlite *s) { // NULL: there is none
    tm_place *place = s->dirty_first;
    if (place == NULL) return NULL;
    s->dirty_first = place->next_dirty;
    if (s->dirty_first == NULL) s->dirty_last = NULL;
    return place;
}

bool tm_file_due(const tm_sqlite *s, uint64_t now_us, uint64_t *at_us) {
    uint64_t at = 0;
    if (s->tuning.file_delay_ms == UINT32_MAX) return false;
    if (s->pass_at == s->pass_count && s->journal_low >= s->journal_below) {
        if (s->dirty_first == NULL) return false;
        at = s->dirty_since_us + s->tuning.file_delay_ms * UINT64_C(1000);
        if (s->stats.backlog >= s->tuning.file_rows) at = 0;
    }
    if (at < s->retry_at_us) at = s->retry_at_us;
    if (at <= now_us) return true;
    if (at < *at_us) *at_us = at;
    return false;
}

// A slice failed: nothing has moved. It is tried again a while later, or never.
static void failed(tm_sqlite *s, int rc, const char *what) {
    tm_conn_rollback(&s->writer);
    (void)tm_sqlite_failed(s, &s->writer, rc, what);
    s->retry_at_us = tm_sqlite_now(s) + s->tuning.retry_ms * UINT64_C(1000);
}

// ---- deleting -----------------------------------------------------------------------

// The statement itself looks whether a row is filed, so no mistake of ours in the memory
// can delete an edit; should one stay, the memory is wrong and we stop.
static void delete_slice(tm_sqlite *s) {
    uint64_t below = s->journal_low + s->delete_rows;
    if (below > s->journal_below) below = s->journal_below;
    int rc = tm_conn_run(&s->writer, TM_SQL_BEGIN_WRITE);
    if (rc == SQLITE_OK) {
        rc = tm_bind_u64(tm_conn_stmt(&s->writer, TM_SQL_JOURNAL_DELETE), 1, below);
    }
    uint64_t began = tm_sqlite_now(s), first = 0;
    if (rc == SQLITE_OK) rc = tm_conn_run(&s->writer, TM_SQL_JOURNAL_DELETE);
    uint64_t took_us = tm_sqlite_now(s) - began;
    if (rc == SQLITE_OK) {
        rc = tm_conn_number(&s->writer, TM_SQL_JOURNAL_FIRST, &first);
        if (rc == SQLITE_ROW) rc = SQLITE_OK;
    }
    if (rc == SQLITE_OK && first > 0 && first < below) rc = SQLITE_CORRUPT;
    if (rc == SQLITE_OK) rc = tm_conn_run(&s->writer, TM_SQL_COMMIT);
    if (rc != SQLITE_OK) {
        failed(s, rc, "emptying the journal");
        return;
    }
    s->journal_low = below;
    tm_sqlite_committed(s);
    tm_sqlite_point_reached(s, TM_POINT_DELETED);
    // Rows are of any size: find out how many fit. The commit's own time is not counted
    // here nor in slice_end: on a disk that takes 10 ms for a sync no slice is short,
    // and small ones would only be many.
    if (took_us > s->tuning.slice_us / 2 && s->delete_rows > 8) {
        s->delete_rows /= 2;
    } else if (took_us < s->tuning.slice_us / 8 && s->delete_rows < 8192) {
        s->delete_rows *= 2;
    }
}

// ---- filing -------------------------------------------------------------------------

static int by_id(const void *a, const void *b) {
    uint64_t x = (*(tm_place *const *)a)->id, y = (*(tm_place *const *)b)->id;
    return (x > y) - (x < y);
}

static bool pass_begin(tm_sqlite *s) { // false: out of memory
    if (s->pass_cap == 0) {
        s->pass = tm_alloc_get(s->alloc, TM_PASS_PLACES_MAX * sizeof *s->pass);
        if (s->pass == NULL) return false;
        s->pass_cap = TM_PASS_PLACES_MAX;
    }
    s->pass_at = s->pass_count = 0;
    while (s->pass_count < s->pass_cap && s->dirty_first != NULL) {
        s->pass[s->pass_count++] = dirty_pop(s);
    }
    qsort(s->pass, s->pass_count, sizeof *s->pass, by_id);
    s->dirty_since_us = tm_sqlite_now(s); // of those that are left, and will come
    return true;
}

void tm_file_passed(tm_sqlite *s) {
    // A place's rows are all at or above its dirty_n, and that grows along the queue.
    s->journal_below =
        s->dirty_first == NULL ? s->journal_next : s->dirty_first->dirty_n;
}

// Until when a slice may insert: half of its time, for the commit writes the pages.
static uint64_t slice_end(tm_sqlite *s) {
    return tm_sqlite_now(s) + s->tuning.slice_us / 2;
}

// File the oldest rows of the place that are still in the journal; place->moving counts.
static int file_rows(tm_sqlite *s, tm_place *place, uint64_t until_us) {
    sqlite3_stmt *file = tm_conn_stmt(&s->writer, TM_SQL_FILE);
    do {
        if (place->moving == place->count) break;
        const tm_ref *ref = &place->refs[place->from + place->moving];
        int rc = tm_bind_u64(file, 1, ref->n);
        if (rc == SQLITE_OK) rc = tm_conn_run(&s->writer, TM_SQL_FILE);
        if (rc == SQLITE_OK && sqlite3_changes(s->writer.db) != 1) {
            rc = SQLITE_CORRUPT; // the journal lost it
        }
        if (rc != SQLITE_OK) return rc;
        place->moving++;
    } while (tm_sqlite_now(s) < until_us); // a slice files one row at least
    return SQLITE_OK;
}

static void move(tm_sqlite *s, tm_place *place) { // under the lock
    tm_place_drop(s, place, place->moving);
    place->moving = 0;
}

static void file_slice(tm_sqlite *s) {
    uint64_t until_us = slice_end(s);
    size_t end = s->pass_at;
    int rc = tm_conn_run(&s->writer, TM_SQL_BEGIN_WRITE);
    while (rc == SQLITE_OK && end < s->pass_count) {
        rc = file_rows(s, s->pass[end], until_us);
        if (rc != SQLITE_OK || s->pass[end]->moving < s->pass[end]->count) break;
        end++;
        if (tm_sqlite_now(s) >= until_us) break;
    }
    if (rc == SQLITE_OK) rc = tm_conn_run(&s->writer, TM_SQL_COMMIT);
    if (rc != SQLITE_OK) {
        failed(s, rc, "filing");
        for (size_t i = s->pass_at; i < s->pass_count && i <= end; i++) {
            s->pass[i]->moving = 0;
        }
        return;
    }
    tm_sqlite_committed(s);
    tm_sqlite_point_reached(s, TM_POINT_FILED);
    pthread_mutex_lock(&s->lock);
    if (end < s->pass_count) move(s, s->pass[end]);
    for (; s->pass_at < end; s->pass_at++) {
        tm_place *place = s->pass[s->pass_at];
        move(s, place);
        place->dirty = false;
        tm_place_settle(s, place);
    }
    tm_sqlite_unlock(s);
    tm_sqlite_point_reached(s, TM_POINT_MOVED);
    if (s->pass_at == s->pass_count) tm_file_passed(s);
}

void tm_file_slice(tm_sqlite *s) {
    if (s->pass_at == s->pass_count) {
        if (s->journal_low < s->journal_below) {
            delete_slice(s);
            return;
        }
        if (!pass_begin(s)) {
            failed(s, SQLITE_NOMEM, "filing");
            return;
        }
    }
    file_slice(s);
}

int tm_file_place(tm_sqlite *s, tm_place *place) {
    uint64_t until_us = slice_end(s);
    int rc = tm_conn_run(&s->writer, TM_SQL_BEGIN_WRITE);
    if (rc == SQLITE_OK) rc = file_rows(s, place, until_us);
    if (rc == SQLITE_OK) rc = tm_conn_run(&s->writer, TM_SQL_COMMIT);
    if (rc != SQLITE_OK) {
        place->moving = 0;
        return rc;
    }
    tm_sqlite_committed(s);
    tm_sqlite_point_reached(s, TM_POINT_FILED);
    pthread_mutex_lock(&s->lock);
    move(s, place);
    tm_sqlite_unlock(s);
    tm_sqlite_point_reached(s, TM_POINT_MOVED);
    return SQLITE_OK;
}
