// `pnpm fuzz`: wrong and hostile inputs of every kind, from seeds; arguments are its own. Runs from the sources, so that a finding names
// their lines. Leaves targets and peers to test/fuzz; builds first, because the daemons run from the build.

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare, ROOT } from './prepare.mjs';

prepare();
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const args = ['--conditions=@rsio/source', '--import', tsx, join(ROOT, 'test/fuzz/main.ts'), ...process.argv.slice(2)];
const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
process.exitCode = status ?? 1;
