// Tests the decision whether a file system is made, for every combination of what a device has and what the node knows. Above all, no
// device with data is formatted. Rules: G45.

import { expect, test } from 'vitest';
import { toCsiError } from '../rpc/status.ts';
import { type DeviceLook, formatStep, type Wish } from './format-rules.ts';

const EMPTY: DeviceLook = { signature: null, isEmpty: true, isXfsBegun: false };
const WISH: Wish = { label: 'osl:one@0', fsType: 'ext4', isReadonly: false, wasBegun: false };

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

test('data without a signature is refused, unless this node has begun a file system there', () => {
  expect(outcome({ isEmpty: false })).toContain('has data without a known signature, and is not formatted');
  expect(outcome({ isEmpty: false }, { wasBegun: true })).toBe('format');
});

test('what mkfs may not have completed is checked, and an xfs that was never completed is made again by the node that began it', () => {
  expect(outcome({ signature: 'ext4', isEmpty: false }, { wasBegun: true })).toBe('check');
  const begun = { signature: 'xfs', isEmpty: false, isXfsBegun: true };
  expect(outcome(begun, { fsType: 'xfs', wasBegun: true })).toBe('format');
  expect(outcome(begun, { fsType: 'xfs' })).toContain('was never completed');
  expect(outcome(begun, { fsType: 'xfs', wasBegun: true, isReadonly: true })).toContain('was never completed');
});

test('nothing that has a signature is ever formatted', () => {
  for (const signature of ['ext4', 'xfs', 'btrfs', '?'])
    for (const fsType of ['ext4', 'xfs'] as const)
      for (const wasBegun of [false, true])
        for (const isReadonly of [false, true])
          expect(outcome({ signature, isEmpty: false }, { fsType, wasBegun, isReadonly })).not.toBe('format');
});
