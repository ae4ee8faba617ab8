// view.c - see inner.h. What is shown: C joined with `lacking` joined with the queue,
// and over that what the guard holds. SEMANTICS 7.
//
// Nothing is kept but what was told last, to tell only changes. An item is computed from
// its parts whenever it is asked for, so an edit costs the same in a long list.
#include "client/inner.h"

#include "core/sort.h"

#include <string.h>

// ---- one item -----------------------------------------------------------------------

typedef struct part {
    tm_span name;
    tm_reg reg;
    bool mine; // of what is pending: shown whatever C has
} part;

typedef struct picture {
    tm_reg add;
    part *parts; // by name
    size_t count;
} picture;

static bool written(const tm_reg *reg) {
    return reg->at.browser.len > 0;
}

static const tm_item *found(const tm_list *list, tm_span id) {
    return list != NULL ? tm_list_find(list, id) : NULL;
}

// What is not mine does not touch what is.
static void part_put(picture *p, tm_span name, const tm_reg *reg, bool mine) {
    size_t at = p->count;
    for (; at > 0; at--) {
        part *here = &p->parts[at - 1];
        int order = tm_span_cmp(here->name, name);
        if (order < 0) break;
        if (order > 0) continue;
        if (here->mine && !mine) return;
        if (mine && !here->mine) here->reg = (tm_reg){0};
        here->mine = mine;
        (void)tm_reg_join(&here->reg, reg);
        return;
    }
    memmove(p->parts + at + 1, p->parts + at, (p->count - at) * sizeof *p->parts);
    p->parts[at] = (part){name, *reg, mine};
    p->count++;
}

static void item_put(picture *p, const tm_item *item) {
    tm_item_field field;
    for (size_t at = 0; item != NULL && tm_item_next(item, &at, &field);) {
        if (field.name.len == 0) {
            (void)tm_reg_join(&p->add, &field.reg);
        } else {
            part_put(p, field.name, &field.reg, false);
        }
    }
}

// What waits for a pull is the server's already, and counts for no more than its stamp.
static void own_put(picture *p, const tm_own *own) {
    tm_reg reg = {.at = own->op.at, .value = own->op.image_id};
    if (own->op.type == TM_OP_ADD) (void)tm_reg_join(&p->add, &reg);
    for (uint32_t i = 0; i < own->op.field_count; i++) {
        reg.value = own->op.fields[i].value;
        part_put(p, own->op.fields[i].name, &reg, !own->waits);
    }
}

// What of `lacking` is shown.
static const tm_list *lacking(const tm_engine *e) {
    return e->offered ? NULL : e->lacking;
}

bool tm_view_dead(const tm_engine *e, tm_span id) {
    return tm_item_dead(found(e->confirmed, id)) ||
           tm_item_dead(found(lacking(e), id));
}

// What protects the item from somebody else's DELETE: own work that is pending or fresh.
// Own DELETE: nothing is shown, whatever else there is.
static bool hidden(const tm_engine *e, tm_span id, const tm_target *target) {
    bool edited = tm_guard_get(&e->guard, e->now.mono_ms, id, TM_SPAN("")) != NULL;
    const tm_own *own = target != NULL ? target->line.first : NULL;
    for (; own != NULL; own = own->link[TM_LINE_TARGET].next) {
        if (own->op.type == TM_OP_DELETE) return true;
        edited |= own->op.type != TM_OP_UNKNOWN && !own->waits;
    }
    return !edited && tm_view_dead(e, id);
}

static tm_status picture_make(tm_engine *e, tm_span id, picture *p) {
    const tm_target *target = tm_queue_target(&e->queue, id, false);
    *p = (picture){0};
    if (id.len == 0 || hidden(e, id, target)) return TM_OK;
    const tm_item *items[3] = {found(e->confirmed, id), found(lacking(e), id),
                               NULL};
    if (tm_view_dead(e, id)) items[2] = found(e->ghosts, id);
    size_t max = 0;
    for (int i = 0; i < 3; i++) {
        tm_item_field field;
        for (size_t at = 0;
             items[i] != NULL && tm_item_next(items[i], &at, &field);)
            max++;
    }
    const tm_own *first = target != NULL ? target->line.first : NULL;
    for (const tm_own *own = first; own != NULL;
         own = own->link[TM_LINE_TARGET].next) {
        max += own->op.field_count;
    }
    p->parts = tm_arena_get(&e->arena, max * sizeof *p->parts);
    if (p->parts == NULL) return tm_refused();
    for (int i = 0; i < 3; i++) {
        item_put(p, items[i]);
    }
    for (const tm_own *own = first; own != NULL;
         own = own->link[TM_LINE_TARGET].next) {
        own_put(p, own);
    }
    for (size_t i = 0; i < p->count; i++) {
        part *here = &p->parts[i];
        const tm_guarded *g =
            tm_guard_get(&e->guard, e->now.mono_ms, id, here->name);
        if (g != NULL && !here->mine) here->reg.value = g->value;
    }
    return TM_OK;
}

