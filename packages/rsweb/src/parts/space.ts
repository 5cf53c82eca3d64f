// Shows the space of pools as figures and bars. Pure.
// A file system of unknown size has no bar.

import type { Pool } from '../model/picture.ts';
import { percentText } from '../markup/figures.ts';
import { type Html, html } from '../markup/html.ts';

/** Returns the used share of a pool's file system, from 0 to 1; null if the size of the file system is unknown. */
export function usedShare({ totalBytes, freeBytes }: Pick<Pool, 'totalBytes' | 'freeBytes'>): number | null {
  if (totalBytes === null || freeBytes === null || totalBytes === 0) return null;
  return Math.min(1, Math.max(0, 1 - freeBytes / totalBytes));
}

export function spaceBar(pool: Pool): Html {
  const share = usedShare(pool);
  if (share === null) return html`-`;
  return html`<meter min="0" max="1" high="0.8" optimum="0" value="${share.toFixed(3)}" aria-label="Used share of pool ${pool.name}">${percentText(share)}</meter> ${percentText(share)}`;
}
