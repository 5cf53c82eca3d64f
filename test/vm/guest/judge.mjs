// Writes and reads a device without end, with four lanes, and remembers each acknowledged write. Invariant: each read returns the last
// acknowledged write of its lane, or the write that has no answer yet. Usage: judge.mjs DEVICE STATE. Each second, the judge
// writes its results so far to the file STATE. At SIGTERM, the judge reads everything back, and ends.

import { open } from 'node:fs/promises';
import { renameSync, writeFileSync } from 'node:fs';
import process from 'node:process';

const [LANES, BLOCKS, BLOCK_BYTES, PAUSE_MS] = [4, 512, 4096, 20];
const [, , device, stateFile] = process.argv;
const seen = { writes: 0, reads: 0, syncs: 0, longestMs: 0, errors: [], wrong: [], isOver: false };
let isStopping = false;

function save() {
  writeFileSync(`${stateFile}.new`, JSON.stringify(seen));
  renameSync(`${stateFile}.new`, stateFile);
}

function stamped(block, stamp) {
  const bytes = Buffer.alloc(BLOCK_BYTES);
  for (let at = 0; at < BLOCK_BYTES; at += 16) {
    bytes.writeDoubleLE(block, at);
    bytes.writeDoubleLE(stamp, at + 8);
  }
  return bytes;
}

async function timed(work) {
  const startMs = performance.now();
  try {
    return await work();
  } catch (error) {
    seen.errors.push(String(error));
    isStopping = true;
    return null;
  } finally {
    seen.longestMs = Math.max(seen.longestMs, performance.now() - startMs);
  }
}

const file = await open(device, 'r+');
const stamps = new Float64Array(LANES * BLOCKS);
let last = 0;

async function check(block) {
  const bytes = Buffer.alloc(BLOCK_BYTES);
  if ((await timed(() => file.read(bytes, 0, BLOCK_BYTES, block * BLOCK_BYTES))) === null) return;
  seen.reads += 1;
  if (stamps[block] > 0 && !bytes.equals(stamped(block, stamps[block])))
    seen.wrong.push(`block ${block} has stamp ${bytes.readDoubleLE(8)} of block ${bytes.readDoubleLE(0)}, not ${stamps[block]}`);
}

async function lane(number) {
  while (!isStopping) {
    const block = number * BLOCKS + Math.floor(Math.random() * BLOCKS);
    const dice = Math.random();
    if (dice < 0.3) await check(block);
    else if (dice < 0.35) {
      if ((await timed(() => file.datasync().then(() => true))) !== null) seen.syncs += 1;
    } else {
      const stamp = ++last;
      if ((await timed(() => file.write(stamped(block, stamp), 0, BLOCK_BYTES, block * BLOCK_BYTES))) !== null) {
        stamps[block] = stamp;
        seen.writes += 1;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

process.on('SIGTERM', () => {
  isStopping = true;
});
const timer = setInterval(save, 1000);
await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
for (let block = 0; block < stamps.length && seen.errors.length === 0; block++) if (stamps[block] > 0) await check(block);
clearInterval(timer);
seen.isOver = true;
save();
