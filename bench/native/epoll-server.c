// An NBD server that does as little as possible: the upper limit with which servers are compared. It serves one file in one process with
// one epoll loop. It reads from the file directly into the output buffer, and writes to the file directly from the input buffer. It knows
// no rights, and checks requests only for its own safety. `epoll-server ADDRESS PORT FILE`. Use it only for measurements.

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "nbd-greeting.h"

enum { INPUT_BYTES = 256 * 1024, OUTPUT_BYTES = 256 * 1024, REQUEST_BYTES = 28, REPLY_BYTES = 16 };
enum { REQUEST_MAGIC = 0x25609513, REPLY_MAGIC = 0x67446698, READ = 0, WRITE = 1, DISCONNECT = 2, FLUSH = 3 };
enum { EINVAL_OF_NBD = 22, EIO_OF_NBD = 5 };
/** HAS_FLAGS, SEND_FLUSH, CAN_MULTI_CONN */
enum { EXPORT_FLAGS = 1 << 0 | 1 << 2 | 1 << 8 };

struct peer {
  int fd;
  enum { GREETED, CHOOSING, SERVING } stage;
  uint8_t input[INPUT_BYTES];
  size_t input_start, input_end;
  uint8_t output[OUTPUT_BYTES];
  size_t output_start, output_end;
  /** The request whose data is being sent or received. */
  uint64_t data_offset;
  uint32_t data_left;
  int is_writing;
  uint32_t error;
  uint8_t cookie[8];
  int waits_to_send;
};

static int file, epoll_fd;
static uint64_t file_bytes;

