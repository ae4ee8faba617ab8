// inside.h - what one service is made of; for the files of this room alone.
//
// Knows the whole room.
#ifndef TM_SERVICE_INSIDE_H
#define TM_SERVICE_INSIDE_H

#include "service/decide.h"
#include "service/doorbell.h"
#include "service/hub.h"
#include "service/mark.h"
#include "service/page.h"

// Counters for /metrics; each stands there under its own name.
typedef struct tm_counts {
    uint64_t requests, refused, pushes, pulls, long_polls;
    uint64_t ops_accepted, ops_duplicate, ops_rejected, stops_fork, stops_gap,
        stops_retry;
    uint64_t appends, joined, conflicts, append_failures;
    uint64_t frames, behinds, closes, snapshots, snapshot_bytes;
    uint64_t opens, evictions, rereads, searches, page_reads, lost;
    uint64_t saves, save_failures, digests, mismatches, no_memory, list_days;
    uint64_t checks, rings_sent, rings_asked, rings_heard, rings_read, rings_false;
} tm_counts;

typedef struct tm_service_slot tm_service_slot;

struct tm_service {
    tm_service_config config;
    const tm_alloc *alloc;
    tm_store *store;
    tm_now now;              // as last told
    const tm_doorbell *bell; // NULL: away
    uint64_t bell_life;      // how often it came
    tm_seed seed;
    bool stopping;

    tm_table lists; // name -> ledger
    tm_ledger *newest, *oldest;
    tm_ledger *gathered; // pushes of theirs wait for tm_service_decide
    size_t list_bytes;
    tm_conn *conns;
    size_t conn_count, sub_count;
    tm_timers timers;
    tm_effects effects;
    tm_call **calls; // by slot
    uint32_t call_count, call_cap;
    tm_calls idle_calls; // to be used again
    uint32_t calls_alive;
    tm_calls sending; // backlogs that wait for their connection, or for their turn
    size_t outstanding;  // requests of the store
    tm_frame *no_memory; // the answer when there is none for another

    // Work space, used between one event and its effects only.
    tm_marker marker;
    tm_buf out;     // a body or frame
    tm_arena arena; // a stored batch being read
    tm_draft draft;
    tm_page page;
    tm_counts counts;
};

// tm_frame_new - gives one reference; NULL: no memory.
tm_frame *tm_frame_new(struct tm_service *service, tm_span bytes);
tm_frame *tm_frame_keep(tm_frame *frame); // one reference more

#endif
