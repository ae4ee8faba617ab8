// op.c - see op.h.
#include "core/op.h"

#include <string.h>

// ---- words --------------------------------------------------------------------------

tm_span tm_fault_word(tm_fault fault) {
    static const tm_span words[] = {
#define X(name, word) [name] = TM_LIT(word),
        TM_FAULT_LIST(X)
#undef X
    };
    TM_ASSERT((size_t)fault < sizeof words / sizeof words[0]);
    return words[fault];
}

static const tm_span type_names[] = {
    [TM_OP_UNKNOWN] = TM_LIT(""),
    [TM_OP_ADD] = TM_LIT("ADD"),
    [TM_OP_DELETE] = TM_LIT("DELETE"),
    [TM_OP_UPDATE] = TM_LIT("UPDATE_METADATA"),
    [TM_OP_SORT] = TM_LIT("SORT_CHANGE"),
};

static bool span_is(tm_span a, tm_span b) {
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

static tm_op_type type_find(tm_span name) {
    for (size_t i = TM_OP_ADD; i <= TM_OP_SORT; i++) {
        if (span_is(name, type_names[i])) return (tm_op_type)i;
    }
    return TM_OP_UNKNOWN;
}

typedef enum op_member {
    MEMBER_ID,
    MEMBER_TYPE,
    MEMBER_INSTANCE_ID,
    MEMBER_IMAGE_ID,
    MEMBER_DATA,
    MEMBER_SORT,
    MEMBER_TIMESTAMP,
    MEMBER_LOGICAL,
    MEMBER_BROWSER_ID,
    MEMBER_VERSION,
    MEMBER_SEQ,
    MEMBER_OTHER,
} op_member;

// By length first: this runs for every member of every operation.
static op_member member_find(tm_span name) {
    const uint8_t *p = name.ptr;
    switch (name.len) {
    case 2:
        return memcmp(p, "id", 2) == 0 ? MEMBER_ID : MEMBER_OTHER;
    case 3:
        return memcmp(p, "seq", 3) == 0 ? MEMBER_SEQ : MEMBER_OTHER;
    case 4:
        if (memcmp(p, "type", 4) == 0) return MEMBER_TYPE;
        if (memcmp(p, "data", 4) == 0) return MEMBER_DATA;
        return memcmp(p, "sort", 4) == 0 ? MEMBER_SORT : MEMBER_OTHER;
    case 7:
        if (memcmp(p, "version", 7) == 0) return MEMBER_VERSION;
        if (memcmp(p, "imageId", 7) == 0) return MEMBER_IMAGE_ID;
        return memcmp(p, "logical", 7) == 0 ? MEMBER_LOGICAL : MEMBER_OTHER;
    case 9:
        if (memcmp(p, "timestamp", 9) == 0) return MEMBER_TIMESTAMP;
        return memcmp(p, "browserId", 9) == 0 ? MEMBER_BROWSER_ID : MEMBER_OTHER;
    case 10:
        return memcmp(p, "instanceId", 10) == 0 ? MEMBER_INSTANCE_ID : MEMBER_OTHER;
    default:
        return MEMBER_OTHER;
    }
}

// ---- bounds (SEMANTICS 2) -----------------------------------------------------------

// A set of ASCII characters, a bit for each.
typedef struct letters {
    uint64_t half[2];
} letters;

#define DIGITS    UINT64_C(0x03ff000000000000) // 0-9, in the first half
#define ALPHABET  UINT64_C(0x07fffffe07fffffe) // A-Z a-z, in the second
#define LETTER(c) (UINT64_C(1) << ((c)&63))

// Without branches: what is a letter and what a digit in an id is random.
static bool letters_only(tm_span text, const letters *set) {
    uint64_t all = 1;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        all &= set->half[c >> 6 & 1] >> (c & 63) & ~(uint64_t)(c >> 7);
    }
    return all != 0;
}

bool tm_op_id_valid(tm_span id) {
    static const letters set = {{DIGITS | LETTER('.') | LETTER('-') | LETTER('/'),
                                 ALPHABET | LETTER('_') | LETTER('~')}};
    return id.len >= 1 && id.len <= TM_ID_MAX && letters_only(id, &set);
}

