// Tests that decoded frames are reassembled, byte for byte, for the transcript of the handshake.
// handshake.test.ts tests the handshake itself.

import { expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { FRAMES, OP } from '../wire/frames.ts';
import { emptyHeader } from '../wire/header.ts';
import { handshakeFrame, wholeFrame } from './handshake-frames.ts';

test('a decoded frame is reassembled byte for byte', () => {
  const frame = handshakeFrame(OP.HELLO, Buffer.from('some'), Buffer.from(' body'));
  expect(wholeFrame({ ...emptyHeader(), op: OP.HELLO, length: 9 }, Buffer.from('xsome body'), 1)).toEqual(frame);
});

// Regression: the code allocated as many bytes as the length field says. In an I/O frame, the length field holds part of the lba, so any
// peer could cause an allocation of up to 4 GiB.
test('a frame that is no message is refused without allocating memory', () => {
  for (const { op, shape } of FRAMES) {
    if (shape !== 'io') continue;
    expect(() => wholeFrame({ ...emptyHeader(), op, length: 0xffffffff }, Buffer.alloc(0), 0)).toThrow(RsError);
  }
});
