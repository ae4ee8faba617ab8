// hub.h - who listens to a list, and what each must be told.
//
// A subscription is a connection's ear at one list:
//
//     WAITING   asked for; nothing was sent. News is not kept: the backlog will have it
//     HOLDING   the backlog up to `from` is being sent; what comes meanwhile is held
//     LIVE      all up to the head was sent
//     BEHIND    it could not keep up and was told so; only acks go there until the next
//               SUBSCRIBE
//
// A batch is encoded once and its frame goes to all. The connection that saved gets SAVED
// instead: acks, and what others put into the same batch. So frames come in the order of
// the log and every seq is learned exactly once. DESIGN 4.
//
// Knows ledger.h.
#ifndef TM_SERVICE_HUB_H
#define TM_SERVICE_HUB_H

#include "service/ledger.h"

// One connection may listen to so many lists: each is a ledger that stays in memory.
#define TM_SUBS_MAX 64u

typedef enum tm_sub_state {
    TM_SUB_WAITING,
    TM_SUB_HOLDING,
    TM_SUB_LIVE,
    TM_SUB_BEHIND
} tm_sub_state;

// A frame that waits for the backlog. A SAVED has a second form, with acks alone, for when
// its connection falls behind after all.
typedef struct tm_held {
    struct tm_held *next;
    tm_frame *frame, *bare;
} tm_held;

struct tm_sub {
    tm_sub *conn_next;
    tm_sub *next, *prev; // of the list
    tm_conn *conn;
    tm_ledger *ledger;
    tm_sub_state state;
    tm_call *call; // that sends the backlog
    uint64_t from; // HOLDING: where the backlog ends
    tm_held *held_first, *held_last;
    size_t held_bytes;
    uint64_t seen,
        seen_told;     // its cursor as reported; what it knows of the others'
    uint64_t digested; // head of the last DIGEST sent
};

struct tm_conn {
    tm_conn *next, *prev;
    struct tm_service *service;
    void *peer;
    tm_sub *subs;
    uint32_t sub_count;
    tm_call *calls;
    uint32_t call_count;
    size_t call_bytes;
    size_t queued;      // as the host reported
    size_t waiting;     // in effects that were not taken
    tm_timer stalled;   // rings when nothing drained for too long
    bool closing;       // no frame goes there any more
    tm_call *last_save; // while a batch is told: its last SAVE in it
    uint32_t user_len;
    uint8_t user[];
};

// tm_conn_send - one frame. Without memory for it the connection is closed.
void tm_conn_send(tm_conn *conn, tm_frame *frame);
void tm_conn_shut(tm_conn *conn, uint32_t code);
bool tm_conn_slow(const tm_conn *conn); // more is unsent than should be
tm_span tm_conn_user(const tm_conn *conn);

tm_sub *tm_hub_find(const tm_conn *conn, const tm_ledger *ledger);
// tm_hub_join - listen. An earlier subscription is begun anew. NULL: no memory.
tm_sub *tm_hub_join(tm_conn *conn, tm_ledger *ledger);
void tm_hub_leave(tm_sub *sub);

// tm_hub_wait - it asked anew: nothing is sent or held until it is served.
void tm_hub_wait(tm_sub *sub);
// tm_hub_hold - its backlog is everything up to the head as it is now; what comes later
// waits.
void tm_hub_hold(tm_sub *sub);
// tm_hub_live - the backlog is sent: what was held goes now.
void tm_hub_live(tm_sub *sub);
// tm_hub_behind - it missed something: say so, and send acks alone from now on.
void tm_hub_behind(tm_sub *sub);

// tm_hub_tell - a batch has become durable. Connections that saved in it are left out.
void tm_hub_tell(tm_ledger *ledger, const tm_batch *batch);
// tm_hub_saved - send a SAVED in its turn. Both frames are taken.
//   bare   the same with acks alone; may be NULL while the subscription is LIVE
void tm_hub_saved(tm_sub *sub, tm_frame *frame, tm_frame *bare);

// tm_hub_seen - a connection reported its cursor. Answers at once.
void tm_hub_seen(tm_conn *conn, tm_span list, tm_ledger *ledger, uint64_t version);
// tm_hub_ring - the list's timer rang: send what is due of SEEN and DIGEST.
void tm_hub_ring(tm_ledger *ledger);
uint64_t tm_hub_deadline(const tm_ledger *ledger); // UINT64_MAX = nothing is due

#endif
