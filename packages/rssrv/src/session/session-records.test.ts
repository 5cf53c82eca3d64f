// Tests RECORD_READ and RECORD_WRITE in the session: what goes to the listener, which copies are executed again, and the bound of requests
// in progress. gate-records.test.ts tests the listener. Rules: D2, S1.

import { beforeEach, expect, test } from 'vitest';
import { OP } from '@rsio/protocol/wire/frames';
import { FailureAnswer, IOCTL, RecordAnswer, RecordReadRequest, RecordWriteRequest } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { RecordAsk, RecordReply } from '../volumes/holds/gate-records.ts';
import { type RawPath, SessionScene } from '../testing/raw-client.ts';
import { GATE_RECORDS_PER_SESSION_MAX } from './limits.ts';

const OK: RecordReply = { recordStatus: STATUS.OK, sentence: '', record: null };

let scene: SessionScene;
let path: RawPath;
let asked: RecordAsk[];

beforeEach(() => {
  scene = new SessionScene();
  path = scene.path();
  asked = [];
  scene.record = (ask) => {
    asked.push(ask);
    return Promise.resolve(OK);
  };
});

async function writes(slot: number, text: string, by = path, handle = 1): Promise<void> {
  by.message(OP.IOCTL, { slot, seq: 1 }, RecordWriteRequest.encode({ record: Buffer.from(text) }), handle, IOCTL.RECORD_WRITE);
  await scene.turn();
}

async function reads(slot: number, by = path): Promise<void> {
  by.message(OP.IOCTL, { slot, seq: 1 }, RecordReadRequest.encode({ id: 'other' }), 0, IOCTL.RECORD_READ);
  await scene.turn();
}

function heard(by = path): string[] {
  return by.heard.splice(0);
}

function sentence(): string {
  const body = path.bodies.at(-1)!;
  return FailureAnswer.decode(body, 0, body.length).sentence;
}

test('RECORD_READ needs no handle, and its answer has the record or nil', async () => {
  scene.record = async (ask) => {
    asked.push(ask);
    return { ...OK, record: asked.length === 1 ? null : 'AAr/' };
  };
  for (const record of [null, Buffer.from([0, 10, 255])]) {
    await reads(asked.length);
    const body = path.bodies.at(-1)!;
    expect(RecordAnswer.decode(body, 0, body.length)).toEqual({ record });
  }
  expect(asked).toEqual([
    { what: 'record-read', volumeId: 'other' },
    { what: 'record-read', volumeId: 'other' },
  ]);
});

test('RECORD_WRITE names the volume and the epoch of its handle', async () => {
  await scene.open(path);
  await writes(0, 'one');
  expect(asked).toEqual([{ what: 'record-write', volumeId: 'id', epoch: 1, record: Buffer.from('one').toString('base64') }]);
  expect(heard()).toEqual(['IOCTL answer 0/1 status 0']);
  await writes(1, 'two', path, 9);
  expect([heard(), asked.length]).toEqual([[`IOCTL answer 1/1 status ${STATUS.STALE}`], 1]);
});

// Regression: the copy of an earlier write over a slow path would have reverted the later write.
test('a late copy of a completed RECORD_WRITE is answered and not executed; that of a RECORD_READ is executed again', async () => {
  await scene.open(path);
  const slow = scene.path();
  await writes(0, 'first');
  await writes(1, 'second');
  await writes(0, 'first', slow);
  expect([heard(slow), asked.length]).toEqual([['IOCTL answer 0/1 status 0'], 2]);
  await reads(2);
  await reads(2, slow);
  expect([heard(slow), asked.length]).toEqual([['IOCTL answer 2/1 status 0'], 4]);
});

test('a read-only handle, and a handle that is being closed, write nothing', async () => {
  scene.volumeChanges = { readonly: true };
  await scene.open(path);
  await writes(0, 'x');
  expect(heard()).toEqual([`IOCTL answer 0/1 status ${STATUS.READ_ONLY}`]);
  void scene.session.revoke('id', 1);
  await writes(1, 'x');
  expect(heard()).toEqual([`IOCTL answer 1/1 status ${STATUS.STALE}`]);
  expect(asked).toEqual([]);
});

test('a revocation does not wait for a RECORD_WRITE, which may wait for the take-over itself', async () => {
  await scene.open(path);
  let answer: (reply: RecordReply) => void = () => undefined;
  scene.record = () => new Promise((resolve) => (answer = resolve));
  await writes(0, 'x');
  let isOver = false;
  void scene.session.revoke('id', 1).then(() => (isOver = true));
  await scene.turn();
  scene.storage.finish();
  await scene.turn();
  expect([isOver, heard()]).toEqual([true, []]);
  answer({ ...OK, recordStatus: STATUS.STALE, sentence: 'Stale' });
  await scene.turn();
  expect(heard()).toEqual([`IOCTL answer 0/1 status ${STATUS.STALE}`]);
});

test('refusals of the listener, and its end, reach the client', async () => {
  await scene.open(path);
  scene.record = () => Promise.resolve({ recordStatus: STATUS.NO_SPACE, sentence: 'Full', record: null });
  await writes(0, 'x');
  expect([heard(), sentence()]).toEqual([[`IOCTL answer 0/1 status ${STATUS.NO_SPACE}`], 'Full']);
  scene.record = () => Promise.resolve(null);
  await writes(1, 'x');
  scene.record = () => Promise.reject(new Error('broken'));
  await reads(2);
  expect(heard()).toEqual([`IOCTL answer 1/1 status ${STATUS.SHUTTING_DOWN}`, `IOCTL answer 2/1 status ${STATUS.IO_ERROR}`]);
});

test('a session has a bound of requests in progress', async () => {
  const answers: ((reply: RecordReply) => void)[] = [];
  scene.record = () => new Promise((resolve) => answers.push(resolve));
  for (let slot = 0; slot <= GATE_RECORDS_PER_SESSION_MAX; slot++) await reads(slot);
  expect(heard()).toEqual([`IOCTL answer ${GATE_RECORDS_PER_SESSION_MAX}/1 status ${STATUS.OUT_OF_MEMORY}`]);
  answers.shift()?.(OK);
  await scene.turn();
  await reads(100);
  expect([heard(), answers.length]).toEqual([['IOCTL answer 0/1 status 0'], GATE_RECORDS_PER_SESSION_MAX]);
});
