// The frame codec, against the 246 functional cases of the public WebSocket conformance
// suite (its numbers, its inputs; sections 1 to 7) and against what TRUST 2 adds. Each
// row is fed whole, cut in two at every byte, byte by byte and in odd runs, and every
// way must tell the same.
#include "t.h"
#include "conformance.h"
#include "core/limits.h"
#include "frames.h"
#include "net/websocket.h"

#define CUTS_MAX 1500u // streams up to this long are cut at every byte
#define ODD      997u  // and all are fed in runs of this many

// What the suite leaves out and we promise (TRUST 2 rows 15 and 17, RFC 6455 5.2).
static const row ours[] = {
    {"no mask", "text!='Hello'", "fail=c1002"},
    {"no mask on a close", "close!=c1000", "fail=c1002"},
    {"permessage-deflate, never negotiated", "text/4=xf248cdc9c90700",
     "fail=c1002"},
    {"126 for a length of 125", "raw=x81fe007d", "fail=c1002"},
    {"126 for none", "raw=x81fe0000", "fail=c1002"},
    {"127 for a length of 65535", "raw=x81ff000000000000ffff", "fail=c1002"},
    {"control frame with a long length", "raw=x89fe", "fail=c1002"},
    {"a message at the limit", "text=*1048576", "text=*1048576"},
    {"one past it", "raw=x81ff0000000000100001", "fail=c1009"},
    {"2^63-1", "raw=x81ff7fffffffffffffff", "fail=c1009"},
    {"2^64-4", "raw=x81fffffffffffffffffc", "fail=c1009"},
    {"2^63", "raw=x81ff8000000000000000", "fail=c1009"},
    {"4 GiB", "raw=x81ff0000000100000000", "fail=c1009"},
    {"4 GiB + 16", "raw=x82ff0000000100000010", "fail=c1009"},
    {"fragments that add up past the limit",
     "text-=*1048570 cont-=*6 ping raw=x8081", "ping fail=c1009"},
    {"a fragment that would wrap the sum", "text-=*16 raw=x80fffffffffffffffff0",
     "fail=c1009"},
    {"message inside a message, empty", "text- text", "fail=c1002"},
    {"binary inside text", "text-='a' bin='b'", "fail=c1002"},
    {"continuation after the end", "text-='a' cont='b' cont='c'",
     "text='ab' fail=c1002"},
    {"close between fragments, reason kept apart",
     "text-='a' ping='b' close=c1001+'gone'", "ping='b' close=c1001+'gone'"},
    {"text ends inside a character, fragmented", "text-=xe2 cont-=x82 cont",
     "fail=c1007"},
    {"a character begun before a ping", "text-=xe2 ping=x82 cont=x82ac",
     "ping=x82 text=xe282ac"},
    {"binary need not be UTF-8", "bin-=xff cont=xfe", "bin=xfffe"},
    {"the state of UTF-8 does not leak into the next message",
     "bin-=xe2 cont text=x82", "bin=xe2 fail=c1007"},
    {"eight plain bytes where a character must go on", "text=xe2+'abcdefgh'+x82ac",
     "fail=c1007"},
    {"a ping inside a message that is still empty",
     "text- ping='ping payload' cont='a' ping",
     "ping='ping payload' text='a' ping"},
    {"close code 1012", "close=c1012", "fail=c1002"},
    {"close code 1013", "close=c1013", "fail=c1002"},
    {"close code 1015", "close=c1015", "fail=c1002"},
    {"close reason ends inside a character", "close=c1000+xe282", "fail=c1007"},
    {"many messages at once",
     "text='a' text='b' bin=x00 text-='c' cont='d' text='e'",
     "text='a' text='b' bin=x00 text='cd' text='e'"},
};

static const row text_only[] = {
    {"binary where text is taken", "bin=x00", "fail=c1003"},
    {"judged from its first byte", "raw=x82", "fail=c1003"},
    {"text is", "text='a' ping", "text='a' ping"},
};

