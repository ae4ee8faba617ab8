// answer.c - response heads and refusals, see inside.h.
#include <stdio.h>
#include <string.h>

#include "net/inside.h"

static const char *reason_of(uint32_t status) {
    static const struct {
        uint32_t status;
        const char *reason;
    } known[] = {
        {200, "OK"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].status == status) return known[i].reason;
    }
    return "Status"; // the phrase means nothing (RFC 9112 4)
}

static void line(tm_buf *out, const char *name, const char *value) {
    tm_buf_text(out, name);
    tm_buf_text(out, value);
    tm_buf_text(out, "\r\n");
}

// RFC 9110 5.6.7, made once a second. In English whatever the locale.
static const char *date(tm_server *server) {
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    uint64_t seconds = tm_server_now(server).wall_ms / 1000;
    if (seconds == server->date_s && server->date[0] != 0) return server->date;
    time_t time = (time_t)seconds;
    struct tm utc;
    if (gmtime_r(&time, &utc) == NULL) return "Thu, 01 Jan 1970 00:00:00 GMT";
    server->date_s = seconds;
    (void)snprintf(server->date, sizeof server->date,
                   "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                   days + 3 * utc.tm_wday, utc.tm_mday, months + 3 * utc.tm_mon,
                   (utc.tm_year + 1900) % 10000, utc.tm_hour, utc.tm_min,
                   utc.tm_sec);
    return server->date;
}

// These never have a body, nor say how long it would be (RFC 9110 8.6).
static bool lengthless(uint32_t status) {
    return status == 204 || status == 304;
}

void tm_answer_head(tm_server *server, tm_buf *out, const tm_answer *answer) {
    if (answer->status >= 400) server->counts.refused++;
    tm_buf_text(out, "HTTP/1.1 ");
    tm_buf_u64(out, answer->status);
    tm_buf_text(out, " ");
    line(out, reason_of(answer->status), "");
    line(out, "Date: ", date(server));
    if (answer->type != NULL) line(out, "Content-Type: ", answer->type);
    if (answer->encoding != NULL) line(out, "Content-Encoding: ", answer->encoding);
    if (!lengthless(answer->status)) {
        tm_buf_text(out, "Content-Length: ");
        tm_buf_u64(out, answer->len);
        tm_buf_text(out, "\r\n");
    }
    line(out,
         "Cache-Control: ", answer->cache == NULL ? "no-store" : answer->cache);
    if (answer->etag != NULL) line(out, "ETag: ", answer->etag);
    if (answer->vary != NULL) line(out, "Vary: ", answer->vary);
    if (answer->retry_after_s != 0) {
        tm_buf_text(out, "Retry-After: ");
        tm_buf_u64(out, answer->retry_after_s);
        tm_buf_text(out, "\r\n");
    }
    line(out, "Content-Security-Policy: ",
         answer->csp == NULL ? TM_CSP_DATA : answer->csp);
    tm_buf_text(out, "X-Content-Type-Options: nosniff\r\n"
                     "Referrer-Policy: no-referrer\r\n"
                     "Cross-Origin-Opener-Policy: same-origin\r\n"
                     "Cross-Origin-Resource-Policy: same-origin\r\n");
    if (answer->lines != NULL) tm_buf_text(out, answer->lines);
    line(out, "Connection: ", answer->close ? "close" : "keep-alive");
    tm_buf_text(out, "\r\n");
}

bool tm_answer_problem(tm_peer *peer, uint32_t status, const char *code,
                       const char *detail, const char *lines, bool close,
                       bool bodiless) {
    tm_server *server = peer->server;
    tm_buf head = {.alloc = server->alloc}, body = {.alloc = server->alloc};
    tm_service_write_error(&body, status, code,
                           (tm_span){(const uint8_t *)detail, strlen(detail)});
    tm_answer_head(server, &head,
                   &(tm_answer){.status = status,
                                .type = "application/problem+json",
                                .len = body.len,
                                .close = close,
                                .retry_after_s = status == 503 ? 1 : 0,
                                .lines = lines});
    if (bodiless) tm_buf_reset(&body);
    // One run for both: a refusal is small.
    tm_buf_put(&head, tm_buf_span(&body));
    tm_status failed = body.status;
    tm_buf_deinit(&body);
    if (failed != TM_OK) {
        tm_buf_deinit(&head);
        tm_peer_cut(peer);
        return false;
    }
    return tm_peer_put_buf(peer, &head);
}
