// rig.h - a service over a memory store, in virtual time, with everybody who talks to it.
//
// Answers and frames are kept as JSON until a test looks at them. The rig asserts what must
// hold always: one reply for each request, type first in each frame, problems that look
// like problems.
#ifndef TM_TESTS_SERVICE_RIG_H
#define TM_TESTS_SERVICE_RIG_H

#include <jansson.h>

#include "service/service.h"
#include "store/memory.h"
#include "t.h"

#define RIG_USER       "ann"
#define RIG_LIST       "selected-images"
#define RIG_START      UINT64_C(1790000000000)
#define RIG_FRAMES_MAX 4096

// One HTTP request and what became of it.
typedef struct rig_answer {
    bool http; // first: tells an answer from a connection
    bool done;
    uint32_t status, retry_after_s;
    uint64_t ticket;
    const char *content_type;
    char *text; // NUL-terminated
    size_t len;
    json_t *json; // NULL: the body is not JSON
    struct rig_answer *next;
} rig_answer;

typedef struct rig_conn {
    bool http;
    struct rig_world *rig;
    tm_conn *conn;
    json_t *frames[RIG_FRAMES_MAX];
    size_t sizes[RIG_FRAMES_MAX];
    size_t count, read;
    size_t bytes;    // of all frames
    uint32_t closed; // with which code; 0 = open
    struct rig_conn *next;
} rig_conn;

typedef struct rig_world {
    t_memory memory;
    tm_alloc alloc;
    tm_store *store;
    tm_service *service;
    tm_now now;
    uint64_t random; // state of the generator
    const char *user;
    tm_service_config config; // what the next rig_start takes
    rig_answer *answers;
    rig_conn *conns;
    bool keep_effects;    // do not take effects out by themselves
    size_t news;          // frames that the host was told of for its own ears
    char news_text[4096]; // the last one
} rig_world;

// rig_open - a store and a service. `rig` may hold settings in `config` already.
void rig_open(rig_world *rig);
void rig_close(rig_world *rig); // checks that all memory was given back
// rig_stop, rig_start - the service goes, its connections too, and comes again over the
// same store.
void rig_stop(rig_world *rig);
void rig_start(rig_world *rig);
bool rig_try_start(rig_world *rig); // false: there was no memory
// rig_forget - the answers so far.
void rig_forget(rig_world *rig);

// rig_run - until nothing happens any more without time passing.
void rig_run(rig_world *rig);
void rig_take(rig_world *rig); // only take effects
void rig_advance(rig_world *rig, uint64_t ms);

// Requests. The answer lives until rig_close. The variants that are not `_start` run.
rig_answer *rig_request_start(rig_world *rig, tm_method method, const char *path,
                              tm_span body);
rig_answer *rig_get(rig_world *rig, const char *path); // "/v1/...?since=1"
rig_answer *rig_post(rig_world *rig, const char *list, const char *body);
rig_answer *rig_post_start(rig_world *rig, const char *list, const char *body);

rig_conn *rig_connect(rig_world *rig);
void rig_disconnect(rig_conn *conn);
void rig_send(rig_conn *conn, const char *text); // and run
void rig_send_start(rig_conn *conn, const char *text);
// rig_next - the next frame that was not looked at; NULL: none.
json_t *rig_next(rig_conn *conn);
// rig_expect - the next frame, which must be of this type.
json_t *rig_expect(rig_conn *conn, const char *type);
void rig_silent(rig_conn *conn);    // there must be none
void rig_subscribe(rig_conn *conn); // from 0, and all of its frames are looked at

// Text. Lent until the next few calls.
const char *rig_format(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
// rig_op - an UPDATE of `field` of item `item`, version n of writer b, id "b-n". Whose name
// begins with a later letter made it later.
const char *rig_op(const char *browser, uint64_t version);
// rig_ops - the operations of versions first..last, with commas.
const char *rig_ops(const char *browser, uint64_t first, uint64_t last);
// rig_save - POST of them, without `since`.
rig_answer *rig_save(rig_world *rig, const char *browser, uint64_t first,
                     uint64_t last);

// JSON.
int64_t rig_int(const json_t *json, const char *key);
const char *rig_text(const json_t *json, const char *key); // "" = not there
size_t rig_count(const json_t *json, const char *key);     // of an array
// rig_acks - "ok:1 dup:2 rej:has-seq", "fork", "gap:3" ... all that was decided.
const char *rig_acks(const json_t *json);
// rig_seqs - "1 2 5": of `operations`.
const char *rig_seqs(const json_t *json);
// rig_code - of a problem.
const char *rig_code(const rig_answer *answer);
// rig_canonical - tm_list_write of a list; free().
char *rig_canonical(rig_world *rig, const char *list);
// rig_metric - the value of a line of /metrics.
int64_t rig_metric(rig_world *rig, const char *name);

uint64_t rig_random(uint64_t *state); // splitmix64

#endif
