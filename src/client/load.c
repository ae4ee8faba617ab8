// load.c - see inner.h. Stored records become an engine; engine.h has the table
// of them, disk.c their text. DESIGN 1.
//
// What is loaded waits, and is read in one order when all of it is there: C
// first, then what stands on it. A record that cannot be read costs what it
// held and nothing else: a missing entry is healed by the server's gap stop,
// and if C is not whole, what is left of it is offered like what a replaced C
// had.
#include "client/arrive.h"

#include "core/sort.h"

#include <string.h>

enum {
    RANK_WRITER,
    RANK_STATE,
    RANK_BASE,
    RANK_TAIL,
    RANK_DEAD,
    RANK_ENTRY,
    RANKS
};

static bool starts(tm_span key, const char *prefix, size_t *len) {
    size_t i = 0;
    while (prefix[i] != '\0' && i < key.len && key.ptr[i] == (uint8_t)prefix[i]) {
        i++;
    }
    *len = i;
    return prefix[i] == '\0';
}

tm_status tm_engine_load(tm_engine *e, tm_place place, tm_span key, tm_span value) {
    static const char prefixes[RANKS][9] = {"writer/", "state", "base",
                                            "tail/",   "dead/", "op/"};
    size_t rank = 0, prefix = 0;
    while (rank < RANKS && !starts(key, prefixes[rank], &prefix)) {
        rank++;
    }
    bool c = rank >= RANK_STATE && rank <= RANK_TAIL;
    // While a page lives it knows better, but for what it is to take over.
    if (rank == RANKS || (e->started && c != e->disk.reload)) {
        return TM_OK;
    }
    tm_piece *one = tm_alloc_get(e->alloc, sizeof *one + key.len + value.len);
    if (one == NULL) return TM_E_NOMEM;
    one->rank = (uint8_t)rank;
    one->version = place == TM_PLACE_LOCAL;
    one->key_len = key.len;
    one->prefix = prefix;
    one->len = value.len;
    memcpy(one->text, key.ptr, key.len);
    if (value.len > 0) memcpy(one->text + key.len, value.ptr, value.len);
    one->next = e->loaded;
    e->loaded = one;
    e->loaded_count++;
    return TM_OK;
}

void tm_load_free(tm_engine *e) {
    while (e->loaded != NULL) {
        tm_piece *one = e->loaded;
        e->loaded = one->next;
        tm_alloc_put(e->alloc, one, sizeof *one + one->key_len + one->len);
    }
    e->loaded_count = 0;
}

// ---- one record --------------------------------------------------------------------

// What is being read, and the C that comes of it.
typedef struct loading {
    tm_engine *e;
    const tm_piece *piece;
    tm_doc doc;
    tm_span key, rest; // rest: behind its prefix
    tm_span entry;     // the rest of the entry's key that was read last
    tm_entry *last;
    tm_list *list;
    uint64_t covered; // how far base and tails reach without a hole
    uint64_t generation, cursor;
    tm_span mark; // in `bytes`
    uint8_t bytes[TM_MARK_MAX];
    bool state, damaged, local;
} loading;

static tm_status writer_load(loading *l) {
    tm_engine *e = l->e;
    if (!tm_browser_id_valid(l->rest)) return TM_E_CORRUPT;
    tm_writer *w = tm_writer_get(e, l->rest);
    if (w == NULL) return TM_E_NOMEM;
    uint64_t next = tm_doc_number(&l->doc, TM_WORD_NEXT);
    uint64_t decided = tm_doc_number(&l->doc, TM_WORD_DECIDED);
    uint64_t time = tm_doc_number(&l->doc, TM_WORD_TIMESTAMP) << TM_LOGICAL_BITS |
                    tm_doc_number(&l->doc, TM_WORD_LOGICAL);
    if (next > w->next_version) w->next_version = next;
    if (decided > w->decided) w->decided = decided;
    if (decided >= w->next_version) w->next_version = decided + 1;
    w->retired |= tm_doc_number(&l->doc, TM_WORD_RETIRED) != 0;
    if (time > e->seen_time) e->seen_time = time;
    *(l->local ? &w->record.local : &w->record.disk) = true;
    if (e->started || (!tm_doc_has(&l->doc, TM_WORD_AHEAD, TM_JSON_INT) &&
                       !tm_doc_has(&l->doc, TM_WORD_BEHIND, TM_JSON_INT))) {
        return TM_OK;
    }
    e->offset_known = true;
    e->offset_ms = tm_doc_number(&l->doc, TM_WORD_AHEAD) -
                   tm_doc_number(&l->doc, TM_WORD_BEHIND);
    return TM_OK;
}

