// Tests which requests are answered if some sources send discovery requests very often, and that other sources still get answers. The test
// supplies the time. discovery-responder.test.ts tests which datagrams are requests. Rules: G12.

import { expect, test } from 'vitest';
import {
  DISCOVERY_BURST,
  DISCOVERY_BURST_KNOWN,
  DISCOVERY_RATE,
  DISCOVERY_RATE_KNOWN,
  DISCOVERY_SCARCE_MS,
  DISCOVERY_SOURCES_MAX,
} from './limits.ts';
import { AnswerBudget } from './answer-budget.ts';

const FLOOD_MS = 60_000;

/**
 * Simulates `forged` sources with forged addresses, each of which asks 20 times a second, and one honest source, for which `asks` is called
 * every `everyMs`. Returns the share of the honest source's requests that were answered.
 */
function answeredBeside(forged: number, asks: (budget: AnswerBudget, nowMs: number) => boolean, everyMs = 5_000): number {
  const budget = new AnswerBudget();
  let [asked, answered] = [0, 0];
  for (let nowMs = 0; nowMs < FLOOD_MS; nowMs += 50) {
    for (let source = 0; source < forged; source++) budget.mayAnswer(`forged ${source}`, false, nowMs);
    if (nowMs % everyMs !== 0 || nowMs === 0) continue;
    asked++;
    if (asks(budget, nowMs)) answered++;
  }
  return answered / asked;
}

// Regression: the forged sources used up the shared budget, and no other source was answered.
test('200 sources that ask constantly do not silence an unknown source that asks now and then', () => {
  expect(answeredBeside(200, (budget, nowMs) => budget.mayAnswer('honest', false, nowMs))).toBe(1);
});

test('thousands of ever-changing sources do not silence a known source', () => {
  let fresh = 0;
  const flood = (budget: AnswerBudget, nowMs: number): void => {
    for (let count = 0; count < 200; count++) budget.mayAnswer(`fresh ${fresh++}`, false, nowMs);
  };
  const asks =
    (isKnown: boolean) =>
    (budget: AnswerBudget, nowMs: number): boolean => {
      flood(budget, nowMs);
      return budget.mayAnswer('10.0.0.1', isKnown, nowMs);
    };
  expect(answeredBeside(0, asks(true), 50)).toBeGreaterThan(0.75);
  expect(answeredBeside(0, asks(false), 50)).toBeLessThan(0.75);
});

test('a forged known address does not use up the reserve for known sources', () => {
  const asked = (budget: AnswerBudget, nowMs: number): boolean => {
    for (let count = 0; count < 100; count++) budget.mayAnswer('10.0.0.1', false, nowMs);
    return budget.mayAnswer('10.0.0.1', true, nowMs);
  };
  expect(answeredBeside(0, asked)).toBe(1);
});

test('all sources together stay within the limit, and the number of remembered sources is bounded', () => {
  const budget = new AnswerBudget();
  let answers = 0;
  for (let nowMs = 0; nowMs < 10_000; nowMs += 10)
    for (let count = 0; count < 20; count++) if (budget.mayAnswer(`${nowMs} ${count}`, count % 2 === 0, nowMs)) answers++;
  expect(answers).toBeLessThanOrEqual(DISCOVERY_BURST + DISCOVERY_BURST_KNOWN + 10 * (DISCOVERY_RATE + DISCOVERY_RATE_KNOWN) + 2);
  expect(budget.size).toBe(DISCOVERY_SOURCES_MAX);
});

test('while answers are plentiful, one source gets several in a row', () => {
  const budget = new AnswerBudget();
  for (let count = 0; count < 20; count++) expect(budget.mayAnswer('10.0.0.1', false, DISCOVERY_SCARCE_MS)).toBe(true);
});
