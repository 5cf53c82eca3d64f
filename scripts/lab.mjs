// `pnpm lab`: the network lab; arguments after `--` are its own (`--full`, `--only silent`).
// Leaves the measuring to test/figures/netlab; builds first, because the daemons run from the build.

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare, ROOT } from './prepare.mjs';

prepare();
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const given = process.argv.slice(2).filter((argument) => argument !== '--');
const args = ['--conditions=@rsio/source', '--import', tsx, join(ROOT, 'test/figures/netlab/main.ts'), ...given];
const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
process.exitCode = status ?? 1;
