// many.h - what the files of the world of several servers share: servers.c has the servers,
// the doorbell and time, clients.c the clients.
//
// Knows servers.h, service/.
#ifndef TM_SIM_MANY_H
#define TM_SIM_MANY_H

#include "service/doorbell.h"
#include "service/service.h"
#include "sim/history.h"
#include "sim/ram.h"
#include "sim/servers.h"

#define TM_MANY_LISTS    2u
#define TM_MANY_SERVERS  3u
#define TM_MANY_CLIENTS  5u
#define TM_MANY_OPS      400u // that one client makes at most
#define TM_MANY_SEQS     (TM_MANY_OPS * TM_MANY_CLIENTS + 1)
#define TM_MANY_START_MS UINT64_C(1790000000000)

typedef struct tm_many tm_many;

typedef enum tm_many_kind {
    TM_MANY_CLIENT,  // a client does something
    TM_MANY_REQUEST, // a request arrives; arg: its number, or 0: nobody waits for it
    TM_MANY_BOOT,
    TM_MANY_DEAF, // a service learns that the doorbell is away
    TM_MANY_HEAR, // or back
    TM_MANY_RING,
    TM_MANY_CHAOS,
} tm_many_kind;

typedef struct tm_many_event {
    uint64_t at_ms, order;
    tm_many_kind kind;
    uint32_t who, list, client;
    uint64_t life, arg;
    uint8_t *bytes; // of a request: its body, or its query
    size_t len;
    bool save;
} tm_many_event;

typedef struct tm_many_call { // a request that a service has
    uint32_t client;
    uint64_t number; // 0: nobody waits for the answer
    uint64_t ticket;
    bool save;
} tm_many_call;

typedef struct tm_many_server {
    tm_many *many;
    tm_service *service; // NULL = down
    tm_store *store;
    tm_sim_ram ram;
    tm_alloc alloc;
    tm_sim_random random;
    tm_doorbell bell;
    bool hears;
    uint64_t life;
    int64_t offset_ms; // of its wall clock
    tm_many_call **calls;
    size_t call_count, call_cap;
} tm_many_server;

typedef struct tm_many_client {
    uint32_t list;
    uint64_t made, acked;           // versions: up to `acked` all are accepted
    uint64_t time[TM_MANY_OPS + 1]; // of each version, packed: its own stamp
    uint64_t
        seen[TM_MANY_OPS + 1]; // the greatest effective one known when it was made
    uint64_t knows;            // now
    bool accepted[TM_MANY_OPS + 1];
    bool held[TM_MANY_SEQS]; // seqs that came, as an operation or an ack
    uint64_t cursor;
    char mark[65];
    uint64_t waiting, sent_ms; // the number of the request that is out; 0 = none
    uint64_t since;            // of that request
} tm_many_client;

struct tm_many {
    uint64_t seed, now_ms, order, number;
    tm_sim_many_lie lie;
    FILE *story;
    tm_sim_many_result *result;
    tm_sim_random random;
    uint32_t rate[TM_SIM_MANY_FAULTS];
    uint32_t server_count, client_count, snapshot_ops, push_ops_max, gap_ms;
    bool with_bell, calm;
    tm_sim_tables *tables;
    tm_sim_history *histories[TM_MANY_LISTS];
    uint64_t bell_heads[TM_MANY_LISTS];
    tm_many_server servers[TM_MANY_SERVERS];
    tm_many_client *clients[TM_MANY_CLIENTS];
    tm_many_event *events;
    size_t event_count, event_cap;
    tm_arena arena;
};

// servers.c
__attribute__((format(printf, 2, 3))) void tm_many_tell(tm_many *m,
                                                        const char *format, ...);
__attribute__((format(printf, 3, 4))) void
tm_many_broken(tm_many *m, tm_sim_invariant invariant, const char *format, ...);
bool tm_many_fate(tm_many *m, tm_sim_many_fault fault);
void tm_many_at(tm_many *m, uint64_t at_ms, tm_many_event event);
tm_key tm_many_key(const tm_many *m, uint32_t list);
tm_now tm_many_server_now(const tm_many *m, const tm_many_server *server);
void tm_many_server_boot(tm_many *m, uint32_t number);
void tm_many_server_die(tm_many *m, uint32_t number);
void tm_many_server_hear(tm_many *m, uint32_t number);
void tm_many_server_deaf(tm_many *m, uint32_t number, uint64_t for_ms);
void tm_many_server_after(tm_many *m, uint32_t number); // what it says

// clients.c
void tm_many_client_start(tm_many *m);
void tm_many_client_act(tm_many *m, uint32_t number);
void tm_many_client_arrive(tm_many *m, const tm_many_event *event);
void tm_many_client_answer(tm_many *m, const tm_many_call *call, uint32_t status,
                           tm_span body);
void tm_many_client_stored(tm_many *m, const tm_op *op);
void tm_many_client_end(tm_many *m);
void tm_many_client_free(tm_many *m);

#endif
