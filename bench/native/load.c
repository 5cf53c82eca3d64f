// The load generator: keeps a number of requests in flight on connections that the bench has opened, and counts the answers. For each
// complete answer, it queues the next request. At the end of a receive event, all queued requests leave in one call. Orders arrive on
// standard input, one a line. Events go to standard output, each as one line of JSON:
//   load make FILE BYTES
//   load (nbd | rsio | rsio-digest | iscsi) FILE-BYTES[/VOLUMES] FAREWELL-HEX DESCRIPTOR:WORD:WORD:EARLY-BYTES-HEX...
//   order:  READ-PERCENT (random | sequential | once) BLOCK-BYTES DEPTH SEED WARM-UP-MS WINDOW-MS REQUESTS IS-CHECKED
//   With LOAD_DROPS=FILE in the environment, the pages of FILE are dropped from the cache again and again while the order is `once`.
//   events: ready, begin and end of the window, done with its figures; failed, and the process ends
// Invariant: a request counts as answered only when its answer is complete. With IS-CHECKED, every byte that was read equals the file.

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "dialect.h"
#include "pattern.h"

enum { CONNS_MAX = 512, RECEIVE_BYTES = 256 * 1024, IOVECS = 256, BUCKETS = 60 * 32, LINE_MAX_BYTES = 256, EVENTS = 64 };

/** Number of answers after which pages are dropped. With requests of 8 KiB, at most 1/64 of a file of 512 MiB is therefore cached. */
enum { DROP_REQUESTS = 1024 };

enum phase { IDLE, WARMING, MEASURING, DRAINING };

uint8_t farewell_bytes[SAID_MAX];
size_t farewell_length;

static const struct dialect *dialect;
static struct conn *conns[CONNS_MAX];
static unsigned conn_count;
static int epoll_fd;
static uint64_t file_bytes;
uint64_t volume_bytes;
static uint8_t received[RECEIVE_BYTES];

static struct {
  enum phase phase;
  unsigned read_percent;
  char order[16];
  uint32_t block, depth;
  uint64_t warm_up_ns, window_ns, requests_left;
  int is_counted, is_checked;
  uint64_t began_ns, window_began_ns, window_cpu_ns;
  uint64_t next, blocks;
  uint32_t random;
  unsigned out;
  uint64_t done, bytes, slowest_ns;
} run;
static uint32_t histogram[BUCKETS];
/** A descriptor of the file whose pages are dropped; -1: none. */
static int dropped_fd = -1;
static unsigned answers_since_drop;

void fail(const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  for (char *at = text; *at != 0; at++)
    if (*at == '"' || *at == '\\' || (unsigned char)*at < ' ' || (unsigned char)*at > '~') *at = '.';
  printf("{\"event\":\"failed\",\"message\":\"%s\"}\n", text);
  fflush(stdout);
  exit(1);
}

