// How the daemon starts, or refuses to, and how it ends: what is under way is finished,
// what is idle is told, what does not end is cut.
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon.h"
#include "net/websocket.h"
#include "store/memory.h"

static void test_graceful(void **state) {
    (void)state;
    daemon server;
    daemon_start(&server, NULL);
    wire idle, poll, author, reader, half;
    wire_open(&idle, &server);
    wire_text(&idle, "GET /healthz HTTP/1.1\r\nHost: @\r\n\r\n");
    T_EQ(wire_status(&idle), 200);
    wire_open(&half, &server);
    wire_text(&half, "GET / HTTP/1.1\r\nHos");
    wire_open(&poll, &server);
    // On a list where nothing happens, so that only the stop answers it.
    wire_text(&poll, "GET /v1/lists/quiet/operations?since=0&wait=25 "
                     "HTTP/1.1\r\nHost: @\r\n\r\n");
    socket_open(&author, &server);
    socket_open(&reader, &server);
    socket_say(&reader,
               "text='{\"type\":\"SUBSCRIBE\",\"list\":\"selected-images\","
               "\"user\":\"tester\"}'");
    (void)socket_hear_text(&reader, "\"SUBSCRIBED\"");
    // The save and the stop race; whatever was begun is answered before the goodbye.
    socket_say(
        &author,
        "text='{\"type\":\"SAVE\",\"list\":\"selected-images\",\"user\":\"tester\","
        "\"operations\":[{\"id\":\"op-1\",\"type\":\"ADD\",\"instanceId\":\"i\","
        "\"imageId\":\"m\",\"timestamp\":1,\"browserId\":\"b\",\"version\":1}]}'");
    (void)socket_hear_text(&author, "\"SAVED\"");
    tm_server_stop(server.server);

    t_row = "the long poll is answered";
    answer got;
    wire_answer(&poll, &got, false);
    T_EQ(got.status, 200);
    bytes_free(&got.body);
    T_TRUE(wire_ends(&poll));
    t_row = "the idle connection is closed, and the half request";
    T_TRUE(wire_ends(&idle));
    T_TRUE(wire_ends(&half));
    t_row = "what was saved is pushed first, then 1001";
    (void)socket_hear_text(&reader, "\"op-1\"");
    T_EQ(socket_hear_close(&reader), 1001);
    T_EQ(socket_hear_close(&author), 1001);
    wire_close(&author);
    wire_close(&reader);
    daemon_join(&server);
    wire_close(&idle);
    wire_close(&half);
    wire_close(&poll);
}

// Clients that neither read nor close cannot hold up the end.
static void test_cut(void **state) {
    (void)state;
    tm_server_config quick = {.limits = {.stop_ms = 300, .linger_ms = 60000}};
    daemon server;
    daemon_start(&server, &quick);
    wire stubborn;
    socket_open(&stubborn, &server);
    tm_server_stop(server.server);
    daemon_join(&server);
    T_EQ(socket_hear_close(&stubborn), 1001); // it was told all the same
    wire_close(&stubborn);
}

// Asked twice, it does not wait any more.
static void test_twice(void **state) {
    (void)state;
    tm_server_config slow = {.limits = {.stop_ms = 600000, .linger_ms = 600000}};
    daemon server;
    daemon_start(&server, &slow);
    wire stubborn;
    socket_open(&stubborn, &server);
    tm_server_stop(server.server);
    T_EQ(socket_hear_close(&stubborn), 1001);
    tm_server_stop(server.server);
    daemon_join(&server);
    wire_close(&stubborn);
}

static void test_signal(void **state) {
    (void)state;
    static const int numbers[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        tm_server_config with = {.signals = true};
        daemon server;
        daemon_start(&server, &with);
        T_EQ(ask_status(&server, "GET /healthz HTTP/1.1\r\nHost: @\r\n\r\n"), 200);
        T_EQ(kill(getpid(), numbers[i]), 0);
        daemon_join(&server);
    }
}

static void no_random(void *context, uint8_t *to, size_t len) {
    (void)context;
    memset(to, 1, len);
}

// It answers to the address that it listens on.
static void test_address(void **state) {
    (void)state;
    tm_server_config with = {.address = "127.0.0.2"};
    daemon server;
    daemon_start(&server, &with);
    char request[100];
    snprintf(request, sizeof request,
             "GET /healthz HTTP/1.1\r\nHost: 127.0.0.2:%u\r\n\r\n", server.port);
    wire client;
    wire_open_at(&client, &server, INADDR_LOOPBACK + 1);
    wire_text(&client, request);
    T_EQ(wire_status(&client), 200);
    wire_close(&client);
    daemon_stop(&server);
}

