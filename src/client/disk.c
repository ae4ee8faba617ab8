// disk.c - see inner.h. What is stored, and what is removed from storage after that:
// KEEP, FORGET and COMMIT of engine.h. DESIGN 1.
//
// One transaction is out at most; whatever changes meanwhile is marked and makes the next
// one, so a burst of edits is two transactions. Nothing is forgotten in memory or in
// local before disk says that it is done.
#include "client/record.h"

#include <string.h>

#define TAIL_MAX     65536u // tails above this, and above the base: a new base
#define RETRY_MS     1000u  // after a failed transaction; doubles ...
#define RETRY_MAX_MS 60000u // ... up to this

#define KEY_MAX 96u

// ---- writing a transaction ------------------------------------------------------------

static void put(tm_buf *out, tm_span key, const tm_buf *record) {
    tm_out_comma(out);
    tm_buf_text(out, "[\"put\",");
    tm_buf_json(out, key);
    tm_buf_byte(out, ',');
    tm_buf_json(out, tm_buf_span(record));
    tm_buf_byte(out, ']');
    if (tm_buf_status(record) != TM_OK) out->status = TM_E_NOMEM;
}

static void del(tm_buf *out, tm_span key) {
    tm_out_comma(out);
    tm_buf_text(out, "[\"del\",");
    tm_buf_json(out, key);
    tm_buf_byte(out, ']');
}

static tm_span tail_key(uint8_t key[KEY_MAX], uint64_t version) {
    memcpy(key, "tail/", 5);
    for (size_t i = 0; i < 16; i++, version /= 10) {
        key[20 - i] = (uint8_t)('0' + version % 10);
    }
    return (tm_span){key, 21};
}

static tm_span lacking_key(uint8_t key[KEY_MAX], const tm_writer *writer) {
    memcpy(key, "lacking/", 8);
    memcpy(key + 8, writer->browser.ptr, writer->browser.len);
    return (tm_span){key, 8 + writer->browser.len};
}

// Whether C has more than the cursor says: what other pages load must not.
static bool beyond(const tm_engine *e) {
    return tm_queue_acked(&e->queue) > e->cursor;
}

static void guarded_write(tm_engine *e, tm_buf *out) {
    tm_disk *disk = &e->disk;
    uint8_t key[KEY_MAX];
    size_t tails = disk->tail_bytes + disk->pieces_bytes;
    if (tails > TAIL_MAX && tails > disk->base_bytes && !beyond(e)) {
        disk->base_due = true;
    }
    disk->out_base = disk->base_due;
    if (disk->base_due) {
        tm_disk_pieces_free(
            e, TM_NEVER); // the base has them; it stays due if it fails
        tm_buf_text(out, "[\"clear\",\"tail/\"]");
        tm_record_list(&e->read, e->confirmed, e->cursor);
        disk->base_bytes = e->read.len;
        disk->base_version = e->cursor;
        put(out, TM_SPAN("base"), &e->read);
    }
    for (tm_piece *piece = disk->first; piece != NULL; piece = piece->next) {
        tm_buf text = {.ptr = piece->text, .len = piece->len};
        put(out, tail_key(key, piece->version), &text);
    }
    tm_record_state(&e->read, e, disk->base_version);
    put(out, TM_SPAN("state"), &e->read);
    e->editor->kept.dirty = true; // it has H, which moved with C
}

static void lacking_write(tm_engine *e, tm_buf *out) {
    uint8_t key[KEY_MAX];
    if (e->lacking_owner == NULL) e->lacking_owner = e->editor;
    e->disk.out_lacks = e->lacking != NULL;
    for (tm_writer *w = e->queue.writers; w != NULL; w = w->next) {
        if (e->lacking != NULL && w == e->lacking_owner) {
            tm_record_list(&e->read, e->lacking, 0);
            put(out, lacking_key(key, w), &e->read);
        } else if (w->lacks) {
            del(out, lacking_key(key, w));
        }
    }
}

