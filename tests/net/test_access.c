// Host and Origin, row by row (TRUST 2, row 11).
#include "net/access.h"
#include "t.h"

static const struct {
    const char *name, *origin; // NULL = no such header
    bool passes;
} origins[] = {
    {"absent", NULL, true},
    {"this machine by name", "http://localhost:8080", true},
    {"by address", "http://127.0.0.1:8080", true},
    {"by IPv6 address", "http://[::1]:8080", true},
    {"the one that was added", "https://good.example", true},
    {"evil", "https://evil.example", false},
    {"null", "null", false},
    {"empty", "", false},
    {"ours as a prefix", "https://good.example.evil.example", false},
    {"ours as a suffix", "https://evilgood.example", false},
    {"a subdomain", "https://www.good.example", false},
    {"another port", "http://localhost:8081", false},
    {"no port", "http://localhost", false},
    {"https instead of http", "https://localhost:8080", false},
    {"http instead of https", "http://good.example", false},
    {"the default port written", "https://good.example:443", false},
    {"a slash behind it", "https://good.example/", false},
    {"a user before it", "https://x@good.example", false},
    {"capitals", "https://GOOD.example", false},
    {"two of them", "https://good.example https://evil.example", false},
};

static const struct {
    const char *name, *host;
    bool passes;
} hosts[] = {
    {"this machine", "localhost:8080", true},
    {"in capitals", "LocalHost:8080", true},
    {"by address", "127.0.0.1:8080", true},
    {"by IPv6 address", "[::1]:8080", true},
    {"of an origin that was added", "good.example", true},
    {"added alone", "10.0.0.2:9000", true},
    {"a name that was rebound", "evil.example:8080", false},
    {"no port", "localhost", false},
    {"another port", "localhost:80", false},
    {"empty", "", false},
    {"a dot behind it", "good.example.", false},
    {"two of them", "localhost:8080, evil.example", false},
    {"another loopback address", "127.0.0.2:8080", false},
};

static const struct {
    const char *name, *origin;
} wrong[] = {
    {"no scheme", "good.example"},
    {"another scheme", "ftp://good.example"},
    {"a path", "https://good.example/"},
    {"nothing behind the scheme", "https://"},
    {"capitals", "https://Good.example"},
    {"a wildcard", "https://*.example"},
    {"everything", "*"},
    {"null", "null"},
    {"nothing", ""},
};

static void test_rows(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_access access = {.texts = {.alloc = &alloc}};
    T_TRUE(!tm_access_host(&access, t_str("localhost:8080")));
    T_OK(tm_access_local(&access, 8080));
    T_OK(tm_access_origin_add(&access, t_str("https://good.example")));
    T_OK(tm_access_origin_add(&access, t_str("https://good.example")));
    T_OK(tm_access_host_add(&access, t_str("10.0.0.2:9000")));
    T_EQ(access.origin_count, 4);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        t_row = wrong[i].name;
        T_STATUS(tm_access_origin_add(&access, t_str(wrong[i].origin)), TM_E_RANGE);
    }
    for (size_t i = 0; i < COUNT(origins); i++) {
        t_row = origins[i].name;
        T_EQ(tm_access_origin(&access, t_str(origins[i].origin)),
             origins[i].passes);
    }
    for (size_t i = 0; i < COUNT(hosts); i++) {
        t_row = hosts[i].name;
        T_EQ(tm_access_host(&access, t_str(hosts[i].host)), hosts[i].passes);
    }
    t_row = "a host of 10000 bytes";
    char *lengthy = malloc(10001);
    assert_non_null(lengthy);
    memset(lengthy, 'a', 10000);
    lengthy[10000] = 0;
    T_TRUE(!tm_access_host(&access, t_str(lengthy)));
    free(lengthy);
    tm_access_deinit(&access);
    T_EQ(memory.live, 0);

    t_row = "port 80 is not written";
    T_OK(tm_access_local(&access, 80));
    T_TRUE(tm_access_host(&access, t_str("localhost")));
    T_TRUE(tm_access_origin(&access, t_str("http://localhost")));
    T_TRUE(!tm_access_host(&access, t_str("localhost:80")));
    tm_access_deinit(&access);
}

static void test_full(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_access access = {.texts = {.alloc = &alloc}};
    for (unsigned i = 0; i <= TM_ACCESS_MAX; i++) {
        char host[20];
        snprintf(host, sizeof host, "h%u", i);
        T_STATUS(tm_access_host_add(&access, t_str(host)),
                 i < TM_ACCESS_MAX ? TM_OK : TM_E_RANGE);
    }
    tm_access_deinit(&access);
    memory = (t_memory){.fail_at = 1};
    T_STATUS(tm_access_local(&access, 8080), TM_E_NOMEM);
    T_EQ(access.host_count, 0);
    T_EQ(memory.live, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_full)};
    return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
