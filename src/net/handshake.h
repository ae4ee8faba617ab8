// handshake.h - may this request become a WebSocket, and what is the answer?
//
// RFC 6455 4.2, as a function of the request alone. Extensions are offered by every
// browser and never accepted: an extension header is not even looked at.
//
// Subprotocols: the client must offer `tidemark.v1`, which is the one that is chosen. A
// browser cannot set Authorization on a WebSocket, so the token may come as a second
// subprotocol, `bearer.TOKEN`: never in the URL, where logs would keep it (TRUST 2, row
// 12).
//
// Knows net/request.h, libcrypto (SHA-1, which is what the RFC says: it proves that we
// read the key, nothing more).
#ifndef TM_NET_HANDSHAKE_H
#define TM_NET_HANDSHAKE_H

#include "net/request.h"

#define TM_WS_PROTOCOL_NAME "tidemark.v1"
#define TM_WS_BEARER        "bearer."
#define TM_WS_ACCEPT_LEN    28u // base64 of a SHA-1

typedef struct tm_handshake {
    uint16_t status;                   // 101; or 400, 426, 500
    const char *reason;                // of a refusal: a literal, for people
    char accept[TM_WS_ACCEPT_LEN + 1]; // Sec-WebSocket-Accept, with 101
    tm_span token;                     // lent from the request; null: none was sent
} tm_handshake;

// tm_handshake_check - judge the request.
//   request   borrows, and lends `token` from
// A 426 is answered with `Upgrade: websocket` and `Sec-WebSocket-Version: 13`.
void tm_handshake_check(const tm_http_request *request, tm_handshake *handshake);

#endif
