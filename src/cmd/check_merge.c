// check_merge.c - see check_merge.h.
#include "cmd/check_merge.h"

#include "cmd/check_orders.h"
#include "cmd/host.h"

// ---- reading ------------------------------------------------------------------------

// The operation with an id: its own, or one made from its place among the others.
static tm_status op_text(tm_check_merge *merge, const tm_node *node, size_t index,
                         tm_span *text) {
    if (tm_node_get(node, "id") != NULL) {
        *text = node->raw;
        return TM_OK;
    }
    tm_buf out = {.alloc = &tm_host_alloc};
    tm_buf_text(&out, "{\"id\":\"op/");
    tm_buf_u64(&out, index);
    tm_buf_text(&out, "\",");
    tm_buf_put(&out, (tm_span){node->raw.ptr + 1, node->raw.len - 1});
    tm_status status = out.status;
    if (status == TM_OK) {
        status = tm_arena_copy(&merge->arena, tm_buf_span(&out), text);
    }
    tm_buf_deinit(&out);
    return status;
}

static bool op_read(tm_check_merge *merge, const tm_node *node, size_t index) {
    tm_span text;
    tm_op *op = &merge->ops[index];
    if (op_text(merge, node, index, &text) != TM_OK) {
        return tm_check_verdict_fail(merge->verdict, "out of memory");
    }
    tm_json in;
    tm_json_init(&in, text, TM_JSON_DEPTH_MAX, &merge->arena);
    tm_status status = tm_op_read(&in, op);
    if (status == TM_OK) status = tm_json_end(&in);
    if (status != TM_OK) {
        return tm_check_verdict_fail(merge->verdict, "malformed: operation %zu: %s",
                                     index, in.error.reason);
    }
    if (op->fault != TM_FAULT_NONE) {
        tm_span word = tm_fault_word(op->fault);
        return tm_check_verdict_fail(merge->verdict,
                                     "malformed: operation %zu: %.*s", index,
                                     (int)word.len, (const char *)word.ptr);
    }
    return true;
}

static bool ops_read(tm_check_merge *merge, const tm_node *list) {
    merge->count = list->count;
    merge->ops = tm_arena_get(&merge->arena, list->count * sizeof *merge->ops);
    merge->room = tm_arena_get(&merge->arena, list->count * sizeof *merge->room);
    if (merge->ops == NULL || merge->room == NULL) {
        return tm_check_verdict_fail(merge->verdict, "out of memory");
    }
    size_t index = 0;
    for (const tm_node *node = list->first; node != NULL; node = node->next) {
        if (!op_read(merge, node, index++)) return false;
    }
    return true;
}

bool tm_check_merge_init(tm_check_merge *merge, const tm_node *one,
                         tm_check_verdict *verdict) {
    *merge = (tm_check_merge){.verdict = verdict,
                              .name = tm_node_get(one, "name")->text,
                              .arena = {.alloc = &tm_host_alloc},
                              .scratch = {.alloc = &tm_host_alloc},
                              .state = {.alloc = &tm_host_alloc},
                              .order = {.alloc = &tm_host_alloc},
                              .dead = {.alloc = &tm_host_alloc}};
    merge->seed = tm_check_orders_seed(merge->name);
    const tm_node *expect = tm_node_get(one, "expect");
    const tm_node *order = tm_node_get(expect, "order");
    const tm_node *dead = tm_node_get(expect, "tombstones");
    tm_status status = tm_check_shown_case(tm_node_get(expect, "state"),
                                           &merge->arena, &merge->state);
    if (status == TM_OK && order != NULL)
        status = tm_check_ids_case(order, &merge->order);
    if (status == TM_OK && dead != NULL)
        status = tm_check_ids_case(dead, &merge->dead);
    if (status != TM_OK) return tm_check_verdict_fail(verdict, "out of memory");
    return ops_read(merge, tm_node_get(one, "ops"));
}

