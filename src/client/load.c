// load.c - see inner.h. Stored records become an engine; the table of them is in
// engine.h, their text in record.h. DESIGN 1.
//
// What is loaded is staged: which writers are ours, and whether the tails reach the stored
// cursor, is known only when all is there. A record that cannot be read costs what it
// held and nothing else: a missing entry is healed by the server's gap stop, and if C is
// not whole, what is left of it is offered like what a replaced C had.
#include "client/arrive.h"

#include "core/sort.h"

#include <string.h>

static void damage(tm_engine *e, tm_span key, const char *why) {
    tm_span text = {(const uint8_t *)why, 0};
    while (why[text.len] != '\0') {
        text.len++;
    }
    tm_note_text(e, TM_EVENT_DAMAGE, key, text);
}

// What stands behind the prefix. False: another key.
static bool key_is(tm_span key, const char *prefix, tm_span *rest) {
    size_t len = 0;
    while (prefix[len] != '\0') {
        len++;
    }
    if (key.len < len || memcmp(key.ptr, prefix, len) != 0) return false;
    *rest = (tm_span){key.ptr + len, key.len - len};
    return true;
}

// ---- entries ------------------------------------------------------------------------

static void entry_empty(tm_engine *e, tm_entry *entry) {
    for (tm_own *own = entry->first; own != NULL;) {
        tm_own *sibling = own->sibling;
        tm_own_free(e->alloc, own);
        own = sibling;
    }
    entry->first = entry->last = NULL;
    entry->open = 0;
}

static tm_status op_load(tm_engine *e, tm_json *in, tm_entry *entry) {
    tm_op op;
    tm_status status = tm_op_read(in, &op);
    if (status != TM_OK) return status;
    if (op.fault != TM_FAULT_NONE) return TM_E_CORRUPT;
    tm_writer *name = tm_queue_writer(&e->queue, op.at.browser);
    tm_own *own = name != NULL ? tm_own_new(e->alloc, &op) : NULL;
    if (own == NULL) return tm_refused();
    own->op.at.browser = name->browser;
    own->writer = name;
    own->fate = op.seq > 0 ? TM_FATE_ACCEPTED : TM_FATE_PENDING;
    tm_entry_add(entry, own);
    return TM_OK;
}

static tm_status ops_load(tm_engine *e, const tm_doc *doc, tm_entry *entry) {
    tm_json in;
    tm_status status = TM_OK;
    tm_doc_array(doc, TM_WORD_OPERATIONS, &in, &e->arena);
    while (status == TM_OK && tm_json_element(&in)) {
        status = op_load(e, &in, entry);
    }
    if (status == TM_OK) status = in.status;
    if (status != TM_OK) return status;
    tm_doc_array(doc, TM_WORD_OFFERED, &in, &e->arena);
    while (status == TM_OK && tm_json_element(&in)) {
        uint64_t index;
        status = tm_json_u64(&in, &index);
        tm_own *own = entry->first;
        while (status == TM_OK && own != NULL && index-- > 0) {
            own = own->sibling;
        }
        if (status == TM_OK && own != NULL) own->fate = TM_FATE_OFFER;
    }
    return status == TM_OK ? in.status : status;
}

static tm_status entry_make(tm_engine *e, tm_span id, const tm_doc *doc,
                            tm_entry **made) {
    tm_span browser = doc->at[TM_WORD_WRITER].text;
    if (!tm_browser_id_valid(browser)) return TM_E_CORRUPT;
    tm_writer *owner = tm_queue_writer(&e->queue, browser);
    tm_entry *entry = owner != NULL ? tm_queue_entry(&e->queue, owner) : NULL;
    if (entry == NULL) return tm_refused();
    tm_entry_name(entry, id);
    entry->kept.staged = true;
    entry->generation = tm_doc_number(doc, TM_WORD_GENERATION);
    tm_status status = ops_load(e, doc, entry);
    if (status == TM_OK && entry->first == NULL) status = TM_E_CORRUPT;
    if (status == TM_OK) {
        *made = entry;
        return TM_OK;
    }
    entry_empty(e, entry);
    tm_queue_drop_entry(&e->queue, entry);
    return status;
}

