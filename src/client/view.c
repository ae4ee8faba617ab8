// view.c - see inner.h. What is shown: C joined with what is queued, and over that, for
// some seconds, what this user left there. SEMANTICS 7.
//
// An item is computed from its parts whenever it is asked for, so an edit costs the same
// in a long list.
#include "client/inner.h"

#include "core/sort.h"

#include <string.h>

bool tm_view_dead(const tm_engine *e, tm_span id) {
    const tm_item *item = tm_list_find(e->confirmed, id);
    return item != NULL && item->dead;
}

bool tm_view_gone(tm_engine *e, tm_span id) {
    const tm_shown *item = tm_view_get(e, id, false);
    const tm_own *own = item != NULL ? item->own : NULL;
    for (; own != NULL; own = own->newer) {
        if (own->op.type == TM_OP_DELETE) return true;
    }
    return tm_view_dead(e, id);
}

// Whether an own operation is still shown over what came, in a window of this
// length.
static bool holds(const tm_engine *e, const tm_own *own, uint64_t window_ms) {
    return tm_own_queued(own) ||
           (own->made_ms != 0 && e->now.mono_ms < own->made_ms + window_ms);
}

// ---- one item ----------------------------------------------------------------------

typedef struct part {
    tm_span name;
    tm_reg reg;
    bool mine; // shown whatever C has
} part;

typedef struct picture {
    tm_reg add;
    part *parts; // by name
    size_t count;
} picture;

static void part_put(picture *p, tm_span name, const tm_reg *reg, bool mine) {
    part *at = p->parts + p->count;
    int order = -1;
    while (at > p->parts && (order = tm_span_cmp(at[-1].name, name)) > 0) {
        at--;
    }
    if (at > p->parts && order == 0) {
        at--;
    } else {
        memmove(at + 1, at, (size_t)(p->parts + p->count++ - at) * sizeof *at);
        *at = (part){.name = name};
    }
    if (mine) {
        at->mine = true;
        at->reg = *reg; // the last one decides
    } else {
        (void)tm_reg_join(&at->reg, reg);
    }
}

static void item_put(picture *p, const tm_item *item) {
    if (item == NULL) return;
    if (item->add.at.browser.len > 0) (void)tm_reg_join(&p->add, &item->add);
    for (uint32_t i = 0; i < item->field_count; i++) {
        part_put(p, item->fields[i].name, &item->fields[i].reg, false);
    }
}

static void own_put(const tm_engine *e, picture *p, const tm_own *own) {
    tm_reg reg = {.at = own->op.at, .value = own->op.image_id};
    bool offer = own->fate == TM_FATE_OFFER; // no newer than it says it is
    if (own->op.type == TM_OP_ADD && tm_own_queued(own)) {
        (void)tm_reg_join(&p->add, &reg);
    }
    if (!holds(e, own, TM_GUARD_FIELD_MS)) return;
    for (uint32_t i = 0; i < own->op.field_count; i++) {
        reg.value = own->op.fields[i].value;
        part_put(p, own->op.fields[i].name, &reg, !offer);
    }
}

static void picture_write(tm_buf *out, tm_span id, const picture *p) {
    tm_buf_byte(out, '{');
    tm_out_text(out, TM_WORD_ID, id);
    tm_out_text(out, TM_WORD_IMAGE_ID, p->add.value);
    tm_out_open(out, TM_WORD_FIELDS, '{');
    for (size_t i = 0; i < p->count; i++) {
        if (p->parts[i].reg.value.ptr == NULL) continue;
        tm_out_key(out, p->parts[i].name);
        tm_buf_json(out, p->parts[i].reg.value);
    }
    tm_buf_text(out, "}}");
}

static tm_status sort_write(tm_engine *e, const tm_own *own) {
    tm_reg reg = *tm_list_sort(e->confirmed);
    for (; own != NULL; own = own->newer) {
        tm_reg mine = {.at = own->op.at, .value = own->op.sort};
        if (mine.value.len == 0 || !holds(e, own, TM_GUARD_SORT_MS)) continue;
        if (own->fate != TM_FATE_OFFER || tm_stamp_cmp(&mine.at, &reg.at) > 0)
            reg = mine;
    }
    tm_buf_text(&e->read, reg.value.len == 4 ? "desc" : "asc");
    return e->read.status;
}

