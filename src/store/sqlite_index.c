// sqlite_index.c - see sqlite_internal.h: the lists as far as they are in memory.
#include <stdio.h>

#include "store/sqlite_internal.h"

static size_t place_size(const tm_place *place) {
    return sizeof *place + place->key_len;
}

static void place_free(tm_sqlite *s, tm_place *place) {
    (void)tm_table_remove(&s->places, (tm_span){place->key, place->key_len});
    tm_alloc_put(s->alloc, place->refs, place->cap * sizeof(tm_ref));
    tm_alloc_put(s->alloc, place, place_size(place));
}

// ---- idle places: oldest first, the next to be forgotten -----------------------------

static void idle_remove(tm_sqlite *s, tm_place *place) {
    if (!place->idle) return;
    *(place->older != NULL ? &place->older->newer : &s->idle_oldest) = place->newer;
    *(place->newer != NULL ? &place->newer->older : &s->idle_newest) = place->older;
    place->older = place->newer = NULL;
    place->idle = false;
    s->idle_count--;
}

static void idle_add(tm_sqlite *s, tm_place *place) {
    place->older = s->idle_newest;
    *(s->idle_newest != NULL ? &s->idle_newest->newer : &s->idle_oldest) = place;
    s->idle_newest = place;
    place->idle = true;
    s->idle_count++;
    if (s->idle_count <= TM_IDLE_PLACES_MAX) return;
    tm_place *oldest = s->idle_oldest;
    idle_remove(s, oldest);
    place_free(s, oldest);
}

tm_place *tm_place_get(tm_sqlite *s, tm_key key) {
    uint8_t bytes[TM_KEY_MAX];
    tm_span joined = tm_key_join(key, bytes);
    tm_place *place = tm_table_get(&s->places, joined);
    if (place != NULL) {
        idle_remove(s, place);
        return place;
    }
    place = tm_alloc_get(s->alloc, sizeof *place + joined.len);
    if (place == NULL) return NULL;
    place->key_len = joined.len;
    memcpy(place->key, joined.ptr, joined.len);
    tm_span kept = {place->key, place->key_len};
    if (tm_table_set(&s->places, kept, place) == TM_OK) return place;
    tm_alloc_put(s->alloc, place, place_size(place));
    return NULL;
}

void tm_place_settle(tm_sqlite *s, tm_place *place) {
    if (place->idle || place->count > 0 || place->first != NULL || place->dirty ||
        place->pins > 0) {
        return;
    }
    if (place->known) {
        idle_add(s, place);
    } else {
        place_free(s, place); // nothing was learnt of it
    }
}

void tm_places_free(tm_sqlite *s) {
    size_t at = 0;
    for (tm_table_slot *slot; (slot = tm_table_next(&s->places, &at)) != NULL;) {
        tm_place *place = slot->value;
        tm_alloc_put(s->alloc, place->refs, place->cap * sizeof(tm_ref));
        tm_alloc_put(s->alloc, place, place_size(place));
    }
    tm_table_deinit(&s->places);
}

// ---- the tail -----------------------------------------------------------------------

bool tm_place_reserve(tm_sqlite *s, tm_place *place, size_t more) {
    if (place->from + place->count + more <= place->cap) return true;
    if (place->from >=
        place->count + more) { // half is free at the front: move down
        memmove(place->refs, place->refs + place->from,
                place->count * sizeof(tm_ref));
        place->from = 0;
        return true;
    }
    size_t cap = place->cap < 4 ? 4 : place->cap;
    while (cap < place->from + place->count + more) {
        cap *= 2;
    }
    tm_ref *refs =
        s->alloc->resize(s->alloc->context, place->refs,
                         place->cap * sizeof(tm_ref), cap * sizeof(tm_ref));
    if (refs == NULL) return false;
    place->refs = refs;
    place->cap = cap;
    return true;
}

void tm_place_push(tm_place *place, tm_ref ref) {
    size_t at = place->from + place->count;
    TM_ASSERT(at < place->cap);
    place->refs[at] = ref;
    place->count++;
}

