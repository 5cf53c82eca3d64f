// Applies the rules of tidy-rules.mjs to every text file of the project and prints `file:line: problem`; exit code 1 when there is one.
// Leaves build results, packages and hidden folders (except .ci) alone.

import { readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, relative } from 'node:path';
import { ROOT } from './prepare.mjs';
import { problemsOf } from './tidy-rules.mjs';

/** Holds one example of everything that is refused. */
const EXAMPLES = 'scripts/tidy-rules.test.mjs';
const SKIPPED_FOLDERS = new Set(['node_modules', 'dist']);
const TEXT_FILE = /\.(ts|mjs|cjs|js|json|md|sh|yaml|yml|txt)$|^(bin|\.ci)\/[^/]+$/;

const problems = [...textFiles(ROOT)].flatMap((file) => {
  const path = relative(ROOT, file);
  return problemsOf(path, readFileSync(file, 'utf8'), machinePaths()).map(({ line, text }) => `${path}:${line}: ${text}`);
});
for (const problem of problems) console.log(problem);
process.exitCode = problems.length === 0 ? 0 : 1;

function* textFiles(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      const hidden = entry.name.startsWith('.') && entry.name !== '.ci';
      if (!hidden && !SKIPPED_FOLDERS.has(entry.name)) yield* textFiles(path);
    } else if (entry.isFile() && isOurs(relative(ROOT, path))) {
      yield path;
    }
  }
}

function isOurs(path) {
  return TEXT_FILE.test(path) && path !== 'pnpm-lock.yaml' && path !== EXAMPLES;
}

/** This checkout and this person's home; short ones such as `/src` would match by accident and are left out. */
function machinePaths() {
  return [ROOT, join(homedir(), '/')].filter((path) => path.split('/').length > 3);
}
