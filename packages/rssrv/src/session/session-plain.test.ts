// Tests a server that begins to accept encrypted paths only: the plain paths of a session end with BYE and the reason, and the encrypted
// paths stay. reload-plan.test.ts and test/integration test when the listener orders a session to end its plain paths. Rules: G23.

import { expect, test } from 'vitest';
import { OP } from '@rsio/protocol/wire/frames';
import { SessionScene } from '../testing/raw-client.ts';

test('plain paths end with BYE, encrypted ones go on', async () => {
  const scene = new SessionScene();
  const [plain, encrypted] = [scene.path(), scene.path([], undefined, true, true, 'a cipher')];
  await scene.turn();
  await scene.open(encrypted);
  scene.session.endPlainPaths('Encrypted connections only');
  await scene.turn();
  expect(plain.heard.at(-1)).toBe('BYE 0');
  expect(plain.bodies.at(-1)?.toString()).toMatch(/E_TLS.*Encrypted connections only/);
  expect(plain.closedReason).not.toBeNull();
  encrypted.io(OP.WRITE, { slot: 1, seq: 1 });
  await scene.turn();
  scene.storage.finish();
  await scene.turn();
  expect(encrypted.heard).toEqual(['WRITE answer 1/1 status 0']);
  expect(scene.session.figures(false).paths.map(({ cipher }) => cipher)).toEqual(['a cipher']);
});
