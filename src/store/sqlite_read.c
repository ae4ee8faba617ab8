// sqlite_read.c - see sqlite_internal.h: reads, loads, the names of all lists.
#include "store/sqlite_internal.h"

static size_t job_size(size_t refs) {
    return sizeof(tm_job) + refs * sizeof(tm_ref);
}

// What a read has taken so far, against its limits.
typedef struct extent {
    uint64_t ops, bytes;
} extent;

static bool extent_full(extent *taken, const tm_store_read *request, uint64_t first,
                        uint64_t last, uint64_t bytes) {
    if (last <= request->since) return false; // shown, not counted
    taken->ops += last - first + 1;
    taken->bytes += bytes;
    return taken->ops >= request->ops_max || taken->bytes >= request->bytes_max;
}

// How many refs from `from` a read may want: up to its limits, and one that shows
// whether there is more.
static size_t refs_wanted(const tm_place *place, size_t from,
                          const tm_store_read *request) {
    extent taken = {0, 0};
    size_t end = from;
    while (end < place->count) {
        const tm_ref *ref = &place->refs[place->from + end++];
        if (extent_full(&taken, request, ref->first_seq, ref->last_seq,
                        ref->bytes)) {
            if (end < place->count) end++;
            break;
        }
    }
    return end - from;
}

tm_job *tm_job_new(tm_sqlite *s, const tm_place *place, tm_store_own *own) {
    size_t from = 0, count = 0;
    if (own->kind == TM_REQUEST_READ) {
        const tm_store_read *request = TM_REQUEST_OF(tm_store_read, own);
        from = tm_place_seek(place, request->since);
        count = refs_wanted(place, from, request);
    }
    tm_job *job = tm_alloc_get(s->alloc, job_size(count));
    if (job == NULL) return NULL;
    job->id = place->id;
    job->arena.alloc = s->alloc;
    job->ref_count = count;
    if (count > 0) {
        memcpy(job->refs, place->refs + place->from + from, count * sizeof(tm_ref));
    }
    return job;
}

static void job_free(tm_sqlite *s, tm_job *job) {
    if (job == NULL) return;
    tm_arena_deinit(&job->arena);
    tm_alloc_put(s->alloc, job->batches, job->cap * sizeof(tm_batch));
    tm_alloc_put(s->alloc, job, job_size(job->ref_count));
}

void tm_job_done(tm_sqlite *s, tm_store_own *own) {
    tm_job *job = own->result; // `done` may free the request
    bool good = own->status == TM_OK;
    if (own->kind == TM_REQUEST_READ) {
        tm_store_read *request = TM_REQUEST_OF(tm_store_read, own);
        request->done(request, own->status, good ? job->batches : NULL,
                      good ? job->count : 0, good && job->more);
    } else {
        tm_store_load *request = TM_REQUEST_OF(tm_store_load, own);
        tm_span none = {(const uint8_t *)"", 0};
        request->done(request, own->status, good ? job->seq : 0,
                      good ? job->bytes : none);
    }
    job_free(s, job);
}

// ---- one batch ----------------------------------------------------------------------

static bool mark_read(sqlite3_stmt *row, int column, uint8_t mark[TM_MARK_LEN]) {
    tm_span bytes = tm_column_bytes(row, column);
    if (bytes.len != TM_MARK_LEN) return false;
    memcpy(mark, bytes.ptr, TM_MARK_LEN);
    return true;
}

// The row of TM_SQL_JOURNAL_GET or TM_SQL_BATCH_READ.
static int batch_add(tm_sqlite *s, tm_job *job, sqlite3_stmt *row) {
    if (job->count == job->cap) {
        size_t cap = job->cap == 0 ? 16 : job->cap * 2;
        void *fresh =
            s->alloc->resize(s->alloc->context, job->batches,
                             job->cap * sizeof(tm_batch), cap * sizeof(tm_batch));
        if (fresh == NULL) return SQLITE_NOMEM;
        job->batches = fresh;
        job->cap = cap;
    }
    tm_batch *batch = &job->batches[job->count];
    *batch = (tm_batch){0};
    if (!tm_column_number(row, 0, &batch->first_seq) || batch->first_seq == 0 ||
        !tm_column_number(row, 1, &batch->last_seq) ||
        batch->last_seq < batch->first_seq ||
        !tm_column_number(row, 2, &batch->accepted_ms) ||
        !mark_read(row, 3, batch->before) || !mark_read(row, 4, batch->mark)) {
        return SQLITE_CORRUPT;
    }
    if (tm_arena_copy(&job->arena, tm_column_bytes(row, 5), &batch->rejected) !=
            TM_OK ||
        tm_arena_copy(&job->arena, tm_column_bytes(row, 6), &batch->operations) !=
            TM_OK) {
        return SQLITE_NOMEM;
    }
    job->count++;
    return SQLITE_OK;
}

// ---- a read -------------------------------------------------------------------------

typedef struct reading {
    tm_sqlite *s;
    tm_conn *conn;
    const tm_store_read *request;
    tm_job *job;
    extent taken;
    bool full;
} reading;

