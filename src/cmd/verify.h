// verify.h - one list held against itself: the log against its hash chain, the operations
// against the rules of numbering, the snapshot against what the log gives.
//
// What is looked at, batch by batch:
//   - seqs without a hole, each batch as it says, each operation well-formed
//   - each mark the hash of the one before and the batch's bytes
//   - every operation id once; of each writer no version twice, versions and effective
//     times only growing
//   - at the snapshot's seq: its state, byte for byte, its mark and its writers
//   - at the end: the digest that was kept up to date is that of the state read afresh
//
// A log whose beginning was trimmed is replayed on top of the snapshot, and what it still
// has from before must not change the snapshot.
//
// Knows store/store.h, core/, service/ for the forms of what is stored.
#ifndef TM_CMD_VERIFY_H
#define TM_CMD_VERIFY_H

#include "core/digest.h"
#include "store/store.h"

#define TM_VERIFY_WRONG_MAX 20u // more of them say nothing new

typedef struct tm_verified_wrong {
    uint64_t seq; // the place
    char what[192];
} tm_verified_wrong;

typedef struct tm_verified {
    uint64_t operations, batches, bytes, rejections;
    uint64_t first, last; // seqs of the log
    uint64_t snapshot;    // its seq; 0 = there is none
    uint64_t holes;       // versions that are in no batch: see below
    size_t writers, live, dead;
    tm_digest digest;
    tm_verified_wrong wrong[TM_VERIFY_WRONG_MAX];
    size_t wrong_count; // may be greater than there is room for
} tm_verified;

// A version without an operation or a rejection is no fault: a rejection that found no
// room in later batches is forgotten (DESIGN 4). They are counted.

// tm_verify_list - what it finds is in `verified`.
//   head       the last seq that must be there; 0 = that is not known
//   progress   called after each batch; may be NULL
void tm_verify_list(tm_store *store, tm_key key, uint64_t head,
                    tm_verified *verified,
                    void (*progress)(void *context, uint64_t operations),
                    void *context);

#endif