void tm_place_drop(tm_sqlite *s, tm_place *place, size_t count) {
    TM_ASSERT(count <= place->count);
    for (size_t i = 0; i < count; i++) {
        s->stats.backlog--;
        s->stats.backlog_bytes -= place->refs[place->from + i].bytes;
    }
    place->from += count;
    place->count -= count;
    if (place->count > 0) return;
    place->from = 0;
    if (place->cap <= 64) return; // a long tail was a burst: do not keep its room
    tm_alloc_put(s->alloc, place->refs, place->cap * sizeof(tm_ref));
    place->refs = NULL;
    place->cap = 0;
}

size_t tm_place_seek(const tm_place *place, uint64_t since) {
    size_t low = 0, high = place->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (place->refs[place->from + middle].last_seq < since) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// ---- at the start -------------------------------------------------------------------

// The place of a list that a journal row names.
static int place_of(tm_sqlite *s, tm_conn *conn, uint64_t id, tm_place **place) {
    sqlite3_stmt *find = tm_conn_stmt(conn, TM_SQL_LIST_KEY);
    int rc = tm_bind_u64(find, 1, id);
    if (rc == SQLITE_OK) rc = sqlite3_step(find);
    *place = NULL;
    if (rc == SQLITE_ROW) {
        tm_key key = {tm_column_bytes(find, 0), tm_column_bytes(find, 1)};
        if (key.user.len > 0 && key.user.len <= TM_KEY_USER_MAX &&
            key.list.len > 0 && key.list.len <= TM_KEY_LIST_MAX &&
            tm_column_kept(find, 0) && tm_column_kept(find, 1)) {
            *place = tm_place_get(s, key);
            rc = *place == NULL ? SQLITE_NOMEM : SQLITE_OK;
        } else {
            rc = tm_conn_damaged(conn, "lists", (int64_t)id,
                                 "no user has such a list");
        }
    }
    sqlite3_reset(find);
    return rc;
}

int tm_list_filed(tm_conn *conn, uint64_t id, uint64_t *head) {
    sqlite3_stmt *find = tm_conn_stmt(conn, TM_SQL_FILED_HEAD);
    int rc = tm_bind_u64(find, 1, id << TM_AT_SEQ_BITS);
    if (rc == SQLITE_OK) {
        rc = tm_bind_u64(find, 2, id << TM_AT_SEQ_BITS | TM_AT_SEQ_MAX);
    }
    *head = 0;
    if (rc == SQLITE_OK) rc = tm_conn_number(conn, TM_SQL_FILED_HEAD, head);
    if (rc == SQLITE_CORRUPT) {
        (void)tm_conn_damaged(conn, "batches", (int64_t)id << TM_AT_SEQ_BITS,
                              "a last_seq from here on is no number");
    }
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int tm_list_lookup(tm_conn *conn, tm_key key, uint64_t *id) {
    sqlite3_stmt *find = tm_conn_stmt(conn, TM_SQL_LIST_FIND);
    *id = 0;
    int rc = tm_bind_bytes(find, 1, key.user);
    if (rc == SQLITE_OK) rc = tm_bind_bytes(find, 2, key.list);
    if (rc == SQLITE_OK) rc = tm_conn_number(conn, TM_SQL_LIST_FIND, id);
    if (rc == SQLITE_ROW && (*id == 0 || *id > TM_LIST_ID_MAX)) rc = SQLITE_CORRUPT;
    if (rc == SQLITE_CORRUPT) {
        (void)tm_conn_damaged(conn, "lists", (int64_t)*id, "a list has no such id");
        *id = 0;
    }
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

// A row that is filed, only not deleted yet: is that the same batch? Else what is deleted
// here would be lost. It may have been trimmed since: then none is filed so low.
static int filed_look(tm_conn *conn, uint64_t id, const tm_ref *ref) {
    sqlite3_stmt *look = tm_conn_stmt(conn, TM_SQL_FILED_SAME);
    uint64_t same = 1;
    int rc = tm_bind_u64(look, 1, id << TM_AT_SEQ_BITS | ref->first_seq);
    if (rc == SQLITE_OK) rc = tm_bind_u64(look, 2, ref->n);
    if (rc == SQLITE_OK) rc = tm_conn_number(conn, TM_SQL_FILED_SAME, &same);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return rc;
    if (same == 1) return SQLITE_OK;
    return tm_conn_damaged(conn, "journal", (int64_t)ref->n,
                           "another batch is filed in its place");
}

// The numbers of a row of the journal.
static int row_read(tm_conn *conn, sqlite3_stmt *row, tm_ref *ref, uint64_t *id) {
    *ref = (tm_ref){.bytes = tm_column_bytes(row, 4).len};
    if (!tm_column_number(row, 0, &ref->n) || ref->n == 0 || ref->n > TM_ROW_MAX) {
        return tm_conn_damaged(conn, "journal", (int64_t)ref->n,
                               "a batch has no such number");
    }
    if (!tm_column_number(row, 1, id) || *id == 0 || *id > TM_LIST_ID_MAX) {
        return tm_conn_damaged(conn, "journal", (int64_t)ref->n,
                               "it is of no list");
    }
    bool numbers = tm_column_number(row, 2, &ref->first_seq) &&
                   tm_column_number(row, 3, &ref->last_seq);
    if (!numbers || ref->first_seq == 0 || ref->first_seq > TM_AT_SEQ_MAX ||
        ref->last_seq < ref->first_seq) {
        return tm_conn_damaged(conn, "journal", (int64_t)ref->n,
                               "first_seq and last_seq are no range");
    }
    return SQLITE_OK;
}

// One row of the journal, oldest first.
static int row_load(tm_sqlite *s, tm_conn *conn, sqlite3_stmt *row) {
    tm_ref ref;
    uint64_t id = 0;
    tm_place *place = NULL;
    int rc = row_read(conn, row, &ref, &id);
    if (rc == SQLITE_OK) rc = place_of(s, conn, id, &place);
    if (rc == SQLITE_DONE) {
        rc = tm_conn_damaged(conn, "journal", (int64_t)ref.n, "it is of no list");
    }
    if (rc != SQLITE_OK) return rc;
    if (!place->known) {
        rc = tm_list_filed(conn, id, &place->head);
        if (rc != SQLITE_OK) return rc;
        place->id = id;
        place->known = true;
    }
    s->journal_next = ref.n + 1;
    if (ref.last_seq <= place->head && place->count == 0) {
        rc = filed_look(conn, id, &ref);
    } else if (ref.first_seq != place->head + 1) {
        rc = tm_conn_damaged(conn, "journal", (int64_t)ref.n,
                             "it does not continue its list's batches");
    } else if (!tm_place_reserve(s, place, 1)) {
        rc = SQLITE_NOMEM;
    } else {
        tm_place_push(place, ref);
        place->head = ref.last_seq;
        s->stats.backlog++;
        s->stats.backlog_bytes += ref.bytes;
        tm_file_dirty(s, place);
    }
    tm_place_settle(s, place);
    return rc;
}

tm_status tm_place_load(tm_sqlite *s, tm_conn *conn, char problem[TM_PROBLEM_MAX]) {
    sqlite3_stmt *all = tm_conn_stmt(conn, TM_SQL_JOURNAL_ALL);
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && (rc = sqlite3_step(all)) == SQLITE_ROW) {
        rc = row_load(s, conn, all);
    }
    sqlite3_reset(all);
    if (rc == SQLITE_DONE) {
        rc = tm_conn_number(conn, TM_SQL_JOURNAL_FIRST, &s->journal_low);
        tm_file_passed(s);
        if (rc == SQLITE_ROW) return TM_OK;
    }
    tm_conn_tell(conn, rc, "the journal cannot be read", problem);
    if (tm_conn_fate(conn, rc) == TM_FATE_CORRUPT) return TM_E_CORRUPT;
    return tm_conn_fate(conn, rc) == TM_FATE_UNSURE ? TM_E_NOMEM : TM_E_IO;
}