bool tm_browser_id_valid(tm_span id) {
    static const letters set = {
        {DIGITS | LETTER('.') | LETTER('-'), ALPHABET | LETTER('_') | LETTER('~')}};
    return id.len >= 1 && id.len <= TM_ID_MAX && letters_only(id, &set);
}

bool tm_field_name_valid(tm_span name) {
    static const letters set = {{DIGITS, ALPHABET | LETTER('_')}};
    static const letters first = {{0, ALPHABET}};
    return name.len >= 1 && name.len <= TM_FIELD_NAME_MAX &&
           letters_only(name, &set) && letters_only((tm_span){name.ptr, 1}, &first);
}

bool tm_instance_id_valid(tm_span id) {
    return id.len >= 1 && id.len <= TM_NAME_MAX;
}

// ---- reading ------------------------------------------------------------------------

#define LOGICAL_MAX ((1u << TM_LOGICAL_BITS) - 1)

// What reading finds out beside the operation itself. A member's meaning depends on the
// type, which may come last, so faults are judged when all has been read.
typedef struct op_draft {
    bool edit, instance_there;
    bool data_there, data_bad, fields_many;
    bool timestamp_bad, logical_bad, seq_bad;
    uint64_t timestamp, logical;
} op_draft;

// A string; of anything else *text stays null, and it is checked and passed over.
static tm_status text_read(tm_json *in, tm_span *text) {
    if (tm_json_peek(in) == TM_JSON_STRING) return tm_json_string(in, text);
    return tm_json_skip(in, NULL);
}

// An integer from `min` to `max`, and where it stands. Of anything else *number stays
// and *bad is set.
static tm_status number_read(tm_json *in, uint64_t min, uint64_t max,
                             uint64_t *number, bool *bad) {
    *bad = true;
    tm_json_kind kind = tm_json_peek(in);
    if (kind != TM_JSON_INT || in->source.ptr[in->at] == '-') {
        return tm_json_skip(in, NULL);
    }
    uint64_t value;
    tm_status status = tm_json_u64(in, &value);
    if (status != TM_OK) return status;
    if (value < min || value > max) return TM_OK;
    *number = value;
    *bad = false;
    return TM_OK;
}

static tm_status data_read(tm_json *in, tm_op *op, op_draft *draft) {
    draft->data_there = true;
    if (tm_json_peek(in) != TM_JSON_OBJECT) {
        draft->data_bad = true;
        return tm_json_skip(in, NULL);
    }
    tm_status status = tm_json_open(in, TM_JSON_OBJECT);
    if (status != TM_OK) return status;
    tm_field field;
    while (tm_json_member(in, &field.name)) {
        field.value = (tm_span){NULL, 0};
        tm_json_kind kind = tm_json_peek(in);
        status = text_read(in, &field.value);
        if (status != TM_OK) return status;
        if ((kind != TM_JSON_STRING && kind != TM_JSON_NULL) ||
            field.value.len > TM_VALUE_MAX || !tm_field_name_valid(field.name)) {
            draft->data_bad = true;
        }
        if (op->field_count == TM_FIELDS_MAX) {
            draft->fields_many = true;
        } else {
            op->fields[op->field_count++] = field;
        }
    }
    return in->status;
}

// Identity: without it nothing can be decided or answered.
static tm_status identity_read(tm_json *in, tm_op *op, op_member member) {
    bool bad;
    tm_status status;
    switch (member) {
    case MEMBER_ID:
        status = text_read(in, &op->id);
        if (status == TM_OK && !tm_op_id_valid(op->id)) {
            return tm_json_fail(in, "id is not 1 to 64 of A-Z a-z 0-9 . _ ~ / -");
        }
        return status;
    case MEMBER_BROWSER_ID:
        status = text_read(in, &op->at.browser);
        if (status == TM_OK && !tm_browser_id_valid(op->at.browser)) {
            return tm_json_fail(in,
                                "browserId is not 1 to 64 of A-Z a-z 0-9 . _ ~ -");
        }
        return status;
    default:
        status = number_read(in, 1, TM_INT_MAX, &op->at.version, &bad);
        if (status == TM_OK && bad) {
            return tm_json_fail(in, "version is not an integer from 1 to 2^53-1");
        }
        return status;
    }
}

