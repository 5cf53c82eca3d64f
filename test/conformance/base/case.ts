// A named case of the suite: an id, one sentence that a conforming peer fulfils, the part of docs/PROTOCOL.md that demands it, and a
// function that throws if the peer does not. The cases are in server/ and client/; engine.ts and the tests run them.

import type { Meddle } from '../../support/peers/raw-server.ts';
import type { ClientStage } from './stage.ts';
import type { Target } from './target.ts';

/** Further needs of a case besides a server, a node and a volume; if one is missing, the case is skipped with this reason. */
export type Need =
  | 'second node'
  | 'third node'
  | 'addresses'
  | 'namespacekey'
  | 'read-only volume'
  | '4096-byte volume'
  | 'foreign volume'
  | 'shared volume'
  | 'replica volume'
  | 'witness'
  | 'control';

interface CaseText {
  /** `subject.step.what`, lower case; never reused for another case. */
  readonly id: string;
  /** Heading or rule of docs/PROTOCOL.md. */
  readonly section: string;
  readonly expects: string;
}

/** A client's view of a server. */
export interface ServerCase extends CaseText {
  readonly needs: readonly Need[];
  /** The case waits for a time-out; it runs beside the others, on its own connections. */
  readonly isPatient: boolean;
  /** What rssrv logs; checked only if the log is available. */
  readonly log: RegExp | null;
  run(target: Target): Promise<void>;
}

type Extra = Partial<Pick<ServerCase, 'needs' | 'isPatient' | 'log'>>;

export function serverCase(id: string, section: string, expects: string, run: ServerCase['run'], extra: Extra = {}): ServerCase {
  return { id, section, expects, run, needs: [], isPatient: false, log: null, ...extra };
}

/** A server in its own namespace that misbehaves towards rsiod, or only observes it. */
export interface ClientCase extends CaseText {
  /** Called at each step while the stage's server misbehaves. */
  readonly meddle: Meddle;
  /** The reason with which rsiod closes a path; null: it closes none. */
  readonly error: RegExp | null;
  readonly hasTwoPaths: boolean;
  /** Whether both ends agree on CRC-32s. */
  readonly hasDigests: boolean;
  run(stage: ClientStage): Promise<void>;
}

type ClientExtra = Partial<Pick<ClientCase, 'meddle' | 'error' | 'hasTwoPaths' | 'hasDigests'>>;

export function clientCase(id: string, section: string, expects: string, run: ClientCase['run'], extra: ClientExtra = {}): ClientCase {
  return { id, section, expects, run, meddle: () => false, error: null, hasTwoPaths: false, hasDigests: false, ...extra };
}

/** The server's only path is closed with this reason and tried again; once the server behaves, the path comes up. */
export function closingCase(id: string, section: string, expects: string, error: RegExp, meddle: Meddle, hasDigests = false): ClientCase {
  const run = async (stage: ClientStage): Promise<void> => {
    await stage.closesWith(error);
    await stage.recovers();
  };
  return clientCase(id, section, expects, run, { meddle, error, hasDigests });
}