static void always_write(tm_engine *e, tm_buf *out) {
    tm_disk *disk = &e->disk;
    if (disk->lacking_due) lacking_write(e, out);
    if (disk->offset_due) {
        tm_record_offset(&e->read, e->offset_ms);
        put(out, TM_SPAN("offset"), &e->read);
    }
    for (tm_entry *entry = e->queue.first; entry != NULL; entry = entry->next) {
        if (!entry->kept.dirty || entry == e->batch) continue;
        if (entry->kept.gone) {
            del(out, tm_entry_key(entry));
            continue;
        }
        tm_record_entry(&e->read, entry, e->generation);
        put(out, tm_entry_key(entry), &e->read);
    }
    for (tm_writer *w = e->queue.writers; w != NULL; w = w->next) {
        if (!w->kept.dirty) continue;
        tm_span key = {w->key, w->key_len};
        if (w->kept.gone) {
            del(out, key);
            continue;
        }
        tm_record_writer(&e->read, w, w->decided, e->seen_time);
        put(out, key, &e->read);
    }
    for (tm_dead *dead = disk->dead; dead != NULL; dead = dead->next) {
        if (!dead->kept.dirty) continue;
        tm_span key = {dead->key, dead->key_len};
        if (dead->kept.gone) {
            del(out, key);
            continue;
        }
        tm_record_dead(&e->read, dead);
        put(out, key, &e->read);
    }
}

// dirty -> out, or back again.
static void turn(tm_kept *kept, bool out) {
    if (out && kept->dirty) {
        kept->dirty = false;
        kept->out = true;
    } else if (!out && kept->out) {
        kept->dirty = true;
        kept->out = false;
    }
}

static void turn_all(tm_engine *e, bool out) {
    for (tm_entry *entry = e->queue.first; entry != NULL; entry = entry->next) {
        if (entry != e->batch) turn(&entry->kept, out);
    }
    for (tm_writer *w = e->queue.writers; w != NULL; w = w->next) {
        turn(&w->kept, out);
    }
    for (tm_dead *dead = e->disk.dead; dead != NULL; dead = dead->next) {
        turn(&dead->kept, out);
    }
}

static void later(tm_disk *disk, uint64_t now_ms) {
    uint64_t wait = RETRY_MAX_MS;
    if (disk->failures < 6) wait = (uint64_t)RETRY_MS << disk->failures;
    disk->failures++;
    disk->retry_ms = now_ms + wait;
}

bool tm_disk_compose(tm_engine *e, tm_buf *out) {
    tm_disk *disk = &e->disk;
    if (!disk->there || !disk->changed || disk->out || disk->reload ||
        e->now.mono_ms < disk->retry_ms) {
        return false;
    }
    bool guarded = e->generation > disk->generation ||
                   (e->generation == disk->generation && e->cursor > disk->cursor);
    guarded = guarded && !(disk->base_due && beyond(e));
    disk->out_guarded = guarded;
    tm_buf_byte(out, '{');
    tm_out_word(out, TM_WORD_GUARD);
    if (guarded) {
        tm_buf_byte(out, '[');
        tm_buf_u64(out, e->generation);
        tm_buf_byte(out, ',');
        tm_buf_u64(out, e->cursor);
        tm_buf_byte(out, ',');
        tm_buf_json(out, (tm_span){disk->mark.bytes, disk->mark.len});
        tm_buf_byte(out, ']');
    } else {
        tm_buf_text(out, "null");
    }
    tm_out_open(out, TM_WORD_GUARDED, '[');
    if (guarded) guarded_write(e, out);
    tm_buf_byte(out, ']');
    tm_out_open(out, TM_WORD_ALWAYS, '[');
    always_write(e, out);
    tm_buf_text(out, "]}");
    if (tm_buf_status(out) != TM_OK) { // no memory for it now
        later(disk, e->now.mono_ms);
        return false;
    }
    turn_all(e, true);
    disk->out_lacking = disk->lacking_due;
    disk->out_offset = disk->offset_due;
    disk->lacking_due = disk->offset_due = disk->changed = false;
    if (guarded) disk->base_due = false;
    disk->out = true;
    disk->out_generation = e->generation;
    disk->out_cursor = e->cursor;
    tm_disk_mark(&disk->out_mark, e->mark);
    disk->ticket++;
    return true;
}

