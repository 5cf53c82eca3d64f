// Checks that each server interface is reachable from its local interface, and gives a remedy for each kind of failure. Invariant: if this
// machine lacks an address or a cable, only interfaces.ts reports that fault.

import { isSameSubnet } from '@rsio/base/lib/subnet';
import { plural } from '@rsio/base/lib/units';
import { interfaceOf } from '@rsio/protocol/explorer/interfaces';
import { CONNECT_TIMEOUT_MS } from '@rsio/protocol/link/limits';
import type { DoctorFacts, PathFacts } from '../gather/facts.ts';
import { type Finding, FindingList } from '../gather/finding.ts';
import { pathName, locationOf } from '../gather/naming.ts';

const USUAL_PREFIX_LENGTH_4 = 24;
const USUAL_PREFIX_LENGTH_6 = 64;

export function checkReach(facts: DoctorFacts): Finding[] {
  const findings = new FindingList('reach');
  for (const path of facts.paths) {
    if (path.unreached !== null && isCabled(facts, path)) unreached(findings, facts, path, path.unreached);
    else if (path.report !== null && path.report.connectMs !== null) {
      const trip = path.report.roundTripMs === null ? '' : `, round trip ${path.report.roundTripMs.toFixed(3)} ms`;
      findings.ok(pathName(path), `Connects in ${path.report.connectMs.toFixed(1)} ms${trip}`);
    }
  }
  for (const one of facts.leftOut.filter(({ type, address }) => type === 'section' && !isForMissing(facts, address))) {
    const where = locationOf(facts.file, { type: 'server', name: one.object, namespace: one.namespace });
    const remedy =
      'give this machine an interface in its subnet (rsconfig interface add), set paths = all in the file, or remove the section';
    findings.warning(`server section ${one.object}`, `No path leads to ${one.address}: ${one.reason}`, where, remedy);
  }
  for (const { object, address, reason } of facts.leftOut.filter(({ type }) => type === 'learned')) {
    findings.ok(`server interface ${object}`, `No path leads to ${address}, and none is needed: ${reason}`);
  }
  if (facts.pathsNotTried > 0) {
    const what = `${plural(facts.pathsNotTried, 'path was', 'paths were')} not tried: the file makes more paths than doctor tries`;
    findings.warning('further paths', what, facts.file.path, 'try them with rsconfig -m test PATH');
  }
  return findings.list;
}

/**
 * True if the probable cause is that this machine lacks an address, not that the [server] section is wrong. The function looks for a
 * configured interface whose address this machine lacks and whose subnet probably includes `address`.
 */
function isForMissing({ file, machine }: DoctorFacts, address: string): boolean {
  const prefixLength = address.includes(':') ? USUAL_PREFIX_LENGTH_6 : USUAL_PREFIX_LENGTH_4;
  return (file.config?.interfaces ?? []).some(
    (one) => interfaceOf(one.address, machine.interfaces) === null && isSameSubnet(one.address, one.prefixLength ?? prefixLength, address),
  );
}

function isCabled({ machine }: DoctorFacts, { local }: PathFacts): boolean {
  return interfaceOf(local, machine.interfaces)?.hasCarrier === true;
}

function unreached(findings: FindingList, facts: DoctorFacts, path: PathFacts, errno: string): void {
  const { what, remedy } = explanation(facts, path, errno);
  const where = locationOf(facts.file, { type: 'server', name: path.section, namespace: path.namespace }, 'address');
  findings.error(pathName(path), what, where, remedy);
}

/** True if a server on another path lists the remote address and port of the given path. */
function isServedElsewhere({ paths }: DoctorFacts, { namespace, address, port }: PathFacts): boolean {
  return paths.some(
    ({ report, namespace: its }) =>
      its === namespace && report?.server?.interfaces?.some((one) => one.address === address && one.port === port) === true,
  );
}

function explanation(facts: DoctorFacts, path: PathFacts, errno: string): { readonly what: string; readonly remedy: string } {
  const { local, address, port } = path;
  const device = path.route?.device ?? interfaceOf(local, facts.machine.interfaces)?.device ?? local;
  switch (errno) {
    case 'ECONNREFUSED':
      if (isServedElsewhere(facts, path)) {
        return {
          what: `Connection refused: the server answers on another path, but ${address} port ${port} rejects connections from ${local}`,
          remedy: `check the firewalls of the server and in between (nft list ruleset, iptables -S): one may reject TCP port ${port}; check on the server that rssrv listens on ${address} (ss -ltn)`,
        };
      }
      return {
        what: `Connection refused: ${address} answers, but nothing listens on port ${port}`,
        remedy:
          'start rssrv on that server (rsslogcat there shows why it ended), correct the port on either side, or change the firewall rule that rejects it',
      };
    case 'ETIMEDOUT':
      return {
        what: `No answer within ${CONNECT_TIMEOUT_MS} ms`,
        remedy: `check that the server is up, its cable and the switch, and that no firewall in between drops TCP port ${port}`,
      };
    case 'EHOSTUNREACH':
      return {
        what: `No machine with address ${address} answers on the link of ${device}`,
        remedy: `check the address, that the server's interface is up, its cable, that both are in one VLAN, and that no firewall rejects TCP port ${port}`,
      };
    case 'ENETUNREACH':
      return {
        what: `No route from ${local} to ${address}`,
        remedy: `put both into one subnet, or add a route to ${address} through the router of ${device}`,
      };
    case 'EACCES':
    case 'EPERM':
      return { what: `This machine forbids the connection (${errno})`, remedy: 'check its firewall: nft list ruleset, iptables -S' };
    default:
      return { what: `Connecting failed (${errno})`, remedy: `try it by hand: nc -s ${local} ${address} ${port}` };
  }
}
