// snapshot.c - see snapshot.h.
#include "service/snapshot.h"

#include "service/inside.h"
#include "service/stored.h"

#include <string.h>

#define HASH_HEX    32u
#define LOGICAL_MAX ((1u << TM_LOGICAL_BITS) - 1)

// ---- writing ------------------------------------------------------------------------

static void hash_write(tm_buf *out, tm_id_hash id) {
    static const char digits[] = "0123456789abcdef";
    uint8_t hex[HASH_HEX + 2];
    hex[0] = hex[HASH_HEX + 1] = '"';
    for (size_t i = 0; i < 16; i++) {
        hex[16 - i] = (uint8_t)digits[id.hi >> (4 * i) & 15];
        hex[32 - i] = (uint8_t)digits[id.lo >> (4 * i) & 15];
    }
    tm_buf_put(out, (tm_span){hex, sizeof hex});
}

static void time_write(tm_buf *out, uint64_t time) {
    tm_buf_byte(out, ',');
    tm_buf_u64(out, time >> TM_LOGICAL_BITS);
    tm_buf_byte(out, ',');
    tm_buf_u64(out, time & LOGICAL_MAX);
}

static void decision_write(tm_buf *out, const tm_decision *decision) {
    if (decision == NULL) {
        tm_buf_byte(out, '0');
        return;
    }
    tm_buf_byte(out, '[');
    hash_write(out, decision->id);
    tm_buf_byte(out, ',');
    if (decision->seq == 0) {
        tm_buf_json(out, tm_fault_word((tm_fault)decision->time));
    } else {
        tm_buf_u64(out, decision->seq);
        time_write(out, decision->time);
    }
    tm_buf_byte(out, ']');
}

static void writer_write(tm_buf *out, const tm_writer *writer) {
    tm_buf_byte(out, '[');
    tm_buf_json(out, writer->browser);
    tm_buf_byte(out, ',');
    tm_buf_u64(out, writer->version);
    time_write(out, writer->last.time);
    tm_buf_text(out, ",[");
    uint64_t first = 1;
    if (writer->version > TM_DECISIONS_MAX) {
        first = writer->version - TM_DECISIONS_MAX + 1;
    }
    for (uint64_t version = first; version <= writer->version; version++) {
        if (version > first) tm_buf_byte(out, ',');
        decision_write(out, tm_book_at(writer, version));
    }
    tm_buf_text(out, "]]");
}

static void unknown_write(tm_buf *out, const tm_list *list) {
    tm_buf_byte(out, '[');
    for (size_t i = 0; i < tm_list_unknown_count(list); i++) {
        if (i > 0) tm_buf_byte(out, ',');
        tm_buf_put(out, tm_list_unknown(list, i));
    }
    tm_buf_byte(out, ']');
}

static void number_write(tm_buf *out, const char *key, uint64_t number) {
    tm_buf_text(out, key);
    tm_buf_u64(out, number);
}

static void milestones_write(tm_buf *out, const tm_ledger *ledger) {
    tm_buf_byte(out, '[');
    for (uint32_t i = 0; i < ledger->milestone_count; i++) {
        const tm_milestone *stone = &ledger->milestones[i];
        number_write(out, i > 0 ? ",[" : "[", stone->seq);
        number_write(out, ",", stone->accepted_ms);
        number_write(out, ",", stone->log_bytes);
        tm_buf_byte(out, ']');
    }
    tm_buf_byte(out, ']');
}

// The sum of the bytes, as hex. A disk that turned a bit must not turn a description.
static tm_status sum_of(const tm_ledger *ledger, tm_span bytes,
                        uint8_t hex[TM_MARK_HEX]) {
    static const uint8_t zero[TM_MARK_LEN];
    uint8_t sum[TM_MARK_LEN];
    tm_status status = tm_mark_next(&ledger->service->marker, zero, bytes, sum);
    if (status == TM_OK) tm_mark_hex(sum, hex);
    return status;
}

static void sum_write(const tm_ledger *ledger, tm_buf *out) {
    uint8_t hex[TM_MARK_HEX];
    if (out->status != TM_OK) return;
    out->status = sum_of(ledger, tm_buf_span(out), hex);
    tm_buf_text(out, ",\"sum\":");
    tm_buf_json(out, (tm_span){hex, sizeof hex});
    tm_buf_byte(out, '}');
}

