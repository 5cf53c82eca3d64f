// Tests the decision whether a file system is made, for every combination of what a device has and what the call wants. Above all, no
// device with data is formatted. Rules: G45.

import { expect, test } from 'vitest';
import { toCsiError } from '../rpc/status.ts';
import { checkMeaning, type DeviceLook, formatStep, type Wish } from './format-rules.ts';

const EMPTY: DeviceLook = { signature: null, isEmpty: true, isXfsBegun: false, begunFor: null, needsReplay: false, isRestoring: false };
const ID = 'volume.one';
const WISH: Wish = { volumeId: ID, label: 'osl:one@0', fsType: 'ext4', isReadonly: false };

function outcome(look: Partial<DeviceLook>, wish: Partial<Wish> = {}): string {
  try {
    return formatStep({ ...EMPTY, ...look }, { ...WISH, ...wish });
  } catch (thrown) {
    return toCsiError(thrown).message;
  }
}

test('an empty device is formatted, unless it is read-only', () => {
  expect(outcome({})).toBe('format');
  expect(outcome({}, { isReadonly: true })).toContain('has no file system, and is attached read-only');
});

test('a file system is mounted as it is, and another one is refused', () => {
  expect(outcome({ signature: 'ext4', isEmpty: false })).toBe('mount');
  expect(outcome({ signature: 'ext4', isEmpty: false }, { isReadonly: true })).toBe('mount');
  expect(outcome({ signature: 'xfs', isEmpty: false })).toContain('has a file system xfs, and not ext4');
  expect(outcome({ signature: '?', isEmpty: false })).toContain('another signature');
});

test('data without a signature is refused, unless the device has the mark of this volume', () => {
  expect(outcome({ isEmpty: false })).toContain('has data without a known signature, and is not formatted');
  expect(outcome({ isEmpty: false, begunFor: ID })).toBe('format');
  expect(outcome({ isEmpty: false, begunFor: 'volume.two' })).toContain('is not formatted');
  expect(outcome({ isEmpty: false, begunFor: ID }, { isReadonly: true })).toContain('has no file system');
});

test('an xfs that was never completed is made again only with the mark of this volume, and no refusal advises wipefs', () => {
  expect(outcome({ signature: 'ext4', isEmpty: false, begunFor: ID })).toBe('mount');
  const begun = { signature: 'xfs', isEmpty: false, isXfsBegun: true };
  expect(outcome({ ...begun, begunFor: ID }, { fsType: 'xfs' })).toBe('format');
  expect(outcome(begun, { fsType: 'xfs' })).toContain('was never completed');
  expect(outcome({ ...begun, begunFor: 'volume.two' }, { fsType: 'xfs' })).toContain('was never completed');
  expect(outcome({ ...begun, begunFor: ID }, { fsType: 'xfs', isReadonly: true })).toContain('was never completed');
  for (const look of [begun, { isEmpty: false }, { isEmpty: false, signature: '?' }]) expect(outcome(look)).not.toContain('wipefs');
});

test('a volume whose restore has not completed is neither formatted nor mounted, and the refusal names the restore', () => {
  for (const look of [{ isEmpty: false }, { isEmpty: false, begunFor: ID }, { signature: 'ext4', isEmpty: false }])
    for (const isReadonly of [false, true])
      expect(outcome({ ...look, isRestoring: true }, { isReadonly })).toContain('a restore has not completed: repeat the restore');
});

test('the exit code of a check is a sum of bits', () => {
  expect([0, 1, 2, 3].map(checkMeaning)).toEqual(['good', 'good', 'good', 'good']);
  expect([4, 5, 12, 4 + 32].map(checkMeaning)).toEqual(['broken', 'broken', 'broken', 'broken']);
  expect([8, 16, 32, 128].map(checkMeaning)).toEqual(['failed', 'failed', 'failed', 'failed']);
  expect(checkMeaning(null)).toBe('killed');
});

test('nothing that has a signature is ever formatted', () => {
  for (const signature of ['ext4', 'xfs', 'btrfs', '?'])
    for (const fsType of ['ext4', 'xfs'] as const)
      for (const begunFor of [null, ID])
        for (const isReadonly of [false, true])
          expect(outcome({ signature, isEmpty: false, begunFor }, { fsType, isReadonly })).not.toBe('format');
});
