// Compares the documents with the tree: every file, path and link in a page exists, and the drawings of docs/ARCHITECTURE.md
// name files that exist. Claims about the code are tested beside the code.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from './prepare.mjs';

const README_MAX_LINES = 200;
const FOLDERS = ['packages', 'scripts', 'docs', 'test', 'bench', 'bin', 'packaging'];
const LEFT_OUT = new Set(['node_modules', 'dist']);

/** Paths of all files below a folder, relative to the repository. */
function filesBelow(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    if (LEFT_OUT.has(entry.name)) return [];
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

const files = FOLDERS.flatMap(filesBelow);
const atTop = readdirSync(ROOT).filter((file) => file.endsWith('.md'));
const pages = [...atTop, ...files.filter((file) => /^(docs\/(adr\/|internals\/)?|packaging\/)[^/]+\.md$/.test(file))];

/** Files that a page names: `requests/slots.ts`, docs/STYLE.md. */
function namedIn(text) {
  const inBackticks = [...text.matchAll(/`([\w./-]+\.(?:ts|mjs))`/g)];
  const asPaths = [...text.matchAll(/(?<!dist\/)\bdocs\/[\w./-]+\.md\b/g)].map(([path]) => [path, path]);
  return [...new Set([...inBackticks, ...asPaths].map(([, path]) => path))];
}

/** The anchors that a code-hosting site makes from the headings of a page. */
function anchorsOf(text) {
  const headings = text.match(/^#+ .*$/gm) ?? [];
  return headings.map((line) =>
    line
      .replace(/^#+ /, '')
      .toLowerCase()
      .replaceAll(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
}

function deadLinks(page, text) {
  const links = [...text.matchAll(/\]\((?!https?:)([^)\s]*)\)/g)].map(([, link]) => link);
  return links.filter((link) => {
    const [path, anchor] = link.split('#');
    const target = path === '' ? page : join(dirname(page), path);
    if (!existsSync(join(ROOT, target))) return true;
    return anchor !== undefined && !anchorsOf(readFileSync(join(ROOT, target), 'utf8')).includes(anchor);
  });
}

test('README fits into 200 lines', () => {
  expect(readFileSync(join(ROOT, 'README.md'), 'utf8').split('\n').length).toBeLessThanOrEqual(README_MAX_LINES + 1);
});

test('there are pages', () => {
  expect(pages).toEqual(expect.arrayContaining(['docs/ARCHITECTURE.md', 'docs/PROTOCOL.md', 'docs/adr/0001-sans-io-core.md']));
});

describe.each(pages)('%s', (page) => {
  const text = readFileSync(join(ROOT, page), 'utf8');

  test('names only files that are there', () => {
    const missing = namedIn(text).filter(
      (path) => !path.includes('name.test.ts') && !files.some((file) => `/${file}`.endsWith(`/${path}`)),
    );
    expect(missing).toEqual([]);
  });

  test('has no dead link', () => {
    expect(deadLinks(page, text)).toEqual([]);
  });
});

test('docs/ARCHITECTURE.md fits into 30 KB, and the files in its drawings exist', () => {
  const text = readFileSync(join(ROOT, 'docs/ARCHITECTURE.md'), 'utf8');
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(30_000);
  const drawings = text.split('```').filter((_, index) => index % 2 === 1);
  const named = drawings.flatMap((drawing) => drawing.match(/[\w/-]+\.ts\b/g) ?? []);
  expect(named.length).toBeGreaterThan(70);
  expect(named.filter((path) => !files.some((file) => `/${file}`.endsWith(`/${path}`)))).toEqual([]);
});

test('the tables of CONTRIBUTING.md name only files and folders that exist, in packages/ or at the top', () => {
  const rows = readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8')
    .split('## Where things are\n')[1]
    .match(/^\|.*\|$/gm);
  const named = rows.flatMap((row) => [...row.matchAll(/`(\w+\/[\w./-]+)`/g)].map(([, path]) => path));
  expect(named.length).toBeGreaterThan(40);
  expect(named.filter((path) => !existsSync(join(ROOT, 'packages', path)) && !existsSync(join(ROOT, path)))).toEqual([]);
});

test('docs/internals/state.md has each file of state', () => {
  const text = readFileSync(join(ROOT, 'docs/internals/state.md'), 'utf8');
  const sources = files.filter((file) => /^packages\/[\w-]+\/src\/.*\.ts$/.test(file) && !/\.test\.ts$|\/testing\//.test(file));
  const named = sources.flatMap((file) => {
    const source = readFileSync(join(ROOT, file), 'utf8');
    const inState = [...source.matchAll(/(?:stateDir|runDir|folder)\}\/([\w-]+\.(?:json|journal))`/g)];
    const joined = [...source.matchAll(/join\((?:\w+\.)?(?:stateDir|folder|pool), '([\w-]+\.(?:json|map|record))'\)/g)];
    return [...inState, ...joined].map(([, name]) => name);
  });
  expect(new Set(named).size).toBeGreaterThan(20);
  expect([...new Set(named)].filter((name) => !text.includes(`/${name}`))).toEqual([]);
});

test('a control socket is named for the daemons that have one', () => {
  const serves = (daemon) =>
    files.some(
      (file) => file.startsWith(`packages/${daemon}/src/`) && readFileSync(join(ROOT, file), 'utf8').includes('startControlServer('),
    );
  const [, rssrv, rsiod] = readFileSync(join(ROOT, 'docs/OPERATING.md'), 'utf8')
    .split('\n')
    .find((line) => line.startsWith('| control socket |'))
    .split('|')
    .slice(1);
  expect([rssrv, rsiod].map((cell) => cell.includes('/control'))).toEqual(['rssrv', 'rsiod'].map(serves));
  const inManual = ['rssrv', 'rsiod'].map((daemon) => readFileSync(join(ROOT, `docs/man/${daemon}.8.md`), 'utf8').includes('`control`'));
  expect(inManual).toEqual(['rssrv', 'rsiod'].map(serves));
});
