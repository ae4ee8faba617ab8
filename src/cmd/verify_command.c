// verify_command.c - `tidemark verify`: see verify.h.
#include "cmd/commands.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/database.h"
#include "cmd/verify.h"
#include "store/sqlite.h"

typedef struct verifying {
    bool json;
    tm_progress progress;
    const tm_database_list *list;
    size_t lists, wrong_lists, wrong_rows;
    uint64_t operations, bytes;
} verifying;

static void on_progress(void *context, uint64_t operations) {
    verifying *run = context;
    if (!tm_progress_due(&run->progress)) return;
    tm_progress_line(&run->progress,
                     "list %zu, %" PRIu64 " of %" PRIu64 " operations",
                     run->lists + 1, operations, run->list->head);
}

static void counts_say(const tm_verified *found) {
    char size[16];
    uint8_t digest[32];
    tm_say_size(size, found->bytes);
    tm_digest_hex(found->digest, digest);
    (void)printf(
        "  log       %" PRIu64 " operations in %" PRIu64 " batches, %s, from "
        "%" PRIu64 " to %" PRIu64 "\n",
        found->operations, found->batches, size, found->first, found->last);
    if (found->rejections + found->holes > 0) {
        (void)printf("  refused   %" PRIu64 ", and %" PRIu64
                     " versions of which nothing is known\n",
                     found->rejections, found->holes);
    }
    if (found->snapshot > 0) {
        (void)printf("  snapshot  at %" PRIu64 "\n", found->snapshot);
    } else {
        (void)printf("  snapshot  none yet\n");
    }
    (void)printf("  state     %zu items, %zu removed, %zu writers, digest %.32s\n",
                 found->live, found->dead, found->writers, (const char *)digest);
}

static void found_say(const tm_database_list *list, const tm_verified *found) {
    (void)printf("%s ", found->wrong_count == 0 ? "ok   " : "WRONG");
    tm_print_safe(stdout, list->key.list);
    (void)printf(" of ");
    tm_print_safe(stdout, list->key.user);
    (void)printf("\n");
    counts_say(found);
    for (size_t i = 0; i < found->wrong_count && i < TM_VERIFY_WRONG_MAX; i++) {
        (void)printf("  at %" PRIu64 ": ", found->wrong[i].seq);
        tm_print_safe(stdout, tm_text(found->wrong[i].what));
        (void)printf("\n");
    }
    if (found->wrong_count > TM_VERIFY_WRONG_MAX) {
        (void)printf("  and %zu more\n", found->wrong_count - TM_VERIFY_WRONG_MAX);
    }
}

static void number_json(tm_buf *out, const char *name, uint64_t number) {
    tm_buf_text(out, ",\"");
    tm_buf_text(out, name);
    tm_buf_text(out, "\":");
    tm_buf_u64(out, number);
}

static void found_json(const verifying *run, const tm_verified *found) {
    tm_buf out = {.alloc = &tm_host_alloc};
    uint8_t digest[32];
    tm_digest_hex(found->digest, digest);
    tm_buf_text(&out, run->lists == 0 ? "\n{\"user\":" : ",\n{\"user\":");
    tm_buf_json(&out, run->list->key.user);
    tm_buf_text(&out, ",\"list\":");
    tm_buf_json(&out, run->list->key.list);
    tm_buf_text(&out, found->wrong_count == 0 ? ",\"ok\":true" : ",\"ok\":false");
    number_json(&out, "operations", found->operations);
    number_json(&out, "batches", found->batches);
    number_json(&out, "bytes", found->bytes);
    number_json(&out, "first", found->first);
    number_json(&out, "last", found->last);
    number_json(&out, "snapshot", found->snapshot);
    number_json(&out, "rejections", found->rejections);
    number_json(&out, "unknownVersions", found->holes);
    tm_buf_text(&out, ",\"digest\":");
    tm_buf_json(&out, (tm_span){digest, sizeof digest});
    tm_buf_text(&out, ",\"wrong\":[");
    for (size_t i = 0; i < found->wrong_count && i < TM_VERIFY_WRONG_MAX; i++) {
        tm_buf_text(&out, i == 0 ? "{\"what\":" : ",{\"what\":");
        tm_buf_json(&out, tm_text(found->wrong[i].what));
        number_json(&out, "seq", found->wrong[i].seq);
        tm_buf_byte(&out, '}');
    }
    tm_buf_text(&out, "]}");
    (void)fwrite(out.ptr, 1, out.len, stdout);
    tm_buf_deinit(&out);
}

static void list_verify(verifying *run, tm_store *store,
                        const tm_database_list *list) {
    tm_verified found;
    run->list = list;
    tm_verify_list(store, list->key, list->head, &found, on_progress, run);
    tm_progress_clear(&run->progress);
    if (run->json) {
        found_json(run, &found);
    } else {
        found_say(list, &found);
    }
    run->lists++;
    run->wrong_lists += found.wrong_count > 0 ? 1 : 0;
    run->operations += found.operations;
    run->bytes += found.bytes;
}

