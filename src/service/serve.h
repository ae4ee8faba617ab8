// serve.h - how a call that needs no deciding (any more) is answered.
//
// A call is served when its list is WARM, and again whenever what it waited for has
// happened: it looks anew each time, for meanwhile the list may be another.
//
// Knows answer.h.
#ifndef TM_SERVICE_SERVE_H
#define TM_SERVICE_SERVE_H

#include "service/answer.h"

// tm_serve - answer the call, or have it wait for what it needs.
void tm_serve(tm_call *call);

// What becomes of a cursor. serve.c
typedef enum tm_verdict {
    TM_SERVE_MEMORY,   // the page was begun and filled from memory
    TM_SERVE_STORE,    // the store must be read from `since` on
    TM_SERVE_SNAPSHOT, // the cursor is not in this log, or the state is cheaper
} tm_verdict;

// tm_cursor_judge - where what comes behind the call's cursor is to be had.
//   head        up to where
//   bytes_max   for the page
tm_verdict tm_cursor_judge(tm_call *call, uint64_t head, size_t bytes_max);
// tm_cursor_page - fill the page from what the store gave. false: the batches show that
// the cursor is not in this log.
bool tm_cursor_page(tm_call *call, uint64_t head, size_t bytes_max,
                    const tm_batch *batches, size_t count);
// tm_cursor_read - ask the store for it.
void tm_cursor_read(tm_call *call, void (*on_read)(tm_call *call, tm_status status,
                                                   const tm_batch *batches,
                                                   size_t count, bool more));

void tm_serve_subscribe(tm_call *call); // backlog.c
void tm_serve_state(tm_call *call);     // view.c
void tm_serve_past(tm_call *call);      // view.c
void tm_serve_log(tm_call *call);       // view.c

// tm_saved_tell - a SAVE was decided: if its connection is subscribed, send SAVED in its
// turn, and set call->told. saved.c
//   block   the batch it was decided with; NULL: nothing had to be stored
void tm_saved_tell(tm_call *call, const tm_block *block);
// tm_saved_write - the members of SAVED and of the answer to POST up to the acks.
void tm_saved_write(tm_buf *out, const tm_call *call, uint64_t version,
                    const uint8_t mark[TM_MARK_LEN]);

// tm_backlog_resume - connections may have drained: go on sending. backlog.c
void tm_backlog_resume(tm_service *service);
bool tm_backlog_ready(
    const tm_service *service); // is there something to go on with?

// tm_call_woken - its timer rang: a long poll has waited long enough.
void tm_call_woken(tm_timer *timer);

#endif
