// The end of a hold, as a detach waits for it: CLOSE is said when nothing of the handle runs any more, and counts only when the server has
// said OK. The server is a script; lost sessions and revoked handles are opener.test.ts's and revoke-lost.test.ts's.

import { describe, expect, test } from 'vitest';
import { CLOSE_TRIES_MAX, REOPEN_RETRY_MS } from './limits.ts';
import { RevokeScene } from '../testing/revoke-scene.ts';
import { OP } from '../wire/frames.ts';
import { encodeFailureAnswer } from '../wire/message-codec.ts';
import { STATUS } from '../wire/status.ts';
import { Attachment } from './attachment.ts';
import { SlabPool } from './replay/replay-blocks.ts';
import { ReplayLog } from './replay/replay-log.ts';

const SMALL_LOG_BYTES = 64 * 1024;
const EXECUTING = encodeFailureAnswer({ sentence: 'Requests of this handle are still executing', holders: [] });

/** Closes the attachment; gives what was said of that. */
function closing(world: RevokeScene): (string | null)[] {
  const said: (string | null)[] = [];
  world.opener.close(world.attachment, (problem) => said.push(problem));
  world.settle();
  return said;
}

describe('CLOSE waits for what is out', () => {
  test("also for the log's own FLUSH, of which nobody else knows", () => {
    const log = new ReplayLog(SMALL_LOG_BYTES, new SlabPool(4));
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

  test('which the session takes with it: the volume is opened in the next one, and closed', () => {
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

  test('a trunk that ends meanwhile: whoever waits hears that the hold may stay', () => {
    const world = RevokeScene.opened();
    world.submit(OP.READ, 1);
    const said = closing(world);
    world.scene.whenEnded = (status, reason) => world.opener.end(status, reason);
    world.scene.trunk.end(STATUS.SHUTTING_DOWN, 'The daemon ends');
    world.settle();
    expect(said).toEqual([expect.any(String)]);
  });
});

describe('a CLOSE that is not answered OK is not taken for the end of the hold', () => {
  test('refused, because something executes still: it is said again', () => {
    const world = RevokeScene.opened();
    const said = closing(world);
    world.answer(OP.CLOSE, STATUS.BAD_REQUEST, EXECUTING);
    expect([world.waiting, said]).toEqual([[], []]);
    world.settle(REOPEN_RETRY_MS);
    expect([world.waiting, said]).toEqual([['CLOSE 7'], []]);
    world.answer(OP.CLOSE, STATUS.OK);
    expect(said).toEqual([null]);
  });

  test('refused again and again: the reason is said, and the next attachment is not kept waiting', () => {
    const world = RevokeScene.opened();
    const said = closing(world);
    for (let tries = 0; tries < CLOSE_TRIES_MAX; tries++) {
      world.answer(OP.CLOSE, STATUS.BAD_REQUEST, EXECUTING);
      world.settle(REOPEN_RETRY_MS);
    }
    expect([world.waiting, said]).toEqual([[], ['Requests of this handle are still executing']]);
    world.opener.add(new Attachment('archive', 0, false));
    world.settle();
    expect(world.waiting).toEqual(['OPEN']);
  });

  test('refused, and the session is another one by the next try: no handle of that is closed', () => {
    const world = RevokeScene.opened();
    closing(world);
    world.answer(OP.CLOSE, STATUS.BAD_REQUEST, EXECUTING);
    world.loseSession();
    world.settle(REOPEN_RETRY_MS);
    expect(world.waiting).toEqual(['OPEN']);
  });

  test('its last flush failed: that is said', () => {
    const world = RevokeScene.opened();
    const said = closing(world);
    world.answer(OP.CLOSE, STATUS.IO_ERROR, encodeFailureAnswer({ sentence: 'The storage failed', holders: [] }));
    expect(said).toEqual(['The storage failed']);
  });

  test('opened anew for it, and the server has no storage for that now: it is tried again', () => {
    const world = RevokeScene.opened();
    const said = closing(world);
    world.loseSession();
    world.refuseOpen(STATUS.VOLUME_UNAVAILABLE, 'Its file is not there');
    world.settle(REOPEN_RETRY_MS);
    expect([world.waiting, said]).toEqual([['OPEN'], []]);
  });
});

describe('a volume that is just being opened again', () => {
  // Once that was taken for done: a detach said so while the hold stayed for another second, or for ever.
  test('is closed when what OPEN gives is given back', () => {
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

describe('an answer to OPEN that cannot be read', () => {
  test('of an attachment that is closed meanwhile: it is said, and the next one is opened', () => {
    const world = RevokeScene.opened();
    const said = closing(world);
    world.loseSession();
    world.answer(OP.OPEN, STATUS.OK, Buffer.from('nonsense'));
    expect(said).toEqual([expect.stringContaining('Its server sent an invalid answer to OPEN')]);
    world.opener.add(new Attachment('archive', 0, false));
    world.settle();
    expect(world.waiting).toEqual(['OPEN']);
  });
});
