// offer.c - see inner.h. What a replaced C had and the server has not is offered to it:
// the server may have been restored from an old backup, and something missing there is
// never read as a deletion. SEMANTICS 6.
//
// What is lacking becomes operations at once, stored like any entry, with the times they
// had; they go out under writers of their own, so that an own pending edit is never lifted
// below an older own value, and one item's old value never above another browser's newer
// one. What the server turns out to have by then is not sent.
#include "client/inner.h"

#include "core/sort.h"

#include <string.h>

// One register, or a deletion (never written), or an operation of an unknown type.
typedef struct lack {
    struct lack *next;
    tm_span id, name;
    tm_reg reg;
    tm_span raw;
} lack;

typedef struct lacks {
    tm_engine *e;
    const tm_list *fresh;
    lack *first;
    size_t count;
    tm_status status;
} lacks;

static void lack_add(lacks *all, tm_span id, tm_span name, const tm_reg *reg,
                     tm_span raw) {
    lack *one = tm_arena_get(&all->e->arena, sizeof *one);
    if (one == NULL) {
        all->status = TM_E_NOMEM;
        return;
    }
    *one = (lack){all->first, id, name, *reg, raw};
    all->first = one;
    all->count++;
}

// Deletions first, then by stamp; registers of one item and stamp side by side, with
// `add` (the empty name) in front.
static int lack_cmp(const void *a, const void *b) {
    const lack *x = a, *y = b;
    int order = tm_stamp_cmp(&x->reg.at, &y->reg.at);
    if (order == 0) order = tm_span_cmp(x->id, y->id);
    return order != 0 ? order : tm_span_cmp(x->name, y->name);
}

// ---- what is lacking ---------------------------------------------------------------

// Whether a list needs no telling of this register.
static bool has(const tm_list *list, tm_span id, tm_span name, const tm_reg *reg) {
    const tm_item *item = tm_list_find(list, id);
    const tm_reg *there = name.len > 0 ? tm_item_field_get(item, name) : NULL;
    if (id.len == 0) there = tm_list_sort(list);
    if (item != NULL && name.len == 0) there = &item->add;
    if (item != NULL && item->dead) return true;
    if (there == NULL || there->at.browser.len == 0) return false;
    return tm_stamp_cmp(&there->at, &reg->at) >= 0 ||
           (there->at.time == reg->at.time &&
            tm_text_same(there->value, reg->value));
}

static void reg_lack(lacks *all, tm_span id, tm_span name, const tm_reg *reg) {
    if (reg->at.browser.len > 0 && !has(all->fresh, id, name, reg)) {
        lack_add(all, id, name, reg, (tm_span){NULL, 0});
    }
}

static void item_lack(lacks *all, const tm_item *item) {
    static const tm_reg never;
    const tm_item *there = tm_list_find(all->fresh, item->id);
    tm_span none = TM_SPAN("");
    if (item->dead && (there == NULL || !there->dead)) {
        lack_add(all, item->id, none, &never, (tm_span){NULL, 0});
    }
    reg_lack(all, item->id, none, &item->add);
    for (uint32_t i = 0; i < item->field_count; i++) {
        reg_lack(all, item->id, item->fields[i].name, &item->fields[i].reg);
    }
}

static tm_status op_read(tm_engine *e, tm_span raw, tm_op *op) {
    tm_json in;
    tm_json_init(&in, raw, TM_JSON_DEPTH_MAX, &e->arena);
    return tm_op_read(&in, op);
}

static void unknown_lack(lacks *all, const tm_list *old) {
    tm_op op, there;
    for (size_t i = 0; i < tm_list_unknown_count(old); i++) {
        all->status |= op_read(all->e, tm_list_unknown(old, i), &op);
        bool found = all->status != TM_OK;
        for (size_t k = 0; k < tm_list_unknown_count(all->fresh) && !found; k++) {
            all->status |= op_read(all->e, tm_list_unknown(all->fresh, k), &there);
            found = all->status != TM_OK || tm_span_cmp(op.id, there.id) == 0;
        }
        tm_reg reg = {.at = op.at};
        if (!found) lack_add(all, op.id, op.id, &reg, op.raw);
    }
}

// ---- making offers -----------------------------------------------------------------

static tm_status own_put(tm_engine *e, tm_entry **entry, tm_span raw) {
    tm_op op;
    tm_status status = op_read(e, raw, &op);
    if (status != TM_OK) return status;
    if (*entry == NULL || (*entry)->open == TM_PUSH_OPS_MAX) {
        *entry =
            (tm_entry *)tm_record_new(e, TM_RECORD_ENTRY, sizeof **entry, op.id);
        if (*entry == NULL) return TM_E_NOMEM;
        (*entry)->owner = e->editor;
        (*entry)->record.told = true;
        tm_record_change(e, &(*entry)->record);
    }
    tm_own *own = tm_own_new(e, &op, *entry, TM_FATE_OFFER);
    if (own == NULL) return TM_E_NOMEM;
    own->op.at.browser = TM_SPAN("-"); // until it is numbered
    return tm_own_attach(e, own);
}