static tm_status entry_load(tm_engine *e, tm_place place, tm_span id,
                            tm_span value) {
    tm_doc doc;
    if (!tm_op_id_valid(id)) return TM_E_CORRUPT;
    tm_entry *old = tm_table_get(&e->loading.entries, id);
    tm_entry *entry = old;
    if (old == NULL || place == TM_PLACE_DISK) {
        tm_status status = tm_doc_parse(value, &e->arena, &doc);
        if (status == TM_OK) status = entry_make(e, id, &doc, &entry);
        if (status != TM_OK) return status;
        tm_span key = {entry->key + 3, id.len};
        status = tm_table_set(&e->loading.entries, key, entry);
        if (status != TM_OK) {
            entry_empty(e, entry);
            tm_queue_drop_entry(&e->queue, entry);
            return status;
        }
        if (old != NULL) { // the disk's copy wins
            entry->kept.local = old->kept.local;
            entry_empty(e, old);
            tm_queue_drop_entry(&e->queue, old);
        }
    }
    if (place == TM_PLACE_DISK) entry->kept.disk = true;
    if (place == TM_PLACE_LOCAL) entry->kept.local = true;
    return TM_OK;
}

// ---- the other records ----------------------------------------------------------------

static tm_status writer_load(tm_engine *e, tm_place place, tm_span browser,
                             const tm_doc *doc) {
    if (!tm_browser_id_valid(browser) ||
        !tm_doc_has(doc, TM_WORD_NEXT, TM_JSON_INT)) {
        return TM_E_CORRUPT;
    }
    tm_writer *w = tm_queue_writer(&e->queue, browser);
    if (w == NULL) return tm_refused();
    uint64_t next = tm_doc_number(doc, TM_WORD_NEXT);
    uint64_t decided = tm_doc_number(doc, TM_WORD_DECIDED);
    uint64_t ms = tm_doc_number(doc, TM_WORD_TIMESTAMP);
    uint64_t time =
        ms << TM_LOGICAL_BITS | (tm_doc_number(doc, TM_WORD_LOGICAL) & 0xffff);
    if (next > w->next_version) w->next_version = next;
    if (decided > w->decided) w->decided = w->settled = decided;
    if (tm_doc_number(doc, TM_WORD_RETIRED) != 0) w->retired = true;
    if (tm_doc_number(doc, TM_WORD_DISK) != 0) w->disked = true;
    if (ms <= TM_MS_MAX && time > e->seen_time) e->seen_time = time;
    if (place == TM_PLACE_DISK) w->kept.disk = true;
    if (place == TM_PLACE_LOCAL) w->kept.local = true;
    return TM_OK;
}

static tm_status list_load(tm_engine *e, tm_list **into, const tm_doc *doc) {
    tm_list *list;
    uint64_t time = 0;
    tm_status status = tm_state_read(e, doc, &list, &time);
    if (status != TM_OK) return status;
    if (time > e->seen_time) e->seen_time = time;
    if (*into == NULL) {
        *into = list;
        return TM_OK;
    }
    status = tm_list_join(*into, list);
    tm_list_free(list);
    return status;
}

static tm_status lacking_load(tm_engine *e, tm_span browser, const tm_doc *doc) {
    if (!tm_browser_id_valid(browser)) return TM_E_CORRUPT;
    tm_writer *w = tm_queue_writer(&e->queue, browser);
    tm_loaded *one = tm_alloc_get(e->alloc, sizeof *one);
    tm_status status = w == NULL || one == NULL ? tm_refused() : TM_OK;
    if (status == TM_OK) status = list_load(e, &one->list, doc);
    if (status != TM_OK) {
        tm_alloc_put(e->alloc, one, sizeof *one);
        return status;
    }
    one->writer = w;
    one->next = e->loading.lackings;
    e->loading.lackings = one;
    return TM_OK;
}

