// Plugins of esbuild for the bundles of programs (bundle.mjs). Invariant: a bundle does what its modules do: the plugins change only when a
// module of Node is loaded, and complete the names that the terminal library of crsio computes.

import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { ROOT } from './prepare.mjs';

const LIBRARY = join(ROOT, 'packages/crsio/node_modules/blessed');
const DESCRIPTIONS = ['xterm', 'xterm-256color', 'linux', 'xterm.termcap'];
const COMPUTED = "require('./widgets/' + file)";

/**
 * Matches how esbuild loads a module of Node for the statement `import`, at the start of a program. The named modules are those that Node has
 * loaded before any program. They stay as they are, because I/O uses them, and each use of another module takes a call of 3 ns.
 */
const LOADED = /^var (import_\w+) = (?:__toESM\()?(require\("node:(?!(?:buffer|events|fs|path|timers|url|util)")[\w/]+"\))\)?;$/gm;

/**
 * Loads each module of Node when the program first uses it. A program imports 20 of them, and most commands use five. Each is first put
 * behind one module of its own, because esbuild would otherwise copy all its names for each module that imports it.
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

/** The text of a bundle, in which a module of Node is loaded at its first use. */
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
 * Makes the terminal library, blessed, fit into a bundle: it computes the names of the widget modules that it loads. The modules term.js
 * and pty.js stay outside, because blessed loads them only for a widget that crsio does not use.
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

/** The descriptions of terminals that blessed reads from `usr`, beside the folder of the program. */
export function terminalDescriptions() {
  return Object.fromEntries(DESCRIPTIONS.map((name) => [name, readFileSync(join(LIBRARY, 'usr', name))]));
}
