// Loads a bundled program. scripts/start-files.mjs puts a copy of this file beside the bundles. Compiling a bundle takes a quarter of the
// time of a command, so the code that V8 has compiled is kept in a file beside the bundle (program-compiler.cjs).
// Invariant: compiled code is used only by the Node that compiled it, for the text from which it was compiled, and only if it is unchanged.
// Any other file is ignored, and the program starts as if there were none. V8 alone would not compare the text, and would run damaged code.

const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');
const { Script, constants } = require('node:vm');

const SEAL_BYTES = 32;

/** Path of the file with the compiled code of a bundle. */
exports.codeFile = (bundle) => bundle.replace(/\.js$/, '.code');

/** Returns the content of that file: a seal over everything that must match, then the code. */
exports.sealed = (text, code) => Buffer.concat([sealOf(text, code), code]);

/** Compiles a bundle, or uses the code that was compiled before. */
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
  let content;
  try {
    content = readFileSync(file);
  } catch {
    // Without the file, the program starts more slowly. An error here must not prevent the start.
    return undefined;
  }
  const code = content.subarray(SEAL_BYTES);
  return content.subarray(0, SEAL_BYTES).equals(sealOf(text, code)) ? code : undefined;
}

function sealOf(text, code) {
  return createHash('sha256').update(`${process.version} ${process.arch} ${text.length}\n`).update(text).update(code).digest();
}
