// watch.h - may memory be believed, where other servers append to the same store?
//
// Nothing here is needed for safety: the append decides, and what memory alone cannot know
// is never said from it (ledger.h). It is about news: a list that grew elsewhere must
// become known here, and asking the store for it costs money.
//
// A ledger is SURE of its head when it has read or written the log's end. With the doorbell
// there it stays so until a ring says more, or the doorbell was away in between; without,
// for 5 s. doorbell.h says what is done about the rest.
//
// A ring that says more than a read then finds was a lie (of a Redis that others write to,
// or a store that was rolled back): that number is not believed again, and the next ring
// causes a read only 5 s later. So the worst that it can do is what being away costs.
//
// Knows ledger.h, doorbell.h.
#ifndef TM_SERVICE_WATCH_H
#define TM_SERVICE_WATCH_H

#include "service/doorbell.h"
#include "service/ledger.h"

#define TM_WATCH_MS      5000u  // between two checks while something happens
#define TM_WATCH_REST_MS 60000u // at most; so long after activity they become rarer

// tm_watch_sure - the log's end was just read, or written.
void tm_watch_sure(tm_ledger *ledger);
// tm_watch_active - something happened to the list, or somebody came to listen.
void tm_watch_active(tm_ledger *ledger);
// tm_watch_stale - must the log's end be read before memory is answered from?
bool tm_watch_stale(const tm_ledger *ledger);

// tm_watch_ring, tm_watch_ask - if the doorbell is there.
void tm_watch_ring(const tm_ledger *ledger);
void tm_watch_ask(const tm_ledger *ledger);

// tm_watch_reading - a read of the log's end begins. tm_watch_read - it is over; `known`:
// well, and memory has what it brought.
void tm_watch_reading(tm_ledger *ledger);
void tm_watch_read(tm_ledger *ledger, bool known);

// tm_watch_deadline - when the list is to be read because somebody listens.
uint64_t tm_watch_deadline(const tm_ledger *ledger);

#endif
