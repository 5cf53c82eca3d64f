// Tests ADMIN at the client: a call, the id that a call keeps when sessions are lost, long answers, a server without ADMIN, and the outcome
// that a failed call reports. The server is a script; packages/rssrv tests how a real server executes methods. Rules: A3, A5, G17.

import { expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { type HeardFrame } from '../testing/scripted-server.ts';
import { TrunkScene } from '../testing/trunk-scene.ts';
import { OP } from '../wire/frames.ts';
import { ADMIN_PARAMS_MAX_BYTES } from '../wire/limits.ts';
import { ADMIN, AdminAnswer, AdminCall, AdminRest, FailureAnswer } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import { AdminCalls } from './admin-calls.ts';
import { ADMIN_CALLS_MAX, ADMIN_CALLS_SENT_MAX, ADMIN_MESSAGE_MAX_CHARS, ADMIN_REREADS_MAX, ADMIN_UNSENT_MS } from './limits.ts';

class AdminScene extends TrunkScene {
  readonly admin: AdminCalls;
  readonly results: unknown[] = [];
  private ids = 0;
  /** Number of ADMIN requests that `heard` has returned so far. */
  private seen = 0;

  constructor(paths = 1, administers = true) {
    super(paths);
    this.server.answersPings = true;
    this.server.administers = administers;
    this.admin = new AdminCalls(this.trunk, this.clock, () => `id-${++this.ids}`);
    this.whenSession = () => this.admin.sessionBegan();
  }

  call(params: object = {}, limitMs = 60_000): void {
    this.admin.callAdmin('volume-list', params, limitMs).then(
      (result) => this.results.push(result),
      (error: unknown) => this.results.push(error instanceof RsError ? [error.code, error.context['isOutcomeUnknown']] : error),
    );
  }

  async settle(ms = 5): Promise<void> {
    this.clock.advance(ms);
    for (let times = 0; times < 5; times++) await Promise.resolve();
    this.clock.advance(1);
  }

  /** Returns the ADMIN frames that the server has received over all connections since the last call of this method. */
  heard(): HeardFrame[] {
    const all = this.server.connections.flatMap((path) => path.requests(OP.ADMIN));
    const fresh = all.slice(this.seen);
    this.seen = all.length;
    return fresh;
  }

  calls(): AdminCall[] {
    return this.heard().map(({ body }) => AdminCall.decode(body, 0, body.length));
  }

  answer(frame: HeardFrame, value: unknown, { answer = 0, from = 0, to = Number.POSITIVE_INFINITY } = {}): void {
    const text = Buffer.from(JSON.stringify(value));
    const body = AdminAnswer.encode({ answer, totalBytes: text.length, part: text.subarray(from, to) });
    this.server.paths[0]!.answerMessage(frame, STATUS.OK, body);
  }

  refuse(frame: HeardFrame, status: number): void {
    this.server.paths[0]!.answerMessage(frame, status, FailureAnswer.encode({ sentence: 'No', holders: [] }));
  }
}

test('a call carries its id, method, parameters and time, and gets its result', async () => {
  const scene = new AdminScene();
  scene.start();
  scene.call({ pool: 'fast' });
  await scene.settle();
  const [frame] = scene.heard();
  const call = AdminCall.decode(frame!.body, 0, frame!.body.length);
  expect({ ...call, params: Buffer.from(call.params).toString(), aux: frame!.header.aux }).toEqual({
    request: 'id-1',
    method: 'volume-list',
    params: '{"pool":"fast"}',
    withinMs: expect.closeTo(60_000, -2) as number,
    aux: ADMIN.CALL,
  });
  scene.answer(frame!, { result: { volumes: [] } });
  await scene.settle();
  expect(scene.results).toEqual([{ volumes: [] }]);
  expect(scene.clock.advance(120_000)).toBeUndefined();
  expect(scene.results.length).toBe(1);
});

test('the error of the server comes with its code, and its text is cleaned and cut', async () => {
  const scene = new AdminScene();
  scene.start();
  let error: RsError | null = null;
  scene.admin.callAdmin('volume-grow', {}, 1_000).catch((thrown: unknown) => (error = thrown as RsError));
  await scene.settle();
  const message = `No\u001b[2J${'x'.repeat(ADMIN_MESSAGE_MAX_CHARS)}`;
  scene.answer(scene.heard()[0]!, { error: { code: 'E_SPACE', message, context: { free: 1 } } });
  await scene.settle();
  expect(error).toMatchObject({ code: 'E_SPACE', context: { free: 1 } });
  expect(error!.message.length).toBeLessThanOrEqual(ADMIN_MESSAGE_MAX_CHARS);
  expect(error!.message).toMatch(/^No \[2Jxxx/);
});

test('a lost session: the call is sent again with the same id and the rest of its time', async () => {
  const scene = new AdminScene();
  scene.start();
  scene.call({ request: 'mine' });
  await scene.settle();
  const [first] = scene.calls();
  scene.server.loseSession();
  await scene.settle(500);
  const [second] = scene.heard();
  const again = AdminCall.decode(second!.body, 0, second!.body.length);
  expect([first!.request, again.request]).toEqual(['mine', 'mine']);
  expect(again.withinMs).toBeLessThan(first!.withinMs);
  scene.answer(second!, { result: 1 });
  await scene.settle();
  expect(scene.results).toEqual([1]);
});

test('SHUTTING_DOWN: the call waits for the next session', async () => {
  const scene = new AdminScene();
  scene.start();
  scene.call();
  await scene.settle();
  scene.refuse(scene.heard()[0]!, STATUS.SHUTTING_DOWN);
  await scene.settle();
  expect(scene.heard()).toEqual([]);
  scene.server.loseSession();
  await scene.settle(500);
  expect(scene.calls().map(({ request }) => request)).toEqual(['id-1']);
});

test('a call whose time is over is not sent in a later session, and its outcome is unknown', async () => {
  const scene = new AdminScene();
  scene.start();
  scene.call({}, 1_000);
  await scene.settle();
  expect(scene.heard().length).toBe(1);
  await scene.settle(1_000);
  expect(scene.results).toEqual([['E_TIMEOUT', true]]);
  scene.server.loseSession();
  await scene.settle(1_000);
  expect(scene.trunk.session).not.toBeNull();
  expect(scene.heard()).toEqual([]);
});

test('a call that was never sent says so, and is not sent later', async () => {
  const scene = new AdminScene();
  scene.call({}, 1_000);
  scene.call({}, 60_000);
  await scene.settle(1_000);
  expect(scene.results).toEqual([['E_TIMEOUT', false]]);
  await scene.settle(ADMIN_UNSENT_MS);
  expect(scene.results[1]).toEqual(['E_UNREACHABLE', false]);
  scene.start();
  await scene.settle(100);
  expect(scene.heard()).toEqual([]);
});

test('a call that the paths could not carry in time is taken back', async () => {
  const scene = new AdminScene();
  scene.start();
  for (const path of scene.server.paths.splice(0)) path.connection.close('gone', true);
  scene.server.decide = () => undefined;
  await scene.settle(1);
  expect(scene.trunk.paths).toEqual([]);
  scene.call({}, 1_000);
  await scene.settle(1_000);
  expect(scene.results).toEqual([['E_TIMEOUT', false]]);
  scene.server.decide = (path) => scene.server.welcome(path);
  await scene.settle(10_000);
  expect([scene.trunk.paths.length, scene.heard()]).toEqual([1, []]);
});

test('a long answer is asked for part by part', async () => {
  const scene = new AdminScene();
  scene.start();
  scene.call();
  await scene.settle();
  const value = { result: 'ä'.repeat(20) };
  let [frame] = scene.heard();
  scene.answer(frame!, value, { answer: 7, to: 20 });
  for (let from = 20; from < 53; from += 20) {
    await scene.settle();
    [frame] = scene.heard();
    expect(frame!.header.aux).toBe(ADMIN.REST);
    expect(AdminRest.decode(frame!.body, 0, frame!.body.length)).toEqual({ answer: 7, offset: from });
    scene.answer(frame!, value, { answer: 7, from, to: from + 20 });
  }
  await scene.settle();
  expect(scene.results).toEqual(['ä'.repeat(20)]);
});

test('a long answer that the server has dropped is asked for again, a bounded number of times', async () => {
  const scene = new AdminScene();
  scene.start();
  scene.call();
  for (let times = 0; times <= ADMIN_REREADS_MAX; times++) {
    await scene.settle();
    const [call] = scene.heard();
    expect(AdminCall.decode(call!.body, 0, call!.body.length).request).toBe('id-1');
    scene.answer(call!, { result: 'x' }, { answer: 1 + times, to: 5 });
    await scene.settle();
    scene.refuse(scene.heard()[0]!, STATUS.STALE);
  }
  await scene.settle();
  expect(scene.results).toEqual([['E_LIMIT', undefined]]);
});

test.each([
  ['other bytes', { answer: 1, totalBytes: 5, part: Buffer.from('{}') }, { answer: 2, totalBytes: 5, part: Buffer.from('{}') }],
  ['too many bytes', { answer: 1, totalBytes: 5, part: Buffer.from('{}') }, { answer: 1, totalBytes: 5, part: Buffer.from('{}{}{}') }],
  ['nothing more', { answer: 1, totalBytes: 5, part: Buffer.from('{}') }, { answer: 1, totalBytes: 5, part: Buffer.alloc(0) }],
  ['no number', { answer: 0, totalBytes: 5, part: Buffer.from('{}') }, null],
  ['no JSON', { answer: 0, totalBytes: 2, part: Buffer.from('{]') }, null],
  ['no object', { answer: 0, totalBytes: 4, part: Buffer.from('null') }, null],
  ['no result', { answer: 0, totalBytes: 2, part: Buffer.from('{}') }, null],
])('an answer with %s fails the call only', async (_what, first, second) => {
  const scene = new AdminScene();
  scene.start();
  scene.call();
  await scene.settle();
  scene.server.paths[0]!.answerMessage(scene.heard()[0]!, STATUS.OK, AdminAnswer.encode(first));
  await scene.settle();
  if (second !== null) scene.server.paths[0]!.answerMessage(scene.heard()[0]!, STATUS.OK, AdminAnswer.encode(second));
  await scene.settle();
  expect(scene.results).toEqual([['E_PROTOCOL', undefined]]);
  expect(scene.states).toEqual(['up']);
});

test('a server without ADMIN gets none', async () => {
  const scene = new AdminScene(1, false);
  scene.start();
  scene.call();
  await scene.settle();
  expect(scene.results).toEqual([['E_VERSION', false]]);
  expect(scene.heard()).toEqual([]);
});

test('a few calls are with the server at a time, the others wait, and too many are refused', async () => {
  const scene = new AdminScene();
  scene.start();
  for (let index = 0; index < ADMIN_CALLS_SENT_MAX + ADMIN_CALLS_MAX + 1; index++) scene.call();
  await scene.settle();
  expect(scene.results).toEqual([['E_LIMIT', undefined]]);
  const frames = scene.heard();
  expect(frames.length).toBe(ADMIN_CALLS_SENT_MAX);
  scene.answer(frames[0]!, { result: 1 });
  await scene.settle();
  expect(scene.heard().length).toBe(1);
});

test('the end of the trunk ends the calls, and parameters that are too long are not sent', async () => {
  const scene = new AdminScene();
  scene.start();
  scene.call({ name: 'x'.repeat(ADMIN_PARAMS_MAX_BYTES) });
  scene.call();
  await scene.settle();
  expect(scene.heard().length).toBe(1);
  scene.trunk.end(STATUS.IO_ERROR, 'The end');
  scene.call();
  await scene.settle();
  expect(scene.results).toEqual([
    ['E_USAGE', undefined],
    ['E_UNREACHABLE', true],
    ['E_UNREACHABLE', false],
  ]);
});
