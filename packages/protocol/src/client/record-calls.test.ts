// Tests the gate record at the client: the order of writes, calls over lost sessions and revoked handles, the time limit, and the errors of
// refusals. The server is a script; packages/rssrv tests how a real server answers. Rules: D2.

import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { RevokeScene } from '../testing/revoke-scene.ts';
import type { HeardFrame } from '../testing/scripted-server.ts';
import { OP } from '../wire/frames.ts';
import { GATE_RECORD_MAX_BYTES } from '../wire/limits.ts';
import { FailureAnswer, IOCTL, RecordAnswer, RecordReadRequest, RecordWriteRequest } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import { GATE_RECORD_CALLS_MAX, GATE_RECORD_TIMEOUT_MS, REOPEN_RETRY_MS } from './limits.ts';
import { RecordCalls } from './record-calls.ts';
import { callSession } from './session-call.ts';

class Scene {
  readonly world = RevokeScene.opened();
  readonly results: unknown[] = [];
  readonly calls: RecordCalls;

  constructor() {
    const { scene, attachment } = this.world;
    this.calls = new RecordCalls(scene.clock, (aux, body, answered) =>
      callSession(scene.trunk, { op: OP.IOCTL, attachment, aux, body }, answered),
    );
  }

  write(text: string): void {
    this.follow(this.calls.write(Buffer.from(text)));
  }

  read(): void {
    this.follow(this.calls.read('id'));
  }

  async turn(ms = 1): Promise<void> {
    for (let times = 0; times < 5; times++) await Promise.resolve();
    this.world.settle(ms);
    for (let times = 0; times < 5; times++) await Promise.resolve();
  }

  /** The unanswered requests at the server, as text. */
  get waiting(): string[] {
    return this.open.map(({ header: { aux }, body }) =>
      aux === IOCTL.RECORD_READ
        ? `read ${RecordReadRequest.decode(body, 0, body.length).id}`
        : `write ${RecordWriteRequest.decode(body, 0, body.length).record.toString()}`,
    );
  }

  async answer(status: number, body: Buffer = Buffer.alloc(0)): Promise<void> {
    // SETTLED comes first after each reopening.
    while (this.world.open(OP.IOCTL)[0]?.frame.header.aux === IOCTL.SETTLED) this.world.answer(OP.IOCTL, STATUS.OK);
    this.world.answer(OP.IOCTL, status, body);
    await this.turn();
  }

  refuse(status: number): Promise<void> {
    return this.answer(status, FailureAnswer.encode({ sentence: 'No', holders: [] }));
  }

  private get open(): HeardFrame[] {
    return this.world
      .open(OP.IOCTL)
      .map(({ frame }) => frame)
      .filter(({ header: { aux } }) => aux === IOCTL.RECORD_READ || aux === IOCTL.RECORD_WRITE);
  }

  private follow(call: Promise<unknown>): void {
    call.then(
      (value) => this.results.push(value ?? 'done'),
      (error: unknown) => this.results.push(error instanceof RsError ? [error.code, error.context['status']] : error),
    );
  }
}

test('a record is written and read', async () => {
  const scene = new Scene();
  scene.write('one');
  await scene.turn();
  expect(scene.waiting).toEqual(['write one']);
  await scene.answer(STATUS.OK);
  scene.read();
  await scene.turn();
  expect(scene.waiting).toEqual(['read id']);
  await scene.answer(STATUS.OK, RecordAnswer.encode({ record: Buffer.from('one') }));
  expect(scene.results).toEqual(['done', Buffer.from('one')]);
});

test('a write is sent only when the one before it is answered, so that none reverts a later one', async () => {
  const scene = new Scene();
  scene.write('one');
  scene.write('two');
  await scene.turn();
  expect(scene.waiting).toEqual(['write one']);
  await scene.answer(STATUS.OK);
  expect([scene.waiting, scene.results]).toEqual([['write two'], ['done']]);
  await scene.refuse(STATUS.NO_SPACE);
  expect(scene.results).toEqual(['done', ['E_SPACE', STATUS.NO_SPACE]]);
});

test('a write that has timed out may still be executed: the next one waits for it, or times out as well', async () => {
  const scene = new Scene();
  scene.write('one');
  await scene.turn(GATE_RECORD_TIMEOUT_MS);
  expect(scene.results).toEqual([['E_TIMEOUT', undefined]]);
  scene.write('two');
  await scene.turn(GATE_RECORD_TIMEOUT_MS);
  scene.write('three');
  await scene.turn();
  expect([scene.waiting, scene.results.length]).toEqual([['write one'], 2]);
  await scene.answer(STATUS.OK);
  // A call that timed out before it was sent is never sent.
  expect(scene.waiting).toEqual(['write three']);
  await scene.answer(STATUS.OK);
  expect(scene.results.at(-1)).toBe('done');
});

test('after a lost session, the unanswered write is sent again on the new handle', async () => {
  const scene = new Scene();
  scene.write('one');
  scene.write('two');
  await scene.turn();
  scene.world.loseSession();
  scene.world.answerOpen({ handle: 8 });
  await scene.turn();
  expect(scene.waiting).toEqual(['write one']);
  await scene.answer(STATUS.OK);
  await scene.answer(STATUS.OK);
  expect(scene.results).toEqual(['done', 'done']);
});

test('a write that is STALE is sent again on the next handle, and fails if another client has the volume', async () => {
  const scene = new Scene();
  scene.write('one');
  await scene.turn();
  await scene.refuse(STATUS.STALE);
  expect(scene.results).toEqual([]);
  await scene.turn(REOPEN_RETRY_MS);
  scene.world.refuseOpen(STATUS.TAKEN, 'Taken');
  await scene.turn();
  expect(scene.results).toEqual([['E_TAKEN', STATUS.TAKEN]]);
  scene.write('two');
  await scene.turn();
  expect(scene.results.at(-1)).toEqual(['E_TAKEN', STATUS.TAKEN]);
});

test.each([
  [STATUS.UNSUPPORTED, 'E_VOLUME'],
  [STATUS.UNKNOWN_VOLUME, 'E_UNKNOWN_VOLUME'],
  [STATUS.READ_ONLY, 'E_READONLY'],
  [STATUS.IO_ERROR, 'E_VOLUME'],
  [STATUS.OUT_OF_MEMORY, 'E_LIMIT'],
])('a refusal has its status %d in the context', async (status, code) => {
  const scene = new Scene();
  scene.read();
  await scene.turn();
  await scene.refuse(status);
  expect(scene.results).toEqual([[code, status]]);
});

test('a malformed answer is an error, and ends its path', async () => {
  const scene = new Scene();
  scene.read();
  await scene.turn();
  await scene.answer(STATUS.OK, Buffer.from('nonsense'));
  expect(scene.results).toEqual([['E_PROTOCOL', undefined]]);
});

test('calls and records have bounds', async () => {
  const scene = new Scene();
  await expect(scene.calls.write(Buffer.alloc(GATE_RECORD_MAX_BYTES + 1))).rejects.toMatchObject({ code: 'E_USAGE' });
  for (let count = 0; count < GATE_RECORD_CALLS_MAX; count++) scene.write('x');
  scene.read();
  await scene.turn();
  expect(scene.results).toEqual([['E_LIMIT', undefined]]);
  await scene.answer(STATUS.OK);
  scene.read();
  await scene.turn();
  expect(scene.waiting).toEqual(['write x', 'read id']);
});
