// Tests the files that pages load. The file of uPlot is the same as in the npm package, all files together are small, and every file that a
// page names exists.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { loginPage } from '../pages/login.ts';
import { Assets } from './assets.ts';

const FOLDER = fileURLToPath(new URL('../../assets', import.meta.url));
const UPLOT = createRequire(import.meta.url).resolve('uplot/package.json');
const SIZE_MAX_BYTES = 1_000_000;

test.each(['uPlot.iife.min.js', 'uPlot.min.css'])('%s is that of the npm package', (name) => {
  expect(readFileSync(join(FOLDER, name)).equals(readFileSync(join(UPLOT, '../dist', name)))).toBe(true);
});

test('all together are less than a megabyte', () => {
  expect(readdirSync(FOLDER).reduce((sum, name) => sum + statSync(join(FOLDER, name)).size, 0)).toBeLessThan(SIZE_MAX_BYTES);
});

test('pages name only files that are there, and nothing from elsewhere', () => {
  const page = loginPage({ csrf: null, next: '/', trouble: null, host: 'x' }).text;
  const named = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address = '']) => address);
  const assets = new Assets();
  for (const address of named) expect(address === '/' || assets.answer(address.replace('/assets/', ''), '').status === 200).toBe(true);
  expect(named.length).toBeGreaterThan(3);
  // The script page.js names further files, which it loads after the page is shown.
  const script = readFileSync(join(FOLDER, 'page.js'), 'utf8');
  const later = [...script.matchAll(/'\/assets\/([^']+)'/g)].map(([, name = '']) => name);
  expect(later.map((name) => assets.answer(name, '').status)).toEqual([200, 200]);
});