void tm_snapshot_write(const tm_ledger *ledger, uint64_t floor, tm_buf *out) {
    uint8_t hex[TM_MARK_HEX];
    tm_mark_hex(ledger->mark, hex);
    number_write(out, "{\"format\":", TM_SNAPSHOT_FORMAT);
    number_write(out, ",\"seq\":", ledger->head);
    tm_buf_text(out, ",\"mark\":");
    tm_buf_json(out, (tm_span){hex, sizeof hex});
    number_write(out, ",\"floor\":", floor);
    number_write(out, ",\"logBytes\":", ledger->log_bytes);
    tm_buf_text(out, ",\"milestones\":");
    milestones_write(out, ledger);
    tm_buf_text(out, ",\"state\":");
    tm_list_write(ledger->list, out);
    tm_buf_text(out, ",\"unknown\":");
    unknown_write(out, ledger->list);
    tm_buf_text(out, ",\"writers\":[");
    bool first = true;
    for (uint32_t i = 0; i < ledger->book.count; i++) {
        const tm_writer *writer = ledger->book.writers[i];
        if (writer->version == 0) continue; // known to a draft alone
        if (!first) tm_buf_byte(out, ',');
        first = false;
        writer_write(out, writer);
    }
    tm_buf_byte(out, ']');
    sum_write(ledger, out);
}

void tm_snapshot_send(const tm_ledger *ledger, tm_buf *out) {
    tm_buf_text(out, "{\"state\":");
    tm_list_write(ledger->list, out);
    tm_buf_text(out, ",\"H\":[");
    tm_buf_u64(out, ledger->book.clock.time >> TM_LOGICAL_BITS);
    tm_buf_byte(out, ',');
    tm_buf_u64(out, ledger->book.clock.time & LOGICAL_MAX);
    tm_buf_text(out, "],\"unknown\":");
    unknown_write(out, ledger->list);
    number_write(out, ",\"live\":", tm_list_live(ledger->list));
    tm_buf_byte(out, '}');
}

// ---- reading ------------------------------------------------------------------------

// Every one of these answers false when the reader has failed, and once it has failed
// nothing more is read: the status at the end tells all.

static bool text_is(tm_span text, const char *literal) {
    return text.len == strlen(literal) && memcmp(text.ptr, literal, text.len) == 0;
}

static bool member_is(tm_json *in, const char *name) {
    tm_span key;
    if (!tm_json_member(in, &key)) {
        (void)tm_json_fail(in, "a member is missing");
        return false;
    }
    if (text_is(key, name)) return true;
    (void)tm_json_fail(in, "another member was expected");
    return false;
}

static uint64_t number_read(tm_json *in, uint64_t max) {
    uint64_t number = 0;
    if (tm_json_u64(in, &number) == TM_OK && number > max) {
        (void)tm_json_fail(in, "number out of range");
    }
    return in->status == TM_OK ? number : 0;
}

static uint64_t member_number(tm_json *in, const char *name, uint64_t max) {
    return member_is(in, name) ? number_read(in, max) : 0;
}

// The next element of an array that must have one.
static bool element_is(tm_json *in) {
    if (tm_json_element(in)) return true;
    (void)tm_json_fail(in, "an element is missing");
    return false;
}

static uint64_t element_number(tm_json *in, uint64_t max) {
    return element_is(in) ? number_read(in, max) : 0;
}

static bool array_open(tm_json *in) {
    return tm_json_open(in, TM_JSON_ARRAY) == TM_OK;
}

static void array_close(tm_json *in) {
    if (in->status == TM_OK && tm_json_element(in)) {
        (void)tm_json_fail(in, "an element too many");
    }
}

