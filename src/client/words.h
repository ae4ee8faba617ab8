// words.h - the members of our messages and records, and reading and writing them.
//
// One word means one thing on the wire and in storage (DESIGN 4), so one reader serves
// every object there is: it takes the members it knows, whatever their kind, and proves
// the rest well-formed. Whoever uses a member asks for the kind it must have.
//
// Knows core/json.h.
#ifndef TM_CLIENT_WORDS_H
#define TM_CLIENT_WORDS_H

#include "core/json.h"

#define TM_WORD_LIST(X)                                                            \
    X(TYPE, "type")                                                                \
    X(LIST, "list")                                                                \
    X(USER, "user")                                                                \
    X(SINCE, "since")                                                              \
    X(MARK, "mark")                                                                \
    X(ACKED, "acked")                                                              \
    X(VERSION, "version")                                                          \
    X(HEAD, "head")                                                                \
    X(SERVER_TIME, "serverTime")                                                   \
    X(REF, "ref")                                                                  \
    X(FROM, "from")                                                                \
    X(ACKS, "acks")                                                                \
    X(STOP, "stop")                                                                \
    X(OPERATIONS, "operations")                                                    \
    X(SNAPSHOT, "snapshot")                                                        \
    X(ID, "id")                                                                    \
    X(STATUS, "status")                                                            \
    X(SEQ, "seq")                                                                  \
    X(TIMESTAMP, "timestamp")                                                      \
    X(LOGICAL, "logical")                                                          \
    X(CODE, "code")                                                                \
    X(DETAIL, "detail")                                                            \
    X(PART, "part")                                                                \
    X(PARTS, "parts")                                                              \
    X(DATA, "data")                                                                \
    X(FORMAT, "format")                                                            \
    X(DIGEST, "digest")                                                            \
    X(STATE, "state")                                                              \
    X(UNKNOWN, "unknown")                                                          \
    X(H, "H")                                                                      \
    X(CLIENT, "client")                                                            \
    X(QUEUED, "queued")                                                            \
    X(OLDEST, "oldestMs")                                                          \
    X(FALLBACKS, "fallbacks")                                                      \
    X(WRITER, "writer")                                                            \
    X(OFFERED, "offered")                                                          \
    X(NEXT, "next")                                                                \
    X(DECIDED, "decided")                                                          \
    X(RETIRED, "retired")                                                          \
    X(DISK, "disk")                                                                \
    X(GENERATION, "generation")                                                    \
    X(CURSOR, "cursor")                                                            \
    X(BASE, "base")                                                                \
    X(AHEAD, "ahead")                                                              \
    X(BEHIND, "behind")                                                            \
    X(OPERATION, "operation")                                                      \
    X(PHASE, "phase")                                                              \
    X(PENDING, "pending")                                                          \
    X(VOLATILE, "volatile")                                                        \
    X(DEAD, "dead")                                                                \
    X(BROWSER_ID, "browserId")                                                     \
    X(OFFSET, "offset")                                                            \
    X(RECEIPTS, "receipts")                                                        \
    X(IMAGE_ID, "imageId")                                                         \
    X(FIELDS, "fields")                                                            \
    X(KEY, "key")                                                                  \
    X(VALUE, "value")                                                              \
    X(TICKET, "ticket")                                                            \
    X(RECEIPT, "receipt")                                                          \
    X(INSTANCE, "instance")                                                        \
    X(FIELD, "field")                                                              \
    X(MINE, "mine")                                                                \
    X(WINNER, "winner")                                                            \
    X(GUARD, "guard")                                                              \
    X(GUARDED, "guarded")                                                          \
    X(ALWAYS, "always")

typedef enum tm_word {
#define X(name, word) TM_WORD_##name,
    TM_WORD_LIST(X)
#undef X
        TM_WORD_COUNT
} tm_word;

// Words of which something is read; those behind are only written.
#define TM_WORD_READ TM_WORD_PHASE

typedef struct tm_doc {
    struct {
        tm_json_kind kind; // TM_JSON_END = not there, or null
        tm_span text;      // of a string; of an array or object its bytes
        uint64_t number;   // of an integer, at most TM_INT_MAX; of a bool 0 or 1
    } at[TM_WORD_READ];
} tm_doc;

// tm_doc_read - one object, where the reader stands. Lends from the source and the arena.
TM_MUST_USE tm_status tm_doc_read(tm_json *in, tm_doc *doc);

// tm_doc_parse - the same for a whole text.
TM_MUST_USE tm_status tm_doc_parse(tm_span text, tm_arena *arena, tm_doc *doc);

bool tm_doc_has(const tm_doc *doc, tm_word word, tm_json_kind kind);

// tm_doc_number - 0 if there is no such integer.
uint64_t tm_doc_number(const tm_doc *doc, tm_word word);

// tm_doc_array - a reader inside the array `word`, in front of its first element. An
// array that is not there reads as one that is over.
void tm_doc_array(const tm_doc *doc, tm_word word, tm_json *in, tm_arena *arena);

// The writers put a comma in front unless the member is its object's first.
void tm_out_word(tm_buf *out, tm_word word); // "word":
void tm_out_number(tm_buf *out, tm_word word, uint64_t number);
void tm_out_text(tm_buf *out, tm_word word, tm_span text); // ptr NULL = null
void tm_out_open(tm_buf *out, tm_word word, char bracket);
void tm_out_comma(tm_buf *out); // in front of an element; none behind a bracket
void tm_out_key(tm_buf *out, tm_span key);    // "key": for keys that are data
void tm_out_value(tm_buf *out, tm_span text); // ptr NULL = null

// tm_text_is - whether the span is this literal.
bool tm_text_is(tm_span text, const char *literal);

#define TM_SPAN(s) ((tm_span){(const uint8_t *)(s), sizeof(s) - 1})

#endif
