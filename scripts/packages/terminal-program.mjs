// Bundles crsio for a package. In a checkout, crsio runs unbundled. Its terminal library, blessed, computes the names of the widget modules
// that it loads, and reads terminal descriptions from its own folder. For the bundle, this file completes the computed names, and puts the
// descriptions beside the program. Invariant: the target needs no further module, except two that blessed loads only for a widget that
// crsio does not use.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../prepare.mjs';

export const TERMINAL_PROGRAM = 'crsio';

const LIBRARY = join(ROOT, 'packages/crsio/node_modules/blessed');
const DESCRIPTIONS = ['xterm', 'xterm-256color', 'linux', 'xterm.termcap'];
/** CommonJS libraries call `require` and ask for their folder, which an ES module does not have. */
const BANNER = [
  "import { createRequire as requireFrom } from 'node:module';",
  "import { fileURLToPath as pathOf } from 'node:url';",
  'const require = requireFrom(import.meta.url);',
  "const __dirname = pathOf(new URL('.', import.meta.url));",
].join('\n');
const COMPUTED = "require('./widgets/' + file)";

/** Files below the folder of the program, with their content. */
export async function bundledTerminalProgram() {
  // esbuild is imported here and not at the top, because this file is loaded before esbuild is installed.
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: [join(ROOT, 'packages/crsio/dist/main.js')],
    ...{ bundle: true, platform: 'node', format: 'esm', target: 'node20', banner: { js: BANNER }, write: false, logLevel: 'error' },
    external: ['term.js', 'pty.js'],
    plugins: [{ name: 'widgets', setup: completeNames }],
  });
  const [program] = outputFiles;
  const descriptions = DESCRIPTIONS.map((name) => [`dist/usr/${name}`, readFileSync(join(LIBRARY, 'usr', name))]);
  return Object.fromEntries([['dist/program/main.js', program.contents], ...descriptions]);
}

function completeNames({ onLoad }) {
  onLoad({ filter: /blessed\/lib\/widget\.js$/ }, ({ path }) => {
    const text = readFileSync(path, 'utf8');
    if (!text.includes(COMPUTED)) throw new Error(`${path} loads its widgets in a way of its own: look at terminal-program.mjs`);
    return { contents: text.replace(COMPUTED, "require('./widgets/' + file + '.js')"), loader: 'js' };
  });
}
