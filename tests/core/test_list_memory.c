// list.h: memory refused at every request of every change; memory reused, and bounded
// whatever comes.
#include "lists.h"

// ---- memory -------------------------------------------------------------------------

// Each operation, each of its requests refused: the list is as it was, and the same
// operation succeeds afterwards.
static void test_apply_refused(void **state) {
    (void)state;
    size_t refusals = 0;
    for (size_t n = 0; n < COUNT(history); n++) {
        t_row = history[n];
        for (size_t k = 1;; k++) {
            fixture f;
            list_open(&f);
            for (size_t i = 0; i < n; i++) {
                (void)apply(&f, history[i]);
            }
            const tm_op *op = op_from(&f.arena, t_str(history[n]));
            tm_span before = list_bytes(&f.arena, f.list);
            tm_digest digest = tm_list_digest(f.list);
            size_t size = tm_list_size(f.list), live = tm_list_live(f.list);
            size_t unknown = tm_list_unknown_count(f.list);
            bool changed = true;
            f.memory.refused = false;
            f.memory.fail_at = f.memory.requests + k;
            tm_status status = tm_list_apply(f.list, op, &changed);
            bool refused = f.memory.refused;
            f.memory.fail_at = 0;
            if (refused) {
                refusals++;
                T_STATUS(status, TM_E_NOMEM);
                T_TRUE(!changed);
                T_SPAN(list_bytes(&f.arena, f.list), before);
                T_EQ(tm_list_digest(f.list).lo, digest.lo);
                T_EQ(tm_list_size(f.list), size);
                T_EQ(tm_list_live(f.list), live);
                T_EQ(tm_list_unknown_count(f.list), unknown);
                status = tm_list_apply(f.list, op, &changed);
            }
            T_OK(status);
            T_EQ(changed, n != 3);
            T_EQ(tm_list_unknown_count(f.list), n >= 3);
            list_close(&f);
            if (!refused) break;
        }
    }
    T_TRUE(refusals >= 8);
}

// Many items, so that everything has to grow on the way.
static void history_extend(fixture *f) {
    for (uint64_t i = 0; i < 60; i++) {
        char id[16], name[16], browser[16];
        snprintf(id, sizeof id, "n%d", (int)i);
        snprintf(name, sizeof name, "f%d", (int)(i % 9));
        snprintf(browser, sizeof browser, "b%d", (int)(i % 7));
        tm_reg reg = {.at = {i << 16, 1, t_str(browser)}, .value = t_str("value")};
        T_OK(tm_list_join_field(f->list, t_str(id), t_str(name), &reg));
    }
}

static void test_join_refused(void **state) {
    (void)state;
    fixture f;
    list_open(&f);
    history_apply(&f);
    history_extend(&f);
    tm_span want = list_bytes(&f.arena, f.list);
    size_t k = 1;
    for (;; k++) {
        t_memory memory = {.fail_at = k};
        tm_alloc alloc = t_alloc(&memory);
        tm_list *list = NULL;
        tm_status status = tm_list_new(&alloc, HELP_SEED, &list);
        if (status != TM_OK) {
            T_STATUS(status, TM_E_NOMEM);
            assert_null(list);
            T_EQ(memory.live, 0);
            continue;
        }
        status = tm_list_join(list, f.list);
        T_STATUS(status, memory.refused ? TM_E_NOMEM : TM_OK);
        if (memory.refused)
            T_OK(tm_list_join(list, f.list)); // a repeat does no harm
        T_SPAN(list_bytes(&f.arena, list), want);
        T_EQ(tm_list_digest(list).hi, tm_list_digest(f.list).hi);
        T_EQ(tm_list_size(list), tm_list_size(f.list));
        T_EQ(tm_list_unknown_count(list), 1);
        tm_list_free(list);
        T_EQ(memory.live, 0);
        if (!memory.refused) break;
    }
    T_TRUE(k > 10);
    list_close(&f);
}

