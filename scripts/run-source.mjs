// Prepares the checkout and runs one program of test/ from its sources, so that what goes wrong names their lines. Its arguments are those
// of this process, without the `--` that pnpm leaves in; the daemons it starts run from the build. Leaves the program to test/.

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare, ROOT } from './prepare.mjs';

/** Runs the program whose main file is `path`, below the repository root; the exit code is the program's. */
export function runSource(path) {
  prepare();
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const given = process.argv.slice(2).filter((argument) => argument !== '--');
  const args = ['--conditions=@rsio/source', '--import', tsx, join(ROOT, path), ...given];
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
