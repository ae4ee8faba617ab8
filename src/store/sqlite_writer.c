// sqlite_writer.c - see sqlite_internal.h: the thread that commits.
//
// One commit at a time; what came meanwhile is the next one. Background work runs in
// slices between commits: whenever no append waits, and for a share of the time when
// some always do, for else the backlog would grow until memory ends.
#include "store/sqlite_internal.h"

#define BUSY_US 5000u // after a commit: more appends are likely on their way

// ---- drafts: what a transaction would change in the memory --------------------------

int tm_draft_begin(tm_sqlite *s, tm_place *place) {
    if (place->drafted) return SQLITE_OK;
    if (!place->known) {
        tm_key key = tm_key_split((tm_span){place->key, place->key_len});
        uint64_t id = 0, head = 0;
        int rc = tm_list_lookup(&s->writer, key, &id);
        if (rc == SQLITE_OK && id > 0) rc = tm_list_filed(&s->writer, id, &head);
        if (rc != SQLITE_OK) return rc;
        pthread_mutex_lock(&s->lock);
        place->id = id;
        place->head = head; // a tail would have made it known
        place->known = true;
        pthread_mutex_unlock(&s->lock);
    }
    place->drafted = true;
    place->draft_id = place->id;
    place->draft_head = place->head;
    place->draft_rows = 0;
    place->next_draft = s->drafts;
    s->drafts = place;
    return SQLITE_OK;
}

int tm_draft_add(tm_sqlite *s, tm_place *place) {
    if (place->draft_id > 0) return SQLITE_OK;
    sqlite3_stmt *add = tm_conn_stmt(&s->writer, TM_SQL_LIST_ADD);
    tm_key key = tm_key_split((tm_span){place->key, place->key_len});
    int rc = tm_bind_bytes(add, 1, key.user);
    if (rc == SQLITE_OK) rc = tm_bind_bytes(add, 2, key.list);
    if (rc == SQLITE_OK) rc = tm_conn_run(&s->writer, TM_SQL_LIST_ADD);
    if (rc != SQLITE_OK) return rc;
    if (sqlite3_changes(s->writer.db) != 1) return SQLITE_TOOBIG;
    place->draft_id = (uint64_t)sqlite3_last_insert_rowid(s->writer.db);
    return SQLITE_OK;
}

void tm_drafts_keep(tm_sqlite *s) {
    for (tm_place *place = s->drafts; place != NULL; place = place->next_draft) {
        place->id = place->draft_id;
        place->head = place->draft_head;
        place->drafted = false;
    }
    s->drafts = NULL;
}

void tm_drafts_drop(tm_sqlite *s) {
    for (tm_place *place = s->drafts; place != NULL; place = place->next_draft) {
        place->drafted = false;
    }
    s->drafts = NULL;
}

// ---- a commit -----------------------------------------------------------------------

static int journal_add(tm_sqlite *s, uint64_t id, const tm_batch *batch) {
    sqlite3_stmt *add = tm_conn_stmt(&s->writer, TM_SQL_JOURNAL_ADD);
    int rc = tm_bind_u64(add, 1, id);
    if (rc == SQLITE_OK) rc = tm_bind_u64(add, 2, batch->first_seq);
    if (rc == SQLITE_OK) rc = tm_bind_u64(add, 3, batch->last_seq);
    if (rc == SQLITE_OK) rc = tm_bind_u64(add, 4, batch->accepted_ms);
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_blob(add, 5, batch->before, TM_MARK_LEN, SQLITE_STATIC);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_blob(add, 6, batch->mark, TM_MARK_LEN, SQLITE_STATIC);
    }
    if (rc == SQLITE_OK) {
        rc = batch->rejected.len > 0 ? tm_bind_bytes(add, 7, batch->rejected)
                                     : sqlite3_bind_null(add, 7);
    }
    if (rc == SQLITE_OK) rc = tm_bind_bytes(add, 8, batch->operations);
    return rc == SQLITE_OK ? tm_conn_run(&s->writer, TM_SQL_JOURNAL_ADD) : rc;
}

static bool in_range(const tm_batch *batch) {
    return batch->first_seq <= TM_AT_SEQ_MAX && batch->last_seq <= INT64_MAX &&
           batch->accepted_ms <= INT64_MAX;
}

