// guard.c - see guard.h.
#include "client/guard.h"

#include <string.h>

#define KEY_MAX (1 + TM_FIELD_NAME_MAX + TM_NAME_MAX)

void tm_guard_init(tm_guard *guard, const tm_alloc *alloc, tm_seed seed) {
    guard->alloc = alloc;
    guard->next_ms = UINT64_MAX;
    tm_table_init(&guard->targets, alloc, seed);
}

void tm_guarded_free(tm_guard *guard, tm_guarded *one) {
    tm_alloc_put(guard->alloc, one, one->size);
}

void tm_guard_deinit(tm_guard *guard) {
    size_t at = 0;
    for (tm_table_slot *slot;
         (slot = tm_table_next(&guard->targets, &at)) != NULL;) {
        tm_guarded_free(guard, slot->value);
    }
    tm_table_deinit(&guard->targets);
}

// The name's length keeps ("a", "bc") and ("ab", "c") apart.
static tm_span key_make(uint8_t key[KEY_MAX], tm_span instance, tm_span name) {
    key[0] = (uint8_t)name.len;
    if (name.len > 0) memcpy(key + 1, name.ptr, name.len);
    if (instance.len > 0) memcpy(key + 1 + name.len, instance.ptr, instance.len);
    return (tm_span){key, 1 + name.len + instance.len};
}

static tm_guarded *find(const tm_guard *guard, tm_span instance, tm_span name) {
    uint8_t key[KEY_MAX];
    if (instance.len > TM_NAME_MAX) return NULL;
    return tm_table_get(&guard->targets, key_make(key, instance, name));
}

const tm_guarded *tm_guard_get(const tm_guard *guard, uint64_t now_ms,
                               tm_span instance, tm_span name) {
    const tm_guarded *one = find(guard, instance, name);
    return one != NULL && now_ms < one->until_ms ? one : NULL;
}

static void out(tm_guard *guard, tm_guarded *one) {
    (void)tm_table_remove(&guard->targets, one->key);
}

static void put(tm_guard *guard, const tm_own *own, tm_span name, tm_span value,
                uint64_t until_ms) {
    tm_span instance = own->op.instance_id;
    tm_guarded *old = find(guard, instance, name);
    if (old != NULL) {
        out(guard, old);
        tm_guarded_free(guard, old);
    }
    size_t size = sizeof(tm_guarded) + 1 + name.len + instance.len + value.len;
    tm_guarded *one = tm_alloc_get(guard->alloc, size);
    if (one == NULL) return;
    one->size = size;
    uint8_t *bytes = (uint8_t *)(one + 1);
    one->key = key_make(bytes, instance, name);
    one->name = (tm_span){bytes + 1, name.len};
    one->instance = (tm_span){bytes + 1 + name.len, instance.len};
    if (value.ptr != NULL) {
        one->value = (tm_span){bytes + one->key.len, value.len};
        if (value.len > 0) memcpy(bytes + one->key.len, value.ptr, value.len);
    }
    one->until_ms = until_ms;
    one->id_len = (uint8_t)own->op.id.len;
    memcpy(one->id, own->op.id.ptr, own->op.id.len);
    if (own->op.seq != 0) one->at = own->op.at;
    if (tm_table_set(&guard->targets, one->key, one) != TM_OK) {
        tm_guarded_free(guard, one);
        return;
    }
    if (until_ms < guard->next_ms) guard->next_ms = until_ms;
}

typedef enum what { MADE, ACCEPTED, DROPPED } what;

static void target(tm_guard *guard, const tm_own *own, tm_span name, tm_span value,
                   uint64_t window_ms, what happened) {
    if (happened == MADE) {
        put(guard, own, name, value, own->made_ms + window_ms);
        return;
    }
    tm_guarded *one = find(guard, own->op.instance_id, name);
    if (one == NULL) {
        if (happened == ACCEPTED) put(guard, own, name, value, 0);
        return;
    }
    if (tm_span_cmp((tm_span){one->id, one->id_len}, own->op.id) != 0) return;
    if (happened == ACCEPTED) {
        one->at = own->op.at;
        return;
    }
    out(guard, one);
    tm_guarded_free(guard, one);
}

static void targets(tm_guard *guard, const tm_own *own, what happened) {
    const tm_op *op = &own->op;
    tm_span none = {(const uint8_t *)"", 0}, sort = {(const uint8_t *)"sort", 4};
    if (op->type == TM_OP_SORT) {
        target(guard, own, sort, op->sort, TM_GUARD_SORT_MS, happened);
    } else if (op->type == TM_OP_DELETE) {
        tm_guarded *one = find(guard, op->instance_id, none);
        if (one == NULL) return;
        out(guard, one);
        tm_guarded_free(guard, one);
    } else if (op->type != TM_OP_UNKNOWN) {
        target(guard, own, none, none, TM_GUARD_ITEM_MS, happened);
        for (uint32_t i = 0; i < op->field_count; i++) {
            target(guard, own, op->fields[i].name, op->fields[i].value,
                   TM_GUARD_FIELD_MS, happened);
        }
    }
}

void tm_guard_made(tm_guard *guard, const tm_own *own) {
    targets(guard, own, MADE);
}

void tm_guard_accepted(tm_guard *guard, const tm_own *own) {
    targets(guard, own, ACCEPTED);
}

void tm_guard_drop(tm_guard *guard, const tm_own *own) {
    targets(guard, own, DROPPED);
}

tm_guarded *tm_guard_end(tm_guard *guard, uint64_t now_ms) {
    tm_guarded *ended = NULL;
    if (now_ms < guard->next_ms) return NULL;
    guard->next_ms = UINT64_MAX;
    size_t at = 0;
    for (tm_table_slot *slot;
         (slot = tm_table_next(&guard->targets, &at)) != NULL;) {
        tm_guarded *one = slot->value;
        if (one->until_ms > now_ms) {
            if (one->until_ms < guard->next_ms) guard->next_ms = one->until_ms;
            continue;
        }
        one->next = ended;
        ended = one;
    }
    for (tm_guarded *one = ended; one != NULL; one = one->next) {
        out(guard, one);
    }
    return ended;
}
