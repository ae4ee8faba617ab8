// sqlite_chore.c - see sqlite_internal.h: saves and trims, a slice at a time between
// commits, one after another.
//
// A snapshot larger than one part is written part by part, a commit each, and named in
// `snapshots` with the last; until then its parts stand in `loose_parts`, and so do those
// of the snapshot that it replaced. What is loose is deleted in slices too, and after a
// crash what was being written is loose.
#include "store/sqlite_internal.h"

#define TRIM_ROWS       32 // looked at and deleted at a time: some may be 320 KiB
#define LOOSE_PARTS_MAX 8u // deleted in one slice

bool tm_chore_due(tm_sqlite *s, uint64_t now_us, uint64_t *at_us) {
    if (s->chore.own != NULL || s->chores.first != NULL) return true;
    if (!s->loose || s->dead != TM_OK || s->closing) return false;
    if (s->retry_at_us <= now_us) return true;
    if (s->retry_at_us < *at_us) *at_us = s->retry_at_us;
    return false;
}

static void finish(tm_sqlite *s, tm_status status) {
    tm_store_own *own = s->chore.own;
    pthread_mutex_lock(&s->lock);
    own->status = status;
    own->number = s->chore.trimmed;
    tm_place *place = own->place;
    place->pins--;
    tm_place_settle(s, place);
    tm_sqlite_complete(s, own);
    tm_sqlite_unlock(s);
    s->chore = (tm_chore){0};
}

// The transaction under way, or its begin, failed.
static tm_status failed(tm_sqlite *s, int rc, const char *what, bool committing) {
    tm_status status = tm_sqlite_failed(s, &s->writer, rc, what);
    tm_conn_rollback(&s->writer);
    tm_drafts_drop(s);
    if (!committing && !tm_sqlite_dead(s)) status = TM_E_AGAIN;
    s->retry_at_us = tm_sqlite_now(s) + s->tuning.retry_ms * UINT64_C(1000);
    return status;
}

static int commit(tm_sqlite *s) {
    int rc = tm_conn_run(&s->writer, TM_SQL_COMMIT);
    if (rc != SQLITE_OK) return rc;
    pthread_mutex_lock(&s->lock);
    tm_drafts_keep(s);
    pthread_mutex_unlock(&s->lock);
    tm_sqlite_committed(s);
    return SQLITE_OK;
}

// ---- save ---------------------------------------------------------------------------

typedef struct stored { // the snapshot that is named now; parts 0 = none
    uint64_t seq, first_part, parts;
} stored;

