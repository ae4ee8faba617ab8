// tables.c - `tidemark tables`: the two tables of the store on DynamoDB.
#include "cmd/commands.h"

#include <string.h>

#include "store/dynamodb.h"

static const char *state_of(const tm_dynamodb_table *table) {
    if (!table->there) return "missing";
    if (!table->ok) return "wrong";
    return table->created ? "created" : "well";
}

static void table_json(const tm_dynamodb_table *table, bool first, tm_buf *out) {
    tm_buf_text(out, first ? "{\"tables\":[{\"name\":" : ",{\"name\":");
    tm_buf_json(out, tm_text(table->name));
    tm_buf_text(out, ",\"state\":");
    tm_buf_json(out, tm_text(state_of(table)));
    if (table->ok) {
        bool rows_go = table->expiry[0] != '\0';
        tm_buf_text(out, ",\"onDemand\":");
        tm_buf_text(out, table->on_demand ? "true" : "false");
        tm_buf_text(out, rows_go ? ",\"expiry\":" : ",\"pointInTimeRecovery\":");
        tm_buf_json(out, tm_text(rows_go ? table->expiry : table->recovery));
    }
    if (table->problem[0] != '\0') {
        tm_buf_text(out, ",\"problem\":");
        tm_buf_json(out, tm_text(table->problem));
    }
    tm_buf_byte(out, '}');
}

static void all_json(const tm_dynamodb_table *tables, size_t count, bool well) {
    tm_buf out = {.alloc = &tm_host_alloc};
    for (size_t i = 0; i < count; i++) {
        table_json(&tables[i], i == 0, &out);
    }
    tm_buf_text(&out, well ? "],\"ok\":true}\n" : "],\"ok\":false}\n");
    (void)fwrite(out.ptr, 1, out.len, stdout);
    tm_buf_deinit(&out);
}

static void table_print(const tm_dynamodb_table *table) {
    (void)printf("%s: %s", table->name, state_of(table));
    if (table->ok) {
        bool rows_go = table->expiry[0] != '\0';
        (void)printf(", %s, %s %s",
                     table->on_demand ? "paid by request"
                                      : "paid by provisioned capacity",
                     rows_go ? "expiry of rows" : "point-in-time recovery",
                     rows_go ? table->expiry : table->recovery);
    }
    (void)putchar('\n');
    if (table->problem[0] != '\0') {
        (void)fputs("  ", stdout);
        tm_print_safe(stdout, tm_text(table->problem));
        (void)putchar('\n');
    }
}

static int tables_main(const tm_command *command, int argc, char **argv) {
    bool json = false;
    tm_dynamodb_options options = {.alloc = &tm_host_alloc, .env = tm_host_env};
    const tm_option words[] = {
        {"dynamodb-endpoint", "URL", TM_OPTION_TEXT, &options.endpoint,
         "default: the region's own"},
        {"dynamodb-prefix", "PREFIX", TM_OPTION_TEXT, &options.prefix,
         "of the tables' names; default " TM_DYNAMODB_PREFIX},
        {"connections", NULL, TM_OPTION_FLAG, &options.connections,
         "the table of WebSockets for tidemark-lambda, too"},
        {"json", NULL, TM_OPTION_FLAG, &json, "one JSON object"},
        {0}};
    char **rest, problem[256] = "";
    int code = tm_options_read(command, words, argc, argv, &rest);
    if (code >= 0) return code;
    bool create = strcmp(rest[0], "create") == 0;
    if (!create && strcmp(rest[0], "check") != 0) {
        return tm_usage_error(command, "create or check? not \"%s\"", rest[0]);
    }
    tm_dynamodb_table tables[TM_DYNAMODB_TABLES_MAX];
    tm_status status = tm_dynamodb_tables(&options, create, tables, problem);
    if (status != TM_OK) return tm_failure(command, "%s", problem);
    size_t count = options.connections ? TM_DYNAMODB_TABLES_MAX : 2;
    bool well = true;
    for (size_t i = 0; i < count; i++) {
        well = well && tables[i].ok;
        if (!json) table_print(&tables[i]);
    }
    if (json) all_json(tables, count, well);
    return well ? TM_EXIT_OK : TM_EXIT_FAILED;
}

const tm_command tm_command_tables = {
    .name = "tables",
    .summary = "make or check the tables of the store on DynamoDB",
    .arguments = "create|check",
    .arguments_min = 1,
    .arguments_max = 1,
    .about = "create makes what is missing, paid by request and with point-in-time "
             "recovery, and\nwaits until it can be used; check changes nothing. "
             "Keys and "
             "region are found where\nAWS's own programs find them: AWS_PROFILE, "
             "AWS_REGION "
             "and the others.\n",
    .example = "  tidemark tables create --dynamodb-prefix photos-\n"
               "  tidemark tables check --json\n",
    .run = tables_main,
};
