// Every small history, in every order, split in two at every place and joined both ways, and
// with repeats, is one state: the bytes that the model (tests/fuzz/model.h) gives, and one
// digest. SEMANTICS 3: commutative, associative, idempotent, also when stamps tie.
//
// A history is a set of up to K operations out of an alphabet of 44: ADD of 2 items with 2
// images, UPDATE of 2 fields of each with a value or null, DELETE of each, SORT both ways;
// each but DELETE at three stamps, of which two share the time and two the writer. Two
// different values can so carry one stamp, which no honest writer makes and the merge has to
// stand.
//
//   orders [share|whole]
#include "proof.h"

#define OPS 44
#define K   5

static model_op alphabet[OPS];
static tm_op ops[OPS];

typedef struct proof {
    proof_clock clock;
    proof_pool pool;
    tm_alloc alloc;
    uint64_t histories, lists;
    const int *history; // under trial
    int count;
    char want[4096];
    size_t want_len;
    tm_digest digest;
    bool digested;
} proof;

static void alphabet_make(void) {
    static const char *const items[] = {"i", "j"}, *const fields[] = {"d", "p"},
                             *const values[] = {"v", NULL},
                             *const images[] = {"m", "n"},
                             *const sorts[] = {"asc", "desc"};
    const model_stamp stamps[] = {{1, 0, proof_text("a"), 1},
                                  {1, 0, proof_text("b"), 1},
                                  {2, 0, proof_text("a"), 2}};
    size_t n = 0;
    for (size_t s = 0; s < 3; s++) {
        for (size_t k = 0; k < 8; k++) {
            model_op *op = &alphabet[n++];
            *op = (model_op){.type = MODEL_UPDATE,
                             .at = stamps[s],
                             .instance = proof_text(items[k & 1]),
                             .field_count = 1};
            op->fields[0].name = proof_text(fields[k >> 1 & 1]);
            op->fields[0].value = proof_text(values[k >> 2]);
        }
        for (size_t k = 0; k < 4; k++) {
            alphabet[n++] = (model_op){.type = MODEL_ADD,
                                       .at = stamps[s],
                                       .instance = proof_text(items[k & 1]),
                                       .image = proof_text(images[k >> 1])};
        }
        for (size_t k = 0; k < 2; k++) {
            alphabet[n++] = (model_op){
                .type = MODEL_SORT, .at = stamps[s], .sort = proof_text(sorts[k])};
        }
    }
    for (size_t k = 0; k < 2; k++) {
        alphabet[n++] = (model_op){.type = MODEL_DELETE,
                                   .at = stamps[0],
                                   .instance = proof_text(items[k])};
    }
    TM_ASSERT(n == OPS);
    for (size_t i = 0; i < OPS; i++) {
        ops[i] = proof_op(&alphabet[i]);
    }
}

// ---- one way of getting there -----------------------------------------------------------

static tm_list *list_of(proof *p, const int *order, int count) {
    tm_list *list = NULL;
    TM_ASSERT(tm_list_new(&p->alloc, (tm_seed){1, 2}, &list) == TM_OK);
    for (int i = 0; i < count; i++) {
        TM_ASSERT(tm_list_apply(list, &ops[order[i]], NULL) == TM_OK);
    }
    p->lists++;
    return list;
}

static void complain(const proof *p, const char *how, tm_span got) {
    printf("# %s, of\n", how);
    for (int i = 0; i < p->count; i++) {
        proof_say_op(stdout, &alphabet[p->history[i]]);
    }
    printf("# is   %.*s\n# want %s\n", (int)got.len, (const char *)got.ptr,
           p->want);
    tm_panic(__FILE__, __LINE__, "another state, or another digest");
}

static void check(proof *p, const tm_list *list, const char *how) {
    tm_buf out = {.alloc = &p->alloc};
    tm_list_write(list, &out);
    tm_digest digest = tm_list_digest(list);
    if (!p->digested) p->digest = digest;
    p->digested = true;
    if (out.len != p->want_len || memcmp(out.ptr, p->want, out.len) != 0 ||
        digest.lo != p->digest.lo || digest.hi != p->digest.hi) {
        complain(p, how, tm_buf_span(&out));
    }
}

