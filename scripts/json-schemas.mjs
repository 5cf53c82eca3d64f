// Makes JSON schemas (draft 2020-12) from the shapes of the control interfaces and of the --json output of rsconfig and rsadm. docs.mjs
// writes the files. Invariant: a schema accepts what a later release may add: further fields, and further values where a schema
// says "one of".

const DRAFT = 'https://json-schema.org/draft/2020-12/schema';

/**
 * Returns `programs` and `makers` for allSchemas, and the version of the control interface. `load`: returns a promise of a module of a
 * package, from the sources or from the build.
 */
export async function schemaPrograms(load) {
  const { CONTROL_VERSION: version } = await load('common', 'control/method-table');
  const { CONTROL_METHODS } = await load('api', 'rsiod/methods');
  const { SERVER_METHODS } = await load('api', 'rssrv/server-methods');
  const { COPYING_METHODS } = await load('api', 'rssrv/replication-methods');
  const makers = await load('base', 'lib/json-schema');
  // No schema describes what only servers ask of each other.
  const adm = Object.fromEntries(Object.entries(SERVER_METHODS).filter(([name]) => !Object.hasOwn(COPYING_METHODS, name)));
  const [rsconfig, rsadm] = [await load('rsconfig', 'command-table'), await load('rsadm', 'command-table')];
  return {
    version,
    makers,
    programs: [
      { program: 'rsconfig', daemon: 'rsiod', commands: rsconfig.COMMANDS, methods: CONTROL_METHODS },
      { program: 'rsadm', daemon: 'rssrv', commands: rsadm.COMMANDS, methods: adm },
    ],
  };
}

/**
 * Returns the schemas by name: one for each command with --json, and one for each control socket. `programs`: name, commands and methods of
 * each program, and the daemon whose control socket has these methods. `makers`: the module that makes schemas from shapes. The schemas of
 * rsconfig have no prefix.
 */
export function allSchemas(programs, version, makers) {
  const all = programs.flatMap(({ program, daemon, commands, methods }) => {
    const prefix = program === 'rsconfig' ? '' : `${program}-`;
    const own = commands.filter(({ json }) => json !== undefined);
    return [
      ...own.map((command) => [prefix + fileNameOf(command.call), commandSchema(program, command, makers)]),
      [`${prefix}control`, controlSchema(daemon, methods, version, makers)],
    ];
  });
  return Object.fromEntries(all);
}

/** Name of the file with the parts that several schemas have in common. */
export const DEFINITIONS = 'definitions';
/** A shorter part is written out wherever it occurs, because a reference would be as long and harder to read. */
const PART_MIN_CHARS = 160;

/**
 * Replaces each part that occurs several times in the schemas by a reference to definitions.json, and adds this file. The schemas accept
 * the same documents as before. Descriptions stay beside the references.
 */
export function withDefinitions(schemas) {
  const counts = new Map();
  // Counts the parts within a repeated part only once, because a repeated part is written only once.
  const count = (schema) => {
    const key = partOf(schema);
    if (key !== null) counts.set(key, (counts.get(key) ?? 0) + 1);
    if (key === null || counts.get(key) === 1) for (const [, inner] of innerOf(schema)) count(inner);
  };
  for (const schema of Object.values(schemas)) count(schema);
  const defs = {};
  const names = new Map();
  const replaced = (schema, name, place) => {
    const key = partOf(schema);
    if (key === null || counts.get(key) === 1) return rebuilt(schema, name, place);
    if (!names.has(key)) {
      const own = freeName(name, defs);
      names.set(key, own);
      defs[own] = null;
      const { $schema: _schema, title: _title, description: _description, ...part } = schema;
      defs[own] = rebuilt(part, own, '');
    }
    const { $schema, title, description } = schema;
    return { ...given({ $schema, title, description }), $ref: `${place}#/$defs/${names.get(key)}` };
  };
  const rebuilt = (schema, name, place) => withInner(schema, (inner, key) => replaced(inner, key ?? name, place));
  const place = `${DEFINITIONS}.json`;
  const all = Object.entries(schemas).map(([name, schema]) => [name, replaced(schema, name, place)]);
  const description = 'Parts that several schemas of this folder have in common';
  const sorted = Object.fromEntries(Object.entries(defs).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { ...Object.fromEntries(all), [DEFINITIONS]: { $schema: DRAFT, title: 'Definitions', description, $defs: sorted } };
}

/**
 * Returns a text that is equal for equal parts; null: the schema is not a part, because it is short, a plain string, or has definitions.
 */
function partOf({ $schema: _schema, title: _title, description: _description, ...part }) {
  const text = JSON.stringify(part);
  return part.$defs === undefined && text.length >= PART_MIN_CHARS && part.type !== 'string' ? text : null;
}

/** Returns the schemas directly within a schema, each with the name of its property; null: the inner schema is not a property. */
function innerOf({ properties = {}, $defs = {}, anyOf = [], items }) {
  const unnamed = [...anyOf, ...(items === undefined ? [] : [items])].map((inner) => [null, inner]);
  return [...Object.entries(properties), ...Object.entries($defs), ...unnamed];
}

function withInner(schema, change) {
  const mapped = (table) => Object.fromEntries(Object.entries(table).map(([key, inner]) => [key, change(inner, key)]));
  const { properties, $defs, anyOf, items } = schema;
  return {
    ...schema,
    ...given({
      properties: properties && mapped(properties),
      $defs: $defs && mapped($defs),
      anyOf: anyOf?.map((inner) => change(inner, null)),
      items: items && change(items, null),
    }),
  };
}

function given(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function freeName(name, taken) {
  let free = name;
  for (let number = 2; free in taken; number += 1) free = `${name}-${number}`;
  return free;
}

/** File name of a command: `-q` is query, `-m status` status, `interface list` interface-list. */
export function fileNameOf(call) {
  if (call.by === 'option') return call.option;
  return call.by === 'monitor' ? call.word : call.words.replaceAll(' ', '-');
}

/** Text of a schema's file. */
export function schemaText(schema) {
  return `${JSON.stringify(schema, null, 2)}\n`;
}

/** The page about the schemas: `text`, which is written by hand, and a table. */
export function schemasPage(text, schemas) {
  const rows = Object.entries(schemas).map(([name, { title }]) => `| ${title ?? 'parts of the others'} | [${name}.json](${name}.json) |`);
  return `${text.trimEnd()}\n\n## Schemas\n| output | schema |\n|---|---|\n${rows.join('\n')}\n`;
}

function commandSchema(program, { call, summary, json }, { schemaOf }) {
  const what = call.by === 'words' && call.words === 'watch' ? 'each line of it' : 'what it prints';
  return { $schema: DRAFT, title: `${program} ${shown(call)} --json`, description: `${sentence(summary)} (${what})`, ...schemaOf(json) };
}

function controlSchema(daemon, methods, version, { schemaOf, paramsSchema }) {
  const definitions = Object.entries(methods).flatMap(([name, { help, params, result }]) => [
    [`${name}.params`, { description: sentence(help), ...paramsSchema(params, 'open') }],
    [`${name}.result`, schemaOf(result)],
  ]);
  return {
    $schema: DRAFT,
    title: `Control interface of ${daemon}`,
    description: `Version ${version}: parameters and results of the methods on RUN/control; docs/CONTROL.md describes requests and answers`,
    $defs: Object.fromEntries(definitions),
  };
}

function shown(call) {
  if (call.by === 'option') return `-${call.short}`;
  return call.by === 'monitor' ? `-m ${call.word}` : call.words;
}

function sentence(words) {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
}
