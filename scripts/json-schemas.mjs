// JSON schemas (draft 2020-12) from the shapes of the control interface and of rsconfig's --json. Pure; files are schemas.mjs's.
// Invariant: a schema lets pass what a later release may add: further fields, and further words where one of several stands.

const DRAFT = 'https://json-schema.org/draft/2020-12/schema';

/** name -> schema: one for each command that takes --json, and `control` for the control socket. */
export function allSchemas(commands, { methods, version }) {
  const own = commands.filter(({ json }) => json !== undefined).map((command) => [fileNameOf(command.call), commandSchema(command)]);
  return Object.fromEntries([...own, ['control', controlSchema(methods, version)]]);
}

/** `-q` is query, `-m status` status, `interface list` interface-list. */
export function fileNameOf(call) {
  if (call.by === 'option') return call.option;
  return call.by === 'monitor' ? call.word : call.words.replaceAll(' ', '-');
}

function commandSchema({ call, summary, json }) {
  const what = call.by === 'words' && call.words === 'watch' ? 'each line of it' : 'what it prints';
  return { $schema: DRAFT, title: `rsconfig ${shown(call)} --json`, description: `${sentence(summary)} (${what})`, ...schemaOf(json) };
}

function controlSchema(methods, version) {
  const definitions = Object.entries(methods).flatMap(([name, { help, params, result }]) => [
    [`${name}.params`, { description: sentence(help), ...paramsSchema(params) }],
    [`${name}.result`, schemaOf(result)],
  ]);
  return {
    $schema: DRAFT,
    title: 'Control interface of rsiod',
    description: `Version ${version}: parameters and results of the methods on RUN/control; docs/CONTROL.md tells how they are asked`,
    $defs: Object.fromEntries(definitions),
  };
}

function paramsSchema(params) {
  const properties = Object.entries(params).map(([name, { shape, default: preset }]) => [
    name,
    { ...schemaOf(shape), ...(preset === undefined ? {} : { default: preset }) },
  ]);
  const required = Object.entries(params).flatMap(([name, param]) => (param.default === undefined ? [name] : []));
  return { type: 'object', properties: Object.fromEntries(properties), required, additionalProperties: false };
}

export function schemaOf({ form, help }) {
  const described = help === null ? {} : { description: help };
  switch (form.kind) {
    case 'text':
      return { ...described, type: 'string', ...(form.isFilled ? { minLength: 1 } : {}) };
    case 'word': {
      const words = `One of ${form.words.join(', ')}; later releases may have more`;
      return { description: help === null ? words : `${help}. ${words}`, type: 'string', examples: [...form.words] };
    }
    case 'number':
      return { ...described, type: form.isWhole ? 'integer' : 'number', ...bound('minimum', form.min), ...bound('maximum', form.max) };
    case 'flag':
      return { ...described, type: 'boolean' };
    case 'or-null':
      return { ...described, anyOf: [schemaOf({ ...form.of, help: null }), { type: 'null' }] };
    case 'list':
      return { ...described, type: 'array', items: schemaOf(form.of) };
    case 'object': {
      const properties = Object.entries(form.fields).map(([name, shape]) => [name, schemaOf(shape)]);
      return { ...described, type: 'object', properties: Object.fromEntries(properties), required: Object.keys(form.fields) };
    }
    default:
      throw new Error(`No schema for ${form.kind}: add it here`);
  }
}

function bound(name, value) {
  return value === null ? {} : { [name]: value };
}

function shown(call) {
  if (call.by === 'option') return `-${call.short}`;
  return call.by === 'monitor' ? `-m ${call.word}` : call.words;
}

function sentence(words) {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
}