static tm_status state_load(loading *l) {
    tm_span mark = l->doc.at[TM_WORD_MARK].text;
    if (mark.ptr == NULL || mark.len > TM_MARK_MAX) return TM_E_CORRUPT;
    memcpy(l->bytes, mark.ptr, mark.len);
    l->mark = (tm_span){l->bytes, mark.len};
    l->generation = tm_doc_number(&l->doc, TM_WORD_GENERATION);
    l->cursor = tm_doc_number(&l->doc, TM_WORD_CURSOR);
    l->state = true;
    return TM_OK;
}

static tm_status base_load(loading *l) {
    tm_disk *disk = &l->e->disk;
    l->covered = disk->base_version = tm_doc_number(&l->doc, TM_WORD_VERSION);
    disk->base_bytes = l->piece->len;
    return tm_state_read(l->e, &l->doc, &l->list);
}

static tm_status tail_load(loading *l) {
    tm_engine *e = l->e;
    tm_got *ops;
    uint64_t to = tm_doc_number(&l->doc, TM_WORD_VERSION);
    tm_status status = tm_ops_read(e, &l->doc, TM_WORD_OPERATIONS, &ops);
    if (status == TM_OK && l->list == NULL) {
        status = tm_list_new(e->alloc, e->seed, &l->list);
    }
    if (status == TM_OK) status = tm_ops_join(e, l->list, ops);
    if (tm_doc_number(&l->doc, TM_WORD_FROM) <= l->covered && to > l->covered) {
        l->covered = to;
    }
    e->disk.tail_bytes += l->piece->len;
    return status;
}

static tm_status dead_load(loading *l) {
    tm_span operation = l->doc.at[TM_WORD_OPERATION].text;
    tm_span code = l->doc.at[TM_WORD_CODE].text;
    if (!tm_op_id_valid(l->rest) || operation.ptr == NULL || code.ptr == NULL) {
        return TM_E_CORRUPT;
    }
    if (tm_dead_find(l->e, l->rest) != NULL) return TM_OK;
    tm_dead *dead = tm_dead_new(l->e, l->rest, operation, code);
    if (dead == NULL) return TM_E_NOMEM;
    dead->record.dirty = false;
    dead->record.disk = true;
    return TM_OK;
}

// What was left of a C that is not whole: as if it had been replaced.
static tm_status rest_take(tm_engine *e, tm_list *rest, const tm_list *fresh) {
    if (rest == NULL) return TM_OK;
    tm_arena_reset(&e->arena);
    tm_status status = tm_offer_make(e, rest, fresh);
    tm_list_free(rest);
    return status;
}

// ---- entries -----------------------------------------------------------------------

// What becomes of one of its operations. DONE: it is settled, or known as a
// dead letter.
static tm_fate fate_of(const loading *l, const tm_op *op, const tm_entry *entry,
                       const tm_writer *name) {
    const tm_engine *e = l->e;
    if (tm_dead_find(e, op->id) != NULL || tm_table_get(&e->ids, op->id) != NULL) {
        return TM_FATE_DONE;
    }
    if (op->seq > 0) {
        // Its seq counts in a history that another page has replaced: ask the
        // server.
        if (tm_doc_number(&l->doc, TM_WORD_GENERATION) != e->generation) {
            return TM_FATE_OFFER;
        }
        return op->seq <= e->cursor ? TM_FATE_DONE : TM_FATE_ACCEPTED;
    }
    if (name != entry->owner) return TM_FATE_OFFER;
    if (op->at.version <= name->decided) return TM_FATE_DONE;
    return name->retired ? TM_FATE_OFFER : TM_FATE_PENDING;
}

