// `npm run schemas`: writes docs/json from the current sources (hence tsx). Each command of rsconfig and rsadm with --json has a schema,
// and so does each control socket; definitions.json has the parts that several schemas share. json-schemas.mjs makes the content of the
// schemas; docs/json/README.md is written by hand.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { allSchemas, schemaText, withDefinitions } from './json-schemas.mjs';
import { ROOT } from './prepare.mjs';

const FOLDER = join(ROOT, 'docs/json');
const { CONTROL_VERSION } = await source('common/src/control/method-table.ts');
const { CONTROL_METHODS } = await source('common/src/control/methods.ts');
const { SERVER_METHODS } = await source('common/src/control/server/server-methods.ts');
const { COPYING_METHODS } = await source('common/src/control/server/replication-methods.ts');
// No schema describes what only servers ask of each other.
const ADM_METHODS = Object.fromEntries(Object.entries(SERVER_METHODS).filter(([name]) => !Object.hasOwn(COPYING_METHODS, name)));
const rsconfig = await source('rsconfig/src/command-table.ts');
const rsadm = await source('rsadm/src/command-table.ts');
const programs = [
  { program: 'rsconfig', daemon: 'rsiod', commands: rsconfig.COMMANDS, methods: CONTROL_METHODS },
  { program: 'rsadm', daemon: 'rssrv', commands: rsadm.COMMANDS, methods: ADM_METHODS },
];

mkdirSync(FOLDER, { recursive: true });
for (const name of readdirSync(FOLDER)) if (name.endsWith('.json')) rmSync(join(FOLDER, name));
for (const [name, schema] of Object.entries(withDefinitions(allSchemas(programs, CONTROL_VERSION)))) {
  writeFileSync(join(FOLDER, `${name}.json`), schemaText(schema));
}

function source(path) {
  return import(pathToFileURL(join(ROOT, 'packages', path)).href);
}
