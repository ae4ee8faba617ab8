// table.c - see table.h. Linear probing; a removal shifts back what follows, so there
// are no graves and a table's speed does not depend on its past.
#include "core/table.h"

#include <string.h>

#define TABLE_CAP_MIN 8u

// Eight bytes, little-endian on every machine; past `left` they are zero.
static inline uint64_t load64(const uint8_t *p, size_t left) {
    uint64_t word = 0;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (left >= 8) {
        memcpy(&word, p, 8);
        return word;
    }
#endif
    for (size_t i = left < 8 ? left : 8; i-- > 0;) {
        word = word << 8 | p[i];
    }
    return word;
}

static inline uint64_t rotl(uint64_t x, unsigned by) {
    return x << by | x >> (64 - by);
}

static inline void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] = rotl(v[0], 32) + v[3];
    v[2] += v[1];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

uint64_t tm_hash(tm_seed seed, tm_span bytes) {
    uint64_t v[4] = {
        seed.lo ^ UINT64_C(0x736f6d6570736575),
        seed.hi ^ UINT64_C(0x646f72616e646f6d),
        seed.lo ^ UINT64_C(0x6c7967656e657261),
        seed.hi ^ UINT64_C(0x7465646279746573),
    };
    for (size_t at = 0;; at += 8) {
        size_t left = bytes.len - at;
        uint64_t word = load64(bytes.ptr + at, left);
        if (left < 8) word |= (uint64_t)bytes.len << 56;
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
        if (left < 8) break;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

TM_CALLED void tm_table_init(tm_table *table, const tm_alloc *alloc, tm_seed seed) {
    *table = (tm_table){.alloc = alloc, .seed = seed};
}

void tm_table_deinit(tm_table *table) {
    if (table == NULL || table->slots == NULL) return;
    tm_alloc_put(table->alloc, table->slots, table->cap * sizeof *table->slots);
    table->slots = NULL;
    table->count = table->cap = 0;
}

// The slot of the key, or the empty one where it would go. There always is one: the
// table is never full.
static tm_table_slot *slot_find(const tm_table *table, tm_span key, uint64_t hash) {
    size_t mask = table->cap - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        tm_table_slot *slot = &table->slots[i];
        if (slot->key.ptr == NULL) return slot;
        if (slot->hash == hash && tm_span_cmp(slot->key, key) == 0) return slot;
    }
}

// How many keys a capacity carries before probing gets long.
static size_t load_max(size_t cap) {
    return cap / 4 * 3;
}

static tm_status table_grow(tm_table *table, size_t count) {
    size_t cap = table->cap < TABLE_CAP_MIN ? TABLE_CAP_MIN : table->cap;
    while (load_max(cap) < count) {
        if (cap > SIZE_MAX / 2 / sizeof(tm_table_slot)) return tm_refused();
        cap *= 2;
    }
    if (cap == table->cap) return TM_OK;

    tm_table_slot *slots = tm_alloc_get(table->alloc, cap * sizeof *slots);
    if (slots == NULL) return tm_refused();
    tm_table old = *table;
    table->slots = slots;
    table->cap = cap;
    for (size_t i = 0; i < old.cap; i++) {
        const tm_table_slot *slot = &old.slots[i];
        if (slot->key.ptr == NULL) continue;
        *slot_find(table, slot->key, slot->hash) = *slot;
    }
    tm_table_deinit(&old);
    return TM_OK;
}

void *tm_table_get(const tm_table *table, tm_span key) {
    if (table->count == 0) return NULL;
    const tm_table_slot *slot = slot_find(table, key, tm_hash(table->seed, key));
    return slot->key.ptr != NULL ? slot->value : NULL;
}

tm_status tm_table_set(tm_table *table, tm_span key, void *value) {
    TM_ASSERT(key.ptr != NULL); // marks an empty slot
    uint64_t hash = tm_hash(table->seed, key);
    if (table->cap > 0) {
        tm_table_slot *slot = slot_find(table, key, hash);
        if (slot->key.ptr != NULL) {
            slot->key = key;
            slot->value = value;
            return TM_OK;
        }
    }
    tm_status status = tm_table_reserve(table, 1);
    if (status != TM_OK) return status;
    *slot_find(table, key, hash) = (tm_table_slot){key, value, hash};
    table->count++;
    return TM_OK;
}

tm_status tm_table_reserve(tm_table *table, size_t more) {
    if (more > SIZE_MAX / 2 - table->count) return tm_refused();
    if (load_max(table->cap) >= table->count + more) return TM_OK;
    return table_grow(table, table->count + more);
}

void *tm_table_remove(tm_table *table, tm_span key) {
    if (table->count == 0) return NULL;
    tm_table_slot *gone = slot_find(table, key, tm_hash(table->seed, key));
    if (gone->key.ptr == NULL) return NULL;
    void *value = gone->value;

    // Close the gap: a later slot moves into it unless that would put it before the
    // place its hash begins at.
    size_t mask = table->cap - 1, hole = (size_t)(gone - table->slots);
    for (size_t i = (hole + 1) & mask; table->slots[i].key.ptr != NULL;
         i = (i + 1) & mask) {
        size_t home = (size_t)table->slots[i].hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask)) continue;
        table->slots[hole] = table->slots[i];
        hole = i;
    }
    table->slots[hole] = (tm_table_slot){{NULL, 0}, NULL, 0};
    table->count--;
    return value;
}

tm_table_slot *tm_table_next(const tm_table *table, size_t *at) {
    while (*at < table->cap) {
        tm_table_slot *slot = &table->slots[(*at)++];
        if (slot->key.ptr != NULL) return slot;
    }
    return NULL;
}
