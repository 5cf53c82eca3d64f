// Reads facts about block devices, and about the devices stacked on them, from /sys. Invariant: only files that the kernel keeps in memory
// are read, so that no read waits for a volume.

import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import type { DeviceFacts } from './frozen-mounts.ts';

const BY_NUMBER = '/sys/dev/block';

export const systemDevices: DeviceFacts = {
  numberOf: (file) => orElse(() => nodeNumber(file), null),
  above: (number) => [...partitionsOf(number), ...named(number, 'holders')],
  below: (number) => named(number, 'slaves'),
};

function nodeNumber(file: string): string | null {
  const stat = statSync(file);
  if (!stat.isBlockDevice()) return null;
  // Splits st_rdev into the major and the minor number as <sys/sysmacros.h> does.
  const device = BigInt(stat.rdev);
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn);
  return `${major}:${minor & 0xffffffffn}`;
}

function partitionsOf(number: string): string[] {
  const folder = orElse(() => realpathSync(path.join(BY_NUMBER, number)), '');
  return folder === ''
    ? []
    : namesIn(folder).flatMap((name) => (textOf(path.join(folder, name, 'partition')) === '' ? [] : numberIn(path.join(folder, name))));
}

/** Returns the numbers of the devices in the folder `list` of a device in /sys, which is `holders` or `slaves`. */
function named(number: string, list: string): string[] {
  const folder = path.join(BY_NUMBER, number, list);
  return namesIn(folder).flatMap((name) => numberIn(path.join(folder, name)));
}

function numberIn(folder: string): string[] {
  const text = textOf(path.join(folder, 'dev'));
  return text === '' ? [] : [text];
}

function namesIn(folder: string): string[] {
  return orElse(() => readdirSync(folder), []);
}

function textOf(file: string): string {
  return orElse(() => readFileSync(file, 'utf8').trim(), '');
}

function orElse<T>(work: () => T, otherwise: T): T {
  try {
    return work();
  } catch {
    return otherwise;
  }
}