static void die(const char *what) {
  fprintf(stderr, "epoll-server: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void watch(struct peer *peer, int op, uint32_t events) {
  struct epoll_event event = { .events = events, .data.ptr = peer };
  if (epoll_ctl(epoll_fd, op, peer->fd, &event) != 0) die("epoll_ctl");
}

static size_t room(const struct peer *peer) {
  return OUTPUT_BYTES - peer->output_end;
}

/** Returns 0 if the connection is gone. */
static int send_output(struct peer *peer) {
  while (peer->output_start < peer->output_end) {
    const ssize_t sent = send(peer->fd, peer->output + peer->output_start, peer->output_end - peer->output_start, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    peer->output_start += (size_t)sent;
  }
  peer->output_start = peer->output_end = 0;
  return 1;
}

static void put_reply(struct peer *peer, uint32_t error) {
  uint8_t *to = peer->output + peer->output_end;
  put32(to, REPLY_MAGIC);
  put32(to + 4, error);
  memcpy(to + 8, peer->cookie, 8);
  peer->output_end += REPLY_BYTES;
}

/** Takes one option. Returns the number of bytes used; 0: the option is incomplete; -1: the connection must be closed. */
static ssize_t take_option(struct peer *peer, const uint8_t *at, size_t there) {
  const struct nbd_export volume = { .bytes = file_bytes, .flags = EXPORT_FLAGS };
  size_t answered;
  int serves = 0;
  const ssize_t used = take_nbd_option(&volume, at, there, peer->output + peer->output_end, &answered, &serves);
  peer->output_end += answered;
  if (serves) peer->stage = SERVING;
  return used;
}

/** Continues a read as far as the output buffer has room. */
static int read_on(struct peer *peer) {
  while (peer->data_left > 0) {
    if (room(peer) == 0) return 0;
    const size_t part = peer->data_left < room(peer) ? peer->data_left : room(peer);
    // A reply that has begun cannot become an error any more.
    if (pread(file, peer->output + peer->output_end, part, (off_t)peer->data_offset) != (ssize_t)part) die("read");
    peer->output_end += part;
    peer->data_offset += part;
    peer->data_left -= (uint32_t)part;
  }
  return 1;
}

static void write_on(struct peer *peer) {
  const size_t there = peer->input_end - peer->input_start;
  const size_t part = there < peer->data_left ? there : peer->data_left;
  if (peer->error == 0 && pwrite(file, peer->input + peer->input_start, part, (off_t)peer->data_offset) != (ssize_t)part)
    peer->error = EIO_OF_NBD;
  peer->input_start += part;
  peer->data_offset += part;
  peer->data_left -= (uint32_t)part;
}

/** Serves one request, or a part of it. Returns 0 if the request must wait for input or for room; -1: the connection must be closed. */
static int serve_one(struct peer *peer) {
  if (peer->is_writing) {
    if (peer->data_left > 0) {
      if (peer->input_start == peer->input_end) return 0;
      write_on(peer);
      if (peer->data_left > 0) return 0;
    }
    if (room(peer) < REPLY_BYTES) return 0;
    put_reply(peer, peer->error);
    peer->is_writing = 0;
    return 1;
  }
  if (peer->data_left > 0) return read_on(peer);
  const uint8_t *at = peer->input + peer->input_start;
  if (peer->input_end - peer->input_start < REQUEST_BYTES || room(peer) < REPLY_BYTES) return 0;
  const uint32_t type = get16(at + 6), length = get32(at + 24);
  const uint64_t offset = get64(at + 16);
  if (get32(at) != REQUEST_MAGIC || type == DISCONNECT) return -1;
  memcpy(peer->cookie, at + 8, 8);
  peer->input_start += REQUEST_BYTES;
  peer->error = offset > file_bytes || length > file_bytes - offset ? EINVAL_OF_NBD : 0;
  peer->data_offset = offset;
  if (type == WRITE) {
    peer->is_writing = 1;
    peer->data_left = length;
  } else if (type == FLUSH) {
    put_reply(peer, fdatasync(file) == 0 ? 0 : EIO_OF_NBD);
  } else {
    put_reply(peer, type == READ ? peer->error : EINVAL_OF_NBD);
    if (type == READ && peer->error == 0) peer->data_left = length;
  }
  return 1;
}

/** Returns 0 if the connection must be closed. */
static int serve(struct peer *peer) {
  for (;;) {
    int more = 1;
    while (more > 0 && peer->stage == SERVING) more = serve_one(peer);
    while (more > 0 && peer->stage != SERVING) {
      const size_t there = peer->input_end - peer->input_start;
      if (peer->stage == GREETED) {
        if (there < 4) break;
        peer->input_start += 4;
        peer->stage = CHOOSING;
        continue;
      }
      const ssize_t used = take_option(peer, peer->input + peer->input_start, there);
      if (used < 0) return 0;
      if (used == 0) break;
      peer->input_start += (size_t)used;
    }
    if (more < 0) return 0;
    const int was_full = room(peer) < REPLY_BYTES || (!peer->is_writing && peer->data_left > 0);
    if (!send_output(peer)) return 0;
    if (peer->output_end > 0 || !was_full) break;
  }
  const size_t rest = peer->input_end - peer->input_start;
  if (peer->input_start > 0) memmove(peer->input, peer->input + peer->input_start, rest);
  peer->input_start = 0;
  peer->input_end = rest;
  const int waits = peer->output_end > 0;
  // While answers wait to be sent, no further requests are received.
  if (waits != peer->waits_to_send) watch(peer, EPOLL_CTL_MOD, waits ? EPOLLOUT : EPOLLIN);
  peer->waits_to_send = waits;
  return 1;
}

static int handle(struct peer *peer, uint32_t events) {
  if (events & EPOLLOUT) {
    if (!send_output(peer)) return 0;
  } else {
    const ssize_t length = recv(peer->fd, peer->input + peer->input_end, INPUT_BYTES - peer->input_end, MSG_DONTWAIT);
    if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR)) return 0;
    if (length > 0) peer->input_end += (size_t)length;
  }
  return serve(peer);
}

static void accept_peer(int listener) {
  const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) return;
  const int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  struct peer *peer = calloc(1, sizeof *peer);
  if (peer == NULL || send(fd, NBD_GREETING, GREETING_BYTES, MSG_NOSIGNAL) != GREETING_BYTES) {
    free(peer);
    close(fd);
    return;
  }
  peer->fd = fd;
  watch(peer, EPOLL_CTL_ADD, EPOLLIN);
}

int main(int count, char **arguments) {
  struct sockaddr_in address = { .sin_family = AF_INET };
  struct stat about;
  if (count != 4 || inet_pton(AF_INET, arguments[1], &address.sin_addr) != 1) {
    fprintf(stderr, "Usage: epoll-server ADDRESS PORT FILE\n");
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  address.sin_port = htons((uint16_t)atoi(arguments[2]));
  file = open(arguments[3], O_RDWR);
  if (file < 0 || fstat(file, &about) != 0) die(arguments[3]);
  file_bytes = (uint64_t)about.st_size;
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 64) != 0) die("listen");
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
  if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) != 0) die("epoll");
  for (;;) {
    struct epoll_event events[64];
    const int ready = epoll_wait(epoll_fd, events, 64, -1);
    for (int index = 0; index < ready; index++) {
      struct peer *peer = events[index].data.ptr;
      if (peer == NULL) accept_peer(listener);
      else if (!handle(peer, events[index].events)) {
        close(peer->fd);
        free(peer);
      }
    }
  }
}
