// test_alloc.c - memory that runs out anywhere: whatever was asked for then did not happen
// or happened, nothing that was kept is lost, and all meet as soon as there is memory
// again.
#include "client/life.h"

static void arm(size_t k, bool after) {
    w.a.memory.requests = 0;
    w.a.memory.refused = false;
    w.a.memory.fail_after = after;
    w.a.memory.fail_at = k;
}

static bool disarm(void) {
    w.a.memory.fail_at = 0;
    return w.a.memory.refused;
}

// The k-th request of step n is refused (and all behind it). False: there is none.
static bool step_at(size_t n, size_t k, bool after) {
    life_begin();
    page_start(&w.a, &w.sa, &w.m, "b-a");
    for (size_t i = 0; i < n; i++) {
        T_TRUE(life_step(i));
    }
    arm(k, after);
    T_TRUE(life_step(n));
    bool refused = disarm();
    page_pump(&w.a);
    life_meet();
    life_expect_kept();
    tm_span text; // what was lost for want of memory is said
    T_OK(tm_engine_dead(w.a.engine, &text));
    T_EQ(w.a.damage, 0);
    page_stop(&w.a);
    life_restart(); // and storage has the same
    life_expect_kept();
    T_EQ(w.a.damage, 0);
    page_stop(&w.a);
    life_end();
    return refused;
}

static void test_every_request_of_every_step(void **state) {
    (void)state;
    static char name[48];
    for (size_t n = 0; n < LIFE_STEPS; n++) {
        for (int after = 0; after < 2; after++) {
            size_t k = 1;
            do {
                (void)snprintf(name, sizeof name, "step %zu, request %zu%s", n, k,
                               after ? " and after" : "");
                t_row = name;
            } while (step_at(n, k++, after != 0));
        }
    }
}

// Steps that come while there is little memory: every third request fails.
static void test_little_memory_for_a_life(void **state) {
    (void)state;
    static char name[48];
    for (size_t every = 2; every < 40; every++) {
        (void)snprintf(name, sizeof name, "every %zu requests", every);
        t_row = name;
        life_begin();
        page_start(&w.a, &w.sa, &w.m, "b-a");
        for (size_t n = 0; n < LIFE_STEPS; n++) {
            arm(every, false);
            T_TRUE(life_step(n));
        }
        (void)disarm();
        page_pump(&w.a);
        life_meet();
        life_expect_kept();
        page_stop(&w.a);
        life_end();
    }
}

// ---- a start ------------------------------------------------------------------------

static tm_status load_all(tm_engine *e, tm_place which, const place *from) {
    tm_status status = TM_OK;
    for (size_t i = 0; i < from->count && status == TM_OK; i++) {
        tm_span value = {(const uint8_t *)from->at[i].value, from->at[i].len};
        status = tm_engine_load(e, which, t_str(from->at[i].key), value);
    }
    return status;
}

static tm_status adopt_all(tm_engine *e, tm_now now, const place *from) {
    tm_status status = TM_OK;
    for (size_t i = 0; i < from->count && status == TM_OK; i++) {
        const char *key = from->at[i].key;
        if (strncmp(key, "writer/", 7) != 0) continue;
        status = tm_engine_adopt(e, now, t_str(key + 7));
    }
    return status;
}

static tm_status start(const tm_engine_config *config, tm_engine **e) {
    tm_now now = w.a.now;
    tm_status status = tm_engine_new(config, e);
    if (status != TM_OK) return status;
    status = load_all(*e, TM_PLACE_LOCAL, &w.sa.local);
    if (status == TM_OK) status = load_all(*e, TM_PLACE_DISK, &w.sa.disk);
    if (status == TM_OK) status = adopt_all(*e, now, &w.sa.disk);
    if (status == TM_OK) status = adopt_all(*e, now, &w.sa.local);
    if (status == TM_OK)
        status = tm_engine_start(*e, now, t_str("b-x"), TM_START_DISK);
    return status;
}

// The host gives up on such an engine and makes another.
static void test_a_start(void **state) {
    (void)state;
    static const size_t ends[] = {1, 4, 7, 9, 10, 13, 15};
    static char name[48];
    for (size_t i = 0; i < COUNT(ends); i++) {
        bool refused = true;
        for (size_t k = 1; refused; k++) {
            (void)snprintf(name, sizeof name, "after step %zu, request %zu",
                           ends[i], k);
            t_row = name;
            life_begin();
            page_start(&w.a, &w.sa, &w.m, "b-a");
            for (size_t n = 0; n <= ends[i]; n++) {
                T_TRUE(life_step(n));
                if (n + 1 == ends[i]) w.sa.disk_fails = i % 2 == 0;
            }
            page_stop(&w.a);
            t_memory memory = {.fail_at = k};
            tm_alloc alloc = t_alloc(&memory);
            tm_engine_config config = {
                .alloc = &alloc, .user = t_str("u"), .list = t_str("l")};
            config.manual = true;
            config.seed[0] = 1;
            tm_engine *e = NULL;
            tm_status status = start(&config, &e);
            refused = memory.refused;
            if (!refused) T_OK(status);
            if (status != TM_OK) T_STATUS(status, TM_E_NOMEM);
            tm_engine_free(e);
            T_EQ(memory.live, 0);
            if (k == 1) { // it changed nothing
                w.sa.disk_fails = false;
                life_restart();
                life_expect_kept();
                page_stop(&w.a);
            }
            life_end();
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_request_of_every_step),
        cmocka_unit_test(test_little_memory_for_a_life),
        cmocka_unit_test(test_a_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
