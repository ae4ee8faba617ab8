// simulate_moves.c - see simulate_scenario.h: what people did, from what was noted.
#include <stdlib.h>
#include <string.h>

#include "cmd/host.h"
#include "cmd/simulate_scenario.h"
#include "core/op.h"
#include "sim/plan.h"

typedef struct telling {
    const tm_simulate_notes *notes;
    uint32_t account;
    tm_arena *arena;
    tm_simulate_move *moves;
    size_t count;
    uint32_t tabs[TM_SIM_PROFILES_MAX]; // open ones
    bool flies[TM_SIM_PROFILES_MAX];    // a push is out, and will be answered
    uint64_t named;                     // items that the engine was to name
    int64_t bound;                      // operations that a push may have; 0 = all
    bool policy;
} telling;

static tm_simulate_move *move_add(telling *t, const tm_sim_note *note,
                                  tm_simulate_move_kind kind) {
    tm_simulate_move *move = &t->moves[t->count++];
    *move = (tm_simulate_move){.kind = kind,
                               .page = note->profile,
                               .at_ms = note->at_ms,
                               .number = note->number};
    return move;
}

// An ADD without a name for its item is given one: in a case nobody could say it later.
static tm_span named(telling *t, tm_span edit) {
    static const char begin[] = "{\"type\":\"ADD\",";
    size_t len = sizeof begin - 1;
    tm_buf out = {.alloc = &tm_host_alloc};
    tm_span copy;
    TM_ASSERT(edit.len > len && memcmp(edit.ptr, begin, len) == 0);
    tm_buf_text(&out, begin);
    tm_buf_text(&out, "\"instanceId\":\"new.");
    tm_buf_u64(&out, ++t->named);
    tm_buf_text(&out, "\",");
    tm_buf_put(&out, (tm_span){edit.ptr + len, edit.len - len});
    TM_ASSERT(tm_arena_copy(t->arena, tm_buf_span(&out), &copy) == TM_OK);
    tm_buf_deinit(&out);
    return copy;
}

static bool edit_read(telling *t, tm_span edit, tm_op *op) {
    tm_json in;
    tm_json_init(&in, edit, TM_JSON_DEPTH_MAX, t->arena);
    return tm_op_read_edit(&in, op) == TM_OK && op->fault == TM_FAULT_NONE;
}

static void edit_add(telling *t, const tm_sim_note *note) {
    tm_op op;
    tm_span edit = note->text;
    if (!edit_read(t, edit, &op)) return;
    if (op.type == TM_OP_ADD && op.instance_id.len == 0) {
        edit = named(t, edit);
        TM_ASSERT(edit_read(t, edit, &op));
    }
    tm_simulate_move *move = move_add(t, note, TM_SIMULATE_MOVE_EDIT);
    move->edit = edit;
    move->item = op.instance_id;
    move->deletes = op.type == TM_OP_DELETE;
    move->flies = t->flies[note->profile];
    for (uint32_t i = 0; t->policy && i < op.field_count; i++) {
        tm_span value = op.fields[i].value;
        move->refused = move->refused || (value.len > 0 && value.ptr[0] == '!');
    }
}

static void edits_drop(telling *t, const tm_sim_note *note) {
    int64_t left = note->number;
    for (size_t i = t->count; i-- > 0 && left > 0;) {
        tm_simulate_move *move = &t->moves[i];
        if (move->kind != TM_SIMULATE_MOVE_EDIT || move->page != note->profile)
            continue;
        move->kind = TM_SIMULATE_MOVE_NONE;
        left--;
    }
}

// What became of the save that the i-th note tells of.
static tm_simulate_fate fate_of(const telling *t, size_t i) {
    const tm_sim_note *save = &t->notes->notes[i];
    bool durable = false;
    for (size_t k = i + 1; k < t->notes->count; k++) {
        const tm_sim_note *note = &t->notes->notes[k];
        if (note->kind == TM_SIM_NOTE_CRASH)
            return durable ? TM_SIMULATE_FATE_CRASH_AFTER
                           : TM_SIMULATE_FATE_CRASH_BEFORE;
        if (note->account != t->account) continue;
        if (note->kind == TM_SIM_NOTE_DURABLE) durable = true;
        if (note->profile != save->profile) continue;
        if (note->kind == TM_SIM_NOTE_ACK) return TM_SIMULATE_FATE_FINE;
        if (note->kind == TM_SIM_NOTE_DIE)
            return durable ? TM_SIMULATE_FATE_DIES : TM_SIMULATE_FATE_REQUEST_LOST;
        if (note->kind == TM_SIM_NOTE_SAVE)
            return durable ? TM_SIMULATE_FATE_RESPONSE_LOST
                           : TM_SIMULATE_FATE_REQUEST_LOST;
    }
    return TM_SIMULATE_FATE_FINE;
}

