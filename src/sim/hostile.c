// hostile.c - see world.h: clients that are not ours. One is newer than this build: it makes
// operations of types and with members that nobody here knows, in an honest user's list.
// One has a valid token and no manners; it can harm nobody but itself.
#include "sim/world.h"

#include <stdlib.h>
#include <string.h>

#include "client/words.h"

// The hostile one's own account is the last; nothing of it is anybody's ghost.
#define HOSTILE TM_SIM_HOSTILE_ACCOUNT

static void request(tm_world *world, uint32_t account, tm_span body) {
    tm_sim_message *message = malloc(sizeof *message + body.len + 1);
    TM_ASSERT(message != NULL);
    *message = (tm_sim_message){.kind = TM_SIM_REQUEST,
                                .account = account,
                                .save = true,
                                .stray = true,
                                .len = body.len};
    if (body.len > 0) memcpy(message->bytes, body.ptr, body.len);
    world->result->messages++;
    if (world->server.service != NULL) tm_sim_server_request(world, message);
    free(message);
}

static void op_begin(tm_buf *out, const char *id, const char *type) {
    tm_buf_text(out, "{\"id\":\"");
    tm_buf_text(out, id);
    tm_buf_text(out, "\",\"type\":\"");
    tm_buf_text(out, type);
    tm_buf_byte(out, '"');
}

static void op_end(tm_buf *out, uint64_t timestamp, uint64_t logical,
                   const char *browser, uint64_t version) {
    tm_buf_text(out, ",\"timestamp\":");
    tm_buf_u64(out, timestamp);
    tm_buf_text(out, ",\"logical\":");
    tm_buf_u64(out, logical);
    tm_buf_text(out, ",\"browserId\":\"");
    tm_buf_text(out, browser);
    tm_buf_text(out, "\",\"version\":");
    tm_buf_u64(out, version);
    tm_buf_byte(out, '}');
}

static void push_begin(tm_world *world, uint32_t account, tm_buf *out) {
    tm_buf_text(out, "{\"user\":");
    tm_buf_json(out, world->accounts[account].key.user);
    tm_buf_text(out, ",\"operations\":[");
}

// A fresh writer each time: versions 1, 2, ...
void tm_sim_newer_client(tm_world *world, tm_sim_random *random, uint32_t account) {
    tm_buf out = {.alloc = &tm_sim_alloc};
    char browser[40], id[64], item[64];
    uint64_t count = 1 + tm_sim_below(random, 4);
    uint64_t now = tm_sim_server_now(world).wall_ms;
    (void)snprintf(browser, sizeof browser, "newer-%llx",
                   (unsigned long long)tm_sim_next(random));
    push_begin(world, account, &out);
    for (uint64_t i = 0; i < count; i++) {
        bool odd = tm_sim_below(random, 2) == 0;
        (void)snprintf(id, sizeof id, "%s.%llu", browser, (unsigned long long)i);
        (void)snprintf(item, sizeof item, "\"instanceId\":\"i%llu.0\",",
                       (unsigned long long)tm_sim_below(random, world->plan.items));
        (void)tm_sim_ghost_make(world, (tm_span){(const uint8_t *)id, strlen(id)},
                                account);
        if (i > 0) tm_buf_byte(&out, ',');
        op_begin(&out, id, odd ? "PAINT" : "UPDATE_METADATA");
        tm_buf_byte(&out, ',');
        tm_buf_text(&out, item);
        tm_buf_text(&out,
                    "\"data\":{\"colour\":\"red\"},\"later\":{\"a\":[1,null]}");
        op_end(&out, now, i, browser, i + 1);
        tm_sim_strike(world, odd ? TM_SIM_UNKNOWN_TYPE : TM_SIM_UNKNOWN_MEMBER,
                      NULL);
    }
    tm_buf_text(&out, "]}");
    request(world, account, tm_buf_span(&out));
    tm_buf_deinit(&out);
}

// ---- the hostile one ----------------------------------------------------------------------

