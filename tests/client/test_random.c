// test_random.c - random histories: pages that edit, crash, start, lose requests and
// answers, share storage, jump in time, on a server that is compacted and restored. In
// the end, when nothing fails any more, all hold the same and nothing is left to send.
#include "client/host.h"

#define STEPS 120
#define SEEDS 300
#define PAGES 4
#define ITEMS 6
#define EDITS 400

typedef struct world {
    uint64_t random;
    model m;
    storage stores[PAGES];
    page p[PAGES];
    size_t storage_of[PAGES];
    bool live[PAGES];
    bool restored;
    char kept[EDITS][16]; // values whose edit was kept
    size_t kept_count, made;
} world;

static uint64_t draw(world *w) {
    uint64_t z = w->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t below(world *w, size_t n) {
    return draw(w) % n;
}

static void start(world *w, size_t i) {
    static const char *const names[] = {"mm-A", "aa-B", "ZZ-C", "b10-D"};
    page *p = &w->p[i];
    if (w->live[i]) return;
    page_start(p, &w->stores[w->storage_of[i]], &w->m, names[i]);
    w->live[i] = true;
}

static void stop(world *w, size_t i) {
    if (!w->live[i]) return;
    page_stop(&w->p[i]);
    w->live[i] = false;
}

static void edit(world *w, size_t i) {
    char text[256], item[8], value[16];
    (void)snprintf(item, sizeof item, "p%zu", below(w, ITEMS));
    (void)snprintf(value, sizeof value, "v%zu.", w->made++);
    switch (below(w, 8)) {
    case 0:
    case 1:
        (void)snprintf(
            text, sizeof text,
            "{\"type\":\"ADD\",\"instanceId\":\"%s\",\"imageId\":\"%s\"}", item,
            value);
        break;
    case 2:
        if (below(w, 3) == 0) {
            (void)snprintf(text, sizeof text,
                           "{\"type\":\"DELETE\",\"instanceId\":\"%s\"}", item);
            value[0] = '\0';
            break;
        }
        (void)snprintf(text, sizeof text,
                       "{\"type\":\"SORT_CHANGE\",\"sort\":\"%s\"}",
                       below(w, 2) ? "asc" : "desc");
        value[0] = '\0';
        break;
    default:
        (void)snprintf(
            text, sizeof text,
            "{\"type\":\"UPDATE_METADATA\",\"instanceId\":\"%s\",\"data\":{\"%s\":"
            "\"%s\"}}",
            item, below(w, 2) ? "description" : "photoNumber", value);
    }
    if (page_written(&w->p[i], text) == TM_WRITTEN_OK && value[0] != '\0') {
        T_TRUE(w->kept_count < EDITS);
        memcpy(w->kept[w->kept_count++], value, sizeof value);
    }
}

static void advance(world *w, uint64_t ms) {
    w->m.wall_ms += ms;
    for (size_t i = 0; i < PAGES; i++) {
        if (w->live[i]) {
            page_advance(&w->p[i], ms);
        } else {
            w->p[i].now.wall_ms += ms;
            w->p[i].now.mono_ms += ms;
        }
    }
}

static void step(world *w, bool restores) {
    static const uint64_t jumps[] = {1, 10, 700, 4000, 11000, 3600000};
    size_t i = below(w, PAGES);
    page *p = &w->p[i];
    if (!w->live[i]) {
        if (below(w, 3) == 0) start(w, i);
        return;
    }
    switch (below(w, 20)) {
    case 0:
        stop(w, i);
        break;
    case 1:
        advance(w, jumps[below(w, COUNT(jumps))]);
        break;
    case 2:
    case 3:
    case 4:
        page_pull(p);
        break;
    case 5:
        w->m.accept_first = 1 + below(w, 3);
        page_push(p, FAULT_NONE);
        break;
    case 6:
        page_push(p, FAULT_RESPONSE);
        break;
    case 7:
        page_push(p, FAULT_REQUEST);
        break;
    case 8:
    case 9:
    case 10:
        page_push(p, FAULT_NONE);
        break;
    case 11:
        p->now.wall_ms += (uint64_t)(int64_t)((int)below(w, 7200000) - 3600000);
        break;
    case 12:
        if (restores && below(w, 4) == 0) model_backup(&w->m);
        if (restores && w->m.backup.epoch != 0 && below(w, 4) == 0) {
            model_restore(&w->m);
            w->restored = true;
        }
        if (!restores && below(w, 4) == 0) model_compact(&w->m);
        break;
    case 13:
        p->storage->disk_fails = below(w, 3) == 0;
        break;
    default:
        edit(w, i);
    }
}

static bool in_log(const world *w, const char *value) {
    for (size_t i = 0; i < w->m.now.op_count; i++) {
        if (strstr(w->m.now.ops[i].raw, value) != NULL) return true;
    }
    return false;
}

static void heal(world *w) {
    for (size_t i = 0; i < PAGES; i++) {
        w->stores[i].disk_fails = false;
    }
    for (size_t i = 0; i < PAGES; i++) {
        start(w, i);
    }
    for (size_t round = 0; round < 6; round++) {
        advance(w, 120000);
        for (size_t i = 0; i < PAGES; i++) {
            page_push(&w->p[i], FAULT_NONE);
            page_pull(&w->p[i]);
        }
    }
}

static bool holds_entries(const place *p) {
    for (size_t i = 0; i < p->count; i++) {
        if (strncmp(p->at[i].key, "op/", 3) == 0) return true;
    }
    return false;
}

static void run(uint64_t seed, bool restores) {
    static world w;
    char name[64];
    memset(&w, 0, sizeof w);
    (void)snprintf(name, sizeof name, "seed %" PRIu64 "%s", seed,
                   restores ? " with restores" : "");
    t_row = name;
    w.random = seed;
    model_init(&w.m);
    for (size_t i = 0; i < PAGES; i++) {
        w.storage_of[i] = i == 3 ? 2 : i; // the last two are tabs of one browser
        w.p[i].manual = true;
        w.p[i].seed = seed * 97 + i;
        start(&w, i);
    }
    for (size_t i = 0; i < STEPS; i++) {
        step(&w, restores);
    }
    heal(&w);
    char first[65536];
    (void)snprintf(first, sizeof first, "%s", page_view(&w.p[0]));
    for (size_t i = 0; i < PAGES; i++) {
        T_EQ(page_status(&w.p[i], "pending"), 0);
        T_EQ(page_status(&w.p[i], "offered"), 0);
        T_TRUE(page_equals_server(&w.p[i]));
        T_TEXT(t_str(page_view(&w.p[i])), first);
        T_EQ(w.p[i].damage, 0);
        T_EQ(w.p[i].dead, 0);
    }
    for (size_t i = 0; i < w.kept_count && !w.restored; i++) {
        if (in_log(&w, w.kept[i])) continue;
        print_error("# %s was kept and is lost\n", w.kept[i]);
        T_TRUE(false);
    }
    for (size_t i = 0; i < PAGES; i++) {
        stop(&w, i);
    }
    for (size_t i = 0; i < PAGES; i++) {
        T_TRUE(!holds_entries(&w.stores[i].local));
        T_TRUE(!holds_entries(&w.stores[i].disk));
        storage_free(&w.stores[i]);
    }
    model_free(&w.m);
}

static void test_without_restores(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(seed, false);
    }
}

static void test_with_restores(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(seed, true);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_restores),
        cmocka_unit_test(test_with_restores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
