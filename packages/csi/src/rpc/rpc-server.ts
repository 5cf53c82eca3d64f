// Serves CSI by gRPC on a Unix socket. The library @grpc/grpc-js speaks HTTP/2 and gRPC, because flow control, trailers and deadlines of
// our own would be exposed to peers that are not trusted. This file bounds connections and messages, and turns errors into statuses.
// Invariant: only the owner of the program can open the socket. A socket is replaced only if nothing listens on it.

import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { createServer, type Server as SocketServer, type Socket } from 'node:net';
import { rmSync } from 'node:fs';
import { listenOnSocket } from '@rsio/base/daemon/unix-socket';
import { assert } from '@rsio/base/lib/assert';
import { CSI_CONNECTIONS_MAX, CSI_DRAIN_MS, CSI_MESSAGE_MAX_BYTES } from '../limits.ts';
import type { Calls } from './calls.ts';
import { serviceOf, type ServiceName } from './proto.ts';
import { CODE, type CsiError, sentenceOf } from './status.ts';

/** The calls of a service by name. The library has decoded the request, so the request has the type of its message. */
export type Handlers = Readonly<Record<string, (request: never) => Promise<object>>>;
/** Calls whose answer is a stream of messages. */
export type Streams = Readonly<Record<string, (request: never) => AsyncIterable<object>>>;

export interface Service {
  readonly handlers: Handlers;
  readonly streams?: Streams;
}

export class RpcServer {
  private readonly path: string;
  private readonly calls: Calls;
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;
  private listener: SocketServer | null = null;

  constructor(path: string, calls: Calls, services: Readonly<Partial<Record<ServiceName, Service>>>) {
    this.path = path;
    this.calls = calls;
    this.server = new Server({
      'grpc.max_receive_message_length': CSI_MESSAGE_MAX_BYTES,
      'grpc.max_concurrent_streams': CSI_CONNECTIONS_MAX,
    });
    for (const [name, service] of Object.entries(services)) this.add(name as ServiceName, service);
  }

  /** Throws E_SOCKET_PATH, E_RIGHTS, E_SYSTEM or E_ALREADY_RUNNING. */
  async listen(): Promise<void> {
    const injector = this.server.createConnectionInjector(ServerCredentials.createInsecure());
    const listener = createServer((socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      injector.injectConnection(socket);
    });
    listener.maxConnections = CSI_CONNECTIONS_MAX;
    await listenOnSocket(listener, this.path);
    this.listener = listener;
  }

  /** Lets calls in progress end, for CSI_DRAIN_MS at most. */
  async close(wait: (ms: number) => Promise<void>): Promise<void> {
    this.listener?.close();
    const drained = new Promise<void>((resolve) => this.server.tryShutdown(() => resolve()));
    await Promise.race([drained, wait(CSI_DRAIN_MS)]);
    this.server.forceShutdown();
    for (const socket of this.sockets) socket.destroy();
    rmSync(this.path, { force: true });
  }

  private add(name: ServiceName, { handlers, streams = {} }: Service): void {
    const definition = serviceOf(name);
    const known = new Set(Object.keys(definition));
    const implementation: UntypedServiceImplementation = {};
    for (const [method, run] of Object.entries(handlers)) {
      assert(known.has(method), `Service ${name} has no call ${method}`);
      implementation[method] = this.unary(method, run);
    }
    for (const [method, run] of Object.entries(streams)) {
      assert(known.has(method), `Service ${name} has no call ${method}`);
      implementation[method] = this.streaming(method, run);
    }
    this.server.addService(definition, implementation);
  }

  private unary(method: string, run: (request: never) => Promise<object>): handleUnaryCall<object, object> {
    return (call, answer) => {
      this.calls
        .run(method, () => run(call.request as never))
        .then(
          (result) => answer(null, result),
          (error: CsiError) => answer(statusOf(error)),
        );
    };
  }

  private streaming(method: string, run: (request: never) => AsyncIterable<object>): handleServerStreamingCall<object, object> {
    return (call) => {
      const send = async (): Promise<void> => {
        for await (const message of run(call.request as never)) {
          if (call.cancelled) return;
          if (!call.write(message)) await new Promise<void>((resolve) => call.once('drain', resolve).once('cancelled', resolve));
        }
      };
      this.calls.run(method, send).then(
        () => call.end(),
        (error: CsiError) => call.emit('error', statusOf(error)),
      );
    };
  }
}

function statusOf(error: CsiError): { readonly code: number; readonly details: string } & Error {
  return Object.assign(new Error(error.message), { code: CODE[error.status], details: sentenceOf(error) });
}