// Insert one append into the transaction; own->status says what it will end with if that
// commits, and the return value is what failed for all of them.
static int append_insert(tm_sqlite *s, tm_store_own *own) {
    tm_place *place = own->place;
    const tm_batch *batch = &TM_REQUEST_OF(tm_store_append, own)->batch;
    TM_ASSERT(batch->first_seq > 0 && batch->last_seq >= batch->first_seq);
    int rc = tm_draft_begin(s, place);
    if (rc != SQLITE_OK) return rc;
    own->status = TM_E_CONFLICT;
    if (batch->first_seq != place->draft_head + 1) return SQLITE_OK;
    own->status = TM_E_RANGE;
    if (!in_range(batch)) return SQLITE_OK;
    // What the memory will need, before it is too late to say no.
    own->status = TM_E_AGAIN;
    pthread_mutex_lock(&s->lock);
    bool reserved = tm_place_reserve(s, place, place->draft_rows + 1);
    pthread_mutex_unlock(&s->lock);
    if (!reserved) return SQLITE_OK;

    rc = tm_draft_add(s, place);
    if (rc == SQLITE_TOOBIG) {
        own->status = TM_E_RANGE;
        return SQLITE_OK;
    }
    if (rc == SQLITE_OK) rc = journal_add(s, place->draft_id, batch);
    if (rc != SQLITE_OK) return rc;
    own->number = (uint64_t)sqlite3_last_insert_rowid(s->writer.db);
    own->status = TM_OK;
    place->draft_head = batch->last_seq;
    place->draft_rows++;
    return SQLITE_OK;
}

// The append is durable: the memory learns of it.
static void append_keep(tm_sqlite *s, tm_store_own *own) {
    tm_place *place = own->place;
    const tm_batch *batch = &TM_REQUEST_OF(tm_store_append, own)->batch;
    size_t bytes = batch->operations.len;
    if (s->journal_low == s->journal_next)
        s->journal_low = own->number; // was empty
    s->journal_next = own->number + 1;
    tm_place_push(place,
                  (tm_ref){own->number, batch->first_seq, batch->last_seq, bytes});
    tm_file_dirty(s, place);
    s->stats.appends++;
    s->stats.operations_bytes += bytes;
    s->stats.backlog++;
    s->stats.backlog_bytes += bytes;
}

// Give every append of the group the status it got, or `all` if that is not TM_OK.
static void group_finish(tm_sqlite *s, tm_queue *group, tm_status all) {
    pthread_mutex_lock(&s->lock);
    if (all == TM_OK) tm_drafts_keep(s);
    for (tm_store_own *own; (own = tm_queue_pop(group)) != NULL;) {
        if (all != TM_OK) {
            own->status = all;
        } else if (own->status == TM_OK) {
            append_keep(s, own);
        }
        tm_sqlite_finish(s, own);
    }
    tm_sqlite_unlock(s);
}

// A commit ended so that nobody knows, and not for the disk's sake. If its rows are there,
// the memory is behind the database, and going on would number them twice.
static void unsure_look(tm_sqlite *s, uint64_t n) {
    sqlite3_stmt *get = tm_conn_stmt(&s->writer, TM_SQL_JOURNAL_GET);
    int rc = tm_bind_u64(get, 1, n);
    if (rc == SQLITE_OK) rc = sqlite3_step(get);
    sqlite3_reset(get);
    if (rc == SQLITE_DONE) return;
    (void)tm_sqlite_failed(s, &s->writer, SQLITE_IOERR,
                           "after a commit that failed");
}

static void group_commit(tm_sqlite *s, tm_queue *group) {
    if (tm_sqlite_dead(s)) {
        group_finish(s, group, TM_E_IO);
        return;
    }
    uint64_t last_n = 0; // of the journal; 0 = nothing was inserted
    bool committing = false;
    int rc = tm_conn_run(&s->writer, TM_SQL_BEGIN_WRITE);
    for (tm_store_own *own = group->first; own != NULL && rc == SQLITE_OK;
         own = own->next) {
        rc = append_insert(s, own);
        if (own->status == TM_OK) last_n = own->number;
    }
    if (rc == SQLITE_OK && last_n == 0) { // nothing but refusals
        tm_conn_rollback(&s->writer);
        tm_drafts_drop(s);
        group_finish(s, group, TM_OK);
        return;
    }
    if (rc == SQLITE_OK) {
        tm_sqlite_point_reached(s, TM_POINT_INSERTED);
        committing = true;
        rc = tm_conn_run(&s->writer, TM_SQL_COMMIT);
    }
    if (rc != SQLITE_OK) {
        tm_status status = tm_sqlite_failed(s, &s->writer, rc, "append");
        tm_conn_rollback(&s->writer);
        tm_drafts_drop(s);
        if (committing && status == TM_E_UNSURE && !tm_sqlite_dead(s)) {
            unsure_look(s, last_n);
        }
        // Unsure is only what a commit was tried for, unless the disk itself failed.
        if (!committing && !tm_sqlite_dead(s)) status = TM_E_AGAIN;
        group_finish(s, group, status);
        return;
    }
    tm_sqlite_point_reached(s, TM_POINT_COMMITTED);
    group_finish(s, group, TM_OK);
    tm_sqlite_committed(s);
}

