// Says of each method of rssrv whether the members of the control group may call it (control-group in rssrvcfg). Invariant: a method that is
// true changes nothing, makes no other change wait, and its answer contains no key; who adds a method decides here, or it does not compile.

import type { ServerMethodName } from './server-methods.ts';

const READS: Readonly<Record<ServerMethodName, boolean>> = {
  daemon: true,
  'interface-list': true,
  stats: true,
  events: true,
  'change-show': true,
  'pool-list': true,
  'volume-list': true,
  'volume-show': true,
  'volume-diff': true,
  'client-list': true,
  'job-list': true,
  'witness-list': true,
  // It opens whatever pools the text of the caller names, with the rights of rssrv, and takes the turn of a change.
  'config-check': false,
  // It takes the turn of a change.
  'pool-check': false,
  'pool-make': false,
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
  reload: false,
};

/** True if members of the control group may call the method. */
export function isReading(method: ServerMethodName): boolean {
  return READS[method];
}
