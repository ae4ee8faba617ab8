// check_storage.c - see check_storage.h.
#include "cmd/check_storage.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/host.h"
#include "core/sort.h"

static const tm_span state_key = TM_LIT("state");
static const tm_span entry_prefix = TM_LIT("op/");
static const tm_span writer_prefix = TM_LIT("writer/");

static bool has_prefix(tm_span text, tm_span prefix) {
    return text.len >= prefix.len && memcmp(text.ptr, prefix.ptr, prefix.len) == 0;
}

// ---- records ------------------------------------------------------------------------

static tm_check_record *record_find(const tm_check_records *records, tm_span key) {
    for (size_t i = 0; i < records->count; i++) {
        if (tm_span_equal(records->items[i].key, key)) return &records->items[i];
    }
    return NULL;
}

static bool record_make(tm_check_record *record, tm_span key, tm_span value) {
    uint8_t *bytes = malloc(key.len + value.len + 1);
    if (bytes == NULL) return false;
    if (key.len > 0) memcpy(bytes, key.ptr, key.len);
    if (value.len > 0) memcpy(bytes + key.len, value.ptr, value.len);
    *record = (tm_check_record){{bytes, key.len}, {bytes + key.len, value.len}};
    return true;
}

static void record_free(tm_check_record *record) {
    free((void *)(uintptr_t)record->key.ptr);
}

static bool record_put(tm_check_records *records, tm_span key, tm_span value) {
    tm_check_record made;
    if (!record_make(&made, key, value)) return false;
    tm_check_record *old = record_find(records, key);
    if (old != NULL) {
        record_free(old);
        *old = made;
        return true;
    }
    if (records->count == records->cap) {
        size_t cap = records->cap == 0 ? 16 : 2 * records->cap;
        tm_check_record *items = realloc(records->items, cap * sizeof *items);
        if (items == NULL) {
            record_free(&made);
            return false;
        }
        records->items = items;
        records->cap = cap;
    }
    records->items[records->count++] = made;
    return true;
}

static void record_remove(tm_check_records *records, tm_check_record *record) {
    record_free(record);
    size_t behind = (size_t)(records->items + --records->count - record);
    memmove(record, record + 1, behind * sizeof *record);
}

static void records_clear(tm_check_records *records, tm_span prefix) {
    for (size_t i = records->count; i-- > 0;) {
        if (has_prefix(records->items[i].key, prefix)) {
            record_remove(records, &records->items[i]);
        }
    }
}

// ---- the whole ----------------------------------------------------------------------

void tm_check_storage_erase(tm_check_storage *storage) {
    static const tm_span all = TM_LIT("");
    records_clear(&storage->places[TM_PLACE_LOCAL], all);
    records_clear(&storage->places[TM_PLACE_DISK], all);
}

void tm_check_storage_deinit(tm_check_storage *storage) {
    tm_check_storage_erase(storage);
    free(storage->places[TM_PLACE_LOCAL].items);
    free(storage->places[TM_PLACE_DISK].items);
}

tm_status tm_check_storage_copy(tm_check_storage *to,
                                const tm_check_storage *from) {
    for (unsigned place = 0; place < 2; place++) {
        const tm_check_records *records = &from->places[place];
        for (size_t i = 0; i < records->count; i++) {
            if (!record_put(&to->places[place], records->items[i].key,
                            records->items[i].value)) {
                return TM_E_NOMEM;
            }
        }
    }
    return TM_OK;
}

bool tm_check_storage_keep(tm_check_storage *storage, tm_span key, tm_span value) {
    return !storage->full &&
           record_put(&storage->places[TM_PLACE_LOCAL], key, value);
}

void tm_check_storage_forget(tm_check_storage *storage, tm_span key) {
    tm_check_records *records = &storage->places[TM_PLACE_LOCAL];
    tm_check_record *record = record_find(records, key);
    if (record != NULL) record_remove(records, record);
}

// ---- transactions -------------------------------------------------------------------

