// state.c - `tidemark state`: a list as a person reads it, now or at any time.
#include "cmd/commands.h"

#include <inttypes.h>
#include <stdlib.h>

#include "cmd/database.h"
#include "cmd/standing.h"
#include "cmd/tree.h"
#include "service/stored.h"

#define NOT_GIVEN UINT64_MAX // of --at

// What was read of a list.
typedef struct view {
    const tm_command *command;
    const tm_database_list *of;
    tm_list *list; // borrowed from `standing`, or `own`
    tm_list *own;
    tm_standing standing;
    uint64_t at;          // the last operation in it
    uint64_t accepted_ms; // when it was accepted; 0 = not known
} view;

// ---- reading ------------------------------------------------------------------------

// Takes in those operations of a batch that stand before or at `until`.
static int batch_apply(view *seen, const tm_batch *batch, uint64_t until,
                       tm_arena *arena) {
    tm_stored stored;
    tm_arena_reset(arena);
    tm_status status = tm_stored_read(batch, arena, &stored);
    for (uint32_t i = 0; status == TM_OK && i < stored.count; i++) {
        const tm_op *op = &stored.ops[i];
        if (op->seq <= seen->at || op->seq > until) continue;
        status = op->fault == TM_FAULT_NONE ? tm_list_apply(seen->list, op, NULL)
                                            : TM_E_CORRUPT;
        seen->at = op->seq;
        seen->accepted_ms = batch->accepted_ms;
    }
    if (status == TM_OK) return -1;
    return tm_failure(seen->command,
                      "the batch of %" PRIu64 " to %" PRIu64
                      " does not read; `tidemark verify` says more",
                      batch->first_seq, batch->last_seq);
}

static int log_apply(view *seen, tm_store *store, uint64_t until) {
    tm_history history;
    tm_arena arena = {.alloc = &tm_host_alloc};
    const tm_batch *batch;
    int code = -1;
    tm_history_init(&history, store, seen->of->key, seen->at);
    while (code < 0 && seen->at < until && tm_history_next(&history, &batch)) {
        if (batch->first_seq > seen->at + 1) {
            code = tm_failure(seen->command,
                              "the log begins at %" PRIu64
                              " and the snapshot stands at %" PRIu64
                              ": what was in between is not known any more",
                              batch->first_seq, seen->standing.seq);
        } else {
            code = batch_apply(seen, batch, until, &arena);
        }
    }
    if (code < 0 && history.status != TM_OK) {
        code = tm_failure(seen->command, "the log cannot be read (status %d)",
                          (int)history.status);
    }
    tm_history_deinit(&history);
    tm_arena_deinit(&arena);
    return code;
}

// From the snapshot where that is early enough, else from the first operation.
static int view_read(view *seen, tm_store *store, uint64_t until) {
    char problem[256];
    if (tm_standing_load(&seen->standing, store, seen->of->key, problem) != TM_OK) {
        return tm_failure(seen->command, "%s", problem);
    }
    seen->list = seen->standing.list;
    seen->at = seen->standing.seq;
    if (until < seen->at) {
        if (tm_list_new(&tm_host_alloc, (tm_seed){1, 2}, &seen->own) != TM_OK) {
            return tm_failure(seen->command, "out of memory");
        }
        seen->list = seen->own;
        seen->at = 0;
    }
    return log_apply(seen, store, until);
}

// ---- for people ---------------------------------------------------------------------

static tm_span shown_field(const tm_item *item, const char *name) {
    return tm_item_reg(item, tm_text(name)).value;
}

static void item_say(size_t place, const tm_item *item) {
    tm_span number = shown_field(item, "photoNumber");
    tm_span words = shown_field(item, "description");
    tm_buf out = {.alloc = &tm_host_alloc};
    tm_say_safe(&out, shown_field(item, ""));
    if (number.ptr != NULL) {
        tm_buf_text(&out, "  photo ");
        tm_say_safe(&out, number);
    }
    if (words.ptr != NULL) {
        tm_buf_text(&out, "  \"");
        tm_say_safe(&out, words);
        tm_buf_text(&out, "\"");
    }
    tm_item_field field;
    for (size_t at = 0; tm_item_next(item, &at, &field);) {
        tm_span value = field.reg.value;
        if (field.name.len == 0 || value.ptr == NULL) continue;
        if (value.ptr == number.ptr || value.ptr == words.ptr) continue;
        tm_buf_text(&out, "  ");
        tm_say_safe(&out, field.name);
        tm_buf_text(&out, "=\"");
        tm_say_safe(&out, value);
        tm_buf_text(&out, "\"");
    }
    tm_buf_text(&out, "  (");
    tm_say_safe(&out, tm_item_id(item));
    (void)printf("%5zu  %.*s)\n", place, (int)out.len, (const char *)out.ptr);
    tm_buf_deinit(&out);
}

static bool is_descending(const tm_list *list) {
    return tm_span_equal_text(tm_list_sort(list).value, "desc");
}

