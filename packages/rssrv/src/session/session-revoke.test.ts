// Tests a volume whose handles are revoked: new requests on these handles are not executed, running requests end and are answered, and the
// promise of `revoke` resolves once no request is running. session-volumes.test.ts tests OPENs during a revocation, and take-over.test.ts
// tests take-overs. Rules: H2.

import { beforeEach, describe, expect, test } from 'vitest';
import { OP } from '@rsio/protocol/wire/frames';
import { IOCTL, OpenRequest } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { type RawPath, SessionScene } from '../testing/raw-client.ts';

const NOTHING = Buffer.alloc(0);
const EXTENTS = Buffer.from('82a36c626100a7736563746f727301', 'hex');
const STALE = STATUS.STALE;

let scene: SessionScene;
let path: RawPath;
let revoked: string;

beforeEach(async () => {
  scene = new SessionScene();
  path = scene.path();
  await scene.open(path);
  revoked = 'not yet';
});

async function revoke(epoch = 1, volumeId = 'id'): Promise<void> {
  void scene.session.revoke(volumeId, epoch).then((isFlushed) => (revoked = isFlushed ? 'flushed' : 'with loss'));
  await scene.turn();
}

async function finish(status = 0): Promise<void> {
  scene.storage.finish(status);
  await scene.turn();
}

/** Returns the answers that the client has received since the last call. */
function heard(): string[] {
  return path.heard.splice(0);
}

test('executing requests end and are answered, later ones are STALE, and then the handle is flushed and closed', async () => {
  path.io(OP.WRITE, { slot: 0, seq: 1 });
  path.io(OP.READ, { slot: 1, seq: 1 });
  await scene.turn();
  await revoke();
  path.io(OP.READ, { slot: 2, seq: 1 });
  path.io(OP.WRITE, { slot: 3, seq: 1 });
  path.io(OP.FLUSH, { slot: 4, seq: 1 });
  path.io(OP.DISCARD, { slot: 5, seq: 1 });
  path.io(OP.ZERO, { slot: 6, seq: 1 });
  path.message(OP.IOCTL, { slot: 7, seq: 1 }, NOTHING, 1, IOCTL.IDENTIFY);
  path.message(OP.CLOSE, { slot: 8, seq: 1 }, NOTHING, 1);
  await scene.turn();
  const late = ['READ answer 2/1', 'WRITE answer 3/1', 'FLUSH answer 4/1', 'DISCARD answer 5/1', 'ZERO answer 6/1', 'IOCTL answer 7/1'];
  expect(heard()).toEqual([...late, 'CLOSE answer 8/1'].map((answer) => `${answer} status ${STALE}`));
  expect(scene.storage.begun).toEqual(['WRITE', 'READ']);
  await finish();
  expect([heard(), revoked, scene.storage.begun]).toEqual([['WRITE answer 0/1 status 0'], 'not yet', ['WRITE', 'READ']]);
  await finish();
  expect([heard(), revoked, scene.storage.begun.at(-1)]).toEqual([['READ answer 1/1 status 0'], 'not yet', 'FLUSH']);
  await finish();
  expect([revoked, scene.storage.isClosed]).toEqual(['flushed', true]);
  expect(scene.released, 'the hold is not the session’s to give up').toEqual([]);
});

test('a done READ is not read again for a late copy, and an executing EXTENTS is waited for', async () => {
  scene.storage.isFast = true;
  const other = scene.path();
  path.io(OP.READ, { slot: 0, seq: 1 });
  path.message(OP.IOCTL, { slot: 1, seq: 1 }, EXTENTS, 1, IOCTL.EXTENTS);
  await scene.turn();
  expect(scene.storage.begun).toEqual(['READ', 'EXTENTS']);
  await revoke();
  other.io(OP.READ, { slot: 0, seq: 1 });
  await scene.turn();
  expect(other.heard).toEqual([`READ answer 0/1 status ${STALE}`]);
  expect(scene.storage.begun).toEqual(['READ', 'EXTENTS']);
  await finish();
  expect(path.heard).toEqual(['READ answer 0/1 status 0', 'IOCTL answer 1/1 status 0']);
  await finish();
  expect(revoked).toBe('flushed');
});

