// What the server sends back: an answer, or a stream of events that stays open. web-server.ts puts both on a socket.
// What they contain is decided in app/.

import type { Answer } from './answer.ts';
import type { Request } from './request.ts';

/** An open stream of events. Its owner keeps the bound of what the peer has not taken yet. */
export interface EventSink {
  /** Bytes that were written and that the peer has not taken yet. */
  readonly backlogBytes: number;
  write(text: string): void;
  /** Ends the stream. Bytes that wait are lost. */
  end(): void;
}

export interface EventStream {
  /** Begins to send. Returns the function that is called once, when the stream has closed. */
  open(sink: EventSink): () => void;
}

export type Reply = Answer | EventStream;

/** `proven`: to be called with the name of the token that the request has shown. */
export type Handler = (request: Request, proven: (token: string) => void) => Reply | Promise<Reply>;
