// life.h - one page's life in steps, beside another page, for tests that disturb it at
// every point: edits, batches, lost answers, a rejection, another name, a snapshot, a
// restored server.
#ifndef TM_TESTS_CLIENT_LIFE_H
#define TM_TESTS_CLIENT_LIFE_H

#include "client/host.h"

#define ADD(id)                                                                    \
    "{\"type\":\"ADD\",\"instanceId\":\"" id "\",\"imageId\":\"i-" id "\"}"
#define SET(id, value)                                                             \
    "{\"type\":\"UPDATE_METADATA\",\"instanceId\":\"" id                           \
    "\",\"data\":{\"description\":\"" value "\"}}"
#define DEL(id) "{\"type\":\"DELETE\",\"instanceId\":\"" id "\"}"

typedef struct life {
    model m;
    storage sa, sb;
    page a, b;         // a lives; b is there from begin to end
    char kept[64][16]; // values whose edit was kept
    size_t count;
} life;

extern life w;

#define LIFE_STEPS 16u

void life_begin(void);
void life_end(void);
void life_edit(page *p, const char *text, const char *value); // kept, if it was
bool life_step(size_t n); // false: there is no such step
void life_time(uint64_t ms);
void life_restart(void); // a starts from what is stored, and all meet
void life_meet(void);
void life_expect_kept(void); // each value is in the log, or a dead letter

#endif