test('a READ that is being read again for a late copy is waited for', async () => {
  const other = scene.path();
  path.io(OP.READ, { slot: 0, seq: 1 });
  await scene.turn();
  await finish();
  other.io(OP.READ, { slot: 0, seq: 1 });
  await scene.turn();
  await revoke();
  expect(scene.storage.begun).toEqual(['READ', 'READ']);
  await finish();
  expect(other.heard).toEqual(['READ answer 0/1 status 0']);
  expect(scene.storage.begun).toEqual(['READ', 'READ', 'FLUSH']);
  await finish();
  expect(revoked).toBe('flushed');
});

test('a failed flush is reported', async () => {
  await revoke();
  await finish(STATUS.IO_ERROR);
  expect([revoked, scene.storage.isClosed]).toEqual(['with loss', true]);
});

test('a handle whose close fails stays STALE, and the client can open the volume again', async () => {
  scene.storage.backend.close = () => Promise.reject(new Error('a close failed'));
  void scene.session.revoke('id', 1).catch((error: Error) => (revoked = error.message));
  await scene.turn();
  await finish();
  expect(revoked).toBe('a close failed');
  path.io(OP.READ, { slot: 0, seq: 1 });
  path.io(OP.WRITE, { slot: 1, seq: 1 });
  await scene.turn();
  expect(heard()).toEqual([`READ answer 0/1 status ${STALE}`, `WRITE answer 1/1 status ${STALE}`]);
  path.message(OP.OPEN, { slot: 2, seq: 1 }, OpenRequest.encode({ name: 'oracle', universe: 0, readonly: false }));
  await scene.turn();
  expect(heard()).toEqual(['OPEN answer 2/1 status 0']);
  path.io(OP.READ, { slot: 3, seq: 1 }, 0, 1, 2);
  await scene.turn();
  await finish();
  expect(heard()).toEqual(['READ answer 3/1 status 0']);
});

test('another volume, and a later grant, is not revoked', async () => {
  await revoke(9, 'another');
  expect(revoked).toBe('flushed');
  await revoke(0);
  expect([revoked, scene.storage.begun]).toEqual(['flushed', []]);
  path.io(OP.FLUSH, { slot: 0, seq: 1 });
  await scene.turn();
  expect(scene.storage.begun).toEqual(['FLUSH']);
});

describe('a volume that is revoked', () => {
  test('during a CLOSE is closed once, and CLOSE is answered', async () => {
    path.message(OP.CLOSE, { slot: 0, seq: 1 }, NOTHING, 1);
    await scene.turn();
    await revoke();
    expect([revoked, scene.storage.begun]).toEqual(['not yet', ['FLUSH']]);
    await finish();
    expect([revoked, heard(), scene.storage.begun]).toEqual(['flushed', ['CLOSE answer 0/1 status 0'], ['FLUSH']]);
    expect(scene.released).toEqual(['id']);
  });

  test('twice is closed once', async () => {
    await revoke();
    await revoke();
    expect(scene.storage.begun).toEqual(['FLUSH']);
    await finish();
    expect(revoked).toBe('flushed');
    await revoke();
    expect(scene.storage.begun).toEqual(['FLUSH']);
  });

  test.each(['before', 'after'])('while its session ends (told %s) is closed once, and the session waits for that', async (order) => {
    path.io(OP.WRITE, { slot: 0, seq: 1 });
    await scene.turn();
    let hasEnded = false;
    const end = (): void => void scene.session.end('E_NO_SESSION', 'The end').then(() => (hasEnded = true));
    if (order === 'before') end();
    await revoke();
    if (order === 'after') end();
    await finish();
    expect([heard(), hasEnded, revoked]).toEqual([['WRITE answer 0/1 status 0'], false, 'not yet']);
    await finish();
    expect([hasEnded, revoked, scene.storage.begun]).toEqual([true, 'flushed', ['WRITE', 'FLUSH']]);
  });
});
