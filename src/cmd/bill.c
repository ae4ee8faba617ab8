// bill.c - `tidemark bill`: what DynamoDB was asked for, and what that costs.
#include "cmd/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/file.h"
#include "cmd/usage.h"
#include "store/aws_http.h"

#define METRICS_MAX (1u << 20)
#define TIMEOUT_MS  10000u
#define USUAL_URL   "http://127.0.0.1:8080/metrics"
#define NOT_GIVEN   UINT64_MAX

typedef struct billing {
    const tm_command *command;
    bool json;
    uint64_t users, user_days;
    const char *prices_file;
    tm_prices prices;
    tm_usage usage;
} billing;

// ---- where the numbers come from ----------------------------------------------------

static int metrics_add(billing *run, const char *from, tm_span text) {
    switch (tm_usage_add(&run->usage, text)) {
    case TM_OK:
        return -1;
    case TM_E_STATE:
        return tm_failure(run->command,
                          "%s: this server keeps no lists in DynamoDB: there is "
                          "nothing that is paid by request",
                          from);
    default:
        return tm_failure(run->command,
                          "%s: that is not the /metrics of a tidemark, or not all "
                          "of it",
                          from);
    }
}

typedef struct asked {
    billing *run;
    const char *url;
    int code;
} asked;

static void on_answer(tm_http_request *request) {
    asked *a = request->context;
    if (request->fate != TM_HTTP_ANSWERED) {
        a->code = tm_failure(a->run->command,
                             "%s: %s; is the server up? A URL or a file can be "
                             "named",
                             a->url, request->why);
    } else if (request->status != 200) {
        a->code = tm_failure(a->run->command, "%s: it answered %" PRIu32, a->url,
                             request->status);
    } else {
        a->code = metrics_add(a->run, a->url, request->answer);
    }
}

static int url_read(billing *run, const char *url) {
    tm_http *http = NULL;
    if (tm_http_open(&http) != TM_OK) {
        return tm_failure(run->command, "out of memory");
    }
    static const char *const headers[] = {NULL};
    asked a = {run, url, -1};
    tm_http_request request = {.method = "GET",
                               .url = url,
                               .headers = headers,
                               .timeout_ms = TIMEOUT_MS,
                               .answer_max = METRICS_MAX,
                               .done = on_answer,
                               .context = &a};
    tm_http_start(http, &request);
    while (tm_http_wait(http)) {
        (void)tm_http_poll(http);
    }
    tm_http_close(http);
    return a.code;
}

static int file_read(billing *run, const char *path) {
    uint8_t *bytes;
    size_t len;
    if (!tm_file_read(path, METRICS_MAX, &bytes, &len)) {
        return tm_failure(run->command, "%s: %s", path, strerror(errno));
    }
    int code = metrics_add(run, path, (tm_span){bytes, len});
    free(bytes);
    return code;
}

static int source_read(billing *run, const char *from) {
    bool url =
        strncmp(from, "http://", 7) == 0 || strncmp(from, "https://", 8) == 0;
    return url ? url_read(run, from) : file_read(run, from);
}

static int prices_read(billing *run) {
    char problem[160];
    uint8_t *bytes = NULL;
    tm_span text = tm_text(tm_prices_usual);
    const char *path = run->prices_file;
    if (path != NULL && !tm_file_read(path, METRICS_MAX, &bytes, &text.len)) {
        return tm_failure(run->command, "%s: %s", path, strerror(errno));
    }
    if (path != NULL) text.ptr = bytes;
    tm_status status = tm_prices_read(text, &run->prices, problem);
    free(bytes);
    if (status == TM_OK) return -1;
    return tm_failure(run->command, "%s: %s",
                      path == NULL ? "the usual prices" : path, problem);
}

// ---- for people ---------------------------------------------------------------------

static void kinds_say(const billing *run) {
    (void)printf("%-12s %12s %10s %12s %12s %12s\n", "kind", "requests", "retries",
                 "write units", "read units", "dollars");
    for (size_t i = 0; i < run->usage.count; i++) {
        const tm_usage_kind *kind = &run->usage.kinds[i];
        if (kind->requests == 0) continue;
        tm_bill one = tm_bill_kind(kind, &run->prices);
        (void)printf("%-12s %12" PRIu64 " %10" PRIu64 " %12.1f %12.1f %12.6f\n",
                     kind->name, kind->requests, kind->retries, one.write_units,
                     one.read_units, one.dollars);
    }
    tm_bill all = tm_bill_all(&run->usage, &run->prices);
    (void)printf("%-12s %12.0f %10s %12.1f %12.1f %12.6f\n", "all", all.requests,
                 "", all.write_units, all.read_units, all.dollars);
}

// Bytes of log that a user's day leaves, and what a GB of it costs a month.
static double growth_gb_month(const billing *run, double user_days) {
    return tm_usage_growth(&run->usage) / user_days * (double)run->users *
           TM_USAGE_MONTH / 1e9;
}

static void forecast_say(const billing *run, double user_days) {
    tm_bill all = tm_bill_all(&run->usage, &run->prices);
    tm_bill day = tm_bill_times(all, 1 / user_days);
    tm_bill month = tm_bill_times(day, (double)run->users * TM_USAGE_MONTH);
    double gb = growth_gb_month(run, user_days);
    double kept = run->prices.storage_gb_month + run->prices.recovery_gb_month;
    (void)printf("\nper user-day (%.0f of them): %.1f requests, %.1f write units, "
                 "%.1f read units, $%.7f\n",
                 user_days, day.requests, day.write_units, day.read_units,
                 day.dollars);
    (void)printf("%" PRIu64 " users, each every day, for a month: %.0f requests, "
                 "%.0f write units, %.0f read units, $%.2f\n",
                 run->users, month.requests, month.write_units, month.read_units,
                 month.dollars);
    (void)printf(
        "their logs grow by %.3f GB in that month, which from then on cost "
        "$%.2f a month more\n(stored, and with point-in-time recovery)\n",
        gb, gb * kept);
}

