// The WebSocket handshake: RFC 6455 4.2.1, row by row.
#include "net/handshake.h"
#include "t.h"

#define LINE    "GET /v1/ws HTTP/1.1\r\nHost: a\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define OFFER   "Sec-WebSocket-Protocol: tidemark.v1\r\n"

static const struct {
    const char *name, *head;
    uint16_t status;
    const char *token; // NULL = none
} rows[] = {
    {"plain", LINE UPGRADE VERSION KEY OFFER, 101, NULL},
    {"token as a second subprotocol",
     LINE UPGRADE VERSION KEY
     "Sec-WebSocket-Protocol: tidemark.v1, bearer.a.b-c_d\r\n",
     101, "a.b-c_d"},
    {"in two lines, the other way round",
     LINE UPGRADE VERSION KEY
     "Sec-WebSocket-Protocol: bearer.x\r\nSec-WebSocket-Protocol: tidemark.v1\r\n",
     101, "x"},
    {"an empty token",
     LINE UPGRADE VERSION KEY "Sec-WebSocket-Protocol: tidemark.v1,bearer.\r\n",
     101, ""},
    {"Connection is a list, names in any case",
     LINE
     "UPGRADE: foo, WebSocket\r\nconnection: keep-alive, uPGRADE\r\n" VERSION KEY
         OFFER,
     101, NULL},
    {"extensions are not looked at",
     LINE UPGRADE VERSION KEY OFFER
     "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
     101, NULL},

    {"version 8", LINE UPGRADE "Sec-WebSocket-Version: 8\r\n" KEY OFFER, 426, NULL},
    {"version 013", LINE UPGRADE "Sec-WebSocket-Version: 013\r\n" KEY OFFER, 426,
     NULL},
    {"two versions", LINE UPGRADE VERSION VERSION KEY OFFER, 426, NULL},
    {"no version", LINE UPGRADE KEY OFFER, 426, NULL},
    {"no Upgrade", LINE "Connection: Upgrade\r\n" VERSION KEY OFFER, 426, NULL},
    {"no Connection", LINE "Upgrade: websocket\r\n" VERSION KEY OFFER, 426, NULL},
    {"Connection: close",
     LINE "Upgrade: websocket\r\nConnection: close\r\n" VERSION KEY OFFER, 426,
     NULL},
    {"h2c", LINE "Upgrade: h2c\r\nConnection: Upgrade\r\n" VERSION KEY OFFER, 426,
     NULL},
    {"websockets",
     LINE "Upgrade: websockets\r\nConnection: Upgrade\r\n" VERSION KEY OFFER, 426,
     NULL},
    {"no key", LINE UPGRADE VERSION OFFER, 400, NULL},
    {"two keys", LINE UPGRADE VERSION KEY KEY OFFER, 400, NULL},
    {"a key of 15 bytes",
     LINE UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n" OFFER, 400,
     NULL},
    {"a key of 17 bytes",
     LINE UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZXM=\r\n" OFFER,
     400, NULL},
    {"a key with more behind it",
     LINE UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==A\r\n" OFFER,
     400, NULL},
    {"a key without padding",
     LINE UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n" OFFER,
     400, NULL},
    {"a key with stray bits",
     LINE UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n" OFFER,
     400, NULL},
    {"a key in base64url",
     LINE UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-w==\r\n" OFFER,
     400, NULL},
    {"no subprotocol", LINE UPGRADE VERSION KEY, 400, NULL},
    {"another one",
     LINE UPGRADE VERSION KEY "Sec-WebSocket-Protocol: tidemark.v2\r\n", 400, NULL},
    {"ours in capitals",
     LINE UPGRADE VERSION KEY "Sec-WebSocket-Protocol: TIDEMARK.V1\r\n", 400, NULL},
    {"two tokens",
     LINE UPGRADE VERSION KEY
     "Sec-WebSocket-Protocol: tidemark.v1, bearer.a, bearer.b\r\n",
     400, NULL},
    {"POST", "POST /v1/ws HTTP/1.1\r\nHost: a\r\n" UPGRADE VERSION KEY OFFER, 400,
     NULL},
    {"HTTP/1.0", "GET /v1/ws HTTP/1.0\r\nHost: a\r\n" UPGRADE VERSION KEY OFFER,
     400, NULL},
};

static void test_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        char head[600];
        snprintf(head, sizeof head, "%s\r\n", rows[i].head);
        tm_http_request request;
        T_OK(tm_request_read(t_str(head), &request));
        tm_handshake handshake;
        tm_handshake_check(&request, &handshake);
        T_EQ(handshake.status, rows[i].status);
        T_EQ(handshake.reason == NULL, rows[i].status == 101);
        if (rows[i].status != 101) continue;
        // The RFC's own example, 1.3.
        T_TEXT(t_str(handshake.accept), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        T_SPAN(handshake.token, t_str(rows[i].token));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests_name("handshake", tests, NULL, NULL);
}