static tm_status state_load(tm_engine *e, const tm_doc *doc) {
    tm_loading *l = &e->loading;
    tm_span mark = doc->at[TM_WORD_MARK].text;
    if (!tm_doc_has(doc, TM_WORD_GENERATION, TM_JSON_INT) ||
        !tm_doc_has(doc, TM_WORD_CURSOR, TM_JSON_INT) || mark.ptr == NULL ||
        mark.len > TM_MARK_MAX) {
        return TM_E_CORRUPT;
    }
    l->state = true;
    l->generation = tm_doc_number(doc, TM_WORD_GENERATION);
    l->cursor = tm_doc_number(doc, TM_WORD_CURSOR);
    memcpy(l->bytes, mark.ptr, mark.len);
    l->mark = (tm_span){l->bytes, mark.len};
    return TM_OK;
}

static tm_status tail_load(tm_engine *e, tm_span digits, const tm_doc *doc) {
    tm_loading *l = &e->loading;
    tm_json in;
    tm_status status = TM_OK;
    uint64_t to = 0;
    for (size_t i = 0; i < digits.len && i < 16; i++) {
        to = to * 10 + (uint64_t)(digits.ptr[i] - '0');
    }
    if (!tm_doc_has(doc, TM_WORD_FROM, TM_JSON_INT)) return TM_E_CORRUPT;
    if (l->list == NULL) status = tm_list_new(e->alloc, e->seed, &l->list);
    tm_doc_array(doc, TM_WORD_OPERATIONS, &in, &e->arena);
    while (status == TM_OK && tm_json_element(&in)) {
        tm_op op;
        status = tm_op_read(&in, &op);
        if (status == TM_OK && op.fault != TM_FAULT_NONE) status = TM_E_CORRUPT;
        if (status == TM_OK) status = tm_list_apply(l->list, &op, NULL);
        if (status == TM_OK && op.at.time > e->seen_time) e->seen_time = op.at.time;
    }
    if (status == TM_OK) status = in.status;
    struct tm_stretch *one = tm_alloc_get(e->alloc, sizeof *one);
    if (status == TM_OK && one == NULL) status = tm_refused();
    if (status != TM_OK) {
        tm_alloc_put(e->alloc, one, sizeof *one);
        return status;
    }
    one->from = tm_doc_number(doc, TM_WORD_FROM);
    one->to = to;
    one->next = l->stretches;
    l->stretches = one;
    return TM_OK;
}

// C's own records.
static tm_status c_load(tm_engine *e, tm_span key, tm_span value) {
    tm_loading *l = &e->loading;
    tm_doc doc;
    tm_span rest;
    tm_status status = tm_doc_parse(value, &e->arena, &doc);
    if (status != TM_OK) return status;
    if (key_is(key, "tail/", &rest)) {
        l->tail_bytes += value.len;
        return tail_load(e, rest, &doc);
    }
    if (tm_text_is(key, "state")) return state_load(e, &doc);
    l->base = tm_doc_number(&doc, TM_WORD_VERSION);
    l->base_bytes = value.len;
    return list_load(e, &l->list, &doc);
}

static tm_status dead_load(tm_engine *e, tm_span id, const tm_doc *doc) {
    tm_span operation = doc->at[TM_WORD_OPERATION].text;
    tm_span code = doc->at[TM_WORD_CODE].text;
    if (!tm_op_id_valid(id) || operation.ptr == NULL || code.ptr == NULL) {
        return TM_E_CORRUPT;
    }
    if (tm_dead_find(e, id) != NULL) return TM_OK;
    tm_dead *dead = tm_dead_new(e, id, operation, code);
    if (dead == NULL) return tm_refused();
    dead->kept.dirty = false;
    return TM_OK;
}

static tm_status offset_load(tm_engine *e, const tm_doc *doc) {
    bool ahead = tm_doc_has(doc, TM_WORD_AHEAD, TM_JSON_INT);
    if (!ahead && !tm_doc_has(doc, TM_WORD_BEHIND, TM_JSON_INT))
        return TM_E_CORRUPT;
    e->offset_known = true;
    e->offset_ms =
        tm_doc_number(doc, TM_WORD_AHEAD) - tm_doc_number(doc, TM_WORD_BEHIND);
    return TM_OK;
}

