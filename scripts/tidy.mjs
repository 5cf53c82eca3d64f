// Applies the rules of tidy-rules.mjs to every text file of the project, and the rules of rooms.mjs and phases.mjs to all files together. Prints
// `file:line: problem`; the exit code is 1 if there is a problem. Build results, installed packages and hidden folders (except .ci) are
// skipped.

import { readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, relative } from 'node:path';
import { phaseProblems } from './phases.mjs';
import { ROOT } from './prepare.mjs';
import { roomProblems } from './rooms.mjs';
import { missingFiles, problemsOf, unknownRules } from './tidy-rules.mjs';

/** Not examined, because this file contains an example of every violation. */
const EXAMPLES = 'scripts/tidy-rules.test.mjs';
const SKIPPED_FOLDERS = new Set(['node_modules', 'dist']);
const TEXT_FILE = /\.(ts|mjs|cjs|js|json|md|sh|yaml|yml|txt)$|^(bin|\.ci)\/[^/]+$/;

const sources = new Map([...textFiles(ROOT)].map((file) => [relative(ROOT, file), readFileSync(file, 'utf8')]));
const problems = [...sources].flatMap(([path, text]) =>
  problemsOf(path, text, machinePaths()).map((problem) => `${path}:${problem.line}: ${problem.text}`),
);
problems.push(...roomProblems(sources).map(({ path, text }) => `${path}: ${text}`));
problems.push(
  ...[...missingFiles(sources), ...unknownRules(sources), ...phaseProblems(sources)].map(
    ({ path, line, text }) => `${path}:${line}: ${text}`,
  ),
);
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

/**
 * The folders of this machine that no file may name: this checkout and the developer's home. Short paths such as `/src` are omitted,
 * because they would match by accident.
 */
function machinePaths() {
  return [ROOT, join(homedir(), '/')].filter((path) => path.split('/').length > 3);
}
