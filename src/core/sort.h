// sort.h - sorting in place, n log n whatever the input: the order of what comes from
// outside is chosen by whoever sends it.
//
// Heapsort: no memory, no recursion, no worst case. Not stable: the comparison must be a
// total order where that matters.
//
// Knows core/base.h.
#ifndef TM_CORE_SORT_H
#define TM_CORE_SORT_H

#include "core/base.h"

// tm_sort - ascending by `cmp`, which answers <0, 0, >0 for two of the pointers.
void tm_sort(const void **items, size_t count,
             int (*cmp)(const void *a, const void *b));

#endif
