// Makes a folder with Node, a shell and the coreutils before the unit tests. The PATH of a unit test has only these programs and the
// programs that the test names (needs.ts). A test that uses another program therefore fails on every machine. unit-setup.ts sets the PATH.
// Invariant: the folder is removed after the tests.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { programAt } from './needs.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** `folder`: contains the folders in the PATH of unit tests. `machinePath`: the PATH of the machine. */
    readonly programs: { readonly folder: string; readonly machinePath: string };
  }
}

/** The shell is included, because programs that do not search PATH find /bin/sh on every system. */
const BARE =
  'node npm npx sh [ base64 basename cat chgrp chmod chown cksum comm cp csplit cut date dd df dirname du echo env expand expr false fold head id install join link ln ls md5sum mkdir mkfifo mknod mktemp mv nice nl nohup nproc od paste pathchk pinky pr printenv printf pwd readlink realpath rm rmdir seq sha256sum shuf sleep sort split stat stdbuf stty sum sync tac tail tee test timeout touch tr true truncate tsort tty uname uniq unlink wc who whoami yes'.split(
    ' ',
  );

/** Vitest calls this function once before all test files, and calls the returned function after them. */
export function setup(project: TestProject): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'rsio-programs-'));
  const machinePath = process.env['PATH'] ?? '';
  mkdirSync(join(folder, 'bare'));
  for (const name of BARE) {
    const file = programAt(name, machinePath);
    if (file !== undefined) symlinkSync(file, join(folder, 'bare', name));
  }
  project.provide('programs', { folder, machinePath });
  return () => rmSync(folder, { recursive: true, force: true });
}