// Of `table`, under the number `at`.
static int take(reading *r, sqlite3_stmt *row, const char *table, uint64_t at) {
    int rc = batch_add(r->s, r->job, row);
    if (rc == SQLITE_CORRUPT) {
        return tm_conn_damaged(r->conn, table, (int64_t)at,
                               "its numbers or marks are none");
    }
    if (rc != SQLITE_OK) return rc;
    const tm_batch *batch = &r->job->batches[r->job->count - 1];
    r->full = extent_full(&r->taken, r->request, batch->first_seq, batch->last_seq,
                          batch->operations.len);
    return SQLITE_OK;
}

// Where the scan begins: the filed row that holds `since`, if any.
static int filed_from(reading *r, uint64_t *at) {
    uint64_t low = r->job->id << TM_AT_SEQ_BITS, since = r->request->since;
    if (since > TM_AT_SEQ_MAX) since = TM_AT_SEQ_MAX;
    *at = low;
    sqlite3_stmt *find = tm_conn_stmt(r->conn, TM_SQL_BATCH_AT);
    int rc = tm_bind_u64(find, 1, low);
    if (rc == SQLITE_OK) rc = tm_bind_u64(find, 2, low | since);
    if (rc == SQLITE_OK) rc = tm_conn_number(r->conn, TM_SQL_BATCH_AT, at);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int filed_read(reading *r) {
    uint64_t at = 0;
    int rc = filed_from(r, &at);
    if (rc != SQLITE_OK) return rc;
    sqlite3_stmt *scan = tm_conn_stmt(r->conn, TM_SQL_BATCH_READ);
    rc = tm_bind_u64(scan, 1, at);
    if (rc == SQLITE_OK) {
        rc = tm_bind_u64(scan, 2, r->job->id << TM_AT_SEQ_BITS | TM_AT_SEQ_MAX);
    }
    while (rc == SQLITE_OK && (rc = sqlite3_step(scan)) == SQLITE_ROW) {
        rc = SQLITE_OK;
        if (tm_column_u64(scan, 1) < r->request->since) continue;
        if (r->full) {
            r->job->more = true;
            break;
        }
        rc = take(r, scan, "batches",
                  r->job->id << TM_AT_SEQ_BITS | tm_column_u64(scan, 0));
    }
    sqlite3_reset(scan);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int journal_read(reading *r) {
    const tm_job *job = r->job;
    uint64_t seen = job->count > 0 ? job->batches[job->count - 1].last_seq : 0;
    sqlite3_stmt *get = tm_conn_stmt(r->conn, TM_SQL_JOURNAL_GET);
    int rc = SQLITE_OK;
    for (size_t i = 0; i < job->ref_count && rc == SQLITE_OK; i++) {
        const tm_ref *ref = &job->refs[i];
        if (ref->last_seq <= seen) continue; // filed since the memory was copied
        if (r->full) {
            r->job->more = true;
            break;
        }
        rc = tm_bind_u64(get, 1, ref->n);
        if (rc == SQLITE_OK) rc = sqlite3_step(get);
        if (rc == SQLITE_ROW) {
            rc = tm_column_u64(get, 0) == ref->first_seq
                     ? take(r, get, "journal", ref->n)
                     : tm_conn_damaged(r->conn, "journal", (int64_t)ref->n,
                                       "it is another batch than it was");
        } else if (rc == SQLITE_DONE) {
            rc = tm_conn_damaged(r->conn, "journal", (int64_t)ref->n,
                                 "it is gone, and was not filed");
        }
        sqlite3_reset(get);
    }
    return rc;
}

// ---- a load -------------------------------------------------------------------------

static int parts_read(tm_conn *conn, uint64_t first, uint64_t parts, uint8_t *to,
                      size_t len) {
    sqlite3_stmt *get = tm_conn_stmt(conn, TM_SQL_PART_GET);
    size_t at = 0;
    for (uint64_t i = 0; i < parts; i++) {
        int rc = tm_bind_u64(get, 1, first + i);
        if (rc == SQLITE_OK) rc = sqlite3_step(get);
        if (rc == SQLITE_ROW) {
            tm_span bytes = tm_column_bytes(get, 0);
            rc = bytes.len <= len - at ? SQLITE_OK : SQLITE_CORRUPT;
            if (rc == SQLITE_OK) memcpy(to + at, bytes.ptr, bytes.len);
            at += bytes.len;
        } else if (rc == SQLITE_DONE) {
            rc = SQLITE_CORRUPT;
        }
        sqlite3_reset(get);
        if (rc != SQLITE_OK) return rc;
    }
    return at == len ? SQLITE_OK : SQLITE_CORRUPT;
}

static int parts_measure(tm_conn *conn, uint64_t first, uint64_t parts,
                         size_t len) {
    sqlite3_stmt *sum = tm_conn_stmt(conn, TM_SQL_PART_BYTES);
    uint64_t bytes = 0;
    int rc = tm_bind_u64(sum, 1, first);
    if (rc == SQLITE_OK) rc = tm_bind_u64(sum, 2, first + parts - 1);
    if (rc == SQLITE_OK) rc = tm_conn_number(conn, TM_SQL_PART_BYTES, &bytes);
    if (rc == SQLITE_ROW) return bytes == len ? SQLITE_OK : SQLITE_CORRUPT;
    return rc;
}

static int snapshot_row_read(tm_conn *conn, tm_job *job) {
    sqlite3_stmt *get = tm_conn_stmt(conn, TM_SQL_SNAPSHOT_GET);
    int rc = tm_bind_u64(get, 1, job->id);
    if (rc == SQLITE_OK) rc = sqlite3_step(get);
    uint64_t seq = 0, first = 0, parts = 0, len = 0;
    bool numbers = rc == SQLITE_ROW && tm_column_number(get, 0, &seq) &&
                   tm_column_number(get, 1, &first) &&
                   tm_column_number(get, 2, &parts) &&
                   tm_column_number(get, 3, &len);
    sqlite3_reset(get);
    if (rc == SQLITE_DONE) return SQLITE_OK; // there is none
    if (rc != SQLITE_ROW) return rc;
    if (!numbers || seq == 0 || first == 0 || first > TM_ROW_MAX ||
        parts > INT32_MAX || len > parts * TM_PART_BYTES) {
        return SQLITE_CORRUPT;
    }
    if (parts > 1) { // what is not there is not asked memory for
        rc = parts_measure(conn, first, parts, len);
        if (rc != SQLITE_OK) return rc;
    }
    uint8_t *bytes = tm_arena_get(&job->arena, len);
    if (bytes == NULL) return SQLITE_NOMEM;
    rc = parts_read(conn, first, parts, bytes, len);
    if (rc != SQLITE_OK) return rc;
    job->seq = seq;
    job->bytes = (tm_span){bytes, len};
    return SQLITE_OK;
}

static int snapshot_read(tm_conn *conn, tm_job *job) {
    int rc = snapshot_row_read(conn, job);
    if (rc != SQLITE_CORRUPT) return rc;
    return tm_conn_damaged(conn, "snapshots", (int64_t)job->id,
                           "it, or a part that it names, is not what was stored");
}

// ---- either -------------------------------------------------------------------------

static int job_read(tm_sqlite *s, tm_conn *conn, tm_store_own *own) {
    tm_job *job = own->result;
    job->bytes = (tm_span){(const uint8_t *)"", 0};
    int rc = SQLITE_OK;
    if (job->id == 0) rc = tm_list_lookup(conn, tm_request_key(own), &job->id);
    if (rc != SQLITE_OK || job->id == 0) return rc;
    if (own->kind == TM_REQUEST_LOAD) return snapshot_read(conn, job);
    reading r = {s, conn, TM_REQUEST_OF(tm_store_read, own), job, {0, 0}, false};
    rc = filed_read(&r);
    return rc == SQLITE_OK && !job->more ? journal_read(&r) : rc;
}

tm_status tm_job_run(tm_sqlite *s, tm_conn *conn, tm_store_own *own,
                     bool transaction, int *failed) {
    *failed = SQLITE_OK;
    if (own->result == NULL) return TM_E_NOMEM; // there was none for the job
    int rc = transaction ? tm_conn_run(conn, TM_SQL_BEGIN_READ) : SQLITE_OK;
    if (rc == SQLITE_OK) rc = job_read(s, conn, own);
    if (transaction) tm_conn_rollback(conn); // nothing was written
    if (rc == SQLITE_OK) return TM_OK;
    *failed = rc;
    return tm_conn_unread(conn, rc);
}

tm_status tm_lists_run(tm_conn *conn,
                       void (*each)(void *context, tm_key key, uint64_t head),
                       void *context) {
    sqlite3_stmt *all = tm_conn_stmt(conn, TM_SQL_LISTS);
    int rc = SQLITE_OK;
    while ((rc = sqlite3_step(all)) == SQLITE_ROW) {
        uint64_t head = tm_column_u64(all, 2);
        if (head == 0) continue; // a snapshot alone
        each(context, (tm_key){tm_column_bytes(all, 0), tm_column_bytes(all, 1)},
             head);
    }
    sqlite3_reset(all);
    return rc == SQLITE_DONE ? TM_OK : tm_conn_unread(conn, rc);
}

// ---- the thread ---------------------------------------------------------------------

bool tm_reader_run(tm_sqlite *s, tm_conn *conn) {
    tm_store_own *own = tm_queue_pop(&s->reads);
    if (own == NULL) return false;
    pthread_mutex_unlock(&s->lock);
    int rc = SQLITE_OK;
    tm_status status = tm_job_run(s, conn, own, true, &rc);
    if (status == TM_E_IO || status == TM_E_CORRUPT) {
        // What cannot be read must not be written over either.
        (void)tm_sqlite_failed(s, conn, rc, "read");
    }
    pthread_mutex_lock(&s->lock);
    own->status = status;
    tm_sqlite_finish(s, own);
    tm_sqlite_unlock(s); // tells the caller
    pthread_mutex_lock(&s->lock);
    return true;
}

void *tm_reader_main(void *store) {
    tm_sqlite *s = store;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        if (tm_reader_run(s, &s->reader)) continue;
        if (s->closing) break;
        pthread_cond_wait(&s->to_reader, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}
