// service.h - what the server does, without sockets: the calls of DESIGN 4 as plain
// functions over a store.
//
// Sans-IO. The host tells what happened - a request, a frame, a lost connection, time -
// and takes effects out until there are none: answer this request, send this frame to
// that connection, close it. Nothing is ever called back. The store is the one
// collaborator that completes later; the host runs tm_store_poll, whose completions come
// back in here, and takes effects again after it. A completion brings no time with it:
// what is decided and said then has the time that was told last, so the host calls
// tm_service_tick before it polls.
//
// Nothing undurable is ever shown: acks and pushes leave when the append has completed.
//
// Inside: ledger.h numbers one list, hub.h knows who listens, api.h reads requests and
// writes answers. One thread.
//
// Knows core/, store/store.h, libcrypto (SHA-256 for the mark).
#ifndef TM_SERVICE_SERVICE_H
#define TM_SERVICE_SERVICE_H

#include "core/list.h"
#include "store/store.h"

typedef struct tm_service tm_service;
typedef struct tm_conn tm_conn; // one WebSocket connection

// Bytes that several receivers share: a WebSocket text payload, or the body of an answer.
// `room` bytes in front of `bytes` are the host's, to write a frame header into once.
#define TM_FRAME_ROOM 16u
typedef struct tm_frame {
    uint32_t refs;
    uint32_t
        room_used; // the host's note: bytes of `room` it has filled, from its end
    size_t len;
    uint8_t room[TM_FRAME_ROOM];
    uint8_t bytes[];
} tm_frame;

typedef struct tm_service_config {
    const tm_alloc *alloc; // keeps
    tm_store *store;       // keeps; the host closes it after the service is freed
    // Fills `bytes` with randomness (epochs, seeds, jitter).
    void (*random)(void *context, uint8_t *bytes, size_t len);
    void *random_context;
    // Refuses an operation for good: its code. NULL = accepts all. SEMANTICS 5, "policy".
    tm_fault (*policy)(void *context, tm_span user, const tm_op *op);
    void *policy_context;
    uint32_t push_ops_max; // decide at most so many of one push, then stop `retry`;
                           // 0 = no such bound (faults in tests)
    uint64_t floor_age_ms; // rows younger than this since acceptance stay above the
                           // floor; 0 = 24 h
    uint32_t snapshot_ops; // save a snapshot after so many operations; 0 = 1000
    uint64_t memory_max;   // bytes of list state kept warm; 0 = 1 GiB
    size_t queue_soft_max; // bytes unsent to a connection before BEHIND; 0 = 1 MiB
    // Pushes wait for tm_service_decide, so that all that one turn of the host's loop
    // brings to a list share one append, one SAVED and one commit.
    bool gather;
    // Others append to these lists, and nobody tells: what an answer would take from
    // memory is first compared with the store, by one consistent read of the tail.
    bool verify;
    // The host has ears that this service does not know: every batch that it made
    // durable is a TM_EFFECT_NEWS, too.
    bool news;
    bool shared; // other servers append to the same store: doorbell.h
} tm_service_config;

// tm_service_new - gives: tm_service_free. `config` is copied, what it points to is kept.
TM_MUST_USE tm_status tm_service_new(const tm_service_config *config,
                                     tm_service **service);

// tm_service_free - needs tm_service_idle, and every connection disconnected.
void tm_service_free(tm_service *service);

// tm_service_tune - the live configuration: policy, push_ops_max, floor_age_ms and gather
// may be changed between calls. Lent.
tm_service_config *tm_service_tune(tm_service *service);

// ---- Requests -------------------------------------------------------------------------

typedef enum tm_method { TM_GET, TM_POST, TM_PUT, TM_OTHER } tm_method;

typedef struct tm_request {
    tm_method method;
    tm_span
        path; // as sent, without the query: "/v1/lists/selected-images/operations"
    tm_span query; // as sent, without the "?"
    tm_span body;
    tm_span user; // who the token says it is; verified by the host
    void *peer;   // keeps: the host's own, comes back in the effect
} tm_request;

// tm_service_request - one HTTP call under /v1 (not ws, not photos), or /healthz,
// /readyz, /metrics. Everything in `request` is borrowed. Exactly one TM_EFFECT_REPLY
// with this peer follows, at once or later, unless it is cancelled.
//   ticket   receives what tm_service_cancel wants
void tm_service_request(tm_service *service, tm_now now, const tm_request *request,
                        uint64_t *ticket);

