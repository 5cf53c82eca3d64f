// Tests the ioctl TERM (docs/PROTOCOL.md Q9): OK while the handle of a replica is open, and STALE as soon as a claim revokes the handle,
// even while earlier requests are still running. mirrors/mirror-votes.test.ts tests the claims.

import { expect, test } from 'vitest';
import { OP } from '@rsio/protocol/wire/frames';
import { IOCTL } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { type RawPath, SessionScene } from '../testing/raw-client.ts';

const NOTHING = Buffer.alloc(0);

async function opened(isReplica: boolean): Promise<{ scene: SessionScene; path: RawPath; ask: (slot: number) => Promise<string[]> }> {
  const scene = new SessionScene();
  if (isReplica) scene.volumeChanges = { replica: { mirror: 'a'.repeat(32), identity: 'b'.repeat(32), mapPath: '/map' } };
  const path = scene.path();
  await scene.open(path);
  const ask = async (slot: number): Promise<string[]> => {
    path.message(OP.IOCTL, { slot, seq: 1 }, NOTHING, 1, IOCTL.TERM);
    await scene.turn();
    return path.heard.splice(0);
  };
  return { scene, path, ask };
}

test('TERM is OK while the handle is open, and STALE as soon as it is revoked, before its last requests have ended', async () => {
  const { scene, path, ask } = await opened(true);
  expect(await ask(0)).toEqual([`IOCTL answer 0/1 status ${STATUS.OK}`]);
  path.io(OP.READ, { slot: 1, seq: 1 });
  await scene.turn();
  let isOver = false;
  void scene.session.revoke('id', 1).then(() => (isOver = true));
  expect(await ask(2)).toEqual([`IOCTL answer 2/1 status ${STATUS.STALE}`]);
  expect(isOver).toBe(false);
  scene.storage.finish();
  await scene.turn();
  scene.storage.finish();
  await scene.turn();
  expect(isOver).toBe(true);
});

test('a volume that is no replica has no term', async () => {
  const { ask } = await opened(false);
  expect(await ask(0)).toEqual([`IOCTL answer 0/1 status ${STATUS.UNSUPPORTED}`]);
});
