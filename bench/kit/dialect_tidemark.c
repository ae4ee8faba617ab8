// dialect_tidemark.c - see crowd.h: docs/PROTOCOL.md over WebSocket. The hand-written
// server of bench/peers speaks as much of it as the crowd needs.
#define _GNU_SOURCE // memmem
#include "crowd.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void open_one(client *one, const server *with, unsigned number) {
    char text[160];
    wire_open(&one->to, with, "/v1/ws", "tidemark.v1", number);
    int len =
        snprintf(text, sizeof text,
                 "{\"type\":\"SUBSCRIBE\",\"list\":\"l-%u\",\"user\":\"bench\","
                 "\"since\":0}",
                 one->list);
    wire_text(&one->to, text, (size_t)len);
}

static void say(client *one, const edit *what) {
    char text[640];
    int len = snprintf(text, sizeof text,
                       "{\"type\":\"SAVE\",\"list\":\"l-%u\",\"user\":\"bench\","
                       "\"ref\":%" PRIu64 ",\"operations\":[",
                       one->list, what->version);
    size_t at =
        (size_t)len + op_text(text + len, sizeof text - (size_t)len - 2, one, what);
    text[at++] = ']';
    text[at++] = '}';
    wire_text(&one->to, text, at);
}

static bool begins(const uint8_t *text, size_t len, const char *with) {
    size_t want = strlen(with);
    return len >= want && memcmp(text, with, want) == 0;
}

static const uint8_t *find(const uint8_t *from, const uint8_t *end,
                           const char *word) {
    return memmem(from, (size_t)(end - from), word, strlen(word));
}

// The edits of others: every operation begins with its id, as we wrote it.
static void hear_operations(client *by, const uint8_t *at, const uint8_t *end) {
    while ((at = find(at, end, "{\"id\":\"")) != NULL) {
        heard_sight(by, op_sent_ns(at));
        at += OP_ID_AT + OP_ID_LEN;
    }
}

static void hear_saved(client *by, const uint8_t *at, const uint8_t *end) {
    const uint8_t *acks = find(at, end, "\"acks\":[");
    const uint8_t *operations =
        acks == NULL ? NULL : find(acks, end, "],\"operations\":[");
    if (operations == NULL) die("not as SAVED should be: %.300s", (const char *)at);
    at = acks;
    while ((at = find(at, operations, "{\"id\":\"")) != NULL) {
        static const char good[] = "\",\"status\":\"ok\"";
        const uint8_t *behind = at + OP_ID_AT + OP_ID_LEN;
        if (!begins(behind, (size_t)(end - behind), good))
            die("refused: %.300s", (const char *)at);
        heard_ack(by, op_sent_ns(at));
        at = behind;
    }
    hear_operations(by, operations, end);
}

static size_t hears(wire *from, const uint8_t *bytes, size_t len) {
    client *by = from->owner;
    size_t used = 0, step, text_len;
    const uint8_t *text;
    unsigned opcode;
    while ((step = frame_next(bytes + used, len - used, &text, &text_len,
                              &opcode)) > 0) {
        used += step;
        if (opcode == 0x9) continue; // a ping; what we say is answer enough
        if (opcode != 0x1) die("a frame of kind %u", opcode);
        const uint8_t *end = text + text_len;
        if (begins(text, text_len, "{\"type\":\"OPERATIONS\"")) {
            hear_operations(by, text, end);
        } else if (begins(text, text_len, "{\"type\":\"SAVED\"")) {
            hear_saved(by, text, end);
        } else if (begins(text, text_len, "{\"type\":\"SUBSCRIBED\"")) {
            by->joined = true;
        } else if (begins(text, text_len, "{\"type\":\"ERROR\"") ||
                   begins(text, text_len, "{\"type\":\"BEHIND\"")) {
            die("%.*s", (int)text_len, (const char *)text);
        } // SNAPSHOT, DIGEST, SEEN
    }
    return used;
}

const dialect dialect_tidemark = {"tidemark", open_one, say, hears};
