// The rule for the files that make the objects of a daemon, as a pure function over the sources: the objects are made in phases, and a phase
// gets only objects of earlier phases. The import rules of rooms.mjs cannot see that two objects refer to each other through functions such as
// `() => this.volumes`. tidy.mjs reads the files and prints. Invariant: a file that a table names exists, so that no rule applies to nothing.

import { join } from 'node:path/posix';
import { importsOf } from './rooms.mjs';

/**
 * The daemons whose objects are made in phases. `phases`: one file for each phase, in their order. `owner`: the file of the daemon, which
 * calls the phases. Both are below `folder`. Other files of the folder belong to no phase.
 */
export const DAEMONS = [
  {
    folder: 'packages/rssrv/src/listener',
    phases: ['foundation.ts', 'holders.ts', 'storage.ts', 'content.ts', 'clients.ts', 'front.ts', 'administration.ts'],
    owner: 'listener.ts',
  },
  {
    folder: 'packages/rsiod/src/daemon',
    phases: ['foundation.ts', 'servers.ts', 'volumes.ts', 'frontends.ts', 'attaching.ts', 'control.ts'],
    owner: 'daemon.ts',
  },
];

const FUNCTION = /^(?:export )?(?:async )?function\b/;
const LATER_MEMBER = /^\s*\w+(?:\.\w+)+ (?:\?\?)?= /;
const OPENING = '([{';
const CLOSING = ')]}';

/** Returns the problems of all daemons as `{path, line, text}`. `sources`: a Map from path to text. */
export function phaseProblems(sources, daemons = DAEMONS) {
  return daemons.flatMap(({ folder, phases, owner }) => {
    const paths = [...phases, owner].map((name) => join(folder, name));
    const missing = paths.filter((path) => !sources.has(path));
    if (missing.length > 0)
      return missing.map((path) => ({ path, line: 1, text: 'scripts/phases.mjs names this file, which does not exist' }));
    return [
      ...laterImports(sources, folder, paths),
      ...paths.flatMap((path) => [...lateLooks(path, sources.get(path))]),
      ...paths.slice(0, -1).flatMap((path) => [...usesBefore(path, sources.get(path)), ...laterMembers(path, sources.get(path))]),
    ];
  });
}

/** Yields the phases that import a later phase or the owner, perhaps through other files of the folder. Types count. */
function* laterImports(sources, folder, paths) {
  for (const [index, path] of paths.entries()) {
    const reached = new Set();
    const visit = (from) => {
      for (const target of importsOf(from, sources.get(from) ?? '')) {
        if (!target.startsWith(`${folder}/`) || reached.has(target)) continue;
        reached.add(target);
        visit(target);
      }
    };
    visit(path);
    for (const later of paths.slice(index + 1))
      if (reached.has(later))
        yield { path, line: 1, text: `A phase imports ${later}, which is later: tell or ask a later object through a signal` };
  }
}

/** Yields the arrow functions that refer to `this`: they would look at an object of the daemon that may not be made yet. */
function* lateLooks(path, text) {
  const code = codeOf(text);
  for (const { index } of code.matchAll(/=>/g)) {
    const body = code.slice(index, endOfBody(code, index + 2));
    if (!/\bthis\b/.test(body)) continue;
    const line = lineOf(code, index);
    yield { path, line, text: 'A function refers to `this`: give it a constant that was made before, or use a signal' };
  }
}

/** Yields the constants of a function that a function in it refers to before they are made, or while they are being made. */
function* usesBefore(path, text) {
  const lines = codeOf(text).split('\n');
  let start = 0;
  for (const [index, line] of lines.entries()) {
    if (FUNCTION.test(line)) start = index;
    if (!line.startsWith('  const ')) continue;
    let end = index;
    while (end < lines.length - 1 && !/^ {2}\S.*;$/.test(lines[end])) end++;
    const statement = lines.slice(index, end + 1).join('\n');
    const value = endOfPattern(statement);
    const before = `${lines.slice(start, index).join('\n')}\n${statement.slice(value)}`;
    for (const name of namesIn(statement.slice('  const '.length, value))) {
      if (new RegExp(`(?<![\\w$]|(?<!\\.\\.)\\.)${name}(?![\\w$]|\\s*:)`).test(before))
        yield { path, line: index + 1, text: `${name} is used before it is made: make it earlier, or use a signal` };
    }
  }
}

/** Yields the lines that change a member of an object that an earlier line has made. */
function* laterMembers(path, text) {
  for (const [index, line] of codeOf(text).split('\n').entries())
    if (LATER_MEMBER.test(line)) yield { path, line: index + 1, text: 'A member is set later, and could be forgotten: use a signal' };
}

/** Returns the position of the `=` that ends the pattern of a declaration. */
function endOfPattern(statement) {
  return /(?<![=!<>])=(?![=>])/.exec(statement)?.index ?? statement.length;
}

/** Returns the names that a pattern declares, such as `a` and `b` for `{ a, x: b }`. */
function namesIn(pattern) {
  const isList = /^\s*[{[]/.test(pattern);
  const parts = isList ? pattern.replace(/[{}[\]]/g, '').split(',') : [pattern.split(':')[0]];
  return parts.map((part) => part.split(':').at(-1).replace('...', '').trim()).filter((name) => /^[\w$]+$/.test(name));
}

/** Returns the end of the body of an arrow function that begins at `from`. */
function endOfBody(code, from) {
  let depth = 0;
  for (let at = from; at < code.length; at++) {
    const char = code[at];
    if (OPENING.includes(char)) depth++;
    else if (CLOSING.includes(char)) {
      depth--;
      if (depth < 0) return at;
      if (depth === 0 && char === '}' && /^\s*\{/.test(code.slice(from))) return at + 1;
    } else if (depth === 0 && (char === ',' || char === ';')) return at;
  }
  return code.length;
}

/** Returns the text with blanks in place of comments and strings. The places of all other characters and of line ends stay. */
function codeOf(text) {
  const blank = (found) => found.replace(/[^\n]/g, ' ');
  return text.replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, blank);
}

function lineOf(code, index) {
  return code.slice(0, index).split('\n').length;
}
