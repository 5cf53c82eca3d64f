// `npm run devices`: what the devices of a client carry, beside nbdkit; arguments after `--` are the measurement's own (`--rounds 3`).
// Leaves measuring to test/figures; builds first, because the daemons run from the build.

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare, ROOT } from './prepare.mjs';

prepare();
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const args = ['--conditions=@rsio/source', '--import', tsx, join(ROOT, 'test/figures/devices.ts'), ...process.argv.slice(2)];
const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
process.exitCode = status ?? 1;
