// A client that stops reading one path, against storage that is always fast: the server makes answers only as far as its bound, goes on
// taking everything but READs and goes on with its PINGs; when the client reads again, nothing is missing and nothing came twice.

import { expect, test } from 'vitest';
import { ANSWERS_QUEUED_MAX_BYTES, BODY_MAX_BYTES, HEARTBEAT_INTERVAL_MS, IO_MAX_SECTORS } from '@rsio/protocol/limits';
import { MemoryLink } from '@rsio/protocol/testing/memory-transport';
import { OP } from '@rsio/protocol/wire/frames';
import { AT, RawPath, SessionScene } from './testing/raw-client.ts';

const READS = 24;
const SILENT_BEATS = 3;

test('READs are held back, heartbeats and writes go on, and every READ is answered once in the end', async () => {
  const scene = new SessionScene();
  const link = new MemoryLink(scene.clock);
  scene.session.admit(link.server, { welcomeKey: '00', transcript: '00', arrivedAt: AT, digest: false, dead: [] });
  const path = new RawPath(link);
  const { handler } = path.connection;
  let pings = 0;
  path.connection.handler = {
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
