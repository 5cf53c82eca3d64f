// A reply of the server: an answer, or a stream of events that stays open.
// app.ts makes replies, and web-server.ts writes them to a socket.

import type { Answer } from './answer.ts';
import type { Request } from './request.ts';

/** An open stream of events. The owner of the stream must bound `backlogBytes`. */
export interface EventSink {
  /** Number of written bytes that the peer has not received yet. */
  readonly backlogBytes: number;
  write(text: string): void;
  /** Closes the stream. The backlog is lost. */
  end(): void;
}

export interface EventStream {
  /** Starts the stream. Returns a function that is called once, when the stream has been closed. */
  open(sink: EventSink): () => void;
}

export type Reply = Answer | EventStream;

/** Makes the reply to a request. If the request contains a valid token, the handler must call `proven` with the name of the token. */
export type Handler = (request: Request, proven: (token: string) => void) => Reply | Promise<Reply>;
