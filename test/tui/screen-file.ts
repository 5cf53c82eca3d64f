// Compares a screen with its text file in test/tui/screens; UPDATE_SCREENS=1 writes the files instead. This file masks all values that
// differ from run to run: roots, addresses and measured numbers. Masked columns keep their positions. Invariants: everything else on a
// screen is compared. While a screen is still being drawn or measured, the test waits.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { waitFor } from '../support/programs/wait-for.ts';
import { SCREEN_DEADLINE_MS, type TmuxTerminal } from './tmux-terminal.ts';

/** Pairs of a value of this run and the placeholder that is shown for it. */
export type Mask = readonly (readonly [found: string | RegExp, shown: string])[];

const FOLDER = fileURLToPath(new URL('./screens/', import.meta.url));
const WORD_ROWS = 3;
const MEASURED: Mask = [
  [/\d+\.\d\d ms/g, 'N.NN ms'],
  [/(?<=in|out) +\d+(?:\.\d)? MB\/s/g, ' N MB/s'],
  [/MTU \d+/g, 'MTU N'],
];

/** Waits until the terminal shows the content of the file. */
export async function expectScreen(terminal: TmuxTerminal, name: string, mask: Mask): Promise<void> {
  const look = async (): Promise<string> => masked(await terminal.screen(), [...mask, ...MEASURED]);
  const file = `${FOLDER}${name}.txt`;
  if (process.env['UPDATE_SCREENS'] === '1') {
    mkdirSync(FOLDER, { recursive: true });
    writeFileSync(file, await look());
  }
  const wanted = readFileSync(file, 'utf8');
  let shown = '';
  const isThere = async (): Promise<boolean> => {
    shown = await look();
    return shown === wanted;
  };
  await waitFor(isThere, SCREEN_DEADLINE_MS, `The screen is test/tui/screens/${name}.txt`).catch((error: Error) => {
    expect(shown, error.message).toBe(wanted);
  });
}

/** Joins the words below the frame into one line, because their line breaks depend on the length of the root. */
function masked(screen: string, mask: Mask): string {
  const lines = screen
    .replace(/\n+$/, '')
    .split('\n')
    .map((line) => mask.reduce(replaceInPlace, line).trimEnd());
  const firstWord = lines.findLastIndex((line) => /^[└+]/.test(line)) + 1;
  const words = lines.slice(firstWord, firstWord + WORD_ROWS).map((line) => line.trim());
  const joined = words.filter((line) => line !== '').join(' ');
  return [...lines.slice(0, firstWord), joined, ...lines.slice(firstWord + WORD_ROWS), ''].join('\n');
}

/** Replaces text. If the lengths differ, the next gap between columns, or the space before the frame, becomes longer or shorter. */
function replaceInPlace(line: string, [found, shown]: Mask[number]): string {
  const pattern = typeof found === 'string' ? new RegExp(found.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'g') : found;
  let result = '';
  let rest = line;
  for (const match of line.matchAll(pattern)) {
    const at = rest.indexOf(match[0]);
    const tail = rest.slice(at + match[0].length);
    result += rest.slice(0, at) + shown;
    rest = withGap(tail, match[0].length - shown.length);
  }
  return result + rest;
}

function withGap(tail: string, columns: number): string {
  const gap = / {2,}/.exec(tail);
  if (gap === null || columns === 0) return tail;
  const width = Math.max(1, gap[0].length + columns);
  return tail.slice(0, gap.index) + ' '.repeat(width) + tail.slice(gap.index + gap[0].length);
}
