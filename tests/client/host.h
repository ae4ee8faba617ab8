// host.h - a browser for the engine's tests: storage with two places, pages that live on
// it, a network to the model server, and faults.
#ifndef TM_TESTS_CLIENT_HOST_H
#define TM_TESTS_CLIENT_HOST_H

#include "client/engine.h"
#include "client/model_server.h"
#include "t.h"

typedef struct record {
    char *key, *value;
    size_t len;
} record;

typedef struct place {
    record *at;
    size_t count;
} place;

// One profile of one browser: what stays when pages die.
typedef struct storage {
    place local, disk;
    bool quota, disk_fails, no_disk, no_local;
    bool held;     // transactions wait until storage_release
    size_t calls;  // so far
    size_t cut_at; // from this call on nothing is stored any more; 0 = never
} storage;

void storage_free(storage *s);
void storage_copy(storage *to, const storage *from);
const char *storage_get(const place *p, const char *key);
void storage_put(place *p, const char *key, const char *value);
void storage_del(place *p, const char *key);

typedef struct page {
    const char *name; // the browserId that an empty storage draws
    storage *storage;
    model *server;
    t_memory memory;
    tm_alloc alloc;
    tm_engine *engine;
    tm_now now;
    uint64_t seed;
    bool manual, offline;
    size_t conn;       // of the push channel
    char locks[8][65]; // browserIds it holds
    size_t lock_count;
    char *commit; // a transaction that is held
    uint64_t ticket;
    // What was told, for tests to look at.
    size_t superseded, dead, damage, problems, shows, reloads, authorize, diverged;
    char last_field[64], last_mine[64], last_winner[64];
    char last_problem[64], last_problem_code[64];
    size_t receipts[6];
} page;

// page_start - from storage, adopting every writer that no other live page holds.
void page_start(page *p, storage *s, model *m, const char *name);
void page_stop(page *p);    // dies without notice
void page_pump(page *p);    // takes all events out and does what they say
void page_release(page *p); // runs the held transaction
void page_advance(page *p, uint64_t ms);

tm_status page_edit(page *p, const char *edit);
tm_written page_written(page *p, const char *edit); // and what became of it

// One request each way: what is taken is answered by the server, or lost.
typedef enum fault { FAULT_NONE, FAULT_REQUEST, FAULT_RESPONSE } fault;
bool page_exchange(page *p, fault way); // false: there was nothing to send
void page_push(page *p, fault way);     // manual mode: until nothing is left
void page_pull(page *p);
void page_frames(page *p);              // deliver what waits on the push channel
void page_settle(page *p, uint64_t ms); // automatic mode: let time pass

// What the page shows, as one text: "sort id:imageId{field=value,...} ..."
const char *page_view(page *p);
uint64_t page_status(page *p, const char *member); // a number of the status
bool page_phase(page *p, const char *phase);
// Whether C is byte for byte what the server has.
bool page_equals_server(page *p);

#define PAGES_MAX 8
extern page *pages[PAGES_MAX]; // the live ones
#endif