void tm_check_merge_deinit(tm_check_merge *merge) {
    tm_buf_deinit(&merge->state);
    tm_buf_deinit(&merge->order);
    tm_buf_deinit(&merge->dead);
    tm_arena_deinit(&merge->arena);
    tm_arena_deinit(&merge->scratch);
}

// ---- looking ------------------------------------------------------------------------

void tm_check_merge_seen_init(tm_check_merge_seen *seen) {
    *seen = (tm_check_merge_seen){.bytes = {.alloc = &tm_host_alloc},
                                  .state = {.alloc = &tm_host_alloc},
                                  .order = {.alloc = &tm_host_alloc},
                                  .dead = {.alloc = &tm_host_alloc}};
}

void tm_check_merge_seen_deinit(tm_check_merge_seen *seen) {
    tm_buf_deinit(&seen->bytes);
    tm_buf_deinit(&seen->state);
    tm_buf_deinit(&seen->order);
    tm_buf_deinit(&seen->dead);
}

tm_status tm_check_merge_look(tm_check_merge *merge, const tm_list *list,
                              tm_check_merge_seen *seen) {
    tm_buf_reset(&seen->bytes);
    tm_buf_reset(&seen->state);
    tm_buf_reset(&seen->order);
    tm_buf_reset(&seen->dead);
    tm_list_write(list, &seen->bytes);
    tm_digest_hex(tm_list_digest(list), seen->digest);
    tm_status status = seen->bytes.status;
    if (status == TM_OK)
        status = tm_check_shown_list(list, &merge->scratch, &seen->state);
    if (status == TM_OK)
        status = tm_check_ids_order(list, &merge->scratch, &seen->order);
    if (status == TM_OK)
        status = tm_check_ids_dead(list, &merge->scratch, &seen->dead);
    return status;
}

bool tm_check_merge_compare(tm_check_merge *merge, const tm_check_merge_seen *first,
                            const tm_check_merge_seen *seen, const char *way) {
    tm_check_verdict *verdict = merge->verdict;
    bool same =
        tm_check_verdict_compare(verdict, tm_buf_span(&merge->state),
                                 tm_buf_span(&seen->state), "%s: state", way);
    if (merge->order.len > 0) {
        same = same && tm_check_verdict_compare(verdict, tm_buf_span(&merge->order),
                                                tm_buf_span(&seen->order),
                                                "%s: order", way);
    }
    if (merge->dead.len > 0) {
        same = same && tm_check_verdict_compare(verdict, tm_buf_span(&merge->dead),
                                                tm_buf_span(&seen->dead),
                                                "%s: tombstones", way);
    }
    if (first == NULL) return same;
    same = same && tm_check_verdict_compare(verdict, tm_buf_span(&first->bytes),
                                            tm_buf_span(&seen->bytes),
                                            "%s: canonical bytes", way);
    return same &&
           tm_check_verdict_compare(
               verdict, (tm_span){first->digest, sizeof first->digest},
               (tm_span){seen->digest, sizeof seen->digest}, "%s: digest", way);
}

void tm_check_merge_way(const tm_check_merge *merge, const uint32_t *order,
                        size_t cut, const char *how, char way[160]) {
    size_t at = (size_t)snprintf(way, 160, "order");
    for (size_t i = 0; i < merge->count && at < 80; i++) {
        at += (size_t)snprintf(way + at, 160 - at, " %u", order[i]);
    }
    if (cut != TM_CHECK_MERGE_WHOLE) {
        at += (size_t)snprintf(way + at, 160 - at, ", cut after %zu", cut);
    }
    (void)snprintf(way + at, 160 - at, ", %s", how);
}

// ---- natively -----------------------------------------------------------------------

typedef struct native {
    tm_check_merge *merge;
    tm_check_merge_seen first, seen;
    bool known; // `first` was filled
} native;

