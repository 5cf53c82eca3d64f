// `npm run gaps`: measures the pause of I/O when a path fails; arguments after `--` are the measurement's own (`--runs 10`).
// Leaves the measuring to test/figures; builds first, because the daemons run from the build.

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare, ROOT } from './prepare.mjs';

prepare();
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const args = ['--conditions=@rsio/source', '--import', tsx, join(ROOT, 'test/figures/gaps.ts'), ...process.argv.slice(2)];
const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
process.exitCode = status ?? 1;
