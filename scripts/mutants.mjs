// `node scripts/mutants.mjs ROOM... [--mutants N] [--seed S] [--near]`: breaks single expressions of a room, a folder of sources, and lists the
// changes that no unit test of the package notices, or with `--near` no unit test of the room, which is faster. Stryker is not a package of the project: this script copies the checkout to a temporary folder,
// installs Stryker there, and runs it on a sample of about N mutants for each room. The worlds do not run, because each mutant would
// cost minutes, and texts are not changed. Invariant: the same sources and the same seed give the same sample, and the checkout stays as it is.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { PNPM, ROOT, secondsSince } from './prepare.mjs';
import { isProduct } from './rooms.mjs';

const EXIT_USAGE = 2;
/** Version 10 needs Node 22. */
const STRYKER = ['@stryker-mutator/core@9.6.1', '@stryker-mutator/vitest-runner@9.6.1'];
const NOT_COPIED = new Set(['.git', 'dist', 'node_modules']);
const BLOCK_LINES = 15;
/** Lines on which Stryker changes nothing. */
const WITHOUT_MUTANT = /^\s*(?:$|\/\/|\/?\*|import |[})\]]*[;,]?$)/;
const SHOWN_CHARACTERS = 70;
/** Stryker runs tests in threads, and a thread cannot set the umask. */
const SETUP = 'const umask = process.umask.bind(process);\nprocess.umask = () => umask();\n';
const NEEDS_UMASK = 'packages/rsiod/src/frontends/nbd/nbd-frontend.test.ts';
const SETUP_FILE = 'stryker.setup.ts';
const VITEST_CONFIG = 'stryker.vitest.ts';
const REPORT = 'reports/mutation/mutation.json';

/**
 * Chooses blocks of lines with about `mutants` mutants, which is one for each line that can have one. `files`: path -> text. A block's place
 * in the order depends on the seed, the file and its first line only, so that a change of another file keeps the rest of the sample.
 */
export function sampleOf(files, { mutants, seed }) {
  const blocks = [...files].flatMap(([file, text]) => {
    const lines = text.split('\n');
    const starts = lines.map((_, index) => index).filter((index) => index % BLOCK_LINES === 0);
    return starts.map((start) => {
      const own = lines.slice(start, start + BLOCK_LINES);
      const order = createHash('sha256').update(`${seed} ${file} ${start}`).digest('hex');
      return { file, from: start + 1, to: start + own.length, order, weight: own.filter((line) => !WITHOUT_MUTANT.test(line)).length };
    });
  });
  let sum = 0;
  const chosen = blocks
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => (a.order < b.order ? -1 : 1))
    .filter(({ weight }) => (sum += weight) - weight < mutants);
  return chosen.map(({ file, from, to }) => `${file}:${from}-${to}`).sort();
}

/** Returns the figures of a room, and a line for each mutant that survived or that no test runs. `report`: what Stryker writes. */
export function resultOf(report) {
  const counts = { Killed: 0, Timeout: 0, Survived: 0, NoCoverage: 0 };
  const survivors = [];
  for (const [file, { mutants, source }] of Object.entries(report.files)) {
    for (const { status, location, replacement } of mutants.toSorted((a, b) => a.location.start.line - b.location.start.line)) {
      if (!(status in counts)) continue;
      counts[status] += 1;
      if (status !== 'Survived' && status !== 'NoCoverage') continue;
      const change = `${shown(textAt(source, location))}  ->  ${shown(replacement)}`;
      survivors.push(`${file}:${location.start.line}: ${status === 'Survived' ? '' : 'not covered: '}${change}`);
    }
  }
  const mutants = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return { mutants, ...counts, percent: Math.round((100 * (counts.Killed + counts.Timeout)) / (mutants || 1)), survivors };
}

function textAt(source, { start, end }) {
  const lines = source.split('\n').slice(start.line - 1, end.line);
  lines[lines.length - 1] = lines.at(-1).slice(0, end.column - 1);
  lines[0] = lines[0].slice(start.column - 1);
  return lines.join('\n');
}

