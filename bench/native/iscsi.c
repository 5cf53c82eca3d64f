// iSCSI after login, one connection for each session: READ(16) and WRITE(16) of blocks of 512 bytes in PDUs of 48 bytes. The data of a
// write travels with its command; the login has made sure that the target accepts this much data. The task tag is the slot.

#include <string.h>

#include "dialect.h"

enum { PDU_BYTES = 48, BLOCK_BYTES = 512, LUN = 1 };
enum { COMMAND = 0x01, NOP_OUT = 0x40, NOP_IN = 0x20, RESPONSE = 0x21, DATA_IN = 0x25, OPCODE = 0x3f };
enum { FINAL = 0x80, READS = 0x40, WRITES = 0x20, SIMPLE = 0x01, HAS_STATUS = 0x01, READ_16 = 0x88, WRITE_16 = 0x8a };

#define NO_TAG 0xffffffffu

static size_t request(struct conn *conn, unsigned slot, uint8_t *to) {
  const struct slot *asked = &conn->slots[slot];
  memset(to, 0, PDU_BYTES);
  to[0] = COMMAND;
  to[1] = FINAL | SIMPLE | (asked->is_write ? WRITES : READS);
  if (asked->is_write) {
    to[5] = asked->length >> 16;
    put16(to + 6, asked->length);
  }
  to[9] = LUN;
  put32(to + 16, slot);
  put32(to + 20, asked->length);
  put32(to + 24, conn->word[0]++);
  put32(to + 28, conn->word[1] + 1);
  to[32] = asked->is_write ? WRITE_16 : READ_16;
  put64(to + 34, asked->offset / BLOCK_BYTES);
  put32(to + 42, asked->length / BLOCK_BYTES);
  return PDU_BYTES;
}

static void read_pdu(struct conn *conn) {
  const uint8_t *pdu = conn->header;
  const uint8_t opcode = pdu[0] & OPCODE;
  const uint32_t data = (uint32_t)pdu[5] << 16 | get16(pdu + 6), body = (data + 3) & ~3u, slot = get32(pdu + 16);
  if (opcode == NOP_IN) {
    conn->answer = (struct answer){ .slot = -1, .body = body, .is_last = 1 };
    if (body > ASIDE_MAX) fail("A NOP-In of %u bytes came", body);
    return;
  }
  if (opcode != DATA_IN && opcode != RESPONSE) fail("PDU 0x%02x was not to come here", opcode);
  if (slot >= conn->depth || !conn->slots[slot].is_out) fail("A PDU came for task %u, which is not out", slot);
  const int has_status = opcode == RESPONSE || (pdu[1] & HAS_STATUS) != 0;
  if (has_status) {
    conn->word[1] = get32(pdu + 24);
    if (pdu[3] != 0 || (opcode == RESPONSE && pdu[2] != 0)) fail("Task %u ended with SCSI status 0x%02x", slot, pdu[3]);
  }
  const uint32_t at = opcode == DATA_IN ? get32(pdu + 40) : 0;
  if (body != data || at + body > conn->slots[slot].length) fail("A PDU of task %u has %u bytes at %u", slot, data, at);
  conn->answer = (struct answer){ .slot = (int)slot, .body = body, .at = at, .is_last = has_status };
}

/** NOP-In is the only message that answers no request. It is a ping if it has a tag. */
static void aside(struct conn *conn, uint32_t length) {
  uint8_t pdu[PDU_BYTES] = { NOP_OUT, FINAL };
  (void)length;
  if (get32(conn->header + 20) == NO_TAG) return;
  memcpy(pdu + 8, conn->header + 8, 8);
  put32(pdu + 16, NO_TAG);
  memcpy(pdu + 20, conn->header + 20, 4);
  put32(pdu + 24, conn->word[0]);
  put32(pdu + 28, conn->word[1] + 1);
  say(conn, pdu, sizeof pdu);
}

static size_t farewell(struct conn *conn, uint8_t *to) {
  (void)conn;
  (void)to;
  return 0;
}

const struct dialect iscsi_dialect = { "iscsi", PDU_BYTES, request, read_pdu, aside, NULL, farewell };
