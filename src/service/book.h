// book.h - a list's bookkeeping of its writers: who has got how far, whose clock stands
// where, and what was decided lately.
//
// Of each writer the last TM_DECISIONS_MAX decided versions are remembered: a hash of the
// operation's id, its seq and effective stamp, or why it was rejected. That is how an
// operation that is sent again is known (SEMANTICS 5, "id known"), under its writer's
// name or under another, as after a rename. A writer's decision of version v stands in
// slot (v - 1) mod TM_DECISIONS_MAX; one index over all writers leads from the hash to it.
//
// Hashes are 128 bits under a fixed key, since they are stored; the index is seeded. Two
// ids of one hash would make the second operation look like a duplicate: 2^-100 or so,
// and whoever could arrange it harms his own list alone.
//
// THE DRAFT. Pushes are decided before they are durable, on values beside the standing
// ones: tm_book_draft begins a draft, and forgets the last one by that; a writer's draft
// values count only in the draft that set them. What was decided becomes the book's own
// with tm_book_put, which cannot fail: its room was reserved while deciding.
//
// Knows core/table.h, core/stamp.h, core/op.h.
#ifndef TM_SERVICE_BOOK_H
#define TM_SERVICE_BOOK_H

#include "core/op.h"
#include "core/table.h"

typedef struct tm_id_hash {
    uint64_t lo, hi;
} tm_id_hash;

tm_id_hash tm_id_hash_of(tm_span id);

// What became of one operation. All zero = nothing is known of that version.
typedef struct tm_decision {
    tm_id_hash id;
    uint64_t seq;  // 0 = rejected
    uint64_t time; // of its effective stamp; rejected: its tm_fault
} tm_decision;

// Room for decisions grows by so many at a time: most writers are pages that make a few
// edits and go, and nothing is moved or left behind as they grow.
#define TM_DECISION_PAGE 10u
#define TM_DECISION_PAGES                                                          \
    ((TM_DECISIONS_MAX + TM_DECISION_PAGE - 1) / TM_DECISION_PAGE)

typedef struct tm_writer {
    tm_span browser;  // in this block
    uint64_t version; // highest decided, without a hole below
    tm_clock last;    // its last effective time
    uint64_t draft;   // the draft whose values the next two are
    uint64_t draft_version;
    tm_clock draft_last;
    tm_decision
        *recent[TM_DECISION_PAGES]; // slots by tens; NULL = none of them yet
    uint32_t number;                // its place in the book
} tm_writer;

typedef struct tm_book {
    const tm_alloc *alloc; // keeps
    tm_seed seed;
    tm_table by_browser;
    tm_writer **writers; // by number
    uint32_t count, cap;
    uint32_t *index; // open addressing; entry = (number << 7 | slot) + 1, 0 = empty
    size_t index_count, index_cap;
    tm_clock clock; // Hs of SEMANTICS 4: the greatest `last`
    tm_clock
        forgotten;  // no accepted operation that is forgotten has a greater time
    uint64_t draft; // its number
    tm_clock draft_clock;
} tm_book;

void tm_book_init(tm_book *book, const tm_alloc *alloc, tm_seed seed);
void tm_book_deinit(tm_book *book);

// tm_book_writer - NULL: never heard of.
tm_writer *tm_book_writer(const tm_book *book, tm_span browser);

// tm_book_writer_add - a writer that has decided nothing yet. `browser` is copied.
// TM_E_NOMEM: unchanged.
TM_MUST_USE tm_status tm_book_writer_add(tm_book *book, tm_span browser,
                                         tm_writer **writer);
// tm_book_writer_drop - take back the writer that was added last.
void tm_book_writer_drop(tm_book *book, tm_writer *writer);

// tm_book_find - what was decided of this id; NULL = not remembered. Lent.
const tm_decision *tm_book_find(const tm_book *book, tm_id_hash id);

// tm_book_at - the decision of a writer's version; NULL = not remembered. Lent.
const tm_decision *tm_book_at(const tm_writer *writer, uint64_t version);

// tm_book_reserve - room for a decision of this version, after `pending` others that were
// reserved and not put yet. TM_E_NOMEM: unchanged.
TM_MUST_USE tm_status tm_book_reserve(tm_book *book, tm_writer *writer,
                                      uint64_t version, size_t pending);

// tm_book_put - remember a decision, whose room was reserved. The writer's version rises
// to `version`; of an accepted one its clock and the list's learn the time.
void tm_book_put(tm_book *book, tm_writer *writer, uint64_t version,
                 const tm_decision *decision);

void tm_book_draft(tm_book *book);
uint64_t tm_book_draft_version(const tm_book *book, const tm_writer *writer);
tm_clock tm_book_draft_last(const tm_book *book, const tm_writer *writer);
void tm_book_draft_set(tm_book *book, tm_writer *writer, uint64_t version,
                       tm_clock last);

// tm_book_write_vector - {"b-a":57,"b-b":3}, keys by bytes.
//   arena   for sorting
// TM_E_NOMEM.
TM_MUST_USE tm_status tm_book_write_vector(const tm_book *book, tm_arena *arena,
                                           tm_buf *out);

#endif
