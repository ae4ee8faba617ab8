// list_impl.h - what list.c, list_join.c and list_json.c share, and nobody else sees.
//
// Every change of a list goes: look up, make sure of all memory it can need (the only
// step that fails), change. Items are numbered in order of arrival. One that outgrows its
// block moves to another; the array of items knows where each is.
//
// A register, as it lies in its item, unaligned:
//
//     0       name      a list_word's address
//     8 (4)   browser   likewise
//     16 (8)  time      8 bytes
//     then    version, and the value's length + 1 or 0 for null: numbers of 7 bits a
//             byte, the lowest first, the top bit set where more follow. In a browser,
//             where code is dearer than memory, of 8 bytes
//     then    the value
//
// Knows core/list.h, core/pool.h.
#ifndef TM_CORE_LIST_IMPL_H
#define TM_CORE_LIST_IMPL_H

#include "core/list.h"
#include "core/pool.h"

// A text that many registers share, and how many do. The spans that name it point at its
// `text`. One that falls out of use stays until the list is compacted.
typedef struct list_word {
    uint32_t number; // in order of first use
    uint32_t uses;   // as a browser
    uint32_t named;  // as a field's name
    uint8_t len;
    uint8_t text[];
} list_word;

static inline list_word *tm_list_word(tm_span text) {
    return (list_word *)(uintptr_t)(text.ptr - offsetof(list_word, text));
}

// An operation of an unknown type. Both texts are one allocation, the id first.
typedef struct list_unknown {
    tm_span id, raw;
} list_unknown;

// A place of the hash index. The hash is kept: it spares most comparisons, and a growth
// need not look at the items.
typedef struct list_place {
    uint32_t hash;
    uint32_t item; // its index + 1; 0 = empty
} list_place;

struct tm_list {
    const tm_alloc *alloc;
    tm_seed seed;
    tm_pool pool; // of the items, the words, the values
    tm_item **items;
    size_t item_cap;
    uint32_t count, live;
    list_place *places;
    size_t place_cap;        // 0 or a power of two
    tm_table words;          // text -> list_word
    list_word *last_browser; // the one looked up last
    tm_item *sort;           // without an id, its register without a name; or NULL
    tm_digest digest;
    size_t size;       // see tm_list_size
    size_t unused;     // bytes of words that nothing uses any more
    size_t compact_at; // idle bytes at which to compact
    list_unknown *unknown;
    size_t unknown_count, unknown_cap;
    tm_table unknown_ids; // id -> anything
};

// What an item is to join: that it is dead, or registers.
typedef struct list_write {
    tm_span id;
    bool dead;
    uint32_t count;
    const tm_item_field *fields; // no name twice
} list_write;

// Where it is noted where the item lies; NULL: nowhere. `hash` is the lower half of the
// id's under the list's seed.
tm_item *const *tm_list_item_find(const tm_list *list, const tm_span *id,
                                  uint32_t hash);

// The ways into a list. `changed` is raised where something changed, never lowered.
// TM_E_NOMEM: the list is as it was.
TM_MUST_USE tm_status tm_list_item_join(tm_list *list, const list_write *from,
                                        bool *changed);
TM_MUST_USE tm_status tm_list_unknown_keep(tm_list *list, const tm_span *id,
                                           const tm_span *raw);

#endif
