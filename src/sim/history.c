// history.c - see history.h.
#include "sim/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/words.h"
#include "sim/plain.h"
#include "sim/ram.h"
#include "sim/random.h"

typedef struct writer {
    uint8_t *name;
    size_t name_len;
    uint64_t version, time;
    uint64_t *rejected; // versions that were used up
    size_t rejected_count, rejected_cap;
} writer;

struct tm_sim_history {
    tm_sim_entry *entries;
    size_t count, cap;
    writer *writers;
    size_t writer_count, writer_cap;
    tm_table ids; // id -> entry number + 1
    tm_list *list;
    bool lenient;
    uint64_t floor;
};

static const tm_seed fixed = {7, 9};

tm_sim_history *tm_sim_history_new(void) {
    tm_sim_history *history = calloc(1, sizeof *history);
    TM_ASSERT(history != NULL);
    tm_table_init(&history->ids, &tm_sim_alloc, fixed);
    TM_ASSERT(tm_list_new(&tm_sim_alloc, fixed, &history->list) == TM_OK);
    return history;
}

void tm_sim_history_free(tm_sim_history *history) {
    if (history == NULL) return;
    for (size_t i = 0; i < history->count; i++) {
        free(history->entries[i].raw);
    }
    for (size_t i = 0; i < history->writer_count; i++) {
        free(history->writers[i].name);
        free(history->writers[i].rejected);
    }
    free(history->entries);
    free(history->writers);
    tm_table_deinit(&history->ids);
    tm_list_free(history->list);
    free(history);
}

uint64_t tm_sim_history_head(const tm_sim_history *history) {
    return history->count;
}

const tm_sim_entry *tm_sim_history_at(const tm_sim_history *history, uint64_t seq) {
    return seq == 0 || seq > history->count ? NULL : &history->entries[seq - 1];
}

uint64_t tm_sim_history_find(const tm_sim_history *history, tm_span id) {
    return (uint64_t)(uintptr_t)tm_table_get(&history->ids, id);
}

const tm_list *tm_sim_history_list(const tm_sim_history *history) {
    return history->list;
}

tm_digest tm_sim_history_digest(const tm_sim_history *history, uint64_t seq) {
    return seq == 0 ? (tm_digest){0} : history->entries[seq - 1].after;
}

// ---- adding -------------------------------------------------------------------------

static writer *writer_get(tm_sim_history *history, tm_span name) {
    for (size_t i = 0; i < history->writer_count; i++) {
        writer *w = &history->writers[i];
        if (w->name_len == name.len && memcmp(w->name, name.ptr, name.len) == 0) {
            return w;
        }
    }
    history->writers = tm_sim_grow(history->writers, history->writer_count,
                                   &history->writer_cap, sizeof *history->writers);
    writer *fresh = &history->writers[history->writer_count++];
    *fresh = (writer){.name = tm_sim_copy(name), .name_len = name.len};
    return fresh;
}

static bool was_rejected(const writer *w, uint64_t version) {
    for (size_t i = 0; i < w->rejected_count; i++) {
        if (w->rejected[i] == version) return true;
    }
    return false;
}

void tm_sim_history_reject(tm_sim_history *history, tm_span browser,
                           uint64_t version) {
    writer *w = writer_get(history, browser);
    if (was_rejected(w, version)) return;
    w->rejected = tm_sim_grow(w->rejected, w->rejected_count, &w->rejected_cap,
                              sizeof *w->rejected);
    w->rejected[w->rejected_count++] = version;
}

void tm_sim_history_lenient(tm_sim_history *history) {
    history->lenient = true;
}

void tm_sim_history_fold(tm_sim_history *history, uint64_t floor) {
    if (floor > history->floor) history->floor = floor;
}

#define REMEMBERED 100u // decided versions of a writer: SEMANTICS 5

static bool forgotten(tm_sim_history *history, uint64_t seq) {
    if (seq > history->floor) return false;
    const tm_sim_entry *entry = &history->entries[seq - 1];
    const writer *w = writer_get(history, entry->browser);
    uint64_t last = w->version;
    for (size_t i = 0; i < w->rejected_count; i++) {
        if (w->rejected[i] > last) last = w->rejected[i];
    }
    return last >= entry->version + REMEMBERED;
}