tm_status tm_view_item(tm_engine *e, tm_span id, tm_buf *out, tm_stamp *at) {
    picture p;
    tm_status status = picture_make(e, id, &p);
    *at = p.add.at;
    if (status != TM_OK || !written(&p.add)) return status;
    tm_buf_byte(out, '{');
    tm_out_text(out, TM_WORD_ID, id);
    tm_out_text(out, TM_WORD_IMAGE_ID, p.add.value);
    tm_out_open(out, TM_WORD_FIELDS, '{');
    for (size_t i = 0; i < p.count; i++) {
        if (p.parts[i].reg.value.ptr == NULL) continue;
        tm_out_key(out, p.parts[i].name);
        tm_buf_json(out, p.parts[i].reg.value);
    }
    tm_buf_text(out, "}}");
    return tm_buf_status(out);
}

// ---- single registers -----------------------------------------------------------------

tm_reg tm_view_reg(const tm_engine *e, tm_span id, tm_span name) {
    tm_reg reg = {0};
    const tm_list *lists[2] = {e->confirmed, lacking(e)};
    for (int i = 0; i < 2; i++) {
        tm_item_field one;
        if (tm_item_get(found(lists[i], id), name, &one)) {
            (void)tm_reg_join(&reg, &one.reg);
        }
    }
    return reg;
}

tm_span tm_view_sort(tm_engine *e) {
    tm_span none = TM_SPAN("");
    const tm_target *target = tm_queue_target(&e->queue, none, false);
    const tm_guarded *g =
        tm_guard_get(&e->guard, e->now.mono_ms, none, TM_SPAN("sort"));
    tm_reg reg = {0}, known = tm_view_reg(e, none, none);
    const tm_own *own = target != NULL ? target->line.first : NULL;
    for (; own != NULL; own = own->link[TM_LINE_TARGET].next) {
        tm_reg mine = {.at = own->op.at, .value = own->op.sort};
        if (mine.value.len > 0)
            (void)tm_reg_join(own->waits ? &known : &reg, &mine);
    }
    if (!written(&reg)) {
        reg = known;
        if (g != NULL) reg.value = g->value;
    }
    return reg.value.len == 4 ? TM_SPAN("desc") : TM_SPAN("asc");
}

// ---- what was told ----------------------------------------------------------------

static tm_shown *shown_get(tm_engine *e, tm_span id) {
    tm_shown *shown = tm_table_get(&e->view.items, id);
    if (shown != NULL) return shown;
    shown = tm_alloc_get(e->alloc, sizeof *shown + id.len);
    if (shown == NULL) return NULL;
    memcpy(shown + 1, id.ptr, id.len);
    shown->id = (tm_span){(uint8_t *)(shown + 1), id.len};
    shown->at.browser.ptr = shown->browser;
    if (tm_table_set(&e->view.items, shown->id, shown) == TM_OK) return shown;
    tm_alloc_put(e->alloc, shown, sizeof *shown + id.len);
    return NULL;
}

static void shown_free(tm_engine *e, tm_shown *shown) {
    tm_alloc_put(e->alloc, shown, sizeof *shown + shown->id.len);
}

void tm_view_drop(tm_engine *e, tm_shown *shown) {
    (void)tm_table_remove(&e->view.items, shown->id);
    shown_free(e, shown);
}

void tm_view_touch(tm_engine *e, tm_span id) {
    if (id.len == 0) return; // the sort direction is looked at each time
    tm_shown *shown = shown_get(e, id);
    if (shown == NULL) {
        e->view.all_touched = true;
        return;
    }
    if (shown->touched) return;
    shown->touched = true;
    shown->next_touched = e->view.touched;
    e->view.touched = shown;
}

