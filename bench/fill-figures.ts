// `npm run figures`: puts the figures of bench/results into the documents that quote them.
// quoted-figures.ts decides which figures go where, and published.test.ts compares the documents with the figures.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Results } from './markdown.ts';
import { filled, type Later, quotedParts, QUOTING_FILES, withLater } from './quoted-figures.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(`${ROOT}${path}`, 'utf8');

const published = JSON.parse(read('bench/results/published.json')) as Results;
const later = JSON.parse(read('bench/results/later.json')) as Later;
const parts = quotedParts(withLater(published, later));
for (const path of QUOTING_FILES) writeFileSync(`${ROOT}${path}`, filled(read(path), parts));
