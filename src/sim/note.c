// note.c - see note.h and world.h.
#include "sim/world.h"

#include <string.h>

#include "client/words.h"

void tm_sim_note_world(tm_world *world, tm_sim_note_kind kind, uint32_t account,
                       int64_t number, tm_span text) {
    const tm_sim_noting *to = &world->config->noting;
    if (to->note == NULL || world->over) return;
    to->note(to->context, &(tm_sim_note){.kind = kind,
                                         .account = account,
                                         .at_ms = world->now_ms,
                                         .number = number,
                                         .text = text});
}

void tm_sim_note_page(tm_world *world, tm_sim_note_kind kind,
                      const tm_sim_page *page, int64_t number, tm_span text) {
    const tm_sim_noting *to = &world->config->noting;
    if (to->note == NULL || world->over) return;
    to->note(to->context, &(tm_sim_note){.kind = kind,
                                         .profile = page->profile,
                                         .account = page->account,
                                         .at_ms = world->now_ms,
                                         .number = number,
                                         .text = text});
}

void tm_sim_note_profile(tm_world *world, tm_sim_note_kind kind, uint32_t profile,
                         int64_t number) {
    const tm_sim_noting *to = &world->config->noting;
    if (to->note == NULL || world->over) return;
    to->note(to->context, &(tm_sim_note){.kind = kind,
                                         .profile = profile,
                                         .at_ms = world->now_ms,
                                         .number = number});
}

// What a clock shows, to what is true.
void tm_sim_note_clocks(tm_world *world) {
    uint64_t due = TM_SIM_START_MS + world->now_ms;
    if (world->config->noting.note == NULL) return;
    for (uint32_t p = 0; p < TM_SIM_PROFILES_MAX; p++) {
        uint64_t wall =
            tm_sim_clock_now(&world->profiles[p].clock, world->now_ms).wall_ms;
        if (world->profiles[p].used) {
            tm_sim_note_profile(world, TM_SIM_NOTE_CLOCK, p,
                                (int64_t)wall - (int64_t)due);
        }
    }
    uint64_t wall = tm_sim_clock_now(&world->server.clock, world->now_ms).wall_ms;
    tm_sim_note_world(world, TM_SIM_NOTE_SERVER_CLOCK, 0,
                      (int64_t)wall - (int64_t)due, (tm_span){NULL, 0});
}

// A page heard something: of its own saves, of others' operations.
void tm_sim_note_heard(tm_world *world, const tm_sim_page *page, tm_span text,
                       uint64_t cursor_before) {
    uint64_t cursor;
    tm_doc doc;
    tm_arena arena = {.alloc = &tm_sim_alloc};
    static const tm_span none = {NULL, 0};
    if (world->config->noting.note == NULL) return;
    (void)tm_engine_confirmed(page->engine, &cursor);
    if (tm_doc_parse(text, &arena, &doc) == TM_OK &&
        doc.at[TM_WORD_ACKS].text.len > 2) {
        tm_sim_note_page(world, TM_SIM_NOTE_ACK, page, 0, none);
    }
    if (cursor != cursor_before)
        tm_sim_note_page(world, TM_SIM_NOTE_PULL, page, (int64_t)cursor, none);
    tm_arena_deinit(&arena);
}
