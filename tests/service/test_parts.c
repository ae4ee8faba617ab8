// The parts of the service by themselves: the book of writers, timers, queries, the ring
// of effects, marks, tails.
#include "rig.h"

#include "service/book.h"
#include "service/effect.h"
#include "service/mark.h"
#include "service/query.h"
#include "service/tail.h"
#include "service/timer.h"

// ---- the book -----------------------------------------------------------------------

static tm_decision decision_of(const char *id, uint64_t seq) {
    return (tm_decision){tm_id_hash_of(t_str(id)), seq, seq << 16};
}

static void put(tm_book *book, const char *browser, uint64_t version,
                const char *id, uint64_t seq) {
    tm_writer *writer = tm_book_writer(book, t_str(browser));
    if (writer == NULL) T_OK(tm_book_writer_add(book, t_str(browser), &writer));
    T_OK(tm_book_reserve(book, writer, version, 0));
    tm_decision decision = decision_of(id, seq);
    tm_book_put(book, writer, version, &decision);
}

static uint64_t found(const tm_book *book, const char *id) {
    const tm_decision *decision = tm_book_find(book, tm_id_hash_of(t_str(id)));
    return decision == NULL ? 0 : decision->seq;
}

static void test_book_ring(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_book book;
    tm_book_init(&book, &alloc, (tm_seed){3, 4});
    // Three writers in turn: each id is known for a hundred versions of its own writer.
    uint64_t seq = 0;
    for (uint64_t v = 1; v <= 350; v++) {
        for (int b = 0; b < 3; b++) {
            const char *browser = rig_format("b%d", b);
            put(&book, browser, v, rig_format("%d-%" PRIu64, b, v), ++seq);
        }
        for (uint64_t w = v > 103 ? v - 103 : 1; w <= v + 1; w++) {
            uint64_t want = w > v || v - w >= 100 ? 0 : 3 * (w - 1) + 2;
            T_EQ(found(&book, rig_format("1-%" PRIu64, w)), want);
        }
    }
    T_EQ(book.index_count, 300);
    T_EQ(book.clock.time, seq << 16);
    const tm_writer *writer = tm_book_writer(&book, t_str("b2"));
    T_EQ(writer->version, 350);
    T_TRUE(tm_book_at(writer, 250) == NULL);
    T_TRUE(tm_book_at(writer, 251) != NULL);
    T_TRUE(tm_book_at(writer, 351) == NULL);
    T_TRUE(tm_book_at(writer, 0) == NULL);
    tm_book_deinit(&book);
    T_EQ(memory.live, 0);
}

// Versions that were jumped over are not remembered, and not mistaken for older ones.
static void test_book_holes(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_book book;
    tm_book_init(&book, &alloc, (tm_seed){3, 4});
    for (uint64_t v = 1; v <= 100; v++) {
        put(&book, "b", v, rig_format("%" PRIu64, v), v);
    }
    put(&book, "b", 151, "151", 151);
    const tm_writer *writer = tm_book_writer(&book, t_str("b"));
    for (uint64_t v = 101; v <= 150; v++) {
        T_TRUE(tm_book_at(writer, v) == NULL);
    }
    T_EQ(found(&book, "51"), 0); // its slot was jumped over or used
    T_EQ(found(&book, "52"), 52);
    put(&book, "b", 120, "120", 120); // what rode along later
    T_EQ(found(&book, "120"), 120);
    T_EQ(writer->version, 151);
    put(&book, "b", 40, "40 again", 9); // long past
    T_EQ(found(&book, "40 again"), 0);
    put(&book, "b", 5000, "5000", 5000);
    T_EQ(book.index_count, 1);
    tm_book_deinit(&book);
    T_EQ(memory.live, 0);
}

