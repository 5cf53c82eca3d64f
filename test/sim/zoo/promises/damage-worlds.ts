// State files that are damaged while the program does not run (G58). Invariant: what is loaded is what was saved, or the file is named and
// not changed.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { StateFile } from '@rsio/base/files/state-file';
import { toRsError } from '@rsio/base/lib/errors';
import { integer, list, map, object, type Of, text } from '@rsio/base/lib/shape';
import { SeededRandom } from '@rsio/base/testing/seeded-random';

const CONTENT = object({ holders: map(object({ node: text(), epoch: integer() })), fenced: list(text()) });
const FORM = { version: 1, shape: CONTENT, remedy: 'restore it' };
const NODES = ['big-1', 'big-2', 'venus'];
const ROUNDS = 8;

function damaged(bytes: Buffer, random: SeededRandom): Buffer {
  const at = random.int(0, bytes.length - 1);
  switch (random.int(0, 3)) {
    case 0:
      return bytes.subarray(0, at);
    case 1: {
      const piece = random.bytes(random.int(1, 8)).subarray(0, bytes.length - at);
      return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + piece.length)]);
    }
    case 2: {
      // Another digit leaves JSON of the right form.
      const digits = [...bytes.keys()].filter((index) => bytes[index]! >= 0x30 && bytes[index]! <= 0x39);
      const changed = Buffer.from(bytes);
      changed[random.pick(digits)] = 0x30 + random.int(0, 9);
      return changed;
    }
    default: {
      const changed = Buffer.from(bytes);
      changed[at] = changed[at]! ^ (1 << random.int(0, 7));
      return changed;
    }
  }
}

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export async function damageWorld(seed: number): Promise<string | null> {
  const random = new SeededRandom(seed);
  const folder = mkdtempSync(join(tmpdir(), 'rsio-damages-'));
  const path = join(folder, 'state.json');
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const holders = Object.fromEntries(NODES.map((node, index) => [`${index}`, { node, epoch: random.int(1, 99) }]));
      const content: Of<typeof CONTENT> = { holders, fenced: NODES.filter(() => random.chance(0.5)) };
      const file = new StateFile(path, FORM, () => content);
      await file.save();
      const bytes = damaged(readFileSync(path), random);
      writeFileSync(path, bytes);
      let loaded: unknown;
      try {
        loaded = await file.load();
      } catch (thrown) {
        const { code, message } = toRsError(thrown);
        if (code !== 'E_SYSTEM' || !message.includes(path)) return `G58: a damaged file is refused with ${message}`;
        if (!readFileSync(path).equals(bytes)) return 'G58: a damaged file was changed';
        continue;
      }
      if (!isDeepStrictEqual(loaded, content)) return `G58: ${JSON.stringify(content)} was saved, and ${JSON.stringify(loaded)} was loaded`;
    }
    return null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
