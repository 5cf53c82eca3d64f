// Reads the OpenAPI document of rsweb as a foreign program does, and makes requests at random from the schemas of their parameters. The
// tables of the product are not used. Invariants: a text is never an absolute path, unless the test gives it as a word, because root calls
// the daemons; a wrong request has exactly one wrong parameter.

import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import fc from 'fast-check';

interface Schema {
  readonly type?: 'string' | 'integer' | 'number' | 'boolean' | 'array' | 'object' | 'null';
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly default?: unknown;
}

type Content = Readonly<Record<string, { readonly schema: Schema }>>;

interface Parameter {
  readonly $ref?: string;
  readonly name: string;
  readonly in: 'query' | 'header' | 'path';
  readonly required?: boolean;
  readonly schema?: Schema;
  readonly content?: Content;
}

interface Described {
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly $ref?: string; readonly content?: Content }>>;
}

export interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** A request. The names of `values` are those of the query or of the body. */
export interface ApiRequest {
  readonly values: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;
}

export interface WrongRequest extends ApiRequest {
  /** Name of the wrong parameter. */
  readonly wrong: string;
}

const JSON_TYPE = 'application/json';
const PROBLEM_TYPE = 'application/problem+json';
const LIST_MAX = 3;
const TEXT_MAX_CHARS = 20;
/** Sizes that a volume may have, because few random numbers are multiples of a block. */
const NUMBERS = [0, 1, 4_096, 1_048_576, 16_777_216];
const VALUES: readonly unknown[] = [null, true, 'x', '', 0, -1, 1.5, 1e300, [], {}, [null], [{}], { name: 1 }];
const NAMES = ['nosuch', 'request', 'constructor', '__proto__', 'Name', ''];

/** For some names of parameters and fields: texts that lead to objects. */
export type Words = Readonly<Record<string, readonly string[]>>;

export class ApiOperation {
  /** Such as `GET /server/daemon`. */
  readonly name: string;
  readonly path: string;
  readonly isRead: boolean;
  private readonly object: Schema;
  private readonly headers: readonly Parameter[];
  private readonly words: Words;
  private readonly answers: ReadonlyMap<string, ReadonlyMap<string, ValidateFunction>>;
  private readonly checks: ReadonlyMap<string, ValidateFunction>;

  constructor(path: string, method: string, described: Described, document: ApiDocument, words: Words, ajv: Ajv2020) {
    this.name = `${method.toUpperCase()} ${path}`;
    this.path = path;
    this.isRead = method === 'get';
    this.words = words;
    const found = <T extends { readonly $ref?: string }>(one: T): T => {
      const [, , kind = '', name = ''] = one.$ref?.split('/') ?? [];
      return one.$ref === undefined ? one : (document.components[kind]?.[name] as T);
    };
    const parameters = described.parameters.map(found);
    this.headers = parameters.filter((one) => one.in === 'header');
    const inQuery = parameters.filter((one) => one.in === 'query');
    const query: Schema = {
      properties: Object.fromEntries(inQuery.map((one) => [one.name, one.schema ?? one.content?.[JSON_TYPE]?.schema ?? {}])),
      required: inQuery.filter(({ required = false }) => required).map(({ name }) => name),
    };
    this.object = described.requestBody?.content[JSON_TYPE]?.schema ?? query;
    this.checks = new Map(Object.entries(this.object.properties ?? {}).map(([name, schema]) => [name, ajv.compile(schema)]));
    this.answers = new Map(
      Object.entries(described.responses).map(([status, answer]) => {
        const content = Object.entries(found(answer).content ?? {});
        return [status, new Map(content.map(([type, { schema }]) => [type, ajv.compile(withWholeRef(schema))]))];
      }),
    );
  }

  /** Requests that fit the schemas. */
  requests(): fc.Arbitrary<ApiRequest> {
    const headers = this.headers.map(({ name, schema = {} }) =>
      fc.option(arbitraryOf(schema, this.words, name), { nil: null }).map((value) => [name, value] as const),
    );
    return fc.record({
      values: arbitraryOf(this.object, this.words, '') as fc.Arbitrary<Record<string, unknown>>,
      headers: fc
        .tuple(...headers)
        .map((pairs) => Object.fromEntries(pairs.flatMap(([name, value]) => (value === null ? [] : [[name, textOf(value)]])))),
    });
  }

  /** Requests that fit, except one parameter: it is unknown, missing or has a value that its schema refuses. */
  wrongRequests(): fc.Arbitrary<WrongRequest> {
    const [known, required] = [Object.keys(this.object.properties ?? {}), this.object.required ?? []];
    const name = fc.oneof(fc.constantFrom(...NAMES), fc.string({ maxLength: TEXT_MAX_CHARS })).filter((one) => !known.includes(one));
    // A query has no empty list.
    const stranger = fc.record({ wrong: name, value: this.isRead ? fc.string() : fc.constantFrom(...VALUES) });
    const missing = required.map((wrong) => fc.record({ wrong: fc.constant(wrong), value: fc.constant(undefined) }));
    const misfits = known.flatMap((wrong) => {
      const values = this.isRead ? this.misfitTexts(wrong) : VALUES.filter((value) => this.checks.get(wrong)?.(value) === false);
      return values.length === 0 ? [] : [fc.record({ wrong: fc.constant(wrong), value: fc.constantFrom(...values) })];
    });
    return fc.tuple(this.requests(), fc.oneof(stranger, ...missing, ...misfits)).map(([{ values }, { wrong, value }]) => {
      const others = Object.entries(values).filter(([one]) => one !== wrong);
      return { values: Object.fromEntries(value === undefined ? others : [...others, [wrong, value]]), headers: {}, wrong };
    });
  }

