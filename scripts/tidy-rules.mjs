// The rules of docs/STYLE.md that formatter, linter and compiler cannot check, as a pure function: path and text in, problems out.
// tidy.mjs finds and reads the files. Each rule says what to do instead, and has a test that breaks it.

/** Each banned word is written in two halves, so that this file passes its own rule. */
const UNFINISHED = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].join('|')})\\b`);
/** Test helpers: a folder testing/, or a file backend-scene.ts. */
const TESTING = /(^|\/)testing(\/|\.ts$)/;
/** Matches the name of a rule in a comment: S9, G15. */
export const RULE_NAME = /(?<![\w.'"-])[A-Z][1-9]\d?(?!\.?\w|['"-])/g;
const HOME_PATH = /(?<![\w.~$}-])\/(?:home|Users)\/[A-Za-z]/;

/** Problems of one file as `{line, text}`. `path` is relative to the repository; `machinePaths` are folders of this machine. */
export function problemsOf(path, text, machinePaths = []) {
  const lines = text.split('\n');
  const problems = [...wordProblems(lines, machinePaths)];
  if (isCode(path)) {
    lines.forEach((line, index) => {
      for (const found of codeLineProblems(path, line)) problems.push({ line: index + 1, text: found });
    });
  }
  return problems.sort((a, b) => a.line - b.line);
}

function isCode(path) {
  return /\.(ts|mjs)$/.test(path);
}

function isTest(path) {
  return /\.test\.(ts|mjs)$/.test(path);
}

function isProduct(path) {
  return /^(packages\/[^/]+\/src|bench)\//.test(path) && !isTest(path) && !TESTING.test(path);
}

function* wordProblems(lines, machinePaths) {
  for (const [index, line] of lines.entries()) {
    if (UNFINISHED.test(line)) yield { line: index + 1, text: 'This line marks unfinished work: finish it, or open an issue' };
    if (HOME_PATH.test(line) || machinePaths.some((folder) => line.includes(folder))) {
      yield { line: index + 1, text: "A path of a developer's machine: use a path relative to the repository or a temporary folder" };
    }
  }
}

function* codeLineProblems(path, line) {
  const specifier = /(?:\bfrom|\bimport|\bimport\()\s*'([^']+)'/.exec(line)?.[1];
  if (specifier !== undefined) yield* importProblems(path, specifier);
  if (line.startsWith('export * ')) yield 'Barrel files are not allowed: import from the defining file';
  if (/(?:oxlint|eslint)-disable(?!.* -- \S)/.test(line)) yield 'A lint rule is disabled without a reason: append `-- reason`';
  if (isTest(path)) yield* testLineProblems(line);
  else if (path.startsWith('packages/') && isProduct(path) && /['"]-e['"]/.test(line))
    yield 'ps shows the text of a program after -e: move it to a file below helpers/';
}

function* importProblems(path, specifier) {
  const ending = path.endsWith('.ts') ? '.ts' : '.mjs';
  const isCommon = ending === '.mjs' && specifier.endsWith('.cjs');
  if (/^\.{1,2}(\/|$)/.test(specifier) && !specifier.endsWith(ending) && !isCommon)
    yield `Relative import ${specifier} does not end in ${ending}`;
  const usesTesting = TESTING.test(specifier);
  if (usesTesting && isProduct(path)) yield `Only tests may import test helpers: ${specifier}`;
}

function* testLineProblems(line) {
  const switched = /\b(?:it|test|describe|suite)(?:\.\w+)*\.(only|skip|skipIf|runIf|todo|fails)\b/.exec(line)?.[1];
  if (switched === 'only') yield '.only hides the other tests: remove it';
  else if (switched !== undefined) yield `.${switched} gives no reason: call context.skip(condition, 'reason') in the test`;
  if (/\bskip\(\s*\)/.test(line)) yield "skip() gives no reason: say what is missing, context.skip('needs nbdkit')";
}

/** A file that a comment names, with or without folders. Patterns and endings alone are not names. */
const NAMED_FILE = /(?<![\w@./*{-])((?:[\w.-]+\/)*[\w-]+(?:\.test)?\.(?:ts|mjs))\b/g;

/** Yields the comments that name a file that does not exist, as `{path, line, text}`. `sources`: a Map from path to text, of all files. */
export function* missingFiles(sources) {
  const known = new Set();
  for (const path of sources.keys()) {
    const parts = path.split('/');
    for (let from = 0; from < parts.length; from++) known.add(parts.slice(from).join('/'));
  }
  for (const [path, text] of sources) {
    if (!isCode(path)) continue;
    for (const [index, line] of text.split('\n').entries()) {
      const comment = /^\s*(?:\/\/|\*|\/\*\*)(.*)/.exec(line)?.[1] ?? '';
      for (const [, name] of comment.matchAll(NAMED_FILE)) {
        if (!known.has(name)) yield { path, line: index + 1, text: `The comment names ${name}, which does not exist` };
      }
    }
  }
}

/**
 * Yields the comments that name a rule which neither docs/PROTOCOL.md nor docs/GUARANTEES.md has, as `{path, line, text}`. `sources`: text
 * by path.
 */
export function* unknownRules(sources) {
  const known = new Set();
  for (const document of ['docs/PROTOCOL.md', 'docs/GUARANTEES.md'])
    for (const [, rule] of (sources.get(document) ?? '').matchAll(/^\*\*([A-Z]\d+)\b/gm)) known.add(rule);
  const letters = new Set([...known].map((rule) => rule[0]));
  for (const [path, text] of sources) {
    if (!/^(packages|test)\/.*\.ts$/.test(path)) continue;
    for (const [index, line] of text.split('\n').entries()) {
      const [comment = ''] = /(\/\/|^\s*\/?\*).*/.exec(line) ?? [];
      for (const [rule] of comment.matchAll(RULE_NAME)) {
        if (known.has(rule) || !letters.has(rule[0])) continue;
        yield { path, line: index + 1, text: `Neither PROTOCOL.md nor GUARANTEES.md has a rule ${rule}: name the one that is meant` };
      }
    }
  }
}
