// `npm run schemas`: writes docs/json from the current sources (hence tsx): a schema for each command of rsconfig with --json, and one
// for the control socket. Their content is json-schemas.mjs's job; docs/json/README.md is written by hand.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { allSchemas, schemaText } from './json-schemas.mjs';
import { ROOT } from './prepare.mjs';

const FOLDER = join(ROOT, 'docs/json');
const { CONTROL_METHODS, CONTROL_VERSION } = await source('common/src/control/methods.ts');
const { COMMANDS } = await source('rsconfig/src/command-table.ts');

mkdirSync(FOLDER, { recursive: true });
for (const name of readdirSync(FOLDER)) if (name.endsWith('.json')) rmSync(join(FOLDER, name));
for (const [name, schema] of Object.entries(allSchemas(COMMANDS, { methods: CONTROL_METHODS, version: CONTROL_VERSION }))) {
  writeFileSync(join(FOLDER, `${name}.json`), schemaText(schema));
}

function source(path) {
  return import(pathToFileURL(join(ROOT, 'packages', path)).href);
}
