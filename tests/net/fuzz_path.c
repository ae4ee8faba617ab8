// Line 1 as the path of a page, line 2 as a name that a person allows, line 3 as the first
// bytes of a photo: a page is found if and only if the path, decoded once and by somebody
// else, is the name of one; and nothing that has a slash, a capital or an escape is taken
// for a host.
#include "fuzz.h"
#include "net/access.h"
#include "net/pages.h"
#include "net/photo.h"

static const uint8_t byte[] = {'x'};
static const tm_asset assets[] = {
    {"/assets/index-ab12.js", "text/javascript", byte, 1, 1, false},
    {"/core.wasm", "application/wasm", byte, 1, 1, true},
    {"/index.html", "text/html", byte, 1, 1, false},
    {"/photos/one two.jpg", "image/jpeg", byte, 1, 1, false},
    {"/sw.js", "text/javascript", byte, 1, 1, false},
};
#define COUNT (sizeof assets / sizeof assets[0])

static tm_span line_take(const uint8_t **at, const uint8_t *end) {
    tm_span line = {*at, 0};
    while (*at < end && **at != '\n') {
        ++*at;
        line.len++;
    }
    if (*at < end) ++*at;
    return line;
}

// NULL: not well-formed. gives: free.
static char *decoded(tm_span path, size_t *len) {
    char *name = malloc(path.len + 1);
    TM_ASSERT(name != NULL);
    *len = 0;
    for (size_t i = 0; i < path.len; i++) {
        unsigned value = path.ptr[i];
        if (value == '%') {
            char digits[3] = {0};
            for (size_t k = 0; k < 2 && i + 1 + k < path.len; k++) {
                digits[k] = (char)path.ptr[i + 1 + k];
            }
            if (strspn(digits, "0123456789abcdefABCDEF") != 2) {
                free(name);
                return NULL;
            }
            value = (unsigned)strtoul(digits, NULL, 16);
            i += 2;
        }
        name[(*len)++] = (char)value;
    }
    name[*len] = '\0';
    return name;
}

static void page_check(const tm_pages *pages, tm_span path) {
    const tm_asset *want = NULL, *got = tm_pages_find(pages, path);
    size_t len;
    char *name = decoded(path, &len);
    const char *wanted = name;
    if (name != NULL && len == 1 && name[0] == '/') {
        wanted = "/index.html";
        len = strlen(wanted);
    }
    for (size_t i = 0; name != NULL && i < COUNT; i++) {
        size_t own = strlen(assets[i].path);
        if (own == len && memcmp(assets[i].path, wanted, len) == 0)
            want = &assets[i];
    }
    TM_ASSERT(got == want);
    if (got != NULL) {
        TM_ASSERT(strlen(tm_pages_etag(pages, got)) == TM_ETAG_LEN);
        TM_ASSERT(tm_pages_immutable(got) == (got == &assets[0]));
    }
    free(name);
}

static void names_check(const tm_alloc *alloc, tm_span text) {
    tm_access access = {.texts = {.alloc = alloc}};
    tm_status host = tm_access_host_add(&access, text);
    bool odd = text.len == 0;
    for (size_t i = 0; i < text.len; i++) {
        odd = odd || text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f ||
              strchr("/@?#%\\\"<>ABCDEFGHIJKLMNOPQRSTUVWXYZ", text.ptr[i]) != NULL;
    }
    TM_ASSERT(host == TM_E_RANGE || (host == TM_OK && !odd));
    if (host == TM_OK) TM_ASSERT(tm_access_host(&access, text));
    tm_status origin = tm_access_origin_add(&access, text);
    TM_ASSERT(origin == TM_OK || origin == TM_E_RANGE);
    if (origin == TM_OK) {
        TM_ASSERT(text.len > 7 && memcmp(text.ptr, "http", 4) == 0);
        TM_ASSERT(tm_access_origin(&access, text));
        TM_ASSERT(!tm_access_origin(&access, (tm_span){text.ptr, text.len - 1}));
    }
    tm_access_deinit(&access);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tm_alloc alloc = fuzz_alloc();
    tm_pages pages;
    const uint8_t *at = data, *end = data + size;
    if (size == 0) return 0;
    TM_ASSERT(tm_pages_init(&pages, &alloc, assets, COUNT) == TM_OK);
    page_check(&pages, line_take(&at, end));
    names_check(&alloc, line_take(&at, end));
    tm_span begin = {at, (size_t)(end - at)};
    const char *type = tm_photo_type(begin);
    TM_ASSERT(type == NULL || (begin.len >= 3 && strncmp(type, "image/", 6) == 0));
    tm_pages_deinit(&pages, &alloc);
    return 0;
}