static tm_status member_read(tm_json *in, tm_op *op, op_draft *draft,
                             op_member member) {
    switch (member) {
    case MEMBER_ID:
    case MEMBER_BROWSER_ID:
    case MEMBER_VERSION:
        return identity_read(in, op, member);
    case MEMBER_TYPE:
        return text_read(in, &op->type_name);
    case MEMBER_INSTANCE_ID:
        draft->instance_there = true;
        return text_read(in, &op->instance_id);
    case MEMBER_IMAGE_ID:
        return text_read(in, &op->image_id);
    case MEMBER_SORT:
        return text_read(in, &op->sort);
    case MEMBER_DATA:
        return data_read(in, op, draft);
    case MEMBER_TIMESTAMP:
        return number_read(in, 0, TM_MS_MAX, &draft->timestamp,
                           &draft->timestamp_bad);
    case MEMBER_LOGICAL:
        return number_read(in, 0, LOGICAL_MAX, &draft->logical,
                           &draft->logical_bad);
    case MEMBER_SEQ:
        return number_read(in, 1, TM_INT_MAX, &op->seq, &draft->seq_bad);
    default:
        return tm_json_skip(in, NULL);
    }
}

static tm_cut *cut_of(tm_op *op, op_member member) {
    switch (member) {
    case MEMBER_TIMESTAMP:
        return &op->cut.timestamp;
    case MEMBER_LOGICAL:
        return &op->cut.logical;
    case MEMBER_BROWSER_ID:
        return &op->cut.browser_id;
    case MEMBER_VERSION:
        return &op->cut.version;
    case MEMBER_SEQ:
        return &op->cut.seq;
    default:
        return NULL;
    }
}

// What the type asks for, in the order of SEMANTICS 2.
static tm_fault type_judge(const tm_op *op, const op_draft *draft) {
    bool is_add = op->type == TM_OP_ADD;
    if (op->type == TM_OP_SORT) {
        static const tm_span asc = TM_LIT("asc"), desc = TM_LIT("desc");
        return span_is(op->sort, asc) || span_is(op->sort, desc) ? TM_FAULT_NONE
                                                                 : TM_FAULT_SORT;
    }
    bool named_later = draft->edit && is_add && !draft->instance_there;
    if (!named_later && !tm_instance_id_valid(op->instance_id)) {
        return TM_FAULT_INSTANCE_ID;
    }
    if (op->type == TM_OP_DELETE) return TM_FAULT_NONE;
    if (is_add && !tm_instance_id_valid(op->image_id)) return TM_FAULT_IMAGE_ID;
    if (draft->data_bad) return TM_FAULT_DATA;
    if (!is_add && op->field_count == 0) return TM_FAULT_DATA;
    return draft->fields_many ? TM_FAULT_FIELDS : TM_FAULT_NONE;
}

static tm_fault judge(const tm_op *op, const op_draft *draft, uint32_t depth) {
    if (op->raw.len > TM_OP_MAX) return TM_FAULT_SIZE;
    if (depth > TM_OP_DEPTH_MAX) return TM_FAULT_DEPTH;
    if (op->type_name.len == 0) return TM_FAULT_TYPE;
    tm_fault fault = TM_FAULT_NONE;
    if (op->type != TM_OP_UNKNOWN) fault = type_judge(op, draft);
    if (op->type == TM_OP_UNKNOWN && draft->edit) fault = TM_FAULT_TYPE;
    if (fault != TM_FAULT_NONE || draft->edit) return fault;
    if (draft->timestamp_bad) return TM_FAULT_TIMESTAMP;
    if (draft->logical_bad) return TM_FAULT_LOGICAL;
    return draft->seq_bad ? TM_FAULT_SEQ : TM_FAULT_NONE;
}

// Members that mean nothing in this type are as good as not there.
static void type_trim(tm_op *op) {
    static const tm_span nothing = {(const uint8_t *)"", 0};
    bool is_add = op->type == TM_OP_ADD, is_update = op->type == TM_OP_UPDATE;
    if (!is_add && !is_update) op->field_count = 0;
    if (!is_add) op->image_id = nothing;
    if (!is_add && !is_update && op->type != TM_OP_DELETE)
        op->instance_id = nothing;
    if (op->type != TM_OP_SORT) op->sort = nothing;
}

