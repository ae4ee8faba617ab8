// life.c - see life.h.
#include "client/life.h"

life w;

void life_begin(void) {
    memset(&w, 0, sizeof w);
    model_init(&w.m);
    w.a.manual = w.b.manual = true;
    page_start(&w.b, &w.sb, &w.m, "b-b");
}

void life_end(void) {
    page_stop(&w.b);
    storage_free(&w.sa);
    storage_free(&w.sb);
    model_free(&w.m);
}

// Without memory nothing of it happened.
void life_edit(page *p, const char *text, const char *value) {
    uint64_t before = page_status(p, "pending");
    tm_status status = page_edit(p, text);
    if (status != TM_OK) {
        T_TRUE(status == TM_E_GONE || p->memory.refused);
        T_EQ(page_status(p, "pending"), before);
        return;
    }
    if (tm_engine_written(p->engine) == TM_WRITTEN_OK) {
        (void)snprintf(w.kept[w.count++], sizeof w.kept[0], "%s", value);
    }
}

static void batch(page *p) {
    static const char *const edits[] = {SET("y", "three"), ADD("z")};
    static const char *const values[] = {"three", "i-z"};
    bool made[2] = {false, false};
    if (tm_engine_begin(p->engine) != TM_OK) return;
    for (size_t i = 0; i < 2; i++) {
        made[i] = tm_engine_edit(p->engine, p->now, t_str(edits[i]), NULL) == TM_OK;
    }
    T_OK(tm_engine_end(p->engine, p->now, true));
    page_pump(p);
    if (tm_engine_written(p->engine) != TM_WRITTEN_OK) return;
    for (size_t i = 0; i < 2; i++) {
        if (made[i]) (void)snprintf(w.kept[w.count++], 16, "%s", values[i]);
    }
}

void life_time(uint64_t ms) {
    w.m.wall_ms += ms;
    page_advance(&w.a, ms);
    page_advance(&w.b, ms);
}

static bool in_log(const char *value) {
    char quoted[32];
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", value);
    for (size_t i = 0; i < w.m.now.op_count; i++) {
        if (strstr(w.m.now.ops[i].raw, quoted) != NULL) return true;
    }
    tm_span dead;
    T_OK(tm_engine_dead(w.a.engine, &dead));
    for (size_t i = 0; i + strlen(quoted) <= dead.len; i++) {
        if (memcmp(dead.ptr + i, quoted, strlen(quoted)) == 0) return true;
    }
    return false;
}

// What was overwritten before the server is restored need not come back; its last is.
static void forget_overwritten(void) {
    size_t count = 0;
    for (size_t i = 0; i < w.count; i++) {
        bool last = strcmp(w.kept[i], "six") == 0;
        if (last || !in_log(w.kept[i])) memmove(w.kept[count++], w.kept[i], 16);
    }
    w.count = count;
}

bool life_step(size_t n) {
    page *a = &w.a, *b = &w.b;
    switch (n) {
    case 0:
        life_edit(a, ADD("x"), "i-x");
        break;
    case 1:
        life_edit(a, SET("x", "one"), "one");
        break;
    case 2:
        page_push(a, FAULT_NONE);
        break;
    case 3:
        life_edit(a, SET("x", "two"), "two");
        break;
    case 4:
        page_push(a, FAULT_RESPONSE); // accepted, and nobody here knows
        break;
    case 5:
        page_pull(b);
        life_edit(b, ADD("y"), "i-y");
        life_edit(b, SET("x", "b1"), "b1");
        page_push(b, FAULT_NONE);
        break;
    case 6:
        page_pull(a);
        break;
    case 7:
        batch(a);
        break;
    case 8:
        w.m.accept_first = 1;
        page_push(a, FAULT_NONE);
        break;
    case 9:
        life_edit(a, SET("z", "four"), "four");
        w.m.reject = 2;
        page_push(a, FAULT_NONE); // one becomes a dead letter
        break;
    case 10: // the writer's numbers are used up: it gets another name
        for (size_t i = 0; i < w.m.now.writer_count; i++) {
            w.m.now.writers[i].version += 10;
        }
        life_edit(a, SET("z", "five"), "five");
        page_push(a, FAULT_NONE);
        page_push(a, FAULT_NONE);
        break;
    case 11:
        life_time(20000);
        page_pull(a);
        break;
    case 12:
        model_compact(&w.m);
        life_edit(b, SET("z", "b2"), "b2");
        page_pull(b);
        page_push(b, FAULT_NONE);
        page_push(b, FAULT_NONE);
        page_pull(a);
        break;
    case 13:
        model_backup(&w.m);
        life_edit(a, SET("z", "six"), "six");
        break;
    case 14:
        page_push(a, FAULT_NONE);
        page_pull(a);
        break;
    case 15: // what came after the backup is offered
        forget_overwritten();
        model_restore(&w.m);
        page_pull(a);
        page_push(a, FAULT_NONE);
        page_pull(a);
        break;
    default:
        return false;
    }
    return true;
}

void life_restart(void) {
    w.sa.cut_at = 0;
    page_start(&w.a, &w.sa, &w.m, "b-new");
    life_meet();
}

void life_meet(void) {
    for (size_t i = 0; i < 5; i++) {
        life_time(20000);
        page_push(&w.a, FAULT_NONE);
        page_pull(&w.a);
        page_push(&w.b, FAULT_NONE);
        page_pull(&w.b);
    }
    T_EQ(page_status(&w.a, "pending"), 0);
    T_EQ(page_status(&w.a, "offered"), 0);
    T_TRUE(page_equals_server(&w.a));
    T_TRUE(page_equals_server(&w.b));
}

void life_expect_kept(void) {
    for (size_t i = 0; i < w.count; i++) {
        if (in_log(w.kept[i])) continue;
        print_error("# \"%s\" was kept and is lost\n", w.kept[i]);
        T_TRUE(false);
    }
}
