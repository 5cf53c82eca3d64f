// `npm run man`: makes anew what the pages in docs/man have from the tables of the program, as their sources are now (hence tsx), and the
// manual in dist/man from the pages. `--roff` makes the manual only; the build does that. Leaves the texts to man-pages.mjs.
// Invariant: dist/man holds exactly the pages of docs/man and their aliases; look at it with `man -M dist/man rsio`.

import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { commandsPart, keysPart, roffOf, testKeysPart, withParts } from './man-pages.mjs';
import { MANUAL, MANUAL_STAMP, PAGES, ROOT } from './prepare.mjs';

const ALIASES = { 'rsslogcat.8': 'rsclogcat.8' };

if (process.argv[2] !== '--roff') await makeParts();
makeManual();

async function makeParts() {
  const { SCHEMA } = await source('common/src/config/schema/schema.ts');
  const { COMMANDS } = await source('rsconfig/src/command-table.ts');
  const parts = {
    rssrvcfg: keysPart(SCHEMA.rssrvcfg),
    'rssrvcfg-tests': testKeysPart(SCHEMA.rssrvcfg),
    rscltcfg: keysPart(SCHEMA.rscltcfg),
    rsconfig: commandsPart(COMMANDS),
  };
  for (const name of readdirSync(PAGES)) {
    const file = join(PAGES, name);
    const text = readFileSync(file, 'utf8');
    const made = withParts(text, parts);
    if (made !== text) writeFileSync(file, made);
  }
}

function source(path) {
  return import(pathToFileURL(join(ROOT, 'packages', path)).href);
}

function makeManual() {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  rmSync(MANUAL, { recursive: true, force: true });
  for (const name of readdirSync(PAGES)) {
    const page = name.replace(/\.md$/, '');
    const folder = folderOf(page);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, page), roffOf(readFileSync(join(PAGES, name), 'utf8'), version));
  }
  for (const [alias, page] of Object.entries(ALIASES)) symlinkSync(page, join(folderOf(alias), alias));
  writeFileSync(MANUAL_STAMP, '');
}

function folderOf(page) {
  return join(MANUAL, `man${page.slice(-1)}`);
}
