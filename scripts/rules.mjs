// Finds the code, tests, conformance cases and mutants of each rule of docs/PROTOCOL.md and of each guarantee of docs/GUARANTEES.md; as a
// program, which `npm run check` runs after the compiler, prints the gaps. The comments of files and the definitions of cases and mutants
// name their rules, so that nobody writes the lists by hand. Invariant: a rule without code, without a test or case, or without a mutant is
// a problem, and so is a guarantee without a test, or without a mutant of its own or of a rule on which it rests, unless WITHOUT_MUTANT
// names it.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path/posix';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ROOT } from './prepare.mjs';
import { RULE_NAME } from './tidy-rules.mjs';

const LEFT_OUT = new Set(['node_modules', 'dist']);
const SIMULATOR = 'test/sim/runner/first-seeds.test.ts';
/**
 * Both pages have rules N1 to N5. In comments, the name alone means the rule of docs/PROTOCOL.md; `N1 in docs/GUARANTEES.md` means the
 * guarantee.
 */
const LIMIT = /\bN\d+ in docs\/GUARANTEES\.md/g;
/** Guarantees that no mutant breaks, neither by themselves nor by a rule on which they rest: tests and drills alone test these guarantees. */
const WITHOUT_MUTANT = [
  ...['G6', 'G9', 'G10', 'G12', 'G14', 'G16', 'G21', 'G22', 'G23', 'G24', 'G30', 'G31', 'G32', 'G34'],
  ...['G42', 'G43', 'G45', 'G46', 'G47', 'G51', 'G54', 'G56'],
];

/** In the comments of these files, F1 to F10 are keys. */
const PAGES_WITH_KEYS = /^(packages\/crsio|test\/tui)\//;

