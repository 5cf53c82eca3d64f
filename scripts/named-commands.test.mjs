// Compares the commands that messages, help and documents name with the commands of rsadm and rsconfig: each remedy exists, with its options.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './prepare.mjs';

const load = (path) => import(join(ROOT, 'packages', path));
const { shownCall } = await load('common/src/cli/command.ts');
const TABLES = {
  rsadm: (await load('rsadm/src/command-table.ts')).COMMANDS,
  rsconfig: (await load('rsconfig/src/command-table.ts')).COMMANDS,
};
/** Words of sentences that follow the name of a program, such as in `rsadm there`. */
const PROSE = new Set(
  'about after and applies are asks as at before by can does for from gives has in is it knows lacks made makes may must names needs neither no not of on or prints shows starts takes talks that then uses there to which while will with without would'.split(
    ' ',
  ),
);
/** Options that each command has. */
const COMMON = new Set(['--root', '--help', '--version', '--json', '--config']);

/** Texts of the product: what is not a comment. */
function sourcesOf(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return ['node_modules', 'dist', 'testing'].includes(entry.name) ? [] : sourcesOf(path);
    return path.endsWith('.ts') && !path.endsWith('.test.ts') ? [path] : [];
  });
}

function textOf(path) {
  const text = readFileSync(join(ROOT, path), 'utf8');
  return path.endsWith('.md') ? text : text.replaceAll(/^\s*(\/\/|\/?\*).*$/gm, '').replaceAll(/['`] \+\s*['`]/g, '');
}

/** Returns what is wrong with the words behind the name of a program; null if they are a command, a family of commands, or a sentence. */
function wrongIn(program, words) {
  const [first = ''] = words;
  if (COMMON.has(first) || first in TABLES) return null;
  if (first === '' || PROSE.has(first) || /^[A-Z<{[$]/.test(first)) return null;
  const commands = TABLES[program];
  const shown = commands.map((command) => ({ command, words: shownCall(command.call).split(' ') }));
  const named = shown
    .filter((one) => one.words.every((word, at) => word === words[at]))
    .toSorted((a, b) => b.words.length - a.words.length)[0];
  if (named === undefined) {
    const isFamily = shown.some((one) => one.words[0] === first) && (PROSE.has(words[1]) || !/^[a-z]/.test(words[1] ?? ''));
    return isFamily ? null : `no command ${words.slice(0, 2).join(' ')}`;
  }
  const options = words.slice(named.words.length).filter((word) => word.startsWith('--'));
  const known = new Set([...COMMON, ...Object.keys(named.command.options).map((name) => `--${name}`)]);
  const unknown = options.find((option) => !known.has(option));
  return unknown === undefined ? null : `no option ${unknown} of ${named.words.join(' ')}`;
}

/** Finds `rsadm volume create NAME --size`: the words up to the end of the command in the text. */
function problemsIn(path) {
  return [
    ...textOf(path).matchAll(/(?<![\w/.-])(rsadm|rsconfig)((?: +(?:-{1,2}[a-z][a-z-]*|[A-Za-z<{[$][^\s`'"|;,)\]}:]*|\d\S*))*)/g),
  ].flatMap(([, program, rest]) => {
    // A sentence ends the command. -lvv is -l with more details.
    const [, command = ''] = /^(.*?)(?:[.:](?: |$)|\$\{|$)/.exec(rest.trim()) ?? [];
    const wrong = wrongIn(program, command.replace(/^-([a-z])v+/, '-$1').split(/ +/));
    return wrong === null ? [] : [`${path}: ${program}${rest}: ${wrong}`];
  });
}

const sources = readdirSync(join(ROOT, 'packages')).flatMap((name) => sourcesOf(`packages/${name}/src`));
const pages = readdirSync(join(ROOT, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`);

test('each command that a message or a document names exists', () => {
  expect(sources.length).toBeGreaterThan(500);
  expect([...sources, 'README.md', ...pages].flatMap(problemsIn)).toEqual([]);
});

test.each([
  ['rsadm', 'job list', 'no command job list'],
  ['rsadm', 'volume make x', 'no command volume make'],
  ['rsadm', 'volume remove x --now', 'no option --now of volume remove'],
  ['rsconfig', '-m state', 'no command -m state'],
  ['rsadm', 'volume remove x --yes', null],
  ['rsadm', 'client', null],
  ['rsadm', 'there', null],
])('%s %s: %s', (program, words, wrong) => {
  expect(wrongIn(program, words.split(' '))).toBe(wrong);
});