// (generation, cursor) as stored; false = none is.
static bool pair_stored(const tm_check_records *disk, uint64_t pair[2],
                        const tm_node *mark, bool *same) {
    const tm_check_record *record = record_find(disk, state_key);
    if (record == NULL) return false;
    tm_arena arena = {.alloc = &tm_host_alloc};
    const tm_node *state = NULL;
    bool there = tm_tree_read(record->value, &arena, &state, NULL) == TM_OK &&
                 tm_node_u64(tm_node_get(state, "generation"), &pair[0]) &&
                 tm_node_u64(tm_node_get(state, "cursor"), &pair[1]);
    const tm_node *its = tm_node_get(state, "mark");
    tm_span none = {NULL, 0};
    *same = tm_span_cmp(its == NULL ? none : its->text,
                        mark == NULL ? none : mark->text) == 0;
    tm_arena_deinit(&arena);
    return there;
}

// One of ["put",key,text], ["del",key], ["clear",prefix].
static bool write_do(tm_check_records *disk, const tm_node *write) {
    const tm_node *word = write->first;
    if (!tm_node_is(write, TM_JSON_ARRAY) || write->count < 2) return false;
    tm_span key = tm_node_text(word->next);
    if (key.ptr == NULL) return false;
    if (tm_node_says(word, "put")) {
        tm_span text = tm_node_text(word->next->next);
        return text.ptr != NULL && record_put(disk, key, text);
    }
    if (tm_node_says(word, "clear")) {
        records_clear(disk, key);
        return true;
    }
    tm_check_record *record = record_find(disk, key);
    if (record != NULL) record_remove(disk, record);
    return tm_node_says(word, "del");
}

static bool writes_do(tm_check_records *disk, const tm_node *writes) {
    for (const tm_node *write = writes == NULL ? NULL : writes->first;
         write != NULL; write = write->next) {
        if (!write_do(disk, write)) return false;
    }
    return true;
}

// Does what a browser would: all of it or, where it is not understood, nothing of use.
static tm_committed transact(tm_check_records *disk, const tm_node *transaction) {
    const tm_node *guard = tm_node_get(transaction, "guard");
    tm_committed outcome = TM_COMMITTED;
    if (tm_node_is(guard, TM_JSON_ARRAY)) {
        uint64_t ours[2], stored[2];
        bool same;
        if (guard->count != 3 || !tm_node_u64(guard->first, &ours[0]) ||
            !tm_node_u64(guard->first->next, &ours[1])) {
            return TM_COMMIT_FAILED;
        }
        bool refused = pair_stored(disk, stored, guard->first->next->next, &same) &&
                       (!same || ours[0] < stored[0] ||
                        (ours[0] == stored[0] && ours[1] <= stored[1]));
        if (refused) {
            outcome =
                ours[0] != stored[0] ? TM_COMMIT_SUPERSEDED : TM_COMMIT_REFUSED;
        } else if (!writes_do(disk, tm_node_get(transaction, "guarded"))) {
            return TM_COMMIT_FAILED;
        }
    }
    if (!writes_do(disk, tm_node_get(transaction, "always")))
        return TM_COMMIT_FAILED;
    return outcome;
}

tm_committed tm_check_storage_commit(tm_check_storage *storage,
                                     const tm_node *transaction, uint64_t *cursor) {
    tm_check_records *disk = &storage->places[TM_PLACE_DISK];
    tm_committed outcome =
        storage->full ? TM_COMMIT_FAILED : transact(disk, transaction);
    uint64_t pair[2];
    bool same;
    *cursor = pair_stored(disk, pair, NULL, &same) ? pair[1] : 0;
    return outcome;
}

// ---- damage -------------------------------------------------------------------------

// When an entry was made: the stamp of its first operation that is still to be sent. One
// whose operations were all accepted, or became offers, is none of the queue any more.
typedef struct entry_time {
    uint64_t timestamp, logical, version;
} entry_time;

static bool is_offered(const tm_node *entry, uint64_t index) {
    const tm_node *offered = tm_node_get(entry, "offered");
    const tm_node *one = offered == NULL ? NULL : offered->first;
    for (uint64_t number; one != NULL; one = one->next) {
        if (tm_node_u64(one, &number) && number == index) return true;
    }
    return false;
}