static void rejected_read(tm_sim_history *history, tm_span text, tm_arena *arena) {
    tm_json in;
    if (text.len == 0) return;
    tm_json_init(&in, text, TM_JSON_DEPTH_MAX, arena);
    if (tm_json_open(&in, TM_JSON_ARRAY) != TM_OK) return;
    while (tm_json_element(&in)) {
        tm_span raw;
        if (tm_json_skip(&in, &raw) != TM_OK) return;
        // `browserId` is a word that tm_doc does not read.
        tm_json one;
        tm_span key, browser = {NULL, 0};
        uint64_t version = 0;
        tm_json_init(&one, raw, TM_JSON_DEPTH_MAX, arena);
        if (tm_json_open(&one, TM_JSON_OBJECT) != TM_OK) return;
        while (tm_json_member(&one, &key)) {
            if (tm_text_is(key, "browserId")) {
                tm_json_kept(tm_json_string(&one, &browser));
            } else if (tm_text_is(key, "version")) {
                tm_json_kept(tm_json_u64(&one, &version));
            } else {
                tm_json_kept(tm_json_skip(&one, NULL));
            }
        }
        if (browser.ptr == NULL || one.status != TM_OK) continue;
        tm_sim_history_reject(history, browser, version);
    }
}

static int say(char why[256], int number, const char *what, const tm_op *op) {
    (void)snprintf(why, 256, "%s: %.*s, version %llu of %.*s, seq %llu", what,
                   (int)op->id.len, (const char *)op->id.ptr,
                   (unsigned long long)op->at.version, (int)op->at.browser.len,
                   (const char *)op->at.browser.ptr, (unsigned long long)op->seq);
    return number;
}

static int op_judge(tm_sim_history *history, const tm_op *op, char why[256]) {
    if (op->seq != history->count + 1) return say(why, 2, "a hole in seq", op);
    uint64_t seq = tm_sim_history_find(history, op->id);
    if (seq != 0 && !forgotten(history, seq)) {
        return say(why, 3, "an id twice in the log", op);
    }
    writer *w = writer_get(history, op->at.browser);
    if (op->at.version <= w->version) {
        return say(why, 4, "a version that was used before", op);
    }
    for (uint64_t v = w->version + 1; v < op->at.version; v++) {
        if (history->lenient) break;
        if (op->at.version - v > 1000 || !was_rejected(w, v)) {
            return say(why, 4, "a version was left out", op);
        }
    }
    if (w->version != 0 && op->at.time <= w->time) {
        return say(why, 9, "not later than its writer's last", op);
    }
    w->version = op->at.version;
    w->time = op->at.time;
    return 0;
}

static void op_keep(tm_sim_history *history, const tm_op *op) {
    uint64_t before =
        history->count == 0 ? 0 : history->entries[history->count - 1].max_time;
    history->entries = tm_sim_grow(history->entries, history->count, &history->cap,
                                   sizeof *history->entries);
    tm_sim_entry *entry = &history->entries[history->count];
    entry->raw = tm_sim_copy(op->raw);
    entry->raw_len = op->raw.len;
    entry->version = op->at.version;
    entry->time = op->at.time;
    // An id and a browserId have no escapes: they stand in the operation's own bytes.
    entry->id = (tm_span){entry->raw + (op->id.ptr - op->raw.ptr), op->id.len};
    entry->browser = (tm_span){entry->raw + (op->at.browser.ptr - op->raw.ptr),
                               op->at.browser.len};
    entry->max_time = op->at.time > before ? op->at.time : before;
    TM_ASSERT(tm_list_apply(history->list, op, NULL) == TM_OK);
    entry->after = tm_list_digest(history->list);
    history->count++;
    TM_ASSERT(tm_table_set(&history->ids, entry->id,
                           (void *)(uintptr_t)history->count) == TM_OK);
}

