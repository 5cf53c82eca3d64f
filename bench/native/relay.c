// A client that only forwards: the limit with which rsiod is compared. Like rsiod, it takes NBD requests at a Unix socket. It forwards them
// over one connection whose handshake is complete, with RSIO to rssrv or with NBD to any NBD server. It has one thread with one epoll loop.
//   relay (nbd | rsio) VOLUME-BYTES FAREWELL-HEX DESCRIPTOR:WORD:WORD:EARLY-BYTES-HEX SOCKET-PATH
// It rewrites headers in place and sends data from the buffer into which the data was received, so it copies none. One send carries all
// that one receive has brought. It has no replay log, no second path, no checks, no order of writes and no statistics. Any failure ends it.
// It prints `ready` when it listens, and ends at the end of standard input. Invariant: a frame on the connection is sent completely before
// the next frame begins.

#define _GNU_SOURCE

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "nbd-greeting.h"

enum { REQUEST_BYTES = 28, REPLY_BYTES = 16, INPUT_BYTES = 256 * 1024, WHOLE_MAX = 64 * 1024, HEADS_BYTES = 16 * 1024, EVENTS = 64 };
enum { REQUEST_MAGIC = 0x25609513, REPLY_MAGIC = 0x67446698, READ = 0, WRITE = 1, DISCONNECT = 2 };
/** HAS_FLAGS, CAN_MULTI_CONN */
enum { EXPORT_FLAGS = 1 << 0 | 1 << 8 };

/** A connection of NBD. */
struct door {
  int fd;
  enum { GREETED, CHOOSING, SERVING } stage;
  size_t start, end;
  uint8_t input[INPUT_BYTES];
};

uint8_t farewell_bytes[SAID_MAX];
size_t farewell_length;
uint64_t volume_bytes;

static const struct dialect *dialect;
static struct conn server;
static struct { struct door *door; uint8_t cookie[8]; } asked[SLOTS_MAX];
static unsigned free_slots[SLOTS_MAX], free_count;
static uint8_t answers[INPUT_BYTES];
static size_t answers_end;
/** Headers of READs, one behind the other. */
static uint8_t heads[HEADS_BYTES];
static size_t heads_end;
static struct iovec pieces[SLOTS_MAX + SAID_RING];
static unsigned piece_count;
static int epoll_fd, listener;

void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("relay: ", stderr);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(1);
}

static void await(int fd, short events) {
  struct pollfd one = { .fd = fd, .events = events };
  if (poll(&one, 1, -1) < 0 && errno != EINTR) fail("poll: %s", strerror(errno));
}

// --- from the server to the doors

/** Sends bytes to a door. If the door closes, its answers are lost. */
static void send_to_door(struct door *door, const uint8_t *bytes, size_t length) {
  while (length > 0 && door != NULL) {
    const ssize_t sent = send(door->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) await(door->fd, POLLOUT);
    else if (sent < 0 && errno != EINTR) return;
    if (sent <= 0) continue;
    bytes += sent;
    length -= (size_t)sent;
  }
}

/** Rewrites the header at `at` as a header of NBD. Returns the door to which the answer belongs; NULL: it belongs to no door. */
static struct door *take_header(uint8_t *at) {
  memcpy(server.header, at, dialect->answer_header);
  dialect->read(&server);
  server.body_left = server.answer.body;
  server.body_seen = 0;
  if (server.answer.slot < 0) return NULL;
  put32(at, REPLY_MAGIC);
  put32(at + 4, 0);
  memcpy(at + 8, asked[server.answer.slot].cookie, 8);
  return asked[server.answer.slot].door;
}

static void body_done(void) {
  if (server.answer.slot < 0) {
    dialect->aside(&server, server.answer.body);
    return;
  }
  server.slots[server.answer.slot].is_out = 0;
  free_slots[free_count++] = (unsigned)server.answer.slot;
}

/** Sends the received answers to their doors. Consecutive answers for the same door leave in one call. */
static void take_answers(void) {
  static struct door *door;
  uint8_t *at = answers, *run = answers;
  uint8_t *const end = answers + answers_end;
  for (;;) {
    if (server.body_left > 0) {
      if (at == end) break;
      const size_t there = (size_t)(end - at);
      const uint32_t part = there < server.body_left ? (uint32_t)there : server.body_left;
      if (server.answer.slot < 0) memcpy(server.aside + server.body_seen, at, part);
      server.body_left -= part;
      server.body_seen += part;
      at += part;
    } else {
      if ((size_t)(end - at) < dialect->answer_header) break;
      struct door *const next = take_header(at);
      if (next != door) {
        send_to_door(door, run, (size_t)(at - run));
        run = at;
        door = next;
      }
      at += dialect->answer_header;
    }
    if (server.body_left == 0) body_done();
  }
  send_to_door(door, run, (size_t)(at - run));
  answers_end = (size_t)(end - at);
  memmove(answers, at, answers_end);
}

