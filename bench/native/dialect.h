// The interface between the load generator and a protocol: the headers of requests and answers, and the messages that a server sends
// unasked. Connections, depth, order of blocks, data, times and figures are the job of load.c. They are the same for all protocols, so that
// any difference is due to the servers. Invariant: the buffer of a slot does not change between the request and its answer.

#ifndef BENCH_DIALECT_H
#define BENCH_DIALECT_H

#include <stddef.h>
#include <stdint.h>

enum { SLOTS_MAX = 256, REQUEST_HEADER_MAX = 80, ANSWER_HEADER_MAX = 48, TRAILER_MAX = 4, ASIDE_MAX = 65536, SAID_MAX = 256, SAID_RING = 16 };

/** One request. `place`: its buffer, with the header, the data of a write, and the trailer. */
struct slot {
  uint64_t sent_ns;
  uint64_t offset;
  uint32_t length;
  int is_write;
  int is_out;
  uint8_t *place;
};

/** The meaning of a received header. slot -1: the message answers no request, and its body goes to `aside`. */
struct answer {
  int slot;
  /** `body`: length of the body in bytes; `at`: where in the data of the request the body belongs. */
  uint32_t body;
  uint32_t at;
  /** 0: more parts of this answer follow. */
  int is_last;
};

struct piece {
  const uint8_t *bytes;
  size_t length;
};

struct conn {
  int fd;
  /** For RSIO: handle of the first volume, and first slot of this connection. For iSCSI: next CmdSN, and last StatSN. */
  uint32_t word[2];
  uint16_t seq[SLOTS_MAX];
  unsigned pings;
  struct slot slots[SLOTS_MAX];
  unsigned depth;
  // The message that is being received.
  uint8_t header[ANSWER_HEADER_MAX];
  size_t header_fill;
  struct answer answer;
  uint32_t body_left;
  uint32_t body_seen;
  uint8_t aside[ASIDE_MAX];
  // A ring of the pieces that must still be sent.
  struct piece queue[2 * SLOTS_MAX];
  unsigned queue_first, queue_count;
  int waits_to_send;
  uint8_t said[SAID_RING][SAID_MAX];
  unsigned said_next;
};

struct dialect {
  const char *name;
  size_t answer_header;
  /** Writes the header of a request to `to`, and returns its length in bytes. */
  size_t (*request)(struct conn *, unsigned slot, uint8_t *to);
  /** Decodes conn->header into conn->answer. Calls `fail` if the answer is an error, or if the header is no answer. */
  void (*read)(struct conn *);
  /** Called when a message that answers no request is complete in conn->aside. */
  void (*aside)(struct conn *, uint32_t length);
  /** Writes to `to` what follows the data of a WRITE, and returns its length in bytes. NULL: nothing follows the data. */
  size_t (*trailer)(const uint8_t *data, uint32_t length, uint8_t *to);
  /** Writes to `to` the last message before the connection closes, and returns its length in bytes; 0: there is no such message. */
  size_t (*farewell)(struct conn *, uint8_t *to);
};

extern const struct dialect nbd_dialect, rsio_dialect, rsio_digest_dialect, iscsi_dialect, nvme_dialect;
/**
 * Size of each volume. With RSIO, several volumes with consecutive handles can make up the file; otherwise, one volume is the whole file.
 */
extern uint64_t volume_bytes;
/** The BYE of RSIO. The program that opened the connections has encoded it. */
extern uint8_t farewell_bytes[SAID_MAX];
extern size_t farewell_length;

/** Prints the reason as the last event, and ends the process. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/** Queues a copy of the bytes behind everything that is already queued. */
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
