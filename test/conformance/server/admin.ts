// ADMIN: answers and refusals for a client with the right `use`, wrong bodies, bounds, and requests for answers to other clients. The
// rights `manage` and `admin` need a server with pools; test/integration/admin-frame.test.ts tests them.

import { FEATURE } from '@rsio/protocol/wire/features';
import { ANSWER, OP } from '@rsio/protocol/wire/frames';
import { ADMIN_ID_MAX_CHARS, ADMIN_PARAMS_MAX_BYTES, ADMIN_PER_SESSION_MAX } from '@rsio/protocol/wire/limits';
import { ADMIN, AdminAnswer, AdminCall, AdminRest } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { RawClient, type RawFrame, type RawRequest } from '../../support/peers/raw-peer.ts';
import { type ServerCase, serverCase } from '../base/case.ts';
import { answered, closed, equals, failed, holds, type StatusName } from '../base/check.ts';
import { pack, type Packable } from '../base/pack.ts';
import type { Target } from '../base/target.ts';

let ids = 0;

/** Adds a path to the shared session. The path may send ADMIN. */
async function agreed(target: Target): Promise<RawClient> {
  const first = await target.first();
  const path = target.keep(await RawClient.login(target.place(), target.identity(0, { features: [FEATURE.ADMIN] }), first));
  path.homeSlot = target.slot();
  return path;
}

/** Begins a session of the second node that may send ADMIN. The node has only the right `use`. */
async function user(target: Target): Promise<RawClient> {
  return target.keep(await RawClient.begin(target.place(), target.identity(1, { features: [FEATURE.ADMIN] })));
}

function newId(): string {
  return `conformance-${Date.now()}-${++ids}`;
}

function call(method: string, params: string = '{}', request = newId()): RawRequest {
  const body = AdminCall.encode({ request, method, params: Buffer.from(params), withinMs: 10_000 });
  return { op: OP.ADMIN, aux: ADMIN.CALL, body };
}

interface Answer {
  readonly result?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
}

/** Decodes the answer in this frame. The answer must be complete. */
function answerOf({ body }: RawFrame): Answer {
  const { answer, totalBytes, part } = AdminAnswer.decode(body, 0, body.length);
  equals('The number of a short answer and its bytes', [answer, part.length], [0, totalBytes]);
  return JSON.parse(Buffer.from(part).toString('utf8')) as Answer;
}

async function asked(path: RawClient, request: RawRequest): Promise<Answer> {
  const frame = await answered(path, request);
  equals('aux of the answer', frame.aux, request.aux);
  return answerOf(frame);
}

/** Makes a case in which the server must refuse a call with this code. */
function refuses(id: string, section: string, what: string, method: string, params: string, code: string): ServerCase {
  return serverCase(`admin.${id}`, section, `${what} is refused with ${code}`, async (target) => {
    const { error } = await asked(await agreed(target), call(method, params));
    equals('The code', error?.code, code);
    holds((error?.message ?? '').length > 0, 'The refusal says nothing');
  });
}

/** Makes a case in which the server must refuse a call because the client has only the right `use`. */
function deniesUser(id: string, method: string, params: string): ServerCase {
  return serverCase(
    `admin.right.${id}`,
    'A1',
    `A client with the right use calls ${method}, which is refused with E_RIGHTS`,
    async (target) => {
      const { error } = await asked(await user(target), call(method, params));
      equals('The code', error?.code, 'E_RIGHTS');
      holds((error?.message ?? '').length > 0, 'The refusal says nothing');
    },
    { needs: ['second node'] },
  );
}

function malformed(id: string, what: string, request: () => Partial<RawRequest>, status: StatusName = 'BAD_REQUEST'): ServerCase {
  return serverCase(`admin.body.${id}`, 'ADMIN', `ADMIN with ${what} is answered ${status}, and the path stays`, async (target) => {
    const path = await agreed(target);
    await failed(path, { op: OP.ADMIN, aux: ADMIN.CALL, ...request() }, status);
    holds('result' in (await asked(path, call('daemon'))), 'A call after it has no result');
  });
}

const raw = (changes: Readonly<Record<string, Packable>>): Buffer =>
  pack({ request: newId(), method: 'daemon', params: Buffer.from('{}'), withinMs: 1_000, ...changes });

const CREATE = JSON.stringify({ name: 'conformance', sizeBytes: 1_048_576 });
const LONG = JSON.stringify({ pool: 'x'.repeat(ADMIN_PARAMS_MAX_BYTES - 20) });