static void garbage(tm_world *world, tm_sim_random *random) {
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"operations\":[{}]}",
        "{\"operations\":{}}",
        "{\"user\":\"ann\",\"operations\":[]}",
        "\xff\xfe\x00",
        "{\"since\":-1,\"operations\":[]}",
        "{\"since\":1e400,\"operations\":[]}",
        "{\"since\":18446744073709551615,\"mark\":\"zz\",\"operations\":[]}",
        "{\"operations\":[],\"operations\":[]}",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[["};
    uint8_t bytes[256];
    const char *text = texts[tm_sim_below(random, sizeof texts / sizeof texts[0])];
    tm_span body = {(const uint8_t *)text, strlen(text)};
    if (tm_sim_below(random, 3) == 0) {
        body = (tm_span){bytes, tm_sim_below(random, sizeof bytes)};
        tm_sim_fill(random, bytes, body.len);
    }
    tm_sim_strike(world, TM_SIM_HOSTILE_GARBAGE, NULL);
    request(world, HOSTILE, body);
}

// Versions, times and names of others, in its own list.
static void forged(tm_world *world, tm_sim_random *random) {
    static const uint64_t times[] = {0, 1, 281474976710655u, 281474976710656u,
                                     1790000000000u};
    static const uint64_t versions[] = {0, 1, 2, 3, 9007199254740991u};
    tm_buf out = {.alloc = &tm_sim_alloc};
    char id[64];
    push_begin(world, tm_sim_below(random, 4) == 0 ? 0 : HOSTILE, &out);
    for (uint64_t i = 0, n = 1 + tm_sim_below(random, 5); i < n; i++) {
        (void)snprintf(id, sizeof id, "f.%llx",
                       (unsigned long long)tm_sim_next(random));
        // It may name anybody's operation, and does: as one of its own.
        if (world->ghost_count > 0 && tm_sim_below(random, 3) == 0) {
            const tm_sim_ghost *ghost =
                world->ghosts[tm_sim_below(random, world->ghost_count)];
            (void)snprintf(id, sizeof id, "%.*s",
                           (int)(ghost->id_len < 63 ? ghost->id_len : 63),
                           (const char *)ghost->id);
        }
        if (i > 0) tm_buf_byte(&out, ',');
        op_begin(&out, id, "ADD");
        tm_buf_text(&out, ",\"instanceId\":\"i1.0\",\"imageId\":\"evil\"");
        op_end(&out, times[tm_sim_below(random, 5)],
               tm_sim_below(random, 2) * 65535, "x",
               versions[tm_sim_below(random, 5)]);
    }
    tm_buf_text(&out, "]}");
    tm_sim_strike(world, TM_SIM_HOSTILE_FORGED, NULL);
    request(world, HOSTILE, tm_buf_span(&out));
    tm_buf_deinit(&out);
}

static void huge(tm_world *world, tm_sim_random *random) {
    tm_buf out = {.alloc = &tm_sim_alloc};
    char id[64];
    uint64_t len = 1 + tm_sim_tail(random, 4000, 300000);
    push_begin(world, HOSTILE, &out);
    (void)snprintf(id, sizeof id, "h.%llx",
                   (unsigned long long)tm_sim_next(random));
    op_begin(&out, id, tm_sim_below(random, 2) == 0 ? "UPDATE_METADATA" : "HUGE");
    tm_buf_text(&out, ",\"instanceId\":\"i1\",\"data\":{\"description\":\"");
    for (uint64_t i = 0; i < len; i++) {
        tm_buf_byte(&out, 'x');
    }
    tm_buf_text(&out, "\"}");
    op_end(&out, 5, 0, "huge", 1 + tm_sim_below(random, 3));
    tm_buf_text(&out, "]}");
    tm_sim_strike(world, TM_SIM_HOSTILE_HUGE, NULL);
    request(world, HOSTILE, tm_buf_span(&out));
    tm_buf_deinit(&out);
}

// What an honest page sent, word for word, under its own token.
static void replay(tm_world *world) {
    if (world->replayed == NULL) return;
    tm_sim_strike(world, TM_SIM_HOSTILE_REPLAY, NULL);
    request(world, HOSTILE, (tm_span){world->replayed, world->replayed_len});
}

void tm_sim_hostile(tm_world *world, tm_sim_random *random) {
    switch (tm_sim_below(random, 4)) {
    case 0:
        garbage(world, random);
        break;
    case 1:
        forged(world, random);
        break;
    case 2:
        huge(world, random);
        break;
    default:
        replay(world);
    }
}