static uint64_t clock_ns(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t now_ns(void) {
  return clock_ns(CLOCK_MONOTONIC);
}

// --- which block is next

static uint32_t random_word(void) {
  run.random ^= run.random << 13;
  run.random ^= run.random >> 17;
  run.random ^= run.random << 5;
  return run.random;
}

/** Maps the numbers below 2^n to the 2^n blocks, each block once, in an order that read-ahead cannot predict. */
static uint64_t shuffled(uint64_t number) {
  const unsigned bits = 63 - (unsigned)__builtin_clzll(run.blocks);
  const uint64_t mask = ((uint64_t)1 << bits) - 1;
  uint64_t mixed = (number * 0x9e3779b1u + run.random) & mask;
  mixed ^= mixed >> (bits / 2);
  mixed = (mixed * 0x85ebca6bu) & mask;
  return mixed ^ mixed >> (bits / 2 + 1);
}

static uint64_t next_block(void) {
  if (run.order[0] == 'r') return random_word() % run.blocks;
  const uint64_t number = run.next++ % run.blocks;
  return run.order[0] == 'o' ? shuffled(number) : number;
}

// --- sending

static void enqueue(struct conn *conn, const uint8_t *bytes, size_t length) {
  const unsigned capacity = sizeof conn->queue / sizeof conn->queue[0];
  if (conn->queue_count == capacity) fail("The queue of a connection is full");
  conn->queue[(conn->queue_first + conn->queue_count++) % capacity] = (struct piece){ bytes, length };
}

void say(struct conn *conn, const uint8_t *bytes, size_t length) {
  uint8_t *copy = conn->said[conn->said_next++ % SAID_RING];
  memcpy(copy, bytes, length);
  enqueue(conn, copy, length);
}

static void watch(struct conn *conn, int op, int waits_to_send) {
  struct epoll_event event = { .events = EPOLLIN | (waits_to_send ? EPOLLOUT : 0), .data.ptr = conn };
  if (epoll_ctl(epoll_fd, op, conn->fd, &event) != 0) fail("epoll_ctl: %s", strerror(errno));
  conn->waits_to_send = waits_to_send;
}

static void flush(struct conn *conn) {
  const unsigned capacity = sizeof conn->queue / sizeof conn->queue[0];
  while (conn->queue_count > 0) {
    struct iovec pieces[IOVECS];
    unsigned count = 0;
    for (; count < IOVECS && count < conn->queue_count; count++) {
      const struct piece *piece = &conn->queue[(conn->queue_first + count) % capacity];
      pieces[count] = (struct iovec){ (void *)piece->bytes, piece->length };
    }
    const struct msghdr message = { .msg_iov = pieces, .msg_iovlen = count };
    const ssize_t sent = sendmsg(conn->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) fail("The connection broke: %s", strerror(errno));
      if (!conn->waits_to_send) watch(conn, EPOLL_CTL_MOD, 1);
      return;
    }
    for (size_t left = (size_t)sent; left > 0;) {
      struct piece *piece = &conn->queue[conn->queue_first];
      const size_t part = left < piece->length ? left : piece->length;
      piece->bytes += part;
      piece->length -= part;
      left -= part;
      if (piece->length > 0) break;
      conn->queue_first = (conn->queue_first + 1) % capacity;
      conn->queue_count--;
    }
  }
  if (conn->waits_to_send) watch(conn, EPOLL_CTL_MOD, 0);
}

static void ask(struct conn *conn, unsigned index, uint64_t at_ns) {
  if (run.phase == DRAINING || (run.is_counted && run.requests_left == 0)) return;
  if (run.is_counted) run.requests_left--;
  struct slot *slot = &conn->slots[index];
  slot->offset = next_block() * run.block;
  slot->length = run.block;
  slot->is_write = run.read_percent == 0 || (run.read_percent < 100 && random_word() % 100 >= run.read_percent);
  slot->is_out = 1;
  slot->sent_ns = at_ns;
  run.out++;
  // The data follows the header directly, so the header is placed such that it ends where the data begins.
  uint8_t header[REQUEST_HEADER_MAX];
  const size_t header_bytes = dialect->request(conn, index, header);
  uint8_t *start = slot->place + REQUEST_HEADER_MAX - header_bytes;
  memcpy(start, header, header_bytes);
  uint8_t *data = slot->place + REQUEST_HEADER_MAX;
  size_t behind = 0;
  if (slot->is_write) {
    pattern_mark(data, slot->offset, slot->length);
    behind = slot->length;
    if (dialect->trailer != NULL) behind += dialect->trailer(data, slot->length, data + slot->length);
  }
  enqueue(conn, start, header_bytes + behind);
}

// --- receiving

