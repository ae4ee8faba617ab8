// Random histories: the list against the naive model, byte for byte and digest by
// digest, after every single operation, in another order, and joined from parts.
#include "help.h"
#include "model.h"
#include "t.h"

#define HISTORIES 150
#define OPS       60

typedef struct words {
    const char *text[8];
    size_t count;
} words;

// Few of each, so that they meet; some of them nasty.
static const words ids = {
    {"a", "b", "__proto__", "\xf0\x9f\x93\xb7", "a\x01\"\\", "c"}, 6};
static const words names = {{"photoNumber", "description", "x", "constructor"}, 4};
static const words writers = {{"w", "w-1", "v", "W~"}, 4};
static const words values = {{"", "12", "13", "a longer description", "\"\n\\",
                              "\x7f",
                              "12345678901234567890123456789012345678901234567890"},
                             7};

static tm_span pick(uint64_t *random, const words *from) {
    return t_str(from->text[random_below(random, from->count)]);
}

static tm_span value_pick(uint64_t *random) {
    return random_below(random, 6) == 0 ? (tm_span){NULL, 0}
                                        : pick(random, &values);
}

// Stamps repeat on purpose: two values under one stamp must join too.
static tm_op *op_random(tm_arena *arena, uint64_t *random) {
    static const tm_op_type types[] = {TM_OP_ADD,    TM_OP_ADD,  TM_OP_UPDATE,
                                       TM_OP_UPDATE, TM_OP_SORT, TM_OP_UPDATE,
                                       TM_OP_UPDATE, TM_OP_ADD,  TM_OP_DELETE};
    tm_op *op = tm_arena_get(arena, sizeof *op);
    assert_non_null(op);
    *op = (tm_op){.type = types[random_below(random, COUNT(types))]};
    op->id = t_str("any");
    op->at.time = (random_below(random, 5) + 1000) << TM_LOGICAL_BITS;
    op->at.time += random_below(random, 2);
    op->at.browser = pick(random, &writers);
    op->at.version = 1 + random_below(random, 3);
    if (op->type == TM_OP_SORT) {
        op->sort = t_str(random_below(random, 2) ? "asc" : "desc");
        return op;
    }
    op->instance_id = pick(random, &ids);
    if (op->type == TM_OP_ADD) op->image_id = pick(random, &ids);
    if (op->type == TM_OP_DELETE) return op;
    size_t first = random_below(random, names.count);
    size_t many = random_below(random, 3) + (op->type == TM_OP_UPDATE);
    for (size_t i = 0; i < many; i++) { // different names
        op->fields[op->field_count++] = (tm_field){
            t_str(names.text[(first + i) % names.count]), value_pick(random)};
    }
    return op;
}

static void same_check(tm_arena *scratch, const tm_list *list, const naive *model) {
    tm_buf want = {.alloc = scratch->alloc};
    model_write(model, &want);
    T_OK(want.status);
    tm_span bytes = list_bytes(scratch, list);
    T_SPAN(bytes, tm_buf_span(&want));
    tm_digest a = tm_list_digest(list), b = model_digest(model);
    T_EQ(a.lo, b.lo);
    T_EQ(a.hi, b.hi);
    T_TRUE(tm_list_size(list) >= bytes.len);
    tm_buf_deinit(&want);
    tm_arena_reset(scratch);
}

static void history_run(const tm_alloc *alloc, uint64_t seed) {
    tm_arena arena = {.alloc = alloc}, scratch = {.alloc = alloc};
    tm_op *ops[OPS];
    static naive model;
    uint64_t random = seed;
    tm_list *list = NULL, *back = NULL, *parts[3] = {NULL};
    model.count = 0;
    T_OK(tm_list_new(alloc, HELP_SEED, &list));
    T_OK(tm_list_new(alloc, (tm_seed){7, 9}, &back)); // the seed must not matter
    for (size_t i = 0; i < COUNT(parts); i++) {
        T_OK(tm_list_new(alloc, HELP_SEED, &parts[i]));
    }
    for (size_t i = 0; i < OPS; i++) {
        ops[i] = op_random(&arena, &random);
        model_apply(&model, ops[i]);
        T_OK(tm_list_apply(list, ops[i], NULL));
        T_OK(tm_list_apply(parts[random_below(&random, 3)], ops[i], NULL));
        same_check(&scratch, list, &model);
    }
    for (size_t i = OPS; i-- > 0;) {
        T_OK(tm_list_apply(back, ops[i], NULL));
    }
    same_check(&scratch, back, &model);
    T_OK(tm_list_join(parts[0], parts[1]));
    T_OK(tm_list_join(parts[2], parts[0]));
    same_check(&scratch, parts[2], &model);
    for (size_t i = 0; i < COUNT(parts); i++) {
        tm_list_free(parts[i]);
    }
    tm_list_free(back);
    tm_list_free(list);
    tm_arena_deinit(&scratch);
    tm_arena_deinit(&arena);
}

static void test_random_histories(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    static char row[32];
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        snprintf(row, sizeof row, "seed %d", (int)seed);
        t_row = row;
        history_run(&alloc, seed);
        T_EQ(memory.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_histories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
