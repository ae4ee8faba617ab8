// record.c - see record.h.
#include "client/record.h"

static void begin(tm_buf *out) {
    tm_buf_reset(out);
    tm_buf_byte(out, '{');
}

static void end(tm_buf *out) {
    tm_buf_byte(out, '}');
}

void tm_record_entry(tm_buf *out, const tm_entry *entry, uint64_t generation) {
    uint64_t index = 0;
    begin(out);
    tm_out_text(out, TM_WORD_WRITER, entry->owner->browser);
    tm_out_number(out, TM_WORD_GENERATION, generation);
    tm_out_open(out, TM_WORD_OPERATIONS, '[');
    for (const tm_own *own = entry->first; own != NULL; own = own->sibling) {
        const tm_op *op = &own->op;
        if (own->fate == TM_FATE_DONE) continue;
        tm_out_comma(out);
        tm_op_pass(out, op,
                   &(tm_op_change){op->seq, &op->at.time, &op->at.browser,
                                   op->at.version});
    }
    tm_buf_byte(out, ']');
    tm_out_open(out, TM_WORD_OFFERED, '[');
    for (const tm_own *own = entry->first; own != NULL; own = own->sibling) {
        if (own->fate == TM_FATE_DONE) continue;
        if (own->fate == TM_FATE_OFFER) {
            tm_out_comma(out);
            tm_buf_u64(out, index);
        }
        index++;
    }
    tm_buf_byte(out, ']');
    end(out);
}

void tm_record_writer(tm_buf *out, const tm_writer *writer, uint64_t decided,
                      uint64_t seen_time) {
    begin(out);
    tm_out_number(out, TM_WORD_NEXT, writer->next_version);
    tm_out_number(out, TM_WORD_DECIDED, decided);
    tm_out_number(out, TM_WORD_TIMESTAMP, seen_time >> TM_LOGICAL_BITS);
    tm_out_number(out, TM_WORD_LOGICAL, seen_time & 0xffff);
    if (writer->retired) tm_out_number(out, TM_WORD_RETIRED, 1);
    if (writer->disked) tm_out_number(out, TM_WORD_DISK, 1);
    end(out);
}

void tm_record_state(tm_buf *out, const tm_engine *e, uint64_t base) {
    begin(out);
    tm_out_number(out, TM_WORD_GENERATION, e->generation);
    tm_out_number(out, TM_WORD_CURSOR, e->cursor);
    tm_out_text(out, TM_WORD_MARK, e->mark);
    tm_out_number(out, TM_WORD_BASE, base);
    end(out);
}

void tm_record_list(tm_buf *out, const tm_list *list, uint64_t version) {
    begin(out);
    if (version > 0) tm_out_number(out, TM_WORD_VERSION, version);
    tm_out_word(out, TM_WORD_STATE);
    tm_list_write(list, out);
    tm_out_open(out, TM_WORD_UNKNOWN, '[');
    for (size_t i = 0; i < tm_list_unknown_count(list); i++) {
        tm_out_comma(out);
        tm_buf_put(out, tm_list_unknown(list, i));
    }
    tm_buf_byte(out, ']');
    end(out);
}

void tm_record_offset(tm_buf *out, uint64_t offset_ms) {
    bool behind = (int64_t)offset_ms < 0;
    begin(out);
    tm_out_number(out, behind ? TM_WORD_BEHIND : TM_WORD_AHEAD,
                  behind ? 0 - offset_ms : offset_ms);
    end(out);
}

void tm_record_dead(tm_buf *out, const tm_dead *dead) {
    begin(out);
    tm_out_word(out, TM_WORD_OPERATION);
    tm_buf_put(out, dead->operation);
    tm_out_text(out, TM_WORD_CODE, dead->code);
    end(out);
}
