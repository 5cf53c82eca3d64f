// A step of `npm run check`: lists the optional parameters that every call in the product passes. If only tests leave out an optional
// parameter, the tests run a branch that no user runs. The remedy is to make the parameter mandatory and to delete that branch. Functions
// that are also passed on as values are not checked. Invariant: the exit code is 0 if and only if there is no such parameter.

import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SyntaxKind } from 'typescript/unstable/ast';
import { API, SymbolFlags } from 'typescript/unstable/sync';
import { ROOT } from './prepare.mjs';

const FUNCTIONS = new Set([SyntaxKind.FunctionDeclaration, SyntaxKind.MethodDeclaration, SyntaxKind.MethodSignature]);
const CALLS = new Set([SyntaxKind.CallExpression, SyntaxKind.NewExpression]);

/** Returns the parameters that only tests leave out, for the sources below `root`, each with file and line. */
export function testBranches(configFile, root) {
  const api = new API({ cwd: root });
  try {
    const [project] = api.updateSnapshot({ openProjects: [configFile] }).getProjects();
    const files = project.program.getSourceFileNames().filter((name) => name.startsWith(root) && !name.includes('/node_modules/'));
    const sources = files.map((name) => project.program.getSourceFile(name));
    return judge(candidatesOf(sources, project.checker), usesOf(sources), project.checker, root);
  } finally {
    api.close();
  }
}

/** Functions, methods and constructors with an optional parameter, by the symbol that callers name. */
function candidatesOf(sources, checker) {
  const found = [];
  for (const source of sources)
    walk(source, (node) => {
      const isConstructor = node.kind === SyntaxKind.Constructor;
      if ((!isConstructor && !FUNCTIONS.has(node.kind)) || isImplementation(node)) return;
      const named = isConstructor ? node.parent : node;
      const optional = node.parameters.findIndex(({ questionToken, initializer }) => (questionToken ?? initializer) !== undefined);
      if (optional >= 0 && named.name !== undefined) found.push({ source, node, name: named.name, optional });
    });
  const symbols = checker.getSymbolAtLocation(found.map(({ name }) => name));
  return new Map(found.map((one, index) => [keyOf(symbols[index]), { ...one, given: [] }]));
}

/** True for a method of a class that implements an interface, because callers of this method name the method of the interface. */
function isImplementation({ kind, parent }) {
  return kind === SyntaxKind.MethodDeclaration && parent.heritageClauses?.some(({ token }) => token === SyntaxKind.ImplementsKeyword);
}

/** Returns every identifier, with the call if the identifier names the called function. */
function usesOf(sources) {
  const uses = [];
  for (const source of sources)
    walk(source, (node) => {
      if (node.kind !== SyntaxKind.Identifier) return;
      const { parent } = node;
      const isMember = parent.kind === SyntaxKind.PropertyAccessExpression && parent.name === node;
      const callee = isMember ? parent : node;
      const call = CALLS.has(callee.parent.kind) && callee.parent.expression === callee ? callee.parent : null;
      uses.push({ node, call });
    });
  return uses;
}

function judge(candidates, uses, checker, root) {
  const names = new Set([...candidates.values()].map(({ name }) => name.text));
  const own = new Set([...candidates.values()].map(({ name }) => name));
  const relevant = uses.filter(({ node }) => names.has(node.text) && !own.has(node) && !isNoValue(node));
  const symbols = checker.getSymbolAtLocation(relevant.map(({ node }) => node));
  const targets = new Map();
  for (const [index, { call }] of relevant.entries()) {
    const symbol = symbols[index];
    if (symbol === undefined) continue;
    if (!targets.has(symbol.id))
      targets.set(symbol.id, (symbol.flags & SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol));
    const candidate = candidates.get(keyOf(targets.get(symbol.id)));
    candidate?.given.push(call === null ? 0 : givenBy(call, candidate.optional, checker));
  }
  return [...candidates.values()].flatMap(({ source, node, name, optional, given }) => {
    const least = Math.min(...given);
    if (given.length === 0 || least <= optional) return [];
    const line = source.text.slice(0, name.getStart(source)).split('\n').length;
    const parameters = node.parameters.slice(optional, least).map((parameter) => parameter.name.text ?? '{...}');
    return [`${relative(root, source.fileName)}:${line}: ${name.text} always gets ${parameters.join(', ')}`];
  });
}

/** Returns a key for the place where the symbol is declared, because the same member has another symbol in each derived type. */
function keyOf(symbol) {
  const at = symbol?.valueDeclaration;
  return at === undefined ? null : `${at.path} ${at.index}`;
}

/**
 * Counts the arguments of a call up to the first optional argument that may be undefined. Returns Infinity if the call spreads a list,
 * because the list may contain all arguments.
 */
function givenBy({ arguments: given = [] }, optional, checker) {
  if (given.some(({ kind }) => kind === SyntaxKind.SpreadElement)) return Number.POSITIVE_INFINITY;
  const open = given.findIndex((one, index) => index >= optional && isOpen(checker.getTypeAtLocation(one), checker));
  return open < 0 ? given.length : open;
}

function isOpen(type, checker) {
  return type !== undefined && /(^|\| )undefined$/.test(checker.typeToString(type));
}

/** True for names in types, imports and exports, which call nothing. */
function isNoValue({ parent }) {
  const { kind } = parent;
  const isImport = kind === SyntaxKind.ImportSpecifier || kind === SyntaxKind.ExportSpecifier || kind === SyntaxKind.ImportClause;
  return isImport || kind === SyntaxKind.TypeReference || kind === SyntaxKind.TypeQuery;
}

function walk(node, visit) {
  visit(node);
  node.forEachChild((child) => walk(child, visit));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = testBranches(join(ROOT, 'scripts/product.tsconfig.json'), ROOT);
  for (const line of found) console.log(`${line}, so that only tests leave it out: make it mandatory`);
  process.exitCode = found.length === 0 ? 0 : 1;
}
