// dialect_redis.c - see crowd.h: one stream a list. Edits go by XADD, and its answer is the
// ack; news comes by XREAD BLOCK on a second connection, since a blocked one is deaf.
#define _GNU_SOURCE // memmem
#include "crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_MAX 256u

typedef struct redis_own {
    uint64_t sent_ns[WINDOW_MAX]; // answers come in order
    size_t first, count;
    char last[64]; // id of the last entry that was read
} redis_own;

static void read_on(client *one) {
    char text[256], key[32];
    redis_own *own = one->own;
    (void)snprintf(key, sizeof key, "l-%u", one->list);
    int len =
        snprintf(text, sizeof text,
                 "*6\r\n$5\r\nXREAD\r\n$5\r\nBLOCK\r\n$1\r\n0\r\n$7\r\nSTREAMS"
                 "\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n",
                 strlen(key), key, strlen(own->last), own->last);
    wire_say(&one->reads, text, (size_t)len);
}

static void open_one(client *one, const server *with, unsigned number) {
    redis_own *own = need(sizeof *own);
    (void)snprintf(own->last, sizeof own->last, "0-0");
    one->own = own;
    wire_open(&one->to, with, NULL, NULL, number);
    wire_open(&one->reads, with, NULL, NULL, number + 20000);
    one->joined = true; // whatever comes between is read from the start
    read_on(one);
}

static void say(client *one, const edit *what) {
    char text[800], op[600], key[32];
    redis_own *own = one->own;
    if (own->count == WINDOW_MAX) die("the window is too wide");
    own->sent_ns[(own->first + own->count++) % WINDOW_MAX] = what->sent_ns;
    size_t op_len = op_text(op, sizeof op, one, what);
    (void)snprintf(key, sizeof key, "l-%u", one->list);
    int len = snprintf(text, sizeof text,
                       "*5\r\n$4\r\nXADD\r\n$%zu\r\n%s\r\n$1\r\n*\r\n$1\r\no\r\n"
                       "$%zu\r\n",
                       strlen(key), key, op_len);
    memcpy(text + len, op, op_len);
    memcpy(text + (size_t)len + op_len, "\r\n", 2);
    wire_say(&one->to, text, (size_t)len + op_len + 2);
}

// The length of one whole reply; 0 = cut.
static size_t reply_len(const uint8_t *bytes, size_t len) {
    const uint8_t *end = len == 0 ? NULL : memmem(bytes, len, "\r\n", 2);
    if (end == NULL) return 0;
    size_t used = (size_t)(end - bytes) + 2;
    long number = strtol((const char *)bytes + 1, NULL, 10);
    if (bytes[0] == '-') die("redis: %.*s", (int)used, (const char *)bytes);
    if (bytes[0] == '$' && number >= 0)
        return used + (size_t)number + 2 <= len ? used + (size_t)number + 2 : 0;
    for (long i = 0; bytes[0] == '*' && i < number; i++) {
        size_t more = reply_len(bytes + used, len - used);
        if (more == 0) return 0;
        used += more;
    }
    return used;
}

static void hear_entries(client *by, const uint8_t *at, size_t len) {
    redis_own *own = by->own;
    const uint8_t *end = at + len, *last = NULL;
    char self[9];
    (void)snprintf(self, sizeof self, "%08zx", (size_t)(by - by->in->clients));
    // An entry is *2 $N ID *2 $1 o $N OPERATION.
    while ((at = memmem(at, (size_t)(end - at), "{\"id\":\"", 7)) != NULL) {
        if (memcmp(at + OP_ID_AT + 16, self, 8) != 0)
            heard_sight(by, op_sent_ns(at));
        last = at;
        at += OP_ID_AT + OP_ID_LEN;
    }
    if (last == NULL) die("an answer without entries");
    // Back over "$N\r\n", "o\r\n", "$1\r\n", "*2\r\n" to the id.
    for (int lines = 0; lines < 6; last--) {
        if (last[-1] == '\n') lines++;
    }
    last += 1;
    size_t id_len =
        (size_t)((const uint8_t *)strchr((const char *)last, '\r') - last);
    if (id_len >= sizeof own->last) die("not the id of an entry");
    memcpy(own->last, last, id_len);
    own->last[id_len] = 0;
    read_on(by);
}

static size_t hears(wire *from, const uint8_t *bytes, size_t len) {
    client *by = from->owner;
    redis_own *own = by->own;
    size_t used = 0, step;
    while ((step = reply_len(bytes + used, len - used)) > 0) {
        if (from == &by->reads) {
            hear_entries(by, bytes + used, step);
        } else {
            if (own->count == 0) die("redis answers to nothing");
            uint64_t sent_ns = own->sent_ns[own->first];
            own->first = (own->first + 1) % WINDOW_MAX;
            own->count--;
            heard_ack(by, sent_ns);
        }
        used += step;
    }
    return used;
}

const dialect dialect_redis = {"redis", open_one, say, hears};
