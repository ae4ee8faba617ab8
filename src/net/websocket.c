// websocket.c - see websocket.h.
#include "net/websocket.h"

#include <string.h>

#define FIN      0x80
#define RSV      0x70
#define OPCODE   0x0f
#define MASK     0x80
#define LEN_7    0x7f
#define LEN_16   126 // the length stands in two more bytes
#define LEN_64   127 // ... in eight
#define CONTROL  0x08
#define MASK_LEN 4

#define KEPT_MIN                                                                   \
    512u // first block for a message that is cut; it doubles from there

void tm_ws_deinit(tm_ws *ws) {
    if (ws->kept != NULL) tm_alloc_put(ws->alloc, ws->kept, ws->cap);
    ws->kept = NULL;
    ws->cap = ws->message_len = ws->control_len = 0;
}

static tm_status fail(tm_ws *ws, tm_ws_event *event, uint16_t code,
                      const char *reason) {
    tm_ws_deinit(ws);
    ws->over = true;
    *event = (tm_ws_event){.kind = TM_WS_FAIL, .code = code};
    event->bytes = (tm_span){(const uint8_t *)reason, strlen(reason)};
    return TM_OK;
}

// The verdict on a header, as far as it has come.
typedef struct verdict {
    uint16_t code; // 0 = nothing against it
    const char *reason;
} verdict;

static verdict judge_first(const tm_ws *ws, uint8_t byte) {
    uint8_t opcode = byte & OPCODE;
    if ((byte & RSV) != 0) return (verdict){TM_WS_PROTOCOL, "reserved bit set"};
    switch (opcode) {
    case TM_WS_OP_CONT:
        if (ws->message == 0)
            return (verdict){TM_WS_PROTOCOL, "continuation of nothing"};
        break;
    case TM_WS_OP_BINARY:
        if (!ws->binary) return (verdict){TM_WS_REFUSED, "text only"};
        // fall through
    case TM_WS_OP_TEXT:
        if (ws->message != 0)
            return (verdict){TM_WS_PROTOCOL, "message inside a message"};
        break;
    case TM_WS_OP_CLOSE:
    case TM_WS_OP_PING:
    case TM_WS_OP_PONG:
        if ((byte & FIN) == 0)
            return (verdict){TM_WS_PROTOCOL, "fragmented control frame"};
        break;
    default:
        return (verdict){TM_WS_PROTOCOL, "reserved opcode"};
    }
    return (verdict){0};
}

static verdict judge_second(const tm_ws *ws, uint8_t byte) {
    if ((byte & MASK) == 0) return (verdict){TM_WS_PROTOCOL, "frame without mask"};
    if ((ws->head[0] & CONTROL) != 0 && (byte & LEN_7) > TM_WS_CONTROL_MAX)
        return (verdict){TM_WS_PROTOCOL, "control frame above 125 bytes"};
    return (verdict){0};
}

// How many bytes the header has, as the first two tell.
static size_t head_size(const tm_ws *ws) {
    uint8_t len = ws->head[1] & LEN_7;
    return 2u + (len == LEN_16 ? 2u : len == LEN_64 ? 8u : 0u) + MASK_LEN;
}

static uint64_t payload_size(const tm_ws *ws) {
    uint8_t len = ws->head[1] & LEN_7;
    if (len < LEN_16) return len;
    uint64_t size = 0;
    for (size_t i = 2; i < (len == LEN_16 ? 4u : 10u); i++) {
        size = size << 8 | ws->head[i];
    }
    return size;
}

// All but the mask is there. Lengths are compared as 64-bit numbers and before any sum:
// 2^63-1 and its like must not wrap into something small.
static verdict judge_length(const tm_ws *ws) {
    uint8_t len = ws->head[1] & LEN_7;
    uint64_t size = payload_size(ws);
    if ((len == LEN_16 && size < LEN_16) || (len == LEN_64 && size <= UINT16_MAX))
        return (verdict){TM_WS_PROTOCOL, "length not in its shortest form"};
    if ((ws->head[0] & CONTROL) != 0) return (verdict){0};
    if (size > ws->message_max - ws->message_len)
        return (verdict){TM_WS_TOO_BIG, "message above the limit"};
    return (verdict){0};
}

// Takes header bytes one by one; a header is short, and each of its bytes may be the
// one that ends the connection.
static verdict take_head(tm_ws *ws, const uint8_t *bytes, size_t len, size_t *at) {
    verdict found = {0};
    while (found.code == 0 && *at < len) {
        ws->head[ws->head_len++] = bytes[(*at)++];
        if (ws->head_len == 1) {
            found = judge_first(ws, ws->head[0]);
            continue;
        }
        if (ws->head_len == 2) found = judge_second(ws, ws->head[1]);
        size_t size = head_size(ws);
        if (found.code == 0 && ws->head_len == size - MASK_LEN)
            found = judge_length(ws);
        if (ws->head_len == size) break;
    }
    return found;
}