/** Returns the step in which a time is counted. A step is about 3 % wide: 32 steps for each doubling. */
static unsigned bucket_of(uint64_t ns) {
  if (ns < 32) return (unsigned)ns;
  const unsigned log = 63 - (unsigned)__builtin_clzll(ns);
  const unsigned bucket = (log - 4) * 32 + ((ns >> (log - 5)) & 31);
  return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/** Drops the pages of the file from the cache, so that every read waits for the disk. Pages that are being read stay. */
static void drop_pages(void) {
  if (dropped_fd < 0 || run.order[0] != 'o' || ++answers_since_drop < DROP_REQUESTS) return;
  answers_since_drop = 0;
  const int failed = posix_fadvise(dropped_fd, 0, 0, POSIX_FADV_DONTNEED);
  if (failed != 0) fail("The pages of the file cannot be dropped: %s", strerror(failed));
}

static void complete(struct conn *conn, uint64_t at_ns) {
  struct slot *slot = &conn->slots[conn->answer.slot];
  slot->is_out = 0;
  run.out--;
  if (run.phase == MEASURING) {
    const uint64_t took_ns = at_ns - slot->sent_ns;
    histogram[bucket_of(took_ns)]++;
    if (took_ns > run.slowest_ns) run.slowest_ns = took_ns;
    run.done++;
    run.bytes += slot->length;
  }
  drop_pages();
  ask(conn, (unsigned)conn->answer.slot, at_ns);
}

static void body_done(struct conn *conn, uint64_t at_ns) {
  if (conn->answer.slot < 0) dialect->aside(conn, conn->answer.body);
  else if (conn->answer.is_last) complete(conn, at_ns);
}

static void take(struct conn *conn, const uint8_t *bytes, size_t length, uint64_t at_ns) {
  const uint8_t *end = bytes + length;
  while (bytes < end) {
    if (conn->body_left > 0) {
      const size_t there = (size_t)(end - bytes);
      const uint32_t part = there < conn->body_left ? (uint32_t)there : conn->body_left;
      if (conn->answer.slot < 0) memcpy(conn->aside + conn->body_seen, bytes, part);
      else if (run.is_checked) {
        const struct slot *asked = &conn->slots[conn->answer.slot];
        const uint32_t at = conn->answer.at + conn->body_seen;
        const uint64_t offset = asked->offset + at;
        const uint32_t data = at >= asked->length ? 0 : asked->length - at;
        const int64_t wrong = pattern_difference(bytes, offset, part < data ? part : data);
        if (wrong >= 0) fail("Byte %llu of the file was read wrongly", (unsigned long long)offset + (unsigned long long)wrong);
      }
      conn->body_left -= part;
      conn->body_seen += part;
      bytes += part;
      if (conn->body_left == 0) body_done(conn, at_ns);
      continue;
    }
    while (conn->header_fill < dialect->answer_header && bytes < end) conn->header[conn->header_fill++] = *bytes++;
    if (conn->header_fill < dialect->answer_header) return;
    conn->header_fill = 0;
    dialect->read(conn);
    conn->body_left = conn->answer.body;
    conn->body_seen = 0;
    if (conn->body_left == 0) body_done(conn, at_ns);
  }
}

static uint64_t receive(struct conn *conn) {
  const ssize_t length = recv(conn->fd, received, sizeof received, MSG_DONTWAIT);
  const uint64_t at_ns = now_ns();
  if (length == 0) fail("The server closed the connection: see its log");
  if (length < 0) {
    if (errno != EAGAIN && errno != EINTR) fail("The connection broke: %s", strerror(errno));
    return at_ns;
  }
  take(conn, received, (size_t)length, at_ns);
  return at_ns;
}

// --- orders and events

static void print_event(const char *name) {
  printf("{\"event\":\"%s\"}\n", name);
  fflush(stdout);
}

static void begin(void) {
  char line[LINE_MAX_BYTES];
  unsigned long long seed, warm_up_ms, window_ms, requests;
  int checked;
  if (fgets(line, sizeof line, stdin) == NULL) {
    for (unsigned index = 0; index < conn_count; index++) {
      uint8_t bytes[SAID_MAX];
      const size_t length = dialect->farewell(conns[index], bytes);
      if (length > 0) say(conns[index], bytes, length);
      flush(conns[index]);
    }
    exit(0);
  }
  if (run.phase != IDLE) fail("An order came while another one runs");
  if (sscanf(line, "%u %15s %u %u %llu %llu %llu %llu %d", &run.read_percent, run.order, &run.block, &run.depth, &seed, &warm_up_ms,
             &window_ms, &requests, &checked) != 9)
    fail("An order could not be read");
  run.blocks = file_bytes / run.block;
  run.random = (uint32_t)seed | 1;
  run.next = 0;
  run.warm_up_ns = warm_up_ms * 1000000;
  run.window_ns = window_ms * 1000000;
  run.requests_left = requests;
  run.is_counted = requests > 0;
  run.is_checked = checked;
  run.done = run.bytes = run.slowest_ns = 0;
  memset(histogram, 0, sizeof histogram);
  run.phase = run.is_counted ? MEASURING : WARMING;
  run.began_ns = run.window_began_ns = now_ns();
  run.window_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  for (unsigned number = 0; number < conn_count; number++) {
    struct conn *conn = conns[number];
    conn->depth = run.depth / conn_count + (number < run.depth % conn_count);
    if (conn->depth > SLOTS_MAX) fail("At most %d requests can be out on one connection", SLOTS_MAX);
    for (unsigned index = 0; index < conn->depth; index++) {
      conn->slots[index].place = realloc(conn->slots[index].place, REQUEST_HEADER_MAX + run.block + TRAILER_MAX);
      if (conn->slots[index].place == NULL) fail("There is no memory for %u requests", run.depth);
      pattern_fill(conn->slots[index].place + REQUEST_HEADER_MAX, 0, run.block);
      ask(conn, index, run.began_ns);
    }
  }
  for (unsigned number = 0; number < conn_count; number++) flush(conns[number]);
}

static uint64_t ended_ns, ended_cpu_ns;

static void end_window(uint64_t at_ns) {
  ended_ns = at_ns;
  ended_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  run.phase = DRAINING;
  print_event("end");
}

static void finish(void) {
  run.phase = IDLE;
  printf("{\"event\":\"done\",\"requests\":%llu,\"bytes\":%llu,\"windowNs\":%llu,\"cpuNs\":%llu,\"slowestNs\":%llu,\"histogram\":[",
         (unsigned long long)run.done, (unsigned long long)run.bytes, (unsigned long long)(ended_ns - run.window_began_ns),
         (unsigned long long)(ended_cpu_ns - run.window_cpu_ns), (unsigned long long)run.slowest_ns);
  const char *comma = "";
  for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
    if (histogram[bucket] == 0) continue;
    printf("%s[%u,%u]", comma, bucket, histogram[bucket]);
    comma = ",";
  }
  printf("]}\n");
  fflush(stdout);
}

