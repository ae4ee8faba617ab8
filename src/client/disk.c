// disk.c - see inner.h. What is stored, and what is removed from storage after
// that: KEEP, FORGET and COMMIT of engine.h. DESIGN 1.
//
// Each record is one JSON object; load.c reads them:
//   op/       {"writer":B,"generation":g,"operations":[...]}
//             an operation with a seq is accepted, of the history that is stored as
//             this generation; one under another name than B is to be offered
//   writer/   {"next":n,"decided":n,"timestamp":t,"logical":l,"retired":n,
//              "ahead":ms or "behind":ms}: H, and the server's clock against this one
//   state     {"generation":g,"cursor":c,"mark":"...","base":version}
//   base      {"version":v,"state":{...},"unknown":[...]}
//   tail/     {"from":cursor before,"version":v,"operations":[...]}
//   dead/     {"operation":{...},"code":"..."}
//
// One transaction is out at most; whatever changes meanwhile is marked and
// makes the next one, so a burst of edits is two transactions.
#include "client/inner.h"

#include <string.h>

#define TAIL_MAX     65536u // tails above this, and above the base: a new base
#define RETRY_MS     1000u  // after a failed transaction; doubles ...
#define RETRY_MAX_MS 60000u // ... up to this

// ---- records -----------------------------------------------------------------------

static void entry_write(tm_engine *e, const tm_entry *entry) {
    tm_buf *out = &e->read;
    tm_out_text(out, TM_WORD_WRITER, entry->owner->browser);
    tm_out_number(out, TM_WORD_GENERATION, e->generation);
    tm_out_open(out, TM_WORD_OPERATIONS, '[');
    for (const tm_own *own = entry->first; own != NULL; own = own->sibling) {
        if (own->fate == TM_FATE_DONE) continue;
        tm_out_comma(out);
        tm_out_op(out, &own->op, own->op.seq);
    }
    tm_buf_byte(out, ']');
}

static void writer_write(tm_engine *e, const tm_writer *writer) {
    tm_buf *out = &e->read;
    tm_out_number(out, TM_WORD_NEXT, writer->next_version);
    tm_out_number(out, TM_WORD_DECIDED, writer->decided);
    tm_out_number(out, TM_WORD_TIMESTAMP, e->seen_time >> TM_LOGICAL_BITS);
    tm_out_number(out, TM_WORD_LOGICAL, e->seen_time & 0xffff);
    tm_out_number(out, TM_WORD_RETIRED, writer->retired);
    bool behind = (int64_t)e->offset_ms < 0;
    if (!e->offset_known) return;
    tm_out_number(out, behind ? TM_WORD_BEHIND : TM_WORD_AHEAD,
                  behind ? 0 - e->offset_ms : e->offset_ms);
}

static void list_write(tm_engine *e, const tm_list *list) {
    tm_buf *out = &e->read;
    tm_out_number(out, TM_WORD_VERSION, e->cursor);
    tm_out_word(out, TM_WORD_STATE);
    tm_list_write(list, out);
    tm_out_open(out, TM_WORD_UNKNOWN, '[');
    for (size_t i = 0; i < tm_list_unknown_count(list); i++) {
        tm_out_comma(out);
        tm_buf_put(out, tm_list_unknown(list, i));
    }
    tm_buf_byte(out, ']');
}

static void state_write(tm_engine *e) {
    tm_buf *out = &e->read;
    tm_out_number(out, TM_WORD_GENERATION, e->generation);
    tm_out_number(out, TM_WORD_CURSOR, e->cursor);
    tm_out_text(out, TM_WORD_MARK, e->mark);
    tm_out_number(out, TM_WORD_BASE, e->disk.base_version);
}

static void begin(tm_engine *e) {
    tm_buf_reset(&e->read);
    tm_buf_byte(&e->read, '{');
}

static void record_write(tm_engine *e, const tm_record *record) {
    begin(e);
    switch ((tm_record_kind)record->kind) {
    case TM_RECORD_ENTRY:
        entry_write(e, (const tm_entry *)record);
        break;
    case TM_RECORD_WRITER:
        writer_write(e, (const tm_writer *)record);
        break;
    case TM_RECORD_DEAD:
        tm_out_dead(&e->read, ((const tm_dead *)record)->operation,
                    ((const tm_dead *)record)->code);
    }
    tm_buf_byte(&e->read, '}');
}

// ---- a transaction -----------------------------------------------------------------

