// The content of the data file. The content can be computed, so that every byte that was read is checked without the file. Each block of 4
// KiB begins with its number. The other bytes are the same in all blocks, and no sequence of them repeats within a block. A write carries
// the content that its blocks already have.

#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H

#include <stdint.h>
#include <string.h>

#include "dialect.h"

enum { PATTERN_BYTES = 4096, MARK_BYTES = 8 };

static uint8_t pattern[PATTERN_BYTES];

static void pattern_make(void) {
  uint32_t word = 0x2545f491;
  for (unsigned at = 0; at < PATTERN_BYTES; at += 4) {
    word ^= word << 13;
    word ^= word >> 17;
    word ^= word << 5;
    put32(pattern + at, word);
  }
}

/** Writes the number of each block to `to`, which already has the other bytes of the blocks. `offset` and `length` are whole blocks. */
static inline void pattern_mark(uint8_t *to, uint64_t offset, uint32_t length) {
  for (uint32_t at = 0; at < length; at += PATTERN_BYTES) put64(to + at, (offset + at) / PATTERN_BYTES);
}

static inline void pattern_fill(uint8_t *to, uint64_t offset, uint32_t length) {
  for (uint32_t at = 0; at < length; at += PATTERN_BYTES) memcpy(to + at, pattern, PATTERN_BYTES);
  pattern_mark(to, offset, length);
}

/** Returns the index of the first wrong byte, or -1. `offset` and `length` can have any value. */
static inline int64_t pattern_difference(const uint8_t *bytes, uint64_t offset, uint32_t length) {
  for (uint32_t at = 0; at < length;) {
    const uint64_t block = (offset + at) / PATTERN_BYTES;
    const uint32_t within = (offset + at) % PATTERN_BYTES;
    uint8_t mark[MARK_BYTES];
    put64(mark, block);
    const uint8_t *wanted = within < MARK_BYTES ? mark + within : pattern + within;
    const uint32_t room = (within < MARK_BYTES ? MARK_BYTES : PATTERN_BYTES) - within;
    const uint32_t part = room < length - at ? room : length - at;
    if (memcmp(bytes + at, wanted, part) != 0) {
      uint32_t wrong = 0;
      while (bytes[at + wrong] == wanted[wrong]) wrong++;
      return (int64_t)at + wrong;
    }
    at += part;
  }
  return -1;
}

#endif
