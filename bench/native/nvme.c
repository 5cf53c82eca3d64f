// NVMe/TCP on an I/O queue after its Connect, without digests: Read and Write of blocks of 512 bytes. The data of a write travels in the
// capsule of its command. A read is answered with its data and then with a completion, as Linux asks for it. The command number is the slot.

#include <string.h>

#include "dialect.h"

enum { COMMAND_BYTES = 72, ANSWER_BYTES = 24, BLOCK_BYTES = 512, IN_CAPSULE_MAX = 8192, NSID = 1 };
enum { CAPSULE_COMMAND = 0x04, CAPSULE_ANSWER = 0x05, DATA_TO_HOST = 0x07 };
enum { WRITE = 0x01, READ = 0x02, HAS_SGL = 0x40, SGL_IN_CAPSULE = 0x01, SGL_TRANSPORT = 0x5a };

static void put_little(uint8_t *to, uint64_t value, size_t length) {
  for (size_t at = 0; at < length; at++) to[at] = value >> (8 * at);
}

static uint32_t get_little(const uint8_t *from, size_t length) {
  uint32_t value = 0;
  for (size_t at = length; at > 0; at--) value = value << 8 | from[at - 1];
  return value;
}

static size_t request(struct conn *conn, unsigned slot, uint8_t *to) {
  const struct slot *asked = &conn->slots[slot];
  if (asked->is_write && asked->length > IN_CAPSULE_MAX) fail("A write of %u bytes does not fit into a capsule", asked->length);
  memset(to, 0, COMMAND_BYTES);
  to[0] = CAPSULE_COMMAND;
  to[2] = COMMAND_BYTES;
  if (asked->is_write) to[3] = COMMAND_BYTES;
  put_little(to + 4, COMMAND_BYTES + (asked->is_write ? asked->length : 0), 4);
  uint8_t *command = to + 8;
  command[0] = asked->is_write ? WRITE : READ;
  command[1] = HAS_SGL;
  put_little(command + 2, slot, 2);
  put_little(command + 4, NSID, 4);
  put_little(command + 32, asked->length, 4);
  command[39] = asked->is_write ? SGL_IN_CAPSULE : SGL_TRANSPORT;
  put_little(command + 40, asked->offset / BLOCK_BYTES, 8);
  put_little(command + 48, asked->length / BLOCK_BYTES - 1, 2);
  return COMMAND_BYTES;
}

static void read_pdu(struct conn *conn) {
  const uint8_t *pdu = conn->header;
  if (pdu[0] != DATA_TO_HOST && pdu[0] != CAPSULE_ANSWER) fail("PDU 0x%02x was not to come here", pdu[0]);
  const int is_data = pdu[0] == DATA_TO_HOST;
  const uint32_t slot = get_little(pdu + (is_data ? 8 : 20), 2);
  if (slot >= conn->depth || !conn->slots[slot].is_out) fail("A PDU came for command %u, which is not out", slot);
  if (!is_data) {
    const uint32_t status = get_little(pdu + 22, 2) >> 1;
    if (status != 0) fail("Command %u ended with status 0x%x", slot, status);
    conn->answer = (struct answer){ .slot = (int)slot, .is_last = 1 };
    return;
  }
  const uint32_t at = get_little(pdu + 12, 4), length = get_little(pdu + 16, 4);
  if (pdu[3] != ANSWER_BYTES || at + length > conn->slots[slot].length) fail("Command %u got %u bytes at %u", slot, length, at);
  conn->answer = (struct answer){ .slot = (int)slot, .body = length, .at = at, .is_last = 0 };
}

static void aside(struct conn *conn, uint32_t length) {
  (void)conn;
  (void)length;
}

static size_t farewell(struct conn *conn, uint8_t *to) {
  (void)conn;
  (void)to;
  return 0;
}

const struct dialect nvme_dialect = { "nvme", ANSWER_BYTES, request, read_pdu, aside, NULL, farewell };