static tm_status other_load(tm_engine *e, tm_place place, tm_span key,
                            tm_span value) {
    tm_doc doc;
    tm_span rest;
    tm_status status = tm_doc_parse(value, &e->arena, &doc);
    if (status != TM_OK) return status;
    if (key_is(key, "writer/", &rest)) return writer_load(e, place, rest, &doc);
    if (key_is(key, "lacking/", &rest)) return lacking_load(e, rest, &doc);
    if (key_is(key, "dead/", &rest)) return dead_load(e, rest, &doc);
    if (tm_text_is(key, "offset") && !e->started) return offset_load(e, &doc);
    return TM_OK;
}

tm_status tm_engine_load(tm_engine *e, tm_place place, tm_span key, tm_span value) {
    tm_span rest;
    tm_status status;
    bool c = tm_text_is(key, "state") || tm_text_is(key, "base") ||
             key_is(key, "tail/", &rest);
    tm_arena_reset(&e->arena);
    if (e->disk.reload && !c) return TM_OK;
    if (c) {
        if ((e->started && !e->disk.reload) || place == TM_PLACE_LOCAL)
            return TM_OK;
        status = c_load(e, key, value);
        if (status != TM_OK) e->loading.damaged = true;
    } else if (key_is(key, "op/", &rest)) {
        status = entry_load(e, place, rest, value);
    } else {
        status = other_load(e, place, key, value);
    }
    if (status == TM_OK || status == TM_E_NOMEM) return status;
    damage(e, key, status == TM_E_RANGE ? "newer format" : "unreadable");
    return TM_OK;
}

// ---- C ------------------------------------------------------------------------------

static void stretches_free(tm_engine *e) {
    while (e->loading.stretches != NULL) {
        struct tm_stretch *one = e->loading.stretches;
        e->loading.stretches = one->next;
        tm_alloc_put(e->alloc, one, sizeof *one);
    }
}

void tm_loading_deinit(tm_engine *e) {
    tm_loading *l = &e->loading;
    stretches_free(e);
    tm_list_free(l->list);
    while (l->lackings != NULL) {
        tm_loaded *one = l->lackings;
        l->lackings = one->next;
        tm_list_free(one->list);
        tm_alloc_put(e->alloc, one, sizeof *one);
    }
    tm_table_deinit(&l->entries);
    *l = (tm_loading){0};
    tm_table_init(&l->entries, e->alloc, e->seed);
}

// How far base and tails reach without a hole; they may overlap.
static uint64_t reach(const tm_loading *l) {
    uint64_t to = l->base;
    for (bool more = true; more;) {
        more = false;
        for (const struct tm_stretch *one = l->stretches; one != NULL;
             one = one->next) {
            if (one->from > to || one->to <= to) continue;
            to = one->to;
            more = true;
        }
    }
    return to;
}

static void item_time(tm_engine *e, const tm_item *item) {
    tm_item_field field;
    for (size_t at = 0; item != NULL && tm_item_next(item, &at, &field);) {
        if (field.reg.at.time > e->seen_time) e->seen_time = field.reg.at.time;
    }
}

static void list_time(tm_engine *e, const tm_list *list) {
    item_time(e, tm_list_find(list, TM_SPAN(""))); // the sort direction
    for (size_t i = 0; i < tm_list_count(list); i++) {
        item_time(e, tm_list_at(list, i));
    }
}