  /** Path with the query. A list repeats its name, an object is JSON, and null is empty. */
  url({ values }: ApiRequest): string {
    if (!this.isRead) return this.path;
    const pairs = Object.entries(values).flatMap(([name, value]) =>
      (Array.isArray(value) ? value : [value]).map((one) => [name, textOf(one)]),
    );
    return `${this.path}?${new URLSearchParams(pairs as [string, string][]).toString()}`;
  }

  /** Returns why the document does not describe an answer; null if it does. */
  trouble(status: number, type: string, body: unknown): string | null {
    const contents = this.answers.get(String(status)) ?? this.answers.get(`${Math.floor(status / 100)}XX`);
    const validate = contents?.get(type);
    if (validate === undefined) return `No answer ${status} with ${type} is described`;
    if (status >= 400 && type !== PROBLEM_TYPE) return `An error has the type ${type}`;
    return validate(body) === true ? null : JSON.stringify(validate.errors);
  }

  /** Texts of a query that the schema refuses, however they are read. */
  private misfitTexts(name: string): readonly unknown[] {
    const fits = (value: unknown): boolean => this.checks.get(name)?.(value) === true;
    const isRefused = (text: string): boolean => ![text, text === '' ? null : text, asJson(text)].some(fits);
    return ['x y', '', '1.5', '-1', '{}', '[]', 'true'].filter(isRefused);
  }
}

/** Returns the operations of the document. */
export function operationsOf(document: ApiDocument, words: Words): readonly ApiOperation[] {
  const ajv = new Ajv2020({ strict: true, strictTypes: false, allErrors: true });
  ajv.addVocabulary(['components']);
  ajv.addSchema({ $id: 'openapi.json', components: document.components });
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => new ApiOperation(path, method, described, document, words, ajv)),
  );
}

function withWholeRef(schema: Schema & { readonly $ref?: string }): object {
  return schema.$ref === undefined ? schema : { $ref: `openapi.json${schema.$ref}` };
}

function arbitraryOf(schema: Schema, words: Words, field: string): fc.Arbitrary<unknown> {
  if (schema.default !== undefined) {
    const { default: preset, ...rest } = schema;
    return fc.oneof({ arbitrary: fc.constant(preset), weight: 2 }, { arbitrary: arbitraryOf(rest, words, field), weight: 1 });
  }
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map((one) => arbitraryOf(one, words, field)));
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.pattern !== undefined) return fc.stringMatching(new RegExp(schema.pattern));
  const { minimum = Number.MIN_SAFE_INTEGER, maximum = Number.MAX_SAFE_INTEGER } = schema;
  const numbers = NUMBERS.filter((one) => one >= minimum && one <= maximum);
  switch (schema.type) {
    case 'string':
      return textsOf(schema, words, field);
    case 'integer': {
      const any = fc.integer({ min: minimum, max: maximum });
      return numbers.length === 0 ? any : fc.oneof({ arbitrary: fc.constantFrom(...numbers), weight: 3 }, { arbitrary: any, weight: 1 });
    }
    case 'number':
      return fc.double({ min: minimum, max: maximum, noNaN: true });
    case 'boolean':
      return fc.boolean();
    case 'array':
      return fc.array(arbitraryOf(schema.items ?? {}, words, field), { maxLength: LIST_MAX });
    case 'null':
      return fc.constant(null);
    default: {
      const fields = Object.entries(schema.properties ?? {}).map(([name, one]) => [name, arbitraryOf(one, words, name)] as const);
      return fc.record(Object.fromEntries(fields), { requiredKeys: [...(schema.required ?? [])], noNullPrototype: true });
    }
  }
}

/** Mostly a text that may lead to an object, so that orders are executed, too. */
function textsOf({ minLength = 0 }: Schema, words: Words, field: string): fc.Arbitrary<string> {
  const [own, all] = [words[field] ?? [], Object.values(words).flat()];
  const foreign = [
    { arbitrary: fc.constantFrom(...all), weight: 2 },
    { arbitrary: texts(minLength), weight: 2 },
  ];
  return own.length === 0 ? fc.oneof(...foreign) : fc.oneof({ arbitrary: fc.constantFrom(...own), weight: 8 }, ...foreign);
}

function texts(minLength: number): fc.Arbitrary<string> {
  const [plain, any] = [
    fc.string({ minLength, maxLength: TEXT_MAX_CHARS }),
    fc.string({ unit: 'binary', minLength, maxLength: TEXT_MAX_CHARS }),
  ];
  return fc.oneof(plain, any).filter((text) => !text.trim().startsWith('/'));
}

function textOf(value: unknown): string {
  if (value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
