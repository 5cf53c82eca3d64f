// Writes the compiled code of V8 for a bundle: `node scripts/compile-program.cjs BUNDLE [ARGUMENT...]`. With arguments, such as --version,
// the program runs with them first, so that V8 also compiles the functions that run at its start. bundle.mjs calls it.
// Invariant: the file is replaced as a whole.

const { readFileSync, renameSync, writeFileSync } = require('node:fs');
const { codeFile, compile, hashOf, run } = require('./program-loader.cjs');

const [bundle, ...args] = process.argv.slice(2);
const script = compile(bundle);
process.on('exit', () => {
  const file = codeFile(bundle);
  writeFileSync(`${file}.new`, Buffer.concat([hashOf(readFileSync(bundle)), script.createCachedData()]));
  renameSync(`${file}.new`, file);
});
process.argv.splice(1, process.argv.length, bundle, ...args);
if (args.length > 0) run(bundle, script);
