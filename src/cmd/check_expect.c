// check_expect.c - see check_world.h: what a case expects, against what is there.
#include "cmd/check_world.h"

#include "cmd/host.h"

static const tm_span nothing = {NULL, 0};

// ---- the server's side of an expectation --------------------------------------------

static bool server_read(tm_check_world *world, tm_buf *state, tm_buf *order,
                        tm_buf *bytes, uint64_t *head) {
    const tm_list *list;
    if (!tm_check_server_list(&world->server, tm_check_world_server_now(world),
                              &list, head)) {
        return false;
    }
    tm_arena arena = {.alloc = &tm_host_alloc};
    tm_list *empty = NULL;
    tm_status status = TM_OK;
    if (list == NULL) { // no operation ever came
        status = tm_list_new(&tm_host_alloc, (tm_seed){1, 2}, &empty);
        list = empty;
    }
    if (status == TM_OK) status = tm_check_shown_list(list, &arena, state);
    if (status == TM_OK) status = tm_check_ids_order(list, &arena, order);
    if (status == TM_OK) {
        tm_list_write(list, bytes);
        status = bytes->status;
    }
    tm_list_free(empty);
    tm_arena_deinit(&arena);
    return status == TM_OK ||
           tm_check_verdict_fail(world->verdict, "out of memory");
}

static uint64_t server_ops(const tm_check_world *world, uint64_t head) {
    return head > world->initial_ops ? head - world->initial_ops : 0;
}

// ---- looking at a page --------------------------------------------------------------

#define PAGE(page) (int)(page)->id.len, (const char *)(page)->id.ptr

static bool view_check(tm_check_world *world, tm_check_page *page, tm_span state,
                       tm_span order) {
    tm_buf seen = {.alloc = &tm_host_alloc}, ids = {.alloc = &tm_host_alloc};
    bool same = tm_check_page_shown(world, page, &seen, &ids) &&
                tm_check_verdict_compare(world->verdict, state, tm_buf_span(&seen),
                                         "what %.*s shows", PAGE(page));
    if (order.len > 0) {
        same = same &&
               tm_check_verdict_compare(world->verdict, order, tm_buf_span(&ids),
                                        "the order that %.*s shows", PAGE(page));
    }
    tm_buf_deinit(&seen);
    tm_buf_deinit(&ids);
    return same;
}

// A page's C has the expected state; and where it stands at the server's head, both have
// the same bytes.
static bool confirmed_check(tm_check_world *world, tm_check_page *page,
                            tm_span state, tm_span server_bytes, uint64_t head,
                            uint64_t cursor) {
    tm_buf bytes = {.alloc = &tm_host_alloc}, seen = {.alloc = &tm_host_alloc};
    tm_arena arena = {.alloc = &tm_host_alloc};
    tm_list *list = NULL;
    tm_json in;
    bool same = tm_check_page_confirmed(world, page, &bytes);
    tm_json_init(&in, tm_buf_span(&bytes), TM_JSON_DEPTH_MAX, &arena);
    if (same && (tm_list_new(&tm_host_alloc, (tm_seed){3, 4}, &list) != TM_OK ||
                 tm_list_read(list, &in) != TM_OK || tm_json_end(&in) != TM_OK ||
                 tm_check_shown_list(list, &arena, &seen) != TM_OK)) {
        same = tm_check_verdict_fail(world->verdict,
                                     "the confirmed state of %.*s does not read",
                                     PAGE(page));
    }
    same =
        same &&
        tm_check_verdict_compare(world->verdict, state, tm_buf_span(&seen),
                                 "the confirmed state of %.*s", PAGE(page)) &&
        (cursor != head || tm_check_verdict_compare(
                               world->verdict, server_bytes, tm_buf_span(&bytes),
                               "the confirmed state of %.*s, canonical (expected: "
                               "the server's)",
                               PAGE(page)));
    tm_list_free(list);
    tm_buf_deinit(&bytes);
    tm_buf_deinit(&seen);
    tm_arena_deinit(&arena);
    return same;
}

// ---- expect -------------------------------------------------------------------------

static bool state_text(tm_check_world *world, const tm_node *state, tm_buf *out) {
    return tm_check_shown_case(state, &world->arena, out) == TM_OK ||
           tm_check_verdict_fail(world->verdict, "out of memory");
}

static bool expect_page(tm_check_world *world, const tm_node *step,
                        tm_check_page *page) {
    uint64_t number;
    tm_check_page_status status = {0};
    const tm_node *view = tm_node_get(step, "view");
    if (!page->running) {
        return tm_check_verdict_fail(world->verdict, "malformed: %.*s does not run",
                                     PAGE(page));
    }
    bool same = true;
    if (view != NULL) {
        tm_buf want = {.alloc = &tm_host_alloc};
        same = state_text(world, view, &want) &&
               view_check(world, page, tm_buf_span(&want), nothing);
        tm_buf_deinit(&want);
    }
    same = same && tm_check_page_status_get(world, page, &status);
    if (same && tm_node_u64(tm_node_get(step, "pending"), &number)) {
        same = tm_check_verdict_number(world->verdict, number, status.pending,
                                       "pending operations of %.*s", PAGE(page));
    }
    if (same && tm_node_u64(tm_node_get(step, "deadLetters"), &number)) {
        same = tm_check_verdict_number(world->verdict, number, status.dead,
                                       "dead letters of %.*s", PAGE(page));
    }
    return same;
}

