// Makes the copyright file of a package, in Debian's machine-readable format: the product, and the libraries whose code lies in its
// programs. Invariant: a library whose licence is unknown here stops the build, so that no library is shipped unnoticed.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../prepare.mjs';

const PRODUCT_LICENCE = 'Apache-2.0';
/** esbuild names the file of each module in a comment. */
const MODULE = /^ *\/\/ .*node_modules\/((?:@[^/\n]+\/)?[^/\n]+)\/[^\n]*$/gm;
const KNOWN = ['MIT', 'ISC', 'Apache-2.0', 'BSD-3-Clause'];

/** Names of the libraries whose modules are in the text of a bundle. */
export function librariesIn(text) {
  return [...text.matchAll(MODULE)].map(([, name]) => name);
}

/** `names`: names of libraries; a name may occur several times. */
export function copyrightOf(names) {
  const libraries = [...new Set(names)].toSorted((a, b) => (a < b ? -1 : 1)).map(describe);
  const holders = ['2026 The RSIO authors', ...libraries.map(({ holder, name, version }) => `${holder} (${name} ${version})`)];
  const licences = [...new Set([PRODUCT_LICENCE, ...libraries.map(({ label }) => label)])];
  return [
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: RSIO\n',
    `Files: *\nCopyright: ${holders.join('\n ')}\nLicense: ${licences.join(' and ')}\n`,
    `License: ${PRODUCT_LICENCE}\n On Debian systems, the full text of the Apache License version 2.0 is in\n /usr/share/common-licenses/Apache-2.0.\n`,
    ...libraries.filter(({ label }) => label !== PRODUCT_LICENCE).map(({ label, text }) => `License: ${label}\n${text}\n`),
  ].join('\n');
}

function describe(name) {
  const folder = folderOf(name);
  const { version, license, author } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  if (!KNOWN.includes(license)) throw new Error(`${name} ${version} has the licence ${license}: look at scripts/packages/copyright.mjs`);
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  const text = file === undefined ? `See https://www.npmjs.com/package/${name}` : readFileSync(join(folder, file), 'utf8').trim();
  const [, holder = author?.name ?? author ?? `The authors of ${name}`] = /^ *copyright +(?:\(c\)|©) *(.*\S)$/im.exec(text) ?? [];
  const label = license === PRODUCT_LICENCE ? license : `${license}-${name.replaceAll(/[^a-z0-9]+/g, '-').replace(/^-/, '')}`;
  return { name, version, holder, label, text: indented(text) };
}

function indented(text) {
  const lines = text.split(/\r?\n/);
  return lines.map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`)).join('\n');
}

/**
 * Finds the folder of a library. pnpm keeps each version of a library in its own folder, and only one version of each library is installed.
 */
function folderOf(name) {
  const store = join(ROOT, 'node_modules/.pnpm');
  const entry = readdirSync(store).find((one) => one.startsWith(`${name.replace('/', '+')}@`));
  if (entry === undefined) throw new Error(`${name} is in a program and is not installed`);
  return join(store, entry, 'node_modules', name);
}
