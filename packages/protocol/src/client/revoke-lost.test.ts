// An attachment whose volume is another client's now, or that is detached while its handle is revoked: nothing is lost without a word, no
// hold is left behind, and nobody is asked for what cannot be had. The server is a script; what is sent again is revoke.test.ts's.

import { describe, expect, test } from 'vitest';
import { CLOSE_TRIES_MAX, REOPEN_RETRY_MS } from './limits.ts';
import { REVOKED, RevokeScene } from '../testing/revoke-scene.ts';
import { OP } from '../wire/frames.ts';
import { encodeFarewell } from '../wire/message-codec.ts';
import { IOCTL, TAKE } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import { Attachment } from './attachment.ts';

describe('an idle client', () => {
  test('asks IDENTIFY once at a time, and hears of a revoked handle by STALE', () => {
    const world = RevokeScene.opened();
    for (let times = 0; times < 3; times++) world.opener.verify(world.attachment);
    world.settle();
    expect(world.open(OP.IOCTL).map(({ frame }) => frame.header.aux)).toEqual([IOCTL.IDENTIFY]);
    world.answer(OP.IOCTL, STATUS.STALE);
    world.settle(REOPEN_RETRY_MS);
    world.refuseOpen(STATUS.TAKEN, 'big4 took it over');
    expect(world.said).toEqual([REVOKED, `failed ${STATUS.TAKEN}: big4 took it over`]);
  });
});

describe('a reason to ask that comes while IDENTIFY is out', () => {
  test('it is asked once more: that answer may be from before the handle was revoked', () => {
    const world = RevokeScene.opened();
    for (let times = 0; times < 3; times++) world.opener.verify(world.attachment);
    world.settle();
    world.answer(OP.IOCTL, STATUS.OK);
    expect(world.open(OP.IOCTL).map(({ frame }) => frame.header.aux)).toEqual([IOCTL.IDENTIFY]);
    world.answer(OP.IOCTL, STATUS.STALE);
    world.settle(REOPEN_RETRY_MS);
    world.refuseOpen(STATUS.TAKEN, 'big4 took it over');
    expect(world.said).toEqual([REVOKED, `failed ${STATUS.TAKEN}: big4 took it over`]);
  });

  test('and no more than once for all of them, nor when it is closed meanwhile', () => {
    const world = RevokeScene.opened();
    for (let times = 0; times < 3; times++) world.opener.verify(world.attachment);
    world.settle();
    for (let times = 0; times < 2; times++) world.answer(OP.IOCTL, STATUS.OK);
    expect(world.waiting).toEqual([]);
    for (let times = 0; times < 2; times++) world.opener.verify(world.attachment);
    world.settle();
    world.close();
    world.answer(OP.IOCTL, STATUS.OK);
    expect(world.waiting).toEqual(['CLOSE 7']);
  });
});

describe('a volume that another client has now', () => {
  test('TAKEN: all I/O is answered so, and nothing more is asked', () => {
    const world = RevokeScene.opened();
    const [write, read] = [world.submit(OP.WRITE, 1), world.submit(OP.READ, 2)];
    world.answer(OP.WRITE, STATUS.STALE);
    world.answer(OP.READ, STATUS.STALE);
    world.settle(REOPEN_RETRY_MS);
    const asked = world.openRequests.length;
    world.refuseOpen(STATUS.TAKEN, 'Node big4 took volume archive over');
    world.loseSession();
    world.settle(REOPEN_RETRY_MS * 3);
    const later = world.submit(OP.READ, 1);
    expect([write, read, later].map((request) => world.scene.statusOf(request))).toEqual([STATUS.TAKEN, STATUS.TAKEN, STATUS.TAKEN]);
    expect([asked, world.openRequests.length]).toEqual([2, 0]);
    expect(world.said).toEqual([REVOKED, `failed ${STATUS.TAKEN}: Node big4 took volume archive over`]);
  });

  test('a server that grants it under another identity gets its handle back', () => {
    const world = RevokeScene.opened();
    const write = world.submit(OP.WRITE, 1);
    world.loseSession();
    world.answerOpen({ handle: 4, identity: 'another' });
    expect([world.scene.statusOf(write), world.waiting]).toEqual([STATUS.TAKEN, ['CLOSE 4']]);
  });

  test('HELD, as older servers say: it waits, and asks again', () => {
    const world = RevokeScene.opened();
    const write = world.submit(OP.WRITE, 1);
    world.loseSession();
    world.refuseOpen(STATUS.HELD, 'Node big4 holds it');
    expect(world.said).toEqual(['waits: Node big4 holds it']);
    world.settle(REOPEN_RETRY_MS);
    world.answerOpen({ handle: 4 });
    world.answer(OP.WRITE, STATUS.OK);
    expect(world.scene.statusOf(write)).toBe(STATUS.OK);
  });

  test('sessions lost while it waits do not make it ask more often', () => {
    const world = RevokeScene.opened();
    for (let times = 0; times < 5; times++) {
      world.loseSession();
      world.refuseOpen(STATUS.HELD, 'Node big4 holds it');
      world.settle(50);
    }
    for (let times = 0; times < 5; times++) {
      world.settle(REOPEN_RETRY_MS);
      world.refuseOpen(STATUS.HELD, 'Node big4 holds it');
    }
    expect(world.openRequests.length).toBe(6);
  });

  test('a take-over is asked for by the first OPEN alone, also if that is sent again', () => {
    const world = new RevokeScene(1, new Attachment('archive', 0, false, TAKE.FORCE));
    expect(world.openRequests).toMatchObject([{ take: TAKE.FORCE, resume: null }]);
    world.loseSession();
    expect(world.openRequests).toMatchObject([{ take: TAKE.FORCE, resume: null }]);
    world.answerOpen({ handle: 7 });
    world.loseSession();
    expect(world.openRequests).toMatchObject([{ take: TAKE.NO, resume: 'identity' }]);
  });

  test('a take-over that nobody waits for any more takes nothing when its OPEN was lost', () => {
    const world = new RevokeScene(1, new Attachment('archive', 0, false, TAKE.OVER));
    world.close();
    world.loseSession();
    expect(world.openRequests).toMatchObject([{ take: TAKE.NO, resume: null }]);
  });
});

