// look.c - see world.h: what must hold on the way, as cheaply as it can be looked at.
#include "sim/world.h"

#include <string.h>

#include "client/words.h"

// ---- the server -------------------------------------------------------------------------

// I1: the state that the service holds is what its log adds up to.
void tm_sim_look_lists(tm_world *world) {
    const tm_sim_server *server = &world->server;
    if (server->service == NULL) return;
    for (uint32_t a = 0; a < TM_SIM_ACCOUNTS; a++) {
        const tm_sim_account *account = &world->accounts[a];
        uint64_t head = 0;
        const tm_list *list = tm_service_list(server->service, account->key, &head);
        if (list == NULL) continue;
        if (head < tm_sim_history_head(account->history) &&
            server->keeper.first == NULL && !server->keeper.doubt) {
            tm_sim_broken(
                world, TM_SIM_I1,
                "nothing is under way, and the service holds %.*s's "
                "list as of seq %llu of %llu",
                (int)account->key.user.len, (const char *)account->key.user.ptr,
                (unsigned long long)head,
                (unsigned long long)tm_sim_history_head(account->history));
            return;
        }
        if (head != tm_sim_history_head(account->history)) continue;
        tm_digest is = tm_list_digest(list);
        tm_digest want = tm_sim_history_digest(account->history, head);
        tm_sim_looked(world, TM_SIM_I1);
        if (is.lo == want.lo && is.hi == want.hi) continue;
        tm_sim_broken(world, TM_SIM_I1,
                      "at seq %llu the state of %.*s is not its log's",
                      (unsigned long long)head, (int)account->key.user.len,
                      (const char *)account->key.user.ptr);
    }
}

// ---- what it says -------------------------------------------------------------------------

// I6: an ack names what is durable. I11: and is told to those whose it is.
static void ack_look(tm_world *world, uint32_t number, const tm_doc *ack) {
    tm_sim_account *account = &world->accounts[number];
    tm_span id = ack->at[TM_WORD_ID].text, status = ack->at[TM_WORD_STATUS].text;
    uint64_t seq = tm_doc_number(ack, TM_WORD_SEQ);
    tm_sim_ghost *ghost = tm_sim_ghost_get(world, id);
    tm_sim_looked(world, TM_SIM_I6);
    if (tm_text_is(status, "rejected") || seq == 0) {
        if (ghost != NULL) ghost->rejected = true;
        return;
    }
    const tm_sim_entry *entry = tm_sim_history_at(account->history, seq);
    if (entry == NULL || tm_span_cmp(entry->id, id) != 0) {
        tm_sim_broken(world, TM_SIM_I6,
                      "%.*s was acknowledged as seq %llu, and is not "
                      "durable there",
                      (int)id.len, (const char *)id.ptr, (unsigned long long)seq);
        return;
    }
    if (seq > account->acked_max) account->acked_max = seq;
    if (ghost != NULL) ghost->acked = true;
}

static void op_look(tm_world *world, uint32_t number, const tm_op *op) {
    const tm_sim_account *account = &world->accounts[number];
    const tm_sim_entry *entry = tm_sim_history_at(account->history, op->seq);
    const tm_sim_ghost *ghost = tm_sim_ghost_get(world, op->id);
    tm_sim_looked(world, TM_SIM_I11);
    if (ghost == NULL || ghost->account != number) {
        tm_sim_broken(world, TM_SIM_I11, "%.*s is shown to %.*s, whose it is not",
                      (int)op->id.len, (const char *)op->id.ptr,
                      (int)account->key.user.len,
                      (const char *)account->key.user.ptr);
    } else if (entry == NULL || tm_span_cmp(entry->id, op->id) != 0) {
        tm_sim_broken(world, TM_SIM_I6,
                      "%.*s is shown as seq %llu, and is not durable "
                      "there",
                      (int)op->id.len, (const char *)op->id.ptr,
                      (unsigned long long)op->seq);
    }
}

void tm_sim_look_emitted(tm_world *world, uint32_t account, tm_span text) {
    tm_doc doc, ack;
    tm_json in;
    tm_op op;
    tm_arena arena = {.alloc = &tm_sim_alloc};
    if (account == TM_SIM_HOSTILE_ACCOUNT) return;
    if (tm_doc_parse(text, &arena, &doc) == TM_OK) {
        tm_span type = doc.at[TM_WORD_TYPE].text;
        if (!tm_text_is(type, "SEEN") && !tm_text_is(type, "DIGEST"))
            world->data_messages++;
        tm_doc_array(&doc, TM_WORD_ACKS, &in, &arena);
        while (tm_json_element(&in) && tm_doc_read(&in, &ack) == TM_OK) {
            ack_look(world, account, &ack);
        }
        tm_doc_array(&doc, TM_WORD_OPERATIONS, &in, &arena);
        while (tm_json_element(&in) && tm_op_read(&in, &op) == TM_OK) {
            op_look(world, account, &op);
        }
    }
    tm_arena_deinit(&arena);
}

