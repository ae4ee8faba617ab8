// world.h - the simulated world, for those who make it go round:
//
//     world.c     time, the heap of what happens next, the fates, the story
//     ghost.c     every operation anybody was told is kept, until it is accounted for (I5)
//     server.c    the service's process: its lives, its store, its effects
//     net.c       requests, connections, and what a network does to them
//     page.c      one tab: an engine and its host
//     browser.c   profiles: storage, clocks, tabs that come and go
//     edits.c     what people do
//     hostile.c   clients that are not ours: newer ones, and hostile ones
//     steps.c     carries out the steps of a run
//     look.c      the invariants that are looked at on the way
//     heal.c      the faults end: all becomes equal, and silent
//
// Everything hangs on one tm_world. A broken invariant is noted once; then nothing goes on.
//
// Knows sim/, client/, service/.
#ifndef TM_SIM_WORLD_H
#define TM_SIM_WORLD_H

#include "client/engine.h"
#include "service/service.h"
#include "sim/history.h"
#include "sim/keeper.h"
#include "sim/ram.h"
#include "sim/storage.h"

#define TM_SIM_PAGES_MAX                                                           \
    32u // more than are open at once, by the number that heal opens
#define TM_SIM_TABS_MAX        9u // that steps open
#define TM_SIM_START_MS        UINT64_C(1790000000000)
#define TM_SIM_PAST_MAX        16u // histories that pages may still follow
#define TM_SIM_ID_MAX          64u
#define TM_SIM_NEVER           UINT64_MAX
#define TM_SIM_HOSTILE_ACCOUNT (TM_SIM_ACCOUNTS - 1) // nobody of ours uses it

typedef struct tm_world tm_world;

// ---- time -----------------------------------------------------------------------------

typedef struct tm_sim_clock {
    int64_t offset_ms;
    int64_t drift_ppm;
    uint64_t drift_from_ms;
    uint64_t frozen_ms; // the wall time it shows; 0 = it goes
    uint32_t grain_ms;  // it shows multiples of this
    uint64_t slept_ms;  // for the monotonic one
} tm_sim_clock;

typedef enum tm_sim_event_kind {
    TM_SIM_EVENT_STEP,
    TM_SIM_EVENT_TICK,    // a page's deadline
    TM_SIM_EVENT_SERVER,  // the service's deadline
    TM_SIM_EVENT_STORE,   // the keeper's
    TM_SIM_EVENT_ARRIVE,  // a message
    TM_SIM_EVENT_TIMEOUT, // a page waited long enough; arg: ref
    TM_SIM_EVENT_CONNECT, // a page tries to open a connection
    TM_SIM_EVENT_LATCH,   // a connection is open: both know
    TM_SIM_EVENT_CLOSED, // a page learns that its connection is gone; arg: its number
    TM_SIM_EVENT_GONE,   // the server learns; arg: its number
    TM_SIM_EVENT_FLOW,   // a slow reader reads on; arg: connection
    TM_SIM_EVENT_COMMIT, // a page's transaction runs
    TM_SIM_EVENT_RELOAD,
    TM_SIM_EVENT_ADOPT,
    TM_SIM_EVENT_TOKEN, // a page has a new token
    TM_SIM_EVENT_OPEN,  // a page opens again; arg: profile, account
    TM_SIM_EVENT_THAW,  // a frozen page resumes
    TM_SIM_EVENT_BOOT,  // the server's process starts
    TM_SIM_EVENT_STOP,  // a draining server ends
} tm_sim_event_kind;

typedef struct tm_sim_event {
    uint64_t at_ms, order;
    tm_sim_event_kind kind;
    uint32_t who, life; // a page and which of its lives
    uint64_t arg;
    struct tm_sim_message *message;
} tm_sim_event;

// ---- the network ------------------------------------------------------------------------

typedef enum tm_sim_message_kind {
    TM_SIM_REQUEST,    // HTTP, to the server
    TM_SIM_ANSWER,     // HTTP, to a page
    TM_SIM_UP,         // a frame to the server
    TM_SIM_DOWN_FRAME, // a frame to a page
} tm_sim_message_kind;

typedef struct tm_sim_message {
    tm_sim_message_kind kind;
    uint32_t page, life, account;
    uint64_t ref, conn;
    uint32_t http;
    bool save, stray; // stray: nobody waits for the answer
    uint64_t order;   // in which it was sent
    size_t len;
    uint8_t bytes[];
} tm_sim_message;

typedef struct tm_sim_call { // a request that the service has
    struct tm_sim_call *next;
    bool http; // first of what both peers share: tells a call from a connection
    uint32_t page, life, account;
    uint64_t ref, ticket;
    bool save, stray;
} tm_sim_call;

