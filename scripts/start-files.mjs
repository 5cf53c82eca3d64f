// The files beside the bundles of a package, which start each of them through program-loader.cjs. bundle.mjs writes them in a checkout, and
// stage.mjs into packages, where the bundles have no compiled code.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROGRAMS, ROOT } from './prepare.mjs';

/** Returns the content of each file by its name. `name`: name of the package. */
export function startFiles(name) {
  const starters = PROGRAMS[name].map((entry) => [`${entry}.js`, `require('./loader.js').run(\`\${__dirname}/${entry}.bundle.js\`);\n`]);
  return {
    'package.json': '{ "type": "commonjs" }\n',
    'loader.js': readFileSync(join(ROOT, 'scripts/program-loader.cjs')),
    ...Object.fromEntries(starters),
  };
}