static void view_say(const view *seen, const tm_item *const *order) {
    size_t live = tm_list_live(seen->list);
    char time[32] = "";
    tm_print_safe(stdout, seen->of->key.list);
    (void)printf(" of ");
    tm_print_safe(stdout, seen->of->key.user);
    (void)printf(": %zu item%s, %s, after operation %" PRIu64, live,
                 live == 1 ? "" : "s",
                 is_descending(seen->list) ? "descending" : "ascending", seen->at);
    if (seen->accepted_ms > 0) {
        tm_say_time(time, seen->accepted_ms);
        (void)printf(" (%s UTC)", time);
    }
    (void)printf("\n");
    for (size_t i = 0; i < live; i++) {
        item_say(i + 1, order[i]);
    }
}

// ---- for a script -------------------------------------------------------------------

static void member_json(tm_buf *out, tm_span name, tm_span value) {
    tm_buf_byte(out, ',');
    tm_buf_json(out, name);
    tm_buf_byte(out, ':');
    tm_buf_json(out, value);
}

static void item_json(tm_buf *out, const tm_item *item) {
    tm_buf_text(out, "{\"instanceId\":");
    tm_buf_json(out, tm_item_id(item));
    member_json(out, tm_text("imageId"), shown_field(item, ""));
    tm_item_field field;
    for (size_t at = 0; tm_item_next(item, &at, &field);) {
        if (field.name.len == 0 || field.reg.value.ptr == NULL) continue;
        if (tm_span_equal_text(field.name, "instanceId")) continue;
        if (tm_span_equal_text(field.name, "imageId")) continue;
        member_json(out, field.name, field.reg.value);
    }
    tm_buf_byte(out, '}');
}

static void view_json(const view *seen, const tm_item *const *order) {
    uint8_t digest[32];
    tm_buf out = {.alloc = &tm_host_alloc};
    tm_digest_hex(tm_list_digest(seen->list), digest);
    tm_buf_text(&out, "{\"user\":");
    tm_buf_json(&out, seen->of->key.user);
    member_json(&out, tm_text("list"), seen->of->key.list);
    tm_buf_text(&out, ",\"version\":");
    tm_buf_u64(&out, seen->at);
    member_json(&out, tm_text("digest"), (tm_span){digest, sizeof digest});
    member_json(&out, tm_text("sort"),
                tm_text(is_descending(seen->list) ? "desc" : "asc"));
    tm_buf_text(&out, ",\"selectedImages\":[");
    for (size_t i = 0; i < tm_list_live(seen->list); i++) {
        tm_buf_text(&out, i > 0 ? ",\n" : "\n");
        item_json(&out, order[i]);
    }
    tm_buf_text(&out, "]}\n");
    (void)fwrite(out.ptr, 1, out.len, stdout);
    tm_buf_deinit(&out);
}

// ---- the command --------------------------------------------------------------------

static int view_show(view *seen, bool json) {
    size_t live = tm_list_live(seen->list);
    const tm_item **order = malloc((live + 1) * sizeof *order);
    if (order == NULL) return tm_failure(seen->command, "out of memory");
    tm_list_order(seen->list, order);
    (json ? view_json : view_say)(seen, order);
    free(order);
    return TM_EXIT_OK;
}

static int state_main(const tm_command *command, int argc, char **argv) {
    tm_database_place place = TM_DATABASE_PLACE;
    const char *user = NULL, *name = NULL;
    uint64_t at = NOT_GIVEN;
    bool json = false;
    const tm_option options[] = {
        TM_DATABASE_OPTIONS(place),
        {"user", "NAME", TM_OPTION_TEXT, &user,
         "whose list; default: the only one"},
        {"list", "NAME", TM_OPTION_TEXT, &name,
         "which list; default: the only one"},
        {"at", "SEQ", TM_OPTION_NUMBER, &at,
         "after this operation; default the last"},
        {"json", NULL, TM_OPTION_FLAG, &json, "one JSON object, for a script"},
        {0}};
    char **rest;
    tm_database db = {0};
    view seen = {.command = command};
    int code = tm_options_read(command, options, argc, argv, &rest);
    if (code >= 0) return code;
    code = tm_database_open(command, &place, user, name, &db);
    if (code < 0) code = tm_database_pick(command, &db, user, name, &seen.of);
    if (code < 0) code = view_read(&seen, db.store, at);
    if (code < 0 && at != NOT_GIVEN && seen.at < at) {
        code = tm_failure(command, "the list ends at operation %" PRIu64, seen.at);
    }
    if (code < 0) code = view_show(&seen, json);
    if (seen.of != NULL) tm_standing_deinit(&seen.standing);
    tm_list_free(seen.own);
    tm_database_close(&db);
    return code;
}

const tm_command tm_command_state = {
    .name = "state",
    .summary = "show a list as a person reads it, now or at any time",
    .arguments = "",
    .about = "Prints the items of a list in their order. Reads beside a running "
             "daemon.\n",
    .example =
        "  tidemark state --user demo\n"
        "  tidemark state --store dynamodb --user demo --list selected-images\n"
        "  tidemark state --at 100 --json\n",
    .run = state_main,
};
