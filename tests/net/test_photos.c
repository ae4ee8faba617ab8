// A directory of photos over HTTP: what is shown of it, that nothing outside it is, and
// that what changes on disk is seen.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon.h"

#define BIG (3u << 20)

static const char png[] = "\x89PNG\r\n\x1a\n....", jpeg[] = "\xff\xd8\xff\xe0....",
                  gif[] = "GIF89a....", webp[] = "RIFF....WEBPVP8 ";

static char root[] = "/tmp/tidemark-photos-XXXXXX";

static void put(const char *name, const void *data, size_t len) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", root, name);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    T_TRUE(file >= 0);
    T_EQ(write(file, data, len), (ssize_t)len);
    T_EQ(close(file), 0);
}

static void make(const char *name) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", root, name);
    T_EQ(mkdir(path, 0700), 0);
}

static void point(const char *name, const char *target) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", root, name);
    T_EQ(symlink(target, path), 0);
}

static void take_away(const char *name) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", root, name);
    T_EQ(remove(path), 0);
}

static uint8_t *big;

static int set_up(void **state) {
    (void)state;
    T_TRUE(mkdtemp(root) != NULL);
    make("trip");
    make("trip/day 2");
    make(".hidden");
    put("b.png", png, sizeof png - 1);
    put("trip/a.jpg", jpeg, sizeof jpeg - 1);
    put("trip/day 2/c \"d\".gif", gif, sizeof gif - 1);
    put("no-extension", webp, sizeof webp - 1);
    put("latin-\xe9.gif", gif, sizeof gif - 1);
    put("notes.txt", "GIF? no", 7);
    put("empty.png", "", 0);
    put("page.png", "<html><script>", 14);
    put(".secret.png", png, sizeof png - 1);
    put(".hidden/e.png", png, sizeof png - 1);
    point("link.png", "/etc/passwd");
    point("link-inside.png", "b.png");
    point("linked", "/etc");
    big = malloc(BIG);
    if (big == NULL) return -1;
    for (size_t i = 0; i < BIG; i++)
        big[i] = (uint8_t)(i * 7 + (i >> 11));
    memcpy(big, jpeg, 4);
    put("big.jpg", big, BIG);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    static const char *const names[] = {"link.png",      "link-inside.png",
                                        "linked",        "big.jpg",
                                        ".hidden/e.png", ".secret.png",
                                        "page.png",      "empty.png",
                                        "notes.txt",     "latin-\xe9.gif",
                                        "no-extension",  "trip/day 2/c \"d\".gif",
                                        "trip/a.jpg",    "b.png",
                                        ".hidden",       "trip/day 2",
                                        "trip"};
    for (size_t i = 0; i < COUNT(names); i++)
        take_away(names[i]);
    free(big);
    return rmdir(root);
}

static void get(wire *to, const char *path, const char *lines, answer *got) {
    char request[600];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: @\r\n%s\r\n", path,
             lines);
    wire_text(to, request);
    wire_answer(to, got, false);
}

// The imageId that the catalogue gives to `name`, as a path to ask for.
static void path_of(const answer *catalogue, const char *name, char path[80]) {
    char word[200];
    snprintf(word, sizeof word, "\",\"name\":\"%s\"", name);
    const char *at = strstr((const char *)catalogue->body.ptr, word);
    if (at == NULL)
        fail_msg("no %s in %s", name, (const char *)catalogue->body.ptr);
    snprintf(path, 80, "/v1/photos/%.32s", at - 32);
}

static void test_catalogue(void **state) {
    (void)state;
    tm_server_config with = {.photos = root};
    daemon server;
    daemon_start(&server, &with);
    wire client;
    wire_open(&client, &server);
    answer got;
    get(&client, "/v1/photos", "", &got);
    T_EQ(got.status, 200);
    char path[80];
    // Sorted by path.
    static const char *const shown[] = {
        "b.png",        "big.jpg",    "latin-?.gif",
        "no-extension", "trip/a.jpg", "trip/day 2/c \\\"d\\\".gif"};
    const char *at = (const char *)got.body.ptr;
    for (size_t i = 0; i < COUNT(shown); i++) {
        t_row = shown[i];
        char word[100];
        snprintf(word, sizeof word, "\"name\":\"%s\"", shown[i]);
        at = strstr(at, word);
        T_TRUE(at != NULL);
    }
    t_row = "nothing else";
    size_t count = 0;
    for (at = (const char *)got.body.ptr; (at = strstr(at, "imageId")) != NULL;
         at++) {
        count++;
    }
    T_EQ(count, COUNT(shown));
    t_row = "the id is the path's hash";
    path_of(&got, "b.png", path);
    T_TEXT(t_str(path), "/v1/photos/5f59d8e87a6efbf43f23410175de4773");
    bytes_free(&got.body);
    wire_close(&client);
    daemon_stop(&server);
}