static void test_book_draft(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_book book;
    tm_book_init(&book, &alloc, (tm_seed){3, 4});
    put(&book, "b", 1, "1", 1);
    tm_writer *writer = tm_book_writer(&book, t_str("b")), *fresh;
    tm_book_draft(&book);
    T_EQ(tm_book_draft_version(&book, writer), 1);
    tm_book_draft_set(&book, writer, 5, (tm_clock){77});
    T_EQ(tm_book_draft_version(&book, writer), 5);
    T_EQ(tm_book_draft_last(&book, writer).time, 77);
    T_EQ(writer->version, 1);
    T_OK(tm_book_writer_add(&book, t_str("new"), &fresh));
    tm_arena arena = {.alloc = &alloc};
    tm_buf out = {.alloc = &alloc};
    T_OK(tm_book_write_vector(&book, &arena, &out));
    T_SPAN(tm_buf_span(&out), t_str("{\"b\":1}")); // the draft is nobody's business
    tm_book_writer_drop(&book, fresh);
    T_TRUE(tm_book_writer(&book, t_str("new")) == NULL);
    tm_book_draft(&book); // the last one never was
    T_EQ(tm_book_draft_version(&book, writer), 1);
    T_EQ(tm_book_draft_last(&book, writer).time, 1 << 16);
    tm_buf_deinit(&out);
    tm_arena_deinit(&arena);
    tm_book_deinit(&book);
    T_EQ(memory.live, 0);
}

// ---- timers -------------------------------------------------------------------------

static void test_timers(void **state) {
    (void)state;
    enum { COUNT_OF = 300 };
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_timers timers = {.alloc = &alloc};
    static tm_timer all[COUNT_OF];
    uint64_t random = 5;
    memset(all, 0, sizeof all);
    T_EQ(tm_timers_deadline(&timers), UINT64_MAX);
    for (int i = 0; i < COUNT_OF; i++) {
        T_OK(tm_timers_reserve(&timers));
    }
    for (int round = 0; round < 5000; round++) {
        tm_timer *timer = &all[rig_random(&random) % COUNT_OF];
        uint64_t at = rig_random(&random) % 1000;
        if (at > 900) at = UINT64_MAX;
        if (round % 3 == 0) {
            bool set = timer->place != 0;
            uint64_t before = timer->at;
            tm_timer_hasten(&timers, timer, at);
            if (set) T_EQ(timer->at, at < before ? at : before);
        } else {
            tm_timer_set(&timers, timer, at);
        }
        uint64_t least = UINT64_MAX;
        for (int i = 0; i < COUNT_OF; i++) {
            if (all[i].place != 0 && all[i].at < least) least = all[i].at;
        }
        T_EQ(tm_timers_deadline(&timers), least);
    }
    uint64_t last = 0;
    T_TRUE(tm_timers_due(&timers, 0) == NULL || tm_timers_deadline(&timers) == 0);
    for (tm_timer *timer; (timer = tm_timers_due(&timers, 1000)) != NULL;) {
        T_TRUE(timer->at >= last && timer->place == 0);
        last = timer->at;
    }
    T_EQ(timers.count, 0);
    for (int i = 0; i < COUNT_OF; i++) {
        tm_timers_release(&timers, &all[i]);
    }
    tm_timers_deinit(&timers);
    T_EQ(memory.live, 0);
}

// ---- queries ------------------------------------------------------------------------

static const struct {
    const char *text, *pairs; // NULL: refused
} queries[] = {
    {"", ""},
    {"a=1", "a:1;"},
    {"a=1&b=2", "a:1;b:2;"},
    {"&&a=1&", "a:1;"},
    {"a", "a:;"},
    {"a=", "a:;"},
    {"=a", ":a;"},
    {"a=b=c", "a:b=c;"},
    {"a=%41%62+c", "a:Ab c;"},
    {"%61=%e2%82%ac", "a:\xe2\x82\xac;"},
    {"a=%2541", "a:%41;"}, // once
    {"a=%4", NULL},
    {"a=%", NULL},
    {"a=%g1", NULL},
    {"a=%1g", NULL},
    {"a=1&b=%", NULL},
    {"a=\xff", NULL},
    {"a=%c0%af", NULL},
    {"a=%ed%a0%80", NULL},
};

