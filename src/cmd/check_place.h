// check_place.h - what the store of a golden scenario is made of: memory, a SQLite file, or
// tables of DynamoDB, where each case has two of its own under a prefix with its number.
//
// A backup of DynamoDB is a copy of both tables, row by row, and a restore other tables
// with those rows, as a point-in-time restore makes them.
//
// Knows store/.
#ifndef TM_CMD_CHECK_PLACE_H
#define TM_CMD_CHECK_PLACE_H

#include "store/store.h"

typedef enum tm_check_kind {
    TM_CHECK_MEMORY,
    TM_CHECK_SQLITE,
    TM_CHECK_DYNAMODB,
} tm_check_kind;

typedef struct tm_check_place {
    tm_check_kind kind;
    const char *directory;         // SQLite's, empty
    const char *endpoint, *prefix; // DynamoDB's
    unsigned made;                 // pairs of tables, so far
    unsigned current, copied;      // the pair in use, that of the backup
    tm_store *backup;              // memory's
    bool backed_up;
} tm_check_place;

// Each receives in `problem` a sentence for people on failure.

// tm_check_place_begin - an empty store, for the next case.
TM_MUST_USE tm_status tm_check_place_begin(tm_check_place *place, tm_store **store,
                                           char problem[256]);
void tm_check_place_end(tm_check_place *place); // the case is over

// tm_check_place_reopen - the process ended and starts again. Takes the store, closes it,
// and gives what is durable; NULL on failure.
TM_MUST_USE tm_status tm_check_place_reopen(tm_check_place *place, tm_store **store,
                                            char problem[256]);

// tm_check_place_backup - of the store as it stands, in place of an earlier one.
TM_MUST_USE tm_status tm_check_place_backup(tm_check_place *place, tm_store *store,
                                            char problem[256]);

// tm_check_place_restore - takes the store, closes it, and gives one as the backup was;
// NULL on failure.
TM_MUST_USE tm_status tm_check_place_restore(tm_check_place *place,
                                             tm_store **store, char problem[256]);

#endif
