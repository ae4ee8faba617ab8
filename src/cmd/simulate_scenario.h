// simulate_scenario.h - a run of the simulator as a golden case of kind `scenario`: what
// people did and what got through, in its order, without the moments in between.
//
// What such a case expects is thought out here, from its own steps and apart from engine
// and service: when each edit is made, who knows of which deletion, what must have
// arrived in the end; sim/plain.h says what that adds up to. So it is right whatever was
// left out, and whether or not the run went the way that the case goes.
//
// Knows cmd/simulate_notes.h.
#ifndef TM_CMD_SIMULATE_SCENARIO_H
#define TM_CMD_SIMULATE_SCENARIO_H

#include "cmd/simulate_notes.h"
#include "core/buf.h"

typedef enum tm_simulate_move_kind {
    TM_SIMULATE_MOVE_START,
    TM_SIMULATE_MOVE_CRASH,
    TM_SIMULATE_MOVE_EDIT,
    TM_SIMULATE_MOVE_PUSH,
    TM_SIMULATE_MOVE_PULL,
    TM_SIMULATE_MOVE_CLONE, // number: to
    TM_SIMULATE_MOVE_CLOCK, // number: ms ahead
    TM_SIMULATE_MOVE_SERVER_CLOCK,
    TM_SIMULATE_MOVE_COMPACT,
    TM_SIMULATE_MOVE_BACKUP,
    TM_SIMULATE_MOVE_RESTORE,
    TM_SIMULATE_MOVE_SERVER_CRASH,
    TM_SIMULATE_MOVE_NONE, // taken back
} tm_simulate_move_kind;

typedef enum tm_simulate_fate { // of a push
    TM_SIMULATE_FATE_FINE,
    TM_SIMULATE_FATE_REQUEST_LOST,
    TM_SIMULATE_FATE_RESPONSE_LOST,
    TM_SIMULATE_FATE_CRASH_BEFORE, // of the server
    TM_SIMULATE_FATE_CRASH_AFTER,
    TM_SIMULATE_FATE_DIES, // the page, before it hears
    TM_SIMULATE_FATE_PART, // number: so many are accepted
} tm_simulate_fate;

typedef struct tm_simulate_move {
    tm_simulate_move_kind kind;
    uint32_t page; // a profile
    uint64_t at_ms;
    int64_t number;
    tm_simulate_fate fate;
    tm_span edit, item; // of an EDIT; lent by the notes or the arena
    bool deletes;
    bool flies;   // it is made while the page's last push is under way
    bool refused; // of an EDIT: by the server's policy
} tm_simulate_move;

typedef enum tm_simulate_way {
    TM_SIMULATE_WAY_PULLS,   // true clocks, and who does not pull hears nothing
    TM_SIMULATE_WAY_CHANNEL, // true clocks; whoever is there is told at once
    // The run's clocks; each edit is pulled for before and pushed after, so that every
    // author had seen what was there, and the last edit wins whatever the clocks say.
    TM_SIMULATE_WAY_CLOCKS,
    // The same, and every edit writes one register: whatever lies below is seen.
    TM_SIMULATE_WAY_ONE,
    TM_SIMULATE_WAYS
} tm_simulate_way;

// tm_simulate_moves - what people did with the list of `account`. gives: free(); what
// they lend lives in the notes and the arena.
tm_simulate_move *tm_simulate_moves(const tm_simulate_notes *notes,
                                    uint32_t account, tm_arena *arena,
                                    size_t *count);

// tm_simulate_scenario_write - them as a file with one case. A move that makes no sense
// any more, since others were left out, is passed over.
//   covers   a word
void tm_simulate_scenario_write(const tm_simulate_move *moves, size_t count,
                                tm_simulate_way way, const char *name,
                                const char *covers, tm_buf *out);

// tm_simulate_case_head / tail - what stands around the one case of a file.
void tm_simulate_case_head(tm_buf *out, const char *name, const char *covers,
                           const char *kind);
void tm_simulate_case_tail(tm_buf *out);

#endif
