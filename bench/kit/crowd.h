// crowd.h - many people on many lists, some connections a list, who edit as fast as
// their answers come: so many edits of a connection may be unanswered, its window, and
// each edit is a message of its own.
//
// The same crowd for every server: a dialect says how an edit is put, and what was heard.
// An edit carries the time it was sent in its id, so whoever sees it knows how old it is.
//
// The mix: 30 % add, 60 % update, 10 % delete; a list begins with 100 items. Every
// connection edits items of its own: Yjs' updates can be prepared only so, and nobody else
// cares.
#ifndef TM_BENCH_CROWD_H
#define TM_BENCH_CROWD_H

#include "kit.h"

#define ITEMS_AT_FIRST 100u

typedef struct crowd crowd;

typedef struct client {
    wire to;    // first
    wire reads; // a second connection, where a protocol needs one
    crowd *in;
    unsigned list, index;
    uint64_t version;         // of its last edit
    uint32_t low, high, step; // its live items: low, low + step, ... below high
    uint32_t outstanding;
    bool joined; // it hears of edits
    void *own;   // the dialect's
} client;

typedef enum edit_kind { EDIT_ADD, EDIT_UPDATE, EDIT_DELETE } edit_kind;

typedef struct edit {
    edit_kind kind;
    uint32_t item;
    uint64_t sent_ns;
    uint64_t version; // of its writer
} edit;

typedef struct dialect {
    const char *name;
    // Connect, and ask to hear of the list.
    void (*open)(client *one, const server *with, unsigned number);
    void (*say)(client *one, const edit *what);
    wire_hears *hears;
} dialect;

struct crowd {
    const dialect *speaks;
    unsigned lists, per_list, window;
    client *clients; // lists * per_list
    size_t count;
    uint64_t random;
    bool measuring, going; // going: an answer brings the next edit
    uint64_t acked, seen;  // while measuring
    uint64_t outstanding;
    times acks, sights;
};

// crowd_open - connect them all, and give each list its first items.
void crowd_open(crowd *of, const server *with, const dialect *speaks,
                unsigned lists, unsigned per_list, unsigned window);
void crowd_close(crowd *of);

// crowd_edit - one edit of this client.
void crowd_edit(crowd *of, client *by);

// crowd_run - everybody edits, for so long. At its end edits are still outstanding.
void crowd_run(crowd *of, double seconds);

// crowd_warm - the same for a second, of which nothing is counted, to the last answer.
void crowd_warm(crowd *of);

// crowd_calm - one edit at a time, `count` of them: the latency of a server at rest.
void crowd_calm(crowd *of, size_t count);

// crowd_wait - hear until nothing is outstanding.
void crowd_wait(crowd *of);

// What a dialect tells.
void heard_ack(client *by, uint64_t sent_ns);
void heard_sight(client *by, uint64_t sent_ns); // another's edit

// op_text - the operation as Tidemark writes it; others send the same bytes.
size_t op_text(char *to, size_t room, const client *by, const edit *what);
// op_sent_ns - from its first bytes, {"id":"...
uint64_t op_sent_ns(const uint8_t *op);
#define OP_ID_AT  7u  // where the id begins
#define OP_ID_LEN 24u // the time and the connection, in hex

extern const dialect dialect_tidemark, dialect_redis, dialect_yjs;

#endif