// tm_service_cancel - the asker is gone; no reply will come. What was accepted stays so.
void tm_service_cancel(tm_service *service, uint64_t ticket);

// ---- Connections ----------------------------------------------------------------------

// tm_service_connect - a WebSocket is open. lends a connection until disconnect.
//   user   borrows    peer   keeps
TM_MUST_USE tm_status tm_service_connect(tm_service *service, tm_now now,
                                         tm_span user, void *peer, tm_conn **conn);

// tm_service_feed - one text message arrived. Bad ones are answered by an ERROR frame.
void tm_service_feed(tm_service *service, tm_now now, tm_conn *conn, tm_span text);

// tm_service_queued - how many bytes of this connection's frames are unsent, told when
// it changes much (after each flush that did not send all, and when it drains).
void tm_service_queued(tm_service *service, tm_now now, tm_conn *conn,
                       size_t bytes);

// tm_service_disconnect - it is gone. Effects for its peer that are still waiting vanish.
void tm_service_disconnect(tm_service *service, tm_conn *conn);

// ---- Effects --------------------------------------------------------------------------

typedef enum tm_effect_kind {
    TM_EFFECT_REPLY, // answer the request of `peer`: HTTP `status`, body `frame`
    TM_EFFECT_SEND,  // send `frame` as a text message on the connection of `peer`
    TM_EFFECT_CLOSE, // close the connection of `peer` with `status` (1000..4999)
    TM_EFFECT_NEWS, // `frame` is the OPERATIONS of a new batch; no peer. Where there is
                    // no memory for it, it is left out
} tm_effect_kind;

typedef struct tm_effect {
    tm_effect_kind kind;
    uint32_t status;
    void *peer;
    tm_frame *frame; // takes one reference: tm_frame_release; NULL in CLOSE
    const char *content_type; // of a REPLY: a literal
    uint32_t retry_after_s;   // of a REPLY with 429 or 503; 0 = none
} tm_effect;

// tm_service_effect - take the next effect out. false = none.
bool tm_service_effect(tm_service *service, tm_effect *effect);

void tm_frame_release(tm_service *service, tm_frame *frame);

// ---- Time -----------------------------------------------------------------------------

// tm_service_deadline - mono_ms at which to call tick; UINT64_MAX = never.
uint64_t tm_service_deadline(const tm_service *service);
void tm_service_tick(tm_service *service, tm_now now);

// tm_service_decide - with `gather`: the turn is over, decide what it brought. Before the
// effects are taken. Without, nothing ever waits for it.
void tm_service_decide(tm_service *service, tm_now now);

// tm_service_stop - from now on saves and subscriptions are refused (503, `stopping`);
// long polls are answered. What was begun completes.
void tm_service_stop(tm_service *service, tm_now now);

// tm_service_idle - no append, read or save of the store is outstanding, and none waits
// for tm_service_decide.
bool tm_service_idle(const tm_service *service);

// ---- For programs ---------------------------------------------------------------------

// tm_service_compact - fold the list's whole log into a snapshot now, move the floor to
// the head whatever the rows' age, forget ids beyond each writer's last
// TM_DECISIONS_MAX, and trim. Done when tm_service_idle.
TM_MUST_USE tm_status tm_service_compact(tm_service *service, tm_now now,
                                         tm_key key);

// tm_service_trim - forget the batches that were accepted before `before_ms`, which is at
// least 24 h ago, after a snapshot that covers them was stored. The newest batch stays.
// Whoever else serves the list goes on: what a server read within the last hour still
// holds, for no batch is that young (DESIGN 5). Done when tm_service_idle.
//   trimmed   keeps until then: receives how many batches went, and how it ended;
//             TM_E_AGAIN: nothing more than `batches` went
typedef struct tm_trimmed {
    tm_status status;
    uint64_t batches;
} tm_trimmed;
TM_MUST_USE tm_status tm_service_trim(tm_service *service, tm_now now, tm_key key,
                                      uint64_t before_ms, tm_trimmed *trimmed);

// tm_service_list - the live state of a list that is loaded; lent; NULL if it is not in
// memory. `head` receives its last seq.
const tm_list *tm_service_list(tm_service *service, tm_key key, uint64_t *head);

// tm_service_write_error - a problem object (RFC 9457) as the service writes them, for
// the host's own refusals.
//   code   a stable word     detail   a sentence; both borrowed, escaped here
void tm_service_write_error(tm_buf *out, uint32_t status, const char *code,
                            tm_span detail);

#endif