static void write(tm_engine *e, const char *verb, tm_span key,
                  const tm_span *value) {
    tm_buf *out = &e->told;
    tm_out_comma(out);
    tm_buf_text(out, verb);
    tm_buf_json(out, key);
    if (value != NULL) {
        tm_buf_byte(out, ',');
        tm_buf_json(out, *value);
    }
    tm_buf_byte(out, ']');
}

static void put(tm_engine *e, tm_span key) {
    tm_span value = tm_buf_span(&e->read);
    write(e, "[\"put\",", key, &value);
    if (e->read.status != TM_OK) e->told.status = TM_E_NOMEM;
}

static void guarded_write(tm_engine *e) {
    tm_disk *disk = &e->disk;
    if (disk->tail_bytes > TAIL_MAX && disk->tail_bytes > disk->base_bytes) {
        disk->base_due = true;
    }
    if (disk->base_due) {
        tm_disk_pieces_free(
            e, TM_NEVER); // the base has them; it stays due if it fails
        write(e, "[\"clear\",", TM_SPAN("tail/"), NULL);
        begin(e);
        list_write(e, e->confirmed);
        tm_buf_byte(&e->read, '}');
        disk->base_bytes = e->read.len;
        disk->base_version = e->cursor;
        put(e, TM_SPAN("base"));
    }
    for (tm_piece *piece = disk->first; piece != NULL; piece = piece->next) {
        tm_span text = {piece->text + piece->key_len, piece->len};
        write(e, "[\"put\",", (tm_span){piece->text, piece->key_len}, &text);
    }
    begin(e);
    state_write(e);
    tm_buf_byte(&e->read, '}');
    put(e, TM_SPAN("state"));
    e->editor->record.dirty = true; // it has H, which moved with C
}

static bool unfinished(const tm_engine *e, const tm_record *record) {
    return e->batch != NULL && record == &e->batch->record;
}

static void always_write(tm_engine *e) {
    for (tm_record *r = e->records; r != NULL; r = r->next) {
        tm_span key = {r->key, r->key_len};
        if (!r->dirty || unfinished(e, r)) continue;
        if (r->gone) {
            write(e, "[\"del\",", key, NULL);
        } else {
            record_write(e, r);
            put(e, key);
        }
    }
}

static void later(tm_engine *e) {
    tm_disk *disk = &e->disk;
    uint64_t wait = RETRY_MAX_MS;
    if (disk->failures < 6) wait = (uint64_t)RETRY_MS << disk->failures;
    disk->failures++;
    disk->retry_ms = e->now.mono_ms + wait;
}

// Whose are the marks now: `to` true, of the transaction that is out.
static void turn(tm_engine *e, bool to) {
    for (tm_record *r = e->records; r != NULL; r = r->next) {
        bool *from = to ? &r->dirty : &r->out;
        if (!*from || unfinished(e, r)) continue;
        r->dirty = !to;
        r->out = to;
    }
}

bool tm_disk_commit(tm_engine *e, tm_event *event) {
    tm_disk *disk = &e->disk;
    tm_buf *out = &e->told;
    if (!disk->there || !disk->changed || disk->out || disk->reload ||
        e->now.mono_ms < disk->retry_ms) {
        return false;
    }
    bool guarded = e->generation > disk->generation ||
                   (e->generation == disk->generation && e->cursor > disk->cursor);
    tm_buf_reset(out);
    tm_buf_text(out, "{\"guard\":");
    if (guarded) {
        tm_buf_byte(out, '[');
        tm_buf_u64(out, e->generation);
        tm_buf_byte(out, ',');
        tm_buf_u64(out, e->cursor);
        tm_buf_byte(out, ']');
    } else {
        tm_buf_text(out, "null");
    }
    tm_buf_text(out, ",\"guarded\":[");
    if (guarded) guarded_write(e);
    tm_buf_text(out, "],\"always\":[");
    always_write(e);
    tm_buf_text(out, "]}");
    if (out->status != TM_OK) { // no memory for it now
        later(e);
        return false;
    }
    turn(e, true);
    disk->changed = false;
    disk->out = true;
    disk->out_guarded = guarded;
    disk->out_base = guarded && disk->base_due;
    if (guarded) disk->base_due = false;
    disk->out_generation = e->generation;
    disk->out_cursor = e->cursor;
    *event = (tm_event){.kind = TM_EVENT_COMMIT, .ticket = ++disk->ticket};
    event->value = tm_buf_span(out);
    return true;
}

