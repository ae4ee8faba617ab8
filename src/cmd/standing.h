// standing.h - a stored snapshot, read once more: not by the service, which would trust
// it, but by those who show it (state) or compare it with the log (verify).
//
// The form is service/snapshot.h's.
//
// Knows core/list.h, cmd/history.h.
#ifndef TM_CMD_STANDING_H
#define TM_CMD_STANDING_H

#include "cmd/history.h"
#include "core/list.h"

typedef struct tm_standing_writer {
    tm_span browser;
    uint64_t version;
} tm_standing_writer;

typedef struct tm_standing {
    uint64_t seq; // 0 = there is no snapshot, and the list is empty
    tm_span mark; // 64 hex digits
    tm_list *list;
    tm_standing_writer *writers;
    size_t writer_count, writer_cap;
    tm_buf bytes;   // what it was read from
    tm_arena arena; // what the rest points into
} tm_standing;

// tm_standing_load - the snapshot of a list. Needs tm_standing_deinit in any case.
//   problem   receives a sentence on failure
// TM_E_CORRUPT: it does not read. Others: the store's.
TM_MUST_USE tm_status tm_standing_load(tm_standing *standing, tm_store *store,
                                       tm_key key, char problem[256]);
void tm_standing_deinit(tm_standing *standing);

// tm_standing_version - a writer's version in it, 0 if it is not named.
uint64_t tm_standing_version(const tm_standing *standing, tm_span browser);

#endif
