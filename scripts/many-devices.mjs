// `npm run many-devices`: attaches a thousand volumes as devices; arguments after `--` are its own (`--volumes 100`).
// Leaves the measuring to test/figures; builds first, because the daemons run from the build.

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare, ROOT } from './prepare.mjs';

prepare();
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const args = ['--conditions=@rsio/source', '--import', tsx, join(ROOT, 'test/figures/many-devices.ts'), ...process.argv.slice(2)];
const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
process.exitCode = status ?? 1;
