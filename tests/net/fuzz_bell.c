// Any bytes as what a Redis says to the doorbell: the same replies, and the same end, however
// they are cut; each has a kind and its text in its place; what is taken for a ring says a
// head, a list and a user that stand there. The bytes are also tried as the URL of one.
// Byte 0 chooses the cuts.
#include "core/limits.h"
#include "core/op.h"
#include "fuzz.h"
#include "net/bell_talk.h"

#define UNTOUCHED ((tm_bell_kind)77)

typedef struct heard {
    bool good;
    size_t count, len;
    uint8_t *bytes; // every reply, one behind the other
} heard;

static void note(heard *to, const void *bytes, size_t len) {
    to->bytes = realloc(to->bytes, to->len + len + 1);
    TM_ASSERT(to->bytes != NULL);
    if (len > 0) memcpy(to->bytes + to->len, bytes, len);
    to->len += len;
}

static void ring_check(const tm_bell_item *item) {
    tm_key key;
    uint64_t head;
    char digits[24];
    tm_span text = {(const uint8_t *)item->text, item->len};
    if (!tm_bell_head_read(text, &key, &head)) return;
    TM_ASSERT(head <= TM_INT_MAX && key.list.len > 0 && key.user.len > 0);
    TM_ASSERT(memchr(key.list.ptr, ' ', key.list.len) == NULL);
    TM_ASSERT(key.user.ptr == key.list.ptr + key.list.len + 1);
    TM_ASSERT(key.user.ptr + key.user.len == text.ptr + text.len);
    size_t begin = (size_t)(key.list.ptr - text.ptr), at = 0;
    while (at + 2 < begin && text.ptr[at] == '0') {
        at++;
    }
    int len = snprintf(digits, sizeof digits, "%llu ", (unsigned long long)head);
    TM_ASSERT((size_t)len == begin - at);
    TM_ASSERT(memcmp(digits, text.ptr + at, (size_t)len) == 0);
}

static void item_take(heard *to, const tm_bell_item *item) {
    TM_ASSERT(item->kind <= TM_BELL_ARRAY && item->len <= TM_BELL_TEXT_MAX);
    note(to, &item->kind, sizeof item->kind);
    note(to, &item->len, sizeof item->len);
    note(to, item->text, item->len);
    if (item->kind == TM_BELL_TEXT) ring_check(item);
}

static void reply_take(heard *to, const tm_bell_reply *reply) {
    to->count++;
    item_take(to, &reply->root);
    TM_ASSERT(reply->count <= TM_BELL_ITEMS_MAX);
    TM_ASSERT(reply->count == 0 || reply->root.kind == TM_BELL_ARRAY);
    for (uint32_t i = 0; i < reply->count; i++) {
        TM_ASSERT(reply->items[i].kind != TM_BELL_ARRAY);
        item_take(to, &reply->items[i]);
    }
}

static void untouch(tm_bell_reader *reader) {
    reader->reply.root.kind = UNTOUCHED;
    for (uint32_t i = 0; i < TM_BELL_ITEMS_MAX; i++) {
        reader->reply.items[i].kind = UNTOUCHED;
    }
}

static heard fed(const uint8_t *bytes, size_t size, size_t step) {
    tm_bell_reader reader = {0};
    heard to = {.good = true};
    TM_ASSERT(tm_bell_reader_start(&reader));
    untouch(&reader);
    for (size_t at = 0; at < size && to.good;) {
        size_t len = size - at < step ? size - at : step;
        char *copy = malloc(len);
        const tm_bell_reply *reply;
        TM_ASSERT(copy != NULL);
        memcpy(copy, bytes + at, len);
        to.good = tm_bell_reader_feed(&reader, copy, len);
        free(copy);
        while (to.good &&
               (reply = tm_bell_reader_next(&reader, &to.good)) != NULL) {
            reply_take(&to, reply);
            untouch(&reader);
        }
        at += len;
    }
    tm_bell_reader_stop(&reader);
    return to;
}

static void url_try(const uint8_t *bytes, size_t size) {
    tm_bell_url url;
    char problem[256] = "";
    char *text = malloc(size + 1);
    TM_ASSERT(text != NULL);
    memcpy(text, bytes, size);
    text[size] = '\0';
    if (tm_bell_url_read(text, &url, problem)) {
        TM_ASSERT(url.host[0] != '\0' && url.port > 0 && url.database <= 99999);
        TM_ASSERT(strstr(text, url.host) != NULL);
        TM_ASSERT(strstr(text, url.user) != NULL);
        TM_ASSERT(strstr(text, url.password) != NULL);
    } else {
        TM_ASSERT(problem[0] != '\0' && strlen(problem) < sizeof problem);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    size_t steps[] = {1, 1u + data[0] % 31u};
    data++;
    size--;
    url_try(data, size);
    heard want = fed(data, size, size);
    for (size_t i = 0; i < 2; i++) {
        heard got = fed(data, size, steps[i]);
        TM_ASSERT(got.good == want.good && got.count == want.count);
        TM_ASSERT(got.len == want.len &&
                  (got.len == 0 || memcmp(got.bytes, want.bytes, got.len) == 0));
        free(got.bytes);
    }
    free(want.bytes);
    return 0;
}
