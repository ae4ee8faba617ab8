// websocket.h - the frames of RFC 6455, as a server sees them: bytes in, messages out.
//
// Sans-IO. Whoever owns the socket feeds what arrived, wherever it was cut, and takes
// one event at a time; it writes to the socket what the encoders below make. Nothing
// here calls out, waits or knows a socket.
//
//   receiving   tm_ws_feed until it answers TM_E_MORE, for each run of bytes read
//   sending     tm_ws_wrap around a payload, tm_ws_control for ping, pong and close
//
// Memory. The payload is unmasked where it lies, in the caller's read buffer, and lent
// from there when the whole of it was read at once, which is nearly always. Only a
// message or a control frame that is cut is copied, into memory that is gone as soon as
// the last piece was delivered. A connection with nothing under way holds none.
//
// Bad input. Each frame is judged by its header as soon as the byte that condemns it is
// there, before anything is allocated and before its payload arrives: a length of 2^63
// costs us ten bytes. Every refusal is one event, TM_WS_FAIL, with the code to close
// with; what comes behind it, as behind a CLOSE, is swallowed.
//
//   1002  reserved bits (no extension is ever negotiated, so permessage-deflate's too),
//         reserved opcodes, no mask, control frames fragmented or above 125 bytes,
//         continuation of nothing, a message inside a message, a length that is not in
//         its shortest form, a close code that nobody may send, a close of one byte
//   1003  binary, where only text is taken
//   1007  text or a close reason that is not UTF-8: at the first wrong byte
//   1009  a frame or message above the limit: from its header alone
//   1011  no memory
//
// A frame (RFC 6455 5.2):
//   offset 0      FIN 80, RSV 70, opcode 0f
//   offset 1      MASK 80, length 7f; 126: two more bytes of length follow, 127: eight
//   then          four bytes of mask from a client, none from a server; the payload
//
// Knows core/alloc.h, net/utf8.h. Implements RFC 6455 5, 7.4 and 8.1; TRUST 2 rows 15,
// 17, 18 and 2.1.
#ifndef TM_NET_WEBSOCKET_H
#define TM_NET_WEBSOCKET_H

#include "core/alloc.h"
#include "net/utf8.h"

#define TM_WS_HEAD_MAX    10  // header of a server's frame
#define TM_WS_CONTROL_MAX 125 // payload of a control frame
#define TM_WS_REASON_MAX  123 // ... less the code: reason of a close

// Opcodes.
#define TM_WS_OP_CONT   0x0
#define TM_WS_OP_TEXT   0x1
#define TM_WS_OP_BINARY 0x2
#define TM_WS_OP_CLOSE  0x8
#define TM_WS_OP_PING   0x9
#define TM_WS_OP_PONG   0xa

// Close codes (RFC 6455 7.4.1; 1013 is registered with IANA).
#define TM_WS_NORMAL    1000
#define TM_WS_AWAY      1001 // this server stops
#define TM_WS_PROTOCOL  1002
#define TM_WS_REFUSED   1003 // a kind of data that is not taken here
#define TM_WS_NO_CODE   1005 // never sent: stands for a close without a code
#define TM_WS_NOT_UTF8  1007
#define TM_WS_POLICY    1008
#define TM_WS_TOO_BIG   1009
#define TM_WS_INTERNAL  1011
#define TM_WS_TRY_LATER 1013

typedef enum tm_ws_kind {
    TM_WS_TEXT,   // a whole message, valid UTF-8
    TM_WS_BINARY, // a whole message
    TM_WS_PING,   // answer with a pong of the same bytes
    TM_WS_PONG,
    TM_WS_CLOSE, // answer with a close, if none was sent yet, then end the connection
    TM_WS_FAIL, // send a close with `code`, then end the connection
} tm_ws_kind;

typedef struct tm_ws_event {
    tm_ws_kind kind;
    uint16_t code; // CLOSE: the client's, or TM_WS_NO_CODE; FAIL: ours
    tm_span bytes; // lent: the payload; CLOSE: the reason, FAIL: why, a literal
} tm_ws_event;

// One connection's receiving side. The first three are the owner's to set; all else
// zero-initialised.
typedef struct tm_ws {
    const tm_alloc *alloc; // keeps
    uint32_t message_max;  // bytes of a message, and so of a frame
    bool binary;           // is binary taken? Otherwise 1003

    // The rest is the codec's own.
    bool over;        // failed or closed: swallow everything
    bool lent;        // the last event's bytes lie in `kept`
    bool fin;         // the frame under way is its message's last
    uint8_t opcode;   // of the frame under way; valid once its head is complete
    uint8_t message;  // opcode of the message under way, 0 = none
    uint8_t head_len; // bytes of head[] that are there
    uint8_t head[14];
    uint8_t mask_at; // 0 to 3: the mask byte for the next payload byte
    tm_utf8 utf8;    // of the text message under way
    uint32_t left;   // payload bytes the frame under way still lacks
    uint8_t *kept;   // owned: the message so far, then the control payload so far
    uint32_t message_len, control_len, cap;
} tm_ws;

// tm_ws_deinit - forget whatever was under way. A zeroed one is fine.
void tm_ws_deinit(tm_ws *ws);

// tm_ws_feed - take the next event out of what was read.
//   bytes   borrows, and changes: payload is unmasked in place
//   used    receives how many of them are done with; feed the others next
//   event   receives, with TM_OK, what happened. Its bytes are lent until the next call
//           on `ws`, and lie in `bytes` or in memory of ours.
// TM_E_MORE: all bytes are used and hold no further event. Memory that was lent is then
// given back, so go on until you see it.
TM_MUST_USE tm_status tm_ws_feed(tm_ws *ws, uint8_t *bytes, size_t len,
                                 size_t *used, tm_ws_event *event);

// tm_ws_head - the header of a server's frame: final, unmasked.
// Returns its length: 2, 4 or 10.
size_t tm_ws_head(uint8_t head[TM_WS_HEAD_MAX], uint8_t opcode,
                  uint64_t payload_len);

// tm_ws_wrap - write the header right before a payload that lies behind TM_WS_HEAD_MAX
// bytes of headroom, so that the frame is one run of bytes without a copy.
//   payload   first byte of the payload; the ten bytes before it are ours to write
// Returns the whole frame, inside the caller's memory.
tm_span tm_ws_wrap(uint8_t *payload, uint8_t opcode, size_t payload_len);

// tm_ws_control - a ping or pong. `payload` borrows, at most TM_WS_CONTROL_MAX bytes.
// Returns the frame's length.
size_t tm_ws_control(uint8_t frame[2 + TM_WS_CONTROL_MAX], uint8_t opcode,
                     tm_span payload);

// tm_ws_close - a close frame.
//   code     TM_WS_NO_CODE sends an empty one
//   reason   borrows; UTF-8, cut before a character to TM_WS_REASON_MAX bytes
// Returns the frame's length.
size_t tm_ws_close(uint8_t frame[2 + TM_WS_CONTROL_MAX], uint16_t code,
                   tm_span reason);

#endif
