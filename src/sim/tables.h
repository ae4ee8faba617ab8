// tables.h - a model of the DynamoDB tables (docs/STORAGE.md), and of the stores of several
// servers on them: each request is on its way for a while, is carried out at one moment,
// and told at another.
//
// A batch is one item, put on condition that there is none with its first seq. A put can be
// throttled; can time out, stored or not; and one of which nobody knew any more, or whose
// server has died, may yet arrive much later, and finds the condition then. Reads are of one
// moment and are told later. Of a snapshot that was being written when its server died,
// either the manifest is there or it is not.
//
// Knows store/store.h, random.h.
#ifndef TM_SIM_TABLES_H
#define TM_SIM_TABLES_H

#include "sim/random.h"
#include "store/store.h"

// X(name, what it is)
#define TM_SIM_TABLE_FAULT_LIST(X)                                                 \
    X(THROTTLED, "a put was throttled")                                            \
    X(PUT_LOST, "a put timed out and was lost")                                    \
    X(PUT_KEPT, "a put timed out and was stored")                                  \
    X(PUT_LATE, "a put timed out and arrived later")                               \
    X(LATE_REFUSED, "a late put found another in its place")                       \
    X(LATE_STORED, "a late put was stored")                                        \
    X(READ_FAILED, "a read was throttled")                                         \
    X(SAVE_FAILED, "a snapshot was not written")                                   \
    X(CONFLICT, "a put lost against another server's")

typedef enum tm_sim_table_fault {
#define X(name, what) TM_SIM_TABLE_##name,
    TM_SIM_TABLE_FAULT_LIST(X)
#undef X
        TM_SIM_TABLE_FAULTS
} tm_sim_table_fault;

typedef struct tm_sim_tables tm_sim_tables;

typedef struct tm_sim_tables_config {
    uint32_t rate[TM_SIM_TABLE_FAULTS]; // of those that chance makes; in a million
    bool unconditional; // a lie: a put does not look whether there is one
    bool past_reads;    // a lie: reads are not consistent
    uint32_t usual_ms;  // a request is out so long, mostly
    uint32_t late_ms;   // a late put arrives within
    // Told at the moment at which a batch is stored.
    void (*stored)(void *context, tm_key key, const tm_batch *batch);
    void (*fault)(void *context, tm_sim_table_fault fault);
    uint64_t (*now)(void *context); // virtual time
    void *context;
} tm_sim_tables_config;

tm_sim_tables *tm_sim_tables_new(const tm_sim_tables_config *config,
                                 tm_sim_random random);
void tm_sim_tables_free(tm_sim_tables *tables);

// tm_sim_tables_calm - no fault happens any more; what is on its way still arrives.
void tm_sim_tables_calm(tm_sim_tables *tables);

// tm_sim_tables_mark - of the batch that ends at `seq`; NULL: none does.
const uint8_t *tm_sim_tables_mark(const tm_sim_tables *tables, tm_key key,
                                  uint64_t seq);

// tm_sim_tables_late - when the next late put arrives; UINT64_MAX: none is on its way.
uint64_t tm_sim_tables_late(const tm_sim_tables *tables);
void tm_sim_tables_arrive(tm_sim_tables *tables); // those that are due

// tm_sim_tables_open - one server's store. gives: tm_sim_tables_close.
tm_store *tm_sim_tables_open(tm_sim_tables *tables);
// tm_sim_tables_close - after tm_sim_tables_die, when nothing is asked any more.
void tm_sim_tables_close(tm_store *store);

uint64_t tm_sim_tables_due(const tm_store *store);
void tm_sim_tables_run(tm_store *store); // one request that is due
void tm_sim_tables_slow(tm_store *store, uint32_t factor); // of all its requests

// tm_sim_tables_die - the process is gone: what it had sent may arrive, and whoever asked
// hears of failures. true: something was told.
bool tm_sim_tables_die(tm_store *store);

#endif
