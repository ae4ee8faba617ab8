// simulate_merge.c - see simulate_merge.h.
#include "cmd/simulate_merge.h"

#include <stdlib.h>

#include "cmd/host.h"
#include "cmd/simulate_scenario.h"
#include "core/table.h"
#include "sim/plain.h"

static void op_read(tm_span text, tm_arena *arena, tm_op *op) {
    tm_json in;
    tm_json_init(&in, text, TM_JSON_DEPTH_MAX, arena);
    TM_ASSERT(tm_op_read(&in, op) == TM_OK); // the log was read before
}

tm_simulate_entry *tm_simulate_entries(const tm_simulate_notes *notes,
                                       uint32_t account, tm_arena *arena,
                                       size_t *count) {
    tm_simulate_entry *entries = calloc(notes->count + 1, sizeof *entries);
    tm_buf text = {.alloc = &tm_host_alloc};
    tm_table ids;
    TM_ASSERT(entries != NULL);
    tm_table_init(&ids, &tm_host_alloc, (tm_seed){1, 2});
    *count = 0;
    for (size_t i = 0; i < notes->count; i++) {
        const tm_sim_note *note = &notes->notes[i];
        tm_op op;
        if (note->kind != TM_SIM_NOTE_DURABLE || note->account != account) continue;
        op_read(note->text, arena, &op);
        bool again = tm_table_get(&ids, op.id) != NULL;
        if (again || op.type == TM_OP_UNKNOWN || op.fault != TM_FAULT_NONE)
            continue;
        tm_simulate_entry *entry = &entries[(*count)++];
        tm_buf_reset(&text);
        tm_op_pass(&text, &op, &(tm_op_change){0});
        TM_ASSERT(tm_arena_copy(arena, tm_buf_span(&text), &entry->text) == TM_OK);
        entry->item = op.instance_id;
        TM_ASSERT(tm_table_set(&ids, op.id, entry) == TM_OK);
    }
    tm_table_deinit(&ids);
    tm_buf_deinit(&text);
    return entries;
}

void tm_simulate_merge_write(const tm_simulate_entry *entries, size_t count,
                             const char *name, const char *covers, tm_buf *out) {
    tm_plain *plain = tm_plain_new();
    tm_buf_reset(out);
    tm_simulate_case_head(out, name, covers, "merge");
    tm_buf_text(out, ",\n \"ops\":[");
    for (size_t i = 0; i < count; i++) {
        tm_arena arena = {.alloc = &tm_host_alloc};
        tm_op op;
        op_read(entries[i].text, &arena, &op);
        tm_plain_apply(plain, &op);
        tm_arena_deinit(&arena);
        tm_buf_text(out, i == 0 ? "\n  " : ",\n  ");
        tm_buf_put(out, entries[i].text);
    }
    tm_buf_text(out, "],\n \"expect\":{\"state\":");
    tm_plain_write(plain, out);
    tm_buf_text(out, ",\"tombstones\":");
    tm_plain_dead_write(plain, out);
    tm_buf_byte(out, '}');
    tm_simulate_case_tail(out);
    tm_plain_free(plain);
}