// All but `fields`, which field_count bounds, and which are most of it.
static void op_clear(tm_op *op) {
    op->raw = op->id = op->type_name = (tm_span){NULL, 0};
    op->instance_id = op->image_id = op->sort = (tm_span){NULL, 0};
    op->type = TM_OP_UNKNOWN;
    op->fault = TM_FAULT_NONE;
    op->field_count = 0;
    op->at = (tm_stamp){0};
    op->seq = 0;
    memset(&op->cut, 0, sizeof op->cut);
}

static tm_status members_read(tm_json *in, tm_op *op, op_draft *draft,
                              size_t first) {
    tm_span name;
    while (tm_json_member(in, &name)) {
        op_member member = member_find(name);
        tm_cut *cut = cut_of(op, member);
        if (draft->edit && (cut != NULL || member == MEMBER_ID)) {
            return tm_json_fail(in, "not a part of an edit");
        }
        tm_status status = member_read(in, op, draft, member);
        if (status != TM_OK) return status;
        if (cut != NULL) {
            *cut = (tm_cut){(uint32_t)(in->start - first),
                            (uint32_t)(in->at - in->start)};
        }
    }
    return in->status;
}

static tm_status object_read(tm_json *in, tm_op *op, op_draft *draft) {
    uint32_t outside = in->depth, deepest = in->deepest;
    op_clear(op);
    tm_status status = tm_json_open(in, TM_JSON_OBJECT);
    if (status != TM_OK) return status;
    size_t first = in->start;
    in->deepest = in->depth;
    status = members_read(in, op, draft, first);
    if (status != TM_OK) return status;
    uint32_t depth = in->deepest - outside;
    if (deepest > in->deepest) in->deepest = deepest;

    in->start = first;
    if (!draft->edit) {
        if (op->id.ptr == NULL) return tm_json_fail(in, "id is missing");
        if (op->at.browser.ptr == NULL)
            return tm_json_fail(in, "browserId is missing");
        if (op->at.version == 0) return tm_json_fail(in, "version is missing");
    }
    op->raw = (tm_span){in->source.ptr + first, in->at - first};
    op->type = type_find(op->type_name);
    op->at.time = draft->timestamp << TM_LOGICAL_BITS | draft->logical;
    op->fault = judge(op, draft, depth);
    type_trim(op);
    return TM_OK;
}

tm_status tm_op_read(tm_json *in, tm_op *op) {
    op_draft draft = {.timestamp_bad = true}; // until there is one
    return object_read(in, op, &draft);
}

tm_status tm_op_read_edit(tm_json *in, tm_op *op) {
    op_draft draft = {.edit = true};
    return object_read(in, op, &draft);
}

// ---- writing ------------------------------------------------------------------------

static void text_write(tm_buf *out, const char *key, tm_span text) {
    tm_buf_text(out, key);
    tm_buf_json(out, text);
}

static void number_write(tm_buf *out, const char *key, uint64_t number) {
    tm_buf_text(out, key);
    tm_buf_u64(out, number);
}

static void data_write(tm_buf *out, const tm_op *op) {
    static const tm_span null = TM_LIT("null");
    tm_buf_text(out, ",\"data\":{");
    for (uint32_t i = 0; i < op->field_count; i++) {
        if (i > 0) tm_buf_byte(out, ',');
        tm_buf_json(out, op->fields[i].name);
        tm_buf_byte(out, ':');
        if (op->fields[i].value.ptr == NULL) {
            tm_buf_put(out, null);
        } else {
            tm_buf_json(out, op->fields[i].value);
        }
    }
    tm_buf_byte(out, '}');
}

