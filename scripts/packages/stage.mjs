// Lays out the files of a package below a folder, as they lie on the target: bundled programs, launchers, manual pages, units, completion,
// log rotation, the first configuration file, licences. None of these files needs the checkout or a node_modules.
// Invariant: the same commit gives the same bytes, modes and names.

import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { startFiles } from '../start-files.mjs';
import { bundleFile, MANUAL, PROGRAMS, ROOT } from '../prepare.mjs';
import { librariesIn } from './copyright.mjs';
import { LIBRARY } from './contents.mjs';
import { installedText } from './installed-text.mjs';

const PROGRAM = 0o755;
const FILE = 0o644;
const MAIN_THREADS = "process.env.UV_THREADPOOL_SIZE ??= '48';\n";
/** How the bundles load the library that calls functions of libc. On the target, this library is in its own folder. */
const FFI_BY_NAME = /\(moduleUrl\)\("koffi"\)/g;
const FFI_BY_PLACE = '(moduleUrl)("../../ffi/koffi/index.cjs")';

/**
 * Returns the names of the libraries that the programs contain. `binaries`: folder with the compiled parts of koffi for another
 * architecture; null: those of this machine.
 */
export function stage(name, product, version, folder, binaries) {
  rmSync(folder, { recursive: true, force: true });
  const put = (place, content, mode = FILE) => {
    const file = join(folder, place);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    chmodSync(file, mode);
  };
  const putFile = (source, place, mode = FILE) => put(place, readFileSync(join(ROOT, source)), mode);
  const libraries = [];
  for (const one of product.packages) libraries.push(...stageProgram(one, version, put));
  for (const [launcher, [one, entry]] of Object.entries(product.programs))
    put(`usr/sbin/${launcher}`, launcherText(launcher, one, entry), PROGRAM);
  for (const page of product.pages) {
    put(`usr/share/man/man${page.slice(-1)}/${page}.gz`, gzipSync(manualPage(`man${page.slice(-1)}/${page}`), { level: 9 }));
  }
  for (const command of product.completion) {
    const text = execFileSync(join(ROOT, 'bin', command), ['completion', 'bash'], { encoding: 'utf8' });
    put(`usr/share/bash-completion/completions/${command}`, text);
  }
  for (const unit of product.units) putFile(`packaging/${unit}.service`, `usr/lib/systemd/system/${unit}.service`);
  for (const unit of product.units) putFile(`packaging/${unit}.logrotate`, `etc/logrotate.d/${name}`);
  if (product.settings !== null) putFile(`packaging/${product.settings}`, `usr/share/${name}/${product.settings}`);
  for (const [source, place] of Object.entries(product.files))
    put(
      place,
      source.endsWith('.md')
        ? installedText(readFileSync(join(ROOT, source), 'utf8'), source, product.files)
        : readFileSync(join(ROOT, source)),
    );
  for (const [source, place] of Object.entries(product.scripts)) putFile(source, place, PROGRAM);
  if (product.isNative) stageFfi(product.packages[0], folder, binaries);
  for (const [source, place] of Object.entries(product.folders)) cpSync(join(ROOT, source), join(folder, place), { recursive: true });
  tidyModes(folder);
  return [...libraries, ...product.libraries];
}

/** Returns the text of a page. If a page only refers to another page, it becomes a copy of that page, which may be in another package. */
function manualPage(file) {
  const text = readFileSync(join(MANUAL, file), 'utf8');
  const [, other] = /^\.so (\S+)\s*$/.exec(text) ?? [];
  return other === undefined ? text : readFileSync(join(MANUAL, other), 'utf8');
}

/** The launchers are CommonJS, because every supported Node treats a file without an extension as CommonJS. */
function launcherText(launcher, name, entry) {
  const threads = launcher === 'rssrv' ? MAIN_THREADS : '';
  return `#!/usr/bin/node
// Runs ${launcher}.
${threads}require('../lib/rsio/${name}/dist/program/${entry}.js');
`;
}

function stageProgram(name, version, put) {
  const place = `${LIBRARY}/${name}`;
  put(
    `${place}/package.json`,
    `${JSON.stringify({ name: `@rsio/${name}`, version, license: 'Apache-2.0', private: true, type: 'module' })}\n`,
  );
  const libraries = [];
  for (const entry of PROGRAMS[name]) {
    const text = readFileSync(bundleFile(name, entry), 'utf8').replaceAll(FFI_BY_NAME, FFI_BY_PLACE);
    put(`${place}/dist/program/${entry}.bundle.js`, text);
    libraries.push(...librariesIn(text));
  }
  for (const [file, content] of Object.entries(startFiles(name))) put(`${place}/dist/program/${file}`, content);
  // helpers: programs that the daemons run; dist/usr: terminal descriptions of crsio.
  for (const part of ['helpers', 'dist/usr']) {
    const from = join(ROOT, 'packages', name, part);
    for (const file of listOf(from)) put(`${place}/${part}/${file}`, readFileSync(join(from, file)));
  }
  return libraries;
}

function listOf(folder) {
  try {
    return readdirSync(folder).toSorted();
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}

/** `name`: name of the daemon. koffi finds its binary beside its own folder, so that no node_modules is needed. */
function stageFfi(name, folder, foreign) {
  const from = realpathSync(join(ROOT, 'packages', name, 'node_modules/koffi'));
  const to = join(folder, LIBRARY, name, 'ffi');
  for (const file of ['index.cjs', 'package.json', 'LICENSE.txt', 'src/koffi/index.cjs', 'src/koffi/src/static.cjs'])
    cpSync(join(from, file), join(to, 'koffi', file));
  const binaries = foreign ?? join(from, '../@koromix');
  for (const one of listOf(binaries)) {
    const source = realpathSync(join(binaries, one));
    for (const file of ['index.js', 'package.json']) cpSync(join(source, file), join(to, '@koromix', one, file));
    for (const libc of listOf(source).filter((part) => part.startsWith('linux_')))
      cpSync(join(source, libc), join(to, '@koromix', one, libc), { recursive: true });
  }
}

function tidyModes(folder) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) chmodSync(file, PROGRAM);
    else chmodSync(file, readFileSync(file).subarray(0, 2).toString() === '#!' ? PROGRAM : FILE);
  }
  chmodSync(folder, PROGRAM);
}
