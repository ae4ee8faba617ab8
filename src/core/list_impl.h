// list_impl.h - what list.c, list_join.c and list_json.c share, and nobody else sees.
//
// Every change of a list goes: look up, make sure of all memory it can need (the only
// step that fails), change. Items are numbered in order of arrival and never move, so a
// tm_item's address is good until the list is compacted.
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
    uint32_t uses;
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
    size_t place_cap;         // 0 or a power of two
    tm_table browsers, names; // text -> list_word
    tm_span last_browser;     // the one looked up last
    tm_reg sort;
    tm_digest digest;
    size_t size;       // see tm_list_size
    size_t unused;     // bytes of words that nothing uses any more
    size_t compact_at; // idle bytes at which to compact
    list_unknown *unknown;
    size_t unknown_count, unknown_cap;
    tm_table unknown_ids; // id -> anything
};

// A register that has a value; a zeroed one has none.
static inline bool tm_list_written(const tm_reg *reg) {
    return reg->at.browser.len > 0;
}

// `hash` is the lower half of the id's under the list's seed. NULL: there is none.
tm_item *tm_list_item_find(const tm_list *list, const tm_span *id, uint32_t hash);

// Where the field is, or where it would go.
uint32_t tm_list_field_place(const tm_item *item, const tm_span *name, bool *found);

// The ways into a list. `changed` is raised where something changed, never lowered.
// TM_E_NOMEM: the list is as it was.
//
// An item joins all of `from`, which may be another list's or one made up for this: its
// id, and that it is dead, or its registers.
TM_MUST_USE tm_status tm_list_item_join(tm_list *list, const tm_item *from,
                                        bool *changed);
TM_MUST_USE tm_status tm_list_sort_join(tm_list *list, const tm_reg *write,
                                        bool *changed);
TM_MUST_USE tm_status tm_list_unknown_keep(tm_list *list, const tm_span *id,
                                           const tm_span *raw);

#endif
