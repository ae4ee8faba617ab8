// effect.h - what the host is to do, in order, until it comes and takes it.
//
// A ring. Whatever must never be lost has its place reserved before it is owed: the one
// reply of each request, the one close of each connection. A pushed frame has none: if
// there is no memory for it, its connection is closed instead. A few spare places answer
// requests for which there was not even memory to reserve; the host drains the ring after
// every call, so they do not run out.
//
// Knows service.h.
#ifndef TM_SERVICE_EFFECT_H
#define TM_SERVICE_EFFECT_H

#include "service/service.h"

#define TM_EFFECT_SPARES 16u

typedef struct tm_effect_slot {
    tm_effect effect;
    tm_conn *conn;    // SEND, CLOSE
    uint64_t ticket;  // REPLY
    bool spare, gone; // gone: nobody is there to take it any more
} tm_effect_slot;

typedef struct tm_effects {
    const tm_alloc *alloc; // keeps
    tm_effect_slot *ring;
    size_t cap, first, count;
    size_t reserved, spares; // count + reserved + spares <= cap
} tm_effects;

TM_MUST_USE tm_status tm_effects_init(tm_effects *effects, const tm_alloc *alloc);
void tm_effects_deinit(tm_effects *effects); // no frame may be waiting in it

// tm_effects_reserve - one reply or close more can be put. TM_E_NOMEM.
TM_MUST_USE tm_status tm_effects_reserve(tm_effects *effects);
void tm_effects_release(tm_effects *effects); // that place was not needed

// tm_effects_owed - put what has a reserved place.
void tm_effects_owed(tm_effects *effects, const tm_effect_slot *slot);
// tm_effects_spare - put the reply of a request that could not even reserve one.
// false: the host has not come for too long, and this one is lost.
TM_MUST_USE bool tm_effects_spare(tm_effects *effects, const tm_effect_slot *slot);
// tm_effects_send - put a frame. TM_E_NOMEM.
TM_MUST_USE tm_status tm_effects_send(tm_effects *effects,
                                      const tm_effect_slot *slot);

// tm_effects_take - the next one, gone ones too; false = none.
bool tm_effects_take(tm_effects *effects, tm_effect_slot *slot);

// tm_effects_at - the i-th that waits; to mark it gone.
tm_effect_slot *tm_effects_at(tm_effects *effects, size_t i);

#endif