// ---- its outcome -------------------------------------------------------------------

static void receipts(tm_engine *e, tm_record *record, tm_receipt receipt) {
    if (record->kind != TM_RECORD_ENTRY) return;
    const tm_own *own = ((const tm_entry *)record)->first;
    for (; own != NULL; own = own->sibling) {
        if (own->fate == TM_FATE_PENDING) tm_note_receipt(e, own, receipt);
    }
}

static void stored(tm_engine *e) {
    for (tm_record *r = e->records; r != NULL; r = r->next) {
        if (!r->out) continue;
        r->out = false;
        bool there = !r->gone || r->dirty; // else it was the removal that is stored
        if (there && !r->disk) receipts(e, r, TM_RECEIPT_DISK);
        r->disk = there;
    }
    e->disk.local = true;
}

void tm_engine_committed(tm_engine *e, tm_now now, uint64_t ticket,
                         tm_committed outcome, uint64_t cursor) {
    tm_disk *disk = &e->disk;
    e->now = now;
    if (!disk->out || ticket != disk->ticket) return;
    disk->out = false;
    if (outcome == TM_COMMIT_FAILED) {
        turn(e, false);
        disk->base_due |= disk->out_base;
        disk->changed = true;
        later(e);
        return;
    }
    disk->failures = 0;
    stored(e);
    if (outcome == TM_COMMIT_SUPERSEDED) {
        disk->reload = true;
        tm_note_add(e, TM_EVENT_RELOAD, &(tm_event){0});
    } else if (disk->out_guarded) {
        // Refused: the stored cursor is at ours or above, and its base is another
        // tab's.
        if (disk->out_base || outcome != TM_COMMITTED) disk->tail_bytes = 0;
        disk->generation = disk->out_generation;
        disk->cursor = outcome == TM_COMMITTED ? disk->out_cursor : cursor;
        if (disk->generation == e->generation) tm_disk_pieces_free(e, disk->cursor);
    }
    tm_disk_passed(e);
    e->status_changed = true;
}

void tm_disk_piece(tm_engine *e, uint64_t version, tm_span text) {
    static const char prefix[] = "tail/0000000000000000";
    tm_disk *disk = &e->disk;
    tm_piece *piece = NULL;
    size_t key_len = sizeof prefix - 1;
    if (!disk->there || disk->base_due) return; // a base will have these too
    if (e->read.status == TM_OK) {
        piece = tm_alloc_get(e->alloc, sizeof *piece + key_len + text.len);
    }
    if (piece == NULL) {
        disk->base_due = true;
        return;
    }
    piece->version = version;
    piece->key_len = key_len;
    piece->len = text.len;
    memcpy(piece->text, prefix, key_len);
    for (size_t i = key_len; version > 0; version /= 10) {
        piece->text[--i] = (uint8_t)('0' + version % 10);
    }
    memcpy(piece->text + key_len, text.ptr, text.len);
    *disk->end = piece;
    disk->end = &piece->next;
    disk->tail_bytes += text.len;
}

void tm_disk_pieces_free(tm_engine *e, uint64_t version) {
    tm_disk *disk = &e->disk;
    while (disk->first != NULL && disk->first->version <= version) {
        tm_piece *piece = disk->first;
        disk->first = piece->next;
        tm_alloc_put(e->alloc, piece, sizeof *piece + piece->key_len + piece->len);
    }
    if (disk->first == NULL) disk->end = &disk->first;
}

void tm_disk_passed(tm_engine *e) {
    const tm_disk *disk = &e->disk;
    uint64_t passed = disk->cursor;
    if (!disk->there) {
        passed = e->cursor;
    } else if (disk->generation != e->generation) {
        return;
    }
    for (tm_own *own = e->first, *next; own != NULL; own = next) {
        next = own->next;
        if (own->fate == TM_FATE_ACCEPTED && own->op.seq <= passed) {
            tm_own_done(e, own);
        }
    }
    e->disk.local = true;
}

// ---- local -------------------------------------------------------------------------

// Disk has nothing of it any more.
static bool clear(const tm_engine *e, const tm_record *r) {
    return r->gone && (!e->disk.there || !(r->dirty || r->out || r->disk));
}

