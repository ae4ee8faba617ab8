// wheel.c - see wheel.h.
#include "net/wheel.h"

#include <string.h>

#define WORD 64u

void tm_wheel_init(tm_wheel *wheel, uint64_t now_ms) {
    memset(wheel, 0, sizeof *wheel);
    wheel->tick = now_ms / TM_WHEEL_TICK_MS;
}

// The first tick whose end is not before `due_ms`: never early.
static uint64_t tick_of(uint64_t due_ms) {
    return due_ms / TM_WHEEL_TICK_MS + (due_ms % TM_WHEEL_TICK_MS != 0);
}

static void link_in(tm_wheel *wheel, tm_wheel_node *node) {
    uint64_t tick = tick_of(node->due_ms);
    if (tick < wheel->tick) tick = wheel->tick;
    if (tick >= wheel->tick + TM_WHEEL_SLOTS)
        tick = wheel->tick + TM_WHEEL_SLOTS - 1;
    uint32_t slot = (uint32_t)(tick % TM_WHEEL_SLOTS);
    tm_wheel_node **head = &wheel->slots[slot];
    if (*head == NULL) {
        node->next = node->prev = node;
        *head = node;
    } else {
        node->next = *head;
        node->prev = (*head)->prev;
        node->prev->next = node->next->prev = node;
    }
    node->slot = slot;
    wheel->filled[slot / WORD] |= UINT64_C(1) << slot % WORD;
}

void tm_wheel_remove(tm_wheel *wheel, tm_wheel_node *node) {
    if (node->next == NULL) return;
    tm_wheel_node **head = &wheel->slots[node->slot];
    if (node->next == node) {
        *head = NULL;
        wheel->filled[node->slot / WORD] &= ~(UINT64_C(1) << node->slot % WORD);
    } else {
        if (*head == node) *head = node->next;
        node->next->prev = node->prev;
        node->prev->next = node->next;
    }
    node->next = node->prev = NULL;
}

void tm_wheel_set(tm_wheel *wheel, tm_wheel_node *node, uint64_t due_ms) {
    bool later = node->next != NULL && due_ms >= node->due_ms;
    node->due_ms = due_ms;
    if (later) return; // found too early in its slot, it is put right there
    tm_wheel_remove(wheel, node);
    link_in(wheel, node);
}

tm_wheel_node *tm_wheel_due(tm_wheel *wheel, uint64_t now_ms) {
    uint64_t now = now_ms / TM_WHEEL_TICK_MS;
    // A clock that stood still for longer than the horizon: every slot once is enough.
    if (now > wheel->tick + TM_WHEEL_SLOTS) wheel->tick = now - TM_WHEEL_SLOTS;
    for (; wheel->tick <= now; wheel->tick++) {
        tm_wheel_node **head = &wheel->slots[wheel->tick % TM_WHEEL_SLOTS];
        while (*head != NULL) {
            tm_wheel_node *node = *head;
            tm_wheel_remove(wheel, node);
            if (node->due_ms <= now_ms) return node;
            // Moved later meanwhile, or beyond the horizon when it was set: it goes into
            // another slot, because this one's time is not after now.
            link_in(wheel, node);
        }
    }
    return NULL;
}

uint64_t tm_wheel_next(const tm_wheel *wheel) {
    uint64_t tick = wheel->tick;
    while (tick < wheel->tick + TM_WHEEL_SLOTS) {
        uint32_t slot = (uint32_t)(tick % TM_WHEEL_SLOTS);
        uint64_t word = wheel->filled[slot / WORD] >> slot % WORD;
        if (word != 0) {
            tick += (uint64_t)__builtin_ctzll(word);
            return tick * TM_WHEEL_TICK_MS;
        }
        tick += WORD - slot % WORD;
    }
    return UINT64_MAX;
}
