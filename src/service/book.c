// book.c - see book.h.
#include "service/book.h"

#include "core/buf.h"
#include "core/sort.h"

#include <string.h>

#define SLOT_BITS     7u // TM_DECISIONS_MAX slots fit
#define INDEX_CAP_MIN 16u

#define PAGE_SIZE (TM_DECISION_PAGE * sizeof(tm_decision))

_Static_assert(TM_DECISIONS_MAX <= 1u << SLOT_BITS, "a slot's number must fit");

// The keys are fixed: a hash is stored, and another build must find it again.
tm_id_hash tm_id_hash_of(tm_span id) {
    static const tm_seed low = {0x746964656d61726b, 0x6f7065726174696f};
    static const tm_seed high = {0x6c65646765722069, 0x6e64657820686967};
    tm_id_hash hash = {tm_hash(low, id), tm_hash(high, id)};
    if (hash.lo == 0 && hash.hi == 0) hash.lo = 1; // zero means: nothing here
    return hash;
}

void tm_book_init(tm_book *book, const tm_alloc *alloc, tm_seed seed) {
    *book = (tm_book){.alloc = alloc, .seed = seed};
    tm_table_init(&book->by_browser, alloc, seed);
}

static void writer_free(const tm_book *book, tm_writer *writer) {
    for (size_t i = 0; i < TM_DECISION_PAGES; i++) {
        tm_alloc_put(book->alloc, writer->recent[i], PAGE_SIZE);
    }
    tm_alloc_put(book->alloc, writer, sizeof *writer + writer->browser.len);
}

void tm_book_deinit(tm_book *book) {
    if (book == NULL || book->alloc == NULL) return;
    for (uint32_t i = 0; i < book->count; i++) {
        writer_free(book, book->writers[i]);
    }
    tm_alloc_put(book->alloc, book->writers, book->cap * sizeof(tm_writer *));
    tm_alloc_put(book->alloc, book->index, book->index_cap * sizeof(uint32_t));
    tm_table_deinit(&book->by_browser);
    *book = (tm_book){.alloc = NULL};
}

tm_writer *tm_book_writer(const tm_book *book, tm_span browser) {
    return tm_table_get(&book->by_browser, browser);
}

static tm_status writers_grow(tm_book *book) {
    if (book->count < book->cap) return TM_OK;
    uint32_t cap = book->cap == 0 ? 4 : 2 * book->cap;
    if (cap > UINT32_MAX >> SLOT_BITS)
        return TM_E_NOMEM; // a handle could not name it
    void *writers = book->alloc->resize(book->alloc->context, book->writers,
                                        book->cap * sizeof(tm_writer *),
                                        cap * sizeof(tm_writer *));
    if (writers == NULL) return TM_E_NOMEM;
    book->writers = writers;
    book->cap = cap;
    return TM_OK;
}

tm_status tm_book_writer_add(tm_book *book, tm_span browser, tm_writer **writer) {
    tm_status status = writers_grow(book);
    if (status != TM_OK) return status;
    tm_writer *fresh = tm_alloc_get(book->alloc, sizeof *fresh + browser.len);
    if (fresh == NULL) return TM_E_NOMEM;
    memcpy(fresh + 1, browser.ptr, browser.len);
    fresh->browser = (tm_span){(uint8_t *)(fresh + 1), browser.len};
    fresh->number = book->count;
    status = tm_table_set(&book->by_browser, fresh->browser, fresh);
    if (status != TM_OK) {
        writer_free(book, fresh);
        return status;
    }
    book->writers[book->count++] = fresh;
    *writer = fresh;
    return TM_OK;
}

void tm_book_writer_drop(tm_book *book, tm_writer *writer) {
    TM_ASSERT(writer->number + 1 == book->count && writer->version == 0);
    (void)tm_table_remove(&book->by_browser, writer->browser);
    book->count--;
    writer_free(book, writer);
}

// ---- the index ----------------------------------------------------------------------

