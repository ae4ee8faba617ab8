// usage.c - see usage.h.
#include "cmd/usage.h"

#include <stddef.h>
#include <string.h>

#include "cmd/tree.h"

#define PREFIX "tidemark_"

static bool starts(tm_span *text, const char *with) {
    size_t len = strlen(with);
    if (text->len < len || memcmp(text->ptr, with, len) != 0) return false;
    text->ptr += len;
    text->len -= len;
    return true;
}

// Up to `end`, which goes with it. false: it is not there.
static bool until(tm_span *text, uint8_t end, tm_span *part) {
    const uint8_t *at = text->len == 0 ? NULL : memchr(text->ptr, end, text->len);
    if (at == NULL) return false;
    *part = (tm_span){text->ptr, (size_t)(at - text->ptr)};
    text->len -= part->len + 1;
    text->ptr = at + 1;
    return true;
}

static bool number_read(tm_span digits, uint64_t *number) {
    *number = 0;
    while (digits.len > 0 && digits.ptr[digits.len - 1] == '\r') {
        digits.len--;
    }
    for (size_t i = 0; i < digits.len; i++) {
        uint8_t c = digits.ptr[i];
        if (c < '0' || c > '9' || *number > (UINT64_MAX >> 8) / 10) return false;
        *number = *number * 10 + (uint64_t)(c - '0');
    }
    return digits.len > 0;
}

static tm_usage_kind *kind_get(tm_usage *usage, tm_span name, bool writes) {
    for (size_t i = 0; i < usage->count; i++) {
        if (tm_span_equal_text(name, usage->kinds[i].name)) return &usage->kinds[i];
    }
    if (usage->count == TM_STORE_COSTS_MAX || name.len == 0 ||
        name.len > TM_USAGE_KIND_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < name.len; i++) { // it is printed
        if (name.ptr[i] != '_' && (name.ptr[i] < 'a' || name.ptr[i] > 'z')) {
            return NULL;
        }
    }
    tm_usage_kind *kind = &usage->kinds[usage->count++];
    *kind = (tm_usage_kind){.writes = writes};
    memcpy(kind->name, name.ptr, name.len);
    return kind;
}

// `{kind="append",unit="write"} 17`, behind the name.
static bool labelled_add(tm_usage *usage, tm_span rest, size_t member) {
    tm_span name, unit;
    uint64_t number;
    if (!starts(&rest, "{kind=\"") || !until(&rest, '"', &name) ||
        !starts(&rest, ",unit=\"") || !until(&rest, '"', &unit) ||
        !starts(&rest, "} ") || !number_read(rest, &number)) {
        return false;
    }
    bool writes = tm_span_equal_text(unit, "write");
    if (!writes && !tm_span_equal_text(unit, "read")) return false;
    tm_usage_kind *kind = kind_get(usage, name, writes);
    if (kind == NULL || kind->writes != writes) return false;
    *(uint64_t *)(void *)((char *)kind + member) += number;
    return true;
}

static bool plain_add(tm_span rest, uint64_t *to) {
    uint64_t number;
    if (!starts(&rest, " ") || !number_read(rest, &number)) return false;
    *to += number;
    return true;
}

static const struct {
    const char *name;
    size_t member; // of a kind
} labelled[] = {
    {PREFIX "store_requests_total", offsetof(tm_usage_kind, requests)},
    {PREFIX "store_request_retries_total", offsetof(tm_usage_kind, retries)},
    {PREFIX "store_capacity_milliunits_total",
     offsetof(tm_usage_kind, units_milli)},
};

static const struct {
    const char *name;
    size_t member; // of the whole
} plain[] = {
    {PREFIX "list_days_total", offsetof(tm_usage, list_days)},
    {PREFIX "store_operations_bytes_total", offsetof(tm_usage, operations_bytes)},
    {PREFIX "store_appends_total", offsetof(tm_usage, appends)},
};

#define PLAIN (sizeof plain / sizeof plain[0])

static bool line_add(tm_usage *usage, tm_span line, bool seen[PLAIN]) {
    for (size_t i = 0; i < sizeof labelled / sizeof labelled[0]; i++) {
        tm_span rest = line;
        if (!starts(&rest, labelled[i].name)) continue;
        return labelled_add(usage, rest, labelled[i].member);
    }
    for (size_t i = 0; i < PLAIN; i++) {
        tm_span rest = line;
        if (!starts(&rest, plain[i].name)) continue;
        seen[i] = true;
        return plain_add(rest,
                         (uint64_t *)(void *)((char *)usage + plain[i].member));
    }
    return true; // another's
}

tm_status tm_usage_add(tm_usage *usage, tm_span metrics) {
    tm_usage all = *usage; // changed only if all of it reads
    bool seen[PLAIN] = {false};
    tm_span line;
    bool paid = false;
    while (until(&metrics, '\n', &line)) {
        if (!line_add(&all, line, seen)) return TM_E_FORMAT;
        paid = paid || starts(&line, PREFIX "store_requests_total{");
    }
    if (metrics.len > 0) return TM_E_FORMAT; // cut off
    for (size_t i = 0; i < PLAIN; i++) {
        if (!seen[i]) return TM_E_FORMAT;
    }
    if (!paid) return TM_E_STATE;
    *usage = all;
    return TM_OK;
}

// ---- what it comes to ---------------------------------------------------------------

tm_bill tm_bill_kind(const tm_usage_kind *kind, const tm_prices *prices) {
    double units = (double)kind->units_milli / 1000;
    double price = kind->writes ? prices->write_million : prices->read_million;
    return (tm_bill){.requests = (double)kind->requests,
                     .write_units = kind->writes ? units : 0,
                     .read_units = kind->writes ? 0 : units,
                     .dollars = units * price / 1e6};
}

tm_bill tm_bill_all(const tm_usage *usage, const tm_prices *prices) {
    tm_bill all = {0, 0, 0, 0};
    for (size_t i = 0; i < usage->count; i++) {
        tm_bill one = tm_bill_kind(&usage->kinds[i], prices);
        all.requests += one.requests;
        all.write_units += one.write_units;
        all.read_units += one.read_units;
        all.dollars += one.dollars;
    }
    return all;
}

tm_bill tm_bill_times(tm_bill bill, double times) {
    return (tm_bill){bill.requests * times, bill.write_units * times,
                     bill.read_units * times, bill.dollars * times};
}

double tm_usage_growth(const tm_usage *usage) {
    return (double)usage->operations_bytes + (double)usage->appends * TM_USAGE_ROW;
}
