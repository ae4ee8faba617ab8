// storage.c - see storage.h.
#include "sim/storage.h"

#include <stdlib.h>
#include <string.h>

#include "client/words.h"
#include "sim/ram.h"

struct tm_storage_undo {
    uint64_t at_ms;
    tm_storage_record before; // value.ptr NULL: there was none
};

static const tm_span null_span = {NULL, 0};

// ---- records ------------------------------------------------------------------------

static tm_storage_record record_make(tm_span key, tm_span value) {
    uint8_t *bytes = malloc(key.len + value.len + 1);
    TM_ASSERT(bytes != NULL);
    if (key.len > 0) memcpy(bytes, key.ptr, key.len);
    if (value.len > 0) memcpy(bytes + key.len, value.ptr, value.len);
    tm_storage_record made = {{bytes, key.len}, {bytes + key.len, value.len}};
    if (value.ptr == NULL) made.value.ptr = NULL;
    return made;
}

static void record_free(tm_storage_record *record) {
    free((void *)(uintptr_t)record->key.ptr);
}

static tm_storage_record *record_find(const tm_storage_place *place, tm_span key) {
    for (size_t i = 0; i < place->count; i++) {
        tm_span other = place->items[i].key;
        if (other.len == key.len && memcmp(other.ptr, key.ptr, key.len) == 0) {
            return &place->items[i];
        }
    }
    return NULL;
}

const tm_storage_record *tm_storage_get(const tm_storage *storage, tm_place place,
                                        tm_span key) {
    return record_find(&storage->places[place], key);
}

// ---- what a killed browser loses -----------------------------------------------------

static void undo_drop(tm_storage *storage, size_t count) {
    for (size_t i = 0; i < count; i++) {
        record_free(&storage->undo[i].before);
    }
    storage->undo_count -= count;
    if (storage->undo_count == 0) return;
    memmove(storage->undo, storage->undo + count,
            storage->undo_count * sizeof *storage->undo);
}

static void undo_note(tm_storage *storage, tm_span key, tm_span before) {
    if (storage->lag_ms == 0) return;
    size_t old = 0;
    while (old < storage->undo_count &&
           storage->undo[old].at_ms + storage->lag_ms < storage->now_ms) {
        old++;
    }
    if (old > 0) undo_drop(storage, old);
    storage->undo = tm_sim_grow(storage->undo, storage->undo_count,
                                &storage->undo_cap, sizeof *storage->undo);
    storage->undo[storage->undo_count++] =
        (tm_storage_undo){storage->now_ms, record_make(key, before)};
}

// ---- changes --------------------------------------------------------------------------

static void place_put(tm_storage *storage, tm_place which, tm_span key,
                      tm_span value) {
    tm_storage_place *place = &storage->places[which];
    tm_storage_record *old = record_find(place, key),
                      before = {{NULL, 0}, {NULL, 0}};
    tm_storage_record made = record_make(key, value);
    if (old != NULL) {
        before = *old;
        *old = made;
    } else {
        place->items = tm_sim_grow(place->items, place->count, &place->cap,
                                   sizeof *place->items);
        place->items[place->count++] = made;
    }
    if (storage->changed != NULL) {
        storage->changed(storage->context, storage, which, made.key, before.value,
                         made.value);
    }
    record_free(&before);
}

static void place_remove(tm_storage *storage, tm_place which, size_t index) {
    tm_storage_place *place = &storage->places[which];
    tm_storage_record gone = place->items[index];
    place->count--;
    memmove(place->items + index, place->items + index + 1,
            (place->count - index) * sizeof *place->items);
    if (storage->changed != NULL) {
        storage->changed(storage->context, storage, which, gone.key, gone.value,
                         null_span);
    }
    record_free(&gone);
}

void tm_storage_put(tm_storage *storage, tm_place place, tm_span key,
                    tm_span value) {
    if (place == TM_PLACE_LOCAL) {
        const tm_storage_record *old = tm_storage_get(storage, place, key);
        undo_note(storage, key, old == NULL ? null_span : old->value);
    }
    place_put(storage, place, key, value);
}

void tm_storage_remove(tm_storage *storage, tm_place place, tm_span key) {
    tm_storage_record *old = record_find(&storage->places[place], key);
    if (old == NULL) return;
    if (place == TM_PLACE_LOCAL) undo_note(storage, key, old->value);
    place_remove(storage, place, (size_t)(old - storage->places[place].items));
}

static bool begins(tm_span text, tm_span prefix) {
    return text.len >= prefix.len &&
           (prefix.len == 0 || memcmp(text.ptr, prefix.ptr, prefix.len) == 0);
}

void tm_storage_clear(tm_storage *storage, tm_place place, tm_span prefix) {
    tm_storage_place *records = &storage->places[place];
    for (size_t i = records->count; i-- > 0;) {
        tm_storage_record *record = &records->items[i];
        if (!begins(record->key, prefix)) continue;
        if (place == TM_PLACE_LOCAL) undo_note(storage, record->key, record->value);
        place_remove(storage, place, i);
    }
}

