// pages.c - see pages.h.
#include "net/pages.h"

#include <openssl/evp.h>
#include <string.h>

#define PATH_MAX_LEN 255u // of a decoded path; the table has none that is longer

tm_status tm_pages_init(tm_pages *pages, const tm_alloc *alloc,
                        const tm_asset *assets, size_t count) {
    *pages = (tm_pages){.assets = assets, .count = count};
    pages->etags = tm_alloc_get(alloc, (count + 1) * sizeof *pages->etags);
    if (pages->etags == NULL) return TM_E_NOMEM;
    for (size_t i = 0; i < count; i++) {
        static const char digits[] = "0123456789abcdef";
        uint8_t hash[EVP_MAX_MD_SIZE] = {0};
        char *etag = pages->etags[i];
        if (EVP_Digest(assets[i].bytes, assets[i].len, hash, NULL, EVP_sha256(),
                       NULL) != 1) {
            tm_pages_deinit(pages, alloc);
            return TM_E_NOMEM;
        }
        etag[0] = etag[TM_ETAG_LEN - 1] = '"';
        for (size_t j = 0; j < TM_ETAG_LEN - 2; j++) {
            etag[1 + j] = digits[hash[j / 2] >> (j % 2 == 0 ? 4 : 0) & 0x0f];
        }
    }
    return TM_OK;
}

void tm_pages_deinit(tm_pages *pages, const tm_alloc *alloc) {
    tm_alloc_put(alloc, pages->etags, (pages->count + 1) * sizeof *pages->etags);
    *pages = (tm_pages){0};
}

static int hex(uint8_t byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
    return -1;
}

// Once: "%252e" is "%2e", which is the name of nothing.
static bool decode(tm_span path, uint8_t name[PATH_MAX_LEN], size_t *len) {
    *len = 0;
    for (size_t i = 0; i < path.len; i++) {
        uint8_t byte = path.ptr[i];
        if (byte == '%') {
            if (path.len - i < 3) return false;
            int high = hex(path.ptr[i + 1]), low = hex(path.ptr[i + 2]);
            if (high < 0 || low < 0) return false;
            byte = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (*len == PATH_MAX_LEN) return false;
        name[(*len)++] = byte;
    }
    return true;
}

static tm_span text_of(const char *text) {
    return (tm_span){(const uint8_t *)text, strlen(text)};
}

const tm_asset *tm_pages_find(const tm_pages *pages, tm_span path) {
    uint8_t decoded[PATH_MAX_LEN];
    tm_span name = {decoded, 0};
    if (!decode(path, decoded, &name.len)) return NULL;
    if (name.len == 1 && decoded[0] == '/') name = text_of("/index.html");
    size_t low = 0, high = pages->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = tm_span_cmp(name, text_of(pages->assets[middle].path));
        if (order == 0) return &pages->assets[middle];
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const char *tm_pages_etag(const tm_pages *pages, const tm_asset *asset) {
    return pages->etags[asset - pages->assets];
}

bool tm_pages_immutable(const tm_asset *asset) {
    static const char hashed[] = "/assets/";
    return strncmp(asset->path, hashed, sizeof hashed - 1) == 0;
}

// "gzip;q=0.000": is what follows the name a weight of nothing?
static bool refused(tm_span weight) {
    bool zero = false;
    const uint8_t *mark = memchr(weight.ptr, '=', weight.len);
    if (mark == NULL) return false;
    for (mark++; mark < weight.ptr + weight.len; mark++) {
        if (*mark >= '1' && *mark <= '9') return false;
        if (*mark == '0') zero = true;
    }
    return zero;
}

bool tm_accepts_gzip(const tm_http_request *request) {
    size_t count = 0;
    bool any = false, named = false, gzip = false;
    (void)tm_request_field(request, "accept-encoding", &count);
    if (count == 0) return true;
    for (size_t i = 0; i < request->field_count; i++) {
        if (!tm_span_is(request->fields[i].name, "accept-encoding")) continue;
        tm_span rest = request->fields[i].value, element;
        while (tm_list_element(&rest, &element)) {
            const uint8_t *mark = memchr(element.ptr, ';', element.len);
            tm_span weight = {element.ptr + element.len, 0};
            if (mark != NULL) {
                weight =
                    (tm_span){mark, (size_t)(element.ptr + element.len - mark)};
                element.len = (size_t)(mark - element.ptr);
            }
            while (element.len > 0 && element.ptr[element.len - 1] == ' ')
                element.len--;
            if (tm_span_is(element, "gzip") || tm_span_is(element, "x-gzip")) {
                named = true;
                gzip = gzip || !refused(weight);
            }
            if (tm_span_is(element, "*")) any = !refused(weight);
        }
    }
    return named ? gzip : any;
}

bool tm_etag_known(const tm_http_request *request, const char *etag) {
    tm_span want = text_of(etag);
    for (size_t i = 0; i < request->field_count; i++) {
        if (!tm_span_is(request->fields[i].name, "if-none-match")) continue;
        tm_span rest = request->fields[i].value, element;
        while (tm_list_element(&rest, &element)) {
            if (tm_span_is(element, "*")) return true;
            if (element.len > 2 && memcmp(element.ptr, "W/", 2) == 0)
                element = (tm_span){element.ptr + 2, element.len - 2};
            if (tm_span_cmp(element, want) == 0) return true;
        }
    }
    return false;
}
