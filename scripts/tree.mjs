// `npm run tree`: writes docs/TREE.md, the lists of folders, bounds and decisions. With `--check`, compares the page instead of writing it,
// as in `npm run check`. The texts of folders are in tree-texts.mjs, bounds in the limits.ts of each folder, decisions in docs/adr.
// Invariant: a folder without a text, a text without a folder and a decision without its kind are problems, and prevent the page from being
// written.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { fileURLToPath } from 'node:url';
import { ROOT } from './prepare.mjs';
import { FOLDERS } from './tree-texts.mjs';

const PAGE = 'docs/TREE.md';
const TOPS = ['packages', 'test', 'bench', 'scripts', 'bin', 'docs', 'packaging'];
const LEFT_OUT = new Set(['node_modules', 'dist']);
const KINDS = ['decision', 'note'];
const LINE_CHARS = 150;
const COLUMN_CHARS = 26;

/**
 * The folders that need a text: all folders with files, except the roots of packages and helpers of tests. `files`: paths from the root.
 */
export function foldersOf(files) {
  const folders = new Set(files.map((file) => dirname(file)));
  return [...folders].filter((folder) => !/^packages\/[^/]+$|(^|\/)testing$/.test(folder));
}

export function folderProblems(files, texts) {
  const existing = new Set(files.flatMap((file) => file.split('/').map((_, depth, parts) => parts.slice(0, depth).join('/'))));
  return [
    ...foldersOf(files)
      .filter((folder) => !(folder in texts))
      .map((folder) => `Folder ${folder} has no text: add it to scripts/tree-texts.mjs`),
    ...Object.keys(texts)
      .filter((folder) => !existing.has(folder))
      .map((folder) => `Folder ${folder} does not exist: remove it from scripts/tree-texts.mjs`),
  ];
}

/** Returns number, title and kind of an ADR. Throws if one of the three is missing. */
export function decisionOf(path, text) {
  const [, number, title] = /^# (\d{4}) (.+)$/m.exec(text) ?? [];
  const [, kind] = /^Kind: (\w+)$/m.exec(text) ?? [];
  if (number === undefined) throw new Error(`${path} does not begin with # NUMBER TITLE`);
  if (!KINDS.includes(kind))
    throw new Error(`${path} lacks its kind: add a line below its title, ${KINDS.map((kind) => `Kind: ${kind}`).join(' or ')}`);
  return { path, number, title, kind };
}

/** Returns the first sentence of a limits.ts and the names of its constants. */
export function boundsOf(text) {
  const comment = text.match(/^(?:\/\/.*\n)+/)?.[0].replaceAll(/\n?\/\/ /g, ' ') ?? '';
  const [sentence = ''] = comment.trim().split(/(?<=[a-z/)])[.:;](?=\s)/);
  return { sentence, names: [...text.matchAll(/^export const (\w+)/gm)].map(([, name]) => name) };
}

/** Returns the page. `limits`: [path, text] of each limits.ts; `decisions`: as decisionOf returns them. */
export function pageOf(texts, limits, decisions) {
  const rows = (kind) =>
    decisions.filter((one) => one.kind === kind).map(({ path, number, title }) => `- [${number}](${path.replace('docs/', '')}) ${title}`);
  const bounds = limits.map(([path, text]) => ({ path, ...boundsOf(text) })).filter(({ names }) => names.length > 0);
  return [
    '# Folders, bounds and decisions',
    '`npm run tree` generates this page. The texts of folders are in `scripts/tree-texts.mjs`. docs/ARCHITECTURE.md says how the parts work together.',
    '## Folders',
    ...treeBlocks(texts),
    '## Bounds\nWhere each bound is kept. The comment of each constant says what it bounds, and why.',
    bounds.map(({ path, sentence, names }) => wrapped(`\`${path.replace('packages/', '')}\`: ${sentence}. ${names.join(', ')}`)).join('\n'),
    '## Decisions\nHard to undo, or not obvious. The page of each has its context and its consequences.',
    rows('decision').join('\n'),
    '## Notes\nHow one feature works, and why it works like this.',
    rows('note').join('\n'),
  ]
    .join('\n\n')
    .concat('\n');
}

function treeBlocks(texts) {
  const blocks = [];
  for (const [folder, text] of Object.entries(texts)) {
    const parents = folder.split('/');
    const top = parents[0] === 'packages' ? parents.slice(0, 2).join('/') : parents[0];
    if (blocks.at(-1)?.top !== top) blocks.push({ top, lines: [] });
    const depth = parents.length - top.split('/').length;
    const name = depth === 0 ? `${top}/` : `${'  '.repeat(depth)}${parents.at(-1)}/`;
    blocks.at(-1).lines.push(`${name.padEnd(COLUMN_CHARS)} ${text}`);
  }
  return blocks.map(({ top, lines }) => `\`\`\`\n${lines[0].startsWith(`${top}/`) ? '' : `${top}/\n`}${lines.join('\n')}\n\`\`\``);
}

export function wrapped(text, first = '- ', indent = '  ') {
  return `${first}${text}`.replaceAll(new RegExp(`(.{1,${LINE_CHARS}})(?: |$)`, 'g'), `$1\n${indent}`).trimEnd();
}

/** Paths of all files below a folder, relative to the repository. */
export function filesBelow(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    if (LEFT_OUT.has(entry.name) || entry.name.startsWith('.')) return [];
    return entry.isDirectory() ? filesBelow(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`];
  });
}

function main(isCheck) {
  const files = TOPS.flatMap(filesBelow).sort((a, b) => (a < b ? -1 : 1));
  const read = (path) => readFileSync(join(ROOT, path), 'utf8');
  const problems = folderProblems(files, FOLDERS);
  const decisions = [];
  for (const path of files.filter((file) => /^docs\/adr\/.*\.md$/.test(file))) {
    try {
      decisions.push(decisionOf(path, read(path)));
    } catch (error) {
      problems.push(error.message);
    }
  }
  const limits = files.filter((file) => /\/src\/(.*\/)?limits\.ts$/.test(file));
  const page = pageOf(
    FOLDERS,
    limits.map((path) => [path, read(path)]),
    decisions,
  );
  if (problems.length === 0 && !isCheck) writeFileSync(join(ROOT, PAGE), page);
  else if (problems.length === 0 && page !== read(PAGE)) problems.push(`${PAGE} is not as the sources are: run npm run tree`);
  for (const problem of problems) console.log(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.includes('--check'));
