// Tests the generated code that loads modules of Node at their first use. Invariant: an unused module is not loaded, and a used module is
// loaded once. Calls, default imports and namespace imports keep their meaning.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, onTestFinished, test } from 'vitest';
import { builtinsOnUse, loadedOnUse } from './bundle-plugins.mjs';

/** Bundles modules, and runs the bundle of main.js. Returns its output. */
async function run(modules) {
  const folder = mkdtempSync(join(tmpdir(), 'rsio-plugins-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(modules)) writeFileSync(join(folder, name), text);
  const outfile = join(folder, 'out.cjs');
  const options = { bundle: true, platform: 'node', target: 'node20', format: 'cjs', write: false };
  const { outputFiles } = await build({ ...options, entryPoints: [join(folder, 'main.js')], outfile, plugins: [builtinsOnUse] });
  for (const { path, contents } of outputFiles) writeFileSync(path, contents);
  const { stdout, stderr } = spawnSync(process.execPath, [outfile], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout;
}

test('only what is used is loaded', async () => {
  const other =
    "import { deflateSync } from 'node:zlib'; import { connect } from 'tls'; export const unused = [() => deflateSync, () => connect];";
  const main = `import { join } from 'node:path'; import { createHash } from 'node:crypto'; import { unused } from './other.js';
    const loaded = () => ['crypto', 'zlib', 'tls'].filter((name) => process.moduleLoadList.includes(\`NativeModule \${name}\`)).join();
    console.log(join('a', 'b'), unused.length, loaded());
    createHash('md5');
    console.log(loaded());`;
  expect(await run({ 'main.js': main, 'other.js': other })).toBe('a/b 2 \ncrypto\n');
});

test('names, defaults, namespaces and modules of libraries are what they were', async () => {
  const main = `import fs, { existsSync as isThere } from 'node:fs'; import * as path from 'path'; import { promises } from 'fs';
    import { lookup } from 'node:dns/promises'; import { library } from './library.cjs';
    const { sep } = path;
    console.log(fs.existsSync === isThere, typeof path.join, sep, promises === fs.promises, typeof lookup, library === fs);`;
  const library = "exports.library = require('fs');";
  expect(await run({ 'main.js': main, 'library.cjs': library })).toBe('true function / true function true\n');
});

test('classes of a module of Node are made and extended', async () => {
  const main = `import { Agent } from 'node:http'; import EventEmitter, { EventEmitter as Emitter } from 'node:events';
    class Mine extends Emitter {}
    class Other extends EventEmitter {}
    console.log(new Agent({ maxSockets: 3 }).maxSockets, new EventEmitter() instanceof Emitter, new Mine().on === new Other().on);`;
  expect(await run({ 'main.js': main })).toBe('3 true true\n');
});

test('a text without modules of Node stays as it is', () => {
  const text = 'var import_one = require("./one");\nimport_one.two();\n';
  expect(loadedOnUse(text)).toBe(text);
});