// ---- its outcome ----------------------------------------------------------------------

static void entry_stored(tm_engine *e, tm_entry *entry) {
    tm_kept *kept = &entry->kept;
    if (!kept->out) return;
    kept->out = false;
    if (kept->gone && !kept->dirty) { // it was the removal that was stored
        kept->disk = false;
        kept->clear = true;
        tm_disk_work(e, entry);
        return;
    }
    if (!kept->disk) {
        for (const tm_own *own = entry->first; own != NULL; own = own->sibling) {
            if (own->fate == TM_FATE_PENDING) {
                tm_note_receipt(e, own, TM_RECEIPT_DISK);
            }
        }
    }
    kept->disk = true;
}

static void all_stored(tm_engine *e) {
    for (tm_entry *entry = e->queue.first; entry != NULL; entry = entry->next) {
        entry_stored(e, entry);
    }
    for (tm_writer *w = e->queue.writers; w != NULL; w = w->next) {
        if (w->kept.out) w->kept.disk = true;
        if (w->kept.out && !w->kept.dirty && w->settled != w->decided) {
            w->settled = w->decided;
            w->kept.keep = true;
        }
        w->kept.out = false;
        if (e->disk.out_lacking)
            w->lacks = e->disk.out_lacks && w == e->lacking_owner;
    }
    for (tm_dead **at = &e->disk.dead; *at != NULL;) {
        tm_dead *dead = *at;
        bool done = dead->kept.out && dead->kept.gone && !dead->kept.dirty;
        dead->kept.out = false;
        if (!done) {
            at = &dead->next;
            continue;
        }
        *at = dead->next;
        tm_alloc_put(e->alloc, dead, dead->size);
    }
}

void tm_disk_mark(tm_mark *to, tm_span mark) {
    to->len = mark.len;
    if (mark.len > 0) memcpy(to->bytes, mark.ptr, mark.len);
}

// Where we stood at this cursor in what we tried to store, or have to; NULL: nowhere.
static const tm_mark *mark_at(const tm_disk *disk, uint64_t cursor) {
    if (cursor == disk->out_cursor) return &disk->out_mark;
    const tm_piece *piece = disk->first;
    while (piece != NULL && piece->version != cursor) {
        piece = piece->next;
    }
    return piece != NULL ? &piece->mark : NULL;
}

static void pair_stored(tm_engine *e, tm_committed outcome, uint64_t cursor) {
    tm_disk *disk = &e->disk;
    disk->generation = disk->out_generation;
    if (outcome == TM_COMMITTED) {
        cursor = disk->out_cursor;
        if (disk->out_base) disk->tail_bytes = 0;
    } else {
        disk->tail_bytes = 0; // another tab looks after its base
    }
    const tm_mark *mark = mark_at(disk, cursor);
    disk->cursor = cursor;
    if (mark != NULL) disk->mark = *mark;
    if (disk->generation == e->generation) tm_disk_pieces_free(e, cursor);
}

void tm_engine_committed(tm_engine *e, tm_now now, uint64_t ticket,
                         tm_committed outcome, uint64_t cursor) {
    tm_disk *disk = &e->disk;
    e->now = now;
    if (!disk->out || ticket != disk->ticket) return;
    disk->out = false;
    if (outcome == TM_COMMIT_FAILED) {
        turn_all(e, false);
        disk->base_due |= disk->out_base;
        disk->lacking_due |= disk->out_lacking;
        disk->offset_due |= disk->out_offset;
        disk->changed = true;
        later(disk, now.mono_ms);
        return;
    }
    disk->failures = 0;
    all_stored(e);
    // Another tab may have stored another history of the server. Where we have not been
    // ourselves we take what is stored; what we had is offered.
    bool foreign = outcome == TM_COMMIT_REFUSED && mark_at(disk, cursor) == NULL;
    if (outcome == TM_COMMIT_SUPERSEDED || foreign) {
        disk->reload = true;
        tm_note_text(e, TM_EVENT_RELOAD, (tm_span){NULL, 0}, (tm_span){NULL, 0});
    } else if (disk->out_guarded) {
        pair_stored(e, outcome, cursor);
    }
    tm_disk_passed(e);
    e->status_changed = true;
}

