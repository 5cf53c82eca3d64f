// Tests long answers: the consistency of their parts, the sessions that can read an answer, the bounds for each session and in total, and
// the time after which unread answers are dropped. remote-requests.test.ts tests long answers over a session. Rules: A5.

import { expect, test } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { ADMIN_ANSWER_MAX_BYTES, ADMIN_PART_MAX_BYTES } from '@rsio/protocol/wire/limits';
import { LONG_ANSWER_KEPT_MS, LONG_ANSWERS_MAX_BYTES, LONG_ANSWERS_PER_SESSION_MAX } from '../limits.ts';
import { LongAnswers } from './long-answers.ts';

const LONG = Buffer.alloc(2 * ADMIN_PART_MAX_BYTES + 5, 'x');

function scene() {
  const clock = new FakeClock();
  return { clock, answers: new LongAnswers(clock) };
}

test('an answer is read in parts, which end it', () => {
  const { clock, answers } = scene();
  const text = Buffer.from(Array.from(LONG, (_, index) => index % 251));
  const parts = [answers.begin('a', text)];
  const { answer } = parts[0]!;
  for (let offset = ADMIN_PART_MAX_BYTES; offset < text.length; offset += ADMIN_PART_MAX_BYTES) {
    clock.advance(LONG_ANSWER_KEPT_MS - 1);
    parts.push(answers.rest('a', answer, offset)!);
  }
  expect(Buffer.concat(parts.map(({ part }) => part)).equals(text)).toBe(true);
  expect([answers.keptBytes, clock.timersPending]).toEqual([0, 0]);
});

test('a short answer is not kept', () => {
  const { answers } = scene();
  expect(answers.begin('a', Buffer.alloc(ADMIN_PART_MAX_BYTES))).toMatchObject({ answer: 0, totalBytes: ADMIN_PART_MAX_BYTES });
  expect(answers.keptBytes).toBe(0);
});

test('another session, another number and an offset past the end find nothing', () => {
  const { answers } = scene();
  const { answer } = answers.begin('a', LONG);
  expect([answers.rest('b', answer, 5), answers.rest('a', answer + 1, 5), answers.rest('a', answer, LONG.length)]).toEqual([
    null,
    null,
    null,
  ]);
  expect(answers.rest('a', answer, 5)).not.toBeNull();
});

test('an answer that nobody reads is dropped, and so are those of a session that ends', () => {
  const { clock, answers } = scene();
  const { answer } = answers.begin('a', LONG);
  clock.advance(LONG_ANSWER_KEPT_MS);
  expect([answers.rest('a', answer, 5), answers.keptBytes]).toEqual([null, 0]);
  const [one, other] = [answers.begin('a', LONG), answers.begin('b', LONG)];
  answers.sessionEnded('a');
  expect([answers.rest('a', one.answer, 5), answers.keptBytes]).toEqual([null, LONG.length]);
  expect(answers.rest('b', other.answer, 5)).not.toBeNull();
  answers.close();
  expect([answers.keptBytes, clock.timersPending]).toEqual([0, 0]);
});

test('the oldest of a session gives way, and the one that was read least recently when all are too large', () => {
  const { answers } = scene();
  const own = Array.from({ length: LONG_ANSWERS_PER_SESSION_MAX + 1 }, () => answers.begin('a', LONG).answer);
  expect(answers.rest('a', own[0]!, 5)).toBeNull();
  expect(answers.rest('a', own[1]!, 5)).not.toBeNull();
  for (let session = 0; session * ADMIN_ANSWER_MAX_BYTES < 2 * LONG_ANSWERS_MAX_BYTES; session++) {
    answers.begin(`s${session}`, Buffer.alloc(ADMIN_ANSWER_MAX_BYTES));
    expect(answers.keptBytes).toBeLessThanOrEqual(LONG_ANSWERS_MAX_BYTES);
  }
});