// ---- rows of no list's -----------------------------------------------------------------

static void on_row(void *context, const char *table, int64_t row,
                   const char *what) {
    verifying *run = context;
    if (run->wrong_rows++ >= TM_VERIFY_WRONG_MAX) return;
    if (!run->json) {
        (void)printf("WRONG row %" PRId64 " of %s: %s\n", row, table, what);
        return;
    }
    (void)printf("%s{\"table\":\"%s\",\"row\":%" PRId64 ",\"what\":\"%s\"}",
                 run->wrong_rows == 1 ? "" : ",", table, row, what);
}

// What is in SQLite's tables at all, before each list is read. -1, or the exit code.
static int rows_verify(const tm_command *command, verifying *run,
                       const tm_database_place *place, tm_database *db) {
    bool sqlite = strcmp(place->store, "sqlite") == 0;
    if (run->json) (void)printf("{\"rows\":[");
    tm_status status = sqlite ? tm_sqlite_check(db->store, on_row, run) : TM_OK;
    if (run->json) (void)printf("],\"lists\":[");
    if (!run->json && run->wrong_rows > TM_VERIFY_WRONG_MAX) {
        (void)printf("  and %zu more\n", run->wrong_rows - TM_VERIFY_WRONG_MAX);
    }
    if (status == TM_OK) return -1;
    return tm_failure(command, "%s: the tables cannot be read (status %d)",
                      db->path, (int)status);
}

static bool is_meant(const tm_database_list *list, const char *user,
                     const char *name) {
    return (user == NULL || tm_span_cmp(list->key.user, tm_text(user)) == 0) &&
           (name == NULL || tm_span_cmp(list->key.list, tm_text(name)) == 0);
}

static void closing_say(const verifying *run, uint64_t took_ms) {
    char size[16], took[32];
    tm_say_size(size, run->bytes);
    tm_say_duration(took, took_ms);
    if (run->json) {
        (void)printf("\n],\"verified\":%zu,\"wrong\":%zu,\"wrongRows\":%zu"
                     ",\"operations\":%" PRIu64 ",\"milliseconds\":%" PRIu64 "}\n",
                     run->lists, run->wrong_lists, run->wrong_rows, run->operations,
                     took_ms);
        return;
    }
    (void)printf("%zu of %zu list%s verified, %" PRIu64 " operations, %s, in %s\n",
                 run->lists - run->wrong_lists, run->lists,
                 run->lists == 1 ? "" : "s", run->operations, size, took);
}

static int verify_main(const tm_command *command, int argc, char **argv) {
    tm_database_place place = TM_DATABASE_PLACE;
    const char *user = NULL, *name = NULL;
    verifying run = {0};
    const tm_option options[] = {
        TM_DATABASE_OPTIONS(place),
        {"user", "NAME", TM_OPTION_TEXT, &user, "this user's lists only"},
        {"list", "NAME", TM_OPTION_TEXT, &name, "lists of this name only"},
        {"json", NULL, TM_OPTION_FLAG, &run.json, "one JSON object, for a script"},
        {0}};
    char **rest;
    tm_database db = {0};
    uint64_t begun = tm_host_now().mono_ms;
    int code = tm_options_read(command, options, argc, argv, &rest);
    if (code >= 0) return code;
    tm_progress_init(&run.progress);
    code = tm_database_open(command, &place, user, name, &db);
    if (code < 0) code = rows_verify(command, &run, &place, &db);
    for (size_t i = 0; code < 0 && i < db.count; i++) {
        if (is_meant(&db.lists[i], user, name)) {
            list_verify(&run, db.store, &db.lists[i]);
        }
    }
    if (code < 0) {
        closing_say(&run, tm_host_now().mono_ms - begun);
        code = run.wrong_lists + run.wrong_rows == 0 ? TM_EXIT_OK : TM_EXIT_FAILED;
        if (run.lists == 0 && (user != NULL || name != NULL)) {
            code = tm_usage_error(command, "there is no such list");
        }
    }
    tm_database_close(&db);
    return code;
}

const tm_command tm_command_verify = {
    .name = "verify",
    .summary = "replay every log against its snapshot, digest and hash chain",
    .arguments = "",
    .about =
        "Reads every list from its first operation on and proves that the seqs "
        "have "
        "no hole,\nthat every operation id stands there once, that each batch "
        "continues the hash chain,\nand that the snapshot is what the operations "
        "add up to. Rows of a SQLite\ndatabase that no Tidemark has written are "
        "named "
        "first. Reads beside a running daemon.\n"
        "Exit code: 0 all is well, 1 something is wrong and was named.\n",
    .example = "  tidemark verify --data data\n"
               "  tidemark verify --store dynamodb --dynamodb-prefix photos-\n"
               "  tidemark verify --user demo --json\n",
    .run = verify_main,
};
