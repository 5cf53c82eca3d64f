// The phrases that docs/STYLE.md bans, in documents, manual pages, help texts and comments. Part of `npm run check`. Documents and the
// manual have no banned phrase. Other parts may have as many as ALLOWED says; these numbers fall whenever texts are corrected. Invariant: a
// document is judged by what a reader sees as prose; code, commands and generated parts are left out.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path/posix';
import { fileURLToPath } from 'node:url';
import { ROOT } from './prepare.mjs';
import { textsOf } from './texts.mjs';

const BANNED = /\b(what\s+is|of\s+it|to\s+be\s+had|anew|so\s+it\s+is|whoever|somebody)\b/gi;
/** Maps a part of the project to the number of banned phrases that its comments, texts or decisions may still have. */
const ALLOWED = {
  'packages/common': 50,
  'packages/crsio': 10,
  'packages/protocol': 80,
  'packages/rsadm': 10,
  'packages/rsconfig': 40,
  'packages/rsiod': 60,
  'packages/rssrv': 200,
  'packages/rsweb': 50,
  test: 150,
  'docs/adr': 85,
};
/** Files that quote the phrases, or that keep old texts. */
const LEFT_OUT = new Set(['docs/STYLE.md', 'CHANGELOG.md', 'scripts/phrases.test.mjs']);
const FOLDERS = ['packages', 'test', 'bench', 'scripts', 'docs', 'packaging'];
const SKIPPED = new Set(['node_modules', 'dist']);

/** Banned phrases of a text, as `{line, phrase}`. */
export function phrasesIn(text) {
  return [...text.matchAll(BANNED)].map(({ index, 0: phrase }) => ({
    line: text.slice(0, index).split('\n').length,
    phrase: phrase.toLowerCase().replace(/\s+/, ' '),
  }));
}

/** Blanks everything in a page that is not prose: code, commands, generated parts, titles of decisions. Line numbers stay. */
export function proseOf(page) {
  const blank = (text) => text.replaceAll(/[^\n]/g, ' ');
  return page
    .replaceAll(/^```[^]*?^```/gm, blank)
    .replaceAll(/^<!-- made (?:from|by) [^]*?^<!-- end/gm, blank)
    .replaceAll(/^ {4}.*$/gm, blank)
    .replaceAll(/^- \[\d{4}\].*$/gm, blank)
    .replaceAll(/`[^`\n]*`/g, blank);
}

/** The comments of a source as one text. */
export function commentsOf(source) {
  return [...source.matchAll(/^\s*(?:\/\/|\/\*\*|\*)(.*)$|\s\/\/ (.*)$/gm)].map(([, own, trailing]) => own ?? trailing).join('\n');
}

/** Returns the part to which a file belongs; null: the file may have no banned phrase. */
function partOf(path) {
  if (path.startsWith('docs/adr/')) return 'docs/adr';
  if (path.endsWith('.md')) return null;
  const [top, name] = path.split('/');
  return top === 'packages' ? `packages/${name}` : top;
}

function phrasesOf(path, text) {
  if (path.endsWith('.md')) return phrasesIn(proseOf(text));
  const texts = path.startsWith('packages/') && !/\.test\.|\/testing\//.test(path) ? textsOf(text).map((one) => one.text) : [];
  return phrasesIn(`${commentsOf(text)}\n${texts.join('\n')}`);
}

/** Returns the problems as sentences. `files`: a list of [path, text]; `allowed`: maps a part to its allowed number of phrases. */
export function phraseProblems(files, allowed) {
  const counts = new Map(Object.keys(allowed).map((part) => [part, 0]));
  const problems = [];
  for (const [path, text] of files) {
    const found = phrasesOf(path, text);
    const part = partOf(path);
    if (part === null)
      problems.push(...found.map(({ line, phrase }) => `${path}:${line}: "${phrase}": docs/STYLE.md says what to write instead`));
    else counts.set(part, (counts.get(part) ?? 0) + found.length);
  }
  for (const [part, count] of counts) {
    const most = allowed[part] ?? 0;
    if (count > most) problems.push(`${part} has ${count} phrases that docs/STYLE.md bans, more than ${most}: mend those that are new`);
  }
  return problems;
}

function filesBelow(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    if (SKIPPED.has(entry.name) || entry.name.startsWith('.')) return [];
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) return filesBelow(path);
    return /\.(md|ts|mjs)$/.test(path) && !LEFT_OUT.has(path) && !path.startsWith('bench/results/history-') ? [path] : [];
  });
}

function main() {
  const atTop = readdirSync(ROOT).filter((path) => path.endsWith('.md') && !LEFT_OUT.has(path));
  const files = [...atTop, ...FOLDERS.flatMap(filesBelow)].map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]);
  const problems = phraseProblems(files, ALLOWED);
  for (const problem of problems) console.log(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