static void bill_say(const billing *run, double user_days) {
    kinds_say(run);
    if (user_days > 0) {
        forecast_say(run, user_days);
    } else {
        (void)printf("\nnobody has used a list yet: there is no user-day to tell "
                     "the cost of\n");
    }
    (void)printf("prices: on demand, ");
    tm_print_safe(stdout, tm_text(run->prices.region));
    (void)printf(", %s; check yours, they change\n",
                 run->prices_file == NULL ? "as they stood in 2026"
                                          : "from the file that was named");
}

// ---- for a script -------------------------------------------------------------------

static void bill_members(tm_bill bill) {
    (void)printf("\"requests\":%.6g,\"writeUnits\":%.6g,\"readUnits\":%.6g,"
                 "\"dollars\":%.9g}",
                 bill.requests, bill.write_units, bill.read_units, bill.dollars);
}

static void bill_json(const billing *run, double user_days) {
    const tm_prices *prices = &run->prices;
    tm_bill all = tm_bill_all(&run->usage, prices);
    (void)printf("{\"kinds\":[");
    for (size_t i = 0; i < run->usage.count; i++) {
        const tm_usage_kind *kind = &run->usage.kinds[i];
        (void)printf("%s{\"kind\":\"%s\",\"retries\":%" PRIu64 ",",
                     i == 0 ? "" : ",", kind->name, kind->retries);
        bill_members(tm_bill_kind(kind, prices));
    }
    (void)printf("],\"all\":{");
    bill_members(all);
    (void)printf(",\"userDays\":%.0f", user_days);
    if (user_days > 0) {
        tm_bill day = tm_bill_times(all, 1 / user_days);
        (void)printf(",\"perUserDay\":{");
        bill_members(day);
        (void)printf(",\"forecast\":{\"users\":%" PRIu64 ",\"month\":{",
                     run->users);
        bill_members(tm_bill_times(day, (double)run->users * TM_USAGE_MONTH));
        (void)printf(",\"growthGb\":%.6g}", growth_gb_month(run, user_days));
    }
    tm_buf region = {.alloc = &tm_host_alloc};
    tm_buf_json(&region, tm_text(prices->region));
    (void)printf(",\"prices\":{\"region\":%.*s,\"writeMillion\":%.9g,"
                 "\"readMillion\":%.9g,\"storageGbMonth\":%.9g,"
                 "\"recoveryGbMonth\":%.9g}}\n",
                 (int)region.len, (const char *)region.ptr, prices->write_million,
                 prices->read_million, prices->storage_gb_month,
                 prices->recovery_gb_month);
    tm_buf_deinit(&region);
}

// ---- the command --------------------------------------------------------------------

static int bill_main(const tm_command *command, int argc, char **argv) {
    billing run = {.command = command, .users = 1000, .user_days = NOT_GIVEN};
    bool show = false;
    const tm_option options[] = {
        {"users", "N", TM_OPTION_NUMBER, &run.users,
         "of the forecast; default 1000"},
        {"user-days", "N", TM_OPTION_NUMBER, &run.user_days,
         "that the numbers are of; default: as the servers counted"},
        {"prices", "FILE", TM_OPTION_TEXT, &run.prices_file,
         "default: what --show-prices prints"},
        {"show-prices", NULL, TM_OPTION_FLAG, &show,
         "print the usual prices, to be edited, and end"},
        {"json", NULL, TM_OPTION_FLAG, &run.json, "one JSON object, for a script"},
        {0}};
    char **from;
    int code = tm_options_read(command, options, argc, argv, &from);
    if (code >= 0) return code;
    if (show) {
        (void)fputs(tm_prices_usual, stdout);
        return TM_EXIT_OK;
    }
    code = prices_read(&run);
    if (code < 0 && *from == NULL) code = source_read(&run, USUAL_URL);
    for (; code < 0 && *from != NULL; from++) {
        code = source_read(&run, *from);
    }
    if (code >= 0) return code;
    uint64_t counted =
        run.user_days == NOT_GIVEN ? run.usage.list_days : run.user_days;
    (run.json ? bill_json : bill_say)(&run, (double)counted);
    return TM_EXIT_OK;
}

const tm_command tm_command_bill = {
    .name = "bill",
    .summary = "what DynamoDB was asked for, and what that costs",
    .arguments = "[URL|FILE...]",
    .arguments_min = 0,
    .arguments_max = SIZE_MAX,
    .about =
        "Reads the /metrics of running servers, or files they were saved to, adds "
        "them up, and\nprints requests and capacity units by kind, what a user's "
        "day costs, and what so many\nusers would. Without an argument it "
        "asks " USUAL_URL
        ".\nA user-day is a list on a day (UTC) on which it was in use. "
        "docs/COST.md says more.\n",
    .example = "  tidemark bill --users 20000\n"
               "  tidemark bill http://10.0.0.5:8080/metrics "
               "http://10.0.0.6:8080/metrics\n"
               "  tidemark bill --show-prices >mine.txt; tidemark bill --prices "
               "mine.txt saved.txt --json\n",
    .run = bill_main,
};