// Feeds `stream` in runs that end at `cut` and then every `step` bytes.
static void feed(const t_bytes *stream, size_t cut, size_t step, bool binary,
                 t_bytes *trace, t_memory *memory) {
    tm_alloc alloc = t_alloc(memory);
    tm_ws ws = {.alloc = &alloc, .message_max = TM_BODY_MAX, .binary = binary};
    // A copy of each run alone: a read outside it is the sanitizer's to see.
    for (size_t at = 0; at < stream->len;) {
        size_t end = at < cut ? cut : at + step;
        if (end > stream->len) end = stream->len;
        size_t len = end - at, used = 0;
        uint8_t *run = malloc(len);
        assert_non_null(run);
        memcpy(run, stream->ptr + at, len);
        tm_ws_event event;
        for (size_t done = 0;; done += used) {
            tm_status status =
                tm_ws_feed(&ws, run + done, len - done, &used, &event);
            if (status == TM_E_MORE) break;
            T_EQ(status, TM_OK);
            trace_event(trace, (int)event.kind, event.code, event.bytes);
        }
        free(run);
        if (ws.message == 0 && ws.head_len == 0) T_EQ(memory->live, 0);
        at = end;
    }
    tm_ws_deinit(&ws);
    T_EQ(memory->live, 0);
}

static bool same(const row *want, const t_bytes *told, const t_bytes *trace,
                 const char *way, size_t where) {
    if (trace->len == told->len && memcmp(trace->ptr, told->ptr, told->len) == 0)
        return true;
    print_error("%s, %s %zu: told %s, want %s\n", want->name, way, where,
                trace_text(trace), trace_text(told));
    return false;
}

static int check(const row *want, const t_bytes *stream, bool binary) {
    t_row = want->name;
    t_bytes told = {0}, trace = {0};
    frames_trace(want->told, &told);
    if (told.ptr == NULL) bytes_put(&told, "", 0);
    int failed = 0;
    const struct {
        const char *name;
        size_t cut, step;
    } ways[] = {
        {"whole", stream->len, 1}, {"byte by byte", 0, 1}, {"in runs", 0, ODD}};
    for (size_t i = 0; i < COUNT(ways); i++) {
        t_memory memory = {0};
        trace.len = 0;
        feed(stream, ways[i].cut, ways[i].step, binary, &trace, &memory);
        if (!same(want, &told, &trace, ways[i].name, 0)) failed++;
    }
    size_t stride = stream->len <= CUTS_MAX ? 1 : stream->len / 23;
    for (size_t cut = 1; cut < stream->len; cut += cut < 20 ? 1 : stride) {
        t_memory memory = {0};
        trace.len = 0;
        feed(stream, cut, stream->len, binary, &trace, &memory);
        if (!same(want, &told, &trace, "cut at", cut)) failed++;
    }
    bytes_free(&told);
    bytes_free(&trace);
    return failed;
}

static void check_rows(const row *rows, size_t count, bool binary) {
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        t_bytes stream = {0};
        frames_client(rows[i].sent, &stream);
        failed += check(&rows[i], &stream, binary);
        bytes_free(&stream);
    }
    T_EQ(failed, 0);
}

static void test_conformance(void **state) {
    (void)state;
    T_EQ(conformance_count + vectors_count, 246);
    check_rows(conformance, conformance_count, true);
}

static void test_ours(void **state) {
    (void)state;
    check_rows(ours, COUNT(ours), true);
    check_rows(text_only, COUNT(text_only), false);
}

// Each vector in one frame, and in two fragments cut at every byte; and through the
// check alone, cut at every byte.
static void test_utf8(void **state) {
    (void)state;
    int failed = 0;
    for (size_t i = 0; i < vectors_count; i++) {
        t_bytes text = {0};
        vector_bytes(&vectors[i], &text);
        for (size_t cut = 0; cut <= text.len; cut++) {
            char first[200], rest[200], sent[500], told[300];
            put_hex(first, &text, 0, cut);
            put_hex(rest, &text, cut, text.len);
            if (cut == 0) {
                snprintf(sent, sizeof sent, "text=%s", rest);
            } else {
                snprintf(sent, sizeof sent, "text-=%s cont=%s", first, rest);
            }
            put_hex(first, &text, 0, text.len);
            snprintf(told, sizeof told, "text=%s", first);
            row one = {vectors[i].name, sent,
                       vectors[i].valid ? told : "fail=c1007"};
            t_bytes stream = {0};
            frames_client(sent, &stream);
            failed += check(&one, &stream, true);
            bytes_free(&stream);

            tm_utf8 utf8 = {0};
            bool valid =
                tm_utf8_feed(&utf8, (tm_span){text.ptr, cut}) &&
                tm_utf8_feed(&utf8, (tm_span){text.ptr + cut, text.len - cut}) &&
                tm_utf8_done(&utf8);
            if (valid != vectors[i].valid) {
                print_error("%s cut at %zu: valid %d\n", vectors[i].name, cut,
                            valid);
                failed++;
            }
        }
        bytes_free(&text);
    }
    T_EQ(failed, 0);
}

