// NBD after its handshake: requests of 28 bytes, simple replies of 16. The cookie is the slot.

#include "dialect.h"

enum { REQUEST_BYTES = 28, REPLY_BYTES = 16 };
enum { REQUEST_MAGIC = 0x25609513, REPLY_MAGIC = 0x67446698 };
enum { READ = 0, WRITE = 1, DISCONNECT = 2 };

static size_t request(struct conn *conn, unsigned slot, uint8_t *to) {
  const struct slot *asked = &conn->slots[slot];
  put32(to, REQUEST_MAGIC);
  put32(to + 4, asked->is_write ? WRITE : READ);
  put64(to + 8, slot);
  put64(to + 16, asked->offset);
  put32(to + 24, asked->length);
  return REQUEST_BYTES;
}

static void read_reply(struct conn *conn) {
  const uint64_t slot = get64(conn->header + 8);
  const uint32_t error = get32(conn->header + 4);
  if (get32(conn->header) != REPLY_MAGIC || slot >= conn->depth || !conn->slots[slot].is_out) fail("No simple reply to a request came");
  if (error != 0) fail("The server answered with NBD error %u", error);
  conn->answer = (struct answer){ .slot = (int)slot, .body = conn->slots[slot].is_write ? 0 : conn->slots[slot].length, .is_last = 1 };
}

static void aside(struct conn *conn, uint32_t length) {
  (void)conn;
  (void)length;
}

static size_t farewell(struct conn *conn, uint8_t *to) {
  (void)conn;
  put32(to, REQUEST_MAGIC);
  put32(to + 4, DISCONNECT);
  put64(to + 8, 0);
  put64(to + 16, 0);
  put32(to + 24, 0);
  return REQUEST_BYTES;
}

const struct dialect nbd_dialect = { "nbd", REPLY_BYTES, request, read_reply, aside, NULL, farewell };