void tm_storage_kill(tm_storage *storage, uint64_t lost_ms) {
    while (storage->undo_count > 0) {
        tm_storage_undo *last = &storage->undo[storage->undo_count - 1];
        if (last->at_ms + lost_ms < storage->now_ms) break;
        storage->undo_count--;
        tm_storage_record before = last->before;
        tm_storage_record *now =
            record_find(&storage->places[TM_PLACE_LOCAL], before.key);
        if (before.value.ptr != NULL) {
            place_put(storage, TM_PLACE_LOCAL, before.key, before.value);
        } else if (now != NULL) {
            place_remove(storage, TM_PLACE_LOCAL,
                         (size_t)(now - storage->places[TM_PLACE_LOCAL].items));
        }
        record_free(&before);
    }
    undo_drop(storage, storage->undo_count);
}

void tm_storage_deinit(tm_storage *storage) {
    storage->changed = NULL;
    for (int place = 0; place < 2; place++) {
        for (size_t i = 0; i < storage->places[place].count; i++) {
            record_free(&storage->places[place].items[i]);
        }
        free(storage->places[place].items);
    }
    undo_drop(storage, storage->undo_count);
    free(storage->undo);
    *storage = (tm_storage){0};
}

void tm_storage_copy(tm_storage *to, const tm_storage *from) {
    for (int place = 0; place < 2; place++) {
        for (size_t i = 0; i < from->places[place].count; i++) {
            const tm_storage_record *record = &from->places[place].items[i];
            place_put(to, (tm_place)place, record->key, record->value);
        }
    }
    undo_drop(to, to->undo_count);
}

// ---- transactions -------------------------------------------------------------------

// (generation, cursor) as stored, and whether the mark there is this; false = none is.
static bool pair_stored(const tm_storage *storage, uint64_t pair[2], tm_span mark,
                        bool *same) {
    const tm_storage_record *record =
        tm_storage_get(storage, TM_PLACE_DISK, TM_SPAN("state"));
    if (record == NULL) return false;
    tm_arena arena = {.alloc = &tm_sim_alloc};
    tm_doc doc;
    bool there = tm_doc_parse(record->value, &arena, &doc) == TM_OK &&
                 tm_doc_has(&doc, TM_WORD_GENERATION, TM_JSON_INT) &&
                 tm_doc_has(&doc, TM_WORD_CURSOR, TM_JSON_INT);
    pair[0] = there ? tm_doc_number(&doc, TM_WORD_GENERATION) : 0;
    pair[1] = there ? tm_doc_number(&doc, TM_WORD_CURSOR) : 0;
    *same = there && tm_span_cmp(doc.at[TM_WORD_MARK].text, mark) == 0;
    tm_arena_deinit(&arena);
    return there;
}

// One of ["put",key,text], ["del",key], ["clear",prefix].
static tm_status write_do(tm_storage *storage, tm_json *in, bool run) {
    tm_span word, key, value = {NULL, 0};
    tm_status status = tm_json_open(in, TM_JSON_ARRAY);
    if (status == TM_OK && !tm_json_element(in)) status = TM_E_CORRUPT;
    if (status == TM_OK) status = tm_json_string(in, &word);
    if (status == TM_OK && !tm_json_element(in)) status = TM_E_CORRUPT;
    if (status == TM_OK) status = tm_json_string(in, &key);
    if (status != TM_OK) return status;
    bool put = tm_text_is(word, "put");
    if (put && !tm_json_element(in)) return TM_E_CORRUPT;
    if (put) status = tm_json_string(in, &value);
    if (status != TM_OK || tm_json_element(in)) return TM_E_CORRUPT;
    if (!run) return TM_OK;
    if (put) {
        tm_storage_put(storage, TM_PLACE_DISK, key, value);
    } else if (tm_text_is(word, "del")) {
        tm_storage_remove(storage, TM_PLACE_DISK, key);
    } else if (tm_text_is(word, "clear")) {
        tm_storage_clear(storage, TM_PLACE_DISK, key);
    } else {
        return TM_E_CORRUPT;
    }
    return TM_OK;
}

typedef struct transaction {
    bool guarded; // it has a guard
    uint64_t pair[2];
    tm_span mark; // ptr NULL: it says none
    tm_span guarded_writes, always;
} transaction;

// tm_doc knows the words that an engine reads; these are only written by it.
static tm_status transaction_read(tm_span text, tm_arena *arena, transaction *t) {
    tm_json in;
    tm_span key;
    *t = (transaction){0};
    tm_json_init(&in, text, TM_JSON_DEPTH_MAX, arena);
    tm_status status = tm_json_open(&in, TM_JSON_OBJECT);
    while (status == TM_OK && tm_json_member(&in, &key)) {
        if (tm_text_is(key, "guarded")) {
            status = tm_json_skip(&in, &t->guarded_writes);
        } else if (tm_text_is(key, "always")) {
            status = tm_json_skip(&in, &t->always);
        } else if (!tm_text_is(key, "guard") || tm_json_peek(&in) == TM_JSON_NULL) {
            status = tm_json_skip(&in, NULL);
        } else {
            t->guarded = true;
            status = tm_json_open(&in, TM_JSON_ARRAY);
            for (int i = 0; status == TM_OK && tm_json_element(&in); i++) {
                status = i < 2    ? tm_json_u64(&in, &t->pair[i])
                         : i == 2 ? tm_json_string(&in, &t->mark)
                                  : TM_E_CORRUPT;
            }
        }
    }
    return status == TM_OK ? tm_json_end(&in) : status;
}

