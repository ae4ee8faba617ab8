// table.h: against a plain array of what should be in it, with chosen collisions, and
// with memory refused. vector.h stands on it and is here too.
#include "core/table.h"
#include "core/vector.h"
#include "help.h"
#include "t.h"

// SipHash-1-3 of 00 01 02 ... under the key 00 .. 0f, as other implementations have it.
static const uint64_t hashes[] = {
    UINT64_C(0xabac0158050fc4dc), UINT64_C(0xc9f49bf37d57ca93),
    UINT64_C(0x82cb9b024dc7d44d), UINT64_C(0x8bf80ab8e7ddf7fb)};

static void test_hash_vectors(void **state) {
    (void)state;
    const uint8_t bytes[] = {0, 1, 2, 3};
    tm_seed seed = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    for (size_t i = 0; i < COUNT(hashes); i++) {
        T_TRUE(tm_hash(seed, (tm_span){bytes, i}) == hashes[i]);
    }
    seed.lo++;
    T_TRUE(tm_hash(seed, (tm_span){bytes, 0}) != hashes[0]);
}

static void test_hash_every_length(void **state) {
    (void)state;
    uint8_t bytes[40] = {0};
    for (size_t len = 1; len <= sizeof bytes; len++) {
        uint64_t before = tm_hash(HELP_SEED, (tm_span){bytes, len});
        T_TRUE(before != tm_hash(HELP_SEED, (tm_span){bytes, len - 1}));
        bytes[len - 1] ^= 1; // the last byte counts
        T_TRUE(before != tm_hash(HELP_SEED, (tm_span){bytes, len}));
        bytes[len - 1] ^= 1;
    }
}

#define KEYS 300

typedef struct named {
    char text[8];
    bool in;
} named;

static tm_span key_of(const named *name) {
    return t_str(name->text);
}

static void same_check(const tm_table *table, named *all) {
    size_t count = 0, seen = 0, at = 0;
    for (size_t i = 0; i < KEYS; i++) {
        T_TRUE(tm_table_get(table, key_of(&all[i])) ==
               (all[i].in ? &all[i] : NULL));
        count += all[i].in;
    }
    T_EQ(table->count, count);
    for (tm_table_slot *slot; (slot = tm_table_next(table, &at)) != NULL; seen++) {
        T_TRUE(((named *)slot->value)->in);
    }
    T_EQ(seen, count);
}

static void test_table_random(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    static named all[KEYS];
    tm_table table;
    uint64_t random = 5;
    tm_table_init(&table, &alloc, HELP_SEED);
    for (size_t i = 0; i < KEYS; i++) {
        snprintf(all[i].text, sizeof all[i].text, "k%d", (int)i);
        all[i].in = false;
    }
    assert_null(tm_table_remove(&table, key_of(&all[0])));
    for (int step = 0; step < 4000; step++) {
        named *one = &all[random_below(&random, KEYS)];
        bool grows = step % 1000 < 500; // fills up, then empties, again and again
        if (random_below(&random, 10) < (grows ? 8 : 2)) {
            T_OK(tm_table_set(&table, key_of(one), one));
            one->in = true;
        } else {
            T_TRUE(tm_table_remove(&table, key_of(one)) == (one->in ? one : NULL));
            one->in = false;
        }
        if (step % 50 == 0) same_check(&table, all);
    }
    tm_table_deinit(&table);
    tm_table_deinit(NULL);
    T_EQ(memory.live, 0);
}

// Keys that all begin their search at the last slot: probing wraps, removal shifts back.
static void test_table_collisions(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    static named all[KEYS];
    tm_table table;
    size_t count = 0;
    for (unsigned n = 0; count < 5; n++) {
        snprintf(all[count].text, sizeof all[count].text, "%u", n % 1000000);
        if (tm_hash(HELP_SEED, key_of(&all[count])) % 8 == 7) count++;
    }
    for (size_t first = 0; first < count; first++) {
        for (size_t second = 0; second < count; second++) {
            tm_table_init(&table, &alloc, HELP_SEED);
            for (size_t i = 0; i < count; i++) {
                T_OK(tm_table_set(&table, key_of(&all[i]), &all[i]));
                all[i].in = true;
            }
            T_EQ(table.cap, 8);
            size_t gone[] = {first, second};
            for (size_t i = 0; i < 2; i++) {
                named *one = &all[gone[i]];
                T_TRUE(tm_table_remove(&table, key_of(one)) ==
                       (one->in ? one : NULL));
                one->in = false;
            }
            for (size_t i = 0; i < count; i++) {
                T_TRUE(tm_table_get(&table, key_of(&all[i])) ==
                       (all[i].in ? &all[i] : NULL));
            }
            tm_table_deinit(&table);
        }
    }
    T_EQ(memory.live, 0);
}

