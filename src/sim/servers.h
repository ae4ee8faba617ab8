// servers.h - several servers on one DynamoDB model (tables.h), in virtual time and from one
// seed: puts that time out and arrive late, servers that die, are slow, stop hearing, and
// have clocks of their own, a doorbell that loses, repeats, delays and is away, and clients
// that go from one server to another with every request.
//
// The clients are plain ones, not engines: they save and ask, hold an answer against the
// log as it became durable, and accept nothing that only a server behind the others would
// say. What engines make of a server's answers is sim.h's to try.
//
// Looked at: I1 to I4 and I9 of each batch as it is stored (history.h); I6: nothing is
// acknowledged or shown that is not stored; I7: each seq comes once, up to the version, and
// the mark is the log's; I12: a server that ended has given back all memory. Never: fork or
// gap, or a version below the cursor. Of each server, its state is the log's up to its head
// (I1). At the end (I14) each client stays with one server: all is accepted, and all clients
// and all servers have all of it.
//
// Knows sim.h, tables.h, service/.
#ifndef TM_SIM_SERVERS_H
#define TM_SIM_SERVERS_H

#include "sim/sim.h"
#include "sim/tables.h"

// X(name, what it is): beside those of tables.h
#define TM_SIM_MANY_FAULT_LIST(X)                                                  \
    X(SERVER_DIES, "a server dies")                                                \
    X(SERVER_SLOW, "a server's store is slow")                                     \
    X(SERVER_CLOCK, "a server's clock jumps")                                      \
    X(BELL_AWAY, "the doorbell is away for one server")                            \
    X(BELL_EMPTY, "the doorbell has forgotten all heads")                          \
    X(RING_LOST, "a ring is lost")                                                 \
    X(RING_TWICE, "a ring is heard twice")                                         \
    X(RING_INVENTED, "a ring says what is not")                                    \
    X(REQUEST_LOST, "a request is lost")                                           \
    X(ANSWER_LOST, "an answer is lost")                                            \
    X(REQUEST_AGAIN, "a request arrives again, elsewhere and later")

typedef enum tm_sim_many_fault {
#define X(name, what) TM_SIM_MANY_##name,
    TM_SIM_MANY_FAULT_LIST(X)
#undef X
        TM_SIM_MANY_FAULTS
} tm_sim_many_fault;

typedef struct tm_sim_many_result {
    tm_sim_invariant broken;
    char what[256];      // a sentence
    uint64_t broken_ms;  // virtual time
    uint64_t hash;       // of all that happened
    uint64_t accepted;   // operations
    uint64_t requests;   // that were answered
    uint64_t virtual_ms; // lived
    uint32_t tables[TM_SIM_TABLE_FAULTS], faults[TM_SIM_MANY_FAULTS];
} tm_sim_many_result;

// What a test has broken, to see it found.
typedef enum tm_sim_many_lie {
    TM_SIM_MANY_HONEST,
    TM_SIM_MANY_UNCONDITIONAL, // a put does not look whether there is one
    TM_SIM_MANY_PAST_READS,    // reads are not consistent
    TM_SIM_MANY_ALONE,         // servers believe that nobody else appends
} tm_sim_many_lie;

// tm_sim_many_run - live through one seed. `story` may be NULL.
void tm_sim_many_run(uint64_t seed, tm_sim_many_lie lie, FILE *story,
                     tm_sim_many_result *result);

const char *tm_sim_table_fault_text(tm_sim_table_fault fault);
const char *tm_sim_many_fault_text(tm_sim_many_fault fault);

#endif
