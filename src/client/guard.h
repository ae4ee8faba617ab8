// guard.h - what this page's user touched in the last seconds: it is shown as they left
// it, whatever arrives. SEMANTICS 7.
//
// A target is a field of an item, an item itself, or the sort direction. The last own
// operation on it decides, for 5 s, 2 s or 10 s from the edit by the monotonic clock.
// While it is pending the queue itself protects; the guard has the time after that, and
// remembers whose value it was, so that its end can say what won.
//
// It is a view: nothing here is ever sent, stored or merged.
//
// Knows core/table.h, client/queue.h.
#ifndef TM_CLIENT_GUARD_H
#define TM_CLIENT_GUARD_H

#include "client/queue.h"

#define TM_GUARD_FIELD_MS 5000u
#define TM_GUARD_SORT_MS  10000u
#define TM_GUARD_ITEM_MS  2000u

typedef struct tm_guarded {
    struct tm_guarded *next;            // scratch: those that ended
    tm_span key, instance, name, value; // behind the struct; name "" = the item
    uint64_t until_ms;
    tm_stamp at; // of the accepted operation; browser.len 0 = not accepted
    size_t size;
    uint8_t id_len;
    uint8_t id[TM_ID_MAX]; // of the operation
} tm_guarded;

typedef struct tm_guard {
    const tm_alloc *alloc; // keeps
    tm_table targets;
    uint64_t next_ms; // none ends before
} tm_guard;

void tm_guard_init(tm_guard *guard, const tm_alloc *alloc, tm_seed seed);
void tm_guard_deinit(tm_guard *guard);

// tm_guard_get - NULL: not protected now.
const tm_guarded *tm_guard_get(const tm_guard *guard, uint64_t now_ms,
                               tm_span instance, tm_span name);

// tm_guard_made - all targets of an operation, from the moment it was made. A DELETE
// ends the protection of its item. What finds no memory is not protected.
void tm_guard_made(tm_guard *guard, const tm_own *own);

// tm_guard_accepted - it has its effective stamp. A target that is no longer guarded
// ends at once, so that tm_guard_end can say what won.
void tm_guard_accepted(tm_guard *guard, const tm_own *own);

// tm_guard_drop - it was rejected.
void tm_guard_drop(tm_guard *guard, const tm_own *own);

// tm_guard_end - takes out those that ended, as a chain; the caller frees each.
tm_guarded *tm_guard_end(tm_guard *guard, uint64_t now_ms);
void tm_guarded_free(tm_guard *guard, tm_guarded *one);

#endif