// One operation from the first of `all`, and from those behind it that belong to it. It
// is written and read, so that an offer is an operation like any other.
static tm_status first_put(tm_engine *e, tm_entry **entry, lack *const *all,
                           size_t count, size_t *used) {
    const lack *first = *all;
    uint8_t id[22];
    tm_op op;
    *used = 1;
    if (first->raw.len > 0) return own_put(e, entry, first->raw);
    memset(&op, 0, sizeof op);
    op.id = tm_engine_draw_id(e, id);
    op.at = (tm_stamp){first->reg.at.time, 1, TM_SPAN("-")};
    op.instance_id = first->id;
    op.type = TM_OP_UPDATE;
    if (first->reg.at.browser.len == 0) {
        op.type = TM_OP_DELETE;
        count = 0;
    } else if (first->id.len == 0) {
        op.type = TM_OP_SORT;
        op.sort = first->reg.value;
        count = 0;
    } else if (first->name.len == 0) {
        op.type = TM_OP_ADD;
        op.image_id = first->reg.value;
    }
    for (size_t i = op.type == TM_OP_ADD;
         i < count && op.field_count < TM_FIELDS_MAX; i++) {
        if (tm_span_cmp(all[i]->id, first->id) != 0 ||
            tm_stamp_cmp(&all[i]->reg.at, &first->reg.at) != 0) {
            break;
        }
        op.fields[op.field_count++] = (tm_field){all[i]->name, all[i]->reg.value};
        *used = i + 1;
    }
    tm_buf_reset(&e->read);
    tm_op_write(&e->read, &op);
    if (e->read.status != TM_OK) return TM_E_NOMEM;
    return own_put(e, entry, tm_buf_span(&e->read));
}

tm_status tm_offer_make(tm_engine *e, const tm_list *old, const tm_list *fresh) {
    lacks all = {.e = e, .fresh = fresh};
    tm_entry *entry = NULL;
    tm_own *last = e->last;
    size_t used;
    for (size_t i = 0; i < tm_list_count(old); i++) {
        item_lack(&all, tm_list_at(old, i));
    }
    reg_lack(&all, TM_SPAN(""), TM_SPAN(""), tm_list_sort(old));
    unknown_lack(&all, old);
    const void **sorted = tm_arena_get(&e->arena, all.count * sizeof *sorted);
    tm_status status = sorted != NULL ? all.status : TM_E_NOMEM;
    if (status != TM_OK) return status;
    size_t count = 0;
    for (const lack *one = all.first; one != NULL; one = one->next) {
        sorted[count++] = one;
    }
    tm_sort(sorted, count, lack_cmp);
    for (size_t i = 0; i < count && status == TM_OK; i += used) {
        lack *const *rest = (lack *const *)(const void *)(sorted + i);
        status = first_put(e, &entry, rest, count - i, &used);
    }
    while (status != TM_OK && e->last != last) { // half of it is no use
        tm_own *own = e->last;
        own->entry->record.gone = --own->entry->open == 0;
        tm_own_free(e, own);
    }
    return status;
}

// ---- sending them ------------------------------------------------------------------

// Whether all that it says is in C by now.
static bool known(const tm_engine *e, const tm_op *op) {
    tm_reg reg = {.at = op->at};
    const tm_item *item = tm_list_find(e->confirmed, op->instance_id);
    if (op->type == TM_OP_UNKNOWN) return false;
    if (op->type == TM_OP_DELETE) return item != NULL && item->dead;
    reg.value = op->type == TM_OP_SORT ? op->sort : op->image_id;
    if (op->type != TM_OP_UPDATE &&
        !has(e->confirmed, op->instance_id, TM_SPAN(""), &reg)) {
        return false;
    }
    for (uint32_t i = 0; i < op->field_count; i++) {
        reg.value = op->fields[i].value;
        if (!has(e->confirmed, op->instance_id, op->fields[i].name, &reg))
            return false;
    }
    return true;
}

// A writer's times only grow, or the server would lift what comes too low; an offer that
// is not above its writer's last starts another writer. Deletions have no use for a time:
// they count up from 0, which keeps a thousand of them in one line.
tm_status tm_offer_number(tm_engine *e) {
    for (tm_own *own = e->first; own != NULL; own = own->next) {
        tm_writer *writer = e->offer_writer;
        uint8_t id[22];
        if (own->fate != TM_FATE_OFFER || own->writer != NULL) continue;
        // An edit goes to the log whatever became of it; of the rest, what is lacking.
        if (tm_text_is(own->op.at.browser, "-") && known(e, &own->op)) {
            tm_own_unqueue(e, own);
            tm_own_hush(e, own);
            tm_own_done(e, own);
            continue;
        }
        if (own->op.type == TM_OP_DELETE && writer != NULL &&
            writer->last_time < UINT16_MAX) {
            own->op.at.time = writer->last_time + 1;
        }
        if (writer == NULL ||
            (writer->next_version > 1 && own->op.at.time <= writer->last_time)) {
            e->offer_writer = writer = tm_writer_get(e, tm_engine_draw_id(e, id));
            if (writer == NULL) return TM_E_NOMEM;
        }
        writer->last_time = own->op.at.time;
        own->writer = writer;
        own->op.at.browser = writer->browser;
        own->op.at.version = writer->next_version++;
    }
    return TM_OK;
}
