// Runs a compiled program of this checkout in place. CommonJS, with the package.json beside it, because every supported Node takes a
// file without ending for CommonJS. Symbolic links to a launcher work: node resolves them before this file is looked for.

const { existsSync } = require('node:fs');
const path = require('node:path');

exports.launch = function launch(program, target) {
  const file = path.resolve(__dirname, '../packages', target);
  if (!existsSync(file)) {
    console.error(`${program}: The programs are not built: run npm run build in ${path.resolve(__dirname, '..')} [E_NOT_BUILT]`);
    process.exit(1);
  }
  try {
    require(file);
  } catch (error) {
    console.error(`${program}: ${error.stack}`);
    process.exit(1);
  }
};
