// Tests REVOKE of one handle by its client (docs/PROTOCOL.md S11): the server sends REVOKED when no request on the handle is running or can
// still start. The server never executes a request whose tag the client has abandoned. session-revoke.test.ts tests revocation by the
// server, and test/conformance/server/revoke.ts tests other wrong REVOKEs.

import { beforeEach, describe, expect, test } from 'vitest';
import { OP } from '@rsio/protocol/wire/frames';
import { IOCTL, Revoke } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { type RawPath, SessionScene } from '../testing/raw-client.ts';

const NOTHING = Buffer.alloc(0);
const STALE = STATUS.STALE;

let scene: SessionScene;
let path: RawPath;

beforeEach(async () => {
  scene = new SessionScene();
  path = scene.path();
  await scene.open(path);
});

async function revoke(tags: readonly number[], on = path, handle = 1): Promise<void> {
  on.connection.encoder.message(OP.REVOKE, 0, 0, 0, 0, handle, Revoke.encode({ tags }));
  on.connection.encoder.flush();
  await scene.turn();
}

async function finish(status = 0): Promise<void> {
  scene.storage.finish(status);
  await scene.turn();
}

/** Returns the answers that the client has received since the last call. */
function heard(from = path): string[] {
  return from.heard.splice(0);
}

test('REVOKED is sent once the executing requests have ended and are flushed, and the handle is closed', async () => {
  path.io(OP.WRITE, { slot: 0, seq: 1 });
  path.io(OP.READ, { slot: 1, seq: 1 });
  await scene.turn();
  await revoke([0, 1, 1, 1]);
  expect(heard()).toEqual([]);
  await finish();
  await finish();
  expect(heard()).toEqual(['WRITE answer 0/1 status 0', 'READ answer 1/1 status 0']);
  expect(scene.storage.begun).toEqual(['WRITE', 'READ', 'FLUSH']);
  await finish();
  expect([heard(), scene.storage.isClosed]).toEqual([['REVOKED 1'], true]);
  expect(scene.released, 'the hold stays').toEqual([]);
});

test('later requests on the handle, abandoned or not, are answered STALE and do not execute', async () => {
  const late = scene.path();
  await revoke([3, 1, 4, 1]);
  late.io(OP.WRITE, { slot: 3, seq: 1 }, 8);
  late.message(OP.IOCTL, { slot: 4, seq: 1 }, NOTHING, 1, IOCTL.IDENTIFY);
  late.io(OP.WRITE, { slot: 5, seq: 1 });
  await scene.turn();
  expect(heard(late)).toEqual([`WRITE answer 3/1 status ${STALE}`, `IOCTL answer 4/1 status ${STALE}`, `WRITE answer 5/1 status ${STALE}`]);
  expect(scene.storage.begun).toEqual(['FLUSH']);
  await finish();
  expect(heard()).toEqual(['REVOKED 1']);
});

test('a copy of an executing request, on another path, is answered there as usual', async () => {
  const other = scene.path();
  path.io(OP.WRITE, { slot: 0, seq: 1 });
  await scene.turn();
  await revoke([0, 1]);
  other.io(OP.WRITE, { slot: 0, seq: 1 });
  await scene.turn();
  await finish();
  expect([heard(), heard(other)]).toEqual([['WRITE answer 0/1 status 0'], ['WRITE answer 0/1 status 0']]);
});

test('a REVOKE on two paths is answered on both; a closed path gets no answer', async () => {
  const [second, third] = [scene.path(), scene.path()];
  path.io(OP.WRITE, { slot: 0, seq: 1 });
  await scene.turn();
  await revoke([0, 1]);
  await revoke([0, 1], second);
  await revoke([0, 1], third);
  third.connection.close('gone', true);
  await scene.turn();
  await finish();
  await finish();
  expect([heard(), heard(second), heard(third)]).toEqual([['WRITE answer 0/1 status 0', 'REVOKED 1'], ['REVOKED 1'], []]);
  await revoke([0, 1]);
  expect(heard()).toEqual(['REVOKED 1']);
});

test('a late REVOKE takes no tag from a slot that serves another request by now', async () => {
  await revoke([0, 1]);
  await finish();
  const late = scene.path();
  // Tags repeat after 65,536 requests in a slot, so a late REVOKE may name the tag that comes next. The server must still execute the
  // request with this tag.
  await revoke([9, 1], late);
  expect(heard(late)).toEqual(['REVOKED 1']);
  late.message(OP.LIST, { slot: 9, seq: 1 }, NOTHING);
  await scene.turn();
  expect(heard(late)).toEqual(['LIST answer 9/1 status 0']);
});

test('while a FLUSH of the revoked handle hangs, another handle of the session goes on', async () => {
  path.message(OP.OPEN, { slot: 254, seq: 1 }, Buffer.from('83a46e616d65a66f7261636c65a8756e69766572736500a8726561646f6e6c79c2', 'hex'));
  await scene.turn();
  heard();
  path.io(OP.FLUSH, { slot: 0, seq: 1 });
  await scene.turn();
  await revoke([0, 1]);
  path.io(OP.READ, { slot: 1, seq: 1 }, 0, 1, 2);
  await scene.turn();
  scene.storage.waiting.pop()?.(0);
  await scene.turn();
  expect(heard()).toEqual(['READ answer 1/1 status 0']);
});

describe('a wrong REVOKE closes the path', () => {
  test.each([
    ['a seq that cannot be out', [0, 2]],
    ['a tag of another handle', [255, 1]],
    ['half a tag', [0]],
  ])('%s', async (_what, tags) => {
    const raw = Buffer.from([
      0x81,
      0xa4,
      ...Buffer.from('tags'),
      0x90 + tags.length,
      ...tags.flatMap((tag) => [0xcd, tag >> 8, tag & 255]),
    ]);
    path.connection.encoder.message(OP.REVOKE, 0, 0, 0, 0, 1, raw);
    path.connection.encoder.flush();
    await scene.turn();
    expect(path.closedReason).not.toBeNull();
  });

  test('REVOKE again while this path still waits for the answer', async () => {
    await revoke([]);
    await revoke([]);
    expect(path.closedReason).not.toBeNull();
  });
});