typedef struct tm_sim_conn { // a WebSocket
    struct tm_sim_conn *next;
    bool http;
    uint64_t number;
    uint32_t page, life, account;
    tm_conn *conn;           // the server's end; NULL = it knows of none (any more)
    bool up_dead, down_dead; // half-open: what is sent vanishes
    bool cut;                // what is on its way is lost
    uint64_t up_ms, down_ms; // arrival of the last message: they keep their order
    uint64_t slow_until_ms;
    size_t backlog; // bytes held back by a slow reader
} tm_sim_conn;

// ---- pages ------------------------------------------------------------------------------

typedef struct tm_sim_lock {
    uint8_t name[65];
    size_t len;
} tm_sim_lock;

typedef struct tm_sim_page {
    bool alive;
    uint32_t life; // counts up
    uint32_t profile, account;
    tm_engine *engine;
    tm_sim_ram ram;
    tm_alloc alloc;
    tm_sim_random random, net;
    tm_sim_lock *locks;
    size_t lock_count, lock_cap;
    uint8_t *commit; // a transaction that is out
    size_t commit_len;
    uint64_t ticket;
    tm_channel channel;
    uint64_t conn; // number of its connection; 0 = none
    bool connecting;
    uint32_t failures;           // connections in a row that did not come about
    uint64_t tick_ms;            // when its next tick is due; NEVER = none
    uint64_t save_ref, pull_ref; // requests that are out, by HTTP
    uint64_t frozen_until_ms, throttled_until_ms;
    uint32_t die_in;  // at the n-th storage write from now; 0 = not
    bool doomed;      // it has died in a storage write
    bool disk, local; // it began with both places
    bool token_bad;   // until a new one is there
    bool wrong_user_once;
    bool reloading;     // its disk is being read again
    bool stopped;       // the server said that it is somebody else's
    bool taken;         // it slept and another page took its writer
    uint64_t edited_ms; // last own edit, monotonic
    uint64_t settled, pending, offered; // as it said a moment ago
    uint64_t sent, heard;               // messages, for I15
    uint64_t saves;
} tm_sim_page;

typedef struct tm_sim_profile {
    bool used;
    tm_storage storage[TM_SIM_ACCOUNTS];
    bool damaged[TM_SIM_ACCOUNTS]; // a fault destroyed records, ever
    tm_sim_clock clock;
    uint64_t asleep_until_ms;
    uint64_t cut_until_ms;
    int cut; // 0 both ways, 1 nothing reaches the server, 2 nothing comes back
    bool no_disk, no_local;
    tm_storage saved[TM_SIM_ACCOUNTS]; // a copy of it all, made earlier
    bool has_saved;
} tm_sim_profile;

// ---- the server -------------------------------------------------------------------------

typedef struct tm_sim_account {
    tm_key key;
    tm_sim_history *history;
    tm_sim_history *past[TM_SIM_PAST_MAX];
    size_t past_count;
    tm_sim_history *backup; // as it was then; NULL = none
    bool rolled_back;       // by a restore, ever
    uint64_t incarnation;   // counts the histories, from 0
    uint64_t acked_max;     // greatest seq that was acknowledged in this history
    uint64_t in_flight;     // batches that may yet turn up
} tm_sim_account;

typedef struct tm_sim_server {
    tm_service *service; // NULL = down
    tm_store *store;
    tm_sim_keeper keeper;
    tm_sim_ram ram;
    tm_alloc alloc;
    tm_sim_clock clock;
    tm_sim_random random;
    tm_sim_call *calls;
    uint64_t tick_ms, store_ms; // events that are arranged
    uint64_t life;
    bool draining;
    bool booting;
    bool clock_changed; // ever
} tm_sim_server;

// ---- ghosts -----------------------------------------------------------------------------

typedef struct tm_sim_ghost {
    uint8_t id[65];
    size_t id_len;
    uint32_t account;
    bool made;   // by an edit (and not an offer, or somebody else's)
    bool owed;   // storage had it once: it must not get lost
    bool logged; // in the history of now
    bool rejected, acked;
    bool excused; // storage lost it, as it may
    uint32_t copies,
        letters; // records that hold it: in the queue, as a dead letter
    const struct tm_sim_page *author; // that made it, in its life `author_life`
    uint32_t author_life;
    uint64_t memory;    // pages that hold it, one bit each
    uint64_t made_ms;   // true time
    uint64_t seen_time; // greatest effective time its author knew
    uint64_t seen_in;   // in which of the histories (from 1); 0 = unknown
} tm_sim_ghost;

