// offer.c - see inner.h. What a replaced C had and the server has not is
// offered to it: the server may have been restored from an old backup, and
// something missing there is never read as a deletion. SEMANTICS 6.
//
// Offers go out under writers of their own, apart from the queue, with their
// original times, so that an own pending edit is never lifted below an older
// own value and one item's old value never above another browser's newer one.
#include "client/inner.h"

#include "core/sort.h"

#include <string.h>

// One register of `lacking` that the server should know, or a deletion (never
// written), or an operation of an unknown type.
typedef struct lack {
  struct lack *next;
  tm_span id, name;
  tm_reg reg;
  tm_span raw;
} lack;

typedef struct lacks {
  tm_engine *e;
  lack *first;
  size_t count;
  bool covered; // something is left out, since the queue says as much
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

// Deletions first, then by stamp; registers of one item and stamp side by side,
// with `add` (the empty name) in front.
static int lack_cmp(const void *a, const void *b) {
  const lack *x = a, *y = b;
  int order = tm_stamp_cmp(&x->reg.at, &y->reg.at);
  if (order == 0)
    order = tm_span_cmp(x->id, y->id);
  return order != 0 ? order : tm_span_cmp(x->name, y->name);
}

// ---- what is lacking
// ------------------------------------------------------------------

// Whether an operation in the queue says as much: it will arrive by itself.
static bool says(const tm_own *own, tm_span name, const tm_reg *reg) {
  const tm_op *op = &own->op;
  if (!tm_own_queued(own) || op->type == TM_OP_DELETE)
    return tm_own_queued(own);
  if (reg->at.browser.len == 0 || tm_stamp_cmp(&op->at, &reg->at) < 0)
    return false;
  if (name.len == 0)
    return op->type != TM_OP_UPDATE;
  for (uint32_t i = 0; i < op->field_count; i++) {
    if (tm_span_cmp(op->fields[i].name, name) == 0)
      return true;
  }
  return false;
}

static void offer(lacks *all, tm_span id, tm_span name, const tm_reg *reg) {
  const tm_shown *shown = tm_view_get(all->e, id, false);
  const tm_own *own = shown != NULL ? shown->own : NULL;
  while (own != NULL && !says(own, name, reg)) {
    own = own->newer;
  }
  if (own != NULL) {
    all->covered = true;
  } else {
    lack_add(all, id, name, reg, (tm_span){NULL, 0});
  }
}

static void reg_lack(lacks *all, tm_span id, tm_span name, const tm_reg *reg,
                     const tm_reg *there) {
  if (reg->at.browser.len == 0)
    return;
  if (there != NULL && there->at.browser.len > 0) {
    bool null = there->value.ptr == NULL;
    if (tm_stamp_cmp(&there->at, &reg->at) >= 0 ||
        (there->at.time == reg->at.time && null == (reg->value.ptr == NULL) &&
         tm_span_cmp(there->value, reg->value) == 0)) {
      return;
    }
  }
  offer(all, id, name, reg);
}

static void item_lack(lacks *all, const tm_item *item) {
  static const tm_reg never;
  const tm_item *there = tm_list_find(all->e->confirmed, item->id);
  tm_span none = TM_SPAN("");
  if (there != NULL && there->dead)
    return;
  if (item->dead) {
    offer(all, item->id, none, &never);
    return;
  }
  reg_lack(all, item->id, none, &item->add, there != NULL ? &there->add : NULL);
  for (uint32_t i = 0; i < item->field_count; i++) {
    reg_lack(all, item->id, item->fields[i].name, &item->fields[i].reg,
             tm_item_field_get(there, item->fields[i].name));
  }
}

static tm_status op_read(tm_engine *e, tm_span raw, tm_op *op) {
  tm_json in;
  tm_json_init(&in, raw, TM_JSON_DEPTH_MAX, &e->arena);
  return tm_op_read(&in, op);
}

static void unknown_lack(lacks *all) {
  tm_engine *e = all->e;
  tm_op op, there;
  size_t count = tm_list_unknown_count(e->confirmed);
  for (size_t i = 0; i < tm_list_unknown_count(e->lacking); i++) {
    all->status |= op_read(e, tm_list_unknown(e->lacking, i), &op);
    bool found = all->status != TM_OK || tm_table_get(&e->ids, op.id) != NULL;
    for (size_t k = 0; k < count && !found; k++) {
      all->status |= op_read(e, tm_list_unknown(e->confirmed, k), &there);
      found = tm_span_cmp(op.id, there.id) == 0;
    }
    tm_reg reg = {.at = op.at};
    if (!found)
      lack_add(all, op.id, op.id, &reg, op.raw);
  }
}

// ---- making offers
// ----------------------------------------------------------------

static tm_status own_put(tm_engine *e, tm_span raw) {
  tm_op op;
  tm_status status = op_read(e, raw, &op);
  if (status != TM_OK)
    return status;
  tm_own *own = tm_own_new(e, &op, NULL, TM_FATE_OFFER);
  if (own == NULL)
    return TM_E_NOMEM;
  own->op.at.browser = TM_SPAN("-"); // until it is numbered
  return TM_OK;
}

// One operation from the first of `all`, and from those behind it that belong
// to it. It is written and read, so that an offer is an operation like any
// other.
static tm_status first_put(tm_engine *e, lack *const *all, size_t count,
                           size_t *used) {
  const lack *first = *all;
  uint8_t id[22];
  tm_op op;
  *used = 1;
  if (first->raw.len > 0)
    return own_put(e, first->raw);
  memset(&op, 0, sizeof op);
  op.id = tm_engine_draw_id(e, id);
  op.at = (tm_stamp){first->reg.at.time, 1, TM_SPAN("-")};
  op.instance_id = first->id;
  op.type = TM_OP_UPDATE;
  if (first->reg.at.browser.len == 0) {
    op.type = TM_OP_DELETE;
    count = 1;
  } else if (first->id.len == 0) {
    op.type = TM_OP_SORT;
    op.sort = first->reg.value;
    count = 1;
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
    if (op.type == TM_OP_UPDATE || op.type == TM_OP_ADD) {
      op.fields[op.field_count++] = (tm_field){all[i]->name, all[i]->reg.value};
      *used = i + 1;
    }
  }
  tm_buf_reset(&e->read);
  tm_op_write(&e->read, &op);
  if (e->read.status != TM_OK)
    return TM_E_NOMEM;
  return own_put(e, tm_buf_span(&e->read));
}

void tm_offer_clear(tm_engine *e) {
  for (tm_own *own = e->first, *next; own != NULL; own = next) {
    next = own->next;
    if (own->fate == TM_FATE_OFFER && own->entry == NULL)
      tm_own_free(e, own);
  }
}

tm_status tm_offer_make(tm_engine *e) {
  if (e->lacking == NULL || e->offers > 0)
    return TM_OK;
  tm_arena_reset(&e->arena);
  lacks all = {.e = e};
  for (size_t i = 0; i < tm_list_count(e->lacking); i++) {
    item_lack(&all, tm_list_at(e->lacking, i));
  }
  reg_lack(&all, TM_SPAN(""), TM_SPAN(""), tm_list_sort(e->lacking),
           tm_list_sort(e->confirmed));
  unknown_lack(&all);
  const void **sorted = tm_arena_get(&e->arena, all.count * sizeof *sorted);
  if (sorted == NULL || all.status != TM_OK)
    return TM_E_NOMEM;
  size_t count = 0, used = 0;
  for (const lack *one = all.first; one != NULL; one = one->next) {
    sorted[count++] = one;
  }
  tm_sort(sorted, count, lack_cmp);
  for (size_t i = 0; i < count && e->offers < TM_PUSH_OPS_MAX; i += used) {
    lack *const *rest = (lack *const *)(const void *)(sorted + i);
    tm_status status = first_put(e, rest, count - i, &used);
    if (status != TM_OK)
      return status;
  }
  if (count > 0 || all.covered)
    return TM_OK;
  // Nothing is left. What was offered must be behind the cursor before the copy
  // goes: a server that is restored once more would lack it again.
  if (tm_own_acked(e) > e->cursor)
    return TM_OK;
  tm_list_free(e->lacking);
  e->lacking = NULL;
  e->lacking_record->gone = e->view.all = true;
  tm_record_change(e, e->lacking_record);
  return TM_OK;
}

// Above every name that a page draws: what is offered again had the greater
// stamp, and must not lose now by the name it goes out under, or it would be
// offered for ever.
static tm_writer *writer_make(tm_engine *e) {
  uint8_t name[TM_ID_MAX];
  memset(name, '~', sizeof name - 22);
  (void)tm_engine_draw_id(e, name + sizeof name - 22);
  return tm_writer_get(e, (tm_span){name, sizeof name});
}

// A writer's times only grow, or the server would lift what comes too low; an
// offer that is not above its writer's last starts another writer. Deletions
// have no use for a time: they count up from 0, which keeps a thousand of them
// in one line.
tm_status tm_offer_number(tm_engine *e) {
  for (tm_own *own = e->first; own != NULL; own = own->next) {
    tm_writer *writer = e->offer_writer;
    if (own->fate != TM_FATE_OFFER || own->writer != NULL)
      continue;
    if (own->op.type == TM_OP_DELETE && own->entry == NULL && writer != NULL &&
        writer->last_time < UINT16_MAX) {
      own->op.at.time = writer->last_time + 1;
    }
    if (writer == NULL ||
        (writer->next_version > 1 && own->op.at.time <= writer->last_time)) {
      e->offer_writer = writer = writer_make(e);
      if (writer == NULL)
        return TM_E_NOMEM;
    }
    writer->last_time = own->op.at.time;
    own->writer = writer;
    own->op.at.browser = writer->browser;
    own->op.at.version = writer->next_version++;
  }
  return TM_OK;
}
