// handshake.c - see handshake.h.
#include "net/handshake.h"

#include <openssl/evp.h>
#include <string.h>

#define KEY_LEN  24u // base64 of 16 bytes
#define SHA1_LEN 20u

// RFC 6455 1.3: joined to the key, so that the answer cannot come from a cache.
static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

static int base64_value(uint8_t byte) {
    if (byte >= 'A' && byte <= 'Z') return byte - 'A';
    if (byte >= 'a' && byte <= 'z') return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9') return byte - '0' + 52;
    if (byte == '+') return 62;
    return byte == '/' ? 63 : -1;
}

// 16 bytes are 22 digits and "==", and the last digit's low four bits are none of them.
static bool key_valid(tm_span key) {
    if (key.len != KEY_LEN || memcmp(key.ptr + 22, "==", 2) != 0) return false;
    for (size_t i = 0; i < 22; i++) {
        if (base64_value(key.ptr[i]) < 0) return false;
    }
    return (base64_value(key.ptr[21]) & 0x0f) == 0;
}

static bool accept_make(tm_span key, char accept[TM_WS_ACCEPT_LEN + 1]) {
    uint8_t joined[KEY_LEN + sizeof guid - 1], digest[EVP_MAX_MD_SIZE];
    memcpy(joined, key.ptr, KEY_LEN);
    memcpy(joined + KEY_LEN, guid, sizeof guid - 1);
    unsigned len = 0;
    if (EVP_Digest(joined, sizeof joined, digest, &len, EVP_sha1(), NULL) != 1 ||
        len != SHA1_LEN)
        return false;
    return EVP_EncodeBlock((unsigned char *)accept, digest, SHA1_LEN) ==
           (int)TM_WS_ACCEPT_LEN;
}

// Subprotocol names are compared with their case (RFC 6455 4.1). Two tokens: whose word
// would count? Refused.
static bool protocols_read(const tm_http_request *request,
                           tm_handshake *handshake) {
    bool ours = false;
    size_t tokens = 0;
    for (size_t i = 0; i < request->field_count; i++) {
        if (!tm_span_is(request->fields[i].name, "sec-websocket-protocol"))
            continue;
        tm_span rest = request->fields[i].value, name;
        while (tm_list_element(&rest, &name)) {
            static const tm_span known = TM_LIT(TM_WS_PROTOCOL_NAME);
            static const tm_span bearer = TM_LIT(TM_WS_BEARER);
            if (tm_span_cmp(name, known) == 0) ours = true;
            if (name.len < bearer.len ||
                memcmp(name.ptr, bearer.ptr, bearer.len) != 0)
                continue;
            handshake->token =
                (tm_span){name.ptr + bearer.len, name.len - bearer.len};
            tokens++;
        }
    }
    return ours && tokens <= 1;
}

static void refuse(tm_handshake *handshake, uint16_t status, const char *reason) {
    handshake->status = status;
    handshake->reason = reason;
}

void tm_handshake_check(const tm_http_request *request, tm_handshake *handshake) {
    size_t keys, versions;
    *handshake = (tm_handshake){0};
    tm_span key = tm_request_field(request, "sec-websocket-key", &keys);
    tm_span version = tm_request_field(request, "sec-websocket-version", &versions);
    if (request->method != TM_HTTP_GET || !request->http_1_1) {
        refuse(handshake, 400, "a WebSocket begins with a GET of HTTP/1.1");
    } else if (!tm_request_lists(request, "upgrade", "websocket") ||
               !tm_request_lists(request, "connection", "upgrade")) {
        refuse(handshake, 426, "this is a WebSocket: ask to upgrade to it");
    } else if (versions != 1 || !tm_span_is(version, "13")) {
        refuse(handshake, 426, "WebSocket version 13 is spoken here");
    } else if (keys != 1 || !key_valid(key)) {
        refuse(handshake, 400, "Sec-WebSocket-Key must be 16 bytes in base64");
    } else if (!protocols_read(request, handshake)) {
        refuse(handshake, 400,
               "offer the subprotocol tidemark.v1, and at most one bearer token");
    } else if (!accept_make(key, handshake->accept)) {
        refuse(handshake, 500, "SHA-1 is not to be had");
    } else {
        handshake->status = 101;
    }
}
