// In the place of rssrv's machine/worker-user.ts: faults need files that only the user of the listener may write, so that the server processes
// of the server for tests stay that user. Invariant: a configured user is chosen as ever.

import { chooseWorkerUser as chooseSoundly, type WorkerUserChoice, type WorkerUserFacts } from '@rsio/rssrv/machine/worker-user';

export function chooseWorkerUser(facts: WorkerUserFacts): WorkerUserChoice {
  return facts.configured === null && facts.canPass ? { user: null, warning: null } : chooseSoundly(facts);
}
