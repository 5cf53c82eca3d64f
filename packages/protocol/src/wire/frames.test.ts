// Tests the table of frames: every op once, unique numbers below the answer bit, names for logs, and the properties that the protocol
// defines. The oracle is a second copy of the table, written out in this test. protocol-doc.test.ts compares the table with
// docs/PROTOCOL.md.

import { describe, expect, test } from 'vitest';
import { ANSWER, FLAG, FRAMES, frameEntry, frameName, OP } from './frames.ts';

describe('the table of frames', () => {
  test('has every op once, under its name', () => {
    expect(Object.fromEntries(FRAMES.map(({ name, op }) => [name, op]))).toEqual(OP);
    expect(FRAMES.length).toBe(Object.keys(OP).length);
  });

  test('gives each number once, below the answer bit', () => {
    expect(new Set(FRAMES.map(({ op }) => op)).size).toBe(FRAMES.length);
    for (const { op } of FRAMES) expect(op > 0 && op < ANSWER).toBe(true);
  });

  // The numbers are sent on the wire, so a changed number changes the protocol.
  test('keeps its numbers', () => {
    expect(FRAMES.map(({ op, name }) => `${op.toString(16)} ${name}`)).toEqual(
      '1 HELLO,2 CHALLENGE,3 PROOF,4 WELCOME,5 REFUSE,6 BYE,7 START_TLS,10 PING,11 PONG,12 FENCE,13 FENCED,14 NOTIFY,15 REVOKE,16 REVOKED,20 LIST,21 OPEN,22 CLOSE,30 READ,31 WRITE,32 FLUSH,33 DISCARD,34 ZERO,35 IOCTL,36 ADMIN,37 VOTE'.split(
        ',',
      ),
    );
  });

  test('answers slotted requests, and only these, with their own op', () => {
    for (const { op, isSlotted: slotted, answeredBy, from, again } of FRAMES) {
      expect({ op, isOwn: answeredBy === (op | ANSWER) }).toEqual({ op, isOwn: slotted });
      expect({ op, again: again === '-' }).toEqual({ op, again: !slotted });
      if (slotted) expect(from).toBe('client');
    }
  });

  test('defines which requests may be executed twice, and which carry data', () => {
    const namesOf = (test: (entry: (typeof FRAMES)[number]) => boolean) => FRAMES.filter(test).map(({ name }) => name);
    expect(namesOf(({ again }) => again === 'copy')).toEqual(['LIST', 'READ', 'IOCTL']);
    expect(namesOf(({ body }) => body === 'request')).toEqual(['WRITE']);
    expect(namesOf(({ body }) => body === 'answer')).toEqual(['READ']);
  });
});

test('an op is found with and without its answer bit, an unknown one is not', () => {
  for (const entry of FRAMES) {
    expect(frameEntry(entry.op)).toBe(entry);
    expect(frameEntry(entry.op | ANSWER)).toBe(entry);
  }
  expect(frameEntry(0x7f)).toBeUndefined();
  expect(frameEntry(0)).toBeUndefined();
});

test('names for logs', () => {
  expect([frameName(OP.READ), frameName(OP.READ | ANSWER), frameName(0x7f)]).toEqual(['READ', 'READ answer', 'op 0x7f']);
});

test('flags are single bits, each once', () => {
  const bits = Object.values(FLAG);
  expect(new Set(bits).size).toBe(bits.length);
  for (const bit of bits) expect(bit > 0 && bit < 0x100 && (bit & (bit - 1)) === 0).toBe(true);
});
