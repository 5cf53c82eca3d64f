// Describes the HTTP interface as an OpenAPI 3.1 document. Pure. Invariant: each operation, parameter, answer and right follows from the
// tables (operations.ts), and nothing about a method is written here.

import type { Shape } from '@rsio/base/lib/shape';
import { paramsSchema, schemaOf, type JsonSchema } from '@rsio/base/lib/json-schema';
import { ERRORS } from '@rsio/base/lib/errors';
import { PROBLEM_TYPE } from '../http/problem.ts';
import { JSON_TYPE } from '../http/answer.ts';
import { isOfJob } from './jobs.ts';
import { API_PATH, isFollowed, NAMESPACE_PARAM, OPERATIONS, type Operation, type Place, STREAM_TYPE } from './operations.ts';

const TAGS: Readonly<Record<Place, string>> = {
  server: 'rssrv of the machine of rsweb',
  client: 'rsiod of the machine of rsweb',
  applications: 'rsapp of the machine of rsweb',
  servers: 'Any server that the client of the machine of rsweb is connected to, with the rights that the server gives to this client',
};

const DESCRIPTION = `The operations are the methods of the control sockets (docs/CONTROL.md). What only reads is a GET. Everything else is a POST, and rsweb
needs \`--manage\` for it. \`x-rsio-role\` is the lowest role that a token needs: view, operate or admin. \`x-rsio-right\` is the right that a client
needs at a server (rssrvcfg(5)); null: the method is only for programs on the server. A program must accept fields and words that it does not
know.`;

/** Returns the document. `release`: the release of rsweb. */
export function openApi(release: string): object {
  const all = Object.values(OPERATIONS).flatMap((operations) => [...operations.values()]);
  return {
    openapi: '3.1.0',
    info: {
      title: 'RSIO',
      version: release,
      summary: 'Servers, clients and applications of RSIO',
      description: DESCRIPTION,
      license: { name: 'Apache License 2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: API_PATH, description: 'This rsweb' }],
    security: [{ token: [] }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths: Object.fromEntries(all.map((operation) => [pathOf(operation), { [operation.isRead ? 'get' : 'post']: described(operation) }])),
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'A token of rswebcfg(5)' } },
      schemas: {
        Problem: PROBLEM,
        ...Object.fromEntries(all.map((operation) => [resultName(operation), schemaOf(operation.entry.result)])),
      },
      parameters: PARAMETERS,
      responses: { Problem: { description: 'The request failed', content: { [PROBLEM_TYPE]: { schema: ref('schemas', 'Problem') } } } },
    },
  };
}

const PROBLEM: JsonSchema = {
  description: 'Problem details (RFC 9457)',
  type: 'object',
  properties: {
    type: { type: 'string', description: 'urn:rsio:error: and the code' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'What happened to which object, and what to do' },
    code: { type: 'string', description: 'Stable. Later ones may come', examples: Object.keys(ERRORS) },
    parameter: { type: 'string', description: 'The parameter that is wrong or unknown' },
  },
  required: ['type', 'title', 'status', 'detail', 'code'],
};

const PARAMETERS = {
  server: { name: 'server', in: 'path', required: true, description: 'Name of the server', schema: { type: 'string' } },
  namespace: {
    name: NAMESPACE_PARAM,
    in: 'query',
    description: 'Name of the namespace, if several have a server of this name',
    schema: { type: 'string' },
  },
  orderId: {
    name: 'Idempotency-Key',
    in: 'header',
    description:
      'Id of the order, which the caller makes. The same order with the same id gets the first answer, and is not executed again',
    schema: { type: 'string', pattern: '^[!-~]{1,64}$' },
  },
  lastEvent: {
    name: 'Last-Event-ID',
    in: 'header',
    description: 'Of a stream: number of the last event that the caller has',
    schema: { type: 'integer', minimum: 0 },
  },
} as const;

function described(operation: Operation): object {
  const { place, method, entry, role, isRead, params } = operation;
  return {
    operationId: `${place}-${method}`,
    tags: [place],
    summary: entry.help,
    description: `Needs the role ${role}. ${repetition(operation)}.`,
    parameters: [
      ...(place === 'servers' ? [ref('parameters', 'server'), ref('parameters', 'namespace')] : []),
      ...(isRead ? Object.entries(params).map(queryParameter) : []),
      ...(operation.hasId ? [ref('parameters', 'orderId')] : []),
      ...(isFollowed(operation) ? [ref('parameters', 'lastEvent')] : []),
    ],
    ...(isRead ? {} : { requestBody: bodyOf(operation) }),
    responses: { ...answersOf(operation), '4XX': ref('responses', 'Problem'), '5XX': ref('responses', 'Problem') },
    'x-rsio-role': role,
    ...('right' in entry ? { 'x-rsio-right': entry.right } : {}),
  };
}

function repetition({ entry, isRead, hasId }: Operation): string {
  if (isRead) return 'Changes nothing';
  if (hasId) return 'With an Idempotency-Key, a repetition gets the first answer and executes nothing';
  return 'repeats' in entry ? 'A repetition is executed again, and is harmless' : 'A repetition is executed again';
}

function queryParameter([name, { shape, what, default: preset }]: [string, Operation['params'][string]]): object {
  const schema = schemaOf(shape, 'exact');
  const description = `${what.charAt(0).toUpperCase()}${what.slice(1)}${shape.form.kind === 'or-null' ? '; empty: null' : ''}`;
  const common = { name, in: 'query', required: preset === undefined, description };
  const withDefault = preset === undefined ? schema : { ...schema, default: preset };
  return isComposed(shape) ? { ...common, content: { [JSON_TYPE]: { schema: withDefault } } } : { ...common, schema: withDefault };
}

/** True for a value that a query has as JSON. */
function isComposed({ form }: Shape): boolean {
  if (form.kind === 'or-null' || form.kind === 'checked' || form.kind === 'optional') return isComposed(form.of);
  return form.kind === 'object' || form.kind === 'record';
}

function bodyOf({ params }: Operation): object {
  const isNeeded = Object.values(params).some(({ default: preset }) => preset === undefined);
  return { required: isNeeded, content: { [JSON_TYPE]: { schema: paramsSchema(params, 'exact') } } };
}

function answersOf(operation: Operation): object {
  const json = { [JSON_TYPE]: { schema: ref('schemas', resultName(operation)) } };
  const stream = isFollowed(operation) ? { [STREAM_TYPE]: { schema: { type: 'string' } } } : {};
  const done = { 200: { description: 'Done', content: { ...json, ...stream } } };
  if (!isOfJob(operation)) return done;
  const headers = { Location: { description: 'Shows the job', schema: { type: 'string' } } };
  return { ...done, 202: { description: 'A job goes on', headers, content: json } };
}

function pathOf({ place, method }: Operation): string {
  return place === 'servers' ? `/servers/{server}/${method}` : `/${place}/${method}`;
}

function resultName({ place, method }: Operation): string {
  return `${place === 'servers' ? 'server' : place}-${method}`;
}

function ref(kind: string, name: string): { readonly $ref: string } {
  return { $ref: `#/components/${kind}/${name}` };
}