// The stored C, or, if it is not whole, an empty one, and what is left in *rest.
static tm_status c_make(tm_engine *e, tm_list **c, tm_list **rest) {
    tm_loading *l = &e->loading;
    tm_status status = TM_OK;
    bool nothing = !l->state && l->list == NULL && !l->damaged;
    if (!nothing && (!l->state || reach(l) < l->cursor)) l->damaged = true;
    *c = *rest = NULL;
    if (l->damaged) {
        *rest = l->list;
    } else {
        *c = l->list;
    }
    if (*c == NULL) status = tm_list_new(e->alloc, e->seed, c);
    if (status != TM_OK) return status;
    l->list = NULL;
    list_time(e, *c);
    tm_disk_mark(&e->disk.mark, l->mark);
    e->disk.generation = l->generation;
    e->disk.cursor = l->cursor;
    e->disk.tail_bytes = l->tail_bytes;
    e->disk.base_bytes = l->base_bytes;
    e->disk.base_version = l->base;
    if (l->damaged) { // what is stored is not above what we now have
        l->generation++;
        l->cursor = 0;
        l->mark = TM_SPAN("");
        e->disk.base_due = e->disk.changed = true;
    }
    return TM_OK;
}

static tm_status lacking_join(tm_engine *e, tm_list *list) {
    if (list == NULL) return TM_OK;
    if (e->lacking == NULL) {
        e->lacking = list;
        return TM_OK;
    }
    tm_status status = tm_list_join(e->lacking, list);
    tm_list_free(list);
    return status;
}

// ---- the queue ------------------------------------------------------------------------

static int version_cmp(const void *a, const void *b) {
    const tm_own *x = a, *y = b;
    return (x->op.at.version > y->op.at.version) -
           (x->op.at.version < y->op.at.version);
}

static void own_skip(tm_engine *e, tm_own *own) {
    tm_own_done(&e->queue, own);
    e->disk.changed = true;
}

// Where one of an adopted entry belongs. True: it goes into a line.
static bool own_place(tm_engine *e, tm_own *own, tm_status *status) {
    tm_writer *owner = own->entry->owner, *name = own->writer;
    uint64_t version = own->op.at.version;
    own->made_ms = e->now.mono_ms;
    if (name == owner && version >= owner->next_version) {
        owner->next_version = version + 1;
    }
    // Its seq counts in a history that another page has replaced: only the server knows.
    if (own->fate == TM_FATE_ACCEPTED && own->entry->generation != e->generation) {
        own->fate = TM_FATE_OFFER;
        own->op.seq = 0;
    }
    if (own->fate == TM_FATE_ACCEPTED) {
        if (own->op.seq <= e->cursor) {
            own_skip(e, own);
            return false;
        }
        *status = tm_queue_accept_reserve(&e->queue, 1);
        if (*status == TM_OK) *status = tm_arrive_join(e, &own->op);
        if (*status == TM_OK) tm_queue_accept(&e->queue, own);
        return false;
    }
    if (own->fate == TM_FATE_PENDING && version <= name->decided) {
        own_skip(e, own);
        return false;
    }
    if (tm_dead_find(e, own->op.id) != NULL) {
        own_skip(e, own);
        return false;
    }
    if (owner->retired || name != owner) own->fate = TM_FATE_OFFER;
    if (own->fate == TM_FATE_OFFER) own->writer = NULL;
    return true;
}

static void entries_sift(tm_engine *e, size_t *count) {
    for (tm_entry *entry = e->queue.first; entry != NULL;) {
        tm_entry *next = entry->next;
        if (entry->kept.staged && !entry->owner->adopted) { // another page's
            entry_empty(e, entry);
            tm_queue_drop_entry(&e->queue, entry);
        } else if (entry->kept.staged) {
            *count += entry->open;
        }
        entry = next;
    }
}

// Stored twice: as a batch of its own, or by a page that died while it took another name.
// Then both are copies of one record, which must stay as long as the first is owed.
static void own_twice(tm_engine *e, tm_own *own, const tm_own *first) {
    tm_entry *entry = own->entry, *other = first->entry;
    own_skip(e, own);
    if (entry->open > 0 || other == NULL ||
        tm_span_cmp(tm_entry_key(entry), tm_entry_key(other)) != 0) {
        return;
    }
    other->kept.local |= entry->kept.local;
    other->kept.disk |= entry->kept.disk;
    other->kept.dirty = true;
    tm_queue_drop_entry(&e->queue, entry);
}