static int stored_get(tm_sqlite *s, uint64_t id, stored *was) {
    sqlite3_stmt *get = tm_conn_stmt(&s->writer, TM_SQL_SNAPSHOT_GET);
    int rc = tm_bind_u64(get, 1, id);
    if (rc == SQLITE_OK) rc = sqlite3_step(get);
    *was = (stored){0, 0, 0};
    if (rc == SQLITE_ROW &&
        (!tm_column_number(get, 0, &was->seq) ||
         !tm_column_number(get, 1, &was->first_part) ||
         !tm_column_number(get, 2, &was->parts) || was->first_part > TM_ROW_MAX ||
         was->parts > INT32_MAX)) {
        rc = tm_conn_damaged(&s->writer, "snapshots", (int64_t)id,
                             "its numbers are none");
    }
    sqlite3_reset(get);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int two(tm_sqlite *s, tm_sql which, uint64_t first, uint64_t second) {
    sqlite3_stmt *stmt = tm_conn_stmt(&s->writer, which);
    int rc = tm_bind_u64(stmt, 1, first);
    if (rc == SQLITE_OK) rc = tm_bind_u64(stmt, 2, second);
    return rc == SQLITE_OK ? tm_conn_run(&s->writer, which) : rc;
}

static int loose_delete(tm_sqlite *s, uint64_t first_part) {
    sqlite3_stmt *stmt = tm_conn_stmt(&s->writer, TM_SQL_LOOSE_DELETE);
    int rc = tm_bind_u64(stmt, 1, first_part);
    return rc == SQLITE_OK ? tm_conn_run(&s->writer, TM_SQL_LOOSE_DELETE) : rc;
}

// The first slice: is it newer, and where will its parts be?
static int save_begin(tm_sqlite *s, const tm_store_save *request, bool *newer) {
    tm_place *place = s->chore.own->place;
    int rc = tm_draft_add(s, place);
    stored was;
    if (rc == SQLITE_OK) rc = stored_get(s, place->draft_id, &was);
    if (rc != SQLITE_OK) return rc;
    *newer = request->seq > was.seq;
    if (!*newer) return SQLITE_OK;
    size_t len = request->bytes.len;
    s->chore.parts = len == 0 ? 1 : (len + TM_PART_BYTES - 1) / TM_PART_BYTES;
    s->chore.first_part = s->part_next;
    s->part_next += s->chore.parts;
    if (s->chore.parts == 1) return SQLITE_OK;
    return two(s, TM_SQL_LOOSE_SET, s->chore.first_part, s->chore.parts);
}

static int save_part(tm_sqlite *s, const tm_store_save *request) {
    size_t from = s->chore.part * TM_PART_BYTES, len = request->bytes.len - from;
    if (len > TM_PART_BYTES) len = TM_PART_BYTES;
    sqlite3_stmt *add = tm_conn_stmt(&s->writer, TM_SQL_PART_ADD);
    int rc = tm_bind_u64(add, 1, s->chore.first_part + s->chore.part);
    if (rc == SQLITE_OK) {
        const uint8_t *bytes =
            len == 0 ? (const uint8_t *)"" : request->bytes.ptr + from;
        rc = sqlite3_bind_blob64(add, 2, bytes, len, SQLITE_STATIC);
    }
    return rc == SQLITE_OK ? tm_conn_run(&s->writer, TM_SQL_PART_ADD) : rc;
}

// The last slice: name it, and let go of the one before.
static int save_name(tm_sqlite *s, const tm_store_save *request) {
    tm_place *place = s->chore.own->place;
    stored was;
    int rc = stored_get(s, place->draft_id, &was);
    if (rc != SQLITE_OK) return rc;
    sqlite3_stmt *set = tm_conn_stmt(&s->writer, TM_SQL_SNAPSHOT_SET);
    rc = tm_bind_u64(set, 1, place->draft_id);
    if (rc == SQLITE_OK) rc = tm_bind_u64(set, 2, request->seq);
    if (rc == SQLITE_OK) rc = tm_bind_u64(set, 3, s->chore.first_part);
    if (rc == SQLITE_OK) rc = tm_bind_u64(set, 4, s->chore.parts);
    if (rc == SQLITE_OK) rc = tm_bind_u64(set, 5, request->bytes.len);
    if (rc == SQLITE_OK) rc = tm_conn_run(&s->writer, TM_SQL_SNAPSHOT_SET);
    if (rc == SQLITE_OK && s->chore.parts > 1) {
        rc = loose_delete(s, s->chore.first_part);
    }
    if (rc != SQLITE_OK || was.parts == 0) return rc;
    if (was.parts == 1) {
        return two(s, TM_SQL_PART_DELETE, was.first_part, was.first_part);
    }
    s->loose = true;
    return two(s, TM_SQL_LOOSE_SET, was.first_part, was.parts);
}

static void save_slice(tm_sqlite *s) {
    const tm_store_save *request = TM_REQUEST_OF(tm_store_save, s->chore.own);
    tm_place *place = s->chore.own->place;
    bool newer = true, committing = false;
    int rc = request->seq <= INT64_MAX ? SQLITE_OK : SQLITE_TOOBIG;
    if (rc == SQLITE_OK) rc = tm_conn_run(&s->writer, TM_SQL_BEGIN_WRITE);
    if (rc == SQLITE_OK) rc = tm_draft_begin(s, place);
    if (rc == SQLITE_OK && s->chore.parts == 0) rc = save_begin(s, request, &newer);
    if (rc == SQLITE_OK && newer) rc = save_part(s, request);
    if (rc == SQLITE_OK && newer) s->chore.part++;
    bool last = !newer || s->chore.part == s->chore.parts;
    if (rc == SQLITE_OK && newer && last) rc = save_name(s, request);
    if (rc == SQLITE_OK) {
        committing = true;
        rc = commit(s);
    }
    if (rc == SQLITE_TOOBIG) {
        tm_conn_rollback(&s->writer);
        tm_drafts_drop(s);
        finish(s, TM_E_RANGE);
    } else if (rc != SQLITE_OK) {
        s->loose = s->loose || s->chore.parts > 1; // what was written stays behind
        finish(s, failed(s, rc, "saving a snapshot", committing));
    } else {
        tm_sqlite_point_reached(s, TM_POINT_PART);
        if (last) finish(s, TM_OK);
    }
}

// ---- loose parts --------------------------------------------------------------------

static int loose_cut(tm_sqlite *s, bool *none) {
    sqlite3_stmt *get = tm_conn_stmt(&s->writer, TM_SQL_LOOSE_GET);
    uint64_t first = 0, parts = 0;
    int rc = tm_bind_u64(get, 1, s->chore.first_part); // not the one being written
    if (rc == SQLITE_OK) rc = sqlite3_step(get);
    if (rc == SQLITE_ROW &&
        (!tm_column_number(get, 0, &first) || !tm_column_number(get, 1, &parts) ||
         first == 0 || first > TM_ROW_MAX || parts == 0 || parts > INT32_MAX)) {
        rc = tm_conn_damaged(&s->writer, "loose_parts", (int64_t)first,
                             "it names no parts");
    }
    sqlite3_reset(get);
    *none = rc == SQLITE_DONE;
    if (rc != SQLITE_ROW) return rc == SQLITE_DONE ? SQLITE_OK : rc;
    uint64_t keep = parts > LOOSE_PARTS_MAX ? parts - LOOSE_PARTS_MAX : 0;
    rc = two(s, TM_SQL_PART_DELETE, first + keep, first + parts - 1);
    if (rc != SQLITE_OK) return rc;
    return keep == 0 ? loose_delete(s, first)
                     : two(s, TM_SQL_LOOSE_SET, first, keep);
}

static void loose_slice(tm_sqlite *s) {
    bool none = false;
    int rc = tm_conn_run(&s->writer, TM_SQL_BEGIN_WRITE);
    if (rc == SQLITE_OK) rc = loose_cut(s, &none);
    if (rc == SQLITE_OK && none) {
        tm_conn_rollback(&s->writer);
        s->loose = false;
        return;
    }
    if (rc == SQLITE_OK) rc = commit(s);
    if (rc != SQLITE_OK) {
        (void)failed(s, rc, "deleting an old snapshot", true);
    } else {
        tm_sqlite_point_reached(s, TM_POINT_PART);
    }
}

// ---- trim ---------------------------------------------------------------------------

// Of the filed rows from `from`, at most `TRIM_ROWS`, those that may go: up to *to.
// *more says whether those behind may go as well.
static int trim_look(tm_sqlite *s, const tm_store_trim *request, uint64_t newest,
                     uint64_t *to, bool *more) {
    sqlite3_stmt *ages = tm_conn_stmt(&s->writer, TM_SQL_BATCH_AGES);
    int rows = 0, rc = tm_bind_u64(ages, 1, s->chore.trim_from);
    if (rc == SQLITE_OK) rc = tm_bind_u64(ages, 2, newest - 1);
    if (rc == SQLITE_OK) rc = sqlite3_bind_int(ages, 3, TRIM_ROWS);
    *to = 0;
    *more = false;
    while (rc == SQLITE_OK && (rc = sqlite3_step(ages)) == SQLITE_ROW) {
        rc = SQLITE_OK;
        uint64_t last_seq = 0, accepted_ms = 0;
        if (!tm_column_number(ages, 1, &last_seq) ||
            !tm_column_number(ages, 2, &accepted_ms)) {
            rc = tm_conn_damaged(&s->writer, "batches",
                                 (int64_t)tm_column_u64(ages, 0),
                                 "its numbers are none");
            break;
        }
        if (last_seq > request->below_seq || accepted_ms >= request->before_ms) {
            break;
        }
        *to = tm_column_u64(ages, 0);
        *more = ++rows == TRIM_ROWS;
    }
    sqlite3_reset(ages);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int trim_rows(tm_sqlite *s, const tm_store_trim *request, bool *more) {
    tm_place *place = s->chore.own->place;
    *more = false;
    int rc = tm_draft_begin(s, place);
    if (rc != SQLITE_OK || place->draft_id == 0) return rc;
    uint64_t low = place->draft_id << TM_AT_SEQ_BITS, newest = 0;
    sqlite3_stmt *last = tm_conn_stmt(&s->writer, TM_SQL_BATCH_AT);
    rc = tm_bind_u64(last, 1, low);
    if (rc == SQLITE_OK) rc = tm_bind_u64(last, 2, low | TM_AT_SEQ_MAX);
    if (rc == SQLITE_OK) rc = tm_conn_number(&s->writer, TM_SQL_BATCH_AT, &newest);
    if (rc != SQLITE_ROW) return rc == SQLITE_DONE ? SQLITE_OK : rc;
    if (s->chore.trim_from == 0) s->chore.trim_from = low;
    uint64_t to = 0;
    rc = trim_look(s, request, newest, &to, more);
    if (rc != SQLITE_OK || to == 0) return rc;
    rc = two(s, TM_SQL_BATCH_DELETE, s->chore.trim_from, to);
    if (rc != SQLITE_OK) return rc;
    s->chore.trim_from = to + 1;
    s->chore.trimmed += (uint64_t)sqlite3_changes(s->writer.db);
    return SQLITE_OK;
}

static void trim_slice(tm_sqlite *s) {
    const tm_store_trim *request = TM_REQUEST_OF(tm_store_trim, s->chore.own);
    tm_place *place = s->chore.own->place;
    uint64_t trimmed = s->chore.trimmed;
    if (place->count > 0) { // what is in the journal is filed first
        int rc = tm_file_place(s, place);
        if (rc != SQLITE_OK) finish(s, failed(s, rc, "filing", true));
        return;
    }
    bool more = false, committing = false;
    uint64_t until_us = tm_sqlite_now(s) + s->tuning.slice_us / 2;
    int rc = tm_conn_run(&s->writer, TM_SQL_BEGIN_WRITE);
    do {
        if (rc == SQLITE_OK) rc = trim_rows(s, request, &more);
    } while (rc == SQLITE_OK && more && tm_sqlite_now(s) < until_us);
    if (rc == SQLITE_OK) {
        committing = true;
        rc = commit(s);
    }
    if (rc != SQLITE_OK) {
        s->chore.trimmed = trimmed;
        finish(s, failed(s, rc, "trimming", committing));
        return;
    }
    tm_sqlite_point_reached(s, TM_POINT_TRIMMED);
    if (!more) finish(s, TM_OK);
}

void tm_chore_slice(tm_sqlite *s) {
    if (s->chore.own == NULL) {
        pthread_mutex_lock(&s->lock);
        s->chore.own = tm_queue_pop(&s->chores);
        pthread_mutex_unlock(&s->lock);
    }
    if (s->chore.own == NULL) {
        loose_slice(s);
    } else if (tm_sqlite_dead(s)) {
        finish(s, TM_E_IO);
    } else if (s->chore.own->kind == TM_REQUEST_SAVE) {
        save_slice(s);
    } else {
        trim_slice(s);
    }
}