// ---- the whole --------------------------------------------------------------------------

struct tm_world {
    const tm_sim_config *config;
    tm_sim_result *result;
    tm_sim_plan plan;
    uint64_t seed;
    uint64_t now_ms; // true time since the beginning
    tm_sim_event *heap;
    size_t heap_count, heap_cap;
    uint64_t order;
    tm_sim_random random; // of the world itself
    tm_sim_profile profiles[TM_SIM_PROFILES_MAX];
    tm_sim_page pages[TM_SIM_PAGES_MAX];
    tm_sim_account accounts[TM_SIM_ACCOUNTS];
    tm_sim_server server;
    tm_sim_conn *conns;
    uint64_t conn_number;
    tm_sim_ghost **ghosts;
    size_t ghost_count, ghost_cap;
    tm_table ghost_ids;
    const tm_sim_step *steps;
    size_t step_count, steps_done;
    bool calm; // the faults have ended
    uint64_t portal_until_ms, proxy_until_ms;
    uint64_t value;        // counts the values people write
    uint64_t last_arrived; // order of the last request that arrived
    tm_arena arena;        // for one moment
    uint8_t *replayed; // a request of an honest page, for a hostile one to replay
    size_t replayed_len;
    uint64_t data_messages;     // other than heartbeats, for I15
    bool over;                  // an invariant was broken, and that was told
    bool damage;                // a fault is at work on somebody's storage
    bool making;                // somebody edits: what is stored now is theirs
    bool erasing;               // the person themself gives an operation up
    const tm_sim_page *storing; // whose transaction runs
    const tm_sim_ghost
        *left; // it left the queue in that, too early by what is stored
    uint8_t renamed[TM_SIM_ID_MAX]; // whom it gives entries that had another writer
    size_t renamed_len;
};

// world.c
tm_now tm_sim_clock_now(const tm_sim_clock *clock, uint64_t now_ms);
void tm_sim_at(tm_world *world, uint64_t at_ms, tm_sim_event event);
// tm_sim_broken - an invariant is broken; only the first is kept.
__attribute__((format(printf, 3, 4))) void
tm_sim_broken(tm_world *world, tm_sim_invariant invariant, const char *format, ...);
bool tm_sim_over(const tm_world *world); // one is
void tm_sim_looked(tm_world *world, tm_sim_invariant invariant);
// tm_sim_strike - a fault happened.
void tm_sim_strike(tm_world *world, tm_sim_fault fault, const tm_sim_page *page);
// tm_sim_fate - whether it does, by its rate.
bool tm_sim_fate(tm_world *world, tm_sim_random *random, tm_sim_fault fault,
                 const tm_sim_page *page);
void tm_sim_hash(tm_world *world, uint64_t what, tm_span bytes);
__attribute__((format(printf, 3, 4))) void
tm_sim_tell(tm_world *world, const char *who, const char *format, ...);
const char *tm_sim_page_name(const tm_world *world, const tm_sim_page *page);
tm_world *tm_sim_world_new(const tm_sim_config *config, tm_sim_result *result);
void tm_sim_world_free(tm_world *world);
void tm_sim_world_run(tm_world *world, uint64_t until_ms);

// note.c - see note.h.
void tm_sim_note_world(tm_world *world, tm_sim_note_kind kind, uint32_t account,
                       int64_t number, tm_span text);
void tm_sim_note_page(tm_world *world, tm_sim_note_kind kind,
                      const tm_sim_page *page, int64_t number, tm_span text);
void tm_sim_note_profile(tm_world *world, tm_sim_note_kind kind, uint32_t profile,
                         int64_t number);
void tm_sim_note_clocks(tm_world *world); // one was changed
// tm_sim_note_heard - a page heard `text`; its cursor was there before.
void tm_sim_note_heard(tm_world *world, const tm_sim_page *page, tm_span text,
                       uint64_t cursor_before);

// ghost.c
tm_sim_ghost *tm_sim_ghost_get(tm_world *world, tm_span id); // NULL: never heard of
tm_sim_ghost *tm_sim_ghost_make(tm_world *world, tm_span id, uint32_t account);
// tm_sim_ghost_record - a record appeared, changed or went; `damage`: by a fault.
//   storage   where, if it keeps a C beside; else NULL
void tm_sim_ghost_record(tm_world *world, uint32_t account, tm_span key,
                         tm_span before, tm_span after, const tm_storage *storage,
                         bool damage);
