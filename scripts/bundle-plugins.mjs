// Plugins of esbuild for the bundles of programs (bundle.mjs). Invariant: a bundle behaves like its modules. The plugins only change when a
// module of Node is loaded, and complete the module names that the terminal library of crsio computes.

import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { ROOT } from './prepare.mjs';

const LIBRARY = join(ROOT, 'packages/crsio/node_modules/blessed');
const DESCRIPTIONS = ['xterm', 'xterm-256color', 'linux', 'xterm.termcap'];
const COMPUTED = "require('./widgets/' + file)";

/**
 * Matches esbuild's code for an `import` of a module of Node at the start of a program. Modules that Node loads before any program are
 * excepted, because they serve I/O, and each use of a matched module costs a call of 3 ns.
 */
const LOADED = /^var (import_\w+) = (?:__toESM\()?(require\("node:(?!(?:buffer|events|fs|path|timers|url|util)")[\w/]+"\))\)?;$/gm;

/**
 * Loads each module of Node at its first use. A program imports 20 modules of Node, and most commands use five. A generated module
 * re-exports each module of Node, because esbuild would otherwise copy all names once for each importing module.
 */
export const builtinsOnUse = {
  name: 'builtins-on-use',
  setup(building) {
    building.onResolve({ filter: /^(node:)?[a-z_/]+$/ }, ({ path, namespace, kind }) => {
      if (kind !== 'import-statement' || !isBuiltin(path)) return undefined;
      return namespace === 'builtin' ? { path, external: true } : { path: `node:${path.replace(/^node:/, '')}`, namespace: 'builtin' };
    });
    building.onLoad({ filter: /./, namespace: 'builtin' }, async ({ path }) => {
      const names = Object.keys(await import(path)).filter((name) => /^\w+$/.test(name));
      return { contents: `export { ${names.join(', ')} } from '${path}';` };
    });
    building.onEnd(({ outputFiles }) => {
      for (const file of outputFiles) file.contents = Buffer.from(loadedOnUse(file.text));
    });
  },
};

/** Returns the text of a bundle, changed so that each module of Node is loaded at its first use. */
export function loadedOnUse(text) {
  const variables = [];
  const declared = text.replaceAll(LOADED, (_line, variable, load) => {
    variables.push(variable);
    return `var loaded_${variable}, ${variable} = () => loaded_${variable} ??= ${load};`;
  });
  if (variables.length === 0) return text;
  const uses = new RegExp(`\\b(${variables.join('|')})\\.(?:default\\b)?`, 'g');
  // Without the outer parentheses, `new` would take the function for the class.
  return declared.replaceAll(uses, (use, variable) => `(${variable}())${use.endsWith('.') ? '.' : ''}`);
}

/**
 * Bundles the terminal library blessed, which computes the names of the widget modules that it loads. The modules term.js and pty.js stay
 * outside, because blessed loads them only for a widget that crsio does not use.
 */
export const terminalLibrary = {
  name: 'terminal-library',
  setup(building) {
    building.onResolve({ filter: /^(term|pty)\.js$/ }, ({ path }) => ({ path, external: true }));
    building.onLoad({ filter: /blessed\/lib\/widget\.js$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      if (!text.includes(COMPUTED)) throw new Error(`${path} loads its widgets in a way of its own: look at scripts/bundle-plugins.mjs`);
      return { contents: text.replace(COMPUTED, "require('./widgets/' + file + '.js')"), loader: 'js' };
    });
  },
};

/** Returns the terminal descriptions that blessed reads from `usr`, beside the folder of the program. */
export function terminalDescriptions() {
  return Object.fromEntries(DESCRIPTIONS.map((name) => [name, readFileSync(join(LIBRARY, 'usr', name))]));
}
