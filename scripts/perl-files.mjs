// Checks the Perl programs with `perl -c` and warnings. The build runs this check after one of the programs has changed (prepare.mjs). The
// tests of the code that runs the Perl programs also test what these programs do.

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const TIMEOUT_MS = 10_000;

/** The Perl programs below the folder `root`: files `*.pl` in a folder `helpers`, and those of a test. */
export function perlFiles(root) {
  const packages = readdirSync(join(root, 'packages')).map((name) => join('packages', name, 'helpers'));
  return [...packages, 'test/figures/netlab/helpers', 'test/support/proxmox', 'test/vm/guest']
    .flatMap((folder) => filesOf(root, folder))
    .sort();
}

/** Returns the messages of perl about errors and warnings in the files; '': there are none; null: perl is not installed. */
export function perlProblems(files, command = 'perl') {
  let problems = '';
  for (const file of files) {
    const { error, status, signal, stderr } = spawnSync(command, ['-wc', file], { encoding: 'utf8', timeout: TIMEOUT_MS });
    if (error?.code === 'ENOENT') return null;
    if (status === 0 && stderr === `${file} syntax OK\n`) continue;
    problems += stderr || `${file}: perl ended with ${signal ?? status}${error === undefined ? '' : `: ${error.message}`}\n`;
  }
  return problems;
}

function filesOf(root, folder) {
  try {
    const names = readdirSync(join(root, folder)).filter((name) => name.endsWith('.pl'));
    return names.map((name) => join(root, folder, name));
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}