// tm_sim_ghost_left - the transaction is done: none left its queue too early.
void tm_sim_ghost_left(tm_world *world, const tm_storage *storage);
void tm_sim_ghost_page(tm_world *world, const tm_sim_page *page); // it is gone
void tm_sim_ghost_logged(tm_world *world, uint32_t account);      // another history
void tm_sim_ghost_check(tm_world *world, const char *when);

// server.c
void tm_sim_server_boot(tm_world *world);
void tm_sim_server_die(tm_world *world, bool crash);
void tm_sim_server_after(
    tm_world *world); // whatever was asked of it: effects, timers
tm_now tm_sim_server_now(const tm_world *world);
void tm_sim_server_tick(tm_world *world);
void tm_sim_server_store(tm_world *world);
void tm_sim_server_request(tm_world *world, const tm_sim_message *message);
void tm_sim_server_frame(tm_world *world, tm_sim_conn *conn, tm_span frame);
void tm_sim_server_restore(tm_world *world, bool empty);
void tm_sim_server_backup(tm_world *world);
void tm_sim_server_compact(tm_world *world, uint32_t account);

// net.c
void tm_sim_net_send(tm_world *world, tm_sim_page *page, const tm_send *send);
void tm_sim_net_arrive(tm_world *world, tm_sim_message *message);
void tm_sim_net_answer(tm_world *world, const tm_sim_call *call, uint32_t http,
                       tm_span body, bool from_server);
void tm_sim_net_push(tm_world *world, tm_sim_conn *conn, tm_span frame);
void tm_sim_net_connect(tm_world *world, tm_sim_page *page);
void tm_sim_net_latch(tm_world *world, tm_sim_page *page);
void tm_sim_net_closed(tm_world *world, tm_sim_page *page, uint64_t number);
void tm_sim_net_drop(tm_world *world, tm_sim_page *page); // the page's end goes
void tm_sim_net_reset(tm_world *world, tm_sim_conn *conn);
void tm_sim_net_gone(tm_world *world, tm_sim_conn *conn); // the server's end goes
void tm_sim_net_flow(tm_world *world, tm_sim_conn *conn);
void tm_sim_net_server_down(tm_world *world);
void tm_sim_net_reconnect(tm_world *world, tm_sim_page *page, uint64_t in_ms);
tm_sim_conn *tm_sim_net_conn(const tm_world *world, uint64_t number);
void tm_sim_net_sweep(tm_world *world);
uint64_t tm_sim_net_latency(tm_world *world, tm_sim_page *page);
uint64_t tm_sim_net_backlog(const tm_world *world); // messages that wait

// page.c
tm_sim_page *tm_sim_page_open(tm_world *world, uint32_t profile, uint32_t account);
void tm_sim_page_die(tm_world *world, tm_sim_page *page);
void tm_sim_page_settle(tm_world *world, tm_sim_page *page);
tm_now tm_sim_page_now(const tm_world *world, const tm_sim_page *page);
bool tm_sim_page_awake(const tm_world *world, const tm_sim_page *page);
uint64_t tm_sim_page_wakes(const tm_world *world, const tm_sim_page *page);
void tm_sim_page_event(tm_world *world, tm_sim_page *page,
                       const tm_sim_event *event);
void tm_sim_page_channel(tm_world *world, tm_sim_page *page, tm_channel channel);
void tm_sim_page_edit(tm_world *world, tm_sim_page *page, tm_span edit);
uint64_t tm_sim_page_number(tm_world *world, tm_sim_page *page, const char *member);
bool tm_sim_page_live(tm_world *world,
                      tm_sim_page *page); // nothing is owed, it says
tm_storage *tm_sim_page_storage(tm_world *world, const tm_sim_page *page);
void tm_sim_page_adopt(tm_world *world, tm_sim_page *page);

// edits.c
void tm_sim_edit_draw(tm_world *world, tm_sim_random *random, tm_sim_page *page,
                      tm_buf *out);

// hostile.c
void tm_sim_newer_client(tm_world *world, tm_sim_random *random, uint32_t account);
void tm_sim_hostile(tm_world *world, tm_sim_random *random);

// steps.c
void tm_sim_step_do(tm_world *world, const tm_sim_step *step);

// look.c
void tm_sim_look_page(tm_world *world, tm_sim_page *page, bool thoroughly);
void tm_sim_look_lists(tm_world *world);
void tm_sim_look_view(tm_world *world, tm_sim_page *page, bool strictly);
// tm_sim_look_emitted - what the server says to somebody of `account`.
void tm_sim_look_emitted(tm_world *world, uint32_t account, tm_span text);

// heal.c
void tm_sim_heal(tm_world *world);

#endif