// Under the lock: what one commit takes.
static tm_queue group_take(tm_sqlite *s) {
    tm_queue group = {NULL, NULL};
    size_t bytes = 0;
    for (size_t i = 0; i < TM_GROUP_REQUESTS_MAX && bytes < TM_GROUP_BYTES_MAX;
         i++) {
        tm_store_own *own = tm_queue_pop(&s->writes);
        if (own == NULL) break;
        own->status = TM_E_AGAIN; // until it is inserted
        bytes += TM_REQUEST_OF(tm_store_append, own)->batch.operations.len;
        tm_queue_push(&group, own);
    }
    return group;
}

// ---- the thread ---------------------------------------------------------------------

// From when on a slice may run although appends come: a fifth of the time is for slices,
// or half if the backlog is high.
static uint64_t slice_fair(const tm_sqlite *s) {
    return s->slice_end_us +
           s->slice_took_us * (s->stats.backlog >= TM_BACKLOG_HIGH ? 1 : 4);
}

tm_due tm_writer_due(tm_sqlite *s, uint64_t now_us, uint64_t *at_us) {
    tm_due due = {.chore = tm_chore_due(s, now_us, at_us)};
    if (s->dead != TM_OK) return due;
    due.file = !s->closing && tm_file_due(s, now_us, at_us);
    if (s->wal_now == 0) return due;
    uint64_t idle_at = s->active_us + s->tuning.idle_ms * UINT64_C(1000);
    due.empty = s->writes.first == NULL && idle_at <= now_us;
    if (!due.empty && idle_at < *at_us) *at_us = idle_at;
    return due;
}

bool tm_writer_slice(tm_sqlite *s, uint64_t now_us, uint64_t *at_us) {
    tm_due due = tm_writer_due(s, now_us, at_us);
    if (!due.chore && !due.file && !due.empty) return false;
    pthread_mutex_unlock(&s->lock);
    s->turn = !s->turn;
    if (due.chore && (!due.file || s->turn)) {
        tm_chore_slice(s);
    } else if (due.file) {
        tm_file_slice(s);
    } else {
        tm_keeper_empty(s);
    }
    s->slice_end_us = tm_sqlite_now(s);
    s->slice_took_us = s->slice_end_us - now_us;
    pthread_mutex_lock(&s->lock);
    return true;
}

// So much is unfiled that appends must wait: memory has an end. Where filing is not
// possible now (the disk is full) that would not help anybody.
static bool backlog_full(tm_sqlite *s) {
    uint64_t at_us = UINT64_MAX;
    return s->stats.backlog >= s->tuning.file_first && s->dead == TM_OK &&
           tm_file_due(s, tm_sqlite_now(s), &at_us);
}

bool tm_writer_commit(tm_sqlite *s, bool *filing_first) {
    *filing_first = backlog_full(s);
    if (*filing_first) return false;
    tm_queue group = group_take(s);
    if (group.first == NULL) return false;
    pthread_mutex_unlock(&s->lock);
    group_commit(s, &group);
    pthread_mutex_lock(&s->lock);
    return true;
}

void *tm_writer_main(void *store) {
    tm_sqlite *s = store;
    uint64_t appended_us = 0;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        bool filing_first = false;
        bool appended = tm_writer_commit(s, &filing_first);
        uint64_t now_us = tm_sqlite_now(s), at_us = UINT64_MAX;
        if (appended) appended_us = now_us;
        // Whoever was just answered asks again at once: that nothing waits at this moment
        // does not make it one for a slice.
        bool busy = s->writes.first != NULL ||
                    (appended_us + BUSY_US > now_us && !s->closing);
        if (busy && !filing_first && slice_fair(s) > now_us) {
            if (s->writes.first == NULL) tm_sqlite_wait(s, slice_fair(s));
            continue;
        }
        if (tm_writer_slice(s, now_us, &at_us) || s->writes.first != NULL) continue;
        if (s->closing) break;
        tm_sqlite_wait(s, at_us);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}
