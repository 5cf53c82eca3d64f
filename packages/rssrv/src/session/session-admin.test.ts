// Tests ADMIN in a session: which requests reach the listener, how they are answered, how many may be unanswered, and that neither I/O nor
// the end of the session waits for an ADMIN. A script stands in for the listener. The tests in admin/ test the commands. Rules: A4.

import { expect, test } from 'vitest';
import { OP } from '@rsio/protocol/wire/frames';
import { ADMIN_PER_SESSION_MAX } from '@rsio/protocol/wire/limits';
import { ADMIN, AdminAnswer, AdminCall, AdminRest, FailureAnswer } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { type RawPath, SessionScene } from '../testing/raw-client.ts';
import type { AdminReply, AdminRequest } from './session-admin.ts';

const CALL = AdminCall.encode({ request: 'id', method: 'volume-list', params: Buffer.from('{}'), withinMs: 1_000 });
const DONE: AdminReply = { answer: 0, totalBytes: 12, part: Buffer.from('{"result":1}').toString('base64') };

class AdminScene extends SessionScene {
  readonly asked: AdminRequest[] = [];
  readonly replies: ((reply: AdminReply) => void)[] = [];
  readonly client: RawPath;

  constructor() {
    super();
    this.admin = (request) => {
      this.asked.push(request);
      return new Promise((resolve) => this.replies.push(resolve));
    };
    this.client = this.path();
  }

  send(slot: number, aux: number, body: Buffer, seq = 1): void {
    this.client.message(OP.ADMIN, { slot, seq }, body, 0, aux);
  }
}

test('a call and the rest of an answer reach the listener, and its replies the client', async () => {
  const scene = new AdminScene();
  scene.send(0, ADMIN.CALL, CALL);
  scene.send(1, ADMIN.REST, AdminRest.encode({ answer: 7, offset: 60 }));
  await scene.turn();
  expect(scene.asked).toEqual([
    { what: 'admin-call', id: 'id', method: 'volume-list', params: '{}', withinMs: 1_000 },
    { what: 'admin-rest', answer: 7, offset: 60 },
  ]);
  scene.replies[0]!(DONE);
  scene.replies[1]!({ adminStatus: STATUS.STALE, sentence: 'Gone' });
  await scene.turn();
  expect(scene.client.heard).toEqual(['ADMIN answer 0/1 status 0', `ADMIN answer 1/1 status ${STATUS.STALE}`]);
  const [answer, refusal] = scene.client.bodies;
  expect(AdminAnswer.decode(answer!, 0, answer!.length)).toEqual({ answer: 0, totalBytes: 12, part: Buffer.from('{"result":1}') });
  expect(FailureAnswer.decode(refusal!, 0, refusal!.length).sentence).toBe('Gone');
});

test('a copy over another path joins the call in execution, and a late one is answered from the slot', async () => {
  const scene = new AdminScene();
  const other = scene.path();
  scene.send(0, ADMIN.CALL, CALL);
  other.message(OP.ADMIN, { slot: 0, seq: 1 }, CALL, 0, ADMIN.CALL);
  await scene.turn();
  expect(scene.asked.length).toBe(1);
  scene.replies[0]!(DONE);
  await scene.turn();
  scene.send(0, ADMIN.CALL, CALL);
  await scene.turn();
  expect([scene.client.heard.length, other.heard.length, scene.asked.length]).toEqual([2, 1, 1]);
});

test('more calls than the bound are refused at once, and a place is free again after an answer', async () => {
  const scene = new AdminScene();
  for (let slot = 0; slot <= ADMIN_PER_SESSION_MAX; slot++) scene.send(slot, ADMIN.CALL, CALL);
  await scene.turn();
  expect(scene.asked.length).toBe(ADMIN_PER_SESSION_MAX);
  const [refusal] = scene.client.bodies;
  const { part } = AdminAnswer.decode(refusal!, 0, refusal!.length);
  expect(JSON.parse(Buffer.from(part).toString())).toMatchObject({ error: { code: 'E_LIMIT' } });
  scene.replies[0]!(DONE);
  await scene.turn();
  scene.send(20, ADMIN.CALL, CALL);
  await scene.turn();
  expect(scene.asked.length).toBe(ADMIN_PER_SESSION_MAX + 1);
});

test('a call that hangs does not count as slow storage and does not hold up the end of the session', async () => {
  const scene = new AdminScene();
  await scene.open(scene.client);
  scene.send(0, ADMIN.CALL, CALL);
  scene.client.io(OP.WRITE, { slot: 1, seq: 1 });
  await scene.turn();
  scene.storage.finish(0);
  scene.clock.advance(500);
  await scene.turn();
  expect(scene.client.heard).toEqual(['WRITE answer 1/1 status 0']);
  expect(scene.session.oldestMs()).toBe(0);
  let hasEnded = false;
  const end = scene.session.end('E_NO_SESSION', 'The end').then(() => (hasEnded = true));
  await scene.turn();
  scene.storage.finish(0);
  await scene.turn();
  await end;
  expect(hasEnded).toBe(true);
  expect(scene.client.heard).toContain(`ADMIN answer 0/1 status ${STATUS.SHUTTING_DOWN}`);
  scene.replies[0]!(DONE);
  await scene.turn();
});
