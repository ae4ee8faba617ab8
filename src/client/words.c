// words.c - see words.h.
#include "client/words.h"

#include "core/limits.h"

// One behind the other, each with its NUL: a table of pointers would be larger than the
// words.
static const char words[] =
#define X(name, word) word "\0"
    TM_WORD_LIST(X)
#undef X
    ;

bool tm_text_is(tm_span text, const char *literal) {
    size_t i = 0;
    for (; i < text.len && literal[i] != '\0'; i++) {
        if (text.ptr[i] != (uint8_t)literal[i]) return false;
    }
    return i == text.len && literal[i] == '\0';
}

static const char *word_after(const char *word) {
    while (*word++ != '\0') {
    }
    return word;
}

static tm_word word_find(tm_span key) {
    const char *word = words;
    for (tm_word i = 0; i < TM_WORD_READ; i++, word = word_after(word)) {
        if (tm_text_is(key, word)) return i;
    }
    return TM_WORD_COUNT;
}

tm_status tm_doc_read(tm_json *in, tm_doc *doc) {
    tm_span key;
    *doc = (tm_doc){0};
    tm_status status = tm_json_open(in, TM_JSON_OBJECT);
    while (status == TM_OK && tm_json_member(in, &key)) {
        tm_word word = word_find(key);
        tm_json_kind kind = tm_json_peek(in);
        bool truth = false;
        if (word == TM_WORD_COUNT || kind == TM_JSON_NULL) {
            status = tm_json_skip(in, NULL);
            continue;
        }
        doc->at[word].kind = kind;
        if (kind == TM_JSON_STRING) {
            status = tm_json_string(in, &doc->at[word].text);
        } else if (kind == TM_JSON_INT) {
            status = tm_json_u64(in, &doc->at[word].number);
            if (doc->at[word].number > TM_INT_MAX) {
                status = tm_json_fail(in, "number out of range");
            }
        } else if (kind == TM_JSON_BOOL) {
            status = tm_json_bool(in, &truth);
            doc->at[word].number = truth;
        } else {
            status = tm_json_skip(in, &doc->at[word].text);
        }
    }
    return status != TM_OK ? status : in->status;
}

tm_status tm_doc_parse(tm_span text, tm_arena *arena, tm_doc *doc) {
    tm_json in;
    tm_json_init(&in, text, TM_JSON_DEPTH_MAX, arena);
    tm_status status = tm_doc_read(&in, doc);
    return status == TM_OK ? tm_json_end(&in) : status;
}

bool tm_doc_has(const tm_doc *doc, tm_word word, tm_json_kind kind) {
    return doc->at[word].kind == kind;
}

uint64_t tm_doc_number(const tm_doc *doc, tm_word word) {
    return doc->at[word].number;
}

void tm_doc_array(const tm_doc *doc, tm_word word, tm_json *in, tm_arena *arena) {
    tm_span none = TM_SPAN("[]");
    bool there = tm_doc_has(doc, word, TM_JSON_ARRAY);
    tm_json_init(in, there ? doc->at[word].text : none, TM_JSON_DEPTH_MAX, arena);
    tm_status status = tm_json_open(in, TM_JSON_ARRAY);
    (void)status; // it is sticky: the first element says so
}

void tm_out_comma(tm_buf *out) {
    uint8_t last = out->len > 0 ? out->ptr[out->len - 1] : '{';
    if (last != '{' && last != '[') tm_buf_byte(out, ',');
}

void tm_out_word(tm_buf *out, tm_word word) {
    const char *text = words;
    for (tm_word i = 0; i < word; i++) {
        text = word_after(text);
    }
    tm_out_comma(out);
    tm_buf_byte(out, '"');
    tm_buf_text(out, text);
    tm_buf_text(out, "\":");
}

void tm_out_number(tm_buf *out, tm_word word, uint64_t number) {
    tm_out_word(out, word);
    tm_buf_u64(out, number);
}

void tm_out_value(tm_buf *out, tm_span text) {
    if (text.ptr == NULL) {
        tm_buf_text(out, "null");
    } else {
        tm_buf_json(out, text);
    }
}

void tm_out_text(tm_buf *out, tm_word word, tm_span text) {
    tm_out_word(out, word);
    tm_out_value(out, text);
}

void tm_out_open(tm_buf *out, tm_word word, char bracket) {
    tm_out_word(out, word);
    tm_buf_byte(out, (uint8_t)bracket);
}

void tm_out_key(tm_buf *out, tm_span key) {
    tm_out_comma(out);
    tm_buf_json(out, key);
    tm_buf_byte(out, ':');
}
