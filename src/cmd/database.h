// database.h - where lists are kept, for commands that only read: the database of a --data
// directory, or the tables of DynamoDB. It is opened beside running daemons, and nothing in
// it changes.
//
// Knows store/sqlite.h, store/dynamodb.h, cmd/options.h.
#ifndef TM_CMD_DATABASE_H
#define TM_CMD_DATABASE_H

#include "cmd/options.h"
#include "store/dynamodb.h"

#define TM_DATABASE_FILE "tidemark.db"

// What the command line says of it; all NULL or as the options' defaults.
typedef struct tm_database_place {
    const char *data;              // the directory
    const char *store;             // "sqlite" or "dynamodb"
    const char *endpoint, *prefix; // of DynamoDB
} tm_database_place;

#define TM_DATABASE_PLACE                                                          \
    { .data = "data", .store = "sqlite" }

// The rows of a command's table of options that set one.
#define TM_DATABASE_OPTIONS(place)                                                 \
    {"data", "DIR", TM_OPTION_TEXT, &(place).data,                                 \
     "where the database is; default data"},                                       \
        {"store", "sqlite|dynamodb", TM_OPTION_CHOICE, &(place).store,             \
         "default sqlite, in --data"},                                             \
        {"dynamodb-endpoint", "URL", TM_OPTION_TEXT, &(place).endpoint,            \
         "default: the region's own"},                                             \
    {                                                                              \
        "dynamodb-prefix", "PREFIX", TM_OPTION_TEXT, &(place).prefix,              \
            "of the tables' names; default " TM_DYNAMODB_PREFIX                    \
    }

typedef struct tm_database_list {
    tm_key key;
    uint64_t head; // 0: not looked up
} tm_database_list;

typedef struct tm_database {
    tm_store *store;
    char *path; // or what else it is called, for people
    tm_arena arena;
    tm_database_list *lists; // by user, then by name
    size_t count, cap;
    tm_status status; // of the listing
} tm_database;

// tm_database_open - the database, and the names of its lists. -1: done; else it was said
// why not, and this is the exit code. Needs tm_database_close in any case.
//   user, list   borrows; the only list that is wanted, if both are named: on DynamoDB
//                naming all lists reads the whole table, which this spares
int tm_database_open(const tm_command *command, const tm_database_place *place,
                     const char *user, const char *list, tm_database *db);
void tm_database_close(tm_database *db);

// tm_database_pick - the one list that `user` and `list` (NULL = any) name. -1, or the exit
// code after it was said which lists there are.
int tm_database_pick(const tm_command *command, const tm_database *db,
                     const char *user, const char *list,
                     const tm_database_list **picked);

#endif