static uint32_t handle_of(const tm_writer *writer, uint32_t slot) {
    return (writer->number << SLOT_BITS | slot) + 1;
}

// NULL: there is no room for it yet.
static tm_decision *slot_get(const tm_writer *writer, uint32_t slot) {
    tm_decision *page = writer->recent[slot / TM_DECISION_PAGE];
    return page == NULL ? NULL : &page[slot % TM_DECISION_PAGE];
}

static const tm_decision *handle_get(const tm_book *book, uint32_t handle) {
    const tm_writer *writer = book->writers[(handle - 1) >> SLOT_BITS];
    return slot_get(writer, (handle - 1) & ((1u << SLOT_BITS) - 1));
}

static bool same_id(tm_id_hash a, tm_id_hash b) {
    return a.lo == b.lo && a.hi == b.hi;
}

// Multiplying by a secret odd number and taking the upper bits is enough: whoever knows
// the hashes still cannot choose which of them meet.
static size_t home_of(const tm_book *book, tm_id_hash id) {
    uint64_t mixed = (id.lo ^ book->seed.lo) * (book->seed.hi | 1);
    return (size_t)(mixed >> 32) & (book->index_cap - 1);
}

const tm_decision *tm_book_find(const tm_book *book, tm_id_hash id) {
    if (book->index_count == 0) return NULL;
    size_t mask = book->index_cap - 1;
    for (size_t i = home_of(book, id); book->index[i] != 0; i = (i + 1) & mask) {
        const tm_decision *decision = handle_get(book, book->index[i]);
        if (same_id(decision->id, id)) return decision;
    }
    return NULL;
}

static void index_put(tm_book *book, uint32_t handle) {
    size_t mask = book->index_cap - 1,
           i = home_of(book, handle_get(book, handle)->id);
    while (book->index[i] != 0) {
        i = (i + 1) & mask;
    }
    book->index[i] = handle;
    book->index_count++;
}

// Takes the handle out, and shifts back what stood behind it.
static void index_remove(tm_book *book, uint32_t handle) {
    size_t mask = book->index_cap - 1;
    size_t hole = home_of(book, handle_get(book, handle)->id);
    while (book->index[hole] != handle) {
        TM_ASSERT(book->index[hole] != 0);
        hole = (hole + 1) & mask;
    }
    for (size_t i = (hole + 1) & mask; book->index[i] != 0; i = (i + 1) & mask) {
        size_t home = home_of(book, handle_get(book, book->index[i])->id);
        if (((i - home) & mask) < ((i - hole) & mask)) continue;
        book->index[hole] = book->index[i];
        hole = i;
    }
    book->index[hole] = 0;
    book->index_count--;
}

static tm_status index_reserve(tm_book *book, size_t count) {
    size_t cap = book->index_cap < INDEX_CAP_MIN ? INDEX_CAP_MIN : book->index_cap;
    while (cap / 4 * 3 < count) {
        cap *= 2;
    }
    if (cap == book->index_cap) return TM_OK;
    uint32_t *index = tm_alloc_get(book->alloc, cap * sizeof *index);
    if (index == NULL) return TM_E_NOMEM;
    uint32_t *old = book->index;
    size_t old_cap = book->index_cap;
    book->index = index;
    book->index_cap = cap;
    book->index_count = 0;
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i] != 0) index_put(book, old[i]);
    }
    tm_alloc_put(book->alloc, old, old_cap * sizeof *old);
    return TM_OK;
}

// ---- decisions ----------------------------------------------------------------------

static uint32_t slot_of(uint64_t version) {
    return (uint32_t)((version - 1) % TM_DECISIONS_MAX);
}

tm_status tm_book_reserve(tm_book *book, tm_writer *writer, uint64_t version,
                          size_t pending) {
    TM_ASSERT(version > 0);
    tm_decision **page = &writer->recent[slot_of(version) / TM_DECISION_PAGE];
    if (*page == NULL) *page = tm_alloc_get(book->alloc, PAGE_SIZE);
    if (*page == NULL) return TM_E_NOMEM;
    return index_reserve(book, book->index_count + pending + 1);
}

