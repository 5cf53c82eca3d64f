// Tests an attachment whose volume another client has taken, and an attachment that is detached while its handle is revoked. Every loss is
// reported, no hold is left behind, and the client sends no request that the server cannot execute. The server is a script. revoke.test.ts
// tests which requests are sent again. Rules: R4.

import { describe, expect, test } from 'vitest';
import { CLOSE_TRIES_MAX, REOPEN_RETRY_MS } from './limits.ts';
import { REVOKED, RevokeScene } from '../testing/revoke-scene.ts';
import { OP } from '../wire/frames.ts';
import { Farewell, IOCTL, TAKE } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import { Attachment } from './attachment.ts';

describe('an idle client', () => {
  test('sends one IDENTIFY at a time, and learns of a revoked handle by STALE', () => {
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

describe('a reason for IDENTIFY while one is in flight', () => {
  test('it is sent once more, because that answer may be from before the revocation', () => {
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

  test('and no more than once for all of them, and not if it is closed meanwhile', () => {
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
  test('TAKEN: all I/O is answered TAKEN, and nothing more is sent', () => {
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

  test('if the server grants it under another identity, its handle is released', () => {
    const world = RevokeScene.opened();
    const write = world.submit(OP.WRITE, 1);
    world.loseSession();
    world.answerOpen({ handle: 4, identity: 'another' });
    expect([world.scene.statusOf(write), world.waiting]).toEqual([STATUS.TAKEN, ['CLOSE 4']]);
  });

  test('HELD, from older servers: it waits and retries', () => {
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

  test('sessions lost while it waits do not make it retry more often', () => {
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

  test('only the first OPEN asks for a take-over, even if it is sent again', () => {
    const world = new RevokeScene(1, new Attachment('archive', 0, false, TAKE.FORCE, null));
    expect(world.openRequests).toMatchObject([{ take: TAKE.FORCE, resume: null }]);
    world.loseSession();
    expect(world.openRequests).toMatchObject([{ take: TAKE.FORCE, resume: null }]);
    world.answerOpen({ handle: 7 });
    world.loseSession();
    expect(world.openRequests).toMatchObject([{ take: TAKE.NO, resume: 'identity' }]);
  });

  test('an abandoned take-over takes nothing if its OPEN was lost', () => {
    const world = new RevokeScene(1, new Attachment('archive', 0, false, TAKE.OVER, null));
    world.close();
    world.loseSession();
    expect(world.openRequests).toMatchObject([{ take: TAKE.NO, resume: null }]);
  });
});

describe('detached while its handle is revoked', () => {
  test('CLOSE answered STALE: the volume is opened once more and closed', () => {
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

  test('CLOSE always answered STALE: retried once a second, a limited number of times', () => {
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

  test('in phase revoked: its hold is opened again after the abandoned requests, and released', () => {
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

  test('while it waits to be opened again: one more OPEN, which must not take a hold', () => {
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
  test('BYE E_REPLACED on a path is reported once to the owner of the trunk; another BYE is not', () => {
    const { scene } = RevokeScene.opened();
    const bye = (code: string): Buffer => Farewell.encode({ code, sentence: 'Node a was started anew' });
    scene.server.paths.at(-1)!.say(OP.BYE, 0, bye('E_NO_SESSION'));
    scene.clock.advance(1000);
    expect(scene.replaced).toEqual([]);
    scene.server.paths.at(-1)!.say(OP.BYE, 0, bye('E_REPLACED'));
    scene.clock.advance(1);
    expect(scene.replaced).toEqual(['Node a was started anew']);
  });

  test('all its I/O fails with the reason, including requests in flight', () => {
    const world = RevokeScene.opened();
    const [write, read] = [world.submit(OP.WRITE, 1), world.submit(OP.READ, 2)];
    world.opener.failAll(STATUS.TAKEN, 'Replaced');
    const later = world.submit(OP.READ, 1);
    expect([write, read, later].map((request) => world.scene.statusOf(request))).toEqual([STATUS.TAKEN, STATUS.TAKEN, STATUS.TAKEN]);
    expect([world.said, world.attachment.reason]).toEqual([[`failed ${STATUS.TAKEN}: Replaced`], 'Replaced']);
  });
});
