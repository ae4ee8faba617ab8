// WebSockets over real sockets: the handshake, the conformance cases against the daemon,
// pushes to those who read and to those who do not, heartbeats.
#include <sys/socket.h>

#include "conformance.h"
#include "daemon.h"
#include "net/websocket.h"

#define LIST "\"list\":\"selected-images\""
#define USER "\"user\":\"tester\""

// A text frame in the words of frames.h.
static void say_json(wire *to, const char *json) {
    t_bytes words = {0};
    bytes_put(&words, "text='", 6);
    bytes_put(&words, json, strlen(json));
    bytes_put(&words, "'", 2);
    socket_say(to, (const char *)words.ptr);
    bytes_free(&words);
}

static void subscribe(wire *to) {
    say_json(to, "{\"type\":\"SUBSCRIBE\"," LIST "," USER ",\"since\":0}");
    (void)socket_hear_text(to, "\"SUBSCRIBED\"");
}

// Saves operations of one writer, from `version` on, `value_len` bytes in each.
static void save(wire *to, unsigned version, unsigned count, size_t value_len) {
    t_bytes json = {0};
    char text[300];
    const char *head =
        "{\"type\":\"SAVE\"," LIST "," USER ",\"ref\":7,\"operations\":[";
    bytes_put(&json, head, strlen(head));
    for (unsigned i = 0; i < count; i++) {
        unsigned at = version + i;
        int len =
            snprintf(text, sizeof text,
                     "%s{\"id\":\"op-%u\",\"type\":\"UPDATE_METADATA\","
                     "\"instanceId\":\"i-%u\",\"timestamp\":%u,\"browserId\":\"b\","
                     "\"version\":%u,\"data\":{\"description\":\"",
                     i == 0 ? "" : ",", at, at % 50, at, at);
        bytes_put(&json, text, (size_t)len);
        for (size_t n = 0; n < value_len; n++)
            bytes_put(&json, "v", 1);
        bytes_put(&json, "\"}}", 3);
    }
    bytes_put(&json, "]}", 3);
    say_json(to, (const char *)json.ptr);
    bytes_free(&json);
    (void)socket_hear_text(to, "\"SAVED\"");
}

