// Sends ADMIN for a test: makes one call with a given id, and collects all parts of the answer. The tests judge the answers. rsiod uses
// client/admin-calls.ts of packages/protocol.

import { OP } from '@rsio/protocol/wire/frames';
import { ADMIN, AdminAnswer, AdminCall, AdminRest } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { RawClient } from './raw-peer.ts';

export interface AdminResult {
  readonly result?: unknown;
  readonly error?: { readonly code: string; readonly message: string; readonly context: Readonly<Record<string, unknown>> };
}

export interface AdminOptions {
  readonly id?: string;
  readonly slot?: number;
  /** Called after each part of a long answer, before the next part is requested. */
  readonly between?: () => Promise<void>;
}

let ids = 0;

/** Returns an id that no other call of this test process has. */
export function newId(): string {
  return `call-${process.pid}-${++ids}`;
}

/** Calls a method, and returns the whole answer. Throws if the status is not OK. */
export async function callAdmin(client: RawClient, method: string, params: object, options: AdminOptions = {}): Promise<AdminResult> {
  const { id = newId(), slot = 0, between } = options;
  const body = AdminCall.encode({ request: id, method, params: Buffer.from(JSON.stringify(params)), withinMs: 30_000 });
  let frame = await client.call({ op: OP.ADMIN, slot, aux: ADMIN.CALL, body });
  const parts: Buffer[] = [];
  for (;;) {
    if (frame.handle !== STATUS.OK) throw new Error(`ADMIN ${method} is answered with status ${frame.handle}`);
    const { answer, totalBytes, part } = AdminAnswer.decode(frame.body, 0, frame.body.length);
    parts.push(Buffer.from(part));
    const offset = parts.reduce((sum, { length }) => sum + length, 0);
    if (offset >= totalBytes) return JSON.parse(Buffer.concat(parts).toString()) as AdminResult;
    await between?.();
    frame = await client.call({ op: OP.ADMIN, slot, aux: ADMIN.REST, body: AdminRest.encode({ answer, offset }) });
  }
}

export async function callAdminWell(client: RawClient, method: string, params: object, options: AdminOptions = {}): Promise<unknown> {
  const { result, error } = await callAdmin(client, method, params, options);
  if (error !== undefined) throw new Error(`${error.code}: ${error.message}`);
  return result;
}
