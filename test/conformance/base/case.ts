// A named case of the suite: an id, one sentence that a conforming peer fulfils, the part of docs/PROTOCOL.md that demands it, and a
// function that throws if the peer does not. The cases themselves are in server/ and client/. engine.ts and the tests run them.

import type { Meddle } from '../../support/peers/raw-server.ts';
import type { ClientStage } from './stage.ts';
import type { Target } from './target.ts';

/** What a case needs in addition to a server, a node and a volume. If the requirement is missing, the case is skipped with this reason. */
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
  /** Id of the form `subject.step.what`, in lower case. The id of a removed case is never given to another case. */
  readonly id: string;
  /** Heading or rule of docs/PROTOCOL.md. */
  readonly section: string;
  readonly expects: string;
}

/** A case in which a client tests a server. */
export interface ServerCase extends CaseText {
  readonly needs: readonly Need[];
  /** Whether the case waits for a time-out. The suite runs these cases in parallel with all other cases, on their own connections. */
  readonly isPatient: boolean;
  /** A line that rssrv must log. The line is checked only if the suite can read the log. Null: no line is expected. */
  readonly log: RegExp | null;
  run(target: Target): Promise<void>;
}

type Extra = Partial<Pick<ServerCase, 'needs' | 'isPatient' | 'log'>>;

export function serverCase(id: string, section: string, expects: string, run: ServerCase['run'], extra: Extra = {}): ServerCase {
  return { id, section, expects, run, needs: [], isPatient: false, log: null, ...extra };
}

/** A case in which a scripted server misbehaves towards rsiod, or only observes it. Each scripted server has its own namespace. */
export interface ClientCase extends CaseText {
  /** Called at each step while the stage's server misbehaves. */
  readonly meddle: Meddle;
  /** The reason with which rsiod must close a path. Null: rsiod must not close any path. */
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

/**
 * Makes a case in which rsiod closes the only path of the server with this reason and tries again. Once the server behaves, the path must
 * come up.
 */
export function closingCase(id: string, section: string, expects: string, error: RegExp, meddle: Meddle, hasDigests = false): ClientCase {
  const run = async (stage: ClientStage): Promise<void> => {
    await stage.closesWith(error);
    await stage.recovers();
  };
  return clientCase(id, section, expects, run, { meddle, error, hasDigests });
}