static void join_check(proof *p, const int *order, int at, int count) {
    p->pool.used = 0;
    tm_list *left = list_of(p, order, at);
    tm_list *right = list_of(p, order + at, count - at);
    TM_ASSERT(tm_list_join(left, right) == TM_OK);
    check(p, left, "split, right joined into left");
    left = list_of(p, order, at);
    TM_ASSERT(tm_list_join(right, left) == TM_OK);
    check(p, right, "split, left joined into right");
}

static void order_check(proof *p, const int *order, int count) {
    int twice[2 * K];
    p->pool.used = 0;
    check(p, list_of(p, order, count), "in some order");
    for (int i = 0; i < count; i++) {
        twice[2 * i] = twice[2 * i + 1] = order[i];
    }
    p->pool.used = 0;
    check(p, list_of(p, twice, 2 * count), "each twice");
    memcpy(twice, order, (size_t)count * sizeof *order);
    memcpy(twice + count, order, (size_t)count * sizeof *order);
    p->pool.used = 0;
    check(p, list_of(p, twice, 2 * count), "all of it twice");
    for (int at = 1; at < count; at++) {
        join_check(p, order, at, count);
    }
}

static void orders_check(proof *p, int *order, int done, int count) {
    if (done == count) {
        order_check(p, order, count);
        return;
    }
    for (int i = done; i < count; i++) {
        int was = order[done];
        order[done] = order[i];
        order[i] = was;
        orders_check(p, order, done + 1, count);
        order[i] = order[done];
        order[done] = was;
    }
}

// ---- all histories ----------------------------------------------------------------------

static void history_check(proof *p, const int *history, int count) {
    static model_state state;
    int order[K];
    memset(&state, 0, sizeof state);
    for (int i = 0; i < count; i++) {
        model_apply(&state, &alphabet[history[i]]);
    }
    model_canonical(&state, p->want, sizeof p->want);
    p->want_len = strlen(p->want);
    p->digested = false;
    p->history = history;
    p->count = count;
    memcpy(order, history, (size_t)count * sizeof *order);
    orders_check(p, order, 0, count);
    p->histories++;
}

static uint64_t choose(uint64_t n, uint64_t k) {
    uint64_t all = 1;
    for (uint64_t i = 0; i < k; i++) {
        all = all * (n - i) / (i + 1);
    }
    return all;
}

// Every `step`-th set of `count` operations.
static void sets_check(proof *p, int count, uint64_t step) {
    int at[K] = {0};
    uint64_t number = 0, total = choose(OPS, (uint64_t)count),
             before = p->histories;
    for (int i = 0; i < count; i++) {
        at[i] = i;
    }
    for (;;) {
        if (number++ % step == 0) history_check(p, at, count);
        if (number % 256 == 0) proof_progress(&p->clock, "orders", number, total);
        int i = count - 1;
        while (i >= 0 && at[i] == OPS - count + i) {
            i--;
        }
        if (i < 0) break;
        at[i]++;
        for (i++; i < count; i++) {
            at[i] = at[i - 1] + 1;
        }
    }
    TM_ASSERT(number == total);
    printf("ok - orders: %" PRIu64 " of %" PRIu64 " histories of %d operations\n",
           p->histories - before, total, count);
    (void)fflush(stdout);
}

int main(int argc, char **argv) {
    static proof p;
    proof_begin(&p.clock, argc, argv);
    p.alloc = (tm_alloc){proof_resize, &p.pool};
    alphabet_make();
    for (int count = 1; count <= 3; count++) {
        sets_check(&p, count, 1);
    }
    sets_check(&p, 4, p.clock.whole ? 1 : 13); // primes: no pattern
    sets_check(&p, 5, p.clock.whole ? 29 : 1999);
    printf("# %" PRIu64 " histories, %" PRIu64 " lists, %.1f s\n", p.histories,
           p.lists, proof_since(&p.clock.began));
    return 0;
}
