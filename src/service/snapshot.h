// snapshot.h - a whole list at one moment, in two forms.
//
// STORED, what a start reads instead of the whole log: JSON that a person can look at,
//
//   {"format":1,"seq":N,"mark":"<64 digits>","floor":N,"logBytes":N,
//    "milestones":[[seq,acceptedMs,logBytes],...],
//    "state":<tm_list_write>,
//    "unknown":[<operation>,...],
//    "writers":[["browserId",version,timestamp,logical,[DECISION,...]],...],
//    "sum":"<SHA-256 of 32 zeros and all bytes before this member, 64 digits>"}
//
//   DECISION = ["<id hash, 32 digits>",seq,timestamp,logical]   accepted
//            | ["<id hash, 32 digits>","code"]                  rejected
//            | 0                                                not remembered
//
// the decisions being those of the writer's last versions, the last one that of `version`.
// Members stand in this order and nothing malformed is tolerated: a snapshot that cannot be
// read whole is not used.
//
// SENT, what a client's C becomes: {"state":..,"H":[timestamp,logical],"unknown":[..],
// "live":N}.
//
// Knows ledger.h.
#ifndef TM_SERVICE_SNAPSHOT_H
#define TM_SERVICE_SNAPSHOT_H

#include "service/ledger.h"

#define TM_SNAPSHOT_FORMAT 1u

// tm_snapshot_write - the stored form. `floor` is what it says of the floor.
// Failure is in out->status.
void tm_snapshot_write(const tm_ledger *ledger, uint64_t floor, tm_buf *out);

// tm_snapshot_read - into a ledger that holds an empty list.
//   seq     the store's word for it
//   arena   for reading
// TM_E_FORMAT: a newer build wrote it. TM_E_CORRUPT; TM_E_NOMEM: the ledger may hold a
// part of it: forget it.
TM_MUST_USE tm_status tm_snapshot_read(tm_ledger *ledger, uint64_t seq,
                                       tm_span bytes, tm_arena *arena);

// tm_snapshot_send - the sent form.
void tm_snapshot_send(const tm_ledger *ledger, tm_buf *out);

#endif
