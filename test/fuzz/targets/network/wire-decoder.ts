// The stream decoder of the wire. Oracle: the decoded frames, encoded again by hand, are equal to the input, byte for byte. Wherever the
// stream is cut, the decoder returns the same frames and ends the stream for the same reason. The decoder allocates memory only for lengths
// that it has checked.

import { BODY_MAX_BYTES } from '@rsio/base/lib/limits';
import { HANDSHAKE_MESSAGE_MAX_BYTES } from '@rsio/protocol/auth/limits';
import { MESSAGE_MAX_BYTES } from '@rsio/protocol/wire/limits';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { Decoder } from '@rsio/protocol/wire/decoder';
import { frameEntry, OP } from '@rsio/protocol/wire/frames';
import { bodyLengthBytes, type Header } from '@rsio/protocol/wire/header';
import { anyFrame, frameBytes } from '../../makers/frame-maker.ts';
import { expectThat, type FuzzTarget } from '../../fixtures/fuzz-target.ts';
import { MeasuringPool } from '../../fixtures/measuring-pool.ts';
import { mutated, reordered } from '../../makers/mutator.ts';

//  options (u8) | seed of the cuts (u16) | stream
const PREFIX_BYTES = 3;
const OPTION = { DIGEST: 1, HANDSHAKE: 2, OWN_BUFFER: 4, DISCARD: 8 } as const;
const BYTE_BY_BYTE_MAX_BYTES = 800;
/** Buffer for received bodies. A body begins at the second byte; the first and the last byte must stay unchanged. */
const OWN_BUFFER = Buffer.alloc(BODY_MAX_BYTES + 2, 0xaa);

interface Decoded {
  /** The decoded frames: for each frame, header and body encoded again. */
  readonly frames: Buffer[];
  reason: string | null;
  readonly isBetweenFrames: boolean;
}

function decode(stream: Buffer, options: number, cut: () => number): Decoded {
  const digest = (options & OPTION.DIGEST) !== 0;
  const pool = new MeasuringPool(BODY_MAX_BYTES);
  const frames: Buffer[] = [];
  let reason: string | null = null;
  const own = OWN_BUFFER;
  const decoder: Decoder = new Decoder(
    {
      bodyBegins: (header) => {
        if ((options & OPTION.OWN_BUFFER) !== 0 && header.op === OP.WRITE) decoder.receiveInto(own, 1);
      },
      frame: (header, body, offset) => frames.push(writtenAgain(header, body, offset, digest)),
      malformed: (why) => {
        reason = why;
      },
    },
    pool,
  );
  decoder.digest = digest;
  const isHandshake = (options & OPTION.HANDSHAKE) !== 0;
  decoder.messageMaxBytes = isHandshake ? HANDSHAKE_MESSAGE_MAX_BYTES : MESSAGE_MAX_BYTES;
  decoder.ioMaxBytes = isHandshake ? 0 : BODY_MAX_BYTES;
  for (let at = 0; at < stream.length; ) {
    const length = Math.min(Math.max(1, cut()), stream.length - at);
    // The chunk is overwritten as soon as the call returns, like a receive buffer.
    const chunk = Buffer.concat([Buffer.from([0xdb]), stream.subarray(at, at + length), Buffer.from([0xdb])]);
    decoder.push(chunk, 1, length);
    chunk.fill(0xdb);
    at += length;
  }
  expectThat(own[0] === 0xaa && own[BODY_MAX_BYTES + 1] === 0xaa, 'a body was received outside of the buffer it was given');
  const { isBetweenFrames } = decoder;
  if ((options & OPTION.DISCARD) !== 0) decoder.discardBody();
  decoder.stop();
  expectThat(decoder.isStopped && pool.lent.size === 0, `${pool.lent.size} buffers are lent after the end`);
  return { frames, reason, isBetweenFrames };
}

function writtenAgain(header: Header, body: Buffer, offset: number, digest: boolean): Buffer {
  const shape = frameEntry(header.op)?.shape;
  expectThat(shape !== undefined, `a frame of the unknown op ${header.op}`);
  return frameBytes(header.op, header, shape, Buffer.from(body.subarray(offset, offset + bodyLengthBytes(header))), digest);
}

function run(input: Buffer): boolean {
  const [options = 0] = input;
  const stream = input.subarray(PREFIX_BYTES);
  const random = new SeededRandom(input.length < PREFIX_BYTES ? 0 : input.readUInt16BE(1));
  const whole = decode(stream, options, () => stream.length);
  const taken = Buffer.concat(whole.frames);
  expectThat(stream.subarray(0, taken.length).equals(taken), 'the frames are not what was received');
  expectThat(
    whole.reason !== null || whole.isBetweenFrames === (taken.length === stream.length),
    `${taken.length} of ${stream.length} bytes were frames, and the decoder ${whole.isBetweenFrames ? 'is' : 'is not'} between frames`,
  );
  const cuts = [() => random.int(1, random.chance(0.5) ? 20 : 3000)];
  if (stream.length <= BYTE_BY_BYTE_MAX_BYTES) cuts.push(() => 1);
  for (const cut of cuts) {
    const again = decode(stream, options, cut);
    expectThat(Buffer.concat(again.frames).equals(taken), 'other cuts gave other frames');
    expectThat(again.reason === whole.reason, `one cut ended with "${whole.reason}", another with "${again.reason}"`);
  }
  return whole.frames.length >= 2;
}

function make(random: SeededRandom): Buffer {
  const options = random.pick([0, 0, OPTION.DIGEST, OPTION.DIGEST, OPTION.HANDSHAKE]) | random.pick([0, OPTION.OWN_BUFFER, OPTION.DISCARD]);
  const digest = (options & OPTION.DIGEST) !== 0;
  let frames = Array.from({ length: random.int(1, 6) }, () => anyFrame(random, digest));
  if (random.chance(0.3)) frames = reordered(random, frames, () => anyFrame(random, digest));
  const stream = Buffer.concat(frames);
  const way = random.int(0, 3);
  const bytes = way === 0 ? stream : way === 1 ? stream.subarray(0, random.int(0, stream.length)) : mutated(random, stream);
  return Buffer.concat([Buffer.from([options]), random.bytes(2), bytes]);
}

export const wireDecoder: FuzzTarget = { name: 'wire-decoder', deep: 'two frames were decoded', fixedSeeds: 500, make, run };