static bool head_complete(const tm_ws *ws) {
    return ws->head_len >= 2 && ws->head_len == head_size(ws);
}

static void begin_frame(tm_ws *ws) {
    ws->opcode = ws->head[0] & OPCODE;
    ws->fin = (ws->head[0] & FIN) != 0;
    ws->mask_at = 0;
    ws->left = (uint32_t)payload_size(ws);
    ws->control_len = 0;
    if (ws->opcode == TM_WS_OP_TEXT || ws->opcode == TM_WS_OP_BINARY) {
        ws->message = ws->opcode;
        ws->utf8 = (tm_utf8){0};
    }
}

// XOR with the mask, from where the last piece of this frame left off.
static void unmask(tm_ws *ws, uint8_t *bytes, size_t len) {
    const uint8_t *mask = ws->head + ws->head_len - MASK_LEN;
    uint8_t turned[8];
    for (size_t i = 0; i < sizeof turned; i++) {
        turned[i] = mask[(ws->mask_at + i) % MASK_LEN];
    }
    uint64_t pattern, word;
    memcpy(&pattern, turned, sizeof pattern);
    size_t i = 0;
    for (; i + sizeof word <= len; i += sizeof word) {
        memcpy(&word, bytes + i, sizeof word);
        word ^= pattern;
        memcpy(bytes + i, &word, sizeof word);
    }
    for (; i < len; i++)
        bytes[i] ^= turned[i % sizeof turned];
    ws->mask_at = (uint8_t)((ws->mask_at + len) % MASK_LEN);
}

// Appends behind what is kept: the message so far and, behind it, a control frame that
// came in its midst. Grows with what arrived, never with what a header promised.
static bool keep(tm_ws *ws, const uint8_t *bytes, size_t len) {
    size_t used = (size_t)ws->message_len + ws->control_len;
    if (used + len > ws->cap) {
        size_t cap = ws->cap == 0 ? KEPT_MIN : ws->cap;
        while (cap < used + len)
            cap *= 2;
        uint8_t *grown =
            ws->alloc->resize(ws->alloc->context, ws->kept, ws->cap, cap);
        if (grown == NULL) return false;
        ws->kept = grown;
        ws->cap = (uint32_t)cap;
    }
    if (len > 0) memcpy(ws->kept + used, bytes, len);
    return true;
}

// RFC 6455 7.4: what may stand in a close frame. Registered after the RFC, and not for
// a client to send: 1012 to 1014.
static bool close_code_valid(uint16_t code) {
    if (code >= 3000) return code <= 4999;
    return code >= 1000 && code <= 1011 && (code < 1004 || code > 1006);
}

static tm_status closed(tm_ws *ws, tm_span payload, tm_ws_event *event) {
    if (payload.len == 1)
        return fail(ws, event, TM_WS_PROTOCOL, "close of one byte");
    *event = (tm_ws_event){.kind = TM_WS_CLOSE, .code = TM_WS_NO_CODE};
    event->bytes = (tm_span){payload.ptr, 0};
    if (payload.len >= 2) {
        event->code = (uint16_t)(payload.ptr[0] << 8 | payload.ptr[1]);
        event->bytes = (tm_span){payload.ptr + 2, payload.len - 2};
        if (!close_code_valid(event->code))
            return fail(ws, event, TM_WS_PROTOCOL, "no such close code");
        tm_utf8 utf8 = {0};
        if (!tm_utf8_feed(&utf8, event->bytes) || !tm_utf8_done(&utf8))
            return fail(ws, event, TM_WS_NOT_UTF8, "close reason is not UTF-8");
    }
    ws->over = true;
    return TM_OK;
}

// A control frame is complete; `payload` is all of it.
static tm_status control(tm_ws *ws, tm_span payload, tm_ws_event *event) {
    if (ws->opcode == TM_WS_OP_CLOSE) return closed(ws, payload, event);
    event->kind = ws->opcode == TM_WS_OP_PING ? TM_WS_PING : TM_WS_PONG;
    event->code = 0;
    event->bytes = payload;
    return TM_OK;
}

// A message is complete; `payload` is all of it.
static tm_status message(tm_ws *ws, tm_span payload, tm_ws_event *event) {
    event->kind = ws->message == TM_WS_OP_TEXT ? TM_WS_TEXT : TM_WS_BINARY;
    event->code = 0;
    event->bytes = payload;
    ws->message = 0;
    return TM_OK;
}