function shown(text) {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS)}...` : line;
}

/** The sources of a room, path -> text. */
function sourcesOf(room) {
  const names = readdirSync(join(ROOT, room), { recursive: true }).map((name) => join(room, name));
  return new Map(names.filter(isProduct).map((name) => [name, readFileSync(join(ROOT, name), 'utf8')]));
}

function run(folder, command, args) {
  const { status } = spawnSync(command, args, { cwd: folder, stdio: ['ignore', process.stderr, 'inherit'] });
  if (status !== 0) throw new Error(`${command} ${args[0]} failed in ${folder}: see above`);
}

/** The unit tests below one folder, as vitest.config.ts runs them. */
function vitestConfig(folder, tests) {
  const own = { include: [`${tests}/**/*.test.ts`], maxWorkers: 1 };
  const text = JSON.stringify;
  return `import config from ${text(join(folder, 'vitest.config.ts'))};
const { test: unit, ...rest } = config.test.projects.find(({ test }) => test.name === 'unit');
const both = { exclude: [...unit.exclude, '${NEEDS_UMASK}'], setupFiles: [${text(join(folder, SETUP_FILE))}, ...unit.setupFiles] };
export default { ...rest, test: { ...unit, ...both, ...${text(own)} } };
`;
}

function strykerConfig(mutate) {
  return JSON.stringify({
    mutate,
    mutator: { excludedMutations: ['StringLiteral'] },
    plugins: ['@stryker-mutator/vitest-runner'],
    testRunner: 'vitest',
    vitest: { configFile: VITEST_CONFIG, related: true },
    coverageAnalysis: 'perTest',
    // A mutant in a constant of a module would run all tests.
    ignoreStatic: true,
    inPlace: true,
    disableTypeChecks: false,
    allowEmpty: true,
    concurrency: 2,
    timeoutMS: 10_000,
    dryRunTimeoutMinutes: 30,
    reporters: ['json'],
    logLevel: 'warn',
  });
}

function examine(folder, room, options) {
  const startMs = performance.now();
  const files = sourcesOf(room);
  const sample = sampleOf(files, options);
  writeFileSync(join(folder, VITEST_CONFIG), vitestConfig(folder, options.isNear ? room : room.split('/').slice(0, 3).join('/')));
  writeFileSync(join(folder, 'stryker.config.json'), strykerConfig(sample));
  run(folder, join(folder, 'node_modules/.bin/stryker'), ['run']);
  const { survivors, ...figures } = resultOf(JSON.parse(readFileSync(join(folder, REPORT), 'utf8')));
  const lines = [...files.values()].reduce((sum, text) => sum + text.split('\n').length - 1, 0);
  console.log(`${room}: ${JSON.stringify({ files: files.size, lines, ...figures })} in ${secondsSince(startMs)}`);
  for (const line of survivors) console.log(`  ${line}`);
}

function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      mutants: { type: 'string', default: '300' },
      seed: { type: 'string', default: '1' },
      near: { type: 'boolean', default: false },
    },
  });
  const rooms = positionals.map((room) => room.replace(/\/$/, ''));
  const mutants = Number(values.mutants);
  const wrong = rooms.find((room) => !/^packages\/[^/]+\/src(\/|$)/.test(room));
  if (rooms.length === 0 || wrong !== undefined || !(mutants > 0)) {
    console.error(
      'usage: node scripts/mutants.mjs ROOM... [--mutants 300] [--seed 1] [--near]; a room is a folder: packages/rssrv/src/session',
    );
    process.exit(EXIT_USAGE);
  }
  const folder = mkdtempSync(join(tmpdir(), 'rsio-mutants-'));
  try {
    cpSync(ROOT, folder, { recursive: true, filter: (path) => !NOT_COPIED.has(basename(path)) });
    run(folder, 'npx', ['--yes', PNPM, 'add', '--silent', '-w', '-D', ...STRYKER]);
    writeFileSync(join(folder, SETUP_FILE), SETUP);
    for (const room of rooms) examine(folder, room, { mutants, seed: values.seed, isNear: values.near });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