static bool expect_server(tm_check_world *world, const tm_node *step) {
    tm_buf want = {.alloc = &tm_host_alloc}, state = {.alloc = &tm_host_alloc};
    tm_buf order = {.alloc = &tm_host_alloc}, bytes = {.alloc = &tm_host_alloc};
    uint64_t head, number;
    const tm_node *server = tm_node_get(step, "server");
    bool same = server_read(world, &state, &order, &bytes, &head);
    if (same && tm_node_u64(tm_node_get(step, "serverOps"), &number)) {
        same =
            tm_check_verdict_number(world->verdict, number, server_ops(world, head),
                                    "operations in the server's log");
    }
    if (same && server != NULL) {
        same = state_text(world, server, &want) &&
               tm_check_verdict_compare(world->verdict, tm_buf_span(&want),
                                        tm_buf_span(&state), "the server's state");
    }
    tm_buf_deinit(&want);
    tm_buf_deinit(&state);
    tm_buf_deinit(&order);
    tm_buf_deinit(&bytes);
    return same;
}

bool tm_check_expect_step(tm_check_world *world, const tm_node *step,
                          tm_check_page *page) {
    return (page == NULL || expect_page(world, step, page)) &&
           expect_server(world, step);
}

// ---- the end ------------------------------------------------------------------------

typedef struct ending {
    const tm_node *expect;
    tm_buf state, order;                // expected; order empty = not
    tm_buf server, server_order, bytes; // the server's
    uint64_t head;
} ending;

static bool is_excepted(const tm_node *expect, tm_span id) {
    const tm_node *list = tm_node_get(expect, "except");
    const tm_node *one = list == NULL ? NULL : list->first;
    for (; one != NULL; one = one->next) {
        if (tm_span_equal(one->text, id)) return true;
    }
    return false;
}

static const tm_node *member_of(const tm_node *map, tm_span id) {
    const tm_node *one = map == NULL ? NULL : map->first;
    while (one != NULL && !tm_span_equal(one->key, id)) {
        one = one->next;
    }
    return one;
}

// Its queue and its dead letters. `told`: only what the case says of this page.
static bool ending_counts(tm_check_world *world, const ending *end,
                          tm_check_page *page, bool told,
                          tm_check_page_status *status) {
    uint64_t pending = 0, dead = 0;
    bool pending_told = tm_node_u64(
        member_of(tm_node_get(end->expect, "pending"), page->id), &pending);
    bool dead_told = tm_node_u64(
        member_of(tm_node_get(end->expect, "deadLetters"), page->id), &dead);
    return tm_check_page_status_get(world, page, status) &&
           ((told && !pending_told) ||
            tm_check_verdict_number(world->verdict, pending, status->pending,
                                    "pending operations of %.*s", PAGE(page))) &&
           (!dead_told ||
            tm_check_verdict_number(world->verdict, dead, status->dead,
                                    "dead letters of %.*s", PAGE(page)));
}

static bool ending_page(tm_check_world *world, const ending *end,
                        tm_check_page *page) {
    tm_check_page_status status;
    if (is_excepted(end->expect, page->id)) {
        return ending_counts(world, end, page, true, &status);
    }
    return view_check(world, page, tm_buf_span(&end->state),
                      tm_buf_span(&end->order)) &&
           ending_counts(world, end, page, false, &status) &&
           confirmed_check(world, page, tm_buf_span(&end->state),
                           tm_buf_span(&end->bytes), end->head, status.cursor);
}

static bool ending_server(tm_check_world *world, const ending *end) {
    uint64_t number;
    bool same =
        tm_check_verdict_compare(world->verdict, tm_buf_span(&end->state),
                                 tm_buf_span(&end->server), "the server's state");
    if (end->order.len > 0) {
        same = same && tm_check_verdict_compare(
                           world->verdict, tm_buf_span(&end->order),
                           tm_buf_span(&end->server_order), "the server's order");
    }
    if (same && tm_node_u64(tm_node_get(end->expect, "serverOps"), &number)) {
        same = tm_check_verdict_number(world->verdict, number,
                                       server_ops(world, end->head),
                                       "operations in the server's log");
    }
    return same;
}

bool tm_check_expect_ending(tm_check_world *world, const tm_node *expect) {
    ending end = {.expect = expect,
                  .state = {.alloc = &tm_host_alloc},
                  .order = {.alloc = &tm_host_alloc},
                  .server = {.alloc = &tm_host_alloc},
                  .server_order = {.alloc = &tm_host_alloc},
                  .bytes = {.alloc = &tm_host_alloc}};
    const tm_node *order = tm_node_get(expect, "order");
    bool same = state_text(world, tm_node_get(expect, "state"), &end.state);
    if (order != NULL && tm_check_ids_case(order, &end.order) != TM_OK) {
        same = tm_check_verdict_fail(world->verdict, "out of memory");
    }
    same = same && server_read(world, &end.server, &end.server_order, &end.bytes,
                               &end.head);
    for (tm_check_page *page = world->pages; same && page != NULL;
         page = page->next) {
        if (!page->running) continue;
        same = ending_page(world, &end, page);
    }
    same = same && ending_server(world, &end);
    tm_buf_deinit(&end.state);
    tm_buf_deinit(&end.order);
    tm_buf_deinit(&end.server);
    tm_buf_deinit(&end.server_order);
    tm_buf_deinit(&end.bytes);
    return same;
}