static void look_at_time(uint64_t at_ns) {
  if (run.phase == WARMING && at_ns >= run.began_ns + run.warm_up_ns) {
    run.phase = MEASURING;
    run.window_began_ns = at_ns;
    run.window_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    print_event("begin");
  }
  if (run.phase == MEASURING && (run.is_counted ? run.out == 0 : at_ns >= run.window_began_ns + run.window_ns)) end_window(at_ns);
  if (run.phase == DRAINING && run.out == 0) finish();
}

/** Returns the milliseconds until the warm-up or the window ends; -1: no time limit applies now. */
static int patience(uint64_t at_ns) {
  if (run.is_counted || (run.phase != WARMING && run.phase != MEASURING)) return -1;
  const uint64_t due_ns = run.phase == WARMING ? run.began_ns + run.warm_up_ns : run.window_began_ns + run.window_ns;
  return due_ns <= at_ns ? 0 : (int)((due_ns - at_ns) / 1000000 + 1);
}

static size_t from_hex(const char *text, uint8_t *to, size_t room) {
  size_t length = 0;
  unsigned byte;
  for (; sscanf(text, "%2x", &byte) == 1; text += 2) {
    if (length == room) fail("A hexadecimal text is too long");
    to[length++] = (uint8_t)byte;
  }
  return length;
}

