// Makes JSON schemas (draft 2020-12) from shapes. scripts/json-schemas.mjs writes the schemas of outputs and control sockets, and rsweb
// describes its HTTP interface with them. Pure. Invariant: with the reading `open`, a schema accepts what a later release may add: further
// fields, and further values where a schema says "one of".

import type { Fields, Shape } from './shape.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

/** `open`: of values that a later release may have sent. `exact`: of values that this release accepts. */
export type SchemaReading = 'open' | 'exact';

interface ParamShape {
  readonly shape: Shape;
  readonly default?: unknown;
}

/** Returns the schema of an object of parameters. */
export function paramsSchema(params: Readonly<Record<string, ParamShape>>, reading: SchemaReading): JsonSchema {
  const properties = Object.entries(params).map(([name, { shape, default: preset }]): [string, JsonSchema] => [
    name,
    { ...schemaOf(shape, reading), ...(preset === undefined ? {} : { default: preset }) },
  ]);
  const required = Object.entries(params).flatMap(([name, param]) => (param.default === undefined ? [name] : []));
  return { ...objectOf(properties, required), additionalProperties: false };
}

export function schemaOf({ form, help }: Shape, reading: SchemaReading = 'open'): JsonSchema {
  const described = help === null ? {} : { description: help };
  switch (form.kind) {
    case 'text':
      return { ...described, type: 'string', ...(form.isFilled ? { minLength: 1 } : {}) };
    case 'word': {
      if (reading === 'exact') return { ...described, type: 'string', enum: [...form.words] };
      const words = `One of ${form.words.join(', ')}; later ones may come`;
      return { description: help === null ? words : `${help}. ${words}`, type: 'string', examples: [...form.words] };
    }
    case 'number':
      return { ...described, type: form.isWhole ? 'integer' : 'number', ...bound('minimum', form.min), ...bound('maximum', form.max) };
    case 'flag':
      return { ...described, type: 'boolean' };
    case 'or-null':
      return { ...described, anyOf: [schemaOf({ ...form.of, help: null }, reading), { type: 'null' }] };
    case 'list':
      return { ...described, type: 'array', items: schemaOf(form.of, reading) };
    case 'optional':
    case 'checked':
      return schemaOf(form.of, reading);
    case 'record':
      return { ...described, type: 'object' };
    case 'object': {
      const closed = reading === 'exact' ? { additionalProperties: false } : {};
      return { ...described, ...fieldsSchema(form.fields, reading), ...closed };
    }
    case 'map':
    case 'variants':
      throw new Error(`No schema for ${form.kind}: add it here`);
  }
}

function fieldsSchema(fields: Fields, reading: SchemaReading): JsonSchema {
  const properties = Object.entries(fields).map(([name, shape]): [string, JsonSchema] => [name, schemaOf(shape, reading)]);
  const required = Object.entries(fields).flatMap(([name, shape]) => (shape.form.kind === 'optional' ? [] : [name]));
  return objectOf(properties, required);
}

/** An empty list says nothing that a schema without it would not say. */
function objectOf(properties: readonly (readonly [string, JsonSchema])[], required: readonly string[]): JsonSchema {
  const known = properties.length === 0 ? {} : { properties: Object.fromEntries(properties) };
  return { type: 'object', ...known, ...(required.length === 0 ? {} : { required }) };
}

function bound(name: string, value: number | null): JsonSchema {
  return value === null ? {} : { [name]: value };
}
