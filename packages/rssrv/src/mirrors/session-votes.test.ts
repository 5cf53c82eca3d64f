// Tests VOTE in a session: requests to the listener, answers, the bound on VOTEs, and that the end of the session does not wait for a VOTE.
// The test itself answers in place of the listener. voters.test.ts tests how VOTEs are executed; the conformance suite tests invalid
// bodies. Rules: Q5.

import { expect, test } from 'vitest';
import { OP } from '@rsio/protocol/wire/frames';
import type { Header } from '@rsio/protocol/wire/header';
import { VOTES_PER_SESSION_MAX } from '@rsio/protocol/wire/limits';
import { FailureAnswer } from '@rsio/protocol/wire/messages';
import { VOTE, VoteAnswer, VoteClaim, VOTED, VoteFound, VoteTerm } from '@rsio/protocol/wire/mirror-messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { type RawPath, SessionScene } from '../testing/raw-client.ts';
import { mayWait, VOTES, type VoteReply, type VoteRequest } from './session-votes.ts';

const MIRROR = 'a'.repeat(32);
const CLAIM = VoteClaim.encode({ mirror: MIRROR, number: 4, takesOver: true });
const DONE: VoteReply = { voted: VOTED.DONE, sentence: '', voter: 'b'.repeat(32), promise: null, stored: null, replica: null };

class VoteScene extends SessionScene {
  readonly asked: VoteRequest[] = [];
  readonly replies: { resolve(reply: VoteReply): void; reject(error: Error): void }[] = [];
  readonly client: RawPath;

  constructor() {
    super();
    this.vote = (request) => {
      this.asked.push(request);
      return new Promise((resolve, reject) => this.replies.push({ resolve, reject }));
    };
    this.client = this.path();
  }

  send(slot: number, aux: number, body: Buffer): void {
    this.client.message(OP.VOTE, { slot, seq: 1 }, body, 0, aux);
  }

  answers(): { status: number; body: Buffer }[] {
    const { heard, bodies } = this.client;
    const statuses = heard.flatMap((text) => /^VOTE answer .* status (\d+)$/.exec(text)?.[1] ?? []);
    return statuses.map((status, index) => ({ status: Number(status), body: bodies[index]! }));
  }
}

test('a VOTE reaches the listener, and its replies the client', async () => {
  const scene = new VoteScene();
  for (const [slot, aux] of [VOTE.CLAIM, VOTE.CONFIRM, VOTE.CONFIRM].entries())
    scene.send(slot, aux, aux === VOTE.CLAIM ? CLAIM : VoteTerm.encode({ mirror: MIRROR, number: 4 }));
  scene.send(3, VOTE.FOUND, VoteFound.encode({ mirror: MIRROR, name: 'db', universe: 3 }));
  await scene.turn();
  expect(scene.asked.pop()).toEqual({ what: 'vote', vote: 'found', mirror: MIRROR, name: 'db', universe: 3 });
  expect(scene.asked).toEqual([
    { what: 'vote', vote: 'claim', mirror: MIRROR, number: 4, takesOver: true },
    { what: 'vote', vote: 'confirm', mirror: MIRROR, number: 4 },
    { what: 'vote', vote: 'confirm', mirror: MIRROR, number: 4 },
  ]);
  scene.replies[0]!.resolve(DONE);
  scene.replies[1]!.resolve({ voteStatus: STATUS.SHUTTING_DOWN, sentence: 'Gone' });
  scene.replies[2]!.reject(new Error('No disk'));
  await scene.turn();
  const [first, ...failed] = scene.answers();
  expect(VoteAnswer.decode(first!.body, 0, first!.body.length)).toEqual(DONE);
  expect(failed.map(({ status, body }) => [status, FailureAnswer.decode(body, 0, body.length).sentence])).toEqual([
    [STATUS.SHUTTING_DOWN, 'Gone'],
    [STATUS.IO_ERROR, 'No disk'],
  ]);
});

test('VOTEs beyond the bound are refused, and do not reach the listener', async () => {
  const scene = new VoteScene();
  for (let slot = 0; slot <= VOTES_PER_SESSION_MAX; slot++) scene.send(slot, VOTE.CLAIM, CLAIM);
  await scene.turn();
  expect(scene.asked).toHaveLength(VOTES_PER_SESSION_MAX);
  expect(scene.answers().map(({ body }) => VoteAnswer.decode(body, 0, body.length).voted)).toEqual([VOTED.REFUSED]);
});

test.each([
  ['flags', { flags: 1, handle: 0 }],
  ['a handle', { flags: 0, handle: 1 }],
])('a VOTE with %s is a mistake of the client, and one of an unknown kind is not', (_, fields) => {
  const header = { aux: VOTE.CLAIM, ...fields } as Header;
  expect(() => VOTES.requestOf(header, CLAIM)).toThrow('VOTE must have no flags and no handle');
  expect(VOTES.requestOf({ ...header, aux: 999 }, CLAIM)).toBeNull();
});

test('claims that wait for storage leave room for all other VOTEs', async () => {
  const scene = new VoteScene();
  expect(Object.values(VOTE).filter(mayWait)).toEqual([VOTE.CLAIM, VOTE.PLACE, VOTE.UNPLACE]);
  for (let slot = 0; slot < VOTES_PER_SESSION_MAX; slot++) scene.send(slot, VOTE.CLAIM, CLAIM);
  for (let slot = 0; slot <= VOTES_PER_SESSION_MAX; slot++)
    scene.send(100 + slot, VOTE.CONFIRM, VoteTerm.encode({ mirror: MIRROR, number: 4 }));
  scene.send(200, VOTE.UNPLACE, VoteTerm.encode({ mirror: MIRROR, number: 4 }));
  await scene.turn();
  expect(scene.asked.filter(({ vote }) => vote === 'confirm')).toHaveLength(VOTES_PER_SESSION_MAX);
  expect(scene.answers().map(({ body }) => VoteAnswer.decode(body, 0, body.length).voted)).toEqual([VOTED.REFUSED, VOTED.REFUSED]);
});

test('the session ends without the answer of the listener, and answers once', async () => {
  const scene = new VoteScene();
  scene.send(0, VOTE.CLAIM, CLAIM);
  await scene.turn();
  await scene.session.end('E_SHUTTING_DOWN', 'The server is shutting down');
  scene.replies[0]!.resolve(DONE);
  await scene.turn();
  expect(scene.answers().map(({ status }) => status)).toEqual([STATUS.SHUTTING_DOWN]);
});
