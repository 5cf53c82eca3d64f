// A production trunk whose READs are abandoned at random moments, while their answers arrive in pieces over links that are sometimes slow.
// The owner of the READs reuses their buffers at once. Invariant: after a READ is abandoned, nothing is written into its buffer.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { TrunkScene } from '@rsio/protocol/testing/trunk-scene';
import { IDEAL_LINK } from '@rsio/protocol/testing/memory-transport';
import { OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';

const [PATHS_MAX, READS_MAX, SECTORS_MAX] = [3, 6, 16];
const [ANSWERED, REUSED] = [1, 0xbb];
const PIECE_MAX_BYTES = 1_500;
const LONG_MS = 1_000;

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export function givenUpWorld(seed: number): string | null {
  const random = new SeededRandom(seed);
  let isSlow = false;
  const cut = (lengthBytes: number): number => (isSlow ? Math.min(lengthBytes, random.int(1, PIECE_MAX_BYTES)) : lengthBytes);
  const scene = new TrunkScene(random.int(1, PATHS_MAX), { ...IDEAL_LINK, cut, restMs: () => random.int(1, 20) });
  // If the server does not know REVOKE, the client leaves the session, so that no answer arrives.
  scene.server.revokes = random.chance(0.9);
  scene.start();
  const buffers = Array.from({ length: random.int(1, READS_MAX) }, (_, index) => {
    const count = random.int(1, SECTORS_MAX);
    const buffer = Buffer.alloc(count * SECTOR_BYTES);
    scene.submit(OP.READ, { lba: index * SECTORS_MAX, count, bodyBytes: buffer.length, buffer });
    return buffer;
  });
  scene.clock.advance(1);
  isSlow = true;
  for (const path of scene.server.paths)
    for (const frame of path.requests(OP.READ))
      if (random.chance(0.8)) path.answerIo(frame, STATUS.OK, Buffer.alloc(frame.header.count * SECTOR_BYTES, ANSWERED));
  scene.clock.advance(random.int(0, 60));
  scene.trunk.abandon(scene.attachment);
  for (const buffer of buffers) buffer.fill(REUSED);
  scene.clock.advance(LONG_MS);
  const written = buffers.findIndex((buffer) => buffer.some((byte) => byte !== REUSED));
  return written < 0 ? null : `E1: the buffer of abandoned READ ${written} was written to`;
}
