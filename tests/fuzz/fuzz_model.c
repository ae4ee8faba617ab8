// The list against a model written apart from it (model.h). Four bytes of the input are an
// operation over a small alphabet, where stamps tie and texts are prefixes of one another.
// The list is given them in order; backwards; in an order that the input chooses, some of
// them twice; and split in two that are joined both ways; and must give the model's bytes,
// its order, and each time the same digest.
#include <inttypes.h>

#include "core/list.h"
#include "fuzz.h"
#include "model.h"

#define OPS_MAX 48

#define T(text)                                                                    \
    { text, sizeof text - 1 }
static const model_text instances[] = {T("i"), T("i-"), T("i-1"), T("j"), T("I")};
static const model_text images[] = {T("p"), T("p1"), T("q")};
static const model_text names[] = {T("description"), T("photoNumber"), T("A")};
static const model_text browsers[] = {T("b"), T("b-"), T("a"), T("b0")};
static const model_text values[] = {
    T(""), T("v"), {NULL, 0}, T("v1"), T("\303\274")};
static const model_text sorts[] = {T("asc"), T("desc")};

#define PICK(array, n) ((array)[(n) % (sizeof(array) / sizeof(array)[0])])

static model_op op_of(const uint8_t bytes[4]) {
    static const model_type types[] = {MODEL_ADD,    MODEL_UPDATE, MODEL_UPDATE,
                                       MODEL_DELETE, MODEL_SORT,   MODEL_ADD};
    model_op op = {.type = PICK(types, bytes[0] & 7)};
    op.at.timestamp = 5 + (bytes[1] & 3);
    op.at.logical = bytes[1] >> 2 & 1;
    op.at.browser = PICK(browsers, bytes[1] >> 3 & 3);
    op.at.version = 1 + (bytes[1] >> 5 & 1);
    if (op.type == MODEL_SORT) {
        op.sort = PICK(sorts, bytes[2]);
        return op;
    }
    op.instance = PICK(instances, bytes[0] >> 3 & 7);
    if (op.type == MODEL_DELETE) return op;
    if (op.type == MODEL_ADD) op.image = PICK(images, bytes[2] & 3);
    op.field_count = op.type == MODEL_ADD ? bytes[3] & 1 : 1 + (bytes[3] & 1);
    for (size_t i = 0; i < op.field_count; i++) {
        op.fields[i].name = PICK(names, (bytes[2] >> 2) + i);
        op.fields[i].value = PICK(values, (bytes[3] >> 1) + i * (bytes[3] >> 4));
    }
    return op;
}

static tm_span span_of(model_text text) {
    return (tm_span){(const uint8_t *)text.ptr, text.len};
}

static tm_op core_op(const model_op *from) {
    static const tm_op_type types[] = {TM_OP_ADD, TM_OP_DELETE, TM_OP_UPDATE,
                                       TM_OP_SORT};
    tm_op op = {.type = types[from->type],
                .instance_id = span_of(from->instance),
                .image_id = span_of(from->image),
                .sort = span_of(from->sort),
                .field_count = (uint32_t)from->field_count};
    op.id = (tm_span){(const uint8_t *)"o", 1};
    op.at.time = from->at.timestamp << TM_LOGICAL_BITS | from->at.logical;
    op.at.browser = span_of(from->at.browser);
    op.at.version = from->at.version;
    for (size_t i = 0; i < from->field_count; i++) {
        op.fields[i].name = span_of(from->fields[i].name);
        op.fields[i].value = span_of(from->fields[i].value);
    }
    return op;
}

static tm_list *list_make(const tm_alloc *alloc) {
    tm_list *list = NULL;
    TM_ASSERT(tm_list_new(alloc, (tm_seed){1, 2}, &list) == TM_OK);
    return list;
}

typedef struct wanted {
    model_state state;
    char bytes[16384];
    tm_digest digest; // of the first list
    bool known;
} wanted;