static bool decision_none(const tm_decision *decision) {
    return decision->id.lo == 0 && decision->id.hi == 0;
}

static void slot_clear(tm_book *book, tm_writer *writer, uint32_t slot) {
    tm_decision *decision = slot_get(writer, slot);
    if (decision == NULL || decision_none(decision)) return;
    index_remove(book, handle_of(writer, slot));
    if (decision->seq != 0) tm_clock_seen(&book->forgotten, decision->time);
    *decision = (tm_decision){{0, 0}, 0, 0};
}

void tm_book_put(tm_book *book, tm_writer *writer, uint64_t version,
                 const tm_decision *decision) {
    if (writer->version >= version + TM_DECISIONS_MAX) return; // long past
    uint32_t slot = slot_of(version);
    tm_decision *place = slot_get(writer, slot);
    TM_ASSERT(place != NULL && book->index_count < book->index_cap);
    // A hole, where rejections were never stored: what stands in the slots jumped over is
    // of versions long past.
    uint64_t hole = writer->version + 1;
    if (version > TM_DECISIONS_MAX && hole < version - TM_DECISIONS_MAX) {
        hole = version - TM_DECISIONS_MAX;
    }
    for (; hole < version; hole++) {
        slot_clear(book, writer, slot_of(hole));
    }
    slot_clear(book, writer, slot);
    *place = *decision;
    if (!decision_none(decision)) index_put(book, handle_of(writer, slot));
    if (version > writer->version) writer->version = version;
    if (decision->seq == 0) return;
    tm_clock_seen(&writer->last, decision->time);
    tm_clock_seen(&book->clock, decision->time);
}

const tm_decision *tm_book_at(const tm_writer *writer, uint64_t version) {
    if (version == 0 || version > writer->version ||
        writer->version - version >= TM_DECISIONS_MAX) {
        return NULL;
    }
    const tm_decision *decision = slot_get(writer, slot_of(version));
    return decision == NULL || decision_none(decision) ? NULL : decision;
}

// ---- the draft ----------------------------------------------------------------------

void tm_book_draft(tm_book *book) {
    book->draft++;
    book->draft_clock = book->clock;
}

uint64_t tm_book_draft_version(const tm_book *book, const tm_writer *writer) {
    return writer->draft == book->draft ? writer->draft_version : writer->version;
}

tm_clock tm_book_draft_last(const tm_book *book, const tm_writer *writer) {
    return writer->draft == book->draft ? writer->draft_last : writer->last;
}

void tm_book_draft_set(tm_book *book, tm_writer *writer, uint64_t version,
                       tm_clock last) {
    writer->draft = book->draft;
    writer->draft_version = version;
    writer->draft_last = last;
}

// ---- writing ------------------------------------------------------------------------

static int writer_cmp(const void *a, const void *b) {
    const tm_writer *x = a, *y = b;
    return tm_span_cmp(x->browser, y->browser);
}

tm_status tm_book_write_vector(const tm_book *book, tm_arena *arena, tm_buf *out) {
    const void **sorted = tm_arena_get(arena, book->count * sizeof *sorted);
    if (sorted == NULL) return TM_E_NOMEM;
    size_t count = 0;
    for (uint32_t i = 0; i < book->count; i++) {
        if (book->writers[i]->version > 0) sorted[count++] = book->writers[i];
    }
    tm_sort(sorted, count, writer_cmp);
    tm_buf_byte(out, '{');
    for (size_t i = 0; i < count; i++) {
        const tm_writer *writer = sorted[i];
        if (i > 0) tm_buf_byte(out, ',');
        tm_buf_json(out, writer->browser);
        tm_buf_byte(out, ':');
        tm_buf_u64(out, writer->version);
    }
    tm_buf_byte(out, '}');
    return out->status;
}