tm_status tm_view_item(tm_engine *e, tm_span id, tm_stamp *at) {
    const tm_shown *shown = tm_view_get(e, id, false);
    const tm_own *first = shown != NULL ? shown->own : NULL;
    const tm_item *c = tm_list_find(e->confirmed, id);
    size_t max = c != NULL ? c->field_count : 0;
    bool edited = false;
    tm_buf_reset(&e->read);
    if (id.len == 0) return sort_write(e, first);
    for (const tm_own *own = first; own != NULL; own = own->newer) {
        if (own->op.type == TM_OP_DELETE) return TM_OK; // by ourselves: at once
        edited |= own->op.type != TM_OP_UNKNOWN && holds(e, own, TM_GUARD_ITEM_MS);
        max += own->op.field_count;
    }
    if (tm_view_dead(e, id)) {
        if (!edited) return TM_OK;
        if (shown->json_len >
            0) { // as it was: a dead item has no registers any more
            tm_buf_put(&e->read, (tm_span){shown->json, shown->json_len});
            *at = shown->at;
            return e->read.status;
        }
    }
    picture p = {.parts = tm_arena_get(&e->arena, max * sizeof(part))};
    if (p.parts == NULL) return TM_E_NOMEM;
    item_put(&p, c);
    for (const tm_own *own = first; own != NULL; own = own->newer) {
        own_put(e, &p, own);
    }
    if (p.add.at.browser.len == 0) return TM_OK;
    *at = p.add.at;
    picture_write(&e->read, id, &p);
    return e->read.status;
}

// ---- single registers --------------------------------------------------------------

// ---- windows -----------------------------------------------------------------------

static bool over(tm_engine *e, const tm_own *own, uint64_t at) {
    if (e->now.mono_ms >= at) {
        tm_view_touch(e, own->op.instance_id);
        return true;
    }
    if (at < e->view.window_ms) e->view.window_ms = at;
    return false;
}

static bool on(const tm_own *own, tm_span name) {
    for (uint32_t i = 0; i < own->op.field_count; i++) {
        if (tm_span_cmp(own->op.fields[i].name, name) == 0) return true;
    }
    return name.len == 0;
}

// A later own operation on the target decides instead.
static bool outdone(const tm_own *own, tm_span name) {
    const tm_own *later = own->newer;
    while (later != NULL && !on(later, name)) {
        later = later->newer;
    }
    return later != NULL;
}

static void value_over(tm_engine *e, const tm_own *own, tm_span field, tm_span mine,
                       const tm_reg *reg) {
    tm_event event = {
        .instance = own->op.instance_id, .field = field, .mine = mine};
    if (reg == NULL || tm_stamp_cmp(&reg->at, &own->op.at) == 0 ||
        tm_text_same(reg->value, mine)) {
        return;
    }
    event.winner = reg->value;
    tm_note_add(e, TM_EVENT_SUPERSEDED, &event);
}

static void fields_over(tm_engine *e, const tm_own *own) {
    const tm_op *op = &own->op;
    if (op->type == TM_OP_SORT && own->newer == NULL) {
        value_over(e, own, TM_SPAN("sort"), op->sort, tm_list_sort(e->confirmed));
    }
    if (tm_view_gone(e, op->instance_id)) return; // told of the item
    for (uint32_t i = 0; i < op->field_count; i++) {
        const tm_field *field = &op->fields[i];
        const tm_item *item = tm_list_find(e->confirmed, op->instance_id);
        if (outdone(own, field->name)) continue;
        value_over(e, own, field->name, field->value,
                   tm_item_field_get(item, field->name));
    }
}

static void item_over(tm_engine *e, const tm_own *own) {
    tm_span none = TM_SPAN("");
    tm_event event = {.instance = own->op.instance_id, .field = none};
    if (own->op.type != TM_OP_ADD && own->op.type != TM_OP_UPDATE) return;
    if (outdone(own, none) || !tm_view_dead(e, event.instance)) return;
    tm_note_add(e, TM_EVENT_SUPERSEDED, &event);
}

// What is accepted is held back from the view until its windows end; what won
// over it is told then, once.
void tm_view_windows(tm_engine *e) {
    if (e->now.mono_ms < e->view.window_ms) return;
    e->view.window_ms = TM_NEVER;
    for (tm_own *own = e->first; own != NULL; own = own->next) {
        bool sort = own->op.type == TM_OP_SORT;
        uint64_t window = sort ? TM_GUARD_SORT_MS : TM_GUARD_FIELD_MS;
        uint64_t fresh = own->made_ms != 0; // 0: by an earlier page
        if (own->item == NULL || tm_own_queued(own)) continue;
        if (!own->item_over &&
            over(e, own, own->made_ms + fresh * TM_GUARD_ITEM_MS)) {
            own->item_over = true;
            item_over(e, own);
        }
        if (!own->fields_over && over(e, own, own->made_ms + fresh * window)) {
            own->fields_over = true;
            fields_over(e, own);
        }
        if (own->item_over && own->fields_over && over(e, own, own->until_ms)) {
            tm_own_hush(e, own);
        }
    }
}

// ---- what was told -----------------------------------------------------------------

