// serve.c - the answers that need no service, see inside.h: pages and photos.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "net/inside.h"

// ---- pages -----------------------------------------------------------------

void tm_serve_page(tm_peer *peer, const tm_http_request *request) {
    tm_server *server = peer->server;
    tm_exchange *x = peer->exchange;
    const tm_asset *page = tm_pages_find(&server->pages, request->path);
    if (page == NULL) {
        tm_http_refuse(peer, 404, "not-found", "There is nothing of this name.",
                       NULL, false);
        return;
    }
    if (page->gzipped && !tm_accepts_gzip(request)) {
        tm_http_refuse(
            peer, 406, "gzip-only",
            "The pages are kept compressed: ask with Accept-Encoding: gzip.", NULL,
            false);
        return;
    }
    const char *etag = tm_pages_etag(&server->pages, page);
    bool known = tm_etag_known(request, etag);
    tm_buf head = {.alloc = server->alloc};
    tm_answer_head(server, &head,
                   &(tm_answer){.status = known ? 304 : 200,
                                .type = page->type,
                                .len = page->len,
                                .close = !x->keep_alive,
                                .csp = TM_CSP_PAGE,
                                .cache = tm_pages_immutable(page)
                                             ? "public, max-age=31536000, immutable"
                                             : "no-cache",
                                .etag = etag,
                                .encoding = page->gzipped ? "gzip" : NULL,
                                .vary = page->gzipped ? "Accept-Encoding" : NULL});
    if (!tm_peer_put_buf(peer, &head)) return;
    if (!known && !x->bodiless &&
        !tm_peer_put_lent(peer, (tm_span){page->bytes, page->len}))
        return;
    tm_http_finish(peer);
}

// Answers with what stands in `body`, which is taken.
static void answer_buf(tm_peer *peer, const char *type, tm_buf *body) {
    tm_exchange *x = peer->exchange;
    tm_buf head = {.alloc = peer->server->alloc};
    tm_answer_head(peer->server, &head,
                   &(tm_answer){.status = 200,
                                .type = type,
                                .len = body->len,
                                .close = !x->keep_alive});
    if (x->bodiless && body->status == TM_OK) tm_buf_reset(body);
    if (!tm_peer_put_buf(peer, &head)) {
        tm_buf_deinit(body);
        return;
    }
    if (tm_peer_put_buf(peer, body)) tm_http_finish(peer);
}

void tm_serve_options(tm_peer *peer) {
    tm_buf head = {.alloc = peer->server->alloc};
    tm_answer_head(peer->server, &head,
                   &(tm_answer){.status = 204,
                                .close = !peer->exchange->keep_alive,
                                .lines = TM_ALLOW});
    if (tm_peer_put_buf(peer, &head)) tm_http_finish(peer);
}

// ---- photos -----------------------------------------------------------------------------

static void answer_catalogue(tm_peer *peer) {
    tm_server *server = peer->server;
    tm_buf body = {.alloc = server->alloc};
    if (server->photos == NULL) {
        tm_buf_text(&body, "{\"photos\":[]}");
    } else {
        tm_photos_write(server->photos, &body);
    }
    answer_buf(peer, "application/json", &body);
}

void tm_serve_catalogue(tm_peer *peer) {
    tm_exchange *x = peer->exchange;
    if (peer->state != TM_PEER_HTTP || x == NULL || !x->catalogue) return;
    x->catalogue = false;
    answer_catalogue(peer); // empty, if the directory could not be read
}

// The head of a photo's answer, once its first piece is here. False = answered already.
static bool photo_begin(tm_peer *peer, tm_photo_reader *reader) {
    tm_exchange *x = peer->exchange;
    char etag[48];
    if (reader->error != 0) {
        tm_http_refuse(peer, 404, "not-found", "The photo is no longer there.",
                       NULL, false);
        return false;
    }
    (void)snprintf(etag, sizeof etag, "\"%" PRIx64 "-%" PRIx64 "\"",
                   reader->modified_ms, reader->size);
    bool known = strstr(x->etags, etag) != NULL;
    tm_buf head = {.alloc = peer->server->alloc};
    tm_answer_head(peer->server, &head,
                   &(tm_answer){.status = known ? 304 : 200,
                                .type = reader->type,
                                .len = (size_t)reader->size,
                                .close = !x->keep_alive,
                                .cache = "private, no-cache",
                                .etag = etag});
    if (!tm_peer_put_buf(peer, &head)) return false;
    bool over = known || x->bodiless;
    if (over) tm_http_finish(peer);
    return !over;
}

static void on_photo(tm_photo_reader *reader) {
    tm_peer *peer = reader->context;
    if (reader->at == reader->len && !photo_begin(peer, reader)) return;
    if (reader->error != 0) {
        tm_peer_cut(peer); // the length that was promised is not there
        return;
    }
    if (!tm_peer_put_copy(peer, (tm_span){reader->piece, reader->len})) return;
    if (reader->at == reader->size) {
        tm_http_finish(peer);
    } else if (peer->out.bytes <= TM_HTTP_HIGH) {
        tm_photo_next(reader);
    } // else when it was sent
}

static void answer_photo(tm_peer *peer, const tm_http_request *request,
                         tm_span id) {
    tm_server *server = peer->server;
    tm_exchange *x = peer->exchange;
    const tm_photo *photo =
        server->photos == NULL ? NULL : tm_photos_find(server->photos, id);
    if (photo == NULL) {
        tm_http_refuse(peer, 404, "not-found", "There is no photo of this id.",
                       NULL, false);
        return;
    }
    tm_span etags = tm_request_field(request, "if-none-match", NULL);
    size_t len = etags.len < sizeof x->etags ? etags.len : sizeof x->etags - 1;
    if (len > 0) memcpy(x->etags, etags.ptr, len);
    x->step = TM_STEP_SEND;
    if (tm_photos_open(server->photos, photo, on_photo, peer, &x->photo) != TM_OK)
        tm_peer_cut(peer);
}

void tm_serve_photos(tm_peer *peer, const tm_http_request *request) {
    tm_server *server = peer->server;
    if (request->path.len > sizeof TM_PHOTOS_PATH - 1) {
        size_t skip = sizeof TM_PHOTOS_PATH; // with the slash behind it
        answer_photo(peer, request,
                     (tm_span){request->path.ptr + skip, request->path.len - skip});
    } else if (server->photos == NULL || tm_photos_look(server->photos)) {
        answer_catalogue(peer);
    } else {
        peer->exchange->step = TM_STEP_BUSY;
        peer->exchange->catalogue = true;
    }
}
