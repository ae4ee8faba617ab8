// SEMANTICS 3 against golden/merge.json and golden/random-merge.json, as golden/README
// says: every order, everything twice, every split joined in both directions. Each must
// give the same canonical bytes and digest, and the first the expected state.
#include "help.h"
#include "t.h"

#define OPS_MAX  32
#define SHUFFLES 48

typedef struct golden_case {
    tm_op *ops[OPS_MAX];
    size_t count;
    tm_span state, order, tombstones; // JSON
} golden_case;

static tm_span text_of(const char *text) {
    return (tm_span){(const uint8_t *)text, strlen(text)};
}

static bool is(tm_span key, const char *name) {
    return tm_span_cmp(key, text_of(name)) == 0;
}

// The cases' operations have no id: one is made up.
static tm_op *golden_op(tm_arena *arena, tm_span raw, size_t position) {
    tm_buf buf = {.alloc = arena->alloc};
    tm_buf_text(&buf, "{\"id\":\"op-");
    tm_buf_u64(&buf, position);
    tm_buf_text(&buf, "\",");
    tm_buf_put(&buf, (tm_span){raw.ptr + 1, raw.len - 1});
    tm_span copy;
    T_OK(tm_arena_copy(arena, tm_buf_span(&buf), &copy));
    tm_buf_deinit(&buf);
    tm_op *op = op_from(arena, copy);
    T_TEXT(tm_fault_word(op->fault), "");
    return op;
}

static void ops_read(tm_json *in, golden_case *golden) {
    T_OK(tm_json_open(in, TM_JSON_ARRAY));
    while (tm_json_element(in)) {
        tm_span raw;
        T_OK(tm_json_skip(in, &raw));
        T_TRUE(golden->count < OPS_MAX);
        golden->ops[golden->count] = golden_op(in->arena, raw, golden->count);
        golden->count++;
    }
    T_OK(in->status);
}

static void expect_read(tm_json *in, golden_case *golden) {
    tm_span key;
    T_OK(tm_json_open(in, TM_JSON_OBJECT));
    while (tm_json_member(in, &key)) {
        tm_span raw;
        T_OK(tm_json_skip(in, &raw));
        if (is(key, "state")) golden->state = raw;
        if (is(key, "order")) golden->order = raw;
        if (is(key, "tombstones")) golden->tombstones = raw;
    }
    T_OK(in->status);
}

// ---- the expected state -------------------------------------------------------------

static void item_check(tm_json *in, const tm_list *list, tm_span id) {
    const tm_item *item = tm_list_find(list, id);
    T_TRUE(tm_item_live(item));
    size_t members = 0, shown = 0, at = 0;
    for (tm_item_field field; tm_item_next(item, &at, &field);) {
        shown += field.reg.value.ptr != NULL;
    }
    tm_span key, value;
    T_OK(tm_json_open(in, TM_JSON_OBJECT));
    while (tm_json_member(in, &key)) {
        T_OK(tm_json_string(in, &value));
        tm_reg reg = tm_item_reg(item, is(key, "imageId") ? text_of("") : key);
        T_TRUE(reg.value.ptr != NULL);
        T_SPAN(reg.value, value);
        members++;
    }
    T_EQ(shown, members);
}

static void state_check(tm_arena *arena, const tm_list *list, tm_span state) {
    tm_json in;
    tm_span key, id, sort = text_of("asc");
    size_t items = 0;
    tm_json_init(&in, state, 16, arena);
    T_OK(tm_json_open(&in, TM_JSON_OBJECT));
    while (tm_json_member(&in, &key)) {
        if (is(key, "sort")) {
            T_OK(tm_json_string(&in, &sort));
            continue;
        }
        T_TRUE(is(key, "items"));
        T_OK(tm_json_open(&in, TM_JSON_OBJECT));
        while (tm_json_member(&in, &id)) {
            item_check(&in, list, id);
            items++;
        }
    }
    T_OK(tm_json_end(&in));
    T_EQ(tm_list_live(list), items);
    tm_span shown = tm_list_sort(list).value;
    T_SPAN(shown.ptr == NULL ? text_of("asc") : shown, sort);
}

