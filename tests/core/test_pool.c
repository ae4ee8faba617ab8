// pool.h: classes, reuse, what is counted, and that what was reserved can be had.
#include "core/pool.h"
#include "help.h"
#include "t.h"

static void test_classes(void **state) {
    (void)state;
    size_t before = 0, classes = 0;
    T_EQ(tm_pool_block(0), 0);
    for (size_t size = 1; size <= 1u << 20; size++) {
        size_t block = tm_pool_block(size);
        T_TRUE(block >= size && block % 8 == 0 && block >= before);
        T_EQ(tm_pool_block(block), block); // a block is of its own class
        T_TRUE(block - size < (size <= 128 ? 8 : size / 4 + 1));
        classes += block != before;
        before = block;
    }
    T_EQ(classes, TM_POOL_CLASSES);
}

static void test_too_large(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_pool pool = {.alloc = &alloc};
    size_t refused = tm_pool_block((1u << 20) + 1);
    T_STATUS(tm_pool_reserve(&pool, refused), TM_E_NOMEM);
    T_STATUS(tm_pool_reserve(&pool, 50 * refused), TM_E_NOMEM);
    T_TRUE(50 * (uint64_t)refused < UINT32_MAX); // no sum of them wraps around
    T_EQ(memory.requests, 0);
}

static void test_reuse(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_pool pool = {.alloc = &alloc};
    T_OK(tm_pool_reserve(&pool, tm_pool_block(100) + tm_pool_block(20)));
    uint8_t *large = tm_pool_get(&pool, 100), *small = tm_pool_get(&pool, 20);
    T_EQ(pool.idle, 0);
    tm_pool_put(&pool, large, 100);
    T_EQ(pool.idle, tm_pool_block(100));
    tm_pool_put(&pool, small, 20);
    T_EQ(pool.idle, tm_pool_block(100) + tm_pool_block(20));
    T_TRUE(tm_pool_get(&pool, 97) == large); // of the same class
    T_TRUE(tm_pool_get(&pool, 24) == small);
    T_EQ(pool.idle, 0);
    assert_non_null(tm_pool_get(&pool, 0));
    tm_pool_put(&pool, tm_pool_get(&pool, 0), 0);
    T_EQ(pool.idle, 0);
    T_EQ(memory.requests, 1);
    tm_pool_deinit(&pool);
    T_EQ(memory.live, 0);
}

#define BLOCKS 400

// Blocks of any size come and go; each is its owner's alone, and with the idle bytes and
// the ends of the chunks they make up all there is.
static void test_random(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_pool pool = {.alloc = &alloc};
    static struct {
        uint8_t *ptr;
        size_t size;
    } blocks[BLOCKS];
    uint64_t random = 9;
    size_t used = 0;
    memset(blocks, 0, sizeof blocks);
    for (int round = 0; round < 20000; round++) {
        size_t at = random_below(&random, BLOCKS);
        uint8_t mark = (uint8_t)at;
        if (blocks[at].ptr != NULL) {
            for (size_t i = 0; i < blocks[at].size; i++) {
                T_EQ(blocks[at].ptr[i], mark);
            }
            tm_pool_put(&pool, blocks[at].ptr, blocks[at].size);
            used -= tm_pool_block(blocks[at].size);
            blocks[at].ptr = NULL;
            continue;
        }
        size_t size =
            1 + random_below(&random, random_below(&random, 3) ? 100 : 5000);
        T_OK(tm_pool_reserve(&pool, tm_pool_block(size)));
        uint8_t *ptr = tm_pool_get(&pool, size);
        T_EQ((uintptr_t)ptr % 8, 0);
        memset(ptr, mark, size);
        blocks[at].ptr = ptr;
        blocks[at].size = size;
        used += tm_pool_block(size);
        size_t known = used + pool.idle + pool.left + pool.rest_left;
        T_TRUE(known <= pool.total &&
               pool.total - known < 1024); // the chunks' heads
        T_EQ(pool.total, memory.bytes);
    }
    tm_pool_deinit(&pool);
    T_EQ(memory.live, 0);
}

static void test_refused(void **state) {
    (void)state;
    t_memory memory = {.fail_at = 2};
    tm_alloc alloc = t_alloc(&memory);
    tm_pool pool = {.alloc = &alloc};
    T_OK(tm_pool_reserve(&pool, 64));
    tm_pool before = pool;
    T_STATUS(tm_pool_reserve(&pool, pool.left + 1), TM_E_NOMEM);
    T_TRUE(memcmp(&before, &pool, sizeof pool) == 0);
    assert_non_null(tm_pool_get(&pool, 64));
    tm_pool_deinit(&pool);
    T_EQ(memory.live, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes), cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_reuse),   cmocka_unit_test(test_random),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
