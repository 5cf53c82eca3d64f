// What the load generator must know of a protocol: the header of a request, the header of an answer, and what comes unasked. Connections,
// depth, order of blocks, data, times and figures are load.c's, the same for all protocols, so that a difference is the servers'.
// Invariant: a slot's place is not touched between its request and its answer.

#ifndef BENCH_DIALECT_H
#define BENCH_DIALECT_H

#include <stddef.h>
#include <stdint.h>

enum { SLOTS_MAX = 256, REQUEST_HEADER_MAX = 64, ANSWER_HEADER_MAX = 48, TRAILER_MAX = 4, ASIDE_MAX = 65536, SAID_MAX = 256, SAID_RING = 16 };

/** The place of one request: header, and behind it the data of a write and its trailer. */
struct slot {
  uint64_t sent_ns;
  uint64_t offset;
  uint32_t length;
  int is_write;
  int is_out;
  uint8_t *place;
};

/** What an answer's header says. slot -1: it answers no request, its body goes to `aside`. */
struct answer {
  int slot;
  /** Bytes that follow, and where in the request's data they belong. */
  uint32_t body;
  uint32_t at;
  /** 0: more of this answer comes. */
  int is_last;
};

struct piece {
  const uint8_t *bytes;
  size_t length;
};

struct conn {
  int fd;
  /** Of RSIO: handle of the first volume, first slot that is this connection's. Of iSCSI: next CmdSN, last StatSN. */
  uint32_t word[2];
  uint16_t seq[SLOTS_MAX];
  unsigned pings;
  struct slot slots[SLOTS_MAX];
  unsigned depth;
  // What comes.
  uint8_t header[ANSWER_HEADER_MAX];
  size_t header_fill;
  struct answer answer;
  uint32_t body_left;
  uint32_t body_seen;
  uint8_t aside[ASIDE_MAX];
  // What is to be sent: a ring.
  struct piece queue[2 * SLOTS_MAX];
  unsigned queue_first, queue_count;
  int waits_to_send;
  uint8_t said[SAID_RING][SAID_MAX];
  unsigned said_next;
};

struct dialect {
  const char *name;
  size_t answer_header;
  /** Writes a request's header to `to`; gives its bytes. */
  size_t (*request)(struct conn *, unsigned slot, uint8_t *to);
  /** Reads conn->header into conn->answer; `fail`s when the answer is an error or none. */
  void (*read)(struct conn *);
  /** What came unasked is whole in conn->aside. */
  void (*aside)(struct conn *, uint32_t length);
  /** What follows the data of a write, at `to`; gives its bytes. NULL: nothing does. */
  size_t (*trailer)(const uint8_t *data, uint32_t length, uint8_t *to);
  /** What is said before the connection closes; gives its bytes, 0 for nothing. */
  size_t (*farewell)(struct conn *, uint8_t *to);
};

extern const struct dialect nbd_dialect, rsio_dialect, rsio_digest_dialect, iscsi_dialect;
/** The file in pieces of this size, each a volume of its own: RSIO alone, whose handles follow one another. Else the whole file. */
extern uint64_t volume_bytes;
/** BYE of RSIO, made by who opened the connections. */
extern uint8_t farewell_bytes[SAID_MAX];
extern size_t farewell_length;

/** Says why as the last event, and ends the process. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/** Copies bytes behind all that is queued. */
void say(struct conn *, const uint8_t *bytes, size_t length);

static inline void put16(uint8_t *to, uint32_t value) {
  to[0] = value >> 8;
  to[1] = value;
}

static inline void put32(uint8_t *to, uint32_t value) {
  put16(to, value >> 16);
  put16(to + 2, value);
}

static inline void put64(uint8_t *to, uint64_t value) {
  put32(to, value >> 32);
  put32(to + 4, value);
}

static inline uint32_t get16(const uint8_t *from) {
  return (uint32_t)from[0] << 8 | from[1];
}

static inline uint32_t get32(const uint8_t *from) {
  return get16(from) << 16 | get16(from + 2);
}

static inline uint64_t get64(const uint8_t *from) {
  return (uint64_t)get32(from) << 32 | get32(from + 4);
}

#endif
