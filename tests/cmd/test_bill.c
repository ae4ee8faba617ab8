// What DynamoDB was asked for, out of /metrics, and what it costs: cmd/usage.h,
// cmd/prices.h, and the command.
#include "program.h"

#include <jansson.h>
#include <math.h>

#include "cmd/host.h"
#include "cmd/usage.h"

// ---- prices -------------------------------------------------------------------------

#define PRICES                                                                     \
    "region eu-central-1\nwrite-units-million 0.5\nread-units-million 0.25\n"      \
    "storage-gb-month 1\nrecovery-gb-month 0.000000001\n"

static void the_usual_prices_read(void **state) {
    (void)state;
    tm_prices prices;
    char problem[160] = "";
    T_OK(tm_prices_read(t_str(tm_prices_usual), &prices, problem));
    T_TEXT(t_str(prices.region), "us-east-1");
    T_TRUE(prices.write_million > prices.read_million && prices.read_million > 0);
    T_TRUE(prices.storage_gb_month > 0 && prices.recovery_gb_month > 0);
    T_OK(tm_prices_read(t_str(PRICES), &prices, problem));
    T_TRUE(fabs(prices.write_million - 0.5) < 1e-12);
    T_TRUE(fabs(prices.recovery_gb_month - 1e-9) < 1e-18);
    T_OK(tm_prices_read(t_str("# mine\r\n\r\n\tregion   x\r\n"
                              "write-units-million\t1\r\nread-units-million 2\r\n"
                              "storage-gb-month 3\r\nrecovery-gb-month 4"),
                        &prices, problem));
    T_TRUE(fabs(prices.recovery_gb_month - 4) < 1e-12);
}

static const struct {
    const char *name, *text, *problem;
} bad_prices[] = {
    {"nothing", "", "there is no line write-units-million"},
    {"no region",
     "write-units-million 1\nread-units-million 1\n"
     "storage-gb-month 1\nrecovery-gb-month 1\n",
     "there is no line region"},
    {"twice", PRICES "region other\n", "line 6 says again"},
    {"unknown", PRICES "cream 1\n", "line 6 names no price"},
    {"no value", "region\n", "line 1 has a name without a value"},
    {"two values", "# x\nregion a b\n", "line 2 has more than a name"},
    {"a word for a number", "storage-gb-month dear\n", "line 1 has a price"},
    {"a comma", "storage-gb-month 0,25\n", "line 1 has a price"},
    {"negative", "storage-gb-month -1\n", "line 1 has a price"},
    {"two points", "storage-gb-month 1.2.3\n", "line 1 has a price"},
    {"only a point", "storage-gb-month .\n", "line 1 has a price"},
    {"an exponent", "storage-gb-month 1e9\n", "line 1 has a price"},
    {"enormous", "storage-gb-month 1234567890\n", "line 1 has a price"},
    {"not UTF-8", "region \xff\n", "line 1 has a region"},
};

static void bad_prices_are_named(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(bad_prices); i++) {
        tm_prices prices;
        char problem[160] = "";
        t_row = bad_prices[i].name;
        T_STATUS(tm_prices_read(t_str(bad_prices[i].text), &prices, problem),
                 TM_E_FORMAT);
        if (strstr(problem, bad_prices[i].problem) == NULL) {
            print_error("# %s\n", problem);
        }
        T_TRUE(strstr(problem, bad_prices[i].problem) != NULL);
    }
}

// ---- metrics ------------------------------------------------------------------------

#define PLAIN                                                                      \
    "# HELP tidemark_list_days_total Lists.\n# TYPE x counter\n"                   \
    "tidemark_list_days_total 4\ntidemark_store_operations_bytes_total 8000\n"     \
    "tidemark_store_appends_total 10\ntidemark_other{a=\"b\"} 7\n"
#define KINDS                                                                      \
    "tidemark_store_requests_total{kind=\"append\",unit=\"write\"} 12\n"           \
    "tidemark_store_requests_total{kind=\"read\",unit=\"read\"} 4\n"               \
    "tidemark_store_request_retries_total{kind=\"append\",unit=\"write\"} 2\n"     \
    "tidemark_store_capacity_milliunits_total{kind=\"append\",unit=\"write\"} "    \
    "20000\n"                                                                      \
    "tidemark_store_capacity_milliunits_total{kind=\"read\",unit=\"read\"} 4500\n"