// A list of operations from..before of an order, each `times` in a row. NULL = no memory.
static tm_list *list_make(native *run, const uint32_t *order, size_t from,
                          size_t before, unsigned times) {
    tm_check_merge *merge = run->merge;
    // Another seed each time: no order of a table may show.
    tm_seed seed = {tm_check_orders_random(&merge->seed),
                    tm_check_orders_random(&merge->seed)};
    tm_list *list = NULL;
    if (tm_list_new(&tm_host_alloc, seed, &list) != TM_OK) return NULL;
    for (size_t i = from; i < before; i++) {
        for (unsigned n = 0; n < times; n++) {
            if (tm_list_apply(list, &merge->ops[order[i]], NULL) != TM_OK) {
                tm_list_free(list);
                return NULL;
            }
        }
    }
    return list;
}

// Takes `list`; NULL is a failure.
static bool list_judge(native *run, tm_list *list, const uint32_t *order,
                       size_t cut, const char *how) {
    tm_check_merge *merge = run->merge;
    tm_check_merge_seen *seen = run->known ? &run->seen : &run->first;
    tm_arena_reset(&merge->scratch);
    bool fine = list != NULL && tm_check_merge_look(merge, list, seen) == TM_OK;
    tm_list_free(list);
    if (!fine) return tm_check_verdict_fail(merge->verdict, "out of memory");
    char way[160];
    tm_check_merge_way(merge, order, cut, how, way);
    bool same =
        tm_check_merge_compare(merge, run->known ? &run->first : NULL, seen, way);
    run->known = true;
    return same;
}

static bool twice_judge(native *run, const uint32_t *order) {
    size_t count = run->merge->count;
    tm_list *list = list_make(run, order, 0, count, 2);
    if (!list_judge(run, list, order, TM_CHECK_MERGE_WHOLE, "each twice"))
        return false;
    list = list_make(run, order, 0, count, 1);
    for (size_t i = 0; list != NULL && i < count; i++) {
        if (tm_list_apply(list, &run->merge->ops[order[i]], NULL) != TM_OK) {
            tm_list_free(list);
            list = NULL;
        }
    }
    return list_judge(run, list, order, TM_CHECK_MERGE_WHOLE,
                      "all, then all again");
}

static bool cut_judge(native *run, const uint32_t *order, size_t cut) {
    size_t count = run->merge->count;
    for (int backwards = 0; backwards < 2; backwards++) {
        tm_list *low = list_make(run, order, 0, cut, 1);
        tm_list *high = list_make(run, order, cut, count, 1);
        tm_list *into = backwards ? high : low, *from = backwards ? low : high;
        bool joined =
            low != NULL && high != NULL && tm_list_join(into, from) == TM_OK;
        tm_list_free(from);
        if (!joined) {
            tm_list_free(into);
            into = NULL;
        }
        const char *how = backwards ? "first part joined into the second"
                                    : "second part joined into the first";
        if (!list_judge(run, into, order, cut, how)) return false;
    }
    return true;
}

static bool order_judge(void *context, const uint32_t *order) {
    native *run = context;
    size_t count = run->merge->count;
    tm_list *list = list_make(run, order, 0, count, 1);
    if (!list_judge(run, list, order, TM_CHECK_MERGE_WHOLE, "one by one"))
        return false;
    if (!twice_judge(run, order)) return false;
    for (size_t cut = 0; cut <= count; cut++) {
        if (!cut_judge(run, order, cut)) return false;
    }
    return true;
}

bool tm_check_merge_native(tm_check_merge *merge) {
    native run = {.merge = merge};
    tm_check_merge_seen_init(&run.first);
    tm_check_merge_seen_init(&run.seen);
    bool same = tm_check_orders_each(merge->room, merge->count, merge->seed,
                                     order_judge, &run);
    tm_check_merge_seen_deinit(&run.first);
    tm_check_merge_seen_deinit(&run.seen);
    return same;
}
