// record.h - the text of the records that storage keeps (the table in engine.h). Each is
// one JSON object; load.c reads them.
//
//   op/       {"writer":B,"generation":g,"operations":[...],"offered":[index,...]}
//             an operation with a seq is accepted, of the history that is stored as
//             this generation; one in `offered` is to be offered
//   writer/   {"next":n,"decided":n,"timestamp":t,"logical":l,"retired":1,"disk":1}
//   state     {"generation":g,"cursor":c,"mark":"...","base":version}
//   base      {"version":v,"state":{...},"unknown":[...]}
//   tail/     {"from":cursor before,"operations":[...]}
//   lacking/  as base, without version
//   offset    {"ahead":ms} or {"behind":ms}
//   dead/     {"operation":{...},"code":"..."}
//
// Knows client/inner.h.
#ifndef TM_CLIENT_RECORD_H
#define TM_CLIENT_RECORD_H

#include "client/inner.h"

// They write one record into the empty buffer.
void tm_record_entry(tm_buf *out, const tm_entry *entry, uint64_t generation);
void tm_record_writer(tm_buf *out, const tm_writer *writer, uint64_t decided,
                      uint64_t seen_time);
void tm_record_state(tm_buf *out, const tm_engine *e, uint64_t base);
// tm_record_list - version 0 is left out.
void tm_record_list(tm_buf *out, const tm_list *list, uint64_t version);
void tm_record_offset(tm_buf *out, uint64_t offset_ms);
void tm_record_dead(tm_buf *out, const tm_dead *dead);

#endif
