// Memory runs out, once, at every place where the daemon asks for some. Whoever it
// happened to may lose a connection; nobody else, nothing is leaked, and the next one is
// served.
#include <sys/socket.h>

#include "daemon.h"

#define HOST "Host: @\r\n"
#define OPS  "/v1/lists/a/operations"

static const tm_asset assets[] = {
    {"/index.html", "text/html", (const uint8_t *)"page", 4, 4, false}, {0}};
static const tm_server_config options = {
    .assets = assets, .assets_count = 1, .photos = "tests/net"};

// Reads until the other side closes; what it says does not matter here.
static void hear_all(wire *from) {
    uint8_t data[4096];
    (void)shutdown(from->fd, SHUT_WR);
    while (recv(from->fd, data, sizeof data, 0) > 0) {
    }
    wire_close(from);
}

// A bit of everything, byte by byte where that means memory.
static void converse(const daemon *with) {
    wire client, socket;
    wire_open(&client, with);
    wire_drip(&client, "GET / HTTP/1.1\r\n" HOST "\r\n");
    wire_text(&client, "GET /v1/photos HTTP/1.1\r\n" HOST "\r\n"
                       "GET /metrics HTTP/1.1\r\n" HOST "\r\n"
                       "GET /nothing HTTP/1.1\r\n" HOST "\r\n");
    wire_drip(&client,
              "POST " OPS " HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
              "Transfer-Encoding: chunked\r\n\r\n"
              "21\r\n{\"user\":\"tester\",\"operations\":[]}\r\n0\r\n\r\n");
    hear_all(&client);
    wire_open(&socket, with);
    wire_text(&socket, WS_HEAD "\r\n");
    t_bytes frames = {0};
    frames_client("ping='p' text-='{\"type\":\"SUBSCRIBE\",' ping='between' "
                  "cont='\"list\":\"a\",\"user\":\"tester\"}' close=c1000",
                  &frames);
    for (size_t i = 0; i < frames.len; i++) {
        if (!wire_say(&socket, frames.ptr + i, 1)) break;
    }
    bytes_free(&frames);
    hear_all(&socket);
}

static void test_every_one(void **state) {
    (void)state;
    daemon server;
    size_t started = 0;
    for (size_t k = 0;; k++) {
        // The first run counts what starting asks for; that much must be had.
        daemon_fail_at = k == 0 ? 0 : started + k;
        daemon_start(&server, &options);
        started = server.started;
        converse(&server);
        converse(&server);
        unsigned status =
            ask_status(&server, "GET /healthz HTTP/1.1\r\n" HOST "\r\n");
        daemon_stop(&server);
        if (k > 0 && !server.memory.refused) break;
        // It may have been this very request that was refused its memory.
        if (server.memory.requests > server.memory.fail_at + 20) T_EQ(status, 200);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_one)};
    return cmocka_run_group_tests_name("scarce", tests, NULL, NULL);
}