static tm_status op_load(loading *l, tm_entry *entry, const tm_op *op) {
    tm_engine *e = l->e;
    tm_writer *name = tm_writer_get(e, op->at.browser);
    if (name == NULL) return TM_E_NOMEM;
    if (op->at.version >= name->next_version)
        name->next_version = op->at.version + 1;
    tm_fate fate = fate_of(l, op, entry, name);
    if (fate == TM_FATE_DONE) return TM_OK;
    tm_own *own = tm_own_new(e, op, entry, fate);
    if (own == NULL) return TM_E_NOMEM;
    own->op.at.browser = name->browser;
    if (fate != TM_FATE_OFFER) own->writer = name;
    if (fate == TM_FATE_OFFER) own->op.seq = 0;
    return fate == TM_FATE_ACCEPTED ? tm_list_apply(e->confirmed, &own->op, NULL)
                                    : TM_OK;
}

static tm_status entry_load(loading *l) {
    tm_engine *e = l->e;
    tm_got *ops;
    tm_span browser = l->doc.at[TM_WORD_WRITER].text;
    tm_status status = tm_ops_read(e, &l->doc, TM_WORD_OPERATIONS, &ops);
    if (status != TM_OK) return status;
    if (!tm_browser_id_valid(browser) || !tm_op_id_valid(l->rest))
        return TM_E_CORRUPT;
    tm_writer *owner = tm_writer_get(e, browser);
    if (owner == NULL) return TM_E_NOMEM;
    l->entry = l->rest;
    l->last = NULL;
    if (owner->adopted == 0) return TM_OK; // another page's
    for (tm_record *r = e->started ? e->records : NULL; r != NULL; r = r->next) {
        tm_span key = {r->key, r->key_len};
        if (tm_span_cmp(key, l->key) == 0) return TM_OK; // we know better
    }
    tm_entry *entry =
        (tm_entry *)tm_record_new(e, TM_RECORD_ENTRY, sizeof *entry, l->rest);
    if (entry == NULL) return TM_E_NOMEM;
    l->last = entry;
    entry->owner = owner;
    entry->record.told = true;
    *(l->local ? &entry->record.local : &entry->record.disk) = true;
    for (const tm_got *one = ops; one != NULL && status == TM_OK; one = one->next) {
        status = op_load(l, entry, &one->op);
    }
    entry->record.gone = entry->open == 0;
    if (l->local || entry->record.gone) tm_record_change(e, &entry->record);
    return status;
}

// ---- all of them -------------------------------------------------------------------

static tm_status record_load(loading *l) {
    static tm_status (*const loads[RANKS])(loading *) = {
        writer_load, state_load, base_load, tail_load, dead_load, entry_load};
    const tm_piece *piece = l->piece;
    tm_span text = {piece->text + piece->key_len, piece->len};
    tm_status status = tm_doc_parse(text, &l->e->arena, &l->doc);
    return status == TM_OK ? loads[piece->rank](l) : status;
}

static int piece_cmp(const void *a, const void *b) {
    const tm_piece *x = a, *y = b;
    if (x->rank != y->rank) return x->rank - y->rank;
    int order =
        tm_span_cmp((tm_span){x->text, x->key_len}, (tm_span){y->text, y->key_len});
    return order != 0 ? order : (int)x->version - (int)y->version; // disk first
}