static bool time_find(const tm_node *entry, entry_time *time) {
    const tm_node *ops = tm_node_get(entry, "operations");
    const tm_node *op = ops == NULL ? NULL : ops->first;
    for (uint64_t index = 0; op != NULL; op = op->next, index++) {
        if (tm_node_get(op, "seq") != NULL || is_offered(entry, index)) continue;
        *time = (entry_time){0};
        (void)tm_node_u64(tm_node_get(op, "logical"), &time->logical);
        return tm_node_u64(tm_node_get(op, "timestamp"), &time->timestamp) &&
               tm_node_u64(tm_node_get(op, "version"), &time->version);
    }
    return false;
}

static bool time_less(const entry_time *a, const entry_time *b) {
    if (a->timestamp != b->timestamp) return a->timestamp < b->timestamp;
    if (a->logical != b->logical) return a->logical < b->logical;
    return a->version < b->version;
}

static bool record_time(const tm_check_record *record, entry_time *time) {
    tm_arena arena = {.alloc = &tm_host_alloc};
    const tm_node *root = NULL;
    bool found = tm_tree_read(record->value, &arena, &root, NULL) == TM_OK &&
                 time_find(root, time);
    tm_arena_deinit(&arena);
    return found;
}

// Whether the other place has it too; then it is counted there.
static bool counted(const tm_check_storage *storage, unsigned place, tm_span key) {
    return place == TM_PLACE_LOCAL &&
           record_find(&storage->places[TM_PLACE_DISK], key) != NULL;
}

// How many entries were made before this one.
static uint64_t entries_before(const tm_check_storage *storage,
                               const entry_time *time) {
    uint64_t count = 0;
    for (unsigned place = 0; place < 2; place++) {
        const tm_check_records *records = &storage->places[place];
        for (size_t i = 0; i < records->count; i++) {
            const tm_check_record *record = &records->items[i];
            entry_time other;
            if (!has_prefix(record->key, entry_prefix)) continue;
            if (counted(storage, place, record->key)) continue;
            if (record_time(record, &other) && time_less(&other, time)) count++;
        }
    }
    return count;
}

static void entry_spoil(tm_check_storage *storage, tm_span key) {
    for (unsigned place = 0; place < 2; place++) {
        tm_check_record *record = record_find(&storage->places[place], key);
        if (record != NULL) record->value.len /= 2; // as a torn write leaves it
    }
}

bool tm_check_storage_lose(tm_check_storage *storage, uint64_t nth) {
    for (unsigned place = 0; place < 2; place++) {
        const tm_check_records *records = &storage->places[place];
        for (size_t i = 0; i < records->count; i++) {
            const tm_check_record *record = &records->items[i];
            entry_time time;
            if (!has_prefix(record->key, entry_prefix)) continue;
            if (counted(storage, place, record->key)) continue;
            if (!record_time(record, &time)) continue;
            if (entries_before(storage, &time) + 1 != nth) continue;
            entry_spoil(storage, record->key);
            return true;
        }
    }
    return false;
}

// ---- writers ------------------------------------------------------------------------

static int span_cmp(const void *a, const void *b) {
    return tm_span_cmp(*(const tm_span *)a, *(const tm_span *)b);
}

tm_status tm_check_storage_writers(const tm_check_storage *storage, tm_arena *arena,
                                   tm_span **writers, size_t *count) {
    size_t most = storage->places[0].count + storage->places[1].count;
    tm_span *list = tm_arena_get(arena, most * sizeof *list);
    if (list == NULL) return TM_E_NOMEM;
    size_t found = 0;
    for (unsigned place = 0; place < 2; place++) {
        const tm_check_records *records = &storage->places[place];
        for (size_t i = 0; i < records->count; i++) {
            tm_span key = records->items[i].key;
            if (!has_prefix(key, writer_prefix)) continue;
            tm_span id = {key.ptr + writer_prefix.len, key.len - writer_prefix.len};
            tm_status status = tm_arena_copy(arena, id, &list[found]);
            if (status != TM_OK) return status;
            found++;
        }
    }
    qsort(list, found, sizeof *list, span_cmp);
    *count = 0;
    for (size_t i = 0; i < found; i++) {
        if (i == 0 || !tm_span_equal(list[i], list[i - 1]))
            list[(*count)++] = list[i];
    }
    *writers = list;
    return TM_OK;
}
