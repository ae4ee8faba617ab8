// check_state.h - the public view of a list in the notation of the golden cases, as one
// text: items by id, members by name, nulls left out, the sort always said. Two views are
// equal if their texts are, and the texts are what a failure shows.
//
// Knows core/list.h, cmd/tree.h.
#ifndef TM_CMD_CHECK_STATE_H
#define TM_CMD_CHECK_STATE_H

#include "cmd/tree.h"
#include "core/list.h"

typedef struct tm_check_shown_part { // an item, or a member of one
    tm_span name;
    tm_span value;                     // of a member
    struct tm_check_shown_part *parts; // of an item
    struct tm_check_shown_part *next;
} tm_check_shown_part;

typedef struct tm_check_shown {
    tm_arena *arena; // keeps; what is added must outlive the use of tm_check_shown
    tm_check_shown_part *items;
    tm_status status; // sticky
} tm_check_shown;

// tm_check_shown_item / tm_check_shown_member - add one item; add a member to the item added last.
// A null value is left out.
void tm_check_shown_item(tm_check_shown *shown, tm_span id);
void tm_check_shown_member(tm_check_shown *shown, tm_span name, tm_span value);

// tm_check_shown_engine - add an item as tm_engine_item gives it.
void tm_check_shown_engine(tm_check_shown *shown, tm_span id, const tm_node *item);

// tm_check_shown_write - the text. `sort` is "asc" or "desc". Sorts what was added.
TM_MUST_USE tm_status tm_check_shown_write(tm_check_shown *shown, tm_span sort,
                                           tm_buf *out);

// The same from a case's state, and from a list.
TM_MUST_USE tm_status tm_check_shown_case(const tm_node *state, tm_arena *arena,
                                          tm_buf *out);
TM_MUST_USE tm_status tm_check_shown_list(const tm_list *list, tm_arena *arena,
                                          tm_buf *out);

// Arrays of ids, as text: those of a case as they stand; of a list its live items in
// display order, or its dead ones by id.
TM_MUST_USE tm_status tm_check_ids_case(const tm_node *ids, tm_buf *out);
TM_MUST_USE tm_status tm_check_ids_order(const tm_list *list, tm_arena *arena,
                                         tm_buf *out);
TM_MUST_USE tm_status tm_check_ids_dead(const tm_list *list, tm_arena *arena,
                                        tm_buf *out);

#endif
