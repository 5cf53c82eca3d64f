// Frames put together again for the transcript.
// Leaves the handshake itself to handshake.test.ts.

import { expect, test } from 'vitest';
import { RsError } from '@rsio/common/lib/errors';
import { FRAMES, OP } from '../wire/frames.ts';
import { emptyHeader } from '../wire/header.ts';
import { handshakeFrame, wholeFrame } from './handshake-frames.ts';

test('a decoded frame is put together byte for byte', () => {
  const frame = handshakeFrame(OP.HELLO, Buffer.from('some'), Buffer.from(' body'));
  expect(wholeFrame({ ...emptyHeader(), op: OP.HELLO, length: 9 }, Buffer.from('xsome body'), 1)).toEqual(frame);
});

// Once it allocated what stands in the length field: in an I/O frame that is the lba, up to 4 GiB, from anybody.
test('a frame that is no message is refused without taking memory', () => {
  for (const { op, shape } of FRAMES) {
    if (shape !== 'io') continue;
    expect(() => wholeFrame({ ...emptyHeader(), op, length: 0xffffffff }, Buffer.alloc(0), 0)).toThrow(RsError);
  }
});
