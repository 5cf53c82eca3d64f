// `npm run texts [-- FOLDER...]`: lists every text that the programs print as `file:line kind text`, so that a person can read all texts at
// once. A small scanner of the sources finds the texts; a value filled in at run time appears as {expression}. Invariant: the context of a
// text decides its kind, never whether it is listed. A text in an unknown context has the kind `text`.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from './prepare.mjs';

/**
 * Maps the context of a text to its kind. Contexts are matched from the innermost outwards: a call as `object.name`, or the name of a
 * property, constant or function.
 */
const KINDS = [
  [/(^|\.)ERRORS$|(^|\.)\w*Error$/, 'error'],
  [/(^|\.)log\w*\.(info|warn|error|debug)$/i, 'log'],
  [/^findings\.(error|warning|ok)$|(^|\.)what$/, 'finding'],
  [/(^|\.)(problem\w*|allowed)$/i, 'problem'],
  [/(^|\.)remed(y|ies)$/, 'remedy'],
  [/(^|\.)\w*warn\w*$/i, 'warning'],
  [/(^|\.)(refuse|reject)\w*$/i, 'refusal'],
  [/(^|\.)sentence$/, 'status'],
  [/(^|\.)(event|note|notice|\w*events?)$/i, 'event'],
  [/(^|\.)(summary|description|help|lines|usage|\w*HELP\w*)$/, 'help'],
];
const TWO_WORDS = /\S\s+\S/;
const WORD = /(^|[^\w$.])[A-Za-z]?[a-z]{2,}/;
const BRACKETS = { '(': ')', '[': ']', '{': '}' };
/** Matches text that ends in a value. A slash after such text divides; any other slash starts a regular expression. */
const AFTER_VALUE = /[\w$)\]}'"`]\s*$/;
const AFTER_KEYWORD = /(^|[^\w$.])(return|typeof|case|in|of|yield|await|void|throw)\s*$/;
const REGEX = /\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y;
const NAME = /[A-Za-z_$][\w$]*(?:(?:\?\.|\.)#?[\w$]+)*/y;
const COMMENT = /\/\/[^\n]*|\/\*[^]*?\*\//y;
const PLAIN_STRING = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/y;

/** The texts of one source, in order, as `{line, kind, text}`. Strings of fewer than two words are names, and are left out. */
export function textsOf(source) {
  return [...new Scanner(source).literals()].filter(({ text }) => isProse(text));
}

function isProse(text) {
  return TWO_WORDS.test(text) && WORD.test(text.replace(/\{[^{}]*\}/g, ''));
}

/** A line break becomes a space, a line continuation nothing; every other escape becomes its character. */
function unescaped(escape) {
  if (escape === '\\\n') return '';
  return escape === '\\n' ? ' ' : escape.slice(1);
}

/** Scans a source for string literals. `frames`: the open brackets, each with the name before it. */
class Scanner {
  constructor(source) {
    this.source = source;
    this.at = 0;
    this.frames = [{ name: '', close: '' }];
  }

  *literals(end = '') {
    const depth = this.frames.length;
    while (this.at < this.source.length) {
      const char = this.source[this.at];
      if (char === end && this.frames.length === depth) return;
      if (this.take(COMMENT) !== null) continue;
      if (char === '`') yield* this.template();
      else if (char === "'" || char === '"') yield this.plainString();
      else if (!this.passRegex()) this.pass(char);
    }
  }

  take(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.source)?.[0] ?? null;
    if (found !== null) this.at += found.length;
    return found;
  }

  passRegex() {
    if (this.source[this.at] !== '/') return false;
    const before = this.source.slice(Math.max(0, this.at - 80), this.at);
    return (!AFTER_VALUE.test(before) || AFTER_KEYWORD.test(before)) && this.take(REGEX) !== null;
  }

  /**
   * Consumes a bracket, a name or a punctuation mark. A name before a bracket, colon or equals sign becomes the context of what follows.
   */
  pass(char) {
    const frame = this.frames.at(-1);
    const name = this.take(NAME);
    if (name !== null) {
      frame.last = name;
      return;
    }
    this.at += 1;
    if (char === frame.close && this.frames.length > 1) {
      this.frames.pop();
      if (char === '}') this.frames.at(-1).called = '';
    } else if (char in BRACKETS) this.open(char, frame);
    else if ((char === ':' || char === '=') && this.source[this.at] !== '>') frame.key = frame.last ?? '';
    else if (char === ',' || char === ';') frame.key = frame.last = '';
    if (char === ';') frame.called = '';
  }

  open(char, frame) {
    const direct = /[\w$]$/.test(this.source.slice(0, this.at - 1)) ? frame.last : '';
    if (char === '(' && direct !== '') frame.called = direct;
    const name = char === '(' ? direct : frame.key || frame.called;
    this.frames.push({ name: name ?? '', close: BRACKETS[char] });
  }

  plainString() {
    const start = this.at;
    const raw = this.take(PLAIN_STRING) ?? this.source[this.at++];
    return this.literal(start, raw.slice(1, -1).replace(/\\./g, unescaped));
  }

  /** Yields the template's text, and also the texts inside its expressions: `${many ? 'two volumes' : 'one'}`. */
  *template() {
    const start = this.at;
    const inner = [];
    let text = '';
    for (this.at += 1; this.source[this.at] !== '`' && this.at < this.source.length; ) {
      if (this.source.startsWith('${', this.at)) {
        const from = (this.at += 2);
        inner.push(...this.literals('}'));
        text += `{${this.source.slice(from, this.at)}}`;
        this.at += 1;
      } else if (this.source[this.at] === '\\') text += unescaped(this.source.slice(this.at, (this.at += 2)));
      else text += this.source[this.at++];
    }
    this.at += 1;
    yield this.literal(start, text);
    yield* inner;
  }

  literal(start, text) {
    return { line: this.source.slice(0, start).split('\n').length, kind: this.kind(), text: text.replace(/\s+/g, ' ').trim() };
  }

  kind() {
    for (const { name, key } of this.frames.toReversed()) {
      for (const around of [key, name]) {
        if (!around) continue;
        for (const [pattern, kind] of KINDS) if (pattern.test(around)) return kind;
      }
    }
    return 'text';
  }
}

/** Production sources below the folders: no tests, no helpers of tests, and nothing that the build wrote. */
function sources(folders) {
  const files = folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((path) => `${folder}/${path}`),
  );
  return files.filter((path) => /\.(ts|mjs)$/.test(path) && !/\.test\.|\.d\.ts$|\/(testing|dist|node_modules)\//.test(path)).sort();
}

function main(folders) {
  // A reader such as head may close the pipe early.
  process.stdout.on('error', (error) => {
    if (error.code !== 'EPIPE') throw error;
  });
  const paths = sources(folders.length === 0 ? ['packages', 'bin'] : folders);
  const lines = paths.flatMap((path) =>
    textsOf(readFileSync(join(ROOT, path), 'utf8')).map(({ line, kind, text }) => `${path}:${line} ${kind} ${text}\n`),
  );
  process.stdout.write(lines.join(''));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
