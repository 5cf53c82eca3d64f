// Finds the pools that cannot be used or are full, and the replications that fail or go on only by an order, as far as the servers show
// them to this client. Pure. A replication whose other server is away is no finding: checks/reach.ts reports the server. Invariant: a
// finding names the server on which its orders are given.

import { listed } from '@rsio/common/cli/command';
import { olderText } from '@rsio/api/manage/namespace-spread';
import type { ReplicationView } from '@rsio/api/views/views';
import { shownSize } from '@rsio/base/lib/units';
import type { DoctorFacts } from '../gather/facts.ts';
import { type Finding, FindingList } from '../gather/finding.ts';

const POOL_LIST = ['rsconfig pool list'];
/** The states that only an order ends, and the one that may end by itself. */
const BAD: ReadonlySet<ReplicationView['state']> = new Set(['refused', 'closed', 'diverged', 'split', 'failing']);

const DRIFT = 'apply the file again, or write what was changed by hand into it';
const POOL_DOWN = 'on the server, rsadm pool list names the cause, and rsadm pool check compares its files';
const POOL_FULL = 'enlarge its file system, or remove volumes and snapshots there';
const POOL_SHORT = `${POOL_FULL}: writes that need new space wait until then`;
/** Of the levels at which the server warns, the lowest one that is a finding. */
const FULL_PERCENT = 90;

function freeText({ freeBytes, totalBytes }: { readonly freeBytes: number | null; readonly totalBytes: number | null }): string {
  const shown = (bytes: number | null): string => (bytes === null ? 'an unknown size' : shownSize(bytes));
  return `${shown(freeBytes)} of ${shown(totalBytes)} free`;
}

export function checkServers({ servers }: DoctorFacts): Finding[] {
  const findings = new FindingList('servers');
  const files = servers.map(({ file }) => file);
  for (const { name: server, replications, pools, file } of servers) {
    const older = olderText(file, files);
    const differs = [
      ...(older === null ? [] : [older]),
      ...(file?.drift ?? []),
      ...(file?.extra ?? []).map((one) => `${one} is not in it`),
    ];
    if (differs.length > 0)
      findings.warning(`server ${server}`, `It differs from the file of its namespace: ${differs.join('; ')}`, null, DRIFT, [
        'rsconfig drift',
      ]);
    for (const { name, state, reason, isShort, fullPercent, ...space } of pools) {
      const object = `pool ${name} of ${server}`;
      if (state === 'unavailable')
        findings.error(object, `It cannot be used: ${reason ?? 'its directory does not answer'}`, null, POOL_DOWN);
      else if (isShort) findings.error(object, `Less than its reserve is free, ${freeText(space)}`, null, POOL_SHORT, POOL_LIST);
      else if (fullPercent !== null && fullPercent >= FULL_PERCENT)
        findings.warning(object, `It is more than ${fullPercent}% full, ${freeText(space)}`, null, POOL_FULL, POOL_LIST);
    }
    for (const { direction, peer, text, volumes, state } of replications.filter((one) => BAD.has(one.state))) {
      const names = volumes.map(({ name }) => name);
      const object = `replication of ${listed(names, 'and')} ${direction === 'in' ? 'from' : 'to'} ${peer}`;
      findings.warning(
        object,
        `It is ${state}: ${text}`,
        `server ${server}`,
        'if it stays so, give one of the orders that the text names, or remove the cause',
      );
    }
  }
  return findings.list;
}
