// Proven clients that endlessly request or send data: the server's memory stays bounded, the offender is slowed down or loses its path, and
// the I/O of another client continues during the attack. Rules: G10.

import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { BODY_MAX_BYTES, SECTOR_BYTES } from '@rsio/base/lib/limits';
import { IO_MAX_SECTORS, SLOTS } from '@rsio/protocol/wire/limits';
import { ANSWERS_QUEUED_MAX_BYTES } from '@rsio/rssrv/session/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';
import { useHosts } from '../support/hosts/hosts.ts';
import { frameBytes, RawClient } from '../support/peers/raw-peer.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { Scene } from '../support/scenes/scene.ts';

const MIB = 1024 * 1024;
/**
 * The memory of a worker may grow by this many bytes: the bound of its queued answers, the same amount again for buffers of Node and of the
 * worker's pool, and room for the garbage collector.
 */
const GROWTH_MAX_BYTES = 2 * ANSWERS_QUEUED_MAX_BYTES + 64 * MIB;

const hosts = useHosts('file');
let scene: Scene;
let offender: RawClient;
let handle: number;
let worker: number;

beforeAll(async () => {
  scene = await Scene.begin(hosts);
});

afterAll(() => scene.servesNewcomers());

beforeEach(async () => {
  offender = await scene.login('venus');
  ({ handle } = await offender.open('big'));
  worker = scene.host.worker('venus');
});

afterEach(async () => {
  offender.close();
  await scene.wellBehaved();
});

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

function read(slot: number, seq = 1): Buffer {
  return frameBytes({ op: OP.READ, handle, slot, seq, count: IO_MAX_SECTORS });
}

/** Resolves when the number of unsent bytes no longer changes, because the server no longer reads from the socket. */
async function settles(look: () => number): Promise<void> {
  let last = -1;
  let same = 0;
  await waitFor(
    () => {
      const now = look();
      same = now === last ? same + 1 : 0;
      last = now;
      return same >= 5;
    },
    10_000,
    'It settles',
  );
}

it('READs of a client that does not read its answers are held back, and answered once it reads', async () => {
  const before = residentBytes(worker);
  offender.socket.pause();
  const slots = Array.from({ length: SLOTS }, (_, slot) => slot).filter((slot) => slot !== offender.homeSlot);
  offender.send(...slots.map((slot) => read(slot)));
  await settles(() => Math.round(residentBytes(worker) / MIB));
  await scene.wellBehaved();
  expect(residentBytes(worker) - before).toBeLessThan(GROWTH_MAX_BYTES);
  offender.socket.resume();
  for (const slot of slots) {
    const answer = await offender.answer(slot);
    expect(answer).toMatchObject({ handle: STATUS.OK, count: IO_MAX_SECTORS });
    expect(answer.body.length).toBe(BODY_MAX_BYTES);
  }
  await offender.verify(handle, 0, 8);
});

it('the path of a client that does not read and exceeds its slots is closed', async () => {
  offender.socket.pause();
  const slots = Array.from({ length: SLOTS }, (_, slot) => slot);
  for (let round = 0; round < 3; round++) offender.send(...slots.map((slot) => read(slot, slot === 0 ? 2 : 1)));
  await scene.logged(
    /ended path for rep .*: Protocol error of the client: (More than 256 READs unanswered on one path|READ in slot \d+ seq \d is not allowed now)/,
  );
  await waitFor(() => residentBytes(worker) > 0, 1_000, 'The worker lives');
});

it('64 paths that each stop in the middle of a largest WRITE: nothing is written, and memory is bounded', async () => {
  const before = residentBytes(worker);
  const paths: RawClient[] = [];
  for (let count = 1; count < 64; count++) paths.push(await scene.join(offender));
  const write = frameBytes({
    op: OP.WRITE,
    handle,
    slot: 9,
    seq: 1,
    lba: 8192,
    count: IO_MAX_SECTORS,
    body: Buffer.alloc(BODY_MAX_BYTES, 5),
  });
  for (const path of paths) path.send(write.subarray(0, write.length - 1));
  await waitFor(() => paths.every((path) => path.socket.writableLength === 0), 10_000, 'All was taken');
  await scene.wellBehaved();
  expect(residentBytes(worker) - before).toBeLessThan(GROWTH_MAX_BYTES + 64 * BODY_MAX_BYTES);
  for (const path of paths) path.reset();
  const read = await offender.call({ op: OP.READ, handle, lba: 8192, count: 1 });
  expect(read.body.equals(Buffer.alloc(SECTOR_BYTES))).toBe(true);
});

it('300 paths that are proved and reset at once', async () => {
  for (let round = 0; round < 10; round++) {
    const paths = await Promise.all(Array.from({ length: 15 }, () => scene.join(offender)));
    const twice = await Promise.all(Array.from({ length: 15 }, () => scene.join(offender)));
    for (const path of [...paths, ...twice]) path.reset();
    // The test opens the next paths only when the server has closed these paths, because a session has at most 64 paths.
    offender.request(...[...paths, ...twice].map((path) => ({ op: OP.FENCE, aux: path.welcome.path })));
    for (let fenced = 0; fenced < 30; fenced++) await offender.next(({ op }) => op === OP.FENCED);
  }
  await offender.verify(handle, 0, 8);
});
