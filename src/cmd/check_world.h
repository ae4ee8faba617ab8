// check_world.h - the world of a golden scenario: pages with real engines behind a door,
// browsers' storage, a server, and one virtual time for all of them.
//
//     check_scenario.c   walks through the steps
//     check_expect.c     looks
//     check_traffic.c    pushes and pulls
//     check_channel.c    connects, cuts, restarts
//     check_wire.c       what lies between one engine and the server
//     check_page.c       one page: its engine's life, and its storage
//     check_server.c     the service and its store
//
// Everything is synchronous: when a step ends, nothing is under way. A function that
// answers false has noted why in the verdict, and the case is over.
//
// Knows cmd/check_*.h.
#ifndef TM_CMD_CHECK_WORLD_H
#define TM_CMD_CHECK_WORLD_H

#include "cmd/check_door.h"
#include "cmd/check_server.h"
#include "cmd/check_state.h"
#include "cmd/check_storage.h"
#include "cmd/check_verdict.h"

typedef struct tm_check_sent { // a push request, as it was sent
    struct tm_check_sent *next;
    tm_span bytes;
} tm_check_sent;

typedef struct tm_check_held { // a browserId whose lock a page holds
    struct tm_check_held *next;
    tm_span browser;
} tm_check_held;

// A replica of the case; a page while it runs.
typedef struct tm_check_page {
    struct tm_check_page *next; // in listed order
    tm_span id;
    tm_span browser; // what an empty storage draws; null once it was drawn
    tm_span own;     // the browserId it had last
    tm_check_storage *storage;
    int64_t clock_offset;
    bool online, ws, running;
    int32_t engine; // 0 = none
    tm_check_held *held;
    tm_conn *conn;      // NULL = not connected
    uint64_t ticked_ms; // when it was told the time last
    uint64_t drop;      // so many more messages of the push channel are lost
    tm_check_sent *sent, **sent_last;
} tm_check_page;

typedef struct tm_check_world {
    tm_check_verdict *verdict;
    tm_check_door *door;
    tm_status door_status; // TM_E_IO: the door is of no more use
    tm_check_server server;
    tm_check_page *pages, **pages_last;
    tm_check_storage *storages;
    uint64_t true_ms;
    int64_t server_offset;
    uint64_t initial_ops; // operations in the log before the first step
    uint64_t random;
    tm_arena arena; // names, requests: lives as long as the case
} tm_check_world;

// What the engine says about itself.
typedef struct tm_check_page_status {
    uint64_t pending, dead, cursor;
} tm_check_page_status;

// ---- check_world.c: time ----------------------------------------------------------------

tm_now tm_check_world_server_now(const tm_check_world *world);
tm_now tm_check_world_page_now(const tm_check_world *world,
                               const tm_check_page *page);

// tm_check_world_advance - let time pass, with every deadline on the way.
bool tm_check_world_advance(tm_check_world *world, uint64_t ms);

// tm_check_world_keep - a copy of a text that lives as long as the case; null on no memory,
// which is noted.
tm_span tm_check_world_keep(tm_check_world *world, tm_span text);

// ---- check_page.c -------------------------------------------------------------------

// tm_check_page_add - a replica that does not run yet. NULL: noted.
//   storage   the name of its storage; made if there is none of this name
tm_check_page *tm_check_page_add(tm_check_world *world, tm_span id,
                                 tm_span storage);
tm_check_page *tm_check_page_find(const tm_check_world *world, tm_span id);

// tm_check_page_start - a page starts from its storage, without network.
//   browser   what an empty storage would draw; null: see tm_check_page.browser
bool tm_check_page_start(tm_check_world *world, tm_check_page *page,
                         tm_span browser);

// tm_check_page_die - without notice: what is in memory is lost, what is stored stays.
bool tm_check_page_die(tm_check_world *world, tm_check_page *page);

// tm_check_page_pump - do what the engine's events ask for, until there are none.
bool tm_check_page_pump(tm_check_world *world, tm_check_page *page);

