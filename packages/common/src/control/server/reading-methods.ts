// Lists the methods of rssrv that members of the control group (control-group in rssrvcfg) may call. Invariant: a method with the value
// true changes nothing and delays no change, and its answer contains no keys. If a new method has no value here, the program does not
// compile.

import type { ServerMethodName } from './server-methods.ts';

const READS: Readonly<Record<ServerMethodName, boolean>> = {
  daemon: true,
  'interface-list': true,
  stats: true,
  events: true,
  'change-show': true,
  'pool-list': true,
  'farm-show': true,
  'volume-list': true,
  'volume-show': true,
  'volume-diff': true,
  'client-list': true,
  'job-list': true,
  'witness-list': true,
  'replication-list': true,
  'peer-list': true,
  readiness: true,
  // The value is false, because the method opens every pool that the caller's text names, with the rights of rssrv, and occupies the queue
  // of changes.
  'config-check': false,
  // The value is false, because the method occupies the queue of changes.
  'pool-check': false,
  'pool-make': false,
  'pool-move': false,
  'pool-grow': false,
  'pool-release': false,
  'farm-make': false,
  'volume-create': false,
  'volume-grow': false,
  'volume-rename': false,
  'volume-set': false,
  'volume-remove': false,
  'volume-restore': false,
  'volume-purge': false,
  'volume-snapshot': false,
  'volume-snapshot-remove': false,
  'replica-snapshot': false,
  'replica-snapshot-prove': false,
  'volume-clone': false,
  'volume-rollback': false,
  'volume-image': false,
  'volume-refresh': false,
  'volume-image-restore': false,
  'volume-split': false,
  'volume-replicate': false,
  'volume-replicate-end': false,
  // The value is false, because the answer depends on the client that asks.
  'replication-poll': false,
  'replication-moment': false,
  'replication-confirm': false,
  'replication-hand-over': false,
  'replication-handed-over': false,
  'volume-promote': false,
  'volume-reverse': false,
  'volume-demote': false,
  'volume-seed': false,
  'volume-drill': false,
  'volume-revoke': false,
  'volume-allow': false,
  'volume-pause': false,
  'volume-resume': false,
  'volume-stop': false,
  'volume-start': false,
  'volume-move': false,
  'volume-copy': false,
  'volume-export': false,
  'volume-import': false,
  'job-cancel': false,
  'job-limit': false,
  'client-kick': false,
  'client-fence': false,
  'client-unfence': false,
  'client-release': false,
  'witness-remove': false,
  'message-send': false,
  'message-take': false,
  reload: false,
};

/** True if members of the control group may call the method. */
export function isReading(method: ServerMethodName): boolean {
  return READS[method];
}
