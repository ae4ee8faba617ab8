// check_orders.c - see check_orders.h.
#include "cmd/check_orders.h"

uint64_t tm_check_orders_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t tm_check_orders_seed(tm_span name) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325); // FNV-1a
    for (size_t i = 0; i < name.len; i++) {
        hash = (hash ^ name.ptr[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static void swap(uint32_t *order, size_t a, size_t b) {
    uint32_t kept = order[a];
    order[a] = order[b];
    order[b] = kept;
}

// The next order as a dictionary has them; false after the last.
static bool next_order(uint32_t *order, size_t count) {
    size_t at = count;
    while (at >= 2 && order[at - 2] > order[at - 1]) {
        at--;
    }
    if (at < 2) return false;
    size_t pivot = at - 2, other = count - 1;
    while (order[other] < order[pivot]) {
        other--;
    }
    swap(order, pivot, other);
    for (size_t low = pivot + 1, high = count - 1; low < high; low++, high--) {
        swap(order, low, high);
    }
    return true;
}

static void reverse(uint32_t *order, size_t count) {
    for (size_t low = 0, high = count; low + 1 < high; low++) {
        swap(order, low, --high);
    }
}

bool tm_check_orders_each(uint32_t *scratch, size_t count, uint64_t seed,
                          bool (*each)(void *context, const uint32_t *order),
                          void *context) {
    for (size_t i = 0; i < count; i++) {
        scratch[i] = (uint32_t)i;
    }
    if (!each(context, scratch)) return false;
    if (count <= TM_CHECK_ORDERS_ALL_MAX) {
        while (next_order(scratch, count)) {
            if (!each(context, scratch)) return false;
        }
        return true;
    }
    reverse(scratch, count);
    if (!each(context, scratch)) return false;
    for (unsigned n = 0; n < TM_CHECK_ORDERS_SHUFFLED; n++) {
        for (size_t left = count; left > 1; left--) {
            swap(scratch, left - 1, (size_t)(tm_check_orders_random(&seed) % left));
        }
        if (!each(context, scratch)) return false;
    }
    return true;
}
