// Tests a handle that the server revokes. Requests that are answered with STALE are sent again on a new handle, which is opened when no
// request of the old handle is in flight. Also tests the reports to the server (SETTLED). The server is a script; revoke-random.test.ts
// uses random events, and revoke-lost.test.ts tests volumes that another client has taken. Rules: R4.

import { describe, expect, test } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { REOPEN_RETRY_MS } from './limits.ts';
import { REVOKED, RevokeScene } from '../testing/revoke-scene.ts';
import { OP } from '../wire/frames.ts';
import { IOCTL, TAKE } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';

describe('a handle that was revoked', () => {
  test('no new request is sent; after the requests in flight, all are sent again in the order of R2', () => {
    const world = RevokeScene.opened();
    const [write, read, other] = [world.submit(OP.WRITE, 1), world.submit(OP.READ, 2), world.submit(OP.WRITE, 3)];
    world.answer(OP.WRITE, STATUS.STALE);
    const later = world.submit(OP.WRITE, 4);
    expect([world.attachment.phase, world.attachment.standing]).toEqual(['revoked', 'recovering']);
    expect(world.waiting).toEqual(['READ 7', 'WRITE 7']);
    world.answer(OP.READ, STATUS.STALE);
    world.answer(OP.WRITE, STATUS.OK);
    expect([world.scene.statusOf(other), world.scene.statusOf(write), world.attachment.phase]).toEqual([STATUS.OK, null, 'opening']);
    expect(world.said).toEqual([REVOKED]);
    world.settle(REOPEN_RETRY_MS);
    expect(world.openRequests.at(-1)).toEqual({
      name: 'archive',
      universe: 0,
      readonly: false,
      take: TAKE.NO,
      resume: 'identity',
      mirror: null,
    });
    world.answerOpen({ handle: 8 });
    expect([world.attachment.phase, world.waiting]).toEqual(['resending', ['WRITE 8']]);
    world.answer(OP.WRITE, STATUS.OK);
    expect([world.scene.statusOf(write), world.attachment.phase]).toEqual([STATUS.OK, 'ready']);
    expect(world.waiting).toEqual(['IOCTL 8', 'READ 8', 'WRITE 8']);
    world.answer(OP.READ, STATUS.OK, Buffer.alloc(SECTOR_BYTES));
    world.answer(OP.WRITE, STATUS.OK);
    expect([world.scene.statusOf(read), world.scene.statusOf(later)]).toEqual([STATUS.OK, STATUS.OK]);
    expect(world.said).toEqual([REVOKED, 'open again']);
  });

  test('a change that overlaps one answered STALE is sent after it', () => {
    const world = RevokeScene.opened();
    const first = world.submit(OP.WRITE, 5);
    const second = world.submit(OP.WRITE, 5);
    world.answer(OP.WRITE, STATUS.STALE);
    world.settle(REOPEN_RETRY_MS);
    const third = world.submit(OP.WRITE, 5);
    world.answerOpen({ handle: 8 });
    for (const request of [first, second, third]) {
      expect(world.waiting.filter((one) => one.startsWith('WRITE'))).toEqual(['WRITE 8']);
      expect(world.scene.statusOf(request)).toBeNull();
      world.answer(OP.WRITE, STATUS.OK);
      expect(world.scene.statusOf(request)).toBe(STATUS.OK);
    }
  });

  test('again while its requests are sent again, and by an IOCTL', () => {
    const world = RevokeScene.opened();
    const [write, other] = [world.submit(OP.WRITE, 1), world.submit(OP.WRITE, 2)];
    for (let times = 0; times < 2; times++) world.answer(OP.WRITE, STATUS.STALE);
    world.settle(REOPEN_RETRY_MS);
    world.answerOpen({ handle: 8 });
    world.answer(OP.WRITE, STATUS.OK);
    world.answer(OP.WRITE, STATUS.STALE);
    world.settle(REOPEN_RETRY_MS);
    world.answerOpen({ handle: 9 });
    world.answer(OP.WRITE, STATUS.OK);
    expect([write, other].map((request) => world.scene.statusOf(request))).toEqual([STATUS.OK, STATUS.OK]);
    expect(world.waiting).toEqual(['IOCTL 9']);
    world.answer(OP.IOCTL, STATUS.STALE);
    world.settle(REOPEN_RETRY_MS);
    world.answerOpen({ handle: 10 });
    expect([world.attachment.phase, world.waiting]).toEqual(['ready', ['IOCTL 10']]);
  });

  test('its session is lost while requests are in flight: one OPEN in the new one, and all are recovered', () => {
    const world = RevokeScene.opened();
    const [write, other, read] = [world.submit(OP.WRITE, 1), world.submit(OP.WRITE, 2), world.submit(OP.READ, 3)];
    world.answer(OP.WRITE, STATUS.STALE);
    expect(world.attachment.phase).toBe('revoked');
    world.loseSession();
    expect(world.waiting).toEqual(['OPEN']);
    world.answerOpen({ handle: 1 });
    expect(world.waiting).toEqual(['WRITE 1', 'WRITE 1']);
    for (let times = 0; times < 2; times++) world.answer(OP.WRITE, STATUS.OK);
    expect(world.waiting).toEqual(['IOCTL 1', 'READ 1']);
    world.answer(OP.READ, STATUS.OK, Buffer.alloc(SECTOR_BYTES));
    expect([write, other, read].map((request) => world.scene.statusOf(request))).toEqual([STATUS.OK, STATUS.OK, STATUS.OK]);
    world.settle(REOPEN_RETRY_MS * 2);
    expect(world.openRequests.length).toBe(1);
  });

  test('I/O is abandoned while requests are in flight: none is sent again, and the session is left', () => {
    const world = RevokeScene.opened();
    const [write, other] = [world.submit(OP.WRITE, 1), world.submit(OP.WRITE, 2)];
    world.answer(OP.WRITE, STATUS.STALE);
    const later = world.submit(OP.READ, 3);
    expect(new Set(world.scene.trunk.abandon(world.attachment))).toEqual(new Set([write, other, later]));
    world.loseSession();
    world.answerOpen({ handle: 1 });
    expect([world.attachment.phase, world.waiting]).toEqual(['ready', ['IOCTL 1']]);
  });

  test('a path dies meanwhile: a copy is sent over another one, with the old handle', () => {
    const world = RevokeScene.opened(2);
    const requests = [world.submit(OP.WRITE, 1), world.submit(OP.WRITE, 2)];
    const [kept] = world.open(OP.WRITE);
    world.answer(OP.WRITE, STATUS.STALE);
    const dying = world.paths.findIndex((path) => path !== kept!.path);
    world.scene.network.routes[dying]!.reach = 'refused';
    world.paths[dying]!.connection.close('cut', true);
    world.settle();
    expect(kept!.path.requests(OP.WRITE).map(({ header }) => header.handle)).toEqual([7, 7]);
    expect(world.openRequests.length).toBe(1);
    world.answer(OP.WRITE, STATUS.STALE);
    world.settle(REOPEN_RETRY_MS);
    expect([world.openRequests.length, requests.map((request) => world.scene.statusOf(request))]).toEqual([2, [null, null]]);
  });

  test('a server that always revokes gets one OPEN a second, which is reported once', () => {
    const world = RevokeScene.opened();
    const write = world.submit(OP.WRITE, 1);
    for (let handle = 8; handle < 60; handle++) {
      world.answer(OP.WRITE, STATUS.STALE);
      world.settle(REOPEN_RETRY_MS);
      world.answerOpen({ handle });
    }
    expect(world.openRequests.length).toBe(53);
    expect(world.said).toEqual([REVOKED, 'open again', 'waits: Its server revokes each new handle at once: retrying every 1 s']);
    world.answer(OP.WRITE, STATUS.OK);
    expect(world.scene.statusOf(write)).toBe(STATUS.OK);
  });
});

