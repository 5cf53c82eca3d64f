// Tests a session whose handle numbers are used up. The next OPEN starts a new session, and no request in flight is lost. The server is a
// script; packages/rssrv tests how a real server ends a session. Rules: R7.

import { expect, test } from 'vitest';
import { REOPEN_RETRY_MS, SESSION_RENEW_MS } from './limits.ts';
import { RevokeScene } from '../testing/revoke-scene.ts';
import { OP } from '../wire/frames.ts';
import { STATUS } from '../wire/status.ts';
import { Attachment } from './attachment.ts';
import { TAKE } from '../wire/messages.ts';

const FULL = 'The session has too many open handles';

/** Lets the client's paths reconnect, and lets the server start a new session for these paths. */
function newSession(world: RevokeScene): void {
  world.scene.server.loseSession();
  world.settle(100);
}

function another(world: RevokeScene): Attachment {
  const attachment = new Attachment('other', 0, false, TAKE.NO, null);
  world.opener.add(attachment);
  world.settle();
  return attachment;
}

test('TOO_MANY_HANDLES with few open: the session is left, and the next one gets the requests in flight and the OPEN', () => {
  const world = RevokeScene.opened();
  const write = world.submit(OP.WRITE, 1);
  const other = another(world);
  world.refuseOpen(STATUS.TOO_MANY_HANDLES, FULL);
  expect([world.said, other.phase, world.scene.trunk.session]).toEqual([[], 'opening', null]);
  newSession(world);
  expect(world.openRequests.map(({ name }) => name)).toEqual(['archive', 'other']);
  world.answerOpen({ handle: 1 });
  world.answerOpen({ handle: 2, identity: 'other' });
  expect(other.phase).toBe('ready');
  world.answer(OP.WRITE, STATUS.OK);
  expect(world.scene.statusOf(write)).toBe(STATUS.OK);
});

test('the same answer in the next session is believed', () => {
  const world = RevokeScene.opened();
  another(world);
  world.refuseOpen(STATUS.TOO_MANY_HANDLES, FULL);
  newSession(world);
  world.answerOpen({ handle: 1 });
  world.refuseOpen(STATUS.TOO_MANY_HANDLES, FULL);
  expect(world.said.at(-1)).toBe(`failed ${STATUS.TOO_MANY_HANDLES}: ${FULL}`);
  expect(world.scene.trunk.session).not.toBeNull();
  world.settle(SESSION_RENEW_MS);
  another(world);
  world.refuseOpen(STATUS.TOO_MANY_HANDLES, FULL);
  expect(world.scene.trunk.session).toBeNull();
});

test('a CLOSE that needs an OPEN without a handle left: the session is left, and the next one does it', () => {
  const world = RevokeScene.opened();
  const said: (string | null)[] = [];
  world.opener.close(world.attachment, (problem) => said.push(problem));
  world.settle();
  world.answer(OP.CLOSE, STATUS.STALE);
  world.refuseOpen(STATUS.TOO_MANY_HANDLES, FULL);
  expect(world.scene.trunk.session).toBeNull();
  newSession(world);
  world.settle(REOPEN_RETRY_MS);
  world.answerOpen({ handle: 1 });
  world.answer(OP.CLOSE, STATUS.OK);
  expect(said).toEqual([null]);
});
