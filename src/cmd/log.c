// log.c - `tidemark log`: the story of a list, operation by operation.
#include "cmd/commands.h"

#include <inttypes.h>
#include <string.h>

#include "cmd/database.h"
#include "cmd/history.h"
#include "core/op.h"
#include "service/stored.h"

#define VALUE_SHOWN 60u // bytes of a value; the rest is in --json
#define LATE_MS     5000u // an operation that took longer to arrive is said to be late

typedef struct story {
    const tm_command *command;
    bool json;
    uint64_t from, limit, told;
} story;

// ---- in words -----------------------------------------------------------------------

static void quoted(tm_buf *out, tm_span text) {
    size_t len = text.len;
    if (len > VALUE_SHOWN) { // not inside a character
        for (len = VALUE_SHOWN; len > 0 && (text.ptr[len] & 0xc0) == 0x80;) {
            len--;
        }
    }
    tm_buf_byte(out, '"');
    tm_say_safe(out, (tm_span){text.ptr, len});
    tm_buf_text(out, len < text.len ? "...\"" : "\"");
}

static void field_told(tm_buf *out, const tm_field *field) {
    if (field->value.ptr == NULL) {
        tm_buf_text(out, "cleared ");
        tm_buf_put(out, field->name);
        return;
    }
    tm_buf_text(out, "set ");
    tm_buf_put(out, field->name);
    tm_buf_text(out, " to ");
    quoted(out, field->value);
}

static void fields_told(tm_buf *out, const tm_op *op) {
    for (uint32_t i = 0; i < op->field_count; i++) {
        if (i > 0) tm_buf_text(out, ", ");
        field_told(out, &op->fields[i]);
    }
}

static void op_told(tm_buf *out, const tm_op *op) {
    switch (op->type) {
    case TM_OP_ADD:
        tm_buf_text(out, "added image ");
        quoted(out, op->image_id);
        tm_buf_text(out, " as ");
        quoted(out, op->instance_id);
        if (op->field_count > 0) tm_buf_text(out, ", ");
        fields_told(out, op);
        return;
    case TM_OP_DELETE:
        tm_buf_text(out, "removed ");
        quoted(out, op->instance_id);
        return;
    case TM_OP_UPDATE:
        fields_told(out, op);
        tm_buf_text(out, " of ");
        quoted(out, op->instance_id);
        return;
    case TM_OP_SORT:
        tm_buf_text(out, "sorted the list ");
        tm_buf_text(out, op->sort.len == 3 ? "ascending" : "descending");
        return;
    case TM_OP_UNKNOWN:
        tm_buf_text(out, "did ");
        quoted(out, op->type_name);
        tm_buf_text(out, ", which this tidemark does not know");
        return;
    }
}

static void line_begin(tm_buf *out, uint64_t seq, uint64_t at_ms, tm_span browser) {
    char text[64], time[32];
    tm_say_time(time, at_ms);
    if (seq > 0) {
        (void)snprintf(text, sizeof text, "%8" PRIu64 "  %s  ", seq, time);
    } else {
        (void)snprintf(text, sizeof text, "       -  %s  ", time);
    }
    tm_buf_text(out, text);
    tm_say_safe(out, browser);
    tm_buf_text(out, "  ");
}

static void op_line(tm_buf *out, const tm_op *op, uint64_t accepted_ms) {
    uint64_t made_ms = op->at.time >> TM_LOGICAL_BITS;
    line_begin(out, op->seq, made_ms, op->at.browser);
    op_told(out, op);
    if (accepted_ms > made_ms + LATE_MS) {
        char late[32];
        tm_say_duration(late, accepted_ms - made_ms);
        tm_buf_text(out, " (arrived ");
        tm_buf_text(out, late);
        tm_buf_text(out, " later)");
    }
    tm_buf_byte(out, '\n');
}

static void rejection_line(tm_buf *out, const tm_stored_rejection *one,
                           uint64_t accepted_ms) {
    line_begin(out, 0, accepted_ms, one->browser);
    tm_buf_text(out, "was refused version ");
    tm_buf_u64(out, one->version);
    tm_buf_text(out, ", operation ");
    quoted(out, one->id);
    tm_buf_text(out, ": ");
    tm_buf_put(out, tm_fault_word(one->fault));
    tm_buf_byte(out, '\n');
}

// ---- for a script: an object a line ---------------------------------------------------

static void op_object(tm_buf *out, const tm_op *op, uint64_t accepted_ms) {
    tm_buf_text(out, "{\"seq\":");
    tm_buf_u64(out, op->seq);
    tm_buf_text(out, ",\"acceptedMs\":");
    tm_buf_u64(out, accepted_ms);
    tm_buf_text(out, ",\"operation\":");
    tm_buf_put(out, op->raw);
    tm_buf_text(out, "}\n");
}

