// database.h - the database of a --data directory, for commands that only read: it is
// opened beside a running daemon, and nothing in it changes.
//
// Knows store/sqlite.h, cmd/options.h.
#ifndef TM_CMD_DATABASE_H
#define TM_CMD_DATABASE_H

#include "cmd/options.h"
#include "store/store.h"

#define TM_DATABASE_FILE "tidemark.db"

typedef struct tm_database_list {
    tm_key key;
    uint64_t head;
} tm_database_list;

typedef struct tm_database {
    tm_store *store;
    char *path;
    tm_arena arena;
    tm_database_list *lists; // by user, then by name
    size_t count, cap;
    tm_status status; // of the listing
} tm_database;

// tm_database_open - the database in directory `data`, and the names of its lists. -1:
// done; else it was said why not, and this is the exit code. Needs tm_database_close in
// any case.
int tm_database_open(const tm_command *command, const char *data, tm_database *db);
void tm_database_close(tm_database *db);

// tm_database_pick - the one list that `user` and `list` (NULL = any) name. -1, or the exit
// code after it was said which lists there are.
int tm_database_pick(const tm_command *command, const tm_database *db,
                     const char *user, const char *list,
                     const tm_database_list **picked);

#endif