static void servers_are_added_up(void **state) {
    (void)state;
    tm_usage usage = {0};
    tm_prices prices;
    char problem[160];
    T_OK(tm_prices_read(t_str(PRICES), &prices, problem));
    T_OK(tm_usage_add(&usage, t_str(PLAIN KINDS)));
    T_OK(tm_usage_add(&usage, t_str(KINDS PLAIN)));
    T_EQ(usage.count, 2);
    T_TEXT(t_str(usage.kinds[0].name), "append");
    T_EQ(usage.kinds[0].requests, 24);
    T_EQ(usage.kinds[0].retries, 4);
    T_EQ(usage.list_days, 8);
    T_EQ(usage.operations_bytes, 16000);
    tm_bill all = tm_bill_all(&usage, &prices);
    T_TRUE(fabs(all.requests - 32) < 1e-9);
    T_TRUE(fabs(all.write_units - 40) < 1e-9);
    T_TRUE(fabs(all.read_units - 9) < 1e-9);
    T_TRUE(fabs(all.dollars - (40 * 0.5 + 9 * 0.25) / 1e6) < 1e-15);
    tm_bill day = tm_bill_times(all, 1 / 8.0);
    T_TRUE(fabs(day.requests - 4) < 1e-9);
    T_TRUE(fabs(tm_usage_growth(&usage) - (16000 + 20 * 300.0)) < 1e-9);
}

#define CUT "tidemark_store_requests_total{kind=\"append\",unit=\"write\"} "

static const struct {
    const char *name, *text;
    tm_status status;
} other_metrics[] = {
    {"of a server on SQLite", PLAIN, TM_E_STATE},
    {"nothing", "", TM_E_FORMAT},
    {"a page", "<html>\n</html>\n", TM_E_FORMAT},
    {"somebody else's", "go_gc_duration_seconds 1\n", TM_E_FORMAT},
    {"cut in a line", PLAIN KINDS "tidemark_li", TM_E_FORMAT},
    {"cut before the end", KINDS, TM_E_FORMAT},
    {"no number", PLAIN KINDS CUT "x\n", TM_E_FORMAT},
    {"a fraction", PLAIN KINDS CUT "1.5\n", TM_E_FORMAT},
    {"negative", PLAIN KINDS CUT "-1\n", TM_E_FORMAT},
    {"too large", PLAIN KINDS CUT "99999999999999999999\n", TM_E_FORMAT},
    {"the other unit",
     PLAIN KINDS "tidemark_store_requests_total{kind=\"append\",unit=\"read\"} 1\n",
     TM_E_FORMAT},
    {"an unknown unit",
     PLAIN "tidemark_store_requests_total{kind=\"append\",unit=\"x\"} 1\n",
     TM_E_FORMAT},
    {"a name that drives a terminal",
     PLAIN "tidemark_store_requests_total{kind=\"a\x1b[2J\",unit=\"read\"} 1\n",
     TM_E_FORMAT},
    {"a long name",
     PLAIN "tidemark_store_requests_total{kind=\"abcdefghijklmnopqrstuvwxyzabcd\""
           ",unit=\"read\"} 1\n",
     TM_E_FORMAT},
};

static void other_text_changes_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(other_metrics); i++) {
        tm_usage usage = {0}, before;
        t_row = other_metrics[i].name;
        T_OK(tm_usage_add(&usage, t_str(PLAIN KINDS)));
        before = usage;
        T_STATUS(tm_usage_add(&usage, t_str(other_metrics[i].text)),
                 other_metrics[i].status);
        T_TRUE(memcmp(&usage, &before, sizeof usage) == 0);
    }
}

