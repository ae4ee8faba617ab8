// kit.h - what the benchmarks share: clocks, percentiles, results, a server in a process
// and on a core of its own, and connections to it that cost next to nothing.
//
// A result is one JSON object a line on stdout, {"name","value","unit"}; words about what
// is being done go to stderr. bench/run.mjs makes the table of them.
//
// A benchmark that meets anything it did not expect stops the program: a figure of a run
// that went wrong is none.
#ifndef TM_BENCH_KIT_H
#define TM_BENCH_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// ---- the least ------------------------------------------------------------------------

_Noreturn __attribute__((format(printf, 1, 2))) void die(const char *format, ...);
__attribute__((format(printf, 1, 2))) void progress(const char *format, ...);
void *need(size_t size); // zeroed

uint64_t clock_ns(void); // monotonic
uint64_t wall_ms(void);
double seconds_since(uint64_t began_ns);
uint64_t random_next(uint64_t *state);

// result - one figure. The name says what, with dots: "load.50.edits".
__attribute__((format(printf, 3, 4))) void result(double value, const char *unit,
                                                  const char *name, ...);

// ---- times ----------------------------------------------------------------------------

typedef struct times {
    float *ms;
    size_t count, cap;
} times;

void times_add(times *to, uint64_t took_ns);
double times_part(times *of, double part); // sorts; 0.5 = the median
void times_clear(times *of);
// times_results - NAME.KIND.p50, NAME.KIND.p99.
void times_results(times *of, const char *kind, const char *name);

// ---- the server -----------------------------------------------------------------------

#define SERVER_CORE 0u
#define CLIENT_CORE 1u

typedef struct server {
    pid_t pid;
    uint16_t port;
    char url[64];
    int log; // its stderr and stdout
} server;

// on_core - this process runs nowhere else from now on. false: there is no such core.
bool on_core(unsigned core);

// server_start - run `argv` on SERVER_CORE and wait until it says "listening" and a URL
// or a port on its output, or, with `port` above 0, until that answers.
void server_start(server *to, char *const argv[], uint16_t port);
void server_stop(server *of); // SIGTERM, and waits
uint16_t port_free(void);

typedef struct usage {
    double cpu_s, user_s, system_s;
    uint64_t write_bytes;
    double at_s;
} usage;

usage server_usage(const server *of);
uint64_t server_rss(const server *of); // bytes

// server_counter - of /metrics; 0 if it is not there.
double server_counter(const char *metrics, const char *name);
// server_metrics - the text of /metrics, lent until the next call.
const char *server_metrics(const server *of);

// http_get - over a connection of its own; returns the status, and how long it took.
unsigned http_get(const server *of, const char *path, uint64_t *took_ns,
                  size_t *body_len);

// disk_syncs - fdatasyncs a second of this disk, `bytes` appended before each.
double disk_syncs(const char *directory, size_t bytes);

// directory_fresh - an empty directory below the working one; what was there is removed.
void directory_fresh(const char *path);

// ---- connections ----------------------------------------------------------------------

typedef struct wire {
    int fd;
    bool wants_out;
    uint8_t *in; // a message that is cut
    size_t in_len, in_cap;
    uint8_t *out;
    size_t out_len, out_at, out_cap;
    struct wire *flush_next;
    bool flushing;
    void *owner;
    uint64_t received;
} wire;

// wire_open - connect, and say hello: `websocket` = a handshake for this subprotocol
// and path, NULL = none.
//   number   its number, so that ten thousand do not share one address
void wire_open(wire *to, const server *with, const char *path,
               const char *subprotocol, unsigned number);
void wire_close(wire *of);

// wire_say - bytes as they are; wire_text - a masked WebSocket frame. Sent by wires_turn.
void wire_say(wire *to, const void *bytes, size_t len);
void wire_text(wire *to, const void *bytes, size_t len);
void wire_binary(wire *to, const void *bytes, size_t len);

// What came, from whoever hears. Returns how many of the bytes were used: what is cut
// comes again, with more.
typedef size_t wire_hears(wire *from, const uint8_t *bytes, size_t len);

// wires_turn - send what was said, wait for bytes, at most `wait_ms`, and hear them.
void wires_turn(wire_hears *hears, int wait_ms);

// frame_next - the next whole WebSocket frame of a server in these bytes. 0 = cut.
size_t frame_next(const uint8_t *bytes, size_t len, const uint8_t **payload,
                  size_t *payload_len, unsigned *opcode);

#endif