static void order_check(tm_arena *arena, const tm_list *list, tm_span order) {
    if (order.ptr == NULL) return;
    const tm_item *items[OPS_MAX];
    tm_list_order(list, items);
    tm_json in;
    tm_json_init(&in, order, 16, arena);
    T_OK(tm_json_open(&in, TM_JSON_ARRAY));
    size_t at = 0;
    while (tm_json_element(&in)) {
        tm_span id;
        T_OK(tm_json_string(&in, &id));
        T_TRUE(at < tm_list_live(list));
        T_SPAN(tm_item_id(items[at]), id);
        at++;
    }
    T_EQ(tm_list_live(list), at);
}

static void tombstones_check(tm_arena *arena, const tm_list *list, tm_span ids) {
    if (ids.ptr == NULL) return;
    size_t dead = 0, want = 0;
    for (size_t i = 0; i < tm_list_count(list); i++) {
        dead += tm_item_dead(tm_list_at(list, i));
    }
    tm_json in;
    tm_json_init(&in, ids, 16, arena);
    T_OK(tm_json_open(&in, TM_JSON_ARRAY));
    for (; tm_json_element(&in); want++) {
        tm_span id;
        T_OK(tm_json_string(&in, &id));
        const tm_item *item = tm_list_find(list, id);
        T_TRUE(tm_item_dead(item));
    }
    T_EQ(dead, want);
}

// ---- every way there ----------------------------------------------------------------

typedef struct merge_trial {
    const tm_alloc *alloc;
    tm_arena scratch;
    tm_span bytes; // of the first order; null before
    tm_digest digest;
    size_t orders;
} merge_trial;

static tm_list *list_new(const merge_trial *trial) {
    tm_list *list = NULL;
    T_OK(tm_list_new(trial->alloc, HELP_SEED, &list));
    return list;
}

static void same_check(merge_trial *trial, const tm_list *list) {
    T_SPAN(list_bytes(&trial->scratch, list), trial->bytes);
    tm_digest digest = tm_list_digest(list);
    T_EQ(digest.lo, trial->digest.lo);
    T_EQ(digest.hi, trial->digest.hi);
    tm_arena_reset(&trial->scratch);
}

static void apply_all(tm_list *list, tm_op *const *ops, size_t count, int times) {
    for (size_t i = 0; i < count; i++) {
        for (int n = 0; n < times; n++) {
            bool changed;
            T_OK(tm_list_apply(list, ops[i], &changed));
            if (n > 0) T_TRUE(!changed);
        }
    }
}

static void split_try(merge_trial *trial, tm_op *const *ops, size_t count,
                      size_t at) {
    for (int direction = 0; direction < 2; direction++) {
        tm_list *left = list_new(trial), *right = list_new(trial);
        apply_all(left, ops, at, 1);
        apply_all(right, ops + at, count - at, 1);
        tm_list *into = direction == 0 ? left : right;
        T_OK(tm_list_join(into, direction == 0 ? right : left));
        same_check(trial, into);
        T_OK(tm_list_join(into, direction == 0 ? right : left)); // again
        same_check(trial, into);
        tm_list_free(left);
        tm_list_free(right);
    }
}

static void order_try(merge_trial *trial, tm_op *const *ops, size_t count) {
    trial->orders++;
    tm_list *list = list_new(trial);
    apply_all(list, ops, count, 1);
    same_check(trial, list);
    apply_all(list, ops, count, 1); // all of it again
    same_check(trial, list);
    tm_list_free(list);

    list = list_new(trial);
    apply_all(list, ops, count, 2); // each twice
    same_check(trial, list);
    tm_list_free(list);

    for (size_t at = 0; at <= count; at++) {
        split_try(trial, ops, count, at);
    }
}