// Every code point there is, and every one there is not: the check against arithmetic.
static void test_utf8_all(void **state) {
    (void)state;
    for (uint32_t point = 0; point < 0x200000; point++) {
        uint8_t text[4];
        size_t len = 0;
        if (point < 0x80) {
            text[len++] = (uint8_t)point;
        } else if (point < 0x800) {
            text[len++] = (uint8_t)(0xc0 | point >> 6);
        } else if (point < 0x10000) {
            text[len++] = (uint8_t)(0xe0 | point >> 12);
            text[len++] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
        } else {
            text[len++] = (uint8_t)(0xf0 | point >> 18);
            text[len++] = (uint8_t)(0x80 | (point >> 12 & 0x3f));
            text[len++] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
        }
        if (point >= 0x80) text[len++] = (uint8_t)(0x80 | (point & 0x3f));
        bool want = point < 0xd800 || (point > 0xdfff && point <= 0x10ffff);
        tm_utf8 utf8 = {0};
        bool got = tm_utf8_feed(&utf8, (tm_span){text, len}) && tm_utf8_done(&utf8);
        if (got != want) fail_msg("U+%04X: valid %d, want %d", point, got, want);
    }
}

// The refusal comes at the very byte that earns it, and what a header promises is never
// allocated.
static const struct {
    const char *name, *sent;
    size_t at; // bytes fed when it fails
    uint16_t code;
    size_t peak; // bytes of memory until then, at most
} early[] = {
    {"reserved bit", "raw=xc1fe", 1, 1002, 0},
    {"reserved opcode", "raw=x83fe", 1, 1002, 0},
    {"fragmented control", "raw=x0980", 1, 1002, 0},
    {"no mask", "raw=x8105", 2, 1002, 0},
    {"big control frame", "raw=x88fe0000", 2, 1002, 0},
    {"2^63-1: ten bytes of header", "raw=x81ff7fffffffffffffff00000000", 10, 1009,
     0},
    {"2^64-4", "raw=x81fffffffffffffffffc00000000", 10, 1009, 0},
    {"1 MiB + 1", "raw=x81ff000000000010000100000000", 10, 1009, 0},
    {"bad UTF-8 in the first byte of 1 MiB",
     "raw=x81ff000000000010000000000000+xff41", 15, 1007, 512},
    {"bad UTF-8 in the third fragment (6.4.1)",
     "text-=xceba cont-=xf4908080 cont=x65", 16, 1007, 512},
    {"bad continuation in the middle of a frame (6.4.3)",
     "raw=x819900000000+xcebae1bdb9cf83cebcceb5f4908080656469746564", 19, 1007,
     512},
};

static void test_early(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(early); i++) {
        t_bytes stream = {0};
        frames_client(early[i].sent, &stream);
        t_memory memory = {0};
        tm_alloc alloc = t_alloc(&memory);
        tm_ws ws = {.alloc = &alloc, .message_max = TM_BODY_MAX, .binary = true};
        tm_ws_event event = {0};
        size_t at = 0, used = 0;
        tm_status status = TM_E_MORE;
        while (status == TM_E_MORE && at < stream.len) {
            status = tm_ws_feed(&ws, stream.ptr + at++, 1, &used, &event);
        }
        if (status != TM_OK || at != early[i].at || event.code != early[i].code ||
            memory.peak > early[i].peak || memory.live != 0)
            fail_msg("%s: status %d at %zu, code %u, peak %zu", early[i].name,
                     status, at, event.code, memory.peak);
        bytes_free(&stream);
    }
}

// A frame that promises a megabyte and delivers little costs little.
static void test_promise(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_ws ws = {.alloc = &alloc, .message_max = TM_BODY_MAX};
    t_bytes stream = {0};
    frames_client("raw=x81ff000000000010000000000000+*1000", &stream);
    tm_ws_event event;
    size_t used;
    T_EQ(tm_ws_feed(&ws, stream.ptr, stream.len, &used, &event), TM_E_MORE);
    T_TRUE(memory.bytes <= 2048);
    tm_ws_deinit(&ws);
    tm_ws_deinit(&ws);
    T_EQ(memory.live, 0);
    bytes_free(&stream);
}