static void test_write_and_read_refused(void **state) {
    (void)state;
    fixture f;
    list_open(&f);
    history_apply(&f);
    history_extend(&f);
    tm_span want = list_bytes(&f.arena, f.list);
    for (size_t k = 1;; k++) {
        t_memory memory = {.fail_at = k};
        tm_alloc alloc = t_alloc(&memory);
        tm_buf out = {.alloc = &alloc};
        tm_list_write(f.list, &out);
        T_STATUS(out.status, memory.refused ? TM_E_NOMEM : TM_OK);
        tm_buf_deinit(&out);
        T_EQ(memory.live, 0);
        if (!memory.refused) break;
    }
    for (size_t k = 1;; k++) {
        t_memory memory = {0};
        tm_alloc alloc = t_alloc(&memory);
        tm_arena arena = {.alloc = &alloc};
        tm_list *list = NULL;
        tm_json in;
        T_OK(tm_list_new(&alloc, HELP_SEED, &list));
        memory.fail_at = memory.requests + k;
        tm_json_init(&in, want, TM_DEPTH_MAX, &arena);
        tm_status status = tm_list_read(list, &in);
        T_STATUS(status, memory.refused ? TM_E_NOMEM : TM_OK);
        if (!memory.refused) T_SPAN(list_bytes(&f.arena, list), want);
        tm_list_free(list);
        tm_arena_deinit(&arena);
        T_EQ(memory.live, 0);
        if (!memory.refused) break;
    }
    list_close(&f);
}

static void value_put(fixture *f, const char *id, uint64_t time,
                      const char *browser, size_t len) {
    static uint8_t text[TM_VALUE_MAX];
    memset(text, 'v', len);
    tm_reg reg = {.at = {time << 16, 1, t_str(browser)}, .value = {text, len}};
    T_OK(tm_list_join_field(f->list, t_str(id), t_str("x"), &reg));
}

// A value that fits replaces the old one in place; one that does not frees it for others.
static void test_values_reuse_memory(void **state) {
    (void)state;
    fixture f;
    list_open(&f);
    uint64_t time = 1;
    for (size_t len = 0; len <= 40; len++) {
        value_put(&f, "i", time++, "b", len);
    }
    size_t requests = f.memory.requests;
    for (int round = 0; round < 1000; round++) {
        value_put(&f, "i", time++, "b", (size_t)(round % 41));
    }
    T_EQ(f.memory.requests, requests);
    list_close(&f);
}

// Values of ever new lengths and writers of one operation each: neither may add up.
static void test_memory_stays_bounded(void **state) {
    (void)state;
    fixture f, g;
    list_open(&f);
    list_open(&g);
    uint64_t time = 1, random = 1;
    size_t compactions = 0;
    static const char later[] =
        "{\"id\":\"u-1\",\"type\":\"LATER\",\"timestamp\":1," A "\"version\":1}";
    T_TRUE(!apply(&f, later));
    for (int round = 0; round < 30000; round++) {
        char id[16], browser[16];
        snprintf(id, sizeof id, "i%d", (int)random_below(&random, 40));
        snprintf(browser, sizeof browser, "b%d", round);
        size_t bytes = f.memory.bytes;
        value_put(&f, id, time, browser,
                  random_below(&random, 2) * (size_t)round / 10);
        compactions += f.memory.bytes < bytes;
        if (round % 997 == 0 ||
            round == 29999) { // the digest is still that of its content
            T_OK(tm_list_join(g.list, f.list));
            T_EQ(tm_list_digest(g.list).lo, tm_list_digest(f.list).lo);
            T_EQ(tm_list_digest(g.list).hi, tm_list_digest(f.list).hi);
            T_SPAN(list_bytes(&f.arena, g.list), list_bytes(&f.arena, f.list));
            T_TRUE(tm_list_size(f.list) >= list_bytes(&f.arena, f.list).len);
            tm_arena_reset(&f.arena);
        }
        time++;
    }
    T_TRUE(compactions > 3);
    T_EQ(tm_list_unknown_count(f.list), 1);
    T_TEXT(tm_list_unknown(f.list, 0), later);
    size_t size = tm_list_size(f.list);
    T_TRUE(!apply(&f, later)); // known, after all that
    T_EQ(tm_list_size(f.list), size);
    fixture h; // which was never compacted
    list_open(&h);
    T_OK(tm_list_join(h.list, f.list));
    T_EQ(tm_list_size(h.list), size);
    list_close(&h);
    T_TRUE(tm_list_size(f.list) < 40 * 4096 * 2);
    tm_arena_deinit(&f.arena);
    T_TRUE(f.memory.bytes < 1000000);
    list_close(&f);
    list_close(&g);
}

