// effect.c - see effect.h.
#include "service/effect.h"

#define RING_CAP_MIN 64u

tm_status tm_effects_init(tm_effects *effects, const tm_alloc *alloc) {
    *effects = (tm_effects){.alloc = alloc, .spares = TM_EFFECT_SPARES};
    effects->ring = tm_alloc_get(alloc, RING_CAP_MIN * sizeof *effects->ring);
    if (effects->ring == NULL) return TM_E_NOMEM;
    effects->cap = RING_CAP_MIN;
    return TM_OK;
}

void tm_effects_deinit(tm_effects *effects) {
    if (effects->ring == NULL) return;
    tm_alloc_put(effects->alloc, effects->ring,
                 effects->cap * sizeof *effects->ring);
    effects->ring = NULL;
}

static tm_status room_for_one(tm_effects *effects) {
    size_t taken = effects->count + effects->reserved + effects->spares;
    if (taken < effects->cap) return TM_OK;
    size_t cap = 2 * effects->cap;
    tm_effect_slot *ring = tm_alloc_get(effects->alloc, cap * sizeof *ring);
    if (ring == NULL) return TM_E_NOMEM;
    for (size_t i = 0; i < effects->count; i++) {
        ring[i] = *tm_effects_at(effects, i);
    }
    tm_effects_deinit(effects);
    effects->ring = ring;
    effects->cap = cap;
    effects->first = 0;
    return TM_OK;
}

static void put(tm_effects *effects, const tm_effect_slot *slot) {
    TM_ASSERT(effects->count < effects->cap);
    size_t at = (effects->first + effects->count) & (effects->cap - 1);
    effects->ring[at] = *slot;
    effects->count++;
}

tm_status tm_effects_reserve(tm_effects *effects) {
    tm_status status = room_for_one(effects);
    if (status == TM_OK) effects->reserved++;
    return status;
}

void tm_effects_release(tm_effects *effects) {
    TM_ASSERT(effects->reserved > 0);
    effects->reserved--;
}

void tm_effects_owed(tm_effects *effects, const tm_effect_slot *slot) {
    tm_effects_release(effects);
    put(effects, slot);
}

bool tm_effects_spare(tm_effects *effects, const tm_effect_slot *slot) {
    if (effects->spares == 0) return false;
    effects->spares--;
    tm_effect_slot spare = *slot;
    spare.spare = true;
    put(effects, &spare);
    return true;
}

tm_status tm_effects_send(tm_effects *effects, const tm_effect_slot *slot) {
    tm_status status = room_for_one(effects);
    if (status == TM_OK) put(effects, slot);
    return status;
}

bool tm_effects_take(tm_effects *effects, tm_effect_slot *slot) {
    if (effects->count == 0) return false;
    *slot = effects->ring[effects->first];
    effects->first = (effects->first + 1) & (effects->cap - 1);
    effects->count--;
    if (slot->spare) effects->spares++;
    return true;
}

tm_effect_slot *tm_effects_at(tm_effects *effects, size_t i) {
    TM_ASSERT(i < effects->count);
    return &effects->ring[(effects->first + i) & (effects->cap - 1)];
}