static void test_table_replaces(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_table table;
    int a = 1, b = 2;
    char key[] = "key", other[] = "key";
    tm_table_init(&table, &alloc, HELP_SEED);
    T_OK(tm_table_set(&table, t_str(key), &a));
    T_OK(tm_table_set(&table, t_str(other), &b));
    T_EQ(table.count, 1);
    key[0] = 'x'; // the first key's bytes are no longer the table's
    T_TRUE(tm_table_get(&table, t_str("key")) == &b);
    tm_table_deinit(&table);
    T_EQ(memory.live, 0);
}

static void test_table_refused(void **state) {
    (void)state;
    int value = 1;
    static char keys[40][4];
    for (size_t k = 1;; k++) {
        t_memory memory = {.fail_at = k};
        tm_alloc alloc = t_alloc(&memory);
        tm_table table;
        tm_table_init(&table, &alloc, HELP_SEED);
        for (size_t i = 0; i < COUNT(keys); i++) {
            snprintf(keys[i], sizeof keys[i], "%d", (int)i);
            tm_status status = tm_table_set(&table, t_str(keys[i]), &value);
            if (status == TM_OK) continue;
            T_STATUS(status, TM_E_NOMEM);
            T_EQ(table.count, i);
            assert_null(tm_table_get(&table, t_str(keys[i])));
            T_OK(tm_table_set(&table, t_str(keys[i]), &value)); // now there is some
        }
        T_EQ(table.count, COUNT(keys));
        tm_status reserved = tm_table_reserve(&table, 500);
        if (reserved != TM_OK) reserved = tm_table_reserve(&table, 500);
        T_OK(reserved);
        bool refused = memory.refused;
        memory.fail_at = memory.requests + 1;
        for (size_t i = 0; i < 500; i++) { // reserved: asks nobody
            static char more[500][8];
            snprintf(more[i], sizeof more[i], "m%d", (int)i);
            T_OK(tm_table_set(&table, t_str(more[i]), &value));
        }
        T_STATUS(tm_table_reserve(&table, SIZE_MAX), TM_E_NOMEM);
        T_STATUS(tm_table_reserve(&table, SIZE_MAX / 4), TM_E_NOMEM);
        tm_table_deinit(&table);
        T_EQ(memory.live, 0);
        if (!refused) break;
    }
}

// ---- vector -------------------------------------------------------------------------

static void test_vector(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_vector vector;
    tm_buf out = {.alloc = &alloc};
    char name[] = "b-b";
    tm_vector_init(&vector, &alloc, HELP_SEED);
    T_EQ(tm_vector_get(&vector, t_str("b-a")), 0);
    tm_vector_write(&vector, &out);
    T_TEXT(tm_buf_span(&out), "{}");
    tm_buf_reset(&out);
    T_OK(tm_vector_set(&vector, t_str(name), 3));
    name[0] = 'x'; // it was copied
    T_OK(tm_vector_set(&vector, t_str("b-a"), 56));
    T_OK(tm_vector_set(&vector, t_str("b"), 9007199254740991));
    T_OK(tm_vector_set(&vector, t_str("b-a"), 57));
    T_EQ(tm_vector_get(&vector, t_str("b-a")), 57);
    T_EQ(tm_vector_get(&vector, t_str("b-b")), 3);
    T_EQ(tm_vector_get(&vector, t_str("x-b")), 0);
    tm_vector_write(&vector, &out);
    T_TEXT(tm_buf_span(&out), "{\"b\":9007199254740991,\"b-a\":57,\"b-b\":3}");
    tm_buf_deinit(&out);
    tm_vector_deinit(&vector);
    tm_vector_deinit(NULL);
    T_EQ(memory.live, 0);
}

static void test_vector_refused(void **state) {
    (void)state;
    for (size_t k = 1;; k++) {
        t_memory memory = {.fail_at = k};
        tm_alloc alloc = t_alloc(&memory);
        tm_vector vector;
        tm_buf out = {.alloc = &alloc};
        tm_vector_init(&vector, &alloc, HELP_SEED);
        for (uint64_t n = 1; n <= 20; n++) {
            char name[8];
            snprintf(name, sizeof name, "b%d", (int)n);
            tm_status status = tm_vector_set(&vector, t_str(name), n);
            T_EQ(tm_vector_get(&vector, t_str(name)), status == TM_OK ? n : 0);
            if (status == TM_OK) continue;
            T_STATUS(status, TM_E_NOMEM);
            T_OK(tm_vector_set(&vector, t_str(name), n));
        }
        tm_vector_write(&vector, &out);
        if (memory.refused && out.status != TM_OK) T_STATUS(out.status, TM_E_NOMEM);
        tm_buf_deinit(&out);
        tm_vector_deinit(&vector);
        T_EQ(memory.live, 0);
        if (!memory.refused) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_vectors),
        cmocka_unit_test(test_hash_every_length),
        cmocka_unit_test(test_table_random),
        cmocka_unit_test(test_table_collisions),
        cmocka_unit_test(test_table_replaces),
        cmocka_unit_test(test_table_refused),
        cmocka_unit_test(test_vector),
        cmocka_unit_test(test_vector_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
