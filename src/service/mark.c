// mark.c - see mark.h.
#include "service/mark.h"

#include <openssl/evp.h>
#include <string.h>

tm_status tm_marker_init(tm_marker *marker) {
    *marker = (tm_marker){EVP_MD_fetch(NULL, "SHA256", NULL), EVP_MD_CTX_new()};
    if (marker->digest != NULL && marker->context != NULL) return TM_OK;
    tm_marker_deinit(marker);
    return TM_E_NOMEM;
}

void tm_marker_deinit(tm_marker *marker) {
    if (marker == NULL) return;
    EVP_MD_CTX_free(marker->context);
    EVP_MD_free(marker->digest);
    *marker = (tm_marker){NULL, NULL};
}

tm_status tm_mark_next(tm_marker *marker, const uint8_t before[TM_MARK_LEN],
                       tm_span operations, uint8_t mark[TM_MARK_LEN]) {
    uint8_t sum[TM_MARK_LEN];
    unsigned len = 0;
    EVP_MD_CTX *context = marker->context;
    if (EVP_DigestInit_ex2(context, marker->digest, NULL) != 1 ||
        EVP_DigestUpdate(context, before, TM_MARK_LEN) != 1 ||
        EVP_DigestUpdate(context, operations.ptr, operations.len) != 1 ||
        EVP_DigestFinal_ex(context, sum, &len) != 1) {
        return TM_E_NOMEM;
    }
    TM_ASSERT(len == TM_MARK_LEN);
    memcpy(mark, sum, TM_MARK_LEN);
    return TM_OK;
}

void tm_mark_hex(const uint8_t mark[TM_MARK_LEN], uint8_t hex[TM_MARK_HEX]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < TM_MARK_LEN; i++) {
        hex[2 * i] = (uint8_t)digits[mark[i] >> 4];
        hex[2 * i + 1] = (uint8_t)digits[mark[i] & 15];
    }
}

static int digit_value(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

bool tm_mark_read(tm_span hex, uint8_t mark[TM_MARK_LEN]) {
    uint8_t bytes[TM_MARK_LEN];
    if (hex.len != TM_MARK_HEX) return false;
    for (size_t i = 0; i < TM_MARK_LEN; i++) {
        int high = digit_value(hex.ptr[2 * i]);
        int low = digit_value(hex.ptr[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(mark, bytes, TM_MARK_LEN);
    return true;
}
