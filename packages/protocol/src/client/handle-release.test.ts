// Tests that a detach waits for the end of the hold. The client sends CLOSE when no request of the handle remains in flight. Only the
// answer OK ends the wait with success. The server is a script. opener.test.ts and revoke-lost.test.ts test lost sessions and revoked
// handles. Rules: R4.

import { describe, expect, test } from 'vitest';
import { CLOSE_TRIES_MAX, REOPEN_RETRY_MS } from './limits.ts';
import { RevokeScene } from '../testing/revoke-scene.ts';
import { OP } from '../wire/frames.ts';
import { FailureAnswer, TAKE } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import { Attachment } from './attachment.ts';
import { SlabPool } from './replay/replay-blocks.ts';
import { ReplayLog } from './replay/replay-log.ts';

const SMALL_LOG_BYTES = 64 * 1024;
const EXECUTING = FailureAnswer.encode({ sentence: 'Requests of this handle are still executing', holders: [] });

/** Closes the attachment, and returns the list to which each report about its release is added. */
function closing(world: RevokeScene): (string | null)[] {
  const said: (string | null)[] = [];
  world.opener.close(world.attachment, (problem) => said.push(problem));
  world.settle();
  return said;
}

describe('CLOSE waits for requests in flight', () => {
  test('including the internal FLUSH of the log', () => {
    const log = new ReplayLog(SMALL_LOG_BYTES, new SlabPool(4), null);
    const world = new RevokeScene(1, new Attachment('archive', 0, false, 0, log));
    world.answerOpen({ handle: 7 });
    for (let lba = 0; !world.waiting.includes('FLUSH 7'); lba += 8) {
      if (lba > 0) world.answer(OP.WRITE, STATUS.OK);
      world.submit(OP.WRITE, lba);
    }
    while (world.waiting.includes('WRITE 7')) world.answer(OP.WRITE, STATUS.OK);
    const said = closing(world);
    expect([world.waiting, said]).toEqual([['FLUSH 7'], []]);
    world.answer(OP.FLUSH, STATUS.OK);
    expect([world.waiting, said]).toEqual([['CLOSE 7'], []]);
    world.answer(OP.CLOSE, STATUS.OK);
    expect(said).toEqual([null]);
  });

  test('which are lost with the session: the volume is opened in the next one and closed', () => {
    const world = RevokeScene.opened();
    world.submit(OP.READ, 1);
    const said = closing(world);
    expect(world.waiting).toEqual(['READ 7']);
    world.loseSession();
    expect([world.waiting, said]).toEqual([['OPEN'], []]);
    world.answerOpen({ handle: 3 });
    world.answer(OP.CLOSE, STATUS.OK);
    expect(said).toEqual([null]);
  });

  test('if the trunk ends meanwhile, the caller learns that the hold may remain', () => {
    const world = RevokeScene.opened();
    world.submit(OP.READ, 1);
    const said = closing(world);
    world.scene.whenEnded = (status, reason) => world.opener.end(status, reason);
    world.scene.trunk.end(STATUS.SHUTTING_DOWN, 'The daemon ends');
    world.settle();
    expect(said).toEqual([expect.any(String)]);
  });
});

describe('a CLOSE that is not answered OK does not count as the end of the hold', () => {
  test('refused because a request still executes: it is sent again', () => {
    const world = RevokeScene.opened();
    const said = closing(world);
    world.answer(OP.CLOSE, STATUS.BAD_REQUEST, EXECUTING);
    expect([world.waiting, said]).toEqual([[], []]);
    world.settle(REOPEN_RETRY_MS);
    expect([world.waiting, said]).toEqual([['CLOSE 7'], []]);
    world.answer(OP.CLOSE, STATUS.OK);
    expect(said).toEqual([null]);
  });

  test('refused again and again: the reason is reported, and the next attachment does not wait', () => {
    const world = RevokeScene.opened();
    const said = closing(world);
    for (let tries = 0; tries < CLOSE_TRIES_MAX; tries++) {
      world.answer(OP.CLOSE, STATUS.BAD_REQUEST, EXECUTING);
      world.settle(REOPEN_RETRY_MS);
    }
    expect([world.waiting, said]).toEqual([[], ['Requests of this handle are still executing']]);
    world.opener.add(new Attachment('archive', 0, false, TAKE.NO, null));
    world.settle();
    expect(world.waiting).toEqual(['OPEN']);
  });

  test('refused, and the next attempt is in another session: no handle of that one is closed', () => {
    const world = RevokeScene.opened();
    closing(world);
    world.answer(OP.CLOSE, STATUS.BAD_REQUEST, EXECUTING);
    world.loseSession();
    world.settle(REOPEN_RETRY_MS);
    expect(world.waiting).toEqual(['OPEN']);
  });

  test('its last flush failed: the failure is reported', () => {
    const world = RevokeScene.opened();
    const said = closing(world);
    world.answer(OP.CLOSE, STATUS.IO_ERROR, FailureAnswer.encode({ sentence: 'The storage failed', holders: [] }));
    expect(said).toEqual(['The storage failed']);
  });

  test('opened again for it while the server has no storage: it is retried', () => {
    const world = RevokeScene.opened();
    const said = closing(world);
    world.loseSession();
    world.refuseOpen(STATUS.VOLUME_UNAVAILABLE, 'Its file is not there');
    world.settle(REOPEN_RETRY_MS);
    expect([world.waiting, said]).toEqual([['OPEN'], []]);
  });
});

describe('a volume that is just being opened again', () => {
  // Regression: a detach reported success at once, although the hold remained for another second, or forever.
  test('is closed when the handle from OPEN is released', () => {
    const world = RevokeScene.opened();
    world.loseSession();
    const said = closing(world);
    world.answerOpen({ handle: 3 });
    expect([world.waiting, said]).toEqual([['CLOSE 3'], []]);
    world.answer(OP.CLOSE, STATUS.OK);
    expect(said).toEqual([null]);
  });

  test.each([
    [STATUS.TAKEN, [], [null]],
    [STATUS.HELD, ['OPEN'], []],
    [STATUS.BESIDE, [], [null]],
    [STATUS.VOLUME_UNAVAILABLE, ['OPEN'], []],
  ] as const)('OPEN is answered %i', (status, waiting, then) => {
    const world = RevokeScene.opened();
    world.loseSession();
    const said = closing(world);
    world.refuseOpen(status, 'Not now');
    world.settle(REOPEN_RETRY_MS);
    expect([world.waiting, said]).toEqual([waiting, then]);
  });
});

describe('an invalid answer to OPEN', () => {
  test('of an attachment that was closed meanwhile: it is reported, and the next one is opened', () => {
    const world = RevokeScene.opened();
    const said = closing(world);
    world.loseSession();
    world.answer(OP.OPEN, STATUS.OK, Buffer.from('nonsense'));
    expect(said).toEqual([expect.stringContaining('Its server sent an invalid answer to OPEN')]);
    world.opener.add(new Attachment('archive', 0, false, TAKE.NO, null));
    world.settle();
    expect(world.waiting).toEqual(['OPEN']);
  });
});