void tm_sim_history_add(tm_sim_history *history, const tm_batch *batch, int *wrong,
                        char why[256], void (*each)(void *context, const tm_op *op),
                        void *context) {
    tm_arena arena = {.alloc = &tm_sim_alloc};
    tm_json in;
    tm_op op;
    *wrong = 0;
    if (batch->first_seq != history->count + 1) {
        *wrong = 2;
        (void)snprintf(why, 256, "a batch begins at %llu, and the head is %zu",
                       (unsigned long long)batch->first_seq, history->count);
        return;
    }
    rejected_read(history, batch->rejected, &arena);
    tm_json_init(&in, batch->operations, TM_JSON_DEPTH_MAX, &arena);
    tm_status status = tm_json_open(&in, TM_JSON_ARRAY);
    while (*wrong == 0 && status == TM_OK && tm_json_element(&in)) {
        status = tm_op_read(&in, &op);
        if (status != TM_OK || op.fault != TM_FAULT_NONE) break;
        bool inside =
            op.id.ptr >= op.raw.ptr && op.id.ptr < op.raw.ptr + op.raw.len;
        bool named = op.at.browser.ptr >= op.raw.ptr &&
                     op.at.browser.ptr < op.raw.ptr + op.raw.len;
        if (!inside || !named) { // written with escapes: nobody here does
            status = TM_E_CORRUPT;
            break;
        }
        *wrong = op_judge(history, &op, why);
        if (*wrong != 0) break;
        op_keep(history, &op);
        if (each != NULL) each(context, &op);
    }
    if (*wrong == 0 && (status != TM_OK || history->count != batch->last_seq)) {
        *wrong = 2;
        (void)snprintf(why, 256, "a batch of seqs %llu to %llu does not read",
                       (unsigned long long)batch->first_seq,
                       (unsigned long long)batch->last_seq);
    }
    tm_arena_deinit(&arena);
}

bool tm_sim_history_same(const tm_sim_history *history, const tm_batch *batch,
                         bool *fresh) {
    *fresh = batch->last_seq > history->count;
    if (*fresh) return batch->first_seq == history->count + 1;
    tm_arena arena = {.alloc = &tm_sim_alloc};
    tm_json in;
    tm_span raw;
    uint64_t seq = batch->first_seq;
    tm_json_init(&in, batch->operations, TM_JSON_DEPTH_MAX, &arena);
    bool same = tm_json_open(&in, TM_JSON_ARRAY) == TM_OK;
    for (; same && tm_json_element(&in); seq++) {
        const tm_sim_entry *entry = tm_sim_history_at(history, seq);
        same = tm_json_skip(&in, &raw) == TM_OK && entry != NULL &&
               entry->raw_len == raw.len &&
               memcmp(entry->raw, raw.ptr, raw.len) == 0;
    }
    tm_arena_deinit(&arena);
    return same && seq == batch->last_seq + 1;
}

static void entry_read(const tm_sim_entry *entry, tm_arena *arena, tm_op *op) {
    tm_json in;
    tm_json_init(&in, (tm_span){entry->raw, entry->raw_len}, TM_JSON_DEPTH_MAX,
                 arena);
    TM_ASSERT(tm_op_read(&in, op) == TM_OK); // it was read before
}

tm_sim_history *tm_sim_history_copy(const tm_sim_history *history) {
    tm_sim_history *copy = tm_sim_history_new();
    copy->lenient = history->lenient;
    copy->floor = history->floor;
    tm_arena arena = {.alloc = &tm_sim_alloc};
    for (size_t i = 0; i < history->count; i++) {
        tm_op op;
        entry_read(&history->entries[i], &arena, &op);
        op_keep(copy, &op);
        tm_arena_reset(&arena);
    }
    for (size_t i = 0; i < history->writer_count; i++) {
        const writer *from = &history->writers[i];
        writer *to = writer_get(copy, (tm_span){from->name, from->name_len});
        to->version = from->version;
        to->time = from->time;
        for (size_t k = 0; k < from->rejected_count; k++) {
            to->rejected = tm_sim_grow(to->rejected, to->rejected_count,
                                       &to->rejected_cap, sizeof *to->rejected);
            to->rejected[to->rejected_count++] = from->rejected[k];
        }
    }
    tm_arena_deinit(&arena);
    return copy;
}

