// op.h - the operation: one edit by one browser, and its JSON form.
//
// Reading lends: a tm_op's spans point into the document it was read from (or into the
// reader's arena where a string had escapes). `raw` is the operation's object as it
// stood there, and `cut` says where in it the members stand that a server or a rename
// changes, so that passing an operation on never re-serialises it: unknown members and
// the author's spelling survive. SEMANTICS 2, DESIGN 3.
//
// Two kinds of wrong: what cannot be decided at all (not JSON; not an object; `id`,
// `browserId` or `version` missing or unusable) fails the reader, and with it the whole
// request. What has an identity but breaks a rule has a `fault`, and is rejected alone.
//
// Knows core/json.h, core/stamp.h.
#ifndef TM_CORE_OP_H
#define TM_CORE_OP_H

#include "core/json.h"
#include "core/limits.h"
#include "core/stamp.h"

typedef enum tm_op_type {
    TM_OP_UNKNOWN, // stored, numbered, delivered, joins nothing
    TM_OP_ADD,
    TM_OP_DELETE,
    TM_OP_UPDATE, // UPDATE_METADATA
    TM_OP_SORT,   // SORT_CHANGE
} tm_op_type;

// Why an operation can never be accepted. The words travel as `code` of an ack; numbers
// stay inside one build.
#define TM_FAULT_LIST(X)                                                           \
    X(TM_FAULT_NONE, "")                                                           \
    X(TM_FAULT_TYPE, "bad-type")                                                   \
    X(TM_FAULT_INSTANCE_ID, "bad-instanceId")                                      \
    X(TM_FAULT_IMAGE_ID, "bad-imageId")                                            \
    X(TM_FAULT_DATA, "bad-data")                                                   \
    X(TM_FAULT_SORT, "bad-sort")                                                   \
    X(TM_FAULT_TIMESTAMP, "bad-timestamp")                                         \
    X(TM_FAULT_LOGICAL, "bad-logical")                                             \
    X(TM_FAULT_SEQ, "has-seq")                                                     \
    X(TM_FAULT_SIZE, "too-large")                                                  \
    X(TM_FAULT_DEPTH, "too-deep")                                                  \
    X(TM_FAULT_LIVE, "too-many-items")                                             \
    X(TM_FAULT_IDS, "too-many-ids")                                                \
    X(TM_FAULT_FIELDS, "too-many-fields")                                          \
    X(TM_FAULT_STATE, "list-too-large")                                            \
    X(TM_FAULT_POLICY, "refused-by-policy")

typedef enum tm_fault {
#define X(name, word) name,
    TM_FAULT_LIST(X)
#undef X
} tm_fault;

// tm_fault_word - the stable word of a fault, lent for ever.
tm_span tm_fault_word(tm_fault fault);

typedef struct tm_field {
    tm_span name;
    tm_span value; // ptr NULL = null, which clears the field
} tm_field;

// Where a member's value stands in `raw`; len 0 = the member is not there.
typedef struct tm_cut {
    uint32_t at, len;
} tm_cut;

typedef struct tm_op {
    tm_stamp at;
    uint64_t seq; // 0 = none
    tm_span id;
    tm_span raw; // the whole object; empty in an operation that was not read
    tm_op_type type;
    tm_fault fault;
    tm_span instance_id; // empty in a SORT_CHANGE
    tm_span image_id;    // empty but in an ADD
    tm_span sort;        // "asc" or "desc" in a SORT_CHANGE, else empty
    tm_span type_name;
    struct {
        tm_cut timestamp, logical, browser_id, version, seq;
    } cut;
    uint32_t field_count;
    tm_field fields[TM_FIELDS_MAX]; // last: most of it, and rarely looked at
} tm_op;

// The bounds of SEMANTICS 2, for whoever reads such words elsewhere.
bool tm_op_id_valid(tm_span id);        // 1-64 of [A-Za-z0-9._~/-]
bool tm_browser_id_valid(tm_span id);   // the same without the slash
bool tm_field_name_valid(tm_span name); // [A-Za-z][A-Za-z0-9_]{0,31}
bool tm_instance_id_valid(tm_span id);  // 1-128 bytes; an imageId too

// tm_op_read - read one operation where the reader stands.
//   op   receives spans that live as long as the reader's source and arena
// A `seq` is read into op->seq whatever the caller thinks of it (the server makes it
// TM_FAULT_SEQ); one that is no number from 1 to 2^53-1 is that fault already. With a
// fault, only id, at.browser, at.version, raw and cut mean anything.
// TM_E_CORRUPT, TM_E_NOMEM: the reader's, see json.h; *op is undefined.
TM_MUST_USE tm_status tm_op_read(tm_json *in, tm_op *op);

// tm_op_read_edit - the same for what a user asks for: an operation without id, stamp,
// browserId, version and seq (having one is TM_E_CORRUPT). An ADD may lack instanceId,
// which is then empty. A type that is not known is TM_FAULT_TYPE: nobody here makes one.
TM_MUST_USE tm_status tm_op_read_edit(tm_json *in, tm_op *op);

// tm_op_write - the JSON of an operation made here, members in the order of SEMANTICS 2:
// id type instanceId imageId data sort timestamp logical browserId version. `logical` 0
// is left out. Ignores raw, seq and cut.
void tm_op_write(tm_buf *out, const tm_op *op);

// What may change when an operation is passed on. Zero-initialised = nothing.
typedef struct tm_op_change {
    uint64_t seq;           // 0 = leave out (one that is there is removed)
    const uint64_t *time;   // borrows: the stamp's time; NULL = as it is
    const tm_span *browser; // borrows; NULL = as it is
    uint64_t version;       // 0 = as it is
} tm_op_change;

// tm_op_pass - op->raw with `change` spliced in: a changed value replaces its bytes, a
// `logical` or `seq` that was not there is appended before the closing brace.
void tm_op_pass(tm_buf *out, const tm_op *op, const tm_op_change *change);

#endif
