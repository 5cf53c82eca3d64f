// Replaces rssrv's machine/worker-user.ts: faults need files that only the user of the listener may write. The server processes of the
// server for tests therefore keep the user of the listener. Invariant: a configured user is chosen as in rssrv.

import { chooseWorkerUser as chooseSoundly, type WorkerUserChoice, type WorkerUserFacts } from '@rsio/rssrv/machine/worker-user';

export function chooseWorkerUser(facts: WorkerUserFacts): WorkerUserChoice {
  return facts.configured === null ? { user: null, warning: null } : chooseSoundly(facts);
}
