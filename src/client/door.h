// door.h - the engine for hosts that pass integers and bytes only: JavaScript, and the
// pipe of `tidemark check --engine wasm`. Shipped in core.wasm by wasm.c; natively the
// same functions are linked, so that both kinds of host can be compared call by call.
//
// Bytes go in through one growing page: tm_door_in(len) lends room for `len` bytes; the
// next call reads its texts from there, one behind the other, with the lengths given as
// arguments. Bytes come out as a span: tm_door_out / tm_door_out_len after the call. Both
// are valid until the next call; wasm memory may move when it grows.
//
// Times are unsigned 64-bit milliseconds (BigInt in JavaScript). Engines are numbers from
// 1; natively one that is none is TM_E_RANGE. Every function returns a tm_status unless it says otherwise.
//
// Knows client/engine.h.
#ifndef TM_CLIENT_DOOR_H
#define TM_CLIENT_DOOR_H

#include "client/engine.h"

const tm_alloc *
tm_door_alloc(void); // what engines are made with: rt.c, or the C library

#ifdef __wasm__
#define TM_DOOR(name) __attribute__((export_name(#name))) name
#else
#define TM_DOOR(name) name
#endif

uint8_t *TM_DOOR(tm_door_in)(uint32_t len); // NULL = out of memory
const uint8_t *TM_DOOR(tm_door_out)(void);
uint32_t TM_DOOR(tm_door_out_len)(void);

// in: user, list, 32 bytes of seed. Returns an engine's number, or a negative status.
int32_t TM_DOOR(tm_door_new)(uint32_t user_len, uint32_t list_len, uint32_t manual);
// tm_door_free - not in core.wasm: there, an engine goes with its instance.
void tm_door_free(int32_t engine);

// in: key, value. place 0 local, 1 disk.
int32_t TM_DOOR(tm_door_load)(int32_t engine, uint32_t place, uint32_t key_len,
                              uint32_t value_len);
// in: browserId.
int32_t TM_DOOR(tm_door_adopt)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                               uint32_t browser_len);
// in: fresh browserId or nothing. flags: TM_START_DISK 1, TM_START_NO_LOCAL 2.
int32_t TM_DOOR(tm_door_start)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                               uint32_t fresh_len, uint32_t flags);
int32_t TM_DOOR(tm_door_reloaded)(int32_t engine, uint64_t wall_ms,
                                  uint64_t mono_ms);

// in: the edit's JSON. out: the instance id; on CORRUPT and RANGE the problem's words.
int32_t TM_DOOR(tm_door_edit)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                              uint32_t edit_len);
int32_t TM_DOOR(tm_door_begin)(int32_t engine);
int32_t TM_DOOR(tm_door_end)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                             uint32_t keep);
int32_t TM_DOOR(tm_door_written)(int32_t engine); // a tm_written

// in: key.
int32_t TM_DOOR(tm_door_kept)(int32_t engine, uint32_t key_len, uint32_t kept);
int32_t TM_DOOR(tm_door_committed)(int32_t engine, uint64_t wall_ms,
                                   uint64_t mono_ms, uint64_t ticket,
                                   uint32_t outcome, uint64_t cursor);

int32_t TM_DOOR(tm_door_channel)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                                 uint32_t channel);
int32_t TM_DOOR(tm_door_visible)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                                 uint32_t visible);
int32_t TM_DOOR(tm_door_ask)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                             uint32_t asks);
// out: the bytes. Returns the tm_send_kind; tm_door_ref and tm_door_timeout name the rest of
// what was taken last.
int32_t TM_DOOR(tm_door_take)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms);
uint64_t TM_DOOR(tm_door_ref)(int32_t engine);
uint32_t TM_DOOR(tm_door_timeout)(int32_t engine);
// in: body.
int32_t TM_DOOR(tm_door_answer)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                                uint64_t ref, uint32_t http, uint32_t body_len);
// in: one frame's text.
int32_t TM_DOOR(tm_door_feed)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                              uint32_t frame_len);
int32_t TM_DOOR(tm_door_authorized)(int32_t engine, uint64_t wall_ms,
                                    uint64_t mono_ms);
uint64_t TM_DOOR(tm_door_deadline)(int32_t engine);
int32_t TM_DOOR(tm_door_tick)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms);

// Returns the tm_event_kind, TM_EVENT_NONE = no more. out: for KEEP key NUL-free length
// prefix form: u32 key length, u32 value length (little-endian), key, value; for every
// other kind one JSON object {"key","value","ticket","receipt","instance","field","mine",
// "winner"}, members present where the kind has them; COMMIT: {"ticket":n,"value":{...}}.
int32_t TM_DOOR(tm_door_event)(int32_t engine);

// in: id. out: JSON, empty = not shown.
int32_t TM_DOOR(tm_door_item)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                              uint32_t id_len);
int32_t TM_DOOR(tm_door_order)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms);
int32_t TM_DOOR(tm_door_sort)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms);
int32_t TM_DOOR(tm_door_status)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms);
int32_t TM_DOOR(tm_door_dead)(int32_t engine);
// in: the operation's id.
int32_t TM_DOOR(tm_door_retry)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                               uint32_t id_len);
int32_t TM_DOOR(tm_door_discard)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                                 uint32_t id_len);
// out: C's canonical bytes (tm_list_write).
int32_t TM_DOOR(tm_door_confirmed)(int32_t engine);
uint64_t TM_DOOR(tm_door_cursor)(int32_t engine);

#endif
