// check_case.h - files of cases (tests/golden/README.md), read and proved well-formed
// before anything runs: a misspelt option that is passed over is a test that cannot fail.
//
// A file is read whole; each case is judged alone, so one bad case is one failure. After
// tm_check_case_judge accepted a case, whoever runs it may rely on every member's kind.
//
// Knows cmd/tree.h.
#ifndef TM_CMD_CHECK_CASE_H
#define TM_CMD_CHECK_CASE_H

#include "cmd/tree.h"

#define TM_CHECK_CASE_FORMAT 1u

typedef enum tm_check_do {
    TM_CHECK_DO_EDIT,
    TM_CHECK_DO_PUSH,
    TM_CHECK_DO_PULL,
    TM_CHECK_DO_SYNC,
    TM_CHECK_DO_SYNC_ALL,
    TM_CHECK_DO_REFRESH,
    TM_CHECK_DO_CRASH,
    TM_CHECK_DO_START,
    TM_CHECK_DO_OFFLINE,
    TM_CHECK_DO_ONLINE,
    TM_CHECK_DO_ADVANCE,
    TM_CHECK_DO_CLOCK,
    TM_CHECK_DO_SERVER_CLOCK,
    TM_CHECK_DO_WS_DROP,
    TM_CHECK_DO_REPLAY,
    TM_CHECK_DO_WIPE,
    TM_CHECK_DO_CLONE,
    TM_CHECK_DO_QUOTA,
    TM_CHECK_DO_LOSE_QUEUED,
    TM_CHECK_DO_COMPACT,
    TM_CHECK_DO_BACKUP,
    TM_CHECK_DO_RESTORE,
    TM_CHECK_DO_EXPECT,
    TM_CHECK_DO_COUNT
} tm_check_do;

// tm_check_do_find - TM_CHECK_DO_COUNT if it is none.
tm_check_do tm_check_do_find(const tm_node *word);
const char *tm_check_do_word(tm_check_do what);

// Why a case is refused.
typedef struct tm_check_case_flaw {
    int64_t step; // -1 = not in a step
    char why[160];
} tm_check_case_flaw;

// tm_check_case_file_read - the `cases` of a file's text: an array's elements, from *first on.
//   problem   receives a sentence on TM_E_CORRUPT
TM_MUST_USE tm_status tm_check_case_file_read(tm_span text, tm_arena *arena,
                                              const tm_node **first,
                                              char problem[256]);

// tm_check_case_judge - whether this is a case as the README describes one.
bool tm_check_case_judge(const tm_node *one, tm_check_case_flaw *flaw);

#endif
