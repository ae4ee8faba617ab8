// ghost.c - see world.h: I5. Whoever was told that an edit is kept is owed it, for ever:
// the ghost of each operation is followed through queues, storage, log and dead letters.
// Only a fault that destroys its last copy (the browser killed a second after the edit,
// storage cleared) excuses us, and only for what it destroyed.
#include "sim/world.h"

#include <stdlib.h>
#include <string.h>

#include "client/words.h"

tm_sim_ghost *tm_sim_ghost_get(tm_world *world, tm_span id) {
    return tm_table_get(&world->ghost_ids, id);
}

tm_sim_ghost *tm_sim_ghost_make(tm_world *world, tm_span id, uint32_t account) {
    tm_sim_ghost *ghost = tm_sim_ghost_get(world, id);
    if (ghost != NULL) return ghost;
    TM_ASSERT(id.len <= 64);
    ghost = calloc(1, sizeof *ghost);
    TM_ASSERT(ghost != NULL);
    memcpy(ghost->id, id.ptr, id.len);
    ghost->id_len = id.len;
    ghost->account = account;
    ghost->made_ms = world->now_ms;
    world->ghosts = tm_sim_grow(world->ghosts, world->ghost_count,
                                &world->ghost_cap, sizeof *world->ghosts);
    world->ghosts[world->ghost_count++] = ghost;
    TM_ASSERT(tm_table_set(&world->ghost_ids, (tm_span){ghost->id, id.len},
                           ghost) == TM_OK);
    return ghost;
}

static bool accounted(const tm_sim_ghost *ghost) {
    return !ghost->owed || ghost->logged || ghost->rejected || ghost->excused ||
           ghost->copies > 0 || ghost->letters > 0;
}

// The C that disk has took the place of another, and `lacking` stands for what was in it.
static bool lacking_there(const tm_storage *storage) {
    const tm_storage_place *disk = &storage->places[TM_PLACE_DISK];
    tm_span rest;
    for (size_t i = 0; i < disk->count; i++) {
        if (tm_storage_prefix(disk->items[i].key, "lacking/", &rest)) return true;
    }
    return false;
}

// DESIGN 1: what was accepted leaves the queue when the stored C has it, and not before;
// until then a server that is rolled back gets it from here. `storage` is where its last
// record went, by its author's own transaction.
static void leave_judge(tm_world *world, const tm_sim_ghost *ghost,
                        const tm_storage *storage) {
    const tm_sim_account *account = &world->accounts[ghost->account];
    if (!ghost->owed || ghost->rejected || ghost->excused || ghost->copies > 0 ||
        ghost->letters > 0 || account->rolled_back || world->storing == NULL ||
        !world->storing->disk) { // it has no stored C, and forgets at once
        return;
    }
    tm_span id = {ghost->id, ghost->id_len};
    uint64_t seq = tm_sim_history_find(account->history, id);
    uint64_t cursor = tm_storage_cursor(storage);
    if (seq <= cursor || lacking_there(storage)) return;
    world->left = ghost;
}

void tm_sim_ghost_left(tm_world *world, const tm_storage *storage) {
    const tm_sim_ghost *ghost = world->left;
    world->left = NULL;
    if (ghost == NULL) return;
    tm_span id = {ghost->id, ghost->id_len};
    tm_sim_broken(world, TM_SIM_I5,
                  "%.*s left the queue as seq %llu, and the C that is stored ends "
                  "at %llu",
                  (int)id.len, (const char *)id.ptr,
                  (unsigned long long)tm_sim_history_find(
                      world->accounts[ghost->account].history, id),
                  (unsigned long long)tm_storage_cursor(storage));
}

// Nothing in storage has it any more. The engine must not have brought that about.
static void judge(tm_world *world, tm_sim_ghost *ghost, const tm_storage *storage,
                  bool damage) {
    tm_sim_looked(world, TM_SIM_I5);
    if (storage != NULL) leave_judge(world, ghost, storage);
    if (accounted(ghost)) return;
    if (world->accounts[ghost->account].rolled_back) {
        ghost->excused =
            true; // its page had seen it in the log: now C stands for it
        return;
    }
    if (!damage) {
        tm_sim_broken(
            world, TM_SIM_I5,
            "%.*s was kept, and is now in no queue, no log and no dead letter",
            (int)ghost->id_len, (const char *)ghost->id);
        return;
    }
    if (ghost->memory == 0) ghost->excused = true;
}

