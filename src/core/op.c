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

// ---- members ------------------------------------------------------------------------

typedef enum number_name { TIMESTAMP, LOGICAL, VERSION, SEQ, NUMBERS } number_name;

typedef enum member_kind { OTHER, TEXT, NUMBER, DATA } member_kind;

// How a member is read, and where it goes.
typedef struct op_member {
    tm_span name;
    uint8_t kind;
    uint8_t number;  // of a NUMBER: which
    uint16_t text;   // of a TEXT: offset of its span in tm_op
    uint16_t cut;    // offset of its tm_cut, 0 = it has none
    const char *bad; // of what is identity: the reason if it is not usable
} op_member;

// All of them by a number that differs for each, since this is looked up for every member
// of every operation.
#define SLOT(len, second) ((7 * (len) + (second)) & 15)
#define MEMBERS           16u

enum {
    MEMBER_ID = SLOT(2, 'd'),
    MEMBER_INSTANCE_ID = SLOT(10, 'n'),
    MEMBER_BROWSER_ID = SLOT(9, 'r'),
    MEMBER_VERSION = SLOT(7, 'e'),
};

#define AT(member) ((uint16_t)offsetof(tm_op, member))

static const op_member members[MEMBERS] = {
    [MEMBER_ID] = {TM_LIT("id"), TEXT, 0, AT(id), 0,
                   TM_WHY("id is not 1 to 64 of A-Z a-z 0-9 . _ ~ / -")},
    [SLOT(4, 'y')] = {TM_LIT("type"), TEXT, 0, AT(type_name), 0, NULL},
    [MEMBER_INSTANCE_ID] = {TM_LIT("instanceId"), TEXT, 0, AT(instance_id), 0,
                            NULL},
    [SLOT(7, 'm')] = {TM_LIT("imageId"), TEXT, 0, AT(image_id), 0, NULL},
    [SLOT(4, 'a')] = {TM_LIT("data"), DATA, 0, 0, 0, NULL},
    [SLOT(4, 'o')] = {TM_LIT("sort"), TEXT, 0, AT(sort), 0, NULL},
    [SLOT(9, 'i')] = {TM_LIT("timestamp"), NUMBER, TIMESTAMP, 0, AT(cut.timestamp),
                      NULL},
    [SLOT(7, 'o')] = {TM_LIT("logical"), NUMBER, LOGICAL, 0, AT(cut.logical), NULL},
    [MEMBER_BROWSER_ID] = {TM_LIT("browserId"), TEXT, 0, AT(at.browser),
                           AT(cut.browser_id),
                           TM_WHY(
                               "browserId is not 1 to 64 of A-Z a-z 0-9 . _ ~ -")},
    [MEMBER_VERSION] = {TM_LIT("version"), NUMBER, VERSION, 0, AT(cut.version),
                        TM_WHY("version is not an integer from 1 to 2^53-1")},
    [SLOT(3, 'e')] = {TM_LIT("seq"), NUMBER, SEQ, 0, AT(cut.seq), NULL},
};

#define IDENTITY (1u << MEMBER_ID | 1u << MEMBER_BROWSER_ID | 1u << MEMBER_VERSION)

