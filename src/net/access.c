// access.c - see access.h.
#include "net/access.h"

#include <stdio.h>
#include <string.h>

#define NAME_LEN_MAX 260u // a host name of 255 bytes and a port

static const tm_span plain = TM_LIT("http://"), secure = TM_LIT("https://");

static bool begins(tm_span text, tm_span with) {
    return text.len > with.len && memcmp(text.ptr, with.ptr, with.len) == 0;
}

// What browsers write: no capitals, nothing but a name or address and a port.
static bool host_shape(tm_span host) {
    if (host.len == 0 || host.len > NAME_LEN_MAX) return false;
    for (size_t i = 0; i < host.len; i++) {
        uint8_t byte = host.ptr[i];
        bool fits = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
                    (byte != 0 && strchr(".-:[]_", byte) != NULL);
        if (!fits) return false;
    }
    return true;
}

static tm_status add(tm_access *access, tm_span *list, size_t *count,
                     tm_span text) {
    for (size_t i = 0; i < *count; i++) {
        if (tm_span_cmp(list[i], text) == 0) return TM_OK;
    }
    if (*count == TM_ACCESS_MAX) return TM_E_RANGE;
    tm_status status = tm_arena_copy(&access->texts, text, &list[*count]);
    if (status == TM_OK) ++*count;
    return status;
}

tm_status tm_access_host_add(tm_access *access, tm_span host) {
    if (!host_shape(host)) return TM_E_RANGE;
    return add(access, access->hosts, &access->host_count, host);
}

tm_status tm_access_origin_add(tm_access *access, tm_span origin) {
    size_t scheme = begins(origin, plain)    ? plain.len
                    : begins(origin, secure) ? secure.len
                                             : 0;
    if (scheme == 0) return TM_E_RANGE;
    tm_span host = {origin.ptr + scheme, origin.len - scheme};
    tm_status status = tm_access_host_add(access, host);
    if (status != TM_OK) return status;
    return add(access, access->origins, &access->origin_count, origin);
}

tm_status tm_access_local(tm_access *access, uint16_t port) {
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char origin[40];
        // The port of http is never written.
        int len = port == 80
                      ? snprintf(origin, sizeof origin, "http://%s", names[i])
                      : snprintf(origin, sizeof origin, "http://%s:%u", names[i],
                                 (unsigned)port);
        tm_span text = {(const uint8_t *)origin, (size_t)len};
        tm_status status = tm_access_origin_add(access, text);
        if (status != TM_OK) return status;
    }
    return TM_OK;
}

void tm_access_deinit(tm_access *access) {
    tm_arena_deinit(&access->texts);
    access->host_count = access->origin_count = 0;
}

bool tm_access_host(const tm_access *access, tm_span host) {
    uint8_t lower[NAME_LEN_MAX];
    if (host.len > sizeof lower) return false;
    for (size_t i = 0; i < host.len; i++) {
        uint8_t byte = host.ptr[i];
        lower[i] =
            byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
    }
    for (size_t i = 0; i < access->host_count; i++) {
        if (tm_span_cmp(access->hosts[i], (tm_span){lower, host.len}) == 0)
            return true;
    }
    return false;
}

bool tm_access_origin(const tm_access *access, tm_span origin) {
    if (origin.ptr == NULL) return true;
    for (size_t i = 0; i < access->origin_count; i++) {
        if (tm_span_cmp(access->origins[i], origin) == 0) return true;
    }
    return false;
}