static void permute(merge_trial *trial, tm_op **ops, size_t count, size_t fixed) {
    if (fixed == count) {
        order_try(trial, ops, count);
        return;
    }
    for (size_t i = fixed; i < count; i++) {
        tm_op *first = ops[fixed];
        ops[fixed] = ops[i];
        ops[i] = first;
        permute(trial, ops, count, fixed + 1);
        ops[i] = ops[fixed];
        ops[fixed] = first;
    }
}

static void shuffle_some(merge_trial *trial, tm_op **ops, size_t count) {
    order_try(trial, ops, count);
    for (size_t i = 0; i < count / 2; i++) {
        tm_op *swap = ops[i];
        ops[i] = ops[count - 1 - i];
        ops[count - 1 - i] = swap;
    }
    order_try(trial, ops, count);
    uint64_t random = 1;
    for (int n = 0; n < SHUFFLES; n++) {
        for (size_t i = count; i > 1; i--) {
            size_t other = random_below(&random, i);
            tm_op *swap = ops[i - 1];
            ops[i - 1] = ops[other];
            ops[other] = swap;
        }
        order_try(trial, ops, count);
    }
}

// What was written reads back as the same state.
static void reread_check(merge_trial *trial) {
    tm_json in;
    tm_list *list = list_new(trial);
    tm_json_init(&in, trial->bytes, TM_DEPTH_MAX, &trial->scratch);
    T_OK(tm_list_read(list, &in));
    T_OK(tm_json_end(&in));
    same_check(trial, list);
    tm_list_free(list);
}

static void case_check(tm_arena *arena, golden_case *golden) {
    merge_trial trial = {.alloc = arena->alloc, .scratch = {.alloc = arena->alloc}};
    tm_list *list = list_new(&trial);
    apply_all(list, golden->ops, golden->count, 1);
    state_check(arena, list, golden->state);
    order_check(arena, list, golden->order);
    tombstones_check(arena, list, golden->tombstones);
    trial.bytes = list_bytes(arena, list);
    trial.digest = tm_list_digest(list);
    T_TRUE(tm_list_size(list) >= trial.bytes.len);
    tm_list_free(list);

    reread_check(&trial);
    if (golden->count <= 6) {
        permute(&trial, golden->ops, golden->count, 0);
    } else {
        shuffle_some(&trial, golden->ops, golden->count);
    }
    T_TRUE(trial.orders > 0);
    tm_arena_deinit(&trial.scratch);
}

static size_t cases_run(tm_arena *arena, tm_json *in) {
    size_t cases = 0;
    T_OK(tm_json_open(in, TM_JSON_ARRAY));
    for (; tm_json_element(in); cases++) {
        golden_case golden = {0};
        tm_span key, text;
        static char name[128];
        T_OK(tm_json_open(in, TM_JSON_OBJECT));
        while (tm_json_member(in, &key)) {
            if (is(key, "ops")) {
                ops_read(in, &golden);
            } else if (is(key, "expect")) {
                expect_read(in, &golden);
            } else if (is(key, "name")) {
                T_OK(tm_json_string(in, &text));
                snprintf(name, sizeof name, "%.*s", (int)text.len,
                         (const char *)text.ptr);
                t_row = name;
            } else {
                T_OK(tm_json_skip(in, NULL));
            }
        }
        case_check(arena, &golden);
    }
    return cases;
}

static void file_run(const char *path, size_t want) {
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    tm_json in;
    tm_span key;
    size_t cases = 0;
    tm_json_init(&in, file_read(&arena, path), 16, &arena);
    T_OK(tm_json_open(&in, TM_JSON_OBJECT));
    while (tm_json_member(&in, &key)) {
        if (is(key, "cases")) {
            cases = cases_run(&arena, &in);
        } else {
            T_OK(tm_json_skip(&in, NULL));
        }
    }
    T_OK(tm_json_end(&in));
    T_EQ(cases, want);
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

static void test_golden_merge(void **state) {
    (void)state;
    file_run("tests/golden/merge.json", 29);
}

static void test_golden_random_merge(void **state) {
    (void)state;
    file_run("tests/golden/random-merge.json", 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_merge),
        cmocka_unit_test(test_golden_random_merge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
