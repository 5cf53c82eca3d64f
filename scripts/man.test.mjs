// Compares the manual with the programs: options match --help, every referenced page exists, and man renders each page without a warning.
// The test runs the programs from their sources; the rendering needs man (Debian: man-db).

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manualParts, roffOf, withParts } from './man-pages.mjs';
import { PAGES, ROOT } from './prepare.mjs';

const { needPrograms } = await source('base/src/testing/needs.ts');
const { useProgram } = await source('base/src/testing/program-file.ts');

const LINE_MAX_CHARS = 160;
const parts = await manualParts((name, path) => source(`${name}/src/${path}.ts`));
const pages = new Map(
  readdirSync(PAGES).map((name) => [name.replace(/\.md$/, ''), withParts(readFileSync(join(PAGES, name), 'utf8'), parts)]),
);

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-man-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function source(path) {
  return import(join(ROOT, 'packages', path));
}

function help(file) {
  const child = spawn(process.execPath, [file, '--help']);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  return new Promise((resolve) => {
    child.once('close', () => resolve(text));
  });
}

/** Returns the long options, each with its value (`--root DIR`), of a help text or of the section OPTIONS of a page. */
function optionsIn(text) {
  const plain = text.replaceAll(/[`*]/g, '');
  return new Set([...plain.matchAll(/(?:^ +|^\* |, )((?:-\w, )?--[a-z-]+(?: [A-Z]+)?)/gm)].map(([, option]) => option));
}

function section(page, name) {
  return pages.get(page).split(`## ${name}\n`)[1].split(/^## /m)[0];
}

test('there is a page for every program and file', () => {
  const expected =
    'crsio.8 fence_rsio.8 rsadm.8 rsapp.8 rsclogcat.8 rsconfig.8 rscltcfg.5 rsio-aoe.7 rsio-namespace.5 rsio.7 rsio-csi.8 rsiod.8 rssrv.8 rssrvcfg.5 rsweb.8 rswebcfg.5';
  expect(new Set(pages.keys())).toEqual(new Set(expected.split(' ')));
});

describe.each([...pages.keys()])('%s', (page) => {
  const text = pages.get(page);

  test('begins with its name, and names only pages that are there', () => {
    const [, name, number] = /^# (\S+)\((\d)\)\n\n## NAME\n\n/.exec(text);
    expect(`${name}.${number}`).toBe(page);
    const own = [...text.matchAll(/\b((?:c?rs)\w*)\((\d)\)/g)].map(([, other, where]) => `${other}.${where}`);
    expect(own.filter((other) => !pages.has(other) && other !== 'rsslogcat.8')).toEqual([]);
  });

  test(`no line is longer than ${LINE_MAX_CHARS} characters`, () => {
    expect(text.split('\n').filter((line) => line.length > LINE_MAX_CHARS)).toEqual([]);
  });

  test('man shows it without a warning', (context) => {
    needPrograms(context, 'man');
    const file = join(folder, page);
    writeFileSync(file, roffOf(text, '1.2.3'));
    const env = { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '80', MANPAGER: 'cat' };
    const { status, stdout, stderr } = spawnSync('man', ['--warnings', '-l', file], { encoding: 'utf8', env });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/RSIO 1\.2\.3/);
    const markup = stdout.split('\n').filter((line) => /`|<!--|\*\w|\\f/.test(line));
    expect(markup).toEqual([]);
  });
});

describe.each([
  ['rssrv', 'rssrv.8', 'rssrv/src/main.ts'],
  ['rsiod', 'rsiod.8', 'gates/src/rsiod/main.ts'],
  ['rsapp', 'rsapp.8', 'rsapp/src/main.ts'],
  ['rsweb', 'rsweb.8', 'rsweb/src/main.ts'],
  ['rsclogcat', 'rsclogcat.8', 'rsiod/src/logcat.ts'],
  ['rsslogcat', 'rsclogcat.8', 'rssrv/src/logcat.ts'],
  ['crsio', 'crsio.8', 'crsio/src/main.ts', ['blessed']],
  ['rsio-csi', 'rsio-csi.8', 'csi/src/main.ts', ['@grpc/grpc-js', '@grpc/proto-loader']],
])('%s', (_, page, file, libraries) => {
  const program = useProgram(pathToFileURL(join(ROOT, 'packages', file)), libraries);

  test('--help and its page have the same options', async () => {
    const options = optionsIn(await help(program()));
    expect(options).toContain('--root DIR');
    expect(optionsIn(section(page, 'OPTIONS'))).toEqual(options);
  });
});

test('every command of rsconfig that a page shows is in its table', async () => {
  const { COMMANDS } = await source('rsconfig/src/command-table.ts');
  const calls = COMMANDS.map(({ call }) =>
    call.by === 'words' ? call.words : call.by === 'monitor' ? `-m ${call.word}` : `-${call.short}`,
  );
  const shown = [...pages.values()].flatMap((text) =>
    [...text.matchAll(/(?:^ {4}|`)rsconfig (-\w(?: [a-z]+)?|[a-z]+(?:-[a-z]+)?)/gm)].map(([, call]) => call),
  );
  expect(shown).toEqual(expect.arrayContaining(['join', 'doctor', '-m status', '-q']));
  const known = (call) => calls.some((one) => one === call || one.split(' ')[0] === call || call.split(' ')[0] === one);
  expect(shown.filter((call) => !known(call))).toEqual([]);
});

