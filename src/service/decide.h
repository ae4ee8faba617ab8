// decide.h - what becomes of each operation of a push: SEMANTICS 5, "Push", on a draft.
//
// The draft holds the batch that is being made: its bytes, which are spliced in here once
// and never written again, and what the decisions after it must know of those before it -
// ids, writers' versions and clocks, how near the list is to its limits. Taking a push
// back leaves the draft as if it had never been there.
//
// The limits (10,000 live items, 100,000 ids, 16 fields, 32 MiB) are exact, and mean the
// list as it will be after the draft. Far from a limit an upper bound is enough; near
// one, a second list is made of the draft's operations and both are looked at.
//
// Knows ledger.h.
#ifndef TM_SERVICE_DECIDE_H
#define TM_SERVICE_DECIDE_H

#include "core/list.h"
#include "service/ledger.h"

#define TM_DRAFT_CHAINS 256u
#define TM_DRAFT_ITEMS  1024u

typedef struct tm_draft {
    tm_buf bytes; // "[op,op" so far; empty without any
    uint32_t ends[TM_BATCH_OPS_MAX];
    const tm_op *ops[TM_BATCH_OPS_MAX];
    uint32_t count;     // operations accepted
    uint32_t decisions; // with the rejected ones
    uint32_t rejections;
    uint64_t adds, ids; // upper bounds of what the accepted add
    size_t growth;      // of the state's size
    tm_list *overlay;   // the accepted operations; NULL = not needed yet
    int64_t live_more;  // exact, while there is an overlay
    uint64_t ids_more;
    tm_ack *chains[TM_DRAFT_CHAINS];
    uint64_t items[TM_DRAFT_ITEMS / 64]; // a bit for each item that is touched
} tm_draft;

typedef enum tm_decided {
    TM_DECIDED,       // the call has its acks, and perhaps a stop
    TM_DECIDE_READ,   // a consistent read is needed first
    TM_DECIDE_SEARCH, // the rows above the floor must be searched first
    TM_DECIDE_FULL,   // it does not fit behind what is in the draft
    TM_DECIDE_NOMEM,
    TM_DECIDE_CLOCK, // this server's clock is out of range
} tm_decided;

// tm_draft_open - an empty draft for the next batch of this ledger.
void tm_draft_open(tm_draft *draft, tm_ledger *ledger);
// tm_draft_done - decisions are over: what only deciding needed goes.
void tm_draft_done(tm_draft *draft);

// tm_decide - decide a push. Whatever is not TM_DECIDED leaves the draft and the call
// as they were.
tm_decided tm_decide(tm_draft *draft, tm_ledger *ledger, tm_call *call);

// tm_decide_undo - take back the newest push of the draft.
void tm_decide_undo(tm_draft *draft, tm_ledger *ledger, tm_call *call);

// tm_decide_forget - the append failed: the acks of these calls never were.
void tm_decide_forget(tm_ledger *ledger, tm_calls *calls);

#endif