static void push_add(telling *t, size_t i) {
    const tm_sim_note *note = &t->notes->notes[i];
    tm_simulate_move *move = move_add(t, note, TM_SIMULATE_MOVE_PUSH);
    move->fate = fate_of(t, i);
    t->flies[note->profile] = move->fate == TM_SIMULATE_FATE_FINE;
    if (move->fate != TM_SIMULATE_FATE_FINE || t->bound == 0) return;
    move->fate = TM_SIMULATE_FATE_PART;
    move->number = t->bound;
}

// All tabs of a browser are one replica, which goes on from storage when one dies.
static void tab_opens(telling *t, const tm_sim_note *note) {
    if (t->tabs[note->profile]++ == 0)
        (void)move_add(t, note, TM_SIMULATE_MOVE_START);
}

static void tab_dies(telling *t, const tm_sim_note *note) {
    if (t->tabs[note->profile] > 0) t->tabs[note->profile]--;
    t->flies[note->profile] = false;
    (void)move_add(t, note, TM_SIMULATE_MOVE_CRASH);
    if (t->tabs[note->profile] > 0) (void)move_add(t, note, TM_SIMULATE_MOVE_START);
}

static void page_note(telling *t, size_t i) {
    const tm_sim_note *note = &t->notes->notes[i];
    switch (note->kind) {
    case TM_SIM_NOTE_OPEN:
        tab_opens(t, note);
        break;
    case TM_SIM_NOTE_DIE:
        tab_dies(t, note);
        break;
    case TM_SIM_NOTE_EDIT:
        edit_add(t, note);
        break;
    case TM_SIM_NOTE_TAKEN_BACK:
        edits_drop(t, note);
        break;
    case TM_SIM_NOTE_SAVE:
        push_add(t, i);
        break;
    case TM_SIM_NOTE_ACK:
        t->flies[note->profile] = false;
        break;
    case TM_SIM_NOTE_PULL:
        (void)move_add(t, note, TM_SIMULATE_MOVE_PULL);
        break;
    case TM_SIM_NOTE_COMPACT:
        (void)move_add(t, note, TM_SIMULATE_MOVE_COMPACT);
        break;
    default:
        break;
    }
}

// true: it was about all lists.
static bool world_note(telling *t, const tm_sim_note *note) {
    switch (note->kind) {
    case TM_SIM_NOTE_COPY:
        (void)move_add(t, note, TM_SIMULATE_MOVE_CLONE);
        break;
    case TM_SIM_NOTE_CLOCK:
        (void)move_add(t, note, TM_SIMULATE_MOVE_CLOCK);
        break;
    case TM_SIM_NOTE_SERVER_CLOCK:
        (void)move_add(t, note, TM_SIMULATE_MOVE_SERVER_CLOCK);
        break;
    case TM_SIM_NOTE_BACKUP:
        (void)move_add(t, note, TM_SIMULATE_MOVE_BACKUP);
        break;
    case TM_SIM_NOTE_RESTORE:
    case TM_SIM_NOTE_EMPTY: // as it was when nothing was there: see below
        (void)move_add(t, note, TM_SIMULATE_MOVE_RESTORE);
        break;
    case TM_SIM_NOTE_BOUND:
        t->bound = note->number;
        break;
    case TM_SIM_NOTE_POLICY:
        t->policy = true;
        break;
    case TM_SIM_NOTE_CRASH:
        (void)move_add(t, note, TM_SIMULATE_MOVE_SERVER_CRASH);
        break;
    default:
        return false;
    }
    return true;
}

tm_simulate_move *tm_simulate_moves(const tm_simulate_notes *notes,
                                    uint32_t account, tm_arena *arena,
                                    size_t *count) {
    telling t = {.notes = notes, .account = account, .arena = arena};
    t.moves = calloc(2 * notes->count + 1, sizeof *t.moves);
    TM_ASSERT(t.moves != NULL);
    // An empty server in place of the first is a backup from before the first operation.
    (void)move_add(&t, &(tm_sim_note){0}, TM_SIMULATE_MOVE_BACKUP);
    for (size_t i = 0; i < notes->count; i++) {
        const tm_sim_note *note = &notes->notes[i];
        if (note->profile >= TM_SIM_PROFILES_MAX) continue;
        if (world_note(&t, note)) continue;
        if (note->account == account) page_note(&t, i);
    }
    *count = t.count;
    return t.moves;
}