tm_status tm_load_adopted(tm_engine *e) {
    size_t count = 0, placed = 0;
    tm_status status = TM_OK;
    tm_arena_reset(&e->arena);
    entries_sift(e, &count);
    const void **line = tm_arena_get(&e->arena, count * sizeof *line);
    if (line == NULL) return tm_refused();
    for (tm_entry *entry = e->queue.first; entry != NULL; entry = entry->next) {
        if (!entry->kept.staged) continue;
        entry->kept.staged = false;
        entry->kept.told = true;
        if (!entry->kept.disk) entry->kept.dirty = e->disk.changed = true;
        for (tm_own *own = entry->first; own != NULL && status == TM_OK;
             own = own->sibling) {
            if (own_place(e, own, &status)) line[placed++] = own;
        }
    }
    tm_sort(line, placed, version_cmp);
    for (size_t i = 0; i < placed && status == TM_OK; i++) {
        tm_own *own = (tm_own *)(uintptr_t)line[i];
        const tm_own *first = tm_queue_find(&e->queue, own->op.id);
        if (first != NULL) {
            own_twice(e, own, first);
            continue;
        }
        status = tm_queue_add(&e->queue, own);
        tm_view_touch(e, own->op.instance_id);
    }
    tm_table_deinit(&e->loading.entries);
    return status;
}

static tm_status lackings_take(tm_engine *e) {
    tm_status status = TM_OK;
    for (tm_loaded *one = e->loading.lackings; one != NULL; one = one->next) {
        if (!one->writer->adopted) continue;
        one->writer->lacks = true;
        // Those of several become one record, of the first.
        if (e->lacking_owner != NULL) e->disk.lacking_due = e->disk.changed = true;
        if (e->lacking_owner == NULL) e->lacking_owner = one->writer;
        tm_list *list = one->list;
        one->list = NULL;
        if (status == TM_OK) status = lacking_join(e, list);
        tm_offer_anew(e);
        if (!e->manual) e->sync.pull = true; // to know whether the server lacks it
    }
    return status;
}

// What a place that is missing now has of a writer is not known, nor which numbers are used
// there: it takes no edits on this page. Nor does one whose record could not be read; nor
// one that was used without a disk where there is one: that it is used with one now might be
// lost with local's last seconds.
static bool is_whole(const tm_engine *e, const tm_writer *w, uint32_t flags) {
    bool read = w->kept.local || w->kept.disk;
    return read && (flags & TM_START_NO_LOCAL) == 0 && w->disked == e->disk.there;
}

// The first adopted that is not retired takes the edits, if all of it is known.
static tm_status editor_find(tm_engine *e, tm_span fresh, uint32_t flags) {
    tm_writer *best = NULL;
    for (tm_writer *w = e->queue.writers; w != NULL; w = w->next) {
        if (w->decided >= w->next_version) w->next_version = w->decided + 1;
        if (w->adopted == 0 || w->retired || !is_whole(e, w, flags)) continue;
        if (best == NULL || w->adopted < best->adopted) best = w;
    }
    if (best == NULL) {
        uint8_t id[22];
        bool taken = false;
        for (tm_writer *w = e->queue.writers; w != NULL; w = w->next) {
            taken |= tm_span_cmp(w->browser, fresh) == 0;
        }
        if (taken || !tm_browser_id_valid(fresh)) fresh = tm_engine_draw_id(e, id);
        best = tm_queue_writer(&e->queue, fresh);
        if (best == NULL) return tm_refused();
        best->adopted = 1;
        best->kept.dirty = best->kept.keep = e->disk.changed = true;
        tm_note_text(e, TM_EVENT_WRITER, best->browser, (tm_span){NULL, 0});
    }
    best->disked = e->disk.there;
    e->editor = best;
    return TM_OK;
}

