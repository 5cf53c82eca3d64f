// The server's side of NBD's fixed newstyle, as far as a measurement needs it: greeting, GO with the size of the one volume, ABORT. Every
// name of an export is accepted, and every other option is refused. After the greeting, the connection takes requests of 28 bytes and
// returns simple replies of 16 bytes.

#ifndef BENCH_NBD_GREETING_H
#define BENCH_NBD_GREETING_H

#include <string.h>
#include <sys/types.h>

#include "dialect.h"

enum { GREETING_BYTES = 18, OPTION_BYTES = 16, OPTION_REPLY_BYTES = 20, EXPORT_BYTES = 12, NAME_MAX_BYTES = 4096 };
enum { OPTION_EXPORT_NAME = 1, OPTION_ABORT = 2, OPTION_GO = 7, REPLY_ACK = 1, REPLY_INFO = 3 };
enum { OPTION_ANSWER_MAX = 2 * OPTION_REPLY_BYTES + EXPORT_BYTES };

/** NBDMAGIC, IHAVEOPT, FIXED_NEWSTYLE. */
static const uint8_t NBD_GREETING[GREETING_BYTES] = "NBDMAGICIHAVEOPT\0\1";

struct nbd_export {
  uint64_t bytes;
  uint16_t flags;
};

static inline size_t put_option_reply(uint8_t *to, uint32_t option, uint32_t type, const uint8_t *data, uint32_t length) {
  static const uint8_t magic[8] = { 0x00, 0x03, 0xe8, 0x89, 0x04, 0x55, 0x65, 0xa9 };
  memcpy(to, magic, sizeof magic);
  put32(to + 8, option);
  put32(to + 12, type);
  put32(to + 16, length);
  memcpy(to + OPTION_REPLY_BYTES, data, length);
  return OPTION_REPLY_BYTES + length;
}

/**
 * Takes one option. Returns the number of bytes used; 0: the option is incomplete; -1: the connection must be closed. `to` has room for
 * OPTION_ANSWER_MAX bytes.
 */
static inline ssize_t take_nbd_option(const struct nbd_export *volume, const uint8_t *at, size_t there, uint8_t *to, size_t *answered, int *serves) {
  *answered = 0;
  if (there < OPTION_BYTES) return 0;
  const uint32_t option = get32(at + 8), length = get32(at + 12);
  if (length > NAME_MAX_BYTES || memcmp(at, "IHAVEOPT", 8) != 0) return -1;
  if (there < OPTION_BYTES + length) return 0;
  uint8_t export[EXPORT_BYTES] = { 0 };
  if (option == OPTION_GO) {
    put64(export + 2, volume->bytes);
    put16(export + 10, volume->flags);
    *answered = put_option_reply(to, option, REPLY_INFO, export, sizeof export);
    *answered += put_option_reply(to + *answered, option, REPLY_ACK, export, 0);
    *serves = 1;
  } else if (option == OPTION_ABORT || option == OPTION_EXPORT_NAME) {
    return -1;
  } else {
    *answered = put_option_reply(to, option, 0x80000001u, export, 0);
  }
  return OPTION_BYTES + (ssize_t)length;
}

#endif
