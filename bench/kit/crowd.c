// crowd.c - see crowd.h.
#include "crowd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_S 30

static size_t number_of(const client *one) {
    return (size_t)(one - one->in->clients);
}

// ---- operations -----------------------------------------------------------------------

static void hex_put(char *to, uint64_t number, size_t digits) {
    for (size_t i = digits; i-- > 0; number >>= 4) {
        to[i] = "0123456789abcdef"[number & 15];
    }
}

uint64_t op_sent_ns(const uint8_t *op) {
    uint64_t number = 0;
    for (size_t i = OP_ID_AT; i < OP_ID_AT + 16; i++) {
        uint8_t c = op[i];
        number = number << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return number;
}

size_t op_text(char *to, size_t room, const client *by, const edit *what) {
    char id[OP_ID_LEN + 1] = {0}, data[96] = "";
    static const char *const types[] = {"ADD", "UPDATE_METADATA", "DELETE"};
    hex_put(id, what->sent_ns, 16);
    hex_put(id + 16, number_of(by), 8);
    if (what->kind == EDIT_ADD) {
        (void)snprintf(data, sizeof data,
                       "\"imageId\":\"img-%08u\",\"data\":{\"photoNumber\":\"%u\","
                       "\"description\":\"no %u\"},",
                       what->item, what->item % 1000, what->item);
    } else if (what->kind == EDIT_UPDATE) {
        (void)snprintf(data, sizeof data,
                       "\"data\":{\"description\":\"text %" PRIu64 "\"},",
                       what->version);
    }
    int len =
        snprintf(to, room,
                 "{\"id\":\"%s\",\"type\":\"%s\",\"instanceId\":\"i-%014u\","
                 "%s\"timestamp\":%" PRIu64
                 ",\"browserId\":\"chrome-abc%u-%u\",\"version\":%" PRIu64 "}",
                 id, types[what->kind], what->item, data, wall_ms(), by->list,
                 by->index, what->version);
    if (len <= 0 || (size_t)len >= room) die("an operation is too long");
    return (size_t)len;
}

static void say(crowd *of, client *by, edit_kind kind) {
    edit what = {.kind = kind, .version = ++by->version};
    if (kind == EDIT_ADD) {
        what.item = by->high;
        by->high += by->step;
    } else if (kind == EDIT_DELETE) {
        what.item = by->low;
        by->low += by->step;
    } else {
        uint32_t live = (by->high - by->low) / by->step;
        what.item =
            by->low + (uint32_t)(random_next(&of->random) % live) * by->step;
    }
    by->outstanding++;
    of->outstanding++;
    what.sent_ns = clock_ns();
    of->speaks->say(by, &what);
}

void crowd_edit(crowd *of, client *by) {
    uint64_t dice = random_next(&of->random) % 10;
    edit_kind kind = dice < 3 ? EDIT_ADD : dice < 9 ? EDIT_UPDATE : EDIT_DELETE;
    if (by->high - by->low <= by->step && kind == EDIT_DELETE) kind = EDIT_ADD;
    say(of, by, kind);
}

// ---- what is heard --------------------------------------------------------------------

void heard_ack(client *by, uint64_t sent_ns) {
    crowd *of = by->in;
    if (by->outstanding == 0) die("an answer to nothing");
    by->outstanding--;
    of->outstanding--;
    if (of->measuring) {
        of->acked++;
        times_add(&of->acks, clock_ns() - sent_ns);
    }
    if (of->going) crowd_edit(of, by);
}

void heard_sight(client *by, uint64_t sent_ns) {
    crowd *of = by->in;
    if (!of->measuring) return;
    of->seen++;
    times_add(&of->sights, clock_ns() - sent_ns);
}

void crowd_wait(crowd *of) {
    uint64_t began = clock_ns();
    while (of->outstanding > 0) {
        wires_turn(of->speaks->hears, 100);
        if (seconds_since(began) > PATIENCE_S)
            die("%s: %" PRIu64 " edits were not answered", of->speaks->name,
                of->outstanding);
    }
}

// ---- life -----------------------------------------------------------------------------

static void join_wait(const crowd *of, const client *one) {
    uint64_t began = clock_ns();
    while (!one->joined) {
        wires_turn(of->speaks->hears, 100);
        if (seconds_since(began) > PATIENCE_S)
            die("%s: no answer to a subscription", of->speaks->name);
    }
}

void crowd_open(crowd *of, const server *with, const dialect *speaks,
                unsigned lists, unsigned per_list, unsigned window) {
    *of = (crowd){.speaks = speaks,
                  .lists = lists,
                  .per_list = per_list,
                  .window = window,
                  .random = 1};
    of->count = (size_t)lists * per_list;
    of->clients = need(of->count * sizeof *of->clients);
    for (size_t i = 0; i < of->count; i++) {
        client *one = &of->clients[i];
        one->in = of;
        one->list = (unsigned)(i / per_list);
        one->index = (unsigned)(i % per_list);
        one->low = one->high = one->index;
        one->step = per_list;
        one->to.owner = one->reads.owner = one;
        speaks->open(one, with, (unsigned)i);
    }
    for (size_t i = 0; i < of->count; i++) {
        join_wait(of, &of->clients[i]);
    }
    for (unsigned n = 0; n < ITEMS_AT_FIRST; n++) {
        for (size_t i = n % of->per_list; i < of->count; i += of->per_list) {
            say(of, &of->clients[i], EDIT_ADD);
            if (i % 256 == 0) wires_turn(speaks->hears, 0);
        }
        if (n % of->per_list == of->per_list - 1) crowd_wait(of);
    }
    crowd_wait(of);
}

void crowd_close(crowd *of) {
    for (size_t i = 0; i < of->count; i++) {
        wire_close(&of->clients[i].to);
        if (of->clients[i].reads.out != NULL || of->clients[i].reads.in != NULL)
            wire_close(&of->clients[i].reads);
        free(of->clients[i].own);
    }
    free(of->clients);
    free(of->acks.ms);
    free(of->sights.ms);
}

static void turn_for(crowd *of, double seconds) {
    uint64_t began = clock_ns();
    while (seconds_since(began) < seconds) {
        wires_turn(of->speaks->hears, 10);
    }
}

static void all_begin(crowd *of) {
    times_clear(&of->acks);
    times_clear(&of->sights);
    of->acked = of->seen = 0;
    of->going = true;
    for (unsigned w = 0; w < of->window; w++) {
        for (size_t i = 0; i < of->count; i++) {
            crowd_edit(of, &of->clients[i]);
        }
    }
}

void crowd_run(crowd *of, double seconds) {
    of->measuring = true;
    all_begin(of);
    turn_for(of, seconds);
    of->measuring = of->going = false;
}

void crowd_warm(crowd *of) {
    all_begin(of);
    turn_for(of, 1);
    of->going = false;
    crowd_wait(of);
}

void crowd_calm(crowd *of, size_t count) {
    times_clear(&of->acks);
    times_clear(&of->sights);
    of->acked = of->seen = 0;
    of->measuring = true;
    for (size_t n = 0; n < count; n++) {
        uint64_t began = clock_ns();
        crowd_edit(of, &of->clients[random_next(&of->random) % of->count]);
        while (of->outstanding > 0 || of->seen < (n + 1) * (of->per_list - 1)) {
            wires_turn(of->speaks->hears, 100);
            if (seconds_since(began) > PATIENCE_S) die("an edit was not seen");
        }
    }
    of->measuring = false;
}