// A retired writer of whom nothing is left is of no use to the next page.
static void retired_sweep(tm_engine *e) {
    for (tm_entry *entry = e->queue.first; entry != NULL; entry = entry->next) {
        entry->owner->kept.work = true;
    }
    for (tm_writer *w = e->queue.writers; w != NULL; w = w->next) {
        if (w->adopted != 0 && w->retired && !w->lacks && !w->kept.work) {
            w->kept.gone = w->kept.dirty = e->disk.changed = true;
        }
        w->kept.work = false;
    }
}

tm_status tm_engine_adopt(tm_engine *e, tm_now now, tm_span browser) {
    e->now = now;
    if (!tm_browser_id_valid(browser)) return TM_E_RANGE;
    if (e->disk.reload) return TM_E_AGAIN;
    tm_writer *w = tm_queue_writer(&e->queue, browser);
    if (w == NULL) return tm_refused();
    if (w->adopted == 0) w->adopted = ++e->loading.adopted;
    if (!e->started) return TM_OK;
    tm_status status = tm_load_adopted(e);
    if (status == TM_OK) status = lackings_take(e);
    tm_loading_deinit(e);
    e->view.all_touched = e->status_changed = true;
    tm_disk_passed(e);
    tm_sync_flush(e);
    return status;
}

tm_status tm_engine_start(tm_engine *e, tm_now now, tm_span fresh, uint32_t flags) {
    tm_list *rest;
    if (e->started) return TM_E_STATE;
    e->now = now;
    e->disk.there = (flags & TM_START_DISK) != 0;
    tm_status status = editor_find(e, fresh, flags);
    if (status != TM_OK) return status;
    tm_list_free(e->confirmed);
    e->confirmed = NULL;
    status = c_make(e, &e->confirmed, &rest);
    if (status != TM_OK) return status;
    e->generation = e->loading.generation;
    e->cursor = e->loading.cursor;
    tm_arrive_mark(e, e->loading.mark);
    if (rest != NULL) e->disk.lacking_due = true;
    status = lacking_join(e, rest);
    if (status == TM_OK) status = lackings_take(e);
    if (status == TM_OK) status = tm_load_adopted(e);
    if (status != TM_OK) return status;
    tm_loading_deinit(e);
    retired_sweep(e);
    e->started = true;
    e->view.all_touched = e->view.order_changed = e->status_changed = true;
    tm_disk_passed(e);
    if (e->queue.pending > 0) tm_sync_flush(e);
    return TM_OK;
}

// What is stored is older than C, and more than we knew of: its place is taken, and what
// it has is offered.
static tm_status older_reloaded(tm_engine *e, tm_list *c) {
    tm_status status = lacking_join(e, c);
    tm_offer_anew(e);
    e->disk.base_due = e->disk.lacking_due = e->disk.changed = true;
    e->view.all_touched = e->status_changed = true;
    return status;
}

// What is stored takes the place of C.
static tm_status newer_reloaded(tm_engine *e, tm_list *c) {
    tm_loading *l = &e->loading;
    tm_status status = tm_arrive_replace(e, c, l->cursor, l->mark, TM_INT_MAX);
    if (status != TM_OK) return status;
    e->generation = l->generation;
    e->disk.base_due = l->damaged;
    // What is out, and the connection, continue the C that was.
    e->sync.follows = false;
    e->sync.pull_out.generation = e->sync.save_out.generation = TM_NEVER;
    return TM_OK;
}

tm_status tm_engine_reloaded(tm_engine *e, tm_now now) {
    tm_list *c, *rest;
    e->now = now;
    if (!e->disk.reload) return TM_E_STATE;
    tm_disk_pieces_free(e, TM_NEVER); // what is stored, or a base, has them
    tm_status status = c_make(e, &c, &rest);
    if (status != TM_OK) return status;
    status = lacking_join(e, rest);
    if (status != TM_OK) {
        tm_list_free(c);
        return status;
    }
    status = e->loading.generation < e->generation ? older_reloaded(e, c)
                                                   : newer_reloaded(e, c);
    if (status != TM_OK) return status;
    e->disk.reload = false;
    tm_loading_deinit(e);
    if (!e->manual) e->sync.pull = true;
    tm_disk_passed(e);
    return TM_OK;
}