static void rejection_object(tm_buf *out, const tm_stored_rejection *one,
                             uint64_t accepted_ms) {
    tm_buf_text(out, "{\"acceptedMs\":");
    tm_buf_u64(out, accepted_ms);
    tm_buf_text(out, ",\"rejected\":{\"id\":");
    tm_buf_json(out, one->id);
    tm_buf_text(out, ",\"browserId\":");
    tm_buf_json(out, one->browser);
    tm_buf_text(out, ",\"version\":");
    tm_buf_u64(out, one->version);
    tm_buf_text(out, ",\"code\":");
    tm_buf_json(out, tm_fault_word(one->fault));
    tm_buf_text(out, "}}\n");
}

// ---- walking ------------------------------------------------------------------------

static bool is_enough(const story *told) {
    return told->limit > 0 && told->told >= told->limit;
}

static void batch_tell(story *told, const tm_batch *batch, const tm_stored *stored,
                       tm_buf *out) {
    tm_buf_reset(out);
    for (uint32_t i = 0; i < stored->count && !is_enough(told); i++) {
        if (stored->ops[i].seq < told->from) continue;
        (told->json ? op_object : op_line)(out, &stored->ops[i],
                                           batch->accepted_ms);
        told->told++;
    }
    for (uint32_t i = 0; i < stored->rejected_count && !is_enough(told); i++) {
        if (batch->last_seq < told->from) continue;
        (told->json ? rejection_object : rejection_line)(out, &stored->rejected[i],
                                                         batch->accepted_ms);
    }
    (void)fwrite(out->ptr, 1, out->len, stdout);
}

static int log_tell(story *told, tm_database *db, const tm_database_list *list) {
    tm_history history;
    const tm_batch *batch;
    tm_buf out = {.alloc = &tm_host_alloc};
    tm_arena arena = {.alloc = &tm_host_alloc};
    int code = TM_EXIT_OK;
    bool first = true;
    tm_history_init(&history, db->store, list->key, told->from - 1);
    while (code == TM_EXIT_OK && !is_enough(told) &&
           tm_history_next(&history, &batch)) {
        tm_stored stored;
        tm_arena_reset(&arena);
        if (first && batch->first_seq > told->from && !told->json) {
            (void)printf("(operations before %" PRIu64 " were trimmed)\n",
                         batch->first_seq);
        }
        first = false;
        if (tm_stored_read(batch, &arena, &stored) != TM_OK) {
            code = tm_failure(told->command,
                              "the batch of %" PRIu64 " to %" PRIu64
                              " does not read; `tidemark verify` says more",
                              batch->first_seq, batch->last_seq);
        } else {
            batch_tell(told, batch, &stored, &out);
        }
    }
    if (history.status != TM_OK) {
        code = tm_failure(told->command, "the log cannot be read (status %d)",
                          (int)history.status);
    }
    tm_history_deinit(&history);
    tm_buf_deinit(&out);
    tm_arena_deinit(&arena);
    return code;
}

static int log_main(const tm_command *command, int argc, char **argv) {
    tm_database_place place = TM_DATABASE_PLACE;
    const char *user = NULL, *name = NULL;
    story told = {.command = command, .from = 1};
    const tm_option options[] = {
        TM_DATABASE_OPTIONS(place),
        {"user", "NAME", TM_OPTION_TEXT, &user,
         "whose list; default: the only one"},
        {"list", "NAME", TM_OPTION_TEXT, &name,
         "which list; default: the only one"},
        {"from", "SEQ", TM_OPTION_NUMBER, &told.from,
         "the first operation; default 1"},
        {"limit", "COUNT", TM_OPTION_NUMBER, &told.limit,
         "so many operations; default all"},
        {"json", NULL, TM_OPTION_FLAG, &told.json, "one JSON object a line"},
        {0}};
    char **rest;
    tm_database db = {0};
    const tm_database_list *list;
    int code = tm_options_read(command, options, argc, argv, &rest);
    if (code >= 0) return code;
    if (told.from == 0) told.from = 1;
    code = tm_database_open(command, &place, user, name, &db);
    if (code < 0) code = tm_database_pick(command, &db, user, name, &list);
    if (code < 0) code = log_tell(&told, &db, list);
    tm_database_close(&db);
    return code;
}

const tm_command tm_command_log = {
    .name = "log",
    .summary = "tell the story of a list, operation by operation",
    .arguments = "",
    .about =
        "Prints who did what to a list, and when, in the order in which the server "
        "took it.\nTimes are UTC. Reads beside a running daemon.\n",
    .example =
        "  tidemark log --user demo --from 100 --limit 20\n"
        "  tidemark log --store dynamodb --user demo --list selected-images\n"
        "  tidemark log --json | jq -r .operation.type | sort | uniq -c\n",
    .run = log_main,
};
