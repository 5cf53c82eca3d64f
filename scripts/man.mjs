// `npm run man`: regenerates the parts of docs/man that come from tables of the program, and makes the manual in dist/man. Reads the
// current sources (hence tsx). `--roff` makes only the manual, as the build does. man-pages.mjs makes the texts. Invariant: dist/man holds
// exactly the pages of docs/man and their aliases; view them with `man -M dist/man rsio`.

import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { commandsPart, commonOptionsPart, keysPart, roffOf, withParts } from './man-pages.mjs';
import { MANUAL, MANUAL_STAMP, PAGES, ROOT } from './prepare.mjs';

const ALIASES = { 'rsslogcat.8': 'rsclogcat.8' };

if (process.argv[2] !== '--roff') await makeParts();
makeManual();

async function makeParts() {
  const { SCHEMA } = await source('common/src/config/schema/schema.ts');
  const rsconfig = await source('rsconfig/src/command-table.ts');
  const rsadm = await source('rsadm/src/command-table.ts');
  const { WEB_SCHEMA } = await source('rsweb/src/config/schema.ts');
  const parts = {
    rssrvcfg: keysPart(SCHEMA.rssrvcfg),
    rscltcfg: keysPart(SCHEMA.rscltcfg),
    rswebcfg: keysPart(WEB_SCHEMA),
    rsconfig: commandsPart('rsconfig', rsconfig.COMMANDS),
    rsadm: commandsPart('rsadm', rsadm.COMMANDS),
    'rsconfig-options': commonOptionsPart(rsconfig.COMMANDS),
    'rsadm-options': commonOptionsPart(rsadm.COMMANDS),
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