// Whatever is cut off, it is said or nothing is missing.
static void no_cut_goes_unnoticed(void **state) {
    (void)state;
    static const char whole[] = KINDS PLAIN;
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        tm_usage usage = {0};
        tm_span part = {(const uint8_t *)whole, len};
        size_t last = strlen("tidemark_other{a=\"b\"} 7\n");
        bool only_the_last = len == sizeof whole - 1 - last; // another's line
        T_STATUS(tm_usage_add(&usage, part), only_the_last ? TM_OK : TM_E_FORMAT);
    }
}

// ---- the command --------------------------------------------------------------------

// One line of the answer to a run with --json, by what stands before its number.
static double number_in(const outcome *of, const char *object, const char *name) {
    json_error_t error;
    json_t *all = json_loads(of->text, 0, &error);
    if (all == NULL) print_error("# %s\n", of->text);
    assert_non_null(all);
    json_t *at = all;
    char path[64];
    snprintf(path, sizeof path, "%s", object);
    for (char *save, *word = strtok_r(path, ".", &save); word != NULL;
         word = strtok_r(NULL, ".", &save)) {
        at = json_object_get(at, word);
    }
    double number = json_number_value(json_object_get(at, name));
    json_decref(all);
    return number;
}

static void the_command(void **state) {
    (void)state;
    assert_non_null(directory_make());
    file_write("one.txt", PLAIN KINDS);
    file_write("sqlite.txt", PLAIN);
    file_write("prices.txt", PRICES);
    file_write("bad.txt", "region\n");
    outcome of = program_run("bill --json --prices @/prices.txt --users 100 "
                             "@/one.txt @/one.txt");
    T_EQ(of.code, 0);
    T_TRUE(fabs(number_in(&of, "all", "requests") - 32) < 1e-6);
    T_TRUE(fabs(number_in(&of, "", "userDays") - 8) < 1e-6);
    T_TRUE(fabs(number_in(&of, "perUserDay", "requests") - 4) < 1e-6);
    T_TRUE(fabs(number_in(&of, "forecast.month", "requests") -
                4 * 100 * TM_USAGE_MONTH) < 0.1);
    outcome_free(&of);
    of = program_run("bill --json --user-days 2 @/one.txt");
    T_TRUE(fabs(number_in(&of, "perUserDay", "requests") - 8) < 1e-6);
    outcome_free(&of);
    of = program_run("bill --prices @/prices.txt @/one.txt");
    outcome_is(&of, 0, "append                 12          2         20.0");
    outcome_is(&of, 0, "per user-day (4 of them): 4.0 requests, 5.0 write units");
    outcome_is(&of, 0, "1000 users, each every day");
    outcome_is(&of, 0, "eu-central-1, from the file that was named");
    outcome_free(&of);
    of = program_run("bill --user-days 0 @/one.txt");
    outcome_is(&of, 0, "nobody has used a list yet");
    outcome_is(&of, 0, "us-east-1, as they stood in 2026; check yours");
    outcome_free(&of);
    of = program_run("bill --show-prices");
    outcome_is(&of, 0, "write-units-million");
    outcome_free(&of);
    of = program_run("bill @/sqlite.txt");
    outcome_is(&of, 1, "keeps no lists in DynamoDB");
    outcome_free(&of);
    of = program_run("bill @/prices.txt");
    outcome_is(&of, 1, "not the /metrics of a tidemark");
    outcome_free(&of);
    of = program_run("bill --prices @/bad.txt @/one.txt");
    outcome_is(&of, 1, "line 1 has a name without a value");
    outcome_free(&of);
    of = program_run("bill @/nothing.txt");
    outcome_is(&of, 1, "No such file");
    outcome_free(&of);
    of = program_run("bill http://127.0.0.1:1/metrics");
    outcome_is(&of, 1, "is the server up?");
    outcome_free(&of);
    directory_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_usual_prices_read),
        cmocka_unit_test(bad_prices_are_named),
        cmocka_unit_test(servers_are_added_up),
        cmocka_unit_test(other_text_changes_nothing),
        cmocka_unit_test(no_cut_goes_unnoticed),
        cmocka_unit_test(the_command),
    };
    return cmocka_run_group_tests_name("the bill", tests, NULL, NULL);
}
