// Tests a client that stops reading one path or all paths while the storage is always fast. The server queues answers up to its bound,
// still executes all requests except READs, and still sends PINGs. When the client reads again, it gets every answer exactly once. All
// paths of a session share one bound, even with slow storage whose answers arrive all at once.

import { expect, test } from 'vitest';
import { HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { BODY_MAX_BYTES } from '@rsio/base/lib/limits';
import { OUTPUT_HARD_MAX_BYTES, SEGMENT_BYTES, WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { IO_MAX_SECTORS, OUTPUT_BUFFER_BYTES } from '@rsio/protocol/wire/limits';
import { ANSWERS_QUEUED_ENCRYPTED_MAX_BYTES, ANSWERS_QUEUED_MAX_BYTES, ANSWERS_UNREAD_MAX_BYTES } from './limits.ts';
import { MemoryLink } from '@rsio/protocol/testing/memory-transport';
import { OP } from '@rsio/protocol/wire/frames';
import { AT, RawPath, SessionScene } from '../testing/raw-client.ts';

const READS = 24;
const SILENT_BEATS = 3;

test('READs are delayed, heartbeats and writes go on, and every READ is answered once in the end', async () => {
  const scene = new SessionScene();
  const link = new MemoryLink(scene.clock);
  scene.admit(link);
  const path = new RawPath(link);
  const { events: handler } = path.connection;
  let pings = 0;
  path.connection.events = {
    ...handler,
    frame: (header, body, offset) => {
      if (header.op === OP.PING) pings++;
      handler.frame(header, body, offset);
    },
  };
  await scene.turn();
  await scene.open(path);
  scene.storage.isFast = true;
  pings = 0;
  link.stand('back', true);
  for (let slot = 0; slot < READS; slot++) path.io(OP.READ, { slot, seq: 1 }, 0, IO_MAX_SECTORS);
  path.io(OP.WRITE, { slot: 100, seq: 1 });
  await scene.turn();
  const made = scene.storage.begun.filter((op) => op === 'READ').length;
  expect(made).toBeGreaterThan(0);
  expect(made * BODY_MAX_BYTES).toBeLessThanOrEqual(ANSWERS_QUEUED_MAX_BYTES + 2 * BODY_MAX_BYTES);
  expect(scene.storage.begun).toContain('WRITE');
  for (let beat = 0; beat < SILENT_BEATS; beat++) {
    scene.clock.advance(HEARTBEAT_INTERVAL_MS);
    await scene.turn();
  }
  expect([pings, scene.storage.begun.filter((op) => op === 'READ').length]).toEqual([0, made]);
  link.stand('back', false);
  for (let times = 0; times < READS; times++) await scene.turn();
  expect(pings).toBe(SILENT_BEATS);
  const answers = Array.from({ length: READS }, (_unused, slot) => `READ answer ${slot}/1 status 0`);
  expect(path.heard.filter((line) => line.startsWith('READ'))).toEqual(answers);
});

// TLS copies queued data, so the bound for an encrypted path is lower.
test.each([
  ['plain', null, ANSWERS_QUEUED_MAX_BYTES],
  ['encrypted', 'SUITE', ANSWERS_QUEUED_ENCRYPTED_MAX_BYTES],
])('%s paths have their own bound of queued answers, and every READ is answered once in the end', async (_kind, cipher, boundBytes) => {
  const small = { count: 128, bytes: 64 * 1024 };
  const slots = Array.from({ length: 40 }, (_unused, slot) => slot);
  const scene = new SessionScene();
  const link = new MemoryLink(scene.clock);
  link.server.cipher = cipher;
  const rights = { mayRevoke: false, mayAdminister: false, mayVote: false };
  scene.session.admit(link.server, { welcomeKey: '00', tls: null, transcript: '00', arrivedAt: AT, digest: false, dead: [], ...rights });
  const path = new RawPath(link);
  await scene.turn();
  await scene.open(path);
  scene.storage.isFast = true;
  link.stand('back', true);
  for (const slot of slots) path.io(OP.READ, { slot, seq: 1 }, 0, small.count);
  await scene.turn();
  const madeBytes = scene.storage.begun.filter((op) => op === 'READ').length * small.bytes;
  expect(madeBytes).toBeGreaterThanOrEqual(boundBytes);
  // The test network accepts some bytes even while it delivers none.
  expect(madeBytes).toBeLessThanOrEqual(2 * boundBytes + 2 * small.bytes);
  link.stand('back', false);
  for (let times = 0; times < slots.length; times++) await scene.turn();
  const answers = slots.map((slot) => `READ answer ${slot}/1 status 0`);
  expect(path.heard.filter((line) => line.startsWith('READ'))).toEqual(answers);
});

const PATHS = 16;
const MIB_READS = WINDOW_BYTES / BODY_MAX_BYTES;

/**
 * Returns a session with an open volume and `count` paths. The link of each path shows how many bytes the server has queued on this path.
 */
async function paths(count: number): Promise<{ scene: SessionScene; links: MemoryLink[]; clients: RawPath[] }> {
  const scene = new SessionScene();
  const links = Array.from({ length: count }, () => new MemoryLink(scene.clock));
  const clients = links.map((link) => {
    scene.admit(link);
    return new RawPath(link);
  });
  await scene.turn();
  await scene.open(clients[0]!);
  return { scene, links, clients };
}

async function finishAll(scene: SessionScene): Promise<void> {
  while (scene.storage.waiting.length > 0) {
    scene.storage.finish();
    await Promise.resolve();
  }
  await scene.turn();
}

/**
 * Sends as many READs as the window allows, first on the first path, then on the next, until each live path has had its turn. Returns the
 * number of READs that the storage began.
 */
async function readOnAll(scene: SessionScene, clients: readonly RawPath[]): Promise<number> {
  let seq = 0;
  for (const client of clients) {
    seq++;
    for (let slot = 0; slot < MIB_READS; slot++) if (client.closedReason === null) client.io(OP.READ, { slot, seq }, 0, IO_MAX_SECTORS);
    await scene.turn();
    await finishAll(scene);
  }
  return scene.storage.begun.filter((op) => op === 'READ').length;
}

// Regression: each path had its own bound, so the server queued 512 MiB for 16 paths that the client did not read.
test.each([
  ['slow', false],
  ['fast', true],
])('what a client does not read has one bound over all its paths (%s storage)', async (_name, isFast) => {
  const { scene, links, clients } = await paths(PATHS);
  scene.storage.isFast = isFast;
  for (const link of links) link.stand('back', true);
  const reads = await readOnAll(scene, clients);
  expect(reads * BODY_MAX_BYTES).toBeGreaterThanOrEqual(isFast ? PATHS * BODY_MAX_BYTES : WINDOW_BYTES);
  expect(reads * BODY_MAX_BYTES).toBeLessThanOrEqual(ANSWERS_UNREAD_MAX_BYTES + PATHS * (2 * BODY_MAX_BYTES + SEGMENT_BYTES));
});

test('a path that the client reads goes on beside unread ones, and those go on once they are read', async () => {
  const { scene, links, clients } = await paths(3);
  const [first, second, last] = clients as [RawPath, RawPath, RawPath];
  for (const link of links.slice(0, 2)) link.stand('back', true);
  const heardOn = (path: RawPath): number => path.heard.filter((line) => line.startsWith('READ')).length;
  for (const [index, client] of [first, second].entries()) {
    for (let slot = 0; slot < MIB_READS; slot++) client.io(OP.READ, { slot: slot + index * MIB_READS, seq: 1 }, 0, IO_MAX_SECTORS);
    await scene.turn();
    await finishAll(scene);
  }
  const before = scene.storage.begun.length;
  expect(before).toBeLessThan(2 * MIB_READS);
  for (let seq = 1; seq <= 3; seq++) {
    for (let slot = 0; slot < 8; slot++) last.io(OP.READ, { slot: 200 + slot, seq }, 0, IO_MAX_SECTORS);
    for (let times = 0; times < 20; times++) {
      await scene.turn();
      await finishAll(scene);
    }
  }
  expect([heardOn(last), scene.storage.begun.length - before]).toEqual([24, 24]);
  for (const link of links) link.stand('back', false);
  for (let times = 0; times < 40; times++) {
    await scene.turn();
    await finishAll(scene);
  }
  expect([first, second].map(heardOn)).toEqual([MIB_READS, MIB_READS]);
});

test('copies of executing READs do not exceed the bound: the path with the largest queue is closed', async () => {
  const { scene, links, clients } = await paths(4);
  for (const link of links) link.stand('back', true);
  for (const client of clients) {
    for (let slot = 0; slot < MIB_READS; slot++) client.io(OP.READ, { slot, seq: 1 }, 0, IO_MAX_SECTORS);
    await scene.turn();
  }
  await finishAll(scene);
  const most = scene.pools.outputs.lent.size;
  for (const link of links) link.stand('back', false);
  await scene.turn();
  const ended = clients.filter(({ closedReason }) => closedReason !== null).length;
  expect(ended).toBeGreaterThan(0);
  expect(ended).toBeLessThan(clients.length);
  expect(most * OUTPUT_BUFFER_BYTES).toBeLessThanOrEqual(2 * OUTPUT_HARD_MAX_BYTES);
});
