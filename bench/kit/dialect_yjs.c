// dialect_yjs.c - see crowd.h: y-websocket, one document a list. What Yjs would make of the
// edits was prepared (bench/peers/yjs-updates.mjs): for each of three writers one update an
// edit, which depends on that writer's own edits alone, so that one preparation serves all
// lists. The server sends every update to everybody, its author too, and that is the ack: it
// keeps nothing on a disk.
#include "crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITERS    3u
#define WINDOW_MAX 4096u // edits of one writer that somebody has not seen yet

// u32 length, little-endian, then an update; one behind the other.
static struct {
    uint8_t *bytes;
    size_t len;
    uint32_t id; // Yjs' clientID
} prepared[WRITERS];

typedef struct yjs_own {
    size_t at; // in what was prepared
    uint64_t sent_ns[WINDOW_MAX];
    size_t sent, seen[WRITERS]; // seen: how many of its edits each connection saw
} yjs_own;

static void prepared_read(void) {
    for (unsigned i = 0; i < WRITERS; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "yjs-updates.%u", i);
        FILE *file = fopen(name, "rb");
        if (file == NULL) die("%s is missing", name);
        (void)fseek(file, 0, SEEK_END);
        prepared[i].len = (size_t)ftell(file);
        (void)fseek(file, 0, SEEK_SET);
        prepared[i].bytes = need(prepared[i].len);
        if (fread(prepared[i].bytes, 1, prepared[i].len, file) != prepared[i].len)
            die("%s cannot be read", name);
        (void)fclose(file);
        prepared[i].id = 1 + i; // as yjs-updates.mjs sets it
    }
}

static void open_one(client *one, const server *with, unsigned number) {
    char path[32];
    if (prepared[0].bytes == NULL) prepared_read();
    one->own = need(sizeof(yjs_own));
    (void)snprintf(path, sizeof path, "/l-%u", one->list);
    wire_open(&one->to, with, path, "", number);
}

static void say(client *one, const edit *what) {
    yjs_own *own = one->own;
    uint8_t message[1024] = {0, 2}; // sync, update
    const uint8_t *from = prepared[one->index].bytes + own->at;
    if (own->at + 4 > prepared[one->index].len)
        die("too few updates were prepared");
    size_t len = from[0] | (size_t)from[1] << 8, at = 2;
    for (size_t rest = len; at == 2 || rest > 0; rest >>= 7) {
        message[at++] = (uint8_t)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    }
    if (at + len > sizeof message) die("an update is too long");
    memcpy(message + at, from + 4, len);
    own->at += 4 + len;
    own->sent_ns[own->sent++ % WINDOW_MAX] = what->sent_ns;
    wire_binary(&one->to, message, at + len);
}

static const uint8_t *number_skip(const uint8_t *at) {
    while ((*at & 0x80) != 0) {
        at++;
    }
    return at + 1;
}

static void hear_update(client *by, const uint8_t *at) {
    at = number_skip(at); // the length
    // Whose it is: the first client of the structs, or of the deletions.
    at = *at == 0 ? at + 2 : number_skip(at + 1);
    unsigned writer = *at - 1u;
    if (writer >= WRITERS) die("an update of client %u", *at);
    client *author = by - by->index + writer;
    yjs_own *own = author->own;
    uint64_t sent_ns = own->sent_ns[own->seen[by->index]++ % WINDOW_MAX];
    if (own->seen[by->index] > own->sent) die("an update of nobody");
    if (author == by) {
        heard_ack(by, sent_ns);
    } else {
        heard_sight(by, sent_ns);
    }
}

static size_t hears(wire *from, const uint8_t *bytes, size_t len) {
    client *by = from->owner;
    size_t used = 0, step, message_len;
    const uint8_t *message;
    unsigned opcode;
    while ((step = frame_next(bytes + used, len - used, &message, &message_len,
                              &opcode)) > 0) {
        used += step;
        if (opcode != 2 || message_len < 3) continue; // a ping
        if (message[0] == 0 && message[1] == 2) hear_update(by, message + 2);
        by->joined = true; // the server has said its first word
    }
    return used;
}

const dialect dialect_yjs = {"y-websocket", open_one, say, hears};
