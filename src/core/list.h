// list.h - the state of one list: what a set of operations adds up to.
//
// A join (SEMANTICS 3): commutative, associative, idempotent; it knows no clock, no
// viewer and no order of arrival. Items are never taken out: a deleted one leaves its id
// (a tombstone) and drops its registers. Operations of a type that this build does not
// know join nothing and are kept verbatim, once per id, so that a newer build can apply
// them after all.
//
// No limit is enforced here beyond memory: limits are decided at acceptance, never in
// the merge (DESIGN 6). The numbers that a decision needs are kept up to date.
//
// The list owns copies of everything it holds. Ids of browsers and names of fields are
// interned: a list of ten thousand items knows few of either. What it is given to copy
// must not lie in itself.
//
// Knows core/op.h, core/reg.h, core/table.h, core/digest.h.
#ifndef TM_CORE_LIST_H
#define TM_CORE_LIST_H

#include "core/digest.h"
#include "core/op.h"
#include "core/reg.h"
#include "core/table.h"

// The state format: part of a snapshot and of a DIGEST. A change of what a state or its
// digest means is a new number.
#define TM_STATE_FORMAT 1

// A register of an item. The one without a name is `add`, whose value is the imageId.
typedef struct tm_item_field {
    tm_span name;
    tm_reg reg;
} tm_item_field;

// One block: this, the id, the registers one behind the other, `add` first if it was
// written, then by name, by bytes. Read it with the functions below. Lent until the list
// changes.
typedef struct tm_item {
    uint32_t size; // of all of it
    uint32_t cap;  // of the block
    bool dead, added;
    uint8_t id_len;
} tm_item;

typedef struct tm_list tm_list;

// tm_list_new - an empty list. gives: free with tm_list_free.
//   alloc   keeps
TM_MUST_USE tm_status tm_list_new(const tm_alloc *alloc, tm_seed seed,
                                  tm_list **list);
void tm_list_free(tm_list *list);

// tm_list_apply - join one operation; op->at is its effective stamp. Its spans are
// borrowed. op->fault must be TM_FAULT_NONE.
//   changed   receives whether anything but `unknown` changed; may be NULL
// TM_E_NOMEM: the list is as it was.
TM_MUST_USE tm_status tm_list_apply(tm_list *list, const tm_op *op, bool *changed);

// tm_list_join - join all of `from`. TM_E_NOMEM: part of it may be joined already, which
// does no harm to a later repeat.
TM_MUST_USE tm_status tm_list_join(tm_list *list, const tm_list *from);

// Joins of single parts, for those who hold registers and not operations. The spans are
// borrowed. tm_list_join_field with an empty name joins `add`; with an empty id, too, the
// sort direction, which lies in an item without an id. tm_list_join_item joins the
// registers of another list's item; NULL: none.
TM_MUST_USE tm_status tm_list_join_field(tm_list *list, tm_span id, tm_span name,
                                         const tm_reg *write);
TM_MUST_USE tm_status tm_list_join_dead(tm_list *list, tm_span id);
TM_MUST_USE tm_status tm_list_join_item(tm_list *list, const tm_item *from);

bool tm_item_live(const tm_item *item); // NULL: false
bool tm_item_dead(const tm_item *item); // NULL: false
tm_span tm_item_id(const tm_item *item);

// tm_item_next - the registers, one after another: start with *at = 0; false at the end.
bool tm_item_next(const tm_item *item, size_t *at, tm_item_field *field);

// tm_item_get - the register of this name. Never written, or item NULL: false, and it is
// all zero, so at.browser.len == 0.
bool tm_item_get(const tm_item *item, tm_span name, tm_item_field *field);
tm_reg tm_item_reg(const tm_item *item, tm_span name); // likewise, by value

// tm_list_find - NULL: never heard of. With an empty id: what the sort direction lies in.
const tm_item *tm_list_find(const tm_list *list, tm_span id);
size_t tm_list_count(const tm_list *list); // items, dead ones too
const tm_item *tm_list_at(const tm_list *list, size_t index); // in order of arrival
size_t tm_list_live(const tm_list *list);                     // live items
tm_reg tm_list_sort(const tm_list *list); // never written: at.browser.len == 0
size_t tm_list_unknown_count(const tm_list *list);
tm_span tm_list_unknown(const tm_list *list,
                        size_t index); // raw operations, by arrival

// tm_list_size - an upper bound of the bytes of tm_list_write plus the unknown
// operations, kept up to date: what TM_STATE_MAX bounds. O(1). A function of the state
// alone. Not counted in the module that a browser loads, where nobody asks.
size_t tm_list_size(const tm_list *list);

// tm_list_order - live items in display order (SEMANTICS 1): by the stamp of `add`,
// ascending, or descending where the sort register says "desc".
//   order   room for tm_list_live(list) pointers
void tm_list_order(const tm_list *list, const tm_item **order);

tm_digest tm_list_digest(const tm_list *list); // O(1)

// tm_list_write - the canonical bytes of the state: two lists are equal if and only if
// these are. One JSON object:
//   {"format":1,
//    "browsers":["b-a",...],              those that a register names, by bytes
//    "dead":["id",...],                   by bytes
//    "items":[["id",ADD,["name",REG],["name",REG]...],...],
//                                         not dead ones, by bytes; fields by bytes;
//                                         ADD is REG or null
//    "sort":REG}                          or null
//   REG = [timestamp,logical,index into browsers,version,value]
// Unknown operations are not part of it.
void tm_list_write(const tm_list *list, tm_buf *out);

// tm_list_read - join into `list` what tm_list_write wrote, where the reader stands.
// Every bound of SEMANTICS 2 is checked. Format other than ours: TM_E_RANGE (the
// reader's error says so). On failure the list may hold a part of it: free it.
TM_MUST_USE tm_status tm_list_read(tm_list *list, tm_json *in);

#endif