static tm_status list_do(tm_storage *storage, tm_span writes, tm_arena *arena,
                         bool run) {
    tm_json in;
    tm_json_init(&in, writes, TM_JSON_DEPTH_MAX, arena);
    tm_status status = tm_json_open(&in, TM_JSON_ARRAY);
    while (status == TM_OK && tm_json_element(&in)) {
        status = write_do(storage, &in, run);
    }
    return status == TM_OK ? tm_json_end(&in) : status;
}

static tm_committed transact(tm_storage *storage, tm_span text, tm_arena *arena) {
    transaction t;
    uint64_t stored[2];
    bool same;
    if (transaction_read(text, arena, &t) != TM_OK) return TM_COMMIT_FAILED;
    if (list_do(storage, t.guarded_writes, arena, false) != TM_OK ||
        list_do(storage, t.always, arena, false) != TM_OK) {
        return TM_COMMIT_FAILED; // all or nothing
    }
    bool refused = t.guarded && pair_stored(storage, stored, t.mark, &same) &&
                   (!same || t.pair[0] < stored[0] ||
                    (t.pair[0] == stored[0] && t.pair[1] <= stored[1]));
    bool run = t.guarded && !refused;
    if (list_do(storage, t.guarded_writes, arena, run) != TM_OK ||
        list_do(storage, t.always, arena, true) != TM_OK) {
        return TM_COMMIT_FAILED;
    }
    if (!refused) return TM_COMMITTED;
    return t.pair[0] != stored[0] ? TM_COMMIT_SUPERSEDED : TM_COMMIT_REFUSED;
}

tm_committed tm_storage_commit(tm_storage *storage, tm_span transaction_text,
                               uint64_t *cursor) {
    tm_arena arena = {.alloc = &tm_sim_alloc};
    tm_committed outcome = TM_COMMIT_FAILED;
    uint64_t pair[2] = {0, 0};
    if (!storage->refuses[TM_PLACE_DISK]) {
        outcome = transact(storage, transaction_text, &arena);
    }
    bool same;
    (void)pair_stored(storage, pair, null_span, &same);
    *cursor = pair[1];
    tm_arena_deinit(&arena);
    return outcome;
}

// ---- whose a record is ----------------------------------------------------------------

bool tm_storage_prefix(tm_span key, const char *prefix, tm_span *rest) {
    size_t len = strlen(prefix);
    if (key.len < len || memcmp(key.ptr, prefix, len) != 0) return false;
    *rest = (tm_span){key.ptr + len, key.len - len};
    return true;
}

tm_span tm_storage_owner(tm_span key, tm_span value, tm_arena *arena) {
    tm_span rest = {NULL, 0};
    tm_doc doc;
    if (tm_storage_prefix(key, "writer/", &rest) ||
        tm_storage_prefix(key, "lacking/", &rest)) {
        return rest;
    }
    if (!tm_storage_prefix(key, "op/", &rest)) return null_span;
    if (tm_doc_parse(value, arena, &doc) != TM_OK) return null_span;
    return doc.at[TM_WORD_WRITER].text;
}

static int span_cmp(const void *a, const void *b) {
    return tm_span_cmp(*(const tm_span *)a, *(const tm_span *)b);
}

uint64_t tm_storage_cursor(const tm_storage *storage) {
    uint64_t pair[2];
    bool same;
    return pair_stored(storage, pair, null_span, &same) ? pair[1] : 0;
}

size_t tm_storage_writers(const tm_storage *storage, const bool there[2],
                          tm_arena *arena, tm_span **writers) {
    size_t most = storage->places[0].count + storage->places[1].count, found = 0;
    tm_span *list = tm_arena_get(arena, (most + 1) * sizeof *list);
    TM_ASSERT(list != NULL);
    for (int place = 0; place < 2; place++) {
        for (size_t i = 0; there[place] && i < storage->places[place].count; i++) {
            const tm_storage_record *record = &storage->places[place].items[i];
            tm_span owner = tm_storage_owner(record->key, record->value, arena);
            if (owner.len == 0) continue;
            TM_ASSERT(tm_arena_copy(arena, owner, &list[found]) == TM_OK);
            found++;
        }
    }
    if (found > 1) qsort(list, found, sizeof *list, span_cmp);
    size_t count = 0;
    for (size_t i = 0; i < found; i++) {
        if (i == 0 || tm_span_cmp(list[i], list[i - 1]) != 0)
            list[count++] = list[i];
    }
    *writers = list;
    return count;
}