// tm_check_page_edit - `result` is what the call must return: ok, volatile, gone; null: any.
bool tm_check_page_edit(tm_check_world *world, tm_check_page *page, tm_span edit,
                        tm_span result);
bool tm_check_page_status_get(tm_check_world *world, tm_check_page *page,
                              tm_check_page_status *status);

// tm_check_page_shown - what it shows now: the view, and the ids in display order.
bool tm_check_page_shown(tm_check_world *world, tm_check_page *page, tm_buf *state,
                         tm_buf *order);

// tm_check_page_confirmed - its C, canonical.
bool tm_check_page_confirmed(tm_check_world *world, tm_check_page *page,
                             tm_buf *bytes);

// tm_check_page_call - one call of its engine. `args` without the engine; a negative result is
// a failure.
bool tm_check_page_call(tm_check_world *world, tm_check_page *page,
                        tm_check_fn call, const uint64_t *args, size_t count,
                        tm_span in, int64_t *result, tm_span *out);

// tm_check_page_call_now - the same with the time in front of `args`.
bool tm_check_page_call_now(tm_check_world *world, tm_check_page *page,
                            tm_check_fn call, const uint64_t *args, size_t count,
                            tm_span in, int64_t *result, tm_span *out);

// ---- check_expect.c -----------------------------------------------------------------

// tm_check_expect_step - a step `expect`; `page` is whom it looks at, or NULL.
bool tm_check_expect_step(tm_check_world *world, const tm_node *step,
                          tm_check_page *page);

// tm_check_expect_ending - the case's own `expect`, after the last step.
bool tm_check_expect_ending(tm_check_world *world, const tm_node *expect);

// ---- check_traffic.c, check_channel.c ----------------------------------------------------------------

typedef enum tm_check_push_fault {
    TM_CHECK_PUSH_FINE,
    TM_CHECK_PUSH_REQUEST_LOST,
    TM_CHECK_PUSH_RESPONSE_LOST,
    TM_CHECK_PUSH_DUPLICATED,
    TM_CHECK_PUSH_CLIENT_CRASH,
} tm_check_push_fault;

typedef struct tm_check_push {
    tm_check_push_fault fault;
    bool server_crash; // the process ends, before or after it committed
    bool bounded;      // the server makes `accept` operations durable and no more
    uint64_t accept;
    const tm_node *reject; // array of numbers, or NULL
    const tm_node *edits;  // array of edits, or NULL
} tm_check_push;

typedef enum tm_check_pull_fault {
    TM_CHECK_PULL_FINE,
    TM_CHECK_PULL_RESPONSE_LOST,
    TM_CHECK_PULL_CLIENT_CRASH,
} tm_check_pull_fault;

// tm_check_traffic_push / pull - nothing happens while the page is offline.
bool tm_check_traffic_push(tm_check_world *world, tm_check_page *page,
                           const tm_check_push *push);
bool tm_check_traffic_pull(tm_check_world *world, tm_check_page *page,
                           tm_check_pull_fault fault);

// tm_check_traffic_attach - the page's engine learns how the server can be reached; a page with
// a push channel is connected and hears from now on, but not what it missed.
bool tm_check_traffic_attach(tm_check_world *world, tm_check_page *page);
void tm_check_traffic_detach(tm_check_world *world,
                             tm_check_page *page); // the server's side of it
bool tm_check_traffic_offline(tm_check_world *world, tm_check_page *page);
bool tm_check_traffic_online(tm_check_world *world, tm_check_page *page);

bool tm_check_traffic_replay(tm_check_world *world, tm_check_page *page,
                             uint64_t nth);

// tm_check_traffic_deliver - what is on its way arrives, and what that leads to.
bool tm_check_traffic_deliver(tm_check_world *world);

// tm_check_traffic_restart - the server's process ends and starts again, on a restored store
// where `restore` says so; the pages with a push channel are connected anew (and then,
// after a restore, learn what the log has become: without that they could take the new
// log's numbers for a continuation of the old one's).
bool tm_check_traffic_restart(tm_check_world *world, bool restore);

#endif