void tm_disk_piece(tm_engine *e, uint64_t version, tm_span mark, tm_span text) {
    tm_disk *disk = &e->disk;
    tm_piece *piece = NULL;
    if (disk->base_due) return; // it will have these too
    if (disk->generation == e->generation && version <= disk->cursor) {
        return; // another tab stored it, perhaps in one record with what is before it
    }
    if (tm_buf_status(&e->read) == TM_OK) {
        piece = tm_alloc_get(e->alloc, sizeof *piece + text.len);
    }
    if (piece == NULL) {
        disk->base_due = true;
        return;
    }
    piece->version = version;
    tm_disk_mark(&piece->mark, mark);
    piece->len = text.len;
    memcpy(piece->text, text.ptr, text.len);
    if (disk->last != NULL) {
        disk->last->next = piece;
    } else {
        disk->first = piece;
    }
    disk->last = piece;
    disk->pieces_bytes += text.len;
}

void tm_disk_pieces_free(tm_engine *e, uint64_t version) {
    tm_disk *disk = &e->disk;
    while (disk->first != NULL && disk->first->version <= version) {
        tm_piece *piece = disk->first;
        disk->first = piece->next;
        disk->pieces_bytes -= piece->len;
        disk->tail_bytes += piece->len;
        tm_alloc_put(e->alloc, piece, sizeof *piece + piece->len);
    }
    if (disk->first == NULL) disk->last = NULL;
}

// ---- what is owed no more -------------------------------------------------------------

void tm_disk_work(tm_engine *e, tm_entry *entry) {
    if (entry->kept.work) return;
    entry->kept.work = true;
    entry->work_next = NULL;
    *e->disk.work_end = entry;
    e->disk.work_end = &entry->work_next;
}

// Without a disk, what was decided is forgotten at once, and kept in memory until the
// cursor passes it.
static void local_passed(tm_engine *e) {
    for (tm_entry *entry = e->queue.first; entry != NULL; entry = entry->next) {
        bool owed = entry == e->batch;
        for (const tm_own *own = entry->first; own != NULL; own = own->sibling) {
            owed |= own->fate == TM_FATE_PENDING || own->fate == TM_FATE_OFFER;
        }
        if (owed) continue;
        entry->kept.clear = true;
        tm_disk_work(e, entry);
    }
}

void tm_disk_passed(tm_engine *e) {
    tm_queue *queue = &e->queue;
    uint64_t passed = e->cursor;
    if (e->disk.there) {
        passed = e->disk.generation == e->generation ? e->disk.cursor : 0;
    }
    while (queue->accepted_count > 0 && queue->accepted[0]->op.seq <= passed) {
        tm_own *own = queue->accepted[0];
        if (own->entry != NULL) e->disk.changed = true;
        tm_queue_unaccept(queue, own);
        tm_own_done(queue, own);
    }
    if (!e->disk.there && e->started) local_passed(e);
}

// ---- local ----------------------------------------------------------------------------

static bool keep_event(tm_engine *e, tm_event *event, tm_span key) {
    if (tm_buf_status(&e->told) !=
        TM_OK) { // no memory to write it: local cannot have it
        tm_engine_kept(e, key, false);
        return false;
    }
    event->kind = TM_EVENT_KEEP;
    event->key = key;
    event->value = tm_buf_span(&e->told);
    return true;
}

static bool forget_event(tm_event *event, tm_kept *kept, tm_span key) {
    kept->local = false;
    event->kind = TM_EVENT_FORGET;
    event->key = key;
    return true;
}