// Reads what waits, of these ranks. TM_E_NOMEM: not all of it.
static tm_status load_all(loading *l, uint8_t first, uint8_t last) {
    tm_engine *e = l->e;
    size_t count = 0;
    tm_arena arena = {.alloc = e->alloc};
    const void **sorted = tm_arena_get(&arena, e->loaded_count * sizeof *sorted);
    tm_status status = sorted != NULL ? TM_OK : TM_E_NOMEM;
    for (tm_piece *one = e->loaded; sorted != NULL && one != NULL;
         one = one->next) {
        if (one->rank >= first && one->rank <= last) sorted[count++] = one;
    }
    tm_sort(sorted, count, piece_cmp);
    for (size_t i = 0; i < count && status != TM_E_NOMEM; i++) {
        const tm_piece *piece = l->piece = sorted[i];
        tm_span key = l->key = (tm_span){piece->text, piece->key_len};
        l->rest = (tm_span){piece->text + piece->prefix, key.len - piece->prefix};
        l->local = piece->version != 0;
        tm_arena_reset(&e->arena);
        if (piece->rank == RANK_ENTRY && l->local && l->entry.len > 0 &&
            tm_span_cmp(l->entry, l->rest) == 0) { // disk's copy won
            if (l->last != NULL) l->last->record.local = true;
            continue;
        }
        status = record_load(l);
        if (status == TM_OK || status == TM_E_NOMEM) continue;
        if (piece->rank <= RANK_TAIL) l->damaged = true;
        tm_note_text(e, TM_EVENT_DAMAGE, key,
                     status == TM_E_RANGE ? TM_SPAN("of another version")
                                          : TM_SPAN("unreadable"));
    }
    tm_arena_deinit(&arena);
    return status == TM_E_NOMEM ? status : TM_OK;
}

static int version_cmp(const void *a, const void *b) {
    const tm_own *x = a, *y = b;
    return (x->op.at.version > y->op.at.version) -
           (x->op.at.version < y->op.at.version);
}

// Those behind `before` were read in the order of their keys; now of their
// versions.
static tm_status order_all(tm_engine *e, tm_own *before) {
    size_t count = 0;
    tm_status status = TM_OK;
    tm_own *first = before != NULL ? before->next : e->first;
    tm_arena_reset(&e->arena);
    for (tm_own *own = first; own != NULL; own = own->next) {
        count++;
    }
    const void **sorted = tm_arena_get(&e->arena, count * sizeof *sorted);
    if (sorted == NULL) return TM_E_NOMEM;
    count = 0;
    for (tm_own *own = first; own != NULL; own = own->next) {
        sorted[count++] = own;
    }
    tm_sort(sorted, count, version_cmp);
    for (size_t i = 0; i < count; i++) {
        tm_own *own = (tm_own *)(uintptr_t)sorted[i];
        own->prev = before;
        own->next = NULL;
        *(before != NULL ? &before->next : &e->first) = own;
        e->last = before = own;
        if (status == TM_OK) status = tm_own_attach(e, own);
    }
    return status;
}

// The queue, and what else stands on C.
static tm_status rest_load(loading *l) {
    tm_engine *e = l->e;
    tm_own *before = e->last;
    tm_status status = load_all(l, RANK_DEAD, RANK_ENTRY);
    tm_status ordered = order_all(e, before);
    tm_load_free(e);
    e->view.all = e->status_changed = true;
    tm_disk_passed(e);
    tm_sync_flush(e);
    return status == TM_OK ? ordered : status;
}

// The stored C, or an empty one if it is not whole, and then what is left of it
// in *rest.
static tm_status c_load(loading *l, tm_list **c, tm_list **rest) {
    tm_engine *e = l->e;
    tm_disk *disk = &e->disk;
    *c = *rest = NULL;
    l->mark = TM_SPAN("");
    disk->tail_bytes = disk->base_version = 0;
    tm_status status = load_all(l, RANK_STATE, RANK_TAIL);
    if (l->list != NULL || l->state)
        l->damaged |= !l->state || l->covered < l->cursor;
    *(l->damaged ? rest : c) = l->list;
    if (status == TM_OK && *c == NULL) status = tm_list_new(e->alloc, e->seed, c);
    if (status != TM_OK) {
        tm_list_free(l->list);
        return status;
    }
    disk->generation = l->generation;
    disk->cursor = l->cursor;
    if (!l->damaged) return TM_OK;
    l->generation++; // above what is stored
    l->cursor = 0;
    l->mark = TM_SPAN("");
    disk->base_due = disk->changed = true;
    return TM_OK;
}