// Browsers that come and go and come back: nothing is allocated, nothing compacted.
static void test_browsers_come_back(void **state) {
    (void)state;
    fixture f;
    list_open(&f);
    static const char *const browsers[] = {"b-1", "b-2", "b-3"};
    uint64_t time = 1;
    for (; time < 100; time++) {
        value_put(&f, "i", time, browsers[time % 3], 5);
    }
    size_t requests = f.memory.requests;
    for (; time < 20000; time++) {
        value_put(&f, "i", time, browsers[time % 3], 5);
    }
    T_EQ(f.memory.requests, requests);
    tm_reg sort = {.at = {1, 1, t_str("b-1")}, .value = t_str("asc")};
    T_OK(tm_list_join_field(f.list, t_str(""), t_str(""), &sort));
    list_close(&f);
}

// A refused compaction changes nothing but the memory in use.
static void test_compaction_refused(void **state) {
    (void)state;
    size_t refused = 0;
    for (size_t k = 1; k < 40; k++) {
        fixture f;
        list_open(&f);
        uint64_t time = 1, random = 1;
        for (int round = 0; round < 3000; round++) {
            char id[16];
            snprintf(id, sizeof id, "i%d", (int)random_below(&random, 40));
            value_put(&f, id, time++, "b", (size_t)round * 4096 / 3000);
        }
        tm_span before = list_bytes(&f.arena, f.list);
        f.memory.refused = false;
        f.memory.fail_at = f.memory.requests + k;
        for (int i = 0; i < 40; i++) { // frees nearly everything
            char id[16];
            snprintf(id, sizeof id, "i%d", i);
            tm_status status = tm_list_join_dead(f.list, t_str(id));
            if (status == TM_E_NOMEM) status = tm_list_join_dead(f.list, t_str(id));
            T_OK(status);
        }
        refused += f.memory.refused;
        f.memory.fail_at = 0;
        T_EQ(tm_list_live(f.list), 0);
        T_TRUE(list_bytes(&f.arena, f.list).len < before.len);
        T_TRUE(tm_list_size(f.list) < 1000);
        list_close(&f);
    }
    T_TRUE(refused > 2);
}

static void test_memory_per_item(void **state) {
    (void)state;
    fixture f;
    list_open(&f);
    size_t before = f.memory.bytes;
    for (uint64_t i = 0; i < 1000; i++) {
        char id[32], value[16];
        snprintf(id, sizeof id, "i-%014d", (int)i);
        snprintf(value, sizeof value, "no %d", (int)i);
        tm_reg reg = {.at = {i << 16, 1, t_str("chrome-abc123")},
                      .value = t_str(value)};
        T_OK(tm_list_join_field(f.list, t_str(id), t_str(""), &reg));
        T_OK(tm_list_join_field(f.list, t_str(id), t_str("photoNumber"), &reg));
        T_OK(tm_list_join_field(f.list, t_str(id), t_str("description"), &reg));
    }
    T_TRUE((f.memory.bytes - before) / 1000 < 170);
    for (uint64_t i = 0; i < 1000; i++) {
        char id[32];
        snprintf(id, sizeof id, "i-%014d", (int)i);
        T_OK(tm_list_join_dead(f.list, t_str(id)));
    }
    T_TRUE((f.memory.bytes - before) / 1000 < 170); // a dead one keeps its id
    list_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apply_refused),
        cmocka_unit_test(test_join_refused),
        cmocka_unit_test(test_write_and_read_refused),
        cmocka_unit_test(test_values_reuse_memory),
        cmocka_unit_test(test_memory_stays_bounded),
        cmocka_unit_test(test_browsers_come_back),
        cmocka_unit_test(test_compaction_refused),
        cmocka_unit_test(test_memory_per_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