static void test_queries(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    for (size_t i = 0; i < COUNT(queries); i++) {
        t_row = queries[i].text;
        tm_arena arena = {.alloc = &alloc};
        tm_query query;
        tm_span key, value;
        char pairs[200] = "";
        tm_query_init(&query, t_str(queries[i].text), &arena);
        while (tm_query_next(&query, &key, &value)) {
            size_t len = strlen(pairs);
            snprintf(pairs + len, sizeof pairs - len, "%.*s:%.*s;", (int)key.len,
                     (const char *)key.ptr, (int)value.len,
                     (const char *)value.ptr);
        }
        T_EQ(query.reason != NULL, queries[i].pairs == NULL);
        if (queries[i].pairs != NULL) T_TEXT(t_str(pairs), queries[i].pairs);
        tm_arena_deinit(&arena);
    }
    t_row = "";
    T_EQ(memory.live, 0);
}

static const struct {
    const char *text;
    uint64_t max, value;
    bool good;
} numbers[] = {
    {"0", 9, 0, true},
    {"7", 9, 7, true},
    {"10", 9, 0, false},
    {"", 9, 0, false},
    {"00", 9, 0, false},
    {"a", 99, 0, false},
    {" 1", 99, 0, false},
    {"1 ", 99, 0, false},
    {"18446744073709551615", UINT64_MAX, UINT64_MAX, true},
    {"18446744073709551616", UINT64_MAX, 0, false},
    {"99999999999999999999999", UINT64_MAX, 0, false},
};

static void test_numbers(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        t_row = numbers[i].text;
        tm_query query = {.reason = NULL};
        T_EQ(tm_query_u64(&query, t_str(numbers[i].text), numbers[i].max),
             numbers[i].value);
        T_EQ(query.reason == NULL, numbers[i].good);
    }
    t_row = "";
}

// ---- effects ------------------------------------------------------------------------

static void test_effects(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_effects effects;
    T_OK(tm_effects_init(&effects, &alloc));
    uint64_t random = 9, put_in = 0, taken = 0;
    for (int round = 0; round < 3000; round++) {
        tm_effect_slot slot = {.ticket = put_in};
        switch (rig_random(&random) % 4) {
        case 0:
            T_OK(tm_effects_reserve(&effects));
            break;
        case 1:
            if (effects.reserved == 0) break;
            tm_effects_owed(&effects, &slot);
            put_in++;
            break;
        case 2:
            T_OK(tm_effects_send(&effects, &slot));
            put_in++;
            break;
        default:
            if (!tm_effects_take(&effects, &slot)) break;
            T_EQ(slot.ticket, taken);
            taken++;
        }
        T_EQ(effects.count, put_in - taken);
    }
    // Without memory: what was reserved still has its place, and so have the spares.
    memory.fail_at = memory.requests + 1;
    memory.fail_after = true;
    tm_effect_slot slot = {.ticket = 0};
    while (tm_effects_send(&effects, &slot) == TM_OK) {
    }
    T_STATUS(tm_effects_reserve(&effects), TM_E_NOMEM);
    while (effects.reserved > 0) {
        tm_effects_owed(&effects, &slot);
    }
    for (unsigned i = 0; i < TM_EFFECT_SPARES; i++) {
        T_TRUE(tm_effects_spare(&effects, &slot));
    }
    T_TRUE(!tm_effects_spare(&effects, &slot));
    while (tm_effects_take(&effects, &slot)) {
    }
    T_EQ(effects.spares, TM_EFFECT_SPARES);
    tm_effects_deinit(&effects);
    T_EQ(memory.live, 0);
}

// ---- marks --------------------------------------------------------------------------

