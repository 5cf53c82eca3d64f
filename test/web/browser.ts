// Starts the system's Chromium without a window; playwright-core downloads no browser. If Chromium is missing, the tests that need it are
// skipped.

import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';
import type { Need } from '../support/drills/needs.ts';

/** Paths of Chromium on Debian and other systems. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
export const CHROMIUM = PLACES.find((path) => existsSync(path)) ?? null;

export const CHROMIUM_NEED: Need = { what: 'chromium', why: () => (CHROMIUM === null ? 'needs Chromium: install chromium' : null) };

export async function startBrowser(): Promise<Browser> {
  if (CHROMIUM === null) throw new Error(`There is no Chromium: install it, such as with apt install chromium (${PLACES.join(', ')})`);
  // Chromium's sandbox does not work as root. The sandbox is not needed, because the pages are our own.
  return chromium.launch({ executablePath: CHROMIUM, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
}