typedef struct ids {
    tm_sim_ghost *at[128];
    size_t count;
} ids;

// The operations that a record of a queue holds, or the one of a dead letter.
static void record_read(tm_world *world, uint32_t account, tm_span key,
                        tm_span value, ids *found) {
    tm_span rest;
    tm_doc doc;
    tm_json in;
    tm_op op;
    found->count = 0;
    if (value.ptr == NULL) return;
    tm_arena arena = {.alloc = &tm_sim_alloc};
    if (tm_storage_prefix(key, "dead/", &rest)) {
        if (tm_doc_parse(value, &arena, &doc) == TM_OK) {
            found->at[found->count++] = tm_sim_ghost_make(world, rest, account);
        }
    } else if (tm_doc_parse(value, &arena, &doc) == TM_OK) {
        tm_doc_array(&doc, TM_WORD_OPERATIONS, &in, &arena);
        while (tm_json_element(&in) && tm_op_read(&in, &op) == TM_OK) {
            if (found->count == 128) break;
            found->at[found->count++] = tm_sim_ghost_make(world, op.id, account);
        }
    }
    tm_arena_deinit(&arena);
}

void tm_sim_ghost_record(tm_world *world, uint32_t account, tm_span key,
                         tm_span before, tm_span after, const tm_storage *storage,
                         bool damage) {
    tm_span rest;
    ids was, is;
    bool letter = tm_storage_prefix(key, "dead/", &rest);
    if (!letter && !tm_storage_prefix(key, "op/", &rest)) return;
    record_read(world, account, key, before, &was);
    record_read(world, account, key, after, &is);
    for (size_t i = 0; i < is.count; i++) {
        tm_sim_ghost *ghost = is.at[i];
        if (world->making) ghost->made = true;
        if (ghost->made) ghost->owed = true;
        *(letter ? &ghost->letters : &ghost->copies) += 1;
    }
    for (size_t i = 0; i < was.count; i++) {
        tm_sim_ghost *ghost = was.at[i];
        *(letter ? &ghost->letters : &ghost->copies) -= 1;
        judge(world, ghost, storage, damage);
    }
}

// What only its memory still had goes with it: storage had refused or lost it.
void tm_sim_ghost_page(tm_world *world, const tm_sim_page *page) {
    uint64_t bit = UINT64_C(1) << (page - world->pages);
    for (size_t i = 0; i < world->ghost_count; i++) {
        tm_sim_ghost *ghost = world->ghosts[i];
        if ((ghost->memory & bit) == 0) continue;
        ghost->memory &= ~bit;
        if (ghost->memory == 0 && !accounted(ghost)) ghost->excused = true;
    }
}

void tm_sim_ghost_logged(tm_world *world, uint32_t account) {
    const tm_sim_account *a = &world->accounts[account];
    for (size_t i = 0; i < world->ghost_count; i++) {
        tm_sim_ghost *ghost = world->ghosts[i];
        if (ghost->account != account) continue;
        tm_span id = {ghost->id, ghost->id_len};
        bool was = ghost->logged;
        ghost->logged = tm_sim_history_find(a->history, id) != 0;
        // Whoever heard that it was accepted has it in C, and offers what is lacking.
        if (was && !ghost->logged) ghost->excused = true;
        if (!accounted(ghost)) ghost->excused = true; // the server's past is gone
    }
}

void tm_sim_ghost_check(tm_world *world, const char *when) {
    for (size_t i = 0; i < world->ghost_count; i++) {
        const tm_sim_ghost *ghost = world->ghosts[i];
        tm_sim_looked(world, TM_SIM_I5);
        if (!ghost->owed || ghost->logged || ghost->rejected || ghost->excused ||
            ghost->letters > 0) {
            continue;
        }
        tm_sim_broken(
            world, TM_SIM_I5,
            "%.*s was kept, and %s it is not in the log: %u records hold it, "
            "%s page does",
            (int)ghost->id_len, (const char *)ghost->id, when, ghost->copies,
            ghost->memory == 0 ? "no" : "a");
    }
}
