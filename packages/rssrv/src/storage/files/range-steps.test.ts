// Tests the steps of long ranges: fast steps make the next steps longer, and slow steps make the next steps shorter, within bounds.
// range-file.test.ts executes real steps.

import { expect, test } from 'vitest';
import { STEP_FAST_MS, STEP_MAX_BYTES, STEP_MIN_BYTES, STEP_SLOW_MS, ZERO_STEP_BYTES } from '../limits.ts';
import { StepSize } from './range-operations.ts';

test('fast pieces grow to the largest size, slow ones shrink to the smallest, others keep their size', () => {
  const step = new StepSize();
  step.took(ZERO_STEP_BYTES, STEP_FAST_MS);
  step.took(ZERO_STEP_BYTES, STEP_SLOW_MS);
  expect(step.bytes).toBe(ZERO_STEP_BYTES);
  for (let times = 0; times < 20; times++) step.took(step.bytes, STEP_FAST_MS / 2);
  expect(step.bytes).toBe(STEP_MAX_BYTES);
  for (let times = 0; times < 20; times++) step.took(step.bytes, STEP_SLOW_MS + 1);
  expect(step.bytes).toBe(STEP_MIN_BYTES);
});

test('a short rest of a range changes the size only if it is slow', () => {
  const step = new StepSize();
  step.took(4096, 0);
  expect(step.bytes).toBe(ZERO_STEP_BYTES);
  step.took(4096, STEP_SLOW_MS + 1);
  expect(step.bytes).toBe(ZERO_STEP_BYTES / 2);
});
