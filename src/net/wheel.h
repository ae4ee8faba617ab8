// wheel.h - ten thousand time-outs for the price of one timer.
//
// Every connection has exactly one moment at which somebody should look at it. A slot
// holds those due within one tick; the host arms one timer for the next slot that is not
// empty. Moving a due time later, which every byte that arrives does, is one store: the
// node stays where it is and is put in its new slot when the old one comes round. A due
// time beyond the horizon likewise.
//
// Nothing is ever early; late by at most TM_WHEEL_TICK_MS. Time is the host's.
//
// Knows core/base.h.
#ifndef TM_NET_WHEEL_H
#define TM_NET_WHEEL_H

#include "core/base.h"

#define TM_WHEEL_TICK_MS 64u
#define TM_WHEEL_SLOTS   512u // a horizon of 33 s; a multiple of 64

// Zero-initialised = not in a wheel.
typedef struct tm_wheel_node {
    struct tm_wheel_node *next, *prev;
    uint64_t due_ms; // mono
    uint32_t slot;
} tm_wheel_node;

typedef struct tm_wheel {
    tm_wheel_node *slots[TM_WHEEL_SLOTS];
    uint64_t filled[TM_WHEEL_SLOTS / 64]; // a bit per slot that is not empty
    uint64_t tick;                        // the slot that is looked at next
} tm_wheel;

void tm_wheel_init(tm_wheel *wheel, uint64_t now_ms);

// tm_wheel_set - `node` is due at `due_ms`, whatever it was before. Keeps `node` until
// it is removed or given back by tm_wheel_due.
void tm_wheel_set(tm_wheel *wheel, tm_wheel_node *node, uint64_t due_ms);

// tm_wheel_remove - not at all. One that is in no wheel is fine.
void tm_wheel_remove(tm_wheel *wheel, tm_wheel_node *node);

// tm_wheel_due - take out one node that is due; NULL = none any more.
tm_wheel_node *tm_wheel_due(tm_wheel *wheel, uint64_t now_ms);

// tm_wheel_next - when to ask tm_wheel_due again; UINT64_MAX = never.
uint64_t tm_wheel_next(const tm_wheel *wheel);

#endif
