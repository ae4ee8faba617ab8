// check_state.c - see check_state.h.
#include "cmd/check_state.h"

#include "core/sort.h"

static const tm_span ascending = TM_LIT("asc");
static const tm_span image_member = TM_LIT("imageId");

// ---- building -----------------------------------------------------------------------

static tm_check_shown_part *part_add(tm_check_shown *shown,
                                     tm_check_shown_part **list, tm_span name) {
    if (shown->status != TM_OK) return NULL;
    tm_check_shown_part *part = tm_arena_get(shown->arena, sizeof *part);
    if (part == NULL) {
        shown->status = TM_E_NOMEM;
        return NULL;
    }
    *part = (tm_check_shown_part){.name = name, .next = *list};
    *list = part;
    return part;
}

void tm_check_shown_item(tm_check_shown *shown, tm_span id) {
    (void)part_add(shown, &shown->items, id);
}

void tm_check_shown_member(tm_check_shown *shown, tm_span name, tm_span value) {
    if (value.ptr == NULL || shown->items == NULL) return;
    tm_check_shown_part *part = part_add(shown, &shown->items->parts, name);
    if (part != NULL) part->value = value;
}

void tm_check_shown_engine(tm_check_shown *shown, tm_span id, const tm_node *item) {
    const tm_node *fields = tm_node_get(item, "fields");
    const tm_node *field = fields == NULL ? NULL : fields->first;
    tm_check_shown_item(shown, id);
    tm_check_shown_member(shown, image_member,
                          tm_node_text(tm_node_get(item, "imageId")));
    for (; field != NULL; field = field->next) {
        tm_check_shown_member(shown, field->key, tm_node_text(field));
    }
}

// ---- writing ------------------------------------------------------------------------

static int part_cmp(const void *a, const void *b) {
    return tm_span_cmp(((const tm_check_shown_part *)a)->name,
                       ((const tm_check_shown_part *)b)->name);
}

// The parts of a list, sorted by name. NULL = out of memory.
static const tm_check_shown_part **
parts_sort(tm_arena *arena, const tm_check_shown_part *list, size_t *count) {
    *count = 0;
    for (const tm_check_shown_part *part = list; part != NULL; part = part->next) {
        ++*count;
    }
    const void **sorted = tm_arena_get(arena, *count * sizeof *sorted);
    if (sorted == NULL) return NULL;
    size_t at = 0;
    for (const tm_check_shown_part *part = list; part != NULL; part = part->next) {
        sorted[at++] = part;
    }
    tm_sort(sorted, *count, part_cmp);
    return (const tm_check_shown_part **)sorted;
}

static tm_status item_write(tm_arena *arena, const tm_check_shown_part *item,
                            tm_buf *out) {
    size_t count;
    const tm_check_shown_part **parts = parts_sort(arena, item->parts, &count);
    if (parts == NULL) return TM_E_NOMEM;
    tm_buf_json(out, item->name);
    tm_buf_text(out, ":{");
    for (size_t i = 0; i < count; i++) {
        if (i > 0) tm_buf_byte(out, ',');
        tm_buf_json(out, parts[i]->name);
        tm_buf_byte(out, ':');
        tm_buf_json(out, parts[i]->value);
    }
    tm_buf_byte(out, '}');
    return TM_OK;
}

tm_status tm_check_shown_write(tm_check_shown *shown, tm_span sort, tm_buf *out) {
    if (shown->status != TM_OK) return shown->status;
    size_t count;
    const tm_check_shown_part **items =
        parts_sort(shown->arena, shown->items, &count);
    if (items == NULL) return TM_E_NOMEM;
    tm_buf_text(out, "{\"items\":{");
    for (size_t i = 0; i < count; i++) {
        if (i > 0) tm_buf_byte(out, ',');
        tm_status status = item_write(shown->arena, items[i], out);
        if (status != TM_OK) return status;
    }
    tm_buf_text(out, "},\"sort\":");
    tm_buf_json(out, sort);
    tm_buf_byte(out, '}');
    return out->status;
}

// ---- the two sources ----------------------------------------------------------------

tm_status tm_check_shown_case(const tm_node *state, tm_arena *arena, tm_buf *out) {
    tm_check_shown shown = {.arena = arena};
    const tm_node *items = tm_node_get(state, "items");
    for (const tm_node *item = items->first; item != NULL; item = item->next) {
        tm_check_shown_item(&shown, item->key);
        for (const tm_node *field = item->first; field != NULL;
             field = field->next) {
            tm_check_shown_member(&shown, field->key, tm_node_text(field));
        }
    }
    const tm_node *sort = tm_node_get(state, "sort");
    return tm_check_shown_write(&shown, sort == NULL ? ascending : sort->text, out);
}

tm_status tm_check_shown_list(const tm_list *list, tm_arena *arena, tm_buf *out) {
    tm_check_shown shown = {.arena = arena};
    for (size_t i = 0; i < tm_list_count(list); i++) {
        const tm_item *item = tm_list_at(list, i);
        if (!tm_item_live(item)) continue;
        tm_check_shown_item(&shown, tm_item_id(item));
        tm_item_field field;
        for (size_t at = 0; tm_item_next(item, &at, &field);) {
            bool add = field.name.len == 0;
            tm_check_shown_member(&shown, add ? image_member : field.name,
                                  field.reg.value);
        }
    }
    tm_reg sort = tm_list_sort(list);
    return tm_check_shown_write(
        &shown, sort.at.browser.len == 0 ? ascending : sort.value, out);
}

// ---- ids ----------------------------------------------------------------------------

tm_status tm_check_ids_case(const tm_node *ids, tm_buf *out) {
    tm_buf_byte(out, '[');
    for (const tm_node *id = ids->first; id != NULL; id = id->next) {
        if (id != ids->first) tm_buf_byte(out, ',');
        tm_buf_json(out, id->text);
    }
    tm_buf_byte(out, ']');
    return out->status;
}

static tm_status items_write(const tm_item *const *items, size_t count,
                             tm_buf *out) {
    tm_buf_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) tm_buf_byte(out, ',');
        tm_buf_json(out, tm_item_id(items[i]));
    }
    tm_buf_byte(out, ']');
    return out->status;
}

tm_status tm_check_ids_order(const tm_list *list, tm_arena *arena, tm_buf *out) {
    size_t count = tm_list_live(list);
    const tm_item **order = tm_arena_get(arena, count * sizeof *order);
    if (order == NULL) return TM_E_NOMEM;
    tm_list_order(list, order);
    return items_write(order, count, out);
}

static int item_cmp(const void *a, const void *b) {
    return tm_span_cmp(tm_item_id(a), tm_item_id(b));
}

tm_status tm_check_ids_dead(const tm_list *list, tm_arena *arena, tm_buf *out) {
    size_t count = 0;
    const void **dead = tm_arena_get(arena, tm_list_count(list) * sizeof *dead);
    if (dead == NULL) return TM_E_NOMEM;
    for (size_t i = 0; i < tm_list_count(list); i++) {
        const tm_item *item = tm_list_at(list, i);
        if (item->dead) dead[count++] = item;
    }
    tm_sort(dead, count, item_cmp);
    return items_write((const tm_item *const *)dead, count, out);
}