// The piece of the frame's payload that is in hand. TM_OK: *event happened; TM_E_MORE:
// go on reading.
static tm_status take_payload(tm_ws *ws, uint8_t *piece, size_t len,
                              tm_ws_event *event) {
    bool is_control = (ws->opcode & CONTROL) != 0;
    bool whole = ws->left == len && (is_control ? ws->control_len == 0
                                                : ws->message_len == 0 && ws->fin);
    unmask(ws, piece, len);
    ws->left -= (uint32_t)len;
    if (!is_control && ws->message == TM_WS_OP_TEXT) {
        bool ends = ws->left == 0 && ws->fin;
        if (!tm_utf8_feed(&ws->utf8, (tm_span){piece, len}) ||
            (ends && !tm_utf8_done(&ws->utf8)))
            return fail(ws, event, TM_WS_NOT_UTF8, "text is not UTF-8");
    }
    if (ws->left == 0) ws->head_len = 0; // the next byte begins a header
    tm_span payload = {piece, len};
    if (!whole) {
        if (!keep(ws, piece, len))
            return fail(ws, event, TM_WS_INTERNAL, "out of memory");
        *(is_control ? &ws->control_len : &ws->message_len) += (uint32_t)len;
        if (ws->left > 0 || (!is_control && !ws->fin)) return TM_E_MORE;
        payload = is_control
                      ? (tm_span){ws->kept + ws->message_len, ws->control_len}
                      : (tm_span){ws->kept, ws->message_len};
        if (payload.ptr == NULL) payload.ptr = piece; // all pieces were empty
        ws->lent = true;
    }
    return is_control ? control(ws, payload, event) : message(ws, payload, event);
}

// The last event's bytes have been used: drop what held them.
static void take_back(tm_ws *ws) {
    ws->lent = false;
    ws->control_len = 0;
    if (ws->message == 0) tm_ws_deinit(ws);
}

tm_status tm_ws_feed(tm_ws *ws, uint8_t *bytes, size_t len, size_t *used,
                     tm_ws_event *event) {
    size_t at = 0;
    if (ws->lent) take_back(ws);
    while (!ws->over) {
        if (!head_complete(ws)) {
            if (at == len) break;
            verdict found = take_head(ws, bytes, len, &at);
            *used = at;
            if (found.code != 0) return fail(ws, event, found.code, found.reason);
            if (!head_complete(ws)) break;
            begin_frame(ws);
        }
        if (at == len && ws->left > 0) break;
        size_t piece = len - at < ws->left ? len - at : ws->left;
        tm_status status = take_payload(ws, bytes + at, piece, event);
        at += piece;
        *used = at;
        if (status != TM_E_MORE) return status;
    }
    if (ws->over || (ws->message == 0 && ws->control_len == 0)) tm_ws_deinit(ws);
    *used = len;
    return TM_E_MORE;
}

size_t tm_ws_head(uint8_t head[TM_WS_HEAD_MAX], uint8_t opcode,
                  uint64_t payload_len) {
    size_t size = payload_len < LEN_16 ? 0 : payload_len <= UINT16_MAX ? 2 : 8;
    head[0] = (uint8_t)(FIN | opcode);
    head[1] = size == 0   ? (uint8_t)payload_len
              : size == 2 ? (uint8_t)LEN_16
                          : (uint8_t)LEN_64;
    for (size_t i = 0; i < size; i++) {
        head[2 + i] = (uint8_t)(payload_len >> 8 * (size - 1 - i));
    }
    return 2 + size;
}

tm_span tm_ws_wrap(uint8_t *payload, uint8_t opcode, size_t payload_len) {
    uint8_t head[TM_WS_HEAD_MAX];
    size_t head_len = tm_ws_head(head, opcode, payload_len);
    memcpy(payload - head_len, head, head_len);
    return (tm_span){payload - head_len, head_len + payload_len};
}

size_t tm_ws_control(uint8_t frame[2 + TM_WS_CONTROL_MAX], uint8_t opcode,
                     tm_span payload) {
    TM_ASSERT(payload.len <= TM_WS_CONTROL_MAX);
    frame[0] = (uint8_t)(FIN | opcode);
    frame[1] = (uint8_t)payload.len;
    if (payload.len > 0) memmove(frame + 2, payload.ptr, payload.len);
    return 2 + payload.len;
}

size_t tm_ws_close(uint8_t frame[2 + TM_WS_CONTROL_MAX], uint16_t code,
                   tm_span reason) {
    if (code == TM_WS_NO_CODE)
        return tm_ws_control(frame, TM_WS_OP_CLOSE, (tm_span){0});
    uint8_t payload[TM_WS_CONTROL_MAX] = {(uint8_t)(code >> 8), (uint8_t)code};
    size_t len = reason.len;
    if (len > TM_WS_REASON_MAX) {
        len = TM_WS_REASON_MAX; // and back to where a character begins
        while (len > 0 && (reason.ptr[len] & 0xc0) == 0x80)
            len--;
    }
    if (len > 0) memcpy(payload + 2, reason.ptr, len);
    return tm_ws_control(frame, TM_WS_OP_CLOSE, (tm_span){payload, 2 + len});
}