static void receive_answers(void) {
  const ssize_t length = recv(server.fd, answers + answers_end, sizeof answers - answers_end, MSG_DONTWAIT);
  if (length == 0) fail("The server closed the connection: see its log");
  if (length < 0 && errno != EAGAIN && errno != EINTR) fail("The connection broke: %s", strerror(errno));
  if (length <= 0) return;
  answers_end += (size_t)length;
  take_answers();
}

// --- from the doors to the server

static void add_piece(uint8_t *bytes, size_t length) {
  struct iovec *const last = piece_count > 0 ? &pieces[piece_count - 1] : NULL;
  if (last != NULL && (uint8_t *)last->iov_base + last->iov_len == bytes) last->iov_len += length;
  else pieces[piece_count++] = (struct iovec){ bytes, length };
}

/**
 * Sends the queued pieces. While the server accepts no data, the relay receives answers, because the server may wait until its answers are
 * received.
 */
static void send_pieces(void) {
  for (unsigned first = 0; first < piece_count;) {
    const struct msghdr message = { .msg_iov = pieces + first, .msg_iovlen = piece_count - first };
    const ssize_t sent = sendmsg(server.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN) {
        await(server.fd, POLLIN | POLLOUT);
        receive_answers();
      } else if (errno != EINTR) {
        fail("The connection broke: %s", strerror(errno));
      }
      continue;
    }
    size_t left = (size_t)sent;
    for (; first < piece_count && left >= pieces[first].iov_len; first++) left -= pieces[first].iov_len;
    if (left == 0) continue;
    pieces[first].iov_base = (uint8_t *)pieces[first].iov_base + left;
    pieces[first].iov_len -= left;
  }
  piece_count = 0;
  heads_end = 0;
}

/** Queues a message that is no request, such as a PONG. It is sent when no frame is half sent. */
void say(struct conn *conn, const uint8_t *bytes, size_t length) {
  if (conn->queue_count == SAID_RING) fail("The server asks too often");
  uint8_t *const copy = conn->said[conn->queue_count];
  memcpy(copy, bytes, length);
  conn->queue[conn->queue_count++] = (struct piece){ copy, length };
}

static void send_said(void) {
  for (unsigned index = 0; index < server.queue_count; index++) add_piece((uint8_t *)server.queue[index].bytes, server.queue[index].length);
  server.queue_count = 0;
  send_pieces();
}

/** Rewrites the request at `at` for the server, and queues it together with the part of its data that has arrived. */
static void forward(struct door *door, uint8_t *at, size_t data) {
  if (free_count == 0) fail("More than %d requests are in flight", SLOTS_MAX);
  const unsigned index = free_slots[--free_count];
  struct slot *const slot = &server.slots[index];
  *slot = (struct slot){ .offset = get64(at + 16), .length = get32(at + 24), .is_write = get16(at + 6) == WRITE, .is_out = 1 };
  asked[index].door = door;
  memcpy(asked[index].cookie, at + 8, 8);
  uint8_t header[REQUEST_HEADER_MAX];
  const size_t header_bytes = dialect->request(&server, index, header);
  if (slot->is_write) {
    uint8_t *const start = at + REQUEST_BYTES - header_bytes;
    memcpy(start, header, header_bytes);
    add_piece(start, header_bytes + data);
    return;
  }
  memcpy(heads + heads_end, header, header_bytes);
  add_piece(heads + heads_end, header_bytes);
  heads_end += header_bytes;
}

/** Forwards the rest of a large write, while other requests wait. */
static void stream(struct door *door, size_t left) {
  send_pieces();
  while (left > 0) {
    const ssize_t length = recv(door->fd, door->input, left < INPUT_BYTES ? left : INPUT_BYTES, 0);
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) fail("A write broke off");
    add_piece(door->input, (size_t)length);
    send_pieces();
    left -= (size_t)length;
  }
  door->start = door->end = 0;
}

/** Returns 0 if the connection must be closed. */
static int take_requests(struct door *door) {
  int is_open = 1;
  while (door->end - door->start >= REQUEST_BYTES) {
    uint8_t *const at = door->input + door->start;
    const uint32_t type = get16(at + 6), length = get32(at + 24);
    if (get32(at) != REQUEST_MAGIC || type > WRITE || get64(at + 16) + length > volume_bytes) {
      if (get32(at) != REQUEST_MAGIC || type != DISCONNECT) fail("A request came that is not forwarded: %u", type);
      is_open = 0;
      break;
    }
    const size_t data = type == WRITE ? length : 0, there = door->end - door->start - REQUEST_BYTES;
    if (there < data && data <= WHOLE_MAX) break;
    const size_t part = there < data ? there : data;
    forward(door, at, part);
    door->start += REQUEST_BYTES + part;
    if (part < data) stream(door, data - part);
  }
  send_pieces();
  return is_open;
}

