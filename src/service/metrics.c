// metrics.c - see api.h: what a person who runs the server wants to see. Prometheus text
// 0.0.4: a help line with the unit, a type, a value.
#include "service/api.h"

static void metric(tm_buf *out, const char *name, const char *type,
                   const char *help, uint64_t value) {
    tm_buf_text(out, "# HELP tidemark_");
    tm_buf_text(out, name);
    tm_buf_byte(out, ' ');
    tm_buf_text(out, help);
    tm_buf_text(out, "\n# TYPE tidemark_");
    tm_buf_text(out, name);
    tm_buf_byte(out, ' ');
    tm_buf_text(out, type);
    tm_buf_text(out, "\ntidemark_");
    tm_buf_text(out, name);
    tm_buf_byte(out, ' ');
    tm_buf_u64(out, value);
    tm_buf_byte(out, '\n');
}

static void counter(tm_buf *out, const char *name, const char *help,
                    uint64_t value) {
    metric(out, name, "counter", help, value);
}

static void gauge(tm_buf *out, const char *name, const char *help, uint64_t value) {
    metric(out, name, "gauge", help, value);
}

static void write_saves(tm_buf *out, const tm_counts *c) {
    counter(out, "requests_total", "HTTP requests asked of the service.",
            c->requests);
    counter(out, "refused_total", "Requests and frames answered by a problem.",
            c->refused);
    counter(out, "pushes_total", "Saves read whole: POST and SAVE.", c->pushes);
    counter(out, "operations_accepted_total", "Operations stored.",
            c->ops_accepted);
    counter(out, "operations_duplicate_total", "Operations known already.",
            c->ops_duplicate);
    counter(out, "operations_rejected_total",
            "Operations that can never be stored.", c->ops_rejected);
    counter(out, "forks_total", "Pushes stopped: another used that version.",
            c->stops_fork);
    counter(out, "gaps_total", "Pushes stopped: a version is missing.",
            c->stops_gap);
    counter(out, "retries_total", "Pushes decided in part.", c->stops_retry);
    counter(out, "appends_total", "Batches given to the store.", c->appends);
    counter(out, "joined_pushes_total", "Pushes that shared another's batch.",
            c->joined);
    counter(out, "append_conflicts_total", "Appends another server was ahead of.",
            c->conflicts);
    counter(out, "append_failures_total", "Appends the store refused.",
            c->append_failures);
}

static void write_reads(tm_buf *out, const tm_counts *c) {
    counter(out, "pulls_total", "GETs of operations.", c->pulls);
    counter(out, "long_polls_total", "GETs that waited for news.", c->long_polls);
    counter(out, "snapshots_sent_total", "Whole states sent to clients.",
            c->snapshots);
    counter(out, "snapshot_sent_bytes_total", "Bytes of them.", c->snapshot_bytes);
    counter(out, "frames_sent_total", "Frames, once for each receiver.", c->frames);
    counter(out, "behinds_total", "Subscriptions that could not keep up.",
            c->behinds);
    counter(out, "closes_total", "Connections the service closed.", c->closes);
    counter(out, "digests_sent_total", "DIGEST frames.", c->digests);
    counter(out, "digest_mismatches_total",
            "Digests clients reported as differing.", c->mismatches);
}

static void write_lists(tm_buf *out, const tm_service *s) {
    const tm_counts *c = &s->counts;
    gauge(out, "lists_warm", "Lists in memory.", s->lists.count);
    gauge(out, "lists_bytes", "Bytes of memory they take.", s->list_bytes);
    gauge(out, "connections", "Open WebSocket connections.", s->conn_count);
    gauge(out, "subscriptions", "Lists they listen to, added up.", s->sub_count);
    gauge(out, "requests_waiting", "Requests not answered yet.", s->calls_alive);
    counter(out, "list_days_total",
            "Lists in use, each counted once on each day (UTC) it is.",
            c->list_days);
    counter(out, "opens_total", "Lists opened from the store.", c->opens);
    counter(out, "evictions_total", "Lists let go for want of memory.",
            c->evictions);
    counter(out, "rereads_total", "Consistent reads of a list's tail.", c->rereads);
    counter(out, "searches_total", "Searches of the log for ids.", c->searches);
    counter(out, "page_reads_total", "Reads of the store for readers.",
            c->page_reads);
    counter(out, "lists_lost_total", "Lists whose store no longer fitted memory.",
            c->lost);
    counter(out, "snapshots_saved_total", "Snapshots stored.", c->saves);
    counter(out, "snapshot_failures_total", "Snapshots that could not be stored.",
            c->save_failures);
    counter(out, "out_of_memory_total", "Answers given up for want of memory.",
            c->no_memory);
}

