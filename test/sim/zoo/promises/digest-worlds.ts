// Frames with digests on a connection that flips one bit of some frames (G11). Invariant: the decoder delivers the frames that were sent,
// unchanged and in their order, and nothing behind a frame with a flipped bit.

import { BufferPool } from '@rsio/base/structures/buffer-pool';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { Decoder } from '@rsio/protocol/wire/decoder';
import { Encoder, OutputPool } from '@rsio/protocol/wire/encoder';
import { OP } from '@rsio/protocol/wire/frames';
import { bodyLengthBytes } from '@rsio/protocol/wire/header';
import { HEADER_BYTES } from '@rsio/protocol/wire/limits';

const [FRAMES, SECTOR_BYTES, PIECE_MAX_BYTES] = [8, 512, 2_000];

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export function digestWorld(seed: number): string | null {
  const random = new SeededRandom(seed);
  const sent: Buffer[] = [];
  const encoder = new Encoder(
    {
      send: (buffer, start, lengthBytes, done) => {
        sent.push(Buffer.from(buffer.subarray(start, start + lengthBytes)));
        done();
      },
    },
    new OutputPool(),
    () => undefined,
  );
  encoder.digest = true;
  const expected: string[] = [];
  /** The position of the header of each frame. */
  const starts: number[] = [];
  for (let frame = 0; frame < FRAMES; frame++) {
    const [bodyBytes, lba] = [random.int(1, 3) * SECTOR_BYTES, random.int(0, 1_000)];
    const at = encoder.beginIo(bodyBytes);
    const body = encoder.buffer.subarray(at, at + bodyBytes).fill(random.int(0, 255));
    expected.push(`${OP.WRITE} 0 1 ${frame} 1 ${lba} ${bodyBytes / SECTOR_BYTES} ${body.toString('hex')}`);
    starts.push(sent.reduce((sum, { length }) => sum + length, 0));
    encoder.endIo(OP.WRITE, 0, 1, frame, 1, lba, bodyBytes / SECTOR_BYTES, bodyBytes);
    encoder.flush();
  }
  const whole = Buffer.concat(sent);
  const places = [null, random.int(0, whole.length - 1), random.pick(starts) + random.int(0, HEADER_BYTES - 1)];
  const flippedAt = random.pick(places);
  if (flippedAt !== null) whole[flippedAt]! ^= 1 << random.int(0, 7);
  const seen: string[] = [];
  const decoder: Decoder = new Decoder(
    {
      bodyBegins: () => undefined,
      frame: (header, body, offset) => {
        const { op, flags, handle, slot, seq, lba, count } = header;
        seen.push(
          `${[op, flags, handle, slot, seq, lba, count].join(' ')} ${body.subarray(offset, offset + bodyLengthBytes(header)).toString('hex')}`,
        );
      },
      malformed: () => decoder.stop(),
    },
    new BufferPool(0),
  );
  decoder.digest = true;
  for (let at = 0; at < whole.length && !decoder.isStopped; ) {
    const take = Math.min(random.int(1, PIECE_MAX_BYTES), whole.length - at);
    decoder.push(whole, at, take);
    at += take;
  }
  const wrong = seen.findIndex((one, index) => one !== expected[index]);
  if (wrong >= 0) return `G11: frame ${wrong} is delivered with another content than it was sent with`;
  return flippedAt === null && seen.length < FRAMES ? `G11: only ${seen.length} frames arrive, although no bit was flipped` : null;
}