// What it refuses to start with, and that it says why.
static void test_refuses(void **state) {
    (void)state;
    daemon running;
    daemon_start(&running, NULL);
    static const char *const bad_origins[] = {"photos.example", NULL};
    static const char *const bad_hosts[] = {"https://photos.example", NULL};
    static char lengthy[130];
    memset(lengthy, 'u', sizeof lengthy - 1);
    const struct {
        const char *name;
        tm_server_config config;
        tm_status status;
        const char *says;
    } rows[] = {
        {"every address", {.address = "0.0.0.0"}, TM_E_STATE, "without tokens"},
        {"every IPv6 address", {.address = "::"}, TM_E_STATE, "without tokens"},
        {"another machine's network",
         {.address = "192.168.1.5"},
         TM_E_STATE,
         "without tokens"},
        {"a name", {.address = "example.org"}, TM_E_RANGE, "no address"},
        {"nothing", {.address = ""}, TM_E_RANGE, "no address"},
        {"a port in use", {.port = running.port}, TM_E_STATE, "cannot listen"},
        {"no user", {.user = {(const uint8_t *)"", 0}}, TM_E_RANGE, "user"},
        {"a user of 129 bytes",
         {.user = {(const uint8_t *)lengthy, 129}},
         TM_E_RANGE,
         "user"},
        {"a user with a line end",
         {.user = {(const uint8_t *)"a\nb", 3}},
         TM_E_RANGE,
         "user"},
        {"a user that is not UTF-8",
         {.user = {(const uint8_t *)"\xff", 1}},
         TM_E_RANGE,
         "user"},
        {"no origin", {.origins = bad_origins}, TM_E_RANGE, "no origin"},
        {"no host", {.hosts = bad_hosts}, TM_E_RANGE, "no host"},
        {"no directory", {.photos = "/nonexistent"}, TM_E_IO, "photos"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        tm_server *server = NULL;
        tm_server_config config = rows[i].config;
        char problem[256] = "";
        config.alloc = &running.alloc;
        config.service = running.service; // it is not asked: nothing is served
        tm_store store = {0};
        config.store = &store;
        if (config.user.ptr == NULL) config.user = t_str("tester");
        t_memory memory = {0};
        tm_alloc alloc = t_alloc(&memory);
        config.alloc = &alloc;
        T_STATUS(tm_server_new(&config, &server, problem), rows[i].status);
        if (strstr(problem, rows[i].says) == NULL)
            fail_msg("[%s] said: %s", rows[i].name, problem);
        T_EQ(memory.live, 0);
    }
    daemon_stop(&running);
}

// Let the k-th allocation of the start fail, for every k.
static void test_no_memory(void **state) {
    (void)state;
    static const tm_asset assets[] = {
        {"/index.html", "text/html", (const uint8_t *)"x", 1, 1, false}, {0}};
    t_memory other = {0};
    tm_alloc alloc = t_alloc(&other);
    tm_store *store;
    tm_service *service;
    T_OK(tm_memory_open(&alloc, &store));
    tm_service_config inside = {
        .alloc = &alloc, .store = store, .random = no_random};
    T_OK(tm_service_new(&inside, &service));
    for (size_t k = 1;; k++) {
        t_memory memory = {.fail_at = k};
        tm_alloc scarce = t_alloc(&memory);
        tm_server *server = NULL;
        char problem[256] = "";
        tm_server_config config = {.alloc = &scarce,
                                   .service = service,
                                   .store = store,
                                   .user = t_str("tester"),
                                   .photos = "tests/net",
                                   .assets = assets,
                                   .assets_count = 1};
        tm_status status = tm_server_new(&config, &server, problem);
        if (status == TM_OK) {
            // A stop before the start is one, too.
            tm_server_stop(server);
            tm_server_run(server);
            tm_server_free(server);
        }
        T_EQ(memory.live, 0);
        if (!memory.refused) break;
        T_STATUS(status, TM_E_NOMEM);
        T_TEXT(t_str(problem), "out of memory");
    }
    tm_service_free(service);
    tm_store_close(store);
    T_EQ(other.live, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_graceful),  cmocka_unit_test(test_cut),
        cmocka_unit_test(test_twice),     cmocka_unit_test(test_signal),
        cmocka_unit_test(test_address),   cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests_name("stop", tests, NULL, NULL);
}
