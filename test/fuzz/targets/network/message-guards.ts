// The codecs of message bodies and their guards. Oracle: a decoded message is printable and bounded, and stays the same when it is encoded
// and decoded again. Any other input is refused with E_PROTOCOL, in a sentence that contains no received byte.

import {
  ADMIN_PARAMS_MAX_BYTES,
  EXTENTS_PER_ANSWER_MAX,
  MESSAGE_MAX_BYTES,
  SENTENCE_MAX_CHARS,
  VOLUME_NOTE_MAX_CHARS,
} from '@rsio/protocol/wire/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { isDeepStrictEqual } from 'node:util';
import { expectPrintable, expectThat, type FuzzTarget, orRefused } from '../../fixtures/fuzz-target.ts';
import { MESSAGE_KINDS, messageBytes } from '../../makers/message-maker.ts';
import { mutated } from '../../makers/mutator.ts';

const LIST_MAX = 2 * EXTENTS_PER_ANSWER_MAX;
const TEXT_MAX_CHARS = Math.max(SENTENCE_MAX_CHARS, VOLUME_NOTE_MAX_CHARS);
const MAKERS = 'abcdefgh';

/**
 * Expects that every text is printable, that no list and no text exceeds the largest bound that a field has, and that every number is
 * valid.
 */
function judge(value: unknown, field: string): void {
  if (typeof value === 'string') {
    expectPrintable(value, field);
    expectThat(value.length <= TEXT_MAX_CHARS, `${field} has ${value.length} characters`);
  } else if (typeof value === 'number') {
    expectThat(Number.isFinite(value) && value >= 0 && !Object.is(value, -0), `${field} is ${value}`);
  } else if (Array.isArray(value)) {
    expectThat(value.length <= LIST_MAX, `${field} has ${value.length} items`);
    value.forEach((item, index) => judge(item, `${field}[${index}]`));
  } else if (value instanceof Uint8Array) {
    expectThat(value.length <= ADMIN_PARAMS_MAX_BYTES, `${field} has ${value.length} bytes`);
  } else if (typeof value === 'object' && value !== null) {
    expectThat(Object.getPrototypeOf(value) === Object.prototype, `${field} is no plain object`);
    for (const [key, item] of Object.entries(value)) judge(item, `${field}.${key}`);
  }
}

function run(input: Buffer): boolean {
  const kind = MESSAGE_KINDS[(input[0] ?? 0) % MESSAGE_KINDS.length]!;
  // The input lies between other bytes, as in a receive buffer, and is overwritten after it was decoded.
  const around = Buffer.concat([Buffer.alloc(3, 0x81), input.subarray(1, 1 + MESSAGE_MAX_BYTES), Buffer.alloc(3, 0x81)]);
  const message = orRefused(['E_PROTOCOL'], () => kind.decode(around, 3, around.length - 6));
  if (message === null) return false;
  const before = structuredClone(message);
  around.fill(0xdb);
  expectThat(isDeepStrictEqual(structuredClone(message), before), `${kind.name} keeps something of the receive buffer`);
  judge(message, kind.name);
  const bytes = kind.encode(message as never);
  const again = kind.decode(bytes, 0, bytes.length);
  // A list that is too long for one frame needs several frames; only the first frame is checked here.
  if (kind.name === 'LIST answer' && bytes.length > MESSAGE_MAX_BYTES / 2) return true;
  expectThat(isDeepStrictEqual(again, message), `${kind.name} comes back as another message`);
  return true;
}

/** Makes MessagePack that is not a message: deeply nested, long, or with unusual types. */
function strange(random: SeededRandom): Buffer {
  const heads = [0x81, 0x91, 0xdd, 0xdf, 0xc7, 0xd4, 0xc1, 0xcb, 0xcf, 0xd3, 0xdb, 0xc6, 0xa1, 0xc0];
  const parts = Array.from({ length: random.int(1, 30) }, () => Buffer.from([random.pick(heads), random.int(0, 255)]));
  return Buffer.concat([...parts, Buffer.from(MAKERS)]);
}

/** Changes a number of one byte, or a byte that looks like such a number. */
function withStrangeNumber(random: SeededRandom, body: Buffer): Buffer {
  const small = [...body.keys()].filter((at) => body[at]! <= 0x7f && at > 0 && body[at - 1]! >= 0x61);
  if (small.length === 0) return body;
  const at = random.pick(small);
  const number = Buffer.alloc(9, 0xcb);
  number.writeDoubleBE(random.pick([-0, Number.NaN, -1, 0.5, 1e300, Number.POSITIVE_INFINITY, 2 ** 53]), 1);
  return Buffer.concat([body.subarray(0, at), number, body.subarray(at + 1)]);
}

function make(random: SeededRandom): Buffer {
  const index = random.int(0, MESSAGE_KINDS.length - 1);
  const kind = MESSAGE_KINDS[random.chance(0.05) ? random.int(0, MESSAGE_KINDS.length - 1) : index]!;
  const body = random.chance(0.05) ? strange(random) : messageBytes(random, kind);
  const wrong = random.chance(0.1) ? withStrangeNumber(random, body) : mutated(random, body, 3);
  return Buffer.concat([Buffer.from([index]), random.chance(0.35) ? body : wrong]);
}

export const messageGuards: FuzzTarget = { name: 'message-guards', deep: 'the message passed its guard', fixedSeeds: 1500, make, run };
