// dynamodb_call.h - one call of DynamoDB's API, signed, sent, tried again where that helps,
// and what became of it. Here, once, DynamoDB's and the network's own words are turned
// into ours, and logged.
//
// What may be tried again, and how long:
//   nothing was done (throttled, no connection, an old key)   some seconds
//   a read that failed on the way                             some seconds
//   a write of which the answer was lost (a time-out, a cut connection, a 5xx, an answer
//   that is no answer): it is FROZEN. Only the identical request is sent again, signed
//   anew each time, and never later than `frozen_ms` after the first: well within the
//   hour after which a late copy of it could no longer be told from a new one.
// A signature that the service finds too old or too new shows that a clock is wrong: the
// request is signed again at once by the clock of that very answer (its header Date), and
// so is all that follows, until the service finds that wrong.
// Between tries lies a random part of a pause that doubles. Clock and randomness are the
// door's, so a test sleeps nowhere.
//
// Knows store/aws_http.h, store/aws_credentials.h.
#ifndef TM_STORE_DYNAMODB_CALL_H
#define TM_STORE_DYNAMODB_CALL_H

#include "core/json.h"
#include "store/aws_credentials.h"
#include "store/store.h"

// What a call is for: requests and capacity are counted by it.
#define TM_DYNAMODB_KINDS(X)                                                       \
    X(TM_DYNAMODB_APPEND, "append", true)                                          \
    X(TM_DYNAMODB_CONFIRM, "confirm", false)                                       \
    X(TM_DYNAMODB_TAIL, "tail", false)                                             \
    X(TM_DYNAMODB_READ, "read", false)                                             \
    X(TM_DYNAMODB_LOAD, "load", false)                                             \
    X(TM_DYNAMODB_SAVE, "save", true)                                              \
    X(TM_DYNAMODB_CHUNK_LOAD, "chunk_load", false)                                 \
    X(TM_DYNAMODB_CHUNK_SAVE, "chunk_save", true)                                  \
    X(TM_DYNAMODB_LOOK, "look", false)                                             \
    X(TM_DYNAMODB_DELETE, "delete", true)                                          \
    X(TM_DYNAMODB_SCAN, "scan", false)                                             \
    X(TM_DYNAMODB_TABLES, "tables", false)                                         \
    X(TM_DYNAMODB_LISTENERS, "listeners", false)                                   \
    X(TM_DYNAMODB_LISTEN, "listen", true)

typedef enum tm_dynamodb_kind {
#define X(name, word, writes) name,
    TM_DYNAMODB_KINDS(X)
#undef X
        TM_DYNAMODB_KIND_COUNT
} tm_dynamodb_kind;

typedef struct tm_dynamodb_client tm_dynamodb_client;

// Belongs to the caller, zero-initialised, until `done` was called.
typedef struct tm_dynamodb_call {
    tm_dynamodb_client *client; // keeps
    tm_dynamodb_kind kind;
    const char *action; // keeps: "PutItem"
    bool writes;        // a lost answer leaves it unsure
    bool quick;         // two seconds are enough: somebody waits for whatever comes
    tm_buf body;        // owned: the request, from tm_dynamodb_begin on
    // Each member of the answer but ConsumedCapacity: read its value. May be called again
    // from the first one, after an answer that ended badly; `restart` says so.
    void (*restart)(struct tm_dynamodb_call *call);
    void (*member)(struct tm_dynamodb_call *call, tm_span key, tm_json *in);
    void (*done)(struct tm_dynamodb_call *call);
    void *context;

    // With `done`. TM_OK; TM_E_CONFLICT: the condition did not hold; TM_E_STATE: the table
    // is there already; TM_E_GONE: it is not there; TM_E_RANGE: too large;
    // TM_E_AGAIN: nothing was done; TM_E_UNSURE: it may have been; TM_E_NOMEM.
    tm_status status;
    bool was_unsure; // an earlier try may have been done

    // The client's own.
    struct tm_dynamodb_call *next;
    uint32_t tries;
    uint64_t began_ms;
    bool renewed;    // with other keys than it began with
    bool reset;      // by another clock than it began with
    tm_status cause; // of the last try that failed
    tm_http_request request;
    tm_arena arena; // of the answer
    tm_buf quoted;  // the answer, its fractions as strings
    tm_buf lines;   // of the header
    const char *headers[6];
} tm_dynamodb_call;

typedef struct tm_dynamodb_count {
    uint64_t requests;    // sent, those tried again too
    uint64_t retries;     // of them, second and later tries
    uint64_t units_milli; // capacity units used, by DynamoDB's own word, times 1000
} tm_dynamodb_count;

typedef struct tm_dynamodb_client_config {
    const tm_alloc *alloc; // keeps
    tm_http *http;         // keeps
    const char *(*env)(void *context, const char *name);
    void *env_context;    // keeps
    const char *endpoint; // borrows; NULL or "" = the region's own
    const char *region;   // borrows; NULL or "" = tm_aws_region
    uint64_t patience_ms; // with what was certainly not done
    uint64_t frozen_ms;   // with what may have been; at most an hour
    // A line for the log; `bad`: a person should look. May be NULL.
    void (*say)(void *context, bool bad, const char *line);
    void *say_context; // keeps
} tm_dynamodb_client_config;

struct tm_dynamodb_client {
    tm_dynamodb_client_config config;
    tm_aws_credentials *credentials;
    char url[512], host[300], region[64];
    tm_dynamodb_call *waiting; // for keys
    int64_t ahead_ms;          // the service's clock, of this machine's, once known
    tm_dynamodb_count counts[TM_DYNAMODB_KIND_COUNT];
    tm_status health;  // of the last call that ended
    char trouble[512]; // what it ended with, for people; empty = well
    char said[512];    // the last line logged
};

// tm_dynamodb_client_init - TM_E_RANGE: the endpoint is no URL of a host, or nobody says
// which region; `problem` says so for people.
TM_MUST_USE tm_status
tm_dynamodb_client_init(tm_dynamodb_client *client,
                        const tm_dynamodb_client_config *config, char problem[256]);
void tm_dynamodb_client_deinit(
    tm_dynamodb_client *client); // once the http is closed

// tm_dynamodb_begin - a call to be filled: its body is `{`, and the caller appends members
// and the closing brace. tm_dynamodb_send then takes it on its way; a body for which there
// was no memory ends in TM_E_NOMEM, and `done` is called at once.
void tm_dynamodb_begin(tm_dynamodb_client *client, tm_dynamodb_call *call,
                       tm_dynamodb_kind kind, const char *action);
void tm_dynamodb_send(tm_dynamodb_call *call);
void tm_dynamodb_call_deinit(tm_dynamodb_call *call);

// tm_aws_fractions_quote - JSON of AWS's as our reader takes it: it knows integers alone,
// so each number with a fraction or an exponent becomes a string. All else is copied.
void tm_aws_fractions_quote(tm_span from, tm_buf *out);

// tm_dynamodb_kind_name - "append".
const char *tm_dynamodb_kind_name(tm_dynamodb_kind kind);
bool tm_dynamodb_kind_writes(tm_dynamodb_kind kind);

#endif
