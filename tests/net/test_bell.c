// What is said to Redis and what is believed of what it says, without sockets: bell_talk.h.
#include "net/bell_talk.h"
#include "t.h"

static void test_urls(void **state) {
    (void)state;
    static const struct {
        const char *text, *host, *user, *password;
        unsigned port, database; // port 0: it is none
    } rows[] = {
        {"redis://localhost", "localhost", "", "", 6379, 0},
        {"valkey://10.0.0.1:7000/2", "10.0.0.1", "", "", 7000, 2},
        {"redis://:secret@h:1", "h", "", "secret", 1, 0},
        {"redis://ann:p@ss:w@h", "h", "ann", "p@ss:w", 6379, 0},
        {"redis://[::1]:6380/", "::1", "", "", 6380, 0},
        {"redis://[::1]", "::1", "", "", 6379, 0},
        {"rediss://h", NULL, "", "", 0, 0},
        {"http://h", NULL, "", "", 0, 0},
        {"h:6379", NULL, "", "", 0, 0},
        {"", NULL, "", "", 0, 0},
        {"redis://", NULL, "", "", 0, 0},
        {"redis://:6379", NULL, "", "", 0, 0},
        {"redis://h:0", NULL, "", "", 0, 0},
        {"redis://h:65536", NULL, "", "", 0, 0},
        {"redis://h:99999999999", NULL, "", "", 0, 0},
        {"redis://h:1x", NULL, "", "", 0, 0},
        {"redis://h/x", NULL, "", "", 0, 0},
        {"redis://[::1", NULL, "", "", 0, 0},
        {"redis://[::1]x", NULL, "", "", 0, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].text;
        tm_bell_url url;
        char problem[256] = "";
        bool fine = tm_bell_url_read(rows[i].text, &url, problem);
        T_EQ(fine, rows[i].port != 0);
        T_EQ(problem[0] == '\0', fine);
        if (!fine) continue;
        T_TEXT(t_str(url.host), rows[i].host);
        T_TEXT(t_str(url.user), rows[i].user);
        T_TEXT(t_str(url.password), rows[i].password);
        T_EQ(url.port, rows[i].port);
        T_EQ(url.database, rows[i].database);
    }
    t_row = "";
    char text[900] = "redis://";
    memset(text + 8, 'a', sizeof text - 9);
    tm_bell_url url;
    char problem[256];
    T_TRUE(!tm_bell_url_read(text, &url, problem));
}

// "T:abc I N E:oops [T:a,T:b]" and "!" where the connection ends.
static void put_item(char *out, const tm_bell_item *item) {
    static const char letters[] = "TINE";
    size_t len = strlen(out);
    snprintf(out + len, 2048 - len, "%c%.*s", letters[item->kind], (int)item->len,
             item->text);
}

static const char *said(const char *bytes, size_t len, size_t step) {
    static char out[2048];
    tm_bell_reader reader = {0};
    bool good = true;
    out[0] = '\0';
    T_TRUE(tm_bell_reader_start(&reader));
    for (size_t at = 0; at < len && good; at += step) {
        size_t part = len - at < step ? len - at : step;
        good = tm_bell_reader_feed(&reader, bytes + at, part);
        const tm_bell_reply *reply;
        while (good && (reply = tm_bell_reader_next(&reader, &good)) != NULL) {
            if (strlen(out) > 1024) break;
            if (reply->root.kind != TM_BELL_ARRAY) {
                put_item(out, &reply->root);
            } else {
                strcat(out, "[");
                for (uint32_t i = 0; i < reply->count; i++) {
                    put_item(out, &reply->items[i]);
                }
                strcat(out, "]");
            }
            strcat(out, " ");
        }
    }
    if (!good) strcat(out, "!");
    tm_bell_reader_stop(&reader);
    return out;
}

static void test_replies(void **state) {
    (void)state;
    static const struct {
        const char *name, *bytes, *said;
    } rows[] = {
        {"a status", "+OK\r\n", "TOK "},
        {"an error", "-NOAUTH no\r\n", "ENOAUTH no "},
        {"nothing", "$-1\r\n", "N "},
        {"a message", "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\n1 l u\r\n",
         "[TmessageTcT1 l u] "},
        {"two", ":1\r\n*2\r\n$1\r\na\r\n:9\r\n", "I [TaI] "},
        {"an empty array", "*0\r\n", "[] "},
        {"no array", "*-1\r\n", "N "},
        {"too many", "*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n", "!"},
        {"far too many", "*2147483647\r\n", "!"},
        {"more than there are numbers", "*99999999999999999999\r\n", "!"},
        {"an array within", "*1\r\n*1\r\n:1\r\n", "!"},
        {"no Redis", "HTTP/1.1 400 Bad Request\r\n\r\n", "!"},
        {"a length that is none", "$x\r\n", "!"},
        {"half of one", "$5\r\nab", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t step = 1; step <= 64; step += 9) {
            t_row = rows[i].name;
            T_TEXT(t_str(said(rows[i].bytes, strlen(rows[i].bytes), step)),
                   rows[i].said);
        }
    }
    t_row = "";
}

// Whatever comes, nothing breaks, and no more is kept than may be.
static void test_anything(void **state) {
    (void)state;
    static char bytes[200000];
    uint64_t seed = 1;
    for (size_t round = 0; round < 3000; round++) {
        size_t len = 1 + round % 300;
        for (size_t i = 0; i < len; i++) {
            static const char often[] = "*$:+-\r\n0123456789ab";
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
            bytes[i] = seed >> 60 == 0 ? (char)(seed >> 40)
                                       : often[(seed >> 33) % (sizeof often - 1)];
        }
        (void)said(bytes, len, 1 + round % 7);
    }
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, "$150000\r\n", 9);
    T_TEXT(t_str(said(bytes, sizeof bytes, 16384)), "!");
    memset(bytes, 'x', 16);
    bytes[0] = '+';
    T_TEXT(t_str(said(bytes, sizeof bytes, 16384)), "!");
    memcpy(bytes, "$300\r\n", 6);
    T_TEXT(t_str(said(bytes, 400, 400)), "!");
}

static void test_heads(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t head;
        const char *list, *user; // NULL: it is none
    } rows[] = {
        {"57 selected-images ann", 57, "selected-images", "ann"},
        {"1 l with two blanks", 1, "l", "with two blanks"},
        {"9007199254740991 l u", 9007199254740991, "l", "u"},
        {"9007199254740992 l u", 0, NULL, NULL},
        {"99999999999999999999 l u", 0, NULL, NULL},
        {"-1 l u", 0, NULL, NULL},
        {"inf l u", 0, NULL, NULL},
        {"1.5 l u", 0, NULL, NULL},
        {" l u", 0, NULL, NULL},
        {"1 l", 0, NULL, NULL},
        {"1 l ", 0, NULL, NULL},
        {"1  u", 0, NULL, NULL},
        {"1", 0, NULL, NULL},
        {"", 0, NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].text;
        tm_key key;
        uint64_t head = 0;
        bool fine = tm_bell_head_read(t_str(rows[i].text), &key, &head);
        T_EQ(fine, rows[i].list != NULL);
        if (!fine) continue;
        T_EQ(head, rows[i].head);
        T_TEXT(key.list, rows[i].list);
        T_TEXT(key.user, rows[i].user);
    }
    t_row = "";
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_anything),
        cmocka_unit_test(test_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
