// RSIO after WELCOME and OPEN (docs/PROTOCOL.md). Each I/O frame uses a slot, whose seq grows by one with each use. PINGs are answered, so
// that the server keeps the path. There is no trunk: nothing is sent a second time. With the feature `digest`, a CRC-32 follows each header
// and each body. The CRCs of received frames are not checked.

#include <string.h>

#include "crc.h"
#include "dialect.h"

enum { HEADER_BYTES = 16, SECTOR_BYTES = 512 };
enum { BYE = 0x06, REFUSE = 0x05, PING = 0x10, PONG = 0x11, NOTIFY = 0x14, READ = 0x30, WRITE = 0x31, ANSWER = 0x80 };
enum { HEARTBEAT_FIELDS = 5 };

/** Returns sector and count of a request within its volume, in the form that the header has. */
static uint64_t place_of(const struct slot *asked) {
  return asked->offset % volume_bytes / SECTOR_BYTES << 16 | asked->length / SECTOR_BYTES;
}

static size_t request(struct conn *conn, unsigned index, uint8_t *to) {
  const struct slot *asked = &conn->slots[index];
  to[0] = asked->is_write ? WRITE : READ;
  to[1] = 0;
  put16(to + 2, conn->word[0] + asked->offset / volume_bytes);
  put16(to + 4, conn->word[1] + index);
  put16(to + 6, ++conn->seq[index]);
  put64(to + 8, place_of(asked));
  return HEADER_BYTES;
}

static size_t sealed_request(struct conn *conn, unsigned index, uint8_t *to) {
  const size_t length = request(conn, index, to);
  put32(to + length, crc_of(to, length));
  return length + CRC_BYTES;
}

static size_t seal(const uint8_t *data, uint32_t length, uint8_t *to) {
  put32(to, crc_of(data, length));
  return CRC_BYTES;
}

static void read_answer(struct conn *conn) {
  const uint8_t *header = conn->header;
  const uint8_t op = header[0];
  if (op != (READ | ANSWER) && op != (WRITE | ANSWER)) {
    conn->answer = (struct answer){ .slot = -1, .body = get32(header + 8), .is_last = 1 };
    if (op & ANSWER || conn->answer.body > ASIDE_MAX) fail("Frame 0x%02x of %u bytes was not to come here", op, conn->answer.body);
    return;
  }
  const uint32_t status = get16(header + 2), index = get16(header + 4) - conn->word[1];
  const uint64_t where = get64(header + 8);
  if (index >= conn->depth || !conn->slots[index].is_out) fail("An answer came for slot %u, which owes none", get16(header + 4));
  const struct slot *asked = &conn->slots[index];
  if (status != 0) fail("Frame 0x%02x of sector %llu was answered with status %u", op, (unsigned long long)(where >> 16), status);
  if (get16(header + 6) != conn->seq[index] || (op == (WRITE | ANSWER)) != asked->is_write ||
      where != place_of(asked))
    fail("The answer in slot %u is to another request", get16(header + 4));
  conn->answer = (struct answer){ .slot = (int)index, .body = asked->is_write ? 0 : asked->length, .is_last = 1 };
}

static void read_sealed_answer(struct conn *conn) {
  read_answer(conn);
  if (conn->answer.body > 0) conn->answer.body += CRC_BYTES;
}

/** Returns the length in bytes of the MessagePack number at `at`; 0: there is no number at `at`. */
static size_t number_bytes(const uint8_t *at) {
  if (*at <= 0x7f) return 1;
  switch (*at) {
  case 0xcc: return 2;
  case 0xcd: return 3;
  case 0xca: case 0xce: return 5;
  case 0xcb: case 0xcf: return 9;
  default: return 0;
  }
}

/** Answers a PING. The PONG repeats number and clock, and contains how many PINGs were received. A client sends 0 in the other fields. */
static void pong(struct conn *conn, const uint8_t *body, uint32_t length, int is_sealed) {
  uint8_t frame[SAID_MAX] = { PONG };
  uint32_t at = 1, filled = HEADER_BYTES;
  if (length < 2 || length > SAID_MAX - HEADER_BYTES - 16 || body[0] != (0x80 | HEARTBEAT_FIELDS)) fail("A PING could not be read");
  frame[filled++] = body[0];
  for (int field = 0; field < HEARTBEAT_FIELDS; field++) {
    if (at >= length || (body[at] & 0xe0) != 0xa0) fail("A PING could not be read");
    const uint32_t key_bytes = body[at] & 0x1f;
    const uint8_t *key = body + at + 1, *value = key + key_bytes;
    if (value >= body + length) fail("A PING could not be read");
    const size_t value_bytes = number_bytes(value);
    if (value_bytes == 0 || value + value_bytes > body + length) fail("A PING could not be read");
    memcpy(frame + filled, body + at, 1 + key_bytes);
    filled += 1 + key_bytes;
    if ((key_bytes == 6 && memcmp(key, "number", 6) == 0) || (key_bytes == 7 && memcmp(key, "clockMs", 7) == 0)) {
      memcpy(frame + filled, value, value_bytes);
      filled += value_bytes;
    } else if (key_bytes == 5 && memcmp(key, "heard", 5) == 0) {
      frame[filled] = 0xce;
      put32(frame + filled + 1, conn->pings);
      filled += 5;
    } else {
      frame[filled++] = 0;
    }
    at += 1 + key_bytes + value_bytes;
  }
  put32(frame + 8, filled - HEADER_BYTES);
  if (!is_sealed) {
    say(conn, frame, filled);
    return;
  }
  uint8_t sealed[SAID_MAX];
  memcpy(sealed, frame, HEADER_BYTES);
  put32(sealed + HEADER_BYTES, crc_of(frame, HEADER_BYTES));
  memcpy(sealed + HEADER_BYTES + CRC_BYTES, frame + HEADER_BYTES, filled - HEADER_BYTES);
  put32(sealed + filled + CRC_BYTES, crc_of(frame + HEADER_BYTES, filled - HEADER_BYTES));
  say(conn, sealed, filled + 2 * CRC_BYTES);
}

static void take_aside(struct conn *conn, uint32_t length, int is_sealed) {
  switch (conn->header[0]) {
  case PING:
    conn->pings++;
    pong(conn, conn->aside, length, is_sealed);
    return;
  case NOTIFY:
    return;
  case BYE:
  case REFUSE:
    fail("The server ended the path: %.*s", (int)length, (const char *)conn->aside);
  default:
    fail("Frame 0x%02x was not to come here", conn->header[0]);
  }
}

static void aside(struct conn *conn, uint32_t length) {
  take_aside(conn, length, 0);
}

static void sealed_aside(struct conn *conn, uint32_t length) {
  take_aside(conn, length < CRC_BYTES ? 0 : length - CRC_BYTES, 1);
}

static size_t farewell(struct conn *conn, uint8_t *to) {
  (void)conn;
  memcpy(to, farewell_bytes, farewell_length);
  return farewell_length;
}

const struct dialect rsio_dialect = { "rsio", HEADER_BYTES, request, read_answer, aside, NULL, farewell };
const struct dialect rsio_digest_dialect = {
  "rsio-digest", HEADER_BYTES + CRC_BYTES, sealed_request, read_sealed_answer, sealed_aside, seal, farewell
};