static void test_handshake(void **state) {
    (void)state;
    static const struct {
        const char *name, *lines;
        unsigned status;
    } rows[] = {
        {"plain", "", 101},
        {"own Origin", "Origin: http://@\r\n", 101},
        {"compression offered", "Sec-WebSocket-Extensions: permessage-deflate\r\n",
         101},
        {"another Origin", "Origin: https://evil.example\r\n", 403},
        {"Origin null", "Origin: null\r\n", 403},
        {"ours as a prefix", "Origin: http://@.evil.example\r\n", 403},
        {"https", "Origin: https://@\r\n", 403},
        {"a second version", "Sec-WebSocket-Version: 8\r\n", 426},
        {"a second key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 400},
        {"a body", "Content-Length: 3\r\n\r\nabc", 400},
    };
    daemon server;
    daemon_start(&server, NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        wire client;
        wire_open(&client, &server);
        wire_text(&client, WS_HEAD);
        wire_text(&client, rows[i].lines);
        wire_text(&client, "\r\n");
        answer got;
        wire_answer(&client, &got, false);
        bytes_free(&got.body);
        T_EQ(got.status, rows[i].status);
        if (got.status == 101) {
            T_TEXT(t_str(answer_field(&got, "Sec-WebSocket-Accept")),
                   "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
            T_TEXT(t_str(answer_field(&got, "Sec-WebSocket-Protocol")),
                   "tidemark.v1");
            T_TEXT(t_str(answer_field(&got, "Sec-WebSocket-Extensions")), "");
        } else {
            T_TRUE(wire_ends(&client));
        }
        if (got.status == 426)
            T_TEXT(t_str(answer_field(&got, "Sec-WebSocket-Version")), "13");
        wire_close(&client);
    }
    t_row = "Origin required";
    tm_server_config strict = {.origin_required = true};
    daemon other;
    daemon_start(&other, &strict);
    T_EQ(ask_status(&other, WS_HEAD "\r\n"), 403);
    T_EQ(ask_status(&other, WS_HEAD "Origin: http://@\r\n\r\n"), 101);
    T_EQ(ask_status(&other, "GET /healthz HTTP/1.1\r\nHost: @\r\n\r\n"), 200);
    daemon_stop(&other);

    t_row = "frames right behind the handshake";
    wire client;
    wire_open(&client, &server);
    t_bytes all = {0};
    frames_client("ping='early'", &all);
    wire_text(&client, WS_HEAD "\r\n");
    (void)wire_say(&client, all.ptr, all.len);
    bytes_free(&all);
    T_EQ(wire_status(&client), 101);
    frame pong;
    T_TRUE(socket_hear(&client, &pong));
    T_EQ(pong.opcode, TM_WS_OP_PONG);
    T_TEXT(((tm_span){pong.payload.ptr, pong.payload.len}), "early");
    bytes_free(&pong.payload);
    wire_close(&client);
    daemon_stop(&server);
}

// What the daemon must say to a case: a pong for each ping, an ERROR for each text (none
// of them is one of our frames), and a close code. It takes no binary.
typedef struct expected {
    t_bytes pongs;
    unsigned errors;
    unsigned code; // 0 = the connection stays open
} expected;

static void expect(const char *told, expected *want) {
    t_bytes trace = {0};
    *want = (expected){0};
    frames_trace(told, &trace);
    for (size_t at = 0; at < trace.len && want->code == 0;) {
        uint32_t len;
        const uint8_t *payload = trace.ptr + at + 5;
        memcpy(&len, trace.ptr + at + 1, sizeof len);
        switch ((tm_ws_kind)trace.ptr[at]) {
        case TM_WS_TEXT:
            want->errors++;
            break;
        case TM_WS_PING:
            bytes_put(&want->pongs, &len, sizeof len);
            bytes_put(&want->pongs, payload, len);
            break;
        case TM_WS_PONG:
            break;
        case TM_WS_BINARY:
            want->code = TM_WS_REFUSED;
            break;
        case TM_WS_CLOSE:
        case TM_WS_FAIL:
            want->code =
                len == 0 ? TM_WS_NO_CODE : (unsigned)(payload[0] << 8 | payload[1]);
            break;
        }
        at += 5 + len;
    }
    bytes_free(&trace);
}

// One case against the daemon: everything in runs of `step` bytes, then our own close, so
// that there is an end to wait for.
static void converse(const daemon *server, const char *sent, size_t step,
                     const expected *want) {
    wire client;
    socket_open(&client, server);
    t_bytes stream = {0}, pongs = {0};
    frames_client(sent, &stream);
    if (want->code == 0) frames_client("close=c1000", &stream);
    for (size_t at = 0; at < stream.len; at += step) {
        size_t len = stream.len - at < step ? stream.len - at : step;
        if (!wire_say(&client, stream.ptr + at, len)) break;
    }
    unsigned errors = 0, code = 0;
    frame one;
    while (code == 0 && socket_hear(&client, &one)) {
        uint32_t len = (uint32_t)one.payload.len;
        if (one.opcode == TM_WS_OP_PONG) {
            bytes_put(&pongs, &len, sizeof len);
            bytes_put(&pongs, one.payload.ptr, len);
        } else if (one.opcode == TM_WS_OP_TEXT) {
            errors++;
        } else if (one.opcode == TM_WS_OP_CLOSE) {
            code = len < 2
                       ? TM_WS_NO_CODE
                       : (unsigned)(one.payload.ptr[0] << 8 | one.payload.ptr[1]);
        }
        bytes_free(&one.payload);
    }
    T_EQ(code, want->code == 0 ? 1000 : want->code);
    // A text that came in one turn with a close is not answered any more.
    T_TRUE(errors <= want->errors);
    T_EQ(pongs.len, want->pongs.len);
    if (pongs.len > 0) T_EQ(memcmp(pongs.ptr, want->pongs.ptr, pongs.len), 0);
    T_TRUE(wire_ends(&client));
    bytes_free(&stream);
    bytes_free(&pongs);
    wire_close(&client);
}

static void converse_ways(const daemon *server, const char *sent,
                          const char *told) {
    expected want;
    expect(told, &want);
    size_t len = strlen(sent);
    converse(server, sent, SIZE_MAX / 2, &want);
    // One byte a write; large ones in the suite's runs of 997.
    converse(server, sent,
             strstr(sent, "*65") == NULL && strstr(sent, "*26") == NULL &&
                     len < 2000
                 ? 1
                 : 997,
             &want);
    bytes_free(&want.pongs);
}

static void test_conformance(void **state) {
    (void)state;
    daemon server;
    daemon_start(&server, NULL);
    for (size_t i = 0; i < conformance_count; i++) {
        t_row = conformance[i].name;
        converse_ways(&server, conformance[i].sent, conformance[i].told);
    }
    for (size_t i = 0; i < vectors_count; i++) {
        t_row = vectors[i].name;
        t_bytes text = {0};
        char sent[300] = "text=";
        vector_bytes(&vectors[i], &text);
        put_hex(sent + 5, &text, 0, text.len);
        converse_ways(&server, sent, vectors[i].valid ? "text" : "fail=c1007");
        bytes_free(&text);
    }
    daemon_stop(&server);
}

// Refused from the header: the answer is here although the payload never comes.
static void test_oversize(void **state) {
    (void)state;
    static const struct {
        const char *name, *sent;
        unsigned code;
    } rows[] = {
        {"1 MiB and one", "raw=x81ff0000000000100001", 1009},
        {"2^63-1", "raw=x81ff7fffffffffffffff", 1009},
        {"2^64-4", "raw=x81fffffffffffffffffc", 1009},
        {"4 GiB", "raw=x81ff0000000100000000", 1009},
        {"binary", "raw=x82", 1003},
        {"compressed", "raw=xc1", 1002},
    };
    daemon server;
    daemon_start(&server, NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        wire client;
        socket_open(&client, &server);
        socket_say(&client, rows[i].sent);
        T_EQ(socket_hear_close(&client), rows[i].code);
        T_TRUE(wire_ends(&client));
        wire_close(&client);
    }
    daemon_stop(&server);
    t_row = "nothing was kept for them";
    T_TRUE(server.memory.peak < (1u << 20));
}

// One edit, seen by everybody who subscribed but its author.
static void test_push(void **state) {
    (void)state;
    enum { READERS = 40 };
    daemon server;
    daemon_start(&server, NULL);
    wire author, other, readers[READERS];
    socket_open(&author, &server);
    socket_open(&other, &server);
    subscribe(&author);
    for (size_t i = 0; i < READERS; i++) {
        socket_open(&readers[i], &server);
        subscribe(&readers[i]);
    }
    for (unsigned n = 1; n <= 20; n++)
        save(&author, n, 1, 10);
    for (size_t i = 0; i < READERS; i++) {
        char last[40];
        for (unsigned n = 1; n <= 20; n++) {
            snprintf(last, sizeof last, "\"id\":\"op-%u\"", n);
            (void)socket_hear_text(&readers[i], last);
        }
        socket_say(&readers[i], "close=c1000");
        T_EQ(socket_hear_close(&readers[i]), 1000);
        wire_close(&readers[i]);
    }
    t_row = "who did not subscribe hears nothing, nor does the author";
    socket_say(&other, "close=c1000");
    frame one;
    T_TRUE(socket_hear(&other, &one));
    T_EQ(one.opcode, TM_WS_OP_CLOSE);
    bytes_free(&one.payload);
    socket_say(&author, "close=c1000");
    T_TRUE(socket_hear(&author, &one));
    T_EQ(one.opcode, TM_WS_OP_CLOSE);
    bytes_free(&one.payload);
    wire_close(&author);
    wire_close(&other);
    daemon_stop(&server);
}

static unsigned long metric(const daemon *server, const char *name) {
    wire client;
    answer got;
    wire_open(&client, server);
    wire_text(&client, "GET /metrics HTTP/1.1\r\nHost: @\r\n\r\n");
    wire_answer(&client, &got, false);
    const char *line = strstr((const char *)got.body.ptr, name);
    unsigned long value = line == NULL ? 0 : strtoul(line + strlen(name), NULL, 10);
    bytes_free(&got.body);
    wire_close(&client);
    return value;
}

// A small receive buffer: what is sent to it piles up at the daemon.
static void open_narrow(wire *to, const daemon *with) {
    socket_open(to, with);
    int size = 128 << 10; // far below it TCP on loopback crawls
    (void)setsockopt(to->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    subscribe(to);
}

// Who does not read for a while is told so, and loses nothing else.
static void test_behind(void **state) {
    (void)state;
    daemon server;
    daemon_start(&server, NULL);
    wire author, reader;
    socket_open(&author, &server);
    open_narrow(&reader, &server);
    for (unsigned n = 0; n < 60; n++)
        save(&author, 1 + n * 50, 50, 4000);
    (void)socket_hear_text(&reader, "\"BEHIND\"");
    subscribe(&reader);
    (void)socket_hear_text(&reader, "\"SNAPSHOT\"");
    // It has drained, and is known to have: the next push is not left out.
    save(&author, 3001, 1, 10);
    const char *next = socket_hear_text(&reader, "\"type\":\"");
    if (strstr(next, "\"op-3001\"") == NULL) fail_msg("heard %.100s", next);
    T_EQ(metric(&server, "\ntidemark_net_stuck_total "), 0);
    wire_close(&author);
    wire_close(&reader);
    daemon_stop(&server);
}

// Who does not read at all is closed with 1013, and costs no more than the soft cap.
static void test_stuck(void **state) {
    (void)state;
    tm_server_config quick = {.limits = {.drain_ms = 400, .linger_ms = 60000}};
    daemon server;
    daemon_start(&server, &quick);
    wire author, reader;
    socket_open(&author, &server);
    open_narrow(&reader, &server);
    for (unsigned n = 0; n < 60; n++)
        save(&author, 1 + n * 50, 50, 4000);
    while (metric(&server, "\ntidemark_net_stuck_total ") == 0) {
        // each asks once more; it becomes 1 or the test's own time is up
    }
    T_EQ(socket_hear_close(&reader), 1013);
    wire_close(&author);
    wire_close(&reader);
    daemon_stop(&server);
}

// The same with many small frames under way at once: what libuv has of them must arrive
// whole before the close.
static void test_stuck_small(void **state) {
    (void)state;
    tm_server_config quick = {.limits = {.drain_ms = 400, .linger_ms = 60000}};
    daemon server;
    daemon_start(&server, &quick);
    wire client;
    socket_open(&client, &server);
    int size = 128 << 10;
    (void)setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    subscribe(&client);
    wire author;
    socket_open(&author, &server);
    // More than the sockets hold, a frame each; then nothing more moves.
    for (unsigned n = 1; n <= 5000; n++)
        save(&author, n, 1, 900);
    while (metric(&server, "\ntidemark_net_stuck_total ") == 0) {
        // as above
    }
    frame one;
    unsigned pushed = 0;
    char id[40];
    while (socket_hear(&client, &one) && one.opcode == TM_WS_OP_TEXT) {
        snprintf(id, sizeof id, "\"id\":\"op-%u\"", ++pushed);
        T_TRUE(strstr((const char *)one.payload.ptr, id) != NULL);
        bytes_free(&one.payload);
    }
    T_EQ(one.opcode, TM_WS_OP_CLOSE);
    T_EQ(one.payload.ptr[0] << 8 | one.payload.ptr[1], 1013);
    bytes_free(&one.payload);
    T_TRUE(pushed > 500 && pushed < 5000);
    wire_close(&client);
    wire_close(&author);
    daemon_stop(&server);
}

// A flood of pings from a client that does not read: the daemon goes on reading, holds
// little, and answers the newest.
static void test_pings(void **state) {
    (void)state;
    daemon server;
    daemon_start(&server, NULL);
    wire client;
    socket_open(&client, &server);
    t_bytes pings = {0};
    for (unsigned n = 0; n < 100000; n++) {
        char word[20];
        snprintf(word, sizeof word, "ping='%u'", n);
        frames_client(word, &pings);
    }
    T_TRUE(wire_say(&client, pings.ptr, pings.len));
    bytes_free(&pings);
    frame one;
    unsigned pongs = 0, last = 0;
    do {
        T_TRUE(socket_hear(&client, &one));
        T_EQ(one.opcode, TM_WS_OP_PONG);
        unsigned number =
            (unsigned)strtoul((const char *)one.payload.ptr, NULL, 10);
        T_TRUE(pongs == 0 || number > last);
        last = number;
        pongs++;
        bytes_free(&one.payload);
    } while (last != 99999);
    wire_close(&client);
    daemon_stop(&server);
    T_TRUE(server.memory.peak < (1u << 20));
}

static void test_heartbeat(void **state) {
    (void)state;
    tm_server_config quick = {.limits = {.ping_ms = 100, .silence_ms = 1500}};
    daemon server;
    daemon_start(&server, &quick);
    wire client;
    socket_open(&client, &server);
    frame one;
    time_t begun = time(NULL);
    for (unsigned n = 0; n < 17; n++) { // longer than silence would be suffered
        T_TRUE(socket_hear(&client, &one));
        T_EQ(one.opcode, TM_WS_OP_PING);
        bytes_free(&one.payload);
        socket_say(&client, "pong");
    }
    T_TRUE(time(NULL) - begun < 10);    // each after 100 ms, not after the silence
    T_TRUE(socket_hear(&client, &one)); // and one that is not answered
    T_EQ(one.opcode, TM_WS_OP_PING);
    bytes_free(&one.payload);
    T_TRUE(!socket_hear(&client, &one));
    wire_close(&client);
    daemon_stop(&server);
}

// What a connection costs that has nothing to say.
static void test_idle(void **state) {
    (void)state;
    enum { SOCKETS = 400 };
    static wire idle[SOCKETS];
    daemon server;
    size_t peak[2];
    for (size_t run = 0; run < 2; run++) {
        daemon_start(&server, NULL);
        size_t count = run == 0 ? 1 : SOCKETS;
        for (size_t i = 0; i < count; i++) {
            socket_open(&idle[i], &server);
            subscribe(&idle[i]);
            T_EQ(idle[i].in.len, idle[i].at);
        }
        for (size_t i = 0; i < count; i++)
            wire_close(&idle[i]);
        daemon_stop(&server);
        peak[run] = server.memory.peak;
    }
    size_t each = (peak[1] - peak[0]) / (SOCKETS - 1);
    print_message("# an idle subscribed socket: %zu bytes\n", each);
    T_TRUE(each < 1500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake),   cmocka_unit_test(test_conformance),
        cmocka_unit_test(test_oversize),    cmocka_unit_test(test_push),
        cmocka_unit_test(test_behind),      cmocka_unit_test(test_stuck),
        cmocka_unit_test(test_stuck_small), cmocka_unit_test(test_pings),
        cmocka_unit_test(test_heartbeat),   cmocka_unit_test(test_idle),
    };
    return cmocka_run_group_tests_name("socket", tests, NULL, NULL);
}