/** Takes over a connection that is described as DESCRIPTOR:WORD:WORD:HEX. */
static void adopt(const char *text) {
  struct conn *conn = calloc(1, sizeof *conn);
  int parsed = 0;
  if (conn == NULL || conn_count == CONNS_MAX) fail("Too many connections");
  if (sscanf(text, "%d:%u:%u:%n", &conn->fd, &conn->word[0], &conn->word[1], &parsed) != 3 || parsed == 0) fail("No connection: %s", text);
  conns[conn_count++] = conn;
  watch(conn, EPOLL_CTL_ADD, 0);
  const size_t early = from_hex(text + parsed, received, sizeof received);
  take(conn, received, early, now_ns());
  flush(conn);
}

/** Makes the data file. Its pages are in the cache afterwards, because they have just been written. */
static int make_file(const char *path, uint64_t bytes) {
  enum { CHUNK = 1 << 20 };
  static uint8_t chunk[CHUNK];
  const int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
  for (uint64_t at = 0; file >= 0 && at < bytes; at += CHUNK) {
    pattern_fill(chunk, at, CHUNK);
    if (pwrite(file, chunk, CHUNK, (off_t)at) != CHUNK) fail("%s: %s", path, strerror(errno));
  }
  if (file < 0 || fsync(file) != 0) fail("%s: %s", path, strerror(errno));
  return close(file);
}

int main(int count, char **arguments) {
  pattern_make();
  if (count == 4 && strcmp(arguments[1], "make") == 0) return make_file(arguments[2], strtoull(arguments[3], NULL, 10));
  const struct dialect *const dialects[] = { &nbd_dialect, &rsio_dialect, &rsio_digest_dialect, &iscsi_dialect, &nvme_dialect };
  for (unsigned index = 0; count > 4 && index < sizeof dialects / sizeof dialects[0]; index++)
    if (strcmp(arguments[1], dialects[index]->name) == 0) dialect = dialects[index];
  if (dialect == NULL) fail("No such dialect, or no connection");
  char *volumes;
  file_bytes = volume_bytes = strtoull(arguments[2], &volumes, 10);
  if (*volumes == '/') volume_bytes /= strtoull(volumes + 1, NULL, 10);
  if (volume_bytes == 0) fail("No bytes, or no volumes: %s", arguments[2]);
  farewell_length = from_hex(arguments[3], farewell_bytes, sizeof farewell_bytes);
  const char *dropped = getenv("LOAD_DROPS");
  if (dropped != NULL && (dropped_fd = open(dropped, O_RDONLY | O_CLOEXEC)) < 0) fail("%s: %s", dropped, strerror(errno));
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  setvbuf(stdin, NULL, _IONBF, 0);
  struct epoll_event input = { .events = EPOLLIN, .data.ptr = NULL };
  if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &input) != 0) fail("epoll: %s", strerror(errno));
  for (int index = 4; index < count; index++) adopt(arguments[index]);
  char congestion[32] = "none";
  socklen_t size = sizeof congestion - 1;
  if (getsockopt(conns[0]->fd, IPPROTO_TCP, TCP_CONGESTION, congestion, &size) != 0) strcpy(congestion, "none");
  printf("{\"event\":\"ready\",\"congestion\":\"%s\"}\n", congestion);
  fflush(stdout);
  for (uint64_t at_ns = now_ns();;) {
    struct epoll_event events[EVENTS];
    const int ready = epoll_wait(epoll_fd, events, EVENTS, patience(at_ns));
    at_ns = now_ns();
    for (int index = 0; index < ready; index++) {
      struct conn *conn = events[index].data.ptr;
      if (conn == NULL) {
        begin();
        continue;
      }
      if (events[index].events & ~(uint32_t)EPOLLOUT) at_ns = receive(conn);
      flush(conn);
    }
    look_at_time(at_ns);
  }
}