static void test_photo(void **state) {
    (void)state;
    static const struct {
        const char *name, *type;
        const char *data;
        size_t len;
    } rows[] = {
        {"b.png", "image/png", png, sizeof png - 1},
        {"trip/a.jpg", "image/jpeg", jpeg, sizeof jpeg - 1},
        {"no-extension", "image/webp", webp, sizeof webp - 1},
        {"latin-?.gif", "image/gif", gif, sizeof gif - 1},
        {"trip/day 2/c \\\"d\\\".gif", "image/gif", gif, sizeof gif - 1},
    };
    tm_server_config with = {.photos = root};
    daemon server;
    daemon_start(&server, &with);
    wire client;
    wire_open(&client, &server);
    answer catalogue, got;
    get(&client, "/v1/photos", "", &catalogue);
    char path[80];
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        path_of(&catalogue, rows[i].name, path);
        get(&client, path, "", &got);
        T_EQ(got.status, 200);
        T_TEXT(t_str(answer_field(&got, "Content-Type")), rows[i].type);
        T_TEXT(t_str(answer_field(&got, "X-Content-Type-Options")), "nosniff");
        T_SPAN(((tm_span){got.body.ptr, got.body.len}),
               ((tm_span){(const uint8_t *)rows[i].data, rows[i].len}));
        bytes_free(&got.body);
    }
    t_row = "a big one, and pipelined behind it";
    char request[300], lines[200];
    path_of(&catalogue, "big.jpg", path);
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: @\r\n\r\nHEAD %s HTTP/1.1\r\nHost: @\r\n\r\n"
             "GET /healthz HTTP/1.1\r\nHost: @\r\n\r\n",
             path, path);
    wire_text(&client, request);
    wire_answer(&client, &got, false);
    T_EQ(got.body.len, BIG);
    T_EQ(memcmp(got.body.ptr, big, BIG), 0);
    bytes_free(&got.body);
    wire_answer(&client, &got, true);
    T_EQ(strtoul(answer_field(&got, "Content-Length"), NULL, 10), BIG);
    bytes_free(&got.body);
    T_EQ(wire_status(&client), 200);

    t_row = "known already";
    get(&client, path, "", &got);
    snprintf(lines, sizeof lines, "If-None-Match: %s\r\n",
             answer_field(&got, "ETag"));
    bytes_free(&got.body);
    get(&client, path, lines, &got);
    T_EQ(got.status, 304);
    bytes_free(&got.body);

    t_row = "left in the middle";
    wire other;
    wire_open(&other, &server);
    wire_text(&other, request);
    wire_close(&other);

    static const char *const absent[] = {
        "/v1/photos/",
        "/v1/photos/0",
        "/v1/photos/b.png",
        "/v1/photos/../b.png",
        "/v1/photos/00000000000000000000000000000000",
        "/v1/photos/0000000000000000000000000000000000000000"};
    for (size_t i = 0; i < COUNT(absent); i++) {
        t_row = absent[i];
        get(&client, absent[i], "", &got);
        T_EQ(got.status, 404);
        bytes_free(&got.body);
    }
    bytes_free(&catalogue.body);
    wire_close(&client);
    daemon_stop(&server);
}

// The disk changes under the catalogue.
static void test_changes(void **state) {
    (void)state;
    tm_server_config with = {.photos = root};
    daemon server;
    daemon_start(&server, &with);
    wire client;
    wire_open(&client, &server);
    answer catalogue, got;
    char path[80];
    put("f.png", png, sizeof png - 1);
    make("swapped");
    put("swapped/g.png", png, sizeof png - 1);
    for (bool there = false;
         !there;) { // a reading that began before may come first
        get(&client, "/v1/photos", "", &catalogue);
        there = strstr((const char *)catalogue.body.ptr, "\"f.png\"") != NULL;
        if (!there) bytes_free(&catalogue.body);
    }
    path_of(&catalogue, "f.png", path);
    t_row = "no photo any more";
    put("f.png", "<html>", 6);
    get(&client, path, "", &got);
    T_EQ(got.status, 404);
    bytes_free(&got.body);
    t_row = "a link now";
    take_away("f.png");
    point("f.png", "b.png");
    get(&client, path, "", &got);
    T_EQ(got.status, 404);
    bytes_free(&got.body);
    t_row = "gone";
    take_away("f.png");
    get(&client, path, "", &got);
    T_EQ(got.status, 404);
    bytes_free(&got.body);
    t_row = "and back";
    put("f.png", png, sizeof png - 1);
    get(&client, path, "", &got);
    T_EQ(got.status, 200);
    bytes_free(&got.body);
    take_away("f.png");
    t_row = "its directory is a link now";
    path_of(&catalogue, "swapped/g.png", path);
    get(&client, path, "", &got);
    T_EQ(got.status, 200);
    bytes_free(&got.body);
    take_away("swapped/g.png");
    take_away("swapped");
    make("elsewhere");
    put("elsewhere/g.png", png, sizeof png - 1);
    point("swapped", "elsewhere");
    get(&client, path, "", &got);
    T_EQ(got.status, 404);
    bytes_free(&got.body);
    take_away("swapped");
    take_away("elsewhere/g.png");
    take_away("elsewhere");
    bytes_free(&catalogue.body);
    wire_close(&client);
    daemon_stop(&server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_catalogue),
        cmocka_unit_test(test_photo),
        cmocka_unit_test(test_changes),
    };
    return cmocka_run_group_tests_name("photos", tests, set_up, tear_down);
}