tm_shown *tm_view_get(tm_engine *e, tm_span id, bool make) {
    if (id.ptr == NULL) id = TM_SPAN("");
    tm_shown *shown = tm_table_get(&e->view.items, id);
    if (shown != NULL || !make) return shown;
    shown = tm_alloc_get(e->alloc, sizeof *shown + id.len);
    if (shown == NULL) return NULL;
    if (id.len > 0) memcpy(shown + 1, id.ptr, id.len);
    shown->id = (tm_span){(uint8_t *)(shown + 1), id.len};
    if (tm_table_set(&e->view.items, shown->id, shown) == TM_OK) return shown;
    tm_alloc_put(e->alloc, shown, sizeof *shown + id.len);
    return NULL;
}

void tm_view_touch(tm_engine *e, tm_span id) {
    tm_shown *shown = tm_view_get(e, id, true);
    if (shown == NULL) {
        e->view.all = true;
    } else if (!shown->touched) {
        shown->touched = true;
        shown->next_touched = e->view.touched;
        e->view.touched = shown;
    }
}

void tm_view_drop(tm_engine *e, tm_shown *shown) {
    if (shown->own != NULL || shown->json_len > 0 || shown->touched ||
        shown->changed) {
        return;
    }
    (void)tm_table_remove(&e->view.items, shown->id);
    tm_alloc_put(e->alloc, shown, sizeof *shown + shown->id.len);
}

static void touch_all(tm_engine *e) {
    const tm_list *list = e->confirmed;
    size_t at = 0;
    e->view.all = false; // a touch that finds no memory sets it again
    tm_view_touch(e, TM_SPAN(""));
    for (size_t k = 0; k < tm_list_count(list); k++) {
        tm_view_touch(e, tm_list_at(list, k)->id);
    }
    for (tm_table_slot *slot;
         (slot = tm_table_next(&e->view.items, &at)) != NULL;) {
        tm_view_touch(e, slot->key); // they are there: the table does not change
    }
}

static bool json_keep(tm_engine *e, tm_shown *shown, tm_span json) {
    uint8_t *copy = NULL;
    if (json.len > 0) {
        copy = tm_alloc_get(e->alloc, json.len);
        if (copy == NULL) return false;
        memcpy(copy, json.ptr, json.len);
    }
    tm_alloc_put(e->alloc, shown->json, shown->json_len);
    shown->json = copy;
    shown->json_len = json.len;
    return true;
}

static void renew(tm_engine *e, tm_shown *shown) {
    tm_stamp at = {0};
    tm_view *view = &e->view;
    tm_arena_reset(&e->arena);
    tm_status status = tm_view_item(e, shown->id, &at);
    tm_span json = tm_buf_span(&e->read), old = {shown->json, shown->json_len};
    if (status == TM_OK && tm_span_cmp(json, old) == 0 &&
        tm_stamp_cmp(&at, &shown->at) == 0) {
        tm_view_drop(e, shown);
        return;
    }
    if (status != TM_OK || !json_keep(e, shown, json)) {
        view->all = true; // no memory: again later
        return;
    }
    if (tm_stamp_cmp(&at, &shown->at) != 0) view->stale = true;
    shown->at = at;
    if (at.browser.len > 0) memcpy(shown->browser, at.browser.ptr, at.browser.len);
    shown->at.browser.ptr = shown->browser;
    if (shown->changed) return;
    shown->changed = true;
    shown->next_changed = view->changed;
    view->changed = shown;
}

static int shown_cmp(const void *a, const void *b) {
    const tm_shown *x = a, *y = b;
    int order = tm_stamp_cmp(&x->at, &y->at);
    return order != 0 ? order : tm_span_cmp(x->id, y->id);
}

static void order_make(tm_view *view) {
    const tm_alloc *alloc = view->items.alloc;
    size_t at = 0, need = view->items.count;
    if (need > view->cap) {
        need *= 2;
        const void **order =
            alloc->resize(alloc->context, view->order, view->cap * sizeof *order,
                          need * sizeof *order);
        if (order == NULL) return; // stale still
        view->order = order;
        view->cap = need;
    }
    view->count = 0;
    for (tm_table_slot *slot; (slot = tm_table_next(&view->items, &at)) != NULL;) {
        const tm_shown *shown = slot->value;
        if (shown->at.browser.len > 0) view->order[view->count++] = shown;
    }
    tm_sort(view->order, view->count, shown_cmp);
    view->stale = view->told = false;
}

void tm_view_flush(tm_engine *e) {
    tm_view *view = &e->view;
    if (view->all) touch_all(e);
    while (view->touched != NULL) {
        tm_shown *shown = view->touched;
        view->touched = shown->next_touched;
        shown->touched = false;
        renew(e, shown);
    }
    if (view->stale) order_make(view);
}
