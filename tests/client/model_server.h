// model_server.h - a server as naive as SEMANTICS 5 allows, for the engine's tests: one
// list, everything in memory, nothing joined, nothing clever. It answers the calls and
// frames of docs/PROTOCOL.md and can be told to misbehave.
#ifndef TM_TESTS_CLIENT_MODEL_SERVER_H
#define TM_TESTS_CLIENT_MODEL_SERVER_H

#include "core/buf.h"
#include "core/list.h"

typedef struct model_op {
    char *raw; // as delivered: effective stamp, seq
    size_t len;
    char id[65], browser[65];
    uint64_t seq, version, time;
    bool ends_batch;
    bool fresh; // accepted since `start`
} model_op;

typedef struct model_decision {         // what was said of an id
    char id[65], browser[65], code[32]; // code "" = accepted
    uint64_t seq, time;
} model_decision;

typedef struct model_writer {
    char browser[65];
    uint64_t version;
    tm_clock clock;
} model_writer;

typedef struct model_state { // all that a backup holds
    model_op *ops;
    size_t op_count;
    model_decision *decisions;
    size_t decision_count;
    model_writer *writers;
    size_t writer_count;
    tm_clock clock;
    uint64_t floor;
    uint64_t epoch;
} model_state;

typedef struct model_conn { // the push channel of one page
    bool open, subscribed;
    uint64_t cursor;
    char *frames[256]; // waiting to be delivered
    size_t first, count;
} model_conn;

typedef struct model {
    model_state now, backup;
    uint64_t wall_ms;
    const char *user;
    uint64_t floor_at;   // answer with a snapshot below it, whatever the mark
    size_t accept_first; // 0 = all
    uint32_t reject;     // bit k: the k-th operation of the next push
    uint64_t next_epoch;
    model_conn conns[8];
    size_t part_bytes; // of SNAPSHOT frames; 0 = 1000
    size_t posts, pulls;
} model;

void model_init(model *m);
void model_free(model *m);

// model_post - the answer's body: free(). `conn`: who saves over the push channel, or -1.
char *model_post(model *m, tm_span body, uint32_t *http);
char *model_pull(model *m, tm_span query, uint32_t *http);
void model_frame(model *m, size_t conn, tm_span text);
// The next frame for this connection: free(). NULL = none.
char *model_next(model *m, size_t conn);
void model_open(model *m, size_t conn);
void model_close(model *m, size_t conn);

void model_compact(
    model *m); // all below the head is answered by a snapshot; ids go
void model_backup(model *m);
void model_restore(model *m);

// The server's state: tm_list_free.
tm_list *model_list(const model *m);

#endif
