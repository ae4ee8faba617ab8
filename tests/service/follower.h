// follower.h - what a client knows of one list by what it was told: every seq exactly
// once, in order, the cursor only at ends of batches and over no hole.
#ifndef TM_TESTS_SERVICE_FOLLOWER_H
#define TM_TESTS_SERVICE_FOLLOWER_H

#include "rig.h"

typedef struct follower {
    uint64_t cursor;
    char mark[65];
    bool listening;       // between SUBSCRIBED and BEHIND
    int64_t part;         // of a snapshot that is arriving
    uint64_t loose[4096]; // known, beyond the cursor
    size_t loose_count;
} follower;

// follow - take one frame in, and check it.
void follow(follower *f, const json_t *frame);
void follow_all(follower *f, rig_conn *conn);

#endif