// ---- pages ------------------------------------------------------------------------------

static bool digest_same(tm_digest a, tm_digest b) {
    return a.lo == b.lo && a.hi == b.hi;
}

static tm_digest joined(const tm_list *a, const tm_list *b) {
    tm_list *list;
    TM_ASSERT(tm_list_new(&tm_sim_alloc, (tm_seed){1, 1}, &list) == TM_OK);
    TM_ASSERT(tm_list_join(list, a) == TM_OK && tm_list_join(list, b) == TM_OK);
    tm_digest digest = tm_list_digest(list);
    tm_list_free(list);
    return digest;
}

// All that any log of this account ever had.
static tm_list *all_logs(const tm_sim_account *account) {
    tm_list *all;
    TM_ASSERT(tm_list_new(&tm_sim_alloc, (tm_seed){1, 1}, &all) == TM_OK);
    TM_ASSERT(tm_list_join(all, tm_sim_history_list(account->history)) == TM_OK);
    for (size_t i = 0; i < account->past_count; i++) {
        TM_ASSERT(tm_list_join(all, tm_sim_history_list(account->past[i])) ==
                  TM_OK);
    }
    return all;
}

// C holds all of a log up to the cursor, and nothing that no log had: what was accepted by
// a server that was rolled back stays in C until the page hears of it.
static bool c_fits(const tm_sim_account *account, const tm_list *c, uint64_t cursor,
                   const tm_sim_history *history) {
    tm_digest is = tm_list_digest(c);
    if (cursor > tm_sim_history_head(history)) return false;
    if (digest_same(is, tm_sim_history_digest(history, cursor))) return true;
    tm_list *prefix = tm_sim_history_prefix(history, cursor),
            *all = all_logs(account);
    bool fits = digest_same(joined(c, prefix), is) &&
                digest_same(joined(c, all), tm_list_digest(all));
    tm_list_free(prefix);
    tm_list_free(all);
    return fits;
}

static void c_look(tm_world *world, tm_sim_page *page) {
    const tm_sim_account *account = &world->accounts[page->account];
    uint64_t cursor;
    const tm_list *c = tm_engine_confirmed(page->engine, &cursor);
    bool fits = c_fits(account, c, cursor, account->history);
    tm_sim_looked(world, TM_SIM_I7);
    for (size_t i = account->past_count; i-- > 0 && !fits;) {
        fits = c_fits(account, c, cursor, account->past[i]);
    }
    if (fits) return;
    uint64_t lacks = tm_sim_history_lacks(account->history, c, cursor);
    const tm_sim_entry *entry = tm_sim_history_at(account->history, lacks);
    tm_span id = entry == NULL ? (tm_span){(const uint8_t *)"none", 4} : entry->id;
    tm_sim_broken(
        world, TM_SIM_I7,
        "%s stands at %llu, and what it confirmed is not the log up to there: "
        "the first that it lacks is seq %llu, %.*s",
        tm_sim_page_name(world, page), (unsigned long long)cursor,
        (unsigned long long)lacks, (int)id.len, (const char *)id.ptr);
}

void tm_sim_look_page(tm_world *world, tm_sim_page *page, bool thoroughly) {
    if (!thoroughly && tm_sim_below(&page->random, 6) != 0) return;
    c_look(world, page);
    if (thoroughly || tm_sim_below(&page->random, 4) == 0)
        tm_sim_look_view(world, page, false);
}

// ---- views --------------------------------------------------------------------------------

#define WINDOW_MS 10000u // the longest of SEMANTICS 7

static void item_expect(const tm_item *item, tm_buf *out) {
    tm_buf_reset(out);
    tm_buf_text(out, "{\"id\":");
    tm_buf_json(out, tm_item_id(item));
    tm_buf_text(out, ",\"imageId\":");
    tm_buf_json(out, tm_item_reg(item, (tm_span){NULL, 0}).value);
    tm_buf_text(out, ",\"fields\":{");
    const char *comma = "";
    tm_item_field field;
    for (size_t at = 0; tm_item_next(item, &at, &field);) {
        if (field.name.len == 0 || field.reg.value.ptr == NULL) continue;
        tm_buf_text(out, comma);
        tm_buf_json(out, field.name);
        tm_buf_byte(out, ':');
        tm_buf_json(out, field.reg.value);
        comma = ",";
    }
    tm_buf_text(out, "}}");
}

