// check_orders.h - the orders in which a golden merge is tried: every one of up to six
// operations; beyond that as given, backwards, and TM_CHECK_ORDERS_SHUFFLED seeded shuffles.
//
// Knows core/.
#ifndef TM_CMD_CHECK_ORDERS_H
#define TM_CMD_CHECK_ORDERS_H

#include "core/base.h"

#define TM_CHECK_ORDERS_ALL_MAX  6u  // 720 orders
#define TM_CHECK_ORDERS_SHUFFLED 36u // "some dozens"

// tm_check_orders_each - call `each` with every order (indices 0 .. count-1), until it answers
// false. `scratch` has room for `count` numbers.
bool tm_check_orders_each(uint32_t *scratch, size_t count, uint64_t seed,
                          bool (*each)(void *context, const uint32_t *order),
                          void *context);

// tm_check_orders_random - the next number of a fixed sequence (splitmix64): for what must be
// arbitrary and still the same in every run.
uint64_t tm_check_orders_random(uint64_t *state);

// tm_check_orders_seed - a number from a name.
uint64_t tm_check_orders_seed(tm_span name);

#endif