describe('SETTLED', () => {
  const settled = (world: RevokeScene): number[] => world.open(OP.IOCTL).map(({ frame }) => frame.header.aux);

  test('is sent once on each resumed handle, even if nothing was recovered, and not on the first', () => {
    const world = RevokeScene.opened();
    expect(settled(world)).toEqual([]);
    for (const handle of [1, 2]) {
      world.loseSession();
      world.answerOpen({ handle });
      expect(settled(world)).toEqual([IOCTL.SETTLED]);
    }
    // The server does not support SETTLED.
    world.answer(OP.IOCTL, STATUS.UNSUPPORTED);
    world.settle(REOPEN_RETRY_MS * 2);
    expect([world.attachment.phase, world.waiting]).toEqual(['ready', []]);
  });

  test('CLOSE waits for it, and for IDENTIFY', () => {
    const world = RevokeScene.opened();
    world.loseSession();
    world.answerOpen({ handle: 2 });
    world.opener.verify(world.attachment);
    world.settle();
    world.close();
    expect(world.waiting).toEqual(['IOCTL 2', 'IOCTL 2']);
    for (let times = 0; times < 2; times++) world.answer(OP.IOCTL, STATUS.OK);
    expect(world.waiting).toEqual(['CLOSE 2']);
    world.answer(OP.CLOSE, STATUS.OK);
    expect(world.closed).toBe(1);
  });

  test('lost with its session while CLOSE waits for it: the handle of the old session is not closed in the new one', () => {
    const world = RevokeScene.opened();
    world.loseSession();
    world.answerOpen({ handle: 2 });
    world.close();
    world.loseSession();
    expect(world.waiting).toEqual(['OPEN']);
    world.answerOpen({ handle: 5 });
    expect(world.waiting).toEqual(['CLOSE 5']);
  });
});