static uint32_t member_find(tm_span name) {
    if (name.len < 2) return MEMBERS;
    uint32_t slot = SLOT((uint32_t)name.len, name.ptr[1]);
    return span_is(name, members[slot].name) ? slot : MEMBERS;
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

// A failed reader stays failed and ends every loop, so only the ends ask how it went.

#define LOGICAL_MAX ((1u << TM_LOGICAL_BITS) - 1)

// What reading finds out beside the operation itself. A member's meaning depends on the
// type, which may come last, so faults are judged when all has been read.
typedef struct op_draft {
    bool edit;
    bool data_bad, fields_many;
    bool bad[NUMBERS];
    uint64_t number[NUMBERS];
    uint32_t seen; // a bit for each member
} op_draft;

// A string; of anything else *text stays null, and it is checked and passed over.
static void text_read(tm_json *in, tm_span *text) {
    if (tm_json_peek(in) == TM_JSON_STRING) {
        tm_json_kept(tm_json_string(in, text));
    } else {
        tm_json_kept(tm_json_skip(in, NULL));
    }
}

static void number_read(tm_json *in, op_draft *draft, uint32_t which) {
    static const struct {
        uint64_t min, max;
    } bounds[NUMBERS] = {[TIMESTAMP] = {0, TM_MS_MAX},
                         [LOGICAL] = {0, LOGICAL_MAX},
                         [VERSION] = {1, TM_INT_MAX},
                         [SEQ] = {1, TM_INT_MAX}};
    draft->bad[which] = true;
    if (tm_json_peek(in) != TM_JSON_INT || in->source.ptr[in->at] == '-') {
        tm_json_kept(tm_json_skip(in, NULL));
        return;
    }
    uint64_t number = 0;
    tm_json_kept(tm_json_u64(in, &number));
    if (number < bounds[which].min || number > bounds[which].max) return;
    draft->number[which] = number;
    draft->bad[which] = false;
}

static void data_read(tm_json *in, tm_op *op, op_draft *draft) {
    if (tm_json_peek(in) != TM_JSON_OBJECT) {
        draft->data_bad = true;
        tm_json_kept(tm_json_skip(in, NULL));
        return;
    }
    tm_field surplus; // what does not fit is checked all the same
    tm_json_kept(tm_json_open(in, TM_JSON_OBJECT)); // too deep: no member comes
    for (;;) {
        bool fits = op->field_count < TM_FIELDS_MAX;
        tm_field *field = fits ? &op->fields[op->field_count] : &surplus;
        if (!tm_json_member(in, &field->name)) return;
        field->value = (tm_span){NULL, 0};
        bool is_null = tm_json_peek(in) == TM_JSON_NULL;
        text_read(in, &field->value);
        if (!tm_field_name_valid(field->name) || field->value.len > TM_VALUE_MAX ||
            (field->value.ptr == NULL && !is_null)) {
            draft->data_bad = true;
        }
        if (fits) {
            op->field_count++;
        } else {
            draft->fields_many = true;
        }
    }
}

// Without identity nothing can be decided or answered.
static bool identity_usable(const tm_op *op, const op_draft *draft, uint32_t slot) {
    if (slot == MEMBER_VERSION) return !draft->bad[VERSION];
    return slot == MEMBER_ID ? tm_op_id_valid(op->id)
                             : tm_browser_id_valid(op->at.browser);
}

static void known_read(tm_json *in, tm_op *op, op_draft *draft, uint32_t slot,
                       size_t first) {
    const op_member *member = &members[slot];
    uint8_t *base = (uint8_t *)op;
    draft->seen |= 1u << slot;
    if (draft->edit && (member->cut != 0 || slot == MEMBER_ID)) {
        (void)tm_json_fail(in, TM_WHY("not a part of an edit"));
        return;
    }
    if (member->kind == TEXT) {
        text_read(in, (tm_span *)(void *)(base + member->text));
    } else if (member->kind == NUMBER) {
        number_read(in, draft, member->number);
    } else {
        data_read(in, op, draft);
    }
    if (member->cut != 0) {
        tm_cut cut = {(uint32_t)(in->start - first),
                      (uint32_t)(in->at - in->start)};
        *(tm_cut *)(void *)(base + member->cut) = cut;
    }
    if (member->bad != NULL && !identity_usable(op, draft, slot)) {
        (void)tm_json_fail(in, member->bad);
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
    bool there = (draft->seen >> MEMBER_INSTANCE_ID & 1) != 0;
    bool named_later = draft->edit && is_add && !there;
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
    if (draft->bad[TIMESTAMP]) return TM_FAULT_TIMESTAMP;
    if (draft->bad[LOGICAL]) return TM_FAULT_LOGICAL;
    return draft->bad[SEQ] ? TM_FAULT_SEQ : TM_FAULT_NONE;
}

// Members that mean nothing in this type are as good as not there.
static void type_trim(tm_op *op) {
    bool is_add = op->type == TM_OP_ADD,
         has_fields = is_add || op->type == TM_OP_UPDATE;
    if (!has_fields) op->field_count = 0;
    if (!has_fields && op->type != TM_OP_DELETE) op->instance_id.len = 0;
    if (!is_add) op->image_id.len = 0;
    if (op->type != TM_OP_SORT) op->sort.len = 0;
}

static tm_status object_read(tm_json *in, tm_op *op, op_draft *draft) {
    uint32_t outside = in->depth, deepest = in->deepest;
    // All but `fields`, which field_count bounds, and which are most of it.
    memset(op, 0, offsetof(tm_op, fields));
    tm_status status = tm_json_open(in, TM_JSON_OBJECT);
    if (status != TM_OK) return status;
    size_t first = in->start;
    in->deepest = in->depth;
    tm_span name;
    while (tm_json_member(in, &name)) {
        uint32_t slot = member_find(name);
        if (slot == MEMBERS) {
            tm_json_kept(tm_json_skip(in, NULL));
        } else {
            known_read(in, op, draft, slot, first);
        }
    }
    uint32_t depth = in->deepest - outside;
    if (deepest > in->deepest) in->deepest = deepest;
    in->start = first;
    if (!draft->edit && (draft->seen & IDENTITY) != IDENTITY) {
        (void)tm_json_fail(in, TM_WHY("id, browserId or version is missing"));
    }
    if (in->status != TM_OK) return in->status;

    op->raw = (tm_span){in->source.ptr + first, in->at - first};
    op->type = type_find(op->type_name);
    op->at.time =
        draft->number[TIMESTAMP] << TM_LOGICAL_BITS | draft->number[LOGICAL];
    op->at.version = draft->number[VERSION];
    op->seq = draft->number[SEQ];
    op->fault = judge(op, draft, depth);
    type_trim(op);
    return TM_OK;
}

tm_status tm_op_read(tm_json *in, tm_op *op) {
    op_draft draft = {.bad[TIMESTAMP] = true}; // until there is one
    return object_read(in, op, &draft);
}

tm_status tm_op_read_edit(tm_json *in, tm_op *op) {
    op_draft draft = {.edit = true};
    return object_read(in, op, &draft);
}

// ---- writing ------------------------------------------------------------------------

// Not at all if there is no text.
static void text_write(tm_buf *out, const char *key, const tm_span *text) {
    if (text->len == 0) return;
    tm_buf_text(out, key);
    tm_buf_json(out, *text);
}

static void number_write(tm_buf *out, const char *key, uint64_t number) {
    tm_buf_text(out, key);
    tm_buf_u64(out, number);
}

static void data_write(tm_buf *out, const tm_op *op) {
    tm_buf_text(out, ",\"data\":");
    for (uint32_t i = 0; i < op->field_count; i++) {
        tm_buf_byte(out, i > 0 ? ',' : '{');
        tm_buf_json(out, op->fields[i].name);
        tm_buf_byte(out, ':');
        if (op->fields[i].value.ptr == NULL) {
            tm_buf_text(out, "null");
        } else {
            tm_buf_json(out, op->fields[i].value);
        }
    }
    tm_buf_byte(out, '}');
}

void tm_op_write(tm_buf *out, const tm_op *op) {
    bool known = op->type != TM_OP_UNKNOWN;
    uint64_t logical = op->at.time & LOGICAL_MAX;
    text_write(out, "{\"id\":", &op->id);
    text_write(out, ",\"type\":", known ? &type_names[op->type] : &op->type_name);
    text_write(out, ",\"instanceId\":", &op->instance_id);
    text_write(out, ",\"imageId\":", &op->image_id);
    if (op->field_count > 0) data_write(out, op);
    text_write(out, ",\"sort\":", &op->sort);
    number_write(out, ",\"timestamp\":", op->at.time >> TM_LOGICAL_BITS);
    if (logical > 0) number_write(out, ",\"logical\":", logical);
    text_write(out, ",\"browserId\":", &op->at.browser);
    number_write(out, ",\"version\":", op->at.version);
    tm_buf_byte(out, '}');
}

// ---- passing on ---------------------------------------------------------------------

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

// What is cut out of `raw`, and the number that comes instead; of the browser, its name.
typedef struct splices {
    struct {
        tm_cut cut; // len 0 = as it is
        uint64_t number;
    } part[NUMBERS + 1];
    const tm_span *browser;
} splices;

#define BROWSER NUMBERS

// The next one at or behind `from`; NUMBERS + 1 if there is none.
static uint32_t splice_next(const splices *all, size_t from) {
    uint32_t next = NUMBERS + 1;
    for (uint32_t i = 0; i <= NUMBERS; i++) {
        tm_cut cut = all->part[i].cut;
        if (cut.len == 0 || cut.at < from) continue;
        if (next > NUMBERS || cut.at < all->part[next].cut.at) next = i;
    }
    return next;
}

static void splices_write(tm_buf *out, tm_span raw, const splices *all) {
    size_t from = 0;
    uint32_t next;
    while ((next = splice_next(all, from)) <= NUMBERS) {
        tm_cut cut = all->part[next].cut;
        tm_buf_put(out, (tm_span){raw.ptr + from, cut.at - from});
        from = cut.at + cut.len;
        if (next == BROWSER) {
            tm_buf_json(out, *all->browser);
        } else if (next != SEQ || all->part[SEQ].number != 0) {
            tm_buf_u64(out, all->part[next].number);
        }
    }
    tm_buf_put(out,
               (tm_span){raw.ptr + from, raw.len - 1 - from}); // up to the brace
}

void tm_op_pass(tm_buf *out, const tm_op *op, const tm_op_change *change) {
    TM_ASSERT(op->raw.len > 0);
    splices all = {.browser = change->browser};
    uint64_t logical = 0;
    if (change->time != NULL) {
        TM_ASSERT(op->cut.timestamp.len > 0);
        logical = *change->time & LOGICAL_MAX;
        all.part[TIMESTAMP].cut = op->cut.timestamp;
        all.part[TIMESTAMP].number = *change->time >> TM_LOGICAL_BITS;
        all.part[LOGICAL].cut = op->cut.logical;
        all.part[LOGICAL].number = logical;
    }
    if (change->browser != NULL) all.part[BROWSER].cut = op->cut.browser_id;
    if (change->version != 0) all.part[VERSION].cut = op->cut.version;
    all.part[VERSION].number = change->version;
    all.part[SEQ].cut = op->cut.seq;
    all.part[SEQ].number = change->seq;
    bool has_seq = op->cut.seq.len > 0;
    if (has_seq && change->seq == 0) {
        all.part[SEQ].cut = member_cut(op->raw, op->cut.seq);
    }
    splices_write(out, op->raw, &all);
    if (logical > 0 && op->cut.logical.len == 0) {
        number_write(out, ",\"logical\":", logical);
    }
    if (!has_seq && change->seq != 0) number_write(out, ",\"seq\":", change->seq);
    tm_buf_byte(out, '}');
}
