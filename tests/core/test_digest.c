// digest.h: the vectors, sums that know no order, and that parts which differ a little
// have numbers which differ a lot.
#include "t.h"
#include "core/digest.h"
#include "core/sort.h"
#include "help.h"

// ---- vectors ------------------------------------------------------------------------

#define WORDS_MAX 8

static size_t words_split(tm_span line, tm_span *words) {
    size_t count = 0;
    for (size_t at = 0; at < line.len;) {
        size_t end = at;
        while (end < line.len && line.ptr[end] != ' ') {
            end++;
        }
        T_TRUE(count < WORDS_MAX);
        words[count++] = (tm_span){line.ptr + at, end - at};
        at = end + 1;
    }
    return count;
}

static uint8_t digit_of(uint8_t c) {
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static tm_span bytes_of(tm_arena *arena, tm_span word) {
    if (tm_span_cmp(word, t_str("null")) == 0) return (tm_span){NULL, 0};
    if (tm_span_cmp(word, t_str("-")) == 0) word.len = 0;
    uint8_t *bytes = tm_arena_get(arena, word.len / 2);
    assert_non_null(bytes);
    for (size_t i = 0; i < word.len / 2; i++) {
        uint8_t high = digit_of(word.ptr[2 * i]),
                low = digit_of(word.ptr[2 * i + 1]);
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return (tm_span){bytes, word.len / 2};
}

static uint64_t number_of(tm_span word) {
    uint64_t number = 0;
    for (size_t i = 0; i < word.len; i++) {
        number = number * 10 + (uint64_t)(word.ptr[i] - '0');
    }
    return number;
}

static void line_check(tm_arena *arena, tm_span line) {
    tm_span words[WORDS_MAX];
    size_t count = words_split(line, words);
    tm_digest digest;
    if (count == 8) {
        tm_reg reg = {.at = {.time = number_of(words[3]),
                             .version = number_of(words[4]),
                             .browser = bytes_of(arena, words[5])},
                      .value = bytes_of(arena, words[6])};
        digest = tm_digest_reg(bytes_of(arena, words[1]), bytes_of(arena, words[2]),
                               &reg);
    } else {
        T_EQ(count, 3);
        digest = tm_digest_dead(bytes_of(arena, words[1]));
    }
    uint8_t hex[32];
    tm_digest_hex(digest, hex);
    T_SPAN(((tm_span){hex, 32}), words[count - 1]);
}

static void test_vectors(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    tm_span text = file_read(&arena, "tests/vectors/digest.txt");
    size_t lines = 0;
    for (size_t at = 0; at < text.len;) {
        size_t end = at;
        while (end < text.len && text.ptr[end] != '\n') {
            end++;
        }
        if (text.ptr[at] != '#') {
            static char row[32];
            snprintf(row, sizeof row, "vector %d", (int)++lines);
            t_row = row;
            line_check(&arena, (tm_span){text.ptr + at, end - at});
        }
        at = end + 1;
    }
    T_EQ(lines, 21);
    tm_arena_deinit(&arena);
    T_EQ(memory.live, 0);
}

// ---- sums ---------------------------------------------------------------------------

static void test_sums(void **state) {
    (void)state;
    uint64_t random = 3;
    tm_digest parts[50], sum = {0}, back = {0};
    for (size_t i = 0; i < COUNT(parts); i++) {
        parts[i] = (tm_digest){random_next(&random), random_next(&random)};
        if (i % 5 == 0) parts[i].lo = UINT64_MAX - i; // so that it carries
        tm_digest_add(&sum, parts[i]);
    }
    for (size_t i = COUNT(parts); i-- > 0;) {
        tm_digest_add(&back, parts[i]);
    }
    T_TRUE(sum.lo == back.lo && sum.hi == back.hi);
    for (size_t i = 0; i < COUNT(parts); i++) {
        tm_digest_sub(&sum, parts[(i * 7) % COUNT(parts)]);
    }
    T_TRUE(sum.lo == 0 && sum.hi == 0);

    tm_digest one = {1, 0}, top = {UINT64_MAX, 0};
    tm_digest_add(&top, one);
    T_TRUE(top.lo == 0 && top.hi == 1); // the carry
    tm_digest_sub(&top, one);
    T_TRUE(top.lo == UINT64_MAX && top.hi == 0); // the borrow
    tm_digest zero = {0};
    tm_digest_sub(&zero, one);
    T_TRUE(zero.lo == UINT64_MAX && zero.hi == UINT64_MAX);
}

static void test_hex(void **state) {
    (void)state;
    uint8_t hex[32];
    tm_digest_hex(
        (tm_digest){UINT64_C(0x0123456789abcdef), UINT64_C(0xfedcba9876543210)},
        hex);
    T_SPAN(((tm_span){hex, 32}), t_str("fedcba98765432100123456789abcdef"));
}

// ---- statistics ---------------------------------------------------------------------

#define PARTS 1000000u

static int digest_cmp(const void *a, const void *b) {
    const tm_digest *x = a, *y = b;
    if (x->hi != y->hi) return x->hi < y->hi ? -1 : 1;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

// A million registers, each with a neighbour that differs in one digit or one tick.
static void test_no_collisions(void **state) {
    (void)state;
    tm_digest *digests = malloc(PARTS * sizeof *digests);
    const void **sorted = malloc(PARTS * sizeof *sorted);
    assert_non_null(digests);
    assert_non_null(sorted);
    for (uint32_t i = 0; i < PARTS; i++) {
        char id[16], value[16];
        snprintf(id, sizeof id, "i-%u", (unsigned)(i / 1000));
        snprintf(value, sizeof value, "%u", (unsigned)(i % 10));
        tm_reg reg = {.at = {.time = i / 100 % 10,
                             .version = 1 + i / 10 % 10,
                             .browser = t_str("b")},
                      .value = t_str(value)};
        digests[i] = tm_digest_reg(t_str(id), t_str("photoNumber"), &reg);
        sorted[i] = &digests[i];
    }
    tm_sort(sorted, PARTS, digest_cmp);
    for (uint32_t i = 1; i < PARTS; i++) {
        if (digest_cmp(sorted[i - 1], sorted[i]) >= 0) fail_msg("equal at %u", i);
    }
    // Nor may the halves alone repeat: 64 bits, a million of them, by chance never.
    for (uint32_t i = 0; i < PARTS; i++) {
        digests[i] = (tm_digest){0, digests[i].lo};
    }
    tm_sort(sorted, PARTS, digest_cmp);
    for (uint32_t i = 1; i < PARTS; i++) {
        if (digest_cmp(sorted[i - 1], sorted[i]) >= 0)
            fail_msg("half equal at %u", i);
    }
    free(sorted);
    free(digests);
}

// One bit of the input changes each bit of the output half of the time.
static void test_avalanche(void **state) {
    (void)state;
    enum { ROUNDS = 2000, BITS = 8 * (12 + 5 + 3 + 6 + 8 + 8) };
    static uint64_t flips[128];
    uint64_t random = 11, total = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct {
            uint8_t id[12], name[5], browser[3], value[6], time[8], version[8];
        } in;
        tm_digest digest[2];
        for (size_t i = 0; i < sizeof in; i++) {
            ((uint8_t *)&in)[i] = (uint8_t)random_next(&random);
        }
        size_t bit = random_below(&random, BITS);
        for (int side = 0; side < 2; side++) {
            if (side == 1) ((uint8_t *)&in)[bit / 8] ^= (uint8_t)(1u << bit % 8);
            tm_reg reg = {.at.browser = {in.browser, 3}, .value = {in.value, 6}};
            memcpy(&reg.at.time, in.time, 8);
            memcpy(&reg.at.version, in.version, 8);
            digest[side] =
                tm_digest_reg((tm_span){in.id, 12}, (tm_span){in.name, 5}, &reg);
        }
        for (int i = 0; i < 64; i++) {
            flips[i] += (digest[0].lo ^ digest[1].lo) >> i & 1;
            flips[64 + i] += (digest[0].hi ^ digest[1].hi) >> i & 1;
        }
    }
    for (int i = 0; i < 128; i++) { // 1000 expected, 22 is one deviation
        T_TRUE(flips[i] > ROUNDS / 2 - 150 && flips[i] < ROUNDS / 2 + 150);
        total += flips[i];
    }
    T_TRUE(total > 64 * ROUNDS * 99 / 100 &&
           total < 64 * (uint64_t)ROUNDS * 101 / 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),   cmocka_unit_test(test_sums),
        cmocka_unit_test(test_hex),       cmocka_unit_test(test_no_collisions),
        cmocka_unit_test(test_avalanche),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