static bool says(tm_span json, const char *text) {
    size_t len = strlen(text);
    for (size_t i = 0; i + len <= json.len; i++) {
        if (memcmp(json.ptr + i, text, len) == 0) return true;
    }
    return false;
}

// It has not caught up, or an operation of its own was decided that a pull is to bring.
static bool unsettled(tm_world *world, tm_sim_page *page) {
    tm_span json;
    tm_now now = tm_sim_page_now(world, page);
    TM_ASSERT(tm_engine_status(page->engine, now, &json) == TM_OK);
    return !says(json, "\"live\"") || says(json, ":\"disk\"") ||
           says(json, ":\"kept\"") || says(json, ":\"volatile\"");
}

// Whether an own operation that is still pending, or young, explains that this page shows
// something else than C: what is in its hands.
static bool explained(tm_world *world, const tm_sim_page *page) {
    uint64_t mono = tm_sim_page_now(world, page).mono_ms;
    if (mono - page->edited_ms <= WINDOW_MS + world->plan.grain_ms &&
        page->edited_ms > 0) {
        return true;
    }
    tm_sim_page *p = &world->pages[page - world->pages];
    // A timer that comes late shows late what it ends.
    if (tm_engine_deadline(page->engine) <= mono) return true;
    return unsettled(world, p) || tm_sim_page_number(world, p, "pending") > 0 ||
           tm_sim_page_number(world, p, "offered") > 0 ||
           world->accounts[page->account].rolled_back ||
           world->profiles[page->profile].damaged[page->account];
}

static void differ(char why[400], tm_span is, tm_span want) {
    (void)snprintf(why, 400, "it shows %.*s, and confirmed is %.*s",
                   (int)(is.len > 180 ? 180 : is.len), (const char *)is.ptr,
                   (int)(want.len > 180 ? 180 : want.len), (const char *)want.ptr);
}

static bool view_same(tm_world *world, tm_sim_page *page, const tm_list *c,
                      char why[400]) {
    tm_buf want = {.alloc = &tm_sim_alloc};
    tm_span is = {NULL, 0};
    bool same = true;
    size_t live = tm_list_live(c);
    tm_now now = tm_sim_page_now(world, page);
    const tm_item **order = tm_arena_get(&world->arena, (live + 1) * sizeof *order);
    TM_ASSERT(order != NULL);
    tm_list_order(c, order);
    for (size_t i = 0; same && i < live; i++) {
        item_expect(order[i], &want);
        same =
            tm_engine_item(page->engine, now, tm_item_id(order[i]), &is) == TM_OK &&
            tm_span_cmp(is, tm_buf_span(&want)) == 0;
        if (!same) differ(why, is, tm_buf_span(&want));
    }
    tm_buf_reset(&want);
    tm_buf_byte(&want, '[');
    for (size_t i = 0; i < live; i++) {
        if (i > 0) tm_buf_byte(&want, ',');
        tm_buf_json(&want, tm_item_id(order[i]));
    }
    tm_buf_byte(&want, ']');
    if (same) {
        same = tm_engine_order(page->engine, now, &is) == TM_OK &&
               tm_span_cmp(is, tm_buf_span(&want)) == 0;
        if (!same) differ(why, is, tm_buf_span(&want));
    }
    tm_buf_deinit(&want);
    tm_arena_reset(&world->arena);
    return same;
}

// I10. `strictly`: every window is over and every queue empty.
void tm_sim_look_view(tm_world *world, tm_sim_page *page, bool strictly) {
    uint64_t cursor;
    char why[400] = "";
    if (!strictly && explained(world, page)) return;
    tm_sim_looked(world, TM_SIM_I10);
    const tm_list *c = tm_engine_confirmed(page->engine, &cursor);
    if (view_same(world, page, c, why)) return;
    if (world->config->story != NULL) {
        tm_span status;
        TM_ASSERT(tm_engine_status(page->engine, tm_sim_page_now(world, page),
                                   &status) == TM_OK);
        tm_sim_tell(world, tm_sim_page_name(world, page), "says of itself %.*s",
                    (int)status.len, (const char *)status.ptr);
    }
    tm_sim_broken(world, TM_SIM_I10,
                  "%s shows something else than what is confirmed, "
                  "and nothing of its own explains it: %s",
                  tm_sim_page_name(world, page), why);
}
