// dynamodb.h - the distributed store: two DynamoDB tables that any number of servers use.
//
// A batch is one item, written by one conditional PutItem; a list's newest state is one
// row of the second table, or a manifest there that names chunks. docs/STORAGE.md has the
// shapes and what each call costs; dynamodb_call.h what is tried again and how long.
//
// All runs on the thread that polls; libcurl alone has one of its own (aws_http.h). The
// store starts also where DynamoDB does not answer: tm_store_health then says why, appends
// end in TM_E_AGAIN, and it goes on by itself once it does.
#ifndef TM_STORE_DYNAMODB_H
#define TM_STORE_DYNAMODB_H

#include "store/aws_http.h"
#include "store/store.h"

#define TM_DYNAMODB_PREFIX                                                         \
    "mvp-labeler-" // of the tables' names, unless told otherwise

typedef struct tm_dynamodb_options {
    const tm_alloc *alloc; // keeps
    const char
        *endpoint; // borrows; NULL = AWS_ENDPOINT_URL_DYNAMODB, or the region's
    const char *region; // borrows; NULL = AWS_REGION, or the profile's
    const char *prefix; // borrows; NULL = TM_DYNAMODB_PREFIX; [A-Za-z0-9_.-]{0,64}
    const char *(*env)(void *context, const char *name); // the environment
    void *env_context;                                   // keeps
    // A line for the log; `bad`: a person should look. May be NULL.
    void (*say)(void *context, bool bad, const char *line);
    void *say_context; // keeps

    bool connections; // tm_dynamodb_tables: the table of tidemark-lambda, too

    // 0 = as in life: 10 s for what was certainly not done, 60 s for a frozen put (at
    // most an hour).
    uint64_t patience_ms, frozen_ms;
    tm_http *http; // takes; NULL in life: another way to the network, other clocks
} tm_dynamodb_options;

// tm_dynamodb_open - and look whether the tables are there; waits until that is known.
// gives: tm_store_close. That they are not, or that nobody answers, is told by
// tm_store_health and is no failure of this call.
//   problem   receives a sentence for people on failure
// TM_E_RANGE: the options, or the environment's region, make no endpoint. TM_E_NOMEM.
TM_MUST_USE tm_status tm_dynamodb_open(const tm_dynamodb_options *options,
                                       tm_store **store, char problem[256]);

// ---- the tables ---------------------------------------------------------------------

#define TM_DYNAMODB_TABLES_MAX  3u
#define TM_DYNAMODB_CONNECTIONS "connections" // behind the prefix
#define TM_DYNAMODB_EXPIRES     "expires" // of its rows: seconds, when they may go

// What a table is found to be; `ok` is false if it is not what the store needs.
typedef struct tm_dynamodb_table {
    char name[160];
    bool there, ok, created; // created: just now
    bool on_demand;          // it is paid by request
    char recovery[64];       // point-in-time: "on", "off", or why it is not known
    char expiry[64];         // of its rows, likewise; empty = they are to stay
    char problem[256];       // what is wrong and what to do; empty = nothing
} tm_dynamodb_table;

// tm_dynamodb_tables - look at both tables, and with `connections` at the third; with
// `create`, make what is missing (on-demand billing; point-in-time recovery for the two,
// expiry for the third, whose rows outlive nothing) and wait until it is usable. Blocks.
//   problem   receives a sentence for people when no answer came at all
// TM_E_RANGE, TM_E_NOMEM as in tm_dynamodb_open; TM_E_AGAIN: nobody answered.
TM_MUST_USE tm_status tm_dynamodb_tables(
    const tm_dynamodb_options *options, bool create,
    tm_dynamodb_table tables[TM_DYNAMODB_TABLES_MAX], char problem[256]);

#endif
