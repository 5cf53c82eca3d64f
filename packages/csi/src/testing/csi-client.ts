// A client of CSI over real gRPC, as the sidecars of an orchestrator use it. Invariant: an error of a call is a CallError with the status
// in words.

import { Client, credentials, type ServiceDefinition, type ServiceError } from '@grpc/grpc-js';
import { CODE, type Code } from '../rpc/status.ts';
import { serviceOf, type ServiceName } from '../rpc/proto.ts';

/** Time limit of a call, against a test that hangs. */
const CALL_MS = 60_000;

export class CallError extends Error {
  readonly status: string;

  constructor({ code, details }: ServiceError) {
    super(details);
    this.status = Object.entries(CODE).find(([, number]) => number === code)?.[0] ?? String(code);
  }
}

/** A message as the test reads it. */
// oxlint-disable-next-line typescript/no-explicit-any -- the library decodes messages without types
export type Message = any;

export class CsiClient {
  private readonly client: Client;

  constructor(socketPath: string) {
    this.client = new Client(`unix:${socketPath}`, credentials.createInsecure());
  }

  call(service: ServiceName, method: string, request: object = {}): Promise<Message> {
    const { path, requestSerialize, responseDeserialize } = methodOf(service, method);
    return new Promise((resolve, reject) => {
      const deadline = new Date(Date.now() + CALL_MS);
      this.client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, { deadline }, (error, answer) => {
        if (error === null) resolve(answer);
        else reject(new CallError(error));
      });
    });
  }

  /** Returns all messages of a call whose answer is a stream. */
  stream(service: ServiceName, method: string, request: object = {}): Promise<Message[]> {
    const { path, requestSerialize, responseDeserialize } = methodOf(service, method);
    return new Promise((resolve, reject) => {
      const messages: Message[] = [];
      const stream = this.client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
      stream.on('data', (message) => messages.push(message));
      stream.on('error', (error: ServiceError) => reject(new CallError(error)));
      stream.on('end', () => resolve(messages));
    });
  }

  /** Returns the status of a call that must fail. */
  async refusal(service: ServiceName, method: string, request: object = {}): Promise<Code> {
    const outcome = await this.call(service, method, request).then(
      () => 'OK',
      (error: CallError) => error.status,
    );
    return outcome as Code;
  }

  close(): void {
    this.client.close();
  }
}

export function methodOf(service: ServiceName, method: string): ServiceDefinition[string] {
  const found = serviceOf(service)[method];
  if (found === undefined) throw new Error(`Service ${service} has no call ${method}`);
  return found;
}