/** Returns the rules of a page in order, as `{name, title, text}`. `title`: the bold text; `text`: what follows it. */
export function rulesOf(page) {
  const found = page.matchAll(/^\*\*(([A-Z]\d+)\. [^]*?)\*\*([^]*?)(?=^\*\*[A-Z]\d+\. |^#|$(?![^]))/gm);
  return [...found].map(([, title, name, text]) => ({ name, title: title.replaceAll('\n', ' '), text }));
}

/** As rulesOf, for docs/GUARANTEES.md. */
export function guaranteesOf(page) {
  return rulesOf(page).map((one) => (one.name.startsWith('N') ? { ...one, name: `${one.name} in docs/GUARANTEES.md` } : one));
}

/** Returns the names of the rules in a text. `S1 to S3` names three rules. */
function namesIn(text) {
  const spelled = text.replaceAll(/\b([A-Z])(\d+) to \1?(\d+)/g, (_, letter, first, last) =>
    Array.from({ length: last - first + 1 }, (_, index) => letter + (Number(first) + index)).join(', '),
  );
  return spelled.match(RULE_NAME) ?? [];
}

/** Returns the names of all rules, guarantees and sections that the comments of a source name. `headings`: those of docs/PROTOCOL.md. */
export function namedBy(source, headings) {
  const text = commentsOf(source).replaceAll(/\s+/g, ' ');
  const sections = [...text.matchAll(/PROTOCOL\.md(?:, | \(")/g)].map(({ 0: start, index }) => text.slice(index + start.length));
  const longestFirst = headings.toSorted((a, b) => b.length - a.length);
  return new Set([
    ...namesIn(text.replaceAll(LIMIT, '')),
    ...(text.match(LIMIT) ?? []),
    ...sections.flatMap((section) => longestFirst.find((heading) => section.startsWith(heading)) ?? []),
  ]);
}

/** Returns how a source is listed under the rules that it names: `code`, `tests`, or null if its cases or mutants are listed instead. */
export function kindOf(path) {
  if (!/^(packages\/[^/]+\/src|test)\/.*\.ts$/.test(path)) return null;
  if (path.endsWith('.test.ts')) return 'tests';
  if (/^test\/(sim\/zoo|conformance)\//.test(path)) return null;
  return path.startsWith('test/') || path.includes('/testing/') ? 'tests' : 'code';
}

/**
 * Returns a function from a name to the lists of this name. `sources`: `[path, text]` of each source; `mutants` and `cases`: as their
 * tables define them.
 */
export function indexOf(sources, headings, mutants, cases) {
  const index = new Map();
  const at = (name) => {
    if (!index.has(name)) index.set(name, { code: [], tests: [], cases: [], mutants: [] });
    return index.get(name);
  };
  for (const [path, text] of sources) {
    const kind = PAGES_WITH_KEYS.test(path) ? null : kindOf(path);
    if (kind !== null) for (const name of namedBy(text, headings)) at(name)[kind].push(path);
  }
  for (const { id, section } of cases) at(section).cases.push(id);
  for (const { name, explorer, ...mutant } of mutants) {
    for (const { tests, mutants: breaches } of brokenBy(mutant).map(at)) {
      breaches.push(name);
      if (explorer === undefined && !tests.includes(SIMULATOR)) tests.unshift(SIMULATOR);
    }
  }
  return at;
}

function brokenBy({ rule, also = [] }) {
  return [rule, ...also];
}

/** Returns one line for each rule that lacks something. `at`: result of indexOf. */
export function gapsOf(rules, guarantees, at, mutants, withoutMutant = WITHOUT_MUTANT) {
  const isTested = ({ name }) => at(name).cases.length > 0 || at(name).tests.some((path) => path.endsWith('.test.ts'));
  const isBroken = ({ name, text = '' }) => [name, ...rulesIn(text)].some((one) => at(one).mutants.length > 0);
  const promises = guarantees.filter(({ name }) => name.startsWith('G'));
  const known = new Set(rules.map(({ name }) => name));
  const strangers = guarantees.flatMap(({ text }) => rulesIn(text)).filter((name) => !known.has(name));
  const names = (all, text) => all.map(({ name }) => `Rule ${name} ${text}`);
  return [
    ...names(
      rules.filter(({ name }) => at(name).code.length === 0),
      'has no code: name it in the header of the file that implements it',
    ),
    ...names(
      [...rules, ...promises].filter((one) => !isTested(one)),
      'has neither a test nor a case: name it in the header of its test',
    ),
    ...names(
      rules.filter(({ name }) => !isBroken({ name })),
      'has no mutant: add one to test/sim/zoo',
    ),
    ...names(
      promises.filter((one) => !isBroken(one) && !withoutMutant.includes(one.name)),
      'has no mutant: add one to test/sim/zoo, or name the rules on which it rests in docs/GUARANTEES.md',
    ),
    ...names(
      withoutMutant
        .map((name) => promises.find((one) => one.name === name) ?? { name })
        .filter((one) => isBroken(one) || !promises.includes(one)),
      'is gone or has a mutant: remove it from WITHOUT_MUTANT in scripts/rules.mjs',
    ),
    ...strangers.map((name) => `docs/GUARANTEES.md names rule ${name}, which docs/PROTOCOL.md does not have`),
    ...mutants
      .filter((mutant) => brokenBy(mutant).some((name) => !known.has(name) && !promises.some((one) => one.name === name)))
      .map(({ name }) => `Mutant ${name} breaks a rule that neither docs/PROTOCOL.md nor docs/GUARANTEES.md has`),
  ];
}

/** Returns the page. `at`: result of indexOf. */
export function pageOf(rules, headings, guarantees, at) {
  return [
    '# Rules, and what verifies them',
    'The build makes this page. A file is listed at a rule, section or guarantee if one of its comments names it; a case of the\n' +
      'conformance suite at the rule or section that demands it; a mutant at each rule that it breaks. Paths without `test/` begin at `packages/`.',
    '## Rules of docs/PROTOCOL.md',
    ...rules.flatMap(({ name, title }) => entryOf(title, at(name))),
    '## Sections of docs/PROTOCOL.md',
    ...headings.flatMap((heading) => entryOf(heading, at(heading))),
    '## Guarantees and limits of docs/GUARANTEES.md',
    ...guarantees.flatMap(({ name, title, text }) => entryOf(title, at(name), rulesIn(text))),
  ]
    .join('\n\n')
    .concat('\n');
}

/** The rules of docs/PROTOCOL.md on which a guarantee rests: `Rules S1 to S3 and O1`. */
function rulesIn(text) {
  return [...new Set([...text.matchAll(/\b[Rr]ules? ((?:[A-Z]\d+(?:,? and | to |, )?)+)/g)].flatMap(([, list]) => namesIn(list)))];
}

function entryOf(title, { code, tests, cases, mutants }, rules = []) {
  const paths = (all) => all.map((path) => path.replace('packages/', ''));
  const quoted = (all) => all.map((name) => `\`${name}\``);
  const lists = { Rules: rules, Code: quoted(paths(code)), Tests: quoted(paths(tests)), Cases: quoted(cases), Mutants: quoted(mutants) };
  const lines = Object.entries(lists).flatMap(([what, all]) => (all.length === 0 ? [] : [`- ${what}: ${all.join(', ')}`]));
  return lines.length === 0 ? [] : [[`**${title}**`, ...lines].join('\n')];
}

/** The comments of a source as one text. */
function commentsOf(source) {
  return [...source.matchAll(/^\s*(?:\/\/|\/\*\*|\*)(.*)$|\s\/\/ (.*)$/gm)].map(([, own, trailing]) => own ?? trailing).join('\n');
}

/** Paths of all files below a folder, relative to the repository. */
function filesBelow(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    if (LEFT_OUT.has(entry.name) || entry.name.startsWith('.')) return [];
    return entry.isDirectory() ? filesBelow(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`];
  });
}

/** Reads the pages, the sources, and the compiled tables of cases and mutants. */
async function readAll() {
  const read = (path) => readFileSync(join(ROOT, path), 'utf8');
  const load = (path) => import(pathToFileURL(join(ROOT, 'test/dist', path)).href);
  const [{ MUTANTS: mutants }, { SERVER_CASES }, { CLIENT_CASES }] = await Promise.all(
    ['sim/zoo/mutants.js', 'conformance/server-cases.js', 'conformance/client-cases.js'].map(load),
  );
  const protocol = read('docs/PROTOCOL.md');
  const headings = [...protocol.matchAll(/^#{2,} (.+)$/gm)].map(([, heading]) => heading);
  const paths = ['packages', 'test'].flatMap(filesBelow).filter((path) => kindOf(path) !== null);
  const sources = paths.sort((a, b) => (a < b ? -1 : 1)).map((path) => [path, read(path)]);
  const at = indexOf(sources, headings, mutants, [...SERVER_CASES, ...CLIENT_CASES]);
  return { rules: rulesOf(protocol), guarantees: guaranteesOf(read('docs/GUARANTEES.md')), headings, mutants, at };
}

/** The page of the checkout. */
export async function rulesPage() {
  const { rules, headings, guarantees, at } = await readAll();
  return pageOf(rules, headings, guarantees, at);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { rules, guarantees, mutants, at } = await readAll();
  const problems = gapsOf(rules, guarantees, at, mutants);
  for (const problem of problems) console.log(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
