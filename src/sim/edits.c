// edits.c - see world.h: what people do with a list.
#include "sim/world.h"

#include <stdio.h>
#include <string.h>

#include "client/words.h"

static void member(tm_buf *out, const char *name, const char *value) {
    tm_buf_text(out, ",\"");
    tm_buf_text(out, name);
    tm_buf_text(out, "\":");
    tm_buf_json(out, (tm_span){(const uint8_t *)value, strlen(value)});
}

// Every value is written once, so that whoever shows it shows that edit.
static void value_draw(tm_world *world, tm_sim_random *random, char text[160]) {
    unsigned long long number = ++world->value;
    switch (tm_sim_below(random, 12)) {
    case 0:
        (void)snprintf(text, 160, "caf\xc3\xa9 %llu", number);
        break;
    case 1: // what the policy refuses, where there is one
        (void)snprintf(text, 160, "!%llu", number);
        break;
    case 2:
        (void)snprintf(text, 160, "%llu\"\\<b>\n", number);
        break;
    case 3:
        (void)snprintf(text, 160, "\xf0\x9f\x93\xb7 %llu", number);
        break;
    case 4:
        text[0] = '\0';
        break;
    default:
        (void)snprintf(text, 160, "v%llu", number);
    }
}

static void field_draw(tm_world *world, tm_sim_random *random, tm_buf *out) {
    static const char *const names[] = {"description", "photoNumber", "note"};
    char text[160];
    value_draw(world, random, text);
    tm_buf_text(out, "\"");
    tm_buf_text(out,
                names[tm_sim_below(random, 10) == 0 ? 2 : tm_sim_below(random, 2)]);
    tm_buf_text(out, "\":");
    if (tm_sim_below(random, 12) == 0) {
        tm_buf_text(out, "null");
    } else {
        tm_buf_json(out, (tm_span){(const uint8_t *)text, strlen(text)});
    }
}

// An item by number; a deleted one's place is taken by a new one sooner or later.
static void item_draw(tm_world *world, tm_sim_random *random, char name[40]) {
    uint64_t n = tm_sim_below(random, world->plan.items);
    uint64_t generation = world->value / (40 + n);
    (void)snprintf(name, 40, "i%llu.%llu", (unsigned long long)n,
                   (unsigned long long)(generation - tm_sim_below(random, 2) *
                                                         (generation > 0)));
}

void tm_sim_edit_draw(tm_world *world, tm_sim_random *random, tm_sim_page *page,
                      tm_buf *out) {
    char item[40], image[40];
    uint64_t kind = tm_sim_below(random, 100);
    (void)page;
    item_draw(world, random, item);
    tm_buf_reset(out);
    if (kind < 5) {
        tm_buf_text(out, "{\"type\":\"SORT_CHANGE\"");
        member(out, "sort", tm_sim_below(random, 2) == 0 ? "asc" : "desc");
    } else if (kind < 13) {
        tm_buf_text(out, "{\"type\":\"DELETE\"");
        member(out, "instanceId", item);
    } else if (kind < 40) {
        (void)snprintf(image, sizeof image, "img-%llu",
                       (unsigned long long)++world->value);
        tm_buf_text(out, "{\"type\":\"ADD\"");
        if (tm_sim_below(random, 8) != 0) member(out, "instanceId", item);
        member(out, "imageId", image);
        if (tm_sim_below(random, 3) == 0) {
            tm_buf_text(out, ",\"data\":{");
            field_draw(world, random, out);
            tm_buf_byte(out, '}');
        }
    } else {
        tm_buf_text(out, "{\"type\":\"UPDATE_METADATA\"");
        member(out, "instanceId", item);
        tm_buf_text(out, ",\"data\":{");
        field_draw(world, random, out);
        tm_buf_byte(out, '}');
    }
    tm_buf_byte(out, '}');
}
