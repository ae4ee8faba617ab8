// database.c - see database.h.
#include "cmd/database.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/history.h"
#include "store/sqlite.h"

static int list_cmp(const void *a, const void *b) {
    const tm_database_list *x = a, *y = b;
    int order = tm_span_cmp(x->key.user, y->key.user);
    return order != 0 ? order : tm_span_cmp(x->key.list, y->key.list);
}

static void list_add(void *context, tm_key key, uint64_t head) {
    tm_database *db = context;
    if (db->status != TM_OK) return;
    if (db->count == db->cap) {
        size_t cap = db->cap == 0 ? 16 : 2 * db->cap;
        tm_database_list *lists = realloc(db->lists, cap * sizeof *lists);
        if (lists == NULL) {
            db->status = TM_E_NOMEM;
            return;
        }
        db->lists = lists;
        db->cap = cap;
    }
    tm_database_list *list = &db->lists[db->count];
    list->head = head;
    db->status = tm_arena_copy(&db->arena, key.user, &list->key.user);
    if (db->status == TM_OK) {
        db->status = tm_arena_copy(&db->arena, key.list, &list->key.list);
    }
    if (db->status == TM_OK) db->count++;
}

// ---- opening ------------------------------------------------------------------------

static int sqlite_open(const tm_command *command, const char *data,
                       tm_database *db) {
    db->path = tm_path_join(data, TM_DATABASE_FILE);
    if (db->path == NULL) return tm_failure(command, "out of memory");
    if (access(db->path, R_OK) != 0) {
        return tm_failure(command,
                          "%s: %s; --data names the directory that `tidemark "
                          "serve` was given",
                          db->path, strerror(errno));
    }
    char problem[256] = "";
    tm_sqlite_options options = {.path = db->path, .read_only = true};
    if (tm_sqlite_open(&options, &db->store, problem) == TM_OK) return -1;
    db->store = NULL;
    return tm_failure_at(command, db->path, problem);
}

static int dynamodb_open(const tm_command *command, const tm_database_place *place,
                         tm_database *db) {
    char problem[256] = "", name[160];
    (void)snprintf(name, sizeof name, "the table %.96soperations",
                   place->prefix == NULL ? TM_DYNAMODB_PREFIX : place->prefix);
    db->path = strdup(name);
    if (db->path == NULL) return tm_failure(command, "out of memory");
    tm_dynamodb_options options = {.alloc = &tm_host_alloc,
                                   .endpoint = place->endpoint,
                                   .prefix = place->prefix,
                                   .env = tm_host_env};
    if (tm_dynamodb_open(&options, &db->store, problem) != TM_OK) {
        db->store = NULL;
        return tm_failure(command, "%s", problem);
    }
    tm_span why;
    if (tm_store_health(db->store, &why) == TM_OK) return -1;
    return tm_failure(command, "%.*s", (int)why.len, (const char *)why.ptr);
}

// The one list that was named, if it has a batch.
static tm_status list_look(tm_database *db, tm_key key) {
    tm_history history;
    const tm_batch *batch;
    tm_history_init(&history, db->store, key, 0);
    history.ops_max = 1;
    if (tm_history_next(&history, &batch)) list_add(db, key, 0);
    tm_status status = history.status;
    tm_history_deinit(&history);
    return status;
}

int tm_database_open(const tm_command *command, const tm_database_place *place,
                     const char *user, const char *list, tm_database *db) {
    *db = (tm_database){.arena = {.alloc = &tm_host_alloc}};
    bool dynamodb = strcmp(place->store, "dynamodb") == 0;
    int code = dynamodb ? dynamodb_open(command, place, db)
                        : sqlite_open(command, place->data, db);
    if (code >= 0) return code;
    tm_status status;
    if (dynamodb && user != NULL && list != NULL) {
        status = list_look(db, (tm_key){tm_text(user), tm_text(list)});
    } else {
        status = tm_store_lists(db->store, list_add, db);
    }
    if (status == TM_OK) status = db->status;
    if (status != TM_OK) {
        return tm_failure(command, "%s: the lists cannot be read (status %d)",
                          db->path, (int)status);
    }
    if (db->count > 0) qsort(db->lists, db->count, sizeof *db->lists, list_cmp);
    return -1;
}

void tm_database_close(tm_database *db) {
    tm_store_close(db->store);
    tm_arena_deinit(&db->arena);
    free(db->lists);
    free(db->path);
    *db = (tm_database){0};
}

static bool matches(const tm_database_list *list, const char *user,
                    const char *name) {
    tm_span as_user = tm_text(user), as_name = tm_text(name);
    return (user == NULL || tm_span_cmp(list->key.user, as_user) == 0) &&
           (name == NULL || tm_span_cmp(list->key.list, as_name) == 0);
}

static void lists_say(const tm_database *db, const char *user, const char *name) {
    for (size_t i = 0; i < db->count; i++) {
        const tm_database_list *list = &db->lists[i];
        if (!matches(list, user, name)) continue;
        (void)fprintf(stderr, "  --user ");
        tm_print_safe(stderr, list->key.user);
        (void)fprintf(stderr, " --list ");
        tm_print_safe(stderr, list->key.list);
        (void)fprintf(stderr, "  (%" PRIu64 " operations)\n", list->head);
    }
}

int tm_database_pick(const tm_command *command, const tm_database *db,
                     const char *user, const char *list,
                     const tm_database_list **picked) {
    size_t found = 0;
    for (size_t i = 0; i < db->count; i++) {
        if (!matches(&db->lists[i], user, list)) continue;
        *picked = &db->lists[i];
        found++;
    }
    if (found == 1) return -1;
    if (db->count == 0) {
        bool named = user != NULL && list != NULL;
        return tm_failure(command, "%s holds no %s", db->path,
                          named ? "such list" : "list yet");
    }
    (void)tm_usage_error(command, found == 0 ? "there is no such list; there are:"
                                             : "which list? There are:");
    lists_say(db, found == 0 ? NULL : user, found == 0 ? NULL : list);
    return TM_EXIT_USAGE;
}
