// check_place.c - see check_place.h.
#include "cmd/check_place.h"

#include <stdio.h>
#include <unistd.h>

#include "cmd/check_copy.h"
#include "cmd/host.h"
#include "store/memory.h"
#include "store/sqlite.h"

// ---- SQLite -------------------------------------------------------------------------

static bool file_name(const tm_check_place *place, const char *name,
                      char path[512]) {
    int len = snprintf(path, 512, "%s/%s", place->directory, name);
    return len > 0 && len < 512;
}

static tm_status sqlite_open(const tm_check_place *place, tm_store **store,
                             char problem[256]) {
    char database[512];
    if (!file_name(place, "check.db", database)) {
        (void)snprintf(problem, 256, "the directory's name is too long");
        return TM_E_RANGE;
    }
    tm_sqlite_options options = {.path = database};
    return tm_sqlite_open(&options, store, problem);
}

static tm_status sqlite_backup(const tm_check_place *place, char problem[256]) {
    char database[512], copy[512];
    if (!file_name(place, "check.db", database) ||
        !file_name(place, "backup.db", copy)) {
        return TM_E_RANGE;
    }
    (void)unlink(copy); // an earlier backup of this case
    return tm_sqlite_backup(database, copy, NULL, NULL, problem);
}

static tm_status sqlite_restore(const tm_check_place *place, tm_store **store,
                                char problem[256]) {
    char database[512], copy[512];
    if (!file_name(place, "check.db", database) ||
        !file_name(place, "backup.db", copy)) {
        return TM_E_RANGE;
    }
    tm_status status = tm_sqlite_restore(copy, database, problem);
    return status == TM_OK ? sqlite_open(place, store, problem) : status;
}

// ---- DynamoDB -----------------------------------------------------------------------

static tm_dynamodb_options dynamodb_options(const tm_check_place *place,
                                            unsigned tables, char prefix[64]) {
    (void)snprintf(prefix, 64, "%.48s%u-", place->prefix, tables);
    return (tm_dynamodb_options){.alloc = &tm_host_alloc,
                                 .endpoint = place->endpoint,
                                 .prefix = prefix,
                                 .env = tm_host_env};
}

// Tables that were not there before: they are the pair `place->made`.
static tm_status dynamodb_tables(tm_check_place *place, char problem[256]) {
    char prefix[64];
    tm_dynamodb_table tables[TM_DYNAMODB_TABLES_MAX];
    tm_dynamodb_options options = dynamodb_options(place, ++place->made, prefix);
    tm_status status = tm_dynamodb_tables(&options, true, tables, problem);
    if (status == TM_OK && !(tables[0].created && tables[1].created)) {
        (void)snprintf(problem, 256,
                       "there are tables of the prefix %s already: choose another",
                       prefix);
        status = TM_E_STATE;
    }
    return status;
}

static tm_status dynamodb_open(const tm_check_place *place, tm_store **store,
                               char problem[256]) {
    char prefix[64];
    tm_dynamodb_options options = dynamodb_options(place, place->current, prefix);
    return tm_dynamodb_open(&options, store, problem);
}

// Into new tables.
static tm_status dynamodb_copy(tm_check_place *place, unsigned of,
                               char problem[256]) {
    char from_prefix[64], to_prefix[64];
    tm_status status = dynamodb_tables(place, problem);
    if (status != TM_OK) return status;
    tm_dynamodb_options from = dynamodb_options(place, of, from_prefix);
    tm_dynamodb_options to = dynamodb_options(place, place->made, to_prefix);
    return tm_check_copy(&from, &to, problem);
}

static tm_status dynamodb_restore(tm_check_place *place, tm_store **store,
                                  char problem[256]) {
    tm_status status = dynamodb_copy(place, place->copied, problem);
    if (status != TM_OK) return status;
    place->current = place->made;
    return dynamodb_open(place, store, problem);
}

// ---- all of them --------------------------------------------------------------------

static tm_status store_open(const tm_check_place *place, tm_store **store,
                            char problem[256]) {
    switch (place->kind) {
    case TM_CHECK_MEMORY:
        return tm_memory_open(&tm_host_alloc, store);
    case TM_CHECK_SQLITE:
        return sqlite_open(place, store, problem);
    case TM_CHECK_DYNAMODB:
        return dynamodb_open(place, store, problem);
    }
    return TM_E_STATE;
}

static void problem_begin(char problem[256]) {
    (void)snprintf(problem, 256, "out of memory");
}

tm_status tm_check_place_begin(tm_check_place *place, tm_store **store,
                               char problem[256]) {
    problem_begin(problem);
    *store = NULL;
    place->backed_up = false;
    if (place->kind == TM_CHECK_DYNAMODB) {
        tm_status status = dynamodb_tables(place, problem);
        if (status != TM_OK) return status;
        place->current = place->made;
    }
    return store_open(place, store, problem);
}

void tm_check_place_end(tm_check_place *place) {
    tm_store_close(place->backup);
    place->backup = NULL;
}

tm_status tm_check_place_reopen(tm_check_place *place, tm_store **store,
                                char problem[256]) {
    problem_begin(problem);
    if (place->kind == TM_CHECK_MEMORY)
        return TM_OK; // its disk is the store itself
    tm_store_close(*store);
    *store = NULL;
    return store_open(place, store, problem);
}

tm_status tm_check_place_backup(tm_check_place *place, tm_store *store,
                                char problem[256]) {
    tm_status status = TM_E_STATE;
    problem_begin(problem);
    switch (place->kind) {
    case TM_CHECK_MEMORY:
        tm_store_close(place->backup);
        place->backup = NULL;
        status = tm_memory_copy(store, &place->backup);
        break;
    case TM_CHECK_SQLITE:
        status = sqlite_backup(place, problem);
        break;
    case TM_CHECK_DYNAMODB:
        status = dynamodb_copy(place, place->current, problem);
        place->copied = place->made;
        break;
    }
    place->backed_up = status == TM_OK;
    return status;
}

tm_status tm_check_place_restore(tm_check_place *place, tm_store **store,
                                 char problem[256]) {
    problem_begin(problem);
    tm_store_close(*store);
    *store = NULL;
    switch (place->kind) {
    case TM_CHECK_MEMORY:
        return tm_memory_copy(place->backup, store);
    case TM_CHECK_SQLITE:
        return sqlite_restore(place, store, problem);
    case TM_CHECK_DYNAMODB:
        return dynamodb_restore(place, store, problem);
    }
    return TM_E_STATE;
}