test.each(['rsconfig', 'rsadm'])('every command line of %s that README shows is accepted as written', async (program) => {
  const { COMMAND_LINE } = await source(`${program}/src/command-table.ts`);
  // Prose names commands without their operands.
  const shown = readFileSync(join(ROOT, 'README.md'), 'utf8').split('\n');
  const text = shown.filter((line) => /^(\| |rs(config|adm) )/.test(line)).join('\n');
  const lines = [...text.matchAll(new RegExp(`(?:^|\`)${program} ([^\`\\n]+)`, 'gm'))].map(([, line]) => line.trim().split(/ +/));
  expect(lines.length).toBeGreaterThan(2);
  for (const args of lines) {
    const { values, positionals } = parseArgs({ args, options: COMMAND_LINE.options, allowPositionals: true });
    expect(() => COMMAND_LINE.commandOf(values, positionals), args.join(' ')).not.toThrow();
  }
});

test('a page with lists, code and dots becomes roff', () => {
  const page = '# x(8)\n\n## NAME\n\nx - y\n\n## OPTIONS\n\n* `--root` *DIR*:\n  Prefix.\n* Free.\n\nText:\n\n    .a\n\n    b\n';
  expect(roffOf(page, '1').split('\n')).toEqual([
    '.TH "X" "8" "" "RSIO 1" "RSIO Manual"',
    '.SH NAME',
    '.P',
    'x \\- y',
    '.SH OPTIONS',
    '.TP',
    '\\fB\\-\\-root\\fP \\fIDIR\\fR',
    'Prefix\\.',
    '.IP \\(bu 2',
    'Free\\.',
    '.P',
    'Text:',
    '.RS 2',
    '.nf',
    '\\|\\.a',
    '',
    'b',
    '.fi',
    '.RE',
    '',
  ]);
});

test.each(['rsconfig.8', 'rsadm.8'])('%s describes an option that many commands have once', (page) => {
  const counts = new Map();
  for (const [entry] of pages.get(page).matchAll(/^\* .*:\n(?: {2}.*\n)+/gm)) counts.set(entry, (counts.get(entry) ?? 0) + 1);
  expect([...counts].filter(([, count]) => count > 3)).toEqual([]);
  expect(counts.get('* `--json`:\n  Print JSON.\n')).toBe(1);
});

test('a marker becomes its part, and an unknown part is refused', () => {
  expect(withParts('a\n<!-- made: keys -->\nb\n', { keys: 'new\n' })).toBe('a\nnew\nb\n');
  expect(() => withParts('<!-- made: keys -->\n', {})).toThrow('No part keys');
});