export const ADMIN_CASES: readonly ServerCase[] = [
  serverCase(
    'admin.methods',
    'A1',
    'The server tells a client the methods that it may call, and answers them',
    async (target) => {
      const path = await user(target);
      const { result } = await asked(path, call('daemon'));
      const { methods } = result as { methods: readonly string[] };
      holds(methods.includes('daemon') && methods.includes('volume-list'), `The methods are ${methods.join(', ')}`);
      holds(!methods.includes('volume-create'), 'A client with the right use is told volume-create');
    },
    { needs: ['second node'] },
  ),
  serverCase('admin.show', 'A1', 'The answer to volume-show names the volume, without its path on the server', async (target) => {
    const name = target.options.volumes.plain;
    const { result } = await asked(await agreed(target), call('volume-show', JSON.stringify({ name })));
    const { volume } = result as { volume: { name: string; path: unknown } };
    equals('Name and path', [volume.name, volume.path], [name, null]);
  }),
  serverCase(
    'admin.foreign',
    'A1',
    'A volume of other clients does not exist: volume-show refuses it with E_UNKNOWN_VOLUME',
    async (target) => {
      const { error } = await asked(await agreed(target), call('volume-show', JSON.stringify({ name: target.options.volumes.foreign })));
      equals('The code', error?.code, 'E_UNKNOWN_VOLUME');
    },
    { needs: ['foreign volume'] },
  ),
  deniesUser('create', 'volume-create', CREATE),
  deniesUser('remove', 'volume-remove', '{"name":"conformance"}'),
  deniesUser('pools', 'pool-list', '{}'),
  deniesUser('clients', 'client-list', '{}'),
  refuses('right.local', 'A1', 'A method for programs on the server only', 'pool-make', '{"path":"/"}', 'E_RIGHTS'),
  refuses('unknown', 'ADMIN', 'An unknown method', 'volume-eat', '{}', 'E_USAGE'),
  refuses('prototype', 'ADMIN', 'A method with the name of a property of every object', 'constructor', '{}', 'E_USAGE'),
  refuses('no-json', 'ADMIN', 'A call whose parameters are not JSON', 'volume-list', '{', 'E_USAGE'),
  refuses('no-object', 'ADMIN', 'A call whose parameters are not an object', 'volume-list', '[]', 'E_USAGE'),
  refuses('deep', 'ADMIN', 'A call with deeply nested parameters', 'volume-list', '['.repeat(20_000) + ']'.repeat(20_000), 'E_USAGE'),
  refuses('parameter', 'ADMIN', 'A call with an unknown parameter', 'volume-list', '{"all":true}', 'E_USAGE'),
  serverCase('admin.again', 'A2', 'A refused change that is sent again with its id is refused again', async (target) => {
    const [path, id] = [await agreed(target), newId()];
    const first = await asked(path, call('volume-create', CREATE, id));
    equals('The second answer', await asked(path, call('volume-create', CREATE, id)), first);
  }),
  serverCase('admin.largest', 'ADMIN CALL', 'Parameters of the largest size are accepted', async (target) => {
    holds('result' in (await asked(await agreed(target), call('volume-list', LONG))), 'The call has no result');
  }),
  serverCase('admin.many', 'A4', 'More calls at once than the bound are answered, each with a result or E_LIMIT', async (target) => {
    const path = await agreed(target);
    const slots = Array.from({ length: 2 * ADMIN_PER_SESSION_MAX }, () => target.slot());
    for (const slot of slots) path.request({ ...call('volume-list'), slot, seq: 1 });
    for (const slot of slots) {
      const frame = await path.next(({ op, slot: at }) => op === (OP.ADMIN | ANSWER) && at === slot);
      equals('The status', frame.handle, STATUS.OK);
      const { result, error } = answerOf(frame);
      holds(result !== undefined || error?.code === 'E_LIMIT', `The answer is ${error?.code ?? 'empty'}`);
    }
  }),
  serverCase('admin.rest', 'A5', 'REST for an answer that this session does not have is answered STALE', async (target) => {
    const path = await agreed(target);
    await failed(path, { op: OP.ADMIN, aux: ADMIN.REST, body: AdminRest.encode({ answer: 1, offset: 0 }) }, 'STALE');
    await failed(path, { op: OP.ADMIN, aux: ADMIN.REST, body: AdminRest.encode({ answer: 0xffffffff, offset: 5 }) }, 'STALE');
  }),
  serverCase('admin.copy', 'S1', 'A late copy of an ADMIN is answered from its slot', async (target) => {
    const path = await agreed(target);
    const request = { ...call('daemon'), slot: target.slot(), seq: 1 };
    const answers: Buffer[] = [];
    for (let times = 0; times < 2; times++) {
      path.request(request);
      const { body } = await path.next(({ op, slot }) => op === (OP.ADMIN | ANSWER) && slot === request.slot);
      answers.push(body);
    }
    holds(answers[0]!.equals(answers[1]!), 'The copy is answered differently');
  }),
  malformed('none', 'no body', () => ({})),
  malformed('rubbish', 'a body that is no MessagePack', () => ({ body: Buffer.from([0xc1]) })),
  malformed('rest', 'the body of another kind', () => ({ aux: ADMIN.REST, body: raw({}) })),
  malformed('long', 'parameters beyond the bound', () => ({ body: raw({ params: Buffer.alloc(ADMIN_PARAMS_MAX_BYTES + 1, ' ') }) })),
  malformed('text', 'parameters that are text instead of bytes', () => ({ body: raw({ params: '{}' }) })),
  malformed('id', 'an id that is too long', () => ({ body: raw({ request: 'x'.repeat(ADMIN_ID_MAX_CHARS + 1) }) })),
  malformed('id-blank', 'an id with a blank', () => ({ body: raw({ request: 'a b' }) })),
  malformed('time', 'a negative time', () => ({ body: raw({ withinMs: -1 }) })),
  malformed('answer', 'REST of answer 0', () => ({ aux: ADMIN.REST, body: pack({ answer: 0, offset: 0 }) })),
  malformed('handle', 'a handle', () => ({ ...call('daemon'), handle: 1 })),
  malformed('flags', 'a flag', () => ({ ...call('daemon'), flags: 1 })),
  malformed('kind', 'an unknown kind', () => ({ ...call('daemon'), aux: 9 }), 'UNSUPPORTED'),
  serverCase(
    'admin.not-agreed',
    'ADMIN',
    'ADMIN without the agreed feature closes the path',
    async (target) => {
      const path = await target.path();
      path.request({ ...call('daemon'), slot: path.homeSlot, seq: 1 });
      await closed(path);
    },
    { log: /ADMIN was not negotiated/ },
  ),
];
