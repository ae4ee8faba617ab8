// saved.c - see serve.h: SAVED to a connection that is subscribed. It is a frame like the
// others, in its turn: it brings the connection's cursor to the end of the batch, with
// acks for its own operations and with what others put into the same batch.
//
// A connection may have several saves in one batch. A cursor stands only at the end of a
// batch, so the earlier ones carry acks and leave the cursor where it was; the last one
// moves it.
#include "service/serve.h"

void tm_saved_write(tm_buf *out, const tm_call *call, uint64_t version,
                    const uint8_t mark[TM_MARK_LEN]) {
    const tm_ledger *ledger = call->ledger;
    if (call->conn == NULL) {
        tm_buf_text(out, "{\"success\":true");
    } else {
        tm_put_frame(out, "SAVED", ledger->key.list);
        if (call->ref.len > 0) {
            tm_put_key(out, "ref");
            tm_buf_put(out, call->ref);
        }
    }
    tm_put_text(out, "user", ledger->key.user);
    tm_put_cursor(out, ledger, version, mark);
    tm_put_acks(out, call);
}

// The batch's operations that this connection did not send.
static void others_write(tm_buf *out, const tm_call *call, const tm_block *block) {
    uint64_t own[(TM_BATCH_OPS_MAX + 63) / 64] = {0};
    for (const tm_call *other = call->ledger->batch.first; other != NULL;
         other = other->next) {
        for (uint32_t i = 0; i < other->ack_count; i++) {
            const tm_ack *ack = &other->acks[i];
            if (other->conn != call->conn || ack->kind != TM_ACK_OK) continue;
            uint64_t at = ack->seq - block->batch.first_seq;
            own[at / 64] |= UINT64_C(1) << (at % 64);
        }
    }
    bool first = true;
    for (uint32_t i = 0; i < block->count; i++) {
        if ((own[i / 64] >> (i % 64) & 1) != 0) continue;
        if (!first) tm_buf_byte(out, ',');
        first = false;
        tm_buf_put(out, tm_block_op(block, i));
    }
}

static tm_frame *saved_frame(tm_call *call, uint64_t version, const uint8_t *mark,
                             const tm_block *block) {
    tm_buf *out = tm_answer_begin(call->service);
    tm_saved_write(out, call, version, mark);
    tm_put_key(out, "operations");
    tm_buf_byte(out, '[');
    if (block != NULL) others_write(out, call, block);
    tm_buf_text(out, "]}");
    return tm_answer_frame(call->service);
}

static bool has_seq(const tm_call *call) {
    for (uint32_t i = 0; i < call->ack_count; i++) {
        if (call->acks[i].kind != TM_ACK_REJECTED) return true;
    }
    return false;
}

void tm_saved_tell(tm_call *call, const tm_block *block) {
    tm_ledger *ledger = call->ledger;
    tm_sub *sub = tm_hub_find(call->conn, ledger);
    if (sub == NULL) return;
    // It holds acks of a log that this one is not: what it must do is ask anew.
    if (call->has_acked && call->acked > ledger->head &&
        sub->state != TM_SUB_WAITING) {
        tm_hub_behind(sub);
    }
    if (sub->state != TM_SUB_LIVE && sub->state != TM_SUB_HOLDING) return;

    uint64_t version = ledger->head;
    const uint8_t *mark = ledger->mark;
    const tm_block *brings = block;
    if (block != NULL && call->conn->last_save != call) {
        version = block->batch.first_seq - 1;
        mark = block->batch.before;
        brings = NULL;
    }
    tm_frame *bare = NULL;
    if (sub->state == TM_SUB_HOLDING) {
        bool ends_here = block != NULL && has_seq(call);
        bare = saved_frame(call, ends_here ? ledger->head : 0, ledger->mark, NULL);
    }
    tm_hub_saved(sub, saved_frame(call, version, mark, brings), bare);
    call->told = true;
}