static void test_marks(void **state) {
    (void)state;
    // (head -c 32 /dev/zero; printf '[]') | sha256sum
    static const char want[] =
        "11066a7cd1cd81d890388c29c923c2e87817c887beff571550a653c9a574afb3";
    tm_marker marker = {NULL, NULL};
    T_OK(tm_marker_init(&marker));
    uint8_t mark[TM_MARK_LEN] = {0}, again[TM_MARK_LEN], hex[TM_MARK_HEX];
    T_OK(tm_mark_next(&marker, mark, t_str("[]"), mark));
    tm_mark_hex(mark, hex);
    T_SPAN(((tm_span){hex, sizeof hex}), t_str(want));
    T_TRUE(tm_mark_read((tm_span){hex, sizeof hex}, again));
    T_EQ(memcmp(mark, again, sizeof mark), 0);
    static const char *const bad[] = {
        "",
        "0",
        "0000000000000000000000000000000000000000000000000000000000000000 ",
        "000000000000000000000000000000000000000000000000000000000000000",
        "A000000000000000000000000000000000000000000000000000000000000000",
        "g000000000000000000000000000000000000000000000000000000000000000",
        "00000000000000000000000000000000000000000000000000000000000000 0"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        t_row = bad[i];
        T_TRUE(!tm_mark_read(t_str(bad[i]), again));
        T_EQ(memcmp(mark, again, sizeof mark), 0);
    }
    t_row = "";
    tm_marker_deinit(&marker);
    tm_marker_deinit(&marker);
    tm_marker_deinit(NULL);
}

// ---- tails --------------------------------------------------------------------------

static tm_block *block_of(const tm_alloc *alloc, uint64_t first, uint64_t last) {
    static const uint32_t ends[] = {2, 4, 6};
    uint32_t count = (uint32_t)(last - first + 1);
    tm_block *block =
        tm_block_new(alloc, (tm_span){(const uint8_t *)"[1,2,3]", 2u * count + 1},
                     t_str("[]"), ends, count);
    block->batch.first_seq = first;
    block->batch.last_seq = last;
    memset(block->batch.mark, (int)last, TM_MARK_LEN);
    return block;
}

static void test_tail(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_tail tail = {NULL, NULL, 0, 0, {0}};
    static const struct {
        uint64_t since, first; // of the block found, 0 = none
        int mark;              // 0 = none ends there
    } finds[] = {{0, 1, 0}, {1, 1, 0}, {2, 3, 2}, {3, 3, 0},
                 {4, 3, 0}, {5, 6, 5}, {6, 0, 6}};
    tm_tail_add(&tail, block_of(&alloc, 1, 2));
    tm_tail_add(&tail, block_of(&alloc, 3, 5));
    tm_tail_add(&tail, block_of(&alloc, 6, 6));
    const uint8_t *mark;
    for (size_t i = 0; i < COUNT(finds); i++) {
        const tm_block *block = tm_tail_find(&tail, finds[i].since, &mark);
        T_EQ(block == NULL ? 0 : block->batch.first_seq, finds[i].first);
        if (finds[i].since > 0) T_EQ(mark == NULL ? 0 : mark[0], finds[i].mark);
    }
    T_SPAN(tm_block_op(tail.first->next, 0), t_str("1"));
    T_SPAN(tm_block_op(tail.first->next, 2), t_str("3"));
    size_t last = tail.last->size;
    tm_tail_trim(&tail, &alloc, last + tail.first->next->size);
    T_EQ(tail.base_seq, 2);
    T_EQ(tail.base_mark[0], 2);
    T_TRUE(tm_tail_find(&tail, 2, &mark) == tail.first && mark[0] == 2);
    tm_tail_trim(&tail, &alloc, last - 1);
    T_TRUE(tail.first == NULL && tail.last == NULL);
    T_EQ(tail.base_seq, 6);
    T_TRUE(tm_tail_find(&tail, 6, &mark) == NULL && mark[0] == 6);
    T_EQ(memory.live, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_book_ring),  cmocka_unit_test(test_book_holes),
        cmocka_unit_test(test_book_draft), cmocka_unit_test(test_timers),
        cmocka_unit_test(test_queries),    cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_effects),    cmocka_unit_test(test_marks),
        cmocka_unit_test(test_tail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
