// Reports for each path whether it is encrypted, and if not, why. The check uses the paths that doctor has proved, and the connections of a
// running rsiod. If the settings of server and client do not match, no path can be proved; authentication.ts reports the mismatch.

import { endPoint } from '../../output/format.ts';
import type { DoctorFacts, FileFacts, PathFacts } from '../gather/facts.ts';
import { type Finding, FindingList } from '../gather/finding.ts';
import { pathName, tlsLocation } from '../gather/naming.ts';

export function checkEncryption(facts: DoctorFacts): Finding[] {
  const findings = new FindingList('encryption');
  for (const path of facts.paths) {
    if (path.report?.server?.isProved !== true) continue;
    const { cipher } = path.report;
    const own = connectionOf(facts, path);
    if (own !== null && (own.cipher === null) !== (cipher === null)) {
      const setting = `tls = ${cipher === null ? 'off' : 'on'}`;
      const what = `rsiod's connection is ${own.cipher === null ? 'plain' : 'encrypted'}, because it is older than ${setting} of namespace ${path.namespace}`;
      const remedy = 'rsiod replaces such connections one after another; if it stays, see rsconfig events and rsclogcat';
      findings.warning(pathName(path), what, own.place, remedy, [`rsconfig${facts.rootOption} -m status -v`]);
    } else if (cipher === null) findings.ok(pathName(path), `Not encrypted: ${whyPlain(facts.file, path)}`);
    else findings.ok(pathName(path), `Encrypted with ${cipher}`);
  }
  return findings.list;
}

/** Returns rsiod's own connection on this path; null if that connection is not up. */
function connectionOf({ daemon }: DoctorFacts, path: PathFacts): { readonly cipher: string | null; readonly place: string } | null {
  const view = daemon.status?.interfaces.find(({ name }) => name === path.interface);
  const rep = view?.reps.find(({ address, port }) => address === path.address && port === path.port);
  return rep?.state === 'up' ? { cipher: rep.cipher, place: `${path.interface} -> ${endPoint(rep.address, rep.port)}` } : null;
}

function whyPlain(file: FileFacts, { namespace }: PathFacts): string {
  const { place, isSet } = tlsLocation(file, namespace);
  return isSet ? `${place} has tls = off` : `namespace ${namespace} (${place}) does not have tls = on`;
}