describe('detached while its handle is revoked', () => {
  test('CLOSE answered STALE: it is opened once more and closed', () => {
    const world = RevokeScene.opened();
    world.close();
    world.answer(OP.CLOSE, STATUS.STALE);
    world.settle();
    expect(world.openRequests.at(-1)).toMatchObject({ take: TAKE.NO, resume: 'identity' });
    world.answerOpen({ handle: 8 });
    expect([world.waiting, world.closed]).toEqual([['CLOSE 8'], 0]);
    world.answer(OP.CLOSE, STATUS.OK);
    expect(world.closed).toBe(1);
  });

  test('CLOSE answered STALE for ever: once a second, and not for ever', () => {
    const world = RevokeScene.opened();
    world.close();
    for (let tries = 1; tries < CLOSE_TRIES_MAX; tries++) {
      world.answer(OP.CLOSE, STATUS.STALE);
      expect([world.closed, world.openRequests.length <= tries + 1]).toEqual([0, true]);
      world.settle(REOPEN_RETRY_MS);
      world.answerOpen({ handle: 7 + tries });
    }
    world.answer(OP.CLOSE, STATUS.STALE);
    expect(world.closed).toBe(1);
  });

  test('in phase revoked: its hold is asked for anew when what is out was abandoned, and ended', () => {
    const world = RevokeScene.opened();
    world.submit(OP.WRITE, 1);
    world.submit(OP.WRITE, 2);
    world.answer(OP.WRITE, STATUS.STALE);
    world.scene.trunk.abandon(world.attachment);
    world.close();
    world.loseSession();
    world.answerOpen({ handle: 1 });
    expect(world.waiting).toEqual(['CLOSE 1']);
  });

  test('while it waits to be opened again: one more OPEN, which must not take anything', () => {
    const world = RevokeScene.opened();
    world.submit(OP.WRITE, 1);
    world.answer(OP.WRITE, STATUS.STALE);
    expect(world.attachment.phase).toBe('opening');
    world.close();
    world.settle(REOPEN_RETRY_MS);
    expect(world.openRequests.slice(1)).toMatchObject([{ take: TAKE.NO, resume: 'identity' }]);
    world.refuseOpen(STATUS.TAKEN, 'Node big4 has it');
    expect(world.closed).toBe(1);
  });
});

describe('an instance that was replaced', () => {
  test('BYE E_REPLACED on a path is told once to whoever keeps the trunk; another BYE is not', () => {
    const { scene } = RevokeScene.opened();
    const bye = (code: string): Buffer => encodeFarewell({ code, sentence: 'Node a was started anew' });
    scene.server.paths.at(-1)!.say(OP.BYE, 0, bye('E_NO_SESSION'));
    scene.clock.advance(1000);
    expect(scene.replaced).toEqual([]);
    scene.server.paths.at(-1)!.say(OP.BYE, 0, bye('E_REPLACED'));
    scene.clock.advance(1);
    expect(scene.replaced).toEqual(['Node a was started anew']);
  });

  test('all its I/O ends with the reason, what is out too', () => {
    const world = RevokeScene.opened();
    const [write, read] = [world.submit(OP.WRITE, 1), world.submit(OP.READ, 2)];
    world.opener.failAll(STATUS.TAKEN, 'Replaced');
    const later = world.submit(OP.READ, 1);
    expect([write, read, later].map((request) => world.scene.statusOf(request))).toEqual([STATUS.TAKEN, STATUS.TAKEN, STATUS.TAKEN]);
    expect([world.said, world.attachment.reason]).toEqual([[`failed ${STATUS.TAKEN}: Replaced`], 'Replaced']);
  });
});
