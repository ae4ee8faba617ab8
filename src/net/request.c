// request.c - see request.h.
#include "net/request.h"

#include <http_parser.h>
#include <string.h>

static int on_url(http_parser *parser, const char *at, size_t len) {
    tm_http_request *request = parser->data;
    request->path = (tm_span){(const uint8_t *)at, len};
    return 0;
}

// The head is fed in one piece, so each callback brings a whole name or value.
static int on_name(http_parser *parser, const char *at, size_t len) {
    tm_http_request *request = parser->data;
    if (request->field_count == TM_HEAD_LINES_MAX) return 1;
    request->fields[request->field_count++] =
        (tm_http_field){.name = {(const uint8_t *)at, len}};
    return 0;
}

static tm_span trim(tm_span text) {
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text = (tm_span){text.ptr + 1, text.len - 1};
    }
    while (text.len > 0 &&
           (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

static int on_value(http_parser *parser, const char *at, size_t len) {
    tm_http_request *request = parser->data;
    if (request->field_count == 0) return 1;
    request->fields[request->field_count - 1].value =
        trim((tm_span){(const uint8_t *)at, len});
    return 0;
}

// Stops the parser where the body begins: it is not asked about it.
static int on_head(http_parser *parser) {
    tm_http_request *request = parser->data;
    request->keep_alive = http_should_keep_alive(parser) != 0;
    http_parser_pause(parser, 1);
    return 0;
}

static tm_http_method method_of(unsigned method) {
    switch (method) {
    case HTTP_GET:
        return TM_HTTP_GET;
    case HTTP_HEAD:
        return TM_HTTP_HEAD;
    case HTTP_POST:
        return TM_HTTP_POST;
    case HTTP_PUT:
        return TM_HTTP_PUT;
    case HTTP_OPTIONS:
        return TM_HTTP_OPTIONS;
    default:
        return TM_HTTP_OTHER;
    }
}

tm_status tm_request_read(tm_span head, tm_http_request *request) {
    static const http_parser_settings settings = {.on_url = on_url,
                                                  .on_header_field = on_name,
                                                  .on_header_value = on_value,
                                                  .on_headers_complete = on_head};
    http_parser parser;
    request->path = request->query = (tm_span){0};
    request->field_count = 0;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = request;
    (void)http_parser_execute(&parser, &settings, (const char *)head.ptr, head.len);
    if (HTTP_PARSER_ERRNO(&parser) != HPE_PAUSED) return TM_E_CORRUPT;
    request->method = method_of(parser.method);
    request->http_1_1 = parser.http_major == 1 && parser.http_minor == 1;
    const uint8_t *mark = memchr(request->path.ptr, '?', request->path.len);
    if (mark != NULL) {
        size_t before = (size_t)(mark - request->path.ptr);
        request->query = (tm_span){mark + 1, request->path.len - before - 1};
        request->path.len = before;
    }
    return TM_OK;
}

bool tm_span_is(tm_span span, const char *text) {
    if (span.len != strlen(text)) return false;
    for (size_t i = 0; i < span.len; i++) {
        uint8_t byte = span.ptr[i];
        if (byte >= 'A' && byte <= 'Z') byte = (uint8_t)(byte + ('a' - 'A'));
        if (byte != (uint8_t)text[i]) return false;
    }
    return true;
}

tm_span tm_request_field(const tm_http_request *request, const char *name,
                         size_t *count) {
    tm_span value = {0};
    size_t seen = 0;
    for (size_t i = 0; i < request->field_count; i++) {
        if (!tm_span_is(request->fields[i].name, name)) continue;
        if (seen++ == 0) value = request->fields[i].value;
    }
    if (count != NULL) *count = seen;
    return value;
}

bool tm_list_element(tm_span *rest, tm_span *element) {
    while (rest->len > 0) {
        const uint8_t *comma = memchr(rest->ptr, ',', rest->len);
        size_t len = comma == NULL ? rest->len : (size_t)(comma - rest->ptr);
        *element = trim((tm_span){rest->ptr, len});
        size_t step = comma == NULL ? len : len + 1;
        *rest = (tm_span){rest->ptr + step, rest->len - step};
        if (element->len > 0) return true;
    }
    return false;
}

bool tm_request_lists(const tm_http_request *request, const char *name,
                      const char *token) {
    for (size_t i = 0; i < request->field_count; i++) {
        if (!tm_span_is(request->fields[i].name, name)) continue;
        tm_span rest = request->fields[i].value, element;
        while (tm_list_element(&rest, &element)) {
            if (tm_span_is(element, token)) return true;
        }
    }
    return false;
}