tm_list *tm_sim_history_prefix(const tm_sim_history *history, uint64_t seq) {
    tm_arena arena = {.alloc = &tm_sim_alloc};
    tm_list *list;
    TM_ASSERT(tm_list_new(&tm_sim_alloc, fixed, &list) == TM_OK);
    for (size_t i = 0; i < seq && i < history->count; i++) {
        tm_op op;
        entry_read(&history->entries[i], &arena, &op);
        TM_ASSERT(tm_list_apply(list, &op, NULL) == TM_OK);
        tm_arena_reset(&arena);
    }
    tm_arena_deinit(&arena);
    return list;
}

uint64_t tm_sim_history_lacks(const tm_sim_history *history, const tm_list *list,
                              uint64_t seq) {
    tm_arena arena = {.alloc = &tm_sim_alloc};
    tm_list *copy;
    uint64_t lacks = 0;
    TM_ASSERT(tm_list_new(&tm_sim_alloc, fixed, &copy) == TM_OK);
    TM_ASSERT(tm_list_join(copy, list) == TM_OK);
    for (size_t i = 0; lacks == 0 && i < seq && i < history->count; i++) {
        tm_op op;
        bool changed = false;
        entry_read(&history->entries[i], &arena, &op);
        TM_ASSERT(tm_list_apply(copy, &op, &changed) == TM_OK);
        if (changed) lacks = i + 1;
        tm_arena_reset(&arena);
    }
    tm_list_free(copy);
    tm_arena_deinit(&arena);
    return lacks;
}

// ---- in another order -------------------------------------------------------------------

static bool lists_equal(const tm_list *a, const tm_list *b) {
    tm_buf x = {.alloc = &tm_sim_alloc}, y = {.alloc = &tm_sim_alloc};
    tm_list_write(a, &x);
    tm_list_write(b, &y);
    bool same = tm_span_cmp(tm_buf_span(&x), tm_buf_span(&y)) == 0;
    tm_buf_deinit(&x);
    tm_buf_deinit(&y);
    return same;
}

static size_t *order_draw(size_t count, tm_sim_random *random) {
    size_t *order = malloc((count + 1) * sizeof *order);
    TM_ASSERT(order != NULL);
    for (size_t i = 0; i < count; i++) {
        order[i] = i;
    }
    for (size_t i = count; i > 1; i--) {
        size_t k = tm_sim_below(random, i), swap = order[k];
        order[k] = order[i - 1];
        order[i - 1] = swap;
    }
    return order;
}

bool tm_sim_history_shuffled(const tm_sim_history *history, uint64_t seed,
                             char why[256]) {
    tm_sim_random random = {seed};
    size_t *order = order_draw(history->count, &random);
    tm_arena arena = {.alloc = &tm_sim_alloc};
    tm_plain *plain = tm_plain_new();
    tm_list *list;
    TM_ASSERT(tm_list_new(&tm_sim_alloc, fixed, &list) == TM_OK);
    for (size_t i = 0; i < history->count; i++) {
        tm_op op;
        entry_read(&history->entries[order[i]], &arena, &op);
        TM_ASSERT(tm_list_apply(list, &op, NULL) == TM_OK);
        if (tm_sim_below(&random, 4) == 0) {
            TM_ASSERT(tm_list_apply(list, &op, NULL) == TM_OK);
        }
        tm_plain_apply(plain, &op);
        tm_arena_reset(&arena);
    }
    bool same = lists_equal(list, history->list);
    if (!same)
        (void)snprintf(why, 256,
                       "joined in another order the log is not the state");
    if (same && !tm_plain_equal(plain, history->list, why)) same = false;
    tm_plain_free(plain);
    tm_list_free(list);
    tm_arena_deinit(&arena);
    free(order);
    return same;
}
