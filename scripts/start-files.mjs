// Makes the files beside the bundles of a package: a loader that starts each bundle, and a program that compiles the bundles in advance.
// bundle.mjs writes these files in a checkout, and stage.mjs into packages. A checkout gets compiled code when it is built; on a target,
// the maintainer scripts compile with the Node of the target.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROGRAMS, ROOT } from './prepare.mjs';

/** The program that makes the compiled code of the bundles in its folder. */
export const COMPILER = 'program-compiler.cjs';

/** Maps the name of each file to its content. `name`: name of the package. */
export function startFiles(name) {
  const starters = PROGRAMS[name].map((entry) => [
    `${entry}.js`,
    `require('./program-loader.cjs').run(\`\${__dirname}/${entry}.bundle.js\`);\n`,
  ]);
  const copies = ['program-loader.cjs', COMPILER].map((file) => [file, readFileSync(join(ROOT, 'scripts', file))]);
  return { 'package.json': '{ "type": "commonjs" }\n', ...Object.fromEntries([...copies, ...starters]) };
}
