// Makes every document that is generated, from the compiled packages: the manual (dist/docs/man in markdown, dist/man for man), the JSON
// schemas (dist/docs/json), and what verifies each rule (dist/docs/RULES.md). The build runs it. Invariant: git has no generated document,
// and dist/docs holds nothing that is not made here.

import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { allSchemas, schemaPrograms, schemasPage, schemaText, withDefinitions } from './json-schemas.mjs';
import { manualParts, roffOf, withParts } from './man-pages.mjs';
import { DOCS, DOCS_STAMP, MANUAL, PAGES, ROOT } from './prepare.mjs';
import { rulesPage } from './rules.mjs';

const ALIASES = { 'rsslogcat.8': 'rsclogcat.8' };

rmSync(DOCS, { recursive: true, force: true });
rmSync(MANUAL, { recursive: true, force: true });
await makeManual();
await makeSchemas();
put(join(DOCS, 'RULES.md'), await rulesPage());
writeFileSync(DOCS_STAMP, '');

async function makeManual() {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const parts = await manualParts(compiled);
  for (const name of readdirSync(PAGES)) {
    const text = withParts(readFileSync(join(PAGES, name), 'utf8'), parts);
    put(join(DOCS, 'man', name), text);
    put(placeOf(name.replace(/\.md$/, '')), roffOf(text, version));
  }
  for (const [alias, page] of Object.entries(ALIASES)) symlinkSync(page, placeOf(alias));
}

function placeOf(page) {
  return join(MANUAL, `man${page.slice(-1)}`, page);
}

async function makeSchemas() {
  const { programs, version, makers } = await schemaPrograms(compiled);
  const schemas = withDefinitions(allSchemas(programs, version, makers));
  for (const [name, schema] of Object.entries(schemas)) put(join(DOCS, 'json', `${name}.json`), schemaText(schema));
  put(join(DOCS, 'json/README.md'), schemasPage(readFileSync(join(ROOT, 'docs/JSON.md'), 'utf8'), schemas));
}

function compiled(name, path) {
  return import(pathToFileURL(join(ROOT, 'packages', name, 'dist', `${path}.js`)).href);
}

function put(file, text) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
