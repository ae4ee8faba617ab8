// stored.h - a batch as the store keeps it, read back: its operations and the rejections
// that rode along. It was written by a server like this one, and is checked all the same.
//
// Knows core/op.h, store/store.h.
#ifndef TM_SERVICE_STORED_H
#define TM_SERVICE_STORED_H

#include "core/op.h"
#include "store/store.h"

typedef struct tm_stored_rejection {
    tm_span id, browser;
    uint64_t version;
    tm_fault fault;
} tm_stored_rejection;

typedef struct tm_stored {
    tm_op *ops;     // seq and effective stamp as stored
    uint32_t *ends; // where each ends in batch->operations, as in tm_block
    uint32_t count;
    tm_stored_rejection *rejected;
    uint32_t rejected_count;
} tm_stored;

// tm_stored_read - everything lives in the arena, or points into the batch.
// TM_E_CORRUPT: not one batch with the seqs it claims. TM_E_NOMEM.
TM_MUST_USE tm_status tm_stored_read(const tm_batch *batch, tm_arena *arena,
                                     tm_stored *stored);

// tm_stored_fault - the other way of tm_fault_word. A word that this build does not know is
// still a rejection: TM_FAULT_POLICY.
tm_fault tm_stored_fault(tm_span word);

#endif
