// CRC-32 as zlib computes it, eight bytes at a time: what the feature `digest` of RSIO puts behind headers and bodies.

#ifndef BENCH_CRC_H
#define BENCH_CRC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { CRC_BYTES = 4, CRC_TABLES = 8 };

static uint32_t crc_tables[CRC_TABLES][256];

__attribute__((constructor)) static void crc_make(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
    crc_tables[0][byte] = value;
  }
  for (int table = 1; table < CRC_TABLES; table++)
    for (uint32_t byte = 0; byte < 256; byte++) {
      const uint32_t before = crc_tables[table - 1][byte];
      crc_tables[table][byte] = before >> 8 ^ crc_tables[0][before & 0xff];
    }
}

/** Works only on little-endian machines, such as those that run the bench. */
static uint32_t crc_of(const uint8_t *bytes, size_t length) {
  uint32_t crc = 0xffffffffu;
  for (; length >= 8; bytes += 8, length -= 8) {
    uint32_t low, high;
    memcpy(&low, bytes, 4);
    memcpy(&high, bytes + 4, 4);
    low ^= crc;
    crc = crc_tables[7][low & 0xff] ^ crc_tables[6][low >> 8 & 0xff] ^ crc_tables[5][low >> 16 & 0xff] ^ crc_tables[4][low >> 24] ^
          crc_tables[3][high & 0xff] ^ crc_tables[2][high >> 8 & 0xff] ^ crc_tables[1][high >> 16 & 0xff] ^ crc_tables[0][high >> 24];
  }
  while (length-- > 0) crc = crc >> 8 ^ crc_tables[0][(crc ^ *bytes++) & 0xff];
  return ~crc;
}

#endif
