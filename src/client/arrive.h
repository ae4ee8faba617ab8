// arrive.h - what came from the server is proved, and then becomes part of the engine.
//
// Everything is read before anything is applied: an answer that is not well-formed
// changes nothing. What is applied can be applied again, so an answer that ran out of
// memory in the middle is as good as one that was lost. SEMANTICS 6; DESIGN 4.
//
// Knows client/inner.h.
#ifndef TM_CLIENT_ARRIVE_H
#define TM_CLIENT_ARRIVE_H

#include "client/inner.h"

// tm_arrive_http - the body of a 200.
//   asked   the request it answers
//   save    whether that was a save
// TM_OK: all of it was taken. TM_E_AGAIN: it was, but the server wants us to wait, or it
// does not continue the cursor. TM_E_CORRUPT, TM_E_NOMEM: as good as no answer.
TM_MUST_USE tm_status tm_arrive_http(tm_engine *e, const tm_request_out *asked,
                                     bool save, tm_span body);

// tm_arrive_frame - one message of the push channel. Statuses as above; TM_E_STATE: it is
// an ERROR frame, which is in `doc`.
TM_MUST_USE tm_status tm_arrive_frame(tm_engine *e, tm_span text, tm_doc *doc);

// tm_arrive_reject - the server, or its refusal to read it at all, made this a dead
// letter. TM_E_NOMEM: it is still queued.
TM_MUST_USE tm_status tm_arrive_reject(tm_engine *e, tm_own *own, tm_span code);

// tm_arrive_ghosts - remember the items that own work protects, before C is replaced.
void tm_arrive_ghosts(tm_engine *e);

// tm_arrive_replace - C becomes `fresh` (taken), which stands at `version`; the old C
// joins `lacking`. Accepted entries up to `settled` are settled, those beyond stay.
// TM_E_NOMEM: nothing has changed, and `fresh` is freed all the same.
TM_MUST_USE tm_status tm_arrive_replace(tm_engine *e, tm_list *fresh,
                                        uint64_t version, tm_span mark,
                                        uint64_t settled);

// tm_arrive_mark - keep a mark; too long a one is cut off before it gets here.
void tm_arrive_mark(tm_engine *e, tm_span mark);

// tm_arrive_join - one confirmed operation becomes part of C.
TM_MUST_USE tm_status tm_arrive_join(tm_engine *e, const tm_op *op);

// tm_state_read - {"state":..,"H":..,"unknown":[..]} as a list: a snapshot, or a record.
//   time   receives H, raised by what the unknown operations say
TM_MUST_USE tm_status tm_state_read(tm_engine *e, const tm_doc *doc, tm_list **list,
                                    uint64_t *time);

#endif