// KEEP comes before FORGET, and a writer's counter before both: a number whose entry is
// forgotten must not be used again.
bool tm_disk_event(tm_engine *e, tm_event *event) {
    tm_disk *disk = &e->disk;
    disk->asked = NULL;
    tm_buf_reset(&e->told);
    for (tm_writer *w = e->queue.writers; w != NULL; w = w->next) {
        tm_span key = {w->key, w->key_len};
        if (w->kept.gone && w->kept.local) {
            return forget_event(event, &w->kept, key);
        }
        if (!w->kept.keep) continue;
        w->kept.keep = false;
        tm_record_writer(&e->told, w, w->settled, e->seen_time);
        if (keep_event(e, event, key)) return true;
    }
    while (disk->work != NULL) {
        tm_entry *entry = disk->work;
        tm_kept *kept = &entry->kept;
        if (kept->keep && !kept->clear) {
            kept->keep = false;
            disk->asked = entry;
            tm_record_entry(&e->told, entry, e->generation);
            if (keep_event(e, event, tm_entry_key(entry))) return true;
            continue;
        }
        if (kept->clear && kept->local) {
            return forget_event(event, kept, tm_entry_key(entry));
        }
        disk->work = entry->work_next;
        if (disk->work == NULL) disk->work_end = &disk->work;
        kept->work = false;
        if (!kept->clear || !kept->gone) continue;
        if (e->last_entry == entry) e->last_entry = NULL;
        tm_queue_drop_entry(&e->queue, entry);
    }
    return false;
}

void tm_engine_kept(tm_engine *e, tm_span key, bool kept) {
    tm_entry *entry = e->disk.asked;
    if (entry == NULL || tm_span_cmp(key, tm_entry_key(entry)) != 0) {
        for (tm_writer *w = e->queue.writers; w != NULL; w = w->next) {
            tm_span own = {w->key, w->key_len};
            if (tm_span_cmp(key, own) == 0) w->kept.local |= kept;
        }
        return;
    }
    e->disk.asked = NULL;
    entry->kept.local |= kept; // what stood there before still does
    if (entry == e->last_entry) {
        e->written = kept ? TM_WRITTEN_OK : TM_WRITTEN_VOLATILE;
    }
    if (entry->kept.told) return;
    entry->kept.told = true;
    for (const tm_own *own = entry->first; own != NULL; own = own->sibling) {
        tm_note_receipt(e, own, kept ? TM_RECEIPT_KEPT : TM_RECEIPT_VOLATILE);
    }
}

// ---- dead letters -----------------------------------------------------------------------

tm_dead *tm_dead_find(const tm_engine *e, tm_span id) {
    for (tm_dead *dead = e->disk.dead; dead != NULL; dead = dead->next) {
        tm_span own = {dead->key + 5, (size_t)dead->key_len - 5};
        if (!dead->kept.gone && tm_span_cmp(own, id) == 0) return dead;
    }
    return NULL;
}

tm_dead *tm_dead_new(tm_engine *e, tm_span id, tm_span operation, tm_span code) {
    size_t size = sizeof(tm_dead) + operation.len + code.len;
    tm_dead *dead = tm_alloc_get(e->alloc, size);
    if (dead == NULL) TM_NO_MEMORY;
    dead->size = size;
    uint8_t *bytes = (uint8_t *)(dead + 1);
    memcpy(bytes, operation.ptr, operation.len);
    dead->operation = (tm_span){bytes, operation.len};
    if (code.len > 0) memcpy(bytes + operation.len, code.ptr, code.len);
    dead->code = (tm_span){bytes + operation.len, code.len};
    memcpy(dead->key, "dead/", 5);
    memcpy(dead->key + 5, id.ptr, id.len);
    dead->key_len = (uint8_t)(5 + id.len);
    dead->kept.dirty = e->disk.changed = e->status_changed = true;
    tm_dead **at = &e->disk.dead;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = dead;
    return dead;
}

void tm_dead_drop(tm_engine *e, tm_dead *dead) {
    dead->kept.gone = dead->kept.dirty = true;
    e->disk.changed = e->status_changed = true;
}

void tm_disk_deinit(tm_engine *e) {
    tm_disk_pieces_free(e, TM_NEVER);
    while (e->disk.dead != NULL) {
        tm_dead *dead = e->disk.dead;
        e->disk.dead = dead->next;
        tm_alloc_put(e->alloc, dead, dead->size);
    }
}

uint64_t tm_disk_deadline(const tm_engine *e) {
    const tm_disk *disk = &e->disk;
    bool waits = disk->there && disk->changed && !disk->out && !disk->reload;
    return waits ? disk->retry_ms : TM_NEVER;
}