// Refuse the k-th allocation, for every k: a close code, never a wrong message.
static void test_no_memory(void **state) {
    (void)state;
    t_bytes stream = {0}, told = {0};
    frames_client("text-=*300 ping='ping payload' cont=*3000 text='after' bin=*900",
                  &stream);
    frames_trace("ping='ping payload' text=*3300 text='after' bin=*900", &told);
    size_t calls = 0;
    for (size_t k = 0; k <= calls; k++) {
        t_memory memory = {.fail_at = k};
        t_bytes trace = {0};
        feed(&stream, 0, 7, true, &trace, &memory);
        if (k == 0) {
            calls = memory.requests;
            T_TRUE(calls >= 4);
            assert_memory_equal(trace.ptr, told.ptr, told.len);
        } else {
            const uint8_t last[] = {TM_WS_FAIL, 2, 0, 0, 0, 1011 >> 8, 1011 & 0xff};
            T_TRUE(trace.len >= sizeof last);
            size_t before = trace.len - sizeof last;
            assert_memory_equal(trace.ptr + before, last, sizeof last);
            T_TRUE(before <= told.len);
            if (before > 0) assert_memory_equal(trace.ptr, told.ptr, before);
        }
        bytes_free(&trace);
    }
    bytes_free(&stream);
    bytes_free(&told);
}

static const struct {
    uint64_t len;
    const char *head;
} heads[] = {
    {0, "x8100"},
    {125, "x817d"},
    {126, "x817e007e"},
    {65535, "x817effff"},
    {65536, "x817f0000000000010000"},
    {UINT64_C(0x7fffffffffffffff), "x817f7fffffffffffffff"},
};

static void test_encode(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(heads); i++) {
        t_bytes want = {0};
        frames_payload(heads[i].head, strlen(heads[i].head), &want);
        uint8_t head[TM_WS_HEAD_MAX];
        T_EQ(tm_ws_head(head, TM_WS_OP_TEXT, heads[i].len), want.len);
        assert_memory_equal(head, want.ptr, want.len);
        bytes_free(&want);
    }
    uint8_t room[TM_WS_HEAD_MAX + 300];
    memset(room, '*', sizeof room);
    tm_span frame = tm_ws_wrap(room + TM_WS_HEAD_MAX, TM_WS_OP_TEXT, 300);
    assert_ptr_equal(frame.ptr, room + TM_WS_HEAD_MAX - 4);
    T_EQ(frame.len, 304);
    assert_memory_equal(frame.ptr, "\x81\x7e\x01\x2c***", 7);

    uint8_t out[2 + TM_WS_CONTROL_MAX];
    tm_span hi = TM_LIT("hi");
    T_EQ(tm_ws_control(out, TM_WS_OP_PONG, hi), 4);
    assert_memory_equal(out, "\x8a\x02hi", 4);
    T_EQ(tm_ws_close(out, TM_WS_NO_CODE, hi), 2);
    assert_memory_equal(out, "\x88\x00", 2);
    T_EQ(tm_ws_close(out, TM_WS_AWAY, hi), 6);
    assert_memory_equal(out, "\x88\x04\x03\xe9hi", 6);
    // A reason too long is cut, and not inside a character.
    uint8_t reason[200];
    memset(reason, 'a', sizeof reason);
    T_EQ(tm_ws_close(out, TM_WS_AWAY, (tm_span){reason, 200}), 127);
    memcpy(reason + 121, "\xe2\x82\xac", 3);
    T_EQ(tm_ws_close(out, TM_WS_AWAY, (tm_span){reason, 200}), 125);
    memcpy(reason + 120,
           "\xe2\x82\xac"
           "aa",
           5);
    T_EQ(tm_ws_close(out, TM_WS_AWAY, (tm_span){reason, 200}), 127);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance), cmocka_unit_test(test_ours),
        cmocka_unit_test(test_utf8),        cmocka_unit_test(test_utf8_all),
        cmocka_unit_test(test_early),       cmocka_unit_test(test_promise),
        cmocka_unit_test(test_no_memory),   cmocka_unit_test(test_encode),
    };
    return cmocka_run_group_tests_name("websocket", tests, NULL, NULL);
}