/** Returns 0 if the connection must be closed. */
static int take_options(struct door *door) {
  if (door->stage == GREETED && door->end >= 4) {
    door->start = 4;
    door->stage = CHOOSING;
  }
  const struct nbd_export volume = { .bytes = volume_bytes, .flags = EXPORT_FLAGS };
  while (door->stage == CHOOSING) {
    uint8_t answer[OPTION_ANSWER_MAX];
    size_t answered;
    int serves = 0;
    const ssize_t used = take_nbd_option(&volume, door->input + door->start, door->end - door->start, answer, &answered, &serves);
    if (used < 0) return 0;
    if (used == 0) break;
    door->start += (size_t)used;
    send_to_door(door, answer, answered);
    if (serves) door->stage = SERVING;
  }
  return 1;
}

/** Returns 0 if the connection must be closed. */
static int serve(struct door *door) {
  const ssize_t length = recv(door->fd, door->input + door->end, INPUT_BYTES - door->end, MSG_DONTWAIT);
  if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR)) return 0;
  if (length > 0) door->end += (size_t)length;
  if (door->stage != SERVING && !take_options(door)) return 0;
  if (door->stage == SERVING && !take_requests(door)) return 0;
  if (door->start > 0) memmove(door->input, door->input + door->start, door->end - door->start);
  door->end -= door->start;
  door->start = 0;
  return 1;
}

static void shut(struct door *door) {
  for (unsigned index = 0; index < SLOTS_MAX; index++)
    if (asked[index].door == door && server.slots[index].is_out) fail("A connection was closed before its requests were answered");
  close(door->fd);
  free(door);
}

// --- the loop

static void watch(int fd, void *what) {
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = what };
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl: %s", strerror(errno));
}

static void accept_door(void) {
  const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  struct door *const door = calloc(1, sizeof *door);
  if (fd < 0 || door == NULL || send(fd, NBD_GREETING, GREETING_BYTES, MSG_NOSIGNAL) != GREETING_BYTES) fail("accept: %s", strerror(errno));
  door->fd = fd;
  watch(fd, door);
}

static void end(void) {
  uint8_t bytes[SAID_MAX];
  const size_t length = dialect->farewell(&server, bytes);
  add_piece(bytes, length);
  send_pieces();
  exit(0);
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

static void adopt(const char *text) {
  int parsed = 0;
  if (sscanf(text, "%d:%u:%u:%n", &server.fd, &server.word[0], &server.word[1], &parsed) != 3 || parsed == 0) fail("No connection: %s", text);
  server.depth = SLOTS_MAX;
  for (unsigned index = SLOTS_MAX; index > 0; index--) free_slots[free_count++] = index - 1;
  watch(server.fd, &server);
  answers_end = from_hex(text + parsed, answers, sizeof answers);
  take_answers();
}

static void listen_at(const char *path) {
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  if (strlen(path) >= sizeof address.sun_path) fail("The path is too long: %s", path);
  strcpy(address.sun_path, path);
  listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, EVENTS) != 0)
    fail("%s: %s", path, strerror(errno));
  watch(listener, &listener);
  printf("ready\n");
  fflush(stdout);
}

int main(int count, char **arguments) {
  const struct dialect *const dialects[] = { &nbd_dialect, &rsio_dialect };
  for (unsigned index = 0; count == 6 && index < sizeof dialects / sizeof dialects[0]; index++)
    if (strcmp(arguments[1], dialects[index]->name) == 0) dialect = dialects[index];
  if (dialect == NULL) {
    fprintf(stderr, "Usage: relay (nbd | rsio) VOLUME-BYTES FAREWELL-HEX CONNECTION SOCKET-PATH\n");
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  volume_bytes = strtoull(arguments[2], NULL, 10);
  farewell_length = from_hex(arguments[3], farewell_bytes, sizeof farewell_bytes);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  watch(STDIN_FILENO, NULL);
  adopt(arguments[4]);
  listen_at(arguments[5]);
  for (;;) {
    struct epoll_event events[EVENTS];
    const int ready = epoll_wait(epoll_fd, events, EVENTS, -1);
    for (int index = 0; index < ready; index++) {
      void *const what = events[index].data.ptr;
      if (what == NULL) end();
      else if (what == &server) receive_answers();
      else if (what == &listener) accept_door();
      else if (!serve(what)) shut(what);
    }
    if (server.queue_count > 0) send_said();
  }
}
