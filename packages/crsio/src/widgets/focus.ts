// Computes the new focus of a list, or the new first line of a text, after a key. Pure. Invariant: the focus stays among the lines, and
// moving past one end continues at the other end.

import type { KeyName } from './keys.ts';

const PAGE_LINES = 10;

/** Returns the new focus among `count` lines that can be chosen. */
export function moved(focus: number, count: number, key: KeyName): number {
  const now = Math.min(focus, count - 1);
  switch (key) {
    case 'down':
    case 'tab':
      return (now + 1) % count;
    case 'up':
    case 'backtab':
      return (now + count - 1) % count;
    case 'home':
      return 0;
    case 'end':
      return count - 1;
    case 'pageup':
      return Math.max(0, now - PAGE_LINES);
    case 'pagedown':
      return Math.min(count - 1, now + PAGE_LINES);
    default:
      return now;
  }
}

/** Returns the new first visible line of a page on which no line can be chosen. */
export function scrolled(top: number, last: number, key: KeyName): number {
  const steps: Partial<Record<KeyName, number>> = { down: 1, up: -1, pagedown: PAGE_LINES, pageup: -PAGE_LINES, home: -top, end: last };
  return Math.max(0, Math.min(last, top + (steps[key] ?? 0)));
}