void tm_op_write(tm_buf *out, const tm_op *op) {
    bool known = op->type != TM_OP_UNKNOWN;
    uint64_t logical = op->at.time & LOGICAL_MAX;
    text_write(out, "{\"id\":", op->id);
    text_write(out, ",\"type\":", known ? type_names[op->type] : op->type_name);
    if (op->instance_id.len > 0)
        text_write(out, ",\"instanceId\":", op->instance_id);
    if (op->image_id.len > 0) text_write(out, ",\"imageId\":", op->image_id);
    if (op->field_count > 0) data_write(out, op);
    if (op->sort.len > 0) text_write(out, ",\"sort\":", op->sort);
    number_write(out, ",\"timestamp\":", op->at.time >> TM_LOGICAL_BITS);
    if (logical > 0) number_write(out, ",\"logical\":", logical);
    text_write(out, ",\"browserId\":", op->at.browser);
    number_write(out, ",\"version\":", op->at.version);
    tm_buf_byte(out, '}');
}

// ---- passing on ---------------------------------------------------------------------

// Bytes of `raw` that are replaced, with nothing or by what stands in a buffer.
typedef struct splice {
    tm_cut cut;
    uint64_t number;
    const tm_span *text; // instead of the number
    bool removed;
} splice;

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

// From a value back over its key and one comma: what must go for the member to be gone.
// A key has no quote inside (`seq`, however it is escaped), so the quotes find it.
static tm_cut member_cut(tm_span raw, tm_cut value) {
    uint32_t first = value.at, end = value.at + value.len;
    for (int quotes = 0; quotes < 2;) {
        if (raw.ptr[--first] == '"') quotes++;
    }
    uint32_t before = first - 1;
    while (is_space(raw.ptr[before])) {
        before--;
    }
    if (raw.ptr[before] == ',') {
        first = before;
    } else { // the first member: the comma behind it goes, if there is one
        while (is_space(raw.ptr[end])) {
            end++;
        }
        if (raw.ptr[end] == ',') end++;
    }
    return (tm_cut){first, end - first};
}

// Sorted by where they stand; there are five at most.
static void splice_add(splice *all, size_t *count, splice one) {
    size_t at = (*count)++;
    for (; at > 0 && all[at - 1].cut.at > one.cut.at; at--) {
        all[at] = all[at - 1];
    }
    all[at] = one;
}

static void splices_write(tm_buf *out, tm_span raw, const splice *all,
                          size_t count) {
    size_t from = 0;
    for (size_t i = 0; i < count; i++) {
        tm_buf_put(out, (tm_span){raw.ptr + from, all[i].cut.at - from});
        from = all[i].cut.at + all[i].cut.len;
        if (all[i].removed) continue;
        if (all[i].text != NULL) {
            tm_buf_json(out, *all[i].text);
        } else {
            tm_buf_u64(out, all[i].number);
        }
    }
    tm_buf_put(out,
               (tm_span){raw.ptr + from, raw.len - 1 - from}); // up to the brace
}

void tm_op_pass(tm_buf *out, const tm_op *op, const tm_op_change *change) {
    TM_ASSERT(op->raw.len > 0);
    splice all[5];
    size_t count = 0;
    uint64_t logical = 0;
    if (change->time != NULL) {
        TM_ASSERT(op->cut.timestamp.len > 0);
        logical = *change->time & LOGICAL_MAX;
        splice_add(all, &count,
                   (splice){.cut = op->cut.timestamp,
                            .number = *change->time >> TM_LOGICAL_BITS});
        if (op->cut.logical.len > 0) {
            splice_add(all, &count,
                       (splice){.cut = op->cut.logical, .number = logical});
            logical = 0; // said
        }
    }
    if (change->browser != NULL) {
        splice_add(all, &count,
                   (splice){.cut = op->cut.browser_id, .text = change->browser});
    }
    if (change->version != 0) {
        splice_add(all, &count,
                   (splice){.cut = op->cut.version, .number = change->version});
    }
    bool has_seq = op->cut.seq.len > 0;
    if (has_seq && change->seq == 0) {
        splice_add(
            all, &count,
            (splice){.cut = member_cut(op->raw, op->cut.seq), .removed = true});
    } else if (has_seq) {
        splice_add(all, &count,
                   (splice){.cut = op->cut.seq, .number = change->seq});
    }
    splices_write(out, op->raw, all, count);
    if (logical > 0) number_write(out, ",\"logical\":", logical);
    if (!has_seq && change->seq != 0) number_write(out, ",\"seq\":", change->seq);
    tm_buf_byte(out, '}');
}