static void order_check(const wanted *want, const tm_list *list) {
    size_t order[MODEL_ITEMS], count = model_order(&want->state, order);
    const tm_item *live[MODEL_ITEMS];
    TM_ASSERT(tm_list_live(list) == count);
    tm_list_order(list, live);
    for (size_t i = 0; i < count; i++) {
        const model_item *item = &want->state.items[order[i]];
        if (tm_span_cmp(tm_item_id(live[i]), span_of(item->id)) == 0) continue;
        // Of items with one stamp SEMANTICS 1 says no order, only that they share it.
        tm_stamp at = tm_item_reg(live[i], (tm_span){NULL, 0}).at;
        TM_ASSERT(at.time == (item->add.at.timestamp << TM_LOGICAL_BITS |
                              item->add.at.logical));
        TM_ASSERT(tm_span_cmp(at.browser, span_of(item->add.at.browser)) == 0);
        TM_ASSERT(at.version == item->add.at.version);
    }
}

static void check(wanted *want, const tm_list *list, const tm_alloc *alloc,
                  const char *how) {
    tm_buf out = {.alloc = alloc};
    tm_list_write(list, &out);
    if (out.len != strlen(want->bytes) ||
        memcmp(out.ptr, want->bytes, out.len) != 0) {
        fprintf(stderr, "%s\nlist  %.*s\nmodel %s\n", how, (int)out.len,
                (const char *)out.ptr, want->bytes);
        tm_panic(__FILE__, __LINE__, "the list is not what the model is");
    }
    tm_digest digest = tm_list_digest(list);
    if (!want->known) want->digest = digest;
    want->known = true;
    TM_ASSERT(digest.lo == want->digest.lo && digest.hi == want->digest.hi);
    order_check(want, list);
    tm_buf_deinit(&out);
}

static void apply(tm_list *list, const tm_op *op) {
    TM_ASSERT(tm_list_apply(list, op, NULL) == TM_OK);
}

static void shuffle(size_t *order, size_t count, uint32_t state) {
    for (size_t i = 0; i < count; i++) {
        order[i] = i;
    }
    for (size_t i = count; i > 1; i--) {
        state = state * 1664525u + 1013904223u;
        size_t k = (state >> 8) % i, was = order[i - 1];
        order[i - 1] = order[k];
        order[k] = was;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static model_op plain[OPS_MAX];
    static tm_op ops[OPS_MAX];
    static wanted want;
    tm_alloc alloc = fuzz_alloc();
    if (size < 5) return 0;
    uint8_t choice = data[0];
    size_t count = (size - 1) / 4, order[OPS_MAX];
    if (count > OPS_MAX) count = OPS_MAX;
    memset(&want, 0, sizeof want);
    for (size_t i = 0; i < count; i++) {
        plain[i] = op_of(data + 1 + 4 * i);
        ops[i] = core_op(&plain[i]);
        model_apply(&want.state, &plain[i]);
    }
    model_canonical(&want.state, want.bytes, sizeof want.bytes);

    tm_list *forth = list_make(&alloc), *back = list_make(&alloc);
    tm_list *mixed = list_make(&alloc), *left = list_make(&alloc),
            *right = list_make(&alloc);
    shuffle(order, count, choice * 2654435761u);
    for (size_t i = 0; i < count; i++) {
        apply(forth, &ops[i]);
        apply(back, &ops[count - 1 - i]);
        apply(mixed, &ops[order[i]]);
        if ((order[i] + choice) % 3 == 0) apply(mixed, &ops[order[i / 2]]);
        apply((choice >> (i & 7) & 1) == 1 ? left : right, &ops[order[i]]);
    }
    check(&want, forth, &alloc, "in order");
    check(&want, back, &alloc, "backwards");
    check(&want, mixed, &alloc, "shuffled, some twice");
    tm_list *both = list_make(&alloc);
    TM_ASSERT(tm_list_join(both, right) == TM_OK);
    TM_ASSERT(tm_list_join(both, left) == TM_OK);
    TM_ASSERT(tm_list_join(left, right) == TM_OK);
    check(&want, left, &alloc, "left joined with right");
    check(&want, both, &alloc, "right, then left, into nothing");
    TM_ASSERT(tm_list_join(both, left) == TM_OK);
    check(&want, both, &alloc, "joined again");
    tm_list *all[] = {forth, back, mixed, left, right, both};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        tm_list_free(all[i]);
    }
    return 0;
}