static uint64_t time_read(tm_json *in) {
    uint64_t timestamp = element_number(in, TM_MS_MAX);
    return timestamp << TM_LOGICAL_BITS | element_number(in, LOGICAL_MAX);
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static tm_id_hash hash_read(tm_json *in) {
    tm_id_hash id = {0, 0};
    tm_span hex;
    if (!element_is(in) || tm_json_string(in, &hex) != TM_OK) return id;
    bool good = hex.len == HASH_HEX;
    for (size_t i = 0; i < hex.len && good; i++) {
        int digit = hex_digit(hex.ptr[i]);
        uint64_t *half = i < 16 ? &id.hi : &id.lo;
        good = digit >= 0;
        if (good) *half = *half << 4 | (uint64_t)digit;
    }
    if (!good || (id.hi == 0 && id.lo == 0)) (void)tm_json_fail(in, "no id hash");
    return id;
}

static tm_fault fault_read(tm_json *in) {
    tm_span word;
    if (tm_json_string(in, &word) != TM_OK) return TM_FAULT_POLICY;
    return tm_stored_fault(word);
}

static void decision_read(tm_json *in, uint64_t seq_max, tm_decision *decision) {
    *decision = (tm_decision){{0, 0}, 0, 0};
    if (tm_json_peek(in) == TM_JSON_INT) {
        (void)number_read(in, 0);
        return;
    }
    if (!array_open(in)) return;
    decision->id = hash_read(in);
    if (!element_is(in)) return;
    if (tm_json_peek(in) == TM_JSON_STRING) {
        decision->time = fault_read(in);
    } else {
        decision->seq = number_read(in, seq_max);
        if (decision->seq == 0) (void)tm_json_fail(in, "no seq");
        decision->time = time_read(in);
    }
    array_close(in);
}

static tm_status decision_keep(tm_book *book, tm_writer *writer, uint64_t version,
                               const tm_decision *decision) {
    if (decision->id.lo == 0 && decision->id.hi == 0) return TM_OK;
    tm_status status = tm_book_reserve(book, writer, version, 0);
    if (status == TM_OK) tm_book_put(book, writer, version, decision);
    return status;
}

static tm_status recent_read(tm_json *in, tm_book *book, tm_writer *writer,
                             uint64_t version, uint64_t seq_max) {
    if (!element_is(in) || !array_open(in)) return in->status;
    uint64_t count = version < TM_DECISIONS_MAX ? version : TM_DECISIONS_MAX;
    for (uint64_t i = 0; i < count; i++) {
        tm_decision decision;
        if (!element_is(in)) return in->status;
        decision_read(in, seq_max, &decision);
        if (in->status != TM_OK) return in->status;
        tm_status status =
            decision_keep(book, writer, version - count + 1 + i, &decision);
        if (status != TM_OK) return status;
    }
    array_close(in);
    return in->status;
}

static tm_status writer_read(tm_json *in, tm_book *book, uint64_t seq_max) {
    tm_span browser;
    if (!array_open(in) || !element_is(in) ||
        tm_json_string(in, &browser) != TM_OK) {
        return in->status;
    }
    if (!tm_browser_id_valid(browser)) return tm_json_fail(in, "no browserId");
    if (tm_book_writer(book, browser) != NULL) {
        return tm_json_fail(in, "a writer twice");
    }
    uint64_t version = element_number(in, TM_INT_MAX), time = time_read(in);
    if (in->status == TM_OK && version == 0) return tm_json_fail(in, "no version");
    if (in->status != TM_OK) return in->status;
    tm_writer *writer;
    tm_status status = tm_book_writer_add(book, browser, &writer);
    if (status == TM_OK) status = recent_read(in, book, writer, version, seq_max);
    if (status != TM_OK) return status;
    array_close(in);
    writer->version = version;
    if (version > TM_DECISIONS_MAX) { // what is older than the oldest is forgotten
        const tm_decision *oldest =
            tm_book_at(writer, version - TM_DECISIONS_MAX + 1);
        bool known = oldest != NULL && oldest->seq != 0;
        tm_clock_seen(&book->forgotten, known ? oldest->time : time);
    }
    tm_clock_seen(&writer->last, time);
    tm_clock_seen(&book->clock, time);
    return in->status;
}

static tm_status unknown_read(tm_json *in, tm_list *list) {
    if (!member_is(in, "unknown") || !array_open(in)) return in->status;
    while (tm_json_element(in)) {
        tm_op op;
        tm_status status = tm_op_read(in, &op);
        if (status == TM_OK && op.fault != TM_FAULT_NONE) {
            return tm_json_fail(in, "no operation");
        }
        // It may be known by now, to a newer build than the one that wrote it.
        if (status == TM_OK) status = tm_list_apply(list, &op, NULL);
        if (status != TM_OK) return status;
    }
    return in->status;
}

static void milestones_read(tm_json *in, tm_ledger *ledger) {
    uint32_t count = 0;
    tm_milestone before = {0, 0, 0};
    if (!member_is(in, "milestones") || !array_open(in)) return;
    while (tm_json_element(in)) {
        if (!array_open(in)) return;
        tm_milestone stone = {element_number(in, ledger->head), 0, 0};
        stone.accepted_ms = element_number(in, TM_INT_MAX);
        stone.log_bytes = element_number(in, ledger->log_bytes);
        array_close(in);
        if (in->status != TM_OK) return;
        tm_milestone *next = tm_ledger_milestone(ledger, count);
        if (next == NULL && count < TM_MILESTONES_MAX) {
            in->status = tm_refused();
            return;
        }
        if (next == NULL || stone.seq <= before.seq ||
            stone.accepted_ms < before.accepted_ms ||
            stone.log_bytes < before.log_bytes) {
            (void)tm_json_fail(in, "milestones out of order");
            return;
        }
        *next = before = stone;
        count++;
    }
    ledger->milestone_count = count;
    ledger->accepted_ms = before.accepted_ms;
}

static tm_status writers_read(tm_json *in, tm_ledger *ledger) {
    if (!member_is(in, "writers") || !array_open(in)) return in->status;
    while (tm_json_element(in)) {
        tm_status status = writer_read(in, &ledger->book, ledger->head);
        if (status != TM_OK) return status;
    }
    return in->status;
}

static tm_status state_read(tm_json *in, tm_list *list) {
    if (!member_is(in, "state")) return in->status;
    tm_status status = tm_list_read(list, in);
    return status == TM_E_RANGE ? TM_E_FORMAT : status;
}

static tm_status members_read(tm_json *in, tm_ledger *ledger) {
    tm_span hex;
    ledger->head = member_number(in, "seq", TM_INT_MAX);
    if (member_is(in, "mark") && tm_json_string(in, &hex) == TM_OK &&
        !tm_mark_read(hex, ledger->mark)) {
        return tm_json_fail(in, "no mark");
    }
    ledger->floor = member_number(in, "floor", ledger->head);
    ledger->log_bytes = member_number(in, "logBytes", TM_INT_MAX);
    milestones_read(in, ledger);
    if (in->status != TM_OK) return in->status;
    tm_status status = state_read(in, ledger->list);
    if (status == TM_OK) status = unknown_read(in, ledger->list);
    if (status == TM_OK) status = writers_read(in, ledger);
    return status;
}

// Whether the bytes are those that were written, before anything is made of them.
static tm_status sum_check(const tm_ledger *ledger, tm_span bytes) {
    static const tm_span before = TM_LIT(",\"sum\":\""), after = TM_LIT("\"}");
    size_t tail = before.len + TM_MARK_HEX + after.len;
    if (bytes.len < tail) return TM_E_CORRUPT;
    const uint8_t *at = bytes.ptr + bytes.len - tail;
    uint8_t hex[TM_MARK_HEX];
    tm_status status = sum_of(ledger, (tm_span){bytes.ptr, bytes.len - tail}, hex);
    if (status != TM_OK) return status;
    bool same = memcmp(at, before.ptr, before.len) == 0 &&
                memcmp(at + before.len, hex, sizeof hex) == 0;
    return same ? TM_OK : TM_E_CORRUPT;
}

tm_status tm_snapshot_read(tm_ledger *ledger, uint64_t seq, tm_span bytes,
                           tm_arena *arena) {
    tm_json in;
    tm_json_init(&in, bytes, TM_JSON_DEPTH_MAX, arena);
    tm_status status = tm_json_open(&in, TM_JSON_OBJECT);
    if (status != TM_OK) return status;
    uint64_t format = member_number(&in, "format", UINT64_MAX);
    if (in.status != TM_OK) return in.status;
    if (format > TM_SNAPSHOT_FORMAT) return TM_E_FORMAT;
    if (format < TM_SNAPSHOT_FORMAT) return TM_E_CORRUPT;
    status = sum_check(ledger, bytes);
    if (status == TM_OK) status = members_read(&in, ledger);
    if (status != TM_OK) return status;
    tm_span sum, key;
    if (!member_is(&in, "sum") || tm_json_string(&in, &sum) != TM_OK ||
        tm_json_member(&in, &key)) {
        return TM_E_CORRUPT;
    }
    status = tm_json_end(&in);
    if (status != TM_OK) return status;
    if (ledger->head != seq || ledger->head == 0) return TM_E_CORRUPT;
    ledger->saved_log_bytes = ledger->log_bytes;
    return TM_OK;
}
