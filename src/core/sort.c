// sort.c - see sort.h.
#include "core/sort.h"

// Let `item` find its place in the heap below `at`: first all the way down along the
// greater children, then up again. Most items come from the bottom and belong there, so
// this compares half as often as stopping on the way.
static void sink(const void **items, size_t count, size_t at, const void *item,
                 int (*cmp)(const void *a, const void *b)) {
    size_t top = at;
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && cmp(items[child + 1], items[child]) > 0) child++;
        items[at] = items[child];
    }
    while (at > top) {
        size_t parent = (at - 1) / 2;
        if (cmp(items[parent], item) >= 0) break;
        items[at] = items[parent];
        at = parent;
    }
    items[at] = item;
}

void tm_sort(const void **items, size_t count,
             int (*cmp)(const void *a, const void *b)) {
    size_t sorted = 1; // what arrives in order costs one look at each
    while (sorted < count && cmp(items[sorted - 1], items[sorted]) <= 0) {
        sorted++;
    }
    if (sorted >= count) return;

    for (size_t i = count / 2; i-- > 0;) {
        sink(items, count, i, items[i], cmp);
    }
    for (size_t left = count; left-- > 1;) {
        const void *last = items[left];
        items[left] = items[0];
        sink(items, left, 0, last, cmp);
    }
}