// ---- starting ----------------------------------------------------------------------

tm_status tm_engine_adopt(tm_engine *e, tm_now now, tm_span browser) {
    loading l = {.e = e};
    e->now = now;
    if (!tm_browser_id_valid(browser)) return TM_E_RANGE;
    tm_writer *w = tm_writer_get(e, browser);
    if (w == NULL) return TM_E_NOMEM;
    if (w->adopted == 0) w->adopted = ++e->adopted;
    if (!e->started) return TM_OK;
    tm_status status = load_all(&l, RANK_WRITER, RANK_WRITER);
    tm_status rest = rest_load(&l);
    return status == TM_OK ? rest : status;
}

// The first adopted that is not retired takes the edits.
static tm_status editor_find(tm_engine *e, tm_span fresh) {
    uint8_t id[22];
    tm_writer *best = NULL;
    for (tm_writer *w = e->writers; w != NULL; w = w->next) {
        if (w->adopted == 0 || w->retired) continue;
        if (best == NULL || w->adopted < best->adopted) best = w;
    }
    if (best == NULL) {
        if (!tm_browser_id_valid(fresh)) fresh = tm_engine_draw_id(e, id);
        best = tm_writer_get(e, fresh);
        if (best == NULL) return TM_E_NOMEM;
        best->adopted = ++e->adopted;
        best->record.keep = e->disk.local = true;
        tm_record_change(e, &best->record);
        tm_note_text(e, TM_EVENT_WRITER, best->browser, (tm_span){NULL, 0});
    }
    e->editor = best;
    return TM_OK;
}

// A retired writer of whom nothing is left is of no use to the next page.
static void retired_sweep(tm_engine *e) {
    for (tm_writer *w = e->writers; w != NULL; w = w->next) {
        const tm_record *r = e->records;
        while (r != NULL &&
               (r->kind != TM_RECORD_ENTRY || ((const tm_entry *)r)->owner != w)) {
            r = r->next;
        }
        if (w->adopted == 0 || !w->retired || r != NULL) continue;
        w->record.gone = true;
        tm_record_change(e, &w->record);
    }
}

tm_status tm_engine_start(tm_engine *e, tm_now now, tm_span fresh, bool disk) {
    loading l = {.e = e};
    tm_list *c, *rest;
    if (e->started) return TM_E_STATE;
    e->now = now;
    e->disk.there = disk;
    tm_status status = load_all(&l, RANK_WRITER, RANK_WRITER);
    if (status == TM_OK) status = editor_find(e, fresh);
    if (status == TM_OK) status = c_load(&l, &c, &rest);
    if (status != TM_OK) return status;
    tm_list_free(e->confirmed);
    e->confirmed = c;
    e->generation = l.generation;
    e->cursor = l.cursor;
    tm_arrive_mark(e, l.mark);
    status = rest_take(e, rest, c);
    if (status == TM_OK) status = rest_load(&l);
    if (status != TM_OK) return status;
    retired_sweep(e);
    e->started = true;
    return TM_OK;
}

tm_status tm_engine_reloaded(tm_engine *e, tm_now now) {
    loading l = {.e = e};
    tm_list *c, *rest;
    e->now = now;
    if (!e->disk.reload) return TM_E_STATE;
    e->disk.base_due = false;
    tm_status status = c_load(&l, &c, &rest);
    if (status == TM_OK) {
        status = rest_take(e, rest, c);
        if (status != TM_OK) tm_list_free(c);
    }
    if (status == TM_OK) {
        status = tm_arrive_replace(e, c, l.cursor, l.mark, TM_INT_MAX);
    }
    if (status != TM_OK) {
        e->disk.base_due = true;
        return status;
    }
    e->generation = l.generation;
    e->disk.base_due = l.damaged;
    e->disk.reload = false;
    tm_disk_pieces_free(e, TM_NEVER);
    tm_load_free(e);
    e->sync.pull |= !e->manual;
    return TM_OK;
}