// Without a disk what was decided is forgotten at once.
static bool decided(const tm_engine *e, const tm_record *r) {
    if (r->kind != TM_RECORD_ENTRY || e->disk.there || unfinished(e, r))
        return false;
    const tm_own *own = ((const tm_entry *)r)->first;
    while (own != NULL && !tm_own_queued(own)) {
        own = own->sibling;
    }
    return own == NULL;
}

static void record_free(tm_engine *e, tm_record **at) {
    tm_record *r = *at;
    tm_own *own = r->kind == TM_RECORD_ENTRY ? ((tm_entry *)r)->first : NULL;
    while (own != NULL) {
        tm_own *sibling = own->sibling;
        tm_own_free(e, own);
        own = sibling;
    }
    if (e->last_entry == (tm_entry *)r) e->last_entry = NULL;
    *at = r->next;
    tm_alloc_put(e->alloc, r, r->size);
}

static bool free_due(const tm_engine *e, const tm_record *r) {
    if (r->kind == TM_RECORD_DEAD) return clear(e, r);
    if (r->kind != TM_RECORD_ENTRY || !clear(e, r) || r->local) return false;
    const tm_own *own = ((const tm_entry *)r)->first;
    while (own != NULL && own->quiet) {
        own = own->sibling;
    }
    return own == NULL;
}

// A writer's counter comes before what was numbered by it is forgotten: the
// newer record of a writer stands in front of its entries only by chance, so
// writers go first.
static tm_record *local_next(tm_engine *e) {
    for (tm_writer *w = e->writers; w != NULL; w = w->next) {
        if (w->record.keep) return &w->record;
    }
    for (tm_record **at = &e->records; *at != NULL;) {
        tm_record *r = *at;
        if (r->keep && !unfinished(e, r)) return r;
        if (r->local && (clear(e, r) || decided(e, r))) return r;
        if (free_due(e, r)) {
            record_free(e, at);
        } else {
            at = &r->next;
        }
    }
    return NULL;
}

bool tm_disk_event(tm_engine *e, tm_event *event) {
    tm_disk *disk = &e->disk;
    disk->asked = NULL;
    while (disk->local) {
        tm_record *r = local_next(e);
        disk->local = r != NULL;
        if (r == NULL) break;
        *event = (tm_event){.kind = TM_EVENT_FORGET, .key = {r->key, r->key_len}};
        if (!r->keep || r->gone) {
            r->keep = r->local = false;
            return true;
        }
        r->keep = false;
        record_write(e, r);
        disk->asked = r;
        event->kind = TM_EVENT_KEEP;
        event->value = tm_buf_span(&e->read);
        if (e->read.status == TM_OK) return true;
        tm_engine_kept(e, event->key, false); // no memory to write it
    }
    return false;
}

void tm_engine_kept(tm_engine *e, tm_span key, bool kept) {
    tm_record *r = e->disk.asked;
    if (r == NULL || tm_span_cmp(key, (tm_span){r->key, r->key_len}) != 0) return;
    e->disk.asked = NULL;
    r->local |= kept; // what stood there before still does
    if ((tm_entry *)r == e->last_entry) {
        e->written = kept ? TM_WRITTEN_OK : TM_WRITTEN_VOLATILE;
    }
    if (!r->told) receipts(e, r, kept ? TM_RECEIPT_KEPT : TM_RECEIPT_VOLATILE);
    r->told = true;
}

// ---- dead letters ------------------------------------------------------------------

tm_dead *tm_dead_find(const tm_engine *e, tm_span id) {
    for (tm_record *r = e->records; r != NULL; r = r->next) {
        tm_span own = {r->key + 5, (size_t)(r->key_len - 5)};
        if (r->kind == TM_RECORD_DEAD && !r->gone && tm_span_cmp(own, id) == 0) {
            return (tm_dead *)r;
        }
    }
    return NULL;
}

tm_dead *tm_dead_new(tm_engine *e, tm_span id, tm_span operation, tm_span code) {
    size_t size = sizeof(tm_dead) + operation.len + code.len;
    tm_dead *dead = (tm_dead *)tm_record_new(e, TM_RECORD_DEAD, size, id);
    if (dead == NULL) return NULL;
    uint8_t *bytes = (uint8_t *)(dead + 1);
    memcpy(bytes, operation.ptr, operation.len);
    if (code.len > 0) memcpy(bytes + operation.len, code.ptr, code.len);
    dead->operation = (tm_span){bytes, operation.len};
    dead->code = (tm_span){bytes + operation.len, code.len};
    tm_record_change(e, &dead->record);
    e->status_changed = true;
    return dead;
}
