// dynamodb_fake.h - a DynamoDB that does what it is told: tables in memory, time that is a
// number, and a script of what goes wrong with which request.
//
// It stands where the network would: a door (store/aws_http.h) for each server, all on one
// world. It knows the calls the store makes and answers any other, or any other
// expression, as DynamoDB would: with a ValidationException. Bodies of errors are those of
// the real service, word for word.
#ifndef TM_TESTS_STORE_DYNAMODB_FAKE_H
#define TM_TESTS_STORE_DYNAMODB_FAKE_H

#include "store/aws_http.h"

typedef enum fake_kind {
    FAKE_WELL,    // nothing; passes a request over
    FAKE_ERROR,   // not done; `status` and `body`
    FAKE_STORED,  // done, and answered with `status` and `body` all the same
    FAKE_UNSENT,  // never left: no connection
    FAKE_LOST,    // never arrived: a time-out
    FAKE_UNHEARD, // done; the answer never came: a time-out
    FAKE_LATE,    // a time-out; arrives `delay_ms` later, if still signed well
    FAKE_CUT, // done; the answer ends in the middle, and its length was not told
    FAKE_SUM, // done; X-Amz-Crc32 is another's
} fake_kind;

typedef struct fake_fault {
    const char *action; // "PutItem"; NULL = whatever comes
    fake_kind kind;
    uint32_t times; // so many of them in a row; 0 = one
    uint32_t status;
    const char *body;
    uint64_t delay_ms;
} fake_fault;

typedef struct fake_world fake_world;

fake_world *fake_new(void);        // with an epoch of its own, and no table
void fake_free(fake_world *world); // once all doors are closed

// fake_door - for a store to take.
tm_http *fake_door(fake_world *world);

// fake_script - what happens to the next requests, in order; those behind it are well.
// Keeps `faults` until they are used up.
void fake_script(fake_world *world, const fake_fault *faults, size_t count);
// fake_always - what happens to all requests from now on; kind FAKE_WELL = nothing.
void fake_always(fake_world *world, fake_fault fault);

void fake_page(fake_world *world,
               size_t bytes); // where pages are cut; 1 MB at first
void fake_advance(fake_world *world, uint64_t ms);
// fake_clock - how far the servers' wall clocks are ahead of the world's; 0 at first. The
// world accepts no signature that is a quarter of an hour off, and tells its time.
void fake_clock(fake_world *world, int64_t ahead_ms);
uint64_t fake_wall_ms(const fake_world *world);

// fake_asked - requests that arrived for this action since the last call; NULL = all.
size_t fake_asked(fake_world *world, const char *action);
// fake_put_item - by hand: an item of DynamoDB's JSON. fake_drop: the row goes.
void fake_put_item(fake_world *world, const char *table, const char *item);
void fake_drop(fake_world *world, const char *table, const char *user_id,
               const char *range);
// fake_item - as it is stored, dumped; free(). NULL = none.
char *fake_item(fake_world *world, const char *table, const char *user_id,
                const char *range);
size_t fake_count(fake_world *world, const char *table); // its rows
// fake_span_ms - between the first and the last signature of the requests that were put
// under that batch's key, over all of them: the longest.
uint64_t fake_span_ms(fake_world *world);

#endif