static void write_store(tm_buf *out, const tm_store_stats *s) {
    counter(out, "store_appends_total", "Batches appended.", s->appends);
    counter(out, "store_operations_bytes_total", "Bytes of operations appended.",
            s->operations_bytes);
    counter(out, "store_commits_total", "Durable commits.", s->commits);
    counter(out, "store_reads_total", "Reads of a log.", s->reads);
    counter(out, "store_loads_total", "Snapshots loaded.", s->loads);
    counter(out, "store_saves_total", "Snapshots saved.", s->saves);
    counter(out, "store_trims_total", "Logs trimmed.", s->trims);
    gauge(out, "store_backlog_batches", "Batches not filed by list yet.",
          s->backlog);
    gauge(out, "store_backlog_bytes", "Bytes of them.", s->backlog_bytes);
    counter(out, "store_failures_total", "Requests of the store that failed.",
            s->failures);
}

// Of requests that are paid for: a line for each kind, told apart by its label.
static void cost_metric(tm_buf *out, const tm_store_stats *s, const char *name,
                        const char *help,
                        uint64_t (*value)(const tm_store_cost *)) {
    tm_buf_text(out, "# HELP tidemark_");
    tm_buf_text(out, name);
    tm_buf_byte(out, ' ');
    tm_buf_text(out, help);
    tm_buf_text(out, "\n# TYPE tidemark_");
    tm_buf_text(out, name);
    tm_buf_text(out, " counter\n");
    for (size_t i = 0; i < s->costs_count; i++) {
        tm_buf_text(out, "tidemark_");
        tm_buf_text(out, name);
        tm_buf_text(out, "{kind=\"");
        tm_buf_text(out, s->costs[i].kind);
        tm_buf_text(out, s->costs[i].writes ? "\",unit=\"write\"} "
                                            : "\",unit=\"read\"} ");
        tm_buf_u64(out, value(&s->costs[i]));
        tm_buf_byte(out, '\n');
    }
}

static uint64_t cost_requests(const tm_store_cost *cost) {
    return cost->requests;
}

static uint64_t cost_retries(const tm_store_cost *cost) {
    return cost->retries;
}

static uint64_t cost_units(const tm_store_cost *cost) {
    return cost->units_milli;
}

static void write_costs(tm_buf *out, const tm_store_stats *s) {
    if (s->costs_count == 0) return;
    cost_metric(out, s, "store_requests_total", "Requests sent to the database.",
                cost_requests);
    cost_metric(out, s, "store_request_retries_total",
                "Of them, second and later tries.", cost_retries);
    cost_metric(out, s, "store_capacity_milliunits_total",
                "Capacity units used, times 1000.", cost_units);
}

// Only where it can be other than nothing.
static void write_shared(tm_buf *out, const tm_service *s) {
    const tm_counts *c = &s->counts;
    if (!s->config.shared) return;
    gauge(out, "doorbell_present", "1: Redis tells of what other servers stored.",
          s->bell != NULL);
    counter(out, "doorbell_losses_total", "Times it was found again.",
            s->bell_life > 0 ? s->bell_life - 1 : 0);
    counter(out, "rings_sent_total", "Heads told to other servers.", c->rings_sent);
    counter(out, "rings_asked_total", "Heads asked of the doorbell.",
            c->rings_asked);
    counter(out, "rings_heard_total", "Heads heard, answers and own ones included.",
            c->rings_heard);
    counter(out, "ring_reads_total", "Lists read because of them.", c->rings_read);
    counter(out, "rings_false_total", "Heads that the store then did not have.",
            c->rings_false);
    counter(out, "checks_total", "Lists read because no doorbell was there.",
            c->checks);
}

void tm_metrics_write(const tm_service *service, tm_buf *out) {
    tm_store_stats stats = {0};
    tm_store_stats_get(service->store, &stats);
    write_saves(out, &service->counts);
    write_reads(out, &service->counts);
    write_lists(out, service);
    write_shared(out, service);
    write_store(out, &stats);
    write_costs(out, &stats);
}
