// Loads a bundled program. scripts/bundle.mjs puts a copy of this file beside the bundles, and packages contain it. Compiling a bundle
// takes a fifth of the time of a command, so in a checkout, the build keeps the code that V8 has compiled, in a file beside the bundle.
// Invariant: compiled code is used only for the text from which it was compiled. V8 itself compares versions, flags and the length of the
// text, but not the text.

const { createHash } = require('node:crypto');
const { existsSync, readFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');
const { Script, constants } = require('node:vm');

const HASH_BYTES = 32;

/** Path of the file with the compiled code of a bundle. The file contains the hash of the bundle's text, then the code. */
exports.codeFile = (bundle) => bundle.replace(/\.js$/, '.code');

exports.hashOf = (text) => createHash('sha256').update(text).digest();

/** Compiles a bundle, or takes the code that was compiled before. */
exports.compile = (bundle) => {
  const text = readFileSync(bundle);
  return new Script(`(function (exports, require, module, __filename, __dirname) {${text.toString()}\n})`, {
    filename: bundle,
    cachedData: compiledBefore(exports.codeFile(bundle), text),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
};

exports.run = (bundle, script = exports.compile(bundle)) => {
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(bundle), module, bundle, path.dirname(bundle));
};

function compiledBefore(file, text) {
  if (!existsSync(file)) return undefined;
  const code = readFileSync(file);
  return code.subarray(0, HASH_BYTES).equals(exports.hashOf(text)) ? code.subarray(HASH_BYTES) : undefined;
}