static void touch_all(tm_engine *e) {
    tm_view *view = &e->view;
    const tm_list *lists[2] = {e->confirmed, lacking(e)};
    view->all_touched = false; // a touch that finds no memory sets it again
    for (int i = 0; i < 2; i++) {
        size_t count = lists[i] != NULL ? tm_list_count(lists[i]) : 0;
        for (size_t k = 0; k < count; k++) {
            tm_view_touch(e, tm_item_id(tm_list_at(lists[i], k)));
        }
    }
    size_t at = 0;
    for (tm_table_slot *slot;
         (slot = tm_table_next(&e->queue.targets, &at)) != NULL;) {
        tm_view_touch(e, slot->key);
    }
    at = 0;
    for (tm_table_slot *slot; (slot = tm_table_next(&view->items, &at)) != NULL;) {
        tm_view_touch(e, slot->key); // they are there: the table does not change
    }
}

static int shown_cmp(const void *a, const void *b) {
    const tm_shown *x = a, *y = b;
    int order = tm_stamp_cmp(&x->at, &y->at);
    return order != 0 ? order : tm_span_cmp(x->id, y->id);
}

// Computes one item anew. Whether its place among the others changed.
static bool shown_renew(tm_engine *e, tm_shown *shown) {
    tm_stamp at;
    tm_arena_reset(&e->arena);
    tm_buf_reset(&e->read);
    if (tm_view_item(e, shown->id, &e->read, &at) != TM_OK) {
        e->view.all_touched = true;
        return false;
    }
    uint64_t hash = 0;
    if (e->read.len > 0) hash = tm_hash(e->seed, tm_buf_span(&e->read)) | 1;
    if (hash != shown->hash && !shown->changed) {
        shown->changed = true;
        shown->next_changed = e->view.changed;
        e->view.changed = shown;
    }
    bool live = hash != 0;
    bool moved =
        live != shown->live || (live && tm_stamp_cmp(&at, &shown->at) != 0);
    shown->hash = hash;
    shown->live = live;
    if (!moved) return false;
    shown->at = at;
    shown->at.browser.ptr = shown->browser;
    if (at.browser.len > 0) memcpy(shown->browser, at.browser.ptr, at.browser.len);
    return true;
}

// Those that moved are taken out and put in again at the end, from where each sinks to
// its place; a new one is usually there already. Many are sorted together.
#define SINK_MAX 16u

static bool order_renew(tm_view *view, tm_shown *moved, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < view->order_count; i++) {
        if (view->order[i]->ordered) view->order[kept++] = view->order[i];
    }
    view->order_count = kept;
    if (kept + count > view->order_cap) {
        size_t cap = kept + count + kept / 2;
        tm_shown **order =
            tm_alloc_resize(view->items.alloc, view->order,
                            view->order_cap * sizeof *order, cap * sizeof *order);
        if (order == NULL) return false;
        view->order = order;
        view->order_cap = cap;
    }
    for (tm_shown *shown = moved; shown != NULL; shown = shown->next_touched) {
        if (!shown->live) continue;
        shown->ordered = true;
        size_t at = view->order_count++;
        for (; at > 0 && count <= SINK_MAX &&
               shown_cmp(view->order[at - 1], shown) > 0;
             at--) {
            view->order[at] = view->order[at - 1];
        }
        view->order[at] = shown;
    }
    if (count > SINK_MAX) {
        tm_sort((const void **)view->order, view->order_count, shown_cmp);
    }
    return true;
}

void tm_view_flush(tm_engine *e) {
    tm_view *view = &e->view;
    tm_shown *moved = NULL;
    size_t count = 0;
    if (view->all_touched) touch_all(e);
    while (view->touched != NULL) {
        tm_shown *shown = view->touched;
        view->touched = shown->next_touched;
        shown->touched = false;
        if (!shown_renew(e, shown)) {
            if (shown->hash == 0 && !shown->changed) tm_view_drop(e, shown);
            continue;
        }
        shown->ordered = false;
        shown->next_touched = moved;
        moved = shown;
        count++;
    }
    if (count > 0 && order_renew(view, moved, count)) {
        view->order_changed = true;
    } else if (count > 0) {
        // Without room nothing is ordered; the next flush begins anew.
        for (tm_shown *shown = moved; shown != NULL; shown = shown->next_touched) {
            shown->live = false;
        }
        view->all_touched = true;
    }
    bool desc = tm_view_sort(e).len == 4;
    if (desc != view->desc) view->order_changed = true;
    view->desc = desc;
}

void tm_view_deinit(tm_engine *e) {
    size_t at = 0;
    for (tm_table_slot *slot;
         (slot = tm_table_next(&e->view.items, &at)) != NULL;) {
        shown_free(e, slot->value);
    }
    tm_table_deinit(&e->view.items);
    tm_alloc_put(e->alloc, e->view.order, e->view.order_cap * sizeof(tm_shown *));
}
