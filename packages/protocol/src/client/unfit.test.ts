// Tests a volume that is reopened read-only, shared, or with another block size. The attachment sends no unflushed writes to this volume.
// The attachment stalls, reports the reason, and keeps its log and its hold. The attachment continues when the volume has its old
// properties again.
// The server is a script; packages/rssrv tests what a real server refuses at its start. Rules: R6.

import { describe, expect, test } from 'vitest';
import { UNFIT_RETRY_MS } from './limits.ts';
import { RevokeScene } from '../testing/revoke-scene.ts';
import { OP } from '../wire/frames.ts';
import type { OpenAnswer } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import { Attachment } from './attachment.ts';
import { SlabPool } from './replay/replay-blocks.ts';
import { ReplayLog } from './replay/replay-log.ts';

const LOG_BYTES = 1024 * 1024;

/** Returns a scene whose volume is open under handle 7, with one WRITE that is answered but not flushed. */
function written(readonly = false): RevokeScene {
  const log = readonly ? null : new ReplayLog(LOG_BYTES, new SlabPool(4), null);
  const world = new RevokeScene(1, new Attachment('archive', 0, readonly, 0, log));
  world.answerOpen({ handle: 7, readonly });
  if (!readonly) {
    world.submit(OP.WRITE, 4);
    world.answer(OP.WRITE, STATUS.OK);
  }
  world.said.length = 0;
  return world;
}

const UNFIT: readonly (readonly [string, Partial<OpenAnswer>, RegExp])[] = [
  ['read-only', { readonly: true }, /is now read-only on its server/],
  ['shared', { shared: true, identity: 'id.shared' }, /is now shared/],
  ['in larger blocks', { blockSizeBytes: 4096 }, /now has blocks of 4096 bytes/],
];

describe.each(UNFIT)('a held volume that comes back %s', (_what, change, sentence) => {
  test('stalls and reports it: no READ, no FLUSH, no SETTLED, and its log is kept', () => {
    const world = written();
    world.loseSession();
    const flush = world.submit(OP.FLUSH);
    const read = world.submit(OP.READ, 4);
    world.answerOpen({ handle: 4, life: 'next', ...change });
    world.settle(3 * UNFIT_RETRY_MS - 100);
    expect([flush, read].map((request) => world.scene.statusOf(request))).toEqual([null, null]);
    expect(world.waiting).toEqual(['OPEN']);
    expect(world.said).toHaveLength(1);
    expect(world.said[0]).toMatch(sentence);
    expect(world.attachment.reason).toMatch(sentence);
    expect([world.attachment.phase, world.attachment.standing]).toEqual(['opening', 'halted']);
    expect(world.attachment.log?.isEmpty).toBe(false);
  });

  test('continues when it has its old form: the log is sent first, and the kept handle is released', () => {
    const world = written();
    world.loseSession();
    const flush = world.submit(OP.FLUSH);
    world.answerOpen({ handle: 4, life: 'next', ...change });
    world.settle(UNFIT_RETRY_MS);
    world.answerOpen({ handle: 5, life: 'next' });
    expect(world.waiting).toEqual(['CLOSE 4', 'WRITE 5']);
    world.answer(OP.CLOSE, STATUS.OK);
    world.answer(OP.WRITE, STATUS.OK);
    expect(world.waiting.toSorted()).toEqual(['FLUSH 5', 'IOCTL 5']);
    world.answer(OP.FLUSH, STATUS.OK);
    expect(world.scene.statusOf(flush)).toBe(STATUS.OK);
    expect(world.attachment.log?.isEmpty).toBe(true);
  });
});

describe('while it waits', () => {
  test('one handle is kept, so that the hold stays: the previous one is released when the next is open', () => {
    const world = written();
    world.loseSession();
    world.answerOpen({ handle: 4, readonly: true });
    expect(world.waiting).toEqual([]);
    world.settle(UNFIT_RETRY_MS);
    world.answerOpen({ handle: 5, readonly: true });
    expect(world.waiting).toEqual(['CLOSE 4']);
    world.answer(OP.CLOSE, STATUS.OK);
    world.settle(UNFIT_RETRY_MS);
    expect(world.waiting).toEqual(['OPEN']);
    expect(world.said).toHaveLength(1);
  });

  test('an unanswered WRITE waits too, even if the log is empty', () => {
    const world = RevokeScene.opened();
    const write = world.submit(OP.WRITE, 1);
    world.loseSession();
    world.answerOpen({ handle: 4, readonly: true });
    expect([world.scene.statusOf(write), world.waiting]).toEqual([null, []]);
    world.settle(UNFIT_RETRY_MS);
    world.answerOpen({ handle: 5 });
    expect(world.waiting.toSorted()).toEqual(['CLOSE 4', 'WRITE 5']);
  });

  test('detached: the kept handle is released, and no other is requested', () => {
    const world = written();
    world.loseSession();
    world.answerOpen({ handle: 4, readonly: true });
    world.close();
    expect([world.waiting, world.closed]).toEqual([['CLOSE 4'], 0]);
    world.answer(OP.CLOSE, STATUS.OK);
    world.settle(2 * UNFIT_RETRY_MS);
    expect([world.waiting, world.closed]).toEqual([[], 1]);
  });

  test('detached while the next OPEN is in flight: both handles are released', () => {
    const world = written();
    world.loseSession();
    world.answerOpen({ handle: 4, readonly: true });
    world.settle(UNFIT_RETRY_MS);
    world.close();
    world.answerOpen({ handle: 5, readonly: true });
    expect(world.waiting).toEqual(['CLOSE 4', 'CLOSE 5']);
  });

  test('a handle of a lost session is not used any more', () => {
    const world = written();
    world.loseSession();
    world.answerOpen({ handle: 4, readonly: true });
    world.loseSession();
    world.answerOpen({ handle: 4 });
    expect(world.waiting.filter((one) => one.startsWith('CLOSE'))).toEqual([]);
  });

  test('taken by another client: it fails, and the kept handle is released', () => {
    const world = written();
    world.loseSession();
    world.answerOpen({ handle: 4, readonly: true });
    world.settle(UNFIT_RETRY_MS);
    world.refuseOpen(STATUS.TAKEN, 'big4 took it over');
    expect(world.waiting).toEqual(['CLOSE 4']);
    expect(world.said.at(-1)).toBe(`failed ${STATUS.TAKEN}: big4 took it over`);
  });
});

describe('a volume attached read-only', () => {
  test('stays read-only when its server serves it writable, and does not stall', () => {
    const world = written(true);
    world.loseSession();
    const read = world.submit(OP.READ, 4);
    world.answerOpen({ handle: 4, readonly: false, shared: true });
    expect([world.attachment.phase, world.attachment.volume?.readonly]).toEqual(['ready', true]);
    expect([world.waiting.includes('READ 4'), world.scene.statusOf(read)]).toEqual([true, null]);
  });

  test('stalls when its block size changes, because readers depend on it', () => {
    const world = written(true);
    world.loseSession();
    world.answerOpen({ handle: 4, readonly: true, blockSizeBytes: 4096 });
    expect(world.said.at(-1)).toMatch(/now has blocks of 4096 bytes/);
  });
});
